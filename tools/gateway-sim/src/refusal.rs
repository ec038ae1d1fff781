//! How each provider says no: bad keys, used-up quotas, and the caller's own mistakes.
//!
//! Captured answers are used where there is one; the rest are written in the provider's known form,
//! because they name the key, the model, the limit or the time.

use serde_json::{Value, json};

use crate::answer::{Answer, Payload};
use crate::keys::KeyState;
use crate::quota::{Exceeded, Span};
use crate::request::Call;
use crate::time::{decimal_seconds, go_duration, now_ms, retry_after};
use crate::{anthropic, cases, gemini, openai, routes};

pub enum Refusal {
    State(KeyState),
    Quota(Exceeded),
    BrokenJson,
    UnknownModel,
    Blocked,
    /// Anthropic's version header is not there.
    NoVersion,
    /// A path or method that the provider does not have.
    NoRoute,
}

pub fn answer(call: &Call, refusal: &Refusal) -> Answer {
    let mut answer = match refusal {
        Refusal::State(state) => bad_key(call, *state),
        Refusal::Quota(exceeded) => over_quota(call, exceeded),
        Refusal::BrokenJson => broken_json(call),
        Refusal::UnknownModel => unknown_model(call),
        Refusal::Blocked => blocked(call),
        Refusal::NoVersion => anthropic::error(
            call,
            400,
            "invalid_request_error",
            "anthropic-version: header is required",
        ),
        Refusal::NoRoute => no_route(call),
    };
    let in_array = call.is_gemini_openai_layer()
        || call.rest.ends_with(":streamGenerateContent") && call.query("alt") != Some("sse");
    if in_array && call.slug == "google-ai-studio" && answer.status.as_u16() >= 400 {
        // Google wraps the errors of these two in an array, as if they were streams of one element.
        if let Payload::Whole(body) = &answer.payload {
            let wrapped = [b"[".as_slice(), body, b"]"].concat();
            answer.payload = Payload::Whole(wrapped.into());
        }
    }
    answer
}

/// A captured case, or a plain status should there be none of that name.
fn captured(id: &str) -> Answer {
    cases::answer(id).unwrap_or_else(|| Answer::text(500, format!("no captured case {id}")))
}

fn google_info(reason: &str, metadata: Value) -> Value {
    json!([{"@type":"type.googleapis.com/google.rpc.ErrorInfo","reason":reason,"domain":"googleapis.com","metadata":metadata}])
}

/// The ends of a key, as providers mask it in their messages.
fn masked(key: &str) -> String {
    let characters: Vec<char> = key.chars().collect();
    if characters.len() <= 12 {
        return "*".repeat(characters.len());
    }
    let (head, tail) = (characters.iter().take(8), characters.iter().skip(characters.len() - 4));
    head.copied().chain("*".repeat(characters.len() - 12).chars()).chain(tail.copied()).collect()
}

