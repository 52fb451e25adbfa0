//! The trace event format: what Perfetto asks of each phase is there.

use std::collections::BTreeSet;

use aqueduct_core::tape::Payload;
use aqueduct_tests::tapes::small;
use aqueduct_trace::{Format, export};
use serde_json::Value;

use crate::support::{bulk, losses, tells, views};

fn written(tape: &[u8]) -> Vec<u8> {
    let mut out = Vec::new();
    export(tape, Format::Chrome, &mut out).unwrap();
    out
}

/// spec: R-RPT-10 R-RPT-12
#[test]
fn every_event_has_what_its_phase_demands() {
    for tape in small(Payload::Full).iter().chain(&bulk(Payload::Full)) {
        let file: Value = serde_json::from_slice(&written(tape)).unwrap();
        let events = file["traceEvents"].as_array().unwrap();
        let mut named = BTreeSet::new();
        for event in events {
            assert!(event["name"].is_string() && event["pid"].is_u64(), "{event}");
            match event["ph"].as_str().unwrap() {
                "M" => {
                    assert!(event["args"]["name"].is_string(), "{event}");
                    named.insert((event["pid"].as_u64(), event["tid"].as_u64()));
                }
                "X" => {
                    assert!(event["ts"].as_f64() >= Some(0.0), "{event}");
                    assert!(event["dur"].as_f64() >= Some(0.0), "{event}");
                    assert!(named.contains(&(event["pid"].as_u64(), event["tid"].as_u64())));
                }
                "C" => {
                    let values = event["args"].as_object().unwrap();
                    assert!(values.len() == 1 && values.values().all(Value::is_number), "{event}");
                    assert!(event["ts"].is_number());
                }
                "i" => assert!(event["s"] == "t" && event["ts"].is_number(), "{event}"),
                other => panic!("a phase {other}"),
            }
        }
        let lost = events.iter().filter(|event| event["name"] == "lost").count();
        assert_eq!(lost, losses(&views(tape)));
        assert!(!tells(&written(tape)));
    }
}

/// spec: R-RPT-10
#[test]
fn a_stream_is_one_slice_with_its_bytes() {
    let file: Value = serde_json::from_slice(&written(&bulk(Payload::Full)[0])).unwrap();
    let events = file["traceEvents"].as_array().unwrap();
    let slices: Vec<_> = events.iter().filter(|event| event["ph"] == "X").collect();
    let big = slices.iter().filter(|slice| slice["args"]["bytes out"].as_u64() >= Some(300_000));
    assert_eq!(big.count(), 1, "{slices:?}");
    let counters: BTreeSet<_> = events.iter().filter(|event| event["ph"] == "C").collect_names();
    for wanted in ["congestion window", "in flight", "pacing rate", "round trip, smoothed"] {
        assert!(counters.contains(wanted), "{wanted} of {counters:?}");
    }
}

trait Names {
    fn collect_names(self) -> BTreeSet<String>;
}

impl<'a, I: Iterator<Item = &'a Value>> Names for I {
    fn collect_names(self) -> BTreeSet<String> {
        self.map(|event| event["name"].as_str().unwrap().to_owned()).collect()
    }
}
