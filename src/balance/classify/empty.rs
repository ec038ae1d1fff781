//! An answer without an answer: a success of Gemini with no content and no reason for that.

use serde_json::Value;

use super::body::parse;

/// An empty answer is smaller: metadata and token counts. Longer bodies are not looked at.
pub const LONGEST_EMPTY: usize = 16 * 1024;

/// Reasons to end at which an empty answer is what the model, not the request, made of it. Others
/// (`SAFETY`, `MAX_TOKENS`, ...) come back with every key.
const NO_REASON: [&str; 3] = ["STOP", "OTHER", "FINISH_REASON_UNSPECIFIED"];

/// Whether the body of a success of Gemini's `generateContent`, or all of a stream that came so far
/// and has ended, holds nothing: no candidate with a part in it, nor a reason why.
#[must_use]
pub fn is_empty_answer(body: &[u8]) -> bool {
    if body.len() > LONGEST_EMPTY {
        return false;
    }
    let Ok(text) = core::str::from_utf8(body) else { return false };
    let events: Vec<_> = text.lines().filter_map(|line| line.strip_prefix("data:")).collect();
    let answers: Vec<_> = match events.as_slice() {
        [] => match parse(text) {
            Some(Value::Array(elements)) => elements,
            Some(answer) => vec![answer],
            None => return false,
        },
        events => events.iter().filter_map(|event| parse(event)).collect(),
    };
    !answers.is_empty() && answers.iter().all(says_nothing) && answers.iter().any(is_the_end)
}

/// Has the shape of an answer, and nothing in it.
fn says_nothing(answer: &Value) -> bool {
    let known = ["candidates", "usageMetadata", "modelVersion", "promptFeedback"];
    let blocked = answer.pointer("/promptFeedback/blockReason").is_some();
    let shaped = known.iter().any(|name| answer.get(name).is_some());
    shaped && !blocked && candidates(answer).iter().all(|candidate| !has_content(candidate))
}

fn has_content(candidate: &Value) -> bool {
    let parts = candidate.pointer("/content/parts").and_then(Value::as_array);
    let said = parts.is_some_and(|parts| {
        parts.iter().filter_map(Value::as_object).any(|part| {
            // A part is its kind and what belongs to it; text may be empty.
            part.iter().any(|(kind, value)| match kind.as_str() {
                "thought" | "thoughtSignature" => false,
                "text" => value.as_str() != Some(""),
                _ => true,
            })
        })
    });
    let reason = candidate.get("finishReason").and_then(Value::as_str);
    said || reason.is_some_and(|reason| !NO_REASON.contains(&reason))
}

/// A stream can begin with an event that holds only a role; its last one says why it ends.
fn is_the_end(answer: &Value) -> bool {
    let candidates = candidates(answer);
    candidates.is_empty() || candidates.iter().any(|one| one.get("finishReason").is_some())
}

fn candidates(answer: &Value) -> &[Value] {
    answer.get("candidates").and_then(Value::as_array).map_or(&[], Vec::as_slice)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tells_an_empty_answer_from_one_that_says_why() {
        let table = [
            (
                true,
                r#"{"candidates":[{"content":{"role":"model"},"finishReason":"STOP","index":0}],"usageMetadata":{}}"#,
            ),
            (true, r#"{"usageMetadata":{"promptTokenCount":9},"modelVersion":"gemini-2.5-pro"}"#),
            (
                true,
                r#"{"candidates":[{"content":{"parts":[{"text":""}],"role":"model"},"finishReason":"STOP"}]}"#,
            ),
            (true, r#"[{"candidates":[{"content":{"parts":[]},"finishReason":"STOP"}]}]"#),
            (true, "data: {\"candidates\":[{\"content\":{},\"finishReason\":\"STOP\"}]}\n\n"),
            (false, "data: {\"candidates\":[{\"content\":{\"role\":\"model\"}}]}\n\n"),
            (
                false,
                r#"{"candidates":[{"content":{"parts":[{"text":"Hi"}]},"finishReason":"STOP"}]}"#,
            ),
            (
                false,
                r#"{"candidates":[{"content":{"parts":[{"functionCall":{"name":"f"}}]},"finishReason":"STOP"}]}"#,
            ),
            (false, r#"{"candidates":[{"finishReason":"SAFETY"}]}"#),
            (false, r#"{"candidates":[{"content":{},"finishReason":"MAX_TOKENS"}]}"#),
            (false, r#"{"promptFeedback":{"blockReason":"PROHIBITED_CONTENT"}}"#),
            (false, r#"{"totalTokens":12}"#),
            (false, "not json"),
            (false, ""),
        ];
        for (empty, body) in table {
            assert_eq!(is_empty_answer(body.as_bytes()), empty, "{body}");
        }
    }
}
