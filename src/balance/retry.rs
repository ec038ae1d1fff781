//! What happens with the request after an answer: return it, or try another key.
//!
//! [`Course`] is the course of one client request over its attempts. It also holds back rejections
//! that rest on a bare status until the end of the request shows whose fault they were (the
//! mass-failure rule, [`Course::settle`]).

use super::home::Wanted;
use super::key::KeyId;
use super::pick::{Pick, pick, preferred};
use super::snapshot::{Change, Snapshot};
use super::verdict::Verdict;
use super::{MINUTE, Millis, SECOND};

/// Keys that one client request may use when `MAX_ATTEMPTS` does not say.
pub const DEFAULT_MAX_ATTEMPTS: u32 = 12;
/// And at the most: the Free plan allows 50 subrequests. Five are kept: the gateway's address, two
/// reads of keys, one write of changes, one spare.
pub const MOST_ATTEMPTS: u32 = 45;
/// Attempts after a fault that no key is to blame for.
const MAX_TRANSIENT_RETRIES: u32 = 2;
/// The same where the work may have been done already: once may be luck, twice is a pattern.
const MAX_UNCERTAIN_RETRIES: u32 = 1;
/// First pause after such a fault; doubled the second time, and spread by jitter.
const FIRST_PAUSE: Millis = 200;
/// A caller waits no longer than this between two attempts, whatever the provider asks for.
const LONGEST_PAUSE: Millis = 5 * SECOND;
/// No attempt begins later than this after the request: most clients have given up by then, and what
/// is left is to pay for answers that nobody reads. One attempt may take as long as its provider does.
const LONGEST_COURSE: Millis = 5 * MINUTE;
/// So many different keys rejected alike, and none accepted: it is not the keys.
const MASS_FAILURE: usize = 3;

/// Paths whose work is paid per call, takes long, and cannot be asked for twice without paying
/// twice: generated pictures, speech, music and films, and queued predictions.
const ONE_SHOT: [&str; 13] = [
    "images/generations",
    "images/edits",
    "images/variations",
    "audio/speech",
    "text-to-speech",
    "sound-generation",
    "tts/",
    "videos",
    "predictions",
    "ideogram-", // v1/ideogram-v3/generate
    ":predict",  // Imagen, and Veo's :predictLongRunning
    "v1/speak",
    "fal-ai/",
];

/// What to do with the request.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Next {
    /// Give the caller this answer.
    Return,
    /// Try again after so many milliseconds.
    TryNext {
        /// The pause.
        after: Millis,
    },
    /// The budget is used up: give the caller this answer, and tell it when to come back.
    GiveUp,
}

/// The course of one client request.
#[derive(Debug)]
pub struct Course {
    max_attempts: u32,
    one_shot: bool,
    /// What tells the conversation that the request is part of.
    conversation: Option<u64>,
    attempts: u32,
    transients: u32,
    /// Keys that must not be tried again in this request.
    spent: Vec<KeyId>,
    /// Keys that are innocent of a fault and are tried again only if there is no other.
    avoided: Vec<KeyId>,
    held: Vec<Held>,
    /// A key was let in by the provider, so rejected keys were at fault themselves.
    vouched: bool,
}

/// A rejection that rests on a bare status.
#[derive(Debug)]
struct Held {
    change: Change,
    shape: Shape,
}

/// What became of the rejections that were held back.
#[derive(Debug, PartialEq, Eq)]
pub struct Settled {
    /// Blocks that are due after all.
    pub changes: Vec<Change>,
    /// So many keys were rejected alike that the cause must lie elsewhere; none of them is blocked.
    pub mass_failure: bool,
}

impl Course {
    /// The course of a request to `path` of a provider. `max_attempts` is capped at [`MOST_ATTEMPTS`].
    #[must_use]
    pub fn new(method: &str, path: &str, max_attempts: u32) -> Self {
        Self {
            max_attempts: max_attempts.clamp(1, MOST_ATTEMPTS),
            one_shot: method == "POST" && ONE_SHOT.iter().any(|part| path.contains(part)),
            conversation: None,
            attempts: 0,
            transients: 0,
            spent: Vec::new(),
            avoided: Vec::new(),
            held: Vec::new(),
            vouched: false,
        }
    }

    /// Allows so many attempts at the most.
    pub fn limit(&mut self, attempts: u32) {
        self.max_attempts = self.max_attempts.min(attempts.max(1));
    }

