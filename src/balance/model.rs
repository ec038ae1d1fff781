//! Which model does a request ask for?
//!
//! The answer serves two ends: the name under which a key cools down, and the check of a token
//! that is limited to certain models. For the second it must be the model that the provider will
//! use, so the [`super::provider`] table says where each provider looks, and nothing else counts:
//! a `model` in a body does not beat the one in a Gemini path.
//!
//! Bodies are scanned, not parsed, in chunks as small as the caller likes: a body of 20 MB of
//! base64 pictures must neither be copied through wasm at once nor cost the 10 ms of CPU that the
//! Free plan has.
//!
//! # Thorough or not
//!
//! A JSON object may hold a name twice, and parsers differ in which one they take. For a token
//! without limits that does not matter, so the scan stops at the first `model`, which is usually
//! in the first hundred bytes. For a limited token the scan is *thorough*: it goes to the end, and
//! refuses two that differ (also in case alone: Go's parser ignores case), values that are not
//! text beside ones that are, and bytes that no JSON has.
//!
//! # Where it is
//!
//! This module has what is told by addresses, and the [`Scanner`] of bodies. `json` and `form` scan the
//! two kinds of bodies, `watch` keeps what a JSON body says besides its model, and `block` looks at 64
//! bytes of JSON at once.

mod block;
mod form;
mod json;
mod watch;

use super::affinity::Mode;
use super::object::Field;
use super::provider::{self, ModelIn, Provider};
use super::route::decode;
use form::FormScan;
use json::JsonScan;
use std::fmt;
use std::ops::Range;
use watch::Eye;
pub use watch::{Watched, texts_of};

/// The longest name of a model, in bytes. The longest known are ARNs of Bedrock's inference
/// profiles, below 200; it is part of a database key and of every log line.
pub const MAX_MODEL_LEN: usize = 256;

/// The longest a name can be in JSON: every byte as `\u00xx`.
const MAX_RAW: usize = 6 * MAX_MODEL_LEN;

/// The most bytes of headers that one part of a form may have. SDKs send about 200.
const MAX_PART_HEADERS: usize = 8 * 1024;

/// The longest boundary of a form. RFC 2046 (5.1.1) allows 70.
const MAX_BOUNDARY: usize = 200;

/// Why no model can be told.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ModelError {
    /// The request names several models, and providers differ in which one they take.
    Duplicate,
    /// Longer than [`MAX_MODEL_LEN`].
    TooLong,
    /// Control characters in the name, or nothing at all.
    BadName,
    /// The body is neither JSON nor a form, although it begins like one.
    BadBody,
}

impl fmt::Display for ModelError {
    /// A sentence for the caller.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            ModelError::Duplicate => f.write_str(
                "The request names more than one model in places that must agree. Name it once.",
            ),
            ModelError::TooLong => {
                write!(f, "The model's name is longer than {MAX_MODEL_LEN} bytes. Check the name.")
            }
            ModelError::BadName => f.write_str(
                "The model's name is empty or contains control characters. Check the name.",
            ),
            ModelError::BadBody => f.write_str(
                "The body is not valid JSON (or not a valid form), so its model cannot be \
                 checked against the token's scope. Check the body.",
            ),
        }
    }
}

/// Where the model of a request is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Located {
    /// It is in the path or the query: this one.
    Here(String),
    /// It is in this field of the body: feed that to a [`Scanner`].
    InBody(&'static str),
    /// The request names none.
    Nowhere,
}

/// Says where the model of a request is, as far as everything but the body tells.
///
/// # Errors
///
/// When the name in the path or query is not one, or the query has two that differ.
pub fn locate(
    provider: &Provider,
    method: &str,
    path: &str,
    query: Option<&str>,
) -> Result<Located, ModelError> {
    let has_body = !matches!(method, "GET" | "HEAD");
    for place in provider.model_in {
        match place {
            ModelIn::Hidden(start) => {
                if capture(start, path).is_some() {
                    return Ok(Located::Nowhere);
                }
            }
            ModelIn::Path(pattern) => {
                if let Some(raw) = capture(pattern, path) {
                    return clean(&raw).map(Located::Here);
                }
            }
            ModelIn::Query(name) => {
                if let Some(raw) = query_value(query.unwrap_or_default(), name)? {
                    return clean(&raw).map(Located::Here);
                }
            }
            ModelIn::Field(name) => {
                if has_body {
                    return Ok(Located::InBody(name));
                }
            }
            ModelIn::FieldOn(pattern, name) => {
                if has_body && capture(pattern, path).is_some() {
                    return Ok(Located::InBody(name));
                }
            }
        }
    }
    Ok(Located::Nowhere)
}

