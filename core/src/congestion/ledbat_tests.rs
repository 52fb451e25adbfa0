//! The rules of LEDBAT++, one by one.

use super::*;
use crate::congestion::{Algorithm, Congestion, State};

const DATAGRAM: u64 = 1_200;

fn ms(ms: u64) -> Duration {
    Duration::from_millis(ms)
}

/// A sender that fills its window over an empty way of `least` on which `queue` waits.
struct Flow {
    it: Ledbat,
    least: Duration,
    queue: Duration,
    now: Instant,
}

impl Flow {
    fn new(least: u64) -> Self {
        let it = Ledbat::new(&CongestionConfig::default(), 1_200);
        Self { it, least: ms(least), queue: ms(0), now: Instant::ZERO + ms(1) }
    }

    /// In congestion avoidance at so many datagrams, the first slowdown over.
    fn avoiding(least: u64, datagrams: u64) -> Self {
        let mut flow = Self::new(least);
        flow.round();
        flow.it.base.set_window(datagrams * DATAGRAM);
        flow.it.base.end_slow_start();
        flow.it.slowdown = Slowdown::Until(flow.now + ms(1 << 40));
        flow
    }

    fn rtt(&self) -> Rtt {
        let mut rtt = Rtt::new();
        rtt.on_sample(self.least + self.queue, Duration::ZERO, Duration::ZERO);
        rtt
    }

    /// The ACKs of a window, evenly spread.
    fn round(&mut self) {
        let (start, window) = (self.now, self.it.base.window());
        let (count, time) = (window / DATAGRAM, self.least + self.queue);
        for i in 1..=count {
            self.now = start + time * i as u32 / count as u32;
            self.ack(false);
        }
    }

    fn ack(&mut self, app_limited: bool) {
        let rtt = Some(self.least + self.queue);
        let acked = Acked { bytes: DATAGRAM, sent: self.now, rtt, app_limited, ..Acked::default() };
        let rtt = self.rtt();
        self.it.on_acked(&acked, &rtt, self.now);
    }

    fn window(&self) -> u64 {
        self.it.base.window()
    }
}

/// spec: R-CC-40
#[test]
fn what_waits_is_the_least_of_four_beyond_the_least_of_ten_minutes() {
    let at = |seconds| Instant::ZERO + Duration::from_secs(seconds);
    let mut delays = Delays::new();
    assert_eq!((delays.least(), delays.queue()), (0, 0));
    delays.on_sample(20, at(1));
    for rtt in [50, 90, 70] {
        delays.on_sample(rtt, at(2));
    }
    assert_eq!(delays.queue(), 0);
    delays.on_sample(80, at(3));
    assert_eq!(delays.queue(), 30);
    // Nine minutes later it is still known, and then no more.
    delays.on_sample(60, at(9 * 60 + 59));
    assert_eq!(delays.least(), 20);
    delays.on_sample(60, at(10 * 60 + 1));
    assert_eq!(delays.least(), 50 + 10);
    delays.on_sample(75, at(100 * 60));
    assert_eq!(delays.least(), 75);
}

/// spec: R-CC-41
#[test]
fn it_begins_with_two_datagrams_and_grows_by_gain() {
    for (least, divisor) in [(1, 16), (8, 15), (50, 3), (60, 2), (100, 2), (120, 1), (500, 1)] {
        let mut flow = Flow::new(least);
        assert_eq!(flow.window(), 2 * DATAGRAM);
        flow.ack(false);
        assert_eq!(flow.it.delays.divisor(), divisor, "{least} ms");
        assert_eq!(flow.window(), 2 * DATAGRAM + DATAGRAM / divisor, "{least} ms");
        let before = flow.window();
        flow.ack(true);
        assert_eq!(flow.window(), before, "the application was the limit");
    }
}

/// spec: R-CC-41
#[test]
fn the_first_slow_start_ends_at_three_quarters_of_the_target() {
    let mut flow = Flow::new(120);
    flow.round();
    flow.queue = ms(45);
    (0..3).for_each(|_| flow.round());
    assert!(flow.it.base.in_slow_start());
    flow.queue = ms(46);
    (0..4).for_each(|_| flow.ack(false));
    assert!(flow.it.base.threshold().is_some() && !flow.it.base.in_slow_start());
    assert!(matches!(flow.it.slowdown, Slowdown::Until(_)));
}

/// spec: R-CC-42
#[test]
fn below_the_target_it_grows_by_gain_a_round_trip() {
    for (least, queue, divisor) in [(50, 0, 3), (50, 59, 3), (120, 60, 1), (5, 30, 16)] {
        let mut flow = Flow::avoiding(least, 100);
        flow.queue = ms(queue);
        (0..3).for_each(|_| flow.round());
        let grown = flow.window() - 100 * DATAGRAM;
        let wanted = 3 * DATAGRAM / divisor;
        assert!(grown.abs_diff(wanted) * 20 <= wanted, "{least}: {grown}, not {wanted}");
    }
}

