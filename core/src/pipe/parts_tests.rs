//! The parts of a pipe that stand by themselves.

use core::ops::Range;
use std::time::Duration;
use std::vec::Vec;

use bytes::Bytes;

use crate::error::StreamCode;
use crate::pipe::exercise::{PTO, Rig};
use crate::pipe::leg::Leg;
use crate::pipe::missing::Missing;
use crate::pipe::spans::Spans;
use crate::pipe::store::Store;
use crate::pipe::toll::Toll;
use crate::pipe::window::WindowRule;
use crate::pipe::{EndedLeg, Item, LegEnd, LegError, LegPolicy, Pipe, PipeOptions};
use crate::stream::{Chunk, ReadError};
use crate::time::Instant;
use crate::wire::id::AppCode;

fn at(ms: u64) -> Instant {
    Instant::from_nanos(ms * 1_000_000)
}

fn ms(ms: u64) -> Duration {
    Duration::from_millis(ms)
}

fn spans(ranges: &[Range<u64>]) -> Spans {
    let mut spans = Spans::default();
    for range in ranges {
        spans.insert(range.clone());
    }
    spans
}

fn listed(spans: &Spans) -> Vec<Range<u64>> {
    spans.iter().collect()
}

#[test]
fn ranges_that_touch_become_one() {
    let mut s = spans(&[10..20, 30..40]);
    assert_eq!(s.insert(5..5), 0, "nothing");
    assert_eq!(s.insert(50..60), 0);
    assert_eq!(listed(&s), [10..20, 30..40, 50..60]);
    assert_eq!(s.insert(20..30), 2, "touching both");
    assert_eq!(listed(&s), [10..40, 50..60]);
    assert_eq!(s.insert(45..55), 1, "over the start of one");
    assert_eq!(s.insert(5..12), 1);
    assert_eq!(s.insert(6..7), 1, "inside of one");
    assert_eq!(listed(&s), [5..40, 45..60]);
    assert_eq!(s.insert(0..100), 2, "around all");
    assert_eq!((s.iter().count(), s.end_of(0)), (1, Some(100)));
}

#[test]
fn ranges_know_where_an_offset_lies() {
    let s = spans(&[10..20, 30..40]);
    for (offset, end) in [
        (0, None),
        (9, None),
        (10, Some(20)),
        (19, Some(20)),
        (20, None),
        (29, None),
        (30, Some(40)),
        (40, None),
    ] {
        assert_eq!(s.end_of(offset), end, "{offset}");
    }
    assert_eq!((s.end(), Spans::default().end()), (40, 0));
}

#[test]
fn what_lies_below_is_taken_out() {
    let all = [10..20, 30..40, 50..60];
    for (offset, left) in [
        (10, &[10..20, 30..40, 50..60][..]),
        (11, &[11..20, 30..40, 50..60]),
        (20, &[30..40, 50..60]),
        (35, &[35..40, 50..60]),
        (60, &[]),
    ] {
        let mut s = spans(&all);
        s.remove_below(offset);
        assert_eq!(listed(&s), left, "{offset}");
    }
}

fn store(pieces: &[Range<u64>]) -> Store {
    let mut store = Store::new(0);
    for piece in pieces {
        let data = Bytes::from(std::vec![7; (piece.end - piece.start) as usize]);
        store.insert(&Chunk { offset: piece.start, data });
    }
    store
}

/// spec: R-PIPE-23
#[test]
fn pieces_give_way_from_below_as_far_as_everybody_has_them() {
    let mut s = store(&[0..10, 10..20, 20..30, 30..40]);
    assert_eq!(s.free_pieces(4, 40), 0, "not too many");
    assert_eq!((s.free_pieces(2, 15), s.pieces(), s.floor()), (10, 3, 10), "as far as may be");
    assert_eq!((s.free_pieces(2, 20), s.pieces(), s.floor()), (10, 2, 20));
    assert_eq!((s.free_pieces(0, 40), s.pieces(), s.bytes()), (20, 0, 0));
    assert_eq!((s.most(), s.highest(), s.bytes_end()), (40, 40, 40));
}

