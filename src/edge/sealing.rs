//! The sealing keys of this deployment, and the cron's part of sealing what was stored earlier.
//! [`crate::balance::seal`] has the form.

use core::cell::RefCell;

use super::log;
use super::platform::now;
use super::store::Store;
use super::store::sealing::{LOOKED_AT, Progress, SEALED_PER_RUN};
use crate::balance::error::Refusal;
use crate::balance::key::Secret;
use crate::balance::problem::Problem;
use crate::balance::seal::{Keyring, NONCE_BYTES};
use crate::balance::{DAY, Millis};

/// All keys are looked through again after this long, should one have slipped through: while a new
/// version is deployed, isolates of the old one still write.
const AGAIN_AFTER: Millis = 7 * DAY;

thread_local! {
    static RING: RefCell<Keyring> = RefCell::default();
}

/// Takes `ENCRYPTION_KEY` and `ENCRYPTION_KEY_OLD` over, when the settings are read.
pub fn configure(current: &str, old: &str) -> Option<Problem> {
    let ring = Keyring::new(current, old);
    let problem = ring.problem().map(|what| Problem::new("encryption_key", what));
    RING.set(ring);
    problem
}

/// What D1 is given of a key: its text, sealed if there is a sealing key.
///
/// # Errors
/// When it should be sealed and cannot be.
pub fn seal(provider: &str, digest: &str, key: &Secret) -> Result<String, Refusal> {
    let mut nonce = [0; NONCE_BYTES];
    getrandom::fill(&mut nonce)
        .map_err(|why| Refusal::internal(format!("no randomness: {why}")))?;
    RING.with_borrow(|ring| ring.seal(provider, digest, key.expose(), nonce)).map_err(Refusal::busy)
}

/// The key itself; `None`: it is locked.
#[must_use]
pub fn open(provider: &str, stored: &Secret) -> Option<Secret> {
    RING.with_borrow(|ring| stored.opened(ring, provider))
}

/// Whether the sealing key of a stored text is here, as far as can be told without opening it.
#[must_use]
pub fn may_open(stored: &Secret) -> bool {
    stored.sealed().is_none_or(|sealed| RING.with_borrow(|ring| ring.knows(sealed)))
}

/// Whether keys are sealed here.
#[must_use]
pub fn seals() -> bool {
    RING.with_borrow(|ring| ring.current().is_some())
}

/// The key in a sealed text of an export, which has its digest behind it.
#[must_use]
pub fn open_exported(provider: &str, text: &str) -> Option<String> {
    let (sealed, digest) = text.trim().rsplit_once(':')?;
    RING.with_borrow(|ring| ring.open(provider, digest, sealed))
}

/// Seals some of the keys that are not sealed with the first sealing key yet, and counts the locked.
///
/// # Errors
/// When D1 does not answer.
pub async fn run(store: &Store) -> Result<(), Refusal> {
    let (name, current, none) =
        RING.with_borrow(|ring| (ring.name(), ring.current(), ring.is_empty()));
    let known = store.sealing_progress().await?;
    let mut progress = match known {
        Some(known) if known.ring == name => known,
        // Nothing is sealed here, and nothing was.
        None if none => return Ok(()),
        _ => Progress { ring: name, ..Progress::default() },
    };
    if progress.done.is_some_and(|at| now().saturating_sub(at) < AGAIN_AFTER) {
        return Ok(());
    }
    progress.done = None;
    let (rows, looked_at, last) = store.unsealed(progress.cursor, current.as_deref()).await?;
    let mut changes = Vec::new();
    for row in &rows {
        let Some(key) = open(&row.provider, &row.secret()) else {
            progress.locked += 1;
            continue;
        };
        if current.is_some() {
            changes.push((row.id, row.text(), seal(&row.provider, row.digest(), &key)?));
        }
    }
    match rows.last().filter(|_| rows.len() >= SEALED_PER_RUN as usize) {
        Some(row) => progress.cursor = row.id,
        None if looked_at >= u64::from(LOOKED_AT) => progress.cursor = last,
        None => {
            progress.before = progress.locked;
            (progress.cursor, progress.locked, progress.done) = (0, 0, Some(now()));
        }
    }
    store.write_sealed(&changes, &progress).await?;
    if progress.before.max(progress.locked) > 0 {
        let locked = progress.before.max(progress.locked);
        log::trouble("keys are locked", &format!("no ENCRYPTION_KEY that is here opens {locked}"));
    }
    Ok(())
}
