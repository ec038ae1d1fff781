//! Answers in Anthropic's shape: messages, token counts, models.

use bytes::Bytes;
use http::Method;
use serde_json::{Value, json};

use crate::answer::Answer;
use crate::config::Config;
use crate::prompt::{self, Prompt, Reply, Tool, ToolChoice};
use crate::providers;
use crate::request::Call;

/// Answers a request to one of Anthropic's paths. `None`: no such path.
pub fn answer(call: &Call, path: &str, config: &Config) -> Option<Answer> {
    let segments: Vec<&str> = path.trim_matches('/').split('/').collect();
    let post = call.method == Method::POST;
    Some(match segments.as_slice() {
        ["messages"] if post => messages(call, config),
        ["messages", "count_tokens"] if post => {
            Answer::json(200, &json!({"input_tokens":call.body.len().div_ceil(4)}))
        }
        ["models"] if !post => models(call),
        ["models", id] if !post => Answer::json(200, &model_object(id)),
        _ => return None,
    })
}

pub fn error(call: &Call, status: u16, kind: &str, message: &str) -> Answer {
    let body = json!({"type":"error","error":{"type":kind,"message":message},"request_id":request_id(call)});
    Answer::json(status, &body)
}

pub fn request_id(call: &Call) -> String {
    format!("req_sim{:017x}", call.n)
}

pub fn stream_error() -> Bytes {
    Bytes::from_static(b"event: error\ndata: {\"type\":\"error\",\"error\":{\"type\":\"overloaded_error\",\"message\":\"Overloaded\"}}\n\n")
}

fn read(json: &Value) -> Prompt {
    let messages = json["messages"].as_array().map(Vec::as_slice).unwrap_or_default();
    let users = || messages.iter().rev().filter(|message| message["role"] == "user");
    let tool_result = messages.last().and_then(|message| {
        message["content"]
            .as_array()?
            .iter()
            .find(|block| block["type"] == "tool_result")
            .map(|block| prompt::text_of(&block["content"]))
    });
    let tools = json["tools"].as_array().map(Vec::as_slice).unwrap_or_default();
    let schema = ["output_config", "output_format"]
        .into_iter()
        .filter_map(|name| json.get(name))
        .map(|config| config.get("format").unwrap_or(config))
        .find(|format| format["type"] == "json_schema")
        .map(|format| format["schema"].clone());
    Prompt {
        text: users()
            .map(|message| prompt::text_of(&message["content"]))
            .find(|text| !text.is_empty())
            .unwrap_or_default(),
        tool_result,
        tools: tools
            .iter()
            .filter_map(|tool| {
                Some(Tool {
                    name: tool["name"].as_str()?.to_owned(),
                    parameters: tool["input_schema"].clone(),
                })
            })
            .collect(),
        tool_choice: match json["tool_choice"]["type"].as_str() {
            Some("any") => ToolChoice::Any,
            Some("none") => ToolChoice::None,
            Some("tool") => ToolChoice::Named(
                json["tool_choice"]["name"].as_str().unwrap_or_default().to_owned(),
            ),
            _ => ToolChoice::Auto,
        },
        json: schema,
    }
}

fn messages(call: &Call, config: &Config) -> Answer {
    let json = call.json();
    for field in ["max_tokens", "messages"] {
        // Bedrock's own bodies are the same but for the model, which is in the path.
        if json.get(field).is_none() {
            return error(call, 400, "invalid_request_error", &format!("{field}: Field required"));
        }
    }
    let reply = read(json).reply();
    let (block, stop, said) = match &reply {
        Reply::Text(text) => (json!({"type":"text","text":text}), "end_turn", text.clone()),
        Reply::Tool { name, arguments } => (
            json!({"type":"tool_use","id":format!("toolu_sim{:016x}", call.n),"name":name,"input":arguments}),
            "tool_use",
            arguments.to_string(),
        ),
    };
    let (input, output) = (call.body.len().div_ceil(4), prompt::tokens(&said));
    let usage = |output: usize| {
        json!({"input_tokens":input,"cache_creation_input_tokens":0,"cache_read_input_tokens":0,
            "cache_creation":{"ephemeral_5m_input_tokens":0,"ephemeral_1h_input_tokens":0},
            "output_tokens":output,"service_tier":"standard"})
    };
    let message = |content: Value, stop: Option<&str>, usage: Value| {
        json!({"id":format!("msg_sim{:020x}", call.n),"type":"message","role":"assistant","model":call.model(),
            "content":content,"stop_reason":stop,"stop_sequence":null,"usage":usage})
    };
    if !json["stream"].as_bool().unwrap_or(false) {
        return Answer::json(200, &message(json!([block]), Some(stop), usage(output)));
    }
    let mut events = Vec::with_capacity(config.stream_chunks + 6);
    let mut event = |kind: &str, data: Value| events.push(prompt::typed_event(kind, data));
    event("message_start", json!({ "message": message(json!([]), None, usage(1)) }));
    let mut opened = block.clone();
    match &reply {
        Reply::Text(_) => opened["text"] = "".into(),
        Reply::Tool { .. } => opened["input"] = json!({}),
    }
    event("content_block_start", json!({"index":0,"content_block":opened}));
    event("ping", json!({}));
    for piece in prompt::split(&said, config.stream_chunks) {
        let delta = match &reply {
            Reply::Text(_) => json!({"type":"text_delta","text":piece}),
            Reply::Tool { .. } => json!({"type":"input_json_delta","partial_json":piece}),
        };
        event("content_block_delta", json!({"index":0,"delta":delta}));
    }
    event("content_block_stop", json!({"index":0}));
    event(
        "message_delta",
        json!({"delta":{"stop_reason":stop,"stop_sequence":null},
            "usage":{"input_tokens":input,"cache_creation_input_tokens":0,"cache_read_input_tokens":0,"output_tokens":output}}),
    );
    event("message_stop", json!({}));
    Answer::events(events)
}

fn model_object(id: &str) -> Value {
    json!({"type":"model","id":id,"display_name":id,"created_at":"2025-10-01T00:00:00Z"})
}

fn models(call: &Call) -> Answer {
    let all = providers::models("anthropic");
    let limit = call.query("limit").and_then(|text| text.parse().ok()).unwrap_or(20_usize).max(1);
    let start = call
        .query("after_id")
        .and_then(|after| all.iter().position(|id| *id == after))
        .map_or(0, |position| position + 1);
    let page: Vec<&&str> = all.iter().skip(start).take(limit).collect();
    let data: Vec<Value> = page.iter().map(|id| model_object(id)).collect();
    Answer::json(
        200,
        &json!({"data":data,"has_more":start + limit < all.len(),"first_id":page.first(),"last_id":page.last()}),
    )
}