/// spec: R-PIPE-20, R-PIPE-23
#[test]
fn skipped_ranges_give_way_like_pieces() {
    let mut s = store(&[10..20, 30..40]);
    s.skip(0..10);
    s.skip(20..30);
    assert_eq!((s.free_pieces(3, 15), s.pieces(), s.floor()), (0, 3, 10), "the lowest alone");
    assert_eq!((s.free_pieces(2, 20), s.pieces(), s.floor()), (10, 2, 20));
    assert_eq!((s.free_pieces(1, 29), s.pieces(), s.floor()), (0, 2, 20), "not all have it");
    assert_eq!((s.free_pieces(1, 30), s.pieces(), s.floor()), (0, 1, 30));
}

#[test]
fn bytes_above_a_gap_are_those_above_the_first_behind_a_reader() {
    let mut s = store(&[0..10, 20..30, 40..50]);
    assert_eq!((s.above_gap(0), s.above_gap(10)), (20, 20));
    assert_eq!(s.above_gap(20), 10, "who reads from 20 has the next gap at 30");
    assert_eq!(s.above_gap(25), 10);
    assert_eq!((s.above_gap(40), s.above_gap(60)), (0, 0));
    s.skip(10..20);
    assert_eq!((s.above_gap(0), s.contiguous_end(), s.most()), (10, 30, 30));
    s.skip(30..40);
    assert_eq!((s.above_gap(0), s.contiguous_end(), s.highest()), (0, 50, 50));
}

#[test]
fn a_reader_gets_what_is_there_and_passes_what_was_skipped() {
    let mut s = store(&[0..10, 20..30]);
    s.skip(10..20);
    let got = |s: &Store, from, max| s.from(from, max).map(|chunk| chunk.range());
    assert_eq!(got(&s, 0, 4), Some(0..4));
    assert_eq!(got(&s, 7, 100), Some(7..10));
    assert_eq!(got(&s, 10, 5), Some(20..25));
    assert_eq!(got(&s, 15, 100), Some(20..30));
    assert_eq!(got(&s, 30, 1), None);
    assert_eq!((s.skipped_to(9), s.skipped_to(10), s.skipped_to(20)), (9, 20, 20));
    let items: Vec<_> =
        s.items().map(|item| (item.range(), matches!(item, Item::Skip(_)))).collect();
    assert_eq!(items, [(0..10, false), (20..30, false), (10..20, true)]);
    s.free_below(15);
    let items: Vec<_> =
        s.items().map(|item| (item.range(), matches!(item, Item::Skip(_)))).collect();
    assert_eq!(items, [(20..30, false), (15..20, true)]);
}

/// spec: R-PIPE-22
#[test]
fn credit_goes_back_no_faster_than_the_rate() {
    // 10 MB/s: 50 ms of it are 500,000 bytes.
    let mut toll = Toll::new(Some(10_000_000), at(0));
    assert_eq!(toll.deadline(), None);
    assert_eq!(toll.pay(700_000, true, at(0)), 500_000, "a burst");
    // 200,000 more are there after 20 ms, and that is less than half a burst.
    assert_eq!(toll.deadline(), Some(at(20)));
    assert_eq!(toll.pay(0, true, at(10)), 100_000);
    assert_eq!(toll.deadline(), Some(at(20)));
    assert_eq!(toll.pay(400_000, true, at(20)), 100_000);
    assert_eq!(toll.deadline(), Some(at(45)), "not before half a burst is worth a frame");
    // A source that sends no more is not held up.
    assert_eq!(toll.pay(1, false, at(21)), 400_001);
    assert_eq!(toll.deadline(), None);
}

/// spec: R-PIPE-22
#[test]
fn a_burst_is_64_kib_at_least_and_without_a_rate_there_is_none() {
    let mut slow = Toll::new(Some(1_000), at(0));
    assert_eq!(slow.pay(100_000, true, at(0)), 64 * 1024);
    let mut free = Toll::new(None, at(0));
    assert_eq!(free.pay(1 << 40, true, at(0)), 1 << 40);
    assert_eq!(free.deadline(), None);
}

