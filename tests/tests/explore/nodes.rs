//! Nodes, and worlds in which two of them know each other already.

use std::time::Duration;

use aqueduct_core::config::{EndpointConfig, TransportConfig};
use aqueduct_core::crypto::identity::NodeKey;
use aqueduct_core::crypto::provider::Provider;
use aqueduct_core::pipe::LegPolicy;

use crate::app::{App, Do, Met};
use crate::world::World;

/// A node.
pub(crate) fn node(number: u8, transport: TransportConfig) -> EndpointConfig {
    let key = NodeKey::from_seed(&[number; 32]);
    EndpointConfig::new(key).with_provider(Provider::AwsLc).with_transport(transport)
}

/// How all of them behave: their packets are small from the start, so that nobody probes for more.
pub(crate) fn transport() -> TransportConfig {
    let config = TransportConfig::default().with_max_packet_size(1_200).expect("the least");
    config.with_idle_timeout(Duration::from_secs(30)).expect("a time-out")
}

/// Two nodes that are connected, the first to the second, and then follow these scripts.
pub(crate) fn pair(transport: &TransportConfig, scripts: [&[Do]; 2]) -> World {
    let [one, other] = scripts;
    let dial = [Do::Dial { to: 1, known: true }, Do::Until(Met::Connected(0)), Do::Gate];
    let nodes = vec![
        (node(1, transport.clone()), App::new(&[&dial, one].concat())),
        (node(2, transport.clone()), App::new(&[&[Do::Gate], other].concat())),
    ];
    World::new(nodes).begun()
}

/// A source, two relays behind each other, and a sink. Each closes when the one before it has.
pub(crate) fn chain(transport: &TransportConfig, source: &[Do], sink: &[Do]) -> World {
    let dial = [Do::Dial { to: 1, known: true }, Do::Until(Met::Connected(0)), Do::Gate];
    let relay = |to| {
        let dial = Do::Dial { to, known: true };
        App::relay_by(
            &[dial, Do::Gate, Do::Until(Met::Closed(1)), Do::Close(0, 9)],
            LegPolicy::Stall,
        )
    };
    let apps = [
        App::new(&[&dial, source].concat()),
        relay(2),
        relay(3),
        App::new(&[&[Do::Gate], sink].concat()),
    ];
    let nodes = (1..).zip(apps).map(|(number, app)| (node(number, transport.clone()), app));
    World::new(nodes.collect()).begun()
}

/// A source, a relay that passes on what comes, and as many sinks as there are scripts beside the
/// source's. The relay closes when the source has.
pub(crate) fn relayed(transport: &TransportConfig, source: &[Do], sinks: &[&[Do]]) -> World {
    relayed_by(LegPolicy::Stall, transport, source, sinks)
}

/// The same, by a relay with this policy.
pub(crate) fn relayed_by(
    policy: LegPolicy,
    transport: &TransportConfig,
    source: &[Do],
    sinks: &[&[Do]],
) -> World {
    let dial = [Do::Dial { to: 1, known: true }, Do::Until(Met::Connected(0)), Do::Gate];
    let last = sinks.len();
    let mut relay = Vec::new();
    relay.extend((0..last).map(|sink| Do::Dial { to: 2 + sink, known: true }));
    relay.extend([Do::Gate, Do::Until(Met::Closed(last))]);
    relay.extend((0..last).map(|sink| Do::Close(sink, 9)));
    let mut nodes = vec![
        (node(1, transport.clone()), App::new(&[&dial, source].concat())),
        (node(2, transport.clone()), App::relay_by(&relay, policy)),
    ];
    for (number, sink) in (3..).zip(sinks) {
        let script = [&[Do::Gate], *sink].concat();
        nodes.push((node(number, transport.clone()), App::new(&script)));
    }
    World::new(nodes).begun()
}
