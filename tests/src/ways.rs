//! A chain of relays with a branch, to all of which anything may happen, told thing by thing; in
//! the end nothing stands in anybody's way any more, and every stream must have come to its end.

use std::collections::BTreeSet;
use std::time::Duration;

use aqueduct_core::config::EndpointConfig;
use aqueduct_core::connection::EventKind;
use aqueduct_core::endpoint::ConnectionHandle;
use aqueduct_core::wire::id::{AppCode, Dir};

use crate::app::{App, Reading, introduction};
use crate::link::LinkConfig;
use crate::net::{HostId, UDP};
use crate::relay::{Chain, Forwarding};

const SECOND: Duration = Duration::from_secs(1);

/// A source, relays in a row, a sink, and a second sink at the first relay.
pub struct Ways {
    /// All but the second sink.
    pub chain: Chain,
    /// The second sink.
    pub branch: App,
    /// Streams that the source and the sink began.
    pub opened: usize,
    /// Where the text of each of those ends; they are numbered from 1 on.
    texts: Vec<u64>,
    /// Hosts whose applications gave up a connection.
    pub closed: BTreeSet<HostId>,
    ports: u16,
}

impl Ways {
    /// `hops` links in a row.
    pub fn new(
        seed: u64,
        hops: usize,
        mut configure: impl FnMut(EndpointConfig) -> EndpointConfig,
    ) -> Self {
        let link = LinkConfig::default();
        let mut chain = Chain::with(seed, hops, link, Forwarding::CutThrough, &mut configure);
        let key = aqueduct_core::crypto::identity::NodeKey::from_seed(&[200; 32]);
        let branch = chain.net.add(configure(EndpointConfig::new(key)), seed ^ 0xb4a);
        let first = chain.relays.first_mut().expect("a relay");
        let way = crate::transfer::connected(&mut chain.net, first.host, branch).0;
        first.next.push(way);
        let (opened, texts, closed) = (0, Vec::new(), BTreeSet::new());
        Self { chain, branch: App::new(branch), opened, texts, closed, ports: 9_000 }
    }

    /// Who writes and reads.
    const fn apps(&self) -> [&App; 3] {
        [&self.chain.source, &self.chain.sink, &self.branch]
    }

    /// How many hosts there are.
    pub fn hosts(&self) -> usize {
        self.chain.net.hosts.len()
    }

    /// How the two sinks read from now on.
    pub fn read(&mut self, ways: [Reading; 2]) {
        [self.chain.sink.reading, self.branch.reading] = ways;
    }

    /// Time passes.
    pub fn pass(&mut self, time: Duration) {
        let Self { chain, branch, .. } = self;
        chain.run(time, |chain| {
            branch.turn(&mut chain.net);
            false
        });
    }

    /// Somebody begins a stream: the source, or the sink the other way.
    pub fn open(&mut self, back: bool, len: usize) {
        let Chain { net, source, sink, out, .. } = &mut self.chain;
        let (app, handle) = match back {
            false => (source, *out),
            true => {
                let handle = net.host(sink.host).accepted.last().copied();
                (sink, handle.expect("the last relay's connection"))
            }
        };
        let salt = self.opened as u64 + 1;
        let Some(mut view) = net.host(app.host).endpoint.connection(handle) else { return };
        let Ok(stream) = view.open(Dir::Uni, introduction(salt)) else { return };
        drop(view);
        app.answer(net, handle, stream, salt, len);
        self.opened += 1;
        self.texts.push(len as u64);
    }

    /// The source gives up the stream that it began as number `pick`.
    pub fn reset(&mut self, pick: usize) {
        let Chain { net, source, .. } = &mut self.chain;
        let Some(flow) = source.out.get_mut(pick) else { return };
        let view = net.host(source.host).endpoint.connection(flow.connection);
        if let Some(mut view) = view
            && let Some(mut out) = view.send(flow.stream)
        {
            out.reset(AppCode(7));
            flow.stopped = true;
        }
    }

    /// A sink wants no more of the stream that came as number `pick`.
    pub fn stop(&mut self, branch: bool, pick: usize) {
        let Self { chain: Chain { net, sink, .. }, branch: other, .. } = self;
        let app = if branch { other } else { sink };
        let Some(flow) = app.inn.get_mut(pick) else { return };
        let view = net.host(app.host).endpoint.connection(flow.connection);
        if let Some(mut view) = view
            && let Some(mut stream) = view.recv(flow.stream)
        {
            stream.stop(AppCode(8));
            flow.ignored = true;
        }
    }

    /// The application of a relay cancels a pipe, or takes its way on away.
    pub fn meddle(&mut self, relay: usize, pick: usize, close: bool) {
        let relays = self.chain.relays.len();
        let relay = &self.chain.relays[relay % relays];
        let endpoint = &mut self.chain.net.host(relay.host).endpoint;
        if close {
            if let Some(mut view) = endpoint.connection(relay.next[0]) {
                view.close(AppCode(3), b"no more");
                self.closed.insert(relay.host);
            }
        } else if let Some(id) = relay.pipes.get(pick)
            && let Some(mut pipe) = endpoint.piped(*id)
        {
            pipe.cancel(AppCode(9));
        }
    }

