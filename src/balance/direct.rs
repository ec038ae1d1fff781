//! The providers' own addresses, for those who run without an AI Gateway (`UPSTREAM=direct`).
//!
//! A path is what the gateway would be sent behind the provider's segment, and becomes what the
//! gateway makes of it. The address carries a key, so what a client may choose of a host (a region, a
//! resource) is a plain name, and nothing else of the host is the client's.

use super::provider::{Provider, region_of};

/// The address of one request; `None` when the provider has none that can be told. `account` is the
/// Cloudflare account, which Workers AI has in its addresses.
#[must_use]
pub fn url(
    row: &Provider,
    path: &str,
    query: Option<&str>,
    account: Option<&str>,
) -> Option<String> {
    let mut url = address(row, path, account)?;
    if let Some(query) = query.filter(|query| !query.is_empty()) {
        url.push('?');
        url.push_str(query);
    }
    Some(url)
}

fn address(row: &Provider, path: &str, account: Option<&str>) -> Option<String> {
    let (first, rest) = path.split_once('/').unwrap_or((path, ""));
    if row.hosts.contains(&first) {
        return Some(format!("https://{path}"));
    }
    if let Some(base) = row.direct_base {
        // At the gateway some are written with and without the version that the base has.
        let version = base.rsplit('/').next().filter(|last| last.starts_with('v'));
        let path = version
            .and_then(|version| path.strip_prefix(version)?.strip_prefix('/'))
            .unwrap_or(path);
        return Some(if path.is_empty() { base.to_owned() } else { format!("{base}/{path}") });
    }
    match row.slug {
        "azure-openai" => {
            let resource = name(first)?;
            // A deployment, or a path of its own: `openai/v1/...`, `openai/responses`.
            let folder = if rest.starts_with("openai/") { "" } else { "openai/deployments/" };
            Some(format!("https://{resource}.openai.azure.com/{folder}{rest}"))
        }
        "google-vertex-ai" => {
            let express = || path.split('/').nth(1) == Some("publishers");
            match region_of(path) {
                Some("global") => Some(format!("https://aiplatform.googleapis.com/{path}")),
                Some(region) => {
                    let region = name(region)?;
                    Some(format!("https://{region}-aiplatform.googleapis.com/{path}"))
                }
                // Express mode names neither project nor region.
                None => express().then(|| format!("https://aiplatform.googleapis.com/{path}")),
            }
        }
        "aws-bedrock" => {
            let (region, rest) = rest.split_once('/')?;
            let region = name(region)?;
            match first {
                "bedrock-runtime" => {
                    Some(format!("https://bedrock-runtime.{region}.amazonaws.com/{rest}"))
                }
                "bedrock-mantle" => Some(format!("https://bedrock-mantle.{region}.api.aws/{rest}")),
                _ => None,
            }
        }
        "workers-ai" => {
            let account = name(account?)?;
            let folder = if first == "v1" { "" } else { "run/" };
            Some(format!(
                "https://api.cloudflare.com/client/v4/accounts/{account}/ai/{folder}{path}"
            ))
        }
        "huggingface" => Some(format!("https://router.huggingface.co/hf-inference/models/{path}")),
        "cartesia" => Some(format!("https://api.cartesia.ai/{path}")),
        "baseten" if first == "model" => {
            let (model, rest) = rest.split_once('/').unwrap_or((rest, ""));
            let model = name(model)?;
            let rest = if rest.is_empty() { "production/predict" } else { rest };
            Some(format!("https://model-{model}.api.baseten.co/{rest}"))
        }
        "baseten" => Some(format!("https://inference.baseten.co/{path}")),
        _ => None,
    }
}

/// A label of a host's name, and nothing that could end it.
fn name(text: &str) -> Option<&str> {
    let plain = text.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'-');
    (plain && !text.is_empty() && !text.starts_with('-') && text.len() <= 63).then_some(text)
}

#[cfg(test)]
mod tests {
    use super::super::provider::{all, find};
    use super::super::route::{Route, route};
    use super::*;

    fn of(address: &str) -> Option<String> {
        let Route::Api(api) = route("POST", &format!("/api/{address}")).unwrap() else {
            panic!("{address}")
        };
        url(api.row, &api.path, api.query.as_deref(), Some("0123abcd"))
    }

