//! Room for messages that are put together from streams (spec R-MODE-14): their bytes have left the
//! core, and its budget covers them no more.

use std::sync::Arc;
use std::sync::atomic::Ordering::Relaxed;
use std::task::Waker;

use crate::stats::MessageTally;

/// Messages of the largest size for which a node has room at a time. One connection puts a quarter
/// of them together at once.
const LARGEST: u64 = 16;

/// Part of the room. Dropped, it is there for others.
#[derive(Debug)]
pub(super) struct Place {
    tally: Arc<MessageTally>,
    bytes: u64,
}

impl Place {
    /// Takes `bytes` of the room on a node whose largest message is `largest`; with `copies` of
    /// each. `None`: there is no room now, and `waker` is told when there may be.
    pub(super) fn take(
        tally: &Arc<MessageTally>,
        bytes: u64,
        copies: u64,
        largest: u64,
        waker: &Waker,
    ) -> Option<Self> {
        let bytes = bytes.saturating_mul(copies);
        let most = largest.saturating_mul(copies).saturating_mul(LARGEST);
        let taken = tally.room.take(bytes, most, waker)?;
        tally.counts.assembly_most.fetch_max(taken, Relaxed);
        Some(Self { tally: tally.clone(), bytes })
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        self.tally.room.give_back(self.bytes);
    }
}

#[cfg(test)]
#[path = "room_tests.rs"]
mod tests;