fn bad_key(call: &Call, state: KeyState) -> Answer {
    use KeyState::{
        Bare401, Bare403, DisabledApi, Drop, Expired, Invalid, Leaked, NoCredit, Region,
        Restricted, Slow, Suspended, Valid,
    };
    match state {
        Bare401 => return Answer::text(401, String::new()),
        Bare403 => return Answer::text(403, String::new()),
        _ => {}
    }
    let key = call.key.as_deref().unwrap_or_default();
    match call.slug.as_str() {
        "google-ai-studio" => match state {
            Expired => captured("gai-key-expired"),
            Suspended => {
                // The one answer that repeats the whole key.
                let message =
                    format!("Permission denied: Consumer 'api_key:{key}' has been suspended.");
                let metadata = json!({"service":"generativelanguage.googleapis.com","containerInfo":format!("api_key:{key}"),"consumer":"projects/123456789012"});
                Answer::json(
                    403,
                    &gemini::error(
                        403,
                        "PERMISSION_DENIED",
                        &message,
                        Some(google_info("CONSUMER_SUSPENDED", metadata)),
                    ),
                )
            }
            Leaked => {
                let message = "Your API key was reported as leaked. Please use another API key.";
                Answer::json(403, &gemini::error(403, "PERMISSION_DENIED", message, None))
            }
            DisabledApi => {
                let message = "Generative Language API has not been used in project 123456789012 before or it is disabled. Enable it by visiting https://console.developers.google.com/apis/api/generativelanguage.googleapis.com/overview?project=123456789012 then retry. If you enabled this API recently, wait a few minutes for the action to propagate to our systems and retry.";
                let metadata = json!({"service":"generativelanguage.googleapis.com","serviceTitle":"Generative Language API","consumer":"projects/123456789012",
                    "containerInfo":"123456789012","activationUrl":"https://console.developers.google.com/apis/api/generativelanguage.googleapis.com/overview?project=123456789012"});
                Answer::json(
                    403,
                    &gemini::error(
                        403,
                        "PERMISSION_DENIED",
                        message,
                        Some(google_info("SERVICE_DISABLED", metadata)),
                    ),
                )
            }
            NoCredit => captured("gai-402-prepay"),
            Region => captured("gai-location"),
            Restricted => captured("gai-referrer-blocked"),
            _ => captured("gai-key-invalid"),
        },
        "google-vertex-ai" => captured(match state {
            NoCredit => "vtx-403-billing",
            DisabledApi | Restricted => "vtx-403-iam",
            _ => "vtx-401",
        }),
        "openai" => match state {
            Suspended => captured("oai-401-deactivated"),
            NoCredit => captured("oai-429-quota"),
            Region => captured("oai-403-region"),
            Restricted => captured("oai-401-scope"),
            DisabledApi => {
                let message =
                    format!("Project `proj_sim` does not have access to model `{}`", call.model());
                openai::error(403, &message, "invalid_request_error", None, Some("model_not_found"))
            }
            _ => {
                let message = format!(
                    "Incorrect API key provided: {}. You can find your API key at https://platform.openai.com/account/api-keys.",
                    masked(key)
                );
                openai::error(401, &message, "invalid_request_error", None, Some("invalid_api_key"))
            }
        },
        "azure-openai" => captured(if state == Region { "azr-403-vnet" } else { "azr-401" }),
        "anthropic" => match state {
            Suspended => captured("ant-400-org-disabled"),
            NoCredit => captured("ant-400-credit"),
            DisabledApi => captured("ant-403-oauth-org"),
            Region => Answer::json(
                403,
                &json!({"error":{"type":"forbidden","message":"Request not allowed"}}),
            ),
            Restricted => {
                let message =
                    "Your API key does not have permission to use the specified resource.";
                anthropic::error(call, 403, "permission_error", message)
            }
            _ if call.compat => captured("ant-401-compat"),
            _ => anthropic::error(call, 401, "authentication_error", "invalid x-api-key"),
        },
        "groq" => match state {
            Suspended => captured("grq-400-org"),
            DisabledApi | Restricted => captured("grq-403-model"),
            NoCredit => Answer::json(
                400,
                &json!({"error":{"message":"The organization has reached its spend limit.","type":"invalid_request_error","code":"blocked_api_access"}}),
            ),
            Region => Answer::json(
                403,
                &json!({"error":{"message":"Access denied. Please check your network settings."}}),
            ),
            _ => Answer::json(
                401,
                &json!({"error":{"message":"Invalid API Key","type":"invalid_request_error","code":"invalid_api_key"}}),
            ),
        },
        "openrouter" => captured(match state {
            NoCredit => "orr-402-credits",
            Restricted | DisabledApi => "orr-403-key-total",
            _ => "orr-401-user",
        }),
        "mistral" => captured(if matches!(state, NoCredit | Suspended) {
            "mis-401-inactive"
        } else {
            "mis-401"
        }),
        "perplexity-ai" => {
            captured(if state == NoCredit { "ppx-401-quota" } else { "ppx-401-key" })
        }
        "deepseek" => captured(if state == NoCredit { "dsk-402" } else { "dsk-401" }),
        "cerebras" => captured("cer-401"),
        "grok" => captured(match state {
            NoCredit => "xai-429-credits",
            Leaked | Suspended => "xai-403-leak",
            _ => "xai-400-key-new",
        }),
        "cohere" => captured("coh-401"),
        "huggingface" => captured(if state == NoCredit { "hf-402-depleted" } else { "hf-401" }),
        "replicate" => captured(if state == NoCredit { "rep-402" } else { "rep-401" }),
        "elevenlabs" => captured(match state {
            NoCredit => "elv-401-quota",
            Suspended | Region => "elv-401-unusual",
            Restricted | DisabledApi => "elv-401-permission",
            _ => "elv-401-key",
        }),
        "deepgram" => captured("dgm-401"),
        "fal" => match state {
            NoCredit => captured("fal-403-balance"),
            Suspended | Leaked => captured("fal-403-admin"),
            _ => Answer::json(
                401,
                &json!({"detail":"Cannot access application with the provided credentials."}),
            ),
        },
        "workers-ai" => routes::cloudflare(401, 10_000, "Authentication error"),
        "aws-bedrock" if call.rest.starts_with("bedrock-mantle") => captured("bed-401-mantle"),
        "aws-bedrock" => captured(match state {
            Expired => "bed-403-expired",
            Restricted | DisabledApi => "bed-403-iam",
            _ => "bed-403-bearer",
        }),
        "cartesia" => Answer::text(401, "Unauthorized: Invalid API key.".to_owned()),
        "ideogram" => Answer::json(401, &json!({"error":"Unauthorized: invalid API key"})),
        "baseten" => match state {
            NoCredit => Answer::json(
                402,
                &json!({"error":"Payment required. Check the billing of your workspace."}),
            ),
            _ => Answer::json(401, &json!({"error":"Invalid API key"})),
        },
        "parallel" => match state {
            NoCredit => {
                routes::parallel(call, 402, "Payment required: insufficient credit in account")
            }
            _ => routes::parallel(call, 401, "Unauthorized: invalid or missing credentials"),
        },
        _ => match state {
            Invalid | Expired | Leaked | Valid | Slow | Drop | Bare401 | Bare403 => openai::error(
                401,
                "Invalid API key provided.",
                "invalid_request_error",
                None,
                Some("invalid_api_key"),
            ),
            NoCredit => openai::error(
                402,
                "Insufficient balance.",
                "billing_error",
                None,
                Some("insufficient_balance"),
            ),
            Suspended | DisabledApi | Region | Restricted => openai::error(
                403,
                "Access denied.",
                "permission_error",
                None,
                Some("access_denied"),
            ),
        },
    }
}

