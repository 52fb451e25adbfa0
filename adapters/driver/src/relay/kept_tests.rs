use aqueduct_core::config::EndpointConfig;
use aqueduct_core::crypto::identity::NodeKey;
use aqueduct_core::rng::Seed;

use crate::connection::{ConnShared, Connecting};
use crate::engine::{Engine, Parts};

use super::*;

fn engine() -> (Engine, Endpoint) {
    let local = ([10, 0, 0, 1], 4433).into();
    let parts = Parts {
        local,
        takes_v4: true,
        max_segments: 1,
        carriers: crate::tcp::Carriers::udp(),
        listens: false,
        warnings: Vec::new(),
    };
    Engine::new(EndpointConfig::new(NodeKey::from_seed(&[1; 32])), Seed::from_u64(1), parts)
}

fn node(n: u8) -> NodeId {
    NodeKey::from_seed(&[n; 32]).id()
}

/// A connection that nobody but the list holds.
fn keep(kept: &Kept, endpoint: &Endpoint, n: u8, now: Instant) -> Arc<ConnShared> {
    let shared = endpoint.shared().clone();
    let shared = ConnShared::new(shared, endpoint.local_addr(), Some(node(n)));
    let _handle = Connecting::new(shared.clone());
    kept.keep(&shared.to_handle().unwrap(), now);
    shared
}

fn is_let_go(connection: &ConnShared) -> bool {
    lock(&connection.state).abandoned
}

const SECOND: Duration = Duration::from_secs(1);

/// spec: R-ROUTE-13
#[test]
fn the_least_recently_used_connection_gives_way() {
    let (_engine, endpoint) = engine();
    let kept = Kept::default();
    let all: Vec<_> = (0..64).map(|n| keep(&kept, &endpoint, n, Instant::ZERO)).collect();
    assert!(!all.iter().any(|connection| is_let_go(connection)));
    kept.used(node(0), Instant::ZERO);
    let _more = keep(&kept, &endpoint, 64, Instant::ZERO);
    let gone: Vec<_> = (0..64).filter(|n| is_let_go(&all[*n])).collect();
    assert_eq!(gone, [1]);
    drop(kept);
    assert!(all.iter().all(|connection| is_let_go(connection)), "they go with the relay");
}

/// spec: R-ROUTE-13
#[test]
fn a_stream_counts_for_the_connection_that_took_the_place_of_another() {
    let (_engine, endpoint) = engine();
    let kept = Kept::default();
    let at = |seconds| Instant::ZERO + SECOND * seconds;
    let [_before, now] = [1, 1].map(|n| keep(&kept, &endpoint, n, at(0)));
    kept.used(node(1), at(5));
    kept.release(10 * SECOND, at(10));
    assert!(!is_let_go(&now));
}

/// spec: R-ROUTE-13
#[test]
fn a_connection_goes_when_it_had_no_stream_for_so_long() {
    let (_engine, endpoint) = engine();
    let kept = Kept::default();
    let at = |seconds| Instant::ZERO + SECOND * seconds;
    let [idle, used, busy] = [1, 2, 3].map(|n| keep(&kept, &endpoint, n, at(0)));
    let stream = busy.to_handle();
    kept.used(node(2), at(5));
    kept.release(10 * SECOND, at(9));
    assert!(!is_let_go(&idle));
    kept.release(10 * SECOND, at(10));
    assert!(is_let_go(&idle) && !is_let_go(&used));
    kept.release(10 * SECOND, at(15));
    assert!(is_let_go(&used) && !is_let_go(&busy));
    // Its stream was there at 15.
    drop(stream);
    kept.release(10 * SECOND, at(24));
    assert!(!is_let_go(&busy));
    kept.release(10 * SECOND, at(25));
    assert!(is_let_go(&busy));
}
