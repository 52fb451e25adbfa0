use super::*;
use crate::error::{Refusal, TransportCode, Violation};
use crate::wire::id::AppCode;

fn ms(ms: u64) -> Duration {
    Duration::from_millis(ms)
}

/// A connection that did and has so much of everything.
fn connection(n: u64) -> ConnectionStats {
    ConnectionStats {
        ledger: LedgerStats { packets_sent: n, ..LedgerStats::default() },
        acks: AckStats { received: 2 * n, ..AckStats::default() },
        keys: KeyCounters { sealed: 3 * n, ..KeyCounters::default() },
        datagrams: DatagramStats { sent: 4 * n, ..DatagramStats::default() },
        stream_stats: StreamStats { opened: 5 * n, ..StreamStats::default() },
        credit_granted: 6 * n,
        bytes_held: 7 * n,
        bytes_in_flight: 8 * n,
        congestion_window: 9 * n,
        streams: 10 * n as usize,
        messages_expired: 11 * n,
        ..ConnectionStats::default()
    }
}

#[test]
fn what_connections_did_is_summed() {
    let mut totals = Totals::default();
    totals.add(&connection(10));
    totals.add(&connection(1));
    let summed = connection(11);
    assert_eq!(
        (totals.ledger, totals.acks, totals.keys),
        (summed.ledger, summed.acks, summed.keys)
    );
    assert_eq!((totals.datagrams, totals.streams), (summed.datagrams, summed.stream_stats));
    assert_eq!(totals.messages_expired, summed.messages_expired);
    assert_eq!(totals.now, Standing::default(), "how they stand is another matter");
}

#[test]
fn what_connections_hold_is_summed() {
    let mut now = Standing::default();
    now.add(&connection(10));
    now.add(&connection(1));
    let held = Standing {
        credit_granted: 66,
        bytes_held: 77,
        bytes_in_flight: 88,
        congestion_window: 99,
        streams: 110,
        ..Standing::default()
    };
    assert_eq!(now, held);
}

/// One whose round trip was never measured has none, and pulls no average down.
#[test]
fn only_round_trips_that_were_measured_count() {
    let mut now = Standing::default();
    for (rtt, min_rtt) in [(333, 0), (40, 20), (30, 30), (50, 1), (333, 0)] {
        now.add(&ConnectionStats { rtt: ms(rtt), min_rtt: ms(min_rtt), ..connection(0) });
    }
    let measured =
        Standing { measured: 3, rtt_sum: ms(120), rtt_least: ms(30), rtt_most: ms(50), ..now };
    assert_eq!(now, measured);
}

#[test]
fn each_end_is_of_one_kind() {
    let (after, none) = (ms(7), alloc::string::String::new);
    let broken = Violation::new(TransportCode::TooLarge, "it is");
    let reasons = [
        CloseReason::Local(AppCode(0)),
        CloseReason::Peer { code: AppCode(0), reason: none() },
        CloseReason::Peer { code: AppCode(1), reason: none() },
        CloseReason::IdleTimeout(after),
        CloseReason::PeerLost { probes: 1, waited: after },
        CloseReason::Reset,
        CloseReason::CarrierLost,
        CloseReason::PeerTransport { code: 1, reason: none() },
        CloseReason::Violation(broken),
        CloseReason::Violation(broken),
        CloseReason::AeadLimit,
        CloseReason::NoRoom("none"),
        CloseReason::HandshakeTimeout(after),
        CloseReason::Refused(Refusal::Busy),
        CloseReason::Handshake(none()),
    ];
    let mut endings = Endings::default();
    reasons.iter().for_each(|reason| endings.count(reason));
    assert_eq!(endings, Endings { local: 1, peer: 2, lost: 4, error: 5, handshake: 3 });
}
