//! Every SQL string, and the way between rows and the core's types. Nobody else knows a column.
//!
//! This file has what serves requests: reading a provider's keys, and writing what happened to
//! them. [`keys`], [`overview`] and [`history`] have what the admin API needs, [`tokens`] clients'
//! tokens, [`probes`] what the cron does about blocked keys, [`usage`] the roll-ups, [`watch`] what
//! metrics and the webhook read, [`objects`] which key holds what, `catalogue` which providers have
//! keys.

mod catalogue;
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
use serde_json::{Value, json};
use worker::wasm_bindgen::JsValue;
use worker::{D1Database, D1PreparedStatement, D1Result, Env};

use crate::balance::error::Refusal;
use crate::balance::home::Wanted;
use crate::balance::isolate::{Kind, Read, Recorded, Rows};
use crate::balance::key::{Cooling, Key, KeyId, Secret, Source, State, covering_names};
use crate::balance::probe;
use crate::balance::snapshot::{Change, STRIKES_KEPT};
use crate::balance::verdict::Reason;
use crate::balance::{Millis, SECOND};
use crate::edge::platform::pause;

/// Rows that a refresh reads: after a change to more keys than this a new working set is cheaper.
const MOST_CHANGED: usize = 1_000;

/// Keys that are looked through for one that does not cool, when all of the working set do. A pool of
/// 100,000 is through after 50 such searches.
const SEARCHED: u32 = 2_000;

/// What a search takes of them at the most.
const FOUND: u32 = 500;

/// D1's own clock. Whatever changes a key or its coolings sets `updated_at` by it to more than it was:
/// see [`VERSION`].
pub const NOW: &str = "CAST(unixepoch('subsec') * 1000 AS INTEGER)";

/// The next `updated_at` of a key: D1's clock, and always more than before. So a refresh misses
/// nothing, however late a change was written and whatever the clock of its isolate, and of two rows
/// of a key the newer one is known by it.
pub const VERSION: &str =
    "max(provider_keys.updated_at + 1, CAST(unixepoch('subsec') * 1000 AS INTEGER))";

/// The next `ready_since` of a key: no two times that it became ready are alike.
pub const READY_AGAIN: &str =
    "max(provider_keys.ready_since + 1, CAST(unixepoch('subsec') * 1000 AS INTEGER))";

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
    project: String,
    updated_at: Millis,
    ready_since: Millis,
    /// A list of [`CoolingRow`]s as JSON, some of which may be over; nothing when none is worth reading.
    coolings: Option<String>,
}

/// Model, end, beginning, source, reason, strikes.
type CoolingRow = (String, Millis, Millis, String, String, u32);

#[derive(Deserialize)]
struct Clock {
    now: Millis,
}

/// The coolings of key `id` that are worth reading, as JSON: a list of [`CoolingRow`]s.
fn running(id: &str) -> String {
    format!(
        "(SELECT json_group_array(json_array(c.model, c.until, c.since, c.source, c.reason, c.strikes)) \
         FROM coolings AS c WHERE c.key_id = {id} AND (c.until > {NOW} OR (c.strikes > 0 AND c.until > {NOW} - {STRIKES_KEPT})))"
    )
}

/// The columns of [`KeyRow`] from `provider_keys AS k`. Only a sealed text is of use with its digest.
/// Coolings stand in the key's row as well, as of one version of it. They are only looked for in their
/// own table when it has another one by now, since every look counts as rows.
fn columns() -> String {
    format!(
        "k.id, k.secret, iif(substr(k.secret, 1, 7) = 'sealed:', k.digest, '') AS digest, k.state, k.priority, k.project, k.updated_at, k.ready_since, \
         CASE WHEN k.cooled_until <= {NOW} THEN NULL WHEN k.running_at = k.updated_at THEN k.running ELSE {} END AS coolings",
        running("k.id")
    )
}

