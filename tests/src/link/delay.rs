//! Time on the way.

use std::time::Duration;

use aqueduct_core::time::Instant;

use super::{Machine, Parcel, copies_itself};
use crate::dice::Dice;

/// A delay, and up to so much more, drawn for each datagram.
#[derive(Clone, Copy, Debug)]
pub struct Delay {
    /// The least time.
    pub delay: Duration,
    /// Up to this much more.
    pub jitter: Duration,
    /// What came later leaves no earlier, whatever was drawn.
    pub ordered: bool,
    last: Instant,
}

impl Delay {
    /// The same for all.
    pub const fn of(delay: Duration) -> Self {
        Self { delay, jitter: Duration::ZERO, ordered: false, last: Instant::ZERO }
    }

    /// And up to this much more, which reorders.
    #[must_use]
    pub const fn jitter(self, jitter: Duration) -> Self {
        Self { jitter, ..self }
    }

    /// Keeps the order.
    #[must_use]
    pub const fn ordered(self) -> Self {
        Self { ordered: true, ..self }
    }
}

impl Machine for Delay {
    fn pass(&mut self, mut parcel: Parcel, dice: &mut Dice, out: &mut Vec<Parcel>) {
        parcel.at = parcel.at + self.delay + dice.between(Duration::ZERO, self.jitter);
        if self.ordered {
            parcel.at = parcel.at.max(self.last);
            self.last = parcel.at;
        }
        out.push(parcel);
    }

    copies_itself!();
}

/// Holds single datagrams back, so that what follows overtakes them.
#[derive(Clone, Copy, Debug)]
pub struct Reorder {
    /// Of a million, so many are held.
    pub rate: u32,
    /// For at most so long.
    pub by: Duration,
}

impl Machine for Reorder {
    fn pass(&mut self, mut parcel: Parcel, dice: &mut Dice, out: &mut Vec<Parcel>) {
        if dice.happens(self.rate) {
            parcel.at = parcel.at + dice.between(Duration::ZERO, self.by);
        }
        out.push(parcel);
    }

    copies_itself!();
}
