//! Loss by chance.

use super::{Machine, Parcel, copies_itself};
use crate::dice::Dice;

/// Each datagram for itself, but never more than so many in a row.
#[derive(Clone, Copy, Debug)]
pub struct Loss {
    /// Of a million, so many vanish.
    pub rate: u32,
    /// At most so many one after another, as in the simulator of the QUIC interop runner.
    pub burst: u32,
    run: u32,
}

impl Loss {
    /// So many of a million.
    pub const fn of(rate: u32) -> Self {
        Self { rate, burst: u32::MAX, run: 0 }
    }

    /// At most so many in a row.
    #[must_use]
    pub const fn at_most(self, burst: u32) -> Self {
        Self { burst, ..self }
    }
}

impl Machine for Loss {
    fn pass(&mut self, parcel: Parcel, dice: &mut Dice, out: &mut Vec<Parcel>) {
        if dice.happens(self.rate) && self.run < self.burst {
            self.run += 1;
            return;
        }
        self.run = 0;
        out.push(parcel);
    }

    copies_itself!();
}

/// Gilbert-Elliott: a good and a bad state, each with a loss of its own; the state may change with
/// every datagram. Everything in a millionth.
#[derive(Clone, Copy, Debug)]
pub struct Bursts {
    /// From good to bad.
    pub worsens: u32,
    /// From bad to good.
    pub mends: u32,
    /// Loss while it is good.
    pub good: u32,
    /// Loss while it is bad.
    pub bad: u32,
    is_bad: bool,
}

impl Bursts {
    /// Nothing is lost while it is good, and everything in bursts of `length` on average, so that
    /// `rate` of a million are lost in all.
    pub const fn of(rate: u32, length: u32) -> Self {
        let mends = 1_000_000 / if length == 0 { 1 } else { length };
        // In balance: worsens * (1 - rate) = mends * rate.
        let worsens = (mends as u64 * rate as u64 / (1_000_000 - rate as u64)) as u32;
        Self { worsens, mends, good: 0, bad: 1_000_000, is_bad: false }
    }
}

impl Machine for Bursts {
    fn pass(&mut self, parcel: Parcel, dice: &mut Dice, out: &mut Vec<Parcel>) {
        self.is_bad ^= dice.happens(if self.is_bad { self.mends } else { self.worsens });
        if !dice.happens(if self.is_bad { self.bad } else { self.good }) {
            out.push(parcel);
        }
    }

    copies_itself!();
}
