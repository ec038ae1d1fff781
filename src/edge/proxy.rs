//! The loop: pick, send, classify, apply, next. Every decision in it is the core's.

use std::rc::Rc;

use worker::Env;
use worker::web_sys::{Request, Response};

use super::catalogue::{self, Asker};
use super::env::Settings;
use super::inbound::{self, Said, Target};
use super::journey::{Journey, Last, Try, words_of};
use super::lead::{self, Led};
use super::platform::{now, pause};
use super::store::Store;
use super::task::{Context, apart};
use super::tokens::{self, Who};
use super::trail::{self, Asked, Step};
use super::upstream::{self, Failure, Outgoing, Unsent};
use super::{alerts, log, objects, pool, respond, usage};
use crate::balance::dialect;
use crate::balance::error::Refusal;
use crate::balance::isolate::Kind;
use crate::balance::key::{EVERY_MODEL, KeyId, Secret};
use crate::balance::retry::Next;
use crate::balance::route::{ApiRoute, Door};
use crate::balance::socket::{self, Handshake};
use crate::balance::token::Token;
use crate::balance::verdict::Verdict;

/// Answers a request for a provider.
pub async fn proxy(
    request: &Request,
    said: &Said,
    mut api: ApiRoute,
    settings: &Rc<Settings>,
    store: Store,
    env: &Env,
    ctx: &Rc<Context>,
) -> Response {
    inbound::recognise(said, &mut api);
    api.row = settings.custom(&api.provider).unwrap_or(api.row);
    let asker = Asker { settings, store: &store, env, ctx, host: said.host() };
    if api.is_model_list(said.method()) {
        return apart(catalogue::answer(request, said, &api, &asker)).await;
    }
    let dialect = dialect::of(api.row, &api.path);
    let began = now();
    let mut trip = Trip::default();
    let answer = async {
        let who = trip.who.insert(tokens::who(request, said, &api, settings, &store).await?);
        let (target, outgoing) = prepare(request, said, &mut api, who.token(), &asker).await?;
        let target = trip.target.insert(target);
        trip.stale = match pool::at_hand(&target.provider) {
            Some(stale) => stale,
            None => apart(pool::ready(&store, &target.provider)).await?,
        };
        let only = match target.objects.is_empty() {
            true => None,
            false => apart(objects::key_for(&store, target)).await?,
        };
        let mut journey = Journey::new(said.method(), &api, target, only, settings, &store, ctx);
        let uploads = objects::is_upload(&api.path);
        journey.changes_headers = who.is_page() || uploads;
        let answer = run(&mut journey, &outgoing).await;
        journey.settle();
        trip.steps = journey.take_steps();
        if who.is_page() {
            trip.shown = Some((journey.last_key(), journey.attempts()));
        }
        if let Ok(answer) = &answer
            && uploads
        {
            objects::readdress(answer, request, &api.provider);
        }
        answer
    };
    let mut answer = answer.await;
    let (status, refused) = match &answer {
        Ok(response) => (response.status(), None),
        Err(refusal) => (refusal.status(), Some(refusal.kind)),
    };
    if let Some(target) = &trip.target {
        usage::request(target, status, refused);
    }
    usage::behind(ctx, &store);
    if status >= 400 || settings.log_all {
        let refusal = answer.as_mut().err().map(|refusal| {
            refusal.told = true;
            &*refusal
        });
        let attempts = trip.steps.len() + usize::from(status < 400);
        log::request(trip.target.as_ref(), &api.provider, status, refusal, attempts, began);
    }
    if let Some(who) = trip.who.as_ref().filter(|_| status >= 400) {
        let (provider, model) = match &trip.target {
            Some(target) => (target.provider.clone(), target.model.clone()),
            None => (api.provider.clone(), EVERY_MODEL.to_owned()),
        };
        let steps = core::mem::take(&mut trip.steps);
        let asked = Asked {
            at: began,
            token: who.name(),
            provider,
            model,
            method: said.method().to_owned(),
        };
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
    stale: Option<Kind>,
    /// The attempts that brought no success.
    steps: Vec<Step>,
    /// For the page: the last key, and the attempts.
    shown: Option<(Option<(KeyId, String)>, u32)>,
}

/// Everything before the first key: what is asked for, and where it goes. `api` becomes what is sent.
async fn prepare(
    request: &Request,
    said: &Said,
    api: &mut ApiRoute,
    token: &Token,
    asker: &Asker<'_>,
) -> Result<(Target, Outgoing), Refusal> {
    let settings = asker.settings;
    if let Some(target) = api.row.target_header.and_then(|header| said.header(header)) {
        api.aim(target)?;
    }
    let (method, length) = (said.method(), said.header("content-length"));
    let mut body = inbound::body_announced(request, method, length, inbound::MAX_BODY).await?;
    let asked = inbound::asked(token, said, api, body.as_ref(), settings.affinity)?;
    let led = match api.door {
        Door::Provider | Door::Gemini => Led::as_addressed(api, asked.model.as_deref()),
        _ => apart(lead::lead(api, &asked, token, asker)).await?,
    };
    if let (Some(model), Some(bytes)) = (&led.written, &body)
        && !asked.place.spans.is_empty()
    {
        body = Some(inbound::with_model(bytes, &asked.place, model)?);
    }
    let target = inbound::permit(token, method, api, led.slug, led.model, asked)?;
    let handshake = if upstream::is_socket(said) {
        let find = if settings.is_direct() { socket::direct } else { socket::at_gateway };
        find(&api.provider, &api.path)
    } else {
        Handshake::usual(&api.provider, &api.path)
    };
    let url = settings.address_of(asker.env, api, handshake.slug, handshake.path).await?;
    let mut outgoing = Outgoing::new(said, url, body, handshake.key_in, &settings.upstream);
    if let Some((header, target)) = api.target().filter(|_| !settings.is_direct()) {
        outgoing.set(header, &target);
    }
    if api.door != Door::Provider {
        // Whoever speaks OpenAI's language knows nothing of other providers' versions.
        outgoing.complete(said, api.row.default_headers);
    }
    Ok((target, outgoing))
}

/// Tries keys until there is an answer for the caller.
///
/// # Errors
/// When there is none, and never was.
pub async fn run(journey: &mut Journey<'_>, outgoing: &Outgoing) -> Result<Response, Refusal> {
    let mut last = Last::Nothing;
    loop {
        let Some((key, secret)) = journey.next_key(&last).await? else {
            return apart(journey.give_up(last)).await;
        };
        last.discard();
        let mut attempt = journey.begin(key);
        let sent = outgoing.send(journey.credential, journey.path, &secret).await;
        journey.end(&mut attempt);
        let next;
        (last, next) = match sent {
            Ok((status, response)) if status < 400 => {
                let inspected = if journey.looks_into_successes() {
                    apart(journey.inspect(response, &attempt)).await
                } else {
                    Ok(response)
                };
                match inspected {
                    Ok(response) => {
                        journey.succeeded(&attempt, &response);
                        let response = match journey.deals_with_objects() {
                            true => apart(journey.note_objects(&attempt, response)).await,
                            false => response,
                        };
                        let changed = journey.changes_headers;
                        return Ok(respond::pass(&response, journey.attempts(), changed));
                    }
                    Err((failure, verdict)) => take(journey, &attempt, secret, failure, &verdict)?,
                }
            }
            Ok((_, response)) => apart(refused(journey, &attempt, secret, response)).await?,
            Err(Unsent::BadKey) => (last, journey.unusable(&attempt)),
            Err(Unsent::Lost(why)) => (last.or_lost(why), journey.lost(&attempt)),
        };
        match next {
            Next::TryNext { after: 0 } => {}
            Next::TryNext { after } => pause(after).await,
            Next::Return => return apart(journey.pass(last)).await,
            Next::GiveUp => return apart(journey.give_up(last)).await,
        }
    }
}

/// Reads an answer that is not a success.
async fn refused(
    journey: &mut Journey<'_>,
    attempt: &Try,
    secret: Secret,
    response: Response,
) -> Result<(Last, Next), Refusal> {
    let failure = Failure::read(response).await;
    let verdict = journey.classify(attempt, &failure);
    take(journey, attempt, secret, failure, &verdict)
}

/// Takes an answer that is not a success, with its verdict.
#[inline(never)]
fn take(
    journey: &mut Journey<'_>,
    attempt: &Try,
    secret: Secret,
    failure: Failure,
    verdict: &Verdict,
) -> Result<(Last, Next), Refusal> {
    let next = journey.failed(attempt, &secret, &failure, verdict);
    if let Verdict::Gateway { code } = *verdict {
        let words = words_of(&failure.head, &secret);
        journey.refused_by_gateway(code, failure.status, &words);
        return Err(Refusal::gateway(code, &words));
    }
    Ok((Last::failure(failure, secret, verdict), next))
}

/// What is left to do behind the answer.
fn behind(ctx: &Rc<Context>, store: Store, provider: Option<String>, stale: Option<Kind>) {
    let writes = pool::gathers();
    if stale.is_some() || writes {
        ctx.wait_until(async move {
            if writes {
                pool::write_gathered(&store).await;
            }
            if let Some((provider, kind)) = provider.zip(stale)
                && let Err(refusal) = pool::read(&store, &provider, kind, "".into()).await
            {
                respond::log("keys not refreshed", &refusal.to_string());
            }
        });
    } else if tokens::is_due() || trail::is_due() || alerts::is_due() || catalogue::is_stale() {
        // Only where keys need nothing, so that one request does not have more statements than it may.
        ctx.wait_until(async move {
            tokens::refresh(&store).await;
            trail::sample(&store).await;
            alerts::flush(&store).await;
            catalogue::keep_fresh(&store).await;
        });
    }
}
