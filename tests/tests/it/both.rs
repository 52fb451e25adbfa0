//! Two nodes that dial each other, and nodes that come back.

use std::time::Duration;

use aqueduct_core::endpoint::{ConnectionHandle, PeerAddr};
use aqueduct_core::error::CloseReason;
use aqueduct_core::rng::{Rng, Seed};
use aqueduct_core::wire::id::Dir;
use aqueduct_tests::app::{App, Pair};
use aqueduct_tests::link::LinkConfig;
use aqueduct_tests::net::{HostId, Net};

use crate::transfer::config;

const SECOND: Duration = Duration::from_secs(1);

/// Connections of an application that are there and have not ended.
fn living(app: &App) -> Vec<ConnectionHandle> {
    app.connections().into_iter().filter(|handle| app.diary(*handle).closed.is_none()).collect()
}

/// Dials unless the other's connection is known already, as an application would.
fn dial(net: &mut Net, app: &App, to: HostId) -> Option<ConnectionHandle> {
    let known = !net.hosts[app.host.0].accepted.is_empty() || !app.connections().is_empty();
    (!known).then(|| net.connect(app.host, to))
}

/// Both dial, `late` apart; the links each way are as given. Returns how many datagrams that took.
fn both(seed: u64, order: [u8; 2], late: Duration, links: [LinkConfig; 2]) -> u64 {
    let mut net = Net::new(seed, LinkConfig::default());
    let hosts = order.map(|number| net.add(config(number), seed * 10 + u64::from(number)));
    let at = hosts.map(|host| net.hosts[host.0].addr);
    net.link(at[0], at[1]).config = links[0];
    net.link(at[1], at[0]).config = links[1];
    let [mut a, mut b] = hosts.map(App::new);
    let first = net.connect(hosts[0], hosts[1]);
    net.run(late, |net| {
        a.turn(net);
        b.turn(net);
        false
    });
    let second = dial(&mut net, &b, hosts[0]);
    net.run(SECOND * 25, |net| {
        a.turn(net);
        b.turn(net);
        false
    });
    let (mine, theirs) = (a.connections(), b.connections());
    let what = format!("seed {seed}, {order:?}, {late:?}, {links:?}");
    assert_eq!((mine.len(), theirs.len()), (1, 1), "{what}: {first:?} {second:?}");
    let hash = |net: &mut Net, host, handle| {
        let view = net.host(host).endpoint.connection(handle).expect("it lives");
        view.handshake_hash()
    };
    let hashes = [hash(&mut net, hosts[0], mine[0]), hash(&mut net, hosts[1], theirs[0])];
    assert!(hashes[0].is_some() && hashes[0] == hashes[1], "{what}");
    let mut pair = Pair { net, a, b, at_a: mine[0], at_b: theirs[0] };
    pair.a.write(&mut pair.net, mine[0], Dir::Uni, 1, 30_000);
    pair.b.write(&mut pair.net, theirs[0], Dir::Uni, 2, 30_000);
    let whole = |app: &App| app.inn.iter().any(|flow| flow.finished && flow.read == 30_000);
    let done = pair.run(SECOND * 60, |_, a, b| whole(a) && whole(b));
    assert!(done, "{what}: {:?} {:?}", pair.a, pair.b);
    for host in &pair.net.hosts {
        assert_eq!((host.endpoint.stats().connections, host.endpoint.stats().half_open), (1, 0));
    }
    pair.net.hosts.iter().map(|host| host.sent).sum()
}

/// spec: R-EP-19
#[test]
fn two_that_dial_each_other_get_one_connection_whatever_the_delays() {
    let mut rng = Rng::new(&Seed::from_u64(19));
    let mut link = move |seed: u64| {
        let slow = if seed.is_multiple_of(7) { 700 } else { 60 };
        LinkConfig {
            delay: Duration::from_micros(1 + rng.below(slow * 1_000)),
            jitter: Duration::from_millis(if seed.is_multiple_of(3) { rng.below(100) } else { 0 }),
            ..LinkConfig::default()
        }
    };
    for seed in 0..120 {
        let links = [link(seed), link(seed)];
        let window = links[0].delay + links[0].jitter;
        let late = window.mul_f64((seed % 12) as f64 / 10.0);
        for order in [[1, 2], [2, 1]] {
            both(seed, order, late, links);
        }
    }
}

/// spec: R-EP-19
#[test]
fn they_get_one_connection_on_bad_links_too() {
    for seed in 0..40 {
        let link = LinkConfig {
            loss: 150,
            duplicate: 100,
            jitter: Duration::from_millis(40),
            ..LinkConfig::default()
        };
        both(1_000 + seed, [1, 2], Duration::from_millis(seed % 13), [link; 2]);
        both(2_000 + seed, [2, 1], Duration::from_millis(seed % 13), [link; 2]);
    }
}

