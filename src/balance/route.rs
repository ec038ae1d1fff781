//! Which provider and path does a request mean?
//!
//! The path of an [`ApiRoute`] goes behind `.../v1/{account}/{gateway}/{provider}/` in a URL that
//! carries a provider key, so nothing that a client writes may leave that folder: dot segments in
//! any spelling, backslashes and control characters are refused, not cleaned.
//!
//! Clients put their own idea of a base URL in front of the path (`/v1`, `/openai/v1`, a doubled
//! slash). What the gateway wants is in the [`super::provider`] table, and paths are made so.
//! The addresses that clients know by themselves are in [`doors`].

mod doors;

pub use doors::Door;

use super::error::{Kind, Refusal};
use super::provider::{self, Provider};

/// What a request is for.
#[derive(Debug, PartialEq, Eq)]
pub enum Route<'a> {
    /// A browser asks whether it may send the real request.
    Preflight,
    /// `/healthz`.
    Health,
    /// `/metrics`.
    Metrics,
    /// The administrator's page.
    Page,
    /// `/favicon.ico` or `/favicon.svg`.
    Favicon,
    /// The page's API; the path below `/admin/api/`, without the query.
    Admin(&'a str),
    /// A request for a provider.
    Api(ApiRoute),
    /// Nothing is there, and nothing similar either.
    NotFound,
}

/// A request for a provider.
#[derive(Debug, PartialEq, Eq)]
pub struct ApiRoute {
    /// How the address tells the provider.
    pub door: Door,
    /// The gateway's segment: a slug, `compat`, or a whole `custom-...`. Behind a door where the model
    /// tells the provider it is `compat` until [`ApiRoute::lead_to`] knows better.
    pub provider: String,
    /// The provider's row of the table.
    pub row: &'static Provider,
    /// What follows the segment at the gateway: no leading slash, percent-encoding as received.
    pub path: String,
    /// The query without the `?` and without credentials; `None` when nothing is left.
    pub query: Option<String>,
    /// The first credential that was in the query, decoded.
    pub query_token: Option<String>,
}

/// First segments of paths that clients of Gemini's stable version have at `/v1`, as OpenAI's may.
const GEMINIS_AT_V1: &[&str] = &["models", "files", "batches", "operations"];

impl ApiRoute {
    /// The same request at the addresses of Anthropic's clients, for one that says that it is one:
    /// models, files and skills are at `/v1/...` there as well as at OpenAI's.
    pub fn spoken_by_anthropic(&mut self) {
        if self.door == Door::OpenAi && !self.path.starts_with("chat/") {
            self.door = Door::Anthropic;
            self.row = &provider::ANTHROPIC_CLIENTS;
        }
    }

    /// The same request at the addresses of Gemini's clients: some of what they ask for is at `/v1`, too.
    pub fn spoken_by_gemini(&mut self) {
        let first = self.path.split('/').next().unwrap_or_default();
        if self.door == Door::OpenAi && GEMINIS_AT_V1.contains(&first) {
            let Some(row) = provider::find(GEMINI) else { return };
            self.door = Door::Gemini;
            self.provider = row.slug.to_owned();
            self.row = row;
            self.path = ["v1/", &self.path].concat();
        }
    }

    /// Whether this is a question for the list of models that is put together here.
    pub fn is_model_list(&self, method: &str) -> bool {
        let ours = match self.door {
            Door::Compat | Door::OpenAi | Door::Anthropic => self.path == "models",
            Door::Gemini => self
                .path
                .split_once('/')
                .is_some_and(|(version, path)| is_version(version) && path == "models"),
            Door::Provider => false,
        };
        ours && matches!(method, "GET" | "HEAD")
    }

    /// Leads the request to a provider that is known now, with its model under the provider's own
    /// name. `in_front` is what the provider has in front of the path. Only where the model is in the
    /// path or the query; a body is the caller's to change.
    pub fn lead_to(
        &mut self,
        slug: &str,
        row: &'static Provider,
        in_front: &str,
        model: Option<&str>,
    ) {
        if let Some(model) = model {
            if self.path.starts_with("models/") {
                self.path = ["models/", &encode(model)].concat();
            }
            self.query = self.query.take().map(|query| with_value(&query, "model", &encode(model)));
        }
        slug.clone_into(&mut self.provider);
        self.row = row;
        self.path = normalise(row, &[in_front, &self.path].concat());
    }

