//! Builds and sends one attempt, and reads an answer that failed.

use worker::js_sys::{self, ArrayBuffer, Uint8Array};
use worker::wasm_bindgen::{JsCast, JsValue};
use worker::web_sys::{Headers, ReadableStreamDefaultReader, Response, ResponseInit};

use super::env::Upstream;
use super::glue;
use super::inbound::{PROTOCOLS, Said};
use super::task::{Settled, detach, settled};
use crate::balance::classify::MAX_ERROR_BODY;
use crate::balance::key::Secret;
use crate::balance::provider::Provider;
use crate::balance::socket::{self, KeyIn};
use crate::balance::token;

/// The longest error body that is passed on, in bytes. Longer ones are cut: nobody reads them.
const LONGEST_ERROR_BODY: usize = 4 * 1024 * 1024;

/// A request, ready to be sent with any key.
pub struct Outgoing {
    /// Empty for a client's request: then method and headers are those of the task's own request.
    method: &'static str,
    url: String,
    /// Headers that are set besides, as [`glue::send`] takes them: a line break, a name, a line break,
    /// a value, and so on.
    headers: String,
    body: Option<ArrayBuffer>,
    /// Where the key goes.
    key_in: KeyIn,
    /// The protocols that a socket's client offers.
    offered: String,
}

/// Whether a WebSocket is asked for.
pub fn is_socket(said: &Said) -> bool {
    said.header("upgrade").is_some_and(|to| to.eq_ignore_ascii_case("websocket"))
}

impl Outgoing {
    /// The client's request. Of its headers go on what [`crate::balance::provider::forwards`] lets:
    /// no credential, no cookie, nothing about where the client is, and of the `cf-aig-*` headers
    /// only those that a client may choose.
    #[must_use]
    pub fn new(
        said: &Said,
        url: String,
        body: Option<ArrayBuffer>,
        key_in: KeyIn,
        upstream: &Upstream,
    ) -> Self {
        let mut outgoing = Self::of_ours("", url, &[], upstream);
        outgoing.body = body;
        outgoing.key_in = key_in;
        // A socket is asked for anew at every hop; its frames never come through here.
        if is_socket(said) {
            outgoing.set("upgrade", "websocket");
            said.header(PROTOCOLS).unwrap_or_default().clone_into(&mut outgoing.offered);
            let (_, others) = token::from_subprotocols(said.header(PROTOCOLS).unwrap_or_default());
            if !others.is_empty() && !matches!(key_in, KeyIn::Protocol(_)) {
                outgoing.set(PROTOCOLS, &others.join(", "));
            }
        }
        outgoing
    }

    /// A request of our own, without a body, with these headers besides those that the gateway wants.
    #[must_use]
    pub fn of_ours(
        method: &'static str,
        url: String,
        headers: &[(&str, &str)],
        upstream: &Upstream,
    ) -> Self {
        let mut outgoing = Self {
            method,
            url,
            headers: String::new(),
            body: None,
            key_in: KeyIn::Header,
            offered: String::new(),
        };
        for (name, value) in headers {
            outgoing.set(name, value);
        }
        if let Upstream::Gateway { authorization } = upstream {
            outgoing.set("cf-aig-max-attempts", "1"); // we retry, with another key
            outgoing.set("cf-aig-no-wholesale", "true"); // a lost key is never billed to Cloudflare credits
            if let Some(authorization) = authorization {
                outgoing.set("cf-aig-authorization", authorization);
            }
        }
        outgoing
    }

    /// Adds headers that the client did not send. They must be among those that [`Said`] reads.
    pub fn complete(&mut self, said: &Said, headers: &[(&str, &str)]) {
        for (name, value) in headers.iter().filter(|(name, _)| said.header(name).is_none()) {
            self.set(name, value);
        }
    }

    /// Sets a header. Neither text has a line break: they are ours, or come from a header.
    pub fn set(&mut self, name: &str, value: &str) {
        for text in [name, value] {
            self.headers.push('\n');
            self.headers.push_str(text);
        }
    }

    /// Sends it with a key. The caller's hanging up ends it: the runtime ends with a request all that
    /// belongs to it. Gives the status with the answer.
    ///
    /// # Errors
    /// When there is no answer.
    pub async fn send(
        &self,
        provider: &Provider,
        path: &str,
        secret: &Secret,
    ) -> Result<(u16, Response), Unsent> {
        if !secret.fits_header() {
            return Err(Unsent::BadKey);
        }
        let lines = match self.key_in {
            KeyIn::Header => {
                let (name, value) = provider.credential(path, secret.expose());
                [&self.url, "\n", name, "\n", &value, &self.headers].concat()
            }
            KeyIn::Query(name) => {
                let key = String::from(js_sys::encode_uri_component(secret.expose()));
                let mark = if self.url.contains('?') { "&" } else { "?" };
                [&self.url, mark, name, "=", &key, &self.headers].concat()
            }
            KeyIn::Protocol(start) => {
                let (_, mut entries) = token::from_subprotocols(&self.offered);
                let entry = [start, secret.expose()].concat();
                entries.push(&entry);
                [&self.url, "\n", PROTOCOLS, "\n", &entries.join(", "), &self.headers].concat()
            }
        };
        let answer = Settled::new(glue::send(self.method, &lines, self.body.as_ref())).await;
        // What the platform says of a failed request can have its address in it.
        let lost = |why| Unsent::Lost(secret.redact(&format!("{why:?}")));
        let (status, response) = answer.map_err(lost)?;
        let (status, response) =
            (u16::try_from(status).unwrap_or_default(), response.unchecked_into());
        Ok((status, if status == 101 { self.accept(response, secret) } else { response }))
    }

    /// A handshake's answer with a protocol that the client offered: browsers take none without, and the
    /// provider may have chosen the entry with the key.
    #[inline(never)]
    fn accept(&self, answer: Response, secret: &Secret) -> Response {
        let upstream = answer.headers().get(PROTOCOLS).ok().flatten();
        let chosen = match upstream.as_deref() {
            Some(chosen) if !secret.is_in(chosen.as_bytes()) => return answer,
            _ => socket::chosen(&self.offered),
        };
        if chosen.is_none() && upstream.is_none() {
            return answer;
        }
        // The socket itself is handed on as it is.
        let made = Headers::new_with_headers(&answer.headers()).and_then(|headers| {
            headers.delete(PROTOCOLS)?;
            if let Some(chosen) = chosen {
                headers.set(PROTOCOLS, chosen)?;
            }
            let init = ResponseInit::new();
            init.set_status(101);
            init.set_headers(&headers);
            let socket = JsValue::from_str("webSocket");
            js_sys::Reflect::set(&init, &socket, &js_sys::Reflect::get(&answer, &socket)?)?;
            Response::new_with_opt_str_and_init(None, &init)
        });
        made.unwrap_or(answer)
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
            let cancelled = reader.cancel();
            detach(async move { drop(settled(&cancelled).await) });
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
    let read = settled(&reader.read()).await?;
    let value = js_sys::Reflect::get(&read, &JsValue::from_str("value"))?;
    Ok(value.dyn_into().ok())
}
