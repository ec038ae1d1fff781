//! Answers of the providers that are like no other: speech, pictures, jobs, and chats of their own.

use serde_json::{Value, json};

use crate::answer::Answer;
use crate::config::Config;
use crate::prompt::{self, Prompt, Reply};
use crate::request::Call;
use crate::simulator::Simulator;
use crate::{anthropic, eventstream, openai, routes};

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
        "cartesia" if rest == "tts/sse" => {
            speech_events(json["transcript"].as_str().unwrap_or_default())
        }
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
        "fal" if call.queue => return Some(fal_queue(call, simulator)),
        "fal" => Answer::json(
            200,
            &json!({"images":[{"url":"https://images.example/sim.png","width":1,"height":1,"content_type":"image/png"}],"prompt":json["prompt"],"seed":call.n}),
        ),
        "ideogram" => Answer::json(
            200,
            &json!({"created":"2025-01-01T00:00:00Z","data":[{"url":"https://images.example/sim.png","prompt":json["prompt"],"resolution":"1x1","is_image_safe":true,"seed":call.n}]}),
        ),
        "aws-bedrock" if rest.ends_with("/converse-stream") => eventstream::answer(&[
            ("messageStart", json!({"role":"assistant"})),
            ("contentBlockDelta", json!({"contentBlockIndex":0,"delta":{"text":said}})),
            ("contentBlockStop", json!({"contentBlockIndex":0})),
            ("messageStop", json!({"stopReason":"end_turn"})),
            (
                "metadata",
                json!({"usage":{"inputTokens":1,"outputTokens":1,"totalTokens":2},"metrics":{"latencyMs":1}}),
            ),
        ]),
        "aws-bedrock" if rest.ends_with("/invoke-with-response-stream") => {
            let chunk = json!({"type":"content_block_delta","index":0,"delta":{"type":"text_delta","text":said}});
            eventstream::answer(&[(
                "chunk",
                json!({ "bytes": base64_of(chunk.to_string().as_bytes()) }),
            )])
        }
        "aws-bedrock" if rest.contains("/chat/completions") => {
            return openai::answer(call, "chat/completions", config, simulator);
        }
        "aws-bedrock" if rest.ends_with("/messages") || rest.contains("/invoke") => {
            return anthropic::answer(call, "messages", config);
        }
        "aws-bedrock" => Answer::json(
            200,
            &json!({"output":{"message":{"role":"assistant","content":[{"text":said}]}},"stopReason":"end_turn",
                "usage":{"inputTokens":1,"outputTokens":1,"totalTokens":2},"metrics":{"latencyMs":1}}),
        ),
        "parallel" if rest.starts_with("v1/tasks/runs") => {
            return Some(parallel_task(call, &said, simulator));
        }
        _ => match openai::answer(call, bare, config, simulator) {
            Some(answer) => answer,
            None => Answer::json(200, &json!({"id":id,"status":"completed","output":said})),
        },
    })
}

/// A task of Parallel: begun, looked after, fetched.
fn parallel_task(call: &Call, said: &str, simulator: &Simulator) -> Answer {
    let named = call
        .rest
        .strip_prefix("v1/tasks/runs/")
        .map(|rest| rest.split_once('/').unwrap_or((rest, "")));
    let run = |id: &str, status: &str| {
        json!({"run_id":id,"interaction_id":id,"status":status,"is_active":status == "queued","processor":call.json()["processor"],
            "metadata":null,"warnings":null,"error":null,"created_at":"2025-01-01T00:00:00Z","modified_at":"2025-01-01T00:00:00Z"})
    };
    match named {
        None => {
            let id = format!("trun_{:032x}", call.n);
            simulator.objects.put(call, &id);
            Answer::json(202, &run(&id, "queued"))
        }
        Some((id, _)) if !simulator.objects.is_visible(call, id) => {
            routes::parallel(call, 404, "Run not found")
        }
        Some((id, "result")) => Answer::json(
            200,
            &json!({"run":run(id, "completed"),"output":{"type":"text","content":said,"basis":[]}}),
        ),
        Some((id, _)) => Answer::json(200, &run(id, "completed")),
    }
}

/// fal's queue: a request is put into it, looked after, fetched, called off.
fn fal_queue(call: &Call, simulator: &Simulator) -> Answer {
    let app: Vec<&str> = call.rest.split('/').take(2).collect();
    let base = |id: &str| format!("https://queue.fal.run/{}/requests/{id}", app.join("/"));
    let state = |id: &str, status: &str| {
        json!({"status":status,"request_id":id,"response_url":base(id),"status_url":format!("{}/status", base(id)),
            "cancel_url":format!("{}/cancel", base(id)),"logs":null,"metrics":{},"queue_position":0})
    };
    let Some((_, named)) = call.rest.split_once("/requests/") else {
        let id = format!("00000000-0000-4000-8000-{:012x}", call.n);
        simulator.objects.put(call, &id);
        return Answer::json(200, &state(&id, "IN_QUEUE"));
    };
    let (id, below) = named.split_once('/').unwrap_or((named, ""));
    if !simulator.objects.is_visible(call, id) {
        return Answer::json(404, &json!({"detail":format!("Request {id} not found")}));
    }
    match below {
        "" => Answer::json(
            200,
            &json!({"images":[{"url":"https://images.example/sim.png"}],"seed":1}),
        ),
        "cancel" => Answer::json(202, &json!({"status":"CANCELLATION_REQUESTED"})),
        _ => Answer::json(200, &state(id, "COMPLETED")),
    }
}

fn base64_of(bytes: &[u8]) -> String {
    use base64::Engine as _;
    base64::engine::general_purpose::STANDARD.encode(bytes)
}

/// Speech in pieces, as some stream it.
fn speech_events(text: &str) -> Answer {
    let data = base64_of(&prompt::speech(text));
    let event = |value: &Value| {
        format!("event: {}\ndata: {value}\n\n", value["type"].as_str().unwrap_or_default()).into()
    };
    Answer::events(vec![
        event(&json!({"type":"chunk","data":data,"done":false,"status_code":206,"step_time":1.0})),
        event(&json!({"type":"done","done":true,"status_code":200})),
    ])
}

/// A model by its path, as Workers AI runs it.
pub fn workers_ai(call: &Call) -> Answer {
    if call.json()["stream"] == true {
        let piece = json!({"response":said(call.json()),"p":"abc"});
        return Answer::events(vec![
            format!("data: {piece}\n\n").into(),
            "data: [DONE]\n\n".into(),
        ]);
    }
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
