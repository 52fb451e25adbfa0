//! Who may come, and how many of them.

use aqueduct_core::config::EndpointConfig;
use aqueduct_core::crypto::identity::NodeKey;
use aqueduct_core::endpoint::{Endpoint, Output};

use super::*;

fn stranger(lines: &mut Lines, ip: &str) -> CarrierId {
    let remote = SocketAddr::new(ip.parse().unwrap(), 9);
    lines.insert(Line::new(remote, Stage::Open, 1_452, Instant::ZERO), Instant::ZERO)
}

fn room(lines: &Lines, ip: &str) -> Room {
    lines.room_for(ip.parse().unwrap())
}

/// What one neighbourhood has beyond its share is lent. One network of IPv6 has as many addresses
/// as anybody likes.
///
/// spec: R-TCP-18
#[test]
fn a_crowd_has_all_places_until_others_come() {
    for crowd in ["192.0.2.1", "2001:db8:1:2::"] {
        let mut lines = Lines::default();
        let mut ids = VecDeque::new();
        for host in 0..256 {
            assert_eq!(room(&lines, crowd), Room::Free);
            let ip = if crowd.contains(':') { format!("{crowd}{host:x}") } else { crowd.into() };
            ids.push_back(stranger(&mut lines, &ip));
        }
        assert_eq!(room(&lines, crowd), Room::None, "256 in all");
        // Each of another fifteen networks gets its share, in place of who waits longest.
        for network in 0..15 {
            for _ in 0..16 {
                let ip = format!("2001:db8:ff:{network:x}::1");
                assert_eq!(room(&lines, &ip), Room::InPlaceOf(ids[0]));
                lines.lines.remove(&ids.pop_front().unwrap());
                stranger(&mut lines, &ip);
            }
            assert_eq!(room(&lines, &format!("2001:db8:ff:{network:x}::2")), Room::None);
        }
        assert_eq!(ids.len(), 16, "its own share is left");
        assert_eq!(room(&lines, "198.51.100.1"), Room::None);
    }
}

/// Who had a connection and has none any more is a stranger again.
///
/// spec: R-TCP-18
#[test]
fn a_place_is_free_only_while_a_connection_uses_it() {
    let mut lines = Lines::default();
    let ids: Vec<_> = (0..256).map(|_| stranger(&mut lines, "192.0.2.1")).collect();
    assert_eq!(room(&lines, "192.0.2.1"), Room::None);
    lines.on_connected("192.0.2.1:9".parse().unwrap());
    assert_eq!(room(&lines, "192.0.2.1"), Room::Free);
    lines.lines.values_mut().for_each(|line| line.user = User::Nobody);
    lines.lines.get_mut(&ids[3]).unwrap().user = User::Connection;
    assert_eq!(room(&lines, "192.0.2.1"), Room::Free);
    lines.lines.get_mut(&ids[3]).unwrap().user = User::Stranger;
    assert_eq!(room(&lines, "192.0.2.1"), Room::None);
}

/// Two strangers, of whom the first is gone when its socket is taken over.
struct Door(std::net::TcpListener, Vec<TcpStream>, u8);

impl Wire for Door {
    fn recv(&mut self, _: &mut crate::socket::RecvBatch) -> io::Result<usize> {
        Err(io::ErrorKind::WouldBlock.into())
    }

    fn send(&mut self, _: &crate::socket::Outgoing<'_>) -> io::Result<()> {
        Err(io::ErrorKind::WouldBlock.into())
    }

    fn accept(&mut self) -> io::Result<(TcpStream, SocketAddr)> {
        match self.1.pop() {
            Some(_stranger) => self.0.accept(),
            None => Err(io::ErrorKind::WouldBlock.into()),
        }
    }

    fn adopt(&mut self, _: CarrierId, _: TcpStream) -> io::Result<()> {
        self.2 += 1;
        if self.2 == 1 { Err(io::ErrorKind::NotConnected.into()) } else { Ok(()) }
    }

