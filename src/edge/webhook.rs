//! Tells the operator of the pool. [`crate::balance::webhook`] says what and when.

use core::pin::pin;

use futures_util::future::{Either, select};
use worker::js_sys::{self, Uint8Array};
use worker::wasm_bindgen::{JsCast, JsValue};
use worker::wasm_bindgen_futures::JsFuture;
use worker::web_sys::{Headers, RequestInit, RequestRedirect, Response, WorkerGlobalScope};

use super::log;
use super::platform::{now, pause};
use super::store::Store;
use super::upstream::read_chunk;
use crate::balance::error::Refusal;
use crate::balance::problem::Problem;
use crate::balance::webhook::{Message, Webhook};
use crate::balance::{Millis, SECOND};

/// How long the receiver may take.
const PATIENCE: Millis = 10 * SECOND;
/// As much of its answer is read.
const READ: usize = 4 * 1024;

/// Looks what there is to tell, and tells it when its time has come.
///
/// # Errors
/// When D1 does not answer.
pub async fn run(webhook: &Webhook, store: &Store) -> Result<(), Refusal> {
    let (before, found) = store.watch(webhook.min_usable, now()).await?;
    let mut told = before.clone().unwrap_or_default();
    told.take_in(&found, webhook.min_usable);
    if let Some(message) = told.due(&found, webhook.min_usable, now()) {
        match send(webhook, &message).await {
            Ok(()) => {
                log::webhook(true, "");
                told.arrived(&message, now());
            }
            Err(why) => {
                log::webhook(false, &why.message);
                told.failed(now());
            }
        }
    }
    // The row is there from the first run on: it says since when events are looked at.
    if before.as_ref() == Some(&told) { Ok(()) } else { store.keep_told(&told).await }
}

/// Sends a message.
///
/// # Errors
/// Why it did not arrive, without the address.
pub async fn send(webhook: &Webhook, message: &Message) -> Result<(), Problem> {
    let body = webhook.body(message, now()).to_string();
    let sent = post(&webhook.url, &body);
    let (status, answer) = match select(pin!(sent), pin!(pause(PATIENCE))).await {
        Either::Left((Ok(answer), _)) => answer,
        // What the platform throws may hold the address.
        Either::Left((Err(_), _)) => {
            return Err(Problem::new("webhook_unreachable", "no connection"));
        }
        Either::Right(_) => {
            let seconds = PATIENCE / SECOND;
            let sentence = format!("no answer within {seconds} s");
            return Err(Problem::new("webhook_slow", sentence).with("seconds", seconds));
        }
    };
    if webhook.arrived(status, &answer) {
        return Ok(());
    }
    let answer: String = String::from_utf8_lossy(&answer).chars().take(200).collect();
    let answer = answer.replace(&webhook.url, "[address]");
    let problem = Problem::new("webhook_refused", format!("answered {status}: {answer}"));
    Err(problem.with("status", status).with("answer", answer))
}

async fn post(url: &str, body: &str) -> Result<(u16, Vec<u8>), JsValue> {
    let headers = Headers::new()?;
    headers.set("content-type", "application/json; charset=utf-8")?;
    headers.set("user-agent", "one-balance")?;
    let init = RequestInit::new();
    init.set_method("POST");
    init.set_headers(&headers);
    init.set_body(&JsValue::from_str(body));
    init.set_redirect(RequestRedirect::Manual);
    let scope: WorkerGlobalScope = js_sys::global().unchecked_into();
    let answer: Response =
        JsFuture::from(scope.fetch_with_str_and_init(url, &init)).await?.unchecked_into();
    let mut read = Vec::new();
    if let Some(body) = answer.body() {
        let reader = body.get_reader().unchecked_into();
        while read.len() < READ
            && let Some(chunk) = read_chunk(&reader).await?
        {
            let room = u32::try_from(READ - read.len()).unwrap_or_default();
            read.extend(Uint8Array::to_vec(&chunk.subarray(0, chunk.length().min(room))));
        }
        drop(JsFuture::from(reader.cancel()).await);
    }
    Ok((answer.status(), read))
}