    /// A host's address changes its port, and the host does not know.
    pub fn rebind(&mut self, host: HostId) {
        self.ports += 1;
        self.chain.net.rebind(host, self.ports);
    }

    /// What links between two hosts do from now on, each way for itself.
    pub fn link(&mut self, from: HostId, to: HostId, config: LinkConfig) {
        let addr = |host: HostId| self.chain.net.hosts[host.0].addr;
        let (from, to) = (addr(from), addr(to));
        self.chain.net.link(from, to).config = config;
    }

    /// A host's socket takes nothing for so long.
    pub fn block(&mut self, host: HostId, time: Duration) {
        self.chain.net.block(host, UDP, true);
        self.pass(time);
        self.chain.net.block(host, UDP, false);
    }

    /// A host stands still for so long, and what is sent to it is lost.
    pub fn sleep(&mut self, host: HostId, time: Duration) {
        self.chain.net.sleep(host, true);
        self.pass(time);
        self.chain.net.sleep(host, false);
    }

    /// Connections that ended, as far as anybody noticed.
    pub fn ended(&self) -> Vec<(HostId, ConnectionHandle)> {
        let mut ended = Vec::new();
        for app in self.apps() {
            let (out, inn) = (app.out.iter(), app.inn.iter());
            let all = out.map(|flow| flow.connection).chain(inn.map(|flow| flow.connection));
            let closed = all.filter(|connection| app.diary(*connection).closed.is_some());
            ended.extend(closed.map(|connection| (app.host, connection)));
        }
        for relay in &self.chain.relays {
            let closed = |(_, kind): &&(_, EventKind)| matches!(kind, EventKind::Closed(_));
            ended.extend(relay.events.iter().filter(closed).map(|(of, _)| (relay.host, *of)));
        }
        ended
    }

    /// What has no end although nothing stands in its way.
    fn undone(&self) -> Vec<String> {
        let ended = self.ended();
        let alive = |host, connection| !ended.contains(&(host, connection));
        let mut left = Vec::new();
        for app in self.apps() {
            let out = app.out.iter().filter(|flow| !flow.delivered && !flow.stopped);
            let out = out.filter(|flow| alive(app.host, flow.connection));
            left.extend(out.map(|flow| format!("{:?} writes {:?}", app.host, flow.stream)));
            let inn = app.inn.iter().filter(|flow| !flow.finished && flow.reset.is_none());
            let inn = inn.filter(|flow| alive(app.host, flow.connection) && !flow.ignored);
            left.extend(inn.map(|flow| format!("{:?} reads {flow:?}", app.host)));
        }
        for relay in &self.chain.relays {
            let pipes = self.chain.net.hosts[relay.host.0].endpoint.stats().pipes;
            if pipes > 0 {
                left.push(format!("{:?} has {pipes} pipes", relay.host));
            }
        }
        left
    }

    /// What came to its end came whole, whatever happened on the way.
    fn judge(&self) {
        for app in self.apps() {
            for flow in app.inn.iter().filter(|flow| flow.finished) {
                let salt = flow.salt().expect("a text that was read");
                let len = self.texts.get(salt as usize - 1);
                assert_eq!(len, Some(&flow.read), "a text ended elsewhere: {flow:?}");
            }
        }
    }

    /// All links are good from now on. Every stream comes to its end within two minutes and a
    /// half, which is longer than a pipe waits; then all say goodbye, and nothing is left anywhere.
    ///
    /// # Panics
    /// If not.
    pub fn quiet(&mut self) {
        let good = LinkConfig { rate: Some(10_000_000), ..LinkConfig::default() };
        let hosts = self.hosts();
        for (from, to) in (0..hosts).flat_map(|from| (0..hosts).map(move |to| (from, to))) {
            self.link(HostId(from), HostId(to), good);
        }
        let mut left = Vec::new();
        for _ in 0..150 {
            self.pass(SECOND);
            left = self.undone();
            if left.is_empty() {
                break;
            }
        }
        assert!(left.is_empty(), "left undone:\n{}", left.join("\n"));
        self.judge();
        let Chain { net, source, out, relays, .. } = &mut self.chain;
        let onwards = relays.iter().flat_map(|relay| relay.next.iter().map(|to| (relay.host, *to)));
        for (host, handle) in onwards.chain([(source.host, *out)]) {
            if let Some(mut view) = net.host(host).endpoint.connection(handle) {
                view.close(AppCode(0), b"done");
            }
        }
        self.pass(SECOND * 300);
        for host in &self.chain.net.hosts {
            let stats = host.endpoint.stats();
            assert_eq!((stats.connections, stats.half_open, stats.budget_committed), (0, 0, 0));
            assert_eq!((stats.pipes, stats.pipe_bytes), (0, 0));
        }
        for app in self.apps() {
            assert_eq!(app.lingering(), [], "{:?} was not told that all is over", app.host);
        }
    }
}
