//! The language of the tables: a [`Row`] says that at these statuses this sign means that.

use super::super::retry_after::{self, MIN_WAIT, bounded};
use super::super::verdict::{Reason, Scope, Verdict, Wait};
use super::super::{DAY, HOUR, MINUTE, Millis, SECOND, clock};
use super::Answer;
use super::body::Fault;
use super::quota_headers;

/// Statuses (none listed: any), sign, meaning. The first row of a table that fits decides.
pub(super) type Row = (&'static [u16], Sign, Means);

/// Any status: the sign alone decides.
pub(super) const ANY: &[u16] = &[];

/// What a row looks for. Texts are in lowercase.
pub(super) enum Sign {
    /// Nothing: the status alone decides.
    Always,
    /// A machine-readable word, as a whole.
    Word(&'static [&'static str]),
    /// The beginning of a machine-readable word.
    WordLike(&'static [&'static str]),
    /// Words for humans, anywhere in the message.
    Says(&'static [&'static str]),
    /// Words for humans, at the beginning of the message. The choice for 400 and 404, where the
    /// rest of the message may quote the caller.
    Begins(&'static [&'static str]),
    /// Both a machine-readable word and words for humans.
    WordSays(&'static [&'static str], &'static [&'static str]),
    /// Something that takes code to see.
    If(fn(&Case<'_>) -> bool),
}

/// What a row says.
pub(super) enum Means {
    Caller,
    Egress,
    /// The provider refuses the key, beyond doubt.
    Reject(Reason),
    /// The provider refuses, and it is not clear that it refuses the key.
    Doubt(Reason),
    Cool(Scope, Until, Reason),
    /// Nobody's fault; another key may fare better, after this long.
    Elsewhere(Millis, Done),
    /// Nobody's fault; no key fares better than another, after this long.
    Same(Millis, Done),
    /// This account is not entitled to this request; another may be. There is nothing to wait for.
    OtherAccount,
    /// The gateway signed or sent the request wrongly.
    Gateway,
    /// What takes code to say.
    Is(fn(&Case<'_>) -> Verdict),
}

/// Whether the upstream may have done the work.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Done {
    No,
    Perhaps,
}

/// Where the end of a cooling comes from.
pub(super) enum Until {
    /// A rate limit: what the answer states; else the window that it names (a minute has 60 s);
    /// else a guess of this many milliseconds.
    Rate(Millis),
    /// Room for a request: what the answer states; else look again after this many milliseconds. A
    /// full queue is no used-up quota, so this must not grow like a guess.
    Room(Millis),
    /// What the answer states; else this clock.
    StatedOr(fn(Millis) -> Millis),
    /// What the answer states; else look again after this many milliseconds.
    StatedOrRecheck(Millis),
    /// This clock, whatever else the answer states.
    Clock(fn(Millis) -> Millis),
    /// Look again after this many milliseconds, whatever else the answer states: a `retry-after` on
    /// an empty account is a habit of the server.
    Recheck(Millis),
    /// A budget of the calendar month: look again at the month's start, and each day before, since
    /// money may be added.
    Month,
}

/// One answer under examination.
pub(super) struct Case<'a> {
    pub answer: &'a Answer<'a>,
    pub fault: &'a Fault<'a>,
}

/// The window of a quota, as a message names it.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Window {
    Second,
    Minute,
    Hour,
    Day,
    Month,
}

/// The verdict of the first row that fits.
pub(super) fn first(rows: &[Row], case: &Case<'_>) -> Option<Verdict> {
    let status = case.answer.status;
    rows.iter()
        .find(|(statuses, sign, _)| {
            (statuses.is_empty() || statuses.contains(&status)) && sign.shows_in(case)
        })
        .map(|(_, _, means)| means.verdict(case))
}

pub(super) const fn cool(scope: Scope, wait: Wait, reason: Reason) -> Verdict {
    Verdict::Cool { scope, wait, reason }
}

// === impl Sign ===

impl Sign {
    fn shows_in(&self, case: &Case<'_>) -> bool {
        let fault = case.fault;
        match self {
            Self::Always => true,
            Self::Word(any) => fault.is(any),
            Self::WordLike(any) => fault.is_like(any),
            Self::Says(any) => fault.says(any),
            Self::Begins(any) => fault.begins(any),
            Self::WordSays(words, texts) => fault.is(words) && fault.says(texts),
            Self::If(holds) => holds(case),
        }
    }
}

// === impl Means ===

impl Means {
    fn verdict(&self, case: &Case<'_>) -> Verdict {
        match self {
            Self::Caller => Verdict::Caller,
            Self::Egress => Verdict::Egress,
            Self::Reject(reason) => Verdict::Reject { reason: *reason, certain: true },
            Self::Doubt(reason) => Verdict::Reject { reason: *reason, certain: false },
            Self::Cool(scope, until, reason) => {
                let (wait, reason) = until.wait(case, *reason);
                cool(*scope, wait, reason)
            }
            Self::Elsewhere(after, done) => case.transient(true, *after, *done),
            Self::Same(after, done) => case.transient(false, *after, *done),
            Self::OtherAccount => {
                Verdict::Transient { elsewhere: true, after: 0, unexecuted: true }
            }
            Self::Gateway => Verdict::Gateway { code: 0 },
            Self::Is(verdict) => verdict(case),
        }
    }
}

