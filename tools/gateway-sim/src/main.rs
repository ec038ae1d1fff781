//! `gateway-sim`: a local program that behaves like the Cloudflare AI Gateway and the providers behind it.
//!
//! One request goes `server` -> `gateway` (reads it, audits it, applies faults, key states and quotas)
//! -> a dialect module (`openai`, `gemini`, `anthropic`, `other`) that makes the answer. Everything a
//! test can set or see is in `control`.

mod answer;
mod anthropic;
mod audit;
mod cases;
mod config;
mod control;
mod eventstream;
mod faults;
mod files;
mod gateway;
mod gemini;
mod hosts;
mod journal;
mod keys;
mod multipart;
mod objects;
mod openai;
mod other;
mod prompt;
mod providers;
mod quota;
mod rate_headers;
mod refusal;
mod request;
mod routes;
mod server;
mod simulator;
mod sockets;
mod time;

use std::io::Write;
use std::net::{Ipv4Addr, SocketAddr};
use std::process::ExitCode;
use std::sync::Arc;

use simulator::Simulator;

const USAGE: &str = "usage: gateway-sim [--port N] [--open] [--quiet] [--exit-with-stdin]";

#[derive(Debug, Default, PartialEq)]
struct Options {
    port: u16,
    open: bool,
    quiet: bool,
    exit_with_stdin: bool,
}

fn parse(mut arguments: impl Iterator<Item = String>) -> Result<Options, String> {
    let mut options = Options::default();
    while let Some(argument) = arguments.next() {
        let (name, inline) = match argument.split_once('=') {
            Some((name, value)) => (name.to_owned(), Some(value.to_owned())),
            None => (argument, None),
        };
        match name.as_str() {
            "--port" => {
                let value = inline.or_else(|| arguments.next()).unwrap_or_default();
                options.port = value
                    .parse()
                    .map_err(|_| format!("--port wants a number from 0 to 65535, not `{value}`"))?;
            }
            "--open" => options.open = true,
            "--quiet" => options.quiet = true,
            "--exit-with-stdin" => options.exit_with_stdin = true,
            _ => return Err(format!("unknown argument `{name}`\n{USAGE}")),
        }
    }
    Ok(options)
}

fn main() -> ExitCode {
    if std::env::args().skip(1).any(|a| a == "--help" || a == "-h") {
        println!("{USAGE}");
        return ExitCode::SUCCESS;
    }
    let options = match parse(std::env::args().skip(1)) {
        Ok(options) => options,
        Err(message) => {
            eprintln!("gateway-sim: {message}");
            return ExitCode::from(2);
        }
    };
    let runtime = match tokio::runtime::Builder::new_multi_thread().enable_all().build() {
        Ok(runtime) => runtime,
        Err(error) => {
            eprintln!("gateway-sim: cannot start: {error}");
            return ExitCode::FAILURE;
        }
    };
    let code = runtime.block_on(run(options));
    // Stalled requests never end by themselves, so nothing is waited for.
    runtime.shutdown_background();
    code
}

async fn run(options: Options) -> ExitCode {
    let address = SocketAddr::from((Ipv4Addr::LOCALHOST, options.port));
    let bound = tokio::net::TcpListener::bind(address)
        .await
        .and_then(|listener| listener.local_addr().map(|local| (listener, local)));
    let (listener, local) = match bound {
        Ok(bound) => bound,
        Err(error) if error.kind() == std::io::ErrorKind::AddrInUse => {
            eprintln!(
                "gateway-sim: port {} is already in use; choose another one with --port.",
                options.port
            );
            return ExitCode::FAILURE;
        }
        Err(error) => {
            eprintln!("gateway-sim: cannot listen on {address}: {error}.");
            return ExitCode::FAILURE;
        }
    };
    let stop = match stop_signal(options.exit_with_stdin) {
        Ok(stop) => stop,
        Err(error) => {
            eprintln!("gateway-sim: cannot watch for signals: {error}.");
            return ExitCode::FAILURE;
        }
    };
    println!("gateway-sim listening on http://{local}");
    // A parent that reads the line through a pipe needs it now; a closed pipe is not our problem.
    let _ = std::io::stdout().flush();
    let simulator = Arc::new(Simulator::new(options.open, options.quiet));
    tokio::select! {
        () = server::serve(listener, simulator) => {}
        () = stop => {}
    }
    ExitCode::SUCCESS
}

/// Resolves when the program should end: an interrupt, a termination request, or the end of stdin.
/// All three are watched from the call on, not from the first poll.
fn stop_signal(watch_stdin: bool) -> std::io::Result<impl Future<Output = ()>> {
    let (closed, stdin_closed) = tokio::sync::oneshot::channel::<()>();
    // Kept when nobody watches: this program's stdin may well be /dev/null.
    let mut unused = Some(closed);
    if let Some(closed) = unused.take_if(|_| watch_stdin) {
        // A plain thread: a runtime task blocked in a read could not be shut down.
        std::thread::spawn(move || {
            let _ = std::io::copy(&mut std::io::stdin().lock(), &mut std::io::sink());
            let _ = closed.send(());
        });
    }
    let requested = termination()?;
    Ok(async move {
        tokio::select! {
            () = requested => {}
            _ = stdin_closed => {}
        }
        drop(unused);
    })
}

#[cfg(unix)]
fn termination() -> std::io::Result<impl Future<Output = ()>> {
    use tokio::signal::unix::{SignalKind, signal};
    let mut interrupt = signal(SignalKind::interrupt())?;
    let mut terminate = signal(SignalKind::terminate())?;
    Ok(async move {
        tokio::select! {
            _ = interrupt.recv() => {}
            _ = terminate.recv() => {}
        }
    })
}

#[cfg(windows)]
fn termination() -> std::io::Result<impl Future<Output = ()>> {
    use tokio::signal::windows;
    let mut interrupt = windows::ctrl_c()?;
    let mut close = windows::ctrl_close()?;
    Ok(async move {
        tokio::select! {
            _ = interrupt.recv() => {}
            _ = close.recv() => {}
        }
    })
}

#[cfg(test)]
mod tests {
    use super::{Options, parse};

    fn parsed(line: &str) -> Result<Options, String> {
        parse(line.split_whitespace().map(str::to_owned))
    }

    #[test]
    fn reads_the_command_line() {
        let options = parsed("--port 8080 --open").unwrap();
        assert_eq!((options.port, options.open, options.quiet), (8080, true, false));
        assert_eq!(parsed("--port=9").unwrap().port, 9);
        assert!(parsed("--port many").is_err());
        assert!(parsed("--prot 1").is_err());
    }
}
