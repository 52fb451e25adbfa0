//! `aqueduct sim swarm`: random worlds, as many as there is time for.

use std::sync::Mutex;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use aqueduct_tests::swarm::search::{Search, Tally, never_taken};
use aqueduct_tests::{WIRE_IS_READ, scenario};
use serde_json::json;

use crate::args::SimSwarm;
use crate::exit::{Cause, Failure};
use crate::output::{Fields, Output};
use crate::progress::Progress;

/// Searches, and tells what it came to.
///
/// # Errors
/// A world that failed.
pub(super) fn search(output: &Output, options: &SimSwarm) -> Result<Fields, Failure> {
    let first = options.seed.unwrap_or_else(fresh);
    let time = Duration::from_secs(options.seconds);
    let bar = Progress::parts("worlds", options.seconds);
    let told = Mutex::new(0);
    let jobs = options.jobs.into();
    let twice_every = options.twice_every;
    let search = Search { first, time: Some(time), jobs, twice_every, ..Search::default() };
    let tally = search.run(|tally| {
        bar.at(tally.took.as_secs());
        bar.say(&words(tally));
        let mut told = told.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
        for failure in tally.failures.iter().skip(*told) {
            super::tell_failure(output, "world", failure.seed, &failure.what);
        }
        *told = tally.failures.len();
    });
    bar.clear();
    output.line(&words(&tally));
    for name in never_taken() {
        output.line(&format!("never: {name}"));
    }
    let fields = fields(first, &tally);
    if tally.failures.is_empty() {
        return Ok(fields);
    }
    output.event("search", fields.into());
    Err(Failure::new(Cause::Failure, format!("{} worlds failed", tally.failures.len())))
}

/// A seed that nobody named: the time, in seconds, far from that of the next search.
fn fresh() -> u64 {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    since.as_secs() << 20
}

fn words(tally: &Tally) -> String {
    format!(
        "{} worlds, {:.1} a second, {:.1} simulated hours, the median world {:.0} s and {:.2} MB, \
         {} played twice, {} tapes of them replayed, {} failed; {} connections of \
         byzantine peers, {} ended for it{}",
        tally.worlds,
        tally.rate(),
        tally.simulated.as_secs_f64() / 3_600.0,
        tally.median.simulated().as_secs_f64(),
        tally.median.bytes() as f64 / 1e6,
        tally.twice,
        tally.replayed,
        tally.failures.len(),
        tally.rogues,
        tally.caught,
        if WIRE_IS_READ { "; the wire was read" } else { "" },
    )
}

fn fields(first: u64, tally: &Tally) -> Fields {
    let failures: Vec<_> = tally
        .failures
        .iter()
        .map(|failure| {
            let repeat = scenario::repeat("world", failure.seed);
            json!({"seed": failure.seed, "message": failure.what, "repeat": repeat})
        })
        .collect();
    Fields::from_iter([
        ("command".to_owned(), json!("sim swarm")),
        ("first_seed".to_owned(), json!(first)),
        ("worlds".to_owned(), json!(tally.worlds)),
        ("wire_read".to_owned(), json!(WIRE_IS_READ)),
        ("played_twice".to_owned(), json!(tally.twice)),
        ("tapes_replayed".to_owned(), json!(tally.replayed)),
        ("seconds".to_owned(), json!(tally.took.as_secs_f64())),
        ("worlds_per_second".to_owned(), json!(tally.rate())),
        ("simulated_hours".to_owned(), json!(tally.simulated.as_secs_f64() / 3_600.0)),
        ("median_simulated_seconds".to_owned(), json!(tally.median.simulated().as_secs_f64())),
        ("median_bytes".to_owned(), json!(tally.median.bytes())),
        ("unbroken".to_owned(), json!(tally.unbroken)),
        ("datagrams".to_owned(), json!(tally.datagrams)),
        ("bytes".to_owned(), json!(tally.bytes)),
        ("streams".to_owned(), json!(tally.streams)),
        ("messages".to_owned(), json!(tally.messages)),
        ("pipes".to_owned(), json!(tally.pipes)),
        ("connections".to_owned(), json!(tally.connections)),
        ("byzantine_connections".to_owned(), json!(tally.rogues)),
        ("byzantine_ended".to_owned(), json!(tally.caught)),
        ("never_taken".to_owned(), json!(never_taken())),
        ("failures".to_owned(), failures.into()),
    ])
}