/// spec: R-PIPE-22
#[test]
fn another_rate_holds_from_when_it_is_set() {
    let mut toll = Toll::new(None, at(0));
    toll.set_rate(Some(10_000_000), at(0));
    assert_eq!(toll.deadline(), None, "nothing is owed");
    assert_eq!(toll.pay(900_000, true, at(0)), 500_000);
    toll.set_rate(Some(1_000_000), at(10));
    assert_eq!(toll.deadline(), Some(at(10)), "to be looked at anew");
    assert_eq!(toll.pay(0, true, at(10)), 100_000);
    assert_eq!(toll.pay(0, true, at(20)), 10_000);
    toll.set_rate(None, at(20));
    assert_eq!(toll.pay(0, true, at(20)), 290_000);
}

/// spec: R-PIPE-7
#[test]
fn a_window_aims_at_five_quarters_of_what_goes_through_in_a_span() {
    let mut rule = WindowRule::new(500, 1_000);
    let span = ms(100);
    assert_eq!(rule.judge(500, span, false, at(0)), None, "the first look");
    assert_eq!(rule.judge(9_000, span, false, at(99)), None, "not before a span is over");
    assert_eq!(rule.judge(4_500, span, false, at(100)), Some(5_000));
    assert_eq!(rule.window(), 5_000);
    // 8,000 in two spans are as fast.
    assert_eq!(rule.judge(12_500, span, false, at(300)), None);
    assert_eq!(rule.judge(20_500, span, false, at(400)), Some(10_000));
    assert_eq!(rule.judge(20_600, span, false, at(500)), None, "it never shrinks");
    assert_eq!(rule.window(), 10_000);
}

/// spec: R-PIPE-8
#[test]
fn a_window_does_not_grow_while_a_leg_lacks_credit() {
    let mut rule = WindowRule::new(0, 1_000);
    rule.judge(0, ms(100), false, at(0));
    assert_eq!(rule.judge(8_000, ms(100), true, at(100)), None);
    assert_eq!(rule.judge(16_000, ms(100), false, at(200)), Some(10_000), "by this span alone");
}

#[test]
fn a_leg_is_through_when_it_has_its_range() {
    let mut leg = Leg::new(LegPolicy::Stall, 100..200);
    assert_eq!((leg.acked, leg.through()), (100, 100));
    leg.acked = 199;
    assert_eq!(leg.through(), 199);
    leg.acked = 200;
    assert_eq!(leg.through(), u64::MAX);
    assert!(!leg.is_application());
    let application = Leg::application(LegPolicy::Stall, 30);
    assert!(application.is_application() && !application.follows_log());
    assert_eq!((application.read, application.acked, application.through()), (30, 30, 30));
}

/// Half of the window at most, whatever was asked for.
///
/// spec: R-PIPE-9
#[test]
fn a_leg_may_be_behind_by_its_allowance() {
    let allowance = |policy| Leg::new(policy, 0..9).allowance(1_000);
    assert_eq!(allowance(LegPolicy::Stall), None);
    assert_eq!(allowance(LegPolicy::Detach { allowance: 400 }), Some(400));
    assert_eq!(allowance(LegPolicy::DETACH), Some(500));
}

/// A stream that came to the end that was passed on has sent all that it was given.
#[test]
fn a_leg_that_ends_as_it_should_has_sent_its_whole_range() {
    let mut leg = Leg::new(LegPolicy::Stall, 100..200);
    leg.sent = 40;
    assert_eq!(leg.sent_in_all(LegEnd::Delivered), 40);
    leg.closing = Some(LegEnd::Delivered);
    assert_eq!(leg.sent_in_all(LegEnd::Lost), 40);
    assert_eq!(leg.sent_in_all(LegEnd::Delivered), 40, "it was given nothing");
}

/// A stream that is gone after its end was passed on has sent everything. Of one whose connection
/// was lost nobody knows more than was last seen.
#[test]
fn what_a_leg_sent_is_told_by_how_it_ended() {
    for (lost, sent) in [(false, 700), (true, 0)] {
        let mut rig = Rig::new(PipeOptions::default());
        let leg = rig.add_leg(0..u64::MAX, LegPolicy::Stall).unwrap();
        rig.arrive(0..700, true);
        let index = rig.legs[leg].index;
        match lost {
            true => rig.pipe.on_leg_lost(index),
            false => rig.pipe.on_leg_gone(index),
        }
        assert_eq!(rig.pipe.next_ended().map(|ended| ended.sent), Some(sent));
    }
}

