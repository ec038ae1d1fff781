//! What can go wrong on our side, and the sentence that says so.
//!
//! A [`Refusal`] is one outcome of a client's request that never had, or lost, an upstream answer.
//! It holds two texts. `message` goes to the caller: what was wrong and what to do about it.
//! `log` stays inside. Neither ever holds a key, a token or a body.
//!
//! The inner layers know nothing of HTTP statuses or of the SDK that waits for the answer:
//! [`Refusal::status`] gives the one, [`super::dialect::body`] speaks to the other.

use super::limit::Reached;
use super::model::ModelError;
use super::provider;
use super::token::TokenError;
use super::{Millis, SECOND};
use std::fmt;

/// An answer that is made here.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Refusal {
    /// Which outcome it is.
    pub kind: Kind,
    /// For the caller: what was wrong and what to do. No secret.
    pub message: String,
    /// For the log: what we know besides. No secret either.
    pub log: Option<String>,
    /// Seconds after which the same request may succeed.
    pub retry_after: Option<u64>,
    /// It is in the log already.
    pub told: bool,
}

/// The outcomes. They are few on purpose: a caller that is a program tells them apart by
/// [`Kind::code`], and there is one for each thing that someone can do about it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// The request cannot be understood or must not be sent on as it is.
    BadRequest,
    /// No token in any place where one is looked for.
    NoToken,
    /// A token that is not one of ours.
    UnknownToken,
    /// A token of ours whose time is over.
    ExpiredToken,
    /// A token of ours that an administrator switched off.
    DisabledToken,
    /// A token that used up what it may ask for in a minute or a day.
    TokenLimited,
    /// A good token that may not use this provider or model.
    OutOfScope,
    /// No such address.
    NotFound,
    /// No provider with keys here has the model.
    UnknownModel,
    /// The address exists, but not for this method.
    MethodNotAllowed,
    /// The pool has no usable key of this provider, now or later, until someone acts.
    NoKeys,
    /// Every usable key of the provider is cooling for the model.
    Exhausted {
        /// When the soonest of them can be used again.
        until: Millis,
    },
    /// `AUTH_KEY` is not set, so nobody may use the Worker.
    NoAuthKey,
    /// The body is larger than what can be sent on.
    TooLarge,
    /// The AI Gateway refused because of its own settings.
    GatewayMisconfigured,
    /// A limit of the AI Gateway itself (its rate or spend limit, not a key's) is reached.
    GatewayLimited,
    /// The AI Gateway or the provider did not answer.
    UpstreamUnreachable,
    /// The database of keys did not answer.
    StoreUnavailable,
    /// A fault of ours.
    Internal,
}

// === impl Kind ===

impl Kind {
    /// The HTTP status.
    pub fn status(self) -> u16 {
        match self {
            Kind::BadRequest => 400,
            Kind::NoToken | Kind::UnknownToken | Kind::ExpiredToken | Kind::DisabledToken => 401,
            Kind::OutOfScope => 403,
            Kind::NotFound | Kind::UnknownModel => 404,
            Kind::MethodNotAllowed => 405,
            Kind::TooLarge => 413,
            Kind::Exhausted { .. } | Kind::GatewayLimited | Kind::TokenLimited => 429,
            Kind::Internal => 500,
            Kind::GatewayMisconfigured | Kind::UpstreamUnreachable => 502,
            // 401 would tell the client that its token is wrong, which it is not.
            Kind::NoKeys | Kind::NoAuthKey | Kind::StoreUnavailable => 503,
        }
    }

