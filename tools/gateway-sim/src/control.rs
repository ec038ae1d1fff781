//! The control API under `/__sim/`: what a test sets, and what it sees.

use std::sync::Arc;

use axum::extract::{Query, State};
use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};
use axum::routing::{get, patch, post, put};
use axum::{Json, Router, body::Bytes};
use serde::Deserialize;
use serde::de::DeserializeOwned;
use serde_json::{Value, json};

use crate::config::Patch;
use crate::faults::FaultSettings;
use crate::keys::KeySettings;
use crate::providers;
use crate::simulator::Simulator;
use crate::time::now_ms;

type Sim = State<Arc<Simulator>>;

pub fn router(simulator: Arc<Simulator>) -> Router {
    Router::new()
        .route("/__sim/health", get(|| async { Json(json!({ "ok": true })) }))
        .route("/__sim/reset", post(reset))
        .route("/__sim/config", patch(configure).get(config))
        .route("/__sim/keys", put(put_keys).get(keys))
        .route("/__sim/faults", post(add_faults).get(faults).delete(clear_faults))
        .route("/__sim/stats", get(stats))
        .route("/__sim/requests", get(requests))
        .route("/__sim/violations", get(violations))
        .route(
            "/__sim/sockets",
            get(|State(simulator): Sim| async move { Json(simulator.sockets.ended()) }),
        )
        .route("/__sim/clock/roll", post(roll))
        .fallback(|| async { bad(StatusCode::NOT_FOUND, "there is no such control route") })
        .layer(axum::extract::DefaultBodyLimit::disable())
        .with_state(simulator)
}

fn bad(status: StatusCode, message: impl Into<String>) -> Response {
    (status, Json(json!({ "ok": false, "error": message.into() }))).into_response()
}

fn ok(extra: Value) -> Response {
    let mut body = json!({ "ok": true });
    if let (Some(body), Value::Object(extra)) = (body.as_object_mut(), extra) {
        body.extend(extra);
    }
    Json(body).into_response()
}

/// Reads a body whatever its content type is; a typing mistake must be told, not ignored.
#[expect(clippy::result_large_err, reason = "the error is the answer")]
fn read<T: DeserializeOwned>(body: &Bytes) -> Result<T, Response> {
    serde_json::from_slice(body).map_err(|error| bad(StatusCode::BAD_REQUEST, error.to_string()))
}

/// One thing or a list of them.
#[derive(Deserialize)]
#[serde(untagged)]
enum OneOrMany {
    Many(Vec<Value>),
    One(Value),
}

#[expect(clippy::result_large_err, reason = "the error is the answer")]
fn read_list<T: DeserializeOwned>(body: &Bytes) -> Result<Vec<T>, Response> {
    let items = match read(body)? {
        OneOrMany::Many(items) => items,
        OneOrMany::One(item) => vec![item],
    };
    // Each on its own, so that the message says what is wrong and not that no variant matched.
    items
        .into_iter()
        .map(|item| {
            serde_json::from_value(item)
                .map_err(|error| bad(StatusCode::BAD_REQUEST, error.to_string()))
        })
        .collect()
}

async fn reset(State(simulator): Sim) -> Response {
    simulator.reset();
    ok(json!({}))
}

async fn config(State(simulator): Sim) -> Json<Value> {
    Json(simulator.config().to_json())
}

async fn configure(State(simulator): Sim, body: Bytes) -> Response {
    match read::<Patch>(&body) {
        Ok(patch) => {
            Json(simulator.configure(|config| config.apply(patch)).to_json()).into_response()
        }
        Err(response) => response,
    }
}

async fn put_keys(State(simulator): Sim, body: Bytes) -> Response {
    let keys = match read_list::<KeySettings>(&body) {
        Ok(keys) => keys,
        Err(response) => return response,
    };
    if let Some(key) = keys.iter().find(|key| providers::find(&key.provider).is_none()) {
        return bad(StatusCode::BAD_REQUEST, format!("there is no provider `{}`", key.provider));
    }
    let count = keys.len();
    for key in keys {
        simulator.keys.put(key);
    }
    ok(json!({ "count": count }))
}

async fn keys(State(simulator): Sim) -> Json<Value> {
    Json(simulator.keys.to_json(&simulator.config().windows, now_ms()))
}

async fn add_faults(State(simulator): Sim, body: Bytes) -> Response {
    let faults = match read_list::<FaultSettings>(&body) {
        Ok(faults) => faults,
        Err(response) => return response,
    };
    let mut ids = Vec::with_capacity(faults.len());
    for fault in faults {
        match simulator.faults.add(fault) {
            Ok(id) => ids.push(id),
            Err(message) => return bad(StatusCode::BAD_REQUEST, message),
        }
    }
    ok(json!({ "ids": ids }))
}

async fn faults(State(simulator): Sim) -> Json<Value> {
    Json(simulator.faults.to_json())
}

async fn clear_faults(State(simulator): Sim) -> Response {
    simulator.faults.clear();
    ok(json!({}))
}

async fn stats(State(simulator): Sim) -> Json<Value> {
    Json(simulator.journal.stats())
}

#[derive(Deserialize)]
struct Last {
    last: Option<usize>,
}

async fn requests(State(simulator): Sim, Query(query): Query<Last>) -> Json<Vec<Value>> {
    Json(simulator.journal.requests(query.last.unwrap_or(usize::MAX)))
}

async fn violations(State(simulator): Sim) -> Json<Value> {
    Json(json!(simulator.journal.violations()))
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Roll {
    which: Which,
}

#[derive(Deserialize)]
#[serde(rename_all = "lowercase")]
enum Which {
    Minute,
    Day,
}

async fn roll(State(simulator): Sim, body: Bytes) -> Response {
    let roll = match read::<Roll>(&body) {
        Ok(roll) => roll,
        Err(response) => return response,
    };
    let now = now_ms();
    simulator.configure(|config| match roll.which {
        Which::Minute => config.windows.minute.roll(now),
        // A new day is a new minute as well.
        Which::Day => {
            config.windows.minute.roll(now);
            config.windows.day.roll(now);
        }
    });
    ok(json!({}))
}
