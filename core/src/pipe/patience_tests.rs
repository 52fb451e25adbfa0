//! Who is slow, and who only looks so.

use std::time::Duration;

use crate::pipe::exercise::{PTO, Rig};
use crate::pipe::{LegEnd, LegPolicy, PipeOptions};

fn deliver_all(rig: &mut Rig, leg: usize) {
    while rig.packet(leg, true) {}
}

/// Two legs of which one began above what the source has not sent yet: the other has all there is.
fn around_a_gap(behind: LegPolicy) -> Rig {
    let mut rig = Rig::new(PipeOptions::default());
    for (range, policy) in [(0..u64::MAX, behind), (200..u64::MAX, LegPolicy::Stall)] {
        let leg = rig.add_leg(range, policy).unwrap();
        rig.credit(leg, 1 << 20);
    }
    rig.arrive(0..100, false);
    rig.arrive(200..9000, false);
    deliver_all(&mut rig, 0);
    deliver_all(&mut rig, 1);
    assert_eq!((rig.legs[0].acked(), rig.legs[1].acked()), (100, 9000));
    rig.wait(Duration::from_secs(3));
    rig
}

/// spec: R-PIPE-10
#[test]
fn a_gap_of_the_source_is_held_against_nobody() {
    let mut rig = around_a_gap(LegPolicy::DETACH);
    assert_eq!(rig.legs[0].ended, None);
    rig.arrive(100..200, false);
    rig.wait(Duration::from_millis(900));
    assert_eq!(rig.legs[0].ended, None);
    rig.wait(Duration::from_millis(200));
    assert_eq!(rig.legs[0].ended, Some(LegEnd::Detached { at: 100 }));
}

/// spec: R-PIPE-9 R-PIPE-26
#[test]
fn nobody_lags_behind_what_lies_above_a_gap() {
    let mut rig = around_a_gap(LegPolicy::Detach { allowance: 1000 });
    assert_eq!(rig.legs[0].ended, None);
    rig.arrive(100..200, false);
    rig.wait(PTO / 2);
    assert_eq!(rig.legs[0].ended, None);
    rig.wait(PTO);
    assert_eq!(rig.legs[0].ended, Some(LegEnd::Detached { at: 100 }));
}