    fn read(&mut self, _: CarrierId, _: &mut [u8]) -> io::Result<usize> {
        Err(io::ErrorKind::WouldBlock.into())
    }
}

/// An engine that listens.
fn engine(local: SocketAddr) -> Engine {
    let parts = super::super::Parts {
        local,
        takes_v4: true,
        max_segments: 1,
        carriers: crate::Carriers::both(),
        listens: true,
        warnings: Vec::new(),
    };
    let seed = aqueduct_core::rng::Seed::from_u64(1);
    Engine::new(EndpointConfig::new(NodeKey::from_seed(&[1; 32])), seed, parts).0
}

/// What the core is told in one turn, it is told in the order of time.
#[test]
fn who_is_gone_at_once_is_not_told_before_its_time() {
    let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let there = listener.local_addr().unwrap();
    let mut engine = engine(there);
    let strangers = (0..2).map(|_| TcpStream::connect(there).unwrap()).collect();
    let mut door = Door(listener, strangers, 0);
    while !door.1.is_empty() {
        let _more = engine.turn(&mut door);
    }
    assert_eq!((door.2, engine.lines.lines.len()), (2, 1));
}

/// Strangers who begin a handshake each and never end it.
struct Crowd {
    listener: std::net::TcpListener,
    client: Endpoint,
    coming: VecDeque<SocketAddr>,
    said: BTreeMap<CarrierId, Vec<u8>>,
    ready: VecDeque<CarrierId>,
}

impl Crowd {
    fn new(coming: VecDeque<SocketAddr>) -> Self {
        let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
        let config = EndpointConfig::new(NodeKey::from_seed(&[2; 32]));
        let client = Endpoint::new(config, aqueduct_core::rng::Seed::from_u64(2));
        Self { listener, client, coming, said: BTreeMap::new(), ready: VecDeque::new() }
    }

    /// The first packet of a handshake, framed.
    fn first(&mut self, carrier: CarrierId) -> Vec<u8> {
        let (remote, mut packet) = (self.listener.local_addr().unwrap(), Vec::new());
        self.client.carrier_opened(carrier, CarrierKind::Reliable { remote }, Instant::ZERO);
        let there = PeerAddr { id: None, remote, carrier };
        self.client.connect(there, Instant::ZERO).unwrap();
        while !matches!(self.client.poll(&mut packet, Instant::ZERO), Output::Transmit(_)) {}
        [&frame_header(packet.len().try_into().unwrap())[..], &packet].concat()
    }
}

impl Wire for Crowd {
    fn recv(&mut self, _: &mut crate::socket::RecvBatch) -> io::Result<usize> {
        Err(io::ErrorKind::WouldBlock.into())
    }

    fn send(&mut self, _: &crate::socket::Outgoing<'_>) -> io::Result<()> {
        Ok(())
    }

    fn accept(&mut self) -> io::Result<(TcpStream, SocketAddr)> {
        let remote = self.coming.pop_front().ok_or(io::ErrorKind::WouldBlock)?;
        let _near = TcpStream::connect(self.listener.local_addr()?)?;
        Ok((self.listener.accept()?.0, remote))
    }

    fn adopt(&mut self, line: CarrierId, _: TcpStream) -> io::Result<()> {
        let first = self.first(line);
        self.said.insert(line, first);
        self.ready.push_back(line);
        Ok(())
    }

    fn read(&mut self, line: CarrierId, into: &mut [u8]) -> io::Result<usize> {
        let said = self.said.remove(&line).ok_or(io::ErrorKind::WouldBlock)?;
        into[..said.len()].copy_from_slice(&said);
        Ok(said.len())
    }

    fn write(&mut self, _: CarrierId, bytes: &[u8]) -> io::Result<usize> {
        Ok(bytes.len())
    }

