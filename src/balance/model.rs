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

use super::affinity::{self, Mode, Opening};
use super::object::{Field, What};
use super::provider::{self, ModelIn, Provider};
use super::route::decode;
use memchr::{memchr, memchr2, memmem};
use std::fmt;
use std::ops::Range;

/// The longest name of a model, in bytes. The longest known are ARNs of Bedrock's inference
/// profiles, below 200; it is part of a database key and of every log line.
pub const MAX_MODEL_LEN: usize = 256;

/// The longest a name can be in JSON: every byte as `\u00xx`.
const MAX_RAW: usize = 6 * MAX_MODEL_LEN;

/// The longest spelling of a field's name that is looked at: `model_id` with every byte as
/// `\u00xx` is 48.
const MAX_FIELD: usize = 64;

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

/// What else a body says, besides its model.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Watched {
    /// The texts of the watched fields, in their order, each with the field's place in the list.
    pub texts: Vec<(usize, String)>,
    /// The answer is to be stored, or not.
    pub store: Option<bool>,
    /// What tells the conversation best, and how well it does.
    told: Option<(u8, u64)>,
    opening: Opening,
}

impl Watched {
    /// What tells the conversation.
    #[must_use]
    pub fn session(&self) -> Option<u64> {
        self.told.map(|(_, hash)| hash).or_else(|| self.opening.finish())
    }

    /// Something else tells it, so well.
    pub fn tell(&mut self, rank: u8, text: &[u8]) {
        if !text.is_empty() && self.told.is_none_or(|(known, _)| rank < known) {
            self.told = Some((rank, affinity::hash(text)));
        }
    }
}

/// The texts of these fields in a JSON text, which may be cut off anywhere.
#[must_use]
pub fn texts_of(json: &[u8], fields: &'static [Field]) -> Vec<(usize, String)> {
    let mut scan = Scanner::new(None, NO_FIELD, false).watch(fields);
    scan.feed(json);
    scan.watched().texts
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
            scan.eye.get_or_insert_with(|| Eye::new(&[])).more = mode.fields();
            scan.findings.to_the_end = true;
        }
        self
    }

    /// What the watched fields have, as far as the body was read.
    pub fn watched(&mut self) -> Watched {
        match &mut self.0 {
            Kind::Json(scan) => scan.eye.take().map(|eye| eye.found).unwrap_or_default(),
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

// === JSON ===

/// Where in the JSON text the scan is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum At {
    /// In front of the object; so many bytes of a byte order mark were seen.
    Start(usize),
    /// Between strings.
    Structure,
    /// In a string; the byte before was a backslash.
    Text { role: Role, escaped: bool },
}

/// Why a string is read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Role {
    /// It is a name at the top level.
    Name,
    /// It is the value of the field.
    Value,
    /// It is a name that may be watched.
    Inner,
    /// It is the value of a watched field.
    Text,
    /// It is skipped.
    Other,
}

/// Scans JSON text for one top-level field.
#[derive(Debug)]
struct JsonScan {
    field: Vec<u8>,
    at: At,
    depth: usize,
    /// At the top level, the next string is a name.
    name_next: bool,
    /// At the top level, the next value is the field's.
    value_next: bool,
    /// The string that is read, as written; at most [`MAX_RAW`] bytes.
    raw: Vec<u8>,
    overflow: bool,
    /// How many bytes were read, and how many in front of the string.
    read: usize,
    text_starts: usize,
    findings: Findings,
    /// What else is looked for.
    eye: Option<Eye>,
}

/// The deepest nesting at which fields are watched; a bit each.
const DEEPEST: usize = 127;
/// The most texts that are kept.
const MOST_TEXTS: usize = 64;

/// Watches fields at every depth.
#[derive(Debug)]
struct Eye {
    fields: &'static [Field],
    /// Further fields: those that tell the conversation.
    more: &'static [Field],
    /// The part of the opening that is being read.
    opening: Option<Part>,
    /// Which of the open brackets are objects' .
    objects: u128,
    /// The next string is a name.
    name_next: bool,
    /// The field whose value is next.
    field: Option<usize>,
    /// A watched field whose value is this deep: a list of texts, or an object with a member that counts.
    inside: Option<(usize, usize)>,
    found: Watched,
}

