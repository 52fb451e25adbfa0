//! The `aqueduct` command: files from one machine to another, over Aqueduct.
//!
//! ```text
//!            args      what the user wants             exit    causes and exit codes
//!              |                                       output  stdout, stderr, JSON
//!          commands    id  recv  send  relay  ping     interrupt, progress, limit
//!         /    |   \    demo  sim (virtual worlds)
//!    source  store  node      disk in, disk out (staging), the endpoint
//!         \    |   /
//!       body, offer           what a transfer says (spec 14)
//!    names, ticket, key       what must not be believed or lost
//!    metrics, tapes           what a monitoring system reads (spec 20), what is recorded (spec 22)
//! ```

mod args;
mod body;
mod commands;
mod exit;
mod interrupt;
mod key;
mod limit;
mod metrics;
mod names;
mod node;
mod offer;
mod output;
mod progress;
mod source;
mod staging;
mod store;
mod tapes;
mod units;

use std::ffi::OsString;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::process::ExitCode;
use std::sync::Arc;

use clap::Parser;
use tracing_subscriber::EnvFilter;

use crate::args::Cli;
use crate::exit::{Cause, Failure};
use crate::output::{Fields, Output};

fn main() -> ExitCode {
    let words: Vec<OsString> = std::env::args_os().collect();
    let cli = match Cli::try_parse_from(&words) {
        Ok(cli) => cli,
        Err(error) => return complain(&error, &words),
    };
    start_log(cli.common.verbose);
    let output = Arc::new(Output::new(cli.common.json));
    let run = AssertUnwindSafe(|| run(cli, &output));
    let how = catch_unwind(run).unwrap_or_else(|_| {
        // What it was about is on stderr.
        Err(Failure::new(Cause::Failure, "this is a bug of aqueduct: it panicked"))
    });
    ExitCode::from(output.end(&how))
}

fn run(cli: Cli, output: &Arc<Output>) -> Result<Fields, Failure> {
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .enable_all()
        .build()
        .map_err(|error| Failure::local("no runtime", &error))?;
    let how = runtime.block_on(async {
        let how = commands::run(cli, output).await;
        tapes::end(output).await;
        how
    });
    // A thread that hangs in a read of standard input must not hold the end up.
    runtime.shutdown_background();
    how
}

/// A command line that makes no sense, or a question about it.
fn complain(error: &clap::Error, words: &[OsString]) -> ExitCode {
    let json = words.iter().any(|word| word == "--json");
    let text = error.render().to_string();
    if json && !error.use_stderr() {
        let help = Fields::from_iter([("text".to_owned(), text.into())]);
        return ExitCode::from(Output::new(true).end(&Ok(help)));
    }
    // Help into a closed pipe is no failure.
    let _ = error.print();
    if !error.use_stderr() {
        return ExitCode::SUCCESS;
    }
    if json {
        Output::new(true).end_quietly(&Failure::new(Cause::Usage, complaint(&text)));
    }
    ExitCode::from(Cause::Usage.code())
}

/// The first paragraph in one line; behind it is how it should be.
fn complaint(text: &str) -> String {
    let lines = text.lines().map(str::trim).take_while(|line| !line.is_empty());
    let whole = lines.collect::<Vec<_>>().join(" ");
    whole.trim_start_matches("error: ").to_owned()
}

fn start_log(verbose: u8) {
    let level = match verbose {
        0 => "warn",
        1 => "info",
        2 => "debug",
        _ => "trace",
    };
    let filter = EnvFilter::try_from_default_env().unwrap_or_else(|_| EnvFilter::new(level));
    tracing_subscriber::fmt()
        .with_env_filter(filter)
        .with_writer(|| progress::Stderr)
        // A reader of stderr that went away is nobody's failure, either.
        .log_internal_errors(false)
        .with_ansi(output::colours())
        .init();
}
