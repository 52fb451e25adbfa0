//! TCP connections that are silent, elsewhere, slow to come, or not read.

use std::net::SocketAddr;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use aqueduct_std::{AppCode, CarrierKind, Carriers, ConnectError, TransportConfig};
use socket2::{Domain, Socket, Type};

use crate::node::{Inlet, Link, Node, Outlet, connect, connect_at, options};
use crate::tcp::{SECOND, read_words, wait_for, words, write_words};
use crate::way::Way;

/// A TCP connection that carries nothing, and is not closed, is neither waited for nor in the way
/// of another.
///
/// spec: R-TCP-10, R-TCP-20
pub(crate) fn a_silent_tcp_connection_is_not_waited_for<C: Node, S: Node>() {
    let (client, server) = (C::new(), S::new());
    let way = Way::to(server.addr().1);
    let (near, far) = connect_at(&client, &server, way.front);
    let (enough, count) = (AtomicBool::new(false), AtomicU64::new(0));
    let by = |kind| {
        let (near, far) = (near.clone(), far.clone());
        move || near.carriage() == kind && far.carriage() == kind
    };
    let more = |what: &str| {
        let before = count.load(Ordering::Relaxed);
        wait_for(what, SECOND * 10, || count.load(Ordering::Relaxed) > before + 1_000_000)
    };
    thread::scope(|scope| {
        let up = near.open_uni(options());
        let writing = scope.spawn(|| write_words(up, &enough));
        let reading = scope.spawn(|| read_words(far.accept_uni().unwrap(), &count));
        more("data by UDP");
        way.udp(false);
        wait_for("by TCP", SECOND * 10, by(CarrierKind::Reliable));
        way.udp(true);
        wait_for("back by UDP", SECOND * 10, by(CarrierKind::Udp));
        way.hush();
        way.udp(false);
        thread::sleep(SECOND);
        way.udp(true);
        let went_on = more("data by UDP beside a silent TCP connection");
        assert!(by(CarrierKind::Udp)(), "nothing answered by TCP");
        way.udp(false);
        let replaced = wait_for("by another", SECOND * 10, by(CarrierKind::Reliable));
        more("data by another TCP connection");
        println!("went on by UDP after {went_on:?}; by another TCP connection after {replaced:?}");
        enough.store(true, Ordering::Relaxed);
        assert_eq!(writing.join().unwrap(), reading.join().unwrap());
    });
    // On a busy machine the second is exceeded, and a third one may have been tried in it.
    assert_eq!(server.connections(), 1);
    assert!(way.streams() > 1, "no TCP connection but the silent one");
}

/// A node has two addresses. UDP dies at the one that was taken, and nobody takes TCP there.
///
/// spec: R-TCP-16
pub(crate) fn tcp_is_found_at_another_address<C: Node, S: Node>() {
    let (client, server) = (C::new(), S::new());
    let (id, addr) = server.addr();
    let (one, other) = (Way::to(addr), Way::to(addr));
    let (near, far) = thread::scope(|scope| {
        let taking = scope.spawn(|| server.take().unwrap().unwrap());
        let near = client.dial((id, vec![one.front, other.front]).into()).unwrap();
        (near, taking.join().unwrap())
    });
    // Each new path needs an id of the peer's: these come first.
    thread::sleep(SECOND / 2);
    one.tcp(false);
    one.udp(false);
    other.udp(false);
    let mut out = near.open_uni(options());
    thread::scope(|scope| {
        let reading = scope.spawn(|| far.accept_uni().unwrap().all(1 << 20).unwrap());
        out.put(&words(0, 10_000)).unwrap();
        out.finish().unwrap();
        assert_eq!(reading.join().unwrap(), words(0, 10_000));
    });
    assert_eq!((near.carriage(), far.carriage()), (CarrierKind::Reliable, CarrierKind::Reliable));
    assert_eq!((server.connections(), other.streams()), (1, 1));
}

