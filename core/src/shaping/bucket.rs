//! A rate with a burst.

use core::time::Duration;

use crate::time::{Instant, nanos};

const NANOS: u128 = 1_000_000_000;

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
    /// Tokens in units of a billionth, so that nothing is lost to rounding.
    level: u128,
    at: Instant,
}

impl TokenBucket {
    /// A full bucket. `rate` in bytes a second, at least 1; `burst` in bytes, at least 1.
    pub fn new(rate: u64, burst: u64, now: Instant) -> Self {
        let burst = burst.max(1);
        Self { rate: rate.max(1), burst, level: u128::from(burst) * NANOS, at: now }
    }

    /// Another rate from now on, in bytes a second.
    pub fn set_rate(&mut self, rate: u64, now: Instant) {
        self.fill(now);
        self.rate = rate.max(1);
    }

    /// Bytes a second.
    pub const fn rate(&self) -> u64 {
        self.rate
    }

    /// Takes up to `want` tokens. Returns how many there were.
    pub fn take(&mut self, want: u64, now: Instant) -> u64 {
        self.fill(now);
        let whole = u64::try_from(self.level / NANOS).unwrap_or(u64::MAX);
        let taken = want.min(whole);
        self.level -= u128::from(taken) * NANOS;
        taken
    }

    /// When `want` tokens, or as many as the burst, will be there.
    pub fn ready_at(&self, want: u64, now: Instant) -> Instant {
        let missing = (u128::from(want.min(self.burst)) * NANOS).saturating_sub(self.level);
        let wait = missing.div_ceil(u128::from(self.rate));
        let at = self.at + Duration::from_nanos(u64::try_from(wait).unwrap_or(u64::MAX));
        at.max(now)
    }

    fn fill(&mut self, now: Instant) {
        let passed = u128::from(nanos(now.saturating_since(self.at)));
        let full = u128::from(self.burst) * NANOS;
        self.level = self.level.saturating_add(passed * u128::from(self.rate)).min(full);
        self.at = self.at.max(now);
    }
}

#[cfg(test)]
#[path = "bucket_tests.rs"]
mod tests;
