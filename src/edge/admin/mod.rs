//! The JSON API of the admin page, below `/admin/api/`, and `/healthz`.
//!
//! | route | does |
//! |---|---|
//! | `GET session` | who is signed in, and what is wrong with the settings |
//! | `GET providers` | keys by provider and state; every provider there is |
//! | `GET keys` | a page of keys |
//! | `POST keys` | adds pasted keys |
//! | `POST keys/actions` | does something to many keys |
//! | `GET`, `PATCH`, `DELETE keys/{id}` | one key |
//! | `GET events` | what happened to keys, and why |
//!
//! Only tokens without any limit are let in, in `Authorization: Bearer`. A key's text never leaves.

mod keys;
pub mod page;

use serde::de::DeserializeOwned;
use serde_json::{Value, json};
use web_sys::UrlSearchParams;
use worker::Env;
use worker::web_sys::{Request, Response};

use super::env::Settings;
use super::platform::now;
use super::store::Store;
use super::{inbound, respond};
use crate::balance::error::Refusal;
use crate::balance::provider;
use crate::balance::token::{self, Token};

const VERSION: &str = env!("CARGO_PKG_VERSION");

/// The longest body that is taken: 10,000 keys of 400 characters.
const MAX_BODY: usize = 4 * 1024 * 1024;

/// What an admin call answers.
type Answer = Result<Value, Refusal>;

/// One call with all that its handler may ask for.
struct Call<'a> {
    request: &'a Request,
    query: UrlSearchParams,
    settings: &'a Settings,
    token: &'a Token,
    store: Store,
    env: &'a Env,
}

/// Answers a call. `path` is what follows `/admin/api/`.
pub async fn answer(
    request: &Request,
    method: &str,
    path: &str,
    settings: &Settings,
    env: &Env,
) -> Response {
    let result = match administrator(request, settings) {
        Ok(token) => {
            let store = Store::new(env.d1("DB").ok());
            let url = request.url();
            let query = url.split_once('?').map_or("", |(_, query)| query);
            match UrlSearchParams::new_with_str(query) {
                Ok(query) => {
                    let call = Call { request, query, settings, token, store, env };
                    call.handle(method, path.trim_end_matches('/')).await
                }
                Err(why) => Err(respond::thrown("query", &why)),
            }
        }
        Err(refusal) => Err(refusal),
    };
    match result {
        Ok(value) => respond::json(200, &value),
        Err(refusal) => {
            if refusal.log.is_some() {
                respond::log("admin", &refusal.to_string());
            }
            let error = json!({ "code": refusal.kind.code(), "message": refusal.message });
            respond::json(refusal.status(), &json!({ "error": error }))
        }
    }
}

/// The token of an administrator.
fn administrator<'t>(request: &Request, settings: &'t Settings) -> Result<&'t Token, Refusal> {
    if settings.tokens.is_empty() {
        return Err(Refusal::no_auth_key());
    }
    let header = request.headers().get("authorization").ok().flatten().unwrap_or_default();
    let presented = token::from_header("authorization", &header);
    let token = settings.tokens.check(presented, now())?;
    if token.unrestricted() { Ok(token) } else { Err(Refusal::not_administrator()) }
}

