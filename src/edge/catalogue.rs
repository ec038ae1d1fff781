//! What there is to choose from: the providers with keys, and the lists of their models.
//!
//! Both are remembered by the isolate. Lists are also in the Cache API, for an hour, so that an
//! isolate that starts does not ask every provider anew. A list that cannot be had leaves a gap, which
//! is said, and never breaks the others.

use core::cell::RefCell;
use core::pin::pin;
use std::collections::HashMap;
use std::rc::Rc;

use futures_util::future::{Either, join_all, select};
use serde::{Deserialize, Serialize};
use worker::Env;
use worker::js_sys::{self, Uint8Array};
use worker::wasm_bindgen::{JsCast, JsValue};
use worker::web_sys::{Cache, Request, Response, WorkerGlobalScope};

use super::env::Settings;
use super::inbound::{Said, Target};
use super::journey::Journey;
use super::platform::{now, pause};
use super::store::Store;
use super::task::{Context, settled};
use super::upstream::Outgoing;
use super::{pool, proxy, respond, tokens};
use crate::balance::catalogue::{self, LONGEST_LIST, Listing, Model};
use crate::balance::dialect::{self, Dialect};
use crate::balance::error::Refusal;
use crate::balance::provider;
use crate::balance::resolve::{Listed, Shape};
use crate::balance::route::{ApiRoute, Door, Route, route};
use crate::balance::token::Token;
use crate::balance::{HOUR, MINUTE, Millis, SECOND};

/// The providers with keys are asked for behind a request when they are older than this.
const PROVIDERS_STALE_AFTER: Millis = MINUTE;
/// A caller is not told that nobody has a model from what is older than this.
const PROVIDERS_DOUBTED_AFTER: Millis = 2 * SECOND;
/// A list is asked for again when it is older than this.
const LIST_STALE_AFTER: Millis = HOUR;
/// After a list could not be had, it is not tried again for so long.
const LIST_AGAIN_AFTER: Millis = MINUTE;
/// How long one list may take. The whole answer waits for the slowest.
const LIST_PATIENCE: Millis = 8 * SECOND;
/// Lists that one request asks for: with two reads of the cache or of D1, at most two keys and a
/// write to the cache for each, that is 40 of the 50 subrequests of the Free plan. What is left over
/// is for the next request.
pub const MOST_LISTS: usize = 8;
/// The same for a request that goes on to a provider, with up to twelve keys.
pub const FEW_LISTS: usize = 4;
/// Keys that are tried for a list.
const LIST_ATTEMPTS: u32 = 2;
/// Tells which lists an answer lacks.
const INCOMPLETE: &str = "one-balance-incomplete";

/// The providers with keys, as of a time.
#[derive(Clone)]
struct Providers {
    at: Millis,
    used: bool,
    slugs: Rc<[String]>,
}

/// A list as of a time. Without models it is one that could not be had then.
#[derive(Clone, Default)]
struct List {
    at: Millis,
    tried_at: Millis,
    models: Option<Rc<[Model]>>,
}

/// What is in the Cache API.
#[derive(Serialize, Deserialize)]
struct Kept {
    at: Millis,
    models: Vec<Model>,
}

thread_local! {
    static PROVIDERS: RefCell<Option<Providers>> = const { RefCell::new(None) };
    static LISTS: RefCell<HashMap<String, List>> = RefCell::default();
}

/// What a request needs to ask for what is not remembered.
#[derive(Clone, Copy)]
pub struct Asker<'a> {
    /// The settings.
    pub settings: &'a Rc<Settings>,
    /// D1.
    pub store: &'a Store,
    /// The bindings.
    pub env: &'a Env,
    /// The request's context.
    pub ctx: &'a Rc<Context>,
    /// The host that the request was sent to; what is kept in the Cache API is kept under it.
    pub host: &'a str,
}

/// An administrator changed keys.
pub fn expire() {
    PROVIDERS.set(None);
}

