//! Streams that name their way, through nodes of the server's kind that relay.

use std::collections::BTreeSet;
use std::net::UdpSocket;
use std::sync::{Arc, Mutex};
use std::thread;

use aqueduct_std::relay::{Allow, Answer, Refusal, RelayConfig, RelayEvent, Way};
use aqueduct_std::{
    AppCode, Carriers, LegEnd, NodeAddr, OpenOptions, Stop, StreamCode, StreamProtocol,
    TransportConfig,
};

use crate::node::{Inlet, Link, Node, Outlet, pattern, until};
use crate::tcp::SECOND;

/// A node that relays and lets everybody in, until this is dropped.
pub(crate) struct Station<N: Node> {
    pub(crate) node: N,
    told: Arc<Mutex<Vec<RelayEvent>>>,
}

impl<N: Node> Drop for Station<N> {
    fn drop(&mut self) {
        self.node.close(AppCode(0));
    }
}

pub(crate) fn station<N: Node>(config: RelayConfig) -> Station<N> {
    // Who does not answer is given up soon.
    let node = N::with(TransportConfig::default().with_handshake_timeout(SECOND * 2));
    let station = Station { node: node.clone(), told: Arc::default() };
    station.relay(config);
    thread::spawn(move || {
        let mut kept = Vec::new();
        while let Some(link) = node.take() {
            kept.extend(link);
        }
    });
    station
}

impl<N: Node> Station<N> {
    fn relay(&self, config: RelayConfig) {
        let told = self.told.clone();
        let _relaying = self.node.relay(config, move |event| told.lock().unwrap().push(event));
    }

    /// Waits until it has told of something.
    fn until_told(&self, what: &str, is_it: impl Fn(&RelayEvent) -> bool) {
        until(what, || self.told.lock().unwrap().iter().any(&is_it));
    }
}

pub(crate) fn everybody() -> RelayConfig {
    RelayConfig::new(Allow::Everybody)
}

pub(crate) fn hello() -> OpenOptions {
    OpenOptions::new(StreamProtocol::name("hello")).with_head("words for the end")
}

fn to(relays: Vec<NodeAddr>, targets: Vec<NodeAddr>) -> OpenOptions {
    Way { relays, targets }.introduce(&hello()).unwrap()
}

/// Echoes the first stream of the first who comes, with a word of its own before it.
fn echo<N: Node>(node: &N, word: &'static [u8]) -> thread::JoinHandle<()> {
    let node = node.clone();
    thread::spawn(move || {
        let link = node.take().unwrap().unwrap();
        let (mut send, mut recv) = link.accept_bi().unwrap();
        let info = recv.info().unwrap().clone();
        assert_eq!(info.protocol, StreamProtocol::name("hello"));
        assert_eq!(&info.head[..], b"words for the end");
        let read = recv.all(1 << 24).unwrap();
        send.put(word).unwrap();
        send.put(&read).unwrap();
        send.delivered().unwrap();
        let _over = link.closed();
    })
}

/// spec: R-ROUTE-3 R-ROUTE-6 R-ROUTE-7
pub(crate) fn a_stream_goes_to_its_end_and_its_answer_comes_back_on_it<C: Node, S: Node>() {
    for relays in [1, 2] {
        let (source, sink) = (C::new(), C::new());
        let nodes: Vec<Station<S>> = (0..relays).map(|_| station(everybody())).collect();
        let echoing = echo(&sink, b"yes: ");
        let way = nodes[1..].iter().map(|station| station.node.there()).collect();
        let link = source.dial(nodes[0].node.there()).unwrap();
        let (mut send, mut recv) = link.open_bi(to(way, vec![sink.there()]));
        let (id, text) = (send.id(), pattern(2 << 20));
        thread::scope(|scope| {
            scope.spawn(|| {
                send.put(&text).unwrap();
                send.delivered().unwrap();
            });
            let answer = recv.all(text.len() + 5).unwrap();
            assert!(answer[..5] == *b"yes: " && answer[5..] == text, "{} bytes", answer.len());
        });
        let peer = source.addr().0;
        let next = if relays == 1 { sink.addr().0 } else { nodes[1].node.addr().0 };
        let started = RelayEvent::Started { peer, stream: id, to: vec![next] };
        nodes[0].until_told("it began", |event| *event == started);
        nodes[0].until_told("it is over", |event| {
            let RelayEvent::Ended { peer: of, stream, stats, legs, .. } = event else {
                return false;
            };
            let all = stats.received == text.len() as u64 && legs[..] == [Some(LegEnd::Delivered)];
            (*of, *stream, all) == (peer, id, true)
        });
        drop((link, recv, nodes));
        echoing.join().unwrap();
    }
}

