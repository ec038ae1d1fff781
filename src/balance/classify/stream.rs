//! An error inside a 200. The status was sent before the upstream knew: an event of a stream or an
//! element of Gemini's array holds the error instead.

use memchr::memmem;
use serde_json::Value;

use super::super::verdict::Verdict;
use super::body::{Fault, parse};
use super::{Answer, head, judge};

/// The statuses of machine-readable words, for errors that carry no number.
const STATUS_OF: &[(u16, &[&str])] = &[
    (400, &["invalid_request_error", "invalid_prompt", "INVALID_ARGUMENT", "FAILED_PRECONDITION"]),
    (401, &["authentication_error", "invalid_api_key", "UNAUTHENTICATED"]),
    (402, &["billing_error"]),
    (403, &["permission_error", "PERMISSION_DENIED"]),
    (404, &["not_found_error", "model_not_found", "NOT_FOUND"]),
    (413, &["request_too_large"]),
    (
        429,
        &[
            "rate_limit_error",
            "rate_limit_exceeded",
            "rate_limited",
            "insufficient_quota",
            "too_many_requests",
            "resource-exhausted",
            "slow_down",
            "RESOURCE_EXHAUSTED",
            "throttlingException",
        ],
    ),
    (503, &["service_unavailable", "service_unavailable_error", "UNAVAILABLE"]),
    (504, &["timeout_error", "DEADLINE_EXCEEDED"]),
    (529, &["overloaded_error", "server_is_overloaded", "overloaded"]),
];

/// Fields of a stored object or of content. An `error` beside them is that object's own story (a
/// failed batch, a finished operation), which the caller asked for.
const CONTENT: [&str; 7] = ["id", "object", "name", "done", "choices", "candidates", "output"];

/// The verdict on the first error in the beginning of a 2xx body; `None` when it is content.
///
/// Seen are: events with `event: error`, with an `error` object, with `"type":"error"` and
/// `response.failed` (OpenAI, Anthropic, OpenRouter, Gemini); an element `{"error":..}` in a JSON
/// array (Gemini); and a lone `{"error":{..}}` (OpenRouter). A null error is none: each success of
/// OpenAI's Responses has one.
#[must_use]
pub fn classify_stream_head(answer: &Answer<'_>) -> Option<Verdict> {
    let bytes = head(answer.body);
    // Content is the rule, and this is all that it costs.
    memmem::find(bytes, b"error").or_else(|| memmem::find(bytes, b"response.failed"))?;
    let text = String::from_utf8_lossy(bytes);
    let text = text.trim_start_matches('\u{feff}').trim_start();
    let error = match text.as_bytes().first()? {
        b'{' => parse(text).filter(is_lone_error),
        b'[' => error_element(text),
        // Further on in an array.
        b',' => error_element(&text.replacen(',', "[", 1)),
        _ => event_error(text),
    }?;
    let fault = Fault::of_json(&error);
    Some(judge(&Answer { status: status_of(&fault), ..*answer }, fault))
}

/// The first element of an array that is an error.
fn error_element(text: &str) -> Option<Value> {
    match parse(text)? {
        Value::Array(elements) => elements.into_iter().find(holds_error),
        _ => None,
    }
}

/// Where the last whole event, or element of Gemini's array, ends in a piece of a stream; 0 when none
/// does. Errors are only looked for in what is whole: half of one has no code yet.
#[must_use]
pub fn end_of_events(piece: &[u8]) -> usize {
    let is_array = matches!(piece.trim_ascii_start().first(), Some(b'[' | b','));
    let ends: &[&[u8]] =
        if is_array { &[b"\n}", b"}]", b"}\n]", b"},"] } else { &[b"\n\n", b"\n\r\n", b"\r\r"] };
    let last = |end: &&[u8]| memmem::rfind(piece, end).map(|at| at + end.len());
    ends.iter().filter_map(last).max().unwrap_or(0)
}

/// The first event that is an error.
fn event_error(text: &str) -> Option<Value> {
    let mut named_error = false;
    for line in text.lines() {
        if let Some(name) = line.strip_prefix("event:") {
            named_error = matches!(name.trim(), "error" | "response.failed");
        } else if let Some(data) = line.strip_prefix("data:") {
            let Some(value) = parse(data) else {
                if named_error {
                    return Some(Value::String(data.trim().to_owned()));
                }
                continue;
            };
            if named_error || holds_error(&value) {
                return Some(value);
            }
        } else if line.is_empty() {
            named_error = false;
        }
    }
    None
}

fn holds_error(value: &Value) -> bool {
    let kind = value.get("type").and_then(Value::as_str);
    if matches!(kind, Some("error" | "response.failed")) {
        return true;
    }
    match value.get("error") {
        Some(Value::Object(error)) => !error.is_empty(),
        Some(Value::String(error)) => !error.is_empty() && !is_content(value),
        _ => false,
    }
}

fn is_lone_error(value: &Value) -> bool {
    !is_content(value) && value.get("error").is_some_and(Value::is_object) && holds_error(value)
}

fn is_content(value: &Value) -> bool {
    CONTENT.iter().any(|name| value.get(name).is_some())
}

/// The status that the error would have had; 500 when it does not say.
fn status_of(fault: &Fault<'_>) -> u16 {
    fault
        .words()
        .filter_map(|word| word.parse().ok())
        .find(|status| (400..=599).contains(status))
        .or_else(|| STATUS_OF.iter().find(|(_, words)| fault.is(words)).map(|(status, _)| *status))
        .unwrap_or(500)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn looks_only_at_what_is_whole() {
        let table = [
            ("", 0),
            ("data: {\"id\"", 0),
            ("event: error\ndata: ", 0),
            ("data: 1\n\n", 9),
            ("data: 1\n\ndata: 2", 9),
            ("data: 1\r\n\r\ndata: 2\r\n\r\n", 22),
            ("[{\n  \"candidates\": [", 0),
            ("[{\n  \"a\": 1\n}\n", 13),
            (",\r\n{\"error\":{\"code\":429}}\n]", 27),
        ];
        for (piece, end) in table {
            assert_eq!(end_of_events(piece.as_bytes()), end, "{piece:?}");
        }
    }

    #[test]
    fn finds_an_error_further_on_in_an_array() {
        let verdict = |body: &str| {
            classify_stream_head(&Answer {
                provider: "google-ai-studio",
                model: "m",
                status: 200,
                headers: &|_| None,
                body: body.as_bytes(),
                now: 0,
            })
        };
        let element = r#"{"error":{"code":503,"status":"UNAVAILABLE","message":"overloaded"}}"#;
        let found = Some(Verdict::Transient { elsewhere: true, after: 0, unexecuted: true });
        assert_eq!(verdict(&format!(",\r\n{element}\n]")), found);
        assert_eq!(verdict(&format!("[{element}]")), found);
        assert_eq!(verdict(",\r\n{\"candidates\":[]}"), None);
    }
}
