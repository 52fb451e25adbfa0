//! What controllers do on paths: the matrix of one transfer, short transfers, several flows at one
//! bottleneck, and paths that change.
//!
//! The *share* of a transfer is the time of an ideal sender as a part of the time that it took. The
//! ideal sender doubles from ten datagrams each round trip until it has the rate of the link, and
//! goes on at that; it loses nothing, and spends no byte on headers but what a datagram of
//! [`DATAGRAM`] needs.

use std::time::Duration;

use aqueduct_core::congestion::Algorithm;

use super::Report;
use super::bulk::Bulk;
use crate::dice::Dice;
use crate::link::{Loss, Machine, Policer, Queue, Waits};

/// 50 Mbit/s in bytes a second.
pub const RATE: u64 = 6_250_000;
/// Bytes of a full datagram.
pub const DATAGRAM: u64 = 1_452;
/// Of those, of a stream.
pub const PAYLOAD: f64 = 1_410.0;
/// No queue is shorter than ten datagrams.
pub const LEAST_QUEUE: u64 = 15_000;

/// One transfer over one path.
#[derive(Clone, Copy, Debug)]
pub struct Cell {
    /// Round trip in microseconds.
    pub rtt: u64,
    /// Loss of a million, each way.
    pub loss: u32,
    /// Bytes a second.
    pub rate: u64,
    /// The queue, in hundredths of rate times round trip.
    pub queue: u64,
    /// Bytes.
    pub size: u64,
}

/// What came of it.
#[derive(Clone, Copy, Debug)]
pub struct Figures {
    /// From the first write to the last acknowledgement.
    pub took: Duration,
    /// Part of the ideal sender's speed.
    pub share: f64,
    /// Body bytes as a part of what the link could carry in that time.
    pub link: f64,
    /// What 99 of 100 datagrams did not wait longer than, in round trips.
    pub waited: f64,
    /// Part of the packets that were lost, of those sent.
    pub lost: f64,
}

impl Cell {
    /// Bytes that a round trip takes.
    pub fn bdp(&self) -> u64 {
        (u128::from(self.rate) * u128::from(self.rtt) / 1_000_000) as u64
    }

    /// The time of the ideal sender.
    pub fn ideal(&self) -> Duration {
        let (rtt, rate) = (self.rtt as f64 / 1e6, self.rate as f64);
        let mut left = self.size as f64 * DATAGRAM as f64 / PAYLOAD;
        let (mut window, mut took) = (10.0 * 1_200.0, 0.0);
        while window < rate * rtt && left > window {
            left -= window;
            window *= 2.0;
            took += rtt;
        }
        Duration::from_secs_f64(took + left / rate + rtt)
    }

    /// Plays it.
    ///
    /// # Panics
    /// If it takes a hundred times as long as it could, and a minute.
    pub fn play(&self, algorithm: Algorithm, seed: u64) -> Figures {
        self.told(algorithm, seed).0
    }

    /// The same, and what else is told of a run.
    ///
    /// # Panics
    /// As [`play`](Self::play).
    pub fn told(&self, algorithm: Algorithm, seed: u64) -> (Figures, Report) {
        let room = (self.bdp() * self.queue / 100).max(LEAST_QUEUE);
        self.through(Vec::new(), Queue::bytes(self.rate, room), algorithm, seed)
    }

    /// Plays it where a queue holds so many milliseconds of the rate, whatever it says itself.
    pub fn play_shallow(&self, millis: u64, algorithm: Algorithm, seed: u64) -> Figures {
        let queue = Queue::bytes(self.rate, self.rate * millis / 1_000);
        self.through(Vec::new(), queue, algorithm, seed).0
    }

