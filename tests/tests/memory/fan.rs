//! What a relay's heap grows by while it sends one stream to a hundred others.

use std::collections::VecDeque;
use std::time::Duration;

use aqueduct_core::config::EndpointConfig;
use aqueduct_core::connection::EventKind;
use aqueduct_core::crypto::identity::NodeKey;
use aqueduct_core::endpoint::{
    CarrierKind, ConnectionHandle, Datagram, Endpoint, Leg, Output, PeerAddr, StreamAddr,
};
use aqueduct_core::pipe::{LegPolicy, PipeOptions};
use aqueduct_core::rng::Seed;
use aqueduct_core::stream::{OpenOptions, StreamProtocol};
use aqueduct_core::time::Instant;
use aqueduct_core::wire::id::{Dir, StreamId};
use aqueduct_tests::net::UDP;
use bytes::Bytes;

use super::{ALONE, live};

const SIZE: u64 = 3 << 19;
/// Bytes that the source has for each millisecond.
const RATE: u64 = 2_000;
/// How far a leg may be behind.
const ALLOWANCE: u64 = 256 * 1024;
/// What flows while a leg is judged, and is on its way to the fastest.
const UNDER_WAY: u64 = 128 * 1024;
/// A leg's stream, what is known of its packets, and references to bytes.
const A_LEG: u64 = 8 * 1024;

const SOURCE: usize = 0;
const RELAY: usize = 1;

/// Who sends a datagram to whom, and in pieces of which size.
struct Sent {
    from: usize,
    to: usize,
    segment: Option<usize>,
    bytes: Vec<u8>,
}

/// A source, a relay whose heap is watched, and who gets it, of whom the last read nothing.
struct Fan {
    ends: Vec<Endpoint>,
    slow: usize,
    now: Instant,
    sent: VecDeque<Sent>,
    buf: Vec<u8>,
    /// What the relay has allocated since it was watched, and the most of it.
    heap: i64,
    peak: i64,
    to_relay: Option<ConnectionHandle>,
    out: Option<(ConnectionHandle, StreamId)>,
    left: u64,
    /// The relay's connections to the sinks.
    ways: Vec<ConnectionHandle>,
    most_held: u64,
    read: Vec<u64>,
    connected: usize,
}

fn place(end: usize) -> ([u8; 4], u16) {
    ([10, 0, 0, end as u8], 7)
}

impl Fan {
    fn new(fast: usize, slow: usize) -> Self {
        let now = Instant::from_nanos(1);
        let count = 2 + fast + slow;
        let ends = (0..count).map(|end| {
            let config = EndpointConfig::new(NodeKey::from_seed(&[end as u8 + 1; 32]));
            let mut endpoint = Endpoint::new(config, Seed::from_u64(end as u64));
            let kind = CarrierKind::Udp { max_segments: 16, max_datagram: 65_507 };
            endpoint.carrier_opened(UDP, kind, now);
            endpoint
        });
        let mut fan = Self {
            ends: ends.collect(),
            slow: count - slow,
            now,
            sent: VecDeque::new(),
            buf: Vec::with_capacity(1 << 17),
            heap: 0,
            peak: 0,
            to_relay: None,
            out: None,
            left: 0,
            ways: Vec::new(),
            most_held: 0,
            read: vec![0; count],
            connected: 0,
        };
        fan.to_relay = Some(fan.dial(SOURCE, RELAY));
        fan.ways = (2..count).map(|sink| fan.dial(RELAY, sink)).collect();
        fan.run(|fan| fan.connected == 2 * (count - 1));
        (0..1000).for_each(|_| fan.turn());
        fan
    }

    fn dial(&mut self, from: usize, to: usize) -> ConnectionHandle {
        let to = PeerAddr::new(self.ends[to].node_id(), place(to).into());
        self.ends[from].connect(to, self.now).expect("room")
    }

    /// Does something to an end; what the relay allocates in it is counted.
    fn with<T>(&mut self, end: usize, act: impl FnOnce(&mut Endpoint) -> T) -> T {
        let before = live();
        let outcome = act(&mut self.ends[end]);
        if end == RELAY {
            self.heap += live() - before;
            self.peak = self.peak.max(self.heap);
        }
        outcome
    }

    fn run(&mut self, mut done: impl FnMut(&Self) -> bool) {
        for _ in 0..20_000 {
            if done(self) {
                return;
            }
            self.turn();
        }
        panic!("it took too long: {:?} were read", self.read);
    }