fn over_quota(call: &Call, exceeded: &Exceeded) -> Answer {
    let (standing, day) = (exceeded.standing, exceeded.span == Span::Day);
    let (limit, reset_ms) = (standing.limit, standing.resets_in_ms);
    let wait = retry_after(reset_ms, standing.window_ms);
    let window = if day { "day" } else { "minute" };
    let (span, abbreviation) = if day { ("day", "RPD") } else { ("min", "RPM") };
    let model = call.model();
    match call.slug.as_str() {
        "google-ai-studio" => gemini_quota(call, exceeded),
        "google-vertex-ai" => captured("vtx-429-base-model"),
        "anthropic" => {
            let message = format!(
                "This request would exceed your organization's rate limit of {limit} requests per {window} (model: {model}). For details, refer to: https://docs.claude.com/en/api/rate-limits; see the response headers for current usage. Please reduce the prompt length or the maximum tokens requested, or try again later."
            );
            let mut answer = anthropic::error(call, 429, "rate_limit_error", &message);
            answer.header("retry-after", wait);
            answer
        }
        "groq" => {
            let message = format!(
                "Rate limit reached for model `{model}` in organization `org_sim` service tier `on_demand` on requests per {window} ({abbreviation}): Limit {limit}, Used {limit}, Requested 1. Please try again in {}. Need more tokens? Upgrade to Dev Tier today at https://console.groq.com/settings/billing",
                go_duration(reset_ms)
            );
            let body =
                json!({"error":{"message":message,"type":"requests","code":"rate_limit_exceeded"}});
            let mut answer = Answer::json(429, &body);
            answer.header("retry-after", wait);
            answer
        }
        "openrouter" => {
            let name = if day { "free-models-per-day" } else { "free-models-per-min" };
            let message = if day {
                format!(
                    "Rate limit exceeded: {name}. Add 10 credits to unlock 1000 free model requests per day"
                )
            } else {
                format!("Rate limit exceeded: {name}. ")
            };
            let headers = json!({"X-RateLimit-Limit":limit.to_string(),"X-RateLimit-Remaining":"0","X-RateLimit-Reset":(now_ms() + reset_ms).to_string()});
            Answer::json(
                429,
                &json!({"error":{"message":message,"code":429,"metadata":{"headers":headers}}}),
            )
        }
        "mistral" => captured("mis-429-rate"),
        "cerebras" => {
            let message = format!("Requests per {window} limit exceeded - too many requests sent.");
            let body = json!({"message":message,"type":"too_many_requests_error","param":"quota","code":"request_quota_exceeded"});
            let mut answer = Answer::json(429, &body);
            answer.header("retry-after", wait);
            answer
        }
        "grok" => {
            let message = format!(
                "Too many requests for team f1692451-0000-0000-0000-000000000000 and model {model}. Requests per {} (actual/limit): {limit}/{limit}.",
                if day { "Day" } else { "Minute" }
            );
            let mut answer =
                Answer::json(429, &json!({"code":"resource-exhausted","error":message}));
            answer.header("retry-after", wait);
            answer
        }
        "azure-openai" => {
            let message = format!(
                "Requests to the ChatCompletions_Create Operation under Azure OpenAI API version 2024-10-21 have exceeded call rate limit of your current OpenAI S0 pricing tier. Please retry after {} seconds. Please go here: https://aka.ms/oai/quotaincrease if you would like to further increase the default rate limit.",
                reset_ms.div_ceil(1000)
            );
            let mut answer = Answer::json(429, &json!({"error":{"code":"429","message":message}}));
            answer.header("retry-after", wait);
            answer.header("retry-after-ms", reset_ms);
            answer
        }
        "cohere" => {
            let message = format!(
                "You are using a Trial key, which is limited to {limit} API calls / {}. You can continue to use the Trial key for free or upgrade to a Production key with higher rate limits at 'https://dashboard.cohere.com/api-keys'.",
                if day { "month" } else { "minute" }
            );
            Answer::json(429, &json!({ "message": message }))
        }
        "perplexity-ai" => captured("ppx-429"),
        "deepseek" => captured("dsk-429"),
        "replicate" => {
            let seconds = reset_ms.div_ceil(1000);
            Answer::json(
                429,
                &json!({"detail":format!("Request was throttled. Expected available in {seconds} second{}.", if seconds == 1 { "" } else { "s" })}),
            )
        }
        "elevenlabs" => captured(if day { "elv-401-quota" } else { "elv-429-concurrent" }),
        "cartesia" => captured("car-429-old"),
        "deepgram" => captured("dgm-429"),
        "aws-bedrock" => captured(if day { "bed-429-day" } else { "bed-429-req" }),
        "workers-ai" => {
            let error = if day {
                json!({"code":4006,"message":"you have used up your daily free allocation of 10,000 neurons, please upgrade to Cloudflare's Workers Paid plan if you would like to continue usage."})
            } else {
                json!({"code":3040,"message":"Capacity temporarily exceeded, please try again."})
            };
            Answer::json(
                429,
                &json!({"result":null,"success":false,"errors":[error],"messages":[]}),
            )
        }
        "fal" => Answer::json(
            429,
            &json!({"detail":format!("Concurrent requests limit of {limit} reached for user. Wait for requests to finish, or ask for a higher limit.")}),
        ),
        "ideogram" | "baseten" => {
            let mut answer = Answer::json(429, &json!({"error":"Rate limit exceeded"}));
            answer.header("retry-after", wait);
            answer
        }
        "parallel" => {
            let mut answer = routes::parallel(call, 429, "Rate limit exceeded");
            answer.header("retry-after", wait);
            answer
        }
        "huggingface" => Answer::json(
            429,
            &json!({"error":"Rate limit reached. Please log in or use a HF access token"}),
        ),
        _ => {
            let message = format!(
                "Rate limit reached for {model} in organization org-sim on requests per {span} ({abbreviation}): Limit {limit}, Used {limit}, Requested 1. Please try again in {}. Visit https://platform.openai.com/account/rate-limits to learn more.",
                go_duration(reset_ms)
            );
            let mut answer =
                openai::error(429, &message, "requests", None, Some("rate_limit_exceeded"));
            answer.header("retry-after", wait);
            answer.header("retry-after-ms", reset_ms);
            answer
        }
    }
}