/// spec: R-ROUTE-3 R-ROUTE-7 R-ROUTE-8
pub(crate) fn several_ends_answer_each_by_itself_and_one_is_out_of_reach<C: Node, S: Node>() {
    let (source, sinks, gone) = (C::new(), [C::new(), C::new()], C::new());
    let (near, far) = (station::<S>(everybody()), station::<S>(everybody()));
    let words: [&[u8]; 2] = [b"one: ", b"two: "];
    let echoing: Vec<_> = sinks.iter().zip(words).map(|(sink, word)| echo(sink, word)).collect();
    // Somebody else answers there, so that it is known at once.
    let nobody = NodeAddr::from((gone.addr().0, far.node.addr().1));
    let targets = vec![sinks[0].there(), sinks[1].there(), nobody.clone()];
    let link = source.dial(near.node.there()).unwrap();
    let (mut send, recv) = link.open_bi(to(vec![far.node.there()], targets));
    send.put(b"who is there").unwrap();
    send.finish().unwrap();
    let mut seen = BTreeSet::new();
    for _ in 0..3 {
        let mut answer = link.accept_uni().unwrap();
        let head = Answer::decode(&answer.info().unwrap().head).unwrap();
        assert_eq!(head.stream, send.id());
        let target = usize::from(head.target);
        match words.get(target) {
            Some(word) => {
                assert_eq!(answer.all(100).unwrap(), [word, &b"who is there"[..]].concat());
            }
            None => assert!(answer.all(100).is_err()),
        }
        seen.insert(target);
    }
    assert_eq!(seen, BTreeSet::from([0, 1, 2]));
    drop(recv);
    // With no other the stream is refused.
    let (mut send, _recv) = link.open_bi(to(Vec::new(), vec![nobody]));
    let _taken = send.put(b"who is there");
    let stop = Stop { code: StreamCode::Unreachable.app(), hop: 0 };
    assert_eq!(send.stopped().unwrap(), Some(stop));
    drop((link, near, far));
    echoing.into_iter().for_each(|echo| echo.join().unwrap());
}

/// A list of those who may, a number of streams, and a number of bytes; each is said again while
/// the node relays, and the last word holds.
///
/// spec: R-ROUTE-4 R-ROUTE-5
pub(crate) fn a_relay_refuses_as_it_was_told_last<C: Node, S: Node>() {
    let (source, other, sink) = (C::new(), C::new(), C::new());
    let only = |node: &C| RelayConfig::new(Allow::Nodes(BTreeSet::from([node.addr().0])));
    let relay = station::<S>(only(&other));
    let (mut none, mut empty) = (everybody(), everybody());
    (none.max_streams, empty.max_bytes) = (0, Some(0));
    let options = to(Vec::new(), vec![sink.there()]);
    let link = source.dial(relay.node.there()).unwrap();
    let refused = |link: &C::Link| {
        let (mut send, mut recv) = link.open_bi(options.clone());
        // The refusal may be faster.
        let _taken = send.put(b"please");
        let stop = Stop { code: StreamCode::Refused.app(), hop: 0 };
        assert_eq!(send.stopped().unwrap(), Some(stop));
        assert!(recv.some(1).is_err());
        send.id()
    };
    let whys = [Refusal::NotAllowed, Refusal::Streams { limit: 0 }, Refusal::Bytes { limit: 0 }];
    for (config, why) in [None, Some(none), Some(empty)].into_iter().zip(whys) {
        config.into_iter().for_each(|config| relay.relay(config));
        let event = RelayEvent::Refused { peer: source.addr().0, stream: refused(&link), why };
        relay.until_told("the refusal", |told| *told == event);
    }
    // Who is on the list is served.
    relay.relay(only(&source));
    let echoing = echo(&sink, b"");
    let (mut send, mut recv) = link.open_bi(options.clone());
    send.put(b"please").unwrap();
    send.finish().unwrap();
    assert_eq!(recv.all(100).unwrap(), &b"please"[..]);
    // Who does not relay at all refuses, too.
    let plain = Station { node: S::new(), told: Arc::default() };
    let (link, _far) = crate::node::connect(&source, &plain.node);
    refused(&link);
    drop((relay, recv));
    echoing.join().unwrap();
}

/// Relaying is no handle of the endpoint.
pub(crate) fn the_last_handle_ends_an_endpoint_that_relays<C: Node, S: Node>() {
    let node = S::by(Carriers::udp(), TransportConfig::default());
    let (link, _far) = crate::node::connect(&C::new(), &node);
    let port = node.addr().1;
    let over = node.relay(everybody(), |_| ());
    assert!(!over());
    drop((node, _far));
    let _told = link.closed();
    until("its port is free, and relaying is over", || over() && UdpSocket::bind(port).is_ok());
}
