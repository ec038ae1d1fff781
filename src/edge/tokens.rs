//! Clients' tokens that were made in the page, as this isolate knows them: those that it has seen, each
//! at most half a minute old while it is used, with what was counted of them.
//!
//! A request whose token is in `AUTH_KEY`, or known here, never waits for D1. An unknown one is looked
//! up once; that it is none of ours is remembered for a while.

use core::cell::RefCell;
use std::collections::HashMap;
use std::rc::Rc;

use worker::web_sys::Request;

use super::admin::session;
use super::env::Settings;
use super::inbound::{self, Said};
use super::objects;
use super::platform::now;
use super::respond::log;
use super::store::tokens::TokenRow;
use super::store::{LONG_PATIENCE, Store};
use super::task::apart;
use crate::balance::error::{Kind, Refusal};
use crate::balance::key::hex;
use crate::balance::limit::Counter;
use crate::balance::route::ApiRoute;
use crate::balance::token::{self, Scope, Token};
use crate::balance::{DAY, MINUTE, Millis, SECOND};

/// How tokens of the page begin. Nothing else is looked up.
pub const PREFIX: &str = "ob-";
/// Hexadecimal digits behind it: 160 bits.
pub const DIGITS: usize = 40;

/// A token older than this is read again, behind a request.
const STALE_AFTER: Millis = 25 * SECOND;
/// A token older than this is not trusted any more, unless D1 does not answer.
const FORGOTTEN_AFTER: Millis = 10 * MINUTE;
/// How long it is remembered that a text is no token.
const UNKNOWN_FOR: Millis = 30 * SECOND;
/// Tokens remembered, and texts that are none; some 0.3 KB each.
const MOST_KNOWN: usize = 1_000;
/// Unknown texts that are looked up within [`UNKNOWN_FOR`]: someone who guesses must not use up D1's day.
const MOST_LOOKED_UP: u32 = 100;

/// A token with what it may do.
struct Client {
    id: u64,
    token: Rc<Token>,
    per_minute: Option<u32>,
    per_day: Option<u32>,
    enabled: bool,
    read_at: Millis,
    used: bool,
    counter: Counter,
}

#[derive(Default)]
struct Known {
    clients: HashMap<String, Client>,
    unknown: HashMap<String, Millis>,
    looked_up: (Millis, u32),
    refreshing_since: Millis,
}

thread_local! {
    static KNOWN: RefCell<Known> = RefCell::default();
}

/// Who asks.
pub enum Who<'t> {
    /// A client with a token of `AUTH_KEY`.
    Setting(&'t Token),
    /// An administrator in the page.
    Page(&'t Token),
    /// A client with a token that was made in the page, and its id.
    Client(u64, Rc<Token>),
    /// Someone who goes on with an upload that a token began here.
    Upload(Token),
}

impl Who<'_> {
    /// What may be done.
    #[must_use]
    pub fn token(&self) -> &Token {
        match self {
            Self::Setting(token) | Self::Page(token) => token,
            Self::Client(_, token) => token,
            Self::Upload(token) => token,
        }
    }

    /// Whether the page asks.
    #[must_use]
    pub const fn is_page(&self) -> bool {
        matches!(self, Self::Page(_))
    }

    /// By which name the token is listed.
    #[must_use]
    pub fn name(&self) -> String {
        match self {
            Self::Setting(token) | Self::Page(token) => token.id(),
            Self::Client(id, _) => id.to_string(),
            Self::Upload(_) => "upload".to_owned(),
        }
    }
}

/// Who sends this request.
///
/// # Errors
/// When nobody is let in by what it presents.
pub async fn who<'t>(
    request: &Request,
    said: &Said,
    api: &ApiRoute,
    settings: &'t Settings,
    store: &Store,
) -> Result<Who<'t>, Refusal> {
    let refusal = match inbound::token_of(&settings.tokens, said, api, now()) {
        Ok(token) => return Ok(Who::Setting(token)),
        Err(refusal) => refusal,
    };
    match refusal.kind {
        Kind::NoToken => match session::of_page(request, settings) {
            Some(token) => Ok(Who::Page(token)),
            None if apart(objects::continues_upload(store, api)).await => {
                Ok(Who::Upload(Token::of_upload()))
            }
            None => Err(refusal),
        },
        Kind::UnknownToken => match apart(admit(store, inbound::presented(said, api))).await? {
            Some((id, token)) => Ok(Who::Client(id, token)),
            None => Err(refusal),
        },
        _ => Err(refusal),
    }
}

/// The token that one of these texts is, if it may be used now; counted. `None`: none of them is one.
///
/// # Errors
/// When it is one, but expired, disabled or over a limit, or D1 does not answer.
async fn admit(
    store: &Store,
    presented: impl Iterator<Item = &str>,
) -> Result<Option<(u64, Rc<Token>)>, Refusal> {
    for text in presented {
        let text = text.trim();
        let is_ours = text.strip_prefix(PREFIX).is_some_and(|rest| {
            rest.len() == DIGITS && rest.bytes().all(|b| b.is_ascii_hexdigit())
        });
        if !is_ours {
            continue;
        }
        let digest = hex(&token::digest(text));
        if !is_known(&digest) && may_look_up(&digest) {
            let rows = store.tokens_of(core::slice::from_ref(&digest), now()).await?;
            learn(&digest, rows.into_iter().next());
        }
        if let Some(admitted) = count(&digest) {
            return admitted.map(Some);
        }
    }
    Ok(None)
}

