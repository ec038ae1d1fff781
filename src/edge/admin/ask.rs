//! Asking providers about keys now, with the question that the cron asks too.

use serde_json::{Value, json};

use super::fault::Fault;
use super::{Answer, Call, overview};
use crate::balance::isolate::Recorded;
use crate::balance::key::KeyId;
use crate::balance::probe::Outcome;
use crate::balance::provider;
use crate::balance::snapshot::Change;
use crate::balance::verdict::{Reason, Verdict};
use crate::edge::cron::{self, Answered};
use crate::edge::platform::now;
use crate::edge::store::keys::Stored;
use crate::edge::store::probes::Suspect;

/// Keys of one call: each is a request to its provider, of the 50 that the Free plan allows.
const MOST_TESTED: usize = 10;

impl Call<'_> {
    pub(super) async fn test_keys(&self) -> Answer {
        let mut fields = self.body().await?;
        let ids = fields.ids("ids", MOST_TESTED)?.ok_or_else(|| Fault::required("ids"))?;
        fields.finish()?;
        Ok(json!({ "results": self.test(&ids).await? }))
    }

    pub(super) async fn test_key(&self, id: u64) -> Answer {
        let result = self.test(&[id]).await?.into_iter().next();
        match result {
            Some(result) if result.get("outcome").is_none_or(|it| it != "missing") => Ok(result),
            _ => Err(Fault::no_such_key(id)),
        }
    }

    async fn test(&self, ids: &[u64]) -> Result<Vec<Value>, Fault> {
        self.settings.reachable(self.env).await?;
        let stored = self.store.secrets(ids).await?;
        let mut results = Vec::with_capacity(ids.len());
        let mut of_blocked = Vec::new();
        let mut blocks = Vec::new();
        for id in ids {
            let Some(key) = stored.iter().find(|key| key.id == *id) else {
                results.push(json!({ "id": id, "outcome": "missing" }));
                continue;
            };
            let free = provider::find(&key.provider).is_some_and(|row| row.probe.is_some());
            if !free {
                results.push(json!({
                    "id": id, "outcome": "untestable", "verdict": null, "reason": null, "status": 0, "message": "",
                    "ms": 0, "changed": null, "state": key.state,
                }));
                continue;
            }
            let started = now();
            let suspect = suspect_of(key);
            let answered = cron::ask(&suspect, self.settings, self.env).await;
            let ms = now().saturating_sub(started);
            let mut result = told(key, &answered, ms);
            let mut changed = |word: &str, state: &str| {
                if let Some(result) = result.as_object_mut() {
                    result.insert("changed".to_owned(), json!(word));
                    result.insert("state".to_owned(), json!(state));
                }
            };
            match (key.state.as_str(), answered.outcome) {
                ("blocked", outcome) => {
                    if outcome == Outcome::Restore {
                        changed("restored", "ready");
                    }
                    of_blocked.push((suspect, outcome, answered.status, answered.message));
                }
                ("ready", Outcome::StillRejected { reason, certain: true }) => {
                    changed("blocked", "blocked");
                    blocks.push(Recorded {
                        change: Change::Block {
                            key: KeyId(*id),
                            reason,
                            certain: true,
                            ready_since: key.ready_since,
                        },
                        at: now(),
                        provider: key.provider.clone(),
                        model: "*".to_owned(),
                        status: answered.status,
                        message: answered.message,
                    });
                }
                _ => {}
            }
            results.push(result);
        }
        if !of_blocked.is_empty() {
            self.store.write_probes(&of_blocked, now()).await?;
        }
        self.store.write(&blocks).await?;
        if !of_blocked.is_empty() || !blocks.is_empty() {
            overview::changed();
        }
        Ok(results)
    }
}

fn suspect_of(key: &Stored) -> Suspect {
    Suspect {
        id: KeyId(key.id),
        provider: key.provider.clone(),
        secret: key.secret(),
        asked: key.probes,
        version: key.updated_at,
    }
}

fn told(key: &Stored, answered: &Answered, ms: u64) -> Value {
    let (word, reason): (&str, Option<Reason>) = match answered.verdict {
        Some(Verdict::Success) => ("works", None),
        Some(Verdict::Cool { reason, .. }) if answered.outcome == Outcome::Restore => {
            ("limited", Some(reason))
        }
        _ => match answered.outcome {
            Outcome::StillRejected { reason, .. } => ("rejected", Some(reason)),
            Outcome::Restore => ("works", None),
            Outcome::Unclear => ("unclear", None),
        },
    };
    json!({
        "id": key.id,
        "outcome": word,
        "verdict": answered.verdict.as_ref().map(Verdict::as_str),
        "reason": reason.map(Reason::as_str),
        "status": answered.status,
        "message": answered.message,
        "ms": ms,
        "changed": null,
        "state": key.state,
    })
}
