//! Answers that no provider gave: those of the AI Gateway itself and of the network in front of it
//! or of a provider. They never say anything about a key.

use serde_json::Value;

use super::super::retry_after;
use super::super::verdict::{Reason, Verdict};
use super::Answer;
use super::body::Document;

/// The verdict on an answer that the AI Gateway made itself; `None` when it did not.
///
/// It has two envelopes, one with and one without a name:
/// `{"success":false,"error":[{"code":2001,..}],"name":"AiGatewayError","internalCode":2001}`.
/// `error` is an array, whereas Workers AI, a provider like any other, says `errors`.
pub(super) fn own(document: &Document<'_>, status: u16) -> Option<Verdict> {
    let root = document.json.as_ref()?;
    let named = root.get("name").and_then(Value::as_str) == Some("AiGatewayError");
    let first =
        root.get("error").and_then(|error| error.as_array()?.first()?.get("code")?.as_u64());
    let code = if named {
        first.or_else(|| root.get("internalCode")?.as_u64()).unwrap_or(0)
    } else {
        let failed = root.get("success") == Some(&Value::Bool(false));
        first.filter(|code| failed && matches!(code, 2000..=2999 | 7000..=7999))?
    };
    Some(verdict(u32::try_from(code).unwrap_or(0), status))
}

/// What the gateway's codes mean. <https://developers.cloudflare.com/ai-gateway/>, and seen in its
/// answers.
const fn verdict(code: u32, status: u16) -> Verdict {
    match code {
        // 2005 "Failed to get response from provider", at 400: the provider's own status is lost.
        2005 => Verdict::Transient { elsewhere: true, after: 0, unexecuted: false },
        // 7013: the Guardrails scanner is not available.
        7013 => Verdict::Transient { elsewhere: false, after: 0, unexecuted: false },
        // 2008 unknown provider, 2019 malformed chat completion, 7000 malformed request, 7003 no
        // such route; 2016 and 2017 prompt and answer stopped by Guardrails, 2029 and 2030 by DLP.
        2008 | 2016 | 2017 | 2019 | 2029 | 2030 | 7000 | 7003 => Verdict::Caller,
        // 2001 no such gateway, 2003 its rate limit, 2009 its authentication, 2018 and 2021 the
        // request would be paid with Cloudflare credits since no key came with it, 2036 not in the
        // plan, 2040 no such stored key, 2041 its spend limit. No other key passes either.
        2001 | 2003 | 2009 | 2018 | 2021 | 2036 | 2040 | 2041 => Verdict::Gateway { code },
        _ if status >= 500 => Verdict::Transient { elsewhere: false, after: 0, unexecuted: false },
        _ => Verdict::Gateway { code },
    }
}

/// The verdict on a page of the network: HTML, or Cloudflare's one line `error code: 1010`. `None`
/// when the answer is neither.
pub(super) fn edge(document: &Document<'_>, answer: &Answer<'_>) -> Option<Verdict> {
    let line = document.text.trim().starts_with("error code: ");
    if !document.is_html() && !line {
        return None;
    }
    let code = edge_code(&document.text);
    let after = || retry_after::from_headers(answer.headers, answer.now).unwrap_or(0);
    Some(match (answer.status, code) {
        // 1009: the country of the address that the request left from is banned.
        (403, Some(1009)) => Verdict::Egress,
        // 1010 and its kin: a firewall in front of the gateway refused our request.
        (400..=499, Some(code)) => Verdict::Gateway { code },
        // A challenge ("Checking your browser"), or Google's page for the addresses that it refuses.
        (403, None) => Verdict::Egress,
        // Hugging Face and Perplexity answer so when no key or a wrong one arrived.
        (401, None) => Verdict::Reject { reason: Reason::Unauthorized, certain: false },
        (408 | 425 | 429, None) => {
            Verdict::Transient { elsewhere: false, after: after(), unexecuted: true }
        }
        (400..=499, None) => Verdict::Caller,
        _ => Verdict::Transient { elsewhere: true, after: after(), unexecuted: false },
    })
}

/// The number in `error code: 1010`, wherever it stands.
fn edge_code(text: &str) -> Option<u32> {
    let (_, rest) = text.split_once("error code: ")?;
    let digits: String = rest.chars().take_while(char::is_ascii_digit).collect();
    digits.parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn own_of(body: &str, status: u16) -> Option<Verdict> {
        own(&Document::read(body.as_bytes()), status)
    }

    #[test]
    fn only_its_own_envelopes_are_its_own() {
        let gateway = |code| Some(Verdict::Gateway { code });
        let plain = r#"{"success":false,"error":[{"code":2009}]}"#;
        assert_eq!(own_of(plain, 401), gateway(2009));
        assert_eq!(own_of(r#"{"name":"AiGatewayError","internalCode":2041}"#, 429), gateway(2041));
        assert_eq!(own_of(r#"{"name":"AiGatewayError"}"#, 400), gateway(0));
        assert_eq!(own_of(r#"{"success":false,"error":[{"code":2999}]}"#, 400), gateway(2999));
        for other in [
            r#"{"success":false,"errors":[{"code":2009}]}"#,
            r#"{"success":true,"error":[{"code":2009}]}"#,
            r#"{"success":false,"error":[{"code":10000}]}"#,
            r#"{"success":false,"error":[{"code":"2009"}]}"#,
            r#"{"success":false,"error":[]}"#,
            r#"{"error":{"code":2009}}"#,
            "2009",
        ] {
            assert_eq!(own_of(other, 401), None, "{other}");
        }
    }

    #[test]
    fn codes() {
        for code in [2008, 2016, 2017, 2019, 2029, 2030, 7000, 7003] {
            assert_eq!(verdict(code, 400), Verdict::Caller, "{code}");
        }
        for code in [2001, 2003, 2009, 2018, 2021, 2036, 2040, 2041] {
            assert_eq!(verdict(code, 400), Verdict::Gateway { code });
        }
        for (code, status) in [(2005, 400), (7013, 503), (2999, 500)] {
            assert!(matches!(verdict(code, status), Verdict::Transient { .. }), "{code}");
        }
    }

    #[test]
    fn pages_of_the_edge() {
        let edge_of = |body: &str, status| {
            let headers = |_: &str| None;
            let answer = Answer {
                provider: "openai",
                model: "*",
                status,
                headers: &headers,
                body: body.as_bytes(),
                now: 0,
            };
            edge(&Document::read(answer.body), &answer)
        };
        assert_eq!(edge_of("error code: 1010", 403), Some(Verdict::Gateway { code: 1010 }));
        assert_eq!(edge_of("error code: 1015", 429), Some(Verdict::Gateway { code: 1015 }));
        assert_eq!(edge_of("error code: 1009", 403), Some(Verdict::Egress));
        assert_eq!(edge_of("<html>error code: 1010</html>", 403), edge_of("error code: 1010", 403));
        assert_eq!(edge_of("<html>Forbidden", 403), Some(Verdict::Egress));
        assert_eq!(edge_of("<html>Not Found", 404), Some(Verdict::Caller));
        for status in [408, 425, 429, 500, 502, 503, 504, 520, 524, 530] {
            for body in ["<html>Sorry", "error code: 520"] {
                let verdict = edge_of(body, status);
                if !(status < 500 && body.starts_with("error")) {
                    assert!(matches!(verdict, Some(Verdict::Transient { .. })), "{status}");
                }
            }
        }
        assert_eq!(edge_of(r#"{"message":"error code: 1010"}"#, 403), None);
    }
}
