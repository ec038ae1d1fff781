//! What is known of each provider's errors: one table per provider, in alphabetical order, and
//! [`GENERIC`] for what many share. Google's is in `google`.
//!
//! A row is `(statuses, sign, meaning)`; the first that fits decides, and a provider's own table is
//! read before [`GENERIC`]. Rows come from the providers' documentation and from answers seen.

use super::super::verdict::Reason::{
    Billing, Capacity, DayQuota, Expired, Forbidden, Invalid, Leaked, ModelAccess, MonthQuota,
    Permission, RateLimit, Restricted, SpendLimit, Suspended, Unauthorized,
};
use super::super::verdict::Scope::{FreeModels, Key, Model};
use super::super::{DAY, HOUR, MINUTE, SECOND, clock};
use super::google;
use super::rules::Done::{No, Perhaps};
use super::rules::Means::{
    Caller, Cool, Doubt, Egress, Elsewhere, Gateway, Is, OtherAccount, Reject, Same,
};
use super::rules::Sign::{Always, Begins, If, Says, Word, WordLike, WordSays};
use super::rules::Until::{Clock, Month, Rate, Recheck, Room, StatedOr, StatedOrRecheck};
use super::rules::{ANY, Row, too_large};

/// Room in a model that many share: seconds to a minute.
const SHARED_ROOM: u64 = 30 * SECOND;
/// Room for one more request at once: as long as a short request takes.
const NEXT_ROOM: u64 = 3 * SECOND;
/// A queue in front of the engine.
const QUEUE: u64 = 5 * SECOND;

/// The table of a provider, by its AI Gateway slug.
pub(super) fn of(provider: &str) -> &'static [Row] {
    match provider {
        "anthropic" => ANTHROPIC,
        "aws-bedrock" => AWS_BEDROCK,
        "azure-openai" => AZURE_OPENAI,
        "cartesia" => CARTESIA,
        "cerebras" => CEREBRAS,
        "cohere" => COHERE,
        "deepgram" => DEEPGRAM,
        "deepseek" => DEEPSEEK,
        "elevenlabs" => ELEVENLABS,
        "fal" => FAL,
        "google-ai-studio" => google::AI_STUDIO,
        "google-vertex-ai" => google::VERTEX,
        "grok" => GROK,
        "groq" => GROQ,
        "huggingface" => HUGGINGFACE,
        "mistral" => MISTRAL,
        "openai" => OPENAI,
        "openrouter" => OPENROUTER,
        "perplexity-ai" => PERPLEXITY,
        "replicate" => REPLICATE,
        "workers-ai" => WORKERS_AI,
        _ => &[],
    }
}

#[rustfmt::skip]
const ANTHROPIC: &[Row] = &[
    (&[400, 403], Begins(&["this organization has been disabled", "your organization has been disabled", "organization has been disabled"]), Reject(Suspended)),
    (&[400], Begins(&["your credit balance is too low"]), Cool(Key, Recheck(DAY), Billing)),
    // "You have reached your specified (workspace) API usage limits. You will regain access on D."
    (&[400], Begins(&["you have reached your specified"]), Cool(Key, StatedOrRecheck(DAY), SpendLimit)),
    // The cap of the organisation's tier; no retry-after, but the same words. Documented: the 1st.
    (ANY, Word(&["enforced_spend_limit_reached"]), Cool(Key, StatedOr(clock::month_start_utc), SpendLimit)),
    (ANY, Word(&["account_banned"]), Reject(Suspended)),
    (&[403], Says(&["oauth authentication is currently not allowed"]), Reject(Restricted)),
    (&[403], WordSays(&["forbidden"], &["request not allowed"]), Egress),
    (&[403], Word(&["permission_error"]), Cool(Model, Recheck(HOUR), Permission)),
    // No key arrived: more likely our fault than the key's.
    (&[401], Begins(&["x-api-key header is required"]), Doubt(Unauthorized)),
    (ANY, Word(&["authentication_error"]), Reject(Invalid)),
    (ANY, Word(&["billing_error"]), Cool(Key, Recheck(DAY), Billing)),
    // "Extra usage is required for long context requests.": what the plan includes, not a quota.
    (&[429], Says(&["long context requests"]), OtherAccount),
    (ANY, Word(&["overloaded_error"]), Elsewhere(0, No)),
];

