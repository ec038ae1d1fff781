//! The loop: pick, send, classify, apply, next. Every decision in it is the core's.

use std::rc::Rc;

use worker::js_sys::ArrayBuffer;
use worker::web_sys::{Request, Response};
use worker::{Context, Env};

use super::env::Settings;
use super::inbound::{self, Target};
use super::journey::{Journey, Last, words_of};
use super::platform::{now, pause};
use super::store::Store;
use super::tokens::{self, Who};
use super::trail::{self, Asked, Step};
use super::upstream::{Failure, Outgoing, Unsent};
use super::{alerts, objects, pool, respond, usage};
use crate::balance::dialect;
use crate::balance::error::Refusal;
use crate::balance::gateway;
use crate::balance::key::{EVERY_MODEL, KeyId};
use crate::balance::retry::Next;
use crate::balance::route::ApiRoute;
use crate::balance::token::Token;
use crate::balance::verdict::Verdict;

/// Answers a request for a provider.
pub async fn proxy(
    request: &Request,
    method: &str,
    api: ApiRoute,
    settings: &Settings,
    store: Store,
    env: &Env,
    ctx: &Rc<Context>,
) -> Response {
    let dialect = dialect::of(api.row, &api.path);
    let began = now();
    let mut trip = Trip::default();
    let answer = async {
        let who = trip.who.insert(tokens::who(request, &api, settings, &store).await?);
        let (target, outgoing) = prepare(request, method, &api, who.token(), settings, env).await?;
        let target = trip.target.insert(target);
        trip.stale = pool::ready(&store, &target.provider)
            .await
            .inspect_err(|refusal| usage::request(target, Err(refusal)))?;
        let only = objects::key_for(&store, target)
            .await
            .inspect_err(|refusal| usage::request(target, Err(refusal)))?;
        let mut journey = Journey::new(method, &api, target, only, settings, &store, ctx);
        let answer = run(&mut journey, &outgoing).await;
        journey.settle();
        trip.steps = journey.take_steps();
        if who.is_page() {
            trip.shown = Some((journey.last_key(), journey.attempts()));
        }
        usage::request(target, answer.as_ref());
        answer
    };
    let answer = answer.await;
    usage::behind(ctx, &store);
    let (status, refused) = match &answer {
        Ok(response) => (response.status(), None),
        Err(refusal) => (refusal.status(), Some(refusal.kind)),
    };
    if let Some(who) = trip.who.as_ref().filter(|_| status >= 400) {
        let (provider, model) = match &trip.target {
            Some(target) => (target.provider.clone(), target.model.clone()),
            None => (api.provider.clone(), EVERY_MODEL.to_owned()),
        };
        let steps = core::mem::take(&mut trip.steps);
        let asked =
            Asked { at: began, token: who.name(), provider, model, method: method.to_owned() };
        trail::keep(asked, steps, status, refused);
    }
    behind(ctx, store, trip.target.map(|target| target.provider), trip.stale);
    let response = answer.unwrap_or_else(|refusal| respond::refuse(dialect, &refusal));
    if let Some((key, attempts)) = trip.shown {
        respond::show(&response, key, attempts, now().saturating_sub(began));
    }
    response
}

/// What is known of a request after it.
#[derive(Default)]
struct Trip<'t> {
    who: Option<Who<'t>>,
    target: Option<Target>,
    /// The snapshot is to be refreshed.
    stale: bool,
    /// The attempts that brought no success.
    steps: Vec<Step>,
    /// For the page: the last key, and the attempts.
    shown: Option<(Option<(KeyId, String)>, u32)>,
}

/// Everything before the first key: what is asked for, and where it goes.
async fn prepare(
    request: &Request,
    method: &str,
    api: &ApiRoute,
    token: &Token,
    settings: &Settings,
    env: &Env,
) -> Result<(Target, Outgoing), Refusal> {
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

/// Tries keys until there is an answer for the caller.
async fn run(journey: &mut Journey<'_>, outgoing: &Outgoing) -> Result<Response, Refusal> {
    let mut last = Last::Nothing;
    loop {
        let Some((key, secret)) = journey.next_key(&last).await? else {
            return journey.give_up(last).await;
        };
        last.discard();
        let mut attempt = journey.begin(key);
        let sent = outgoing.send(journey.credential, journey.path, &secret).await;
        journey.end(&mut attempt);
        let next;
        (last, next) = match sent {
            Ok(response) if response.status() < 400 => {
                match journey.inspect(response, &attempt).await {
                    Ok(response) => {
                        journey.succeeded(&attempt, &response);
                        let response = journey.note_objects(&attempt, response).await;
                        return Ok(respond::pass(response, journey.attempts()));
                    }
                    Err((failure, verdict)) => {
                        let next = journey.failed(&attempt, &secret, &failure, &verdict);
                        (Last::failure(failure, secret, &verdict), next)
                    }
                }
            }
            Ok(response) => {
                let failure = Failure::read(response).await;
                let verdict = journey.classify(&attempt, &failure);
                let next = journey.failed(&attempt, &secret, &failure, &verdict);
                if let Verdict::Gateway { code } = verdict {
                    let words = words_of(&failure.head, &secret);
                    journey.refused_by_gateway(code, failure.status, &words);
                    return Err(Refusal::gateway(code, &words));
                }
                (Last::failure(failure, secret, &verdict), next)
            }
            Err(Unsent::BadKey) => (last, journey.unusable(&attempt)),
            Err(Unsent::Lost(why)) => (last.or_lost(why), journey.lost(&attempt)),
        };
        match next {
            Next::TryNext { after: 0 } => {}
            Next::TryNext { after } => pause(after).await,
            Next::Return => return journey.pass(last).await,
            Next::GiveUp => return journey.give_up(last).await,
        }
    }
}

/// What is left to do behind the answer.
fn behind(ctx: &Rc<Context>, store: Store, provider: Option<String>, stale: bool) {
    if stale || pool::has_unwritten() {
        ctx.wait_until(async move {
            pool::flush(&store).await;
            if let Some(provider) = provider.filter(|_| stale)
                && let Err(refusal) = pool::refresh(&store, &provider).await
            {
                respond::log("keys not refreshed", &refusal.to_string());
            }
        });
    } else if tokens::is_due() || trail::is_due() || alerts::is_due() {
        // Only where keys need nothing, so that one request does not have more statements than it may.
        ctx.wait_until(async move {
            tokens::refresh(&store).await;
            trail::sample(&store).await;
            alerts::flush(&store).await;
        });
    }
}
