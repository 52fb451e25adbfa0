//! Rows of which a bounded number is kept: those that matter, and of the others each n-th.

use std::collections::BTreeMap;

/// The newest rows are all kept until the end: what becomes of a packet is known later.
const RECENT: u64 = 1 << 17;

/// A bounded choice of rows.
#[derive(Debug)]
pub(crate) struct Thin<T> {
    limit: usize,
    rows: BTreeMap<u64, Row<T>>,
    next: u64,
    /// Of those that do not matter each n-th is kept; and of those that do.
    strides: (u64, u64),
}

#[derive(Debug)]
struct Row<T> {
    matters: bool,
    row: T,
}

impl<T> Thin<T> {
    pub(crate) const fn new(limit: usize) -> Self {
        Self { limit, rows: BTreeMap::new(), next: 0, strides: (1, 1) }
    }

    /// One more row; gives its number.
    pub(crate) fn push(&mut self, row: T, matters: bool) -> u64 {
        let number = self.next;
        self.next += 1;
        self.rows.insert(number, Row { matters, row });
        if self.rows.len() > self.limit + 2 * RECENT as usize {
            self.thin(self.next - RECENT, self.limit);
        }
        number
    }

    /// A row that is there still.
    pub(crate) fn get_mut(&mut self, number: u64) -> Option<&mut T> {
        self.rows.get_mut(&number).map(|row| &mut row.row)
    }

    /// A row matters, as was found.
    pub(crate) fn promote(&mut self, number: u64) {
        if let Some(row) = self.rows.get_mut(&number) {
            row.matters = true;
        }
    }

    /// How many rows there were.
    pub(crate) const fn seen(&self) -> u64 {
        self.next
    }

    /// Keeps at most `most` of those before `end`.
    fn thin(&mut self, end: u64, most: usize) {
        loop {
            // What came since the last time is as thin as the rest, first.
            let (rest, important) = self.strides;
            self.rows.retain(|number, row| {
                let stride = if row.matters { important } else { rest };
                *number >= end || number.is_multiple_of(stride)
            });
            let count = self.rows.range(..end).count();
            if count <= most {
                return;
            }
            let important = self.rows.range(..end).filter(|(_, row)| row.matters).count();
            // Those that matter give way only when they alone are too many.
            let (many, room, stride) = match important > most || important == count {
                true => (important, most, &mut self.strides.1),
                false => (count - important, most - important, &mut self.strides.0),
            };
            *stride *= (many.div_ceil(room.max(1)) as u64).max(2);
        }
    }

    /// The rows that are kept, at most as many as the limit says, in their order.
    pub(crate) fn finish(&mut self) -> Vec<&T> {
        self.thin(self.next, self.limit);
        self.rows.values().map(|row| &row.row).collect()
    }

    /// The same, of half as many from now on; no, if that were too few.
    pub(crate) const fn halve(&mut self) -> bool {
        self.limit /= 2;
        self.limit > 100
    }
}

#[cfg(test)]
#[path = "thin_tests.rs"]
mod tests;
