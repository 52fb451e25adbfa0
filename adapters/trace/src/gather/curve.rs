//! A value over time, in a bounded number of points: of each slice of time the first, the least,
//! the greatest and the last.

use std::collections::BTreeMap;

/// A slice: when and what.
#[derive(Clone, Copy, Debug)]
struct Slice {
    first: (u64, u64),
    least: (u64, u64),
    greatest: (u64, u64),
    last: (u64, u64),
}

/// A value over time. Times are microseconds since the run began.
#[derive(Clone, Debug)]
pub(crate) struct Curve {
    span: u64,
    slices: BTreeMap<usize, Slice>,
    count: usize,
    now: Option<u64>,
}

impl Curve {
    /// Of a run of this length.
    pub(crate) const fn new(span: u64, count: usize) -> Self {
        Self { span, slices: BTreeMap::new(), count, now: None }
    }

    /// Its value at this time, and until it has another.
    pub(crate) fn set(&mut self, at: u64, value: u64) {
        if self.now.replace(value) == Some(value) {
            return;
        }
        let here = (at, value);
        let alone = Slice { first: here, least: here, greatest: here, last: here };
        let slice = self.slices.entry(slice(at, self.span, self.count)).or_insert(alone);
        slice.last = here;
        if value < slice.least.1 {
            slice.least = here;
        }
        if value > slice.greatest.1 {
            slice.greatest = here;
        }
    }

    /// Its points: times and values.
    pub(crate) fn points(&self) -> (Vec<u64>, Vec<u64>) {
        let mut points = Vec::new();
        for slice in self.slices.values() {
            let mut four = [slice.first, slice.least, slice.greatest, slice.last];
            four.sort_unstable();
            points.extend(four);
        }
        points.dedup();
        points.into_iter().unzip()
    }
}

/// Which of `count` slices of `span` a time is in.
pub(crate) fn slice(at: u64, span: u64, count: usize) -> usize {
    let index = u128::from(at) * count as u128 / u128::from(span.max(1));
    usize::try_from(index).unwrap_or(usize::MAX).min(count.saturating_sub(1))
}

#[cfg(test)]
#[path = "curve_tests.rs"]
mod tests;
