//! `aqueduct sim`: the protocol in virtual worlds, without a socket. The same seed gives the same
//! run, byte for byte.

mod swarm;

use std::io::Write;
use std::path::PathBuf;

use aqueduct_tests::scenario::{self, Report};
use aqueduct_tokio::{Payload, tape_file};
use serde_json::json;

use crate::args::{Common, Sim, SimCommand, SimRun};
use crate::exit::{Cause, Failure};
use crate::interrupt::Interrupt;
use crate::output::{Fields, Output};
use crate::tapes;

/// Does it on threads of its own.
///
/// # Errors
/// A scenario that does not go well, or a name that is none.
pub(super) async fn run(
    options: Sim,
    common: &Common,
    output: &std::sync::Arc<Output>,
    mut interrupt: Interrupt,
) -> Result<Fields, Failure> {
    let payload = common.trace_payload.into();
    let tapes = common.trace.clone().map(|file| Tapes { file, payload });
    match options.command {
        SimCommand::Swarm(_) if tapes.is_some() => {
            let words = "--trace records one world: `aqueduct sim run world --seed N --trace FILE`";
            Err(Failure::new(Cause::Usage, words))
        }
        SimCommand::List if tapes.is_some() => {
            let words = "--trace records `sim run` of one scenario";
            Err(Failure::new(Cause::Usage, words))
        }
        SimCommand::List => Ok(list(output)),
        SimCommand::Run(options) => {
            let output = std::sync::Arc::clone(output);
            let work = tokio::task::spawn_blocking(move || play(&output, &options, tapes.as_ref()));
            interrupt.or(async { joined(work.await) }).await
        }
        SimCommand::Swarm(options) => {
            let output = std::sync::Arc::clone(output);
            let work = tokio::task::spawn_blocking(move || swarm::search(&output, &options));
            interrupt.or(async { joined(work.await) }).await
        }
    }
}

fn joined(
    work: Result<Result<Fields, Failure>, tokio::task::JoinError>,
) -> Result<Fields, Failure> {
    work.unwrap_or_else(|error| Err(Failure::new(Cause::Failure, error)))
}

fn list(output: &Output) -> Fields {
    let mut names = Vec::new();
    for scenario in scenario::all() {
        let heavy = if scenario.heavy { " (heavy)" } else { "" };
        output.line(&format!("{:20}  {}{heavy}", scenario.name, scenario.about));
        names
            .push(json!({"name": scenario.name, "about": scenario.about, "heavy": scenario.heavy}));
    }
    let mut fields = Fields::new();
    fields.insert("command".into(), json!("sim list"));
    fields.insert("scenarios".into(), names.into());
    fields
}

/// Where the tapes of a scenario go, and what they keep.
struct Tapes {
    file: PathBuf,
    payload: Payload,
}

impl Tapes {
    /// Plays a scenario once more, recorded. Gives the names of the files, which are their owner's
    /// alone: they hold the keys of the scenario's nodes.
    fn record(&self, name: &str, seed: u64, output: &Output) -> Result<Vec<String>, Failure> {
        tapes::warn(&format!("{}.N", self.file.display()), self.payload, output);
        let scenario = scenario::find(name).into_iter();
        let tapes = scenario.flat_map(|it| scenario::recorded(it, seed, self.payload).1);
        let file = |(number, tape): (usize, Vec<u8>)| {
            let file = format!("{}.{number}", self.file.display());
            let written = tape_file(file.as_ref()).and_then(|mut open| open.write_all(&tape));
            written.map_err(|error| Failure::local(&file, &error))?;
            Ok(file)
        };
        tapes.enumerate().map(file).collect()
    }
}

/// One scenario, or all of them, each twice, the second time recorded.
fn play(output: &Output, options: &SimRun, tapes: Option<&Tapes>) -> Result<Fields, Failure> {
    let (name, seed) = (options.scenario.as_str(), options.seed);
    let names: Vec<&str> = match name {
        "all" if tapes.is_some() => {
            return Err(Failure::new(Cause::Usage, "--trace records one scenario at a time"));
        }
        "all" => scenario::all().map(|scenario| scenario.name).collect(),
        name if scenario::find(name).is_some() => vec![name],
        name => {
            let words = format!("there is no scenario `{name}`; `aqueduct sim list` shows them");
            return Err(Failure::new(Cause::Usage, words));
        }
    };
    let (mut played, mut failed) = (Vec::new(), 0);
    let mut fields = Fields::new();
    fields.insert("command".into(), json!("sim run"));
    for name in names {
        match scenario::twice(name, seed) {
            Ok((report, replayed)) => {
                let event = told(name, seed, &report, replayed);
                output.line(&shown(name, &report, replayed));
                output.event("scenario", event.clone());
                played.push(event);
            }
            Err(failure) => {
                failed += 1;
                tell_failure(output, name, failure.seed, &failure.what);
            }
        }
    }
    if let Some(tapes) = tapes {
        let files = tapes.record(name, seed, output)?;
        output.line(&format!("{} tapes, for `aqueduct trace`: {}", files.len(), files.join(" ")));
        fields.insert("tapes".into(), files.into());
    }
    if failed > 0 {
        return Err(Failure::new(Cause::Failure, format!("{failed} did not go well")));
    }
    fields.insert("scenarios".into(), played.into());
    Ok(fields)
}

fn told(name: &str, seed: u64, report: &Report, replayed: u64) -> serde_json::Value {
    let figures: Fields =
        report.figures.iter().map(|(name, value)| ((*name).to_owned(), json!(value))).collect();
    json!({
        "scenario": name,
        "seed": seed,
        "ok": true,
        "simulated_seconds": report.simulated.as_secs_f64(),
        "fingerprint": hex(&report.fingerprint),
        "figures": figures,
        "tapes_replayed": replayed,
    })
}

fn shown(name: &str, report: &Report, replayed: u64) -> String {
    let figures = report.figures.iter().map(|(name, value)| format!("{name} {value:.3}"));
    let figures = figures.collect::<Vec<_>>().join(", ");
    let print = hex(&report.fingerprint);
    let print = print.get(..16).unwrap_or_default();
    format!("{name:20}  ok  {print}  {figures}; {replayed} tapes replayed")
}

fn hex(bytes: &[u8]) -> String {
    data_encoding::HEXLOWER.encode(bytes)
}

/// What did not go well, and how to see it again.
fn tell_failure(output: &Output, name: &str, seed: u64, what: &str) {
    let repeat = scenario::repeat(name, seed);
    output.line(&format!("{name:20}  FAILED with seed {seed}: {what}"));
    output.line(&format!("{:20}  repeat: {repeat}", ""));
    let event = json!({
        "scenario": name, "seed": seed, "ok": false, "message": what, "repeat": repeat,
    });
    output.event("scenario", event);
}
