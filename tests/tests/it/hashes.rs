//! The same world is the same in every build: a table of hashes, which this suite plays with debug
//! assertions and less optimisation, and `.ci/run` by the command as it is released.

use std::fmt::Write;
use std::fs;

use aqueduct_tests::scenario;

const PATH: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/tables/worlds.txt");

const HEAD: &str = "\
# Hashes of all datagrams of a run, with their times and addresses, and of every endpoint's state at its
# end: scenario, seed, hash. They change with what the core does, and are then written anew, on purpose:
# `cargo test -p aqueduct-tests --test it write_hashes -- --ignored`
";

/// Random worlds, and single things: a bad way, marks, NATs, clocks that differ, a way that changes,
/// limits and bursts of datagrams, pipes, keys.
const RUNS: [(&str, u64); 24] = [
    ("world", 1),
    ("world", 2),
    ("world", 3),
    ("world", 4),
    ("world", 5),
    ("world", 6),
    ("world", 7),
    ("world", 8),
    ("world", 1_882_512_264_531_800),
    ("world", 1_882_513_241_805_989),
    ("ecn", 1),
    ("handshake", 1),
    ("longrtt", 1),
    ("retry", 1),
    ("nats", 1),
    ("clocks", 1),
    ("connectionmigration", 1),
    ("world", 9),
    ("world", 22),
    ("chain", 1),
    ("punch", 1),
    ("keyupdate", 1),
    ("full-sockets", 1),
    ("ipv6", 1),
];

fn table() -> String {
    let mut table = HEAD.to_owned();
    for (name, seed) in RUNS {
        let scenario = scenario::find(name).unwrap_or_else(|| panic!("no {name}"));
        let hash = (scenario.run)(seed).fingerprint;
        let hash = hash.iter().fold(String::new(), |text, byte| text + &format!("{byte:02x}"));
        writeln!(table, "{name} {seed} {hash}").expect("a string");
    }
    table
}

/// spec: R-EP-43
#[test]
fn worlds_have_the_hashes_of_the_table() {
    let known = fs::read_to_string(PATH).expect("the table");
    for (known, now) in known.lines().zip(table().lines()) {
        assert_eq!(known, now, "who changed the core on purpose writes the table anew");
    }
    assert_eq!(known.lines().count(), HEAD.lines().count() + RUNS.len());
}

#[test]
#[ignore = "writes tests/tables/worlds.txt"]
fn write_hashes() {
    fs::write(PATH, table()).expect("the table");
}
