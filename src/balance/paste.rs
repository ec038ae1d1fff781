//! What a pasted text must be to be a key: see [`import`](super::import), which finds them.

use super::problem::Problem;

/// The most keys that one paste may hold: ten statements of a thousand, within the 50 of a request.
pub const MOST_KEYS: usize = 10_000;
/// No provider's keys are shorter.
const SHORTEST: usize = 8;
/// A service account as JSON in base64 has about 3,200.
const LONGEST: usize = 4096;

/// Without the blanks, quotes and marks that come along from files and chats, invisible ones
/// included.
pub(super) fn bare(item: &str) -> &str {
    item.trim_matches(|c: char| {
        c.is_whitespace()
            || matches!(c, '"' | '\'' | '`' | '[' | ']' | '\u{feff}' | '\u{200b}'..='\u{200d}')
    })
}

/// Why a text cannot be a key. It goes into a header, so that is what it must fit.
pub(super) fn objection(key: &str) -> Option<Problem> {
    if key.chars().any(char::is_whitespace) {
        let sentence = "There is a blank inside. Put each key on a line of its own.";
        return Some(Problem::new("blank_inside", sentence));
    }
    if let Some(odd) = key.chars().find(|c| !c.is_ascii_graphic()) {
        let odd = format!("U+{:04X}", u32::from(odd));
        let sentence = format!("It has a character that no key has ({odd}). Copy it again.");
        return Some(Problem::new("odd_character", sentence).with("character", odd));
    }
    if key.len() < SHORTEST {
        let sentence = format!("It is shorter than {SHORTEST} characters. Copy the whole key.");
        return Some(Problem::new("too_short", sentence).with("least", SHORTEST));
    }
    if key.len() > LONGEST {
        let sentence = format!("It is longer than {LONGEST} characters. That is more than a key.");
        return Some(Problem::new("too_long", sentence).with("most", LONGEST));
    }
    None
}
