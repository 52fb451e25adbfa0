//! Every operation that a tape knows (spec R-TAPE-8) is made, recorded and made again.

use std::collections::BTreeSet;

use aqueduct_core::tape::{Op, Payload};
use aqueduct_core::trace::{self, Divergence, Replay};
use aqueduct_tests::every::every;
use aqueduct_tests::tapes::again;

use crate::tapes::golden;

/// Operations that are on no tape that runs again, and why.
const EXCEPT: [(Op, &str); 1] = [(
    Op::Unfinished,
    "a `poll` that panicked: `a_poll_that_never_came_back_is_told` records one, and nothing \
     that comes back is the same",
)];

fn seen(tapes: &[Vec<u8>]) -> BTreeSet<Op> {
    let records = |tape| trace::records(tape).unwrap().map(|record| record.unwrap().op);
    tapes.iter().flat_map(|tape| records(tape)).collect()
}

/// spec: R-TAPE-1 R-TAPE-8 R-TAPE-11
#[test]
fn every_operation_is_recorded_and_runs_again() {
    let tapes = every(Payload::Full);
    for tape in &tapes {
        println!("{} bytes, {:?}", tape.len(), again(tape));
        assert!(again(tape).is_whole());
    }
    has_every_operation(&tapes);
}

fn has_every_operation(tapes: &[Vec<u8>]) {
    let seen = seen(tapes);
    let wanted = Op::ALL.iter().copied().filter(|op| EXCEPT.iter().all(|(none, _)| none != op));
    let missing: Vec<_> = wanted.filter(|op| !seen.contains(op)).collect();
    assert!(missing.is_empty(), "on none of the tapes: {missing:?}");
    for (op, why) in EXCEPT {
        assert!(!seen.contains(&op), "{op:?} is no exception any more: {why}");
    }
}

/// What was given is on the tape by its length only: all but the tags comes again.
///
/// spec: R-TAPE-12 R-RPT-3
#[test]
fn every_operation_runs_again_without_the_bytes_that_were_given() {
    let tapes = every(Payload::Referenced);
    for tape in &tapes {
        assert_eq!(trace::replay(tape), Err(Divergence::Referenced));
        assert!(Replay::of(tape).unwrap().with_zeros().run().unwrap().is_whole());
    }
    assert_eq!(seen(&tapes), seen(&every(Payload::Full)));
}

/// Who only looks sees the same operations, redacted afterwards or never kept.
///
/// spec: R-TAPE-12 R-TAPE-13
#[test]
fn every_operation_is_shown_without_payload() {
    let redacted = every(Payload::Full).map(|tape| trace::redact(&tape).unwrap());
    let elided = every(Payload::Elided);
    assert_eq!(seen(&redacted), seen(&elided));
    for (one, other) in redacted.iter().zip(&elided) {
        let count = |tape| trace::records(tape).unwrap().count();
        assert_eq!(count(one), count(other));
    }
}

/// The golden tapes that keep the meaning of each: source, relay and sink.
const NAMES: [&str; 3] = ["every-source.tape", "every-relay.tape", "every-sink.tape"];

/// That they run is looked at with the other golden tapes.
///
/// spec: R-TAPE-17
#[test]
fn every_operation_is_on_a_golden_tape() {
    has_every_operation(&NAMES.map(|name| std::fs::read(golden().join(name)).unwrap()));
}

/// Writes them: after a change that is meant.
#[test]
#[ignore = "writes spec/traces/every-*.tape"]
fn write_golden_traces_of_every_operation() {
    for (name, tape) in NAMES.into_iter().zip(every(Payload::Full)) {
        assert!(again(&tape).is_whole());
        std::fs::write(golden().join(name), tape).unwrap();
    }
}
