//! Ways that change, fail, lie and come back.

use std::net::SocketAddr;
use std::time::Duration;

use aqueduct_core::config::{EndpointConfig, TransportConfig};
use aqueduct_core::error::CloseReason;
use aqueduct_core::wire::id::Dir;
use aqueduct_tests::app::{App, Pair};
use aqueduct_tests::link::LinkConfig;
use aqueduct_tests::net::{HostId, Net};

use crate::transfer::config;

const SECOND: Duration = Duration::from_secs(1);
const A: HostId = HostId(0);
const B: HostId = HostId(1);

fn pair_of(seed: u64, link: LinkConfig, a: EndpointConfig, b: EndpointConfig) -> Pair {
    let mut net = Net::new(seed, link);
    let (a, b) = (net.add(a, 2 * seed), net.add(b, 2 * seed + 1));
    Pair::connect(net, a, b)
}

fn pair(seed: u64, link: LinkConfig) -> Pair {
    pair_of(seed, link, config(1), config(2))
}

/// The link of the interop runner: 15 ms, 10 Mbit/s, a queue of 25 packets.
fn plain() -> LinkConfig {
    LinkConfig {
        delay: Duration::from_millis(15),
        rate: Some(1_250_000),
        queue: 37_500,
        ..LinkConfig::default()
    }
}

fn whole(app: &App) -> bool {
    !app.inn.is_empty() && app.inn.iter().all(|flow| flow.finished)
}

/// Moves the first host when a second has passed, and then every fifth second.
fn wander(seed: u64, upload: bool, next: fn(SocketAddr, u16) -> SocketAddr) -> Pair {
    let mut pair = pair(seed, plain());
    let len = 10_000_000;
    if upload {
        pair.a.write(&mut pair.net, pair.at_a, Dir::Uni, 1, len);
    } else {
        pair.b.write(&mut pair.net, pair.at_b, Dir::Uni, 1, len);
    }
    pair.pass(SECOND);
    for turn in 0..60 {
        let addr = next(pair.net.hosts[0].addr, turn);
        pair.net.move_to(A, addr);
        if upload && turn == 0 {
            // Its window is full, and the ACKs go to where it was: the answer must not wait.
            let (at_b, moved) = (pair.at_b, pair.net.now);
            assert!(pair.run(SECOND, |_, _, b| !b.diary(at_b).moves.is_empty()));
            let took = pair.net.now.saturating_since(moved);
            println!("followed after {took:?}");
            assert!(took < Duration::from_millis(200), "{took:?}");
        }
        if pair.run(SECOND * 5, |_, a, b| whole(if upload { b } else { a })) {
            break;
        }
    }
    assert!(whole(if upload { &pair.b } else { &pair.a }), "seed {seed}");
    let moves = pair.b.diary(pair.at_b).moves;
    println!("upload {upload}: {} moves, {:?}", moves.len(), pair.net.now);
    assert!(!moves.is_empty(), "nobody moved");
    assert_eq!(pair.b.connections().len(), 1, "another connection");
    assert_eq!(pair.a.diary(pair.at_a).closed, None);
    pair
}

#[test]
fn a_rebound_port_keeps_the_connection() {
    for upload in [true, false] {
        let pair = wander(1, upload, |mut addr, turn| {
            addr.set_port(5_000 + turn);
            addr
        });
        let to = pair.net.hosts[0].addr;
        assert_eq!(pair.b.diary(pair.at_b).moves.last(), Some(&to));
        assert_eq!(pair.a.diary(pair.at_a).observed.last(), Some(&to), "it is told its address");
    }
}

#[test]
fn another_address_keeps_the_connection() {
    for upload in [true, false] {
        wander(2, upload, |mut addr, turn| {
            addr.set_ip([10, 9, 9, turn as u8].into());
            addr
        });
    }
}

