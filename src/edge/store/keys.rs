//! What the admin API asks of D1 about keys.

use serde::{Deserialize, Serialize};
use serde_json::{Value, json};
use worker::D1PreparedStatement;
use worker::wasm_bindgen::JsValue;

use super::{NOW, READY_AGAIN, Store, VERSION, failed, next, number, open_secret, text};
use crate::balance::error::Refusal;
use crate::balance::import::MOST_TAGS;
use crate::balance::key::{EVERY_MODEL, FREE_MODELS, Secret};
use crate::balance::{DAY, MINUTE, Millis, SECOND};
use crate::edge::sealing;

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
/// How long a change can be taken back.
pub const UNDO_KEPT: Millis = MINUTE;
/// Characters of what one row of `undos` keeps: at four bytes each still below the 2 MB of a value.
const UNDO_PIECE: u32 = 400_000;
/// Events kept.
const EVENTS_KEPT: u64 = 20_000;
/// Failed requests kept: three days of at most 1,000.
const REQUEST_DAYS: u64 = 3;
/// Days of usage that a list looks back for the last use, and that sorting by it looks back.
const USED_WITHIN: u64 = 30;
const SORTED_WITHIN: u64 = 7;

/// A key as the page shows it.
#[derive(Debug, Serialize, Deserialize)]
pub struct Listed {
    /// Its row.
    pub id: u64,
    provider: String,
    hint: String,
    state: String,
    reason: Option<String>,
    #[serde(deserialize_with = "flag")]
    certain: bool,
    remark: String,
    #[serde(deserialize_with = "tags")]
    tags: Vec<String>,
    project: String,
    priority: i32,
    cooled_seconds: u64,
    created_at: u64,
    updated_at: u64,
    #[serde(default)]
    coolings: Vec<ListedCooling>,
    #[serde(default)]
    requests_today: u64,
    #[serde(default)]
    last_used: Option<Millis>,
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
pub(super) fn flag<'de, D: serde::Deserializer<'de>>(deserializer: D) -> Result<bool, D::Error> {
    Ok(u8::deserialize(deserializer)? != 0)
}

/// `,a,b,` in D1: each tag between two commas, so that one is found by `instr`.
fn tags<'de, D: serde::Deserializer<'de>>(deserializer: D) -> Result<Vec<String>, D::Error> {
    let text = String::deserialize(deserializer)?;
    Ok(text.split(',').filter(|tag| !tag.is_empty()).map(str::to_owned).collect())
}

/// Tags as D1 has them.
fn joined(tags: &[String]) -> String {
    if tags.is_empty() { String::new() } else { format!(",{},", tags.join(",")) }
}

/// Which keys are meant.
#[derive(Debug, Default, Clone)]
pub struct Selection {
    /// Of one provider.
    pub provider: Option<String>,
    /// In this state; every state but deleted when absent.
    pub state: Option<Filter>,
    /// Blocked for this reason.
    pub reason: Option<String>,
    /// Cooling for this model.
    pub model: Option<String>,
    /// With this tag.
    pub tag: Option<String>,
    /// Of this project.
    pub project: Option<String>,
    /// In the remark, the hint, or the whole key.
    pub search: Option<String>,
    /// Only these.
    pub ids: Option<Vec<u64>>,
}

/// A page of which keys, in which order.
#[derive(Debug)]
pub struct Query {
    /// Which keys.
    pub selection: Selection,
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
    /// By priority.
    Priority,
    /// By requests of this day.
    Today,
    /// By the day they were used last.
    Used,
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
    /// Puts disabled ones back.
    Enable,
    /// Ends their coolings.
    ClearCoolings,
    /// Sets their remark.
    SetRemark(String),
    /// Sets their project.
    SetProject(String),
    /// Sets their priority.
    SetPriority(i32),
    /// Sets their tags.
    SetTags(Vec<String>),
    /// Adds tags.
    AddTags(Vec<String>),
    /// Takes tags away.
    RemoveTags(Vec<String>),
}

/// A condition with the values of its placeholders. The first is the time.
struct Condition {
    sql: String,
    values: Vec<JsValue>,
}

impl Condition {
    /// The placeholder of a value.
    fn bind(&mut self, value: JsValue) -> String {
        self.values.push(value);
        format!("?{}", self.values.len())
    }
}

impl Selection {
    /// Whether the grouped counts can tell how many these are.
    #[must_use]
    pub const fn is_plain(&self) -> bool {
        self.reason.is_none()
            && self.model.is_none()
            && self.tag.is_none()
            && self.project.is_none()
            && self.search.is_none()
            && self.ids.is_none()
    }

