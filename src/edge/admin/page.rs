//! The admin page, embedded.

use worker::web_sys::{Request, Response};

use crate::balance::error::Refusal;
use crate::edge::platform::random;
use crate::edge::respond;

/// One document with its style and script inside: one request, nothing to cache apart.
const PAGE: &str = include_str!("../../../static/index.html");

/// The page. Its own style and script run, and nothing else: they carry a number that is new in
/// every answer.
///
/// # Errors
/// When asked with another method than GET or HEAD.
pub fn serve(request: &Request) -> Result<Response, Refusal> {
    if !matches!(request.method().as_str(), "GET" | "HEAD") {
        return Err(Refusal::method_not_allowed("GET"));
    }
    let nonce = format!("{:016x}{:016x}", random(), random());
    let page = PAGE.replacen("<style>", &format!("<style nonce=\"{nonce}\">"), 1).replacen(
        "<script type=\"module\">",
        &format!("<script type=\"module\" nonce=\"{nonce}\">"),
        1,
    );
    let policy = format!(
        "default-src 'none'; script-src 'nonce-{nonce}'; style-src 'nonce-{nonce}'; connect-src 'self'; \
         img-src 'self' data:; base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
    );
    let headers = [
        ("content-type", "text/html; charset=utf-8"),
        ("content-security-policy", policy.as_str()),
        ("x-content-type-options", "nosniff"),
        ("referrer-policy", "no-referrer"),
        ("x-frame-options", "DENY"),
        ("cache-control", "no-store"),
    ];
    Ok(respond::make(200, &headers, &page))
}
