//! Pasted keys: each once, and none that does not fit a header.

use one_balance::balance::paste::read;

use super::ensure;
use crate::mutate::Source;
use crate::{Input, Target};

pub const READ: Target = Target { name: "paste", weight: 5, make, check };

const KNOWN: [&str; 6] = [
    "AIzaSyD-0123456789\nAIzaSyD-9876543210\r\nAIzaSyD-0123456789",
    "# keys\nsk-proj-0123456789, \"sk-proj-9876543210\";'gsk_0123456789'",
    "[\"AIzaSy-one\",\n\"AIzaSy-two\"]",
    "\u{feff}AIzaSy-one\u{200b}\nshort\nwith blank inside",
    "// comment\neyJhbGciOiJSUzI1NiJ9.eyJhbGciOiJSUzI1NiJ9",
    "\u{5bc6}\u{94a5}-0123456789",
];

fn make(source: &mut Source<'_>) -> Input {
    let known = source.rng.pick(&KNOWN);
    Input::default().with("text", source.mutated_text(known))
}

fn check(input: &Input) -> Result<(), String> {
    let text = input.text("text");
    let paste = read(&text);
    let lines = text.lines().count();
    let keys: Vec<&str> = paste.keys.iter().map(|it| it.key.expose()).collect();
    let once = paste.keys.iter().map(|it| (&it.line, &it.key));
    for (line, key) in once.chain(paste.repeated.iter().map(|(line, key)| (line, key))) {
        let key = key.expose();
        let good =
            key.bytes().all(|byte| byte.is_ascii_graphic()) && (8..=4096).contains(&key.len());
        ensure(good, "a key fits a header", || key.to_owned())?;
        ensure((1..=lines).contains(line), "a key has its line", || format!("{line} of {lines}"))?;
        ensure(text.contains(key), "a key stood there", || key.to_owned())?;
    }
    let unique = keys.iter().collect::<std::collections::HashSet<_>>().len();
    ensure(unique == keys.len(), "each key once", || format!("{keys:?}"))?;
    for bad in &paste.invalid {
        let good = (1..=lines).contains(&bad.line) && bad.why.ends_with('.');
        ensure(good, "a mistake has its line", || format!("{bad:?}"))?;
        ensure(bad.hint.chars().count() <= 9, "a hint tells little", || format!("{bad:?}"))?;
    }
    // What was read and written again is the same.
    let plain: Vec<&str> =
        keys.into_iter().filter(|key| !key.starts_with('#') && !key.starts_with("//")).collect();
    let again = read(&plain.join("\n"));
    let same = again.keys.iter().map(|it| it.key.expose()).eq(plain.iter().copied());
    ensure(same && again.invalid.is_empty(), "what was read is read again", || format!("{plain:?}"))
}
