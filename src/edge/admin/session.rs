//! Who may administer: a token without any limit, or a browser that signed in with one.

use core::cell::RefCell;

use serde_json::{Value, json};
use worker::web_sys::{Headers, Request, Response};

use super::fault::Fault;
use super::fields::Fields;
use super::{Call, VERSION};
use crate::balance::error::Refusal;
use crate::balance::session::{self, COOKIE, Throttle};
use crate::balance::token::{self, Token};
use crate::balance::{Millis, SECOND};
use crate::edge::env::Settings;
use crate::edge::platform::now;
use crate::edge::respond;

/// What every changing call of a signed-in browser sends: another site cannot, without asking first.
pub const CSRF_HEADER: &str = "x-requested-with";

thread_local! {
    static THROTTLE: RefCell<Throttle> = RefCell::default();
}

/// Who is let in, and how.
pub struct Administrator<'t> {
    /// The token.
    pub token: &'t Token,
    /// The end of the session, if it is one.
    pub session: Option<Millis>,
}

/// The administrator who sends this request.
///
/// # Errors
/// When it is none.
pub fn administrator<'t>(
    request: &Request,
    method: &str,
    settings: &'t Settings,
) -> Result<Administrator<'t>, Fault> {
    if settings.tokens.is_empty() {
        return Err(Refusal::no_auth_key().into());
    }
    let headers = request.headers();
    let header = headers.get("authorization").ok().flatten().unwrap_or_default();
    let presented = token::from_header("authorization", &header);
    if !presented.is_empty() {
        let token = checked(request, settings, presented)?;
        return Ok(Administrator { token, session: None });
    }
    let Some(cookie) = cookie_of(&headers) else { return Err(Refusal::no_token().into()) };
    let Some((token, ends)) =
        session::check(&settings.tokens, &cookie, &settings.session_secret, now())
    else {
        return Err(Fault::new(401, "session_expired", "The session is over. Sign in again."));
    };
    if !matches!(method, "GET" | "HEAD") && !is_own_call(request) {
        let sentence = "A browser's call must come from the page itself, with the header `x-requested-with: one-balance`.";
        return Err(Fault::new(403, "csrf", sentence));
    }
    Ok(Administrator { token, session: Some(ends) })
}

/// The token that a text is, if it is an administrator's. Wrong ones are slowed down.
fn checked<'t>(
    request: &Request,
    settings: &'t Settings,
    presented: &str,
) -> Result<&'t Token, Fault> {
    // Set by Cloudflare, whatever the client sends.
    let address = request.headers().get("cf-connecting-ip").ok().flatten().unwrap_or_default();
    if let Some(seconds) = THROTTLE.with_borrow(|throttle| throttle.wait(&address, now())) {
        let sentence = format!(
            "Too many wrong tokens came from your address. Try again in {seconds} seconds."
        );
        let fault = Fault::new(429, "too_many_wrong_tokens", sentence);
        return Err(fault.with("seconds", seconds).after(seconds));
    }
    let checked = settings.tokens.check(presented, now());
    if matches!(checked, Err(token::TokenError::Unknown)) {
        THROTTLE.with_borrow_mut(|throttle| throttle.note(&address, now()));
    }
    let token = checked.map_err(Refusal::from)?;
    if token.unrestricted() {
        Ok(token)
    } else {
        let refusal = Refusal::not_administrator();
        Err(Fault::new(403, "not_administrator", refusal.message))
    }
}

fn cookie_of(headers: &Headers) -> Option<String> {
    let header = headers.get("cookie").ok().flatten()?;
    session::in_header(&header).map(str::to_owned)
}

/// Whether a page of ours made the call: it has our header, and the browser says where it comes from.
fn is_own_call(request: &Request) -> bool {
    let headers = request.headers();
    let get = |name: &str| headers.get(name).ok().flatten();
    if get(CSRF_HEADER).is_none_or(|value| value.is_empty()) {
        return false;
    }
    let site = get("sec-fetch-site");
    let origin = get("origin");
    let own_origin = origin.as_deref().map(|origin| comes_from_here(request, origin));
    match (own_origin, site.as_deref()) {
        (Some(own), None) => own,
        (None, Some(site)) => site == "same-origin",
        (Some(own), Some(site)) => own && site == "same-origin",
        (None, None) => false,
    }
}

