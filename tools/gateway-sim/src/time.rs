//! The clock, and the forms in which providers write times and durations.

use std::time::{SystemTime, UNIX_EPOCH};

pub fn now_ms() -> u64 {
    SystemTime::now()
        .duration_since(UNIX_EPOCH)
        .map_or(0, |elapsed| u64::try_from(elapsed.as_millis()).unwrap_or(u64::MAX))
}

/// `2030-01-02T03:04:05Z`
pub fn rfc3339(epoch_ms: u64) -> String {
    let seconds = epoch_ms / 1000;
    let (days, of_day) = (seconds / 86_400, seconds % 86_400);
    // Civil date from a day count, with years that start in March so that leap days come last.
    let shifted = days + 719_468;
    let era = shifted / 146_097;
    let day_of_era = shifted % 146_097;
    let year_of_era =
        (day_of_era - day_of_era / 1460 + day_of_era / 36_524 - day_of_era / 146_096) / 365;
    let day_of_year = day_of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    let shifted_month = (5 * day_of_year + 2) / 153;
    let day = day_of_year - (153 * shifted_month + 2) / 5 + 1;
    let month = if shifted_month < 10 { shifted_month + 3 } else { shifted_month - 9 };
    let year = year_of_era + era * 400 + u64::from(month <= 2);
    format!(
        "{year:04}-{month:02}-{day:02}T{:02}:{:02}:{:02}Z",
        of_day / 3600,
        of_day / 60 % 60,
        of_day % 60
    )
}

/// Go's notation, as in OpenAI's headers: `6m0s`, `1.5s`, `20ms`.
pub fn go_duration(ms: u64) -> String {
    if ms < 1000 {
        return format!("{ms}ms");
    }
    let mut text = String::new();
    let (hours, minutes) = (ms / 3_600_000, ms / 60_000 % 60);
    if hours > 0 {
        text.push_str(&format!("{hours}h"));
    }
    if hours > 0 || minutes > 0 {
        text.push_str(&format!("{minutes}m"));
    }
    text.push_str(&decimal_seconds(ms % 60_000));
    text.push('s');
    text
}

/// Seconds with as many decimals as are needed: `34.074`, `2`, `0.5`.
pub fn decimal_seconds(ms: u64) -> String {
    let fraction = ms % 1000;
    if fraction == 0 {
        return (ms / 1000).to_string();
    }
    format!("{}.{fraction:03}", ms / 1000).trim_end_matches('0').to_owned()
}

/// A `Retry-After` value. Real ones are whole seconds; under compressed windows that would be a lie,
/// so a wait that is short because the window is short keeps its decimals.
pub fn retry_after(ms: u64, window_ms: u64) -> String {
    if window_ms >= 60_000 {
        ms.div_ceil(1000).max(1).to_string()
    } else {
        decimal_seconds(ms.max(1))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn writes_dates() {
        assert_eq!(rfc3339(0), "1970-01-01T00:00:00Z");
        assert_eq!(rfc3339(951_782_400_000), "2000-02-29T00:00:00Z");
        assert_eq!(rfc3339(1_893_553_445_000), "2030-01-02T03:04:05Z");
    }

    #[test]
    fn writes_durations() {
        assert_eq!(go_duration(20), "20ms");
        assert_eq!(go_duration(1500), "1.5s");
        assert_eq!(go_duration(360_000), "6m0s");
        assert_eq!(go_duration(5_011_500), "1h23m31.5s");
        assert_eq!(retry_after(1200, 60_000), "2");
        assert_eq!(retry_after(250, 1000), "0.25");
    }
}
