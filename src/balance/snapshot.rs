//! What an isolate knows of one provider's keys: a cache of D1 that also keeps what D1 need not
//! know (who was used when, how many requests wait, what was learnt of quotas).
//!
//! Two writers meet here. [`Snapshot::apply`] takes changes, by the same rules by which D1 takes
//! them. [`Snapshot::merge`] takes rows that D1 gave: whole ones, a key with its coolings, and never
//! one that is older than what is known. A change that D1 may not have had when it gave a row is
//! applied once more on top of it: [`isolate`](super::isolate) keeps track of them.

use core::cmp::Reverse;
use std::collections::{BTreeMap, BTreeSet, HashMap};

use super::affinity::{Shares, may_wait};
use super::home::{self, Wanted};
use super::key::{Cooling, Key, KeyId, Secret, Source, State};
use super::line::{Group, Line, Rest, Spot};
use super::pick::mix;
use super::quota::{Headroom, Lesson};
use super::verdict::Reason;
use super::{HOUR, Millis};

/// Models whose order of keys is kept. More are served, but each time one that was forgotten comes
/// back, its keys are in a new random order.
const MOST_LINES: usize = 32;

/// Guesses in a row are remembered for so long after the last of them.
pub const STRIKES_KEPT: Millis = HOUR;

/// A change of a key's state, to be applied to the snapshot at once and to D1 behind the answer.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Change {
    /// Not to be used for a model until a time.
    Cool {
        /// Which key.
        key: KeyId,
        /// The cooling, complete.
        cooling: Cooling,
    },
    /// Out of the pool until it is restored.
    Block {
        /// Which key.
        key: KeyId,
        /// Why.
        reason: Reason,
        /// Whether the provider's words left no doubt.
        certain: bool,
        /// The readiness that this ends. If the key has become ready anew since, by an
        /// administrator or a probe, the block is about the past and does nothing.
        ready_since: Millis,
    },
    /// A success showed where a key is at home of which that was not known.
    Home {
        /// Which key.
        key: KeyId,
        /// Its home, which becomes its project.
        home: String,
    },
}

impl Change {
    /// The key that changes.
    #[must_use]
    pub const fn key(&self) -> KeyId {
        match self {
            Self::Cool { key, .. } | Self::Block { key, .. } | Self::Home { key, .. } => *key,
        }
    }
}

/// The keys and coolings of one provider as one isolate knows them.
#[derive(Debug, Default)]
pub struct Snapshot {
    keys: Keys,
    lines: Vec<Line>,
    /// Grows with every use: the clock of "least recently used".
    uses: u64,
    /// What makes the order of unused keys this isolate's own.
    seed: u64,
    /// What each key had to do lately.
    shares: Shares,
}

#[derive(Debug, Default)]
struct Keys {
    all: BTreeMap<KeyId, Key>,
    /// The number of each project.
    projects: HashMap<String, usize>,
    members: Vec<BTreeSet<KeyId>>,
}

// === impl Keys ===

impl Keys {
    fn group(&self, key: &Key) -> Group {
        match self.projects.get(&key.project) {
            Some(&number) if !key.project.is_empty() => Group::Project(number),
            _ => Group::Key(key.id),
        }
    }

    /// The keys that share quotas with this one, itself among them.
    fn members(&self, key: &Key) -> impl Iterator<Item = &Key> {
        let (own, project) = match self.group(key) {
            Group::Key(id) => (Some(id), None),
            Group::Project(number) => (None, self.members.get(number)),
        };
        own.into_iter()
            .chain(project.into_iter().flatten().copied())
            .filter_map(|id| self.all.get(&id))
    }

    /// How a key rests for a model; `None` when it can be used.
    fn rest(&self, key: &Key, line: &Line, now: Millis) -> Option<Rest> {
        let mut rest: Option<Rest> = None;
        for cooling in self.coolings(key, line.wanted(), now) {
            let guessed = cooling.source == Source::Guessed && !cooling.retried;
            rest = Some(rest.map_or(Rest { until: cooling.until, guessed }, |known| Rest {
                until: known.until.max(cooling.until),
                guessed: known.guessed && guessed,
            }));
        }
        let quota = line.quotas.get(&self.group(key)).and_then(|quota| quota.rests_until(now));
        quota.map_or(rest, |until| {
            let until = rest.map_or(until, |known| known.until.max(until));
            Some(Rest { until, guessed: false })
        })
    }

