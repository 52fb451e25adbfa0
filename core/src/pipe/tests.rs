//! The rules of a pipe one by one, then all of them against a model.

use std::time::Duration;
use std::vec;

use proptest::prelude::*;

use super::exercise::{self, PTO, PipeOp, Rig};
use super::{LegEnd, LegError, LegPolicy, PipeOptions};
use crate::error::StreamCode;
use crate::wire::id::AppCode;

#[path = "parts_tests.rs"]
mod parts;

const ALL: core::ops::Range<u64> = 0..u64::MAX;

fn rig() -> Rig {
    Rig::new(PipeOptions::default())
}

/// A rig with so many legs that stall and have all the credit they want.
fn with_legs(count: usize) -> Rig {
    let mut rig = rig();
    for leg in 0..count {
        rig.add_leg(ALL, LegPolicy::Stall).unwrap();
        rig.credit(leg, 1 << 20);
    }
    rig
}

fn deliver_all(rig: &mut Rig, leg: usize) {
    while rig.packet(leg, true) {}
}

/// spec: R-PIPE-1
#[test]
fn what_lies_past_a_gap_goes_out_first_if_it_came_first() {
    let mut rig = with_legs(1);
    rig.arrive(500..600, false);
    rig.packet(0, true);
    assert_eq!((rig.legs[0].acked(), rig.pipe.stats().held), (0, 100));
    assert_eq!(rig.pipe.stats().most_waiting, 0, "reordering holds nothing back");
    assert!(rig.pipe.stats().first_byte.is_some());
    rig.arrive(0..500, true);
    rig.arrive(0..600, false);
    deliver_all(&mut rig, 0);
    assert_eq!((rig.legs[0].acked(), rig.pipe.stats().held), (600, 0));
}

/// spec: R-PIPE-2
#[test]
fn legs_share_one_copy_and_their_send_buffers_have_no_say() {
    let mut rig = with_legs(5);
    rig.arrive(0..20_000, false);
    assert_eq!(rig.pipe.stats().held, 20_000);
    assert_eq!(rig.pipe.stats().waiting, 0);
    rig.drain();
    rig.check_legs();
}

/// spec: R-PIPE-3
#[test]
fn skip_and_fin_cross() {
    let mut rig = with_legs(1);
    rig.skip(100..300);
    rig.arrive(0..100, false);
    rig.arrive(300..400, true);
    deliver_all(&mut rig, 0);
    assert_eq!((rig.legs[0].acked(), rig.legs[0].size), (400, Some(400)));
    assert_eq!(rig.legs[0].ended, Some(LegEnd::Delivered));
    rig.check_legs();
    assert!(rig.pipe.is_over());
}

/// spec: R-PIPE-5
#[test]
fn a_leg_may_want_a_part() {
    let mut rig = with_legs(1);
    let part = rig.add_leg(200..500, LegPolicy::Stall).unwrap();
    rig.arrive(0..700, false);
    deliver_all(&mut rig, part);
    assert_eq!(rig.legs[part].size, Some(500));
    assert_eq!(rig.legs[part].ended, Some(LegEnd::Delivered));
    assert_eq!(rig.pipe.stats().held, 700, "the other leg has nothing yet");
}

/// spec: R-PIPE-5
#[test]
fn nothing_is_kept_for_a_part_that_was_passed_on() {
    let mut rig = with_legs(1);
    rig.add_leg(0..50, LegPolicy::Stall).unwrap();
    for _ in 0..20 {
        rig.arrive(rig.end()..rig.end() + 100, false);
        assert_eq!(rig.pipe.stats().waiting, 0);
    }
}

/// spec: R-PIPE-5
#[test]
fn a_part_beyond_the_body_is_an_invalid_range() {
    let mut rig = with_legs(1);
    let part = rig.add_leg(900..1000, LegPolicy::Stall).unwrap();
    rig.arrive(0..700, true);
    rig.drain();
    assert_eq!(rig.legs[part].size, None);
    assert_eq!(rig.legs[part].reset.unwrap().code, StreamCode::InvalidRange.app());
    assert_eq!(rig.legs[0].ended, Some(LegEnd::Delivered));
}

