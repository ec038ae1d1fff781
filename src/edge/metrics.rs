//! `GET /metrics`, for Prometheus.

use worker::Env;
use worker::web_sys::{Request, Response};

use super::env::Settings;
use super::platform::now;
use super::respond;
use super::store::Store;
use crate::balance::error::Refusal;
use crate::balance::metrics;
use crate::balance::token;

/// Answers whoever presents `METRICS_TOKEN`, or a token without any limit.
///
/// # Errors
/// For others, and when D1 does not answer.
pub async fn answer(
    request: &Request,
    method: &str,
    settings: &Settings,
    env: &Env,
) -> Result<Response, Refusal> {
    if !matches!(method, "GET" | "HEAD") {
        return Err(Refusal::method_not_allowed("GET"));
    }
    let header = request.headers().get("authorization").ok().flatten().unwrap_or_default();
    let presented = token::from_header("authorization", &header);
    if settings.metrics_tokens.check(presented, now()).is_err() {
        if settings.tokens.is_empty() {
            return Err(Refusal::no_auth_key());
        }
        if !settings.tokens.check(presented, now())?.unrestricted() {
            return Err(Refusal::not_administrator());
        }
    }
    let measured = Store::new(env.d1("DB").ok()).measure(now()).await?;
    let headers = [
        ("content-type", "text/plain; version=0.0.4; charset=utf-8"),
        ("cache-control", "no-store"),
    ];
    Ok(respond::make(200, &headers, &metrics::render(&measured, env!("CARGO_PKG_VERSION"))))
}
