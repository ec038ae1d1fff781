//! The fixture, the shapes of bodies, and properties of all answers.

mod rows;

use std::collections::BTreeMap;

use proptest::prelude::*;
use serde_json::Value;

use super::super::verdict::{Reason, Scope, Verdict, Wait};
use super::super::{DAY, MINUTE, Millis, SECOND, clock, retry_after};
use super::{Answer, MAX_ERROR_BODY, classify, classify_stream_head, message};

/// Monday, 10 August 2026, 00:00 UTC.
const NOW: Millis = 1_786_320_000_000;

/// Answers that were seen or are documented, with the verdict that each deserves.
const CASES: &str = include_str!("cases.json");

fn verdict_at(
    now: Millis,
    provider: &str,
    status: u16,
    headers: &[(&str, &str)],
    body: &[u8],
) -> Verdict {
    let find = |name: &str| {
        headers.iter().find(|(have, _)| *have == name).map(|(_, value)| (*value).to_owned())
    };
    let answer = Answer { provider, model: "m", status, headers: &find, body, now };
    match status {
        200 => classify_stream_head(&answer).unwrap_or(Verdict::Success),
        _ => classify(&answer),
    }
}

fn verdict(provider: &str, status: u16, body: &str) -> Verdict {
    verdict_at(NOW, provider, status, &[], body.as_bytes())
}

// === what a verdict is expected to be ===

fn stated(seconds: u64) -> Wait {
    Wait::Stated(NOW + seconds * SECOND)
}

fn cool(scope: Scope, wait: Wait, reason: Reason) -> Verdict {
    Verdict::Cool { scope, wait, reason }
}

fn reject(reason: Reason) -> Verdict {
    Verdict::Reject { reason, certain: true }
}

fn doubt(reason: Reason) -> Verdict {
    Verdict::Reject { reason, certain: false }
}

const fn transient(elsewhere: bool, after: Millis, unexecuted: bool) -> Verdict {
    Verdict::Transient { elsewhere, after, unexecuted }
}

/// The name that the cases give a verdict, and how many milliseconds it lasts.
fn named(verdict: &Verdict, now: Millis) -> (&'static str, Option<Millis>) {
    match verdict {
        Verdict::Success => ("success", None),
        Verdict::Caller => ("client_error", None),
        Verdict::Egress => ("egress_error", None),
        Verdict::Gateway { .. } => ("gateway_config", None),
        Verdict::Reject { .. } => ("block_key", None),
        Verdict::Transient { elsewhere: true, after, .. } => ("retry_elsewhere", Some(*after)),
        Verdict::Transient { elsewhere: false, after, .. } => ("retry_same", Some(*after)),
        Verdict::Cool { scope, wait, .. } => {
            let wait = match wait {
                Wait::Stated(until) => until - now,
                Wait::Guessed(wait) | Wait::Recheck(wait) => *wait,
            };
            (if *scope == Scope::Model { "cool_model" } else { "cool_key" }, Some(wait))
        }
    }
}

/// The end that a rule of the cases names, where it names no number of seconds.
fn end_of(rule: &str, now: Millis) -> Option<Millis> {
    let first = rule.split([',', ' ']).next().unwrap();
    if let Some(time) = rule.strip_prefix("until:") {
        return retry_after::rfc3339(time.split(' ').next().unwrap());
    }
    Some(match first {
        "until_midnight_pacific" => clock::midnight_pacific(now),
        "until_utc_midnight" => clock::midnight_utc(now),
        "until_monday_utc" => clock::monday_utc(now),
        "next_minute_boundary" => clock::minute_boundary(now),
        _ if rule.ends_with("else 86400") => now + DAY,
        _ => return None,
    })
}

