//! Adding keys: what a paste holds, and what becomes of it.

use std::collections::{HashMap, HashSet};

use serde_json::{Value, json};

use super::fault::Fault;
use super::fields::Fields;
use super::keys::{pool_of, priority};
use super::{Answer, Call, overview};
use crate::balance::import::{self, Entry, Format, Status};
use crate::balance::key::Secret;
use crate::balance::paste::MOST_KEYS;
use crate::balance::problem::Problem;
use crate::edge::platform::{now, random};
use crate::edge::sealing;
use crate::edge::store::keys::{Details, Existing, NewKey};

/// Duplicates and bad lines that are reported one by one; more than anyone reads.
const MOST_REPORTED: usize = 1_000;
/// Entries of one preview.
const PREVIEWED: u32 = 500;
const MOST_PREVIEWED: u32 = 1_000;

/// What an administrator pasted: the entries, and which of them this call is about.
struct Pasted {
    format: Format,
    entries: Vec<Entry>,
    provider: Option<String>,
    details: Details,
    from: usize,
    to: usize,
    /// Entries that are left out.
    skip: HashSet<usize>,
}

impl Pasted {
    fn read(mut fields: Fields, limit: u32, most: u32) -> Result<Self, Fault> {
        let provider = fields.text("provider", 200)?.filter(|name| !name.trim().is_empty());
        let provider = provider.map(|name| pool_of(&name)).transpose()?;
        let details = Details {
            remark: fields.note("remark")?.unwrap_or_default(),
            tags: fields.tags("tags")?.unwrap_or_default(),
            project: fields.note("project")?.unwrap_or_default(),
            priority: priority(&mut fields)?.unwrap_or(0),
            restore: fields.flag("restore")?.unwrap_or(false),
        };
        let (format, mut entries) = match fields.take("keys") {
            None => return Err(Fault::required("keys")),
            Some(Value::String(text)) => import::read(&text),
            Some(Value::Array(list)) => {
                let good = list.iter().all(|item| item.is_string() || item.is_object());
                if !good {
                    return Err(Fault::wrong_type("keys", "text, or a list of texts or objects"));
                }
                let lists = list.iter().all(Value::is_string);
                let entries =
                    if lists { of_texts(&list) } else { import::read_json(&Value::Array(list)) };
                (if lists { Format::Lines } else { Format::Json }, entries)
            }
            Some(_) => {
                return Err(Fault::wrong_type("keys", "text, or a list of texts or objects"));
            }
        };
        let from = fields.count("offset", 0, 0, u32::MAX)? as usize;
        let limit = fields.count("limit", limit, 1, most)? as usize;
        let skip = fields.ids("skip", MOST_KEYS)?.unwrap_or_default();
        let skip = skip.into_iter().filter_map(|place| usize::try_from(place).ok()).collect();
        fields.finish()?;
        for entry in entries.iter_mut().filter(|entry| entry.sealed) {
            let of = entry.provider.as_deref().or(provider.as_deref()).unwrap_or_default();
            if let Some(key) = sealing::open_exported(of, &entry.key) {
                (entry.key, entry.sealed) = (key, false);
            }
        }
        if entries.is_empty() {
            return Err(Fault::of(
                "keys",
                "no_keys_in_paste",
                "There is no key in `keys`. Paste one key a line.",
            ));
        }
        if entries.len() > MOST_KEYS {
            return Err(Fault::too_many("keys", entries.len(), MOST_KEYS));
        }
        let to = from.saturating_add(limit).min(entries.len());
        Ok(Self { format, entries, provider, details, from: from.min(to), to, skip })
    }

    /// The entries that this call is about, with what they are.
    fn judged(&self) -> Vec<(&Entry, Status)> {
        let piece = self.entries.iter().skip(self.from).take(self.to - self.from);
        let judged = import::judge(&self.entries, self.provider.as_deref(), self.from, self.to);
        let places = self.from..self.to;
        let all = places.zip(piece.zip(judged));
        all.filter(|(place, _)| !self.skip.contains(place)).map(|(_, it)| it).collect()
    }

    fn next(&self) -> Option<usize> {
        (self.to < self.entries.len()).then_some(self.to)
    }
}

/// Each item of a list is a key, or several with commas between them; its place is its line.
fn of_texts(list: &[Value]) -> Vec<Entry> {
    let mut entries = Vec::new();
    for (line, text) in (1..).zip(list.iter().filter_map(Value::as_str)) {
        let (_, found) = import::read_plain(text);
        entries.extend(found.into_iter().map(|entry| Entry { line, ..entry }));
    }
    entries
}

