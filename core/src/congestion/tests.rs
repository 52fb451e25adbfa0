//! Curves against floating point, rules one by one, and properties.

use alloc::vec::Vec;
use core::time::Duration;

use proptest::prelude::*;

use super::*;

const MS: u64 = 1_000_000;
const DATAGRAM: u64 = 1_200;

fn at(ms: u64) -> Instant {
    Instant::from_nanos(ms * MS)
}

fn ms(ms: u64) -> Duration {
    Duration::from_millis(ms)
}

fn rtt_of(sample: Duration) -> Rtt {
    let mut rtt = Rtt::new();
    rtt.on_sample(sample, Duration::ZERO, Duration::ZERO);
    rtt
}

fn new(algorithm: Algorithm) -> Congestion {
    Congestion::new(&CongestionConfig { algorithm, ..CongestionConfig::default() }, 1_200)
}

fn both() -> [Congestion; 2] {
    [new(Algorithm::NewReno), new(Algorithm::Cubic)]
}

fn ack(bytes: u64, sent: Instant) -> Acked {
    Acked { bytes, sent, ..Acked::default() }
}

/// A packet sent then that was taken for lost.
fn late(sent: Instant) -> Spurious {
    Spurious { sent, lost: sent + ms(100) }
}

fn lost(packets: u64, sent: Instant) -> Lost {
    Lost { packets, sent, ..Lost::default() }
}

/// A sender with a constant RTT that always fills its window and gets an ACK for each datagram.
struct Flow {
    congestion: Congestion,
    rtt: Rtt,
    step: Duration,
    now: Instant,
}

impl Flow {
    fn new(congestion: Congestion, rtt: Duration) -> Self {
        Self { congestion, rtt: rtt_of(rtt), step: rtt, now: Instant::ZERO }
    }

    /// A flow in congestion avoidance after a loss at a window of `datagrams`.
    fn after_loss(algorithm: Algorithm, datagrams: u64, rtt: Duration) -> Self {
        let mut flow = Self::new(new(algorithm), rtt);
        while flow.congestion.window() < datagrams * DATAGRAM {
            let missing = datagrams * DATAGRAM - flow.congestion.window();
            flow.now = flow.now + rtt;
            flow.congestion.on_acked(&ack(missing.min(DATAGRAM), flow.now), &flow.rtt, flow.now);
        }
        flow.lose();
        flow
    }

    fn lose(&mut self) {
        self.now = self.now + Duration::from_nanos(1);
        self.congestion.on_lost(&lost(1, self.now), self.now);
    }

    /// One round trip: the ACKs of a window, evenly spread.
    fn round(&mut self) {
        let datagrams = self.congestion.window() / DATAGRAM;
        let start = self.now;
        for i in 1..=datagrams {
            self.now = start + self.step * u32::try_from(i).unwrap() / datagrams as u32;
            // Sent a round trip ago, but never before the last reduction.
            self.congestion.on_acked(&ack(DATAGRAM, self.now), &self.rtt, self.now);
        }
    }
}

/// spec: R-CC-1
#[test]
fn the_first_window_is_ten_datagrams_and_none_is_below_two() {
    for mut congestion in both() {
        assert_eq!(congestion.window(), 12_000);
        assert_eq!(congestion.slow_start_threshold(), None);
        assert_eq!(congestion.state(), State::SlowStart);
        for i in 1..50 {
            congestion.on_lost(&lost(1, at(i)), at(i));
            congestion.on_persistent_congestion(at(i));
            assert!(congestion.window() >= 2_400);
        }
        assert_eq!(congestion.window(), 2_400);
    }
}

/// spec: R-CC-2
#[test]
fn slow_start_doubles_each_round_and_ends_at_the_threshold() {
    for congestion in both() {
        let mut flow = Flow::new(congestion, ms(50));
        for round in 1..6 {
            flow.round();
            assert_eq!(flow.congestion.window(), 12_000 << round);
        }
        flow.lose();
        assert_eq!(flow.congestion.slow_start_threshold(), Some(flow.congestion.window()));
        assert_eq!(flow.congestion.state(), State::Recovery);
        flow.round();
        assert_eq!(flow.congestion.state(), State::Avoidance);
    }
}

