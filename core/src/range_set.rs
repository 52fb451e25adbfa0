//! Sets of `u64` below `u64::MAX`, kept as sorted, disjoint, non-touching half-open ranges.
//!
//! Used for packet numbers, stream offsets and what is lost or acknowledged. New ranges mostly
//! touch the last one, so the common insert and removal at either end cost no search. The set
//! itself has no bound: its owner looks at [`RangeSet::count`] and applies the rule that the
//! specification gives.

mod ranges;

use core::ops::Range;

use ranges::Ranges;

/// So many ranges are searched one after the other.
const FEW: usize = 8;

/// A set of `u64` as sorted ranges.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash)]
pub struct RangeSet {
    ranges: Ranges,
}

impl RangeSet {
    /// The empty set.
    pub const fn new() -> Self {
        Self { ranges: Ranges::new() }
    }

    /// Number of ranges, not of elements.
    pub fn count(&self) -> usize {
        self.ranges.len()
    }

    /// Whether nothing is in the set.
    pub fn is_empty(&self) -> bool {
        self.ranges.is_empty()
    }

    /// Number of elements.
    pub fn len(&self) -> u64 {
        self.ranges.iter().map(|r| r.end - r.start).sum()
    }

    /// The ranges from lowest to highest.
    pub fn iter(&self) -> impl DoubleEndedIterator<Item = Range<u64>> + '_ {
        self.ranges.iter().cloned()
    }

    /// The lowest range.
    #[inline]
    pub fn first(&self) -> Option<Range<u64>> {
        self.ranges.front().cloned()
    }

    /// The highest range.
    pub fn last(&self) -> Option<Range<u64>> {
        self.ranges.back().cloned()
    }

    /// Removes and returns the lowest range.
    pub fn pop_first(&mut self) -> Option<Range<u64>> {
        self.ranges.pop_front()
    }

    /// Removes everything.
    pub fn clear(&mut self) {
        self.ranges.clear();
    }

    /// Whether `value` is in the set; `u64::MAX` never is.
    pub fn contains(&self, value: u64) -> bool {
        value.checked_add(1).is_some_and(|end| self.covers(&(value..end)))
    }

    /// Whether all of `range` is in the set. True for an empty range.
    pub fn covers(&self, range: &Range<u64>) -> bool {
        range.is_empty()
            || self
                .ranges
                .get(self.reaching(range.end))
                .is_some_and(|r| r.start <= range.start && range.end <= r.end)
    }

    /// Whether nothing of `range` is in the set.
    pub fn is_disjoint(&self, range: &Range<u64>) -> bool {
        let above = self.ranges.get(self.reaching(range.start.saturating_add(1)));
        range.is_empty() || above.is_none_or(|above| range.end <= above.start)
    }

    /// Where `range` belongs if nothing of it is in the set, for [`fill`](Self::fill).
    #[inline]
    pub(crate) fn vacancy(&self, range: &Range<u64>) -> Option<usize> {
        let at = self.reaching(range.start.saturating_add(1));
        self.ranges.get(at).is_none_or(|above| range.end <= above.start).then_some(at)
    }

    /// Adds `range`, which is not empty and belongs where [`vacancy`](Self::vacancy) has said.
    pub(crate) fn fill(&mut self, at: usize, range: Range<u64>) {
        debug_assert!(!range.is_empty() && self.vacancy(&range) == Some(at), "a vacancy");
        let above = self.ranges.get(at).filter(|above| above.start == range.end).map(|r| r.end);
        let below = at.checked_sub(1).and_then(|below| self.ranges.get_mut(below));
        match (below.filter(|below| below.end == range.start), above) {
            (Some(below), None) => below.end = range.end,
            (Some(below), Some(end)) => {
                below.end = end;
                self.ranges.remove(at, at + 1);
            }
            (None, None) => self.ranges.insert(at, range),
            (None, Some(_)) => {
                if let Some(above) = self.ranges.get_mut(at) {
                    above.start = range.start;
                }
            }
        }
    }

    /// How many ranges there would be after `insert(range)`.
    pub fn count_with(&self, range: &Range<u64>) -> usize {
        if range.is_empty() {
            return self.count();
        }
        let (from, to) = self.touching(range);
        self.count() + 1 - (to - from)
    }

    /// Adds `range`. Returns how many elements were not there before.
    pub fn insert(&mut self, range: Range<u64>) -> u64 {
        if range.is_empty() {
            return 0;
        }
        if let Some(last) = self.ranges.back_mut() {
            if range.start > last.end {
                let added = range.end - range.start;
                self.ranges.push_back(range);
                return added;
            }
            if range.start >= last.start {
                let added = range.end.saturating_sub(last.end);
                last.end = last.end.max(range.end);
                return added;
            }
        }
        if let Some(first) = self.ranges.front_mut().filter(|first| range.start <= first.start) {
            if range.end < first.start {
                let added = range.end - range.start;
                self.ranges.push_front(range);
                return added;
            }
            if range.end <= first.end {
                let added = first.start - range.start;
                first.start = range.start;
                return added;
            }
        }
        self.insert_within(range)
    }

    fn insert_within(&mut self, range: Range<u64>) -> u64 {
        let (from, to) = self.touching(&range);
        let mut merged = range.clone();
        let mut held = 0;
        for old in self.ranges.from(from).take(to - from) {
            held += overlap(old, &range);
            merged = merged.start.min(old.start)..merged.end.max(old.end);
        }
        if from == to {
            self.ranges.insert(from, merged);
        } else {
            if let Some(slot) = self.ranges.get_mut(from) {
                *slot = merged;
            }
            self.ranges.remove(from + 1, to);
        }
        range.end - range.start - held
    }

    /// Takes `range` out. Returns how many elements were there before.
    pub fn remove(&mut self, range: Range<u64>) -> u64 {
        if range.is_empty() {
            return 0;
        }
        if let Some(first) = self.ranges.front_mut()
            && range.start <= first.start
            && range.end <= first.end
        {
            let removed = range.end.saturating_sub(first.start);
            first.start += removed;
            if first.is_empty() {
                self.ranges.pop_front();
            }
            return removed;
        }
        let from = self.reaching(range.start.saturating_add(1));
        let to = self.ranges.partition_point(|r| r.start < range.end);
        if from >= to {
            return 0;
        }
        let (mut removed, mut left, mut right) = (0, 0..0, 0..0);
        for (index, old) in self.ranges.from(from).take(to - from).enumerate() {
            removed += overlap(old, &range);
            if index == 0 {
                left = old.start..range.start;
            }
            right = range.end..old.end;
        }
        self.replace(from, to, [left, right]);
        removed
    }

    /// Puts those of `with` that are not empty in the place of the ranges `from..to`, at least one.
    fn replace(&mut self, from: usize, to: usize, with: [Range<u64>; 2]) {
        let mut at = from;
        for range in with.into_iter().filter(|range| !range.is_empty()) {
            match self.ranges.get_mut(at) {
                Some(slot) if at < to => *slot = range,
                _ => self.ranges.insert(at, range),
            }
            at += 1;
        }
        self.ranges.remove(at, to);
    }

    /// The parts of `within` that are not in the set, from lowest to highest.
    pub fn gaps(&self, within: Range<u64>) -> impl Iterator<Item = Range<u64>> + '_ {
        let mut at = within.start;
        let mut ranges = self.ranges.from(self.reaching(within.start.saturating_add(1)));
        core::iter::from_fn(move || {
            while at < within.end {
                let Some(next) = ranges.next().filter(|r| r.start < within.end) else {
                    let gap = at..within.end;
                    at = within.end;
                    return Some(gap);
                };
                let gap = at..next.start;
                at = next.end;
                if !gap.is_empty() {
                    return Some(gap);
                }
            }
            None
        })
    }

    /// The lowest part of `within` that is in the set and in one range.
    pub fn next_in(&self, within: &Range<u64>) -> Option<Range<u64>> {
        let range = self.ranges.get(self.reaching(within.start.saturating_add(1)))?;
        let part = range.start.max(within.start)..range.end.min(within.end);
        (!part.is_empty()).then_some(part)
    }

    /// Index of the first range that ends at or after `end`. Most callers ask near the top.
    #[inline]
    fn reaching(&self, end: u64) -> usize {
        match self.ranges.back() {
            Some(last) if last.end < end => self.ranges.len(),
            Some(last) if last.start < end => self.ranges.len() - 1,
            _ if self.ranges.front().is_none_or(|first| end <= first.end) => 0,
            _ if self.ranges.len() <= FEW => self.ranges.count_while(|r| r.end < end),
            _ => self.ranges.partition_point(|r| r.end < end),
        }
    }

    /// The indices of the ranges that overlap or touch `range`.
    fn touching(&self, range: &Range<u64>) -> (usize, usize) {
        let from = self.ranges.partition_point(|r| r.end < range.start);
        let to = self.ranges.partition_point(|r| r.start <= range.end);
        (from, to)
    }
}

fn overlap(a: &Range<u64>, b: &Range<u64>) -> u64 {
    a.end.min(b.end).saturating_sub(a.start.max(b.start))
}

#[cfg(test)]
#[path = "range_set_tests.rs"]
mod tests;
