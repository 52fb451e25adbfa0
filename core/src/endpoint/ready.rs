//! Who has something to say now, and who must be woken when.

use alloc::collections::{BTreeSet, VecDeque};

use crate::time::Instant;

use super::slab::SlotKey;

/// A queue in which each connection stands at most once.
#[derive(Clone, Debug, Default)]
#[cfg_attr(any(test, feature = "fingerprint"), derive(Hash))]
pub(crate) struct ReadyQueue {
    queue: VecDeque<SlotKey>,
}

/// Whether a connection stands in a queue; kept with the connection.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[cfg_attr(any(test, feature = "fingerprint"), derive(Hash))]
pub(crate) struct Queued(bool);

impl ReadyQueue {
    /// Puts a connection at the end, unless it waits already.
    pub(crate) fn push(&mut self, key: SlotKey, queued: &mut Queued) {
        if !queued.0 {
            queued.0 = true;
            self.queue.push_back(key);
        }
    }

    /// The connection at the front, which stays there.
    pub(crate) fn first(&self) -> Option<SlotKey> {
        self.queue.front().copied()
    }

    /// Whether nobody waits.
    pub(crate) fn is_empty(&self) -> bool {
        self.queue.is_empty()
    }

    /// Takes the connection at the front; the caller clears its mark with [`Queued::clear`].
    pub(crate) fn pop(&mut self) -> Option<SlotKey> {
        self.queue.pop_front()
    }
}

impl Queued {
    /// Whether the connection waits.
    pub(crate) fn is_set(self) -> bool {
        self.0
    }

    /// The connection left the queue.
    pub(crate) fn clear(&mut self) {
        self.0 = false;
    }
}

/// Deadlines of connections, earliest first. Equal ones come by slot, so the order is always the
/// same.
#[derive(Clone, Debug, Default)]
#[cfg_attr(any(test, feature = "fingerprint"), derive(Hash))]
pub(crate) struct Deadlines {
    set: BTreeSet<(Instant, SlotKey)>,
}

impl Deadlines {
    /// Moves a connection's deadline from `old` to `new`.
    pub(crate) fn change(&mut self, key: SlotKey, old: Option<Instant>, new: Option<Instant>) {
        if old == new {
            return;
        }
        if let Some(old) = old {
            self.set.remove(&(old, key));
        }
        if let Some(new) = new {
            self.set.insert((new, key));
        }
    }

    /// The earliest.
    pub(crate) fn first(&self) -> Option<Instant> {
        self.set.first().map(|(at, _)| *at)
    }

    /// Takes one that is due.
    pub(crate) fn pop_due(&mut self, now: Instant) -> Option<SlotKey> {
        let due = self.set.first().is_some_and(|(at, _)| *at <= now);
        if due { self.set.pop_first().map(|(_, key)| key) } else { None }
    }
}
