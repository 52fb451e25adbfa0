//! A slow sink slows its source, over any number of relays, and nothing is dropped on the way.

use std::thread;

use aqueduct_tests::scenario::chain::slow_sink;

use crate::matrix::Named;

/// spec: R-PIPE-6 R-PIPE-8 R-FLOW-11
#[test]
fn a_slow_sink_slows_its_source_over_six_hops() {
    thread::scope(|scope| {
        for seed in 1..=5 {
            scope.spawn(move || {
                let _named = Named(format!("aqueduct sim run chain-slow-sink --seed {seed}"));
                println!("seed {seed}: {:?}", slow_sink(seed).figures);
            });
        }
    });
}
