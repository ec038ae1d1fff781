//! Answers in OpenAI's shape: chat, responses, embeddings, audio, images, models.

use bytes::Bytes;
use http::Method;
use serde_json::{Value, json};

use crate::answer::Answer;
use crate::config::Config;
use crate::prompt::{self, Prompt, Reply, Tool, ToolChoice};
use crate::providers;
use crate::request::Call;
use crate::simulator::{Simulator, fnv1a};
use crate::time::now_ms;

/// Answers a request to one of OpenAI's paths, with whatever prefix taken off. `None`: no such path.
pub fn answer(call: &Call, path: &str, config: &Config, simulator: &Simulator) -> Option<Answer> {
    let created = now_ms() / 1000;
    let segments: Vec<&str> = path.trim_matches('/').split('/').collect();
    let post = call.method == Method::POST;
    Some(match segments.as_slice() {
        ["chat", "completions"] if post => chat(call, config, created),
        ["completions"] if post => completion(call, config, created),
        ["responses"] if post => responses(call, config, created),
        ["responses", id] if call.method == Method::GET => stored_response(call, id, created),
        ["embeddings"] if post => embeddings(call),
        ["models"] if call.method == Method::GET => models(call),
        ["models", ..] if call.method == Method::GET => model(call, path),
        ["audio", "speech"] if post => speech(call),
        ["audio", "transcriptions" | "translations"] if post => transcription(call),
        ["images", "generations" | "edits" | "variations"] if post => image(call, created),
        ["moderations"] if post => moderation(call),
        ["files", ..] | ["uploads", ..] => return crate::files::openai(call, &segments, simulator),
        ["key"] if call.slug == "openrouter" => Answer::json(
            200,
            &json!({"data":{"label":"sk-or-v1-sim","limit":null,"usage":0,"limit_remaining":null,"is_free_tier":true,
                "rate_limit":{"requests":20,"interval":"60s"}}}),
        ),
        _ => return None,
    })
}

pub fn error(
    status: u16,
    message: &str,
    kind: &str,
    param: Option<&str>,
    code: Option<&str>,
) -> Answer {
    Answer::json(
        status,
        &json!({"error":{"message":message,"type":kind,"param":param,"code":code}}),
    )
}

/// An error in the middle of a stream.
pub fn stream_error(path: &str) -> Bytes {
    let error = json!({"message":"The server had an error while processing your request. Sorry about that!","type":"server_error","param":null,"code":"server_error"});
    if path.ends_with("responses") {
        let event = json!({"type":"error","code":"server_error","message":error["message"],"param":null,"sequence_number":99});
        return format!("event: error\ndata: {event}\n\n").into();
    }
    format!("data: {}\n\n", json!({ "error": error })).into()
}

fn wants_stream(json: &Value) -> bool {
    json.get("stream").and_then(Value::as_bool).unwrap_or(false)
}

fn read_chat(json: &Value) -> Prompt {
    let messages =
        json.get("messages").and_then(Value::as_array).map(Vec::as_slice).unwrap_or_default();
    let role = |message: &Value, wanted: &[&str]| {
        message["role"].as_str().is_some_and(|role| wanted.contains(&role))
    };
    let last_user =
        messages.iter().rev().find(|message| role(message, &["user"])).or(messages.last());
    let format = json.get("response_format");
    Prompt {
        text: last_user.map(|message| prompt::text_of(&message["content"])).unwrap_or_default(),
        tool_result: messages
            .last()
            .filter(|message| role(message, &["tool", "function"]))
            .map(|message| prompt::text_of(&message["content"])),
        tools: read_tools(json, |tool| tool.get("function").unwrap_or(tool)),
        tool_choice: read_tool_choice(json),
        json: format
            .filter(|format| format["type"].as_str().is_some_and(|kind| kind.starts_with("json")))
            .map(|format| format["json_schema"]["schema"].clone()),
    }
}

fn read_tools(json: &Value, definition: impl Fn(&Value) -> &Value) -> Vec<Tool> {
    let tools = json.get("tools").and_then(Value::as_array).map(Vec::as_slice).unwrap_or_default();
    tools
        .iter()
        .map(definition)
        .filter_map(|tool| {
            Some(Tool {
                name: tool.get("name")?.as_str()?.to_owned(),
                parameters: tool["parameters"].clone(),
            })
        })
        .collect()
}