    /// Leads the request to the address that its client names in a header: fal's does so when it sends to
    /// a proxy. What the request itself was sent to says nothing then.
    ///
    /// # Errors
    ///
    /// [`Kind::BadRequest`] for an address that is not the provider's.
    pub fn aim(&mut self, url: &str) -> Result<(), Refusal> {
        let address = url.strip_prefix("https://").unwrap_or_default();
        let (address, query) = match address.split_once('?') {
            Some((address, query)) => (address, Some(query)),
            None => (address, None),
        };
        let (host, path) = address.split_once('/').unwrap_or((address, ""));
        let is_base =
            self.row.direct_base.and_then(|base| base.strip_prefix("https://")) == Some(host);
        if !is_base && !self.row.hosts.contains(&host) {
            return Err(Refusal::bad_request(format!(
                "The header `{}` names an address that is none of {}'s.",
                self.row.target_header.unwrap_or_default(),
                self.row.name,
            )));
        }
        check(path)?;
        (self.query, _) = query.map_or(Ok((None, None)), split_query)?;
        self.path = normalise(self.row, if is_base { path } else { address });
        Ok(())
    }

    /// The header that tells the gateway of another host of the provider, and the whole address, where
    /// the request is for one.
    pub fn target(&self) -> Option<(&'static str, String)> {
        let header = self.row.target_header?;
        let (host, _) = self.path.split_once('/')?;
        let elsewhere = self.row.hosts.contains(&host);
        elsewhere.then(|| (header, ["https://", &self.path_and_query()].concat()))
    }

    /// The path with its query, as it follows the provider's segment and a slash.
    pub fn path_and_query(&self) -> String {
        match &self.query {
            Some(query) => [&self.path, "?", query].concat(),
            None => self.path.clone(),
        }
    }
}

/// How often percent-encoding is undone to find what hides in it. A server undoes it once, a
/// second server behind it perhaps once more, and URL parsers take what is left of `%2e` for a dot
/// all the same. What is encoded more often than this is no provider's path.
const MAX_DECODINGS: usize = 5;

/// Finds out what a request is for. `path_and_query` is what follows the host in the URL.
///
/// # Errors
///
/// [`Kind::BadRequest`] for a path that is not sent on as it is, [`Kind::NotFound`] for an unknown
/// provider or an address that lacks `/api`, each with what to write instead.
pub fn route<'a>(method: &str, path_and_query: &'a str) -> Result<Route<'a>, Refusal> {
    let address = path_and_query.split('#').next().unwrap_or_default();
    let (path, query) = match address.split_once('?') {
        Some((path, query)) => (path, Some(query)),
        None => (address, None),
    };
    let path = path.trim_start_matches('/');

    if let Some((door, rest)) = doors::find(method, path) {
        return through(door, method, rest, query);
    }
    if let Some(rest) = below(path, "api") {
        // A preflight carries no token, and its answer is the same for every path.
        if method == "OPTIONS" {
            return Ok(Route::Preflight);
        }
        return api(method, rest, query).map(Route::Api);
    }
    if let Some(rest) = path.strip_prefix("admin/api/") {
        return Ok(Route::Admin(rest));
    }
    match path {
        "" | "index.html" => Ok(Route::Page),
        "healthz" => Ok(Route::Health),
        "metrics" => Ok(Route::Metrics),
        "favicon.ico" | "favicon.svg" => Ok(Route::Favicon),
        _ => match forgotten_api(path) {
            Some(refusal) => Err(refusal),
            None => Ok(Route::NotFound),
        },
    }
}

/// What follows `folder` and the slashes behind it.
fn below<'a>(path: &'a str, folder: &str) -> Option<&'a str> {
    let rest = path.strip_prefix(folder)?;
    if rest.is_empty() {
        return Some(rest);
    }
    rest.starts_with('/').then(|| rest.trim_start_matches('/'))
}

/// The refusal of an address that only lacks `/api`, which is the commonest mistake in a base URL.
fn forgotten_api(path: &str) -> Option<Refusal> {
    let (first, rest) = path.split_once('/')?;
    let slug = provider::suggest(first)?;
    let better = format!("/api/{slug}/{}", super::error::echo(rest));
    Some(Refusal::new(
        Kind::NotFound,
        format!("There is nothing at this address. Did you mean `{better}`?"),
    ))
}

/// The door of an address, and the path behind it; `path` has no slash in front.
pub(crate) fn door_of(path: &str) -> Option<(Door, &str)> {
    doors::find("POST", path)
}