    /// A word for programs and for the log; it never changes.
    pub fn code(self) -> &'static str {
        match self {
            Kind::BadRequest => "bad_request",
            Kind::NoToken => "token_missing",
            Kind::UnknownToken => "token_unknown",
            Kind::ExpiredToken => "token_expired",
            Kind::DisabledToken => "token_disabled",
            Kind::TokenLimited => "token_limited",
            Kind::OutOfScope => "token_out_of_scope",
            Kind::NotFound => "not_found",
            Kind::UnknownModel => "model_not_found", // OpenAI's own word for it
            Kind::MethodNotAllowed => "method_not_allowed",
            Kind::NoKeys => "no_keys",
            Kind::Exhausted { .. } => "keys_exhausted",
            Kind::NoAuthKey => "not_configured",
            Kind::TooLarge => "request_too_large",
            Kind::GatewayMisconfigured => "gateway_misconfigured",
            Kind::GatewayLimited => "gateway_limited",
            Kind::UpstreamUnreachable => "upstream_unreachable",
            Kind::StoreUnavailable => "store_unavailable",
            Kind::Internal => "internal_error",
        }
    }
}

// === impl Refusal ===

/// How long an SDK may be told to wait by itself. Beyond one minute OpenAI's falls back to half a
/// second, which would only hammer, and Anthropic's sleeps for as long as it is told.
const LONGEST_SDK_WAIT: u64 = 60;

/// Whether an SDK may be left to wait by itself for as long as a provider's `Retry-After` says.
pub fn is_worth_waiting(retry_after: &str, now: Millis) -> bool {
    let wait = super::retry_after::retry_after(retry_after, now);
    wait.is_none_or(|wait| wait <= LONGEST_SDK_WAIT * SECOND)
}

/// The longest piece of a client's own text that is repeated to it.
const MAX_ECHO: usize = 100;

impl Refusal {
    /// A refusal of this kind with this message.
    pub fn new(kind: Kind, message: impl Into<String>) -> Self {
        Refusal { kind, message: message.into(), log: None, retry_after: None, told: false }
    }

    /// Adds what only the log may know.
    #[must_use]
    pub fn with_log(mut self, log: impl Into<String>) -> Self {
        self.log = Some(log.into());
        self
    }

    /// The HTTP status.
    pub fn status(&self) -> u16 {
        self.kind.status()
    }

    /// The seconds of the `Retry-After` header, where there is one.
    pub fn retry_after(&self) -> Option<u64> {
        self.retry_after
    }

    /// Whether an SDK should repeat the request by itself; goes out as `x-should-retry`, which
    /// OpenAI's and Anthropic's SDKs obey. Without it they repeat every 429 and 5xx.
    pub fn should_retry(&self) -> bool {
        match self.kind {
            Kind::UpstreamUnreachable | Kind::StoreUnavailable | Kind::Internal => true,
            Kind::Exhausted { .. } | Kind::TokenLimited => {
                self.retry_after.is_some_and(|seconds| seconds <= LONGEST_SDK_WAIT)
            }
            _ => false,
        }
    }

    /// A request that cannot be understood; `what` is a whole sentence.
    pub fn bad_request(what: impl Into<String>) -> Self {
        Refusal::new(Kind::BadRequest, what)
    }

    /// No token anywhere.
    pub fn no_token() -> Self {
        Refusal::new(
            Kind::NoToken,
            "No token came with the request. Send yours (one of AUTH_KEY) where your SDK sends \
             its API key: `Authorization: Bearer <token>`, `x-api-key`, `x-goog-api-key`, \
             `api-key`, `xi-api-key`, or `?key=`.",
        )
    }

    /// A token that is not ours.
    pub fn unknown_token() -> Self {
        Refusal::new(
            Kind::UnknownToken,
            "This token is not known here. Send one of the tokens in AUTH_KEY, not a provider's \
             API key: those live in the pool.",
        )
    }

    /// A token whose time is over.
    pub fn expired_token() -> Self {
        Refusal::new(
            Kind::ExpiredToken,
            "This token has expired. Ask the administrator of this One Balance for a new one.",
        )
    }

    /// A token that is switched off.
    pub fn disabled_token() -> Self {
        Refusal::new(
            Kind::DisabledToken,
            "This token is switched off. Ask the administrator of this One Balance to enable it.",
        )
    }

