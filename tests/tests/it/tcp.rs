//! Connections with paths over UDP and TCP: cut off and restored, TCP alone, streams that stand
//! still or break.

use std::time::Duration;

use aqueduct_core::config::TransportConfig;
use aqueduct_core::endpoint::PeerAddr;
use aqueduct_core::error::CloseReason;
use aqueduct_core::path::CarrierKind;
use aqueduct_core::time::Instant;
use aqueduct_core::wire::id::CarrierId;
use aqueduct_tests::app::{App, Pair};
use aqueduct_tests::link::LinkConfig;
use aqueduct_tests::net::stream::StreamConfig;
use aqueduct_tests::net::{Net, StreamNr, UDP};
use aqueduct_tests::scenario::handover::{
    A, B, SECOND, TCP, arrived, by_udp, cut, cut_off, join, link, same_connection, send, stats,
    until, ways,
};

use crate::transfer::config;

/// spec: R-TCP-8, R-TCP-10, R-TCP-11, R-TCP-12
#[test]
fn data_takes_tcp_while_udp_is_cut_off_and_comes_back() {
    for upload in [true, false] {
        let report = cut_off(if upload { 1 } else { 2 }, upload, 60_000_000);
        println!("upload {upload}: {:?}", report.figures);
    }
}

/// Whoever only receives notices by asking after bytes that are missing, also if there is no TCP
/// yet: it is told that nothing comes back, and makes a way.
///
/// spec: R-TCP-10
#[test]
fn a_way_by_tcp_may_be_made_when_udp_has_fallen_silent() {
    for upload in [true, false] {
        let mut pair = by_udp(if upload { 3 } else { 4 });
        send(&mut pair, upload, 1, 30_000_000);
        pair.pass(SECOND);
        cut(&mut pair, true);
        let began = pair.net.now;
        let silent = |pair: &Pair| pair.a.diary(pair.at_a).silences;
        while silent(&pair) == 0 {
            pair.pass(Duration::from_millis(1));
            assert!(pair.net.now < began + SECOND * 3, "nobody says that nothing comes back");
        }
        let told = pair.net.now.saturating_since(began);
        join(&mut pair, TCP, StreamConfig::default());
        let took = until(&mut pair, CarrierKind::Reliable, SECOND);
        println!("upload {upload}: told after {told:?}, by TCP {took:?} later");
        arrived(&mut pair, SECOND * 30);
        same_connection(&pair);
    }
}

/// Two hosts, connected by TCP alone in one round trip and a half.
fn by_tcp(seed: u64) -> (Pair, StreamNr) {
    let mut net = Net::new(seed, LinkConfig { loss: 1_000, ..link() });
    let awake = || TransportConfig::default().with_keep_alive(Some(SECOND * 10));
    let a = net.add(config(1).with_transport(awake()), 2 * seed);
    let b = net.add(config(2).with_transport(awake()), 2 * seed + 1);
    let (stream, addr) = net.join([A, B], TCP, StreamConfig::default());
    let id = net.host(B).endpoint.node_id();
    let began = net.now;
    let at_a = net.connect_to(A, PeerAddr { id: Some(id), remote: addr, carrier: TCP });
    let (mut one, mut other) = (App::new(a), App::new(b));
    assert!(net.run(SECOND, |net| {
        one.turn(net);
        other.turn(net);
        one.diary(at_a).connected && !other.connections().is_empty()
    }));
    assert!(net.now.saturating_since(began) < Duration::from_millis(45));
    let at_b = other.connections()[0];
    (Pair { net, a: one, b: other, at_a, at_b }, stream)
}