/// With TCP alone a connection is there within two round trips and 300 ms. A busy machine may miss
/// that half of the times.
///
/// spec: R-TCP-16
pub(crate) fn tcp_alone_connects_in_time<C: Node, S: Node>() {
    const ROUND_TRIP: Duration = Duration::from_millis(100);
    let (client, server) = (C::new(), S::new());
    let attempt = || {
        let way = Way::to(server.addr().1).with_round_trip(ROUND_TRIP);
        way.udp(false);
        let begun = Instant::now();
        let (near, far, took) = thread::scope(|scope| {
            let taking = scope.spawn(|| server.take().unwrap().unwrap());
            let near = client.dial((server.addr().0, way.front).into()).unwrap();
            let took = begun.elapsed();
            (near, taking.join().unwrap(), took)
        });
        assert_eq!(near.carriage(), CarrierKind::Reliable);
        near.abort(AppCode(0), b"");
        far.closed();
        took
    };
    let limit = ROUND_TRIP * 2 + Duration::from_millis(300);
    let took: Vec<_> = (0..4).map(|_| attempt()).collect();
    println!("connected after {took:?}");
    assert!(took.iter().filter(|took| **took < limit).count() >= 2, "{took:?}");
    let least = Duration::from_millis(200) + ROUND_TRIP * 2;
    assert!(
        took.iter().all(|took| *took >= least),
        "{took:?}: a SYN and a question, each answered"
    );
}

/// spec: R-TCP-15, R-TCP-16
pub(crate) fn ipv6_is_as_good<C: Node, S: Node>() {
    if std::net::UdpSocket::bind("[::1]:0").is_err() {
        println!("no IPv6 on this machine: not tested");
        return;
    }
    for (carriers, kind) in
        [(Carriers::both(), CarrierKind::Udp), (Carriers::tcp(), CarrierKind::Reliable)]
    {
        let client = C::at("[::1]:0", carriers, TransportConfig::default());
        let server = S::at("[::1]:0", carriers, TransportConfig::default());
        let (near, far) = connect(&client, &server);
        assert_eq!((near.carriage(), far.carriage()), (kind, kind));
        let mut out = near.open_uni(options());
        thread::scope(|scope| {
            let reading = scope.spawn(|| far.accept_uni().unwrap().all(1 << 20).unwrap());
            out.put(&words(0, 10_000)).unwrap();
            out.finish().unwrap();
            assert_eq!(reading.join().unwrap(), words(0, 10_000));
        });
    }
}

/// An address by which nobody answers a TCP connection, as behind a firewall: a socket that listens
/// and is full.
struct Wall {
    addr: SocketAddr,
    _sockets: Vec<Socket>,
}

impl Wall {
    fn new() -> Self {
        let listener = Socket::new(Domain::IPV4, Type::STREAM, None).unwrap();
        listener.bind(&SocketAddr::from(([127, 0, 0, 1], 0)).into()).unwrap();
        listener.listen(0).unwrap();
        let addr = listener.local_addr().unwrap();
        let mut sockets = vec![listener];
        for _ in 0..4 {
            let socket = Socket::new(Domain::IPV4, Type::STREAM, None).unwrap();
            let _full = socket.connect_timeout(&addr, Duration::from_millis(100));
            sockets.push(socket);
        }
        Self { addr: addr.as_socket().unwrap(), _sockets: sockets }
    }
}

/// A dial by TCP takes as long as a handshake may, and says so.
///
/// spec: R-TCP-24
pub(crate) fn a_dial_that_nobody_answers_has_an_end<C: Node, S: Node>() {
    let server = S::new();
    for limit in [SECOND, SECOND * 7] {
        let transport = TransportConfig::default().with_handshake_timeout(limit);
        let client = C::by(Carriers::tcp(), transport);
        let wall = Wall::new();
        let begun = Instant::now();
        let error = client.dial((server.addr().0, wall.addr).into()).err().expect("a wall");
        let took = begun.elapsed();
        assert!(matches!(error, ConnectError::TcpTimeout { waited, .. } if waited == limit));
        assert!(error.to_string().contains("handshake_timeout"), "{error}");
        assert!(took >= limit && took < limit + SECOND * 2, "{took:?} and not {limit:?}");
    }
}

/// spec: R-TCP-24
pub(crate) fn a_closed_endpoint_dials_no_more<C: Node, S: Node>() {
    let server = S::new();
    for carriers in [Carriers::tcp(), Carriers::udp()] {
        let client = C::by(carriers, TransportConfig::default());
        let wall = Wall::new();
        thread::scope(|scope| {
            let dialling = scope.spawn(|| client.dial((server.addr().0, wall.addr).into()).err());
            thread::sleep(SECOND / 4);
            let begun = Instant::now();
            client.close(AppCode(0));
            let error = dialling.join().unwrap().expect("no connection");
            let took = begun.elapsed();
            println!("{carriers:?}: {error} after {took:?}");
            assert!(took < SECOND, "{error} after {took:?}");
        });
        client.wait_idle();
    }
}

/// For connections that outlive half a minute of silence.
fn patient() -> TransportConfig {
    let transport = TransportConfig::default().with_idle_timeout(SECOND * 90).unwrap();
    transport.with_keep_alive(Some(SECOND * 5))
}

