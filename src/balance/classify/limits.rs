//! How many requests a key may send, as a 429 says it: see [`quota`](super::super::quota).

use serde_json::Value;

use super::super::quota::{Lesson, Per};
use super::body::{Document, Fault};
use super::{Answer, MAX_ERROR_BODY};

/// A limit beyond this is no limit of one key, or not understood.
const LARGEST: u64 = 1_000_000;

/// The limit of requests per minute or day that a 429 was earned with; `None` when it names none, or
/// only one of tokens.
#[must_use]
pub fn lesson(answer: &Answer<'_>) -> Option<Lesson> {
    if answer.status != 429 {
        return None;
    }
    let body = answer.body.get(..MAX_ERROR_BODY.min(answer.body.len())).unwrap_or_default();
    let document = Document::read(body);
    let fault = Fault::of(&document);
    google(fault.error).or_else(|| in_words(&fault)).filter(|it| (1..=LARGEST).contains(&it.limit))
}

/// `{"quotaId":"GenerateRequestsPerMinutePerProjectPerModel-FreeTier","quotaValue":"10"}`. The day's
/// outranks the minute's, since the wait is the day's.
fn google(error: &Value) -> Option<Lesson> {
    let details = error.get("details").and_then(Value::as_array)?;
    let violations = details
        .iter()
        .filter_map(|detail| detail.get("violations").and_then(Value::as_array))
        .flatten()
        .filter_map(|violation| {
            let id = violation.get("quotaId").and_then(Value::as_str)?;
            let limit = match violation.get("quotaValue")? {
                Value::String(text) => text.parse().ok()?,
                value => value.as_u64()?,
            };
            let per = match id {
                id if !id.contains("Requests") => return None,
                id if id.contains("PerDay") => Per::Day,
                id if id.contains("PerMinute") => Per::Minute,
                _ => return None,
            };
            Some(Lesson { limit, per })
        });
    let mut minute = None;
    for lesson in violations {
        if lesson.per == Per::Day {
            return Some(lesson);
        }
        minute = Some(lesson);
    }
    minute
}

/// `.. on requests per min (RPM): Limit 3, Used 3, Requested 1.` (OpenAI, Groq, and who follows them)
fn in_words(fault: &Fault<'_>) -> Option<Lesson> {
    let per = if fault.says(&["requests per day", "(rpd)"]) {
        Per::Day
    } else if fault.says(&["requests per min", "(rpm)"]) {
        Per::Minute
    } else {
        return None;
    };
    let text = fault.message.to_lowercase();
    text.match_indices("limit").find_map(|(at, word)| {
        let rest = text.get(at + word.len()..)?.trim_start_matches([':', ' ']);
        let end = rest.find(|c: char| !c.is_ascii_digit()).unwrap_or(rest.len());
        let limit = rest.get(..end)?.parse().ok()?;
        Some(Lesson { limit, per })
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(status: u16, body: &str) -> Option<(u64, Per)> {
        let answer = Answer {
            provider: "openai",
            model: "m",
            status,
            headers: &|_| None,
            body: body.as_bytes(),
            now: 0,
        };
        lesson(&answer).map(|lesson| (lesson.limit, lesson.per))
    }

    fn gemini(violations: &[(&str, &str)]) -> String {
        let list: Vec<_> = violations
            .iter()
            .map(|(id, value)| format!(r#"{{"quotaId":"{id}","quotaValue":{value}}}"#))
            .collect();
        format!(
            r#"{{"error":{{"code":429,"details":[{{"@type":"x"}},{{"violations":[{}]}}]}}}}"#,
            list.join(",")
        )
    }

    #[test]
    fn gemini_names_quotas() {
        let minute = ("GenerateRequestsPerMinutePerProjectPerModel-FreeTier", "\"10\"");
        let day = ("GenerateRequestsPerDayPerProjectPerModel-FreeTier", "250");
        let tokens = ("GenerateContentInputTokensPerModelPerMinute-FreeTier", "\"250000\"");
        assert_eq!(of(429, &gemini(&[minute])), Some((10, Per::Minute)));
        assert_eq!(of(429, &gemini(&[day, minute])), Some((250, Per::Day)));
        assert_eq!(of(429, &gemini(&[tokens])), None);
        assert_eq!(of(429, &gemini(&[("GenerateRequestsPerMinute", "\"0\"")])), None);
        assert_eq!(of(400, &gemini(&[minute])), None);
    }

    #[test]
    fn openai_says_it() {
        let of = |words: &str| of(429, &format!(r#"{{"error":{{"message":"{words}"}}}}"#));
        let rest = "Limit 3, Used 3, Requested 1. Please try again in 20s.";
        assert_eq!(of(&format!("on requests per min (RPM): {rest}")), Some((3, Per::Minute)));
        assert_eq!(of(&format!("on requests per day (RPD): {rest}")), Some((3, Per::Day)));
        assert_eq!(of(&format!("on tokens per min (TPM): {rest}")), None);
        let old = "Rate limit reached on requests per min. Limit: 60 / min. Current: 61 / min.";
        assert_eq!(of(old), Some((60, Per::Minute)));
        assert_eq!(of("Rate limit reached on requests per min."), None);
        let long = "on requests per min. Limit 99999999999999999999999";
        assert_eq!(of(long), None);
    }
}
