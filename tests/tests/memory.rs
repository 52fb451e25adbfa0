//! Memory and allocations, counted by the allocator itself: a binary of its own, because everything in
//! the process is counted.

use std::alloc::System;
use std::sync::Mutex;
use std::time::Duration;

use aqueduct_core::config::{EndpointConfig, TransportConfig};
use aqueduct_core::crypto::handshake::Initiator;
use aqueduct_core::crypto::identity::NodeKey;
use aqueduct_core::endpoint::{
    CarrierKind, ConnectionHandle, Datagram, Endpoint, EventKind, Output, PeerAddr,
};
use aqueduct_core::rng::{Rng, Seed};
use aqueduct_core::stream::{OpenOptions, StreamProtocol};
use aqueduct_core::time::Instant;
use aqueduct_core::wire::frame::{Frame, StreamFrame};
use aqueduct_core::wire::id::{ConnectionId, Dir, StreamId};
use aqueduct_core::wire::open::{OpenFrame, Protocol};
use aqueduct_core::wire::params::Params;
use aqueduct_tests::byzantine::{Duel, Role, byzantine_config, honest, numbers};
use aqueduct_tests::mob::{Mob, Rioter};
use aqueduct_tests::net::UDP;
use bytes::Bytes;
use stats_alloc::{INSTRUMENTED_SYSTEM, StatsAlloc};

#[path = "memory/fan.rs"]
mod fan;
#[path = "memory/handshakes.rs"]
mod handshakes;

#[global_allocator]
static ALLOCATOR: &StatsAlloc<System> = &INSTRUMENTED_SYSTEM;

/// One test at a time: the counters are the process's.
static ALONE: Mutex<()> = Mutex::new(());

/// Bytes that are allocated now.
fn live() -> i64 {
    let stats = ALLOCATOR.stats();
    stats.bytes_allocated as i64 - stats.bytes_deallocated as i64
}

/// Times that memory was asked for, so far.
fn requests() -> usize {
    let stats = ALLOCATOR.stats();
    stats.allocations + stats.reallocations
}

const BUDGET: u64 = 2 * 1024 * 1024;
const CONNECTIONS: u64 = 8;
/// Spec R-FLOW-3: a connection's record, and a stream's.
const C: u64 = 64 * 1024;
const S: u64 = 4 * 1024;

fn small() -> EndpointConfig {
    honest().with_memory(BUDGET, CONNECTIONS as u32).expect("a lawful budget")
}

/// A duel whose honest end's memory is watched.
struct Watched {
    duel: Duel,
    before: i64,
    peak: i64,
    streams: usize,
    allowed: [u64; 2],
}

impl Watched {
    fn new() -> Self {
        Self::of(&Params::default())
    }

    /// The attacker announces `params`.
    fn of(params: &Params) -> Self {
        let mut duel = Duel::with(small(), Role::Dials, params);
        duel.last_heard();
        duel.events = Vec::new();
        duel.blind = true;
        let allowed = [duel.allowed().max_streams_bidi, duel.allowed().max_streams_uni];
        Self { duel, before: live(), peak: 0, streams: 0, allowed }
    }

    /// Says it, listens, answers; and looks at the memory.
    fn say(&mut self, plaintext: &[u8], acks: bool) {
        self.duel.say_raw(plaintext);
        self.look();
        self.duel.pass(Duration::from_micros(100));
        for heard in self.duel.last_heard() {
            for frame in heard.frames() {
                if let Frame::MaxStreams { dir, limit } = frame {
                    let allowed = &mut self.allowed[dir as usize];
                    *allowed = limit.max(*allowed);
                }
            }
        }
        if acks {
            self.duel.ack();
        }
        self.duel.peer.heard = Vec::new();
        self.look();
    }

    fn look(&mut self) {
        self.peak = self.peak.max(live() - self.before);
        let handle = self.duel.handle.expect("a connection");
        if let Some(view) = self.duel.endpoint.connection(handle) {
            self.streams = self.streams.max(view.stats().streams);
        }
    }

