//! A rate with a burst.

use core::time::Duration;

use crate::time::{Instant, nanos};

const NANOS: i128 = 1_000_000_000;

/// Tokens that come at a rate and are kept up to a burst. A token is a byte.
///
/// ```
/// use aqueduct_core::shaping::TokenBucket;
/// use aqueduct_core::time::Instant;
/// use core::time::Duration;
///
/// let start = Instant::ZERO;
/// let mut bucket = TokenBucket::new(1_000_000, 10_000, start);
/// assert_eq!(bucket.take(25_000, start), 10_000, "the burst");
/// let then = bucket.ready_at(5_000, start);
/// assert_eq!(then, start + Duration::from_millis(5));
/// assert_eq!(bucket.take(15_000, then), 5_000);
/// ```
#[derive(Clone, Debug)]
#[cfg_attr(any(test, feature = "fingerprint"), derive(Hash))]
pub struct TokenBucket {
    /// Bytes a second.
    rate: u64,
    burst: u64,
    /// Tokens in units of a billionth, so that nothing is lost to rounding; below zero it owes.
    level: i128,
    at: Instant,
}

impl TokenBucket {
    /// A full bucket. `rate` in bytes a second, at least 1; `burst` in bytes, at least 1.
    pub fn new(rate: u64, burst: u64, now: Instant) -> Self {
        let burst = burst.max(1);
        Self { rate: rate.max(1), burst, level: i128::from(burst) * NANOS, at: now }
    }

    /// Another rate from now on, in bytes a second.
    pub fn set_rate(&mut self, rate: u64, now: Instant) {
        self.fill(now);
        self.rate = rate.max(1);
    }

    /// Another rate and another burst, in bytes, from now on. What is there beyond the burst is
    /// lost.
    pub fn reshape(&mut self, rate: u64, burst: u64, now: Instant) {
        self.set_rate(rate, now);
        self.burst = burst.max(1);
        self.level = self.level.min(i128::from(self.burst) * NANOS);
    }

    /// Bytes a second.
    pub const fn rate(&self) -> u64 {
        self.rate
    }

    /// The most that it holds, in bytes.
    pub const fn burst(&self) -> u64 {
        self.burst
    }

    /// Takes up to `want` tokens. Returns how many there were.
    pub fn take(&mut self, want: u64, now: Instant) -> u64 {
        let taken = want.min(self.available(now));
        self.level -= i128::from(taken) * NANOS;
        taken
    }

    /// Takes `bytes` tokens, there or not: what was not there it owes, and pays from what comes.
    pub fn charge(&mut self, bytes: u64, now: Instant) {
        self.fill(now);
        self.level = self.level.saturating_sub(i128::from(bytes) * NANOS);
    }

    /// Whole tokens that are there; none while it owes.
    pub fn available(&mut self, now: Instant) -> u64 {
        self.fill(now);
        u64::try_from(self.level.max(0) / NANOS).unwrap_or(u64::MAX)
    }

    /// Tokens that it owes.
    pub fn owes(&mut self, now: Instant) -> u64 {
        self.fill(now);
        u64::try_from(-self.level.min(0) / NANOS).unwrap_or(u64::MAX)
    }

    /// When `want` tokens, or as many as the burst, will be there.
    pub fn ready_at(&self, want: u64, now: Instant) -> Instant {
        let missing = i128::from(want.min(self.burst)) * NANOS - self.level;
        let missing = u128::try_from(missing).unwrap_or(0);
        let wait = missing.div_ceil(u128::from(self.rate));
        let at = self.at + Duration::from_nanos(u64::try_from(wait).unwrap_or(u64::MAX));
        at.max(now)
    }

    fn fill(&mut self, now: Instant) {
        let passed = i128::from(nanos(now.saturating_since(self.at)));
        let full = i128::from(self.burst) * NANOS;
        self.level = self.level.saturating_add(passed.saturating_mul(self.rate.into())).min(full);
        self.at = self.at.max(now);
    }
}

#[cfg(test)]
#[path = "bucket_tests.rs"]
mod tests;
