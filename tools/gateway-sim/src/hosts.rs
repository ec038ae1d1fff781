//! The providers' own hosts, for a Worker that goes without a gateway. A test sends what is meant for
//! `https://{host}/{path}` to `/__host/{host}/{path}`.

/// Host, what its paths begin with, provider, and what stands in front of the rest at the gateway.
static HOSTS: &[(&str, &str, &str, &str)] = &[
    ("api.openai.com", "v1/", "openai", ""),
    ("generativelanguage.googleapis.com", "", "google-ai-studio", ""),
    ("api.anthropic.com", "v1/", "anthropic", "v1/"),
    ("api.groq.com", "openai/v1/", "groq", ""),
    ("openrouter.ai", "api/v1/", "openrouter", ""),
    ("api.x.ai", "v1/", "grok", "v1/"),
    ("api.mistral.ai", "v1/", "mistral", "v1/"),
    ("api.deepseek.com", "", "deepseek", ""),
    ("api.cerebras.ai", "v1/", "cerebras", "v1/"),
    ("api.cohere.com", "", "cohere", ""),
    ("api.perplexity.ai", "", "perplexity-ai", ""),
    ("api.replicate.com", "v1/", "replicate", ""),
    ("api.elevenlabs.io", "v1/", "elevenlabs", "v1/"),
    ("fal.run", "", "fal", ""),
    ("queue.fal.run", "", "fal", ""),
    ("api.deepgram.com", "v1/", "deepgram", "v1/"),
    ("api.ideogram.ai", "", "ideogram", ""),
    ("api.cartesia.ai", "", "cartesia", ""),
    ("api.parallel.ai", "", "parallel", ""),
    ("api.fireworks.ai", "inference/v1/", "fireworks", ""),
    ("inference.baseten.co", "v1/", "baseten", "v1/"),
];

/// What a path of a host means.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Found {
    pub slug: String,
    /// The path as at the gateway.
    pub rest: String,
    /// The account that the path names.
    pub account: Option<String>,
    /// The host is a queue's.
    pub queue: bool,
}

/// What a path below `/__host/` means. The outer `None`: it is not such a path; the inner one: there is
/// no such host, or nothing at this path of it.
pub fn find(path: &str) -> Option<Option<Found>> {
    let (host, path) = path.strip_prefix("/__host/")?.split_once('/')?;
    Some(of_host(host, path))
}

/// What an address that begins with `https://` means.
pub fn of_url(url: &str) -> Option<Found> {
    let (host, path) = url.strip_prefix("https://")?.split_once('/')?;
    of_host(host, path.split('?').next().unwrap_or(path))
}

fn of_host(host: &str, path: &str) -> Option<Found> {
    let found = |slug: &str, rest: String| {
        let queue = host.starts_with("queue.");
        Some(Found { slug: slug.to_owned(), rest, queue, ..Found::default() })
    };
    for (known, start, slug, in_front) in HOSTS {
        if *known == host {
            return found(slug, format!("{in_front}{}", path.strip_prefix(start)?));
        }
    }
    if let Some(resource) = host.strip_suffix(".openai.azure.com") {
        return found(
            "azure-openai",
            format!("{resource}/{}", path.strip_prefix("openai/deployments/")?),
        );
    }
    if host == "aiplatform.googleapis.com" || host.ends_with("-aiplatform.googleapis.com") {
        return found("google-vertex-ai", path.to_owned());
    }
    if let Some(region) = host.strip_prefix("bedrock-runtime.") {
        let region = region.strip_suffix(".amazonaws.com")?;
        return found("aws-bedrock", format!("bedrock-runtime/{region}/{path}"));
    }
    if host == "api.cloudflare.com" {
        let (account, path) = path.strip_prefix("client/v4/accounts/")?.split_once("/ai/")?;
        let rest = match path.strip_prefix("run/") {
            Some(model) => model,
            None => path.starts_with("v1/").then_some(path)?,
        };
        let mut found = found("workers-ai", rest.to_owned())?;
        found.account = Some(account.to_owned());
        return Some(found);
    }
    if host == "router.huggingface.co" {
        return found("huggingface", path.strip_prefix("hf-inference/models/")?.to_owned());
    }
    if let Some(region) = host.strip_prefix("bedrock-mantle.") {
        let region = region.strip_suffix(".api.aws")?;
        return found("aws-bedrock", format!("bedrock-mantle/{region}/{path}"));
    }
    if let Some(model) =
        host.strip_prefix("model-").and_then(|host| host.strip_suffix(".api.baseten.co"))
    {
        return found("baseten", format!("model/{model}/{path}"));
    }
    None
}

#[cfg(test)]
mod tests {
    use super::find;

    #[test]
    fn hosts_are_as_picky_as_the_real_ones() {
        let found = |path: &str| find(&format!("/__host/{path}")).flatten();
        let is = |slug: &str, rest: &str| Some((slug.to_owned(), rest.to_owned()));
        let found = |path: &str| found(path).map(|found| (found.slug, found.rest));
        assert_eq!(found("api.openai.com/v1/chat/completions"), is("openai", "chat/completions"));
        assert_eq!(found("api.openai.com/chat/completions"), None);
        assert_eq!(found("api.openai.example/v1/chat/completions"), None);
        assert_eq!(found("api.groq.com/openai/v1/models"), is("groq", "models"));
        assert_eq!(
            found("mine.openai.azure.com/openai/deployments/d/chat/completions"),
            is("azure-openai", "mine/d/chat/completions")
        );
        assert_eq!(
            found("api.cloudflare.com/client/v4/accounts/a/ai/run/@cf/x/y"),
            is("workers-ai", "@cf/x/y")
        );
        assert_eq!(find("/v1/account/gateway/openai/models"), None);
    }
}