fn read_tool_choice(json: &Value) -> ToolChoice {
    let choice = &json["tool_choice"];
    match choice.as_str() {
        Some("none") => ToolChoice::None,
        Some("required" | "any") => ToolChoice::Any,
        Some(_) => ToolChoice::Auto,
        None => choice["function"]["name"]
            .as_str()
            .or_else(|| choice["name"].as_str())
            .map_or(ToolChoice::Auto, |name| ToolChoice::Named(name.to_owned())),
    }
}

fn usage(call: &Call, output: &str) -> Value {
    let (input, output) = (call.body.len().div_ceil(4), prompt::tokens(output));
    json!({"prompt_tokens":input,"completion_tokens":output,"total_tokens":input+output,
        "prompt_tokens_details":{"cached_tokens":0,"audio_tokens":0},
        "completion_tokens_details":{"reasoning_tokens":0,"audio_tokens":0,"accepted_prediction_tokens":0,"rejected_prediction_tokens":0}})
}

fn chat(call: &Call, config: &Config, created: u64) -> Answer {
    let json = call.json();
    if json.get("messages").and_then(Value::as_array).is_none_or(Vec::is_empty) {
        let message = "Missing required parameter: 'messages'.";
        return error(
            400,
            message,
            "invalid_request_error",
            Some("messages"),
            Some("missing_required_parameter"),
        );
    }
    let reply = read_chat(json).reply();
    let id = format!("chatcmpl-sim{:020x}", call.n);
    if wants_stream(json) {
        return Answer::events(chat_events(call, config, created, &id, &reply));
    }
    let (message, finish, said) = match &reply {
        Reply::Text(text) => (
            json!({"role":"assistant","content":text,"refusal":null,"annotations":[]}),
            "stop",
            text.clone(),
        ),
        Reply::Tool { name, arguments } => {
            let arguments = arguments.to_string();
            let tool = json!({"id":format!("call_sim{:016x}", call.n),"type":"function","function":{"name":name,"arguments":arguments}});
            (
                json!({"role":"assistant","content":null,"refusal":null,"tool_calls":[tool]}),
                "tool_calls",
                arguments,
            )
        }
    };
    let count = json.get("n").and_then(Value::as_u64).unwrap_or(1).clamp(1, 16);
    let choices: Vec<Value> = (0..count)
        .map(
            |index| json!({"index":index,"message":message,"logprobs":null,"finish_reason":finish}),
        )
        .collect();
    Answer::json(
        200,
        &json!({"id":id,"object":"chat.completion","created":created,"model":call.model(),"choices":choices,
            "usage":usage(call, &said),"service_tier":"default","system_fingerprint":"fp_sim"}),
    )
}

fn chat_events(call: &Call, config: &Config, created: u64, id: &str, reply: &Reply) -> Vec<Bytes> {
    let include_usage = call.json()["stream_options"]["include_usage"].as_bool().unwrap_or(false);
    let event = |choices: Value, usage: Option<Value>| -> Bytes {
        let mut chunk = json!({"id":id,"object":"chat.completion.chunk","created":created,"model":call.model(),
            "service_tier":"default","system_fingerprint":"fp_sim","choices":choices});
        if include_usage {
            chunk["usage"] = usage.unwrap_or(Value::Null);
        }
        format!("data: {chunk}\n\n").into()
    };
    let delta = |delta: Value, finish: Option<&str>| {
        event(json!([{"index":0,"delta":delta,"logprobs":null,"finish_reason":finish}]), None)
    };
    let mut events = Vec::with_capacity(config.stream_chunks + 4);
    let (finish, said) = match reply {
        Reply::Text(text) => {
            events.push(delta(json!({"role":"assistant","content":"","refusal":null}), None));
            events.extend(
                prompt::split(text, config.stream_chunks)
                    .into_iter()
                    .map(|piece| delta(json!({"content":piece}), None)),
            );
            ("stop", text.clone())
        }
        Reply::Tool { name, arguments } => {
            let arguments = arguments.to_string();
            let first = json!({"index":0,"id":format!("call_sim{:016x}", call.n),"type":"function","function":{"name":name,"arguments":""}});
            events
                .push(delta(json!({"role":"assistant","content":null,"tool_calls":[first]}), None));
            events.extend(prompt::split(&arguments, config.stream_chunks).into_iter().map(
                |piece| {
                    delta(json!({"tool_calls":[{"index":0,"function":{"arguments":piece}}]}), None)
                },
            ));
            ("tool_calls", arguments)
        }
    };
    events.push(delta(json!({}), Some(finish)));
    if include_usage {
        events.push(event(json!([]), Some(usage(call, &said))));
    }
    events.push(Bytes::from_static(b"data: [DONE]\n\n"));
    events
}

