//! The loop: pick, send, classify, apply, next. Every decision in it is the core's.

use worker::js_sys::ArrayBuffer;
use worker::web_sys::{Request, Response};
use worker::{Context, Env};

use super::env::Settings;
use super::inbound::{self, Target};
use super::platform::{now, pause};
use super::store::{Recorded, Store};
use super::upstream::{Failure, Outgoing};
use super::{pool, respond};
use crate::balance::classify::{self, Answer};
use crate::balance::dialect;
use crate::balance::error::Refusal;
use crate::balance::health::{self, Attempt};
use crate::balance::key::{KeyId, Secret};
use crate::balance::pick::Pick;
use crate::balance::provider::{self, Provider};
use crate::balance::retry::{Course, Next, Shape};
use crate::balance::route::ApiRoute;
use crate::balance::snapshot::Change;
use crate::balance::verdict::Verdict;
use crate::balance::{Millis, SECOND, gateway};

/// Answers a request for a provider.
pub async fn proxy(
    request: &Request,
    method: &str,
    api: ApiRoute,
    settings: &Settings,
    store: Store,
    env: &Env,
    ctx: &Context,
) -> Response {
    let dialect = dialect::of(api.row, &api.path);
    let prepared = prepare(request, method, &api, settings, env).await;
    let (target, outgoing) = match prepared {
        Ok(prepared) => prepared,
        Err(refusal) => return respond::refuse(dialect, &refusal),
    };
    let row = provider::find(&target.provider).unwrap_or(api.row);
    let mut journey = Journey {
        course: Course::new(method, &api.path, settings.max_attempts),
        // On `compat` the gateway translates, so the key travels as `compat` wants it.
        credential: api.row,
        path: &api.path,
        target: &target,
        settings,
        changes: Vec::new(),
    };
    let answer = match pool::ready(&store, &target.provider).await {
        Ok(stale) => {
            let answer = journey.run(row, &outgoing, &store).await;
            journey.settle();
            let changes = core::mem::take(&mut journey.changes);
            after(ctx, store, target.provider.clone(), stale, changes);
            answer
        }
        Err(refusal) => Err(refusal),
    };
    answer.unwrap_or_else(|refusal| respond::refuse(dialect, &refusal))
}

/// Everything before the first key: who asks for what, and where it goes.
async fn prepare(
    request: &Request,
    method: &str,
    api: &ApiRoute,
    settings: &Settings,
    env: &Env,
) -> Result<(Target, Outgoing), Refusal> {
    let token = inbound::token_of(&settings.tokens, request, api, now())?;
    let body: Option<ArrayBuffer> = inbound::body_of(request, method, inbound::MAX_BODY).await?;
    let content_type = request.headers().get("content-type").ok().flatten();
    let target = inbound::target_of(token, method, content_type.as_deref(), api, body.as_ref())?;
    let base = settings.gateway_base(env).await?;
    let url = gateway::url(&base, &api.provider, &api.path, api.query.as_deref());
    let authorization = settings.gateway_authorization.as_deref();
    let outgoing = Outgoing::new(request, url, body.as_ref(), authorization)
        .map_err(|why| respond::thrown("request", &why))?;
    Ok((target, outgoing))
}

/// One client request on its way through keys.
struct Journey<'a> {
    course: Course,
    credential: &'static Provider,
    path: &'a str,
    target: &'a Target,
    settings: &'a Settings,
    changes: Vec<Recorded>,
}

