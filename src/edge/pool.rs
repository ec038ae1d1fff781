//! What this isolate remembers: a snapshot per provider, and the changes that D1 does not have yet.
//!
//! Plain data only. A request that finds another one loading a provider waits for it with timers of
//! its own; nothing of one request is awaited by another.

use core::cell::RefCell;
use std::collections::HashMap;

use super::platform::{now, pause, random};
use super::store::{
    LONG_PATIENCE, MOST_CHANGED, OVERLAP, Recorded, Rows, SHORT_PATIENCE, Store, WORKING_SET,
};
use crate::balance::error::Refusal;
use crate::balance::key::{KeyId, covering_names};
use crate::balance::snapshot::Snapshot;
use crate::balance::{HOUR, Millis, SECOND};

/// A snapshot older than this is refreshed behind a request.
const STALE_AFTER: Millis = 15 * SECOND;
/// A caller is not told "no key" from a snapshot older than this: D1 is asked first.
const DOUBTED_AFTER: Millis = 2 * SECOND;
/// When a search beyond the working set found nothing, the next one is not before this. A search
/// reads up to 4,000 rows; so often all day it would read 4 of the Free plan's 5 million in 3 hours,
/// but only while clients keep asking for what is exhausted.
const SEARCH_AGAIN_AFTER: Millis = 10 * SECOND;
/// Keys kept per provider, at about 0.5 KB each: 1 MB of 128.
const MOST_KEYS: usize = 2_000;
/// Deleted keys are remembered in D1 for a day. After an hour without a refresh an isolate starts
/// over rather than rely on it.
const FORGOTTEN_AFTER: Millis = HOUR;
/// How long a request waits for another one that loads the same provider, and how often it looks. No
/// longer: that one may be gone with its caller, and nobody would tell.
const LOAD_PATIENCE: Millis = SECOND;
const LOAD_GLANCE: Millis = 5;
/// Changes kept for D1 while it does not take them: at 0.5 KB each half a megabyte of 128.
const MOST_UNWRITTEN: usize = 1_000;
/// Changes written in one batch. Two statements each, of the 50 that the Free plan allows a request
/// or a run of the cron, which has ten others; a request reads with six.
const MOST_PER_WRITE: usize = 20;

#[derive(Default)]
struct Pool {
    snapshot: Option<Snapshot>,
    /// Another request is reading it for the first time, since then.
    loading_since: Option<Millis>,
}

thread_local! {
    static POOLS: RefCell<HashMap<String, Pool>> = RefCell::default();
    static UNWRITTEN: RefCell<Vec<Recorded>> = RefCell::default();
}

/// Works with the snapshot of a provider, if there is one. Must not be nested.
pub fn with<R>(provider: &str, work: impl FnOnce(&mut Snapshot) -> R) -> Option<R> {
    POOLS.with_borrow_mut(|pools| pools.get_mut(provider)?.snapshot.as_mut().map(work))
}

/// Makes sure that there is a snapshot of the provider: read by this request, or by another that is
/// at it. Tells whether it is stale.
///
/// # Errors
/// When D1 does not answer.
pub async fn ready(store: &Store, provider: &str) -> Result<bool, Refusal> {
    let started = now();
    loop {
        let known = with(provider, |snapshot| (snapshot.asked_at, snapshot.expired));
        match known.map(|(at, expired)| (now().saturating_sub(at), expired)) {
            // What an administrator changed is seen at once, unless D1 does not answer: then what
            // is in memory is better than nothing.
            Some((age, true)) if age < FORGOTTEN_AFTER => {
                let refreshed = refresh(store, provider).await;
                return Ok(refreshed.is_err());
            }
            Some((age, false)) if age < FORGOTTEN_AFTER => return Ok(age > STALE_AFTER),
            Some(_) => return load(store, provider).await.map(|()| false),
            None => {}
        }
        let waits = POOLS.with_borrow_mut(|pools| {
            let pool = pools.entry(provider.to_owned()).or_default();
            let busy = pool.loading_since.is_some_and(|since| now() - since < LOAD_PATIENCE);
            if !busy {
                pool.loading_since = Some(now());
            }
            busy
        });
        if !waits || now().saturating_sub(started) > LOAD_PATIENCE {
            return load(store, provider).await.map(|()| false);
        }
        pause(LOAD_GLANCE).await;
    }
}

/// Reads a working set of the provider.
async fn load(store: &Store, provider: &str) -> Result<(), Refusal> {
    let started = now();
    let rows = store.working_set(provider, random_slot(), started).await;
    POOLS.with_borrow_mut(|pools| {
        let pool = pools.entry(provider.to_owned()).or_default();
        pool.loading_since = None;
        let rows = rows?;
        let mut snapshot = pool.snapshot.take().unwrap_or_default();
        let listed = rows.keys.iter().map(|key| key.id).collect();
        snapshot.begin_reload(&listed, started.saturating_sub(OVERLAP), started);
        snapshot.partial = rows.keys.len() >= WORKING_SET as usize;
        merge(&mut snapshot, rows);
        // What D1 has not taken is newer than what it gave.
        UNWRITTEN.with_borrow(|unwritten| {
            for recorded in unwritten.iter().filter(|recorded| recorded.provider == provider) {
                snapshot.apply(&recorded.change, recorded.at);
            }
        });
        asked(&mut snapshot, started);
        pool.snapshot = Some(snapshot);
        Ok(())
    })
}

