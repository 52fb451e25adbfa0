//! Tapes to look at.

use std::time::Duration;

use aqueduct_core::config::EndpointConfig;
use aqueduct_core::crypto::identity::NodeKey;
use aqueduct_core::endpoint::{CarrierKind, Datagram, Endpoint, Output};
use aqueduct_core::rng::Seed;
use aqueduct_core::tape::{Payload, TapeOptions};
use aqueduct_core::time::Instant;
use aqueduct_core::trace::{Packet, Seen, View, Watch, Way};
use aqueduct_core::wire::id::{CarrierId, Dir};
use aqueduct_tests::app::{Pair, Reading};
use aqueduct_tests::link::LinkConfig;
use aqueduct_tests::net::Net;
use aqueduct_tests::net::clock::Clock;
use aqueduct_tests::tapes::end;
use aqueduct_tests::world::World;

/// A sender of 300 KB over a link that loses one packet in fifty, and the receiver.
pub(crate) fn bulk(payload: Payload) -> [Vec<u8>; 2] {
    let mut net = Net::new(6, LinkConfig { loss: 20, ..LinkConfig::default() });
    net.tapes.payload = Some(payload);
    let config = |key| EndpointConfig::new(NodeKey::from_seed(&[key; 32]));
    let (a, b) = (net.add(config(1), 61), net.add(config(2), 62));
    let mut world = World::of(Pair::connect(net, a, b));
    world.read([Reading::AsItComes, Reading::InOrder]);
    world.open(a, Dir::Uni, 300_000);
    for _ in 0..40 {
        world.pair.pass(Duration::from_millis(50));
        world.answer();
    }
    [a, b].map(|host| end(&mut world.pair.net.host(host).endpoint))
}

/// The golden tapes of a source, a relay and a sink.
pub(crate) fn chain() -> [Vec<u8>; 3] {
    let traces = concat!(env!("CARGO_MANIFEST_DIR"), "/../../spec/traces");
    ["source", "relay", "sink"].map(|name| {
        let file = format!("{traces}/pipe-{name}.tape");
        std::fs::read(&file).unwrap_or_else(|why| panic!("{file}: {why}"))
    })
}

/// A sender and a receiver over a link of 10 ms each way; the receiver's clock is ahead.
pub(crate) fn apart(ahead: Duration) -> [Vec<u8>; 2] {
    let delay = Duration::from_millis(10);
    let mut net = Net::new(8, LinkConfig { delay, ..LinkConfig::default() });
    net.tapes.payload = Some(Payload::Full);
    let config = |key| EndpointConfig::new(NodeKey::from_seed(&[key; 32]));
    let (a, b) = (net.add(config(1), 81), net.add(config(2), 82));
    net.host(b).clock = Clock { ahead, drift: 0 };
    let mut world = World::of(Pair::connect(net, a, b));
    world.read([Reading::AsItComes, Reading::AsItComes]);
    world.open(a, Dir::Uni, 300_000);
    world.pair.pass(Duration::from_secs(2));
    [a, b].map(|host| end(&mut world.pair.net.host(host).endpoint))
}

/// A tape of very many packets: each byte of a few large datagrams is one.
pub(crate) fn crowded() -> Vec<u8> {
    let config = EndpointConfig::new(NodeKey::from_seed(&[3; 32]));
    let mut node = Endpoint::recorded(config, Seed::from_u64(3), &TapeOptions::default());
    let udp = CarrierKind::Udp { max_segments: 1, max_datagram: 1_452 };
    let mut now = Instant::ZERO;
    node.carrier_opened(CarrierId(0), udp, now);
    for _ in 0..5 {
        now = now + Duration::from_millis(7);
        let mut bytes = vec![0; 60_000];
        let remote = "[2001:db8::1]:4000".parse().unwrap();
        let (carrier, segment) = (CarrierId(0), Some(1));
        let (local, ecn, bytes) = (None, None, &mut bytes[..]);
        node.handle_datagram(Datagram { carrier, remote, local, ecn, segment, bytes }, now);
    }
    assert!(matches!(node.poll(&mut Vec::new(), now), Output::Wait(_)));
    end(&mut node)
}

/// What is seen of a tape.
pub(crate) fn views(tape: &[u8]) -> Vec<View<'_>> {
    Watch::of(tape).unwrap().map(Result::unwrap).collect()
}

/// The packets of a way.
pub(crate) fn packets(views: &[View<'_>], way: Way) -> Vec<Packet> {
    let of = |view: &View<'_>| match &view.what {
        Seen::Packet(packet) if packet.way == way => Some(packet.clone()),
        _ => None,
    };
    views.iter().filter_map(of).collect()
}

/// How many packets were lost.
pub(crate) fn losses(views: &[View<'_>]) -> usize {
    let of = |view: &View<'_>| match &view.what {
        Seen::Lost(_, numbers) => numbers.len(),
        _ => 0,
    };
    views.iter().map(of).sum()
}

/// Whether some piece of what the hosts sent each other in [`aqueduct_tests::tapes::small`] and
/// [`bulk`] is in there, or a key of theirs.
pub(crate) fn tells(file: &[u8]) -> bool {
    let texts = [aqueduct_tests::app::prose(1, 64), aqueduct_tests::app::prose(2, 64)];
    let keys =
        [[1_u8; 32].to_vec(), [2_u8; 32].to_vec(), "01".repeat(32).into(), "02".repeat(32).into()];
    let mut secrets = texts.iter().map(|text| &text[..24]).chain(keys.iter().map(|key| &key[..]));
    secrets.any(|secret| file.windows(secret.len()).any(|piece| piece == secret))
}
