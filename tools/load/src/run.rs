//! The load: so many connections, each of which sends its next request when it has the whole answer to
//! the last one.

use std::cell::RefCell;
use std::fmt::Write as _;
use std::rc::Rc;
use std::time::{Duration, Instant};

use tokio::io::AsyncWriteExt;
use tokio::net::TcpStream;
use tokio::task::LocalSet;

use crate::http::Wire;

/// No answer takes longer.
const PATIENCE: Duration = Duration::from_secs(30);

/// What to send, and how often.
pub struct Plan {
    address: String,
    path: String,
    headers: String,
    connections: usize,
    requests: u64,
    seconds: f64,
    body: Vec<u8>,
    /// The status of every answer that counts.
    expect: String,
    /// The end of its body.
    ends: String,
}

impl Plan {
    /// From the command line.
    pub fn parse(mut args: impl Iterator<Item = String>) -> Result<Self, String> {
        let mut plan = Self {
            address: String::new(),
            path: String::new(),
            headers: String::new(),
            connections: 1,
            requests: 1000,
            seconds: 60.0,
            body: Vec::new(),
            expect: "200".to_owned(),
            ends: String::new(),
        };
        let (mut size, mut place) = (1024, "last".to_owned());
        while let Some(name) = args.next() {
            let value = args.next().ok_or_else(|| format!("{name} lacks a value"))?;
            let wrong = |_| format!("{name} {value}?");
            match name.as_str() {
                "--url" => {
                    let rest = value.strip_prefix("http://").ok_or("--url must be http://")?;
                    let (address, path) = rest.split_once('/').unwrap_or((rest, ""));
                    plan.address = address.to_owned();
                    plan.path = format!("/{path}");
                }
                "--header" => write!(plan.headers, "{value}\r\n").map_err(|why| why.to_string())?,
                "--connections" => plan.connections = value.parse().map_err(wrong)?,
                "--requests" => plan.requests = value.parse().map_err(wrong)?,
                "--seconds" => plan.seconds = value.parse().map_err(|_| format!("{name}?"))?,
                "--size" => size = value.parse().map_err(wrong)?,
                "--model" => place = value,
                "--expect" => plan.expect = value,
                "--ends" => plan.ends = value,
                _ => return Err(format!("{name} is unknown")),
            }
        }
        if plan.address.is_empty() {
            return Err("--url is missing".to_owned());
        }
        plan.body = chat(size, &place)?;
        Ok(plan)
    }

    fn request(&self) -> Vec<u8> {
        let mut head = format!(
            "POST {} HTTP/1.1\r\nhost: {}\r\ncontent-type: application/json\r\naccept: application/json\r\n\
             user-agent: OpenAI/JS 7.57.0\r\nx-stainless-lang: js\r\nx-stainless-os: Linux\r\n\
             accept-encoding: gzip, deflate\r\n{}content-length: {}\r\n\r\n",
            self.path,
            self.address,
            self.headers,
            self.body.len()
        )
        .into_bytes();
        head.extend_from_slice(&self.body);
        head
    }
}

