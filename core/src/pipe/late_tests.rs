//! Legs that begin far behind.

use core::time::Duration;

use super::{Look, Start};
use crate::pipe::exercise::{PTO, Rig};
use crate::pipe::{LegEnd, LegPolicy, PipeOptions};
use crate::time::Instant;

const ALLOWANCE: u64 = 3000;

fn deliver_all(rig: &mut Rig, leg: usize) {
    while rig.packet(leg, true) {}
}

/// A pipe that has kept all it got, five times what the leg that comes now may be behind.
fn late() -> (Rig, usize) {
    let mut rig = Rig::new(PipeOptions { keep: 1 << 20, ..PipeOptions::default() });
    rig.add_leg(0..u64::MAX, LegPolicy::Stall).unwrap();
    rig.credit(0, 1 << 20);
    rig.arrive(0..5 * ALLOWANCE, false);
    deliver_all(&mut rig, 0);
    rig.wait(Duration::from_secs(10));
    let late = rig.add_leg(0..u64::MAX, LegPolicy::Detach { allowance: ALLOWANCE }).unwrap();
    rig.credit(late, 1 << 20);
    (rig, late)
}

fn more(rig: &mut Rig, bytes: u64) {
    rig.arrive(rig.end()..rig.end() + bytes, false);
    deliver_all(rig, 0);
}

/// It comes nearer while the source flows; once there it is judged like others.
///
/// spec: R-PIPE-9 R-PIPE-26
#[test]
fn a_late_leg_that_comes_nearer_has_the_time_it_needs() {
    let (mut rig, late) = late();
    while rig.legs[late].acked() + ALLOWANCE < rig.end() {
        assert_eq!(rig.legs[late].ended, None, "at {}", rig.legs[late].acked());
        rig.packet(late, true);
        more(&mut rig, 300);
        rig.wait(Duration::from_millis(700));
    }
    deliver_all(&mut rig, late);
    let at = rig.end();
    more(&mut rig, ALLOWANCE + 1);
    rig.wait(PTO * 2);
    assert_eq!(rig.legs[late].ended, Some(LegEnd::Detached { at }));
}

/// spec: R-PIPE-26
#[test]
fn a_late_leg_that_stands_still_is_given_up() {
    let (mut rig, late) = late();
    rig.wait(Duration::from_millis(900));
    assert_eq!(rig.legs[late].ended, None);
    rig.wait(Duration::from_millis(200));
    assert_eq!(rig.legs[late].ended, Some(LegEnd::Detached { at: 0 }));
}

/// A few bytes now and then would hold back the source for ever.
///
/// spec: R-PIPE-26
#[test]
fn a_late_leg_that_only_creeps_is_given_up() {
    let mut rig = Rig::new(PipeOptions { keep: 1 << 20, ..PipeOptions::default() });
    rig.add_leg(0..u64::MAX, LegPolicy::Stall).unwrap();
    rig.credit(0, 1 << 20);
    more(&mut rig, 5 * ALLOWANCE);
    let late = rig.add_leg(0..u64::MAX, LegPolicy::Detach { allowance: ALLOWANCE }).unwrap();
    let began = rig.now;
    while rig.legs[late].ended.is_none() {
        rig.packet(late, true);
        rig.wait(Duration::from_millis(300));
        rig.credit(late, 50);
    }
    let took = rig.now.saturating_since(began);
    assert!(took > Duration::from_secs(1) && took < Duration::from_secs(3), "{took:?}");
    assert!(rig.legs[late].acked() > 1000);
}

/// It may be as far behind as it was at best, and its allowance further.
///
/// spec: R-PIPE-26
#[test]
fn a_late_leg_that_falls_back_is_given_up() {
    let (mut rig, late) = late();
    more(&mut rig, ALLOWANCE);
    rig.wait(PTO * 2);
    assert_eq!(rig.legs[late].ended, None);
    more(&mut rig, 1);
    rig.wait(PTO * 2);
    assert_eq!(rig.legs[late].ended, Some(LegEnd::Detached { at: 0 }));
}

/// However steady, it does not hold back a source for ever.
///
/// spec: R-PIPE-26
#[test]
fn a_late_leg_has_sixty_four_spans_at_the_most() {
    let mut rig = Rig::new(PipeOptions { keep: 1 << 20, ..PipeOptions::default() });
    rig.add_leg(0..u64::MAX, LegPolicy::Stall).unwrap();
    rig.credit(0, 1 << 20);
    more(&mut rig, 4000);
    let late = rig.add_leg(0..u64::MAX, LegPolicy::Detach { allowance: 800 }).unwrap();
    rig.packet(late, true);
    let began = rig.now;
    // Always as far behind as at first.
    while rig.legs[late].ended.is_none() {
        rig.credit(late, 120);
        more(&mut rig, 120);
        assert!(rig.packet(late, true));
        rig.wait(Duration::from_millis(900));
    }
    let took = rig.now.saturating_since(began).as_secs();
    assert!((60..72).contains(&took), "{took} s");
}

/// As much in a span as it must be at least is enough.
///
/// spec: R-PIPE-26
#[test]
fn a_late_leg_has_to_come_an_eighth_of_its_allowance_further() {
    let (wait, far) = (Duration::from_secs(1), 2 * ALLOWANCE);
    let look = |acked| Look { acked, behind: far, below: far, allowance: ALLOWANCE, wait };
    for (acked, given_up) in [(ALLOWANCE / 8, false), (ALLOWANCE / 8 - 1, true)] {
        let mut start = Start::Fresh;
        assert!(!start.judge(&look(0), Instant::ZERO));
        assert_eq!(start.judge(&look(acked), Instant::ZERO + wait), given_up, "{acked}");
    }
}