fn chunk(offset: u64, len: usize) -> Chunk {
    Chunk { offset, data: Bytes::from(std::vec![7; len]) }
}

#[test]
fn only_bytes_are_counted_as_bytes() {
    assert_eq!((Item::Bytes(chunk(5, 30)).bytes(), Item::Skip(5..35).bytes()), (30, 0));
}

/// What was read before a body was piped goes first, and counts as received.
#[test]
fn what_was_read_before_is_held_like_the_rest() {
    let mut pipe = Pipe::new(100, PipeOptions::default(), at(1));
    pipe.preload(chunk(100, 30), at(2));
    pipe.preload(chunk(140, 20), at(3));
    let stats = pipe.stats();
    assert_eq!((stats.received, stats.held, stats.held_from), (50, 50, 100));
    assert_eq!(stats.first_byte, Some(at(2)));
    pipe.add_application(LegPolicy::Stall).unwrap();
    assert_eq!(pipe.read(99).unwrap().unwrap().range(), 100..130);
}

/// A source that broke off, one that was stopped, one that was given up: that it is over is said
/// before that the bytes are not there any more.
#[test]
fn nobody_joins_a_pipe_that_ends() {
    let add = |pipe: &mut Pipe| pipe.add_leg(0..9, LegPolicy::Stall);
    let mut lost = Pipe::new(100, PipeOptions::default(), at(1));
    assert_eq!(add(&mut lost), Err(LegError::NotHeld { wanted: 0, held: 100 }));
    lost.on_source_lost(true);
    assert_eq!(add(&mut lost), Err(LegError::Over));
    let mut cancelled = Pipe::new(100, PipeOptions::default(), at(1));
    cancelled.cancel(AppCode(7));
    assert_eq!(add(&mut cancelled), Err(LegError::Over));
    let mut rig = Rig::new(PipeOptions::default());
    rig.add_leg(0..u64::MAX, LegPolicy::Stall).unwrap();
    rig.stop(0, 0);
    rig.drain();
    assert_eq!(add(&mut rig.pipe), Err(LegError::Over), "the last leg stopped it");
}

#[test]
fn a_body_may_be_as_long_as_its_limit_and_no_longer() {
    let options = PipeOptions { limit: Some(1_000), ..PipeOptions::default() };
    let mut rig = Rig::new(options);
    rig.add_leg(0..u64::MAX, LegPolicy::Stall).unwrap();
    rig.arrive(0..400, false);
    rig.arrive(400..1_000, false);
    assert_eq!((rig.pipe.stats().received, rig.pipe.is_flowing()), (1_000, true));
    rig.arrive(1_000..1_001, false);
    assert!(!rig.pipe.is_flowing());
    rig.drain();
    assert_eq!(rig.stop.map(|stop| stop.code), Some(StreamCode::Refused.app()));
}

/// spec: R-PIPE-17
#[test]
fn a_byte_that_a_leg_acknowledges_is_progress() {
    let mut rig = Rig::new(PipeOptions::default());
    rig.add_leg(0..u64::MAX, LegPolicy::Stall).unwrap();
    rig.arrive(0..500, false);
    rig.wait(Duration::from_secs(100));
    while rig.packet(0, true) {}
    assert_eq!(rig.legs[0].acked(), 500);
    rig.wait(Duration::from_secs(119));
    assert!(rig.pipe.is_flowing());
    rig.wait(Duration::from_secs(2));
    assert!(!rig.pipe.is_flowing());
}

/// What is there without a gap comes first, and only then the error, one relay further.
#[test]
fn an_application_gets_what_is_there_before_the_error() {
    let mut rig = Rig::new(PipeOptions::default());
    rig.add_application(LegPolicy::Stall).unwrap();
    rig.arrive(0..500, false);
    rig.reset(300, 1);
    for expected in [0..200, 200..500] {
        let max = (expected.end - expected.start) as usize;
        assert_eq!(rig.pipe.read(max).unwrap().unwrap().range(), expected);
    }
    let error = ReadError::Reset { code: AppCode(7), hop: 2 };
    assert_eq!(rig.pipe.read(100), Err(error));
}

