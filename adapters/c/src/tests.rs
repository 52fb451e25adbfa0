//! What the guard keeps from the other side, and what the header says.

use std::net::SocketAddr;

use aqueduct_core::congestion::Algorithm;
use aqueduct_core::path::MAX_BATCH_BYTES;
use aqueduct_core::tape::{MAGIC, Op, Payload};
use aqueduct_core::time::Instant;
use aqueduct_core::trace::{self, Trace};
use aqueduct_core::wire::id::{Dir, StreamId};

use crate::address::{Address, Way};
use crate::exports::{
    aqueduct_connect, aqueduct_feed, aqueduct_node_free, aqueduct_node_id, aqueduct_node_new,
    aqueduct_node_new_recorded, aqueduct_poll_transmit, aqueduct_set_batch, aqueduct_take_tape,
};
use crate::guard::Handle;
use crate::node::{Event, MAX_DATAGRAM, Node, payload_of};
use crate::room::{aqueduct_alloc, aqueduct_dealloc};
use crate::status::{Failure, Status};

const HEADER: &str = include_str!("../include/aqueduct.h");

fn handle() -> Handle {
    Handle::new(Node::new(&[1; 32], [2; 32]))
}

/// spec: R-CB-1
#[test]
fn a_panic_becomes_a_status_and_the_handle_stays_shut() {
    let mut handle = handle();
    assert_eq!(handle.call(|_| Ok(Status::Ok)), Status::Ok);
    assert_eq!(handle.call(|_| panic!("provoked")), Status::Panicked);
    assert!(handle.error().to_str().unwrap().contains("panicked"));
    let mut called = false;
    let late = handle.call(|_| {
        called = true;
        Ok(Status::Ok)
    });
    assert_eq!((late, called), (Status::Panicked, false));
}

#[test]
fn a_failure_has_words_until_the_next_call() {
    let mut handle = handle();
    let failed = handle.call(|_| Err(Failure::new(Status::Refused, "no\0way")));
    assert_eq!((failed, handle.error().to_str().unwrap()), (Status::Refused, "no way"));
    handle.call(|_| Ok(Status::Nothing));
    assert_eq!(handle.error().to_str().unwrap(), "");
}

/// spec: R-CB-5
#[test]
#[expect(unsafe_code, reason = "the functions under test take pointers")]
fn null_pointers_are_refused() {
    use std::ptr::{null, null_mut};
    // SAFETY: null is allowed everywhere.
    assert!(unsafe { aqueduct_node_new(null(), &[0; 32]) }.is_null());
    // SAFETY: as above.
    unsafe { aqueduct_node_free(null_mut()) };
    // SAFETY: as above.
    assert_eq!(unsafe { aqueduct_node_id(null_mut(), &mut [0; 32]) }, Status::Invalid);
    // SAFETY: two arrays of 32 bytes.
    let node = unsafe { aqueduct_node_new(&[1; 32], &[2; 32]) };
    // SAFETY: a live node.
    assert_eq!(unsafe { aqueduct_node_id(node, null_mut()) }, Status::Invalid);
    // SAFETY: a live node.
    let connected = unsafe { aqueduct_connect(node, null(), null(), 1, &mut 0) };
    assert_eq!(connected, Status::Invalid);
    // SAFETY: a live node.
    let taken = unsafe { aqueduct_take_tape(node, null_mut(), 1, &mut 0) };
    assert_eq!(taken, Status::Invalid);
    // SAFETY: freed once.
    unsafe { aqueduct_node_free(node) };
    for payload in [-1, 3] {
        // SAFETY: two arrays of 32 bytes.
        let node = unsafe { aqueduct_node_new_recorded(&[1; 32], &[2; 32], payload) };
        assert!(node.is_null(), "{payload}");
    }
}

