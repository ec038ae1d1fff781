//! Looks into a 200 for what its status hides, when the operator wants that: an error in the first
//! event of a stream (`CHECK_STREAMS`), an answer without an answer (`RETRY_EMPTY`). Both are off by
//! default, since a body that is looked into is no longer passed on by the runtime alone.

use worker::wasm_bindgen::JsCast;
use worker::wasm_bindgen_futures::{JsFuture, spawn_local};
use worker::web_sys::{ReadableStream, ReadableStreamDefaultReader, Response, ResponseInit};

use super::upstream::{Failure, next_chunk};
use crate::balance::classify::{LONGEST_EMPTY, MAX_ERROR_BODY, end_of_events};

/// A second reading of a body.
pub type Rest = ReadableStreamDefaultReader;

/// A success whose beginning was read.
pub struct Opened {
    /// The same answer, from its beginning.
    pub response: Response,
    /// The beginning.
    pub head: Vec<u8>,
    /// A second reading of the body, from behind the beginning on.
    pub rest: Rest,
}

/// Whether the answer's type can hide an error: events, or the JSON array of a Gemini stream.
pub fn is_stream(response: &Response, path: &str) -> bool {
    let kind = response.headers().get("content-type").ok().flatten().unwrap_or_default();
    kind.starts_with("text/event-stream") || path.ends_with(":streamGenerateContent")
}

/// How much of an answer is read before it is passed on.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Beginning {
    /// Its first event.
    Event,
    /// As much as an empty answer can have.
    Empty,
}

impl Beginning {
    fn is_in(self, head: &[u8]) -> bool {
        match self {
            Self::Event => end_of_events(head) > 0 || head.len() > MAX_ERROR_BODY,
            Self::Empty => head.len() > LONGEST_EMPTY,
        }
    }
}

/// Reads the beginning of an answer. Chunks are cut anywhere, so it takes as many as it needs.
///
/// # Errors
/// The answer itself, untouched, when it has no body.
pub async fn open(response: Response, beginning: Beginning) -> Result<Opened, Response> {
    let Some(body) = response.body() else { return Err(response) };
    let branches = body.tee();
    let branch = |at| branches.get(at).unchecked_into::<ReadableStream>();
    let reader: ReadableStreamDefaultReader = branch(0).get_reader().unchecked_into();
    let same = Response::new_with_opt_readable_stream_and_init(
        Some(&branch(1)),
        response.unchecked_ref::<ResponseInit>(),
    );
    let response = same.unwrap_or(response);
    let mut head = Vec::new();
    while let Some(chunk) = next_chunk(&reader).await {
        head.extend(chunk.to_vec());
        if beginning.is_in(&head) {
            break;
        }
    }
    Ok(Opened { response, head, rest: reader })
}

impl Opened {
    /// Takes it for a failure after all. What was read is the head of its body.
    pub fn into_failure(self) -> Failure {
        Failure::opened(&self.response, self.head, self.rest)
    }
}

/// Lets go of the second reading; the first goes on alone.
pub fn close(rest: Rest) {
    spawn_local(async move { drop(JsFuture::from(rest.cancel()).await) });
}

/// Shows the rest of a body, in whole events, for as long as it is wanted.
pub async fn watch(rest: Rest, mut show: impl FnMut(&[u8]) -> bool) {
    let mut unseen = Vec::new();
    while let Some(chunk) = next_chunk(&rest).await {
        unseen.extend(chunk.to_vec());
        let end = end_of_events(&unseen);
        let events: Vec<_> = unseen.drain(..end).collect();
        if !events.is_empty() && !show(&events) {
            return close(rest);
        }
        if unseen.len() > MAX_ERROR_BODY {
            unseen.clear(); // an event that is longer is content
        }
    }
}