    /// A token that asked for all that it may.
    pub fn token_limited(reached: Reached) -> Self {
        let what = if reached.of_day { "day" } else { "minute" };
        let mut refusal = Refusal::new(
            Kind::TokenLimited,
            format!(
                "This token has used up its requests of this {what}. Try again in {}.",
                duration(reached.wait)
            ),
        );
        refusal.retry_after = Some(reached.wait);
        refusal
    }

    /// A token that may not use the provider, or not the model.
    pub fn out_of_scope(provider: &str, model: Option<&str>) -> Self {
        let message = match model {
            Some(model) => format!(
                "This token may not use the model `{}` of `{}`. Use a model of its scope, or ask \
                 the administrator to widen the scope.",
                echo(model),
                echo(provider)
            ),
            None => format!(
                "This token may not do this with `{}`. A token that is limited to models may \
                 list models, and otherwise make only requests that name one of them.",
                echo(provider)
            ),
        };
        Refusal::new(Kind::OutOfScope, message)
    }

    /// A token that may not use the provider at all.
    pub fn provider_out_of_scope(provider: &str) -> Self {
        Refusal::new(
            Kind::OutOfScope,
            format!(
                "This token may not use the provider `{}`. Use a provider of its scope, or ask \
                 the administrator to widen the scope.",
                echo(provider)
            ),
        )
    }

    /// No such address here.
    pub fn not_found() -> Self {
        Refusal::new(
            Kind::NotFound,
            "There is nothing at this address. Requests go to `/api/<provider>/<path>`, such as \
             `/api/openai/chat/completions`; the administrator's page is `/`.",
        )
    }

    /// A provider segment that is not in the table.
    pub fn unknown_provider(slug: &str) -> Self {
        let message = match provider::suggest(slug) {
            Some(meant) => format!(
                "There is no provider `{}`. Did you mean `{meant}`? Then use `/api/{meant}/...`.",
                echo(slug)
            ),
            None => format!(
                "There is no provider `{}`. Known are: {}, {}, and `custom-<slug>` for a custom \
                 provider of your AI Gateway.",
                echo(slug),
                provider::all().iter().map(|p| p.slug).collect::<Vec<_>>().join(", "),
                provider::COMPAT,
            ),
        };
        Refusal::new(Kind::NotFound, message)
    }

    /// A `compat` request whose model does not begin with a provider.
    pub fn unknown_model_prefix(model: Option<&str>) -> Self {
        let Some(model) = model else {
            return Refusal::bad_request(
                "A request to `compat` must name its model with the provider in front, such as \
                 `\"model\": \"openai/gpt-5-mini\"`.",
            );
        };
        let prefix = model.split('/').next().unwrap_or_default();
        let rest = model.split_once('/').map_or(model, |(_, rest)| rest);
        let hint = match provider::suggest(prefix) {
            Some(meant) if model.contains('/') && meant != provider::COMPAT => {
                format!("Did you mean `{meant}/{}`?", echo(rest))
            }
            _ => "Put the provider in front, such as `openai/gpt-5-mini` or \
                  `google-ai-studio/gemini-2.5-flash`."
                .to_owned(),
        };
        Refusal::bad_request(format!(
            "The model `{}` does not begin with a provider that `compat` knows. {hint}",
            echo(model)
        ))
    }

