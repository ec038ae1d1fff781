//! What is particular to a provider: one table, and the rules about header and query names.
//!
//! Everything else in the crate asks this table instead of naming a provider. Facts are from
//! Cloudflare's page of each provider (`developers.cloudflare.com/ai-gateway/usage/providers/`)
//! and, where those are silent, from the provider's own API reference.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD as BASE64;

use super::clock;
use super::dialect::Dialect;
use super::home::Homes;
use super::verdict::Reason;
use super::{DAY, Millis};

/// The segment of the gateway's OpenAI-shaped endpoint for every provider. Keeps no keys of its
/// own: the provider is the prefix of the model's name.
pub const COMPAT: &str = "compat";

/// Where service accounts of Google belong.
pub const VERTEX: &str = "google-vertex-ai";

/// The model prefix of a gateway's dynamic route (`dynamic/{route}`). It runs on keys that are
/// stored at the gateway, so there is none of ours to add and none to judge.
pub const DYNAMIC: &str = "dynamic";

/// What the segment of a custom provider starts with; the rest is the slug its owner chose.
pub const CUSTOM_PREFIX: &str = "custom-";

/// The longest provider segment that is accepted. Cloudflare's own are at most 16 long; custom
/// slugs are the account's, and 64 is the limit of a gateway's name.
pub const MAX_SLUG_LEN: usize = 64;

/// Where a provider reads the key, and what stands in front of it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct KeyHeader {
    /// Lower-case header name.
    pub name: &'static str,
    /// `""`, `"Bearer "`, `"Token "` or `"Key "`.
    pub scheme: &'static str,
}

/// The header of most providers.
const BEARER: KeyHeader = KeyHeader { name: "authorization", scheme: "Bearer " };
/// The header of Google's API keys.
const API_KEY: KeyHeader = KeyHeader { name: "x-goog-api-key", scheme: "" };
/// How Google's API keys begin.
const API_KEYS: &[&str] = &["AIza", "AQ."];

/// One place where a request can name its model. A provider has an ordered list of them.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ModelIn {
    /// In the path. The pattern must match the path's first segments. `*` is any one segment,
    /// `{}` the model, `{:}` the model with a `:method` behind it, `{2}` a model of two segments,
    /// `{..}` all that is left (up to a segment `requests`, which
    /// is a queue's). A literal segment behind `=` belongs to the model
    /// (`=tunedModels/{:}` finds `tunedModels/mine`).
    Path(&'static str),
    /// In a query parameter.
    Query(&'static str),
    /// In a top-level field of the JSON body, or a field of a multipart form.
    Field(&'static str),
    /// In such a field, but only on paths that match the pattern.
    FieldOn(&'static str, &'static str),
    /// Not where it seems to be: on paths that start with this, a `model` field is ignored by
    /// the provider (batches name theirs per line), so it must not satisfy a token's scope.
    Hidden(&'static str),
}

/// A request that costs nothing and shows whether a key is accepted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Probe {
    /// HTTP method.
    pub method: &'static str,
    /// What follows the provider's segment, with its query.
    pub path: &'static str,
}

/// `GET path`.
const fn get(path: &'static str) -> Option<Probe> {
    Some(Probe { method: "GET", path })
}

/// When a quota per day is given out again.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum DayQuota {
    /// A day after it was used up, as far as is known.
    Rolling,
    /// At midnight Pacific time (`ai.google.dev/gemini-api/docs/rate-limits`).
    MidnightPacific,
}

/// A row of the table.
#[derive(Debug)]
pub struct Provider {
    /// The AI Gateway path segment. For a custom provider it is `"custom-"`: the caller keeps the
    /// whole segment.
    pub slug: &'static str,
    /// Its name for people.
    pub name: &'static str,
    /// Where the key goes. [`Provider::credential`] knows the exceptions.
    pub key_header: KeyHeader,
    /// Paths (first segments) on which the key is an `Authorization: Bearer` all the same.
    pub bearer_paths: &'static [&'static str],
    /// Beginnings of keys that are an `Authorization: Bearer` all the same.
    pub bearer_keys: &'static [&'static str],
    /// Beginnings of keys that go into `x-goog-api-key` all the same.
    pub api_keys: &'static [&'static str],
    /// Keys can be service accounts of Google, which go to the gateway with the request's region.
    pub service_accounts: bool,
    /// How its keys belong to a place that the path names; `None` where they are good everywhere.
    pub homes: Option<Homes>,
    /// Where its requests name the model, in the order in which to look.
    pub model_in: &'static [ModelIn],
    /// The shape of its errors. [`super::dialect::of`] knows the exceptions.
    pub dialect: Dialect,
    /// The address that the gateway maps `{slug}/` to, where that is one fixed address. No slash
    /// at the end.
    pub direct_base: Option<&'static str>,
    /// Other hosts of its API. A path that begins with one is for that host, by `https`.
    pub hosts: &'static [&'static str],
    /// The header in which a client may name a whole address instead of sending to a path, and in
    /// which the gateway is told of another host.
    pub target_header: Option<&'static str>,
    /// What stands in front of OpenAI's paths (`chat/completions`, `embeddings`) behind the slug;
    /// `None` where there are none, or not at one fixed place.
    pub openai_path: Option<&'static str>,
    /// The same for Anthropic's paths (`messages`).
    pub messages_path: Option<&'static str>,
    /// Where its list of models is, in as few pages as it takes; `None` where there is none.
    pub models: Option<&'static str>,
    /// Its models, where it has no list of them.
    pub known_models: &'static [&'static str],
    /// A free request that shows whether a key is accepted; `None` where there is none.
    pub probe: Option<Probe>,
    /// Headers that the probe needs besides the key. Not for clients' requests: a client chooses
    /// its own API version.
    pub default_headers: &'static [(&'static str, &'static str)],
    /// When its quota per day is given out again.
    pub day_quota: DayQuota,
    /// How its keys usually begin; empty where they have no common beginning. A hint for the
    /// page, never a reason to refuse a key.
    pub key_prefixes: &'static [&'static str],
    /// What people write instead of the slug.
    pub nicknames: &'static [&'static str],
    /// What clients put in front of the path although the gateway's base has it already, and what
    /// it becomes. The first one that the path starts with (with a `$` behind it: that is the
    /// whole path) is applied, once.
    pub rewrites: &'static [(&'static str, &'static str)],
    /// The version segment that the gateway's path must have and clients leave out.
    pub version: Option<&'static str>,
    /// First segments that stand without the version.
    pub unversioned: &'static [&'static str],
}

