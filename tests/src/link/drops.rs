//! Loss by list: exactly the datagrams that somebody named.

use std::collections::BTreeSet;

use super::{Machine, Parcel, copies_itself};
use crate::dice::Dice;

/// Loses the datagrams with these numbers; the first one is number 1.
#[derive(Clone, Debug, Default)]
pub struct Drops {
    numbers: BTreeSet<u64>,
    seen: u64,
}

impl Drops {
    /// These.
    pub fn of(numbers: impl IntoIterator<Item = u64>) -> Self {
        Self { numbers: numbers.into_iter().collect(), seen: 0 }
    }
}

impl Machine for Drops {
    fn pass(&mut self, parcel: Parcel, _: &mut Dice, out: &mut Vec<Parcel>) {
        self.seen += 1;
        if !self.numbers.contains(&self.seen) {
            out.push(parcel);
        }
    }

    copies_itself!();
}
