//! The path of one request through the gateway to the provider that is played.

use std::sync::Arc;
use std::sync::atomic::AtomicU16;
use std::time::Duration;

use axum::body::Body;
use axum::extract::FromRequestParts;
use axum::extract::ws::WebSocketUpgrade;
use axum::response::Response;
use bytes::Bytes;
use http::{Method, Request};
use serde_json::json;

use crate::answer::{Answer, Playback};
use crate::config::Config;
use crate::faults::Subject;
use crate::hosts::Found;
use crate::journal::{Entry, InFlight, Violation};
use crate::keys::{Key, KeyState};
use crate::providers::{self, Manners};
use crate::quota::Standings;
use crate::refusal::{self, Refusal};
use crate::request::{self, Call, Content};
use crate::server::ConnectionHandle;
use crate::simulator::{Simulator, fnv1a};
use crate::time::now_ms;
use crate::{
    anthropic, audit, cases, gemini, hosts, objects, openai, other, rate_headers, routes, sockets,
};

/// How long a `slow` key takes when nothing else is said.
const SLOW: Duration = Duration::from_secs(3);
const LARGEST_LOGGED_BODY: usize = 256 * 1024;

pub async fn handle(
    simulator: Arc<Simulator>,
    connection: ConnectionHandle,
    request: Request<Body>,
) -> Response {
    let mut in_flight = InFlight::new(simulator.clone());
    let config = simulator.config();
    let (mut parts, body) = request.into_parts();
    let upgrade = WebSocketUpgrade::from_request_parts(&mut parts, &()).await.ok();
    let Ok(body) = axum::body::to_bytes(body, usize::MAX).await else {
        return Answer::text(400, "The request broke off.".to_owned())
            .into_response(Playback::default(), in_flight);
    };
    let (call, misrouted) = read(&simulator, &config, parts, body, upgrade.is_some());
    record(&simulator, &config, &call, misrouted.is_some(), &mut in_flight);

    let subject = Subject {
        provider: &call.slug,
        key: call.key.as_deref(),
        model: call.model.as_deref(),
        method: call.method.as_str(),
        path: call.uri.path(),
    };
    let fault = simulator.faults.take(subject);
    let delay = config.latency_ms + fault.as_ref().map_or(0, |fault| fault.delay_ms);
    if delay > 0 {
        tokio::time::sleep(Duration::from_millis(delay)).await;
    }
    let mut playback =
        Playback { delay: Duration::from_millis(config.stream_delay_ms), ..Playback::default() };
    if let Some(fault) = &fault {
        if fault.stall {
            in_flight.unanswered();
            std::future::pending::<()>().await;
        }
        if fault.reset {
            in_flight.unanswered();
            in_flight.done();
            match connection.reset().await {}
        }
        playback.cut_after = fault.cut_after_chunks;
        playback.error_after = fault
            .error_after_chunks
            .map(|after| (after, fault.event().unwrap_or_else(|| stream_error(&call))));
        if let Some(mut answer) = fault.answer() {
            if !call.direct {
                rate_headers::add_gateway(&mut answer, call.n);
            }
            return answer.into_response(playback, in_flight);
        }
    }
    if let Some(refused) = misrouted.or_else(|| gateway_refusal(&call, &config)) {
        return refused.into_response(playback, in_flight);
    }
    if call.slug == "dynamic" {
        return dynamic(&call, &config, &simulator).into_response(playback, in_flight);
    }
    let text = call.key.as_deref().unwrap_or_default();
    let key = if config.open {
        Some(simulator.keys.get_or_invent(&call.slug, text))
    } else {
        simulator.keys.get(&call.slug, text)
    };
    let state = match &key {
        None => KeyState::Invalid,
        Some(key) if key.at_home(call.place()) => key.state(call.model()),
        // Google knows who asks, and has nothing for them there.
        Some(_) if call.slug == "google-vertex-ai" => KeyState::Restricted,
        Some(_) => KeyState::Invalid,
    };
    let mut wait = Duration::from_millis(key.as_ref().map_or(0, |key| key.settings.delay_ms));
    if state == KeyState::Slow && wait.is_zero() {
        wait = SLOW;
    }
    if !wait.is_zero() {
        tokio::time::sleep(wait).await;
    }
    if state == KeyState::Drop {
        in_flight.unanswered();
        in_flight.done();
        match connection.reset().await {}
    }
    if let Some(upgrade) = upgrade {
        let Err(mut refused) = socket_answer(&call, &config, key.as_deref(), state) else {
            return sockets::accept(upgrade, call, simulator.clone(), in_flight);
        };
        if !call.direct {
            rate_headers::add_gateway(&mut refused, call.n);
        }
        return refused.into_response(playback, in_flight);
    }
    let mut answer = provider_answer(&call, &config, &simulator, key.as_deref(), state);
    if !call.direct {
        rate_headers::add_gateway(&mut answer, call.n);
    }
    answer.into_response(playback, in_flight)
}

