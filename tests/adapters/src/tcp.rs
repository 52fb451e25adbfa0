//! UDP and TCP beside each other.

use std::io::{ErrorKind, Read, Write};
use std::net::TcpStream;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use aqueduct_std::{CarrierKind, Carriers, ConnectError, TransportConfig};

use crate::node::{Inlet, Link, Node, Outlet, connect, connect_at, options};
use crate::way::Way;

const MIB: usize = 1 << 20;
pub(crate) const SECOND: Duration = Duration::from_secs(1);

/// Words that count: each is the number of those before it.
pub(crate) fn words(from: u64, count: u64) -> Vec<u8> {
    (from..from + count).flat_map(u64::to_be_bytes).collect()
}

/// Writes words until it is told that it is enough. Returns how many bytes these were.
pub(crate) fn write_words(mut out: impl Outlet, enough: &AtomicBool) -> u64 {
    const AT_ONCE: u64 = 16 << 10;
    let mut written = 0;
    while !enough.load(Ordering::Relaxed) {
        out.put(&words(written, AT_ONCE)).unwrap();
        written += AT_ONCE;
    }
    out.finish().unwrap();
    out.delivered().unwrap();
    written * 8
}

/// Reads them to the end, and looks at each. Returns how many bytes these were.
pub(crate) fn read_words(mut from: impl Inlet, read: &AtomicU64) -> u64 {
    let (mut next, mut rest) = (0_u64, Vec::new());
    while let Some(bytes) = from.some(MIB).unwrap() {
        rest.extend_from_slice(&bytes);
        read.fetch_add(bytes.len() as u64, Ordering::Relaxed);
        let whole = rest.len() / 8 * 8;
        for word in rest[..whole].chunks_exact(8) {
            assert_eq!(u64::from_be_bytes(word.try_into().unwrap()), next);
            next += 1;
        }
        rest.drain(..whole);
    }
    assert!(rest.is_empty());
    next * 8
}

pub(crate) fn wait_for(what: &str, limit: Duration, mut done: impl FnMut() -> bool) -> Duration {
    let begun = Instant::now();
    while !done() {
        assert!(begun.elapsed() < limit, "{what}: not after {limit:?}");
        thread::sleep(Duration::from_millis(5));
    }
    begun.elapsed()
}

/// Streams run in both directions while UDP is cut off and restored.
///
/// spec: R-TCP-8, R-TCP-10, R-TCP-12, R-TCP-16
pub(crate) fn streams_go_on_by_tcp_and_come_back<C: Node, S: Node>() {
    go_on_by_tcp_and_come_back::<C, S>(true);
}

/// The side that dials TCP sends nothing but what acknowledges.
///
/// spec: R-TCP-8, R-TCP-10, R-TCP-12, R-TCP-16
pub(crate) fn a_download_goes_on_by_tcp_and_comes_back<C: Node, S: Node>() {
    go_on_by_tcp_and_come_back::<C, S>(false);
}

fn go_on_by_tcp_and_come_back<C: Node, S: Node>(uploads: bool) {
    let (client, server) = (C::new(), S::new());
    let way = Way::to(server.addr().1);
    let (near, far) = connect_at(&client, &server, way.front);
    assert_eq!((near.carriage(), way.streams()), (CarrierKind::Udp, 0), "TCP is not needed yet");
    let (enough, count) = (AtomicBool::new(false), AtomicU64::new(0));
    thread::scope(|scope| {
        let down = far.open_uni(options());
        let mut writing = vec![scope.spawn(|| write_words(down, &enough))];
        let mut reading = vec![scope.spawn(|| read_words(near.accept_uni().unwrap(), &count))];
        if uploads {
            let up = near.open_uni(options());
            writing.push(scope.spawn(|| write_words(up, &enough)));
            reading.push(scope.spawn(|| read_words(far.accept_uni().unwrap(), &count)));
        }
        let by = |kind| {
            move |near: &C::Link, far: &S::Link| near.carriage() == kind && far.carriage() == kind
        };
        for turn in 0..2 {
            let moved = count.load(Ordering::Relaxed);
            wait_for("data by UDP", SECOND * 10, || {
                count.load(Ordering::Relaxed) > moved + 1_000_000
            });
            way.udp(false);
            let left = wait_for("by TCP", SECOND * 10, || by(CarrierKind::Reliable)(&near, &far));
            let moved = count.load(Ordering::Relaxed);
            wait_for("data by TCP", SECOND * 10, || {
                count.load(Ordering::Relaxed) > moved + 1_000_000
            });
            way.udp(true);
            let back = wait_for("back by UDP", SECOND * 15, || by(CarrierKind::Udp)(&near, &far));
            println!("turn {turn}: by TCP after {left:?}, back after {back:?}");
        }
        enough.store(true, Ordering::Relaxed);
        let sums = |all: Vec<thread::ScopedJoinHandle<'_, u64>>| -> Vec<u64> {
            all.into_iter().map(|it| it.join().unwrap()).collect()
        };
        assert_eq!(sums(writing), sums(reading));
    });
    assert_eq!((server.connections(), client.connections()), (1, 1), "another handshake");
    assert_eq!(way.streams(), 1, "the TCP connection is kept");
}