    /// Plays it where no queue is: what is beyond the rate is dropped, but for so many milliseconds
    /// of it at once.
    pub fn play_policed(&self, millis: u64, algorithm: Algorithm, seed: u64) -> Figures {
        let policer = Policer::of(self.rate, self.rate * millis / 1_000);
        let queue = Queue::bytes(self.rate * 20, self.rate);
        self.through(vec![Box::new(policer)], queue, algorithm, seed).0
    }

    fn through(
        &self,
        first: Vec<Box<dyn Machine>>,
        queue: Queue,
        algorithm: Algorithm,
        seed: u64,
    ) -> (Figures, Report) {
        let waits = Waits::default();
        let loss = || Box::new(Loss::of(self.loss)) as Box<dyn Machine>;
        let before = first.into_iter().chain([loss()]).collect();
        let mut bulk = Bulk::new(seed, before, queue.noting(&waits));
        let rtt = Duration::from_micros(self.rtt);
        let (flow, _) = bulk.add(algorithm, rtt, vec![loss()]);
        let began = bulk.now();
        bulk.give(flow, self.size, true);
        let limit = self.ideal() * 100 + Duration::from_secs(60);
        let done = bulk.run(limit, |bulk| bulk.flows[flow].delivered);
        assert!(done, "{self:?} {algorithm:?} stalls");
        let took = bulk.now().saturating_since(began);
        let ledger = bulk.stats(flow).ledger;
        let figures = Figures {
            took,
            share: self.ideal().as_secs_f64() / took.as_secs_f64(),
            link: self.size as f64 / self.rate as f64 / took.as_secs_f64(),
            waited: waits.percentile(99).as_secs_f64() / rtt.as_secs_f64(),
            lost: ledger.lost as f64 / ledger.eliciting_sent as f64,
        };
        let fingerprint = bulk.net.fingerprint();
        (figures, Report { fingerprint, simulated: took, figures: Vec::new() })
    }
}

/// Several flows over one bottleneck of 50 Mbit/s.
#[derive(Clone, Debug)]
pub struct Crowd {
    /// Each flow's controller, round trip in milliseconds, and second of its start.
    pub flows: Vec<(Algorithm, u64, u64)>,
    /// The queue in hundredths of rate times 50 ms.
    pub queue: u64,
    /// Seconds.
    pub lasts: usize,
}

/// What each flow got in each second, in bytes.
pub type Seconds = Vec<Vec<u64>>;

impl Crowd {
    /// Plays it. The seed draws by what part of a hundredth each flow's round trip is longer, so
    /// that no two are in step.
    pub fn play(&self, seed: u64) -> Seconds {
        let room = RATE / 20 * self.queue / 100;
        let mut bulk = Bulk::new(seed, Vec::new(), Queue::bytes(RATE, room));
        let mut dice = Dice::new(seed, "round trips of a crowd");
        for (algorithm, rtt, _) in &self.flows {
            let rtt = Duration::from_millis(*rtt);
            bulk.add(*algorithm, rtt + dice.between(Duration::ZERO, rtt / 100), Vec::new());
        }
        let mut out = Seconds::new();
        for second in 0..self.lasts {
            for (flow, (_, _, start)) in self.flows.iter().enumerate() {
                if *start == second as u64 {
                    bulk.give(flow, RATE * self.lasts as u64, false);
                }
            }
            out.extend(bulk.watch(1, Duration::from_secs(1)));
        }
        out
    }
}

/// Bytes of each flow over some seconds.
pub fn total(seconds: &[Vec<u64>]) -> Vec<u64> {
    let flows = seconds.first().map_or(0, Vec::len);
    (0..flows).map(|flow| seconds.iter().map(|second| second[flow]).sum()).collect()
}

/// Jain's index: 1 if all have the same.
pub fn jain(shares: &[u64]) -> f64 {
    let sum: f64 = shares.iter().map(|share| *share as f64).sum();
    let squares: f64 = shares.iter().map(|share| (*share as f64).powi(2)).sum();
    if squares == 0.0 { 1.0 } else { sum * sum / squares / shares.len() as f64 }
}
