//! What a key and a cooling are.

use core::fmt;
use std::borrow::Cow;

use sha2::{Digest, Sha256};

use super::home::{self, Wanted};
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
    /// Keys of a provider with the same text here share their quotas; empty: this one shares none.
    /// Where keys belong to a place, it is the name of that: see [`home`].
    pub project: String,
    /// Grows with every change of the row or of its coolings in D1, so that answers that arrive in
    /// the wrong order are told apart.
    pub version: Millis,
    /// When it last became ready, on D1's clock. A block is only of worth against the one that was
    /// known when the request was sent: see [`Change::Block`](super::snapshot::Change::Block).
    pub ready_since: Millis,
    /// Its coolings, few: one per model that ever ran out. Past ones stay until they are pruned.
    pub coolings: Vec<Cooling>,
    /// Requests of this isolate that wait for an answer with this key.
    pub waiting: Waiting,
}

/// Requests that wait for an answer. One that never reported its end (a caller who hangs up can take
/// our bookkeeping with it) is forgotten after one to two spans: longer than nearly every answer
/// takes to begin.
#[derive(Debug, Clone, Copy, Default)]
pub struct Waiting {
    /// The span in which the last one began.
    span: u64,
    /// How many of it wait.
    now: u32,
    /// How many of the span before it wait.
    before: u32,
}

/// The span of [`Waiting`].
const SPAN: Millis = 5 * MINUTE;

impl Waiting {
    /// A request is sent.
    pub const fn begin(&mut self, now: Millis) {
        self.turn(now / SPAN);
        self.now = self.now.saturating_add(1);
    }

    /// One that was sent at `started` has its answer, or will have none.
    pub const fn end(&mut self, started: Millis) {
        let span = started / SPAN;
        if span == self.span {
            self.now = self.now.saturating_sub(1);
        } else if span + 1 == self.span {
            self.before = self.before.saturating_sub(1);
        }
    }

    /// How many wait.
    #[must_use]
    pub const fn count(mut self, now: Millis) -> u32 {
        self.turn(now / SPAN);
        self.now.saturating_add(self.before)
    }

    const fn turn(&mut self, span: u64) {
        if span != self.span {
            self.before = if span == self.span + 1 { self.now } else { 0 };
            self.now = 0;
            self.span = span;
        }
    }
}

/// What state a key is in. Cooling is not among them: it is per model and ends by itself.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum State {
    /// May be picked.
    Ready,
    /// Its provider rejected it.
    Blocked,
    /// An administrator took it out.
    Disabled,
    /// It is sealed, and no sealing key that is here opens it; or only an AI Gateway could use it, and
    /// there is none. Only isolates know this state: the row says what it was, and is so again once the
    /// right sealing key is back.
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
    /// A success of this isolate showed that this guess was wrong: it does not hold here any more.
    pub disproved: bool,
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
    /// Whether it keeps the key from being used.
    #[must_use]
    pub const fn runs(&self, now: Millis) -> bool {
        self.until > now && !self.disproved
    }

    /// Guesses in a row, if the next one goes on counting from this one.
    #[must_use]
    pub const fn counted(&self) -> u32 {
        if self.disproved { 0 } else { self.strikes }
    }

    /// Whether another one for the same key and name takes its place. This is the one rule about two
    /// coolings: in an isolate's memory, and as the guard of every write in D1, so that both end up
    /// with the same one.
    ///
    /// - What an administrator ended (`until` 0 since then) gives way only to what began after it.
    /// - What was over when the new one began gives way.
    /// - An end that was stated stands over a guess, also over one that ends later, unless that guess
    ///   was made afterwards.
    /// - Of two of a kind, the later end counts.
    #[must_use]
    pub fn gives_way_to(&self, new: &Self) -> bool {
        if self.until == 0 {
            return new.since > self.since;
        }
        if self.until <= new.since {
            return true;
        }
        match (self.source, new.source) {
            (Source::Guessed, Source::Stated) => new.since >= self.since || new.until > self.until,
            (Source::Stated, Source::Guessed) => false,
            _ => self.disproved || new.until > self.until,
        }
    }

    /// Whether both are the same row of D1.
    #[must_use]
    pub fn is_same_row(&self, other: &Self) -> bool {
        self.until == other.until && self.since == other.since && self.source == other.source
    }

    /// Whether this cooling covers what a request wants.
    #[must_use]
    pub fn covers<'a>(&self, wanted: impl Into<Wanted<'a>>) -> bool {
        let wanted = wanted.into();
        self.model == wanted.model
            || self.model == EVERY_MODEL
            || (self.model == FREE_MODELS && wanted.model.ends_with(FREE_SUFFIX))
            || wanted.home.is_some_and(|home| home::is_all_of(&self.model, home))
    }
}

