//! Random calls on three endpoints over a bad network, and what each of them holds meanwhile.

use std::collections::BTreeMap;

use aqueduct_core::endpoint::{Leg, StreamAddr};
use aqueduct_core::pipe::PipeOptions;
use aqueduct_core::wire::id::AppCode;
use aqueduct_tests::dice::Dice;

use super::*;

const MS: Duration = Duration::from_millis(1);
/// The one between the other two, which dial it: it alone pipes.
const MIDDLE: usize = 1;
/// Storms, from which seed on (`AQUEDUCT_SEEDS`, `AQUEDUCT_SEED`), and turns of each.
const SEEDS: u64 = 24;
const TURNS: u64 = 600;
/// What all of them write is of this, by reference: it costs its writer nothing.
static TEXT: [u8; 1 << 18] = [7; 1 << 18];

/// An endpoint, and what it has of its heap: what was allocated within its calls.
struct Held {
    endpoint: Endpoint,
    heap: i64,
    /// The most of it, and how near it came to the bound.
    peak: i64,
    closest: i64,
    live: Vec<ConnectionHandle>,
    out: Vec<StreamAddr>,
    inn: Vec<StreamAddr>,
}

/// What is under way, by when it arrives.
struct Sent {
    from: usize,
    to: usize,
    bytes: Vec<u8>,
}

/// Three endpoints, and what is between them.
struct Storm {
    ends: Vec<Held>,
    now: Instant,
    wire: BTreeMap<(Instant, u64), Sent>,
    sent: u64,
    dice: Dice,
    buf: Vec<u8>,
}

fn number(name: &str) -> Option<u64> {
    std::env::var(name).ok()?.parse().ok()
}

fn place(end: usize) -> ([u8; 4], u16) {
    ([10, 0, 0, end as u8], 7)
}

fn some(dice: &mut Dice, of: &[StreamAddr]) -> Option<StreamAddr> {
    (!of.is_empty()).then(|| dice.pick(of))
}

impl Held {
    fn new(number: u8, now: Instant) -> Self {
        let transport = TransportConfig::default().with_keep_alive(Some(Duration::from_secs(5)));
        let config = EndpointConfig::new(NodeKey::from_seed(&[number + 1; 32]))
            .with_transport(transport)
            .with_memory(BUDGET, CONNECTIONS as u32)
            .expect("a lawful budget");
        let mut endpoint = Endpoint::new(config, Seed::from_u64(number.into()));
        let kind = CarrierKind::Udp { max_segments: 16, max_datagram: 65_507 };
        endpoint.carrier_opened(UDP, kind, now);
        let (heap, peak, closest) = (0, 0, i64::MAX);
        let (live, out, inn) = (Vec::new(), Vec::new(), Vec::new());
        Self { endpoint, heap, peak, closest, live, out, inn }
    }

    /// Calls it. What comes of that owns no memory.
    fn call<T: Copy>(&mut self, call: impl FnOnce(&mut Endpoint) -> T) -> T {
        let before = live();
        let came = call(&mut self.endpoint);
        self.heap += live() - before;
        came
    }

    /// Spec R-FLOW-3, to the letter.
    fn look(&mut self, seed: u64) {
        let stats = self.endpoint.stats();
        let streams: usize = self.endpoint.connections().map(|(_, it)| it.stats().streams).sum();
        let connections = u64::from(stats.connections + stats.half_open);
        assert!(stats.budget_committed <= BUDGET, "seed {seed}: {stats:?}");
        let bound = (BUDGET + connections * C + streams as u64 * S) as i64;
        assert!(self.heap <= bound, "seed {seed}: {} of {bound} bytes, {stats:?}", self.heap);
        (self.peak, self.closest) = (self.peak.max(self.heap), self.closest.min(bound - self.heap));
    }

    fn write(&mut self, at: StreamAddr, len: usize, ends: bool) {
        self.call(|endpoint| {
            let Some(mut view) = endpoint.connection(at.connection) else { return };
            let Some(mut stream) = view.send(at.stream) else { return };
            let _ = stream.write(Bytes::from_static(&TEXT[..len]));
            if ends {
                let _ = stream.finish();
            }
        });
    }

    /// Reads up to `max` bytes, in order or as they come; what it gives back is the reader's affair.
    fn read(&mut self, at: StreamAddr, max: usize, in_order: bool, releases: bool) {
        self.call(|endpoint| {
            let Some(mut view) = endpoint.connection(at.connection) else { return };
            let Some(mut stream) = view.recv(at.stream) else { return };
            let came = if in_order { stream.read_chunk(max) } else { stream.take_any(max) };
            if let (Ok(Some(chunk)), true) = (came, releases) {
                stream.release(chunk.data.len() as u64);
            }
        });
    }