impl Call<'_> {
    pub(super) async fn preview_keys(&self) -> Answer {
        let pasted = Pasted::read(self.body().await?, PREVIEWED, MOST_PREVIEWED)?;
        let judged = pasted.judged();
        let asked: Vec<_> = judged
            .iter()
            .filter_map(|(_, status)| match status {
                Status::Key { provider, digest, .. } => Some((provider.as_str(), digest.as_str())),
                _ => None,
            })
            .collect();
        let existing = self.store.existing(&asked).await?;
        let existing = by_key(&existing);
        let (mut new, mut there, mut repeated, mut invalid, mut warned) = (0, 0, 0, 0, 0);
        let mut items = Vec::with_capacity(judged.len());
        for (entry, status) in &judged {
            let key = Secret::new(entry.key.clone());
            let provider = match status {
                Status::Key { provider, .. } => Some(provider.clone()),
                _ => entry.provider.clone().or_else(|| pasted.provider.clone()),
            };
            let mut item = json!({
                "line": entry.line,
                "hint": key.hint(),
                "provider": provider,
                "remark": entry.remark.as_deref().unwrap_or(&pasted.details.remark),
                "tags": entry.tags.as_ref().unwrap_or(&pasted.details.tags),
                "project": entry.project.as_deref().unwrap_or(&pasted.details.project),
                "priority": entry.priority.unwrap_or(pasted.details.priority),
                "warnings": [],
            });
            let mut set = |name: &str, value: Value| {
                if let Some(item) = item.as_object_mut() {
                    item.insert(name.to_owned(), value);
                }
            };
            match status {
                Status::Key { provider, digest, warnings } => {
                    set("warnings", warnings.iter().map(Problem::to_json).collect());
                    warned += u32::from(!warnings.is_empty());
                    match existing.get(&(provider.as_str(), digest.as_str())) {
                        Some(known) => {
                            there += 1;
                            set("status", json!("existing"));
                            set("id", json!(known.id));
                            set("state", json!(known.state));
                            set("reason", json!(known.reason));
                        }
                        None => {
                            new += 1;
                            set("status", json!("new"));
                        }
                    }
                }
                Status::Repeated { first_line } => {
                    repeated += 1;
                    set("status", json!("repeated"));
                    set("first_line", json!(first_line));
                }
                Status::Invalid(problem) => {
                    invalid += 1;
                    set("status", json!("invalid"));
                    set("problem", problem.to_json());
                }
            }
            items.push(item);
        }
        Ok(json!({
            "format": pasted.format.as_str(),
            "total": pasted.entries.len(),
            "offset": pasted.from,
            "next": pasted.next(),
            "counts": { "new": new, "existing": there, "repeated": repeated, "invalid": invalid, "warned": warned },
            "items": items,
        }))
    }

    pub(super) async fn add_keys(&self) -> Answer {
        let most = u32::try_from(MOST_KEYS).unwrap_or(u32::MAX);
        let mut pasted = Pasted::read(self.body().await?, most, most)?;
        let details = core::mem::take(&mut pasted.details);
        let judged = pasted.judged();
        // Nothing at all can be added: then it is the call that lacks its provider.
        let nameless = |(_, status): &(&Entry, Status)| matches!(status, Status::Invalid(problem) if problem.code == "no_provider");
        if pasted.provider.is_none() && judged.iter().all(nameless) {
            return Err(Fault::required("provider"));
        }
        let mut keys = Vec::with_capacity(judged.len());
        for (entry, status) in &judged {
            if let Status::Key { provider, digest, .. } = status {
                keys.push(NewKey {
                    provider: provider.clone(),
                    key: Secret::new(entry.key.clone()),
                    digest: digest.clone(),
                    remark: entry.remark.clone(),
                    tags: entry.tags.clone(),
                    project: entry.project.clone(),
                    priority: entry.priority,
                    disabled: entry.disabled,
                });
            }
        }
        let done = self.store.add(&keys, &details, now(), || random() >> 33).await?;
        overview::changed();
        let new: HashMap<_, _> = done
            .added
            .iter()
            .map(|it| ((it.provider.as_str(), it.digest.as_str()), it.id))
            .collect();
        let existing = by_key(&done.existing);
        let mut added = Vec::new();
        let mut duplicates = Vec::new();
        let mut invalid = Vec::new();
        for (entry, status) in &judged {
            let (line, hint) = (entry.line, Secret::new(entry.key.clone()).hint());
            match status {
                Status::Key { provider, digest, .. } => {
                    let key = (provider.as_str(), digest.as_str());
                    if let Some(id) = new.get(&key) {
                        added.push(json!({ "id": id, "hint": hint, "provider": provider }));
                    } else {
                        let known = existing.get(&key);
                        let state = known.map_or("ready", |known| known.state.as_str());
                        let id = known.map(|known| known.id);
                        duplicates.push(json!({ "line": line, "hint": hint, "state": state, "id": id }));
                    }
                }
                Status::Repeated { .. } => {
                    duplicates.push(json!({ "line": line, "hint": hint, "state": "twice" }));
                }
                Status::Invalid(problem) => invalid.push(json!({
                    "line": line, "hint": hint, "why": problem.message, "code": problem.code, "values": problem.values,
                })),
            }
        }
        Ok(json!({
            "added_count": added.len(),
            "duplicate_count": duplicates.len(),
            "invalid_count": invalid.len(),
            "restored_count": done.restored,
            "next": pasted.next(),
            "added": added,
            "duplicates": duplicates.get(..MOST_REPORTED).unwrap_or(&duplicates),
            "invalid": invalid.get(..MOST_REPORTED).unwrap_or(&invalid),
        }))
    }
}

fn by_key(existing: &[Existing]) -> HashMap<(&str, &str), &Existing> {
    existing.iter().map(|it| ((it.provider.as_str(), it.digest.as_str()), it)).collect()
}
