//! By UDP, by TCP, by both: one ticket for all.

use std::fs;
use std::path::Path;

use crate::support::{Place, Running, noise};

/// What the ticket says holds for UDP and for TCP, whichever of them the two sides take.
///
/// spec: R-TKT-7
#[test]
fn the_same_ticket_is_good_for_udp_and_for_tcp() {
    let place = Place::new();
    let file = place.file("f", 3_000_000);
    let cases: [(&[&str], &[&str], &str); 5] = [
        (&[], &[], "udp"),
        (&[], &["--tcp"], "tcp"),
        (&["--tcp"], &[], "tcp"),
        (&["--udp", "--tcp"], &["--udp"], "udp"),
        (&["--tcp"], &["--tcp"], "tcp"),
    ];
    for (here, there, carrier) in cases {
        let recv = place.recv(&[&["--yes", "--once", "--overwrite"], here].concat());
        let ticket = recv.ticket();
        let ping = [&["ping", "--json", "--count", "2", &ticket], there].concat();
        assert_eq!(place.run(&ping).expect(0).last()["carrier"], carrier, "{here:?}, {there:?}");
        let sent = place.send(&[Path::new(&file)], &recv, there).expect(0);
        assert_eq!(sent.last()["carrier"], carrier, "{here:?}, {there:?}");
        assert_eq!(recv.end().expect(0).last()["carrier"], carrier);
        assert_eq!(fs::read(place.out("f")).unwrap(), noise(3_000_000));
    }
}

#[test]
fn who_takes_udp_alone_is_not_reached_by_tcp_alone() {
    let place = Place::new();
    let recv = place.recv(&["--yes", "--udp"]);
    let ping = ["ping", "--json", "--tcp", "--timeout", "2", &recv.ticket()];
    let ended = place.run(&ping).expect(3);
    assert!(ended.message().contains("no TCP connection"), "{}", ended.message());
}

/// spec: R-TCP-15
#[test]
fn a_taken_tcp_port_is_a_warning_or_an_error() {
    let place = Place::new();
    let (udp, taken) = loop {
        let taken = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
        let addr = taken.local_addr().unwrap();
        // The UDP port of that number is free.
        if std::net::UdpSocket::bind(addr).is_ok() {
            break (addr.to_string(), taken);
        }
    };
    for only in [&["--tcp"][..], &["--udp", "--tcp"]] {
        let ended = place.run(&[&["recv", "--json", "--listen", &udp], only].concat()).expect(7);
        assert!(ended.message().contains("no TCP socket on"), "{}", ended.message());
    }
    let recv = ["recv", "--json", "--out", "out", "--yes", "--once", "--listen", &udp];
    let recv = Running::listening(place.command(&recv));
    let file = place.file("f", 1_000);
    assert_eq!(place.send(&[&file], &recv, &[]).expect(0).last()["carrier"], "udp");
    let ended = recv.end().expect(0);
    assert!(ended.stderr.contains("nobody will reach this node by TCP"), "{}", ended.stderr);
    drop(taken);
}
