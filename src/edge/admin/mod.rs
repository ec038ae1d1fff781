//! The JSON API of the admin page, below `/admin/api/`, and `/healthz`. `docs/admin-api.md` is its contract.
//!
//! | file | routes |
//! |---|---|
//! | [`session`] | `session`; who is let in |
//! | [`overview`] | `settings`, `overview`, `providers` |
//! | [`keys`] | `keys`, `keys/search`, `keys/ids`, `keys/{id}`, `keys/{id}/reveal`, `export` |
//! | [`paste`] | adding keys: `keys`, `keys/preview` |
//! | [`actions`] | `keys/actions`, `keys/undo` |
//! | [`ask`] | `keys/test`, `keys/{id}/test` |
//! | [`tokens`] | `tokens` |
//! | [`history`] | `events`, `requests` |
//! | [`webhook`] | `webhook/test` |
//! | [`fields`], [`fault`] | what was sent, and what is wrong with it |
//!
//! Only tokens without any limit are let in, or browsers that signed in with one. A key's text leaves
//! only where someone asks for it: `reveal` and `export`.

mod actions;
mod ask;
mod fault;
mod fields;
mod history;
mod keys;
mod overview;
pub mod page;
mod paste;
pub mod session;
mod tokens;
mod webhook;

use serde_json::{Value, json};
use web_sys::UrlSearchParams;
use worker::Env;
use worker::web_sys::{Request, Response};

use super::env::Settings;
use super::store::Store;
use super::{inbound, respond};
use fault::Fault;
use fields::Fields;
use session::Administrator;

const VERSION: &str = env!("CARGO_PKG_VERSION");

/// The longest body that is taken: 10,000 keys of 400 characters.
const MAX_BODY: usize = 4 * 1024 * 1024;

/// What an admin call answers.
type Answer = Result<Value, Fault>;

/// One call with all that its handler may ask for.
struct Call<'a> {
    request: &'a Request,
    query: UrlSearchParams,
    settings: &'a Settings,
    who: Administrator<'a>,
    store: Store,
    env: &'a Env,
}

/// Answers a call of the admin API.
pub async fn answer(
    request: &Request,
    method: &str,
    path: &str,
    settings: &Settings,
    env: &Env,
) -> Response {
    let path = path.trim_end_matches('/');
    handle(request, method, path, settings, env).await.unwrap_or_else(|fault| fault.respond())
}

async fn handle(
    request: &Request,
    method: &str,
    path: &str,
    settings: &Settings,
    env: &Env,
) -> Result<Response, Fault> {
    if (method, path) == ("DELETE", "session") {
        return Ok(session::sign_out(request));
    }
    let mut cookie = None;
    let who = if (method, path) == ("POST", "session") {
        let (who, signed_in) = session::sign_in(request, settings, body(request).await?)?;
        cookie = Some(signed_in);
        who
    } else {
        session::administrator(request, method, settings)?
    };
    let url = request.url();
    let query = url.split_once('?').map_or("", |(_, query)| query);
    let query =
        UrlSearchParams::new_with_str(query).map_err(|why| respond::thrown("query", &why))?;
    let store = Store::new(env.d1("DB").ok());
    let call = Call { request, query, settings, who, store, env };
    if let Some(cookie) = cookie {
        let response = respond::json(200, &call.session().await);
        let _ = response.headers().set("set-cookie", &cookie);
        return Ok(response);
    }
    if (method, path) == ("POST", "export") {
        return call.export().await;
    }
    Ok(respond::json(200, &call.handle(method, path).await?))
}

