//! Several readers of one body, by an adapter and over real sockets.

use std::sync::atomic::{AtomicI64, Ordering};
use std::thread;

use aqueduct_std::{Endpoint, RecvStream, generate_key};

use super::*;

/// What a node may hold for all others.
const MEMORY: u64 = 4 << 20;
/// What both ends have beside that: what waits in queues, and what their threads work with.
const BESIDE: i64 = 2 << 20;

fn node() -> Endpoint {
    let config = EndpointConfig::new(generate_key().expect("randomness"));
    let config = config.with_memory(MEMORY, 16).expect("a lawful budget");
    Endpoint::bind("127.0.0.1:0".parse().expect("an address"), config).expect("a socket")
}

/// Reads to the end and compares; a slow one rests after each megabyte.
fn read(mut stream: RecvStream, body: &Bytes, slow: bool, peak: &AtomicI64) {
    let (mut at, mut rest) = (0, 0);
    while let Some(chunk) = stream.read_chunk(10_000).expect("the stream lives") {
        assert!(body[at..].starts_with(&chunk), "other bytes at {at}");
        at += chunk.len();
        peak.fetch_max(live(), Ordering::Relaxed);
        if slow && at - rest > 1 << 20 {
            rest = at;
            thread::sleep(Duration::from_millis(20));
        }
    }
    assert_eq!(at, body.len());
}

/// The most memory that a body takes which so many read at once, each second one slowly.
fn peak(body: &Bytes, readers: usize) -> i64 {
    let (source, sink) = (node(), node());
    let (id, addr) = (sink.node_id(), sink.local_addr());
    let accepting = thread::spawn({
        let sink = sink.clone();
        move || sink.accept().expect("open").expect("somebody").accept().expect("a handshake")
    });
    let near = source.connect((id, addr)).expect("a connection");
    let far = accepting.join().expect("no panic");
    let (before, most) = (live(), AtomicI64::new(0));
    let options = OpenOptions::new(StreamProtocol::name("large"));
    let mut sending = near.open_uni(options).expect("a stream");
    thread::scope(|scope| {
        scope.spawn(|| {
            for start in (0..body.len()).step_by(1 << 16) {
                let part = body.slice(start..(start + (1 << 16)).min(body.len()));
                sending.write_bytes(part).expect("it is read");
            }
            sending.delivered().expect("it is read");
        });
        let first = far.accept_uni().expect("a stream");
        for nth in 1..readers {
            let (fork, most) = (first.fork(), &most);
            scope.spawn(move || read(fork, body, nth % 2 == 1, most));
        }
        read(first, body, readers == 1, &most);
    });
    most.into_inner() - before
}

/// Lesson 52: the readers share what is held, and what is held is a window.
///
/// spec: R-HAND-3 R-HAND-7 R-FLOW-3
#[test]
fn forked_readers_of_a_large_body_take_one_window_together() {
    let _alone = ALONE.lock();
    let body = Bytes::from((0..48 << 20).map(|at| (at >> 3) as u8).collect::<Vec<u8>>());
    // What waits in queues differs with how the machine wakes threads: a body held twice shows in
    // the least of a few runs.
    let alone = (0..3).map(|_| peak(&body, 1)).max().unwrap_or_default();
    println!("a reader of {} MiB: {} KiB", body.len() >> 20, alone >> 10);
    for readers in [2, 4] {
        let peak = (0..3).map(|_| peak(&body, readers)).min().unwrap_or_default();
        println!("{readers} readers: {} KiB", peak >> 10);
        assert!(peak > 1 << 16, "nothing was held");
        assert!(peak <= MEMORY as i64 + BESIDE, "{readers} readers: {peak} bytes");
        assert!(peak * 2 <= alone * 3, "{readers} readers: {peak} bytes, one {alone}");
    }
}
