use std::sync::Arc;

use aqueduct_core::config::EndpointConfig;
use aqueduct_core::crypto::identity::NodeKey;
use aqueduct_core::rng::Seed;
use aqueduct_core::stream::{OpenOptions, StreamProtocol};
use aqueduct_core::wire::protocol::PART;
use aqueduct_core::wire::route::Part;

use crate::connection::ConnShared;
use crate::engine::{Engine, Parts};
use crate::recv::receiving;
use crate::wait::question;

use super::*;

fn connection() -> Arc<ConnShared> {
    let local = ([10, 0, 0, 1], 4433).into();
    let parts = Parts {
        local,
        takes_v4: true,
        max_segments: 1,
        carriers: crate::tcp::Carriers::udp(),
        listens: false,
        warnings: Vec::new(),
    };
    let key = NodeKey::from_seed(&[1; 32]);
    let peer = key.id();
    let (_engine, endpoint) = Engine::new(EndpointConfig::new(key), Seed::from_u64(1), parts);
    ConnShared::new(endpoint.shared().clone(), local, Some(peer))
}

/// A part for a request comes; whether somebody takes it.
fn comes(asks: &mut Asks, connection: &Arc<ConnShared>, request: u64) -> bool {
    let mut options = OpenOptions::new(StreamProtocol::Number(PART));
    options.head = Part { request: StreamId(request) }.encode().into();
    let (_inlet, part) = receiving(connection.clone(), StreamId(3), Some(options));
    asks.answer(part).is_none()
}

/// spec: R-ROUTE-12
#[test]
fn parts_are_for_those_who_asked_for_them() {
    let (connection, mut asks) = (connection(), Asks::default());
    assert!(!comes(&mut asks, &connection, 4), "nobody has asked");
    let (asker, part) = question();
    asks.add(StreamId(4), asker);
    assert!(!comes(&mut asks, &connection, 8), "nobody has asked for this one");
    assert!(comes(&mut asks, &connection, 4));
    assert!(!comes(&mut asks, &connection, 4), "once is enough");
    drop(part);
    // An answer for somebody who is gone takes nothing from one who waits.
    let (gone, part) = question();
    asks.add(StreamId(8), gone);
    drop(part);
    let (asker, part) = question();
    asks.add(StreamId(12), asker);
    assert!(!comes(&mut asks, &connection, 8), "nobody waits any more");
    assert!(comes(&mut asks, &connection, 12));
    drop(part);
    assert!(asks.askers.is_empty());
}

/// spec: R-ROUTE-12
#[test]
fn those_who_left_are_forgotten() {
    let (mut asks, mut waiting) = (Asks::default(), Vec::new());
    for number in 0..10_000 {
        let (asker, part) = question();
        asks.add(StreamId(4 * number), asker);
        if number % 1000 == 0 {
            waiting.push(part);
        }
        assert!(asks.askers.len() <= 32 + 2 * waiting.len(), "{}", asks.askers.len());
    }
}
