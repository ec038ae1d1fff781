//! A signed-in browser: what its cookie says, and how wrong tokens are slowed down.
//!
//! The cookie holds the short name of a token of `AUTH_KEY`, an end, and a signature (HMAC-SHA-256)
//! that only someone who knows the token can make: never the token. So it ends with its token, and
//! nothing needs to be stored.

use std::collections::HashMap;

use sha2::{Digest as _, Sha256};
use subtle::ConstantTimeEq as _;

use super::key::hex;
use super::token::{Token, Tokens};
use super::{HOUR, MINUTE, Millis, SECOND};

/// The cookie's name.
pub const COOKIE: &str = "one_balance_session";
/// How long a session lasts.
pub const LASTS: Millis = 12 * HOUR;
/// The first part of a cookie: which kind it is.
const VERSION: &str = "v1";

/// A new session with this token: the cookie's value and its end. `pepper` is `SESSION_SECRET`.
#[must_use]
pub fn open(token: &Token, pepper: &str, now: Millis) -> (String, Millis) {
    let ends = token.expires.unwrap_or(Millis::MAX).min(now + LASTS);
    let claim = format!("{VERSION}.{}.{ends}", token.id());
    let signature = hex(&sign(token, pepper, &claim));
    (format!("{claim}.{signature}"), ends)
}

/// The token with which a session was opened, and the session's end. `None` when the cookie is not
/// one of ours, is over, or its token is no longer an administrator's.
#[must_use]
pub fn check<'t>(
    tokens: &'t Tokens,
    cookie: &str,
    pepper: &str,
    now: Millis,
) -> Option<(&'t Token, Millis)> {
    let (claim, signature) = cookie.rsplit_once('.')?;
    let mut parts = claim.split('.');
    let (version, id, ends) = (parts.next()?, parts.next()?, parts.next()?);
    let ends: Millis = ends.parse().ok()?;
    if version != VERSION || parts.next().is_some() || ends <= now {
        return None;
    }
    let token = tokens.iter().find(|token| {
        token.id() == id
            && bool::from(hex(&sign(token, pepper, claim)).as_bytes().ct_eq(signature.as_bytes()))
    })?;
    (token.unrestricted() && !token.expired(now)).then_some((token, ends))
}

fn sign(token: &Token, pepper: &str, claim: &str) -> [u8; 32] {
    let mut key = Sha256::new();
    key.update(b"one-balance session ");
    key.update(token.digest());
    key.update(pepper.as_bytes());
    hmac(&key.finalize(), claim.as_bytes())
}

/// HMAC-SHA-256 with a key of at most 64 bytes.
fn hmac(key: &[u8], message: &[u8]) -> [u8; 32] {
    let pad = |with: u8| {
        let mut block = [with; 64];
        for (byte, of_key) in block.iter_mut().zip(key) {
            *byte ^= of_key;
        }
        block
    };
    let inner = Sha256::new().chain_update(pad(0x36)).chain_update(message).finalize();
    Sha256::new().chain_update(pad(0x5c)).chain_update(inner).finalize().into()
}

/// The value of our cookie in a `Cookie` header.
#[must_use]
pub fn in_header(header: &str) -> Option<&str> {
    header.split(';').find_map(|pair| {
        let (name, value) = pair.split_once('=')?;
        (name.trim() == COOKIE).then(|| value.trim())
    })
}

/// Whether a page of this host made a request, by the `Origin` that its browser sent.
#[must_use]
pub fn is_own_origin(origin: &str, hosts: &[&str]) -> bool {
    let Some((scheme, host)) = origin.split_once("://") else { return false };
    matches!(scheme, "http" | "https")
        && hosts.iter().any(|own| !own.is_empty() && own.eq_ignore_ascii_case(host))
}

/// Whether an address is this machine's own, where browsers may refuse `Secure` cookies over http.
#[must_use]
pub fn is_loopback(host: &str) -> bool {
    let name = host.rsplit_once(':').filter(|(_, port)| port.bytes().all(|b| b.is_ascii_digit()));
    let name = name.map_or(host, |(name, _)| name);
    matches!(name, "localhost" | "127.0.0.1" | "[::1]") || name.ends_with(".localhost")
}

// === wrong tokens ===

/// Wrong tokens within [`WINDOW`] after which an address has to wait.
pub const MOST_WRONG: u32 = 10;
const WINDOW: Millis = MINUTE;
/// Addresses remembered, at some 100 bytes each.
const MOST_ADDRESSES: usize = 1_000;

/// Who presented wrong tokens lately.
#[derive(Debug, Default)]
pub struct Throttle {
    wrong: HashMap<String, (Millis, u32)>,
}

impl Throttle {
    /// Seconds that the address has to wait, if it has to.
    #[must_use]
    pub fn wait(&self, address: &str, now: Millis) -> Option<u64> {
        let (since, count) = self.wrong.get(address)?;
        let over = since + WINDOW;
        (*count >= MOST_WRONG && now < over).then(|| (over - now).div_ceil(SECOND))
    }

