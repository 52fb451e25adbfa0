//! `--limit`: so many bytes a second, shared by all transfers of the process.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use tokio::time::{Instant, sleep_until};

/// Bytes that may go at once before the rate holds.
const BURST: Duration = Duration::from_millis(50);
/// Blocks between the disk and the stream, in bytes, while nothing limits.
const FREE_BLOCK: usize = 256 * 1024;

/// A shared limit, or none.
#[derive(Clone, Debug)]
pub(crate) struct Limiter {
    rate: Option<u64>,
    /// When everything that was let through would have gone at the rate.
    paid_until: Arc<Mutex<Instant>>,
}

impl Limiter {
    /// At most `rate` bytes a second; `None`: as fast as it goes.
    pub(crate) fn new(rate: Option<u64>) -> Self {
        Self { rate, paid_until: Arc::new(Mutex::new(Instant::now())) }
    }

    /// How large blocks may be so that the flow is even: at most a twentieth of a second.
    pub(crate) fn block(&self) -> usize {
        let fine = self.rate.map(|rate| usize::try_from(rate / 20).unwrap_or(FREE_BLOCK));
        fine.unwrap_or(FREE_BLOCK).clamp(1024, FREE_BLOCK)
    }

    /// Waits until `bytes` may go. Dropped while it waits, they count as gone.
    pub(crate) async fn pass(&self, bytes: usize) {
        let Some(rate) = self.rate else { return };
        let nanos = (bytes as u128) * 1_000_000_000 / u128::from(rate.max(1));
        let cost = Duration::from_nanos(u64::try_from(nanos).unwrap_or(u64::MAX));
        let now = Instant::now();
        let until = {
            let mut paid = self.paid_until.lock().unwrap_or_else(PoisonError::into_inner);
            let from = (*paid).max(now.checked_sub(BURST).unwrap_or(now));
            *paid = from + cost;
            *paid
        };
        sleep_until(until).await;
    }
}

#[cfg(test)]
#[path = "limit_tests.rs"]
mod tests;