/// spec: R-CC-3, R-CC-4
#[test]
fn one_flight_reduces_once_and_its_acks_do_not_grow_the_window() {
    for mut congestion in both() {
        let rtt = rtt_of(ms(100));
        congestion.on_acked(&ack(108_000, at(1)), &rtt, at(1));
        congestion.on_lost(&lost(3, at(90)), at(100));
        let reduced = congestion.window();
        assert!(reduced == 60_000 || reduced == 84_000);
        for sent in [10, 95, 100] {
            congestion.on_lost(&lost(1, at(sent)), at(150));
            congestion.on_congestion_event(at(sent), at(150));
            congestion.on_acked(&ack(12_000, at(sent)), &rtt, at(160));
        }
        assert_eq!(congestion.window(), reduced);
        assert_eq!(congestion.state(), State::Recovery);
        congestion.on_acked(&ack(12_000, at(101)), &rtt, at(200));
        assert_eq!(congestion.state(), State::Avoidance);
        assert!(congestion.window() > reduced || matches!(congestion, Congestion::Cubic(_)));
        congestion.on_lost(&lost(1, at(101)), at(201));
        assert!(congestion.window() < reduced);
    }
}

/// spec: R-CC-5
#[test]
fn a_window_that_is_not_used_does_not_grow() {
    for mut congestion in both() {
        let rtt = rtt_of(ms(50));
        for i in 1..1_000 {
            let acked = Acked { bytes: 1_200, sent: at(i), app_limited: true, ..Acked::default() };
            congestion.on_acked(&acked, &rtt, at(i + 50));
        }
        assert_eq!(congestion.window(), 12_000);
    }

    // Full for a moment of the round is full.
    let mut usage = WindowUse::new();
    usage.on_sent(11_000, 12_000, 1_200);
    usage.on_sent(2_000, 12_000, 1_200);
    assert!(!usage.on_acked(at(1), 500, 12_000, State::Avoidance, at(50)));
    // In the next round nothing was near the window, even if little is left to send.
    usage.on_sent(6_100, 12_000, 1_200);
    assert!(usage.on_acked(at(20), 500, 12_000, State::Avoidance, at(60)));
    // More than half of it is enough while the window doubles.
    assert!(!usage.on_acked(at(20), 500, 12_000, State::SlowStart, at(60)));
    assert!(!usage.on_acked(at(50), 500, 12_000, State::SlowStart, at(100)));
    usage.on_sent(6_000, 12_000, 1_200);
    assert!(usage.on_acked(at(101), 500, 12_000, State::SlowStart, at(150)));
}

/// Lesson 25: a pacer that lets the flight drain between round trips is not an idle application.
///
/// spec: R-CC-5, R-CC-8
#[test]
fn a_flight_that_drains_between_round_trips_is_not_idle() {
    for mut congestion in both() {
        let rtt = rtt_of(ms(100));
        let mut usage = WindowUse::new();
        let mut now = Instant::ZERO;
        for _ in 0..5 {
            let window = congestion.window();
            for i in 1..=window / DATAGRAM {
                congestion.on_sent(DATAGRAM, (i - 1) * DATAGRAM, &rtt, now);
                usage.on_sent(i * DATAGRAM, window, DATAGRAM);
            }
            let limited = usage.on_acked(now, 0, window, State::SlowStart, now + ms(100));
            assert!(!limited);
            let acked =
                Acked { bytes: window, sent: now, app_limited: limited, ..Acked::default() };
            now = now + ms(101);
            congestion.on_acked(&acked, &rtt, now);
            assert_eq!(congestion.window(), 2 * window);
            now = now + ms(30);
        }
    }
}