#[rustfmt::skip]
const AWS_BEDROCK: &[Row] = &[
    (ANY, Word(&["ExpiredTokenException"]), Reject(Expired)),
    (ANY, Word(&["UnrecognizedClientException"]), Reject(Invalid)),
    // The path, region or clock of the signer; all keys would fail alike.
    (ANY, Word(&["InvalidSignatureException"]), Gateway),
    (&[403], Begins(&["the security token included in the request is expired"]), Reject(Expired)),
    (&[403], Begins(&["the security token included in the request is invalid"]), Reject(Invalid)),
    // Also a good key of another region: a bearer key is bound to one.
    (&[403], Begins(&["authentication failed"]), Reject(Invalid)),
    (&[403], Says(&["don't have access to the model", "not authorized to perform: bedrock:"]), Cool(Model, Recheck(DAY), ModelAccess)),
    (&[403], Word(&["AccessDeniedException"]), Cool(Model, Recheck(HOUR), Permission)),
    (ANY, Word(&["ModelNotReadyException"]), Same(10 * SECOND, No)),
    // The hour of its day is not documented; the next UTC day is the usual assumption.
    (&[429], Says(&["too many tokens per day"]), Cool(Model, StatedOr(clock::midnight_utc), DayQuota)),
    (ANY, Word(&["ThrottlingException", "ServiceQuotaExceededException"]), Cool(Model, Rate(MINUTE), RateLimit)),
    (&[424], Word(&["ModelErrorException"]), Elsewhere(0, Perhaps)),
];

#[rustfmt::skip]
const AZURE_OPENAI: &[Row] = &[
    // Also a good key of another resource: a key belongs to one.
    (&[401], Says(&["invalid subscription key"]), Reject(Invalid)),
    (&[403], Says(&["out of call volume quota"]), Cool(Key, StatedOrRecheck(DAY), MonthQuota)),
    (&[403], Says(&["temporarily blocked", "unusual behavior"]), Cool(Key, Recheck(HOUR), Suspended)),
    (&[403], Says(&["virtual network/firewall rules", "public access is disabled"]), Egress),
];

#[rustfmt::skip]
const CARTESIA: &[Row] = &[
    // Its only 429 is "You have exceeded your plan's concurrency limit".
    (&[429], Always, Cool(Key, Room(NEXT_ROOM), Capacity)),
];

#[rustfmt::skip]
const CEREBRAS: &[Row] = &[
    (ANY, Word(&["wrong_api_key"]), Reject(Invalid)),
    // Sent with `x-should-retry: false`, although it clears in seconds.
    (&[429], Word(&["queue_exceeded"]), Same(QUEUE, No)),
    (&[429], Word(&["token_quota_exceeded", "request_quota_exceeded"]), Cool(Model, Rate(MINUTE), RateLimit)),
];

#[rustfmt::skip]
const COHERE: &[Row] = &[
    (&[401], Begins(&["invalid api token"]), Reject(Invalid)),
    // A trial key's 1 000 calls of the calendar month, and its 10 to 40 of the minute per endpoint.
    (&[429], Says(&["/ month"]), Cool(Key, Clock(clock::month_start_utc), MonthQuota)),
    (&[429], Says(&["/ minute"]), Cool(Model, Rate(MINUTE), RateLimit)),
    (&[499], Always, Elsewhere(0, Perhaps)),
];

#[rustfmt::skip]
const DEEPGRAM: &[Row] = &[
    (ANY, Word(&["INVALID_AUTH"]), Reject(Invalid)),
    (&[403], Word(&["INSUFFICIENT_PERMISSIONS"]), Cool(Model, Recheck(DAY), Permission)),
    // Limits are of requests at once.
    (&[429], Always, Cool(Key, Room(NEXT_ROOM), Capacity)),
];

#[rustfmt::skip]
const DEEPSEEK: &[Row] = &[
    // `code` is `invalid_request_error` here too; only `type` tells.
    (&[401], Word(&["authentication_error"]), Reject(Invalid)),
    // No quota is documented: the limit follows the load.
    (&[429], Always, Cool(Model, Rate(30 * SECOND), RateLimit)),
];

