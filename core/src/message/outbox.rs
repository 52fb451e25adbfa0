//! Unreliable datagrams on their way out: a bounded queue for each class, with the time of each.

use alloc::collections::VecDeque;

use bytes::Bytes;

use super::datagrams::{DropRule, cost};
use crate::stream::Priority;
use crate::time::{Instant, earliest};

/// One that waits to be sent.
#[derive(Clone, Debug)]
#[cfg_attr(any(test, feature = "fingerprint"), derive(Hash))]
struct Waiting {
    data: Bytes,
    /// When it is too old.
    until: Option<Instant>,
}

/// Those of a class, the oldest first.
#[derive(Clone, Debug, Default)]
#[cfg_attr(any(test, feature = "fingerprint"), derive(Hash))]
struct Queue {
    items: VecDeque<Waiting>,
    bytes: u64,
    /// Dropped since somebody asked.
    dropped: u64,
}

/// Most bytes and datagrams that may wait.
#[derive(Clone, Copy, Debug)]
pub(super) struct Bounds {
    pub(super) bytes: u64,
    pub(super) count: usize,
}

/// All that wait.
#[derive(Clone, Debug, Default)]
#[cfg_attr(any(test, feature = "fingerprint"), derive(Hash))]
pub(super) struct Outbox {
    classes: [Queue; 3],
    /// Nobody is too old before this.
    youth: Option<Instant>,
}

impl Queue {
    fn pop(&mut self) {
        if let Some(Waiting { data, .. }) = self.items.pop_front() {
            self.bytes -= cost(data.len());
        }
    }

    /// Drops one for want of room.
    fn give_way(&mut self, rule: DropRule) {
        let gone = match rule {
            DropRule::Oldest => self.items.pop_front(),
            DropRule::Newest => self.items.pop_back(),
        };
        self.bytes -= gone.map_or(0, |Waiting { data, .. }| cost(data.len()));
        self.dropped += 1;
    }

    /// Drops what is too old; says how many that were.
    fn expire(&mut self, now: Instant) -> u64 {
        let before = self.items.len();
        let bytes = &mut self.bytes;
        self.items.retain(|Waiting { data, until }| {
            let kept = until.is_none_or(|until| until > now);
            if !kept {
                sometimes!("message: a datagram is too old to be sent");
                *bytes -= cost(data.len());
            }
            kept
        });
        let expired = (before - self.items.len()) as u64;
        self.dropped += expired;
        expired
    }
}

impl Outbox {
    pub(super) fn is_empty(&self) -> bool {
        self.classes.iter().all(|queue| queue.items.is_empty())
    }

    pub(super) fn is_pending(&self, class: Priority) -> bool {
        self.front(class).is_some()
    }

    /// Whether one of `len` bytes fits.
    pub(super) fn fits(&self, len: usize, bounds: Bounds) -> bool {
        fit(&self.classes, len, bounds)
    }

    /// Whether one of this class and `len` bytes fits if those of lower classes give way, or has
    /// nobody else to wait for.
    pub(super) fn has_room(&self, class: Priority, len: usize, bounds: Bounds) -> bool {
        let rivals = self.classes.get(..=class as usize).unwrap_or_default();
        fit(rivals, len, bounds) || rivals.iter().all(|queue| queue.items.is_empty())
    }

    pub(super) fn push(&mut self, class: Priority, data: Bytes, until: Option<Instant>) {
        self.youth = earliest([self.youth, until]);
        let queue = self.of(class);
        queue.bytes += cost(data.len());
        queue.items.push_back(Waiting { data, until });
    }

    /// The one of a class that waits longest.
    pub(super) fn front(&self, class: Priority) -> Option<&Bytes> {
        let [urgent, normal, bulk] = &self.classes;
        let queue = match class {
            Priority::Urgent => urgent,
            Priority::Normal => normal,
            Priority::Bulk => bulk,
        };
        queue.items.front().map(|waiting| &waiting.data)
    }

    pub(super) fn pop(&mut self, class: Priority) {
        self.of(class).pop();
        if self.is_empty() {
            self.youth = None;
        }
    }

    /// Makes room for one of `class` and `len` bytes: the oldest, or the newest, of the lowest
    /// class that waits are dropped (spec R-MSG-3). `None`, and none dropped, if it gives way
    /// itself.
    pub(super) fn make_room(
        &mut self,
        class: Priority,
        len: usize,
        bounds: Bounds,
        rule: DropRule,
    ) -> Option<u64> {
        let stay = match rule {
            DropRule::Oldest => self.classes.get(..class as usize)?,
            DropRule::Newest => self.classes.get(..=class as usize)?,
        };
        if !fit(stay, len, bounds) {
            return None;
        }
        let mut dropped = 0;
        while !fit(&self.classes, len, bounds) {
            let lowest = self.classes.iter_mut().rev().find(|queue| !queue.items.is_empty())?;
            sometimes!("message: a datagram gives way to another");
            lowest.give_way(rule);
            dropped += 1;
        }
        Some(dropped)
    }

    /// Drops what is too old (spec R-MSG-13); says how many that were.
    pub(super) fn expire(&mut self, now: Instant) -> u64 {
        if self.youth.is_none_or(|youth| youth > now) {
            return 0;
        }
        let expired = self.classes.iter_mut().map(|queue| queue.expire(now)).sum();
        self.youth = earliest(self.all().map(|waiting| waiting.until));
        expired
    }

    /// When somebody may be too old. Errs only towards too early.
    pub(super) const fn deadline(&self) -> Option<Instant> {
        self.youth
    }

    /// One of `class` was dropped that never waited.
    pub(super) fn on_dropped(&mut self, class: Priority) {
        self.of(class).dropped += 1;
    }

    /// How many of each class were dropped since this was last asked.
    pub(super) fn take_dropped(&mut self) -> [u64; 3] {
        self.classes.each_mut().map(|queue| core::mem::take(&mut queue.dropped))
    }

    fn of(&mut self, class: Priority) -> &mut Queue {
        let [urgent, normal, bulk] = &mut self.classes;
        match class {
            Priority::Urgent => urgent,
            Priority::Normal => normal,
            Priority::Bulk => bulk,
        }
    }

    fn all(&self) -> impl Iterator<Item = &Waiting> {
        self.classes.iter().flat_map(|queue| &queue.items)
    }

    #[cfg(any(test, feature = "arbitrary", debug_assertions))]
    pub(super) fn check(&self, bounds: Bounds) {
        for queue in &self.classes {
            let bytes = queue.items.iter().map(|waiting| cost(waiting.data.len()));
            assert_eq!(queue.bytes, bytes.sum::<u64>());
        }
        let bytes: u64 = self.classes.iter().map(|queue| queue.bytes).sum();
        let count = self.all().count();
        assert!(bytes <= bounds.bytes && count <= bounds.count, "a queue passed its bounds");
        let youngest = earliest(self.all().map(|waiting| waiting.until));
        assert!(youngest.is_none_or(|at| self.youth.is_some_and(|youth| youth <= at)));
    }
}

/// Whether one of `len` bytes fits beside those of `classes`.
fn fit(classes: &[Queue], len: usize, bounds: Bounds) -> bool {
    let bytes = classes.iter().fold(cost(len), |sum, queue| sum.saturating_add(queue.bytes));
    let count: usize = classes.iter().map(|queue| queue.items.len()).sum();
    bytes <= bounds.bytes && count < bounds.count
}
