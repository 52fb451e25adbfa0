use super::{MAX_NUMBER, MAX_PACKETS, ReplayWindow, Seen};
use crate::wire::id::PacketNumber;

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
    assert_eq!(MAX_NUMBER, 4_611_686_018_427_387_903);
    let mut window = ReplayWindow::default();
    assert_eq!(window.accept(PacketNumber(MAX_NUMBER)), Seen::New);
    assert_eq!(window.accept(PacketNumber(MAX_NUMBER)), Seen::Before);
    assert_eq!(window.accept(PacketNumber(MAX_NUMBER + 1)), Seen::TooOld);
    assert_eq!(window.accept(PacketNumber(u64::MAX)), Seen::TooOld);
    assert_eq!(window.accept(PacketNumber(MAX_NUMBER - 1)), Seen::New);
}
