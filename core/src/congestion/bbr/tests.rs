//! The machine over a modelled path, rule by rule, and what nothing may lead it out of.

use alloc::collections::VecDeque;
use core::time::Duration;

use proptest::prelude::*;

use super::*;
use crate::congestion::Weir;

const DATAGRAM: u64 = 1_200;

fn ms(ms: u64) -> Duration {
    Duration::from_millis(ms)
}

/// A packet on the way.
#[derive(Clone, Copy)]
struct Packet {
    sent: Instant,
    arrives: Instant,
    delivered: u64,
    delivered_at: Instant,
    first_sent: Instant,
    in_flight: u64,
    lost: u64,
    limited: bool,
    gone: bool,
}

/// One flow over one bottleneck: a rate, a queue of bytes, a delay, and losses by count.
struct Path<R> {
    bbr: Bbr<R>,
    now: Instant,
    rtt: Duration,
    rate: u64,
    queue: u64,
    /// Every so many packets one is lost; 0 for none.
    lose_each: u64,
    /// Of a million, so many are lost by chance.
    lose: u64,
    /// What is dropped when the queue is full waited for nothing: a policer with such a bucket.
    policed: bool,
    chance: u64,
    free: Instant,
    flying: VecDeque<Packet>,
    in_flight: u64,
    delivered: u64,
    delivered_at: Instant,
    first_sent: Instant,
    lost: u64,
    count: u64,
    next_send: Instant,
    overflowed: u64,
    longest: Duration,
    limited_until: u64,
}

impl<R: Rules> Path<R> {
    fn new(rate: u64, rtt: Duration, queue: u64) -> Self {
        let config = CongestionConfig::default();
        let start = Instant::from_nanos(1_000_000_000);
        Self {
            bbr: Bbr::new(&config, 1_200),
            now: start,
            rtt,
            rate,
            queue,
            lose_each: 0,
            lose: 0,
            policed: false,
            chance: 1,
            free: start,
            flying: VecDeque::new(),
            in_flight: 0,
            delivered: 0,
            delivered_at: start,
            first_sent: start,
            lost: 0,
            count: 0,
            next_send: start,
            overflowed: 0,
            longest: Duration::ZERO,
            limited_until: 0,
        }
    }

    fn rtt(&self) -> Rtt {
        let mut rtt = Rtt::new();
        rtt.on_sample(self.rtt, Duration::ZERO, Duration::ZERO);
        rtt
    }

    fn pace(&self) -> u64 {
        let pace = self.bbr.pace(&self.rtt());
        let over = pace.over.as_nanos() as u64;
        (u128::from(pace.bytes) * 1_000_000_000 / u128::from(over)) as u64
    }

    fn send(&mut self) {
        if self.in_flight == 0 && self.limited_until > 0 {
            self.bbr.on_restart(self.now);
        }
        if self.in_flight == 0 {
            (self.first_sent, self.delivered_at) = (self.now, self.now);
        }
        self.count += 1;
        let waits = self.free.saturating_since(self.now);
        let waiting = volume(self.rate, nanos(waits));
        let lost = self.lose_each > 0 && self.count.is_multiple_of(self.lose_each);
        self.chance = self.chance.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
        let lost = lost || (self.chance >> 33) % 1_000_000 < self.lose;
        let full = waiting + DATAGRAM > self.queue + DATAGRAM;
        let gone = lost || full;
        self.overflowed += u64::from(full);
        self.in_flight += DATAGRAM;
        if !gone {
            self.longest = self.longest.max(waits);
            let takes = Duration::from_nanos(DATAGRAM * 1_000_000_000 / self.rate);
            self.free = self.free.max(self.now) + takes;
        }
        self.flying.push_back(Packet {
            sent: self.now,
            arrives: if self.policed { self.now } else { self.free.max(self.now) } + self.rtt,
            delivered: self.delivered,
            delivered_at: self.delivered_at,
            first_sent: self.first_sent,
            in_flight: self.in_flight,
            lost: self.lost,
            limited: self.limited_until > self.delivered,
            gone,
        });
        let pace = self.pace().max(1);
        self.next_send = self.now + Duration::from_nanos(DATAGRAM * 1_000_000_000 / pace);
    }

