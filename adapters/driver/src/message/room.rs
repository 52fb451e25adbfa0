//! Room for messages that are put together from streams (spec R-MODE-14): their bytes have left the
//! core, and its budget covers them no more.

use std::sync::atomic::Ordering::Relaxed;
use std::sync::{Arc, Mutex};
use std::task::Waker;

use crate::stats::MessageTally;
use crate::wait::lock;

/// Messages of the largest size for which a node has room at a time. One connection puts a quarter
/// of them together at once.
const LARGEST: u64 = 16;

/// How much of a node's room is taken, and who waits for some.
#[derive(Debug, Default)]
pub(crate) struct Room(Mutex<Taken>);

#[derive(Debug, Default)]
struct Taken {
    bytes: u64,
    /// One of each task that waits.
    waiting: Vec<Waker>,
}

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
        let mut taken = lock(&tally.room.0);
        if taken.bytes.saturating_add(bytes) > most {
            if !taken.waiting.iter().any(|other| other.will_wake(waker)) {
                taken.waiting.push(waker.clone());
            }
            return None;
        }
        taken.bytes += bytes;
        tally.counts.assembly_most.fetch_max(taken.bytes, Relaxed);
        Some(Self { tally: tally.clone(), bytes })
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        let waiting = {
            let mut taken = lock(&self.tally.room.0);
            taken.bytes -= self.bytes;
            std::mem::take(&mut taken.waiting)
        };
        waiting.into_iter().for_each(Waker::wake);
    }
}

#[cfg(test)]
#[path = "room_tests.rs"]
mod tests;
