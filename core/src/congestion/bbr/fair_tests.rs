//! What lets flows come to equal shares, rule by rule. What comes of it, flow by flow, is in the
//! tests of whole endpoints.

use core::time::Duration;

use super::*;
use crate::congestion::Weir;

const DATAGRAM: u64 = 1_200;

fn at(seconds: u64) -> Instant {
    Instant::from_nanos(seconds * 1_000_000_000)
}

/// A controller that saw a path of 40 ms and a megabyte a second, in steady state.
fn cruising<R: Rules>() -> Bbr<R> {
    let mut it = Bbr::<R>::new(&CongestionConfig::default(), 1_200);
    wait(&mut it, 40, at(1));
    it.max_rate.update(1_000_000);
    it.full.reached = true;
    it.mode = Mode::Cruise;
    it.window = 50 * DATAGRAM;
    it
}

/// The last packets took so many milliseconds.
fn wait<R: Rules>(it: &mut Bbr<R>, millis: u64, now: Instant) {
    (0..4).for_each(|_| it.min_rtt.update::<R>(Some(Duration::from_millis(millis)), now));
}

/// spec: R-CC-49
#[test]
fn a_probe_that_lost_too_much_leaves_seven_tenths() {
    let flight = 100 * DATAGRAM;
    let mut drafted = cruising::<Drafted>();
    drafted.on_too_high(flight, false, at(2));
    assert_eq!(drafted.bounds.long, flight);
    let mut weir = cruising::<Weir>();
    weir.on_too_high(flight, false, at(2));
    assert_eq!(weir.bounds.long, flight * 7 / 10);
}

/// One datagram of a hundred: the draft lets two pass.
///
/// spec: R-CC-25, R-CC-49
#[test]
fn of_a_flight_that_probes_nothing_is_let_pass() {
    assert!(!cruising::<Drafted>().is_excess(DATAGRAM, 100 * DATAGRAM));
    assert!(cruising::<Drafted>().is_excess(3 * DATAGRAM, 100 * DATAGRAM));
    assert!(cruising::<Weir>().is_excess(DATAGRAM, 100 * DATAGRAM));
}

/// spec: R-CC-49
#[test]
fn a_bound_that_a_queue_taught_holds_while_one_stands() {
    let bounded = |it: &mut Bbr<Weir>| {
        it.window = 50 * DATAGRAM;
        it.bound_window();
        it.window
    };
    let mut it = cruising::<Weir>();
    wait(&mut it, 80, at(2));
    it.on_too_high(20 * DATAGRAM, false, at(2));
    let bound = it.with_headroom();
    assert_eq!(bounded(&mut it), bound);
    wait(&mut it, 40, at(3));
    assert_eq!(bounded(&mut it), 50 * DATAGRAM, "nothing waits");
    it.mode = Mode::Up;
    assert_eq!(bounded(&mut it), it.bounds.long, "who probes is bound");
    it.mode = Mode::Cruise;
    wait(&mut it, 80, at(4));
    assert_eq!(bounded(&mut it), bound, "a queue stands again");

    // What was lost where nothing waits bounds where nothing waits.
    wait(&mut it, 40, at(5));
    it.on_too_high(20 * DATAGRAM, false, at(5));
    let bound = it.with_headroom();
    assert_eq!(bounded(&mut it), bound);
}

/// Losses that were none take back what they said, and with it where that held.
///
/// spec: R-CC-30, R-CC-49
#[test]
fn an_undo_brings_back_where_a_bound_holds() {
    let mut it = cruising::<Weir>();
    it.on_too_high(40 * DATAGRAM, false, at(2));
    assert!(it.is_bound(), "nothing waited, and too much was lost");
    let before = it.bounds.long;
    it.bounds.save();
    it.window = 20 * DATAGRAM;
    wait(&mut it, 80, at(3));
    it.on_too_high(20 * DATAGRAM, false, at(3));
    wait(&mut it, 40, at(4));
    assert!(!it.is_bound() && it.bounds.long < before);
    it.bounds.restore();
    assert!(it.is_bound());
    assert_eq!(it.bounds.long, before);
}

/// spec: R-CC-28, R-CC-33, R-CC-49
#[test]
fn marks_that_end_startup_bound_though_nothing_waits() {
    let mut it = cruising::<Weir>();
    (it.mode, it.full.reached) = (Mode::Startup, false);
    (0..6).for_each(|_| it.on_marked(at(2)));
    let rate = RateSample {
        delivered: 10 * DATAGRAM,
        interval: Duration::from_millis(40),
        prior_delivered: 0,
        total_delivered: 10 * DATAGRAM,
        tx_in_flight: 10 * DATAGRAM,
        lost: 0,
        app_limited: false,
    };
    let acked = Acked {
        bytes: 10 * DATAGRAM,
        sent: at(1),
        in_flight: 0,
        app_limited: false,
        rtt: None,
        rate: Some(rate),
    };
    let sample = it.sample(&acked, &rate);
    it.losses.on_acked(&rate, &sample);
    it.look_for_startup_loss(&sample);
    assert!(it.full.reached && it.bounds.long != UNBOUND);
    assert!(it.is_bound());
}

/// spec: R-CC-50
#[test]
fn a_small_flight_probes_for_more_of_its_own() {
    let pace = |datagrams| <Weir as Rules>::probe_pace(datagrams);
    assert_eq!([0, 1, 2, 4, 9, 16, 25].map(pace), [200, 200, 192, 165, 143, 132, 126]);
    assert_eq!([27, 260, 100_000].map(pace), [125; 3]);
    assert_eq!([1, 4, 260].map(<Drafted as Rules>::probe_pace), [125; 3]);
    let mut it = cruising::<Weir>();
    it.mode = Mode::Up;
    // 40 ms of a megabyte a second are 33 datagrams, of which an eighth of the rate has four.
    assert_eq!(it.pacing_gain(), 125);
    it.bounds.short_rate = 125_000;
    assert_eq!(it.pacing_gain(), 165);
    it.mode = Mode::Cruise;
    assert_eq!(it.pacing_gain(), 100);
}

/// The queue of many that never empties becomes no part of the path within seconds.
///
/// spec: R-CC-33
#[test]
fn an_empty_path_is_remembered_for_minutes() {
    let mut it = cruising::<Weir>();
    for second in 2..300 {
        wait(&mut it, 60, at(second));
        assert_eq!(it.min_rtt.queue(), 20_000_000, "after {second} s");
    }
    assert_eq!(it.min_rtt.get(), Some(60_000_000), "the draft's filter has forgotten it");
    for second in 300..=600 {
        wait(&mut it, 60, at(second));
        assert_eq!(it.min_rtt.queue(), 20_000_000, "after {second} s: in the window before");
    }
    wait(&mut it, 60, at(601));
    assert_eq!(it.min_rtt.queue(), 0, "a path that was long for ten minutes is long");
}

/// Nor beyond them: what was measured before a long silence says nothing after it.
///
/// spec: R-CC-33
#[test]
fn after_a_long_silence_the_path_is_learnt_anew() {
    let mut it = cruising::<Weir>();
    wait(&mut it, 60, at(599));
    assert_eq!(it.min_rtt.queue(), 20_000_000, "in the window before");
    let mut it = cruising::<Weir>();
    wait(&mut it, 60, at(602));
    assert_eq!(it.min_rtt.queue(), 0);
}
