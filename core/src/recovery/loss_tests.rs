//! What is lost.

use alloc::collections::VecDeque;

use super::*;

/// spec: R-REC-20
#[test]
fn the_third_later_packet_proves_a_loss() {
    let mut s = Sender::with_rtt(ms(100));
    s.burst(A, 5);
    s.wait(ms(100));
    s.ack(&[1..3]);
    assert_eq!(s.lost(), NONE);
    s.ack(&[1..4]);
    assert_eq!(s.lost(), [0]);
    // Numbers of bare ACKs, of skipped ones and of another path are no packets of this path.
    let mut s = Sender::with_rtt(ms(100));
    s.send(A);
    s.send_bare(A);
    s.burst(B, 5);
    s.ledger.next_number += 5;
    let late = s.burst(A, 2);
    s.wait(ms(100));
    s.ack(&[2..7, late.clone()]);
    assert_eq!(s.lost(), NONE);
    let third = s.send(A);
    s.ack(&[third..third + 1]);
    assert_eq!(s.lost(), [0]);
}

/// spec: R-REC-20
#[test]
fn nine_eighths_of_a_round_trip_prove_a_loss() {
    let mut s = Sender::with_rtt(ms(80));
    let sent = s.now;
    s.burst(A, 2);
    s.wait(ms(80));
    s.ack(&[1..2]);
    assert_eq!(s.lost(), NONE);
    assert_eq!(s.deadline(), Some(sent + ms(90)));
    assert_eq!(s.fire(), Fired::Nothing);
    assert_eq!(s.lost(), [0]);
    assert_eq!(s.outcome(A).largest_lost_sent, Some(sent));
    assert_eq!(s.deadline(), None);
    // On a fast path never below a millisecond.
    let mut s = Sender::with_rtt(Duration::from_micros(10));
    let sent = s.now;
    s.burst(A, 2);
    s.wait(Duration::from_micros(10));
    s.ack(&[1..2]);
    assert_eq!(s.deadline(), Some(sent + ms(1)));
}

/// Lesson 13: twenty in a row at 135 ms are known lost with the first packet behind that arrives.
///
/// spec: R-REC-20
#[test]
fn a_burst_is_lost_at_once() {
    let mut s = Sender::with_rtt(ms(135));
    s.burst(A, 40);
    s.wait(ms(135));
    s.ack(&[0..10, 30..33]);
    assert_eq!(s.lost(), (10..30).collect::<Vec<_>>());
    assert_eq!(s.outcome(A).lost_bytes, 24_000);
    assert_eq!(s.outcome(A).smallest_lost_size, Some(SIZE));
}

/// Lesson 12, scenario 51: jitter within the RTT's variance and late ACKs cause no timeout;
/// reordering that is not of three packets causes no loss.
///
/// spec: R-REC-20, R-REC-24
#[test]
fn a_path_without_loss_sees_none() {
    for rtt in [1, 150, 200] {
        let mut s = Sender::new();
        s.send(A);
        s.wait(ms(rtt));
        s.ack(&[0..1]);
        for round in 0..500 {
            let burst = s.burst(A, 8);
            s.wait(ms(rtt));
            assert!(s.deadline().unwrap() >= s.now, "round {round} at {rtt} ms");
            // The last two changed places.
            s.ack(&[burst.start..burst.end - 2, burst.end - 1..burst.end]);
            assert_eq!(s.lost(), NONE);
            s.ack(&[burst]);
            assert_eq!(s.ledger.in_flight(A), 0);
            // One that is alone the peer leaves waiting as long as it may.
            let alone = s.send(A);
            s.wait(ms(rtt) + ACK_DELAY);
            assert!(s.deadline().unwrap() >= s.now, "round {round} at {rtt} ms");
            s.try_ack(&[alone..alone + 1], ACK_DELAY).unwrap();
        }
        assert_eq!(s.ledger.stats().probe_timeouts + s.ledger.stats().lost, 0);
    }
}

/// The example of RFC 9002 section 7.6.3: packets each second, a probe timeout of 2 s.
///
/// spec: R-REC-21
#[test]
fn everything_lost_for_long_is_persistent_congestion() {
    let second = ms(1_000);
    for (hole, persistent) in [(None, true), (Some(5), false)] {
        let mut s = Sender::with_rtt(second);
        // The first sample is of a packet before.
        s.send(A);
        s.ack(&[0..1]);
        for estimate in &mut s.rtts {
            *estimate = Rtt::new();
            (0..100).for_each(|_| estimate.on_sample(second, Duration::ZERO, ACK_DELAY));
        }
        for _ in 0..9 {
            s.wait(second);
            s.send(A);
        }
        s.wait(second * 2);
        let hole = hole.map(|hole| hole..hole + 1);
        s.ack(&[hole.unwrap_or(9..10), 9..10]);
        assert_eq!(s.outcome(A).persistent_congestion, persistent);
        assert_eq!(s.ledger.stats().persistent_congestion, u64::from(persistent));
    }
}

