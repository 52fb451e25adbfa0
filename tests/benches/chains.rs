//! Chains of relays: store-and-forward, a copying loop, an in-order pipe, cut-through.
//!
//! `cargo bench -p aqueduct-tests --bench chains -- [SEEDS] [MIB] [CONTROLLER]`
//!
//! Fails if cut-through costs more than it may (spec, decision 0004): a hop more than its delay and
//! 2 ms until the first byte; a seed more than 1.10 of the in-order pipe's time; the median more
//! than all of it, beyond what so many seeds leave open: the whole of its 95 % range is above 1. A
//! median above 1 within that range is said as missed, too.

use std::process::ExitCode;
use std::time::Instant as Clock;

use aqueduct_core::congestion::Algorithm;
use aqueduct_tests::race::{HOPS, Race, WAYS};

fn main() -> ExitCode {
    let mut numbers = std::env::args().skip(1).filter_map(|arg| arg.parse::<u64>().ok());
    let seeds = numbers.next().unwrap_or(100);
    let mib = numbers.next().unwrap_or(16) as usize;
    let controller = std::env::args().find_map(|arg| Algorithm::by_name(&arg));
    let controller = controller.unwrap_or_default();
    let began = Clock::now();
    let race = Race::run(seeds, mib << 20, false, controller, |done, all| {
        eprint!("\r{done} of {all} runs, {} s ", began.elapsed().as_secs());
    });
    eprintln!();
    println!(
        "{mib} MiB, {seeds} seeds, 20 ms one way, 1 % loss, 100 Mbit/s a hop, {}\n",
        controller.name()
    );
    println!("{}", race.table());
    for (two, cost) in HOPS.windows(2).zip(race.added()) {
        println!("first byte, each hop from {} to {}: {cost:.2} ms", two[0], two[1]);
    }
    for way in &WAYS[..3] {
        for hops in &HOPS[1..] {
            println!("cut-through / {way:?}, {hops} hops: {}", race.against(*hops, *way));
        }
    }
    let missed = race.missed(|ratios| ratios.range.0 > 1.0 || ratios.worst > 1.10);
    missed.iter().for_each(|what| println!("MISSED: {what}"));
    // So many seeds leave it open, but it is no pass either: said, and not failed by.
    let strictly = race.missed(|ratios| ratios.median > 1.0);
    let open = strictly.iter().filter(|what| !missed.contains(what));
    open.for_each(|what| println!("MISSED, by the median alone: {what}"));
    if missed.is_empty() { ExitCode::SUCCESS } else { ExitCode::FAILURE }
}
