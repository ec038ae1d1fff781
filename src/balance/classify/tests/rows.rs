//! Rows of the tables that no case of `cases.json` covers.

use serde_json::Value;

use super::super::super::verdict::{Reason, Scope, Verdict, Wait};
use super::super::super::{DAY, HOUR, MINUTE, SECOND, clock};
use super::{NOW, cool, doubt, reject, stated, transient, verdict, verdict_at};

/// An error in OpenAI's envelope.
fn coded(code: &str, message: &str) -> String {
    serde_json::json!({"error": {"code": code, "type": "t", "message": message}}).to_string()
}

fn said(message: &str) -> String {
    serde_json::json!({ "message": message }).to_string()
}

/// A Gemini error with one reason in its details.
fn reasoned(reason: &str) -> String {
    serde_json::json!({"error": {"code": 403, "message": "m", "status": "PERMISSION_DENIED",
        "details": [{"@type": "Help"}, {"reason": reason, "domain": "googleapis.com"}]}})
    .to_string()
}

/// A Gemini 429 with these quotas and, unless empty, a `RetryInfo`.
fn quota(ids: &[&str], delay: &str) -> String {
    let violations: Vec<Value> =
        ids.iter().map(|id| serde_json::json!({"quotaId": id, "quotaValue": "5"})).collect();
    let mut details = vec![serde_json::json!({ "violations": violations })];
    if !delay.is_empty() {
        details.insert(0, serde_json::json!({ "retryDelay": delay }));
    }
    serde_json::json!({"error": {"code": 429, "message": "You exceeded your current quota",
        "status": "RESOURCE_EXHAUSTED", "details": details}})
    .to_string()
}

