//! Two endpoints in one thread, no socket: what a datagram costs both ends together.
//!
//! `cargo bench -p aqueduct-tests --bench pair -- [MIB] [rust] [tape]`
//!
//! With `tape`: what recording adds, each kind in turn with plain runs, five rounds, the least of
//! each. Sender and receiver are timed apart.

mod run;

use std::time::{Duration, Instant as Clock};

use aqueduct_core::crypto::provider::Provider;
use aqueduct_core::tape::Payload;

use run::Run;

/// What recording adds.
fn tapes(mib: u64, provider: Provider) {
    let kinds = [
        ("plain", [None, None]),
        ("sender by reference", [Some(Payload::Referenced), None]),
        ("sender full", [Some(Payload::Full), None]),
        ("receiver full", [None, Some(Payload::Full)]),
    ];
    let mut least = [[Duration::MAX; 2]; 4];
    let mut taped = [0; 4];
    for _ in 0..5 {
        for (at, (_, tapes)) in kinds.iter().enumerate() {
            let mut run = Run::new(mib, provider, *tapes);
            run.whole();
            for (least, spent) in least[at].iter_mut().zip(run.spent) {
                *least = (*least).min(spent);
            }
            taped[at] = run.taped;
        }
    }
    let bytes = (mib << 20) as f64;
    for (at, (name, _)) in kinds.iter().enumerate() {
        let each = least[at].map(|spent| spent.as_nanos() as f64 / bytes);
        let more = [0, 1].map(|side| 100.0 * (each[side] * bytes / plain(&least, side) - 1.0));
        println!(
            "{name:20} sender {:.4} ns a byte ({:+.1} %), receiver {:.4} ({:+.1} %), tape {:.4} x",
            each[0],
            more[0],
            each[1],
            more[1],
            taped[at] as f64 / bytes
        );
    }
}

fn plain(least: &[[Duration; 2]; 4], side: usize) -> f64 {
    least[0][side].as_nanos() as f64
}

fn main() {
    let args: Vec<String> = std::env::args().collect();
    let mib: u64 = args.iter().find_map(|arg| arg.parse().ok()).unwrap_or(512);
    let rust = args.iter().any(|arg| arg == "rust");
    let provider = if rust { Provider::Rust } else { Provider::AwsLc };
    if args.iter().any(|arg| arg == "tape") {
        return tapes(mib, provider);
    }
    let mut run = Run::new(mib, provider, [None, None]);
    let started = Clock::now();
    let turns = run.whole();
    let took = started.elapsed();
    let mb = run.received as f64 / 1e6;
    println!(
        "{mb:.0} MB in {:.3} s: {:.0} MB/s, {:.0} ns a datagram ({} datagrams, {turns} turns)",
        took.as_secs_f64(),
        mb / took.as_secs_f64(),
        took.as_nanos() as f64 / run.datagrams as f64,
        run.datagrams
    );
}