/// What a provider is unless its row says otherwise: OpenAI's ways, which most have copied.
const USUAL: Provider = Provider {
    slug: "",
    name: "",
    key_header: BEARER,
    bearer_paths: &[],
    bearer_keys: &[],
    api_keys: &[],
    service_accounts: false,
    homes: None,
    model_in: OPENAI_MODEL,
    dialect: Dialect::OpenAi,
    direct_base: None,
    hosts: &[],
    target_header: None,
    openai_path: None,
    messages_path: None,
    models: None,
    known_models: &[],
    probe: None,
    default_headers: &[],
    day_quota: DayQuota::Rolling,
    key_prefixes: &[],
    nicknames: &[],
    rewrites: &[],
    version: None,
    unversioned: &[],
};

/// `GET models/{model}`, the body, and the query of a realtime socket, which has no body.
const OPENAI_MODEL: &[ModelIn] = &[
    ModelIn::Hidden("batches"),
    ModelIn::Path("models/{}"),
    ModelIn::Field("model"),
    ModelIn::Query("model"),
];

/// How the base64 of a JSON object begins.
const SERVICE_ACCOUNT: &str = "eyJ";

/// Every provider with a segment of its own, in the order in which the page offers them.
static PROVIDERS: &[Provider] = &[
    Provider {
        slug: "google-ai-studio",
        name: "Google AI Studio (Gemini)",
        key_header: API_KEY,
        // Google's own OpenAI layer reads nothing else.
        bearer_paths: &["v1beta/openai", "v1alpha/openai", "v1/openai"],
        model_in: &[
            ModelIn::Path("*/models/{:}"),
            ModelIn::Path("*/=tunedModels/{:}"),
            ModelIn::Path("*/openai/models/{}"),
            ModelIn::Field("model"),
        ],
        dialect: Dialect::Gemini,
        direct_base: Some("https://generativelanguage.googleapis.com"),
        openai_path: Some("v1beta/openai/"),
        models: Some("v1beta/models?pageSize=1000"),
        probe: get("v1beta/models?pageSize=1"),
        day_quota: DayQuota::MidnightPacific,
        key_prefixes: API_KEYS,
        nicknames: &["google", "gemini", "google-ai", "google-gemini", "aistudio", "ai-studio"],
        rewrites: &[
            // An OpenAI client that was given the bare provider, or appends a `v1` of its own.
            ("v1beta/openai/v1/", "v1beta/openai/"),
            ("openai/v1/", "v1beta/openai/"),
            ("openai/", "v1beta/openai/"),
            ("v1beta/chat/completions", "v1beta/openai/chat/completions"),
            ("v1/chat/completions", "v1beta/openai/chat/completions"),
            ("chat/completions", "v1beta/openai/chat/completions"),
        ],
        version: Some("v1beta"),
        unversioned: &["upload", "download", "batch", "ws"],
        ..USUAL
    },
    Provider {
        slug: "openai",
        name: "OpenAI",
        direct_base: Some("https://api.openai.com/v1"),
        openai_path: Some(""),
        models: Some("models"),
        probe: get("models"),
        key_prefixes: &["sk-"],
        nicknames: &["open-ai", "chatgpt", "gpt"],
        // The realtime socket of the gateway is the provider's segment itself.
        rewrites: &[("v1/realtime$", ""), ("realtime$", ""), ("v1/", "")],
        ..USUAL
    },
    Provider {
        slug: "anthropic",
        name: "Anthropic (Claude)",
        key_header: KeyHeader { name: "x-api-key", scheme: "" },
        // Its OpenAI layer is documented with nothing else.
        bearer_paths: &["v1/chat"],
        // Tokens of a subscription; the API's own keys are `sk-ant-api...`.
        bearer_keys: &["sk-ant-oat"],
        model_in: &[
            ModelIn::Hidden("v1/messages/batches"),
            ModelIn::Path("v1/models/{}"),
            ModelIn::Field("model"),
        ],
        dialect: Dialect::Anthropic,
        direct_base: Some("https://api.anthropic.com"),
        openai_path: Some("v1/"),
        messages_path: Some("v1/"),
        models: Some("v1/models?limit=1000"),
        probe: get("v1/models?limit=1"),
        default_headers: &[("anthropic-version", "2023-06-01")],
        key_prefixes: &["sk-ant-"],
        nicknames: &["claude"],
        version: Some("v1"),
        ..USUAL
    },
    Provider {
        slug: "openrouter",
        name: "OpenRouter",
        direct_base: Some("https://openrouter.ai/api/v1"),
        openai_path: Some(""),
        messages_path: Some(""),
        models: Some("models"),
        // Its model list is public and proves nothing about a key.
        probe: get("key"),
        key_prefixes: &["sk-or-"],
        nicknames: &["open-router"],
        rewrites: &[("api/v1/", ""), ("v1/", "")],
        ..USUAL
    },
    Provider {
        slug: "groq",
        name: "Groq",
        direct_base: Some("https://api.groq.com/openai/v1"),
        openai_path: Some(""),
        models: Some("models"),
        probe: get("models"),
        key_prefixes: &["gsk_"],
        rewrites: &[("openai/v1/", ""), ("v1/", "")],
        ..USUAL
    },
    Provider {
        slug: "grok",
        name: "xAI (Grok)",
        model_in: &[
            ModelIn::Path("models/{}"),
            ModelIn::Path("v1/models/{}"),
            ModelIn::Field("model"),
            ModelIn::Query("model"),
        ],
        direct_base: Some("https://api.x.ai/v1"),
        openai_path: Some("v1/"),
        messages_path: Some("v1/"),
        models: Some("v1/models"),
        // Cloudflare documents it with and without `v1/`, so both stay as they are.
        probe: get("v1/models"),
        key_prefixes: &["xai-"],
        nicknames: &["xai", "x-ai", "x.ai"],
        ..USUAL
    },
    Provider {
        slug: "mistral",
        name: "Mistral",
        model_in: &[
            ModelIn::Hidden("v1/agents"),
            ModelIn::Hidden("v1/conversations"),
            ModelIn::Path("v1/models/{}"),
            ModelIn::Field("model"),
        ],
        direct_base: Some("https://api.mistral.ai"),
        openai_path: Some("v1/"),
        models: Some("v1/models"),
        probe: get("v1/models"),
        nicknames: &["mistralai", "mistral-ai"],
        version: Some("v1"),
        ..USUAL
    },
    Provider {
        slug: "deepseek",
        name: "DeepSeek",
        direct_base: Some("https://api.deepseek.com"),
        openai_path: Some(""),
        messages_path: Some("anthropic/v1/"),
        models: Some("models"),
        probe: get("models"),
        key_prefixes: &["sk-"],
        nicknames: &["deep-seek"],
        rewrites: &[("v1/", "")],
        ..USUAL
    },
    Provider {
        slug: "cerebras",
        name: "Cerebras",
        direct_base: Some("https://api.cerebras.ai/v1"),
        openai_path: Some(""),
        models: Some("models"),
        probe: get("models"),
        key_prefixes: &["csk-"],
        rewrites: &[("v1/", "")],
        ..USUAL
    },
    Provider {
        slug: "cohere",
        name: "Cohere",
        model_in: &[ModelIn::Path("v1/models/{}"), ModelIn::Field("model")],
        dialect: Dialect::Generic,
        direct_base: Some("https://api.cohere.com"),
        openai_path: Some("compatibility/v1/"),
        models: Some("v1/models?page_size=1000"),
        probe: get("v1/models?page_size=1"),
        version: Some("v1"),
        unversioned: &["compatibility"],
        ..USUAL
    },
    Provider {
        slug: "perplexity-ai",
        name: "Perplexity",
        direct_base: Some("https://api.perplexity.ai"),
        openai_path: Some(""),
        known_models: &["sonar", "sonar-pro", "sonar-reasoning-pro", "sonar-deep-research"],
        key_prefixes: &["pplx-"],
        nicknames: &["perplexity", "pplx"],
        // Its other endpoints do have a `v1/`.
        rewrites: &[("v1/chat/completions", "chat/completions")],
        ..USUAL
    },
    Provider {
        slug: "azure-openai",
        name: "Azure OpenAI",
        key_header: KeyHeader { name: "api-key", scheme: "" },
        homes: Some(Homes {
            noun: "resource",
            behind: None,
            one: true,
            // One answer for a wrong key and for a good one of another resource.
            refused_for: &[Reason::Invalid, Reason::Unauthorized, Reason::Forbidden],
        }),
        // `{resource}/{deployment}/...`: a deployment is what a model is elsewhere.
        model_in: &[ModelIn::Path("*/{}")],
        nicknames: &["azure", "azureopenai"],
        ..USUAL
    },
    Provider {
        slug: VERTEX,
        name: "Google Vertex AI",
        // Of its express mode; all else is an access token.
        api_keys: API_KEYS,
        service_accounts: true,
        homes: Some(Homes {
            noun: "project",
            behind: Some("projects"),
            // An account may have been let into several.
            one: false,
            refused_for: &[
                Reason::Permission,
                Reason::Forbidden,
                Reason::ServiceDisabled,
                Reason::Billing,
            ],
        }),
        model_in: &[
            ModelIn::Path("*/projects/*/locations/*/publishers/*/models/{:}"),
            ModelIn::Path("*/publishers/*/models/{:}"),
            ModelIn::FieldOn("*/projects/*/locations/*/endpoints/openapi", "model"),
        ],
        dialect: Dialect::Gemini,
        key_prefixes: &["ya29.", SERVICE_ACCOUNT],
        nicknames: &["vertex", "vertex-ai", "google-vertex", "vertexai"],
        version: Some("v1"),
        ..USUAL
    },
    Provider {
        slug: "aws-bedrock",
        name: "Amazon Bedrock",
        model_in: &[
            ModelIn::Path("bedrock-runtime/*/model/{}"),
            ModelIn::Path("bedrock-runtime/*/async-invoke/{}"),
            ModelIn::FieldOn("bedrock-mantle", "model"),
        ],
        dialect: Dialect::Generic,
        key_prefixes: &["ABSK", "bedrock-api-key-"],
        nicknames: &["bedrock", "aws", "amazon-bedrock"],
        ..USUAL
    },
    Provider {
        slug: "workers-ai",
        name: "Cloudflare Workers AI",
        model_in: &[
            ModelIn::Path("=@cf/{2}"),
            ModelIn::Path("=@hf/{2}"),
            ModelIn::Field("model"),
            ModelIn::Query("model"),
        ],
        nicknames: &["cloudflare", "workersai", "workers"],
        rewrites: &[("ai/run/", ""), ("run/", ""), ("ai/v1/", "v1/")],
        version: Some("v1"),
        unversioned: &["@cf", "@hf"],
        openai_path: Some("v1/"),
        ..USUAL
    },
    Provider {
        slug: "huggingface",
        name: "Hugging Face",
        model_in: &[ModelIn::Path("{2}")],
        dialect: Dialect::Generic,
        key_prefixes: &["hf_"],
        nicknames: &["hugging-face", "hf"],
        rewrites: &[("models/", "")],
        ..USUAL
    },
    Provider {
        slug: "replicate",
        name: "Replicate",
        model_in: &[
            ModelIn::Path("models/{2}"),
            ModelIn::Path("=deployments/{2}"),
            ModelIn::FieldOn("predictions", "version"),
        ],
        dialect: Dialect::Generic,
        direct_base: Some("https://api.replicate.com/v1"),
        probe: get("account"),
        key_prefixes: &["r8_"],
        rewrites: &[("v1/", "")],
        ..USUAL
    },
    Provider {
        slug: "elevenlabs",
        name: "ElevenLabs",
        key_header: KeyHeader { name: "xi-api-key", scheme: "" },
        model_in: &[ModelIn::Field("model_id"), ModelIn::Query("model_id")],
        dialect: Dialect::Generic,
        direct_base: Some("https://api.elevenlabs.io"),
        probe: get("v1/models"),
        key_prefixes: &["sk_"],
        nicknames: &["eleven-labs", "11labs"],
        version: Some("v1"),
        ..USUAL
    },
    Provider {
        slug: "cartesia",
        name: "Cartesia",
        key_header: KeyHeader { name: "x-api-key", scheme: "" },
        model_in: &[ModelIn::Field("model_id")],
        dialect: Dialect::Generic,
        key_prefixes: &["sk_car_"],
        ..USUAL
    },
    Provider {
        slug: "deepgram",
        name: "Deepgram",
        key_header: KeyHeader { name: "authorization", scheme: "Token " },
        model_in: &[ModelIn::Query("model")],
        dialect: Dialect::Generic,
        direct_base: Some("https://api.deepgram.com"),
        probe: get("v1/projects"),
        version: Some("v1"),
        ..USUAL
    },
    Provider {
        slug: "fal",
        name: "fal",
        key_header: KeyHeader { name: "authorization", scheme: "Key " },
        model_in: &[ModelIn::Path("queue.fal.run/{..}"), ModelIn::Path("{..}")],
        dialect: Dialect::Generic,
        direct_base: Some("https://fal.run"),
        hosts: &["queue.fal.run"],
        target_header: Some("x-fal-target-url"),
        nicknames: &["fal-ai", "falai"],
        ..USUAL
    },
    Provider {
        slug: "ideogram",
        name: "Ideogram",
        key_header: KeyHeader { name: "api-key", scheme: "" },
        model_in: &[ModelIn::Path("v1/{}")],
        dialect: Dialect::Generic,
        direct_base: Some("https://api.ideogram.ai"),
        ..USUAL
    },
    Provider {
        slug: "baseten",
        name: "Baseten",
        model_in: &[
            ModelIn::Path("model/{}"),
            ModelIn::Path("v1/models/{}"),
            ModelIn::Field("model"),
        ],
        version: Some("v1"),
        unversioned: &["model", "models", "chain"],
        openai_path: Some("v1/"),
        models: Some("v1/models"),
        ..USUAL
    },
    Provider {
        slug: "parallel",
        name: "Parallel",
        key_header: KeyHeader { name: "x-api-key", scheme: "" },
        // Its OpenAI layer.
        bearer_paths: &["chat"],
        // What a task is done with has the part of a model.
        model_in: &[ModelIn::FieldOn("v1/tasks", "processor"), ModelIn::Field("model")],
        rewrites: &[("v1/chat/completions", "chat/completions")],
        direct_base: Some("https://api.parallel.ai"),
        openai_path: Some(""),
        ..USUAL
    },
    Provider {
        slug: "fireworks",
        name: "Fireworks AI",
        direct_base: Some("https://api.fireworks.ai/inference/v1"),
        openai_path: Some(""),
        models: Some("models"),
        probe: get("models"),
        key_prefixes: &["fw_"],
        nicknames: &["fireworks-ai"],
        rewrites: &[("inference/v1/", ""), ("v1/", "")],
        ..USUAL
    },
];