#[test]
fn every_case_has_its_verdict() {
    let cases: Vec<Value> = serde_json::from_str(CASES).unwrap();
    assert!(cases.len() >= 176);
    let mut wrong = Vec::new();
    let mut passed: BTreeMap<String, (usize, usize)> = BTreeMap::new();
    for case in &cases {
        let text = |name: &str| case[name].as_str().unwrap_or("");
        let rule = text("expected_cooldown_rule");
        // The gateway is known by its body, whichever provider was asked.
        let provider = match text("provider") {
            "ai-gateway" => "openai",
            provider => provider,
        };
        let headers: Vec<(&str, &str)> = case["headers"]
            .as_object()
            .unwrap()
            .iter()
            .map(|(name, value)| (name.as_str(), value.as_str().unwrap()))
            .collect();
        let status = u16::try_from(case["status"].as_u64().unwrap()).unwrap();
        // A date in a message is only believed in the month before it.
        let now = match rule.strip_prefix("until:") {
            Some(_) => end_of(rule, NOW).unwrap() - 10 * DAY,
            None => NOW,
        };
        let verdict = verdict_at(now, provider, status, &headers, text("body").as_bytes());
        let (name, wait) = named(&verdict, now);

        let mut good = name == text("expected_verdict");
        let expected = case["expected_cooldown_seconds"]
            .as_u64()
            .map(|seconds| seconds * SECOND)
            .or_else(|| end_of(rule, now).map(|end| end - now));
        good &= expected.is_none() || wait == expected;
        // Each wait comes from where the rule says.
        if let Verdict::Cool { scope, wait, .. } = verdict {
            good &= rule.contains("free' models") == (scope == Scope::FreeModels);
            let recheck = rule.contains("reprobe") && !rule.starts_with("until_midnight_pacific");
            good &= !recheck || matches!(wait, Wait::Recheck(_));
            let hint = ["hint", "retry-after header", "RetryInfo", "body retry_after"];
            let said = rule != "no hint" && hint.iter().any(|word| rule.contains(word));
            good &= !said || matches!(wait, Wait::Stated(_));
        }
        let count = passed.entry(text("provider").to_owned()).or_default();
        count.1 += 1;
        count.0 += usize::from(good);
        if !good {
            wrong.push(format!("{}: {verdict:?}, expected {case}", text("id")));
        }
    }
    let table: String =
        passed.iter().map(|(name, (good, all))| format!("{name}: {good}/{all}\n")).collect();
    println!("{table}");
    assert!(wrong.is_empty(), "{table}{} wrong:\n{}", wrong.len(), wrong.join("\n"));
}

// === shapes ===

