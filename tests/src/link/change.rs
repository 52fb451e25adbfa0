//! Datagrams that arrive twice, and datagrams that arrive changed.

use std::time::Duration;

use super::{Machine, Parcel, copies_itself};
use crate::dice::Dice;

/// Doubles.
#[derive(Clone, Copy, Debug)]
pub struct Duplicate {
    /// Of a million, so many come again.
    pub rate: u32,
    /// The second one is at most so much later.
    pub within: Duration,
}

impl Machine for Duplicate {
    fn pass(&mut self, parcel: Parcel, dice: &mut Dice, out: &mut Vec<Parcel>) {
        if dice.happens(self.rate) {
            let at = parcel.at + dice.between(Duration::ZERO, self.within);
            out.push(parcel.clone());
            out.push(Parcel { at, ..parcel });
        } else {
            out.push(parcel);
        }
    }

    copies_itself!();
}

/// Flips bits.
#[derive(Clone, Copy, Debug)]
pub struct Corrupt {
    /// Of a million, so many are changed.
    pub rate: u32,
    /// At most so many one after another.
    pub burst: u32,
    /// So many bits, at most, of each.
    pub bits: u32,
    run: u32,
}

impl Corrupt {
    /// One bit of so many of a million.
    pub const fn of(rate: u32) -> Self {
        Self { rate, burst: u32::MAX, bits: 1, run: 0 }
    }

    /// At most so many in a row.
    #[must_use]
    pub const fn at_most(self, burst: u32) -> Self {
        Self { burst, ..self }
    }
}

impl Machine for Corrupt {
    fn pass(&mut self, mut parcel: Parcel, dice: &mut Dice, out: &mut Vec<Parcel>) {
        if dice.happens(self.rate) && self.run < self.burst {
            self.run += 1;
            for _ in 0..=dice.below(u64::from(self.bits.max(1))) {
                let bit = dice.below(parcel.bytes.len() as u64 * 8) as usize;
                if let Some(byte) = parcel.bytes.get_mut(bit / 8) {
                    *byte ^= 1 << (bit % 8);
                }
            }
        } else {
            self.run = 0;
        }
        out.push(parcel);
    }

    copies_itself!();
}
