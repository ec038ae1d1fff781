//! Answers in Gemini's shape: generate, stream, count, embed, models, files.

use bytes::Bytes;
use http::Method;
use serde_json::{Value, json};

use crate::answer::Answer;
use crate::config::Config;
use crate::prompt::{self, Prompt, Reply, Tool, ToolChoice};
use crate::providers;
use crate::request::Call;
use crate::simulator::Simulator;

/// Answers a request to one of Gemini's own paths. `None`: no such path.
pub fn answer(call: &Call, config: &Config, simulator: &Simulator) -> Option<Answer> {
    let rest = call.rest.trim_end_matches('/');
    let tail = rest.rsplit('/').next().unwrap_or_default();
    if rest.starts_with("upload/") || rest.contains("/files/") || rest.ends_with("/files") {
        return crate::files::gemini(call, simulator);
    }
    if call.method == Method::GET {
        return match tail {
            "models" => Some(models(call)),
            id if call.model.is_some() && !id.contains(':') => {
                Some(Answer::json(200, &model_object(call.model())))
            }
            _ => None,
        };
    }
    let (_, method) = tail.rsplit_once(':')?;
    let json = call.json();
    if let Some(file) = foreign_file(json, call, simulator) {
        return Some(crate::files::gemini_forbidden(&file));
    }
    Some(match method {
        "generateContent" => Answer::json(200, &generated(call, json)),
        "streamGenerateContent" => streamed(call, config, json),
        "countTokens" => {
            let tokens = call.body.len().div_ceil(4);
            Answer::json(
                200,
                &json!({"totalTokens":tokens,"promptTokensDetails":[{"modality":"TEXT","tokenCount":tokens}]}),
            )
        }
        "embedContent" => Answer::json(200, &json!({ "embedding": embed(json) })),
        "batchEmbedContents" => {
            let requests = json["requests"].as_array().map(Vec::as_slice).unwrap_or_default();
            let embeddings: Vec<Value> = requests.iter().map(embed).collect();
            Answer::json(200, &json!({ "embeddings": embeddings }))
        }
        "predict" => {
            let count = json["parameters"]["sampleCount"].as_u64().unwrap_or(1).clamp(1, 8);
            let picture =
                json!({"mimeType":"image/png","bytesBase64Encoded":prompt::PIXEL_PNG_BASE64});
            let pictures: Vec<&Value> = (0..count).map(|_| &picture).collect();
            Answer::json(200, &json!({ "predictions": pictures }))
        }
        "predictLongRunning" => Answer::json(
            200,
            &json!({"name":format!("models/{}/operations/sim{}", call.model(), call.n)}),
        ),
        _ => return None,
    })
}

pub fn error(code: u16, status: &str, message: &str, details: Option<Value>) -> Value {
    let mut error = json!({"code":code,"message":message,"status":status});
    if let Some(details) = details {
        error["details"] = details;
    }
    json!({ "error": error })
}

pub fn stream_error(call: &Call) -> Bytes {
    let error = error(503, "UNAVAILABLE", "The model is overloaded. Please try again later.", None);
    if call.query("alt") == Some("sse") {
        format!("data: {error}\r\n\r\n").into()
    } else {
        format!(",\r\n{error}\n]").into()
    }
}

/// What a blocked prompt gets: a success without candidates.
pub fn blocked(call: &Call) -> Answer {
    let body = json!({"promptFeedback":{"blockReason":"PROHIBITED_CONTENT"},
        "usageMetadata":{"promptTokenCount":call.body.len().div_ceil(4),"totalTokenCount":call.body.len().div_ceil(4)},
        "modelVersion":call.model(),"responseId":format!("sim{:x}", call.n)});
    if call.rest.ends_with(":streamGenerateContent") {
        return play(call, vec![body]);
    }
    Answer::json(200, &body)
}

/// `field` in either of the spellings that Google accepts.
fn either<'a>(json: &'a Value, camel: &str, snake: &str) -> &'a Value {
    json.get(camel).or_else(|| json.get(snake)).unwrap_or(&Value::Null)
}

