//! An answer in the making, and its way to the client: at once, in pieces, or broken off.

use std::fmt::Display;
use std::future::Future;
use std::pin::Pin;
use std::task::{Context, Poll, ready};
use std::time::Duration;

use axum::body::Body;
use axum::response::Response;
use bytes::Bytes;
use futures_core::Stream;
use http::header::CONTENT_TYPE;
use http::{HeaderMap, HeaderName, HeaderValue, StatusCode};
use serde::Serialize;
use tokio::time::Sleep;

use crate::journal::InFlight;

pub struct Answer {
    pub status: StatusCode,
    pub headers: HeaderMap,
    pub payload: Payload,
}

pub enum Payload {
    Whole(Bytes),
    /// A stream; each piece is sent on its own.
    Pieces(Vec<Bytes>),
}

/// How a stream is played, and what goes wrong with it.
#[derive(Clone, Debug, Default)]
pub struct Playback {
    pub delay: Duration,
    /// Break the connection after so many pieces.
    pub cut_after: Option<usize>,
    /// Send this instead of the pieces after so many.
    pub error_after: Option<(usize, Bytes)>,
}

impl Answer {
    fn new(status: u16, content_type: &'static str, payload: Payload) -> Self {
        let mut headers = HeaderMap::with_capacity(24);
        headers.insert(CONTENT_TYPE, HeaderValue::from_static(content_type));
        Self {
            status: StatusCode::from_u16(status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR),
            headers,
            payload,
        }
    }

    pub fn json(status: u16, value: &impl Serialize) -> Self {
        let body = serde_json::to_vec(value).unwrap_or_default();
        Self::new(status, "application/json", Payload::Whole(body.into()))
    }

    /// A body as it was captured; its type is guessed from its beginning.
    pub fn text(status: u16, body: String) -> Self {
        let content_type = match body.trim_start() {
            text if text.starts_with(['{', '[']) => "application/json",
            text if text.starts_with("data:") || text.starts_with("event:") => "text/event-stream",
            text if text.starts_with('<') => "text/html",
            _ => "text/plain; charset=utf-8",
        };
        Self::new(status, content_type, Payload::Whole(body.into()))
    }

    pub fn bytes(content_type: &'static str, body: impl Into<Bytes>) -> Self {
        Self::new(200, content_type, Payload::Whole(body.into()))
    }

    pub fn pieces(content_type: &'static str, pieces: Vec<Bytes>) -> Self {
        Self::new(200, content_type, Payload::Pieces(pieces))
    }

    pub fn events(pieces: Vec<Bytes>) -> Self {
        Self::pieces("text/event-stream; charset=utf-8", pieces)
    }

    pub fn header(&mut self, name: &'static str, value: impl Display) {
        if let Ok(value) = HeaderValue::from_str(&value.to_string()) {
            self.headers.insert(HeaderName::from_static(name), value);
        }
    }

    pub fn fixed_header(&mut self, name: &'static str, value: &'static str) {
        self.headers.insert(HeaderName::from_static(name), HeaderValue::from_static(value));
    }

    /// For names and values that are data, not part of the program. Impossible ones are left out.
    pub fn set_header(&mut self, name: &str, value: &str) {
        if let (Ok(name), Ok(value)) = (HeaderName::try_from(name), HeaderValue::from_str(value)) {
            self.headers.insert(name, value);
        }
    }

    pub fn into_response(self, playback: Playback, in_flight: InFlight) -> Response {
        in_flight.answered(self.status.as_u16());
        let broken = playback.cut_after.is_some() || playback.error_after.is_some();
        let (body, length) = match self.payload {
            Payload::Whole(bytes) if !broken => {
                in_flight.done();
                (Body::from(bytes), None)
            }
            Payload::Whole(bytes) => {
                // The length is announced as if all would come: a client must notice that it did not.
                let length = playback.cut_after.map(|_| bytes.len());
                let middle = bytes.len() / 2;
                let pieces = vec![bytes.slice(..middle), bytes.slice(middle..)];
                (Body::from_stream(Player::new(pieces, playback, in_flight)), length)
            }
            Payload::Pieces(pieces) => {
                (Body::from_stream(Player::new(pieces, playback, in_flight)), None)
            }
        };
        let mut response = Response::new(body);
        *response.status_mut() = self.status;
        *response.headers_mut() = self.headers;
        if let Some(length) = length {
            response.headers_mut().insert(http::header::CONTENT_LENGTH, length.into());
        }
        response
    }
}

/// Plays the pieces of a stream, and knows whether the client stayed for all of them.
struct Player {
    pieces: std::vec::IntoIter<Bytes>,
    sent: usize,
    playback: Playback,
    sleep: Option<Pin<Box<Sleep>>>,
    /// Set once what was sent had its chance to be flushed before the connection breaks.
    flushed: bool,
    in_flight: Option<InFlight>,
}

impl Player {
    fn new(pieces: Vec<Bytes>, playback: Playback, in_flight: InFlight) -> Self {
        Self {
            pieces: pieces.into_iter(),
            sent: 0,
            playback,
            sleep: None,
            flushed: false,
            in_flight: Some(in_flight),
        }
    }

    fn finish(&mut self) {
        if let Some(in_flight) = self.in_flight.take() {
            in_flight.done();
        }
    }
}

impl Stream for Player {
    type Item = Result<Bytes, std::io::Error>;

    fn poll_next(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        let this = self.get_mut();
        if let Some(sleep) = this.sleep.as_mut() {
            ready!(sleep.as_mut().poll(context));
            this.sleep = None;
        }
        if this.in_flight.is_none() {
            return Poll::Ready(None);
        }
        let ended = this.pieces.len() == 0;
        if this.playback.cut_after.is_some_and(|cut| ended || this.sent >= cut) {
            if !this.flushed {
                // One turn without data makes the server write out what it holds.
                this.flushed = true;
                context.waker().wake_by_ref();
                return Poll::Pending;
            }
            this.finish();
            let broken =
                std::io::Error::new(std::io::ErrorKind::ConnectionAborted, "cut by a fault");
            return Poll::Ready(Some(Err(broken)));
        }
        let due = this.playback.error_after.as_ref().filter(|(after, _)| this.sent >= *after);
        if let Some((_, error)) = due {
            let error = error.clone();
            this.finish();
            return Poll::Ready(Some(Ok(error)));
        }
        match this.pieces.next() {
            Some(piece) => {
                this.sent += 1;
                if !this.playback.delay.is_zero() && this.pieces.len() > 0 {
                    this.sleep = Some(Box::pin(tokio::time::sleep(this.playback.delay)));
                }
                Poll::Ready(Some(Ok(piece)))
            }
            None => {
                this.finish();
                Poll::Ready(None)
            }
        }
    }
}
