//! What the ledger learns of a path: round trips, marks, rates, holes and reordering.

use super::*;

/// spec: R-REC-18
#[test]
fn the_largest_newly_acknowledged_is_measured() {
    let mut s = Sender::new();
    s.burst(A, 3);
    s.wait(ms(40));
    s.try_ack(&[0..2], ms(7)).unwrap();
    let sample = s.outcome(A).rtt.unwrap();
    assert_eq!((sample.latest, sample.ack_delay), (ms(40), ms(7)));
    // 1 is known: that 0 comes late says nothing of the time.
    let mut late = Sender::new();
    late.burst(A, 3);
    late.wait(ms(40));
    late.ack(&[1..2]);
    late.wait(ms(1));
    late.ack(&[0..2]);
    assert_eq!((late.acked(), late.outcome(A).rtt), (vec![0], None));
    // A bare ACK is answered by nobody, but if its number is the largest of an answer, it counts
    // ...
    let mut bare = Sender::new();
    bare.send(A);
    bare.wait(ms(10));
    let number = bare.send_bare(A);
    bare.wait(ms(30));
    bare.ack(&[0..number + 1]);
    assert_eq!(bare.outcome(A).rtt.unwrap().latest, ms(30));
    // ... unless nothing is answered, or something on another path.
    bare.send_bare(A);
    bare.ack(&[0..3]);
    assert!(bare.out.paths.is_empty());
    bare.send(B);
    bare.send_bare(A);
    bare.ack(&[3..5]);
    assert_eq!((bare.outcome(A).rtt, bare.outcome(B).rtt), (None, None));
    assert_eq!(bare.acked(), [3]);
}

/// The counts of marks ride on the newest ACK only, for an older one may arrive late.
#[test]
fn marks_are_taken_from_the_newest_ack() {
    let mut s = Sender::new();
    s.burst(A, 4);
    s.ack(&[1..3]);
    assert_eq!(s.outcome(A).ecn, Some(EcnCounts { ect0: 9, ect1: 0, ce: 1 }));
    s.ack(&[0..1]);
    assert!(s.outcome(A).rtt.is_some());
    assert_eq!((s.acked(), s.outcome(A).ecn), (vec![0], None));
}

/// spec: R-REC-4
#[test]
fn the_delivery_rate_is_that_of_the_bottleneck() {
    // 1,200 bytes leave every 100 us and come through one a millisecond.
    let mut s = Sender::with_rtt(ms(20));
    let start = s.now;
    let mut rates = Vec::new();
    for tick in 0..3_000_u64 {
        s.now = start + Duration::from_micros(100 * tick);
        if s.ledger.in_flight(A) < 60_000 {
            s.send(A);
        }
        if tick > 200 && tick % 10 == 0 {
            let number = tick / 10 - 21;
            s.ack(&[number..number + 1]);
            let sample = s.outcome(A).rate.unwrap();
            assert!(!sample.app_limited);
            rates.push(sample.bytes_per_second());
        }
    }
    // No sample is above what came through, and once the pipe is full all are close to it.
    assert!(rates.iter().all(|rate| *rate <= 1_200_000), "{rates:?}");
    assert!(rates[100..].iter().all(|rate| *rate >= 1_150_000), "{rates:?}");
}

/// A burst of ACKs makes no path faster: sending took longer, and that counts.
///
/// spec: R-REC-4
#[test]
fn held_back_acks_do_not_raise_the_rate() {
    let mut s = Sender::with_rtt(ms(20));
    for _ in 0..10 {
        s.send(A);
        s.wait(ms(10));
    }
    s.wait(ms(100));
    s.ack(&[0..5]);
    s.send(A);
    s.wait(ms(10));
    s.ack(&[5..11]);
    let sample = s.outcome(A).rate.unwrap();
    // The fifth left at 40 ms, the eleventh at 200.
    assert_eq!((sample.delivered, sample.interval), (6 * 1_200, ms(160)));
    assert_eq!((sample.prior_delivered, sample.total_delivered), (5 * 1_200, 11 * 1_200));
}

/// Lesson 24: a trickle is marked, and the mark ends when what was in flight then is delivered.
///
/// spec: R-REC-4
#[test]
fn a_sender_with_nothing_to_send_says_so() {
    let mut s = Sender::with_rtt(ms(20));
    s.send(A);
    s.ledger.on_app_limited(A);
    s.send(A);
    s.wait(ms(20));
    s.ack(&[0..1]);
    assert!(!s.outcome(A).rate.unwrap().app_limited, "it left before");
    let marked_too = s.send(A);
    s.ack(&[0..2]);
    assert!(s.outcome(A).rate.unwrap().app_limited && s.outcome(A).app_limited);
    let unmarked = s.send(A);
    s.wait(ms(20));
    s.ack(&[marked_too..marked_too + 1]);
    assert!(s.outcome(A).rate.unwrap().app_limited, "only just all was delivered when it left");
    s.wait(ms(1));
    s.ack(&[unmarked..unmarked + 1]);
    assert!(!s.outcome(A).rate.unwrap().app_limited);
    // Standing clock: no time, no sample.
    let next = s.send(A);
    s.ack(&[next..next + 1]);
    assert_eq!(s.outcome(A).rate, None);
}

