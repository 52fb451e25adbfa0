//! One stream out to a hundred legs, some of which are slow.

use std::collections::BTreeMap;
use std::time::Duration;

use aqueduct_core::connection::EventKind;
use aqueduct_core::endpoint::{ConnectionHandle, Leg, PipeEventKind, PipeId, StreamAddr};
use aqueduct_core::error::StreamCode;
use aqueduct_core::pipe::{LegEnd, LegIndex, LegPolicy, PipeOptions, PipeStats};
use aqueduct_core::wire::id::Dir;
use aqueduct_tests::app::{App, Reading, introduction, prose};
use aqueduct_tests::link::LinkConfig;
use aqueduct_tests::net::{HostId, Net};
use aqueduct_tests::transfer::connected;
use bytes::Bytes;

use crate::transfer::config;

const SECOND: Duration = Duration::from_secs(1);
const SIZE: usize = 3 << 19;

/// 20 ms one way and 5 Mbit/s.
fn link() -> LinkConfig {
    let (delay, rate) = (Duration::from_millis(20), Some(5_000_000 / 8));
    LinkConfig { delay, rate, queue: 50_000, ..LinkConfig::default() }
}

/// A source, a relay that keeps what it forwards, and who gets it.
struct Fan {
    net: Net,
    source: App,
    to_relay: ConnectionHandle,
    relay: HostId,
    /// The relay's connections to the sinks.
    ways: Vec<ConnectionHandle>,
    sinks: Vec<App>,
    pipe: Option<PipeId>,
    /// What the relay keeps.
    stored: Vec<u8>,
    ended: BTreeMap<LegIndex, LegEnd>,
    stats: Option<PipeStats>,
    most_held: u64,
}

impl Fan {
    fn new(fast: usize, slow: usize) -> Self {
        let mut net = Net::new(7, link());
        let mut add = |number: usize| net.add(config(number as u8 + 1), number as u64);
        let (source, relay) = (add(0), add(1));
        let hosts: Vec<_> = (0..fast + slow).map(|sink| add(sink + 2)).collect();
        let fat = LinkConfig { rate: Some(100_000_000 / 8), queue: 1 << 20, ..link() };
        net.set_link(source, relay, fat);
        // Half of the slow ones have a slow link, the others read slowly.
        for slow in hosts[fast..].iter().step_by(2) {
            let thin = LinkConfig { rate: Some(20_000), ..link() };
            net.set_link(relay, *slow, thin);
        }
        let to_relay = connected(&mut net, source, relay).0;
        let ways = hosts.iter().map(|sink| connected(&mut net, relay, *sink).0).collect();
        let mut sinks: Vec<_> = hosts.into_iter().map(App::new).collect();
        sinks[fast..].iter_mut().skip(1).step_by(2).for_each(|s| s.reading = Reading::Never);
        Self {
            source: App::new(source),
            net,
            to_relay,
            relay,
            ways,
            sinks,
            pipe: None,
            stored: Vec::new(),
            ended: BTreeMap::new(),
            stats: None,
            most_held: 0,
        }
    }

    /// The relay's application: it pipes the stream to everybody, itself included.
    fn relay_turn(&mut self) {
        let host = self.net.hosts.get_mut(self.relay.0).expect("the relay");
        let events: Vec<_> = host.events.drain(..).collect();
        let news: Vec<_> = host.pipe_events.drain(..).collect();
        for event in events {
            if event.kind == EventKind::StreamAvailable && self.pipe.is_none() {
                self.begin(event.connection);
            }
        }
        let endpoint = &mut self.net.hosts[self.relay.0].endpoint;
        self.most_held = self.most_held.max(endpoint.stats().pipe_bytes);
        for event in news {
            match event.kind {
                PipeEventKind::Readable => {}
                PipeEventKind::LegEnded { leg, end, .. } => _ = self.ended.insert(leg, end),
                PipeEventKind::Ended(stats) => self.stats = Some(stats),
                _ => {}
            }
            let endpoint = &mut self.net.host(self.relay).endpoint;
            let Some(mut pipe) = endpoint.piped(event.pipe) else { continue };
            while let Ok(Some(chunk)) = pipe.read(usize::MAX) {
                self.stored.extend_from_slice(&chunk.data);
                pipe.release(chunk.range().end);
            }
        }
    }

    fn begin(&mut self, connection: ConnectionHandle) {
        let endpoint = &mut self.net.host(self.relay).endpoint;
        let mut view = endpoint.connection(connection).expect("it spoke");
        let stream = view.accept().expect("a stream");
        let options = view.stream_info(stream).and_then(|info| info.forwarded()).expect("a hop");
        drop(view);
        let mut legs = vec![Leg::Application];
        for way in &self.ways {
            let mut view = endpoint.connection(*way).expect("a live connection");
            let stream = view.open(Dir::Uni, options.clone()).expect("a stream");
            legs.push(Leg::Stream(StreamAddr { connection: *way, stream }));
        }
        let from = StreamAddr { connection, stream };
        let options = PipeOptions { policy: LegPolicy::DETACH, ..PipeOptions::default() };
        self.pipe = Some(endpoint.pipe(from, &legs, options).expect("a pipe"));
    }

    fn run(&mut self, limit: Duration, mut done: impl FnMut(&Self) -> bool) -> bool {
        let until = self.net.now + limit;
        loop {
            self.source.turn(&mut self.net);
            self.relay_turn();
            for sink in &mut self.sinks {
                sink.turn(&mut self.net);
            }
            if done(self) {
                return true;
            }
            if !self.net.step(until) {
                return done(self);
            }
        }
    }