/// Lesson 20.
///
/// spec: R-CC-6
#[test]
fn after_an_outage_the_window_comes_back_by_slow_start() {
    for congestion in both() {
        let mut flow = Flow::new(congestion, ms(135));
        for _ in 0..5 {
            flow.round();
        }
        let before = flow.congestion.window();
        flow.lose();
        let threshold = flow.congestion.slow_start_threshold().unwrap();
        flow.congestion.on_persistent_congestion(flow.now);
        assert_eq!(flow.congestion.window(), 2_400);
        assert_eq!(flow.congestion.slow_start_threshold(), Some(threshold));
        assert_eq!(flow.congestion.state(), State::SlowStart);
        flow.now = flow.now + ms(1);
        let mut rounds = 0;
        while flow.congestion.window() < before / 2 {
            flow.round();
            rounds += 1;
        }
        assert!(rounds <= 7, "{rounds}");
    }
}

/// Lesson 19: time after time everything is lost, on a long path.
///
/// spec: R-CC-6
#[test]
fn repeated_outages_do_not_wear_the_threshold_down() {
    for congestion in both() {
        let mut flow = Flow::new(congestion, ms(135));
        for _ in 0..6 {
            flow.round();
        }
        flow.lose();
        let threshold = flow.congestion.slow_start_threshold().unwrap();
        flow.congestion.on_persistent_congestion(flow.now);
        for outage in 0..20 {
            for _ in 0..outage % 3 {
                flow.now = flow.now + ms(1);
                flow.round();
            }
            flow.now = flow.now + ms(500);
            flow.lose();
            flow.congestion.on_persistent_congestion(flow.now);
            // More of the same outage turns out lost.
            flow.congestion.on_lost(&lost(5, flow.now), flow.now + ms(10));
            assert_eq!(flow.congestion.slow_start_threshold(), Some(threshold));
        }
    }

    // Even an outage right at the start leaves room for an initial window.
    for mut congestion in both() {
        congestion.on_lost(&lost(10, at(1)), at(100));
        congestion.on_persistent_congestion(at(100));
        assert_eq!(congestion.slow_start_threshold(), Some(12_000));
    }
}

/// spec: R-CC-7
#[test]
fn a_reduction_for_nothing_is_undone() {
    for congestion in both() {
        let mut flow = Flow::new(congestion, ms(50));
        for _ in 0..3 {
            flow.round();
        }
        flow.lose();
        flow.round();
        flow.round();
        let (window, threshold) =
            (flow.congestion.window(), flow.congestion.slow_start_threshold());
        let sent = flow.now + ms(1);
        let detected = flow.now + ms(10);
        flow.congestion.on_lost(&lost(2, sent), detected);
        flow.congestion.on_lost(&lost(1, sent), detected + ms(1));
        assert!(flow.congestion.window() < window);
        // Two of three turn up, and one of an older reduction.
        flow.congestion.on_spurious_loss(&late(sent));
        flow.congestion.on_spurious_loss(&late(at(1)));
        flow.congestion.on_spurious_loss(&late(sent));
        assert!(flow.congestion.window() < window);
        flow.congestion.on_spurious_loss(&late(sent));
        assert_eq!(flow.congestion.window(), window);
        assert_eq!(flow.congestion.slow_start_threshold(), threshold);
        // Undone once.
        flow.congestion.on_spurious_loss(&late(sent));
        assert_eq!(flow.congestion.window(), window);
    }
}

/// Not only the window comes back, but the way it grows.
///
/// spec: R-CC-7
#[test]
fn after_an_undone_reduction_cubic_is_on_its_old_curve() {
    let mut spared = Flow::after_loss(Algorithm::Cubic, 1_000, ms(100));
    for _ in 0..20 {
        spared.round();
    }
    let mut undone = Flow { congestion: spared.congestion.clone(), ..spared };
    let sent = undone.now + Duration::from_nanos(1);
    undone.congestion.on_lost(&lost(1, sent), sent);
    undone.congestion.on_spurious_loss(&late(sent));
    for _ in 0..60 {
        spared.round();
        undone.round();
        let (spared, undone) = (spared.congestion.window(), undone.congestion.window());
        assert!(spared.abs_diff(undone) <= 2 * DATAGRAM, "{spared} {undone}");
    }
}

