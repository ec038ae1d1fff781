//! What a client's request says: who asks, for which model, with which body.

use worker::js_sys::{ArrayBuffer, Uint8Array};
use worker::wasm_bindgen::JsCast;
use worker::wasm_bindgen_futures::JsFuture;
use worker::web_sys::Request;

use super::respond::thrown;
use crate::balance::error::Refusal;
use crate::balance::key::EVERY_MODEL;
use crate::balance::model::{self, Located, ModelError, Scanner, Status, Watched};
use crate::balance::object::{self, Objects};
use crate::balance::provider::COMPAT;
use crate::balance::route::ApiRoute;
use crate::balance::token::{self, Token, Tokens};
use crate::balance::{Millis, provider};

/// The longest body that is taken, in bytes. It is held once here and once by `fetch`, of the 128 MB
/// that an isolate has with all that it runs at the same time.
pub const MAX_BODY: usize = 48 * 1024 * 1024;

/// The body is looked through in pieces of this size, so that a large one is never in wasm memory
/// as a whole.
const SCAN_PIECE: u32 = 64 * 1024;

/// Who asks, as far as `AUTH_KEY` knows.
///
/// # Errors
/// When nobody is let in by what the request presents.
pub fn token_of<'t>(
    tokens: &'t Tokens,
    request: &Request,
    api: &ApiRoute,
    now: Millis,
) -> Result<&'t Token, Refusal> {
    if tokens.is_empty() {
        return Err(Refusal::no_auth_key());
    }
    Ok(tokens.check_any(presented(request, api), now)?)
}

/// All that a request presents as a token, read one by one.
pub fn presented(request: &Request, api: &ApiRoute) -> impl Iterator<Item = String> {
    let headers = request.headers();
    let of_protocols = headers.clone();
    let in_headers = token::headers_of(api.row).filter_map(move |name| {
        let value = headers.get(name).ok().flatten()?;
        Some(token::from_header(name, &value).to_owned())
    });
    // Read only when nothing else holds a token.
    let in_protocols = core::iter::once_with(move || {
        let list = of_protocols.get("sec-websocket-protocol").ok().flatten()?;
        token::from_subprotocols(&list).0.map(str::to_owned)
    });
    in_headers.chain(api.query_token.clone()).chain(in_protocols.flatten())
}

/// Which pool a request draws on, and for what.
#[derive(Clone)]
pub struct Target {
    /// The provider whose keys are used.
    pub provider: String,
    /// Its model, or [`EVERY_MODEL`] when the request names none.
    pub model: String,
    /// Who asks: the token's [`Token::tag`].
    pub token: u32,
    /// The stored objects that the request names.
    pub objects: Vec<String>,
    /// The request is about the first of them: its address names it.
    pub about_object: bool,
    /// Whether it says that its answer is to be stored.
    pub store: Option<bool>,
}

/// Finds the model, and with it the provider of a `compat` request, and checks that the token may
/// use them.
///
/// # Errors
/// When the model cannot be told though it must be, or the token may not use it.
pub fn target_of(
    token: &Token,
    method: &str,
    content_type: Option<&str>,
    api: &ApiRoute,
    body: Option<&ArrayBuffer>,
) -> Result<Target, Refusal> {
    // An unlimited token may name whatever it likes, so the search may stop at the first find.
    let thorough = !token.unrestricted();
    // Models that the provider may fall back to by itself.
    let mut further = Vec::new();
    let bad = |error: ModelError| Refusal::bad_request(error.to_string());
    let located = model::locate(api.row, method, &api.path, api.query.as_deref()).map_err(bad)?;
    let kinds = object::of(&api.provider);
    let mut watched = Watched::default();
    let found = match (located, body) {
        (Located::Here(model), Some(body)) => {
            watched = look(body, Scanner::new(content_type, model::NO_FIELD, false), kinds);
            Some(model)
        }
        (Located::Here(model), None) => Some(model),
        (Located::Nowhere, Some(body)) => {
            watched = look(body, Scanner::new(content_type, model::NO_FIELD, false), kinds);
            None
        }
        (Located::InBody(field), Some(body)) => {
            let mut scanner = Scanner::new(content_type, field, thorough).watch(kinds.fields());
            scan(body, &mut scanner);
            watched = scanner.watched();
            let found = scanner.finish().map_err(bad)?;
            let is_form = content_type.is_some_and(|kind| model::boundary(kind).is_some());
            if thorough && found.is_some() && !is_form {
                further = model::extra_models(&Uint8Array::new(body).to_vec()).map_err(bad)?;
            }
            found
        }
        (Located::InBody(_) | Located::Nowhere, None) => None,
    };
    let (slug, model) = if api.provider == COMPAT {
        match found.as_deref().and_then(model::split_compat) {
            Some((slug, _)) if slug == provider::DYNAMIC => {
                return Err(Refusal::unknown_model_prefix(found.as_deref()));
            }
            Some((slug, model)) => (slug.to_owned(), Some(model.to_owned())),
            None => return Err(Refusal::unknown_model_prefix(found.as_deref())),
        }
    } else {
        (api.provider.clone(), found)
    };
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
    let mut objects = kinds.in_address(&api.path, api.query.as_deref());
    let about_object = !objects.is_empty();
    for (_, text) in watched.texts {
        kinds.clean(&text, &mut objects);
    }
    let model = model.unwrap_or_else(|| EVERY_MODEL.to_owned());
    let (provider, token) = (slug, token.tag());
    Ok(Target { provider, model, token, objects, about_object, store: watched.store })
}

/// What a body says besides its model, which is elsewhere.
fn look(body: &ArrayBuffer, scanner: Scanner, kinds: &'static Objects) -> Watched {
    let mut scanner = scanner.watch(kinds.fields());
    scan(body, &mut scanner);
    scanner.watched()
}

fn scan(body: &ArrayBuffer, scanner: &mut Scanner) {
    pieces(&Uint8Array::new(body), |piece| scanner.feed(piece) == Status::NeedMore);
}

/// Shows the bytes piece by piece for as long as they are wanted.
fn pieces(bytes: &Uint8Array, mut show: impl FnMut(&[u8]) -> bool) {
    let mut piece = vec![0; bytes.length().min(SCAN_PIECE) as usize];
    let mut at = 0;
    while at < bytes.length() {
        let end = bytes.length().min(at + SCAN_PIECE);
        let view = bytes.subarray(at, end);
        piece.truncate(view.length() as usize);
        view.copy_to(&mut piece);
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
    if matches!(method, "GET" | "HEAD") || request.body().is_none() {
        return Ok(None);
    }
    let announced = request.headers().get("content-length").ok().flatten();
    if announced.and_then(|length| length.parse::<usize>().ok()).is_some_and(|n| n > limit) {
        return Err(Refusal::too_large(limit));
    }
    let promise = request.array_buffer().map_err(|why| thrown("body", &why))?;
    let body: ArrayBuffer = JsFuture::from(promise)
        .await
        .map_err(|_| Refusal::bad_request("The request's body broke off while it was sent."))?
        .unchecked_into();
    if body.byte_length() as usize > limit {
        return Err(Refusal::too_large(limit));
    }
    Ok(Some(body))
}
