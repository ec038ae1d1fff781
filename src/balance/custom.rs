//! In which header does a custom provider read its key? The var `CUSTOM_HEADERS`, for those that want it
//! elsewhere than in `Authorization: Bearer`.
//!
//! ```text
//! CUSTOM_HEADERS = entry { "," entry }
//! entry          = "custom-" name "=" header [ ":" scheme ]
//! ```
//!
//! `custom-acme=x-acme-key, custom-foo=authorization: Token`. Without a scheme the key stands alone. An
//! entry that is wrong is left out and told of; the others hold. What is told repeats no text of the
//! setting: someone may have put a key there.

use super::problem::Problem;
use super::provider::{self, KEY_HEADERS, KeyHeader, Provider};

/// A row is kept for each for as long as the isolate lives.
const MOST_ENTRIES: usize = 100;
/// The longest header name and the longest scheme.
const LONGEST_WORD: usize = 64;

/// Headers that say something else: with a key in them a request would not be understood any more.
const TAKEN: &[&str] = &[
    "accept",
    "accept-language",
    "anthropic-version",
    "content-encoding",
    "content-language",
    "content-type",
    "range",
    "user-agent",
];

/// The custom providers that are named in the setting, with their rows, and what is wrong with it.
#[must_use]
pub fn parse(text: &str) -> (Vec<(String, &'static Provider)>, Vec<Problem>) {
    let mut rows: Vec<(String, &'static Provider)> = Vec::new();
    let mut problems = Vec::new();
    let entries = text.split(',').map(str::trim).filter(|entry| !entry.is_empty());
    for (at, entry) in entries.enumerate() {
        let row = if at < MOST_ENTRIES { read(entry) } else { Err("there are too many") };
        let row = row.and_then(|(slug, header)| {
            let twice = rows.iter().any(|(known, _)| known == slug);
            if twice { Err("the provider is there twice") } else { Ok((slug, header)) }
        });
        match row {
            // Leaked, so that it is like every other row. It is done once in an isolate.
            Ok((slug, header)) => rows.push((
                slug.to_owned(),
                Box::leak(Box::new(provider::custom_with(KeyHeader {
                    name: String::leak(header.name),
                    scheme: String::leak(header.scheme),
                }))),
            )),
            Err(why) => {
                let sentence = format!(
                    "Entry {} of CUSTOM_HEADERS is left out: {why}. One looks like \
                     `custom-acme=x-api-key` or `custom-acme=authorization: Token`.",
                    at + 1
                );
                problems.push(Problem::new("custom_header", sentence).with("entry", at + 1));
            }
        }
    }
    (rows, problems)
}

struct Header {
    name: String,
    scheme: String,
}

fn read(entry: &str) -> Result<(&str, Header), &'static str> {
    let (slug, header) = entry.split_once('=').ok_or("it has no `=`")?;
    let slug = slug.trim();
    if !provider::is_custom(slug) {
        return Err("what stands in front of `=` is no `custom-...` provider");
    }
    let (name, scheme) = header.split_once(':').unwrap_or((header, ""));
    let (name, scheme) = (name.trim().to_ascii_lowercase(), scheme.trim());
    if !is_word(&name) {
        return Err("what stands behind `=` is no header's name");
    }
    // What does not go on from a client does not because it is a connection's, the platform's, or
    // the gateway's.
    let is_free = provider::forwards(&name) && !name.starts_with("cf-");
    if TAKEN.contains(&name.as_str()) || !(is_free || KEY_HEADERS.contains(&name.as_str())) {
        return Err("that header is for something else");
    }
    if !scheme.is_empty() && !is_word(scheme) {
        return Err("what stands behind `:` is not one word");
    }
    let scheme = if scheme.is_empty() { String::new() } else { [scheme, " "].concat() };
    Ok((slug, Header { name, scheme }))
}

/// A token of RFC 9110, of which names of headers and of schemes are made.
fn is_word(text: &str) -> bool {
    let fits = |byte: u8| byte.is_ascii_alphanumeric() || b"!#$%&'*+-.^_`|~".contains(&byte);
    (1..=LONGEST_WORD).contains(&text.len()) && text.bytes().all(fits)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn entries_are_read() {
        let (rows, problems) = parse(
            " custom-acme=X-Acme-Key,custom-foo = authorization : Token ,, custom-b=x-api-key",
        );
        assert_eq!(problems, []);
        let told: Vec<_> = rows
            .iter()
            .map(|(slug, row)| {
                let (name, value) = row.credential("v1/x", "k");
                (slug.as_str(), name, value)
            })
            .collect();
        assert_eq!(
            told,
            [
                ("custom-acme", "x-acme-key", "k".to_owned()),
                ("custom-foo", "authorization", "Token k".to_owned()),
                ("custom-b", "x-api-key", "k".to_owned()),
            ]
        );
        assert_eq!(rows[0].1.slug, provider::CUSTOM_PREFIX);
        assert!(parse("").0.is_empty());
    }

    #[test]
    fn a_wrong_entry_is_told_of_and_the_others_hold() {
        for wrong in [
            "custom-acme",
            "acme=x-api-key",
            "openai=x-api-key",
            "custom-=x-api-key",
            "custom-a=",
            "custom-a=: Token",
            "custom-a=x api key",
            "custom-a=x-key: Two words",
            "custom-a=x-key: ä",
            "custom-a=content-type",
            "custom-a=Host",
            "custom-a=cookie",
            "custom-a=cf-aig-authorization",
            "custom-a=cf-aig-cache-key",
            "custom-a=sec-x",
            "custom-a=x-forwarded-for",
            "custom-good=x-again",
        ] {
            let (rows, problems) = parse(&format!("custom-good=x-key,{wrong},custom-also=x-key"));
            let slugs: Vec<_> = rows.iter().map(|(slug, _)| slug.as_str()).collect();
            assert_eq!(slugs, ["custom-good", "custom-also"], "{wrong}");
            assert_eq!(problems.len(), 1, "{wrong}");
            assert!(problems[0].message.starts_with("Entry 2 "), "{}", problems[0].message);
        }
        let (_, problems) = parse("sk-secret,custom-a=sk-sécret");
        assert!(
            problems.iter().all(|it| !it.message.contains("cret,") && !it.message.contains("sk-s"))
        );
        let many: String = (0..=MOST_ENTRIES).map(|n| format!("custom-{n}=x-key,")).collect();
        let (rows, problems) = parse(&many);
        assert_eq!((rows.len(), problems.len()), (MOST_ENTRIES, 1));
    }
}
