//! Those who are not connected yet: order of checks, cookies, limits, refusals, repetition.

use std::net::SocketAddr;
use std::time::Duration;

use aqueduct_core::config::{EndpointConfig, RetryPolicy};
use aqueduct_core::crypto::provider::{Cipher, Provider};
use aqueduct_core::endpoint::{CarrierKind, Datagram, Endpoint, EventKind, PeerAddr};
use aqueduct_core::error::{CloseReason, Refusal, TransportCode};
use aqueduct_core::fingerprint::Fingerprint;
use aqueduct_core::time::Instant;
use aqueduct_core::wire::frame::{CloseCode, CloseFrame, Frame};
use aqueduct_core::wire::header::{LongHeader, PacketType, ShortHeader};
use aqueduct_core::wire::id::{AppCode, CarrierId, ConnectionId};
use aqueduct_tests::raw::{Said, ask, dial, drain, endpoint, feed, seal_first};
use aqueduct_tests::sealer::Sealer;

use crate::transfer::config;

const START: Instant = Instant::from_nanos(1_000_000_000);

fn at(millis: u64) -> Instant {
    START + Duration::from_millis(millis)
}

fn addr(number: u32) -> SocketAddr {
    SocketAddr::from(([10, (number >> 16) as u8, (number >> 8) as u8, number as u8], 4433))
}

/// Who answers in these tests.
fn server(config: EndpointConfig) -> Endpoint {
    endpoint(config, 999_999, START)
}

fn server_addr(known: bool) -> PeerAddr {
    let id = server(config(9)).node_id();
    PeerAddr { id: known.then_some(id), ..PeerAddr::new(id, addr(9)) }
}

/// The first packet of a new node.
fn first(known: bool, seed: u64) -> Vec<u8> {
    dial(config(1), seed, &server_addr(known), START).2
}

const IK: [Option<PacketType>; 1] = [Some(PacketType::R2)];
const XX: [Option<PacketType>; 1] = [Some(PacketType::X2)];
const RETRY: [Option<PacketType>; 1] = [Some(PacketType::Retry)];

fn said_to_all(said: Said, endpoint: &mut Endpoint, now: Instant) -> Said {
    let mut said = said;
    let incoming = std::mem::take(&mut said.incoming);
    for one in incoming {
        endpoint.accept(one, now);
    }
    let more = drain(endpoint, now);
    said.datagrams.extend(more.datagrams);
    said.events.extend(more.events);
    said.wait = more.wait;
    said
}

/// spec: R-EP-10, R-EP-11
#[test]
fn the_first_check_that_fails_ends_the_matter() {
    for known in [true, false] {
        let mut server = server(config(9).with_half_open(1).expect("a limit"));
        let montgomery = server.node_id().montgomery();
        let key = known.then_some(&montgomery);
        let good = first(known, 1);
        // Length, before anything is hashed: neither shorter nor longer, not even with a right mac.
        for len in [1_199, 1_201] {
            let mut bytes = good.clone();
            bytes.resize(len, 0);
            seal_first(&mut bytes, key);
            assert!(ask(&mut server, addr(1), &bytes, START).datagrams.is_empty());
        }
        let before = server.stats().handshake_discarded;
        assert_eq!(before, 2);
        // An unknown version: silence if the mac is wrong, VERSION if it holds.
        let mut other = good.clone();
        other[2] = 77;
        assert!(ask(&mut server, addr(1), &other, START).datagrams.is_empty());
        assert_eq!(server.stats().handshake_discarded, before + 1);
        seal_first(&mut other, key);
        let said = ask(&mut server, addr(1), &other, START);
        assert_eq!(said.kinds(), [Some(PacketType::Version)]);
        assert!(said.datagrams[0].1.len() < 100, "short");
        assert_eq!(server.stats().versions, 1);
        // A wrong mac: silence.
        let mut wrong = good.clone();
        wrong[1_199] ^= 1;
        assert!(ask(&mut server, addr(1), &wrong, START).datagrams.is_empty());
        // Up to here nothing was worth a curve operation, or a place.
        assert_eq!((server.stats().handshakes_opened, server.stats().half_open), (0, 0));
        feed(&mut server, addr(1), &good, START);
        assert_eq!((server.stats().handshakes_opened, server.stats().half_open), (1, 1));
        // A duplicate is known before cookies are asked for, though all places are taken.
        feed(&mut server, addr(1), &good, START);
        assert_eq!((server.stats().duplicates, server.stats().retries), (1, 0));
        // Another: the cookie comes before the limit, the limit before the curve.
        let said = ask(&mut server, addr(2), &first(known, 2), START);
        let retry: Vec<_> = said.kinds().into_iter().filter(|kind| *kind == RETRY[0]).collect();
        assert_eq!(retry, RETRY);
        assert_eq!(server.stats().over_limit, 0);
        assert_eq!(server.stats().handshakes_opened, 1);
    }
}

