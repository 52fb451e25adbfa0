//! Relays on hosts, and chains of them: a source, any number of relays, a sink.

use std::time::Duration;

use aqueduct_core::config::EndpointConfig;
use aqueduct_core::connection::EventKind;
use aqueduct_core::crypto::identity::NodeKey;
use aqueduct_core::endpoint::{ConnectionHandle, Endpoint, Leg, PipeEvent, PipeId, StreamAddr};
use aqueduct_core::error::StreamCode;
use aqueduct_core::flow::Window;
use aqueduct_core::pipe::PipeOptions;
use aqueduct_core::stream::ReadError;
use aqueduct_core::time::Instant;
use aqueduct_core::wire::id::{Dir, StreamId};
use bytes::Bytes;

use crate::app::App;
use crate::link::LinkConfig;
use crate::net::{HostId, Net};
use crate::provider::FAST;

/// How a relay passes a stream on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Forwarding {
    /// The whole stream first, then out again: what a relay without pipes does.
    StoreAndForward,
    /// By `read` and `write`, with all that the send buffer takes beside the window.
    Copy,
    /// As a pipe, but what was read in order: waits for every gap. Credit goes back for what the
    /// next hop acknowledged, in a window of the pipe's stock from the start.
    InOrder,
    /// A pipe.
    CutThrough,
}

/// A stream that is copied by the application, in order.
#[derive(Clone, Debug)]
struct Copying {
    from: StreamAddr,
    to: StreamAddr,
    read: Vec<Bytes>,
    /// Bytes given on; and those of them that were released.
    given: u64,
    released: u64,
    ended: bool,
    finished: bool,
}

/// The application of a relay: every stream that comes goes to all of `next`.
pub struct Relay {
    /// Where it runs.
    pub host: HostId,
    /// How it forwards.
    pub forwarding: Forwarding,
    /// How its pipes behave.
    pub options: PipeOptions,
    /// Where streams go.
    pub next: Vec<ConnectionHandle>,
    /// Where streams go that come from there.
    pub back: Option<ConnectionHandle>,
    /// Pipes that it made.
    pub pipes: Vec<PipeId>,
    /// What each of them forwards.
    pub piped: Vec<StreamAddr>,
    /// News of its pipes.
    pub news: Vec<PipeEvent>,
    /// News of its connections.
    pub events: Vec<(ConnectionHandle, EventKind)>,
    /// The most that its pipes held at the end of a turn.
    pub most_held: u64,
    copies: Vec<Copying>,
}

impl Relay {
    /// A relay that knows nobody yet.
    pub fn new(host: HostId, forwarding: Forwarding) -> Self {
        Self {
            host,
            forwarding,
            options: PipeOptions::default(),
            next: Vec::new(),
            back: None,
            pipes: Vec::new(),
            piped: Vec::new(),
            news: Vec::new(),
            events: Vec::new(),
            most_held: 0,
            copies: Vec::new(),
        }
    }

    /// Takes the news and acts on them.
    pub fn turn(&mut self, net: &mut Net) {
        let host = net.host(self.host);
        let news: Vec<_> = host.events.drain(..).collect();
        self.news.extend(host.pipe_events.drain(..));
        let endpoint = &mut host.endpoint;
        for event in news {
            match event.kind {
                EventKind::StreamAvailable => self.accept(endpoint, event.connection),
                EventKind::Readable(stream) => {
                    self.copy(endpoint, StreamAddr { connection: event.connection, stream });
                }
                EventKind::Writable(stream)
                | EventKind::Acked(stream)
                | EventKind::Delivered(stream) => {
                    self.copy(endpoint, StreamAddr { connection: event.connection, stream });
                }
                kind => self.events.push((event.connection, kind)),
            }
        }
        self.most_held = self.most_held.max(endpoint.stats().pipe_bytes);
    }

