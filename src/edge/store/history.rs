//! What happened: events of keys, and requests of clients that failed.

use serde::{Deserialize, Serialize};
use serde_json::json;

use super::{Store, next, number, text};
use crate::balance::error::Refusal;
use crate::balance::key::KeyId;
use crate::balance::{DAY, Millis};
use crate::edge::trail::Failed;
use worker::wasm_bindgen::JsValue;

/// Events that one call looks through: a filter may match few of them.
const LOOKED_THROUGH: u64 = 5_000;
/// Failed requests that a day has room for, and how many of them at once: the rest grows with the day,
/// so that a bad morning leaves some for the evening.
const PER_DAY: u64 = 1_000;
const AT_ONCE: u64 = 200;

/// Which events.
#[derive(Debug, Default)]
pub struct EventFilter {
    /// Of one key.
    pub key: Option<u64>,
    /// Of one provider.
    pub provider: Option<String>,
    /// With this verdict.
    pub verdict: Option<String>,
    /// For this reason.
    pub reason: Option<String>,
    /// Older than this one.
    pub before: Option<u64>,
    /// At most so many.
    pub limit: u32,
}

/// An event as the page shows it.
#[derive(Debug, Serialize, Deserialize)]
pub struct ListedEvent {
    /// Its row.
    pub id: u64,
    at: Millis,
    key_id: u64,
    hint: Option<String>,
    provider: String,
    model: String,
    status: u16,
    verdict: String,
    reason: String,
    message: String,
    #[serde(skip_deserializing)]
    code: Option<&'static str>,
}

/// Sentences in events that are ours, not a provider's.
const OURS: [(&str, &str); 2] = [
    ("Put back for one try.", "put_back_for_a_try"),
    ("The key has characters that cannot be sent. Add it again.", "cannot_be_sent"),
];

/// Trouble that concerns no one key, counted over the last day.
#[derive(Debug, Deserialize)]
pub struct Trouble {
    /// `egress` or `gateway`.
    pub verdict: String,
    /// The provider.
    pub provider: String,
    /// Cloudflare's code, for `gateway`.
    pub reason: String,
    /// The status.
    pub status: u16,
    /// How many were noted.
    pub n: u64,
    /// The last one.
    pub at: Millis,
}

impl Store {
    /// Events, the newest first, and where the next page begins.
    ///
    /// # Errors
    /// When D1 does not answer.
    pub async fn events(
        &self,
        filter: &EventFilter,
    ) -> Result<(Vec<ListedEvent>, Option<u64>), Refusal> {
        #[derive(Deserialize)]
        struct Span {
            top: Option<u64>,
            least: Option<u64>,
        }
        let mut values = vec![filter.before.map_or(JsValue::NULL, number)];
        let top = "coalesce(?1, (SELECT max(id) + 1 FROM events))";
        let mut sql = format!(
            "SELECT e.id, e.at, e.key_id, k.hint, e.provider, e.model, e.status, e.verdict, e.reason, e.message \
             FROM events e LEFT JOIN provider_keys k ON k.id = e.key_id AND k.state <> 'deleted' \
             WHERE e.id < {top} AND e.id >= {top} - {LOOKED_THROUGH}"
        );
        let filters = [
            ("key_id", filter.key.map(number)),
            ("provider", filter.provider.as_deref().map(text)),
            ("verdict", filter.verdict.as_deref().map(text)),
            ("reason", filter.reason.as_deref().map(text)),
        ];
        for (column, value) in filters {
            let Some(value) = value else { continue };
            values.push(value);
            sql.push_str(&format!(" AND e.{column} = ?{}", values.len()));
        }
        sql.push_str(&format!(" ORDER BY e.id DESC LIMIT {}", filter.limit));
        let span = format!("SELECT {top} AS top, (SELECT min(id) FROM events) AS least");
        let span = self.statement(&span, values.get(..1).unwrap_or_default())?;
        let results = self.batch(vec![self.statement(&sql, &values)?, span]).await?;
        let mut results = results.iter();
        let mut events: Vec<ListedEvent> = next(&mut results)?;
        let span: Vec<Span> = next(&mut results)?;
        for event in &mut events {
            let ours = OURS.iter().find(|(sentence, _)| *sentence == event.message);
            event.code = ours.map(|(_, code)| *code);
        }
        let looked_to = |span: &Span| {
            let to = span.top?.saturating_sub(LOOKED_THROUGH);
            (span.least? < to).then_some(to)
        };
        let next = if events.len() < filter.limit as usize {
            span.first().and_then(looked_to)
        } else {
            let last = events.last().map(|event| event.id);
            last.filter(|last| {
                span.first().and_then(|span| span.least).is_some_and(|least| least < *last)
            })
        };
        Ok((events, next))
    }

