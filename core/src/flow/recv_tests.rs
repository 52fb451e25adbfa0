//! Tests of `recv.rs` and what lies below it.

use alloc::vec::Vec;

use proptest::prelude::*;

use super::*;
use crate::flow::receiver::{Receiver, at, own, peer};
use crate::flow::{BudgetLimits, CONNECTION_OVERHEAD, FLOOR, STREAM_OVERHEAD};

const MIB: u64 = 1024 * 1024;
const PATIENCE: Duration = Duration::from_millis(300);

/// spec: R-FLOW-5
#[test]
fn a_share_is_divided_among_streams() {
    let r = Receiver::usual();
    let initial = r.connection.initial();
    assert_eq!(r.connection.share().size(), 1600 * 1024);
    assert_eq!((initial.max_streams_bidi, initial.max_streams_uni), (37, 37));
    assert_eq!(initial.max_stream_data, (1600 - 64) * 1024 / 100);
    assert_eq!(initial.max_data, 100 * initial.max_stream_data);
    let p = Receiver::poor();
    let initial = p.connection.initial();
    assert_eq!((initial.max_streams_bidi, initial.max_streams_uni), (3, 3));
    assert_eq!(initial.max_stream_data, FLOOR * 7 / 8 / 8);
    assert_eq!(initial.max_data, 8 * initial.max_stream_data);
    let limits = RecvLimits { max_streams_bidi: 0, max_streams_uni: 5, ..RecvLimits::default() };
    let r = Receiver::with(Budget::new(BudgetLimits::default()), limits);
    let initial = r.connection.initial();
    assert_eq!((initial.max_streams_bidi, initial.max_streams_uni), (0, 5));
    assert_eq!(initial.max_data, (26 + 5) * initial.max_stream_data);
}

/// spec: R-FLOW-16
#[test]
fn streams_beyond_the_count_are_violations_whatever_their_number() {
    let mut r = Receiver::poor();
    for sequence in [3, 4, 1 << 58, (1 << 60) - 1] {
        let wrong = r.connection.open_peer(peer(Dir::Bi, sequence)).expect_err("not allowed");
        assert_eq!(wrong.code, TransportCode::StreamLimit);
    }
    let wrong = r.connection.open_peer(own(0)).expect_err("ours");
    assert_eq!(wrong.code, TransportCode::StreamState);
    for sequence in [2, 0, 1] {
        r.open(peer(Dir::Bi, sequence));
    }
    let wrong = r.connection.open_peer(peer(Dir::Bi, 3)).expect_err("no more");
    assert_eq!(wrong.code, TransportCode::StreamLimit);
    r.open(peer(Dir::Uni, 0));
}

/// spec: R-FLOW-17
#[test]
fn only_streams_that_are_over_make_room_and_by_halves() {
    let mut r = Receiver::poor();
    let ids: [StreamId; 3] = [0, 1, 2].map(|n| r.open(peer(Dir::Uni, n)));
    for id in ids {
        r.data(id, 100).expect("inside");
        r.finish(id, 100).expect("inside");
        assert_eq!(r.connection.initial().max_streams_uni, 3, "finished, not over");
    }
    r.retire(ids[1]);
    assert_eq!(r.connection.initial().max_streams_uni, 4, "none was left to open");
    r.retire(ids[0]);
    assert_eq!(r.connection.initial().max_streams_uni, 5, "one, with one left");
    let raised = SentFrame::MaxStreams(Dir::Uni, 5);
    assert!(r.wrote().contains(&raised));
    r.connection.on_lost(&raised);
    assert_eq!(r.wrote(), [raised], "again when lost");
}

/// A raise for each stream that ends would be a frame for each: it waits for half of the window,
/// unless nothing is left to open.
///
/// spec: R-FLOW-17
#[test]
fn counts_are_raised_by_halves_or_when_all_are_open() {
    let count = |r: &Receiver| r.connection.initial().max_streams_uni;
    let end = |r: &mut Receiver, id| {
        r.finish(id, 0).expect("empty");
        r.retire(id);
    };
    let mut r = Receiver::usual();
    for n in 0..18 {
        assert_eq!(count(&r), 37, "{n} ended");
        let id = r.open(peer(Dir::Uni, n));
        end(&mut r, id);
    }
    assert_eq!(count(&r), 37 + 18, "half");
    let mut r = Receiver::usual();
    let ids: Vec<_> = (0..37).map(|n| r.open(peer(Dir::Uni, n))).collect();
    end(&mut r, ids[5]);
    assert_eq!(count(&r), 38, "none was left to open");
    end(&mut r, ids[6]);
    assert_eq!(count(&r), 38, "one is");
}