/// A part of a conversation's opening.
#[derive(Clone, Copy, Debug)]
struct Part {
    /// Here is the system's own message; the opening is over with one that is not.
    system: bool,
    /// It is over.
    over: bool,
}

/// How deep the members of a message are: in an object of a list of the outermost object.
const IN_MESSAGE: usize = 3;

impl Eye {
    fn new(fields: &'static [Field]) -> Self {
        Eye {
            fields,
            more: &[],
            opening: None,
            objects: 0,
            name_next: false,
            field: None,
            inside: None,
            found: Watched::default(),
        }
    }

    fn get(&self, at: usize) -> Option<&'static Field> {
        self.fields.iter().chain(self.more).nth(at)
    }

    const fn is_object(&self, depth: usize) -> bool {
        depth <= DEEPEST && self.objects & (1 << depth) != 0
    }

    /// A bracket opened; `depth` counts it.
    fn open(&mut self, object: bool, depth: usize) {
        if depth <= DEEPEST {
            let bit = 1 << depth;
            self.objects = if object { self.objects | bit } else { self.objects & !bit };
        }
        self.name_next = object && depth <= DEEPEST;
        if let Some(field) = self.field.take() {
            self.inside = Some((field, depth));
        }
    }

    /// A bracket closed; `depth` counted it.
    fn close(&mut self, depth: usize) {
        self.field = None;
        self.name_next = false;
        if self.inside.is_some_and(|(_, at)| at == depth) {
            self.inside = None;
        }
        if depth == IN_MESSAGE
            && let Some(part) = &mut self.opening
        {
            part.over |= !part.system;
            part.system = false;
        }
    }

    /// A piece of any string was read.
    fn read(&mut self, piece: &[u8]) {
        if self.opening.is_some_and(|part| !part.over) {
            self.found.opening.take(piece);
        }
    }

    fn comma(&mut self, depth: usize) {
        if depth == 1 {
            self.opening = None;
        }
        self.field = None;
        self.name_next = self.is_object(depth);
    }

    /// Why a string at this depth is read, which is no name of the outermost object.
    fn role(&mut self, depth: usize) -> Role {
        self.found.opening.string();
        let listed = self.inside.is_some_and(|(_, at)| at == depth) && !self.is_object(depth);
        match (self.name_next, self.field.is_some() || listed) {
            (true, _) => Role::Inner,
            (false, true) => Role::Text,
            (false, false) => Role::Other,
        }
    }

    /// A name was read.
    fn name(&mut self, raw: &[u8], depth: usize) {
        let around = self.inside.filter(|(_, at)| *at == depth).map(|(field, _)| field);
        let is_member = |field: &Field| field.member.is_some_and(|name| name.as_bytes() == raw);
        let is_field = |field: &Field| field.name.as_bytes() == raw && (depth == 1 || !field.top);
        self.field = around
            .filter(|at| self.get(*at).is_some_and(is_member))
            .or_else(|| self.fields.iter().chain(self.more).position(is_field));
        if let Some(field) = self.field.and_then(|at| self.get(at)) {
            match field.what {
                What::Opening => self.opening = Some(Part { system: false, over: false }),
                What::Role if depth == IN_MESSAGE && self.opening.is_some() => return,
                What::Role => {}
                _ => return,
            }
            self.field = None;
        }
    }

    /// The text of a watched field was read.
    fn text(&mut self, raw: &[u8]) {
        let at = self.field.take().or(self.inside.map(|(field, _)| field));
        let Some((at, field)) = at.and_then(|at| Some((at, self.get(at)?))) else { return };
        match field.what {
            What::Name if self.found.texts.len() < MOST_TEXTS => {
                self.found.texts.extend(unescape(raw).map(|text| (at, text)));
            }
            What::Session(rank) => self.found.tell(rank, raw),
            What::Role => {
                if let Some(part) = &mut self.opening {
                    part.system = matches!(raw, b"system" | b"developer");
                }
            }
            What::Name | What::Store | What::Opening => {}
        }
    }

    /// A number, `true`, `null` or the like begins.
    fn literal(&mut self, first: u8) {
        if let Some(field) = self.field.take().and_then(|at| self.get(at))
            && field.what == What::Store
        {
            self.found.store = match first {
                b't' => Some(true),
                b'f' => Some(false),
                _ => self.found.store,
            };
        }
    }
}