/// The old text completions.
fn completion(call: &Call, config: &Config, created: u64) -> Answer {
    let json = call.json();
    let text = Prompt { text: prompt::text_of(&json["prompt"]), ..Prompt::default() };
    let Reply::Text(text) = text.reply() else { return Answer::json(200, &json!({})) };
    let id = format!("cmpl-sim{:020x}", call.n);
    let object = |text: &str, finish: Option<&str>| {
        json!({"id":id,"object":"text_completion","created":created,"model":call.model(),
            "choices":[{"index":0,"text":text,"logprobs":null,"finish_reason":finish}]})
    };
    if wants_stream(json) {
        let mut events: Vec<Bytes> = prompt::split(&text, config.stream_chunks)
            .into_iter()
            .map(|piece| format!("data: {}\n\n", object(piece, None)).into())
            .collect();
        events.push(format!("data: {}\n\n", object("", Some("stop"))).into());
        events.push(Bytes::from_static(b"data: [DONE]\n\n"));
        return Answer::events(events);
    }
    let mut body = object(&text, Some("stop"));
    body["usage"] = usage(call, &text);
    Answer::json(200, &body)
}

fn read_responses(json: &Value) -> Prompt {
    let input = &json["input"];
    let items = input.as_array().map(Vec::as_slice).unwrap_or_default();
    let last_user = items.iter().rev().find(|item| item["role"] == "user");
    let format = &json["text"]["format"];
    Prompt {
        text: input
            .as_str()
            .map(str::to_owned)
            .or_else(|| last_user.map(|item| prompt::text_of(&item["content"])))
            .unwrap_or_default(),
        tool_result: items
            .last()
            .filter(|item| item["type"] == "function_call_output")
            .map(|item| prompt::text_of(&item["output"])),
        tools: read_tools(json, |tool| tool),
        tool_choice: read_tool_choice(json),
        json: format["type"]
            .as_str()
            .filter(|kind| kind.starts_with("json"))
            .map(|_| format["schema"].clone()),
    }
}

/// Says who made a stored response, so that nothing needs to be stored.
fn response_owner(call: &Call) -> String {
    format!("{:016x}", fnv1a(&[call.slug.as_bytes(), b"/", call.owner.as_bytes()]))
}

fn owns_response(call: &Call, id: &str) -> bool {
    id.strip_prefix("resp_").is_some_and(|rest| rest.starts_with(&response_owner(call)))
}

fn response_object(
    call: &Call,
    id: &str,
    created: u64,
    status: &str,
    output: Value,
    usage: Value,
) -> Value {
    let json = call.json();
    let or = |name: &str, default: Value| json.get(name).cloned().unwrap_or(default);
    json!({"id":id,"object":"response","created_at":created,"status":status,"background":false,"error":null,
        "incomplete_details":null,"instructions":or("instructions", Value::Null),"max_output_tokens":or("max_output_tokens", Value::Null),
        "model":call.model(),"output":output,"parallel_tool_calls":true,"previous_response_id":or("previous_response_id", Value::Null),
        "reasoning":{"effort":null,"summary":null},"service_tier":"default","store":or("store", json!(true)),"temperature":or("temperature", json!(1.0)),
        "text":or("text", json!({"format":{"type":"text"}})),"tool_choice":or("tool_choice", json!("auto")),"tools":or("tools", json!([])),
        "top_p":1.0,"truncation":"disabled","usage":usage,"user":null,"metadata":or("metadata", json!({}))})
}