/// spec: R-PIPE-6
#[test]
fn credit_goes_back_by_what_the_slowest_acknowledged() {
    let mut rig = with_legs(2);
    rig.add_application(LegPolicy::Stall).unwrap();
    rig.arrive(0..2000, false);
    deliver_all(&mut rig, 0);
    assert_eq!(rig.pipe.stats().acked, 0);
    deliver_all(&mut rig, 1);
    assert_eq!(rig.pipe.stats().acked, 0);
    rig.read(usize::MAX);
    assert!(rig.read > 0);
    assert_eq!(rig.pipe.stats().acked, 0, "read is not released");
    rig.release(rig.read);
    assert_eq!(rig.pipe.stats().acked, rig.read);
    assert_eq!(rig.add_application(LegPolicy::Stall), Err(LegError::Twice));
}

/// Of an empty body there is nothing to release.
///
/// spec: R-PIPE-6
#[test]
fn the_application_is_a_leg_until_it_has_read_the_end() {
    let mut rig = Rig::new(PipeOptions::default());
    rig.add_application(LegPolicy::Stall).unwrap();
    rig.arrive(0..0, true);
    rig.wait(Duration::from_secs(1));
    assert_eq!(rig.application_ended, None);
    let late = rig.add_leg(ALL, LegPolicy::Stall).expect("a pipe that lives");
    deliver_all(&mut rig, late);
    assert_eq!(rig.legs[late].ended, Some(LegEnd::Delivered));
    assert_eq!(rig.pipe.read(1), Ok(None));
    rig.pump();
    assert_eq!(rig.application_ended, Some(LegEnd::Delivered));
}

/// spec: R-PIPE-7, R-PIPE-8
#[test]
fn the_window_grows_while_no_leg_lacks_credit() {
    let options = PipeOptions { stock: 8192, ..PipeOptions::default() };
    let mut rig = Rig::new(options);
    rig.add_leg(ALL, LegPolicy::Stall).unwrap();
    let flow = |rig: &mut Rig| {
        for _ in 0..20 {
            rig.arrive(rig.end()..rig.end() + 400, false);
            rig.packet(0, true);
            rig.wait(Duration::from_millis(5));
        }
    };
    flow(&mut rig);
    assert_eq!(rig.pipe.stats().window, 8192, "a leg without credit");
    rig.credit(0, 1 << 20);
    deliver_all(&mut rig, 0);
    // 8 KiB in a round trip of 20 ms: a quarter more keeps the way full.
    for _ in 0..3 {
        rig.arrive(rig.end()..rig.end() + 8192, false);
        deliver_all(&mut rig, 0);
        rig.wait(Duration::from_millis(21));
        rig.pump();
    }
    let grown = rig.pipe.stats().window;
    assert!(grown > 8192, "{grown}");
    rig.wait(Duration::from_secs(10));
    rig.pump();
    assert_eq!(rig.pipe.stats().window, grown, "it never shrinks");
}

/// An application that reads here is ahead of every link, which says nothing of the links.
///
/// spec: R-PIPE-9
#[test]
fn no_leg_is_slow_beside_the_application() {
    let mut rig = Rig::new(PipeOptions { stock: 8192, ..PipeOptions::default() });
    rig.add_application(LegPolicy::DETACH).unwrap();
    let leg = rig.add_leg(ALL, LegPolicy::DETACH).unwrap();
    rig.credit(leg, 1 << 20);
    rig.arrive(0..8000, false);
    rig.packet(leg, true);
    rig.read(usize::MAX);
    while rig.read < 8000 {
        rig.read(usize::MAX);
    }
    rig.release(8000);
    rig.wait(PTO * 4);
    assert_eq!(rig.legs[leg].ended, None);
    assert_eq!(rig.pipe.stats().detached, 0);
    // One that moves no more at all is given up all the same.
    rig.wait(Duration::from_secs(2));
    assert!(matches!(rig.legs[leg].ended, Some(LegEnd::Detached { .. })));
}

