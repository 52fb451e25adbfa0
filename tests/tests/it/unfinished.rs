//! Handshakes that end before both sides know of each other: refused, aborted, cut off, repeated.

use std::net::SocketAddr;
use std::time::Duration;

use aqueduct_core::config::RetryPolicy;
use aqueduct_core::endpoint::{CarrierKind, Datagram, Endpoint, EventKind, PeerAddr};
use aqueduct_core::error::CloseReason;
use aqueduct_core::time::Instant;
use aqueduct_core::wire::header::PacketType;
use aqueduct_core::wire::id::{AppCode, CarrierId};
use aqueduct_tests::raw::{Said, ask, dial, drain, endpoint, feed, kind};

use crate::transfer::config;

const START: Instant = Instant::from_nanos(1_000_000_000);
const OTHER: CarrierId = CarrierId(7);

fn at(millis: u64) -> Instant {
    START + Duration::from_millis(millis)
}

fn addr(number: u8) -> SocketAddr {
    SocketAddr::from(([10, 0, 0, number], 4433))
}

fn server() -> Endpoint {
    endpoint(config(9), 999_999, START)
}

fn server_addr(known: bool) -> PeerAddr {
    let id = server().node_id();
    PeerAddr { id: known.then_some(id), ..PeerAddr::new(id, addr(9)) }
}

/// Feeds an endpoint that has another carrier as well.
fn feed_by(carrier: CarrierId, to: &mut Endpoint, from: SocketAddr, bytes: &[u8], now: Instant) {
    let bytes = &mut bytes.to_vec();
    let (remote, local, ecn, segment) = (from, None, None, None);
    to.handle_datagram(Datagram { carrier, remote, local, ecn, segment, bytes }, now);
}

/// A stranger that does not know whom it dials comes as far as X3, and is refused.
fn refused(server: &mut Endpoint, from: SocketAddr, seed: u64, now: Instant) -> usize {
    let (mut dialer, _, first) = dial(config(1), seed, &server_addr(false), now);
    let mut refused = 0;
    for (_, second) in ask(server, from, &first, now).datagrams {
        for (_, third) in ask(&mut dialer, addr(9), &second, now).datagrams {
            for incoming in ask(server, from, &third, now).incoming {
                server.refuse(incoming, now);
                refused += 1;
            }
        }
    }
    drain(server, now);
    refused
}

/// Whoever is refused lingers for a while to be told so: in the place that it had as a stranger.
///
/// spec: R-EP-13, R-EP-17
#[test]
fn the_refused_keep_their_places_until_they_are_gone() {
    let mut server = server();
    let told: usize = (0..20).map(|seed| refused(&mut server, addr(1), seed, START)).sum();
    let stats = server.stats();
    assert_eq!((told, stats.half_open, stats.over_limit), (16, 16, 4));
    assert_eq!(refused(&mut server, addr(2), 30, START), 1, "another address has its own");
    let mut now = START;
    while let Some(wait) = drain(&mut server, now).wait {
        now = wait;
    }
    let stats = server.stats();
    assert_eq!((stats.half_open, stats.connections, stats.budget_committed), (0, 0, 0));
    assert_eq!(refused(&mut server, addr(1), 40, now), 1);
}

/// The application aborts what it accepted before the initiator is confirmed: CLOSE waits until the
/// initiator shows that it has the keys, from where it was answered.
///
/// spec: R-EP-18, R-CLOSE-5
#[test]
fn an_abort_before_the_confirmation_is_told_after_it() {
    let mut server = server();
    let (mut dialer, _, first) = dial(config(1), 1, &server_addr(true), START);
    let said = ask(&mut server, addr(1), &first, START);
    let handle = server.accept(said.incoming.into_iter().next().expect("an offer"), START);
    server.connection(handle).expect("it lives").abort(AppCode(3), b"no", START);
    let answer = drain(&mut server, START);
    assert_eq!(answer.kinds(), [Some(PacketType::R2)]);
    assert_eq!(server.stats().half_open, 1, "it is not confirmed");
    // The answer is lost; the question comes again.
    let again = ask(&mut server, addr(1), &first, at(250));
    assert_eq!(again.datagrams, answer.datagrams);
    let (_, second) = &again.datagrams[0];
    let flight = ask(&mut dialer, addr(9), second, at(260)).datagrams;
    assert!(!flight.is_empty());
    for (_, bytes) in flight {
        let said = ask(&mut server, addr(5), &bytes, at(270));
        assert!(said.datagrams.is_empty(), "a copy from elsewhere proves nothing");
    }
    let mut closed = Vec::new();
    for step in 28..250 {
        for (_, bytes) in drain(&mut dialer, at(step * 10)).datagrams {
            for (to, bytes) in ask(&mut server, addr(1), &bytes, at(step * 10)).datagrams {
                assert_eq!((to, kind(&bytes)), (addr(1), None));
                closed.extend(ask(&mut dialer, addr(9), &bytes, at(step * 10)).news());
            }
        }
    }
    let reason = CloseReason::Peer { code: AppCode(3), reason: "no".to_owned() };
    assert!(closed.contains(&EventKind::Closed(reason)), "{closed:?}");
    let said = drain(&mut server, at(20_000));
    assert!(!said.news().contains(&EventKind::Connected), "it had ended");
    assert_eq!(server.stats().half_open, 0);
}

