//! Clients' requests that failed lately, with the trail of their attempts: a ring in this isolate's
//! memory, and a sample of it in D1. Only ids, words and numbers, never a text of a client.

use core::cell::RefCell;
use std::borrow::Cow;
use std::collections::VecDeque;

use serde::{Deserialize, Deserializer, Serialize};

use super::platform::{now, random};
use super::respond::log;
use super::store::{LONG_PATIENCE, Store};
use crate::balance::error::Kind;
use crate::balance::{Millis, SECOND};

/// Requests kept, at some 0.5 KB each.
const MOST: usize = 200;
/// Requests of one sample, and how long until the next.
const SAMPLE: usize = 5;
const SAMPLE_AGAIN_AFTER: Millis = 10 * SECOND;

/// One attempt that brought no success.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Step {
    /// With which key.
    pub key_id: u64,
    /// HTTP status of the answer; 0: none.
    pub status: u16,
    /// What it said.
    pub verdict: Cow<'static, str>,
    /// Why.
    pub reason: Option<Cow<'static, str>>,
    /// How long it took.
    pub ms: Millis,
}

/// A request that failed, as it is in memory and in D1, and as the admin API shows it.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Failed {
    /// Random: the same in memory and in D1.
    #[serde(rename(serialize = "id"))]
    pub tag: String,
    /// When it came.
    pub at: Millis,
    /// Its provider.
    pub provider: String,
    /// Its model.
    pub model: String,
    /// Its method.
    pub method: String,
    /// What the client got.
    pub status: u16,
    /// Our own code, when we refused.
    pub code: Option<Cow<'static, str>>,
    /// How long it took.
    pub ms: Millis,
    /// Whose it was: the id of a token.
    pub token: String,
    /// It was read from D1.
    #[serde(skip_deserializing, default = "yes")]
    pub sampled: bool,
    /// Its attempts; in D1 as JSON.
    #[serde(deserialize_with = "from_json")]
    pub attempts: Vec<Step>,
}

const fn yes() -> bool {
    true
}

fn from_json<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Vec<Step>, D::Error> {
    let text = String::deserialize(deserializer)?;
    Ok(serde_json::from_str(&text).unwrap_or_default())
}

#[derive(Default)]
struct Ring {
    failed: VecDeque<Failed>,
    /// How many of the newest are not sampled.
    fresh: usize,
    sampled_at: Millis,
}

thread_local! {
    static RING: RefCell<Ring> = RefCell::default();
}

/// What is known of a request, whatever became of it.
pub struct Asked {
    /// When it came.
    pub at: Millis,
    /// The id of its token.
    pub token: String,
    /// Its provider.
    pub provider: String,
    /// Its model.
    pub model: String,
    /// Its method.
    pub method: String,
}

/// A request failed with this status.
pub fn keep(asked: Asked, attempts: Vec<Step>, status: u16, refused: Option<Kind>) {
    let failed = Failed {
        tag: format!("{:016x}", random()),
        at: asked.at,
        provider: asked.provider,
        model: asked.model,
        method: asked.method,
        status,
        code: refused.map(|kind| kind.code().into()),
        ms: now().saturating_sub(asked.at),
        token: asked.token,
        sampled: false,
        attempts,
    };
    RING.with_borrow_mut(|ring| {
        ring.failed.push_back(failed);
        ring.fresh += 1;
        if ring.failed.len() > MOST {
            ring.failed.pop_front();
        }
        ring.fresh = ring.fresh.min(ring.failed.len());
    });
}

/// Those of this isolate, the newest first.
#[must_use]
pub fn recent() -> Vec<Failed> {
    RING.with_borrow(|ring| ring.failed.iter().rev().cloned().collect())
}

/// Whether a sample is due.
#[must_use]
pub fn is_due() -> bool {
    RING.with_borrow(|ring| {
        ring.fresh > 0 && now().saturating_sub(ring.sampled_at) >= SAMPLE_AGAIN_AFTER
    })
}

/// Writes a sample of what failed since the last one.
pub async fn sample(store: &Store) {
    let sample: Vec<Failed> = RING.with_borrow_mut(|ring| {
        ring.sampled_at = now();
        let fresh = core::mem::take(&mut ring.fresh);
        ring.failed.iter().rev().take(fresh).take(SAMPLE).cloned().collect()
    });
    if sample.is_empty() {
        return;
    }
    if let Err(refusal) = store.patient(LONG_PATIENCE).write_requests(&sample).await {
        log("failed requests not kept", &refusal.to_string());
    }
}