/// Ready keys of provider ?1, at most ?3 of them: by priority, and within one from slot ?2 on and
/// around the end. A walk along the index that stops as soon as it has enough.
fn window(columns: &str, only: &str) -> String {
    let highest = "SELECT max(priority) FROM provider_keys WHERE provider = ?1 AND state = 'ready'";
    format!(
        "WITH RECURSIVE tiers(priority) AS ({highest} UNION ALL \
         SELECT ({highest} AND priority < tiers.priority) FROM tiers WHERE tiers.priority IS NOT NULL), \
         halves(low, high) AS (VALUES (?2, 4294967296), (0, ?2)) \
         SELECT {columns} FROM tiers CROSS JOIN halves CROSS JOIN provider_keys AS k \
         WHERE k.provider = ?1 AND k.state = 'ready' AND k.priority = tiers.priority \
         AND k.slot >= halves.low AND k.slot < halves.high {only} LIMIT ?3"
    )
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

    /// What an isolate wants to know. One round trip. `wanted` is what a search is for, `working_set`
    /// the number of keys of a load.
    ///
    /// # Errors
    /// When D1 does not answer.
    pub async fn read(
        &self,
        read: &Read,
        wanted: Wanted<'_>,
        working_set: u32,
    ) -> Result<Rows, Refusal> {
        let [provider, slot] = [text(&read.provider), number(read.slot)];
        let mut statements = vec![self.statement(&format!("SELECT {NOW} AS now"), &[])?];
        let of_keys = |keys: &[KeyId]| {
            let ids: Vec<_> = keys.iter().map(|id| id.0).collect();
            let sql = format!(
                "SELECT {} FROM provider_keys AS k WHERE k.provider = ?1 \
                 AND k.id IN (SELECT value FROM json_each(?2))",
                columns()
            );
            self.statement(&sql, &[provider.clone(), text(&json!(ids).to_string())])
        };
        let most = match read.kind {
            Kind::Load => {
                let values = [provider.clone(), slot, number(working_set.into())];
                statements.push(self.statement(&window(&columns(), ""), &values)?);
                working_set as usize
            }
            Kind::Search => {
                let names = text(&json!(covering_names(wanted)).to_string());
                let free = format!(
                    "SELECT {} FROM ({}) AS w JOIN provider_keys AS k ON k.id = w.id \
                     WHERE {MAY_BE_HOME} AND (w.cooled_until <= {NOW} OR NOT EXISTS (SELECT 1 FROM coolings AS c \
                     WHERE c.key_id = w.id AND c.until > {NOW} AND c.model IN (SELECT value FROM json_each(?4)))) \
                     LIMIT {FOUND}",
                    columns(),
                    window("k.id, k.cooled_until, k.project", ""),
                );
                let home = text(wanted.home.unwrap_or_default());
                let values = [provider.clone(), slot, number(SEARCHED.into()), names, home];
                statements.push(self.statement(&free, &values)?);
                FOUND as usize
            }
            Kind::Keys => {
                statements.push(of_keys(&read.doubted)?);
                usize::MAX
            }
            Kind::Refresh => {
                let changed = format!(
                    "SELECT {} FROM provider_keys AS k WHERE k.provider = ?1 AND k.updated_at > ?2 \
                     ORDER BY k.updated_at DESC LIMIT {MOST_CHANGED}",
                    columns()
                );
                let values = [provider.clone(), number(read.since)];
                statements.push(self.statement(&changed, &values)?);
                if !read.doubted.is_empty() {
                    statements.push(of_keys(&read.doubted)?);
                }
                MOST_CHANGED
            }
        };
        let results = self.batch(statements).await?;
        let mut results = results.iter();
        let clock: Vec<Clock> = next(&mut results)?;
        let mut rows: Vec<KeyRow> = next(&mut results)?;
        let more = rows.len() >= most;
        if results.len() > 0 {
            rows.extend(next::<KeyRow>(&mut results)?);
        }
        let at = clock.first().map_or(0, |clock| clock.now);
        Ok(Rows { keys: rows.into_iter().map(Key::from).collect(), at, more })
    }

    /// Writes what happened to keys: one batch. Every statement is guarded by the rules of
    /// [`Snapshot::apply`](crate::balance::snapshot::Snapshot::apply), so that isolates that write in
    /// any order agree. Tells the keys of changes that did nothing.
    ///
    /// A cooling writes three rows (its own, the key's, and one of the index of changes), its event
    /// a fourth; one that does nothing writes only its event.
    ///
    /// # Errors
    /// When D1 does not take it; then nothing of it is written.
    pub async fn write(&self, changes: &[Recorded]) -> Result<Vec<KeyId>, Refusal> {
        let mut statements = Vec::with_capacity(changes.len() * 2 + 1);
        // The statement that tells whether a change did something.
        let mut deciding = Vec::with_capacity(changes.len());
        let mut events = Vec::with_capacity(changes.len());
        for recorded in changes {
            let key = number(recorded.change.key().0);
            deciding.push(statements.len());
            let (verdict, reason) = match &recorded.change {
                Change::Cool { cooling, .. } => {
                    let seconds = cooling.until.saturating_sub(cooling.since) / SECOND;
                    statements.push(self.statement(
                        &format!(
                            "INSERT INTO coolings (key_id, model, provider, until, since, source, reason, strikes, total_seconds, updated_at) \
                             SELECT ?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, {NOW} \
                             WHERE EXISTS (SELECT 1 FROM provider_keys WHERE id = ?1 AND state <> 'deleted') \
                             ON CONFLICT (key_id, model) DO UPDATE SET until = excluded.until, since = excluded.since, \
                             source = excluded.source, reason = excluded.reason, strikes = excluded.strikes, \
                             total_seconds = coolings.total_seconds + excluded.total_seconds, updated_at = excluded.updated_at \
                             WHERE {GIVES_WAY}"
                        ),
                        &[
                            key.clone(),
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
                    let kept = if cooling.strikes > 0 { STRIKES_KEPT } else { 0 };
                    // A key that has no other cooling needs no look at the table.
                    statements.push(self.statement(
                        &format!(
                            "UPDATE provider_keys SET updated_at = {VERSION}, cooled_until = max(cooled_until, ?2), running_at = {VERSION}, \
                             running = CASE WHEN cooled_until <= {NOW} THEN json_array(json(?3)) ELSE {} END \
                             WHERE id = ?1 AND changes() > 0",
                            running("?1")
                        ),
                        &[key, number(cooling.until + kept), text(&row_of(cooling).to_string())],
                    )?);
                    ("cool", cooling.reason.as_str())
                }
                Change::Block { reason, certain, ready_since, .. } => {
                    let due = probe::due(&recorded.provider, *certain, 0, recorded.at);
                    statements.push(self.statement(
                        &format!(
                            "UPDATE provider_keys SET state = 'blocked', reason = ?2, certain = ?3, probes = 0, \
                             probe_at = ?4, changed_at = ?6, updated_at = {VERSION} \
                             WHERE id = ?1 AND state = 'ready' AND ready_since = ?5"
                        ),
                        &[
                            key,
                            text(reason.as_str()),
                            number((*certain).into()),
                            due.map_or(JsValue::NULL, number),
                            number(*ready_since),
                            number(recorded.at),
                        ],
                    )?);
                    ("reject", reason.as_str())
                }
                Change::Home { home, .. } => {
                    statements.push(self.statement(
                        &format!(
                            "UPDATE provider_keys SET project = ?2, updated_at = {VERSION} WHERE id = ?1 AND project = ''"
                        ),
                        &[key, text(home)],
                    )?);
                    ("home", "")
                }
            };
            let event = Event {
                at: recorded.at,
                key: recorded.change.key(),
                provider: &recorded.provider,
                model: &recorded.model,
                status: recorded.status,
                verdict,
                reason,
                message: &recorded.message,
            };
            events.push(event.values());
        }
        if statements.is_empty() {
            return Ok(Vec::new());
        }
        statements.push(self.noted(events)?);
        let results = self.batch(statements).await?;
        let mut refused = Vec::new();
        for (recorded, at) in changes.iter().zip(deciding) {
            let meta = results.get(at).map(D1Result::meta).transpose().map_err(failed)?;
            if meta.flatten().and_then(|meta| meta.changes) == Some(0) {
                refused.push(recorded.change.key());
            }
        }
        Ok(refused)
    }

    /// The statement that notes an event.
    fn event(&self, event: &Event<'_>) -> Result<D1PreparedStatement, Refusal> {
        self.noted(vec![event.values()])
    }

    /// The statement that notes events.
    fn noted(&self, events: Vec<Value>) -> Result<D1PreparedStatement, Refusal> {
        self.statement(
            "INSERT INTO events (at, key_id, provider, model, status, verdict, reason, message) \
             SELECT value ->> 0, value ->> 1, value ->> 2, value ->> 3, value ->> 4, value ->> 5, value ->> 6, value ->> 7 \
             FROM json_each(?1)",
            &[text(&Value::Array(events).to_string())],
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

impl Event<'_> {
    fn values(&self) -> Value {
        json!([
            self.at,
            self.key.0,
            self.provider,
            self.model,
            self.status,
            self.verdict,
            self.reason,
            self.message
        ])
    }
}

impl From<KeyRow> for Key {
    fn from(row: KeyRow) -> Self {
        let coolings: Vec<CoolingRow> = row
            .coolings
            .and_then(|coolings| serde_json::from_str(&coolings).ok())
            .unwrap_or_default();
        // It is opened when it is picked.
        let secret = Secret::stored(row.secret, &row.digest);
        Self {
            state: match State::parse(&row.state) {
                State::Ready if !crate::edge::sealing::may_open(&secret) => State::Locked,
                state => state,
            },
            priority: row.priority,
            project: row.project,
            version: row.updated_at,
            ready_since: row.ready_since,
            coolings: coolings.into_iter().map(cooling_of).collect(),
            ..Self::new(KeyId(row.id), secret)
        }
    }
}

/// A [`CoolingRow`].
fn row_of(cooling: &Cooling) -> Value {
    let Cooling { model, until, since, source, reason, strikes, .. } = cooling;
    json!([model, until, since, source.as_str(), reason.as_str(), strikes])
}

fn cooling_of(row: CoolingRow) -> Cooling {
    let (model, until, since, source, reason, strikes) = row;
    Cooling {
        model,
        until,
        since,
        source: Source::parse(&source),
        reason: Reason::parse(&reason).unwrap_or(Reason::RateLimit),
        strikes,
        retried: false,
        disproved: false,
    }
}

/// [`Cooling::gives_way_to`], of the row `coolings` to the row `excluded`.
const GIVES_WAY: &str = "CASE WHEN coolings.until = 0 THEN excluded.since > coolings.since \
     WHEN coolings.until <= excluded.since THEN 1 \
     WHEN coolings.source = excluded.source THEN excluded.until > coolings.until \
     ELSE excluded.source = 'stated' AND (excluded.since >= coolings.since OR excluded.until > coolings.until) END";

/// [`belongs`](crate::balance::home::belongs) is not `Elsewhere`, of the project of `w` and the home ?5,
/// which is empty where the provider has none.
const MAY_BE_HOME: &str = "(?5 = '' OR w.project = '' OR lower(w.project) = ?5 \
     OR (w.project GLOB '*[^0-9]*') <> (?5 GLOB '*[^0-9]*'))";

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
