//! What an isolate knows of one provider's keys: a cache of D1 that also keeps what D1 need not
//! know (who was used when, how many requests wait).
//!
//! Two writers meet here. [`Snapshot::apply`] takes this isolate's own changes the moment they are
//! decided; [`Snapshot::merge`] takes rows that D1 gave. Whatever the order, a change is not undone
//! by a row that is older than it: see [`Snapshot::merge`].

use std::collections::{HashMap, HashSet};

use super::Millis;
use super::key::{Cooling, Key, KeyId, Secret, Source, State};
use super::verdict::Reason;

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
    },
}

impl Change {
    /// The key that changes.
    #[must_use]
    pub const fn key(&self) -> KeyId {
        match self {
            Self::Cool { key, .. } | Self::Block { key, .. } => *key,
        }
    }
}

/// The keys and coolings of one provider as one isolate knows them.
#[derive(Debug, Default)]
pub struct Snapshot {
    keys: Vec<Key>,
    index: HashMap<KeyId, usize>,
    /// Grows with every use of a key: the clock of "least recently used".
    uses: u64,
    /// What D1 is asked for next: rows changed since this time.
    pub watermark: Millis,
    /// When D1 was last asked.
    pub asked_at: Millis,
    /// An administrator changed keys: D1 is to be asked before anything else.
    pub expired: bool,
    /// D1 has keys that are not here.
    pub partial: bool,
    /// When D1 was last searched for more of them.
    pub searched_at: Millis,
}

impl Snapshot {
    /// An empty one, for a provider of which nothing was read yet.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// The keys, in no order that means anything.
    pub fn keys(&self) -> impl Iterator<Item = &Key> {
        self.keys.iter()
    }

    /// One key.
    #[must_use]
    pub fn key(&self, id: KeyId) -> Option<&Key> {
        self.index.get(&id).and_then(|&at| self.keys.get(at))
    }

    fn key_mut(&mut self, id: KeyId) -> Option<&mut Key> {
        self.index.get(&id).and_then(|&at| self.keys.get_mut(at))
    }

    /// The text of a key was opened: it need not be again.
    pub fn opened(&mut self, id: KeyId, secret: &Secret) {
        if let Some(key) = self.key_mut(id) {
            key.secret = secret.clone();
        }
    }

    /// The text of a key cannot be opened: it is not used.
    pub fn lock(&mut self, id: KeyId) {
        if let Some(key) = self.key_mut(id) {
            key.state = State::Locked;
        }
    }

    /// Takes a key's row from D1. A row that is older than this isolate's last change of the key
    /// says nothing about its state; a cooling is taken by [`Self::merge_cooling`].
    pub fn merge(&mut self, row: Key) {
        match self.key_mut(row.id) {
            Some(known) => {
                known.priority = row.priority;
                if row.changed_at >= known.changed_at {
                    known.state = row.state;
                    known.secret = row.secret;
                    known.changed_at = row.changed_at;
                }
            }
            None if row.state == State::Deleted => {}
            None => {
                self.index.insert(row.id, self.keys.len());
                self.keys.push(row);
            }
        }
    }

    /// Takes a cooling's row from D1, written at `changed_at`. It replaces what is known unless that
    /// is newer: an administrator's "clear" shortens, but a row that was read before this isolate
    /// cooled the key does not.
    pub fn merge_cooling(&mut self, id: KeyId, row: Cooling, changed_at: Millis) {
        let Some(key) = self.key_mut(id) else { return };
        match key.coolings.iter_mut().find(|cooling| cooling.model == row.model) {
            Some(known) if changed_at < known.since => {}
            Some(known) => {
                *known = Cooling { retried: known.retried && known.since == row.since, ..row }
            }
            None => key.coolings.push(row),
        }
    }

    /// Takes a change that this isolate decided.
    pub fn apply(&mut self, change: &Change, now: Millis) {
        let Some(key) = self.key_mut(change.key()) else { return };
        match change {
            Change::Block { .. } => {
                key.state = State::Blocked;
                key.changed_at = now;
            }
            Change::Cool { cooling, .. } => {
                match key.coolings.iter_mut().find(|known| known.model == cooling.model) {
                    Some(known) => *known = cooling.clone(),
                    None => key.coolings.push(cooling.clone()),
                }
            }
        }
    }

