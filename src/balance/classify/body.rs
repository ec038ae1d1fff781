//! The body of an answer, whatever its shape, as one [`Fault`].
//!
//! Shapes that are seen: `{"error":{..}}`; the same in an array (Gemini's OpenAI layout and its
//! streams); flat (Cerebras, Mistral, Cohere, Bedrock); `{"code":..,"error":"text"}` (xAI, Hugging
//! Face); `{"detail":"text"}` and `{"detail":{..}}` (Mistral, ElevenLabs, Replicate, fal);
//! `{"errors":[{..}]}` (Workers AI); `{"response":{"error":{..}}}` (a stream of OpenAI's Responses);
//! plain text; HTML; and each of them cut off in the middle.

use std::borrow::Cow;

use memchr::memmem;
use serde_json::{Map, Value, json};

/// Longest part of a message that is looked at, in characters. Real ones are below 1 000; what is
/// longer repeats the caller's input.
const MAX_MESSAGE: usize = 4 * 1024;

/// A body as text and, where it is JSON, as a value.
pub(super) struct Document<'a> {
    pub text: Cow<'a, str>,
    pub json: Option<Value>,
}

/// What an answer says went wrong.
pub(super) struct Fault<'a> {
    /// The document; `Null` when it is not JSON.
    pub root: &'a Value,
    /// The object in it that holds the error; the document itself when the error is flat.
    pub error: &'a Value,
    /// Every machine-readable word about the error: codes, types, statuses and reasons. They are
    /// compared as a whole, since `credit_balance_exhausted` has no "quota" in it.
    words: Vec<Cow<'a, str>>,
    /// The words for humans.
    pub message: String,
    /// The same in lowercase.
    text: String,
}

// === impl Document ===

impl<'a> Document<'a> {
    pub fn read(body: &'a [u8]) -> Self {
        let text = String::from_utf8_lossy(body);
        let json = parse(text.trim_start_matches('\u{feff}'));
        Self { text, json }
    }

    pub fn is_html(&self) -> bool {
        let head: String = self.text.trim_start().chars().take(14).collect();
        let head = head.to_ascii_lowercase();
        head.starts_with("<!doctype html") || head.starts_with("<html")
    }
}

/// The JSON of a text, also when the text is cut off, holds bare control characters or is broken.
pub(super) fn parse(text: &str) -> Option<Value> {
    let text = text.trim();
    if !text.starts_with(['{', '[']) {
        return None;
    }
    serde_json::from_str(text).ok().or_else(|| {
        // Between tokens a control character is white space, in a string it was never allowed.
        let clean = text.replace(|c: char| c.is_ascii_control(), " ");
        complete(&clean).or_else(|| scan(clean.as_bytes()))
    })
}

/// Closes what a cut left open: the last string, if it is a value, and every object and array. What
/// cannot be closed (half a key, half a number) is dropped.
fn complete(text: &str) -> Option<Value> {
    // The closing bracket of everything that is open.
    let mut open: Vec<u8> = Vec::new();
    // Where the last whole value ends, and how much was open there.
    let mut whole = (0, 0);
    let mut in_string = false;
    let mut escaped = false;
    // The next string of the innermost object is a key.
    let mut key = false;
    for (at, byte) in text.bytes().enumerate() {
        if in_string {
            match byte {
                _ if escaped => escaped = false,
                b'\\' => escaped = true,
                b'"' => {
                    in_string = false;
                    if !key {
                        whole = (at + 1, open.len());
                    }
                }
                _ => {}
            }
            continue;
        }
        match byte {
            b'"' => in_string = true,
            b'{' | b'[' => {
                open.push(if byte == b'{' { b'}' } else { b']' });
                whole = (at + 1, open.len());
                key = byte == b'{';
            }
            b'}' | b']' => {
                open.pop();
                whole = (at + 1, open.len());
                key = false;
                if open.is_empty() {
                    // Whatever follows is not part of the value.
                    break;
                }
            }
            b':' => key = false,
            b',' => {
                whole = (at, open.len());
                key = open.last() == Some(&b'}');
            }
            _ => {}
        }
    }
    let closed = |end: usize, depth: usize, quote: &str| -> Option<Value> {
        let brackets: String =
            open.iter().take(depth).rev().map(|bracket| char::from(*bracket)).collect();
        let head = text.get(..end)?;
        serde_json::from_str(&format!("{head}{quote}{brackets}")).ok()
    };
    let cut_string = if in_string && !key {
        // The cut may have gone through an escape such as `\u00e9`; then the string ends before it.
        let escape = text.rfind('\\').filter(|at| at + 6 > text.len());
        closed(text.len(), open.len(), "\"")
            .or_else(|| escape.and_then(|at| closed(at, open.len(), "\"")))
    } else {
        None
    };
    cut_string.or_else(|| closed(whole.0, whole.1, ""))
}

