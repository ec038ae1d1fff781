//! Which key does a conversation prefer, so that its provider finds the prompt in its cache?
//!
//! A provider caches prompts per key (or account). Requests of one conversation therefore go to one key
//! while that is healthy. Which one is computed, not remembered (rendezvous hashing): every isolate comes
//! to the same key without asking anybody, and when a key leaves the pool or cools, only its own
//! conversations move, each to the next key of its own order.
//!
//! A preference is weaker than everything else: a key that cools is never preferred, nor one of a lower
//! priority, nor one that has more than its share of the work. See [`prefer`].

use super::Millis;
use super::key::KeyId;
use super::object::{Field, What};
use super::pick::mix;
use std::collections::HashMap;

/// What tells a conversation: the var `AFFINITY`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Mode {
    /// Nothing: keys are used by turns.
    Off,
    /// What the client says on purpose: a cache key, a session, a user.
    #[default]
    Explicit,
    /// That, else the beginning of the conversation.
    Auto,
}

impl Mode {
    /// The mode of that word; `None` when there is no such word.
    #[must_use]
    pub fn parse(word: &str) -> Option<Self> {
        match word {
            "off" | "false" | "0" => Some(Self::Off),
            "explicit" | "on" | "true" | "1" => Some(Self::Explicit),
            "auto" => Some(Self::Auto),
            _ => None,
        }
    }

    /// The fields of a body that tell a conversation.
    #[must_use]
    pub const fn fields(self) -> &'static [Field] {
        match self {
            Self::Off => &[],
            Self::Explicit => EXPLICIT,
            Self::Auto => AUTO,
        }
    }
}

/// Headers that tell a conversation: what agents send with each request of a session, and what gateways
/// and providers have invented for it.
pub const HEADERS: [&str; 6] = [
    "x-session-id",
    "session_id", // Codex
    "session-id",
    "x-claude-code-session-id",
    "conversation_id",
    "x-grok-conv-id", // xAI's own, for its cache
];

/// How much a text tells of the conversation; the least number counts.
pub const BY_CACHE_KEY: u8 = 0;
/// One of [`HEADERS`].
pub const BY_HEADER: u8 = 1;
const BY_SESSION: u8 = 2;
/// A user has several conversations, but few at a time.
const BY_USER: u8 = 3;

const fn field(name: &'static str, rank: u8) -> Field {
    Field { name, top: true, member: None, what: What::Session(rank) }
}

const CACHE_KEY: Field = field("prompt_cache_key", BY_CACHE_KEY);
const SESSION: Field = field("session_id", BY_SESSION);
const USER: Field = field("user", BY_USER);
const IDENTIFIER: Field = field("safety_identifier", BY_USER);
/// Claude Code's has the session in it.
const METADATA: Field = Field { member: Some("user_id"), ..field("metadata", BY_USER) };

const EXPLICIT: &[Field] = &[CACHE_KEY, SESSION, USER, IDENTIFIER, METADATA];

const fn opening(name: &'static str) -> Field {
    Field { name, top: true, member: None, what: What::Opening }
}

const AUTO: &[Field] = &[
    CACHE_KEY,
    SESSION,
    USER,
    IDENTIFIER,
    METADATA,
    opening("system"),
    opening("instructions"),
    opening("systemInstruction"),
    opening("system_instruction"),
    opening("messages"),
    opening("contents"),
    opening("input"),
    Field { name: "role", top: false, member: None, what: What::Role },
];

/// What a text is to a conversation: any number that differs where texts do.
#[must_use]
pub fn hash(text: &[u8]) -> u64 {
    mix(text.iter().fold(Opening::START, |hash, byte| Opening::step(hash, *byte)))
}

/// The beginning of a conversation, which all its requests have in common: the system's words and the
/// first message that is not the system's.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Opening {
    hash: u64,
    /// What else is taken, of all and of this string.
    left: usize,
    left_of_string: usize,
    empty: bool,
}

impl Default for Opening {
    fn default() -> Self {
        Self {
            hash: Self::START,
            left: LONGEST_OPENING,
            left_of_string: LONGEST_STRING,
            empty: true,
        }
    }
}

/// As many bytes of the opening tell it. A long system prompt is the same for all conversations of a
/// program; what differs is behind it, so each string counts with its beginning.
const LONGEST_OPENING: usize = 64 * 1024;
/// So many bytes of one string: enough to tell a picture or a book from another.
const LONGEST_STRING: usize = 4 * 1024;