    fn accept(&mut self, endpoint: &mut Endpoint, connection: ConnectionHandle) {
        while let Some(stream) = endpoint.connection(connection).and_then(|mut c| c.accept()) {
            let from = StreamAddr { connection, stream };
            let to = match self.legs(endpoint, from) {
                Ok(to) => to,
                Err(code) => {
                    let view = endpoint.connection(connection);
                    let mut view = view.expect("it spoke");
                    view.recv(stream).expect("it spoke").stop(code.app());
                    continue;
                }
            };
            if self.forwarding == Forwarding::CutThrough {
                let legs: Vec<_> = to.into_iter().map(Leg::Stream).collect();
                self.pipes.push(endpoint.pipe(from, &legs, self.options).expect("a pipe"));
                self.piped.push(from);
            } else {
                let to = *to.first().expect("somewhere to go");
                if self.forwarding == Forwarding::InOrder {
                    Copying::begin(endpoint, from, to, self.options.stock);
                }
                let (read, ended, finished) = (Vec::new(), false, false);
                let (given, released) = (0, 0);
                self.copies.push(Copying { from, to, read, given, released, ended, finished });
                self.copy(endpoint, from);
            }
        }
    }

    /// Streams for what comes on `from`: one for each next hop that can be had.
    fn legs(
        &self,
        endpoint: &mut Endpoint,
        from: StreamAddr,
    ) -> Result<Vec<StreamAddr>, StreamCode> {
        let view = endpoint.connection(from.connection).expect("it spoke");
        let options = view.stream_info(from.stream).and_then(|info| info.forwarded());
        let options = options.ok_or(StreamCode::HopLimit)?;
        drop(view);
        let returns = self.next.contains(&from.connection);
        let back = self.back.as_ref().filter(|_| returns);
        let next = back.map_or(&self.next[..], std::slice::from_ref);
        let open = |to: &ConnectionHandle| {
            let stream = endpoint.connection(*to)?.open(Dir::Uni, options.clone()).ok()?;
            Some(StreamAddr { connection: *to, stream })
        };
        let legs: Vec<_> = next.iter().filter_map(open).collect();
        if legs.is_empty() { Err(StreamCode::Unreachable) } else { Ok(legs) }
    }

    /// Moves what can be moved of the copies that a stream belongs to.
    fn copy(&mut self, endpoint: &mut Endpoint, stream: StreamAddr) {
        let stored = self.forwarding == Forwarding::StoreAndForward;
        let concerned = self.copies.iter_mut().filter(|c| c.from == stream || c.to == stream);
        for copying in concerned {
            if self.forwarding == Forwarding::InOrder {
                copying.in_order(endpoint);
                continue;
            }
            copying.read(endpoint, stored);
            if !stored || copying.ended {
                copying.write(endpoint);
            }
        }
    }
}

impl Copying {
    fn begin(endpoint: &mut Endpoint, from: StreamAddr, to: StreamAddr, stock: u64) {
        let mut view = endpoint.connection(from.connection).expect("it spoke");
        view.recv(from.stream).expect("it spoke").set_window(Window::Fixed(stock));
        drop(view);
        let mut view = endpoint.connection(to.connection).expect("a live connection");
        view.send(to.stream).expect("just opened").report_acked();
    }

    /// Reads in order, gives on, releases what was acknowledged.
    fn in_order(&mut self, endpoint: &mut Endpoint) {
        let mut acked = self.given;
        if let Some(mut view) = endpoint.connection(self.to.connection)
            && let Some(stream) = view.send(self.to.stream)
        {
            acked = stream.acked_end();
        }
        if let Some(mut view) = endpoint.connection(self.from.connection)
            && let Some(mut stream) = view.recv(self.from.stream)
        {
            stream.release(acked - self.released);
            self.released = acked;
            while let Ok(read) = stream.read_chunk(usize::MAX) {
                let Some(chunk) = read else {
                    self.ended = true;
                    break;
                };
                self.read.push(chunk.data);
            }
        }
        let Some(mut view) = endpoint.connection(self.to.connection) else { return };
        let Some(mut stream) = view.send(self.to.stream) else { return };
        for data in self.read.drain(..) {
            let len = data.len() as u64;
            stream.forward(self.given, data).expect("an open stream");
            self.given += len;
        }
        if self.ended && !self.finished {
            self.finished = stream.finish().is_ok();
        }
    }

    /// Reads; in order, no more than what the next hop takes soon.
    fn read(&mut self, endpoint: &mut Endpoint, all: bool) {
        let Some(mut view) = endpoint.connection(self.from.connection) else { return };
        let Some(mut stream) = view.recv(self.from.stream) else { return };
        while all || self.read.len() < 8 {
            match stream.read_chunk(usize::MAX) {
                Ok(Some(chunk)) => {
                    stream.release(chunk.data.len() as u64);
                    self.read.push(chunk.data);
                }
                Ok(None) => {
                    self.ended = true;
                    return;
                }
                Err(ReadError::Blocked) => return,
                Err(error) => panic!("a relay could not read: {error}"),
            }
        }
    }