    /// The same for a request that is part of a conversation, which prefers a key.
    #[must_use]
    pub const fn of_conversation(mut self, conversation: Option<u64>) -> Self {
        self.conversation = conversation;
        self
    }

    /// Attempts so far.
    #[must_use]
    pub const fn attempts(&self) -> u32 {
        self.attempts
    }

    /// Chooses the key of the next attempt.
    #[must_use]
    pub fn pick<'a>(
        &self,
        snapshot: &mut Snapshot,
        wanted: impl Into<Wanted<'a>>,
        now: Millis,
    ) -> Pick {
        let wanted = wanted.into();
        let tried: Vec<_> = self.spent.iter().chain(&self.avoided).copied().collect();
        if let Some(conversation) = self.conversation
            && let Some(id) = preferred(snapshot, &tried, wanted, now, conversation)
        {
            return Pick::Key { id, early: false };
        }
        if self.avoided.is_empty() {
            return pick(snapshot, &self.spent, wanted, now);
        }
        match pick(snapshot, &tried, wanted, now) {
            found @ Pick::Key { early: false, .. } => found,
            _ => pick(snapshot, &self.spent, wanted, now),
        }
    }

    /// Whether another attempt with this key may help.
    #[must_use]
    pub fn may_try(&self, key: KeyId) -> bool {
        !self.spent.contains(&key)
    }

    /// Takes the verdict of an attempt. `change` is what [`health`](super::health) made of it and
    /// `shape` what the answer looked like. Returns what to do with the request, and the
    /// change if it is to be made now; an uncertain rejection stays here until [`Self::settle`].
    pub fn take(
        &mut self,
        key: KeyId,
        verdict: &Verdict,
        change: Option<Change>,
        shape: Shape,
        seed: u64,
    ) -> (Next, Option<Change>) {
        self.attempts += 1;
        let more = self.attempts < self.max_attempts;
        let next_key = if more { Next::TryNext { after: 0 } } else { Next::GiveUp };
        match *verdict {
            Verdict::Success => {
                self.vouched = true;
                (Next::Return, change)
            }
            Verdict::Caller | Verdict::Egress | Verdict::Gateway { .. } => (Next::Return, None),
            Verdict::Cool { .. } => {
                self.vouched = true; // a limit is only told to whom the provider knows
                self.spent.push(key);
                (next_key, change)
            }
            Verdict::Reject { certain, .. } => {
                self.spent.push(key);
                if certain {
                    return (next_key, change);
                }
                self.held.extend(change.map(|change| Held { change, shape }));
                (next_key, None)
            }
            Verdict::Transient { elsewhere, after, unexecuted } => {
                let allowed = match (unexecuted, self.one_shot) {
                    (true, _) => MAX_TRANSIENT_RETRIES,
                    (false, false) => MAX_UNCERTAIN_RETRIES,
                    (false, true) => 0,
                };
                if self.transients >= allowed || !more {
                    return (Next::GiveUp, None);
                }
                if elsewhere {
                    self.avoided.push(key);
                }
                let pause = jittered(FIRST_PAUSE << self.transients, seed).max(after);
                self.transients += 1;
                (Next::TryNext { after: pause.min(LONGEST_PAUSE) }, None)
            }
        }
    }

    /// [`Next`] as it is when the request began at `began` and it is now `now`.
    #[must_use]
    pub const fn in_time(next: Next, began: Millis, now: Millis) -> Next {
        match next {
            Next::TryNext { .. } if now.saturating_sub(began) >= LONGEST_COURSE => Next::GiveUp,
            _ => next,
        }
    }

    /// The request is over: what becomes of the rejections that were held back.
    ///
    /// If another key was let in, the rejected ones were at fault. If none was and at least
    /// [`MASS_FAILURE`] were rejected alike, the cause is not the keys: a gateway that wants a token,
    /// a file of another key, a provider that is down. Then nothing is changed.
    #[must_use]
    pub fn settle(&mut self) -> Settled {
        let held = core::mem::take(&mut self.held);
        let alike = |shape| held.iter().filter(|other| other.shape == shape).count();
        let mass_failure =
            !self.vouched && held.iter().any(|rejection| alike(rejection.shape) >= MASS_FAILURE);
        let changes = if mass_failure {
            Vec::new()
        } else {
            held.into_iter().map(|held| held.change).collect()
        };
        Settled { changes, mass_failure }
    }
}

