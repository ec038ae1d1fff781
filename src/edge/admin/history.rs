//! What happened: events, and clients' requests that failed.

use std::collections::HashSet;

use serde_json::json;

use super::{Answer, Call};
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
        let mut all = trail::recent();
        let known: HashSet<String> = all.iter().map(|one| one.tag.clone()).collect();
        all.extend(sampled.into_iter().filter(|one| !known.contains(&one.tag)));
        all.retain(|one| {
            before.is_none_or(|before| one.at < before)
                && provider.as_ref().is_none_or(|provider| one.provider == *provider)
                && model.as_ref().is_none_or(|model| one.model == *model)
                && status.is_none_or(|status| u64::from(one.status) == status)
        });
        all.sort_by_key(|one| core::cmp::Reverse(one.at));
        let next = all.get(limit.saturating_sub(1)).filter(|_| all.len() > limit).map(|one| one.at);
        all.truncate(limit);
        Ok(json!({ "requests": all, "next": next }))
    }
}
