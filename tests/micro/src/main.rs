//! What the parts cost, and the whole without sockets, in time here and in instructions under a
//! simulator of the processor.
//!
//! ```text
//! cargo bench -p aqueduct-tests --bench micro                 # all, ns an operation
//! cargo bench -p aqueduct-tests --bench micro -- CASE N       # one case with so many operations
//! ```
//!
//! All that happens is the same from run to run, so that `.ci/instructions` can count: it runs each
//! case with two numbers of operations and divides the difference.

mod pair;
mod parts;
mod whole;

use std::time::Instant;

/// Rounds, of which the least counts.
const ROUNDS: usize = 5;

/// A case: its name, what it counts, what it does for so many, and how many make a fair round.
struct Case {
    name: &'static str,
    counts: &'static str,
    run: fn(u64) -> u64,
    usual: u64,
}

const CASES: [Case; 14] = [
    Case { name: "assembler", counts: "fragment", run: parts::assembler, usual: 200_000 },
    Case { name: "shuffled", counts: "fragment", run: parts::shuffled, usual: 200_000 },
    Case { name: "handoff", counts: "fragment", run: parts::handoff, usual: 1_000_000 },
    Case { name: "acks", counts: "packet", run: parts::acks, usual: 500_000 },
    Case { name: "ledger", counts: "packet", run: parts::ledger, usual: 500_000 },
    Case { name: "frames", counts: "packet", run: parts::frame_codec, usual: 500_000 },
    Case { name: "seal-open", counts: "packet", run: parts::seal_open, usual: 100_000 },
    Case { name: "shaping", counts: "datagram", run: parts::shaping, usual: 500_000 },
    Case { name: "transfer", counts: "datagram", run: whole::bulk, usual: 256 },
    Case { name: "limited", counts: "datagram", run: whole::limited, usual: 256 },
    Case { name: "taped-out", counts: "datagram", run: whole::sender_taped, usual: 256 },
    Case { name: "taped-in", counts: "datagram", run: whole::receiver_taped, usual: 256 },
    Case { name: "requests", counts: "request", run: whole::requests, usual: 50_000 },
    Case { name: "handshakes", counts: "handshake", run: whole::handshakes, usual: 200 },
];

/// The least time an operation took, in ns.
fn measure(case: &Case) -> f64 {
    let rounds = (0..ROUNDS).map(|_| {
        let began = Instant::now();
        let count = (case.run)(case.usual);
        began.elapsed().as_nanos() as f64 / count as f64
    });
    rounds.fold(f64::INFINITY, f64::min)
}

fn main() {
    // What `cargo bench` adds.
    let args: Vec<_> = std::env::args().skip(1).filter(|arg| arg != "--bench").collect();
    let wanted = |case: &&Case| args.first().is_none_or(|name| name == case.name);
    let cases: Vec<_> = CASES.iter().filter(wanted).collect();
    if cases.is_empty() {
        let names = CASES.map(|case| case.name).join(", ");
        eprintln!("no case has this name; there are {names}");
        std::process::exit(2);
    }
    let count = args.get(1).map(|count| count.parse().expect("CASE N: N is a number"));
    for case in cases {
        match count {
            Some(count) => println!("{} {}", case.name, (case.run)(count)),
            None => println!("{:12} {:10.1} ns a {}", case.name, measure(case), case.counts),
        }
    }
}
