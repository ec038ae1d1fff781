//! Asking a provider again about a key that it rejected: when, and what the answer means.
//!
//! A block on a bare status may be a mistake of ours, so it is doubted soon and often. One in the
//! provider's own words is doubted too, since false ones happen (Gemini has answered
//! `API_KEY_INVALID` for good keys now and then), but less. A provider without a free question is
//! asked by the next client's request instead: the key is put back for one try a day.

use super::provider;
use super::verdict::{Reason, Verdict};
use super::{DAY, HOUR, MINUTE, Millis};

/// Questions in one run of the cron: with their D1 calls well within the 50 subrequests of the Free
/// plan, and few enough for its 10 ms of CPU.
pub const PROBES_PER_RUN: u32 = 20;

/// Waits after a block on a bare status; the last one repeats.
const UNCERTAIN: [Millis; 4] = [MINUTE, 10 * MINUTE, HOUR, DAY];
/// Waits after a block in the provider's words; the last one repeats.
const CERTAIN: [Millis; 2] = [5 * MINUTE, 7 * DAY];
/// The wait where the provider has no free question, after a block on a bare status.
const TRIAL: Millis = DAY;

/// The wait after an answer that said nothing about the key: the next run or the one after it.
pub const UNCLEAR: Millis = 10 * MINUTE;

/// When to ask about a blocked key, after it was asked about `asked` times. `None`: never, the
/// provider was sure and cannot be asked for free; an administrator can still restore the key.
#[must_use]
pub fn due(slug: &str, certain: bool, asked: u32, now: Millis) -> Option<Millis> {
    let free = provider::find(slug).is_some_and(|row| row.probe.is_some());
    let waits: &[Millis] = match (free, certain) {
        (true, true) => &CERTAIN,
        (true, false) => &UNCERTAIN,
        (false, false) => &[TRIAL],
        (false, true) => return None,
    };
    let at = usize::try_from(asked).unwrap_or(usize::MAX).min(waits.len().saturating_sub(1));
    waits.get(at).map(|wait| now + wait)
}

/// What the answer to a probe means.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Outcome {
    /// The provider knows the key: back into the pool.
    Restore,
    /// It still rejects it.
    StillRejected {
        /// Why, in its latest words.
        reason: Reason,
        /// Whether these leave no doubt.
        certain: bool,
    },
    /// The answer says nothing about the key.
    Unclear,
}

/// Reads the verdict on a probe's answer. Being told of a limit or an empty account takes a key that
/// the provider knows.
#[must_use]
pub const fn outcome(verdict: &Verdict) -> Outcome {
    match *verdict {
        Verdict::Success => Outcome::Restore,
        // A key that is blocked for a refusal that did not pass: this is the same refusal.
        Verdict::Cool { reason: reason @ (Reason::Permission | Reason::Suspended), .. } => {
            Outcome::StillRejected { reason, certain: false }
        }
        Verdict::Cool { .. } => Outcome::Restore,
        Verdict::Reject { reason, certain } => Outcome::StillRejected { reason, certain },
        Verdict::Caller | Verdict::Transient { .. } | Verdict::Egress | Verdict::Gateway { .. } => {
            Outcome::Unclear
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::verdict::{Scope, Wait};
    use super::*;

    #[test]
    fn doubts_a_bare_status_sooner_than_plain_words() {
        let waits = |certain| [0, 1, 2, 3, 9].map(|asked| due("openai", certain, asked, 0));
        assert_eq!(waits(false), [MINUTE, 10 * MINUTE, HOUR, DAY, DAY].map(Some));
        assert_eq!(waits(true), [5 * MINUTE, 7 * DAY, 7 * DAY, 7 * DAY, 7 * DAY].map(Some));
    }

    #[test]
    fn without_a_free_question_only_a_doubtful_block_is_tried_again() {
        assert_eq!(due("perplexity-ai", false, 0, 0), Some(DAY));
        assert_eq!(due("perplexity-ai", true, 0, 0), None);
        assert_eq!(due("custom-mine", false, 7, 5), Some(DAY + 5));
    }

    #[test]
    fn restores_only_what_the_provider_lets_in() {
        let cool = |reason| Verdict::Cool { scope: Scope::Key, wait: Wait::Recheck(DAY), reason };
        let reject = Verdict::Reject { reason: Reason::Leaked, certain: true };
        let table = [
            (Verdict::Success, Outcome::Restore),
            (cool(Reason::Billing), Outcome::Restore),
            (
                cool(Reason::Permission),
                Outcome::StillRejected { reason: Reason::Permission, certain: false },
            ),
            (reject, Outcome::StillRejected { reason: Reason::Leaked, certain: true }),
            (Verdict::Caller, Outcome::Unclear),
            (Verdict::Egress, Outcome::Unclear),
            (Verdict::Gateway { code: 2009 }, Outcome::Unclear),
            (Verdict::Transient { elsewhere: true, after: 0, unexecuted: true }, Outcome::Unclear),
        ];
        for (verdict, expected) in table {
            assert_eq!(outcome(&verdict), expected, "{verdict:?}");
        }
    }
}