    /// A model that no provider with keys here has. `owner` is who would have it, `here` are the
    /// providers that are here, and `models` those of their models that are known.
    pub fn unknown_model(
        model: &str,
        owner: Option<&str>,
        here: &[&str],
        models: &[String],
    ) -> Self {
        /// So many names are a help; more are a wall.
        const MOST_NAMES: usize = 40;
        let model = echo(model);
        if here.is_empty() {
            let mut refusal = Refusal::no_keys("any provider that this address can use");
            refusal.message = match owner {
                Some(owner) => format!(
                    "The pool has no usable key of `{owner}`, whose model `{model}` is, nor of any \
                     other provider that this address and your token can use. The administrator \
                     can add one on the page of this One Balance."
                ),
                None => {
                    "The pool has no usable key of any provider that this address and your token \
                     can use. The administrator can add one on the page of this One Balance."
                        .to_owned()
                }
            };
            return refusal;
        }
        let what = match owner {
            Some(owner) => format!(
                "The model `{model}` is not available: it is a model of `{owner}`, of which the pool \
                 has no usable key."
            ),
            None => format!("The model `{model}` is not available: no provider here lists it."),
        };
        let quoted = |names: &mut dyn Iterator<Item = &str>| {
            names.map(|name| format!("`{name}`")).collect::<Vec<_>>().join(", ")
        };
        let providers = quoted(&mut here.iter().copied());
        let mut message = format!(
            "{what} Providers with keys here: {providers} (name one of their models as `provider/model`)."
        );
        if !models.is_empty() {
            let some = quoted(&mut models.iter().take(MOST_NAMES).map(String::as_str));
            let rest = models.len().saturating_sub(MOST_NAMES);
            let more = if rest > 0 { format!(" and {rest} more") } else { String::new() };
            message.push_str(&format!(" Models: {some}{more}."));
        }
        message.push_str(" `GET /v1/models` lists them.");
        Refusal::new(Kind::UnknownModel, message)
    }

    /// A request that must name its model, and names none.
    pub fn no_model() -> Self {
        Refusal::bad_request(
            "The request names no model. Send one as `model`, such as `gpt-5-mini` or \
             `google-ai-studio/gemini-2.5-flash`; `GET /v1/models` lists them.",
        )
    }

    /// A provider that cannot be reached without the AI Gateway.
    pub fn not_direct(slug: &str) -> Self {
        Refusal::bad_request(format!(
            "`{}` cannot be reached without an AI Gateway, and this One Balance runs without one \
             (UPSTREAM=direct). Use another provider.",
            echo(slug)
        ))
    }

    /// An OpenAI-shaped request to a provider that has nothing of that shape.
    pub fn no_such_shape(slug: &str) -> Self {
        Refusal::bad_request(format!(
            "`{slug}` cannot be asked at this address, since it does not speak its language. Use \
             the provider's own paths below `/api/{slug}/`.",
            slug = echo(slug)
        ))
    }

    /// The address exists for other methods only.
    pub fn method_not_allowed(allowed: &str) -> Self {
        Refusal::new(
            Kind::MethodNotAllowed,
            format!("This address takes {allowed} only. Send the request with that method."),
        )
    }

    /// No usable key of the provider.
    pub fn no_keys(provider: &str) -> Self {
        Refusal::new(
            Kind::NoKeys,
            format!(
                "The pool has no usable key of `{}`. The administrator can add or restore one on \
                 the page of this One Balance.",
                echo(provider)
            ),
        )
    }

    /// Usable keys of the provider, but none of the home (an Azure resource, a project) that the path
    /// names.
    pub fn no_keys_at_home(provider: &str, noun: &str, home: &str) -> Self {
        Refusal::new(
            Kind::NoKeys,
            format!(
                "The pool has keys of `{}`, but no usable one of the {noun} `{}`, which the address \
                 names. If that is right, the administrator adds a key of it, or sets the project of \
                 one that is there to this name, on the page of this One Balance.",
                echo(provider),
                echo(home)
            ),
        )
    }

    /// Usable keys of the provider, but none that can be sent without an AI Gateway.
    pub fn only_service_accounts(provider: &str) -> Self {
        Refusal::new(
            Kind::NoKeys,
            format!(
                "The keys of `{}` in the pool are service accounts. Only an AI Gateway can use them, \
                 and this One Balance runs without one (UPSTREAM=direct). Nothing was sent. The \
                 administrator can run it with a gateway, or add an API key or an access token.",
                echo(provider)
            ),
        )
    }