impl Opening {
    const START: u64 = 0xcbf2_9ce4_8422_2325;

    const fn step(hash: u64, byte: u8) -> u64 {
        (hash ^ byte as u64).wrapping_mul(0x0000_0100_0000_01b3)
    }

    /// A string begins.
    pub const fn string(&mut self) {
        self.left_of_string = LONGEST_STRING;
    }

    /// Takes a piece of it.
    pub fn take(&mut self, piece: &[u8]) {
        let piece = piece.get(..self.left.min(self.left_of_string)).unwrap_or(piece);
        self.hash = piece.iter().fold(self.hash, |hash, byte| Self::step(hash, *byte));
        self.left -= piece.len();
        self.left_of_string -= piece.len();
        self.empty &= piece.is_empty();
    }

    /// Nothing more is taken.
    #[must_use]
    pub const fn is_full(&self) -> bool {
        self.left == 0
    }

    /// Nothing more is taken of this string.
    #[must_use]
    pub const fn is_full_of_string(&self) -> bool {
        self.left_of_string == 0
    }

    /// What it is to the conversation, if there was one.
    #[must_use]
    pub fn finish(self) -> Option<u64> {
        (!self.empty).then_some(mix(self.hash))
    }
}

// === the preferred key ===

/// A key may have so many times its share of the requests lately, and some more, before a conversation
/// goes to its second key: what is left of a minute's quota is then spent on other keys first. Twice,
/// since the luck of hashing alone gives the busiest of 50 keys nearly that.
const SHARE: u64 = 2;
const MORE: u64 = 4;
/// So many keys of a conversation's order are looked at. When none of them will do, keys are used by
/// turns, which finds the idlest.
const LOOK: usize = 8;

/// The first key of the conversation's order that will do. The order is by a hash of both.
pub fn prefer(
    mut keys: Vec<KeyId>,
    conversation: u64,
    mut will_do: impl FnMut(KeyId) -> bool,
) -> Option<KeyId> {
    for _ in 0..LOOK {
        let (at, first) = keys
            .iter()
            .enumerate()
            .max_by_key(|(_, id)| mix(conversation ^ mix(id.0)))
            .map(|(at, id)| (at, *id))?;
        if will_do(first) {
            return Some(first);
        }
        keys.swap_remove(at);
    }
    None
}

/// Whether a key with which so many requests wait may have one more: a quarter more than its share of
/// them all, and at least two.
#[must_use]
pub const fn may_wait(waiting: u32, total: u32, keys: usize) -> bool {
    let keys = if keys == 0 { 1 } else { keys as u64 };
    (waiting as u64) < 1 + ((total as u64 + 1) * 5).div_ceil(keys * 4)
}

/// How many requests were sent lately with each key: in this minute and the one before.
#[derive(Debug, Default)]
pub struct Shares {
    minute: u64,
    now: HashMap<KeyId, u32>,
    before: HashMap<KeyId, u32>,
    total: [u32; 2],
}

impl Shares {
    fn turn(&mut self, now: Millis) {
        let minute = now / super::MINUTE;
        if minute == self.minute {
            return;
        }
        let last = core::mem::take(&mut self.now);
        let [total, _] = self.total;
        let follows = minute == self.minute + 1;
        self.before = if follows { last } else { HashMap::new() };
        self.total = [0, if follows { total } else { 0 }];
        self.minute = minute;
    }

    /// A request is sent with the key.
    pub fn sent(&mut self, key: KeyId, now: Millis) {
        self.turn(now);
        *self.now.entry(key).or_default() += 1;
        let [total, _] = &mut self.total;
        *total += 1;
    }

    /// How many were sent with it in the last minute or two.
    pub fn recent(&mut self, key: KeyId, now: Millis) -> u32 {
        self.turn(now);
        let in_both =
            [&self.now, &self.before].map(|counts| counts.get(&key).copied().unwrap_or(0));
        in_both.iter().sum()
    }

    /// Whether a key may have one more, of so many keys that share the work.
    pub fn has_room(&mut self, key: KeyId, keys: usize, now: Millis) -> bool {
        let recent = u64::from(self.recent(key, now));
        let total = self.total.iter().copied().map(u64::from).sum::<u64>() + 1;
        recent < MORE + (total * SHARE).div_ceil((keys as u64).max(1))
    }
}

#[cfg(test)]
mod tests {
    use super::super::MINUTE;
    use super::super::model::Scanner;
    use super::*;

