//! What the admin API asks of D1.

use serde::{Deserialize, Serialize};
use serde_json::{Value, json};
use worker::wasm_bindgen::JsValue;

use super::{Store, failed, next, number, text};
use crate::balance::error::Refusal;
use crate::balance::key::Secret;
use crate::balance::paste::Pasted;
use crate::balance::{DAY, Millis, SECOND};

/// Keys in one parameter of a statement, and the bytes of their texts: a value may have 2 MB, and
/// digest, hint and punctuation add about 120 bytes to a key. With three statements each, 10,000 keys
/// in 4 MB take at most 42 of the 50 statements that the Free plan allows a request.
const KEYS_PER_STATEMENT: usize = 1_000;
const BYTES_PER_STATEMENT: usize = 1_000_000;
/// Keys whose digest is filled in by one run, and runs before keys are added: two statements each.
const ADOPTED_PER_RUN: u32 = 2_500;
const ADOPTING_RUNS: u32 = 2;
/// How long a deleted key can be brought back, and how long its row tells other isolates.
const SECRET_KEPT: Millis = 10 * 60 * SECOND;
const TOMBSTONE_KEPT: Millis = DAY;
/// Events kept.
const EVENTS_KEPT: u64 = 20_000;

/// A key as the page shows it.
#[derive(Debug, Serialize, Deserialize)]
pub struct Listed {
    id: u64,
    provider: String,
    hint: String,
    state: String,
    reason: Option<String>,
    #[serde(deserialize_with = "flag")]
    certain: bool,
    remark: String,
    project: String,
    priority: i32,
    cooled_seconds: u64,
    created_at: u64,
    updated_at: u64,
    #[serde(default)]
    coolings: Vec<ListedCooling>,
}

/// A cooling as the page shows it.
#[derive(Debug, Serialize, Deserialize)]
pub struct ListedCooling {
    #[serde(skip_serializing)]
    key_id: u64,
    model: String,
    until: u64,
    since: u64,
    source: String,
    reason: String,
    strikes: u64,
    total_seconds: u64,
}

/// SQLite has no booleans.
fn flag<'de, D: serde::Deserializer<'de>>(deserializer: D) -> Result<bool, D::Error> {
    Ok(u8::deserialize(deserializer)? != 0)
}

/// Which keys to list.
#[derive(Debug)]
pub struct Query {
    /// Of one provider, or of all when empty.
    pub provider: String,
    /// Only those; every state but deleted when absent.
    pub state: Option<Filter>,
    /// In the remark, the hint, or the whole key.
    pub search: String,
    /// In which order.
    pub sort: Sort,
    /// Smallest first.
    pub ascending: bool,
    /// From 1.
    pub page: u32,
    /// Keys on a page.
    pub per_page: u32,
}

/// A state as the page filters by it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Filter {
    /// Can be used, and cools for no model.
    Ready,
    /// Can be used, but cools for some model.
    Cooling,
    /// Rejected by its provider.
    Blocked,
    /// Taken out by an administrator.
    Disabled,
}

/// An order of keys.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Sort {
    /// When they were added.
    Created,
    /// When they changed.
    Updated,
    /// By remark.
    Remark,
    /// By state.
    State,
    /// By the time they cooled in all.
    Cooled,
}

impl Sort {
    const fn column(self) -> &'static str {
        match self {
            Self::Created => "k.created_at",
            Self::Updated => "k.updated_at",
            Self::Remark => "k.remark",
            Self::State => "state",
            Self::Cooled => "cooled_seconds",
        }
    }
}

/// What an administrator does to keys.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Action {
    /// Takes them out of the pool for good.
    Delete,
    /// Puts them back, without their coolings.
    Restore,
    /// Takes them out of the pool.
    Disable,
    /// Ends their coolings.
    ClearCoolings,
    /// Sets their remark.
    SetRemark(String),
    /// Sets their project.
    SetProject(String),
    /// Sets their priority.
    SetPriority(i32),
}

/// A cooling is running.
const COOLS: &str = "EXISTS (SELECT 1 FROM coolings c WHERE c.key_id = k.id AND c.until > ?1)";

/// The state as the page shows it.
fn shown_state() -> String {
    format!("CASE WHEN k.state = 'ready' AND {COOLS} THEN 'cooling' ELSE k.state END AS state")
}

