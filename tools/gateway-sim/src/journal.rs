//! What happened: the request log, the counts, the violations and what is under way.

use std::collections::{HashMap, VecDeque};
use std::sync::atomic::{AtomicI64, AtomicU16, AtomicU64, Ordering};
use std::sync::{Arc, Mutex};

use http::{HeaderMap, Method, Uri};
use serde::Serialize;
use serde_json::{Value, json};

use crate::simulator::{Simulator, fnv1a, lock};

/// Old entries make room: a long benchmark must not eat the machine's memory.
const LOG_CAPACITY: usize = 20_000;
const VIOLATIONS_CAPACITY: usize = 10_000;
const SHARDS: usize = 16;

#[derive(Default)]
pub struct Journal {
    total: AtomicU64,
    in_flight: AtomicI64,
    disconnected: AtomicU64,
    log: Mutex<VecDeque<Arc<Entry>>>,
    violations: Mutex<VecDeque<Violation>>,
    counts: [Mutex<HashMap<u64, Count>>; SHARDS],
}

struct Count {
    provider: String,
    key: String,
    model: String,
    status: u16,
    count: u64,
}

/// One request as it arrived.
pub struct Entry {
    pub n: u64,
    pub method: Method,
    pub uri: Uri,
    pub headers: HeaderMap,
    pub provider: String,
    pub key: Option<String>,
    pub model: Option<String>,
    /// 0 until there is an answer.
    pub status: AtomicU16,
    pub body_len: usize,
    pub body_fnv: u64,
    pub body: Option<String>,
}

impl Entry {
    fn to_json(&self) -> Value {
        let mut headers = serde_json::Map::new();
        for name in self.headers.keys() {
            let values: Vec<_> = self
                .headers
                .get_all(name)
                .iter()
                .map(|value| String::from_utf8_lossy(value.as_bytes()))
                .collect();
            headers.insert(name.as_str().to_owned(), values.join(", ").into());
        }
        json!({
            "n": self.n,
            "method": self.method.as_str(),
            "path": self.uri.path(),
            "query": self.uri.query().unwrap_or_default(),
            "headers": headers,
            "provider": self.provider,
            "key": self.key,
            "model": self.model,
            "status": self.status.load(Ordering::Relaxed),
            "body_len": self.body_len,
            "body_fnv": format!("{:016x}", self.body_fnv),
            "body": self.body,
        })
    }
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Violation {
    pub kind: &'static str,
    pub detail: String,
    pub method: String,
    pub path: String,
}

impl Journal {
    pub fn record(&self, entry: Arc<Entry>) {
        let mut log = lock(&self.log);
        if log.len() == LOG_CAPACITY {
            log.pop_front();
        }
        log.push_back(entry);
    }

    pub fn violate(&self, violation: Violation) {
        let mut violations = lock(&self.violations);
        if violations.len() < VIOLATIONS_CAPACITY {
            violations.push_back(violation);
        }
    }

    /// Counts an answer; status 0 stands for none.
    pub fn count(&self, provider: &str, key: &str, model: &str, status: u16) {
        let id = fnv1a(&[
            provider.as_bytes(),
            &[0],
            key.as_bytes(),
            &[0],
            model.as_bytes(),
            &[0],
            &status.to_le_bytes(),
        ]);
        let shard = usize::try_from(id % SHARDS as u64).unwrap_or_default();
        if let Some(shard) = self.counts.get(shard) {
            lock(shard)
                .entry(id)
                .or_insert_with(|| Count {
                    provider: provider.to_owned(),
                    key: key.to_owned(),
                    model: model.to_owned(),
                    status,
                    count: 0,
                })
                .count += 1;
        }
    }

    pub fn stats(&self) -> Value {
        let mut by = Vec::new();
        for shard in &self.counts {
            for count in lock(shard).values() {
                by.push((
                    (count.provider.clone(), count.key.clone(), count.model.clone(), count.status),
                    count.count,
                ));
            }
        }
        by.sort();
        let by: Vec<Value> = by
            .into_iter()
            .map(|((provider, key, model, status), count)| {
                json!({ "provider": provider, "key": key, "model": model, "status": status, "count": count })
            })
            .collect();
        json!({
            "total": self.total.load(Ordering::Relaxed),
            "by": by,
            "in_flight": self.in_flight.load(Ordering::Relaxed),
            "disconnected": self.disconnected.load(Ordering::Relaxed),
        })
    }

    pub fn requests(&self, last: usize) -> Vec<Value> {
        let entries: Vec<Arc<Entry>> = {
            let log = lock(&self.log);
            log.iter().skip(log.len().saturating_sub(last)).cloned().collect()
        };
        entries.iter().map(|entry| entry.to_json()).collect()
    }

    pub fn violations(&self) -> Vec<Violation> {
        lock(&self.violations).iter().cloned().collect()
    }

    /// Requests under way stay counted: they will still end.
    pub fn clear(&self) {
        self.total.store(0, Ordering::Relaxed);
        self.disconnected.store(0, Ordering::Relaxed);
        lock(&self.log).clear();
        lock(&self.violations).clear();
        for shard in &self.counts {
            lock(shard).clear();
        }
    }
}

/// Held by a request until its answer is complete. Dropped before that, the client has gone away.
pub struct InFlight {
    simulator: Arc<Simulator>,
    entry: Option<Arc<Entry>>,
    done: bool,
    labels: Option<(String, String, String)>,
}

impl InFlight {
    pub fn new(simulator: Arc<Simulator>) -> Self {
        simulator.journal.total.fetch_add(1, Ordering::Relaxed);
        simulator.journal.in_flight.fetch_add(1, Ordering::Relaxed);
        Self { simulator, entry: None, done: false, labels: None }
    }

    pub fn label(&mut self, provider: &str, key: &str, model: &str) {
        self.labels = Some((provider.to_owned(), key.to_owned(), model.to_owned()));
    }

    pub fn attach(&mut self, entry: Arc<Entry>) {
        self.entry = Some(entry);
    }

    pub fn answered(&self, status: u16) {
        if let Some(entry) = &self.entry {
            entry.status.store(status, Ordering::Relaxed);
        }
        if let Some((provider, key, model)) = &self.labels {
            self.simulator.journal.count(provider, key, model, status);
        }
    }

    /// For a request that will get no answer at all.
    pub fn unanswered(&self) {
        self.answered(0);
    }

    pub fn done(mut self) {
        self.done = true;
    }
}

impl Drop for InFlight {
    fn drop(&mut self) {
        let journal = &self.simulator.journal;
        journal.in_flight.fetch_sub(1, Ordering::Relaxed);
        if !self.done {
            journal.disconnected.fetch_add(1, Ordering::Relaxed);
        }
    }
}
