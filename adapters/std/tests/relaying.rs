//! What guests of a relay can do to each other.

#![expect(clippy::unwrap_used, reason = "a test ends by panicking")]

use std::io::{Read, Write};
use std::net::UdpSocket;
use std::thread;
use std::time::{Duration, Instant};

use aqueduct_std::relay::{Allow, RelayConfig, Way};
use aqueduct_std::{Endpoint, NodeAddr, OpenOptions, StreamProtocol, generate_key};

/// What a busy machine may add to anything.
const LONG: Duration = Duration::from_secs(20);

fn endpoint() -> Endpoint {
    let endpoint = Endpoint::bind("127.0.0.1:0".parse().unwrap(), generate_key().unwrap());
    endpoint.unwrap().with_timeout(LONG)
}

fn there(endpoint: &Endpoint) -> NodeAddr {
    NodeAddr::from((endpoint.node_id(), endpoint.local_addr()))
}

fn to(targets: Vec<NodeAddr>) -> OpenOptions {
    let way = Way { relays: Vec::new(), targets };
    way.introduce(&OpenOptions::new(StreamProtocol::name("hello"))).unwrap()
}

/// Lets everybody in, and keeps them.
fn let_in(endpoint: &Endpoint) {
    let endpoint = endpoint.clone();
    thread::spawn(move || {
        let kept: Vec<_> = endpoint.incoming().map(|guest| guest.accept().unwrap()).collect();
        drop(kept);
    });
}

/// Echoes the first stream of the first who comes.
fn echo(endpoint: &Endpoint) {
    let endpoint = endpoint.clone();
    thread::spawn(move || {
        let connection = endpoint.accept().unwrap().unwrap().accept().unwrap();
        let (mut send, mut recv) = connection.accept_bi().unwrap();
        std::io::copy(&mut recv, &mut send).unwrap();
        send.delivered().unwrap();
    });
}

/// Until it says so.
fn until(what: &str, done: impl Fn() -> bool) {
    let began = Instant::now();
    while !done() {
        assert!(began.elapsed() < LONG, "{what}");
        thread::sleep(Duration::from_millis(5));
    }
}

/// What a guest sends comes back from where it is to go, and soon.
fn is_served(guest: &Endpoint, node: &Endpoint, sink: &Endpoint) {
    let began = Instant::now();
    let connection = guest.connect(there(node)).unwrap();
    let (mut send, mut recv) = connection.open_bi(to(vec![there(sink)])).unwrap();
    send.write_all(b"hello").unwrap();
    send.finish().unwrap();
    let mut back = Vec::new();
    recv.read_to_end(&mut back).unwrap();
    assert_eq!(back, b"hello");
    assert!(began.elapsed() < Duration::from_secs(5), "{:?}", began.elapsed());
}

/// One of them names 256 nodes at an address where nobody answers.
///
/// spec: R-ROUTE-6
#[test]
fn who_names_nodes_out_of_reach_holds_up_himself() {
    let (hog, honest, node, sink) = (endpoint(), endpoint(), endpoint(), endpoint());
    let _relaying = node.relay(RelayConfig::new(Allow::Everybody), |_| ()).unwrap();
    let_in(&node);
    echo(&sink);
    let nowhere = UdpSocket::bind("127.0.0.1:0").unwrap();
    let nobody = || NodeAddr::from((generate_key().unwrap().id(), nowhere.local_addr().unwrap()));
    let hogging = hog.connect(there(&node)).unwrap();
    let streams = (0..16).map(|_| {
        let mut send = hogging.open_uni(to((0..16).map(|_| nobody()).collect())).unwrap();
        let _taken = send.write_all(b"anybody there?");
        send
    });
    let streams: Vec<_> = streams.collect();
    // His own connection, and what is dialled for him.
    until("16 nodes are dialled", || node.stats().unwrap().connections >= 17);
    thread::sleep(Duration::from_millis(200));
    let dialled = node.stats().unwrap().connections - 1;

    is_served(&honest, &node, &sink);
    assert_eq!(dialled, 16);
    drop(streams);
}

/// One of them says that a node is where it is not.
///
/// spec: R-ROUTE-6
#[test]
fn who_names_a_node_elsewhere_holds_up_nobody_who_knows_better() {
    let (hog, honest, node, sink) = (endpoint(), endpoint(), endpoint(), endpoint());
    let _relaying = node.relay(RelayConfig::new(Allow::Everybody), |_| ()).unwrap();
    let_in(&node);
    echo(&sink);
    let nowhere = UdpSocket::bind("127.0.0.1:0").unwrap();
    let elsewhere = NodeAddr::from((sink.node_id(), nowhere.local_addr().unwrap()));
    let hogging = hog.connect(there(&node)).unwrap();
    let mut send = hogging.open_uni(to(vec![elsewhere])).unwrap();
    send.write_all(b"anybody there?").unwrap();
    until("it is dialled", || node.stats().unwrap().connections >= 2);
    is_served(&honest, &node, &sink);
    drop(send);
}