/// spec: R-TCP-6, R-TCP-7, R-TCP-12
#[test]
fn tcp_alone_is_enough_and_udp_is_taken_when_it_is_there() {
    let (mut pair, _) = by_tcp(5);
    let at_a = pair.at_a;
    let udp = pair.net.hosts[1].addr;
    pair.net.guard.on_dialed(A, udp);
    assert!(pair.net.host(A).endpoint.connection(at_a).expect("alive").add_path(UDP, udp));
    send(&mut pair, true, 1, 5_000_000);
    send(&mut pair, false, 2, 5_000_000);
    arrived(&mut pair, SECOND * 5);
    let stats = stats(&mut pair).map(|stats| (stats.ledger.lost, stats.ledger.probe_timeouts));
    assert_eq!(stats[1], (0, 0), "no loss and no probe on a stream");
    assert_eq!(ways(&mut pair), [CarrierKind::Reliable; 2]);
    // Minutes later UDP is let through: it is asked now and then.
    pair.pass(SECOND * 120);
    cut(&mut pair, false);
    let took = until(&mut pair, CarrierKind::Udp, SECOND * 36);
    println!("by UDP {took:?} after it was let through");
    send(&mut pair, true, 3, 1_000_000);
    arrived(&mut pair, SECOND * 5);
    same_connection(&pair);
}

/// UDP comes and goes every few seconds: what is sent arrives, and UDP is trusted less and less.
///
/// spec: R-TCP-12, R-TCP-13
#[test]
fn a_udp_way_that_comes_and_goes_is_trusted_less() {
    let mut pair = by_udp(6);
    join(&mut pair, TCP, StreamConfig { rate: 2_000_000, ..StreamConfig::default() });
    for salt in 0..2 {
        send(&mut pair, true, salt, 60_000_000);
        send(&mut pair, false, salt + 10, 60_000_000);
    }
    let mut turns = 0;
    while pair.a.inn.len() + pair.b.inn.len() < 4
        || pair.a.inn.iter().chain(&pair.b.inn).any(|flow| !flow.finished)
    {
        cut(&mut pair, turns % 2 == 1);
        pair.pass(SECOND * if turns % 2 == 1 { 2 } else { 3 });
        turns += 1;
        assert!(turns < 100, "{:?}", stats(&mut pair));
    }
    let moves = pair.a.diary(pair.at_a).moves.len();
    println!("{turns} turns, {moves} moves, {:?}", pair.net.now.saturating_since(Instant::ZERO));
    assert!(moves >= 2 && moves <= turns, "{moves} moves in {turns} turns");
    same_connection(&pair);
}

/// A stream that breaks takes nothing along but time: UDP is taken, if it is there.
///
/// spec: R-TCP-7, R-TCP-14
#[test]
fn a_stream_that_breaks_leaves_its_connection_to_udp() {
    for udp in [true, false] {
        let mut pair = by_udp(7);
        let stream = join(&mut pair, TCP, StreamConfig::default());
        send(&mut pair, true, 1, 40_000_000);
        pair.pass(SECOND);
        cut(&mut pair, true);
        until(&mut pair, CarrierKind::Reliable, SECOND);
        // Between two challenges.
        pair.pass(Duration::from_millis(300));
        cut(&mut pair, !udp);
        pair.net.break_stream(stream);
        if udp {
            let took = until(&mut pair, CarrierKind::Udp, SECOND);
            println!("by UDP {took:?} after the stream broke");
            arrived(&mut pair, SECOND * 20);
            same_connection(&pair);
            continue;
        }
        // Another may be made before the peer counts as lost.
        pair.pass(SECOND);
        join(&mut pair, CarrierId(41), StreamConfig::default());
        until(&mut pair, CarrierKind::Reliable, SECOND * 4);
        arrived(&mut pair, SECOND * 20);
        same_connection(&pair);
    }
}

/// Nobody reads the socket at the other end, and UDP is cut off as well: the idle time-out decides,
/// and no count of probes.
///
/// spec: R-TCP-7
#[test]
fn a_stream_that_nobody_reads_is_given_up_by_the_idle_time_out() {
    let mut pair = by_udp(8);
    join(&mut pair, TCP, StreamConfig::default());
    send(&mut pair, true, 1, 40_000_000);
    pair.pass(SECOND);
    cut(&mut pair, true);
    until(&mut pair, CarrierKind::Reliable, SECOND);
    pair.pass(SECOND);
    let probes = stats(&mut pair)[0].ledger.probe_timeouts;
    pair.net.pause(B, true);
    let (at_a, began) = (pair.at_a, pair.net.now);
    pair.pass(SECOND * 25);
    assert_eq!(pair.a.diary(at_a).closed, None);
    assert_eq!(stats(&mut pair)[0].ledger.probe_timeouts, probes, "a stream is not probed");
    assert!(pair.run(SECOND * 10, |_, a, _| a.diary(at_a).closed.is_some()));
    println!("given up after {:?}", pair.net.now.saturating_since(began));
    assert!(matches!(pair.a.diary(at_a).closed, Some(CloseReason::IdleTimeout(_))));
}

