//! Headers that say how much of a quota is left: a key of which nothing is left can be cooled
//! before it earns a 429.

use core::cell::RefCell;

use super::super::quota::Headroom;
use super::super::retry_after::{self, bounded};
use super::super::verdict::{Reason, Scope, Wait};
use super::super::{MINUTE, Millis, clock};
use super::HeaderOf;
use super::rules::{at, month};

/// Providers whose answers tell what is left, and the headers that do.
///
/// The others send none (Gemini, Vertex, Bedrock, Workers AI, OpenRouter, Hugging Face, ElevenLabs),
/// or none that says when to come back.
pub const GAUGES: &[(&[&str], &[&str])] = &[
    (
        &["openai", "azure-openai", "groq"],
        &["x-ratelimit-remaining-requests", "x-ratelimit-remaining-tokens"],
    ),
    (
        &["anthropic"],
        &[
            "anthropic-ratelimit-requests-remaining",
            "anthropic-ratelimit-tokens-remaining",
            "anthropic-ratelimit-input-tokens-remaining",
            "anthropic-ratelimit-output-tokens-remaining",
        ],
    ),
    (
        &["cerebras"],
        &[
            "x-ratelimit-remaining-requests-minute",
            "x-ratelimit-remaining-tokens-minute",
            "x-ratelimit-remaining-requests-hour",
            "x-ratelimit-remaining-tokens-hour",
            "x-ratelimit-remaining-requests-day",
            "x-ratelimit-remaining-tokens-day",
        ],
    ),
    (
        &["mistral"],
        &[
            "x-ratelimitbysize-remaining-month",
            "x-ratelimit-remaining-req-minute",
            "x-ratelimitbysize-remaining-minute",
        ],
    ),
    (&["cohere"], &["x-trial-endpoint-call-remaining"]),
];

/// The set of [`GAUGES`] of a provider. While all of them are above [`LOW`], or not there, [`standing`]
/// has nothing to say.
#[must_use]
pub fn gauges_of(provider: &str) -> Option<usize> {
    GAUGES.iter().position(|(providers, _)| providers.contains(&provider))
}

/// The cooling that the remaining-quota headers of an answer call for; `None` when something is
/// left, or when they are not sent or not understood.
///
/// When several buckets are empty, the one that fills last counts.
#[must_use]
pub fn spent(provider: &str, headers: HeaderOf<'_>, now: Millis) -> Option<(Scope, Wait, Reason)> {
    let (wait, reason) = match provider {
        "openai" | "azure-openai" | "groq" => openai_like(provider, headers, now),
        "anthropic" => anthropic(headers, now),
        "cerebras" => cerebras(headers, now),
        "mistral" => mistral(headers, now),
        // A trial key's calls per minute and endpoint.
        "cohere" => is_empty(headers, "x-trial-endpoint-call-remaining")
            .then(|| (stated(MINUTE, now), Reason::RateLimit)),
        _ => None,
    }?;
    Some((Scope::Model, wait, reason))
}

/// What the remaining-quota headers of a success say of its key and model.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Standing {
    /// Nothing is left: a cooling is called for.
    Spent(Scope, Wait, Reason),
    /// Few requests are left: they are counted from here.
    Low(Headroom),
    /// More than anyone needs to count, or unknown.
    Plenty,
}

/// From so many requests left on they are counted: as many may well be under way with one key.
pub const LOW: u32 = 16;

/// [`spent`], and else how many requests are left if they are few. No header is read twice: reading
/// one is dear.
#[must_use]
pub fn standing(provider: &str, headers: HeaderOf<'_>, now: Millis) -> Standing {
    let seen: RefCell<Vec<(String, Option<String>)>> = RefCell::default();
    let once = |name: &str| {
        let known = seen.borrow().iter().find(|(seen, _)| seen == name).map(|(_, it)| it.clone());
        known.unwrap_or_else(|| {
            let value = headers(name);
            seen.borrow_mut().push((name.to_owned(), value.clone()));
            value
        })
    };
    if let Some((scope, wait, reason)) = spent(provider, &once, now) {
        return Standing::Spent(scope, wait, reason);
    }
    headroom(provider, &once, now).map_or(Standing::Plenty, Standing::Low)
}

