//! The packets that may still be acknowledged, in the order of their numbers.
//!
//! A ring, because packets come in at one end and mostly leave at the other. Only packets that
//! elicit an ACK have a slot, so that what a peer can make us send (bare ACKs) takes no memory. A
//! slot whose packet is settled in the middle stays until everything before it is settled too;
//! walking over such slots costs nothing, because each says how many there are from it on.
//!
//! Receipts lie in a second ring, in the same order, so that a packet in flight allocates nothing.

use alloc::collections::VecDeque;
use alloc::vec::Vec;

use super::rate::Stamp;
use crate::time::Instant;
use crate::wire::frame::SentFrame;
use crate::wire::id::PathId;

/// One packet that elicited an ACK.
#[derive(Clone, Debug)]
#[cfg_attr(any(test, feature = "fingerprint"), derive(Hash))]
pub(super) struct Slot {
    pub(super) number: u64,
    pub(super) path: PathId,
    /// Counts the packets in slots of this path.
    pub(super) index: u64,
    pub(super) sent_at: Instant,
    pub(super) stamp: Stamp,
    pub(super) size: u16,
    pub(super) mtu_probe: bool,
    pub(super) fate: Fate,
    /// If done: at least so many slots from this one on are done.
    run: u32,
    receipts: u16,
    receipts_given: bool,
    receipts_at: u64,
}

impl Slot {
    /// Whether it had receipts, and they were given back before.
    pub(super) const fn was_repeated(&self) -> bool {
        self.receipts_given && self.receipts > 0
    }
}

/// What is known of a packet.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[cfg_attr(any(test, feature = "fingerprint"), derive(Hash))]
pub(super) enum Fate {
    /// In flight.
    Flying,
    /// Declared lost at that time; remembered for a while, in case it is acknowledged after all.
    Lost { at: Instant, until: Instant },
    /// Nothing more is to be learnt.
    Done,
}

impl Fate {
    /// Whether an ACK at `now` would be news.
    pub(super) fn is_open(self, now: Instant) -> bool {
        match self {
            Self::Flying => true,
            Self::Lost { until, .. } => until > now,
            Self::Done => false,
        }
    }
}

/// What [`Ring::push`] needs to know.
#[derive(Clone, Debug)]
pub(super) struct Entry {
    pub(super) number: u64,
    pub(super) path: PathId,
    pub(super) index: u64,
    pub(super) sent_at: Instant,
    pub(super) stamp: Stamp,
    pub(super) size: u16,
    pub(super) mtu_probe: bool,
}

/// Slots by position; positions shift when the front is trimmed.
#[derive(Clone, Debug, Default)]
#[cfg_attr(any(test, feature = "fingerprint"), derive(Hash))]
pub(super) struct Ring {
    slots: VecDeque<Slot>,
    receipts: VecDeque<Option<SentFrame>>,
    /// How many receipts were ever dropped from the front.
    receipts_base: u64,
    /// Slots that are lost and remembered.
    lost: usize,
    /// Slots looked at while walking.
    #[cfg(test)]
    pub(super) steps: u64,
}

impl Ring {
    pub(super) fn len(&self) -> usize {
        self.slots.len()
    }

    pub(super) fn get(&self, at: usize) -> Option<&Slot> {
        self.slots.get(at)
    }