/// Carries everything across, a millisecond each way, until `until` says that it is enough; whoever
/// comes is accepted. Ends: who dialled, who answers.
fn carry(
    ends: &mut [Endpoint; 2],
    mut flying: Vec<(usize, Vec<u8>)>,
    from: Instant,
    mut until: impl FnMut(&mut [Endpoint; 2]) -> bool,
) -> Instant {
    let mut now = from;
    while !until(ends) {
        now = now + Duration::from_millis(1);
        assert!(now.saturating_since(from) < Duration::from_secs(30), "it never ends");
        for (to, bytes) in std::mem::take(&mut flying) {
            feed(&mut ends[to], addr([9, 1][to]), &bytes, now);
        }
        for (at, end) in ends.iter_mut().enumerate() {
            let said = drain(end, now);
            for incoming in said.incoming {
                end.accept(incoming, now);
            }
            let more = drain(end, now).datagrams;
            let all = said.datagrams.into_iter().chain(more);
            flying.extend(all.map(|(_, bytes)| (1 - at, bytes)));
        }
    }
    now
}

/// Data comes before X3, which says whose it is: there is no offer, no answer and nothing to read.
/// When X3 has come, all of it is read, once.
///
/// spec: R-EP-12, R-EP-18
#[test]
fn data_that_overtakes_the_last_packet_is_not_delivered_before_it() {
    let mut server = server();
    let (mut dialer, handle, first) = dial(config(1), 1, &server_addr(false), START);
    let second = ask(&mut server, addr(1), &first, START).datagrams[0].1.clone();
    feed(&mut dialer, addr(9), &second, at(1));
    let mut view = dialer.connection(handle).expect("it lives");
    view.send_message(vec![7; 3_000].into()).expect("queued");
    view.send_datagram(vec![8; 100].into()).expect("queued");
    drop(view);
    let flight = drain(&mut dialer, at(1)).datagrams;
    let (last, data): (Vec<_>, Vec<_>) =
        flight.into_iter().partition(|(_, bytes)| kind(bytes) == Some(PacketType::X3));
    assert!(last.len() == 1 && data.len() >= 3, "{} packets of data", data.len());
    let before = server.clone();
    for (_, bytes) in &data {
        let said = ask(&mut server, addr(1), bytes, at(2));
        assert!(said.datagrams.is_empty() && said.incoming.is_empty(), "{said:?}");
        assert!(said.events.is_empty(), "{said:?}");
    }
    let stats = server.stats();
    assert_eq!((stats.half_open, stats.connections), (1, before.stats().connections));
    let said = ask(&mut server, addr(1), &last[0].1, at(2));
    let incoming = said.incoming.into_iter().next().expect("an offer");
    let accepted = server.accept(incoming, at(2));
    let (mut read, mut turns) = (Vec::new(), 0);
    carry(&mut [dialer, server], Vec::new(), at(2), |ends| {
        let mut view = ends[1].connection(accepted).expect("it lives");
        read.extend(std::iter::from_fn(|| view.recv_message()));
        turns += 1;
        turns > 3_000
    });
    assert_eq!(read.len(), 1, "once, in three seconds");
    assert!(read[0].len() == 3_000 && read[0].iter().all(|byte| *byte == 7));
}

