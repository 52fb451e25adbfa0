//! A limit on the size of datagrams.

use super::{Machine, Parcel, copies_itself};
use crate::dice::Dice;

/// Lets nothing through that is larger.
#[derive(Clone, Copy, Debug)]
pub struct SizeLimit {
    /// Largest UDP payload in bytes.
    pub most: usize,
    /// The sender's socket is told (as with `EMSGSIZE`). Without, the datagram just vanishes, as it
    /// does in the middle of a network that tells nobody.
    pub tells: bool,
}

impl Machine for SizeLimit {
    fn pass(&mut self, mut parcel: Parcel, _: &mut Dice, out: &mut Vec<Parcel>) {
        if parcel.bytes.len() > self.most {
            if !self.tells {
                return;
            }
            parcel.refused = true;
        }
        out.push(parcel);
    }

    copies_itself!();
}