/// The slug of the provider of Gemini's clients, and of Anthropic's at `/anthropic/...`.
const GEMINI: &str = "google-ai-studio";
const ANTHROPIC: &str = "anthropic";

/// The route behind a door.
fn through<'a>(
    door: Door,
    method: &str,
    path: &str,
    query: Option<&str>,
) -> Result<Route<'a>, Refusal> {
    if method == "OPTIONS" {
        return Ok(Route::Preflight);
    }
    if path.is_empty() {
        return Err(Refusal::not_found());
    }
    let row = match door {
        Door::OpenAi => Some(&provider::OPENAI_CLIENTS),
        Door::Anthropic => Some(&provider::ANTHROPIC_CLIENTS),
        Door::Gemini => provider::find(GEMINI),
        Door::Provider => provider::find(ANTHROPIC),
        Door::Compat => provider::find(provider::COMPAT),
    };
    let row = row.ok_or_else(Refusal::not_found)?;
    make(door, method, row.slug, row, path, query).map(Route::Api)
}

/// The route below `/api/`.
fn api(method: &str, rest: &str, query: Option<&str>) -> Result<ApiRoute, Refusal> {
    let (slug, rest) = rest.split_once('/').unwrap_or((rest, ""));
    if slug.is_empty() {
        return Err(Refusal::bad_request(
            "The address names no provider. Requests go to `/api/<provider>/<path>`, such as \
             `/api/openai/chat/completions`.",
        ));
    }
    let row = provider::find(slug).ok_or_else(|| Refusal::unknown_provider(slug))?;
    let door = if slug == provider::COMPAT { Door::Compat } else { Door::Provider };
    make(door, method, slug, row, rest, query)
}

fn make(
    door: Door,
    method: &str,
    slug: &str,
    row: &'static Provider,
    path: &str,
    query: Option<&str>,
) -> Result<ApiRoute, Refusal> {
    if matches!(method, "TRACE" | "CONNECT") {
        return Err(Refusal::method_not_allowed("GET, HEAD, POST, PUT, PATCH, DELETE and OPTIONS"));
    }
    check(path)?;
    let (query, query_token) = query.map_or(Ok((None, None)), split_query)?;
    let path = normalise(row, path);
    Ok(ApiRoute { door, provider: slug.to_owned(), row, path, query, query_token })
}

// === paths ===

/// Refuses a path that could mean something else to the next server than it does here.
fn check(path: &str) -> Result<(), Refusal> {
    // URL parsers drop tabs and line ends anywhere and spaces at the end, so that what looks
    // harmless here becomes a dot segment there.
    if path.bytes().any(|b| b <= b' ' || b == 0x7f) {
        return Err(unsafe_path("a space or control character"));
    }
    let mut decoded = path.to_owned();
    for _ in 0..MAX_DECODINGS {
        if decoded.contains('\\') {
            return Err(unsafe_path("a backslash"));
        }
        if decoded.chars().any(|c| c.is_control()) {
            return Err(unsafe_path("a control character"));
        }
        if decoded.split('/').any(is_dot_segment) {
            return Err(unsafe_path("a `.` or `..` segment"));
        }
        let next = decode(&decoded);
        if next == decoded {
            return Ok(());
        }
        decoded = next;
    }
    Err(unsafe_path("percent-encoding of percent-encoding, many times over"))
}

/// `.` and `..`, also with a path parameter, which some servers cut off first.
fn is_dot_segment(segment: &str) -> bool {
    matches!(segment.split(';').next().unwrap_or_default().trim(), "." | "..")
}

/// The refusal of a path with `what` in it.
fn unsafe_path(what: &str) -> Refusal {
    Refusal::bad_request(format!(
        "The path contains {what}, also counting percent-encoding. Send the provider's path \
         without it."
    ))
}

/// Makes the path what the gateway wants behind the provider's segment.
fn normalise(row: &Provider, path: &str) -> String {
    let is_custom = row.slug == provider::CUSTOM_PREFIX;
    let mut path = if is_custom {
        // Its owner may have a path with empty segments; a base URL with a slash at the end may
        // still not.
        path.trim_start_matches('/').to_owned()
    } else {
        let path = collapse_slashes(path);
        doors::without_doubled_endpoint(&path).trim_end_matches('/').to_owned()
    };
    while let Some(rest) = doubled_version(&path, is_custom) {
        path = rest.to_owned();
    }
    for (from, to) in row.rewrites {
        let rest = match from.strip_suffix('$') {
            Some(whole) => (path == whole).then_some(""),
            None => path.strip_prefix(from),
        };
        if let Some(rest) = rest {
            path = [to, rest].concat();
            break;
        }
    }
    if let Some(version) = row.version {
        let first = decode(path.split('/').next().unwrap_or_default());
        // An empty path is a socket's.
        if !path.is_empty() && !is_version(&first) && !row.unversioned.contains(&first.as_str()) {
            path = [version, "/", &path].concat();
        }
    }
    path
}