    /// The coolings that keep a key from being used for this: its own, and those of its project.
    fn coolings<'a>(
        &'a self,
        key: &'a Key,
        wanted: Wanted<'a>,
        now: Millis,
    ) -> impl Iterator<Item = &'a Cooling> {
        let id = key.id;
        self.members(key).flat_map(move |member| {
            let own = member.id == id;
            member.coolings.iter().filter(move |cooling| {
                cooling.runs(now) && cooling.covers(wanted) && (own || is_shared(cooling.reason))
            })
        })
    }

    fn take_in(&mut self, key: Key) {
        if !key.project.is_empty() {
            let next = self.members.len();
            let number = *self.projects.entry(key.project.clone()).or_insert(next);
            if number == next {
                self.members.push(BTreeSet::new());
            }
            if let Some(members) = self.members.get_mut(number) {
                members.insert(key.id);
            }
        }
        self.all.insert(key.id, key);
    }

    fn remove(&mut self, id: KeyId) -> Option<Key> {
        let key = self.all.remove(&id)?;
        if let Group::Project(number) = self.group(&key)
            && let Some(members) = self.members.get_mut(number)
        {
            members.remove(&id);
        }
        Some(key)
    }
}

/// Whether what a key earned for this reason holds for all of its project.
const fn is_shared(reason: Reason) -> bool {
    matches!(
        reason,
        Reason::RateLimit
            | Reason::DayQuota
            | Reason::MonthQuota
            | Reason::SpendLimit
            | Reason::Billing
    )
}

// === impl Snapshot ===

impl Snapshot {
    /// An empty one, for a provider of which nothing was read yet. `seed` differs between isolates,
    /// so that they do not begin at the same keys.
    #[must_use]
    pub fn new(seed: u64) -> Self {
        Self { seed, ..Self::default() }
    }

    /// The keys, by age.
    pub fn keys(&self) -> impl Iterator<Item = &Key> {
        self.keys.all.values()
    }

    /// One key.
    #[must_use]
    pub fn key(&self, id: KeyId) -> Option<&Key> {
        self.keys.all.get(&id)
    }

    /// The text of a key was opened: it need not be again.
    pub fn opened(&mut self, id: KeyId, secret: &Secret) {
        if let Some(key) = self.keys.all.get_mut(&id) {
            key.secret = secret.clone();
        }
    }

    /// The text of a key cannot be opened: it is not used.
    pub fn lock(&mut self, id: KeyId, now: Millis) {
        if let Some(key) = self.keys.all.get_mut(&id) {
            key.state = State::Locked;
            self.place(id, now);
        }
    }

    /// How many keys are here.
    #[must_use]
    pub fn len(&self) -> usize {
        self.keys.all.len()
    }

