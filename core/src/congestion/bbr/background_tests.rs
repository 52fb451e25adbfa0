//! What is judged as background, span by span, and which losses an undo is of.

use core::time::Duration;

use super::*;
use crate::congestion::{CongestionConfig, Weir};

const DATAGRAM: u64 = 1_200;

fn at(ms: u64) -> Instant {
    Instant::from_nanos(ms * 1_000_000)
}

fn weir() -> Bbr<Weir> {
    Bbr::new(&CongestionConfig::default(), 1_200)
}

/// Two hundred datagrams, of which some are lost in runs of a length.
fn span(it: &mut Background, lost: u64, run: u64) -> (Losses, bool) {
    it.span = Span {
        delivered: (200 - lost) * DATAGRAM,
        lost: lost * DATAGRAM,
        runs: lost / run,
        queued: false,
    };
    it.take_span(DATAGRAM).expect("enough to judge by")
}

/// One long burst, long ago, must not excuse whatever is lost later.
///
/// spec: R-CC-36
#[test]
fn a_long_run_is_forgotten_when_later_ones_are_short() {
    let mut it = Background::default();
    let (burst, _) = span(&mut it, 20, 20);
    it.learn(burst);
    assert_eq!(it.run, 20 * MILLI);
    for _ in 0..40 {
        let (single, _) = span(&mut it, 4, 1);
        it.learn(single);
    }
    assert!(it.run < 2 * MILLI, "{}", it.run);
    // A longer one is believed at once.
    let (burst, _) = span(&mut it, 10, 10);
    it.learn(burst);
    assert_eq!(it.run, 10 * MILLI);
}

/// Two rounds with a queue between them are not in a row.
///
/// spec: R-CC-36
#[test]
fn a_round_with_a_queue_ends_a_suspicion() {
    let mut it = weir();
    let round = |it: &mut Bbr<Weir>, queued: bool| {
        it.rounds.began = true;
        it.background.span =
            Span { delivered: 180 * DATAGRAM, lost: 20 * DATAGRAM, runs: 20, queued };
        let sample = Sample {
            rate: 0,
            delivered: 0,
            acked: 0,
            tx_in_flight: 0,
            excess_loss: false,
            app_limited: false,
            in_flight: 0,
            window_limited: true,
        };
        it.judge_losses(&sample, at(100));
    };
    it.mode = Mode::Cruise;
    it.max_rate.update(1_000_000);
    round(&mut it, false);
    assert!(matches!(it.background.trial, Trial::Suspected));
    round(&mut it, true);
    round(&mut it, false);
    assert!(matches!(it.background.trial, Trial::Suspected), "the first again");
    round(&mut it, false);
    assert!(matches!(it.background.trial, Trial::Begun(_)));
}

/// spec: R-CC-30
#[test]
fn what_bounded_nothing_undoes_nothing() {
    let mut it = weir();
    let rtt = |it: &mut Bbr<Weir>, ms| {
        (0..4).for_each(|_| it.min_rtt.update::<Weir>(Some(Duration::from_millis(ms)), at(0)));
    };
    let lost = |sent| Lost { packets: 1, bytes: DATAGRAM, sent, ranges: 1, excess: None };
    rtt(&mut it, 40);
    rtt(&mut it, 80);
    it.on_lost(&lost(at(10)), at(100));
    assert!(it.losses.in_round);
    it.bounds.short_rate = 5;
    rtt(&mut it, 40);
    it.on_lost(&lost(at(20)), at(110));
    it.on_spurious_loss(at(110));
    assert_eq!(it.bounds.short_rate, 5, "the loss that counted was one");
    it.on_spurious_loss(at(100));
    assert_ne!(it.bounds.short_rate, 5);
}

/// What is lost is judged against the path of minutes, and forgotten only if that had a queue.
///
/// spec: R-CC-36
#[test]
fn the_background_outlives_the_filter_of_seconds() {
    let mut it = weir();
    it.background.share = 50_000;
    let look = |it: &mut Bbr<Weir>, millis, now| {
        it.look_at_rtt(Some(Duration::from_millis(millis)), at(now));
    };
    look(&mut it, 40, 1_000);
    (2..20).for_each(|second| look(&mut it, 60, second * 1_000));
    assert_eq!(it.min_rtt.get(), Some(60_000_000), "the draft's filter has forgotten 40 ms");
    look(&mut it, 41, 20_000);
    assert_eq!(it.background.share, 50_000);
    look(&mut it, 30, 21_000);
    assert_eq!(it.background.share, 0, "40 ms had a queue");
}