#[rustfmt::skip]
const ELEVENLABS: &[Row] = &[
    (ANY, Word(&["invalid_api_key"]), Reject(Invalid)),
    (&[401, 402, 429], Word(&["quota_exceeded", "insufficient_credits"]), Cool(Key, Recheck(DAY), Billing)),
    // Comes and goes with the address that the request left from; only free keys.
    (&[401], Word(&["detected_unusual_activity"]), Cool(Key, Recheck(DAY), Suspended)),
    (&[401, 403], Word(&["missing_permissions"]), Cool(Model, Recheck(DAY), Permission)),
    // A voice of the library: this voice is not for free users.
    (&[402], Word(&["paid_plan_required"]), Caller),
    (&[429], Word(&["system_busy"]), Same(3 * SECOND, No)),
    (&[429], Word(&["too_many_concurrent_requests", "concurrent_limit_exceeded"]), Cool(Key, Room(NEXT_ROOM), Capacity)),
];

#[rustfmt::skip]
const FAL: &[Row] = &[
    (&[403], Begins(&["user is locked. reason: exhausted balance"]), Cool(Key, Recheck(DAY), Billing)),
    (&[403], Begins(&["user is locked. reason: top_up"]), Cool(Key, Recheck(HOUR), Billing)),
    (&[403], Begins(&["user is locked. reason: admin lock"]), Reject(Suspended)),
    (&[403], Begins(&["user is locked"]), Cool(Key, Recheck(DAY), Suspended)),
];

/// xAI has two generations of `code`, prose and kebab-case, and neither tells more than the status:
/// a wrong key and a wrong field are both `invalid-argument` at 400. Only the text tells.
#[rustfmt::skip]
const GROK: &[Row] = &[
    // Each violation is billed: never on a second key.
    (&[400, 403], Says(&["content violates usage guidelines", "safety_check_type_"]), Caller),
    (&[400, 401, 403], Begins(&["incorrect api key provided"]), Reject(Invalid)),
    (&[403], Says(&["blocked due to api key leak"]), Reject(Leaked)),
    (&[403], Begins(&["api key is currently blocked"]), Reject(Suspended)),
    (&[403, 429], Says(&["used all available credits", "monthly spending limit", "run out of credits"]), Cool(Key, Recheck(DAY), Billing)),
    (&[429], Says(&["free usage quota"]), Cool(Key, Recheck(DAY), DayQuota)),
];

#[rustfmt::skip]
const GROQ: &[Row] = &[
    (ANY, Word(&["organization_restricted"]), Reject(Suspended)),
    (ANY, Word(&["blocked_api_access"]), Cool(Key, Month, SpendLimit)),
    (ANY, WordLike(&["spend_"]), Cool(Key, Month, SpendLimit)),
    (ANY, Word(&["model_permission_blocked_project", "model_permission_blocked_org"]), Cool(Model, Recheck(DAY), ModelAccess)),
    // Terms are accepted per organisation.
    (ANY, Word(&["model_terms_required"]), Cool(Model, Recheck(DAY), ModelAccess)),
    // `retry-after` is there as well, but a request larger than the limit of a minute never fits.
    (&[413, 429], Begins(&["request too large"]), Is(too_large)),
    (ANY, Word(&["capacity_exceeded"]), Elsewhere(0, No)),
    (&[498], Always, Elsewhere(0, No)),
];

#[rustfmt::skip]
const HUGGINGFACE: &[Row] = &[
    (&[401], Begins(&["invalid username or password", "invalid credentials"]), Reject(Invalid)),
    (&[402], Always, Cool(Key, Month, MonthQuota)),
    (&[403], Says(&["sufficient permissions"]), Reject(Permission)),
    (&[403], Says(&["gated repo", "not in the authorized list"]), Cool(Model, Recheck(DAY), ModelAccess)),
    // The model is loading; `estimated_time` says for how long.
    (&[503], If(|case| case.stated_in_body().is_some()), Same(0, No)),
];

#[rustfmt::skip]
const MISTRAL: &[Row] = &[
    // 401 for a wrong key and for a used-up subscription.
    (&[401, 403], Begins(&["inactive subscription or usage limit reached"]), Cool(Key, Month, Billing)),
    (&[401], Begins(&["invalid api key", "unauthorized"]), Reject(Invalid)),
    // `code` is a string of digits.
    (&[429], Word(&["3505", "service_tier_capacity_exceeded"]), Cool(Model, Room(SHARED_ROOM), Capacity)),
    (&[429], Word(&["3810", "engine_max_pending_tokens"]), Elsewhere(QUEUE, No)),
    (&[429], Says(&["engine_max_pending_tokens"]), Elsewhere(QUEUE, No)),
    // Its minute is the clock's; `retry-after` is rare.
    (&[429], Always, Cool(Model, StatedOr(clock::minute_boundary), RateLimit)),
];