    /// Drops what no request can need any more: deleted keys, and coolings that ended without
    /// leaving strikes to remember.
    pub fn prune(&mut self, now: Millis) {
        self.keys.retain(|key| key.state != State::Deleted);
        for key in &mut self.keys {
            key.coolings.retain(|cooling| cooling.until > now || cooling.strikes > 0);
        }
        self.reindex();
    }

    /// Makes room for a new working set: keys that are not `listed` in it go, unless a request waits
    /// for them, and so do coolings that began before `settled`, which D1 tells anew if they last.
    /// What is newer than that stays, since D1 may not have it yet.
    pub fn begin_reload(&mut self, listed: &HashSet<KeyId>, settled: Millis, now: Millis) {
        self.keys.retain(|key| listed.contains(&key.id) || key.waiting(now) > 0);
        for key in &mut self.keys {
            key.coolings.retain(|cooling| cooling.since >= settled);
        }
        self.reindex();
    }

    /// Makes room for others by forgetting keys that cool for the model and have nothing under way.
    pub fn forget_cooling(&mut self, model: &str, now: Millis) {
        self.keys.retain(|key| key.waiting(now) > 0 || key.cooling_for(model, now).is_none());
        self.reindex();
    }

    fn reindex(&mut self) {
        self.index = self.keys.iter().enumerate().map(|(at, key)| (key.id, at)).collect();
    }

    /// How many keys are here.
    #[must_use]
    pub fn len(&self) -> usize {
        self.keys.len()
    }

    /// Whether none is.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.keys.is_empty()
    }

    /// A request is being sent with the key.
    pub fn started(&mut self, id: KeyId, now: Millis) {
        self.uses += 1;
        let stamp = self.uses;
        if let Some(key) = self.key_mut(id) {
            key.used = stamp;
            key.in_flight = key.waiting(now) + 1;
            key.started_at = now;
        }
    }

    /// The request that [`Self::started`] announced has its answer, or none.
    pub fn ended(&mut self, id: KeyId) {
        if let Some(key) = self.key_mut(id) {
            key.in_flight = key.in_flight.saturating_sub(1);
        }
    }

    /// The key served the model: guesses about it were wrong and start over. D1 is not told; what
    /// stands there ends by itself or is overwritten by the next cooling.
    pub fn succeeded(&mut self, id: KeyId, model: &str, now: Millis) {
        let Some(key) = self.key_mut(id) else { return };
        for cooling in &mut key.coolings {
            if cooling.covers(model) && cooling.source == Source::Guessed {
                cooling.strikes = 0;
                if cooling.until > now {
                    cooling.until = now;
                    cooling.since = now;
                }
            }
        }
    }

    /// A guessed cooling is being tried before its end; once is enough.
    pub fn retry_early(&mut self, id: KeyId, model: &str) {
        if let Some(key) = self.key_mut(id) {
            for cooling in &mut key.coolings {
                if cooling.covers(model) && cooling.source == Source::Guessed {
                    cooling.retried = true;
                }
            }
        }
    }
}

#[cfg(test)]
pub(crate) mod tests {
    use super::*;
    use crate::balance::key::Secret;
    use proptest::prelude::*;

