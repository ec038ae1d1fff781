//! Trouble that concerns no one key: a place from which a provider refuses to serve, the AI Gateway's
//! own refusals, a D1 that does not answer. The first two become events, at most one in ten minutes of
//! each kind and isolate; the last cannot be written anywhere, so it is only remembered here.

use core::cell::RefCell;

use super::platform::now;
use super::respond::log;
use super::store::history::Trouble;
use super::store::{LONG_PATIENCE, Store};
use crate::balance::{HOUR, MINUTE, Millis};

const AGAIN_AFTER: Millis = 10 * MINUTE;
/// Kinds of trouble remembered.
const MOST: usize = 50;
/// Events written at once, of the 50 statements that the Free plan allows a request.
const MOST_PER_WRITE: usize = 3;
/// How long D1's trouble is told.
const STORE_TROUBLE_TOLD: Millis = HOUR;

struct Alert {
    trouble: Trouble,
    message: String,
    /// Seen, and not written yet.
    due: bool,
    written_at: Millis,
}

#[derive(Default)]
struct Alerts {
    alerts: Vec<Alert>,
    store: Option<(Millis, u64)>,
}

thread_local! {
    static ALERTS: RefCell<Alerts> = RefCell::default();
}

/// Something went wrong, for no key's fault. `message` must not hold a key.
pub fn note(verdict: &str, provider: &str, reason: &str, status: u16, message: &str) {
    let at = now();
    ALERTS.with_borrow_mut(|it| {
        let is_same = |known: &Trouble| {
            (known.verdict.as_str(), known.provider.as_str(), known.reason.as_str(), known.status)
                == (verdict, provider, reason, status)
        };
        if let Some(alert) = it.alerts.iter_mut().find(|alert| is_same(&alert.trouble)) {
            alert.trouble.n += 1;
            alert.trouble.at = at;
            alert.due = at.saturating_sub(alert.written_at) >= AGAIN_AFTER;
        } else if it.alerts.len() < MOST {
            let [verdict, provider, reason] = [verdict, provider, reason].map(str::to_owned);
            it.alerts.push(Alert {
                trouble: Trouble { verdict, provider, reason, status, n: 1, at },
                message: message.to_owned(),
                due: true,
                written_at: 0,
            });
        }
    });
}

/// D1 did not answer.
pub fn note_store() {
    ALERTS.with_borrow_mut(|it| {
        let count = it.store.map_or(0, |(_, count)| count);
        it.store = Some((now(), count + 1));
    });
}

/// When D1 did not answer for the last time, and how often it did not, if that was lately.
#[must_use]
pub fn store_trouble() -> Option<(Millis, u64)> {
    ALERTS
        .with_borrow(|it| it.store.filter(|(at, _)| now().saturating_sub(*at) < STORE_TROUBLE_TOLD))
}

/// Whether something is to be written.
#[must_use]
pub fn is_due() -> bool {
    ALERTS.with_borrow(|it| it.alerts.iter().any(|alert| alert.due))
}

/// Writes it.
pub async fn flush(store: &Store) {
    let due: Vec<(Trouble, String)> = ALERTS.with_borrow_mut(|it| {
        let due = it.alerts.iter_mut().filter(|alert| alert.due).take(MOST_PER_WRITE);
        due.map(|alert| {
            (alert.due, alert.written_at) = (false, now());
            let known = &alert.trouble;
            let trouble = Trouble {
                verdict: known.verdict.clone(),
                provider: known.provider.clone(),
                reason: known.reason.clone(),
                status: known.status,
                n: known.n,
                at: known.at,
            };
            (trouble, alert.message.clone())
        })
        .collect()
    });
    for (trouble, message) in due {
        if let Err(refusal) = store.patient(LONG_PATIENCE).write_trouble(&trouble, &message).await {
            log("trouble not noted", &refusal.to_string());
        }
    }
}