/// The last resort for JSON that no parser reads: the first value of each telling field.
fn scan(text: &[u8]) -> Option<Value> {
    let field = |name: &str| -> Option<Value> {
        let rest = text.get(memmem::find(text, format!("\"{name}\"").as_bytes())?..)?;
        let rest = rest.get(name.len() + 2..)?.trim_ascii_start().strip_prefix(b":")?;
        let rest = rest.trim_ascii_start().strip_prefix(b"\"")?;
        let end = memchr::memchr(b'"', rest)?;
        Some(Value::String(String::from_utf8_lossy(rest.get(..end)?).into_owned()))
    };
    let mut error: Map<String, Value> = ["message", "code", "type", "status"]
        .into_iter()
        .filter_map(|name| Some((name.to_owned(), field(name)?)))
        .collect();
    let mut details = Vec::new();
    details.extend(field("reason").map(|reason| json!({ "reason": reason })));
    details.extend(field("quotaId").map(|id| json!({ "violations": [{ "quotaId": id }] })));
    details.extend(field("retryDelay").map(|delay| json!({ "retryDelay": delay })));
    if !details.is_empty() {
        error.insert("details".to_owned(), Value::Array(details));
    }
    (!error.is_empty()).then(|| json!({ "error": error }))
}

// === impl Fault ===

impl<'a> Fault<'a> {
    pub fn of(document: &'a Document<'_>) -> Self {
        match &document.json {
            Some(json) => Self::of_json(json),
            None => Self::new(&Value::Null, &Value::Null, document.text.trim()),
        }
    }

    pub fn of_json(json: &'a Value) -> Self {
        let root = unwrapped(json);
        let error = error_of(root);
        let mut fault = Self::new(root, error, "");
        let message = message_of(error).or_else(|| message_of(root)).unwrap_or_default();
        fault.set_message(&message);
        fault.collect_words();
        fault
    }

    fn new(root: &'a Value, error: &'a Value, message: &str) -> Self {
        let mut fault =
            Self { root, error, words: Vec::new(), message: String::new(), text: String::new() };
        fault.set_message(message);
        fault
    }

    fn set_message(&mut self, message: &str) {
        self.message = message.chars().take(MAX_MESSAGE).collect();
        self.text = self.message.to_lowercase();
    }

    fn collect_words(&mut self) {
        const NAMES: [&str; 8] = [
            "code",
            "type",
            "status",
            "reason",
            "error_code",
            "error_type",
            "err_code",
            "category",
        ];
        let (error, root) = (self.error, self.root);
        for name in NAMES {
            self.add(error.get(name));
        }
        // Anthropic's `"type":"error"` is the name of the envelope.
        for name in NAMES.into_iter().filter(|_| !std::ptr::eq(error, root)) {
            self.add(root.get(name).filter(|value| value.as_str() != Some("error")));
        }
        if let Some(name) = root.get("__type").and_then(Value::as_str) {
            self.add_aws_type(name);
        }
        self.add(error.get("innererror").and_then(|inner| inner.get("code")));
        for name in ["limit_source", "reason", "error_type"] {
            self.add(error.get("metadata").and_then(|metadata| metadata.get(name)));
        }
        match error.get("details") {
            Some(Value::Array(details)) => {
                for detail in details {
                    self.add(detail.get("reason"));
                }
            }
            Some(details) => self.add(details.get("error_code")),
            None => {}
        }
        for inner in error.get("errors").and_then(Value::as_array).into_iter().flatten() {
            self.add(inner.get("reason"));
        }
    }