/// spec: R-PIPE-9, R-PIPE-11
#[test]
fn a_leg_that_lags_is_given_up_after_a_pto() {
    let mut rig = with_legs(1);
    let slow = rig.add_leg(ALL, LegPolicy::Detach { allowance: 3000 }).unwrap();
    let stalls = rig.add_leg(ALL, LegPolicy::Stall).unwrap();
    rig.arrive(0..1000, false);
    rig.packet(slow, true);
    let acked = rig.legs[slow].acked();
    rig.arrive(1000..9000, false);
    deliver_all(&mut rig, 0);
    rig.wait(PTO / 2);
    assert_eq!(rig.legs[slow].ended, None);
    rig.wait(PTO);
    assert_eq!(rig.legs[slow].ended, Some(LegEnd::Detached { at: acked }));
    assert_eq!(rig.legs[stalls].ended, None, "it may lag as long as it likes");
    rig.drain();
    let reset = rig.legs[slow].reset.unwrap();
    assert_eq!(reset.code, StreamCode::Detached.app());
    assert_eq!((reset.hop, reset.reliable_size), (0, acked));
    rig.check_legs();
    assert_eq!(rig.pipe.stats().detached, 1);
}

/// spec: R-PIPE-9
#[test]
fn where_a_leg_begins_makes_nobody_slow() {
    let mut rig = rig();
    let whole = rig.add_leg(ALL, LegPolicy::Detach { allowance: 10 }).unwrap();
    rig.add_leg(20_000..u64::MAX, LegPolicy::Stall).unwrap();
    rig.arrive(0..100, false);
    rig.wait(PTO * 2);
    assert_eq!(rig.legs[whole].ended, None);
}

/// spec: R-PIPE-10
#[test]
fn a_leg_that_alone_holds_back_credit_is_given_up() {
    let mut rig = with_legs(1);
    let slow = rig.add_leg(ALL, LegPolicy::DETACH).unwrap();
    rig.arrive(0..100, false);
    deliver_all(&mut rig, 0);
    rig.wait(Duration::from_millis(900));
    assert_eq!(rig.legs[slow].ended, None);
    rig.wait(Duration::from_millis(200));
    assert_eq!(rig.legs[slow].ended, Some(LegEnd::Detached { at: 0 }));
    assert_eq!(rig.pipe.stats().held, 0);
}

/// spec: R-PIPE-10
#[test]
fn one_leg_alone_is_never_too_slow() {
    let mut rig = rig();
    rig.add_leg(ALL, LegPolicy::DETACH).unwrap();
    rig.arrive(0..5000, false);
    rig.wait(Duration::from_secs(100));
    assert_eq!(rig.legs[0].ended, None);
}

/// A part that was passed on whole is held for its leg like all else.
///
/// spec: R-PIPE-10
#[test]
fn a_leg_with_its_end_on_the_way_is_given_up_like_others() {
    let mut rig = with_legs(1);
    let part = rig.add_leg(0..50, LegPolicy::DETACH).unwrap();
    rig.arrive(0..100, false);
    deliver_all(&mut rig, 0);
    rig.wait(Duration::from_secs(2));
    assert_eq!(rig.legs[part].ended, Some(LegEnd::Detached { at: 0 }));
    assert_eq!(rig.pipe.stats().held, 0);
}

/// spec: R-PIPE-9
#[test]
fn who_is_slow_behind_the_end_of_the_source_gets_the_rest() {
    let mut rig = with_legs(1);
    let slow = rig.add_leg(ALL, LegPolicy::Detach { allowance: 100 }).unwrap();
    rig.arrive(0..5000, true);
    deliver_all(&mut rig, 0);
    rig.wait(Duration::from_secs(60));
    assert_eq!(rig.legs[slow].ended, None);
    rig.drain();
    assert_eq!(rig.legs[slow].ended, Some(LegEnd::Delivered));
}