    pub(crate) fn key(id: u64) -> Key {
        Key {
            id: KeyId(id),
            secret: Secret::new(format!("secret-{id}")),
            state: State::Ready,
            priority: 0,
            changed_at: 0,
            coolings: Vec::new(),
            used: 0,
            in_flight: 0,
            started_at: 0,
        }
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
        }
    }

    pub(crate) fn snapshot(keys: impl IntoIterator<Item = Key>) -> Snapshot {
        let mut snapshot = Snapshot::new();
        keys.into_iter().for_each(|key| snapshot.merge(key));
        snapshot
    }

    #[test]
    fn a_read_that_started_before_a_block_does_not_undo_it() {
        let mut pool = snapshot([key(1)]);
        pool.apply(&Change::Block { key: KeyId(1), reason: Reason::Invalid, certain: true }, 100);
        pool.merge(Key { changed_at: 90, ..key(1) });
        assert_eq!(pool.key(KeyId(1)).unwrap().state, State::Blocked);
        pool.merge(Key { changed_at: 200, ..key(1) });
        assert_eq!(pool.key(KeyId(1)).unwrap().state, State::Ready, "a later restore counts");
    }

    #[test]
    fn an_older_row_does_not_shorten_a_cooling_but_a_later_clear_does() {
        let mut pool = snapshot([key(1)]);
        let cool = cooling("m", 100, 500, Source::Stated);
        pool.apply(&Change::Cool { key: KeyId(1), cooling: cool }, 100);
        pool.merge_cooling(KeyId(1), cooling("m", 50, 200, Source::Stated), 50);
        assert_eq!(pool.key(KeyId(1)).unwrap().cooling_for("m", 150).unwrap().until, 500);
        pool.merge_cooling(KeyId(1), cooling("m", 120, 0, Source::Stated), 120);
        assert!(pool.key(KeyId(1)).unwrap().cooling_for("m", 150).is_none());
    }

    #[test]
    fn a_deleted_key_leaves_and_its_neighbours_stay_reachable() {
        let mut pool = snapshot([key(1), key(2), key(3)]);
        pool.merge(Key { state: State::Deleted, changed_at: 5, ..key(1) });
        pool.prune(10);
        assert!(pool.key(KeyId(1)).is_none());
        assert_eq!(pool.key(KeyId(3)).unwrap().id, KeyId(3));
        pool.merge(Key { state: State::Deleted, ..key(9) });
        assert!(pool.key(KeyId(9)).is_none(), "the tombstone of an unknown key is not taken in");
    }

    #[test]
    fn a_success_ends_the_row_of_strikes_of_that_model_only() {
        let mut pool = snapshot([key(1)]);
        for model in ["a", "b"] {
            let cool = cooling(model, 0, 10, Source::Guessed);
            pool.apply(&Change::Cool { key: KeyId(1), cooling: cool }, 0);
        }
        pool.succeeded(KeyId(1), "a", 5);
        let known = pool.key(KeyId(1)).unwrap();
        assert_eq!(known.cooling_named("a").unwrap().strikes, 0);
        assert!(known.cooling_for("a", 5).is_none(), "a guess that proved wrong is over");
        assert_eq!(known.cooling_named("b").unwrap().strikes, 1);
    }

    #[test]
    fn a_reload_keeps_what_d1_may_not_have_yet_and_nothing_else() {
        let mut pool = snapshot([key(1), key(2), key(3)]);
        pool.started(KeyId(2), 100);
        for (model, since) in [("old", 10), ("new", 90)] {
            let cool = cooling(model, since, 500, Source::Stated);
            pool.apply(&Change::Cool { key: KeyId(1), cooling: cool }, since);
        }
        pool.apply(&Change::Block { key: KeyId(1), reason: Reason::Invalid, certain: true }, 90);
        pool.begin_reload(&HashSet::from([KeyId(1), KeyId(4)]), 50, 100);
        pool.merge(key(1));
        pool.merge(key(4));
        assert_eq!(pool.key(KeyId(1)).unwrap().state, State::Blocked);
        assert!(pool.key(KeyId(1)).unwrap().cooling_for("old", 100).is_none());
        assert!(pool.key(KeyId(1)).unwrap().cooling_for("new", 100).is_some());
        assert!(pool.key(KeyId(2)).is_some(), "a request waits for it");
        assert!(pool.key(KeyId(3)).is_none());
        assert!(pool.key(KeyId(4)).is_some());
    }

    proptest! {
        #[test]
        fn whatever_the_order_of_rows_the_newest_state_wins(times in proptest::collection::vec((1u64..1000, any::<bool>()), 1..20)) {
            let mut pool = snapshot([key(1)]);
            for &(at, blocked) in &times {
                let state = if blocked { State::Blocked } else { State::Ready };
                pool.merge(Key { state, changed_at: at, ..key(1) });
            }
            let newest = times.iter().map(|&(at, _)| at).max().unwrap();
            let last = times.iter().rfind(|&&(at, _)| at == newest).unwrap();
            let expected = if last.1 { State::Blocked } else { State::Ready };
            prop_assert_eq!(pool.key(KeyId(1)).unwrap().state, expected);
        }
    }
}
