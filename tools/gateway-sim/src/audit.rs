//! Watches for what must never reach the gateway, and reports it instead of only refusing it.

use crate::config::Config;
use crate::keys::Keys;
use crate::request::{self, Call};

const CREDENTIAL_HEADERS: [&str; 5] =
    ["authorization", "x-api-key", "x-goog-api-key", "api-key", "xi-api-key"];
const CREDENTIAL_PARAMETERS: [&str; 3] = ["key", "api_key", "access_token"];
const ADDRESS_HEADERS: [&str; 3] = ["cf-connecting-ip", "x-forwarded-for", "x-real-ip"];

pub struct Finding {
    pub kind: &'static str,
    pub detail: String,
}

/// Lists what is wrong with a request. `registered` says that the key is one of its provider's.
pub fn findings(call: &Call, config: &Config, keys: &Keys, registered: bool) -> Vec<Finding> {
    let mut findings = Vec::new();
    let mut add = |kind, detail: String| findings.push(Finding { kind, detail });

    let mut credentials: Vec<(String, &str)> = Vec::new();
    for name in CREDENTIAL_HEADERS {
        for value in call.headers.get_all(name) {
            credentials.push((name.to_owned(), value.to_str().unwrap_or_default()));
        }
    }
    for (name, value) in &call.query {
        if CREDENTIAL_PARAMETERS.contains(&name.as_str()) {
            credentials.push((format!("?{name}="), value.as_str()));
        }
    }
    if credentials.len() > 1 {
        let places: Vec<&str> = credentials.iter().map(|(place, _)| place.as_str()).collect();
        add("several-credentials", places.join(", "));
    }
    if call.key.is_none() && call.slug != "dynamic" {
        add("no-credential", format!("no key of {} where it belongs", call.slug));
    }
    for (place, value) in &credentials {
        // Whatever the scheme in front of it is, the key is the last word.
        let text = value.rsplit(' ').next().unwrap_or(value);
        if registered && call.key.as_deref() == Some(text) {
            continue;
        }
        if let Some(other) = keys.foreign_to(&call.slug, text) {
            add(
                "foreign-key",
                format!("{place}: {} is a key of {other}, sent to {}", hint(text), call.slug),
            );
        }
    }
    let private = |(_, value): &(String, &str)| {
        request::is_service_account(value.rsplit(' ').next().unwrap_or(value))
    };
    if call.direct && credentials.iter().any(private) {
        add("private-key", "a service account, sent to a provider".to_owned());
    }
    if call.headers.contains_key("cookie") {
        add("cookie", "a cookie header".to_owned());
    }
    for name in ADDRESS_HEADERS {
        if call.headers.contains_key(name) {
            add("client-address", name.to_owned());
        }
    }
    for name in
        call.headers.keys().filter(|name| call.direct && name.as_str().starts_with("cf-aig-"))
    {
        add("gateway-header", format!("{name}, sent to a provider"));
    }
    for (name, wanted) in [("cf-aig-max-attempts", "1"), ("cf-aig-no-wholesale", "true")] {
        if !call.direct && call.header(name) != Some(wanted) {
            add("missing-header", format!("{name}: {wanted}"));
        }
    }
    for forbidden in &config.forbidden {
        for (name, value) in &call.headers {
            if contains(value.as_bytes(), forbidden.as_bytes()) {
                add("forbidden", format!("in the header {name}"));
            }
        }
        for (name, value) in &call.query {
            if value.contains(forbidden.as_str()) {
                add("forbidden", format!("in the query parameter {name}"));
            }
        }
    }
    findings
}

fn contains(haystack: &[u8], needle: &[u8]) -> bool {
    haystack.len() >= needle.len() && haystack.windows(needle.len()).any(|window| window == needle)
}

/// The ends of a key: enough to find it, too little to use it.
fn hint(key: &str) -> String {
    let characters: Vec<char> = key.chars().collect();
    match characters.len() {
        0..=8 => "…".to_owned(),
        length => characters[..4].iter().chain(&['…']).chain(&characters[length - 4..]).collect(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_hint_never_has_the_whole_key() {
        assert_eq!(hint("sk-1234567890"), "sk-1…7890");
        assert_eq!(hint("short"), "…");
    }

    #[test]
    fn finds_a_string_within_bytes() {
        assert!(contains(b"Bearer secret", b"secret"));
        assert!(!contains(b"sec", b"secret"));
    }
}