    /// Every usable key cools for the model; the soonest is usable at `until`.
    pub fn exhausted(provider: &str, model: &str, until: Millis, now: Millis) -> Self {
        // Rounded up, and at least one second: a client that waits as told must not come early.
        let seconds = until.saturating_sub(now).div_ceil(SECOND).max(1);
        let what = if model == "*" {
            format!("`{}`", echo(provider))
        } else {
            format!("`{}` of `{}`", echo(model), echo(provider))
        };
        let mut refusal = Refusal::new(
            Kind::Exhausted { until },
            format!(
                "Every key in the pool for {what} has used up its rate limit or quota. Try again \
                 in {}.",
                duration(seconds)
            ),
        );
        refusal.retry_after = Some(seconds);
        refusal
    }

    /// The one key that can serve the request cools for the model until `until`.
    pub fn held_cooling(until: Millis, now: Millis) -> Self {
        let seconds = until.saturating_sub(now).div_ceil(SECOND).max(1);
        let mut refusal = Refusal::new(
            Kind::Exhausted { until },
            format!(
                "The key that holds what the request names (a file, a stored response, ...) has used \
                 up its rate limit or quota, and no other key can see it. Try again in {}.",
                duration(seconds)
            ),
        );
        refusal.retry_after = Some(seconds);
        refusal
    }

    /// The one key that could serve the request is out of the pool.
    pub fn held_gone() -> Self {
        Refusal::new(
            Kind::NotFound,
            "The key that holds what the request names (a file, a stored response, ...) is gone from \
             the pool: deleted, disabled, or rejected by its provider. No other key can see it. Create \
             it again.",
        )
    }

    /// The request names what different keys hold.
    pub fn held_apart() -> Self {
        Refusal::bad_request(
            "The request names things (files, a stored response, ...) that were made with different \
             keys of the pool, and no key can see those of another. Create them again, the later ones \
             in requests that name the first.",
        )
    }

    /// `AUTH_KEY` is not set.
    pub fn no_auth_key() -> Self {
        Refusal::new(
            Kind::NoAuthKey,
            "This One Balance has no AUTH_KEY yet, so it refuses every request. The \
             administrator sets one with `npx wrangler secret put AUTH_KEY`.",
        )
    }

    /// A body of more than `limit` bytes.
    pub fn too_large(limit: usize) -> Self {
        const MIB: usize = 1024 * 1024;
        Refusal::new(
            Kind::TooLarge,
            format!(
                "The request's body is larger than {} MiB, which is as much as can be sent on. \
                 Upload large files with the provider's file API and refer to them.",
                limit / MIB
            ),
        )
    }

    /// More than one call takes; `message` says how much that is.
    pub fn too_many(message: impl Into<String>) -> Self {
        Refusal::new(Kind::TooLarge, message)
    }

    /// The AI Gateway refused by itself with Cloudflare's `code` (0: it gave none) and words.
    ///
    /// The codes are those of `AiGatewayError`; only the ones that someone can act on have their
    /// own sentence. The words go to the log: they can name the account.
    pub fn gateway(code: u32, words: &str) -> Self {
        let (kind, what) = match code {
            2001 => (
                Kind::GatewayMisconfigured,
                "The AI Gateway does not exist. The administrator creates it in Cloudflare's \
                 dashboard or corrects its name in the settings.",
            ),
            2009 => (
                Kind::GatewayMisconfigured,
                "The AI Gateway wants a token and did not accept ours. The administrator sets a \
                 Cloudflare API token with the permission `AI Gateway Run`.",
            ),
            2003 | 2018 | 2041 => (
                Kind::GatewayLimited,
                "A rate or spend limit of the AI Gateway itself is reached; it is not a limit of \
                 a key. The administrator can change it in Cloudflare's dashboard.",
            ),
            _ => (
                Kind::GatewayMisconfigured,
                "The AI Gateway refused the request because of its own settings. The \
                 administrator finds the reason in the gateway's log.",
            ),
        };
        let message =
            if code == 0 { what.to_owned() } else { format!("{what} (Cloudflare error {code})") };
        Refusal::new(kind, message).with_log(format!("gateway {code}: {}", echo(words)))
    }

