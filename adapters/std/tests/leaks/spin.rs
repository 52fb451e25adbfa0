//! Random calls from several threads over a socket that loses datagrams.

use std::net::SocketAddr;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Mutex, PoisonError};
use std::thread;
use std::time::{Duration, Instant};

use aqueduct_std::{
    AppCode, Carriers, Config, Connection, Endpoint, Incoming, LossyIo, NodeId, TransportConfig,
    generate_key,
};

use crate::calls::{CALLS, Caller, respond, take_datagrams, take_messages};
use crate::{Dice, PATIENCE, comes_back, held, number};

/// Threads that call, and how many of them share a connection.
const CALLERS: usize = 4;
const SHARE: usize = 2;

/// Loses one datagram of twenty that it sends, and sends no other way.
fn lossy(seed: u64) -> Endpoint {
    let endpoint = aqueduct_std::EndpointConfig::new(generate_key().unwrap()).with_transport(
        TransportConfig::default().with_idle_timeout(Duration::from_secs(5)).unwrap(),
    );
    let config = Config::from(endpoint).with_carriers(Carriers::udp());
    let config = config.with_socket_io(move |io| LossyIo::new(io, 50_000, seed));
    Endpoint::bind("127.0.0.1:0".parse().unwrap(), config).unwrap().with_timeout(PATIENCE)
}

/// A connection that threads share; the first to find that it is over dials again.
#[derive(Default)]
struct Shared(Mutex<Option<Connection>>);

impl Shared {
    fn get(&self, client: &Endpoint, to: (NodeId, SocketAddr)) -> Option<Connection> {
        let mut place = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if place.as_ref().is_none_or(|connection| connection.close_reason().is_some()) {
            *place = client.connect(to).ok();
        }
        place.clone()
    }
}

/// How often each call was made, and how long the slowest took.
#[derive(Default)]
struct Tally {
    made: [AtomicU64; CALLS.len()],
    slowest: Mutex<(Duration, &'static str)>,
}

impl Tally {
    fn sum(&self) -> u64 {
        self.made.iter().map(|count| count.load(Ordering::Relaxed)).sum()
    }

    fn note(&self, pick: usize, took: Duration) {
        self.made[pick].fetch_add(1, Ordering::Relaxed);
        let mut slowest = self.slowest.lock().unwrap_or_else(PoisonError::into_inner);
        *slowest = (*slowest).max((took, CALLS[pick].0));
    }

    fn slowest(&self) -> (Duration, &'static str) {
        *self.slowest.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn rarest(&self) -> (&'static str, u64) {
        let counts = CALLS.iter().zip(&self.made);
        let counts = counts.map(|((name, _), count)| (*name, count.load(Ordering::Relaxed)));
        counts.min_by_key(|(_, count)| *count).expect("some calls")
    }
}

fn answer(incoming: Incoming, number: u64) {
    let Ok(connection) = incoming.accept() else { return };
    thread::scope(|scope| {
        scope.spawn(|| take_messages(&connection));
        scope.spawn(|| take_datagrams(&connection));
        respond(&connection, Dice(number * 77 + 1));
    });
}

fn call_at_random(
    client: &Endpoint,
    shared: &Shared,
    to: (NodeId, SocketAddr),
    mut dice: Dice,
    until: Instant,
    tally: &Tally,
) {
    // A machine that is busy with others has made each call later.
    while Instant::now() < until || tally.rarest().1 == 0 {
        let Some(connection) = shared.get(client, to) else { continue };
        let pick = dice.below(CALLS.len() as u64) as usize;
        let ((_, call), began) = (CALLS[pick], Instant::now());
        call(&mut Caller { endpoint: client, connection: &connection, dice: &mut dice });
        tally.note(pick, began.elapsed());
    }
}

/// Four threads call at random, two by two over one connection, over a socket that loses 5 % each
/// way.
pub(crate) fn random_calls() {
    let seconds = number("AQUEDUCT_SECONDS", 3);
    let before = held();
    let (tally, shared) = (Tally::default(), [const { Shared(Mutex::new(None)) }; CALLERS / SHARE]);
    let (client, server) = (lossy(1), lossy(2));
    let to = (server.node_id(), server.local_addr());
    let until = Instant::now() + Duration::from_secs(seconds);
    thread::scope(|scope| {
        let answering = server.clone();
        scope.spawn(move || {
            thread::scope(|scope| {
                for (number, incoming) in answering.incoming().enumerate() {
                    scope.spawn(move || answer(incoming, number as u64));
                }
            });
        });
        thread::scope(|scope| {
            for number in 0..CALLERS {
                let (client, shared, tally) = (&client, &shared[number / SHARE], &tally);
                let dice = Dice(0xace1 + number as u64);
                scope.spawn(move || call_at_random(client, shared, to, dice, until, tally));
            }
        });
        client.shutdown(AppCode(0), b"", PATIENCE);
        server.shutdown(AppCode(0), b"", PATIENCE);
    });
    let (rarest, (slowest, name)) = (tally.rarest(), tally.slowest());
    println!("{} calls in {seconds} s, of each {} at least ({})", tally.sum(), rarest.1, rarest.0);
    println!("the slowest took {slowest:?} ({name})");
    // A connection that is over is known to be within five seconds: who waited for as long as its
    // handle's patience was forgotten.
    assert!(slowest < PATIENCE, "{name} hung for {slowest:?}");
    drop((shared, client, server));
    comes_back(before);
}