/// What the sender thinks of its way, right before its peer is elsewhere and right after it noticed:
/// window, smoothed and least round trip.
fn learnt(elsewhere: SocketAddr) -> [(u64, Duration, Duration); 2] {
    let mut pair = pair(21, plain());
    // Wherever it goes, it is further away there.
    let far = LinkConfig { delay: Duration::from_millis(60), ..plain() };
    let b = pair.net.hosts[1].addr;
    pair.net.link(elsewhere, b).config = far;
    pair.net.link(b, elsewhere).config = far;
    let (at_b, mut told) = (pair.at_b, Vec::new());
    pair.b.write(&mut pair.net, at_b, Dir::Uni, 1, 10_000_000);
    pair.pass(SECOND * 3);
    let mut look = |net: &mut Net| {
        let stats = net.host(B).endpoint.connection(at_b).expect("it lives").stats();
        told.push((stats.congestion_window, stats.rtt, stats.min_rtt));
    };
    look(&mut pair.net);
    pair.net.move_to(A, elsewhere);
    // Who only listens says nothing until it misses something, a second later.
    pair.a.write(&mut pair.net, pair.at_a, Dir::Uni, 2, 10);
    assert!(pair.run(SECOND, |_, _, b| !b.diary(at_b).moves.is_empty()));
    look(&mut pair.net);
    assert!(pair.run(SECOND * 30, |_, a, _| whole(a)));
    assert_eq!(pair.a.diary(pair.at_a).closed, None);
    told.try_into().expect("two")
}

/// Elsewhere another way is learnt from the beginning; behind another port it is the same way.
///
/// spec: R-PATH-12
#[test]
fn what_was_learnt_of_a_way_ends_with_the_address_and_not_with_the_port() {
    let [before, after] = learnt(SocketAddr::from(([10, 9, 9, 9], 4_433)));
    println!("another address: {before:?}, {after:?}");
    assert!(before.0 > 30_000 && before.2 < Duration::from_millis(40), "{before:?}");
    assert!(after.0 <= 15_000, "a window of {} on a new way", after.0);
    assert!(after.2 >= Duration::from_millis(75), "{after:?}");
    let mut behind = pair(21, plain()).net.hosts[0].addr;
    behind.set_port(5_000);
    let [before, after] = learnt(behind);
    println!("another port: {before:?}, {after:?}");
    assert!(after.0 * 2 >= before.0, "{before:?} {after:?}");
    assert_eq!(after.2, before.2);
}

/// What was under way to where the peer is no longer goes out again a round trip after data has
/// moved, though nothing else is to be said.
///
/// spec: R-REC-42
#[test]
fn what_went_to_the_old_address_goes_out_again_at_once() {
    for elsewhere in ["10.0.0.1:5000", "10.9.9.9:4433"] {
        let mut pair = pair(33, plain());
        let (at_a, at_b) = (pair.at_a, pair.at_b);
        pair.b.write(&mut pair.net, at_b, Dir::Uni, 1, 300_000);
        pair.pass(SECOND * 3);
        assert!(whole(&pair.a));
        pair.b.write(&mut pair.net, at_b, Dir::Uni, 2, 6_000);
        pair.net.move_to(A, elsewhere.parse().expect("an address"));
        pair.a.write(&mut pair.net, at_a, Dir::Uni, 3, 10);
        let moved = pair.net.now;
        assert!(pair.run(SECOND * 5, |_, a, _| a.inn.len() == 2 && whole(a)), "{elsewhere}");
        let took = pair.net.now.saturating_since(moved);
        println!("{elsewhere}: all there {took:?} after the move");
        assert!(took < Duration::from_millis(200), "{elsewhere}: {took:?}");
    }
}

/// Somebody on the way copies packets and sends them from elsewhere first: traffic stays.
#[test]
fn who_copies_packets_to_another_address_moves_nothing() {
    let mut pair = pair(3, plain());
    let (a, b) = (pair.net.hosts[0].addr, pair.net.hosts[1].addr);
    let thief: SocketAddr = "10.66.6.6:666".parse().expect("an address");
    pair.a.write(&mut pair.net, pair.at_a, Dir::Uni, 1, 3_000_000);
    pair.b.write(&mut pair.net, pair.at_b, Dir::Uni, 2, 3_000_000);
    pair.net.recording = Some(Vec::new());
    let mut seen = 0;
    let done = pair.run(SECOND * 60, |net, a_app, b_app| {
        let recording = net.recording.as_ref().expect("it is on");
        let fresh: Vec<_> = recording[seen..].iter().filter(|one| one.from == a).cloned().collect();
        seen = recording.len();
        // The copy overtakes the original, for a while.
        if net.now < aqueduct_core::time::Instant::from_nanos(3_000_000_000) {
            for one in fresh {
                net.inject(thief, b, one.bytes);
            }
        }
        whole(a_app) && whole(b_app)
    });
    assert!(done);
    assert_eq!(pair.a.diary(pair.at_a).closed, None);
    let (said, heard) = pair.net.guard.said_and_heard(B, thief);
    println!("{said} bytes went to the thief for {heard} of its own");
    assert!(said <= 40_000, "challenges only");
    let view = pair.net.host(B).endpoint.connection(pair.at_b).expect("it lives");
    assert_eq!(view.remote(), a);
}