/// The server restarts, with its key and nothing else of what it knew. Who holds a cookie from before
/// is asked for one as if it had none, and follows no second RETRY: its next attempt succeeds. A
/// server that is not strict takes it at once. The first packet from before, played again to a server
/// that knows the peer anew, replaces nothing, and nobody finishes what it begins.
///
/// spec: R-EP-14, R-EP-15, R-EP-16, R-HS-26
#[test]
fn cookies_and_first_packets_of_before_a_restart() {
    let strict = || config(9).with_retry(RetryPolicy::Always);
    let retry = [Some(PacketType::Retry)];
    for known in [true, false] {
        let mut old = endpoint(strict(), 1, START);
        let (mut dialer, _, bare) = dial(config(1), 1, &server_addr(known), START);
        let asked = ask(&mut old, addr(1), &bare, START);
        assert_eq!(asked.kinds(), retry);
        let with = ask(&mut dialer, addr(9), &asked.datagrams[0].1, START).datagrams[0].1.clone();
        assert!(!ask(&mut old.clone(), addr(1), &with, START).kinds().contains(&retry[0]));
        let mut new = endpoint(strict(), 2, at(1));
        let again = ask(&mut new, addr(1), &with, at(1));
        assert_eq!((again.kinds(), new.stats().handshakes_opened), (retry.to_vec(), 0));
        let second = ask(&mut dialer, addr(9), &again.datagrams[0].1, at(1));
        assert!(second.datagrams.is_empty(), "one RETRY for a first packet");
        let mut mild = endpoint(config(9), 3, at(1));
        assert!(!ask(&mut mild, addr(1), &with, at(1)).kinds().contains(&retry[0]));
        assert_eq!(mild.stats().handshakes_opened, 1, "at once");
        // The next attempt, and then the packets of the first one again.
        let (dialer, _, first) = dial(config(1), 2, &server_addr(known), at(2));
        let mut ends = [dialer, new];
        let met = |ends: &mut [Endpoint; 2]| ends.iter().all(|end| end.stats().established == 1);
        let now = carry(&mut ends, vec![(1, first)], at(2), met);
        let server = &mut ends[1];
        for packet in [&bare, &with] {
            assert_eq!(ask(server, addr(1), packet, now).kinds(), retry);
        }
        let stats = server.stats();
        assert_eq!((stats.established, stats.connections, stats.half_open), (1, 1, 0));
        assert_eq!(stats.handshakes_opened, 1, "one check each");
        // The mild one does not ask: the packet begins what nobody goes on with.
        let mild = endpoint(config(9), 3, at(2));
        let (dialer, _, first) = dial(config(1), 3, &server_addr(known), at(2));
        let mut ends = [dialer, mild];
        let now = carry(&mut ends, vec![(1, first)], at(2), met);
        feed(&mut ends[1], addr(1), &bare, now);
        assert_eq!((ends[1].stats().half_open, ends[1].stats().handshakes_opened), (1, 2));
        let over = carry(&mut ends, Vec::new(), now, |ends| ends[1].stats().half_open == 0);
        assert!(over.saturating_since(now) < Duration::from_millis(10_010), "in its time");
        let stats = ends.map(|end| (end.stats().established, end.stats().connections));
        assert_eq!(stats, [(1, 1), (1, 1)], "known: {known}");
    }
}

/// One socket that takes nothing fills its own list of answers, and nobody else's.
///
/// spec: R-EP-22
#[test]
fn answers_to_strangers_wait_by_carrier() {
    let mut server = server();
    let udp = CarrierKind::Udp { max_segments: 1, max_datagram: 1_500 };
    server.carrier_opened(OTHER, udp, START);
    server.carrier_blocked(OTHER, START);
    for seed in 0..100 {
        let (_, _, first) = dial(config(1), seed, &server_addr(false), START);
        feed_by(OTHER, &mut server, addr(seed as u8), &first, START);
    }
    let (_, _, first) = dial(config(1), 200, &server_addr(false), START);
    assert_eq!(ask(&mut server, addr(200), &first, START).kinds(), [Some(PacketType::X2)]);
    server.carrier_writable(OTHER, START);
    assert_eq!(drain(&mut server, START).datagrams.len(), 64);
}

/// Nobody can finish a handshake over a socket that is closed.
///
/// spec: R-EP-23
#[test]
fn strangers_of_a_closed_carrier_are_forgotten() {
    let mut server = server();
    let udp = CarrierKind::Udp { max_segments: 1, max_datagram: 1_500 };
    server.carrier_opened(OTHER, udp, START);
    for seed in 0..10 {
        let (_, _, first) = dial(config(1), seed, &server_addr(seed < 5), START);
        feed_by(OTHER, &mut server, addr(seed as u8), &first, START);
    }
    let (_, _, first) = dial(config(1), 20, &server_addr(true), START);
    let mut one = ask(&mut server, addr(20), &first, START).incoming;
    let of_other = one.iter().position(|incoming| incoming.carrier() == OTHER).expect("an offer");
    let taken = one.remove(of_other);
    let (_, _, first) = dial(config(1), 21, &server_addr(true), START);
    feed_by(OTHER, &mut server, addr(21), &first, START);
    assert_eq!(server.stats().half_open, 12);
    server.carrier_closed(OTHER, START);
    assert_eq!(server.stats().half_open, 1, "who came by the other socket stays");
    assert!(drain(&mut server, START).incoming.is_empty(), "offered and gone");
    let handle = server.accept(taken, START);
    let lost = EventKind::Closed(CloseReason::CarrierLost);
    let said: Said = drain(&mut server, START);
    assert_eq!(said.news(), [lost, EventKind::Drained]);
    assert!(server.connection(handle).is_none());
}

