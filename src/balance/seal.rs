//! Keys are kept sealed when `ENCRYPTION_KEY` is set: AES-256-GCM, so that who reads the database, or a
//! copy of it, has no key.
//!
//! A sealed text is `sealed:1:<id of the sealing key>:<nonce>:<ciphertext>`, the last two in base64url.
//! It is bound to the key's provider and digest as associated data: put into the row of another key
//! it opens no more. (Not to the row's id, which is known only once the row is written, so that
//! the plain text would have to be written first; and so a sealed export can be taken in elsewhere.)
//!
//! The first sealing key seals, all of them open. A text that none opens is *locked*: it stays as it is
//! until the right sealing key is back.

use aes_gcm::aead::{Aead, KeyInit, Payload};
use aes_gcm::{Aes256Gcm, Nonce};
use base64::Engine as _;
use base64::engine::general_purpose::{STANDARD_NO_PAD, URL_SAFE_NO_PAD};
use sha2::{Digest, Sha256};

use super::key::hex;

/// How a sealed text begins; no provider's key does.
pub const PREFIX: &str = "sealed:";
/// The form of it that is written here.
const VERSION: &str = "1";
/// Bytes of a sealing key.
const KEY_BYTES: usize = 32;
/// Bytes of a nonce. Random ones may be used for 2^32 texts with a key.
pub const NONCE_BYTES: usize = 12;

/// A sealing key.
struct SealingKey {
    /// The first 8 hexadecimal digits of a digest of it.
    id: String,
    cipher: Aes256Gcm,
}

/// The sealing keys of a deployment.
#[derive(Default)]
pub struct Keyring {
    keys: Vec<SealingKey>,
    /// Something is set that is no sealing key.
    broken: bool,
}

impl Keyring {
    /// Those of `ENCRYPTION_KEY` and `ENCRYPTION_KEY_OLD`. Each may hold several, with commas or
    /// spaces between them.
    #[must_use]
    pub fn new(current: &str, old: &str) -> Self {
        let mut ring = Self::default();
        let separate = |c: char| c.is_whitespace() || matches!(c, ',' | ';');
        let all = current.split(separate).chain(old.split(separate));
        for text in all.filter(|text| !text.is_empty()) {
            match key_of(text) {
                Some(key) if ring.keys.iter().any(|known| known.id == key.id) => {}
                Some(key) => ring.keys.push(key),
                None => ring.broken = true,
            }
        }
        // Only an old one: it opens, but nothing is sealed with it.
        if current.trim().is_empty() && !ring.keys.is_empty() {
            ring.broken = true;
        }
        ring
    }

