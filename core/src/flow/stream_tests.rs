//! Tests of `stream.rs`.

use alloc::vec::Vec;
use core::time::Duration;

use super::*;
use crate::flow::receiver::{Receiver, at, own, peer};
use crate::flow::{Budget, BudgetLimits, RecvLimits};
use crate::wire::id::{CreditTarget, Dir};

const MIB: u64 = 1024 * 1024;

/// spec: R-FLOW-7
#[test]
fn credit_is_charged_by_highest_offset_and_gaps_are_paid_for() {
    let mut r = Receiver::usual();
    let id = r.open(peer(Dir::Uni, 0));
    let used = |r: &Receiver| r.connection.held();
    assert_eq!(r.data(id, 5000), Ok(5000), "a gap of some bytes and the rest");
    assert_eq!(used(&r), 5000);
    for end in [1, 4999, 5000] {
        assert_eq!(r.data(id, end), Ok(0), "the gap and what is sent again cost nothing");
    }
    assert_eq!(r.data(id, 5001), Ok(1));
    assert_eq!(used(&r), 5001);
}

/// spec: R-FLOW-7
#[test]
fn a_byte_past_a_limit_is_a_violation_and_changes_nothing() {
    let mut r = Receiver::usual();
    let id = r.open(peer(Dir::Bi, 0));
    let limit = r.stream(id).limit();
    let before = (r.connection.held(), r.connection.limit(), r.stream(id).highest());
    let wrong = r.data(id, limit + 1).expect_err("one too many");
    assert_eq!(wrong.code, TransportCode::FlowControl);
    for end in [u64::MAX, 1 << 62] {
        assert_eq!(r.data(id, end).expect_err("far too many").code, TransportCode::FlowControl);
    }
    let wrong = r.finish(id, limit + 1).expect_err("nor as a final size");
    assert_eq!(wrong.code, TransportCode::FlowControl);
    assert_eq!(before, (r.connection.held(), r.connection.limit(), r.stream(id).highest()));
    assert_eq!(r.data(id, limit), Ok(limit), "at the limit");
}

/// spec: R-FLOW-8
#[test]
fn a_final_size_settles_what_lies_above_and_never_changes() {
    let mut r = Receiver::usual();
    let id = r.open(peer(Dir::Uni, 0));
    r.data(id, 100).expect("inside");
    let code = |outcome: Result<(), Violation>| outcome.expect_err("refused").code;
    assert_eq!(code(r.finish(id, 99)), TransportCode::FinalSize);
    r.finish(id, 150).expect("above");
    assert_eq!(r.connection.held(), 150, "charged up to the end");
    assert_eq!(r.stream(id).outstanding(), 0);
    assert_eq!(code(r.finish(id, 151)), TransportCode::FinalSize);
    r.finish(id, 150).expect("the same again");
    assert_eq!(r.data(id, 151).expect_err("past the end").code, TransportCode::FinalSize);
    assert_eq!(r.data(id, 150), Ok(0));
    r.release(id, 150);
    assert!(!r.stream(id).is_pending(), "nothing is raised behind an end");
    r.retire(id);
}

/// spec: R-FLOW-11
#[test]
fn limits_move_on_by_half_a_window_and_at_once_for_who_is_blocked() {
    let mut r = Receiver::usual();
    let id = r.open(peer(Dir::Uni, 0));
    r.fix(id, 20_000);
    r.data(id, 20_000).expect("inside");
    r.settle();
    r.release(id, 9_999);
    assert_eq!(r.stream(id).limit(), 20_000, "less than half");
    assert!(!r.stream(id).is_pending());
    r.release(id, 1);
    assert_eq!(r.stream(id).limit(), 30_000, "half");
    assert!(r.stream(id).is_pending());
    r.settle();
    let limit = r.stream(id).limit();
    r.release(id, 100);
    assert_eq!(r.stream(id).limit(), limit, "not for a hundred bytes");
    assert!(!r.stream(id).is_pending());
    r.blocked(id, limit - 1);
    assert_eq!(r.stream(id).limit(), limit, "the peer did not know the newest limit");
    r.blocked(id, limit);
    assert_eq!(r.stream(id).limit(), limit + 100, "but it stands at this one");
}

