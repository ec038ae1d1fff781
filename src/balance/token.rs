//! May this client do that? The grammar of `AUTH_KEY`, scopes, expiry, and the check.
//!
//! ```text
//! AUTH_KEY = entry { ";" entry }
//! entry    = token [ "(" unix seconds ")" ] [ "=" scope ] [ "(" unix seconds ")" ]
//! scope    = provider { "," model } { "&" provider { "," model } }
//! ```
//!
//! White space around entries and items is trimmed, empty entries are ignored. A provider is a
//! slug, `custom-...`, or `*` for every one; a model may end in `*`. The models of a provider are
//! that provider's: `a=p1,m1&p2` allows `m1` of `p1` and everything of `p2`.
//!
//! A token may contain any character but `;`, also `=`: the scope begins at the last `=` behind
//! which a valid scope stands. So `c2VjcmV0==` is one token without limits, and a token with a
//! misspelt scope is a token that nobody presents, not one without limits.
//!
//! What is kept of a token is its digest. Nothing here can print one.

use super::Millis;
use super::SECOND;
use super::problem::Problem;
use super::provider::{self, CREDENTIAL_PROTOCOLS, Provider};
use sha2::{Digest as _, Sha256};
use subtle::{Choice, ConditionallySelectable as _, ConstantTimeEq as _};

/// Shorter tokens can be guessed; the page says so. 16 random hexadecimal digits are 64 bits.
const SHORT: usize = 16;

/// Expiry times from here on are taken for milliseconds: as seconds it would be the year 5138.
const FIRST_MILLISECONDS: u64 = 100_000_000_000;

// === where tokens are ===

/// The headers in which a token is looked for, after the provider's own.
pub const TOKEN_HEADERS: &[&str] =
    &["authorization", "x-api-key", "x-goog-api-key", "api-key", "xi-api-key"];

/// [`TOKEN_HEADERS`] with the provider's own in front.
pub fn headers_of(provider: &Provider) -> impl Iterator<Item = &'static str> {
    let own = provider.key_header.name;
    std::iter::once(own).chain(TOKEN_HEADERS.iter().copied().filter(move |name| *name != own))
}

/// The token in a header of a request to that provider, which may have a scheme of its own there.
pub fn in_header<'a>(provider: &Provider, name: &str, value: &'a str) -> &'a str {
    let own = provider.key_header;
    let rest = || {
        let value = value.trim();
        let (scheme, rest) = value.split_at_checked(own.scheme.len())?;
        scheme.eq_ignore_ascii_case(own.scheme).then_some(rest.trim())
    };
    if own.name == name && !own.scheme.is_empty() {
        rest().unwrap_or_else(|| from_header(name, value))
    } else {
        from_header(name, value)
    }
}

/// The token in a header's value: without the scheme, whatever its case. Empty when there is none.
pub fn from_header<'a>(_name: &str, value: &'a str) -> &'a str {
    let value = value.trim();
    let (scheme, rest) = value.split_once([' ', '\t']).unwrap_or((value, ""));
    let is_scheme =
        ["bearer", "token", "key"].iter().any(|known| scheme.eq_ignore_ascii_case(known));
    if is_scheme { rest.trim() } else { value }
}

/// What is in a `sec-websocket-protocol` list: a token, if there is one, as in
/// `openai-insecure-api-key.{token}` or Deepgram's `token, {token}`, and the entries that are none, for
/// the upstream to choose from.
pub fn from_subprotocols(list: &str) -> (Option<&str>, Vec<&str>) {
    let mut token = None;
    let mut others = Vec::new();
    let mut items = list.split(',').map(str::trim).filter(|item| !item.is_empty());
    while let Some(item) = items.next() {
        let prefixed = CREDENTIAL_PROTOCOLS.iter().find_map(|prefix| item.strip_prefix(prefix));
        if let Some(found) = prefixed {
            token = token.or(Some(found));
        } else if item.eq_ignore_ascii_case("token") || item.eq_ignore_ascii_case("bearer") {
            token = token.or(items.next());
        } else if !item.starts_with("cf-aig-") {
            // Those are for the gateway, which gets our own.
            others.push(item);
        }
    }
    (token.filter(|token| !token.is_empty()), others)
}

// === scopes ===

/// What a token may be used for. Without rules: nothing is forbidden.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Scope {
    rules: Vec<Rule>,
}

/// One part of a scope.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Rule {
    /// A slug; `None` for `*`.
    provider: Option<String>,
    /// Names, or beginnings with a `*` behind them. Empty: every model.
    models: Vec<String>,
}

