//! What was learnt of quotas: how many requests a key may send for a model in a minute and a day.
//!
//! A 429 tells the limit and when the next request may come. If that is later than a bucket that
//! fills all the time would need for one request, the provider counts in windows, and the window
//! that is used up ends then: see [`Window::learn`]. From the next window on what this isolate sends
//! is counted, and a key that has sent its limit rests until the window's end without ever earning
//! another 429. Remaining-quota headers ([`Headroom`]) tell the same before the first one.
//!
//! Other isolates send too, so that a 429 can come early; it corrects the count. And what was learnt
//! may be wrong or out of date. So while every key only rests by such knowledge, one request in
//! [`DOUBT_EVERY`] is let through; if it succeeds, all that was learnt for this model is forgotten,
//! and nothing is learnt for [`DISTRUST`].

use super::{DAY, HOUR, MINUTE, Millis, SECOND};

/// A key that rests by learnt knowledge alone is tried this often at the most, and only when there is
/// no other: three requests a minute of the thousands that an exhausted pool turns away.
pub const DOUBT_EVERY: Millis = 20 * SECOND;
/// ... and not so shortly before its end: that end is rounded up by some providers.
const ALMOST_OVER: Millis = 2 * SECOND;
/// After it was shown wrong, nothing is learnt for a model for so long.
pub const DISTRUST: Millis = HOUR;
/// A stated end may be rounded up by so much.
const ROUNDED: Millis = 2 * SECOND;

/// What a 429 says of a limit.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Lesson {
    /// Requests in ...
    pub limit: u64,
    /// ... a minute or a day.
    pub per: Per,
}

/// The window of a limit.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Per {
    /// 60 s.
    Minute,
    /// 24 h, or the day of the provider's clock.
    Day,
}

/// What the headers of a success say of what is left.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Headroom {
    /// So many more requests ...
    pub left: u64,
    /// ... until then.
    pub until: Millis,
}

/// What is known of one key, or one project, and one model.
#[derive(Debug, Clone, Default)]
pub struct Quota {
    minute: Option<Window>,
    day: Option<Window>,
    told: Option<Headroom>,
}

/// A window in which requests are counted.
#[derive(Debug, Clone)]
struct Window {
    limit: u64,
    length: Millis,
    ends: Millis,
    used: u64,
}

// === impl Window ===

impl Window {
    /// The window of a limit that was hit at `now` and lasts until `until`; `None` when that cannot
    /// be told.
    ///
    /// A bucket of 10 requests a minute has room for one after 6 s. It holds more than a window
    /// allows after a rest, so taking it for a window would turn away what it grants. A wait of less
    /// may be either.
    fn learn(lesson: Lesson, until: Millis, now: Millis) -> Option<Self> {
        let length = match lesson.per {
            Per::Minute => MINUTE,
            Per::Day => DAY,
        };
        let wait = until.saturating_sub(now);
        let one = length / lesson.limit.max(1);
        let is_window = lesson.limit == 1 || wait > one + one / 5;
        // A day has 25 hours when the clocks are put back.
        let fits = wait > 0 && wait <= length + length / 24 + ROUNDED;
        (lesson.limit > 0 && is_window && fits).then_some(Self {
            limit: lesson.limit,
            length,
            ends: until,
            used: lesson.limit,
        })
    }

    /// Moves on to the window of `now`. Tells `false` when the clock went back further than this
    /// window reaches: then nothing is known any more.
    fn advance(&mut self, now: Millis) -> bool {
        if let Some(late) = now.checked_sub(self.ends) {
            self.ends += self.length * (late / self.length + 1);
            self.used = 0;
        }
        self.ends - now <= self.length + self.length / 24 + ROUNDED
    }
}

// === impl Quota ===

impl Quota {
    /// Takes what a 429 said. `until` is when it wants the next request.
    pub fn learn(&mut self, lesson: Lesson, until: Millis, now: Millis) {
        let known = match lesson.per {
            Per::Minute => &mut self.minute,
            Per::Day => &mut self.day,
        };
        if let Some(learnt) = Window::learn(lesson, until, now) {
            *known = Some(learnt);
        } else if let Some(known) = known {
            // Someone else sent as well: this window is used up, and the grid stands.
            known.limit = lesson.limit;
            known.used = lesson.limit;
        }
    }

    /// Takes what the headers of a success said. What was sent since is not in them.
    pub fn hear(&mut self, told: Headroom, now: Millis) {
        let known = self.told.filter(|known| known.until > now);
        let left = known.map_or(told.left, |known| known.left.min(told.left));
        self.told = Some(Headroom { left, until: told.until });
    }

    /// A request is sent.
    pub fn send(&mut self, now: Millis) {
        for slot in [&mut self.minute, &mut self.day] {
            if slot.as_mut().is_some_and(|window| !window.advance(now)) {
                *slot = None;
            }
            if let Some(window) = slot {
                window.used = window.used.saturating_add(1);
            }
        }
        self.told = self.told.filter(|told| told.until > now);
        if let Some(told) = &mut self.told {
            told.left = told.left.saturating_sub(1);
        }
    }