    fn arrive(&mut self) {
        let Some(packet) = self.flying.pop_front() else { return };
        self.in_flight -= DATAGRAM;
        if packet.gone {
            self.lost += DATAGRAM;
            let sample = LossSample {
                size: DATAGRAM,
                tx_in_flight: packet.in_flight,
                lost: self.lost - packet.lost,
                prior_delivered: packet.delivered,
                app_limited: packet.limited,
            };
            let excess = (sample.excess() > 0).then_some(sample);
            let lost = Lost { packets: 1, bytes: DATAGRAM, sent: packet.sent, ranges: 1, excess };
            self.bbr.on_lost(&lost, self.now);
            return;
        }
        self.delivered += DATAGRAM;
        self.delivered_at = self.now;
        self.first_sent = self.first_sent.max(packet.sent);
        let sending = packet.sent.saturating_since(packet.first_sent);
        let interval = sending.max(self.now.saturating_since(packet.delivered_at));
        let rate = (!interval.is_zero()).then(|| RateSample {
            delivered: self.delivered - packet.delivered,
            interval,
            prior_delivered: packet.delivered,
            total_delivered: self.delivered,
            tx_in_flight: packet.in_flight,
            lost: self.lost - packet.lost,
            app_limited: packet.limited,
        });
        let acked = Acked {
            bytes: DATAGRAM,
            sent: packet.sent,
            app_limited: self.in_flight + 2 * DATAGRAM < self.bbr.window(),
            rtt: Some(self.now.saturating_since(packet.sent)),
            rate,
            in_flight: self.in_flight,
        };
        self.bbr.on_acked(&acked, &self.rtt(), self.now);
    }

    /// Lets time pass, sending whatever may leave.
    fn run(&mut self, time: Duration) -> u64 {
        let (until, before) = (self.now + time, self.delivered);
        loop {
            let open = self.in_flight + DATAGRAM <= self.bbr.window();
            let send = open.then_some(self.next_send.max(self.now));
            let arrive = self.flying.front().map(|packet| packet.arrives.max(self.now));
            let next = [send, arrive].into_iter().flatten().min();
            let Some(next) = next.filter(|next| *next <= until) else { break };
            self.now = next;
            if arrive == Some(next) {
                self.arrive();
            } else {
                self.send();
            }
        }
        self.now = until;
        self.delivered - before
    }

    /// Runs until it stands in `mode`, for a minute at most.
    fn until(&mut self, mode: Mode) {
        for _ in 0..60_000 {
            if self.bbr.mode == mode {
                return;
            }
            self.run(ms(1));
        }
        panic!("never {mode:?}");
    }

    fn bdp(&self) -> u64 {
        volume(self.rate, nanos(self.rtt))
    }
}

const RATE: u64 = 1_250_000;

fn drafted(queue: u64) -> Path<Drafted> {
    Path::new(RATE, ms(40), queue)
}

/// spec: R-CC-21, R-CC-22, R-CC-24
#[test]
fn it_fills_the_pipe_drains_it_and_cycles() {
    let mut path = drafted(1 << 20);
    path.run(ms(10));
    assert_eq!((path.bbr.mode, path.bbr.state()), (Mode::Startup, State::SlowStart));
    path.until(Mode::Drain);
    assert!(path.now.as_nanos() < 1_700_000_000, "a dozen round trips");
    assert!(path.bbr.max_rate.get().abs_diff(RATE) < RATE / 20);
    path.until(Mode::Cruise);
    assert!(path.in_flight <= path.bdp() + 4 * DATAGRAM);
    for mode in [Mode::Refill, Mode::Up, Mode::Down, Mode::Cruise] {
        path.until(mode);
    }
    let delivered = path.run(ms(10_000));
    assert!(delivered > RATE * 10 * 95 / 100, "{delivered}");
    assert_eq!(path.overflowed, 0);
    assert!(path.bbr.window() >= 4 * DATAGRAM);
}

