//! Settings and bindings. Parsing is the core's; this file only fetches the text.

use core::cell::RefCell;
use std::rc::Rc;

use worker::Env;
use worker::js_sys::{Function, JsString, Promise, Reflect};
use worker::wasm_bindgen::{JsCast, JsValue};

use super::task::{apart, settled};
use super::{log, pool};
use crate::balance::SECOND;
use crate::balance::affinity::Mode;
use crate::balance::error::Refusal;
use crate::balance::health::{DEFAULT_CONSECUTIVE_429_THRESHOLD, Policy};
use crate::balance::isolate::{DEFAULT_REFRESH_SECONDS, DEFAULT_WORKING_SET, Limits};
use crate::balance::problem::Problem;
use crate::balance::provider::Provider;
use crate::balance::retry::DEFAULT_MAX_ATTEMPTS;
use crate::balance::route::ApiRoute;
use crate::balance::token::{self, Scope, Token, Tokens};
use crate::balance::usage::DEFAULT_INTERVAL;
use crate::balance::webhook::Webhook;
use crate::balance::{custom, direct, gateway};

/// `USAGE_FLUSH_SECONDS` when it is not set.
#[expect(clippy::cast_possible_truncation, reason = "60")]
const USAGE_FLUSH_SECONDS: u32 = (DEFAULT_INTERVAL / SECOND) as u32;

/// What the operator configured. A deployment never changes it, so an isolate reads it once.
pub struct Settings {
    /// The tokens of `AUTH_KEY`.
    pub tokens: Tokens,
    /// The gateway's base address if the settings give one.
    gateway: Result<Option<String>, Problem>,
    /// The gateway's name, for the `AI` binding.
    gateway_name: Result<String, Problem>,
    /// Where requests are sent.
    pub upstream: Upstream,
    /// `CLOUDFLARE_ACCOUNT_ID`, which is part of Workers AI's own addresses.
    account: Option<String>,
    /// `COMPAT=native`: requests to `compat` go to the provider's own OpenAI-shaped paths.
    pub compat_native: bool,
    /// `MAX_ATTEMPTS`.
    pub max_attempts: u32,
    /// `AFFINITY`: what tells a conversation.
    pub affinity: Mode,
    /// `CHECK_STREAMS`: look for errors in streams.
    pub check_streams: bool,
    /// `RETRY_EMPTY`: ask again when Gemini answers nothing.
    pub retry_empty: bool,
    /// `CUSTOM_HEADERS`: custom providers that read their key elsewhere than most.
    custom: Vec<(String, &'static Provider)>,
    /// How verdicts change keys.
    pub policy: Policy,
    /// `SESSION_SECRET`: goes into the signature of sessions.
    pub session_secret: String,
    /// `METRICS_TOKEN`: may read `/metrics` and nothing else.
    pub metrics_tokens: Tokens,
    /// `WEBHOOK_URL` and what belongs to it.
    pub webhook: Option<Webhook>,
    /// `LOG` is `debug`: requests that were served are in the log too.
    pub log_all: bool,
    /// Settings that cannot be what was meant.
    pub problems: Vec<Problem>,
}

/// Where requests are sent.
#[derive(Clone)]
pub enum Upstream {
    /// To the AI Gateway.
    Gateway {
        /// `AI_GATEWAY_TOKEN`, ready for the header `cf-aig-authorization`.
        authorization: Option<String>,
    },
    /// `UPSTREAM=direct`: to the providers' own addresses.
    Direct,
}

thread_local! {
    static SETTINGS: RefCell<Option<Rc<Settings>>> = const { RefCell::new(None) };
    static ASKED_BASE: RefCell<Option<String>> = const { RefCell::new(None) };
}

/// Whether this deployment sends to providers' own addresses; known once settings are loaded.
pub fn is_direct() -> bool {
    SETTINGS.with_borrow(|settings| settings.as_ref().is_some_and(|settings| settings.is_direct()))
}

/// Whether some custom provider reads its key in a header of this name: a client's token may be there,
/// and goes on to nobody.
pub fn is_custom_header(name: &str) -> bool {
    SETTINGS.with_borrow(|settings| {
        settings.as_ref().is_some_and(|settings| {
            settings.custom.iter().any(|(_, row)| row.key_header.name == name)
        })
    })
}

impl Settings {
    /// The settings of this deployment.
    pub fn load(env: &Env) -> Rc<Self> {
        if let Some(settings) = SETTINGS.with_borrow(Clone::clone) {
            return settings;
        }
        let settings = Rc::new(Self::read(env));
        SETTINGS.set(Some(Rc::clone(&settings)));
        settings
    }