/// Makes a [`Call`] of a request. The answer is there when the gateway knows no such provider.
fn read(
    simulator: &Simulator,
    config: &Config,
    parts: http::request::Parts,
    body: Bytes,
    socket: bool,
) -> (Call, Option<Answer>) {
    let uri = parts.uri;
    let query = uri.query().map(request::parse_query).unwrap_or_default();
    let own_host = hosts::find(uri.path());
    let direct = own_host.is_some();
    let path = request::gateway_path(uri.path());
    // A piece of a file, whatever its sender calls it.
    let content = if query.iter().any(|(name, _)| name == "upload_id") {
        Content::Bytes
    } else {
        request::parse_content(&parts.headers, &body)
    };
    let Found { slug, rest, account, queue } = match own_host.clone().flatten() {
        Some(found) => found,
        None => at_gateway(path, &parts.headers, socket),
    };
    let mut misrouted = match path {
        _ if own_host == Some(None) => {
            Some(Answer::text(404, "There is no such host, or nothing at this path.".to_owned()))
        }
        _ if direct => None,
        None => Some(gateway_error(
            404,
            7003,
            "Could not route to the requested path, perhaps your object identifier is invalid?",
        )),
        Some(path) if path.gateway == "missing" => cases::answer("gw-2001"),
        Some(_) => None,
    };
    let compat = slug == "compat";
    let openai = providers::find("openai");
    let (found, slug, compat_model) = if compat {
        match request::compat_target(&content) {
            Some((provider, slug, model)) => (Some(provider), slug, Some(model)),
            None => {
                let prefix = match &content {
                    Content::Json(json) => {
                        json.get("model").and_then(|model| providers::split_compat(model.as_str()?))
                    }
                    _ => None,
                };
                match prefix {
                    Some(("dynamic", route)) => {
                        (openai, "dynamic".to_owned(), Some(route.to_owned()))
                    }
                    Some(_) => (None, slug, None),
                    None if parts.method == Method::GET => (openai, "dynamic".to_owned(), None),
                    None => {
                        misrouted = misrouted.or_else(|| {
                            Some(gateway_error(400, 2019, "Chat completion bad format"))
                        });
                        (None, slug, None)
                    }
                }
            }
        }
    } else {
        (providers::find(&slug), slug, None)
    };
    if found.is_none() && misrouted.is_none() {
        misrouted = Some(gateway_error(400, 2008, "Invalid provider"));
    }
    let provider = found.unwrap_or_else(providers::unknown);
    let of_socket = |provider| {
        if socket && !direct { sockets::key(provider, &parts.headers, &query) } else { None }
    };
    let key = found.and_then(|provider| {
        of_socket(provider).unwrap_or_else(|| {
            match config.custom_headers.get(&slug).filter(|_| !compat) {
                Some(place) => request::key_in(place, &parts.headers),
                None => request::key(provider, compat, &rest, &parts.headers, &query),
            }
        })
    });
    let mut call = Call {
        n: simulator.next_number(),
        method: parts.method,
        uri,
        headers: parts.headers,
        body,
        content,
        query,
        slug,
        provider,
        compat,
        direct,
        socket,
        queue,
        account,
        rest,
        key,
        model: None,
        owner: String::new(),
    };
    call.model = compat_model.or_else(|| if compat { None } else { request::model(&call) });
    if let Some(text) = &call.key {
        let known = if config.open { None } else { simulator.keys.get(&call.slug, text) };
        call.owner = known.map_or_else(|| text.clone(), |key| key.owner().to_owned());
    }
    (call, misrouted)
}

/// What the address of a request to the gateway means.
fn at_gateway(
    path: Option<request::GatewayPath<'_>>,
    headers: &http::HeaderMap,
    socket: bool,
) -> Found {
    let Some(path) = path else { return Found::default() };
    let account = Some(path.account.to_owned());
    // fal's requests may say where they go; its own client does so to a proxy.
    let target = headers.get("x-fal-target-url").filter(|_| path.provider == "fal");
    if let Some(target) = target {
        let found = target.to_str().ok().and_then(hosts::of_url);
        return found.filter(|found| found.slug == "fal").unwrap_or_default();
    }
    let slug = if socket { sockets::slug(path.provider) } else { path.provider };
    Found { slug: slug.to_owned(), rest: path.rest.to_owned(), account, queue: false }
}