/// An answer that was lost and that somebody repeats from elsewhere is an answer: who dialled has
/// heard it, and proves its address by what it says then.
///
/// spec: R-EP-18
#[test]
fn an_answer_from_elsewhere_connects() {
    let mut net = Net::new(1, plain());
    net.recording = Some(Vec::new());
    let (a, b) = (net.add(config(1), 1), net.add(config(2), 2));
    let [at_a, at_b] = [a, b].map(|host| net.hosts[host.0].addr);
    net.link(at_b, at_a).config.loss = 1_000;
    net.connect(a, b);
    net.run(SECOND / 10, |_| false);
    let said = net.recording.as_ref().expect("it is on");
    let answer = said.iter().find(|one| one.from == at_b).expect("an answer").clone();
    let thief: SocketAddr = "10.66.6.6:666".parse().expect("an address");
    net.repeat(&answer, thief, at_a, answer.bytes.clone());
    // Nothing else of the answerer's has come by the time at which it says more than three times
    // what it heard.
    net.run(SECOND / 10, |_| false);
    let accepted = *net.hosts[B.0].accepted.first().expect("somebody came");
    let mut app = App::new(b);
    app.write(&mut net, accepted, Dir::Uni, 1, 50_000);
    net.run(SECOND, |_| false);
    let (said, heard) = net.guard.said_and_heard(B, at_a);
    assert!(said > 3 * heard, "{said} for {heard}");
}

#[test]
fn a_black_hole_that_comes_and_goes_is_survived() {
    for (seed, one_way) in [(4, false), (5, true)] {
        let mut pair = pair(seed, plain());
        let (a, b) = (pair.net.hosts[0].addr, pair.net.hosts[1].addr);
        pair.a.write(&mut pair.net, pair.at_a, Dir::Uni, 1, 10_000_000);
        for turn in 0..60 {
            let loss = if turn % 2 == 0 { 0 } else { 1000 };
            pair.net.link(b, a).config.loss = loss;
            pair.net.link(a, b).config.loss = if one_way { 0 } else { loss };
            let time = if turn % 2 == 0 { SECOND * 5 } else { SECOND * 2 };
            if pair.run(time, |_, _, b| whole(b)) {
                break;
            }
        }
        assert!(whole(&pair.b), "one way: {one_way}");
        println!("one way: {one_way}: 10 MB in {:?}", pair.net.now);
        assert_eq!(pair.a.diary(pair.at_a).closed, None);
    }
}

#[test]
fn ten_seconds_without_acks_are_healed_soon_after() {
    let transport = TransportConfig::default().with_peer_patience(SECOND * 20);
    let mut pair = pair_of(6, plain(), config(1).with_transport(transport), config(2));
    let (a, b) = (pair.net.hosts[0].addr, pair.net.hosts[1].addr);
    pair.a.write(&mut pair.net, pair.at_a, Dir::Uni, 1, 8_000_000);
    pair.pass(SECOND);
    pair.net.link(b, a).config.loss = 1000;
    pair.pass(SECOND);
    let at_a = pair.at_a;
    let stats = |net: &mut Net| {
        let stats = net.host(A).endpoint.connection(at_a).expect("it lives").stats();
        (stats.ledger.probe_timeouts, stats.path.sent_bytes)
    };
    let (timeouts, bytes) = stats(&mut pair.net);
    pair.pass(SECOND * 9);
    let (timeouts_after, bytes_after) = stats(&mut pair.net);
    let (asked, said) = (timeouts_after - timeouts, bytes_after - bytes);
    println!("{asked} probe timeouts in nine seconds took {said} bytes");
    assert!((40..60).contains(&asked), "{asked}");
    assert!(said < 5_000, "content is not repeated for ever: {said}");
    pair.net.link(b, a).config.loss = 0;
    let healed = pair.net.now;
    let acked = |net: &mut Net| {
        let view = net.hosts[0].endpoint.connection(at_a).expect("it lives");
        view.stats().ledger.acked
    };
    let before = acked(&mut pair.net);
    assert!(pair.run(SECOND * 5, |net, _, _| acked(net) > before));
    let took = pair.net.now.saturating_since(healed);
    println!("progress {took:?} after the way was healed");
    assert!(took < Duration::from_millis(600));
    assert!(pair.run(SECOND * 60, |_, _, b| whole(b)));
}