/// The endpoint for every provider: always `Authorization: Bearer`, whatever the provider wants
/// itself; the gateway translates.
static COMPAT_PROVIDER: Provider = Provider {
    slug: COMPAT,
    name: "every provider, in OpenAI's shape",
    model_in: &[ModelIn::Field("model")],
    nicknames: &["openai-compat", "openai-compatible", "universal", "unified"],
    rewrites: &[("v1/", "")],
    ..USUAL
};

/// The addresses of OpenAI's clients, `/v1/...`: the model names the provider.
pub static OPENAI_CLIENTS: Provider = Provider {
    slug: COMPAT,
    name: "every provider, at OpenAI's addresses",
    model_in: &[
        ModelIn::Hidden("batches"),
        ModelIn::Path("models/{..}"),
        ModelIn::Field("model"),
        ModelIn::Query("model"),
    ],
    ..USUAL
};

/// The addresses of Anthropic's clients, `/v1/messages`: the model names the provider.
pub static ANTHROPIC_CLIENTS: Provider = Provider {
    slug: COMPAT,
    name: "every provider, at Anthropic's addresses",
    key_header: KeyHeader { name: "x-api-key", scheme: "" },
    model_in: &[
        ModelIn::Hidden("messages/batches"),
        ModelIn::Path("models/{..}"),
        ModelIn::Field("model"),
    ],
    dialect: Dialect::Anthropic,
    ..USUAL
};

