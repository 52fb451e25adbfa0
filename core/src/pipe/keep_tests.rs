//! What stays for legs that come later.

use core::time::Duration;

use crate::pipe::exercise::{PTO, Rig};
use crate::pipe::{LegEnd, LegError, LegPolicy, PipeOptions};

const ALL: core::ops::Range<u64> = 0..u64::MAX;

fn keeping(keep: u64) -> Rig {
    let mut rig = Rig::new(PipeOptions { keep, ..PipeOptions::default() });
    rig.add_leg(ALL, LegPolicy::Stall).unwrap();
    rig.credit(0, 1 << 20);
    rig
}

fn deliver_all(rig: &mut Rig, leg: usize) {
    while rig.packet(leg, true) {}
}

/// spec: R-PIPE-23
#[test]
fn the_last_bytes_stay_and_the_source_is_granted_as_many_more() {
    let (mut plain, mut rig) = (keeping(0), keeping(2000));
    for rig in [&mut plain, &mut rig] {
        rig.arrive(0..5000, false);
        deliver_all(rig, 0);
    }
    let (without, with) = (plain.pipe.stats(), rig.pipe.stats());
    assert_eq!((without.acked, without.held_from, without.held), (5000, 5000, 0));
    assert_eq!((with.acked, with.held_from, with.held), (5000, 3000, 2000));
    assert_eq!(with.window, without.window + 2000);
    let refused = rig.add_leg(2999..u64::MAX, LegPolicy::Stall);
    assert_eq!(refused, Err(LegError::NotHeld { wanted: 2999, held: 3000 }));
    let late = rig.add_leg(3000..4500, LegPolicy::Stall).unwrap();
    rig.arrive(5000..6000, true);
    rig.drain();
    rig.check_legs();
    assert_eq!(rig.legs[late].size, Some(4500));
    // Nobody is missing: it does not wait, and all credit goes back.
    assert!(rig.pipe.is_over());
    assert_eq!(rig.pipe.stats().held, 0);
}

/// A pipe whose second leg was given up, and which has delivered everything else.
fn with_one_missing() -> (Rig, u64) {
    let mut rig = keeping(1 << 20);
    let slow = rig.add_leg(ALL, LegPolicy::Detach { allowance: 3000 }).unwrap();
    rig.arrive(0..9000, false);
    deliver_all(&mut rig, 0);
    rig.packet(slow, true);
    rig.wait(PTO * 2);
    let Some(LegEnd::Detached { at }) = rig.legs[slow].ended else { panic!("not given up") };
    rig.arrive(9000..12_000, true);
    rig.drain();
    assert_eq!(rig.legs[0].ended, Some(LegEnd::Delivered));
    assert!(!rig.pipe.is_over());
    (rig, at)
}

/// spec: R-PIPE-24
#[test]
fn who_was_given_up_finishes_by_range() {
    let (mut rig, at) = with_one_missing();
    let again = rig.add_leg(at..u64::MAX, LegPolicy::DETACH).unwrap();
    rig.drain();
    rig.check_legs();
    assert_eq!(rig.legs[again].size, Some(12_000));
    assert!(rig.pipe.is_over());
    assert_eq!(rig.pipe.stats().held, 0);
}

/// spec: R-PIPE-24
#[test]
fn who_does_not_come_back_is_waited_for_no_longer_than_the_time_out() {
    let (mut rig, _) = with_one_missing();
    rig.wait(Duration::from_secs(119));
    assert!(!rig.pipe.is_over());
    rig.wait(Duration::from_secs(2));
    assert!(rig.pipe.is_over());
    assert_eq!(rig.pipe.stats().held, 0);
    rig.drain();
    assert_eq!(rig.stop, None, "its source has said everything");
}