/// A peer that opens and resets as fast as it can never has more than was allowed at once, and
/// nothing that it does enlarges what it may have.
///
/// spec: R-FLOW-17 R-FLOW-3
#[test]
fn opening_and_resetting_gains_nothing() {
    let mut r = Receiver::poor();
    let before = (r.connection.lease(), r.connection.share().size());
    for n in 0..100_000 {
        assert!(n < r.connection.initial().max_streams_uni, "allowed in time");
        let id = peer(Dir::Uni, n);
        let stream = r.connection.open_peer(id).expect("allowed");
        r.streams.insert(id, stream);
        let size = n % 1000;
        let mut stream = r.streams.remove(&id).expect("open");
        stream.on_final(size, &mut r.connection, &mut r.budget, r.now).expect("inside");
        r.connection.retire(stream, &mut r.budget);
    }
    r.check();
    assert!(r.connection.initial().max_streams_uni <= 100_003);
    assert_eq!(r.connection.held(), 0);
    assert!(r.connection.lease() <= before.0 && r.connection.share().size() == before.1);
}

/// spec: R-FLOW-17
#[test]
fn a_peer_that_uses_all_streams_may_have_twice_as_many() {
    let limits = RecvLimits { max_streams_uni: 100, ..RecvLimits::default() };
    let mut r = Receiver::with(Budget::new(BudgetLimits::default()), limits);
    let count = |r: &Receiver| r.connection.initial().max_streams_uni;
    r.connection.on_streams_blocked(Dir::Uni, 36, &mut r.budget);
    assert_eq!(count(&r), 37, "not at the limit");
    r.connection.on_streams_blocked(Dir::Uni, 37, &mut r.budget);
    r.check();
    assert_eq!(count(&r), 74);
    for _ in 0..3 {
        let at = count(&r);
        r.connection.on_streams_blocked(Dir::Uni, at, &mut r.budget);
    }
    assert_eq!(count(&r), 100, "the configured maximum");
    let mut p = Receiver::poor();
    p.connection.on_streams_blocked(Dir::Uni, 3, &mut p.budget);
    p.check();
    assert_eq!(count(&p), 3, "no credit to cover more");
    assert!(p.connection.is_hungry());
    assert!(!p.budget.take_freed());
    p.enrich();
    assert!(p.budget.take_freed(), "worth another try");
    p.connection.top_up(p.streams.values_mut(), &mut p.budget);
    assert_eq!(count(&p), 6, "until there is some");
    assert!(!p.connection.is_hungry());
}

/// A recall that finds all of it used lowers what is wanted below what is there.
///
/// spec: R-FLOW-17, R-FLOW-21
#[test]
fn more_streams_are_allowed_after_a_recall_that_came_too_late() {
    let mut r = Receiver::usual();
    r.open(peer(Dir::Uni, 0));
    r.ask_back(u64::MAX);
    for sequence in 1..37 {
        r.open(peer(Dir::Uni, sequence));
    }
    r.returned(CreditTarget::Streams(Dir::Uni), 0).expect("none was left");
    for _ in 0..3 {
        for frame in r.wrote() {
            if let SentFrame::CreditRecall(target, total) = frame {
                r.returned(target, total).expect("what is free");
            }
        }
    }
    r.connection.on_streams_blocked(Dir::Uni, 37, &mut r.budget);
    r.check();
    assert!(r.connection.counts(Dir::Uni).allowed() > 37, "{:?}", r.connection.counts(Dir::Uni));
}