/// Only the responder's own answer, come again, says that X3 was lost.
///
/// spec: R-EP-21
#[test]
fn the_last_packet_is_hurried_by_the_same_answer_only_and_rarely() {
    let mut server = server();
    let (mut dialer, _, first) = dial(config(1), 1, &server_addr(false), START);
    let answer = ask(&mut server, addr(1), &first, START).datagrams[0].1.clone();
    let thirds =
        |said: &Said| said.kinds().iter().filter(|kind| **kind == Some(PacketType::X3)).count();
    assert_eq!(thirds(&ask(&mut dialer, addr(9), &answer, START)), 1);
    assert_eq!(thirds(&ask(&mut dialer, addr(9), &answer, at(10))), 0, "it is on its way");
    let again = (250..290).map(|step| thirds(&drain(&mut dialer, at(step)))).sum::<usize>();
    assert_eq!(again, 1, "by itself");
    // Packets of every long type, with our id and anything in them.
    for kind in 0..8 {
        let mut forged = answer.clone();
        forged[1] = kind;
        *forged.last_mut().expect("a mac") ^= 1;
        assert_eq!(thirds(&ask(&mut dialer, addr(9), &forged, at(560))), 0, "type {kind}");
    }
    assert_eq!(thirds(&ask(&mut dialer, addr(9), &answer, at(561))), 1, "the answer itself");
    for step in 0..20 {
        let said = ask(&mut dialer, addr(9), &answer, at(562 + step * 10));
        assert_eq!(thirds(&said), 0, "less than 250 ms later");
    }
}

/// A handshake is a measurement too: who ends right after it does not linger for the seconds of a
/// path of which nothing is known.
///
/// spec: R-CLOSE-6, R-REC-31
#[test]
fn the_handshake_measures_the_round_trip() {
    for known in [true, false] {
        for who in 0..2 {
            let lasted = lingers(known, who);
            println!("known: {known}, end {who} aborts: {lasted:?}");
            assert!(lasted.iter().all(|lasted| *lasted < Duration::from_millis(300)));
        }
    }
}

/// Whoever is slow to finish its handshake does not linger the longer for it.
///
/// spec: R-REC-31, R-EP-13
#[test]
fn a_stranger_that_takes_its_time_measures_nothing() {
    let mut server = server();
    let (mut dialer, _, first) = dial(config(1), 1, &server_addr(false), START);
    let second = ask(&mut server, addr(1), &first, START).datagrams[0].1.clone();
    for (_, third) in ask(&mut dialer, addr(9), &second, START).datagrams {
        for incoming in ask(&mut server, addr(1), &third, at(9_000)).incoming {
            server.refuse(incoming, at(9_000));
        }
    }
    assert_eq!(server.stats().half_open, 1);
    drain(&mut server, at(9_000));
    let mut now = at(9_000);
    while let Some(wait) = drain(&mut server, now).wait {
        now = wait;
    }
    assert!(now < at(13_000), "{:?}", now.saturating_since(at(9_000)));
}

/// How long both ends of a path of 2 ms linger after `who` of them aborts.
fn lingers(known: bool, who: usize) -> [Duration; 2] {
    let mut now = START;
    let (dialer, at_dialer, first) = dial(config(1), 1, &server_addr(known), now);
    let mut ends = [dialer, server()];
    let mut handles = [Some(at_dialer), None];
    let mut flying = vec![(1, first)];
    let mut aborted = None;
    let mut drained = [None; 2];
    for _ in 0..5_000 {
        now = now + Duration::from_millis(1);
        for (to, bytes) in std::mem::take(&mut flying) {
            feed(&mut ends[to], addr([9, 1][to]), &bytes, now);
        }
        for end in 0..2 {
            let mut said = drain(&mut ends[end], now);
            for incoming in std::mem::take(&mut said.incoming) {
                handles[end] = Some(ends[end].accept(incoming, now));
                let more = drain(&mut ends[end], now);
                said.datagrams.extend(more.datagrams);
                said.events.extend(more.events);
            }
            flying.extend(said.datagrams.iter().map(|(_, bytes)| (1 - end, bytes.clone())));
            if end == who && said.news().contains(&EventKind::Connected) {
                let handle = handles[end].expect("a connection");
                ends[end].connection(handle).expect("it lives").abort(AppCode(1), b"", now);
                aborted = Some(now);
            }
            if said.news().contains(&EventKind::Drained) {
                drained[end] = Some(now);
            }
        }
    }
    let aborted = aborted.expect("a handshake");
    drained.map(|at| at.expect("it ended").saturating_since(aborted))
}
