//! Answers of the providers that are like no other: speech, pictures, jobs, and chats of their own.

use serde_json::{Value, json};

use crate::answer::Answer;
use crate::config::Config;
use crate::prompt::{self, Prompt, Reply};
use crate::request::Call;
use crate::simulator::Simulator;
use crate::{anthropic, openai};

pub fn answer(call: &Call, config: &Config, simulator: &Simulator) -> Option<Answer> {
    let rest = call.rest.trim_end_matches('/');
    let bare = rest.trim_start_matches("v1/").trim_start_matches("v2/");
    let json = call.json();
    let said = said(json);
    let id = format!("sim{:016x}", call.n);
    Some(match call.slug.as_str() {
        "elevenlabs" => match bare.split('/').next().unwrap_or_default() {
            "text-to-speech" | "text-to-dialogue" | "sound-generation" => Answer::bytes(
                "audio/mpeg",
                prompt::speech(json["text"].as_str().unwrap_or_default()),
            ),
            "speech-to-text" => Answer::json(
                200,
                &json!({"language_code":"en","language_probability":1.0,"text":format!("You sent {} bytes", call.body.len()),"words":[]}),
            ),
            "voices" => Answer::json(
                200,
                &json!({"voices":[{"voice_id":"sim","name":"Sim","category":"premade"}]}),
            ),
            "models" => Answer::json(
                200,
                &json!([{"model_id":"eleven_multilingual_v2","name":"Eleven Multilingual v2"}]),
            ),
            "user" => Answer::json(
                200,
                &json!({"subscription":{"tier":"free","character_count":0,"character_limit":10_000}}),
            ),
            _ => return None,
        },
        "cartesia" => Answer::bytes(
            "audio/mpeg",
            prompt::speech(json["transcript"].as_str().unwrap_or_default()),
        ),
        "deepgram" if bare.starts_with("speak") => {
            Answer::bytes("audio/mpeg", prompt::speech(json["text"].as_str().unwrap_or_default()))
        }
        "deepgram" => {
            let transcript = format!("You sent {} bytes", call.body.len());
            Answer::json(
                200,
                &json!({"metadata":{"request_id":id,"duration":1.0,"channels":1,"models":[call.model()]},
                    "results":{"channels":[{"alternatives":[{"transcript":transcript,"confidence":0.99,"words":[]}]}]}}),
            )
        }
        "cohere" => return cohere(call, rest, bare, &id, &said),
        "huggingface" => Answer::json(200, &json!([{ "generated_text": said }])),
        "replicate" => {
            let prediction = json!({"id":id,"model":call.model(),"version":json["version"],"input":json["input"],"output":[said],
                "error":null,"status":"succeeded","created_at":"2025-01-01T00:00:00Z","urls":{"get":format!("https://api.replicate.com/v1/predictions/{id}")}});
            Answer::json(if call.method == http::Method::POST { 201 } else { 200 }, &prediction)
        }
        "fal" => Answer::json(
            200,
            &json!({"images":[{"url":"https://images.example/sim.png","width":1,"height":1,"content_type":"image/png"}],"prompt":json["prompt"],"seed":call.n}),
        ),
        "ideogram" => Answer::json(
            200,
            &json!({"created":"2025-01-01T00:00:00Z","data":[{"url":"https://images.example/sim.png","prompt":json["prompt"],"resolution":"1x1","is_image_safe":true,"seed":call.n}]}),
        ),
        "aws-bedrock" if rest.ends_with("/messages") || rest.contains("/invoke") => {
            return anthropic::answer(call, "messages", config);
        }
        "aws-bedrock" => Answer::json(
            200,
            &json!({"output":{"message":{"role":"assistant","content":[{"text":said}]}},"stopReason":"end_turn",
                "usage":{"inputTokens":1,"outputTokens":1,"totalTokens":2},"metrics":{"latencyMs":1}}),
        ),
        _ => match openai::answer(call, bare, config, simulator) {
            Some(answer) => answer,
            None => Answer::json(200, &json!({"id":id,"status":"completed","output":said})),
        },
    })
}

/// A model by its path, as Workers AI runs it.
pub fn workers_ai(call: &Call) -> Answer {
    let result = if call.model().contains("bge") || call.model().contains("embed") {
        json!({"shape":[1,64],"data":[prompt::embedding(&call.json()["text"].to_string(), 64)]})
    } else {
        json!({"response":said(call.json()),"usage":{"prompt_tokens":1,"completion_tokens":1,"total_tokens":2}})
    };
    Answer::json(200, &json!({"result":result,"success":true,"errors":[],"messages":[]}))
}

fn cohere(call: &Call, rest: &str, bare: &str, id: &str, said: &str) -> Option<Answer> {
    let json = call.json();
    let texts = || json["texts"].as_array().map(Vec::as_slice).unwrap_or_default();
    Some(match bare {
        "chat" if rest.starts_with("v2") => Answer::json(
            200,
            &json!({"id":id,"finish_reason":"COMPLETE","message":{"role":"assistant","content":[{"type":"text","text":said}]},
                "usage":{"billed_units":{"input_tokens":1,"output_tokens":1},"tokens":{"input_tokens":1,"output_tokens":1}}}),
        ),
        "chat" | "generate" => Answer::json(
            200,
            &json!({"response_id":id,"generation_id":id,"text":said,"finish_reason":"COMPLETE","chat_history":[]}),
        ),
        "embed" => {
            let vectors: Vec<Vec<f32>> =
                texts().iter().map(|text| prompt::embedding(&text.to_string(), 64)).collect();
            let vectors =
                if rest.starts_with("v2") { json!({ "float": vectors }) } else { json!(vectors) };
            Answer::json(200, &json!({"id":id,"embeddings":vectors,"texts":json["texts"]}))
        }
        "rerank" => {
            let count = json["documents"].as_array().map_or(0, Vec::len);
            let results: Vec<Value> = (0..count)
                .map(|index| json!({"index":index,"relevance_score":1.0 / (1 + index) as f64}))
                .collect();
            Answer::json(200, &json!({"id":id,"results":results}))
        }
        "models" => {
            Answer::json(200, &json!({"models":[{"name":"command-r-plus","endpoints":["chat"]}]}))
        }
        "tokenize" => Answer::json(200, &json!({"tokens":[1],"token_strings":[json["text"]]})),
        _ => return None,
    })
}

/// The echo, wherever these providers have their text.
fn said(json: &Value) -> String {
    let last = json["messages"].as_array().and_then(|messages| messages.last());
    let text = ["message", "inputs", "prompt", "text", "input"]
        .into_iter()
        .filter_map(|name| json.get(name))
        .map(|value| value.get("prompt").unwrap_or(value))
        .map(|value| value.as_str().map_or_else(|| value.to_string(), str::to_owned))
        .next();
    let text = text
        .or_else(|| last.map(|message| prompt::text_of(&message["content"])))
        .unwrap_or_default();
    match (Prompt { text, ..Prompt::default() }).reply() {
        Reply::Text(text) => text,
        Reply::Tool { .. } => String::new(),
    }
}
