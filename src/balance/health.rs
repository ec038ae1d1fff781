//! What a verdict changes about a key. `None` means that nothing is written.
//!
//! Isolates need no lock: of two coolings one rule says which stands
//! ([`Cooling::gives_way_to`]), a block names the readiness that it ends, and a verdict about a
//! request that was already under way when the key was cooled adds nothing to it.

use super::home::{self, Belongs, NOT_HERE_FOR, Wanted};
use super::key::{Cooling, EVERY_MODEL, Key, Source, State, cooled_name};
use super::snapshot::Change;
use super::verdict::{Reason, Scope, Verdict, Wait};
use super::{DAY, HOUR, Millis, SECOND, provider};

/// Guessed coolings grow to this and no further: a key that is tried once an hour costs 24 wasted
/// attempts a day at the most.
pub const LONGEST_GUESS: Millis = HOUR;
/// No cooling is longer, whatever a provider says: the longest clock known is a calendar month.
pub const LONGEST_COOLING: Millis = 31 * DAY;
/// A cooling is never shorter, so that `Retry-After: 0` does not send us straight back.
pub const SHORTEST_COOLING: Millis = SECOND;

/// How many guessed coolings of a key and model in a row mean that the day is used up, when
/// `CONSECUTIVE_429_THRESHOLD` does not say: after waits of 1, 2, 4 and 8 minutes no minute quota is
/// left to blame.
pub const DEFAULT_CONSECUTIVE_429_THRESHOLD: u32 = 5;

/// A key that its provider turns away so often in a row, each time after the wait, for a reason that
/// may pass but does not, is blocked; the cron goes on asking about it.
const REFUSED_OFTEN: u32 = 3;

/// What the operator set.
#[derive(Debug, Clone, Copy)]
pub struct Policy {
    /// `CONSECUTIVE_429_THRESHOLD`; 0 means never.
    pub consecutive_429_threshold: u32,
}

/// One attempt, as far as the key's health is concerned.
#[derive(Debug, Clone, Copy)]
pub struct Attempt<'a> {
    /// The provider of the key.
    pub provider: &'a str,
    /// The model asked for, and the home that the request named.
    pub wanted: Wanted<'a>,
    /// When it was sent.
    pub started: Millis,
    /// Since when the key had been ready, as far as was known then.
    pub ready_since: Millis,
}

/// The change that the verdict of an attempt means for its key, if any.
#[must_use]
pub fn change(
    key: &Key,
    attempt: Attempt<'_>,
    verdict: &Verdict,
    now: Millis,
    policy: Policy,
) -> Option<Change> {
    if let Some(reason) = refused_stranger(key, attempt, verdict) {
        return not_here(key, attempt, reason, now);
    }
    match *verdict {
        // What a request without a model names is a file, a batch, a voice: another key's, perhaps.
        Verdict::Reject { reason: Reason::Forbidden, certain: false }
            if attempt.wanted.model == EVERY_MODEL =>
        {
            None
        }
        Verdict::Reject { reason, certain } => block(key, attempt, reason, certain),
        Verdict::Cool { scope, wait, reason } => {
            let name = cooled_name(scope, attempt.wanted.model);
            let known = key.cooling_named(name);
            // Several requests can be under way when a quota ends: their answers are one piece of
            // news, not a row of strikes.
            let late = known.is_some_and(|known| known.since > attempt.started);
            let strikes = known.map_or(0, Cooling::counted);
            let (until, source, strikes) = match wait {
                Wait::Stated(until) => (until, Source::Stated, 0),
                Wait::Recheck(_) | Wait::Guessed(_) if late => return None,
                Wait::Recheck(after) => {
                    // Strikes of another reason, such as a rate limit, say nothing about this one.
                    let before =
                        known.map_or(0, |it| if it.reason == reason { strikes } else { 0 });
                    let strikes = if escalates(scope, reason) { before + 1 } else { 0 };
                    if strikes >= REFUSED_OFTEN {
                        return block(key, attempt, reason, false);
                    }
                    (now + after, Source::Guessed, strikes)
                }
                Wait::Guessed(first) => {
                    let strikes = strikes.saturating_add(1);
                    (guess(attempt.provider, first, strikes, now, policy), Source::Guessed, strikes)
                }
            };
            let until = until.clamp(now + SHORTEST_COOLING, now + LONGEST_COOLING);
            let cooling = Cooling {
                model: name.to_owned(),
                until,
                since: now,
                source,
                reason,
                strikes,
                retried: false,
                disproved: false,
            };
            if known.is_some_and(|known| !known.gives_way_to(&cooling)) {
                return None;
            }
            Some(Change::Cool { key: key.id, cooling })
        }
        Verdict::Success
        | Verdict::Caller
        | Verdict::Transient { .. }
        | Verdict::Egress
        | Verdict::Gateway { .. } => None,
    }
}

