//! WebSockets: where each provider wants its key in a handshake, and what is said on them.
//!
//! A text that begins with `close:` (`close:4001:why`) is answered by closing with that; binary frames
//! come back as they are. OpenAI's and Gemini's sockets speak enough of their protocol for their SDKs,
//! the others repeat what they hear.

use std::sync::{Arc, Mutex};

use axum::extract::ws::{CloseFrame, Message, WebSocket, WebSocketUpgrade};
use axum::response::Response;
use http::HeaderMap;
use serde_json::{Value, json};

use crate::answer::Answer;
use crate::journal::InFlight;
use crate::prompt;
use crate::providers::Provider;
use crate::request::Call;
use crate::simulator::{Simulator, lock};
use crate::{gemini, openai};

/// How sockets ended: what the client said when it left.
#[derive(Default)]
pub struct Sockets {
    ended: Mutex<Vec<Value>>,
}

impl Sockets {
    pub fn clear(&self) {
        lock(&self.ended).clear();
    }

    pub fn ended(&self) -> Vec<Value> {
        lock(&self.ended).clone()
    }
}

/// The gateway's name for the provider when it is asked for a socket.
pub fn slug(slug: &str) -> &str {
    if slug == "google" { "google-ai-studio" } else { slug }
}

/// The key of a handshake, where the gateway wants it; `None`: where the provider's requests have it.
pub fn key(
    provider: &Provider,
    headers: &HeaderMap,
    query: &[(String, String)],
) -> Option<Option<String>> {
    let in_query = |wanted: &str| {
        query.iter().find(|(name, _)| name == wanted).map(|(_, value)| value.clone())
    };
    let in_protocols = |prefix: &str| {
        protocols(headers).iter().find_map(|entry| entry.strip_prefix(prefix).map(str::to_owned))
    };
    Some(match provider.slug {
        "google-ai-studio" | "cartesia" => in_query("api_key"),
        "elevenlabs" => in_protocols("xi-api-key."),
        "fal" => in_protocols("fal-api-key."),
        _ => return None,
    })
}

fn protocols(headers: &HeaderMap) -> Vec<String> {
    let list = headers.get("sec-websocket-protocol").and_then(|value| value.to_str().ok());
    list.unwrap_or_default().split(',').map(|entry| entry.trim().to_owned()).collect()
}

/// What is wrong with the handshake besides its key.
pub fn refusal(call: &Call) -> Option<Answer> {
    match call.slug.as_str() {
        "openai" if call.rest != if call.direct { "realtime" } else { "" } => Some(openai::error(
            404,
            "There is no such socket at the gateway.",
            "invalid_request_error",
            None,
            None,
        )),
        "openai" if call.query("model").is_none() => Some(openai::error(
            400,
            "You must provide a model parameter.",
            "invalid_request_error",
            Some("model"),
            Some("missing_model"),
        )),
        "google-ai-studio"
            if call.rest.is_empty() == call.direct
                || call.direct
                    && !call.rest.ends_with(".GenerativeService.BidiGenerateContent") =>
        {
            Some(Answer::json(404, &gemini::error(404, "NOT_FOUND", "No such socket.", None)))
        }
        "elevenlabs" if !is_elevenlabs(&call.rest, call.direct) => {
            Some(Answer::json(404, &serde_json::json!({"detail":"Not Found"})))
        }
        "deepgram"
            if !["", "v1/listen", "v2/listen", "v1/speak", "v1/agent/converse"]
                [usize::from(call.direct)..]
                .contains(&call.rest.trim_end_matches('/')) =>
        {
            Some(crate::routes::no_path(call))
        }
        "cartesia" if call.rest != if call.direct { "tts/websocket" } else { "" } => {
            Some(crate::routes::no_path(call))
        }
        "cartesia" if call.query("cartesia_version").is_none() => {
            Some(Answer::text(400, "cartesia_version is required".to_owned()))
        }
        _ => None,
    }
}

