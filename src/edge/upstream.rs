//! Builds and sends one attempt, and reads an answer that failed.

use worker::js_sys::{self, Array, ArrayBuffer, Uint8Array};
use worker::wasm_bindgen::{JsCast, JsValue};
use worker::wasm_bindgen_futures::{JsFuture, spawn_local};
use worker::web_sys::{
    Headers, ReadableStreamDefaultReader, Request, RequestInit, RequestRedirect, Response,
    WorkerGlobalScope,
};

use crate::balance::classify::MAX_ERROR_BODY;
use crate::balance::key::Secret;
use crate::balance::provider::{self, Provider};
use crate::balance::token;

/// The longest error body that is passed on, in bytes. Longer ones are cut: nobody reads them.
const LONGEST_ERROR_BODY: usize = 4 * 1024 * 1024;

/// Where a socket's client names the protocols it speaks.
const PROTOCOLS: &str = "sec-websocket-protocol";

/// A client's request, ready to be sent with any key.
pub struct Outgoing {
    url: String,
    init: RequestInit,
    headers: Headers,
}

impl Outgoing {
    /// Takes from the client's request what may go on: no credential, no cookie, nothing about where
    /// the client is, and of the `cf-aig-*` headers only those that a client may choose.
    ///
    /// # Errors
    /// What the platform throws for a header that it does not take.
    pub fn new(
        request: &Request,
        url: String,
        body: Option<&ArrayBuffer>,
        gateway_authorization: Option<&str>,
    ) -> Result<Self, JsValue> {
        let headers = Headers::new_with_headers(&request.headers())?;
        // One crossing for all the names instead of one each.
        let names = String::from(Array::from(&headers.keys()).join("\n"));
        for name in names.lines().filter(|name| !provider::forwards(name)) {
            headers.delete(name)?;
        }
        // A socket is asked for anew at every hop; its frames never come through here.
        if request.headers().get("upgrade")?.is_some_and(|to| to.eq_ignore_ascii_case("websocket"))
        {
            headers.set("upgrade", "websocket")?;
            let list = request.headers().get(PROTOCOLS)?.unwrap_or_default();
            let (_, others) = token::from_subprotocols(&list);
            if !others.is_empty() {
                headers.set(PROTOCOLS, &others.join(", "))?;
            }
        }
        let outgoing = Self::of_ours(&request.method(), url, headers, gateway_authorization)?;
        outgoing.init.set_signal(Some(&request.signal())); // the caller's hanging up ends it
        if let Some(body) = body {
            outgoing.init.set_body(body);
        }
        Ok(outgoing)
    }

    /// A request of our own, without a body, with these headers besides those that the gateway wants.
    ///
    /// # Errors
    /// What the platform throws for a header that it does not take.
    pub fn of_ours(
        method: &str,
        url: String,
        headers: Headers,
        gateway_authorization: Option<&str>,
    ) -> Result<Self, JsValue> {
        headers.set("cf-aig-max-attempts", "1")?; // we retry, with another key
        headers.set("cf-aig-no-wholesale", "true")?; // a lost key is never billed to Cloudflare credits
        if let Some(authorization) = gateway_authorization {
            headers.set("cf-aig-authorization", authorization)?;
        }
        let init = RequestInit::new();
        init.set_method(method);
        init.set_headers(&headers);
        init.set_redirect(RequestRedirect::Manual); // a key never follows a Location
        Ok(Self { url, init, headers })
    }

    /// Sends it with a key.
    ///
    /// # Errors
    /// When there is no answer.
    pub async fn send(
        &self,
        provider: &Provider,
        path: &str,
        secret: &Secret,
    ) -> Result<Response, Unsent> {
        if !secret.fits_header() {
            return Err(Unsent::BadKey);
        }
        let (name, value) = provider.credential(path, secret.expose());
        self.headers.set(name, &value).map_err(|_| Unsent::BadKey)?;
        let scope: WorkerGlobalScope = js_sys::global().unchecked_into();
        let answer = JsFuture::from(scope.fetch_with_str_and_init(&self.url, &self.init)).await;
        // The next key may go into another header.
        let _ = self.headers.delete(name);
        answer.map(JsCast::unchecked_into).map_err(|why| Unsent::Lost(format!("{why:?}")))
    }
}

/// Why an attempt has no answer.
pub enum Unsent {
    /// The key has characters that no header can hold.
    BadKey,
    /// The connection broke; what the platform said.
    Lost(String),
}

/// An answer that is not a success, with the head of its body read. The rest of a long body is
/// read only if this answer goes to the caller.
pub struct Failure {
    /// HTTP status.
    pub status: u16,
    /// As the upstream sent them.
    pub headers: Headers,
    /// The first [`MAX_ERROR_BODY`] bytes of the body.
    pub head: Vec<u8>,
    rest: Option<ReadableStreamDefaultReader>,
}

impl Failure {
    /// Reads the head.
    pub async fn read(response: Response) -> Self {
        let mut failure = Self {
            status: response.status(),
            headers: response.headers(),
            head: Vec::new(),
            rest: None,
        };
        if let Some(body) = response.body() {
            failure.rest = Some(body.get_reader().unchecked_into());
            failure.read_until(MAX_ERROR_BODY).await;
        }
        failure
    }

    /// A success that turned out to be a failure: `head` was read, `rest` was not.
    #[must_use]
    pub fn opened(response: &Response, head: Vec<u8>, rest: ReadableStreamDefaultReader) -> Self {
        Self { status: response.status(), headers: response.headers(), head, rest: Some(rest) }
    }

    /// Reads on until that many bytes are there or the body ends. A body that breaks off ends there.
    async fn read_until(&mut self, length: usize) {
        while self.head.len() < length {
            let Some(reader) = &self.rest else { return };
            match read_chunk(reader).await {
                Ok(Some(chunk)) => {
                    let room = LONGEST_ERROR_BODY.saturating_sub(self.head.len());
                    let take = u32::try_from(room).unwrap_or(u32::MAX).min(chunk.length());
                    self.head.extend(chunk.subarray(0, take).to_vec());
                }
                Ok(None) | Err(_) => self.rest = None,
            }
        }
    }

    /// The whole body with the key blotted out: some providers repeat it.
    pub async fn body(&mut self, secret: &Secret) -> Vec<u8> {
        self.read_until(LONGEST_ERROR_BODY).await;
        self.discard();
        let body = core::mem::take(&mut self.head);
        if secret.is_in(&body) {
            secret.redact(&String::from_utf8_lossy(&body)).into_bytes()
        } else {
            body
        }
    }

    /// Lets the connection go without the rest of the body.
    pub fn discard(&mut self) {
        if let Some(reader) = self.rest.take() {
            // It may reject when the connection is gone already; there is nobody to tell.
            let cancelled = JsFuture::from(reader.cancel());
            spawn_local(async move { drop(cancelled.await) });
        }
    }
}

/// The next piece of a body; `None` at its end.
///
/// # Errors
/// When the body breaks off.
pub async fn read_chunk(
    reader: &ReadableStreamDefaultReader,
) -> Result<Option<Uint8Array>, JsValue> {
    let read = JsFuture::from(reader.read()).await?;
    let value = js_sys::Reflect::get(&read, &JsValue::from_str("value"))?;
    Ok(value.dyn_into().ok())
}
