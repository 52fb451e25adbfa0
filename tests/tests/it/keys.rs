//! Keys that wear out, and windows that grow, by what is sent and not by what is set.

use std::time::Duration;

use aqueduct_core::config::{EndpointConfig, TransportConfig};
use aqueduct_core::crypto::handshake::Ciphers;
use aqueduct_core::crypto::keys::KeyCounters;
use aqueduct_core::crypto::limits::KeyLimits;
use aqueduct_core::crypto::provider::Provider;
use aqueduct_core::error::{CloseReason, TransportCode};
use aqueduct_core::wire::id::Dir;
use aqueduct_tests::app::{App, Pair};
use aqueduct_tests::link::LinkConfig;
use aqueduct_tests::net::{HostId, Net};

use crate::transfer::config;

const SECOND: Duration = Duration::from_secs(1);

fn pair_of(seed: u64, link: LinkConfig, a: EndpointConfig, b: EndpointConfig) -> Pair {
    let mut net = Net::new(seed, link);
    let (a, b) = (net.add(a, 2 * seed), net.add(b, 2 * seed + 1));
    Pair::connect(net, a, b)
}

fn limited(number: u8, limits: KeyLimits) -> EndpointConfig {
    config(number).with_transport(TransportConfig::default().with_key_limits(limits))
}

fn whole(app: &App) -> bool {
    !app.inn.is_empty() && app.inn.iter().all(|flow| flow.finished)
}

fn keys(pair: &mut Pair, host: usize) -> KeyCounters {
    let handle = [pair.at_a, pair.at_b][host];
    let view = pair.net.host(HostId(host)).endpoint.connection(handle).expect("it lives");
    view.stats().keys
}

#[test]
fn keys_change_many_times_under_way() {
    let soon = KeyLimits::default().with_soft_packets(40).expect("a limit");
    let never = KeyLimits::default();
    let both = [(soon, soon), (soon, never), (never, soon)];
    for (seed, (a, b)) in both.into_iter().enumerate() {
        for (loss, ciphers) in
            [(0, Ciphers::PreferAes256Gcm), (200, Ciphers::PreferChaCha20Poly1305)]
        {
            let link = LinkConfig {
                loss,
                rate: Some(400_000),
                duplicate: loss / 2,
                jitter: Duration::from_millis(u64::from(loss / 20)),
                ..LinkConfig::default()
            };
            let (a, b) = (limited(1, a), limited(2, b).with_ciphers(ciphers));
            let mut pair = pair_of(seed as u64 + 1, link, a, b);
            pair.a.write(&mut pair.net, pair.at_a, Dir::Uni, 1, 1_000_000);
            pair.b.write(&mut pair.net, pair.at_b, Dir::Uni, 2, 1_000_000);
            assert!(pair.run(SECOND * 600, |_, a, b| whole(a) && whole(b)), "{seed} {loss}");
            let (one, other) = (keys(&mut pair, 0), keys(&mut pair, 1));
            println!("{seed}, loss {loss}: {one:?}\n{other:?}");
            assert!(one.updates_started + other.updates_started >= 3);
            let followed = one.updates_followed + other.updates_followed;
            assert!(followed >= 3 || seed == 0, "{followed} followed");
            assert_eq!((one.failed, other.failed), (0, 0), "a packet that nobody could open");
            assert_eq!(pair.a.diary(pair.at_a).closed, None);
        }
    }
}

#[test]
fn keys_change_with_age() {
    let old = KeyLimits::default().with_soft_age(SECOND * 5).expect("an age");
    let mut pair = pair_of(9, LinkConfig::default(), limited(1, old), limited(2, old));
    pair.a.begin(&mut pair.net, pair.at_a, Dir::Uni, 1, 100);
    pair.pass(SECOND * 300);
    let count = keys(&mut pair, 0).updates_started + keys(&mut pair, 1).updates_started;
    assert!(count >= 20, "{count} updates in five minutes of pings");
}

/// Updates need the peer's answer; without one the hard limit ends the connection.
#[test]
fn a_key_at_its_hard_limit_ends_the_connection_on_both_sides() {
    let limits = KeyLimits::default()
        .with_soft_packets(199)
        .and_then(|limits| limits.with_hard_packets(200))
        .expect("limits");
    let tiny = KeyLimits::default()
        .with_soft_packets(7)
        .and_then(|limits| limits.with_hard_packets(8))
        .expect("limits");
    for (seed, limits) in [(10, limits), (11, tiny)] {
        let mut pair = pair_of(seed, LinkConfig::default(), limited(1, limits), config(2));
        pair.a.write(&mut pair.net, pair.at_a, Dir::Uni, 1, 3_000_000);
        let (at_a, at_b) = (pair.at_a, pair.at_b);
        let ended = pair.run(SECOND * 60, |_, a, b| {
            a.diary(at_a).closed.is_some() && b.diary(at_b).closed.is_some()
        });
        assert!(ended || whole(&pair.b), "neither done nor ended");
        if ended && !whole(&pair.b) {
            assert_eq!(pair.a.diary(at_a).closed, Some(CloseReason::AeadLimit));
            let code = TransportCode::AeadLimit as u64;
            let Some(CloseReason::PeerTransport { code: said, .. }) = pair.b.diary(at_b).closed
            else {
                panic!("{:?}", pair.b.diary(at_b).closed);
            };
            assert_eq!(said, code);
            println!("ended after {} bytes", pair.b.read_of(at_b));
        }
        assert!(ended, "a window of a hundred packets and a limit of {limits:?}");
    }
}

