//! What the admin API says when a call cannot be done: a code that never changes, the field at fault,
//! the values of the sentence, and the sentence. None of them ever holds a part of a key or a token.

use serde_json::{Map, Value, json};
use worker::web_sys::Response;

use crate::balance::error::Refusal;
use crate::balance::problem::Problem;
use crate::edge::respond;

/// Why a call was not done.
pub struct Fault {
    status: u16,
    problem: Problem,
    field: Option<String>,
    retry_after: Option<u64>,
    log: Option<String>,
}

impl Fault {
    /// A fault that is nobody's field.
    pub fn new(status: u16, code: &'static str, message: impl Into<String>) -> Self {
        let problem = Problem::new(code, message);
        Self { status, problem, field: None, retry_after: None, log: None }
    }

    /// The request's own fault, in this field.
    pub fn of(field: &str, code: &'static str, message: impl Into<String>) -> Self {
        Self { field: Some(field.to_owned()), ..Self::new(400, code, message) }
    }

    /// The same with one value more.
    #[must_use]
    pub fn with(mut self, name: &str, value: impl Into<Value>) -> Self {
        self.problem = self.problem.with(name, value);
        self
    }

    /// The same with a time to wait, in seconds.
    #[must_use]
    pub const fn after(mut self, seconds: u64) -> Self {
        self.retry_after = Some(seconds);
        self
    }

    /// The same for a field inside of another.
    #[must_use]
    pub fn inside(mut self, outer: &str) -> Self {
        self.field = Some(match self.field {
            Some(field) => format!("{outer}.{field}"),
            None => outer.to_owned(),
        });
        self
    }

    /// It must be one of these words.
    pub fn not_one_of(field: &str, allowed: &[&str]) -> Self {
        let sentence = format!("`{field}` must be one of: {}.", allowed.join(", "));
        Self::of(field, "not_one_of", sentence).with("allowed", allowed.to_vec())
    }

    /// It must be there.
    pub fn required(field: &str) -> Self {
        Self::of(field, "required", format!("`{field}` is missing."))
    }

    /// It is of the wrong type.
    pub fn wrong_type(field: &str, expected: &str) -> Self {
        let sentence = format!("`{field}` must be {expected}.");
        Self::of(field, "wrong_type", sentence).with("expected", expected)
    }

    /// More than one call takes.
    pub fn too_many(field: &str, count: usize, most: usize) -> Self {
        let sentence = format!("These are {count} keys; one call takes {most}. Do it in parts.");
        let fault = Self::of(field, "too_many", sentence).with("count", count).with("most", most);
        Self { status: 413, ..fault }
    }

    /// There is no such key.
    pub fn no_such_key(id: u64) -> Self {
        let sentence = format!("There is no key with the id {id}. It may have been deleted.");
        Self::new(404, "no_such_key", sentence).with("id", id)
    }

    /// The route takes other methods.
    pub fn method(allowed: &str) -> Self {
        Self::from(Refusal::method_not_allowed(allowed)).with("allowed", allowed)
    }

    /// The answer that says so.
    pub fn respond(&self) -> Response {
        if let Some(log) = &self.log {
            respond::log("admin", &format!("{}: {log}", self.problem.code));
        }
        let error = json!({
            "code": self.problem.code,
            "field": self.field,
            "message": self.problem.message,
            "values": self.problem.values,
        });
        let response = respond::json(self.status, &json!({ "error": error }));
        if let Some(seconds) = self.retry_after {
            let _ = response.headers().set("retry-after", &seconds.to_string());
        }
        response
    }
}

impl From<Refusal> for Fault {
    fn from(refusal: Refusal) -> Self {
        Self {
            status: refusal.status(),
            problem: Problem {
                code: refusal.kind.code(),
                values: Map::new(),
                message: refusal.message,
            },
            field: None,
            retry_after: refusal.retry_after,
            log: refusal.log,
        }
    }
}
