//! The address of the AI Gateway, built from settings without asking a binding.

use super::problem::Problem;
use super::session::is_loopback;

/// The gateway's name when `AI_GATEWAY` does not say.
pub const DEFAULT_GATEWAY: &str = "one-balance";

/// Where Cloudflare serves every AI Gateway.
const CLOUDFLARE: &str = "https://gateway.ai.cloudflare.com/v1";

/// The gateway's base address, without a slash at its end, or `None` when the settings do not say
/// (then the `AI` binding is asked). `override_url` (`GATEWAY_URL`) is a whole base address;
/// otherwise the account and the gateway's name make one. Blank settings count as absent.
///
/// # Errors
/// What the operator must know when a setting cannot be part of an address.
pub fn base(
    override_url: Option<&str>,
    account: Option<&str>,
    gateway: Option<&str>,
) -> Result<Option<String>, Problem> {
    let present = |setting: Option<&'_ str>| {
        setting.map(str::trim).filter(|text| !text.is_empty()).map(str::to_owned)
    };
    if let Some(url) = present(override_url) {
        let local = url.strip_prefix("http://").is_some_and(|rest| {
            let host = rest.split('/').next().unwrap_or_default();
            !host.contains('@') && is_loopback(host)
        });
        if !url.starts_with("https://") && !local || url.contains(['?', '#', ' ']) {
            return Err(Problem::new(
                "gateway_url",
                "GATEWAY_URL must be an address that begins with https:// (http:// is for this \
                 machine only) and has no query.",
            ));
        }
        return Ok(Some(url.trim_end_matches('/').to_owned()));
    }
    let Some(account) = present(account) else { return Ok(None) };
    if !account.bytes().all(|byte| byte.is_ascii_alphanumeric()) {
        return Err(Problem::new(
            "account_id",
            "CLOUDFLARE_ACCOUNT_ID must be the account's id: 32 hexadecimal digits, to be found \
             in the dashboard's address.",
        ));
    }
    let gateway = name(gateway)?;
    Ok(Some(format!("{CLOUDFLARE}/{account}/{gateway}")))
}

/// The gateway's name, by default [`DEFAULT_GATEWAY`].
///
/// # Errors
/// What the operator must know when it cannot be part of an address.
pub fn name(gateway: Option<&str>) -> Result<String, Problem> {
    let gateway = gateway.map(str::trim).filter(|text| !text.is_empty()).unwrap_or(DEFAULT_GATEWAY);
    if gateway.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'-' || byte == b'_') {
        Ok(gateway.to_owned())
    } else {
        Err(Problem::new(
            "gateway_name",
            "AI_GATEWAY must be the gateway's name: letters, digits, - and _.",
        ))
    }
}

/// The address of one request.
#[must_use]
pub fn url(base: &str, provider: &str, path: &str, query: Option<&str>) -> String {
    let length = base.len() + provider.len() + path.len() + query.map_or(0, str::len) + 3;
    let mut url = String::with_capacity(length);
    url.push_str(base);
    url.push('/');
    url.push_str(provider);
    if !path.is_empty() {
        url.push('/');
        url.push_str(path);
    }
    if let Some(query) = query.filter(|query| !query.is_empty()) {
        url.push('?');
        url.push_str(query);
    }
    url
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn is_built_from_settings() {
        let built = |url, account, gateway| base(url, account, gateway).unwrap();
        assert_eq!(
            built(None, Some("0123abcd"), None).as_deref(),
            Some("https://gateway.ai.cloudflare.com/v1/0123abcd/one-balance")
        );
        assert_eq!(
            built(Some(""), Some("0123abcd"), Some("mine")).as_deref(),
            Some("https://gateway.ai.cloudflare.com/v1/0123abcd/mine")
        );
        assert_eq!(
            built(Some("https://ai.example.com/v1/a/g/"), Some("x"), None).as_deref(),
            Some("https://ai.example.com/v1/a/g")
        );
        assert_eq!(built(None, None, Some("mine")), None);
        assert_eq!(built(None, Some(" "), None), None);
    }

    #[test]
    fn refuses_what_would_send_keys_astray() {
        for far in
            ["example.com/v1", "127.0.0.1.example.com", "localhost@example.com", "localhostess"]
        {
            assert!(base(Some(&format!("http://{far}")), None, None).is_err(), "{far}");
        }
        for near in ["127.0.0.1:8799/v1/a/g", "localhost", "[::1]:1/v1"] {
            assert!(base(Some(&format!("http://{near}")), None, None).is_ok(), "{near}");
        }
        assert!(base(Some("https://example.com/?a"), None, None).is_err());
        assert!(base(None, Some("../x"), None).is_err());
        assert!(base(None, Some("a"), Some("b/c")).is_err());
    }

    #[test]
    fn joins_provider_path_and_query() {
        assert_eq!(url("https://g", "openai", "models", None), "https://g/openai/models");
        assert_eq!(url("https://g", "fal", "", Some("a=1")), "https://g/fal?a=1");
    }
}