fn headroom(provider: &str, headers: HeaderOf<'_>, now: Millis) -> Option<Headroom> {
    let whole = |name: &str| headers(name)?.trim().parse::<u64>().ok();
    let few = |name: &str| whole(name).filter(|left| (1..=u64::from(LOW)).contains(left));
    match provider {
        "openai" | "azure-openai" | "groq" => {
            let left = few("x-ratelimit-remaining-requests")?;
            let reset = headers("x-ratelimit-reset-requests")?;
            let full = retry_after::duration(&reset).or_else(|| retry_after::seconds(&reset))?;
            // As in `openai_like`: a longer bucket than of a minute fills before that.
            let wait = if full <= MINUTE {
                full
            } else {
                full.div_ceil(whole("x-ratelimit-limit-requests").filter(|limit| *limit > 0)?)
            };
            Some(Headroom { left, until: now.saturating_add(bounded(wait)) })
        }
        "anthropic" => {
            let left = few("anthropic-ratelimit-requests-remaining")?;
            let reset = headers("anthropic-ratelimit-requests-reset")?;
            let wait = retry_after::until(retry_after::rfc3339(&reset)?, now)?;
            Some(Headroom { left, until: now.saturating_add(wait) })
        }
        _ => None,
    }
}

fn is_empty(headers: HeaderOf<'_>, name: &str) -> bool {
    // A bucket that is overdrawn can be below zero.
    headers(name).and_then(|value| value.trim().parse::<f64>().ok()).is_some_and(|left| left <= 0.0)
}

fn stated(wait: Millis, now: Millis) -> Wait {
    Wait::Stated(now.saturating_add(bounded(wait)))
}

/// `x-ratelimit-{limit,remaining,reset}-{requests,tokens}`; the reset is a duration of Go.
///
/// The reset says when the bucket is *full* again, and it fills all the time: a bucket of 1 000
/// requests a day has room for one after 86.4 s. So a bucket of a minute is waited out, and of a
/// longer one only the time of one request. Groq's requests are those of the day, its tokens those
/// of the minute.
fn openai_like(provider: &str, headers: HeaderOf<'_>, now: Millis) -> Option<(Wait, Reason)> {
    let bucket = |unit: &str| {
        if !is_empty(headers, &format!("x-ratelimit-remaining-{unit}")) {
            return None;
        }
        let value = headers(&format!("x-ratelimit-reset-{unit}"))?;
        // Azure sends bare seconds.
        let full = retry_after::duration(&value).or_else(|| retry_after::seconds(&value))?;
        if full <= MINUTE {
            return Some((full, Reason::RateLimit));
        }
        let limit = headers(&format!("x-ratelimit-limit-{unit}"))
            .and_then(|value| value.trim().parse::<u64>().ok())
            .filter(|limit| *limit > 0);
        let one = match limit {
            Some(limit) if unit == "requests" => full.div_ceil(limit),
            // One token helps nobody; a minute's share of the bucket may.
            _ => MINUTE,
        };
        let day = unit == "requests" && provider != "azure-openai";
        Some((one, if day { Reason::DayQuota } else { Reason::RateLimit }))
    };
    let (wait, reason) =
        ["requests", "tokens"].into_iter().filter_map(bucket).max_by_key(|(wait, _)| *wait)?;
    Some((stated(wait, now), reason))
}

/// `anthropic-ratelimit-{requests,tokens,input-tokens,output-tokens}-{remaining,reset}`; the reset
/// is a time of RFC 3339.
fn anthropic(headers: HeaderOf<'_>, now: Millis) -> Option<(Wait, Reason)> {
    let latest = ["requests", "tokens", "input-tokens", "output-tokens"]
        .into_iter()
        .filter(|unit| is_empty(headers, &format!("anthropic-ratelimit-{unit}-remaining")))
        .filter_map(|unit| headers(&format!("anthropic-ratelimit-{unit}-reset")))
        .filter_map(|value| retry_after::until(retry_after::rfc3339(&value)?, now))
        .max()?;
    Some((stated(latest, now), Reason::RateLimit))
}

