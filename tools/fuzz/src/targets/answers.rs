//! Answers of providers and of the gateway: `classify`, `classify_stream_head`, `message`, `spent`,
//! and what `health` makes of the verdict.

use one_balance::balance::classify::{
    self, Answer, MAX_MESSAGE, classify, classify_stream_head, is_empty_answer, message, spent,
};
use one_balance::balance::health::{self, Attempt, Policy};
use one_balance::balance::home::Wanted;
use one_balance::balance::key::{Cooling, Key, KeyId, Secret, Source as Authority};
use one_balance::balance::snapshot::Change;
use one_balance::balance::verdict::{Reason, Scope, Verdict, Wait};
use one_balance::balance::{DAY, Millis, SECOND};
use serde_json::{Value, json};

use super::ensure;
use crate::mutate::Source;
use crate::{Input, Target};

pub const CLASSIFY: Target =
    Target { name: "classify", weight: 60, make: captured, check: check_answer };
pub const GATEWAY: Target =
    Target { name: "gateway", weight: 5, make: of_the_gateway, check: check_gateway };

const HEADERS: [&str; 24] = [
    "retry-after",
    "retry-after-ms",
    "x-ratelimit-timeremaining",
    "x-should-retry",
    "x-ratelimit-limit-requests",
    "x-ratelimit-remaining-requests",
    "x-ratelimit-reset-requests",
    "x-ratelimit-limit-tokens",
    "x-ratelimit-remaining-tokens",
    "x-ratelimit-reset-tokens",
    "x-ratelimit-remaining-requests-day",
    "x-ratelimit-reset-requests-day",
    "x-ratelimit-remaining-tokens-minute",
    "x-ratelimit-reset-tokens-minute",
    "x-ratelimit-remaining-req-minute",
    "x-ratelimitbysize-remaining-month",
    "x-trial-endpoint-call-remaining",
    "anthropic-ratelimit-requests-remaining",
    "anthropic-ratelimit-requests-reset",
    "anthropic-ratelimit-tokens-remaining",
    "anthropic-ratelimit-tokens-reset",
    "x-amzn-errortype",
    "content-type",
    "x-error-message",
];

const STATUSES: [u16; 40] = [
    0, 100, 101, 199, 200, 201, 204, 206, 301, 304, 399, 400, 401, 402, 403, 404, 405, 408, 409,
    413, 415, 418, 422, 424, 425, 429, 431, 451, 498, 499, 500, 501, 502, 503, 504, 520, 524, 529,
    530, 999,
];

/// A captured answer, changed; its status mostly kept.
fn captured(source: &mut Source<'_>) -> Input {
    let case = &source.corpus.cases[source.rng.below(source.corpus.cases.len())];
    let mut provider = case.provider.as_str();
    if source.rng.once_in(4) {
        provider = source.provider();
    }
    let mut status = case.status;
    if source.rng.once_in(3) {
        status = STATUSES[source.rng.below(STATUSES.len())];
    }
    let mut headers: Vec<String> =
        case.headers.iter().map(|(name, value)| format!("{name}: {value}")).collect();
    for _ in 0..source.rng.below(4) {
        let name = source.rng.pick(&HEADERS);
        let value = super::waits::text(source);
        headers.push(format!("{name}: {value}"));
    }
    let headers = headers.join("\n").replace('\r', " ");
    let mut body = case.body.clone();
    if let Ok(mut document) = serde_json::from_slice::<Value>(&body)
        && !source.rng.once_in(3)
    {
        for _ in 0..source.rng.below(5) {
            source.mutate_json(&mut document);
        }
        body = document.to_string().into_bytes();
    } else {
        source.mutate(&mut body);
    }
    if source.rng.once_in(20) {
        let frame = source.rng.pick(&["data: ", "event: error\ndata: ", "[", "\u{feff}"]);
        body.splice(..0, frame.bytes());
    }
    let model = source.rng.pick(&["m", "*", "vendor/model:free", ""]);
    let (now, since) = (source.rng.between(0, 4_000_000_000_000), source.rng.between(0, 40 * DAY));
    let known = format!(
        "{},{},{},{}",
        since,
        source.rng.between(0, 40 * DAY),
        source.rng.below(2),
        source.rng.below(9)
    );
    Input::default()
        .with("provider", provider)
        .with("status", status.to_string())
        .with("headers", headers)
        .with("body", body)
        .with("model", model)
        .with("now", now.to_string())
        .with("known", known)
}