    /// Keys and what they have to do.
    #[derive(Default)]
    struct Pool {
        keys: Vec<KeyId>,
        waiting: HashMap<KeyId, u32>,
        shares: Shares,
        scarce: Option<KeyId>,
    }

    fn pool(count: u64) -> Pool {
        Pool { keys: (1..=count).map(KeyId).collect(), ..Pool::default() }
    }

    impl Pool {
        fn prefer(&mut self, conversation: u64) -> Option<KeyId> {
            let (count, total) = (self.keys.len(), self.waiting.values().sum());
            prefer(self.keys.clone(), conversation, |id| {
                let waiting = self.waiting.get(&id).copied().unwrap_or(0);
                self.scarce != Some(id)
                    && may_wait(waiting, total, count)
                    && self.shares.has_room(id, count, MINUTE)
            })
        }
    }

    fn session(body: &str, mode: Mode) -> Option<u64> {
        let find = |size| {
            let mut scan = Scanner::new(None, "model", false).watch(&[]).sessions(mode);
            body.as_bytes().chunks(size).for_each(|chunk| _ = scan.feed(chunk));
            scan.watched().session()
        };
        let whole = find(usize::MAX);
        for size in 1..7 {
            assert_eq!(find(size), whole, "{body} in pieces of {size}");
        }
        whole
    }

