//! Calendar arithmetic: when the quotas that reset by the clock start anew.
//!
//! Quotas reset at midnight in California (Gemini's free tier), at midnight UTC, on Mondays or on
//! the first of a month. Nothing else of a calendar is needed, so there is no date library here.
//! Every function answers a time strictly after `now`.

use super::{DAY, HOUR, MINUTE, Millis, SECOND};

/// California's offset from UTC in winter (PST).
const STANDARD_OFFSET: Millis = 8 * HOUR;
/// California's offset from UTC in summer (PDT).
const SUMMER_OFFSET: Millis = 7 * HOUR;

/// A date in the proleptic Gregorian calendar.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct Date {
    /// The year, such as 2026.
    pub year: i64,
    /// The month, 1 to 12.
    pub month: i64,
    /// The day of the month, 1 to 31.
    pub day: i64,
}

// === impl Date ===

impl Date {
    /// The date, unless there is no such day (month 13, 30 February) or its year has more than
    /// four digits.
    #[must_use]
    pub fn new(year: i64, month: i64, day: i64) -> Option<Self> {
        let date = Self { year, month, day };
        let fits = (1970..=9999).contains(&year)
            && (1..=12).contains(&month)
            && (1..=31).contains(&day)
            && Self::of_day(date.days()) == date;
        fits.then_some(date)
    }

    /// Days since 1 January 1970, which is day 0.
    ///
    /// Counts in years that start in March, so that the leap day is a year's last (Howard Hinnant,
    /// "chrono-compatible low-level date algorithms": `days_from_civil`).
    #[must_use]
    pub const fn days(self) -> i64 {
        let year = if self.month <= 2 { self.year - 1 } else { self.year };
        let era = year.div_euclid(400);
        let year_of_era = year.rem_euclid(400);
        let month_from_march = (self.month + 9) % 12;
        let day_of_year = (153 * month_from_march + 2) / 5 + self.day - 1;
        let day_of_era = year_of_era * 365 + year_of_era / 4 - year_of_era / 100 + day_of_year;
        era * 146_097 + day_of_era - 719_468
    }

    /// The date of that day; the inverse of [`Date::days`] (Hinnant's `civil_from_days`).
    #[must_use]
    pub const fn of_day(days: i64) -> Self {
        let shifted = days + 719_468;
        let era = shifted.div_euclid(146_097);
        let day_of_era = shifted.rem_euclid(146_097);
        let year_of_era =
            (day_of_era - day_of_era / 1_460 + day_of_era / 36_524 - day_of_era / 146_096) / 365;
        let day_of_year = day_of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
        let month_from_march = (5 * day_of_year + 2) / 153;
        let day = day_of_year - (153 * month_from_march + 2) / 5 + 1;
        let month = if month_from_march < 10 { month_from_march + 3 } else { month_from_march - 9 };
        let year = year_of_era + era * 400 + if month <= 2 { 1 } else { 0 };
        Self { year, month, day }
    }
}

/// The UTC date of a time.
#[must_use]
pub fn civil(at: Millis) -> Date {
    Date::of_day(i64::try_from(at / DAY).unwrap_or(i64::MAX / 2))
}

/// The time of a UTC date and clock time, or `None` for what no calendar or clock shows
/// (30 February, 25:00; 23:59:60 is allowed, since leap seconds are written so).
#[must_use]
pub fn instant(date: Date, hour: u64, minute: u64, second: u64) -> Option<Millis> {
    let date = Date::new(date.year, date.month, date.day)?;
    if hour > 23 || minute > 59 || second > 60 {
        return None;
    }
    let days = u64::try_from(date.days()).ok()?;
    Some(days * DAY + hour * HOUR + minute * MINUTE + second * SECOND)
}

/// The next midnight in California, when Gemini's daily quotas start anew.
///
/// Correct on the days on which the clocks change, which are 23 or 25 hours long, and in the hour
/// after midnight.
#[must_use]
pub fn midnight_pacific(now: Millis) -> Millis {
    // The date in winter time: today's local date, or in summer between 00:00 and 01:00 still
    // yesterday's. So the next midnight is that of one of three dates.
    let today = now.saturating_sub(STANDARD_OFFSET) / DAY;
    (today..=today.saturating_add(2))
        .map(midnight_pacific_of)
        .find(|midnight| *midnight > now)
        .unwrap_or(now.saturating_add(DAY))
}

