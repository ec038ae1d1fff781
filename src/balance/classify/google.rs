//! Google: AI Studio (the Gemini API) and Vertex AI. Their errors are `google.rpc.Status`, whose
//! `details` name reasons and quotas.
//!
//! A Gemini quota belongs to a project and a model, and its name tells the window:
//! `GenerateRequestsPerDayPerProjectPerModel-FreeTier`. The message is the same sentence whichever
//! it is, and on the free tier the `RetryInfo` that comes with the day's quota (17 to 54 s) is
//! wrong.

use serde_json::Value;

use super::super::retry_after::{bounded, from_message, retry_info};
use super::super::verdict::Reason::{
    Billing, Capacity, DayQuota, Expired, Invalid, Leaked, ModelAccess, Permission, RateLimit,
    Restricted, ServiceDisabled, SpendLimit, Suspended, Unauthorized,
};
use super::super::verdict::Scope::{Key, Model};
use super::super::verdict::{Verdict, Wait};
use super::super::{DAY, HOUR, MINUTE, Millis, SECOND, clock};
use super::rules::Means::{Caller, Cool, Doubt, Egress, Is, Reject};
use super::rules::Sign::{Always, Begins, Says, Word, WordSays};
use super::rules::Until::{Month, Recheck, Room};
use super::rules::{ANY, Case, Row, Window, at, cool};

/// A wait for a day's quota that is at least so long is meant; Gemini's wrong ones are below a
/// minute. Google's own CLI draws the line here too.
const CREDIBLE_DAY_WAIT: Millis = 5 * MINUTE;

/// The Gemini API. <https://ai.google.dev/gemini-api/docs/troubleshooting>, and seen in its answers.
#[rustfmt::skip]
pub(super) const AI_STUDIO: &[Row] = &[
    // An expired key has the same reason as a wrong one.
    (ANY, WordSays(&["API_KEY_INVALID"], &["expired"]), Reject(Expired)),
    (ANY, Word(&["API_KEY_INVALID"]), Reject(Invalid)),
    (ANY, Word(&["CONSUMER_SUSPENDED"]), Reject(Suspended)),
    (ANY, Word(&["API_KEY_SERVICE_BLOCKED", "API_KEY_HTTP_REFERRER_BLOCKED", "API_KEY_IP_ADDRESS_BLOCKED", "API_KEY_ANDROID_APP_BLOCKED", "API_KEY_IOS_APP_BLOCKED"]), Reject(Restricted)),
    (ANY, Word(&["SERVICE_DISABLED"]), Reject(ServiceDisabled)),
    (ANY, Word(&["BILLING_DISABLED"]), Cool(Key, Recheck(DAY), Billing)),
    (ANY, Word(&["ACCESS_TOKEN_TYPE_UNSUPPORTED"]), Reject(Invalid)),
    (ANY, Word(&["ACCESS_TOKEN_EXPIRED"]), Reject(Expired)),
    // The same without `details`.
    (&[400], Begins(&["api key expired"]), Reject(Expired)),
    (&[400], Begins(&["api key not valid"]), Reject(Invalid)),
    // No key arrived: more likely our fault than the key's.
    (ANY, Word(&["CREDENTIALS_MISSING"]), Doubt(Unauthorized)),
    (&[403], Says(&["unregistered callers"]), Doubt(Unauthorized)),
    // A file or cache of another key's project. First among the texts: it quotes the caller.
    (&[403, 404], Says(&["or it may not exist", "cachedcontent", "the file files/"]), Caller),
    (&[403], Says(&["reported as leaked"]), Reject(Leaked)),
    (&[403], Says(&["has been suspended", "has been denied access", "violation of terms of service"]), Reject(Suspended)),
    // The address that the request left from.
    (&[400, 403], Begins(&["user location is not supported"]), Egress),
    (&[400], WordSays(&["FAILED_PRECONDITION"], &["billing", "free tier is not available"]), Cool(Key, Recheck(DAY), Billing)),
    // 402 since 2026, 429 before.
    (&[402, 429], Says(&["prepayment credits are depleted"]), Cool(Key, Recheck(DAY), Billing)),
    (&[429], Says(&["spending cap"]), Cool(Key, Month, SpendLimit)),
    (&[429], Always, Is(rate_or_quota)),
    // "The caller does not have permission", and no reason: sometimes the key, sometimes the model.
    (&[403], Word(&["PERMISSION_DENIED"]), Cool(Key, Recheck(HOUR), Permission)),
    (&[401], Says(&["invalid authentication credentials"]), Reject(Invalid)),
];

