//! Until when? Pure parsers for every way in which providers say how long to wait.
//!
//! Headers and bodies come from outside: nothing here trusts them, decides what they mean for a
//! key, or panics. A parser answers `None` for what it does not understand; it never guesses.
//!
//! Waits are in milliseconds, and [`bounded`] makes every one of them a whole number of seconds
//! between [`MIN_WAIT`] and [`MAX_WAIT`].

use serde_json::Value;

use super::clock::{self, Date};
use super::{DAY, HOUR, MINUTE, Millis, SECOND};

/// Longest wait that is believed: 31 days, the longest month. Anything above is a clock gone wrong
/// or an attempt to take a key out for good.
pub const MAX_WAIT: Millis = 31 * DAY;
/// Shortest wait: one second. OpenAI asks for as little as 6 ms; the round trip takes longer.
pub const MIN_WAIT: Millis = SECOND;

/// A wait between [`MIN_WAIT`] and [`MAX_WAIT`], rounded up to the next whole second: a request
/// that comes a moment too early earns another 429.
#[must_use]
pub const fn bounded(wait: Millis) -> Millis {
    let whole = wait.div_ceil(SECOND).saturating_mul(SECOND);
    if whole < MIN_WAIT {
        MIN_WAIT
    } else if whole > MAX_WAIT {
        MAX_WAIT
    } else {
        whole
    }
}

/// The wait until a time, bounded; `None` when the time is over.
#[must_use]
pub fn until(at: Millis, now: Millis) -> Option<Millis> {
    at.checked_sub(now).filter(|wait| *wait > 0).map(bounded)
}

// === headers ===

/// The wait that an answer's headers state.
///
/// `retry-after-ms` (OpenAI, Azure) wins over `retry-after` (seconds, a decimal fraction of them,
/// or a date), as in the SDKs of OpenAI and Anthropic; then `x-ratelimit-timeremaining` (seconds;
/// GitHub Models and those who copy it).
///
/// `None`: no such header, not a number and no date, negative, or a date that is over.
#[must_use]
pub fn from_headers(headers: &dyn Fn(&str) -> Option<String>, now: Millis) -> Option<Millis> {
    headers("retry-after-ms")
        .and_then(|value| decimal(&value, 1))
        .or_else(|| headers("retry-after").and_then(|value| retry_after(&value, now)))
        .or_else(|| headers("x-ratelimit-timeremaining").and_then(|value| seconds(&value)))
        .map(bounded)
}

/// The wait of a `retry-after` header: `120`, `0.5` or `Wed, 21 Oct 2026 07:28:00 GMT`.
///
/// `None`: neither, negative, or a date that is over.
#[must_use]
pub fn retry_after(value: &str, now: Millis) -> Option<Millis> {
    seconds(value).or_else(|| http_date(value).and_then(|at| until(at, now)))
}

/// Seconds, with or without a decimal fraction (`33011.382867`), in milliseconds, rounded up.
///
/// `None`: empty, signed, an exponent, `NaN`, anything but digits and one point.
#[must_use]
pub fn seconds(value: &str) -> Option<Millis> {
    decimal(value, SECOND)
}

/// A plain decimal number times `unit`, rounded up to whole milliseconds and saturating.
fn decimal(value: &str, unit: Millis) -> Option<Millis> {
    let value = value.trim();
    let digits = |text: &str| text.bytes().all(|byte| byte.is_ascii_digit());
    let (whole, fraction) = value.split_once('.').unwrap_or((value, ""));
    if !digits(whole) || !digits(fraction) || (whole.is_empty() && fraction.is_empty()) {
        return None;
    }
    // More digits than 64 bits hold only mean "very long", which `bounded` cuts.
    let whole = if whole.is_empty() { 0 } else { whole.parse().unwrap_or(u64::MAX) };
    let mut total = whole.saturating_mul(unit);
    // Nine digits are nanoseconds; what follows is too small to matter but still rounds up.
    let mut nanos: u64 = 0;
    let mut scale: u64 = 100_000_000;
    let mut rest = false;
    for digit in fraction.bytes().map(|byte| u64::from(byte - b'0')) {
        rest |= scale == 0 && digit > 0;
        nanos += digit * scale;
        scale /= 10;
    }
    let part = nanos.saturating_mul(unit);
    total = total.saturating_add(part.div_ceil(1_000_000_000));
    // The part was exact, so the digits after the ninth push it just above.
    Some(if rest && part.is_multiple_of(1_000_000_000) { total.saturating_add(1) } else { total })
}