impl Call<'_> {
    async fn handle(&self, method: &str, path: &str) -> Answer {
        match (method, path) {
            ("GET", "session") => Ok(self.session().await),
            ("GET", "providers") => self.providers().await,
            ("GET", "keys") => self.list_keys().await,
            ("POST", "keys") => self.add_keys().await,
            ("POST", "keys/actions") => self.act_on_keys().await,
            ("GET", "events") => self.events().await,
            (_, "session" | "providers" | "events") => Err(Refusal::method_not_allowed("GET")),
            (_, "keys") => Err(Refusal::method_not_allowed("GET, POST")),
            (_, "keys/actions") => Err(Refusal::method_not_allowed("POST")),
            _ => match path.strip_prefix("keys/").and_then(|id| id.parse().ok()) {
                Some(id) => self.one_key(method, id).await,
                None => Err(Refusal::not_found()),
            },
        }
    }

    async fn session(&self) -> Value {
        let gateway = self.settings.gateway_base(self.env).await.map_or(Value::Null, |url| {
            // Only the simulator is reached without encryption: `gateway::base` sees to it.
            json!({ "simulated": url.starts_with("http:"), "url": url })
        });
        json!({
            "gateway": gateway,
            "token": { "id": self.token.id(), "expires_at": self.token.expires },
            "version": VERSION,
            "problems": self.settings.problems.iter().map(|it| &it.message).collect::<Vec<_>>(),
        })
    }

    async fn providers(&self) -> Answer {
        let counts = self.store.counts(now()).await?;
        let mut providers: Vec<_> = counts.as_object().into_iter().flatten().map(|(slug, states)| {
            let of = |state: &str| states.get(state).and_then(Value::as_u64).unwrap_or_default();
            let (ready, cooling) = (of("ready"), of("cooling"));
            let (blocked, disabled) = (of("blocked"), of("disabled"));
            let total = ready + cooling + blocked + disabled;
            (total, json!({
                "slug": slug, "name": name_of(slug), "total": total,
                "ready": ready, "cooling": cooling, "blocked": blocked, "disabled": disabled,
            }))
        }).collect();
        providers.sort_by_key(|(total, _)| core::cmp::Reverse(*total));
        let providers: Vec<_> = providers.into_iter().map(|(_, provider)| provider).collect();
        let known: Vec<_> = provider::all()
            .iter()
            .map(|row| json!({ "slug": row.slug, "name": row.name, "key_prefixes": row.key_prefixes }))
            .collect();
        Ok(json!({ "providers": providers, "known": known }))
    }

    async fn events(&self) -> Answer {
        let limit = self.number("limit", 100, 1, 500)?;
        let key = self.id("key")?;
        let before = self.id("before")?;
        Ok(json!({ "events": self.store.events(key, before, limit).await? }))
    }

    /// A parameter of the query; empty when it is not there.
    fn parameter(&self, name: &str) -> String {
        self.query.get(name).unwrap_or_default()
    }

    fn number(&self, name: &str, default: u32, least: u32, most: u32) -> Result<u32, Refusal> {
        match self.parameter(name).as_str() {
            "" => Ok(default),
            text => match text.parse() {
                Ok(value) if (least..=most).contains(&value) => Ok(value),
                _ => Err(Refusal::bad_request(format!(
                    "`{name}` must be a number from {least} to {most}."
                ))),
            },
        }
    }

    fn id(&self, name: &str) -> Result<Option<u64>, Refusal> {
        match self.parameter(name).as_str() {
            "" => Ok(None),
            text => text
                .parse()
                .map(Some)
                .map_err(|_| Refusal::bad_request(format!("`{name}` must be a number."))),
        }
    }

    /// The JSON body.
    async fn body<T: DeserializeOwned>(&self) -> Result<T, Refusal> {
        let missing = || Refusal::bad_request("The body must be a JSON object.");
        let body = inbound::body_of(self.request, "POST", MAX_BODY).await?.ok_or_else(missing)?;
        let bytes = worker::js_sys::Uint8Array::new(&body).to_vec();
        serde_json::from_slice(&bytes).map_err(|why| {
            Refusal::bad_request(format!("The body is not what is expected: {why}."))
        })
    }
}

/// The provider's name for people.
fn name_of(slug: &str) -> &str {
    provider::find(slug).filter(|row| row.slug == slug).map_or(slug, |row| row.name)
}

/// Whether the Worker is up and reaches D1, and which deployment this is (a random name that
/// `npm run deploy` gives it and waits for). Needs no token and tells nothing else.
pub async fn health(env: &Env) -> Response {
    let store = Store::new(env.d1("DB").ok());
    let deployment = env.var("DEPLOYMENT").ok().map(|name| name.to_string());
    match store.ping().await {
        Ok(()) => {
            let health =
                json!({ "ok": true, "d1": true, "version": VERSION, "deployment": deployment });
            respond::json(200, &health)
        }
        Err(refusal) => {
            respond::log("healthz", &refusal.to_string());
            let health = json!({
                "ok": false, "d1": false, "version": VERSION, "deployment": deployment,
                "message": refusal.message,
            });
            respond::json(503, &health)
        }
    }
}
