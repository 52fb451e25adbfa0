//! The matrix: round trips by loss by size, and how much of what is possible is reached.
//!
//! In every cell one body crosses a link of [`RATE`], whose queue holds one bandwidth-delay product
//! (at least [`QUEUE`]), with independent loss both ways. What is *possible* is the time of an
//! ideal sender that knows its rate: it doubles from the initial window until it has the rate `R`,
//!
//! ```text
//!   R = min(link, W / RTT)      W = max(sqrt(3 / 2p), (C (3 + b) / (4 (1 - b)))^1/4 (RTT / p)^3/4)
//! ```
//!
//! and goes on at that. `W` is the response function of the controller that is used here, CUBIC:
//! RFC 9438 section 5.1 with C = 0.4 and b = 0.7, in datagrams, and the one of Reno where that is
//! larger (section 4.3). What is *reached* is that time as a part of the time that it took, from
//! the first write to the last byte acknowledged. Weir, which does not answer loss as such, has
//! tables of its own.

use std::time::Duration;

use aqueduct_core::congestion::Algorithm;

use super::Report;
use super::lab::{HEADERS, Lab, Road, config};
use crate::link::{Delay, Loss, Machine, Queue};

/// The link, in bytes a second: 100 Mbit/s.
pub const RATE: u64 = 12_500_000;
/// Bytes of queue, at least.
pub const QUEUE: u64 = 64_000;
/// Round trips in microseconds.
pub const RTTS: [u64; 6] = [200, 5_000, 50_000, 135_000, 250_000, 750_000];
/// Losses of a million, each way.
pub const LOSSES: [u32; 4] = [0, 1_000, 10_000, 50_000];
/// Sizes in bytes.
pub const SIZES: [usize; 4] = [1_000, 64_000, 1_000_000, 10_000_000];

/// What each cell reaches at least, as a part of what is possible.
pub const LEAST: f64 = 0.5;

/// Bytes of payload in a datagram of the size that paths begin with.
const PAYLOAD: f64 = 1_160.0;
/// Datagrams of the first window.
const FIRST: f64 = 10.0;

/// One cell.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Cell {
    /// Round trip in microseconds.
    pub rtt: u64,
    /// Loss, of a million.
    pub loss: u32,
    /// Bytes.
    pub size: usize,
}

/// All cells.
pub fn cells() -> impl Iterator<Item = Cell> {
    let sized = |(rtt, loss)| SIZES.map(|size| Cell { rtt, loss, size });
    RTTS.into_iter().flat_map(|rtt| LOSSES.map(|loss| (rtt, loss))).flat_map(sized)
}

impl Cell {
    /// The rate that RTT, loss and link allow in the long run, in bytes a second.
    pub fn allowed(&self) -> f64 {
        let (rtt, loss) = (self.rtt as f64 / 1e6, f64::from(self.loss) / 1e6);
        if loss == 0.0 {
            return RATE as f64;
        }
        let reno = (1.5 / loss).sqrt();
        let (c, beta) = (0.4_f64, 0.7);
        let cubic = (c * (3.0 + beta) / (4.0 * (1.0 - beta))).powf(0.25) * (rtt / loss).powf(0.75);
        (reno.max(cubic) * PAYLOAD / rtt).min(RATE as f64)
    }

    /// The time of the ideal sender.
    pub fn ideal(&self) -> Duration {
        let (rtt, rate) = (self.rtt as f64 / 1e6, self.allowed());
        let (mut left, mut window, mut took) = (self.size as f64, FIRST * PAYLOAD, 0.0);
        while window < rate * rtt && left > window {
            left -= window;
            window *= 2.0;
            took += rtt;
        }
        // The last byte takes half a round trip, and its acknowledgement as long.
        Duration::from_secs_f64(took + left / rate + rtt)
    }

    /// What is reached with this seed.
    pub fn reached(&self, seed: u64) -> f64 {
        self.play(seed).0
    }

    /// Plays it: what is reached, and all the rest.
    ///
    /// # Panics
    /// If it stalls: if it takes twenty times as long as it could, and ten seconds.
    pub fn play(&self, seed: u64) -> (f64, Report) {
        let road = || -> Road {
            let waits = Duration::from_micros(self.rtt).as_secs_f64() * RATE as f64;
            let queue = Queue::bytes(RATE, QUEUE.max(waits as u64)).with_overhead(HEADERS);
            let delay = Delay::of(Duration::from_micros(self.rtt / 2));
            let loss = Box::new(Loss::of(self.loss)) as Box<dyn Machine>;
            vec![loss, Box::new(queue), Box::new(delay)]
        };
        let nodes = [1, 2].map(|number| {
            let config = config(number);
            let transport = config.transport().clone().with_controller(Algorithm::Cubic);
            config.with_transport(transport)
        });
        let mut run = Lab::new(seed, [road(), road()], nodes).connect();
        let limit = self.ideal() * 20 + Duration::from_secs(10);
        let took = run.fetch(&[self.size], limit);
        (self.ideal().as_secs_f64() / took.as_secs_f64(), run.report(Vec::new()))
    }
}

/// The median of several seeds.
pub fn median(cell: Cell, seeds: std::ops::Range<u64>) -> f64 {
    let mut reached: Vec<f64> = seeds.map(|seed| cell.reached(seed)).collect();
    reached.sort_by(f64::total_cmp);
    reached[reached.len() / 2]
}

/// A line of the table: what is reached, in percent, for each size.
pub fn line(rtt: u64, loss: u32, reached: &[f64]) -> String {
    let cells: Vec<_> = reached.iter().map(|part| format!("{:>5.0}", part * 100.0)).collect();
    format!("{:>7.1} {:>6.1} {}", rtt as f64 / 1e3, f64::from(loss) / 1e4, cells.join(" "))
}
