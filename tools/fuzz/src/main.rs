//! Feeds the pure core with mutated answers, bodies, paths and settings, and checks what must hold
//! for every one of them. See README.md.

mod corpus;
mod mutate;
mod rng;
mod targets;

use std::borrow::Cow;
use std::collections::BTreeMap;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::process::ExitCode;
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use corpus::Corpus;
use mutate::Source;
use rng::Rng;

/// What a target is fed with: named pieces, so that each can be made smaller on its own.
#[derive(Clone, Debug, Default)]
pub struct Input(Vec<(&'static str, Vec<u8>)>);

/// Something to feed.
pub struct Target {
    pub name: &'static str,
    /// How often it is fed, compared to the others.
    pub weight: usize,
    pub make: fn(&mut Source<'_>) -> Input,
    /// What does not hold, if anything. The text up to the first colon says which rule it is.
    pub check: fn(&Input) -> Result<(), String>,
}

/// Findings that are shown; the same rule broken again is not news.
const MOST_FINDINGS: usize = 20;
const MINIMISING: Duration = Duration::from_secs(5);

static PANIC: Mutex<String> = Mutex::new(String::new());

struct Options {
    seconds: u64,
    seed: u64,
    only: Option<String>,
    replay: Option<u64>,
}

fn main() -> ExitCode {
    let (options, corpus) = match (options(), Corpus::load()) {
        (Ok(options), Ok(corpus)) => (options, corpus),
        (Err(why), _) | (_, Err(why)) => {
            eprintln!("{why}");
            return ExitCode::from(2);
        }
    };
    std::panic::set_hook(Box::new(|info| {
        *PANIC.lock().unwrap_or_else(PoisonError::into_inner) = info.to_string();
    }));
    let wanted = |target: &&Target| options.only.as_deref().is_none_or(|name| name == target.name);
    let targets: Vec<&Target> = targets::ALL.iter().filter(wanted).collect();
    if targets.is_empty() {
        eprintln!("There is no such target.");
        return ExitCode::from(2);
    }
    if let Some(seed) = options.replay {
        let (target, input) = input(seed, &targets, &corpus);
        println!("{}", shown(&input));
        return match run(target, &input) {
            Ok(()) => ExitCode::SUCCESS,
            Err(why) => {
                println!("{}: {why}", target.name);
                ExitCode::FAILURE
            }
        };
    }
    fuzz(&options, &targets, &corpus)
}

fn fuzz(options: &Options, targets: &[&Target], corpus: &Corpus) -> ExitCode {
    println!("seed {}, {} s", options.seed, options.seconds);
    let started = Instant::now();
    let deadline = started + Duration::from_secs(options.seconds);
    let mut seeds = Rng::new(options.seed);
    let mut runs: BTreeMap<&str, u64> = BTreeMap::new();
    let mut findings: BTreeMap<String, u64> = BTreeMap::new();
    while Instant::now() < deadline && findings.len() < MOST_FINDINGS {
        let seed = seeds.next();
        let (target, input) = input(seed, targets, corpus);
        *runs.entry(target.name).or_default() += 1;
        let Err(why) = run(target, &input) else { continue };
        let count = findings.entry(kind(target, &why)).or_default();
        *count += 1;
        if *count == 1 {
            let (least, why) = minimised(target, input, why);
            let only =
                options.only.iter().map(|name| format!(" --only {name}")).collect::<String>();
            println!("\n{}: {why}\n{}  --replay {seed}{only}", target.name, shown(&least));
        }
    }
    let all: u64 = runs.values().sum();
    println!("\n{all} inputs in {} s, {} findings", started.elapsed().as_secs(), findings.len());
    for (name, count) in runs {
        println!("  {name}: {count}");
    }
    for (kind, count) in &findings {
        println!("  {count} times {kind}");
    }
    if findings.is_empty() { ExitCode::SUCCESS } else { ExitCode::FAILURE }
}

/// What this seed stands for.
fn input<'t>(seed: u64, targets: &[&'t Target], corpus: &Corpus) -> (&'t Target, Input) {
    let mut rng = Rng::new(seed);
    let mut ticket = rng.below(targets.iter().map(|target| target.weight).sum());
    let drawn = targets.iter().find(|target| {
        let hit = ticket < target.weight;
        ticket = ticket.saturating_sub(target.weight);
        hit
    });
    let target = drawn.unwrap_or(&targets[0]);
    (target, (target.make)(&mut Source { rng, corpus }))
}

fn run(target: &Target, input: &Input) -> Result<(), String> {
    catch_unwind(AssertUnwindSafe(|| (target.check)(input))).unwrap_or_else(|_| {
        Err(format!("{}", PANIC.lock().unwrap_or_else(PoisonError::into_inner)))
    })
}

fn kind(target: &Target, why: &str) -> String {
    let rule = if why.starts_with("panicked") { why } else { why.split(':').next().unwrap_or(why) };
    format!("{}: {}", target.name, rule.lines().next().unwrap_or_default())
}

/// The input with everything taken out that the same finding does not need.
fn minimised(target: &Target, mut input: Input, mut why: String) -> (Input, String) {
    let deadline = Instant::now() + MINIMISING;
    let rule = kind(target, &why);
    let mut progress = true;
    while progress {
        progress = false;
        for field in 0..input.0.len() {
            let mut size = input.0[field].1.len().max(1);
            while size > 0 {
                let mut at = 0;
                while at < input.0[field].1.len() {
                    if Instant::now() > deadline {
                        return (input, why);
                    }
                    let mut smaller = input.clone();
                    let bytes = &mut smaller.0[field].1;
                    bytes.drain(at..(at + size).min(bytes.len()));
                    match run(target, &smaller) {
                        Err(still) if kind(target, &still) == rule => {
                            (input, why, progress) = (smaller, still, true);
                        }
                        _ => at += size,
                    }
                }
                size /= 2;
            }
        }
    }
    (input, why)
}

fn shown(input: &Input) -> String {
    const LONGEST: usize = 4_000;
    input
        .0
        .iter()
        .map(|(name, bytes)| {
            let text = bytes.get(..LONGEST).unwrap_or(bytes).escape_ascii();
            let more = if bytes.len() > LONGEST { ".." } else { "" };
            format!("  {name} ({}): {text}{more}\n", bytes.len())
        })
        .collect()
}

fn options() -> Result<Options, String> {
    const USAGE: &str = "fuzz [--seconds N] [--seed N] [--only TARGET] [--replay SEED]";
    let time = SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |time| time.as_secs());
    let mut options = Options { seconds: 10, seed: time, only: None, replay: None };
    let mut args = std::env::args().skip(1);
    while let Some(name) = args.next() {
        let value = args.next().ok_or(USAGE)?;
        let number = || value.parse().map_err(|_| format!("{name} wants a number. {USAGE}"));
        match name.as_str() {
            "--seconds" => options.seconds = number()?,
            "--seed" => options.seed = number()?,
            "--only" => options.only = Some(value),
            "--replay" => options.replay = Some(number()?),
            _ => return Err(format!("There is no {name}. {USAGE}")),
        }
    }
    Ok(options)
}

// === impl Input ===

impl Input {
    pub fn with(mut self, name: &'static str, bytes: impl Into<Vec<u8>>) -> Self {
        self.0.push((name, bytes.into()));
        self
    }

    pub fn bytes(&self, name: &str) -> &[u8] {
        let found = self.0.iter().find(|(have, _)| *have == name);
        found.map_or(&[], |(_, bytes)| bytes)
    }

    pub fn text(&self, name: &str) -> Cow<'_, str> {
        String::from_utf8_lossy(self.bytes(name))
    }

    /// The number that it spells; 0 when it spells none.
    pub fn number(&self, name: &str) -> u64 {
        self.text(name).parse().unwrap_or(0)
    }

    /// Numbers with commas between them.
    pub fn numbers(&self, name: &str) -> Vec<usize> {
        self.text(name).split(',').filter_map(|number| number.parse().ok()).collect()
    }
}
