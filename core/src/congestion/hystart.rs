//! HyStart++: leaves slow start when round-trip times grow, before packets are lost (RFC 9406).
//!
//! A round ends when a packet is acknowledged that was sent after the round began. The smallest RTT
//! of a round that has 8 samples is compared with that of the round before: if it grew by an eighth
//! (4 to 16 ms), growth slows to a quarter for 5 rounds, and then ends. If RTT falls below what it
//! was when that began, the growth was a false alarm and slow start goes on.

use core::time::Duration;

use crate::time::{Instant, nanos};

const MIN_RTT_THRESHOLD: u64 = 4_000_000;
const MAX_RTT_THRESHOLD: u64 = 16_000_000;
const RTT_DIVISOR: u64 = 8;
const SAMPLES: u32 = 8;
const CSS_ROUNDS: u32 = 5;

/// By how much less the window grows in conservative slow start.
pub(super) const CSS_GROWTH_DIVISOR: u64 = 4;

/// What slow start does next.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Growth {
    /// Grow by what was acknowledged.
    Full,
    /// Grow by a quarter of it.
    Conservative,
    /// Slow start is over.
    Done,
}

/// The detector of one slow start. RTTs in nanoseconds.
#[derive(Clone, Copy, Debug)]
#[cfg_attr(any(test, feature = "fingerprint"), derive(Hash))]
pub struct HyStart {
    round_start: Instant,
    last_round_min: Option<u64>,
    round_min: Option<u64>,
    samples: u32,
    css: Option<Css>,
}

#[derive(Clone, Copy, Debug)]
#[cfg_attr(any(test, feature = "fingerprint"), derive(Hash))]
struct Css {
    baseline: u64,
    rounds: u32,
}

impl Default for HyStart {
    fn default() -> Self {
        Self::new()
    }
}

impl HyStart {
    /// Before the first round.
    pub const fn new() -> Self {
        Self {
            round_start: Instant::ZERO,
            last_round_min: None,
            round_min: None,
            samples: 0,
            css: None,
        }
    }

    /// Whether growth is slowed down now.
    pub const fn is_conservative(&self) -> bool {
        self.css.is_some()
    }

    /// Takes the RTT of an ACK whose newest packet was sent at `sent`.
    pub(super) fn on_acked(&mut self, sent: Instant, rtt: Duration, now: Instant) -> Growth {
        if sent >= self.round_start && self.next_round(now) {
            return Growth::Done;
        }
        let rtt = nanos(rtt);
        let min = self.round_min.map_or(rtt, |min| min.min(rtt));
        self.round_min = Some(min);
        self.samples = self.samples.saturating_add(1);
        if self.samples >= SAMPLES {
            match (self.css, self.last_round_min) {
                (Some(css), _) if min < css.baseline => self.css = None,
                (None, Some(last)) if min >= last.saturating_add(threshold(last)) => {
                    self.css = Some(Css { baseline: min, rounds: 0 });
                }
                _ => {}
            }
        }
        if self.css.is_some() { Growth::Conservative } else { Growth::Full }
    }

    /// Begins a round. Returns whether conservative slow start has had all of its rounds.
    fn next_round(&mut self, now: Instant) -> bool {
        self.round_start = now;
        self.last_round_min = self.round_min.take().or(self.last_round_min);
        self.samples = 0;
        let Some(css) = &mut self.css else { return false };
        css.rounds += 1;
        css.rounds >= CSS_ROUNDS
    }
}

fn threshold(last: u64) -> u64 {
    (last / RTT_DIVISOR).clamp(MIN_RTT_THRESHOLD, MAX_RTT_THRESHOLD)
}