impl JsonScan {
    fn new(field: &str, thorough: bool) -> Self {
        JsonScan {
            field: field.as_bytes().to_vec(),
            at: At::Start(0),
            depth: 0,
            name_next: false,
            value_next: false,
            raw: Vec::new(),
            overflow: false,
            read: 0,
            text_starts: 0,
            findings: Findings::new(thorough),
            eye: None,
        }
    }

    fn feed(&mut self, chunk: &[u8]) -> Status {
        let mut rest = chunk;
        while !rest.is_empty() && !self.findings.over {
            let before = (rest.len(), self.at);
            rest = match self.at {
                At::Start(seen) => self.start(rest, seen),
                At::Structure => self.structure(rest),
                At::Text { role, escaped } => self.text(rest, role, escaped),
            };
            self.read += before.0 - rest.len();
            match (before.1, self.at) {
                (At::Structure, At::Text { .. }) => self.text_starts = self.read,
                // The last byte is the quotation mark.
                (At::Text { role: Role::Value, .. }, At::Structure) => {
                    self.findings.spans.push(self.text_starts..self.read.saturating_sub(1));
                }
                _ => {}
            }
        }
        self.findings.status()
    }

    fn finish(mut self) -> Result<Option<String>, ModelError> {
        let cut_short = !self.findings.over && !matches!(self.at, At::Start(_));
        if cut_short && self.findings.thorough {
            self.findings.fail(ModelError::BadBody);
        }
        self.findings.finish()
    }