/// A provider that the account's owner defined. Nothing is known of it, so: OpenAI's ways, and
/// Gemini's for a path that can be nothing else.
static CUSTOM_PROVIDER: Provider = CUSTOM_ROW;

const CUSTOM_ROW: Provider = Provider {
    slug: CUSTOM_PREFIX,
    name: "custom provider",
    model_in: &[
        ModelIn::Path("models/{:}"),
        ModelIn::Path("*/models/{:}"),
        ModelIn::Field("model"),
        ModelIn::Query("model"),
    ],
    ..USUAL
};

// === impl Provider ===

/// A slug is unique, so rows are the same when their slugs are.
impl PartialEq for Provider {
    fn eq(&self, other: &Self) -> bool {
        self.slug == other.slug
    }
}

impl Eq for Provider {}

impl Provider {
    /// Whether the key is a service account, with its private key in it.
    #[must_use]
    pub fn is_service_account(&self, key: &str) -> bool {
        self.service_accounts && service_account(key).is_some()
    }

    /// The header that carries `key` on a request to `path` (as in [`super::route::ApiRoute`]).
    pub fn credential(&self, path: &str, key: &str) -> (&'static str, String) {
        if self.service_accounts
            && let Some(account) = service_account(key)
        {
            return (BEARER.name, [BEARER.scheme, &for_gateway(account, path)].concat());
        }
        let bearer = self.bearer_paths.iter().any(|start| starts_with_segments(path, start))
            || self.bearer_keys.iter().any(|start| key.starts_with(start));
        let header = if bearer {
            BEARER
        } else if self.api_keys.iter().any(|start| key.starts_with(start)) {
            API_KEY
        } else {
            self.key_header
        };
        (header.name, [header.scheme, key].concat())
    }
}

