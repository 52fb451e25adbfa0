//! Rates that are kept, bursts that are bounded, timers that are coarse and late.

use core::time::Duration;

use proptest::prelude::*;

use super::*;
use crate::congestion::{Algorithm, Congestion, CongestionConfig};

const SECOND: u64 = 1_000_000_000;

/// A pacer for `rate` bytes a second with its first burst spent.
fn pacer(rate: u64, granularity: u64, datagram: u16) -> Pacer {
    let granularity = Duration::from_nanos(granularity);
    let mut pacer = Pacer::new(granularity, datagram, 12_000, Instant::ZERO);
    pacer.set_rate(Pace { bytes: rate, over: Duration::from_secs(1) }, Instant::ZERO);
    pacer.on_sent(12_000, Instant::ZERO);
    pacer
}

/// Sends as much as it may for `seconds`, waking `late` ns (as drawn) behind each deadline.
fn run(pacer: &mut Pacer, datagram: u64, seconds: u64, mut late: impl FnMut() -> u64) -> u64 {
    let mut now = Instant::ZERO;
    let mut sent = 0;
    while now.as_nanos() < seconds * SECOND {
        while pacer.may_send(datagram, now) {
            pacer.on_sent(datagram, now);
            sent += datagram;
        }
        let deadline = pacer.deadline();
        assert!(deadline > now, "a deadline in the past while nothing may leave");
        now = deadline + Duration::from_nanos(late());
    }
    sent
}

/// Lesson 26: a rate that is computed is kept.
///
/// spec: R-CC-20
#[test]
fn the_rate_is_kept_at_every_rate_and_granularity() {
    for rate in [12_500, 125_000, 1_250_000, 12_500_000, 125_000_000, 1_250_000_000] {
        for granularity in [1, 100_000, 1_000_000, 4_000_000] {
            let mut pacer = pacer(rate, granularity, 1_200);
            let seconds = if rate < 10_000_000 { 20 } else { 1 };
            let sent = run(&mut pacer, 1_200, seconds, || 0) as f64;
            let wanted = (rate * seconds) as f64;
            let burst = pacer.burst() as f64;
            assert!(sent <= wanted + burst + 1_200.0, "{rate} {granularity}: {sent}");
            assert!(sent >= wanted * 0.98 - 2.0 * 1_200.0, "{rate} {granularity}: {sent}");
        }
    }
}

/// Timers fire up to a granularity late, at random.
///
/// spec: R-CC-20
#[test]
fn late_wake_ups_lose_less_than_two_percent() {
    let mut state = 1u64;
    for rate in [125_000, 1_250_000, 12_500_000, 125_000_000, 1_250_000_000] {
        for granularity in [1, 100_000, 1_000_000] {
            let mut pacer = pacer(rate, granularity, 1_452);
            let seconds = if rate < 10_000_000 { 20 } else { 1 };
            let late = || {
                state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
                (state >> 33) % granularity.max(1)
            };
            let sent = run(&mut pacer, 1_452, seconds, late) as f64;
            let wanted = (rate * seconds) as f64;
            assert!(sent >= wanted * 0.98 - 2.0 * 1_452.0, "{rate} {granularity}: {sent}");
            assert!(sent <= wanted + pacer.burst() as f64 + 1_452.0, "{rate} {granularity}");
        }
    }
}

/// spec: R-CC-17
#[test]
fn the_rate_is_two_windows_a_round_trip_in_slow_start_and_five_quarters_after() {
    let mut congestion = Congestion::new(
        &CongestionConfig { algorithm: Algorithm::Cubic, initial_datagrams: 10 },
        1_200,
    );
    let mut pacer = pacer(1, 1, 1_200);
    let mut rtt = Rtt::new();
    rtt.on_sample(Duration::from_millis(100), Duration::ZERO, Duration::ZERO);
    pacer.set_rate(congestion.pace(&rtt), Instant::ZERO);
    assert_eq!(pacer.bytes_per_second(), 240_000);
    let lost = crate::congestion::Lost { packets: 1, ..Default::default() };
    congestion.on_lost(&lost, Instant::ZERO);
    pacer.set_rate(congestion.pace(&rtt), Instant::ZERO);
    assert_eq!(pacer.bytes_per_second(), 8_400 * 10 * 5 / 4);
}