/// spec: R-TCP-19
pub(crate) fn nothing_is_lost_by_who_does_not_read<C: Node, S: Node>() {
    who_does_not_read::<C, S>(SECOND * 3);
}

/// A peer reads nothing of its TCP sockets for so long: the writer waits, with no more in memory
/// than buffers hold, and afterwards everything is there. Meanwhile another TCP connection is looked
/// for every 3 s, and what waits is said again by it at most once.
pub(crate) fn who_does_not_read<C: Node, S: Node>(time: Duration) {
    let (client, server) = (C::with(patient()), S::with(patient()));
    let way = Way::to(server.addr().1);
    way.udp(false);
    let (near, far) = connect_at(&client, &server, way.front);
    let (enough, read) = (AtomicBool::new(false), AtomicU64::new(0));
    let written = AtomicU64::new(0);
    let mut out = far.open_uni(options());
    let waits = thread::scope(|scope| {
        let writing = scope.spawn(|| {
            const AT_ONCE: u64 = 8 << 10;
            while !enough.load(Ordering::Relaxed) {
                let from = written.fetch_add(AT_ONCE * 8, Ordering::Relaxed) / 8;
                out.put(&words(from, AT_ONCE)).unwrap();
            }
            out.finish().unwrap();
            out.delivered().unwrap();
            written.load(Ordering::Relaxed)
        });
        let reading = scope.spawn(|| read_words(near.accept_uni().unwrap(), &read));
        wait_for("data", SECOND * 10, || read.load(Ordering::Relaxed) > 1_000_000);
        way.stand_still(true);
        thread::sleep(time / 2);
        let half = written.load(Ordering::Relaxed);
        thread::sleep(time / 2);
        let waits = written.load(Ordering::Relaxed) - read.load(Ordering::Relaxed);
        println!("{} KiB wait after {time:?}", waits >> 10);
        assert!(waits < 32 << 20, "{waits}: the writer is held back");
        assert_eq!(written.load(Ordering::Relaxed), half, "for good");
        assert_eq!(
            (near.carriage(), far.carriage()),
            (CarrierKind::Reliable, CarrierKind::Reliable)
        );
        way.stand_still(false);
        enough.store(true, Ordering::Relaxed);
        assert_eq!(writing.join().unwrap(), reading.join().unwrap());
        waits
    });
    let (stats, streams) = (far.stats(), way.streams());
    let again = stats.stream_stats.resent;
    println!("{again} bytes said again, {streams} TCP connections");
    assert!(again <= waits, "{again} said again, and {waits} waited");
    assert_eq!((stats.ledger.probe_timeouts, server.connections()), (0, 1));
    assert!(streams <= 2 + time.as_secs() / 3, "{streams} TCP connections in {time:?}");
}

/// spec: R-TCP-19, R-EP-41
pub(crate) fn who_does_not_read_holds_up_nobody<C: Node, S: Node>() {
    // A limit that a busy machine can follow: what falls short of it was held up.
    others_keep_their_rate::<C, S>(SECOND * 2, SECOND, Some(2 << 20));
}