/// At the gateway, the agents' socket is the segment itself.
fn is_elevenlabs(path: &str, direct: bool) -> bool {
    let segments: Vec<&str> = path.split('/').collect();
    match segments.as_slice() {
        [""] => !direct,
        ["v1", "convai", "conversation"] => direct,
        ["v1", "text-to-speech", _, "stream-input" | "multi-stream-input"]
        | ["v1", "speech-to-text", "realtime"] => true,
        _ => false,
    }
}

/// Accepts the handshake and talks.
pub fn accept(
    upgrade: WebSocketUpgrade,
    call: Call,
    simulator: Arc<Simulator>,
    in_flight: InFlight,
) -> Response {
    in_flight.answered(101);
    upgrade.protocols(["realtime", "token", "convai"]).on_upgrade(move |mut socket| async move {
        let end = talk(&mut socket, &call).await;
        let (code, reason) = end.map_or((Value::Null, Value::Null), |frame| {
            (frame.code.into(), frame.reason.as_str().into())
        });
        let ended = json!({"provider":call.slug,"key":call.key,"code":code,"reason":reason});
        lock(&simulator.sockets.ended).push(ended);
        in_flight.done();
    })
}

/// Talks until either side closes; what the client closed with, if it was the client.
async fn talk(socket: &mut WebSocket, call: &Call) -> Option<CloseFrame> {
    if call.slug == "openai" {
        let session = json!({"type":"realtime","object":"realtime.session","id":format!("sess_{:x}", call.n),"model":call.query("model")});
        say(socket, &json!({"type":"session.created","event_id":"event_1","session":session}))
            .await?;
    }
    loop {
        match socket.recv().await? {
            Ok(Message::Text(text)) => {
                if let Some(wanted) = text.strip_prefix("close:") {
                    let (code, reason) = wanted.split_once(':').unwrap_or((wanted, ""));
                    let frame = CloseFrame {
                        code: code.parse().unwrap_or(1000),
                        reason: reason.to_owned().into(),
                    };
                    let _ = socket.send(Message::Close(Some(frame))).await;
                    // Until the client has closed, too, or is gone.
                    while let Some(Ok(_)) = socket.recv().await {}
                    return None;
                }
                for answer in answers(call, &text) {
                    socket.send(Message::Text(answer.into())).await.ok()?;
                }
            }
            Ok(Message::Binary(bytes)) => socket.send(Message::Binary(bytes)).await.ok()?,
            Ok(Message::Close(frame)) => return frame,
            Ok(_) => {}
            Err(_) => return None,
        }
    }
}

async fn say(socket: &mut WebSocket, value: &Value) -> Option<()> {
    socket.send(Message::Text(value.to_string().into())).await.ok()
}

fn answers(call: &Call, text: &str) -> Vec<String> {
    let json: Value = serde_json::from_str(text).unwrap_or_default();
    match call.slug.as_str() {
        "openai" if json["type"] == "response.create" => {
            let id = format!("resp_{:x}", call.n);
            [
                json!({"type":"response.created","event_id":"e2","response":{"id":id,"object":"realtime.response","status":"in_progress"}}),
                json!({"type":"response.output_text.delta","event_id":"e3","response_id":id,"item_id":"i","output_index":0,"content_index":0,"delta":"You said something"}),
                json!({"type":"response.done","event_id":"e4","response":{"id":id,"object":"realtime.response","status":"completed"}}),
            ]
            .map(|event| event.to_string())
            .to_vec()
        }
        "google-ai-studio" if json.get("setup").is_some() => {
            vec![json!({"setupComplete":{}}).to_string()]
        }
        "google-ai-studio" if json.get("clientContent").is_some() => {
            let turns = json["clientContent"]["turns"].as_array();
            let said =
                turns.and_then(|turns| turns.last()).map(|turn| prompt::text_of(&turn["parts"]));
            let text = format!("You said: {}", said.unwrap_or_default());
            let turn = json!({"modelTurn":{"parts":[{"text":text}]},"turnComplete":true});
            vec![json!({ "serverContent": turn }).to_string()]
        }
        _ => vec![text.to_owned()],
    }
}
