//! Keys: listing them, one key, what leaves only on demand.

use serde_json::{Value, json};
use worker::web_sys::Response;

use super::fault::Fault;
use super::fields::Fields;
use super::{Answer, Call, actions, overview};
use crate::balance::error::Refusal;
use crate::balance::import::{EXPORT, LONGEST_NOTE, MOST_PRIORITY};
use crate::balance::paste::MOST_KEYS;
use crate::balance::provider;
use crate::balance::verdict::Reason;
use crate::edge::platform::now;
use crate::edge::store::history::EventFilter;
use crate::edge::store::keys::{Action, Exported, Filter, Query, Selection, Sort};
use crate::edge::{respond, sealing};

/// Characters of a search: the longest key.
const LONGEST_SEARCH: usize = 4_096;
/// Events shown with a key.
const EVENTS_OF_ONE: u32 = 50;
/// Keys on a page of an export.
const EXPORTED: u32 = 1_000;

const SELECTION: [&str; 7] = ["provider", "state", "reason", "model", "tag", "project", "search"];
const PAGING: [&str; 4] = ["sort", "order", "page", "per_page"];

const STATES: [(&str, Filter); 4] = [
    ("ready", Filter::Ready),
    ("cooling", Filter::Cooling),
    ("blocked", Filter::Blocked),
    ("disabled", Filter::Disabled),
];
const SORTS: [(&str, Sort); 8] = [
    ("created", Sort::Created),
    ("updated", Sort::Updated),
    ("remark", Sort::Remark),
    ("state", Sort::State),
    ("cooled", Sort::Cooled),
    ("priority", Sort::Priority),
    ("requests_today", Sort::Today),
    ("last_used", Sort::Used),
];

/// Which keys are meant.
pub fn selection(fields: &mut Fields) -> Result<Selection, Fault> {
    let some = |text: Option<String>| text.filter(|text| !text.is_empty());
    let reasons = Reason::ALL.map(|reason| (reason.as_str(), reason));
    Ok(Selection {
        provider: some(fields.text("provider", LONGEST_NOTE)?),
        state: fields.word("state", &STATES)?,
        reason: fields.word("reason", &reasons)?.map(|reason| reason.as_str().to_owned()),
        model: some(fields.text("model", LONGEST_NOTE)?),
        tag: some(fields.text("tag", LONGEST_NOTE)?),
        project: some(fields.text("project", LONGEST_NOTE)?),
        search: some(fields.text("search", LONGEST_SEARCH)?.map(|text| text.trim().to_owned())),
        ids: None,
    })
}

