//! Who writes next: three classes, turns inside a class.
//!
//! ```text
//!   urgent  ▶ [a]                     a class writes only while no higher one has anything,
//!   normal  ▶ [c] [d] [e]             but every 16th packet begins with the lowest that waits
//!   bulk    ▶ [f] [g]                 the first of a class writes for 4 KiB, then goes to the end
//! ```
//!
//! A stream is in the list once, while it has something that it may send. One that has nothing, or
//! that credit stops, is not in it and costs nothing until its owner enters it again.

use alloc::collections::VecDeque;

use crate::wire::id::StreamId;

/// Bytes that a stream may write before the next one of its class has its turn.
pub const QUANTUM: u32 = 4 * 1024;
/// Every so many packets begin with the lowest class (spec R-STR-31).
pub const LOWEST_FIRST: u32 = 16;

/// How soon a stream's bytes go out, compared with other streams of the connection (spec R-STR-30).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[cfg_attr(any(test, feature = "arbitrary"), derive(arbitrary::Arbitrary))]
#[expect(clippy::exhaustive_enums, reason = "two bits on the wire; the fourth value reads as bulk")]
pub enum Priority {
    /// Before everything else: small and rare.
    Urgent,
    /// What people wait for.
    #[default]
    Normal,
    /// What may take its time.
    Bulk,
}

impl Priority {
    /// All classes, the most urgent first.
    pub const ALL: [Self; 3] = [Self::Urgent, Self::Normal, Self::Bulk];

    /// The byte in OPEN: the class in the upper two bits, zeros below.
    pub const fn to_byte(self) -> u8 {
        (self as u8) << 6
    }

    /// The class that `byte` names; the lower six bits are not looked at.
    pub const fn from_byte(byte: u8) -> Self {
        match byte >> 6 {
            0 => Self::Urgent,
            1 => Self::Normal,
            _ => Self::Bulk,
        }
    }
}

/// Which classes may write in a packet, and which of them first.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[cfg_attr(any(test, feature = "fingerprint"), derive(Hash))]
#[expect(clippy::exhaustive_enums, reason = "there is no other way to begin")]
pub enum Order {
    /// The highest, but now and then the lowest (spec R-STR-31).
    #[default]
    Usual,
    /// All, the highest first.
    HighestFirst,
    /// All, the lowest first.
    LowestFirst,
    /// The highest alone.
    UrgentAlone,
    /// None.
    Nobody,
}

/// The turns of all streams that have something to send.
#[derive(Clone, Debug, Default)]
#[cfg_attr(any(test, feature = "fingerprint"), derive(Hash))]
pub(crate) struct Scheduler {
    classes: [VecDeque<StreamId>; 3],
    /// Bytes that the first stream of each class has written in its turn.
    spent: [u32; 3],
    packets: u32,
}

impl Scheduler {
    /// Whether no stream waits.
    pub(crate) fn is_empty(&self) -> bool {
        self.classes.iter().all(VecDeque::is_empty)
    }

    /// A packet begins: the classes that may write in it, in this order.
    pub(crate) fn begin_packet(&mut self, order: Order) -> &'static [Priority] {
        const LOWEST_FIRST_OF_ALL: [Priority; 3] =
            [Priority::Bulk, Priority::Normal, Priority::Urgent];
        self.packets = self.packets.wrapping_add(1);
        match order {
            Order::Usual if self.packets.is_multiple_of(LOWEST_FIRST) => &LOWEST_FIRST_OF_ALL,
            Order::Usual | Order::HighestFirst => &Priority::ALL,
            Order::LowestFirst => &LOWEST_FIRST_OF_ALL,
            Order::UrgentAlone => &[Priority::Urgent],
            Order::Nobody => &[],
        }
    }

    /// Adds a stream at the end of its class. The caller knows that it is in no class.
    pub(crate) fn push(&mut self, id: StreamId, class: Priority) {
        debug_assert!(self.classes.iter().all(|c| c.len() > 64 || !c.contains(&id)));
        if let Some(queue) = self.classes.get_mut(class as usize) {
            queue.push_back(id);
        }
    }

    /// The stream of `class` whose turn it is, and how many bytes are left of the turn.
    pub(crate) fn front(&self, class: Priority) -> Option<(StreamId, u32)> {
        let id = self.classes.get(class as usize)?.front()?;
        let spent = self.spent.get(class as usize)?;
        Some((*id, QUANTUM.saturating_sub(*spent).max(1)))
    }

    /// The first stream of `class` wrote `bytes`; at the end of its turn the next one is first.
    pub(crate) fn wrote(&mut self, class: Priority, bytes: usize) {
        let (Some(spent), Some(queue)) =
            (self.spent.get_mut(class as usize), self.classes.get_mut(class as usize))
        else {
            return;
        };
        *spent = spent.saturating_add(u32::try_from(bytes).unwrap_or(u32::MAX));
        if *spent >= QUANTUM {
            *spent = 0;
            queue.rotate_left(1.min(queue.len()));
        }
    }

    /// The first stream of `class` has nothing more that it may send.
    pub(crate) fn pop(&mut self, class: Priority) {
        if let (Some(spent), Some(queue)) =
            (self.spent.get_mut(class as usize), self.classes.get_mut(class as usize))
        {
            *spent = 0;
            queue.pop_front();
        }
    }

    /// Takes a stream out of `class`, wherever it stands in it. Linear; for a change of class.
    pub(crate) fn remove(&mut self, id: StreamId, class: Priority) {
        if let Some(queue) = self.classes.get_mut(class as usize) {
            if queue.front() == Some(&id) {
                self.pop(class);
            } else {
                queue.retain(|other| *other != id);
            }
        }
    }
}

#[cfg(test)]
#[path = "scheduler_tests.rs"]
mod tests;