/// spec: R-EP-11
#[test]
fn what_wears_a_right_mac_but_is_not_encrypted_for_us_is_not_answered() {
    let mut server = server(config(9));
    let montgomery = server.node_id().montgomery();
    let mut bytes = first(true, 1);
    bytes[100] ^= 1;
    seal_first(&mut bytes, Some(&montgomery));
    let said = ask(&mut server, addr(1), &bytes, START);
    assert!(said.datagrams.is_empty() && said.incoming.is_empty());
    let stats = server.stats();
    assert_eq!((stats.handshakes_opened, stats.handshake_discarded, stats.half_open), (1, 1, 0));
}

/// spec: R-EP-12
#[test]
fn a_duplicate_gets_the_same_answer_at_the_first_address_until_the_initiator_is_confirmed() {
    for known in [true, false] {
        let mut server = server(config(9));
        let (mut dialer, _, packet) = dial(config(1), 1, &server_addr(known), START);
        let said = ask(&mut server, addr(1), &packet, START);
        let said = said_to_all(said, &mut server, START);
        assert_eq!(said.kinds(), if known { IK } else { XX });
        let again = ask(&mut server, addr(1), &packet, at(10));
        assert_eq!(again.datagrams, [(addr(1), said.datagrams[0].1.clone())]);
        let elsewhere = ask(&mut server, addr(5), &packet, at(10));
        assert!(elsewhere.datagrams.is_empty(), "the answer goes to one address");
        assert!(again.incoming.is_empty() && again.events.is_empty());
        assert_eq!(server.stats().handshakes_opened, 1, "no second handshake");
        // The initiator speaks under its keys: confirmed. X3 from elsewhere is nothing.
        let answer = &said.datagrams[0].1;
        let flight = ask(&mut dialer, addr(9), answer, at(20)).datagrams;
        for (_, bytes) in flight.iter().filter(|(_, bytes)| bytes[0] >> 6 == 3) {
            let said = ask(&mut server, addr(5), bytes, at(20));
            assert!(said.datagrams.is_empty() && said.incoming.is_empty());
        }
        for (_, bytes) in flight {
            let said = ask(&mut server, addr(1), &bytes, at(20));
            said_to_all(said, &mut server, at(20));
        }
        let later = ask(&mut server, addr(1), &packet, at(30));
        assert!(later.datagrams.is_empty(), "it was confirmed");
        assert_eq!(server.stats().connections, 1);
        assert_eq!(server.stats().half_open, 0);
    }
}

/// More copies in a second than strangers may come before cookies are demanded; of somebody who has
/// only begun, and of somebody who is connected.
///
/// spec: R-EP-12, R-EP-14
#[test]
fn a_burst_of_replays_makes_nobody_show_a_cookie() {
    for known in [true, false] {
        let mut server = server(config(9));
        ask(&mut server, addr(1), &first(known, 1), START);
        confirmed(&mut server, known, 2);
        for number in 0..1_000 {
            for seed in [1, 2] {
                let from = if number % 2 == 0 { addr(seed) } else { addr(100 + number) };
                ask(&mut server, from, &first(known, seed.into()), START);
            }
        }
        let stats = server.stats();
        assert_eq!((stats.duplicates, stats.retries, stats.handshakes_opened), (2_000, 0, 2));
        let said = ask(&mut server, addr(3), &first(known, 3), START);
        let stats = server.stats();
        assert_eq!((stats.retries, stats.handshakes_opened), (0, 3), "{:?}", said.kinds());
    }
}