#[test]
fn a_peer_that_forgot_everything_is_noticed_and_found_again() {
    for port in [4433, 9_999] {
        let mut net = Net::new(3, LinkConfig::default());
        let (a, b) = (net.add(config(1), 1), net.add(config(2), 2));
        let mut pair = Pair::connect(net, a, b);
        pair.a.write(&mut pair.net, pair.at_a, Dir::Uni, 1, 10_000);
        pair.pass(SECOND);
        // The peer's process is killed. Its key of resets is as it was: the seed is the node's.
        pair.net.restart(b, config(2), 2);
        pair.net.rebind(b, port);
        pair.b = App::new(b);
        pair.a.write(&mut pair.net, pair.at_a, Dir::Uni, 2, 10_000);
        let (at_a, began) = (pair.at_a, pair.net.now);
        assert!(pair.run(SECOND * 40, |_, a, _| a.diary(at_a).closed.is_some()));
        let took = pair.net.now.saturating_since(began);
        println!("on port {port}: noticed after {took:?}");
        let cause = pair.a.diary(at_a).closed;
        if port == 4433 {
            assert_eq!(cause, Some(CloseReason::Reset));
            assert!(took < SECOND);
        } else {
            assert!(matches!(cause, Some(CloseReason::PeerLost { .. })), "{cause:?}");
            assert!(took < SECOND * 10);
        }
        let again = pair.net.connect(a, b);
        assert!(pair.run(SECOND, |_, a, _| a.diary(again).connected), "back in a second");
        // And the other way: who restarted dials; the old connection is of no consequence.
        pair.net.restart(a, config(1), 77);
        pair.a = App::new(a);
        let again = pair.net.connect(a, b);
        assert!(pair.run(SECOND, |_, a, _| a.diary(again).connected));
        pair.a.write(&mut pair.net, again, Dir::Uni, 3, 10_000);
        assert!(pair.run(SECOND * 5, |_, _, b| b.inn.iter().any(|flow| flow.read == 10_000)));
        pair.pass(SECOND * 20);
        pair.a.write(&mut pair.net, again, Dir::Uni, 4, 100);
        pair.pass(SECOND * 20);
        assert_eq!(living(&pair.b).len(), 1, "the old one is gone by its time-out");
    }
}

#[test]
fn who_does_not_know_the_other_learns_its_id() {
    let mut net = Net::new(4, LinkConfig::default());
    let (a, b) = (net.add(config(1), 1), net.add(config(2), 2));
    let ids = [a, b].map(|host| net.hosts[host.0].endpoint.node_id());
    let to = PeerAddr { id: None, ..PeerAddr::new(ids[1], net.hosts[b.0].addr) };
    let at_a = net.connect_to(a, to);
    let (mut one, mut other) = (App::new(a), App::new(b));
    let done = net.run(SECOND, |net| {
        one.turn(net);
        other.turn(net);
        one.diary(at_a).connected && !other.connections().is_empty()
    });
    assert!(done);
    let at_b = other.connections()[0];
    let mut pair = Pair { net, a: one, b: other, at_a, at_b };
    let peer = |net: &mut Net, host, handle| {
        net.host(host).endpoint.connection(handle).and_then(|view| view.peer())
    };
    assert_eq!(peer(&mut pair.net, a, at_a), Some(ids[1]));
    assert_eq!(peer(&mut pair.net, b, at_b), Some(ids[0]));
    pair.b.write(&mut pair.net, at_b, Dir::Bi, 1, 200_000);
    pair.a.write(&mut pair.net, at_a, Dir::Bi, 2, 200_000);
    assert!(pair.run(SECOND * 10, |_, a, b| {
        a.inn.iter().any(|flow| flow.finished) && b.inn.iter().any(|flow| flow.finished)
    }));
    // Both ends derive the same secrets, and no two labels or contexts the same.
    let secret = |net: &mut Net, host, handle, label: &[u8], context: &[u8]| {
        let mut out = [0; 48];
        let view = net.host(host).endpoint.connection(handle).expect("it lives");
        assert_eq!(view.export_keying_material(label, context, &mut out), Ok(true));
        out
    };
    let here = secret(&mut pair.net, a, at_a, b"test", b"1");
    assert_eq!(here, secret(&mut pair.net, b, at_b, b"test", b"1"));
    assert_ne!(here, secret(&mut pair.net, b, at_b, b"test", b"2"));
    assert_ne!(here, secret(&mut pair.net, b, at_b, b"tesu", b"1"));
}
