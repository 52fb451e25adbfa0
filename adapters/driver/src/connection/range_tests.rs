use aqueduct_core::config::EndpointConfig;
use aqueduct_core::crypto::identity::NodeKey;
use aqueduct_core::rng::Seed;
use std::sync::Arc;

use crate::connection::Connecting;
use crate::engine::{Engine, Parts as EngineParts};
use crate::recv::receiving;

use super::*;

/// A part for a request has come; whether it waits for somebody now.
fn comes(connection: &Arc<ConnShared>, request: u64) -> bool {
    let mut options = OpenOptions::new(StreamProtocol::Number(PART));
    options.head = Part { request: StreamId(request) }.encode().into();
    let (_inlet, part) = receiving(connection.clone(), StreamId(3), Some(options));
    let before = lock(&connection.state).parts.came.len();
    connection.part_arrived(part);
    lock(&connection.state).parts.came.len() > before
}

/// spec: R-ROUTE-12
#[test]
fn parts_are_for_those_who_asked_for_them() {
    let local = ([10, 0, 0, 1], 4433).into();
    let parts = EngineParts {
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
    let shared = ConnShared::new(endpoint.shared().clone(), local, Some(peer));
    let _connecting = Connecting::new(shared.clone());
    let connection = shared.to_handle().unwrap();
    assert!(!comes(&shared, 4), "nobody has asked");
    let mut first = Asking::new(&connection);
    first.is(StreamId(4));
    assert!(!comes(&shared, 8), "nobody has asked for this one");
    assert!(comes(&shared, 4));
    assert!(!comes(&shared, 4), "once is enough");
    // One that is on its way may be for a request whose stream is not known yet.
    let mut second = Asking::new(&connection);
    assert!(comes(&shared, 8));
    assert!(!comes(&shared, 12), "it can be one only");
    second.is(StreamId(12));
    assert!(comes(&shared, 12), "what was not for it is gone");
    drop((first, second));
    assert!(lock(&shared.state).parts.came.is_empty());
}