fn read(json: &Value) -> Prompt {
    let contents: &[Value] = match &json["contents"] {
        Value::Array(contents) => contents,
        one @ Value::Object(_) => std::slice::from_ref(one),
        _ => &[],
    };
    let parts = |content: &Value| match &content["parts"] {
        Value::Array(parts) => parts.clone(),
        Value::Null => Vec::new(),
        one => vec![one.clone()],
    };
    let is_user = |content: &&Value| {
        content["role"].as_str().is_none_or(|role| role == "user" || role == "function")
    };
    let text = contents
        .iter()
        .rev()
        .filter(is_user)
        .map(|content| prompt::text_of(&Value::Array(parts(content))))
        .find(|text| !text.is_empty())
        .unwrap_or_default();
    let tool_result = contents.last().and_then(|content| {
        parts(content)
            .iter()
            .map(|part| either(part, "functionResponse", "function_response"))
            .find(|response| !response.is_null())
            .map(|response| response["response"].to_string())
    });
    let mut tools = Vec::new();
    for tool in json["tools"].as_array().map(Vec::as_slice).unwrap_or_default() {
        for declaration in either(tool, "functionDeclarations", "function_declarations")
            .as_array()
            .map(Vec::as_slice)
            .unwrap_or_default()
        {
            let schema =
                declaration.get("parameters").or_else(|| declaration.get("parametersJsonSchema"));
            tools.push(Tool {
                name: declaration["name"].as_str().unwrap_or_default().to_owned(),
                parameters: schema.cloned().unwrap_or_default(),
            });
        }
    }
    let calling = either(
        either(json, "toolConfig", "tool_config"),
        "functionCallingConfig",
        "function_calling_config",
    );
    let config = either(json, "generationConfig", "generation_config");
    let wants_json = either(config, "responseMimeType", "response_mime_type") == "application/json";
    let schema = [
        either(config, "responseSchema", "response_schema"),
        either(config, "responseJsonSchema", "response_json_schema"),
    ]
    .into_iter()
    .find(|schema| !schema.is_null())
    .cloned()
    .unwrap_or_default();
    Prompt {
        text,
        tool_result,
        tools,
        tool_choice: match calling["mode"].as_str() {
            Some("ANY") => {
                match either(calling, "allowedFunctionNames", "allowed_function_names")[0].as_str()
                {
                    Some(name) => ToolChoice::Named(name.to_owned()),
                    None => ToolChoice::Any,
                }
            }
            Some("NONE") => ToolChoice::None,
            _ => ToolChoice::Auto,
        },
        json: wants_json.then_some(schema),
    }
}

fn wants(json: &Value, modality: &str) -> bool {
    let config = either(json, "generationConfig", "generation_config");
    let modalities = either(config, "responseModalities", "response_modalities");
    modalities.as_array().is_some_and(|list| {
        list.iter()
            .any(|item| item.as_str().is_some_and(|item| item.eq_ignore_ascii_case(modality)))
    })
}

/// The parts of an answer, and its text for the token count.
fn reply_parts(json: &Value) -> (Vec<Value>, String) {
    let prompt = read(json);
    if wants(json, "AUDIO") {
        // 24 kHz 16-bit PCM, as the speech models send.
        let silence = vec![0_u8; 480 * prompt.text.len().clamp(1, 100)];
        let data = prompt::base64(&silence);
        return (
            vec![json!({"inlineData":{"mimeType":"audio/L16;codec=pcm;rate=24000","data":data}})],
            prompt.text,
        );
    }
    match prompt.reply() {
        Reply::Text(text) => {
            let mut parts = vec![json!({ "text": text })];
            if wants(json, "IMAGE") {
                parts.push(
                    json!({"inlineData":{"mimeType":"image/png","data":prompt::PIXEL_PNG_BASE64}}),
                );
            }
            (parts, text)
        }
        Reply::Tool { name, arguments } => {
            (vec![json!({"functionCall":{"name":name,"args":arguments}})], name)
        }
    }
}

fn chunk(call: &Call, parts: &Value, finish: Option<&str>, said: &str) -> Value {
    let (input, output) = (call.body.len().div_ceil(4), prompt::tokens(said));
    let mut candidate = json!({"content":{"parts":parts,"role":"model"},"index":0});
    if let Some(finish) = finish {
        candidate["finishReason"] = finish.into();
    }
    json!({"candidates":[candidate],
        "usageMetadata":{"promptTokenCount":input,"candidatesTokenCount":output,"totalTokenCount":input+output,
            "promptTokensDetails":[{"modality":"TEXT","tokenCount":input}]},
        "modelVersion":call.model(),"responseId":format!("sim{:x}", call.n)})
}