/// A reader that is slow beside its window is granted what it read once in a round trip, so that
/// its sender does not go in leaps.
///
/// spec: R-FLOW-11
#[test]
fn a_slow_reader_is_granted_a_part_in_each_round_trip() {
    let mut r = Receiver::usual();
    let id = r.open(peer(Dir::Uni, 0));
    r.fix(id, 32_000);
    r.data(id, 32_000).expect("inside");
    r.settle();
    let trip = r.connection.rtt();
    r.release(id, 2_000);
    assert_eq!(r.stream(id).limit(), 32_000, "not before a round trip is over");
    r.now = r.now + trip;
    r.release(id, 1);
    assert_eq!(r.stream(id).limit(), 34_001);
    r.now = r.now + trip;
    r.release(id, 999);
    assert_eq!(r.stream(id).limit(), 34_001, "not for less than a 32nd part");
    r.release(id, 1);
    assert_eq!(r.stream(id).limit(), 35_001);
}

/// spec: R-FLOW-11
#[test]
fn what_nobody_wants_is_released_at_once_and_never_raised() {
    let mut r = Receiver::usual();
    let id = r.open(peer(Dir::Uni, 0));
    r.data(id, 1000).expect("inside");
    r.settle();
    r.abandon(id);
    assert_eq!(r.connection.held(), 0);
    let limit = r.stream(id).limit();
    r.data(id, limit).expect("still counted");
    assert_eq!((r.connection.held(), r.stream(id).limit()), (0, limit));
    r.blocked(id, limit);
    assert_eq!(r.stream(id).limit(), limit);
    assert!(!r.stream(id).is_pending());
}

/// spec: R-FLOW-12
#[test]
fn the_first_data_doubles_the_window() {
    let mut r = Receiver::usual();
    let id = r.open(peer(Dir::Uni, 0));
    let credit = r.stream(id).limit();
    r.data(id, 1).expect("inside");
    assert_eq!((r.stream(id).window(), r.stream(id).limit()), (2 * credit, 2 * credit));
    assert!(r.stream(id).is_pending(), "it leaves with the first ACK");
}

/// spec: R-FLOW-12
#[test]
fn a_window_follows_the_rate_and_stops_there() {
    let mut r = Receiver::usual();
    let rtt = Duration::from_millis(50);
    r.connection.set_rtt(rtt);
    let id = r.open(peer(Dir::Uni, 0));
    // 24 KiB a millisecond: 1.2 MiB a round trip, forever, read at once.
    let mut end = 0;
    let mut windows = Vec::new();
    for ms in 0..2000 {
        r.now = at(ms);
        end = (end + 24 * 1024).min(r.stream(id).limit());
        let n = r.data(id, end).expect("inside");
        r.release(id, n);
        if ms % 500 == 499 {
            windows.push(r.stream(id).window());
        }
    }
    let trip = 24 * 1024 * 50;
    assert!(windows[0] >= 2 * trip, "{windows:?} is too small for {trip}");
    assert!(windows[0] <= 16 * trip, "{windows:?} is too large for {trip}");
    assert!(windows.iter().all(|&w| w == windows[0]), "and stays: {windows:?}");
}

/// A burst in the beginning makes the window wide; what follows is slow. A window that its owner
/// has fixed stays, and so does any other once the beginning is over.
///
/// spec: R-FLOW-12
#[test]
fn the_end_of_the_beginning_takes_back_what_a_burst_made_of_a_window() {
    for most in [RecvLimits::default().max_stream_window, MIB] {
        let limits = RecvLimits { max_stream_window: most, ..RecvLimits::default() };
        let mut r = Receiver::with(Budget::new(BudgetLimits::default()), limits);
        r.connection.set_rtt(Duration::from_millis(50));
        let id = r.open(peer(Dir::Uni, 0));
        let pass = |r: &mut Receiver, ms, n: u64| {
            r.now = at(ms);
            let end = (r.stream(id).highest() + n).min(r.stream(id).limit());
            let came = r.data(id, end).expect("inside");
            r.release(id, came);
        };
        while r.stream(id).window() < MIB {
            pass(&mut r, 1, 64 * 1024);
        }
        let wide = r.stream(id).window();
        pass(&mut r, 100, 1);
        assert_eq!(r.stream(id).window(), wide, "two round trips are not over");
        pass(&mut r, 101, 1);
        assert_eq!(r.stream(id).window(), wide / 4);
        for ms in 2..20 {
            pass(&mut r, 101 * ms, 1);
        }
        assert_eq!(r.stream(id).window(), wide / 4, "later it does not fall");
    }
    let mut r = Receiver::usual();
    r.connection.set_rtt(Duration::from_millis(50));
    let id = r.open(peer(Dir::Uni, 0));
    r.data(id, 1).expect("inside");
    r.fix(id, MIB);
    r.now = at(200);
    r.data(id, 2).expect("inside");
    assert_eq!(r.stream(id).window(), MIB, "fixed is fixed");
}

