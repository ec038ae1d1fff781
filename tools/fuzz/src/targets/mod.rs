//! What is fed, and what must hold.

mod answers;
mod models;
mod pastes;
mod routes;
mod tokens;
mod waits;

use crate::Target;

pub const ALL: &[Target] = &[
    answers::CLASSIFY,
    answers::GATEWAY,
    models::JSON,
    models::FORM,
    pastes::READ,
    routes::ROUTE,
    tokens::PARSE,
    waits::TEXTS,
];

/// Fails with the rule and what shows that it does not hold.
pub fn ensure(holds: bool, rule: &str, evidence: impl FnOnce() -> String) -> Result<(), String> {
    if holds { Ok(()) } else { Err(format!("{rule}: {}", evidence())) }
}
