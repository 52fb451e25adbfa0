//! Round-trip time of one path (RFC 9002 section 5).

use core::time::Duration;

use crate::time::nanos;

/// What a path is assumed to take before the first sample (RFC 9002 section 6.2.2).
pub const INITIAL_RTT: Duration = Duration::from_millis(333);

/// No timer of this room is finer (RFC 9002 section 6.1.2).
pub const GRANULARITY: Duration = Duration::from_millis(1);

/// Longer samples count as this long: no clock jump or absurd peer makes timers useless.
pub const MAX_RTT: Duration = Duration::from_secs(60);

/// The round-trip estimate of one path, in whole nanoseconds (spec R-REC-1).
///
/// A path that is new, or whose address changed, starts with a new one.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[cfg_attr(any(test, feature = "fingerprint"), derive(Hash))]
pub struct Rtt {
    latest: u64,
    smoothed: u64,
    variance: u64,
    min: Option<u64>,
    sampled: bool,
}

impl Default for Rtt {
    fn default() -> Self {
        Self::new()
    }
}

impl Rtt {
    /// Of a path of which nothing is known: [`INITIAL_RTT`].
    pub fn new() -> Self {
        Self::with_initial(INITIAL_RTT)
    }

    /// Of a path that is assumed to take `initial`, for instance by what an earlier connection saw.
    pub fn with_initial(initial: Duration) -> Self {
        let initial = clamp(initial);
        Self {
            latest: initial,
            smoothed: initial,
            variance: initial / 2,
            min: None,
            sampled: false,
        }
    }

    /// Takes a sample: `latest` from sending to ACK, of which the peer says it spent `ack_delay`
    /// before it answered, and promised never to take longer than `max_ack_delay`.
    ///
    /// The delay is believed only up to the promise, and never so far that the path would be faster
    /// than it was ever seen.
    pub fn on_sample(&mut self, latest: Duration, ack_delay: Duration, max_ack_delay: Duration) {
        let latest = clamp(latest);
        self.latest = latest;
        let min = self.min.map_or(latest, |min| min.min(latest));
        self.min = Some(min);
        if !self.sampled {
            self.sampled = true;
            self.smoothed = latest;
            self.variance = latest / 2;
            return;
        }
        let delay = nanos(ack_delay.min(max_ack_delay));
        let adjusted = match latest.checked_sub(delay) {
            Some(adjusted) if adjusted >= min => adjusted,
            _ => latest,
        };
        self.variance = (3 * self.variance + self.smoothed.abs_diff(adjusted)) / 4;
        self.smoothed = (7 * self.smoothed + adjusted) / 8;
    }

    /// Forgets the minimum, so that the next sample sets it: what was fastest may be another route
    /// (RFC 9002 section 5.2).
    pub fn on_persistent_congestion(&mut self) {
        self.min = None;
    }

    /// Whether a sample was ever taken.
    pub const fn is_sampled(&self) -> bool {
        self.sampled
    }

    /// The last sample, unadjusted.
    pub const fn latest(&self) -> Duration {
        Duration::from_nanos(self.latest)
    }

    /// The moving average.
    pub const fn smoothed(&self) -> Duration {
        Duration::from_nanos(self.smoothed)
    }

    /// The mean deviation.
    pub const fn variance(&self) -> Duration {
        Duration::from_nanos(self.variance)
    }

    /// The smallest sample; before the first, the assumed time.
    pub fn min(&self) -> Duration {
        Duration::from_nanos(self.min.unwrap_or(self.latest))
    }

    /// The probe timeout without back-off and without the peer's ACK delay (RFC 9002 section
    /// 6.2.1).
    pub fn pto_base(&self) -> Duration {
        Duration::from_nanos(self.smoothed + (4 * self.variance).max(nanos(GRANULARITY)))
    }

    /// The probe timeout without back-off, for a peer that may wait `max_ack_delay` with an ACK.
    pub fn pto(&self, max_ack_delay: Duration) -> Duration {
        self.pto_base().saturating_add(max_ack_delay)
    }

    /// How long after it was sent a packet is lost, if a later one of its path has arrived: the
    /// larger of average and last sample, and so many eighths more (RFC 9002 section 6.1.2: one).
    pub fn loss_delay(&self, eighths: u64) -> Duration {
        let rtt = self.smoothed.max(self.latest);
        Duration::from_nanos((rtt + rtt / 8 * eighths).max(nanos(GRANULARITY)))
    }
}

/// A nanosecond at least, so that nothing divides by zero.
fn clamp(sample: Duration) -> u64 {
    nanos(sample).clamp(1, nanos(MAX_RTT))
}

#[cfg(test)]
#[path = "rtt_tests.rs"]
mod tests;