/// spec: R-PIPE-12
#[test]
fn a_late_leg_gets_all_that_is_held() {
    let mut rig = with_legs(1);
    rig.skip(1500..1600);
    rig.arrive(0..1000, false);
    rig.arrive(3000..4000, false);
    while rig.legs[0].acked() < 1000 {
        rig.packet(0, true);
    }
    let held = rig.pipe.held_from();
    assert_eq!(held, 1000);
    let refused = rig.add_leg(held - 1..u64::MAX, LegPolicy::Stall);
    assert_eq!(refused, Err(LegError::NotHeld { wanted: held - 1, held }));
    rig.add_leg(held..u64::MAX, LegPolicy::Stall).unwrap();
    rig.arrive(1000..3000, true);
    rig.drain();
    rig.check_legs();
    assert!(rig.legs.iter().all(|leg| leg.size == Some(4000)));
}

/// Also what came in the same turn as the RESET.
///
/// spec: R-PIPE-13, R-PIPE-18
#[test]
fn a_reset_crosses_behind_what_it_promised() {
    for (hop, crossed) in [(3, 4), (254, 255), (255, 255), (1 << 40, 255)] {
        let mut rig = with_legs(1);
        rig.arrive_unseen(0..3000);
        rig.reset(2000, hop);
        rig.drain();
        let reset = rig.legs[0].reset.unwrap();
        assert_eq!((reset.code, reset.hop, reset.reliable_size), (AppCode(7), crossed, 2000));
        assert!(rig.legs[0].acked() >= 2000);
        assert_eq!(rig.legs[0].ended, Some(LegEnd::Reset { code: AppCode(7), hop: crossed }));
        assert!(rig.pipe.is_over());
    }
}

/// spec: R-PIPE-14
#[test]
fn a_lost_source_leaves_what_it_said() {
    for keep in [true, false] {
        let mut rig = with_legs(1);
        rig.arrive(0..3000, false);
        rig.arrive(5000..6000, false);
        rig.packet(0, true);
        let acked = rig.legs[0].acked();
        rig.lose_source(keep);
        assert!(keep || rig.pipe.stats().held == 0, "nothing covers what is held");
        rig.drain();
        let reset = rig.legs[0].reset.unwrap();
        assert_eq!((reset.code, reset.hop), (StreamCode::ConnectionLost.app(), 0));
        assert_eq!(reset.reliable_size, if keep { 3000 } else { acked });
        rig.check_legs();
    }
}

/// spec: R-PIPE-14
#[test]
fn a_finished_source_that_is_lost_is_held_or_dropped() {
    for keep in [true, false] {
        let mut rig = with_legs(1);
        rig.arrive(0..3000, true);
        rig.lose_source(keep);
        assert_eq!(rig.pipe.stats().held, if keep { 3000 } else { 0 });
        rig.drain();
        assert_eq!(rig.legs[0].size, keep.then_some(3000));
        assert_eq!(rig.legs[0].reset.is_some(), !keep);
    }
}

/// spec: R-PIPE-15, R-PIPE-18
#[test]
fn the_stop_of_the_last_leg_crosses() {
    let mut rig = with_legs(3);
    rig.arrive(0..1000, false);
    rig.stop(1, 0);
    rig.lose_leg(2);
    rig.drain();
    assert_eq!(rig.stop, None);
    assert_eq!(rig.legs[1].ended, Some(LegEnd::Stopped { code: AppCode(9), hop: 0 }));
    rig.stop(0, 255);
    rig.drain();
    let stop = rig.stop.unwrap();
    assert_eq!((stop.code, stop.hop), (AppCode(9), 255));
    assert!(rig.pipe.is_over());
    assert_eq!(rig.pipe.stats().held, 0);
}

/// spec: R-PIPE-15
#[test]
fn the_loss_of_the_last_leg_is_a_stop() {
    let mut rig = with_legs(1);
    rig.arrive(0..1000, false);
    rig.lose_leg(0);
    rig.drain();
    let stop = rig.stop.unwrap();
    assert_eq!((stop.code, stop.hop), (StreamCode::ConnectionLost.app(), 0));
}