/// Where only TCP is open, it is tried soon enough; and where nothing is, that is said.
///
/// spec: R-TCP-15, R-TCP-16
pub(crate) fn tcp_alone_connects<C: Node, S: Node>() {
    let (client, server) = (C::new(), S::new());
    let way = Way::to(server.addr().1);
    way.udp(false);
    let begun = Instant::now();
    let (near, far) = connect_at(&client, &server, way.front);
    let took = begun.elapsed();
    println!("connected by TCP alone after {took:?}");
    assert!(took >= Duration::from_millis(200) && took < SECOND, "{took:?}");
    assert_eq!((near.carriage(), far.carriage()), (CarrierKind::Reliable, CarrierKind::Reliable));
    let (mut send, _) = near.open_bi(options());
    send.put(b"hello").unwrap();
    send.finish().unwrap();
    let (_, mut said) = far.accept_bi().unwrap();
    assert_eq!(said.all(10).unwrap(), &b"hello"[..]);
    // UDP is asked at once, and then now and then.
    way.udp(true);
    wait_for("by UDP", SECOND * 10, || near.carriage() == CarrierKind::Udp);
}

/// spec: R-TCP-16
pub(crate) fn each_kind_of_carrier_may_be_left_out<C: Node, S: Node>() {
    let quick = || TransportConfig::default().with_handshake_timeout(SECOND);
    let only = |carriers| (C::by(carriers, quick()), S::by(carriers, quick()));
    let (client, server) = only(Carriers::tcp());
    let begun = Instant::now();
    let (near, _far) = connect(&client, &server);
    assert!(begun.elapsed() < SECOND, "nothing is waited for");
    assert_eq!(near.carriage(), CarrierKind::Reliable);
    let (client, server) = only(Carriers::udp());
    let (near, _far) = connect(&client, &server);
    assert_eq!(near.carriage(), CarrierKind::Udp);
    let error = TcpStream::connect(server.addr().1).expect_err("nobody listens");
    assert_eq!(error.kind(), ErrorKind::ConnectionRefused);
    // One by TCP alone does not find one by UDP alone.
    let client = C::by(Carriers::tcp(), quick());
    let error = client.dial(server.addr().into()).err().expect("no way");
    assert!(matches!(error, ConnectError::Tcp { .. }), "{error:?}");
}

/// Whoever refuses a client by UDP is not asked again by TCP.
///
/// spec: R-TCP-16
pub(crate) fn a_refusal_holds_for_both<C: Node, S: Node>() {
    let (client, server) = (C::new(), S::new());
    let way = Way::to(server.addr().1);
    thread::scope(|scope| {
        scope.spawn(|| server.turn_away());
        let to = (server.addr().0, way.front);
        assert!(matches!(client.dial(to.into()), Err(ConnectError::Failed(_))));
    });
    assert_eq!(way.streams(), 0);
}

/// Strangers by TCP that say nothing, too much, or nonsense lose their socket, and cost nobody else
/// anything.
///
/// spec: R-TCP-2, R-TCP-3, R-TCP-5, R-TCP-17, R-TCP-18
pub(crate) fn strangers_that_misbehave_lose_their_socket<C: Node, S: Node>() {
    let (client, server) = (C::new(), S::new());
    let there = server.addr().1;
    let knock = || {
        let socket = TcpStream::connect(there).unwrap();
        socket.set_read_timeout(Some(SECOND * 15)).unwrap();
        socket
    };
    // Whether the other end closed it, and after which time.
    let closed = |mut socket: TcpStream| {
        let begun = Instant::now();
        match socket.read(&mut [0; 10]) {
            Ok(0) => {}
            Err(error) if error.kind() == ErrorKind::ConnectionReset => {}
            other => panic!("not closed: {other:?}"),
        }
        begun.elapsed()
    };
    for bad in [&[0, 0][..], &[0xff, 0xff], &[5, 173, 1]] {
        let mut socket = knock();
        socket.write_all(bad).unwrap();
        let took = closed(socket);
        assert!(took < SECOND * 2, "{bad:?} after {took:?}");
    }
    let mut nonsense = knock();
    for len in [1_u16, 43, 1_200] {
        nonsense.write_all(&len.to_be_bytes()).unwrap();
        nonsense.write_all(&vec![0xc3; len.into()]).unwrap();
    }
    drop(knock());
    let mut half = knock();
    half.write_all(&[4, 176, 1, 2, 3]).unwrap();
    drop(half);
    thread::sleep(SECOND / 2);
    let begun = Instant::now();
    // More than one address has for itself; nobody else wants a place.
    let mut slow: Vec<_> = (0..40).map(|_| knock()).collect();
    // One byte after another is no datagram.
    let mut first = slow.swap_remove(0);
    while first.write_all(&[1]).is_ok() && begun.elapsed() < SECOND * 14 {
        thread::sleep(SECOND / 4);
    }
    let took = begun.elapsed();
    println!("a stranger byte by byte lost its socket after {took:?}");
    assert!(took > SECOND * 3 && took < SECOND * 12, "{took:?}");
    slow.into_iter().for_each(|socket| _ = closed(socket));
    closed(nonsense);
    let (near, far) = connect(&client, &server);
    let (mut send, _) = near.open_bi(options());
    send.put(b"hello").unwrap();
    let (_, mut said) = far.accept_bi().unwrap();
    assert_eq!(said.some(10).unwrap().unwrap(), &b"hello"[..]);
}