/// Microseconds away is a sender that fills whatever limit it has; what takes its time is the
/// reader, 300 µs after each burst.
///
/// spec: R-FLOW-12
#[test]
fn a_window_grows_where_reading_takes_longer_than_the_path() {
    let mut r = Receiver::usual();
    r.connection.set_rtt(Duration::from_micros(20));
    let id = r.open(peer(Dir::Uni, 0));
    for burst in 0..100 {
        let limit = r.stream(id).limit();
        let mut end = r.stream(id).highest();
        for packet in 0.. {
            r.now = Instant::from_nanos(burst * 300_000 + packet * 100);
            end = (end + 1200).min(limit);
            r.data(id, end).expect("inside");
            if end == limit {
                break;
            }
        }
        let held = r.stream(id).held();
        r.release(id, held);
    }
    let window = r.stream(id).window();
    assert!(window >= MIB, "{window} bytes for a sender that could send any number");
}

/// spec: R-FLOW-12
#[test]
fn a_window_does_not_grow_for_a_reader_who_does_not_read() {
    let mut r = Receiver::usual();
    let id = r.open(peer(Dir::Uni, 0));
    let credit = r.stream(id).limit();
    for ms in 0..1000 {
        r.now = at(ms);
        let end = (r.stream(id).highest() + 1200).min(r.stream(id).limit());
        r.data(id, end).expect("inside");
    }
    assert!(r.connection.held() <= 4 * credit, "{} bytes are held", r.connection.held());
    assert_eq!(r.stream(id).outstanding(), 0);
}

/// A sender in slow start, 100 ms from the receiver, finds credit for each packet that its
/// congestion window allows.
///
/// spec: R-FLOW-12
#[test]
fn slow_start_never_waits_for_credit() {
    const PACKET: u64 = 1200;
    for (packets_to_ack, rtt_ms) in [(1, 100), (2, 100), (2, 10)] {
        let mut r = Receiver::usual();
        r.connection.set_rtt(Duration::from_millis(rtt_ms));
        let id = r.open(peer(Dir::Uni, 0));
        let (mut limit, mut sent, mut acked) = (r.stream(id).limit(), 0, 0);
        let mut arrivals: Vec<(u64, u64)> = Vec::new();
        let mut acks: Vec<(u64, u64, u64)> = Vec::new();
        let mut now = 0;
        while sent < 8 * MIB {
            let window = 10 * PACKET + acked;
            while sent + PACKET <= acked + window && sent < 8 * MIB {
                assert!(sent + PACKET <= limit, "blocked at {sent} of {limit}, {acked} acked");
                sent += PACKET;
                arrivals.push((now + rtt_ms * 500, sent));
            }
            let due = arrivals.iter().map(|a| a.0).chain(acks.iter().map(|a| a.0)).min();
            now = due.expect("something is under way");
            r.now = Instant::from_nanos(now * 1000);
            let mut came = 0;
            arrivals.retain(|&(when, end)| {
                let due = when <= now;
                if due {
                    let n = r.data(id, end).expect("honest");
                    r.release(id, n);
                    came += 1;
                    if came % packets_to_ack == 0 {
                        acks.push((now + rtt_ms * 500, end, r.stream(id).limit()));
                    }
                }
                !due
            });
            acks.retain(|&(when, end, granted)| {
                if when <= now {
                    acked = acked.max(end);
                    limit = limit.max(granted);
                }
                when > now
            });
        }
    }
}

