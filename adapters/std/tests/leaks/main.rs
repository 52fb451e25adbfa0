//! Nothing is left: threads, descriptors and memory after random calls and after many connections.
//! A process of its own, since it counts the process's.
//!
//! `AQUEDUCT_SECONDS` says how long to call at random (3), `AQUEDUCT_CYCLES` how often to connect by
//! UDP (10,000); a quarter as often by TCP.

#![expect(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::indexing_slicing,
    reason = "a test ends by panicking"
)]
#![cfg(target_os = "linux")]

mod calls;
mod spin;

use std::fs;
use std::io::Write;
use std::net::SocketAddr;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::mpsc;
use std::thread;
use std::time::{Duration, Instant};

use aqueduct_std::{AppCode, Carriers, Config, Connection, Endpoint, EndpointConfig, generate_key};

use calls::options;
use spin::random_calls;

/// Connections in all; those at a time, and those of each in a row before it looks whether all went.
const CYCLES: u64 = 10_000;
const AT_ONCE: u64 = 16;
const IN_A_ROW: u64 = 25;
const PATIENCE: Duration = Duration::from_secs(10);

fn number(name: &str, otherwise: u64) -> u64 {
    std::env::var(name).map_or(otherwise, |text| text.parse().expect("a number"))
}

fn count(folder: &str) -> usize {
    fs::read_dir(folder).unwrap().count()
}

/// Threads and descriptors of this process.
fn held() -> (usize, usize) {
    (count("/proc/self/task"), count("/proc/self/fd"))
}

/// Bytes of memory in use.
fn memory() -> u64 {
    let statm = fs::read_to_string("/proc/self/statm").unwrap();
    statm.split(' ').nth(1).unwrap().parse::<u64>().unwrap() * 4_096
}

/// Until it is so again; threads need a moment to go.
fn comes_back(before: (usize, usize)) {
    assert_eq!(is_held_after(before, PATIENCE), before, "threads and descriptors");
}

/// What is held when that is as before, or when it is not after so long.
fn is_held_after(before: (usize, usize), patience: Duration) -> (usize, usize) {
    let began = Instant::now();
    while held() != before && began.elapsed() < patience {
        thread::sleep(Duration::from_millis(10));
    }
    held()
}

struct Dice(u64);

impl Dice {
    fn below(&mut self, bound: u64) -> u64 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        self.0 % bound
    }
}

/// Takes what a connection carries, and waits for its end.
fn take(connection: &Connection) {
    let mut recv = connection.accept_uni().unwrap();
    assert_eq!(recv.collect_all(1_000).unwrap().len(), 1_000);
    let _over = connection.closed();
}

/// Has a connection carry a little.
fn bring(connection: &Connection) {
    let mut send = connection.open_uni(options()).unwrap();
    send.write_all(&[7; 1_000]).unwrap();
    send.delivered().unwrap();
}

/// An endpoint that sends by these carriers alone.
fn by(carriers: Carriers) -> Endpoint {
    let config = Config::from(EndpointConfig::new(generate_key().unwrap()));
    let loopback: SocketAddr = "127.0.0.1:0".parse().unwrap();
    Endpoint::bind(loopback, config.with_carriers(carriers)).unwrap().with_timeout(PATIENCE)
}

/// So many connections that carry a little and go, a few at a time: each of them waits for most of
/// its life. One by TCP has a descriptor of its own at both ends, which goes with it.
fn many_connections(cycles: u64, carriers: Carriers, name: &str) {
    let turns = cycles.div_ceil(AT_ONCE * IN_A_ROW);
    let before = held();
    let (client, server) = (by(carriers), by(carriers));
    let to = (server.node_id(), server.local_addr());
    let (mut warm, mut after) = (0, Vec::new());
    let (busy, grown, committed) = thread::scope(|scope| {
        for _ in 0..AT_ONCE {
            scope
                .spawn(|| server.incoming().for_each(|incoming| take(&incoming.accept().unwrap())));
        }
        let busy = held();
        for turn in 0..turns {
            thread::scope(|scope| {
                for _ in 0..AT_ONCE {
                    scope.spawn(|| (0..IN_A_ROW).for_each(|_| bring(&client.connect(to).unwrap())));
                }
            });
            // A connection that was closed drains for a while.
            client.wait_idle().unwrap();
            // Before what nobody has used for long is looked for (R-TCP-17).
            after.push(is_held_after(busy, Duration::from_secs(4)));
            if turn == turns / 2 {
                warm = memory();
            }
        }
        let grown = memory().saturating_sub(warm);
        client.wait_idle().unwrap();
        let committed = client.stats().unwrap().budget_committed;
        server.shutdown(AppCode(0), b"", PATIENCE);
        (busy, grown, committed)
    });
    client.shutdown(AppCode(0), b"", PATIENCE);
    drop((client, server));
    let cycles = turns * AT_ONCE * IN_A_ROW;
    println!("{cycles} by {name}; {warm} bytes after half of them, {grown} more in the end");
    // A connection is some tens of kilobytes; what threads keep for later differs by one megabyte.
    assert!(grown < 2 << 20, "memory grew by {grown} bytes");
    assert_eq!(after, vec![busy; turns as usize], "threads and descriptors after each turn");
    assert_eq!(committed, 0);
    comes_back(before);
}

/// A deadlock is a failure and not a test that never ends; a panic is one on whatever thread.
#[test]
fn nothing_is_left() {
    static PANICS: AtomicU64 = AtomicU64::new(0);
    let hook = std::panic::take_hook();
    std::panic::set_hook(Box::new(move |info| {
        PANICS.fetch_add(1, Ordering::Relaxed);
        hook(info);
    }));
    let limit = Duration::from_secs(120 + number("AQUEDUCT_SECONDS", 3))
        + Duration::from_millis(25) * number("AQUEDUCT_CYCLES", CYCLES) as u32;
    let (tell, told) = mpsc::channel();
    let running = thread::spawn(move || {
        random_calls();
        let cycles = number("AQUEDUCT_CYCLES", CYCLES);
        many_connections(cycles, Carriers::udp(), "UDP");
        many_connections(cycles / 4, Carriers::tcp(), "TCP");
        let _gone = tell.send(());
    });
    match told.recv_timeout(limit) {
        Err(mpsc::RecvTimeoutError::Timeout) => panic!("not done after {limit:?}"),
        _done => running.join().unwrap_or_else(|panic| std::panic::resume_unwind(panic)),
    }
    assert_eq!(PANICS.load(Ordering::Relaxed), 0, "a thread panicked");
}