fn comes_from_here(request: &Request, origin: &str) -> bool {
    let url = request.url();
    // Behind a local proxy the address is another one than the browser's; its Host header is not.
    let host = request.headers().get("host").ok().flatten().unwrap_or_default();
    session::is_own_origin(origin, &[host_of(&url), &host])
}

fn host_of(url: &str) -> &str {
    let rest = url.split_once("://").map_or(url, |(_, rest)| rest);
    rest.split(['/', '?', '#']).next().unwrap_or_default()
}

/// The token of a signed-in browser that calls `/api/` without one: with its cookie and from the page
/// itself, whatever the method, since every such request spends a quota.
#[must_use]
pub fn of_page<'t>(request: &Request, settings: &'t Settings) -> Option<&'t Token> {
    let cookie = cookie_of(&request.headers())?;
    let (token, _) = session::check(&settings.tokens, &cookie, &settings.session_secret, now())?;
    is_own_call(request).then_some(token)
}

/// Who signs in with this token, and the cookie for the browser.
///
/// # Errors
/// When the token is not an administrator's, or the call comes from another site.
pub fn sign_in<'t>(
    request: &Request,
    settings: &'t Settings,
    mut fields: Fields,
) -> Result<(Administrator<'t>, String), Fault> {
    if settings.tokens.is_empty() {
        return Err(Refusal::no_auth_key().into());
    }
    let origin = request.headers().get("origin").ok().flatten();
    if origin.is_some_and(|origin| !comes_from_here(request, &origin)) {
        return Err(Fault::new(403, "csrf", "Only the page itself may sign in a browser."));
    }
    let presented = fields.text("token", 10_000)?.unwrap_or_default();
    fields.finish()?;
    if presented.trim().is_empty() {
        return Err(Fault::required("token"));
    }
    let token = checked(request, settings, &presented)?;
    let (value, ends) = session::open(token, &settings.session_secret, now());
    let cookie = cookie(request, &value, ends.saturating_sub(now()) / SECOND);
    Ok((Administrator { token, session: Some(ends) }, cookie))
}

/// Signs out: takes the cookie away. It changes nothing else, so anyone may ask for it.
pub fn sign_out(request: &Request) -> Response {
    let response = respond::json(200, &json!({ "signed_out": true }));
    let _ = response.headers().set("set-cookie", &cookie(request, "", 0));
    response
}

fn cookie(request: &Request, value: &str, seconds: u64) -> String {
    let url = request.url();
    // Not every browser takes a Secure cookie from this machine itself.
    let plain = url.starts_with("http://") && session::is_loopback(host_of(&url));
    let secure = if plain { "" } else { "; Secure" };
    format!("{COOKIE}={value}; HttpOnly{secure}; SameSite=Strict; Path=/; Max-Age={seconds}")
}

impl Call<'_> {
    pub(super) async fn session(&self) -> Value {
        let problems: Vec<_> = self.settings.problems.iter().map(|it| &it.message).collect();
        json!({
            "token": { "id": self.who.token.id(), "expires_at": self.who.token.expires },
            "via": if self.who.session.is_some() { "cookie" } else { "bearer" },
            "expires_at": self.who.session,
            "version": VERSION,
            "upstream": self.settings.upstream_word(),
            "gateway": self.gateway().await,
            "problems": problems,
        })
    }

    /// The gateway that requests go to; `null` when there is none, or it is not known.
    pub(super) async fn gateway(&self) -> Value {
        if self.settings.is_direct() {
            return Value::Null;
        }
        self.settings.gateway_base(self.env).await.map_or(Value::Null, |url| {
            // Only the simulator is reached without encryption: `gateway::base` sees to it.
            json!({ "simulated": url.starts_with("http:"), "url": url })
        })
    }
}
