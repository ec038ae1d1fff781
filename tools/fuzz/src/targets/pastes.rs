//! Pasted keys: each once, and none that does not fit a header.

use std::collections::HashSet;

use one_balance::balance::import::{Entry, Format, Status, judge, read};

use super::ensure;
use crate::mutate::Source;
use crate::{Input, Target};

pub const READ: Target = Target { name: "paste", weight: 5, make, check };

const KNOWN: [&str; 11] = [
    "AIzaSyD-0123456789\nAIzaSyD-9876543210\r\nAIzaSyD-0123456789",
    "# keys\nsk-proj-0123456789, \"sk-proj-9876543210\";'gsk_0123456789'",
    "[\"AIzaSy-one\",\n\"AIzaSy-two\"]",
    "\u{feff}AIzaSy-one\u{200b}\nshort\nwith blank inside",
    "// comment\neyJhbGciOiJSUzI1NiJ9.eyJhbGciOiJSUzI1NiJ9",
    "\u{5bc6}\u{94a5}-0123456789",
    "OPENAI_API_KEY=sk-proj-0123456789 # work\nexport GROQ_API_KEYS=\"gsk_0123456789,gsk_9876543210\"",
    "key,provider,tags,priority\nsk-proj-0123456789,openai,\"a, b\",7\n\"gsk_0123456789\",groq,,",
    "{\"one_balance_export\":1,\"keys\":[{\"key\":\"sk-proj-0123456789\",\"provider\":\"openai\",\"state\":\"disabled\"}]}",
    "INSERT INTO keys (key, provider) VALUES ('sk-proj-0123456789', 'openai'), ('gsk_0123456789', NULL);",
    "{\"openai\": [\"sk-proj-0123456789\"], \"groq\": {\"api_key\": \"gsk_0123456789\"}}",
];

fn make(source: &mut Source<'_>) -> Input {
    let known = source.rng.pick(&KNOWN);
    Input::default().with("text", source.mutated_text(known))
}

fn check(input: &Input) -> Result<(), String> {
    let text = input.text("text");
    let (format, entries) = read(&text);
    let lines = text.lines().count();
    let by_line = matches!(format, Format::Lines | Format::Env | Format::Csv);
    let judged = judge(&entries, Some("openai"), 0, entries.len());
    ensure(judged.len() == entries.len(), "each is told of", || format!("{judged:?}"))?;
    let mut once = HashSet::new();
    let mut plain: Vec<&str> = Vec::new();
    for (Entry { line, key, .. }, status) in entries.iter().zip(&judged) {
        ensure(*line >= 1, "a key has its line", || line.to_string())?;
        ensure(!by_line || *line <= lines, "a key has its line", || format!("{line} of {lines}"))?;
        match status {
            Status::Key { provider, .. } => {
                let good = key.bytes().all(|byte| byte.is_ascii_graphic())
                    && (8..=4096).contains(&key.len());
                ensure(good, "a key fits a header", || key.clone())?;
                ensure(once.insert((provider, key)), "each key once", || key.clone())?;
                // Quoted in a table, it may have lost quotes inside.
                let there = format != Format::Lines || text.contains(key);
                ensure(there, "a key stood there", || key.clone())?;
                plain.push(key);
            }
            Status::Repeated { first_line } => {
                ensure(first_line <= line, "the first stood before", || format!("{first_line}"))?;
            }
            Status::Invalid(problem) => {
                let told = problem.message.ends_with('.') && !problem.code.is_empty();
                ensure(told, "a mistake is told", || format!("{problem:?}"))?;
            }
        }
    }
    if format != Format::Lines {
        return Ok(());
    }
    // What was read and written again is the same.
    // A line of its own may be a comment or an assignment where a piece of one is not.
    plain.retain(|key| !key.starts_with('#') && !key.starts_with("//") && !key.contains('='));
    let (format, again) = read(&plain.join("\n"));
    let same =
        format != Format::Lines || again.iter().map(|it| it.key.as_str()).eq(plain.iter().copied());
    ensure(same, "what was read is read again", || format!("{plain:?}"))
}
