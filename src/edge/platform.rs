//! Clock, randomness and timers of the platform, for a core that has none.

use core::cell::Cell;

use worker::js_sys::Date;

use super::glue;
use super::task::Settled;
use crate::balance::Millis;
use crate::balance::pick::mix;

thread_local! {
    static NOW: Cell<Option<Millis>> = const { Cell::new(None) };
    static SEED: Cell<u64> = const { Cell::new(0) };
}

/// The time. In production it advances only when the isolate waits for something outside, so the
/// platform is asked once for each time that it calls in.
#[must_use]
pub fn now() -> Millis {
    NOW.get().unwrap_or_else(|| {
        let now = ask();
        NOW.set(Some(now));
        now
    })
}

#[expect(
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    reason = "a time is a whole positive number far below 2^53"
)]
fn ask() -> Millis {
    Date::now() as Millis
}

/// The platform calls in: it may be later than it was.
pub fn time_passed() {
    NOW.set(None);
}

/// A number for tie-breaking and jitter: from the system's randomness once per isolate, then a
/// sequence. Not for secrets.
#[must_use]
pub fn seed() -> u64 {
    SEED.with(|cell| {
        let before = match cell.get() {
            0 => random(),
            seed => seed,
        };
        cell.set(before.wrapping_add(1).max(1));
        mix(before)
    })
}

/// Eight bytes of the system's randomness.
#[must_use]
pub fn random() -> u64 {
    // It fails only where there is no source at all; the clock then spreads isolates well enough.
    getrandom::u64().unwrap_or_else(|_| now())
}

/// Waits.
#[expect(clippy::cast_precision_loss, reason = "below 2^53")]
pub async fn pause(millis: Millis) {
    let _ = Settled::new(glue::later(millis as f64)).await;
}
