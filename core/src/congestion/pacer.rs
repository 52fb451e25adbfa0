//! Spreads packets over the round trip.
//!
//! A token bucket: bytes are earned at the pacing rate and spent by sending. The bucket is shallow, so
//! that no burst overflows a router's queue, but deep enough for a coarse timer: a driver that can only
//! wake once a millisecond must find a millisecond's bytes when it does, and what it came late by.
//!
//! ```text
//!   tokens
//!   burst ┤      ╱╲          late: earns on, up to the burst
//!         │    ╱   ╲      ╱╲
//!       0 ┼──╱──────╲───╱───╲───▶ t
//!             sent      sent
//! ```

use core::time::Duration;

use crate::time::{Instant, nanos};

/// Tokens are counted in 1/65536 byte, so that frequent refills lose nothing.
const SHIFT: u32 = 16;

/// A rate as bytes over nanoseconds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Rate {
    bytes: u64,
    nanos: u64,
}

/// The token bucket of one path.
#[derive(Clone, Debug)]
pub struct Pacer {
    granularity: u64,
    datagram: u64,
    rate: Option<Rate>,
    /// In 1/65536 byte.
    tokens: u64,
    refilled: Instant,
}

impl Pacer {
    /// A pacer for a driver whose timer has `granularity`. Until a rate is set it holds `burst` bytes
    /// (the initial window) and earns none.
    pub fn new(granularity: Duration, datagram_size: u16, burst: u64, now: Instant) -> Self {
        Self {
            granularity: nanos(granularity).max(1),
            datagram: u64::from(datagram_size.max(1)),
            rate: None,
            tokens: burst << SHIFT,
            refilled: now,
        }
    }

    /// Paces at `gain` times `window` bytes a `rtt` from now on.
    pub fn set_rate(&mut self, window: u64, gain: (u64, u64), rtt: Duration, now: Instant) {
        self.refill(now);
        let bytes = window.saturating_mul(gain.0) / gain.1.max(1);
        self.rate = Some(Rate { bytes: bytes.max(1), nanos: nanos(rtt).max(1) });
    }

    /// The path carries datagrams of another size now.
    pub fn on_datagram_size_changed(&mut self, datagram_size: u16) {
        self.datagram = u64::from(datagram_size.max(1));
    }

    /// The rate in bytes a second, rounded down; `None` before one is known.
    pub fn bytes_per_second(&self) -> Option<u64> {
        self.rate.map(|rate| rate.over(1_000_000_000))
    }

    /// What may leave at once, in bytes: the larger of two timer granularities' worth and ten datagrams,
    /// where those ten are cut to a millisecond's worth on a slow path; never less than two datagrams.
    pub fn burst(&self) -> u64 {
        let Some(rate) = self.rate else { return u64::MAX >> SHIFT };
        let timer = rate.over(2 * self.granularity);
        let datagrams = (10 * self.datagram).min(rate.over(1_000_000));
        timer.max(datagrams).max(2 * self.datagram)
    }

    /// Bytes that may leave now.
    pub fn available(&mut self, now: Instant) -> u64 {
        self.refill(now);
        self.tokens >> SHIFT
    }

    /// Whether `bytes` may leave now. More than a burst may leave when the bucket is full.
    pub fn may_send(&mut self, bytes: u64, now: Instant) -> bool {
        self.available(now) >= bytes.min(self.burst())
    }

    /// `bytes` leave, whether or not they were allowed to.
    pub fn on_sent(&mut self, bytes: u64, now: Instant) {
        self.refill(now);
        self.tokens = self.tokens.saturating_sub(bytes << SHIFT);
    }

    /// When a datagram may leave, rounded up to the timer's granularity. In the past if it may now;
    /// `None` if no rate is known and the first burst is spent.
    pub fn deadline(&self) -> Option<Instant> {
        let want = (self.datagram << SHIFT).saturating_sub(self.tokens);
        if want == 0 {
            return Some(self.refilled);
        }
        let rate = self.rate?;
        let wait =
            (u128::from(want) * u128::from(rate.nanos)).div_ceil(u128::from(rate.bytes) << SHIFT);
        let at = u128::from(self.refilled.as_nanos()) + wait;
        let at = u64::try_from(at).unwrap_or(u64::MAX);
        Some(Instant::from_nanos(at.checked_next_multiple_of(self.granularity).unwrap_or(u64::MAX)))
    }

    fn refill(&mut self, now: Instant) {
        let elapsed = nanos(now.saturating_since(self.refilled));
        self.refilled = self.refilled.max(now);
        let Some(rate) = self.rate else { return };
        let earned = rate.scaled(elapsed);
        self.tokens = self.tokens.saturating_add(earned).min(self.burst() << SHIFT);
    }
}

impl Rate {
    /// Bytes in `time` nanoseconds.
    fn over(self, time: u64) -> u64 {
        self.scaled(time) >> SHIFT
    }

    /// 1/65536 bytes in `time` nanoseconds, at most what the bucket can count.
    fn scaled(self, time: u64) -> u64 {
        let exact = (u128::from(self.bytes) << SHIFT) * u128::from(time) / u128::from(self.nanos);
        u64::try_from(exact).unwrap_or(u64::MAX >> 1)
    }
}
