//! Our own errors in the caller's shape, so that its SDK raises the right exception and shows the
//! sentence instead of "unexpected response".
//!
//! Only for answers that are made here. What a provider answers is passed on untouched.

use super::error::{Kind, Refusal};
use super::provider::{self, Provider};
use super::route::{self, Door};
use serde_json::json;

/// The shape of an error's body.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Dialect {
    /// `{"error":{"message","type","param","code"}}`; OpenAI and the many that copied it.
    OpenAi,
    /// `{"error":{"code","message","status","details"}}`; Google's `google.rpc.Status`.
    Gemini,
    /// `{"type":"error","error":{"type","message"}}`.
    Anthropic,
    /// For everyone else: OpenAI's, with `message` and `detail` at the top, which is where the
    /// others' SDKs look (Cohere and Bedrock the one, ElevenLabs and Replicate the other).
    Generic,
}

/// The dialect of a request to `path` (as in [`super::route::ApiRoute`]) of `provider`.
pub fn of(provider: &Provider, path: &str) -> Dialect {
    // Gemini's OpenAI layer, and OpenAI-shaped endpoints of Vertex and Cohere.
    if path.ends_with("/chat/completions") || path == "chat/completions" {
        return Dialect::OpenAi;
    }
    if provider.bearer_paths.iter().any(|start| provider::starts_with_segments(path, start)) {
        return Dialect::OpenAi;
    }
    // Anthropic's SDK works against xAI, DeepSeek, OpenRouter and Bedrock too.
    if path.ends_with("v1/messages") || path.contains("v1/messages/") {
        return Dialect::Anthropic;
    }
    provider.dialect
}

/// The dialect of a request of which only the address is known: `path` as in the URL.
///
/// For refusals that come before there is a route.
pub fn of_request(path: &str) -> Dialect {
    let path = path.split(['?', '#']).next().unwrap_or_default();
    let path = path.trim_start_matches('/');
    if let Some((door, rest)) = route::door_of(path) {
        let google = || provider::find("google-ai-studio");
        return match door {
            Door::OpenAi | Door::Compat => Dialect::OpenAi,
            Door::Anthropic | Door::Provider => Dialect::Anthropic,
            Door::Gemini => google().map_or(Dialect::Gemini, |row| of(row, rest)),
        };
    }
    let mut segments = path.splitn(3, '/');
    let (Some("api"), Some(slug)) = (segments.next(), segments.next()) else {
        return Dialect::OpenAi;
    };
    let rest = segments.next().unwrap_or_default();
    let slug = provider::suggest(slug).unwrap_or(slug);
    provider::find(slug).map_or(Dialect::OpenAi, |provider| of(provider, rest))
}

/// The body of the answer, JSON.
pub fn body(dialect: Dialect, refusal: &Refusal) -> String {
    let message = refusal.message.as_str();
    let code = refusal.kind.code();
    let value = match dialect {
        Dialect::OpenAi => json!({ "error": openai(refusal) }),
        Dialect::Gemini => json!({ "error": {
            "code": refusal.status(),
            "message": message,
            "status": gemini_status(refusal.kind),
            "details": gemini_details(refusal),
        }}),
        Dialect::Anthropic => json!({
            "type": "error",
            "error": { "type": anthropic_type(refusal.kind), "message": message },
        }),
        Dialect::Generic => json!({
            "error": openai(refusal),
            "message": message,
            "detail": { "status": code, "message": message },
        }),
    };
    value.to_string()
}

/// The `content-type` of [`body`].
pub fn content_type(_dialect: Dialect) -> &'static str {
    "application/json; charset=utf-8"
}

/// OpenAI's error object.
fn openai(refusal: &Refusal) -> serde_json::Value {
    let (kind, code) = match refusal.kind {
        // What OpenAI itself says to a wrong key, and what clients look for.
        Kind::UnknownToken => ("invalid_request_error", "invalid_api_key"),
        Kind::Exhausted { .. } | Kind::GatewayLimited | Kind::TokenLimited => {
            ("rate_limit_error", "rate_limit_exceeded")
        }
        Kind::OutOfScope => ("permission_error", refusal.kind.code()),
        kind if kind.status() >= 500 => ("server_error", kind.code()),
        kind => ("invalid_request_error", kind.code()),
    };
    json!({ "message": refusal.message, "type": kind, "param": null, "code": code })
}

/// The name of a `google.rpc.Code`.
fn gemini_status(kind: Kind) -> &'static str {
    match kind {
        Kind::BadRequest | Kind::TooLarge => "INVALID_ARGUMENT",
        Kind::NoToken | Kind::UnknownToken | Kind::ExpiredToken | Kind::DisabledToken => {
            "UNAUTHENTICATED"
        }
        Kind::OutOfScope => "PERMISSION_DENIED",
        Kind::NotFound | Kind::UnknownModel => "NOT_FOUND",
        Kind::MethodNotAllowed => "UNIMPLEMENTED",
        Kind::Exhausted { .. } | Kind::GatewayLimited | Kind::TokenLimited => "RESOURCE_EXHAUSTED",
        Kind::NoKeys | Kind::NoAuthKey | Kind::GatewayMisconfigured => "UNAVAILABLE",
        Kind::UpstreamUnreachable | Kind::StoreUnavailable => "UNAVAILABLE",
        Kind::Internal => "INTERNAL",
    }
}

