//! How often keys may be updated: a bucket that fills again with time.

use core::time::Duration;

use crate::time::Instant;

/// A rate with a burst. Empty, it has the next update wait (ours) or the peer's end the connection.
#[derive(Clone, Copy, Debug)]
#[cfg_attr(any(test, feature = "fingerprint"), derive(Hash))]
pub(super) struct UpdateRate {
    interval: Duration,
    burst: u32,
    /// When the bucket is full again.
    full_at: Instant,
}

impl UpdateRate {
    /// What the peer may do (spec R-KEY-24).
    pub(super) const fn of_peer() -> Self {
        Self::new(Duration::from_micros(62_500), 64)
    }

    /// What we do: half of it, so that packets which were held up and come all at once do not look
    /// like more (spec R-KEY-24).
    pub(super) const fn own() -> Self {
        Self::new(Duration::from_micros(125_000), 32)
    }

    const fn new(interval: Duration, burst: u32) -> Self {
        Self { interval, burst, full_at: Instant::ZERO }
    }

    /// Whether one more is within the rate.
    pub(super) fn allows(&self, now: Instant) -> bool {
        let missing = self.full_at.saturating_since(now);
        missing.saturating_add(self.interval) <= self.interval.saturating_mul(self.burst)
    }

    /// One more.
    pub(super) fn count(&mut self, now: Instant) {
        self.full_at = self.full_at.max(now) + self.interval;
    }
}

#[cfg(test)]
#[path = "updates_tests.rs"]
mod tests;