/// spec: R-CC-22, R-CC-25
#[test]
fn startup_ends_where_the_queue_overflows() {
    let mut path = drafted(10_000);
    path.until(Mode::Drain);
    let lost = path.overflowed;
    assert!(path.bbr.full.reached);
    path.run(ms(20_000));
    assert_ne!(path.bbr.bounds.long, UNBOUND);
    assert!(path.bbr.bounds.long >= path.bdp() * 7 / 10, "{}", path.bbr.bounds.long);
    assert!(path.bbr.window() <= path.bbr.bounds.long);
    // What is lost by probing is little.
    let after = path.overflowed - lost;
    assert!(after * 50 < path.count, "{after} of {}", path.count);
    let delivered = path.run(ms(10_000));
    assert!(delivered > RATE * 10 * 80 / 100, "{delivered}");
}

/// spec: R-CC-23
#[test]
fn limited_samples_do_not_lower_the_rate() {
    let mut path = drafted(1 << 20);
    path.run(ms(3_000));
    let known = path.bbr.max_rate.get();
    // For a minute the application sends a packet each 10 ms.
    for _ in 0..6_000 {
        path.limited_until = path.delivered + path.in_flight + 1;
        path.send();
        path.now = path.now + ms(10);
        while path.flying.front().is_some_and(|packet| packet.arrives <= path.now) {
            path.arrive();
        }
    }
    assert_eq!(path.bbr.max_rate.get(), known);
}

/// spec: R-CC-26, R-CC-33
#[test]
fn loss_without_a_queue_slows_the_draft_and_not_weir() {
    let mut drafted = drafted(1 << 20);
    let mut weir = Path::<Weir>::new(RATE, ms(40), 1 << 20);
    drafted.lose_each = 20;
    weir.lose_each = 20;
    drafted.run(ms(5_000));
    weir.run(ms(5_000));
    let (slow, fast) = (drafted.run(ms(20_000)), weir.run(ms(20_000)));
    assert!(fast > RATE * 20 * 90 / 100, "{fast}");
    assert!(slow < fast * 8 / 10, "{slow} {fast}");
    // The bounds end with the next probe.
    drafted.until(Mode::Refill);
    assert_eq!(drafted.bbr.bounds.short_rate, UNBOUND);
}

/// A path that loses as much whether or not something waits.
///
/// spec: R-CC-36
#[test]
fn what_is_lost_anyway_is_left_out_of_account() {
    for (rtt, lose, least) in [(135, 50_000, 80), (250, 10_000, 85), (50, 100_000, 75)] {
        let rate = 6_250_000;
        let mut weir = Path::<Weir>::new(rate, ms(rtt), rate / 8);
        weir.lose = lose;
        weir.run(ms(3_000));
        let delivered = weir.run(ms(20_000));
        assert!(delivered > rate * 20 * least / 100, "{rtt} ms: {delivered}");
    }
    // And one that begins to.
    let mut weir = Path::<Weir>::new(RATE, ms(40), 1 << 20);
    weir.run(ms(5_000));
    weir.lose = 80_000;
    weir.run(ms(3_000));
    let delivered = weir.run(ms(20_000));
    assert!(delivered > RATE * 20 * 75 / 100, "{delivered}");
}

/// Where nothing ever waits for long, loss alone tells of too much.
///
/// spec: R-CC-36
#[test]
fn a_policer_and_a_short_queue_are_not_run_over() {
    let rate = 6_250_000;
    for (queue, policed, rtt) in [
        (2, false, 50),
        (4, false, 50),
        (4, false, 135),
        (10, true, 50),
        (100, true, 50),
        (10, true, 135),
        (100, true, 135),
    ] {
        let mut weir = Path::<Weir>::new(rate, ms(rtt), rate * queue / 1_000);
        weir.policed = policed;
        weir.run(ms(5_000));
        let (sent, over) = (weir.count, weir.overflowed);
        let delivered = weir.run(ms(30_000));
        let lost = (weir.overflowed - over) * 1_000 / (weir.count - sent);
        assert!(lost <= 50, "{queue} ms at {rtt}: {lost} of a thousand");
        assert!(delivered > rate * 30 * 80 / 100, "{queue} ms at {rtt}: {delivered}");
    }
}