/// Nothing that happens may end it: a source in silence, a leg without credit, a leg behind a
/// finished source, a leg behind a lost one.
///
/// spec: R-PIPE-17
#[test]
fn a_pipe_without_progress_ends() {
    type Before = fn(&mut Rig);
    let befores: [(Before, u64, bool); 4] = [
        (|rig| rig.arrive(0..500, false), 500, true),
        (|rig| rig.arrive(0..5000, false), 1000, true),
        (|rig| rig.arrive(0..5000, true), 1000, false),
        (
            |rig| {
                rig.arrive(0..5000, false);
                rig.lose_source(true);
            },
            1000,
            false,
        ),
    ];
    for (before, acked, stops) in befores {
        let mut rig = rig();
        rig.add_leg(ALL, LegPolicy::Stall).unwrap();
        before(&mut rig);
        deliver_all(&mut rig, 0);
        assert_eq!(rig.legs[0].acked(), acked);
        rig.wait(Duration::from_secs(119));
        assert!(rig.legs[0].reset.is_none() && !rig.pipe.is_over());
        rig.wait(Duration::from_secs(2));
        assert_eq!(rig.pipe.stats().held, 0, "nothing is held any more");
        rig.drain();
        assert!(rig.pipe.is_over());
        assert_eq!(rig.legs[0].acked(), acked);
        let code = rig.legs[0].reset.unwrap().code;
        let lost = StreamCode::ConnectionLost.app();
        assert!(code == StreamCode::Timeout.app() || !stops && code == lost, "{code:?}");
        assert_eq!(rig.stop.map(|stop| stop.code), stops.then_some(StreamCode::Timeout.app()));
    }
}

/// To look at a leg again is no progress, though it has acknowledged something before.
///
/// spec: R-PIPE-17
#[test]
fn looking_makes_a_pipe_wait_no_longer() {
    let mut rig = with_legs(1);
    rig.arrive(0..500, false);
    deliver_all(&mut rig, 0);
    rig.wait(Duration::from_secs(60));
    rig.pump();
    rig.wait(Duration::from_secs(59));
    assert!(rig.legs[0].reset.is_none() && rig.pipe.is_flowing());
    rig.wait(Duration::from_secs(2));
    assert!(!rig.pipe.is_flowing());
}

/// spec: R-PIPE-19
#[test]
fn codes_of_the_protocol_lie_above_those_of_applications() {
    let codes = [
        (1, StreamCode::Timeout),
        (2, StreamCode::BufferOverflow),
        (3, StreamCode::InvalidRange),
        (4, StreamCode::ConnectionLost),
        (5, StreamCode::VerificationFailed),
        (6, StreamCode::Refused),
        (7, StreamCode::Cancelled),
        (8, StreamCode::Detached),
        (9, StreamCode::HopLimit),
        (10, StreamCode::Unreachable),
    ];
    for (number, code) in codes {
        assert_eq!(code.app(), AppCode((1 << 61) + number));
    }
}

/// What is read in order is reassembled, and that is said.
///
/// spec: R-PIPE-1
#[test]
fn an_application_waits_for_what_a_leg_does_not_wait_for() {
    let mut rig = with_legs(1);
    rig.arrive(500..600, false);
    rig.arrive(700..900, false);
    assert_eq!((rig.pipe.stats().waiting, rig.pipe.stats().most_waiting), (0, 0));
    rig.add_application(LegPolicy::Stall).unwrap();
    assert_eq!(rig.pipe.stats().waiting, 300, "above two gaps");
    rig.arrive(0..500, false);
    assert_eq!(rig.pipe.stats().waiting, 200);
    rig.arrive(600..700, true);
    assert_eq!((rig.pipe.stats().waiting, rig.pipe.stats().most_waiting), (0, 300));
    rig.drain();
    rig.check_legs();
    assert_eq!(rig.read, 900);
}