    /// What was sent arrives, everybody has a turn, and a millisecond passes.
    fn turn(&mut self) {
        self.write();
        let now = self.now;
        for mut sent in std::mem::take(&mut self.sent) {
            self.with(sent.to, |endpoint| {
                let (remote, segment) = (place(sent.from).into(), sent.segment);
                let (carrier, bytes) = (UDP, sent.bytes.as_mut_slice());
                let (local, ecn) = (None, None);
                let datagram = Datagram { carrier, remote, local, ecn, segment, bytes };
                endpoint.handle_datagram(datagram, now);
            });
        }
        let mut buf = std::mem::take(&mut self.buf);
        for end in 0..self.ends.len() {
            loop {
                match self.with(end, |endpoint| endpoint.poll(&mut buf, now)) {
                    Output::Transmit(sent) => {
                        let to = (0..self.ends.len()).find(|to| sent.remote == place(*to).into());
                        let (to, segment) = (to.expect("one of us"), sent.segment);
                        self.sent.push_back(Sent { from: end, to, segment, bytes: buf.clone() });
                    }
                    Output::Incoming(incoming) => {
                        _ = self.with(end, |endpoint| endpoint.accept(incoming, now));
                    }
                    Output::Pipe(_) => {}
                    Output::Event(event) => self.on_event(end, event.connection, &event.kind),
                    Output::Wait(_) => break,
                }
            }
        }
        self.buf = buf;
        let held = self.ends[RELAY].stats().pipe_bytes;
        self.most_held = self.most_held.max(held);
        self.now = now + Duration::from_millis(1);
    }

    fn on_event(&mut self, end: usize, connection: ConnectionHandle, kind: &EventKind) {
        match kind {
            EventKind::Connected => self.connected += 1,
            EventKind::StreamAvailable if end == RELAY => {
                let ways = std::mem::take(&mut self.ways);
                self.with(RELAY, |endpoint| pipe(endpoint, connection, &ways));
            }
            EventKind::StreamAvailable => {
                let mut view = self.ends[end].connection(connection).expect("it lives");
                let stream = view.accept().expect("a stream");
                drop(view);
                self.read(end, connection, stream);
            }
            EventKind::Readable(stream) => self.read(end, connection, *stream),
            _ => {}
        }
    }

    fn read(&mut self, end: usize, connection: ConnectionHandle, stream: StreamId) {
        if end >= self.slow {
            return;
        }
        let mut view = self.ends[end].connection(connection).expect("it lives");
        let Some(mut stream) = view.recv(stream) else { return };
        while let Ok(Some(chunk)) = stream.read_chunk(usize::MAX) {
            self.read[end] += chunk.data.len() as u64;
            stream.release(chunk.data.len() as u64);
        }
    }

    fn send(&mut self) {
        let connection = self.to_relay.expect("it was dialled");
        let mut view = self.ends[SOURCE].connection(connection).expect("it lives");
        let options = OpenOptions::new(StreamProtocol::name("bulk"));
        self.out = Some((connection, view.open(Dir::Uni, options).expect("a stream")));
        self.left = SIZE;
    }

    fn write(&mut self) {
        static TEXT: [u8; RATE as usize] = [7; RATE as usize];
        let Some((connection, stream)) = self.out.filter(|_| self.left > 0) else { return };
        let mut view = self.ends[SOURCE].connection(connection).expect("it lives");
        let mut stream = view.send(stream).expect("it lives");
        let part = Bytes::from_static(&TEXT).slice(..self.left.min(RATE) as usize);
        self.left -= stream.write(part).unwrap_or(0) as u64;
        if self.left == 0 {
            stream.finish().expect("open");
        }
    }
}

/// The relay sends to everybody what comes.
fn pipe(endpoint: &mut Endpoint, connection: ConnectionHandle, ways: &[ConnectionHandle]) {
    let mut view = endpoint.connection(connection).expect("it spoke");
    let stream = view.accept().expect("a stream");
    let options = view.stream_info(stream).and_then(|info| info.forwarded()).expect("a hop");
    drop(view);
    let legs = ways.iter().map(|way| {
        let mut view = endpoint.connection(*way).expect("a live connection");
        let stream = view.open(Dir::Uni, options.clone()).expect("a stream");
        Leg::Stream(StreamAddr { connection: *way, stream })
    });
    let legs: Vec<_> = legs.collect();
    let policy = LegPolicy::Detach { allowance: ALLOWANCE };
    let options = PipeOptions { policy, ..PipeOptions::default() };
    endpoint.pipe(StreamAddr { connection, stream }, &legs, options).expect("a pipe");
}

/// All that is allocated counts, in the pipe or elsewhere in the relay: the widest lag that is
/// allowed, once, and a fixed amount for each leg.
///
/// spec: R-PIPE-2 R-PIPE-9 R-PIPE-28
#[test]
fn a_hundred_legs_hold_the_widest_lag_once() {
    let _alone = ALONE.lock();
    let (fast, slow) = (90, 10);
    let mut fan = Fan::new(fast, slow);
    (fan.heap, fan.peak) = (0, 0);
    fan.send();
    fan.run(|fan| fan.read[2..2 + fast].iter().all(|read| *read == SIZE));
    let legs = (fast + slow) as u64;
    println!(
        "{legs} legs: {} KiB held at the most, {} KiB of heap",
        fan.most_held >> 10,
        fan.peak >> 10
    );
    assert!(fan.most_held > ALLOWANCE, "nobody fell behind: {}", fan.most_held);
    assert!(fan.most_held <= ALLOWANCE + UNDER_WAY, "{} held", fan.most_held);
    let bound = ALLOWANCE + UNDER_WAY + legs * A_LEG;
    assert!(fan.peak <= bound as i64, "{} bytes, bound {bound}", fan.peak);
}