    fn report(&self, what: &str) {
        println!("{what}: {} KiB at the most, {} streams", self.peak >> 10, self.streams);
        self.check(what);
    }

    fn check(&self, what: &str) {
        let bound = BUDGET + C + self.streams as u64 * S;
        assert!(self.peak <= bound as i64, "{what}: {} bytes, bound {bound}", self.peak);
    }

    fn stream(&self, dir: Dir, sequence: u64) -> StreamId {
        self.duel.stream(dir, sequence)
    }
}

fn opening(id: StreamId, head: &[u8]) -> Vec<u8> {
    let mut plaintext = Vec::new();
    let frame = OpenFrame { head, ..OpenFrame::new(id, Protocol::Name(&[b'n'; 64])) };
    Frame::Open(frame).encode(&mut plaintext);
    plaintext
}

fn body(id: StreamId, offset: u64, data: &[u8]) -> Vec<u8> {
    let mut plaintext = Vec::new();
    Frame::Stream(StreamFrame { id, offset, data, fin: false }).encode(&mut plaintext);
    plaintext
}

/// Heads of 900 bytes, and then every stream filled as far as credit goes; nobody reads.
fn fill(acks: bool) {
    let mut watched = Watched::new();
    for round in 0..400u64 {
        for (dir, allowed) in [(Dir::Bi, watched.allowed[0]), (Dir::Uni, watched.allowed[1])] {
            for sequence in 0..allowed {
                let id = watched.stream(dir, sequence);
                if round == 0 {
                    watched.say(&opening(id, &[9; 900]), acks);
                }
                let mut ahead = watched.duel.clone();
                ahead.say_raw(&body(id, round * 1_000, &[7; 1_000]));
                let lawful = ahead.ended().is_none() && !ahead_closed(&ahead);
                drop(ahead);
                if lawful {
                    watched.say(&body(id, round * 1_000, &[7; 1_000]), acks);
                }
            }
        }
        if round >= 20 {
            break;
        }
    }
    watched.report(if acks { "every stream filled" } else { "filled, no acks" });
}

/// The application reads until windows have grown, and then no more: all that was granted is filled.
fn grown() {
    let mut watched = Watched::new();
    let id = watched.stream(Dir::Uni, 0);
    watched.say(&opening(id, &[]), true);
    let handle = watched.duel.handle.expect("a connection");
    let (mut limit, mut offset) = (watched.duel.allowed().initial_max_stream_data, 0);
    for round in 0..20_000 {
        if offset + 1_100 > limit && round > 4_000 {
            break;
        }
        for _ in 0..20 {
            if offset + 1_100 <= limit {
                watched.duel.say_raw(&body(id, offset, &[7; 1_100]));
                offset += 1_100;
                watched.look();
            }
        }
        if round < 4_000 {
            let mut view = watched.duel.endpoint.connection(handle).expect("it lives");
            let mut stream = view.recv(id).expect("a stream");
            while let Ok(Some(chunk)) = stream.read_chunk(usize::MAX) {
                stream.release(chunk.data.len() as u64);
            }
        }
        watched.duel.pump();
        watched.duel.pass(Duration::from_micros(50));
        for heard in watched.duel.last_heard() {
            for frame in heard.frames() {
                if let Frame::MaxStreamData { limit: more, .. } = frame {
                    limit = limit.max(more);
                }
            }
        }
        // A round trip is twenty rounds.
        if round % 20 == 0 {
            watched.duel.ack();
        }
    }
    let view = watched.duel.endpoint.connection(handle).expect("it lives");
    let held = view.stats().bytes_held;
    drop(view);
    assert!(!ahead_closed(&watched.duel), "{:?}", watched.duel.peer.close);
    assert!(held > 48 * 1024, "the window never grew: {held} bytes held");
    let committed = watched.duel.endpoint.stats().budget_committed;
    print!("{} KiB unread, {} KiB committed, ", held >> 10, committed >> 10);
    assert!(committed <= BUDGET && watched.peak <= (committed + C + S) as i64);
    watched.report("read, then not");
}

