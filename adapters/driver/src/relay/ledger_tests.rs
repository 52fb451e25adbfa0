use std::pin::pin;

use aqueduct_core::config::EndpointConfig;
use aqueduct_core::crypto::identity::NodeKey;
use aqueduct_core::endpoint::{CarrierKind, Endpoint, PeerAddr};
use aqueduct_core::rng::Seed;
use aqueduct_core::time::Instant;
use aqueduct_core::wire::id::CarrierId;
use futures_util::FutureExt;

use super::*;

fn node(n: u8) -> NodeId {
    NodeKey::from_seed(&[n; 32]).id()
}

/// That of a connection that is being dialled.
fn handle() -> ConnectionHandle {
    let (config, now) = (EndpointConfig::new(NodeKey::from_seed(&[9; 32])), Instant::ZERO);
    let mut endpoint = Endpoint::new(config, Seed::from_u64(1));
    let udp = CarrierKind::Udp { max_segments: 1, max_datagram: 1452 };
    endpoint.carrier_opened(CarrierId(0), udp, now);
    endpoint.connect(PeerAddr::new(node(1), ([192, 0, 2, 1], 7).into()), now).unwrap()
}

/// What is asked of a leg before the relay has noted it waits for that, and no longer than until
/// nothing more is being opened to that node.
///
/// spec: R-ROUTE-11
#[test]
fn who_asks_before_a_leg_is_known_waits_for_it() {
    let (ledger, leg) = (Ledger::default(), (handle(), StreamId(8)));
    assert!(ledger.way(leg, node(1)).now_or_never().unwrap().is_none());
    let first = ledger.opening(node(1));
    let second = ledger.opening(node(1));
    assert!(ledger.way(leg, node(2)).now_or_never().unwrap().is_none(), "of somebody else");
    let mut asked = pin!(ledger.way(leg, node(1)));
    assert!(asked.as_mut().now_or_never().is_none());
    drop(second);
    assert!(asked.as_mut().now_or_never().is_none());
    drop(first);
    assert!(asked.now_or_never().unwrap().is_none());
}

/// A leg that is being opened has no more answers than a route has targets, and so many may wait.
///
/// spec: R-ROUTE-11
#[test]
fn as_many_answers_wait_as_there_can_be() {
    let (ledger, leg) = (Ledger::default(), (handle(), StreamId(8)));
    let opening = ledger.opening(node(1));
    let claim = |target| Box::pin(ledger.claim(leg, node(1), target));
    let mut early: Vec<_> = (0..16).map(claim).collect();
    assert!(early.iter_mut().all(|claim| claim.as_mut().now_or_never().is_none()));
    assert!(claim(16).now_or_never().unwrap().is_none(), "one more");
    // Who is gone waits no more.
    early.truncate(15);
    assert!(claim(15).now_or_never().is_none());
    drop(opening);
    assert!(early.into_iter().all(|claim| claim.now_or_never().unwrap().is_none()));
    assert!(lock(&ledger.state).opening.is_empty());
}