    /// Whether none is.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.keys.all.is_empty()
    }

    /// Takes a key's row with its coolings from D1. Tells whether the key is new here.
    pub fn merge(&mut self, row: Key, now: Millis) -> bool {
        let id = row.id;
        let Some(known) = self.keys.all.get(&id) else {
            let taken = matches!(row.state, State::Ready | State::Locked);
            if taken {
                self.keys.take_in(row);
                self.place(id, now);
            }
            return taken;
        };
        if row.version < known.version {
            return false;
        }
        if row.state == State::Deleted {
            self.remove(id, now);
            return false;
        }
        let mut row = Key { waiting: known.waiting, ..row };
        for cooling in &mut row.coolings {
            if let Some(same) = known
                .coolings
                .iter()
                .find(|it| it.model == cooling.model && it.is_same_row(cooling))
            {
                cooling.retried = same.retried;
                cooling.disproved = same.disproved;
            }
        }
        // Someone ended what had been told, so that what was learnt from it is void as well.
        let ended = known.coolings.iter().any(|it| {
            it.runs(now) && !row.coolings.iter().any(|new| new.model == it.model && new.until > now)
        });
        let before: Vec<_> = self.keys.members(known).map(|member| member.id).collect();
        if ended || row.ready_since != known.ready_since {
            let group = self.keys.group(known);
            for line in &mut self.lines {
                line.quotas.remove(&group);
            }
        }
        self.keys.remove(id);
        self.keys.take_in(row);
        before.into_iter().for_each(|member| self.place_one(member, now));
        self.place(id, now);
        false
    }

    /// Takes a change, unless what is known stands over it. Tells whether it did.
    pub fn apply(&mut self, change: &Change, now: Millis) -> bool {
        let Some(key) = self.keys.all.get_mut(&change.key()) else { return false };
        let applies = match change {
            Change::Block { ready_since, .. } => {
                let applies = key.state == State::Ready && key.ready_since == *ready_since;
                if applies {
                    key.state = State::Blocked;
                }
                applies
            }
            Change::Cool { cooling, .. } => {
                match key.coolings.iter_mut().find(|known| known.model == cooling.model) {
                    Some(known) if known.gives_way_to(cooling) => {
                        *known = cooling.clone();
                        true
                    }
                    Some(_) => false,
                    None => {
                        key.coolings.push(cooling.clone());
                        true
                    }
                }
            }
            Change::Home { home, .. } => {
                let applies = key.project.is_empty();
                if applies && let Some(key) = self.keys.remove(change.key()) {
                    self.keys.take_in(Key { project: home.clone(), ..key });
                }
                applies
            }
        };
        if applies {
            self.place(change.key(), now);
        }
        applies
    }

    /// Drops coolings that no request can need any more: those that are over on D1's clock, which
    /// shows `over`. This isolate's own may show something else.
    pub fn prune(&mut self, over: Millis, now: Millis) {
        let mut released = Vec::new();
        for key in self.keys.all.values_mut() {
            key.coolings.retain(|it| {
                let kept = it.until > over
                    || (it.counted() > 0 && it.until.saturating_add(STRIKES_KEPT) > over);
                if !kept && it.runs(now) {
                    released.push(key.id);
                }
                kept
            });
        }
        released.into_iter().for_each(|id| self.place(id, now));
    }

    /// Makes room for a new working set: keys that are not `listed` in it go, and so do all
    /// coolings that were taken over from D1 or will be told by it.
    pub fn begin_reload(&mut self, listed: &BTreeSet<KeyId>, now: Millis) {
        let gone: Vec<_> =
            self.keys.all.keys().filter(|id| !listed.contains(id)).copied().collect();
        gone.into_iter().for_each(|id| self.remove(id, now));
    }

    /// Makes room for others by forgetting keys that cannot be used for this now.
    pub fn forget_resting<'a>(&mut self, wanted: impl Into<Wanted<'a>>, now: Millis) {
        let at = self.line_of(wanted.into(), now);
        let Some(line) = self.lines.get(at) else { return };
        let resting: Vec<_> = line.resting().collect();
        resting.into_iter().for_each(|id| self.remove(id, now));
    }

    fn remove(&mut self, id: KeyId, now: Millis) {
        let Some(key) = self.keys.all.get(&id) else { return };
        let project = matches!(self.keys.group(key), Group::Project(_));
        let members: Vec<_> =
            if project { self.keys.members(key).map(|it| it.id).collect() } else { Vec::new() };
        self.keys.remove(id);
        for line in &mut self.lines {
            line.remove(id);
        }
        members.into_iter().for_each(|member| self.place_one(member, now));
    }

    /// A request is being sent with the key. Tells since when the key is ready.
    pub fn started<'a>(
        &mut self,
        id: KeyId,
        wanted: impl Into<Wanted<'a>>,
        now: Millis,
    ) -> Option<Millis> {
        self.uses += 1;
        self.shares.sent(id, now);
        let stamp = USED | self.uses;
        let at = self.line_of(wanted.into(), now);
        let key = self.keys.all.get_mut(&id)?;
        key.waiting.begin(now);
        let ready_since = key.ready_since;
        let key = self.keys.all.get(&id)?;
        let group = self.keys.group(key);
        let line = self.lines.get_mut(at)?;
        let counted = line.quotas.get_mut(&group).map(|quota| quota.send(now)).is_some();
        let rest = self.keys.rest(key, line, now);
        if key.state == State::Ready
            && let Some(priority) = line.priority_of(key)
        {
            line.place((Reverse(priority), stamp, id), rest);
        }
        if counted && group != Group::Key(id) {
            let others: Vec<_> = self.keys.members(key).map(|member| member.id).collect();
            for other in others {
                self.place_in(at, other, now);
            }
        }
        Some(ready_since)
    }

    /// The request that was sent with the key at `started` has its answer, or none.
    pub fn ended(&mut self, id: KeyId, started: Millis) {
        if let Some(key) = self.keys.all.get_mut(&id) {
            key.waiting.end(started);
        }
    }

    /// The key served a request: guesses about it were wrong and start over. D1 is not told; what
    /// stands there ends by itself or is overwritten by the next cooling.
    pub fn succeeded<'a>(&mut self, id: KeyId, wanted: impl Into<Wanted<'a>>, now: Millis) {
        let wanted = wanted.into();
        let Some(key) = self.keys.all.get_mut(&id) else { return };
        let mut changed = false;
        for cooling in &mut key.coolings {
            if cooling.covers(wanted) && cooling.source == Source::Guessed && !cooling.disproved {
                cooling.disproved = true;
                changed = true;
            }
        }
        if changed {
            self.place(id, now);
        }
        let refuted = self.quota(id, wanted).is_some_and(|quota| quota.is_refuted(now));
        if refuted {
            let at = self.line_of(wanted, now);
            if let Some(line) = self.lines.get_mut(at) {
                line.distrust(now);
            }
            self.place_all(at, now);
        }
    }

    fn quota(&self, id: KeyId, wanted: Wanted<'_>) -> Option<&super::quota::Quota> {
        let line = self.lines.iter().find(|line| line.wanted() == wanted)?;
        line.quotas.get(&self.keys.group(self.keys.all.get(&id)?))
    }

    /// What a 429 taught about the key's quota for the model.
    pub fn learn<'a>(
        &mut self,
        id: KeyId,
        wanted: impl Into<Wanted<'a>>,
        lesson: Lesson,
        until: Millis,
        now: Millis,
    ) {
        self.teach(id, wanted.into(), now, |quota| quota.learn(lesson, until, now));
    }

    /// What the headers of a success told about what is left of the key's quota for the model.
    pub fn hear<'a>(
        &mut self,
        id: KeyId,
        wanted: impl Into<Wanted<'a>>,
        told: Headroom,
        now: Millis,
    ) {
        self.teach(id, wanted.into(), now, |quota| quota.hear(told, now));
    }

    fn teach(
        &mut self,
        id: KeyId,
        wanted: Wanted<'_>,
        now: Millis,
        work: impl FnOnce(&mut super::quota::Quota),
    ) {
        let at = self.line_of(wanted, now);
        let Some(key) = self.keys.all.get(&id) else { return };
        let group = self.keys.group(key);
        let Some(line) = self.lines.get_mut(at).filter(|line| line.trusts(now)) else { return };
        work(line.quotas.entry(group).or_default());
        let members: Vec<_> = self.keys.members(key).map(|member| member.id).collect();
        for member in members {
            self.place_in(at, member, now);
        }
    }

    /// A key is being tried that rests only because we think so; once is enough.
    pub fn retry_early<'a>(&mut self, id: KeyId, wanted: impl Into<Wanted<'a>>, now: Millis) {
        let wanted = wanted.into();
        let Some(key) = self.keys.all.get(&id) else { return };
        let members: Vec<_> = self.keys.members(key).map(|member| member.id).collect();
        let mut cools = false;
        for member in members {
            let Some(key) = self.keys.all.get_mut(&member) else { continue };
            for cooling in &mut key.coolings {
                if cooling.covers(wanted) && cooling.source == Source::Guessed && cooling.runs(now)
                {
                    cooling.retried = true;
                    cools = true;
                }
            }
        }
        if cools {
            self.place(id, now);
        } else {
            let at = self.line_of(wanted, now);
            if let Some(line) = self.lines.get_mut(at) {
                line.doubt(now);
            }
        }
    }

    // --- lines ---

    /// The place of the line for this, which is made if there is none.
    fn line_of(&mut self, wanted: Wanted<'_>, now: Millis) -> usize {
        if let Some(at) = self.lines.iter().position(|line| line.wanted() == wanted) {
            return at;
        }
        let line = Line::new(wanted);
        let at = if self.lines.len() < MOST_LINES {
            self.lines.push(line);
            self.lines.len() - 1
        } else {
            let oldest = self.lines.iter().enumerate().min_by_key(|(_, line)| line.asked);
            let at = oldest.map_or(0, |(at, _)| at);
            if let Some(old) = self.lines.get_mut(at) {
                *old = line;
            }
            at
        };
        self.place_all(at, now);
        at
    }

    /// The line for this as it is now, with what tells whether a key rests.
    pub(super) fn queue(&mut self, wanted: Wanted<'_>, now: Millis) -> Queue<'_> {
        let at = self.line_of(wanted, now);
        self.uses += 1;
        let asked = self.uses;
        let went_back = self.lines.get_mut(at).is_some_and(|line| {
            line.asked = asked;
            core::mem::replace(&mut line.seen, now) > now
        });
        if went_back {
            self.place_all(at, now);
        }
        while let Some(id) = self.lines.get(at).and_then(|line| line.rested(now)) {
            // Back in line, or out again for another reason.
            if !self.place_in(at, id, now) {
                break;
            }
        }
        Queue { snapshot: self, at }
    }

    fn place_all(&mut self, at: usize, now: Millis) {
        let ids: Vec<_> = self.keys.all.keys().copied().collect();
        for id in ids {
            self.place_in(at, id, now);
        }
    }

    /// A key has changed in a way that matters to its whole project.
    fn place(&mut self, id: KeyId, now: Millis) {
        let Some(key) = self.keys.all.get(&id) else { return };
        if self.keys.group(key) == Group::Key(id) {
            return self.place_one(id, now);
        }
        let members: Vec<_> = self.keys.members(key).map(|member| member.id).collect();
        members.into_iter().for_each(|member| self.place_one(member, now));
    }

    fn place_one(&mut self, id: KeyId, now: Millis) {
        for at in 0..self.lines.len() {
            self.place_in(at, id, now);
        }
    }

    /// Puts a key where it belongs in a line. Tells whether it stands or rests there, which it does
    /// not when it is not ready, or at home elsewhere.
    fn place_in(&mut self, at: usize, id: KeyId, now: Millis) -> bool {
        let Some(line) = self.lines.get_mut(at) else { return false };
        let key = self.keys.all.get(&id).filter(|key| key.state == State::Ready);
        let Some((key, priority)) = key.and_then(|key| Some((key, line.priority_of(key)?))) else {
            return line.remove(id).is_some();
        };
        let stamp = line.stamp(id).unwrap_or_else(|| mix(self.seed ^ mix(id.0)) >> 1);
        let rest = self.keys.rest(key, line, now);
        line.place((Reverse(priority), stamp, id), rest);
        // What is judged by this time is judged anew when the clock goes back behind it.
        line.seen = line.seen.max(now);
        true
    }
}

