//! Whose model is that? For the addresses where the model tells the provider (see
//! [`Door`](super::route::Door)).
//!
//! A name is taken apart in this order, and the first that fits decides. "Has keys" means: keys that
//! are not blocked, of a provider that the token may use, at the kind of address in question.
//!
//! 1. `provider/model`, where the provider has keys. A nickname (`google/`, `xai/`) will do.
//! 2. `vendor/model` is how OpenRouter names what it resells, so `openai/gpt-5` goes there when
//!    there are no keys of OpenAI, and `vendor/model:free` always.
//! 3. A bare name that says whose it is: `gpt-...`, `claude-...` (the table below).
//! 4. A name that stands in the list of models of a provider that has keys.

use super::model::split_compat;
use super::provider::{self, Provider};

/// What a client speaks, at the addresses where the model tells the provider.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Shape {
    /// OpenAI's.
    OpenAi,
    /// Anthropic's.
    Anthropic,
}

impl Shape {
    /// What the provider has in front of the paths of this shape; `None` when it does not speak it.
    pub fn path_of(self, row: &Provider) -> Option<&'static str> {
        match self {
            Shape::OpenAi => row.openai_path,
            Shape::Anthropic => row.messages_path,
        }
    }
}

/// What is known of a provider's list of models.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Listed {
    /// The model is in it.
    Yes,
    /// It is not.
    No,
    /// The list is not known here.
    Unknown,
}

/// What there is to choose from.
pub struct Offer<'a> {
    /// What the client speaks.
    pub shape: Shape,
    /// Whether the provider has keys that the caller may use.
    pub usable: &'a dyn Fn(&str) -> bool,
    /// What is known of a provider's list.
    pub listed: &'a dyn Fn(&str, &str) -> Listed,
}

/// The outcome.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Resolution {
    /// It is this provider's, under this name.
    Found {
        /// The provider.
        slug: String,
        /// The model as the provider knows it.
        model: String,
    },
    /// It could be in one of these lists.
    AskLists(Vec<&'static str>),
    /// Nobody here has it.
    Nobody {
        /// Who would have it.
        owner: Option<&'static str>,
    },
}

/// The provider that resells others' models under `vendor/model`.
const RESELLER: &str = "openrouter";

/// Endings of a reseller's names that no vendor knows.
const VARIANTS: &[&str] =
    &[":free", ":nitro", ":floor", ":online", ":extended", ":exacto", ":thinking", ":beta"];

/// Beginnings of models' names, and whose they are: the first one that has keys. The longest
/// beginning that fits counts.
const OWNERS: &[(&str, &[&str])] = &[
    ("gpt-", &["openai"]),
    ("gpt-oss-", &["groq", "cerebras"]),
    ("openai/gpt-oss-", &["groq", "baseten", "openrouter"]),
    ("chatgpt-", &["openai"]),
    ("codex-", &["openai"]),
    ("computer-use-", &["openai"]),
    ("o1", &["openai"]),
    ("o3", &["openai"]),
    ("o4", &["openai"]),
    ("ft:", &["openai"]),
    ("dall-e-", &["openai"]),
    ("sora-", &["openai"]),
    ("tts-", &["openai"]),
    ("whisper-1", &["openai"]),
    ("whisper-large", &["groq"]),
    ("distil-whisper", &["groq"]),
    ("text-embedding-3", &["openai"]),
    ("text-embedding-ada", &["openai"]),
    ("text-embedding-0", &["google-ai-studio"]),
    ("text-moderation-", &["openai"]),
    ("omni-moderation-", &["openai"]),
    ("davinci-", &["openai"]),
    ("babbage-", &["openai"]),
    ("claude-", &["anthropic"]),
    ("gemini-", &["google-ai-studio"]),
    ("gemma-", &["google-ai-studio"]),
    ("imagen-", &["google-ai-studio"]),
    ("veo-", &["google-ai-studio"]),
    ("learnlm-", &["google-ai-studio"]),
    ("grok-", &["grok"]),
    ("deepseek-chat", &["deepseek"]),
    ("deepseek-reasoner", &["deepseek"]),
    ("deepseek-v", &["deepseek"]),
    ("mistral-", &["mistral"]),
    ("ministral-", &["mistral"]),
    ("magistral-", &["mistral"]),
    ("devstral-", &["mistral"]),
    ("codestral-", &["mistral"]),
    ("pixtral-", &["mistral"]),
    ("voxtral-", &["mistral"]),
    ("open-mistral-", &["mistral"]),
    ("open-mixtral-", &["mistral"]),
    ("command-", &["cohere"]),
    ("c4ai-aya-", &["cohere"]),
    ("embed-", &["cohere"]),
    ("sonar", &["perplexity-ai"]),
    ("r1-1776", &["perplexity-ai"]),
    ("@cf/", &["workers-ai"]),
    ("accounts/fireworks/", &["fireworks"]),
];