/// spec: R-REC-21
#[test]
fn persistent_congestion_needs_a_sample_and_time() {
    // No sample before: all may have been too slow.
    let mut s = Sender::with_rtt(ms(10));
    for _ in 0..9 {
        s.send(A);
        s.wait(ms(1_000));
    }
    s.ack(&[8..9]);
    assert_eq!(s.lost().len(), 8);
    assert!(!s.outcome(A).persistent_congestion);
    // Three timeouts of 10 + 1 + 25 ms are 108 ms; exactly so long is not longer.
    for (long, persistent) in [(108, false), (109, true)] {
        let mut s = Sender::with_rtt(ms(10));
        s.send(A);
        s.wait(ms(10));
        s.ack(&[0..1]);
        s.wait(ms(1));
        s.send(A);
        s.wait(ms(long));
        s.burst(A, 4);
        s.wait(ms(10));
        assert_eq!(s.rtt().pto(ACK_DELAY), ms(36));
        s.ack(&[5..6]);
        assert_eq!(s.lost(), [1, 2]);
        assert_eq!(s.outcome(A).persistent_congestion, persistent);
    }
}

/// spec: R-REC-22
#[test]
fn the_loss_of_a_size_probe_is_no_congestion() {
    let mut s = Sender::with_rtt(ms(50));
    s.send_sized(A, 1_452, true);
    s.burst(A, 3);
    s.wait(ms(50));
    s.ack(&[1..4]);
    let outcome = s.outcome(A);
    assert_eq!((outcome.mtu_lost, outcome.mtu_acked), (Some(1_452), None));
    assert_eq!((outcome.lost_bytes, outcome.lost_packets), (0, 0));
    assert_eq!((outcome.largest_lost_sent, outcome.smallest_lost_size), (None, None));
    let probe = s.send_sized(A, 1_400, true);
    s.ack(&[probe..probe + 1]);
    assert_eq!(s.outcome(A).mtu_acked, Some(1_400));
    // Two lost probes far apart show nothing either.
    let mut s = Sender::with_rtt(ms(10));
    s.send(A);
    s.ack(&[0..1]);
    for wait in [1, 60_000, 1] {
        s.wait(ms(wait));
        s.send_sized(A, 1_452, true);
    }
    s.send(A);
    s.ack(&[4..5]);
    assert_eq!(s.outcome(A).mtu_lost, Some(1_452));
    assert!(!s.outcome(A).persistent_congestion);
}

/// Lesson 5: one packet's content is swallowed each time it is sent, all else arrives. It is
/// declared lost each time, and never holds back the bytes of anything else.
///
/// spec: R-REC-20, R-REC-13
#[test]
fn a_black_hole_for_one_packet_holds_nothing() {
    let mut s = Sender::with_rtt(ms(50));
    for _ in 0..100 {
        let victim = s.send(A);
        let rest = s.burst(A, 3);
        s.wait(ms(50));
        s.ack(&[rest]);
        assert_eq!(s.lost(), [victim]);
        assert_eq!(s.ledger.in_flight(A), 0);
    }
}

/// spec: R-REC-27
#[test]
fn a_reliable_carrier_that_closes_loses_all() {
    let mut s = Sender::with_rtt(ms(50));
    s.ledger.set_carriage(A, Carriage::Reliable);
    s.burst(A, 20);
    s.wait(ms(60_000));
    s.ack(&[0..10]);
    assert_eq!(s.lost(), NONE, "no time passes that would prove a loss");
    assert_eq!(s.ledger.in_flight(A), 12_000);
    s.out.clear();
    s.ledger.declare_lost_all(A, &mut s.out);
    assert_eq!(s.lost(), (10..20).collect::<Vec<_>>());
    assert!(s.out.paths.is_empty(), "no congestion");
    assert_eq!((s.ledger.in_flight(A), s.ledger.has_in_flight()), (0, false));
    // An ACK that was still under way finds nothing.
    s.ack(&[0..20]);
    assert!(s.out.is_empty());
}

