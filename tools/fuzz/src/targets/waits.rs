//! Every way in which a wait is written: the parsers of `retry_after`.

use one_balance::balance::retry_after::{
    self, MAX_WAIT, MIN_WAIT, duration, epoch, from_fields, from_headers, from_message, http_date,
    rfc3339, seconds,
};
use one_balance::balance::{HOUR, MINUTE, Millis, SECOND};
use serde_json::{Value, json};

use super::ensure;
use crate::mutate::Source;
use crate::{Input, Target};

pub const TEXTS: Target = Target { name: "waits", weight: 15, make, check };

const KNOWN: [&str; 38] = [
    "0",
    "1",
    "120",
    "0.5",
    "33011.382867",
    "1786320060",
    "1786320060000",
    "Wed, 21 Oct 2026 07:28:00 GMT",
    "Wednesday, 21-Oct-26 07:28:00 GMT",
    "Wed Oct 21 07:28:00 2026",
    "2030-01-02T03:04:05Z",
    "2026-08-10T00:00:10.5+02:00",
    "6m0s",
    "1s",
    "20ms",
    "2m59.56s",
    "1h23m31s",
    "6m 11.52s",
    "34.074824224s",
    "900ms",
    "12us",
    "7 ns",
    "12µs",
    "Please retry in 53.8s",
    "Please retry in 1h52m56.409571576s.",
    "Please try again in 7m12s",
    "Please try again in 6m 11.52s. Visit",
    "Please retry after 22 seconds.",
    "Quota will be replenished in 1.02:03:04.",
    "You will regain access on 2026-04-01 at 00:00 UTC.",
    "Expected available in 1 second.",
    "resets in ~30s",
    "Your quota will reset after 3h2m1s.",
    "Please wait 20 seconds before trying again.",
    "try again in 1 hour and 5 minutes, or so",
    "Requests per Minute (actual/limit): 3/3",
    "limit: 0",
    "-5",
];

/// A way to write a wait, changed now and then.
pub fn text(source: &mut Source<'_>) -> String {
    let known = source.rng.pick(&KNOWN);
    if source.rng.once_in(2) { known.to_owned() } else { source.mutated_text(known) }
}

fn make(source: &mut Source<'_>) -> Input {
    let mut words = text(source);
    if source.rng.once_in(4) {
        words = [text(source), words].join(" ");
    }
    Input::default()
        .with("text", words)
        .with("number", source.rng.between(0, 9_999_999_999).to_string())
        .with("now", source.rng.between(0, 4_000_000_000_000).to_string())
}

fn check(input: &Input) -> Result<(), String> {
    let (text, now) = (input.text("text"), input.number("now"));
    let bounded = |name: &str, wait: Option<Millis>| {
        let good = wait.is_none_or(|wait| (MIN_WAIT..=MAX_WAIT).contains(&wait));
        ensure(good, "a wait is between a second and 31 days", || format!("{name} {wait:?}"))
    };
    for wanted in ["retry-after", "retry-after-ms", "x-ratelimit-timeremaining"] {
        let headers = |name: &str| (name == wanted).then(|| text.clone().into_owned());
        bounded(wanted, from_headers(&headers, now))?;
    }
    bounded("message", from_message(&text, now))?;
    let fields = [
        json!({ "details": [{ "retryDelay": text }] }),
        json!({ "retry_after": text }),
        json!({ "estimated_time": text }),
        json!({ "metadata": { "headers": { "X-RateLimit-Reset": text } } }),
        json!({ "retry_after": text.parse::<f64>().unwrap_or(0.0) }),
    ];
    for field in &fields {
        bounded("field", from_fields(field, &Value::Null, now))?;
        bounded("field of the document", from_fields(&Value::Null, field, now))?;
    }
    let _ = (epoch(&text), http_date(&text), retry_after::retry_after(&text, now));
    let _ = (rfc3339(&text), duration(&text), seconds(&text));
    bounded("until", retry_after::until(input.number("number"), now))?;
    written_and_read(input.number("number"))
}

/// What is written as providers write it is read as what it was.
fn written_and_read(number: u64) -> Result<(), String> {
    let agree = |what: &str, read: Option<Millis>, meant: Millis| {
        ensure(read == Some(meant), "what is written is read", || {
            format!("{what} of {number} is {read:?}, not {meant}")
        })
    };
    agree("seconds", seconds(&number.to_string()), number * SECOND)?;
    let (whole, millis) = (number / 1_000, number % 1_000);
    agree("decimal", seconds(&format!("{whole}.{millis:03}")), number)?;
    let (h, m, s) = (number / HOUR, number / MINUTE % 60, number / SECOND % 60);
    agree("Go", duration(&format!("{h}h{m}m{s}.{millis:03}s")), number)?;
    agree("Groq", duration(&format!("{h}h {m}m {s}.{millis:03}s")), number)?;
    agree("milliseconds", duration(&format!("{number}ms")), number)?;
    let bounded = Some(retry_after::bounded(number));
    let said = from_message(&format!("No. Please try again in {h}h{m}m{s}.{millis:03}s."), 0);
    ensure(said == bounded, "what is said is read", || format!("{number}: {said:?}"))
}
