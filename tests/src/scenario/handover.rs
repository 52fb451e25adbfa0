//! A connection with a path over UDP and one over TCP: what its tests and its scenarios share.

use std::time::Duration;

use aqueduct_core::connection::ConnectionStats;
use aqueduct_core::path::CarrierKind;
use aqueduct_core::wire::id::{CarrierId, Dir};

use super::interop::case;
use super::lab::config;
use super::{Report, Scenario};
use crate::app::{App, Pair};
use crate::link::LinkConfig;
use crate::net::stream::StreamConfig;
use crate::net::{HostId, Net, StreamNr};

/// A second.
pub const SECOND: Duration = Duration::from_secs(1);
/// Who dialed.
pub const A: HostId = HostId(0);
/// Who answered.
pub const B: HostId = HostId(1);
/// The byte stream.
pub const TCP: CarrierId = CarrierId(40);

/// 10 ms, 10 MB a second.
pub fn link() -> LinkConfig {
    LinkConfig {
        delay: Duration::from_millis(10),
        rate: Some(10_000_000),
        queue: 200_000,
        ..LinkConfig::default()
    }
}

/// Two hosts, connected by UDP.
pub fn by_udp(seed: u64) -> Pair {
    let mut net = Net::new(seed, link());
    let (a, b) = (net.add(config(1), 2 * seed), net.add(config(2), 2 * seed + 1));
    Pair::connect(net, a, b)
}

/// The host that dialed joins the other by TCP, and offers that to its connection.
///
/// # Panics
/// If the connection wants no such path.
pub fn join(pair: &mut Pair, carrier: CarrierId, config: StreamConfig) -> StreamNr {
    let (stream, addr) = pair.net.join([A, B], carrier, config);
    assert!(
        pair.net.host(A).endpoint.connection(pair.at_a).expect("alive").add_path(carrier, addr)
    );
    stream
}

/// What each end counts.
///
/// # Panics
/// If the connection has ended.
pub fn stats(pair: &mut Pair) -> [ConnectionStats; 2] {
    let ends = [(A, pair.at_a), (B, pair.at_b)];
    ends.map(|(host, at)| pair.net.host(host).endpoint.connection(at).expect("alive").stats())
}

/// What the data of each end takes.
pub fn ways(pair: &mut Pair) -> [CarrierKind; 2] {
    stats(pair).map(|stats| stats.carriage)
}

/// From now on UDP carries nothing, or everything.
pub fn cut(pair: &mut Pair, cut: bool) {
    pair.net.set_link(A, B, LinkConfig { loss: if cut { 1_000 } else { 0 }, ..link() });
}

/// One connection, and nobody noticed an end.
///
/// # Panics
/// If it is otherwise.
pub fn same_connection(pair: &Pair) {
    assert_eq!(pair.a.connections().len(), 1);
    assert_eq!(pair.b.connections().len(), 1, "another handshake");
    assert_eq!(pair.net.hosts[0].endpoint.stats().dialled, 1);
    assert_eq!(pair.a.diary(pair.at_a).closed, None);
    assert_eq!(pair.b.diary(pair.at_b).closed, None);
}

/// Runs until both ends send by the same kind of carrier. Returns how long that took.
///
/// # Panics
/// If it takes longer than `limit`.
pub fn until(pair: &mut Pair, way: CarrierKind, limit: Duration) -> Duration {
    let (began, end) = (pair.net.now, pair.net.now + limit);
    while ways(pair) != [way; 2] {
        assert!(pair.net.now < end, "{:?} and not {way:?} after {limit:?}", ways(pair));
        pair.pass(Duration::from_millis(5));
    }
    pair.net.now.saturating_since(began)
}

/// Begins a text of so many bytes from one of the ends.
pub fn send(pair: &mut Pair, upload: bool, salt: u64, len: usize) {
    let Pair { net, a, b, at_a, at_b } = pair;
    if upload {
        a.write(net, *at_a, Dir::Uni, salt, len)
    } else {
        b.write(net, *at_b, Dir::Uni, salt, len)
    };
}

/// Runs until all that was begun has arrived.
///
/// # Panics
/// If it takes longer than `limit`.
pub fn arrived(pair: &mut Pair, limit: Duration) {
    let flows = pair.a.out.len() + pair.b.out.len();
    let done = |a: &App, b: &App| {
        let inn = a.inn.iter().chain(&b.inn);
        inn.clone().count() == flows && inn.clone().all(|flow| flow.finished)
    };
    assert!(pair.run(limit, |_, a, b| done(a, b)), "not everything arrived: {:?}", stats(pair));
}

/// UDP is cut off for a second in the middle of a transfer and restored: data goes by TCP
/// meanwhile, at most one flight is said again, and nobody shakes hands anew.
///
/// # Panics
/// If it is otherwise.
pub fn cut_off(seed: u64, upload: bool, size: usize) -> Report {
    let mut pair = by_udp(seed);
    let began = pair.net.now;
    join(&mut pair, TCP, StreamConfig::default());
    send(&mut pair, upload, 1, size);
    pair.pass(SECOND);
    assert_eq!(ways(&mut pair), [CarrierKind::Udp; 2], "TCP is only kept");
    let sender = usize::from(!upload);
    let before = stats(&mut pair)[sender];
    let flight = before.bytes_in_flight;
    assert!(flight > 100_000, "{flight}");
    cut(&mut pair, true);
    let left = until(&mut pair, CarrierKind::Reliable, SECOND);
    pair.pass(SECOND);
    let lost = stats(&mut pair)[sender].ledger.lost - before.ledger.lost;
    let again = lost * u64::from(before.datagram_size);
    // Besides, four probes; and what filled the window since it was looked at.
    assert!(
        again <= flight.max(before.congestion_window) + 8 * 1_452,
        "{again} said again, and {flight} were in flight"
    );
    cut(&mut pair, false);
    let back = until(&mut pair, CarrierKind::Udp, SECOND * 5);
    arrived(&mut pair, SECOND * 30);
    assert_eq!(ways(&mut pair), [CarrierKind::Udp; 2]);
    same_connection(&pair);
    let simulated = pair.net.now.saturating_since(began);
    let figures = vec![
        ("seconds", simulated.as_secs_f64()),
        ("left after", left.as_secs_f64()),
        ("back after", back.as_secs_f64()),
        ("in flight", flight as f64),
        ("said again", again as f64),
    ];
    Report { fingerprint: pair.net.fingerprint(), simulated, figures }
}

/// The scenario.
pub const CASES: &[Scenario] = &[
    case!(
        heavy "tcp-handover",
        |seed| cut_off(seed, true, 40_000_000),
        "40 MB; UDP is cut off for a second: data takes TCP, and comes back, without a handshake"
    ),
    case!(
        heavy "tcp-handover-download",
        |seed| cut_off(seed, false, 40_000_000),
        "the same the other way: who only receives notices, too"
    ),
];