impl Call<'_> {
    pub(super) async fn list_keys(&self) -> Answer {
        self.page(self.fields_of_query(&[SELECTION.as_slice(), &PAGING].concat())).await
    }

    pub(super) async fn search_keys(&self) -> Answer {
        self.page(self.body().await?).await
    }

    async fn page(&self, mut fields: Fields) -> Answer {
        let query = Query {
            selection: selection(&mut fields)?,
            sort: fields.word("sort", &SORTS)?.unwrap_or(Sort::Created),
            ascending: fields.word("order", &[("desc", false), ("asc", true)])?.unwrap_or(false),
            page: fields.count("page", 1, 1, u32::MAX)?,
            per_page: fields.count("per_page", 50, 1, 200)?,
        };
        fields.finish()?;
        let total = overview::known_total(&query.selection);
        let (keys, total) = self.store.list(&query, total, now()).await?;
        Ok(json!({
            "keys": keys, "total": total, "page": query.page, "per_page": query.per_page, "now": now(),
        }))
    }

    pub(super) async fn key_ids(&self) -> Answer {
        let mut fields = self.body().await?;
        let mut filter = fields.object("filter")?;
        fields.finish()?;
        let selection = selection(&mut filter).map_err(|fault| fault.inside("filter"))?;
        filter.finish().map_err(|fault| fault.inside("filter"))?;
        let (ids, total) = self.store.ids(&selection, MOST_KEYS, now()).await?;
        Ok(json!({ "ids": ids, "total": total }))
    }

    pub(super) async fn show_key(&self, id: u64) -> Answer {
        let key = self.existing(id).await?;
        let filter = EventFilter { key: Some(id), limit: EVENTS_OF_ONE, ..EventFilter::default() };
        let (events, _) = self.store.events(&filter).await?;
        let usage = self.store.usage_of(id, now()).await?;
        Ok(json!({ "key": key, "events": events, "usage": usage }))
    }

    pub(super) async fn change_key(&self, id: u64) -> Answer {
        let mut fields = self.body().await?;
        let mut changes = Vec::new();
        changes.extend(fields.note("remark")?.map(Action::SetRemark));
        changes.extend(fields.note("project")?.map(Action::SetProject));
        changes.extend(priority(&mut fields)?.map(Action::SetPriority));
        changes.extend(fields.tags("tags")?.map(Action::SetTags));
        let ready = fields.word("state", &[("ready", true), ("disabled", false)])?;
        changes.extend(ready.map(|ready| if ready { Action::Restore } else { Action::Disable }));
        fields.finish()?;
        self.existing(id).await?;
        for action in changes {
            self.store.act(&[id], &action, &actions::undo_name(), now()).await?;
        }
        overview::changed();
        Ok(json!({ "key": self.existing(id).await? }))
    }

    pub(super) async fn delete_key(&self, id: u64) -> Answer {
        let done = self.act(&[id], &Action::Delete).await?;
        match done.get("changed").and_then(Value::as_u64) {
            Some(1..) => Ok(json!({ "changed": 1, "undo": done.get("undo") })),
            _ => Err(Fault::no_such_key(id)),
        }
    }

    pub(super) async fn reveal_key(&self, id: u64) -> Answer {
        let stored = self.store.secrets(&[id]).await?;
        let stored = stored.first().ok_or_else(|| Fault::no_such_key(id))?;
        let secret = stored.secret();
        if secret.sealed().is_some() {
            return Err(Fault::new(
                409,
                "locked",
                "No ENCRYPTION_KEY that is here opens this key.",
            ));
        }
        // Noted first: what cannot be noted is not shown.
        self.store.note(id, &stored.provider, "reveal", now()).await?;
        Ok(json!({ "id": id, "key": secret.expose() }))
    }

    async fn existing(&self, id: u64) -> Answer {
        let key = self.store.one(id, now()).await?.ok_or_else(|| Fault::no_such_key(id))?;
        serde_json::to_value(key).map_err(|why| Refusal::internal(why.to_string()).into())
    }

    /// A page of keys with their texts.
    pub(super) async fn export(&self) -> Result<Response, Fault> {
        #[derive(Clone, Copy, PartialEq)]
        enum Secrets {
            Plain,
            Sealed,
            None,
        }
        let mut fields = self.body().await?;
        let mut filter = fields.object("filter")?;
        let ids = fields.ids("ids", MOST_KEYS)?;
        let as_text = fields.word("format", &[("json", false), ("text", true)])?.unwrap_or(false);
        let words =
            [("plain", Secrets::Plain), ("sealed", Secrets::Sealed), ("none", Secrets::None)];
        let secrets = fields.word("secrets", &words)?.unwrap_or(Secrets::Plain);
        let after = fields.id("after")?.unwrap_or(0);
        let limit = fields.count("limit", EXPORTED, 1, EXPORTED)?;
        fields.finish()?;
        let mut selection = selection(&mut filter).map_err(|fault| fault.inside("filter"))?;
        filter.finish().map_err(|fault| fault.inside("filter"))?;
        selection.ids = ids;
        if secrets == Secrets::Sealed && !sealing::seals() {
            let sentence = "Keys are not encrypted here, so there is nothing sealed to export.";
            return Err(Fault::of("secrets", "not_sealed", sentence));
        }
        if as_text && secrets != Secrets::Plain {
            return Err(Fault::of(
                "secrets",
                "bad_request",
                "A text has the keys themselves. Use the format json.",
            ));
        }
        let keys = self.store.export(&selection, after, limit, now()).await?;
        let next = keys.last().filter(|_| keys.len() == limit as usize).map(|key| key.id);
        if secrets == Secrets::Plain && !keys.is_empty() {
            let provider = selection.provider.as_deref().unwrap_or_default();
            self.store.note(0, provider, "export", now()).await?;
        }
        if as_text {
            let mut text = String::new();
            for secret in keys.iter().map(Exported::secret).filter(|it| it.sealed().is_none()) {
                text.push_str(secret.expose());
                text.push('\n');
            }
            let headers = [
                ("content-type", "text/plain; charset=utf-8"),
                ("cache-control", "no-store"),
                ("x-content-type-options", "nosniff"),
            ];
            let response = respond::make(200, &headers, &text);
            if let Some(next) = next {
                let _ = response.headers().set("one-balance-next", &next.to_string());
            }
            return Ok(response);
        }
        let keys = keys
            .iter()
            .map(|it| {
                let mut key = json!({
                    "id": it.id, "provider": it.provider, "remark": it.remark, "tags": it.tags, "project": it.project,
                    "priority": it.priority, "state": it.state, "reason": it.reason, "created_at": it.created_at,
                });
                let (name, text) = match secrets {
                    Secrets::Plain => match it.secret() {
                        locked if locked.sealed().is_some() => ("sealed", it.sealed()?),
                        secret => ("key", secret.expose().to_owned()),
                    },
                    Secrets::Sealed => ("sealed", it.sealed()?),
                    Secrets::None => ("hint", it.hint.clone()),
                };
                if let Some(key) = key.as_object_mut() {
                    key.insert(name.to_owned(), Value::String(text));
                }
                Ok(key)
            })
            .collect::<Result<Vec<_>, Refusal>>()?;
        let secrets = match secrets {
            Secrets::Plain => "plain",
            Secrets::Sealed => "sealed",
            Secrets::None => "none",
        };
        Ok(respond::json(
            200,
            &json!({ EXPORT: 1, "at": now(), "secrets": secrets, "keys": keys, "next": next }),
        ))
    }
}

/// A priority.
pub fn priority(fields: &mut Fields) -> Result<Option<i32>, Fault> {
    let number = fields.number("priority", (-MOST_PRIORITY).into(), MOST_PRIORITY.into())?;
    Ok(number.and_then(|it| i32::try_from(it).ok()))
}

/// The slug under which a provider's keys are kept.
pub fn pool_of(name: &str) -> Result<String, Fault> {
    let slug = name.trim();
    if provider::is_slug(slug) {
        return Ok(slug.to_owned());
    }
    let shown: String = slug.chars().filter(|c| !c.is_control() && *c != '`').take(60).collect();
    let meant = provider::suggest(slug).filter(|slug| provider::is_slug(slug));
    let refusal = Refusal::unknown_provider(slug);
    Err(Fault::of("provider", "unknown_provider", refusal.message)
        .with("provider", shown)
        .with("meant", meant))
}