/// What two other peers get of a server, one by TCP and one by UDP, in the time in which a third
/// reads nothing of its TCP sockets: in all of it at least half of what each got before, and in each
/// `look` a third.
///
/// spec: R-TCP-19
pub(crate) fn others_keep_their_rate<C: Node, S: Node>(
    time: Duration,
    look: Duration,
    limit: Option<u64>,
) {
    let (server, slow) = (S::with(patient()), C::with(patient()));
    server.set_peers_limit(limit);
    let way = Way::to(server.addr().1);
    way.udp(false);
    let (near, far) = connect_at(&slow, &server, way.front);
    let others = [Carriers::tcp(), Carriers::udp()].map(|by| C::by(by, patient()));
    let links = others.each_ref().map(|other| connect(other, &server));
    let kinds = links.each_ref().map(|(front, _)| front.carriage());
    assert_eq!(kinds, [CarrierKind::Reliable, CarrierKind::Udp]);
    let (enough, stuck) = (AtomicBool::new(false), AtomicU64::new(0));
    let read = [AtomicU64::new(0), AtomicU64::new(0)];
    let so_far = || read.each_ref().map(|read| read.load(Ordering::Relaxed));
    thread::scope(|scope| {
        let ends: Vec<_> = links
            .iter()
            .zip(&read)
            .map(|((front, back), read)| {
                let (out, enough) = (back.open_uni(options()), &enough);
                let writing = scope.spawn(move || write_words(out, enough));
                (writing, scope.spawn(move || read_words(front.accept_uni().unwrap(), read)))
            })
            .collect();
        wait_for("data to both", SECOND * 10, || so_far().iter().all(|read| *read > 1_000_000));
        let rates = || {
            let before = so_far();
            thread::sleep(look);
            let after = so_far();
            [after[0] - before[0], after[1] - before[1]]
        };
        let alone = rates();
        let mut out = far.open_uni(options());
        scope.spawn(move || while out.put(&words(0, 10_000)).is_ok() {});
        scope.spawn(|| {
            let mut inlet = near.accept_uni().unwrap();
            while let Ok(Some(bytes)) = inlet.some(1 << 20) {
                stuck.fetch_add(bytes.len() as u64, Ordering::Relaxed);
            }
        });
        wait_for("data", SECOND * 10, || stuck.load(Ordering::Relaxed) > 1_000_000);
        way.stand_still(true);
        thread::sleep(SECOND / 2);
        let before = stuck.load(Ordering::Relaxed);
        let looks = time.as_millis() / look.as_millis();
        let beside: Vec<_> = (0..looks).map(|_| rates()).collect();
        assert_eq!(stuck.load(Ordering::Relaxed), before, "it does read");
        println!("by TCP and by UDP, bytes in {look:?}: alone {alone:?}, beside {beside:?}");
        enough.store(true, Ordering::Relaxed);
        way.stand_still(false);
        far.abort(AppCode(1), b"");
        for (writing, reading) in ends {
            assert_eq!(writing.join().unwrap(), reading.join().unwrap());
        }
        for (at, alone) in alone.into_iter().enumerate() {
            let sum: u64 = beside.iter().map(|rates| rates[at]).sum();
            assert!(
                sum * 5 >= alone * beside.len() as u64 * 4,
                "{at}: {beside:?} and {alone} before"
            );
            let least = beside.iter().map(|rates| rates[at]).min().unwrap();
            assert!(least * 2 >= alone, "{at}: {beside:?} and {alone} before");
        }
    });
}

/// The only TCP connection is reset in the middle of a transfer, and the next one, too: what they
/// carried goes on by another, without a handshake, and not a byte is lost or doubled.
///
/// spec: R-TCP-26
pub(crate) fn a_reset_of_the_only_way_ends_nothing<C: Node, S: Node>() {
    goes_on::<C, S>(Carriers::tcp(), Way::reset);
    goes_on::<C, S>(Carriers::both(), Way::reset);
}

/// Bytes that come garbled end a TCP connection, and nothing else.
///
/// spec: R-TCP-3, R-TCP-26
pub(crate) fn garbled_bytes_end_a_way_and_nothing_else<C: Node, S: Node>() {
    goes_on::<C, S>(Carriers::tcp(), Way::garble);
}

/// Both directions of a connection go on by another TCP connection, whatever happens to the one.
fn goes_on<C: Node, S: Node>(carriers: Carriers, happen: impl Fn(&Way)) {
    let (client, server) = (C::by(carriers, TransportConfig::default()), S::new());
    let way = Way::to(server.addr().1);
    way.udp(false);
    let (near, far) = connect_at(&client, &server, way.front);
    let (enough, count) = (AtomicBool::new(false), AtomicU64::new(0));
    let more = |what: &str| {
        let before = count.load(Ordering::Relaxed);
        wait_for(what, SECOND * 10, || count.load(Ordering::Relaxed) > before + 1_000_000)
    };
    thread::scope(|scope| {
        let (up, down) = (near.open_uni(options()), far.open_uni(options()));
        let writing =
            [scope.spawn(|| write_words(up, &enough)), scope.spawn(|| write_words(down, &enough))];
        let reading = [
            scope.spawn(|| read_words(far.accept_uni().unwrap(), &count)),
            scope.spawn(|| read_words(near.accept_uni().unwrap(), &count)),
        ];
        for turn in 1..=2 {
            more("data");
            happen(&way);
            let dialled = wait_for("another way", SECOND * 10, || way.streams() > turn);
            let went_on = more("data by another TCP connection");
            println!("{carriers:?}: dialled after {dialled:?}, went on {went_on:?} later");
        }
        enough.store(true, Ordering::Relaxed);
        assert_eq!(writing.map(|it| it.join().unwrap()), reading.map(|it| it.join().unwrap()));
    });
    assert_eq!((near.carriage(), far.carriage()), (CarrierKind::Reliable, CarrierKind::Reliable));
    assert_eq!((client.connections(), server.connections()), (1, 1));
    assert_eq!(server.stats().established, 1, "another handshake");
}