/// A leg that begins above a gap has let go of what lies below: nothing waits for who joins there.
///
/// spec: R-PIPE-1 R-PIPE-5
#[test]
fn for_an_application_that_joins_above_a_gap_nothing_waits_below() {
    let mut rig = rig();
    rig.add_leg(500..u64::MAX, LegPolicy::Stall).unwrap();
    rig.credit(0, 1 << 20);
    rig.arrive(500..600, false);
    deliver_all(&mut rig, 0);
    rig.add_application(LegPolicy::Stall).unwrap();
    rig.arrive(600..700, false);
    assert_eq!(rig.pipe.stats().waiting, 0);
    rig.arrive(800..900, false);
    assert_eq!(rig.pipe.stats().waiting, 100);
}

/// spec: R-PIPE-10
#[test]
fn a_pause_of_the_source_is_held_against_nobody() {
    let mut rig = with_legs(1);
    let last = rig.add_leg(ALL, LegPolicy::DETACH).unwrap();
    rig.credit(last, 1 << 20);
    rig.arrive(0..100, false);
    deliver_all(&mut rig, 0);
    deliver_all(&mut rig, last);
    rig.wait(Duration::from_secs(10));
    rig.arrive(100..200, false);
    deliver_all(&mut rig, 0);
    rig.wait(Duration::from_millis(900));
    assert_eq!(rig.legs[last].ended, None);
    rig.wait(Duration::from_millis(200));
    assert_eq!(rig.legs[last].ended, Some(LegEnd::Detached { at: 100 }));
}

/// spec: R-PIPE-11
#[test]
fn what_is_cancelled_is_let_go_at_once() {
    let mut rig = with_legs(2);
    rig.arrive(0..3000, true);
    rig.pipe.cancel(AppCode(5));
    rig.pump();
    assert_eq!(rig.pipe.stats().held, 0);
    rig.drain();
    assert!(rig.pipe.is_over());
    assert!(rig.legs.iter().all(|leg| leg.reset.is_some_and(|reset| reset.code == AppCode(5))));
}

fn op() -> impl Strategy<Value = PipeOp> {
    let leg = any::<u8>;
    prop_oneof![
        8 => (any::<u16>(), 1..=255u8).prop_map(|(offset, len)| PipeOp::Arrive { offset, len }),
        8 => (1..3000u16).prop_map(|len| PipeOp::Append { len }),
        3 => (any::<u16>(), 1..=255u8).prop_map(|(offset, len)| PipeOp::Skip { offset, len }),
        12 => (leg(), 1..16u8).prop_map(|(leg, packets)| PipeOp::Deliver { leg, packets }),
        3 => leg().prop_map(|leg| PipeOp::Lose { leg }),
        6 => (leg(), any::<u16>()).prop_map(|(leg, more)| PipeOp::Credit { leg, more }),
        4 => (1..4000u16).prop_map(|max| PipeOp::Read { max }),
        4 => (0..500u16).prop_map(|back| PipeOp::Release { back }),
        3 => (0..400u16).prop_map(|ms| PipeOp::Wait { ms }),
        2 => (any::<u16>(), any::<Option<u16>>(), any::<bool>())
            .prop_map(|(start, end, detaches)| PipeOp::AddLeg { start, end, detaches }),
        1 => any::<bool>().prop_map(|detaches| PipeOp::AddApplication { detaches }),
        1 => (leg(), any::<u8>()).prop_map(|(leg, hop)| PipeOp::Stop { leg, hop }),
        1 => leg().prop_map(|leg| PipeOp::LoseLeg { leg }),
        1 => prop_oneof![
            5 => Just(PipeOp::Finish),
            2 => any::<u16>().prop_map(|reliable| PipeOp::Reset { reliable }),
            2 => any::<bool>().prop_map(|keep| PipeOp::LoseSource { keep }),
            1 => Just(PipeOp::Cancel),
        ],
    ]
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(300))]

    /// spec: R-PIPE-1, R-PIPE-2, R-PIPE-3, R-PIPE-5, R-PIPE-6, R-PIPE-12, R-PIPE-23
    #[test]
    fn a_pipe_is_its_model(
        ops in prop::collection::vec(op(), 1..120),
        stock in prop_oneof![Just(2000), Just(8192), Just(1 << 20)],
        keep in prop_oneof![Just(0), Just(700), Just(1 << 20)],
    ) {
        exercise::pipe(&ops, stock, keep);
    }
}
