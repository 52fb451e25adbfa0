use core::time::Duration;

use proptest::prelude::*;

use super::{GRANULARITY, INITIAL_RTT, MAX_RTT, Rtt};

const MAX_DELAY: Duration = Duration::from_millis(25);

fn ms(ms: u64) -> Duration {
    Duration::from_millis(ms)
}

/// The formulas of RFC 9002 section 5.3, by hand.
///
/// spec: R-REC-1
#[test]
fn follows_rfc_9002() {
    let mut rtt = Rtt::new();
    assert_eq!((rtt.smoothed(), rtt.variance()), (INITIAL_RTT, INITIAL_RTT / 2));
    assert_eq!(rtt.pto_base(), INITIAL_RTT * 3);
    // The first sample takes over whole; its ACK delay is ignored.
    rtt.on_sample(ms(100), ms(10), MAX_DELAY);
    assert_eq!((rtt.latest(), rtt.smoothed(), rtt.variance()), (ms(100), ms(100), ms(50)));
    assert_eq!(rtt.min(), ms(100));
    // 120 less 10: variance (3 * 50 + |100 - 110|) / 4, average (7 * 100 + 110) / 8.
    rtt.on_sample(ms(120), ms(10), MAX_DELAY);
    assert_eq!(rtt.variance(), ms(40));
    assert_eq!(rtt.smoothed(), Duration::from_micros(101_250));
    assert_eq!(rtt.pto_base(), Duration::from_micros(261_250));
    assert_eq!(rtt.pto(MAX_DELAY), Duration::from_micros(286_250));
    assert_eq!(rtt.loss_delay(1), ms(135));
}

/// spec: R-REC-1
#[test]
fn ack_delay_is_believed_up_to_the_promise() {
    let (mut honest, mut boasting) = (Rtt::new(), Rtt::new());
    for rtt in [&mut honest, &mut boasting] {
        rtt.on_sample(ms(50), ms(0), MAX_DELAY);
    }
    honest.on_sample(ms(100), MAX_DELAY, MAX_DELAY);
    boasting.on_sample(ms(100), Duration::MAX, MAX_DELAY);
    assert_eq!(honest, boasting);
}

/// spec: R-REC-1
#[test]
fn ack_delay_never_takes_below_the_minimum() {
    let mut rtt = Rtt::new();
    rtt.on_sample(ms(50), ms(0), MAX_DELAY);
    // 60 - 20 would be faster than was ever seen, so 60 stands.
    rtt.on_sample(ms(60), ms(20), MAX_DELAY);
    assert_eq!(rtt.smoothed(), Duration::from_micros(51_250));
}

/// Absurd samples (a clock that jumped an hour, one that stood still) leave every timer usable.
///
/// spec: R-REC-1
#[test]
fn absurd_samples_are_clamped() {
    let mut rtt = Rtt::new();
    rtt.on_sample(Duration::from_secs(3600), ms(0), MAX_DELAY);
    assert_eq!(rtt.latest(), MAX_RTT);
    let mut rtt = Rtt::new();
    rtt.on_sample(Duration::ZERO, Duration::MAX, Duration::MAX);
    assert!(rtt.smoothed() > Duration::ZERO);
    assert!(rtt.pto_base() > GRANULARITY);
    assert_eq!(rtt.loss_delay(1), GRANULARITY);
}

/// spec: R-REC-1
#[test]
fn persistent_congestion_lets_the_minimum_rise() {
    let mut rtt = Rtt::new();
    rtt.on_sample(ms(10), ms(0), MAX_DELAY);
    rtt.on_persistent_congestion();
    rtt.on_sample(ms(80), ms(0), MAX_DELAY);
    assert_eq!(rtt.min(), ms(80));
}

proptest! {
    /// Whatever comes in, the estimate stays inside what was seen and nothing overflows.
    #[test]
    fn stays_inside_the_samples(
        samples in proptest::collection::vec((any::<u64>(), any::<u64>()), 1..50),
    ) {
        let mut rtt = Rtt::new();
        let (mut low, mut high) = (u64::MAX, 0);
        for (latest, delay) in samples {
            rtt.on_sample(Duration::from_nanos(latest), Duration::from_nanos(delay), MAX_DELAY);
            let seen = latest.clamp(1, 60_000_000_000);
            (low, high) = (low.min(seen), high.max(seen));
            let smoothed = rtt.smoothed().as_nanos() as u64;
            // Whole-number division may round down by one at each step.
            prop_assert!(smoothed + 8 >= low && smoothed <= high);
            prop_assert_eq!(rtt.min().as_nanos() as u64, low);
            prop_assert!(rtt.variance() <= MAX_RTT);
            prop_assert!(rtt.loss_delay(1) <= MAX_RTT + MAX_RTT / 8);
        }
    }
}