/// A body does not end before all of it is here.
#[test]
fn an_application_waits_for_what_lacks_before_the_end() {
    let mut rig = Rig::new(PipeOptions::default());
    rig.add_application(LegPolicy::Stall).unwrap();
    rig.arrive(0..10, false);
    rig.arrive(20..30, true);
    rig.read(10);
    assert_eq!((rig.pipe.final_size(), rig.pipe.read(10)), (None, Err(ReadError::Blocked)));
    rig.arrive(10..20, false);
    rig.read(10);
    rig.read(10);
    assert_eq!((rig.pipe.final_size(), rig.pipe.read(10)), (Some(30), Ok(None)));
}

/// Bytes that follow, the end, and nothing else: not those above a gap.
#[test]
fn an_application_has_something_to_read_when_there_is_news() {
    let mut rig = Rig::new(PipeOptions::default());
    rig.arrive(0..10, false);
    assert!(!rig.pipe.is_readable(), "it is no leg");
    rig.add_application(LegPolicy::Stall).unwrap();
    assert!(rig.pipe.is_readable());
    rig.read(10);
    assert!(!rig.pipe.is_readable());
    rig.arrive(20..30, false);
    assert!(!rig.pipe.is_readable(), "above a gap");
    rig.arrive(10..20, false);
    assert!(rig.pipe.is_readable());
    rig.read(10);
    rig.read(10);
    assert!(!rig.pipe.is_readable());
    rig.arrive(30..30, true);
    assert!(rig.pipe.is_readable(), "the end");
}

/// To release again what was released is no progress.
///
/// spec: R-PIPE-17
#[test]
fn an_application_makes_a_pipe_wait_by_what_is_new() {
    let mut rig = Rig::new(PipeOptions::default());
    rig.add_application(LegPolicy::Stall).unwrap();
    rig.arrive(0..500, false);
    rig.read(500);
    rig.wait(Duration::from_secs(60));
    rig.release(400);
    rig.wait(Duration::from_secs(60));
    rig.release(400);
    rig.wait(Duration::from_secs(59));
    assert!(rig.pipe.is_flowing());
    rig.wait(Duration::from_secs(2));
    assert!(!rig.pipe.is_flowing());
}

#[test]
fn what_a_leg_has_sent_is_known_while_it_is_there() {
    let mut rig = Rig::new(PipeOptions::default());
    let leg = rig.add_leg(0..u64::MAX, LegPolicy::Stall).unwrap();
    let index = rig.legs[leg].index;
    assert_eq!(rig.pipe.leg_sent(index), Some(0));
    rig.arrive(0..700, false);
    while rig.packet(leg, true) {}
    rig.pump();
    assert_eq!(rig.pipe.leg_sent(index), Some(700));
    rig.lose_leg(leg);
    assert_eq!(rig.pipe.leg_sent(index), None);
}

/// Who lags is to be given up by the next push, and that is known before.
///
/// spec: R-PIPE-9
#[test]
fn a_leg_that_lags_is_doomed_first() {
    let mut rig = Rig::new(PipeOptions::default());
    for policy in [LegPolicy::Stall, LegPolicy::Detach { allowance: 1_000 }] {
        let leg = rig.add_leg(0..u64::MAX, policy).unwrap();
        rig.credit(leg, 1 << 20);
    }
    rig.arrive(0..5_000, false);
    while rig.packet(0, true) {}
    assert!(!rig.pipe.has_doomed());
    let then = rig.now + PTO * 2;
    rig.pipe.on_deadline(then);
    assert!(rig.pipe.has_doomed());
    assert!(rig.pipe.deadline().is_some_and(|at| at > then), "nothing is left to wait for");
}

/// A stream comes back as a stream, and the application as the application.
///
/// spec: R-PIPE-24
#[test]
fn who_was_given_up_comes_back_as_what_it_was() {
    let stream = Leg::new(LegPolicy::Stall, 0..u64::MAX);
    let application = Leg::application(LegPolicy::Stall, 0);
    for (gone, other) in [(&stream, &application), (&application, &stream)] {
        let mut missing = Missing::default();
        missing.add(gone, 50);
        missing.on_leg(other, 100);
        assert!(!missing.is_empty());
        missing.on_leg(gone, 100);
        assert!(missing.is_empty());
    }
}

