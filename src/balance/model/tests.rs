use super::super::affinity::{self, Mode};
use super::super::object::{self, Field, What};
use super::super::provider::find;
use super::*;
use proptest::prelude::*;
use serde_json::{Map, Value as Json};

fn located(slug: &str, method: &str, path: &str, query: Option<&str>) -> Located {
    locate(find(slug).unwrap(), method, path, query).unwrap()
}

#[test]
fn the_model_is_where_the_provider_looks() {
    let here = |model: &str| Located::Here(model.to_owned());
    for (slug, method, path, query, expected) in [
        // The path beats the body: a limited token cannot name another model in the body.
        (
            "google-ai-studio",
            "POST",
            "v1beta/models/gemini-2.5-pro:generateContent",
            None,
            here("gemini-2.5-pro"),
        ),
        (
            "google-ai-studio",
            "POST",
            "v1beta/models/gemini-2.5-pro%3AgenerateContent",
            None,
            here("gemini-2.5-pro"),
        ),
        (
            "google-ai-studio",
            "POST",
            "v1beta/mod%65ls/gemini-2.5-pro:x",
            None,
            here("gemini-2.5-pro"),
        ),
        ("google-ai-studio", "GET", "v1beta/models/gemini-2.5-pro", None, here("gemini-2.5-pro")),
        (
            "google-ai-studio",
            "POST",
            "v1beta/tunedModels/mine:generateContent",
            None,
            here("tunedModels/mine"),
        ),
        ("google-ai-studio", "GET", "v1beta/models", Some("model=x"), Located::Nowhere),
        ("google-ai-studio", "POST", "v1beta/models/", None, Located::InBody("model")),
        (
            "google-ai-studio",
            "POST",
            "v1beta/openai/chat/completions",
            None,
            Located::InBody("model"),
        ),
        (
            "google-ai-studio",
            "GET",
            "v1beta/openai/models/gemini-2.5-pro",
            None,
            here("gemini-2.5-pro"),
        ),
        ("google-ai-studio", "POST", "v1beta/interactions", None, Located::InBody("model")),
        ("openai", "POST", "chat/completions", Some("model=cheap"), Located::InBody("model")),
        ("openai", "POST", "audio/transcriptions", None, Located::InBody("model")),
        ("openai", "GET", "", Some("model=gpt-realtime"), here("gpt-realtime")),
        ("openai", "GET", "models", None, Located::Nowhere),
        ("openai", "GET", "models/gpt-5", None, here("gpt-5")),
        ("openai", "DELETE", "models/ft:gpt-4o:org::id", None, here("ft:gpt-4o:org::id")),
        ("openai", "GET", "files", None, Located::Nowhere),
        ("openai", "POST", "batches", None, Located::Nowhere),
        ("anthropic", "POST", "v1/messages", None, Located::InBody("model")),
        ("anthropic", "POST", "v1/messages/batches", None, Located::Nowhere),
        ("anthropic", "POST", "v1/messages/b%61tches", None, Located::Nowhere),
        ("anthropic", "POST", "v1/messages/count_tokens", None, Located::InBody("model")),
        (
            "azure-openai",
            "POST",
            "res/gpt4-deployment/chat/completions",
            None,
            here("gpt4-deployment"),
        ),
        (
            "google-vertex-ai",
            "POST",
            "v1/projects/p/locations/us-central1/publishers/anthropic/models/claude-3@2024:rawPredict",
            None,
            here("claude-3@2024"),
        ),
        (
            "google-vertex-ai",
            "POST",
            "v1/projects/p/locations/l/endpoints/openapi/chat/completions",
            None,
            Located::InBody("model"),
        ),
        (
            "google-vertex-ai",
            "POST",
            "v1/projects/p/locations/l/endpoints/123:rawPredict",
            None,
            Located::Nowhere,
        ),
        (
            "aws-bedrock",
            "POST",
            "bedrock-runtime/us-east-1/model/arn%3Aaws%3Abedrock%3A1%3Ap%2Fus.anthropic.claude/converse",
            None,
            here("arn:aws:bedrock:1:p/us.anthropic.claude"),
        ),
        (
            "aws-bedrock",
            "POST",
            "bedrock-runtime/us-east-1/model/anthropic.claude-v2:1/invoke",
            None,
            here("anthropic.claude-v2:1"),
        ),
        (
            "aws-bedrock",
            "POST",
            "bedrock-mantle/us-east-1/anthropic/v1/messages",
            None,
            Located::InBody("model"),
        ),
        (
            "workers-ai",
            "POST",
            "@cf/meta/llama-3.1-8b-instruct",
            None,
            here("@cf/meta/llama-3.1-8b-instruct"),
        ),
        (
            "workers-ai",
            "POST",
            "%40cf/meta/llama-3.1-8b-instruct",
            None,
            here("@cf/meta/llama-3.1-8b-instruct"),
        ),
        ("workers-ai", "POST", "v1/chat/completions", None, Located::InBody("model")),
        ("huggingface", "POST", "org/model", None, here("org/model")),
        ("replicate", "POST", "models/owner/name/predictions", None, here("owner/name")),
        (
            "replicate",
            "POST",
            "deployments/owner/name/predictions",
            None,
            here("deployments/owner/name"),
        ),
        ("replicate", "POST", "predictions", None, Located::InBody("version")),
        ("replicate", "GET", "predictions/abc", None, Located::Nowhere),
        ("fal", "POST", "fal-ai/flux/dev", None, here("fal-ai/flux/dev")),
        ("fal", "GET", "fal-ai/flux/requests/7/status", None, here("fal-ai/flux")),
        ("elevenlabs", "POST", "v1/text-to-speech/voice", None, Located::InBody("model_id")),
        ("elevenlabs", "GET", "v1/voices", None, Located::Nowhere),
        ("cartesia", "POST", "tts/bytes", None, Located::InBody("model_id")),
        ("deepgram", "POST", "v1/listen", Some("smart_format=true&model=nova-3"), here("nova-3")),
        ("deepgram", "POST", "v1/listen", None, Located::Nowhere),
        ("ideogram", "POST", "v1/ideogram-v3/generate", None, here("ideogram-v3")),
        ("baseten", "POST", "model/abc/production/predict", None, here("abc")),
        ("compat", "POST", "chat/completions", None, Located::InBody("model")),
        ("custom-mine", "POST", "v1/models/m:generateContent", None, here("m")),
        ("custom-mine", "POST", "v1/chat/completions", None, Located::InBody("model")),
    ] {
        let found = located(slug, method, path, query);
        assert_eq!(found, expected, "{slug} {method} {path} {query:?}");
    }
}