/// spec: R-CC-8
#[test]
fn an_idle_time_lets_the_window_shrink_to_the_initial_one() {
    for congestion in both() {
        let mut flow = Flow::new(congestion, ms(50));
        for _ in 0..5 {
            flow.round();
        }
        let window = flow.congestion.window();
        let pto = flow.rtt.pto_base();
        let sent = |after: Duration, in_flight| {
            let mut congestion = flow.congestion.clone();
            congestion.on_sent(DATAGRAM, 0, &flow.rtt, flow.now);
            congestion.on_sent(DATAGRAM, in_flight, &flow.rtt, flow.now + after);
            congestion
        };
        assert_eq!(sent(pto, 0).window(), window);
        assert_eq!(sent(pto * 100, 1).window(), window);
        assert_eq!(sent(pto + ms(1), 0).window(), window / 2);
        assert_eq!(sent(pto * 2 + ms(1), 0).window(), window / 4);
        let mut late = sent(Duration::from_secs(3_600), 0);
        assert_eq!(late.window(), 12_000);
        assert_eq!(late.slow_start_threshold(), None);

        // With a threshold, slow start leads back to three quarters.
        late.on_lost(&lost(1, at(3_700_000)), at(3_700_000));
        let mut flow = Flow::after_loss(
            if matches!(late, Congestion::Cubic(_)) {
                Algorithm::Cubic
            } else {
                Algorithm::NewReno
            },
            400,
            ms(50),
        );
        for _ in 0..200 {
            flow.round();
        }
        let window = flow.congestion.window();
        flow.congestion.on_sent(DATAGRAM, 0, &flow.rtt, flow.now);
        let later = flow.now + Duration::from_secs(3_600);
        flow.congestion.on_sent(DATAGRAM, 0, &flow.rtt, later);
        assert_eq!(flow.congestion.window(), 12_000);
        let threshold = flow.congestion.slow_start_threshold().unwrap();
        assert!(threshold >= window / 4 * 3);
        assert_eq!(flow.congestion.state(), State::SlowStart);
    }
}

/// spec: R-CC-9
#[test]
fn small_acks_add_up_to_what_one_large_one_gives() {
    let mut whole = Flow::after_loss(Algorithm::NewReno, 1_000, ms(50));
    let mut cut = Flow::after_loss(Algorithm::NewReno, 1_000, ms(50));
    let before = whole.congestion.window();
    let later = whole.now + ms(10);
    whole.congestion.on_acked(&ack(before, later), &whole.rtt, later);
    for _ in 0..before / 10 {
        cut.congestion.on_acked(&ack(10, later), &cut.rtt, later);
    }
    let (whole, cut) = (whole.congestion.window() - before, cut.congestion.window() - before);
    assert_eq!(whole, 1_200);
    assert!(cut.abs_diff(whole) <= 3, "{cut}");
}

/// spec: R-CC-10
#[test]
fn a_larger_datagram_raises_the_window_to_two_of_them() {
    for mut congestion in both() {
        congestion.on_datagram_size_changed(1_452);
        assert_eq!(congestion.window(), 12_000);
        congestion.on_datagram_size_changed(65_507);
        assert_eq!(congestion.window(), 131_014);
        congestion.on_datagram_size_changed(1_200);
        assert_eq!(congestion.window(), 131_014);
    }
}

/// spec: R-CC-11
#[test]
fn new_reno_halves_and_adds_one_datagram_a_round() {
    let mut flow = Flow::after_loss(Algorithm::NewReno, 200, ms(40));
    let mut model = 100.0f64;
    assert_eq!(flow.congestion.window(), 100 * DATAGRAM);
    for _ in 0..100 {
        let acks = flow.congestion.window() / DATAGRAM;
        flow.round();
        for _ in 0..acks {
            model += 1.0 / model;
        }
        let window = flow.congestion.window() as f64 / DATAGRAM as f64;
        assert!((window - model).abs() / model < 0.001, "{window} {model}");
    }
    assert!(model > 190.0);
}

