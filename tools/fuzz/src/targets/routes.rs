//! Addresses: nothing that a client writes leaves its provider's folder at the gateway.

use one_balance::balance::route::{Route, route};
use one_balance::balance::{dialect, gateway, model, provider};

use super::ensure;
use crate::mutate::Source;
use crate::{Input, Target};

pub const ROUTE: Target = Target { name: "route", weight: 25, make, check };

const BASE: &str = "https://gateway.example/v1/account/one-balance";

const PATHS: [&str; 22] = [
    "chat/completions",
    "v1/chat/completions",
    "openai/v1/chat/completions",
    "v1beta/models/gemini-2.5-flash:generateContent",
    "v1beta/models/..%2f..:generateContent",
    "v1/v1beta//models/x:streamGenerateContent",
    "v1/messages",
    "resource/deployment/chat/completions",
    "bedrock-runtime/us-east-1/model/us.anthropic.claude-x/invoke",
    "v1/projects/p/locations/global/publishers/google/models/gemini-2.5-pro:predict",
    "@cf/meta/llama-3.1-8b-instruct",
    "models/owner/name/predictions",
    "fal-ai/flux/dev/requests/1",
    "v1/text-to-speech/voice",
    "upload/v1beta/files",
    "../../other/gateway/openai/models",
    "..;/..;x/x",
    ".%2e/%2e./%252e%252e/x",
    "a\\..\\b",
    "v1/realtime",
    "",
    "https://elsewhere.example/v1",
];

const QUERIES: [&str; 8] = [
    "",
    "alt=sse",
    "key=k&alt=sse",
    "%6bey=k&Api_Key=k&x=1",
    "model=a&model=b",
    "api-version=2024-10-21",
    "a=1&&b=%20x%2F#fragment",
    "access_token=k?key=k&key",
];

fn make(source: &mut Source<'_>) -> Input {
    let folder = source.rng.pick(&["/api/", "/api//", "//api/", "/", "/admin/api/", "/api"]);
    let folder = if source.rng.once_in(3) { folder } else { "/api/" };
    let mut slug = source.provider().to_owned();
    if source.rng.once_in(8) {
        slug = source.mutated_text(&slug);
    }
    let mut path = source.rng.pick(&PATHS).to_owned();
    if !source.rng.once_in(3) {
        path = source.mutated_text(&path);
    }
    let mut query = source.rng.pick(&QUERIES).to_owned();
    if source.rng.once_in(2) {
        query = source.mutated_text(&query);
    }
    Input::default()
        .with("method", source.rng.pick(&["GET", "POST", "POST", "DELETE", "OPTIONS", "TRACE"]))
        .with("address", format!("{folder}{slug}/{path}?{query}"))
}

fn check(input: &Input) -> Result<(), String> {
    let (method, address) = (input.text("method"), input.text("address"));
    let _ = dialect::of_request(&address);
    let api = match route(&method, &address) {
        Ok(Route::Api(api)) => api,
        Ok(_) => return Ok(()),
        Err(refusal) => {
            let good = (400..500).contains(&refusal.status());
            return ensure(good, "an address is the caller's", || refusal.to_string());
        }
    };
    let known = provider::find(&api.provider).is_some() && !api.provider.contains('/');
    ensure(known, "a route has a provider", || api.provider.clone())?;

    let url = gateway::url(BASE, &api.provider, &api.path, api.query.as_deref());
    let folder = format!("/v1/account/one-balance/{}", api.provider);
    for decodings in 0..3 {
        let path = resolved(&url, decodings);
        let inside = path == folder || path.starts_with(&format!("{folder}/"));
        ensure(inside, "a path stays in its provider's folder", || {
            format!("{url} is {path} after {decodings} decodings")
        })?;
    }
    ensure(!url.bytes().any(|b| b <= b' ' || b == 0x7f), "a URL has no blanks", || url.clone())?;
    ensure(!url.contains('#'), "a URL has no fragment", || url.clone())?;
    let query = api.query.as_deref().unwrap_or_default();
    let credential = query.split('&').any(|pair| {
        let name = pair.split('=').next().unwrap_or_default();
        provider::is_credential_query(&decoded(name))
    });
    ensure(!credential, "no credential goes on in a query", || query.to_owned())?;

    let (name, value) = api.row.credential(&api.path, "key-of-the-pool");
    ensure(value.ends_with("key-of-the-pool"), "the key is sent", || format!("{name}: {value}"))?;
    let _ = dialect::of(api.row, &api.path);
    if let Ok(model::Located::Here(name)) =
        model::locate(api.row, &method, &api.path, api.query.as_deref())
    {
        let good = !name.is_empty() && name.len() <= 256 && !name.chars().any(char::is_control);
        ensure(good, "a model is a name", || format!("{name:?}"))?;
        let _ = model::split_compat(&name);
    }
    Ok(())
}

/// The path that a server sees which decodes so often before it resolves dots, and cuts path
/// parameters off: without decoding, what `fetch` makes of the URL.
fn resolved(url: &str, decodings: usize) -> String {
    let rest = url.strip_prefix("https://gateway.example").unwrap_or(url);
    let rest: String = rest.chars().filter(|c| !matches!(c, '\t' | '\n' | '\r')).collect();
    let mut path = rest.split(['?', '#']).next().unwrap_or_default().to_owned();
    for _ in 0..decodings {
        path = decoded(&path);
    }
    let mut segments: Vec<&str> = Vec::new();
    for segment in path.split(['/', '\\']).skip(1) {
        let bare =
            if decodings > 0 { segment.split(';').next().unwrap_or(segment) } else { segment };
        match bare.to_ascii_lowercase().replace("%2e", ".").as_str() {
            "." => {}
            ".." => drop(segments.pop()),
            _ => segments.push(segment),
        }
    }
    format!("/{}", segments.join("/"))
}

fn decoded(text: &str) -> String {
    let bytes = text.as_bytes();
    let mut out = Vec::new();
    let mut at = 0;
    while at < bytes.len() {
        let code = text.get(at + 1..at + 3).and_then(|code| u8::from_str_radix(code, 16).ok());
        match code {
            Some(byte) if bytes[at] == b'%' && bytes[at + 1] != b'+' => {
                out.push(byte);
                at += 3;
            }
            _ => {
                out.push(bytes[at]);
                at += 1;
            }
        }
    }
    String::from_utf8_lossy(&out).into_owned()
}
