//! How often a client may ask: per minute and per day, counted by one isolate.
//!
//! Isolates do not ask each other before a request. Each counts for itself, and learns now and then
//! what D1 knows of the day, to which all of them add about once a minute. So a limit is approximate:
//! several isolates may together let more through.

use super::{DAY, MINUTE, Millis, SECOND};

/// What one isolate counts for one client.
#[derive(Debug, Clone, Default)]
pub struct Counter {
    minute: Millis,
    in_minute: u32,
    day: Millis,
    /// What is known of the day: never more than all isolates together let through.
    in_day: u32,
}

/// A limit is reached.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Reached {
    /// Seconds until it begins anew.
    pub wait: u64,
    /// It is the day's.
    pub of_day: bool,
}

impl Counter {
    /// One request, if the limits allow it. Refused ones do not count.
    ///
    /// # Errors
    /// When they do not.
    pub fn take(
        &mut self,
        per_minute: Option<u32>,
        per_day: Option<u32>,
        now: Millis,
    ) -> Result<(), Reached> {
        self.turn(now);
        let wait = |begin: Millis, length: Millis| {
            (begin + length).saturating_sub(now).div_ceil(SECOND).max(1)
        };
        if per_day.is_some_and(|most| self.in_day >= most) {
            return Err(Reached { wait: wait(self.day, DAY), of_day: true });
        }
        if per_minute.is_some_and(|most| self.in_minute >= most) {
            return Err(Reached { wait: wait(self.minute, MINUTE), of_day: false });
        }
        self.in_minute += 1;
        self.in_day = self.in_day.saturating_add(1);
        Ok(())
    }

    /// A minute or a day began.
    fn turn(&mut self, now: Millis) {
        let (minute, day) = (now - now % MINUTE, now - now % DAY);
        if self.minute != minute {
            (self.minute, self.in_minute) = (minute, 0);
        }
        if self.day != day {
            (self.day, self.in_day) = (day, 0);
        }
    }

    /// What the database knows of the day, of all isolates.
    pub fn learn(&mut self, day: Millis, count: u32, now: Millis) {
        self.turn(now);
        if self.day == day {
            self.in_day = self.in_day.max(count);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const NOON: Millis = 20_000 * DAY + 12 * 60 * MINUTE;

    #[test]
    fn counts_minutes_and_days() {
        let mut counter = Counter::default();
        for _ in 0..3 {
            assert_eq!(counter.take(Some(3), Some(5), NOON + 10_000), Ok(()));
        }
        assert_eq!(
            counter.take(Some(3), Some(5), NOON + 10_000),
            Err(Reached { wait: 50, of_day: false })
        );
        for _ in 0..2 {
            assert_eq!(counter.take(Some(3), Some(5), NOON + MINUTE), Ok(()));
        }
        let reached = Reached { wait: 12 * 3600 - 60, of_day: true };
        assert_eq!(counter.take(Some(3), Some(5), NOON + MINUTE), Err(reached));
        assert_eq!(counter.take(Some(3), Some(5), NOON + DAY), Ok(()), "another day");
        let mut counter = Counter::default();
        assert_eq!(counter.take(None, None, NOON), Ok(()), "no limit");
    }

    #[test]
    fn what_others_counted_counts_too() {
        let mut counter = Counter::default();
        let day = NOON - DAY / 2;
        assert_eq!(counter.take(None, Some(10), NOON), Ok(()));
        counter.learn(day, 0, NOON);
        counter.learn(day, 9, NOON);
        assert_eq!(counter.take(None, Some(10), NOON), Ok(()));
        assert!(counter.take(None, Some(10), NOON).is_err());
        counter.learn(day, 3, NOON);
        assert!(counter.take(None, Some(10), NOON).is_err(), "D1 lags behind");
        counter.learn(day, 900, NOON + DAY);
        assert_eq!(counter.take(None, Some(10), NOON + DAY), Ok(()), "another day's count");
    }
}