/// A stream keeps its order: what is not acknowledged although a later packet is was dropped by
/// who received it (too fragmented, too old for its replay window or its keys).
///
/// spec: R-REC-27
#[test]
fn what_a_later_packet_of_a_stream_left_behind_is_lost() {
    for suspended in [false, true] {
        let mut s = Sender::with_rtt(ms(50));
        s.ledger.set_carriage(B, Carriage::Reliable);
        s.active = B;
        s.burst(B, 5);
        s.burst(A, 1);
        if suspended {
            s.ledger.on_suspended(B);
        }
        s.wait(ms(50));
        s.ack(&[0..2, 3..4]);
        assert_eq!(s.lost(), [2], "and 4 may yet come");
        assert!(!s.outcome(B).persistent_congestion);
        assert_eq!(s.ledger.stats().probe_timeouts, 0);
        assert_eq!(s.ledger.packets_in_flight(B), 1);
        // Another path proves nothing.
        s.ack(&[5..6]);
        assert_eq!(s.lost(), NONE);
        // It was only late to be named.
        s.ack(&[2..3]);
        assert_eq!(s.ledger.stats().spurious, 1);
    }
}

/// spec: R-REC-28
#[test]
fn a_blocked_carrier_is_not_to_blame() {
    let mut s = Sender::with_rtt(ms(50));
    s.burst(A, 10);
    s.ledger.on_suspended(A);
    assert_eq!(s.deadline(), None);
    s.wait(ms(10_000));
    assert_eq!(s.fire_now(), Fired::Nothing);
    s.ack(&[6..8]);
    assert_eq!((s.acked(), s.lost()), (vec![6, 7], vec![]));
    assert_eq!(s.deadline(), None);
    // It takes packets again: waiting begins now.
    s.ledger.on_resumed(A, s.now);
    let resumed = s.now;
    assert_eq!(s.deadline(), Some(resumed + s.rtt().loss_delay(1)));
    s.ack(&[8..9]);
    assert_eq!(s.lost(), [0, 1, 2, 3, 4, 5]);
    assert_eq!(s.deadline(), Some(resumed + s.rtt().pto(ACK_DELAY)), "9 has nothing behind it");
    // Without an answer: probes, and the peer is lost only by what it missed since.
    let mut s = Sender::with_rtt(ms(50));
    s.burst(A, 2);
    for _ in 0..20 {
        s.ledger.on_suspended(A);
        s.wait(ms(10_000));
        s.ledger.on_resumed(A, s.now);
        assert_eq!(s.deadline(), Some(s.now + s.rtt().pto_base()));
        s.ledger.on_suspended(A);
    }
    s.ledger.on_resumed(A, s.now);
    let resumed = s.now;
    assert_eq!(s.fire(), Fired::Probe { count: 2 });
    assert_eq!(s.now, resumed + ms(51));
}

/// spec: R-REC-29
#[test]
fn a_path_left_behind_is_cleared() {
    let mut s = Sender::with_rtt(ms(50));
    s.burst(A, 5);
    let left = s.now;
    s.active = B;
    s.wait(ms(1));
    let burst = s.burst(B, 5);
    s.wait(ms(50));
    s.ack(&[burst]);
    assert_eq!(s.lost(), NONE, "another path proves nothing");
    assert_eq!(s.deadline(), Some(left + s.rtt().pto(ACK_DELAY) * 3));
    assert_eq!(s.fire(), Fired::Nothing);
    assert_eq!(s.lost(), [0, 1, 2, 3, 4]);
    assert!(s.out.paths.is_empty(), "no congestion");
    assert_eq!((s.ledger.in_flight(A), s.deadline()), (0, None));
}

/// What went by the new way after data left the old one has come, and the ACK names nothing of what
/// was under way there.
///
/// spec: R-REC-42
#[test]
fn what_a_path_left_behind_swallowed_is_known_lost_by_the_next_answer() {
    let mut s = Sender::with_rtt(ms(50));
    let first = s.send(A);
    s.wait(ms(50));
    s.ack(&[first..first + 1]);
    let under_way = s.burst(A, 3);
    s.active = B;
    s.ledger.on_moved(B, s.now);
    let left = s.now;
    let asked = s.send(B);
    // Challenges there prolong no waiting.
    s.wait(ms(40));
    s.send(A);
    s.wait(ms(10));
    s.ack(&[asked..asked + 1]);
    assert_eq!(s.lost(), NONE, "what went at the same moment may come a little later");
    let delay = s.rtt().loss_delay(1);
    assert_eq!(s.deadline(), Some(left + delay));
    assert_eq!(s.fire(), Fired::Nothing);
    assert_eq!(s.lost().len(), 4);
    assert!(s.out.paths.is_empty(), "no congestion");
    assert_eq!((s.ledger.in_flight(A), s.deadline()), (0, None));
    assert_eq!(under_way.count(), 3);
}