/// Nothing comes back to the pool, and still there is credit for who waits.
///
/// spec: R-FLOW-6, R-FLOW-18
#[test]
fn credit_that_frees_within_a_connection_is_tried_for() {
    let mut p = Receiver::poor();
    let mut mine = 0;
    while p.open_own(own(mine)) {
        mine += 1;
    }
    assert!(p.connection.is_hungry() && !p.budget.take_freed());
    p.connection.progress(&mut p.budget);
    assert!(!p.budget.take_freed(), "no more than who waits has found");
    p.finish(own(0), 0).expect("an empty answer");
    p.retire(own(0));
    assert!(p.budget.take_freed(), "worth another try");
    p.connection.top_up(p.streams.values_mut(), &mut p.budget);
    assert!(p.open_own(own(mine)));
    assert!(!p.budget.take_freed());
    // Where nobody waits nobody is called.
    let mut r = Receiver::usual();
    let id = r.open(peer(Dir::Uni, 0));
    r.finish(id, 0).expect("empty");
    r.retire(id);
    assert!(!r.connection.is_hungry() && !r.budget.take_freed());
}

/// However long a connection lives: no count is granted that MAX_STREAMS may not name.
///
/// spec: R-FRM-22
#[test]
fn the_count_of_streams_ends_where_frames_do() {
    let mut r = Receiver::usual();
    for dir in [Dir::Bi, Dir::Uni] {
        let lived = (1 << 60) - 9;
        let counts = r.connection.counts_mut(dir);
        (counts.limit, counts.opened, counts.highest) = (lived, lived, lived);
        counts.retired = lived;
        for _ in 0..3 {
            let limit = r.connection.counts(dir).limit;
            r.connection.on_streams_blocked(dir, limit, &mut r.budget);
        }
        let limit = r.connection.counts(dir).limit;
        assert!(limit > lived && limit <= 1 << 60, "{limit}");
    }
}

/// However much memory there is: no limit is granted that no frame could name.
///
/// spec: R-FLOW-18 R-FLOW-1
#[test]
fn our_own_streams_need_cover_for_the_answer() {
    let mut p = Receiver::poor();
    assert!(p.open_own(own(0)) && p.open_own(own(1)), "two are set aside");
    assert!(!p.open_own(own(2)), "and nothing else");
    p.finish(own(0), 0).expect("empty");
    p.retire(own(0));
    assert!(p.open_own(own(2)), "what one had, another has");
    // It is set aside: a stream of the peer's that would take everything does not get it.
    let greedy = p.open(peer(Dir::Uni, 0));
    p.finish(own(1), 0).expect("empty");
    p.retire(own(1));
    p.request(greedy, MIB);
    assert!(p.open_own(own(3)), "the peer has it");
    let mut r = Receiver::usual();
    for n in 0..200 {
        assert!(r.open_own(own(n)), "borrowed");
    }
    assert!(r.wrote().iter().any(|frame| matches!(frame, SentFrame::MaxData(_))));
}

/// spec: R-FLOW-6
#[test]
fn a_share_grows_with_demand_and_shrinks_when_streams_end() {
    let mut r = Receiver::usual();
    let free = r.budget.free();
    let id = r.open(peer(Dir::Uni, 0));
    r.request(id, 50 * MIB);
    assert_eq!(r.stream(id).limit(), 50 * MIB);
    assert!(r.budget.free() < free - 48 * MIB);
    r.data(id, 50 * MIB).expect("inside");
    r.finish(id, 50 * MIB).expect("inside");
    assert!(r.budget.free() < free - 48 * MIB, "still held");
    r.release(id, 50 * MIB);
    r.retire(id);
    assert!(r.budget.free() >= free, "all came back");
}

/// spec: R-FLOW-15
#[test]
fn what_is_no_stream_data_is_counted_and_refused_where_it_can_be() {
    let mut p = Receiver::poor();
    let room = FLOOR - p.connection.lease();
    assert!(p.connection.try_hold(room, &mut p.budget), "the headroom");
    assert!(!p.connection.try_hold(1, &mut p.budget), "and not a byte more");
    p.connection.hold(1000);
    assert_eq!(p.connection.held(), room + 1000, "a head has to be taken");
    p.check();
    let id = p.open(peer(Dir::Uni, 0));
    let credit = p.stream(id).limit();
    p.data(id, credit).expect("inside");
    p.release(id, credit);
    assert_eq!(p.stream(id).outstanding(), credit, "what is kept for a stream is still given");
    p.connection.unhold(1000);
    p.connection.unhold(room);
    assert_eq!(p.connection.held(), 0);
    let mut r = Receiver::usual();
    assert!(r.connection.try_hold(10 * MIB, &mut r.budget), "borrowed");
    r.check();
}