    #[test]
    fn paths_of_the_gateway_become_addresses_of_providers() {
        for (address, expected) in [
            ("openai/chat/completions", "https://api.openai.com/v1/chat/completions"),
            ("openai/v1/files?purpose=x", "https://api.openai.com/v1/files?purpose=x"),
            ("anthropic/v1/messages", "https://api.anthropic.com/v1/messages"),
            (
                "google-ai-studio/v1beta/models/m:streamGenerateContent?alt=sse",
                "https://generativelanguage.googleapis.com/v1beta/models/m:streamGenerateContent?alt=sse",
            ),
            (
                "google-ai-studio/upload/v1beta/files",
                "https://generativelanguage.googleapis.com/upload/v1beta/files",
            ),
            ("groq/chat/completions", "https://api.groq.com/openai/v1/chat/completions"),
            ("openrouter/chat/completions", "https://openrouter.ai/api/v1/chat/completions"),
            ("grok/v1/chat/completions", "https://api.x.ai/v1/chat/completions"),
            ("grok/chat/completions", "https://api.x.ai/v1/chat/completions"),
            ("mistral/chat/completions", "https://api.mistral.ai/v1/chat/completions"),
            ("deepseek/chat/completions", "https://api.deepseek.com/chat/completions"),
            ("deepseek/anthropic/v1/messages", "https://api.deepseek.com/anthropic/v1/messages"),
            ("cohere/v2/chat", "https://api.cohere.com/v2/chat"),
            ("perplexity-ai/chat/completions", "https://api.perplexity.ai/chat/completions"),
            ("cerebras/chat/completions", "https://api.cerebras.ai/v1/chat/completions"),
            (
                "fireworks/chat/completions",
                "https://api.fireworks.ai/inference/v1/chat/completions",
            ),
            ("replicate/predictions", "https://api.replicate.com/v1/predictions"),
            ("elevenlabs/v1/voices", "https://api.elevenlabs.io/v1/voices"),
            ("fal/fal-ai/flux/dev", "https://fal.run/fal-ai/flux/dev"),
            ("fal/queue.fal.run/fal-ai/flux/dev", "https://queue.fal.run/fal-ai/flux/dev"),
            ("fal/queue.fal.run.evil.example/x", "https://fal.run/queue.fal.run.evil.example/x"),
            (
                "azure-openai/mine/gpt/chat/completions?api-version=1",
                "https://mine.openai.azure.com/openai/deployments/gpt/chat/completions?api-version=1",
            ),
            (
                "azure-openai/mine/openai/v1/responses",
                "https://mine.openai.azure.com/openai/v1/responses",
            ),
            (
                "google-vertex-ai/v1/projects/p/locations/us-central1/publishers/google/models/m:generateContent",
                "https://us-central1-aiplatform.googleapis.com/v1/projects/p/locations/us-central1/publishers/google/models/m:generateContent",
            ),
            (
                "google-vertex-ai/v1/projects/p/locations/global/publishers/google/models/m:generateContent",
                "https://aiplatform.googleapis.com/v1/projects/p/locations/global/publishers/google/models/m:generateContent",
            ),
            (
                "google-vertex-ai/v1/publishers/google/models/m:generateContent",
                "https://aiplatform.googleapis.com/v1/publishers/google/models/m:generateContent",
            ),
            (
                "aws-bedrock/bedrock-runtime/us-east-1/model/a%3A0/converse",
                "https://bedrock-runtime.us-east-1.amazonaws.com/model/a%3A0/converse",
            ),
            (
                "workers-ai/@cf/meta/llama",
                "https://api.cloudflare.com/client/v4/accounts/0123abcd/ai/run/@cf/meta/llama",
            ),
            (
                "workers-ai/v1/chat/completions",
                "https://api.cloudflare.com/client/v4/accounts/0123abcd/ai/v1/chat/completions",
            ),
            ("baseten/v1/chat/completions", "https://inference.baseten.co/v1/chat/completions"),
            ("baseten/model/abc", "https://model-abc.api.baseten.co/production/predict"),
        ] {
            assert_eq!(of(address).as_deref(), Some(expected), "{address}");
        }
        assert_eq!(of("custom-mine/v1/chat/completions"), None);
        assert_eq!(of("compat/chat/completions"), None);
    }

    #[test]
    fn no_host_is_the_clients() {
        for address in [
            "azure-openai/evil.example/d/chat/completions",
            "azure-openai/evil.example%2F/d/chat/completions",
            "azure-openai/a@b/d/x",
            "azure-openai/a:1/d/x",
            "azure-openai/-/d/x",
            "google-vertex-ai/v1/projects/p/locations/evil.example%2F/x",
            "google-vertex-ai/v1/projects/p",
            "aws-bedrock/bedrock-runtime/evil.example/model/m/invoke",
            "aws-bedrock/evil/us-east-1/model/m/invoke",
            "aws-bedrock/bedrock-runtime",
            "baseten/model/evil.example/x",
        ] {
            assert_eq!(of(address), None, "{address}");
        }
        let row = find("workers-ai").unwrap();
        assert_eq!(url(row, "@cf/x/y", None, None), None);
        assert_eq!(url(row, "@cf/x/y", None, Some("a/../b")), None);
    }

    #[test]
    fn a_fixed_base_is_all_of_the_host() {
        for row in all() {
            let Some(base) = row.direct_base else { continue };
            assert!(base.starts_with("https://") && !base.ends_with('/'), "{base}");
            for path in ["", "x", "@evil.example/x", ".evil.example", ":1/x"] {
                let url = url(row, path, None, None).unwrap();
                assert!(url == base || url.starts_with(&format!("{base}/")), "{url}");
            }
        }
    }
}
