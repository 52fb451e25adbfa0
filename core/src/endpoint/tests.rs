//! The endpoint's own parts; whole runs are in the integration tests.

use alloc::vec::Vec;

use super::ready::{Deadlines, Queued, ReadyQueue};
use super::slab::{Slab, SlotKey};
use super::{CarrierKind, Endpoint, Output, PeerAddr};
use crate::config::EndpointConfig;
use crate::crypto::identity::NodeKey;
use crate::rng::Seed;
use crate::time::Instant;
use crate::wire::id::CarrierId;

/// News of a carrier are a matter of those that use it, however many others there are.
///
/// spec: R-EP-46
#[test]
fn who_uses_a_carrier_is_known() {
    let config = EndpointConfig::new(NodeKey::from_seed(&[1; 32]));
    let mut node = Endpoint::new(config, Seed::from_u64(1));
    let (udp, tcp, now) = (CarrierId(0), CarrierId(1), Instant::ZERO);
    let remote = ([192, 0, 2, 1], 7).into();
    node.carrier_opened(udp, CarrierKind::Udp { max_segments: 1, max_datagram: 1_452 }, now);
    node.carrier_opened(tcp, CarrierKind::Reliable { remote }, now);
    for carrier in [udp, tcp, udp, udp] {
        node.connect(PeerAddr { id: None, remote, carrier }, now).unwrap();
    }
    assert_eq!((node.users_of(udp).len(), node.users_of(tcp).len()), (3, 1));
    assert_eq!(node.carriers_in_use().into_iter().collect::<Vec<_>>(), [udp, tcp]);
    assert_eq!(node.carriers_of_connections(), node.carriers_in_use(), "we began all");
    node.carrier_closed(tcp, now);
    let mut buf = Vec::new();
    while !matches!(node.poll(&mut buf, now), Output::Wait(_)) {}
    assert_eq!((node.users_of(udp).len(), node.users_of(tcp).len()), (3, 0));
}

#[test]
fn a_stale_key_finds_nothing() {
    let mut slab: Slab<u8> = Slab::new(1);
    let first = slab.reserve().unwrap();
    assert!(slab.get(first).is_none());
    slab.put(first, 1);
    assert_eq!(slab.reserve(), None, "the limit");
    assert_eq!(slab.release(first), Some(1));
    let second = slab.reserve().unwrap();
    slab.put(second, 2);
    assert_eq!(first.index, second.index);
    assert!(slab.get(first).is_none() && slab.get_mut(first).is_none());
    assert_eq!(slab.release(first), None);
    assert_eq!(slab.get(second), Some(&2));
}

#[test]
fn a_connection_waits_once() {
    let key = SlotKey { index: 3, generation: 0 };
    let (mut queue, mut queued) = (ReadyQueue::default(), Queued::default());
    queue.push(key, &mut queued);
    queue.push(key, &mut queued);
    assert_eq!(queue.pop(), Some(key));
    queued.clear();
    assert_eq!(queue.pop(), None);
}

#[test]
fn deadlines_come_earliest_first_and_move() {
    let key = |index| SlotKey { index, generation: 0 };
    let at = Instant::from_nanos;
    let mut deadlines = Deadlines::default();
    deadlines.change(key(1), None, Some(at(30)));
    deadlines.change(key(2), None, Some(at(20)));
    deadlines.change(key(1), Some(at(30)), Some(at(10)));
    assert_eq!(deadlines.first(), Some(at(10)));
    assert_eq!(deadlines.pop_due(at(9)), None);
    assert_eq!(deadlines.pop_due(at(10)), Some(key(1)));
    deadlines.change(key(2), Some(at(20)), None);
    assert_eq!(deadlines.first(), None);
}
