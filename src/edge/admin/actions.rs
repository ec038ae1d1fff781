//! Changes of many keys at once, and taking them back.

use serde_json::json;

use super::fault::Fault;
use super::keys::{priority, selection};
use super::{Answer, Call, overview};
use crate::balance::paste::MOST_KEYS;
use crate::edge::platform::{now, random};
use crate::edge::store::keys::{Action, UNDO_KEPT};

/// A name under which a change can be taken back. Nobody guesses it.
pub fn undo_name() -> String {
    format!("u-{:016x}{:016x}", random(), random())
}

const ACTIONS: [&str; 11] = [
    "delete",
    "disable",
    "enable",
    "restore",
    "clear_coolings",
    "set_remark",
    "set_project",
    "set_priority",
    "add_tags",
    "remove_tags",
    "set_tags",
];

impl Call<'_> {
    pub(super) async fn act_on_keys(&self) -> Answer {
        let mut fields = self.body().await?;
        let Some(word) = fields.word("action", &ACTIONS.map(|word| (word, word)))? else {
            return Err(Fault::required("action"));
        };
        let needs = |name: &str| Fault::required(name);
        let action = match word {
            "delete" => Action::Delete,
            "disable" => Action::Disable,
            "enable" => Action::Enable,
            "restore" => Action::Restore,
            "clear_coolings" => Action::ClearCoolings,
            "set_remark" => {
                Action::SetRemark(fields.note("remark")?.ok_or_else(|| needs("remark"))?)
            }
            "set_project" => {
                Action::SetProject(fields.note("project")?.ok_or_else(|| needs("project"))?)
            }
            "set_priority" => {
                Action::SetPriority(priority(&mut fields)?.ok_or_else(|| needs("priority"))?)
            }
            _ => {
                let tags = fields.tags("tags")?.ok_or_else(|| needs("tags"))?;
                if tags.is_empty() && word != "set_tags" {
                    return Err(needs("tags"));
                }
                match word {
                    "add_tags" => Action::AddTags(tags),
                    "remove_tags" => Action::RemoveTags(tags),
                    _ => Action::SetTags(tags),
                }
            }
        };
        let dry_run = fields.flag("dry_run")?.unwrap_or(false);
        let ids = if fields.has("ids") {
            fields.ids("ids", MOST_KEYS)?.ok_or_else(|| needs("ids"))?
        } else if fields.has("filter") {
            let mut filter = fields.object("filter")?;
            let expect = fields.id("expect")?;
            let selection = selection(&mut filter).map_err(|fault| fault.inside("filter"))?;
            filter.finish().map_err(|fault| fault.inside("filter"))?;
            let (ids, found) = self.store.ids(&selection, MOST_KEYS, now()).await?;
            if let Some(expected) = expect.filter(|expected| *expected != found) {
                let sentence =
                    format!("The filter matches {found} keys now, not {expected}. Look again.");
                let fault = Fault::new(409, "selection_changed", sentence);
                return Err(fault.with("expected", expected).with("found", found));
            }
            if found > ids.len() as u64 {
                return Err(Fault::too_many(
                    "filter",
                    usize::try_from(found).unwrap_or(usize::MAX),
                    MOST_KEYS,
                ));
            }
            ids
        } else {
            return Err(needs("ids"));
        };
        fields.finish()?;
        if dry_run {
            return Ok(json!({ "matched": ids.len(), "changed": 0, "undo": null }));
        }
        self.act(&ids, &action).await
    }

    /// Does something to keys.
    pub(super) async fn act(&self, ids: &[u64], action: &Action) -> Answer {
        let (name, at) = (undo_name(), now());
        let changed =
            if ids.is_empty() { 0 } else { self.store.act(ids, action, &name, at).await? };
        overview::changed();
        let undo = (changed > 0).then(|| json!({ "id": name, "until": at + UNDO_KEPT }));
        Ok(json!({ "matched": ids.len(), "changed": changed, "undo": undo }))
    }

    pub(super) async fn undo(&self) -> Answer {
        let mut fields = self.body().await?;
        let name = fields.text("id", 100)?.ok_or_else(|| Fault::required("id"))?;
        fields.finish()?;
        match self.store.undo(&name, now()).await? {
            Some(changed) => {
                overview::changed();
                Ok(json!({ "changed": changed }))
            }
            None => {
                let sentence = "This cannot be taken back any more: it was done already, or more than a minute has passed.";
                Err(Fault::new(410, "undo_expired", sentence))
            }
        }
    }
}
