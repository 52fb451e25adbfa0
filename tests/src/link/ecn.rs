//! What networks do to the two bits of congestion notification.

use aqueduct_core::wire::id::Ecn;

use super::{Machine, Parcel, copies_itself};
use crate::dice::Dice;

/// A middlebox that knows better.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Marks {
    /// Takes every mark away.
    Bleach,
    /// Says "congestion" of so many of a million that have a mark.
    Congested(u32),
    /// Makes ECT(0) into ECT(1), as some do with the whole old byte.
    Remark,
}

impl Machine for Marks {
    fn pass(&mut self, mut parcel: Parcel, dice: &mut Dice, out: &mut Vec<Parcel>) {
        parcel.ecn = match (self, parcel.ecn) {
            (_, None) | (Self::Bleach, _) => None,
            (Self::Congested(rate), _) if dice.happens(*rate) => Some(Ecn::Ce),
            (Self::Remark, Some(Ecn::Ect0)) => Some(Ecn::Ect1),
            (_, mark) => mark,
        };
        out.push(parcel);
    }

    copies_itself!();
}
