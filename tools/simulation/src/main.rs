//! Plays One Balance from seeds: several isolates, one D1 with delays, failures and answers that get
//! lost or overtake each other, providers with quotas, administrators, and clocks that jump. The
//! rules are those of the Worker itself (`src/balance`); only the world around them is made up.
//!
//! `simulation --seeds 2000` plays that many; `--seed 7` plays one and tells all; `--from N` begins
//! there. Seeds that ever failed stand in `kept.txt` and are played first; one that fails is added.

mod d1;
mod fair;
mod rng;
mod world;

use std::io::Write;
use std::path::Path;
use std::process::ExitCode;

use world::World;

fn main() -> ExitCode {
    let args: Vec<_> = std::env::args().collect();
    let number = |name: &str| -> Option<u64> {
        let at = args.iter().position(|arg| arg == name)?;
        args.get(at + 1)?.parse().ok()
    };
    if let Some(seed) = number("--seed") {
        return match World::new(seed).run() {
            Ok((served, refused)) => {
                println!("seed {seed}: {served} served, {refused} refused");
                ExitCode::SUCCESS
            }
            Err(wrong) => {
                println!("{wrong}\nseed {seed} fails");
                ExitCode::FAILURE
            }
        };
    }
    if let Err(wrong) = fair::check() {
        println!("{wrong}");
        return ExitCode::FAILURE;
    }
    let file = Path::new(env!("CARGO_MANIFEST_DIR")).join("kept.txt");
    let kept = std::fs::read_to_string(&file).unwrap_or_default();
    let kept: Vec<u64> =
        kept.lines().filter_map(|line| line.split_whitespace().next()?.parse().ok()).collect();
    let from = number("--from").unwrap_or(1);
    let seeds = number("--seeds").unwrap_or(2_000);
    let (mut served, mut refused) = (0, 0);
    for seed in kept.iter().copied().chain(from..from + seeds) {
        match World::new(seed).run() {
            Ok(counts) => {
                served += counts.0;
                refused += counts.1;
            }
            Err(wrong) => {
                println!(
                    "{wrong}\n\nSeed {seed} fails. `npm run simulate -- --seed {seed}` plays it again."
                );
                if !kept.contains(&seed) {
                    let line = format!("{seed}\n");
                    let file = std::fs::OpenOptions::new().append(true).create(true).open(file);
                    if let Err(why) = file.and_then(|mut file| file.write_all(line.as_bytes())) {
                        println!("It could not be kept: {why}");
                    }
                }
                return ExitCode::FAILURE;
            }
        }
    }
    println!(
        "{seeds} seeds from {from} and {} kept ones: {served} requests served, {refused} not, and everything that must hold held.",
        kept.len()
    );
    ExitCode::SUCCESS
}