#[rustfmt::skip]
const OPENAI: &[Row] = &[
    (&[401], Says(&["must be a member of an organization"]), Reject(Permission)),
    (&[401], Says(&["ip not authorized", "ip address is not authorized", "ip allowlist"]), Egress),
    (ANY, Word(&["missing_scope"]), Cool(Model, Recheck(DAY), Permission)),
    (&[401, 403], Says(&["missing scopes:", "insufficient permissions for this operation"]), Cool(Model, Recheck(DAY), Permission)),
    // At 404 `model_not_found` without these words means that nobody has it.
    (&[403], Word(&["model_not_found"]), Cool(Model, Recheck(DAY), ModelAccess)),
    (&[403, 404], Says(&["does not have access to model"]), Cool(Model, Recheck(DAY), ModelAccess)),
    (&[400, 403, 404], Begins(&["your organization must be verified to"]), Cool(Model, Recheck(DAY), ModelAccess)),
];

#[rustfmt::skip]
const OPENROUTER: &[Row] = &[
    (&[401], Begins(&["user not found"]), Reject(Invalid)),
    // Said of a malformed key, and also if we had sent none.
    (&[401], Begins(&["missing authentication header", "no auth credentials found"]), Doubt(Invalid)),
    // The key still serves smaller requests.
    (&[402], Says(&["can only afford"]), OtherAccount),
    (&[402], Word(&["weight_exceeds_budget"]), OtherAccount),
    (&[402], Word(&["in_flight_budget_exhausted"]), Cool(Key, Room(MINUTE), Capacity)),
    // Moderation of the prompt, which the message may quote.
    (&[403], If(|case| case.fault.error.get("metadata").is_some_and(|metadata| metadata.get("reasons").or(metadata.get("flagged_input")).is_some())), Caller),
    (&[403], Begins(&["key limit exceeded (daily"]), Cool(Key, Clock(clock::midnight_utc), SpendLimit)),
    (&[403], Begins(&["key limit exceeded (weekly"]), Cool(Key, Clock(clock::monday_utc), SpendLimit)),
    (&[403], Begins(&["key limit exceeded (monthly"]), Cool(Key, Clock(clock::month_start_utc), SpendLimit)),
    // "total" never resets by itself.
    (&[403], Begins(&["key limit exceeded"]), Cool(Key, Recheck(DAY), SpendLimit)),
    (&[403], Word(&["openrouter_key_limit"]), Cool(Key, Recheck(DAY), SpendLimit)),
    (&[401, 403], Begins(&["provider returned error"]), Elsewhere(0, Perhaps)),
    // One quota of the account for all free models: 50 or 1 000 a day, 20 a minute.
    (&[429], Says(&["free-models-per-day"]), Cool(FreeModels, StatedOr(clock::midnight_utc), DayQuota)),
    (&[429], Says(&["free-models-per-min"]), Cool(FreeModels, Rate(MINUTE), RateLimit)),
    (&[429], Word(&["openrouter_shared_capacity"]), Cool(Model, Room(MINUTE), Capacity)),
    (&[429], Says(&["high demand for"]), Cool(Model, Room(MINUTE), Capacity)),
    (&[429], Word(&["upstream_provider_shared_pool"]), Cool(Model, Room(SHARED_ROOM), Capacity)),
    (&[429], Begins(&["provider returned error"]), Cool(Model, Room(SHARED_ROOM), Capacity)),
    // What the account's settings allow; "no endpoints found" for other reasons is the caller's.
    (&[404], Says(&["data policy"]), Cool(Model, Recheck(DAY), ModelAccess)),
];

/// Its codes are the ones that many share; it says `insufficient_quota` at 401.
#[rustfmt::skip]
const PERPLEXITY: &[Row] = &[
    (&[429], Word(&["request_rate_limit_exceeded"]), Cool(Model, Rate(MINUTE), RateLimit)),
];