// === providers ===

/// The providers with keys, as far as they are known.
///
/// # Errors
/// When D1 does not answer and nothing is remembered.
pub async fn providers(store: &Store) -> Result<Rc<[String]>, Refusal> {
    match PROVIDERS.with_borrow_mut(|known| {
        let known = known.as_mut()?;
        known.used = true;
        Some(Rc::clone(&known.slugs))
    }) {
        Some(slugs) => Ok(slugs),
        None => refresh(store).await,
    }
}

/// Whether what is known of them is old, and was used.
#[must_use]
pub fn is_stale() -> bool {
    PROVIDERS.with_borrow(|known| {
        known.as_ref().is_some_and(|known| {
            known.used && now().saturating_sub(known.at) > PROVIDERS_STALE_AFTER
        })
    })
}

/// Asks for them anew, behind a request, if that is due.
pub async fn keep_fresh(store: &Store) {
    if is_stale()
        && let Err(refusal) = refresh(store).await
    {
        respond::log("providers not refreshed", &refusal.to_string());
    }
}

/// Before a caller is told no: asks again, unless that was done just now. `None`: it was.
pub async fn doubt(store: &Store) -> Option<Rc<[String]>> {
    let at = PROVIDERS.with_borrow(|known| known.as_ref().map(|known| known.at));
    if at.is_some_and(|at| now().saturating_sub(at) < PROVIDERS_DOUBTED_AFTER) {
        return None;
    }
    refresh(store).await.ok()
}

/// Asks D1.
///
/// # Errors
/// When it does not answer.
async fn refresh(store: &Store) -> Result<Rc<[String]>, Refusal> {
    let at = now();
    let slugs: Rc<[String]> = store.providers_in_use().await?.into();
    PROVIDERS.set(Some(Providers { at, used: false, slugs: Rc::clone(&slugs) }));
    Ok(slugs)
}

// === lists ===

/// The models of a provider, as far as they are known.
#[must_use]
pub fn models_of(slug: &str) -> Option<Rc<[Model]>> {
    if let Some(models) = LISTS.with_borrow(|lists| lists.get(slug)?.models.clone()) {
        return Some(models);
    }
    let known = provider::find(slug)?.known_models;
    (!known.is_empty()).then(|| known.iter().map(|id| Model::named(id)).collect())
}

/// Whether a provider's list has the model.
#[must_use]
pub fn listed(slug: &str, model: &str) -> Listed {
    match models_of(slug) {
        Some(models) if models.iter().any(|one| one.id == model) => Listed::Yes,
        Some(_) => Listed::No,
        None => Listed::Unknown,
    }
}

/// Asks for those lists that are not known, or not anymore, up to `most` of them at the same time.
pub async fn ask(asker: &Asker<'_>, slugs: &[&str], most: usize) {
    let due = slugs.iter().filter(|slug| is_due(slug)).take(most);
    join_all(due.map(|slug| ask_for(asker, slug))).await;
}

fn is_due(slug: &str) -> bool {
    if provider::find(slug).is_none_or(|row| row.models.is_none()) {
        return false;
    }
    LISTS.with_borrow(|lists| {
        lists.get(slug).is_none_or(|list| {
            let since = |at: Millis| now().saturating_sub(at);
            let stale = list.models.is_none() || since(list.at) >= LIST_STALE_AFTER;
            stale && since(list.tried_at) >= LIST_AGAIN_AFTER
        })
    })
}

async fn ask_for(asker: &Asker<'_>, slug: &str) {
    let at = now();
    LISTS.with_borrow_mut(|lists| lists.entry(slug.to_owned()).or_default().tried_at = at);
    let found = find_list(asker, slug);
    let late = pause(LIST_PATIENCE);
    let found = match select(pin!(found), pin!(late)).await {
        Either::Left((found, _)) => found,
        Either::Right(_) => None,
    };
    let Some(kept) = found else {
        respond::log("no list of models", slug);
        return;
    };
    LISTS.with_borrow_mut(|lists| {
        let list = lists.entry(slug.to_owned()).or_default();
        list.at = kept.at;
        list.models = Some(kept.models.into());
    });
}