/// spec: R-REC-32
#[test]
fn samples_know_their_flight_and_what_it_lost() {
    let mut s = Sender::with_rtt(ms(20));
    let first = s.ledger.next_number;
    for _ in 0..100 {
        s.send(A);
    }
    s.wait(ms(20));
    // Of a hundred the second, third and fifth are missing.
    s.ack(&[first + 5..first + 50, first + 3..first + 4, first..first + 1]);
    let outcome = s.outcome(A);
    let sample = outcome.rate.unwrap();
    assert_eq!((sample.tx_in_flight, sample.lost), (50 * 1_200, 0));
    assert_eq!((outcome.lost_packets, outcome.lost_ranges), (3, 2));
    // The fifth packet had five in flight: three lost of five are the most beyond 2 %.
    let excess = outcome.excess_loss.unwrap();
    assert_eq!((excess.tx_in_flight, excess.lost, excess.size), (6_000, 3_600, 1_200));
    // Three of a hundred are lost since the last of them left.
    s.ack(&[first + 50..first + 100]);
    let sample = s.outcome(A).rate.unwrap();
    assert_eq!((sample.tx_in_flight, sample.lost), (100 * 1_200, 3 * 1_200));
    // A flight that loses no more than one in fifty has no excess.
    let first = s.burst(A, 100).start;
    s.wait(ms(20));
    s.ack(&[first..first + 60]);
    s.ack(&[first + 61..first + 90]);
    assert_eq!((s.outcome(A).lost_packets, s.outcome(A).excess_loss), (1, None));
}

/// A hole that is found one packet after another is one hole.
///
/// spec: R-REC-35
#[test]
fn a_hole_is_one_run_however_it_is_found() {
    let mut s = Sender::with_rtt(ms(100));
    s.burst(A, 20);
    s.wait(ms(100));
    // Ten are missing, and what comes behind them comes one by one.
    s.ack(&[0..5]);
    let mut ranges = 0;
    for last in 15..20 {
        s.ack(&[15..last + 1]);
        ranges += s.outcome(A).lost_ranges;
    }
    assert_eq!((s.ledger.stats().lost, ranges), (10, 1));
    // Of packets sent further apart, each is a run of its own.
    let first = s.burst(A, 20).start;
    s.wait(ms(100));
    s.ack(&[first + 1..first + 2, first + 3..first + 9]);
    assert_eq!((s.outcome(A).lost_packets, s.outcome(A).lost_ranges), (2, 2));
}

/// Scenario 51: a path that reorders teaches patience, and one that only loses has it forgotten.
///
/// spec: R-REC-36
#[test]
fn reordering_is_learnt_and_forgotten() {
    let mut s = Sender::with_rtt(ms(100));
    s.burst(A, 12);
    s.wait(ms(100));
    s.ack(&[1..10]);
    assert_eq!(s.lost(), [0]);
    s.wait(ms(1));
    s.ack(&[0..10]);
    assert_eq!(s.ledger.stats().spurious, 1);
    // Nine had come before it: now it takes ten.
    let first = s.burst(A, 20).start;
    s.wait(ms(100));
    s.ack(&[10..12, first + 1..first + 10]);
    assert_eq!(s.lost(), NONE);
    s.ack(&[first + 10..first + 11]);
    assert_eq!(s.lost(), [first]);
    s.ack(&[first + 11..first + 20]);
    // One that takes half as long again makes time count for more as well.
    s.wait(ms(50));
    s.ack(&[first..first + 1]);
    let sent = s.now;
    let two = s.burst(A, 2);
    s.wait(ms(100));
    s.ack(&[two.start + 1..two.end]);
    let wait = s.rtt().loss_delay(4);
    assert!(s.deadline().unwrap() >= sent + wait, "{:?}", s.deadline());
    assert_eq!(s.fire(), Fired::Nothing);
    assert_eq!(s.lost(), [two.start]);
    // Sixteen runs of losses that were real.
    for _ in 0..16 {
        let first = s.burst(A, 80).start;
        s.wait(ms(100));
        s.ack(&[first + 1..first + 80]);
        assert_eq!(s.lost(), [first]);
    }
    let first = s.burst(A, 4).start;
    s.wait(ms(100));
    s.ack(&[first + 1..first + 4]);
    assert_eq!(s.lost(), [first]);
}