    fn add(&mut self, value: Option<&'a Value>) {
        match value {
            Some(Value::String(word)) if !word.is_empty() => self.words.push(Cow::Borrowed(word)),
            Some(Value::Number(number)) => self.words.push(Cow::Owned(number.to_string())),
            _ => {}
        }
    }

    /// Adds Bedrock's name of the error, from `x-amzn-errortype` or `__type`. It may be written
    /// `com.amazon.coral.service#ThrottlingException` or `ThrottlingException:http://..`.
    pub fn add_aws_type(&mut self, name: &str) {
        let name = name.split(':').next().unwrap_or(name);
        let name = name.rsplit('#').next().unwrap_or(name).trim();
        self.words.push(Cow::Owned(name.to_owned()));
    }

    pub fn words(&self) -> impl Iterator<Item = &str> {
        self.words.iter().map(|word| &**word)
    }

    /// One of these is among the machine-readable words, as a whole and in any case.
    pub fn is(&self, any: &[&str]) -> bool {
        self.words().any(|word| any.iter().any(|wanted| word.eq_ignore_ascii_case(wanted)))
    }

    /// A machine-readable word begins so. For families of codes (Groq's `spend_..`).
    pub fn is_like(&self, any: &[&str]) -> bool {
        self.words().any(|word| any.iter().any(|wanted| word.starts_with(wanted)))
    }

    /// The message holds one of these, which must be in lowercase.
    pub fn says(&self, any: &[&str]) -> bool {
        any.iter().any(|wanted| self.text.contains(wanted))
    }

    /// The message begins with one of these, which must be in lowercase.
    pub fn begins(&self, any: &[&str]) -> bool {
        any.iter().any(|wanted| self.text.starts_with(wanted))
    }
}

/// The element of an array that holds an error, else the first; anything else as it is.
fn unwrapped(json: &Value) -> &Value {
    match json {
        Value::Array(elements) => elements
            .iter()
            .find(|element| element.get("error").is_some_and(|error| !error.is_null()))
            .or(elements.first())
            .unwrap_or(json),
        _ => json,
    }
}

fn error_of(root: &Value) -> &Value {
    fn object(value: &Value) -> Option<&Value> {
        match value {
            Value::Object(_) => Some(value),
            Value::Array(elements) => elements.first().filter(|element| element.is_object()),
            _ => None,
        }
    }
    let nested = root.get("response").and_then(|response| response.get("error"));
    [root.get("error"), nested, root.get("errors"), root.get("detail")]
        .into_iter()
        .flatten()
        .find_map(object)
        .unwrap_or(root)
}

