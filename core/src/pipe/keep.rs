//! Bytes that stay behind the slowest leg, for legs that come later (spec R-PIPE-23, R-PIPE-24,
//! R-PIPE-27).

use crate::time::Instant;

use super::{Pipe, Source};

impl Pipe {
    /// The source's window: what legs need, and what is kept behind them.
    pub(super) fn granted(&self) -> u64 {
        self.window.window().saturating_add(self.keep)
    }

    /// How much of what the furthest leg has acknowledged stays now: what flows goes before, where
    /// the source was lent less than was asked for.
    fn kept(&self) -> u64 {
        let useful = match self.source {
            Source::Flowing => true,
            Source::Finished(_) => !self.legs.is_empty() || self.lingers(),
            Source::Broken { .. } => false,
        };
        let lent = self.covered.saturating_sub(self.window.window());
        if useful && self.stop.is_none() { self.keep.min(lent) } else { 0 }
    }

    /// Looks how far the leg is that is furthest: what is kept is counted from there, so that a leg
    /// that lags within it costs nothing more. As for who is slow, where a leg begins says nothing,
    /// nor does what is read here, and above a gap of the source nobody is.
    pub(super) fn look_who_is_furthest(&mut self) {
        let there = self.store.contiguous_end();
        let moved = self.legs.values().filter(|leg| leg.acked > leg.range.start);
        let ways = moved.filter(|leg| !leg.is_application());
        let furthest = ways.map(|leg| leg.acked.min(there)).max().unwrap_or(0);
        self.front = self.front.max(furthest).max(self.acked);
    }

    /// Lets go of what nobody needs and what is not kept. Returns how many bytes that were.
    pub(super) fn let_go(&mut self, now: Instant) -> u64 {
        let freed = self.free();
        self.missing.forget_below(self.store.floor());
        if self.lingers() {
            self.missing.wait(self.patience.span(), now);
        }
        // Nobody may be left to keep anything for.
        freed + self.free()
    }

    fn free(&mut self) -> u64 {
        let kept_from = self.front.saturating_sub(self.kept());
        let freed = self.store.free_below(self.acked.min(kept_from));
        // Slivers that are kept are not to stand in the way of what flows.
        freed + self.store.free_pieces(self.most_pieces() / 2, self.acked)
    }

    /// Whether it only waits for legs that were given up to come back (spec R-PIPE-24).
    pub(super) fn lingers(&self) -> bool {
        let all_came = matches!(self.source, Source::Finished(_)) && self.stop.is_none();
        let patient = self.patience.timeout().is_some();
        all_came && patient && self.legs.is_empty() && self.keep > 0 && !self.missing.is_empty()
    }

    /// Whether first legs are still to come: while they are, all that comes is held for them, as
    /// far as the source's credit goes (spec R-PIPE-27).
    pub fn gather(&mut self, more: bool, now: Instant) {
        if self.gathers != more {
            self.gathers = more;
            self.patience.on_progress(now);
        }
    }

    /// Whether legs are still to come (spec R-PIPE-27). To a source that broke off none does.
    pub(super) fn gathers(&self) -> bool {
        self.gathers && self.stop.is_none() && !matches!(self.source, Source::Broken { .. })
    }

    /// When the pipe ends, or ceases to linger, if nothing happens.
    pub(super) fn end_of_waiting(&self) -> Option<Instant> {
        match self.lingers() {
            _ if self.gathers() => None,
            true => self.missing.until(self.patience.span()),
            false => self.patience.timeout(),
        }
    }

    /// The size of the body, or more.
    pub(super) fn size(&self) -> u64 {
        match self.source {
            Source::Finished(size) => size,
            _ => u64::MAX,
        }
    }

    /// Whether bytes are held that somebody has not acknowledged, and could: none above a gap.
    pub(super) fn bytes_wait(&self) -> bool {
        self.store.bytes_end().min(self.store.contiguous_end()) > self.acked
    }
}

#[cfg(test)]
#[path = "keep_tests.rs"]
mod tests;