#[test]
fn the_header_names_the_same_functions_and_values() {
    let source = [include_str!("exports.rs"), include_str!("room.rs")].concat();
    let functions = source.split("extern \"C\" fn ").skip(1);
    let names: Vec<_> = functions.map(|rest| rest.split('(').next().unwrap()).collect();
    assert!(names.len() > 15, "{names:?}");
    for name in names {
        assert!(HEADER.contains(&format!("{name}(")), "{name} is not in the header");
    }
    for (name, status) in [
        ("OK", Status::Ok),
        ("NOTHING", Status::Nothing),
        ("END", Status::End),
        ("INVALID", Status::Invalid),
        ("UNKNOWN", Status::Unknown),
        ("REFUSED", Status::Refused),
        ("OVER", Status::Over),
        ("TOO_SMALL", Status::TooSmall),
        ("PANICKED", Status::Panicked),
        ("SKIPPED", Status::Skipped),
    ] {
        let line = format!("AQUEDUCT_{name} = {}", status as i32);
        assert!(HEADER.contains(&line), "{line}");
    }
    for (name, payload, number) in [
        ("FULL", Payload::Full, 0),
        ("REFERENCED", Payload::Referenced, 1),
        ("ELIDED", Payload::Elided, 2),
    ] {
        assert_eq!(payload_of(number), Some(payload));
        let line = format!("AQUEDUCT_TAPE_{name} = {number}");
        assert!(HEADER.contains(&line), "{line}");
    }
    assert!(HEADER.contains(&format!("AQUEDUCT_MAX_DATAGRAM {MAX_DATAGRAM}\n")));
    assert!(HEADER.contains(&format!("AQUEDUCT_MAX_BATCH {MAX_BATCH_BYTES}\n")));
    assert_eq!((size_of::<Address>(), size_of::<Way>()), (20, 28));
}

const NOW: Instant = Instant::from_nanos(1);

/// A node that dials another, of which it knows nothing but the id.
fn dialer() -> (Node, u64) {
    let other = Node::new(&[3; 32], [4; 32]).id();
    let mut node = Node::new(&[1; 32], [2; 32]);
    let there = "192.0.2.1:7".parse().unwrap();
    let connection = node.connect(Some(&other), there, NOW).unwrap();
    (node, connection)
}

/// spec: R-CB-2
#[test]
fn what_waits_to_be_taken_holds_back_what_follows() {
    let (mut node, _) = dialer();
    assert_eq!(node.poll_event(NOW), None);
    assert_eq!(node.next_timeout(NOW), Some(NOW));
    let first = node.poll_transmit(NOW).unwrap().1.to_vec();
    assert_eq!(node.poll_transmit(NOW).unwrap().1, first);
    node.sent();
    assert!(node.poll_transmit(NOW).is_none());
    assert!(node.next_timeout(NOW).unwrap() > NOW);
}

/// spec: R-CB-3
#[test]
#[expect(unsafe_code, reason = "the functions under test take pointers")]
fn a_buffer_that_is_too_small_loses_nothing() {
    let mut handle = Handle::new(dialer().0);
    let node: *mut Handle = &raw mut handle;
    let (mut buffer, mut len, mut to) = ([0_u8; 1452], 0, Way::default());
    let mut take = |room: usize| {
        let buffer = buffer.as_mut_ptr();
        // SAFETY: a live node, and a buffer of at least `room` bytes.
        let status = unsafe { aqueduct_poll_transmit(node, 1, buffer, room, &mut len, &mut to) };
        (status, len)
    };
    assert_eq!(take(100), (Status::TooSmall, 1200));
    assert_eq!(take(1199), (Status::TooSmall, 1200));
    assert_eq!(take(1452), (Status::Ok, 1200));
    assert_eq!(take(1452).0, Status::Nothing);
    assert_eq!(to.address.to_std(), Some("192.0.2.1:7".parse().unwrap()));
}

/// spec: R-CB-4
#[test]
fn numbers_of_connections_are_never_used_again() {
    let (mut node, first) = dialer();
    let mut now = NOW;
    let mut ended = Vec::new();
    while !ended.contains(&9) {
        ended.extend(node.poll_event(now).map(|event| {
            assert_eq!(event.connection, first);
            event.kind
        }));
        while node.poll_transmit(now).is_some() {
            node.sent();
        }
        now = node.next_timeout(now).unwrap_or(now);
    }
    assert_eq!(ended, [8, 9]);
    assert_eq!(node.peer(first).unwrap_err().status, Status::Unknown);
    let other = Node::new(&[5; 32], [6; 32]).id();
    let second = node.connect(Some(&other), "192.0.2.1:7".parse().unwrap(), now).unwrap();
    assert_eq!((first, second), (1, 2));
    assert_eq!(node.write(first, 0, b"x").unwrap_err().status, Status::Unknown);
}