    fn condition(&self, now: Millis) -> Condition {
        let mut it =
            Condition { sql: "k.state <> 'deleted'".to_owned(), values: vec![number(now)] };
        if let Some(provider) = &self.provider {
            let place = it.bind(text(provider));
            it.sql.push_str(&format!(" AND k.provider = {place}"));
        }
        match self.state {
            None => {}
            Some(Filter::Ready) => {
                it.sql.push_str(&format!(" AND k.state = 'ready' AND NOT {COOLS}"))
            }
            Some(Filter::Cooling) => {
                it.sql.push_str(&format!(" AND k.state = 'ready' AND {COOLS}"))
            }
            Some(Filter::Blocked) => it.sql.push_str(" AND k.state = 'blocked'"),
            Some(Filter::Disabled) => it.sql.push_str(" AND k.state = 'disabled'"),
        }
        if let Some(reason) = &self.reason {
            let place = it.bind(text(reason));
            it.sql.push_str(&format!(" AND k.reason = {place}"));
        }
        if let Some(project) = &self.project {
            let place = it.bind(text(project));
            it.sql.push_str(&format!(" AND k.project = {place}"));
        }
        if let Some(tag) = &self.tag {
            let place = it.bind(text(&format!(",{tag},")));
            it.sql.push_str(&format!(" AND instr(k.tags, {place}) > 0"));
        }
        if let Some(model) = &self.model {
            let free = if model.ends_with(":free") { FREE_MODELS } else { EVERY_MODEL };
            let places = [it.bind(text(model)), it.bind(text(EVERY_MODEL)), it.bind(text(free))];
            it.sql.push_str(&format!(
                " AND EXISTS (SELECT 1 FROM coolings m WHERE m.key_id = k.id AND m.until > ?1 AND m.model IN ({}))",
                places.join(", ")
            ));
        }
        if let Some(ids) = &self.ids {
            let place = it.bind(text(&json!(ids).to_string()));
            it.sql.push_str(&format!(" AND k.id IN (SELECT value FROM json_each({place}))"));
        }
        if let Some(search) = &self.search {
            let digest = Secret::new(search.clone()).digest();
            let (search, digest) = (it.bind(text(search)), it.bind(text(&digest)));
            // LIKE takes patterns of at most 50 bytes in D1.
            it.sql.push_str(&format!(
                " AND (instr(lower(k.remark), lower({search})) > 0 OR instr(k.hint, {search}) > 0 \
                 OR k.digest = {digest} OR (k.digest IS NULL AND k.secret = {search}))"
            ));
        }
        it
    }
}

/// A cooling is running.
const COOLS: &str = "EXISTS (SELECT 1 FROM coolings c WHERE c.key_id = k.id AND c.until > ?1)";

/// The state as the page shows it.
pub(super) fn shown_state() -> String {
    format!("CASE WHEN k.state = 'ready' AND {COOLS} THEN 'cooling' ELSE k.state END")
}

const COOLED: &str =
    "coalesce((SELECT sum(total_seconds) FROM coolings t WHERE t.key_id = k.id), 0)";

fn listed_columns() -> String {
    format!(
        "k.id, k.provider, k.hint, {} AS state, k.reason, k.certain, k.remark, k.tags, k.project, k.priority, \
         {COOLED} AS cooled_seconds, k.created_at, k.updated_at",
        shown_state()
    )
}

/// By what a page is sorted. `?1` is the time.
fn rank(sort: Sort, now: Millis) -> String {
    let today = now - now % DAY;
    match sort {
        Sort::Created => "k.created_at".to_owned(),
        Sort::Updated => "k.updated_at".to_owned(),
        Sort::Remark => "k.remark".to_owned(),
        Sort::State => shown_state(),
        Sort::Cooled => COOLED.to_owned(),
        Sort::Priority => "k.priority".to_owned(),
        Sort::Today => format!(
            "coalesce((SELECT u.attempts FROM usage_daily u WHERE u.day = {today} AND u.key_id = k.id), 0)"
        ),
        Sort::Used => {
            // The table is ordered by day, so each key is looked up day by day until one is found.
            let days: Vec<_> = (0..SORTED_WITHIN)
                .map(|back| {
                    let day = today.saturating_sub(back * DAY);
                    format!("(SELECT u.day FROM usage_daily u WHERE u.day = {day} AND u.key_id = k.id AND u.attempts > 0)")
                })
                .collect();
            format!("coalesce({}, 0)", days.join(", "))
        }
    }
}

const LISTED_COOLING: &str = "key_id, model, until, since, source, reason, strikes, total_seconds";

#[derive(Deserialize)]
struct Count {
    n: u64,
}

/// A key that was there already.
#[derive(Debug, Clone, Deserialize)]
pub struct Existing {
    /// Its row.
    pub id: u64,
    /// Its provider.
    pub provider: String,
    /// Its digest.
    pub digest: String,
    /// Its state.
    pub state: String,
    /// Why it is blocked.
    pub reason: Option<String>,
}

/// A key to be added.
pub struct NewKey {
    /// Its provider.
    pub provider: String,
    /// The key.
    pub key: Secret,
    /// Its digest.
    pub digest: String,
    /// Its own note, tags, project and priority, where it has them.
    pub remark: Option<String>,
    /// See there.
    pub tags: Option<Vec<String>>,
    /// See there.
    pub project: Option<String>,
    /// See there.
    pub priority: Option<i32>,
    /// It begins disabled.
    pub disabled: bool,
}

/// What is said of pasted keys that do not say it themselves.
#[derive(Debug, Default)]
pub struct Details {
    /// A note.
    pub remark: String,
    /// Labels.
    pub tags: Vec<String>,
    /// Keys of one project share a quota.
    pub project: String,
    /// Higher is used first.
    pub priority: i32,
    /// Puts those back that are there already but blocked or disabled.
    pub restore: bool,
}

/// A key that was added.
#[derive(Debug, Deserialize)]
pub struct New {
    /// Its row.
    pub id: u64,
    /// Its provider.
    pub provider: String,
    /// Its digest.
    pub digest: String,
}

/// What became of pasted keys.
#[derive(Debug, Default)]
pub struct Added {
    /// Those that are new.
    pub added: Vec<New>,
    /// Those that were there.
    pub existing: Vec<Existing>,
    /// Of those, how many were put back into the pool.
    pub restored: u64,
}

/// A key as an export has it.
#[derive(Deserialize)]
pub struct Exported {
    /// Its row.
    pub id: u64,
    /// Its provider.
    pub provider: String,
    secret: String,
    digest: String,
    /// A note.
    pub remark: String,
    /// Labels.
    #[serde(deserialize_with = "tags")]
    pub tags: Vec<String>,
    /// Its project.
    pub project: String,
    /// Its priority.
    pub priority: i32,
    /// Its state.
    pub state: String,
    /// Why it is blocked.
    pub reason: Option<String>,
    /// When it was added.
    pub created_at: Millis,
    /// How it is shown.
    pub hint: String,
}

impl Exported {
    /// Its text, sealed, and its digest behind it, as an import takes it: what D1 has, or sealed now if
    /// it was not yet.
    ///
    /// # Errors
    /// When it cannot be sealed.
    pub fn sealed(&self) -> Result<String, Refusal> {
        let stored = Secret::stored(self.secret.clone(), &self.digest);
        let (text, digest) = match stored.sealed() {
            Some(sealed) => (sealed.to_owned(), self.digest.clone()),
            None => {
                let digest = stored.digest();
                (sealing::seal(&self.provider, &digest, &stored)?, digest)
            }
        };
        Ok(format!("{text}:{digest}"))
    }

