//! What a key and a cooling are.

use core::fmt;
use sha2::{Digest, Sha256};

use super::seal::{self, Keyring};
use super::verdict::{Reason, Scope};
use super::{MINUTE, Millis};

/// The row of a key in D1.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct KeyId(pub u64);

/// The text of a key. It has no `Display`, and `Debug` prints nothing of it, so that no log line,
/// error or panic can hold one by accident.
///
/// As D1 has it, it may be sealed. Such a text is no key: it must be opened before it is of use
/// ([`Secret::opened`]), and until then [`Secret::expose`] gives nothing.
#[derive(Clone, PartialEq, Eq)]
pub struct Secret(String, Option<Box<Sealed>>);

#[derive(Clone, PartialEq, Eq)]
struct Sealed {
    text: String,
    digest: String,
}

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Secret(…)")
    }
}

impl Secret {
    /// Takes the text as it is.
    #[must_use]
    pub const fn new(text: String) -> Self {
        Self(text, None)
    }

    /// What D1 has: the text, or a sealed one with its digest.
    #[must_use]
    pub fn stored(text: String, digest: &str) -> Self {
        if seal::is_sealed(&text) {
            Self(String::new(), Some(Box::new(Sealed { text, digest: digest.to_owned() })))
        } else {
            Self::new(text)
        }
    }

    /// The sealed text, as long as it was not opened.
    #[must_use]
    pub fn sealed(&self) -> Option<&str> {
        self.1.as_ref().map(|sealed| sealed.text.as_str())
    }

    /// The key itself; `None` when its sealing key is not here.
    #[must_use]
    pub fn opened(&self, ring: &Keyring, provider: &str) -> Option<Self> {
        match &self.1 {
            None => Some(self.clone()),
            Some(sealed) => ring.open(provider, &sealed.digest, &sealed.text).map(Self::new),
        }
    }

    /// The text, for the header of an upstream request and for D1. Nowhere else.
    #[must_use]
    pub fn expose(&self) -> &str {
        &self.0
    }

    /// What tells two keys apart without knowing them: SHA-256 in hexadecimal.
    #[must_use]
    pub fn digest(&self) -> String {
        hex(&Sha256::digest(self.0.as_bytes()))
    }

    /// What a list shows: the first and last four characters, or the first two of a short key.
    #[must_use]
    pub fn hint(&self) -> String {
        let count = self.0.chars().count();
        let head = if count >= HINT_MIN { 4 } else { 2.min(count) };
        let tail = if count >= HINT_MIN { 4 } else { 0 };
        let first: String = self.0.chars().take(head).collect();
        let last: String = self.0.chars().skip(count - tail).collect();
        format!("{first}…{last}")
    }

    /// Whether a header can hold it. Others only come with an old database: none is added.
    #[must_use]
    pub fn fits_header(&self) -> bool {
        self.0.bytes().all(|byte| byte == b' ' || byte.is_ascii_graphic()) && !self.0.is_empty()
    }

    /// Whether the key stands somewhere in this text.
    #[must_use]
    pub fn is_in(&self, text: &[u8]) -> bool {
        !self.0.is_empty() && memchr::memmem::find(text, self.0.as_bytes()).is_some()
    }

    /// The text with every occurrence of the key replaced by [`REDACTED`].
    #[must_use]
    pub fn redact(&self, text: &str) -> String {
        if self.0.is_empty() { text.to_owned() } else { text.replace(&self.0, REDACTED) }
    }
}

/// Shorter keys show no tail: four and four of 16 leave half of it unknown.
const HINT_MIN: usize = 16;

/// Stands where a key stood.
pub const REDACTED: &str = "[key]";

/// Bytes as lowercase hexadecimal.
#[must_use]
pub fn hex(bytes: &[u8]) -> String {
    use core::fmt::Write as _;
    bytes.iter().fold(String::with_capacity(bytes.len() * 2), |mut text, byte| {
        let _ = write!(text, "{byte:02x}");
        text
    })
}