/// With `blind` news are dropped: whether it ended is what the peer was told.
fn ahead_closed(duel: &Duel) -> bool {
    duel.peer.close.is_some()
}

/// A byte, a gap of a byte, a byte: over all streams that there may be.
fn crumbs() {
    let mut watched = Watched::new();
    let credit = watched.duel.allowed().initial_max_stream_data;
    for dir in [Dir::Bi, Dir::Uni] {
        for sequence in 0..watched.allowed[dir as usize] {
            let id = watched.stream(dir, sequence);
            watched.say(&opening(id, &[]), true);
            for crumb in (1..credit).step_by(400) {
                let last = credit.min(crumb + 400);
                let crumbs: Vec<u8> =
                    (crumb..last).step_by(2).flat_map(|at| body(id, at, b"x")).collect();
                watched.say(&crumbs, true);
            }
        }
    }
    assert!(!ahead_closed(&watched.duel), "{:?}", watched.duel.peer.close);
    watched.report("crumbs with gaps");
}

fn flood(what: &str, packets: u64, mut say: impl FnMut(&Watched, u64) -> Vec<u8>, acks: bool) {
    let mut watched = Watched::new();
    let mut said = 0;
    for round in 0..packets {
        let plaintext = say(&watched, round);
        watched.say(&plaintext, acks);
        said += 1;
        if ahead_closed(&watched.duel) {
            break;
        }
    }
    print!("{said} packets, ");
    watched.report(what);
}

/// Streams are opened and reset, read or not.
fn rapid(reads: bool) {
    let mut watched = Watched::new();
    let mut next = 0;
    for _ in 0..20_000 {
        let mut plaintext = vec![1];
        while next < watched.allowed[1] && plaintext.len() < 1_000 {
            let id = watched.stream(Dir::Uni, next);
            plaintext.extend(numbers(&[4, id.0, 0, 9, 0, 6, id.0, 0, 0, 0, 0]));
            next += 1;
        }
        watched.say(&plaintext, true);
        let handle = watched.duel.handle.expect("a connection");
        let mut view = watched.duel.endpoint.connection(handle).expect("it lives");
        while let Some(id) = reads.then(|| view.accept()).flatten() {
            if let Some(mut stream) = view.recv(id) {
                let _ = stream.read_chunk(1);
            }
        }
    }
    print!("{next} streams, ");
    watched.report(if reads { "opened and reset" } else { "opened, reset, never read" });
}

fn strangers() {
    let config = honest().with_memory(BUDGET, CONNECTIONS as u32).expect("a lawful budget");
    let mut endpoint = Endpoint::new(config, Seed::from_u64(1));
    let now = Instant::from_nanos(1_000_000_000);
    endpoint.carrier_opened(UDP, CarrierKind::Udp { max_segments: 1, max_datagram: 1_500 }, now);
    let mut rng = Rng::new(&Seed::from_u64(5));
    let mut buf = Vec::new();
    let (before, mut peak) = (live(), 0);
    for number in 0..2_000u64 {
        let peer = (number % 2 == 0).then(|| endpoint.node_id());
        let cid = ConnectionId((number + 1).to_be_bytes());
        let first = Initiator::start(&byzantine_config(), peer, cid, &Params::default(), &mut rng);
        let mut bytes = Vec::new();
        first.expect("a first packet").datagram(&mut bytes);
        let [.., a, b] = number.to_be_bytes();
        let remote = ([10, 7, a, b], 7).into();
        let bytes = bytes.as_mut_slice();
        let datagram =
            Datagram { carrier: UDP, remote, local: None, ecn: None, segment: None, bytes };
        endpoint.handle_datagram(datagram, now);
        while !matches!(endpoint.poll(&mut buf, now), Output::Wait(_)) {}
        peak = peak.max(live() - before);
    }
    println!("2,000 strangers: {} KiB at the most; {:?}", peak >> 10, endpoint.stats());
    assert!(peak <= (BUDGET + CONNECTIONS * C) as i64, "{peak}");
}

