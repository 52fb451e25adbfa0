//! The replay window beside a plain set and two numbers.

use alloc::collections::BTreeSet;

use arbitrary::Arbitrary;

use crate::crypto::replay::{MAX_NUMBER, MAX_PACKETS, MIN_PACKETS, ReplayWindow, Seen};
use crate::wire::id::PacketNumber;

/// Numbers that all bursts of a script may have together; the set is slow.
const MAX_BURSTS: u64 = 20_000;

/// One thing that happens.
#[derive(Arbitrary, Clone, Copy, Debug, PartialEq, Eq)]
pub enum Op {
    /// A packet whose number is this far from the largest so far.
    Near(i16),
    /// A packet this far ahead.
    Ahead(u32),
    /// So many packets in a row, from the largest on.
    Burst(u8),
    /// A packet of any number.
    Any(u64),
    /// The window is to cover so many numbers.
    Grow(u32),
}

#[derive(Clone, Debug)]
struct Model {
    accepted: BTreeSet<u64>,
    capacity: u64,
    floor: u64,
}

impl Model {
    fn accept(&mut self, number: u64) -> Seen {
        if number < self.floor || number > MAX_NUMBER {
            return Seen::TooOld;
        }
        let new = self.accepted.insert(number);
        self.floor = self.floor.max(self.end().saturating_sub(self.capacity));
        if new { Seen::New } else { Seen::Before }
    }

    fn end(&self) -> u64 {
        self.accepted.last().map_or(0, |last| last + 1)
    }

    fn grow_to(&mut self, packets: u64) {
        let wanted = packets.clamp(MIN_PACKETS, MAX_PACKETS).next_power_of_two();
        self.capacity = self.capacity.max(wanted);
    }
}

/// Does all of it to both.
///
/// # Panics
///
/// If the window and the model differ.
pub fn run(ops: &[Op]) {
    let mut window = ReplayWindow::default();
    let mut model = Model { accepted: BTreeSet::new(), capacity: MIN_PACKETS, floor: 0 };
    let mut left = MAX_BURSTS;
    for op in ops {
        let top = model.end().saturating_sub(1);
        let numbers = match *op {
            Op::Near(by) => one(top.saturating_add_signed(by.into())),
            Op::Ahead(by) => one(top.saturating_add(by.into())),
            Op::Burst(count) => top..top.saturating_add(u64::from(count).min(left)),
            Op::Any(number) => one(number.min(u64::MAX - 1)),
            Op::Grow(packets) => {
                window.grow_to(packets.into());
                model.grow_to(packets.into());
                0..0
            }
        };
        left = left.saturating_sub(numbers.end - numbers.start);
        for number in numbers {
            assert_eq!(window.accept(PacketNumber(number)), model.accept(number), "{number}");
        }
        assert_eq!(window.next_expected(), model.end());
        assert_eq!(window.capacity(), model.capacity);
    }
}

const fn one(number: u64) -> core::ops::Range<u64> {
    number..number + 1
}