    fn write(&mut self, endpoint: &mut Endpoint) {
        loop {
            let Some(mut view) = endpoint.connection(self.to.connection) else { return };
            let Some(mut stream) = view.send(self.to.stream) else { return };
            while let Some(first) = self.read.first_mut() {
                match stream.write(first.clone()) {
                    Ok(taken) if taken == first.len() => _ = self.read.remove(0),
                    Ok(taken) => *first = first.slice(taken..),
                    Err(_) => return,
                }
            }
            if self.ended {
                if !self.finished {
                    self.finished = stream.finish().is_ok();
                }
                return;
            }
            drop(view);
            self.read(endpoint, false);
            if self.read.is_empty() && !self.ended {
                return;
            }
        }
    }
}

/// A source, relays in a row, and a sink, all connected.
pub struct Chain {
    /// The network.
    pub net: Net,
    /// Who writes.
    pub source: App,
    /// The source's connection to the first relay.
    pub out: ConnectionHandle,
    /// The relays in the order of the way.
    pub relays: Vec<Relay>,
    /// Who reads.
    pub sink: App,
}

/// When things happened, counted from the first write.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Passage {
    /// The sink read its first byte.
    pub first_byte: Option<Duration>,
    /// The sink read the end.
    pub whole: Option<Duration>,
}

impl Chain {
    /// `hops` links in a row, each like `link`.
    pub fn new(seed: u64, hops: usize, link: LinkConfig, forwarding: Forwarding) -> Self {
        Self::with(seed, hops, link, forwarding, |config| config)
    }

    /// The same with endpoints of another configuration.
    ///
    /// # Panics
    /// If a handshake fails five times.
    pub fn with(
        seed: u64,
        hops: usize,
        link: LinkConfig,
        forwarding: Forwarding,
        mut configure: impl FnMut(EndpointConfig) -> EndpointConfig,
    ) -> Self {
        let mut net = Net::new(seed, link);
        let hosts: Vec<_> = (0..=hops)
            .map(|at| {
                let number = u8::try_from(at).expect("a short chain");
                let config = EndpointConfig::new(NodeKey::from_seed(&[number + 1; 32]));
                let config = config.with_provider(FAST);
                net.add(configure(config), seed ^ (at as u64 + 1) << 32)
            })
            .collect();
        let mut next = Vec::new();
        for pair in hosts.windows(2) {
            next.push(crate::transfer::connected(&mut net, pair[0], pair[1]));
        }
        let relays = hosts[1..hops].iter().zip(next.windows(2)).map(|(host, ways)| Relay {
            next: vec![ways[1].0],
            back: Some(ways[0].1),
            ..Relay::new(*host, forwarding)
        });
        let relays = relays.collect();
        let (source, sink) = (App::new(hosts[0]), App::new(hosts[hops]));
        Self { net, source, out: next[0].0, relays, sink }
    }

    /// Lets everybody act until `done`, at most for `limit`. Returns whether it was done.
    pub fn run(&mut self, limit: Duration, mut done: impl FnMut(&mut Self) -> bool) -> bool {
        let until = self.net.now + limit;
        loop {
            self.source.turn(&mut self.net);
            self.relays.iter_mut().for_each(|relay| relay.turn(&mut self.net));
            self.sink.turn(&mut self.net);
            if done(self) {
                return true;
            }
            if !self.net.step(until) {
                return done(self);
            }
        }
    }

    /// Opens a stream at the source and writes the text number `salt` to it.
    pub fn write(&mut self, salt: u64, len: usize) -> StreamId {
        self.source.write(&mut self.net, self.out, Dir::Uni, salt, len)
    }

    /// Sends a text from end to end, and says when it was there.
    pub fn pass(&mut self, salt: u64, len: usize, limit: Duration) -> Passage {
        let began: Instant = self.net.now;
        self.write(salt, len);
        let mut passage = Passage::default();
        self.run(limit, |chain| {
            let now = chain.net.now.saturating_since(began);
            let flow = chain.sink.inn.last();
            if flow.is_some_and(|flow| flow.read > 0) {
                passage.first_byte.get_or_insert(now);
            }
            if flow.is_some_and(|flow| flow.finished && flow.read == len as u64) {
                passage.whole.get_or_insert(now);
            }
            passage.whole.is_some()
        });
        passage
    }
}