impl Call<'_> {
    async fn handle(&self, method: &str, path: &str) -> Answer {
        match (method, path) {
            ("GET", "session") => Ok(self.session().await),
            ("GET", "settings") => Ok(self.tell_settings().await),
            ("GET", "overview") => self.overview().await,
            ("GET", "providers") => self.providers().await,
            ("GET", "keys") => self.list_keys().await,
            ("POST", "keys") => self.add_keys().await,
            ("POST", "keys/search") => self.search_keys().await,
            ("POST", "keys/ids") => self.key_ids().await,
            ("POST", "keys/preview") => self.preview_keys().await,
            ("POST", "keys/actions") => self.act_on_keys().await,
            ("POST", "keys/undo") => self.undo().await,
            ("POST", "keys/test") => self.test_keys().await,
            ("GET", "tokens") => self.list_tokens().await,
            ("POST", "tokens") => self.make_token().await,
            ("GET", "events") => self.events().await,
            ("GET", "requests") => self.requests().await,
            ("POST", "webhook/test") => self.test_webhook().await,
            (_, "session") => Err(Fault::method("GET, POST, DELETE")),
            (_, "settings" | "overview" | "providers" | "events" | "requests") => {
                Err(Fault::method("GET"))
            }
            (_, "keys" | "tokens") => Err(Fault::method("GET, POST")),
            (
                _,
                "export" | "keys/search" | "keys/ids" | "keys/preview" | "keys/actions"
                | "keys/undo" | "keys/test" | "webhook/test",
            ) => Err(Fault::method("POST")),
            _ => self.one(method, path).await,
        }
    }

    /// Routes with an id in them.
    async fn one(&self, method: &str, path: &str) -> Answer {
        let mut parts = path.split('/');
        let of = parts.next().unwrap_or_default();
        let id: Option<u64> = parts.next().and_then(|id| id.parse().ok());
        let (Some(id), what, None) = (id, parts.next(), parts.next()) else {
            return Err(no_such_route());
        };
        match (of, what, method) {
            ("keys", None, "GET") => self.show_key(id).await,
            ("keys", None, "PATCH") => self.change_key(id).await,
            ("keys", None, "DELETE") => self.delete_key(id).await,
            ("keys", None, _) => Err(Fault::method("GET, PATCH, DELETE")),
            ("keys", Some("reveal"), "POST") => self.reveal_key(id).await,
            ("keys", Some("test"), "POST") => self.test_key(id).await,
            ("keys", Some("reveal" | "test"), _) => Err(Fault::method("POST")),
            ("tokens", None, "PATCH") => self.change_token(id).await,
            ("tokens", None, "DELETE") => self.revoke_token(id).await,
            ("tokens", None, _) => Err(Fault::method("PATCH, DELETE")),
            _ => Err(no_such_route()),
        }
    }

    /// These of the query.
    fn fields_of_query(&self, names: &[&str]) -> Fields {
        Fields::of_query(&self.query, names)
    }

    /// Those of the JSON body.
    async fn body(&self) -> Result<Fields, Fault> {
        body(self.request).await
    }
}

fn no_such_route() -> Fault {
    Fault::new(
        404,
        "not_found",
        "There is nothing at this address. docs/admin-api.md has the routes.",
    )
}

async fn body(request: &Request) -> Result<Fields, Fault> {
    let missing = || Fault::new(400, "bad_body", "The body must be a JSON object.");
    let body = inbound::body_of(request, "POST", MAX_BODY)
        .await
        .map_err(|refusal| Fault::from(refusal).with("most", MAX_BODY))?;
    let body = body.ok_or_else(missing)?;
    let bytes = worker::js_sys::Uint8Array::new(&body).to_vec();
    let value = serde_json::from_slice(&bytes).map_err(|why| {
        // Where it is wrong, not what stands there.
        let sentence =
            format!("The body is no JSON (line {}, column {}).", why.line(), why.column());
        Fault::new(400, "bad_body", sentence)
    })?;
    Fields::of_json(value)
}

/// Whether the Worker is up and reaches D1, and which deployment this is (a random name that
/// `npm run deploy` gives it and waits for), and whether it sends to a gateway. Needs no token and
/// tells nothing else.
pub async fn health(env: &Env) -> Response {
    let store = Store::new(env.d1("DB").ok());
    let deployment = env.var("DEPLOYMENT").ok().map(|name| name.to_string());
    let settings = Settings::load(env);
    let upstream = settings.upstream_word();
    match store.ping().await {
        Ok(()) => {
            let mut health = json!({
                "ok": true, "d1": true, "version": VERSION, "deployment": deployment,
                "upstream": upstream,
            });
            let problems = settings.problems.iter().filter(|problem| problem.is_public());
            let problems: Vec<_> = problems.map(|problem| &problem.message).collect();
            if let Some(health) = health.as_object_mut().filter(|_| !problems.is_empty()) {
                health.insert("problems".to_owned(), json!(problems));
            }
            let locked = store.locked_keys().await.unwrap_or_default();
            if let Some(health) = health.as_object_mut().filter(|_| locked > 0) {
                health.insert("locked_keys".to_owned(), json!(locked));
            }
            respond::json(200, &health)
        }
        Err(refusal) => {
            respond::log("healthz", &refusal.to_string());
            let health = json!({
                "ok": false, "d1": false, "version": VERSION, "deployment": deployment,
                "upstream": upstream, "message": refusal.message,
            });
            respond::json(503, &health)
        }
    }
}