    /// The gateway or the provider could not be reached; `why` is for the log.
    pub fn unreachable(why: impl Into<String>) -> Self {
        Refusal::new(
            Kind::UpstreamUnreachable,
            "The provider could not be reached. It is not a fault of your request; try again.",
        )
        .with_log(why)
    }

    /// A good token, but with a limit, so not an administrator's.
    pub fn not_administrator() -> Self {
        Refusal::new(
            Kind::OutOfScope,
            "This token is limited, and only a token without any limit may administer. Use such a \
             token of AUTH_KEY.",
        )
    }

    /// Something that is named in an address and does not exist; `message` says what.
    pub fn missing(message: impl Into<String>) -> Self {
        Refusal::new(Kind::NotFound, message)
    }

    /// The gateway's address cannot be told; `message` says which setting to mend.
    pub fn no_gateway(message: impl Into<String>) -> Self {
        Refusal::new(Kind::GatewayMisconfigured, message)
    }

    /// D1 did not do what was asked of it; `why` is for the log, since it can quote values.
    pub fn store(why: impl Into<String>) -> Self {
        Refusal::new(
            Kind::StoreUnavailable,
            "The database of keys (D1) did not answer. Try again. If it stays so, the \
             administrator checks that the binding DB exists and its migrations were applied.",
        )
        .with_log(why)
    }

    /// Something takes a while and is not done yet; `message` says what.
    pub fn busy(message: impl Into<String>) -> Self {
        Refusal::new(Kind::StoreUnavailable, message)
    }

    /// A fault of ours; `why` is for the log.
    pub fn internal(why: impl Into<String>) -> Self {
        Refusal::new(
            Kind::Internal,
            "Something went wrong in One Balance itself. Try again; the reason is in its log.",
        )
        .with_log(why)
    }
}

impl From<ModelError> for Refusal {
    fn from(error: ModelError) -> Self {
        Refusal::bad_request(error.to_string())
    }
}

impl From<TokenError> for Refusal {
    fn from(error: TokenError) -> Self {
        match error {
            TokenError::Missing => Refusal::no_token(),
            TokenError::Unknown => Refusal::unknown_token(),
            TokenError::Expired => Refusal::expired_token(),
        }
    }
}

impl fmt::Display for Refusal {
    /// For the log: the code and what is known inside.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.kind.code())?;
        match &self.log {
            Some(log) => write!(f, ": {log}"),
            None => Ok(()),
        }
    }
}

/// A client's own text as it may be repeated: short, one line, nothing that ends a quotation.
pub(crate) fn echo(text: &str) -> String {
    let mut out: String =
        text.chars().filter(|c| !c.is_control() && *c != '`').take(MAX_ECHO).collect();
    if text.chars().nth(MAX_ECHO).is_some() {
        out.push('…');
    }
    out
}

