//! The admin page, embedded.
//!
//! `scripts/page.mjs` makes one document of `static/`, with its style and script inside, and
//! compresses it; `build.rs` puts it here. The Worker never looks into it.

use worker::js_sys::{Reflect, Uint8Array};
use worker::wasm_bindgen::JsValue;
use worker::web_sys::{Headers, Request, Response, ResponseInit};

use crate::balance::error::Refusal;
use crate::edge::respond;

/// The document, gzipped.
const PAGE: &[u8] = include_bytes!(concat!(env!("OUT_DIR"), "/page.html.gz"));
/// What it may do, with the hashes of its own style and script: nothing else runs.
const POLICY: &str = include_str!(concat!(env!("OUT_DIR"), "/page.csp"));
/// Changes with its content.
const TAG: &str = include_str!(concat!(env!("OUT_DIR"), "/page.etag"));

/// Headers of every answer, also of those that say that nothing has changed.
const HEADERS: [(&str, &str); 7] = [
    ("etag", TAG),
    ("content-security-policy", POLICY),
    ("x-content-type-options", "nosniff"),
    ("referrer-policy", "no-referrer"),
    ("x-frame-options", "DENY"),
    // Kept, but asked about each time: the next version is there at once.
    ("cache-control", "no-cache"),
    ("vary", "accept-encoding"),
];

/// The page.
///
/// # Errors
/// When asked with another method than GET or HEAD, or by a client that does not take gzip.
pub fn serve(request: &Request) -> Result<Response, Refusal> {
    if !matches!(request.method().as_str(), "GET" | "HEAD") {
        return Err(Refusal::method_not_allowed("GET"));
    }
    let asked = request.headers();
    let header = |name: &str| asked.get(name).ok().flatten();
    if header("if-none-match").is_some_and(|tags| knows(&tags)) {
        return answer(304, None).map_err(|why| respond::thrown("page", &why));
    }
    // A client that says nothing takes everything.
    if header("accept-encoding").is_some_and(|accepted| !takes_gzip(&accepted)) {
        return Ok(respond::make(
            406,
            &[("content-type", "text/plain; charset=utf-8"), ("vary", "accept-encoding")],
            "The page is sent compressed: ask for it with `Accept-Encoding: gzip`.\n",
        ));
    }
    answer(200, Some(PAGE)).map_err(|why| respond::thrown("page", &why))
}

fn answer(status: u16, page: Option<&[u8]>) -> Result<Response, JsValue> {
    let headers = Headers::new()?;
    for (name, value) in HEADERS {
        headers.set(name, value)?;
    }
    let init = ResponseInit::new();
    init.set_status(status);
    let Some(page) = page else {
        init.set_headers(&headers);
        return Response::new_with_opt_str_and_init(None, &init);
    };
    headers.set("content-type", "text/html; charset=utf-8")?;
    headers.set("content-encoding", "gzip")?;
    init.set_headers(&headers);
    // The runtime would compress it once more.
    Reflect::set(&init, &"encodeBody".into(), &"manual".into())?;
    Response::new_with_opt_buffer_source_and_init(Some(&Uint8Array::from(page)), &init)
}

/// Whether one of these tags is the page's. A proxy may have made it a weak one.
fn knows(tags: &str) -> bool {
    tags.split(',')
        .map(str::trim)
        .any(|tag| tag == "*" || tag.strip_prefix("W/").unwrap_or(tag) == TAG)
}

/// Whether gzip is among the accepted encodings, and not with a weight of 0.
fn takes_gzip(accepted: &str) -> bool {
    accepted.split(',').any(|one| {
        let mut parts = one.split(';').map(str::trim);
        let named = parts.next().is_some_and(|name| matches!(name, "gzip" | "x-gzip" | "*"));
        let refused = parts
            .filter_map(|part| part.strip_prefix("q="))
            .any(|weight| weight.trim_start_matches(['0', '.']).is_empty());
        named && !refused
    })
}
