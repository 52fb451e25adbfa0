use std::time::Duration;

use super::{LATENCY_BOUNDS, Latencies};

#[test]
fn each_length_is_counted_once_and_under_the_first_bound_that_holds_it() {
    let latencies = Latencies::default();
    latencies.note(Duration::ZERO);
    for bound in LATENCY_BOUNDS {
        latencies.note(bound);
        latencies.note(bound + Duration::from_nanos(1));
    }
    let stats = latencies.snapshot();
    let bounds = LATENCY_BOUNDS.len();
    // Nothing and the bound itself; then each bound with what was just above the one before.
    assert_eq!(stats.counts[..bounds], [2; 14]);
    assert_eq!(stats.counts[bounds], 1);
    assert_eq!(stats.count(), 2 * bounds as u64 + 1);
    let sum: Duration = LATENCY_BOUNDS.iter().sum();
    assert_eq!(stats.sum, 2 * sum + Duration::from_nanos(bounds as u64));
    assert!(LATENCY_BOUNDS.is_sorted());
}