#[rustfmt::skip]
const REPLICATE: &[Row] = &[
    (&[401], Begins(&["you did not pass a valid authentication token"]), Reject(Invalid)),
    // Limits are per account, whatever the model; with little credit it is one request in 10 s.
    (&[429], Always, Cool(Key, Room(10 * SECOND), RateLimit)),
];

/// By Cloudflare's code in `errors[0]`:
/// <https://developers.cloudflare.com/workers-ai/platform/errors/>.
#[rustfmt::skip]
const WORKERS_AI: &[Row] = &[
    (ANY, Word(&["10000"]), Reject(Invalid)),
    (ANY, Word(&["3023"]), Reject(Suspended)),
    // The account's 10 000 free neurons of the day; 3036 is documented, 4006 is what comes.
    (ANY, Word(&["3036", "4006"]), Cool(Key, Clock(clock::midnight_utc), DayQuota)),
    (ANY, Word(&["3040"]), Elsewhere(QUEUE, No)),
    (ANY, Word(&["3007", "3008"]), Elsewhere(0, Perhaps)),
    // Its licence must be accepted; a private model.
    (ANY, Word(&["5016", "5018", "3041"]), Cool(Model, Recheck(DAY), ModelAccess)),
    (ANY, Word(&["3003", "3006", "3039", "3042", "5004", "5005", "5006", "5007", "5019"]), Caller),
];

/// What many providers share, above all those that imitate OpenAI; and what a status alone says.
#[rustfmt::skip]
pub(super) const GENERIC: &[Row] = &[
    // The prompt. These come at 400, 403 and even 502.
    (ANY, Word(&["content_policy_violation", "moderation_blocked", "cyber_policy", "content_filter", "ResponsibleAIPolicyViolation"]), Caller),
    (ANY, Word(&["context_length_exceeded", "string_above_max_length"]), Caller),
    // Before the texts below: it may quote the prompt, which may hold any of them.
    (&[403], Says(&["moderation", "flagged", "content policy"]), Caller),
    // The place.
    (ANY, Word(&["unsupported_country_region_territory"]), Egress),
    (&[400, 403], Begins(&["user location is not supported", "country, region, or territory not supported"]), Egress),
    // The key.
    (ANY, Word(&["API_KEY_INVALID", "invalid_api_key", "incorrect_api_key", "wrong_api_key"]), Reject(Invalid)),
    (ANY, Word(&["account_deactivated"]), Reject(Suspended)),
    (&[401, 403], Says(&["reported as leaked"]), Reject(Leaked)),
    (&[401, 403], Says(&["has been suspended", "has been deactivated", "has been banned"]), Reject(Suspended)),
    (&[401, 403], Says(&["api key expired", "api key has expired", "token has expired"]), Reject(Expired)),
    (&[401, 403], Says(&["invalid api key", "incorrect api key", "api key not valid", "api key is invalid", "invalid api token", "invalid token"]), Reject(Invalid)),
    (&[401], Word(&["authentication_error", "invalid_authentication"]), Reject(Invalid)),
    // Money. The codes of limits that the owner set come first: they may hide in `insufficient_quota`.
    (ANY, Word(&["organization_usage_limit_exceeded", "organization_spend_limit_exceeded", "project_spend_limit_exceeded", "billing_hard_limit_reached"]), Cool(Key, Month, SpendLimit)),
    (ANY, Word(&["insufficient_quota", "credit_balance_exhausted", "billing_not_active"]), Cool(Key, Recheck(DAY), Billing)),
    (&[402], Always, Cool(Key, Recheck(DAY), Billing)),
    // Load.
    (&[503, 529], Always, Elsewhere(0, No)),
    (ANY, Word(&["overloaded_error", "server_is_overloaded"]), Elsewhere(0, No)),
    // Quota. A request that is larger than the limit itself never fits.
    (&[413, 429], Begins(&["request too large for"]), Is(too_large)),
    (&[429], Always, Is(google::rate_or_quota)),
    // A refusal without a reason.
    (&[401], Always, Doubt(Unauthorized)),
    (&[403], Always, Doubt(Forbidden)),
    // 425: too early, the server did not begin. The others may have.
    (&[425], Always, Elsewhere(0, No)),
    (&[408, 409], Always, Elsewhere(0, Perhaps)),
];
