//! What nodes, connections and streams say of themselves.

use std::net::IpAddr;
use std::thread;
use std::time::Instant;

use aqueduct_std::{
    AppCode, Carriers, CloseReason, DatagramError, NodeAddr, OpenOptions, Recording,
    StreamProtocol, TransportConfig,
};

use crate::node::{Inlet, Knock, Link, Node, Outlet, connect, options, pair, pattern, until};

pub(crate) fn who_knocks_and_who_answers_are_named<C: Node, S: Node>() {
    let (client, server) = (C::new(), S::new());
    thread::scope(|scope| {
        let taking = scope.spawn(|| {
            let knock = server.knock().unwrap();
            assert_eq!((knock.peer(), knock.remote()), client.addr());
            knock.accept().unwrap()
        });
        // By its address alone.
        let near = client.dial(server.addr().1.into()).unwrap();
        let far = taking.join().unwrap();
        assert_eq!((near.peer(), near.remote()), server.addr());
        assert_eq!((far.peer(), far.remote()), client.addr());
        assert_eq!((near.close_reason(), far.close_reason()), (None, None));
        near.close(AppCode(9), b"that is all");
        assert_eq!(near.closed(), CloseReason::Local(AppCode(9)));
        assert_eq!(near.close_reason(), Some(CloseReason::Local(AppCode(9))));
        let told = far.closed();
        assert_eq!(far.close_reason(), Some(told));
    });
    // Who drops one that knocks has refused it.
    thread::scope(|scope| {
        scope.spawn(|| drop(server.knock().unwrap()));
        assert!(client.dial(server.there()).is_err());
    });
}

pub(crate) fn where_a_node_can_be_dialled_is_true<C: Node, S: Node>() {
    for carriers in [Carriers::both(), Carriers::udp()] {
        let server = S::at("0.0.0.0:0", carriers, TransportConfig::default());
        let port = server.addr().1.port();
        assert_eq!(server.listens_for_tcp(), carriers == Carriers::both());
        let tcp = std::net::TcpStream::connect(("127.0.0.1", port));
        assert_eq!(tcp.is_ok(), server.listens_for_tcp());
        let addrs = server.dialable_addrs();
        let last = addrs.last().unwrap();
        assert!(last.ip() == IpAddr::from([127, 0, 0, 1]) && last.port() == port, "{addrs:?}");
        assert!(addrs.iter().all(|addr| !addr.ip().is_unspecified()), "{addrs:?}");
        let client = C::by(carriers, TransportConfig::default());
        let (near, _far) = crate::node::connect_at(&client, &server, *last);
        assert_eq!(near.remote(), *last);
    }
    // What was asked for is more than what there is, or there is no warning.
    assert!(S::new().buffer_warnings().iter().all(|warning| !warning.to_string().is_empty()));
    let client = C::new();
    let empty = NodeAddr::new(Some(client.addr().0), Vec::new());
    assert_eq!(client.dial(empty).err(), Some(aqueduct_std::ConnectError::NoAddress));
}

pub(crate) fn streams_of_both_kinds_are_accepted_in_their_order<C: Node, S: Node>() {
    let pair = pair::<C, S>();
    let named = OpenOptions { size: Some(3), ..OpenOptions::new(StreamProtocol::Number(77)) };
    let mut uni = pair.near.open_uni(named.with_head("first"));
    uni.put(b"one").unwrap();
    uni.finish().unwrap();
    let (send, mut recv) = pair.far.accept_any().unwrap();
    assert!(send.is_none());
    let info = recv.info().unwrap();
    assert_eq!((info.size, &info.head[..]), (Some(3), &b"first"[..]));
    assert_eq!(info.protocol, StreamProtocol::Number(77));
    assert_eq!(recv.all(3).unwrap(), &b"one"[..]);
    let (mut there, mut back) = pair.near.open_bi(options());
    assert_eq!((there.id(), back.info()), (back.id(), None));
    there.put(b"two").unwrap();
    let (send, recv) = pair.far.accept_any().unwrap();
    let mut send = send.expect("a stream of both directions");
    assert_eq!((send.id(), recv.id()), (there.id(), there.id()));
    send.put(b"three").unwrap();
    assert_eq!(back.first(5), b"three");
    // What cannot be sent so is said at once.
    let error = pair.near.try_open_uni(options().with_head(vec![0; 901])).err().unwrap();
    assert!(matches!(error, aqueduct_std::OpenError::Refused(_)), "{error}");
    pair.near.open_uni(options());
}

pub(crate) fn a_datagram_is_as_long_as_is_said<C: Node, S: Node>() {
    let pair = pair::<C, S>();
    let max = pair.near.max_datagram_len().unwrap();
    let error = pair.near.say_now(vec![0; 1 << 16].into()).unwrap_err();
    assert!(matches!(error, DatagramError::TooLarge { len: 65_536, max: m } if m >= max));
    assert!(pair.near.say(vec![0; 1 << 16].into()).is_err());
    let mut number = 0_u64;
    thread::scope(|scope| {
        let heard = scope.spawn(|| pair.far.hear().unwrap());
        // One of them comes.
        until("a datagram", || {
            number += 1;
            let mut datagram = vec![7; max];
            datagram[..8].copy_from_slice(&number.to_be_bytes());
            pair.near.say_now(datagram.into()).unwrap();
            heard.is_finished()
        });
        assert_eq!(heard.join().unwrap().len(), max);
    });
}

pub(crate) fn figures_are_those_of_what_was_done<C: Node, S: Node>() {
    let pair = pair::<C, S>();
    let begun = (pair.client.clock().now(), Instant::now());
    let mut send = pair.near.open_uni(options());
    send.put(&pattern(100_000)).unwrap();
    send.finish().unwrap();
    assert_eq!(pair.far.accept_uni().unwrap().all(100_000).unwrap().len(), 100_000);
    send.delivered().unwrap();
    let (client, server) = (pair.client.stats(), pair.server.stats());
    assert_eq!((client.dialled, client.accepted, client.established), (1, 0, 1));
    assert_eq!((server.dialled, server.accepted, server.established), (0, 1, 1));
    let io = pair.server.io_stats();
    assert!(io.datagrams_received >= server.datagrams && server.datagrams > 50, "{io:?}");
    let figures = pair.server.figures();
    assert_eq!(figures.endpoint.accepted, 1);
    assert!(figures.io.datagrams_received >= io.datagrams_received);
    assert_eq!(pair.near.stats().stream_stats.opened, 1);
    let now = pair.client.clock().to_std(pair.client.clock().now()).unwrap();
    assert!(pair.client.clock().now() > begun.0 && now >= begun.1);
    assert_eq!(pair.client.wait_and_count(pair.near), 0);
}

/// How many connections are left when this one is closed.
trait Count: Node {
    fn wait_and_count(&self, link: Self::Link) -> u32 {
        link.close(AppCode(0), b"");
        drop(link);
        self.wait_idle();
        self.connections()
    }
}

impl<N: Node> Count for N {}

pub(crate) fn a_recording_says_how_far_it_is<C: Node, S: Node>() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("tape");
    let (client, server) = (C::recorded(Recording::to(&file)), S::new());
    let (near, far) = connect(&client, &server);
    assert_eq!(client.tape_ended(), None);
    near.send_message(pattern(100_000).into());
    assert_eq!(far.recv_message().unwrap().len(), 100_000);
    until("something is on the disk", || client.tape_written() > 0);
    let all = client.end_tape().unwrap();
    assert_eq!((client.tape_written(), client.tape_ended()), (all, Some(client.tape_closed())));
    assert_eq!(std::fs::metadata(&file).unwrap().len(), all);
}