/// RFC 9438 sections 4.1 to 4.4 in floating point, in datagrams and seconds.
struct Model {
    window: f64,
    w_max: f64,
    prior: f64,
    estimate: f64,
    k: f64,
    t: f64,
    rtt: f64,
}

impl Model {
    fn new(window: f64, rtt: f64) -> Self {
        let (w_max, start) = (window, window * 0.7);
        let k = ((w_max - start) / 0.4).cbrt();
        Self { window: start, w_max, prior: window, estimate: start, k, t: 0.0, rtt }
    }

    fn curve(&self, t: f64) -> f64 {
        0.4 * (t - self.k).powi(3) + self.w_max
    }

    fn on_ack(&mut self) {
        let alpha = if self.estimate < self.prior { 3.0 * 0.3 / 1.7 } else { 1.0 };
        self.estimate += alpha / self.window;
        if self.curve(self.t) < self.estimate {
            self.window = self.window.max(self.estimate);
        } else {
            let target = self.curve(self.t + self.rtt).clamp(self.window, 1.5 * self.window);
            self.window += (target - self.window) / self.window;
        }
    }
}

/// Runs the machine beside the model; the largest relative difference.
fn compare(datagrams: u64, rtt: Duration, rounds: u32) -> (f64, Flow, Model) {
    let mut flow = Flow::after_loss(Algorithm::Cubic, datagrams, rtt);
    let mut model = Model::new(datagrams as f64, rtt.as_secs_f64());
    let mut worst = 0.0f64;
    let mut start = None;
    for _ in 0..rounds {
        let acks = flow.congestion.window() / DATAGRAM;
        let begin = flow.now;
        for i in 1..=acks {
            flow.now = begin + rtt * i as u32 / acks as u32;
            let since = *start.get_or_insert(flow.now);
            model.t = flow.now.saturating_since(since).as_secs_f64();
            flow.congestion.on_acked(&ack(DATAGRAM, flow.now), &flow.rtt, flow.now);
            model.on_ack();
        }
        let window = flow.congestion.window() as f64 / DATAGRAM as f64;
        worst = worst.max((window - model.window).abs() / model.window);
    }
    (worst, flow, model)
}

/// spec: R-CC-12
#[test]
fn cubic_follows_the_curve_of_the_rfc() {
    for (datagrams, rtt, rounds) in
        [(100, 50, 200), (1_000, 100, 150), (4_000, 250, 60), (30, 135, 100)]
    {
        let (worst, flow, model) = compare(datagrams, ms(rtt), rounds);
        assert!(worst < 0.002, "{datagrams} {rtt}: {worst}");
        // And the curve itself, where it is the larger.
        let curve = model.curve(model.t);
        let window = flow.congestion.window() as f64 / DATAGRAM as f64;
        if curve > model.estimate {
            assert!((window - curve).abs() / curve < 0.1, "{window} {curve}");
        }
    }
    // The plateau: after K seconds the window is back at w_max. K = cbrt(0.3 * 1000 / 0.4) = 9.086
    // s.
    let (_, flow, model) = compare(1_000, ms(100), 91);
    assert!((model.k - 9.0856).abs() < 0.001);
    let window = flow.congestion.window() as f64 / DATAGRAM as f64;
    assert!((window - 1_000.0).abs() < 10.0, "{window}");
}

/// spec: R-CC-13
#[test]
fn on_a_short_path_cubic_is_as_fast_as_reno() {
    let (worst, flow, model) = compare(50, ms(2), 400);
    assert!(worst < 0.002, "{worst}");
    assert!(model.curve(model.t) < model.estimate);
    // Grows 9/17 a round to 50, then 1 a round: 15 / (9/17) = 28.3 rounds, then 371.7.
    let window = flow.congestion.window() as f64 / DATAGRAM as f64;
    assert!((window - (50.0 + 371.7)).abs() < 8.0, "{window}");
}