/// 0 ..= 2^31 - 1, as in the table.
fn random_slot() -> u64 {
    random() >> 33
}

fn merge(snapshot: &mut Snapshot, rows: Rows) {
    for key in rows.keys {
        snapshot.merge(key);
    }
    for (key, cooling, changed_at) in rows.coolings {
        snapshot.merge_cooling(key, cooling, changed_at);
    }
}

/// The snapshot has what D1 had at that time.
fn asked(snapshot: &mut Snapshot, at: Millis) {
    snapshot.asked_at = at;
    snapshot.watermark = at.saturating_sub(OVERLAP);
    snapshot.prune(at);
}

/// Reads what changed since the last time.
///
/// # Errors
/// When D1 does not answer; the snapshot stays as it is.
pub async fn refresh(store: &Store, provider: &str) -> Result<(), Refusal> {
    let started = now();
    // Taken before the read, so that requests meanwhile do not all start one.
    let watermark = with(provider, |snapshot| {
        snapshot.asked_at = started;
        snapshot.expired = false;
        snapshot.watermark
    });
    let Some(watermark) = watermark else { return Ok(()) };
    let rows = store.changed_since(provider, watermark).await?;
    let many = rows.keys.len() >= MOST_CHANGED;
    let merged = with(provider, |snapshot| {
        if many || snapshot.len() + rows.keys.len() > MOST_KEYS {
            return false;
        }
        merge(snapshot, rows);
        asked(snapshot, started);
        true
    });
    if merged == Some(false) { load(store, provider).await } else { Ok(()) }
}

/// Before a caller is told that there is no key for a model: asks D1 what changed, if that was not
/// done just now, and for keys that are not in the working set. Tells whether it asked anything.
pub async fn doubt(store: &Store, provider: &str, model: &str) -> bool {
    let store = &store.patient(SHORT_PATIENCE);
    let since = |at: Option<Millis>| at.map(|at| now().saturating_sub(at));
    let asked_at = with(provider, |snapshot| snapshot.asked_at);
    let mut asked = false;
    if since(asked_at).is_some_and(|age| age >= DOUBTED_AFTER) {
        asked = refresh(store, provider).await.is_ok();
    }
    let searched_at =
        with(provider, |snapshot| snapshot.partial.then_some(snapshot.searched_at)).flatten();
    if since(searched_at).is_some_and(|age| age >= SEARCH_AGAIN_AFTER) {
        asked |= search(store, provider, model).await.is_ok();
    }
    asked
}

/// Reads keys beyond the working set that do not cool for the model.
async fn search(store: &Store, provider: &str, model: &str) -> Result<(), Refusal> {
    let started = now();
    with(provider, |snapshot| snapshot.searched_at = started);
    let names = covering_names(model);
    let rows = store.available(provider, &names, random_slot(), started).await?;
    with(provider, |snapshot| {
        if !rows.keys.is_empty() {
            // The next search may be for another model, and find more, at once.
            snapshot.searched_at = 0;
        }
        if snapshot.len() + rows.keys.len() > MOST_KEYS {
            snapshot.forget_cooling(model, started);
        }
        merge(snapshot, rows);
    });
    Ok(())
}

/// Makes sure that the snapshot has a key that must serve a request, whether or not it is in the working
/// set; a deleted one stays unknown.
///
/// # Errors
/// When D1 does not answer.
pub async fn know(store: &Store, provider: &str, key: KeyId) -> Result<(), Refusal> {
    if with(provider, |snapshot| snapshot.key(key).is_some()) == Some(true) {
        return Ok(());
    }
    let rows = store.key_rows(key).await?;
    with(provider, |snapshot| merge(snapshot, rows));
    Ok(())
}

/// An administrator changed keys: this isolate asks D1 before it serves the next request of any
/// provider. Others learn of it by their refresh.
pub fn expire() {
    POOLS.with_borrow_mut(|pools| {
        for pool in pools.values_mut() {
            // A load that is under way may have read too early.
            pool.loading_since = None;
            if let Some(snapshot) = &mut pool.snapshot {
                snapshot.expired = true;
            }
        }
    });
}

/// Keeps a change for D1. When D1 has not taken any for long, the oldest are dropped: they are the
/// first whose time is over anyway.
pub fn record(change: Recorded) {
    UNWRITTEN.with_borrow_mut(|unwritten| {
        unwritten.push(change);
        let excess = unwritten.len().saturating_sub(MOST_UNWRITTEN);
        unwritten.drain(..excess);
    });
}

/// Whether D1 lacks something.
#[must_use]
pub fn has_unwritten() -> bool {
    UNWRITTEN.with_borrow(|unwritten| !unwritten.is_empty())
}

/// Writes what D1 does not have yet, of whichever request. What it does not take is kept for the
/// next time.
pub async fn flush(store: &Store) {
    let batch: Vec<_> = UNWRITTEN.with_borrow_mut(|unwritten| {
        let count = unwritten.len().min(MOST_PER_WRITE);
        unwritten.drain(..count).collect()
    });
    if batch.is_empty() {
        return;
    }
    if let Err(refusal) = store.patient(LONG_PATIENCE).write(&batch).await {
        super::respond::log("changes not written", &refusal.to_string());
        batch.into_iter().for_each(record);
    }
}
