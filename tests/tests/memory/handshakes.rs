//! Handshakes with every field at its extremes: each packet is taken, refused or counted as
//! discarded, and what it leaves behind is nothing, to the byte that the allocator counts.

use aqueduct_core::endpoint::EndpointStats;
use aqueduct_core::wire::header::{LongHeader, PacketType};
use aqueduct_core::wire::hello::Hello;
use aqueduct_core::wire::id::ConnectionId;
use aqueduct_tests::byzantine::{Handshake, varint};
use aqueduct_tests::forger::{Forger, room};
use aqueduct_tests::raw::{seal_answer, seal_first};

use super::*;

const MAX: u64 = (1 << 62) - 1;
/// Bytes that the test's own machinery may take meanwhile, on a machine of many cores: 10 KiB for
/// each thread that is about to wait for its turn. A record for each packet would be more.
const NOISE: i64 = 128 * 1024;
/// A connection's floor and record: far below the budget.
const BOUND: i64 = (BUDGET / 128 + C) as i64 + NOISE;
const SCID: ConnectionId = ConnectionId(*b"stranger");

/// What became of a first packet.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Fate {
    /// There is a half-open handshake, or an offer.
    Taken,
    /// An answer, and nothing else.
    Refused,
    /// VERSION, and no work on curves.
    Versions,
    /// A counter.
    Discarded,
}
use Fate::{Discarded, Refused, Taken, Versions};

/// An endpoint to which strangers come one by one, each when the one before is forgotten.
struct Door {
    endpoint: Endpoint,
    now: Instant,
    strangers: u32,
    before: i64,
    peak: i64,
    buf: Vec<u8>,
}

impl Door {
    fn new() -> Self {
        let now = Instant::from_nanos(1_000_000_000);
        let mut endpoint = Endpoint::new(small(), Seed::from_u64(1));
        let kind = CarrierKind::Udp { max_segments: 1, max_datagram: 65_507 };
        endpoint.carrier_opened(UDP, kind, now);
        let mut door = Self {
            endpoint,
            now,
            strangers: 0,
            before: 0,
            peak: 0,
            buf: Vec::with_capacity(9_000),
        };
        // Lists keep the places that they have grown to, once.
        let first = Forger::new(1).first(&header(PacketType::I1), &door.id(), &lawful_i1());
        assert_eq!(door.knock(first), Taken, "the forger knows the protocol");
        (door.before, door.peak) = (live(), 0);
        door
    }

    fn id(&self) -> aqueduct_core::crypto::identity::NodeId {
        self.endpoint.node_id()
    }

    fn look(&mut self) {
        let held = live() - self.before;
        self.peak = self.peak.max(held);
    }

    /// All that the endpoint has to say; whoever comes is accepted. Datagrams said.
    fn drain(&mut self) -> usize {
        let mut said = 0;
        loop {
            match self.endpoint.poll(&mut self.buf, self.now) {
                Output::Transmit(_) => said += 1,
                Output::Incoming(incoming) => _ = self.endpoint.accept(incoming, self.now),
                Output::Event(_) | Output::Pipe(_) => {}
                Output::Wait(_) => return said,
            }
        }
    }

    fn discards(stats: &EndpointStats) -> u64 {
        stats.handshake_discarded + stats.malformed + stats.strays
    }

    /// A datagram from an address that was not heard of before.
    fn knock(&mut self, mut bytes: Vec<u8>) -> Fate {
        self.strangers += 1;
        let [_, a, b, c] = self.strangers.to_be_bytes();
        let (carrier, remote) = (UDP, ([10, a, b, c], 7).into());
        let (len, stats) = (bytes.len(), self.endpoint.stats());
        let bytes = bytes.as_mut_slice();
        let datagram = Datagram { carrier, remote, local: None, ecn: None, segment: None, bytes };
        self.endpoint.handle_datagram(datagram, self.now);
        self.look();
        let said = self.drain();
        self.look();
        let after = self.endpoint.stats();
        assert!(after.half_open + after.connections <= 1, "{after:?}");
        let taken = after.half_open + after.connections == 1;
        let discarded = Self::discards(&after) - Self::discards(&stats);
        let versions = after.versions - stats.versions;
        let curves = after.handshakes_opened - stats.handshakes_opened;
        let fate = match (taken, said, discarded) {
            (true, 1, 0) => Taken,
            (false, 1, 0) if (versions, curves) == (1, 0) => Versions,
            (false, 1, 0) if (versions, curves) == (0, 1) => Refused,
            (false, 0 | 1, 1) => Discarded,
            other => panic!("{len} bytes: {other:?}, {after:?}"),
        };
        // Beyond the handshake time-out, and whatever a connection takes to drain.
        for _ in 0..3 {
            self.now = self.now + Duration::from_secs(20);
            self.drain();
        }
        let stats = self.endpoint.stats();
        assert_eq!((stats.half_open, stats.connections, stats.budget_committed), (0, 0, 0));
        fate
    }

