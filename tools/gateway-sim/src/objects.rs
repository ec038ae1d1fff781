//! What callers create besides files: batches, vector stores, cached contents, predictions, voices. Like
//! files they belong to the key (or its project) that made them; whoever else names one is told that it
//! does not exist, in the words of its provider.

use std::collections::HashMap;
use std::sync::Mutex;

use http::Method;
use serde_json::{Value, json};

use crate::answer::Answer;
use crate::files;
use crate::providers::Manners;
use crate::request::Call;
use crate::simulator::{Simulator, lock};
use crate::time::{now_ms, rfc3339};
use crate::{anthropic, gemini, openai};

#[derive(Default)]
pub struct Objects {
    /// (provider, id) -> owner
    owners: Mutex<HashMap<(String, String), String>>,
}

impl Objects {
    pub fn clear(&self) {
        lock(&self.owners).clear();
    }

    pub fn put(&self, call: &Call, id: &str) {
        lock(&self.owners).insert((call.slug.clone(), id.to_owned()), call.owner.clone());
    }

    fn remove(&self, call: &Call, id: &str) {
        lock(&self.owners).remove(&(call.slug.clone(), id.to_owned()));
    }

    fn owner(&self, call: &Call, id: &str) -> Option<String> {
        lock(&self.owners).get(&(call.slug.clone(), id.to_owned())).cloned()
    }

    pub fn is_visible(&self, call: &Call, id: &str) -> bool {
        self.owner(call, id).is_some_and(|owner| owner == call.owner)
    }
}

/// OpenAI's collections, and those of others who speak like it, with what their ids begin with.
const COLLECTIONS: &[(&str, &str)] = &[
    ("batches", "batch_"),
    ("vector_stores", "vs_"),
    ("assistants", "asst_"),
    ("threads", "thread_"),
    ("fine_tuning/jobs", "ftjob-"),
    ("uploads", "upload_"),
    ("containers", "cntr_"),
    ("videos", "video_"),
    ("evals", "eval_"),
    ("conversations", "conv_"),
    ("skills", "skill_"),
    ("batch/jobs", "job-"),
];

/// Fields that name an object, at any depth.
const NAMING: &[&str] = &[
    "file_id",
    "file_ids",
    "input_file_id",
    "input_files",
    "training_file",
    "vector_store_ids",
    "conversation",
    "assistant_id",
    "thread_id",
    "skill_id",
];

/// Answers a request that makes or names an object; `None` when it does neither, or may.
pub fn answer(call: &Call, path: &str, simulator: &Simulator) -> Option<Answer> {
    match call.provider.manners {
        _ if call.is_gemini_openai_layer() => like_openai(call, path, simulator),
        Manners::OpenAi => like_openai(call, path, simulator),
        Manners::Gemini => like_gemini(call, path, simulator),
        Manners::Anthropic => like_anthropic(call, path.strip_prefix("v1/")?, simulator),
        Manners::Other => other(call, path.trim_start_matches("v1/"), simulator),
    }
}

