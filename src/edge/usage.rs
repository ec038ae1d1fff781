//! What this isolate counted of its requests, until D1 has it. [`crate::balance::usage`] says when
//! that is.

use core::cell::RefCell;
use std::rc::Rc;

use super::inbound::Target;
use super::log;
use super::platform::{now, pause};
use super::store::{LONG_PATIENCE, Store};
use super::task::Context;
use crate::balance::error::Kind;
use crate::balance::key::KeyId;
use crate::balance::usage::{End, Ledger, Outcome, Plan};
use crate::balance::{Millis, SECOND};

thread_local! {
    static LEDGER: RefCell<Ledger> = RefCell::default();
}

/// Takes `USAGE_FLUSH_SECONDS` over, when the settings are read.
pub fn configure(seconds: u32) {
    LEDGER.with_borrow_mut(|ledger| ledger.set_interval(Millis::from(seconds) * SECOND));
}

/// An attempt with a key has its verdict.
pub fn attempt(target: &Target, key: KeyId, at: Millis, outcome: Outcome) {
    LEDGER.with_borrow_mut(|ledger| {
        ledger.attempt(at, &target.provider, &target.model, key, outcome);
    });
}

/// A client's request has this answer: of the upstream, or one of our own.
pub fn request(target: &Target, status: u16, refused: Option<Kind>) {
    let end = match refused {
        None if status < 400 => End::Served,
        None => End::Failed,
        Some(Kind::Exhausted { .. }) => End::Exhausted,
        Some(_) => End::Refused,
    };
    LEDGER.with_borrow_mut(|ledger| {
        ledger.request(now(), &target.provider, &target.model, target.token, end);
    });
}

/// Sees to it, behind a request, that D1 gets what was counted when it is due.
pub fn behind(ctx: &Rc<Context>, store: &Store) {
    let wait = match LEDGER.with_borrow_mut(|ledger| ledger.plan(now())) {
        Plan::Rest => return,
        Plan::Wait(wait) => Some(wait),
        Plan::Write => None,
    };
    let store = store.clone();
    ctx.wait_until(async move {
        if let Some(wait) = wait {
            pause(wait).await;
            if !LEDGER.with_borrow(|ledger| ledger.is_due(now())) {
                return; // somebody else did it
            }
        }
        flush(&store).await;
    });
}

/// Gives D1 what was counted. What it does not take is kept for the next time.
pub async fn flush(store: &Store) {
    let started = now();
    let batch = LEDGER.with_borrow_mut(|ledger| ledger.take(started));
    if batch.is_empty() {
        return;
    }
    let answer = store.patient(LONG_PATIENCE).add_usage(&batch, started).await;
    LEDGER.with_borrow_mut(|ledger| match answer {
        Ok((rows_today, taken)) => {
            ledger.hold(now(), rows_today);
            if !taken {
                ledger.put_back(batch);
            }
        }
        Err(refusal) => {
            ledger.put_back(batch);
            log::trouble("usage not written", &refusal.to_string());
        }
    });
}