/// What somebody without the keys can make up to end a session: CLOSE in the clear and under keys
/// of its own, and bytes that could be a stateless reset.
fn forged_ends(dcid: ConnectionId) -> Vec<Vec<u8>> {
    let sealer = Sealer::new(Provider::Rust, Cipher::ChaCha20Poly1305, [0; 32]);
    let codes = [CloseCode::App(AppCode(0)), CloseCode::Transport(TransportCode::Protocol as u64)];
    let mut ends = Vec::new();
    for (number, code) in (0..).zip(codes) {
        let mut plaintext = Vec::new();
        Frame::Close(CloseFrame { code, reason: b"forged" }).encode(&mut plaintext);
        ends.push(sealer.seal(dcid, number, &plaintext));
        let header = ShortHeader { key_phase: false, dcid, number: number as u32 };
        ends.push([&header.encode()[..], &plaintext, &[0; 16]].concat());
        ends.push([&header.encode()[..], &[0x5a; 40]].concat());
    }
    ends
}

/// None of these, from where the peer is and from elsewhere, leaves a trace.
fn outlives_forged_ends(endpoint: &mut Endpoint, peer: SocketAddr, named: &[u8]) {
    let LongHeader { scid, .. } = LongHeader::decode(named).expect("a packet of a handshake");
    let before = endpoint.clone();
    for bytes in forged_ends(scid) {
        for from in [peer, addr(77)] {
            let said = ask(endpoint, from, &bytes, START);
            assert!(said.datagrams.is_empty() && said.events.is_empty(), "{said:?}");
        }
    }
    endpoint.overlook_discards(&before);
    assert!(endpoint.fingerprint() == before.fingerprint(), "it left a trace");
}

/// At who has dialled and waits, and at who has answered and does not know yet who is there.
///
/// spec: R-EP-18, R-EP-45
#[test]
fn a_forged_close_before_there_are_keys_is_ignored() {
    for known in [true, false] {
        let mut server = server(config(9));
        let (mut dialer, _, packet) = dial(config(1), 1, &server_addr(known), START);
        outlives_forged_ends(&mut dialer, addr(9), &packet);
        let said = ask(&mut server, addr(1), &packet, START);
        let said = said_to_all(said, &mut server, START);
        let answer = said.datagrams[0].1.clone();
        outlives_forged_ends(&mut server, addr(1), &answer);
        for (_, bytes) in ask(&mut dialer, addr(9), &answer, START).datagrams {
            let said = ask(&mut server, addr(1), &bytes, START);
            said_to_all(said, &mut server, START);
        }
        let met = [&dialer, &server].map(|endpoint| endpoint.stats().established);
        assert_eq!(met, [1, 1], "known: {known}");
    }
}

/// spec: R-EP-13, R-EP-16
#[test]
fn one_address_has_sixteen_places_and_they_come_back() {
    for known in [true, false] {
        let mut server = server(config(9));
        for seed in 0..20 {
            feed(&mut server, addr(1), &first(known, seed), START);
        }
        let stats = server.stats();
        assert_eq!((stats.half_open, stats.over_limit), (16, 4), "known: {known}");
        assert!(stats.budget_committed > 0);
        let mut other = addr(1);
        other.set_port(9);
        feed(&mut server, other, &first(known, 30), START);
        assert_eq!(server.stats().half_open, 16, "another port is no other address");
        feed(&mut server, addr(2), &first(known, 31), START);
        assert_eq!(server.stats().half_open, 17, "another address has its own places");
        // 10 s later they are forgotten, with what was set apart for them.
        drain(&mut server, at(9_999));
        assert_eq!(server.stats().half_open, 17);
        drain(&mut server, at(10_001));
        let stats = server.stats();
        assert_eq!((stats.half_open, stats.connections, stats.budget_committed), (0, 0, 0));
        feed(&mut server, addr(1), &first(known, 40), at(10_002));
        assert_eq!(server.stats().half_open, 1);
    }
}

