//! Reads what a request to the gateway is about: provider, key, model, and its body once parsed.

use std::collections::BTreeMap;

use bytes::Bytes;
use http::{HeaderMap, Method, Uri};
use percent_encoding::percent_decode_str;
use serde_json::Value;

use crate::multipart;
use crate::providers::{self, KeyPlace, ModelPlace, Provider};

/// `/v1/{account}/{gateway}/{provider}/{rest}`
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct GatewayPath<'a> {
    pub account: &'a str,
    pub gateway: &'a str,
    pub provider: &'a str,
    pub rest: &'a str,
}

pub fn gateway_path(path: &str) -> Option<GatewayPath<'_>> {
    let mut parts = path.strip_prefix("/v1/")?.splitn(4, '/');
    let account = parts.next().filter(|account| !account.is_empty())?;
    let gateway = parts.next().filter(|gateway| !gateway.is_empty())?;
    Some(GatewayPath {
        account,
        gateway,
        provider: parts.next().unwrap_or_default(),
        rest: parts.next().unwrap_or_default().trim_start_matches('/'),
    })
}

#[derive(Debug)]
pub enum Content {
    None,
    Json(Value),
    BrokenJson,
    Form,
    Bytes,
}

/// A request as the dialects see it.
pub struct Call {
    pub n: u64,
    pub method: Method,
    pub uri: Uri,
    pub headers: HeaderMap,
    pub body: Bytes,
    pub content: Content,
    pub query: Vec<(String, String)>,
    /// The slug; of the routed provider when the request came through `compat`.
    pub slug: String,
    pub provider: &'static Provider,
    pub compat: bool,
    /// It came to the provider's own host, without a gateway.
    pub direct: bool,
    /// A handshake of a WebSocket.
    pub socket: bool,
    /// It is for fal's queue.
    pub queue: bool,
    /// The account in the address; a provider's own host may have none.
    pub account: Option<String>,
    pub rest: String,
    pub key: Option<String>,
    /// As the provider knows it, without any prefix.
    pub model: Option<String>,
    /// Whose stored objects the key can see.
    pub owner: String,
}

impl Call {
    pub fn json(&self) -> &Value {
        match &self.content {
            Content::Json(value) => value,
            _ => &Value::Null,
        }
    }

    pub fn model(&self) -> &str {
        self.model.as_deref().unwrap_or("*")
    }

    pub fn query(&self, name: &str) -> Option<&str> {
        self.query.iter().find(|(key, _)| key == name).map(|(_, value)| value.as_str())
    }

    pub fn header(&self, name: &str) -> Option<&str> {
        self.headers.get(name)?.to_str().ok()
    }

    pub fn form(&self) -> Vec<multipart::Field<'_>> {
        match (&self.content, self.header("content-type").and_then(multipart::boundary)) {
            (Content::Form, Some(boundary)) => multipart::fields(&self.body, boundary),
            _ => Vec::new(),
        }
    }

    /// Where the request goes, for providers whose keys belong to a place.
    pub fn place(&self) -> Option<&str> {
        let mut segments = self.rest.split('/');
        match self.provider.slug {
            "azure-openai" => segments.next(),
            "google-vertex-ai" => {
                segments.find(|segment| *segment == "projects").and(segments.next())
            }
            "aws-bedrock" => segments.nth(1),
            "workers-ai" => self.account.as_deref(),
            _ => None,
        }
    }

    /// Whether the path is one that its provider has whatever stands behind it: Azure wants a
    /// deployment and, but for its newest paths, a version; Vertex AI a project and a region, unless
    /// an API key tells it both.
    pub fn is_complete(&self) -> bool {
        let segments: Vec<&str> = self.rest.split('/').filter(|it| !it.is_empty()).collect();
        match (self.provider.slug, segments.as_slice()) {
            _ if self.compat => true,
            ("azure-openai", [_, "openai", "v1", _, ..]) => true,
            ("azure-openai", [_, _, _, ..]) => self.query("api-version").is_some(),
            ("azure-openai", _) => false,
            ("google-vertex-ai", [_, "projects", _, "locations", _, kind, ..]) => {
                matches!(*kind, "publishers" | "endpoints")
            }
            ("google-vertex-ai", [_, "publishers", _, "models", _]) => {
                self.headers.contains_key(GOOGLES_API_KEY)
            }
            ("google-vertex-ai", _) => false,
            _ => true,
        }
    }

    /// The path with what Google's OpenAI layer is reached under.
    pub fn is_gemini_openai_layer(&self) -> bool {
        self.slug == "google-ai-studio" && gemini_openai_path(&self.rest).is_some()
    }
}