fn check_answer(input: &Input) -> Result<(), String> {
    let (provider, model) = (input.text("provider"), input.text("model"));
    let status = u16::try_from(input.number("status")).unwrap_or(0);
    let now = input.number("now");
    let head = input.text("headers");
    let asked = std::cell::RefCell::new(None);
    let headers = |name: &str| {
        if name.bytes().any(|byte| byte.is_ascii_uppercase()) {
            asked.replace(Some(name.to_owned()));
        }
        let lines = head.lines().filter_map(|line| line.split_once(": "));
        lines.filter(|(have, _)| *have == name).map(|(_, value)| value.to_owned()).next()
    };
    let body = input.bytes("body");
    let answer =
        Answer { provider: &provider, model: &model, status, headers: &headers, body, now };

    let verdict = classify(&answer);
    let success = (100..400).contains(&status);
    ensure((verdict == Verdict::Success) == success, "a status below 400 is a success", || {
        format!("{verdict:?}")
    })?;
    ensure(verdict == classify(&answer), "the same answer has one verdict", || {
        format!("{verdict:?}")
    })?;
    in_time(&verdict, now)?;
    let blocks = matches!(verdict, Verdict::Reject { .. });
    ensure(!(blocks && status >= 500), "a broken provider blocks no key", || {
        format!("{status} {verdict:?}")
    })?;
    changes(input, &verdict)?;

    if let Some(verdict) = classify_stream_head(&answer) {
        ensure(verdict != Verdict::Success, "an error in a 200 is no success", String::new)?;
        in_time(&verdict, now)?;
        changes(input, &verdict)?;
    }
    if let Some((scope, wait, reason)) = spent(&provider, &headers, now) {
        ensure(
            classify::gauges_of(&provider).is_some(),
            "quota headers of who sends some",
            String::new,
        )?;
        let verdict = Verdict::Cool { scope, wait, reason };
        in_time(&verdict, now)?;
        changes(input, &verdict)?;
    }
    let _ = is_empty_answer(body);
    same_however_written(&answer, &verdict)?;
    if let Some(message) = message(body) {
        ensure(message.chars().count() <= MAX_MESSAGE, "a message is a line", || message.clone())?;
        ensure(!message.chars().any(char::is_control), "a message is one line", || {
            message.clone()
        })?;
        ensure(!message.trim().is_empty(), "a message says something", || message.clone())?;
    }
    let odd = asked.into_inner();
    ensure(odd.is_none(), "headers are asked for in lower case", || format!("{odd:?}"))
}

/// White space around a document and between its tokens means nothing, nor does an array around it.
fn same_however_written(answer: &Answer<'_>, verdict: &Verdict) -> Result<(), String> {
    const ROOM: usize = classify::MAX_ERROR_BODY / 2;
    if answer.body.len() > ROOM {
        return Ok(());
    }
    let Ok(document) = serde_json::from_slice::<Value>(answer.body) else { return Ok(()) };
    let mut forms = vec![
        ("as it would be written anew", document.to_string()),
        ("with blanks", format!(" \r\n{document:#}\n\n")),
        ("behind a byte order mark", format!("\u{feff}{document}")),
    ];
    // The gateway's own answers are never in an array.
    let own = document.get("name").is_some() || document.get("success").is_some();
    if document.is_object() && document.get("error").is_some_and(Value::is_object) && !own {
        forms.push(("in an array", format!("[{document}]")));
    }
    for (how, text) in forms.iter().filter(|(_, text)| text.len() <= ROOM) {
        let other = classify(&Answer { body: text.as_bytes(), ..*answer });
        ensure(other == *verdict, "a verdict does not depend on the writing", || {
            format!("{how}: {other:?}, not {verdict:?}")
        })?;
    }
    Ok(())
}

/// Waits are in the future and within the cap.
fn in_time(verdict: &Verdict, now: Millis) -> Result<(), String> {
    let good = match verdict {
        Verdict::Cool { wait: Wait::Stated(until), .. } => {
            *until > now && *until <= now.saturating_add(31 * DAY)
        }
        Verdict::Cool { wait: Wait::Guessed(wait) | Wait::Recheck(wait), .. } => {
            (SECOND..=31 * DAY).contains(wait)
        }
        Verdict::Transient { after, .. } => *after <= 31 * DAY,
        _ => true,
    };
    ensure(good, "a wait is in time", || format!("{verdict:?} at {now}"))
}