/// An answer is sent, and the initiator never proves that it got it: the place stays taken, whatever
/// the application said.
///
/// spec: R-EP-13, R-EP-16
#[test]
fn an_accepted_handshake_is_half_open_until_the_initiator_is_confirmed() {
    let mut server = server(config(9));
    for seed in 0..20 {
        let said = ask(&mut server, addr(1), &first(true, seed), START);
        said_to_all(said, &mut server, START);
    }
    let stats = server.stats();
    assert_eq!((stats.half_open, stats.over_limit), (16, 4));
    let said = drain(&mut server, at(10_001));
    let timeout = CloseReason::HandshakeTimeout(Duration::from_secs(10));
    let ended =
        said.news().iter().filter(|news| **news == EventKind::Closed(timeout.clone())).count();
    assert_eq!(ended, 16, "the application took them and is told of their end");
    let stats = server.stats();
    assert_eq!((stats.half_open, stats.connections, stats.budget_committed), (0, 0, 0));
}

/// spec: R-EP-13
#[test]
fn half_open_places_are_limited_in_all() {
    let limit = 8;
    let mut server = server(config(9).with_half_open(limit).expect("a limit"));
    // Strangers fill a quarter of the places; then cookies are demanded. With a cookie everybody comes as far as the limit.
    for seed in 0..12 {
        let from = addr(100 + seed);
        let (mut dialer, _, mut packet) = dial(config(1), seed.into(), &server_addr(false), START);
        let said = ask(&mut server, from, &packet, START);
        if let Some(retry) = said.kinds().iter().position(|kind| *kind == RETRY[0]) {
            packet =
                ask(&mut dialer, addr(9), &said.datagrams[retry].1, START).datagrams[0].1.clone();
            feed(&mut server, from, &packet, START);
        }
    }
    let stats = server.stats();
    assert_eq!((stats.half_open, stats.over_limit), (limit, 4));
    assert_eq!(stats.retries, 12 - 2, "cookies are demanded from a quarter of the places on");
}

/// An application that does not look has 128 offers waiting for it, and no more.
///
/// spec: R-EP-13
#[test]
fn offers_that_wait_are_limited() {
    for known in [true, false] {
        let mut server = server(config(9));
        let mut later = Vec::new();
        for number in 0..140 {
            let (mut dialer, _, packet) =
                dial(config(1), number.into(), &server_addr(known), START);
            feed(&mut server, addr(number), &packet, START);
            // Who does not know us is an offer only with its last packet.
            for (to, answer) in if known { Vec::new() } else { drain(&mut server, START).datagrams }
            {
                let third = ask(&mut dialer, addr(9), &answer, START).datagrams;
                later.extend(third.into_iter().map(|(_, bytes)| (to, bytes)));
            }
        }
        for (from, bytes) in later {
            feed(&mut server, from, &bytes, START);
        }
        assert_eq!(server.stats().over_limit, 12, "known: {known}");
        assert_eq!(drain(&mut server, START).incoming.len(), 128);
    }
}

/// spec: R-EP-14
#[test]
fn a_cookie_is_demanded_always_or_under_load() {
    let mut strict = server(config(9).with_retry(RetryPolicy::Always));
    let (mut dialer, _, packet) = dial(config(1), 1, &server_addr(true), START);
    let said = ask(&mut strict, addr(1), &packet, START);
    assert_eq!(said.kinds(), RETRY);
    assert_eq!(said.datagrams[0].1.len(), 60);
    let stats = strict.stats();
    assert_eq!((stats.half_open, stats.handshakes_opened, stats.budget_committed), (0, 0, 0));
    let again = ask(&mut dialer, addr(9), &said.datagrams[0].1, START);
    assert_eq!(again.kinds(), [Some(PacketType::I1)], "at once, with the cookie");
    let said = ask(&mut strict, addr(1), &again.datagrams[0].1, START);
    assert_eq!(said.incoming.len(), 1);
    // Strangers that come faster than 512 a second, though their handshakes end at once.
    let mut server = server(config(9));
    let mut retries = 0;
    for number in 0..600_u32 {
        let said = ask(&mut server, addr(number), &first(true, number.into()), START);
        retries += said.kinds().iter().filter(|kind| **kind == RETRY[0]).count();
        for incoming in said.incoming {
            server.refuse(incoming, START);
        }
        drain(&mut server, START);
    }
    assert_eq!(retries, 600 - 512);
    // The next second is another.
    let said = ask(&mut server, addr(700), &first(true, 700), at(1_000));
    assert_eq!(said.incoming.len(), 1);
}