fn listed_columns() -> String {
    format!(
        "k.id, k.provider, k.hint, {}, k.reason, k.certain, k.remark, k.project, k.priority, \
         coalesce((SELECT sum(total_seconds) FROM coolings t WHERE t.key_id = k.id), 0) AS cooled_seconds, \
         k.created_at, k.updated_at",
        shown_state()
    )
}

const LISTED_COOLING: &str = "key_id, model, until, since, source, reason, strikes, total_seconds";

#[derive(Deserialize)]
struct Count {
    n: u64,
}

#[derive(Deserialize)]
struct Existing {
    digest: String,
    state: String,
}

/// What became of pasted keys.
#[derive(Debug, Default)]
pub struct Added {
    /// Digest and id of those that are new.
    pub added: Vec<(String, u64)>,
    /// Digest and state of those that were there.
    pub existing: Vec<(String, String)>,
    /// Of those, how many were put back into the pool.
    pub restored: u64,
}

impl Store {
    /// Keys by provider and state.
    ///
    /// # Errors
    /// When D1 does not answer.
    pub async fn counts(&self, now: Millis) -> Result<Value, Refusal> {
        #[derive(Deserialize)]
        struct Row {
            provider: String,
            state: String,
            n: u64,
        }
        let sql = format!(
            "SELECT provider, state, count(*) AS n FROM \
             (SELECT k.provider, {} FROM provider_keys k WHERE k.state <> 'deleted') GROUP BY 1, 2",
            shown_state()
        );
        let results = self.batch(vec![self.statement(&sql, &[number(now)])?]).await?;
        let rows: Vec<Row> = next(&mut results.iter())?;
        let mut providers = serde_json::Map::new();
        for row in rows {
            let provider = providers.entry(row.provider).or_insert_with(|| json!({}));
            if let Some(states) = provider.as_object_mut() {
                states.insert(row.state, json!(row.n));
            }
        }
        Ok(Value::Object(providers))
    }

    /// A page of keys with their running coolings, and how many there are in all.
    ///
    /// # Errors
    /// When D1 does not answer.
    pub async fn list(&self, query: &Query, now: Millis) -> Result<(Vec<Listed>, u64), Refusal> {
        let mut filter = "k.state <> 'deleted'".to_owned();
        if !query.provider.is_empty() {
            filter.push_str(" AND k.provider = ?2");
        }
        match query.state {
            None => {}
            Some(Filter::Ready) => {
                filter.push_str(&format!(" AND k.state = 'ready' AND NOT {COOLS}"))
            }
            Some(Filter::Cooling) => {
                filter.push_str(&format!(" AND k.state = 'ready' AND {COOLS}"))
            }
            Some(Filter::Blocked) => filter.push_str(" AND k.state = 'blocked'"),
            Some(Filter::Disabled) => filter.push_str(" AND k.state = 'disabled'"),
        }
        if !query.search.is_empty() {
            // LIKE takes patterns of at most 50 bytes in D1.
            filter.push_str(
                " AND (instr(lower(k.remark), lower(?3)) > 0 OR instr(k.hint, ?3) > 0 OR k.digest = ?4 \
                 OR (k.digest IS NULL AND k.secret = ?3))",
            );
        }
        let direction = if query.ascending { "ASC" } else { "DESC" };
        let offset = u64::from(query.page.saturating_sub(1)) * u64::from(query.per_page);
        let page = format!(
            "SELECT {} FROM provider_keys k WHERE {filter} ORDER BY {} {direction}, k.id {direction} LIMIT ?5 OFFSET ?6",
            listed_columns(),
            query.sort.column()
        );
        // ?6 stands in it only so that both statements take the same values.
        let count = format!("SELECT count(*) AS n FROM provider_keys k WHERE {filter} AND ?6 >= 0");
        let digest = Secret::new(query.search.clone()).digest();
        let values = [
            number(now),
            text(&query.provider),
            text(&query.search),
            text(&digest),
            number(query.per_page.into()),
            number(offset),
        ];
        let results = self
            .batch(vec![self.statement(&page, &values)?, self.statement(&count, &values)?])
            .await?;
        let mut results = results.iter();
        let mut keys: Vec<Listed> = next(&mut results)?;
        let counts: Vec<Count> = next(&mut results)?;
        self.add_coolings(&mut keys, now).await?;
        Ok((keys, counts.first().map_or(0, |count| count.n)))
    }