/// Why a key was refused of which it is not known that it is at home where the request went, if that
/// may be all that is wrong with it.
fn refused_stranger(key: &Key, attempt: Attempt<'_>, verdict: &Verdict) -> Option<Reason> {
    let home = attempt.wanted.home?;
    let homes = provider::find(attempt.provider)?.homes?;
    homes.refused_stranger(verdict).filter(|_| home::belongs(&key.project, home) != Belongs::Here)
}

/// It is not tried there for a while, and not blocked: at its own home it may well be good.
fn not_here(key: &Key, attempt: Attempt<'_>, reason: Reason, now: Millis) -> Option<Change> {
    let model = home::all_of(attempt.wanted.home?);
    if key.cooling_named(&model).is_some_and(|known| known.since > attempt.started) {
        return None;
    }
    let cooling = Cooling {
        model,
        until: now + NOT_HERE_FOR,
        since: now,
        source: Source::Guessed,
        reason,
        strikes: 0,
        retried: false,
        disproved: false,
    };
    Some(Change::Cool { key: key.id, cooling })
}

/// What a success teaches about where the key is at home.
#[must_use]
pub fn settled(key: &Key, attempt: Attempt<'_>) -> Option<Change> {
    let home = attempt.wanted.home.filter(|_| key.project.is_empty())?;
    let homes = provider::find(attempt.provider)?.homes?;
    homes.one.then(|| Change::Home { key: key.id, home: home.to_owned() })
}

/// The block of a key that was ready, unless it became so again while the request was under way.
fn block(key: &Key, attempt: Attempt<'_>, reason: Reason, certain: bool) -> Option<Change> {
    let ready_since = attempt.ready_since;
    (key.state == State::Ready && key.ready_since == ready_since).then_some(Change::Block {
        key: key.id,
        reason,
        certain,
        ready_since,
    })
}

/// Whether a passing refusal of the whole key becomes a block in time: Gemini's 403 without a
/// reason, ElevenLabs' unusual activity, Azure's temporary block. Money does not: it is topped up.
const fn escalates(scope: Scope, reason: Reason) -> bool {
    matches!(scope, Scope::Key) && matches!(reason, Reason::Permission | Reason::Suspended)
}

/// The end of the guess after `strikes` of them in a row.
fn guess(provider: &str, first: Millis, strikes: u32, now: Millis, policy: Policy) -> Millis {
    if policy.consecutive_429_threshold > 0 && strikes >= policy.consecutive_429_threshold {
        return provider::day_quota_reset(provider, now);
    }
    let doublings = strikes.saturating_sub(1).min(16); // 2^16 minutes is beyond any cap
    now + first.saturating_mul(1 << doublings).min(LONGEST_GUESS.max(first))
}

#[cfg(test)]
mod tests {
    use super::super::key::KeyId;
    use super::super::snapshot::Snapshot;
    use super::super::snapshot::tests::{key, snapshot};
    use super::super::{MINUTE, clock};
    use super::*;
    use proptest::prelude::*;