    #[inline(never)]
    fn read(env: &Env) -> Self {
        let text = |name: &str| {
            let value = Reflect::get(env.as_ref(), &JsValue::from_str(name)).ok()?;
            // A number in `[vars]` arrives as a number.
            let value = value.as_string().or_else(|| value.as_f64().map(|n| n.to_string()))?;
            Some(value.trim().to_owned()).filter(|value| !value.is_empty())
        };
        let mut problems = Vec::new();
        let mut number = |name: &str, default: u32| match text(name).map(|value| value.parse()) {
            Some(Ok(value)) => value,
            None => default,
            Some(Err(_)) => {
                let sentence = format!("{name} is not a whole number; {default} is used instead.");
                let problem = Problem::new("not_a_number", sentence);
                problems.push(problem.with("name", name).with("used", default));
                default
            }
        };
        let max_attempts = number("MAX_ATTEMPTS", DEFAULT_MAX_ATTEMPTS);
        super::usage::configure(number("USAGE_FLUSH_SECONDS", USAGE_FLUSH_SECONDS));
        let threshold = number("CONSECUTIVE_429_THRESHOLD", DEFAULT_CONSECUTIVE_429_THRESHOLD);
        let min_usable = number("WEBHOOK_MIN_USABLE", 1);
        let working_set = number("WORKING_SET", DEFAULT_WORKING_SET);
        let refresh = number("REFRESH_SECONDS", DEFAULT_REFRESH_SECONDS);
        pool::limit(Limits::of(working_set, refresh));
        let mut switch = |name: &str| match text(name).as_deref() {
            None | Some("off" | "false" | "0") => false,
            Some("on" | "true" | "1") => true,
            Some(_) => {
                let sentence = format!("{name} is neither `on` nor `off`; it is off.");
                problems.push(Problem::new("not_on_or_off", sentence).with("name", name));
                false
            }
        };
        let affinity = text("AFFINITY");
        let affinity = affinity.map_or(Some(Mode::default()), |word| Mode::parse(&word));
        let check_streams = switch("CHECK_STREAMS");
        let retry_empty = switch("RETRY_EMPTY");
        if affinity.is_none() {
            let sentence = "AFFINITY is none of `off`, `explicit`, `auto`; it is `explicit`.";
            problems.push(Problem::new("not_an_affinity", sentence));
        }
        let mut choice = |name: &str, usual: &str, other: &str| match text(name).as_deref() {
            Some(chosen) if chosen == other => true,
            Some(chosen) if chosen != usual => {
                let sentence = format!("{name} is neither `{usual}` nor `{other}`; it is {usual}.");
                let problem = Problem::new("not_one_of_two", sentence);
                problems.push(problem.with("name", name).with("used", usual).with("other", other));
                false
            }
            _ => false,
        };
        let compat_native = choice("COMPAT", "gateway", "native");
        let direct = choice("UPSTREAM", "gateway", "direct");
        let tokens = token::parse(&text("AUTH_KEY").unwrap_or_default());
        problems.extend(tokens.problems().iter().cloned());
        let gateway = gateway::base(
            text("GATEWAY_URL").as_deref(),
            text("CLOUDFLARE_ACCOUNT_ID").as_deref(),
            text("AI_GATEWAY").as_deref(),
        );
        let gateway_name = gateway::name(text("AI_GATEWAY").as_deref());
        if !direct {
            // The name matters when the binding is asked, and then only.
            let unnamed = gateway_name.as_ref().err().filter(|_| matches!(gateway, Ok(None)));
            problems.extend(gateway.as_ref().err().or(unnamed).cloned());
        }
        let (custom, wrong) = custom::parse(&text("CUSTOM_HEADERS").unwrap_or_default());
        problems.extend(wrong);
        let sealing_key = |name| text(name).unwrap_or_default();
        let (current, old) = (sealing_key("ENCRYPTION_KEY"), sealing_key("ENCRYPTION_KEY_OLD"));
        problems.extend(super::sealing::configure(&current, &old));
        let mut metrics_tokens = Tokens::default();
        if let Some(token) = text("METRICS_TOKEN") {
            metrics_tokens.push(Token::new(token::digest(&token), Scope::default(), None));
        }
        let webhook = text("WEBHOOK_URL").and_then(|url| {
            let (kind, chat) = (text("WEBHOOK_KIND"), text("WEBHOOK_CHAT_ID"));
            Webhook::new(&url, kind.as_deref(), chat.as_deref(), min_usable)
                .inspect_err(|problem| problems.push(problem.clone()))
                .ok()
        });
        for problem in &problems {
            log::trouble("setting", &problem.message);
        }
        Self {
            tokens,
            gateway,
            gateway_name,
            upstream: if direct {
                Upstream::Direct
            } else {
                let token = text("AI_GATEWAY_TOKEN");
                Upstream::Gateway { authorization: token.map(|token| format!("Bearer {token}")) }
            },
            account: text("CLOUDFLARE_ACCOUNT_ID"),
            compat_native,
            session_secret: text("SESSION_SECRET").unwrap_or_default(),
            metrics_tokens,
            webhook,
            log_all: text("LOG").is_some_and(|level| level.eq_ignore_ascii_case("debug")),
            max_attempts,
            affinity: affinity.unwrap_or_default(),
            check_streams,
            retry_empty,
            custom,
            policy: Policy { consecutive_429_threshold: threshold },
            problems,
        }
    }

