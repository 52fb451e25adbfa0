//! What two nodes offer, and what their connection may do.

use aqueduct_core::config::{EndpointConfig, Streaming, TransportConfig};
use aqueduct_core::wire::capabilities::{Capabilities, Mode};
use aqueduct_tests::app::Pair;
use aqueduct_tests::link::LinkConfig;
use aqueduct_tests::net::{HostId, Net};

use crate::transfer::config;

fn offering(node: u8, streaming: Streaming) -> EndpointConfig {
    config(node).with_transport(TransportConfig::default().with_streaming(streaming))
}

/// What both ends of a connection say of it.
fn negotiated(a: EndpointConfig, b: EndpointConfig) -> (Option<Capabilities>, Option<Mode>) {
    let mut net = Net::new(1, LinkConfig::default());
    let (a, b) = (net.add(a, 1), net.add(b, 2));
    let mut pair = Pair::connect(net, a, b);
    let (at_a, at_b) = (pair.at_a, pair.at_b);
    let near = pair.net.host(HostId(0)).endpoint.connection(at_a).expect("it lives");
    let said = (near.capabilities(), near.mode());
    drop(near);
    let far = pair.net.host(HostId(1)).endpoint.connection(at_b).expect("it lives");
    assert_eq!((far.capabilities(), far.mode()), said, "the ends disagree");
    said
}

/// spec: R-MODE-1 R-MODE-2
#[test]
fn a_connection_can_what_both_ends_can() {
    let whole = Streaming { piped_forwarding: false, ..Streaming::default() };
    let odd = Streaming { streaming_enabled: false, ..Streaming::default() };
    let all = Streaming::default();
    assert_eq!(odd.capabilities(), Capabilities::NONE, "piping is never offered alone");
    let both = Capabilities::STREAMING.and(Capabilities::PIPING);
    for (a, b, capabilities, mode) in [
        (all, all, both, Mode::StreamingPiped),
        (all, whole, Capabilities::STREAMING, Mode::StreamingReassemble),
        (whole, all, Capabilities::STREAMING, Mode::StreamingReassemble),
        (all, Streaming::OFF, Capabilities::NONE, Mode::Traditional),
        (odd, all, Capabilities::NONE, Mode::Traditional),
        (Streaming::OFF, Streaming::OFF, Capabilities::NONE, Mode::Traditional),
    ] {
        let said = negotiated(offering(1, a), offering(2, b));
        assert_eq!(said, (Some(capabilities), Some(mode)), "{a:?} and {b:?}");
    }
}
