//! What the ledger tells of itself.

use super::*;

/// A promise of the peer counts in each timeout of a packet that is alone, up to 2^14 ms.
///
/// spec: R-REC-24
#[test]
fn a_promise_is_believed_up_to_sixteen_seconds() {
    for (promise, believed) in [(40, 40), (16_384, 16_384), (16_385, 16_384), (1 << 40, 16_384)] {
        let mut s = Sender::with_rtt(ms(100));
        s.ledger.set_peer_max_ack_delay(ms(promise));
        s.send(A);
        assert_eq!(s.deadline(), Some(s.now + ms(101) + ms(believed)));
    }
}

#[test]
fn the_highest_that_was_acknowledged_is_known() {
    let mut s = Sender::with_rtt(ms(100));
    s.burst(A, 9);
    assert_eq!(s.ledger.largest_acked(), None);
    s.ack(&[2..5]);
    assert_eq!(s.ledger.largest_acked(), Some(PacketNumber(4)));
    s.ack(&[0..2]);
    assert_eq!(s.ledger.largest_acked(), Some(PacketNumber(4)), "it falls no more");
}

#[test]
fn there_is_something_to_look_at_if_anything_came_back() {
    assert!(Settled::default().is_empty());
    let receipts = || vec![receipt(1)];
    let acked = Settled { acked: receipts(), ..Settled::default() };
    let lost = Settled { lost: receipts(), ..Settled::default() };
    let mut learnt = Settled::default();
    learnt.outcome(A, 0);
    for mut settled in [acked, lost, learnt] {
        assert!(!settled.is_empty(), "{settled:?}");
        settled.clear();
        assert!(settled.is_empty());
    }
}

/// From when there was nothing to send until what was in flight then is delivered.
///
/// spec: R-REC-4
#[test]
fn who_has_nothing_to_send_is_limited_for_a_while() {
    let mut s = Sender::with_rtt(ms(20));
    assert!(!s.ledger.is_app_limited(A), "nobody knows the path");
    s.burst(A, 2);
    s.ledger.on_app_limited(A);
    s.send(B);
    assert!(s.ledger.is_app_limited(A) && !s.ledger.is_app_limited(B));
    s.send(A);
    s.wait(ms(20));
    s.ack(&[0..2]);
    assert!(s.ledger.is_app_limited(A), "nothing of later is delivered");
    s.ack(&[3..4]);
    assert!(!s.ledger.is_app_limited(A));
}

/// spec: R-REC-13
#[test]
fn something_is_in_flight_until_all_of_it_is_settled() {
    let mut s = Sender::with_rtt(ms(20));
    s.send_bare(A);
    assert!(!s.ledger.has_in_flight(), "no ACK will come for it");
    s.send(A);
    s.send(B);
    assert_eq!((s.ledger.packets_in_flight(A), s.ledger.packets_in_flight(B)), (1, 1));
    s.ack(&[1..2]);
    assert!(s.ledger.has_in_flight());
    s.ack(&[2..3]);
    assert!(!s.ledger.has_in_flight());
}

/// spec: R-REC-18
#[test]
fn a_largest_that_is_known_already_measures_nothing() {
    let mut s = Sender::with_rtt(ms(100));
    s.burst(A, 2);
    s.send_bare(A);
    s.wait(ms(100));
    s.ack(&[1..3]);
    assert_eq!(s.outcome(A).rtt.unwrap().latest, ms(100));
    s.wait(ms(70));
    s.ack(&[0..3]);
    assert_eq!((s.acked(), s.outcome(A).rtt), (vec![0], None));
}

#[test]
fn an_outcome_counts_what_is_new() {
    let mut s = Sender::with_rtt(ms(100));
    s.burst(A, 4);
    let sent = s.now;
    s.wait(ms(100));
    s.ack(&[0..1, 2..3]);
    let outcome = s.outcome(A);
    assert_eq!((outcome.acked_packets, outcome.acked_bytes), (2, 2_400));
    assert_eq!(outcome.largest_acked, Some(PacketNumber(2)));
    assert_eq!(outcome.largest_acked_sent, Some(sent));
    s.ack(&[0..3]);
    assert_eq!(
        (s.outcome(A).acked_packets, s.outcome(A).largest_acked),
        (1, Some(PacketNumber(1)))
    );
}

#[test]
fn a_packet_flies_until_its_fate_is_known() {
    let mut s = Sender::with_rtt(ms(100));
    s.burst(A, 5);
    let bare = s.send_bare(A);
    s.ledger.next_number += 1;
    let last = s.send(A);
    s.ack(&[1..5]);
    assert_eq!(s.lost(), [0]);
    let flying = (0..last + 5).filter(|number| s.ledger.is_flying(PacketNumber(*number)));
    assert_eq!(flying.collect::<Vec<_>>(), [last], "nor {bare}, which elicits nothing");
}

/// Data leaves a path and may come back to it.
#[test]
fn what_flies_on_a_path_that_is_left_is_lost() {
    let mut s = Sender::with_rtt(ms(100));
    s.burst(A, 3);
    s.send(B);
    s.ledger.abandon(A, &mut s.out);
    assert_eq!(s.lost(), [0, 1, 2]);
    assert!(s.out.paths.is_empty(), "no congestion");
    assert_eq!((s.ledger.in_flight(A), s.ledger.packets_in_flight(B)), (0, 1));
    let back = s.send(A);
    s.ack(&[0..1, back..back + 1]);
    assert_eq!(s.acked(), [back], "what was given up is not heard of again");
}

#[test]
fn packets_and_their_fates_are_counted() {
    let mut s = Sender::with_rtt(ms(100));
    s.send_bare(A);
    s.burst(A, 6);
    s.wait(ms(100));
    s.ack(&[2..6]);
    assert_eq!(s.lost(), [1]);
    s.ack(&[1..2]);
    assert_eq!(s.fire(), Fired::Probe { count: 2 });
    let counted = LedgerStats {
        packets_sent: 7,
        eliciting_sent: 6,
        acked: 4,
        lost: 1,
        spurious: 1,
        acks: 2,
        probe_timeouts: 1,
        persistent_congestion: 0,
    };
    assert_eq!(s.ledger.stats(), counted);
}

#[test]
fn counters_of_many_are_summed() {
    let of = |n| LedgerStats {
        packets_sent: n,
        eliciting_sent: 2 * n,
        acked: 3 * n,
        lost: 4 * n,
        spurious: 5 * n,
        acks: 6 * n,
        probe_timeouts: 7 * n,
        persistent_congestion: 8 * n,
    };
    let mut sum = of(10);
    sum.add(&of(1));
    assert_eq!(sum, of(11));
}
