//! What a source skips, and the application that reads along.

use crate::stream::ReadError;

use super::exercise::Rig;
use super::{LegEnd, LegPolicy, PipeOptions};

/// An application that has read and released ten bytes, behind which ten more will never come.
fn at_a_skip() -> Rig {
    let mut rig = Rig::new(PipeOptions::default());
    rig.add_application(LegPolicy::Stall).unwrap();
    rig.arrive(0..10, false);
    rig.read(usize::MAX);
    rig.release(10);
    assert_eq!(rig.pipe.stats().acked, 10);
    rig.skip(10..20);
    rig
}

/// Nothing of it is given to the application, so it need not release it; and it reads on behind.
///
/// spec: R-PIPE-6 R-STR-15
#[test]
fn what_is_skipped_behind_what_was_released_is_passed() {
    let mut rig = at_a_skip();
    assert_eq!((rig.pipe.stats().acked, rig.pipe.stats().held_from), (20, 20));
    assert_eq!(rig.pipe.read(9), Err(ReadError::Blocked));
    rig.arrive(20..30, false);
    assert!(rig.pipe.is_readable());
    assert_eq!(rig.pipe.read(9).unwrap().unwrap().range(), 20..29);
    assert_eq!(rig.pipe.read(9).unwrap().unwrap().range(), 29..30);
    rig.release(30);
    assert_eq!(rig.pipe.stats().held_from, 30);
}

/// The end is told, whatever was skipped before it.
///
/// spec: R-PIPE-6 R-STR-15
#[test]
fn an_end_behind_what_was_skipped_is_told() {
    let mut rig = at_a_skip();
    rig.arrive(20..20, true);
    assert_eq!((rig.pipe.read(9), rig.pipe.final_size()), (Ok(None), Some(20)));
    rig.pump();
    assert!(rig.pipe.is_over());

    let mut rig = at_a_skip();
    rig.reset(20, 0);
    assert!(matches!(rig.application_ended, Some(LegEnd::Reset { .. })));
    assert!(rig.pipe.is_over());
}
