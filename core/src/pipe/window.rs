//! How large the source's window should be (spec R-PIPE-7, R-PIPE-8).

use core::time::Duration;

use crate::time::{Instant, nanos};

/// Judges, once in a span of a round trip over both sides, how much went through, and aims at a
/// quarter more: that keeps the way full, because credit goes back in parts of the window, and lets
/// it speed up.
///
/// The rates of two lossy links change on their own, over many round trips; what evens them out is
/// a stock. So a pipe may hold as much as its options say whatever its rate.
#[derive(Clone, Debug)]
#[cfg_attr(any(test, feature = "fingerprint"), derive(Hash))]
pub(super) struct WindowRule {
    window: u64,
    since: Option<Instant>,
    from: u64,
}

impl WindowRule {
    /// For a body that begins at `start`.
    pub(super) fn new(start: u64, stock: u64) -> Self {
        Self { window: stock, since: None, from: start }
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
        let in_span = went * u128::from(span) / u128::from(passed);
        let aim = u64::try_from(in_span * 5 / 4).unwrap_or(u64::MAX);
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