pub fn gemini_openai_path(rest: &str) -> Option<&str> {
    let (version, path) = rest.split_once('/')?;
    version.starts_with("v1").then(|| path.strip_prefix("openai/"))?
}

pub fn parse_query(query: &str) -> Vec<(String, String)> {
    let decode =
        |text: &str| percent_decode_str(&text.replace('+', " ")).decode_utf8_lossy().into_owned();
    query
        .split('&')
        .filter(|pair| !pair.is_empty())
        .map(|pair| {
            let (name, value) = pair.split_once('=').unwrap_or((pair, ""));
            (decode(name), decode(value))
        })
        .collect()
}

pub fn parse_content(headers: &HeaderMap, body: &Bytes) -> Content {
    if body.is_empty() {
        return Content::None;
    }
    let content_type =
        headers.get("content-type").and_then(|value| value.to_str().ok()).unwrap_or_default();
    if content_type.starts_with("multipart/") {
        return Content::Form;
    }
    // Callers who forget the type still send JSON; anything that is no text at all is not.
    let looks_like_json = body
        .iter()
        .find(|byte| !byte.is_ascii_whitespace())
        .is_some_and(|byte| b"{[".contains(byte));
    if !looks_like_json && !content_type.contains("json") {
        return Content::Bytes;
    }
    match serde_json::from_slice(body) {
        Ok(value) => Content::Json(value),
        Err(_) if content_type.contains("json") || content_type.is_empty() => Content::BrokenJson,
        Err(_) => Content::Bytes,
    }
}

/// The key in the place where this provider looks for it, and nowhere else.
pub fn key(
    provider: &Provider,
    compat: bool,
    rest: &str,
    headers: &HeaderMap,
    query: &[(String, String)],
) -> Option<String> {
    let bearer = KeyPlace::Authorization(&["Bearer"]);
    let openai_layer = provider.slug == "google-ai-studio" && gemini_openai_path(rest).is_some();
    let place = if compat || openai_layer { bearer } else { provider.key };
    // What OpenAI's clients ask Parallel for, they ask in their way.
    let place = match provider.slug {
        "parallel" if rest == "chat/completions" => KeyPlace::HeaderOrBearer("x-api-key"),
        _ => place,
    };
    let found = key_at(place, headers);
    if provider.slug == "google-vertex-ai" {
        let found = found.or_else(|| key_at(KeyPlace::Header(GOOGLES_API_KEY), headers));
        return found.map(|key| service_account(&key, rest).unwrap_or(key));
    }
    if found.is_none() && provider.slug == "google-ai-studio" && !compat && !openai_layer {
        return query
            .iter()
            .find(|(name, value)| name == "key" && !value.is_empty())
            .map(|(_, value)| value.clone());
    }
    found
}

/// Where Google looks for an API key.
const GOOGLES_API_KEY: &str = "x-goog-api-key";

/// Whether it is a service account in base64, with its private key.
pub fn is_service_account(sent: &str) -> bool {
    decoded(sent).is_some_and(|account| account.contains_key("private_key"))
}

fn decoded(sent: &str) -> Option<BTreeMap<String, Value>> {
    use base64::Engine as _;
    let decoded = base64::engine::general_purpose::STANDARD.decode(sent).ok()?;
    serde_json::from_slice(&decoded).ok()
}

/// The text of a service account that was sent in base64, its members by name. The gateway makes a token of it for the
/// region that it names; one without, or with another than the path's, stays what it is: no key.
fn service_account(sent: &str, rest: &str) -> Option<String> {
    let mut account = decoded(sent)?;
    let region = account.remove("region")?;
    let mut segments = rest.split('/');
    let location = segments.find(|segment| *segment == "locations").and(segments.next())?;
    serde_json::to_string(&account).ok().filter(|_| region.as_str() == Some(location))
}

fn key_at(place: KeyPlace, headers: &HeaderMap) -> Option<String> {
    let text = |name: &str| headers.get(name).and_then(|value| value.to_str().ok()).map(str::trim);
    match place {
        KeyPlace::Header(name) => text(name).filter(|key| !key.is_empty()).map(str::to_owned),
        KeyPlace::HeaderOrBearer(name) => key_at(KeyPlace::Header(name), headers)
            .or_else(|| key_at(KeyPlace::Authorization(&["Bearer"]), headers)),
        KeyPlace::Authorization(schemes) => {
            let (scheme, key) = text("authorization")?.split_once(' ')?;
            let known = schemes.iter().any(|known| known.eq_ignore_ascii_case(scheme));
            Some(key.trim()).filter(|key| known && !key.is_empty()).map(str::to_owned)
        }
    }
}

