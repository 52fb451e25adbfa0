//! A sender made of a ledger and a path, on a bottleneck with a queue.
//!
//! What is tested here is the sum: that window, pacer and loss detection together fill a link, keep
//! its queue short of always full, and recover.

use alloc::collections::BTreeMap;

use super::*;
use crate::range_set::RangeSet;
use crate::recovery::{Fired, Ledger, SentPacket, Settled};
use crate::rng::{Rng, Seed};
use crate::wire::ack::AckFrame;

/// What the network does.
#[derive(Clone, Copy)]
struct Net {
    /// Bytes a second.
    rate: u64,
    /// Packets that fit the queue before it.
    queue: u64,
    rtt: Duration,
    /// Random loss in 1/10,000.
    loss: u64,
    /// Nothing arrives in between.
    outage: Option<(Instant, Instant)>,
}

enum Event {
    Arrive(u64),
    Ack(Vec<core::ops::Range<u64>>),
}

struct Run {
    net: Net,
    path: Path,
    ledger: Ledger,
    events: BTreeMap<(Instant, u64), Event>,
    order: u64,
    next: u64,
    busy_until: Instant,
    received: RangeSet,
    unacked: u32,
    delivered: u64,
    rng: Rng,
    now: Instant,
    /// The most that ever left at one instant, in packets.
    burst: u64,
}

const SIZE: u16 = 1_200;

impl Run {
    fn new(algorithm: Algorithm, net: Net, granularity: Duration) -> Self {
        let mut config = PathConfig { timer_granularity: granularity, ..windowed() };
        config.packets = PacketSizes::everywhere(SIZE);
        config.congestion.algorithm = algorithm;
        Self {
            net,
            path: path(&config),
            ledger: Ledger::new(),
            events: BTreeMap::new(),
            order: 0,
            next: 0,
            busy_until: Instant::ZERO,
            received: RangeSet::default(),
            unacked: 0,
            delivered: 0,
            rng: Rng::new(&Seed::from_u64(7)),
            now: Instant::ZERO,
            burst: 0,
        }
    }

    fn schedule(&mut self, at: Instant, event: Event) {
        self.order += 1;
        self.events.insert((at, self.order), event);
    }

    /// A packet comes to the queue.
    fn offer(&mut self, number: u64) {
        let lost = self.rng.below(10_000) < self.net.loss;
        let waiting = self.busy_until.saturating_since(self.now);
        let one = Duration::from_nanos(u64::from(SIZE) * 1_000_000_000 / self.net.rate);
        let full = waiting > one * u32::try_from(self.net.queue).unwrap();
        let out = self.net.outage.is_some_and(|(from, to)| from <= self.now && self.now < to);
        if lost || full || out {
            return;
        }
        self.busy_until = self.busy_until.max(self.now) + one;
        self.schedule(self.busy_until + self.net.rtt / 2, Event::Arrive(number));
    }

    /// Sends what may be sent; the application always has more.
    fn send(&mut self, need: Need, most: u64) {
        let mut sent = 0;
        while sent < most {
            let in_flight = self.ledger.in_flight(PathId(0));
            let budget = self.path.budget(need, in_flight, self.now);
            if budget.allowance != Allowance::Everything {
                break;
            }
            for _ in 0..u64::from(budget.max_datagrams).min(most - sent) {
                let number = self.ledger.next_number().0;
                self.next = number + 1;
                let packet = SentPacket {
                    number: crate::wire::id::PacketNumber(number),
                    path: PathId(0),
                    size: SIZE,
                    ack_eliciting: true,
                    mtu_probe: false,
                };
                let in_flight = self.ledger.in_flight(PathId(0));
                self.path.on_sent(SIZE);
                self.path.on_sent_in_flight(SIZE, in_flight, self.now);
                self.ledger.on_sent(packet, &mut Vec::new(), self.now);
                self.offer(number);
                sent += 1;
            }
        }
        self.burst = self.burst.max(sent);
    }

