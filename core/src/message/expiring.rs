//! Messages on their way out that are worth sending only for some time.

use alloc::collections::BTreeSet;
use alloc::vec::Vec;

use crate::time::Instant;
use crate::wire::id::StreamId;

/// What is left to be done for a message.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Left {
    /// Nothing: it arrived, or was given up otherwise.
    Nothing,
    /// All of it is out; it may be acknowledged or lost.
    Acknowledgement,
    /// Some of it has to be sent, for the first time or again.
    Bytes,
}

/// Those whose time runs, and those whose time is over while all of them is out (spec R-MSG-14).
/// There is at most one entry for each stream of ours that is open, and for as many that ended.
#[derive(Clone, Debug, Default)]
#[cfg_attr(any(test, feature = "fingerprint"), derive(Hash))]
pub struct Expiring {
    young: BTreeSet<(Instant, StreamId)>,
    old: BTreeSet<StreamId>,
    expired: u64,
}

impl Expiring {
    /// The message on stream `id` is not to be sent from `until` on.
    pub fn add(&mut self, id: StreamId, until: Instant) {
        self.young.insert((until, id));
    }

    /// When somebody's time is over.
    pub fn deadline(&self) -> Option<Instant> {
        self.young.first().map(|(until, _)| *until)
    }

    /// Whether what was lost may have been too old to be sent again.
    pub fn is_any_old(&self) -> bool {
        !self.old.is_empty()
    }

    /// How many wait for their time or their acknowledgement.
    pub fn len(&self) -> usize {
        self.young.len() + self.old.len()
    }

    /// Whether none do.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Takes note that time is over for some.
    pub fn on_deadline(&mut self, now: Instant) {
        while let Some((until, id)) = self.young.first().copied().filter(|(at, _)| *at <= now) {
            self.young.remove(&(until, id));
            self.old.insert(id);
        }
    }

    /// The messages that are too old and of which something is `left` to be sent: they are to be
    /// given up. Those that ask for nothing more are forgotten.
    pub fn take_expired(&mut self, mut left: impl FnMut(StreamId) -> Left) -> Vec<StreamId> {
        let mut found = Vec::new();
        self.old.retain(|id| {
            let left = left(*id);
            if left == Left::Bytes {
                sometimes!("message: one is too old to be sent");
                found.push(*id);
            }
            left == Left::Acknowledgement
        });
        self.expired += found.len() as u64;
        found
    }

    /// One was too old before it had a stream: it was never here, and is counted.
    pub const fn on_too_old(&mut self) {
        self.expired += 1;
    }

    /// Forgets those of which nothing is `left`.
    pub fn forget(&mut self, mut left: impl FnMut(StreamId) -> Left) {
        self.young.retain(|(_, id)| left(*id) != Left::Nothing);
    }

    /// How many were given up.
    pub const fn expired(&self) -> u64 {
        self.expired
    }
}