// === impl Until ===

impl Until {
    /// The wait, and the reason as far as the wait tells more of it.
    fn wait(&self, case: &Case<'_>, reason: Reason) -> (Wait, Reason) {
        let now = case.answer.now;
        let wait = match self {
            Self::Rate(guess) => return case.rate(*guess, reason),
            Self::Room(after) | Self::StatedOrRecheck(after) => {
                case.stated().unwrap_or(Wait::Recheck(*after))
            }
            Self::StatedOr(clock) => case.stated().unwrap_or_else(|| at(clock(now), now)),
            Self::Clock(clock) => at(clock(now), now),
            Self::Recheck(after) => Wait::Recheck(*after),
            Self::Month => month(now),
        };
        (wait, reason)
    }
}

/// Until a time of a reset clock.
pub(super) fn at(time: Millis, now: Millis) -> Wait {
    Wait::Stated(now.saturating_add(retry_after::until(time, now).unwrap_or(MIN_WAIT)))
}

/// [`Until::Month`].
pub(super) fn month(now: Millis) -> Wait {
    let start = clock::month_start_utc(now).saturating_sub(now);
    // Not in the last moments of the month: the provider's clock may be a little behind.
    Wait::Recheck(start.clamp(MINUTE, DAY))
}

// === impl Case ===

impl Case<'_> {
    /// The wait that the answer states, in milliseconds: `retry-after-ms`, `retry-after`, a field of
    /// the error, its message, and last the bucket of which the headers say that it is empty.
    fn stated_wait(&self) -> Option<Millis> {
        let Answer { now, headers, .. } = *self.answer;
        retry_after::from_headers(headers, now).or_else(|| self.stated_in_body())
    }

    /// The wait that the body states, in milliseconds.
    pub fn stated_in_body(&self) -> Option<Millis> {
        let now = self.answer.now;
        retry_after::from_fields(self.fault.error, self.fault.root, now)
            .or_else(|| retry_after::from_message(&self.fault.message, now))
    }

    /// The time that the answer states, if it states one.
    pub fn stated(&self) -> Option<Wait> {
        let Answer { provider, now, headers, .. } = *self.answer;
        self.stated_wait().map(|wait| Wait::Stated(now.saturating_add(wait))).or_else(|| {
            quota_headers::spent(provider, headers, now)
                .map(|(_, wait, _)| wait)
                .filter(|wait| matches!(wait, Wait::Stated(_)))
        })
    }

    /// [`Until::Rate`], with the reason that the window gives.
    pub fn rate(&self, guess: Millis, reason: Reason) -> (Wait, Reason) {
        let now = self.answer.now;
        let window = self.window();
        let reason = match (reason, window) {
            (Reason::RateLimit, Some(Window::Day)) => Reason::DayQuota,
            (Reason::RateLimit, Some(Window::Month)) => Reason::MonthQuota,
            _ => reason,
        };
        let lasts = |window: Millis| Wait::Stated(now.saturating_add(bounded(window)));
        let wait = self.stated().unwrap_or_else(|| match window {
            // A window of a second rolls: two are surely over.
            Some(Window::Second) => lasts(2 * SECOND),
            Some(Window::Minute) => lasts(MINUTE),
            Some(Window::Hour) => lasts(HOUR),
            // When the day starts anew is unknown, so that it may be sooner than in 24 hours.
            Some(Window::Day) => Wait::Recheck(DAY),
            Some(Window::Month) => month(now),
            None => Wait::Guessed(guess),
        });
        (wait, reason)
    }

    /// The window that the message names. The longest, when it names several.
    pub fn window(&self) -> Option<Window> {
        const NAMES: [(Window, &[&str]); 5] = [
            (Window::Month, &["per month", "per_month", "per-month", "/ month", "monthly"]),
            (
                Window::Day,
                &["per day", "per_day", "perday", "per-day", "/ day", "daily", "(rpd)", "(tpd)"],
            ),
            (Window::Hour, &["per hour", "per_hour", "/ hour", "hourly"]),
            (
                Window::Minute,
                &["per min", "per_minute", "perminute", "per-min", "/ min", "(rpm)", "(tpm)"],
            ),
            (Window::Second, &["per second", "per_second", "/ second", "(rps)"]),
        ];
        NAMES.iter().find(|(_, names)| self.fault.says(names)).map(|(window, _)| *window)
    }

    fn transient(&self, elsewhere: bool, after: Millis, done: Done) -> Verdict {
        Verdict::Transient {
            elsewhere,
            after: self.stated_wait().unwrap_or(after),
            unexecuted: done == Done::No,
        }
    }
}

/// The verdict on a status about which no table says anything.
pub(super) fn by_status(case: &Case<'_>) -> Verdict {
    match case.answer.status {
        400..=499 => Verdict::Caller,
        _ => case.transient(true, 0, Done::Perhaps),
    }
}

/// A request that is larger than the limit is not helped by waiting, whatever `retry-after` says;
/// unless the message says when to come back, since then it is the rest of the limit that is meant.
pub(super) fn too_large(case: &Case<'_>) -> Verdict {
    if case.stated_in_body().is_none() {
        return Verdict::Caller;
    }
    let (wait, reason) = case.rate(MINUTE, Reason::RateLimit);
    cool(Scope::Model, wait, reason)
}
