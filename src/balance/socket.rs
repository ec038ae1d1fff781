//! Where a WebSocket's handshake goes at the gateway, and where its key is: some providers have their
//! socket elsewhere than their other paths, and take the key where a browser can put it
//! (`developers.cloudflare.com/ai-gateway/usage/websockets-api/realtime-api/`).

use super::provider::{CREDENTIAL_PROTOCOLS, starts_with_segments};

/// Where the key is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum KeyIn {
    /// In the header of the provider's other requests.
    Header,
    /// In this query parameter.
    Query(&'static str),
    /// In an entry of the list of protocols that begins so.
    Protocol(&'static str),
}

/// A handshake at the gateway.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Handshake<'a> {
    /// The gateway's segment.
    pub slug: &'a str,
    /// What follows it.
    pub path: &'a str,
    /// Where the key is.
    pub key_in: KeyIn,
}

impl<'a> Handshake<'a> {
    /// Like any other request.
    #[must_use]
    pub const fn usual(slug: &'a str, path: &'a str) -> Self {
        Self { slug, path, key_in: KeyIn::Header }
    }
}

/// The handshake at the provider itself, of a path that is the gateway's already: OpenAI's socket has
/// none there.
#[must_use]
pub fn direct<'a>(slug: &'a str, path: &'a str) -> Handshake<'a> {
    match (slug, path) {
        ("openai", "") => Handshake::usual(slug, "realtime"),
        ("google-ai-studio", _) => Handshake { slug, path, key_in: KeyIn::Query("key") },
        _ => Handshake::usual(slug, path),
    }
}

/// The handshake that a client's request for `path` of a provider becomes. Where the gateway has but
/// one socket, at the segment itself, it stands for the provider's own path.
#[must_use]
pub fn at_gateway<'a>(slug: &'a str, path: &'a str) -> Handshake<'a> {
    let only = |own: &[&str]| {
        let is_own = own.iter().any(|own| starts_with_segments(path, own));
        if is_own { "" } else { path }
    };
    match slug {
        "google-ai-studio" => {
            Handshake { slug: "google", path: only(&["ws"]), key_in: KeyIn::Query("api_key") }
        }
        "cartesia" => {
            let path = only(&["tts/websocket", "v1/tts/websocket"]);
            Handshake { slug, path, key_in: KeyIn::Query("api_key") }
        }
        "elevenlabs" => {
            let path = only(&["v1/convai/conversation"]);
            Handshake { slug, path, key_in: KeyIn::Protocol("xi-api-key.") }
        }
        "fal" => Handshake { slug, path, key_in: KeyIn::Protocol("fal-api-key.") },
        _ => Handshake::usual(slug, path),
    }
}

/// The protocol that a handshake is answered with when its provider chose none: a browser that offered
/// some takes no answer without one. A client's token is only repeated to it when there is nothing else.
#[must_use]
pub fn chosen(offered: &str) -> Option<&str> {
    let entries = || offered.split(',').map(str::trim).filter(|entry| !entry.is_empty());
    let is_token = |entry: &str| CREDENTIAL_PROTOCOLS.iter().any(|start| entry.starts_with(start));
    entries().find(|entry| !is_token(entry)).or_else(|| entries().next())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_handshake_goes_where_the_gateway_wants_it() {
        use KeyIn::{Header, Protocol, Query};
        for (slug, path, expected) in [
            ("openai", "", ("openai", "", Header)),
            (
                "google-ai-studio",
                "ws/google.ai.generativelanguage.v1beta.GenerativeService.BidiGenerateContent",
                ("google", "", Query("api_key")),
            ),
            ("google-ai-studio", "", ("google", "", Query("api_key"))),
            ("cartesia", "tts/websocket", ("cartesia", "", Query("api_key"))),
            ("elevenlabs", "v1/convai/conversation", ("elevenlabs", "", Protocol("xi-api-key."))),
            (
                "elevenlabs",
                "v1/text-to-speech/v/stream-input",
                ("elevenlabs", "v1/text-to-speech/v/stream-input", Protocol("xi-api-key.")),
            ),
            ("deepgram", "v1/listen", ("deepgram", "v1/listen", Header)),
            ("fal", "fal-ai/x", ("fal", "fal-ai/x", Protocol("fal-api-key."))),
        ] {
            let found = at_gateway(slug, path);
            assert_eq!((found.slug, found.path, found.key_in), expected, "{slug} {path}");
        }
    }

    #[test]
    fn without_a_gateway_it_goes_where_the_provider_has_it() {
        for (slug, path, expected, key_in) in [
            ("openai", "", "realtime", KeyIn::Header),
            ("openai", "realtime", "realtime", KeyIn::Header),
            ("google-ai-studio", "ws/google.x.Bidi", "ws/google.x.Bidi", KeyIn::Query("key")),
            ("elevenlabs", "v1/convai/conversation", "v1/convai/conversation", KeyIn::Header),
            ("cartesia", "tts/websocket", "tts/websocket", KeyIn::Header),
        ] {
            let found = direct(slug, path);
            assert_eq!((found.slug, found.path, found.key_in), (slug, expected, key_in), "{path}");
        }
    }

    #[test]
    fn a_protocol_is_chosen_that_is_no_token() {
        assert_eq!(chosen("openai-insecure-api-key.t, realtime"), Some("realtime"));
        assert_eq!(chosen("token, t"), Some("token"));
        assert_eq!(chosen("xi-api-key.t"), Some("xi-api-key.t"));
        assert_eq!(chosen(" , "), None);
    }
}
