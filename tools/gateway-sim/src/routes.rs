//! What the providers that are like no other have: which paths by which method, with which kind of
//! body, and what must be in it. Whatever else they are asked for they refuse, each in its own words.
//!
//! Some of these words are put together from the provider's known form, because no capture was at hand.

use serde_json::{Value, json};

use crate::answer::Answer;
use crate::cases;
use crate::request::{Call, Content};

/// What a request must have as a body.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Takes {
    Nothing,
    Json,
    Form,
    JsonOrForm,
    /// Sound or pictures as they are, or JSON about them.
    Media,
}

/// Method, path (`*` is any one segment, `**` all that is left), body, and the fields that must be in it.
struct Route(&'static str, &'static str, Takes, &'static [&'static str]);

const fn get(path: &'static str) -> Route {
    Route("GET", path, Takes::Nothing, &[])
}

const fn post(path: &'static str, takes: Takes, fields: &'static [&'static str]) -> Route {
    Route("POST", path, takes, fields)
}

use Takes::{Form, Json, JsonOrForm, Media, Nothing};

static BEDROCK: &[Route] = &[
    post("bedrock-runtime/*/model/*/invoke", Json, &[]),
    post("bedrock-runtime/*/model/*/invoke-with-response-stream", Json, &[]),
    post("bedrock-runtime/*/model/*/converse", Json, &["messages"]),
    post("bedrock-runtime/*/model/*/converse-stream", Json, &["messages"]),
    post("bedrock-runtime/*/async-invoke", Json, &["modelId"]),
    get("bedrock-runtime/*/async-invoke"),
    get("bedrock-runtime/*/async-invoke/*"),
    post("bedrock-mantle/*/anthropic/v1/messages", Json, &["model", "messages"]),
    post("bedrock-mantle/*/v1/chat/completions", Json, &["model", "messages"]),
    post("bedrock-mantle/*/v1/responses", Json, &["model", "input"]),
    get("bedrock-mantle/*/v1/models"),
];

static REPLICATE: &[Route] = &[
    get("account"),
    post("predictions", Json, &["version", "input"]),
    get("predictions"),
    get("predictions/*"),
    post("predictions/*/cancel", Nothing, &[]),
    get("models"),
    get("models/*/*"),
    get("models/*/*/versions/**"),
    post("models/*/*/predictions", Json, &["input"]),
    post("models/*/*/versions/*/trainings", Json, &["input"]),
    get("deployments/*/*"),
    post("deployments/*/*/predictions", Json, &["input"]),
    get("trainings/**"),
    post("files", Form, &[]),
    get("files/**"),
    Route("DELETE", "files/*", Nothing, &[]),
    get("hardware"),
    get("collections/**"),
];

/// An application has an owner and a name, and paths of its own below.
static FAL: &[Route] = &[post("*/*/**", Json, &[])];

/// The queue, which is a host of its own.
static FAL_QUEUE: &[Route] = &[
    get("*/*/requests/*"),
    get("*/*/requests/*/status"),
    get("*/*/requests/*/status/stream"),
    Route("PUT", "*/*/requests/*/cancel", Nothing, &[]),
    post("*/*/**", Json, &[]),
];

static DEEPGRAM: &[Route] = &[
    post("v1/listen", Media, &[]),
    post("v1/speak", Json, &["text"]),
    post("v1/read", Media, &[]),
    post("v1/auth/grant", Nothing, &[]),
    get("v1/projects/**"),
    get("v1/models/**"),
];

static CARTESIA: &[Route] = &[
    post("tts/bytes", Json, &["model_id", "transcript"]),
    post("tts/sse", Json, &["model_id", "transcript"]),
    post("stt", Form, &["model"]),
    post("infill/bytes", Form, &[]),
    post("voice-changer/bytes", Form, &[]),
    post("voice-changer/sse", Form, &[]),
    post("voices/clone", Form, &[]),
    post("voices/localize", Json, &[]),
    get("voices/**"),
    Route("DELETE", "voices/*", Nothing, &[]),
    post("access-token", Json, &[]),
];

static ELEVENLABS: &[Route] = &[
    post("v1/text-to-speech/*", Json, &["text"]),
    post("v1/text-to-speech/*/stream", Json, &["text"]),
    post("v1/text-to-speech/*/with-timestamps", Json, &["text"]),
    post("v1/text-to-speech/*/stream/with-timestamps", Json, &["text"]),
    post("v1/text-to-dialogue", Json, &["inputs"]),
    post("v1/sound-generation", Json, &["text"]),
    post("v1/speech-to-speech/*", Form, &[]),
    post("v1/speech-to-speech/*/stream", Form, &[]),
    post("v1/speech-to-text", Form, &["model_id"]),
    post("v1/voices/add", Form, &["name"]),
    get("v1/voices/**"),
    get("v2/voices"),
    Route("DELETE", "v1/voices/*", Nothing, &[]),
    get("v1/models"),
    get("v1/user/**"),
    get("v1/history/**"),
];

static WORKERS_AI: &[Route] = &[
    post("v1/chat/completions", Json, &["model", "messages"]),
    post("v1/embeddings", Json, &["model", "input"]),
    post("v1/responses", Json, &["model", "input"]),
    post("*/*/*", Media, &[]),
];

static HUGGING_FACE: &[Route] = &[post("*/*/**", Media, &[])];

static IDEOGRAM: &[Route] = &[
    post("v1/*/generate", JsonOrForm, &["prompt"]),
    post("v1/*/remix", Form, &["prompt"]),
    post("v1/*/edit", Form, &["prompt"]),
    post("v1/*/reframe", Form, &[]),
    post("v1/*/replace-background", Form, &["prompt"]),
    post("generate", Json, &["image_request"]),
    post("describe", Form, &[]),
];

static PARALLEL: &[Route] = &[
    post("v1/tasks/runs", Json, &["processor", "input"]),
    get("v1/tasks/runs/*/**"),
    post("v1beta/tasks/groups", Json, &[]),
    get("v1beta/tasks/groups/*/**"),
    post("v1beta/tasks/groups/*/runs", Json, &["inputs"]),
    post("v1beta/search", Json, &[]),
    post("v1beta/extract", Json, &["urls"]),
    post("v1beta/findall/ingest", Json, &["objective"]),
    post("v1beta/findall/runs", Json, &[]),
    get("v1beta/findall/runs/*/**"),
    post("v1beta/chat/completions", Json, &["model", "messages"]),
    post("chat/completions", Json, &["model", "messages"]),
];

static BASETEN: &[Route] = &[
    post("v1/chat/completions", Json, &["model", "messages"]),
    get("v1/models"),
    post("model/*/**", Media, &[]),
];

fn of(call: &Call) -> Option<&'static [Route]> {
    Some(match call.slug.as_str() {
        "aws-bedrock" => BEDROCK,
        "replicate" => REPLICATE,
        "fal" if call.queue => FAL_QUEUE,
        "fal" => FAL,
        "deepgram" => DEEPGRAM,
        "cartesia" => CARTESIA,
        "elevenlabs" => ELEVENLABS,
        "workers-ai" => WORKERS_AI,
        "huggingface" => HUGGING_FACE,
        "ideogram" => IDEOGRAM,
        "parallel" => PARALLEL,
        "baseten" => BASETEN,
        _ => return None,
    })
}