impl Scope {
    /// Reads a scope; `None` when it is not one. An empty text is the scope without limits.
    ///
    /// A nickname of a provider (`gemini`, `xai`) counts as its slug.
    pub fn parse(text: &str) -> Option<Scope> {
        if text.trim().is_empty() {
            return Some(Scope::default());
        }
        text.split('&').map(Rule::parse).collect::<Option<Vec<_>>>().map(|rules| Scope { rules })
    }

    /// Its parts: the provider (`*` for every one) and the models (none for every one).
    pub fn rules(&self) -> impl Iterator<Item = (&str, &[String])> {
        self.rules
            .iter()
            .map(|rule| (rule.provider.as_deref().unwrap_or("*"), rule.models.as_slice()))
    }

    /// Whether nothing is forbidden.
    pub fn unrestricted(&self) -> bool {
        self.rules.is_empty() || self.rules.iter().any(|rule| rule.provider.is_none() && rule.all())
    }

    /// Whether the provider may be used, be it for certain models only.
    pub fn allows_provider(&self, slug: &str) -> bool {
        self.rules.is_empty() || self.rules.iter().any(|rule| rule.covers(slug))
    }

    /// Whether this model of the provider may be used; `None` is a request that names none, which
    /// only a scope with every model of the provider allows.
    pub fn allows(&self, slug: &str, model: Option<&str>) -> bool {
        self.rules.is_empty()
            || self
                .rules
                .iter()
                .filter(|rule| rule.covers(slug))
                .any(|rule| rule.all() || model.is_some_and(|model| rule.names(model)))
    }
}

impl std::fmt::Display for Scope {
    /// As [`Scope::parse`] reads it.
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        for (index, (provider, models)) in self.rules().enumerate() {
            f.write_str(if index > 0 { "&" } else { "" })?;
            f.write_str(provider)?;
            for model in models {
                write!(f, ",{model}")?;
            }
        }
        Ok(())
    }
}

impl Rule {
    fn parse(text: &str) -> Option<Rule> {
        let mut items = text.split(',').map(str::trim);
        let first = items.next()?;
        let provider = match first {
            "*" => None,
            slug if provider::find(slug).is_some() => Some(slug.to_owned()),
            other => Some(provider::suggest(other)?.to_owned()),
        };
        // An item with nothing in it is a slip of the pen. It is dropped, but a rule that had
        // only such items must not become a rule for every model.
        let items: Vec<&str> = items.collect();
        let models: Vec<String> = items
            .iter()
            .filter(|item| !item.is_empty())
            .map(|item| item.strip_prefix("models/").unwrap_or(item).to_owned())
            .collect();
        if models.is_empty() && !items.is_empty() {
            return None;
        }
        Some(Rule { provider, models })
    }

    fn covers(&self, slug: &str) -> bool {
        self.provider.as_deref().is_none_or(|own| own == slug)
    }

    /// Whether it is for every model.
    fn all(&self) -> bool {
        self.models.is_empty() || self.models.iter().any(|model| model == "*")
    }

    fn names(&self, model: &str) -> bool {
        let model = model.strip_prefix("models/").unwrap_or(model);
        self.models.iter().any(|pattern| match pattern.strip_suffix('*') {
            Some(start) => model.starts_with(start),
            None => pattern == model,
        })
    }
}

// === tokens ===

/// One client token: never its text, only what it may do.
#[derive(Clone, PartialEq, Eq)]
pub struct Token {
    digest: [u8; 32],
    scope: Scope,
    /// From when on it is refused; `None` for never.
    pub expires: Option<Millis>,
    /// The entry of `AUTH_KEY`, from 1; 0 for a token that is not there.
    pub entry: u32,
}

impl std::fmt::Debug for Token {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Token")
            .field("id", &self.id())
            .field("scope", &self.scope)
            .field("expires", &self.expires)
            .finish_non_exhaustive()
    }
}

/// The digest by which a token is known: SHA-256 of its text.
pub fn digest(token: &str) -> [u8; 32] {
    Sha256::digest(token.as_bytes()).into()
}

impl Token {
    /// A token of which only the digest is known, such as one that was made on the page.
    pub fn new(digest: [u8; 32], scope: Scope, expires: Option<Millis>) -> Self {
        Token { digest, scope, expires, entry: 0 }
    }

    /// A short name for logs: the first 8 hexadecimal digits of the digest. It is the same in
    /// every isolate and tells nothing of a token that cannot be guessed anyway.
    pub fn id(&self) -> String {
        self.digest.iter().take(4).map(|byte| format!("{byte:02x}")).collect()
    }