/// Fails with the provider and body of each row that has another verdict.
fn check(rows: &[(&str, u16, String, Verdict)]) {
    let wrong: Vec<String> = rows
        .iter()
        .filter_map(|(provider, status, body, expected)| {
            let verdict = verdict(provider, *status, body);
            let line = || format!("{provider} {status} {body}: {verdict:?}, not {expected:?}");
            (verdict != *expected).then(line)
        })
        .collect();
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

#[test]
fn google_keys_and_projects() {
    use Reason::{Billing, Expired, Permission, Restricted, ServiceDisabled, Suspended};
    const AI: &str = "google-ai-studio";
    const VERTEX: &str = "google-vertex-ai";
    let day = |scope, reason| cool(scope, Wait::Recheck(DAY), reason);
    check(&[
        (AI, 403, reasoned("CONSUMER_SUSPENDED"), reject(Suspended)),
        (AI, 403, reasoned("API_KEY_SERVICE_BLOCKED"), reject(Restricted)),
        (AI, 403, reasoned("API_KEY_IP_ADDRESS_BLOCKED"), reject(Restricted)),
        (AI, 403, reasoned("API_KEY_ANDROID_APP_BLOCKED"), reject(Restricted)),
        (AI, 403, reasoned("API_KEY_IOS_APP_BLOCKED"), reject(Restricted)),
        (AI, 403, reasoned("SERVICE_DISABLED"), reject(ServiceDisabled)),
        (AI, 401, reasoned("ACCESS_TOKEN_EXPIRED"), reject(Expired)),
        (AI, 401, reasoned("CREDENTIALS_MISSING"), doubt(Reason::Unauthorized)),
        (AI, 403, said("Your API key was reported as leaked."), reject(Reason::Leaked)),
        (AI, 403, reasoned("X"), cool(Scope::Key, Wait::Recheck(HOUR), Permission)),
        (AI, 400, said("API key not valid. Please pass"), reject(Reason::Invalid)),
        (AI, 403, said("Method doesn't allow unregistered callers"), doubt(Reason::Unauthorized)),
        (AI, 402, said("x"), day(Scope::Key, Billing)),
        (AI, 403, String::new(), doubt(Reason::Forbidden)),
        (AI, 401, String::new(), doubt(Reason::Unauthorized)),
        (VERTEX, 403, reasoned("SERVICE_DISABLED"), reject(ServiceDisabled)),
        (VERTEX, 401, reasoned("ACCESS_TOKEN_EXPIRED"), reject(Expired)),
        (VERTEX, 403, said("Permission 'x' denied on resource"), day(Scope::Model, Permission)),
        (VERTEX, 503, said("x"), transient(true, 0, true)),
        (VERTEX, 529, said("x"), transient(true, 0, true)),
    ]);
}

#[test]
fn google_quotas() {
    use Reason::{DayQuota, ModelAccess, RateLimit};
    let gemini = |body: &str| verdict("google-ai-studio", 429, body);
    let model = |wait, reason| cool(Scope::Model, wait, reason);
    let midnight = Wait::Stated(clock::midnight_pacific(NOW));
    const MINUTE_FREE: &str = "GenerateRequestsPerMinutePerProjectPerModel-FreeTier";
    const DAY_FREE: &str = "GenerateRequestsPerDayPerProjectPerModel-FreeTier";
    const DAY_PAID: &str = "GenerateRequestsPerDayPerProjectPerModel";
    // A day outranks every minute and every wait below five minutes, in any order.
    assert_eq!(gemini(&quota(&[MINUTE_FREE, DAY_FREE], "17s")), model(midnight, DayQuota));
    assert_eq!(gemini(&quota(&[DAY_FREE, MINUTE_FREE], "54s")), model(midnight, DayQuota));
    assert_eq!(gemini(&quota(&[DAY_FREE], "")), model(midnight, DayQuota));
    assert_eq!(gemini(&quota(&[DAY_FREE], "6776s")), model(midnight, DayQuota));
    assert_eq!(gemini(&quota(&[DAY_PAID], "54s")), model(midnight, DayQuota));
    assert_eq!(gemini(&quota(&[DAY_PAID], "299s")), model(midnight, DayQuota));
    assert_eq!(gemini(&quota(&[DAY_PAID], "6776s")), model(stated(6_776), DayQuota));
    let tier = format!("{DAY_PAID}-PaidTier3");
    assert_eq!(gemini(&quota(&[&tier], "300s")), model(stated(300), DayQuota));
    assert_eq!(gemini(&quota(&["SomethingDaily"], "3s")), model(midnight, DayQuota));
    // A minute.
    assert_eq!(gemini(&quota(&[MINUTE_FREE], "900ms")), model(stated(1), RateLimit));
    assert_eq!(gemini(&quota(&[MINUTE_FREE], "")), model(stated(60), RateLimit));
    assert_eq!(gemini(&quota(&["Unheard"], "")), model(Wait::Guessed(MINUTE), RateLimit));
    assert_eq!(gemini(""), model(Wait::Guessed(MINUTE), RateLimit));
    // The same through a custom provider.
    assert_eq!(verdict("custom-g", 429, &quota(&[DAY_FREE], "9s")), model(midnight, DayQuota));
    // Nothing allotted, as a number too, and what only looks like it.
    let until_midnight = Wait::Recheck(clock::midnight_pacific(NOW) - NOW);
    let zero = quota(&[MINUTE_FREE], "9s").replace("\"5\"", "0");
    assert_eq!(gemini(&zero), model(until_midnight, ModelAccess));
    assert_eq!(gemini(&said("x, limit: 0")), model(until_midnight, ModelAccess));
    assert_eq!(gemini(&said("x, limit: 0.")), model(until_midnight, ModelAccess));
    assert_eq!(gemini(&said("x, limit: 0.5")), model(Wait::Guessed(MINUTE), RateLimit));
    assert_eq!(gemini(&said("x, limit: 01")), model(Wait::Guessed(MINUTE), RateLimit));
}

#[test]
fn openai_and_azure() {
    use Reason::{DayQuota, ModelAccess, Permission, RateLimit, SpendLimit};
    const OPENAI: &str = "openai";
    const AZURE: &str = "azure-openai";
    let day = |scope, reason| cool(scope, Wait::Recheck(DAY), reason);
    let model = |wait, reason| cool(Scope::Model, wait, reason);
    check(&[
        (OPENAI, 401, coded("invalid_api_key", "x"), reject(Reason::Invalid)),
        (OPENAI, 401, said("Incorrect API key provided: sk-"), reject(Reason::Invalid)),
        (OPENAI, 401, said("You must be a member of an organization"), reject(Permission)),
        (OPENAI, 401, said("IP not authorized"), Verdict::Egress),
        (OPENAI, 403, said("Missing scopes: x"), day(Scope::Model, Permission)),
        (
            OPENAI,
            404,
            coded("model_not_found", "Project `p` does not have access to model `m`"),
            day(Scope::Model, ModelAccess),
        ),
        (OPENAI, 403, coded("model_not_found", "x"), day(Scope::Model, ModelAccess)),
        (OPENAI, 429, coded("organization_usage_limit_exceeded", ""), day(Scope::Key, SpendLimit)),
        (OPENAI, 429, coded("organization_spend_limit_exceeded", ""), day(Scope::Key, SpendLimit)),
        (
            OPENAI,
            429,
            coded("rate_limit_exceeded", "on requests per day (RPD)"),
            model(Wait::Recheck(DAY), DayQuota),
        ),
        (
            OPENAI,
            429,
            coded("rate_limit_exceeded", "on tokens per min (TPM)"),
            model(stated(60), RateLimit),
        ),
        (
            OPENAI,
            429,
            coded("rate_limit_exceeded", "requests per hour"),
            model(stated(3_600), RateLimit),
        ),
        (OPENAI, 503, said("The engine is currently overloaded"), transient(true, 0, true)),
        (OPENAI, 500, coded("server_error", "x"), transient(true, 0, false)),
        (OPENAI, 400, coded("content_policy_violation", "x"), Verdict::Caller),
        (OPENAI, 401, String::new(), doubt(Reason::Unauthorized)),
        (OPENAI, 403, said("x"), doubt(Reason::Forbidden)),
        (
            AZURE,
            403,
            said("Out of call volume quota. Quota will be replenished in 1.00:00:01"),
            cool(Scope::Key, stated(86_401), Reason::MonthQuota),
        ),
        (AZURE, 403, said("Out of call volume quota."), day(Scope::Key, Reason::MonthQuota)),
        (
            AZURE,
            403,
            said("Your resource has been temporarily blocked because of unusual behavior"),
            cool(Scope::Key, Wait::Recheck(HOUR), Reason::Suspended),
        ),
        (
            AZURE,
            429,
            said("have exceeded call rate limit. Please retry after 9 seconds."),
            model(stated(9), RateLimit),
        ),
    ]);
    // An empty bucket tells the time when nothing else does.
    let bucket = [("x-ratelimit-remaining-tokens", "0"), ("x-ratelimit-reset-tokens", "6.2s")];
    let body = coded("rate_limit_exceeded", "x");
    let verdict = verdict_at(NOW, OPENAI, 429, &bucket, body.as_bytes());
    assert_eq!(verdict, model(stated(7), RateLimit));
    // Money has no retry-after, whatever the server says.
    let broke = coded("insufficient_quota", "x");
    let verdict = verdict_at(NOW, OPENAI, 429, &[("retry-after", "62")], broke.as_bytes());
    assert_eq!(verdict, day(Scope::Key, Reason::Billing));
}

#[test]
fn anthropic_and_its_buckets() {
    let body = r#"{"type":"error","error":{"type":"rate_limit_error","message":"x"}}"#;
    let bucket = [
        ("anthropic-ratelimit-requests-remaining", "0"),
        ("anthropic-ratelimit-requests-reset", "2026-08-10T00:00:33Z"),
    ];
    let verdict_of =
        |headers: &[(&str, &str)]| verdict_at(NOW, "anthropic", 429, headers, body.as_bytes());
    let model = |wait| cool(Scope::Model, wait, Reason::RateLimit);
    assert_eq!(verdict_of(&[]), model(Wait::Guessed(MINUTE)));
    assert_eq!(verdict_of(&bucket), model(stated(33)));
    assert_eq!(verdict_of(&[("retry-after", "5"), bucket[0], bucket[1]]), model(stated(5)));
    let error = |kind: &str, text: &str| {
        serde_json::json!({"type": "error", "error": {"type": kind, "message": text}}).to_string()
    };
    let key = |wait, reason| cool(Scope::Key, wait, reason);
    check(&[
        ("anthropic", 401, error("authentication_error", "x"), reject(Reason::Invalid)),
        (
            "anthropic",
            401,
            error("authentication_error", "x-api-key header is required"),
            doubt(Reason::Unauthorized),
        ),
        ("anthropic", 402, error("billing_error", "x"), key(Wait::Recheck(DAY), Reason::Billing)),
        ("anthropic", 403, error("forbidden", "Request not allowed"), Verdict::Egress),
        (
            "anthropic",
            403,
            error("permission_error", "x"),
            cool(Scope::Model, Wait::Recheck(HOUR), Reason::Permission),
        ),
        ("anthropic", 400, error("invalid_request_error", "prompt is too long"), Verdict::Caller),
        ("anthropic", 504, error("timeout_error", "x"), transient(true, 0, false)),
        ("anthropic", 409, error("conflict_error", "x"), transient(true, 0, false)),
        // A date that is over is no date.
        (
            "anthropic",
            400,
            error(
                "invalid_request_error",
                "You have reached your specified \
            workspace API usage limits. You will regain access on 2026-04-01 at 00:00 UTC.",
            ),
            key(Wait::Recheck(DAY), Reason::SpendLimit),
        ),
        (
            "anthropic",
            429,
            coded("enforced_spend_limit_reached", "x"),
            key(Wait::Stated(clock::month_start_utc(NOW)), Reason::SpendLimit),
        ),
        // What the caller wrote stands behind the field's name.
        (
            "anthropic",
            400,
            error("invalid_request_error", "tools.0.name: 'this organization has been disabled'"),
            Verdict::Caller,
        ),
    ]);
}

#[test]
fn other_providers() {
    use Reason::{Billing, Capacity, DayQuota, Invalid, ModelAccess, MonthQuota, Permission};
    use Reason::{RateLimit, SpendLimit, Suspended};
    let day = |scope, reason| cool(scope, Wait::Recheck(DAY), reason);
    let key = |wait, reason| cool(Scope::Key, wait, reason);
    let model = |wait, reason| cool(Scope::Model, wait, reason);
    let month = Wait::Stated(clock::month_start_utc(NOW));
    let midnight = Wait::Stated(clock::midnight_utc(NOW));
    let workers = |code: u32| format!(r#"{{"success":false,"errors":[{{"code":{code}}}]}}"#);
    let source = |source: &str| {
        serde_json::json!({"error": {"message": "x", "metadata": {"limit_source": source}}})
            .to_string()
    };
    check(&[
        ("groq", 401, coded("invalid_api_key", "Invalid API Key"), reject(Invalid)),
        ("groq", 400, coded("blocked_api_access", "x"), day(Scope::Key, SpendLimit)),
        ("groq", 400, coded("spend_limit_reached", "x"), day(Scope::Key, SpendLimit)),
        ("groq", 403, coded("model_permission_blocked_org", "x"), day(Scope::Model, ModelAccess)),
        ("groq", 400, coded("model_terms_required", "x"), day(Scope::Model, ModelAccess)),
        (
            "groq",
            429,
            coded(
                "rate_limit_exceeded",
                "on tokens per day (TPD): Limit 1, Used 1. Please try again in 6m 11.52s.",
            ),
            model(stated(372), DayQuota),
        ),
        (
            "groq",
            413,
            coded("rate_limit_exceeded", "Request too large; please try again in 4.2s"),
            model(stated(5), RateLimit),
        ),
        ("groq", 404, coded("model_not_found", "x"), Verdict::Caller),
        ("groq", 400, coded("model_decommissioned", "x"), Verdict::Caller),
        ("groq", 424, said("x"), Verdict::Caller),
        ("groq", 499, said("x"), Verdict::Caller),
        (
            "mistral",
            403,
            said("Inactive subscription or usage limit reached"),
            day(Scope::Key, Billing),
        ),
        ("mistral", 429, coded("3810", "x"), transient(true, 5 * SECOND, true)),
        ("mistral", 400, coded("1500", "Invalid model"), Verdict::Caller),
        ("openrouter", 401, said("No auth credentials found"), doubt(Invalid)),
        (
            "openrouter",
            402,
            source("in_flight_budget_exhausted"),
            key(Wait::Recheck(MINUTE), Capacity),
        ),
        ("openrouter", 402, source("weight_exceeds_budget"), transient(true, 0, true)),
        ("openrouter", 403, said("Key limit exceeded (monthly limit)."), key(month, SpendLimit)),
        ("openrouter", 403, source("openrouter_key_limit"), day(Scope::Key, SpendLimit)),
        ("openrouter", 403, said("Provider returned error"), transient(true, 0, false)),
        (
            "openrouter",
            429,
            said("Rate limit exceeded: free-models-per-day-high-balance. "),
            cool(Scope::FreeModels, midnight, DayQuota),
        ),
        (
            "openrouter",
            429,
            said("Rate limit exceeded: free-models-per-min. "),
            cool(Scope::FreeModels, stated(60), RateLimit),
        ),
        (
            "openrouter",
            404,
            said("No endpoints found matching your data policy"),
            day(Scope::Model, ModelAccess),
        ),
        ("openrouter", 408, said("x"), transient(true, 0, false)),
        ("deepseek", 422, said("x"), Verdict::Caller),
        (
            "cerebras",
            429,
            coded("token_quota_exceeded", "Tokens per minute limit exceeded"),
            model(stated(60), RateLimit),
        ),
        (
            "cerebras",
            429,
            coded("token_quota_exceeded", "Tokens per day limit exceeded"),
            model(Wait::Recheck(DAY), DayQuota),
        ),
        ("cerebras", 402, String::new(), day(Scope::Key, Billing)),
        ("grok", 403, said("Your team has run out of credits"), day(Scope::Key, Billing)),
        ("grok", 429, said("You have reached your free usage quota"), day(Scope::Key, DayQuota)),
        ("cohere", 429, said("limited to 1000 API calls / month"), key(month, MonthQuota)),
        ("cohere", 499, said("x"), transient(true, 0, false)),
        ("perplexity-ai", 504, "<html><h1>504".to_owned(), transient(true, 0, false)),
        ("perplexity-ai", 400, said("Invalid model"), Verdict::Caller),
        ("huggingface", 401, "<html>Sign in".to_owned(), doubt(Reason::Unauthorized)),
        ("huggingface", 403, said("does not have sufficient permissions"), reject(Permission)),
        ("huggingface", 429, said("x"), model(Wait::Guessed(MINUTE), RateLimit)),
        ("huggingface", 503, said("x"), transient(true, 0, true)),
        ("replicate", 429, said("throttled"), key(Wait::Recheck(10 * SECOND), RateLimit)),
        ("replicate", 422, said("E005"), Verdict::Caller),
        ("elevenlabs", 402, coded("quota_exceeded", "x"), day(Scope::Key, Billing)),
        ("elevenlabs", 429, coded("system_busy", "x"), transient(false, 3 * SECOND, true)),
        ("elevenlabs", 422, coded("max_character_limit_exceeded", "x"), Verdict::Caller),
        ("cartesia", 401, String::new(), doubt(Reason::Unauthorized)),
        ("cartesia", 402, String::new(), day(Scope::Key, Billing)),
        (
            "aws-bedrock",
            403,
            r#"{"__type":"com.amazon#InvalidSignatureException"}"#.to_owned(),
            Verdict::Gateway { code: 0 },
        ),
        (
            "aws-bedrock",
            403,
            said("You don't have access to the model with the specified ID"),
            day(Scope::Model, ModelAccess),
        ),
        ("aws-bedrock", 503, said("x"), transient(true, 0, true)),
        (
            "aws-bedrock",
            424,
            r#"{"__type":"ModelErrorException"}"#.to_owned(),
            transient(true, 0, false),
        ),
        (
            "aws-bedrock",
            408,
            r#"{"__type":"ModelTimeoutException"}"#.to_owned(),
            transient(true, 0, false),
        ),
        ("workers-ai", 401, workers(10_000), reject(Invalid)),
        ("workers-ai", 429, workers(3_036), key(midnight, DayQuota)),
        ("workers-ai", 429, workers(4_006), key(midnight, DayQuota)),
        ("workers-ai", 429, workers(3_040), transient(true, 5 * SECOND, true)),
        ("workers-ai", 408, workers(3_007), transient(true, 0, false)),
        ("workers-ai", 403, workers(3_023), reject(Suspended)),
        ("workers-ai", 403, workers(5_016), day(Scope::Model, ModelAccess)),
        ("workers-ai", 403, workers(3_041), day(Scope::Model, ModelAccess)),
        ("workers-ai", 405, workers(5_019), Verdict::Caller),
        ("workers-ai", 413, workers(3_006), Verdict::Caller),
    ]);
}

#[test]
fn unknown_providers_by_status() {
    let custom = |status| verdict("custom-mine", status, "{}");
    for status in [100, 101, 204, 206, 301, 304, 399] {
        assert_eq!(custom(status), Verdict::Success, "{status}");
    }
    for status in [400, 404, 405, 406, 410, 413, 418, 422, 424, 451, 499] {
        assert_eq!(custom(status), Verdict::Caller, "{status}");
    }
    for status in [408, 409, 500, 501, 502, 504, 520, 599, 600, 999, 0] {
        assert_eq!(custom(status), transient(true, 0, false), "{status}");
    }
    for status in [425, 503, 529] {
        assert_eq!(custom(status), transient(true, 0, true), "{status}");
    }
    let flagged = said("Your input was flagged: 'this API key has been suspended'");
    assert_eq!(verdict("custom-mine", 403, &flagged), Verdict::Caller);
    let suspended = said("Your account has been suspended.");
    assert_eq!(verdict("custom-mine", 403, &suspended), reject(Reason::Suspended));
    assert_eq!(verdict("custom-mine", 401, &said("Invalid token")), reject(Reason::Invalid));
    assert_eq!(custom(401), doubt(Reason::Unauthorized));
    assert_eq!(custom(403), doubt(Reason::Forbidden));
    assert_eq!(custom(402), cool(Scope::Key, Wait::Recheck(DAY), Reason::Billing));
    assert_eq!(custom(429), cool(Scope::Model, Wait::Guessed(MINUTE), Reason::RateLimit));
    let verdict = verdict_at(NOW, "custom-mine", 502, &[("retry-after", "7")], b"");
    assert_eq!(verdict, transient(true, 7 * SECOND, false));
}