/// spec: R-CC-33
#[test]
fn loss_with_a_queue_bounds_weir_too() {
    let mut weir = Path::<Weir>::new(RATE, ms(40), 20_000);
    weir.run(ms(1_000));
    assert!(weir.overflowed > 0 && weir.bbr.full.reached);
    let before = weir.overflowed;
    let delivered = weir.run(ms(20_000));
    assert!(delivered > RATE * 20 * 85 / 100, "{delivered}");
    assert!((weir.overflowed - before) * 50 < weir.count);
}

/// spec: R-CC-34
#[test]
fn a_standing_queue_ends_a_probe_of_weir_early() {
    let longest = |longest: Duration| longest.as_millis();
    let mut drafted = drafted(1 << 20);
    let mut weir = Path::<Weir>::new(RATE, ms(40), 1 << 20);
    drafted.until(Mode::Drain);
    weir.until(Mode::Drain);
    assert!(weir.now + ms(40) < drafted.now, "startup");
    drafted.run(ms(2_000));
    weir.run(ms(2_000));
    (drafted.longest, weir.longest) = (Duration::ZERO, Duration::ZERO);
    drafted.run(ms(20_000));
    weir.run(ms(20_000));
    let (two, one) = (longest(drafted.longest), longest(weir.longest));
    assert!(one < two && one <= 24, "{one} ms, drafted {two} ms");
    // And a rate that rises is followed as fast as a probe goes.
    weir.rate *= 4;
    weir.run(ms(10_000));
    let delivered = weir.run(ms(1_000));
    assert!(delivered > RATE * 4 * 9 / 10, "{delivered}");
}

/// spec: R-CC-27, R-CC-35
#[test]
fn the_least_round_trip_is_looked_for_unless_it_is_seen() {
    let mut drafted = drafted(1 << 20);
    drafted.run(ms(1_000));
    drafted.until(Mode::ProbeRtt);
    let began = drafted.now;
    drafted.run(ms(100));
    let most = drafted.bbr.probe_rtt_window();
    assert!(most >= drafted.bdp() * 4 / 10 && most <= drafted.bdp() * 6 / 10);
    assert!(drafted.bbr.window() <= most && drafted.in_flight <= most);
    drafted.until(Mode::Cruise);
    assert!(drafted.now.saturating_since(began) >= ms(200));
    assert!(drafted.now.saturating_since(began) <= ms(400));
    // A longer way is learnt in ten seconds.
    drafted.rtt = ms(120);
    drafted.run(ms(17_000));
    assert!(drafted.bbr.min_rtt.get().unwrap() >= 120_000_000);

    let mut weir = Path::<Weir>::new(RATE, ms(40), 1 << 20);
    for _ in 0..30_000 {
        weir.run(ms(1));
        assert_ne!(weir.bbr.mode, Mode::ProbeRtt);
    }
    weir.rtt = ms(120);
    weir.until(Mode::ProbeRtt);
}

/// spec: R-CC-28
#[test]
fn a_mark_ends_a_probe_and_bounds_it() {
    let mut path = drafted(1 << 20);
    path.until(Mode::Up);
    path.run(ms(50));
    assert_eq!(path.bbr.mode, Mode::Up);
    path.bbr.on_marked(path.now);
    path.run(ms(5));
    assert_eq!(path.bbr.mode, Mode::Down);
    assert!(path.bbr.bounds.long <= path.bdp() * 14 / 10 && path.bbr.bounds.long >= path.bdp());
    assert!(path.bbr.probe.too_high);
    // In between it bounds the flight as a loss does.
    path.until(Mode::Cruise);
    path.bbr.on_marked(path.now);
    path.run(ms(100));
    assert_ne!(path.bbr.bounds.short_rate, UNBOUND);
}