    /// Whether it is known where requests go.
    ///
    /// # Errors
    /// When it is not: a refusal that says what to set.
    pub async fn reachable(&self, env: &Env) -> Result<(), Refusal> {
        if self.is_direct() { Ok(()) } else { self.gateway_base(env).await.map(|_| ()) }
    }

    /// The row of a custom provider with a header of its own in `CUSTOM_HEADERS`.
    #[must_use]
    pub fn custom(&self, slug: &str) -> Option<&'static Provider> {
        self.custom.iter().find(|(known, _)| known == slug).map(|(_, row)| *row)
    }

    /// Whether requests go to the providers without an AI Gateway between.
    #[must_use]
    pub const fn is_direct(&self) -> bool {
        matches!(self.upstream, Upstream::Direct)
    }

    /// The word of `UPSTREAM` for where requests go.
    #[must_use]
    pub const fn upstream_word(&self) -> &'static str {
        match self.upstream {
            Upstream::Gateway { .. } => "gateway",
            Upstream::Direct => "direct",
        }
    }

    /// Whether what the settings say of the gateway cannot be, which is then among the problems.
    #[must_use]
    pub const fn gateway_is_wrong(&self) -> bool {
        self.gateway.is_err() || self.gateway_name.is_err()
    }

    /// The address to which a request is sent.
    ///
    /// # Errors
    /// When the gateway's is not known, or the provider has none without a gateway.
    pub async fn address(&self, env: &Env, api: &ApiRoute) -> Result<String, Refusal> {
        self.address_of(env, api, &api.provider, &api.path).await
    }

    /// [`Settings::address`], at another segment and path: those of a socket.
    ///
    /// # Errors
    /// As there.
    pub async fn address_of(
        &self,
        env: &Env,
        api: &ApiRoute,
        slug: &str,
        path: &str,
    ) -> Result<String, Refusal> {
        let query = api.query.as_deref();
        match self.upstream {
            Upstream::Gateway { .. } => {
                let base = self.gateway_base(env).await?;
                // Another host of the provider is told in a header.
                let (path, query) = if api.target().is_some() { ("", None) } else { (path, query) };
                Ok(gateway::url(&base, slug, path, query))
            }
            Upstream::Direct => direct::url(api.row, path, query, self.account.as_deref())
                .ok_or_else(|| Refusal::not_direct(&api.provider)),
        }
    }

    /// Tells deployments apart that share a host: what one keeps there is not for the others.
    #[must_use]
    pub fn fingerprint(&self) -> String {
        let upstream = match (&self.upstream, &self.gateway) {
            (Upstream::Direct, _) => "direct",
            (_, Ok(Some(base))) => base,
            _ => self.gateway_name.as_deref().unwrap_or_default(),
        };
        token::digest(upstream).iter().take(8).map(|byte| format!("{byte:02x}")).collect()
    }

    /// The gateway's base address: from the settings, else from the `AI` binding, which is asked
    /// once per isolate.
    ///
    /// # Errors
    /// When neither knows it: a refusal that says what to set.
    pub async fn gateway_base(&self, env: &Env) -> Result<String, Refusal> {
        match &self.gateway {
            Ok(Some(base)) => return Ok(base.clone()),
            Ok(None) => {}
            Err(problem) => return Err(Refusal::no_gateway(&*problem.message)),
        }
        if let Some(base) = ASKED_BASE.with_borrow(Clone::clone) {
            return Ok(base);
        }
        let name =
            self.gateway_name.as_ref().map_err(|problem| Refusal::no_gateway(&*problem.message))?;
        let base = apart(ask_binding(env, name)).await.map_err(|why| {
            Refusal::no_gateway(
                "The address of the AI Gateway is not known. Set CLOUDFLARE_ACCOUNT_ID (and \
                 AI_GATEWAY, if your gateway is not called one-balance), or bind AI.",
            )
            .with_log(format!("AI binding: {why:?}"))
        })?;
        ASKED_BASE.set(Some(base.clone()));
        Ok(base)
    }
}

/// `await env.AI.gateway(name).getUrl()`. The Rust binding of `AI` has no `gateway`.
async fn ask_binding(env: &Env, name: &str) -> Result<String, JsValue> {
    let method = |of: &JsValue, name: &str| -> Result<Function, JsValue> {
        Reflect::get(of, &JsValue::from_str(name))?.dyn_into()
    };
    let ai = Reflect::get(env.as_ref(), &JsValue::from_str("AI"))?;
    let gateway = method(&ai, "gateway")?.call1(&ai, &JsValue::from_str(name))?;
    let url = method(&gateway, "getUrl")?.call0(&gateway)?;
    let url = settled(&Promise::resolve(&url)).await?;
    let url = String::from(url.dyn_into::<JsString>()?);
    Ok(url.trim_end_matches('/').to_owned())
}
