//! What stays for legs that come later.

use core::ops::Range;
use core::time::Duration;

use crate::pipe::exercise::{PTO, Rig, SIZE};
use crate::pipe::{LegEnd, LegError, LegPolicy, PipeOptions};
use crate::wire::id::AppCode;

const ALL: Range<u64> = 0..u64::MAX;

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

/// What a slower leg still needs is of what is kept, and does not come to it.
///
/// spec: R-PIPE-23, R-PIPE-28
#[test]
fn what_stays_is_counted_from_the_leg_that_is_furthest() {
    for (keep, from) in [(0, 4000), (500, 4000), (1000, 4000), (2000, 3000), (9000, 0)] {
        let mut rig = keeping(keep);
        let slow = rig.add_leg(0..4000, LegPolicy::Stall).unwrap();
        rig.credit(slow, 1 << 20);
        let never = rig.add_leg(4000..u64::MAX, LegPolicy::Stall).unwrap();
        rig.arrive(0..5000, false);
        deliver_all(&mut rig, slow);
        assert_eq!(rig.pipe.held_from(), 0, "the others have nothing");
        deliver_all(&mut rig, 0);
        assert_eq!((rig.legs[never].acked(), rig.pipe.stats().acked), (4000, 4000));
        assert_eq!((rig.pipe.held_from(), rig.pipe.stats().held), (from, 5000 - from), "{keep}");
    }
}

/// spec: R-PIPE-28
#[test]
fn where_a_leg_begins_does_not_count_as_how_far_it_is() {
    let mut rig = keeping(500);
    let later = rig.add_leg(20_000..u64::MAX, LegPolicy::Stall).unwrap();
    rig.arrive(0..25_000, false);
    rig.packet(0, true);
    let acked = rig.legs[0].acked();
    assert!((1..20_000).contains(&acked), "{acked}");
    assert_eq!(rig.legs[later].acked(), 20_000);
    assert_eq!(rig.pipe.held_from(), acked.saturating_sub(500));
}

/// A pipe whose second leg was given up while its source sends, and where that leg was.
fn with_one_gone() -> (Rig, u64) {
    let mut rig = keeping(1 << 20);
    let slow = rig.add_leg(ALL, LegPolicy::Detach { allowance: 3000 }).unwrap();
    rig.arrive(0..9000, false);
    deliver_all(&mut rig, 0);
    rig.packet(slow, true);
    rig.wait(PTO * 2);
    let Some(LegEnd::Detached { at }) = rig.legs[slow].ended else { panic!("not given up") };
    (rig, at)
}