/// spec: R-CC-42
#[test]
fn above_the_target_it_shrinks_by_what_is_too_much() {
    // 6 ms too much: a tenth of the window, less GAIN.
    let mut flow = Flow::avoiding(120, 100);
    flow.queue = ms(66);
    (0..3).for_each(|_| flow.ack(false));
    assert!(flow.window() >= 100 * DATAGRAM, "the least of four is the old one");
    flow.it.base.set_window(100 * DATAGRAM);
    let before = flow.window();
    flow.round();
    let lost = before - flow.window();
    let wanted = 10 * DATAGRAM - DATAGRAM;
    assert!(lost.abs_diff(wanted) * 10 <= wanted, "{lost}, not {wanted}");
    assert!(!flow.it.base.in_slow_start());
}

/// spec: R-CC-42
#[test]
fn it_never_loses_more_than_half_a_round_trip() {
    let mut flow = Flow::avoiding(20, 1_000);
    flow.queue = ms(2_000);
    (0..4).for_each(|_| flow.ack(false));
    let before = flow.window();
    flow.round();
    let after = flow.window();
    // Half, of a window that shrinks meanwhile.
    assert!(after > before / 2 && after < before * 65 / 100, "{before} to {after}");
    (0..40).for_each(|_| flow.round());
    assert_eq!(flow.window(), 2 * DATAGRAM);
    // An application that is the limit does not hold it up there.
    flow.it.base.set_window(100 * DATAGRAM);
    flow.ack(true);
    assert!(flow.window() < 100 * DATAGRAM);
}

/// spec: R-CC-43
#[test]
fn slowdowns_take_a_tenth_of_the_time() {
    let mut flow = Flow::new(120);
    while flow.window() < 200 * DATAGRAM {
        flow.round();
    }
    flow.queue = ms(50);
    (0..4).for_each(|_| flow.ack(false));
    let (ended, window) = (flow.now, flow.window());
    flow.queue = ms(0);
    while !matches!(flow.it.slowdown, Slowdown::Frozen(..)) {
        flow.ack(false);
        flow.now = flow.now + ms(1);
    }
    // Two round trips of 170 ms after slow start ended.
    let waited = flow.now.saturating_since(ended);
    assert!(waited >= ms(340) && waited <= ms(345), "{waited:?}");
    let began = flow.now;
    assert_eq!(flow.window(), 2 * DATAGRAM);
    while matches!(flow.it.slowdown, Slowdown::Frozen(..)) {
        assert_eq!(flow.window(), 2 * DATAGRAM);
        flow.round();
    }
    let frozen = flow.now.saturating_since(began);
    assert!(frozen >= ms(240) && frozen <= ms(400), "{frozen:?}");
    while matches!(flow.it.slowdown, Slowdown::Regrowing(_)) {
        flow.round();
    }
    assert!(flow.window() >= window, "as large as before");
    let took = flow.now.saturating_since(began);
    let Slowdown::Until(next) = flow.it.slowdown else { panic!("{:?}", flow.it.slowdown) };
    let pause = next.saturating_since(flow.now);
    assert!(pause <= took * 9 && pause + ms(120) * 9 >= took * 9, "{pause:?} after {took:?}");
}

/// spec: R-CC-44
#[test]
fn loss_and_marks_halve_it_once_a_round_trip() {
    let mut flow = Flow::avoiding(50, 100);
    let (sent, now) = (flow.now, flow.now + ms(50));
    flow.it.on_congestion(3, sent, now);
    assert_eq!(flow.window(), 50 * DATAGRAM);
    flow.it.on_congestion(1, sent, now);
    flow.it.on_congestion(0, now, now);
    assert_eq!(flow.window(), 50 * DATAGRAM);
    flow.it.on_congestion(0, now + ms(1), now + ms(51));
    assert_eq!(flow.window(), 25 * DATAGRAM);
}

/// spec: R-CC-45
#[test]
fn of_a_queue_that_overflows_it_wants_a_half() {
    let target = |flow: &Flow| flow.it.delays.target();
    let lose = |flow: &mut Flow| {
        let sent = flow.now;
        flow.now = flow.now + ms(50);
        flow.it.on_congestion(1, sent, flow.now);
    };
    let mut flow = Flow::avoiding(50, 100);
    flow.queue = ms(3);
    flow.round();
    lose(&mut flow);
    assert_eq!(target(&flow), TARGET, "no queue stands");
    flow.queue = ms(20);
    flow.round();
    assert_eq!(target(&flow), TARGET, "nothing is lost");
    lose(&mut flow);
    assert_eq!(target(&flow), 10_000_000);
    flow.queue = ms(30);
    flow.round();
    assert_eq!(target(&flow), 15_000_000, "there is more room than that");
    flow.queue = ms(5);
    flow.round();
    lose(&mut flow);
    assert_eq!(target(&flow), 15_000_000, "the most counts");
    flow.it.base.set_window(100 * DATAGRAM);
    flow.queue = ms(18);
    (0..2).for_each(|_| flow.round());
    assert!(flow.window() < 85 * DATAGRAM, "a fifth too much a round trip: {}", flow.window());
    let before = flow.window();
    flow.queue = ms(15);
    (0..2).for_each(|_| flow.round());
    assert!(flow.window() >= before, "as much as may");
    // A long queue changes nothing.
    flow.queue = ms(200);
    flow.round();
    assert_eq!(target(&flow), TARGET);
}