/// spec: R-EP-15
#[test]
fn a_cookie_is_good_for_one_address_port_id_and_pattern_for_thirty_seconds() {
    let mut server = server(config(9).with_retry(RetryPolicy::Always));
    let montgomery = server.node_id().montgomery();
    let (mut dialer, _, packet) = dial(config(1), 1, &server_addr(true), START);
    let said = ask(&mut server, addr(1), &packet, START);
    let with = ask(&mut dialer, addr(9), &said.datagrams[0].1, START).datagrams[0].1.clone();
    let mut port = addr(1);
    port.set_port(4434);
    for from in [addr(2), port] {
        assert_eq!(ask(&mut server, from, &with, START).kinds(), RETRY, "{from}");
    }
    // The same cookie in a packet of another attempt.
    let cookie = with[20..44].to_vec();
    for known in [true, false] {
        let mut other = first(known, 2);
        other[20..44].copy_from_slice(&cookie);
        seal_first(&mut other, known.then_some(&montgomery));
        assert_eq!(ask(&mut server, addr(1), &other, START).kinds(), RETRY, "known: {known}");
    }
    assert_eq!(server.stats().handshakes_opened, 0);
    let mut late = server.clone();
    assert_eq!(ask(&mut late, addr(1), &with, at(32_000)).kinds(), RETRY, "stale");
    assert_eq!(ask(&mut server, addr(1), &with, at(29_000)).incoming.len(), 1);
}

/// First packets of strangers, each by a TCP connection of its own.
fn by_tcp(server: &mut Endpoint, strangers: std::ops::Range<u32>) {
    for number in strangers {
        let (carrier, remote) = (CarrierId(100 + number), addr(number));
        server.carrier_opened(carrier, CarrierKind::Reliable { remote }, START);
        let bytes = &mut first(true, number.into());
        let datagram = Datagram { carrier, remote, local: None, ecn: None, segment: None, bytes };
        server.handle_datagram(datagram, START);
    }
}

/// TCP has shown that they receive where they say; the places are limited all the same.
///
/// spec: R-TCP-6
#[test]
fn who_comes_by_tcp_is_asked_for_no_cookie() {
    let mut strict = server(config(9).with_retry(RetryPolicy::Always));
    by_tcp(&mut strict, 1..2);
    let said = drain(&mut strict, START);
    assert_eq!((said.incoming.len(), said.datagrams.len()), (1, 0), "{:?}", said.kinds());
    assert_eq!(ask(&mut strict, addr(2), &first(true, 2), START).kinds(), RETRY, "by UDP");
    // Over all that would ask strangers of UDP for cookies, and to the limit.
    let mut crowded = server(config(9).with_half_open(8).expect("a limit"));
    by_tcp(&mut crowded, 1..12);
    let stats = crowded.stats();
    assert_eq!((stats.half_open, stats.over_limit, stats.retries), (8, 3, 0));
    let said = drain(&mut crowded, START);
    let said = said_to_all(said, &mut crowded, START);
    assert_eq!(said.kinds(), [IK[0]; 8]);
    // Nothing but the exact length is a first packet here either.
    let bytes = &mut first(true, 40)[..1_199].to_vec();
    let (carrier, remote) = (CarrierId(101), addr(1));
    let datagram = Datagram { carrier, remote, local: None, ecn: None, segment: None, bytes };
    let before = crowded.stats().handshake_discarded;
    crowded.handle_datagram(datagram, START);
    assert_eq!(crowded.stats().handshake_discarded, before + 1);
}

/// A peer that confirmed itself: both endpoints, and everything they said was carried across.
fn confirmed(server: &mut Endpoint, known: bool, number: u32) -> Endpoint {
    let (mut dialer, _, packet) = dial(config(1), number.into(), &server_addr(known), START);
    let mut to_server = vec![packet];
    while !to_server.is_empty() {
        let mut to_dialer = Vec::new();
        for bytes in to_server.drain(..) {
            let said = ask(server, addr(number), &bytes, START);
            to_dialer.extend(said_to_all(said, server, START).datagrams);
        }
        for (_, bytes) in to_dialer {
            let said = ask(&mut dialer, addr(9), &bytes, START);
            to_server.extend(said.datagrams.into_iter().map(|(_, bytes)| bytes));
        }
    }
    dialer
}