/// Stamps of keys that were used are above those of keys that were not.
const USED: u64 = 1 << 63;

/// A model's line, at a pick.
pub(super) struct Queue<'a> {
    snapshot: &'a mut Snapshot,
    at: usize,
}

impl Queue<'_> {
    fn line(&self) -> Option<&Line> {
        self.snapshot.lines.get(self.at)
    }

    pub fn key(&self, id: KeyId) -> Option<&Key> {
        self.snapshot.key(id)
    }

    pub fn in_line(&self) -> impl Iterator<Item = &Spot> {
        self.line().into_iter().flat_map(Line::in_line)
    }

    /// When the first key is back that may be at home here.
    pub fn soonest(&self, now: Millis) -> Option<Millis> {
        let line = self.line()?;
        let Some(home) = &line.home else { return line.soonest() };
        let stranger =
            |id| self.coolings(id, now).any(|cooling| home::is_all_of(&cooling.model, home));
        line.rests().find(|(_, id)| !stranger(*id)).map(|(until, _)| until)
    }

    /// Whether there are keys, though none at home where the request goes.
    pub fn is_elsewhere(&self) -> bool {
        self.line().is_some_and(|line| line.home.is_some())
            && self.snapshot.keys().any(|key| key.state == State::Ready)
    }

    /// Whether a key that a conversation prefers may be used for one more request of it: it does not rest,
    /// has more than a little of its quota left, and no more than its share of the work of so many keys.
    /// `waiting` keeps how many requests wait for any of them, which is only counted when it matters.
    pub fn will_do(
        &mut self,
        id: KeyId,
        keys: usize,
        waiting: &mut Option<u32>,
        now: Millis,
    ) -> bool {
        let Some(key) = self.key(id) else { return false };
        let own = key.waiting.count(now);
        let group = self.snapshot.keys.group(key);
        let quota = self.line().and_then(|line| line.quotas.get(&group));
        if self.rest(id, now).is_some() || quota.is_some_and(|quota| quota.is_scarce(now)) {
            return false;
        }
        if own > 0 {
            let all = || self.snapshot.keys().map(|key| key.waiting.count(now)).sum();
            if !may_wait(own, *waiting.get_or_insert_with(all), keys) {
                return false;
            }
        }
        self.snapshot.shares.has_room(id, keys, now)
    }

    /// How a key rests at this moment, whatever its place says: clocks may have gone back.
    pub fn rest(&self, id: KeyId, now: Millis) -> Option<Rest> {
        self.snapshot.keys.rest(self.key(id)?, self.line()?, now)
    }

    /// Steps keys out of the line that turn out to rest.
    pub fn step_out(&mut self, ids: &[KeyId], now: Millis) {
        for id in ids {
            self.snapshot.place_in(self.at, *id, now);
        }
    }

    /// The keys among which to look for a guess that is past its half.
    pub fn guesses(&self) -> impl Iterator<Item = KeyId> {
        self.line().into_iter().flat_map(Line::guesses)
    }

    /// The running coolings that stand in the way of a key.
    pub fn coolings(&self, id: KeyId, now: Millis) -> impl Iterator<Item = &Cooling> {
        let found = self.key(id).zip(self.line());
        found
            .into_iter()
            .flat_map(move |(key, line)| self.snapshot.keys.coolings(key, line.wanted(), now))
    }

    /// Keys that rest by learnt knowledge alone, if one of them may be tried.
    pub fn doubtful(&self, now: Millis) -> impl Iterator<Item = KeyId> {
        let line = self.line().filter(|line| line.may_doubt(now));
        line.into_iter().flat_map(Line::resting).filter(move |id| {
            let quota = self
                .line()
                .zip(self.key(*id))
                .and_then(|(line, key)| line.quotas.get(&self.snapshot.keys.group(key)));
            quota.is_some_and(|quota| quota.may_be_doubted(now))
                && self.coolings(*id, now).next().is_none()
        })
    }
}