/// `x-ratelimit-{remaining,reset}-{requests,tokens}-{minute,hour,day}`; the reset is in seconds.
fn cerebras(headers: HeaderOf<'_>, now: Millis) -> Option<(Wait, Reason)> {
    let mut latest = None;
    for (window, reason) in
        [("minute", Reason::RateLimit), ("hour", Reason::RateLimit), ("day", Reason::DayQuota)]
    {
        for unit in ["requests", "tokens"] {
            if !is_empty(headers, &format!("x-ratelimit-remaining-{unit}-{window}")) {
                continue;
            }
            let reset = headers(&format!("x-ratelimit-reset-{unit}-{window}"));
            let reset = reset.and_then(|value| retry_after::seconds(&value));
            latest = latest.max(reset.map(|wait| (wait, reason == Reason::DayQuota)));
        }
    }
    let (wait, day) = latest?;
    Some((stated(wait, now), if day { Reason::DayQuota } else { Reason::RateLimit }))
}

/// Remaining counts only: Mistral's minute is the clock's minute.
fn mistral(headers: HeaderOf<'_>, now: Millis) -> Option<(Wait, Reason)> {
    if is_empty(headers, "x-ratelimitbysize-remaining-month") {
        return Some((month(now), Reason::MonthQuota));
    }
    ["x-ratelimit-remaining-req-minute", "x-ratelimitbysize-remaining-minute"]
        .into_iter()
        .any(|name| is_empty(headers, name))
        .then(|| (at(clock::minute_boundary(now), now), Reason::RateLimit))
}

#[cfg(test)]
mod tests {
    use super::super::super::{DAY, SECOND};
    use super::*;

    const NOW: Millis = 1_786_320_000_000;

    fn of(provider: &str, pairs: &[(&str, &str)]) -> Option<(Wait, Reason)> {
        let find = |name: &str| {
            pairs.iter().find(|(have, _)| *have == name).map(|(_, value)| (*value).to_owned())
        };
        spent(provider, &find, NOW).map(|(scope, wait, reason)| {
            assert_eq!(scope, Scope::Model);
            assert!(gauges_of(provider).is_some());
            (wait, reason)
        })
    }

    fn wait(seconds: u64, reason: Reason) -> Option<(Wait, Reason)> {
        Some((Wait::Stated(NOW + seconds * SECOND), reason))
    }

    #[test]
    fn openai_waits_out_a_minute_but_not_a_day() {
        let limit = ("x-ratelimit-limit-requests", "500");
        let reset = ("x-ratelimit-reset-requests", "59.2s");
        let none = ("x-ratelimit-remaining-requests", "0");
        assert_eq!(of("openai", &[]), None);
        assert_eq!(of("openai", &[("x-ratelimit-remaining-requests", "1"), reset]), None);
        assert_eq!(of("openai", &[none]), None);
        assert_eq!(of("openai", &[none, limit, reset]), wait(60, Reason::RateLimit));
        let day = ("x-ratelimit-reset-requests", "24h0m0s");
        assert_eq!(of("openai", &[none, limit, day]), wait(173, Reason::DayQuota));
        assert_eq!(of("groq", &[none, limit, day]), wait(173, Reason::DayQuota));
        assert_eq!(of("groq", &[none, day]), wait(60, Reason::DayQuota));
        let tokens = [
            ("x-ratelimit-remaining-tokens", "0"),
            ("x-ratelimit-reset-tokens", "7.66s"),
            none,
            ("x-ratelimit-reset-requests", "20ms"),
        ];
        assert_eq!(of("groq", &tokens), wait(8, Reason::RateLimit));
        let azure = [none, ("x-ratelimit-reset-requests", "9")];
        assert_eq!(of("azure-openai", &azure), wait(9, Reason::RateLimit));
        assert_eq!(of("deepseek", &[none, limit, reset]), None);
    }