/// Lesson 23: an outage teaches nothing of the path.
///
/// spec: R-CC-29
#[test]
fn an_outage_keeps_the_model() {
    let mut path = drafted(1 << 20);
    path.run(ms(3_000));
    let (rate, window) = (path.bbr.max_rate.get(), path.bbr.window());
    let min_rtt = path.bbr.min_rtt.get();
    path.flying.iter_mut().for_each(|packet| packet.gone = true);
    path.bbr.on_persistent_congestion(path.now);
    assert_eq!(path.bbr.window(), 4 * DATAGRAM);
    path.run(ms(150));
    assert_eq!((path.bbr.max_rate.get(), path.bbr.min_rtt.get()), (rate, min_rtt));
    assert!(path.bbr.window() > window / 2, "{} {window}", path.bbr.window());
}

/// A path over which little goes says little by a mark.
///
/// spec: R-CC-28
#[test]
fn a_mark_on_a_quiet_way_bounds_no_more_than_loss_would() {
    let mut path = drafted(1 << 20);
    path.until(Mode::Up);
    while !path.flying.is_empty() {
        path.now = path.flying[0].arrives.max(path.now);
        path.arrive();
    }
    assert_eq!((path.bbr.mode, path.bbr.bounds.long), (Mode::Up, UNBOUND));
    path.limited_until = u64::MAX;
    path.send();
    path.now = path.flying[0].arrives;
    path.bbr.on_marked(path.now);
    path.arrive();
    assert_ne!(path.bbr.mode, Mode::Up);
    assert_eq!(path.bbr.bounds.long, UNBOUND);
    // Not limited, a small flight that was marked leaves seven tenths of what the path needs.
    let mut path = drafted(1 << 20);
    path.until(Mode::Up);
    while path.flying.len() > 1 {
        path.now = path.flying[0].arrives.max(path.now);
        path.arrive();
    }
    path.flying[0].in_flight = DATAGRAM;
    path.bbr.on_marked(path.flying[0].arrives);
    path.now = path.flying[0].arrives;
    path.arrive();
    assert!(path.bbr.bounds.long >= path.bdp() * 6 / 10, "{}", path.bbr.bounds.long);
}

/// Who moved counts from nothing, and goes on.
///
/// spec: R-CC-37
#[test]
fn a_path_that_takes_over_goes_on() {
    let mut path = Path::<Weir>::new(RATE, ms(40), 1 << 20);
    path.run(ms(10_000));
    path.until(Mode::Up);
    path.bbr.on_moved();
    for packet in &mut path.flying {
        packet.delivered = 0;
    }
    (path.delivered, path.limited_until) = (0, 0);
    let began = path.now;
    path.until(Mode::Down);
    assert!(path.now <= began + ms(1_000), "{:?}", path.now);
    for mode in [Mode::Cruise, Mode::Refill, Mode::Up] {
        path.until(mode);
    }
    assert!(path.now <= began + ms(5_000), "{:?}", path.now);
}

/// spec: R-CC-30
#[test]
fn a_loss_of_another_round_undoes_nothing() {
    let mut path = drafted(1 << 20);
    path.until(Mode::Cruise);
    let lost = |path: &Path<Drafted>| Lost {
        packets: 1,
        bytes: 1_200,
        sent: path.now,
        ranges: 1,
        excess: None,
    };
    path.bbr.on_lost(&lost(&path), path.now);
    let first = path.now;
    path.run(ms(100));
    let bound = path.bbr.bounds.short_flight;
    assert_ne!(bound, UNBOUND);
    path.bbr.on_lost(&lost(&path), path.now);
    path.run(ms(1));
    path.bbr.on_spurious_loss(first);
    assert_ne!(path.bbr.bounds.short_flight, UNBOUND, "it is of the round before");
    // A mark is true whatever turns up.
    path.bbr.on_marked(path.now);
    path.run(ms(100));
    let bound = path.bbr.bounds.short_flight;
    path.bbr.on_spurious_loss(path.now);
    assert_eq!(path.bbr.bounds.short_flight, bound);
}