    fn report(&self, what: &str) {
        let left = live() - self.before;
        let strangers = self.strangers;
        println!(
            "{what}: {strangers} packets, {} KiB at the most, {left} bytes left",
            self.peak >> 10
        );
        assert!(self.peak <= BOUND, "{what}: {} bytes", self.peak);
        assert!(left <= NOISE, "{what}: {left} bytes are left");
    }
}

fn header(kind: PacketType) -> LongHeader {
    LongHeader::new(kind, SCID, ConnectionId::ZERO)
}

fn lawful_params() -> Vec<u8> {
    let mut params = Vec::new();
    Params::default().encode(&mut params);
    params
}

fn item(kind: u8, bytes: &[u8]) -> Vec<u8> {
    [&[kind], &(bytes.len() as u16).to_be_bytes()[..], bytes].concat()
}

/// A payload of the length that the packet has, with these bytes behind the fixed part.
fn payload(hello: &Hello<'_>, kind: PacketType, items: &[u8]) -> Vec<u8> {
    let mut bytes = Vec::new();
    assert!(hello.encode(hello.encoded_len(), &mut bytes));
    bytes.extend_from_slice(items);
    assert!(bytes.len() <= room(kind), "{} bytes", bytes.len());
    bytes.resize(room(kind), 0);
    bytes
}

fn lawful_i1() -> Vec<u8> {
    let hello = Hello::new(PacketType::I1, SCID, ConnectionId::ZERO);
    payload(&hello, PacketType::I1, &item(1, &lawful_params()))
}

/// What both kinds of first packets have: a change of the fixed part, and what is made of it.
type Change = (&'static str, fn(&mut Hello<'_>), Fate);

const FIELDS: &[Change] = &[
    ("as it should be", |_| {}, Taken),
    ("any status", |hello| hello.status = 255, Taken),
    ("no cipher", |hello| hello.ciphers = 0, Refused),
    ("unknown ciphers", |hello| hello.ciphers = 0xfc, Refused),
    ("all ciphers", |hello| hello.ciphers = 0xff, Taken),
    ("no versions", |hello| hello.versions = [0; 4], Refused),
    ("other versions", |hello| hello.versions = [u16::MAX; 4], Refused),
    ("ours and others", |hello| hello.versions = [1, u16::MAX, 0, 7], Taken),
    ("no suites", |hello| hello.suites = [0; 4], Refused),
    ("other suites", |hello| hello.suites = [u8::MAX; 4], Refused),
    ("ours and others", |hello| hello.suites = [u8::MAX, 0, 2, 1], Taken),
    ("everything can be done", |hello| hello.capabilities = u64::MAX, Taken),
    ("another's id", |hello| hello.scid = ConnectionId([0xff; 8]), Discarded),
    ("an id of ours", |hello| hello.dcid = ConnectionId([0xff; 8]), Discarded),
    ("another type", |hello| hello.kind = PacketType::X3, Discarded),
];

