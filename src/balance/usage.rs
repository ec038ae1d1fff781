//! What was used: counted in memory, and given to D1 now and then.
//!
//! [`Ledger`] is one isolate's share. A request adds to a few integers in it; behind a request,
//! when [`Ledger::plan`] says so, [`Ledger::take`] gives what has gathered to be written in one batch.
//! All hours and days are of UTC.
//!
//! **How many rows that writes.** Each isolate writes at most once per interval and at most
//! [`HOURLY_PER_WRITE`] hours of a model (twice: into the hour and into the totals),
//! [`KEYS_PER_WRITE`] keys, [`TOKENS_PER_WRITE`] tokens and one row that counts them all. That row
//! tells each isolate what all of them together wrote today; whoever finds the day's schedule
//! overdrawn waits until it has caught up ([`wait_for`]), so that a day stays near [`ROWS_PER_DAY`]
//! however many isolates there are. Beyond [`MOST_ROWS_PER_DAY`] D1 takes nothing more until midnight.

use core::hash::Hash;
use std::collections::{BTreeMap, HashMap, HashSet};

use super::key::{EVERY_MODEL, KeyId};
use super::verdict::Verdict;
use super::{DAY, HOUR, MINUTE, Millis, SECOND, provider};

/// Rows a day that all isolates together may write: a fifth of the Free plan's 100,000.
pub const ROWS_PER_DAY: u64 = 18_000;
/// So many more are free at the beginning of a day, so that a quiet pool is never held back.
const ROWS_AHEAD: u64 = 1_000;
/// Isolates that are too young to know of the schedule may overdraw it, but not beyond this.
pub const MOST_ROWS_PER_DAY: u64 = 20_000;
/// Hours of models, keys and tokens in one batch. An hour is written whole, so it may be
/// [`MODELS_PER_HOUR`] and [`PROVIDERS_PER_HOUR`] more of the first.
const HOURLY_PER_WRITE: usize = 40;
const KEYS_PER_WRITE: usize = 100;
const TOKENS_PER_WRITE: usize = 20;
/// Models that get a name of their own in an hour, and those of all hours in memory. What is beyond
/// is counted as [`EVERY_MODEL`] of its provider. An entry has about 250 bytes.
const MODELS_PER_HOUR: usize = 50;
/// Providers in an hour. What is beyond is counted as [`REST`].
const PROVIDERS_PER_HOUR: usize = 40;
/// Models that are remembered as known to their provider.
const KNOWN_KEPT: usize = 300;
/// Hours and days in memory, while D1 takes nothing; the oldest are dropped first.
const HOURS_KEPT: usize = 12;
const DAYS_KEPT: usize = 2;
/// Keys and tokens of a day in memory. What is beyond is counted as key 0, token [`REST`].
const KEYS_KEPT: usize = 2_000;
const TOKENS_KEPT: usize = 500;

/// Between two writes of an isolate, when `USAGE_FLUSH_SECONDS` does not say.
pub const DEFAULT_INTERVAL: Millis = MINUTE;
/// The first write of an isolate comes after this part of it: many do not live for a minute.
const FIRST: Millis = 3;
/// What is done behind an answer may take 30 seconds. A write that is due sooner than this is waited
/// for there, since nobody knows whether there will be another request.
const LONGEST_WAIT: Millis = 20 * SECOND;

/// The provider, or token, of all that have no row of their own.
pub const REST: &str = "*";

/// What became of an attempt.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Outcome {
    /// The key served it.
    Success,
    /// [`Verdict::Cool`].
    RateLimited,
    /// [`Verdict::Reject`].
    Rejected,
    /// [`Verdict::Transient`].
    Transient,
    /// [`Verdict::Egress`].
    Egress,
    /// [`Verdict::Gateway`].
    Gateway,
    /// [`Verdict::Caller`].
    Caller,
}

impl From<&Verdict> for Outcome {
    fn from(verdict: &Verdict) -> Self {
        match verdict {
            Verdict::Success => Self::Success,
            Verdict::Caller => Self::Caller,
            Verdict::Cool { .. } => Self::RateLimited,
            Verdict::Reject { .. } => Self::Rejected,
            Verdict::Transient { .. } => Self::Transient,
            Verdict::Egress => Self::Egress,
            Verdict::Gateway { .. } => Self::Gateway,
        }
    }
}

