//! The scheduled work: what no request should wait for.

use worker::Env;

use super::env::Settings;
use super::journey::words_of;
use super::platform::now;
use super::pool;
use super::respond::log;
use super::store::Store;
use super::store::probes::Suspect;
use super::upstream::{self, Failure, Unsent};
use super::{sealing, usage, webhook};
use crate::balance::classify::{self, Answer};
use crate::balance::error::Refusal;
use crate::balance::key::EVERY_MODEL;
use crate::balance::probe::{self, Outcome};
use crate::balance::route::{Route, route};
use crate::balance::verdict::{Reason, Verdict};
use crate::balance::{MINUTE, Millis, provider};

/// Fills in digests of keys that were taken over, forgets what nobody needs, and asks providers
/// again about blocked keys. One part that fails does not keep the others from being done.
pub async fn run(env: &Env) {
    let store = Store::of(env);
    let settings = Settings::load(env);
    let told = |what: &str, result: Result<(), Refusal>| {
        if let Err(refusal) = result {
            log(what, &refusal.to_string());
        }
    };
    pool::flush(&store).await;
    told("keys not adopted", store.adopt().await.map(|_| ()));
    usage::flush(&store).await;
    told("nothing pruned", store.prune(now()).await);
    told("no usage pruned", store.prune_usage(now()).await);
    told("keys not sealed", sealing::run(&store).await);
    // Before keys are asked about: what is blocked now is not yet known to be blocked still.
    if let Some(webhook) = &settings.webhook {
        told("webhook", webhook::run(webhook, &store).await);
    }
    told("objects not pruned", store.prune_objects(slice_of(now()), now()).await);
    told("blocked keys not asked about", probe_blocked(&store, &settings, env).await);
}

/// The part of the objects that is looked through at this time: another one every five minutes.
fn slice_of(now: Millis) -> u8 {
    u8::try_from(now / (5 * MINUTE) % 256).unwrap_or_default()
}

async fn probe_blocked(store: &Store, settings: &Settings, env: &Env) -> Result<(), Refusal> {
    let suspects = store.suspects(now()).await?;
    if suspects.is_empty() {
        return Ok(());
    }
    let mut answers = Vec::with_capacity(suspects.len());
    for suspect in suspects {
        let it = ask(&suspect, settings, env).await;
        answers.push((suspect, it.outcome, it.status, it.message));
    }
    let restored = answers.iter().any(|(_, outcome, ..)| *outcome == Outcome::Restore);
    store.write_probes(&answers, now()).await?;
    for (suspect, outcome, status, _) in &answers {
        if *outcome == Outcome::Restore {
            super::log::restored(suspect.id.0, &suspect.provider, *status);
        }
    }
    if restored {
        pool::expire();
    }
    Ok(())
}

/// What a provider said about a key.
pub struct Answered {
    /// What that means.
    pub outcome: Outcome,
    /// What the answer said; `None`: there was none, or nobody was asked.
    pub verdict: Option<Verdict>,
    /// HTTP status; 0: none.
    pub status: u16,
    /// The provider's words, without the key.
    pub message: String,
}

impl Answered {
    const fn without(outcome: Outcome, message: String) -> Self {
        Self { outcome, verdict: None, status: 0, message }
    }
}

/// Asks the provider about one key.
pub async fn ask(suspect: &Suspect, settings: &Settings, env: &Env) -> Answered {
    let unclear = || Answered::without(Outcome::Unclear, String::new());
    if suspect.secret.sealed().is_some() {
        let words = "It is sealed, and no ENCRYPTION_KEY that is here opens it.";
        return Answered::without(Outcome::Unclear, words.to_owned());
    }
    let Some(row) = provider::find(&suspect.provider) else { return unclear() };
    let Some(question) = row.probe else {
        // There is no free question: the next client's request asks.
        return Answered::without(Outcome::Restore, "Put back for one try.".to_owned());
    };
    let path = question.path.split('?').next().unwrap_or_default();
    let address = format!("/api/{}/{}", suspect.provider, question.path);
    let Ok(Route::Api(api)) = route(question.method, &address) else { return unclear() };
    let Ok(url) = settings.address(env, &api).await else { return unclear() };
    let (headers, upstream) = (row.default_headers, &settings.upstream);
    let outgoing = upstream::Outgoing::of_ours(question.method, url, headers, upstream);
    let response = match outgoing.send(row, path, &suspect.secret).await {
        Ok((_, response)) => response,
        Err(Unsent::Lost(_)) => return unclear(),
        // Asking again soon would only take the place of a key that can be asked about.
        Err(Unsent::BadKey) => {
            let outcome = Outcome::StillRejected { reason: Reason::Invalid, certain: true };
            return Answered::without(outcome, String::new());
        }
    };
    let mut failure = Failure::read(response).await;
    failure.discard();
    let header = |name: &str| failure.headers.get(name).ok().flatten();
    let verdict: Verdict = classify::classify(&Answer {
        provider: &suspect.provider,
        model: EVERY_MODEL,
        status: failure.status,
        headers: &header,
        body: &failure.head,
        now: now(),
    });
    let message = match verdict {
        Verdict::Success => String::new(),
        _ => words_of(&failure.head, &suspect.secret),
    };
    Answered {
        outcome: probe::outcome(&verdict),
        status: failure.status,
        verdict: Some(verdict),
        message,
    }
}
