use std::collections::BTreeSet;
use std::vec::Vec;

use proptest::prelude::*;

use super::{MAX_NUMBER, MAX_PACKETS, MIN_PACKETS, ReplayWindow, Seen};
use crate::wire::id::PacketNumber;

/// The window as a plain set and two numbers.
#[derive(Clone, Debug, Default)]
struct Model {
    accepted: BTreeSet<u64>,
    capacity: u64,
    floor: u64,
}

impl Model {
    fn accept(&mut self, number: u64) -> Seen {
        if number < self.floor {
            return Seen::TooOld;
        }
        let new = self.accepted.insert(number);
        let end = self.accepted.last().map_or(0, |last| last + 1);
        self.floor = self.floor.max(end.saturating_sub(self.capacity));
        if new { Seen::New } else { Seen::Before }
    }

    fn grow_to(&mut self, packets: u64) {
        let wanted = packets.clamp(MIN_PACKETS, MAX_PACKETS).next_power_of_two();
        self.capacity = self.capacity.max(wanted);
    }
}

#[derive(Clone, Debug)]
enum Op {
    Near(i64),
    Ahead(u64),
    Burst(u64),
    Grow(u64),
}

fn op() -> impl Strategy<Value = Op> {
    prop_oneof![
        8 => (-3_000_i64..64).prop_map(Op::Near),
        2 => (0_u64..5_000).prop_map(Op::Ahead),
        1 => (0_u64..400_000).prop_map(Op::Ahead),
        2 => (1_u64..300).prop_map(Op::Burst),
        1 => (0_u64..20_000).prop_map(Op::Grow),
    ]
}

proptest! {
    /// spec: R-KEY-20 R-KEY-21 R-KEY-22 R-KEY-23
    #[test]
    fn agrees_with_a_set(
        start in prop_oneof![Just(0), 0_u64..100_000, Just(MAX_NUMBER - 900_000)],
        ops in proptest::collection::vec(op(), 1..300),
    ) {
        let mut window = ReplayWindow::default();
        let mut model = Model { capacity: MIN_PACKETS, ..Model::default() };
        let mut top = start;
        for op in ops {
            let numbers: Vec<u64> = match op {
                Op::Near(by) => std::vec![top.saturating_add_signed(by)],
                Op::Ahead(by) => std::vec![top.saturating_add(by)],
                Op::Burst(count) => (top..top + count).collect(),
                Op::Grow(packets) => {
                    window.grow_to(packets);
                    model.grow_to(packets);
                    prop_assert_eq!(window.capacity(), model.capacity);
                    continue;
                }
            };
            for number in numbers.into_iter().filter(|number| *number <= MAX_NUMBER) {
                prop_assert_eq!(window.accept(PacketNumber(number)), model.accept(number));
                top = top.max(number);
                let end = model.accepted.last().map_or(0, |last| last + 1);
                prop_assert_eq!(window.next_expected(), end);
            }
        }
    }
}

/// spec: R-KEY-21
#[test]
fn the_edge_of_the_window() {
    let mut window = ReplayWindow::default();
    assert_eq!(window.accept(PacketNumber(5_000)), Seen::New);
    assert_eq!(window.accept(PacketNumber(5_000 - 1_023)), Seen::New);
    assert_eq!(window.accept(PacketNumber(5_000 - 1_024)), Seen::TooOld);
    assert_eq!(window.accept(PacketNumber(5_001)), Seen::New);
    assert_eq!(window.accept(PacketNumber(5_000 - 1_023)), Seen::TooOld);
}

/// spec: R-KEY-22 R-KEY-23
#[test]
fn growth_keeps_what_was_seen_and_what_was_lost() {
    let mut window = ReplayWindow::default();
    for number in (0..4_000).filter(|number| number % 3 != 0) {
        assert_eq!(window.accept(PacketNumber(number)), Seen::New);
    }
    window.grow_to(1_025);
    assert_eq!(window.capacity(), 2_048);
    let floor = 3_999 - 1_023 - 1;
    assert_eq!(window.accept(PacketNumber(floor - 1)), Seen::TooOld);
    for number in floor..3_999 {
        let expected = if number % 3 == 0 { Seen::New } else { Seen::Before };
        assert_eq!(window.accept(PacketNumber(number)), expected, "{number}");
    }
    // What is accepted from now on is remembered for longer.
    assert_eq!(window.accept(PacketNumber(5_000)), Seen::New);
    assert_eq!(window.accept(PacketNumber(4_000)), Seen::New);
    window.grow_to(u64::MAX);
    assert_eq!(window.capacity(), MAX_PACKETS);
    window.grow_to(0);
    assert_eq!(window.capacity(), MAX_PACKETS);
}

/// spec: R-KEY-4
#[test]
fn numbers_end_at_two_to_the_62() {
    let mut window = ReplayWindow::default();
    assert_eq!(window.accept(PacketNumber(MAX_NUMBER)), Seen::New);
    assert_eq!(window.accept(PacketNumber(MAX_NUMBER)), Seen::Before);
    assert_eq!(window.accept(PacketNumber(MAX_NUMBER + 1)), Seen::TooOld);
    assert_eq!(window.accept(PacketNumber(u64::MAX)), Seen::TooOld);
    assert_eq!(window.accept(PacketNumber(MAX_NUMBER - 1)), Seen::New);
}