impl Outcome {
    /// The word for it in the log and in metrics.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Success => "success",
            Self::RateLimited => "rate_limited",
            Self::Rejected => "rejected",
            Self::Transient => "transient",
            Self::Egress => "egress",
            Self::Gateway => "gateway",
            Self::Caller => "caller",
        }
    }
}

/// How a client's request ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum End {
    /// With a success.
    Served,
    /// With a failed answer of the upstream.
    Failed,
    /// With an answer of our own, since every key cools for the model.
    Exhausted,
    /// With another answer of our own.
    Refused,
}

impl End {
    const fn is_ours(self) -> bool {
        matches!(self, Self::Exhausted | Self::Refused)
    }
}

/// Numbers of an hour of a model.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
#[expect(missing_docs, reason = "the columns of usage_hourly, which migrations/0002 explains")]
pub struct Counts {
    pub requests: u64,
    pub attempts: u64,
    pub successes: u64,
    pub rate_limited: u64,
    pub rejected: u64,
    pub transient: u64,
    pub egress: u64,
    pub gateway: u64,
    pub caller: u64,
    pub refused: u64,
    /// An upstream let on that it knows the model.
    known: bool,
}

impl Counts {
    /// Attempts that were neither a success nor a rate limit.
    #[must_use]
    pub const fn errors(&self) -> u64 {
        self.rejected + self.transient + self.egress + self.gateway + self.caller
    }

    fn attempt(&mut self, outcome: Outcome) {
        self.attempts += 1;
        self.known |= outcome != Outcome::Caller;
        *match outcome {
            Outcome::Success => &mut self.successes,
            Outcome::RateLimited => &mut self.rate_limited,
            Outcome::Rejected => &mut self.rejected,
            Outcome::Transient => &mut self.transient,
            Outcome::Egress => &mut self.egress,
            Outcome::Gateway => &mut self.gateway,
            Outcome::Caller => &mut self.caller,
        } += 1;
    }

    const fn add(&mut self, other: &Self) {
        self.requests += other.requests;
        self.attempts += other.attempts;
        self.successes += other.successes;
        self.rate_limited += other.rate_limited;
        self.rejected += other.rejected;
        self.transient += other.transient;
        self.egress += other.egress;
        self.gateway += other.gateway;
        self.caller += other.caller;
        self.refused += other.refused;
        self.known |= other.known;
    }
}

/// Numbers of a day of a key.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
#[expect(missing_docs, reason = "the columns of usage_daily")]
pub struct KeyCounts {
    pub attempts: u64,
    pub successes: u64,
    pub rate_limited: u64,
    pub errors: u64,
}

impl KeyCounts {
    const fn add(&mut self, other: &Self) {
        self.attempts += other.attempts;
        self.successes += other.successes;
        self.rate_limited += other.rate_limited;
        self.errors += other.errors;
    }
}

/// Numbers of a day of a client token.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
#[expect(missing_docs, reason = "the columns of usage_tokens")]
pub struct TokenCounts {
    pub requests: u64,
    pub successes: u64,
    pub refused: u64,
}

impl TokenCounts {
    const fn add(&mut self, other: &Self) {
        self.requests += other.requests;
        self.successes += other.successes;
        self.refused += other.refused;
    }
}

/// What is to be written in one batch.
#[derive(Debug, Default, PartialEq, Eq)]
pub struct Batch {
    /// Start of the hour, provider, model.
    pub hourly: Vec<(Millis, String, String, Counts)>,
    /// Start of the day, key.
    pub keys: Vec<(Millis, KeyId, KeyCounts)>,
    /// Start of the day, token by its [`tag`](super::token::Token::tag); `None`: [`REST`].
    pub tokens: Vec<(Millis, Option<u32>, TokenCounts)>,
}

impl Batch {
    /// Whether nothing is to be written.
    #[must_use]
    pub const fn is_empty(&self) -> bool {
        self.hourly.is_empty() && self.keys.is_empty() && self.tokens.is_empty()
    }