    #[test]
    fn the_last_of_anthropics_empty_buckets_counts() {
        let buckets = [
            ("anthropic-ratelimit-requests-remaining", "0"),
            ("anthropic-ratelimit-requests-reset", "2026-08-10T00:00:10Z"),
            ("anthropic-ratelimit-input-tokens-remaining", "0"),
            ("anthropic-ratelimit-input-tokens-reset", "2026-08-10T00:00:40Z"),
            ("anthropic-ratelimit-output-tokens-remaining", "8000"),
            ("anthropic-ratelimit-output-tokens-reset", "2026-08-10T01:00:00Z"),
        ];
        assert_eq!(of("anthropic", &buckets), wait(40, Reason::RateLimit));
        assert_eq!(of("anthropic", &buckets[4..]), None);
        let over = [buckets[0], ("anthropic-ratelimit-requests-reset", "2026-08-09T23:59:00Z")];
        assert_eq!(of("anthropic", &over), None);
        let far = [buckets[0], ("anthropic-ratelimit-requests-reset", "2030-01-02T03:04:05Z")];
        assert_eq!(of("anthropic", &far), wait(31 * 86_400, Reason::RateLimit));
    }

    #[test]
    fn cerebras_names_its_windows() {
        let minute = [
            ("x-ratelimit-remaining-tokens-minute", "0"),
            ("x-ratelimit-reset-tokens-minute", "11.382867"),
        ];
        let day = [
            ("x-ratelimit-remaining-requests-day", "0"),
            ("x-ratelimit-reset-requests-day", "33011.382867"),
        ];
        assert_eq!(of("cerebras", &minute), wait(12, Reason::RateLimit));
        assert_eq!(of("cerebras", &[minute, day].concat()), wait(33_012, Reason::DayQuota));
        assert_eq!(of("cerebras", &[("x-ratelimit-remaining-requests-day", "0")]), None);
    }

    #[test]
    fn mistral_and_cohere_state_no_time() {
        let minute = ("x-ratelimit-remaining-req-minute", "0");
        assert_eq!(of("mistral", &[minute]), wait(60, Reason::RateLimit));
        let month = ("x-ratelimitbysize-remaining-month", "0");
        let recheck = Some((Wait::Recheck(DAY), Reason::MonthQuota));
        assert_eq!(of("mistral", &[minute, month]), recheck);
        assert_eq!(of("mistral", &[("x-ratelimit-remaining-req-minute", "22")]), None);
        let trial = "x-trial-endpoint-call-remaining";
        assert_eq!(of("cohere", &[(trial, "0")]), wait(60, Reason::RateLimit));
        assert_eq!(of("cohere", &[(trial, "19")]), None);
    }

    #[test]
    fn few_requests_that_are_left_are_counted() {
        let standing = |provider: &str, pairs: &[(&str, &str)]| {
            let asked = RefCell::new(Vec::new());
            let find = |name: &str| {
                assert!(!asked.borrow().contains(&name.to_owned()), "{name} is read twice");
                asked.borrow_mut().push(name.to_owned());
                pairs.iter().find(|(have, _)| *have == name).map(|(_, value)| (*value).to_owned())
            };
            standing(provider, &find, NOW)
        };
        let left = |left| ("x-ratelimit-remaining-requests", left);
        let reset = |reset| ("x-ratelimit-reset-requests", reset);
        let limit = ("x-ratelimit-limit-requests", "1000");
        let low = |left, seconds| Standing::Low(Headroom { left, until: NOW + seconds * SECOND });
        assert_eq!(standing("openai", &[left("2"), reset("30s"), limit]), low(2, 30));
        assert_eq!(standing("groq", &[left("1"), reset("24h0m0s"), limit]), low(1, 87));
        assert_eq!(standing("openai", &[left("17"), reset("30s"), limit]), Standing::Plenty);
        assert_eq!(standing("openai", &[left("2")]), Standing::Plenty);
        assert!(matches!(
            standing("openai", &[left("0"), reset("30s"), limit]),
            Standing::Spent(..)
        ));
        let anthropic = [
            ("anthropic-ratelimit-requests-remaining", "3"),
            ("anthropic-ratelimit-requests-reset", "2026-08-10T00:00:10Z"),
        ];
        assert_eq!(standing("anthropic", &anthropic), low(3, 10));
        assert_eq!(standing("cerebras", &[left("2")]), Standing::Plenty);
    }
}