    /// A stream goes on to another connection, if there is one.
    fn pipe(&mut self, from: StreamAddr) {
        let Some(to) = self.live.iter().copied().find(|to| *to != from.connection) else { return };
        self.call(|endpoint| {
            let Some(mut view) = endpoint.connection(to) else { return };
            let options = OpenOptions::new(StreamProtocol::name("onward"));
            let Ok(stream) = view.open(Dir::Uni, options) else { return };
            drop(view);
            let leg = Leg::Stream(StreamAddr { connection: to, stream });
            let _ = endpoint.pipe(from, &[leg], PipeOptions::default());
        });
        self.inn.retain(|it| *it != from);
    }

    /// What a connection brought beside streams.
    fn take_notes(&mut self, connection: ConnectionHandle) {
        self.call(|endpoint| {
            let Some(mut view) = endpoint.connection(connection) else { return };
            while view.recv_message().is_some() || view.recv_datagram().is_some() {}
        });
    }

    fn forget(&mut self, connection: ConnectionHandle) {
        self.live.retain(|it| *it != connection);
        self.out.retain(|at| at.connection != connection);
        self.inn.retain(|at| at.connection != connection);
    }
}

impl Storm {
    fn new(seed: u64) -> Self {
        let now = Instant::from_nanos(1);
        let ends = (0..3).map(|number| Held::new(number, now)).collect();
        let (wire, buf) = (BTreeMap::new(), Vec::with_capacity(1 << 17));
        Self { ends, now, wire, sent: 0, dice: Dice::new(seed, "storm"), buf }
    }

    /// Somebody does something.
    fn act(&mut self) {
        let (dice, now) = (&mut self.dice, self.now);
        let number = dice.below(3) as usize;
        let (middle, end) = (self.ends[MIDDLE].endpoint.node_id(), &mut self.ends[number]);
        if end.live.is_empty() {
            if number != MIDDLE && end.endpoint.stats().connections < 2 {
                let to = PeerAddr::new(middle, place(MIDDLE).into());
                end.call(|endpoint| _ = endpoint.connect(to, now));
            }
            return;
        }
        let connection = dice.pick(&end.live);
        let (out, inn) = (some(dice, &end.out), some(dice, &end.inn));
        let (len, ends) = (dice.below(TEXT.len() as u64) as usize, dice.one_in(4));
        let note = Bytes::from_static(&TEXT[..len.min(dice.pick(&[0, 1_000, 40_000]))]);
        match (dice.below(24), out, inn) {
            (0..4, ..) => {
                let dir = dice.pick(&[Dir::Bi, Dir::Uni]);
                let options = OpenOptions::new(StreamProtocol::name("storm"));
                let opened = end.call(|endpoint| {
                    endpoint.connection(connection).and_then(|mut it| it.open(dir, options).ok())
                });
                let Some(stream) = opened else { return };
                let at = StreamAddr { connection, stream };
                end.out.push(at);
                end.inn.extend((dir == Dir::Bi).then_some(at));
                end.write(at, len, ends);
            }
            (4..8, Some(at), _) => end.write(at, len, ends),
            (8, Some(at), _) => end.call(|endpoint| {
                let mut view = endpoint.connection(at.connection);
                if let Some(mut stream) = view.as_mut().and_then(|view| view.send(at.stream)) {
                    stream.reset(AppCode(3));
                }
            }),
            (9, _, Some(at)) => end.call(|endpoint| {
                let mut view = endpoint.connection(at.connection);
                if let Some(mut stream) = view.as_mut().and_then(|view| view.recv(at.stream)) {
                    stream.stop(AppCode(4));
                }
            }),
            (10..14, _, Some(at)) => end.read(at, len, dice.one_in(2), !dice.one_in(8)),
            (14..16, _, Some(at)) if number == MIDDLE => end.pipe(at),
            (16..19, ..) => end.call(|endpoint| {
                _ = endpoint.connection(connection).map(|mut it| it.send_message(note));
            }),
            (19..21, ..) => end.call(|endpoint| {
                _ = endpoint.connection(connection).map(|mut it| it.send_datagram(note));
            }),
            (21, ..) => end.take_notes(connection),
            (22, ..) if dice.one_in(40) => end.call(|endpoint| {
                if let Some(mut view) = endpoint.connection(connection) {
                    view.abort(AppCode(5), b"enough", now);
                }
            }),
            _ => {}
        }
    }

    /// Whatever is due arrives, and everybody says what there is to say.
    fn turn(&mut self) {
        while let Some(first) = self.wire.first_entry().filter(|it| it.key().0 <= self.now) {
            let Sent { from, to, mut bytes } = first.remove();
            let (now, remote) = (self.now, place(from).into());
            let (carrier, local, ecn, segment) = (UDP, None, None, None);
            let bytes = bytes.as_mut_slice();
            let datagram = Datagram { carrier, remote, local, ecn, segment, bytes };
            self.ends[to].call(|endpoint| endpoint.handle_datagram(datagram, now));
        }
        for number in 0..self.ends.len() {
            while self.poll(number) {}
        }
    }