/// A rig with these legs, of which only the first has what came.
fn first_ahead(policies: &[LegPolicy]) -> Rig {
    let mut rig = Rig::new(PipeOptions::default());
    for policy in policies {
        let leg = rig.add_leg(0..u64::MAX, *policy).unwrap();
        rig.credit(leg, 1 << 20);
    }
    rig.arrive(0..500, false);
    while rig.packet(0, true) {}
    rig
}

/// spec: R-PIPE-10
#[test]
fn two_that_are_as_slow_hold_back_nothing_alone() {
    let mut rig = first_ahead(&[LegPolicy::Stall, LegPolicy::DETACH, LegPolicy::DETACH]);
    rig.wait(Duration::from_secs(10));
    assert!(rig.legs.iter().all(|leg| leg.ended.is_none()));
    let mut rig = first_ahead(&[LegPolicy::Stall, LegPolicy::DETACH]);
    rig.wait(Duration::from_secs(10));
    assert_eq!(rig.legs[1].ended, Some(LegEnd::Detached { at: 0 }));
}

/// Whom the source waits for is never judged: until the pipe's own time-out there is no wish.
#[test]
fn a_leg_that_stalls_has_no_deadline() {
    let rig = first_ahead(&[LegPolicy::Stall, LegPolicy::Stall]);
    assert_eq!(rig.pipe.deadline(), Some(rig.now + Duration::from_secs(120)));
}

/// Who lost the source of a pipe that was reset before passes on the reset.
#[test]
fn a_reset_goes_before_the_loss_that_follows_it() {
    let mut rig = Rig::new(PipeOptions::default());
    rig.add_leg(0..u64::MAX, LegPolicy::Stall).unwrap();
    rig.arrive(0..500, false);
    rig.reset(500, 0);
    rig.lose_source(false);
    rig.drain();
    assert_eq!(rig.legs[0].reset.map(|reset| (reset.code, reset.hop)), Some((AppCode(7), 1)));
}

/// Alone it ends the pipe, with its own words; beside another it is only told of.
///
/// spec: R-PIPE-29, R-PIPE-15
#[test]
fn a_leg_that_had_ended_before_says_how() {
    let lost = (StreamCode::ConnectionLost.app(), 0);
    let stopped = LegEnd::Stopped { code: AppCode(9), hop: 2 };
    for (end, words) in [(stopped, (AppCode(9), 3)), (LegEnd::Lost, lost)] {
        let mut rig = Rig::new(PipeOptions::default());
        let leg = rig.pipe.add_ended(end).unwrap();
        assert_eq!(rig.pipe.next_ended(), Some(EndedLeg { leg, end, sent: 0 }));
        rig.arrive(0..500, false);
        rig.drain();
        assert_eq!(rig.stop.map(|stop| (stop.code, stop.hop)), Some(words));
        assert!(rig.pipe.is_over());
        assert_eq!((rig.pipe.add_ended(end), rig.pipe.stats().held), (Err(LegError::Over), 0));
        let mut rig = Rig::new(PipeOptions::default());
        rig.add_leg(0..u64::MAX, LegPolicy::Stall).unwrap();
        let leg = rig.pipe.add_ended(end).unwrap();
        assert_eq!(rig.pipe.next_ended(), Some(EndedLeg { leg, end, sent: 0 }));
        rig.arrive(0..500, true);
        rig.drain();
        assert_eq!((rig.legs[0].ended, rig.stop), (Some(LegEnd::Delivered), None));
    }
}

/// What breaks off elsewhere is not an end that this node gave it.
#[test]
fn only_what_still_flowed_was_cancelled_here() {
    let flowing = || {
        let mut rig = Rig::new(PipeOptions::default());
        rig.add_leg(0..u64::MAX, LegPolicy::Stall).unwrap();
        rig.arrive(0..500, false);
        rig
    };
    let cancelled = |mut rig: Rig| {
        rig.pipe.cancel(AppCode(7));
        rig.pipe.cancelled()
    };
    assert_eq!(flowing().pipe.cancelled(), None);
    assert_eq!(cancelled(flowing()), Some(AppCode(7)));
    let mut broken = flowing();
    broken.reset(500, 1);
    assert_eq!(cancelled(broken), None, "it broke elsewhere");
    let mut lost = flowing();
    lost.lose_source(true);
    assert_eq!(cancelled(lost), None);
}
