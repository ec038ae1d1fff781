//! Answers: the upstream's, passed through, and our own.

use worker::wasm_bindgen::JsValue;
use worker::web_sys::{Headers, Request, Response, ResponseInit};

use super::glue;
use super::platform::now;
use super::upstream::Failure;
use crate::balance::Millis;
use crate::balance::dialect::{self, Dialect};
use crate::balance::error::{self, Refusal};
use crate::balance::key::{KeyId, Secret};

/// Tells how many attempts the answer took. A success of the first one goes without.
const ATTEMPTS: &str = "one-balance-attempts";
/// What a browser may cache of a preflight, in seconds: a day, more than any browser keeps it.
const PREFLIGHT_AGE: &str = "86400";
/// What a page may read of an answer: everything, since no cookie counts here; by name what matters, for
/// those who do not know the star. `entry.js` has the same.
const EXPOSED: &str = "*, retry-after, x-should-retry, one-balance-attempts, one-balance-incomplete, \
                       x-request-id, request-id, x-goog-upload-url, x-goog-upload-status, \
                       x-goog-upload-chunk-granularity";
/// Upstream headers that mean something else, or nothing, to our caller. Cookies are set by the
/// provider's edge for its own address.
const NOT_PASSED: [&str; 2] = ["set-cookie", "strict-transport-security"];

/// An upstream success: the same status, headers and body, the body untouched. `changed`: its headers
/// will be, so they must not be the upstream's own, which are read-only.
#[must_use]
pub fn pass(response: &Response, attempts: u32, changed: bool) -> Response {
    glue::pass(response, attempts, changed)
}

/// An upstream failure: its own status, headers and body, without the key. `retry_after` in
/// seconds is added where the upstream said nothing.
pub async fn pass_failure(
    mut failure: Failure,
    secret: &Secret,
    attempts: u32,
    retry_after: Option<u64>,
) -> Response {
    let mut body = failure.body(secret).await;
    let headers = Headers::new_with_headers(&failure.headers).or_else(|_| Headers::new());
    let made = headers.and_then(|headers| {
        // The body was decoded while reading.
        headers.delete("content-encoding")?;
        headers.delete("content-length")?;
        decorate(&headers, attempts);
        if let Some(seconds) = retry_after.filter(|_| matches!(failure.status, 429 | 503))
            && !headers.has("retry-after")?
        {
            headers.set("retry-after", &seconds.to_string())?;
        }
        // Some SDKs sleep as long as they are told, an hour if need be, before they say anything.
        if headers.get("retry-after")?.is_some_and(|wait| !error::is_worth_waiting(&wait, now())) {
            headers.set("x-should-retry", "false")?;
        }
        let init = ResponseInit::new();
        init.set_status(failure.status);
        init.set_headers(&headers);
        Response::new_with_opt_u8_array_and_init(Some(&mut body), &init)
    });
    made.unwrap_or_else(|why| bare(&format!("{why:?}")))
}

fn decorate(headers: &Headers, attempts: u32) {
    for name in NOT_PASSED {
        let _ = headers.delete(name);
    }
    let _ = headers.set(ATTEMPTS, &attempts.to_string());
    allow_origin(headers);
}

/// A browser may read the answer, whatever page it shows.
pub fn open_to_browsers(headers: &Headers) {
    allow_origin(headers);
}

fn allow_origin(headers: &Headers) {
    let _ = headers.set("access-control-allow-origin", "*");
    let _ = headers.set("access-control-expose-headers", EXPOSED);
}

/// What an administrator's page is told besides: the last key, the attempts, the time.
pub fn show(response: &Response, key: Option<(KeyId, String)>, attempts: u32, ms: Millis) {
    let headers = response.headers();
    if let Some((id, hint)) = key {
        let _ = headers.set("x-one-balance-key", &id.0.to_string());
        // A header holds no ellipsis; a key that could be sent has nothing else that it could not.
        let _ = headers.set("x-one-balance-key-hint", &hint.replace('…', "..."));
    }
    let _ = headers.set("x-one-balance-attempts", &attempts.to_string());
    let _ = headers.set("x-one-balance-ms", &ms.to_string());
}

/// Our own error in the caller's dialect, and a line in the log if it holds something for us.
#[must_use]
pub fn refuse(dialect: Dialect, refusal: &Refusal) -> Response {
    if !refusal.told {
        super::log::refused(refusal);
    }
    let headers = [("content-type", dialect::content_type(dialect)), ("cache-control", "no-store")];
    let response = make(refusal.status(), &headers, &dialect::body(dialect, refusal));
    let headers = response.headers();
    if let Some(seconds) = refusal.retry_after() {
        let _ = headers.set("retry-after", &seconds.to_string());
    }
    if !refusal.should_retry() {
        let _ = headers.set("x-should-retry", "false"); // the SDKs of OpenAI and Anthropic obey it
    }
    allow_origin(&headers);
    response
}

/// The answer to a browser that asks whether it may call us. It may: a token decides, not an origin.
///
/// # Errors
/// None; the type is that of the other routes.
pub fn preflight(request: &Request) -> Result<Response, Refusal> {
    let response = make(204, &[("access-control-max-age", PREFLIGHT_AGE)], "");
    let headers = response.headers();
    // `*` does not cover Authorization, so what was asked for is repeated.
    let wanted = request.headers().get("access-control-request-headers").ok().flatten();
    let _ = headers.set("access-control-allow-headers", wanted.as_deref().unwrap_or("*"));
    let _ =
        headers.set("access-control-allow-methods", "GET, HEAD, POST, PUT, PATCH, DELETE, OPTIONS");
    allow_origin(&headers);
    Ok(response)
}

/// An answer with these headers. A body of status 204 must be empty.
#[must_use]
pub fn make(status: u16, headers: &[(&str, &str)], body: &str) -> Response {
    let made = Headers::new().and_then(|all| {
        for (name, value) in headers {
            all.set(name, value)?;
        }
        let init = ResponseInit::new();
        init.set_status(status);
        init.set_headers(&all);
        let body = (status != 204).then_some(body);
        Response::new_with_opt_str_and_init(body, &init)
    });
    made.unwrap_or_else(|why| bare(&format!("{why:?}")))
}

/// JSON that nobody may cache.
#[must_use]
pub fn json(status: u16, body: &serde_json::Value) -> Response {
    let headers = [
        ("content-type", "application/json; charset=utf-8"),
        ("cache-control", "no-store"),
        ("x-content-type-options", "nosniff"),
    ];
    make(status, &headers, &body.to_string())
}

/// The answer when not even an answer could be made; it cannot fail in practice.
fn bare(why: &str) -> Response {
    log("answer not made", why);
    Response::error()
}

/// One line in the Worker's log. Must not hold a key, a token or a body.
pub fn log(what: &str, why: &str) {
    super::log::trouble(what, why);
}

/// Turns what the platform threw into a refusal.
#[must_use]
pub fn thrown(what: &str, why: &JsValue) -> Refusal {
    Refusal::internal(format!("{what}: {why:?}"))
}