/// Gemini names the quota in the body and has no `Retry-After`. For the day quota of the free tier its
/// `RetryInfo` claims some tens of seconds, which is false; so does this one.
fn gemini_quota(call: &Call, exceeded: &Exceeded) -> Answer {
    let (model, limit) = (call.model(), exceeded.standing.limit);
    let (window, delay_ms) = match exceeded.span {
        Span::Day => ("PerDay", 17_000 + call.n % 37 * 1_000 + call.n % 997),
        Span::Minute => ("PerMinute", exceeded.standing.resets_in_ms),
    };
    let (metric, kind) = if call.rest.contains("mbedContent") || call.rest.ends_with("embeddings") {
        ("embed_content_free_tier_requests", "EmbedContentRequests")
    } else {
        ("generate_content_free_tier_requests", "GenerateRequests")
    };
    let delay = decimal_seconds(delay_ms.max(1));
    let message = format!(
        "You exceeded your current quota, please check your plan and billing details. For more information on this error, head to: https://ai.google.dev/gemini-api/docs/rate-limits. To monitor your current usage, head to: https://ai.dev/usage\n* Quota exceeded for metric: generativelanguage.googleapis.com/{metric}, limit: {limit}, model: {model}\nPlease retry in {delay}s."
    );
    let details = json!([
        {"@type":"type.googleapis.com/google.rpc.QuotaFailure","violations":[{
            "quotaMetric":format!("generativelanguage.googleapis.com/{metric}"),
            "quotaId":format!("{kind}{window}PerProjectPerModel-FreeTier"),
            "quotaDimensions":{"location":"global","model":model},
            "quotaValue":limit.to_string()}]},
        {"@type":"type.googleapis.com/google.rpc.Help","links":[{
            "description":"Learn more about Gemini API quotas","url":"https://ai.google.dev/gemini-api/docs/rate-limits"}]},
        {"@type":"type.googleapis.com/google.rpc.RetryInfo","retryDelay":format!("{delay}s")}
    ]);
    Answer::json(429, &gemini::error(429, "RESOURCE_EXHAUSTED", &message, Some(details)))
}