/// spec: R-CC-14
#[test]
fn a_flow_that_lost_ground_aims_lower() {
    // 1,000 datagrams: w_max = 1000, K = 9.09 s. Losing again at 700 makes w_max = 595, and at
    // 595 * 0.4 / ... the plateau shows where the curve is flat.
    let mut flow = Flow::after_loss(Algorithm::Cubic, 1_000, ms(100));
    flow.now = flow.now + ms(1);
    flow.congestion.on_acked(&ack(0, flow.now), &flow.rtt, flow.now);
    flow.lose();
    assert_eq!(flow.congestion.window(), 490 * DATAGRAM);
    // w_max = 595: K = cbrt(105 / 0.4) = 6.403 s.
    for _ in 0..64 {
        flow.round();
    }
    let window = flow.congestion.window() as f64 / DATAGRAM as f64;
    assert!((window - 595.0).abs() < 6.0, "{window}");
}

/// spec: R-CC-15
#[test]
fn time_without_data_is_no_time_on_the_curve() {
    let mut busy = Flow::after_loss(Algorithm::Cubic, 1_000, ms(100));
    for _ in 0..20 {
        busy.round();
    }
    let mut paused = Flow { congestion: busy.congestion.clone(), ..busy };
    // For 60 s the application sends a little.
    for _ in 0..600 {
        let acked = Acked { bytes: 100, sent: paused.now, app_limited: true, ..Acked::default() };
        paused.congestion.on_acked(&acked, &paused.rtt, paused.now);
        paused.now = paused.now + ms(100);
    }
    assert_eq!(paused.congestion.window(), busy.congestion.window());
    for _ in 0..20 {
        busy.round();
        paused.round();
    }
    let (busy, paused) = (busy.congestion.window() as f64, paused.congestion.window() as f64);
    assert!((busy - paused).abs() / busy < 0.005, "{busy} {paused}");

    // Being idle shifts it too: w_max is still in front.
    let mut idle = Flow::after_loss(Algorithm::Cubic, 30, ms(100));
    idle.round();
    idle.congestion.on_sent(DATAGRAM, 0, &idle.rtt, idle.now);
    idle.now = idle.now + Duration::from_secs(100);
    idle.congestion.on_sent(DATAGRAM, 0, &idle.rtt, idle.now);
    idle.round();
    idle.round();
    assert!(idle.congestion.window() < 40 * DATAGRAM, "{}", idle.congestion.window());
}

/// Feeds rounds of ten ACKs each, with the RTT that `rtt` gives for each round, from the start.
fn rounds(rtts: &[u64]) -> Vec<(State, u64)> {
    let mut congestion = new(Algorithm::Cubic);
    let mut seen = Vec::new();
    let mut now = Instant::ZERO;
    for &sample in rtts {
        let start = now;
        now = now + ms(sample);
        for i in 0..10 {
            now = now + Duration::from_micros(10);
            let sent = start + Duration::from_micros(10 * (i + 1));
            congestion.on_acked(&ack(DATAGRAM, sent), &rtt_of(ms(sample)), now);
        }
        seen.push((congestion.state(), congestion.window() / DATAGRAM));
    }
    seen
}