/// spec: R-FLOW-13
#[test]
fn ranges_are_bounded_by_window_and_by_room() {
    assert_eq!(range_limit(0, 1000), 1000);
    assert_eq!(range_limit(1_201_199, 1000), 1000);
    assert_eq!(range_limit(1_201_200, 1000), 1001);
    assert_eq!(range_limit(1_201_200, 1), 1001);
    let mut r = Receiver::usual();
    let id = r.open(peer(Dir::Uni, 0));
    assert_eq!(r.max_ranges(id, FREE_RANGES - 1), FREE_RANGES);
    assert_eq!(r.connection.held(), 0, "these are free");
    let mut most = 0;
    for now in 0..2000 {
        most = r.max_ranges(id, now.min(most));
        r.check();
    }
    assert_eq!(most, 1000);
    assert_eq!(r.connection.held(), (1000 - FREE_RANGES) * RANGE_COST);
    assert_eq!(r.max_ranges(id, most - 2 * RANGE_STEP), most, "two steps are left for the next");
    assert_eq!(r.max_ranges(id, most - 2 * RANGE_STEP - 1), most - RANGE_STEP);
    for _ in 0..200 {
        r.max_ranges(id, 0);
    }
    assert!(r.connection.held() <= 2 * RANGE_STEP * RANGE_COST, "given back");
    let mut p = Receiver::poor();
    let id = p.open(peer(Dir::Uni, 0));
    let mut most = 0;
    for _ in 0..100 {
        most = p.max_ranges(id, most);
        p.check();
    }
    assert!((FREE_RANGES..200).contains(&most), "{most} ranges without room");
    p.finish(id, 0).expect("empty");
    p.retire(id);
    assert_eq!(p.connection.held(), 0);
}

/// spec: R-FLOW-14 R-FLOW-15
#[test]
fn what_a_stream_released_is_kept_for_it() {
    let mut r = Receiver::poor();
    let a = r.open(peer(Dir::Uni, 0));
    let b = r.open(peer(Dir::Uni, 1));
    let credit = r.stream(a).limit();
    r.data(a, credit).expect("inside");
    let some = credit / 2 - 1;
    r.release(a, some);
    assert_eq!(r.stream(a).outstanding(), 0, "less than half: no raise yet");
    // Everybody else takes what they can get.
    r.connection.hold(100_000);
    r.data(b, credit).expect("inside");
    r.request(b, 1 << 30);
    for n in 0..9 {
        r.open_own(own(n));
    }
    assert!(r.stream(b).is_hungry() && r.connection.is_hungry());
    r.blocked(a, credit);
    assert_eq!(r.stream(a).outstanding(), some, "still there for who released it");
    r.release(a, credit - some);
    assert_eq!(r.stream(a).outstanding(), credit);
    r.check();
}

/// spec: R-FLOW-9
#[test]
fn only_the_newest_limit_is_sent_again() {
    let mut r = Receiver::usual();
    let id = r.open(peer(Dir::Uni, 0));
    r.data(id, 1).expect("inside");
    let old = r.written(id);
    assert_eq!(old.len(), 1);
    r.fix(id, 100_000);
    let new = r.written(id);
    assert_eq!(new, [SentFrame::MaxStreamData(id, 100_000)]);
    r.lost(id, &old[0]);
    assert_eq!(r.written(id), []);
    r.lost(id, &new[0]);
    assert_eq!(r.written(id), new);
    r.acked(id, &new[0]);
    assert_eq!(r.written(id), []);
    r.lost(id, &new[0]);
    assert_eq!(r.written(id), []);
}

/// spec: R-FLOW-20
#[test]
fn only_what_was_asked_for_and_is_unused_comes_back() {
    let mut r = Receiver::usual();
    let id = r.open(peer(Dir::Uni, 0));
    let credit = r.stream(id).limit();
    r.data(id, credit).expect("inside");
    let code = |outcome: Result<(), Violation>| outcome.expect_err("refused").code;
    assert_eq!(code(r.returned(CreditTarget::Stream(id), 1)), TransportCode::FlowControl);
    r.returned(CreditTarget::Stream(id), 0).expect("nothing is nothing");
    r.request(id, 1_000_000);
    r.ask_back(u64::MAX);
    let limit = r.stream(id).limit();
    let asked = r.stream(id).asked;
    assert_eq!(limit - asked - r.stream(id).highest(), credit, "a first credit stays outstanding");
    r.data(id, 900_000).expect("inside, for the answer is not here");
    assert_eq!(code(r.returned(CreditTarget::Stream(id), asked)), TransportCode::FlowControl);
    assert_eq!(r.stream(id).limit(), limit, "nothing changed");
    r.returned(CreditTarget::Stream(id), limit - 900_000).expect("unused");
    assert_eq!(r.stream(id).limit(), 900_000);
    assert_eq!(r.data(id, 900_001).expect_err("given up").code, TransportCode::FlowControl);
    r.returned(CreditTarget::Stream(id), 7).expect("old");
    assert_eq!(r.stream(id).limit(), 900_000);
}