/// spec: R-CC-18
#[test]
fn a_burst_is_what_the_timer_needs_or_ten_datagrams_or_less_on_a_slow_path() {
    // 10 Gbit/s, 1 ms: two granularities are 2.5 MB, and the datagram.
    assert_eq!(pacer(1_250_000_000, 1_000_000, 1_200).burst(), 2_501_200);
    // With an exact timer ten datagrams.
    assert_eq!(pacer(1_250_000_000, 1, 1_200).burst(), 12_000);
    // 40 Mbit/s: a millisecond's worth is 5,000 bytes.
    assert_eq!(pacer(5_000_000, 1, 1_200).burst(), 5_000);
    // 1 Mbit/s: two datagrams.
    assert_eq!(pacer(125_000, 1_000_000, 1_200).burst(), 2_400);
    assert_eq!(pacer(125_000, 1, 1_200).burst(), 2_400);
    assert_eq!(pacer(125_000, 1, 65_507).burst(), 131_014);
    // However long nothing was sent.
    let mut idle = pacer(5_000_000, 1, 1_200);
    assert_eq!(idle.available(Instant::from_nanos(3_600 * SECOND)), 5_000);
}

/// Lesson 27: a fresh connection sends no more than its window at once.
///
/// spec: R-CC-19
#[test]
fn the_first_burst_is_the_initial_window_once() {
    let mut fresh = Pacer::new(Duration::from_nanos(1), 1_200, 12_000, Instant::ZERO);
    assert_eq!(fresh.available(Instant::ZERO), 12_000);
    let mut sent = 0;
    while fresh.may_send(1_200, Instant::ZERO) {
        fresh.on_sent(1_200, Instant::ZERO);
        sent += 1_200;
    }
    assert_eq!(sent, 12_000);
    // Then it earns at the rate, a burst at most.
    let later = Instant::from_nanos(60 * SECOND);
    assert_eq!(fresh.available(later), fresh.burst());
    assert!(fresh.burst() <= 2_400);
}

/// spec: R-CC-20
#[test]
fn deadlines_are_multiples_of_the_granularity() {
    let mut pacer = pacer(1_000_000, 1_000_000, 1_200);
    // 1,200 bytes at 1 MB/s take 1.2 ms.
    assert_eq!(pacer.deadline(), Instant::from_nanos(2_000_000));
    assert!(!pacer.may_send(1_200, Instant::from_nanos(1_199_999)));
    assert!(pacer.may_send(1_200, Instant::from_nanos(1_200_000)));
    // Later than it asked for, it has earned the rest, up to a burst.
    assert_eq!(pacer.available(Instant::from_nanos(2_000_000)), 2_000);
    assert_eq!(pacer.available(Instant::from_nanos(9_000_000)), 3_200);
}

proptest! {
    /// Over any time, no more leaves than rate times time and what may leave at once.
    ///
    /// spec: R-CC-18, R-CC-19
    #[test]
    fn never_more_than_the_rate_and_a_burst(
        steps in proptest::collection::vec((0..5_000_000u64, 1..20_000u64), 1..200),
        rate in 1..2_000_000_000u64,
        granularity in 1..5_000_000u64,
        datagram in 1_200..=65_507u16,
    ) {
        let granularity = Duration::from_nanos(granularity);
        let mut pacer = Pacer::new(granularity, datagram, 12_000, Instant::ZERO);
        pacer.set_rate(Pace { bytes: rate, over: Duration::from_secs(1) }, Instant::ZERO);
        let mut now = Instant::ZERO;
        let mut sent = 0u128;
        for (wait, bytes) in steps {
            now = now + Duration::from_nanos(wait);
            if pacer.may_send(bytes, now) && bytes <= pacer.burst() {
                pacer.on_sent(bytes, now);
                sent += u128::from(bytes);
            }
            let earned = u128::from(rate) * u128::from(now.as_nanos()) / u128::from(SECOND);
            prop_assert!(sent <= earned + u128::from(pacer.burst()) + 12_000);
            if !pacer.may_send(u64::from(datagram), now) {
                let deadline = pacer.deadline();
                prop_assert!(deadline > now);
                prop_assert_eq!(deadline.as_nanos() % nanos(granularity), 0);
                let mut then = pacer.clone();
                prop_assert!(then.may_send(u64::from(datagram), deadline));
            }
        }
    }
}