impl Key {
    /// A ready key of which nothing else is known.
    #[must_use]
    pub fn new(id: KeyId, secret: Secret) -> Self {
        Self {
            id,
            secret,
            state: State::Ready,
            priority: 0,
            project: String::new(),
            version: 0,
            ready_since: 0,
            coolings: Vec::new(),
            waiting: super::key::Waiting::default(),
        }
    }
}

#[cfg(test)]
pub(crate) mod tests {
    use super::super::pick::{Pick, pick};
    use super::super::quota::Per;
    use super::*;
    use proptest::prelude::*;

    pub(crate) fn key(id: u64) -> Key {
        Key::new(KeyId(id), Secret::new(format!("secret-{id}")))
    }

    pub(crate) fn cooling(model: &str, since: Millis, until: Millis, source: Source) -> Cooling {
        Cooling {
            model: model.into(),
            until,
            since,
            source,
            reason: Reason::RateLimit,
            strikes: u32::from(source == Source::Guessed),
            retried: false,
            disproved: false,
        }
    }

    pub(crate) fn snapshot(keys: impl IntoIterator<Item = Key>) -> Snapshot {
        let mut snapshot = Snapshot::new(0);
        for key in keys {
            let state = key.state;
            let id = key.id;
            snapshot.merge(Key { state: State::Ready, ..key }, 0);
            if let Some(key) = snapshot.keys.all.get_mut(&id) {
                key.state = state;
            }
        }
        snapshot
    }

