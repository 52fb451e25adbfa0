//! The table of named scenarios, each played twice; the heavy ones with `AQUEDUCT_HEAVY=1`, and in
//! `.ci/search` as `aqueduct sim run all`.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Mutex, PoisonError};
use std::thread;

use aqueduct_tests::link::LinkConfig;
use aqueduct_tests::net::Net;
use aqueduct_tests::scenario::{self, Scenario};
use aqueduct_tests::swarm::search::{compared, hush};
use aqueduct_tests::{WIRE_IS_READ, transfer};

use crate::transfer::config;

/// Plays these on all cores.
fn play(scenarios: &[&Scenario]) {
    let (next, failed) = (AtomicUsize::new(0), Mutex::new(Vec::new()));
    let work = || {
        while let Some(scenario) = scenarios.get(next.fetch_add(1, Ordering::Relaxed)) {
            match scenario::twice(scenario.name, 1) {
                Ok((report, replayed)) => {
                    println!("{:20} {:?}, {replayed} tapes", scenario.name, report.figures);
                }
                Err(failure) => {
                    let name = scenario.name;
                    let repeat = scenario::repeat(name, 1);
                    let text = format!("{name}: {}\nrepeat: {repeat}", failure.what);
                    failed.lock().unwrap_or_else(PoisonError::into_inner).push(text);
                }
            }
        }
    };
    let threads = thread::available_parallelism().map_or(1, usize::from);
    thread::scope(|scope| (0..threads).for_each(|_| drop(scope.spawn(work))));
    let failed = failed.into_inner().unwrap_or_else(PoisonError::into_inner);
    assert!(failed.is_empty(), "{}", failed.join("\n"));
}

/// spec: R-EP-43
#[test]
fn every_scenario_goes_well_and_the_same_way_twice() {
    let heavy = std::env::var_os("AQUEDUCT_HEAVY").is_some();
    let scenarios: Vec<_> = scenario::all().filter(|scenario| !scenario.heavy || heavy).collect();
    play(&scenarios);
}

#[test]
fn names_of_scenarios_are_their_own() {
    let mut names: Vec<_> = scenario::all().map(|scenario| scenario.name).collect();
    let count = names.len();
    names.sort_unstable();
    names.dedup();
    assert_eq!(names.len(), count);
    assert!(scenario::twice("no such thing", 1).is_err());
}

/// What is seen only where hosts are recorded is seen in the second of two runs.
///
/// spec: R-TAPE-22
#[test]
fn the_second_of_two_runs_is_recorded() {
    hush();
    let net = || Net::new(1, LinkConfig::default());
    let fails = compared(1, || {
        let mut net = net();
        let host = net.add(config(1), 1);
        assert!(net.host(host).endpoint.tape().is_none(), "only on tape");
    });
    assert!(fails.unwrap_err().what.contains("only on tape"));
    let differs = compared(1, || net().tapes.payload);
    if std::env::var_os("AQUEDUCT_TAPES").is_none() {
        assert!(differs.unwrap_err().what.contains("two runs of one seed differ"));
    }
    let nothing = compared(1, || net().fingerprint());
    assert!(nothing.unwrap_err().what.contains("no tape was replayed"));
    let two = compared(1, || {
        let mut net = net();
        let (a, b) = (net.add(config(1), 1), net.add(config(2), 2));
        transfer::connected(&mut net, a, b);
        net.fingerprint()
    });
    assert_eq!(two.map(|(_, replayed)| replayed), Ok(2));
}

/// A command that does not read the wire does not see a number that is used twice.
///
/// spec: R-TAPE-22
#[test]
fn what_repeats_a_run_reads_the_wire_as_the_run_did() {
    let repeat = scenario::repeat("world", 7);
    assert!(repeat.ends_with("sim run world --seed 7"), "{repeat}");
    assert_eq!(repeat.contains("--features wiretap"), WIRE_IS_READ, "{repeat}");
    assert_eq!(repeat.contains("--release"), WIRE_IS_READ && !cfg!(debug_assertions), "{repeat}");
}
