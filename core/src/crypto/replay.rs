//! The replay window: each packet number is let through once.
//!
//! A ring of bits, one a packet number, over the `capacity` numbers up to the largest accepted.
//! What lies below it is refused without being known: it may be new, but nobody remembers.
//!
//! ```text
//!      below: refused, counted apart     window: one bit each     ahead: always new
//!   ───────────────────────────────────┬────────────────────────┬──────────────────► number
//!                                    floor                   largest
//! ```
//!
//! The window grows by doubling when the packets of a round trip would not fit it
//! ([`ReplayWindow::grow_to`]). History is not invented by that: the floor stays where it was, and
//! what had fallen below it stays refused for ever.

use alloc::vec;
use alloc::vec::Vec;

use crate::wire::id::PacketNumber;

/// Which packet numbers were accepted (spec R-KEY-20 to R-KEY-23).
///
/// # Example
///
/// ```
/// use aqueduct_core::crypto::replay::{ReplayWindow, Seen};
/// use aqueduct_core::wire::id::PacketNumber;
///
/// let mut window = ReplayWindow::default();
/// assert_eq!(window.accept(PacketNumber(7)), Seen::New);
/// assert_eq!(window.accept(PacketNumber(7)), Seen::Before);
/// assert_eq!(window.accept(PacketNumber(2)), Seen::New);
/// assert_eq!(window.accept(PacketNumber(5_000)), Seen::New);
/// assert_eq!(window.accept(PacketNumber(3)), Seen::TooOld);
/// ```
#[derive(Clone, Debug)]
#[cfg_attr(any(test, feature = "fingerprint"), derive(Hash))]
pub struct ReplayWindow {
    /// Number `n` has bit `n % capacity`. Bits above `next` are zero.
    words: Vec<u64>,
    /// One more than the largest accepted.
    next: u64,
    /// The smallest that bits are known of.
    floor: u64,
}

/// What the window knows of a packet number.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Seen {
    /// Not accepted before; it is marked now.
    New,
    /// Accepted before.
    Before,
    /// Below the window: nobody knows. Also said of numbers above 2^62 - 1, which do not exist.
    TooOld,
}

impl ReplayWindow {
    /// Marks `number` if it is new.
    pub fn accept(&mut self, number: PacketNumber) -> Seen {
        let number = number.0;
        if number < self.floor || number > MAX_NUMBER {
            return Seen::TooOld;
        }
        if number > self.next {
            self.advance(number);
        }
        let (index, bit) = self.place(number);
        let Some(word) = self.words.get_mut(index) else { return Seen::TooOld };
        if number == self.next {
            // What the bit said was of a number that falls below the window now.
            *word |= bit;
            self.move_to(number + 1);
            return Seen::New;
        }
        if *word & bit != 0 {
            return Seen::Before;
        }
        *word |= bit;
        Seen::New
    }

    /// The number that the next packet would have if none were lost: one more than the largest
    /// accepted.
    pub const fn next_expected(&self) -> u64 {
        self.next
    }

    /// Packet numbers that the window covers.
    pub const fn capacity(&self) -> u64 {
        self.words.len() as u64 * 64
    }

    /// Makes the window cover at least `packets` numbers, rounded up to a power of two and at most
    /// [`MAX_PACKETS`]. It never shrinks. Numbers that had fallen below the window stay refused.
    pub fn grow_to(&mut self, packets: u64) {
        let wanted = packets.clamp(MIN_PACKETS, MAX_PACKETS).next_power_of_two();
        if wanted <= self.capacity() {
            return;
        }
        let mut grown = Self { words: blank(wanted), next: self.next, floor: self.floor };
        for number in self.floor..self.next {
            let (from, bit) = self.place(number);
            if self.words.get(from).is_some_and(|word| word & bit != 0) {
                let (to, bit) = grown.place(number);
                if let Some(word) = grown.words.get_mut(to) {
                    *word |= bit;
                }
            }
        }
        *self = grown;
    }

    /// Moves the window so that `number` is its largest; bits that come into it are cleared.
    fn advance(&mut self, number: u64) {
        let capacity = self.capacity();
        if number - self.next >= capacity {
            self.words.fill(0);
        } else {
            // Whole words at once: at most `capacity / 64` steps, one in steady state.
            let mut from = self.next;
            while from <= number {
                let (index, _) = self.place(from);
                let offset = from % 64;
                let count = (64 - offset).min(number - from + 1);
                let ones = if count == 64 { u64::MAX } else { (1 << count) - 1 };
                if let Some(word) = self.words.get_mut(index) {
                    *word &= !(ones << offset);
                }
                from += count;
            }
        }
        self.move_to(number + 1);
    }

    fn move_to(&mut self, next: u64) {
        self.next = next;
        self.floor = self.floor.max(next.saturating_sub(self.capacity()));
    }

    fn place(&self, number: u64) -> (usize, u64) {
        // The capacity is a power of two.
        let within = number & (self.capacity() - 1);
        ((within / 64) as usize, 1 << (within % 64))
    }
}

impl Default for ReplayWindow {
    /// Covers [`MIN_PACKETS`] and has seen nothing.
    fn default() -> Self {
        Self { words: blank(MIN_PACKETS), next: 0, floor: 0 }
    }
}

fn blank(packets: u64) -> Vec<u64> {
    vec![0; (packets / 64) as usize]
}

/// Every window covers this many packet numbers from the start (128 bytes).
pub const MIN_PACKETS: u64 = 1_024;

/// No window grows beyond this many packet numbers (16 KiB).
pub const MAX_PACKETS: u64 = 131_072;

/// The largest packet number there is (spec R-KEY-4).
pub const MAX_NUMBER: u64 = (1 << 62) - 1;

#[cfg(test)]
#[path = "replay_tests.rs"]
mod tests;