    pub(crate) const fn block(id: u64) -> Change {
        Change::Block { key: KeyId(id), reason: Reason::Invalid, certain: true, ready_since: 0 }
    }

    fn cool(pool: &mut Snapshot, id: u64, cooling: Cooling) -> bool {
        let since = cooling.since;
        pool.apply(&Change::Cool { key: KeyId(id), cooling }, since)
    }

    fn state(pool: &Snapshot, id: u64) -> Option<State> {
        pool.key(KeyId(id)).map(|key| key.state)
    }

    #[test]
    fn an_older_row_says_nothing_and_one_of_the_same_age_does() {
        let mut pool = snapshot([Key { version: 5, ..key(1) }]);
        pool.merge(Key { version: 4, state: State::Blocked, ..key(1) }, 10);
        assert_eq!(state(&pool, 1), Some(State::Ready));
        pool.apply(&block(1), 10);
        pool.merge(Key { version: 5, ..key(1) }, 10);
        assert_eq!(state(&pool, 1), Some(State::Ready), "D1 refused the block");
        pool.merge(Key { version: 6, state: State::Deleted, ..key(1) }, 10);
        assert_eq!(state(&pool, 1), None);
        pool.merge(Key { version: 6, state: State::Blocked, ..key(1) }, 10);
        assert_eq!(state(&pool, 1), None, "what is not ready and not known is not taken in");
    }

    #[test]
    fn a_block_is_about_the_readiness_that_it_names() {
        let mut pool = snapshot([Key { ready_since: 7, ..key(1) }]);
        assert!(!pool.apply(&block(1), 10));
        let ready_since = pool.started(KeyId(1), "m", 10).unwrap();
        let late =
            Change::Block { key: KeyId(1), reason: Reason::Invalid, certain: true, ready_since };
        assert!(pool.apply(&late, 11));
        assert!(!pool.apply(&late, 12), "once");
        pool.merge(Key { version: 1, ready_since: 13, ..key(1) }, 13);
        assert!(!pool.apply(&late, 14), "restored since");
        assert_eq!(state(&pool, 1), Some(State::Ready));
    }