/// What is wrong with a request besides its key; `None` for a provider whose paths are not listed here.
pub fn refusal(call: &Call) -> Option<Answer> {
    let routes = of(call).filter(|_| !call.compat)?;
    if call.slug == "aws-bedrock" && !call.rest.split('/').nth(1).is_some_and(is_region) {
        return cases::answer("gw-2005");
    }
    if call.slug == "workers-ai" && !call.rest.starts_with(['@', 'v']) {
        return Some(no_path(call));
    }
    let mut here = routes.iter().filter(|route| matches(&call.rest, route.1)).peekable();
    if here.peek().is_none() {
        return Some(no_path(call));
    }
    let Some(route) = here.find(|route| route.0 == call.method.as_str()) else {
        return Some(no_method(call));
    };
    if call.slug == "cartesia" && !call.header("cartesia-version").is_some_and(is_date) {
        let text = "Cartesia-Version: The Cartesia-Version header is required and must be a date.";
        return Some(Answer::text(400, text.to_owned()));
    }
    if matches!(call.content, Content::BrokenJson) {
        return None; // which is told as such
    }
    if !is_taken(call, route.2) {
        return Some(no_content(call, route.2));
    }
    let missing = route.3.iter().find(|field| !has(call, field));
    missing.map(|field| no_field(call, field))
}

fn matches(path: &str, pattern: &str) -> bool {
    let mut path = path.trim_end_matches('/').split('/');
    for wanted in pattern.split('/') {
        if wanted == "**" {
            return true;
        }
        match path.next() {
            Some(segment) if !segment.is_empty() && (wanted == "*" || wanted == segment) => {}
            _ => return false,
        }
    }
    path.next().is_none()
}

