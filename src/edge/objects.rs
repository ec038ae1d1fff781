//! Which key holds an object: what this isolate remembers of that, and the way to D1 for the rest.
//!
//! See [`crate::balance::object`] for what is an object. A request that names none asks nothing here.

use core::cell::RefCell;
use std::collections::HashMap;
use std::rc::Rc;

use worker::wasm_bindgen::JsCast;
use worker::web_sys::{
    ReadableStream, ReadableStreamDefaultReader, Request, Response, ResponseInit,
};

use super::inbound::Target;
use super::platform::now;
use super::store::{SHORT_PATIENCE, Store};
use super::task::{Context, detach, settled};
use super::upstream::read_chunk;
use super::{pool, respond};
use crate::balance::classify::end_of_events;
use crate::balance::error::Refusal;
use crate::balance::home::{Belongs, belongs};
use crate::balance::key::KeyId;
use crate::balance::model;
use crate::balance::object::{self, Creation, LONGEST_HEAD, Objects, Stored};
use crate::balance::route::ApiRoute;
use crate::balance::{MINUTE, Millis};

/// Objects remembered in a generation, of which there are two: at about 150 bytes each 2.5 MB of 128.
const GENERATION: usize = 8_192;
/// So long an isolate does not ask D1 again about a name that nobody knew.
const UNKNOWN_FOR: Millis = MINUTE;

/// Where a resumable upload goes on.
const UPLOAD_URL: &str = "x-goog-upload-url";

/// Who holds an object.
#[derive(Clone)]
struct Holder {
    provider: String,
    /// `None`: nobody that is known.
    key: Option<KeyId>,
    until: Millis,
}

/// Least recently used go first, by halves.
#[derive(Default)]
struct Memory {
    young: HashMap<String, Vec<Holder>>,
    old: HashMap<String, Vec<Holder>>,
}

impl Memory {
    fn get(&mut self, digest: &str, now: Millis) -> Option<Vec<Holder>> {
        if !self.young.contains_key(digest) {
            let holders = self.old.remove(digest)?;
            self.put(digest.to_owned(), holders);
        }
        let mut holders = self.young.get(digest)?.clone();
        holders.retain(|holder| holder.until > now);
        Some(holders)
    }

    fn put(&mut self, digest: String, holders: Vec<Holder>) {
        if self.young.len() >= GENERATION {
            self.old = core::mem::take(&mut self.young);
        }
        self.young.insert(digest, holders);
    }

    fn set(&mut self, digest: &str, holder: Holder, now: Millis) {
        let mut holders = self.get(digest, now).unwrap_or_default();
        holders.retain(|known| known.provider != holder.provider);
        holders.push(holder);
        self.put(digest.to_owned(), holders);
    }
}

thread_local! {
    static MEMORY: RefCell<Memory> = RefCell::default();
}

/// What is known here of a name at a provider: nothing, that nobody holds it, or who does.
fn recall(digest: &str, provider: &str) -> Option<Option<KeyId>> {
    let holders = MEMORY.with_borrow_mut(|memory| memory.get(digest, now()))?;
    holders.iter().find(|holder| holder.provider == provider).map(|holder| holder.key)
}

fn learn(digest: &str, provider: &str, key: Option<KeyId>, until: Millis) {
    let holder = Holder { provider: provider.to_owned(), key, until };
    MEMORY.with_borrow_mut(|memory| memory.set(digest, holder, now()));
}

/// Asks D1 for what is not known here of these names at the provider.
async fn look_up(store: &Store, digests: &[String], provider: &str) -> Result<(), Refusal> {
    let unknown: Vec<&str> = digests
        .iter()
        .map(String::as_str)
        .filter(|digest| recall(digest, provider).is_none())
        .collect();
    if unknown.is_empty() {
        return Ok(());
    }
    let rows = store.holders(&unknown, now()).await?;
    for digest in &unknown {
        learn(digest, provider, None, now() + UNKNOWN_FOR);
    }
    for row in rows {
        learn(&row.name, &row.provider, Some(KeyId(row.key_id)), row.expires_at);
    }
    Ok(())
}

