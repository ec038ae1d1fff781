//! Several isolates that know nothing of each other use the keys of a pool about equally.

use std::collections::BTreeMap;

use one_balance::balance::isolate::{Isolate, Kind, Limits, Rows};
use one_balance::balance::key::{Key, KeyId, Secret};
use one_balance::balance::pick::{Pick, pick};

use crate::rng::Rng;

const KEYS: u64 = 50;
const ISOLATES: u64 = 5;
const REQUESTS: u64 = 2_000;

/// # Errors
/// When a key is used far more or less often than another.
pub fn check() -> Result<(), String> {
    for seed in 0..20 {
        let mut rng = Rng::new(seed);
        let mut isolates: Vec<_> = (0..ISOLATES)
            .map(|_| {
                let mut isolate = Isolate::new(rng.next(), Limits::default());
                let read = isolate.begin("openai", Kind::Load, "", 0);
                let key = |id| Key::new(KeyId(id), Secret::new(format!("secret-{id}")));
                let rows = Rows { keys: (0..KEYS).map(key).collect(), at: 0, more: false };
                isolate.finish(&read, rows, "", 0);
                isolate
            })
            .collect();
        let mut uses: BTreeMap<u64, u64> = BTreeMap::new();
        for request in 0..REQUESTS {
            // Some isolates have more to do than others.
            let which = rng.below(ISOLATES as usize).min(rng.below(ISOLATES as usize));
            let Some(snapshot) = isolates[which].snapshot("openai") else { continue };
            let Pick::Key { id, .. } = pick(snapshot, &[], "m", request) else {
                return Err(format!("fairness, seed {seed}: no key"));
            };
            snapshot.started(id, "m", request);
            snapshot.ended(id, request);
            *uses.entry(id.0).or_default() += 1;
        }
        // Each isolate goes round: the counts of two keys differ by one for each isolate at the most.
        let (least, most) = (uses.values().min().copied(), uses.values().max().copied());
        let fair = uses.len() as u64 == KEYS
            && most.zip(least).is_some_and(|(most, least)| most - least <= ISOLATES);
        if !fair {
            return Err(format!(
                "fairness, seed {seed}: keys are used {least:?} to {most:?} times"
            ));
        }
    }
    Ok(())
}