fn is_known(digest: &str) -> bool {
    let fresh = |at: Millis, age: Millis| now().saturating_sub(at) < age;
    KNOWN.with_borrow(|known| {
        known.clients.get(digest).is_some_and(|client| fresh(client.read_at, FORGOTTEN_AFTER))
            || known.unknown.get(digest).is_some_and(|at| fresh(*at, UNKNOWN_FOR))
    })
}

/// Whether D1 is asked about an unknown text: not for each of thousands of guesses.
fn may_look_up(digest: &str) -> bool {
    KNOWN.with_borrow_mut(|known| {
        if known.clients.contains_key(digest) {
            return true;
        }
        let (since, count) = &mut known.looked_up;
        if now().saturating_sub(*since) >= UNKNOWN_FOR {
            (*since, *count) = (now(), 0);
        }
        *count += 1;
        *count <= MOST_LOOKED_UP
    })
}

/// What D1 knows of a digest.
fn learn(digest: &str, row: Option<TokenRow>) {
    let at = now();
    KNOWN.with_borrow_mut(|known| {
        let Some(row) = row else {
            known.clients.remove(digest);
            known.unknown.retain(|_, since| at.saturating_sub(*since) < UNKNOWN_FOR);
            if known.unknown.len() < MOST_KNOWN {
                known.unknown.insert(digest.to_owned(), at);
            }
            return;
        };
        known.unknown.remove(digest);
        if known.clients.len() >= MOST_KNOWN && !known.clients.contains_key(digest) {
            let oldest = known.clients.iter().min_by_key(|(_, client)| client.read_at);
            if let Some(oldest) = oldest.map(|(digest, _)| digest.clone()) {
                known.clients.remove(&oldest);
            }
        }
        // A scope that cannot be read allows nothing: better than everything.
        let scope = Scope::parse(&row.scope);
        let enabled = row.enabled && scope.is_some();
        let token = Token::new(digest_of(digest), scope.unwrap_or_default(), row.expires_at);
        let counter = known.clients.remove(digest).map(|client| client.counter).unwrap_or_default();
        let mut client = Client {
            id: row.id,
            token: Rc::new(token),
            per_minute: row.per_minute,
            per_day: row.per_day,
            enabled,
            read_at: at,
            used: false,
            counter,
        };
        let today = u32::try_from(row.today).unwrap_or(u32::MAX);
        client.counter.learn(at - at % DAY, today, at);
        known.clients.insert(digest.to_owned(), client);
    });
}

/// The bytes of 64 hexadecimal digits.
fn digest_of(text: &str) -> [u8; 32] {
    let mut bytes = [0; 32];
    for (byte, at) in bytes.iter_mut().zip((0..).step_by(2)) {
        *byte = text
            .get(at..at + 2)
            .and_then(|two| u8::from_str_radix(two, 16).ok())
            .unwrap_or_default();
    }
    bytes
}

fn count(digest: &str) -> Option<Result<(u64, Rc<Token>), Refusal>> {
    KNOWN.with_borrow_mut(|known| {
        let client = known.clients.get_mut(digest)?;
        client.used = true;
        if client.token.expired(now()) {
            return Some(Err(Refusal::expired_token()));
        }
        if !client.enabled {
            return Some(Err(Refusal::disabled_token()));
        }
        let taken = client.counter.take(client.per_minute, client.per_day, now());
        Some(match taken {
            Ok(()) => Ok((client.id, Rc::clone(&client.token))),
            Err(reached) => Err(Refusal::token_limited(reached)),
        })
    })
}

/// Whether a token in use is stale.
#[must_use]
pub fn is_due() -> bool {
    KNOWN.with_borrow(|known| {
        now().saturating_sub(known.refreshing_since) >= 2 * SECOND
            && known
                .clients
                .values()
                .any(|client| client.used && now().saturating_sub(client.read_at) >= STALE_AFTER)
    })
}

/// Reads the tokens in use again.
pub async fn refresh(store: &Store) {
    let digests: Vec<String> = KNOWN.with_borrow_mut(|known| {
        known.refreshing_since = now();
        let used = known.clients.iter_mut().filter(|(_, client)| client.used);
        used.map(|(digest, client)| {
            client.used = false;
            digest.clone()
        })
        .collect()
    });
    if digests.is_empty() {
        return;
    }
    match store.patient(LONG_PATIENCE).tokens_of(&digests, now()).await {
        Ok(rows) => {
            let mut rows: HashMap<_, _> =
                rows.into_iter().map(|row| (row.digest.clone(), row)).collect();
            for digest in digests {
                let row = rows.remove(&digest);
                learn(&digest, row);
            }
        }
        Err(refusal) => log("tokens not refreshed", &refusal.to_string()),
    }
}

/// A token changed here: D1 is asked about it before it is let in again. `gone`: it was revoked.
pub fn forget(digest: &str, gone: bool) {
    KNOWN.with_borrow_mut(|known| {
        known.unknown.remove(digest);
        if gone {
            known.clients.remove(digest);
            known.unknown.insert(digest.to_owned(), now());
        } else if let Some(client) = known.clients.get_mut(digest) {
            client.read_at = 0;
        }
    });
}
