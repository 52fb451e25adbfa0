//! Addresses and sockets.

use std::net::{Ipv6Addr, SocketAddrV6};

use super::*;

/// A link-local address means nothing without its link.
///
/// spec: R-TCP-16
#[test]
fn an_address_keeps_its_scope() {
    let here = SocketAddrV6::new(Ipv6Addr::new(0xfe80, 0, 0, 0, 0, 0, 0, 1), 4433, 0, 7);
    let SocketAddr::V6(from) = with_any_port(here.into()) else { panic!("another family") };
    assert_eq!((from.scope_id(), from.port(), from.ip()), (7, 0, here.ip()));
    assert_eq!(canonical(here.into()), here.into());
    let mapped: SocketAddr = "[::ffff:192.0.2.1]:5".parse().unwrap();
    assert_eq!(canonical(mapped), "192.0.2.1:5".parse().unwrap());
}

/// The system asks on an idle socket whether the other end is there, and gives up one that takes no
/// bytes after the idle time-out.
///
/// spec: R-TCP-23
#[test]
fn a_socket_is_asked_to_notice_its_death() {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let remote = listener.local_addr().unwrap();
    let patience = Patience::of(&TransportConfig::default());
    assert_eq!(patience.dial, Duration::from_secs(10));
    let socket = dial("0.0.0.0:0".parse().unwrap(), remote, patience).unwrap();
    let socket = SockRef::from(&socket);
    assert!(socket.keepalive().unwrap());
    #[cfg(target_os = "linux")]
    {
        assert_eq!(socket.tcp_keepalive_time().unwrap(), KEEP_ALIVE);
        assert_eq!(socket.tcp_keepalive_interval().unwrap(), ASK_AGAIN);
        assert_eq!(socket.tcp_keepalive_retries().unwrap(), ASKS);
        assert_eq!(
            socket.tcp_user_timeout().unwrap(),
            Some(TransportConfig::default().idle_timeout())
        );
    }
}
