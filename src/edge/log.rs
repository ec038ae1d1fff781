//! The Worker's log: one line of JSON for each thing that someone may have to know, told apart by
//! `event`. `docs/observability.md` lists their fields. None may hold a key, a token or a body.
//!
//! A request that is served says nothing, unless `LOG` is `debug`.

use serde_json::{Value, json};

use super::inbound::Target;
use super::platform::now;
use crate::balance::Millis;
use crate::balance::error::Refusal;
use crate::balance::isolate::Recorded;
use crate::balance::snapshot::Change;

fn write(line: &Value) {
    worker::console_log!("{line}");
}

/// Something does not work as it should; `why` is for whoever runs the Worker.
pub fn trouble(what: &str, why: &str) {
    write(&json!({ "event": "trouble", "what": what, "why": why }));
}

/// A key changed.
pub fn key(recorded: &Recorded) {
    let (change, reason) = match &recorded.change {
        Change::Cool { cooling, .. } => ("cool", cooling.reason.as_str()),
        Change::Block { reason, .. } => ("block", reason.as_str()),
        Change::Home { home, .. } => ("home", home.as_str()),
    };
    let mut line = json!({
        "event": "key", "change": change, "key": recorded.change.key().0, "provider": recorded.provider,
        "model": recorded.model, "status": recorded.status, "reason": reason,
    });
    if let (Change::Cool { cooling, .. }, Some(line)) = (&recorded.change, line.as_object_mut()) {
        line.insert("cooled".to_owned(), json!(cooling.model));
        line.insert("until".to_owned(), json!(cooling.until));
        line.insert("source".to_owned(), json!(cooling.source.as_str()));
    }
    write(&line);
}

/// The cron put a blocked key back.
pub fn restored(key: u64, provider: &str, status: u16) {
    write(&json!({
        "event": "key", "change": "restore", "key": key, "provider": provider, "status": status,
    }));
}

/// A request of a client is over. `target` is known when it was let in and understood.
pub fn request(
    target: Option<&Target>,
    provider: &str,
    status: u16,
    refusal: Option<&Refusal>,
    attempts: usize,
    began: Millis,
) {
    write(&json!({
        "event": "request", "provider": target.map_or(provider, |target| &target.provider),
        "model": target.map(|target| &target.model),
        "token": target.map(|target| format!("{:08x}", target.token)), "status": status,
        "code": refusal.map(|refusal| refusal.kind.code()), "attempts": attempts,
        "ms": now().saturating_sub(began), "why": refusal.and_then(|refusal| refusal.log.as_deref()),
    }));
}

/// A request was refused that is none for a provider.
pub fn refused(refusal: &Refusal) {
    write(&json!({
        "event": "request", "status": refusal.status(), "code": refusal.kind.code(),
        "why": refusal.log,
    }));
}

/// A message to the webhook.
pub fn webhook(sent: bool, why: &str) {
    write(&json!({ "event": "webhook", "sent": sent, "why": why }));
}