    /// Adds to each key its coolings that end after `since`.
    async fn add_coolings(&self, keys: &mut [Listed], since: Millis) -> Result<(), Refusal> {
        if keys.is_empty() {
            return Ok(());
        }
        let ids: Vec<_> = keys.iter().map(|key| key.id).collect();
        let sql = format!(
            "SELECT {LISTED_COOLING} FROM coolings WHERE key_id IN (SELECT value FROM json_each(?1)) \
             AND until > ?2 ORDER BY until DESC"
        );
        let values = [text(&json!(ids).to_string()), number(since)];
        let results = self.batch(vec![self.statement(&sql, &values)?]).await?;
        for cooling in next::<ListedCooling>(&mut results.iter())? {
            if let Some(key) = keys.iter_mut().find(|key| key.id == cooling.key_id) {
                key.coolings.push(cooling);
            }
        }
        Ok(())
    }

    /// One key, with all its coolings.
    ///
    /// # Errors
    /// When D1 does not answer.
    pub async fn one(&self, id: u64, now: Millis) -> Result<Option<Listed>, Refusal> {
        let sql = format!(
            "SELECT {} FROM provider_keys k WHERE k.id = ?2 AND k.state <> 'deleted'",
            listed_columns()
        );
        let statement = self.statement(&sql, &[number(now), number(id)])?;
        let results = self.batch(vec![statement]).await?;
        let mut keys: Vec<Listed> = next(&mut results.iter())?;
        self.add_coolings(&mut keys, 0).await?;
        Ok(keys.pop())
    }

    /// Adds keys that are not there yet. One that was deleted comes back as new.
    ///
    /// # Errors
    /// When D1 does not take them; then none is added.
    pub async fn add(
        &self,
        provider: &str,
        keys: &[Pasted],
        details: &Details,
        now: Millis,
        slot: impl Fn() -> u64,
    ) -> Result<Added, Refusal> {
        #[derive(Deserialize)]
        struct New {
            id: u64,
            digest: String,
        }
        // A key that was taken over has no digest until someone computes it, and would be added twice.
        for run in 1.. {
            if !self.adopt().await? {
                break;
            }
            if run == ADOPTING_RUNS {
                return Err(Refusal::busy(
                    "The keys of the old database are still being taken over. Try again in a minute.",
                ));
            }
        }
        let mut statements = Vec::new();
        let chunks = chunks(keys);
        for chunk in &chunks {
            let rows: Vec<_> = chunk
                .iter()
                .map(|it| json!([it.key.expose(), it.digest, it.key.hint(), slot()]))
                .collect();
            let rows = text(&Value::Array(rows).to_string());
            let own = [text(provider), rows.clone()];
            statements.push(self.statement(
                "SELECT digest, state FROM provider_keys WHERE provider = ?1 AND state <> 'deleted' \
                 AND digest IN (SELECT value ->> 1 FROM json_each(?2))",
                &own,
            )?);
            // The guard lets only deleted keys be overwritten, so RETURNING gives the new ones.
            statements.push(self.statement(
                "INSERT INTO provider_keys (provider, secret, digest, hint, slot, remark, project, priority, created_at, updated_at) \
                 SELECT ?1, value ->> 0, value ->> 1, value ->> 2, value ->> 3, ?3, ?4, ?5, ?6, ?6 FROM json_each(?2) WHERE true \
                 ON CONFLICT (provider, digest) DO UPDATE SET secret = excluded.secret, state = 'ready', reason = NULL, \
                 certain = 1, probes = 0, probe_at = NULL, remark = excluded.remark, project = excluded.project, \
                 priority = excluded.priority, created_at = excluded.created_at, updated_at = excluded.updated_at \
                 WHERE provider_keys.state = 'deleted' RETURNING id, digest",
                &[
                    text(provider),
                    rows,
                    text(&details.remark),
                    text(&details.project),
                    JsValue::from_f64(details.priority.into()),
                    number(now),
                ],
            )?);
            if details.restore {
                statements.push(self.statement(
                    "UPDATE provider_keys SET state = 'ready', reason = NULL, certain = 1, probes = 0, probe_at = NULL, updated_at = ?3 \
                     WHERE provider = ?1 AND state IN ('blocked', 'disabled') \
                     AND digest IN (SELECT value ->> 1 FROM json_each(?2)) RETURNING 1 AS n",
                    &[own.as_slice(), &[number(now)]].concat(),
                )?);
            }
        }
        if statements.is_empty() {
            return Ok(Added::default());
        }
        let results = self.batch(statements).await?;
        let mut results = results.iter();
        let mut added = Added::default();
        for _ in &chunks {
            let existing: Vec<Existing> = next(&mut results)?;
            added.existing.extend(existing.into_iter().map(|row| (row.digest, row.state)));
            let new: Vec<New> = next(&mut results)?;
            added.added.extend(new.into_iter().map(|row| (row.digest, row.id)));
            if details.restore {
                added.restored += next::<Count>(&mut results)?.len() as u64;
            }
        }
        Ok(added)
    }

