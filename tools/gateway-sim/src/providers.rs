//! The providers behind the gateway: where each one's key and model are, and whose manners it has.

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum KeyPlace {
    /// `Authorization` with one of these schemes.
    Authorization(&'static [&'static str]),
    Header(&'static str),
    /// This header, else `Authorization: Bearer`.
    HeaderOrBearer(&'static str),
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ModelPlace {
    /// A field of a JSON or multipart body; the first that is there.
    Body(&'static [&'static str]),
    /// `/models/{model}:method`, else the body.
    ModelsPath,
    /// `{resource}/{deployment}/...`
    Deployment,
    /// `/model/{id}/...`, else the body.
    ModelPath,
    /// The first two segments.
    OrgModel,
    /// `models/{owner}/{name}/...`, else the body.
    OwnerName,
    /// The whole path, but for a request's id in a queue.
    WholePath,
    /// The segment behind the version.
    BehindVersion,
    /// The path when it starts with `@`, else the body.
    AtPath,
    Query,
}

/// Whose answers and errors.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Manners {
    OpenAi,
    Gemini,
    Anthropic,
    Other,
}

#[derive(Debug, PartialEq, Eq)]
pub struct Provider {
    pub slug: &'static str,
    pub key: KeyPlace,
    pub model: ModelPlace,
    pub manners: Manners,
}

const BEARER: KeyPlace = KeyPlace::Authorization(&["Bearer"]);
const TOKEN: KeyPlace = KeyPlace::Authorization(&["Token", "Bearer"]);
const FIELD: ModelPlace = ModelPlace::Body(&["model"]);

const fn provider(
    slug: &'static str,
    key: KeyPlace,
    model: ModelPlace,
    manners: Manners,
) -> Provider {
    Provider { slug, key, model, manners }
}

static PROVIDERS: &[Provider] = &[
    provider("openai", BEARER, FIELD, Manners::OpenAi),
    provider(
        "google-ai-studio",
        KeyPlace::Header("x-goog-api-key"),
        ModelPlace::ModelsPath,
        Manners::Gemini,
    ),
    provider("anthropic", KeyPlace::HeaderOrBearer("x-api-key"), FIELD, Manners::Anthropic),
    provider("groq", BEARER, FIELD, Manners::OpenAi),
    provider("openrouter", BEARER, FIELD, Manners::OpenAi),
    provider("mistral", BEARER, FIELD, Manners::OpenAi),
    provider("perplexity-ai", BEARER, FIELD, Manners::OpenAi),
    provider("deepseek", BEARER, FIELD, Manners::OpenAi),
    provider("cerebras", BEARER, FIELD, Manners::OpenAi),
    provider("grok", BEARER, FIELD, Manners::OpenAi),
    provider("fireworks", BEARER, FIELD, Manners::OpenAi),
    provider("baseten", BEARER, ModelPlace::ModelPath, Manners::OpenAi),
    provider("workers-ai", BEARER, ModelPlace::AtPath, Manners::OpenAi),
    provider("azure-openai", KeyPlace::Header("api-key"), ModelPlace::Deployment, Manners::OpenAi),
    provider("google-vertex-ai", BEARER, ModelPlace::ModelsPath, Manners::Gemini),
    provider("aws-bedrock", BEARER, ModelPlace::ModelPath, Manners::Other),
    provider("cohere", TOKEN, FIELD, Manners::Other),
    provider("huggingface", BEARER, ModelPlace::OrgModel, Manners::Other),
    provider("replicate", TOKEN, ModelPlace::OwnerName, Manners::Other),
    provider("fal", KeyPlace::Authorization(&["Key"]), ModelPlace::WholePath, Manners::Other),
    provider("ideogram", KeyPlace::Header("api-key"), ModelPlace::BehindVersion, Manners::Other),
    provider(
        "cartesia",
        KeyPlace::Header("x-api-key"),
        ModelPlace::Body(&["model_id"]),
        Manners::Other,
    ),
    provider(
        "elevenlabs",
        KeyPlace::Header("xi-api-key"),
        ModelPlace::Body(&["model_id"]),
        Manners::Other,
    ),
    provider("deepgram", KeyPlace::Authorization(&["Token"]), ModelPlace::Query, Manners::Other),
    provider(
        "parallel",
        KeyPlace::Header("x-api-key"),
        ModelPlace::Body(&["model", "processor"]),
        Manners::Other,
    ),
];

/// Its key is elsewhere where the configuration says so.
static CUSTOM: Provider = provider("custom", BEARER, FIELD, Manners::OpenAi);

pub fn find(slug: &str) -> Option<&'static Provider> {
    PROVIDERS
        .iter()
        .find(|provider| provider.slug == slug)
        .or_else(|| slug.strip_prefix("custom-").filter(|rest| !rest.is_empty()).map(|_| &CUSTOM))
}

/// Stands in where there is no provider to name.
pub fn unknown() -> &'static Provider {
    &CUSTOM
}

/// Splits the unified endpoint's `provider/model`; the prefix is not always the provider's slug.
pub fn split_compat(model: &str) -> Option<(&str, &str)> {
    let (prefix, model) = model.split_once('/')?;
    Some((if prefix == "perplexity" { "perplexity-ai" } else { prefix }, model))
}

/// Models of the lists; names without a prefix.
pub fn models(slug: &str) -> &'static [&'static str] {
    match slug {
        "google-ai-studio" | "google-vertex-ai" => &[
            "gemini-2.5-flash",
            "gemini-2.5-flash-lite",
            "gemini-2.5-pro",
            "gemini-2.5-flash-preview-tts",
            "gemini-embedding-001",
            "imagen-4.0-generate-001",
        ],
        "anthropic" => &["claude-opus-4-5", "claude-sonnet-4-5", "claude-haiku-4-5"],
        "groq" => &[
            "llama-3.1-8b-instant",
            "llama-3.3-70b-versatile",
            "openai/gpt-oss-20b",
            "whisper-large-v3",
        ],
        "openrouter" => {
            &["openai/gpt-5-mini", "qwen/qwen3-coder:free", "deepseek/deepseek-r1:free"]
        }
        "mistral" => &["mistral-small-latest", "mistral-large-latest", "mistral-embed"],
        "deepseek" => &["deepseek-chat", "deepseek-reasoner"],
        "cerebras" => &["llama3.1-8b", "gpt-oss-120b"],
        "grok" => &["grok-4", "grok-3-mini"],
        "perplexity-ai" => &["sonar", "sonar-pro"],
        _ => &[
            "gpt-5-mini",
            "gpt-4o",
            "gpt-4o-mini",
            "text-embedding-3-small",
            "whisper-1",
            "tts-1",
            "gpt-image-1",
        ],
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn knows_slugs_and_custom_providers() {
        assert_eq!(find("elevenlabs").unwrap().key, KeyPlace::Header("xi-api-key"));
        assert_eq!(find("custom-mine").unwrap().key, BEARER);
        assert!(find("custom-").is_none());
        assert!(find("perplexity").is_none());
    }

    #[test]
    fn splits_the_unified_model_at_the_first_slash() {
        assert_eq!(
            split_compat("workers-ai/@cf/meta/llama"),
            Some(("workers-ai", "@cf/meta/llama"))
        );
        assert_eq!(split_compat("perplexity/sonar"), Some(("perplexity-ai", "sonar")));
        assert_eq!(split_compat("gpt-4o"), None);
    }
}