    /// It presented a wrong one.
    pub fn note(&mut self, address: &str, now: Millis) {
        self.wrong.retain(|_, (since, _)| now < *since + WINDOW);
        if self.wrong.len() >= MOST_ADDRESSES && !self.wrong.contains_key(address) {
            // Whoever has so many addresses is not slowed down by this; the others still are.
            let oldest = self.wrong.iter().min_by_key(|(_, (since, _))| *since);
            if let Some(oldest) = oldest.map(|(address, _)| address.clone()) {
                self.wrong.remove(&oldest);
            }
        }
        self.wrong.entry(address.to_owned()).or_insert((now, 0)).1 += 1;
    }
}

#[cfg(test)]
mod tests {
    use super::super::token::parse;
    use super::*;
    use proptest::prelude::*;

    const TOKENS: &str =
        "first-0123456789abcdef;second-0123456789abcdef(2000);third-0123456789abc=openai";

    fn token(tokens: &Tokens, at: usize) -> &Token {
        tokens.iter().nth(at).unwrap()
    }

    #[test]
    fn hmac_is_that_of_rfc_4231() {
        assert_eq!(
            hex(&hmac(&[0x0b; 20], b"Hi There")),
            "b0344c61d8db38535ca8afceaf0bf12b881dc200c9833da726e9376c2e32cff7"
        );
        assert_eq!(
            hex(&hmac(b"Jefe", b"what do ya want for nothing?")),
            "5bdcc146bf60754e6a042426089575c75a003f089d2739839dec58b964ec3843"
        );
    }

    #[test]
    fn a_session_opens_and_ends() {
        let tokens = parse(TOKENS);
        let (cookie, ends) = open(token(&tokens, 0), "", 1_000);
        assert_eq!(ends, 1_000 + LASTS);
        assert_eq!(check(&tokens, &cookie, "", 1_000), Some((token(&tokens, 0), ends)));
        assert_eq!(check(&tokens, &cookie, "", ends), None, "over");
        assert_eq!(check(&tokens, &cookie, "pepper", 1_000), None, "another secret");
        assert!(!cookie.contains("first"));
        let without = parse("second-0123456789abcdef");
        assert_eq!(check(&without, &cookie, "", 1_000), None, "its token is gone");
        let limited = parse("first-0123456789abcdef=openai");
        assert_eq!(check(&limited, &cookie, "", 1_000), None, "its token is limited now");
    }

    #[test]
    fn a_session_ends_with_its_token() {
        let tokens = parse(TOKENS);
        let (cookie, ends) = open(token(&tokens, 1), "", 1_000);
        assert_eq!(ends, 2_000_000);
        assert!(check(&tokens, &cookie, "", 1_999_999).is_some());
        assert!(check(&tokens, &cookie, "", 2_000_000).is_none());
        let (cookie, _) = open(token(&tokens, 2), "", 1_000);
        assert!(check(&tokens, &cookie, "", 1_000).is_none(), "a limited token opens none");
    }

    #[test]
    fn finds_its_cookie_among_others() {
        assert_eq!(in_header("a=b; one_balance_session=v1.x; c"), Some("v1.x"));
        assert_eq!(in_header("xone_balance_session=v1.x"), None);
        assert_eq!(in_header(""), None);
    }

    #[test]
    fn knows_its_own_pages() {
        assert!(is_own_origin("https://a.example", &["a.example"]));
        assert!(is_own_origin("http://localhost:8787", &["", "localhost:8787"]));
        for other in [
            "null",
            "",
            "https://b.example",
            "https://a.example.evil",
            "ftp://a.example",
            "https://a.example:81",
        ] {
            assert!(!is_own_origin(other, &["a.example", ""]), "{other}");
        }
        assert!(
            ["localhost", "127.0.0.1:8787", "[::1]:80", "[::1]", "x.localhost"]
                .into_iter()
                .all(is_loopback)
        );
        assert!(
            !["localhost.example", "10.0.0.1", "127.0.0.1.nip.io:80"].into_iter().any(is_loopback)
        );
    }

    #[test]
    fn wrong_tokens_have_to_wait_and_right_ones_elsewhere_do_not() {
        let mut throttle = Throttle::default();
        for at in 0..u64::from(MOST_WRONG) {
            assert_eq!(throttle.wait("a", at), None);
            throttle.note("a", at);
        }
        assert_eq!(throttle.wait("a", 10_000), Some(50));
        assert_eq!(throttle.wait("b", 10_000), None);
        assert_eq!(throttle.wait("a", WINDOW), None);
        throttle.note("a", WINDOW);
        assert_eq!(throttle.wait("a", WINDOW), None, "counted anew");
        for number in 0..5_000 {
            throttle.note(&number.to_string(), WINDOW);
        }
        assert!(throttle.wrong.len() <= MOST_ADDRESSES);
    }

    proptest! {
        #[test]
        fn no_text_is_a_session(text: String, now: u32) {
            prop_assert!(check(&parse(TOKENS), &text, "", now.into()).is_none());
        }

        #[test]
        fn no_changed_cookie_is_a_session(at in 0usize..100, with in 0u8..128) {
            let tokens = parse(TOKENS);
            let (cookie, _) = open(token(&tokens, 0), "", 1_000);
            let mut bytes = cookie.clone().into_bytes();
            let at = at % bytes.len();
            bytes[at] = with;
            let changed = String::from_utf8(bytes).unwrap();
            prop_assume!(changed != cookie);
            prop_assert!(check(&tokens, &changed, "", 1_000).is_none());
        }
    }
}