    #[test]
    fn a_row_brings_its_coolings_and_ends_those_it_does_not_have() {
        let mut pool = snapshot([key(1)]);
        assert!(cool(&mut pool, 1, cooling("m", 100, 500, Source::Stated)));
        pool.merge(Key { version: 1, ..key(1) }, 150);
        assert!(pool.key(KeyId(1)).unwrap().cooling_for("m", 150).is_none());
        let row =
            Key { version: 2, coolings: vec![cooling("m", 90, 400, Source::Stated)], ..key(1) };
        pool.merge(row, 150);
        assert_eq!(pool.key(KeyId(1)).unwrap().cooling_for("m", 150).unwrap().until, 400);
        assert_eq!(pick(&mut pool, &[], "m", 150), Pick::Exhausted { until: 400 });
    }

    #[test]
    fn a_guess_that_was_proved_wrong_stays_so_when_its_row_is_read_again() {
        let mut pool = snapshot([key(1)]);
        let guess = cooling("m", 100, 500, Source::Guessed);
        pool.merge(Key { version: 1, coolings: vec![guess.clone()], ..key(1) }, 100);
        pool.succeeded(KeyId(1), "m", 300);
        pool.merge(Key { version: 2, priority: 3, coolings: vec![guess], ..key(1) }, 310);
        assert!(pool.key(KeyId(1)).unwrap().cooling_for("m", 310).is_none());
        let other = cooling("m", 320, 600, Source::Guessed);
        pool.merge(Key { version: 3, coolings: vec![other], ..key(1) }, 330);
        assert!(pool.key(KeyId(1)).unwrap().cooling_for("m", 330).is_some());
    }

    #[test]
    fn a_success_ends_the_row_of_strikes_of_that_model_only() {
        let mut pool = snapshot([key(1)]);
        for model in ["a", "b"] {
            cool(&mut pool, 1, cooling(model, 0, 10, Source::Guessed));
        }
        pool.succeeded(KeyId(1), "a", 5);
        let known = pool.key(KeyId(1)).unwrap();
        assert_eq!(known.cooling_named("a").unwrap().counted(), 0);
        assert!(known.cooling_for("a", 5).is_none(), "a guess that proved wrong is over");
        assert_eq!(known.cooling_named("b").unwrap().counted(), 1);
        pool.prune(20, 20);
        assert!(pool.key(KeyId(1)).unwrap().cooling_named("a").is_none());
        assert!(pool.key(KeyId(1)).unwrap().cooling_named("b").is_some());
        pool.prune(10 + STRIKES_KEPT, 10 + STRIKES_KEPT);
        assert!(pool.key(KeyId(1)).unwrap().cooling_named("b").is_none());
    }

    #[test]
    fn keys_of_a_project_cool_and_count_together() {
        let of = |id, project: &str| Key { project: project.into(), ..key(id) };
        let mut pool = snapshot([of(1, "p"), of(2, "p"), of(3, "q"), of(4, "")]);
        cool(&mut pool, 1, cooling("m", 0, 100, Source::Stated));
        let chosen = |pool: &mut Snapshot, tried: &[u64], now| {
            let tried: Vec<_> = tried.iter().copied().map(KeyId).collect();
            match pick(pool, &tried, "m", now) {
                Pick::Key { id, early: false } => Some(id.0),
                _ => None,
            }
        };
        assert!(matches!(chosen(&mut pool, &[3], 5), Some(4)));
        assert_eq!(chosen(&mut pool, &[3, 4], 5), None);
        // What only the key may not do is its own.
        let own = Cooling { reason: Reason::Permission, ..cooling("m", 0, 100, Source::Stated) };
        cool(&mut pool, 3, own);
        pool.merge(Key { version: 1, project: "p".into(), ..key(4) }, 10);
        assert_eq!(chosen(&mut pool, &[], 10), None, "4 is of that project now");
        pool.merge(Key { version: 1, project: "q".into(), ..key(2) }, 10);
        assert_eq!(chosen(&mut pool, &[], 10), Some(2), "and 2 is not");
        // Two requests a minute for both.
        let lesson = Lesson { limit: 2, per: Per::Minute };
        pool.learn(KeyId(1), "m", lesson, 100 + 40_000, 100);
        let now = 40_200;
        pool.started(KeyId(1), "m", now);
        pool.started(KeyId(4), "m", now);
        assert_eq!(chosen(&mut pool, &[2, 3], now), None);
        assert!(pool.keys.rest(&pool.keys.all[&KeyId(1)], &pool.lines[0], now).is_some());
        pool.merge(Key { version: 2, ready_since: 9, project: "p".into(), ..key(4) }, now);
        assert!(chosen(&mut pool, &[2, 3], now).is_some(), "an administrator ends what was learnt");
    }

