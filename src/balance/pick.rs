//! Chooses the key of the next attempt.
//!
//! The order, first difference decides:
//! 1. a key that is ready, does not cool for the model (nor does its project), has not sent what its
//!    learnt quota allows, and was not tried by this request;
//! 2. higher priority; of one priority, a key that is known to be at home where the request goes
//!    ([`home`](super::home));
//! 3. the one of which the fewest requests of this isolate wait, among the [`LOOK`] keys that were
//!    used least recently for this model; of several, the one that was used least recently;
//! 4. keys that were never used come first, in a random order that is each isolate's own, so that
//!    isolates which begin with the same keys do not march through them in step. From then on each
//!    isolate goes round its keys, which is fair: see `a_few_isolates_share_the_keys_fairly`.
//!
//! When nothing is left, a guessed cooling that is past its half may be tried once, the one that
//! ends soonest first: nobody said that it must last that long. Then, rarely, a key that rests only
//! by what was learnt of its quota ([`quota`](super::quota)). A stated end never is tested.
//!
//! Keys are kept in lines ([`line`](super::line)), so that a pick costs the same for ten keys and for
//! thousands of which most cool.

use super::Millis;
use super::affinity;
use super::home::Wanted;
use super::key::{KeyId, Source};
use super::snapshot::{Queue, Snapshot};

/// So many of the keys that were used least recently are looked at for one on which nothing waits.
/// Keys go to the end of the line when they are used, so that idle ones are in front anyway.
pub const LOOK: usize = 16;
/// So many resting keys are looked at for one that may be tried before its time.
const LOOK_EARLY: usize = 64;

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
    /// The provider has usable keys, but none of the home that the request names.
    Elsewhere,
    /// The provider has no usable key at all.
    Empty,
}

/// The key that a conversation prefers, if one of the first of its order will do: see
/// [`affinity`](super::affinity).
#[must_use]
pub fn preferred<'a>(
    snapshot: &mut Snapshot,
    tried: &[KeyId],
    wanted: impl Into<Wanted<'a>>,
    now: Millis,
    conversation: u64,
) -> Option<KeyId> {
    let mut queue = snapshot.queue(wanted.into(), now);
    let mut tier = None;
    let keys: Vec<KeyId> = queue
        .in_line()
        .filter(|(_, _, id)| !tried.contains(id))
        .take_while(|(priority, _, _)| *tier.get_or_insert(*priority) == *priority)
        .map(|(_, _, id)| *id)
        .collect();
    let count = keys.len();
    let mut waiting = None;
    affinity::prefer(keys, conversation, |id| queue.will_do(id, count, &mut waiting, now))
}

/// Chooses a key for what is wanted among those not in `tried`.
#[must_use]
pub fn pick<'a>(
    snapshot: &mut Snapshot,
    tried: &[KeyId],
    wanted: impl Into<Wanted<'a>>,
    now: Millis,
) -> Pick {
    let mut queue = snapshot.queue(wanted.into(), now);
    let mut found = look(&queue, tried, now);
    // Only a clock that went back puts keys into the line that rest.
    while !found.resting.is_empty() {
        queue.step_out(&found.resting, now);
        found = look(&queue, tried, now);
    }
    if let Some(id) = found.best {
        return Pick::Key { id, early: false };
    }
    let early = queue
        .guesses()
        .take(LOOK_EARLY)
        .filter(|id| !tried.contains(id))
        .find(|id| may_retry_early(&queue, *id, now))
        .or_else(|| queue.doubtful(now).take(LOOK_EARLY).find(|id| !tried.contains(id)));
    match (early, queue.soonest(now)) {
        (Some(id), _) => Pick::Key { id, early: true },
        (None, Some(until)) if !found.any_tried => Pick::Exhausted { until },
        _ if found.any_tried => Pick::AllTried,
        _ if queue.is_elsewhere() => Pick::Elsewhere,
        _ => Pick::Empty,
    }
}

#[derive(Default)]
struct Found {
    best: Option<KeyId>,
    any_tried: bool,
    /// Stand in line though they rest.
    resting: Vec<KeyId>,
}