/// `RetryInfo`, which Google's clients read instead of `Retry-After`, and `ErrorInfo`.
fn gemini_details(refusal: &Refusal) -> serde_json::Value {
    let info = json!({
        "@type": "type.googleapis.com/google.rpc.ErrorInfo",
        "reason": refusal.kind.code().to_ascii_uppercase(),
        "domain": "one-balance",
    });
    match refusal.retry_after() {
        Some(seconds) => json!([
            info,
            {
                "@type": "type.googleapis.com/google.rpc.RetryInfo",
                "retryDelay": format!("{seconds}s"),
            },
        ]),
        None => json!([info]),
    }
}

/// Anthropic's error types.
fn anthropic_type(kind: Kind) -> &'static str {
    match kind {
        Kind::BadRequest | Kind::MethodNotAllowed => "invalid_request_error",
        Kind::NoToken | Kind::UnknownToken | Kind::ExpiredToken | Kind::DisabledToken => {
            "authentication_error"
        }
        Kind::OutOfScope => "permission_error",
        Kind::NotFound | Kind::UnknownModel => "not_found_error",
        Kind::TooLarge => "request_too_large",
        Kind::Exhausted { .. } | Kind::GatewayLimited | Kind::TokenLimited => "rate_limit_error",
        Kind::NoKeys | Kind::UpstreamUnreachable | Kind::StoreUnavailable => "overloaded_error",
        Kind::NoAuthKey | Kind::GatewayMisconfigured | Kind::Internal => "api_error",
    }
}

#[cfg(test)]
mod tests {
    use super::super::provider::find;
    use super::*;
    use serde_json::Value;

    #[test]
    fn the_dialect_is_that_of_the_sdk_in_use() {
        for (slug, path, dialect) in [
            ("openai", "chat/completions", Dialect::OpenAi),
            ("anthropic", "v1/messages", Dialect::Anthropic),
            ("anthropic", "v1/models", Dialect::Anthropic),
            ("google-ai-studio", "v1beta/models/m:generateContent", Dialect::Gemini),
            ("google-ai-studio", "v1beta/openai/chat/completions", Dialect::OpenAi),
            ("google-ai-studio", "v1beta/openai/models", Dialect::OpenAi),
            (
                "google-vertex-ai",
                "v1/projects/p/locations/l/endpoints/openapi/chat/completions",
                Dialect::OpenAi,
            ),
            ("compat", "chat/completions", Dialect::OpenAi),
            ("grok", "v1/messages", Dialect::Anthropic),
            ("deepseek", "anthropic/v1/messages", Dialect::Anthropic),
            ("aws-bedrock", "bedrock-mantle/us-east-1/anthropic/v1/messages", Dialect::Anthropic),
            ("elevenlabs", "v1/voices", Dialect::Generic),
            ("custom-mine", "x", Dialect::OpenAi),
        ] {
            assert_eq!(of(find(slug).unwrap(), path), dialect, "{slug}/{path}");
        }
        for (path, dialect) in [
            ("/api/google-ai-studio/v1beta/../x?key=1", Dialect::Gemini),
            ("/api/gemini/v1beta/models", Dialect::Gemini),
            ("/api/claude/v1/messages", Dialect::Anthropic),
            ("/api/nope/x", Dialect::OpenAi),
            ("/v1/chat/../x", Dialect::OpenAi),
            ("/v1/messages/..", Dialect::Anthropic),
            ("/anthropic/v1/..", Dialect::Anthropic),
            ("/v1beta/models/..", Dialect::Gemini),
            ("/v1beta/openai/chat/completions", Dialect::OpenAi),
            ("/api", Dialect::OpenAi),
            ("", Dialect::OpenAi),
        ] {
            assert_eq!(of_request(path), dialect, "{path}");
        }
    }

    #[test]
    fn bodies() {
        let say = |dialect, refusal: &Refusal| -> Value {
            serde_json::from_str(&body(dialect, refusal)).unwrap()
        };
        let wrong = Refusal::unknown_token();
        let tired = Refusal::exhausted("google-ai-studio", "gemini-2.5-pro", 90_000, 0);
        assert_eq!(
            say(Dialect::OpenAi, &wrong),
            json!({"error": {"message": wrong.message, "type": "invalid_request_error",
                             "param": null, "code": "invalid_api_key"}})
        );
        assert_eq!(say(Dialect::OpenAi, &tired)["error"]["code"], "rate_limit_exceeded");
        assert_eq!(
            say(Dialect::Gemini, &tired),
            json!({"error": {"code": 429, "message": tired.message, "status": "RESOURCE_EXHAUSTED",
            "details": [
                {"@type": "type.googleapis.com/google.rpc.ErrorInfo",
                 "reason": "KEYS_EXHAUSTED", "domain": "one-balance"},
                {"@type": "type.googleapis.com/google.rpc.RetryInfo", "retryDelay": "90s"},
            ]}})
        );
        assert_eq!(say(Dialect::Gemini, &wrong)["error"]["status"], "UNAUTHENTICATED");
        assert_eq!(
            say(Dialect::Anthropic, &tired),
            json!({"type": "error",
                   "error": {"type": "rate_limit_error", "message": tired.message}})
        );
        let generic = say(Dialect::Generic, &wrong);
        assert_eq!(generic["message"], wrong.message);
        assert_eq!(generic["detail"]["message"], wrong.message);
        assert_eq!(generic["error"]["message"], wrong.message);
    }

    #[test]
    fn nothing_of_the_log_is_said() {
        let refusal = Refusal::internal("database gone");
        for dialect in [Dialect::OpenAi, Dialect::Gemini, Dialect::Anthropic, Dialect::Generic] {
            assert!(!body(dialect, &refusal).contains("database"));
        }
    }
}