    /// Sends the body; who reads slowly does so. Returns the time until the first `fast` have it.
    fn send(&mut self, fast: usize) -> Duration {
        let began = self.net.now;
        self.source.write(&mut self.net, self.to_relay, Dir::Uni, 1, SIZE);
        let all = |fan: &Self| {
            fan.sinks[..fast].iter().all(|sink| sink.inn.first().is_some_and(|f| f.finished))
        };
        for _ in 0..3000 {
            if self.run(SECOND / 100, all) {
                return self.net.now.saturating_since(began);
            }
            for sink in self.sinks.iter_mut().filter(|sink| sink.reading == Reading::Never) {
                sink.read_some(&mut self.net, 200);
            }
        }
        let unfinished = self.sinks[..fast].iter().filter(|sink| !sink.inn[0].finished);
        let (ended, waits) = (&self.ended, unfinished.count());
        panic!("{waits} fast ones wait; legs that ended: {ended:?}, {} stored", self.stored.len());
    }

    /// The rest of the body from `at` on, as a stream of its own: from what the relay has stored,
    /// or from the origin.
    fn rest(&mut self, sink: usize, at: u64, by_relay: bool) {
        let mut options = introduction(1);
        options.start = at;
        let (host, connection) = match by_relay {
            true => (self.relay, self.ways[sink]),
            false => {
                let (origin, host) = (self.source.host, self.sinks[sink].host);
                (origin, self.net.connect(origin, host))
            }
        };
        if !by_relay {
            let diary = |fan: &Self| fan.source.diary(connection).connected;
            assert!(self.run(SECOND * 5, diary));
        }
        let mut view = self.net.host(host).endpoint.connection(connection).expect("alive");
        let stream = view.open(Dir::Uni, options).expect("a stream");
        let body = Bytes::from(self.stored[at as usize..].to_vec());
        let mut out = view.send(stream).expect("a stream");
        out.forward(at, body).expect("open");
        out.finish().expect("open");
    }
}

/// spec: R-PIPE-2 R-PIPE-9 R-PIPE-11 R-FIG-11
#[test]
fn ten_slow_legs_cost_ninety_fast_ones_nothing() {
    // Each leg has a link of its own: nine take as long as ninety.
    let mut alone = Fan::new(9, 0);
    let without = alone.send(9);
    let mut fan = Fan::new(90, 10);
    let with = fan.send(90);
    println!("90 legs: {without:?}; with 10 slow ones: {with:?}");
    assert!(with <= without.mul_f64(1.05), "{with:?} against {without:?}");
    let window = PipeOptions::default().stock;
    println!("held at most {} and {}", alone.most_held, fan.most_held);
    assert!(fan.most_held <= window, "{} bytes are held", fan.most_held);
    assert!(fan.run(SECOND * 5, |fan| fan.stats.is_some()));
    assert_eq!(fan.stats.map(|stats| (stats.detached, stats.held)), Some((10, 0)));
    assert_eq!(fan.net.host(fan.relay).endpoint.stats().legs_detached, 10);
    assert_eq!(fan.stored.len(), SIZE, "the relay has it all");
    // Leg 0 is the relay's own.
    let at = |end: &LegEnd| match end {
        LegEnd::Detached { at } => Some(*at),
        _ => None,
    };
    let detached: Vec<_> = (0..10)
        .map(|slow| (90 + slow, at(&fan.ended[&LegIndex(91 + slow as u32)]).expect("detached")))
        .collect();
    fan.sinks.iter_mut().for_each(|sink| sink.reading = Reading::InOrder);
    let Fan { net, sinks, .. } = &mut fan;
    sinks.iter_mut().for_each(|sink| sink.read_all(net));
    let told = |fan: &Fan| fan.sinks[90..].iter().all(|sink| sink.inn[0].reset.is_some());
    assert!(fan.run(SECOND * 30, told), "who is given up is told so");
    for (sink, at) in &detached {
        let flow = &fan.sinks[*sink].inn[0];
        let code = StreamCode::Detached.app();
        assert_eq!((flow.reset, flow.hop), (Some(code), 0));
        // Some may have come that was not acknowledged yet: the receiver asks for what it lacks.
        let has = flow.read;
        assert!(has >= *at && *at > 0 && has < SIZE as u64, "{at} {has}");
        fan.net.set_link(fan.relay, fan.sinks[*sink].host, link());
        fan.rest(*sink, has, sink % 4 < 2);
    }
    let whole = |fan: &Fan| {
        fan.sinks[90..].iter().all(|sink| sink.inn.get(1).is_some_and(|flow| flow.finished))
    };
    assert!(fan.run(SECOND * 60, whole));
    for sink in &fan.sinks[90..] {
        assert_eq!(sink.inn[1].read, SIZE as u64);
    }
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
    fan.stored = prose(1, SIZE).to_vec();
    fan.rest(0, has, false);
    assert!(fan.run(SECOND * 10, |fan| fan.sinks[0].inn.get(1).is_some_and(|f| f.finished)));
    let took = fan.net.now.saturating_since(stalled);
    println!("{has} of {SIZE} bytes were held; whole {took:?} after the stall");
    let [first, second] = &fan.sinks[0].inn[..] else { panic!("{:?}", fan.sinks[0].inn) };
    assert_eq!((first.read, first.finished), (has, false));
    // The second began where the first stood, and its reader found no gap.
    assert_eq!(second.read, SIZE as u64);
    assert!(took < SECOND * 4, "{took:?}");
}
