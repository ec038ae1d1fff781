//! Looks into a 200 for what its status hides, when the operator wants that: an error in a stream
//! (`CHECK_STREAMS`), an answer without an answer (`RETRY_EMPTY`). Both are off by default, since a
//! body that is looked into is no longer passed on by the runtime alone: its chunks come through here
//! one by one (`npm run bench:streams` tells what that costs).

use worker::js_sys::{self, Function, Reflect, Uint8Array};
use worker::wasm_bindgen::{JsCast, JsValue};
use worker::web_sys::{
    ReadableStreamDefaultReader, Response, ResponseInit, TransformStream,
    WritableStreamDefaultWriter,
};

use super::task::{detach, settled};
use super::upstream::{Failure, read_chunk};
use crate::balance::classify::{LONGEST_EMPTY, MAX_ERROR_BODY, end_of_events};

/// A success whose beginning was read.
pub struct Opened {
    /// The answer. Its body is being read and must not be passed on as it is.
    pub response: Response,
    /// The beginning of its body.
    pub head: Vec<u8>,
    rest: ReadableStreamDefaultReader,
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

/// Whether the answer's type can hide an error: events, or the JSON array of a Gemini stream.
pub fn is_stream(response: &Response, path: &str) -> bool {
    let kind = response.headers().get("content-type").ok().flatten().unwrap_or_default();
    kind.starts_with("text/event-stream") || path.ends_with(":streamGenerateContent")
}

/// Reads the beginning of an answer. Chunks are cut anywhere, so it takes as many as it needs.
///
/// # Errors
/// The answer itself, untouched, when it has no body.
pub async fn open(response: Response, beginning: Beginning) -> Result<Opened, Response> {
    let Some(body) = response.body() else { return Err(response) };
    let rest: ReadableStreamDefaultReader = body.get_reader().unchecked_into();
    let mut head = Vec::new();
    // A body that breaks off this early is passed on so far, and breaks off there for the caller too.
    while let Ok(Some(chunk)) = read_chunk(&rest).await {
        head.extend(chunk.to_vec());
        if beginning.is_in(&head) {
            break;
        }
    }
    Ok(Opened { response, head, rest })
}

impl Opened {
    /// Takes it for a failure after all. What was read is the head of its body.
    pub fn into_failure(self) -> Failure {
        Failure::opened(&self.response, self.head, self.rest)
    }

    /// The answer from its beginning, chunk by chunk as they come. `show` sees whole events behind
    /// the beginning before the caller does, for as long as it says that it wants more. A caller that
    /// hangs up ends the upstream as well.
    #[must_use]
    pub fn pass_on(self, mut show: impl FnMut(&[u8]) -> bool + 'static) -> Response {
        let Self { response, head, rest } = self;
        let opened = identity().and_then(|through| {
            let response = Response::new_with_opt_readable_stream_and_init(
                Some(&through.readable()),
                response.unchecked_ref::<ResponseInit>(),
            )?;
            Ok((response, through.writable().get_writer()?))
        });
        // None of this fails on a runtime that has streams at all.
        let Ok((passed, writer)) = opened else { return response };
        detach(async move {
            // An error here is the caller's leaving, or the upstream's breaking off: either ends both.
            match pump(&head, &rest, &writer, &mut show).await {
                Ok(()) => drop(settled(&writer.close()).await),
                Err(why) => {
                    let aborted = writer.abort_with_reason(&why);
                    drop(settled(&rest.cancel()).await);
                    drop(settled(&aborted).await);
                }
            }
        });
        passed
    }
}

async fn pump(
    head: &[u8],
    rest: &ReadableStreamDefaultReader,
    writer: &WritableStreamDefaultWriter,
    show: &mut impl FnMut(&[u8]) -> bool,
) -> Result<(), JsValue> {
    // The beginning of the next event may be at the end of the head.
    let mut unseen = head.get(end_of_events(head)..).unwrap_or_default().to_vec();
    let mut wanted = true;
    settled(&writer.write_with_chunk(&Uint8Array::from(head))).await?;
    while let Some(chunk) = read_chunk(rest).await? {
        if wanted {
            unseen.extend(chunk.to_vec());
            let end = end_of_events(&unseen);
            let events: Vec<_> = unseen.drain(..end).collect();
            wanted = events.is_empty() || show(&events);
            if unseen.len() > MAX_ERROR_BODY {
                unseen.clear(); // an event that is longer is content
            }
        }
        settled(&writer.write_with_chunk(&chunk)).await?;
    }
    Ok(())
}

/// The runtime's own pass-through stream. It has no type in `web_sys`, but the shape of one.
fn identity() -> Result<TransformStream, JsValue> {
    let name = JsValue::from_str("IdentityTransformStream");
    let class: Function = Reflect::get(&js_sys::global(), &name)?.dyn_into()?;
    Ok(Reflect::construct(&class, &js_sys::Array::new())?.unchecked_into())
}