/// The JSON of a Google service account as a key: in base64, so that it has no blanks and no quotes.
#[must_use]
pub fn key_of_service_account(account: &serde_json::Map<String, serde_json::Value>) -> String {
    BASE64.encode(serde_json::Value::Object(account.clone()).to_string())
}

/// Whether a JSON object is the file of a Google service account.
#[must_use]
pub fn is_service_account(object: &serde_json::Map<String, serde_json::Value>) -> bool {
    object.get("type").and_then(serde_json::Value::as_str) == Some("service_account")
        && object.contains_key("private_key")
}

/// The service account that a key is, if it is one.
pub(super) fn service_account(key: &str) -> Option<serde_json::Map<String, serde_json::Value>> {
    // Thousands of keys may be asked about, and few are.
    if !key.starts_with(SERVICE_ACCOUNT) {
        return None;
    }
    let json = BASE64.decode(key).ok()?;
    serde_json::from_slice(&json).ok().filter(is_service_account)
}

/// The region of Google Cloud that a path of Vertex AI names.
pub(super) fn region_of(path: &str) -> Option<&str> {
    let mut segments = path.split('/');
    segments.find(|segment| *segment == "locations").and_then(|_| segments.next())
}

/// A service account as the gateway takes it: the file in base64, with the region of the request in
/// it (`developers.cloudflare.com/ai-gateway/usage/providers/vertex/`). The gateway makes an access
/// token of it and keeps that for its time.
fn for_gateway(mut account: serde_json::Map<String, serde_json::Value>, path: &str) -> String {
    if let Some(region) = region_of(path) {
        account.insert("region".to_owned(), region.into());
    }
    BASE64.encode(serde_json::Value::Object(account).to_string())
}