fn responses(call: &Call, config: &Config, created: u64) -> Answer {
    let json = call.json();
    if let Some(previous) =
        json["previous_response_id"].as_str().filter(|id| !owns_response(call, id))
    {
        let message = format!("Previous response with id '{previous}' not found.");
        return error(
            400,
            &message,
            "invalid_request_error",
            Some("previous_response_id"),
            Some("previous_response_not_found"),
        );
    }
    let reply = read_responses(json).reply();
    let id = format!("resp_{}{:016x}", response_owner(call), call.n);
    let (item, said) = match &reply {
        Reply::Text(text) => (
            json!({"id":format!("msg_sim{:016x}", call.n),"type":"message","status":"completed","role":"assistant",
                "content":[{"type":"output_text","annotations":[],"logprobs":[],"text":text}]}),
            text.clone(),
        ),
        Reply::Tool { name, arguments } => {
            let arguments = arguments.to_string();
            (
                json!({"id":format!("fc_sim{:016x}", call.n),"type":"function_call","status":"completed",
                    "call_id":format!("call_sim{:016x}", call.n),"name":name,"arguments":arguments}),
                arguments,
            )
        }
    };
    let (input, output) = (call.body.len().div_ceil(4), prompt::tokens(&said));
    let usage = json!({"input_tokens":input,"input_tokens_details":{"cached_tokens":0},"output_tokens":output,
        "output_tokens_details":{"reasoning_tokens":0},"total_tokens":input+output});
    let complete = response_object(call, &id, created, "completed", json!([item]), usage);
    if !wants_stream(json) {
        return Answer::json(200, &complete);
    }
    let started = response_object(call, &id, created, "in_progress", json!([]), Value::Null);
    let mut events = Vec::with_capacity(config.stream_chunks + 8);
    let mut event = |kind: &str, mut data: Value| {
        data["sequence_number"] = events.len().into();
        events.push(prompt::typed_event(kind, data));
    };
    event("response.created", json!({ "response": started }));
    event("response.in_progress", json!({ "response": started }));
    let item_id = item["id"].clone();
    let mut opened = item.clone();
    opened["status"] = "in_progress".into();
    match &reply {
        Reply::Text(text) => {
            opened["content"] = json!([]);
            event("response.output_item.added", json!({"output_index":0,"item":opened}));
            let at = json!({"item_id":item_id,"output_index":0,"content_index":0});
            let with = |name: &str, value: Value| {
                let mut data = at.clone();
                data[name] = value;
                data
            };
            event(
                "response.content_part.added",
                with(
                    "part",
                    json!({"type":"output_text","annotations":[],"logprobs":[],"text":""}),
                ),
            );
            for piece in prompt::split(text, config.stream_chunks) {
                let mut data = with("delta", piece.into());
                data["logprobs"] = json!([]);
                event("response.output_text.delta", data);
            }
            let mut done = with("text", text.as_str().into());
            done["logprobs"] = json!([]);
            event("response.output_text.done", done);
            event("response.content_part.done", with("part", item["content"][0].clone()));
        }
        Reply::Tool { .. } => {
            opened["arguments"] = "".into();
            event("response.output_item.added", json!({"output_index":0,"item":opened}));
            for piece in prompt::split(&said, config.stream_chunks) {
                event(
                    "response.function_call_arguments.delta",
                    json!({"item_id":item_id,"output_index":0,"delta":piece}),
                );
            }
            event(
                "response.function_call_arguments.done",
                json!({"item_id":item_id,"output_index":0,"arguments":said,"name":item["name"]}),
            );
        }
    }
    event("response.output_item.done", json!({"output_index":0,"item":item}));
    event("response.completed", json!({ "response": complete }));
    Answer::events(events)
}

fn stored_response(call: &Call, id: &str, created: u64) -> Answer {
    if !owns_response(call, id) {
        return error(
            404,
            &format!("Response with id '{id}' not found."),
            "invalid_request_error",
            None,
            None,
        );
    }
    let item = json!({"id":"msg_sim","type":"message","status":"completed","role":"assistant",
        "content":[{"type":"output_text","annotations":[],"logprobs":[],"text":"A stored answer."}]});
    Answer::json(200, &response_object(call, id, created, "completed", json!([item]), Value::Null))
}

fn embeddings(call: &Call) -> Answer {
    let json = call.json();
    let inputs: Vec<String> = match &json["input"] {
        Value::String(text) => vec![text.clone()],
        // A list of texts, a list of tokens, or a list of lists of tokens.
        Value::Array(items) if items.iter().all(Value::is_number) => {
            vec![json["input"].to_string()]
        }
        Value::Array(items) => items
            .iter()
            .map(|item| item.as_str().map_or_else(|| item.to_string(), str::to_owned))
            .collect(),
        _ => {
            let message = "Missing required parameter: 'input'.";
            return error(
                400,
                message,
                "invalid_request_error",
                Some("input"),
                Some("missing_required_parameter"),
            );
        }
    };
    let dimensions =
        json["dimensions"].as_u64().and_then(|count| usize::try_from(count).ok()).unwrap_or(64);
    let base64 = json["encoding_format"] == "base64";
    let data: Vec<Value> = inputs
        .iter()
        .enumerate()
        .map(|(index, text)| {
            let vector = prompt::embedding(text, dimensions);
            let vector =
                if base64 { prompt::embedding_base64(&vector).into() } else { json!(vector) };
            json!({"object":"embedding","index":index,"embedding":vector})
        })
        .collect();
    let tokens: usize = inputs.iter().map(|text| prompt::tokens(text)).sum();
    Answer::json(
        200,
        &json!({"object":"list","data":data,"model":call.model(),"usage":{"prompt_tokens":tokens,"total_tokens":tokens}}),
    )
}

