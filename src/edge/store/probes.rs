//! Blocked keys about which the provider is to be asked again.

use serde::Deserialize;
use serde_json::{Value, json};

use super::{Store, next, number, open_secret, text};
use crate::balance::Millis;
use crate::balance::error::Refusal;
use crate::balance::key::{EVERY_MODEL, KeyId, Secret};
use crate::balance::probe::{self, Outcome, PROBES_PER_RUN};

/// A blocked key whose time has come.
pub struct Suspect {
    /// Which key.
    pub id: KeyId,
    /// Its provider.
    pub provider: String,
    /// Its text.
    pub secret: Secret,
    /// How often the provider was asked since the block.
    pub asked: u32,
}

impl Store {
    /// The blocked keys that are longest overdue, at most [`PROBES_PER_RUN`].
    ///
    /// # Errors
    /// When D1 does not answer.
    pub async fn suspects(&self, now: Millis) -> Result<Vec<Suspect>, Refusal> {
        #[derive(Deserialize)]
        struct Row {
            id: u64,
            provider: String,
            secret: String,
            digest: String,
            probes: u32,
        }
        let statement = self.statement(
            "SELECT id, provider, secret, coalesce(digest, '') AS digest, probes FROM provider_keys \
             WHERE probe_at <= ?1 AND state = 'blocked' ORDER BY probe_at LIMIT ?2",
            &[number(now), number(PROBES_PER_RUN.into())],
        )?;
        let results = self.batch(vec![statement]).await?;
        let rows: Vec<Row> = next(&mut results.iter())?;
        Ok(rows
            .into_iter()
            .map(|row| Suspect {
                id: KeyId(row.id),
                secret: open_secret(&row.provider, row.secret, &row.digest),
                provider: row.provider,
                asked: row.probes,
            })
            .collect())
    }

    /// Writes what the provider answered: two statements, however many keys. A key that an
    /// administrator changed in the meantime is left alone.
    ///
    /// # Errors
    /// When D1 does not take it.
    pub async fn write_probes(
        &self,
        answers: &[(Suspect, Outcome, u16, String)],
        now: Millis,
    ) -> Result<(), Refusal> {
        let mut rows = Vec::with_capacity(answers.len());
        let mut events = Vec::with_capacity(answers.len());
        for (suspect, outcome, status, message) in answers {
            let (state, reason, certain, asked, due) = match *outcome {
                Outcome::Restore => ("ready", None, true, 0, None),
                Outcome::StillRejected { reason, certain } => {
                    let asked = suspect.asked + 1;
                    let due = probe::due(&suspect.provider, certain, asked, now);
                    ("blocked", Some(reason.as_str()), certain, asked, due)
                }
                // Nothing was learned, and nothing changed: soon again, without an event.
                Outcome::Unclear => {
                    rows.push(json!([suspect.id.0, null, null, null, null, now + probe::UNCLEAR]));
                    continue;
                }
            };
            rows.push(json!([suspect.id.0, state, reason, u8::from(certain), asked, due]));
            let verdict = if state == "ready" { "restore" } else { "reject" };
            let reason = reason.unwrap_or_default();
            events.push(json!([suspect.id.0, suspect.provider, status, verdict, reason, message]));
        }
        let [rows, events] = [rows, events].map(|list| text(&Value::Array(list).to_string()));
        self.batch(vec![
            // A row without a state says only when to ask again.
            self.statement(
                "UPDATE provider_keys SET state = coalesce(new.state, provider_keys.state), \
                 reason = iif(new.state IS NULL, provider_keys.reason, new.reason), \
                 certain = coalesce(new.certain, provider_keys.certain), \
                 probes = coalesce(new.probes, provider_keys.probes), probe_at = new.probe_at, \
                 updated_at = iif(new.state IS NULL, provider_keys.updated_at, ?2) \
                 FROM (SELECT value ->> 0 AS id, value ->> 1 AS state, value ->> 2 AS reason, \
                 value ->> 3 AS certain, value ->> 4 AS probes, value ->> 5 AS probe_at FROM json_each(?1)) AS new \
                 WHERE provider_keys.id = new.id AND provider_keys.state = 'blocked'",
                &[rows, number(now)],
            )?,
            self.statement(
                "INSERT INTO events (at, key_id, provider, model, status, verdict, reason, message) \
                 SELECT ?2, value ->> 0, value ->> 1, ?3, value ->> 2, value ->> 3, value ->> 4, value ->> 5 \
                 FROM json_each(?1)",
                &[events, number(now), text(EVERY_MODEL)],
            )?,
        ])
        .await
        .map(|_| ())
    }
}