async fn find_list(asker: &Asker<'_>, slug: &str) -> Option<Kept> {
    let address = cache_address(asker, slug);
    let cache = open_cache().await;
    if let Some(cache) = &cache
        && let Some(kept) = from_cache(cache, &address).await
    {
        return Some(kept);
    }
    let at = now();
    let body = from_provider(asker, slug).await?;
    let models = catalogue::read(&body, slug == GEMINI)?;
    let kept = Kept { at, models };
    if let Some(cache) = cache {
        let text = serde_json::to_string(&kept).unwrap_or_default();
        asker.ctx.wait_until(async move { into_cache(&cache, &address, &text).await });
    }
    Some(kept)
}

/// Whose entries are shown whole.
const GEMINI: &str = "google-ai-studio";

/// The provider's own answer.
async fn from_provider(asker: &Asker<'_>, slug: &str) -> Option<Vec<u8>> {
    let row = provider::find(slug)?;
    let address = format!("/api/{slug}/{}", row.models?);
    let Ok(Route::Api(api)) = route("GET", &address) else { return None };
    let settings = asker.settings;
    let url = settings.address(asker.env, &api).await.ok()?;
    let outgoing = Outgoing::of_ours("GET", url, row.default_headers, &settings.upstream);
    pool::ready(asker.store, slug).await.ok()?;
    let target = Target::of_ours(slug);
    let mut journey = Journey::new("GET", &api, &target, None, settings, asker.store, asker.ctx)
        .limited(LIST_ATTEMPTS);
    let answer = proxy::run(&mut journey, &outgoing).await;
    journey.settle();
    body_of(&answer.ok()?).await
}

/// The body of a success that is not too long.
async fn body_of(answer: &Response) -> Option<Vec<u8>> {
    if answer.status() != 200 {
        return None;
    }
    let body = settled(&answer.array_buffer().ok()?).await.ok()?;
    let body = Uint8Array::new(&body);
    (body.length() as usize <= LONGEST_LIST).then(|| body.to_vec())
}

// === the Cache API ===

/// Where a list is kept. Nobody can ask for it from outside: a Worker comes before its cache.
fn cache_address(asker: &Asker<'_>, slug: &str) -> String {
    let whose = asker.settings.fingerprint();
    format!("https://{}/.one-balance/models/1/{whose}/{slug}", asker.host)
}

async fn open_cache() -> Option<Cache> {
    let scope: WorkerGlobalScope = js_sys::global().unchecked_into();
    let cache = settled(&scope.caches().ok()?.open("one-balance")).await.ok()?;
    Some(cache.unchecked_into())
}

async fn from_cache(cache: &Cache, address: &str) -> Option<Kept> {
    let found: JsValue = settled(&cache.match_with_str(address)).await.ok()?;
    let body = body_of(found.dyn_ref::<Response>()?).await?;
    let kept: Kept = serde_json::from_slice(&body).ok()?;
    (now().saturating_sub(kept.at) < LIST_STALE_AFTER).then_some(kept)
}

/// What goes wrong here costs a question more, later.
async fn into_cache(cache: &Cache, address: &str, text: &str) {
    let headers = [("content-type", "application/json"), ("cache-control", "public, max-age=3600")];
    let response = respond::make(200, &headers, text);
    drop(settled(&cache.put_with_str(address, &response)).await);
}

// === the answer ===

