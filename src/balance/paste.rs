//! Keys as people paste them: lines or commas, with quotes, comments and the odd mistake.

use std::collections::HashSet;

use super::key::Secret;
use super::problem::Problem;

/// The most keys that one paste may hold: ten statements of a thousand, within the 50 of a request.
pub const MOST_KEYS: usize = 10_000;
/// No provider's keys are shorter.
const SHORTEST: usize = 8;
/// A service account as JSON in base64 has about 3,200.
const LONGEST: usize = 4096;

/// What stood in a paste.
#[derive(Debug, Default)]
pub struct Paste {
    /// Keys, each once.
    pub keys: Vec<Pasted>,
    /// Keys that stood there before: the line, and the key.
    pub repeated: Vec<(usize, Secret)>,
    /// What cannot be a key.
    pub invalid: Vec<Invalid>,
}

/// A key of a paste.
#[derive(Debug)]
pub struct Pasted {
    /// The line on which it stood first, from 1.
    pub line: usize,
    /// The key.
    pub key: Secret,
    /// Its [`Secret::digest`], computed once: thousands of them are a good part of the 10 ms of CPU.
    pub digest: String,
}

/// What cannot be a key.
#[derive(Debug, PartialEq, Eq)]
pub struct Invalid {
    /// The line, from 1.
    pub line: usize,
    /// Its first characters, to find it again.
    pub hint: String,
    /// What is wrong and what to do.
    pub why: String,
}

/// Reads pasted text: one key a line, or several with commas or semicolons between them. Empty
/// lines and those that begin with `#` or `//` mean nothing.
#[must_use]
pub fn read(text: &str) -> Paste {
    let lines = text.lines().enumerate().flat_map(|(at, line)| {
        let comment = ["#", "//"].iter().any(|start| line.trim_start().starts_with(start));
        let line = if comment { "" } else { line };
        line.split([',', ';']).map(move |item| (at + 1, item))
    });
    read_items(lines)
}

/// Reads a list of keys, each with the line that it is called by.
pub fn read_items<'a>(items: impl IntoIterator<Item = (usize, &'a str)>) -> Paste {
    let mut paste = Paste::default();
    let mut seen = HashSet::new();
    for (line, item) in items {
        let key = bare(item);
        if key.is_empty() {
            continue;
        }
        if let Some(problem) = objection(key) {
            let why = problem.message;
            paste.invalid.push(Invalid { line, hint: Secret::new(key.to_owned()).hint(), why });
        } else if !seen.insert(key) {
            paste.repeated.push((line, Secret::new(key.to_owned())));
        } else {
            let key = Secret::new(key.to_owned());
            let digest = key.digest();
            paste.keys.push(Pasted { line, key, digest });
        }
    }
    paste
}

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

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn keys(text: &str) -> Vec<(usize, String)> {
        read(text).keys.iter().map(|it| (it.line, it.key.expose().to_owned())).collect()
    }

    #[test]
    fn takes_lines_commas_quotes_and_comments() {
        let text = "# my keys\r\nAIzaSy-one\r\n\r\n \"AIzaSy-two\", 'AIzaSy-three',\nAIzaSy-four;AIzaSy-five\n// end";
        let expected = [
            (2, "AIzaSy-one"),
            (4, "AIzaSy-two"),
            (4, "AIzaSy-three"),
            (5, "AIzaSy-four"),
            (5, "AIzaSy-five"),
        ];
        assert_eq!(keys(text), expected.map(|(line, key)| (line, key.to_owned())));
        assert_eq!(keys("[\"AIzaSy-one\",\n\"AIzaSy-two\"]").len(), 2, "a JSON list");
        assert_eq!(keys("\u{feff}AIzaSy-one\u{200b}").first().unwrap().1, "AIzaSy-one");
    }

    #[test]
    fn reports_what_is_wrong_and_loses_nothing_else() {
        let paste = read(
            "AIzaSy-one\nshort\nsk-with blank-inside\nAIzaSy-one\nAIzaSy-密钥-two\nAIzaSy-six",
        );
        assert_eq!(paste.keys.len(), 2);
        assert_eq!(paste.repeated.iter().map(|(line, _)| *line).collect::<Vec<_>>(), [4]);
        assert_eq!(paste.invalid.iter().map(|bad| bad.line).collect::<Vec<_>>(), [2, 3, 5]);
        assert!(
            paste
                .invalid
                .iter()
                .all(|bad| bad.why.ends_with('.') && bad.hint.ends_with(|c| c == '…' || c != ' '))
        );
    }

    #[test]
    fn takes_a_service_account_in_base64() {
        let long = "eyJ".repeat(1_000);
        assert_eq!(keys(&long).len(), 1);
        assert_eq!(read(&"x".repeat(5_000)).invalid.len(), 1);
    }

    proptest! {
        #[test]
        fn never_panics_and_every_key_fits_a_header(text: String) {
            for Pasted { key, .. } in read(&text).keys {
                prop_assert!(key.expose().bytes().all(|byte| byte.is_ascii_graphic()));
            }
        }
    }
}