    /// Rows that it writes, with the one that counts them.
    #[must_use]
    pub const fn rows(&self) -> u64 {
        (2 * self.hourly.len() + self.keys.len() + self.tokens.len() + 1) as u64
    }
}

/// What to do behind a request.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Plan {
    /// Nothing.
    Rest,
    /// Write after so many milliseconds, should nobody have done it by then.
    Wait(Millis),
    /// Write.
    Write,
}

/// What one isolate counted and D1 does not have yet.
#[derive(Debug)]
pub struct Ledger {
    hours: BTreeMap<Millis, Hour>,
    days: BTreeMap<Millis, Day>,
    /// Provider and model: an upstream knew it. A name that a client made up gets no row.
    known: HashSet<(String, String)>,
    interval: Millis,
    /// When the next write is due; `None`: nothing was counted yet.
    due: Option<Millis>,
    /// Somebody waits for it until then.
    awaited: Millis,
}

#[derive(Debug, Default)]
struct Hour {
    /// By provider and model: no name is copied to find one.
    providers: HashMap<String, HashMap<String, Counts>>,
    models: usize,
}

#[derive(Debug, Default)]
struct Day {
    keys: HashMap<KeyId, KeyCounts>,
    tokens: HashMap<Option<u32>, TokenCounts>,
}

impl Default for Ledger {
    fn default() -> Self {
        Self::new(DEFAULT_INTERVAL)
    }
}

impl Ledger {
    /// An empty one that is to be written once per interval.
    #[must_use]
    pub fn new(interval: Millis) -> Self {
        Self {
            hours: BTreeMap::new(),
            days: BTreeMap::new(),
            known: HashSet::new(),
            interval,
            due: None,
            awaited: 0,
        }
    }

    /// Sets how often it is to be written, before anything is counted.
    pub const fn set_interval(&mut self, interval: Millis) {
        self.interval = interval;
    }

    /// An attempt with a key has its verdict.
    pub fn attempt(
        &mut self,
        now: Millis,
        provider: &str,
        model: &str,
        key: KeyId,
        outcome: Outcome,
    ) {
        self.count(now, provider, model, |counts| counts.attempt(outcome));
        let key = self.day(now).key(key);
        key.attempts += 1;
        *match outcome {
            Outcome::Success => &mut key.successes,
            Outcome::RateLimited => &mut key.rate_limited,
            _ => &mut key.errors,
        } += 1;
    }

    /// A client's request is over. `token` is its [`tag`](super::token::Token::tag).
    pub fn request(&mut self, now: Millis, provider: &str, model: &str, token: u32, end: End) {
        self.count(now, provider, model, |counts| {
            counts.requests += 1;
            counts.refused += u64::from(end.is_ours());
            counts.known |= end == End::Exhausted;
        });
        let token = self.day(now).token(Some(token));
        token.requests += 1;
        token.successes += u64::from(end == End::Served);
        token.refused += u64::from(end.is_ours());
    }

    /// What to do behind a request. Who is told to wait or to write does so.
    pub fn plan(&mut self, now: Millis) -> Plan {
        let Some(due) = self.due.filter(|_| !self.is_empty()) else { return Plan::Rest };
        if due <= now {
            return Plan::Write;
        }
        if due - now > LONGEST_WAIT || now < self.awaited {
            return Plan::Rest;
        }
        self.awaited = due;
        Plan::Wait(due - now)
    }

    /// Whether a write is due.
    #[must_use]
    pub fn is_due(&self, now: Millis) -> bool {
        self.due.is_some_and(|due| due <= now) && !self.is_empty()
    }