impl Journey<'_> {
    async fn run(
        &mut self,
        row: &'static Provider,
        outgoing: &Outgoing,
        store: &Store,
    ) -> Result<Response, Refusal> {
        let mut last: Option<(Failure, Secret)> = None;
        loop {
            let Some((key, secret)) = self.next_key(store, last.is_none()).await? else {
                let Some((failure, secret)) = last else {
                    return Err(Refusal::no_keys(&self.target.provider));
                };
                return Ok(self.give_up(failure, &secret).await);
            };
            if let Some((failure, _)) = &mut last {
                failure.discard();
            }
            let started = now();
            self.with_pool(|snapshot| snapshot.started(key, started));
            let sent = outgoing.send(self.credential, self.path, &secret).await;
            self.with_pool(|snapshot| snapshot.ended(key));
            match sent {
                Ok(response) if response.status() < 400 => {
                    self.succeeded(key, row, &response, started);
                    return Ok(respond::pass(response, self.course.attempts()));
                }
                Ok(response) => {
                    let failure = Failure::read(response).await;
                    let (verdict, next) = self.failed(key, &secret, &failure, started);
                    if let Verdict::Gateway { code } = verdict {
                        let words = classify::message(&failure.head).unwrap_or_default();
                        return Err(Refusal::gateway(code, &words));
                    }
                    match next {
                        Next::TryNext { after } => {
                            last = Some((failure, secret));
                            if after > 0 {
                                pause(after).await;
                            }
                        }
                        Next::GiveUp => return Ok(self.give_up(failure, &secret).await),
                        Next::Return => {
                            let attempts = self.course.attempts();
                            return Ok(
                                respond::pass_failure(failure, &secret, attempts, None).await
                            );
                        }
                    }
                }
                Err(why) => {
                    // No answer at all: the connection broke, or the caller hung up.
                    let lost = Verdict::Transient { elsewhere: true, after: 0, unexecuted: false };
                    let seed = pool::tie();
                    match self.course.take(key, &lost, None, Shape::NONE, seed).0 {
                        Next::TryNext { after } => pause(after).await,
                        Next::Return | Next::GiveUp => {
                            return Err(Refusal::unreachable(format!("{why:?}")));
                        }
                    }
                }
            }
        }
    }

    /// The key of the next attempt. `None` when there is no other than those tried.
    async fn next_key(
        &self,
        store: &Store,
        first: bool,
    ) -> Result<Option<(KeyId, Secret)>, Refusal> {
        let mut picked = self.pick();
        if !matches!(picked, Pick::Key { .. }) && pool::doubt(store, &self.target.provider).await {
            picked = self.pick();
        }
        match picked {
            Pick::Key { id, early } => {
                let secret = self.with_pool(|snapshot| {
                    if early {
                        snapshot.retry_early(id, &self.target.model);
                    }
                    snapshot.key(id).map(|key| key.secret.clone())
                });
                Ok(secret.flatten().map(|secret| (id, secret)))
            }
            Pick::Exhausted { until } if first => {
                Err(Refusal::exhausted(&self.target.provider, &self.target.model, until, now()))
            }
            Pick::Exhausted { .. } | Pick::AllTried | Pick::Empty => Ok(None),
        }
    }

    fn pick(&self) -> Pick {
        let seed = pool::tie();
        self.with_pool(|snapshot| self.course.pick(snapshot, &self.target.model, now(), seed))
            .unwrap_or(Pick::Empty)
    }

    /// A key served the request. Its quota headers may say that it was the last time.
    fn succeeded(&mut self, key: KeyId, row: &Provider, response: &Response, started: Millis) {
        let _ = self.course.take(key, &Verdict::Success, None, Shape::NONE, 0);
        let at = now();
        self.with_pool(|snapshot| snapshot.succeeded(key, &self.target.model, at));
        if classify::sends_quota_headers(row.slug) {
            let headers = response.headers();
            let header = |name: &str| headers.get(name).ok().flatten();
            if let Some((scope, wait, reason)) = classify::spent(row.slug, &header, at) {
                let verdict = Verdict::Cool { scope, wait, reason };
                if let Some(change) = self.change(key, &verdict, started, at) {
                    self.record(change, at, response.status(), String::new());
                }
            }
        }
    }

    /// An attempt failed: what it means for its key and for the request.
    fn failed(
        &mut self,
        key: KeyId,
        secret: &Secret,
        failure: &Failure,
        started: Millis,
    ) -> (Verdict, Next) {
        let at = now();
        let header = |name: &str| failure.headers.get(name).ok().flatten();
        let verdict = classify::classify(&Answer {
            provider: &self.target.provider,
            model: &self.target.model,
            status: failure.status,
            headers: &header,
            body: &failure.head,
            now: at,
        });
        let change = self.change(key, &verdict, started, at);
        let shape = Shape::of(failure.status, &failure.head);
        let (next, due) = self.course.take(key, &verdict, change, shape, pool::tie());
        if let Some(change) = due {
            let words = classify::message(&failure.head).unwrap_or_default();
            self.record(change, at, failure.status, secret.redact(&words));
        }
        (verdict, next)
    }

    fn change(&self, key: KeyId, verdict: &Verdict, started: Millis, at: Millis) -> Option<Change> {
        let attempt =
            Attempt { provider: &self.target.provider, model: &self.target.model, started };
        let policy = self.settings.policy;
        self.with_pool(|snapshot| health::change(snapshot.key(key)?, attempt, verdict, at, policy))
            .flatten()
    }

    /// Applies a change to the snapshot at once and keeps it for D1.
    fn record(&mut self, change: Change, at: Millis, status: u16, message: String) {
        self.with_pool(|snapshot| snapshot.apply(&change, at));
        self.changes.push(Recorded {
            change,
            at,
            provider: self.target.provider.clone(),
            model: self.target.model.clone(),
            status,
            message,
        });
    }

    /// Decides about the rejections that were held back.
    fn settle(&mut self) {
        let settled = self.course.settle();
        if settled.mass_failure {
            respond::log(
                "keys rejected alike, none blocked",
                &format!("{} {}", self.target.provider, self.target.model),
            );
        }
        for (change, status) in settled.changes {
            self.record(change, now(), status, String::new());
        }
    }

    /// The last answer, with the time at which a key is back.
    async fn give_up(&self, failure: Failure, secret: &Secret) -> Response {
        let until = match self.pick() {
            Pick::Exhausted { until } => Some(until),
            _ => None,
        };
        let retry_after = until.map(|until| until.saturating_sub(now()).div_ceil(SECOND).max(1));
        respond::pass_failure(failure, secret, self.course.attempts(), retry_after).await
    }

    fn with_pool<R>(
        &self,
        work: impl FnOnce(&mut crate::balance::snapshot::Snapshot) -> R,
    ) -> Option<R> {
        pool::with(&self.target.provider, work)
    }
}

/// What is left to do behind the answer.
fn after(ctx: &Context, store: Store, provider: String, stale: bool, changes: Vec<Recorded>) {
    let unwritten = pool::record(changes);
    if !unwritten && !stale {
        return;
    }
    ctx.wait_until(async move {
        pool::flush(&store).await;
        if stale && let Err(refusal) = pool::refresh(&store, &provider).await {
            respond::log("keys not refreshed", &refusal.to_string());
        }
    });
}