/// Answers a client that asks which models there are.
pub async fn answer(request: &Request, said: &Said, api: &ApiRoute, asker: &Asker<'_>) -> Response {
    let dialect = dialect::of(api.row, &api.path);
    let answer = async {
        let who = tokens::who(request, said, api, asker.settings, asker.store).await?;
        let token = who.token();
        let slugs = providers(asker.store).await?;
        let wanted: Vec<&str> = slugs
            .iter()
            .map(String::as_str)
            .filter(|slug| token.allows_provider(slug) && shows(api.door, slug))
            .collect();
        let (known, unknown): (Vec<&str>, Vec<&str>) =
            wanted.iter().partition(|slug| models_of(slug).is_some());
        ask(asker, &unknown, MOST_LISTS).await;
        let asked = unknown.len().min(MOST_LISTS);
        let stale_lists: Vec<String> =
            known.iter().filter(|slug| is_due(slug)).map(|slug| (*slug).to_owned()).collect();
        let body = put_together(api, token, &wanted)?;
        behind(asker, stale_lists, MOST_LISTS.saturating_sub(asked));
        let missing: Vec<&str> = wanted
            .into_iter()
            .filter(|slug| models_of(slug).is_none())
            .filter(|slug| provider::find(slug).is_some_and(|row| row.models.is_some()))
            .collect();
        let response = respond::json(200, &body);
        respond::open_to_browsers(&response.headers());
        if !missing.is_empty() {
            let _ = response.headers().set(INCOMPLETE, &missing.join(", "));
        }
        Ok(response)
    };
    answer.await.unwrap_or_else(|refusal: Refusal| respond::refuse(dialect, &refusal))
}

/// Whether the models of a provider can be used behind the door.
fn shows(door: Door, slug: &str) -> bool {
    let speaks =
        |shape: Shape| provider::find(slug).is_some_and(|row| shape.path_of(row).is_some());
    match door {
        Door::Gemini => slug == GEMINI,
        Door::Anthropic => speaks(Shape::Anthropic),
        _ => speaks(Shape::OpenAi),
    }
}

fn put_together(
    api: &ApiRoute,
    token: &Token,
    slugs: &[&str],
) -> Result<serde_json::Value, Refusal> {
    let lists: Vec<(&str, Rc<[Model]>)> =
        slugs.iter().filter_map(|slug| Some((*slug, models_of(slug)?))).collect();
    // Every entry of the list in which a client names models by themselves comes first.
    let own = |slug: &str| match api.door {
        Door::Anthropic => slug == "anthropic",
        Door::Gemini => true,
        _ => false,
    };
    let mut list = Vec::new();
    for (slug, models) in lists.iter().filter(|(slug, _)| own(slug)) {
        list.extend(models.iter().map(|model| Listing::bare(slug, model)));
    }
    for (slug, models) in lists.iter().filter(|(slug, _)| !own(slug)) {
        list.extend(models.iter().map(|model| Listing::prefixed(slug, model)));
    }
    list.retain(|one| token.allows(one.provider, Some(&one.model.id)));
    let query = api.query.as_deref();
    match dialect::of(api.row, &api.path) {
        Dialect::Anthropic => catalogue::anthropic(&list, query),
        Dialect::Gemini => catalogue::gemini(&list, query),
        Dialect::OpenAi | Dialect::Generic => Ok(catalogue::openai(&list)),
    }
}

/// What is old is asked for anew behind the answer.
fn behind(asker: &Asker<'_>, lists: Vec<String>, most: usize) {
    let writes = pool::gathers();
    if !is_stale() && lists.is_empty() && !writes {
        return;
    }
    let settings = Rc::clone(asker.settings);
    let (store, env) = (asker.store.clone(), asker.env.clone());
    let (ctx, host) = (Rc::clone(asker.ctx), asker.host.to_owned());
    asker.ctx.wait_until(async move {
        let asker = Asker { settings: &settings, store: &store, env: &env, ctx: &ctx, host: &host };
        keep_fresh(&store).await;
        let lists: Vec<&str> = lists.iter().map(String::as_str).collect();
        ask(&asker, &lists, most).await;
        if writes {
            pool::write_gathered(&store).await;
        }
    });
}