/// The model in a JSON body: the text of the top-level `field`.
///
/// `None` when the body is not an object, or has no such field, or something else than text in
/// it. See the module's page for `thorough`.
///
/// # Errors
///
/// When it is no name; if `thorough`, also when there are two that differ or the body is not JSON.
pub fn in_json(body: &[u8], field: &str, thorough: bool) -> Result<Option<String>, ModelError> {
    let mut scan = JsonScan::new(field, thorough);
    scan.feed(body);
    scan.finish()
}

/// The model in a `multipart/form-data` body: the value of the part named `field`.
///
/// # Errors
///
/// When it is no name; if `thorough`, also when there are two that differ or the body is no form.
pub fn in_multipart(
    body: &[u8],
    boundary: &str,
    field: &str,
    thorough: bool,
) -> Result<Option<String>, ModelError> {
    let mut scan = FormScan::new(boundary, field, thorough);
    scan.feed(body);
    scan.finish()
}

/// The boundary of a `multipart/form-data` content type.
pub fn boundary(content_type: &str) -> Option<&str> {
    let (kind, parameters) = content_type.split_once(';')?;
    if !kind.trim().eq_ignore_ascii_case("multipart/form-data") {
        return None;
    }
    let value = parameters.split(';').find_map(|parameter| {
        let (name, value) = parameter.split_once('=')?;
        name.trim().eq_ignore_ascii_case("boundary").then(|| value.trim().trim_matches('"'))
    })?;
    (!value.is_empty() && value.len() <= MAX_BOUNDARY).then_some(value)
}

/// The further models that a body may be answered by: OpenRouter's `models`, which it falls back
/// to in turn. A limited token must be allowed each of them.
///
/// # Errors
///
/// When the body is not JSON, or `models` is there twice or is no list of names.
pub fn extra_models(body: &[u8]) -> Result<Vec<String>, ModelError> {
    #[derive(serde::Deserialize)]
    struct Body {
        #[serde(default)]
        models: Option<Vec<String>>,
    }
    let body: Body = serde_json::from_slice(body).map_err(|_| ModelError::BadBody)?;
    body.models.unwrap_or_default().iter().map(|model| clean(model)).collect()
}

/// Splits a model of `compat` at its first slash into the provider's slug and the model as the
/// provider knows it, however many slashes that has.
///
/// `None` when the prefix is neither a provider nor [`provider::DYNAMIC`].
pub fn split_compat(model: &str) -> Option<(&str, &str)> {
    let (prefix, rest) = model.split_once('/')?;
    let slug = provider::of_model_prefix(prefix);
    let known = slug == provider::DYNAMIC || provider::is_slug(slug);
    (known && !rest.is_empty()).then_some((slug, rest))
}

/// A model's name as it is used for coolings and scopes: without the `models/` that Gemini
/// tolerates in front, and nothing that could not be a name.
///
/// # Errors
///
/// When it is empty, too long, or has control characters.
pub fn clean(name: &str) -> Result<String, ModelError> {
    let name = name.trim();
    let name = name.strip_prefix("models/").unwrap_or(name);
    if name.len() > MAX_MODEL_LEN {
        return Err(ModelError::TooLong);
    }
    if name.is_empty() || name.chars().any(char::is_control) {
        return Err(ModelError::BadName);
    }
    Ok(name.to_owned())
}

// === path and query ===

