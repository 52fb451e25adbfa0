//! A sequence of ranges that keeps its lowest one in place.
//!
//! Most sets hold one range for most of their life: what is written of a body, what of it arrived.
//! Such a set needs no memory of its own; only what lies above the first range is in a queue.

use alloc::collections::VecDeque;
use alloc::collections::vec_deque;
use core::hash::{Hash, Hasher};
use core::iter::Chain;
use core::ops::Range;
use core::option;

/// Ranges by index. `rest` is empty if there is no `first`.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Ranges {
    first: Option<Range<u64>>,
    rest: VecDeque<Range<u64>>,
}

pub(super) type Iter<'a> = Chain<option::Iter<'a, Range<u64>>, vec_deque::Iter<'a, Range<u64>>>;

impl Ranges {
    pub(super) const fn new() -> Self {
        Self { first: None, rest: VecDeque::new() }
    }

    pub(super) fn len(&self) -> usize {
        usize::from(self.first.is_some()) + self.rest.len()
    }

    pub(super) const fn is_empty(&self) -> bool {
        self.first.is_none()
    }

    pub(super) fn clear(&mut self) {
        self.first = None;
        self.rest.clear();
    }

    #[inline]
    pub(super) const fn front(&self) -> Option<&Range<u64>> {
        self.first.as_ref()
    }

    pub(super) const fn front_mut(&mut self) -> Option<&mut Range<u64>> {
        self.first.as_mut()
    }

    pub(super) fn back(&self) -> Option<&Range<u64>> {
        self.rest.back().or(self.first.as_ref())
    }

    pub(super) fn back_mut(&mut self) -> Option<&mut Range<u64>> {
        self.rest.back_mut().or(self.first.as_mut())
    }

    pub(super) fn get(&self, at: usize) -> Option<&Range<u64>> {
        match at.checked_sub(1) {
            None => self.first.as_ref(),
            Some(at) => self.rest.get(at),
        }
    }

    pub(super) fn get_mut(&mut self, at: usize) -> Option<&mut Range<u64>> {
        match at.checked_sub(1) {
            None => self.first.as_mut(),
            Some(at) => self.rest.get_mut(at),
        }
    }

    pub(super) fn iter(&self) -> Iter<'_> {
        self.first.iter().chain(&self.rest)
    }

    /// The ranges from index `from` on, which may be one behind the last.
    pub(super) fn from(&self, from: usize) -> Iter<'_> {
        match from.checked_sub(1) {
            None => self.iter(),
            Some(from) => None.iter().chain(self.rest.range(from..)),
        }
    }

    pub(super) fn pop_front(&mut self) -> Option<Range<u64>> {
        let next = self.rest.pop_front();
        core::mem::replace(&mut self.first, next)
    }

    pub(super) fn push_front(&mut self, range: Range<u64>) {
        self.insert(0, range);
    }

    pub(super) fn push_back(&mut self, range: Range<u64>) {
        match self.first {
            None => self.first = Some(range),
            Some(_) => self.rest.push_back(range),
        }
    }

    /// Puts `range` in front of what has index `at`.
    pub(super) fn insert(&mut self, at: usize, range: Range<u64>) {
        match at.checked_sub(1) {
            None => {
                if let Some(first) = self.first.replace(range) {
                    self.rest.push_front(first);
                }
            }
            Some(at) => self.rest.insert(at, range),
        }
    }

    /// Takes out what has the indices `from..to`.
    pub(super) fn remove(&mut self, from: usize, to: usize) {
        if from >= to {
            return;
        }
        if from > 0 && from + 1 == to {
            self.rest.remove(from - 1);
            return;
        }
        self.rest.drain(from.saturating_sub(1)..to - 1);
        if from == 0 {
            self.first = self.rest.pop_front();
        }
    }

    /// The same as [`partition_point`](Self::partition_point), one after the other.
    pub(super) fn count_while(&self, is_below: impl Fn(&Range<u64>) -> bool) -> usize {
        match &self.first {
            Some(first) if is_below(first) => {
                1 + self.rest.iter().take_while(|range| is_below(range)).count()
            }
            _ => 0,
        }
    }

    /// The index of the first range of which `is_below` does not hold.
    pub(super) fn partition_point(&self, is_below: impl Fn(&Range<u64>) -> bool) -> usize {
        match &self.first {
            Some(first) if is_below(first) => 1 + self.rest.partition_point(is_below),
            _ => 0,
        }
    }
}

/// As a plain sequence: where the first one stands is nobody's business.
impl Hash for Ranges {
    fn hash<H: Hasher>(&self, state: &mut H) {
        state.write_usize(self.len());
        self.iter().for_each(|range| range.hash(state));
    }
}
