//! Files that callers upload. They belong to the key (or its project) that brought them.

use std::collections::HashMap;
use std::sync::{Arc, Mutex};

use axum::body::Body;
use axum::response::Response;
use bytes::Bytes;
use http::{Method, Request};
use serde_json::{Value, json};

use crate::answer::{Answer, Playback};
use crate::journal::InFlight;
use crate::request::{Call, parse_query};
use crate::simulator::{Simulator, lock};
use crate::time::{now_ms, rfc3339};
use crate::{gemini as google, openai as open_ai};

/// Stands for Google's own upload host, which answers without a key: the upload's id is its secret.
pub const DIRECT_UPLOAD_PATH: &str = "/upload/v1beta/files";

#[derive(Clone)]
struct File {
    provider: String,
    owner: String,
    name: String,
    content_type: String,
    purpose: String,
    data: Bytes,
    created_ms: u64,
}

#[derive(Default)]
pub struct Files {
    files: Mutex<HashMap<String, File>>,
    /// Resumable uploads that have begun.
    uploads: Mutex<HashMap<String, File>>,
}

impl Files {
    pub fn clear(&self) {
        lock(&self.files).clear();
        lock(&self.uploads).clear();
    }

    pub fn is_visible(&self, provider: &str, owner: &str, id: &str) -> bool {
        self.get(provider, owner, id).is_some()
    }

    fn get(&self, provider: &str, owner: &str, id: &str) -> Option<File> {
        lock(&self.files)
            .get(id)
            .filter(|file| file.provider == provider && file.owner == owner)
            .cloned()
    }

    fn put(&self, id: &str, file: File) {
        lock(&self.files).insert(id.to_owned(), file);
    }

    fn list(&self, provider: &str, owner: &str) -> Vec<(String, File)> {
        let mut found: Vec<_> = lock(&self.files)
            .iter()
            .filter(|(_, file)| file.provider == provider && file.owner == owner)
            .map(|(id, file)| (id.clone(), file.clone()))
            .collect();
        found.sort_by(|a, b| a.0.cmp(&b.0));
        found
    }
}

/// A file that the provider wrote itself, such as a batch's results.
pub fn made(call: &Call, id: &str, simulator: &Simulator) {
    let file = File {
        provider: call.slug.clone(),
        owner: call.owner.clone(),
        name: "results.jsonl".to_owned(),
        content_type: "application/jsonl".to_owned(),
        purpose: "batch_output".to_owned(),
        data: Bytes::from_static(b"{}\n"),
        created_ms: now_ms(),
    };
    simulator.files.put(id, file);
}

/// `/files`, `/files/{id}`, `/files/{id}/content`
pub fn openai(call: &Call, segments: &[&str], simulator: &Simulator) -> Option<Answer> {
    let files = &simulator.files;
    let object = |id: &str, file: &File| {
        json!({"id":id,"object":"file","bytes":file.data.len(),"created_at":file.created_ms / 1000,"expires_at":null,
            "filename":file.name,"purpose":file.purpose,"status":"processed","status_details":null})
    };
    let missing = |id: &str| {
        open_ai::error(
            404,
            &format!("No such File object: {id}"),
            "invalid_request_error",
            Some("id"),
            None,
        )
    };
    Some(match (&call.method, segments) {
        (&Method::POST, ["files"]) => {
            let form = call.form();
            let Some(part) = form.iter().find(|field| field.name == "file") else {
                return Some(open_ai::error(
                    400,
                    "'file' is a required property",
                    "invalid_request_error",
                    None,
                    None,
                ));
            };
            let purpose = form
                .iter()
                .find(|field| field.name == "purpose")
                .map(crate::multipart::Field::text);
            let file = File {
                provider: call.slug.clone(),
                owner: call.owner.clone(),
                name: part.filename.clone().unwrap_or_default(),
                content_type: part.content_type.clone().unwrap_or_default(),
                purpose: purpose.unwrap_or_else(|| "user_data".to_owned()),
                data: Bytes::copy_from_slice(part.data),
                created_ms: now_ms(),
            };
            let id = format!("file-sim{:016x}", call.n);
            let answer = Answer::json(200, &object(&id, &file));
            files.put(&id, file);
            answer
        }
        (&Method::GET, ["files"]) => {
            let found = files.list(&call.slug, &call.owner);
            let data: Vec<Value> = found.iter().map(|(id, file)| object(id, file)).collect();
            let edge = |entry: Option<&(String, File)>| entry.map(|(id, _)| id.clone());
            Answer::json(
                200,
                &json!({"object":"list","data":data,"has_more":false,"first_id":edge(found.first()),"last_id":edge(found.last())}),
            )
        }
        (&Method::GET, ["files", id]) => match files.get(&call.slug, &call.owner, id) {
            Some(file) => Answer::json(200, &object(id, &file)),
            None => missing(id),
        },
        (&Method::GET, ["files", id, "content"]) => match files.get(&call.slug, &call.owner, id) {
            Some(file) => Answer::bytes("application/octet-stream", file.data),
            None => missing(id),
        },
        (&Method::DELETE, ["files", id]) => {
            if !files.is_visible(&call.slug, &call.owner, id) {
                return Some(missing(id));
            }
            lock(&files.files).remove(*id);
            Answer::json(200, &json!({"id":id,"object":"file","deleted":true}))
        }
        _ => return None,
    })
}

