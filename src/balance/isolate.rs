//! What one isolate remembers, and when it asks D1 what.
//!
//! The glue sends statements and hands in what comes back; which, when, and what an answer means is
//! decided here, so that the simulation (`tools/simulation`) plays the very rules that serve.
//!
//! **Beliefs.** D1 is the truth. An isolate believes the newest row that it was given of a key, and on
//! top of it every change of its own that D1 may not have had when it gave that row: changes that are
//! not written, or were written after the reading began. They are applied by the same rules by which
//! D1 takes them, so that a belief is what D1 will say once it has them. What D1 did not take after
//! all is asked for again.
//!
//! **Answers in the wrong order.** A reading that began before one that was already taken in, or that
//! D1 answered before it, is dropped as a whole: it could bring back a key that was deleted in
//! between. No clock of an isolate is compared with another's.
//!
//! **Reading.** A cold isolate reads a working set. It then reads what changed, behind requests, when
//! its knowledge is older than [`Limits::stale_after`] and there is traffic. Before a caller is told
//! that there is no key it asks again ([`Isolate::doubt`]), also for keys beyond the working set.
//!
//! **Writing.** Changes of all requests within [`GATHER`] go in one batch. What D1 does not take is
//! kept, up to [`MOST_UNWRITTEN`], and tried again after a pause that grows.

use std::collections::{BTreeMap, BTreeSet, VecDeque};

use super::home::Wanted;
use super::key::{Key, KeyId};
use super::pick::mix;
use super::snapshot::{Change, Snapshot};
use super::{HOUR, MINUTE, Millis, SECOND};

/// [`Limits::working_set`] when `WORKING_SET` does not say.
pub const DEFAULT_WORKING_SET: u32 = 500;
/// [`Limits::stale_after`] when `REFRESH_SECONDS` does not say, in seconds.
pub const DEFAULT_REFRESH_SECONDS: u32 = 15;

/// What `WORKING_SET` can be at the most: 5,000 keys take a few milliseconds to read in.
const MOST_WORKING_SET: u32 = 5_000;
/// A caller is not told "no key" from knowledge older than this: D1 is asked first.
const DOUBTED_AFTER: Millis = 2 * SECOND;
/// When a search beyond the working set found nothing new, the next one is not before this; twice as
/// long after the next such one, and so on.
const SEARCH_AGAIN_AFTER: Millis = 10 * SECOND;
/// ... up to this: a search reads some 2,000 rows, of 5 million a day.
const LONGEST_SEARCH_PAUSE: Millis = 5 * MINUTE;
/// Homes whose searches are told apart.
const MOST_SEARCHES: usize = 32;
/// Keys kept per provider, in working sets: 2,000 keys at about 1 KB each are 2 MB of 128.
const MOST_WORKING_SETS: usize = 4;
/// Deleted keys are remembered in D1 for a day. What was not refreshed for an hour is read anew.
const FORGOTTEN_AFTER: Millis = HOUR;
/// How long a request waits for another one that loads the same provider. No longer: that one may be
/// gone with its caller, and nobody would tell.
pub const LOAD_PATIENCE: Millis = SECOND;
/// A refresh asks for rows this much older than the last one saw, in case D1's clock steps back.
const OVERLAP: Millis = 2 * SECOND;
/// An answer of D1 that took longer is dropped, and a write that took longer counts as lost. Both have
/// deadlines of 25 s at the most.
const LONGEST_ANSWER: Millis = MINUTE;
/// Changes kept for D1 while it does not take them: at 0.5 KB each half a megabyte.
pub const MOST_UNWRITTEN: usize = 1_000;
/// Changes written in one batch: two statements each and one for all events, of the 50 that the Free
/// plan allows a request or a run of the cron; ten are left for what else they do.
pub const MOST_PER_WRITE: usize = 20;
/// So long after a change its write is sent, with all that came to it.
pub const GATHER: Millis = 300;
/// The first pause after a write that failed; doubled each time, up to the longest.
const FIRST_PAUSE: Millis = SECOND;
const LONGEST_PAUSE: Millis = MINUTE;

/// What the operator set.
#[derive(Debug, Clone, Copy)]
pub struct Limits {
    /// Keys of a provider that a cold isolate reads: enough that they do not all cool at once, few
    /// enough that 10,000 cold starts a day stay within the Free plan's 5 million rows.
    pub working_set: u32,
    /// What is older is refreshed behind a request.
    pub stale_after: Millis,
}