#[test]
fn a_body_may_be_cut_broken_or_huge() {
    let cases: Vec<Value> = serde_json::from_str(CASES).unwrap();
    let body = |id: &str| {
        let case = cases.iter().find(|case| case["id"] == id).unwrap();
        case["body"].as_str().unwrap().to_owned()
    };
    let invalid = body("gai-key-invalid-array");
    let cut = invalid.split_once("main\"").unwrap().0;
    assert_eq!(verdict("google-ai-studio", 400, cut), reject(Reason::Invalid));
    let quota = body("gai-429-embed-rpd");
    let cut = quota.split_once("quotaDimensions").unwrap().0;
    let midnight = Wait::Stated(clock::midnight_pacific(NOW));
    let expected = cool(Scope::Model, midnight, Reason::DayQuota);
    assert_eq!(verdict("google-ai-studio", 429, cut), expected);
    // Invalid UTF-8 in the message.
    let bytes = body("oai-401-deactivated").replace("OpenAI", "\u{1}");
    let bytes: Vec<u8> =
        bytes.into_bytes().into_iter().map(|byte| if byte == 1 { 0xff } else { byte }).collect();
    assert_eq!(verdict_at(NOW, "openai", 401, &[], &bytes), reject(Reason::Suspended));
    // What follows the first 64 KB is not read, and what precedes is.
    let junk = "x".repeat(2 * 1024 * 1024);
    let early = format!(r#"{{"error":{{"code":"invalid_api_key","message":"{junk}"}}}}"#);
    assert_eq!(verdict("openai", 401, &early), reject(Reason::Invalid));
    let late = format!(r#"{{"error":{{"message":"{junk}","code":"invalid_api_key"}}}}"#);
    assert_eq!(verdict("openai", 401, &late), doubt(Reason::Unauthorized));
    // Unknown fields, and numbers as strings.
    let odd = r#"{"x":[{"y":1}],"error":{"z":{},"code":"429","message":"wait","retry_after":"7"}}"#;
    let expected = cool(Scope::Model, stated(7), Reason::RateLimit);
    assert_eq!(verdict("custom-mine", 429, odd), expected);
}

#[test]
fn messages_for_the_log() {
    let of = |body: &str| message(body.as_bytes());
    assert_eq!(of(r#"[{"error":{"message":"a\nb\u0007c"}}]"#).as_deref(), Some("a b c"));
    assert_eq!(of(r#"{"err_code":"TOO_MANY_REQUESTS"}"#).as_deref(), Some("TOO_MANY_REQUESTS"));
    assert_eq!(of("  Title: words \n").as_deref(), Some("Title: words"));
    assert_eq!(of("<html><title>502 Bad</title>").as_deref(), Some("502 Bad"));
    assert_eq!(of("<!doctype html>").as_deref(), Some("an HTML page"));
    assert_eq!(of(""), None);
    assert_eq!(of("{}"), None);
    assert_eq!(of(&"é".repeat(1_000)).unwrap().chars().count(), super::MAX_MESSAGE);
}

#[test]
fn errors_in_a_200() {
    let head = |provider, body: &str| verdict(provider, 200, body);
    for content in [
        "",
        "data: {\"choices\":[{\"delta\":{\"content\":\"error\"}}],\"error\":null}\n\n",
        "event: response.created\ndata: {\"response\":{\"error\":null}}\n\n",
        r#"[{"candidates":[{"content":{"parts":[{"text":"{\"error\":{}}"}]}}]}]"#,
        r#"{"id":"resp_1","status":"failed","error":{"code":"server_error","message":"x"}}"#,
        r#"{"name":"operations/1","done":true,"error":{"code":8,"message":"x"}}"#,
        r#"{"id":"p","status":"failed","error":"NSFW"}"#,
        r#"{"text":"an error"}"#,
        r#"{"error":null}"#,
        "an error of the caller's own text",
    ] {
        assert_eq!(head("openai", content), Verdict::Success, "{content}");
    }
    let rate = cool(Scope::Model, Wait::Guessed(MINUTE), Reason::RateLimit);
    let gemini = r#"{"error":{"code":429,"status":"RESOURCE_EXHAUSTED","message":"Quota"}}"#;
    assert_eq!(head("google-ai-studio", &format!("data: {gemini}\r\n\r\n")), rate);
    assert_eq!(head("google-ai-studio", &format!("[{gemini}\n,")), rate);
    assert_eq!(
        head("google-ai-studio", &format!("[{}", gemini.split_once("Quota").unwrap().0)),
        rate
    );
    assert_eq!(head("custom-mine", gemini), rate);
    let error = "event: error\ndata: {\"type\":\"error\",\"error\":{\"type\":\"";
    assert_eq!(
        head("anthropic", &format!("{error}authentication_error\"}}}}\n\n")),
        reject(Reason::Invalid)
    );
    assert_eq!(
        head("anthropic", &format!("{error}api_error\"}}}}\n\n")),
        transient(true, 0, false)
    );
    assert_eq!(head("openai", "event: error\ndata: out of memory\n\n"), transient(true, 0, false));
    let late = format!("data: {{\"choices\":[]}}\n\ndata: {gemini}\n\n");
    assert_eq!(head("openrouter", &late), rate);
}

// === properties ===

const PROVIDERS: &[&str] = &[
    "anthropic",
    "aws-bedrock",
    "azure-openai",
    "cartesia",
    "cerebras",
    "cohere",
    "deepgram",
    "deepseek",
    "elevenlabs",
    "fal",
    "google-ai-studio",
    "google-vertex-ai",
    "grok",
    "groq",
    "huggingface",
    "mistral",
    "openai",
    "openrouter",
    "perplexity-ai",
    "replicate",
    "workers-ai",
    "custom-mine",
    "",
];

/// A body of the cases, whole or cut, or arbitrary bytes.
fn bodies() -> impl Strategy<Value = Vec<u8>> {
    let cases: Vec<Value> = serde_json::from_str(CASES).unwrap();
    let known: Vec<Vec<u8>> =
        cases.iter().map(|case| case["body"].as_str().unwrap().as_bytes().to_vec()).collect();
    let known = prop::sample::select(known);
    prop_oneof![
        known.clone(),
        (known, any::<prop::sample::Index>()).prop_map(|(mut body, end)| {
            body.truncate(end.index(body.len() + 1));
            body
        }),
        prop::collection::vec(any::<u8>(), 0..200),
        "[\\[\\]{}\":,a-z0-9\\\\ ]{0,60}".prop_map(String::into_bytes),
    ]
}

fn check_time(verdict: &Verdict, now: Millis) -> Result<(), TestCaseError> {
    if let Verdict::Cool { wait, .. } = verdict {
        match *wait {
            Wait::Stated(until) => {
                prop_assert!(until > now, "{:?}", verdict);
                prop_assert!(until <= now + 31 * DAY, "{:?}", verdict);
            }
            Wait::Guessed(wait) | Wait::Recheck(wait) => {
                prop_assert!((SECOND..=31 * DAY).contains(&wait), "{:?}", verdict);
            }
        }
    }
    Ok(())
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 2_000, ..ProptestConfig::default() })]

    #[test]
    fn any_answer_has_a_verdict(
        provider in prop::sample::select(PROVIDERS),
        status in prop_oneof![Just(400_u16), Just(401), Just(403), Just(429), any::<u16>()],
        header in prop_oneof![Just(None), "[0-9]{1,20}".prop_map(Some), any::<String>().prop_map(Some)],
        body in bodies(),
        now in 0_u64..4_000_000_000_000,
    ) {
        let headers = |_: &str| header.clone();
        let answer = Answer { provider, model: "m", status, headers: &headers, body: &body, now };
        let verdict = classify(&answer);
        prop_assert_eq!(verdict == Verdict::Success, (100..400).contains(&status));
        check_time(&verdict, now)?;
        if let Some(verdict) = classify_stream_head(&answer) {
            prop_assert_ne!(&verdict, &Verdict::Success);
            check_time(&verdict, now)?;
        }
        if let Some((scope, wait, reason)) = super::spent(provider, &headers, now) {
            check_time(&cool(scope, wait, reason), now)?;
        }
        if let Some(message) = message(&body) {
            prop_assert!(message.chars().count() <= super::MAX_MESSAGE);
            prop_assert!(!message.chars().any(char::is_control));
        }
    }

    #[test]
    fn the_gateway_never_touches_a_key(
        provider in prop::sample::select(PROVIDERS),
        status in 400_u16..600,
        code in prop_oneof![2_000_u32..3_000, 7_000_u32..8_000],
        named in any::<bool>(),
        text in "[a-zA-Z .]{0,40}",
    ) {
        let name = if named { ",\"name\":\"AiGatewayError\"" } else { "" };
        let body = format!(
            r#"{{"success":false,"error":[{{"code":{code},"message":"{text}"}}]{name}}}"#
        );
        let verdict = verdict(provider, status, &body);
        let touches = matches!(verdict, Verdict::Cool { .. } | Verdict::Reject { .. });
        prop_assert!(!touches, "{:?}", verdict);
    }
}

#[test]
fn a_full_body_is_read_to_its_limit() {
    let mut body = format!("{}{}", " ".repeat(MAX_ERROR_BODY - 4), r#"{"code":"invalid_api_key"}"#);
    assert_eq!(verdict("openai", 401, &body), doubt(Reason::Unauthorized));
    body.drain(..100);
    assert_eq!(verdict("openai", 401, &body), reject(Reason::Invalid));
}

// === found by fuzzing ===

#[test]
fn a_server_error_blocks_no_key_whatever_it_says() {
    let said = r#"{"error":{"code":"invalid_api_key","message":"API key not valid."}}"#;
    for (provider, status) in [("openai", 500), ("openrouter", 502), ("google-ai-studio", 503)] {
        assert_eq!(verdict(provider, status, said), transient(true, 0, false), "{provider}");
    }
    let headers = [("x-amzn-errortype", "ExpiredTokenException")];
    let answer = verdict_at(NOW, "aws-bedrock", 520, &headers, b"");
    assert_eq!(answer, transient(true, 0, false));
    assert_eq!(verdict("openai", 401, said), reject(Reason::Invalid));
}