/// Notes down the request and all that is wrong with it, before anything else can happen to it.
fn record(
    simulator: &Simulator,
    config: &Config,
    call: &Call,
    misrouted: bool,
    in_flight: &mut InFlight,
) {
    in_flight.label(&call.slug, call.key.as_deref().unwrap_or_default(), call.model());
    let registered =
        call.key.as_deref().is_some_and(|key| simulator.keys.get(&call.slug, key).is_some());
    for finding in audit::findings(call, config, &simulator.keys, registered) {
        if misrouted && finding.kind == "no-credential" {
            continue;
        }
        let (method, path) = (call.method.to_string(), call.uri.path().to_owned());
        if !simulator.quiet && !config.open {
            eprintln!("gateway-sim: {} ({}) {method} {path}", finding.kind, finding.detail);
        }
        simulator.journal.violate(Violation {
            kind: finding.kind,
            detail: finding.detail,
            method,
            path,
        });
    }
    if config.log {
        let body = (config.log_bodies && call.body.len() < LARGEST_LOGGED_BODY)
            .then(|| String::from_utf8_lossy(&call.body).into_owned());
        let entry = Arc::new(Entry {
            n: call.n,
            method: call.method.clone(),
            uri: call.uri.clone(),
            headers: call.headers.clone(),
            provider: call.slug.clone(),
            key: call.key.clone(),
            model: call.model.clone(),
            status: AtomicU16::new(0),
            body_len: call.body.len(),
            body_fnv: fnv1a(&[&call.body]),
            body,
        });
        simulator.journal.record(entry.clone());
        in_flight.attach(entry);
    }
}

fn gateway_error(status: u16, code: u32, message: &str) -> Answer {
    Answer::json(
        status,
        &json!({"success":false,"result":[],"messages":[],"error":[{"code":code,"message":message}],
            "name":"AiGatewayError","httpCode":status,"internalCode":code}),
    )
}

/// What the gateway refuses itself: its own token, and requests without a provider key.
fn gateway_refusal(call: &Call, config: &Config) -> Option<Answer> {
    if let Some(token) = config.gateway_token.as_ref().filter(|_| !call.direct) {
        let given =
            call.header("cf-aig-authorization").and_then(|value| value.strip_prefix("Bearer "));
        if given != Some(token.as_str()) {
            return cases::answer("gw-2009");
        }
    }
    if call.key.is_some() || call.slug == "dynamic" || call.direct {
        return None;
    }
    if call.header("cf-aig-no-wholesale") == Some("true") {
        // The status is documented, the code is not.
        return Some(gateway_error(
            400,
            2022,
            "No applicable provider credentials were found for this request",
        ));
    }
    cases::answer("gw-2021")
}

/// A dynamic route brings its own key, which the gateway stores.
fn dynamic(call: &Call, config: &Config, simulator: &Simulator) -> Answer {
    let mut answer =
        match openai::answer(call, call.rest.trim_start_matches("v1/"), config, simulator) {
            Some(answer) => answer,
            None => gateway_error(400, 2019, "Chat completion bad format"),
        };
    answer.fixed_header("cf-aig-provider", "openai");
    answer.fixed_header("cf-aig-model", "gpt-5-mini");
    rate_headers::add_gateway(&mut answer, call.n);
    answer
}

/// In the order in which providers check: key, form, model, quota, content.
fn provider_answer(
    call: &Call,
    config: &Config,
    simulator: &Simulator,
    key: Option<&Key>,
    state: KeyState,
) -> Answer {
    let usable = matches!(state, KeyState::Valid | KeyState::Slow);
    if usable && let Some(refused) = routes::refusal(call) {
        return refused;
    }
    let mut standings = Standings::default();
    let refusal = if !usable {
        Some(Refusal::State(state))
    } else if !call.is_complete() {
        Some(Refusal::NoRoute)
    } else if call.slug == "anthropic"
        && !call.compat
        && !call.rest.ends_with("chat/completions")
        && call.header("anthropic-version").is_none()
    {
        Some(Refusal::NoVersion)
    } else if matches!(call.content, Content::BrokenJson) {
        Some(Refusal::BrokenJson)
    } else if call.model.as_deref().is_some_and(|model| {
        model.contains("does-not-exist") || key.is_some_and(|key| !key.is_deployed(model))
    }) {
        Some(Refusal::UnknownModel)
    } else {
        match spend(call, config, key) {
            Ok(left) => {
                standings = left;
                let blocked =
                    std::str::from_utf8(&call.body).is_ok_and(|body| body.contains("BLOCK_ME"));
                blocked.then_some(Refusal::Blocked)
            }
            Err(exceeded) => {
                standings = exceeded.all;
                Some(Refusal::Quota(exceeded))
            }
        }
    };
    let mut answer = match refusal {
        Some(refusal) => refusal::answer(call, &refusal),
        None => success(call, config, simulator)
            .unwrap_or_else(|| refusal::answer(call, &Refusal::NoRoute)),
    };
    if usable {
        rate_headers::add(&mut answer, call, &standings);
    }
    answer
}

