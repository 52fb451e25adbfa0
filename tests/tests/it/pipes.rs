//! Streams through relays.

use std::time::Duration;

use aqueduct_tests::link::LinkConfig;
use aqueduct_tests::relay::{Chain, Forwarding};

/// A hop as in the field: 20 ms one way, 100 Mbit/s.
fn hop(loss: u32) -> LinkConfig {
    let rate = Some(100_000_000 / 8);
    LinkConfig {
        delay: Duration::from_millis(20),
        loss,
        rate,
        queue: 1 << 20,
        ..LinkConfig::default()
    }
}

/// spec: R-PIPE-1 R-PIPE-2 R-PIPE-3 R-PIPE-6
#[test]
fn a_stream_flows_through_relays_while_it_arrives() {
    for seed in 0..6 {
        for hops in [2, 8] {
            let whole = |way| {
                let mut chain = Chain::new(seed, hops, hop(10), way);
                let passage = chain.pass(3, 16 << 20, Duration::from_secs(300));
                (passage.first_byte.unwrap().as_secs_f64(), passage.whole.unwrap().as_secs_f64())
            };
            let a = whole(Forwarding::InOrder);
            let b = whole(Forwarding::CutThrough);
            println!("{seed} {hops} hops: {a:?} {b:?} {:.3}", b.1 / a.1);
        }
    }
}