/// spec: R-CC-16
#[test]
fn slow_start_ends_when_round_trips_grow() {
    use State::{Avoidance, ConservativeSlowStart, SlowStart};

    let seen = rounds(&[50, 50, 60, 60, 60, 60, 60, 60, 60]);
    let states: Vec<_> = seen.iter().map(|(state, _)| *state).collect();
    assert_eq!(states[..2], [SlowStart; 2]);
    assert_eq!(states[2..7], [ConservativeSlowStart; 5]);
    assert_eq!(states[7..], [Avoidance; 2]);
    // Ten a round, then a quarter of it: 10 + 20, + 7 before the eighth sample, + 3/4, ...
    assert_eq!(seen[1].1, 30);
    assert_eq!(seen[2].1, 37);
    assert_eq!(seen[6].1, 47);

    // 6 ms of 50 is not an eighth; 3 ms of 5 is under the least that counts; 17 ms of 200 is over
    // the most.
    assert!(rounds(&[50, 50, 56, 56]).iter().all(|(state, _)| *state == SlowStart));
    assert!(rounds(&[5, 5, 8, 8]).iter().all(|(state, _)| *state == SlowStart));
    assert_eq!(rounds(&[200, 200, 217])[2].0, ConservativeSlowStart);

    // A false alarm.
    let seen = rounds(&[50, 60, 60, 55, 55, 55, 55, 55, 55]);
    assert_eq!(seen[1].0, ConservativeSlowStart);
    assert!(seen[4..].iter().all(|(state, _)| *state == SlowStart), "{seen:?}");
}

#[derive(Clone, Debug)]
enum Op {
    Sent(u64, u64),
    Acked(u64, u64, bool),
    Lost(u64, u64),
    Persistent,
    Spurious(u64),
    Size(u16),
    Wait(u64),
}

fn op() -> impl Strategy<Value = Op> {
    prop_oneof![
        1 => (0..70_000u64, 0..1_000_000u64).prop_map(|(bytes, flight)| Op::Sent(bytes, flight)),
        6 => (0..10_000_000u64, 0..500u64, any::<bool>())
            .prop_map(|(bytes, ago, limited)| Op::Acked(bytes, ago, limited)),
        2 => (0..100u64, 0..500u64).prop_map(|(packets, ago)| Op::Lost(packets, ago)),
        1 => Just(Op::Persistent),
        1 => (0..500u64).prop_map(Op::Spurious),
        1 => any::<u16>().prop_map(Op::Size),
        4 => prop_oneof![0..200u64, Just(1 << 40)].prop_map(Op::Wait),
    ]
}

proptest! {
    /// Nothing that a path can do takes a controller out of its bounds.
    ///
    /// spec: R-CC-1, R-CC-9
    #[test]
    fn windows_stay_in_bounds(
        ops in proptest::collection::vec(op(), 1..300),
        cubic: bool,
        sample in 0..100_000_000_000u64,
    ) {
        let mut congestion = new(if cubic { Algorithm::Cubic } else { Algorithm::NewReno });
        let rtt = rtt_of(Duration::from_nanos(sample));
        let mut now = at(1_000);
        let mut datagram = 1_200;
        for op in ops {
            let ago = |ms: u64| now.saturating_sub(Duration::from_millis(ms));
            let before = congestion.window();
            match op {
                Op::Sent(bytes, in_flight) => congestion.on_sent(bytes, in_flight, &rtt, now),
                Op::Acked(bytes, sent, app_limited) => {
                    let grows = !app_limited && !congestion.in_recovery(ago(sent));
                    let acked = Acked { bytes, sent: ago(sent), app_limited, ..Acked::default() };
                    congestion.on_acked(&acked, &rtt, now);
                    prop_assert!(congestion.window() >= before);
                    prop_assert!(grows || congestion.window() == before);
                }
                Op::Lost(packets, sent) => {
                    congestion.on_lost(&lost(packets, ago(sent)), now);
                    prop_assert!(congestion.window() <= before);
                }
                Op::Persistent => congestion.on_persistent_congestion(now),
                Op::Spurious(sent) => congestion.on_spurious_loss(&late(ago(sent))),
                Op::Size(size) => {
                    datagram = u64::from(size.max(1));
                    congestion.on_datagram_size_changed(size);
                }
                Op::Wait(nanos) => now = now + Duration::from_nanos(nanos * 1_000),
            }
            prop_assert!(congestion.window() >= 2 * datagram);
            prop_assert!(congestion.window() <= 1 << 40);
        }
    }
}