/// Half to one and a half of it.
const fn jittered(pause: Millis, seed: u64) -> Millis {
    pause / 2 + super::pick::mix(seed) % (pause + 1)
}

/// What an answer looks like, whatever ids, times and names stand in it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Shape {
    status: u16,
    /// Of the letters of the body that are not part of a word with digits.
    words: u64,
}

impl Shape {
    /// No answer came.
    pub const NONE: Self = Self { status: 0, words: 0 };

    /// The shape of an answer with that status and body.
    #[must_use]
    pub fn of(status: u16, body: &[u8]) -> Self {
        // 64-bit FNV-1a.
        const OFFSET: u64 = 0xcbf2_9ce4_8422_2325;
        const PRIME: u64 = 0x0100_0000_01b3;
        const READ: usize = 512;
        let words = body
            .get(..READ.min(body.len()))
            .unwrap_or_default()
            .split(|byte| !byte.is_ascii_alphanumeric())
            .filter(|word| word.iter().all(u8::is_ascii_alphabetic))
            .flatten()
            .fold(OFFSET, |hash, &byte| (hash ^ u64::from(byte)).wrapping_mul(PRIME));
        Self { status, words }
    }
}

#[cfg(test)]
mod tests {
    use super::super::snapshot::tests::{cooling, key, snapshot};
    use super::super::verdict::{Reason, Scope, Wait};
    use super::*;
    use crate::balance::key::Source;

    const CERTAIN: Verdict = Verdict::Reject { reason: Reason::Invalid, certain: true };
    const BARE: Verdict = Verdict::Reject { reason: Reason::Unauthorized, certain: false };
    const OVERLOADED: Verdict = Verdict::Transient { elsewhere: true, after: 0, unexecuted: true };
    const TIMEOUT: Verdict = Verdict::Transient { elsewhere: true, after: 0, unexecuted: false };
    const LIMITED: Verdict = Verdict::Cool {
        scope: Scope::Model,
        wait: Wait::Guessed(60_000),
        reason: Reason::RateLimit,
    };

    fn course() -> Course {
        Course::new("POST", "v1/messages", 4)
    }

    const fn block(id: u64) -> Change {
        Change::Block {
            key: KeyId(id),
            reason: Reason::Unauthorized,
            certain: false,
            ready_since: 0,
        }
    }

    fn take(course: &mut Course, id: u64, verdict: &Verdict) -> Next {
        course.take(KeyId(id), verdict, None, Shape::NONE, 7).0
    }

    fn reject(course: &mut Course, id: u64, words: &str) {
        let shape = Shape::of(401, words.as_bytes());
        let (next, now) = course.take(KeyId(id), &BARE, Some(block(id)), shape, 0);
        assert_eq!(now, None, "held back");
        assert_ne!(next, Next::Return);
    }

    #[test]
    fn returns_what_another_key_would_not_change() {
        for verdict in
            [Verdict::Success, Verdict::Caller, Verdict::Egress, Verdict::Gateway { code: 2009 }]
        {
            assert_eq!(take(&mut course(), 1, &verdict), Next::Return, "{verdict:?}");
        }
    }

    #[test]
    fn tries_other_keys_until_the_budget_ends() {
        let mut course = course();
        for id in 1..4 {
            let verdict = if id == 2 { CERTAIN } else { LIMITED };
            assert_eq!(take(&mut course, id, &verdict), Next::TryNext { after: 0 });
        }
        assert_eq!(take(&mut course, 4, &LIMITED), Next::GiveUp);
        assert_eq!(Course::new("GET", "models", 1000).max_attempts, MOST_ATTEMPTS);
        assert_eq!(Course::new("GET", "models", 0).max_attempts, 1);
    }

    #[test]
    fn never_uses_a_key_again_that_was_at_fault_and_an_innocent_one_only_as_the_last() {
        let mut pool = snapshot([key(1), key(2), key(3)]);
        let mut course = course();
        take(&mut course, 1, &LIMITED);
        take(&mut course, 2, &OVERLOADED);
        let mut chosen = |course: &Course| match course.pick(&mut pool, "m", 0) {
            Pick::Key { id, .. } => id.0,
            other => panic!("{other:?}"),
        };
        assert_eq!(chosen(&course), 3);
        take(&mut course, 3, &CERTAIN);
        assert_eq!(chosen(&course), 2);
    }

