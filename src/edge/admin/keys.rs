//! Keys: listing, adding, changing.

use std::collections::HashMap;

use serde::Deserialize;
use serde_json::{Value, json};

use super::{Answer, Call};
use crate::balance::error::Refusal;
use crate::balance::paste::{self, MOST_KEYS, Paste, Pasted};
use crate::balance::provider;
use crate::edge::platform::{now, random};
use crate::edge::pool;
use crate::edge::store::keys::{Action, Details, Filter, Query, Sort};

/// Characters of a remark or a project: a line of a list.
const LONGEST_NOTE: usize = 500;
/// Duplicates and bad lines that are reported one by one; more than anyone reads.
const MOST_REPORTED: usize = 1_000;

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Add {
    provider: String,
    keys: Texts,
    #[serde(default)]
    remark: String,
    #[serde(default)]
    project: String,
    #[serde(default)]
    priority: i32,
    #[serde(default)]
    restore: bool,
}

/// Text as it was pasted, or a list of keys.
#[derive(Deserialize)]
#[serde(untagged, expecting = "`keys` must be text or a list of texts")]
enum Texts {
    Text(String),
    List(Vec<String>),
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Act {
    action: String,
    ids: Vec<u64>,
    remark: Option<String>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Patch {
    remark: Option<String>,
    project: Option<String>,
    priority: Option<i32>,
    state: Option<String>,
}

impl Call<'_> {
    pub(super) async fn list_keys(&self) -> Answer {
        let query = Query {
            provider: self.parameter("provider"),
            state: match self.parameter("state").as_str() {
                "" => None,
                "ready" => Some(Filter::Ready),
                "cooling" => Some(Filter::Cooling),
                "blocked" => Some(Filter::Blocked),
                "disabled" => Some(Filter::Disabled),
                _ => return one_of("state", "ready, cooling, blocked, disabled"),
            },
            search: self.parameter("search").trim().to_owned(),
            sort: match self.parameter("sort").as_str() {
                "" | "created" => Sort::Created,
                "updated" => Sort::Updated,
                "remark" => Sort::Remark,
                "state" => Sort::State,
                "cooled" => Sort::Cooled,
                _ => return one_of("sort", "created, updated, remark, state, cooled"),
            },
            ascending: match self.parameter("order").as_str() {
                "" | "desc" => false,
                "asc" => true,
                _ => return one_of("order", "asc, desc"),
            },
            page: self.number("page", 1, 1, u32::MAX)?,
            per_page: self.number("per_page", 50, 1, 200)?,
        };
        let (keys, total) = self.store.list(&query, now()).await?;
        Ok(json!({ "keys": keys, "total": total, "page": query.page, "per_page": query.per_page }))
    }

    pub(super) async fn add_keys(&self) -> Answer {
        let add: Add = self.body().await?;
        let provider = pool_of(&add.provider)?;
        let details = Details {
            remark: note("remark", add.remark)?,
            project: note("project", add.project)?,
            priority: add.priority,
            restore: add.restore,
        };
        let paste = match &add.keys {
            Texts::Text(text) => paste::read(text),
            Texts::List(list) => paste::read_items((1..).zip(list.iter().map(String::as_str))),
        };
        if paste.keys.len() > MOST_KEYS {
            return Err(Refusal::too_many(format!(
                "These are {} keys; one call takes {MOST_KEYS}. Add them in parts.",
                paste.keys.len()
            )));
        }
        if paste.keys.is_empty() && paste.repeated.is_empty() && paste.invalid.is_empty() {
            return Err(Refusal::bad_request("There is no key in `keys`. Paste one key a line."));
        }
        let added =
            self.store.add(provider, &paste.keys, &details, now(), || random() >> 33).await?;
        pool::expire();
        Ok(report(&paste, &added.added, &added.existing, added.restored))
    }

    pub(super) async fn act_on_keys(&self) -> Answer {
        let act: Act = self.body().await?;
        if act.ids.len() > MOST_KEYS {
            return Err(Refusal::too_many(format!(
                "These are {} keys; one call takes {MOST_KEYS}.",
                act.ids.len()
            )));
        }
        let action = match act.action.as_str() {
            "delete" => Action::Delete,
            "restore" => Action::Restore,
            "disable" => Action::Disable,
            "clear_coolings" => Action::ClearCoolings,
            "set_remark" => match act.remark {
                Some(remark) => Action::SetRemark(note("remark", remark)?),
                None => return Err(Refusal::bad_request("`set_remark` needs `remark`.")),
            },
            _ => return one_of("action", "delete, restore, disable, clear_coolings, set_remark"),
        };
        let changed = self.store.act(&act.ids, &action, now()).await?;
        pool::expire();
        Ok(json!({ "changed": changed }))
    }

    pub(super) async fn one_key(&self, method: &str, id: u64) -> Answer {
        match method {
            "GET" => {
                let key = self.existing(id).await?;
                let events = self.store.events(Some(id), None, 50).await?;
                Ok(json!({ "key": key, "events": events }))
            }
            "PATCH" => {
                let patch: Patch = self.body().await?;
                self.existing(id).await?;
                for action in actions_of(patch)? {
                    self.store.act(&[id], &action, now()).await?;
                }
                pool::expire();
                Ok(json!({ "key": self.existing(id).await? }))
            }
            "DELETE" => {
                let changed = self.store.act(&[id], &Action::Delete, now()).await?;
                pool::expire();
                if changed == 0 { Err(no_such_key(id)) } else { Ok(json!({ "changed": changed })) }
            }
            _ => Err(Refusal::method_not_allowed("GET, PATCH, DELETE")),
        }
    }

    async fn existing(&self, id: u64) -> Answer {
        let key = self.store.one(id, now()).await?.ok_or_else(|| no_such_key(id))?;
        serde_json::to_value(key).map_err(|why| Refusal::internal(why.to_string()))
    }
}

fn actions_of(patch: Patch) -> Result<Vec<Action>, Refusal> {
    let mut actions = Vec::new();
    if let Some(remark) = patch.remark {
        actions.push(Action::SetRemark(note("remark", remark)?));
    }
    if let Some(project) = patch.project {
        actions.push(Action::SetProject(note("project", project)?));
    }
    actions.extend(patch.priority.map(Action::SetPriority));
    match patch.state.as_deref() {
        None => {}
        Some("ready") => actions.push(Action::Restore),
        Some("disabled") => actions.push(Action::Disable),
        Some(_) => return one_of("state", "ready, disabled"),
    }
    Ok(actions)
}

/// What became of each key of a paste.
fn report(
    paste: &Paste,
    added: &[(String, u64)],
    existing: &[(String, String)],
    restored: u64,
) -> Value {
    let new: HashMap<_, _> = added.iter().map(|(digest, id)| (digest.as_str(), *id)).collect();
    let states: HashMap<_, _> =
        existing.iter().map(|(digest, state)| (digest.as_str(), state.as_str())).collect();
    let mut ids = Vec::new();
    let mut duplicates = Vec::new();
    for Pasted { line, key, digest } in &paste.keys {
        if let Some(id) = new.get(digest.as_str()) {
            ids.push(json!({ "id": id, "hint": key.hint() }));
        } else {
            let state = states.get(digest.as_str()).unwrap_or(&"ready");
            duplicates.push(json!({ "line": line, "hint": key.hint(), "state": state }));
        }
    }
    duplicates.extend(
        paste
            .repeated
            .iter()
            .map(|(line, key)| json!({ "line": line, "hint": key.hint(), "state": "twice" })),
    );
    let invalid: Vec<_> = paste
        .invalid
        .iter()
        .map(|bad| json!({ "line": bad.line, "hint": bad.hint, "why": bad.why }))
        .collect();
    json!({
        "added_count": ids.len(),
        "duplicate_count": duplicates.len(),
        "invalid_count": invalid.len(),
        "restored_count": restored,
        "added": ids,
        "duplicates": duplicates.get(..MOST_REPORTED).unwrap_or(&duplicates),
        "invalid": invalid.get(..MOST_REPORTED).unwrap_or(&invalid),
    })
}

/// The slug under which a provider's keys are kept.
fn pool_of(provider: &str) -> Result<&str, Refusal> {
    let slug = provider.trim();
    if provider::is_slug(slug) { Ok(slug) } else { Err(Refusal::unknown_provider(slug)) }
}

fn note(name: &str, text: String) -> Result<String, Refusal> {
    if text.chars().count() > LONGEST_NOTE {
        return Err(Refusal::bad_request(format!(
            "`{name}` is longer than {LONGEST_NOTE} characters."
        )));
    }
    Ok(text)
}

fn one_of<T>(name: &str, words: &str) -> Result<T, Refusal> {
    Err(Refusal::bad_request(format!("`{name}` must be one of: {words}.")))
}

fn no_such_key(id: u64) -> Refusal {
    Refusal::missing(format!("There is no key with the id {id}. It may have been deleted."))
}