    /// Fills in the digests of keys that were taken over from the original. Tells whether there may
    /// be more. A second row of the same key, which the original could not have, is deleted.
    ///
    /// # Errors
    /// When D1 does not answer.
    pub async fn adopt(&self) -> Result<bool, Refusal> {
        #[derive(Deserialize)]
        struct Row {
            id: u64,
            secret: String,
        }
        let select = self.statement(
            "SELECT id, secret FROM provider_keys WHERE digest IS NULL AND state <> 'deleted' LIMIT ?1",
            &[number(ADOPTED_PER_RUN.into())],
        )?;
        let results = self.batch(vec![select]).await?;
        let rows: Vec<Row> = next(&mut results.iter())?;
        if rows.is_empty() {
            return Ok(false);
        }
        let digests: Vec<_> = rows
            .iter()
            .map(|row| json!([row.id, Secret::new(row.secret.clone()).digest()]))
            .collect();
        let digests = text(&Value::Array(digests).to_string());
        self.batch(vec![
            self.statement(
                "UPDATE OR IGNORE provider_keys SET digest = (SELECT value ->> 1 FROM json_each(?1) WHERE value ->> 0 = provider_keys.id) \
                 WHERE id IN (SELECT value ->> 0 FROM json_each(?1))",
                core::slice::from_ref(&digests),
            )?,
            self.statement(
                "UPDATE provider_keys SET state = 'deleted' WHERE digest IS NULL AND id IN (SELECT value ->> 0 FROM json_each(?1))",
                &[digests],
            )?,
        ])
        .await?;
        Ok(rows.len() == ADOPTED_PER_RUN as usize)
    }

    /// Does something to keys; tells how many it changed.
    ///
    /// # Errors
    /// When D1 does not take it; then nothing is changed.
    pub async fn act(&self, ids: &[u64], action: &Action, now: Millis) -> Result<u64, Refusal> {
        let ids = text(&json!(ids).to_string());
        let chosen = "id IN (SELECT value FROM json_each(?1)) AND state <> 'deleted'";
        let update = |set: &str, only: &str, extra: &[JsValue]| {
            self.statement(
                &format!("UPDATE provider_keys SET {set}, updated_at = ?2 WHERE {chosen} {only} RETURNING 1 AS n"),
                &[&[ids.clone(), number(now)], extra].concat(),
            )
        };
        let clear = || {
            self.statement(
                "UPDATE coolings SET until = 0, strikes = 0, updated_at = ?2 \
                 WHERE key_id IN (SELECT value FROM json_each(?1)) AND until > 0",
                &[ids.clone(), number(now)],
            )
        };
        // Of those whose state is about to change.
        let event = match action {
            Action::Delete => Some(("delete", "deleted")),
            Action::Restore => Some(("restore", "ready")),
            Action::Disable => Some(("disable", "disabled")),
            _ => None,
        };
        let event = event.map(|(verdict, state)| {
            self.statement(
                "INSERT INTO events (at, key_id, provider, model, status, verdict, reason, message) \
                 SELECT ?2, id, provider, '*', 0, ?3, 'administrator', '' FROM provider_keys \
                 WHERE id IN (SELECT value FROM json_each(?1)) AND state NOT IN ('deleted', ?4)",
                &[ids.clone(), number(now), text(verdict), text(state)],
            )
        });
        let events: Vec<_> = event.into_iter().collect::<Result<_, _>>()?;
        let unblocked = "state = 'ready', reason = NULL, certain = 1, probes = 0, probe_at = NULL";
        let statements = match action {
            Action::Delete => vec![update("state = 'deleted', probe_at = NULL", "", &[])?],
            Action::Restore => vec![update(unblocked, "", &[])?, clear()?],
            Action::Disable => vec![update("state = 'disabled', probe_at = NULL", "AND state <> 'disabled'", &[])?],
            Action::ClearCoolings => vec![
                // The key's own row does not change; it is counted by its coolings.
                self.statement(
                    "SELECT count(DISTINCT key_id) AS n FROM coolings WHERE key_id IN (SELECT value FROM json_each(?1)) AND until > ?2",
                    &[ids.clone(), number(now)],
                )?,
                clear()?,
            ],
            Action::SetRemark(remark) => vec![update("remark = ?3", "", &[text(remark)])?],
            Action::SetProject(project) => vec![update("project = ?3", "", &[text(project)])?],
            Action::SetPriority(priority) => {
                vec![update("priority = ?3", "", &[JsValue::from_f64((*priority).into())])?]
            }
        };
        let noted = events.len();
        let results = self.batch(events.into_iter().chain(statements).collect()).await?;
        let counts: Vec<Count> = next(&mut results.iter().skip(noted))?;
        Ok(counts.iter().map(|count| count.n).sum())
    }

