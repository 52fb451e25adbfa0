//! Calls that wait, each on a thread of its own, while another thread or the peer ends what they
//! wait for: each ends, soon, and with an error that says so.

use std::collections::BTreeSet;
use std::net::UdpSocket;
use std::sync::mpsc::channel;
use std::thread;
use std::time::Duration;

use aqueduct_std::{AppCode, Carriers, LegIndex, NodeAddr, OpenOptions, StreamId, TransportConfig};

use crate::node::{
    Flow, Inlet, LOOPBACK, Letter, Link, Node, Outlet, Pair, Verified, connect, connect_at,
    options, pair, pattern,
};
use crate::pipes::between;
use crate::tcp::SECOND;
use crate::way::Way;

/// What waits, and how it ended: `Err` if not as it should.
type Call = (&'static str, Box<dyn FnOnce() -> Result<(), String> + Send>);

/// It is to fail.
fn fails<T, E>(what: &'static str, call: impl FnOnce() -> Result<T, E> + Send + 'static) -> Call {
    let ended = move || match call() {
        Ok(_) => Err("gave something".to_owned()),
        Err(_) => Ok(()),
    };
    (what, Box::new(ended))
}

/// It is to return.
fn returns<T>(what: &'static str, call: impl FnOnce() -> T + Send + 'static) -> Call {
    let ended = move || {
        call();
        Ok(())
    };
    (what, Box::new(ended))
}

/// Lets them wait, and ends it.
fn all_end(calls: Vec<Call>, end: impl FnOnce()) {
    let (tell, told) = channel();
    let mut waiting = BTreeSet::new();
    for (what, call) in calls {
        assert!(waiting.insert(what), "{what} twice");
        let tell = tell.clone();
        thread::spawn(move || _ = tell.send((what, call())));
    }
    if let Ok((what, how)) = told.recv_timeout(Duration::from_millis(100)) {
        panic!("{what} did not wait: {how:?}");
    }
    end();
    while !waiting.is_empty() {
        match told.recv_timeout(SECOND * 20) {
            Ok((what, Ok(()))) => assert!(waiting.remove(what)),
            Ok((what, Err(how))) => panic!("{what} {how}"),
            Err(_) => panic!("{waiting:?} still wait"),
        }
    }
}

/// Streams of each kind that may be open at a time.
const STREAMS: u32 = 8;

fn few() -> TransportConfig {
    TransportConfig::default().with_max_streams(STREAMS, STREAMS).unwrap()
}

/// All calls of a connection and its streams that can wait while the peer does nothing.
fn calls<L: Link, P: Link>(link: &L, peer: &P) -> Vec<Call> {
    let of = || link.clone();
    let (bi, uni, any) = (of(), of(), of());
    let (datagram, message, auto, closed) = (of(), of(), of(), of());
    let mut calls = vec![
        fails("accept_bi", move || bi.accept_bi()),
        fails("accept_uni", move || uni.accept_uni()),
        fails("accept_stream", move || any.accept_any()),
        fails("read_datagram", move || datagram.hear()),
        fails("recv_message", move || message.recv_message()),
        fails("recv_auto", move || auto.recv_auto()),
        returns("closed", move || closed.closed()),
    ];
    // A stream that comes, and one that goes; of each more than one kind of call waits.
    let (mut back, mut recv) = link.open_bi(options());
    back.put(b"#").unwrap();
    let (mut there, rest) = peer.accept_bi().unwrap();
    there.put(b"#").unwrap();
    assert_eq!(recv.first(1), b"#");
    let [mut all, mut look, mut read, mut block] = [(); 4].map(|()| recv.fork());
    calls.extend([
        fails("read_chunk", move || recv.some(10)),
        fails("collect_all", move || all.all(10)),
        fails("peek", move || look.peek(10)),
        fails("read", move || read.read(&mut [0])),
        fails("next", move || block.next_block().unwrap()),
        fails("stopped", move || back.stopped()),
    ]);
    let mut send = link.open_uni(options());
    calls.push(fails("write_bytes", move || {
        let body = pattern(1 << 20);
        (0..1_000).try_for_each(|_| send.put(&body))
    }));
    let mut send = link.open_uni(options());
    calls.push(fails("write", move || {
        let body = pattern(1 << 20);
        (0..1_000).try_for_each(|_| send.pour(&body))
    }));
    let mut send = link.open_uni(options());
    calls.push(fails("write_at", move || {
        let body = pattern(1 << 20);
        (1..1_000).try_for_each(|at| send.put_at(at << 20, &body))
    }));
    // As many as the peer lets there be.
    let mut held: Vec<_> = (0..STREAMS - 3).map(|_| link.open_uni(options())).collect();
    held.iter_mut().for_each(|send| send.put(b"#").unwrap());
    let (opening, both) = (of(), of());
    calls.push(fails("open_uni", move || {
        let _held = held;
        opening.try_open_uni(options())
    }));
    let held: Vec<_> = (0..STREAMS - 1).map(|_| link.open_bi(options())).collect();
    let auto = of();
    calls.push(fails("send_auto", move || auto.send_auto(pattern(8 << 20))));
    calls.push(fails("open_bi", move || {
        let _kept = (held, there, rest);
        both.try_open_bi(options())
    }));
    calls
}

/// Calls of a reader whose stream has a digest, and of one who reads a message.
fn of_readers<L: Link, P: Link>(link: &L, peer: &P) -> Vec<Call> {
    let digested = OpenOptions { digest: Some([0; 32]), ..options() };
    let mut send = peer.open_uni(digested);
    send.put(b"#").unwrap();
    let mut verified = link.accept_uni().unwrap().verified().ok().unwrap();
    assert_eq!(verified.some(1).unwrap().unwrap(), &b"#"[..]);
    let mut calls = vec![fails("read_chunk, verified", move || {
        let _kept = send;
        verified.some(1)
    })];
    let names = ["read_chunk of a message", "next of a message", "collect_all of a message"];
    for (number, what) in names.into_iter().enumerate() {
        let sender = peer.clone();
        thread::spawn(move || sender.send_auto(Half(Some(vec![1; 100].into()))));
        let mut letter = link.letter();
        calls.push(fails(what, move || match number {
            0 => letter.some(100).and_then(|_| letter.some(100)).map(drop),
            1 => letter.next_block().unwrap().and_then(|_| letter.next_block().unwrap()).map(drop),
            _ => letter.all().map(drop),
        }));
    }
    calls
}

/// The first piece of a message whose second never comes.
struct Half(Option<aqueduct_std::Bytes>);

impl aqueduct_std::ChunkSource for Half {
    fn poll_chunk(
        &mut self,
        _cx: &mut std::task::Context<'_>,
    ) -> std::task::Poll<std::io::Result<Option<aqueduct_std::Bytes>>> {
        self.0
            .take()
            .map_or(std::task::Poll::Pending, |half| std::task::Poll::Ready(Ok(Some(half))))
    }
}

impl aqueduct_std::StreamingSerialize for Half {
    type Source = Self;

    fn start_serialize(self) -> (u64, Self) {
        (1 << 20, self)
    }
}

fn pair_of_few<C: Node, S: Node>() -> Pair<C, S> {
    let (client, server) = (C::with(few()), S::with(few()));
    let (near, far) = connect(&client, &server);
    Pair { client, server, near, far }
}

/// By another handle, on another thread. And what waits for an answer while nothing gets through.
pub(crate) fn whatever_waits_hears_that_its_own_end_is_aborted<C: Node, S: Node>() {
    let pair = pair_of_few::<C, S>();
    all_end(calls(&pair.near, &pair.far), || pair.near.abort(AppCode(1), b""));
    let pair = pair_of_few::<C, S>();
    all_end(of_readers(&pair.near, &pair.far), || pair.near.abort(AppCode(1), b""));

    let by_udp = || TransportConfig::default();
    let (client, server) = (C::by(Carriers::udp(), by_udp()), S::by(Carriers::udp(), by_udp()));
    let way = Way::to(server.addr().1);
    let (near, _far) = connect_at(&client, &server, way.front);
    let mut send = near.open_uni(options());
    way.udp(false);
    send.put(b"#").unwrap();
    let (asking, whole) = (near.clone(), near.clone());
    let waiting = vec![
        fails("delivered", move || send.delivered()),
        fails("request_range", move || asking.range(StreamId(1), 0, None)),
        fails("send_message", move || {
            (0..1_000).try_for_each(|_| whole.try_send_message(vec![0; 1 << 20].into()))
        }),
    ];
    all_end(waiting, || near.abort(AppCode(1), b""));
}

pub(crate) fn whatever_waits_hears_that_the_other_end_is_aborted<C: Node, S: Node>() {
    let pair = pair_of_few::<C, S>();
    all_end(calls(&pair.near, &pair.far), || pair.far.abort(AppCode(1), b""));
    let pair = pair_of_few::<C, S>();
    all_end(of_readers(&pair.near, &pair.far), || pair.far.abort(AppCode(1), b""));
}

/// Its last handle is dropped, or it is closed, with nothing left to be said.
pub(crate) fn whatever_waits_hears_that_the_other_node_is_closed<C: Node, S: Node>() {
    for drops in [false, true] {
        let Pair { near, far, client: _client, server } = pair::<C, S>();
        let of = || near.clone();
        let (bi, uni, any, datagram) = (of(), of(), of(), of());
        let (message, auto, closed) = (of(), of(), of());
        let waiting = vec![
            fails("accept_bi", move || bi.accept_bi()),
            fails("accept_uni", move || uni.accept_uni()),
            fails("accept_stream", move || any.accept_any()),
            fails("read_datagram", move || datagram.hear()),
            fails("recv_message", move || message.recv_message()),
            fails("recv_auto", move || auto.recv_auto()),
            returns("closed", move || closed.closed()),
        ];
        all_end(waiting, || match drops {
            true => drop((far, server)),
            false => server.close(AppCode(3)),
        });
    }
}

pub(crate) fn who_waits_for_a_stream_hears_that_the_other_half_is_dropped<C: Node, S: Node>() {
    let pair = pair::<C, S>();
    let (mut send, mut recv) = pair.near.open_bi(options());
    send.put(b"#").unwrap();
    let (mut back, mut there) = pair.far.accept_bi().unwrap();
    back.put(b"#").unwrap();
    assert_eq!((recv.first(1), there.first(1)), (b"#".to_vec(), b"#".to_vec()));
    let [mut all, mut look, mut read, mut block] = [(); 4].map(|()| recv.fork());
    let reading = vec![
        fails("read_chunk", move || recv.some(10)),
        fails("collect_all", move || all.all(10)),
        fails("peek", move || look.peek(10)),
        fails("read", move || read.read(&mut [0])),
        fails("next", move || block.next_block().unwrap()),
    ];
    all_end(reading, || drop(back));
    let writing = vec![fails("write_bytes", move || {
        let body = pattern(1 << 20);
        (0..1_000).try_for_each(|_| send.put(&body))
    })];
    all_end(writing, || drop(there));
    let mut send = pair.near.open_uni(options());
    send.put(b"#").unwrap();
    let there = pair.far.accept_uni().unwrap();
    all_end(vec![returns("stopped", move || send.stopped().unwrap().unwrap())], || drop(there));
    // And who sends a message, that nobody reads it any more.
    let near = pair.near.clone();
    let sending = vec![fails("send_auto", move || near.send_auto(pattern(8 << 20)))];
    let far = pair.far.clone();
    all_end(sending, move || drop(far.letter()));
}

pub(crate) fn who_waits_at_a_node_hears_that_it_is_closed<C: Node, S: Node>() {
    let pair = pair::<C, S>();
    let silent = UdpSocket::bind(LOOPBACK).unwrap();
    let nowhere = NodeAddr::from((pair.server.addr().0, silent.local_addr().unwrap()));
    let [accepting, dialling, idle] = [(); 3].map(|()| pair.client.clone());
    let waiting = vec![
        returns("accept", move || assert!(accepting.knock().is_none())),
        fails("connect", move || dialling.dial(nowhere)),
        returns("wait_idle", move || idle.wait_idle()),
    ];
    all_end(waiting, || pair.client.close(AppCode(0)));
    // A pipe ends with its source, and with its last leg.
    for by_source in [true, false] {
        let between = between::<C, S>(1);
        let mut sending = between.out.open_uni(options());
        sending.put(b"#").unwrap();
        let coming = between.inn.accept_uni().unwrap();
        let leg = between.sinks[0].0.open_uni(coming.info().unwrap().forwarded().unwrap());
        let pipe = between.node.pipe(coming, leg);
        let mut arriving = between.sinks[0].1.accept_uni().unwrap();
        assert_eq!(arriving.first(1), b"#");
        let other = pipe.clone();
        let waiting = vec![
            returns("leg_ended", move || other.leg_ended(LegIndex(0)).unwrap()),
            returns("ended", move || pipe.ended().unwrap()),
        ];
        let lost = if by_source { &between.inn } else { &between.sinks[0].0 };
        all_end(waiting, || lost.abort(AppCode(1), b""));
    }
}