/// The time of 00:00 in California on the day that many days after 1 January 1970.
fn midnight_pacific_of(day: u64) -> Millis {
    let days = i64::try_from(day).unwrap_or(i64::MAX / 2);
    let year = Date::of_day(days).year;
    // The clocks change at 2:00, so at midnight of either day the old time still holds.
    let summer = days > sunday(year, 3, 2) && days <= sunday(year, 11, 1);
    let offset = if summer { SUMMER_OFFSET } else { STANDARD_OFFSET };
    day.saturating_mul(DAY).saturating_add(offset)
}

/// The day of a month's n-th Sunday. The rule of the United States since 2007: summer time from
/// the second Sunday of March to the first Sunday of November.
const fn sunday(year: i64, month: i64, nth: i64) -> i64 {
    let first = Date { year, month, day: 1 }.days();
    // Day 0 was a Thursday; day 3 is the first Sunday.
    first + (3 - first).rem_euclid(7) + 7 * (nth - 1)
}

/// The next midnight UTC.
#[must_use]
pub const fn midnight_utc(now: Millis) -> Millis {
    (now / DAY).saturating_add(1).saturating_mul(DAY)
}

/// The next Monday, 00:00 UTC.
#[must_use]
pub const fn monday_utc(now: Millis) -> Millis {
    let today = now / DAY;
    // Day 0 was a Thursday, so (day + 3) % 7 counts from Monday.
    (today + 7 - (today + 3) % 7).saturating_mul(DAY)
}

/// The first of the next month, 00:00 UTC.
#[must_use]
pub fn month_start_utc(now: Millis) -> Millis {
    let Date { year, month, .. } = civil(now);
    let next = if month == 12 {
        Date { year: year + 1, month: 1, day: 1 }
    } else {
        Date { year, month: month + 1, day: 1 }
    };
    u64::try_from(next.days()).unwrap_or(0).saturating_mul(DAY)
}

