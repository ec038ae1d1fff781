//! The addresses that clients know by themselves, beside `/api/{provider}/...`: a client that was
//! made for one provider is given nothing but our host, and finds everything where it looks for it.
//!
//! | address | whose clients | goes to |
//! |---|---|---|
//! | `/v1/...` | OpenAI's | the provider that the model names |
//! | `/v1/messages...` | Anthropic's | the same, where it speaks like Anthropic |
//! | `/v1beta/...`, `/upload/v1beta/...`, `/ws/google...` | Gemini's | `google-ai-studio` |
//! | `/anthropic/...` | Anthropic's | `anthropic` |
//!
//! People who replace a host in a base URL leave its path: `/openai/v1` (Groq), `/api/v1`
//! (OpenRouter), `/inference/v1` (Fireworks). And they leave out a `v1`, or add one.

use super::is_version;

/// How an address tells the provider.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Door {
    /// It names it: `/api/{provider}/...`, `/anthropic/...`.
    Provider,
    /// `/api/compat/...`: the prefix of the model does.
    Compat,
    /// OpenAI's clients: the model does, with or without a prefix.
    OpenAi,
    /// Anthropic's clients: the same.
    Anthropic,
    /// Gemini's clients: it is Google.
    Gemini,
}

/// First segments of OpenAI's API. A client whose base URL has no `v1` asks for them at the root.
const OPENAI: &[&str] = &[
    "chat",
    "completions",
    "responses",
    "conversations",
    "embeddings",
    "models",
    "audio",
    "images",
    "videos",
    "moderations",
    "files",
    "uploads",
    "batches",
    "fine_tuning",
    "vector_stores",
    "realtime",
    "rerank",
];

/// The version segments of Gemini's API that no other API has.
const GEMINI: &[&str] = &["v1beta", "v1alpha"];

/// What is left in front of `v1` when only the host of a provider's base URL is replaced.
const LEFTOVERS: &[&str] = &["openai", "api", "inference"];

/// The door and the path behind it; `None` when the address belongs to no client. `path` has no slash
/// in front.
pub(super) fn find<'a>(method: &str, path: &'a str) -> Option<(Door, &'a str)> {
    let (first, rest) = split(path);
    if LEFTOVERS.contains(&first) {
        let (version, _) = split(rest);
        return if is_version(version) || OPENAI.contains(&version) {
            find(method, rest)
        } else {
            None
        };
    }
    match first {
        "v1" => Some(behind_v1(method, path)),
        "messages" => Some((Door::Anthropic, path)),
        "anthropic" => Some((Door::Provider, rest)),
        "upload" | "download" if is_geminis(split(rest).0) => Some((Door::Gemini, path)),
        "ws" if rest.starts_with("google.") => Some((Door::Gemini, path)),
        first if GEMINI.contains(&first) => Some((Door::Gemini, path)),
        first if OPENAI.contains(&first) => Some((Door::OpenAi, path)),
        _ => None,
    }
}

/// The door of a path that begins with `v1`.
fn behind_v1<'a>(method: &str, path: &'a str) -> (Door, &'a str) {
    // The client's base URL had a version, and the client adds its own, which is the one it means.
    let (mut version, mut rest) = split(path);
    while is_version(split(rest).0) {
        (version, rest) = split(rest);
    }
    if GEMINI.contains(&version) {
        return (Door::Gemini, path);
    }
    match split(rest) {
        ("messages" | "complete", _) => (Door::Anthropic, rest),
        // Gemini's stable version is a `v1`, too.
        ("models" | "tunedModels", model) if method == "POST" && model.contains(':') => {
            (Door::Gemini, path)
        }
        // A leftover behind a version: `/v1/openai/chat/completions`, and `/v1/api/v1/...`.
        (first, more) if LEFTOVERS.contains(&first) => match find(method, more) {
            Some((Door::OpenAi, path)) => (Door::OpenAi, path),
            _ => (Door::OpenAi, rest),
        },
        _ => (Door::OpenAi, rest),
    }
}

fn is_geminis(version: &str) -> bool {
    version == "v1" || GEMINI.contains(&version)
}

/// The first segment, and what follows it and the slashes behind it.
fn split(path: &str) -> (&str, &str) {
    match path.split_once('/') {
        Some((first, rest)) => (first, rest.trim_start_matches('/')),
        None => (path, ""),
    }
}

/// The path without a whole endpoint in front of another one: some clients take the address of the
/// chat for their base URL, and append to it.
pub(super) fn without_doubled_endpoint(path: &str) -> &str {
    let mut path = path;
    while let Some((front, rest)) = path.split_once("chat/completions/") {
        let (mut next, more) = split(rest);
        let rest = if is_version(next) { more } else { rest };
        next = split(rest).0;
        let in_front = front.is_empty() || front.ends_with('/');
        // Behind it may also be the id of a stored chat.
        if !in_front || !OPENAI.contains(&next) {
            break;
        }
        path = rest;
    }
    path
}