    const POLICY: Policy = Policy { consecutive_429_threshold: DEFAULT_CONSECUTIVE_429_THRESHOLD };
    const NOW: Millis = 1_700_000_000_000;

    const fn cool(wait: Wait) -> Verdict {
        Verdict::Cool { scope: Scope::Model, wait, reason: Reason::RateLimit }
    }

    const fn attempt(started: Millis) -> Attempt<'static> {
        Attempt {
            provider: "openai",
            wanted: Wanted { model: "m", home: None },
            started,
            ready_since: 0,
        }
    }

    /// Applies a verdict and returns the cooling it left, if it changed one.
    fn react(
        pool: &mut Snapshot,
        verdict: &Verdict,
        started: Millis,
        now: Millis,
    ) -> Option<Cooling> {
        let change = change(pool.key(KeyId(1))?, attempt(started), verdict, now, POLICY)?;
        pool.apply(&change, now);
        match change {
            Change::Cool { cooling, .. } => Some(cooling),
            Change::Block { .. } | Change::Home { .. } => None,
        }
    }

    #[test]
    fn only_cool_and_reject_change_a_key() {
        let innocent = [
            Verdict::Success,
            Verdict::Caller,
            Verdict::Egress,
            Verdict::Gateway { code: 2009 },
            Verdict::Transient { elsewhere: true, after: 0, unexecuted: true },
        ];
        for verdict in innocent {
            assert_eq!(change(&key(1), attempt(NOW), &verdict, NOW, POLICY), None, "{verdict:?}");
        }
        let reject = Verdict::Reject { reason: Reason::Leaked, certain: true };
        assert_eq!(
            change(&key(1), attempt(NOW), &reject, NOW, POLICY),
            Some(Change::Block {
                key: KeyId(1),
                reason: Reason::Leaked,
                certain: true,
                ready_since: 0
            })
        );
    }

    #[test]
    fn a_bare_403_for_something_that_is_no_model_says_nothing_about_the_key() {
        let bare = |reason| Verdict::Reject { reason, certain: false };
        let about = |model: &'static str| Attempt {
            provider: "custom-mine",
            wanted: model.into(),
            started: NOW,
            ready_since: 0,
        };
        let blocks =
            |model, reason| change(&key(1), about(model), &bare(reason), NOW, POLICY).is_some();
        assert!(!blocks(EVERY_MODEL, Reason::Forbidden));
        assert!(blocks("m", Reason::Forbidden));
        assert!(blocks(EVERY_MODEL, Reason::Unauthorized));
    }

    fn at<'a>(provider: &'a str, home: &'a str) -> Attempt<'a> {
        let wanted = Wanted { model: "m", home: Some(home) };
        Attempt { provider, wanted, started: NOW, ready_since: 0 }
    }

    #[test]
    fn a_key_is_blocked_only_where_it_is_known_to_be_at_home() {
        let reject = Verdict::Reject { reason: Reason::Invalid, certain: true };
        let of = |project: &str| Key { project: project.into(), ..key(1) };
        let react = |key: &Key, attempt| change(key, attempt, &reject, NOW, POLICY);
        let here = at("azure-openai", "mine");
        assert!(matches!(react(&of("Mine"), here), Some(Change::Block { .. })));
        for project in ["", "other"] {
            let Some(Change::Cool { cooling, .. }) = react(&of(project), here) else {
                panic!("cools")
            };
            assert_eq!(
                (cooling.model.as_str(), cooling.until, cooling.reason),
                ("mine/*", NOW + DAY, Reason::Invalid)
            );
            let mut key = of(project);
            key.coolings.push(Cooling { since: NOW + 1, ..cooling });
            assert_eq!(react(&key, here), None, "sent before that was known");
        }
        // Google says of a key that is wrong that it is wrong, wherever it is sent.
        let there = at("google-vertex-ai", "p");
        assert!(matches!(react(&of(""), there), Some(Change::Block { .. })));
    }

    #[test]
    fn a_success_teaches_a_home_where_a_key_has_one() {
        let home = Some(Change::Home { key: KeyId(1), home: "mine".into() });
        assert_eq!(settled(&key(1), at("azure-openai", "mine")), home);
        let known = Key { project: "other".into(), ..key(1) };
        assert_eq!(settled(&known, at("azure-openai", "mine")), None);
        assert_eq!(settled(&key(1), at("google-vertex-ai", "mine")), None);
        assert_eq!(settled(&key(1), attempt(NOW)), None);
    }

    #[test]
    fn strikes_of_a_rate_limit_never_make_a_block() {
        for (scope, reason) in [
            (Scope::Model, Reason::ModelAccess),
            (Scope::Model, Reason::DayQuota),
            (Scope::Key, Reason::Billing),
            (Scope::Key, Reason::Permission),
        ] {
            let name = cooled_name(scope, "m");
            let mut key = key(1);
            key.coolings.push(Cooling {
                strikes: 3,
                ..super::super::snapshot::tests::cooling(
                    name,
                    NOW - HOUR,
                    NOW - MINUTE,
                    Source::Guessed,
                )
            });
            let verdict = Verdict::Cool { scope, wait: Wait::Recheck(DAY), reason };
            let change = change(&key, attempt(NOW), &verdict, NOW, POLICY);
            assert!(matches!(change, Some(Change::Cool { .. })), "{reason:?}: {change:?}");
        }
    }

    #[test]
    fn guesses_double_and_then_take_the_day() {
        let mut pool = snapshot([key(1)]);
        let mut now = NOW;
        let mut waits = Vec::new();
        for _ in 0..5 {
            let cooling = react(&mut pool, &cool(Wait::Guessed(MINUTE)), now, now).unwrap();
            waits.push((cooling.until - now) / MINUTE);
            now = cooling.until;
        }
        assert_eq!(waits, [1, 2, 4, 8, 24 * 60]);
    }

    #[test]
    fn without_a_threshold_guesses_stop_growing_at_an_hour() {
        let policy = Policy { consecutive_429_threshold: 0 };
        let last = (0..12).fold((snapshot([key(1)]), NOW, 0), |(mut pool, now, _), _| {
            let verdict = cool(Wait::Guessed(MINUTE));
            let change = change(pool.key(KeyId(1)).unwrap(), attempt(now), &verdict, now, policy);
            let change = change.unwrap();
            pool.apply(&change, now);
            let until = pool.key(KeyId(1)).unwrap().cooling_for("m", now).unwrap().until;
            (pool, until, until - now)
        });
        assert_eq!(last.2, HOUR);
    }

    #[test]
    fn the_day_of_gemini_ends_at_midnight_pacific() {
        let policy = Policy { consecutive_429_threshold: 1 };
        let attempt = Attempt {
            provider: "google-ai-studio",
            wanted: "m".into(),
            started: NOW,
            ready_since: 0,
        };
        let Some(Change::Cool { cooling, .. }) =
            change(&key(1), attempt, &cool(Wait::Guessed(MINUTE)), NOW, policy)
        else {
            panic!("cools")
        };
        assert_eq!(cooling.until, clock::midnight_pacific(NOW));
    }

    #[test]
    fn a_success_between_two_minute_limits_starts_the_count_over() {
        let mut pool = snapshot([key(1)]);
        for round in 0..10 {
            let now = NOW + round * HOUR;
            let cooling = react(&mut pool, &cool(Wait::Guessed(MINUTE)), now, now).unwrap();
            assert_eq!(cooling.until, now + MINUTE, "round {round}");
            pool.succeeded(KeyId(1), "m", cooling.until);
        }
    }

    #[test]
    fn limits_of_two_models_are_counted_apart() {
        let mut pool = snapshot([key(1)]);
        for model in ["a", "b", "c", "d", "e", "f"] {
            let attempt = Attempt {
                provider: "google-ai-studio",
                wanted: model.into(),
                started: NOW,
                ready_since: 0,
            };
            let verdict = cool(Wait::Guessed(MINUTE));
            let change = change(pool.key(KeyId(1)).unwrap(), attempt, &verdict, NOW, POLICY);
            let change = change.unwrap();
            pool.apply(&change, NOW);
            assert_eq!(
                pool.key(KeyId(1)).unwrap().cooling_for(model, NOW).unwrap().until,
                NOW + MINUTE
            );
        }
    }

    #[test]
    fn answers_of_requests_that_were_already_under_way_are_one_strike() {
        let mut pool = snapshot([key(1)]);
        assert!(react(&mut pool, &cool(Wait::Guessed(MINUTE)), NOW - 10, NOW).is_some());
        for _ in 0..20 {
            assert!(react(&mut pool, &cool(Wait::Guessed(MINUTE)), NOW - 5, NOW + 1).is_none());
        }
    }

    #[test]
    fn a_stated_end_is_never_shortened_and_may_grow() {
        let mut pool = snapshot([key(1)]);
        let stated = |until| cool(Wait::Stated(until));
        react(&mut pool, &stated(NOW + HOUR), NOW, NOW);
        assert!(react(&mut pool, &stated(NOW + MINUTE), NOW, NOW).is_none());
        assert!(react(&mut pool, &cool(Wait::Guessed(2 * HOUR)), NOW, NOW).is_none());
        assert_eq!(react(&mut pool, &stated(NOW + DAY), NOW, NOW).unwrap().until, NOW + DAY);
        let month = react(&mut pool, &stated(NOW + 400 * DAY), NOW, NOW).unwrap();
        assert_eq!(month.until, NOW + LONGEST_COOLING);
    }

    #[test]
    fn a_refusal_that_does_not_pass_becomes_a_block_and_an_empty_account_does_not() {
        let outcome = |reason| {
            let mut pool = snapshot([key(1)]);
            let verdict = Verdict::Cool { scope: Scope::Key, wait: Wait::Recheck(HOUR), reason };
            let rounds = (0..5).take_while(|round| {
                let now = NOW + round * 2 * HOUR;
                // A second answer of the same moment is no second round.
                react(&mut pool, &verdict, now, now);
                react(&mut pool, &verdict, now - 1, now);
                pool.key(KeyId(1)).unwrap().state == State::Ready
            });
            rounds.count()
        };
        assert_eq!(outcome(Reason::Permission), 2);
        assert_eq!(outcome(Reason::Billing), 5);
    }

    #[test]
    fn a_key_wide_limit_is_kept_under_every_model() {
        let verdict =
            Verdict::Cool { scope: Scope::Key, wait: Wait::Recheck(DAY), reason: Reason::Billing };
        let Some(Change::Cool { cooling, .. }) =
            change(&key(1), attempt(NOW), &verdict, NOW, POLICY)
        else {
            panic!("cools")
        };
        assert_eq!((cooling.model.as_str(), cooling.until), (EVERY_MODEL, NOW + DAY));
    }

    proptest! {
        #[test]
        fn a_cooling_is_always_in_the_future_and_within_the_cap(
            kind in 0u8..3, value in 0u64..(1 << 45), now in 0u64..(1 << 42), strikes in 0u32..100,
        ) {
            let mut key = key(1);
            key.coolings.push(Cooling { strikes, ..super::super::snapshot::tests::cooling("m", 0, now, Source::Guessed) });
            let wait = match kind { 0 => Wait::Stated(value), 1 => Wait::Guessed(value), _ => Wait::Recheck(value) };
            if let Some(Change::Cool { cooling, .. }) = change(&key, attempt(now), &cool(wait), now, POLICY) {
                prop_assert!(cooling.until > now && cooling.until <= now + LONGEST_COOLING);
            }
        }
    }
}
