//! What the simulated model says: an echo of the last thing the user said, or a tool call.

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use bytes::Bytes;
use serde_json::{Map, Value, json};

use crate::simulator::fnv1a;

/// What a dialect has read from a request.
#[derive(Debug, Default)]
pub struct Prompt {
    /// The last user text.
    pub text: String,
    /// The output of a tool, when the conversation ends with one.
    pub tool_result: Option<String>,
    pub tools: Vec<Tool>,
    pub tool_choice: ToolChoice,
    /// The answer must be JSON, perhaps of this shape.
    pub json: Option<Value>,
}

#[derive(Debug, Default)]
pub struct Tool {
    pub name: String,
    pub parameters: Value,
}

#[derive(Debug, Default, PartialEq, Eq)]
pub enum ToolChoice {
    #[default]
    Auto,
    None,
    Any,
    Named(String),
}

#[derive(Debug, PartialEq)]
pub enum Reply {
    Text(String),
    Tool { name: String, arguments: Value },
}

impl Prompt {
    pub fn reply(&self) -> Reply {
        if let Some(result) = &self.tool_result {
            return Reply::Text(format!("The tool said: {result}"));
        }
        let demanded = match &self.tool_choice {
            ToolChoice::None => None,
            ToolChoice::Any => self.tools.first(),
            ToolChoice::Named(name) => self.tools.iter().find(|tool| tool.name == *name),
            ToolChoice::Auto if self.text.to_lowercase().contains("weather") => self.tools.first(),
            ToolChoice::Auto => None,
        };
        if let Some(tool) = demanded {
            let mut arguments = sample(&tool.parameters, "Paris");
            if arguments.as_object().is_none_or(Map::is_empty) {
                arguments = json!({ "location": "Paris" });
            }
            return Reply::Tool { name: tool.name.clone(), arguments };
        }
        let echo = format!("You said: {}", self.text);
        match &self.json {
            None => Reply::Text(echo),
            Some(schema) => {
                let value = sample(schema, &echo);
                let value = if value.is_null() { json!({ "text": echo }) } else { value };
                Reply::Text(value.to_string())
            }
        }
    }
}

/// A value that fits a JSON schema, with `text` for every string.
fn sample(schema: &Value, text: &str) -> Value {
    if let Some(first) = schema.get("enum").and_then(|values| values.get(0)) {
        return first.clone();
    }
    let kind = schema
        .get("type")
        .map(|kind| kind.get(0).unwrap_or(kind))
        .and_then(Value::as_str)
        .unwrap_or_default();
    match kind.to_ascii_lowercase().as_str() {
        "string" => text.into(),
        "integer" | "number" => 1.into(),
        "boolean" => true.into(),
        "array" => {
            schema.get("items").map_or_else(|| json!([]), |items| json!([sample(items, text)]))
        }
        _ => match schema.get("properties").and_then(Value::as_object) {
            Some(properties) => properties
                .iter()
                .map(|(name, schema)| (name.clone(), sample(schema, text)))
                .collect::<Map<_, _>>()
                .into(),
            None => Value::Null,
        },
    }
}

/// The text of a message's content: a string, or a list of parts with a `text` each.
pub fn text_of(content: &Value) -> String {
    match content {
        Value::String(text) => text.clone(),
        Value::Array(parts) => {
            let texts: Vec<&str> = parts
                .iter()
                .filter_map(|part| part.as_str().or_else(|| part.get("text")?.as_str()))
                .collect();
            texts.join("\n")
        }
        _ => String::new(),
    }
}

/// Cuts a text into about `count` pieces of whole characters.
pub fn split(text: &str, count: usize) -> Vec<&str> {
    let size = text.chars().count().div_ceil(count.max(1)).max(1);
    let mut pieces = Vec::with_capacity(count);
    let mut rest = text;
    while !rest.is_empty() {
        let end = rest.char_indices().nth(size).map_or(rest.len(), |(index, _)| index);
        let (piece, tail) = rest.split_at(end);
        pieces.push(piece);
        rest = tail;
    }
    pieces
}

