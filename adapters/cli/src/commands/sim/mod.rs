//! `aqueduct sim`: the protocol in virtual worlds, without a socket. The same seed gives the same
//! run, byte for byte.

mod swarm;

use aqueduct_tests::scenario::{self, Report};
use serde_json::json;

use crate::args::{Sim, SimCommand};
use crate::exit::{Cause, Failure};
use crate::interrupt::Interrupt;
use crate::output::{Fields, Output};

/// Does it on threads of its own.
///
/// # Errors
/// A scenario that does not go well, or a name that is none.
pub(super) async fn run(
    options: Sim,
    output: &std::sync::Arc<Output>,
    mut interrupt: Interrupt,
) -> Result<Fields, Failure> {
    match options.command {
        SimCommand::List => Ok(list(output)),
        SimCommand::Run(options) => {
            let output = std::sync::Arc::clone(output);
            let work =
                tokio::task::spawn_blocking(move || play(&output, &options.scenario, options.seed));
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

/// One scenario, or all of them, each twice.
fn play(output: &Output, name: &str, seed: u64) -> Result<Fields, Failure> {
    let names: Vec<&str> = match name {
        "all" => scenario::all().map(|scenario| scenario.name).collect(),
        name if scenario::find(name).is_some() => vec![name],
        name => {
            let words = format!("there is no scenario `{name}`; `aqueduct sim list` shows them");
            return Err(Failure::new(Cause::Usage, words));
        }
    };
    let (mut played, mut failed) = (Vec::new(), 0);
    for name in names {
        match scenario::twice(name, seed) {
            Ok(report) => {
                let event = told(name, seed, &report);
                output.line(&shown(name, &report));
                output.event("scenario", event.clone());
                played.push(event);
            }
            Err(failure) => {
                failed += 1;
                tell_failure(output, name, failure.seed, &failure.what);
            }
        }
    }
    if failed > 0 {
        return Err(Failure::new(Cause::Failure, format!("{failed} did not go well")));
    }
    let mut fields = Fields::new();
    fields.insert("command".into(), json!("sim run"));
    fields.insert("scenarios".into(), played.into());
    Ok(fields)
}

fn told(name: &str, seed: u64, report: &Report) -> serde_json::Value {
    let figures: Fields =
        report.figures.iter().map(|(name, value)| ((*name).to_owned(), json!(value))).collect();
    json!({
        "scenario": name,
        "seed": seed,
        "ok": true,
        "simulated_seconds": report.simulated.as_secs_f64(),
        "fingerprint": hex(&report.fingerprint),
        "figures": figures,
    })
}

fn shown(name: &str, report: &Report) -> String {
    let figures = report.figures.iter().map(|(name, value)| format!("{name} {value:.3}"));
    let figures = figures.collect::<Vec<_>>().join(", ");
    let print = hex(&report.fingerprint);
    let print = print.get(..16).unwrap_or_default();
    format!("{name:20}  ok  {print}  {figures}")
}

fn hex(bytes: &[u8]) -> String {
    data_encoding::HEXLOWER.encode(bytes)
}

/// What did not go well, and how to see it again.
fn tell_failure(output: &Output, name: &str, seed: u64, what: &str) {
    let repeat = format!("aqueduct sim run {name} --seed {seed}");
    output.line(&format!("{name:20}  FAILED with seed {seed}: {what}"));
    output.line(&format!("{:20}  repeat: {repeat}", ""));
    let event = json!({
        "scenario": name, "seed": seed, "ok": false, "message": what, "repeat": repeat,
    });
    output.event("scenario", event);
}
