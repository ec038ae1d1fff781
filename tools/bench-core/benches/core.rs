//! The core alone, natively: what a request asks of it. `cargo bench --manifest-path
//! tools/bench-core/Cargo.toml`.

use divan::counter::BytesCount;
use divan::{Bencher, black_box};
use one_balance::balance::affinity::Mode;
use one_balance::balance::classify::{self, Answer};
use one_balance::balance::key::{Key, KeyId, Secret};
use one_balance::balance::model::Scanner;
use one_balance::balance::object;
use one_balance::balance::pick::{Pick, pick};
use one_balance::balance::route;
use one_balance::balance::snapshot::Snapshot;
use one_balance::balance::token;

const NOW: u64 = 1_790_000_000_000;

fn main() {
    divan::main();
}

fn key(id: u64) -> Key {
    Key::new(KeyId(id), Secret::new(format!("sk-{id:020}")))
}

/// A key is picked, used and given back.
#[divan::bench(args = [10, 100, 500, 1000])]
fn pick_of(bencher: Bencher, keys: u64) {
    const MODEL: &str = "gpt-5-mini";
    let mut snapshot = Snapshot::new(1);
    for id in 0..keys {
        snapshot.merge(key(id), NOW);
    }
    bencher.bench_local(|| {
        let picked = pick(&mut snapshot, &[], black_box(MODEL), NOW);
        if let Pick::Key { id, .. } = picked
            && let Some(started) = snapshot.started(id, MODEL, NOW)
        {
            snapshot.ended(id, started);
        }
        picked
    });
}

/// What a 429 of Gemini's free tier says.
#[divan::bench]
fn classify_a_429(bencher: Bencher) {
    let body = br#"{"error":{"code":429,"message":"You exceeded your current quota, please check your plan and billing details. For more information on this error, head to: https://ai.google.dev/gemini-api/docs/rate-limits.","status":"RESOURCE_EXHAUSTED","details":[{"@type":"type.googleapis.com/google.rpc.QuotaFailure","violations":[{"quotaMetric":"generativelanguage.googleapis.com/generate_content_free_tier_requests","quotaId":"GenerateRequestsPerMinutePerProjectPerModel-FreeTier","quotaDimensions":{"location":"global","model":"gemini-2.5-flash"},"quotaValue":"10"}]},{"@type":"type.googleapis.com/google.rpc.RetryInfo","retryDelay":"34.074824224s"}]}}"#;
    let headers = |_: &str| None;
    bencher.bench_local(|| {
        classify::classify(&Answer {
            provider: "google-ai-studio",
            model: "gemini-2.5-flash",
            status: 429,
            headers: &headers,
            body: black_box(body),
            now: NOW,
        })
    });
}

#[divan::bench]
fn route_of_a_chat(bencher: Bencher) {
    bencher.bench_local(|| route::route("POST", black_box("/api/openai/v1/chat/completions")));
}

#[divan::bench(args = [1, 10, 100])]
fn token_check(bencher: Bencher, tokens: usize) {
    let text: Vec<_> = (0..tokens).map(|n| format!("token-of-somebody-{n:010}")).collect();
    let known = token::parse(&text.join(";"));
    let last = text.last().cloned().unwrap_or_default();
    bencher.bench_local(|| known.check_any([black_box(last.as_str())], NOW).is_ok());
}

// === bodies ===

/// Bodies as clients send them, each with the model at its end.
#[derive(Clone, Copy, Debug)]
enum Shape {
    /// One picture.
    Image,
    /// Messages with a picture in each.
    Images,
    /// Hundreds of messages with some words each, and tools.
    Chat,
    /// Lists of numbers.
    Tokens,
    /// Tools whose parameters are objects in objects.
    Schemas,
    /// Text in many small strings: the worst there is.
    Small,
    /// A text that has quotation marks and line ends in it.
    Escapes,
    /// A chat, with line ends and blanks.
    Pretty,
    /// A form with a file in it.
    Form,
}

use Shape::*;

const MB: usize = 1024 * 1024;
const TYPE: &str = "application/json";
const FORM_TYPE: &str = "multipart/form-data; boundary=----WebKitFormBoundary7MA4YWxkTrZu0gW";
const BASE64: &str = "iVBORw0KGgoAAAANSUhEUgAA/9j+4AAQSkZJRgABAQ";
const WORDS: &str = r#"The quick brown fox \"jumps\" over the lazy dog.\n\nThen it asks: why? "#;
const SCHEMA: &str = r#"{"type":"object","properties":{"city":{"type":"string","description":"Where"},"days":{"type":"integer","enum":[1,3,7]},"more":{"type":"array","items":{"$ref":"unit"}}},"required":["city","days"]}"#;

/// As many of the parts, with commas between them, as make the size.
fn list(size: usize, part: impl Fn(usize) -> String) -> String {
    let mut list = String::new();
    for number in 0.. {
        list.push_str(&part(number));
        if list.len() >= size {
            break;
        }
        list.push(',');
    }
    list
}