    fn settle(&mut self, mut settled: Settled) {
        for i in 0..settled.paths.len() {
            if let Some(sample) = settled.paths[i].rtt {
                self.path.on_rtt_sample(&sample);
            }
        }
        if !settled.paths.is_empty() {
            self.ledger.detect_losses(PathId(0), self.path.rtt(), &mut settled, self.now);
        }
        for outcome in &settled.paths {
            self.path.on_outcome(outcome, self.now);
        }
    }

    fn on_event(&mut self, event: Event) {
        match event {
            Event::Arrive(number) => {
                self.received.insert(number..number + 1);
                self.delivered += u64::from(SIZE);
                self.unacked += 1;
                if self.unacked >= 2 || self.received.count() > 1 {
                    self.unacked = 0;
                    let ranges = self.received.iter().rev().take(16).collect();
                    self.schedule(self.now + self.net.rtt / 2, Event::Ack(ranges));
                }
            }
            Event::Ack(ranges) => {
                let mut set = RangeSet::default();
                ranges.into_iter().for_each(|range| _ = set.insert(range));
                let (mut scratch, mut settled) = (Vec::new(), Settled::default());
                let ack = AckFrame::from_ranges(&set, 0, None, 16, &mut scratch).unwrap();
                self.ledger.on_ack(&ack, &mut settled, self.now).unwrap();
                self.settle(settled);
            }
        }
    }

    /// Runs until `end`; timers fire up to a granularity late.
    fn run(&mut self, end: Instant, granularity: Duration) -> u64 {
        let before = self.delivered;
        self.send(Need::Data, u64::MAX);
        while self.now < end {
            let loss_at = self.ledger.deadline(PathId(0), self.path.rtt());
            let timer = crate::time::earliest([self.path.deadline(), loss_at]);
            let late = self.rng.below(crate::time::nanos(granularity));
            let timer = timer.map(|at| at.max(self.now) + Duration::from_nanos(late));
            let event = self.events.keys().next().copied();
            match (event, timer) {
                (Some((at, order)), timer) if timer.is_none_or(|timer| at <= timer) => {
                    self.now = at.max(self.now);
                    let event = self.events.remove(&(at, order)).unwrap();
                    self.on_event(event);
                }
                (_, Some(timer)) => {
                    self.now = timer;
                    self.path.on_deadline(self.now);
                    let mut settled = Settled::default();
                    let rtt = *self.path.rtt();
                    let fired = self.ledger.on_deadline(PathId(0), &rtt, &mut settled, self.now);
                    self.settle(settled);
                    match fired {
                        Fired::Probe { count } => self.send(Need::Probe, count.into()),
                        Fired::Ping => self.send(Need::Probe, 1),
                        Fired::Nothing | Fired::Hush | Fired::PeerLost { .. } => {}
                    }
                }
                _ => panic!("nothing would ever happen again"),
            }
            self.send(Need::Data, u64::MAX);
        }
        self.delivered - before
    }
}

const BOTH: [Algorithm; 2] = [Algorithm::NewReno, Algorithm::Cubic];
const MS: Duration = Duration::from_millis(1);

fn secs(secs: u64) -> Instant {
    Instant::from_nanos(secs * 1_000_000_000)
}

fn net(mbit: u64, rtt_ms: u64, queue: u64) -> Net {
    let rtt = Duration::from_millis(rtt_ms);
    Net { rate: mbit * 125_000, queue, rtt, loss: 0, outage: None }
}

/// Scenario 60: 10 Mbit/s, 15 ms each way, a queue of 25 packets that drops its tail.
///
/// spec: R-CC-12, R-CC-16
#[test]
fn a_small_queue_is_filled_to_85_percent_of_the_link() {
    for algorithm in BOTH {
        let net = net(10, 30, 25);
        let mut run = Run::new(algorithm, net, MS);
        let delivered = run.run(secs(20), MS);
        assert!(delivered * 100 >= net.rate * 20 * 85, "{algorithm:?}: {delivered}");
        assert!(delivered <= net.rate * 20);
    }
}