    pub(super) fn iter(&self) -> impl Iterator<Item = &Slot> + '_ {
        self.slots.iter()
    }

    /// Appends a packet and its receipts; empties `receipts`.
    pub(super) fn push(&mut self, entry: Entry, receipts: &mut Vec<SentFrame>) {
        debug_assert!(self.slots.back().is_none_or(|last| last.number < entry.number));
        let count = u16::try_from(receipts.len()).unwrap_or(u16::MAX);
        self.slots.push_back(Slot {
            number: entry.number,
            path: entry.path,
            index: entry.index,
            sent_at: entry.sent_at,
            stamp: entry.stamp,
            size: entry.size,
            mtu_probe: entry.mtu_probe,
            fate: Fate::Flying,
            run: 0,
            receipts: count,
            receipts_given: false,
            receipts_at: self.receipts_base + self.receipts.len() as u64,
        });
        for receipt in receipts.drain(..).take(usize::from(count)) {
            self.receipts.push_back(Some(receipt));
        }
    }

    /// Position of the first slot with `number` or above.
    pub(super) fn position(&self, number: u64) -> usize {
        let Some(first) = self.slots.front() else { return 0 };
        let Some(ahead) = number.checked_sub(first.number) else { return 0 };
        // Each slot is at least one number above the one before: it cannot lie further back.
        let bound = usize::try_from(ahead).unwrap_or(usize::MAX).min(self.slots.len());
        if self.slots.get(bound).is_some_and(|slot| slot.number == number) {
            return bound;
        }
        let (mut low, mut high) = (0, bound);
        while low < high {
            let middle = low + (high - low) / 2;
            if self.slots.get(middle).is_some_and(|slot| slot.number < number) {
                low = middle + 1;
            } else {
                high = middle;
            }
        }
        low
    }

    /// Position of the first slot at `at` or behind it that is not done, or the length. Amortized
    /// over all calls it costs no more than a few steps, however many are done.
    pub(super) fn open_from(&mut self, mut at: usize) -> usize {
        while let Some(step) = self.run(at) {
            #[cfg(test)]
            {
                self.steps += 1;
            }
            let further = self.run(at + step).unwrap_or(0);
            if let Some(slot) = self.slots.get_mut(at) {
                slot.run = u32::try_from(step + further).unwrap_or(slot.run);
            }
            at += step + further;
        }
        at
    }

    fn run(&self, at: usize) -> Option<usize> {
        let slot = self.slots.get(at).filter(|slot| slot.fate == Fate::Done)?;
        Some(slot.run as usize)
    }

    /// Nothing more is to be learnt of the packet.
    pub(super) fn finish(&mut self, at: usize) {
        let Some(slot) = self.slots.get_mut(at) else { return };
        if matches!(slot.fate, Fate::Lost { .. }) {
            self.lost -= 1;
        }
        slot.fate = Fate::Done;
        slot.run = 1;
    }

    /// The packet is lost, and remembered for a while.
    pub(super) fn lose(&mut self, at: usize, until: Instant, now: Instant) {
        let Some(slot) = self.slots.get_mut(at) else { return };
        debug_assert_eq!(slot.fate, Fate::Flying);
        slot.fate = Fate::Lost { at: now, until };
        self.lost += 1;
    }

    /// Remembers no lost packet of `path` any more.
    pub(super) fn forget(&mut self, path: PathId) {
        for at in 0..self.slots.len() {
            let lost = |slot: &&Slot| slot.path == path && matches!(slot.fate, Fate::Lost { .. });
            if self.get(at).filter(lost).is_some() {
                self.finish(at);
            }
        }
    }

    /// Moves the packet's receipts to `out`, the first time.
    /// Returns whether there were any.
    pub(super) fn give_receipts(&mut self, at: usize, out: &mut Vec<SentFrame>) -> bool {
        let Some(slot) = self.slots.get_mut(at) else { return false };
        if core::mem::replace(&mut slot.receipts_given, true) {
            return false;
        }
        let from = usize::try_from(slot.receipts_at - self.receipts_base).unwrap_or(usize::MAX);
        let to = from + usize::from(slot.receipts);
        debug_assert!(to <= self.receipts.len());
        out.extend(self.receipts.range_mut(from..to).filter_map(Option::take));
        to > from
    }

    /// Lets go of what is at the front and done, or lost and no longer worth remembering at `now`.
    pub(super) fn trim(&mut self, most_lost: usize, now: Instant) {
        while let Some(slot) = self.slots.front() {
            match slot.fate {
                Fate::Flying => break,
                Fate::Lost { until, .. } if until > now && self.lost <= most_lost => break,
                Fate::Lost { .. } => self.lost -= 1,
                Fate::Done => {}
            }
            debug_assert!(slot.receipts_given || slot.receipts == 0);
            for _ in 0..slot.receipts {
                self.receipts.pop_front();
            }
            self.receipts_base += u64::from(slot.receipts);
            self.slots.pop_front();
        }
    }
}

#[cfg(test)]
#[path = "ring_tests.rs"]
mod tests;