/// A carrier that nobody uses may be closed, and no other.
///
/// spec: R-TCP-17
#[test]
fn it_is_known_which_carriers_are_in_use() {
    let mut pair = by_udp(9);
    join(&mut pair, TCP, StreamConfig::default());
    pair.net.join([A, B], CarrierId(41), StreamConfig::default());
    pair.pass(SECOND);
    for host in &pair.net.hosts {
        assert_eq!(host.endpoint.carriers_in_use().into_iter().collect::<Vec<_>>(), [UDP, TCP]);
    }
    let closed = aqueduct_core::wire::id::AppCode(0);
    pair.net.host(A).endpoint.connection(pair.at_a).expect("alive").close(closed, b"");
    pair.pass(SECOND * 20);
    for host in &pair.net.hosts {
        assert!(host.endpoint.carriers_in_use().is_empty());
    }
}

/// What is still in the stream's buffers when data returns to UDP comes too late for the receiver's
/// replay window, or never: it is not waited for without end.
///
/// spec: R-TCP-11, R-REC-29
#[test]
fn what_a_stream_holds_back_is_said_again_in_time() {
    for blocked in [false, true] {
        let mut pair = by_udp(10);
        let slow = StreamConfig { rate: 150_000, buffer: 6 << 20, ..StreamConfig::default() };
        join(&mut pair, TCP, slow);
        send(&mut pair, true, 1, 30_000_000);
        pair.pass(SECOND / 2);
        cut(&mut pair, true);
        until(&mut pair, CarrierKind::Reliable, SECOND);
        pair.pass(SECOND / 4);
        cut(&mut pair, false);
        until(&mut pair, CarrierKind::Udp, SECOND * 5);
        if blocked {
            pair.net.block(A, TCP, true);
        }
        send(&mut pair, true, 2, 30_000_000);
        let began = pair.net.now;
        arrived(&mut pair, SECOND * 25);
        println!("blocked {blocked}: all there {:?} later", pair.net.now.saturating_since(began));
        same_connection(&pair);
    }
}

/// How often the application of who dialled was told that a way is wished for.
fn wishes(pair: &Pair) -> usize {
    pair.a.diary(pair.at_a).silences
}

/// The TCP connection that is all there is breaks in the middle of a transfer, and once more while
/// nothing is under way: whoever dialled hears it at once, makes another, and all goes on.
///
/// spec: R-TCP-26, R-PATH-15
#[test]
fn the_only_stream_is_replaced_when_it_breaks() {
    for upload in [true, false] {
        let (mut pair, stream) = by_tcp(if upload { 11 } else { 12 });
        send(&mut pair, upload, 1, 10_000_000);
        pair.pass(SECOND / 4);
        pair.net.break_stream(stream);
        pair.pass(Duration::from_millis(1));
        assert_eq!(wishes(&pair), 1, "at once");
        assert!(pair.net.hosts.iter().all(|host| host.endpoint.carriers_in_use().is_empty()));
        let before = stats(&mut pair)[usize::from(!upload)].ledger.lost;
        let another = join(&mut pair, CarrierId(41), StreamConfig::default());
        arrived(&mut pair, SECOND * 5);
        let sender = stats(&mut pair)[usize::from(!upload)];
        assert_eq!(sender.ledger.lost, before, "what was under way is said again, and only that");
        pair.pass(SECOND * 2);
        pair.net.break_stream(another);
        pair.pass(SECOND * 4);
        assert_eq!(wishes(&pair), 3, "at once, and a second later");
        join(&mut pair, CarrierId(42), StreamConfig::default());
        send(&mut pair, upload, 2, 1_000_000);
        arrived(&mut pair, SECOND);
        assert_eq!(ways(&mut pair), [CarrierKind::Reliable; 2]);
        same_connection(&pair);
    }
}

