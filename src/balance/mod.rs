//! The pure core: every decision of One Balance, and nothing else.
//!
//! No platform, no clock, no randomness, no async: `now` and `seed` are arguments, decisions are
//! return values, and [`crate::edge`] performs them. That is why the whole of it is tested natively.
//!
//! | file | answers |
//! |---|---|
//! | [`provider`] | what is particular to a provider? one table |
//! | [`custom`] | in which header does a custom provider read its key? |
//! | [`route`] | which provider and path does this request mean? |
//! | [`model`] | which model does it ask for? |
//! | [`resolve`] | whose model is that? |
//! | [`catalogue`] | which models does a provider list, and how is that said to a client? |
//! | [`token`] | may this client do that? |
//! | [`verdict`] | the vocabulary: what an answer can say about a key |
//! | [`classify`] | what does this answer say about the key? |
//! | [`retry_after`] | until when? |
//! | [`clock`] | calendar arithmetic: midnight Pacific, month start |
//! | [`key`] | what a key and a cooling are |
//! | [`snapshot`] | what is known of a provider's keys |
//! | [`line`] | in which order are keys used for a model? |
//! | [`quota`] | what was learnt of a key's requests per minute and day? |
//! | [`pick`](mod@pick) | which key is next? |
//! | [`isolate`] | what does an isolate remember, and when does it ask D1 what? |
//! | [`health`] | what does the verdict change about the key? |
//! | [`probe`] | is a blocked key still rejected? |
//! | [`retry`] | and what happens with the request now? |
//! | [`dialect`] | how do we say an error so that the caller's SDK understands it? |
//! | [`error`] | what can go wrong on our side |
//! | [`paste`] | which keys stand in a pasted text? |
//! | [`import`] | and in a file: CSV, JSON, `.env`, exports? |
//! | [`session`] | is this browser signed in? |
//! | [`limit`] | has this client asked too often? |
//! | [`problem`] | what is an administrator told, in any language? |
//! | [`affinity`] | which key does a conversation prefer? |
//! | [`home`] | is a key known where the request goes? |
//! | [`object`] | which key must serve a request, since it holds what the request names? |
//! | [`socket`] | and where are its WebSockets? |
//! | [`gateway`] | where is the AI Gateway? |
//! | [`direct`] | and where are the providers, without one? |
//! | [`seal`] | how is a key kept so that the database alone does not tell it? |
//! | [`usage`] | how much was used? |
//! | [`metrics`] | how does Prometheus read that? |
//! | [`webhook`] | what is the operator told, and when? |

pub mod affinity;
pub mod catalogue;
pub mod classify;
pub mod clock;
pub mod custom;
pub mod dialect;
pub mod direct;
pub mod error;
pub mod gateway;
pub mod health;
pub mod home;
pub mod import;
pub mod isolate;
pub mod key;
pub mod limit;
pub mod line;
pub mod metrics;
pub mod model;
pub mod object;
pub mod paste;
pub mod pick;
pub mod probe;
pub mod problem;
pub mod provider;
pub mod quota;
pub mod resolve;
pub mod retry;
pub mod retry_after;
pub mod route;
pub mod seal;
pub mod session;
pub mod snapshot;
pub mod socket;
pub mod token;
pub mod usage;
pub mod verdict;
pub mod webhook;

/// A point in time: milliseconds since the Unix epoch. Exact in a JavaScript number and in D1.
pub type Millis = u64;

/// One second in [`Millis`].
pub const SECOND: Millis = 1_000;
/// One minute in [`Millis`].
pub const MINUTE: Millis = 60 * SECOND;
/// One hour in [`Millis`].
pub const HOUR: Millis = 60 * MINUTE;
/// One day in [`Millis`].
pub const DAY: Millis = 24 * HOUR;
