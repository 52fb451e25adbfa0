//! One stream out to a hundred legs, some of which are slow.

use std::time::Duration;

use aqueduct_core::connection::EventKind;
use aqueduct_core::endpoint::{ConnectionHandle, Leg, PipeEventKind, PipeId, StreamAddr};
use aqueduct_core::error::StreamCode;
use aqueduct_core::pipe::{LegEnd, LegPolicy, PipeOptions, PipeStats};
use aqueduct_core::stream::{OpenOptions, StreamProtocol};
use aqueduct_core::wire::id::{Dir, StreamId};
use aqueduct_core::wire::protocol::{PART, RANGE};
use aqueduct_core::wire::route::{Part, Wanted};
use aqueduct_tests::app::{App, Reading, introduction, prose};
use aqueduct_tests::link::LinkConfig;
use aqueduct_tests::net::{HostId, Net};
use aqueduct_tests::transfer::connected;

use crate::transfer::config;

const SECOND: Duration = Duration::from_secs(1);
const SIZE: usize = 3 << 20;
/// What a link carries a second, each way, and how long that takes.
const RATE: u64 = 5_000_000 / 8;
const DELAY: Duration = Duration::from_millis(20);
/// What waits before a link at most.
const QUEUE: u64 = 50_000;
/// How far a leg may fall behind, and what is kept for those that did.
const ALLOWANCE: u64 = 512 << 10;
const KEEP: u64 = 1 << 20;
/// What is under way: the furthest leg goes on for a PTO of the slow one (three round trips and an
/// ACK's delay) and another ACK's delay before that is given up. What is on its way takes two round
/// trips with the queue, if something of it was lost.
const UNDER_WAY: u64 = RATE * (3 * 40 + 2 * 25 + 2 * 40) / 1000 + 2 * QUEUE;

fn link() -> LinkConfig {
    LinkConfig { delay: DELAY, rate: Some(RATE), queue: QUEUE, ..LinkConfig::default() }
}

fn options() -> PipeOptions {
    let policy = LegPolicy::Detach { allowance: ALLOWANCE };
    PipeOptions { policy, keep: KEEP, ..PipeOptions::default() }
}

/// A source, a relay that forwards to all, and serves ranges, and who gets it.
struct Fan {
    net: Net,
    source: App,
    to_relay: ConnectionHandle,
    relay: HostId,
    /// The relay's connections to the sinks, and the leg by each.
    ways: Vec<ConnectionHandle>,
    legs: Vec<StreamId>,
    sinks: Vec<App>,
    /// The first so many are not slow.
    fast: usize,
    /// How often each asked for the rest.
    asked: Vec<usize>,
    pipe: Option<PipeId>,
    /// How many were given up; parts that were given, and requests that were refused.
    detached: usize,
    parts: u32,
    refused: usize,
    stats: Option<PipeStats>,
    /// The most that was ever held; the same before the first part, and above what all had then.
    most_held: u64,
    most_lagged: u64,
    most_above: u64,
}

impl Fan {
    fn new(fast: usize, slow: usize) -> Self {
        let mut net = Net::new(7, link());
        let mut add = |number: usize| net.add(config(number as u8 + 1), number as u64);
        let (source, relay) = (add(0), add(1));
        let hosts: Vec<_> = (0..fast + slow).map(|sink| add(sink + 2)).collect();
        let to_relay = connected(&mut net, source, relay).0;
        let ways = hosts.iter().map(|sink| connected(&mut net, relay, *sink).0).collect();
        // Half of the slow ones have a slow link, the others read slowly.
        for slow in hosts[fast..].iter().step_by(2) {
            let thin = LinkConfig { rate: Some(20_000), queue: QUEUE / 5, ..link() };
            net.set_link(relay, *slow, thin);
        }
        let mut sinks: Vec<_> = hosts.into_iter().map(App::new).collect();
        sinks.iter_mut().for_each(|sink| sink.parts_of = Some(1));
        sinks[fast..].iter_mut().skip(1).step_by(2).for_each(|s| s.reading = Reading::Never);
        Self {
            source: App::new(source),
            net,
            to_relay,
            relay,
            ways,
            legs: Vec::new(),
            asked: vec![0; sinks.len()],
            sinks,
            fast,
            pipe: None,
            detached: 0,
            parts: 0,
            refused: 0,
            stats: None,
            most_held: 0,
            most_lagged: 0,
            most_above: 0,
        }
    }

