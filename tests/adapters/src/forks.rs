//! One stream read by several handles, and looked at before it is read.

use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::thread;

use aqueduct_std::{AppCode, ReadError, Stop};

use crate::node::{
    Inlet, Link, Node, Outlet, Pair, Recv, Send_, connect, options, pair, pattern, until,
};
use crate::tcp::SECOND;

const MIB: usize = 1 << 20;

/// A stream that has come.
fn stream<C: Node, S: Node>(pair: &Pair<C, S>) -> (Send_<C>, Recv<S>) {
    let mut send = pair.near.open_uni(options());
    send.put(b"#").unwrap();
    let mut recv = pair.far.accept_uni().unwrap();
    assert_eq!(recv.first(1), b"#");
    (send, recv)
}

/// spec: R-HAND-3
pub(crate) fn a_fork_that_does_not_read_holds_the_sender_until_it_is_dropped<C: Node, S: Node>() {
    const MEMORY: usize = 4 * MIB;
    let (client, server) = (C::new(), S::with_memory(MEMORY as u64));
    let (near, far) = connect(&client, &server);
    let pair = Pair { client, server, near, far };
    let (mut send, mut recv) = stream(&pair);
    let idle = recv.fork();
    let (read, delivered) = (AtomicUsize::new(0), AtomicBool::new(false));
    thread::scope(|scope| {
        scope.spawn(|| {
            send.put(&pattern(2 * MEMORY)).unwrap();
            send.delivered().unwrap();
            delivered.store(true, Ordering::Relaxed);
        });
        let reading = scope.spawn(|| {
            while let Some(bytes) = recv.some(usize::MAX).unwrap() {
                read.fetch_add(bytes.len(), Ordering::Relaxed);
            }
        });
        until("the credit is used up", || {
            let before = read.load(Ordering::Relaxed);
            before > 0 && {
                thread::sleep(SECOND / 2);
                read.load(Ordering::Relaxed) == before
            }
        });
        let came = read.load(Ordering::Relaxed);
        assert!(came <= MEMORY, "{came} bytes came, and a fork has read none");
        assert!(!delivered.load(Ordering::Relaxed));
        drop(idle);
        reading.join().unwrap();
    });
    assert_eq!(read.load(Ordering::Relaxed), 2 * MEMORY);
    // All of it was given back: as much goes again.
    let (mut send, mut recv) = stream(&pair);
    thread::scope(|scope| {
        scope.spawn(|| {
            send.put(&pattern(2 * MEMORY)).unwrap();
            send.delivered().unwrap();
        });
        let mut fork = recv.fork();
        let other = scope.spawn(move || fork.all(2 * MEMORY).unwrap().len());
        while recv.some(usize::MAX).unwrap().is_some() {}
        assert_eq!(other.join().unwrap(), 2 * MEMORY);
    });
}

pub(crate) fn the_last_handle_stops_the_peer_and_a_fork_does_not<C: Node, S: Node>() {
    let pair = pair::<C, S>();
    let (mut send, mut recv) = stream(&pair);
    drop(recv.fork());
    let mut fork = recv.fork();
    send.put(b"more").unwrap();
    assert_eq!(recv.first(4), b"more");
    drop(recv);
    thread::scope(|scope| {
        let stopped = scope.spawn(|| send.stopped().unwrap());
        thread::sleep(SECOND / 5);
        assert!(!stopped.is_finished(), "stopped while somebody reads");
        assert_eq!(fork.first(4), b"more");
        drop(fork);
        assert_eq!(stopped.join().unwrap(), Some(Stop { code: AppCode(0), hop: 0 }));
    });

    // To stop is said for all handles; the others read what had come.
    let (mut send, mut recv) = stream(&pair);
    let mut fork = recv.fork();
    send.put(b"more").unwrap();
    assert_eq!(recv.peek(4).unwrap(), &b"more"[..]);
    recv.stop(AppCode(7));
    assert_eq!(send.stopped().unwrap(), Some(Stop { code: AppCode(7), hop: 0 }));
    assert_eq!(recv.some(9), Err(ReadError::Stopped));
    assert_eq!(fork.some(9).unwrap().unwrap(), &b"more"[..]);
    assert_eq!(fork.some(9), Err(ReadError::Stopped));
}

