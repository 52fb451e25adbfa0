//! Ways by TCP that carry nothing any more and do not say so.

use std::time::Duration;

use aqueduct_core::path::CarrierKind;
use aqueduct_core::wire::id::{CarrierId, Dir};
use aqueduct_tests::app::Pair;
use aqueduct_tests::net::StreamNr;
use aqueduct_tests::net::stream::StreamConfig;
use aqueduct_tests::scenario::handover::{
    SECOND, TCP, arrived, by_udp, cut, join, same_connection, send, stats, until, ways,
};

/// TCP has died unnoticed before UDP is cut off for a second: it is asked before it is taken, so
/// data stays with UDP, and goes on there as soon as it can.
///
/// spec: R-TCP-10, R-TCP-20
#[test]
fn a_stream_that_died_unnoticed_is_not_taken() {
    for upload in [true, false] {
        let mut pair = by_udp(if upload { 20 } else { 21 });
        let stream = join(&mut pair, TCP, StreamConfig::default());
        send(&mut pair, upload, 1, 40_000_000);
        pair.pass(SECOND);
        pair.net.swallow(stream);
        cut(&mut pair, true);
        for _ in 0..20 {
            pair.pass(SECOND / 20);
            assert_eq!(ways(&mut pair), [CarrierKind::Udp; 2]);
        }
        cut(&mut pair, false);
        let began = pair.net.now;
        arrived(&mut pair, SECOND * 20);
        println!("upload {upload}: all there {:?} later", pair.net.now.saturating_since(began));
        assert_eq!(ways(&mut pair), [CarrierKind::Udp; 2]);
        same_connection(&pair);
    }
}

/// TCP dies unnoticed while data takes it. The first answer by UDP leads back there for good, and
/// what TCP swallowed is said again soon.
///
/// spec: R-REC-37, R-TCP-12, R-TCP-21
#[test]
fn an_answer_by_udp_ends_what_a_dead_stream_began() {
    for upload in [true, false] {
        let mut pair = by_udp(if upload { 22 } else { 23 });
        let stream = join(&mut pair, TCP, StreamConfig::default());
        send(&mut pair, upload, 1, 40_000_000);
        pair.pass(SECOND);
        cut(&mut pair, true);
        until(&mut pair, CarrierKind::Reliable, SECOND);
        pair.net.swallow(stream);
        pair.pass(SECOND / 4);
        cut(&mut pair, false);
        // Who left by itself may take as long to follow back (R-TCP-13).
        let back = until(&mut pair, CarrierKind::Udp, SECOND * 4);
        let began = pair.net.now;
        // The ACKs of what came before may take as long as the peer to follow.
        for _ in 0..140 {
            pair.pass(SECOND / 20);
            assert_eq!(ways(&mut pair), [CarrierKind::Udp; 2], "it stays");
        }
        for host in &pair.net.hosts {
            assert!(!host.endpoint.carriers_in_use().contains(&TCP), "nothing is expected there");
        }
        arrived(&mut pair, SECOND * 10);
        let took = pair.net.now.saturating_since(began);
        println!("upload {upload}: back after {back:?}, all there {took:?} later");
        same_connection(&pair);
    }
}

/// A kept stream that does not answer is given up, and another one may be made: the application is
/// asked for it in time.
///
/// spec: R-TCP-10, R-TCP-20
#[test]
fn a_dead_stream_stands_in_no_others_way() {
    for upload in [true, false] {
        let mut pair = by_udp(if upload { 24 } else { 25 });
        let stream = join(&mut pair, TCP, StreamConfig::default());
        send(&mut pair, upload, 1, 40_000_000);
        pair.pass(SECOND);
        pair.net.swallow(stream);
        cut(&mut pair, true);
        let began = pair.net.now;
        while pair.a.diary(pair.at_a).silences == 0 {
            pair.pass(SECOND / 100);
            let waited = pair.net.now.saturating_since(began);
            assert!(waited < SECOND * 5, "nobody asks for another way: {:?}", stats(&mut pair));
        }
        println!("upload {upload}: asked for after {:?}", pair.net.now.saturating_since(began));
        join(&mut pair, CarrierId(41), StreamConfig::default());
        until(&mut pair, CarrierKind::Reliable, SECOND);
        arrived(&mut pair, SECOND * 20);
        same_connection(&pair);
    }
}