/// Recalls by way of stream counts and stream windows, answered by a faithful peer: the memory
/// comes back, and the connection's credit covers its streams at every step.
///
/// spec: R-FLOW-21 R-FLOW-19
#[test]
fn a_recall_takes_the_free_first_then_counts_then_windows() {
    let mut r = Receiver::usual();
    let id = r.open(peer(Dir::Uni, 0));
    r.request(id, 2 * MIB);
    r.settle();
    let share = r.connection.share().size();
    let recallable = r.connection.recallable();
    assert!(recallable > 3 * MIB / 2 + MIB && recallable <= r.connection.share().lent());
    r.ask_back(u64::MAX);
    assert_eq!(r.connection.recallable(), 0, "it is under way");
    let asked = r.wrote();
    let named = |target| {
        let is = |frame: &SentFrame| matches!(frame, SentFrame::CreditRecall(t, _) if *t == target);
        asked.iter().any(is)
    };
    for target in [
        CreditTarget::Connection,
        CreditTarget::Streams(Dir::Bi),
        CreditTarget::Streams(Dir::Uni),
        CreditTarget::Stream(id),
    ] {
        assert!(named(target), "{target:?} was not asked");
    }
    assert!(asked.contains(&SentFrame::CreditRecall(CreditTarget::Streams(Dir::Bi), 36)));
    assert!(asked.contains(&SentFrame::CreditRecall(CreditTarget::Streams(Dir::Uni), 35)));
    // The connection was asked for what was free: the 26 streams set aside for us.
    let credit = r.connection.initial().max_stream_data;
    assert!(asked.contains(&SentFrame::CreditRecall(CreditTarget::Connection, 26 * credit)));
    let mut frames = asked;
    while let Some(frame) = frames.pop() {
        if let SentFrame::CreditRecall(target, total) = frame {
            r.connection.on_acked(&frame, r.now);
            r.returned(target, total).expect("faithful");
        }
        frames.extend(r.wrote());
    }
    assert!(r.connection.recalls.is_empty() && r.connection.goal == 0);
    let kept = 3 * credit + r.connection.headroom;
    assert_eq!(r.connection.share().size(), kept.max(FLOOR), "a stream and two that may come");
    assert!(share - r.connection.share().size() >= recallable);
    assert_eq!(r.stream(id).outstanding(), credit);
    let wrong = r.connection.open_peer(peer(Dir::Bi, 1)).expect_err("given back");
    assert_eq!(wrong.code, TransportCode::StreamLimit);
    // It is no punishment: who needs more gets more.
    r.open(peer(Dir::Bi, 0));
    r.connection.on_streams_blocked(Dir::Bi, 37, &mut r.budget);
    assert_eq!(r.connection.initial().max_streams_bidi, 38);
    r.open(peer(Dir::Bi, 1));
}

/// All but the initial credit of each open stream, and of one more of each kind.
///
/// spec: R-FLOW-23
#[test]
fn what_could_be_asked_back_is_what_nobody_needs() {
    let mut r = Receiver::usual();
    let credit = r.connection.initial().max_stream_data;
    let at_first = r.connection.recallable();
    assert_eq!(at_first / credit, 98);
    for id in [peer(Dir::Uni, 0), peer(Dir::Uni, 1), peer(Dir::Bi, 0)] {
        r.open(id);
    }
    assert!(r.open_own(own(0)));
    assert_eq!(r.connection.recallable(), at_first - 4 * credit);
    assert!(r.connection.try_hold(MIB, &mut r.budget), "borrowed");
    let holding = r.connection.recallable();
    r.connection.unhold(MIB);
    let borrowed = MIB - CONNECTION_OVERHEAD;
    assert_eq!(r.connection.recallable(), holding + borrowed);
}

/// While an answer is under way nobody is asked again, also if a stream alone was asked.
///
/// spec: R-FLOW-23 R-STR-41
#[test]
fn nothing_could_be_asked_back_while_an_answer_is_under_way() {
    let mut r = Receiver::usual();
    let id = r.open(peer(Dir::Uni, 0));
    r.request(id, MIB);
    assert!(r.connection.recallable() > 0);
    r.on(id, |s, c, _| s.pause(c));
    assert_eq!(r.connection.recallable(), 0);
    let asked = r.stream(id).outstanding() - r.connection.initial().max_stream_data;
    r.returned(CreditTarget::Stream(id), asked).expect("asked");
    assert!(r.connection.recallable() > 0);
}

