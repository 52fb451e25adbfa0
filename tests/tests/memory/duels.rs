//! One peer that makes its counterpart hold as much as it can, by whatever it may say.

use super::*;

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

fn flood(what: &str, packets: u64, say: impl FnMut(&Watched, u64) -> Vec<u8>, acks: bool) {
    flood_at(Watched::new(), what, packets, say, acks);
}

fn flood_at(
    mut watched: Watched,
    what: &str,
    packets: u64,
    mut say: impl FnMut(&Watched, u64) -> Vec<u8>,
    acks: bool,
) {
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
    // Beside the path in use nothing holds the answers back.
    let mut beside = Watched::new();
    beside.duel.from = ([10, 9, 9, 9], 9).into();
    flood_at(beside, "challenges on another path, no acks", 20_000, challenge, false);
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

/// A duel with two streams of a few bytes and a gap, of which the second has its end; and how far
/// the first may go.
fn with_two_streams() -> (Duel, u64) {
    let mut duel = Duel::with(small(), Role::Dials, &Params::default());
    let (first, second) = (duel.stream(Dir::Uni, 0), duel.stream(Dir::Uni, 1));
    for id in [first, second] {
        duel.say_raw(&opening(id, b""));
        duel.say_raw(&body(id, 0, b"01234"));
        duel.say_raw(&body(id, 8, b"89"));
    }
    duel.say(&[Frame::Stream(StreamFrame { id: second, offset: 10, data: b"", fin: true })]);
    duel.pass(Duration::from_secs(1));
    let mut allowed = duel.allowed().initial_max_stream_data;
    for heard in duel.last_heard() {
        for frame in heard.frames() {
            if let Frame::MaxStreamData { id, limit } = frame
                && id == first
            {
                allowed = allowed.max(limit);
            }
        }
    }
    (duel, allowed)
}

/// Says something that cannot be, and looks what stays of it: nothing in the connection that it
/// ends, and nothing of this connection.
#[track_caller]
fn is_refused(what: &str, plaintext: &[u8], code: TransportCode) {
    let (mut duel, _) = with_two_streams();
    let (before, held) = (live(), (duel.stats().streams, duel.stats().bytes_held));
    assert!(held.0 == 2 && held.1 >= 14, "{held:?}");
    duel.say_raw(plaintext);
    assert_eq!(duel.violation(), Some(code), "{what}");
    let handle = duel.handle.expect("a connection");
    let left = duel.endpoint.connection(handle).map(|view| view.stats());
    let left = left.map_or((0, 0), |stats| (stats.streams, stats.bytes_held));
    assert!(left.0 <= held.0 && left.1 <= held.1, "{what}: {left:?} of {held:?}");
    duel.last_heard();
    duel.pass(Duration::from_secs(60));
    let stats = duel.endpoint.stats();
    assert_eq!((stats.connections, stats.budget_committed), (0, 0), "{what}");
    duel.last_heard();
    duel.events = Vec::new();
    let after = live() - before;
    println!("{what}: {after} bytes more");
    assert!(after < 0, "{what}: {after} bytes are left");
}

/// Lesson 40: offsets that no stream can have, that nobody allowed, or that lie behind an end.
///
/// spec: R-FRM-17 R-FLOW-3 R-LIM-4
#[test]
fn offsets_that_cannot_be_leave_nothing_behind() {
    let _alone = ALONE.lock();
    let (duel, limit) = with_two_streams();
    let (first, second) = (duel.stream(Dir::Uni, 0), duel.stream(Dir::Uni, 1));
    let beyond = duel.stream(Dir::Uni, duel.allowed().max_streams_uni);
    drop(duel);
    let most = (1 << 62) - 1;
    let thousand = [7; 1_000];
    let fin = |id, offset| {
        let mut plaintext = Vec::new();
        Frame::Stream(StreamFrame { id, offset, data: b"", fin: true }).encode(&mut plaintext);
        plaintext
    };
    let raw = |offset| [numbers(&[0x0e, first.0, offset, 1_000]), thousand.to_vec()].concat();
    is_refused("bytes that end beyond all offsets", &raw(most), TransportCode::FrameEncoding);
    is_refused("the last of them so", &raw(most - 999), TransportCode::FrameEncoding);
    let flow = TransportCode::FlowControl;
    is_refused("the last bytes of all", &raw(most - 1_000), flow);
    is_refused("bytes far away", &raw(1 << 32), flow);
    is_refused("a byte too far", &raw(limit - 999), flow);
    is_refused("an end too far", &fin(first, limit + 1), flow);
    is_refused("a gap too far", &numbers(&[5, first.0, 10, limit]), flow);
    let size = TransportCode::FinalSize;
    is_refused("bytes behind the end", &body(second, 10, &thousand), size);
    is_refused("bytes over the end", &body(second, 5, &thousand), size);
    is_refused("another end", &fin(second, 11), size);
    is_refused("an end below what came", &fin(first, 9), size);
    is_refused("a RESET below what came", &numbers(&[6, first.0, 0, 0, 9, 0]), size);
    let streams = TransportCode::StreamLimit;
    is_refused("a stream too many", &body(beyond, 0, &thousand), streams);
    is_refused("a stream far away", &body(StreamId(first.0 + (1 << 40)), 0, &thousand), streams);
}
