//! Every SQL string, and the way between rows and the core's types. Nobody else knows a column.
//!
//! This file has what serves requests: reading a provider's keys, and writing what happened to
//! them. [`keys`], [`overview`] and [`history`] have what the admin API needs, [`tokens`] clients'
//! tokens, [`probes`] what the cron does about blocked keys, [`usage`] the roll-ups, [`watch`] what
//! metrics and the webhook read, [`objects`] which key holds what.

pub mod history;
pub mod keys;
pub mod objects;
pub mod overview;
pub mod probes;
pub mod sealing;
pub mod tokens;
pub mod usage;
pub mod watch;

use core::cell::LazyCell;
use core::pin::pin;
use std::rc::Rc;

use futures_util::future::{Either, select};

use serde::Deserialize;
use serde::de::DeserializeOwned;
use worker::wasm_bindgen::JsValue;
use worker::{D1Database, D1PreparedStatement, D1Result, Env};

use crate::balance::error::Refusal;
use crate::balance::key::{Cooling, Key, KeyId, Secret, Source, State};
use crate::balance::probe;
use crate::balance::snapshot::Change;
use crate::balance::verdict::Reason;
use crate::balance::{Millis, SECOND};
use crate::edge::platform::pause;

/// Keys of a provider that a cold isolate reads: enough that they do not all cool at once, few
/// enough that 10,000 cold starts a day stay within the Free plan's 5 million rows.
pub const WORKING_SET: u32 = 500;

/// Rows of a kind that a refresh reads: after a change to more keys than this a new working set is
/// cheaper.
pub const MOST_CHANGED: usize = 1_000;

/// Keys that are looked through for one that does not cool, when all of the working set do: four
/// times as many. A pool of 100,000 is through after 50 such searches.
const SEARCHED: u32 = 2_000;

/// A refresh asks for rows this much older than the last one, since a row's time is taken before it
/// is committed, on a clock of its own.
pub const OVERLAP: Millis = 30 * SECOND;

/// D1, for one request.
#[derive(Clone)]
pub struct Store {
    d1: Rc<LazyCell<Option<D1Database>, Find>>,
    patience: Millis,
}

/// Looks for the binding.
type Find = Box<dyn FnOnce() -> Option<D1Database>>;

/// How long D1 may take. It usually answers in some 10 ms, but stalls of 25 s were seen; nobody waits
/// that long for a key.
pub const PATIENCE: Millis = 5 * SECOND;
/// The same while a caller could be told something else already.
pub const SHORT_PATIENCE: Millis = SECOND;
/// The same for what is written behind an answer: the runtime allows 30 s there.
pub const LONG_PATIENCE: Millis = 25 * SECOND;

/// What D1 answered for one provider.
#[derive(Debug, Default)]
pub struct Rows {
    /// Keys.
    pub keys: Vec<Key>,
    /// Coolings with their key and the time of the row.
    pub coolings: Vec<(KeyId, Cooling, Millis)>,
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

/// What happened to a key.
struct Event<'a> {
    at: Millis,
    key: KeyId,
    provider: &'a str,
    model: &'a str,
    status: u16,
    verdict: &'a str,
    reason: &'a str,
    message: &'a str,
}

#[derive(Deserialize)]
struct KeyRow {
    id: u64,
    secret: String,
    digest: String,
    state: String,
    priority: i32,
    updated_at: Millis,
}

#[derive(Deserialize)]
struct CoolingRow {
    key_id: u64,
    model: String,
    until: Millis,
    since: Millis,
    source: String,
    reason: String,
    strikes: u32,
    updated_at: Millis,
}

/// The columns of [`KeyRow`] and [`CoolingRow`].
/// Only a sealed text is of use with its digest. The expression may be applied to its own result.
const KEY: &str = "id, secret, iif(substr(secret, 1, 7) = 'sealed:', digest, '') AS digest, state, priority, updated_at";
const COOLING: &str = "key_id, model, until, since, source, reason, strikes, updated_at";

/// Ready keys of provider ?1 from slot ?2 on, and around the end, at most ?3.
fn window(columns: &str) -> String {
    let from = |range: &str| {
        format!(
            "SELECT * FROM (SELECT {columns} FROM provider_keys \
             WHERE provider = ?1 AND state = 'ready' AND slot {range} ?2 ORDER BY slot LIMIT ?3)"
        )
    };
    format!("{} UNION ALL {} LIMIT ?3", from(">="), from("<"))
}

impl Store {
    /// `None` when the binding is missing; every call then fails with a sentence that says so.
    #[must_use]
    pub fn new(d1: Option<D1Database>) -> Self {
        Self { d1: Rc::new(LazyCell::new(Box::new(|| d1))), patience: PATIENCE }
    }

    /// The binding `DB`, looked for when it is needed: most requests do not.
    #[must_use]
    pub fn of(env: &Env) -> Self {
        let env = env.clone();
        Self { d1: Rc::new(LazyCell::new(Box::new(move || env.d1("DB").ok()))), patience: PATIENCE }
    }