fn broken_json(call: &Call) -> Answer {
    match call.slug.as_str() {
        "google-ai-studio" | "google-vertex-ai" => {
            let message = "Invalid JSON payload received. Expected an object key or }.";
            let details = json!([{"@type":"type.googleapis.com/google.rpc.BadRequest","fieldViolations":[{"description":message}]}]);
            Answer::json(400, &gemini::error(400, "INVALID_ARGUMENT", message, Some(details)))
        }
        "anthropic" => anthropic::error(
            call,
            400,
            "invalid_request_error",
            "The request body is not valid JSON: expected property name enclosed in double quotes",
        ),
        "cerebras" => Answer::json(
            400,
            &json!({"message":"Invalid JSON in request body.","type":"invalid_request_error","param":null,"code":"wrong_api_format"}),
        ),
        "grok" => Answer::json(
            400,
            &json!({"code":"invalid-argument","error":"Failed to parse the request body as JSON"}),
        ),
        "mistral" | "elevenlabs" => Answer::json(
            422,
            &json!({"detail":[{"type":"json_invalid","loc":["body",1],"msg":"JSON decode error","input":{}}]}),
        ),
        "openrouter" => Answer::json(
            400,
            &json!({"error":{"message":"Invalid JSON in request body","code":400}}),
        ),
        "cohere" => Answer::json(
            400,
            &json!({"message":"invalid request: could not parse the body as JSON"}),
        ),
        "replicate" => Answer::json(
            400,
            &json!({"title":"Invalid request","detail":"The request body is not valid JSON","status":400}),
        ),
        "aws-bedrock" => captured("bed-400-validation"),
        _ => openai::error(
            400,
            "We could not parse the JSON body of your request. (HINT: This likely means you aren't using your HTTP library correctly. The OpenAI API expects a JSON payload, but what was sent was not valid JSON. If you have trouble figuring out how to fix this, please contact us through our help center at help.openai.com.)",
            "invalid_request_error",
            None,
            None,
        ),
    }
}

