//! What `/metrics` and the webhook read.

use serde::Deserialize;

use super::{Store, failed, next, number, text};
use crate::balance::Millis;
use crate::balance::error::Refusal;
use crate::balance::metrics::{COUNT_KEPT, COUNT_KEPT_PER_KEY, Counted, Measured, Totals};
use crate::balance::webhook::{Blocked, Found, Told};

/// Models that `/metrics` shows, the most used first.
const MODELS_SHOWN: u32 = 500;
/// Ready keys that are looked through for usable ones. Only a pool whose first so many all cool for
/// every model is taken for empty though it may not be.
const LOOKED_THROUGH: u32 = 2_000;
/// Events that one run of the cron looks through for keys that were blocked.
const EVENTS_PER_RUN: u32 = 5_000;

impl Store {
    /// What `/metrics` shows. One round trip; the pool is counted anew only when the last count is
    /// older than [`COUNT_KEPT`] and [`COUNT_KEPT_PER_KEY`] say.
    ///
    /// # Errors
    /// When D1 does not answer.
    pub async fn measure(&self, now: Millis) -> Result<Measured, Refusal> {
        #[derive(Deserialize)]
        struct Row {
            at: Millis,
            counts: String,
        }
        // CROSS JOIN keeps its order: keys are only read when there is a row in front of them.
        let old = "coalesce((SELECT at + max(?2, keys * ?3) FROM pool_counts), 0) <= ?1";
        let count = format!(
            "INSERT INTO pool_counts (id, at, keys, counts) \
             SELECT 1, ?1, coalesce(sum(n), 0), json_group_array(json_array(provider, state, n, usable)) FROM (\
               SELECT provider, state, count(*) AS n, sum(usable) AS usable FROM (\
                 SELECT k.provider, {} AS state, k.state = 'ready' AND NOT EXISTS (SELECT 1 FROM coolings c \
                   WHERE c.key_id = k.id AND c.model = '*' AND c.until > ?1) AS usable \
                 FROM (SELECT 1 WHERE {old}) CROSS JOIN provider_keys k WHERE k.state <> 'deleted') \
               GROUP BY 1, 2) \
             HAVING {old} \
             ON CONFLICT (id) DO UPDATE SET at = excluded.at, keys = excluded.keys, counts = excluded.counts",
            super::keys::shown_state(),
        );
        let results = self
            .batch(vec![
                self.statement(&count, &[number(now), number(COUNT_KEPT), number(COUNT_KEPT_PER_KEY)])?,
                self.statement("SELECT at, counts FROM pool_counts", &[])?,
                self.statement(
                    "SELECT provider, model, requests, successes, refused, rate_limited, rejected, transient, \
                     egress, gateway, caller FROM usage_totals \
                     ORDER BY requests DESC, provider, model LIMIT ?1",
                    &[number(MODELS_SHOWN.into())],
                )?,
            ])
            .await?;
        let mut results = results.iter().skip(1);
        let counted: Vec<Row> = next(&mut results)?;
        let totals: Vec<Totals> = next(&mut results)?;
        let (keys, counted_at) = match counted.first() {
            Some(row) => {
                let keys: Vec<Counted> = serde_json::from_str(&row.counts).map_err(failed)?;
                (keys, row.at)
            }
            None => (Vec::new(), now),
        };
        Ok(Measured { totals, keys, counted_at })
    }

    /// What the webhook told, and what there is to tell since. One round trip. The first time it
    /// looks back at nothing.
    ///
    /// # Errors
    /// When D1 does not answer.
    pub async fn watch(
        &self,
        min_usable: u32,
        now: Millis,
    ) -> Result<(Option<Told>, Found), Refusal> {
        #[derive(Deserialize)]
        struct State {
            state: String,
        }
        #[derive(Deserialize)]
        struct Usable {
            provider: String,
            usable: u64,
        }
        #[derive(Deserialize)]
        struct Last {
            id: Option<u64>,
        }
        #[derive(Deserialize)]
        struct Row {
            provider: String,
            reason: String,
            n: u64,
        }
        let since = "(SELECT state ->> 'event' FROM webhook)";
        let results = self
            .batch(vec![
                self.statement("SELECT state FROM webhook", &[])?,
                // One step of the index per provider, then keys until enough are found.
                self.statement(
                    &format!(
                        "WITH RECURSIVE p(provider) AS (SELECT min(provider) FROM provider_keys UNION ALL \
                         SELECT (SELECT min(provider) FROM provider_keys k WHERE k.provider > p.provider) FROM p WHERE p.provider IS NOT NULL) \
                         SELECT p.provider, (SELECT count(*) FROM (SELECT 1 FROM \
                           (SELECT id FROM provider_keys WHERE provider = p.provider AND state = 'ready' LIMIT {LOOKED_THROUGH}) AS k \
                           WHERE NOT EXISTS (SELECT 1 FROM coolings c WHERE c.key_id = k.id AND c.model = '*' AND c.until > ?1) \
                           LIMIT ?2)) AS usable \
                         FROM p WHERE EXISTS (SELECT 1 FROM provider_keys WHERE provider = p.provider AND state IN ('ready', 'blocked', 'disabled'))"
                    ),
                    &[number(now), number(min_usable.into())],
                )?,
                self.statement(
                    &format!(
                        "SELECT CASE WHEN {since} IS NULL THEN (SELECT max(id) FROM events) ELSE \
                         (SELECT max(id) FROM (SELECT id FROM events WHERE id > {since} ORDER BY id LIMIT {EVENTS_PER_RUN})) END AS id"
                    ),
                    &[],
                )?,
                // Only keys that are blocked still and that were not asked about since: the rejection
                // of a probe is no new block.
                self.statement(
                    &format!(
                        "SELECT k.provider, coalesce(k.reason, '') AS reason, count(*) AS n FROM provider_keys k \
                         WHERE k.state = 'blocked' AND k.id IN (SELECT key_id FROM \
                           (SELECT id, key_id, verdict FROM events WHERE id > coalesce({since}, 9e15) ORDER BY id LIMIT {EVENTS_PER_RUN}) \
                           WHERE verdict = 'reject') \
                         AND k.probes = 0 GROUP BY 1, 2"
                    ),
                    &[],
                )?,
            ])
            .await?;
        let mut results = results.iter();
        let state: Vec<State> = next(&mut results)?;
        let usable: Vec<Usable> = next(&mut results)?;
        let last: Vec<Last> = next(&mut results)?;
        let blocked: Vec<Row> = next(&mut results)?;
        // What cannot be read any more is begun anew.
        let told = state.first().map(|row| serde_json::from_str(&row.state).unwrap_or_default());
        let found = Found {
            usable: usable.into_iter().map(|row| (row.provider, row.usable)).collect(),
            blocked: blocked
                .into_iter()
                .map(|row| Blocked { provider: row.provider, reason: row.reason, keys: row.n })
                .collect(),
            event: last.first().and_then(|row| row.id).unwrap_or_default(),
        };
        Ok((told, found))
    }

    /// Keeps what the webhook told.
    ///
    /// # Errors
    /// When D1 does not take it.
    pub async fn keep_told(&self, told: &Told) -> Result<(), Refusal> {
        let state = text(&serde_json::to_string(told).map_err(failed)?);
        let statement = self.statement(
            "INSERT INTO webhook (id, state) VALUES (1, ?1) ON CONFLICT (id) DO UPDATE SET state = excluded.state",
            &[state],
        )?;
        self.batch(vec![statement]).await.map(|_| ())
    }
}