    /// Trouble noted within a day: it reads the newest events.
    ///
    /// # Errors
    /// When D1 does not answer.
    pub async fn troubles(&self, now: Millis) -> Result<Vec<Trouble>, Refusal> {
        let statement = self.statement(
            "SELECT verdict, provider, reason, status, count(*) AS n, max(at) AS at FROM events \
             WHERE id > (SELECT max(id) FROM events) - 500 AND verdict IN ('egress', 'gateway') AND at > ?1 GROUP BY 1, 2, 3, 4",
            &[number(now.saturating_sub(DAY))],
        )?;
        let results = self.batch(vec![statement]).await?;
        next(&mut results.iter())
    }

    /// Notes trouble that concerns no one key.
    ///
    /// # Errors
    /// When D1 does not take it.
    pub async fn write_trouble(&self, trouble: &Trouble, message: &str) -> Result<(), Refusal> {
        let event = self.event(&super::Event {
            at: trouble.at,
            key: KeyId(0),
            provider: &trouble.provider,
            model: "*",
            status: trouble.status,
            verdict: &trouble.verdict,
            reason: &trouble.reason,
            message,
        })?;
        self.batch(vec![event]).await.map(|_| ())
    }

    /// Keeps failed requests, as long as the day has room for them.
    ///
    /// # Errors
    /// When D1 does not take them.
    pub async fn write_requests(&self, failed: &[Failed]) -> Result<(), Refusal> {
        let mut statements = Vec::with_capacity(failed.len());
        for one in failed {
            let day = one.at / DAY;
            let room = AT_ONCE + (PER_DAY - AT_ONCE) * (one.at % DAY) / DAY;
            statements.push(self.statement(
                "INSERT INTO requests (id, tag, at, provider, model, method, status, code, ms, token, attempts) \
                 SELECT coalesce(max(id) + 1, ?1), ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11, ?12 FROM requests \
                 WHERE id >= ?1 AND id < ?1 + 1000 HAVING coalesce(max(id) + 1, ?1) < ?1 + ?2",
                &[
                    number(day * PER_DAY),
                    number(room),
                    text(&one.tag),
                    number(one.at),
                    text(&one.provider),
                    text(&one.model),
                    text(&one.method),
                    number(one.status.into()),
                    one.code.as_deref().map_or(JsValue::NULL, text),
                    number(one.ms),
                    text(&one.token),
                    text(&json!(one.attempts).to_string()),
                ],
            )?);
        }
        self.batch(statements).await.map(|_| ())
    }

    /// Failed requests of all isolates, the newest first.
    ///
    /// # Errors
    /// When D1 does not answer.
    pub async fn sampled(
        &self,
        before: Option<Millis>,
        limit: u32,
    ) -> Result<Vec<Failed>, Refusal> {
        let statement = self.statement(
            "SELECT tag, at, provider, model, method, status, code, ms, token, attempts FROM requests \
             WHERE ?1 IS NULL OR at < ?1 ORDER BY id DESC LIMIT ?2",
            &[before.map_or(JsValue::NULL, number), number(limit.into())],
        )?;
        let results = self.batch(vec![statement]).await?;
        next(&mut results.iter())
    }
}