/// Items, as bytes, and what is made of them.
fn items() -> Vec<(&'static str, Vec<u8>, Fate)> {
    let unknown = |count: u8| (0..count).flat_map(|n| item(0x80 | n, &[])).collect::<Vec<_>>();
    vec![
        ("127 of no length", unknown(127), Taken),
        ("one that is long", item(9, &[7; 800]), Taken),
        ("one of 65,535", vec![9, 0xff, 0xff, 1, 2], Discarded),
        ("early data of no length", item(2, &[]), Taken),
        ("early data", item(2, &[1; 800]), Taken),
        ("early data twice", [item(2, &[1]), item(2, &[])].concat(), Discarded),
        ("no list of versions", item(3, &[]), Refused),
        ("a list of 400", item(3, &[0xff; 800]), Refused),
        ("a list of one and a half", item(3, &[0, 1, 0]), Discarded),
        ("padding that is none", [&[0; 100][..], &[1]].concat(), Discarded),
    ]
}

/// Encoded parameters, and whether there is a connection with them.
fn params() -> Vec<(String, Vec<u8>, bool)> {
    let lawful = lawful_params();
    let mut all = vec![
        ("none".into(), Vec::new(), false),
        ("version 0".into(), [&[0], &lawful[1..]].concat(), false),
        ("version 255".into(), [&[255], &lawful[1..]].concat(), false),
        ("32 extensions".into(), extended((0..32).map(|id| (100 + id, 0))), true),
        ("33 extensions".into(), extended((0..33).map(|id| (100 + id, 0))), false),
        ("one twice".into(), extended([(9, 0), (9, 0)]), false),
        ("an endless one".into(), extended([(MAX, MAX)]), false),
        ("a long one".into(), extended([(MAX, 600)]), true),
    ];
    for cut in 1..lawful.len() {
        all.push((format!("cut at {cut}"), lawful[..cut].to_vec(), false));
    }
    // Ten numbers; spec R-PKT-20 has the limits of each, the others being as they are by default.
    let limits: [(u64, u64); 10] = [
        (16_384, MAX),
        (0, 100 * 16_384),
        (0, 1 << 60),
        (0, 1 << 60),
        (26, 86_400_000),
        (0, 1_000_000),
        (0, 65_527),
        (1_200, 65_527),
        (2, 8),
        (0, MAX),
    ];
    for (place, (least, most)) in limits.into_iter().enumerate() {
        let edges = [0, 1, least.saturating_sub(1), least, most, (most + 1).min(MAX), 1 << 61, MAX];
        for number in edges {
            let taken = (least..=most).contains(&number);
            all.push((format!("{number} in place {place}"), with(place, number), taken));
        }
    }
    all
}

fn extended(extensions: impl IntoIterator<Item = (u64, u64)>) -> Vec<u8> {
    let mut params = lawful_params();
    for (id, len) in extensions {
        params.extend([varint(id), varint(len), vec![7; len.min(600) as usize]].concat());
    }
    params
}

/// The parameters by default, but for the number in one place.
fn with(place: usize, number: u64) -> Vec<u8> {
    let Params { initial_max_data: data, initial_max_stream_data: stream, .. } = Params::default();
    let rest = Params::default();
    let mut numbers = [
        data,
        stream,
        rest.max_streams_bidi,
        rest.max_streams_uni,
        rest.idle_timeout_ms,
        rest.max_ack_delay_us,
        rest.max_datagram_frame,
        rest.max_packet_size,
        rest.active_cid_limit,
        rest.max_message_size,
    ];
    numbers[place] = number;
    [&[1], &aqueduct_tests::byzantine::numbers(&numbers)[..], &[0; 16]].concat()
}

/// spec: R-HS-10, R-HS-11, R-HS-24, R-PKT-20, R-LIM-4
#[test]
fn first_packets_with_fields_at_their_extremes_leave_nothing() {
    let _alone = ALONE.lock();
    let all_params = [params(), params(), params()].concat();
    let mut door = Door::new();
    let (mut forger, id) = (Forger::new(66), door.id());
    let base = |kind| if kind == PacketType::I1 { item(1, &lawful_params()) } else { Vec::new() };
    for kind in [PacketType::I1, PacketType::X1].repeat(3) {
        for (what, change, fate) in FIELDS {
            let mut hello = Hello::new(kind, SCID, ConnectionId::ZERO);
            change(&mut hello);
            let bytes = forger.first(&header(kind), &id, &payload(&hello, kind, &base(kind)));
            assert_eq!(door.knock(bytes), *fate, "{kind:?}: {what}");
        }
        let hello = Hello::new(kind, SCID, ConnectionId::ZERO);
        for (what, items, fate) in items() {
            let items = [base(kind), items].concat();
            let bytes = forger.first(&header(kind), &id, &payload(&hello, kind, &items));
            assert_eq!(door.knock(bytes), fate, "{kind:?}: {what}");
        }
    }
    let hello = Hello::new(PacketType::I1, SCID, ConnectionId::ZERO);
    for (what, params, taken) in &all_params {
        let items = item(1, params);
        let payload = payload(&hello, PacketType::I1, &items);
        let bytes = forger.first(&header(PacketType::I1), &id, &payload);
        let expected = if *taken { Taken } else { Discarded };
        assert_eq!(door.knock(bytes), expected, "parameters: {what}");
    }
    door.report("first packets");
}