/// The names under which a cooling may be kept that covers this: see [`Cooling::covers`].
#[must_use]
pub fn covering_names<'a>(wanted: impl Into<Wanted<'a>>) -> Vec<Cow<'a, str>> {
    let wanted = wanted.into();
    let mut names = vec![Cow::Borrowed(wanted.model), Cow::Borrowed(EVERY_MODEL)];
    if wanted.model.ends_with(FREE_SUFFIX) {
        names.push(Cow::Borrowed(FREE_MODELS));
    }
    names.extend(wanted.home.map(|home| Cow::Owned(home::all_of(home))));
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
    /// What keeps the key itself from being used for this: `None`, else the cooling that ends
    /// last. Coolings of its project are not looked at.
    #[must_use]
    pub fn cooling_for<'a>(&self, wanted: impl Into<Wanted<'a>>, now: Millis) -> Option<&Cooling> {
        let wanted = wanted.into();
        self.coolings
            .iter()
            .filter(|cooling| cooling.runs(now) && cooling.covers(wanted))
            .max_by_key(|cooling| cooling.until)
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
            disproved: false,
        };
        assert!(cooling("m").covers("m"));
        assert!(!cooling("m").covers("m2"));
        assert!(!cooling("m").covers(EVERY_MODEL), "a model list is not a call of the model");
        assert!(cooling(EVERY_MODEL).covers("m"));
        assert!(cooling(FREE_MODELS).covers("deepseek/deepseek-r1:free"));
        assert!(!cooling(FREE_MODELS).covers("deepseek/deepseek-r1"));
        for model in ["m", EVERY_MODEL, "deepseek/deepseek-r1", "deepseek/deepseek-r1:free"] {
            for name in ["m", EVERY_MODEL, FREE_MODELS, "deepseek/deepseek-r1:free", "other"] {
                assert_eq!(
                    cooling(name).covers(model),
                    covering_names(model).contains(&Cow::Borrowed(name))
                );
            }
        }
    }

    #[test]
    fn a_key_that_is_not_at_home_cools_there_and_nowhere_else() {
        let cooling = Cooling {
            model: home::all_of("mine"),
            until: 10,
            since: 0,
            source: Source::Guessed,
            reason: Reason::Invalid,
            strikes: 0,
            retried: false,
            disproved: false,
        };
        for (home, covered) in [(Some("mine"), true), (Some("other"), false), (None, false)] {
            let wanted = Wanted { model: "gpt", home };
            assert_eq!(cooling.covers(wanted), covered, "{home:?}");
            let names = covering_names(wanted);
            assert_eq!(names.iter().any(|name| *name == cooling.model), covered);
        }
    }

    #[test]
    fn one_rule_for_two_coolings() {
        use Source::{Guessed, Stated};
        let of = |since, until, source| Cooling {
            model: "m".into(),
            until,
            since,
            source,
            reason: Reason::RateLimit,
            strikes: 0,
            retried: false,
            disproved: false,
        };
        for (old, new, gives_way) in [
            (of(10, 50, Stated), of(20, 60, Stated), true),
            (of(10, 50, Stated), of(20, 50, Stated), false),
            (of(10, 50, Stated), of(20, 40, Stated), false),
            (of(10, 50, Stated), of(20, 90, Guessed), false),
            (of(10, 50, Stated), of(50, 60, Guessed), true),
            (of(10, 50, Guessed), of(20, 30, Stated), true),
            (of(10, 50, Guessed), of(9, 30, Stated), false),
            (of(10, 50, Guessed), of(9, 60, Stated), true),
            (of(10, 50, Guessed), of(20, 40, Guessed), false),
            (of(10, 50, Guessed), of(20, 60, Guessed), true),
            // Ended by an administrator at 30.
            (of(30, 0, Stated), of(30, 90, Stated), false),
            (of(30, 0, Stated), of(29, 90, Stated), false),
            (of(30, 0, Stated), of(31, 90, Guessed), true),
        ] {
            assert_eq!(old.gives_way_to(&new), gives_way, "{old:?} {new:?}");
            assert!(!new.gives_way_to(&new), "a write that is repeated changes nothing");
        }
    }

    #[test]
    fn a_request_that_never_ends_is_forgotten_and_one_that_does_is_not_counted_twice() {
        let mut waiting = Waiting::default();
        let start = 100 * SPAN;
        waiting.begin(start);
        waiting.begin(start + SPAN);
        assert_eq!(waiting.count(start + SPAN), 2);
        waiting.end(start);
        assert_eq!(waiting.count(start + SPAN), 1);
        assert_eq!(waiting.count(start + 2 * SPAN), 1);
        assert_eq!(waiting.count(start + 3 * SPAN), 0);
        waiting.begin(start + 3 * SPAN);
        waiting.end(start + SPAN); // long forgotten
        assert_eq!(waiting.count(start + 3 * SPAN), 1);
        assert_eq!(waiting.count(start), 0, "a clock that went back forgets");
    }
}
