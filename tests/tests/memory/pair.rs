//! What two honest endpoints allocate, and what a peer leaves behind.

use super::*;

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

/// A pair whose far end gives up what stands still for ten seconds, or is configured like any.
fn watched_pair(seconds: Option<u64>) -> Pair {
    let transport = TransportConfig::default()
        .with_max_streams(20_000, 20_000)
        .expect("a lawful number")
        .with_keep_alive(Some(Duration::from_secs(10)))
        .with_stream_timeout(seconds.map(Duration::from_secs));
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

    /// Opens `count` streams, writes a fragment at `offset` to each, and leaves them.
    fn leave(&mut self, count: usize, options: &OpenOptions, offset: u64, fragment: &Bytes) {
        let (handle, _) = self.stream.expect("a connection");
        let (mut opened, before) = (0, self.far().0);
        while opened < count {
            let mut view = self.ends[0].connection(handle).expect("it lives");
            while opened < count
                && let Ok(id) = view.open(Dir::Uni, options.clone())
            {
                let mut stream = view.send(id).expect("a stream");
                stream.write_at(offset, fragment.clone()).expect("room");
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

/// Streams of a peer that opened them, sent one fragment of each, the first or one behind a gap, and
/// forgot them; where the application has said how long any stream may stand still.
///
/// spec: R-STR-43
#[test]
fn ten_thousand_streams_that_were_left_cost_nothing_after_the_time_out() {
    let _alone = ALONE.lock();
    let mut pair = watched_pair(Some(10));
    let (options, fragment) =
        (OpenOptions::new(StreamProtocol::name("left")), Bytes::from(vec![7; 1000]));
    let mut left = Vec::new();
    for offset in [1000, 0, 1000, 0] {
        let (before, at_far) = (live(), pair.far());
        pair.leave(10_000, &options, offset, &fragment);
        let (peak, full) = (live() - before, pair.far());
        assert_eq!(full.0, at_far.0 + 10_000);
        pair.wait(15);
        let after = live() - before;
        println!(
            "at {offset}: {} KiB with 10,000 streams, {} KiB after the time-out; held {} and {}",
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

/// The same with the configuration that everybody has: who left a gap is ended, and who is merely
/// silent is not, since that is what a subscription looks like.
///
/// spec: R-STR-43
#[test]
fn streams_that_were_left_behind_gaps_go_by_themselves() {
    let _alone = ALONE.lock();
    let mut pair = watched_pair(None);
    let options = OpenOptions::new(StreamProtocol::name("left"));
    let fragment = Bytes::from(vec![7; 1000]);
    pair.leave(10, &options, 0, &fragment);
    let before = pair.far();
    pair.leave(1_000, &options, 1000, &fragment);
    assert_eq!(pair.far().0, before.0 + 1_000);
    pair.wait(100);
    assert_eq!(pair.far().0, before.0 + 1_000);
    pair.wait(25);
    assert_eq!(pair.far(), before, "streams and bytes held");
}

/// spec: R-STR-3
#[test]
fn a_declared_length_allocates_nothing() {
    let _alone = ALONE.lock();
    let fragment = Bytes::from_static(b"x");
    let mut costs = Vec::new();
    for size in [None, Some((1 << 62) - 1)] {
        let mut pair = watched_pair(Some(10));
        let mut options = OpenOptions::new(StreamProtocol::name("huge"));
        (options.size, options.end) = (size, size);
        let before = live();
        pair.leave(1000, &options, 1000, &fragment);
        costs.push(live() - before);
        assert!(pair.far().0 >= 1000);
    }
    println!("1,000 streams cost {costs:?} bytes without and with a length of 2^62 - 1");
    assert!((costs[1] - costs[0]).abs() < 64 << 10, "{costs:?}");
}