    /// Its digest, for what is derived from it. Never shown.
    pub fn digest(&self) -> &[u8; 32] {
        &self.digest
    }

    /// [`Token::id`] as a number, to count by without a text.
    pub fn tag(&self) -> u32 {
        self.digest.iter().take(4).fold(0, |tag, byte| tag << 8 | u32::from(*byte))
    }

    /// What it may be used for.
    pub fn scope(&self) -> &Scope {
        &self.scope
    }

    /// Whether nothing is forbidden to it.
    pub fn unrestricted(&self) -> bool {
        self.scope.unrestricted()
    }

    /// What stands for the token of a request that goes on with an upload: a token began it, and the
    /// upload's own id lets it go on.
    #[must_use]
    pub fn of_upload() -> Self {
        Token { digest: [0; 32], scope: Scope::default(), expires: None, entry: 0 }
    }

    /// Whether it may use the provider, be it for certain models only.
    pub fn allows_provider(&self, slug: &str) -> bool {
        self.scope.allows_provider(slug)
    }

    /// Whether it may use this model of the provider (for `compat`: both as
    /// [`super::model::split_compat`] tells them). See [`Token::allows_request`] for `None`.
    pub fn allows(&self, provider: &str, model: Option<&str>) -> bool {
        self.scope.allows(provider, model)
    }

    /// [`Token::allows`] for a whole request. A request that names no model (files, batches,
    /// voices) could reach any, so a token that is limited to certain models of the provider may
    /// not make it, but for reading the list of models, which SDKs do before anything else.
    pub fn allows_request(
        &self,
        provider: &str,
        model: Option<&str>,
        method: &str,
        path: &str,
    ) -> bool {
        if self.allows(provider, model) {
            return true;
        }
        model.is_none()
            && self.allows_provider(provider)
            && matches!(method, "GET" | "HEAD")
            && path.split('/').any(|segment| segment == "models")
    }

    /// Whether its time is over.
    pub fn expired(&self, now: Millis) -> bool {
        self.expires.is_some_and(|expires| expires <= now)
    }
}

/// Why a request is not let in.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum TokenError {
    /// Nothing was presented.
    Missing,
    /// Not one of the tokens.
    Unknown,
    /// One of them, but its time is over.
    Expired,
}

/// Every token that is let in.
#[derive(Clone, Debug, Default)]
pub struct Tokens {
    tokens: Vec<Token>,
    problems: Vec<Problem>,
}

impl Tokens {
    /// Whether there is none, so that every request is refused.
    pub fn is_empty(&self) -> bool {
        self.tokens.is_empty()
    }

    /// How many there are.
    pub fn len(&self) -> usize {
        self.tokens.len()
    }

    /// The tokens.
    pub fn iter(&self) -> impl Iterator<Item = &Token> {
        self.tokens.iter()
    }

    /// Adds one, such as one that was made on the page.
    pub fn push(&mut self, token: Token) {
        self.tokens.push(token);
    }

    /// What looks wrong in `AUTH_KEY`: sentences that name an entry by its position (from 1) and
    /// never repeat any of it.
    pub fn problems(&self) -> &[Problem] {
        &self.problems
    }

    /// The token that was presented.
    ///
    /// Takes the same time whichever it is, and whether it is one at all: digests are compared,
    /// each with all, none returns early.
    ///
    /// # Errors
    ///
    /// [`TokenError`]; [`TokenError::Missing`] for an empty text.
    pub fn check(&self, presented: &str, now: Millis) -> Result<&Token, TokenError> {
        let presented = presented.trim();
        if presented.is_empty() {
            return Err(TokenError::Missing);
        }
        let digest = digest(presented);
        let mut known = Choice::from(0);
        let mut valid = Choice::from(0);
        let mut index = 0u32;
        for (position, token) in (0u32..).zip(&self.tokens) {
            let equal = token.digest.ct_eq(&digest);
            let live = equal & Choice::from(u8::from(!token.expired(now)));
            // The first that is valid counts.
            index = u32::conditional_select(&index, &position, live & !valid);
            known |= equal;
            valid |= live;
        }
        if bool::from(valid) {
            let index = usize::try_from(index).unwrap_or_default();
            return self.tokens.get(index).ok_or(TokenError::Unknown);
        }
        Err(if bool::from(known) { TokenError::Expired } else { TokenError::Unknown })
    }