    /// The same D1, with another patience.
    #[must_use]
    pub fn patient(&self, patience: Millis) -> Self {
        Self { d1: Rc::clone(&self.d1), patience }
    }

    fn d1(&self) -> Result<&D1Database, Refusal> {
        self.d1.as_ref().as_ref().ok_or_else(|| failed("the binding DB is missing"))
    }

    fn statement(&self, sql: &str, values: &[JsValue]) -> Result<D1PreparedStatement, Refusal> {
        self.d1()?.prepare(sql).bind(values).map_err(failed)
    }

    /// One round trip, one transaction.
    async fn batch(&self, statements: Vec<D1PreparedStatement>) -> Result<Vec<D1Result>, Refusal> {
        let answer = self.d1()?.batch(statements);
        let late = pause(self.patience);
        match select(pin!(answer), pin!(late)).await {
            Either::Left((answer, _)) => answer.map_err(failed),
            Either::Right(_) => Err(failed(format!("no answer within {} ms", self.patience))),
        }
    }

    /// A working set: up to [`WORKING_SET`] ready keys of the provider, from a random place on, with
    /// their coolings. One round trip.
    ///
    /// # Errors
    /// When D1 does not answer.
    pub async fn working_set(
        &self,
        provider: &str,
        slot: u64,
        now: Millis,
    ) -> Result<Rows, Refusal> {
        let values = [text(provider), number(slot), number(WORKING_SET.into()), number(now)];
        let keys = format!("SELECT {KEY} FROM ({}) WHERE ?4 > 0", window(KEY));
        let coolings = format!(
            "SELECT {COOLING} FROM coolings WHERE key_id IN ({}) AND (until > ?4 OR strikes > 0)",
            window("id")
        );
        self.rows(vec![self.statement(&keys, &values)?, self.statement(&coolings, &values)?]).await
    }

    /// Further keys, for a model for which those of the working set cool: of the next
    /// [`SEARCHED`] from a random place on, up to [`WORKING_SET`] that do not cool for it.
    ///
    /// # Errors
    /// When D1 does not answer.
    pub async fn available(
        &self,
        provider: &str,
        names: &[&str],
        slot: u64,
        now: Millis,
    ) -> Result<Rows, Refusal> {
        let names = text(&serde_json::json!(names).to_string());
        let values = [text(provider), number(slot), number(SEARCHED.into()), number(now), names];
        let free = |columns: &str| {
            format!(
                "SELECT {columns} FROM ({}) AS k WHERE NOT EXISTS (SELECT 1 FROM coolings AS c \
                 WHERE c.key_id = k.id AND c.until > ?4 AND c.model IN (SELECT value FROM json_each(?5))) \
                 LIMIT {WORKING_SET}",
                window(KEY)
            )
        };
        let coolings = format!(
            "SELECT {COOLING} FROM coolings WHERE key_id IN (SELECT id FROM ({})) AND (until > ?4 OR strikes > 0)",
            free("id")
        );
        self.rows(vec![self.statement(&free(KEY), &values)?, self.statement(&coolings, &values)?])
            .await
    }

    /// What changed since a time, the newest [`MOST_CHANGED`] of it. One round trip.
    ///
    /// # Errors
    /// When D1 does not answer.
    pub async fn changed_since(&self, provider: &str, since: Millis) -> Result<Rows, Refusal> {
        let values = [text(provider), number(since)];
        let select = |columns: &str, table: &str| {
            format!(
                "SELECT {columns} FROM {table} WHERE provider = ?1 AND updated_at > ?2 \
                 ORDER BY updated_at DESC LIMIT {MOST_CHANGED}"
            )
        };
        self.rows(vec![
            self.statement(&select(KEY, "provider_keys"), &values)?,
            self.statement(&select(COOLING, "coolings"), &values)?,
        ])
        .await
    }

    async fn rows(&self, statements: Vec<D1PreparedStatement>) -> Result<Rows, Refusal> {
        let results = self.batch(statements).await?;
        let mut results = results.iter();
        let keys: Vec<KeyRow> = next(&mut results)?;
        let coolings: Vec<CoolingRow> = next(&mut results)?;
        Ok(Rows {
            keys: keys.into_iter().map(Key::from).collect(),
            coolings: coolings.into_iter().map(cooling_of).collect(),
        })
    }