/// Vertex AI. A service account is refused per project, region and model, so that a missing
/// permission says nothing of the key.
#[rustfmt::skip]
pub(super) const VERTEX: &[Row] = &[
    (ANY, Word(&["IAM_PERMISSION_DENIED"]), Cool(Model, Recheck(DAY), Permission)),
    (&[403], Begins(&["permission '"]), Cool(Model, Recheck(DAY), Permission)),
    (ANY, Word(&["BILLING_DISABLED"]), Cool(Key, Recheck(DAY), Billing)),
    (ANY, Word(&["SERVICE_DISABLED"]), Reject(ServiceDisabled)),
    (ANY, Word(&["CONSUMER_SUSPENDED"]), Reject(Suspended)),
    (ANY, Word(&["ACCESS_TOKEN_TYPE_UNSUPPORTED"]), Reject(Invalid)),
    (ANY, Word(&["ACCESS_TOKEN_EXPIRED"]), Reject(Expired)),
    (ANY, Word(&["CREDENTIALS_MISSING"]), Doubt(Unauthorized)),
    // The capacity that all customers share ("error-code-429"), not a quota.
    (&[429], Begins(&["resource exhausted", "resource has been exhausted"]), Cool(Model, Room(30 * SECOND), Capacity)),
    (&[429], Always, Is(rate_or_quota)),
    (&[403], Word(&["PERMISSION_DENIED"]), Cool(Key, Recheck(HOUR), Permission)),
    (&[401], Says(&["invalid authentication credentials"]), Reject(Invalid)),
];

/// What a violation of a quota says, wherever it says it.
#[derive(Default)]
struct Quotas {
    day: bool,
    minute: bool,
    /// The day's quota is one of the free tier.
    free_day: bool,
    /// None of it is allotted to this project.
    none: bool,
    /// ... and not by the day or the minute of a model, but in a region or altogether.
    none_at_all: bool,
}

/// The verdict on a 429 of Google's, or of anyone who names quotas as Google does; the usual one
/// when it names none.
pub(super) fn rate_or_quota(case: &Case<'_>) -> Verdict {
    let now = case.answer.now;
    let quotas = Quotas::of(case);
    let tomorrow = || at(clock::midnight_pacific(now), now);
    if quotas.none_at_all {
        return cool(Model, Wait::Recheck(DAY), ModelAccess);
    }
    if quotas.none {
        let midnight = bounded(clock::midnight_pacific(now).saturating_sub(now));
        return cool(Model, Wait::Recheck(midnight), ModelAccess);
    }
    let hint = hint(case);
    let google = matches!(case.answer.provider, "google-ai-studio" | "google-vertex-ai");
    if quotas.day || (google && case.window() == Some(Window::Day)) {
        let wait = match hint.filter(|hint| *hint >= CREDIBLE_DAY_WAIT && !quotas.free_day) {
            Some(hint) => Wait::Stated(now.saturating_add(hint)),
            None => tomorrow(),
        };
        return cool(Model, wait, DayQuota);
    }
    if let Some(hint) = hint.filter(|_| google || quotas.minute) {
        return cool(Model, Wait::Stated(now.saturating_add(hint)), RateLimit);
    }
    if quotas.minute {
        return cool(Model, Wait::Stated(now.saturating_add(MINUTE)), RateLimit);
    }
    let (wait, reason) = case.rate(MINUTE, RateLimit);
    cool(Model, wait, reason)
}

/// The wait that the answer states: the longer of `RetryInfo` and "Please retry in ..", which the
/// former at times cuts to whole seconds.
fn hint(case: &Case<'_>) -> Option<Millis> {
    let message = from_message(&case.fault.message, case.answer.now);
    retry_info(case.fault.error).map(bounded).max(message)
}

// === impl Quotas ===

impl Quotas {
    fn of(case: &Case<'_>) -> Self {
        let mut quotas = Self::default();
        let details = case.fault.error.get("details").and_then(Value::as_array);
        for detail in details.into_iter().flatten() {
            let violations = detail.get("violations").and_then(Value::as_array);
            for violation in violations.into_iter().flatten() {
                let text = |name: &str| violation.get(name).and_then(Value::as_str).unwrap_or("");
                quotas.add(text("quotaId"), text("quotaMetric"));
                quotas.none |= is_zero(violation.get("quotaValue"));
            }
            if let Some(metadata) = detail.get("metadata") {
                let text = |name: &str| metadata.get(name).and_then(Value::as_str).unwrap_or("");
                quotas.add(text("quota_limit"), text("quota_metric"));
                quotas.none_at_all |= is_zero(metadata.get("quota_limit_value"));
            }
        }
        quotas.none |= says_limit_zero(&case.fault.message);
        quotas
    }

    fn add(&mut self, id: &str, metric: &str) {
        let day = id.contains("PerDay") || id.contains("Daily") || metric.contains("per_day");
        self.day |= day;
        self.minute |= id.contains("PerMinute") || metric.contains("per_minute");
        self.free_day |= day && (id.ends_with("-FreeTier") || metric.contains("free_tier"));
    }
}

/// Google writes its 64-bit numbers as strings.
fn is_zero(value: Option<&Value>) -> bool {
    match value {
        Some(Value::String(text)) => text == "0",
        Some(Value::Number(number)) => number.as_f64() == Some(0.0),
        _ => false,
    }
}

/// `..free_tier_requests, limit: 0`, and not `limit: 0.5` or `limit: 01`.
fn says_limit_zero(message: &str) -> bool {
    message.match_indices("limit: 0").any(|(at, found)| {
        let rest = message.get(at + found.len()..).unwrap_or("");
        let mut next = rest.chars();
        match next.next() {
            Some('.') => !next.next().is_some_and(|c| c.is_ascii_digit()),
            Some(c) => !c.is_ascii_digit(),
            None => true,
        }
    })
}
