//! Blocked keys about which the provider is to be asked again.

use serde::Deserialize;

use super::{Event, Store, next, number, text};
use crate::balance::Millis;
use crate::balance::error::Refusal;
use crate::balance::key::{EVERY_MODEL, KeyId, Secret};
use crate::balance::probe::{self, Outcome, PROBES_PER_RUN};
use worker::wasm_bindgen::JsValue;

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
            probes: u32,
        }
        let statement = self.statement(
            "SELECT id, provider, secret, probes FROM provider_keys \
             WHERE probe_at <= ?1 AND state = 'blocked' ORDER BY probe_at LIMIT ?2",
            &[number(now), number(PROBES_PER_RUN.into())],
        )?;
        let results = self.batch(vec![statement]).await?;
        let rows: Vec<Row> = next(&mut results.iter())?;
        Ok(rows
            .into_iter()
            .map(|row| Suspect {
                id: KeyId(row.id),
                provider: row.provider,
                secret: Secret::new(row.secret),
                asked: row.probes,
            })
            .collect())
    }

    /// Writes what the provider answered, in one batch. A key that an administrator changed in the
    /// meantime is left alone.
    ///
    /// # Errors
    /// When D1 does not take it.
    pub async fn write_probes(
        &self,
        answers: &[(Suspect, Outcome, u16, String)],
        now: Millis,
    ) -> Result<(), Refusal> {
        let mut statements = Vec::new();
        for (suspect, outcome, status, message) in answers {
            let id = number(suspect.id.0);
            let again = |certain| {
                let due = probe::due(&suspect.provider, certain, suspect.asked + 1, now);
                due.map_or(JsValue::NULL, number)
            };
            let guard = "WHERE id = ?1 AND state = 'blocked'";
            let (verdict, reason) = match outcome {
                Outcome::Restore => {
                    statements.push(self.statement(
                        &format!(
                            "UPDATE provider_keys SET state = 'ready', reason = NULL, certain = 1, \
                             probes = 0, probe_at = NULL, updated_at = ?2 {guard}"
                        ),
                        &[id, number(now)],
                    )?);
                    ("restore", "")
                }
                Outcome::StillRejected { reason, certain } => {
                    statements.push(self.statement(
                        &format!(
                            "UPDATE provider_keys SET reason = ?3, certain = ?4, probes = probes + 1, \
                             probe_at = ?5, updated_at = ?2 {guard}"
                        ),
                        &[
                            id,
                            number(now),
                            text(reason.as_str()),
                            number((*certain).into()),
                            again(*certain),
                        ],
                    )?);
                    ("reject", reason.as_str())
                }
                // Nothing was learned, and nothing changed: soon again, without an event.
                Outcome::Unclear => {
                    statements.push(self.statement(
                        &format!("UPDATE provider_keys SET probe_at = ?2 {guard}"),
                        &[id, number(now + probe::UNCLEAR)],
                    )?);
                    continue;
                }
            };
            statements.push(self.event(&Event {
                at: now,
                key: suspect.id,
                provider: &suspect.provider,
                model: EVERY_MODEL,
                status: *status,
                verdict,
                reason,
                message,
            })?);
        }
        if statements.is_empty() {
            return Ok(());
        }
        self.batch(statements).await.map(|_| ())
    }
}