/// What the braces of `pattern` (see [`ModelIn::Path`]) stand for in `path`; empty for a pattern
/// without braces. `None` when the path does not match.
fn capture(pattern: &str, path: &str) -> Option<String> {
    let mut segments = path.split('/').map(decode);
    let mut model: Vec<String> = Vec::new();
    let mut next = || segments.next().filter(|segment| !segment.is_empty());
    for expected in pattern.split('/') {
        match expected {
            "*" => {
                next()?;
            }
            "{}" => model.push(next()?),
            "{:}" => {
                let segment = next()?;
                let name = segment.rsplit_once(':').map_or(segment.as_str(), |(name, _)| name);
                model.push(name.to_owned());
            }
            "{2}" => {
                model.push(next()?);
                model.push(next()?);
            }
            "{..}" => {
                model.push(next()?);
                while let Some(segment) = next() {
                    if segment == "requests" {
                        break;
                    }
                    model.push(segment);
                }
            }
            literal => {
                let (kept, literal) = match literal.strip_prefix('=') {
                    Some(literal) => (true, literal),
                    None => (false, literal),
                };
                let segment = next().filter(|segment| segment == literal)?;
                if kept {
                    model.push(segment);
                }
            }
        }
    }
    Some(model.join("/"))
}

/// The decoded value of a query parameter.
fn query_value(query: &str, name: &str) -> Result<Option<String>, ModelError> {
    let mut found = None;
    for pair in query.split('&') {
        let (key, value) = pair.split_once('=').unwrap_or((pair, ""));
        if decode(key) != name || value.is_empty() {
            continue;
        }
        // In a query, unlike a path, a space may come as `+`; no model has either.
        let value = decode(value);
        match &found {
            Some(first) if *first != value => return Err(ModelError::Duplicate),
            _ => found = Some(value),
        }
    }
    Ok(found)
}

// === bodies in chunks ===

/// Whether a scanner wants more of the body.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Status {
    /// Feed the next chunk, or finish at the end of the body.
    NeedMore,
    /// The rest of the body does not matter: finish.
    Done,
}

/// No field has this name: for a scan that looks for no model.
pub const NO_FIELD: &str = "\0";

/// Finds the model in a body that comes in chunks, whatever its type.
#[derive(Debug)]
pub struct Scanner(Kind);

#[derive(Debug)]
// Not `expect`: with the short pointers of wasm32 it is not large.
#[allow(clippy::large_enum_variant, reason = "one lives for each request, and is never moved")]
enum Kind {
    Json(JsonScan),
    Form(FormScan),
    /// A form without a boundary, for a limited token.
    Bad,
}

impl Scanner {
    /// A scanner for `field` ([`Located::InBody`]) in a body of this content type. What is not a
    /// form is taken for JSON: that is what providers do, whatever the client calls it.
    pub fn new(content_type: Option<&str>, field: &str, thorough: bool) -> Self {
        let content_type = content_type.unwrap_or_default().trim_start();
        let is_form = content_type
            .split(['/', ';'])
            .next()
            .is_some_and(|kind| kind.eq_ignore_ascii_case("multipart"));
        Scanner(match boundary(content_type) {
            Some(boundary) => Kind::Form(FormScan::new(boundary, field, thorough)),
            None if is_form && thorough => Kind::Bad,
            None => Kind::Json(JsonScan::new(field, thorough)),
        })
    }

    /// Looks for these fields of a JSON body as well, in the same pass, which then goes on behind the
    /// model. What is found of them is in [`Self::watched`].
    #[must_use]
    pub fn watch(mut self, fields: &'static [Field]) -> Self {
        if let Kind::Json(scan) = &mut self.0
            && !fields.is_empty()
        {
            scan.eye = Some(Eye::new(fields));
            scan.findings.to_the_end = true;
        }
        self
    }

    /// Looks for what tells the conversation as well.
    #[must_use]
    pub fn sessions(mut self, mode: Mode) -> Self {
        if let Kind::Json(scan) = &mut self.0
            && mode != Mode::Off
        {
            scan.eye.get_or_insert_with(|| Eye::new(&[])).watch_more(mode.fields());
            scan.findings.to_the_end = true;
        }
        self
    }

    /// What the watched fields have, as far as the body was read.
    pub fn watched(&mut self) -> Watched {
        match &mut self.0 {
            Kind::Json(scan) => scan.eye.take().map(Eye::found).unwrap_or_default(),
            Kind::Form(_) | Kind::Bad => Watched::default(),
        }
    }