/// Lesson 18, without loss: no path is too short or too long, with a queue of one bandwidth-delay
/// product.
///
/// spec: R-CC-12
#[test]
fn a_link_without_loss_is_filled_at_every_round_trip_time() {
    for (mbit, rtt, seconds) in
        [(100, 1, 2), (100, 5, 3), (50, 50, 10), (20, 135, 20), (20, 250, 30)]
    {
        let queue = (mbit * 125 * rtt / 1_200).max(50);
        let net = net(mbit, rtt, queue);
        let mut run = Run::new(Algorithm::Cubic, net, MS);
        run.run(secs(seconds / 2), MS);
        let delivered = run.run(secs(seconds), MS);
        let possible = net.rate * (seconds - seconds / 2);
        assert!(delivered * 100 >= possible * 85, "{mbit} Mbit/s, {rtt} ms: {delivered}");
    }
}

/// With random loss CUBIC is no slower than Reno's law: sqrt(3/2) / sqrt(p) datagrams a round trip,
/// of which three fifths are asked for here.
///
/// spec: R-CC-13
#[test]
fn random_loss_slows_down_no_more_than_the_law_of_reno() {
    for (rtt, loss) in [(5, 10), (5, 100), (50, 10), (135, 10), (135, 100), (50, 500)] {
        for algorithm in BOTH {
            let net = Net { loss, ..net(100, rtt, 500) };
            let mut run = Run::new(algorithm, net, MS);
            run.run(secs(5), MS);
            let delivered = run.run(secs(20), MS) as f64;
            let p = loss as f64 / 10_000.0;
            let law = 1_200.0 * (1.5 / p).sqrt() / (rtt as f64 / 1_000.0) * 15.0;
            let possible = law.min((net.rate * 15) as f64);
            assert!(
                delivered >= possible * 0.6,
                "{algorithm:?} {rtt} {loss}: {delivered} {possible}"
            );
        }
    }
}

/// Scenario 58 and lesson 20: after two seconds of nothing the rate is back within a few round
/// trips.
///
/// spec: R-CC-6
#[test]
fn an_outage_is_recovered_from() {
    for algorithm in BOTH {
        let outage = Some((secs(5), secs(7)));
        let net = Net { outage, ..net(20, 50, 100) };
        let mut run = Run::new(algorithm, net, MS);
        run.run(secs(8), MS);
        let delivered = run.run(secs(12), MS);
        let possible = net.rate * 4;
        assert!(delivered * 100 >= possible * 75, "{algorithm:?}: {delivered} of {possible}");
    }
}

/// Scenario 62 and lesson 27: neither a fresh path nor one that was idle for an hour bursts.
///
/// spec: R-CC-8, R-CC-18, R-CC-19
#[test]
fn neither_a_start_nor_a_pause_is_followed_by_a_burst() {
    for algorithm in BOTH {
        let net = net(100, 50, 2_000);
        let mut run = Run::new(algorithm, net, MS);
        run.send(Need::Data, u64::MAX);
        assert_eq!(run.burst, 10);
        run.run(secs(5), MS);
        let window = run.path.congestion().window();
        assert!(window > 200_000, "{window}");
        // Everything under way arrives, and then an hour of nothing.
        while let Some(((at, _), event)) = run.events.pop_first() {
            run.now = at.max(run.now);
            run.on_event(event);
        }
        run.now = run.now + Duration::from_secs(3_600);
        run.burst = 0;
        run.send(Need::Data, u64::MAX);
        assert!(run.path.congestion().window() <= 14_720);
        assert!(run.burst <= 50, "{}", run.burst);
    }
}

/// What may leave after a pause was asked of the window as it was before, so that a whole batch of a
/// large window left, of which the first packet shrank it.
///
/// spec: R-CC-8
#[test]
fn what_leaves_after_a_pause_fits_the_window_that_it_makes() {
    for algorithm in BOTH {
        // So large a timer that the pacer lets the whole window go.
        let mut run = Run::new(algorithm, net(100, 5, 2_000), Duration::from_secs(1));
        run.run(secs(5), MS);
        while let Some(((at, _), event)) = run.events.pop_first() {
            run.now = at.max(run.now);
            run.on_event(event);
        }
        run.now = run.now + Duration::from_secs(10);
        run.send(Need::Data, u64::MAX);
        let (window, in_flight) = (run.path.congestion().window(), run.ledger.in_flight(PathId(0)));
        assert!(in_flight <= window, "{algorithm:?}: {in_flight} in flight of {window}");
    }
}