#[test]
fn names_that_are_none() {
    let deepgram = find("deepgram").unwrap();
    let locate = |query: &str| locate(deepgram, "GET", "v1/listen", Some(query));
    assert_eq!(locate("model=a&model=b"), Err(ModelError::Duplicate));
    assert_eq!(locate("model=a&model=a"), Ok(Located::Here("a".into())));
    assert_eq!(locate("model=a&m%6fdel=b"), Err(ModelError::Duplicate));
    assert_eq!(locate("model=a%0ab"), Err(ModelError::BadName));
    assert_eq!(locate(&format!("model={}", "a".repeat(257))), Err(ModelError::TooLong));
    assert_eq!(clean("models/gemini"), Ok("gemini".into()));
    assert_eq!(clean(" gemini "), Ok("gemini".into()));
    assert_eq!(clean("tunedModels/x"), Ok("tunedModels/x".into()));
    assert_eq!(clean("models/"), Err(ModelError::BadName));
    assert_eq!(clean(""), Err(ModelError::BadName));
    assert_eq!(clean(&"a".repeat(256)).map(|name| name.len()), Ok(256));
}

#[test]
fn compat_models_keep_their_slashes() {
    for (model, expected) in [
        ("openai/gpt-5-mini", Some(("openai", "gpt-5-mini"))),
        ("openrouter/deepseek/deepseek-r1:free", Some(("openrouter", "deepseek/deepseek-r1:free"))),
        ("perplexity/sonar", Some(("perplexity-ai", "sonar"))),
        ("grok/grok-4", Some(("grok", "grok-4"))),
        ("workers-ai/@cf/meta/llama", Some(("workers-ai", "@cf/meta/llama"))),
        (
            "google-vertex-ai/google/gemini-2.5-pro",
            Some(("google-vertex-ai", "google/gemini-2.5-pro")),
        ),
        ("custom-mine/m", Some(("custom-mine", "m"))),
        ("dynamic/route", Some(("dynamic", "route"))),
        ("google/gemini-2.5-pro", None),
        ("compat/openai/gpt", None),
        ("@cf/meta/llama", None),
        ("gpt-5", None),
        ("openai/", None),
        ("/gpt", None),
    ] {
        assert_eq!(split_compat(model), expected, "{model}");
    }
}

// === JSON ===

