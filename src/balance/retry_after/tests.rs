use proptest::prelude::*;
use serde_json::json;

use super::*;

/// 10 August 2026, 00:00 UTC.
const NOW: Millis = 1_786_320_000_000;

#[test]
fn waits_are_whole_seconds_within_bounds() {
    assert_eq!(bounded(0), SECOND);
    assert_eq!(bounded(29), SECOND);
    assert_eq!(bounded(1_001), 2 * SECOND);
    assert_eq!(bounded(Millis::MAX), MAX_WAIT);
    assert_eq!(until(NOW, NOW), None);
    assert_eq!(until(NOW - 1, NOW), None);
    assert_eq!(until(NOW + 1, NOW), Some(SECOND));
}

fn headers(pairs: &[(&str, &str)]) -> Option<Millis> {
    let find = |name: &str| {
        pairs.iter().find(|(have, _)| *have == name).map(|(_, value)| (*value).to_owned())
    };
    from_headers(&find, NOW)
}

#[test]
fn headers_in_the_order_of_the_sdks() {
    assert_eq!(headers(&[]), None);
    assert_eq!(headers(&[("retry-after", "27")]), Some(27 * SECOND));
    assert_eq!(headers(&[("retry-after", "0.5")]), Some(SECOND));
    assert_eq!(headers(&[("retry-after", "0")]), Some(SECOND));
    assert_eq!(headers(&[("retry-after", "12.1")]), Some(13 * SECOND));
    assert_eq!(headers(&[("retry-after", "-5")]), None);
    assert_eq!(headers(&[("retry-after", "NaN")]), None);
    assert_eq!(headers(&[("retry-after", "inf")]), None);
    assert_eq!(headers(&[("retry-after", "1e9")]), None);
    assert_eq!(headers(&[("retry-after", "")]), None);
    assert_eq!(headers(&[("retry-after", "soon")]), None);
    assert_eq!(headers(&[("retry-after", "99999999999999999999999")]), Some(MAX_WAIT));
    assert_eq!(headers(&[("retry-after", "Mon, 10 Aug 2026 00:01:30 GMT")]), Some(90 * SECOND));
    assert_eq!(headers(&[("retry-after", "Sun, 09 Aug 2026 23:59:59 GMT")]), None);
    assert_eq!(headers(&[("retry-after", "60"), ("retry-after-ms", "29")]), Some(SECOND));
    assert_eq!(headers(&[("retry-after", "60"), ("retry-after-ms", "x")]), Some(MINUTE));
    assert_eq!(headers(&[("retry-after-ms", "1500.5")]), Some(2 * SECOND));
    assert_eq!(headers(&[("x-ratelimit-timeremaining", "77")]), Some(77 * SECOND));
}

#[test]
fn dates_of_http() {
    let expected = Some(1_445_412_480_000);
    assert_eq!(http_date("Wed, 21 Oct 2015 07:28:00 GMT"), expected);
    assert_eq!(http_date("Wednesday, 21-Oct-15 07:28:00 GMT"), expected);
    assert_eq!(http_date("Wed Oct 21 07:28:00 2015"), expected);
    assert_eq!(http_date("Wed, 31 Feb 2015 07:28:00 GMT"), None);
    assert_eq!(http_date("Wed, 21 Oct 2015"), None);
    assert_eq!(http_date("21 2015 07:28:00"), None);
    assert_eq!(http_date(""), None);
}

#[test]
fn times_of_rfc3339() {
    let expected = Some(1_893_553_445_000);
    assert_eq!(rfc3339("2030-01-02T03:04:05Z"), expected);
    assert_eq!(rfc3339("2030-01-02T03:04:05.000Z"), expected);
    assert_eq!(rfc3339("2030-01-02T05:04:05+02:00"), expected);
    assert_eq!(rfc3339("2030-01-01T22:04:05-05:00"), expected);
    assert_eq!(rfc3339("2030-01-02T03:04:05.25Z"), expected.map(|at| at + 250));
    assert_eq!(rfc3339("2030-01-02T03:04:05"), None);
    assert_eq!(rfc3339("2030-01-02"), None);
    assert_eq!(rfc3339("2030-02-30T03:04:05Z"), None);
    assert_eq!(rfc3339("2030-01-02T03:04:05+é"), None);
}

#[test]
fn unix_times() {
    assert_eq!(epoch("1786320060000"), Some(1_786_320_060_000));
    assert_eq!(epoch("1786320060"), Some(1_786_320_060_000));
    assert_eq!(epoch("60"), None);
    assert_eq!(epoch("-1786320060"), None);
    assert_eq!(epoch("never"), None);
}

