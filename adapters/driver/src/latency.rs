//! How long things took, gathered by length.

use std::sync::atomic::AtomicU64;
use std::sync::atomic::Ordering::Relaxed;
use std::time::Duration;

/// Upper bounds of the lengths that are told apart, from a tenth of a millisecond to a minute;
/// what took longer is counted behind the last.
pub const LATENCY_BOUNDS: [Duration; 14] = [
    Duration::from_micros(100),
    Duration::from_micros(300),
    Duration::from_millis(1),
    Duration::from_millis(3),
    Duration::from_millis(10),
    Duration::from_millis(30),
    Duration::from_millis(100),
    Duration::from_millis(300),
    Duration::from_secs(1),
    Duration::from_secs(3),
    Duration::from_secs(10),
    Duration::from_secs(20),
    Duration::from_secs(30),
    Duration::from_secs(60),
];

/// How often something took how long. Every number only grows.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct LatencyStats {
    /// By [`LATENCY_BOUNDS`]: how often it took as long as that, or less, and longer than the bound
    /// before; last what took longer than all.
    pub counts: [u64; LATENCY_BOUNDS.len() + 1],
    /// All together.
    pub sum: Duration,
}

impl LatencyStats {
    /// How often in all.
    pub fn count(&self) -> u64 {
        self.counts.iter().sum()
    }
}

/// The same, being counted, by anybody.
#[derive(Debug, Default)]
pub(crate) struct Latencies {
    counts: [AtomicU64; LATENCY_BOUNDS.len() + 1],
    nanos: AtomicU64,
}

impl Latencies {
    pub(crate) fn note(&self, took: Duration) {
        let at = LATENCY_BOUNDS.iter().position(|bound| took <= *bound);
        let count = self.counts.get(at.unwrap_or(LATENCY_BOUNDS.len()));
        count.into_iter().for_each(|count| _ = count.fetch_add(1, Relaxed));
        self.nanos.fetch_add(u64::try_from(took.as_nanos()).unwrap_or(u64::MAX), Relaxed);
    }

    pub(crate) fn snapshot(&self) -> LatencyStats {
        let mut stats = LatencyStats::default();
        for (count, counted) in stats.counts.iter_mut().zip(&self.counts) {
            *count = counted.load(Relaxed);
        }
        stats.sum = Duration::from_nanos(self.nanos.load(Relaxed));
        stats
    }
}

#[cfg(test)]
#[path = "latency_tests.rs"]
mod tests;