/// The one key that must serve a request which names these objects of the provider; `None` when it may
/// be any. The provider's snapshot has that key then, unless it was deleted.
///
/// # Errors
/// When the objects are of different keys, or D1 does not answer for a request that is about an object
/// itself: another key would only tell it that there is none.
pub async fn key_for(store: &Store, target: &Target) -> Result<Option<KeyId>, Refusal> {
    let (provider, names, needed) = (&target.provider, &target.objects, target.about_object);
    let digests: Vec<String> = names.iter().map(|name| object::digest(name)).collect();
    match look_up(store, &digests, provider).await {
        Ok(()) => {}
        Err(refusal) if needed => return Err(refusal),
        Err(refusal) => respond::log("objects not looked up", &refusal.to_string()),
    }
    let mut keys = digests.iter().filter_map(|digest| recall(digest, provider).flatten());
    let Some(key) = keys.next() else { return Ok(None) };
    if keys.any(|other| other != key) {
        return Err(Refusal::held_apart());
    }
    pool::know(store, provider, key).await?;
    // Sent elsewhere, it would only be taken for a wrong key.
    let elsewhere = target.home.as_deref().is_some_and(|home| {
        let project = pool::with(provider, |pool| pool.key(key).map(|key| key.project.clone()));
        belongs(&project.flatten().unwrap_or_default(), home) == Belongs::Elsewhere
    });
    Ok(Some(key).filter(|_| !elsewhere))
}

/// The provider whose objects a request names at an address that names no provider; `usual` when nobody
/// is known to hold any of them.
pub async fn provider_of(store: &Store, names: &[String], usual: &str) -> String {
    let digests: Vec<String> = names.iter().map(|name| object::digest(name)).collect();
    let held = || {
        let mut known = digests
            .iter()
            .filter_map(|digest| MEMORY.with_borrow_mut(|memory| memory.get(digest, now())));
        known.find_map(|holders| holders.into_iter().find(|holder| holder.key.is_some()))
    };
    let mut holder = held();
    // Should D1 not answer, it is asked again for the key, where that can be said.
    if holder.is_none() && !digests.is_empty() && look_up(store, &digests, usual).await.is_ok() {
        holder = held();
    }
    holder.map_or_else(|| usual.to_owned(), |holder| holder.provider)
}

/// The provider and the key that hold the object of this name, for an address that names no provider.
pub async fn holder(store: &Store, name: &str) -> Option<(String, KeyId)> {
    let digest = object::digest(name);
    let known = || {
        let holders = MEMORY.with_borrow_mut(|memory| memory.get(&digest, now()))?;
        holders.into_iter().find_map(|holder| Some((holder.provider, holder.key?)))
    };
    if let Some(known) = known() {
        return Some(known);
    }
    for row in store.holders(&[&digest], now()).await.ok()? {
        learn(&row.name, &row.provider, Some(KeyId(row.key_id)), row.expires_at);
    }
    known()
}

/// Whether the request goes on with a resumable upload that began here. Its id, which nobody can guess,
/// is all that Google asks for then, and some SDKs send nothing else.
pub async fn continues_upload(store: &Store, api: &ApiRoute) -> bool {
    let names = object::of(&api.provider).in_address(&api.path, api.query.as_deref());
    let upload = names.iter().find(|name| name.starts_with(object::UPLOAD));
    match upload.filter(|_| is_upload(&api.path)) {
        Some(upload) => holder(store, upload).await.is_some_and(|(of, _)| of == api.provider),
        None => false,
    }
}

/// Whether a path is one of uploads. Only their answers have an address to go on at.
#[must_use]
pub fn is_upload(path: &str) -> bool {
    path.starts_with("upload/")
}

/// An upload goes on where it began: here, with the key that began it, so that the file is known. The
/// address that Google gives out would also be sent the caller's token.
pub fn readdress(answer: &Response, request: &Request, provider: &str) {
    let headers = answer.headers();
    let Some(address) = headers.get(UPLOAD_URL).ok().flatten() else { return };
    let url = request.url();
    let origin = url.match_indices('/').nth(2).and_then(|(at, _)| url.get(..at));
    let rest = address.find("/upload/").and_then(|at| address.get(at..));
    if let (Some(origin), Some(rest)) = (origin, rest) {
        let _ = headers.set(UPLOAD_URL, &format!("{origin}/api/{provider}{rest}"));
    }
}

/// What an answer tells about objects, and how to remember it.
pub struct Lookout<'a> {
    /// Whose answer it is.
    pub provider: &'a str,
    /// How the provider's objects are called.
    pub objects: &'static Objects,
    /// The key that it was made with.
    pub key: KeyId,
    /// Where to write.
    pub store: &'a Store,
    /// Keeps the request alive behind its answer.
    pub ctx: &'a Rc<Context>,
}