/// Nobody makes another: the idle time-out decides, and wishes become rarer until then.
///
/// spec: R-TCP-26, R-CLOSE-3
#[test]
fn who_has_no_way_is_given_up_by_the_idle_time_out() {
    let (mut pair, stream) = by_tcp(13);
    send(&mut pair, true, 1, 10_000_000);
    pair.pass(SECOND / 4);
    pair.net.break_stream(stream);
    pair.pass(SECOND * 28);
    assert_eq!(wishes(&pair), 4, "after 0, 1, 5 and 13 s");
    assert_eq!(pair.a.diary(pair.at_a).closed, None);
    pair.pass(SECOND * 3);
    for closed in [pair.a.diary(pair.at_a).closed, pair.b.diary(pair.at_b).closed] {
        assert!(matches!(closed, Some(CloseReason::IdleTimeout(_))), "{closed:?}");
    }
}

/// Whoever is dialled hangs up each time, before it has answered: it is not dialled without a pause.
///
/// spec: R-TCP-26
#[test]
fn who_hangs_up_is_not_dialled_without_a_pause() {
    let (mut pair, stream) = by_tcp(14);
    send(&mut pair, false, 1, 10_000_000);
    pair.pass(SECOND / 4);
    pair.net.break_stream(stream);
    let (began, mut dialled) = (pair.net.now, 0);
    while pair.net.now < began + SECOND * 12 {
        pair.pass(Duration::from_millis(5));
        if wishes(&pair) > dialled {
            dialled += 1;
            let carrier = CarrierId(41 + dialled as u32);
            let another = join(&mut pair, carrier, StreamConfig::default());
            pair.net.break_stream(another);
        }
    }
    assert_eq!(dialled, 3, "after 0, 1 and 5 s");
    join(&mut pair, CarrierId(60), StreamConfig::default());
    arrived(&mut pair, SECOND * 5);
    same_connection(&pair);
}

/// A connection that has nothing left to deliver ends without a way.
///
/// spec: R-TCP-26, R-CLOSE-5
#[test]
fn who_has_no_way_and_is_done_may_close() {
    let (mut pair, stream) = by_tcp(15);
    send(&mut pair, true, 1, 100_000);
    arrived(&mut pair, SECOND);
    pair.pass(SECOND);
    pair.net.break_stream(stream);
    pair.pass(Duration::from_millis(1));
    let code = aqueduct_core::wire::id::AppCode(0);
    pair.net.host(A).endpoint.connection(pair.at_a).expect("alive").close(code, b"");
    let (at_a, limit) = (pair.at_a, SECOND * 2);
    assert!(pair.run(limit, |_, a, _| a.diary(at_a).drained), "{:?}", pair.a.diary(at_a).closed);
}

/// Nobody can finish a handshake whose TCP connection breaks.
///
/// spec: R-TCP-26, R-EP-23
#[test]
fn a_handshake_ends_with_its_stream() {
    let mut net = Net::new(16, link());
    let (a, b) = (net.add(config(1), 32), net.add(config(2), 33));
    let (stream, remote) = net.join([A, B], TCP, StreamConfig::default());
    let id = net.host(B).endpoint.node_id();
    let at_a = net.connect_to(A, PeerAddr { id: Some(id), remote, carrier: TCP });
    let (mut one, mut other) = (App::new(a), App::new(b));
    net.run(Duration::from_millis(5), |_| false);
    net.break_stream(stream);
    net.run(Duration::from_millis(5), |net| {
        one.turn(net);
        other.turn(net);
        false
    });
    assert_eq!(one.diary(at_a).closed, Some(CloseReason::CarrierLost));
    assert!(other.connections().is_empty());
}