fn like_openai(call: &Call, path: &str, simulator: &Simulator) -> Option<Answer> {
    let objects = &simulator.objects;
    let json = call.json();
    let missing = |id: &str| {
        openai::error(
            404,
            &format!("No object with id '{id}' found."),
            "invalid_request_error",
            None,
            None,
        )
    };
    if let Some(id) = foreign(json, call, simulator) {
        return Some(missing(&id));
    }
    let post = call.method == Method::POST;
    if path == "chat/completions" && post {
        if json["deferred"] == true {
            let id = format!("deferred-{:016x}", call.n);
            objects.put(call, &id);
            return Some(Answer::json(200, &json!({"request_id":id})));
        }
        if json["store"] == true {
            objects.put(call, &format!("chatcmpl-sim{:020x}", call.n));
        }
        return None;
    }
    for collection in ["chat/completions/", "chat/deferred-completion/"] {
        if let Some(rest) = path.strip_prefix(collection) {
            let name = rest.split('/').next().unwrap_or_default();
            if !objects.is_visible(call, name) {
                return Some(missing(name));
            }
            return Some(Answer::json(
                200,
                &json!({"id":name,"object":"chat.completion","choices":[]}),
            ));
        }
    }
    let (collection, prefix) = COLLECTIONS.iter().find(|(collection, _)| {
        path == *collection || path.starts_with(&format!("{collection}/"))
    })?;
    let rest = path.strip_prefix(collection)?.trim_start_matches('/');
    let object = |id: &str, status: &str| {
        let mut object = json!({"id":id,"object":collection,"created_at":now_ms() / 1000,"status":status,"metadata":{},"name":json["name"]});
        if collection.ends_with("batches") || *collection == "batch/jobs" {
            let output = json!(format!("file-out-{id}"));
            let done = status == "completed";
            let (field, value) = if *collection == "batches" {
                ("output_file_id", output)
            } else {
                ("output_file", output)
            };
            object[field] = if done { value } else { Value::Null };
        }
        object
    };
    if rest.is_empty() {
        if !post {
            return Some(Answer::json(200, &json!({"object":"list","data":[],"has_more":false})));
        }
        let id = format!("{prefix}{:016x}", call.n);
        objects.put(call, &id);
        return Some(Answer::json(200, &object(&id, "validating")));
    }
    if *collection == "threads" && rest == "runs" && post {
        let id = format!("thread_{:016x}", call.n);
        objects.put(call, &id);
        return Some(Answer::json(
            200,
            &json!({"id":format!("run_{:016x}", call.n),"object":"thread.run","thread_id":id}),
        ));
    }
    let (id, below) = rest.split_once('/').unwrap_or((rest, ""));
    if !objects.is_visible(call, id) {
        return Some(missing(id));
    }
    if call.method == Method::DELETE && below.is_empty() {
        objects.remove(call, id);
        return Some(Answer::json(200, &json!({"id":id,"deleted":true})));
    }
    if below == "complete" {
        let file = format!("file-up-{id}");
        files::made(call, &file, simulator);
        return Some(Answer::json(
            200,
            &json!({"id":id,"object":"upload","status":"completed","file":{"id":file,"object":"file"}}),
        ));
    }
    if collection.ends_with("batches") || *collection == "batch/jobs" {
        files::made(call, &format!("file-out-{id}"), simulator);
    }
    if !below.is_empty() {
        return Some(Answer::json(
            200,
            &json!({"id":format!("{prefix}below{:08x}", call.n),"object":below,"data":[],"has_more":false}),
        ));
    }
    Some(Answer::json(200, &object(id, "completed")))
}

/// The first object that a body names and that the key cannot see.
fn foreign(json: &Value, call: &Call, simulator: &Simulator) -> Option<String> {
    let is_foreign = |id: &str| {
        let of_kind = id.starts_with("file-")
            || id.starts_with("file_")
            || COLLECTIONS.iter().any(|(_, prefix)| id.starts_with(prefix));
        of_kind
            && !simulator.objects.is_visible(call, id)
            && !simulator.files.is_visible(&call.slug, &call.owner, id)
    };
    match json {
        Value::Object(fields) => fields.iter().find_map(|(name, value)| {
            let named = NAMING.contains(&name.as_str());
            let texts = match value {
                Value::String(text) if named => vec![text],
                Value::Array(items) if named => items
                    .iter()
                    .filter_map(|item| match item {
                        Value::String(text) => Some(text),
                        _ => None,
                    })
                    .collect(),
                Value::Object(fields) if named => match fields.get("id") {
                    Some(Value::String(id)) => vec![id],
                    _ => Vec::new(),
                },
                _ => Vec::new(),
            };
            texts
                .into_iter()
                .find(|id| is_foreign(id))
                .cloned()
                .or_else(|| foreign(value, call, simulator))
        }),
        Value::Array(items) => items.iter().find_map(|item| foreign(item, call, simulator)),
        _ => None,
    }
}

