//! Which packets of a connection are waited for, as whoever watches it knows.

use alloc::collections::BTreeSet;
use alloc::vec::Vec;
use core::ops::Range;

use crate::wire::id::PacketNumber;

/// Packets that the watcher saw leave, until it sees what becomes of them.
#[derive(Debug, Default)]
pub(super) struct Flying {
    waited: BTreeSet<u64>,
    /// Declared lost, and perhaps not.
    lost: BTreeSet<u64>,
    /// How many losses the ledger counted when it was last asked.
    losses: u64,
}

/// As many lost packets are remembered, in case they arrive.
const MOST_LOST: usize = 4_096;

/// What became of packets.
#[derive(Debug, Default)]
pub(super) struct Settlement {
    pub(super) acked: Vec<PacketNumber>,
    pub(super) lost: Vec<PacketNumber>,
    pub(super) spurious: Vec<PacketNumber>,
}

impl Flying {
    /// A packet left that asks for an ACK.
    pub(super) fn on_sent(&mut self, number: PacketNumber) {
        self.waited.insert(number.0);
    }

    /// An ACK was taken in. `still`: whether a packet is in flight all the same.
    pub(super) fn on_ack(
        &mut self,
        ranges: impl Iterator<Item = Range<u64>>,
        still: impl Fn(PacketNumber) -> bool,
        out: &mut Settlement,
    ) {
        for range in ranges {
            let there: Vec<u64> = self.waited.range(range.clone()).copied().collect();
            for number in there.into_iter().filter(|number| !still(PacketNumber(*number))) {
                self.waited.remove(&number);
                out.acked.push(PacketNumber(number));
            }
            let late: Vec<u64> = self.lost.range(range).copied().collect();
            for number in late {
                self.lost.remove(&number);
                out.spurious.push(PacketNumber(number));
            }
        }
    }

    /// The ledger has counted so many losses.
    pub(super) fn on_losses(
        &mut self,
        losses: u64,
        still: impl Fn(PacketNumber) -> bool,
        out: &mut Settlement,
    ) {
        if core::mem::replace(&mut self.losses, losses) == losses {
            return;
        }
        let gone: Vec<u64> =
            self.waited.iter().copied().filter(|number| !still(PacketNumber(*number))).collect();
        for number in gone {
            self.waited.remove(&number);
            self.lost.insert(number);
            out.lost.push(PacketNumber(number));
        }
        while self.lost.len() > MOST_LOST {
            self.lost.pop_first();
        }
    }
}