fn generated(call: &Call, json: &Value) -> Value {
    let (parts, said) = reply_parts(json);
    chunk(call, &Value::Array(parts), Some("STOP"), &said)
}

fn streamed(call: &Call, config: &Config, json: &Value) -> Answer {
    let (parts, said) = reply_parts(json);
    let mut chunks = Vec::with_capacity(config.stream_chunks);
    let last_part = parts.len().saturating_sub(1);
    for (index, part) in parts.iter().enumerate() {
        match part["text"].as_str() {
            Some(text) => {
                let pieces = prompt::split(text, config.stream_chunks);
                let last_piece = pieces.len().saturating_sub(1);
                for (position, piece) in pieces.into_iter().enumerate() {
                    let finish = (index == last_part && position == last_piece).then_some("STOP");
                    chunks.push(chunk(call, &json!([{ "text": piece }]), finish, &said));
                }
            }
            None => chunks.push(chunk(
                call,
                &json!([part]),
                (index == last_part).then_some("STOP"),
                &said,
            )),
        }
    }
    play(call, chunks)
}

/// Server-sent events when asked for, else one JSON array that arrives in pieces.
fn play(call: &Call, chunks: Vec<Value>) -> Answer {
    if call.query("alt") == Some("sse") {
        return Answer::pieces(
            "text/event-stream",
            chunks.into_iter().map(|chunk| format!("data: {chunk}\r\n\r\n").into()).collect(),
        );
    }
    let last = chunks.len().saturating_sub(1);
    let pieces = chunks
        .into_iter()
        .enumerate()
        .map(|(index, chunk)| {
            let (before, after) =
                (if index == 0 { "[" } else { ",\r\n" }, if index == last { "\n]" } else { "\n" });
            format!("{before}{chunk}{after}").into()
        })
        .collect();
    Answer::pieces("application/json; charset=UTF-8", pieces)
}

fn embed(request: &Value) -> Value {
    let dimensions = either(request, "outputDimensionality", "output_dimensionality").as_u64();
    let dimensions = dimensions.and_then(|count| usize::try_from(count).ok()).unwrap_or(64);
    let text = prompt::text_of(&request["content"]["parts"]);
    json!({ "values": prompt::embedding(&text, dimensions) })
}

fn model_object(id: &str) -> Value {
    let methods: &[&str] = if id.contains("embedding") {
        &["embedContent", "countTokens", "batchEmbedContents"]
    } else if id.starts_with("imagen") {
        &["predict"]
    } else {
        &["generateContent", "countTokens", "createCachedContent", "batchGenerateContent"]
    };
    json!({"name":format!("models/{id}"),"version":"001","displayName":id,"description":"A simulated model.",
        "inputTokenLimit":1_048_576,"outputTokenLimit":65_536,"supportedGenerationMethods":methods,
        "temperature":1,"topP":0.95,"topK":64,"maxTemperature":2})
}

fn models(call: &Call) -> Answer {
    let all = providers::models("google-ai-studio");
    let number = |name: &str| call.query(name).and_then(|text| text.parse::<usize>().ok());
    let size = number("pageSize").unwrap_or(50).clamp(1, 1000);
    let start = number("pageToken").unwrap_or(0).min(all.len());
    let page: Vec<Value> = all.iter().skip(start).take(size).map(|id| model_object(id)).collect();
    let mut body = json!({ "models": page });
    if start + size < all.len() {
        body["nextPageToken"] = (start + size).to_string().into();
    }
    Answer::json(200, &body)
}

/// The first file that the request refers to and that its key must not see.
fn foreign_file(json: &Value, call: &Call, simulator: &Simulator) -> Option<String> {
    match json {
        Value::Object(fields) => {
            fields.iter().find_map(|(name, value)| match (name.as_str(), value) {
                ("fileUri" | "file_uri", Value::String(uri)) => {
                    let id = uri.rsplit_once("files/").map(|(_, id)| id)?;
                    (!simulator.files.is_visible(&call.slug, &call.owner, id))
                        .then(|| id.to_owned())
                }
                _ => foreign_file(value, call, simulator),
            })
        }
        Value::Array(items) => items.iter().find_map(|item| foreign_file(item, call, simulator)),
        _ => None,
    }
}