fn gemini_object(id: &str, file: &File) -> Value {
    json!({"name":format!("files/{id}"),"displayName":file.name,"mimeType":file.content_type,"sizeBytes":file.data.len().to_string(),
        "createTime":rfc3339(file.created_ms),"updateTime":rfc3339(file.created_ms),"expirationTime":rfc3339(file.created_ms + 172_800_000),
        "uri":format!("https://generativelanguage.googleapis.com/v1beta/files/{id}"),"state":"ACTIVE","source":"UPLOADED"})
}

pub fn gemini_forbidden(id: &str) -> Answer {
    let message =
        format!("You do not have permission to access the File files/{id} or it may not exist.");
    Answer::json(403, &google::error(403, "PERMISSION_DENIED", &message, None))
}

/// `upload/v1beta/files`, `v1beta/files`, `v1beta/files/{id}`
pub fn gemini(call: &Call, simulator: &Simulator) -> Option<Answer> {
    let files = &simulator.files;
    let rest = call.rest.trim_end_matches('/');
    if rest.starts_with("upload/") && call.method != Method::GET {
        return Some(match call.query("upload_id") {
            Some(upload) => {
                finish_upload(files, upload, call.header("x-goog-upload-command"), &call.body)
            }
            None => start_upload(call, files),
        });
    }
    let id = rest.rsplit_once("files/").map(|(_, id)| id);
    Some(match (&call.method, id) {
        (&Method::GET, None) => {
            let found: Vec<Value> = files
                .list(&call.slug, &call.owner)
                .iter()
                .map(|(id, file)| gemini_object(id, file))
                .collect();
            Answer::json(200, &if found.is_empty() { json!({}) } else { json!({ "files": found }) })
        }
        (&Method::GET, Some(id)) => match files.get(&call.slug, &call.owner, id) {
            Some(file) => Answer::json(200, &gemini_object(id, &file)),
            None => gemini_forbidden(id),
        },
        (&Method::DELETE, Some(id)) => {
            if !files.is_visible(&call.slug, &call.owner, id) {
                return Some(gemini_forbidden(id));
            }
            lock(&files.files).remove(id);
            Answer::json(200, &json!({}))
        }
        _ => return None,
    })
}

fn start_upload(call: &Call, files: &Files) -> Answer {
    let id = format!("sim{:09x}", call.n);
    let resumable = call.header("x-goog-upload-protocol") == Some("resumable");
    let described = &call.json()["file"];
    let named =
        described["name"].as_str().and_then(|name| name.strip_prefix("files/")).map(str::to_owned);
    let kind = if resumable {
        call.header("x-goog-upload-header-content-type")
    } else {
        call.header("content-type")
    };
    let file = File {
        provider: call.slug.clone(),
        owner: call.owner.clone(),
        name: described["displayName"]
            .as_str()
            .or(described["display_name"].as_str())
            .unwrap_or_default()
            .to_owned(),
        content_type: described["mimeType"]
            .as_str()
            .or(kind)
            .unwrap_or("application/octet-stream")
            .to_owned(),
        purpose: String::new(),
        data: if resumable { Bytes::new() } else { call.body.clone() },
        created_ms: now_ms(),
    };
    let id = named.unwrap_or(id);
    if !resumable {
        let answer = Answer::json(200, &json!({ "file": gemini_object(&id, &file) }));
        files.put(&id, file);
        return answer;
    }
    lock(&files.uploads).insert(id.clone(), file);
    let host = call.header("host").unwrap_or("127.0.0.1");
    let mut answer = Answer::json(200, &json!({}));
    answer.header(
        "x-goog-upload-url",
        format_args!("http://{host}{DIRECT_UPLOAD_PATH}?upload_id={id}&upload_protocol=resumable"),
    );
    answer.fixed_header("x-goog-upload-status", "active");
    answer
}

/// Takes one piece of a resumable upload, and the file in when it was the last.
fn finish_upload(files: &Files, upload: &str, command: Option<&str>, body: &Bytes) -> Answer {
    let mut uploads = lock(&files.uploads);
    let Some(file) = uploads.get_mut(upload) else {
        return Answer::text(404, "No such upload.".to_owned());
    };
    file.data = if file.data.is_empty() {
        body.clone()
    } else {
        [file.data.as_ref(), body.as_ref()].concat().into()
    };
    if !command.is_some_and(|command| command.contains("finalize")) {
        let mut answer = Answer::json(200, &json!({}));
        answer.fixed_header("x-goog-upload-status", "active");
        return answer;
    }
    let Some(file) = uploads.remove(upload) else {
        return Answer::text(404, "No such upload.".to_owned());
    };
    let mut answer = Answer::json(200, &json!({ "file": gemini_object(upload, &file) }));
    answer.fixed_header("x-goog-upload-status", "final");
    files.put(upload, file);
    answer
}

/// Serves the second request of a resumable upload, which does not go through the gateway.
pub async fn direct_upload(simulator: Arc<Simulator>, request: Request<Body>) -> Response {
    let in_flight = InFlight::new(simulator.clone());
    let (parts, body) = request.into_parts();
    let query = parse_query(parts.uri.query().unwrap_or_default());
    let upload =
        query.iter().find(|(name, _)| name == "upload_id").map(|(_, value)| value.as_str());
    let command = parts.headers.get("x-goog-upload-command").and_then(|value| value.to_str().ok());
    let answer = match axum::body::to_bytes(body, usize::MAX).await {
        Ok(body) => finish_upload(&simulator.files, upload.unwrap_or_default(), command, &body),
        Err(_) => Answer::text(400, "The upload broke off.".to_owned()),
    };
    answer.into_response(Playback::default(), in_flight)
}