/// A date of HTTP in any of its three spellings (RFC 9110, 5.6.7), such as
/// `Wed, 21 Oct 2026 07:28:00 GMT`, `Wednesday, 21-Oct-26 07:28:00 GMT` and
/// `Wed Oct 21 07:28:00 2026`.
///
/// `None`: a part is missing, or there is no such day.
#[must_use]
pub fn http_date(value: &str) -> Option<Millis> {
    let mut month = None;
    let mut time = None;
    let mut numbers = Vec::with_capacity(2);
    for part in value.split([' ', ',', '-']).filter(|part| !part.is_empty()) {
        if part.contains(':') {
            time = clock_time(part);
        } else if part.starts_with(|c: char| c.is_ascii_digit()) {
            numbers.push(part.parse::<i64>().ok()?);
        } else if month.is_none() {
            month = month_number(part);
        }
    }
    let [day, year] = numbers.as_slice() else { return None };
    // RFC 850 writes two digits of the year.
    let year = if *year < 100 { year + 2_000 } else { *year };
    let (hour, minute, second, _) = time?;
    clock::instant(Date::new(year, month?, *day)?, hour, minute, second)
}

/// 1 for `Jan` up to 12 for `Dec`, in any case.
fn month_number(name: &str) -> Option<i64> {
    const NAMES: [&str; 12] =
        ["jan", "feb", "mar", "apr", "may", "jun", "jul", "aug", "sep", "oct", "nov", "dec"];
    let name = name.to_ascii_lowercase();
    NAMES.iter().zip(1..).find(|(month, _)| **month == name).map(|(_, number)| number)
}

/// Hour, minute, second and milliseconds of `07:28`, `07:28:00` or `07:28:00.5`.
fn clock_time(value: &str) -> Option<(u64, u64, u64, Millis)> {
    let mut parts = value.split(':');
    let hour = parts.next()?.parse().ok()?;
    let minute = parts.next()?.parse().ok()?;
    let last = parts.next().unwrap_or("0");
    if parts.next().is_some() {
        return None;
    }
    let (second, fraction) = last.split_once('.').unwrap_or((last, "0"));
    let millis = decimal(&format!("0.{fraction}"), SECOND)?;
    Some((hour, minute, second.parse().ok()?, millis))
}

/// A time of RFC 3339, such as Anthropic's `2030-01-02T03:04:05Z`, with a fraction or an offset
/// (`+02:00`) where there is one.
///
/// `None`: no date, no time, no zone, or no such day.
#[must_use]
pub fn rfc3339(value: &str) -> Option<Millis> {
    let value = value.trim();
    let (date, rest) = value.split_once(['T', 't', ' '])?;
    let zone_at = rest.find(['Z', 'z', '+', '-'])?;
    let (time, zone) = rest.split_at_checked(zone_at)?;
    let (hour, minute, second, millis) = clock_time(time)?;
    let local = clock::instant(iso_date(date)?, hour, minute, second)?.saturating_add(millis);
    if zone.eq_ignore_ascii_case("z") {
        return Some(local);
    }
    let (sign, offset) = zone.split_at_checked(1)?;
    let (hours, minutes, ..) = clock_time(offset)?;
    if hours > 23 || minutes > 59 {
        return None;
    }
    let offset = hours * HOUR + minutes * MINUTE;
    if sign == "+" { local.checked_sub(offset) } else { local.checked_add(offset) }
}

/// `2026-04-01`.
fn iso_date(value: &str) -> Option<Date> {
    let mut parts = value.split('-');
    let mut number = || parts.next()?.parse().ok();
    let date = Date::new(number()?, number()?, number()?);
    if parts.next().is_some() { None } else { date }
}

/// A Unix time in seconds (Anthropic's `unified-reset`) or milliseconds (OpenRouter's
/// `X-RateLimit-Reset`), told apart by size: 10^11 seconds are the year 5138, 10^11 milliseconds
/// are 1973.
///
/// `None`: not a plain number, or one that is no time of this century.
#[must_use]
pub fn epoch(value: &str) -> Option<Millis> {
    const FIRST_MILLIS: u64 = 100_000_000_000;
    /// September 2001; smaller numbers are waits, not times.
    const FIRST_SECONDS: u64 = 1_000_000_000;
    match decimal(value, 1)? {
        millis if millis >= FIRST_MILLIS => Some(millis),
        seconds if seconds >= FIRST_SECONDS => seconds.checked_mul(SECOND),
        _ => None,
    }
}