impl Limits {
    /// Those of `WORKING_SET` and `REFRESH_SECONDS`.
    #[must_use]
    pub fn of(working_set: u32, refresh_seconds: u32) -> Self {
        Self {
            working_set: working_set.clamp(1, MOST_WORKING_SET),
            stale_after: Millis::from(refresh_seconds.max(1)) * SECOND,
        }
    }
}

impl Default for Limits {
    fn default() -> Self {
        Self::of(DEFAULT_WORKING_SET, DEFAULT_REFRESH_SECONDS)
    }
}

/// A change with the answer that caused it, for the list of events.
#[derive(Debug, Clone)]
pub struct Recorded {
    /// What changes.
    pub change: Change,
    /// When.
    pub at: Millis,
    /// The provider of the key.
    pub provider: String,
    /// The model asked for.
    pub model: String,
    /// HTTP status of the answer.
    pub status: u16,
    /// The provider's words, without any key.
    pub message: String,
}

/// What a request does before its first pick.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Access {
    /// It goes on; behind it this is read.
    Ready(Option<Kind>),
    /// It reads this first.
    First(Kind),
    /// Another request is reading: it looks again in a moment.
    Wait,
}

/// What is read.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// A working set.
    Load,
    /// What changed.
    Refresh,
    /// Keys beyond the working set that can be used for a model.
    Search,
    /// Certain keys.
    Keys,
}

/// A reading that is under way.
#[derive(Debug, Clone)]
pub struct Read {
    /// Of which provider.
    pub provider: String,
    /// What.
    pub kind: Kind,
    /// When it began.
    pub at: Millis,
    /// A refresh: rows that changed since, on D1's clock ...
    pub since: Millis,
    /// ... and these keys, whatever their age.
    pub doubted: Vec<KeyId>,
    /// Where in the pool to begin: 0 to 2^31 - 1, as in the table.
    pub slot: u64,
    tick: u64,
}

/// What D1 answered.
#[derive(Debug, Clone, Default)]
pub struct Rows {
    /// Keys with their coolings.
    pub keys: Vec<Key>,
    /// D1's clock.
    pub at: Millis,
    /// There may be more than these.
    pub more: bool,
}

/// A write that is under way.
#[derive(Debug, Clone)]
pub struct Write {
    /// What is written.
    pub changes: Vec<Recorded>,
    numbers: Vec<u64>,
    began: Millis,
}

/// What follows from an answer.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Taken {
    /// It was taken in.
    Yes,
    /// It came too late, and nothing is lost by that.
    Late,
    /// A working set is to be read instead.
    Reload,
}

#[derive(Debug, Default)]
struct Pool {
    snapshot: Snapshot,
    /// Something was read.
    known: bool,
    /// A request is reading it for the first time, since then.
    loading_since: Option<Millis>,
    /// What D1 is asked for next: rows changed since this time, on its clock.
    watermark: Millis,
    /// When D1 was last asked.
    asked_at: Millis,
    /// When it last answered.
    answered_at: Millis,
    /// The beginning of the newest reading that was taken in, and D1's clock in it.
    newest: (u64, Millis),
    /// An administrator changed keys: D1 is to be asked before anything else.
    expired: bool,
    /// What is believed may be wrong in a way that no refresh repairs.
    unsure: bool,
    /// D1 has keys that are not here.
    partial: bool,
    /// The searches for more of them, by the home that was asked for: one where there are no keys must
    /// not keep others from being looked for.
    searches: BTreeMap<String, Search>,
    /// Keys about which D1 did not take a change, and the tick of that.
    doubted: BTreeMap<KeyId, u64>,
}

/// When D1 was last searched, and how long to wait since then.
#[derive(Debug, Clone, Copy, Default)]
struct Search {
    at: Millis,
    pause: Millis,
}

/// A change of this isolate that D1 may not have.
#[derive(Debug)]
struct Entry {
    number: u64,
    recorded: Recorded,
    /// When D1 said that it has decided about it: a tick, and the time.
    settled: Option<(u64, Millis)>,
}