/// Where requests without a model go at the addresses of OpenAI's clients.
const OPENAI: &str = "openai";

/// Who else has OpenAI's endpoints for what is stored, by the first segment of their paths.
const KEEPERS: &[(&str, &[&str])] = &[
    ("groq", &["files", "batches"]),
    ("grok", &["files", "batches", "responses"]),
    ("mistral", &["files"]),
    ("cerebras", &["files", "batches"]),
    ("google-ai-studio", &["batches"]),
];

/// The provider of a request that names no model, and no object that is known: OpenAI, unless it has
/// no keys and just one other provider has both keys and that endpoint. Among several the caller has
/// to choose: what is stored at the wrong one is of no use to it.
pub fn keeper(path: &str, usable: &dyn Fn(&str) -> bool) -> &'static str {
    if usable(OPENAI) {
        return OPENAI;
    }
    let first = path.split('/').next().unwrap_or_default();
    let mut others = KEEPERS.iter().filter(|(slug, has)| has.contains(&first) && usable(slug));
    match (others.next(), others.next()) {
        (Some((only, _)), None) => only,
        _ => OPENAI,
    }
}

/// Finds the provider of a model. `asked` is whether the lists were asked for already.
pub fn resolve(name: &str, offer: &Offer<'_>, asked: bool) -> Resolution {
    let found = |slug: &str, model: &str| Resolution::Found {
        slug: slug.to_owned(),
        model: model.to_owned(),
    };
    let resold = || name.contains('/') && offer.has(RESELLER);
    let owners = owners(name);
    if name.contains('/')
        && let Some(owner) = owners.iter().find(|slug| offer.has(slug))
    {
        return found(owner, name);
    }
    let named = prefixed(name);
    if let Some((slug, model)) = &named {
        if slug != RESELLER && resold() && VARIANTS.iter().any(|ending| name.ends_with(ending)) {
            return found(RESELLER, name);
        }
        if slug == RESELLER && !model.contains('/') {
            // `openrouter/auto` is a name of its own.
            return found(RESELLER, name);
        }
        if (offer.usable)(slug) {
            return found(slug, model);
        }
        if resold() {
            return found(RESELLER, name);
        }
    } else if let Some(owner) = owners.iter().find(|slug| offer.has(slug)) {
        return found(owner, name);
    }
    let listed = |wanted: Listed| {
        offer.candidates().filter(move |slug| (offer.listed)(slug, name) == wanted)
    };
    if let Some(slug) = listed(Listed::Yes).next() {
        return found(slug, name);
    }
    let unknown: Vec<_> = listed(Listed::Unknown).collect();
    let can_be_asked = |slug: &&str| provider::find(slug).is_some_and(|row| row.models.is_some());
    if !asked && unknown.iter().any(can_be_asked) {
        return Resolution::AskLists(unknown.into_iter().filter(can_be_asked).collect());
    }
    match (unknown.as_slice(), named) {
        _ if resold() => found(RESELLER, name),
        // The provider is named, though it has no keys: that is what the caller is told.
        (_, Some((slug, model))) if name.starts_with(slug.as_str()) => found(&slug, &model),
        // The only one whose list is not known: it may have it.
        ([slug], None) if owners.is_empty() => found(slug, name),
        _ => Resolution::Nobody { owner: owners.first().copied() },
    }
}

impl Offer<'_> {
    /// Whether the provider has keys and speaks as the client does.
    fn has(&self, slug: &str) -> bool {
        (self.usable)(slug)
            && provider::find(slug).is_some_and(|row| self.shape.path_of(row).is_some())
    }

    /// Every such provider; those whose names are of others come last.
    pub fn candidates(&self) -> impl Iterator<Item = &'static str> {
        let of = |reseller: bool| {
            provider::all()
                .iter()
                .map(|row| row.slug)
                .filter(move |slug| (*slug == RESELLER) == reseller && self.has(slug))
        };
        of(false).chain(of(true))
    }
}

