//! The headers in which providers say what is left of a quota.

use crate::answer::Answer;
use crate::quota::{Standing, Standings};
use crate::request::Call;
use crate::time::{decimal_seconds, go_duration, now_ms, rfc3339};

/// What a key without quotas is said to have left.
const PLENTY: Standing =
    Standing { limit: 10_000, remaining: 9_999, resets_in_ms: 6, window_ms: 60_000 };
const TOKENS: u64 = 2_000_000;

/// Adds the headers of the call's provider to an answer.
pub fn add(answer: &mut Answer, call: &Call, standings: &Standings) {
    let ok = answer.status.is_success();
    let tokens_left = TOKENS.saturating_sub(call.body.len() as u64 / 4);
    match call.slug.as_str() {
        "openai" | "azure-openai" => {
            let requests = tighter(standings.minute, standings.day).unwrap_or(PLENTY);
            answer.header("x-ratelimit-limit-requests", requests.limit);
            answer.header("x-ratelimit-remaining-requests", requests.remaining);
            answer.header("x-ratelimit-reset-requests", go_duration(requests.resets_in_ms));
            answer.header("x-ratelimit-limit-tokens", TOKENS);
            answer.header("x-ratelimit-remaining-tokens", tokens_left);
            answer.header("x-ratelimit-reset-tokens", "6ms");
            if call.slug == "openai" {
                answer.fixed_header("openai-organization", "org-sim");
                answer.fixed_header("openai-processing-ms", "12");
                answer.fixed_header("openai-version", "2020-10-01");
            }
            answer.header("x-request-id", format_args!("req_sim{:028x}", call.n));
        }
        "anthropic" => {
            let requests = tighter(standings.minute, standings.day).unwrap_or(PLENTY);
            // Whole seconds, never before the true time.
            let reset = rfc3339((now_ms() + requests.resets_in_ms).div_ceil(1000) * 1000);
            answer.header("anthropic-ratelimit-requests-limit", requests.limit);
            answer.header("anthropic-ratelimit-requests-remaining", requests.remaining);
            answer.header("anthropic-ratelimit-requests-reset", &reset);
            let now = rfc3339(now_ms());
            answer.header("anthropic-ratelimit-tokens-limit", TOKENS);
            answer.header("anthropic-ratelimit-tokens-remaining", tokens_left);
            answer.header("anthropic-ratelimit-tokens-reset", now);
            answer
                .fixed_header("anthropic-organization-id", "00000000-0000-0000-0000-000000000000");
            answer.header("request-id", crate::anthropic::request_id(call));
        }
        "groq" => {
            // Requests are those of the day, tokens those of the minute; the minute's requests are not told.
            let requests =
                standings.day.unwrap_or(Standing { limit: 14_400, remaining: 14_399, ..PLENTY });
            answer.header("x-ratelimit-limit-requests", requests.limit);
            answer.header("x-ratelimit-remaining-requests", requests.remaining);
            answer.header("x-ratelimit-reset-requests", go_duration(requests.resets_in_ms));
            answer.header("x-ratelimit-limit-tokens", TOKENS);
            answer.header("x-ratelimit-remaining-tokens", tokens_left);
            answer.header("x-ratelimit-reset-tokens", "6ms");
            answer.header("x-request-id", format_args!("req_sim{:021x}", call.n));
        }
        "cerebras" if ok => {
            let day =
                standings.day.unwrap_or(Standing { limit: 14_400, remaining: 14_399, ..PLENTY });
            answer.header("x-ratelimit-limit-requests-day", day.limit);
            answer.header("x-ratelimit-remaining-requests-day", day.remaining);
            answer.header("x-ratelimit-reset-requests-day", decimal_seconds(day.resets_in_ms));
            if let Some(minute) = standings.minute {
                answer.header("x-ratelimit-limit-requests-minute", minute.limit);
                answer.header("x-ratelimit-remaining-requests-minute", minute.remaining);
                answer.header(
                    "x-ratelimit-reset-requests-minute",
                    decimal_seconds(minute.resets_in_ms),
                );
            }
        }
        "mistral" => {
            let streamed = matches!(answer.payload, crate::answer::Payload::Pieces(_));
            if let Some(minute) = standings.minute.filter(|_| !streamed) {
                answer.header("x-ratelimit-limit-req-minute", minute.limit);
                answer.header("x-ratelimit-remaining-req-minute", minute.remaining);
            }
        }
        "cohere" if ok => {
            if let Some(left) = standings.day.or(standings.minute) {
                answer.header("x-trial-endpoint-call-remaining", left.remaining);
            }
        }
        _ => {}
    }
}

/// The limit that will be hit first.
fn tighter(minute: Option<Standing>, day: Option<Standing>) -> Option<Standing> {
    match (minute, day) {
        (Some(minute), Some(day)) if day.remaining < minute.remaining || day.remaining == 0 => {
            Some(day)
        }
        (minute, day) => minute.or(day),
    }
}

/// What the gateway itself adds to every answer that it passes on.
pub fn add_gateway(answer: &mut Answer, n: u64) {
    // A fault may play an answer from the cache.
    if !answer.headers.contains_key("cf-aig-cache-status") {
        answer.fixed_header("cf-aig-cache-status", "MISS");
    }
    answer.fixed_header("cf-aig-step", "0");
    answer.header(
        "cf-aig-log-id",
        format_args!("019a0000-0000-7000-8000-{:012x}", n & 0xffff_ffff_ffff),
    );
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reports_the_limit_that_is_hit_first() {
        let standing = |remaining| Standing { remaining, ..PLENTY };
        assert_eq!(tighter(Some(standing(3)), Some(standing(1))), Some(standing(1)));
        assert_eq!(tighter(Some(standing(3)), Some(standing(9))), Some(standing(3)));
        assert_eq!(tighter(None, Some(standing(9))), Some(standing(9)));
        assert_eq!(tighter(None, None), None);
    }
}
