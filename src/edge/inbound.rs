//! What a client's request says: who asks, for which model, with which body.

use worker::js_sys::{ArrayBuffer, Uint8Array};
use worker::wasm_bindgen::JsCast;
use worker::web_sys::Request;

use super::task::Settled;
use super::{env, glue};
use crate::balance::affinity::{self, Mode};
use crate::balance::error::Refusal;
use crate::balance::home::Wanted;
use crate::balance::key::EVERY_MODEL;
use crate::balance::model::{self, Located, ModelError, Place, Scanner, Status, Watched};
use crate::balance::object::{self, Objects};
use crate::balance::route::{ApiRoute, Door};
use crate::balance::token::{self, Token, Tokens};
use crate::balance::{Millis, provider};

/// The longest body that is taken, in bytes. It is held once here and once by `fetch`, of the 128 MB
/// that an isolate has with all that it runs at the same time.
pub const MAX_BODY: usize = 48 * 1024 * 1024;

/// The body is looked through in pieces of this size, so that a large one is never in wasm memory
/// as a whole.
const SCAN_PIECE: u32 = 64 * 1024;

/// What the head of a request says, as far as it matters here: its method, its address and the
/// headers that are looked into, read in one crossing.
pub struct Said {
    /// Lines: the method, the address, and by turns names and values of headers.
    text: String,
    /// Where each line ends. It is asked for headers a dozen times.
    ends: Vec<usize>,
}

/// Headers that are looked into besides those that may hold a token.
const READ: [&str; 4] = ["content-type", "content-length", "upgrade", PROTOCOLS];

/// Only Anthropic's clients send it.
const ANTHROPIC_VERSION: &str = "anthropic-version";

/// Where a socket's client names the protocols it speaks.
pub const PROTOCOLS: &str = "sec-websocket-protocol";

/// Whether a header of this name is part of [`Said`].
#[must_use]
pub fn reads(name: &str) -> bool {
    READ.contains(&name)
        || token::TOKEN_HEADERS.contains(&name)
        || env::is_custom_header(name)
        || affinity::HEADERS.contains(&name)
        || provider::all().iter().any(|row| {
            row.key_header.name == name
                || row.target_header == Some(name)
                || row.default_headers.iter().any(|(known, _)| *known == name)
        })
}

impl Said {
    /// Reads the head of a request.
    #[must_use]
    pub fn read(request: &Request) -> Self {
        let text = glue::read(request);
        let ends = memchr::memchr_iter(b'\n', text.as_bytes()).chain([text.len()]).collect();
        Self { text, ends }
    }

    fn line(&self, number: usize) -> Option<&str> {
        let start =
            number.checked_sub(1).map_or(Some(0), |before| Some(self.ends.get(before)? + 1));
        self.text.get(start?..*self.ends.get(number)?)
    }

    /// The method.
    #[must_use]
    pub fn method(&self) -> &str {
        self.line(0).unwrap_or_default()
    }

    /// The address behind its scheme.
    fn address(&self) -> &str {
        let url = self.line(1).unwrap_or_default();
        url.strip_prefix("https://").or_else(|| url.strip_prefix("http://")).unwrap_or(url)
    }

    /// The host that the request was sent to.
    #[must_use]
    pub fn host(&self) -> &str {
        self.address().split(['/', '?', '#']).next().unwrap_or_default()
    }

    /// The path and query of the address, as they were sent.
    #[must_use]
    pub fn path_and_query(&self) -> &str {
        let rest = self.address();
        rest.find('/').and_then(|slash| rest.get(slash..)).unwrap_or("/")
    }

    /// A header that [`reads`] names.
    #[must_use]
    pub fn header(&self, name: &str) -> Option<&str> {
        let names = (2..self.ends.len()).step_by(2);
        names.into_iter().find(|at| self.line(*at) == Some(name)).and_then(|at| self.line(at + 1))
    }
}

/// Who asks, as far as `AUTH_KEY` knows.
///
/// # Errors
/// When nobody is let in by what the request presents.
pub fn token_of<'t>(
    tokens: &'t Tokens,
    said: &Said,
    api: &ApiRoute,
    now: Millis,
) -> Result<&'t Token, Refusal> {
    if tokens.is_empty() {
        return Err(Refusal::no_auth_key());
    }
    Ok(tokens.check_any(presented(said, api), now)?)
}

/// All that a request presents as a token.
pub fn presented<'s>(said: &'s Said, api: &'s ApiRoute) -> impl Iterator<Item = &'s str> {
    let in_headers = token::headers_of(api.row)
        .filter_map(|name| Some(token::in_header(api.row, name, said.header(name)?)));
    let in_protocols = said.header(PROTOCOLS).and_then(|list| token::from_subprotocols(list).0);
    in_headers.chain(api.query_token.as_deref()).chain(in_protocols)
}