type HeaderChange = fn(&mut LongHeader);

/// What stands in the clear, under a right mac.
///
/// spec: R-EP-10, R-HS-19, R-HS-21, R-LIM-4
#[test]
fn headers_at_their_extremes_leave_nothing() {
    let _alone = ALONE.lock();
    let mut door = Door::new();
    let (mut forger, id) = (Forger::new(66), door.id());
    let far = ConnectionId([0xff; 8]);
    let cases: [(&str, HeaderChange, Fate); 9] = [
        ("version 0", |header| header.version = 0, Versions),
        ("the last version", |header| header.version = u16::MAX, Versions),
        ("suite 0", |header| header.suite = 0, Discarded),
        ("suite 2", |header| header.suite = 2, Discarded),
        ("the last suite", |header| header.suite = 255, Discarded),
        ("part 1", |header| header.part = 1, Discarded),
        ("part 3", |header| header.part = 3, Discarded),
        ("no id", |header| header.scid = ConnectionId::ZERO, Discarded),
        ("an id of ours", |header| header.dcid = ConnectionId([0xff; 8]), Discarded),
    ];
    for kind in [PacketType::I1, PacketType::X1] {
        let items = if kind == PacketType::I1 { item(1, &lawful_params()) } else { Vec::new() };
        for (what, change, fate) in &cases {
            let mut header = header(kind);
            change(&mut header);
            let hello = Hello::new(kind, header.scid, header.dcid);
            let bytes = forger.first(&header, &id, &payload(&hello, kind, &items));
            assert_eq!(door.knock(bytes), *fate, "{kind:?}: {what}");
        }
        let header = LongHeader { scid: far, ..header(kind) };
        let payload = payload(&Hello::new(kind, far, ConnectionId::ZERO), kind, &items);
        let bytes = forger.first(&header, &id, &payload);
        assert_eq!(door.knock(bytes.clone()), Taken, "the last id");
        let montgomery = id.montgomery();
        let known = (kind == PacketType::I1).then_some(&montgomery);
        // A cookie that nobody gave is as good as none while none is demanded.
        let mut cookie = forger.first(&header, &id, &payload);
        cookie[20..44].fill(0xff);
        seal_first(&mut cookie, known);
        assert_eq!(door.knock(cookie), Taken, "a cookie");
        // Every length but the one, with a right mac; and keys that are no keys.
        for len in [20, 36, 44, 60, 76, 1_199, 1_201, 1_452, 9_000, 65_507] {
            let mut other = bytes.clone();
            other.resize(len, 0xff);
            seal_first(&mut other, known);
            assert_eq!(door.knock(other), Discarded, "{kind:?} of {len} bytes");
        }
        for byte in [0, 1, 0xff] {
            let mut weak = forger.first(&header, &id, &payload);
            weak[44..76].fill(0);
            weak[44] = byte;
            seal_first(&mut weak, known);
            assert_eq!(door.knock(weak), Discarded, "{kind:?}: a key of {byte}");
        }
    }
    // Every first byte there is, at many lengths, with ids at their extremes behind it.
    for first in 0..=255_u8 {
        for (len, fill) in [(1, 0), (13, 0xff), (20, 0), (29, 0xff), (60, 0), (1_200, 0xff)] {
            let mut bytes = vec![fill; len];
            bytes[0] = first;
            assert_eq!(door.knock(bytes), Discarded, "{first:#x} and {len} bytes");
        }
    }
    door.report("headers");
}