// === durations ===

/// A duration as Go writes it (`6m0s`, `1h23m31s`, `2m59.56s`, `20ms`), as protobuf does
/// (`34.074824224s`) and as Groq does in its messages (`6m 11.52s`), in milliseconds.
///
/// `None`: empty, a number without a unit, an unknown unit, or anything left over.
#[must_use]
pub fn duration(value: &str) -> Option<Millis> {
    let (wait, rest) = leading_duration(value.trim())?;
    rest.trim().is_empty().then_some(wait)
}

/// The duration at the beginning of a text, in digits and units or in words, and what follows it:
/// `12s`, `1h 5m`, `22 seconds`, `1 hour and 5 minutes`, `~30s`.
fn leading_duration(text: &str) -> Option<(Millis, &str)> {
    let mut rest = text.trim_start_matches(['~', ' ', ':']);
    let mut total: Option<Millis> = None;
    loop {
        let number_end = rest.find(|c: char| !c.is_ascii_digit() && c != '.').unwrap_or(rest.len());
        let Some((number, after)) = rest.split_at_checked(number_end) else { break };
        let after = after.trim_start();
        let unit_end = after.find(|c: char| !c.is_alphabetic()).unwrap_or(after.len());
        let Some((name, after)) = after.split_at_checked(unit_end) else { break };
        let Some(length) = unit(name) else { break };
        let Some(wait) = length.of(number) else { break };
        total = Some(total.unwrap_or(0).saturating_add(wait));
        let next = after.trim_start();
        let next = next.strip_prefix("and ").or_else(|| next.strip_prefix(", ")).unwrap_or(next);
        if !next.starts_with(|c: char| c.is_ascii_digit()) {
            rest = after;
            break;
        }
        rest = next;
    }
    total.map(|wait| (wait, rest))
}

/// What a unit's name stands for.
enum Unit {
    Millis(Millis),
    /// Parts of a millisecond: so many make one.
    Fraction(u64),
}

impl Unit {
    fn of(&self, number: &str) -> Option<Millis> {
        match self {
            Self::Millis(unit) => decimal(number, *unit),
            Self::Fraction(parts) => decimal(number, 1).map(|number| number.div_ceil(*parts)),
        }
    }
}

fn unit(name: &str) -> Option<Unit> {
    Some(match name.to_ascii_lowercase().as_str() {
        "ns" => Unit::Fraction(1_000_000),
        "us" | "µs" | "μs" => Unit::Fraction(1_000),
        "ms" | "millisecond" | "milliseconds" => Unit::Millis(1),
        "s" | "sec" | "secs" | "second" | "seconds" => Unit::Millis(SECOND),
        "m" | "min" | "mins" | "minute" | "minutes" => Unit::Millis(MINUTE),
        "h" | "hr" | "hrs" | "hour" | "hours" => Unit::Millis(HOUR),
        "d" | "day" | "days" => Unit::Millis(DAY),
        _ => return None,
    })
}

// === bodies ===

/// Words after which a message states its wait, in lowercase.
const WAIT_PHRASES: [&str; 9] = [
    "retry in ",        // Gemini: "Please retry in 1h52m56.409571576s."
    "try again in ",    // OpenAI, Groq: "Please try again in 6m 11.52s."
    "retry after ",     // Azure: "Please retry after 22 seconds."
    "try again after ", // the same, in other words
    "available in ",    // Replicate: "Expected available in 1 second."
    "resets in ",       // Replicate: "resets in ~30s"
    "reset in ",        // the same, in other words
    "reset after ",     // Gemini CLI's backend: "Your quota will reset after 3h2m1s."
    "please wait ",     // "Please wait 20 seconds before trying again."
];

/// Longest part of a message in which a wait is looked for, in bytes. Real ones are below 1 KB.
const MAX_MESSAGE: usize = 4 * 1024;