    /// One thing that an endpoint says. Whether there may be more.
    fn poll(&mut self, number: usize) -> bool {
        let Self { ends, buf, now, .. } = self;
        let (end, before) = (&mut ends[number], live());
        let mut gone = None;
        match end.endpoint.poll(buf, *now) {
            Output::Wait(_) => {
                end.heap += live() - before;
                return false;
            }
            Output::Transmit(to) => {
                end.heap += live() - before;
                self.send(number, to.remote.ip(), to.segment);
                return true;
            }
            Output::Incoming(incoming) => _ = end.endpoint.accept(incoming, *now),
            Output::Pipe(_) => {}
            Output::Event(event) => gone = Some((event.connection, event.kind)),
        }
        let news = gone.map(|(connection, kind)| (connection, News::of(&kind)));
        end.heap += live() - before;
        if let Some((connection, news)) = news {
            self.hear(number, connection, news);
        }
        true
    }

    fn hear(&mut self, number: usize, connection: ConnectionHandle, news: News) {
        let end = &mut self.ends[number];
        match news {
            News::Connected => end.live.push(connection),
            News::Gone => end.forget(connection),
            // One in four is left where it is.
            News::Streams if !self.dice.one_in(4) => {
                let accept = |endpoint: &mut Endpoint| endpoint.connection(connection)?.accept();
                while let Some(stream) = end.call(accept) {
                    end.inn.push(StreamAddr { connection, stream });
                }
            }
            _ => {}
        }
    }

    /// A batch goes into the wire, where each datagram of it may be lost, late or doubled.
    fn send(&mut self, from: usize, to: std::net::IpAddr, segment: Option<usize>) {
        let to = (0..3).find(|end| std::net::SocketAddr::from(place(*end)).ip() == to);
        let to = to.expect("one of them");
        for bytes in self.buf.chunks(segment.unwrap_or(self.buf.len()).max(1)) {
            let copies = match self.dice.below(40) {
                0..2 => 0,
                2 => 2,
                _ => 1,
            };
            for _ in 0..copies {
                let late = if self.dice.one_in(10) { MS * 40 } else { MS };
                let at = self.now + MS * 5 + self.dice.between(Duration::ZERO, late);
                self.sent += 1;
                self.wire.insert((at, self.sent), Sent { from, to, bytes: bytes.to_vec() });
            }
        }
    }

    /// A batch of calls, a turn, a look; then time passes, now and then much.
    fn rage(&mut self, seed: u64, turns: u64) {
        for _ in 0..turns {
            (0..4).for_each(|_| self.act());
            self.turn();
            self.ends.iter_mut().for_each(|end| end.look(seed));
            let pause = if self.dice.one_in(200) { MS * 3_000 } else { MS * 3 };
            self.now = self.now + pause;
        }
    }
}

/// What of the news matters here.
#[derive(Clone, Copy)]
enum News {
    Connected,
    Streams,
    Gone,
    Other,
}

impl News {
    fn of(kind: &EventKind) -> Self {
        match kind {
            EventKind::Connected => Self::Connected,
            EventKind::StreamAvailable => Self::Streams,
            EventKind::Closed(_) => Self::Gone,
            _ => Self::Other,
        }
    }
}

/// Whatever honest peers do to each other, and whatever a network does to what they say: streams
/// that nobody reads, in gaps, given up by either side, piped; messages and datagrams that nobody
/// takes; connections that end and begin anew. At every turn each endpoint has on its heap what the
/// bound allows, although what it sends and what is not acknowledged is counted as well.
///
/// spec: R-FLOW-3, R-LIM-2
#[test]
fn memory_held_stays_within_the_bound_in_a_storm() {
    let _alone = ALONE.lock();
    let (mut peak, mut closest, mut pipes, mut connections) = (0, i64::MAX, 0, 0);
    let first = number("AQUEDUCT_SEED").unwrap_or(0);
    let seeds = number("AQUEDUCT_SEEDS").unwrap_or(SEEDS);
    for seed in first..first + seeds {
        let mut storm = Storm::new(seed);
        storm.rage(seed, TURNS);
        for end in &storm.ends {
            (peak, closest) = (peak.max(end.peak), closest.min(end.closest));
            pipes += end.endpoint.stats().pipes_begun;
            connections += end.endpoint.stats().established;
        }
    }
    println!(
        "{} KiB at the most, {} KiB below the bound; {pipes} pipes, {connections} connections",
        peak >> 10,
        closest >> 10
    );
    assert!(peak > BUDGET as i64 / 2, "too little was held: {peak} bytes");
    assert!(pipes > seeds && connections > 5 * seeds, "too little happened");
}
