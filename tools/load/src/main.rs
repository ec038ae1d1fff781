//! What `npm run bench` measures with: a closed-loop load generator, and an upstream that does as
//! little as an upstream can. Both speak HTTP/1.1 over loopback on one thread, so that as much as
//! possible of the machine is left to what is measured.
//!
//! ```text
//! load upstream                     # prints its address; ends when its standard input does
//! load run --url http://127.0.0.1:8787/api/openai/chat/completions --connections 16 --requests 5000
//! ```
//!
//! `run` prints one line of JSON. Every answer is read to its end, and one that is not as expected is
//! counted as failed. It ends after `--requests` answers or `--seconds`, whichever comes first.

mod http;
mod run;
mod upstream;

use std::process::ExitCode;

fn main() -> ExitCode {
    let mut args = std::env::args().skip(1);
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
    let runtime = match runtime {
        Ok(runtime) => runtime,
        Err(why) => return fail(&why.to_string()),
    };
    let outcome = match args.next().as_deref() {
        Some("upstream") => runtime.block_on(upstream::serve()),
        Some("run") => match run::Plan::parse(args) {
            Ok(plan) => runtime.block_on(run::run(plan)).map(|report| println!("{report}")),
            Err(why) => Err(why),
        },
        _ => Err("say `upstream` or `run`".to_owned()),
    };
    outcome.map_or_else(|why| fail(&why), |()| ExitCode::SUCCESS)
}

fn fail(why: &str) -> ExitCode {
    eprintln!("load: {why}");
    ExitCode::FAILURE
}