/// spec: R-CC-31
#[test]
fn an_empty_path_is_no_idleness() {
    let mut path = drafted(1 << 20);
    path.until(Mode::ProbeRtt);
    path.flying.clear();
    path.in_flight = 0;
    path.send();
    assert!(!path.bbr.idle_restart, "all was lost; the application has more");
    path.flying.clear();
    path.in_flight = 0;
    path.limited_until = path.delivered + 1;
    path.send();
    assert!(path.bbr.idle_restart);
}

/// The first sample of a path is of a handful of bytes.
///
/// spec: R-CC-38
#[test]
fn the_first_flight_goes_on_at_its_pace() {
    let mut path = drafted(1 << 20);
    let first = path.pace();
    assert_eq!(first, 12_000 * 277 / 100 * 25);
    path.send();
    path.now = path.flying[0].arrives;
    path.arrive();
    assert!(path.pace() >= first * 99 / 100, "{} {first}", path.pace());
    // And however slow a path is said to be, a datagram a round trip leaves.
    path.bbr.full.reached = true;
    path.bbr.max_rate = MaxRate::default();
    path.bbr.max_rate.update(10);
    path.bbr.set_pacing(100);
    assert_eq!(path.pace(), DATAGRAM * 25);
}

/// spec: R-CC-30
#[test]
fn losses_that_were_none_are_undone() {
    let mut path = drafted(1 << 20);
    path.until(Mode::Cruise);
    path.run(ms(100));
    let window = path.bbr.window();
    let lost = Lost { packets: 3, bytes: 3_600, sent: path.now, ranges: 1, excess: None };
    path.bbr.on_lost(&lost, path.now);
    path.run(ms(100));
    assert_ne!(path.bbr.bounds.short_rate, UNBOUND);
    let at = path.bbr.reduced_at.unwrap();
    for _ in 0..2 {
        path.bbr.on_spurious_loss(at);
        assert_ne!(path.bbr.bounds.short_rate, UNBOUND);
    }
    path.bbr.on_spurious_loss(at);
    assert_eq!(path.bbr.bounds.short_rate, UNBOUND);
    assert!(path.bbr.window() >= window);
}

/// spec: R-CC-31
#[test]
fn after_idleness_it_paces_at_the_rate() {
    let mut path = drafted(1 << 20);
    path.until(Mode::Up);
    let window = path.bbr.window();
    while !path.flying.is_empty() {
        path.now = path.flying[0].arrives.max(path.now);
        path.arrive();
    }
    path.now = path.now + ms(3_600_000);
    path.limited_until = path.delivered + 1;
    path.send();
    assert!(path.bbr.window() >= window / 2);
    let rate = path.bbr.rate();
    assert_eq!(path.bbr.pacing, (u128::from(rate) * 9_900 / 10_000) as u64);
    path.run(ms(40));
    assert_ne!(path.bbr.mode, Mode::ProbeRtt, "idleness is as good as a probe");
}