    /// Whether D1 has everything.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.hours.is_empty() && self.days.is_empty()
    }

    /// Takes out what is to be written now, oldest first; what does not fit stays for the next time,
    /// which is after the interval.
    pub fn take(&mut self, now: Millis) -> Batch {
        self.due = Some(now.saturating_add(self.interval));
        let mut hourly = BTreeMap::<_, Counts>::new();
        let known = &mut self.known;
        while hourly.len() < HOURLY_PER_WRITE
            && let Some((start, hour)) = self.hours.pop_first()
        {
            hour.rows(known, |provider, model, counts| {
                hourly.entry((start, provider, model)).or_default().add(&counts);
            });
        }
        let hourly = hourly
            .into_iter()
            .map(|((hour, provider, model), counts)| (hour, provider, model, counts));
        let mut batch = Batch { hourly: hourly.collect(), ..Batch::default() };
        while let Some(mut entry) = self.days.first_entry() {
            let (start, day) = (*entry.key(), entry.get_mut());
            let room = KEYS_PER_WRITE.saturating_sub(batch.keys.len());
            let keys = take_most(&mut day.keys, room, |counts| counts.attempts);
            batch.keys.extend(keys.map(|(key, counts)| (start, key, counts)));
            let room = TOKENS_PER_WRITE.saturating_sub(batch.tokens.len());
            let tokens = take_most(&mut day.tokens, room, |counts| counts.requests);
            batch.tokens.extend(tokens.map(|(token, counts)| (start, token, counts)));
            if !day.keys.is_empty() || !day.tokens.is_empty() {
                break;
            }
            entry.remove();
        }
        batch
    }

    /// All isolates together wrote so many rows today.
    pub fn hold(&mut self, now: Millis, rows_today: u64) {
        let wait = self.interval.max(wait_for(rows_today, now % DAY));
        self.due = Some(now.saturating_add(wait));
    }

    /// D1 did not take it.
    pub fn put_back(&mut self, batch: Batch) {
        for (hour, provider, model, counts) in batch.hourly {
            self.count(hour, &provider, &model, |known| known.add(&counts));
        }
        for (day, key, counts) in batch.keys {
            self.day(day).key(key).add(&counts);
        }
        for (day, token, counts) in batch.tokens {
            self.day(day).token(token).add(&counts);
        }
    }

    fn count(&mut self, at: Millis, provider: &str, model: &str, work: impl FnOnce(&mut Counts)) {
        if self.due.is_none() {
            self.due = Some(at.saturating_add(self.interval / FIRST));
        }
        self.hours.entry(at - at % HOUR).or_default().count(provider, model, work);
        if self.hours.len() > HOURS_KEPT {
            self.hours.pop_first();
        }
    }

    fn day(&mut self, at: Millis) -> &mut Day {
        let start = at - at % DAY;
        if self.days.len() >= DAYS_KEPT && !self.days.contains_key(&start) {
            self.days.pop_first();
        }
        self.days.entry(start).or_default()
    }
}

impl Hour {
    fn count(&mut self, provider: &str, model: &str, work: impl FnOnce(&mut Counts)) {
        let known = self.providers.get_mut(provider).and_then(|models| models.get_mut(model));
        if let Some(counts) = known {
            return work(counts);
        }
        let named =
            self.providers.contains_key(provider) || self.providers.len() < PROVIDERS_PER_HOUR;
        let provider = if named { provider } else { REST };
        let model = if self.models < MODELS_PER_HOUR { model } else { EVERY_MODEL };
        let models = self.providers.entry(provider.to_owned()).or_default();
        let counts = models.entry(model.to_owned()).or_insert_with(|| {
            self.models += 1;
            Counts::default()
        });
        work(counts);
    }

    /// Shows its rows. A model that no upstream vouched for has none of its own, and neither has a
    /// provider that is not in our table and was never asked: those are names that clients chose.
    fn rows(
        self,
        known: &mut HashSet<(String, String)>,
        mut show: impl FnMut(String, String, Counts),
    ) {
        for (provider, models) in self.providers {
            let listed = provider::find(&provider).is_some_and(|row| row.slug == provider);
            for (model, counts) in models {
                let names = (provider.clone(), model);
                let is_known = counts.known || known.contains(&names);
                let model = if is_known { names.1.clone() } else { EVERY_MODEL.to_owned() };
                if counts.known && known.len() < KNOWN_KEPT {
                    known.insert(names);
                }
                let named = listed || is_known || counts.attempts > 0;
                let provider = if named { provider.clone() } else { REST.to_owned() };
                show(provider, model, counts);
            }
        }
    }
}

impl Day {
    fn key(&mut self, key: KeyId) -> &mut KeyCounts {
        let room = self.keys.len() < KEYS_KEPT || self.keys.contains_key(&key);
        self.keys.entry(if room { key } else { KeyId(0) }).or_default()
    }