/// Whether the first segments of `path` are those of `start`.
pub(crate) fn starts_with_segments(path: &str, start: &str) -> bool {
    match path.strip_prefix(start) {
        Some(rest) => rest.is_empty() || rest.starts_with('/'),
        None => false,
    }
}

// === the table ===

/// The row of a provider segment: a known slug, `compat`, or any well-formed `custom-...`.
///
/// All custom providers share one row, so the caller keeps the segment itself.
pub fn find(slug: &str) -> Option<&'static Provider> {
    if slug == COMPAT {
        return Some(&COMPAT_PROVIDER);
    }
    if let Some(provider) = PROVIDERS.iter().find(|provider| provider.slug == slug) {
        return Some(provider);
    }
    is_custom(slug).then_some(&CUSTOM_PROVIDER)
}

/// The row of a custom provider that reads its key elsewhere than most: see [`super::custom`].
pub const fn custom_with(key_header: KeyHeader) -> Provider {
    Provider { key_header, ..CUSTOM_ROW }
}

/// Every provider with a segment of its own; without `compat` and the custom ones.
pub fn all() -> &'static [Provider] {
    PROVIDERS
}

/// Whether keys can be kept for `slug`: a known provider or a well-formed `custom-...`.
///
/// Not `compat`: its keys are those of the provider that the model's prefix names.
pub fn is_slug(slug: &str) -> bool {
    slug != COMPAT && find(slug).is_some()
}

/// Whether `slug` is `custom-` and a name of lower-case letters, digits and hyphens.
pub fn is_custom(slug: &str) -> bool {
    slug.len() <= MAX_SLUG_LEN
        && slug.strip_prefix(CUSTOM_PREFIX).is_some_and(|name| {
            !name.is_empty()
                && name.bytes().all(|b| matches!(b, b'a'..=b'z' | b'0'..=b'9' | b'-' | b'_'))
        })
}

/// Whether a success of this path can be an answer without an answer, which
/// [`super::classify::is_empty_answer`] can tell. Only Gemini is known for it.
pub fn may_answer_nothing(slug: &str, path: &str) -> bool {
    let generates = [":generateContent", ":streamGenerateContent"];
    slug == "google-ai-studio" && generates.iter().any(|method| path.ends_with(method))
}

/// When a key of the provider that has used up its day has quota again; always after `now`.
pub fn day_quota_reset(slug: &str, now: Millis) -> Millis {
    match find(slug).map(|provider| provider.day_quota) {
        Some(DayQuota::MidnightPacific) => clock::midnight_pacific(now),
        Some(DayQuota::Rolling) | None => now.saturating_add(DAY),
    }
}

/// The slug of the provider that a model prefix on `compat` means.
///
/// They are the same but for Perplexity, whose prefix is `perplexity/` and whose segment is
/// `perplexity-ai`. A prefix that is not known comes back as it is.
pub fn of_model_prefix(prefix: &str) -> &str {
    match prefix {
        "perplexity" => "perplexity-ai",
        other => other,
    }
}

/// The slug that someone meant who wrote `name`: in other case, or one of the nicknames.
pub fn suggest(name: &str) -> Option<&'static str> {
    let name = name.to_ascii_lowercase();
    let rows = || PROVIDERS.iter().chain(std::iter::once(&COMPAT_PROVIDER));
    rows()
        .find(|provider| provider.slug == name)
        .or_else(|| rows().find(|provider| provider.nicknames.contains(&name.as_str())))
        .map(|provider| provider.slug)
}

// === headers and queries ===

/// Headers in which a key or a token stands. A client's are never sent on.
pub const KEY_HEADERS: &[&str] = &[
    "authorization",
    "x-api-key",
    "x-goog-api-key",
    "api-key",
    "xi-api-key",
    "x-auth-token",
    "x-access-token",
];

/// Headers that carry another credential, of a client or of the platform. They are not sent on either.
pub const CREDENTIAL_HEADERS: &[&str] = &[
    "x-amz-security-token",
    "cf-aig-authorization",
    "cf-aig-byok-alias",
    "cf-access-client-id",
    "cf-access-client-secret",
    "cf-access-jwt-assertion",
    "cookie",
    "cookie2",
    "proxy-authorization",
];

/// Query parameters that carry a credential. Compared without regard to case, after decoding.
pub const CREDENTIAL_QUERY: &[&str] = &[
    "key",
    "api_key",
    "apikey",
    "api-key",
    "x-api-key",
    "x-goog-api-key",
    "xi-api-key",
    "access_token",
    "oauth_token",
    "token",
    "auth_key",
    "authorization",
];

/// Beginnings of entries of a `sec-websocket-protocol` list behind which browsers put a credential, for
/// want of headers.
pub const CREDENTIAL_PROTOCOLS: &[&str] =
    &["openai-insecure-api-key.", "xi-api-key.", "fal-api-key."];

/// Whether a query parameter with this (decoded) name carries a credential.
pub fn is_credential_query(name: &str) -> bool {
    CREDENTIAL_QUERY.iter().any(|known| known.eq_ignore_ascii_case(name))
}