/// spec: R-CC-32
#[test]
fn acks_in_bunches_widen_the_window() {
    let mut smooth = drafted(1 << 20);
    smooth.run(ms(5_000));
    let mut bunched = drafted(1 << 20);
    let end = bunched.now + ms(5_000);
    while bunched.now < end {
        // For 30 ms nothing arrives, then all of it.
        let slot = bunched.now + ms(30);
        while bunched.in_flight + DATAGRAM <= bunched.bbr.window() && bunched.next_send <= slot {
            bunched.now = bunched.next_send.max(bunched.now);
            bunched.send();
        }
        bunched.now = slot;
        while bunched.flying.front().is_some_and(|packet| packet.arrives <= slot) {
            bunched.arrive();
        }
    }
    assert!(bunched.bbr.extra.get() > smooth.bbr.extra.get() + 10 * DATAGRAM);
    assert!(bunched.delivered > RATE * 4, "{}", bunched.delivered);
    // A tenth of a second of the rate is enough for any aggregation.
    bunched.bbr.window = 1 << 30;
    let rate = bunched.bbr.rate();
    for _ in 0..1_000 {
        bunched.send();
    }
    bunched.now = bunched.flying.back().unwrap().arrives;
    while !bunched.flying.is_empty() {
        bunched.arrive();
    }
    assert!(bunched.bbr.extra.get() <= volume(rate, MOST_EXTRA), "{}", bunched.bbr.extra.get());
    // One quantum always fits, however short the way.
    let mut near = Path::<Drafted>::new(125_000_000, Duration::from_micros(50), 1 << 20);
    near.run(ms(500));
    assert!(near.bbr.window() >= MAX_QUANTUM, "{}", near.bbr.window());
}

proptest! {
    /// Whatever a path says, the window and the pace stay in bounds.
    ///
    /// spec: R-CC-9, R-CC-21
    #[test]
    fn nothing_leads_it_out_of_its_bounds(
        ops in proptest::collection::vec((0..7_u8, any::<u32>(), any::<u32>()), 1..300),
        weir: bool,
    ) {
        if weir { bounded::<Weir>(&ops)? } else { bounded::<Drafted>(&ops)? }
    }
}

fn bounded<R: Rules>(ops: &[(u8, u32, u32)]) -> Result<(), TestCaseError> {
    let mut bbr = Bbr::<R>::new(&CongestionConfig::default(), 1_200);
    let (mut now, mut total, mut datagram) = (Instant::from_nanos(1), 0_u64, 1_200);
    for (op, one, two) in ops {
        let (small, large) = (u64::from(*one), u64::from(*one) << 12);
        let sent = now.saturating_sub(Duration::from_nanos(u64::from(*two)));
        match op {
            0 if one.is_multiple_of(2) => bbr.on_restart(now),
            0 => bbr.on_moved(),
            1 | 2 => {
                let before = total.saturating_sub(u64::from(*two));
                total += large;
                let rate = RateSample {
                    delivered: total - before,
                    interval: Duration::from_nanos(u64::from(*two) + 1),
                    prior_delivered: before,
                    total_delivered: total,
                    tx_in_flight: small,
                    lost: u64::from(*two >> 16),
                    app_limited: op == &2,
                };
                let rtt = Some(Duration::from_nanos(u64::from(*two)));
                let (bytes, in_flight) = (large, small);
                let app_limited = two.is_multiple_of(2);
                let acked = Acked { bytes, sent, app_limited, rtt, rate: Some(rate), in_flight };
                bbr.on_acked(&acked, &Rtt::with_initial(Duration::from_nanos(large)), now);
            }
            3 => {
                let (tx_in_flight, lost) = (large, small);
                let excess = LossSample {
                    size: 1_200,
                    tx_in_flight,
                    lost,
                    prior_delivered: total,
                    app_limited: false,
                };
                let (packets, bytes) = (1, small);
                let lost = Lost { packets, bytes, sent, ranges: small % 9, excess: Some(excess) };
                bbr.on_lost(&lost, now);
            }
            4 if one.is_multiple_of(2) => bbr.on_marked(now),
            4 => bbr.on_persistent_congestion(now),
            5 if one.is_multiple_of(2) => bbr.on_spurious_loss(sent),
            5 => {
                datagram = u64::from((*one as u16).max(1));
                bbr.on_datagram_size_changed(*one as u16);
            }
            _ => now = now + Duration::from_nanos(large),
        }
        prop_assert!(bbr.window() >= 2 * datagram || bbr.window() >= 2 * 1_200);
        prop_assert!(bbr.window() <= MAX_WINDOW.max(4 * datagram));
        prop_assert!(bbr.pace(&Rtt::new()).bytes > 0);
    }
    Ok(())
}
