//! Who may come, and how many of them.

use super::*;

fn stranger(lines: &mut Lines, ip: &str) -> CarrierId {
    let remote = SocketAddr::new(ip.parse().unwrap(), 9);
    lines.insert(Line::new(remote, Stage::Open, 1_452, Instant::ZERO), Instant::ZERO)
}

/// One network of IPv6 has as many addresses as anybody likes.
///
/// spec: R-TCP-18
#[test]
fn strangers_of_one_network_are_counted_together() {
    let mut lines = Lines::default();
    for host in 0..16 {
        let ip = format!("2001:db8:1:2:{host}::{host}");
        assert!(lines.has_room_for(ip.parse().unwrap()));
        stranger(&mut lines, &ip);
    }
    assert!(!lines.has_room_for("2001:db8:1:2:ffff::1".parse().unwrap()));
    assert!(lines.has_room_for("2001:db8:1:3::1".parse().unwrap()), "another network");
    for _ in 0..16 {
        assert!(lines.has_room_for("192.0.2.1".parse().unwrap()));
        stranger(&mut lines, "192.0.2.1");
    }
    assert!(!lines.has_room_for("192.0.2.1".parse().unwrap()));
    assert!(lines.has_room_for("192.0.2.2".parse().unwrap()));
    for network in 0..224 {
        stranger(&mut lines, &format!("2001:db8:{network:x}::1"));
    }
    assert!(!lines.has_room_for("198.51.100.1".parse().unwrap()), "256 in all");
}

/// Who had a connection and has none any more is a stranger again.
///
/// spec: R-TCP-18
#[test]
fn a_place_is_free_only_while_a_connection_uses_it() {
    let mut lines = Lines::default();
    let ids: Vec<_> = (0..16).map(|_| stranger(&mut lines, "192.0.2.1")).collect();
    let room = |lines: &Lines| lines.has_room_for("192.0.2.1".parse().unwrap());
    lines.lines.get_mut(&ids[3]).unwrap().in_use = true;
    assert!(room(&lines));
    lines.lines.get_mut(&ids[3]).unwrap().in_use = false;
    assert!(!room(&lines));
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
