//! Ranges of offsets that come in any order.

use alloc::collections::BTreeMap;
use core::ops::Range;

/// A set of offsets, as ranges that do not touch, by their start. A peer says in which order they
/// come: whatever that is, to add one costs a search and, for each range that it joins, the removal
/// of one that was added before.
#[derive(Clone, Debug, Default)]
#[cfg_attr(any(test, feature = "fingerprint"), derive(Hash))]
pub(super) struct Spans {
    ends: BTreeMap<u64, u64>,
}

impl Spans {
    /// Adds `range`. Returns how many others became one with it.
    pub(super) fn insert(&mut self, mut range: Range<u64>) -> usize {
        let mut joined = 0;
        if range.is_empty() {
            return joined;
        }
        while let Some((start, end)) = self.below(range.end).filter(|(_, end)| *end >= range.start)
        {
            range = range.start.min(start)..range.end.max(end);
            self.ends.remove(&start);
            joined += 1;
        }
        self.ends.insert(range.start, range.end);
        joined
    }

    /// Takes out what lies below `offset`. Returns how many offsets that were.
    pub(super) fn remove_below(&mut self, offset: u64) -> u64 {
        let mut removed = 0;
        while let Some(first) = self.ends.first_entry().filter(|first| *first.key() < offset) {
            let (start, end) = first.remove_entry();
            removed += end.min(offset) - start;
            if end > offset {
                self.ends.insert(offset, end);
            }
        }
        removed
    }

    /// The last range that begins at or below `offset`.
    fn below(&self, offset: u64) -> Option<(u64, u64)> {
        self.ends.range(..=offset).next_back().map(|(start, end)| (*start, *end))
    }

    /// The end of the range that `offset` lies in.
    pub(super) fn end_of(&self, offset: u64) -> Option<u64> {
        self.below(offset).map(|(_, end)| end).filter(|end| *end > offset)
    }

    /// One more than the highest offset.
    pub(super) fn end(&self) -> u64 {
        self.ends.last_key_value().map_or(0, |(_, end)| *end)
    }

    /// How many ranges.
    pub(super) fn count(&self) -> usize {
        self.ends.len()
    }

    /// The end of the lowest range.
    pub(super) fn first_end(&self) -> Option<u64> {
        self.ends.first_key_value().map(|(_, end)| *end)
    }

    pub(super) fn iter(&self) -> impl Iterator<Item = Range<u64>> + '_ {
        self.ends.iter().map(|(start, end)| *start..*end)
    }
}