pub(crate) fn errors_come_behind_the_bytes_to_every_handle<C: Node, S: Node>() {
    let pair = pair::<C, S>();
    let (mut send, mut recv) = stream(&pair);
    send.put(b"half").unwrap();
    assert_eq!(recv.peek(4).unwrap(), &b"half"[..]);
    let mut fork = recv.fork();
    send.reset(AppCode(3));
    let reset = ReadError::Reset { code: AppCode(3), hop: 0 };
    assert_eq!(recv.peek(9).unwrap(), &b"half"[..], "as much as there will be");
    assert_eq!(recv.all(100), Err(reset.clone()));
    // What was collected is not lost with the error.
    assert_eq!(recv.peek(2).unwrap(), &b"ha"[..]);
    assert_eq!(recv.some(1).unwrap().unwrap(), &b"h"[..]);
    let mut buf = [0; 8];
    assert_eq!(recv.read(&mut buf).unwrap(), 3);
    assert_eq!(recv.peek(2), Err(reset.clone()));
    assert_eq!(recv.some(1), Err(reset.clone()));
    let by_trait = recv.read(&mut buf).unwrap_err();
    assert_eq!(by_trait.kind(), std::io::Error::from(reset.clone()).kind());
    assert_eq!(fork.next_block(), Some(Ok(b"half"[..].into())));
    assert_eq!(fork.next_block(), Some(Err(reset.clone())));
    assert_eq!(fork.next_block(), None, "the error is the last that comes");
    assert_eq!(fork.fork().some(1), Err(reset));
}

pub(crate) fn what_is_too_long_to_be_collected_is_still_there<C: Node, S: Node>() {
    let pair = pair::<C, S>();
    let (mut send, mut recv) = stream(&pair);
    let (mut other, mut third) = (recv.fork(), recv.fork());
    send.put(b"one ").unwrap();
    send.put(b"two").unwrap();
    send.finish().unwrap();
    assert_eq!(recv.all(6), Err(ReadError::TooLong { limit: 6 }));
    assert_eq!(recv.peek(3).unwrap(), &b"one"[..]);
    assert_eq!(recv.all(7).unwrap(), &b"one two"[..]);
    assert_eq!(recv.all(7).unwrap(), &b""[..], "the end stays the end");
    assert_eq!(recv.peek(1).unwrap(), &b""[..]);
    assert_eq!(other.first(4), b"one ");
    assert_eq!(other.all(3).unwrap(), &b"two"[..]);
    let mut got = Vec::new();
    while let Some(block) = third.next_block() {
        got.extend_from_slice(&block.unwrap());
    }
    assert_eq!(got, b"one two");
    assert_eq!(third.next_block(), None);
}

/// More than any first window, in one piece; nothing was read, so nothing was released.
pub(crate) fn a_long_head_gets_the_credit_that_it_needs<C: Node, S: Node>() {
    let pair = pair::<C, S>();
    let body = pattern(4 * MIB);
    let (mut send, mut recv) = stream(&pair);
    thread::scope(|scope| {
        scope.spawn(|| {
            send.put(&body).unwrap();
            send.delivered().unwrap();
        });
        assert!(recv.peek(3 * MIB).unwrap() == body[..3 * MIB]);
        assert!(recv.all(body.len()).unwrap() == body);
    });
}

/// By the traits that each world has for all that is read from and written to.
pub(crate) fn the_traits_of_its_world_hold_for_a_stream<C: Node, S: Node>() {
    let pair = pair::<C, S>();
    let body = pattern(MIB);
    let (mut send, mut recv) = stream(&pair);
    thread::scope(|scope| {
        scope.spawn(|| {
            body.chunks(77_777).for_each(|part| send.pour(part).unwrap());
            send.finish().unwrap();
        });
        assert!(recv.first(500_000) == body[..500_000]);
        let (mut at, mut buf) = (500_000, vec![0; 10_000]);
        loop {
            let count = recv.read(&mut buf).unwrap();
            if count == 0 {
                break;
            }
            assert!(body[at..].starts_with(&buf[..count]), "other bytes at {at}");
            at += count;
        }
        assert_eq!(at, body.len());
        assert_eq!(recv.read(&mut buf).unwrap(), 0, "the end stays the end");
    });
    assert_eq!(recv.read(&mut []).unwrap(), 0);
    let (mut send, recv) = stream(&pair);
    drop(recv);
    let _told = send.stopped().unwrap();
    assert_eq!(send.pour(b"x").unwrap_err().kind(), std::io::ErrorKind::BrokenPipe);
}
