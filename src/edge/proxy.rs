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
use super::upstream::{Failure, Outgoing, Unsent};
use super::{objects, pool, respond, usage};
use crate::balance::dialect;
use crate::balance::error::Refusal;
use crate::balance::gateway;
use crate::balance::retry::Next;
use crate::balance::route::ApiRoute;
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
    let answer = async {
        let (target, outgoing) = prepare(request, method, &api, settings, env).await?;
        let stale = pool::ready(&store, &target.provider)
            .await
            .inspect_err(|refusal| usage::request(&target, Err(refusal)))?;
        let only = objects::key_for(&store, &target)
            .await
            .inspect_err(|refusal| usage::request(&target, Err(refusal)))?;
        let mut journey = Journey::new(method, &api, &target, only, settings, &store, ctx);
        let answer = run(&mut journey, &outgoing).await;
        journey.settle();
        usage::request(&target, answer.as_ref());
        Ok((answer, target.provider, stale))
    };
    let answer = answer.await;
    usage::behind(ctx, &store);
    let answer = match answer {
        Ok((answer, provider, stale)) => {
            behind(ctx, store, provider, stale);
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
fn behind(ctx: &Rc<Context>, store: Store, provider: String, stale: bool) {
    if !stale && !pool::has_unwritten() {
        return;
    }
    ctx.wait_until(async move {
        pool::flush(&store).await;
        if stale && let Err(refusal) = pool::refresh(&store, &provider).await {
            respond::log("keys not refreshed", &refusal.to_string());
        }
    });
}