/// A handshake is refused like a request; accepted, it counts as one.
#[expect(clippy::result_large_err, reason = "the error is the answer")]
fn socket_answer(
    call: &Call,
    config: &Config,
    key: Option<&Key>,
    state: KeyState,
) -> Result<(), Answer> {
    if !matches!(state, KeyState::Valid | KeyState::Slow) {
        return Err(refusal::answer(call, &Refusal::State(state)));
    }
    if let Some(refused) = sockets::refusal(call) {
        return Err(refused);
    }
    match spend(call, config, key) {
        Ok(_) => Ok(()),
        Err(exceeded) => Err(refusal::answer(call, &Refusal::Quota(exceeded))),
    }
}

/// Counts the request when it is one of those that quotas are for: work done by a model.
fn spend(
    call: &Call,
    config: &Config,
    key: Option<&Key>,
) -> Result<Standings, crate::quota::Exceeded> {
    let free = (call.method != Method::POST && !call.socket)
        || call.rest.ends_with("count_tokens")
        || call.rest.ends_with(":countTokens");
    match (key, call.model.as_deref()) {
        (Some(key), Some(model)) if !free => {
            key.counters.take(model, key.limits(model), &config.windows, now_ms())
        }
        _ => Ok(Standings::default()),
    }
}

fn success(call: &Call, config: &Config, simulator: &Simulator) -> Option<Answer> {
    let rest = call.rest.trim_end_matches('/');
    if call.compat {
        return openai::answer(call, rest.trim_start_matches("v1/"), config, simulator);
    }
    let path = match call.provider.manners {
        _ if call.is_gemini_openai_layer() => request::gemini_openai_path(rest)?,
        Manners::OpenAi => openai_path(&call.slug, rest),
        _ => rest,
    };
    if let Some(answer) = objects::answer(call, path, simulator) {
        return Some(answer);
    }
    match call.provider.manners {
        Manners::OpenAi => {
            let path = openai_path(&call.slug, rest);
            if path == "messages" {
                return anthropic::answer(call, path, config);
            }
            if call.slug == "workers-ai"
                && call.model().starts_with('@')
                && !path.contains("completions")
                && !path.ends_with("embeddings")
            {
                return Some(other::workers_ai(call));
            }
            if call.slug == "baseten" && rest.starts_with("model/") {
                return Some(Answer::json(200, &json!({"output":call.json()})));
            }
            openai::answer(call, path, config, simulator).or_else(|| {
                call.slug
                    .starts_with("custom-")
                    .then(|| Answer::json(200, &json!({"ok":true,"path":rest,"echo":call.json()})))
            })
        }
        Manners::Gemini => {
            if call.is_gemini_openai_layer() {
                return openai::answer(call, request::gemini_openai_path(rest)?, config, simulator);
            }
            match rest.split_once("endpoints/openapi/") {
                Some((_, path)) => openai::answer(call, path, config, simulator),
                None => gemini::answer(call, config, simulator),
            }
        }
        Manners::Anthropic => match rest.strip_prefix("v1/")? {
            // Its OpenAI layer.
            "chat/completions" => openai::answer(call, "chat/completions", config, simulator),
            path => anthropic::answer(call, path, config),
        },
        Manners::Other => other::answer(call, config, simulator),
    }
}

/// Takes off what the providers have in front of OpenAI's paths.
fn openai_path<'a>(slug: &str, rest: &'a str) -> &'a str {
    let rest = match slug {
        "azure-openai" => rest.splitn(3, '/').nth(2).unwrap_or_default(),
        "fireworks" => rest.trim_start_matches("inference/"),
        "deepseek" => rest.trim_start_matches("anthropic/"),
        _ => rest,
    };
    rest.strip_prefix("v1/").unwrap_or(rest)
}

fn stream_error(call: &Call) -> Bytes {
    match call.provider.manners {
        Manners::Anthropic if !call.compat => anthropic::stream_error(),
        Manners::Gemini if !call.compat && !call.is_gemini_openai_layer() => {
            gemini::stream_error(call)
        }
        _ => openai::stream_error(&call.rest),
    }
}

#[cfg(test)]
mod tests {
    use super::openai_path;

    #[test]
    fn takes_off_prefixes() {
        assert_eq!(openai_path("openai", "v1/chat/completions"), "chat/completions");
        assert_eq!(openai_path("openai", "chat/completions"), "chat/completions");
        assert_eq!(openai_path("azure-openai", "res/dep/chat/completions"), "chat/completions");
    }
}
