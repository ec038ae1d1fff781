//! What happened: events, and clients' requests that failed.

use serde_json::{Value, json};

use super::{Answer, Call};
use crate::balance::Millis;
use crate::edge::store::history::EventFilter;
use crate::edge::trail;

/// Failed requests that are looked through for a filter.
const LOOKED_THROUGH: u32 = 500;

impl Call<'_> {
    pub(super) async fn events(&self) -> Answer {
        let names = ["key", "provider", "verdict", "reason", "before", "limit"];
        let mut fields = self.fields_of_query(&names);
        let filter = EventFilter {
            key: fields.id("key")?,
            provider: fields.text("provider", 200)?,
            verdict: fields.text("verdict", 50)?,
            reason: fields.text("reason", 50)?,
            before: fields.id("before")?,
            limit: fields.count("limit", 100, 1, 500)?,
        };
        let (events, next) = self.store.events(&filter).await?;
        Ok(json!({ "events": events, "next": next }))
    }

    pub(super) async fn requests(&self) -> Answer {
        let mut fields = self.fields_of_query(&["provider", "model", "status", "before", "limit"]);
        let provider = fields.text("provider", 200)?;
        let model = fields.text("model", 500)?;
        let status = fields.id("status")?;
        let before = fields.id("before")?;
        let limit = fields.count("limit", 50, 1, 200)? as usize;
        let sampled = self.store.sampled(before, LOOKED_THROUGH).await?;
        let mut all: Vec<(Millis, Value)> = Vec::new();
        let recent = trail::recent();
        for one in &recent {
            all.push((one.at, json!({
                "id": one.tag, "at": one.at, "provider": one.provider, "model": one.model, "method": one.method,
                "status": one.status, "code": one.code, "ms": one.ms, "token": one.token, "sampled": false,
                "attempts": one.attempts(),
            })));
        }
        for one in sampled {
            if recent.iter().any(|known| known.tag == one.tag) {
                continue;
            }
            let attempts: Value = serde_json::from_str(&one.attempts).unwrap_or_default();
            all.push((one.at, json!({
                "id": one.tag, "at": one.at, "provider": one.provider, "model": one.model, "method": one.method,
                "status": one.status, "code": one.code, "ms": one.ms, "token": one.token, "sampled": true,
                "attempts": attempts,
            })));
        }
        let is = |value: &Value, name: &str, wanted: &Option<String>| {
            wanted.as_deref().is_none_or(|wanted| value.get(name).is_some_and(|it| it == wanted))
        };
        all.retain(|(at, value)| {
            before.is_none_or(|before| *at < before)
                && is(value, "provider", &provider)
                && is(value, "model", &model)
                && status.is_none_or(|status| {
                    value.get("status").and_then(Value::as_u64) == Some(status)
                })
        });
        all.sort_by_key(|(at, _)| core::cmp::Reverse(*at));
        let next =
            all.get(limit.saturating_sub(1)).filter(|_| all.len() > limit).map(|(at, _)| *at);
        let requests: Vec<Value> = all.into_iter().take(limit).map(|(_, value)| value).collect();
        Ok(json!({ "requests": requests, "next": next }))
    }
}