/// A key as an isolate holds it.
#[derive(Debug, Clone)]
pub struct Key {
    /// Its row.
    pub id: KeyId,
    /// Its text.
    pub secret: Secret,
    /// Whether it may be picked at all.
    pub state: State,
    /// Higher is used first.
    pub priority: i32,
    /// When the row last changed, as far as this isolate knows. Guards against a refresh that
    /// started before a change and would undo it.
    pub changed_at: Millis,
    /// Its coolings, few: one per model that ever ran out. Past ones stay until a refresh drops them.
    pub coolings: Vec<Cooling>,
    /// A stamp that grows with each use: the smallest is the least recently used.
    pub used: u64,
    /// Requests of this isolate that are waiting for an answer with this key: see
    /// [`Self::waiting`].
    pub in_flight: u32,
    /// When the last of them was sent.
    pub started_at: Millis,
}

/// After this long a request that never reported its end is forgotten: a caller who hangs up can
/// take our bookkeeping with it. Longer than nearly every answer takes to begin.
const FORGOTTEN_AFTER: Millis = 5 * MINUTE;

/// What state a key is in. Cooling is not among them: it is per model and ends by itself.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum State {
    /// May be picked.
    Ready,
    /// Its provider rejected it.
    Blocked,
    /// An administrator took it out.
    Disabled,
    /// It is sealed, and no sealing key that is here opens it. Only isolates know this state: the row
    /// says what it was, and is so again once the right sealing key is back.
    Locked,
    /// An administrator deleted it; the row stays a while so that every isolate learns of it.
    Deleted,
}

impl State {
    /// The word for it in D1 and on the page.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Ready => "ready",
            Self::Blocked => "blocked",
            Self::Disabled => "disabled",
            Self::Locked => "locked",
            Self::Deleted => "deleted",
        }
    }

    /// The state of that word. An unknown word is of a newer version: such a key is not used.
    #[must_use]
    pub fn parse(word: &str) -> Self {
        match word {
            "ready" => Self::Ready,
            "blocked" => Self::Blocked,
            "deleted" => Self::Deleted,
            _ => Self::Disabled,
        }
    }
}

/// A time during which a key is not used for a model.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Cooling {
    /// The model, or [`EVERY_MODEL`], or [`FREE_MODELS`].
    pub model: String,
    /// Its end.
    pub until: Millis,
    /// When it was set.
    pub since: Millis,
    /// Who says so.
    pub source: Source,
    /// Why.
    pub reason: Reason,
    /// How many guessed coolings came in a row, without a success between them.
    pub strikes: u32,
    /// This guessed cooling was tried before its end and may not be again.
    pub retried: bool,
}

/// Who says how long a cooling lasts.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Source {
    /// The provider, or its documented reset clock: never shortened.
    Stated,
    /// We do.
    Guessed,
}

impl Source {
    /// The word for it in D1 and on the page.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Stated => "stated",
            Self::Guessed => "guessed",
        }
    }

    /// The source of that word.
    #[must_use]
    pub fn parse(word: &str) -> Self {
        if word == "stated" { Self::Stated } else { Self::Guessed }
    }
}

/// The model name of a cooling of the whole key, and of a request without a model.
pub const EVERY_MODEL: &str = "*";
/// The model name of a cooling of OpenRouter's free models, which share one quota per account.
pub const FREE_MODELS: &str = "*:free";
/// How OpenRouter's free models end.
const FREE_SUFFIX: &str = ":free";

impl Cooling {
    /// Whether this cooling covers a request for the model.
    #[must_use]
    pub fn covers(&self, model: &str) -> bool {
        self.model == model
            || self.model == EVERY_MODEL
            || (self.model == FREE_MODELS && model.ends_with(FREE_SUFFIX))
    }
}

/// The names under which a cooling of the model may be kept: see [`Cooling::covers`].
#[must_use]
pub fn covering_names(model: &str) -> Vec<&str> {
    let mut names = vec![model, EVERY_MODEL];
    if model.ends_with(FREE_SUFFIX) {
        names.push(FREE_MODELS);
    }
    names
}

/// The model name under which a cooling of that scope is kept.
#[must_use]
pub const fn cooled_name(scope: Scope, model: &str) -> &str {
    match scope {
        Scope::Model => model,
        Scope::Key => EVERY_MODEL,
        Scope::FreeModels => FREE_MODELS,
    }
}

