//! Spreads packets over the round trip.
//!
//! A token bucket: bytes are earned at the pacing rate and spent by sending. The bucket is shallow,
//! so that no burst overflows a router's queue, but deep enough for a coarse timer: a driver that
//! can only wake once a millisecond must find a millisecond's bytes when it does, and what it came
//! late by.
//!
//! ```text
//!   tokens
//!   burst ┤      ╱╲          late: earns on, up to the burst
//!         │    ╱   ╲      ╱╲
//!       0 ┼──╱──────╲───╱───╲───▶ t
//!             sent      sent
//! ```

use core::time::Duration;

use crate::recovery::Rtt;
use crate::time::{Instant, nanos};

use super::Pace;

/// Tokens are counted in 1/65536 byte, so that frequent refills lose nothing.
const SHIFT: u32 = 16;

/// No rate counts more bytes than this a round trip: products stay inside 128 bits.
const MAX_BYTES: u64 = 1 << 44;

/// A rate as bytes over nanoseconds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[cfg_attr(any(test, feature = "fingerprint"), derive(Hash))]
struct Rate {
    bytes: u64,
    nanos: u64,
}

/// The token bucket of one path.
#[derive(Clone, Debug)]
#[cfg_attr(any(test, feature = "fingerprint"), derive(Hash))]
pub struct Pacer {
    granularity: u64,
    datagram: u64,
    rate: Rate,
    /// What may leave at once, by the two above and the rate.
    burst: u64,
    /// In 1/65536 byte.
    tokens: u64,
    /// Of what was earned, the part that is no 1/65536 byte yet, over `rate.nanos`.
    remainder: u64,
    /// What is left of the first burst, in bytes: spent once, never earned again.
    first: u64,
    refilled: Instant,
}

impl Pacer {
    /// A pacer for a driver whose timer has `granularity`, on a path of which nothing is known but
    /// the initial `window` in bytes. That much may leave at once, one time.
    pub fn new(granularity: Duration, datagram_size: u16, window: u64, now: Instant) -> Self {
        let mut pacer = Self {
            granularity: nanos(granularity).max(1),
            datagram: u64::from(datagram_size.max(1)),
            rate: Rate { bytes: window.max(1), nanos: nanos(Rtt::new().smoothed()) },
            burst: 0,
            tokens: 0,
            remainder: 0,
            first: window,
            refilled: now,
        };
        pacer.burst = pacer.deepest();
        pacer
    }

    /// Paces like this from now on.
    pub fn set_rate(&mut self, pace: Pace, now: Instant) {
        self.refill(now);
        let rate = Rate { bytes: pace.bytes.clamp(1, MAX_BYTES), nanos: nanos(pace.over).max(1) };
        if rate.nanos != self.rate.nanos {
            self.remainder = 0;
        }
        self.rate = rate;
        self.burst = self.deepest();
        self.tokens = self.tokens.min(self.burst << SHIFT);
    }

    /// The path carries datagrams of another size now.
    pub fn on_datagram_size_changed(&mut self, datagram_size: u16) {
        self.datagram = u64::from(datagram_size.max(1));
        self.burst = self.deepest();
        self.tokens = self.tokens.min(self.burst << SHIFT);
    }

    /// The rate in bytes a second, rounded down.
    pub fn bytes_per_second(&self) -> u64 {
        self.rate.over(1_000_000_000)
    }

    /// What may leave at once, in bytes: the larger of two timer granularities' worth (the deadline
    /// was rounded up by one, and may be missed by one) with the datagram that was waited for, and
    /// of ten datagrams, where those ten are cut to a millisecond's worth on a slow path; never
    /// less than two.
    pub fn burst(&self) -> u64 {
        self.burst
    }

    fn deepest(&self) -> u64 {
        let timer = self.datagram + self.rate.over(self.granularity.saturating_mul(2));
        let datagrams = (10 * self.datagram).min(self.rate.over(1_000_000));
        timer.max(datagrams).max(2 * self.datagram)
    }

    /// Bytes that may leave now.
    pub fn available(&mut self, now: Instant) -> u64 {
        self.refill(now);
        (self.tokens >> SHIFT).saturating_add(self.first)
    }

    /// Whether `bytes` may leave now. What is more than a burst waits for a full bucket.
    pub fn may_send(&mut self, bytes: u64, now: Instant) -> bool {
        self.available(now) >= bytes.min(self.burst)
    }

    /// `bytes` leave, whether or not they were allowed to.
    pub fn on_sent(&mut self, bytes: u64, now: Instant) {
        self.refill(now);
        let first = self.first.min(bytes);
        self.first -= first;
        self.tokens = self.tokens.saturating_sub((bytes - first).saturating_mul(1 << SHIFT));
    }

    /// When the next datagram may leave, rounded up to the timer's granularity. In the past if it
    /// may.
    pub fn deadline(&self) -> Instant {
        let have = self.tokens.saturating_add(self.first.saturating_mul(1 << SHIFT));
        let want = (self.datagram << SHIFT).saturating_sub(have);
        if want == 0 {
            return self.refilled;
        }
        let want = u128::from(want) * u128::from(self.rate.nanos) - u128::from(self.remainder);
        let wait = want.div_ceil(u128::from(self.rate.bytes) << SHIFT);
        let at = u128::from(self.refilled.as_nanos()).saturating_add(wait);
        let at = u64::try_from(at).unwrap_or(u64::MAX);
        let rounded = at.checked_next_multiple_of(self.granularity).unwrap_or(u64::MAX);
        Instant::from_nanos(rounded)
    }

    fn refill(&mut self, now: Instant) {
        let elapsed = nanos(now.saturating_since(self.refilled));
        if elapsed == 0 {
            return;
        }
        self.refilled = now;
        let earned = self.rate.earned(elapsed) + u128::from(self.remainder);
        let (whole, part) = (earned / self.rate.span(), earned % self.rate.span());
        self.remainder = u64::try_from(part).unwrap_or(0);
        let tokens = u64::try_from(whole).unwrap_or(u64::MAX).saturating_add(self.tokens);
        self.tokens = tokens.min(self.burst << SHIFT);
    }
}

impl Rate {
    /// Bytes in `time` nanoseconds, at most what the bucket can count.
    fn over(self, time: u64) -> u64 {
        let bytes = u128::from(self.bytes) * u128::from(time) / self.span();
        u64::try_from(bytes).unwrap_or(u64::MAX).min(u64::MAX >> (SHIFT + 2))
    }

    /// What `time` nanoseconds earn, in 1/65536 bytes over [`Rate::span`].
    fn earned(self, time: u64) -> u128 {
        (u128::from(self.bytes) << SHIFT) * u128::from(time)
    }

    fn span(self) -> u128 {
        u128::from(self.nanos)
    }
}

#[cfg(test)]
#[path = "pacer_tests.rs"]
mod tests;
