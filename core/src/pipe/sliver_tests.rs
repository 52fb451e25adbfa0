//! A source that is cut finely, and how much of it a pipe holds.

use super::exercise::Rig;
use super::{LegPolicy, PipeOptions};

/// Single bytes of a source that came at these offsets, in this order, to a pipe with one leg.
fn slivers(offsets: impl IntoIterator<Item = u64>) -> Rig {
    let mut rig = Rig::new(PipeOptions { stock: 1 << 18, ..PipeOptions::default() });
    rig.add_leg(0..u64::MAX, LegPolicy::Stall).unwrap();
    offsets.into_iter().for_each(|at| come(&mut rig, at));
    rig
}

fn come(rig: &mut Rig, at: u64) {
    rig.arrive_unseen(at..at + 1);
    rig.turn();
}

/// However finely a source cuts its bytes, they stay where its credit covers them.
///
/// spec: R-PIPE-20
#[test]
fn slivers_stay_in_the_memory_of_the_source() {
    let mut rig = slivers(0..5000);
    assert_eq!(rig.pipe.stats().held, 1000);
    rig.drain();
    rig.check_legs();
    assert_eq!(rig.legs[0].acked(), 5000);
}

/// The byte that is missing below comes behind more slivers than are held.
///
/// spec: R-PIPE-20
#[test]
fn slivers_above_a_gap_do_not_keep_out_what_fills_it() {
    let mut rig = slivers((1..5000).chain([0]));
    assert_eq!(rig.pipe.stats().held, 1001, "no others came with it");
    rig.drain();
    rig.check_legs();
    assert_eq!(rig.legs[0].acked(), 5000);
}

/// Before each byte that fills a gap come as many slivers as are remembered one by one.
///
/// spec: R-PIPE-20
#[test]
fn what_fills_a_gap_takes_no_slivers_along() {
    let mut rig = slivers([1, 3, 5, 7].into_iter().chain((9..1005).rev()));
    for gap in [0, 2, 4, 6, 8] {
        let from = 2000 + 300 * gap;
        (from..from + 256).rev().for_each(|at| come(&mut rig, at));
        come(&mut rig, gap);
        rig.drain();
        assert_eq!(rig.legs[0].acked(), if gap == 8 { 1005 } else { gap + 2 });
    }
    rig.check_legs();
}

/// What fills the lowest gap is taken beyond the others, but no more of it than was said, until it
/// is acknowledged.
///
/// spec: R-PIPE-20
#[test]
fn slivers_that_fill_a_gap_are_bounded_too() {
    let mut rig = slivers((4000..5000).chain(0..4000));
    let most = 2 * 1000 + (1 << 18) / 1024;
    assert_eq!(rig.pipe.stats().held, most);
    rig.drain();
    rig.check_legs();
    assert_eq!(rig.legs[0].acked(), 5000);
}

/// What will never come counts like a piece.
///
/// spec: R-PIPE-20
#[test]
fn skips_between_slivers_stay_in_the_memory_of_the_source() {
    let mut rig = slivers([]);
    for at in (0..900).map(|nth| 2 * nth) {
        come(&mut rig, at);
        rig.skip_unseen(at + 1..at + 2);
        rig.turn();
    }
    assert_eq!(rig.pipe.stats().held, 500);
    rig.drain();
    rig.check_legs();
    assert_eq!(rig.legs[0].acked(), 1800);
}

/// All that came in a row counts, in however many pieces, and wherever it lay.
///
/// spec: R-PIPE-14
#[test]
fn slivers_in_the_memory_of_a_source_that_is_lost_go_on() {
    let mut rig = slivers(0..5000);
    assert_eq!(rig.pipe.stats().held, 1000);
    rig.lose_source(true);
    assert_eq!(rig.pipe.stats().held, 5000);
    rig.drain();
    rig.check_legs();
    assert_eq!(rig.legs[0].reset.unwrap().reliable_size, 5000);
    assert_eq!(rig.legs[0].acked(), 5000);
}