/// Whoever is dialled answers with anything, under a right tag.
///
/// spec: R-HS-20, R-HS-26, R-LIM-4
#[test]
fn answers_at_their_extremes_leave_nothing() {
    let _alone = ALONE.lock();
    for known in [true, false] {
        let (before, now) = (live(), Instant::from_nanos(1_000_000_000));
        let peer = Forger::new(66).id();
        let to = PeerAddr { id: known.then_some(peer), ..PeerAddr::new(peer, PLACES[1].into()) };
        let (mut dialer, handle, first) = aqueduct_tests::raw::dial(small(), 1, &to, now);
        let montgomery = peer.montgomery();
        let key = known.then_some(&montgomery);
        let ours = LongHeader::decode(&first).expect("a first packet").scid;
        let header = |kind, version| LongHeader {
            version,
            ..LongHeader::new(kind, ConnectionId::ZERO, ours)
        };
        let mut peak = 0;
        let mut say = |bytes: &[u8]| {
            let said = aqueduct_tests::raw::ask(&mut dialer, PLACES[1].into(), bytes, now);
            peak = peak.max(live() - before);
            assert!(said.events.is_empty(), "{:?}", said.events);
            said.datagrams.len()
        };
        // Lists of every length, of versions that are none of ours.
        let mac: [u8; 16] = first[first.len() - 16..].try_into().expect("a mac");
        for count in 0..=255_u8 {
            let mut bytes = header(PacketType::Version, 0).encode().to_vec();
            bytes.push(count);
            bytes.extend(std::iter::repeat_n([0x77, count], count.into()).flatten());
            bytes.extend([0; 16]);
            seal_answer(&mut bytes, &mac, key);
            assert_eq!(say(&bytes), 0, "a list of {count}");
        }
        // A cookie is followed once.
        for round in 0..100 {
            let mut bytes = header(PacketType::Retry, 1).encode().to_vec();
            bytes.extend([0xff; 24]);
            bytes.extend([0; 16]);
            seal_answer(&mut bytes, &mac, key);
            assert_eq!(say(&bytes), usize::from(round == 0), "RETRY {round}");
        }
        // Every type at every edge of its length, addressed to the attempt.
        for kind in PacketType::ALL {
            for len in [20, 36, 60, 61, 140, 500, 1_199, 1_200, 1_201, 9_000] {
                let mut bytes = header(kind, 1).encode().to_vec();
                bytes.resize(len, 0xff);
                assert_eq!(say(&bytes), 0, "{kind:?} of {len} bytes");
            }
        }
        assert!(dialer.connection(handle).is_some(), "it still waits");
        println!("answers, known: {known}: {} KiB at the most", peak >> 10);
        assert!(peak <= BOUND, "{peak} bytes");
    }
}

/// Parameters that break a rule, by each packet that carries them: no connection, and no memory.
///
/// spec: R-PKT-20, R-LIM-2
#[test]
fn unlawful_parameters_leave_nothing() {
    let _alone = ALONE.lock();
    let breach = |change: fn(&mut Params)| {
        let mut params = Params::default();
        change(&mut params);
        params
    };
    let unlawful = [
        breach(|p| p.max_streams_bidi = MAX),
        breach(|p| (p.initial_max_data, p.initial_max_stream_data) = (0, MAX)),
        breach(|p| p.idle_timeout_ms = MAX),
        breach(|p| p.max_ack_delay_us = MAX),
        breach(|p| p.max_datagram_frame = MAX),
        breach(|p| p.max_packet_size = MAX),
        breach(|p| p.active_cid_limit = MAX),
    ];
    let (mut most, at_first) = (0, live());
    for role in Role::ALL {
        for params in &unlawful {
            let before = live();
            let handshake = Handshake::run(small(), role, params);
            most = most.max(live() - before);
            let stats = handshake.endpoint.stats();
            assert_eq!(stats.budget_committed, 0, "{role:?}, {params:?}");
        }
    }
    assert!(live() - at_first <= NOISE, "{} bytes are left", live() - at_first);
    println!("unlawful parameters: {} KiB at the most", most >> 10);
    assert!(most <= BOUND, "{most} bytes");
}