/// One isolate.
#[derive(Debug, Default)]
pub struct Isolate {
    limits: Limits,
    seed: u64,
    pools: BTreeMap<String, Pool>,
    entries: VecDeque<Entry>,
    numbered: u64,
    /// Grows with every beginning of a reading and every end of a write: what was before what.
    tick: u64,
    /// A request waits to write what came together, since then.
    gathering_since: Option<Millis>,
    writing_since: Option<Millis>,
    /// Writes that failed in a row, and when the next may be tried.
    failures: u32,
    write_after: Millis,
}

impl Isolate {
    /// One that knows nothing. `seed` differs between isolates.
    #[must_use]
    pub fn new(seed: u64, limits: Limits) -> Self {
        Self { seed, limits, ..Self::default() }
    }

    /// Obeys other limits from now on.
    pub const fn limit(&mut self, limits: Limits) {
        self.limits = limits;
    }

    /// Keys that a working set has at the most.
    #[must_use]
    pub const fn working_set(&self) -> u32 {
        self.limits.working_set
    }

    /// The snapshot of a provider, if there is one.
    pub fn snapshot(&mut self, provider: &str) -> Option<&mut Snapshot> {
        self.pools.get_mut(provider).filter(|pool| pool.known).map(|pool| &mut pool.snapshot)
    }

    // --- reading ---

    /// What a request for the provider does first.
    pub fn access(&mut self, provider: &str, now: Millis) -> Access {
        let Some(pool) = self.pools.get_mut(provider) else { return Access::First(Kind::Load) };
        if !pool.known {
            // A clock that went back ends the waiting as well.
            let busy = pool.loading_since.is_some_and(|it| now.abs_diff(it) < LOAD_PATIENCE);
            return if busy { Access::Wait } else { Access::First(Kind::Load) };
        }
        if pool.expired {
            return Access::First(Kind::Refresh);
        }
        if now.abs_diff(pool.asked_at) <= self.limits.stale_after {
            return Access::Ready(None);
        }
        // Behind the request, however old: D1 may be away for hours.
        Access::Ready(Some(pool.next_kind(now)))
    }