#[test]
fn durations() {
    for (text, expected) in [
        ("12s", 12_000),
        ("34.074824224s", 34_075),
        ("900ms", 900),
        ("0.01s", 10),
        ("6776s", 6_776_000),
        ("6m0s", 360_000),
        ("2m59.56s", 179_560),
        ("1h23m31s", 5_011_000),
        ("1h52m56.409571576s", 6_776_410),
        ("11h51m44s", 42_704_000),
        ("6m 11.52s", 371_520),
        ("22 seconds", 22_000),
        ("1 hour and 5 minutes", 3_900_000),
        ("1 day, 2 hours", 93_600_000),
        ("500us", 1),
        ("12ns", 1),
    ] {
        assert_eq!(duration(text), Some(expected), "{text}");
    }
    for text in ["", "12", "s", "12 parsecs", "12s left", "1..5s", ".s", "-3s", "1e3s"] {
        assert_eq!(duration(text), None, "{text}");
    }
}

#[test]
fn messages() {
    for (text, expected) in [
        ("Please retry in 53.8s.", 54),
        ("Please retry in 20.04466179s.", 21),
        ("Please retry in 900ms", 1),
        ("Please retry in 1h52m56.409571576s.", 6_777),
        ("Please retry in 11h51m44s or upgrade your tier", 42_704),
        ("Please try again in 7m12s. Visit https://x", 432),
        ("Please try again in 28m48s.", 1_728),
        ("Please try again in 29ms.", 1),
        ("Please try again in 5.289s.", 6),
        ("Please try again in 11m0.528s.", 661),
        ("Please try again in 1h23m45.6s.", 5_026),
        ("Please try again in 6m 11.52s.", 372),
        ("Please retry after 22 seconds. Please go here", 22),
        ("Expected available in 1 second.", 1),
        ("Your rate limit resets in ~30s.", 30),
        ("Quota will be replenished in 1.02:03:04.", 93_784),
        ("Quota will be replenished in 02:03:04", 7_384),
        ("Try again in a moment, or please try again in 3s", 3),
        ("You will regain access on 2026-08-11 at 00:00 UTC.", 86_400),
        ("You will regain access on 2026-08-11 at 12:30 UTC.", 131_400),
        ("You will regain access on 2026-08-11.", 86_400),
        ("You will regain access on 2030-01-01 at 00:00 UTC.", 2_678_400),
    ] {
        assert_eq!(from_message(text, NOW), Some(expected * SECOND), "{text}");
    }
    for text in [
        "",
        "Please try again later.",
        "Please wait and try again in a moment",
        "You will regain access on 2026-04-01 at 00:00 UTC.",
        "You will regain access on Monday",
        "retry in 5 models",
        "Quota will be replenished in 99999999999999999999.02:03:04",
    ] {
        assert_eq!(from_message(text, NOW), None, "{text}");
    }
}

#[test]
fn fields() {
    for (error, expected) in [
        (json!({"details": [{"@type": "Help"}, {"retryDelay": "12s"}]}), Some(12)),
        (json!({"details": [{"retryDelay": 12}]}), None),
        (json!({"retry_after": 1}), Some(1)),
        (json!({"retry_after": "7"}), Some(7)),
        (json!({"estimated_time": 20.0}), Some(20)),
        (json!({"estimated_time": null}), None),
        (json!({"metadata": {"headers": {"X-RateLimit-Reset": "1786320060000"}}}), Some(60)),
        (json!({"metadata": {"headers": {"x-ratelimit-reset": 1_786_320_060}}}), Some(60)),
        (json!({"metadata": {"headers": {"X-RateLimit-Reset": "1"}}}), None),
        (json!("text"), None),
    ] {
        let expected = expected.map(|wait| wait * SECOND);
        assert_eq!(from_fields(&error, &error, NOW), expected, "{error}");
    }
    let root = json!({"error": "loading", "estimated_time": 19.2});
    assert_eq!(from_fields(&Value::Null, &root, NOW), Some(20 * SECOND));
}

proptest! {
    #[test]
    fn no_text_panics(text in any::<String>(), now in any::<u64>()) {
        let header = |_: &str| Some(text.clone());
        let _ = from_headers(&header, now);
        let _ = http_date(&text);
        let _ = rfc3339(&text);
        let _ = epoch(&text);
        let _ = duration(&text);
        let _ = from_message(&text, now);
    }

    #[test]
    fn no_likely_text_panics(
        text in "(retry in |regain access on |replenished in |try again in )\
                 [0-9.:~Tz+é-]{0,24} ?(s|ms|at|h|µs| seconds)?[0-9: ]{0,9}",
        now in any::<u64>(),
    ) {
        if let Some(wait) = from_message(&text, now) {
            prop_assert!((MIN_WAIT..=MAX_WAIT).contains(&wait));
        }
        let rest = text.split_once(' ').map_or("", |(_, rest)| rest);
        let _ = http_date(rest);
        let _ = rfc3339(rest);
        let _ = duration(rest);
    }

    #[test]
    fn headers_state_bounded_waits(value in "[0-9]{1,30}(\\.[0-9]{0,30})?") {
        let header = |_: &str| Some(value.clone());
        let wait = from_headers(&header, NOW).unwrap();
        prop_assert!((MIN_WAIT..=MAX_WAIT).contains(&wait));
    }
}
