//! The roll-ups of usage: adding to them, summing them up, forgetting old ones.

use serde::Deserialize;
use serde_json::{Value, json};

use super::{Store, next, number, text};
use crate::balance::error::Refusal;
use crate::balance::usage::{Batch, MOST_ROWS_PER_DAY, REST};
use crate::balance::{DAY, HOUR, Millis};

/// How long an hour of a model is kept, and a day of a key or token.
const HOURS_KEPT: Millis = 32 * DAY;
const DAYS_KEPT: Millis = 90 * DAY;

/// The numbers of `usage_hourly` and `usage_totals`, in the order in which they are bound.
const COUNTS: [&str; 11] = [
    "requests",
    "attempts",
    "successes",
    "rate_limited",
    "errors",
    "rejected",
    "transient",
    "egress",
    "gateway",
    "caller",
    "refused",
];
const KEY_COUNTS: [&str; 4] = ["attempts", "successes", "rate_limited", "errors"];
const TOKEN_COUNTS: [&str; 3] = ["requests", "successes", "refused"];

/// Adds the rows of ?1, arrays of the table's key and then its numbers, unless the rows of today,
/// ?2, are used up. `group`: the rows have more in front of the key, so some may be of the same one.
fn addition(table: &str, key: &[&str], counts: &[&str], skipped: usize) -> String {
    let columns = [key, counts].concat().join(", ");
    let values = (0..key.len() + counts.len()).map(|at| {
        let value = format!("value ->> {}", skipped + at);
        if skipped > 0 && at >= key.len() { format!("sum({value})") } else { value }
    });
    let values = values.collect::<Vec<_>>().join(", ");
    let group = if skipped > 0 { " GROUP BY value ->> 1, value ->> 2" } else { "" };
    let sums: Vec<_> =
        counts.iter().map(|it| format!("{it} = {table}.{it} + excluded.{it}")).collect();
    format!(
        "INSERT INTO {table} ({columns}) SELECT {values} FROM json_each(?1) \
         WHERE coalesce((SELECT count FROM usage_written WHERE day = ?2), 0) < {MOST_ROWS_PER_DAY}{group} \
         ON CONFLICT ({}) DO UPDATE SET {}",
        key.join(", "),
        sums.join(", ")
    )
}

impl Store {
    /// Adds what was counted: one batch, of which all is written or nothing. Tells how many rows
    /// were written today for usage by all isolates, and whether these are among them: beyond
    /// [`MOST_ROWS_PER_DAY`] none is.
    ///
    /// # Errors
    /// When D1 does not take it.
    pub async fn add_usage(&self, batch: &Batch, now: Millis) -> Result<(u64, bool), Refusal> {
        #[derive(Deserialize)]
        struct Row {
            count: u64,
        }
        let hourly: Vec<_> = batch
            .hourly
            .iter()
            .map(|(hour, provider, model, it)| {
                json!([
                    hour,
                    provider,
                    model,
                    it.requests,
                    it.attempts,
                    it.successes,
                    it.rate_limited,
                    it.errors(),
                    it.rejected,
                    it.transient,
                    it.egress,
                    it.gateway,
                    it.caller,
                    it.refused
                ])
            })
            .collect();
        let keys: Vec<_> = batch
            .keys
            .iter()
            .map(|(day, key, it)| {
                json!([day, key.0, it.attempts, it.successes, it.rate_limited, it.errors])
            })
            .collect();
        let tokens: Vec<_> = batch
            .tokens
            .iter()
            .map(|(day, token, it)| {
                let token = token.map_or_else(|| REST.to_owned(), |tag| format!("{tag:08x}"));
                json!([day, token, it.requests, it.successes, it.refused])
            })
            .collect();
        let today = number(now - now % DAY);
        let [hourly, keys, tokens] =
            [hourly, keys, tokens].map(|rows| text(&Value::Array(rows).to_string()));
        let add = |table: &str, key: &[&str], counts: &[&str], skipped, rows: &_| {
            let sql = addition(table, key, counts, skipped);
            self.statement(&sql, &[Clone::clone(rows), today.clone()])
        };
        let results = self
            .batch(vec![
                add("usage_hourly", &["hour", "provider", "model"], &COUNTS, 0, &hourly)?,
                add("usage_totals", &["provider", "model"], &COUNTS, 1, &hourly)?,
                add("usage_daily", &["day", "key_id"], &KEY_COUNTS, 0, &keys)?,
                add("usage_tokens", &["day", "token"], &TOKEN_COUNTS, 0, &tokens)?,
                // Last, since the others look at it.
                self.statement(
                    &format!(
                        "INSERT INTO usage_written (day, count) VALUES (?1, ?2) \
                         ON CONFLICT (day) DO UPDATE SET count = count + excluded.count \
                         WHERE count < {MOST_ROWS_PER_DAY} RETURNING count"
                    ),
                    &[today.clone(), number(batch.rows())],
                )?,
            ])
            .await?;
        let rows: Vec<Row> = next(&mut results.iter().skip(4))?;
        Ok(rows.first().map_or((MOST_ROWS_PER_DAY, false), |row| (row.count, true)))
    }

    /// Forgets old hours and days. The totals stay.
    ///
    /// # Errors
    /// When D1 does not take it.
    pub async fn prune_usage(&self, now: Millis) -> Result<(), Refusal> {
        let before = |kept: Millis| [number(now.saturating_sub(kept))];
        self.batch(vec![
            self.statement(
                "DELETE FROM usage_hourly WHERE hour <= ?1",
                &before(HOURS_KEPT + HOUR),
            )?,
            self.statement("DELETE FROM usage_daily WHERE day <= ?1", &before(DAYS_KEPT + DAY))?,
            self.statement("DELETE FROM usage_tokens WHERE day <= ?1", &before(DAYS_KEPT + DAY))?,
            self.statement("DELETE FROM usage_written WHERE day <= ?1", &before(DAYS_KEPT + DAY))?,
        ])
        .await
        .map(|_| ())
    }
}