/// spec: R-EP-17
#[test]
fn who_does_not_fit_is_told_busy() {
    for known in [true, false] {
        let mut server = server(config(9).with_memory(64 << 20, 3).expect("a budget"));
        for number in 1..4 {
            confirmed(&mut server, known, number);
        }
        let stats = server.stats();
        assert_eq!((stats.connections, stats.half_open, stats.refused_busy), (3, 0, 0));
        let (mut dialer, handle, packet) = dial(config(1), 7, &server_addr(known), START);
        let said = ask(&mut server, addr(7), &packet, START);
        assert_eq!(said.kinds(), if known { IK } else { XX });
        assert!(said.incoming.is_empty());
        assert_eq!(server.stats().refused_busy, 1);
        let said = ask(&mut dialer, addr(9), &said.datagrams[0].1, at(1));
        let busy = CloseReason::Refused(Refusal::Busy);
        assert_eq!(said.news(), [EventKind::Closed(busy), EventKind::Drained]);
        assert!(dialer.connection(handle).is_none());
        assert_eq!(server.stats().connections, 3);
    }
}

/// A flood that the application accepts must not take every place either.
///
/// spec: R-EP-14
#[test]
fn few_connections_ask_for_cookies_early() {
    let mut server = server(config(9).with_memory(64 << 20, 100).expect("a budget"));
    for number in 0..200_u32 {
        let said = ask(&mut server, addr(number), &first(true, number.into()), START);
        said_to_all(said, &mut server, START);
    }
    let stats = server.stats();
    assert_eq!((stats.half_open, stats.retries, stats.refused_busy), (25, 175, 0));
    confirmed(&mut server, true, 1_000);
    assert_eq!(server.stats().connections, 1);
}

/// spec: R-EP-17
#[test]
fn who_is_not_wanted_is_told_so() {
    for known in [true, false] {
        let mut server = server(config(9));
        let (mut dialer, _, packet) = dial(config(1), 7, &server_addr(known), START);
        let mut to_server = vec![packet];
        let mut news = Vec::new();
        for step in 0..50 {
            let now = at(step * 20);
            let mut said = Said::default();
            for bytes in to_server.drain(..) {
                feed(&mut server, addr(7), &bytes, now);
                said = drain(&mut server, now);
                for incoming in std::mem::take(&mut said.incoming) {
                    server.refuse(incoming, now);
                }
                said.datagrams.extend(drain(&mut server, now).datagrams);
            }
            assert!(said.events.is_empty(), "nobody accepted it");
            for (_, bytes) in said.datagrams {
                feed(&mut dialer, addr(9), &bytes, now);
            }
            let said = drain(&mut dialer, now);
            news.extend(said.news());
            to_server.extend(said.datagrams.into_iter().map(|(_, bytes)| bytes));
        }
        let refused = EventKind::Closed(CloseReason::Refused(Refusal::NotAllowed));
        assert!(news.contains(&refused), "known: {known}: {news:?}");
        let events = drain(&mut server, at(60_000)).events;
        assert!(events.is_empty());
        let stats = server.stats();
        assert_eq!((stats.connections, stats.half_open, stats.budget_committed), (0, 0, 0));
    }
}

/// spec: R-EP-18
#[test]
fn a_responder_says_nothing_but_its_answer_before_the_initiator_is_confirmed() {
    let mut server = server(config(9));
    let packet = first(true, 1);
    let said = ask(&mut server, addr(1), &packet, START);
    let handle = server.accept(said.incoming.into_iter().next().expect("an offer"), START);
    let mut view = server.connection(handle).expect("a connection");
    view.send_message(vec![7; 50_000].into()).expect("queued");
    view.send_datagram(vec![7; 100].into()).expect("queued");
    drop(view);
    let (mut bytes, mut now) = (0, START);
    loop {
        let said = drain(&mut server, now);
        assert!(said.kinds().iter().all(|kind| *kind == Some(PacketType::R2)));
        bytes += said.datagrams.iter().map(|(_, bytes)| bytes.len()).sum::<usize>();
        assert!(bytes <= 3 * packet.len());
        let Some(wait) = said.wait else { break };
        now = wait;
    }
    assert!(now <= at(11_000), "it is forgotten");
    // Nor does it say goodbye to whom it does not know.
    let mut server = self::server(config(9));
    let said = ask(&mut server, addr(1), &packet, START);
    let handle = server.accept(said.incoming.into_iter().next().expect("an offer"), START);
    let answer = drain(&mut server, START);
    assert_eq!(answer.kinds(), IK);
    let mut view = server.connection(handle).expect("a connection");
    view.abort(AppCode(3), b"no", START);
    drop(view);
    assert!(drain(&mut server, START).datagrams.is_empty());
}

