//! The model of a body: however it is cut into chunks, and as a JSON parser reads it.

use one_balance::balance::model::{ModelError, Scanner, Status, boundary, clean, extra_models};
use serde::de::{Deserialize, Deserializer, MapAccess, Visitor};
use serde_json::{Value, json};

use super::ensure;
use crate::mutate::Source;
use crate::{Input, Target};

pub const JSON: Target = Target { name: "json", weight: 20, make: json_body, check: check_json };
pub const FORM: Target = Target { name: "form", weight: 15, make: form_body, check: check_form };

type Found = Result<Option<String>, ModelError>;

const FIELDS: [&str; 3] = ["model", "model_id", "version"];
const MODELS: [&str; 10] = [
    "gpt-5-mini",
    "models/gemini-2.5-flash",
    "qwen/qwen3-coder:free",
    "caf\u{e9}/4",
    "\u{1f600}",
    "",
    " padded ",
    "tab\tinside",
    "@cf/meta/llama",
    "quote\"back\\slash",
];

fn json_body(source: &mut Source<'_>) -> Input {
    let field = source.rng.pick(&FIELDS);
    let mut parts = Vec::new();
    for _ in 0..source.rng.below(5) {
        let mut junk: Value = serde_json::from_slice(&source.body())
            .unwrap_or_else(|_| json!(["x", { "model": "no" }]));
        source.mutate_json(&mut junk);
        let name = source.word().to_owned();
        parts.push(format!("{}:{junk}", quoted(source, &name)));
    }
    for _ in 0..source.rng.below(4) {
        let name = match source.rng.below(8) {
            0 => field.to_uppercase(),
            1 => source.word().to_owned(),
            _ => field.to_owned(),
        };
        let value = match source.rng.below(9) {
            0 => "null".to_owned(),
            1 => "[{\"model\":\"no\"}]".to_owned(),
            2 => "12.5e3".to_owned(),
            3 => {
                let long = "m".repeat(source.rng.below(600));
                quoted(source, &long)
            }
            _ => {
                let name = source.rng.pick(&MODELS);
                quoted(source, name)
            }
        };
        let blank = source.rng.pick(&["", " ", "\n\t", "\r\n"]);
        let at = source.rng.below(parts.len() + 1);
        parts.insert(at, format!("{}{blank}:{blank}{value}{blank}", quoted(source, &name)));
    }
    let mut body = format!("{{{}}}", parts.join(",")).into_bytes();
    if source.rng.once_in(2) {
        source.mutate(&mut body);
    }
    let cuts: Vec<String> = source.cuts(body.len()).iter().map(usize::to_string).collect();
    Input::default().with("field", field).with("body", body).with("cuts", cuts.join(","))
}

/// As JSON, with characters escaped here and there.
fn quoted(source: &mut Source<'_>, text: &str) -> String {
    let mut out = String::from("\"");
    for unit in text.encode_utf16() {
        match char::from_u32(unit.into()) {
            Some(c) if !c.is_control() && !matches!(c, '"' | '\\') && !source.rng.once_in(12) => {
                out.push(c);
            }
            _ => out.push_str(&format!("\\u{unit:04x}")),
        }
    }
    out.push('"');
    out
}

fn check_json(input: &Input) -> Result<(), String> {
    let (field, body) = (input.text("field"), input.bytes("body"));
    let _ = extra_models(body);
    for thorough in [false, true] {
        let found = same_in_chunks(None, &field, thorough, body, &input.numbers("cuts"))?;
        let Ok(Fields(fields)) = serde_json::from_slice::<Fields>(body) else { continue };
        let expected = expected(&fields, &field, thorough);
        ensure(expected.contains(&found), "a parser reads the same model", || {
            format!("thorough {thorough}: {found:?}, not {expected:?}")
        })?;
    }
    Ok(())
}

/// What a parser makes of it; two answers where a name is so long that it may be given up early.
fn expected(fields: &[(String, Value)], field: &str, thorough: bool) -> Vec<Found> {
    let hits = |name: &str| name == field || (thorough && name.eq_ignore_ascii_case(field));
    let mut values = fields.iter().filter(|(name, _)| hits(name)).map(|(_, value)| value);
    let text = |value: &Value| value.as_str().map(str::to_owned);
    let Some(first) = values.next() else { return vec![Ok(None)] };
    let mut expected = Vec::new();
    let differs = |value: &Value| text(value) != text(first);
    expected.push(match text(first) {
        _ if thorough && values.clone().any(differs) => Err(ModelError::Duplicate),
        Some(name) if !name.is_empty() => clean(&name).map(Some),
        _ => Ok(None),
    });
    let long = |value: &&Value| text(value).is_some_and(|name| name.len() > 250);
    if long(&first) || (thorough && values.any(|value| long(&value))) {
        expected.extend([Err(ModelError::TooLong), Err(ModelError::Duplicate)]);
    }
    expected
}