/// What comes back while a stream is in use leaves it its first credit, and what waited for the
/// answer is made up for.
///
/// spec: R-FLOW-11 R-FLOW-14
#[test]
fn a_recall_leaves_a_stream_in_use_its_first_credit() {
    let asked = || {
        let mut r = Receiver::usual();
        let id = r.open(peer(Dir::Uni, 0));
        let credit = r.stream(id).limit();
        r.fix(id, 0);
        r.request(id, 60_000);
        r.ask_back(u64::MAX);
        (r, id, credit)
    };
    let (mut r, id, credit) = asked();
    r.data(id, 1000).expect("inside");
    r.release(id, 1000);
    r.returned(CreditTarget::Stream(id), 60_000 - credit).expect("asked for");
    assert_eq!(r.stream(id).outstanding(), credit, "what was released is given again");

    let (mut r, id, credit) = asked();
    r.data(id, 60_000).expect("inside");
    r.release(id, 60_000);
    r.blocked(id, 60_000);
    assert_eq!(r.stream(id).outstanding(), 0, "not while an answer is owed");
    r.returned(CreditTarget::Stream(id), 0).expect("nothing is an answer");
    assert!(r.stream(id).outstanding() >= credit, "but then");
}

#[test]
fn the_limits_of_a_windows_size_hold() {
    let limits = RecvLimits { max_stream_window: 50_000, ..RecvLimits::default() };
    let mut r = Receiver::with(Budget::new(BudgetLimits::default()), limits);
    let id = r.open(peer(Dir::Uni, 0));
    r.fix(id, u64::MAX);
    assert_eq!(r.stream(id).window(), 50_000);
    r.fix(id, 0);
    assert_eq!(r.stream(id).window(), r.connection.initial().max_stream_data);
}

/// Who follows the rate takes what there is, and who has all that he wants waits for nothing.
///
/// spec: R-FLOW-12
#[test]
fn only_a_window_that_was_set_waits_for_cover() {
    let mut p = Receiver::poor();
    let id = p.open(peer(Dir::Uni, 0));
    p.data(id, 1).expect("inside");
    let first = p.connection.initial().max_stream_data;
    assert!(p.stream(id).window() < 2 * first, "there is no cover for twice as much");
    assert!(!p.stream(id).is_hungry() && !p.connection.is_hungry());
    p.on(id, |s, c, b| s.set_window(Window::Fixed(100_000), c, b));
    assert!(p.stream(id).is_hungry() && p.connection.is_hungry());
    let mut r = Receiver::usual();
    let id = r.open(peer(Dir::Uni, 0));
    r.fix(id, 100_000);
    assert!(!r.stream(id).is_hungry() && !r.connection.is_hungry());
}

/// Who stands at the limit says so once, and may have been told nothing then.
///
/// spec: R-FLOW-11
#[test]
fn who_waits_gets_what_is_let_go_within_the_same_round_trip() {
    let mut r = Receiver::usual();
    let id = r.open(peer(Dir::Uni, 0));
    let first = r.stream(id).limit();
    r.data(id, first).expect("inside");
    let limit = r.stream(id).limit();
    assert_eq!(limit, 2 * first, "the window has doubled");
    r.now = at(50);
    r.data(id, limit).expect("inside");
    r.blocked(id, limit);
    assert_eq!(r.stream(id).limit(), limit, "all of the window is in use");
    r.now = at(60);
    let part = first * 9 / 10;
    r.release(id, part);
    assert_eq!(r.stream(id).limit(), limit + part);
    r.release(id, part);
    assert_eq!(r.stream(id).limit(), limit + part, "it has not asked again");
}

