//! Faults that a test orders: which requests they hit, how often, and what happens to those.

use std::collections::HashMap;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};

use bytes::Bytes;
use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::answer::Answer;
use crate::cases;
use crate::simulator::lock;

#[derive(Clone, Debug, Default, Deserialize, Serialize)]
#[serde(deny_unknown_fields)]
pub struct Match {
    #[serde(skip_serializing_if = "Option::is_none")]
    pub provider: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub key: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub model: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub method: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub path_contains: Option<String>,
}

/// The part of a request that faults are matched with.
#[derive(Clone, Copy, Debug, Default)]
pub struct Subject<'a> {
    pub provider: &'a str,
    pub key: Option<&'a str>,
    pub model: Option<&'a str>,
    pub method: &'a str,
    pub path: &'a str,
}

impl Match {
    fn hits(&self, subject: Subject<'_>) -> bool {
        fn same(wanted: Option<&String>, is: Option<&str>) -> bool {
            wanted.is_none_or(|wanted| Some(wanted.as_str()) == is)
        }
        same(self.provider.as_ref(), Some(subject.provider))
            && same(self.key.as_ref(), subject.key)
            && same(self.model.as_ref(), subject.model)
            && self.method.as_ref().is_none_or(|method| method.eq_ignore_ascii_case(subject.method))
            && self.path_contains.as_ref().is_none_or(|part| subject.path.contains(part.as_str()))
    }
}

/// A fault as the control API writes it: which requests it hits, and what happens to those.
#[derive(Clone, Debug, Default, Deserialize, Serialize)]
#[serde(deny_unknown_fields)]
pub struct FaultSettings {
    #[serde(default, rename = "match")]
    pub matching: Match,
    /// How many requests it hits; `null` is all of them, absent is one.
    #[serde(default = "once")]
    pub times: Option<u64>,
    /// How many matching requests pass first.
    #[serde(default)]
    pub skip: u64,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub status: Option<u16>,
    #[serde(default, skip_serializing_if = "HashMap::is_empty")]
    pub headers: HashMap<String, String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub body: Option<Value>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub case: Option<String>,
    #[serde(default)]
    pub delay_ms: u64,
    #[serde(default)]
    pub stall: bool,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub cut_after_chunks: Option<usize>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub error_after_chunks: Option<usize>,
    #[serde(default)]
    pub reset: bool,
}

fn once() -> Option<u64> {
    Some(1)
}

impl FaultSettings {
    /// What ends the stream, if the fault says so instead of the provider.
    pub fn event(&self) -> Option<Bytes> {
        let text = self.body.as_ref().and_then(Value::as_str)?;
        self.error_after_chunks.map(|_| Bytes::copy_from_slice(text.as_bytes()))
    }

    /// The answer that the fault brings along, if it does not leave that to the provider.
    pub fn answer(&self) -> Option<Answer> {
        let mut answer = match &self.case {
            Some(id) => cases::answer(id)?,
            None if self.event().is_some() => return None,
            None if self.status.is_none() && self.body.is_none() => return None,
            None => match &self.body {
                None => Answer::text(self.status.unwrap_or(200), String::new()),
                Some(Value::String(text)) => Answer::text(self.status.unwrap_or(200), text.clone()),
                Some(value) => Answer::json(self.status.unwrap_or(200), value),
            },
        };
        if let Some(status) = self.status.and_then(|status| http::StatusCode::from_u16(status).ok())
        {
            answer.status = status;
        }
        for (name, value) in &self.headers {
            answer.set_header(name, value);
        }
        Some(answer)
    }
}

struct Fault {
    id: u64,
    settings: Arc<FaultSettings>,
    skip: u64,
    times: Option<u64>,
    hits: u64,
}

#[derive(Default)]
pub struct Faults {
    list: Mutex<(u64, Vec<Fault>)>,
    /// Spares the lock for the usual case of no faults.
    count: AtomicUsize,
}

