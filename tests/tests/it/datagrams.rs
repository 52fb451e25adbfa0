//! Datagrams of an application that is faster than its path.

use std::time::Duration;

use aqueduct_core::config::TransportConfig;
use aqueduct_core::endpoint::EventKind;
use aqueduct_core::message::{Delivery, DropRule, Queued};
use aqueduct_core::stream::Priority;
use aqueduct_tests::app::{Pair, prose};
use aqueduct_tests::link::LinkConfig;
use aqueduct_tests::net::{HostId, Net};
use bytes::Bytes;

use crate::transfer::config;

fn pair(rule: DropRule) -> Pair {
    let link = LinkConfig { rate: Some(500_000), queue: 100_000, ..LinkConfig::default() };
    let mut net = Net::new(1, link);
    let transport = TransportConfig::default().with_datagrams(64 * 1024, rule);
    let (a, b) = (net.add(config(1).with_transport(transport), 1), net.add(config(2), 2));
    Pair::connect(net, a, b)
}

/// Told of room, the application hands in as much as there is room for: all of it is sent, and
/// nothing of it before the queue drops it.
///
/// spec: R-MSG-11
#[test]
fn who_asks_before_handing_in_loses_nothing_at_home() {
    for rule in [DropRule::Oldest, DropRule::Newest] {
        let mut pair = pair(rule);
        let (at_a, all) = (pair.at_a, 1_000);
        let (mut handed, mut told, mut open) = (0, 0, true);
        for _ in 0..1_000_000 {
            let mut view = pair.net.host(HostId(0)).endpoint.connection(at_a).expect("it lives");
            while open && handed < all {
                open = view.has_datagram_room(900);
                if open {
                    assert_eq!(view.send_datagram(prose(handed, 900)), Ok(Queued::Kept));
                    handed += 1;
                }
            }
            drop(view);
            pair.net.step(pair.net.now + Duration::from_secs(1));
            let host = pair.net.host(HostId(0));
            let room =
                host.events.iter().filter(|event| event.kind == EventKind::DatagramsWritable);
            let room = room.count();
            told += room;
            open |= room > 0;
            host.events.clear();
            pair.b.turn(&mut pair.net);
            let stats = host_stats(&mut pair);
            if stats.sent == all {
                break;
            }
        }
        let stats = host_stats(&mut pair);
        println!("{rule:?}: told {told} times; {stats:?}");
        assert_eq!((stats.sent, stats.send_dropped), (all, 0));
        assert!(told > 3);
        pair.pass(Duration::from_secs(5));
        assert_eq!(
            pair.b.diary(pair.at_b).datagrams.len() as u64,
            all - host_stats(&mut pair).lost
        );
    }
}

/// Who only hands in is told as well, once for each time that something gave way.
///
/// spec: R-MSG-11
#[test]
fn who_is_turned_away_is_told_of_room() {
    for rule in [DropRule::Oldest, DropRule::Newest] {
        let mut pair = pair(rule);
        let at_a = pair.at_a;
        let mut room = 0;
        for round in 0..3 {
            let mut view = pair.net.host(HostId(0)).endpoint.connection(at_a).expect("it lives");
            while view.send_datagram(prose(1, 900)) == Ok(Queued::Kept) {}
            drop(view);
            pair.net.run(Duration::from_secs(5), |_| false);
            let host = pair.net.host(HostId(0));
            let events = host.events.drain(..);
            room += events.filter(|event| event.kind == EventKind::DatagramsWritable).count();
            assert_eq!(room, round + 1, "{rule:?}");
        }
    }
}

/// Packets are full by the number of their frames first: of datagrams without a byte, of all classes.
///
/// spec: R-FRM-3
#[test]
fn a_burst_of_empty_datagrams_is_no_violation() {
    let (a, b) = (config(1), config(2));
    let mut net = Net::new(1, LinkConfig::default());
    let (a, b) = (net.add(a, 1), net.add(b, 2));
    let mut pair = Pair::connect(net, a, b);
    let mut view = pair.net.host(a).endpoint.connection(pair.at_a).expect("it lives");
    for class in Priority::ALL {
        for _ in 0..256 {
            let delivery = Delivery::new().priority(class);
            assert_eq!(view.send_datagram_with(Bytes::new(), delivery), Ok(Queued::Kept));
        }
    }
    // One that takes most of a packet is not lost for want of room behind those.
    assert_eq!(view.send_datagram(prose(1, 1_100)), Ok(Queued::Kept));
    drop(view);
    pair.pass(Duration::from_secs(1));
    assert_eq!(pair.b.diary(pair.at_b).closed, None);
    let came = pair.b.diary(pair.at_b).datagrams;
    let lens: Vec<_> = came.iter().map(|datagram| datagram.len()).collect();
    assert_eq!(lens, [vec![0; 2 * 256], vec![1_100], vec![0; 256]].concat().as_slice());
}

fn host_stats(pair: &mut Pair) -> aqueduct_core::message::DatagramStats {
    let at_a = pair.at_a;
    pair.net.host(HostId(0)).endpoint.connection(at_a).expect("it lives").stats().datagrams
}
