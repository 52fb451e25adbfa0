//! How large the source's window should be (spec R-PIPE-7, R-PIPE-8).

use core::time::Duration;

use crate::time::{Instant, nanos};

/// The window before anything is known, in bytes: what slow start sends in its first four rounds.
const FIRST: u64 = 256 * 1024;

/// Judges, once in a span of a round trip over both sides, how much went through, and aims at twice
/// that: enough to keep the way full, and twice as much while it still speeds up.
///
/// The rates of two lossy links change on their own, over many round trips; what evens them out is
/// a stock. So a pipe that has carried bytes may hold as many, up to what its options say.
#[derive(Clone, Debug)]
#[cfg_attr(any(test, feature = "fingerprint"), derive(Hash))]
pub(super) struct WindowRule {
    window: u64,
    stock: u64,
    start: u64,
    since: Option<Instant>,
    from: u64,
}

impl WindowRule {
    /// For a body that begins at `start`.
    pub(super) fn new(start: u64, stock: u64) -> Self {
        Self { window: FIRST.min(stock), stock, start, since: None, from: start }
    }

    /// Everybody has acknowledged the bytes below `through`; `span` is a round trip over both
    /// sides. Returns the window if it is to grow.
    pub(super) fn judge(
        &mut self,
        through: u64,
        span: Duration,
        blocked: bool,
        now: Instant,
    ) -> Option<u64> {
        let Some(since) = self.since else {
            (self.since, self.from) = (Some(now), through);
            return None;
        };
        let passed = nanos(now.saturating_since(since));
        let span = nanos(span).max(1);
        if passed < span {
            return None;
        }
        let went = u128::from(through.saturating_sub(self.from));
        (self.since, self.from) = (Some(now), through);
        let keep_full = went * 2 * u128::from(span) / u128::from(passed);
        let even_out = through.saturating_sub(self.start).min(self.stock);
        let aim = u64::try_from(keep_full).unwrap_or(u64::MAX).max(even_out);
        if blocked || aim <= self.window {
            return None;
        }
        self.window = aim;
        Some(aim)
    }

    pub(super) fn window(&self) -> u64 {
        self.window
    }
}