/// spec: R-FLOW-3, R-LIM-2
#[test]
fn memory_held_stays_within_the_bound() {
    let _alone = ALONE.lock();
    fill(true);
    fill(false);
    crumbs();
    grown();
    rapid(true);
    rapid(false);
    let datagrams = |len: usize| {
        let data = vec![7; len];
        let many = (1_100 / (len + 3)).clamp(1, 300);
        let mut plaintext = Vec::new();
        (0..many).for_each(|_| Frame::Datagram { data: &data }.encode(&mut plaintext));
        move |_: &Watched, _: u64| plaintext.clone()
    };
    flood("empty datagrams", 3_000, datagrams(0), true);
    flood("datagrams", 3_000, datagrams(1_100), true);
    let challenge =
        |_: &Watched, round: u64| [numbers(&[0x1e]), round.to_be_bytes().to_vec()].concat();
    flood("challenges", 20_000, challenge, true);
    flood("challenges, no acks", 20_000, challenge, false);
    let messages = |watched: &Watched, round: u64| {
        let id = watched.stream(Dir::Uni, round % watched.allowed[1]);
        [numbers(&[4, id.0, 2, 1, 16 << 20, 0]), body(id, 0, b"x")].concat()
    };
    flood("messages that never come", 20_000, messages, true);
    let controls = |watched: &Watched, round: u64| {
        let id = watched.stream(Dir::Bi, round % watched.allowed[0]).0;
        numbers(&[
            0x17,
            id,
            16_384,
            7,
            id,
            7,
            0,
            0x11,
            id,
            round,
            0x14,
            0,
            round,
            0x14,
            id + 3,
            round,
            0x16,
            round,
            0x18,
            round,
            0x19,
            round,
            1,
        ])
    };
    flood("controls", 20_000, controls, true);
    flood("controls, no acks", 20_000, controls, false);
    flood("retired ids", 20_000, |_, round| numbers(&[0x1d, round]), true);
    flood(
        "observed addresses",
        10_000,
        |_, round| {
            let [.., a, b, c] = round.to_be_bytes();
            [numbers(&[0x20, round]), vec![4, 10, a, b, c, 0, 1]].concat()
        },
        true,
    );
    numbers_with_gaps();
    edges();
    strangers();
}

/// What one of the crowd says in a round.
type Attack = Box<dyn FnMut(&mut Rioter, u64) -> Vec<u8>>;

/// Heads, and bodies as far as credit goes.
fn filling() -> Attack {
    let mut ends = std::collections::BTreeMap::new();
    Box::new(move |rioter, round| {
        if round == 0 {
            ends.clear();
        }
        let dir = if round % 2 == 0 { Dir::Bi } else { Dir::Uni };
        let id = rioter.stream(dir, (round / 2) % rioter.allowed[dir as usize]);
        let Some(end) = ends.get_mut(&id) else {
            ends.insert(id, 0);
            return opening(id, &[9; 900]);
        };
        if *end + 1_000 > rioter.credit(id) {
            return vec![1];
        }
        *end += 1_000;
        body(id, *end - 1_000, &[7; 1_000])
    })
}

/// Single bytes with gaps of one.
fn crumbling() -> Attack {
    Box::new(|rioter, round| {
        let id = rioter.stream(Dir::Uni, round % rioter.allowed[1]);
        let first = round / rioter.allowed[1] * 400 + 1;
        let last = rioter.credit(id).min(first + 400);
        let mut crumbs = opening(id, &[]);
        crumbs.extend((first..last).step_by(2).flat_map(|at| body(id, at, b"x")));
        crumbs
    })
}

fn saying(mut frames: impl FnMut(&Rioter, u64) -> Vec<u8> + 'static) -> Attack {
    Box::new(move |rioter, round| frames(rioter, round))
}

fn datagrams_of(len: usize) -> Attack {
    let data = vec![7; len];
    let mut plaintext = Vec::new();
    let many = (1_100 / (len + 3)).clamp(1, 300);
    (0..many).for_each(|_| Frame::Datagram { data: &data }.encode(&mut plaintext));
    saying(move |_, _| plaintext.clone())
}

