//! The plain link: all the usual that can happen to a datagram between two hosts, in one machine.
//!
//! Every pair of hosts is joined by one unless a [road](crate::net::Net::set_road) of single
//! machines is laid between them.

use std::time::Duration;

use aqueduct_core::rng::Rng;
use aqueduct_core::time::Instant;

/// What a link does. Rates of events are in thousandths.
#[derive(Clone, Copy, Debug)]
pub struct LinkConfig {
    /// One-way delay.
    pub delay: Duration,
    /// Up to this much more, drawn for each datagram: reorders.
    pub jitter: Duration,
    /// Datagrams that vanish.
    pub loss: u32,
    /// Datagrams that arrive twice.
    pub duplicate: u32,
    /// Datagrams in which one bit is flipped.
    pub corrupt: u32,
    /// Bytes a second; `None` for no limit.
    pub rate: Option<u64>,
    /// Bytes that wait for the rate before more are dropped.
    pub queue: u64,
    /// Largest datagram that passes, in bytes of UDP payload; larger ones vanish.
    pub max_datagram: usize,
}

impl Default for LinkConfig {
    fn default() -> Self {
        Self {
            delay: Duration::from_millis(10),
            jitter: Duration::ZERO,
            loss: 0,
            duplicate: 0,
            corrupt: 0,
            rate: None,
            queue: 1 << 20,
            max_datagram: 1452,
        }
    }
}

/// A link's state: when its transmitter is free again, and its own luck. What becomes of the n-th
/// datagram does not hang on what other links do, so runs that differ little can be compared.
#[derive(Clone, Debug)]
pub struct Link {
    /// What it does; may be changed while datagrams are under way.
    pub config: LinkConfig,
    /// Datagrams that found its queue full.
    pub overflowed: u64,
    free: Instant,
    rng: Rng,
}

/// When copies of a datagram arrive, and which of them with a flipped bit.
#[derive(Clone, Debug, Default)]
pub struct Fate {
    /// Arrival times and the bit that is flipped, if one is.
    pub copies: Vec<(Instant, Option<usize>)>,
}

impl Link {
    /// An idle link.
    pub fn new(config: LinkConfig, rng: Rng) -> Self {
        Self { config, overflowed: 0, free: Instant::ZERO, rng }
    }

    /// Decides what becomes of a datagram of `len` bytes that is sent at `now`.
    pub fn send(&mut self, len: usize, now: Instant) -> Fate {
        // Each datagram has draws of its own, however many its fate takes.
        let rng = &mut self.rng.fork("datagram");
        let config = self.config;
        if len > config.max_datagram || happens(config.loss, rng) {
            return Fate::default();
        }
        let Some(departed) = self.depart(len as u64, now) else { return Fate::default() };
        let copies = if happens(config.duplicate, rng) { 2 } else { 1 };
        let mut fate = Fate::default();
        for _ in 0..copies {
            let jitter = rng.below(config.jitter.as_nanos() as u64 + 1);
            let at = departed + config.delay + Duration::from_nanos(jitter);
            let flipped = happens(config.corrupt, rng).then(|| rng.below(len as u64 * 8) as usize);
            fate.copies.push((at, flipped));
        }
        fate
    }

    /// When the datagram has left the transmitter; `None` if the queue is full.
    fn depart(&mut self, len: u64, now: Instant) -> Option<Instant> {
        let Some(rate) = self.config.rate else { return Some(now) };
        let waiting = self.free.saturating_since(now).as_nanos() as u64 * rate / 1_000_000_000;
        if waiting + len > self.config.queue {
            self.overflowed += 1;
            return None;
        }
        let takes = Duration::from_nanos(len * 1_000_000_000 / rate);
        self.free = self.free.max(now) + takes;
        Some(self.free)
    }
}

fn happens(thousandths: u32, rng: &mut Rng) -> bool {
    thousandths > 0 && rng.below(1000) < u64::from(thousandths)
}