#[test]
fn addresses_are_what_they_were() {
    for text in ["127.0.0.1:80", "[2001:db8::1]:65535"] {
        let addr = text.parse().unwrap();
        assert_eq!(Address::from(addr).to_std(), Some(addr));
    }
    assert_eq!(Address::default().to_std(), None);
}

/// Carries datagrams between two nodes until one of them has news, and says which.
fn news(nodes: &mut [Node; 2], now: &mut Instant) -> (usize, Event) {
    let there: [SocketAddr; 2] = ["192.0.2.1:1", "192.0.2.2:2"].map(|text| text.parse().unwrap());
    loop {
        for at in 0..2 {
            while let Some((mut way, bytes)) = nodes[at].poll_transmit(*now) {
                let mut bytes = bytes.to_vec();
                way.address = Address::from(there[at]);
                nodes[at].sent();
                nodes[1 - at].feed(&way, &mut bytes, *now).unwrap();
            }
            if let Some(event) = nodes[at].poll_event(*now) {
                return (at, event);
            }
        }
        let next = nodes.iter_mut().filter_map(|node| node.next_timeout(*now)).min();
        *now = next.unwrap().max(*now);
    }
}

/// Two nodes that are connected, and the connection at each.
fn connected() -> ([Node; 2], [u64; 2], Instant) {
    let mut nodes = [Node::new(&[1; 32], [2; 32]), Node::new(&[3; 32], [4; 32])];
    let (mut now, to) = (NOW, nodes[1].id());
    let near = nodes[0].connect(Some(&to), "192.0.2.2:2".parse().unwrap(), now).unwrap();
    let mut both = [None; 2];
    while both.contains(&None) {
        let (at, event) = news(&mut nodes, &mut now);
        both[at] = (event.kind == 1).then_some(event.connection).or(both[at]);
    }
    (nodes, [near, both[1].unwrap()], now)
}

/// spec: R-CB-10
#[test]
fn bytes_that_were_left_out_are_told_of_and_passed() {
    let (mut nodes, [near, far], mut now) = connected();
    let stream = nodes[0].open(near, Dir::Uni, b"x").unwrap();
    let skip = |node: &mut Node, range| {
        let mut view = node.connection(near).unwrap();
        view.send(StreamId(stream)).unwrap().skip(range).unwrap();
    };
    nodes[0].write(near, stream, b"01").unwrap();
    skip(&mut nodes[0], 2..6);
    nodes[0].write(near, stream, b"67").unwrap();
    skip(&mut nodes[0], 8..9);
    nodes[0].finish(near, stream).unwrap();
    // Until all is there.
    while news(&mut nodes, &mut now).1.kind != 5 {}
    let node = &mut nodes[1];
    let (taken, mut out) = (node.accept(far).unwrap().unwrap(), [0; 9]);
    assert_eq!(node.pass_skipped(far, taken).unwrap(), (Status::Nothing, 0..0));
    assert_eq!(
        (node.read(far, taken, &mut out).unwrap(), &out[..2]),
        ((Status::Ok, 2), &b"01"[..])
    );
    for _ in 0..2 {
        let failure = node.read(far, taken, &mut out).unwrap_err();
        assert_eq!(failure.status, Status::Skipped, "{failure:?}");
    }
    assert_eq!(node.pass_skipped(far, taken).unwrap(), (Status::Ok, 2..6));
    assert_eq!(node.pass_skipped(far, taken).unwrap(), (Status::Nothing, 0..0));
    assert_eq!(
        (node.read(far, taken, &mut out).unwrap(), &out[..2]),
        ((Status::Ok, 2), &b"67"[..])
    );
    assert_eq!(node.read(far, taken, &mut out).unwrap_err().status, Status::Skipped);
    assert_eq!(node.pass_skipped(far, taken).unwrap(), (Status::End, 8..9));
    assert_eq!(node.pass_skipped(far, taken).unwrap_err().status, Status::Unknown);
}

/// spec: R-CB-9
#[test]
fn a_controller_is_changed_by_its_name() {
    let (mut nodes, [near, _], _) = connected();
    for algorithm in Algorithm::ALL {
        nodes[0].set_controller(near, algorithm.name().as_bytes()).unwrap();
        let stats = nodes[0].connection(near).unwrap().stats();
        assert_eq!(stats.controller, algorithm);
        assert!(HEADER.contains(&format!("\"{}\"", algorithm.name())), "{algorithm:?}");
    }
    for name in [&b"cub"[..], b"", b"\xff"] {
        assert_eq!(nodes[0].set_controller(near, name).unwrap_err().status, Status::Invalid);
    }
    assert_eq!(nodes[0].set_controller(9, b"cubic").unwrap_err().status, Status::Unknown);
}