fn attacks() -> Vec<Attack> {
    vec![
        filling(),
        filling(),
        crumbling(),
        datagrams_of(0),
        datagrams_of(1_100),
        saying(|_, round| [numbers(&[0x1e]), round.to_be_bytes().to_vec()].concat()),
        saying(|rioter, round| {
            let id = rioter.stream(Dir::Uni, round % rioter.allowed[1]);
            [numbers(&[4, id.0, 2, 1, 16 << 20, 0]), body(id, 0, b"x")].concat()
        }),
        saying(|rioter, round| {
            let id = rioter.stream(Dir::Bi, round % rioter.allowed[0]).0;
            numbers(&[0x17, id, 16_384, 7, id, 7, 0, 0x14, 0, round, 0x16, round, 0x18, round, 1])
        }),
        saying(|_, round| numbers(&[0x1d, round])),
        saying(|_, round| {
            let [.., a, b, c] = round.to_be_bytes();
            [numbers(&[0x20, round]), vec![4, 10, a, b, c, 0, 1]].concat()
        }),
        Box::new(|rioter, _| {
            rioter.peer.as_mut().expect("a connection").number += 1;
            vec![1]
        }),
        // Opened and reset, as fast as it is allowed.
        saying({
            let mut next = 0;
            move |rioter, round| {
                next = if round == 0 { 0 } else { next };
                let mut plaintext = vec![1];
                while next < rioter.allowed[1] && plaintext.len() < 1_000 {
                    let id = rioter.stream(Dir::Uni, next);
                    plaintext.extend(numbers(&[4, id.0, 0, 9, 0, 6, id.0, 0, 0, 0, 0]));
                    next += 1;
                }
                plaintext
            }
        }),
        // Somewhere else with every packet.
        Box::new(|rioter, round| {
            rioter.from.set_port(1_000 + (round % 50_000) as u16);
            vec![1]
        }),
    ]
}

/// A stranger's first packet, from an address of its own.
fn stranger(mob: &mut Mob, rng: &mut Rng, number: u64) {
    let cid = ConnectionId((number + 1).to_be_bytes());
    let peer = number.is_multiple_of(2).then(|| mob.endpoint.node_id());
    let first = Initiator::start(&byzantine_config(), peer, cid, &Params::default(), rng);
    let mut bytes = Vec::new();
    first.expect("a first packet").datagram(&mut bytes);
    let [.., a, b] = number.to_be_bytes();
    mob.feed(([10, 7, a, b], 7).into(), &mut bytes);
    mob.pump();
}

/// All of them at once before one endpoint. Whoever is thrown out comes again.
///
/// spec: R-FLOW-3, R-LIM-2
#[test]
fn memory_held_stays_within_the_bound_before_a_crowd() {
    let _alone = ALONE.lock();
    let mut attacks = attacks();
    let count = attacks.len();
    let places = count as u32 + 3;
    let config = honest().with_memory(BUDGET, places).expect("a lawful budget");
    let mut mob = Mob::new(config, count as u8);
    let mut rng = Rng::new(&Seed::from_u64(5));
    let mut rounds = vec![0; count];
    let (mut joined, mut peak, mut closest) = (0, 0, i64::MAX);
    let before = live();
    for turn in 0..6_000_u64 {
        for index in 0..count {
            if mob.rioters[index].peer.is_none() {
                if turn % 50 == 0 && mob.join(index) {
                    rounds[index] = 0;
                    joined += 1;
                }
                continue;
            }
            let plaintext = attacks[index](&mut mob.rioters[index], rounds[index]);
            rounds[index] += 1;
            mob.say(index, &plaintext);
            if turn % 3 == 0 {
                mob.ack(index);
            }
        }
        if turn % 10 == 0 {
            stranger(&mut mob, &mut rng, turn);
        }
        mob.pass(Duration::from_micros(500));
        let stats = mob.endpoint.stats();
        let handles: Vec<_> = mob.rioters.iter().filter_map(|rioter| rioter.handle).collect();
        let streams: usize = handles
            .into_iter()
            .filter_map(|handle| Some(mob.endpoint.connection(handle)?.stats().streams))
            .sum();
        let connections = u64::from(stats.connections + stats.half_open);
        let bound = (BUDGET + connections * C + streams as u64 * S) as i64;
        let held = live() - before;
        (peak, closest) = (peak.max(held), closest.min(bound - held));
        assert!(held <= bound, "{held} bytes held, bound {bound}, turn {turn}, {stats:?}");
    }
    println!(
        "{count} attackers, {joined} connections: {} KiB at the most, {} KiB below the bound; {:?}",
        peak >> 10,
        closest >> 10,
        mob.endpoint.stats()
    );
    println!("{:?}", mob.ends);
    assert!(joined > count && peak > 200_000, "nothing happened");
}