#[test]
fn one_dead_direction_is_noticed_by_both() {
    for dead_to_b in [true, false] {
        let mut pair = pair(17, plain());
        let (a, b) = (pair.net.hosts[0].addr, pair.net.hosts[1].addr);
        pair.a.write(&mut pair.net, pair.at_a, Dir::Uni, 1, 20_000_000);
        pair.b.write(&mut pair.net, pair.at_b, Dir::Uni, 2, 20_000_000);
        pair.pass(SECOND);
        let (from, to) = if dead_to_b { (a, b) } else { (b, a) };
        pair.net.link(from, to).config.loss = 1000;
        let (at_a, at_b, began) = (pair.at_a, pair.at_b, pair.net.now);
        assert!(pair.run(SECOND * 20, |_, a, b| {
            a.diary(at_a).closed.is_some() && b.diary(at_b).closed.is_some()
        }));
        println!("both know after {:?}", pair.net.now.saturating_since(began));
    }
}

#[test]
fn who_vanishes_is_lost_to_both_in_time() {
    let mut pair = pair(7, plain());
    pair.a.write(&mut pair.net, pair.at_a, Dir::Uni, 1, 8_000_000);
    pair.pass(SECOND);
    pair.net.set_link(A, B, LinkConfig { loss: 1000, ..plain() });
    let began = pair.net.now;
    let sent = pair.net.hosts[0].sent;
    let (at_a, at_b) = (pair.at_a, pair.at_b);
    assert!(pair.run(SECOND * 31, |_, a, _| a.diary(at_a).closed.is_some()));
    let took = pair.net.now.saturating_since(began);
    println!("the writer knew after {took:?}, having sent {} more", pair.net.hosts[0].sent - sent);
    assert!(matches!(pair.a.diary(at_a).closed, Some(CloseReason::PeerLost { .. })));
    assert!(took >= SECOND * 5 && took < SECOND * 12, "{took:?}");
    assert!(pair.run(SECOND * 45, |_, _, b| b.diary(at_b).closed.is_some()));
    println!("the reader after {:?}", pair.net.now.saturating_since(began));
    let quiet = pair.net.hosts[0].sent + pair.net.hosts[1].sent;
    pair.pass(SECOND * 600);
    assert_eq!(pair.net.hosts[0].sent + pair.net.hosts[1].sent, quiet, "still sending to the dead");
}

/// PINGs are answered, and nothing else arrives: that is no way to stay on for ever.
#[test]
fn who_answers_but_gets_nothing_is_given_up() {
    let mut pair = pair(50, plain());
    pair.pass(SECOND);
    pair.net.set_link(A, B, LinkConfig { max_datagram: 1_000, ..plain() });
    pair.a.write(&mut pair.net, pair.at_a, Dir::Uni, 1, 1_000_000);
    let (at_a, began) = (pair.at_a, pair.net.now);
    assert!(pair.run(SECOND * 60, |_, a, _| a.diary(at_a).closed.is_some()));
    let took = pair.net.now.saturating_since(began);
    println!("given up after {took:?}: {:?}", pair.a.diary(at_a).closed);
    assert!(matches!(pair.a.diary(at_a).closed, Some(CloseReason::PeerLost { .. })));
    assert!(took >= SECOND * 20, "{took:?}");
}

#[test]
fn an_hour_asleep_ends_the_connection_at_once_and_another_works() {
    let mut pair = pair(8, plain());
    pair.a.begin(&mut pair.net, pair.at_a, Dir::Bi, 1, 1_000);
    pair.pass(SECOND);
    pair.net.sleep(A, true);
    pair.pass(SECOND * 3_600);
    assert!(pair.b.diary(pair.at_b).closed.is_some(), "the other did not wait");
    pair.net.sleep(A, false);
    let (at_a, woke) = (pair.at_a, pair.net.now);
    assert!(pair.run(SECOND, |_, a, _| a.diary(at_a).closed.is_some()));
    assert!(pair.net.now.saturating_since(woke) < Duration::from_millis(200));
    let again = pair.net.connect(A, B);
    assert!(pair.run(SECOND, |_, a, _| a.diary(again).connected));
}