    #[test]
    fn a_body_tells_its_conversation() {
        let explicit = |body: &str| session(body, Mode::Explicit);
        let of = |text: &str| Some(hash(text.as_bytes()));
        assert_eq!(explicit(r#"{"model":"m","prompt_cache_key":"a","user":"u"}"#), of("a"));
        assert_eq!(explicit(r#"{"user":"u","model":"m","prompt_cache_key":"a"}"#), of("a"));
        assert_eq!(explicit(r#"{"user":"u","metadata":{"user_id":"x"}}"#), of("u"), "the first");
        assert_eq!(explicit(r#"{"metadata":{"user_id":"x","more":1}}"#), of("x"));
        assert_eq!(explicit(r#"{"messages":[{"user":"u","metadata":{"user_id":"x"}}]}"#), None);
        assert_eq!(explicit(r#"{"user":"","prompt_cache_key":null}"#), None);
        assert_eq!(session(r#"{"user":"u"}"#, Mode::Off), None);
    }

    #[test]
    fn the_beginning_of_a_conversation_tells_it() {
        let auto = |body: &str| session(body, Mode::Auto);
        let first = auto(
            r#"{"model":"m","messages":[{"role":"system","content":"be nice"},{"role":"user","content":"hi"}]}"#,
        );
        assert!(first.is_some());
        let later = r#"{"model":"m","messages":[{"role":"system","content":"be nice"},{"role":"user","content":"hi"},
            {"role":"assistant","content":"hello"},{"role":"user","content":"more"}],"temperature":1}"#;
        assert_eq!(auto(later), first);
        let other = r#"{"model":"m","messages":[{"role":"system","content":"be nice"},{"role":"user","content":"ho"}]}"#;
        assert_ne!(auto(other), first);
        assert_eq!(
            auto(r#"{"user":"u","input":"x"}"#),
            Some(hash(b"u")),
            "what is said counts more"
        );
        for (first, later, other) in [
            (
                r#"{"input":"hi","instructions":"i"}"#,
                r#"{"input":"hi","instructions":"i"}"#,
                r#"{"input":"ho","instructions":"i"}"#,
            ),
            (
                r#"{"system":[{"type":"text","text":"s"}],"messages":[{"content":"hi","role":"user"}]}"#,
                r#"{"system":[{"type":"text","text":"s"}],"messages":[{"content":"hi","role":"user"},{"role":"assistant","content":"x"}]}"#,
                r#"{"system":[{"type":"text","text":"t"}],"messages":[{"content":"hi","role":"user"}]}"#,
            ),
            (
                r#"{"contents":[{"parts":[{"text":"hi"}]}]}"#,
                r#"{"contents":[{"parts":[{"text":"hi"}]},{"role":"model","parts":[{"text":"x"}]}]}"#,
                r#"{"contents":[{"parts":[{"text":"ho"}]}]}"#,
            ),
        ] {
            assert!(auto(first).is_some(), "{first}");
            assert_eq!(auto(first), auto(later), "{later}");
            assert_ne!(auto(first), auto(other), "{other}");
        }
        assert_eq!(auto(r#"{"model":"m"}"#), None);
    }

    #[test]
    fn a_conversation_stays_and_only_those_of_a_lost_key_move() {
        let (mut all, mut without, mut scarce) = (pool(50), pool(50), pool(50));
        without.keys.retain(|id| *id != KeyId(7));
        scarce.scarce = Some(KeyId(7));
        let mut moved = 0;
        for conversation in (0..2_000).map(mix) {
            let first = all.prefer(conversation).unwrap();
            let then = without.prefer(conversation).unwrap();
            if first == KeyId(7) {
                moved += 1;
                assert_eq!(scarce.prefer(conversation), Some(then), "its second key");
            } else {
                assert_eq!(first, then);
            }
        }
        assert!((20..70).contains(&moved), "{moved} of 2000");
        assert_eq!(pool(0).prefer(1), None);
    }

    #[test]
    fn nobody_gets_more_than_a_share() {
        // One conversation that asks and asks: other keys take what is over its key's share.
        let mut keys = pool(10);
        let mut sent: HashMap<KeyId, u32> = HashMap::new();
        for _ in 0..200 {
            let Some(id) = keys.prefer(1) else { continue };
            keys.shares.sent(id, MINUTE);
            *sent.entry(id).or_default() += 1;
        }
        let most = *sent.values().max().unwrap();
        assert!((20..=46).contains(&most), "{sent:?}");
        assert!(sent.len() >= 5, "{sent:?}");
        // And while none has answered yet.
        let mut keys = pool(10);
        for _ in 0..100 {
            let Some(id) = keys.prefer(1) else { continue };
            *keys.waiting.entry(id).or_default() += 1;
        }
        assert!(keys.waiting.values().all(|waiting| *waiting <= 14), "{:?}", keys.waiting);
    }

    #[test]
    fn shares_are_of_the_last_minutes() {
        let mut shares = Shares::default();
        shares.sent(KeyId(1), MINUTE);
        shares.sent(KeyId(1), 2 * MINUTE);
        assert_eq!(shares.recent(KeyId(1), 2 * MINUTE + 1), 2);
        assert_eq!(shares.recent(KeyId(1), 3 * MINUTE), 1);
        assert_eq!(shares.recent(KeyId(1), 5 * MINUTE), 0);
        assert_eq!(shares.recent(KeyId(2), 5 * MINUTE), 0);
    }

    /// What prompt caches are worth: 5,000 requests of 500 conversations over 50 keys, in any order. A
    /// request repeats all that was said before it, and what a key has seen is in its cache. Returns how
    /// much of what could be cached was, and how much more than the mean the busiest key had to do.
    fn simulate(affine: bool) -> (f64, f64) {
        const REQUESTS: u32 = 5_000;
        let mut keys = pool(50);
        let mut sent: HashMap<KeyId, u32> = HashMap::new();
        let mut turns = HashMap::new();
        let mut seen = HashMap::new();
        let (mut known, mut cached) = (0, 0);
        for request in 0..u64::from(REQUESTS) {
            let conversation = mix(request) % 500;
            let preferred = if affine { keys.prefer(mix(conversation)) } else { None };
            let by_turns = || {
                let order = |id: &KeyId| (sent.get(id).copied().unwrap_or(0), mix(id.0 ^ request));
                keys.keys.iter().copied().min_by_key(order).unwrap()
            };
            let id = preferred.unwrap_or_else(by_turns);
            keys.shares.sent(id, MINUTE);
            *sent.entry(id).or_default() += 1;
            let turn: &mut u32 = turns.entry(conversation).or_default();
            known += *turn;
            *turn += 1;
            cached += seen.insert((conversation, id), *turn).unwrap_or(0);
        }
        let most = *sent.values().max().unwrap();
        (f64::from(cached) / f64::from(known), f64::from(most) * 50.0 / f64::from(REQUESTS))
    }

    #[test]
    fn prompts_are_in_the_cache_and_keys_have_their_share() {
        let (hits, most) = simulate(true);
        let (hits_by_turns, most_by_turns) = simulate(false);
        println!(
            "affinity: {hits:.3} of what can be cached is, the busiest key does {most:.2} of the mean"
        );
        println!("by turns: {hits_by_turns:.3}, {most_by_turns:.2}");
        assert!(hits > 0.9 && hits_by_turns < 0.2, "{hits} {hits_by_turns}");
        assert!(most < 2.1 && most_by_turns < 1.1, "{most} {most_by_turns}");
    }
}