/// The provider and the rest of a name that has a provider, or a nickname of one, in front.
fn prefixed(name: &str) -> Option<(String, String)> {
    if let Some((slug, model)) = split_compat(name).filter(|(slug, _)| *slug != provider::DYNAMIC) {
        return Some((slug.to_owned(), model.to_owned()));
    }
    let (prefix, model) = name.split_once('/')?;
    let slug = provider::suggest(prefix).filter(|slug| *slug != provider::COMPAT)?;
    (!model.is_empty()).then(|| (slug.to_owned(), model.to_owned()))
}

/// Whose models begin like this.
fn owners(name: &str) -> &'static [&'static str] {
    let fits = OWNERS.iter().filter(|(start, _)| name.starts_with(start));
    fits.max_by_key(|(start, _)| start.len()).map_or(&[], |(_, owners)| owners)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Resolves among these providers, of which these lists are known.
    fn resolved(
        name: &str,
        shape: Shape,
        usable: &[&str],
        lists: &[(&str, &[&str])],
        asked: bool,
    ) -> Resolution {
        let offer = Offer {
            shape,
            usable: &|slug| usable.contains(&slug),
            listed: &|slug, model| match lists.iter().find(|(listed, _)| *listed == slug) {
                Some((_, models)) if models.contains(&model) => Listed::Yes,
                Some(_) => Listed::No,
                None => Listed::Unknown,
            },
        };
        resolve(name, &offer, asked)
    }

    fn found(slug: &str, model: &str) -> Resolution {
        Resolution::Found { slug: slug.to_owned(), model: model.to_owned() }
    }

    #[test]
    fn without_a_model_it_is_openai_or_the_only_one_that_can() {
        for (path, usable, expected) in [
            ("files", &["openai", "groq"][..], "openai"),
            ("files", &["groq"], "groq"),
            ("files/file-1/content", &["mistral", "anthropic", "deepseek"], "mistral"),
            ("files", &["groq", "mistral"], "openai"),
            ("batches", &["groq", "mistral"], "groq"),
            ("batches", &["google-ai-studio"], "google-ai-studio"),
            ("vector_stores", &["groq"], "openai"),
            ("files", &["anthropic"], "openai"),
            ("files", &[], "openai"),
            ("", &["groq"], "openai"),
        ] {
            let found = keeper(path, &|slug| usable.contains(&slug));
            assert_eq!(found, expected, "{path} {usable:?}");
        }
        for (slug, _) in KEEPERS {
            assert!(provider::find(slug).is_some_and(|row| row.openai_path.is_some()), "{slug}");
        }
    }

    #[test]
    fn a_name_leads_to_the_provider_that_has_keys() {
        for (name, usable, slug, model) in [
            // With the provider in front.
            ("openai/gpt-5", &["openai"][..], "openai", "gpt-5"),
            ("openai/gpt-5", &["openai", "openrouter"], "openai", "gpt-5"),
            ("openai/gpt-5", &["openrouter"], "openrouter", "openai/gpt-5"),
            ("openrouter/openai/gpt-5", &["openai", "openrouter"], "openrouter", "openai/gpt-5"),
            ("openrouter/auto", &["openrouter"], "openrouter", "openrouter/auto"),
            (
                "google-ai-studio/gemini-2.5-pro",
                &["google-ai-studio"],
                "google-ai-studio",
                "gemini-2.5-pro",
            ),
            (
                "google/gemini-2.5-pro",
                &["google-ai-studio", "openrouter"],
                "google-ai-studio",
                "gemini-2.5-pro",
            ),
            ("google/gemini-2.5-pro", &["openrouter"], "openrouter", "google/gemini-2.5-pro"),
            ("xai/grok-4", &["grok"], "grok", "grok-4"),
            ("perplexity/sonar", &["perplexity-ai"], "perplexity-ai", "sonar"),
            (
                "deepseek/deepseek-r1:free",
                &["deepseek", "openrouter"],
                "openrouter",
                "deepseek/deepseek-r1:free",
            ),
            ("groq/openai/gpt-oss-20b", &["groq", "openai"], "groq", "openai/gpt-oss-20b"),
            ("openai/gpt-oss-20b", &["groq", "openai"], "groq", "openai/gpt-oss-20b"),
            ("custom-mine/x", &["custom-mine"], "custom-mine", "x"),
            // A provider without keys is named all the same.
            ("groq/llama", &["openai"], "groq", "llama"),
            ("openai/gpt-5", &[], "openai", "gpt-5"),
            // A vendor that is no provider.
            ("qwen/qwen3-coder:free", &["openrouter"], "openrouter", "qwen/qwen3-coder:free"),
            // Bare.
            ("gpt-5-mini", &["google-ai-studio", "openai"], "openai", "gpt-5-mini"),
            ("o3-mini", &["openai"], "openai", "o3-mini"),
            ("claude-haiku-4-5", &["openai", "anthropic"], "anthropic", "claude-haiku-4-5"),
            (
                "gemini-2.5-flash",
                &["openai", "google-ai-studio"],
                "google-ai-studio",
                "gemini-2.5-flash",
            ),
            (
                "text-embedding-3-small",
                &["google-ai-studio", "openai"],
                "openai",
                "text-embedding-3-small",
            ),
            (
                "text-embedding-004",
                &["google-ai-studio", "openai"],
                "google-ai-studio",
                "text-embedding-004",
            ),
            ("whisper-1", &["groq", "openai"], "openai", "whisper-1"),
            ("whisper-large-v3", &["groq", "openai"], "groq", "whisper-large-v3"),
            ("gpt-oss-120b", &["openai", "cerebras"], "cerebras", "gpt-oss-120b"),
            ("mistral-large-latest", &["mistral"], "mistral", "mistral-large-latest"),
            ("sonar-pro", &["perplexity-ai", "openai"], "perplexity-ai", "sonar-pro"),
            (
                "@cf/meta/llama-3.1-8b-instruct",
                &["workers-ai"],
                "workers-ai",
                "@cf/meta/llama-3.1-8b-instruct",
            ),
        ] {
            let lists: &[(&str, &[&str])] =
                &[("groq", &[]), ("openai", &[]), ("google-ai-studio", &[])];
            let got = resolved(name, Shape::OpenAi, usable, lists, true);
            assert_eq!(got, found(slug, model), "{name} among {usable:?}");
        }
    }

    #[test]
    fn a_name_that_says_nothing_is_looked_for_in_lists() {
        let ask = |usable, lists, asked| {
            resolved("llama-3.1-8b-instant", Shape::OpenAi, usable, lists, asked)
        };
        let both = &["openai", "groq"][..];
        assert_eq!(ask(both, &[], false), Resolution::AskLists(vec!["openai", "groq"]));
        let known: &[(&str, &[&str])] = &[("groq", &["llama-3.1-8b-instant"])];
        assert_eq!(ask(both, known, false), found("groq", "llama-3.1-8b-instant"));
        let others: &[(&str, &[&str])] = &[("groq", &["x"]), ("openai", &["y"])];
        assert_eq!(ask(both, others, false), Resolution::Nobody { owner: None });
        // One list could not be had.
        assert_eq!(ask(both, &[("groq", &["x"])], true), found("openai", "llama-3.1-8b-instant"));
        // There is none.
        assert_eq!(
            ask(&["perplexity-ai"], &[], false),
            found("perplexity-ai", "llama-3.1-8b-instant")
        );
        assert_eq!(ask(both, &[], true), Resolution::Nobody { owner: None });
    }

    #[test]
    fn whose_model_it_would_be_is_told() {
        let got = resolved("gpt-5", Shape::OpenAi, &["groq"], &[("groq", &["x"])], false);
        assert_eq!(got, Resolution::Nobody { owner: Some("openai") });
        assert_eq!(
            resolved("gpt-5", Shape::OpenAi, &[], &[], false),
            Resolution::Nobody { owner: Some("openai") }
        );
    }

    #[test]
    fn anthropics_clients_get_those_who_speak_like_it() {
        let ask = |name, usable| resolved(name, Shape::Anthropic, usable, &[], true);
        assert_eq!(
            ask("claude-opus-4-5", &["anthropic", "openai"]),
            found("anthropic", "claude-opus-4-5")
        );
        assert_eq!(ask("grok-4", &["anthropic", "grok"]), found("grok", "grok-4"));
        assert_eq!(ask("gpt-5", &["openai"]), Resolution::Nobody { owner: Some("openai") });
        assert_eq!(
            ask("anthropic/claude-opus-4-5", &["openrouter"]),
            found("openrouter", "anthropic/claude-opus-4-5")
        );
    }

    #[test]
    fn owners_are_providers_that_speak_like_openai() {
        for (start, owners) in OWNERS {
            assert!(!owners.is_empty(), "{start}");
            for slug in *owners {
                assert!(provider::find(slug).unwrap().openai_path.is_some(), "{start} {slug}");
            }
        }
    }
}
