//! What this isolate remembers, and the way between it and D1. What is asked when, and what an answer
//! means, is decided by [`Isolate`].
//!
//! Plain data only. A request that finds another one loading a provider waits for it with timers of
//! its own; nothing of one request is awaited by another.

use core::cell::RefCell;

use super::platform::{now, pause, random};
use super::store::{LONG_PATIENCE, SHORT_PATIENCE, Store};
use crate::balance::error::Refusal;
use crate::balance::home::Wanted;
use crate::balance::isolate::{
    Access, GATHER, Isolate, Kind, LOAD_PATIENCE, Limits, Recorded, Taken,
};
use crate::balance::key::KeyId;
use crate::balance::snapshot::Snapshot;

/// How often a request that waits for another one's reading looks.
const GLANCE: u64 = 5;

thread_local! {
    static ISOLATE: RefCell<Option<Isolate>> = const { RefCell::new(None) };
}

fn isolate<R>(work: impl FnOnce(&mut Isolate) -> R) -> R {
    ISOLATE.with_borrow_mut(|isolate| {
        work(isolate.get_or_insert_with(|| Isolate::new(random(), Limits::default())))
    })
}

/// What the operator set.
pub fn limit(limits: Limits) {
    isolate(|isolate| isolate.limit(limits));
}

/// Works with the snapshot of a provider, if there is one. Must not be nested.
pub fn with<R>(provider: &str, work: impl FnOnce(&mut Snapshot) -> R) -> Option<R> {
    isolate(|isolate| isolate.snapshot(provider).map(work))
}

/// What is to be read behind a request for the provider, when there is a snapshot to serve it from.
#[must_use]
pub fn at_hand(provider: &str) -> Option<Option<Kind>> {
    match isolate(|isolate| isolate.access(provider, now())) {
        Access::Ready(behind) => Some(behind),
        Access::Wait | Access::First(_) => None,
    }
}

/// Makes sure that there is a snapshot of the provider: read by this request, or by another that is
/// at it. Tells what is to be read behind the request.
///
/// # Errors
/// When D1 does not answer and nothing is known.
pub async fn ready(store: &Store, provider: &str) -> Result<Option<Kind>, Refusal> {
    let started = now();
    loop {
        match isolate(|isolate| isolate.access(provider, now())) {
            Access::Ready(behind) => return Ok(behind),
            Access::Wait if now().abs_diff(started) <= LOAD_PATIENCE => pause(GLANCE).await,
            Access::Wait => {
                return read(store, provider, Kind::Load, "".into()).await.map(|()| None);
            }
            Access::First(kind) => {
                let asked = read(store, provider, kind, "".into()).await;
                // What is in memory is better than nothing.
                let known = with(provider, |_| ()).is_some();
                return if known { Ok(None) } else { asked.map(|()| None) };
            }
        }
    }
}

/// Reads from D1, and takes in what it says.
///
/// # Errors
/// When D1 does not answer; everything stays as it is.
pub async fn read(
    store: &Store,
    provider: &str,
    kind: Kind,
    wanted: Wanted<'_>,
) -> Result<(), Refusal> {
    let mut kind = kind;
    loop {
        let read = isolate(|isolate| isolate.begin(provider, kind, wanted, now()));
        let limit = isolate(|isolate| isolate.working_set());
        let rows = match store.read(&read, wanted, limit).await {
            Ok(rows) => rows,
            Err(refusal) => {
                isolate(|isolate| isolate.failed(&read));
                return Err(refusal);
            }
        };
        match isolate(|isolate| isolate.finish(&read, rows, wanted, now())) {
            Taken::Reload if kind != Kind::Load => kind = Kind::Load,
            Taken::Yes | Taken::Late | Taken::Reload => return Ok(()),
        }
    }
}

/// Before a caller is told that there is no key for what it wants: asks D1 what changed, if that was not
/// done just now, and for keys that are not in the working set. Tells whether it asked anything.
pub async fn doubt(store: &Store, provider: &str, wanted: Wanted<'_>) -> bool {
    let store = &store.patient(SHORT_PATIENCE);
    let mut asked = false;
    let mut before = None;
    while let Some(kind) = isolate(|isolate| isolate.doubt(provider, wanted, now())) {
        // Each once: what D1 does not answer now it does not answer again.
        if before == Some(kind) || before == Some(Kind::Search) {
            break;
        }
        before = Some(kind);
        asked |= read(store, provider, kind, wanted).await.is_ok();
    }
    asked
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
    let read = isolate(|isolate| isolate.begin_one(provider, key, now()));
    let rows = store.read(&read, "".into(), 0).await?;
    isolate(|isolate| isolate.finish(&read, rows, "", now()));
    Ok(())
}

/// An administrator changed keys: this isolate asks D1 before it serves the next request of any
/// provider. Others learn of it by their refresh.
pub fn expire() {
    super::catalogue::expire();
    isolate(Isolate::expire);
}

/// Applies a change at once and keeps it for D1.
pub fn record(change: Recorded) {
    isolate(|isolate| isolate.record(change, now()));
}

/// Whether this request is to write what D1 lacks: see [`write_gathered`].
#[must_use]
pub fn gathers() -> bool {
    isolate(|isolate| isolate.gathers(now()))
}

/// Waits for what other requests add in a moment, and writes all of it.
pub async fn write_gathered(store: &Store) {
    pause(GATHER).await;
    flush(store).await;
}

/// Writes what D1 does not have yet, of whichever request. What it does not take is kept for the
/// next time.
pub async fn flush(store: &Store) {
    let Some(write) = isolate(|isolate| isolate.begin_write(now())) else { return };
    match store.patient(LONG_PATIENCE).write(&write.changes).await {
        Ok(refused) => isolate(|isolate| isolate.wrote(&write, &refused, now())),
        Err(refusal) => {
            isolate(|isolate| isolate.not_written(&write, now()));
            super::respond::log("changes not written", &refusal.to_string());
        }
    }
}