    /// Until when a request would surely be refused; `None` when there is room.
    #[must_use]
    pub fn rests_until(&self, now: Millis) -> Option<Millis> {
        let windows = [&self.minute, &self.day].into_iter().flatten().filter(|window| {
            window.ends > now
                && window.used >= window.limit
                && window.ends - now <= window.length + window.length / 24 + ROUNDED
        });
        let told = self.told.filter(|told| told.left == 0 && told.until > now);
        windows.map(|window| window.ends).chain(told.map(|told| told.until)).max()
    }

    /// Whether little is left of it for now: a fifth of a window, or two requests.
    #[must_use]
    pub fn is_scarce(&self, now: Millis) -> bool {
        let window = |window: &Window| window.ends > now && window.used * 5 >= window.limit * 4;
        [&self.minute, &self.day].into_iter().flatten().any(window)
            || self.told.is_some_and(|told| told.until > now && told.left <= 2)
    }

    /// Whether a request may test, in spite of [`Self::rests_until`], if that still holds.
    #[must_use]
    pub fn may_be_doubted(&self, now: Millis) -> bool {
        self.rests_until(now).is_some_and(|until| until.saturating_sub(now) > ALMOST_OVER)
    }

    /// A success that was sent at `started` came though nothing should have been left.
    #[must_use]
    pub fn is_refuted(&self, now: Millis) -> bool {
        let over = |window: &Option<Window>| {
            window.as_ref().is_some_and(|it| it.used > it.limit && it.ends > now + ALMOST_OVER)
        };
        over(&self.minute) || over(&self.day)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    const NOW: Millis = 1_700_000_000_000;
    const TEN: Lesson = Lesson { limit: 10, per: Per::Minute };

    fn learnt(wait: Millis) -> Quota {
        let mut quota = Quota::default();
        quota.learn(TEN, NOW + wait, NOW);
        quota
    }

    #[test]
    fn rests_when_the_limit_is_sent_and_is_back_at_the_windows_end() {
        let mut quota = learnt(20 * SECOND);
        let end = NOW + 20 * SECOND;
        assert_eq!(quota.rests_until(NOW), Some(end));
        for sent in 0..10 {
            assert_eq!(quota.rests_until(end + sent), None, "{sent}");
            quota.send(end + sent);
        }
        assert_eq!(quota.rests_until(end + 10), Some(end + MINUTE));
        assert_eq!(quota.rests_until(end + MINUTE), None);
        quota.send(end + 3 * MINUTE + 1);
        assert_eq!(quota.rests_until(end + 3 * MINUTE + 2), None, "empty windows leave nothing");
    }

    #[test]
    fn a_wait_that_a_bucket_would_ask_for_teaches_nothing() {
        assert_eq!(learnt(6 * SECOND).rests_until(NOW), None);
        assert_eq!(learnt(8 * SECOND).rests_until(NOW), Some(NOW + 8 * SECOND));
        assert_eq!(learnt(HOUR).rests_until(NOW), None, "no minute lasts so long");
        let mut one = Quota::default();
        one.learn(Lesson { limit: 1, per: Per::Minute }, NOW + SECOND, NOW);
        assert_eq!(one.rests_until(NOW), Some(NOW + SECOND));
        let mut none = Quota::default();
        none.learn(Lesson { limit: 0, per: Per::Day }, NOW + HOUR, NOW);
        assert_eq!(none.rests_until(NOW), None);
    }

    #[test]
    fn an_early_429_corrects_the_count() {
        let mut quota = learnt(20 * SECOND);
        let next = NOW + 25 * SECOND;
        quota.send(next);
        quota.learn(TEN, next + 5 * SECOND, next);
        assert_eq!(quota.rests_until(next), Some(NOW + 80 * SECOND));
    }

    #[test]
    fn the_headers_of_late_answers_do_not_give_back_what_was_sent_since() {
        let mut quota = Quota::default();
        let until = NOW + 30 * SECOND;
        quota.hear(Headroom { left: 2, until }, NOW);
        quota.send(NOW);
        quota.hear(Headroom { left: 2, until }, NOW);
        assert_eq!(quota.rests_until(NOW), None);
        quota.send(NOW);
        assert_eq!(quota.rests_until(NOW), Some(until));
        assert_eq!(quota.rests_until(until), None);
    }

    #[test]
    fn a_success_beyond_the_limit_refutes_it() {
        let mut quota = learnt(30 * SECOND);
        assert!(!quota.is_refuted(NOW));
        quota.send(NOW + SECOND);
        assert!(quota.is_refuted(NOW + SECOND));
        assert!(!quota.is_refuted(NOW + 29 * SECOND), "the end is rounded");
    }

    proptest! {
        #[test]
        fn never_rests_longer_than_the_window_and_never_panics(
            limit in 0u64..100, waits in proptest::collection::vec((0u64..(1 << 28), 0u64..(1 << 28)), 1..20), day: bool,
        ) {
            let per = if day { Per::Day } else { Per::Minute };
            let mut quota = Quota::default();
            for (at, wait) in waits {
                let now = NOW + at;
                quota.learn(Lesson { limit, per }, now + wait, now);
                quota.send(now);
                if let Some(until) = quota.rests_until(now) {
                    prop_assert!(until > now && until - now <= DAY + HOUR + ROUNDED);
                }
            }
        }
    }
}
