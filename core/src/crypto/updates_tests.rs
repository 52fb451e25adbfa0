//! Tests of `updates.rs`.

use super::*;

/// spec: R-KEY-24
#[test]
fn a_burst_and_then_a_rate() {
    for (mut rate, burst, each) in [(UpdateRate::of_peer(), 64, 16), (UpdateRate::own(), 32, 8)] {
        let mut counted = [0; 3];
        for millis in 0..3_000_u64 {
            let now = Instant::from_nanos(1_000_000 * millis);
            while rate.allows(now) {
                rate.count(now);
                counted[(millis / 1_000) as usize] += 1;
            }
        }
        assert_eq!(counted, [burst + each - 1, each, each]);
    }
}