/// The key in a header that is written as `name` or `name: Scheme`: that of a custom provider.
pub fn key_in(place: &str, headers: &HeaderMap) -> Option<String> {
    let (name, scheme) = place.split_once(':').unwrap_or((place, ""));
    let value = headers.get(name.trim())?.to_str().ok()?;
    let key = match scheme.trim() {
        "" => value,
        scheme => value.strip_prefix(scheme)?.strip_prefix(' ')?,
    };
    Some(key).filter(|key| !key.is_empty() && !key.contains(' ')).map(str::to_owned)
}

/// The model of a request, where this provider has it.
pub fn model(call: &Call) -> Option<String> {
    let decode = |text: &str| percent_decode_str(text).decode_utf8_lossy().into_owned();
    if call.socket
        && let Some(model) = call.query("model")
    {
        return Some(model.to_owned());
    }
    let rest = call.rest.as_str();
    let body = |fields: &[&str]| body_model(call, fields);
    let found = match call.provider.model {
        ModelPlace::Body(fields) => {
            body(fields).or_else(|| model_of_list_path(rest).filter(|_| call.method == Method::GET))
        }
        ModelPlace::ModelsPath => {
            if gemini_openai_path(rest).is_some()
                || rest.ends_with("/interactions")
                || rest.contains("endpoints/openapi")
            {
                body(&["model"])
            } else {
                path_model(rest)
            }
        }
        ModelPlace::Deployment => rest.split('/').nth(1).map(decode),
        ModelPlace::ModelPath => {
            let in_path = rest
                .strip_prefix("model/")
                .or_else(|| rest.split_once("/model/").map(|(_, rest)| rest))
                .and_then(|rest| rest.split('/').next());
            in_path.map(decode).or_else(|| body(&["model"]))
        }
        ModelPlace::OrgModel => {
            let mut parts = rest.splitn(3, '/');
            match (parts.next(), parts.next()) {
                (Some(org), Some(model)) if !org.is_empty() && !model.is_empty() => {
                    Some(decode(&format!("{org}/{model}")))
                }
                _ => None,
            }
        }
        ModelPlace::OwnerName => {
            let in_path = rest.trim_start_matches("v1/").strip_prefix("models/").and_then(|rest| {
                let mut parts = rest.split('/');
                Some(format!("{}/{}", parts.next()?, parts.next()?))
            });
            in_path.or_else(|| body(&["version"]))
        }
        ModelPlace::WholePath => {
            let app = rest.split("/requests/").next().unwrap_or(rest);
            Some(decode(app)).filter(|path| !path.is_empty())
        }
        ModelPlace::BehindVersion => rest
            .strip_prefix("v1/")
            .and_then(|rest| rest.split('/').next())
            .map(decode)
            .or_else(|| call.json()["image_request"]["model"].as_str().map(str::to_owned)),
        ModelPlace::AtPath => {
            let in_path = decode(rest);
            if in_path.starts_with('@') { Some(in_path) } else { body(&["model"]) }
        }
        ModelPlace::Query => call.query("model").map(str::to_owned),
    };
    let found = found.filter(|model| !model.is_empty())?;
    Some(match call.provider.slug {
        "google-ai-studio" => found.strip_prefix("models/").unwrap_or(&found).to_owned(),
        _ => found,
    })
}

fn body_model(call: &Call, fields: &[&str]) -> Option<String> {
    if let Content::Form = call.content {
        let form = call.form();
        return form
            .iter()
            .find(|field| fields.contains(&field.name.as_str()))
            .map(multipart::Field::text);
    }
    fields.iter().find_map(|field| call.json().get(field)?.as_str().map(str::to_owned))
}

/// `.../models/{model}:method`, `.../models/{model}`, and tuned models alike.
fn path_model(rest: &str) -> Option<String> {
    let decoded = percent_decode_str(rest).decode_utf8_lossy();
    let mut parts = decoded.rsplit('/');
    let (name, collection) = (parts.next()?, parts.next()?);
    if !matches!(collection, "models" | "tunedModels") {
        return None;
    }
    Some(name.split(':').next().unwrap_or(name).to_owned())
}

/// The model of `GET models/{id}`.
fn model_of_list_path(rest: &str) -> Option<String> {
    let rest = rest.trim_start_matches("v1/");
    rest.strip_prefix("models/").map(|id| percent_decode_str(id).decode_utf8_lossy().into_owned())
}

