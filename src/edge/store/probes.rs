//! Blocked keys about which the provider is to be asked again.

use serde::Deserialize;
use serde_json::{Value, json};

use super::{READY_AGAIN, Store, VERSION, next, number, open_secret, text};
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
    /// The version of its row. If that has changed when the answer comes, the answer is about the past.
    pub version: Millis,
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
            updated_at: Millis,
        }
        let statement = self.statement(
            "SELECT id, provider, secret, coalesce(digest, '') AS digest, probes, updated_at FROM provider_keys \
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
                version: row.updated_at,
            })
            .collect())
    }

    /// Writes what the provider answered: two statements, however many keys. A key that
    /// changed in the meantime is left alone: by an administrator, or by a run that overlapped.
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
                    rows.push(json!([
                        suspect.id.0,
                        null,
                        null,
                        null,
                        null,
                        now + probe::UNCLEAR,
                        suspect.version
                    ]));
                    continue;
                }
            };
            let certain = u8::from(certain);
            rows.push(json!([suspect.id.0, state, reason, certain, asked, due, suspect.version]));
            let verdict = if state == "ready" { "restore" } else { "reject" };
            let reason = reason.unwrap_or_default();
            let (id, provider, version) = (suspect.id.0, &suspect.provider, suspect.version);
            events.push(json!([id, provider, status, verdict, reason, message, version]));
        }
        let [rows, events] = [rows, events].map(|list| text(&Value::Array(list).to_string()));
        self.batch(vec![
            // Events first: afterwards the rows have other versions.
            self.statement(
                "INSERT INTO events (at, key_id, provider, model, status, verdict, reason, message) \
                 SELECT ?2, value ->> 0, value ->> 1, ?3, value ->> 2, value ->> 3, value ->> 4, value ->> 5 \
                 FROM json_each(?1) AS new JOIN provider_keys AS k ON k.id = new.value ->> 0 \
                 WHERE k.state = 'blocked' AND k.updated_at = new.value ->> 6",
                &[events, number(now), text(EVERY_MODEL)],
            )?,
            // A row without a state says only when to ask again.
            self.statement(
                &format!(
                    "UPDATE provider_keys SET state = coalesce(new.state, provider_keys.state), \
                     reason = iif(new.state IS NULL, provider_keys.reason, new.reason), \
                     certain = coalesce(new.certain, provider_keys.certain), \
                     probes = coalesce(new.probes, provider_keys.probes), probe_at = new.probe_at, \
                     ready_since = iif(new.state = 'ready', {READY_AGAIN}, provider_keys.ready_since), \
                     changed_at = iif(new.state IS NULL, provider_keys.changed_at, ?2), \
                     updated_at = iif(new.state IS NULL, provider_keys.updated_at, {VERSION}) \
                     FROM (SELECT value ->> 0 AS id, value ->> 1 AS state, value ->> 2 AS reason, \
                     value ->> 3 AS certain, value ->> 4 AS probes, value ->> 5 AS probe_at, value ->> 6 AS version \
                     FROM json_each(?1)) AS new \
                     WHERE provider_keys.id = new.id AND provider_keys.state = 'blocked' \
                     AND provider_keys.updated_at = new.version"
                ),
                &[rows, number(now)],
            )?,
        ])
        .await
        .map(|_| ())
    }
}
