//! Who may come, and how many of them.

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
    lines.lines.values_mut().for_each(|line| line.in_use = false);
    lines.lines.get_mut(&ids[3]).unwrap().in_use = true;
    assert_eq!(room(&lines, "192.0.2.1"), Room::Free);
    lines.lines.get_mut(&ids[3]).unwrap().in_use = false;
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

/// What the core is told in one turn, it is told in the order of time.
#[test]
fn who_is_gone_at_once_is_not_told_before_its_time() {
    let config = aqueduct_core::config::EndpointConfig::new(
        aqueduct_core::crypto::identity::NodeKey::from_seed(&[1; 32]),
    );
    let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let there = listener.local_addr().unwrap();
    let parts = super::super::Parts {
        local: there,
        takes_v4: true,
        max_segments: 1,
        carriers: crate::Carriers::both(),
        listens: true,
        warnings: Vec::new(),
    };
    let seed = aqueduct_core::rng::Seed::from_u64(1);
    let (mut engine, _endpoint) = Engine::new(config, seed, parts);
    let strangers = (0..2).map(|_| TcpStream::connect(there).unwrap()).collect();
    let mut door = Door(listener, strangers, 0);
    while !door.1.is_empty() {
        let _more = engine.turn(&mut door);
    }
    assert_eq!((door.2, engine.lines.lines.len()), (2, 1));
}