/// Streams that nobody opened yet come before what open ones have, and one kind may be enough.
///
/// spec: R-FLOW-21
#[test]
fn no_more_is_asked_for_than_is_wanted() {
    let mut r = Receiver::usual();
    let credit = r.connection.initial().max_stream_data;
    r.ask_back(31 * credit);
    let asked = r.wrote();
    let asked: Vec<_> =
        asked.iter().filter(|frame| matches!(frame, SentFrame::CreditRecall(..))).collect();
    let connection = SentFrame::CreditRecall(CreditTarget::Connection, 26 * credit);
    let streams = SentFrame::CreditRecall(CreditTarget::Streams(Dir::Uni), 5);
    assert_eq!(asked, [&streams, &connection]);
}

/// spec: R-FLOW-21
#[test]
fn one_question_is_open_for_each_target_at_a_time() {
    let mut r = Receiver::usual();
    r.ask_back(MIB / 4);
    let first = r.wrote();
    r.ask_back(MIB);
    assert_eq!(r.wrote(), [], "a second recall waits for the first");
    for frame in &first {
        r.connection.on_lost(frame);
    }
    assert_eq!(r.wrote(), first, "asked again when lost");
}

/// spec: R-FLOW-20
#[test]
fn counts_and_the_connection_take_back_only_what_was_asked() {
    let mut r = Receiver::usual();
    let all =
        [CreditTarget::Connection, CreditTarget::Streams(Dir::Bi), CreditTarget::Streams(Dir::Uni)];
    for target in all {
        let wrong = r.returned(target, 1).expect_err("unasked");
        assert_eq!(wrong.code, TransportCode::FlowControl);
    }
    for n in 0..10 {
        r.open(peer(Dir::Bi, n));
    }
    r.ask_back(u64::MAX);
    r.open(peer(Dir::Bi, 10));
    r.open(peer(Dir::Bi, 20));
    let wrong = r.returned(CreditTarget::Streams(Dir::Bi), 26).expect_err("20 is open");
    assert_eq!(wrong.code, TransportCode::FlowControl);
    r.returned(CreditTarget::Streams(Dir::Bi), 16).expect("21 are kept");
    r.open(peer(Dir::Bi, 19));
    let wrong = r.connection.open_peer(peer(Dir::Bi, 21)).expect_err("given back");
    assert_eq!(wrong.code, TransportCode::StreamLimit);
    let lease = r.connection.lease();
    r.wrote();
    assert_eq!(r.connection.lease(), lease, "asking takes nothing");
    let asked = r.connection.asked;
    r.returned(CreditTarget::Connection, asked).expect("asked");
    assert_eq!(r.connection.lease(), lease - asked);
}

/// spec: R-FLOW-22
#[test]
fn no_answer_to_an_acknowledged_recall_ends_the_connection() {
    let mut r = Receiver::usual();
    r.ask_back(MIB);
    let asked = r.wrote();
    assert_eq!(r.connection.deadline(PATIENCE), None, "not acknowledged: loss repairs that");
    for frame in &asked {
        r.connection.on_acked(frame, at(1000));
    }
    assert_eq!(r.connection.deadline(PATIENCE), Some(at(1300)));
    r.connection.on_deadline(PATIENCE, at(1299)).expect("early");
    for frame in &asked {
        if let SentFrame::CreditRecall(target @ CreditTarget::Streams(_), total) = *frame {
            r.returned(target, total).expect("asked");
        }
    }
    assert_eq!(r.connection.deadline(PATIENCE), Some(at(1300)), "the connection still owes one");
    let wrong = r.connection.on_deadline(PATIENCE, at(1300)).expect_err("overdue");
    assert_eq!(wrong.code, TransportCode::CreditRecall);
    for _ in 0..2 {
        let asked = r.connection.asked;
        r.returned(CreditTarget::Connection, asked).expect("asked");
    }
    assert_eq!(r.connection.deadline(PATIENCE), None);
    r.connection.on_deadline(PATIENCE, at(9999)).expect("answered");
}