    /// What the operator must know of it.
    #[must_use]
    pub fn problem(&self) -> Option<&'static str> {
        self.broken.then_some(
            "ENCRYPTION_KEY (or ENCRYPTION_KEY_OLD) is not what it must be: 32 random bytes in \
             base64. No keys are added until that is mended, since they could not be sealed.",
        )
    }

    /// Whether nothing is sealed here.
    #[must_use]
    pub const fn is_empty(&self) -> bool {
        self.keys.is_empty()
    }

    /// How texts begin that are sealed with the first sealing key; `None` when there is none.
    #[must_use]
    pub fn current(&self) -> Option<String> {
        if self.broken {
            return None;
        }
        self.keys.first().map(|key| format!("{PREFIX}{VERSION}:{}:", key.id))
    }

    /// The ids of all sealing keys, to see whether they changed.
    #[must_use]
    pub fn name(&self) -> String {
        let ids: Vec<_> = self.keys.iter().map(|key| key.id.as_str()).collect();
        ids.join(",")
    }

    /// Whether the sealing key of a sealed text is here.
    #[must_use]
    pub fn knows(&self, sealed: &str) -> bool {
        self.key_of(sealed).is_some()
    }

    /// Seals a key's text; as it is when there is no sealing key. `nonce` must be random.
    ///
    /// # Errors
    /// When what is set is no sealing key: nothing may be stored unsealed by mistake.
    pub fn seal(
        &self,
        provider: &str,
        digest: &str,
        text: &str,
        nonce: [u8; NONCE_BYTES],
    ) -> Result<String, &'static str> {
        if let Some(problem) = self.problem() {
            return Err(problem);
        }
        let Some(key) = self.keys.first() else { return Ok(text.to_owned()) };
        let aad = associated(provider, digest);
        let payload = Payload { msg: text.as_bytes(), aad: &aad };
        let sealed = key
            .cipher
            .encrypt(Nonce::from_slice(&nonce), payload)
            .map_err(|_| "The key is too long to be sealed.")?;
        let [nonce, sealed] = [nonce.as_slice(), &sealed].map(|it| URL_SAFE_NO_PAD.encode(it));
        Ok(format!("{PREFIX}{VERSION}:{}:{nonce}:{sealed}", key.id))
    }

    /// Opens a sealed text; `None`: it is locked.
    #[must_use]
    pub fn open(&self, provider: &str, digest: &str, sealed: &str) -> Option<String> {
        let key = self.key_of(sealed)?;
        let mut parts = sealed.split(':').skip(3);
        let [nonce, sealed] = [parts.next()?, parts.next()?].map(|it| URL_SAFE_NO_PAD.decode(it));
        let (nonce, sealed) = (nonce.ok()?, sealed.ok()?);
        if nonce.len() != NONCE_BYTES || parts.next().is_some() {
            return None;
        }
        let aad = associated(provider, digest);
        let payload = Payload { msg: &sealed, aad: &aad };
        let text = key.cipher.decrypt(Nonce::from_slice(&nonce), payload).ok()?;
        String::from_utf8(text).ok()
    }

    fn key_of(&self, sealed: &str) -> Option<&SealingKey> {
        let rest = sealed.strip_prefix(PREFIX)?.strip_prefix(VERSION)?.strip_prefix(':')?;
        let (id, _) = rest.split_once(':')?;
        self.keys.iter().find(|key| key.id == id)
    }
}

fn key_of(text: &str) -> Option<SealingKey> {
    let bare = text.trim_end_matches('=');
    let bytes = STANDARD_NO_PAD.decode(bare).or_else(|_| URL_SAFE_NO_PAD.decode(bare)).ok()?;
    if bytes.len() != KEY_BYTES {
        return None;
    }
    let cipher = Aes256Gcm::new_from_slice(&bytes).ok()?;
    let mut digest = Sha256::new();
    digest.update(b"one-balance sealing key\n");
    digest.update(&bytes);
    let id = hex(digest.finalize().get(..4)?);
    Some(SealingKey { id, cipher })
}

fn associated(provider: &str, digest: &str) -> Vec<u8> {
    [provider, "\n", digest].concat().into_bytes()
}