/// `us-east-1`
fn is_region(text: &str) -> bool {
    let mut parts = text.rsplit('-');
    let number = parts.next().is_some_and(|part| part.parse::<u8>().is_ok());
    let words: Vec<&str> = parts.collect();
    number
        && words.len() >= 2
        && words.iter().all(|word| word.bytes().all(|byte| byte.is_ascii_lowercase()))
}

/// `2025-04-16`
fn is_date(text: &str) -> bool {
    text.len() == 10 && text.split('-').count() == 3
}

fn is_taken(call: &Call, takes: Takes) -> bool {
    let kind = call.header("content-type").unwrap_or_default();
    let json = matches!(call.content, Content::Json(_)) && kind.contains("json");
    let form = matches!(call.content, Content::Form);
    match takes {
        Takes::Nothing => true,
        Takes::Json => json,
        Takes::Form => form,
        Takes::JsonOrForm => json || form,
        Takes::Media => !call.body.is_empty() && !form,
    }
}

fn has(call: &Call, field: &str) -> bool {
    match call.content {
        Content::Form => call.form().iter().any(|one| one.name == field),
        _ => call.json().get(field).is_some_and(|value| !value.is_null()),
    }
}

fn request_id(call: &Call) -> String {
    format!("00000000-0000-4000-8000-{:012x}", call.n)
}

/// The envelope of Parallel's errors.
pub fn parallel(call: &Call, status: u16, message: &str) -> Answer {
    Answer::json(
        status,
        &json!({"type":"error","error":{"ref_id":request_id(call),"message":message,"detail":null}}),
    )
}

/// The envelope of Cloudflare's API.
pub fn cloudflare(status: u16, code: u32, message: &str) -> Answer {
    Answer::json(
        status,
        &json!({"result":null,"success":false,"errors":[{"code":code,"message":message}],"messages":[]}),
    )
}

/// One of Amazon's, which has its kind in a header.
fn amazon(status: u16, kind: &str, message: &str) -> Answer {
    let mut answer = Answer::json(status, &json!({ "message": message }));
    answer.set_header("x-amzn-errortype", kind);
    answer
}

fn deepgram(call: &Call, status: u16, code: &str, message: &str) -> Answer {
    let body = json!({"err_code":code,"err_msg":message,"request_id":request_id(call)});
    Answer::json(status, &body)
}

/// Pydantic's list of what is wrong, which ElevenLabs and fal have from FastAPI.
fn pydantic(kind: &str, place: &[&str], message: &str) -> Answer {
    Answer::json(
        422,
        &json!({"detail":[{"type":kind,"loc":place,"msg":message,"input":Value::Null}]}),
    )
}

/// There is nothing at this path.
pub fn no_path(call: &Call) -> Answer {
    let (method, path) = (&call.method, &call.rest);
    match call.slug.as_str() {
        "aws-bedrock" => Answer::json(
            404,
            &json!({"Output":{"__type":"com.amazon.coral.service#UnknownOperationException"},"Version":"1.0"}),
        ),
        "replicate" => Answer::json(
            404,
            &json!({"detail":"The requested resource could not be found.","status":404}),
        ),
        "fal" => Answer::json(404, &json!({"detail":format!("Path /{path} not found")})),
        "elevenlabs" => Answer::json(404, &json!({"detail":"Not Found"})),
        "deepgram" => deepgram(call, 404, "NOT_FOUND", "The requested resource was not found."),
        "cartesia" => Answer::text(404, "404 page not found".to_owned()),
        "workers-ai" => cloudflare(400, 7000, "No route for that URI"),
        "huggingface" => Answer::text(404, "Not Found".to_owned()),
        "parallel" => parallel(call, 404, "Not Found"),
        "ideogram" | "baseten" => Answer::json(404, &json!({"error":"Not found"})),
        _ => Answer::text(404, format!("{method} /{path}: not found")),
    }
}

/// There is something, but not by this method.
fn no_method(call: &Call) -> Answer {
    let method = &call.method;
    match call.slug.as_str() {
        "replicate" => Answer::json(
            405,
            &json!({"detail":format!("Method \"{method}\" not allowed."),"status":405}),
        ),
        "fal" | "elevenlabs" => Answer::json(405, &json!({"detail":"Method Not Allowed"})),
        "deepgram" => deepgram(call, 405, "METHOD_NOT_ALLOWED", "Method not allowed."),
        "workers-ai" => cloudflare(405, 7001, &format!("{method} method not allowed for this URI")),
        "parallel" => parallel(call, 405, "Method Not Allowed"),
        "ideogram" | "baseten" => Answer::json(405, &json!({"error":"Method not allowed"})),
        "cartesia" | "huggingface" => Answer::text(405, "Method Not Allowed".to_owned()),
        _ => no_path(call),
    }
}

