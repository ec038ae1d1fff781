//! Chooses the key of the next attempt.
//!
//! The order, first difference decides:
//! 1. a key that is ready and not cooling for the model, and that this request did not try yet;
//! 2. higher priority;
//! 3. fewer requests waiting on it in this isolate;
//! 4. least recently used in this isolate;
//! 5. a random order that differs between requests, so that isolates that all begin with an
//!    untouched snapshot do not march through the pool in step.
//!
//! When nothing is left, a guessed cooling that is past its half may be tried once, the one that
//! ends soonest first: nobody said that it must last that long. A stated one never is.

use super::Millis;
use super::key::{Key, KeyId, Source, State};
use super::snapshot::Snapshot;

/// The outcome of a pick.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Pick {
    /// Use this key.
    Key {
        /// Which.
        id: KeyId,
        /// It is still cooling by our own guess: [`Snapshot::retry_early`] must be told.
        early: bool,
    },
    /// Every usable key cools for the model; the first one is back at this time.
    Exhausted {
        /// When.
        until: Millis,
    },
    /// No key is left that this request did not try, though some is usable.
    AllTried,
    /// The provider has no usable key at all.
    Empty,
}

/// Chooses a key for the model among those not in `tried`. `seed` breaks ties.
#[must_use]
pub fn pick(snapshot: &Snapshot, tried: &[KeyId], model: &str, now: Millis, seed: u64) -> Pick {
    let mut best: Option<(Rank, KeyId)> = None;
    let mut early: Option<(Millis, KeyId)> = None;
    let mut soonest: Option<Millis> = None;
    let mut any_tried = false;
    for key in snapshot.keys().filter(|key| key.state == State::Ready) {
        let fresh = !tried.contains(&key.id);
        match key.cooling_for(model, now) {
            None if fresh => {
                let rank = Rank::of(key, now, seed);
                if best.as_ref().is_none_or(|(known, _)| rank < *known) {
                    best = Some((rank, key.id));
                }
            }
            None => any_tried = true,
            Some(cooling) => {
                soonest = Some(soonest.map_or(cooling.until, |known| known.min(cooling.until)));
                if fresh
                    && may_retry_early(key, model, now)
                    && early.is_none_or(|(until, _)| cooling.until < until)
                {
                    early = Some((cooling.until, key.id));
                }
            }
        }
    }
    match (best, early, soonest) {
        (Some((_, id)), _, _) => Pick::Key { id, early: false },
        (None, Some((_, id)), _) => Pick::Key { id, early: true },
        (None, None, Some(until)) if !any_tried => Pick::Exhausted { until },
        _ if any_tried => Pick::AllTried,
        _ => Pick::Empty,
    }
}

/// Smaller is better; compared field by field.
#[derive(PartialEq, Eq, PartialOrd, Ord)]
struct Rank {
    priority: i32,
    waiting: u32,
    used: u64,
    tie: u64,
}

impl Rank {
    fn of(key: &Key, now: Millis, seed: u64) -> Self {
        Self {
            priority: key.priority.saturating_neg(),
            waiting: key.waiting(now),
            used: key.used,
            tie: mix(seed ^ key.id.0),
        }
    }
}

/// All coolings that stand in the way are guesses, past their half, and not tried since they began.
fn may_retry_early(key: &Key, model: &str, now: Millis) -> bool {
    key.coolings.iter().filter(|cooling| cooling.until > now && cooling.covers(model)).all(
        |cooling| {
            let half = cooling.since + cooling.until.saturating_sub(cooling.since) / 2;
            cooling.source == Source::Guessed && !cooling.retried && now >= half
        },
    )
}