    /// Its text; still sealed when it is locked.
    #[must_use]
    pub fn secret(&self) -> Secret {
        open_secret(&self.provider, self.secret.clone(), &self.digest)
    }
}

impl Store {
    /// A page of keys with their running coolings, and how many there are in all; `total` is given
    /// where that is known already.
    ///
    /// # Errors
    /// When D1 does not answer.
    pub async fn list(
        &self,
        query: &Query,
        total: Option<u64>,
        now: Millis,
    ) -> Result<(Vec<Listed>, u64), Refusal> {
        let condition = query.selection.condition(now);
        let direction = if query.ascending { "ASC" } else { "DESC" };
        let offset = u64::from(query.page.saturating_sub(1)) * u64::from(query.per_page);
        // Which ones first, then what is shown of them: the latter is looked up for a page alone.
        let page = format!(
            "WITH page AS (SELECT k.id AS page_id, {rank} AS rank FROM provider_keys k WHERE {where_} AND ?1 > 0 \
             ORDER BY rank {direction}, k.id {direction} LIMIT {limit} OFFSET {offset}) \
             SELECT {columns} FROM page JOIN provider_keys k ON k.id = page.page_id ORDER BY page.rank {direction}, k.id {direction}",
            rank = rank(query.sort, now),
            where_ = condition.sql,
            limit = query.per_page,
            columns = listed_columns(),
        );
        let mut statements = vec![self.statement(&page, &condition.values)?];
        if total.is_none() {
            statements.push(self.count_statement(&condition)?);
        }
        let results = self.batch(statements).await?;
        let mut results = results.iter();
        let mut keys: Vec<Listed> = next(&mut results)?;
        let total = match total {
            Some(total) => total,
            None => next::<Count>(&mut results)?.first().map_or(0, |count| count.n),
        };
        self.complete(&mut keys, now, now).await?;
        Ok((keys, total))
    }