/// Whether a client's header of this name is sent on to the gateway.
///
/// Not sent on are: credentials; what belongs to one connection; what tells about the client's
/// address or browser; and what would steer the gateway or the provider in our name.
pub fn forwards(name: &str) -> bool {
    // The platform hands names out in lower case; anything else is a test or a surprise.
    if name.bytes().any(|b| b.is_ascii_uppercase()) {
        return forwards(&name.to_ascii_lowercase());
    }
    if let Some(rest) = name.strip_prefix("cf-") {
        // Of the gateway's own controls, those about caching, logging and labelling are the
        // client's business. Retries, credentials and billing are ours.
        return matches!(
            rest,
            "aig-skip-cache"
                | "aig-cache-ttl"
                | "aig-cache-key"
                | "aig-collect-log"
                | "aig-collect-log-payload"
                | "aig-metadata"
                | "aig-custom-cost"
                | "aig-event-id"
                | "aig-request-timeout"
                | "skip-cache"
                | "cache-ttl"
        );
    }
    if KEY_HEADERS.contains(&name)
        || name.starts_with("sec-")
        || name.starts_with("proxy-")
        || name.starts_with("x-forwarded-")
        || name.starts_with("x-amz-")
    {
        return false;
    }
    !matches!(
        name,
        // CREDENTIAL_HEADERS without those that a prefix above covers.
        "cookie" | "cookie2"
        // One connection's own (RFC 9110, 7.6.1), and what the next request sets itself.
        | "connection" | "keep-alive" | "te" | "trailer" | "transfer-encoding" | "upgrade"
        | "expect" | "host" | "content-length" | "accept-encoding" | "via"
        // Where the client is.
        | "forwarded" | "x-real-ip" | "x-client-ip" | "x-cluster-client-ip" | "true-client-ip"
        | "cdn-loop" | "client-ip"
        // A browser's.
        | "origin" | "referer" | "dnt"
        // A client's own account. With a pooled key they are refused as a mismatch, and a good
        // key would look like a bad one.
        | "openai-organization" | "openai-project" | "x-goog-user-project"
        // Would make the provider do something else than what was checked.
        | "x-http-method-override" | "x-method-override" | "x-http-method"
        // Chooses the address that the gateway sends the key to. It is read, and set anew.
        | "x-fal-target-url"
    )
}

#[cfg(test)]
mod tests {
    use super::super::{HOUR, SECOND};
    use super::*;

    #[test]
    fn slugs_and_nicknames_are_unique() {
        let mut seen = std::collections::HashSet::new();
        for provider in all() {
            assert!(seen.insert(provider.slug), "{}", provider.slug);
            assert!(!provider.name.is_empty());
            assert!(is_slug(provider.slug));
            for nickname in provider.nicknames {
                assert!(seen.insert(nickname), "{nickname}");
                assert_eq!(suggest(nickname), Some(provider.slug));
            }
        }
    }

    #[test]
    fn rows_are_found() {
        assert_eq!(find("openai").unwrap().slug, "openai");
        assert_eq!(find("compat").unwrap().slug, "compat");
        assert_eq!(find("custom-mine").unwrap().slug, "custom-");
        for unknown in ["", "OpenAI", "google", "custom-", "custom-A", "custom-a/b", "custom-a.b"] {
            assert!(find(unknown).is_none(), "{unknown}");
        }
        assert!(find(&format!("custom-{}", "a".repeat(MAX_SLUG_LEN))).is_none());
        assert!(!is_slug("compat"), "compat keeps no keys");
        assert!(is_slug("custom-x1-y"));
        assert_eq!(of_model_prefix("perplexity"), "perplexity-ai");
        assert_eq!(of_model_prefix("grok"), "grok");
        assert_eq!(suggest("Gemini"), Some("google-ai-studio"));
        assert_eq!(suggest("OpenAI"), Some("openai"));
        assert_eq!(suggest("nothing"), None);
    }

    #[test]
    fn every_provider_gets_its_key_where_it_reads_it() {
        for (slug, path, key, name, value) in [
            ("openai", "chat/completions", "sk-1", "authorization", "Bearer sk-1"),
            ("anthropic", "v1/messages", "sk-ant-api03-1", "x-api-key", "sk-ant-api03-1"),
            (
                "anthropic",
                "v1/messages",
                "sk-ant-oat01-1",
                "authorization",
                "Bearer sk-ant-oat01-1",
            ),
            (
                "google-ai-studio",
                "v1beta/models/m:generateContent",
                "AIza",
                "x-goog-api-key",
                "AIza",
            ),
            (
                "google-ai-studio",
                "v1beta/openai/chat/completions",
                "AIza",
                "authorization",
                "Bearer AIza",
            ),
            ("google-ai-studio", "v1beta/openaix", "AIza", "x-goog-api-key", "AIza"),
            ("azure-openai", "r/d/chat/completions", "k", "api-key", "k"),
            ("elevenlabs", "v1/voices", "sk_1", "xi-api-key", "sk_1"),
            ("ideogram", "v1/x/generate", "k", "api-key", "k"),
            ("parallel", "v1/tasks/runs", "k", "x-api-key", "k"),
            ("cartesia", "tts/bytes", "k", "x-api-key", "k"),
            ("fal", "fal-ai/flux", "k", "authorization", "Key k"),
            ("deepgram", "v1/listen", "k", "authorization", "Token k"),
            ("compat", "chat/completions", "AIza", "authorization", "Bearer AIza"),
            ("compat", "chat/completions", "sk-ant-api", "authorization", "Bearer sk-ant-api"),
            ("custom-mine", "x", "k", "authorization", "Bearer k"),
        ] {
            let found = find(slug).unwrap().credential(path, key);
            assert_eq!(found, (name, value.to_owned()), "{slug} {path}");
        }
    }