impl Faults {
    /// Adds a fault and returns its number, or says what is wrong with it.
    pub fn add(&self, settings: FaultSettings) -> Result<u64, String> {
        if let Some(case) = settings.case.as_deref().filter(|case| cases::answer(case).is_none()) {
            return Err(format!("there is no captured case `{case}`"));
        }
        if settings.status.is_some_and(|status| !(200..=999).contains(&status)) {
            return Err("status must be 200 to 999".to_owned());
        }
        let mut list = lock(&self.list);
        list.0 += 1;
        let id = list.0;
        list.1.push(Fault {
            id,
            skip: settings.skip,
            times: settings.times,
            hits: 0,
            settings: Arc::new(settings),
        });
        self.count.store(list.1.len(), Ordering::Release);
        Ok(id)
    }

    /// The first fault that hits this request, used up by one.
    pub fn take(&self, subject: Subject<'_>) -> Option<Arc<FaultSettings>> {
        if self.count.load(Ordering::Acquire) == 0 {
            return None;
        }
        let mut list = lock(&self.list);
        for fault in &mut list.1 {
            if fault.times == Some(0) || !fault.settings.matching.hits(subject) {
                continue;
            }
            if fault.skip > 0 {
                fault.skip -= 1;
                continue;
            }
            fault.hits += 1;
            fault.times = fault.times.map(|times| times - 1);
            return Some(fault.settings.clone());
        }
        None
    }

    pub fn clear(&self) {
        lock(&self.list).1.clear();
        self.count.store(0, Ordering::Release);
    }

    pub fn to_json(&self) -> Value {
        lock(&self.list)
            .1
            .iter()
            .map(|fault| {
                let mut entry = serde_json::to_value(&*fault.settings).unwrap_or_default();
                entry["id"] = fault.id.into();
                entry["times_left"] = fault.times.into();
                entry["hits"] = fault.hits.into();
                entry
            })
            .collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn fault(json: Value) -> FaultSettings {
        serde_json::from_value(json).unwrap()
    }

    const SUBJECT: Subject<'_> = Subject {
        provider: "openai",
        key: Some("k"),
        model: Some("gpt"),
        method: "POST",
        path: "/v1/a/g/openai/chat/completions",
    };

    #[test]
    fn hits_once_by_default_and_always_with_null() {
        let faults = Faults::default();
        faults.add(fault(serde_json::json!({ "match": { "key": "k" }, "status": 500 }))).unwrap();
        assert!(faults.take(SUBJECT).is_some());
        assert!(faults.take(SUBJECT).is_none());
        faults.add(fault(serde_json::json!({ "times": null, "status": 503 }))).unwrap();
        for _ in 0..5 {
            assert_eq!(faults.take(SUBJECT).unwrap().status, Some(503));
        }
    }

    #[test]
    fn every_condition_must_hold() {
        let faults = Faults::default();
        let matching = serde_json::json!({ "provider": "openai", "model": "gpt", "method": "post", "path_contains": "chat" });
        faults
            .add(fault(serde_json::json!({ "match": matching, "times": null, "stall": true })))
            .unwrap();
        assert!(faults.take(SUBJECT).is_some());
        assert!(faults.take(Subject { model: None, ..SUBJECT }).is_none());
        assert!(faults.take(Subject { provider: "groq", ..SUBJECT }).is_none());
        assert!(faults.take(Subject { path: "/models", ..SUBJECT }).is_none());
    }

    #[test]
    fn order_and_skip() {
        let faults = Faults::default();
        faults.add(fault(serde_json::json!({ "skip": 1, "status": 500 }))).unwrap();
        faults.add(fault(serde_json::json!({ "times": 2, "status": 429 }))).unwrap();
        let seen: Vec<_> =
            (0..4).map(|_| faults.take(SUBJECT).and_then(|fault| fault.status)).collect();
        assert_eq!(seen, [Some(429), Some(500), Some(429), None]);
    }

    #[test]
    fn brings_a_captured_case() {
        let faults = Faults::default();
        assert!(faults.add(fault(serde_json::json!({ "case": "no-such-case" }))).is_err());
        let settings =
            FaultSettings { case: Some("gw-2005".to_owned()), ..FaultSettings::default() };
        assert_eq!(settings.answer().unwrap().status, 400);
        assert!(FaultSettings { delay_ms: 5, ..FaultSettings::default() }.answer().is_none());
    }
}