/// spec: R-CB-11
#[test]
#[expect(unsafe_code, reason = "the functions under test take pointers")]
fn room_that_is_not_there_is_not_given() {
    for len in [usize::MAX, isize::MAX as usize] {
        assert!(aqueduct_alloc(len).is_null(), "{len}");
    }
    for len in [0, 1, 100_000] {
        let room = aqueduct_alloc(len);
        assert!(!room.is_null());
        // SAFETY: it was given with this length, and nobody else has it.
        unsafe { aqueduct_dealloc(room, len) };
    }
}

/// Two nodes, the first of which dialed, writes 300,000 bytes and hands over batches of up to `most`.
/// Returns the largest batch in datagrams, and how many of all datagrams were marked.
fn carried(most: usize, keeps_marks: bool) -> (usize, usize, usize) {
    let mut nodes = [Node::new(&[1; 32], [2; 32]), Node::new(&[3; 32], [4; 32])];
    let there = ["192.0.2.1:1".parse().unwrap(), "192.0.2.2:2".parse().unwrap()];
    let (mut now, mut largest, mut marked, mut all) = (NOW, 0, 0, 0);
    nodes[0].set_batch(most, now);
    let to = nodes[1].id();
    let connection = nodes[0].connect(Some(&to), there[1], now).unwrap();
    let (body, mut out) = (vec![7; 300_000], vec![0; 4_096]);
    let (mut stream, mut written, mut read) = (None, 0, 0);
    while read < body.len() {
        for at in 0..2 {
            let (mut packets, mut events) = (Vec::new(), Vec::new());
            loop {
                if let Some((way, bytes)) = nodes[at].poll_transmit(now) {
                    packets.push((way, bytes.to_vec()));
                    nodes[at].sent();
                } else if let Some(event) = nodes[at].poll_event(now) {
                    events.push(event);
                } else {
                    break;
                }
            }
            for (mut way, mut bytes) in packets {
                assert_eq!(way.address.to_std(), Some(there[1 - at]));
                let count = way.segment().map_or(1, |segment| bytes.len().div_ceil(segment));
                (largest, all) = (largest.max(count), all + count);
                marked += if way.ecn == 2 { count } else { 0 };
                way.address = there[at].into();
                way.ecn = if keeps_marks { way.ecn } else { 0 };
                nodes[1 - at].feed(&way, &mut bytes, now).unwrap();
            }
            for event in events {
                match event.kind {
                    1 if at == 0 => {
                        stream = Some(nodes[0].open(connection, Dir::Uni, b"x").unwrap())
                    }
                    2 => _ = nodes[1].accept(event.connection).unwrap(),
                    3 => loop {
                        let took = nodes[1].read(event.connection, event.stream, &mut out).unwrap();
                        read += took.1;
                        if took.0 != Status::Ok {
                            break;
                        }
                    },
                    _ => {}
                }
            }
            if let Some(stream) = stream {
                written += nodes[0].write(connection, stream, &body[written..]).unwrap();
            }
        }
        let next = nodes.iter_mut().filter_map(|node| node.next_timeout(now)).min();
        now = next.unwrap().max(now);
    }
    (largest, marked, all)
}

/// spec: R-CB-8
#[test]
fn batches_and_marks_pass_both_ways() {
    let (largest, marked, all) = carried(1, true);
    // The handshake is not marked.
    assert!(largest == 1 && marked + 3 >= all && all > 200, "{largest}, {marked} of {all}");
    let (largest, marked, all) = carried(16, true);
    assert!((2..=16).contains(&largest) && marked + 3 >= all, "{largest}, {marked} of {all}");
    // Who loses the marks is found out.
    let (_, marked, all) = carried(16, false);
    assert!(marked * 2 < all, "{marked} of {all}");
}

