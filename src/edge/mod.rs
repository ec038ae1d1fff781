//! The glue between the Workers platform and [`crate::balance`]. It decides nothing.
//!
//! | file | does |
//! |---|---|
//! | [`env`] | reads settings and bindings |
//! | [`proxy`] | the loop: pick, send, classify, apply, next |
//! | [`journey`] | one request on its way through keys: what the loop asks the core |
//! | [`inbound`] | what a client's request says: token, model, body |
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
//! | [`cron`] | the scheduled work |
//! | [`platform`] | clock, randomness, timers |
//!
//! State shared between requests of an isolate is plain data in `thread_local!`s: no JavaScript
//! handle, waker or lock of one request is ever seen by another, and no borrow lives across an
//! `await`.

pub mod admin;
pub mod alerts;
pub mod cron;
pub mod env;
pub mod inbound;
pub mod inspect;
pub mod journey;
pub mod objects;
pub mod platform;
pub mod pool;
pub mod proxy;
pub mod respond;
pub mod store;
pub mod tokens;
pub mod trail;
pub mod upstream;
pub mod usage;

use std::rc::Rc;

use worker::{Context, Env, web_sys};

use crate::balance::dialect::Dialect;
use crate::balance::error::Refusal;
use crate::balance::route::{self, Route};
use env::Settings;
use store::Store;

/// Answers one request. Never fails: what goes wrong becomes an answer that says so.
pub async fn answer(request: web_sys::Request, env: Env, ctx: Context) -> web_sys::Response {
    let url = request.url();
    let method = request.method();
    let path_and_query = path_and_query(&url);
    let settings = Settings::load(&env);
    let result = match route::route(&method, path_and_query) {
        Ok(Route::Preflight) => respond::preflight(&request),
        Ok(Route::Health) => Ok(admin::health(&env).await),
        Ok(Route::Page) => admin::page::serve(&request),
        Ok(Route::Favicon) => Ok(respond::make(204, &[], "")),
        Ok(Route::Admin(path)) => {
            return admin::answer(&request, &method, path, &settings, &env).await;
        }
        Ok(Route::Api(api)) => {
            let store = Store::new(env.d1("DB").ok());
            return proxy::proxy(&request, &method, api, &settings, store, &env, &Rc::new(ctx))
                .await;
        }
        Ok(Route::NotFound) => Err(Refusal::not_found()),
        Err(refusal) => Err(refusal),
    };
    result.unwrap_or_else(|refusal| respond::refuse(dialect_of(path_and_query), &refusal))
}

/// The path and query of an absolute address, as they were sent.
fn path_and_query(url: &str) -> &str {
    let rest = url.split_once("://").map_or(url, |(_, rest)| rest);
    rest.find('/').and_then(|slash| rest.get(slash..)).unwrap_or("/")
}

/// The dialect in which to refuse a request that was not understood.
fn dialect_of(path_and_query: &str) -> Dialect {
    crate::balance::dialect::of_request(path_and_query)
}