    /// Reads the next chunk. Chunks may be cut anywhere. After [`Status::Done`] it does nothing.
    pub fn feed(&mut self, chunk: &[u8]) -> Status {
        match &mut self.0 {
            Kind::Json(scan) => scan.feed(chunk),
            Kind::Form(scan) => scan.feed(chunk),
            Kind::Bad => Status::Done,
        }
    }

    /// The model, after the last chunk or [`Status::Done`].
    ///
    /// # Errors
    ///
    /// As [`in_json`] and [`in_multipart`].
    pub fn finish(self) -> Result<Option<String>, ModelError> {
        self.finish_with_place().map(|(model, _)| model)
    }

    /// The same, and where in the body the name stands, for those who must write another.
    ///
    /// # Errors
    ///
    /// As [`Scanner::finish`].
    pub fn finish_with_place(mut self) -> Result<(Option<String>, Place), ModelError> {
        let (spans, escaped) = match &mut self.0 {
            Kind::Json(scan) => (std::mem::take(&mut scan.findings.spans), true),
            Kind::Form(scan) => (std::mem::take(&mut scan.findings.spans), false),
            Kind::Bad => return Err(ModelError::BadBody),
        };
        let model = match self.0 {
            Kind::Json(scan) => scan.finish(),
            Kind::Form(scan) => scan.finish(),
            Kind::Bad => Err(ModelError::BadBody),
        }?;
        Ok((model, Place { spans, escaped }))
    }
}

/// Where in a body the model's name stands.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Place {
    /// The bytes of the name as they are written, without quotation marks. More than one where the
    /// body has it more than once.
    pub spans: Vec<Range<usize>>,
    /// It is JSON, so the name is written with escapes.
    escaped: bool,
}

impl Place {
    /// The name as it must be written there.
    pub fn write(&self, model: &str) -> Vec<u8> {
        if !self.escaped {
            return model.as_bytes().to_vec();
        }
        let quoted = serde_json::Value::from(model).to_string().into_bytes();
        quoted.get(1..quoted.len().saturating_sub(1)).unwrap_or_default().to_vec()
    }
}

/// What was in the field.
#[derive(Clone, Debug, PartialEq, Eq)]
enum Value {
    Text(String),
    /// A number, an object, `null`, ...
    Other,
}

/// What both scanners remember.
#[derive(Debug)]
struct Findings {
    thorough: bool,
    /// The scan goes on when the model is found, for the sake of other fields.
    to_the_end: bool,
    found: Option<Value>,
    /// Where in the body the texts among the values stand.
    spans: Vec<Range<usize>>,
    error: Option<ModelError>,
    over: bool,
}

impl Findings {
    fn new(thorough: bool) -> Self {
        Findings {
            thorough,
            to_the_end: false,
            found: None,
            spans: Vec::new(),
            error: None,
            over: false,
        }
    }

    /// A value of the field was read.
    fn record(&mut self, value: Value) {
        if !self.thorough && self.found.is_some() {
            return; // the first one counts
        }
        if self.found.as_ref().is_some_and(|first| *first != value) {
            self.fail(ModelError::Duplicate);
        }
        self.found = Some(value);
        if !self.thorough && !self.to_the_end {
            self.over = true;
        }
    }

    /// The scan is over. That a body cannot be read matters only where its model is checked; the
    /// provider says better what is wrong with it.
    fn fail(&mut self, error: ModelError) {
        if self.thorough || error != ModelError::BadBody {
            self.error = Some(error);
        }
        self.over = true;
    }

    fn status(&self) -> Status {
        if self.over { Status::Done } else { Status::NeedMore }
    }

    fn finish(self) -> Result<Option<String>, ModelError> {
        match (self.error, self.found) {
            (Some(error), _) => Err(error),
            // An empty name is none: a provider with one model may not care.
            (None, Some(Value::Text(name))) if !name.is_empty() => clean(&name).map(Some),
            (None, _) => Ok(None),
        }
    }
}

#[cfg(test)]
mod tests;