/// spec: R-CB-8
#[test]
#[expect(unsafe_code, reason = "the functions under test take pointers")]
fn marks_and_batches_that_cannot_be_are_refused() {
    let mut handle = handle();
    let node: *mut Handle = &raw mut handle;
    for most in [0, 65, u32::MAX] {
        // SAFETY: a live node.
        assert_eq!(unsafe { aqueduct_set_batch(node, most, 1) }, Status::Invalid);
    }
    // SAFETY: a live node.
    assert_eq!(unsafe { aqueduct_set_batch(node, 64, 1) }, Status::Ok);
    let address = "192.0.2.1:7".parse::<SocketAddr>().unwrap().into();
    let mut bytes = [0; 100];
    for (ecn, segment, status) in [
        (3, 0, Status::Ok),
        (0, 30, Status::Ok),
        (1, u32::MAX, Status::Ok),
        (4, 0, Status::Invalid),
    ] {
        let way = Way { address, segment, ecn, reserved: [0; 3] };
        // SAFETY: a live node, and 100 bytes.
        let fed = unsafe { aqueduct_feed(node, bytes.as_mut_ptr(), bytes.len(), &way, 1) };
        assert_eq!(fed, status, "{way:?}");
    }
}

/// A node that dialed somebody and is recorded.
fn recorded(payload: Payload) -> Node {
    let mut node = Node::recorded(&[1; 32], [2; 32], payload);
    node.connect(None, "192.0.2.1:7".parse().unwrap(), NOW).unwrap();
    assert!(node.poll_transmit(NOW).is_some());
    node
}

/// The tape in pieces of this size, and what came instead of one more.
fn taken(node: &mut Node, room: usize) -> (Vec<u8>, Status) {
    let (mut tape, mut piece) = (Vec::new(), vec![0; room]);
    loop {
        match node.take_tape(&mut piece).unwrap() {
            (Status::Ok, len) => tape.extend_from_slice(&piece[..len]),
            (status, len) => {
                assert_eq!(len, 0);
                return (tape, status);
            }
        }
    }
}

/// spec: R-CB-6
#[test]
fn a_tape_is_the_same_in_pieces_of_any_size() {
    for payload in [Payload::Full, Payload::Referenced, Payload::Elided] {
        let tapes = [1, 7, 1 << 16].map(|room| {
            let mut node = recorded(payload);
            let (mut tape, status) = taken(&mut node, room);
            assert_eq!(status, Status::Nothing);
            node.end_tape().unwrap();
            let too_small = node.take_tape(&mut []).unwrap_err();
            assert_eq!(too_small.status, Status::TooSmall);
            let (rest, status) = taken(&mut node, room);
            assert_eq!((status, rest.is_empty()), (Status::End, false));
            tape.extend(rest);
            tape
        });
        assert!(tapes[0] == tapes[1] && tapes[1] == tapes[2], "{payload:?}");
        assert_eq!(Trace::open(&tapes[0]).unwrap().payload(), payload);
        if payload == Payload::Full {
            assert!(trace::replay(&tapes[0]).unwrap().is_whole());
        }
    }
}

/// spec: R-CB-6
#[test]
fn who_is_not_recorded_says_so() {
    let mut node = dialer().0;
    assert_eq!(node.take_tape(&mut [0; 9]).unwrap_err().status, Status::Refused);
    assert_eq!(node.end_tape().unwrap_err().status, Status::Refused);
}

/// A clock that goes back is a fault that a library for debugging does not bear.
///
/// spec: R-CB-7
#[cfg(debug_assertions)]
#[test]
#[expect(unsafe_code, reason = "the function under test takes pointers")]
fn what_was_recorded_before_a_panic_can_be_taken() {
    let mut handle = Handle::new(recorded(Payload::Full));
    let asked = handle.call(|node| {
        node.sent();
        node.poll_event(Instant::ZERO);
        Ok(Status::Ok)
    });
    assert_eq!(asked, Status::Panicked);
    let node: *mut Handle = &raw mut handle;
    let (mut tape, mut len) = ([0_u8; 9_000], 0);
    let (piece, room) = (tape.as_mut_ptr(), tape.len());
    // SAFETY: a live node, and a buffer of `room` bytes.
    let taken = unsafe { aqueduct_take_tape(node, piece, room, &mut len) };
    assert_eq!((taken, &tape[..8]), (Status::Ok, &MAGIC[..]));
    let last = trace::records(&tape[..len]).unwrap().last().unwrap().unwrap();
    assert_eq!(last.op, Op::Unfinished);
    assert_eq!(handle.call(|node| node.end_tape().map(|()| Status::Ok)), Status::Panicked);
}