/// Whether D1 has a key in this form.
#[must_use]
pub fn is_sealed(text: &str) -> bool {
    text.starts_with(PREFIX)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    const ONE: &str = "AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8=";
    const TWO: &str = "__________________________________________8";

    fn ring(current: &str, old: &str) -> Keyring {
        let ring = Keyring::new(current, old);
        assert!(ring.problem().is_none());
        ring
    }

    fn seal(ring: &Keyring, text: &str) -> String {
        ring.seal("openai", "d1gest", text, [7; NONCE_BYTES]).unwrap()
    }

    #[test]
    fn what_is_sealed_opens_for_its_provider_and_digest_alone() {
        let ring = ring(ONE, "");
        let sealed = seal(&ring, "sk-secret");
        assert!(is_sealed(&sealed) && !sealed.contains("sk-secret"), "{sealed}");
        assert!(sealed.starts_with(&ring.current().unwrap()) && ring.knows(&sealed));
        assert_eq!(ring.open("openai", "d1gest", &sealed).as_deref(), Some("sk-secret"));
        assert_eq!(ring.open("groq", "d1gest", &sealed), None);
        assert_eq!(ring.open("openai", "other", &sealed), None);
        let again = ring.seal("openai", "d1gest", "sk-secret", [8; NONCE_BYTES]).unwrap();
        assert_ne!(again, sealed, "another nonce");
    }

    #[test]
    fn a_known_answer() {
        // AES-256-GCM with this key, nonce and associated data, as any other implementation gives it.
        let sealed = seal(&ring(ONE, ""), "sk-secret");
        let parts: Vec<_> = sealed.split(':').collect();
        assert_eq!(
            (parts.len(), parts[0], parts[1], parts[3]),
            (5, "sealed", "1", "BwcHBwcHBwcHBwcH")
        );
        assert_eq!(parts[4], KNOWN);
    }

    const KNOWN: &str = "fAGLLwpspZGylbSkPAB0st27AhygHJQ3FA";

    #[test]
    fn rotation_seals_with_the_new_one_and_opens_both() {
        let old = seal(&ring(ONE, ""), "sk-secret");
        for both in
            [ring(TWO, ONE), ring(&format!("{TWO},{ONE}"), ""), ring(&format!("{TWO} {ONE}"), ONE)]
        {
            assert_eq!(both.open("openai", "d1gest", &old).as_deref(), Some("sk-secret"));
            let new = seal(&both, "sk-secret");
            assert!(
                !old.starts_with(&both.current().unwrap())
                    && new.starts_with(&both.current().unwrap())
            );
            assert_eq!(ring(TWO, "").open("openai", "d1gest", &new).as_deref(), Some("sk-secret"));
            assert_eq!(both.name().split(',').count(), 2);
        }
        let other = ring(TWO, "");
        assert!(!other.knows(&old) && other.open("openai", "d1gest", &old).is_none(), "locked");
    }

    #[test]
    fn without_a_sealing_key_texts_stay_as_they_are() {
        let none = ring("", "");
        assert_eq!(seal(&none, "sk-secret"), "sk-secret");
        assert!(none.current().is_none() && none.is_empty());
        let sealed = seal(&ring(ONE, ""), "sk-secret");
        assert_eq!(none.open("openai", "d1gest", &sealed), None);
    }

    #[test]
    fn what_is_no_sealing_key_never_lets_a_plain_text_through() {
        for wrong in
            ["password", "AAAA", ONE.trim_start_matches('A'), "!!!", &format!("{ONE},short")]
        {
            let ring = Keyring::new(wrong, "");
            assert!(ring.problem().is_some() && ring.current().is_none(), "{wrong}");
            assert!(ring.seal("openai", "d", "sk-secret", [0; NONCE_BYTES]).is_err());
            assert!(!ring.problem().unwrap().contains(wrong));
        }
        // The new one is missing: what the old one sealed still opens.
        let only_old = Keyring::new("", ONE);
        let sealed = seal(&ring(ONE, ""), "sk-secret");
        assert!(only_old.problem().is_some());
        assert!(only_old.open("openai", "d1gest", &sealed).is_some());
        assert_eq!(ring(ONE.trim_end_matches('='), "").name(), ring(ONE, "").name());
    }

    proptest! {
        #[test]
        fn any_text_comes_back(text in "\\PC{0,300}", nonce: [u8; NONCE_BYTES]) {
            let ring = Keyring::new(ONE, "");
            let sealed = ring.seal("p", "d", &text, nonce).unwrap();
            prop_assert_eq!(ring.open("p", "d", &sealed), Some(text));
        }

        #[test]
        fn a_changed_text_does_not_open(at in 0usize..90, to in "[A-Za-z0-9_:-]") {
            let ring = Keyring::new(ONE, "");
            let sealed = seal(&ring, "sk-a-key-of-some-length");
            let at = at % sealed.len();
            let mut changed = sealed.clone();
            changed.replace_range(at..=at, &to);
            prop_assume!(changed != sealed);
            // The last digit of base64 holds bits that mean nothing; a strict decoder refuses those too.
            prop_assert_eq!(ring.open("openai", "d1gest", &changed), None);
        }

        #[test]
        fn garbage_is_locked(text in "\\PC*|sealed:1:[0-9a-f:]{0,60}") {
            prop_assert_eq!(Keyring::new(ONE, "").open("p", "d", &text), None);
        }
    }
}