/// The wait that a message states, bounded: a duration after one of `WAIT_PHRASES`, Anthropic's
/// `You will regain access on 2026-04-01 at 00:00 UTC.`, or Azure's
/// `Quota will be replenished in 1.02:03:04` (days, hours, minutes, seconds).
///
/// `None`: no such phrase, a phrase without a time ("try again in a moment"), or a date that is
/// over.
#[must_use]
pub fn from_message(message: &str, now: Millis) -> Option<Millis> {
    let text: String = message.chars().take(MAX_MESSAGE).collect::<String>().to_ascii_lowercase();
    WAIT_PHRASES
        .iter()
        .flat_map(|phrase| after_each(&text, phrase))
        .find_map(|rest| leading_duration(rest).map(|(wait, _)| bounded(wait)))
        .or_else(|| {
            after_each(&text, "regain access on ")
                .find_map(date_and_time)
                .and_then(|at| until(at, now))
        })
        .or_else(|| after_each(&text, "replenished in ").find_map(day_clock).map(bounded))
}

/// What follows each occurrence of a phrase.
fn after_each<'a>(text: &'a str, phrase: &str) -> impl Iterator<Item = &'a str> {
    text.match_indices(phrase).filter_map(move |(at, found)| text.get(at + found.len()..))
}

/// `2026-04-01 at 00:00 utc`; midnight when no time follows.
fn date_and_time(text: &str) -> Option<Millis> {
    let mut words = text.split_whitespace();
    let date = iso_date(words.next()?.trim_end_matches(['.', ',']))?;
    let time = (words.next() == Some("at"))
        .then(|| words.next().and_then(|word| clock_time(word.trim_end_matches(['.', ',']))))
        .flatten();
    let (hour, minute, second, _) = time.unwrap_or_default();
    clock::instant(date, hour, minute, second)
}

/// `1.02:03:04` or `02:03:04`.
fn day_clock(text: &str) -> Option<Millis> {
    let word = text.split_whitespace().next()?.trim_end_matches(['.', ',']);
    let (days, time) = word.split_once('.').unwrap_or(("0", word));
    let (hours, minutes, seconds, _) = clock_time(time)?;
    let sum = hours
        .checked_mul(HOUR)?
        .checked_add(minutes.checked_mul(MINUTE)?)?
        .checked_add(seconds.checked_mul(SECOND)?)?;
    days.parse::<u64>().ok()?.checked_mul(DAY)?.checked_add(sum)
}

/// The wait that the machine-readable part of an error states, bounded. `error` is the object that
/// holds the error, `root` the whole document (they are the same when the error is flat).
///
/// Read are, in this order: Google's `RetryInfo.retryDelay` in `details`; `retry_after` (Replicate,
/// in seconds) and `estimated_time` (Hugging Face, in seconds) in either object; OpenRouter's
/// `metadata.headers["X-RateLimit-Reset"]` (a Unix time).
///
/// `None`: there is no such field, or what it holds is not understood or over.
#[must_use]
pub fn from_fields(error: &Value, root: &Value, now: Millis) -> Option<Millis> {
    retry_info(error)
        .or_else(|| {
            [error, root].into_iter().find_map(|object| {
                ["retry_after", "retry_after_seconds", "estimated_time"]
                    .into_iter()
                    .find_map(|name| object.get(name).and_then(number_text))
                    .and_then(|text| seconds(&text))
            })
        })
        .or_else(|| {
            let headers = error.get("metadata")?.get("headers")?.as_object()?;
            let reset = headers
                .iter()
                .find(|(name, _)| name.eq_ignore_ascii_case("x-ratelimit-reset"))
                .and_then(|(_, value)| number_text(value))?;
            until(epoch(&reset)?, now)
        })
        .map(bounded)
}

/// Google's `RetryInfo.retryDelay`, in milliseconds; the details come in any order.
///
/// `None`: no `RetryInfo`, or a delay that is no duration.
#[must_use]
pub fn retry_info(error: &Value) -> Option<Millis> {
    error
        .get("details")?
        .as_array()?
        .iter()
        .find_map(|detail| detail.get("retryDelay")?.as_str().and_then(duration))
}

/// A number's digits, also when it was sent as a string.
fn number_text(value: &Value) -> Option<String> {
    match value {
        Value::String(text) => Some(text.clone()),
        Value::Number(number) => Some(number.to_string()),
        _ => None,
    }
}

#[cfg(test)]
mod tests;