/// What `health` makes of it, for a key without and with a cooling that it has already.
fn changes(input: &Input, verdict: &Verdict) -> Result<(), String> {
    let (provider, model, now) = (input.text("provider"), input.text("model"), input.number("now"));
    let known = input.numbers("known");
    let at = |index: usize| u64::try_from(known.get(index).copied().unwrap_or(0)).unwrap_or(0);
    let since = now.saturating_sub(at(0));
    let cooling = Cooling {
        model: if at(3) % 2 == 0 { model.clone().into_owned() } else { "*".to_owned() },
        until: since + at(1),
        since,
        source: if at(2) == 0 { Authority::Stated } else { Authority::Guessed },
        reason: Reason::RateLimit,
        strikes: u32::try_from(at(3)).unwrap_or(0),
        retried: false,
        disproved: false,
    };
    for coolings in [Vec::new(), vec![cooling]] {
        let secret = Secret::new("secret".to_owned());
        let key = Key { coolings, ..Key::new(KeyId(1), secret) };
        let attempt = Attempt {
            provider: &provider,
            wanted: Wanted { model: &model, home: None },
            started: now,
            ready_since: 0,
        };
        let policy = Policy { consecutive_429_threshold: 5 };
        let change = health::change(&key, attempt, verdict, now, policy);
        let evidence = || format!("{verdict:?} at {now} makes {change:?}");
        match (&change, verdict) {
            (None, _) => {}
            (Some(Change::Block { .. }), Verdict::Reject { .. }) => {}
            // A refusal that may pass and did not, several times.
            (
                Some(Change::Block { certain: false, .. }),
                Verdict::Cool {
                    scope: Scope::Key,
                    wait: Wait::Recheck(_),
                    reason: Reason::Permission | Reason::Suspended,
                },
            ) if !key.coolings.is_empty() => {}
            (Some(Change::Cool { cooling, .. }), Verdict::Cool { wait, .. }) => {
                let ahead = cooling.until.saturating_sub(now);
                let good = (SECOND..=31 * DAY).contains(&ahead) && cooling.since == now;
                ensure(good, "a cooling ends in time", evidence)?;
                let stated = matches!(wait, Wait::Stated(_));
                let kept = stated == (cooling.source == Authority::Stated);
                ensure(kept, "a stated time stays stated", evidence)?;
                // A time that a provider stated is never shortened.
                let shortened = key.coolings.iter().any(|old| {
                    old.model == cooling.model
                        && old.until > now
                        && old.source == Authority::Stated
                        && cooling.until < old.until
                });
                ensure(!shortened, "a stated time is never shortened", evidence)?;
            }
            _ => return Err(format!("only a verdict about the key changes it: {}", evidence())),
        }
    }
    Ok(())
}

/// An answer of the gateway's own, with whatever else in it.
fn of_the_gateway(source: &mut Source<'_>) -> Input {
    let code = match source.rng.below(4) {
        0 => source.rng.between(7_000, 7_999),
        _ => source.rng.between(2_000, 2_999),
    };
    let named = source.rng.once_in(2);
    let words = source.word().to_owned();
    let mut error = json!({ "code": code, "message": words });
    let mut document = json!({ "success": false, "result": [], "messages": [] });
    for _ in 0..source.rng.below(6) {
        let mut junk: Value =
            serde_json::from_slice(&source.body()).unwrap_or_else(|_| json!({ "x": 1 }));
        source.mutate_json(&mut junk);
        let name = source.word().to_owned();
        let place = if source.rng.once_in(2) { &mut error } else { &mut document };
        if let Value::Object(fields) = place {
            fields.insert(name, junk);
        }
    }
    error["code"] = json!(code);
    document["success"] = json!(false);
    document["error"] = json!([error]);
    if named {
        document["name"] = json!("AiGatewayError");
        document["internalCode"] = json!(code);
    } else if let Value::Object(fields) = &mut document {
        fields.remove("name");
    }
    let status = STATUSES[source.rng.below(STATUSES.len())].max(400);
    Input::default()
        .with("provider", source.provider())
        .with("status", status.to_string())
        .with("headers", format!("retry-after: {}", super::waits::text(source)))
        .with("body", document.to_string())
        .with("now", "1786320000000")
}

fn check_gateway(input: &Input) -> Result<(), String> {
    let shaped = serde_json::from_slice::<Value>(input.bytes("body")).is_ok_and(|document| {
        let code = document.pointer("/error/0/code").and_then(Value::as_u64);
        let known = code.is_some_and(|code| matches!(code, 2_000..=2_999 | 7_000..=7_999));
        known && document.get("success") == Some(&Value::Bool(false))
    });
    if !shaped || input.bytes("body").len() > classify::MAX_ERROR_BODY {
        return Ok(()); // made smaller until it was none, or cut
    }
    let provider = input.text("provider");
    let headers = |_: &str| input.text("headers").split_once(": ").map(|(_, v)| v.to_owned());
    let answer = Answer {
        provider: &provider,
        model: "m",
        status: u16::try_from(input.number("status")).unwrap_or(400).max(400),
        headers: &headers,
        body: input.bytes("body"),
        now: input.number("now"),
    };
    let verdict = classify(&answer);
    let touches = matches!(verdict, Verdict::Cool { .. } | Verdict::Reject { .. });
    ensure(!touches, "the gateway touches no key", || format!("{verdict:?}"))
}