/// What a slow stream still brings is waited for, though its challenge stands behind it.
///
/// spec: R-TCP-20, R-TCP-21
#[test]
fn a_slow_stream_is_not_taken_for_a_dead_one() {
    let mut pair = by_udp(26);
    let slow = StreamConfig { rate: 100_000, buffer: 6 << 20, ..StreamConfig::default() };
    join(&mut pair, TCP, slow);
    send(&mut pair, true, 1, 4_000_000);
    pair.pass(SECOND / 5);
    cut(&mut pair, true);
    until(&mut pair, CarrierKind::Reliable, SECOND);
    pair.pass(SECOND / 4);
    cut(&mut pair, false);
    until(&mut pair, CarrierKind::Udp, SECOND * 5);
    let lost = stats(&mut pair)[0].ledger.lost;
    for _ in 0..6 {
        pair.pass(SECOND);
        let used = pair.net.hosts[0].endpoint.carriers_in_use();
        assert!(used.contains(&TCP), "it brings something all the time");
    }
    let lost = stats(&mut pair)[0].ledger.lost - lost;
    assert!(lost < 20, "{lost}: but for a few by UDP");
    arrived(&mut pair, SECOND * 60);
    same_connection(&pair);
}

/// Who writes on a connection that it did not dial, after a pause in which UDP died: the dialler
/// was told when the pause began that a way by TCP is wanted, so it is there.
///
/// spec: R-TCP-22
#[test]
fn who_was_dialled_finds_a_way_after_a_pause() {
    let mut pair = by_udp(27);
    let (at_a, at_b) = (pair.at_a, pair.at_b);
    pair.b.begin(&mut pair.net, at_b, Dir::Uni, 1, 100_000);
    assert!(pair.run(SECOND * 3, |_, a, _| a.diary(at_a).pauses > 0), "nobody asks for a way");
    join(&mut pair, TCP, StreamConfig::default());
    pair.pass(SECOND * 4);
    assert_eq!(ways(&mut pair), [CarrierKind::Udp; 2], "it is only kept");
    cut(&mut pair, true);
    pair.pass(SECOND / 10);
    let text = pair.b.write(&mut pair.net, at_b, Dir::Uni, 2, 1_000_000);
    let done =
        pair.run(SECOND * 5, |_, a, _| a.inflow(at_a, text).is_some_and(|flow| flow.finished));
    assert!(done, "{:?}", pair.b.diary(at_b).closed);
    assert_eq!(ways(&mut pair), [CarrierKind::Reliable; 2]);
    assert_eq!(pair.a.diary(at_a).pauses, 1, "once is enough");
    same_connection(&pair);
}

/// Data takes TCP, and UDP carries nothing any more.
fn by_tcp_alone(seed: u64, upload: bool) -> (Pair, StreamNr) {
    let mut pair = by_udp(seed);
    let stream = join(&mut pair, TCP, StreamConfig::default());
    send(&mut pair, upload, 1, 60_000_000);
    pair.pass(SECOND);
    cut(&mut pair, true);
    until(&mut pair, CarrierKind::Reliable, SECOND);
    pair.pass(SECOND);
    (pair, stream)
}

/// Runs until the application of who dialled hears of silence.
fn called(pair: &mut Pair) -> Duration {
    let (began, before) = (pair.net.now, pair.a.diary(pair.at_a).silences);
    let at_a = pair.at_a;
    let heard = pair.run(SECOND * 9, |_, a, _| a.diary(at_a).silences > before);
    assert!(heard, "nobody asks for another way: {:?}", stats(pair));
    pair.net.now.saturating_since(began)
}

/// TCP dies unnoticed while there is nothing else: who dialled hears of it, and makes another way.
///
/// spec: R-REC-38, R-TCP-25
#[test]
fn a_stream_that_died_in_use_is_replaced_by_another() {
    for upload in [true, false] {
        let (mut pair, stream) = by_tcp_alone(if upload { 28 } else { 29 }, upload);
        pair.net.swallow(stream);
        let told = called(&mut pair);
        join(&mut pair, CarrierId(41), StreamConfig::default());
        let began = pair.net.now;
        arrived(&mut pair, SECOND * 15);
        let took = pair.net.now.saturating_since(began);
        println!("upload {upload}: told after {told:?}, all there {took:?} later");
        same_connection(&pair);
        for host in &pair.net.hosts {
            assert!(!host.endpoint.carriers_in_use().contains(&TCP), "the dead one is left");
        }
    }
}

/// However many ways were tried in vain: the next one that carries is taken, though the peer could
/// give no connection id for it.
///
/// spec: R-EP-5, R-TCP-25
#[test]
fn the_way_that_carries_is_taken_after_many_that_did_not() {
    for upload in [true, false] {
        let (mut pair, stream) = by_tcp_alone(if upload { 30 } else { 31 }, upload);
        pair.net.swallow(stream);
        for carrier in 41..45 {
            called(&mut pair);
            let dead = join(&mut pair, CarrierId(carrier), StreamConfig::default());
            pair.net.swallow(dead);
        }
        called(&mut pair);
        join(&mut pair, CarrierId(45), StreamConfig::default());
        arrived(&mut pair, SECOND * 15);
        same_connection(&pair);
    }
}

