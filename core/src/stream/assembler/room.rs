//! How many ranges a body may lie in (spec R-STR-23).

use core::ops::Range;

use crate::range_set::RangeSet;

use super::Assembler;

impl Assembler {
    /// Ranges kept apart.
    pub fn ranges(&self) -> usize {
        self.received.count()
    }

    /// The same, and the ranges that were skipped and that nobody has passed: what there is to
    /// remember, and what is bounded.
    pub fn kept_ranges(&self) -> usize {
        self.received.count() + self.skipped.count()
    }

    /// Whether there is room for bytes: they open one range at the most, or join some.
    pub(super) fn may_open(&self, range: &Range<u64>, max_ranges: usize) -> bool {
        let with = self.received.count_with(range) + self.skipped.count();
        with <= self.kept_ranges().max(max_ranges)
    }

    /// Whether there is room for what a SKIP opens: a range of its own at an end that stays in a
    /// gap. Each whole gap that it fills makes one received range less for the skipped one more.
    /// Always taken is what the reader stands at, or will before it has passed any other: it gets
    /// no further without.
    pub(super) fn may_skip(&self, range: &Range<u64>, max_ranges: usize) -> bool {
        let opened = self.opened_by_skip(range);
        let stands = self.contiguous_end();
        opened == 0
            || self.kept_ranges() + opened <= max_ranges
            || range.start <= stands && self.skipped.first().is_none_or(|s| s.start > stands)
    }

    fn opened_by_skip(&self, range: &Range<u64>) -> usize {
        let Some(gap) = self.received.gaps(range.clone()).next() else { return 0 };
        let is = |set: &RangeSet, offset: Option<u64>| offset.is_some_and(|at| set.contains(at));
        let (before, last) = (gap.start.checked_sub(1), range.end.checked_sub(1));
        let low = !is(&self.received, before) && !self.skipped.contains(gap.end);
        let high = !is(&self.received, last) && !self.received.contains(range.end);
        usize::from(low) + usize::from(high && !is(&self.skipped, before))
    }
}

#[cfg(test)]
#[path = "room_tests.rs"]
mod tests;
