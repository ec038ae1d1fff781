//! Which key holds an object, in D1.

use serde::Deserialize;

use super::{Store, next, number, text};
use crate::balance::Millis;
use crate::balance::error::Refusal;
use crate::balance::key::KeyId;

/// An object's row.
#[derive(Debug, Deserialize)]
pub struct Holder {
    /// The digest of its name.
    pub name: String,
    /// Whose it is.
    pub provider: String,
    /// The key that made it.
    pub key_id: u64,
    /// When it is forgotten.
    pub expires_at: Millis,
}

impl Store {
    /// Who holds the objects of these digests: a row for each that is known.
    ///
    /// # Errors
    /// When D1 does not answer.
    pub async fn holders(&self, digests: &[&str], now: Millis) -> Result<Vec<Holder>, Refusal> {
        let digests = text(&serde_json::json!(digests).to_string());
        let statement = self.statement(
            "SELECT name, provider, key_id, expires_at FROM objects \
             WHERE name IN (SELECT value FROM json_each(?1)) AND expires_at > ?2",
            &[digests, number(now)],
        )?;
        let results = self.batch(vec![statement]).await?;
        next(&mut results.iter())
    }

    /// Remembers who made objects. A row that says so already is not written again.
    ///
    /// # Errors
    /// When D1 does not take it.
    pub async fn remember(
        &self,
        digests: &[String],
        provider: &str,
        key: KeyId,
        expires_at: Millis,
        now: Millis,
    ) -> Result<(), Refusal> {
        let values = [
            text(&serde_json::json!(digests).to_string()),
            text(provider),
            number(key.0),
            number(expires_at),
            number(now),
        ];
        let statement = self.statement(
            "INSERT INTO objects (name, provider, key_id, expires_at, created_at) \
             SELECT value, ?2, ?3, ?4, ?5 FROM json_each(?1) WHERE true \
             ON CONFLICT (name, provider) DO UPDATE SET key_id = excluded.key_id, \
             expires_at = excluded.expires_at, created_at = excluded.created_at \
             WHERE objects.key_id <> excluded.key_id",
            &values,
        )?;
        self.batch(vec![statement]).await.map(|_| ())
    }

    /// Forgets an object that was deleted.
    ///
    /// # Errors
    /// When D1 does not take it.
    pub async fn forget(&self, digest: &str, provider: &str) -> Result<(), Refusal> {
        let statement = self.statement(
            "DELETE FROM objects WHERE name = ?1 AND provider = ?2",
            &[text(digest), text(provider)],
        )?;
        self.batch(vec![statement]).await.map(|_| ())
    }

    /// Deletes what is expired of a two hundred and fifty-sixth of the objects. Their names are
    /// digests, so a run every five minutes has read each row once in a day, and no index of times costs
    /// a written row for each.
    ///
    /// # Errors
    /// When D1 does not take it.
    pub async fn prune_objects(&self, slice: u8, now: Millis) -> Result<(), Refusal> {
        let from = format!("{slice:02x}");
        let to = slice.checked_add(1).map_or_else(|| "g".to_owned(), |next| format!("{next:02x}"));
        let statement = self.statement(
            "DELETE FROM objects WHERE name >= ?1 AND name < ?2 AND expires_at <= ?3",
            &[text(&from), text(&to), number(now)],
        )?;
        self.batch(vec![statement]).await.map(|_| ())
    }
}