/// Never is it believed that a queue overflows, and forgotten with how much in it.
///
/// spec: R-CC-45
#[test]
fn what_overflows_is_forgotten_with_how_much_waited() {
    let mut flow = Flow::avoiding(50, 100);
    flow.now = Instant::ZERO + ms(30_000);
    flow.queue = ms(20);
    flow.round();
    flow.it.on_congestion(1, flow.now, flow.now + ms(50));
    flow.queue = ms(8);
    for second in 31..700 {
        flow.now = Instant::ZERO + ms(second * 1_000);
        flow.least = ms(50);
        let delays = &mut flow.it.delays;
        delays.on_sample(50_000_000, flow.now);
        flow.ack(false);
        let wanted = if second < 600 { 10_000_000 } else { TARGET };
        assert_eq!(flow.it.delays.target(), wanted, "after {second} s");
    }
}

/// spec: R-CC-7, R-CC-45
#[test]
fn a_loss_that_was_none_teaches_nothing() {
    let mut flow = Flow::avoiding(50, 100);
    flow.queue = ms(20);
    flow.round();
    let sent = flow.now;
    flow.it.on_congestion(1, sent, flow.now + ms(50));
    assert_eq!(flow.it.delays.target(), 10_000_000);
    flow.it.on_spurious_loss(sent);
    assert_eq!(flow.it.delays.target(), TARGET);
}

/// spec: R-CC-7, R-CC-44
#[test]
fn a_loss_that_was_none_is_undone() {
    let mut flow = Flow::avoiding(50, 100);
    let (sent, now) = (flow.now, flow.now + ms(50));
    flow.it.on_congestion(2, sent, now);
    flow.it.on_spurious_loss(sent);
    assert_eq!(flow.window(), 50 * DATAGRAM);
    flow.it.on_spurious_loss(sent);
    assert_eq!(flow.window(), 100 * DATAGRAM);
}

/// spec: R-CC-44
#[test]
fn what_a_slowdown_left_behind_counts_for_what_it_comes_back_to() {
    let mut flow = Flow::avoiding(50, 100);
    flow.it.slowdown = Slowdown::Until(flow.now);
    let sent = flow.now;
    flow.now = flow.now + ms(10);
    flow.ack(false);
    assert_eq!(flow.window(), 2 * DATAGRAM);
    flow.it.on_congestion(1, sent, flow.now + ms(1));
    assert_eq!(flow.window(), 2 * DATAGRAM);
    let threshold = flow.it.base.threshold().expect("known") / DATAGRAM;
    assert!((49..=51).contains(&threshold), "{threshold}");
    // What was sent in the slowdown itself says that there is no room at all.
    let later = flow.now + ms(2);
    flow.it.on_congestion(1, later, later + ms(50));
    assert_eq!(flow.it.base.threshold(), Some(2 * DATAGRAM));
}

/// spec: R-CC-48
#[test]
fn another_controller_goes_on_with_the_window() {
    let start = |algorithm| {
        let config = CongestionConfig { algorithm, ..CongestionConfig::default() };
        Congestion::new(&config, 1_200)
    };
    let mut rtt = Rtt::new();
    rtt.on_sample(ms(50), Duration::ZERO, Duration::ZERO);
    let now = Instant::ZERO + ms(100);
    for from in Algorithm::ALL {
        for to in Algorithm::ALL.into_iter().filter(|to| *to != from) {
            let config = CongestionConfig { algorithm: to, ..CongestionConfig::default() };
            let mut it = start(from);
            let fresh = it.turned_into(&config, 1_200, &rtt);
            assert_eq!(fresh.algorithm(), to);
            assert_eq!(fresh.state(), State::SlowStart, "{from:?} to {to:?}");
            assert_eq!(fresh.window(), it.window().max(fresh.window().min(4 * DATAGRAM)));
            for i in 0..200 {
                let at = now + ms(i);
                let acked = Acked { bytes: DATAGRAM, sent: at, ..Acked::default() };
                it.on_acked(&acked, &rtt, at);
            }
            let lost =
                crate::congestion::Lost { packets: 1, sent: now + ms(300), ..Default::default() };
            it.on_lost(&lost, now + ms(300));
            let next = it.turned_into(&config, 1_200, &rtt);
            assert_eq!(next.window(), it.window(), "{from:?} to {to:?}");
            assert_eq!(
                next.slow_start_threshold().is_some(),
                it.slow_start_threshold().is_some()
                    && !matches!(to, Algorithm::Bbr | Algorithm::Weir)
            );
            if it.slow_start_threshold().is_some() {
                assert_ne!(next.state(), State::SlowStart, "{from:?} to {to:?}");
            }
            // What it may send a round trip is about the window.
            let pace = next.pace(&rtt);
            let bytes = u128::from(pace.bytes) * ms(50).as_nanos() / pace.over.as_nanos();
            let window = u128::from(next.window());
            assert!(bytes * 3 > window && bytes <= window * 3, "{from:?} to {to:?}: {bytes}");
        }
    }
}