fn like_gemini(call: &Call, path: &str, simulator: &Simulator) -> Option<Answer> {
    let objects = &simulator.objects;
    let json = call.json();
    let path = path.split_once('/').map_or("", |(_, rest)| rest);
    let forbidden = |name: &str| {
        let message = format!("You do not have permission to access {name} or it may not exist.");
        Answer::json(403, &gemini::error(403, "PERMISSION_DENIED", &message, None))
    };
    for field in ["cachedContent", "cached_content"] {
        if let Some(name) = json[field].as_str()
            && !objects.is_visible(call, name)
        {
            return Some(forbidden(name));
        }
    }
    let post = call.method == Method::POST;
    let made = |name: String, mut more: Value| {
        objects.put(call, &name);
        more["name"] = name.into();
        Some(Answer::json(200, &more))
    };
    match path.split_once(':') {
        Some((model, "batchGenerateContent" | "asyncBatchEmbedContent")) if post => {
            let state = json!({"metadata":{"state":"BATCH_STATE_PENDING","model":model}});
            return made(format!("batches/sim{:08x}", call.n), state);
        }
        Some((model, "predictLongRunning")) if post => {
            return made(format!("{model}/operations/sim{:08x}", call.n), json!({}));
        }
        _ => {}
    }
    if path == "cachedContents" {
        let expires = rfc3339(now_ms() + 3_600_000);
        return match post {
            true => made(
                format!("cachedContents/sim{:08x}", call.n),
                json!({"model":json["model"],"expireTime":expires,"usageMetadata":{"totalTokenCount":5000}}),
            ),
            false => Some(Answer::json(200, &json!({}))),
        };
    }
    let collection = path.split('/').next().unwrap_or_default();
    let is_operation = collection == "models" && path.contains("/operations/");
    if !matches!(collection, "cachedContents" | "batches" | "tunedModels") && !is_operation {
        return None;
    }
    let name = path.split(':').next().unwrap_or(path);
    if !objects.is_visible(call, name) {
        return Some(forbidden(name));
    }
    if call.method == Method::DELETE {
        objects.remove(call, name);
        return Some(Answer::json(200, &json!({})));
    }
    Some(Answer::json(
        200,
        &json!({"name":name,"done":false,"metadata":{"state":"BATCH_STATE_RUNNING"}}),
    ))
}

fn like_anthropic(call: &Call, path: &str, simulator: &Simulator) -> Option<Answer> {
    let objects = &simulator.objects;
    let missing =
        |id: &str| anthropic::error(call, 404, "not_found_error", &format!("{id} not found"));
    if let Some(id) = foreign(call.json(), call, simulator) {
        return Some(missing(&id));
    }
    let collections = [("files", "file_"), ("messages/batches", "msgbatch_"), ("skills", "skill_")];
    let (collection, prefix) = collections.iter().find(|(collection, _)| {
        path == *collection || path.starts_with(&format!("{collection}/"))
    })?;
    let rest = path.strip_prefix(collection)?.trim_start_matches('/');
    let object = |id: &str| {
        json!({"id":id,"type":collection.trim_end_matches('s'),"processing_status":"in_progress","filename":"sim","mime_type":"text/plain",
            "size_bytes":call.body.len(),"created_at":rfc3339(now_ms()),"downloadable":false,
            "request_counts":{"processing":1,"succeeded":0,"errored":0,"canceled":0,"expired":0}})
    };
    if rest.is_empty() {
        if call.method != Method::POST {
            return Some(Answer::json(
                200,
                &json!({"data":[],"has_more":false,"first_id":null,"last_id":null}),
            ));
        }
        let id = format!("{prefix}sim{:016x}", call.n);
        objects.put(call, &id);
        return Some(Answer::json(200, &object(&id)));
    }
    let id = rest.split('/').next().unwrap_or_default();
    if !objects.is_visible(call, id) {
        return Some(missing(id));
    }
    if call.method == Method::DELETE {
        objects.remove(call, id);
        return Some(Answer::json(200, &json!({"id":id,"type":"file_deleted"})));
    }
    Some(Answer::json(200, &object(id)))
}

fn other(call: &Call, path: &str, simulator: &Simulator) -> Option<Answer> {
    let objects = &simulator.objects;
    let post = call.method == Method::POST;
    match call.slug.as_str() {
        "replicate" => {
            let id = format!("sim{:016x}", call.n);
            if post && path.ends_with("predictions") {
                objects.put(call, &id); // the answer has the same id
                return None;
            }
            let id = path.strip_prefix("predictions/")?.split('/').next()?;
            (!objects.is_visible(call, id)).then(|| {
                Answer::json(
                    404,
                    &json!({"detail":"The requested resource could not be found.","status":404}),
                )
            })
        }
        "elevenlabs" => {
            if post && path == "voices/add" {
                let id = format!("voice{:016x}", call.n);
                objects.put(call, &id);
                return Some(Answer::json(
                    200,
                    &json!({"voice_id":id,"requires_verification":false}),
                ));
            }
            let id = ["text-to-speech/", "voices/"]
                .iter()
                .find_map(|start| path.strip_prefix(start))?
                .split('/')
                .next()?;
            // Voices that nobody made are everybody's.
            let foreign = objects.owner(call, id).is_some() && !objects.is_visible(call, id);
            foreign.then(|| {
                Answer::json(404, &json!({"detail":{"status":"voice_not_found","message":format!("A voice with the voice_id {id} was not found.")}}))
            })
        }
        _ => None,
    }
}