    /// Events, newest first, of one key or of all, before an event.
    ///
    /// # Errors
    /// When D1 does not answer.
    pub async fn events(
        &self,
        key: Option<u64>,
        before: Option<u64>,
        limit: u32,
    ) -> Result<Value, Refusal> {
        #[derive(Serialize, Deserialize)]
        struct Event {
            id: u64,
            at: u64,
            key_id: u64,
            provider: String,
            model: String,
            status: u16,
            verdict: String,
            reason: String,
            message: String,
        }
        let of_key = if key.is_some() { " AND key_id = ?3" } else { " AND ?3 IS NULL" };
        let sql = format!(
            "SELECT id, at, key_id, provider, model, status, verdict, reason, message FROM events \
             WHERE id < ?1{of_key} ORDER BY id DESC LIMIT ?2"
        );
        let values = [
            before.map_or_else(|| JsValue::from_f64(9e15), number),
            number(limit.into()),
            key.map_or(JsValue::NULL, number),
        ];
        let results = self.batch(vec![self.statement(&sql, &values)?]).await?;
        let events: Vec<Event> = next(&mut results.iter())?;
        serde_json::to_value(events).map_err(failed)
    }

    /// Forgets what nobody needs any more: the text of deleted keys, their rows a day later, and old
    /// events.
    ///
    /// # Errors
    /// When D1 does not take it.
    pub async fn prune(&self, now: Millis) -> Result<(), Refusal> {
        let before = |kept: Millis| [number(now.saturating_sub(kept))];
        let gone = "state = 'deleted' AND updated_at < ?1";
        self.batch(vec![
            self.statement(&format!("UPDATE provider_keys SET secret = '' WHERE {gone} AND secret <> ''"), &before(SECRET_KEPT))?,
            self.statement(&format!("DELETE FROM coolings WHERE key_id IN (SELECT id FROM provider_keys WHERE {gone})"), &before(TOMBSTONE_KEPT))?,
            self.statement(&format!("DELETE FROM provider_keys WHERE {gone}"), &before(TOMBSTONE_KEPT))?,
            self.statement(
                "DELETE FROM events WHERE id <= (SELECT max(id) FROM events) - ?1",
                &[number(EVENTS_KEPT)],
            )?,
        ])
        .await
        .map(|_| ())
    }
}

/// The keys in pieces that fit a statement.
fn chunks(keys: &[Pasted]) -> Vec<&[Pasted]> {
    let mut bytes = 0;
    let mut count = 0;
    keys.chunk_by(|_, next| {
        bytes += next.key.expose().len();
        count += 1;
        let fits = bytes < BYTES_PER_STATEMENT && count < KEYS_PER_STATEMENT;
        if !fits {
            (bytes, count) = (0, 0);
        }
        fits
    })
    .collect()
}

/// What is said of pasted keys besides their text.
#[derive(Debug, Default)]
pub struct Details {
    /// A note.
    pub remark: String,
    /// Keys of one project share a quota.
    pub project: String,
    /// Higher is used first.
    pub priority: i32,
    /// Puts those back that are there already but blocked or disabled.
    pub restore: bool,
}