    /// A reading begins. `wanted` is what a search is for.
    pub fn begin<'a>(
        &mut self,
        provider: &str,
        kind: Kind,
        wanted: impl Into<Wanted<'a>>,
        now: Millis,
    ) -> Read {
        self.tick += 1;
        let seed = mix(self.seed ^ provider.len() as u64);
        let pool = self
            .pools
            .entry(provider.to_owned())
            .or_insert_with(|| Pool { snapshot: Snapshot::new(seed), ..Pool::default() });
        match kind {
            Kind::Search => pool.search(wanted.into()).at = now,
            Kind::Keys => {}
            Kind::Load | Kind::Refresh => {
                // Set before the answer, so that not every request asks meanwhile.
                pool.asked_at = now;
                pool.expired = false;
            }
        }
        if kind == Kind::Load {
            pool.loading_since = Some(now);
        }
        Read {
            provider: provider.to_owned(),
            kind,
            at: now,
            since: pool.watermark,
            doubted: pool.doubted.keys().copied().collect(),
            slot: mix(self.seed ^ mix(self.tick)) >> 33,
            tick: self.tick,
        }
    }

    /// A reading of one key begins, which must serve a request whether or not it is in the working set.
    pub fn begin_one(&mut self, provider: &str, key: KeyId, now: Millis) -> Read {
        Read { doubted: vec![key], ..self.begin(provider, Kind::Keys, "", now) }
    }

    /// D1 did not answer. Everything stays as it is.
    pub fn failed(&mut self, read: &Read) {
        if let Some(pool) = self.pools.get_mut(&read.provider)
            && read.kind == Kind::Load
        {
            pool.loading_since = None;
        }
    }

    /// D1 answered. `wanted` is what a search was for.
    pub fn finish<'a>(
        &mut self,
        read: &Read,
        rows: Rows,
        wanted: impl Into<Wanted<'a>>,
        now: Millis,
    ) -> Taken {
        let wanted = wanted.into();
        let working_set = self.limits.working_set as usize;
        let Some(pool) = self.pools.get_mut(&read.provider) else { return Taken::Late };
        if read.kind == Kind::Load {
            pool.loading_since = None;
        }
        let rows_at = rows.at;
        let (tick, at) = pool.newest;
        let overtaken = read.tick < tick || (rows.at < at && at - rows.at < LONGEST_ANSWER);
        let lost =
            now.abs_diff(read.at) > LONGEST_ANSWER || (!pool.known && read.kind != Kind::Load);
        if (pool.known && overtaken) || lost {
            return Taken::Late;
        }
        let most = working_set.saturating_mul(MOST_WORKING_SETS);
        let many = pool.snapshot.len() + rows.keys.len() > most;
        let mut found = 0_usize;
        match read.kind {
            Kind::Refresh if rows.more || (many && !rows.keys.is_empty()) => return Taken::Reload,
            Kind::Refresh => {}
            Kind::Load => {
                let listed = rows.keys.iter().map(|key| key.id).collect();
                pool.snapshot.begin_reload(&listed, now);
                pool.partial = rows.more;
                pool.searches.clear();
                pool.unsure = false;
                pool.known = true;
            }
            Kind::Search if many => pool.snapshot.forget_resting(wanted, now),
            Kind::Search | Kind::Keys => {}
        }
        for key in rows.keys {
            found += usize::from(pool.snapshot.merge(key, now));
        }
        match read.kind {
            Kind::Search if found > 0 => {
                // The next search may be for another model, and find more, at once.
                pool.search(wanted).pause = 0;
            }
            Kind::Search => {
                let pause = &mut pool.search(wanted).pause;
                *pause = pause.saturating_mul(2).clamp(SEARCH_AGAIN_AFTER, LONGEST_SEARCH_PAUSE);
            }
            Kind::Keys => {}
            Kind::Load | Kind::Refresh => {
                // What came to be doubted since this began is asked for the next time.
                pool.doubted.retain(|_, since| *since > read.tick);
                pool.newest = (read.tick, rows.at);
                pool.watermark = rows.at.saturating_sub(OVERLAP);
                pool.answered_at = now;
            }
        }
        for entry in self.entries.iter().filter(|entry| entry.recorded.provider == read.provider) {
            if entry.settled.is_none_or(|(tick, _)| tick > read.tick) {
                pool.snapshot.apply(&entry.recorded.change, now);
            }
        }
        pool.snapshot.prune(rows_at, now);
        self.forget_settled(now);
        Taken::Yes
    }

    /// Before a caller is told that there is no key for what it wants: what to ask D1 for, if it makes
    /// sense to ask again.
    #[must_use]
    pub fn doubt<'a>(
        &mut self,
        provider: &str,
        wanted: impl Into<Wanted<'a>>,
        now: Millis,
    ) -> Option<Kind> {
        let pool = self.pools.get_mut(provider)?;
        if now.abs_diff(pool.asked_at) >= DOUBTED_AFTER {
            return Some(pool.next_kind(now));
        }
        if !pool.partial {
            return None;
        }
        let search = pool.search(wanted.into());
        (now.abs_diff(search.at) >= search.pause.min(LONGEST_SEARCH_PAUSE)).then_some(Kind::Search)
    }

    /// An administrator changed keys: this isolate asks D1 before it serves the next request of any
    /// provider. Others learn of it by their refresh.
    pub fn expire(&mut self) {
        for pool in self.pools.values_mut() {
            // A load that is under way may have read too early.
            pool.loading_since = None;
            pool.expired = true;
        }
    }

    // --- changing ---

    /// Applies a change to the snapshot at once and keeps it for D1. One that does nothing is
    /// dropped. Tells whether it did something.
    pub fn record(&mut self, recorded: Recorded, now: Millis) -> bool {
        let Some(snapshot) = self.snapshot(&recorded.provider) else { return false };
        if !snapshot.apply(&recorded.change, now) {
            return false;
        }
        self.numbered += 1;
        let entry = Entry { number: self.numbered, recorded, settled: None };
        self.entries.push_back(entry);
        let unwritten = self.entries.iter().filter(|entry| entry.settled.is_none()).count();
        if unwritten > MOST_UNWRITTEN
            && let Some(at) = self.entries.iter().position(|entry| entry.settled.is_none())
            && let Some(dropped) = self.entries.remove(at)
            && let Some(pool) = self.pools.get_mut(&dropped.recorded.provider)
        {
            // Nobody else will learn of it; then this isolate must not go on believing it either.
            pool.unsure = true;
        }
        true
    }

    /// Whether D1 lacks something.
    #[must_use]
    pub fn has_unwritten(&self) -> bool {
        self.entries.iter().any(|entry| entry.settled.is_none())
    }

    /// Whether this request is to write, after [`GATHER`], what came together until then. Others need
    /// not, unless it is gone.
    pub fn gathers(&mut self, now: Millis) -> bool {
        let others = self.gathering_since.is_some_and(|since| now.abs_diff(since) < 2 * GATHER);
        let due = self.has_unwritten() && !others && self.may_write(now + GATHER);
        if due {
            self.gathering_since = Some(now);
        }
        due
    }

    const fn may_write(&self, now: Millis) -> bool {
        let writing = match self.writing_since {
            Some(since) => now.abs_diff(since) < LONGEST_ANSWER,
            None => false,
        };
        // A clock that went back does not make it wait for ever.
        !writing && (now >= self.write_after || self.write_after - now > LONGEST_PAUSE)
    }

    /// What to write now, if anything.
    pub fn begin_write(&mut self, now: Millis) -> Option<Write> {
        self.gathering_since = None;
        if !self.may_write(now) {
            return None;
        }
        // Of two changes to one thing, the later one stands over the other.
        let mut seen = BTreeSet::new();
        let mut chosen: Vec<&Entry> = Vec::new();
        let mut settled_by = Vec::new();
        for entry in self.entries.iter().rev().filter(|entry| entry.settled.is_none()) {
            let thing = match &entry.recorded.change {
                Change::Cool { cooling, .. } => ("cooling", cooling.model.as_str()),
                Change::Block { .. } => ("state", ""),
                Change::Home { .. } => ("project", ""),
            };
            if seen.insert((entry.recorded.change.key(), thing)) {
                chosen.push(entry);
            } else {
                settled_by.push(entry.number);
            }
        }
        // The oldest first.
        chosen.reverse();
        chosen.truncate(MOST_PER_WRITE);
        if chosen.is_empty() {
            return None;
        }
        let write = Write {
            changes: chosen.iter().map(|entry| entry.recorded.clone()).collect(),
            numbers: chosen.iter().map(|entry| entry.number).collect(),
            began: now,
        };
        let written: BTreeSet<_> = write.numbers.iter().copied().collect();
        self.entries
            .retain(|entry| written.contains(&entry.number) || !settled_by.contains(&entry.number));
        self.writing_since = Some(now);
        Some(write)
    }

    /// D1 took a write. `refused` are the keys of changes that did nothing there, since something
    /// else stands: what that is, is read with the next refresh.
    pub fn wrote(&mut self, write: &Write, refused: &[KeyId], now: Millis) {
        self.end_write(write);
        self.failures = 0;
        self.write_after = 0;
        self.tick += 1;
        for (number, recorded) in write.numbers.iter().zip(&write.changes) {
            if let Some(entry) = self.entries.iter_mut().find(|entry| entry.number == *number) {
                entry.settled = Some((self.tick, now));
            }
            let key = recorded.change.key();
            if refused.contains(&key)
                && let Some(pool) = self.pools.get_mut(&recorded.provider)
            {
                pool.doubted.insert(key, self.tick);
            }
        }
        self.forget_settled(now);
    }

    /// D1 did not take a write, or did not say so. It is kept.
    pub fn not_written(&mut self, write: &Write, now: Millis) {
        self.end_write(write);
        let pause = FIRST_PAUSE << self.failures.min(6);
        self.failures += 1;
        self.write_after = now + pause.min(LONGEST_PAUSE);
    }

    fn end_write(&mut self, write: &Write) {
        if self.writing_since == Some(write.began) {
            self.writing_since = None;
        }
    }

    /// Readings that began before these were settled are all over.
    fn forget_settled(&mut self, now: Millis) {
        self.entries
            .retain(|entry| entry.settled.is_none_or(|(_, at)| now.abs_diff(at) <= LONGEST_ANSWER));
    }
}

impl Pool {
    /// The search for the home that is wanted. Many homes that are not there share one.
    fn search(&mut self, wanted: Wanted<'_>) -> &mut Search {
        let many = self.searches.len() >= MOST_SEARCHES;
        let home = wanted.home.filter(|home| !many || self.searches.contains_key(*home));
        self.searches.entry(home.unwrap_or_default().to_owned()).or_default()
    }

    /// What is read when something is to be read anew.
    const fn next_kind(&self, now: Millis) -> Kind {
        if self.unsure || now.abs_diff(self.answered_at) > FORGOTTEN_AFTER {
            Kind::Load
        } else {
            Kind::Refresh
        }
    }
}