    /// One byte in front of the object.
    fn start<'a>(&mut self, bytes: &'a [u8], seen: usize) -> &'a [u8] {
        const BYTE_ORDER_MARK: &[u8] = b"\xef\xbb\xbf";
        let Some((&byte, rest)) = bytes.split_first() else { return bytes };
        match byte {
            b'{' => {
                self.depth = 1;
                self.name_next = true;
                if let Some(eye) = &mut self.eye {
                    eye.open(true, 1);
                }
                self.at = At::Structure;
            }
            b' ' | b'\t' | b'\r' | b'\n' => {}
            _ if BYTE_ORDER_MARK.get(seen) == Some(&byte) => self.at = At::Start(seen + 1),
            _ => self.findings.over = true,
        }
        rest
    }

    /// Everything up to and including the next quotation mark, or to the end of the object.
    fn structure<'a>(&mut self, bytes: &'a [u8]) -> &'a [u8] {
        for (index, &byte) in bytes.iter().enumerate() {
            let top = self.depth == 1;
            match byte {
                b'"' => {
                    let role = match (top, self.name_next, self.value_next) {
                        (true, true, _) => Role::Name,
                        (true, false, true) => Role::Value,
                        _ => self.eye.as_mut().map_or(Role::Other, |eye| eye.role(self.depth)),
                    };
                    self.raw.clear();
                    self.overflow = false;
                    self.at = At::Text { role, escaped: false };
                    return after(bytes, index);
                }
                b'{' | b'[' => {
                    self.not_text(top);
                    self.depth += 1;
                    if let Some(eye) = &mut self.eye {
                        eye.open(byte == b'{', self.depth);
                    }
                }
                b'}' | b']' => {
                    if let Some(eye) = &mut self.eye {
                        eye.close(self.depth);
                    }
                    self.depth -= 1;
                    if self.depth == 0 {
                        self.findings.over = true;
                    }
                }
                b',' => {
                    if top {
                        self.name_next = true;
                        self.value_next = false;
                    }
                    if let Some(eye) = &mut self.eye {
                        eye.comma(self.depth);
                    }
                }
                b':' => {
                    if top {
                        self.name_next = false;
                    }
                    if let Some(eye) = &mut self.eye {
                        eye.name_next = false;
                    }
                }
                b' ' | b'\t' | b'\r' | b'\n' => {}
                b'0'..=b'9' | b'a'..=b'z' | b'+' | b'-' | b'.' | b'E' | b'I' | b'N' => {
                    if let Some(eye) = &mut self.eye {
                        eye.literal(byte);
                    }
                    self.not_text(top);
                }
                // A comment or another quotation mark of a laxer language: what follows would be
                // read differently there.
                _ if self.findings.thorough => self.findings.fail(ModelError::BadBody),
                _ => {}
            }
            if self.findings.over {
                return &[];
            }
        }
        &[]
    }

    /// A value that is not text begins.
    fn not_text(&mut self, top: bool) {
        if top && self.value_next && !self.name_next {
            self.value_next = false;
            self.findings.record(Value::Other);
        }
    }

    /// Everything up to and including the end of the string, in jumps.
    fn text<'a>(&mut self, bytes: &'a [u8], role: Role, escaped: bool) -> &'a [u8] {
        let mut rest = bytes;
        if escaped {
            let Some((first, tail)) = rest.split_first() else { return rest };
            self.keep(role, std::slice::from_ref(first));
            rest = tail;
        }
        while let Some(index) = memchr2(b'"', b'\\', rest) {
            self.keep(role, rest.get(..index).unwrap_or_default());
            if rest.get(index) == Some(&b'"') {
                self.at = At::Structure;
                self.end_of_text(role);
                return after(rest, index);
            }
            match rest.get(index..index + 2) {
                Some(escape) => self.keep(role, escape),
                None => {
                    self.keep(role, b"\\");
                    self.at = At::Text { role, escaped: true };
                    return &[];
                }
            }
            rest = after(rest, index + 1);
        }
        self.keep(role, rest);
        self.at = At::Text { role, escaped: false };
        &[]
    }

    /// Remembers a piece of a string that matters.
    fn keep(&mut self, role: Role, piece: &[u8]) {
        if let Some(eye) = &mut self.eye {
            eye.read(piece);
        }
        let limit = match role {
            Role::Other => return,
            Role::Name | Role::Inner => MAX_FIELD,
            Role::Value | Role::Text => MAX_RAW,
        };
        if self.raw.len() + piece.len() > limit {
            self.overflow = true;
        } else {
            self.raw.extend_from_slice(piece);
        }
    }

    fn end_of_text(&mut self, role: Role) {
        match role {
            Role::Other => {}
            Role::Name => {
                self.value_next = !self.overflow && self.is_field();
                self.show_name();
            }
            Role::Inner => self.show_name(),
            Role::Text => {
                if let Some(eye) = self.eye.as_mut().filter(|_| !self.overflow) {
                    eye.text(&self.raw);
                }
            }
            Role::Value => {
                self.value_next = false;
                if self.overflow {
                    return self.findings.fail(ModelError::TooLong);
                }
                match unescape(&self.raw) {
                    Some(name) => self.findings.record(Value::Text(name)),
                    // Not UTF-8, half a surrogate pair, a raw control character.
                    None => self.findings.fail(ModelError::BadName),
                }
            }
        }
    }

    fn show_name(&mut self) {
        if let Some(eye) = self.eye.as_mut().filter(|_| !self.overflow) {
            eye.name(&self.raw, self.depth);
        }
    }

    /// Whether the name that was read is the field's.
    fn is_field(&self) -> bool {
        if self.raw == self.field {
            return true;
        }
        let equals = |name: &[u8]| {
            if self.findings.thorough {
                name.eq_ignore_ascii_case(&self.field)
            } else {
                name == self.field
            }
        };
        if memchr(b'\\', &self.raw).is_none() {
            return equals(&self.raw);
        }
        unescape(&self.raw).is_some_and(|name| equals(name.as_bytes()))
    }
}