fn messages(size: usize) -> String {
    list(size, |number| {
        let role = ["user", "assistant"][number % 2];
        let words = WORDS.repeat(5 + number * 7 % 60);
        match number % 5 {
            4 => format!(
                r#"{{"role":"assistant","content":null,"tool_calls":[{{"id":"call_{number}","type":"function","function":{{"name":"weather","arguments":"{{\"city\":\"Paris\",\"days\":{number}}}"}}}}]}}"#
            ),
            _ => format!(r#"{{"role":"{role}","content":"{words}"}}"#),
        }
    })
}

fn tools(size: usize) -> String {
    list(size, |number| {
        format!(
            r#"{{"type":"function","function":{{"name":"tool_{number}","description":"What it does","parameters":{SCHEMA}}}}}"#
        )
    })
}

/// A line end and some blanks behind what they usually are behind. There is none in the strings.
fn pretty(text: &str) -> String {
    text.replace("{\"", "{\n      \"").replace("\",\"", "\",\n      \"").replace("\":", "\": ")
}

fn body(shape: Shape, size: usize) -> Vec<u8> {
    let image = |size: usize| BASE64.repeat(size / BASE64.len());
    let behind = |front: &str| format!(r#"{{{front},"model":"gpt-5-mini"}}"#).into_bytes();
    let said = |list: &str| behind(&format!(r#""messages":[{list}]"#));
    let picture = |size: usize| {
        format!(
            r#"{{"role":"user","content":[{{"type":"image_url","image_url":{{"url":"data:image/png;base64,{}"}}}}]}}"#,
            image(size)
        )
    };
    match shape {
        Image => said(&picture(size)),
        Images => said(&list(size, |number| match number % 2 {
            0 => messages(20_000),
            _ => picture(850_000),
        })),
        Chat => behind(&format!(
            r#""tools":[{}],"stream":true,"messages":[{}]"#,
            tools(size / 10),
            messages(size * 9 / 10)
        )),
        Tokens => behind(&format!(
            r#""input":[{}]"#,
            list(size, |number| format!(
                "[{}]",
                list(8_000, |at| (at * number % 100_000).to_string())
            ))
        )),
        Schemas => behind(&format!(r#""tools":[{}]"#, tools(size))),
        Small => said(&list(size, |_| r#"{"a":"b","c":["d","e"]}"#.to_owned())),
        Escapes => said(&format!(
            r#"{{"role":"user","content":"{}"}}"#,
            list(size, |number| format!(r#"{{\"a\":\"{number}\",\"path\":\"c:\\\\x\"}}\n"#))
        )),
        Pretty => pretty(&String::from_utf8_lossy(&body(Chat, size))).into_bytes(),
        Form => {
            let mark =
                "------WebKitFormBoundary7MA4YWxkTrZu0gW\r\nContent-Disposition: form-data; name=";
            let file: Vec<u8> = (0..size).map(|at| (at * 7 % 251) as u8).collect();
            let head =
                format!("{mark}\"file\"; filename=\"a.wav\"\r\nContent-Type: audio/wav\r\n\r\n");
            let tail = format!("\r\n{mark}\"model\"\r\n\r\nwhisper-1\r\n{}--\r\n", &mark[..39]);
            [head.as_bytes(), &file, tail.as_bytes()].concat()
        }
    }
}

/// What a request to OpenAI's address with an unlimited token is looked through for.
fn scanner(shape: Shape, mode: Mode) -> Scanner {
    let kind = if matches!(shape, Form) { FORM_TYPE } else { TYPE };
    Scanner::new(Some(kind), "model", false).watch(object::of("openai").fields()).sessions(mode)
}

fn scan(bencher: Bencher, body: &[u8], scanner: impl Fn() -> Scanner) {
    bencher.counter(BytesCount::of_slice(body)).bench_local(|| {
        let mut scanner = scanner();
        for piece in black_box(body).chunks(64 * 1024) {
            scanner.feed(piece);
        }
        scanner.finish()
    });
}

/// The model, all that may name a stored object, and what tells the conversation.
#[divan::bench(args = [Image, Images, Chat, Tokens, Schemas, Small, Escapes, Pretty, Form])]
fn scan_of_1_mb(bencher: Bencher, shape: Shape) {
    scan(bencher, &body(shape, MB), || scanner(shape, Mode::default()));
}

#[divan::bench(args = [Image, Chat, Tokens, Form])]
fn scan_of_20_mb(bencher: Bencher, shape: Shape) {
    scan(bencher, &body(shape, 20 * MB), || scanner(shape, Mode::default()));
}

#[divan::bench(args = [Chat, Pretty])]
fn scan_of_1_kb(bencher: Bencher, shape: Shape) {
    scan(bencher, &body(shape, 1024), || scanner(shape, Mode::default()));
}

/// The beginning of a conversation is looked for as well.
#[divan::bench(args = [Chat, Tokens, Escapes])]
fn scan_of_1_mb_with_the_opening(bencher: Bencher, shape: Shape) {
    scan(bencher, &body(shape, MB), || scanner(shape, Mode::Auto));
}

/// A limited token's: no byte may be what JSON does not have.
#[divan::bench(args = [Images, Chat, Tokens, Small])]
fn scan_of_1_mb_for_a_limited_token(bencher: Bencher, shape: Shape) {
    scan(bencher, &body(shape, MB), || {
        Scanner::new(Some(TYPE), "model", true)
            .watch(object::of("openai").fields())
            .sessions(Mode::default())
    });
}

/// The model alone.
#[divan::bench(args = [Images, Chat, Small])]
fn scan_of_1_mb_for_the_model(bencher: Bencher, shape: Shape) {
    scan(bencher, &body(shape, MB), || Scanner::new(Some(TYPE), "model", false));
}