    fn token(&mut self, token: Option<u32>) -> &mut TokenCounts {
        let room = self.tokens.len() < TOKENS_KEPT || self.tokens.contains_key(&token);
        self.tokens.entry(if room { token } else { None }).or_default()
    }
}

/// Takes out the `room` entries with the largest numbers.
fn take_most<K: Copy + Eq + Hash + Ord, V>(
    map: &mut HashMap<K, V>,
    room: usize,
    number: impl Fn(&V) -> u64,
) -> impl Iterator<Item = (K, V)> {
    let mut keys: Vec<_> = map.iter().map(|(key, value)| (number(value), *key)).collect();
    keys.sort_unstable_by(|a, b| b.cmp(a));
    keys.truncate(room);
    keys.into_iter().filter_map(|(_, key)| map.remove_entry(&key))
}

/// How long to hold back when so many rows were written since midnight, `of_day` ago: until the day's
/// schedule, [`ROWS_PER_DAY`] spread evenly after the first [`ROWS_AHEAD`], has come to that number.
fn wait_for(rows_today: u64, of_day: Millis) -> Millis {
    let reached = rows_today.saturating_sub(ROWS_AHEAD).saturating_mul(DAY) / ROWS_PER_DAY;
    reached.saturating_sub(of_day).min(DAY.saturating_sub(of_day))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::balance::verdict::{Reason, Scope, Wait};
    use proptest::prelude::*;

    /// Noon of some day.
    const NOON: Millis = 20_000 * DAY + 12 * HOUR;

    fn ledger() -> Ledger {
        Ledger::new(MINUTE)
    }

    fn served(ledger: &mut Ledger, at: Millis, model: &str, key: u64) {
        ledger.attempt(at, "openai", model, KeyId(key), Outcome::Success);
        ledger.request(at, "openai", model, 7, End::Served);
    }

    #[test]
    fn counts_by_hour_and_by_day_of_utc() {
        let mut ledger = ledger();
        let midnight = NOON + 12 * HOUR;
        served(&mut ledger, midnight - 1, "m", 1);
        served(&mut ledger, midnight, "m", 1);
        served(&mut ledger, midnight + HOUR - 1, "m", 1);
        let batch = ledger.take(midnight + HOUR);
        let hours: Vec<_> = batch.hourly.iter().map(|(h, .., c)| (*h, c.requests)).collect();
        assert_eq!(hours, [(midnight - HOUR, 1), (midnight, 2)]);
        let days: Vec<_> = batch.keys.iter().map(|(d, key, c)| (*d, key.0, c.attempts)).collect();
        assert_eq!(days, [(midnight - DAY, 1, 1), (midnight, 1, 2)]);
        let days: Vec<_> = batch.tokens.iter().map(|(d, t, c)| (*d, *t, c.successes)).collect();
        assert_eq!(days, [(midnight - DAY, Some(7), 1), (midnight, Some(7), 2)]);
        assert_eq!(batch.rows(), 2 * 2 + 2 + 2 + 1);
        assert!(ledger.is_empty());
    }

    #[test]
    fn every_verdict_has_its_number() {
        let cool =
            Verdict::Cool { scope: Scope::Model, wait: Wait::Stated(0), reason: Reason::RateLimit };
        let verdicts = [
            Verdict::Success,
            cool,
            Verdict::Reject { reason: Reason::Invalid, certain: true },
            Verdict::Transient { elsewhere: true, after: 0, unexecuted: true },
            Verdict::Egress,
            Verdict::Gateway { code: 1 },
            Verdict::Caller,
        ];
        let mut ledger = ledger();
        for (times, verdict) in (1..).zip(&verdicts) {
            for _ in 0..times {
                ledger.attempt(NOON, "openai", "m", KeyId(1), verdict.into());
            }
        }
        let batch = ledger.take(NOON);
        let counts = batch.hourly[0].3;
        let seen = [
            counts.successes,
            counts.rate_limited,
            counts.rejected,
            counts.transient,
            counts.egress,
            counts.gateway,
            counts.caller,
        ];
        assert_eq!(seen, [1, 2, 3, 4, 5, 6, 7]);
        assert_eq!(counts.attempts, counts.successes + counts.rate_limited + counts.errors());
        let of_key = batch.keys[0].2;
        assert_eq!((of_key.attempts, of_key.successes, of_key.rate_limited), (28, 1, 2));
        assert_eq!(of_key.errors, 25);
    }

    #[test]
    fn names_that_clients_make_up_have_no_rows() {
        let mut ledger = ledger();
        for n in 0..10 {
            let invented = format!("invented-{n}");
            ledger.attempt(NOON, "openai", &invented, KeyId(1), Outcome::Caller);
            ledger.request(NOON, "openai", &invented, 7, End::Failed);
            ledger.request(NOON, &format!("custom-{n}"), "m", 7, End::Refused);
        }
        ledger.request(NOON, "openai", "cooling", 7, End::Exhausted);
        served(&mut ledger, NOON, "known", 1);
        let batch = ledger.take(NOON);
        let rows: Vec<_> = batch
            .hourly
            .iter()
            .map(|(_, provider, model, counts)| {
                (provider.as_str(), model.as_str(), counts.requests)
            })
            .collect();
        ledger.attempt(NOON, "openai", "known", KeyId(1), Outcome::Caller);
        assert_eq!(ledger.take(NOON).hourly[0].2, "known", "what was known stays known");
        assert_eq!(
            rows,
            [("*", "*", 10), ("openai", "*", 10), ("openai", "cooling", 1), ("openai", "known", 1)]
        );
    }

    #[test]
    fn memory_and_batches_are_bounded_and_nothing_is_lost_by_it() {
        let mut ledger = ledger();
        for n in 0..5_000_u64 {
            let (model, provider) = (format!("m{n}"), format!("p{}", n % 100));
            ledger.attempt(NOON, &provider, &model, KeyId(n + 1), Outcome::Success);
            ledger.request(NOON, &provider, &model, n as u32, End::Served);
        }
        let hour = &ledger.hours[&NOON];
        assert!(hour.providers.len() <= PROVIDERS_PER_HOUR + 1);
        assert!(hour.models <= MODELS_PER_HOUR + PROVIDERS_PER_HOUR + 1);
        let day = &ledger.days[&(NOON - 12 * HOUR)];
        assert_eq!((day.keys.len(), day.tokens.len()), (KEYS_KEPT + 1, TOKENS_KEPT + 1));
        let (mut requests, mut attempts, mut by_token) = (0, 0, 0);
        while !ledger.is_empty() {
            let batch = ledger.take(NOON);
            assert!(batch.rows() <= 2 * (40 + 50 + 41) + 100 + 20 + 1);
            requests += batch.hourly.iter().map(|row| row.3.requests).sum::<u64>();
            attempts += batch.keys.iter().map(|row| row.2.attempts).sum::<u64>();
            by_token += batch.tokens.iter().map(|row| row.2.requests).sum::<u64>();
        }
        assert_eq!((requests, attempts, by_token), (5_000, 5_000, 5_000));
    }

    #[test]
    fn what_d1_never_takes_is_forgotten_hour_by_hour() {
        let mut ledger = ledger();
        for hour in 0..100 {
            served(&mut ledger, NOON + hour * HOUR, "m", 1);
        }
        assert_eq!((ledger.hours.len(), ledger.days.len()), (HOURS_KEPT, DAYS_KEPT));
        let batch = ledger.take(NOON + 100 * HOUR);
        assert_eq!(batch.hourly.last().unwrap().0, NOON + 99 * HOUR);
    }

    #[test]
    fn the_first_write_is_early_then_one_per_interval() {
        let mut ledger = ledger();
        assert_eq!(ledger.plan(NOON), Plan::Rest, "nothing counted");
        served(&mut ledger, NOON, "m", 1);
        assert_eq!(ledger.plan(NOON), Plan::Wait(MINUTE / FIRST));
        assert_eq!(ledger.plan(NOON + 1), Plan::Rest, "one waits already");
        assert!(!ledger.is_due(NOON + MINUTE / FIRST - 1) && ledger.is_due(NOON + MINUTE / FIRST));
        assert_eq!(ledger.plan(NOON + MINUTE / FIRST), Plan::Write, "should it never come");
        let first = NOON + MINUTE / FIRST;
        assert!(!ledger.take(first).hourly.is_empty());
        assert!(ledger.plan(first + MINUTE) == Plan::Rest && !ledger.is_due(first + MINUTE));
        served(&mut ledger, first + 1, "m", 1);
        assert_eq!(ledger.plan(first + 1), Plan::Rest, "long until then");
        assert_eq!(ledger.plan(first + MINUTE - 5), Plan::Wait(5));
        assert_eq!(ledger.plan(first + MINUTE), Plan::Write);
    }

    #[test]
    fn a_day_that_is_overdrawn_waits_for_its_schedule() {
        let cases = [
            (0, 0, 0),
            (ROWS_AHEAD, 0, 0),
            (ROWS_AHEAD + ROWS_PER_DAY / 2, 12 * HOUR, 0),
            (ROWS_AHEAD + ROWS_PER_DAY / 2, 11 * HOUR, HOUR),
            (ROWS_AHEAD + ROWS_PER_DAY / 24, 30 * MINUTE, 30 * MINUTE),
            (10 * ROWS_PER_DAY, 23 * HOUR, HOUR),
            (u64::MAX, DAY - 1, 1),
        ];
        for (rows, of_day, wait) in cases {
            assert_eq!(wait_for(rows, of_day), wait, "{rows} rows at {of_day}");
        }
        let mut ledger = ledger();
        served(&mut ledger, NOON, "m", 1);
        ledger.take(NOON);
        served(&mut ledger, NOON, "m", 1);
        ledger.hold(NOON, MOST_ROWS_PER_DAY);
        assert!(!ledger.is_due(NOON + 12 * HOUR - 1) && ledger.is_due(NOON + 12 * HOUR));
    }

    #[test]
    fn what_was_not_taken_is_written_with_what_came_meanwhile() {
        let mut ledger = ledger();
        served(&mut ledger, NOON, "m", 1);
        let batch = ledger.take(NOON);
        served(&mut ledger, NOON + 1, "m", 1);
        ledger.put_back(batch);
        let batch = ledger.take(NOON);
        let counts = batch.hourly[0].3;
        assert_eq!((counts.requests, counts.attempts, counts.successes), (2, 2, 2));
        assert_eq!((batch.keys[0].2.attempts, batch.tokens[0].2.requests), (2, 2));
    }

    /// Isolates that come and go, each with its own idea of the day.
    #[test]
    fn many_isolates_together_stay_near_the_schedule() {
        let mut isolates: Vec<_> = (0..60).map(|_| ledger()).collect();
        let mut rows = 0;
        for minute in 0..24 * 60 {
            let now = 20_000 * DAY + minute * MINUTE;
            for (n, ledger) in (0..).zip(&mut isolates) {
                for key in 0..30 {
                    served(ledger, now, "m", n * 1_000 + key);
                }
                if ledger.is_due(now) {
                    rows += ledger.take(now).rows();
                    ledger.hold(now, rows);
                }
            }
        }
        assert!((ROWS_PER_DAY..ROWS_PER_DAY + 4_000).contains(&rows), "{rows}");
    }

    proptest! {
        #[test]
        fn nothing_is_counted_twice_or_lost(
            steps in proptest::collection::vec((0u64..4, 0u8..6, 0u64..5, 0u64..3, any::<bool>()), 1..200),
        ) {
            let mut ledger = ledger();
            let (mut now, mut written, mut asked) = (NOON, 0, 0);
            for (hours, model, key, take, fails) in steps {
                now += hours * 10 * MINUTE;
                served(&mut ledger, now, &format!("m{model}"), key);
                asked += 1;
                if take == 0 {
                    let batch = ledger.take(now);
                    if fails {
                        ledger.put_back(batch);
                    } else {
                        written += batch.hourly.iter().map(|row| row.3.requests).sum::<u64>();
                    }
                }
                // What is older than the hours kept is forgotten; it does not happen here often.
                prop_assume!(ledger.hours.len() < HOURS_KEPT);
            }
            while !ledger.is_empty() {
                written += ledger.take(now).hourly.iter().map(|row| row.3.requests).sum::<u64>();
            }
            prop_assert_eq!(written, asked);
        }
    }
}
