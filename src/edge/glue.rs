//! What `entry.js` does for this half: the platform calls of the hot path, several in one crossing.

use worker::js_sys::{ArrayBuffer, Promise};
use worker::wasm_bindgen::prelude::wasm_bindgen;
use worker::wasm_bindgen::{self, JsValue};
use worker::web_sys::{Request, Response};

use super::{env, inbound};
use crate::balance::{classify, provider};

#[wasm_bindgen(module = "one-balance-entry")]
extern "C" {
    /// Numbers a promise that the current task waits for.
    pub fn settle(promise: &Promise) -> u32;
    /// The current task is done.
    pub fn finish(value: JsValue);
    /// Begins a task that was added; `context` waits for it if it is one.
    pub fn spawn(id: u32, context: &JsValue);
    /// The current task is kept alive.
    pub fn hold(id: u32);
    /// It need not be any more.
    pub fn release(id: u32);
    /// Polls a task that is held.
    pub fn wake(id: u32);
    /// A promise, numbered, that is settled after so many milliseconds.
    pub fn later(milliseconds: f64) -> u32;

    /// Reads a client's request: see [`inbound::Said`]. What may go on of its headers is kept for
    /// [`send`].
    pub fn read(request: &Request) -> String;
    /// The request's body as an `ArrayBuffer`, empty when there is none: a numbered promise.
    pub fn body(request: &Request) -> u32;
    /// Copies a piece of a body from `at` on.
    pub fn piece(body: &ArrayBuffer, at: u32, into: &mut [u8]);
    /// Sends the current request, a numbered promise whose outcome is the answer's status. `lines`
    /// are the address, then names and values of headers, all on lines of their own. Without a
    /// `method` it is that of the client's request, and so are the headers to begin with.
    pub fn send(method: &str, lines: &str, body: Option<&ArrayBuffer>) -> u32;
    /// Whether one of the gauges of a set is there and not above `most`. A number is compared here, so
    /// that no text crosses for the many answers of which nothing follows.
    pub fn low(response: &Response, set: usize, most: u32) -> bool;
    /// The answer for the client: the same body, with headers that can be `changed` if they are to be.
    pub fn pass(response: &Response, attempts: u32, changed: bool) -> Response;
}

/// The headers of a set of gauges, a line each. Asked once for each set.
#[wasm_bindgen]
#[must_use]
pub fn names_of_gauges(set: usize) -> String {
    classify::GAUGES.get(set).map(|(_, names)| names.join("\n")).unwrap_or_default()
}

/// The client's header goes on.
const FORWARDED: u32 = 1;
/// The Worker looks into it.
const READ: u32 = 2;

/// What to do with a client's header of this name. Asked once for each name.
#[wasm_bindgen]
#[must_use]
pub fn kind_of_header(name: &str) -> u32 {
    // What clients may tell the gateway is nothing for providers.
    let forwards = provider::forwards(name)
        && !(name.starts_with("cf-") && env::is_direct())
        && !env::is_custom_header(name);
    let forwarded = if forwards { FORWARDED } else { 0 };
    let read = if inbound::reads(name) { READ } else { 0 };
    forwarded | read
}