/// The fields of an object as they are written, those that are there twice included.
struct Fields(Vec<(String, Value)>);

impl<'de> Deserialize<'de> for Fields {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct All;
        impl<'de> Visitor<'de> for All {
            type Value = Fields;
            fn expecting(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                f.write_str("an object")
            }
            fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Fields, A::Error> {
                let mut fields = Vec::new();
                while let Some(entry) = map.next_entry()? {
                    fields.push(entry);
                }
                Ok(Fields(fields))
            }
        }
        deserializer.deserialize_map(All)
    }
}

fn form_body(source: &mut Source<'_>) -> Input {
    let mark = match source.rng.below(3) {
        0 => "x".to_owned(),
        1 => "----formdata-undici-012345678901".to_owned(),
        _ => source.mutated_text("9051914041544843365972754266"),
    };
    let line = if source.rng.once_in(4) { "\n" } else { "\r\n" };
    let mut body = String::new();
    if source.rng.once_in(6) {
        body = source.mutated_text("preamble");
    }
    for _ in 0..source.rng.below(5) {
        let name = source.rng.pick(&["model", "file", "MODEL", "purpose", "mod;el", ""]);
        let value = match source.rng.below(6) {
            0 => String::from_utf8_lossy(&source.body()).into_owned(),
            1 => " ".repeat(source.rng.below(3_000)),
            2 => format!("--{mark}"),
            3 => "m".repeat(source.rng.below(3_000)),
            _ => source.rng.pick(&MODELS).to_owned(),
        };
        let more = source.rng.pick(&["", "; filename=\"a;b.txt\"", "; name*=UTF-8''model"]);
        let kind = source.rng.pick(&["", "Content-Type: text/plain"]);
        body.push_str(&format!(
            "--{mark}{line}Content-Disposition: form-data; name=\"{name}\"{more}{line}"
        ));
        if !kind.is_empty() {
            body.push_str(&format!("{kind}{line}"));
        }
        body.push_str(&format!("{line}{value}{line}"));
    }
    body.push_str(&format!("--{mark}--{line}"));
    let mut body = body.into_bytes();
    if source.rng.once_in(2) {
        source.mutate(&mut body);
    }
    let cuts: Vec<String> = source.cuts(body.len()).iter().map(usize::to_string).collect();
    Input::default()
        .with("type", format!("multipart/form-data; boundary={mark}"))
        .with("body", body)
        .with("cuts", cuts.join(","))
}

fn check_form(input: &Input) -> Result<(), String> {
    let kind = input.text("type");
    let _ = boundary(&kind);
    for thorough in [false, true] {
        let body = input.bytes("body");
        drop(same_in_chunks(Some(&kind), "model", thorough, body, &input.numbers("cuts"))?);
    }
    Ok(())
}

/// The model, which must be the same whether the body comes whole or in chunks.
fn same_in_chunks(
    kind: Option<&str>,
    field: &str,
    thorough: bool,
    body: &[u8],
    cuts: &[usize],
) -> Result<Found, String> {
    let whole = scanned(kind, field, thorough, &[body]);
    let mut chunks = Vec::new();
    let mut from = 0;
    for to in cuts.iter().map(|&to| to.min(body.len())).chain([body.len()]) {
        chunks.push(body.get(from..to).unwrap_or_default());
        from = from.max(to);
    }
    let pieces = scanned(kind, field, thorough, &chunks);
    ensure(whole == pieces, "chunks change nothing", || {
        format!("thorough {thorough}: {whole:?} as a whole, {pieces:?} in chunks")
    })?;
    if let Ok(Some(name)) = &whole {
        let good = !name.is_empty() && name.len() <= 256 && !name.chars().any(char::is_control);
        ensure(good, "a model is a name", || format!("{name:?}"))?;
    }
    Ok(whole)
}

fn scanned(kind: Option<&str>, field: &str, thorough: bool, chunks: &[&[u8]]) -> Found {
    let mut scanner = Scanner::new(kind, field, thorough);
    for chunk in chunks {
        if scanner.feed(chunk) == Status::Done {
            break;
        }
    }
    scanner.finish()
}