    fn count_statement(&self, condition: &Condition) -> Result<D1PreparedStatement, Refusal> {
        let sql =
            format!("SELECT count(*) AS n FROM provider_keys k WHERE {} AND ?1 > 0", condition.sql);
        self.statement(&sql, &condition.values)
    }

    /// The ids of those that a selection means, at most so many, and how many it means.
    ///
    /// # Errors
    /// When D1 does not answer.
    pub async fn ids(
        &self,
        selection: &Selection,
        most: usize,
        now: Millis,
    ) -> Result<(Vec<u64>, u64), Refusal> {
        #[derive(Deserialize)]
        struct Row {
            id: u64,
        }
        let condition = selection.condition(now);
        let sql = format!(
            "SELECT k.id FROM provider_keys k WHERE {} AND ?1 > 0 ORDER BY k.id LIMIT {most}",
            condition.sql
        );
        let statements =
            vec![self.statement(&sql, &condition.values)?, self.count_statement(&condition)?];
        let results = self.batch(statements).await?;
        let mut results = results.iter();
        let ids: Vec<Row> = next(&mut results)?;
        let counts: Vec<Count> = next(&mut results)?;
        Ok((ids.into_iter().map(|row| row.id).collect(), counts.first().map_or(0, |count| count.n)))
    }

