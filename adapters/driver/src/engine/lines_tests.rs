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