impl Lookout<'_> {
    /// Reads what a success made from the head of its body, which stays unread for the caller, and
    /// remembers it. The body is split by the runtime; only its head comes through here.
    pub async fn note(&self, response: Response, creation: Creation) -> Response {
        if let Some(upload) = response.headers().get(UPLOAD_URL).ok().flatten() {
            let names = self.objects.in_address("", upload.split_once('?').map(|(_, query)| query));
            self.remember(names, creation).await;
            return response;
        }
        let kind = response.headers().get("content-type").ok().flatten().unwrap_or_default();
        let stream = kind.starts_with("text/event-stream");
        if !stream && !kind.contains("json") {
            return response;
        }
        let Some((ours, theirs)) = response.body().and_then(|body| split(&body)) else {
            return response;
        };
        let head = head_of(&ours, stream, creation).await;
        let names = self.names_in(&head, creation);
        self.remember(names, creation).await;
        let init = response.unchecked_ref::<ResponseInit>();
        Response::new_with_opt_readable_stream_and_init(Some(&theirs), init).unwrap_or(response)
    }

    fn names_in(&self, head: &[u8], creation: Creation) -> Vec<String> {
        let mut names = Vec::new();
        for (_, text) in model::texts_of(json_in(head), creation.fields) {
            self.objects.clean(&text, &mut names);
        }
        names
    }

    /// Here at once, so that the next request finds it. In D1 before the answer goes out, since the next
    /// request may come to another isolate; but a stored response, which only a later turn of a
    /// conversation names, does not wait for that.
    async fn remember(&self, names: Vec<String>, creation: Creation) {
        let at = now();
        let expires_at = at + creation.life;
        let mut digests: Vec<String> = names.iter().map(|name| object::digest(name)).collect();
        digests.retain(|digest| recall(digest, self.provider).flatten() != Some(self.key));
        if digests.is_empty() {
            return;
        }
        for digest in &digests {
            learn(digest, self.provider, Some(self.key), expires_at);
        }
        let (store, provider, key) = (self.store.clone(), self.provider.to_owned(), self.key);
        let write = async move |store: Store, digests: Vec<String>| {
            if let Err(refusal) = store.remember(&digests, &provider, key, expires_at, at).await {
                respond::log("objects not remembered", &refusal.to_string());
            }
        };
        if creation.stored == Stored::Always {
            write(store.patient(SHORT_PATIENCE), digests).await;
        } else {
            self.ctx.wait_until(async move { write(store, digests).await });
        }
    }

    /// An object was deleted.
    pub fn forget(&self, name: &str) {
        let digest = object::digest(name);
        learn(&digest, self.provider, None, now() + UNKNOWN_FOR);
        let (store, provider) = (self.store.clone(), self.provider.to_owned());
        self.ctx.wait_until(async move {
            if let Err(refusal) = store.forget(&digest, &provider).await {
                respond::log("object not forgotten", &refusal.to_string());
            }
        });
    }
}

/// Two bodies of one.
fn split(body: &ReadableStream) -> Option<(ReadableStreamDefaultReader, ReadableStream)> {
    let both = body.tee();
    let ours: ReadableStream = both.get(0).dyn_into().ok()?;
    let theirs: ReadableStream = both.get(1).dyn_into().ok()?;
    Some((ours.get_reader().unchecked_into(), theirs))
}

/// The head of a body: until a name is in it, or the first event of a stream is over, or there is enough.
async fn head_of(
    reader: &ReadableStreamDefaultReader,
    stream: bool,
    creation: Creation,
) -> Vec<u8> {
    let first = creation.fields.iter().all(|field| field.top && field.member.is_none());
    let mut head = Vec::new();
    while let Ok(Some(chunk)) = read_chunk(reader).await {
        let room = u32::try_from(LONGEST_HEAD.saturating_sub(head.len())).unwrap_or(0);
        head.extend(chunk.subarray(0, chunk.length().min(room)).to_vec());
        let enough = if stream {
            end_of_events(&head) > 0
        } else {
            first && !model::texts_of(&head, creation.fields).is_empty()
        };
        if enough || head.len() >= LONGEST_HEAD {
            break;
        }
    }
    // Nothing is kept for a branch that is given up.
    let cancelled = reader.cancel();
    detach(async move { drop(settled(&cancelled).await) });
    head
}

/// The JSON text of an answer, or of its first event.
fn json_in(head: &[u8]) -> &[u8] {
    let start = head.iter().position(|byte| *byte == b'{').unwrap_or(0);
    head.get(start..).unwrap_or_default()
}