/// Tells by its headers what a client speaks, where the address is several clients'.
pub fn recognise(said: &Said, api: &mut ApiRoute) {
    if api.door != Door::OpenAi {
        return;
    }
    if said.header(ANTHROPIC_VERSION).is_some() {
        api.spoken_by_anthropic();
    } else if said.header("x-goog-api-key").is_some() || api.query_token.is_some() {
        api.spoken_by_gemini();
    }
}

/// Which pool a request draws on, and for what.
#[derive(Clone)]
pub struct Target {
    /// The provider whose keys are used.
    pub provider: String,
    /// Its model, or [`EVERY_MODEL`] when the request names none.
    pub model: String,
    /// The home that the path names, where the provider has homes.
    pub home: Option<String>,
    /// Who asks: the token's [`Token::tag`].
    pub token: u32,
    /// The stored objects that the request names.
    pub objects: Vec<String>,
    /// The request is about the first of them: its address names it.
    pub about_object: bool,
    /// Whether it says that its answer is to be stored.
    pub store: Option<bool>,
    /// What tells the conversation that it is part of.
    pub conversation: Option<u64>,
}

impl Target {
    /// What a key must be good for.
    #[must_use]
    pub fn wanted(&self) -> Wanted<'_> {
        Wanted { model: &self.model, home: self.home.as_deref() }
    }

    /// The pool of a provider, for a question of ours.
    #[must_use]
    pub fn of_ours(slug: &str) -> Self {
        Self {
            provider: slug.to_owned(),
            model: EVERY_MODEL.to_owned(),
            home: None,
            token: 0,
            objects: Vec::new(),
            about_object: false,
            store: None,
            conversation: None,
        }
    }
}

/// What a request says of its model, and besides.
pub struct Asked {
    /// The model, as the client names it.
    pub model: Option<String>,
    /// Where in the body that stands.
    pub place: Place,
    /// Models that the provider may fall back to by itself.
    further: Vec<String>,
    /// The stored objects that its body names, and whether its answer is to be stored.
    watched: Watched,
}

impl Asked {
    /// The stored objects that the request names, and whether its address names the first of them.
    #[must_use]
    pub fn objects(&self, api: &ApiRoute) -> (Vec<String>, bool) {
        let kinds = kinds_of(api);
        let mut objects = kinds.in_address(&api.path, api.query.as_deref());
        let in_address = !objects.is_empty();
        for (_, text) in &self.watched.texts {
            kinds.clean(text, &mut objects);
        }
        (objects, in_address)
    }
}

/// How the objects are called that a request can name. Where the model tells the provider, and does not
/// yet, they are those of the clients that speak so.
fn kinds_of(api: &ApiRoute) -> &'static Objects {
    match api.door {
        Door::Anthropic if api.provider == provider::COMPAT => object::of("anthropic"),
        Door::OpenAi | Door::Compat | Door::Anthropic if api.provider == provider::COMPAT => {
            object::of("openai")
        }
        _ => object::of(&api.provider),
    }
}

/// Finds the model.
///
/// # Errors
/// When it cannot be told though it must be.
pub fn asked(
    token: &Token,
    said: &Said,
    api: &ApiRoute,
    body: Option<&ArrayBuffer>,
    mode: Mode,
) -> Result<Asked, Refusal> {
    let (method, content_type) = (said.method(), said.header("content-type"));
    // An unlimited token may name whatever it likes, so the search may stop at the first find.
    let thorough = !token.unrestricted();
    let mut further = Vec::new();
    let mut place = Place::default();
    let bad = |error: ModelError| Refusal::bad_request(error.to_string());
    let located = model::locate(api.row, method, &api.path, api.query.as_deref()).map_err(bad)?;
    let kinds = kinds_of(api);
    let mut watched = Watched::default();
    let model = match (located, body) {
        (Located::Here(model), Some(body)) => {
            watched = look(body, Scanner::new(content_type, model::NO_FIELD, false), kinds, mode);
            Some(model)
        }
        (Located::Here(model), None) => Some(model),
        (Located::Nowhere, Some(body)) => {
            watched = look(body, Scanner::new(content_type, model::NO_FIELD, false), kinds, mode);
            None
        }
        (Located::InBody(field), Some(body)) => {
            let mut scanner =
                Scanner::new(content_type, field, thorough).watch(kinds.fields()).sessions(mode);
            scan(body, &mut scanner);
            watched = scanner.watched();
            let (found, at) = scanner.finish_with_place().map_err(bad)?;
            place = at;
            let is_form = content_type.is_some_and(|kind| model::boundary(kind).is_some());
            if thorough && found.is_some() && !is_form {
                further = model::extra_models(&Uint8Array::new(body).to_vec()).map_err(bad)?;
            }
            found
        }
        (Located::InBody(_) | Located::Nowhere, None) => None,
    };
    if mode != Mode::Off {
        tell_by_header(said, &mut watched);
    }
    Ok(Asked { model, place, further, watched })
}