/// A chat of about that many bytes, with the model in the first place, in the midst of long messages,
/// or last.
fn chat(size: usize, place: &str) -> Result<Vec<u8>, String> {
    const MODEL: &str = r#""model":"gpt-5-mini""#;
    let words = "The quick brown fox \\\"jumps\\\" over the lazy dog.\\n";
    let filler = |size: usize| {
        // Long bodies are images for the most part, with text around them.
        let text = words.repeat((size / 4).min(64 * 1024) / words.len());
        let image = "iVBORw0KGgoAAAANSUhEUgAA/9j+4AAQSkZJRgABAQ"
            .repeat(size.saturating_sub(text.len()) / 43);
        format!(
            r#"[{{"role":"user","content":[{{"type":"text","text":"{text}"}},{{"type":"image_url","image_url":{{"url":"data:image/png;base64,{image}"}}}}]}}]"#
        )
    };
    let size = size.saturating_sub(220);
    Ok(match place {
        "first" => format!(r#"{{{MODEL},"messages":{},"stream":false}}"#, filler(size)),
        "last" => format!(r#"{{"messages":{},{MODEL},"stream":false}}"#, filler(size)),
        "middle" => format!(
            r#"{{"messages":{},{MODEL},"metadata":{}}}"#,
            filler(size / 2),
            filler(size / 2)
        ),
        _ => return Err(format!("--model {place}?")),
    }
    .into_bytes())
}

#[derive(Default)]
struct Tally {
    begun: u64,
    micros: Vec<u32>,
    failed: u64,
    first_failure: Option<String>,
}

impl Tally {
    fn fail(&mut self, why: String) {
        self.failed += 1;
        self.first_failure.get_or_insert(why);
    }
}

/// Sends it all and reports.
pub async fn run(plan: Plan) -> Result<String, String> {
    let plan = Rc::new(plan);
    let request: Rc<[u8]> = plan.request().into();
    let tally = Rc::new(RefCell::new(Tally::default()));
    let mut wires = Vec::new();
    for _ in 0..plan.connections {
        wires.push(connect(&plan.address).await?);
    }
    let started = Instant::now();
    let local = LocalSet::new();
    for wire in wires {
        local.spawn_local(drive(
            wire,
            Rc::clone(&plan),
            Rc::clone(&request),
            Rc::clone(&tally),
            started,
        ));
    }
    local.await;
    let seconds = started.elapsed().as_secs_f64();
    let mut tally = tally.take();
    tally.micros.sort_unstable();
    let at = |share: f64| {
        #[expect(
            clippy::cast_possible_truncation,
            clippy::cast_sign_loss,
            clippy::cast_precision_loss
        )]
        let index = (tally.micros.len() as f64 * share) as usize;
        tally
            .micros
            .get(index.min(tally.micros.len().saturating_sub(1)))
            .copied()
            .unwrap_or_default()
    };
    let count = tally.micros.len();
    #[expect(clippy::cast_precision_loss)]
    let rate = count as f64 / seconds;
    Ok(format!(
        r#"{{"requests":{count},"failed":{},"failure":"{}","seconds":{seconds:.4},"per_second":{rate:.1},"p50_us":{},"p99_us":{},"bytes":{}}}"#,
        tally.failed,
        tally
            .first_failure
            .unwrap_or_default()
            .replace(|c: char| !matches!(c, ' '..='~') || matches!(c, '"' | '\\'), "?"),
        at(0.5),
        at(0.99),
        plan.body.len(),
    ))
}

async fn connect(address: &str) -> Result<Wire, String> {
    let stream = TcpStream::connect(address).await.map_err(|why| format!("{address}: {why}"))?;
    stream.set_nodelay(true).map_err(|why| why.to_string())?;
    Ok(Wire::new(stream))
}

async fn drive(
    mut wire: Wire,
    plan: Rc<Plan>,
    request: Rc<[u8]>,
    tally: Rc<RefCell<Tally>>,
    started: Instant,
) {
    loop {
        {
            let mut tally = tally.borrow_mut();
            if tally.begun >= plan.requests || started.elapsed().as_secs_f64() > plan.seconds {
                return;
            }
            tally.begun += 1;
        }
        let sent = Instant::now();
        let outcome = tokio::time::timeout(PATIENCE, exchange(&mut wire, &plan, &request)).await;
        let outcome = outcome.unwrap_or_else(|_| Err("no answer in time".to_owned()));
        let micros = u32::try_from(sent.elapsed().as_micros()).unwrap_or(u32::MAX);
        match outcome {
            Ok(()) => tally.borrow_mut().micros.push(micros),
            Err(why) => {
                tally.borrow_mut().fail(why);
                match connect(&plan.address).await {
                    Ok(new) => wire = new,
                    Err(_) => return,
                }
            }
        }
    }
}

async fn exchange(wire: &mut Wire, plan: &Plan, request: &[u8]) -> Result<(), String> {
    wire.stream.write_all(request).await.map_err(|why| why.to_string())?;
    let head = wire.head().await?.ok_or("the connection was closed")?;
    let (_, tail) = wire.body(&head).await?;
    let status = head.first.split(' ').nth(1).unwrap_or_default();
    if status != plan.expect {
        return Err(head.first);
    }
    if !tail.ends_with(plan.ends.as_bytes()) {
        return Err(format!("the answer ends with {}", String::from_utf8_lossy(&tail)));
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bodies_have_their_size_and_are_json_with_one_model() {
        for place in ["first", "middle", "last"] {
            for size in [1024, 100_000, 3_000_000] {
                let body = String::from_utf8(chat(size, place).unwrap()).unwrap();
                assert!(
                    body.len().abs_diff(size) < size / 4 + 100,
                    "{place} {size}: {}",
                    body.len()
                );
                assert_eq!(body.matches(r#""model":"gpt-5-mini""#).count(), 1);
                assert_eq!(body.matches('{').count(), body.matches('}').count());
            }
        }
        assert!(chat(10, "nowhere").is_err());
    }
}