/// Every kind of frame with every number at an edge, by peers whose parameters are at theirs. When
/// that ends a connection, the next one begins.
fn edges() {
    const MAX: u64 = (1 << 62) - 1;
    let mut most = Params::default();
    (most.initial_max_data, most.initial_max_stream_data) = (MAX, MAX);
    (most.max_streams_bidi, most.max_streams_uni) = (1 << 60, 1 << 60);
    (most.idle_timeout_ms, most.max_ack_delay_us) = (86_400_000, 1_000_000);
    (most.max_datagram_frame, most.max_packet_size) = (65_527, 65_527);
    (most.active_cid_limit, most.max_message_size) = (8, MAX);
    let edges = [0, 1, 16_383, 1 << 60, MAX];
    for params in [Params::default(), most] {
        let (mut peak, mut ends) = (0, 0);
        for kind in 0..=0x40 {
            let mut watched = Watched::of(&params);
            for (first, second) in edges.iter().flat_map(|first| edges.map(|other| (*first, other)))
            {
                for third in [0, 5, MAX] {
                    let plaintext = numbers(&[kind, first, second, third, 0, 1, 0, 2, 0]);
                    watched.say(&plaintext, true);
                    watched.check("numbers at their edges");
                    peak = peak.max(watched.peak);
                    if ahead_closed(&watched.duel) {
                        ends += 1;
                        // Gone before the next one begins to count.
                        drop(watched);
                        watched = Watched::of(&params);
                    }
                }
            }
        }
        println!("numbers at their edges: {} KiB at the most, {ends} ends", peak >> 10);
        assert!(ends > 1_000, "too little was refused");
    }
}

/// Every second packet number, with and without acknowledging what is said of them.
fn numbers_with_gaps() {
    for acks in [true, false] {
        let mut watched = Watched::new();
        for _ in 0..20_000 {
            watched.duel.peer.number += 1;
            watched.say(&[1], acks);
        }
        watched.report("every second number");
    }
}

/// Two endpoints in one hand, and nothing between them.
struct Pair {
    ends: [Endpoint; 2],
    now: Instant,
    stream: Option<(ConnectionHandle, StreamId)>,
    left: usize,
    block: Bytes,
    read: usize,
    datagrams: usize,
    buf: Vec<u8>,
    /// The connection at the end that answered.
    far: Option<ConnectionHandle>,
}

const PLACES: [([u8; 4], u16); 2] = [([10, 0, 0, 1], 1), ([10, 0, 0, 2], 2)];

impl Pair {
    fn new(len: usize) -> Self {
        Self::with(len, &TransportConfig::default(), 256 << 20)
    }

    fn with(len: usize, transport: &TransportConfig, memory: u64) -> Self {
        let now = Instant::from_nanos(1);
        let ends = [1, 2].map(|number: u8| {
            let config = EndpointConfig::new(NodeKey::from_seed(&[number; 32]))
                .with_transport(transport.clone())
                .with_memory(memory, 64)
                .expect("a lawful budget");
            let mut endpoint = Endpoint::new(config, Seed::from_u64(number.into()));
            let kind = CarrierKind::Udp { max_segments: 16, max_datagram: 65_507 };
            endpoint.carrier_opened(UDP, kind, now);
            endpoint
        });
        let block = Bytes::from(vec![7; 1 << 18]);
        let (read, datagrams, buf) = (0, 0, Vec::with_capacity(1 << 17));
        Self { ends, now, stream: None, left: len, block, read, datagrams, buf, far: None }
    }