#[test]
fn json_bodies() {
    let found = |model: &str| Ok(Some(model.to_owned()));
    let big = format!(r#"{{"x":"{}","model":"m"}}"#, r#"a\"b\\"#.repeat(100_000));
    for (body, fast, thorough) in [
        (r#"{"model":"m"}"#, found("m"), found("m")),
        ("\u{feff} \r\n\t{ \"model\" \n:\t\"m\" } ", found("m"), found("m")),
        (r#"{"messages":[{"model":"no"}],"model":"m"}"#, found("m"), found("m")),
        (r#"{"a":"\"model\":\"no\"","model":"m"}"#, found("m"), found("m")),
        (r#"{"a":"\\","model":"m"}"#, found("m"), found("m")),
        (r#"{"a":["model","no"],"b":{"model":"no"},"model":"m"}"#, found("m"), found("m")),
        (r#"{"a":"model","model":"m"}"#, found("m"), found("m")),
        (r#"{"a":1.5e3,"b":true,"c":null,"model":"m","d":-0}"#, found("m"), found("m")),
        (r#"{"\u006do\u0064el":"\u006d\u002f\ud83d\ude00\n"}"#, found("m/😀"), found("m/😀")),
        (r#"{"model":"models/gemini"}"#, found("gemini"), found("gemini")),
        (big.as_str(), found("m"), found("m")),
        // None.
        (r#"{}"#, Ok(None), Ok(None)),
        (r#"{"model_id":"m","Models":"m","mode":"l","modell":"m"}"#, Ok(None), Ok(None)),
        (r#"{"model":null}"#, Ok(None), Ok(None)),
        (r#"{"model":5}"#, Ok(None), Ok(None)),
        (r#"{"model":["m"]}"#, Ok(None), Ok(None)),
        (r#"{"model":{"model":"no"}}"#, Ok(None), Ok(None)),
        ("", Ok(None), Ok(None)),
        ("null", Ok(None), Ok(None)),
        (r#"["model","m"]"#, Ok(None), Ok(None)),
        (r#""model""#, Ok(None), Ok(None)),
        ("\u{0}\u{1}binary", Ok(None), Ok(None)),
        // Twice.
        (r#"{"model":"m","model":"m"}"#, found("m"), found("m")),
        (r#"{"model":"m","model":"n"}"#, found("m"), Err(ModelError::Duplicate)),
        (r#"{"model":"m","a":{},"\u006dodel":"n"}"#, found("m"), Err(ModelError::Duplicate)),
        (r#"{"model":"m","Model":"n"}"#, found("m"), Err(ModelError::Duplicate)),
        (r#"{"model":"m","MOD\u0045L":"n"}"#, found("m"), Err(ModelError::Duplicate)),
        (r#"{"model":"m","model":null}"#, found("m"), Err(ModelError::Duplicate)),
        (r#"{"model":{"a":[1]},"model":"m"}"#, Ok(None), Err(ModelError::Duplicate)),
        (r#"{"Model":"m"}"#, Ok(None), found("m")),
        // Broken.
        (r#"{"model":"m""#, found("m"), Err(ModelError::BadBody)),
        (r#"{"model":"m"#, Ok(None), Err(ModelError::BadBody)),
        (r#"{"model":"m","a":"\"#, found("m"), Err(ModelError::BadBody)),
        (r#"{"#, Ok(None), Err(ModelError::BadBody)),
        (r#"{"model":"m",/*"*/"model":"n"}"#, found("m"), Err(ModelError::BadBody)),
        (r#"{'a':'","model":"x",','model':'n'}"#, Ok(None), Err(ModelError::BadBody)),
        (r#"{"model":"\ud83d"}"#, Err(ModelError::BadName), Err(ModelError::BadName)),
        (r#"{"model":"a\u0000b"}"#, Err(ModelError::BadName), Err(ModelError::BadName)),
        (r#"{"model":""}"#, Ok(None), Ok(None)),
        ("{\"model\":\"a\nb\"}", Err(ModelError::BadName), Err(ModelError::BadName)),
    ] {
        let start: String = body.chars().take(60).collect();
        assert_eq!(in_json(body.as_bytes(), "model", false), fast, "{start}");
        assert_eq!(in_json(body.as_bytes(), "model", true), thorough, "{start}");
    }
    assert_eq!(in_json(b"{\"model\":\"\xff\"}", "model", false), Err(ModelError::BadName));
    assert_eq!(in_json(br#"{"model_id":"m"}"#, "model_id", true), Ok(Some("m".into())));
}

#[test]
fn long_names() {
    let body = |len: usize| format!(r#"{{"model":"{}"}}"#, "a".repeat(len));
    assert!(in_json(body(MAX_MODEL_LEN).as_bytes(), "model", false).is_ok());
    for len in [MAX_MODEL_LEN + 1, MAX_RAW, MAX_RAW + 1, 1_000_000] {
        let found = in_json(body(len).as_bytes(), "model", false);
        assert_eq!(found, Err(ModelError::TooLong), "{len}");
    }
    let escaped = format!(r#"{{"model":"{}"}}"#, r"\u0061".repeat(MAX_MODEL_LEN));
    assert_eq!(in_json(escaped.as_bytes(), "model", true), Ok(Some("a".repeat(MAX_MODEL_LEN))));
    let long_key = format!(r#"{{"{}":"x","model":"m"}}"#, "model".repeat(1000));
    assert_eq!(in_json(long_key.as_bytes(), "model", true), Ok(Some("m".into())));
}

#[test]
fn a_scan_stops_where_it_may() {
    let mut scan = Scanner::new(Some("application/json"), "model", false);
    assert_eq!(scan.feed(b"{\"stream\":true,\"mod"), Status::NeedMore);
    assert_eq!(scan.feed(b"el\":\"m\",\"messages\":["), Status::Done);
    assert_eq!(scan.feed(b"\"model\":\"n\""), Status::Done);
    assert_eq!(scan.finish(), Ok(Some("m".into())));

    let mut scan = Scanner::new(None, "model", true);
    assert_eq!(scan.feed(b"{\"model\":\"m\","), Status::NeedMore);
    assert_eq!(scan.feed(b"\"a\":{}} trailing"), Status::Done);
    assert_eq!(scan.finish(), Ok(Some("m".into())));

    let mut scan = Scanner::new(Some("audio/wav"), "model", true);
    assert_eq!(scan.feed(b"RIFF"), Status::Done);
    assert_eq!(scan.finish(), Ok(None));
}

#[test]
fn further_models() {
    let models = |body: &str| extra_models(body.as_bytes());
    assert_eq!(models(r#"{"model":"a"}"#), Ok(vec![]));
    assert_eq!(models(r#"{"models":null}"#), Ok(vec![]));
    assert_eq!(models(r#"{"a":[{}],"models":["b","c/d"]}"#), Ok(vec!["b".into(), "c/d".into()]));
    for bad in [r#"{"models":["b"],"models":["c"]}"#, r#"{"models":"b"}"#, r#"{"models":[1]}"#, "{"]
    {
        assert_eq!(models(bad), Err(ModelError::BadBody), "{bad}");
    }
}

// === multipart ===

/// A form as SDKs write it.
fn form(parts: &[(&str, &str)]) -> String {
    let mut out = String::new();
    for (disposition, value) in parts {
        out += &format!("--b0\r\nContent-Disposition: form-data; {disposition}\r\n");
        if disposition.contains("filename") {
            out += "Content-Type: audio/wav\r\n";
        }
        out += &format!("\r\n{value}\r\n");
    }
    out + "--b0--\r\n"
}

#[test]
fn forms() {
    let file = ("name=\"file\"; filename=\"a;name=model.wav\"", "\r\n--b\r\nmodel\r\n\r\n--\n");
    let model = ("name=\"model\"", "whisper-1");
    let found = |model: &str| Ok(Some(model.to_owned()));
    for (parts, fast, thorough) in [
        (vec![model], found("whisper-1"), found("whisper-1")),
        (vec![file, model], found("whisper-1"), found("whisper-1")),
        (vec![model, file], found("whisper-1"), found("whisper-1")),
        (vec![("name=model", "m")], found("m"), found("m")),
        (vec![("NAME=\"model\"", "m")], found("m"), found("m")),
        (vec![file], Ok(None), Ok(None)),
        (vec![("name=\"Model\"", "m"), ("name=\"models\"", "m")], Ok(None), Ok(None)),
        (vec![("filename=\"model\"", "m")], Ok(None), Ok(None)),
        (vec![model, model], found("whisper-1"), found("whisper-1")),
        (
            vec![model, file, ("name=\"model\"", "n")],
            found("whisper-1"),
            Err(ModelError::Duplicate),
        ),
        (vec![("name*=utf-8''model", "n"), model], found("whisper-1"), Err(ModelError::BadBody)),
        (
            vec![("name=\"x\"; name=\"model\"", "n"), model],
            found("whisper-1"),
            Err(ModelError::BadBody),
        ),
        (vec![("name=\"model\"", "")], Ok(None), Ok(None)),
    ] {
        let body = form(&parts);
        assert_eq!(in_multipart(body.as_bytes(), "b0", "model", false), fast, "{parts:?}");
        assert_eq!(in_multipart(body.as_bytes(), "b0", "model", true), thorough, "{parts:?}");
    }
    let long = form(&[("name=\"model\"", &"a".repeat(10_000))]);
    assert_eq!(in_multipart(long.as_bytes(), "b0", "model", false), Err(ModelError::TooLong));
    let plain = form(&[file, model]).replace("\r\n", "\n");
    assert_eq!(in_multipart(plain.as_bytes(), "b0", "model", true), found("whisper-1"));
}

#[test]
fn forms_that_are_none() {
    for body in [
        "",
        "{\"model\":\"expensive\"}\r\n--b0\r\nContent-Disposition: form-data; name=\"model\"\r\n\r\ncheap\r\n--b0--",
        "--b0",
        "--b0\r\nContent-Disposition: form-data; name=\"model\"\r\n\r\ncheap",
        "--b0\r\n\r\n",
        "--b0x\r\nContent-Disposition: form-data; name=\"model\"\r\n\r\ncheap\r\n--b0--",
    ] {
        assert!(in_multipart(body.as_bytes(), "b0", "model", false).is_ok(), "{body}");
        let thorough = in_multipart(body.as_bytes(), "b0", "model", true);
        assert_eq!(thorough, Err(ModelError::BadBody), "{body}");
    }
    let endless = format!("--b0\r\nA: {}", "a".repeat(100_000));
    assert_eq!(in_multipart(endless.as_bytes(), "b0", "model", true), Err(ModelError::BadBody));
    assert_eq!(in_multipart(endless.as_bytes(), "b0", "model", false), Ok(None));

    let without = |thorough| Scanner::new(Some("multipart/form-data"), "model", thorough).finish();
    assert_eq!((without(false), without(true)), (Ok(None), Err(ModelError::BadBody)));
}

#[test]
fn boundaries() {
    for (content_type, expected) in [
        ("multipart/form-data; boundary=abc", Some("abc")),
        ("Multipart/Form-Data;charset=utf-8; Boundary=\"a b\"", Some("a b")),
        ("multipart/form-data; boundary=", None),
        ("multipart/form-data", None),
        ("multipart/mixed; boundary=abc", None),
        ("application/json; boundary=abc", None),
        ("", None),
    ] {
        assert_eq!(boundary(content_type), expected, "{content_type}");
    }
}

// === against a real parser ===

fn name() -> impl Strategy<Value = String> {
    prop_oneof![
        4 => Just("model".to_owned()),
        1 => Just("Model".to_owned()),
        1 => Just("model_id".to_owned()),
        2 => "[a-z\"\\\\{}\\[\\]:,é\u{1}]{0,6}",
    ]
}

fn text() -> impl Strategy<Value = String> {
    prop_oneof![
        Just("\",\"model\":\"no\",\"".to_owned()),
        Just("model".to_owned()),
        "[a-zA-Z0-9/:.\\\\\"{}\\[\\],é😀-]{1,12}",
    ]
}

fn json() -> impl Strategy<Value = Json> {
    let leaf = prop_oneof![
        Just(Json::Null),
        any::<bool>().prop_map(Json::from),
        any::<i32>().prop_map(Json::from),
        any::<f64>().prop_map(Json::from),
        text().prop_map(Json::from),
    ];
    leaf.prop_recursive(3, 16, 4, |inner| {
        prop_oneof![
            proptest::collection::vec(inner.clone(), 0..4).prop_map(Json::from),
            proptest::collection::vec((name(), inner), 0..4)
                .prop_map(|members| Json::Object(members.into_iter().collect())),
        ]
    })
}

/// A JSON string in one of its many spellings.
fn write_text(text: &str, spelling: u64, out: &mut String) {
    out.push('"');
    for (index, c) in text.chars().enumerate() {
        if (spelling >> (index % 64)) & 1 == 1 {
            for unit in c.encode_utf16(&mut [0; 2]) {
                out.push_str(&format!("\\u{unit:04x}"));
            }
        } else {
            let quoted = serde_json::to_string(&c.to_string()).unwrap();
            out.push_str(quoted.strip_prefix('"').unwrap().strip_suffix('"').unwrap());
        }
    }
    out.push('"');
}

/// An object with its members in this order, names as often as they come.
fn write_object(members: &[(String, Json)], spelling: u64) -> String {
    let space = ["", " ", "\n\t", "\r\n"][usize::try_from(spelling % 4).unwrap()];
    let mut out = format!("{space}{{{space}");
    for (index, (name, value)) in members.iter().enumerate() {
        if index > 0 {
            out += &format!("{space},{space}");
        }
        write_text(name, spelling.rotate_left(u32::try_from(index).unwrap() * 7), &mut out);
        out += &format!("{space}:{space}");
        match value {
            Json::String(text) => write_text(text, spelling.rotate_right(9), &mut out),
            other => out += &other.to_string(),
        }
    }
    out + &format!("{space}}}{space}")
}

/// What the fast scan promises: the first.
fn first(members: &[(String, Json)]) -> Result<Option<String>, ModelError> {
    match members.iter().find(|(name, _)| name == "model") {
        Some((_, Json::String(text))) => clean(text).map(Some),
        _ => Ok(None),
    }
}

fn scan(body: &[u8], chunk: usize, thorough: bool) -> Result<Option<String>, ModelError> {
    let mut scanner = Scanner::new(Some("application/json"), "model", thorough);
    for piece in body.chunks(chunk) {
        scanner.feed(piece);
    }
    scanner.finish()
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(1_000))]

    #[test]
    fn agrees_with_a_parser(
        members in proptest::collection::vec((name(), json()), 0..6),
        spelling in any::<u64>(),
        chunk in 1usize..20,
    ) {
        let body = write_object(&members, spelling);
        let parsed: Map<String, Json> = serde_json::from_str(&body).unwrap();
        prop_assert_eq!(scan(body.as_bytes(), chunk, false), first(&members), "{}", body);
        match scan(body.as_bytes(), chunk, true) {
            // The one that every parser takes.
            Ok(Some(model)) => {
                let last = parsed.get("model").or_else(|| parsed.get("Model"));
                prop_assert_eq!(last.and_then(Json::as_str).map(clean), Some(Ok(model)));
            }
            Ok(None) => prop_assert!(!matches!(parsed.get("model"), Some(Json::String(_)))),
            Err(ModelError::Duplicate) => {
                let same = |(name, _): &&(String, Json)| name.eq_ignore_ascii_case("model");
                prop_assert!(members.iter().filter(same).count() > 1, "{}", body);
            }
            Err(error) => prop_assert!(error != ModelError::BadBody, "{}", body),
        }
    }

    /// However it is damaged, a limited token gets only past the check with what a parser sees.
    #[test]
    fn damaged_bodies(
        members in proptest::collection::vec((name(), json()), 0..5),
        spelling in any::<u64>(),
        damage in proptest::collection::vec((any::<usize>(), any::<u8>()), 0..4),
        chunk in 1usize..20,
    ) {
        let mut body = write_object(&members, spelling).into_bytes();
        for (at, byte) in damage {
            let at = at % body.len();
            body[at] = byte;
        }
        let fast = scan(&body, chunk, false);
        prop_assert_eq!(&fast, &in_json(&body, "model", false));
        let thorough = scan(&body, chunk, true);
        prop_assert_eq!(&thorough, &in_json(&body, "model", true));
        if let (Ok(model), Ok(parsed)) = (thorough, serde_json::from_slice::<Map<String, Json>>(&body)) {
            let seen = parsed.get("model").and_then(Json::as_str).map(clean);
            if let Some(seen) = seen {
                prop_assert_eq!(seen.ok(), model);
            }
        }
    }

    #[test]
    fn forms_in_chunks(
        parts in proptest::collection::vec(("(model|file|x)", "[a-z\\r\\n-]{1,20}"), 0..4),
        chunk in 1usize..30,
        thorough in any::<bool>(),
    ) {
        let parts: Vec<(String, String)> =
            parts.into_iter().map(|(name, value)| (format!("name=\"{name}\""), value)).collect();
        let refs: Vec<(&str, &str)> =
            parts.iter().map(|(name, value)| (name.as_str(), value.as_str())).collect();
        let body = form(&refs);
        let mut scanner =
            Scanner::new(Some("multipart/form-data; boundary=b0"), "model", thorough);
        for piece in body.as_bytes().chunks(chunk) {
            scanner.feed(piece);
        }
        let found = scanner.finish();
        prop_assert_eq!(&found, &in_multipart(body.as_bytes(), "b0", "model", thorough));
        let meant: Vec<&str> =
            refs.iter().filter(|(name, _)| name.contains("model")).map(|(_, value)| *value).collect();
        match meant.first() {
            None => prop_assert_eq!(found, Ok(None)),
            Some(value) if !thorough || meant.iter().all(|other| other == value) => {
                // A boundary takes the carriage return in front of its line end with it.
                prop_assert_eq!(found, clean(value).map(Some), "{}", body);
            }
            Some(_) => prop_assert_eq!(found, Err(ModelError::Duplicate)),
        }
    }

    #[test]
    fn never_panics(
        body in proptest::collection::vec(any::<u8>(), 0..200),
        content_type in ".{0,40}",
        path in ".{0,40}",
        row in 0..provider::all().len(),
    ) {
        let mut scanner = Scanner::new(Some(&content_type), "model", true);
        scanner.feed(&body);
        let _ = scanner.finish();
        let _ = in_multipart(&body, "", "model", true);
        let _ = boundary(&content_type);
        let _ = extra_models(&body);
        let _ = split_compat(&path);
        let _ = locate(&provider::all()[row], "POST", &path, Some(&content_type));
    }
}

#[test]
fn a_field_of_a_form_that_is_too_long_is_so_however_it_is_cut() {
    let head = b"--x\r\nContent-Disposition: form-data; name=\"model\"\r\n\r\n".as_slice();
    for fill in [b'a', 0xff] {
        let body = [head, &vec![fill; 1_800], b"\r\n--x--\r\n"].concat();
        let found = |cuts: &[&[u8]]| {
            let mut scanner = Scanner::new(Some("multipart/form-data; boundary=x"), "model", true);
            for piece in cuts {
                scanner.feed(piece);
            }
            scanner.finish()
        };
        for cut in [1, head.len(), 900, 1_700, body.len() - 1] {
            let (first, second) = body.split_at(cut);
            assert_eq!(found(&[first, second]), found(&[&body]), "cut at {cut}");
        }
        assert_eq!(found(&[&body]), Err(ModelError::TooLong));
    }
}

/// The body with another model in it, as the glue makes it.
fn with_model(body: &[u8], place: &Place, model: &str) -> Vec<u8> {
    let text = place.write(model);
    let mut out = Vec::new();
    let mut at = 0;
    for span in &place.spans {
        out.extend_from_slice(&body[at..span.start]);
        out.extend_from_slice(&text);
        at = span.end;
    }
    out.extend_from_slice(&body[at..]);
    out
}

#[test]
fn another_model_can_be_written_where_one_was_found() {
    let form = "multipart/form-data; boundary=XX";
    for (content_type, body, expected) in [
        ("application/json", r#"{"model":"a/b","x":1}"#, r#"{"model":"new","x":1}"#),
        ("application/json", "\u{feff}{ \"model\" : \"a/b\" }", "\u{feff}{ \"model\" : \"new\" }"),
        (
            "application/json",
            r#"{"messages":[{"model":"no"}],"mod\u0065l":"a\/b\u0063"}"#,
            r#"{"messages":[{"model":"no"}],"mod\u0065l":"new"}"#,
        ),
        (
            form,
            "--XX\r\nContent-Disposition: form-data; name=\"file\"\r\n\r\n\0\r\n--X\r\n--XX\r\nContent-Disposition: form-data; name=model\r\n\r\na/b\r\n--XX--\r\n",
            "--XX\r\nContent-Disposition: form-data; name=\"file\"\r\n\r\n\0\r\n--X\r\n--XX\r\nContent-Disposition: form-data; name=model\r\n\r\nnew\r\n--XX--\r\n",
        ),
        (
            form,
            "--XX\nContent-Disposition: form-data; name=model\n\na\n--XX--",
            "--XX\nContent-Disposition: form-data; name=model\n\nnew\n--XX--",
        ),
    ] {
        for size in [1, 2, 3, 7, 1000] {
            for thorough in [false, true] {
                let mut scanner = Scanner::new(Some(content_type), "model", thorough);
                for chunk in body.as_bytes().chunks(size) {
                    if scanner.feed(chunk) == Status::Done {
                        break;
                    }
                }
                let (model, place) = scanner.finish_with_place().unwrap();
                assert!(model.unwrap().starts_with('a'));
                let made = with_model(body.as_bytes(), &place, "new");
                assert_eq!(String::from_utf8_lossy(&made), expected, "{size}");
            }
        }
    }
    let mut scanner = Scanner::new(None, "model", true);
    let twice = br#"{"model":"a/b","model":"a/b"}"#;
    scanner.feed(twice);
    let (_, place) = scanner.finish_with_place().unwrap();
    assert_eq!(with_model(twice, &place, "n\"ew"), br#"{"model":"n\"ew","model":"n\"ew"}"#);
}

proptest! {
    #[test]
    fn writing_the_same_model_changes_nothing_that_matters(
        front in "[a-z\"]{0,5}", name in "[a-z/éß😀 \"\\\\]{1,12}", size in 1usize..40,
    ) {
        let name = format!("m{name}");
        let body = serde_json::json!({ "a": front, "model": name, "z": [1, "x"] }).to_string();
        let mut scanner = Scanner::new(None, "model", true);
        for chunk in body.as_bytes().chunks(size) {
            if scanner.feed(chunk) == Status::Done { break; }
        }
        let (_, place) = scanner.finish_with_place().unwrap();
        prop_assert_eq!(with_model(body.as_bytes(), &place, &name), body.as_bytes());
    }
}

// === what is watched, against a walk through the parsed body ===

/// Finds in a parsed body what a scan should.
struct Walk {
    fields: Vec<Field>,
    inside: Option<(usize, usize)>,
    texts: Vec<(usize, String)>,
    store: Option<bool>,
    told: Option<(u8, u64)>,
}

impl Walk {
    fn of(body: &Json, fields: Vec<Field>) -> Self {
        let mut walk = Walk { fields, inside: None, texts: Vec::new(), store: None, told: None };
        walk.value(body, 0, None);
        walk
    }

    fn field_of(&self, name: &str, depth: usize) -> Option<usize> {
        let around = self.inside.filter(|(_, at)| *at == depth).map(|(field, _)| field);
        around.filter(|at| self.fields[*at].member == Some(name)).or_else(|| {
            self.fields.iter().position(|field| field.name == name && (depth == 1 || !field.top))
        })
    }

    /// A value that many brackets are around.
    fn value(&mut self, value: &Json, depth: usize, field: Option<usize>) {
        let depth = match value {
            Json::Array(_) | Json::Object(_) => depth + 1,
            _ => depth,
        };
        match (value, field) {
            (Json::String(text), Some(field)) => self.text(text, field),
            (Json::Bool(store), Some(field)) if self.fields[field].what == What::Store => {
                self.store = Some(*store);
            }
            (Json::Array(_) | Json::Object(_), Some(field)) => self.inside = Some((field, depth)),
            _ => {}
        }
        if let Json::Array(items) = value {
            for item in items {
                let listed = self.inside.filter(|(_, at)| *at == depth && item.is_string());
                self.value(item, depth, listed.map(|(field, _)| field));
            }
        }
        if let Json::Object(members) = value {
            for (name, value) in members {
                self.value(value, depth, self.field_of(name, depth));
            }
        }
        if value.is_array() || value.is_object() {
            self.inside = self.inside.filter(|(_, at)| *at != depth);
        }
    }

    fn text(&mut self, text: &str, field: usize) {
        match self.fields[field].what {
            What::Name => self.texts.push((field, text.to_owned())),
            What::Session(rank) if !text.is_empty() => {
                let raw = Json::from(text).to_string();
                let told = (rank, affinity::hash(&raw.as_bytes()[1..raw.len() - 1]));
                self.told = self.told.filter(|(known, _)| *known <= rank).or(Some(told));
            }
            _ => {}
        }
    }
}

fn watched_name() -> impl Strategy<Value = String> {
    const KNOWN: &[&str] = &[
        "file_id",
        "file_ids",
        "container",
        "id",
        "conversation",
        "fileUri",
        "skill_id",
        "role",
        "previous_response_id",
        "store",
        "user",
        "user_id",
        "metadata",
        "prompt_cache_key",
        "model",
    ];
    prop_oneof![
        4 => proptest::sample::select(KNOWN).prop_map(str::to_owned),
        1 => text(),
    ]
}

/// JSON that is large enough for blocks.
fn large_json() -> impl Strategy<Value = Json> {
    let leaf = prop_oneof![
        1 => Just(Json::Null),
        1 => any::<bool>().prop_map(Json::from),
        1 => any::<f32>().prop_map(Json::from),
        3 => text().prop_map(Json::from),
        1 => "[a-z\\\\\"{},:\n]{0,150}".prop_map(Json::from),
        1 => Just(Json::from("\",\"file_id\":\"no")),
        1 => Just(Json::from("file_id")),
        1 => Just((0..60).collect()),
    ];
    leaf.prop_recursive(5, 100, 6, |inner| {
        prop_oneof![
            proptest::collection::vec(inner.clone(), 0..6).prop_map(Json::from),
            proptest::collection::vec((watched_name(), inner), 0..6)
                .prop_map(|members| Json::Object(members.into_iter().collect())),
        ]
    })
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(2_000))]

    #[test]
    fn what_is_watched_is_what_a_walk_finds(
        members in proptest::collection::vec((watched_name(), large_json()), 1..6),
        cuts in proptest::collection::vec(1usize..400, 0..20),
        slug in proptest::sample::select(&["openai", "anthropic", "google-ai-studio", "fal"][..]),
        pretty in any::<bool>(),
        thorough in any::<bool>(),
    ) {
        let body = Json::Object(members.into_iter().collect());
        let text = if pretty { format!("{body:#}") } else { body.to_string() };
        let kinds = object::of(slug);
        let fields = [kinds.fields(), Mode::Explicit.fields()].concat();
        let expected = Walk::of(&body, fields);
        let scan = || {
            Scanner::new(None, "model", thorough).watch(kinds.fields()).sessions(Mode::Explicit)
        };
        let mut pieces = scan();
        let mut rest = text.as_bytes();
        for cut in cuts {
            let (piece, more) = rest.split_at(cut.min(rest.len()));
            pieces.feed(piece);
            rest = more;
        }
        pieces.feed(rest);
        let mut whole = scan();
        whole.feed(text.as_bytes());
        let model = first(&[("model".to_owned(), body["model"].clone())]);
        for mut scan in [pieces, whole] {
            let found = scan.watched();
            prop_assert_eq!(&found.texts, &expected.texts, "{}", text);
            prop_assert_eq!(found.store, expected.store, "{}", text);
            prop_assert_eq!(found.session(), expected.told.map(|(_, hash)| hash), "{}", text);
            prop_assert_eq!(scan.finish(), model.clone(), "{}", text);
        }
    }
}