    /// Adds to each key its coolings that end after `since`, and its usage.
    async fn complete(
        &self,
        keys: &mut [Listed],
        since: Millis,
        now: Millis,
    ) -> Result<(), Refusal> {
        #[derive(Deserialize)]
        struct Used {
            key_id: u64,
            day: Millis,
            attempts: u64,
        }
        if keys.is_empty() {
            return Ok(());
        }
        let ids: Vec<_> = keys.iter().map(|key| key.id).collect();
        let today = now - now % DAY;
        let days: Vec<_> = (0..=USED_WITHIN).map(|back| today.saturating_sub(back * DAY)).collect();
        let coolings = format!(
            "SELECT {LISTED_COOLING} FROM coolings WHERE key_id IN (SELECT value FROM json_each(?1)) \
             AND until > ?2 ORDER BY until DESC"
        );
        let used = "SELECT key_id, day, attempts FROM usage_daily WHERE day IN (SELECT value FROM json_each(?2)) \
                    AND key_id IN (SELECT value FROM json_each(?1)) AND attempts > 0";
        let ids = text(&json!(ids).to_string());
        let results = self
            .batch(vec![
                self.statement(&coolings, &[ids.clone(), number(since)])?,
                self.statement(used, &[ids, text(&json!(days).to_string())])?,
            ])
            .await?;
        let mut results = results.iter();
        for cooling in next::<ListedCooling>(&mut results)? {
            if let Some(key) = keys.iter_mut().find(|key| key.id == cooling.key_id) {
                key.coolings.push(cooling);
            }
        }
        for used in next::<Used>(&mut results)? {
            if let Some(key) = keys.iter_mut().find(|key| key.id == used.key_id) {
                key.last_used = key.last_used.max(Some(used.day));
                if used.day == today {
                    key.requests_today = used.attempts;
                }
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
        self.complete(&mut keys, 0, now).await?;
        Ok(keys.pop())
    }

    /// What a key was used for in the last 30 days, by day.
    ///
    /// # Errors
    /// When D1 does not answer.
    pub async fn usage_of(&self, id: u64, now: Millis) -> Result<Value, Refusal> {
        #[derive(Serialize, Deserialize)]
        struct Day {
            day: Millis,
            attempts: u64,
            successes: u64,
            rate_limited: u64,
            errors: u64,
        }
        let today = now - now % DAY;
        let days: Vec<_> = (0..USED_WITHIN).map(|back| today.saturating_sub(back * DAY)).collect();
        let statement = self.statement(
            "SELECT day, attempts, successes, rate_limited, errors FROM usage_daily \
             WHERE day IN (SELECT value FROM json_each(?2)) AND key_id = ?1 ORDER BY day",
            &[number(id), text(&json!(days).to_string())],
        )?;
        let results = self.batch(vec![statement]).await?;
        let days: Vec<Day> = next(&mut results.iter())?;
        serde_json::to_value(days).map_err(failed)
    }

    /// Makes sure that keys that were taken over have a digest: one without would be added twice.
    async fn adopted(&self) -> Result<(), Refusal> {
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
        Ok(())
    }

    /// Those of these keys that are there already.
    ///
    /// # Errors
    /// When D1 does not answer.
    pub async fn existing(&self, keys: &[(&str, &str)]) -> Result<Vec<Existing>, Refusal> {
        if keys.is_empty() {
            return Ok(Vec::new());
        }
        self.adopted().await?;
        let rows: Vec<_> =
            keys.iter().map(|(provider, digest)| json!([provider, null, digest])).collect();
        let rows = text(&Value::Array(rows).to_string());
        let results = self.batch(vec![self.statement(EXISTING, &[rows])?]).await?;
        next(&mut results.iter())
    }

    /// Adds keys that are not there yet. One that was deleted comes back as new.
    ///
    /// # Errors
    /// When D1 does not take them; then none is added.
    pub async fn add(
        &self,
        keys: &[NewKey],
        details: &Details,
        now: Millis,
        slot: impl Fn() -> u64,
    ) -> Result<Added, Refusal> {
        self.adopted().await?;
        let mut statements = Vec::new();
        let chunks = chunks(keys);
        for chunk in &chunks {
            let rows = chunk
                .iter()
                .map(|it| {
                    Ok(json!([
                        it.provider,
                        sealing::seal(&it.provider, &it.digest, &it.key)?,
                        it.digest,
                        it.key.hint(),
                        slot(),
                        it.remark,
                        it.tags.as_deref().map(joined),
                        it.project,
                        it.priority,
                        if it.disabled { "disabled" } else { "ready" },
                    ]))
                })
                .collect::<Result<Vec<_>, Refusal>>()?;
            let rows = text(&Value::Array(rows).to_string());
            statements.push(self.statement(EXISTING, core::slice::from_ref(&rows))?);
            // The guard lets only deleted keys be overwritten, so RETURNING gives the new ones.
            statements.push(self.statement(
                &format!("INSERT INTO provider_keys (provider, secret, digest, hint, slot, remark, tags, project, priority, state, created_at, updated_at) \
                 SELECT value ->> 0, value ->> 1, value ->> 2, value ->> 3, value ->> 4, coalesce(value ->> 5, ?2), \
                 coalesce(value ->> 6, ?3), coalesce(value ->> 7, ?4), coalesce(value ->> 8, ?5), value ->> 9, ?6, {NOW} \
                 FROM json_each(?1) WHERE true \
                 ON CONFLICT (provider, digest) DO UPDATE SET secret = excluded.secret, state = excluded.state, reason = NULL, \
                 certain = 1, probes = 0, probe_at = NULL, remark = excluded.remark, tags = excluded.tags, project = excluded.project, \
                 priority = excluded.priority, created_at = excluded.created_at, changed_at = ?6, \
                 ready_since = {READY_AGAIN}, updated_at = {VERSION} \
                 WHERE provider_keys.state = 'deleted' RETURNING id, provider, digest"),
                &[
                    rows.clone(),
                    text(&details.remark),
                    text(&joined(&details.tags)),
                    text(&details.project),
                    JsValue::from_f64(details.priority.into()),
                    number(now),
                ],
            )?);
            if details.restore {
                statements.push(self.statement(
                    &format!("UPDATE provider_keys SET state = 'ready', reason = NULL, certain = 1, probes = 0, probe_at = NULL, \
                     changed_at = ?2, ready_since = {READY_AGAIN}, updated_at = {VERSION} \
                     WHERE state IN ('blocked', 'disabled') AND created_at < ?2 \
                     AND (provider, digest) IN (SELECT value ->> 0, value ->> 2 FROM json_each(?1)) RETURNING 1 AS n"),
                    &[rows, number(now)],
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
            added.existing.extend(next::<Existing>(&mut results)?);
            added.added.extend(next::<New>(&mut results)?);
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

    /// Does something to keys; tells how many it changed. What it changed can be taken back by the
    /// name `undo` for a while.
    ///
    /// # Errors
    /// When D1 does not take it; then nothing is changed.
    pub async fn act(
        &self,
        ids: &[u64],
        action: &Action,
        undo: &str,
        now: Millis,
    ) -> Result<u64, Refusal> {
        let ids = text(&json!(ids).to_string());
        let chosen = "id IN (SELECT value FROM json_each(?1)) AND state <> 'deleted'";
        let values = |extra: &[JsValue]| [&[ids.clone(), number(now)], extra].concat();
        let update = |set: &str, only: &str, extra: &[JsValue]| {
            self.statement(
                &format!("UPDATE provider_keys SET {set}, changed_at = ?2, updated_at = {VERSION} WHERE {chosen} {only} RETURNING 1 AS n"),
                &values(extra),
            )
        };
        let clear = || {
            self.statement(
                "UPDATE coolings SET until = 0, since = ?2, strikes = 0, updated_at = ?2 \
                 WHERE key_id IN (SELECT value FROM json_each(?1)) AND until > 0",
                &values(&[]),
            )
        };
        // Kept in pieces that fit a value, one row each.
        let keep = |what: &str, columns: &str, length: &str, from: &str, first: u32| {
            self.statement(
                &format!(
                    "INSERT INTO undos (id, piece, at, action, keys) \
                     SELECT ?3, piece + {first}, ?2, ?4, json_group_array(json_array({columns})) FROM \
                     (SELECT *, sum(80 + {length}) OVER (ORDER BY rowid_) / {UNDO_PIECE} AS piece FROM {from}) GROUP BY piece"
                ),
                &values(&[text(undo), text(what)]),
            )
        };
        let keep_keys = |what: &str, column: &str, only: &str| {
            let length = if what == "state" { "0".to_owned() } else { format!("length({column})") };
            let from = format!("(SELECT *, id AS rowid_ FROM provider_keys WHERE {chosen} {only})");
            keep(what, &format!("id, {column}"), &length, &from, 0)
        };
        let keep_state =
            |only: &str| keep_keys("state", "state, reason, certain, probes, probe_at", only);
        let keep_coolings = || {
            let from = "(SELECT *, key_id AS rowid_ FROM coolings WHERE key_id IN (SELECT value FROM json_each(?1)) AND until > ?2)";
            keep("coolings", "key_id, model, until, strikes, since", "length(model)", from, 1_000)
        };
        let event = |verdict: &str, only: &str| {
            self.statement(
                &format!(
                    "INSERT INTO events (at, key_id, provider, model, status, verdict, reason, message) \
                     SELECT ?2, id, provider, '*', 0, ?3, 'administrator', '' FROM provider_keys WHERE {chosen} {only}"
                ),
                &values(&[text(verdict)]),
            )
        };
        let unblocked = &format!(
            "state = 'ready', reason = NULL, certain = 1, probes = 0, probe_at = NULL, ready_since = {READY_AGAIN}"
        );
        let not_ready = "AND state <> 'ready'";
        let (not_disabled, is_disabled) = ("AND state <> 'disabled'", "AND state = 'disabled'");
        // The statements before and behind the one that tells how many.
        let (before, main, behind) = match action {
            Action::Delete => {
                (vec![keep_state("")?, event("delete", "")?], update("state = 'deleted', probe_at = NULL", "", &[])?, vec![])
            }
            Action::Restore => (
                vec![keep_state(not_ready)?, keep_coolings()?, event("restore", not_ready)?],
                update(unblocked, "", &[])?,
                vec![clear()?],
            ),
            Action::Disable => (
                vec![keep_state(not_disabled)?, event("disable", not_disabled)?],
                update("state = 'disabled', probe_at = NULL", not_disabled, &[])?,
                vec![],
            ),
            Action::Enable => (
                vec![keep_state(is_disabled)?, event("restore", is_disabled)?],
                update(unblocked, is_disabled, &[])?,
                vec![],
            ),
            Action::ClearCoolings => (
                vec![keep_coolings()?],
                // Counted by the coolings. The key's own row only gets a new version, by which isolates
                // learn of it.
                self.statement(
                    "SELECT count(DISTINCT key_id) AS n FROM coolings WHERE key_id IN (SELECT value FROM json_each(?1)) AND until > ?2",
                    &values(&[]),
                )?,
                vec![
                    clear()?,
                    self.statement(
                        &format!("UPDATE provider_keys SET updated_at = {VERSION} WHERE {chosen} AND ?2 > 0"),
                        &values(&[]),
                    )?,
                ],
            ),
            Action::SetRemark(remark) => {
                (vec![keep_keys("remark", "remark", "")?], update("remark = ?3", "", &[text(remark)])?, vec![])
            }
            Action::SetProject(project) => {
                (vec![keep_keys("project", "project", "")?], update("project = ?3", "", &[text(project)])?, vec![])
            }
            Action::SetPriority(priority) => (
                vec![keep_keys("priority", "priority", "")?],
                update("priority = ?3", "", &[JsValue::from_f64((*priority).into())])?,
                vec![],
            ),
            Action::SetTags(tags) => {
                (vec![keep_keys("tags", "tags", "")?], update("tags = ?3", "", &[text(&joined(tags))])?, vec![])
            }
            Action::AddTags(tags) => {
                let set = "tags = iif(tags = '', ',', tags) || coalesce((SELECT group_concat(value || ',', '') \
                           FROM json_each(?3) WHERE instr(provider_keys.tags, ',' || value || ',') = 0), '')";
                // A key with too many is left as it is.
                let only = format!(
                    "AND length(tags) - length(replace(tags, ',', '')) + {} <= {}",
                    tags.len(),
                    MOST_TAGS + 1
                );
                (vec![keep_keys("tags", "tags", &only)?], update(set, &only, &[text(&json!(tags).to_string())])?, vec![])
            }
            Action::RemoveTags(tags) => {
                let places = 3..3 + tags.len();
                let without = places.fold("tags".to_owned(), |sql, place| format!("replace({sql}, ?{place}, ',')"));
                let set = format!("tags = coalesce(nullif({without}, ','), '')");
                let values: Vec<_> = tags.iter().map(|tag| text(&format!(",{tag},"))).collect();
                (vec![keep_keys("tags", "tags", "")?], update(&set, "", &values)?, vec![])
            }
        };
        let first = before.len();
        let results = self.batch(before.into_iter().chain([main]).chain(behind).collect()).await?;
        let counts: Vec<Count> = next(&mut results.iter().skip(first))?;
        Ok(counts.iter().map(|count| count.n).sum())
    }

    /// Takes back what an action changed, but for keys that changed again. `None`: it is not known, or
    /// too long ago.
    ///
    /// # Errors
    /// When D1 does not take it; then nothing is changed.
    pub async fn undo(&self, undo: &str, now: Millis) -> Result<Option<u64>, Refusal> {
        let values = [text(undo), number(now), number(now.saturating_sub(UNDO_KEPT))];
        let old = |what: &str, columns: &str| {
            format!(
                "(SELECT undos.at AS at, {columns} FROM undos, json_each(undos.keys) \
                 WHERE undos.id = ?1 AND undos.at >= ?3 AND undos.action = '{what}') AS old"
            )
        };
        let id = "value ->> 0 AS id";
        let same = "provider_keys.id = old.id AND provider_keys.changed_at = old.at";
        let mut statements = vec![
            self.statement("SELECT count(*) AS n FROM undos WHERE id = ?1 AND at >= ?3 AND ?2 > 0", &values)?,
            self.statement(
                &format!(
                    "INSERT INTO events (at, key_id, provider, model, status, verdict, reason, message) \
                     SELECT ?2, provider_keys.id, provider, '*', 0, 'undo', 'administrator', '' FROM {} JOIN provider_keys ON {same}",
                    old("state", id)
                ),
                &values,
            )?,
            self.statement(
                &format!(
                    "UPDATE provider_keys SET state = old.state, reason = old.reason, certain = old.certain, probes = old.probes, \
                     probe_at = old.probe_at, changed_at = ?2, ready_since = {READY_AGAIN}, updated_at = {VERSION} FROM {} WHERE {same} RETURNING 1 AS n",
                    old("state", "value ->> 0 AS id, value ->> 1 AS state, value ->> 2 AS reason, value ->> 3 AS certain, value ->> 4 AS probes, value ->> 5 AS probe_at")
                ),
                &values,
            )?,
        ];
        for column in ["remark", "project", "priority", "tags"] {
            let columns = format!("{id}, value ->> 1 AS {column}");
            statements.push(self.statement(
                &format!(
                    "UPDATE provider_keys SET {column} = old.{column}, changed_at = ?2, updated_at = {VERSION} FROM {} WHERE {same} RETURNING 1 AS n",
                    old(column, &columns)
                ),
                &values,
            )?);
        }
        statements.push(self.statement(
            &format!(
                "UPDATE coolings SET until = old.until, strikes = old.strikes, since = old.since, updated_at = ?2 FROM {} \
                 WHERE coolings.key_id = old.id AND coolings.model = old.model AND coolings.until = 0 AND coolings.updated_at = old.at \
                 RETURNING 1 AS n",
                old("coolings", "value ->> 0 AS id, value ->> 1 AS model, value ->> 2 AS until, value ->> 3 AS strikes, value ->> 4 AS since")
            ),
            &values,
        )?);
        statements.push(self.statement(
            &format!(
                "UPDATE provider_keys SET updated_at = {VERSION} WHERE ?2 > 0 AND id IN (SELECT old.id FROM {})",
                old("coolings", id)
            ),
            &values,
        )?);
        statements.push(self.statement("DELETE FROM undos WHERE id = ?1", &[text(undo)])?);
        let results = self.batch(statements).await?;
        let mut results = results.iter();
        if next::<Count>(&mut results)?.first().is_none_or(|count| count.n == 0) {
            return Ok(None);
        }
        let _events = results.next();
        let mut changed = 0;
        for _ in 0..5 {
            changed += next::<Count>(&mut results)?.len() as u64;
        }
        // A key whose state was restored and its coolings too counts once.
        let coolings = next::<Count>(&mut results)?.len() as u64;
        Ok(Some(if changed == 0 { coolings } else { changed }))
    }

    /// The stored secrets of these keys, and how they are shown; deleted ones are not among them.
    ///
    /// # Errors
    /// When D1 does not answer.
    pub async fn secrets(&self, ids: &[u64]) -> Result<Vec<Stored>, Refusal> {
        let statement = self.statement(
            "SELECT id, provider, secret, coalesce(digest, '') AS digest, state, probes, updated_at, ready_since FROM provider_keys \
             WHERE id IN (SELECT value FROM json_each(?1)) AND state <> 'deleted'",
            &[text(&json!(ids).to_string())],
        )?;
        let results = self.batch(vec![statement]).await?;
        next(&mut results.iter())
    }

    /// Keys for an export, in the order of their ids, behind an id.
    ///
    /// # Errors
    /// When D1 does not answer.
    pub async fn export(
        &self,
        selection: &Selection,
        after: u64,
        limit: u32,
        now: Millis,
    ) -> Result<Vec<Exported>, Refusal> {
        let condition = selection.condition(now);
        let sql = format!(
            "SELECT k.id, k.provider, k.secret, coalesce(k.digest, '') AS digest, k.remark, k.tags, k.project, k.priority, k.state, k.reason, k.created_at, k.hint \
             FROM provider_keys k WHERE {} AND ?1 > 0 AND k.id > {after} ORDER BY k.id LIMIT {limit}",
            condition.sql
        );
        let results = self.batch(vec![self.statement(&sql, &condition.values)?]).await?;
        next(&mut results.iter())
    }

    /// Notes what an administrator did that changes no key.
    ///
    /// # Errors
    /// When D1 does not take it.
    pub async fn note(
        &self,
        key: u64,
        provider: &str,
        verdict: &str,
        now: Millis,
    ) -> Result<(), Refusal> {
        let event = self.event(&super::Event {
            at: now,
            key: crate::balance::key::KeyId(key),
            provider,
            model: EVERY_MODEL,
            status: 0,
            verdict,
            reason: "administrator",
            message: "",
        })?;
        self.batch(vec![event]).await.map(|_| ())
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
            self.statement("DELETE FROM undos WHERE at < ?1", &before(SECRET_KEPT))?,
            self.statement("DELETE FROM requests WHERE id < ?1", &[number((now / DAY).saturating_sub(REQUEST_DAYS) * 1_000)])?,
        ])
        .await
        .map(|_| ())
    }
}

/// A key with its text as D1 has it.
#[derive(Deserialize)]
pub struct Stored {
    /// Its row.
    pub id: u64,
    /// Its provider.
    pub provider: String,
    secret: String,
    digest: String,
    /// Its state.
    pub state: String,
    /// How often its provider was asked since it was blocked.
    pub probes: u32,
    /// The version of the row.
    pub updated_at: Millis,
    /// When it last became ready.
    pub ready_since: Millis,
}

impl Stored {
    /// Its text; still sealed when it is locked.
    #[must_use]
    pub fn secret(&self) -> Secret {
        open_secret(&self.provider, self.secret.clone(), &self.digest)
    }
}

/// Those of `[provider, _, digest]` that are there. The list leads, so that each is looked up by its index.
const EXISTING: &str = "SELECT k.id, k.provider, k.digest, k.state, k.reason FROM json_each(?1) AS j \
    CROSS JOIN provider_keys AS k ON k.provider = j.value ->> 0 AND k.digest = j.value ->> 2 WHERE k.state <> 'deleted'";

/// The keys in pieces that fit a statement.
fn chunks(keys: &[NewKey]) -> Vec<&[NewKey]> {
    let size = |it: &NewKey| {
        let notes = [&it.remark, &it.project].into_iter().flatten().map(String::len).sum::<usize>();
        let tags = it.tags.iter().flatten().map(String::len).sum::<usize>();
        it.key.expose().len() + notes + tags
    };
    let mut bytes = 0;
    let mut count = 0;
    keys.chunk_by(|_, next| {
        bytes += size(next);
        count += 1;
        let fits = bytes < BYTES_PER_STATEMENT && count < KEYS_PER_STATEMENT;
        if !fits {
            (bytes, count) = (0, 0);
        }
        fits
    })
    .collect()
}