/// The path with every run of slashes made one, and none in front.
fn collapse_slashes(path: &str) -> String {
    let mut out = String::with_capacity(path.len());
    for c in path.chars() {
        if c != '/' || !(out.is_empty() || out.ends_with('/')) {
            out.push(c);
        }
    }
    out
}

/// The path without its first segment, if that is a version and another follows: the client's
/// base URL had one, and the client adds its own, which is the one it means.
fn doubled_version(path: &str, same_only: bool) -> Option<&str> {
    let (first, rest) = path.split_once('/')?;
    let second = rest.split('/').next()?;
    let doubled = is_version(first) && is_version(second) && (!same_only || first == second);
    doubled.then_some(rest)
}

/// `v1`, `v2`, `v1beta`, `v1beta1`, ...
fn is_version(segment: &str) -> bool {
    segment.strip_prefix('v').is_some_and(|rest| {
        rest.starts_with(|c: char| c.is_ascii_digit())
            && rest.bytes().all(|b| b.is_ascii_digit() || b.is_ascii_lowercase())
    })
}

// === queries ===

/// The query without its credentials, and the first of them.
fn split_query(query: &str) -> Result<(Option<String>, Option<String>), Refusal> {
    if query.bytes().any(|b| b <= b' ' || b == 0x7f) {
        return Err(Refusal::bad_request(
            "The query contains a space or control character. Percent-encode it.",
        ));
    }
    let mut kept = String::with_capacity(query.len());
    let mut token = None;
    for pair in query.split('&').filter(|pair| !pair.is_empty()) {
        let (name, value) = pair.split_once('=').unwrap_or((pair, ""));
        if provider::is_credential_query(&decode(name)) {
            if token.is_none() && !value.is_empty() {
                token = Some(decode(value));
            }
            continue;
        }
        if !kept.is_empty() {
            kept.push('&');
        }
        kept.push_str(pair);
    }
    Ok(((!kept.is_empty()).then_some(kept), token))
}

/// The query with another (encoded) value for every parameter of this name.
fn with_value(query: &str, name: &str, value: &str) -> String {
    let pairs = query.split('&').map(|pair| {
        let key = pair.split('=').next().unwrap_or_default();
        if decode(key) == name { [key, "=", value].concat() } else { pair.to_owned() }
    });
    pairs.collect::<Vec<_>>().join("&")
}

/// Percent-encodes what may not stand for itself in a segment of a path or a value of a query.
/// A slash stays: it is part of a model's name where it is in one.
fn encode(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for byte in text.bytes() {
        match byte {
            b'a'..=b'z'
            | b'A'..=b'Z'
            | b'0'..=b'9'
            | b'-'
            | b'.'
            | b'_'
            | b'~'
            | b'/'
            | b':'
            | b'@' => {
                out.push(char::from(byte));
            }
            _ => out.push_str(&format!("%{byte:02X}")),
        }
    }
    out
}

/// Undoes percent-encoding once. `+` stays: in a path it is itself, and a token in a query has no
/// spaces but may be base64. What is not UTF-8 becomes U+FFFD.
pub(crate) fn decode(text: &str) -> String {
    if !text.contains('%') {
        return text.to_owned();
    }
    let mut out = Vec::with_capacity(text.len());
    let mut rest = text.as_bytes();
    while let Some((&first, tail)) = rest.split_first() {
        let code = match (first, tail) {
            (b'%', [high, low, ..]) => hex(*high).zip(hex(*low)),
            _ => None,
        };
        match code {
            Some((high, low)) => {
                out.push(high * 16 + low);
                rest = tail.get(2..).unwrap_or_default();
            }
            None => {
                out.push(first);
                rest = tail;
            }
        }
    }
    String::from_utf8(out)
        .unwrap_or_else(|error| String::from_utf8_lossy(error.as_bytes()).into_owned())
}

/// The value of a hexadecimal digit.
fn hex(digit: u8) -> Option<u8> {
    char::from(digit).to_digit(16).and_then(|value| u8::try_from(value).ok())
}

#[cfg(test)]
mod tests;