/// Finds the provider that the unified endpoint routes to.
pub fn compat_target(content: &Content) -> Option<(&'static Provider, String, String)> {
    let Content::Json(json) = content else { return None };
    let (slug, model) = providers::split_compat(json.get("model")?.as_str()?)?;
    Some((providers::find(slug)?, slug.to_owned(), model.to_owned()))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn call(slug: &str, method: &str, rest: &str, content_type: &str, body: &str) -> Call {
        let mut headers = HeaderMap::new();
        headers.insert("content-type", content_type.parse().unwrap());
        let body = Bytes::from(body.to_owned());
        let (rest, query) = rest.split_once('?').unwrap_or((rest, ""));
        let mut call = Call {
            n: 1,
            method: method.parse().unwrap(),
            uri: Uri::from_static("/"),
            content: parse_content(&headers, &body),
            headers,
            body,
            query: parse_query(query),
            slug: slug.to_owned(),
            provider: providers::find(slug).unwrap(),
            compat: false,
            direct: false,
            socket: false,
            queue: false,
            account: None,
            rest: rest.to_owned(),
            key: None,
            model: None,
            owner: String::new(),
        };
        call.model = model(&call);
        call
    }

    fn model_of(slug: &str, rest: &str, body: &str) -> Option<String> {
        call(slug, "POST", rest, "application/json", body).model
    }

    #[test]
    fn splits_the_gateway_path() {
        let path = gateway_path("/v1/acc/gw/openai/v1/chat/completions").unwrap();
        assert_eq!(
            (path.gateway, path.provider, path.rest),
            ("gw", "openai", "v1/chat/completions")
        );
        assert_eq!(gateway_path("/v1/acc/gw").unwrap().provider, "");
        assert_eq!(gateway_path("/v2/acc/gw/openai"), None);
        assert_eq!(gateway_path("/v1/acc"), None);
    }

    #[test]
    fn finds_the_model_where_each_provider_has_it() {
        let some = |text: &str| Some(text.to_owned());
        assert_eq!(model_of("openai", "chat/completions", r#"{"model":"gpt"}"#), some("gpt"));
        assert_eq!(
            model_of("google-ai-studio", "v1beta/models/gemini-2.5-flash:generateContent", "{}"),
            some("gemini-2.5-flash")
        );
        assert_eq!(
            model_of("google-ai-studio", "v1beta/tunedModels/mine:generateContent", "{}"),
            some("mine")
        );
        assert_eq!(
            model_of(
                "google-ai-studio",
                "v1beta/openai/chat/completions",
                r#"{"model":"models/g"}"#
            ),
            some("g")
        );
        assert_eq!(model_of("google-ai-studio", "v1beta/files/abc", "{}"), None);
        assert_eq!(model_of("azure-openai", "res/dep/chat/completions", "{}"), some("dep"));
        assert_eq!(
            model_of(
                "aws-bedrock",
                "bedrock-runtime/us-east-1/model/us.anthropic.x%3A0/invoke",
                "{}"
            ),
            some("us.anthropic.x:0")
        );
        assert_eq!(model_of("huggingface", "org/model", "{}"), some("org/model"));
        assert_eq!(model_of("replicate", "models/o/n/predictions", "{}"), some("o/n"));
        assert_eq!(model_of("replicate", "predictions", r#"{"version":"abc"}"#), some("abc"));
        assert_eq!(model_of("workers-ai", "@cf/meta/llama", "{}"), some("@cf/meta/llama"));
        assert_eq!(model_of("deepgram", "v1/listen?model=nova-3", ""), some("nova-3"));
        assert_eq!(model_of("elevenlabs", "v1/text-to-speech/v", r#"{"model_id":"e"}"#), some("e"));
        assert_eq!(model_of("openai", "files", "{}"), None);
    }

    #[test]
    fn a_service_account_is_known_for_the_region_of_its_path() {
        use base64::Engine as _;
        let sent = r#"{"type":"service_account","region":"global","private_key":"k"}"#;
        let sent = base64::engine::general_purpose::STANDARD.encode(sent);
        let known = r#"{"private_key":"k","type":"service_account"}"#;
        let path = "v1/projects/p/locations/global/publishers/google/models/m:generateContent";
        assert_eq!(service_account(&sent, path).as_deref(), Some(known));
        assert_eq!(service_account(&sent, &path.replace("global", "europe-west4")), None);
        assert!(is_service_account(&sent) && !is_service_account("ya29.token"));
    }

    #[test]
    fn some_paths_are_not_complete_without_more() {
        let complete = |slug: &str, rest: &str, api_key: bool| {
            let mut call = call(slug, "POST", rest, "application/json", "{}");
            if api_key {
                call.headers.insert(GOOGLES_API_KEY, "AIza".parse().unwrap());
            }
            call.is_complete()
        };
        let (azure, vertex) = ("azure-openai", "google-vertex-ai");
        assert!(complete(azure, "res/dep/chat/completions?api-version=2024-10-21", false));
        assert!(complete(azure, "res/openai/v1/responses", false));
        assert!(!complete(azure, "res/dep/chat/completions", false));
        assert!(!complete(azure, "res/dep?api-version=2024-10-21", false));
        let model = "publishers/google/models/m:generateContent";
        assert!(complete(vertex, &format!("v1/projects/p/locations/global/{model}"), false));
        assert!(!complete(vertex, &format!("v1/projects/p/{model}"), false));
        assert!(!complete(vertex, &format!("v1/{model}"), false));
        assert!(complete(vertex, &format!("v1/{model}"), true));
        assert!(complete("openai", "chat/completions", false));
    }

    #[test]
    fn keys_of_some_providers_belong_to_a_place() {
        let place = |slug: &str, rest: &str| {
            let mut call = call(slug, "POST", rest, "application/json", "{}");
            call.account = Some("acc".to_owned());
            call.place().map(str::to_owned)
        };
        let some = |text: &str| Some(text.to_owned());
        assert_eq!(place("azure-openai", "res/dep/chat/completions"), some("res"));
        assert_eq!(place("google-vertex-ai", "v1/projects/p/locations/l/x"), some("p"));
        assert_eq!(place("workers-ai", "@cf/meta/llama"), some("acc"));
        assert_eq!(place("openai", "chat/completions"), None);
    }

    #[test]
    fn finds_the_model_in_a_form() {
        let form =
            "--B\r\nContent-Disposition: form-data; name=\"model\"\r\n\r\nwhisper-1\r\n--B--\r\n";
        let call =
            call("openai", "POST", "audio/transcriptions", "multipart/form-data; boundary=B", form);
        assert_eq!(call.model.as_deref(), Some("whisper-1"));
    }

    #[test]
    fn takes_the_key_only_from_its_own_place() {
        let key_of = |slug: &str, compat: bool, rest: &str, name: &'static str, value: &str| {
            let mut headers = HeaderMap::new();
            headers.insert(name, value.parse().unwrap());
            key(providers::find(slug).unwrap(), compat, rest, &headers, &[])
        };
        let chat = "chat/completions";
        assert_eq!(
            key_of("openai", false, chat, "authorization", "Bearer k").as_deref(),
            Some("k")
        );
        assert_eq!(key_of("openai", false, chat, "authorization", "Token k"), None);
        assert_eq!(key_of("openai", false, chat, "x-api-key", "k"), None);
        assert_eq!(
            key_of("deepgram", false, "v1/listen", "authorization", "Token k").as_deref(),
            Some("k")
        );
        assert_eq!(key_of("fal", false, "x", "authorization", "Bearer k"), None);
        assert_eq!(key_of("elevenlabs", false, "x", "xi-api-key", "k").as_deref(), Some("k"));
        assert_eq!(key_of("elevenlabs", false, "x", "x-api-key", "k"), None);
        let messages = "v1/messages";
        assert_eq!(key_of("anthropic", false, messages, "x-api-key", "k").as_deref(), Some("k"));
        assert_eq!(
            key_of("anthropic", false, messages, "authorization", "Bearer k").as_deref(),
            Some("k")
        );
        assert_eq!(
            key_of("anthropic", true, chat, "authorization", "Bearer k").as_deref(),
            Some("k")
        );
        let gemini = "v1beta/models/g:generateContent";
        assert_eq!(
            key_of("google-ai-studio", false, gemini, "x-goog-api-key", "k").as_deref(),
            Some("k")
        );
        assert_eq!(
            key_of("google-ai-studio", false, "v1beta/openai/models", "x-goog-api-key", "k"),
            None
        );
        let query = parse_query("alt=sse&key=a%2Bb");
        let google = providers::find("google-ai-studio").unwrap();
        assert_eq!(key(google, false, gemini, &HeaderMap::new(), &query).as_deref(), Some("a+b"));
    }

    #[test]
    fn tells_json_from_what_is_not() {
        assert!(matches!(
            call("openai", "POST", "x", "application/json", "{nope").content,
            Content::BrokenJson
        ));
        assert!(matches!(
            call("openai", "POST", "x", "application/octet-stream", "abc").content,
            Content::Bytes
        ));
        assert!(matches!(
            call("openai", "POST", "x", "text/plain", "{}").content,
            Content::Json(_)
        ));
        assert!(matches!(
            call("openai", "GET", "x", "application/json", "").content,
            Content::None
        ));
    }
}