/// Forged packets, of this very connection by their ids, up to the last that is allowed: none of
/// them is taken for one that came, whatever number it claims, and the next real one opens. One
/// more ends it.
#[test]
fn too_many_packets_that_do_not_open_end_the_connection() {
    const MOST: u64 = 1_000_000;
    let limits = KeyLimits::default().with_failed_opens(MOST).expect("a limit");
    let mut pair = pair_of(12, LinkConfig::default(), limited(1, limits), config(2));
    pair.net.recording = Some(Vec::new());
    pair.b.write(&mut pair.net, pair.at_b, Dir::Uni, 1, 10_000);
    pair.pass(SECOND);
    let recording = pair.net.recording.take().expect("it was on");
    let to = pair.net.hosts[0].addr;
    let one = recording.iter().rfind(|one| one.to == to && one.bytes[0] >> 6 == 1);
    let one = one.expect("a packet").clone();
    let (at_a, at_b) = (pair.at_a, pair.at_b);
    let stats = |pair: &mut Pair| {
        let view = pair.net.host(HostId(0)).endpoint.connection(at_a).expect("it lives");
        view.stats()
    };
    let forge = |pair: &mut Pair, count: u64| {
        let mut bytes = one.bytes.clone();
        // Behind the id stands the number: near ones, and as far ahead as can be said.
        let ahead = if count.is_multiple_of(2) { count as u32 } else { 0x7fff_0000 - count as u32 };
        let number = u32::from_be_bytes(bytes[9..13].try_into().expect("four")).wrapping_add(ahead);
        bytes[9..13].copy_from_slice(&number.to_be_bytes());
        bytes[30] ^= 1;
        pair.net.inject(one.from, to, bytes);
    };
    let before = stats(&mut pair);
    for count in 0..MOST - 1 {
        forge(&mut pair, count);
        if count % 1_000 == 0 {
            pair.net.run(Duration::ZERO, |_| false);
        }
    }
    pair.net.run(Duration::ZERO, |_| false);
    let after = stats(&mut pair);
    assert_eq!(after.keys.failed - before.keys.failed, MOST - 1);
    // That counter apart nothing is otherwise: not what came, not the window of numbers.
    let keys = KeyCounters { failed: before.keys.failed, ..after.keys };
    assert_eq!((keys, after.acks, after.path), (before.keys, before.acks, before.path));
    assert_eq!(pair.a.diary(at_a).closed, None);
    pair.b.write(&mut pair.net, at_b, Dir::Uni, 2, 100_000);
    assert!(pair.run(SECOND, |_, a, _| a.inn.len() == 2 && whole(a)), "real ones open");
    let real = stats(&mut pair).keys;
    assert!(real.opened > before.keys.opened + 50);
    assert_eq!((real.below_window, real.replayed), (0, 0));
    forge(&mut pair, MOST);
    pair.pass(SECOND);
    assert_eq!(pair.a.diary(at_a).closed, Some(CloseReason::AeadLimit));
    assert!(matches!(pair.b.diary(at_b).closed, Some(CloseReason::PeerTransport { .. })));
}

/// 1 Gbit/s over 200 ms, and packets that overtake each other.
#[test]
fn the_replay_window_grows_with_the_path() {
    let link = LinkConfig {
        delay: Duration::from_millis(100),
        rate: Some(125_000_000),
        queue: 30_000_000,
        ..LinkConfig::default()
    };
    let mut pair = pair_of(13, link, config(1), config(2));
    let at_b = pair.at_b;
    for salt in 0..4 {
        pair.a.write(&mut pair.net, pair.at_a, Dir::Uni, salt, 8_000_000);
    }
    assert!(pair.run(SECOND * 4, |_, _, b| b.read_of(at_b) > 12_000_000));
    // Now packets overtake each other, by more than the smallest window holds.
    let (a, b) = (pair.net.hosts[0].addr, pair.net.hosts[1].addr);
    pair.net.link(a, b).config.jitter = Duration::from_millis(100);
    let before = pair.b.read_of(at_b);
    pair.pass(SECOND * 5);
    println!("{} bytes in 5 s of overtaking", pair.b.read_of(at_b) - before);
    pair.net.link(a, b).config.jitter = Duration::ZERO;
    assert!(pair.run(SECOND * 60, |_, _, b| whole(b)));
    let keys = keys(&mut pair, 1);
    println!("32 MB by {:?}: {keys:?}", pair.net.now);
    assert_eq!((keys.below_window, keys.failed), (0, 0));
}

#[test]
fn both_providers_speak_to_each_other() {
    for (seed, providers) in [
        [Provider::Rust, Provider::AwsLc],
        [Provider::AwsLc, Provider::Rust],
        [Provider::AwsLc, Provider::AwsLc],
    ]
    .into_iter()
    .enumerate()
    {
        for ciphers in [Ciphers::PreferAes256Gcm, Ciphers::PreferChaCha20Poly1305] {
            let [a, b] = providers;
            let a = config(1).with_provider(a);
            let b = config(2).with_provider(b).with_ciphers(ciphers);
            let mut pair = pair_of(seed as u64, LinkConfig::default(), a, b);
            pair.a.write(&mut pair.net, pair.at_a, Dir::Uni, 1, 300_000);
            assert!(pair.run(SECOND * 10, |_, _, b| whole(b)), "{providers:?}");
        }
    }
}