    /// The relay's application: it pipes the first stream to everybody, and answers requests.
    fn relay_turn(&mut self) {
        let host = self.net.hosts.get_mut(self.relay.0).expect("the relay");
        let events: Vec<_> = host.events.drain(..).collect();
        let news: Vec<_> = host.pipe_events.drain(..).collect();
        for event in events.into_iter().filter(|e| e.kind == EventKind::StreamAvailable) {
            while let Some(stream) = self.accept(event.connection) {
                match self.pipe {
                    None => self.begin(StreamAddr { connection: event.connection, stream }),
                    Some(pipe) => self.serve(pipe, event.connection, stream),
                }
            }
        }
        for event in news {
            match event.kind {
                PipeEventKind::LegEnded { end: LegEnd::Detached { .. }, .. } => self.detached += 1,
                PipeEventKind::Ended(stats) => self.stats = Some(stats),
                _ => {}
            }
        }
        self.measure();
    }

    /// What the relay holds now.
    fn measure(&mut self) {
        let endpoint = &mut self.net.hosts[self.relay.0].endpoint;
        let held = endpoint.stats().pipe_bytes;
        self.most_held = self.most_held.max(held);
        let Some(pipe) = self.pipe.and_then(|pipe| endpoint.piped(pipe)) else { return };
        let stats = pipe.stats();
        let kept = stats.acked - stats.held_from;
        assert_eq!(stats.held, held, "one pipe is all there is");
        assert!(kept <= KEEP, "{kept} bytes are kept");
        assert!(held <= stats.window, "{held} bytes are held");
        if self.parts == 0 {
            self.most_lagged = self.most_held;
            self.most_above = self.most_above.max(held - kept);
        }
    }

    fn accept(&mut self, connection: ConnectionHandle) -> Option<StreamId> {
        self.net.host(self.relay).endpoint.connection(connection)?.accept()
    }

    fn begin(&mut self, from: StreamAddr) {
        let endpoint = &mut self.net.host(self.relay).endpoint;
        let view = endpoint.connection(from.connection).expect("it spoke");
        let info = view.stream_info(from.stream).and_then(|info| info.forwarded()).expect("a hop");
        drop(view);
        let mut legs = Vec::new();
        for way in &self.ways {
            let mut view = endpoint.connection(*way).expect("a live connection");
            let stream = view.open(Dir::Uni, info.clone()).expect("a stream");
            legs.push(Leg::Stream(StreamAddr { connection: *way, stream }));
            self.legs.push(stream);
        }
        self.pipe = Some(endpoint.pipe(from, &legs, options()).expect("a pipe"));
    }

    /// A request for bytes that are held is answered by a leg more, any other is refused.
    fn serve(&mut self, pipe: PipeId, connection: ConnectionHandle, request: StreamId) {
        let endpoint = &mut self.net.host(self.relay).endpoint;
        let held = endpoint.piped(pipe).map(|pipe| pipe.held_from());
        let mut view = endpoint.connection(connection).expect("it spoke");
        let info = view.stream_info(request).expect("it was introduced");
        assert_eq!(info.protocol, StreamProtocol::Number(RANGE));
        let Wanted { stream, start, end } = Wanted::decode(&info.head).expect("a request");
        let asker = self.ways.iter().position(|way| *way == connection).expect("a sink");
        assert_eq!((stream, end), (self.legs[asker], None), "its own leg");
        if held.is_none_or(|held| start < held) {
            view.recv(request).expect("open").stop(StreamCode::InvalidRange.app());
            view.send(request).expect("open").reset(StreamCode::InvalidRange.app());
            self.refused += 1;
            return;
        }
        let mut options = introduction(1).forwarded().expect("a hop");
        options.protocol = StreamProtocol::Number(PART);
        options.head = Part { request }.encode().into();
        options.start = start;
        let stream = view.open(Dir::Uni, options).expect("a stream");
        view.send(request).expect("open").finish().expect("open");
        drop(view);
        let leg = Leg::Stream(StreamAddr { connection, stream });
        let policy = LegPolicy::Detach { allowance: ALLOWANCE };
        endpoint.piped(pipe).expect("it lives").add_leg(leg, policy).expect("it is held");
        self.parts += 1;
    }