/// Long after UDP was left it is asked rarely; when TCP dies, at once.
///
/// spec: R-TCP-12, R-TCP-25
#[test]
fn udp_is_asked_at_once_when_a_stream_in_use_dies() {
    for wait in 0..8 {
        let mut pair = by_udp(32 + wait);
        let stream = join(&mut pair, TCP, StreamConfig::default());
        send(&mut pair, true, 1, 10_000_000);
        pair.pass(SECOND / 2);
        cut(&mut pair, true);
        until(&mut pair, CarrierKind::Reliable, SECOND);
        for salt in 2..22 + wait {
            send(&mut pair, true, salt, 1_000);
            pair.pass(SECOND * 5);
        }
        cut(&mut pair, false);
        pair.net.swallow(stream);
        send(&mut pair, true, 100, 1_000);
        let back = until(&mut pair, CarrierKind::Udp, SECOND * 7);
        println!("by UDP {back:?} after TCP died");
        arrived(&mut pair, SECOND * 5);
        same_connection(&pair);
    }
}

/// What a slow stream holds is said again by UDP ten seconds after data left it, however often the
/// stream is asked meanwhile whether it carries anything.
///
/// spec: R-REC-29, R-TCP-21
#[test]
fn what_a_slow_stream_holds_is_waited_for_ten_seconds() {
    let mut pair = by_udp(27);
    let slow = StreamConfig { rate: 30_000, buffer: 6 << 20, ..StreamConfig::default() };
    join(&mut pair, TCP, slow);
    send(&mut pair, true, 1, 4_000_000);
    pair.pass(SECOND / 5);
    cut(&mut pair, true);
    until(&mut pair, CarrierKind::Reliable, SECOND);
    pair.pass(SECOND / 4);
    cut(&mut pair, false);
    until(&mut pair, CarrierKind::Udp, SECOND * 5);
    let began = pair.net.now;
    arrived(&mut pair, SECOND * 14);
    println!("all there {:?} after data came back", pair.net.now.saturating_since(began));
    same_connection(&pair);
}

/// UDP comes and goes, and TCP is dead: each silence asks it, and it is given up all the same.
///
/// spec: R-TCP-20
#[test]
fn a_dead_stream_lives_by_no_number_of_silences() {
    let mut pair = by_udp(40);
    let stream = join(&mut pair, TCP, StreamConfig::default());
    send(&mut pair, true, 1, 80_000_000);
    pair.pass(SECOND);
    pair.net.swallow(stream);
    let at_a = pair.at_a;
    for turn in 0.. {
        assert!(turn < 5, "nobody asks for another way: {:?}", stats(&mut pair));
        cut(&mut pair, true);
        pair.pass(SECOND);
        cut(&mut pair, false);
        pair.pass(SECOND / 2);
        if pair.a.diary(at_a).silences > 0
            || !pair.net.hosts[0].endpoint.carriers_in_use().contains(&TCP)
        {
            break;
        }
    }
    same_connection(&pair);
}

/// TCP dies after data came back from it, and UDP twice after that: another way is there in time.
///
/// spec: R-TCP-10, R-TCP-20
#[test]
fn a_stream_that_died_after_its_use_is_replaced_in_time() {
    for (seed, pause) in (50..).zip([50, 150, 400, 900]) {
        let mut pair = by_udp(seed);
        let stream = join(&mut pair, TCP, StreamConfig::default());
        send(&mut pair, true, 1, 200_000_000);
        pair.pass(SECOND);
        cut(&mut pair, true);
        until(&mut pair, CarrierKind::Reliable, SECOND);
        cut(&mut pair, false);
        until(&mut pair, CarrierKind::Udp, SECOND * 9);
        pair.net.swallow(stream);
        cut(&mut pair, true);
        pair.pass(SECOND);
        cut(&mut pair, false);
        pair.pass(Duration::from_millis(pause));
        assert_eq!(ways(&mut pair), [CarrierKind::Udp; 2]);
        cut(&mut pair, true);
        let told = called(&mut pair);
        join(&mut pair, CarrierId(41), StreamConfig::default());
        let took = until(&mut pair, CarrierKind::Reliable, SECOND);
        println!("told after {told:?}, by another {took:?} later");
        same_connection(&pair);
    }
}
