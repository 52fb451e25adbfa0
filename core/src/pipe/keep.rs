//! Bytes that stay behind the slowest leg, for legs that come later (spec R-PIPE-23, R-PIPE-24).

use super::{Pipe, Source};

impl Pipe {
    /// The source's window: what legs need, and what is kept behind them.
    pub(super) fn granted(&self) -> u64 {
        self.window.window().saturating_add(self.keep)
    }

    /// How much of what everybody has acknowledged stays now.
    pub(super) fn kept(&self) -> u64 {
        let useful = match self.source {
            Source::Flowing => true,
            Source::Finished(_) => !self.legs.is_empty() || self.lingers(),
            Source::Broken { .. } => false,
        };
        if useful && self.stop.is_none() { self.keep } else { 0 }
    }

    /// Whether it only waits for legs that were given up to come back (spec R-PIPE-24).
    pub(super) fn lingers(&self) -> bool {
        let all_came = matches!(self.source, Source::Finished(_)) && self.stop.is_none();
        let patient = self.patience.timeout().is_some();
        all_came && patient && self.legs.is_empty() && self.keep > 0 && self.absent > 0
    }

    /// Whether bytes are held that somebody has not acknowledged.
    pub(super) fn bytes_wait(&self) -> bool {
        self.store.bytes_end() > self.acked
    }
}

#[cfg(test)]
#[path = "keep_tests.rs"]
mod tests;
