//! Bulk flows that share a bottleneck: each pair of hosts has a delay of its own, and all of them
//! one queue.
//!
//! ```text
//!   source 0 ──┐                       ┌── delay 0 ──▶ sink 0
//!   source 1 ──┼── before ── Queue ────┼── delay 1 ──▶ sink 1
//! ```

use std::time::Duration;

use aqueduct_core::config::EndpointConfig;
use aqueduct_core::congestion::Algorithm;
use aqueduct_core::connection::{ConnectionStats, EventKind};
use aqueduct_core::endpoint::ConnectionHandle;
use aqueduct_core::stream::{OpenOptions, StreamProtocol};
use aqueduct_core::time::Instant;
use aqueduct_core::wire::id::{Dir, StreamId};
use bytes::Bytes;

use super::lab::config;
use crate::app::prose;
use crate::link::{Delay, LinkConfig, Machine, Queue};
use crate::net::{HostId, Net, StageId};

/// What a stream of a source holds: with the megabyte that it is unless configured, a stream cannot
/// have more in flight, and fills no path of more than a megabyte.
const SEND_BUFFER: u64 = 16 << 20;

/// What one write offers.
const CHUNK: usize = 65_536;

/// What flows carry is the same again after so many bytes: no packet or buffer has as many.
const PERIOD: usize = 65_521;

/// What flows carry, from any byte of the period on, so much that a chunk is one slice of it.
fn pattern() -> Bytes {
    let period = prose(7, PERIOD);
    period.iter().copied().cycle().take(PERIOD + CHUNK).collect()
}

/// Whether these are the bytes from `at` on.
fn is_pattern(pattern: &[u8], at: u64, bytes: &[u8]) -> bool {
    (at..).step_by(CHUNK).zip(bytes.chunks(CHUNK)).all(|(at, bytes)| {
        let first = (at % PERIOD as u64) as usize;
        pattern[first..][..bytes.len()] == *bytes
    })
}

/// A host of this number whose transport has this controller, stays through silence, and holds what
/// a long path needs.
pub fn controlled(number: u8, algorithm: Algorithm) -> EndpointConfig {
    let config = config(number);
    let transport = config.transport().clone().with_controller(algorithm);
    let transport = transport.with_keep_alive(Some(Duration::from_secs(10)));
    config.with_transport(transport.with_send_buffer(SEND_BUFFER).expect("within bounds"))
}

/// Who sends, and who receives.
#[derive(Debug)]
pub struct Flow {
    source: HostId,
    sink: HostId,
    at_source: ConnectionHandle,
    stream: Option<StreamId>,
    inn: Vec<(ConnectionHandle, StreamId)>,
    /// Bytes that the application still has, and that it gave away.
    left: u64,
    given: u64,
    finish: bool,
    /// Bytes that the sink read.
    pub read: u64,
    /// The source knows that all has arrived.
    pub delivered: bool,
}

/// The network, with flows.
pub struct Bulk {
    /// The network.
    pub net: Net,
    /// The flows, in the order in which they were added.
    pub flows: Vec<Flow>,
    before: Vec<StageId>,
    queue: StageId,
    pattern: Bytes,
}

impl Bulk {
    /// A bottleneck, and machines before it.
    pub fn new(seed: u64, before: Vec<Box<dyn Machine>>, queue: Queue) -> Self {
        let mut net = Net::new(seed, LinkConfig::default());
        let before = before.into_iter().map(|machine| net.place_boxed(machine)).collect();
        let queue = net.place(queue);
        Self { net, flows: Vec::new(), before, queue, pattern: pattern() }
    }

    /// A pair of hosts this far from each other, with machines on the way back; they connect.
    /// Returns its number, and the machines of its delay forth and back.
    ///
    /// # Panics
    /// If five handshakes fail.
    pub fn add(
        &mut self,
        algorithm: Algorithm,
        rtt: Duration,
        back: Vec<Box<dyn Machine>>,
    ) -> (usize, [StageId; 2]) {
        let number = self.net.hosts.len() as u8;
        let source = self.net.add(controlled(number, algorithm), number.into());
        let sink = self.net.add(controlled(number + 1, algorithm), u64::from(number) + 1);
        let delays = [0, 1].map(|_| self.net.place(Delay::of(rtt / 2)));
        let forth: Vec<_> = self.before.iter().copied().chain([self.queue, delays[0]]).collect();
        let mut road: Vec<_> = back.into_iter().map(|it| self.net.place_boxed(it)).collect();
        road.push(delays[1]);
        self.net.set_road(source, sink, &forth);
        self.net.set_road(sink, source, &road);
        let flow = self.flows.len();
        for _ in 0..5 {
            let at_source = self.net.connect(source, sink);
            let mut up = None;
            self.run(Duration::from_secs(20), |bulk| {
                for event in &bulk.net.hosts[source.0].events {
                    match event.kind {
                        EventKind::Connected if event.connection == at_source => up = Some(true),
                        EventKind::Closed(_) => up = Some(false),
                        _ => {}
                    }
                }
                up.is_some()
            });
            if up == Some(true) {
                let (stream, inn) = (None, Vec::new());
                let (left, given, finish, read, delivered) = (0, 0, false, 0, false);
                self.flows.push(Flow {
                    source,
                    sink,
                    at_source,
                    stream,
                    inn,
                    left,
                    given,
                    finish,
                    read,
                    delivered,
                });
                return (flow, delays);
            }
        }
        panic!("five handshakes failed");
    }