    /// Writes what happened to keys: one batch. Every statement is guarded, so that isolates that
    /// write in any order agree: the end of a cooling only grows, and only a ready key is blocked.
    ///
    /// # Errors
    /// When D1 does not take it; then nothing of it is written.
    pub async fn write(&self, changes: &[Recorded]) -> Result<(), Refusal> {
        let mut statements = Vec::with_capacity(changes.len() * 2);
        for recorded in changes {
            let key = number(recorded.change.key().0);
            let (verdict, reason) = match &recorded.change {
                Change::Cool { cooling, .. } => {
                    let seconds = cooling.until.saturating_sub(cooling.since) / SECOND;
                    statements.push(self.statement(
                        "INSERT INTO coolings (key_id, model, provider, until, since, source, reason, strikes, total_seconds, updated_at) \
                         VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?5) \
                         ON CONFLICT (key_id, model) DO UPDATE SET until = excluded.until, since = excluded.since, \
                         source = excluded.source, reason = excluded.reason, strikes = excluded.strikes, \
                         total_seconds = coolings.total_seconds + excluded.total_seconds, updated_at = excluded.updated_at \
                         WHERE excluded.until > coolings.until",
                        &[
                            key,
                            text(&cooling.model),
                            text(&recorded.provider),
                            number(cooling.until),
                            number(cooling.since),
                            text(cooling.source.as_str()),
                            text(cooling.reason.as_str()),
                            number(cooling.strikes.into()),
                            number(seconds),
                        ],
                    )?);
                    ("cool", cooling.reason)
                }
                Change::Block { reason, certain, .. } => {
                    let due = probe::due(&recorded.provider, *certain, 0, recorded.at);
                    statements.push(self.statement(
                        "UPDATE provider_keys SET state = 'blocked', reason = ?2, certain = ?3, probes = 0, \
                         probe_at = ?4, updated_at = ?5 WHERE id = ?1 AND state = 'ready'",
                        &[
                            key,
                            text(reason.as_str()),
                            number((*certain).into()),
                            due.map_or(JsValue::NULL, number),
                            number(recorded.at),
                        ],
                    )?);
                    ("reject", *reason)
                }
            };
            statements.push(self.event(&Event {
                at: recorded.at,
                key: recorded.change.key(),
                provider: &recorded.provider,
                model: &recorded.model,
                status: recorded.status,
                verdict,
                reason: reason.as_str(),
                message: &recorded.message,
            })?);
        }
        if statements.is_empty() {
            return Ok(());
        }
        self.batch(statements).await.map(|_| ())
    }

    /// The statement that notes an event.
    fn event(&self, event: &Event<'_>) -> Result<D1PreparedStatement, Refusal> {
        self.statement(
            "INSERT INTO events (at, key_id, provider, model, status, verdict, reason, message) \
             VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8)",
            &[
                number(event.at),
                number(event.key.0),
                text(event.provider),
                text(event.model),
                number(event.status.into()),
                text(event.verdict),
                text(event.reason),
                text(event.message),
            ],
        )
    }

    /// Whether D1 answers and has its tables.
    ///
    /// # Errors
    /// When it does not.
    pub async fn ping(&self) -> Result<(), Refusal> {
        let statement = self.statement("SELECT id FROM provider_keys LIMIT 1", &[])?;
        self.batch(vec![statement]).await.map(|_| ())
    }
}

impl From<KeyRow> for Key {
    fn from(row: KeyRow) -> Self {
        // It is opened when it is picked.
        let secret = Secret::stored(row.secret, &row.digest);
        Self {
            id: KeyId(row.id),
            state: match State::parse(&row.state) {
                State::Ready if !crate::edge::sealing::may_open(&secret) => State::Locked,
                state => state,
            },
            secret,
            priority: row.priority,
            changed_at: row.updated_at,
            coolings: Vec::new(),
            used: 0,
            in_flight: 0,
            started_at: 0,
        }
    }
}

fn cooling_of(row: CoolingRow) -> (KeyId, Cooling, Millis) {
    let cooling = Cooling {
        model: row.model,
        until: row.until,
        since: row.since,
        source: Source::parse(&row.source),
        reason: Reason::parse(&row.reason).unwrap_or(Reason::RateLimit),
        strikes: row.strikes,
        retried: false,
    };
    (KeyId(row.key_id), cooling, row.updated_at)
}

/// The text of a key from what D1 has; still sealed when it is locked.
fn open_secret(provider: &str, stored: String, digest: &str) -> Secret {
    let stored = Secret::stored(stored, digest);
    crate::edge::sealing::open(provider, &stored).unwrap_or(stored)
}

/// The rows of the next result of a batch.
fn next<'a, T: DeserializeOwned>(
    results: &mut impl Iterator<Item = &'a D1Result>,
) -> Result<Vec<T>, Refusal> {
    let result = results.next().ok_or_else(|| failed("fewer results than statements"))?;
    result.results().map_err(failed)
}

/// D1 did not do it. What it says may hold values, so the caller is not told.
fn failed(why: impl core::fmt::Debug) -> Refusal {
    crate::edge::alerts::note_store();
    Refusal::store(format!("{why:?}"))
}

fn text(value: &str) -> JsValue {
    JsValue::from_str(value)
}

/// D1 takes no `BigInt`; ids and times are below 2^53.
#[expect(clippy::cast_precision_loss, reason = "below 2^53")]
fn number(value: u64) -> JsValue {
    JsValue::from_f64(value as f64)
}