impl Key {
    /// When the key can be used for the model: `None` now, else the end of its longest cooling.
    #[must_use]
    pub fn cooling_for(&self, model: &str, now: Millis) -> Option<&Cooling> {
        self.coolings
            .iter()
            .filter(|cooling| cooling.until > now && cooling.covers(model))
            .max_by_key(|cooling| cooling.until)
    }

    /// Requests of this isolate that wait for an answer with this key.
    #[must_use]
    pub const fn waiting(&self, now: Millis) -> u32 {
        if now.saturating_sub(self.started_at) > FORGOTTEN_AFTER { 0 } else { self.in_flight }
    }

    /// The cooling kept under exactly this name, past or present.
    #[must_use]
    pub fn cooling_named(&self, name: &str) -> Option<&Cooling> {
        self.coolings.iter().find(|cooling| cooling.model == name)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_secret_shows_itself_to_nobody() {
        let secret = Secret::new("AIzaSyD-very-secret-9999".into());
        assert_eq!(format!("{secret:?}"), "Secret(…)");
        assert_eq!(secret.hint(), "AIza…9999");
        assert_eq!(Secret::new("short".into()).hint(), "sh…");
        assert_eq!(Secret::new("x".into()).hint(), "x…");
        assert_eq!(
            Secret::new("密钥密钥密钥密钥密钥密钥密钥密钥".into()).hint(),
            "密钥密钥…密钥密钥"
        );
        assert_eq!(
            secret.redact("Consumer 'api_key:AIzaSyD-very-secret-9999' has been suspended."),
            "Consumer 'api_key:[key]' has been suspended."
        );
        assert!(secret.is_in(b"..AIzaSyD-very-secret-9999.."));
        assert_eq!(Secret::new(String::new()).redact("abc"), "abc");
        let fits = |key: &str| Secret::new(key.into()).fits_header();
        assert!(fits("AIzaSyD-very+secret/99=="));
        assert!(!fits("") && !fits("sk-a\nb") && !fits("sk-密钥"));
    }

    #[test]
    fn a_sealed_text_is_no_key_until_it_is_opened() {
        let ring = Keyring::new("AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8=", "");
        let digest = Secret::new("sk-a".into()).digest();
        let sealed = ring.seal("openai", &digest, "sk-a", [1; 12]).unwrap();
        let stored = Secret::stored(sealed.clone(), &digest);
        assert_eq!((stored.expose(), stored.sealed()), ("", Some(sealed.as_str())));
        assert!(!stored.fits_header() && !format!("{stored:?}").contains("sealed"));
        assert_eq!(stored.opened(&ring, "openai"), Some(Secret::new("sk-a".into())));
        assert_eq!(stored.opened(&Keyring::default(), "openai"), None);
        let plain = Secret::stored("sk-a".into(), &digest);
        assert_eq!(plain.opened(&Keyring::default(), "openai"), Some(plain.clone()));
        assert_eq!(plain.sealed(), None);
    }

    #[test]
    fn coolings_cover_what_they_name() {
        let cooling = |model: &str| Cooling {
            model: model.into(),
            until: 10,
            since: 0,
            source: Source::Stated,
            reason: Reason::RateLimit,
            strikes: 0,
            retried: false,
        };
        assert!(cooling("m").covers("m"));
        assert!(!cooling("m").covers("m2"));
        assert!(!cooling("m").covers(EVERY_MODEL), "a model list is not a call of the model");
        assert!(cooling(EVERY_MODEL).covers("m"));
        assert!(cooling(FREE_MODELS).covers("deepseek/deepseek-r1:free"));
        assert!(!cooling(FREE_MODELS).covers("deepseek/deepseek-r1"));
        for model in ["m", EVERY_MODEL, "deepseek/deepseek-r1", "deepseek/deepseek-r1:free"] {
            for name in ["m", EVERY_MODEL, FREE_MODELS, "deepseek/deepseek-r1:free", "other"] {
                assert_eq!(cooling(name).covers(model), covering_names(model).contains(&name));
            }
        }
    }
}