    fn write(&mut self) {
        let Some((handle, id)) = self.stream else { return };
        let mut view = self.ends[0].connection(handle).expect("it lives");
        let Some(mut stream) = view.send(id) else { return };
        while self.left > 0 {
            let part = self.block.slice(..self.left.min(self.block.len()));
            match stream.write(part) {
                Ok(0) | Err(_) => return,
                Ok(taken) => self.left -= taken,
            }
        }
    }

    fn read(&mut self, handle: ConnectionHandle, id: StreamId) {
        let mut view = self.ends[1].connection(handle).expect("it lives");
        let Some(mut stream) = view.recv(id) else { return };
        while let Ok(Some(chunk)) = stream.read_chunk(usize::MAX) {
            self.read += chunk.data.len();
            stream.release(chunk.data.len() as u64);
        }
    }

    fn on_event(&mut self, end: usize, handle: ConnectionHandle, kind: &EventKind) {
        match kind {
            EventKind::Connected if end == 0 => {
                let mut view = self.ends[0].connection(handle).expect("it lives");
                let options = OpenOptions::new(StreamProtocol::name("bulk"));
                self.stream = Some((handle, view.open(Dir::Uni, options).expect("a stream")));
                drop(view);
                self.write();
            }
            EventKind::Connected => self.far = Some(handle),
            EventKind::Writable(_) => self.write(),
            EventKind::Readable(id) => self.read(handle, *id),
            _ => {}
        }
    }

    /// One turn of each, then time passes.
    fn turn(&mut self) {
        let mut wake: Option<Instant> = None;
        let mut buf = std::mem::take(&mut self.buf);
        for end in [0, 1] {
            loop {
                match self.ends[end].poll(&mut buf, self.now) {
                    Output::Transmit(to) => {
                        self.datagrams += to.segment.map_or(1, |size| buf.len().div_ceil(size));
                        let (remote, segment) = (PLACES[end].into(), to.segment);
                        let (carrier, bytes) = (UDP, buf.as_mut_slice());
                        let (local, ecn) = (None, None);
                        let datagram = Datagram { carrier, remote, local, ecn, segment, bytes };
                        self.ends[1 - end].handle_datagram(datagram, self.now);
                    }
                    Output::Incoming(incoming) => _ = self.ends[end].accept(incoming, self.now),
                    Output::Pipe(_) => {}
                    Output::Event(event) => self.on_event(end, event.connection, &event.kind),
                    Output::Wait(until) => {
                        wake = [wake, until].into_iter().flatten().min();
                        break;
                    }
                }
            }
        }
        self.buf = buf;
        let next = self.now + Duration::from_micros(50);
        self.now = wake.map_or(next, |wake| wake.min(next).max(self.now));
    }
}

/// Allocations that a datagram of a bulk transfer costs, both ends together.
#[test]
fn allocations_of_a_bulk_transfer() {
    let _alone = ALONE.lock();
    let len = 32 << 20;
    let mut pair = Pair::new(len);
    let to = PeerAddr::new(pair.ends[1].node_id(), PLACES[1].into());
    pair.ends[0].connect(to, pair.now).expect("room");
    while pair.read < len / 4 {
        pair.turn();
    }
    let (requests_before, datagrams_before) = (requests(), pair.datagrams);
    while pair.read < len {
        pair.turn();
    }
    let (made, datagrams) = (requests() - requests_before, pair.datagrams - datagrams_before);
    let each = made as f64 / datagrams as f64;
    println!("{made} allocations for {datagrams} datagrams: {each:.3} each");
    assert!(each <= 0.2, "{each:.3} allocations a datagram");
}