    /// The bottleneck.
    pub const fn bottleneck(&self) -> StageId {
        self.queue
    }

    /// The bottleneck is another from now on.
    pub fn change(&mut self, stage: StageId, machine: impl Machine + 'static) {
        self.net.stage(stage).machine = Box::new(machine);
    }

    /// A flow has so many bytes more to send, on one stream; with `finish`, that is all.
    ///
    /// # Panics
    /// If no stream can be opened.
    pub fn give(&mut self, flow: usize, bytes: u64, finish: bool) {
        let it = &mut self.flows[flow];
        it.left += bytes;
        it.finish |= finish;
        if it.stream.is_none() {
            let endpoint = &mut self.net.host(it.source).endpoint;
            let mut view = endpoint.connection(it.at_source).expect("a live connection");
            let options = OpenOptions::new(StreamProtocol::name("bulk"));
            it.stream = Some(view.open(Dir::Uni, options).expect("a stream"));
        }
        self.pump(flow);
    }

    /// A flow has nothing more to send.
    pub fn stop(&mut self, flow: usize) {
        self.flows[flow].left = 0;
    }

    /// What the source of a flow counts.
    ///
    /// # Panics
    /// If the connection has ended.
    pub fn stats(&mut self, flow: usize) -> ConnectionStats {
        let it = &self.flows[flow];
        let view = self.net.hosts[it.source.0].endpoint.connection(it.at_source);
        view.expect("a live connection").stats()
    }

    /// Time now.
    pub const fn now(&self) -> Instant {
        self.net.now
    }

    /// Runs for at most `limit` until `done`. Returns whether it was done.
    pub fn run(&mut self, limit: Duration, mut done: impl FnMut(&mut Self) -> bool) -> bool {
        let until = self.net.now + limit;
        loop {
            (0..self.flows.len()).for_each(|flow| self.turn(flow));
            if done(self) {
                return true;
            }
            if !self.net.step(until) {
                (0..self.flows.len()).for_each(|flow| self.turn(flow));
                return done(self);
            }
        }
    }

    /// Lets time pass.
    pub fn pass(&mut self, time: Duration) {
        self.run(time, |_| false);
    }

    /// Bytes that each flow read in each of so many intervals.
    pub fn watch(&mut self, intervals: usize, time: Duration) -> Vec<Vec<u64>> {
        let read = |bulk: &Self| bulk.flows.iter().map(|flow| flow.read).collect::<Vec<_>>();
        let mut before = read(self);
        let mut out = Vec::new();
        for _ in 0..intervals {
            self.pass(time);
            let now = read(self);
            out.push(now.iter().zip(&before).map(|(now, before)| now - before).collect());
            before = now;
        }
        out
    }

    fn turn(&mut self, flow: usize) {
        let it = &mut self.flows[flow];
        let (source, sink) = (it.source, it.sink);
        if !self.net.hosts[source.0].events.is_empty() {
            let mut writable = false;
            for event in self.net.host(source).events.drain(..) {
                match event.kind {
                    EventKind::Writable(_) => writable = true,
                    EventKind::Delivered(_) => it.delivered = true,
                    EventKind::Closed(why) => panic!("flow {flow} ended: {why}"),
                    _ => {}
                }
            }
            if writable {
                self.pump(flow);
            }
        }
        if !self.net.hosts[sink.0].events.is_empty() {
            self.read(flow);
        }
    }

    fn pump(&mut self, flow: usize) {
        let it = &mut self.flows[flow];
        let endpoint = &mut self.net.host(it.source).endpoint;
        let Some(mut view) = endpoint.connection(it.at_source) else { return };
        let Some(mut stream) = it.stream.and_then(|stream| view.send(stream)) else { return };
        while it.left > 0 {
            let most = it.left.min(CHUNK as u64) as usize;
            let first = (it.given % PERIOD as u64) as usize;
            match stream.write(self.pattern.slice(first..first + most)) {
                Ok(taken) if taken > 0 => {
                    it.left -= taken as u64;
                    it.given += taken as u64;
                }
                _ => return,
            }
        }
        if it.finish {
            it.finish = stream.finish().is_err();
        }
    }

    fn read(&mut self, flow: usize) {
        let it = &mut self.flows[flow];
        let host = self.net.host(it.sink);
        let events: Vec<_> = host.events.drain(..).collect();
        for event in events {
            let endpoint = &mut host.endpoint;
            if event.kind == EventKind::StreamAvailable {
                let accepted = endpoint.connection(event.connection).and_then(|mut c| c.accept());
                it.inn.extend(accepted.map(|stream| (event.connection, stream)));
            }
            for (connection, stream) in &it.inn {
                let Some(mut view) = endpoint.connection(*connection) else { continue };
                while let Some(mut stream) = view.recv(*stream) {
                    let Ok(Some(chunk)) = stream.read_chunk(usize::MAX) else { break };
                    assert_eq!(chunk.offset, it.read, "flow {flow}: bytes from elsewhere");
                    let right = is_pattern(&self.pattern, chunk.offset, &chunk.data);
                    assert!(right, "flow {flow}: wrong bytes at {}", chunk.offset);
                    it.read += chunk.data.len() as u64;
                    stream.release(chunk.data.len() as u64);
                }
            }
        }
    }
}