/// A path that data has left is waited for while it brings something, and where nothing is known of
/// it; what is sent there meanwhile prolongs nothing.
///
/// spec: R-REC-29, R-REC-42
#[test]
fn a_path_left_behind_that_still_brings_something_is_waited_for() {
    for (known, brings) in [(true, false), (true, true), (false, false)] {
        let mut s = Sender::with_rtt(ms(50));
        if known {
            let first = s.send(A);
            s.wait(ms(50));
            s.ack(&[first..first + 1]);
        }
        let under_way = s.burst(A, 3);
        s.active = B;
        s.ledger.on_moved(B, s.now);
        let left = s.now;
        let asked = s.send(B);
        s.wait(ms(50));
        if brings {
            s.ack(&[under_way.start..under_way.start + 1]);
        }
        let heard = s.now;
        s.ack(&[asked..asked + 1]);
        s.send(A);
        let passed = ms(50) * 9 / 8;
        let waited = left + s.rtt().pto(ACK_DELAY) * 3;
        let expected = match (known, brings) {
            (true, true) => heard + passed,
            (true, false) => left + passed,
            (false, _) => waited,
        };
        assert_eq!(s.deadline(), Some(expected.min(waited)), "known {known}, brings {brings}");
    }
}

/// From a slow way to a fast one: what is under way on the slow one has all its time.
///
/// spec: R-REC-29
#[test]
fn a_slow_path_left_for_a_fast_one_is_waited_for() {
    let mut s = Sender::with_rtt(ms(600));
    let first = s.send(A);
    s.wait(ms(600));
    s.ack(&[first..first + 1]);
    let under_way = s.burst(A, 5);
    s.rtts[1] = Rtt::new();
    for _ in 0..100 {
        s.rtts[1].on_sample(ms(10), Duration::ZERO, ACK_DELAY);
    }
    s.active = B;
    s.ledger.on_moved(B, s.now);
    let asked = s.send(B);
    s.wait(ms(10));
    s.ack(&[asked..asked + 1]);
    assert!(s.deadline().is_some_and(|at| at > s.now + ms(600)));
    s.wait(ms(590));
    assert_eq!(s.fire_now(), Fired::Nothing);
    assert_eq!(s.lost(), NONE);
    s.ack(std::slice::from_ref(&under_way));
    assert_eq!(s.acked(), under_way.collect::<Vec<_>>());
    assert_eq!(s.deadline(), None);
}

/// Back and forth, each time before the other way could answer: both bring everything, and nothing
/// is lost.
///
/// spec: R-REC-42
#[test]
fn going_back_and_forth_loses_nothing() {
    let mut s = Sender::with_rtt(ms(50));
    let mut under_way = VecDeque::new();
    for turn in 0..40 {
        s.active = [A, B][turn % 2];
        s.ledger.on_moved(s.active, s.now);
        under_way.push_back((s.now + ms(50), s.burst(s.active, 3)));
        s.wait(ms(20));
        while under_way.front().is_some_and(|(due, _)| *due <= s.now) {
            let (_, burst) = under_way.pop_front().unwrap();
            s.ack(&[burst]);
        }
        if s.deadline().is_some_and(|at| at <= s.now) {
            assert_eq!(s.fire(), Fired::Nothing);
        }
        assert_eq!(s.lost(), NONE, "turn {turn}");
    }
    assert_eq!(s.ledger.stats().lost, 0);
}

/// A stream may be slow and bring everything; but what it holds back for long is not waited for.
///
/// spec: R-REC-29
#[test]
fn a_stream_left_behind_is_cleared_later() {
    for suspended in [false, true] {
        let mut s = Sender::with_rtt(ms(50));
        s.ledger.set_carriage(A, Carriage::Reliable);
        s.burst(A, 5);
        let left = s.now;
        if suspended {
            s.ledger.on_suspended(A);
        }
        s.active = B;
        assert_eq!(s.deadline(), Some(left + ms(10_000)));
        assert_eq!(s.fire(), Fired::Nothing);
        assert_eq!(s.lost(), [0, 1, 2, 3, 4]);
        assert_eq!((s.ledger.in_flight(A), s.deadline()), (0, None));
    }
}
