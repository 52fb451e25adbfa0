//! The table of named scenarios, each played twice; the heavy ones with `AQUEDUCT_HEAVY=1`, and in
//! `.ci/search` as `aqueduct sim run all`.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Mutex, PoisonError};
use std::thread;

use aqueduct_tests::scenario::{self, Scenario};

/// Plays these on all cores.
fn play(scenarios: &[&Scenario]) {
    let (next, failed) = (AtomicUsize::new(0), Mutex::new(Vec::new()));
    let work = || {
        while let Some(scenario) = scenarios.get(next.fetch_add(1, Ordering::Relaxed)) {
            match scenario::twice(scenario.name, 1) {
                Ok(report) => println!("{:20} {:?}", scenario.name, report.figures),
                Err(failure) => {
                    let name = scenario.name;
                    let text = format!(
                        "{name}: {}\nrepeat: aqueduct sim run {name} --seed 1",
                        failure.what
                    );
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
