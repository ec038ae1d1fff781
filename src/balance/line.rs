//! The order in which the keys of a provider are used for one model: see [`pick`](super::pick()).
//!
//! Keys that can be used stand in line. Those that rest have stepped out, sorted by the end of their
//! rest, and come back to their place. So a pick looks at the head of the line only, however many
//! keys there are and however many of them cool.

use core::cmp::Reverse;
use std::collections::{BTreeSet, HashMap};

use super::Millis;
use super::home::{self, Belongs, Wanted};
use super::key::{Key, KeyId};
use super::quota::{self, Quota};

/// One model's line.
#[derive(Debug, Default)]
pub struct Line {
    /// The model.
    pub model: String,
    /// The home that its requests name: keys that belong elsewhere have no place here.
    pub home: Option<String>,
    /// When it was last asked for, to tell which line is missed the least.
    pub asked: u64,
    /// The latest time by which a key was placed or picked, to notice a clock that goes back.
    pub seen: Millis,
    waiting: BTreeSet<Spot>,
    resting: BTreeSet<(Millis, KeyId)>,
    /// Of those that rest, the ones that may be tried all the same when nothing else is left.
    guesses: BTreeSet<(Millis, KeyId)>,
    places: HashMap<KeyId, Place>,
    /// What was learnt of the quotas of a key or project.
    pub quotas: HashMap<Group, Quota>,
    /// A key that rests by learnt knowledge was last tried then.
    doubted_at: Millis,
    /// Nothing is learnt before this.
    distrusted_until: Millis,
}

/// Who shares quotas: a key with itself, or the keys of a project.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Group {
    /// A key without a project.
    Key(KeyId),
    /// The project of that number in the snapshot.
    Project(usize),
}

/// Where a key stands: higher priority first, then the least recently used.
pub type Spot = (Reverse<i32>, u64, KeyId);

/// How a key rests.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Rest {
    /// Until then.
    pub until: Millis,
    /// Nobody but us says so.
    pub guessed: bool,
}

#[derive(Debug, Clone, Copy)]
struct Place {
    spot: Spot,
    rest: Option<Rest>,
}

impl Line {
    /// The empty line of those who want this.
    pub fn new(wanted: Wanted<'_>) -> Self {
        let home = wanted.home.map(str::to_owned);
        Self { model: wanted.model.to_owned(), home, ..Self::default() }
    }

    /// What its requests want.
    pub fn wanted(&self) -> Wanted<'_> {
        Wanted { model: &self.model, home: self.home.as_deref() }
    }

    /// The priority of a key here; `None` when it is known to belong elsewhere. One of which that is not
    /// known comes behind those of its own priority that are at home.
    pub fn priority_of(&self, key: &Key) -> Option<i32> {
        let Some(home) = &self.home else { return Some(key.priority) };
        match home::belongs(&key.project, home) {
            Belongs::Here => Some(key.priority.saturating_mul(2)),
            Belongs::Unknown => Some(key.priority.saturating_mul(2).saturating_sub(1)),
            Belongs::Elsewhere => None,
        }
    }

    /// A key stands at `spot`, or rests. It may have stood elsewhere.
    pub fn place(&mut self, spot: Spot, rest: Option<Rest>) {
        let id = spot.2;
        self.remove(id);
        match rest {
            None => {
                self.waiting.insert(spot);
            }
            Some(rest) => {
                self.resting.insert((rest.until, id));
                if rest.guessed {
                    self.guesses.insert((rest.until, id));
                }
            }
        }
        self.places.insert(id, Place { spot, rest });
    }

    /// A key leaves. Tells the stamp of its last use.
    pub fn remove(&mut self, id: KeyId) -> Option<u64> {
        let place = self.places.remove(&id)?;
        match place.rest {
            None => {
                self.waiting.remove(&place.spot);
            }
            Some(rest) => {
                self.resting.remove(&(rest.until, id));
                self.guesses.remove(&(rest.until, id));
            }
        }
        Some(place.spot.1)
    }

    /// The stamp of a key's last use.
    pub fn stamp(&self, id: KeyId) -> Option<u64> {
        self.places.get(&id).map(|place| place.spot.1)
    }

    /// The next key whose rest is over.
    pub fn rested(&self, now: Millis) -> Option<KeyId> {
        self.resting.first().filter(|(until, _)| *until <= now).map(|(_, id)| *id)
    }

    /// Those that can be used, in order.
    pub fn in_line(&self) -> impl Iterator<Item = &Spot> {
        self.waiting.iter()
    }

    /// Those that rest with the ends of their rests, the first one first.
    pub fn rests(&self) -> impl Iterator<Item = (Millis, KeyId)> {
        self.resting.iter().copied()
    }

    /// The end of the first rest that ends.
    pub fn soonest(&self) -> Option<Millis> {
        self.resting.first().map(|(until, _)| *until)
    }

    /// Those that rest by a guess, the one that ends soonest first.
    pub fn guesses(&self) -> impl Iterator<Item = KeyId> {
        self.guesses.iter().map(|(_, id)| *id)
    }

    /// Those that rest, the one that ends soonest first.
    pub fn resting(&self) -> impl Iterator<Item = KeyId> {
        self.resting.iter().map(|(_, id)| *id)
    }

    /// Whether a key may be tried that rests by learnt knowledge alone.
    pub const fn may_doubt(&self, now: Millis) -> bool {
        now.abs_diff(self.doubted_at) >= quota::DOUBT_EVERY
    }

    /// Such a key is being tried.
    pub const fn doubt(&mut self, now: Millis) {
        self.doubted_at = now;
    }

    /// Whether anything is to be learnt at all.
    pub const fn trusts(&self, now: Millis) -> bool {
        // A clock that went back far does not make it distrust for ever.
        self.distrusted_until <= now || self.distrusted_until - now > quota::DISTRUST
    }

    /// What was learnt is wrong.
    pub fn distrust(&mut self, now: Millis) {
        self.quotas.clear();
        self.distrusted_until = now.saturating_add(quota::DISTRUST);
    }
}
