//! Sealing keys that are stored, piece by piece.

use serde::Deserialize;
use serde_json::{Value, json};
use worker::wasm_bindgen::JsValue;

use super::{Store, next, number, text};
use crate::balance::Millis;
use crate::balance::error::Refusal;
use crate::balance::key::Secret;
use crate::balance::seal::PREFIX;

/// Keys that one run of the cron seals: each is a row written, and costs CPU, of which the Free plan
/// allows a run 10 ms. 288 runs a day seal 43,000.
pub const SEALED_PER_RUN: u32 = 150;
/// Keys that it looks at for those.
pub const LOOKED_AT: u32 = 5_000;

/// How far sealing is.
#[derive(Debug, Default, Deserialize)]
pub struct Progress {
    /// The sealing keys that this is about.
    pub ring: String,
    /// Keys up to this id were looked at.
    pub cursor: u64,
    /// Locked ones among them.
    pub locked: u64,
    /// Locked ones the last time that all were looked at.
    pub before: u64,
    /// When that was.
    pub done: Option<Millis>,
}

/// A key that is not sealed as it should be.
#[derive(Deserialize)]
pub struct Unsealed {
    /// Its row.
    pub id: u64,
    /// Its provider.
    pub provider: String,
    secret: String,
    digest: String,
}

impl Unsealed {
    /// It, as D1 has it.
    #[must_use]
    pub fn secret(&self) -> Secret {
        Secret::stored(self.secret.clone(), &self.digest)
    }

    /// The column itself.
    #[must_use]
    pub fn text(&self) -> &str {
        &self.secret
    }

    /// Its digest.
    #[must_use]
    pub fn digest(&self) -> &str {
        &self.digest
    }
}

impl Store {
    /// How far sealing is; `None`: nothing was ever sealed.
    ///
    /// # Errors
    /// When D1 does not answer.
    pub async fn sealing_progress(&self) -> Result<Option<Progress>, Refusal> {
        let statement =
            self.statement("SELECT ring, cursor, locked, before, done FROM sealing", &[])?;
        let results = self.batch(vec![statement]).await?;
        Ok(next(&mut results.iter())?.pop())
    }

    /// How many keys are locked, as far as was looked.
    ///
    /// # Errors
    /// When D1 does not answer.
    pub async fn locked_keys(&self) -> Result<u64, Refusal> {
        Ok(self.sealing_progress().await?.map_or(0, |it| it.before.max(it.locked)))
    }

    /// Of the keys behind `cursor`, at most [`LOOKED_AT`], those that do not begin with `current`, at
    /// most [`SEALED_PER_RUN`]; without a `current` those that are sealed at all. Also how many were
    /// looked at, and the last of them.
    ///
    /// # Errors
    /// When D1 does not answer.
    pub async fn unsealed(
        &self,
        cursor: u64,
        current: Option<&str>,
    ) -> Result<(Vec<Unsealed>, u64, u64), Refusal> {
        #[derive(Deserialize)]
        struct Window {
            n: u64,
            last: Option<u64>,
        }
        let window = format!(
            "SELECT id, provider, secret, digest FROM provider_keys WHERE id > ?1 ORDER BY id LIMIT {LOOKED_AT}"
        );
        let (wanted, begin) = match current {
            Some(current) => ("<>", current),
            None => ("=", PREFIX),
        };
        let results = self
            .batch(vec![
                self.statement(
                    &format!(
                        "SELECT id, provider, secret, digest FROM ({window}) WHERE secret <> '' AND digest IS NOT NULL \
                         AND substr(secret, 1, length(?2)) {wanted} ?2 ORDER BY id LIMIT {SEALED_PER_RUN}"
                    ),
                    &[number(cursor), text(begin)],
                )?,
                self.statement(
                    &format!("SELECT count(*) AS n, max(id) AS last FROM ({window})"),
                    &[number(cursor)],
                )?,
            ])
            .await?;
        let mut results = results.iter();
        let rows = next(&mut results)?;
        let window: Vec<Window> = next(&mut results)?;
        let (looked_at, last) =
            window.first().map_or((0, cursor), |it| (it.n, it.last.unwrap_or(cursor)));
        Ok((rows, looked_at, last))
    }

    /// Writes sealed texts over what they are of, unless that changed meanwhile, and how far it is.
    ///
    /// # Errors
    /// When D1 does not take it; then nothing is changed.
    pub async fn write_sealed(
        &self,
        changes: &[(u64, &str, String)],
        progress: &Progress,
    ) -> Result<(), Refusal> {
        let mut statements = Vec::new();
        if !changes.is_empty() {
            let rows = changes.iter().map(|(id, old, new)| json!([id, old, new])).collect();
            statements.push(self.statement(
                "UPDATE provider_keys SET secret = new.text FROM \
                 (SELECT value ->> 0 AS id, value ->> 1 AS old, value ->> 2 AS text FROM json_each(?1)) AS new \
                 WHERE provider_keys.id = new.id AND provider_keys.secret = new.old",
                &[text(&Value::Array(rows).to_string())],
            )?);
        }
        statements.push(self.statement(
            "INSERT INTO sealing (id, ring, cursor, locked, before, done) VALUES (1, ?1, ?2, ?3, ?4, ?5) \
             ON CONFLICT (id) DO UPDATE SET ring = excluded.ring, cursor = excluded.cursor, locked = excluded.locked, \
             before = excluded.before, done = excluded.done",
            &[
                text(&progress.ring),
                number(progress.cursor),
                number(progress.locked),
                number(progress.before),
                progress.done.map_or(JsValue::NULL, number),
            ],
        )?);
        self.batch(statements).await.map(|_| ())
    }
}