/// The same, when everything else was delivered.
fn with_one_missing() -> (Rig, u64) {
    let (mut rig, at) = with_one_gone();
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

/// A body that breaks off is nothing to come back for, whether or not its beginning is certain.
///
/// spec: R-PIPE-24
#[test]
fn nobody_is_waited_for_by_a_pipe_whose_source_broke_off() {
    for reliable in [0, 9000] {
        let (mut rig, _) = with_one_gone();
        rig.reset(reliable, 1);
        rig.drain();
        rig.check_legs();
        assert!(rig.pipe.is_over(), "{reliable}: until {:?}", rig.pipe.deadline());
        assert_eq!(rig.pipe.stats().held, 0);
    }
}

/// A node that has less for a source than its pipe would keep: the body goes through all the same,
/// byte by byte, and as much stays as there is room for.
///
/// spec: R-PIPE-23
#[test]
fn what_the_pool_does_not_lend_is_not_kept() {
    for (memory, keep) in [(1 << 15, 12_000), (1 << 15, 1 << 20), (1 << 16, 1 << 20)] {
        let mut rig =
            Rig::within(memory, PipeOptions { stock: 3000, keep, ..PipeOptions::default() });
        rig.add_leg(ALL, LegPolicy::Stall).unwrap();
        rig.credit(0, 1 << 20);
        let mut kept = 0;
        while rig.end() < SIZE {
            let before = rig.end();
            rig.arrive(before..before + 700, false);
            deliver_all(&mut rig, 0);
            assert!(rig.end() > before, "stands at {before} of {keep}: {:?}", rig.pipe.stats());
            kept = kept.max(rig.pipe.stats().held);
            rig.wait(PTO);
        }
        assert!(kept > 1000 && kept < keep, "{kept} of {keep}");
        assert!(kept < memory - 3000, "what flows goes before");
        rig.arrive(0..0, true);
        rig.drain();
        rig.check_legs();
        assert_eq!(rig.legs[0].size, Some(SIZE));
        assert!(rig.pipe.is_over());
    }
}

/// What the source's node takes back is found at once among what is kept: bytes, and what will
/// never come, which is charged alike.
///
/// spec: R-PIPE-23
#[test]
fn what_is_asked_back_is_no_longer_kept() {
    let comes: [fn(&mut Rig, Range<u64>); 2] =
        [|rig, range| rig.arrive(range, false), |rig, range| rig.skip(range)];
    for come in comes {
        let mut rig = keeping(12_000);
        for at in (0..16_000).step_by(500) {
            come(&mut rig, at..at + 500);
            deliver_all(&mut rig, 0);
        }
        assert_eq!(rig.pipe.stats().held_from, 4_000);
        rig.ask_back(u64::MAX);
        assert_eq!(rig.pipe.stats().held_from, 16_000);
    }
}

/// spec: R-PIPE-23
#[test]
fn a_window_that_grows_takes_the_room_of_what_is_kept() {
    let options = PipeOptions { stock: 3000, keep: 1 << 20, ..PipeOptions::default() };
    let mut rig = Rig::within(1 << 15, options);
    rig.add_leg(ALL, LegPolicy::Stall).unwrap();
    rig.credit(0, 1 << 20);
    let flow = |rig: &mut Rig, pause| {
        rig.arrive(rig.end()..rig.end() + 700, false);
        deliver_all(rig, 0);
        rig.wait(pause);
    };
    (0..20).for_each(|_| flow(&mut rig, PTO));
    let slow = rig.pipe.stats();
    while rig.pipe.stats().window == slow.window {
        flow(&mut rig, PTO / 30);
        assert!(rig.end() < SIZE, "it never grows");
    }
    let fast = rig.pipe.stats();
    assert!(fast.held < slow.held, "{} of {}", fast.held, slow.held);
}

/// Bytes that are kept in slivers are pieces like others: they go before what flows stops.
///
/// spec: R-PIPE-20 R-PIPE-23
#[test]
fn slivers_that_are_kept_do_not_stop_what_flows() {
    let mut rig = Rig::new(PipeOptions { stock: 8192, keep: 100_000, ..PipeOptions::default() });
    rig.add_leg(ALL, LegPolicy::Stall).unwrap();
    rig.credit(0, 1 << 20);
    for at in 0..3000 {
        rig.arrive_unseen(at..at + 1);
        rig.turn();
        deliver_all(&mut rig, 0);
    }
    assert_eq!(rig.pipe.stats().acked, 3000);
    let held = rig.pipe.stats().held;
    assert!((400..1000).contains(&held), "{held}");
}

/// Legs that have nothing to do with the one that was given up, before it comes back itself.
///
/// spec: R-PIPE-24
#[test]
fn only_who_goes_on_where_a_leg_ended_has_come_back() {
    let (mut rig, at) = with_one_missing();
    let others =
        [(0..u64::MAX, "it has these"), (at..at + 100, "not all"), (10_000..u64::MAX, "a gap")];
    for (range, why) in others {
        rig.add_leg(range.clone(), LegPolicy::Stall).unwrap();
        rig.drain();
        rig.check_legs();
        assert!(!rig.pipe.is_over(), "{range:?}: {why}");
    }
    // It was given more than it acknowledged, and may have got it.
    rig.add_leg(at + 500..12_000, LegPolicy::Stall).unwrap();
    assert!(!rig.pipe.is_over());
    rig.drain();
    rig.check_legs();
    assert!(rig.pipe.is_over());
}

/// spec: R-PIPE-24
#[test]
fn others_do_not_make_a_pipe_wait_longer_for_who_is_missing() {
    let (mut rig, _) = with_one_missing();
    for _ in 0..3 {
        rig.wait(Duration::from_secs(39));
        rig.add_leg(11_000..u64::MAX, LegPolicy::Stall).unwrap();
        rig.drain();
        assert!(!rig.pipe.is_over());
    }
    rig.wait(Duration::from_secs(4));
    assert!(rig.pipe.is_over());
    assert_eq!(rig.pipe.stats().held, 0);
}

/// spec: R-PIPE-17
#[test]
fn an_application_that_joins_late_has_the_whole_time() {
    let (mut rig, _) = with_one_missing();
    rig.wait(Duration::from_secs(119));
    rig.add_application(LegPolicy::Stall).unwrap();
    rig.wait(Duration::from_secs(118));
    assert!(!rig.pipe.is_over());
    rig.wait(Duration::from_secs(3));
    assert!(rig.pipe.is_over());
}

/// spec: R-PIPE-24
#[test]
fn nobody_is_waited_for_whose_bytes_are_gone() {
    let mut rig = keeping(2000);
    let slow = rig.add_leg(ALL, LegPolicy::Detach { allowance: 3000 }).unwrap();
    rig.arrive(0..9000, false);
    deliver_all(&mut rig, 0);
    rig.wait(PTO * 2);
    assert_eq!(rig.legs[slow].ended, Some(LegEnd::Detached { at: 0 }));
    rig.arrive(9000..20_000, true);
    rig.drain();
    assert!(rig.pipe.is_over(), "what follows 9,000 is not held any more");
}

/// A pipe whose first leg is there, and which waits for others.
fn gathering() -> Rig {
    let mut rig = Rig::new(PipeOptions::default());
    rig.pipe.gather(true, rig.now);
    rig.add_leg(ALL, LegPolicy::DETACH).unwrap();
    rig.credit(0, 1 << 20);
    rig
}

/// However long that takes, the others have all of it, and reordering costs nothing.
///
/// spec: R-PIPE-1 R-PIPE-27
#[test]
fn what_comes_is_held_until_all_legs_are_there() {
    let mut rig = gathering();
    rig.arrive_unseen(500..9000);
    rig.turn();
    rig.arrive_unseen(0..500);
    rig.turn();
    deliver_all(&mut rig, 0);
    assert_eq!((rig.pipe.stats().acked, rig.pipe.stats().held), (0, 9000));
    assert_eq!(rig.pipe.stats().most_waiting, 0);
    rig.wait(Duration::from_secs(300));
    let second = rig.add_leg(ALL, LegPolicy::DETACH).unwrap();
    rig.wait(Duration::from_secs(5));
    assert_eq!(rig.legs[second].ended, None, "nobody is slow yet");
    rig.pipe.gather(false, rig.now);
    rig.turn();
    assert_eq!(rig.pipe.stats().held, 9000);
    rig.arrive(9000..9000, true);
    rig.drain();
    rig.check_legs();
    assert!(rig.pipe.is_over());
    assert_eq!(rig.pipe.stats().held, 0);
}

/// spec: R-PIPE-27
#[test]
fn the_time_out_of_a_pipe_begins_when_all_are_there() {
    let mut rig = gathering();
    rig.wait(Duration::from_secs(300));
    rig.pipe.gather(false, rig.now);
    rig.turn();
    rig.wait(Duration::from_secs(119));
    assert!(rig.pipe.is_flowing());
    rig.wait(Duration::from_secs(2));
    assert!(!rig.pipe.is_flowing());
}

/// spec: R-PIPE-15 R-PIPE-27
#[test]
fn a_source_is_stopped_by_its_last_leg_once_no_other_comes() {
    let mut rig = gathering();
    rig.arrive_unseen(0..5000);
    rig.turn();
    rig.stop(0, 2);
    assert!(rig.pipe.is_flowing() && rig.pipe.stats().held == 5000, "another may come");
    rig.pipe.gather(false, rig.now);
    rig.pump();
    rig.drain();
    let stop = rig.stop.expect("nobody wants it");
    assert_eq!((stop.code, stop.hop), (AppCode(9), 3));
    assert_eq!(rig.pipe.stats().held, 0);
}

/// spec: R-PIPE-14 R-PIPE-27
#[test]
fn nobody_comes_to_a_source_that_is_lost() {
    let mut rig = gathering();
    rig.arrive_unseen(0..5000);
    rig.turn();
    rig.lose_source(true);
    rig.drain();
    rig.check_legs();
    assert!(rig.pipe.is_over());
    assert_eq!(rig.pipe.stats().held, 0);
}
