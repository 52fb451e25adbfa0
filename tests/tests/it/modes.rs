//! What two nodes offer, and what their connection may do.

use std::time::Duration;

use aqueduct_core::config::{EndpointConfig, Streaming, TransportConfig};
use aqueduct_core::endpoint::{Leg, PipeError, StreamAddr};
use aqueduct_core::pipe::PipeOptions;
use aqueduct_core::wire::capabilities::{Capabilities, Mode};
use aqueduct_core::wire::id::Dir;
use aqueduct_tests::app::{Pair, introduction};
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

/// spec: R-MODE-13
#[test]
fn pipes_stand_on_connections_that_take_part_in_pipes() {
    let whole = Streaming { piped_forwarding: false, ..Streaming::default() };
    for (source, leg) in [(whole, Streaming::default()), (Streaming::default(), whole)] {
        let mut net = Net::new(1, LinkConfig::default());
        let (a, relay) = (net.add(offering(1, source), 1), net.add(config(2), 2));
        let b = net.add(offering(3, leg), 3);
        let mut pair = Pair::connect(net, a, relay);
        let (at_a, at_relay) = (pair.at_a, pair.at_b);
        let to = pair.net.connect(relay, b);
        let from = pair.a.begin(&mut pair.net, at_a, Dir::Uni, 1, 10);
        pair.pass(Duration::from_secs(1));
        let endpoint = &mut pair.net.host(relay).endpoint;
        let mut view = endpoint.connection(to).expect("it lives");
        let mut options = introduction(1);
        options.hop_limit = Some(3);
        let out = view.open(Dir::Uni, options).expect("a stream");
        drop(view);
        let from = StreamAddr { connection: at_relay, stream: from };
        let legs = [Leg::Stream(StreamAddr { connection: to, stream: out })];
        let piped = endpoint.pipe(from, &legs, PipeOptions::default());
        let missing = if source == whole { at_relay } else { to };
        assert_eq!(piped, Err(PipeError::NotAgreed(missing)));
    }
}