/// spec: R-FLOW-22
#[test]
fn a_stream_that_ends_owes_no_answer() {
    let mut r = Receiver::usual();
    let id = r.open(peer(Dir::Uni, 0));
    r.request(id, MIB);
    r.ask_back(u64::MAX);
    for frame in r.wrote() {
        std::eprintln!("{frame:?}");
        if let SentFrame::CreditRecall(target, total) = frame {
            r.connection.on_acked(&frame, at(0));
            if target != CreditTarget::Stream(id) {
                r.returned(target, total).expect("asked");
            }
        }
    }
    assert!(r.connection.is_asked(id));
    r.finish(id, 10).expect("inside");
    assert!(!r.connection.is_asked(id));
}

/// spec: R-FLOW-3
#[test]
fn many_greedy_connections_stay_inside_the_bound() {
    let limits = BudgetLimits::new(2 * MIB, 32).expect("fits");
    let mut budget = Budget::new(limits);
    let (mut connections, mut held, mut streams) = (0, 0, 0);
    while let Some(share) = budget.open() {
        connections += 1;
        let mut connection = RecvCredit::new(share, Side::Responder, RecvLimits::default());
        let mut n = [0, 0];
        loop {
            let dir = if n[0] <= n[1] { Dir::Bi } else { Dir::Uni };
            let count = &mut n[usize::from(dir == Dir::Uni)];
            connection.on_streams_blocked(dir, *count, &mut budget);
            let Ok(mut stream) = connection.open_peer(peer(dir, *count)) else { break };
            *count += 1;
            connection.hold(STREAM_OVERHEAD);
            stream.request(u64::MAX, &mut connection, &mut budget);
            stream.on_data(stream.limit(), &mut connection, &mut budget, at(0)).expect("inside");
        }
        while connection.try_hold(1000, &mut budget) {}
        held += connection.held();
        streams += n[0] + n[1];
    }
    assert_eq!(connections, 32);
    assert!(held > limits.total() / 2, "the attack held something: {held}");
    assert!(held <= limits.total() + streams * STREAM_OVERHEAD, "{held} bytes are held");
}

proptest! {
    /// Against a plain count of what a peer could make us hold.
    ///
    /// spec: R-FLOW-1 R-FLOW-2 R-FLOW-14
    #[test]
    fn invariants_hold_under_any_verbs(
        rich in any::<bool>(),
        steps in proptest::collection::vec((0..12_u8, 0..6_u64, 0..40_000_u64), 1..150),
    ) {
        let mut r = if rich { Receiver::usual() } else { Receiver::poor() };
        for (n, (verb, which, amount)) in steps.into_iter().enumerate() {
            r.now = at(n as u64 * 7);
            let dir = if which % 2 == 0 { Dir::Uni } else { Dir::Bi };
            let id = match which {
                5 => own(0),
                _ => peer(dir, which / 2),
            };
            act(&mut r, verb, id, amount);
            r.check();
        }
    }
}

fn act(r: &mut Receiver, verb: u8, id: StreamId, amount: u64) {
    if !r.streams.contains_key(&id) {
        if id.opener() == Side::Responder {
            r.open_own(id);
        } else if let Ok(stream) = r.connection.open_peer(id) {
            r.streams.insert(id, stream);
        }
        return;
    }
    let (limit, highest, held) =
        (r.stream(id).limit(), r.stream(id).highest(), r.stream(id).held());
    match verb {
        0..3 => drop(r.data(id, limit.min(highest + amount))),
        3 => drop(r.data(id, highest + amount)),
        4 => drop(r.finish(id, limit.min(highest + amount % 64))),
        5 | 6 => r.release(id, held.min(amount)),
        7 => r.request(id, highest + amount),
        8 => r.blocked(id, limit),
        9 => r.ask_back(amount * 10),
        10 => {
            for frame in r.wrote() {
                if let SentFrame::CreditRecall(target, total) = frame {
                    let _ = r.returned(target, total - total.min(amount % 3));
                }
            }
        }
        _ if r.stream(id).is_final() => {
            r.streams.get_mut(&id).expect("open").abandon(&mut r.connection);
        }
        _ => {
            r.max_ranges(id, amount % 200);
            r.connection.on_streams_blocked(
                id.dir(),
                r.connection.counts(id.dir()).limit,
                &mut r.budget,
            );
        }
    }
}

#[path = "recv_ends_tests.rs"]
mod ends;