/// What follows `index`.
fn after(bytes: &[u8], index: usize) -> &[u8] {
    bytes.get(index + 1..).unwrap_or_default()
}

/// The text of a JSON string that was written as `raw`.
fn unescape(raw: &[u8]) -> Option<String> {
    // Nothing to undo, as in nearly every name.
    if raw.iter().all(|byte| matches!(byte, b' '..=b'~') && !matches!(byte, b'"' | b'\\')) {
        return String::from_utf8(raw.to_vec()).ok();
    }
    let quoted = [b"\"", raw, b"\""].concat();
    serde_json::from_slice(&quoted).ok()
}

// === multipart ===

/// Where in the form the scan is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Stage {
    /// In front of the first boundary.
    Preamble,
    /// Right behind a boundary.
    Boundary,
    /// In the headers of a part.
    Headers,
    /// In the content of a part; it is the field's.
    Content { wanted: bool },
}

/// Scans a form for one field. Holds back only what may be the beginning of a boundary, the
/// headers of a part, or the value itself.
#[derive(Debug)]
struct FormScan {
    field: String,
    /// `\n--boundary`. The carriage return in front is cut off the content.
    delimiter: Vec<u8>,
    stage: Stage,
    pending: Vec<u8>,
    /// How many bytes are gone from `pending`, counted with the one that was put in front.
    gone: usize,
    findings: Findings,
}

impl FormScan {
    fn new(boundary: &str, field: &str, thorough: bool) -> Self {
        FormScan {
            field: field.to_owned(),
            delimiter: ["\n--", boundary].concat().into_bytes(),
            stage: Stage::Preamble,
            // So that the first boundary, too, has a line end in front.
            pending: b"\n".to_vec(),
            gone: 0,
            findings: Findings::new(thorough),
        }
    }

    fn feed(&mut self, chunk: &[u8]) -> Status {
        if !self.findings.over {
            self.pending.extend_from_slice(chunk);
        }
        while !self.findings.over && self.step() {}
        self.findings.status()
    }

    fn finish(mut self) -> Result<Option<String>, ModelError> {
        if !self.findings.over && self.findings.thorough {
            self.findings.fail(ModelError::BadBody);
        }
        self.findings.finish()
    }

    /// Goes on by one stage; `false` when more bytes are needed.
    fn step(&mut self) -> bool {
        match self.stage {
            Stage::Preamble => self.content(false, true),
            Stage::Content { wanted } => self.content(wanted, false),
            Stage::Boundary => self.boundary(),
            Stage::Headers => self.headers(),
        }
    }

    fn content(&mut self, wanted: bool, preamble: bool) -> bool {
        let Some(end) = memmem::find(&self.pending, &self.delimiter) else {
            if wanted {
                if self.pending.len() >= MAX_RAW + self.delimiter.len() {
                    self.findings.fail(ModelError::TooLong);
                }
                return false;
            }
            let keep = self.delimiter.len().saturating_sub(1).min(self.pending.len());
            let drop = self.pending.len() - keep;
            self.preamble_is_empty(preamble, drop);
            self.drop_pending(drop);
            return false;
        };
        self.preamble_is_empty(preamble, end);
        if wanted && end > MAX_RAW {
            self.findings.fail(ModelError::TooLong);
            return true;
        }
        if wanted {
            // In front is the line end that the headers left.
            let value = self.pending.get(1..end).unwrap_or_default();
            let value = value.strip_suffix(b"\r").unwrap_or(value);
            // One byte of `pending` was never in the body, and one is the line end.
            let place = self.gone..self.gone + value.len();
            match std::str::from_utf8(value) {
                Ok(name) => {
                    self.findings.record(Value::Text(name.to_owned()));
                    self.findings.spans.push(place);
                }
                Err(_) => self.findings.fail(ModelError::BadName),
            }
        }
        self.drop_pending(end + self.delimiter.len());
        self.stage = Stage::Boundary;
        true
    }