/// The next full minute of the clock.
#[must_use]
pub const fn minute_boundary(now: Millis) -> Millis {
    (now / MINUTE).saturating_add(1).saturating_mul(MINUTE)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn at(year: i64, month: i64, day: i64, hour: u64, minute: u64) -> Millis {
        instant(Date { year, month, day }, hour, minute, 0).unwrap()
    }

    #[test]
    fn dates() {
        assert_eq!(civil(0), Date { year: 1970, month: 1, day: 1 });
        assert_eq!(civil(1_786_320_000_000), Date { year: 2026, month: 8, day: 10 });
        assert_eq!(civil(at(2028, 2, 29, 23, 59)), Date { year: 2028, month: 2, day: 29 });
        assert_eq!(Date::new(2027, 2, 29), None);
        assert_eq!(Date::new(2100, 2, 29), None);
        assert_eq!(Date::new(2026, 0, 1), None);
        assert_eq!(Date::new(2026, 13, 1), None);
        assert_eq!(Date::new(1969, 12, 31), None);
        assert_eq!(Date::new(i64::MAX, 1, 1), None);
        assert_eq!(instant(Date { year: 2026, month: 1, day: 1 }, 24, 0, 0), None);
    }

    #[test]
    fn midnight_in_california() {
        // Summer: midnight is 07:00 UTC.
        assert_eq!(midnight_pacific(at(2026, 7, 1, 6, 59)), at(2026, 7, 1, 7, 0));
        // The hour after midnight, both in summer and in winter.
        assert_eq!(midnight_pacific(at(2026, 7, 1, 7, 0)), at(2026, 7, 2, 7, 0));
        assert_eq!(midnight_pacific(at(2026, 7, 1, 7, 59)), at(2026, 7, 2, 7, 0));
        assert_eq!(midnight_pacific(at(2026, 1, 1, 8, 0)), at(2026, 1, 2, 8, 0));
        assert_eq!(midnight_pacific(at(2026, 1, 1, 7, 59)), at(2026, 1, 1, 8, 0));
        assert_eq!(midnight_pacific(at(2026, 1, 1, 8, 59)), at(2026, 1, 2, 8, 0));
        // 8 March 2026 has 23 hours: from 08:00 UTC to 07:00 UTC.
        assert_eq!(midnight_pacific(at(2026, 3, 8, 7, 30)), at(2026, 3, 8, 8, 0));
        assert_eq!(midnight_pacific(at(2026, 3, 8, 8, 0)), at(2026, 3, 9, 7, 0));
        assert_eq!(midnight_pacific(at(2026, 3, 8, 12, 0)), at(2026, 3, 9, 7, 0));
        // 1 November 2026 has 25 hours: from 07:00 UTC to 08:00 UTC.
        assert_eq!(midnight_pacific(at(2026, 11, 1, 6, 59)), at(2026, 11, 1, 7, 0));
        assert_eq!(midnight_pacific(at(2026, 11, 1, 7, 0)), at(2026, 11, 2, 8, 0));
        assert_eq!(midnight_pacific(at(2026, 11, 2, 7, 30)), at(2026, 11, 2, 8, 0));
    }

    #[test]
    fn days_of_the_change() {
        for (year, march, november) in [(2024, 10, 3), (2025, 9, 2), (2026, 8, 1), (2027, 14, 7)] {
            assert_eq!(Date::of_day(sunday(year, 3, 2)).day, march, "{year}");
            assert_eq!(Date::of_day(sunday(year, 11, 1)).day, november, "{year}");
        }
    }

    #[test]
    fn boundaries_in_utc() {
        let monday = at(2026, 8, 10, 0, 0);
        assert_eq!(midnight_utc(monday), at(2026, 8, 11, 0, 0));
        assert_eq!(midnight_utc(monday - 1), monday);
        assert_eq!(monday_utc(monday), at(2026, 8, 17, 0, 0));
        assert_eq!(monday_utc(monday - 1), monday);
        assert_eq!(month_start_utc(monday), at(2026, 9, 1, 0, 0));
        assert_eq!(month_start_utc(at(2026, 12, 31, 23, 59)), at(2027, 1, 1, 0, 0));
        assert_eq!(minute_boundary(monday), monday + MINUTE);
        assert_eq!(minute_boundary(monday + 59_999), monday + MINUTE);
    }

    /// What a clock in California shows, computed the other way round: from UTC to local time.
    fn local(at: Millis) -> (Date, Millis) {
        let year = civil(at).year;
        let spring = u64::try_from(sunday(year, 3, 2)).unwrap() * DAY + 10 * HOUR;
        let autumn = u64::try_from(sunday(year, 11, 1)).unwrap() * DAY + 9 * HOUR;
        let offset = if (spring..autumn).contains(&at) { 7 * HOUR } else { 8 * HOUR };
        (civil(at - offset), (at - offset) % DAY)
    }

    proptest! {
        #[test]
        fn next_midnight_is_next_and_midnight(now in DAY..4_000_000_000_000_u64) {
            let midnight = midnight_pacific(now);
            prop_assert!(midnight > now);
            prop_assert!(midnight <= now + 25 * HOUR);
            prop_assert_eq!(local(midnight).1, 0);
            prop_assert_ne!(local(midnight).0, local(now).0);
            prop_assert_eq!(Date::of_day(local(midnight).0.days() - 1), local(now).0);
        }

        #[test]
        fn dates_go_there_and_back(day in 0_i64..3_000_000) {
            prop_assert_eq!(Date::of_day(day).days(), day);
        }

        #[test]
        fn boundaries_are_in_the_future(now in 0_u64..250_000_000_000_000) {
            for next in [midnight_utc, monday_utc, month_start_utc, minute_boundary] {
                prop_assert!(next(now) > now);
                prop_assert!(next(now) <= now + 31 * DAY);
            }
        }

        #[test]
        fn no_time_panics(now in any::<u64>()) {
            let _ = midnight_pacific(now);
            let _ = midnight_utc(now);
            let _ = monday_utc(now);
            let _ = month_start_utc(now);
            let _ = minute_boundary(now);
        }
    }
}