/// A pair whose far end gives up what stands still for ten seconds.
fn watched_pair() -> Pair {
    let transport = TransportConfig::default()
        .with_max_streams(20_000, 20_000)
        .expect("a lawful number")
        .with_stream_timeout(Some(Duration::from_secs(10)));
    // Each stream has its credit, and the connection no more than half of the pool.
    let mut pair = Pair::with(0, &transport, 1 << 30);
    let to = PeerAddr::new(pair.ends[1].node_id(), PLACES[1].into());
    pair.ends[0].connect(to, pair.now).expect("room");
    while pair.far.is_none() {
        pair.turn();
    }
    pair.wait(15);
    pair
}

impl Pair {
    fn wait(&mut self, seconds: u64) {
        for _ in 0..seconds {
            self.now = self.now + Duration::from_secs(1);
            (0..200).for_each(|_| self.turn());
        }
    }

    /// Streams and bytes held at the far end.
    fn far(&mut self) -> (usize, u64) {
        let handle = self.far.expect("a connection");
        let stats = self.ends[1].connection(handle).expect("it lives").stats();
        (stats.streams, stats.bytes_held)
    }

    /// Opens `count` streams, writes a fragment behind a gap to each, and leaves them.
    fn leave(&mut self, count: usize, options: &OpenOptions, fragment: &Bytes) {
        let (handle, _) = self.stream.expect("a connection");
        let (mut opened, before) = (0, self.far().0);
        while opened < count {
            let mut view = self.ends[0].connection(handle).expect("it lives");
            while opened < count
                && let Ok(id) = view.open(Dir::Uni, options.clone())
            {
                let mut stream = view.send(id).expect("a stream");
                stream.write_at(1000, fragment.clone()).expect("room");
                opened += 1;
            }
            drop(view);
            self.turn();
        }
        // Until all of them are there, with their bytes.
        let mut turns = 0;
        while self.far().0 < before + count && turns < 200_000 {
            self.turn();
            turns += 1;
        }
        (0..2000).for_each(|_| self.turn());
    }
}

/// Streams of a peer that opened them, sent one fragment of each, and forgot them.
///
/// spec: R-STR-43
#[test]
fn ten_thousand_streams_that_were_left_cost_nothing_after_the_time_out() {
    let _alone = ALONE.lock();
    let mut pair = watched_pair();
    let (options, fragment) =
        (OpenOptions::new(StreamProtocol::name("left")), Bytes::from(vec![7; 1000]));
    let mut left = Vec::new();
    for round in 0..4 {
        let (before, at_far) = (live(), pair.far());
        pair.leave(10_000, &options, &fragment);
        let (peak, full) = (live() - before, pair.far());
        assert_eq!(full.0, at_far.0 + 10_000);
        pair.wait(15);
        let after = live() - before;
        println!(
            "round {round}: {} KiB with 10,000 streams, {} KiB after the time-out; held {} and {}",
            peak >> 10,
            after >> 10,
            full.1,
            pair.far().1,
        );
        assert_eq!(pair.far(), at_far, "streams and bytes held");
        assert!(peak > 10_000 * 1000, "nothing was there to begin with");
        // Lists keep the places that they have grown to; what leaks does so in every round.
        assert!(after < 3 << 20, "{after} bytes are left");
        left.push(after);
    }
    assert!(left.iter().any(|left| *left < 64 << 10), "{left:?} bytes are left");
}

/// spec: R-STR-3
#[test]
fn a_declared_length_allocates_nothing() {
    let _alone = ALONE.lock();
    let fragment = Bytes::from_static(b"x");
    let mut costs = Vec::new();
    for size in [None, Some((1 << 62) - 1)] {
        let mut pair = watched_pair();
        let mut options = OpenOptions::new(StreamProtocol::name("huge"));
        (options.size, options.end) = (size, size);
        let before = live();
        pair.leave(1000, &options, &fragment);
        costs.push(live() - before);
        assert!(pair.far().0 >= 1000);
    }
    println!("1,000 streams cost {costs:?} bytes without and with a length of 2^62 - 1");
    assert!((costs[1] - costs[0]).abs() < 64 << 10, "{costs:?}");
}