    fn run(&mut self, limit: Duration, mut done: impl FnMut(&Self) -> bool) -> bool {
        let until = self.net.now + limit;
        loop {
            self.source.turn(&mut self.net);
            self.relay_turn();
            for sink in &mut self.sinks {
                sink.turn(&mut self.net);
            }
            for sink in self.fast..self.sinks.len() {
                self.ask(sink);
            }
            if done(self) {
                return true;
            }
            if !self.net.step(until) {
                return done(self);
            }
        }
    }

    /// Who was given up asks for what it lacks, as often as that happens.
    fn ask(&mut self, sink: usize) {
        let app = &self.sinks[sink];
        let resets = app.inn.iter().filter_map(|flow| flow.reset.map(|code| (code, flow.hop)));
        let resets: Vec<_> = resets.collect();
        let (Some(leg), Some(last)) = (app.inn.first(), app.inn.last()) else { return };
        if resets.len() == self.asked[sink] {
            return;
        }
        assert!(resets.iter().all(|reset| *reset == (StreamCode::Detached.app(), 0)));
        let (connection, stream, start) = (leg.connection, leg.stream, last.read);
        assert!(start < SIZE as u64);
        let mut options = OpenOptions::new(StreamProtocol::Number(RANGE));
        options.head = Wanted { stream, start, end: None }.encode().into();
        let mut view = self.net.host(app.host).endpoint.connection(connection).expect("it lives");
        let request = view.open(Dir::Bi, options).expect("a stream");
        view.send(request).expect("open").finish().expect("open");
        self.asked[sink] += 1;
    }

    /// The ways of the slow ones are like those of the others from now on, and so is their reading.
    fn recover(&mut self) {
        for sink in &mut self.sinks[self.fast..] {
            self.net.set_link(self.relay, sink.host, link());
            sink.reading = Reading::InOrder;
            sink.read_all(&mut self.net);
        }
    }

    /// Whether these have the body to its end, by their last stream.
    fn have_it(sinks: &[App]) -> bool {
        sinks.iter().all(|sink| sink.inn.last().is_some_and(|flow| flow.finished))
    }

    /// Sends the body; who reads slowly does so until all of the slow ones were given up. Returns
    /// the time until the fast ones have it.
    fn send(&mut self) -> Duration {
        let began = self.net.now;
        self.source.write(&mut self.net, self.to_relay, Dir::Uni, 1, SIZE);
        let slow = self.sinks.len() - self.fast;
        for _ in 0..1000 {
            let given_up = |fan: &Self| fan.detached == slow;
            if self.run(SECOND / 100, given_up) {
                break;
            }
            for sink in self.sinks.iter_mut().filter(|sink| sink.reading == Reading::Never) {
                sink.read_some(&mut self.net, 200);
            }
        }
        assert_eq!(self.detached, slow, "all of the slow ones are given up, and no other");
        self.recover();
        let all = |fan: &Self| Self::have_it(&fan.sinks[..fan.fast]);
        assert!(self.run(SECOND * 30, all), "the fast ones wait");
        self.net.now.saturating_since(began)
    }

    /// The rest of the body from `at` on, as a stream of its own from the origin.
    fn rest(&mut self, sink: usize, at: u64) {
        let mut options = introduction(1);
        options.start = at;
        let (origin, host) = (self.source.host, self.sinks[sink].host);
        let connection = self.net.connect(origin, host);
        let diary = |fan: &Self| fan.source.diary(connection).connected;
        assert!(self.run(SECOND * 5, diary));
        let mut view = self.net.host(origin).endpoint.connection(connection).expect("alive");
        let stream = view.open(Dir::Uni, options).expect("a stream");
        let mut out = view.send(stream).expect("a stream");
        out.forward(at, prose(1, SIZE).slice(at as usize..)).expect("open");
        out.finish().expect("open");
    }
}

