//! The core alone, natively: what a request asks of it. `cargo bench --manifest-path
//! tools/bench-core/Cargo.toml`.

use divan::counter::BytesCount;
use divan::{Bencher, black_box};
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

/// Messages with an image each, the model behind them.
fn chat(size: usize) -> Vec<u8> {
    let text = r#"{"role":"user","content":"The quick brown fox \"jumps\" over the lazy dog.\n"},"#;
    let image = "iVBORw0KGgoAAAANSUhEUgAA/9j+4AAQSkZJRgABAQ".repeat(20_000);
    let mut body = String::from(r#"{"messages":["#);
    while body.len() < size {
        body.push_str(&text.repeat(200));
        body.push_str(r#"{"role":"user","content":[{"type":"image_url","image_url":{"url":"data:image/png;base64,"#);
        body.push_str(&image);
        body.push_str(r#""}}]},"#);
    }
    body.push_str(r#"{"role":"user","content":"Well?"}],"model":"gpt-5-mini"}"#);
    body.into_bytes()
}

fn scan(bencher: Bencher, body: &[u8], watch: bool) {
    bencher.counter(BytesCount::of_slice(body)).bench_local(|| {
        let mut scanner = Scanner::new(Some("application/json"), "model", false);
        if watch {
            scanner = scanner.watch(object::of("openai").fields());
        }
        for piece in black_box(body).chunks(64 * 1024) {
            scanner.feed(piece);
        }
        scanner.finish()
    });
}

const MB: usize = 1024 * 1024;

/// The model alone, in images with a little text.
#[divan::bench(args = [1, 20])]
fn model_in_mb(bencher: Bencher, size: usize) {
    scan(bencher, &chat(size * MB), false);
}

/// The model and all that may name a stored object.
#[divan::bench(args = [1, 20])]
fn model_and_objects_in_mb(bencher: Bencher, size: usize) {
    scan(bencher, &chat(size * MB), true);
}

/// Text in many small strings: the worst there is.
#[divan::bench]
fn model_in_mb_of_small_strings(bencher: Bencher) {
    let list = r#"{"a":"b","c":["d","e"]},"#.repeat(MB / 24);
    let body = format!(r#"{{"messages":[{list}{{}}],"model":"gpt-5-mini"}}"#);
    scan(bencher, body.as_bytes(), true);
}