fn unknown_model(call: &Call) -> Answer {
    let model = call.model();
    match call.slug.as_str() {
        "google-ai-studio" => {
            let version =
                call.rest.split('/').find(|part| part.starts_with("v1")).unwrap_or("v1beta");
            let method = call.rest.rsplit_once(':').map_or("generateContent", |(_, method)| method);
            let message = format!(
                "models/{model} is not found for API version {version}, or is not supported for {method}. Call ModelService.ListModels to see the list of available models and their supported methods."
            );
            Answer::json(404, &gemini::error(404, "NOT_FOUND", &message, None))
        }
        "google-vertex-ai" => captured("vtx-404"),
        "anthropic" => anthropic::error(call, 404, "not_found_error", &format!("model: {model}")),
        "azure-openai" => captured("azr-404"),
        "mistral" => Answer::json(
            400,
            &json!({"object":"error","message":format!("Invalid model: {model}"),"type":"invalid_model","param":null,"code":"1500"}),
        ),
        "openrouter" => Answer::json(
            404,
            &json!({"error":{"message":format!("No endpoints found for {model}."),"code":404}}),
        ),
        "perplexity-ai" => Answer::json(
            400,
            &json!({"error":{"message":format!("Invalid model '{model}'. Permitted models can be found in the documentation at https://docs.perplexity.ai/getting-started/models."),"type":"invalid_model","code":400}}),
        ),
        "cerebras" => Answer::json(
            404,
            &json!({"message":format!("Model {model} does not exist or you do not have access to it."),"type":"not_found_error","param":"model","code":"model_not_found"}),
        ),
        "grok" => Answer::json(
            404,
            &json!({"code":"not-found","error":format!("The model {model} does not exist or your team 00000000-0000-0000-0000-000000000000 does not have access to it. Please ensure you are using the correct API key.")}),
        ),
        "deepseek" => openai::error(
            400,
            "Model Not Exist",
            "invalid_request_error",
            None,
            Some("invalid_request_error"),
        ),
        "cohere" => Answer::json(
            404,
            &json!({"message":format!("model '{model}' not found, make sure the correct model ID was used and that you have access to the model.")}),
        ),
        "workers-ai" => Answer::json(
            400,
            &json!({"result":null,"success":false,"errors":[{"code":5007,"message":format!("No such model {model} or task")}],"messages":[]}),
        ),
        "aws-bedrock" => captured("bed-400-validation"),
        "huggingface" => {
            Answer::json(404, &json!({"error":format!("Model {model} does not exist")}))
        }
        "replicate" => Answer::json(
            404,
            &json!({"detail":"The requested resource could not be found.","status":404}),
        ),
        "elevenlabs" => Answer::json(
            400,
            &json!({"detail":{"status":"model_not_found","message":format!("A model with model ID {model} does not exist.")}}),
        ),
        _ => {
            let message =
                format!("The model `{model}` does not exist or you do not have access to it.");
            openai::error(404, &message, "invalid_request_error", None, Some("model_not_found"))
        }
    }
}

fn blocked(call: &Call) -> Answer {
    match call.slug.as_str() {
        "google-ai-studio" | "google-vertex-ai"
            if !call.is_gemini_openai_layer() && !call.compat =>
        {
            gemini::blocked(call)
        }
        "anthropic" => anthropic::error(
            call,
            400,
            "invalid_request_error",
            "Output blocked by content filtering policy",
        ),
        "azure-openai" => captured("azr-400-filter"),
        "openrouter" => captured("orr-403-moderation"),
        "grok" => captured("xai-403-safety"),
        "openai" if call.rest.contains("images/") => captured("oai-400-moderation"),
        _ => openai::error(
            400,
            "This request has been blocked by our content filters.",
            "invalid_request_error",
            None,
            Some("content_policy_violation"),
        ),
    }
}

fn no_route(call: &Call) -> Answer {
    let (method, path) = (&call.method, &call.rest);
    match call.slug.as_str() {
        "google-ai-studio" | "google-vertex-ai" => Answer::json(
            404,
            &gemini::error(404, "NOT_FOUND", &format!("Path not found: {path}"), None),
        ),
        "anthropic" => anthropic::error(call, 404, "not_found_error", "Not Found"),
        "aws-bedrock" | "replicate" | "fal" | "deepgram" | "cartesia" | "elevenlabs"
        | "workers-ai" | "huggingface" | "ideogram" | "parallel" | "baseten"
            if !call.compat =>
        {
            routes::no_path(call)
        }
        "azure-openai" => {
            Answer::json(404, &json!({"error":{"code":"404","message":"Resource not found"}}))
        }
        _ => openai::error(
            404,
            &format!("Invalid URL ({method} /{path})"),
            "invalid_request_error",
            None,
            None,
        ),
    }
}

#[cfg(test)]
mod tests {
    use super::masked;

    #[test]
    fn masks_the_middle_of_a_key() {
        assert_eq!(masked("sk-proj-1234567890abcd"), "sk-proj-**********abcd");
        assert_eq!(masked("short"), "*****");
    }
}
