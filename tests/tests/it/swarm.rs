//! Random worlds of two to four hosts, each told by one number (`aqueduct_tests::swarm`).
//!
//! `AQUEDUCT_SEED=n AQUEDUCT_SEEDS=m` plays the worlds from n on; `AQUEDUCT_SECONDS=s` plays for so
//! long instead, on all cores.

use std::time::Duration;

use aqueduct_tests::swarm::search::{Search, Tally, never_taken};

use crate::search::number;

/// Worlds that found something, kept: after a pause a batch left that fitted the window before it
/// (twice); a node at which rogues came and went was too full for an honest one.
const KNOWN: [u64; 3] = [1_882_512_264_531_800, 1_882_513_241_805_989, 1_882_523_534_623_975];

/// Rare branches that the usual worlds need not take.
const NEVER: usize = 8;

fn report(tally: &Tally) {
    println!("{} worlds, {:.1} a second, {tally:?}", tally.worlds, tally.rate());
    for failure in &tally.failures {
        println!("world {}: {}", failure.seed, failure.what);
        println!(
            "repeat with AQUEDUCT_SEED={0} AQUEDUCT_SEEDS=1, or with `aqueduct sim run world --seed {0}`",
            failure.seed
        );
    }
    assert!(tally.failures.is_empty(), "{} worlds failed", tally.failures.len());
}

/// spec: R-EP-43
#[test]
fn in_random_worlds_what_lives_comes_to_its_end_and_what_does_not_is_reported() {
    let seconds = number("AQUEDUCT_SECONDS").map(Duration::from_secs);
    let search = Search {
        first: number("AQUEDUCT_SEED").unwrap_or(0),
        seeds: number("AQUEDUCT_SEEDS").unwrap_or(seconds.map_or(48, |_| u64::MAX)),
        time: seconds,
        jobs: std::thread::available_parallelism().map_or(1, usize::from),
        ..Search::default()
    };
    for first in KNOWN {
        report(&Search { first, seeds: 1, time: None, ..search.clone() }.run(|_| ()));
    }
    let tally = search.run(|_| ());
    report(&tally);
    let never = never_taken();
    println!("never: {never:?}");
    // The usual worlds take nearly all; a longer search says what is left.
    assert!(never.len() <= NEVER, "too little was searched, never: {never:?}");
    assert!(tally.unbroken * 4 >= tally.worlds, "too many connections are lost to look at");
}

/// Worlds that take a branch that few take.
const RARE: [(u64, &str); 2] = [
    (5, "crypto: a packet is below the window"),
    (31, "recovery: a peer that answers is given up"),
];

/// spec: R-REC-26
#[test]
fn the_rarest_branches_are_taken_by_some_world() {
    for (first, name) in RARE {
        report(&Search { first, seeds: 1, ..Search::default() }.run(|_| ()));
        assert!(!never_taken().contains(&name), "world {first}: not {name}");
    }
}