/// The words for humans of an object, by the names that they have.
fn message_of(object: &Value) -> Option<String> {
    const NAMES: [&str; 9] = [
        "message",
        "Message",
        "error",
        "detail",
        "err_msg",
        "error_message",
        "msg",
        "description",
        "title",
    ];
    let words = |text: &str| Some(text.trim().to_owned()).filter(|text| !text.is_empty());
    if let Value::String(text) = object {
        return words(text);
    }
    NAMES.into_iter().filter_map(|name| object.get(name)).find_map(|value| match value {
        Value::String(text) => words(text),
        // Mistral's 422 has the list of violations here.
        Value::Object(_) => Some(value.to_string()),
        Value::Array(elements) => elements.iter().find_map(message_of),
        _ => None,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn message(body: &str) -> String {
        Fault::of(&Document::read(body.as_bytes())).message
    }

    #[test]
    fn every_shape_has_a_message() {
        for body in [
            r#"{"error":{"message":"m","code":1}}"#,
            r#"[{"error":{"message":"m"}}]"#,
            r#"[{"candidates":[]},{"error":{"message":"m"}}]"#,
            r#"{"message":"m","code":"x"}"#,
            r#"{"Message":"m"}"#,
            r#"{"code":"x","error":"m"}"#,
            r#"{"error":"m"}"#,
            r#"{"error":["m",{"message":"m"}],"message":"m"}"#,
            r#"{"detail":"m"}"#,
            r#"{"detail":{"message":"m","status":"x"}}"#,
            r#"{"detail":[{"loc":["body"],"msg":"m","type":"missing"}]}"#,
            r#"{"title":"t","detail":"m","status":401}"#,
            r#"{"result":null,"success":false,"errors":[{"code":1,"message":"m"}]}"#,
            r#"{"type":"response.failed","response":{"error":{"message":"m"}}}"#,
            r#"{"type":"error","error":{"type":"x","message":"m"}}"#,
            r#"{"err_code":"x","err_msg":"m"}"#,
            "\u{feff}{\"message\":\"m\"}",
            "  m \n",
        ] {
            assert_eq!(message(body), "m", "{body}");
        }
        assert_eq!(message(""), "");
        assert_eq!(message(r#"{"error":null,"id":"x"}"#), "");
        assert_eq!(message(r#"{"message":{"detail":[1]}}"#), r#"{"detail":[1]}"#);
    }

    #[test]
    fn words_from_every_place() {
        let body = r#"{"type":"error","status":"A","error":{"code":"B","type":"C","status":429,
            "innererror":{"code":"D"},"metadata":{"limit_source":"E"},
            "details":[{"x":1},{"reason":"F"}],"errors":[{"reason":"G"}]}}"#;
        let document = Document::read(body.as_bytes());
        let fault = Fault::of(&document);
        for word in ["a", "B", "C", "429", "D", "E", "F", "G"] {
            assert!(fault.is(&[word]), "{word}");
        }
        assert!(!fault.is(&["error"]));
        let body = r#"{"type":"error","error":{"details":{"error_code":"A"}}}"#;
        assert!(Fault::of(&Document::read(body.as_bytes())).is(&["A"]));
        for name in ["A", "com.amazon#A", "A:http://internal/", "com.amazon#A:http://x/#y"] {
            let json = json!({ "__type": name });
            assert!(Fault::of_json(&json).is(&["A"]), "{name}");
        }
    }

    #[test]
    fn a_cut_anywhere_leaves_what_came_before() {
        let whole = r#"{"error":{"code":400,"message":"caf\u00e9 [x] {y} \"z\"","status":"INVALID",
            "list":[1,2,[]],"details":[{"reason":"API_KEY_INVALID","ok":true}]}}"#;
        for end in 1..whole.len() {
            let head = whole.get(..end).unwrap();
            let cut = parse(head).unwrap_or_else(|| panic!("{head}"));
            let error = cut.get("error");
            if end > 21 {
                assert_eq!(error.unwrap()["code"], 400, "{end}");
            }
            if end > whole.find("ok").unwrap() {
                assert!(Fault::of_json(&cut).is(&["API_KEY_INVALID"]), "{end}");
            }
        }
    }

    #[test]
    fn broken_json_still_speaks() {
        let control = "{\"error\":{\"message\":\"a\nb\",\"code\":\"invalid_api_key\"}}";
        let fault = |text: &str| parse(text).map(|json| Fault::of_json(&json).message).unwrap();
        assert_eq!(fault(control), "a b");
        assert_eq!(fault(r#"{"message":"m"} trailing"#), "m");
        assert_eq!(fault(r#"{"x":"\x","message" : "m"}"#), "m");
        let broken = r#"{"x":"\x","reason":"API_KEY_INVALID","quotaId":"PerDay"}"#;
        let json = parse(broken).unwrap();
        assert!(Fault::of_json(&json).is(&["API_KEY_INVALID"]));
        let deep = format!("{}{}", "[".repeat(5_000), r#"{"message":"m"}"#);
        assert_eq!(fault(&deep), "m");
        assert!(parse("{nothing}").is_none());
    }

    #[test]
    fn html() {
        for (body, html) in
            [("<!DOCTYPE html><p>", true), ("\n <HTML>", true), ("{}", false), ("<é", false)]
        {
            assert_eq!(Document::read(body.as_bytes()).is_html(), html, "{body}");
        }
    }
}