    fn ready(&mut self, into: &mut VecDeque<CarrierId>) {
        into.append(&mut self.ready);
    }
}

/// A handshake is soon begun: it makes nobody more than a stranger. Of those who are most the one
/// that began first gives way.
///
/// spec: R-TCP-18
#[test]
fn a_handshake_that_is_not_ended_leaves_a_stranger_one() {
    let from = |network: u16, host: u16| {
        let ip = Ipv6Addr::new(0x2001, 0xdb8, 0xff, network, 0, 0, 0, 1 + host / 16);
        SocketAddr::from((ip, 1000 + host))
    };
    let crowd = (0..32).map(|host| from(0, host));
    let others = (1..=15).flat_map(|network| (0..16).map(move |host| from(network, host)));
    let mut wire = Crowd::new(crowd.chain(others).collect());
    let mut engine = engine(wire.listener.local_addr().unwrap());
    while !wire.coming.is_empty() || !wire.said.is_empty() {
        let _more = engine.turn(&mut wire);
    }
    assert_eq!(engine.core.stats().half_open, 256);
    assert_eq!(engine.lines.lines.len(), 256);
    let lines = engine.lines.lines.iter();
    let left = lines.filter(|(_, line)| line.remote.ip() == from(0, 16).ip());
    let left: Vec<_> = left.map(|(id, _)| id.0).collect();
    assert_eq!(left, (17..=32).collect::<Vec<_>>());
}

/// Notes which sockets are to say no more, and which are closed.
#[derive(Default)]
struct Noted {
    finished: Vec<CarrierId>,
    closed: Vec<CarrierId>,
}

impl Wire for Noted {
    fn recv(&mut self, _: &mut crate::socket::RecvBatch) -> io::Result<usize> {
        Err(io::ErrorKind::WouldBlock.into())
    }

    fn send(&mut self, _: &crate::socket::Outgoing<'_>) -> io::Result<()> {
        Ok(())
    }

    fn finish(&mut self, line: CarrierId) {
        self.finished.push(line);
    }

    fn close(&mut self, line: CarrierId) {
        self.closed.push(line);
    }
}

/// Soon after a connection is drained, and once; not while another uses the socket, nor before what
/// is kept for it is written. A socket that no connection has left is given its time.
///
/// spec: R-TCP-17
#[test]
fn what_a_connection_has_left_says_no_more_and_is_closed_later() {
    let (mut engine, mut wire) = (engine("127.0.0.1:9".parse().unwrap()), Noted::default());
    let begun = engine.clock.now();
    let [used, kept, left, other] = [1, 2, 3, 4].map(|host| {
        let id = stranger(&mut engine.lines, &format!("192.0.2.{host}"));
        let remote = engine.lines.lines[&id].remote;
        engine.core.carrier_opened(id, CarrierKind::Reliable { remote }, begun);
        id
    });
    let there = PeerAddr { id: None, remote: engine.lines.lines[&used].remote, carrier: used };
    let handle = engine.core.connect(there, begun).unwrap();
    let carriers: Vec<_> = engine.core.connection(handle).unwrap().carriers().collect();
    assert_eq!(carriers, [used]);
    engine.lines.lines.get_mut(&kept).unwrap().kept.push(7);
    let over = [used, kept, left, CarrierId(77)];
    engine.lines.on_closed(handle, over.into_iter());
    let soon = begun + PAUSE;
    assert!(engine.lines.deadline().is_some_and(|at| at > soon), "not before it is drained");
    engine.lines.on_drained(handle, begun);
    assert_eq!(engine.lines.deadline(), Some(soon));
    for now in [soon, soon + PAUSE] {
        engine.close_unused(&mut wire, now);
    }
    assert_eq!((&wire.finished, &wire.closed), (&vec![left], &vec![]));
    engine.close_unused(&mut wire, begun + UNUSED);
    assert_eq!((wire.finished, wire.closed), (vec![left], vec![kept, left, other]));
}