/// Seconds in words, in the largest unit that keeps them honest.
fn duration(seconds: u64) -> String {
    let (count, unit) = match seconds {
        0..=119 => (seconds, "second"),
        120..=7_199 => (seconds.div_ceil(60), "minute"),
        7_200..=172_799 => (seconds.div_ceil(3_600), "hour"),
        _ => (seconds.div_ceil(86_400), "day"),
    };
    format!("{count} {unit}{}", if count == 1 { "" } else { "s" })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn statuses() {
        for (refusal, status, code) in [
            (Refusal::bad_request("x"), 400, "bad_request"),
            (Refusal::no_token(), 401, "token_missing"),
            (Refusal::unknown_token(), 401, "token_unknown"),
            (Refusal::expired_token(), 401, "token_expired"),
            (Refusal::disabled_token(), 401, "token_disabled"),
            (Refusal::token_limited(Reached { wait: 5, of_day: false }), 429, "token_limited"),
            (Refusal::out_of_scope("openai", Some("m")), 403, "token_out_of_scope"),
            (Refusal::provider_out_of_scope("openai"), 403, "token_out_of_scope"),
            (Refusal::not_found(), 404, "not_found"),
            (Refusal::unknown_provider("x"), 404, "not_found"),
            (Refusal::method_not_allowed("GET"), 405, "method_not_allowed"),
            (Refusal::too_large(1 << 20), 413, "request_too_large"),
            (Refusal::exhausted("openai", "m", 1, 0), 429, "keys_exhausted"),
            (Refusal::gateway(2003, ""), 429, "gateway_limited"),
            (Refusal::internal(""), 500, "internal_error"),
            (Refusal::gateway(2009, ""), 502, "gateway_misconfigured"),
            (Refusal::unreachable(""), 502, "upstream_unreachable"),
            (Refusal::no_keys("openai"), 503, "no_keys"),
            (Refusal::no_auth_key(), 503, "not_configured"),
        ] {
            assert_eq!((refusal.status(), refusal.kind.code()), (status, code));
            assert!(refusal.kind == Kind::BadRequest || refusal.message.ends_with(['.', '?', ')']));
        }
    }

    #[test]
    fn the_wait_is_rounded_up_and_never_zero() {
        for (until, now, seconds, words) in [
            (0, 5, 1, "in 1 second."),
            (1_001, 0, 2, "in 2 seconds."),
            (60_000, 0, 60, "in 60 seconds."),
            (3_540_500, 0, 3_541, "in 60 minutes."),
            (7_200_001, 0, 7_201, "in 3 hours."),
            (3 * 86_400_000, 0, 259_200, "in 3 days."),
        ] {
            let refusal = Refusal::exhausted("openai", "gpt", until, now);
            assert_eq!(refusal.retry_after(), Some(seconds));
            assert!(refusal.message.ends_with(words), "{}", refusal.message);
            assert_eq!(refusal.should_retry(), seconds <= 60);
        }
        assert!(Refusal::exhausted("openai", "*", 1, 0).message.contains("for `openai` has"));
    }

    #[test]
    fn refusals_tell_what_to_do_instead() {
        let says = |refusal: Refusal, words: &str| {
            assert!(refusal.message.contains(words), "{}", refusal.message);
        };
        says(Refusal::unknown_provider("gemini"), "Did you mean `google-ai-studio`?");
        says(Refusal::unknown_provider("nope"), "openrouter, ");
        says(Refusal::unknown_provider("nope"), "custom-<slug>");
        says(
            Refusal::unknown_model_prefix(Some("google/gemini-2.5-pro")),
            "Did you mean `google-ai-studio/gemini-2.5-pro`?",
        );
        says(Refusal::unknown_model_prefix(Some("@cf/meta/llama")), "openai/gpt-5-mini");
        says(Refusal::unknown_model_prefix(None), "openai/gpt-5-mini");
        says(Refusal::out_of_scope("openai", Some("gpt-9")), "`gpt-9` of `openai`");
        says(Refusal::gateway(2009, "x"), "Cloudflare error 2009");
        says(ModelError::Duplicate.into(), "more than one model");
        says(TokenError::Expired.into(), "expired");
    }

    #[test]
    fn inner_texts_stay_inside() {
        let refusal = Refusal::gateway(2001, "account 1234");
        assert!(!refusal.message.contains("1234"));
        assert_eq!(refusal.to_string(), "gateway_misconfigured: gateway 2001: account 1234");
    }

    #[test]
    fn what_a_client_wrote_is_repeated_tamely() {
        assert_eq!(echo("a`b\n<c>\u{7f}"), "ab<c>");
        assert_eq!(echo(&"é".repeat(MAX_ECHO + 1)), format!("{}…", "é".repeat(MAX_ECHO)));
    }

    #[test]
    fn nobody_waits_an_hour_in_silence() {
        for (header, worth) in
            [("2", true), ("60", true), ("61", false), ("3600.5", false), ("soon", true)]
        {
            assert_eq!(is_worth_waiting(header, 0), worth, "{header}");
        }
    }
}