    #[test]
    fn a_service_account_goes_to_the_gateway_with_the_region_of_the_request() {
        let vertex = find("google-vertex-ai").unwrap();
        let account = r#"{"type":"service_account","private_key":"-----BEGIN\nEND-----\n"}"#;
        let account = key_of_service_account(&serde_json::from_str(account).unwrap());
        let account = account.as_str();
        let region = |path: &str| {
            let (name, value) = vertex.credential(path, account);
            assert_eq!(name, "authorization");
            let sent = BASE64.decode(value.strip_prefix("Bearer ").unwrap()).unwrap();
            let sent: serde_json::Value = serde_json::from_slice(&sent).unwrap();
            assert_eq!(sent["private_key"], "-----BEGIN\nEND-----\n");
            sent["region"].as_str().map(str::to_owned)
        };
        let path =
            "v1/projects/p/locations/europe-west4/publishers/google/models/m:generateContent";
        assert_eq!(region(path).as_deref(), Some("europe-west4"));
        assert_eq!(region("v1/projects/p"), None);
        let token = ("authorization", "Bearer ya29.token".to_owned());
        assert_eq!(vertex.credential("v1/x", "ya29.token"), token);
        assert_eq!(vertex.credential("v1/x", "AIza1"), ("x-goog-api-key", "AIza1".to_owned()));
        assert!(vertex.is_service_account(account) && !vertex.is_service_account("ya29.token"));
        assert!(!find("openai").unwrap().is_service_account(account));
    }

    #[test]
    fn no_credential_is_forwarded() {
        for name in KEY_HEADERS.iter().chain(CREDENTIAL_HEADERS) {
            assert!(!forwards(name), "{name}");
            assert!(!forwards(&name.to_ascii_uppercase()), "{name}");
        }
        for provider in all() {
            assert!(KEY_HEADERS.contains(&provider.key_header.name), "{}", provider.slug);
        }
    }

    #[test]
    fn headers_are_forwarded_or_not() {
        for name in [
            "content-type",
            "accept",
            "user-agent",
            "anthropic-version",
            "anthropic-beta",
            "openai-beta",
            "x-stainless-lang",
            "x-goog-api-client",
            "http-referer",
            "x-title",
            "cartesia-version",
            "idempotency-key",
            "x-goog-upload-command",
            "range",
            "prefer",
            "x-amzn-bedrock-guardrailidentifier",
            "cf-aig-skip-cache",
            "cf-aig-cache-ttl",
            "cf-aig-cache-key",
            "cf-aig-metadata",
            "cf-aig-collect-log",
            "cf-aig-collect-log-payload",
            "cf-aig-custom-cost",
            "cf-aig-event-id",
            "cf-aig-request-timeout",
            "cf-skip-cache",
            "CF-Cache-TTL",
        ] {
            assert!(forwards(name), "{name}");
        }
        for name in [
            "Host",
            "content-length",
            "accept-encoding",
            "connection",
            "transfer-encoding",
            "cf-connecting-ip",
            "cf-ray",
            "cf-ipcountry",
            "cf-visitor",
            "cf-worker",
            "cdn-loop",
            "x-forwarded-for",
            "X-Forwarded-Proto",
            "x-real-ip",
            "forwarded",
            "origin",
            "referer",
            "sec-fetch-mode",
            "sec-websocket-protocol",
            "cf-aig-max-attempts",
            "cf-aig-zdr",
            "cf-aig-no-wholesale",
            "cf-aig-backoff",
            "cf-aig-gateway-id",
            "cf-aig-unheard-of",
            "openai-organization",
            "openai-project",
            "x-goog-user-project",
            "x-fal-target-url",
            "x-http-method-override",
            "x-amz-date",
        ] {
            assert!(!forwards(name), "{name}");
        }
    }

    #[test]
    fn credentials_in_queries_are_known() {
        for name in ["key", "KEY", "api_key", "access_token"] {
            assert!(is_credential_query(name), "{name}");
        }
        for name in ["model", "alt", "pageToken", "api-version", "keys"] {
            assert!(!is_credential_query(name), "{name}");
        }
    }

    #[test]
    fn the_day_is_over_in_the_future() {
        let now = 1_700_000_000 * SECOND;
        assert_eq!(day_quota_reset("openai", now), now + 24 * HOUR);
        assert_eq!(day_quota_reset("custom-x", now), now + 24 * HOUR);
        let midnight = day_quota_reset("google-ai-studio", now);
        assert!(midnight > now && midnight <= now + 25 * HOUR);
    }

    #[test]
    fn probes_are_paths_that_stay_as_they_are() {
        for provider in all() {
            let Some(probe) = provider.probe else { continue };
            let address = format!("/api/{}/{}", provider.slug, probe.path);
            let super::super::route::Route::Api(api) =
                super::super::route::route(probe.method, &address).unwrap()
            else {
                panic!("{address}");
            };
            assert_eq!(api.path_and_query(), probe.path, "{}", provider.slug);
        }
    }
}