    #[test]
    fn a_success_against_what_was_learnt_ends_it_for_the_model() {
        let mut pool = snapshot([key(1), key(2)]);
        let lesson = Lesson { limit: 1, per: Per::Minute };
        for id in [1, 2] {
            pool.learn(KeyId(id), "m", lesson, 60_000, 0);
        }
        let Pick::Key { id, early: true } = pick(&mut pool, &[], "m", 30_000) else {
            panic!("one is let through")
        };
        pool.retry_early(id, "m", 30_000);
        assert_eq!(pick(&mut pool, &[], "m", 30_001), Pick::Exhausted { until: 60_000 });
        pool.started(id, "m", 30_001);
        pool.succeeded(id, "m", 30_100);
        assert!(matches!(pick(&mut pool, &[], "m", 30_200), Pick::Key { early: false, .. }));
        pool.learn(KeyId(1), "m", lesson, 90_000, 30_300);
        assert!(matches!(pick(&mut pool, &[KeyId(2)], "m", 30_301), Pick::Key { .. }));
    }

    #[test]
    fn a_reload_keeps_the_keys_it_lists() {
        let mut pool = snapshot([key(1), key(2), key(3)]);
        let _ = pick(&mut pool, &[], "m", 0);
        pool.begin_reload(&BTreeSet::from([KeyId(1), KeyId(4)]), 100);
        pool.merge(key(4), 100);
        assert_eq!(pool.keys().map(|key| key.id.0).collect::<Vec<_>>(), [1, 4]);
        let tried = [KeyId(1), KeyId(4)];
        assert_eq!(pick(&mut pool, &tried, "m", 100), Pick::AllTried);
    }

    proptest! {
        #[test]
        fn whatever_the_order_of_rows_the_newest_state_wins(versions in proptest::collection::vec((1u64..1000, any::<bool>()), 1..20)) {
            let mut pool = snapshot([key(1)]);
            for &(version, blocked) in &versions {
                let state = if blocked { State::Blocked } else { State::Ready };
                pool.merge(Key { state, version, ..key(1) }, 0);
            }
            let newest = versions.iter().map(|&(at, _)| at).max().unwrap();
            let last = versions.iter().rfind(|&&(at, _)| at == newest).unwrap();
            let expected = if last.1 { State::Blocked } else { State::Ready };
            prop_assert_eq!(pool.key(KeyId(1)).unwrap().state, expected);
        }

        #[test]
        fn lines_hold_exactly_what_is_ready(
            steps in proptest::collection::vec((0u8..8, 0u64..12, 0u64..200_000, 0u64..4), 1..80),
        ) {
            let mut pool = Snapshot::new(1);
            for (version, (what, id, now, other)) in (1..).zip(steps) {
                let project = ["", "p", "q", ""][other as usize].to_owned();
                let model = ["a", "b"][(other % 2) as usize];
                match what {
                    0 => { pool.merge(Key { version, project, priority: other as i32, ..key(id) }, now); }
                    1 => { pool.merge(Key { version, state: State::Deleted, ..key(id) }, now); }
                    2 => { pool.apply(&block(id), now); }
                    3 => { cool(&mut pool, id, cooling(model, now, now + other * 1000, Source::Guessed)); }
                    4 => { cool(&mut pool, id, cooling("*", now, now + other * 1000, Source::Stated)); }
                    5 => { pool.started(KeyId(id), model, now); pool.ended(KeyId(id), now); }
                    6 => pool.learn(KeyId(id), model, Lesson { limit: other, per: Per::Minute }, now + 50_000, now),
                    _ => pool.succeeded(KeyId(id), model, now),
                }
                let picked = pick(&mut pool, &[], model, now);
                let can = pool.keys().any(|key| key.state == State::Ready && {
                    let line = pool.lines.iter().find(|line| line.model == model).unwrap();
                    pool.keys.rest(key, line, now).is_none()
                });
                prop_assert_eq!(matches!(picked, Pick::Key { early: false, .. }), can, "{:?}", picked);
                for line in &pool.lines {
                    let ready = pool.keys().filter(|key| key.state == State::Ready).count();
                    prop_assert_eq!(line.in_line().count() + line.resting().count(), ready);
                }
            }
        }
    }
}