    fn drop_pending(&mut self, count: usize) {
        self.pending.drain(..count);
        self.gone += count;
    }

    /// Text in front of the first boundary is ignored by those who read a form, and read by those
    /// who take the body for JSON all the same.
    fn preamble_is_empty(&mut self, preamble: bool, len: usize) {
        let text = self.pending.get(..len).unwrap_or_default();
        if preamble && self.findings.thorough && !text.trim_ascii().is_empty() {
            self.findings.fail(ModelError::BadBody);
        }
    }

    fn boundary(&mut self) -> bool {
        if self.pending.starts_with(b"--") {
            self.findings.over = true;
            return true;
        }
        let Some(end) = memchr(b'\n', &self.pending) else {
            // Behind a boundary there is at most white space.
            if self.pending.len() > MAX_PART_HEADERS {
                self.findings.fail(ModelError::BadBody);
            }
            return false;
        };
        let is_boundary = self.pending.get(..end).unwrap_or_default().trim_ascii().is_empty();
        if is_boundary {
            // The line end stays: it is in front of the empty line of a part without headers.
            self.drop_pending(end);
            self.stage = Stage::Headers;
        } else if self.findings.thorough {
            self.findings.fail(ModelError::BadBody);
        } else {
            // Content that has the boundary in it, with more behind.
            self.stage = Stage::Content { wanted: false };
        }
        true
    }

    fn headers(&mut self) -> bool {
        let windows = memmem::find(&self.pending, b"\n\r\n").map(|at| (at, 3));
        let plain = memmem::find(&self.pending, b"\n\n").map(|at| (at, 2));
        let end = match (windows, plain) {
            (Some(a), Some(b)) => Some(if a.0 <= b.0 { a } else { b }),
            (a, b) => a.or(b),
        };
        let Some((end, len)) = end.filter(|(end, _)| *end <= MAX_PART_HEADERS) else {
            if self.pending.len() > MAX_PART_HEADERS {
                self.findings.fail(ModelError::BadBody);
            }
            return false;
        };
        let headers = self.pending.get(..end).unwrap_or_default();
        let wanted = match part_name(&String::from_utf8_lossy(headers)) {
            PartName::Plain(name) => name == self.field,
            PartName::Odd if self.findings.thorough => {
                self.findings.fail(ModelError::BadBody);
                return true;
            }
            // Not one that can be told.
            PartName::Odd | PartName::None => false,
        };
        // The last line end stays, for a boundary may follow at once.
        self.drop_pending(end + len - 1);
        self.stage = Stage::Content { wanted };
        true
    }
}

/// The name of a part.
enum PartName {
    Plain(String),
    /// Twice, or in a notation (`name*=`, backslashes) that readers understand differently.
    Odd,
    None,
}

/// The name in the headers of a part.
fn part_name(headers: &str) -> PartName {
    let mut found = PartName::None;
    for line in headers.lines() {
        let Some((header, value)) = line.split_once(':') else { continue };
        if !header.trim().eq_ignore_ascii_case("content-disposition") {
            continue;
        }
        for parameter in split_parameters(value).skip(1) {
            let Some((name, value)) = parameter.split_once('=') else { continue };
            let name = name.trim();
            if name.eq_ignore_ascii_case("name*") {
                return PartName::Odd;
            }
            if !name.eq_ignore_ascii_case("name") {
                continue;
            }
            let value = value.trim();
            if value.contains('\\') || matches!(found, PartName::Plain(_)) {
                return PartName::Odd;
            }
            found = PartName::Plain(value.trim_matches('"').to_owned());
        }
    }
    found
}

/// The parts between semicolons that are not in quotation marks.
fn split_parameters(value: &str) -> impl Iterator<Item = &str> {
    let mut quoted = false;
    let mut escaped = false;
    value.split(move |c: char| {
        if escaped {
            escaped = false;
            return false;
        }
        match c {
            '\\' => escaped = quoted,
            '"' => quoted = !quoted,
            ';' => return !quoted,
            _ => {}
        }
        false
    })
}

#[cfg(test)]
mod tests;