/// The body is not of the kind that is wanted.
fn no_content(call: &Call, takes: Takes) -> Answer {
    let kind = call.header("content-type").unwrap_or_default();
    let unsupported = format!("Unsupported media type \"{kind}\" in request.");
    match call.slug.as_str() {
        "aws-bedrock" => amazon(400, "ValidationException", "Malformed input request."),
        "replicate" => Answer::json(415, &json!({"detail":unsupported,"status":415})),
        "fal" | "elevenlabs" if takes == Takes::Json => pydantic(
            "model_attributes_type",
            &["body"],
            "Input should be a valid dictionary or object to extract fields from",
        ),
        "fal" | "elevenlabs" => pydantic("missing", &["body", "file"], "Field required"),
        "deepgram" => deepgram(
            call,
            400,
            "Bad Request",
            "Bad Request: failed to process audio: corrupt or unsupported data",
        ),
        "cartesia" => Answer::text(400, "Invalid request body: it could not be parsed.".to_owned()),
        "workers-ai" => cloudflare(400, 5006, "Error: required properties at '/' are 'prompt'"),
        "parallel" => parallel(call, 422, "Request validation error"),
        "ideogram" => Answer::json(415, &json!({ "error": unsupported })),
        _ => Answer::json(400, &json!({"error":"The request body could not be read"})),
    }
}

/// Something is missing in the body.
fn no_field(call: &Call, field: &str) -> Answer {
    match call.slug.as_str() {
        "aws-bedrock" => {
            let message = format!(
                "1 validation error detected: Value at '{field}' failed to satisfy constraint: Member must not be null"
            );
            amazon(400, "ValidationException", &message)
        }
        "replicate" => {
            let detail = format!("- {field} is required\n");
            Answer::json(
                422,
                &json!({"title":"Input validation failed","detail":detail,"status":422,
                    "invalid_fields":[{"type":"required","field":"","description":format!("{field} is required")}]}),
            )
        }
        "fal" | "elevenlabs" => pydantic("missing", &["body", field], "Field required"),
        "deepgram" => {
            let message = format!(
                "Failed to deserialize JSON payload. Please specify exactly one of `text` or `url` in the JSON body: {field}."
            );
            deepgram(call, 400, "PAYLOAD_ERROR", &message)
        }
        "cartesia" => Answer::text(400, format!("Invalid request body: {field} is required.")),
        "workers-ai" => {
            cloudflare(400, 5006, &format!("Error: required properties at '/' are '{field}'"))
        }
        "parallel" => parallel(call, 422, "Request validation error"),
        _ => Answer::json(400, &json!({"error":format!("{field} is required")})),
    }
}

#[cfg(test)]
mod tests {
    use http::Method;

    use super::*;

    #[test]
    fn paths_match_segment_by_segment() {
        for (path, pattern, expected) in [
            ("v1/listen", "v1/listen", true),
            ("v1/listen/", "v1/listen", true),
            ("v1/listen/x", "v1/listen", false),
            ("v1", "v1/listen", false),
            ("a/b", "*/*/**", true),
            ("a/b/c/d", "*/*/**", true),
            ("a", "*/*/**", false),
            ("", "*/*/**", false),
            ("models/o/n/predictions", "models/*/*/predictions", true),
            ("models//n/predictions", "models/*/*/predictions", false),
        ] {
            assert_eq!(matches(path, pattern), expected, "{path} {pattern}");
        }
    }

    #[test]
    fn regions_and_dates_are_told() {
        for (text, expected) in [
            ("us-east-1", true),
            ("ap-southeast-2", true),
            ("us-gov-west-1", true),
            ("x", false),
            ("east-1", false),
        ] {
            assert_eq!(is_region(text), expected, "{text}");
        }
        assert!(is_date("2024-06-10") && !is_date("latest"));
    }

    #[test]
    fn methods_are_real() {
        for routes in [
            BEDROCK,
            REPLICATE,
            FAL,
            FAL_QUEUE,
            DEEPGRAM,
            CARTESIA,
            ELEVENLABS,
            WORKERS_AI,
            HUGGING_FACE,
            IDEOGRAM,
            PARALLEL,
            BASETEN,
        ] {
            for route in routes {
                assert!(
                    [Method::GET, Method::POST, Method::PUT, Method::DELETE]
                        .iter()
                        .any(|method| method.as_str() == route.0)
                );
                assert!(route.2 != Takes::Nothing || route.3.is_empty(), "{}", route.1);
            }
        }
    }
}