/// Spreads neighbouring numbers over the whole range (the finaliser of SplitMix64).
#[must_use]
pub const fn mix(mut n: u64) -> u64 {
    n = n.wrapping_add(0x9e37_79b9_7f4a_7c15);
    n = (n ^ (n >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    n = (n ^ (n >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    n ^ (n >> 31)
}

#[cfg(test)]
mod tests {
    use super::super::HOUR;
    use super::super::snapshot::Change;
    use super::super::snapshot::tests::{cooling, key, snapshot};
    use super::*;
    use proptest::prelude::*;
    use std::collections::HashMap;

    const fn chosen(pick: Pick) -> Option<u64> {
        match pick {
            Pick::Key { id, .. } => Some(id.0),
            _ => None,
        }
    }

    #[test]
    fn uses_every_key_once_before_one_twice() {
        let mut pool = snapshot((0..50).map(key));
        let mut uses = HashMap::new();
        for request in 0..500 {
            let id = chosen(pick(&pool, &[], "m", 0, request)).unwrap();
            pool.started(KeyId(id), 0);
            pool.ended(KeyId(id));
            *uses.entry(id).or_insert(0) += 1;
        }
        assert!(uses.len() == 50 && uses.values().all(|&n| n == 10), "{uses:?}");
    }

    #[test]
    fn prefers_priority_then_idle_keys() {
        let mut pool =
            snapshot([key(1), Key { priority: 5, ..key(2) }, Key { priority: 5, ..key(3) }]);
        pool.started(KeyId(2), 0);
        assert_eq!(chosen(pick(&pool, &[], "m", 0, 0)), Some(3));
        assert_eq!(chosen(pick(&pool, &[KeyId(3)], "m", 0, 0)), Some(2));
        assert_eq!(chosen(pick(&pool, &[KeyId(3), KeyId(2)], "m", 0, 0)), Some(1));
        assert_eq!(
            pool.key(KeyId(2)).unwrap().waiting(HOUR),
            0,
            "one that never ended is forgotten"
        );
    }

    #[test]
    fn isolates_begin_at_different_keys() {
        let first = |seed| chosen(pick(&snapshot((0..100).map(key)), &[], "m", 0, seed));
        let begins: std::collections::HashSet<_> = (0..20).map(first).collect();
        assert!(begins.len() > 10, "{begins:?}");
    }

    #[test]
    fn a_cooling_for_one_model_leaves_the_other_usable() {
        let mut pool = snapshot([key(1)]);
        let cool = cooling("a", 0, 100, Source::Stated);
        pool.apply(&Change::Cool { key: KeyId(1), cooling: cool }, 0);
        assert_eq!(pick(&pool, &[], "a", 50, 0), Pick::Exhausted { until: 100 });
        assert_eq!(chosen(pick(&pool, &[], "b", 50, 0)), Some(1));
        assert_eq!(chosen(pick(&pool, &[], "a", 100, 0)), Some(1));
    }

    #[test]
    fn tells_exhausted_from_tried_from_empty() {
        assert_eq!(pick(&Snapshot::new(), &[], "m", 0, 0), Pick::Empty);
        let blocked = snapshot([Key { state: State::Blocked, ..key(1) }]);
        assert_eq!(pick(&blocked, &[], "m", 0, 0), Pick::Empty);
        assert_eq!(pick(&snapshot([key(1)]), &[KeyId(1)], "m", 0, 0), Pick::AllTried);
        let mut pool = snapshot([key(1), key(2)]);
        for (id, until) in [(1, 300), (2, 200)] {
            let cool = cooling("m", 0, until, Source::Stated);
            pool.apply(&Change::Cool { key: KeyId(id), cooling: cool }, 0);
        }
        assert_eq!(pick(&pool, &[KeyId(1)], "m", 0, 0), Pick::Exhausted { until: 200 });
    }

    #[test]
    fn a_guess_is_tried_once_in_its_last_half_and_a_statement_never() {
        let mut pool = snapshot([key(1), key(2)]);
        for (id, source) in [(1, Source::Guessed), (2, Source::Stated)] {
            let cool = cooling("m", 0, 100, source);
            pool.apply(&Change::Cool { key: KeyId(id), cooling: cool }, 0);
        }
        assert_eq!(pick(&pool, &[], "m", 49, 0), Pick::Exhausted { until: 100 });
        assert_eq!(pick(&pool, &[], "m", 50, 0), Pick::Key { id: KeyId(1), early: true });
        pool.retry_early(KeyId(1), "m");
        assert_eq!(pick(&pool, &[], "m", 60, 0), Pick::Exhausted { until: 100 });
    }

    proptest! {
        #[test]
        fn never_picks_what_must_not_be_used(
            coolings in proptest::collection::vec((0u64..8, 0u64..100, 0u64..100, any::<bool>()), 0..20),
            blocked in proptest::collection::vec(0u64..8, 0..4),
            tried in proptest::collection::vec(0u64..8, 0..4),
            now in 0u64..100, seed: u64,
        ) {
            let mut pool = snapshot((0..8).map(|id| {
                let state = if blocked.contains(&id) { State::Blocked } else { State::Ready };
                Key { state, ..key(id) }
            }));
            for (id, since, until, stated) in coolings {
                let source = if stated { Source::Stated } else { Source::Guessed };
                pool.apply(&Change::Cool { key: KeyId(id), cooling: cooling("m", since, until, source) }, since);
            }
            let tried: Vec<_> = tried.into_iter().map(KeyId).collect();
            match pick(&pool, &tried, "m", now, seed) {
                Pick::Key { id, early } => {
                    let key = pool.key(id).unwrap();
                    prop_assert!(key.state == State::Ready && !tried.contains(&id));
                    prop_assert_eq!(key.cooling_for("m", now).is_some(), early);
                    if let Some(cooling) = key.cooling_for("m", now) {
                        prop_assert_eq!(cooling.source, Source::Guessed);
                    }
                }
                Pick::Exhausted { until } => prop_assert!(until > now),
                Pick::AllTried => prop_assert!(!tried.is_empty()),
                Pick::Empty => prop_assert!(pool.keys().all(|key| key.state != State::Ready)),
            }
        }
    }
}