    /// [`Tokens::check`] for everything that a request presents: clients fill several headers, and
    /// a placeholder in one must not hide the token in another. They are taken one by one, so a
    /// lazy iterator reads no further than the first valid one.
    ///
    /// # Errors
    ///
    /// When none is valid: `Expired` if one was, else `Unknown` if there was any, else `Missing`.
    pub fn check_any(
        &self,
        presented: impl IntoIterator<Item = impl AsRef<str>>,
        now: Millis,
    ) -> Result<&Token, TokenError> {
        let mut worst = TokenError::Missing;
        for candidate in presented {
            match self.check(candidate.as_ref(), now) {
                Ok(token) => return Ok(token),
                Err(TokenError::Expired) => worst = TokenError::Expired,
                Err(TokenError::Unknown) if worst == TokenError::Missing => {
                    worst = TokenError::Unknown;
                }
                Err(_) => {}
            }
        }
        Err(worst)
    }
}

// === the grammar ===

/// Reads `AUTH_KEY`. Never fails: what looks wrong is in [`Tokens::problems`], and an entry that
/// cannot be understood lets nobody in.
pub fn parse(auth_key: &str) -> Tokens {
    let mut out = Tokens::default();
    for (position, entry) in (1u32..).zip(auth_key.split(';')) {
        let entry = entry.trim();
        if entry.is_empty() {
            continue;
        }
        let mut problem = |code: &'static str, what: &str| {
            let sentence = format!("Entry {position} of AUTH_KEY {what}.");
            out.problems.push(Problem::new(code, sentence).with("entry", position));
        };
        let (entry, late_expiry) = split_expiry(entry);
        let (text, scope) = split_scope(entry);
        let (text, early_expiry) = split_expiry(text);
        if text.is_empty() {
            problem(
                "token_ignored",
                "has no token in front of its expiry or scope, so it is ignored",
            );
            continue;
        }
        if text.len() < SHORT {
            problem(
                "token_short",
                "is short enough to be guessed; use at least 16 random characters",
            );
        }
        if scope.is_none() && looks_scoped(text) {
            problem(
                "token_scope_unknown",
                "looks as if it had a scope, but it names no known provider; the whole entry \
                 counts as a token without limits",
            );
        }
        if scope.as_ref().is_some_and(|scope| {
            scope.rules.iter().any(|rule| rule.provider.as_deref() == Some(provider::COMPAT))
        }) {
            problem(
                "token_scope_compat",
                "has `compat` in its scope, which allows nothing: name the providers that may be \
                 used, whether through `compat` or not",
            );
        }
        // With two, the earlier counts.
        let expires = early_expiry.into_iter().chain(late_expiry).min();
        if expires.is_some_and(|expires| expires >= FIRST_MILLISECONDS) {
            problem(
                "token_expiry_milliseconds",
                "has an expiry in milliseconds; it is read as such, but seconds are meant",
            );
        }
        let expires = expires.map(|expires| {
            if expires >= FIRST_MILLISECONDS { expires } else { expires.saturating_mul(SECOND) }
        });
        let mut token = Token::new(digest(text), scope.unwrap_or_default(), expires);
        token.entry = position;
        if out.tokens.iter().any(|known| known.digest == token.digest) {
            problem(
                "token_repeated",
                "has the token of an earlier entry; the first that has not expired counts",
            );
        }
        out.tokens.push(token);
    }
    out
}

/// Splits `...(digits)` into what is in front and the number.
fn split_expiry(text: &str) -> (&str, Option<u64>) {
    let split = || {
        let (front, digits) = text.strip_suffix(')')?.rsplit_once('(')?;
        let digits = digits.trim();
        if digits.is_empty() || !digits.bytes().all(|b| b.is_ascii_digit()) {
            return None;
        }
        // More digits than fit are a time that never comes.
        Some((front.trim_end(), digits.parse().unwrap_or(u64::MAX)))
    };
    match split() {
        Some((front, seconds)) => (front, Some(seconds)),
        None => (text, None),
    }
}

/// Splits at the last `=` behind which a valid scope stands.
fn split_scope(text: &str) -> (&str, Option<Scope>) {
    for (index, _) in text.rmatch_indices('=') {
        let (Some(front), Some(behind)) = (text.get(..index), text.get(index + 1..)) else {
            continue;
        };
        if behind.trim().is_empty() {
            continue;
        }
        if let Some(scope) = Scope::parse(behind) {
            return (front.trim_end(), Some(scope));
        }
    }
    (text, None)
}

/// Whether a token without a scope was probably meant to have one: there is an `=` that is not
/// base64's padding.
fn looks_scoped(text: &str) -> bool {
    text.trim_end_matches('=').contains('=')
}

#[cfg(test)]
mod tests;
