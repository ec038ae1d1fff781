//! The glue between the Workers platform and [`crate::balance`]. It decides nothing.
//!
//! | file | does |
//! |---|---|
//! | [`env`] | reads settings and bindings |
//! | [`proxy`] | the loop: pick, send, classify, apply, next |
//! | [`journey`] | one request on its way through keys: what the loop asks the core |
//! | [`inbound`] | what a client's request says: token, model, body |
//! | [`lead`] | finds the provider where the model tells it |
//! | [`catalogue`] | which providers and models there are to choose from |
//! | [`upstream`] | builds and sends one attempt, reads a failed answer |
//! | [`inspect`] | looks into a success, when that is wanted |
//! | [`objects`] | which key holds what a request names |
//! | [`respond`] | passes an answer through; makes our own |
//! | [`pool`] | what this isolate remembers: snapshots, unwritten changes |
//! | [`usage`] | counts requests, and gives D1 the sums |
//! | [`store`] | every SQL string |
//! | [`admin`] | the JSON API of the page, and the page |
//! | [`tokens`] | clients' tokens that were made in the page |
//! | [`trail`] | clients' requests that failed lately |
//! | [`alerts`] | trouble that concerns no one key |
//! | [`sealing`] | the sealing keys |
//! | [`metrics`] | `/metrics` |
//! | [`webhook`] | tells the operator of the pool |
//! | [`log`] | what the Worker writes into its log |
//! | [`cron`] | the scheduled work |
//! | [`platform`] | clock, randomness, timers |
//! | [`task`] | the executor |
//! | [`glue`] | what `entry.js` does for this half |
//!
//! State shared between requests of an isolate is plain data in `thread_local!`s: no JavaScript
//! handle, waker or lock of one request is ever seen by another, and no borrow lives across an
//! `await`.

pub mod admin;
pub mod alerts;
pub mod catalogue;
pub mod cron;
pub mod env;
pub mod glue;
pub mod inbound;
pub mod inspect;
pub mod journey;
pub mod lead;
pub mod log;
pub mod metrics;
pub mod objects;
pub mod platform;
pub mod pool;
pub mod proxy;
pub mod respond;
pub mod sealing;
pub mod store;
pub mod task;
pub mod tokens;
pub mod trail;
pub mod upstream;
pub mod usage;
pub mod webhook;

use std::rc::Rc;

use worker::{Env, web_sys};

use crate::balance::dialect;
use crate::balance::error::Refusal;
use crate::balance::route::{self, Route};
use env::Settings;
use inbound::Said;
use store::Store;
use task::{Context, apart};

/// Answers one request. Never fails: what goes wrong becomes an answer that says so.
pub async fn answer(request: web_sys::Request, env: Env, ctx: Context) -> web_sys::Response {
    let settings = Settings::load(&env);
    let said = Said::read(&request);
    match route::route(said.method(), said.path_and_query()) {
        Ok(Route::Api(api)) => {
            let store = Store::of(&env);
            proxy::proxy(&request, &said, api, &settings, store, &env, &Rc::new(ctx)).await
        }
        other => apart(elsewhere(other, &request, &said, &settings, &env)).await,
    }
}

/// Answers what is no request for a provider.
async fn elsewhere(
    route: Result<Route<'_>, Refusal>,
    request: &web_sys::Request,
    said: &Said,
    settings: &Settings,
    env: &Env,
) -> web_sys::Response {
    let result = match route {
        Ok(Route::Preflight) => respond::preflight(request),
        Ok(Route::Health) => Ok(admin::health(env).await),
        Ok(Route::Metrics) => metrics::answer(request, said.method(), settings, env).await,
        Ok(Route::Page) => admin::page::serve(request),
        Ok(Route::Favicon) => Ok(respond::make(204, &[], "")),
        Ok(Route::Admin(path)) => {
            return admin::answer(request, said.method(), path, settings, env).await;
        }
        Ok(Route::Api(_) | Route::NotFound) => Err(Refusal::not_found()),
        Err(refusal) => Err(refusal),
    };
    let dialect = || dialect::of_request(said.path_and_query());
    result.unwrap_or_else(|refusal| respond::refuse(dialect(), &refusal))
}