fn model_object(call: &Call, id: &str) -> Value {
    let prefix = if call.is_gemini_openai_layer() { "models/" } else { "" };
    json!({"id":format!("{prefix}{id}"),"object":"model","created":1_735_689_600,"owned_by":call.slug})
}

fn models(call: &Call) -> Answer {
    let data: Vec<Value> =
        providers::models(&call.slug).iter().map(|id| model_object(call, id)).collect();
    Answer::json(200, &json!({"object":"list","data":data}))
}

fn model(call: &Call, path: &str) -> Answer {
    let id = path.trim_matches('/').trim_start_matches("models/");
    Answer::json(200, &model_object(call, call.model.as_deref().unwrap_or(id)))
}

fn speech(call: &Call) -> Answer {
    let json = call.json();
    let content_type = match json["response_format"].as_str() {
        Some("wav") => "audio/wav",
        Some("opus") => "audio/opus",
        Some("flac") => "audio/flac",
        Some("aac") => "audio/aac",
        Some("pcm") => "audio/pcm",
        _ => "audio/mpeg",
    };
    Answer::bytes(content_type, prompt::speech(json["input"].as_str().unwrap_or_default()))
}

fn transcription(call: &Call) -> Answer {
    let form = call.form();
    let field = |name: &str| form.iter().find(|field| field.name == name);
    let Some(file) = field("file") else {
        return error(
            400,
            "Missing required parameter: 'file'.",
            "invalid_request_error",
            Some("file"),
            None,
        );
    };
    let text = format!(
        "You sent {} bytes as {}",
        file.data.len(),
        file.filename.as_deref().unwrap_or("a file")
    );
    match field("response_format").map(|field| field.text()).as_deref() {
        Some("text") => Answer::bytes("text/plain; charset=utf-8", format!("{text}\n")),
        Some("srt") => Answer::bytes(
            "text/plain; charset=utf-8",
            format!("1\n00:00:00,000 --> 00:00:01,000\n{text}\n"),
        ),
        Some("verbose_json") => Answer::json(
            200,
            &json!({"task":"transcribe","language":"english","duration":1.0,"text":text,"segments":[]}),
        ),
        _ => Answer::json(200, &json!({"text":text,"usage":{"type":"duration","seconds":1}})),
    }
}

fn image(call: &Call, created: u64) -> Answer {
    let url = call.json()["response_format"] == "url";
    let picture = if url {
        json!({"url":"https://images.example/sim.png"})
    } else {
        json!({ "b64_json": prompt::PIXEL_PNG_BASE64 })
    };
    let count = call.json()["n"].as_u64().unwrap_or(1).clamp(1, 10);
    let data: Vec<&Value> = (0..count).map(|_| &picture).collect();
    Answer::json(
        200,
        &json!({"created":created,"data":data,"usage":{"input_tokens":5,"output_tokens":100,"total_tokens":105,
            "input_tokens_details":{"text_tokens":5,"image_tokens":0}}}),
    )
}

fn moderation(call: &Call) -> Answer {
    const CATEGORIES: [&str; 13] = [
        "harassment",
        "harassment/threatening",
        "hate",
        "hate/threatening",
        "illicit",
        "illicit/violent",
        "self-harm",
        "self-harm/instructions",
        "self-harm/intent",
        "sexual",
        "sexual/minors",
        "violence",
        "violence/graphic",
    ];
    let flags: serde_json::Map<String, Value> =
        CATEGORIES.iter().map(|name| ((*name).to_owned(), false.into())).collect();
    let scores: serde_json::Map<String, Value> =
        CATEGORIES.iter().map(|name| ((*name).to_owned(), 0.001.into())).collect();
    let types: serde_json::Map<String, Value> =
        CATEGORIES.iter().map(|name| ((*name).to_owned(), json!(["text"]))).collect();
    let result = json!({"flagged":false,"categories":flags,"category_scores":scores,"category_applied_input_types":types});
    let count = call.json()["input"].as_array().map_or(1, |items| items.len().max(1));
    let results: Vec<&Value> = (0..count).map(|_| &result).collect();
    let model = call.model.as_deref().unwrap_or("omni-moderation-latest");
    Answer::json(
        200,
        &json!({"id":format!("modr-sim{:08x}", call.n),"model":model,"results":results}),
    )
}