/// A server-sent event whose data begin with its name, as OpenAI and Anthropic write them.
pub fn typed_event(kind: &str, data: Value) -> Bytes {
    let mut body = json!({ "type": kind });
    if let (Some(body), Value::Object(data)) = (body.as_object_mut(), data) {
        body.extend(data);
    }
    format!("event: {kind}\ndata: {body}\n\n").into()
}

/// Four characters to a token, as the rule of thumb goes.
pub fn tokens(text: &str) -> usize {
    text.len().div_ceil(4).max(1)
}

/// The same text always has the same vector, of unit length.
pub fn embedding(text: &str, dimensions: usize) -> Vec<f32> {
    let mut seed = fnv1a(&[text.as_bytes()]) | 1;
    let mut vector: Vec<f32> = (0..dimensions.clamp(1, 4096))
        .map(|_| {
            seed ^= seed << 13;
            seed ^= seed >> 7;
            seed ^= seed << 17;
            f32::from((seed >> 48) as u16) / 32_768.0 - 1.0
        })
        .collect();
    let length = vector.iter().map(|value| value * value).sum::<f32>().sqrt().max(f32::EPSILON);
    vector.iter_mut().for_each(|value| *value /= length);
    vector
}

pub fn embedding_base64(vector: &[f32]) -> String {
    let bytes: Vec<u8> = vector.iter().flat_map(|value| value.to_le_bytes()).collect();
    STANDARD.encode(bytes)
}

pub fn base64(bytes: &[u8]) -> String {
    STANDARD.encode(bytes)
}

/// The smallest picture there is: one transparent pixel.
pub const PIXEL_PNG_BASE64: &str = "iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAADUlEQVR42mNk+M9QDwADhgGAWjR9awAAAABJRU5ErkJggg==";

/// Silence: empty MPEG frames, more of them for a longer text.
pub fn speech(text: &str) -> Vec<u8> {
    let mut frame = vec![0xFF, 0xFB, 0x90, 0x00];
    frame.resize(417, 0);
    frame.repeat(text.len().div_ceil(16).clamp(1, 256))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn echoes_and_calls_tools() {
        let tool = || Tool {
            name: "get_weather".to_owned(),
            parameters: json!({ "type": "object", "properties": { "city": { "type": "string" }, "days": { "type": "integer" } } }),
        };
        let prompt = Prompt { text: "hi".to_owned(), ..Prompt::default() };
        assert_eq!(prompt.reply(), Reply::Text("You said: hi".to_owned()));
        let prompt =
            Prompt { text: "What weather?".to_owned(), tools: vec![tool()], ..Prompt::default() };
        let call = Reply::Tool {
            name: "get_weather".to_owned(),
            arguments: json!({ "city": "Paris", "days": 1 }),
        };
        assert_eq!(prompt.reply(), call);
        let prompt = Prompt { tool_result: Some("22".to_owned()), ..prompt };
        assert_eq!(prompt.reply(), Reply::Text("The tool said: 22".to_owned()));
        let forced =
            Prompt { tools: vec![tool()], tool_choice: ToolChoice::Any, ..Prompt::default() };
        assert_eq!(forced.reply(), call);
    }

    #[test]
    fn fills_a_schema() {
        let schema = json!({ "type": "OBJECT", "properties": { "a": { "type": "ARRAY", "items": { "type": "STRING" } }, "b": { "enum": ["x"] } } });
        assert_eq!(sample(&schema, "t"), json!({ "a": ["t"], "b": "x" }));
    }

    #[test]
    fn splits_at_characters() {
        assert_eq!(split("äöüß", 2), ["äö", "üß"]);
        assert_eq!(split("abc", 5), ["a", "b", "c"]);
        assert!(split("", 3).is_empty());
    }

    #[test]
    fn embeds_the_same_text_alike() {
        assert_eq!(embedding("a", 8), embedding("a", 8));
        assert_ne!(embedding("a", 8), embedding("b", 8));
        assert_eq!(embedding_base64(&[1.0]), "AACAPw==");
    }
}
