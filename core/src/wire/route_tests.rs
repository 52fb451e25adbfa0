use std::string::ToString;
use std::vec;
use std::vec::Vec;

use proptest::prelude::*;

use super::*;

fn hop(number: u8, addrs: usize) -> Hop {
    let addr = |port| match number % 2 {
        0 => SocketAddr::from(([192, 0, 2, number], port)),
        _ => SocketAddr::from(([0x2001, 0xdb8, 0, 0, 0, 0, 0, number.into()], port)),
    };
    Hop { id: [number; 32], addrs: (1..=addrs as u16).map(addr).collect() }
}

fn route<'a>(relays: usize, targets: usize, head: &'a [u8]) -> Route<'a> {
    let protocol = Protocol::Name(b"aqueduct-file/1");
    let hops = |from: usize, count: usize| (from..from + count).map(|n| hop(n as u8, 1)).collect();
    Route { relays: hops(0, relays), targets: hops(relays, targets), protocol, head }
}

/// spec: R-ROUTE-1
#[test]
fn a_route_reads_back_and_its_layout_is_fixed() {
    let written = route(1, 1, b"head").encode().unwrap();
    let mut expected = vec![1, 1, 1];
    expected.extend([0; 32]);
    expected.extend([1, 4, 192, 0, 2, 0, 0, 1]);
    expected.extend([1; 32]);
    expected.extend([1, 6, 0x20, 0x01, 0x0d, 0xb8, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 1, 0, 1]);
    expected.extend([1, 15]);
    expected.extend(b"aqueduct-file/1head");
    assert_eq!(written, expected);
    assert_eq!(Route::decode(&written), Ok(route(1, 1, b"head")));
    let numbered = Route { protocol: Protocol::Number(70_000), ..route(0, 2, b"") };
    assert_eq!(Route::decode(&numbered.encode().unwrap()), Ok(numbered));
}

/// spec: R-ROUTE-2
#[test]
fn what_does_not_fit_is_an_error_that_names_the_limit() {
    assert_eq!(route(3, 0, b"").encode(), Err(RouteError::NoTarget));
    let long = route(10, 7, b"").encode().unwrap_err();
    assert!(long.to_string().contains("17") && long.to_string().contains("16"), "{long}");
    let bare = Route { targets: vec![hop(0, 0)], ..route(1, 1, b"") }.encode().unwrap_err();
    assert_eq!(bare, RouteError::Addrs { hop: 1, addrs: 0 });
    let wide = Route { targets: vec![hop(0, 5)], ..route(0, 1, b"") }.encode().unwrap_err();
    assert!(wide.to_string().contains('5') && wide.to_string().contains('4'), "{wide}");
    let called = |protocol| Route { protocol, ..route(1, 1, b"") }.encode();
    for len in [0, 65, 256, 257, 320] {
        let name = vec![b'n'; len];
        let route = Route { protocol: Protocol::Name(&name), ..route(1, 1, b"") };
        assert_eq!(route.encode(), Err(RouteError::Protocol), "{len}");
    }
    assert_eq!(called(Protocol::Number(1 << 62)), Err(RouteError::Protocol));
    assert!(called(Protocol::Number((1 << 62) - 1)).is_ok());
    assert!(called(Protocol::Name(&[b'n'; 64])).is_ok());
    let head = [7; MAX_HEAD];
    let full = route(1, 1, &head).encode().unwrap_err();
    assert!(full.to_string().contains("900"), "{full}");
    let sixteen = (0..16).map(|n| hop(n * 2, 1)).collect();
    let most = Route { targets: sixteen, ..route(0, 1, b"") };
    assert!(most.encode().is_ok(), "sixteen hops with an IPv4 address each fit");
}

/// spec: R-ROUTE-2
#[test]
fn every_damaged_route_is_refused_or_another_route() {
    let good = route(2, 2, b"words").encode().unwrap();
    for cut in 0..good.len() {
        if let Ok(other) = Route::decode(&good[..cut]) {
            assert_ne!(other, route(2, 2, b"words"));
            assert_eq!(other.encode().unwrap(), &good[..cut]);
        }
    }
    for bit in 0..good.len() * 8 {
        let mut bad = good.clone();
        bad[bit / 8] ^= 1 << (bit % 8);
        if let Ok(other) = Route::decode(&bad) {
            assert_ne!(other, route(2, 2, b"words"));
        }
    }
    for wrong in [[0, 1, 1], [2, 1, 1], [1, 1, 0], [1, 16, 1]] {
        let mut bad = good.clone();
        bad[..3].copy_from_slice(&wrong);
        assert!(Route::decode(&bad).is_err(), "{wrong:?}");
    }
}

/// spec: R-ROUTE-7
#[test]
fn the_head_of_an_answer_reads_back_and_nothing_else_does() {
    let answer = Answer { stream: StreamId(70), target: 15 };
    assert_eq!(answer.encode(), [0x40, 70, 15]);
    assert_eq!(Answer::decode(&answer.encode()), Ok(answer));
    for bad in [&[6][..], &[6, 1, 1], &[]] {
        assert!(Answer::decode(bad).is_err(), "{bad:?}");
    }
}

/// spec: R-ROUTE-9
#[test]
fn the_head_of_a_request_reads_back_and_nothing_else_does() {
    let stream = StreamId(70);
    let some = Wanted { stream, start: 5, end: Some(64) };
    let rest = Wanted { stream, start: 5, end: None };
    assert_eq!(some.encode(), [0x40, 70, 5, 0x40, 64]);
    assert_eq!(rest.encode(), [0x40, 70, 5]);
    assert_eq!(Wanted::decode(&some.encode()), Ok(some));
    assert_eq!(Wanted::decode(&rest.encode()), Ok(rest));
    for bad in [&[6][..], &[6, 1, 1, 1], &[], &[6, 1, 0x40]] {
        assert!(Wanted::decode(bad).is_err(), "{bad:?}");
    }
}

/// spec: R-ROUTE-10
#[test]
fn the_head_of_a_part_reads_back_and_nothing_else_does() {
    let part = Part { request: StreamId(70) };
    assert_eq!(part.encode(), [0x40, 70]);
    assert_eq!(Part::decode(&part.encode()), Ok(part));
    for bad in [&[6, 1][..], &[], &[0x40]] {
        assert!(Part::decode(bad).is_err(), "{bad:?}");
    }
}

proptest! {
    /// spec: R-ROUTE-1
    #[test]
    fn any_bytes_are_a_route_that_reads_back_or_none(bytes in prop::collection::vec(any::<u8>(), 0..400)) {
        if let Ok(route) = Route::decode(&bytes) {
            let again: Vec<u8> = route.encode().unwrap();
            prop_assert_eq!(Route::decode(&again), Ok(route));
        }
    }
}