/// spec: R-EP-20
#[test]
fn what_comes_back_to_its_sender_is_dropped() {
    for known in [true, false] {
        let mut server = server(config(9));
        let to = server_addr(known);
        let (mut dialer, _, packet) = dial(config(1), 1, &to, START);
        let quiet = drain(&mut dialer, START).wait;
        let back = ask(&mut dialer, addr(9), &packet, START);
        assert!(back.datagrams.is_empty() && back.incoming.is_empty() && back.events.is_empty());
        assert_eq!(back.wait, quiet);
        let said = ask(&mut server, addr(1), &packet, START);
        let said = said_to_all(said, &mut server, START);
        let answer = said.datagrams[0].1.clone();
        let back = ask(&mut server, addr(1), &answer, START);
        assert!(back.datagrams.is_empty() && back.events.is_empty());
        for (_, bytes) in ask(&mut dialer, addr(9), &answer, START).datagrams {
            let before = dialer.stats().connections;
            let back = ask(&mut dialer, addr(9), &bytes, START);
            let short = bytes[0] >> 6 == 1;
            let resets = usize::from(short && dialer.stats().resets > 0);
            assert!(back.datagrams.len() <= resets && back.events.is_empty());
            assert_eq!(dialer.stats().connections, before);
        }
    }
}

/// spec: R-EP-21, R-CLOSE-9
#[test]
fn a_first_packet_is_repeated_and_then_given_up() {
    for known in [true, false] {
        let (mut dialer, handle, packet) = dial(config(1), 1, &server_addr(known), START);
        let (mut sent, mut now) = (vec![START], START);
        let news = loop {
            let said = drain(&mut dialer, now);
            for (to, bytes) in &said.datagrams {
                assert_eq!((to, bytes), (&addr(9), &packet));
                sent.push(now);
            }
            match said.wait {
                Some(wait) => now = wait,
                None => break said.news(),
            }
        };
        let timeout = Duration::from_secs(10);
        let unreachable = EventKind::Closed(CloseReason::HandshakeTimeout(timeout));
        assert_eq!(news, [unreachable, EventKind::Drained]);
        assert_eq!(now, START + timeout);
        assert!(dialer.connection(handle).is_none());
        let gaps: Vec<u64> = sent
            .windows(2)
            .map(|two| (two[1].as_nanos() - two[0].as_nanos()) / 1_000_000)
            .collect();
        for (gap, least) in gaps.iter().zip([250, 500].into_iter().chain(std::iter::repeat(1_000)))
        {
            assert!((least..=least + least / 8).contains(gap), "{gaps:?}");
        }
        assert!((10..=11).contains(&sent.len()), "{gaps:?}");
    }
}

/// X3 is repeated in the same way until the responder says something under the keys.
///
/// spec: R-EP-21
#[test]
fn the_last_packet_of_an_unknown_peer_is_repeated() {
    let mut server = server(config(9));
    let (mut dialer, _, packet) = dial(config(1), 1, &server_addr(false), START);
    let answer = ask(&mut server, addr(1), &packet, START).datagrams[0].1.clone();
    feed(&mut dialer, addr(9), &answer, START);
    let (mut sent, mut now) = (Vec::new(), START);
    loop {
        let said = drain(&mut dialer, now);
        let third = said.kinds().iter().filter(|kind| **kind == Some(PacketType::X3)).count();
        assert!(third <= 1);
        sent.extend((third == 1).then_some(now));
        match said.wait {
            Some(wait) => now = wait,
            None => break,
        }
    }
    let gaps: Vec<u64> =
        sent.windows(2).map(|two| (two[1].as_nanos() - two[0].as_nanos()) / 1_000_000).collect();
    for (gap, least) in gaps.iter().zip([250, 500].into_iter().chain(std::iter::repeat(1_000))) {
        assert!((least..=least + least / 8).contains(gap), "{gaps:?}");
    }
    assert!(gaps.len() >= 3, "{gaps:?}");
}