/// A recall crosses the word of who has used all of it up.
///
/// spec: R-FLOW-11, R-FLOW-21
#[test]
fn who_stood_at_the_limit_while_a_recall_was_under_way_is_not_forgotten() {
    let limits = BudgetLimits::new(4 * crate::flow::FLOOR, 1).expect("fits");
    let mut r = Receiver::with(Budget::new(limits), RecvLimits::default());
    let id = r.open(peer(Dir::Uni, 0));
    r.request(id, 1_000_000);
    let limit = r.stream(id).limit();
    assert!(r.stream(id).is_hungry() && limit > r.connection.initial().max_stream_data);
    assert!(r.on(id, |s, c, _| s.ask_back(u64::MAX, c)) > 0);
    assert!(!r.stream(id).is_hungry());
    r.data(id, limit).expect("under way");
    r.blocked(id, limit);
    r.returned(CreditTarget::Stream(id), 0).expect("nothing is left");
    assert!(r.stream(id).is_hungry(), "it waits again");
}

/// spec: R-FLOW-11, R-FLOW-12
#[test]
fn a_fixed_window_grows_again_behind_a_recall() {
    let mut r = Receiver::usual();
    let id = r.open(peer(Dir::Uni, 0));
    r.fix(id, MIB);
    assert_eq!(r.stream(id).limit(), MIB);
    let back = r.on(id, |s, c, _| s.ask_back(u64::MAX, c));
    r.returned(CreditTarget::Stream(id), back).expect("all that was asked for");
    assert_eq!(r.stream(id).window(), r.connection.initial().max_stream_data);
    let mut end = 0;
    for ms in 0..100 {
        r.now = at(10 * ms);
        let more = r.stream(id).outstanding();
        end += more;
        r.data(id, end).expect("inside");
        r.release(id, more);
    }
    assert_eq!(r.stream(id).window(), MIB, "and no further");
}

/// What a fixed window lacks is raised once the pool has it, and its owner hears when it shrinks.
///
/// spec: R-FLOW-11
#[test]
fn a_fixed_window_that_found_no_cover_is_raised_when_there_is_some() {
    let mut r = Receiver::poor();
    let id = r.open(peer(Dir::Uni, 0));
    r.fix(id, 100_000);
    let covered = r.streams.get_mut(&id).expect("open").covered();
    assert!(covered > 0 && covered < crate::flow::FLOOR, "{covered} of 100,000");
    assert_eq!(covered, r.stream(id).limit());
    assert!(r.stream(id).is_hungry());
    let take_shrunk = |r: &mut Receiver| r.streams.get_mut(&id).expect("open").take_shrunk();
    assert!(!take_shrunk(&mut r));
    r.enrich();
    assert!(r.budget.take_freed());
    r.connection.top_up(r.streams.values_mut(), &mut r.budget);
    r.check();
    let more = r.streams.get_mut(&id).expect("open").covered();
    assert!(more > covered && r.stream(id).limit() == more, "{more}");
    assert!(r.on(id, |s, c, _| s.ask_back(u64::MAX, c)) > 0);
    assert!(take_shrunk(&mut r), "what is asked for is not there to be held");
    assert!(!take_shrunk(&mut r), "it is told once");
}

/// spec: R-FLOW-11
#[test]
fn what_is_kept_is_no_part_of_what_makes_a_raise_due() {
    let mut r = Receiver::usual();
    let id = r.open(peer(Dir::Uni, 0));
    let window = Window::Keeping { window: 20_000, keep: 2_000_000 };
    r.on(id, |s, c, b| s.set_window(window, c, b));
    let limit = r.stream(id).limit();
    r.data(id, limit).expect("inside");
    r.settle();
    r.release(id, 9_999);
    assert_eq!(r.stream(id).limit(), limit);
    r.release(id, 1);
    assert_eq!(r.stream(id).limit(), limit + 10_000);
}

/// A raise that is put off covers nothing.
///
/// spec: R-FLOW-11 R-PIPE-23
#[test]
fn what_is_covered_grows_by_what_is_raised() {
    let mut r = Receiver::poor();
    let id = r.open(peer(Dir::Uni, 0));
    r.fix(id, 100_000);
    let covered = r.stream(id).limit();
    r.fix(id, covered + covered / 2);
    let told = |r: &mut Receiver| r.streams.get_mut(&id).expect("open").covered();
    assert_eq!(told(&mut r), covered, "there is no more");
    r.data(id, covered / 2).expect("inside");
    r.release(id, 1);
    assert_eq!(told(&mut r), covered, "less than a half is missing");
}