/// The slow ones are given up when they lag by their allowance, so what is held for them is one
/// lag's bytes, however many they are. They ask the relay for the rest, by the protocol of chapter
/// 18, while the others go on, and get it from what is kept.
///
/// spec: R-PIPE-2 R-PIPE-9 R-PIPE-11 R-PIPE-23 R-PIPE-24 R-PIPE-28 R-ROUTE-9 R-ROUTE-10
#[test]
fn ten_slow_legs_cost_ninety_fast_ones_nothing() {
    // Each leg has a link of its own: nine take as long as ninety.
    let mut alone = Fan::new(9, 0);
    let without = alone.send();
    let mut fan = Fan::new(90, 10);
    let with = fan.send();
    println!("90 legs: {without:?}; with 10 slow ones: {with:?}");
    assert!(with <= without.mul_f64(1.05), "{with:?} against {without:?}");
    let [lagged, none] = [fan.most_lagged, alone.most_lagged];
    println!("at most {lagged} held before one comes back, {none} without slow ones");
    let lag = ALLOWANCE.max(KEEP) + UNDER_WAY;
    assert!(lagged <= lag, "{lagged} bytes are held for a lag of {lag}");
    let above = fan.most_above;
    println!("above what all have: at most {above}");
    assert!(above <= ALLOWANCE + UNDER_WAY && above > ALLOWANCE, "{above} bytes of lag");
    let all = |fan: &Fan| Fan::have_it(&fan.sinks);
    let done = fan.run(SECOND * 60, all);
    let slow: Vec<_> = fan.sinks[90..].iter().map(|sink| &sink.inn).collect();
    assert!(done, "{} parts, {} refused, {:?}: {slow:?}", fan.parts, fan.refused, fan.stats);
    println!("{} parts, held at most {}", fan.parts, fan.most_held);
    assert_eq!(fan.refused, 0, "what they lack is held");
    for sink in &fan.sinks[90..] {
        let [first, .., last] = &sink.inn[..] else { panic!("{:?}", sink.inn) };
        assert!(first.read > 0 && !first.finished);
        assert_eq!((last.read, last.finished), (SIZE as u64, true));
    }
    assert!(fan.run(SECOND * 5, |fan| fan.stats.is_some()), "nothing is left of the pipe");
    // Whoever was given up came back, some twice.
    let parts = u64::from(fan.parts);
    assert_eq!(fan.stats.map(|stats| (stats.detached, stats.held)), Some((fan.parts, 0)));
    assert_eq!(fan.net.host(fan.relay).endpoint.stats().legs_detached, parts);
}

/// The relay falls silent in the middle. Who reads waits a second for a byte, and goes on from the
/// origin behind what it holds. Lesson 45.
///
/// spec: R-PIPE-16 R-STR-3
#[test]
fn a_stalled_stream_goes_on_from_another_source() {
    let mut fan = Fan::new(1, 0);
    fan.source.write(&mut fan.net, fan.to_relay, Dir::Uni, 1, SIZE);
    let read = |fan: &Fan| fan.sinks[0].inn.first().map_or(0, |flow| flow.read);
    assert!(fan.run(SECOND * 10, |fan| read(fan) > SIZE as u64 / 2));
    fan.net.sleep(fan.relay, true);
    let stalled = fan.net.now;
    let mut has = read(&fan);
    while fan.run(SECOND, |fan| read(fan) > has) {
        has = read(&fan);
    }
    assert!(has < SIZE as u64, "nothing is left to go on with");
    fan.rest(0, has);
    assert!(fan.run(SECOND * 10, |fan| fan.sinks[0].inn.get(1).is_some_and(|f| f.finished)));
    let took = fan.net.now.saturating_since(stalled);
    println!("{has} of {SIZE} bytes were held; whole {took:?} after the stall");
    let [first, second] = &fan.sinks[0].inn[..] else { panic!("{:?}", fan.sinks[0].inn) };
    assert_eq!((first.read, first.finished), (has, false));
    // The second began where the first stood, and its reader found no gap.
    assert_eq!(second.read, SIZE as u64);
    assert!(took < SECOND * 4, "{took:?}");
}