#[test]
fn an_hour_of_silence_is_followed_by_no_burst() {
    let long = TransportConfig::default()
        .with_idle_timeout(SECOND * 7_200)
        .expect("a time")
        .with_keep_alive(Some(SECOND * 60));
    let b = config(2).with_transport(long.clone());
    let mut pair = pair_of(9, plain(), config(1).with_transport(long), b);
    pair.a.write(&mut pair.net, pair.at_a, Dir::Uni, 1, 5_000_000);
    assert!(pair.run(SECOND * 60, |_, _, b| whole(b)));
    pair.pass(SECOND * 3_600);
    pair.net.recording = Some(Vec::new());
    let began = pair.net.now;
    pair.a.write(&mut pair.net, pair.at_a, Dir::Uni, 2, 5_000_000);
    let lost = |pair: &mut Pair| {
        let view = pair.net.host(A).endpoint.connection(pair.at_a).expect("it lives");
        view.stats().ledger.lost
    };
    let before = lost(&mut pair);
    pair.pass(Duration::from_millis(30));
    let recording = pair.net.recording.take().expect("it was on");
    let a = pair.net.hosts[0].addr;
    let burst: usize =
        recording.iter().filter(|one| one.from == a).map(|one| one.bytes.len()).sum();
    println!("{burst} bytes in the first round trip after an hour");
    assert!(burst < 60_000, "a burst of {burst} bytes from a stale window");
    assert!(pair.run(SECOND * 60, |_, _, b| whole(b)));
    let took = pair.net.now.saturating_since(began);
    println!("{} lost, {took:?}", lost(&mut pair) - before);
    assert!(took < SECOND * 8);
}

fn sized(number: u8, bytes: u16) -> EndpointConfig {
    let transport = TransportConfig::default().with_max_packet_size(bytes).expect("a size");
    config(number).with_transport(transport)
}

#[test]
fn the_packet_size_of_the_way_is_found() {
    for (seed, ask, carried, found) in [
        (10, 1_452, 65_507, 1_452),
        (11, 9_000, 65_507, 9_000),
        (12, 65_507, 65_507, 65_507),
        (13, 9_000, 1_452, 1_452),
        (14, 1_452, 1_280, 1_280),
        (15, 1_452, 1_200, 1_200),
    ] {
        let link = LinkConfig { max_datagram: carried, ..LinkConfig::default() };
        let mut pair = pair_of(seed, link, sized(1, ask), sized(2, ask));
        pair.a.write(&mut pair.net, pair.at_a, Dir::Uni, 1, 6_000_000);
        assert!(pair.run(SECOND * 60, |_, _, b| whole(b)), "{ask} over {carried}");
        let view = pair.net.host(A).endpoint.connection(pair.at_a).expect("it lives");
        let size = view.stats().datagram_size;
        println!("{ask} asked, {carried} carried: {size}");
        assert!(
            size <= found && u32::from(size) * 100 >= u32::from(found) * 97,
            "{size} for {found}"
        );
    }
}

#[test]
fn large_packets_that_vanish_of_a_sudden_are_given_up() {
    let link = LinkConfig { max_datagram: 9_000, ..plain() };
    let mut pair = pair_of(16, link, sized(1, 9_000), sized(2, 9_000));
    pair.a.write(&mut pair.net, pair.at_a, Dir::Uni, 1, 8_000_000);
    pair.pass(SECOND * 2);
    let size = |pair: &mut Pair| {
        let view = pair.net.host(A).endpoint.connection(pair.at_a).expect("it lives");
        view.stats().datagram_size
    };
    let before = size(&mut pair);
    assert!(before > 1_452);
    pair.net.set_link(A, B, LinkConfig { max_datagram: 1_300, ..plain() });
    let began = pair.net.now;
    assert!(pair.run(SECOND * 60, |_, _, b| whole(b)), "stuck at {}", size(&mut pair));
    println!(
        "from {before} to {}, {:?} more",
        size(&mut pair),
        pair.net.now.saturating_since(began)
    );
    assert!(size(&mut pair) <= 1_300);
    assert_eq!(pair.a.diary(pair.at_a).closed, None);
}