fn look(queue: &Queue<'_>, tried: &[KeyId], now: Millis) -> Found {
    let mut found = Found::default();
    let mut fewest = u32::MAX;
    let mut tier = None;
    let mut looked = 0;
    for (priority, _, id) in queue.in_line() {
        if found.best.is_some() && tier != Some(priority) {
            break;
        }
        if tried.contains(id) {
            found.any_tried = true;
            continue;
        }
        if queue.rest(*id, now).is_some() {
            found.resting.push(*id);
            continue;
        }
        let waiting = queue.key(*id).map_or(0, |key| key.waiting.count(now));
        if waiting < fewest {
            (found.best, fewest, tier) = (Some(*id), waiting, Some(priority));
        }
        looked += 1;
        if waiting == 0 || looked == LOOK {
            break;
        }
    }
    found
}

/// All coolings that stand in the way are guesses, past their half, and not tried since they began.
fn may_retry_early(queue: &Queue<'_>, id: KeyId, now: Millis) -> bool {
    queue.coolings(id, now).all(|cooling| {
        let half = cooling.since + cooling.until.saturating_sub(cooling.since) / 2;
        cooling.source == Source::Guessed && !cooling.retried && now >= half
    })
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
    use super::super::key::{Key, State};
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
        for _ in 0..500 {
            let id = chosen(pick(&mut pool, &[], "m", 0)).unwrap();
            pool.started(KeyId(id), "m", 0);
            pool.ended(KeyId(id), 0);
            *uses.entry(id).or_insert(0) += 1;
        }
        assert!(uses.len() == 50 && uses.values().all(|&n| n == 10), "{uses:?}");
    }

    #[test]
    fn prefers_priority_then_idle_keys() {
        let mut pool =
            snapshot([key(1), Key { priority: 5, ..key(2) }, Key { priority: 5, ..key(3) }]);
        pool.started(KeyId(2), "m", 0);
        assert_eq!(chosen(pick(&mut pool, &[], "m", 0)), Some(3));
        assert_eq!(chosen(pick(&mut pool, &[KeyId(3)], "m", 0)), Some(2));
        assert_eq!(chosen(pick(&mut pool, &[KeyId(3), KeyId(2)], "m", 0)), Some(1));
        assert_eq!(
            pool.key(KeyId(2)).unwrap().waiting.count(HOUR),
            0,
            "one that never ended is forgotten"
        );
    }

    #[test]
    fn isolates_begin_at_different_keys() {
        let first = |seed| {
            let mut pool = Snapshot::new(seed);
            for id in 0..100 {
                pool.merge(key(id), 0);
            }
            chosen(pick(&mut pool, &[], "m", 0))
        };
        let begins: std::collections::HashSet<_> = (0..20).map(first).collect();
        assert!(begins.len() > 10, "{begins:?}");
    }

    const fn at(home: &str) -> Wanted<'_> {
        Wanted { model: "m", home: Some(home) }
    }

    fn of_project(id: u64, project: &str) -> Key {
        Key { project: project.into(), ..key(id) }
    }

    #[test]
    fn a_key_of_another_home_never_is_picked_and_one_of_no_known_home_only_when_no_other_is_left() {
        let mut pool = snapshot([
            of_project(1, "a"),
            of_project(2, "B"),
            key(3),
            Key { priority: -1, ..of_project(4, "b") },
            Key { priority: 1, ..of_project(5, "a") },
        ]);
        let mut tried = Vec::new();
        let mut order = Vec::new();
        while let Some(id) = chosen(pick(&mut pool, &tried, at("b"), 0)) {
            pool.started(KeyId(id), at("b"), 0);
            tried.push(KeyId(id));
            order.push(id);
        }
        assert_eq!(order, [2, 3, 4]);
        assert_eq!(pick(&mut pool, &tried, at("b"), 0), Pick::AllTried);
        assert_eq!(chosen(pick(&mut pool, &[], "m", 0)), Some(5), "no home is asked for");
        assert_eq!(preferred(&mut pool, &[], at("b"), 0, 7), Some(KeyId(2)));
    }

    #[test]
    fn keys_that_are_elsewhere_are_not_said_to_be_exhausted() {
        let stranger =
            |id| Change::Cool { key: KeyId(id), cooling: cooling("b/*", 0, HOUR, Source::Guessed) };
        let mut pool = snapshot([of_project(1, "a"), key(2)]);
        pool.apply(&stranger(2), 0);
        assert_eq!(pick(&mut pool, &[], at("b"), 0), Pick::Elsewhere);
        assert_eq!(chosen(pick(&mut pool, &[KeyId(1)], at("a"), 0)), Some(2), "good there");
        assert_eq!(pick(&mut snapshot([]), &[], at("b"), 0), Pick::Empty);
        // One that is known to be right rests: that is when to come back.
        pool.merge(of_project(3, "b"), 0);
        let cooling = cooling("m", 0, 2 * HOUR, Source::Stated);
        pool.apply(&Change::Cool { key: KeyId(3), cooling }, 0);
        assert_eq!(pick(&mut pool, &[], at("b"), 0), Pick::Exhausted { until: 2 * HOUR });
    }

    #[test]
    fn where_a_key_is_at_home_is_learnt_once() {
        let home = |home: &str| Change::Home { key: KeyId(1), home: home.into() };
        let mut pool = snapshot([key(1)]);
        assert_eq!(chosen(pick(&mut pool, &[], at("a"), 0)), Some(1));
        assert!(pool.apply(&home("a"), 0));
        assert!(!pool.apply(&home("b"), 0));
        assert_eq!(pool.key(KeyId(1)).unwrap().project, "a");
        assert_eq!(pick(&mut pool, &[], at("b"), 0), Pick::Elsewhere);
        assert_eq!(chosen(pick(&mut pool, &[], at("a"), 0)), Some(1));
    }

    #[test]
    fn a_cooling_for_one_model_leaves_the_other_usable() {
        let mut pool = snapshot([key(1)]);
        let cool = cooling("a", 0, 100, Source::Stated);
        pool.apply(&Change::Cool { key: KeyId(1), cooling: cool }, 0);
        assert_eq!(pick(&mut pool, &[], "a", 50), Pick::Exhausted { until: 100 });
        assert_eq!(chosen(pick(&mut pool, &[], "b", 50)), Some(1));
        assert_eq!(chosen(pick(&mut pool, &[], "a", 100)), Some(1));
    }

    #[test]
    fn tells_exhausted_from_tried_from_empty() {
        assert_eq!(pick(&mut Snapshot::new(0), &[], "m", 0), Pick::Empty);
        let mut blocked = snapshot([Key { state: State::Blocked, ..key(1) }]);
        assert_eq!(pick(&mut blocked, &[], "m", 0), Pick::Empty);
        assert_eq!(pick(&mut snapshot([key(1)]), &[KeyId(1)], "m", 0), Pick::AllTried);
        let mut pool = snapshot([key(1), key(2)]);
        for (id, until) in [(1, 300), (2, 200)] {
            let cool = cooling("m", 0, until, Source::Stated);
            pool.apply(&Change::Cool { key: KeyId(id), cooling: cool }, 0);
        }
        assert_eq!(pick(&mut pool, &[KeyId(1)], "m", 0), Pick::Exhausted { until: 200 });
    }

    #[test]
    fn a_guess_is_tried_once_in_its_last_half_and_a_statement_never() {
        let mut pool = snapshot([key(1), key(2)]);
        for (id, source) in [(1, Source::Guessed), (2, Source::Stated)] {
            let cool = cooling("m", 0, 100, source);
            pool.apply(&Change::Cool { key: KeyId(id), cooling: cool }, 0);
        }
        assert_eq!(pick(&mut pool, &[], "m", 49), Pick::Exhausted { until: 100 });
        assert_eq!(pick(&mut pool, &[], "m", 50), Pick::Key { id: KeyId(1), early: true });
        pool.retry_early(KeyId(1), "m", 50);
        assert_eq!(pick(&mut pool, &[], "m", 60), Pick::Exhausted { until: 100 });
    }

    proptest! {
        #[test]
        fn never_picks_what_must_not_be_used(
            coolings in proptest::collection::vec((0u64..8, 0u64..100, 0u64..100, any::<bool>()), 0..20),
            blocked in proptest::collection::vec(0u64..8, 0..4),
            tried in proptest::collection::vec(0u64..8, 0..4),
            now in 0u64..100,
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
            match pick(&mut pool, &tried, "m", now) {
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
                Pick::Elsewhere => prop_assert!(false, "no home is asked for"),
                Pick::Empty => prop_assert!(pool.keys().all(|key| key.state != State::Ready)),
            }
        }
    }
}