/// Checks that the token may use the model of the provider. `api` is what is sent, `asked` what was
/// found in the request besides.
///
/// # Errors
/// When it may not.
pub fn permit(
    token: &Token,
    method: &str,
    api: &ApiRoute,
    slug: String,
    model: Option<String>,
    asked: Asked,
) -> Result<Target, Refusal> {
    let (objects, about_object) = asked.objects(api);
    let Asked { further, watched, .. } = asked;
    let bad = |error: ModelError| Refusal::bad_request(error.to_string());
    let model = model.map(|model| model::clean(&model)).transpose().map_err(bad)?;
    if !token.allows_provider(&slug) {
        return Err(Refusal::provider_out_of_scope(&slug));
    }
    if !token.allows_request(&slug, model.as_deref(), method, &api.path) {
        return Err(Refusal::out_of_scope(&slug, model.as_deref()));
    }
    if let Some(other) = further.iter().find(|other| !token.allows(&slug, Some(other))) {
        return Err(Refusal::out_of_scope(&slug, Some(other)));
    }
    let conversation = watched.session();
    let model = model.unwrap_or_else(|| EVERY_MODEL.to_owned());
    let (provider, token) = (slug, token.tag());
    let home = api.row.homes.and_then(|homes| homes.of(&api.path));
    Ok(Target {
        provider,
        model,
        home,
        token,
        objects,
        about_object,
        store: watched.store,
        conversation,
    })
}

/// What the headers tell of the conversation.
fn tell_by_header(said: &Said, watched: &mut Watched) {
    let told = affinity::HEADERS.iter().find_map(|name| said.header(name));
    if let Some(told) = told {
        watched.tell(affinity::BY_HEADER, told.as_bytes());
    }
}

/// What a body says besides its model, which is elsewhere.
fn look(body: &ArrayBuffer, scanner: Scanner, kinds: &'static Objects, mode: Mode) -> Watched {
    let mut scanner = scanner.watch(kinds.fields()).sessions(mode);
    scan(body, &mut scanner);
    scanner.watched()
}

fn scan(body: &ArrayBuffer, scanner: &mut Scanner) {
    pieces(body, |piece| scanner.feed(piece) == Status::NeedMore);
}

/// The body with another model in it. What surrounds the name is copied outside wasm memory.
///
/// # Errors
/// When the body is too long for this platform to count; it is not.
pub fn with_model(body: &ArrayBuffer, place: &Place, model: &str) -> Result<ArrayBuffer, Refusal> {
    let old = Uint8Array::new(body);
    let text = place.write(model);
    let number = |n: usize| u32::try_from(n).map_err(|_| Refusal::too_large(MAX_BODY));
    let removed: usize = place.spans.iter().map(ExactSizeIterator::len).sum();
    let length = old.length() as usize + place.spans.len() * text.len() - removed;
    let new = Uint8Array::new_with_length(number(length)?);
    let text = Uint8Array::from(text.as_slice());
    let (mut from, mut to) = (0, 0);
    for span in &place.spans {
        let (start, end) = (number(span.start)?, number(span.end)?);
        new.set(&old.subarray(from, start), to);
        to += start - from;
        new.set(&text, to);
        to += text.length();
        from = end;
    }
    new.set(&old.subarray(from, old.length()), to);
    Ok(new.buffer())
}

/// Shows the bytes piece by piece for as long as they are wanted.
fn pieces(bytes: &ArrayBuffer, mut show: impl FnMut(&[u8]) -> bool) {
    let length = bytes.byte_length();
    let mut piece = vec![0; length.min(SCAN_PIECE) as usize];
    let mut at = 0;
    while at < length {
        let end = length.min(at + SCAN_PIECE);
        piece.truncate((end - at) as usize);
        glue::piece(bytes, at, &mut piece);
        if !show(&piece) {
            return;
        }
        at = end;
    }
}

/// The body, whole, since a retry needs it again. It stays outside wasm memory. `None` when there
/// is none.
///
/// # Errors
/// When it is larger than `limit` bytes, or the client breaks off while sending it.
pub async fn body_of(
    request: &Request,
    method: &str,
    limit: usize,
) -> Result<Option<ArrayBuffer>, Refusal> {
    let announced = request.headers().get("content-length").ok().flatten();
    body_announced(request, method, announced.as_deref(), limit).await
}

/// [`body_of`] a request whose `content-length` is known already.
///
/// # Errors
/// As there.
pub async fn body_announced(
    request: &Request,
    method: &str,
    length: Option<&str>,
    limit: usize,
) -> Result<Option<ArrayBuffer>, Refusal> {
    if matches!(method, "GET" | "HEAD") {
        return Ok(None);
    }
    if length.and_then(|length| length.parse::<usize>().ok()).is_some_and(|n| n > limit) {
        return Err(Refusal::too_large(limit));
    }
    let (_, body) = Settled::new(glue::body(request))
        .await
        .map_err(|_| Refusal::bad_request("The request's body broke off while it was sent."))?;
    let body: ArrayBuffer = body.unchecked_into();
    match body.byte_length() as usize {
        0 => Ok(None),
        length if length > limit => Err(Refusal::too_large(limit)),
        _ => Ok(Some(body)),
    }
}