    #[test]
    fn an_innocent_key_comes_before_one_that_still_cools() {
        let mut pool = snapshot([key(1), key(2)]);
        let cool = cooling("m", 0, 100, Source::Guessed);
        pool.apply(&Change::Cool { key: KeyId(2), cooling: cool }, 0);
        let mut course = course();
        take(&mut course, 1, &OVERLOADED);
        assert_eq!(course.pick(&mut pool, "m", 60), Pick::Key { id: KeyId(1), early: false });
    }

    #[test]
    fn repeats_twice_what_was_not_done_once_what_may_have_been_and_never_what_is_paid() {
        let retries = |path: &str, verdict: &Verdict| {
            let mut course = Course::new("POST", path, 12);
            (1..12).take_while(|&id| take(&mut course, id, verdict) != Next::GiveUp).count()
        };
        assert_eq!(retries("chat/completions", &OVERLOADED), 2);
        assert_eq!(retries("chat/completions", &TIMEOUT), 1);
        for paid in
            ["images/generations", "v1/text-to-speech/voice", "v1beta/models/imagen:predict"]
        {
            assert_eq!(retries(paid, &TIMEOUT), 0, "{paid}");
            assert_eq!(retries(paid, &OVERLOADED), 2, "{paid}");
        }
    }

    #[test]
    fn no_attempt_begins_after_the_longest_course() {
        let another = Next::TryNext { after: 7 };
        assert_eq!(Course::in_time(another, 1_000, 1_000 + LONGEST_COURSE - 1), another);
        assert_eq!(Course::in_time(another, 1_000, 1_000 + LONGEST_COURSE), Next::GiveUp);
        assert_eq!(Course::in_time(Next::Return, 0, LONGEST_COURSE), Next::Return);
    }

    #[test]
    fn pauses_grow_are_jittered_and_bounded() {
        let pauses = |seed, after| {
            let mut course = Course::new("POST", "m", 12);
            let verdict = Verdict::Transient { elsewhere: false, after, unexecuted: true };
            [0, 1].map(|_| match course.take(KeyId(1), &verdict, None, Shape::NONE, seed).0 {
                Next::TryNext { after } => after,
                other => panic!("{other:?}"),
            })
        };
        for seed in 0..100 {
            let [first, second] = pauses(seed, 0);
            assert!((100..=300).contains(&first) && (200..=600).contains(&second));
        }
        assert_eq!(pauses(1, 60_000), [LONGEST_PAUSE; 2]);
    }

    #[test]
    fn a_bare_rejection_blocks_once_another_key_is_let_in() {
        for witness in [Verdict::Success, LIMITED] {
            let mut course = Course::new("POST", "m", 12);
            (1..=3).for_each(|id| reject(&mut course, id, "no"));
            take(&mut course, 4, &witness);
            let settled = course.settle();
            assert_eq!(settled.changes, [1, 2, 3].map(block));
            assert!(!settled.mass_failure);
        }
    }

    #[test]
    fn three_alike_and_none_let_in_block_nothing() {
        let mut course = Course::new("POST", "m", 12);
        (1..=3).for_each(|id| reject(&mut course, id, "no"));
        assert_eq!(course.settle(), Settled { changes: vec![], mass_failure: true });
        let mut course = Course::new("POST", "m", 12);
        ["no", "never", "not you"]
            .iter()
            .zip(1..)
            .for_each(|(words, id)| reject(&mut course, id, words));
        assert_eq!(course.settle().changes.len(), 3, "each was rejected in its own words");
        let mut course = Course::new("POST", "m", 12);
        (1..=2).for_each(|id| reject(&mut course, id, "no"));
        assert_eq!(course.settle().changes.len(), 2, "two are no mass");
    }

    #[test]
    fn a_shape_ignores_ids_and_numbers() {
        let of = |body: &str| Shape::of(401, body.as_bytes());
        assert_eq!(
            of(r#"{"error":"no","request":"req_8Fa1"}"#),
            of(r#"{"error":"no","request":"req_77b2"}"#)
        );
        assert_ne!(of("Unauthorized"), of("Forbidden"));
        assert_ne!(Shape::of(401, b""), Shape::of(403, b""));
    }
}
