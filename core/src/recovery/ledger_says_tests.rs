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
