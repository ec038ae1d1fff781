//! Clients' tokens that were made in the page. Only a digest of each is here.

use serde::Deserialize;
use worker::wasm_bindgen::JsValue;

use super::keys::flag;
use super::{Store, next, number, text};
use crate::balance::error::Refusal;
use crate::balance::{DAY, Millis};

/// A token as D1 has it.
#[derive(Debug, Clone, Deserialize)]
pub struct TokenRow {
    /// Its row.
    pub id: u64,
    /// What an administrator calls it.
    pub name: String,
    /// First and last characters.
    pub hint: String,
    /// SHA-256 of its text, in hexadecimal.
    pub digest: String,
    /// As in `AUTH_KEY`.
    pub scope: String,
    /// From when on it is refused.
    pub expires_at: Option<Millis>,
    /// Requests in a minute.
    pub per_minute: Option<u32>,
    /// Requests in a day.
    pub per_day: Option<u32>,
    /// Whether it is let in at all.
    #[serde(deserialize_with = "flag")]
    pub enabled: bool,
    /// When it was made.
    pub created_at: Millis,
    /// Requests of this UTC day.
    pub today: u64,
    /// Requests of the last 30 days.
    #[serde(default)]
    pub month: u64,
    /// The last day with one.
    #[serde(default)]
    pub last_day: Option<Millis>,
}

/// What can be said of a token.
pub struct TokenDetails<'a> {
    /// See [`TokenRow`].
    pub name: &'a str,
    /// See there.
    pub scope: &'a str,
    /// See there.
    pub expires_at: Option<Millis>,
    /// See there.
    pub per_minute: Option<u32>,
    /// See there.
    pub per_day: Option<u32>,
    /// See there.
    pub enabled: bool,
}

impl TokenDetails<'_> {
    fn values(&self) -> Vec<JsValue> {
        let optional = |value: Option<u64>| value.map_or(JsValue::NULL, number);
        vec![
            text(self.name),
            text(self.scope),
            optional(self.expires_at),
            optional(self.per_minute.map(u64::from)),
            optional(self.per_day.map(u64::from)),
            number(self.enabled.into()),
        ]
    }
}

const COLUMNS: &str =
    "id, name, hint, digest, scope, expires_at, per_minute, per_day, enabled, created_at";

/// Something about the usage of a token since a day. The table is ordered by day, so each day is looked
/// up by itself.
fn used(what: &str, since: Millis, now: Millis) -> String {
    let days: Vec<_> = (since..=now).step_by(86_400_000).map(|day| day.to_string()).collect();
    format!(
        "(SELECT {what} FROM usage_tokens u WHERE u.day IN ({}) AND u.token = substr(tokens.digest, 1, 8))",
        days.join(", ")
    )
}

impl Store {
    /// Every token with its usage, the newest first.
    ///
    /// # Errors
    /// When D1 does not answer.
    pub async fn tokens(&self, id: Option<u64>, now: Millis) -> Result<Vec<TokenRow>, Refusal> {
        let today = now - now % DAY;
        let sql = format!(
            "SELECT {COLUMNS}, coalesce({}, 0) AS today, coalesce({}, 0) AS month, {} AS last_day \
             FROM tokens WHERE ?1 IS NULL OR id = ?1 ORDER BY id DESC",
            used("sum(requests)", today, now),
            used("sum(requests)", today.saturating_sub(29 * DAY), now),
            used("max(day)", today.saturating_sub(29 * DAY), now),
        );
        let statement = self.statement(&sql, &[id.map_or(JsValue::NULL, number)])?;
        let results = self.batch(vec![statement]).await?;
        next(&mut results.iter())
    }

    /// The tokens of these digests, with what D1 knows of their day.
    ///
    /// # Errors
    /// When D1 does not answer.
    pub async fn tokens_of(
        &self,
        digests: &[String],
        now: Millis,
    ) -> Result<Vec<TokenRow>, Refusal> {
        let sql = format!(
            "SELECT {COLUMNS}, coalesce({}, 0) AS today FROM tokens WHERE digest IN (SELECT value FROM json_each(?1))",
            used("sum(requests)", now - now % DAY, now)
        );
        let statement = self.statement(&sql, &[text(&serde_json::json!(digests).to_string())])?;
        let results = self.batch(vec![statement]).await?;
        next(&mut results.iter())
    }

    /// Adds a token; tells its id.
    ///
    /// # Errors
    /// When D1 does not take it.
    pub async fn add_token(
        &self,
        digest: &str,
        hint: &str,
        details: &TokenDetails<'_>,
        now: Millis,
    ) -> Result<Option<u64>, Refusal> {
        #[derive(Deserialize)]
        struct Row {
            id: u64,
        }
        let mut values = details.values();
        values.extend([text(digest), text(hint), number(now)]);
        let statement = self.statement(
            "INSERT INTO tokens (name, scope, expires_at, per_minute, per_day, enabled, digest, hint, created_at) \
             VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9) RETURNING id",
            &values,
        )?;
        let results = self.batch(vec![statement]).await?;
        let rows: Vec<Row> = next(&mut results.iter())?;
        Ok(rows.first().map(|row| row.id))
    }

    /// Changes a token.
    ///
    /// # Errors
    /// When D1 does not take it.
    pub async fn change_token(&self, id: u64, details: &TokenDetails<'_>) -> Result<(), Refusal> {
        let mut values = details.values();
        values.push(number(id));
        let statement = self.statement(
            "UPDATE tokens SET name = ?1, scope = ?2, expires_at = ?3, per_minute = ?4, per_day = ?5, enabled = ?6 WHERE id = ?7",
            &values,
        )?;
        self.batch(vec![statement]).await.map(|_| ())
    }

    /// Removes a token; tells its digest.
    ///
    /// # Errors
    /// When D1 does not take it.
    pub async fn remove_token(&self, id: u64) -> Result<Option<String>, Refusal> {
        #[derive(Deserialize)]
        struct Row {
            digest: String,
        }
        let delete = "DELETE FROM tokens WHERE id = ?1 RETURNING digest";
        let results = self.batch(vec![self.statement(delete, &[number(id)])?]).await?;
        let rows: Vec<Row> = next(&mut results.iter())?;
        Ok(rows.into_iter().next().map(|row| row.digest))
    }
}