/// As many as an office has, behind one address, in one moment.
///
/// spec: R-TCP-18
pub(crate) fn a_crowd_behind_one_address_is_let_in<C: Node, S: Node>() {
    const CROWD: usize = 48;
    let (client, server) = (
        C::by(Carriers::tcp(), TransportConfig::default()),
        S::by(Carriers::tcp(), TransportConfig::default()),
    );
    thread::scope(|scope| {
        let taking = scope.spawn(|| {
            let links = (0..CROWD).map(|_| server.take().unwrap().unwrap());
            links.collect::<Vec<_>>()
        });
        let dials: Vec<_> =
            (0..CROWD).map(|_| scope.spawn(|| client.dial(server.there()))).collect();
        let links = dials.into_iter().map(|dial| dial.join().unwrap().expect("let in"));
        let links: Vec<_> = links.collect();
        assert_eq!(taking.join().unwrap().len(), links.len());
    });
    assert_eq!(server.io_stats().tcp_turned_away, 0);
}

/// What a cut costs: 256 MiB, with UDP cut off after the first quarter and restored after the
/// second, when what is left takes eight seconds. Prints what happened.
///
/// spec: R-TCP-11, R-TCP-12
pub(crate) fn a_cut_in_the_middle<C: Node, S: Node>(total: u64) {
    let (client, server) = (C::new(), S::new());
    let way = Way::to(server.addr().1);
    let (near, far) = connect_at(&client, &server, way.front);
    let count = AtomicU64::new(0);
    let read = || count.load(Ordering::Relaxed);
    let mut out = near.open_uni(options());
    let begun = Instant::now();
    thread::scope(|scope| {
        let reading = scope.spawn(|| read_words(far.accept_uni().unwrap(), &count));
        scope.spawn(move || {
            const AT_ONCE: u64 = 64 << 10;
            for from in (0..total / 8).step_by(AT_ONCE as usize) {
                out.put(&words(from, AT_ONCE.min(total / 8 - from))).unwrap();
            }
            out.finish().unwrap();
            out.delivered().unwrap();
        });
        wait_for("a quarter", SECOND * 60, || read() > total / 4);
        let before = near.stats();
        way.udp(false);
        let (cut_at, mut flight) = (read(), before.bytes_in_flight);
        let left = wait_for("by TCP", SECOND * 10, || {
            let stats = near.stats();
            let by_udp = stats.carriage == CarrierKind::Udp;
            flight = flight.max(if by_udp { stats.bytes_in_flight } else { 0 });
            !by_udp
        });
        wait_for("a half", SECOND * 60, || read() > total / 2);
        let half = near.stats();
        client.set_limit(Some(total / 16));
        way.udp(true);
        let mut by_tcp = half.bytes_in_flight;
        let back = wait_for("back", SECOND * 40, || {
            let stats = near.stats();
            let back = stats.carriage == CarrierKind::Udp;
            by_tcp = by_tcp.max(if back { 0 } else { stats.bytes_in_flight });
            back && far.carriage() == CarrierKind::Udp
        });
        let at = read();
        wait_for("bytes by UDP", SECOND * 10, || read() > at);
        let again_back = near.stats().stream_stats.resent - half.stream_stats.resent;
        assert!(at < total && near.carriage() == CarrierKind::Udp, "back when all was read");
        client.set_limit(None);
        assert_eq!(reading.join().unwrap(), total);
        let (again, lost) = (
            half.stream_stats.resent - before.stream_stats.resent,
            half.ledger.lost - before.ledger.lost,
        );
        println!(
            "{} MiB in {:?}: cut at {} MiB, by TCP after {left:?}; restored, back after {back:?} \
             at {} MiB; {again} bytes sent again in place of {lost} packets, {flight} were in \
             flight, {} probe time-outs; {again_back} again after it was restored, where {by_tcp} \
             were in flight; {} TCP connection",
            total >> 20,
            begun.elapsed(),
            cut_at >> 20,
            at >> 20,
            half.ledger.probe_timeouts - before.ledger.probe_timeouts,
            way.streams(),
        );
        // The first two probe time-outs say two packets again each, which stay in flight.
        assert!(again <= flight + 4 * 1_452, "more than one flight");
        assert!(again_back <= by_tcp + 4 * 1_452, "more than one flight, on the way back");
        assert_eq!((server.connections(), way.streams()), (1, 1));
        assert_eq!(server.stats().established, 1, "another handshake");
    });
}
