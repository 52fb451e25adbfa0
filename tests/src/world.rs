//! A pair of hosts to which anything may happen, told thing by thing; in the end nothing stands in
//! their way any more, and what lives must come to its end.

use std::collections::BTreeSet;
use std::time::Duration;

use aqueduct_core::config::EndpointConfig;
use aqueduct_core::congestion::Algorithm;
use aqueduct_core::endpoint::ConnectionHandle;
use aqueduct_core::error::CloseReason;
use aqueduct_core::stream::Priority;
use aqueduct_core::wire::id::{AppCode, Dir, StreamId};

use crate::app::{App, Pair, Reading, introduction, prose};
use crate::holes::{HOLED, Scattered};
use crate::link::LinkConfig;
use crate::net::{HostId, Net, UDP};

const SECOND: Duration = Duration::from_secs(1);

/// Which of the two hosts: who dialed, or who answered.
pub const HOSTS: [HostId; 2] = [HostId(0), HostId(1)];

/// A pair, and what a run must remember of what it did to it.
pub struct World {
    /// The hosts and their applications.
    pub pair: Pair,
    /// Streams that somebody gave up, with the sender's host.
    pub given_up: BTreeSet<(HostId, StreamId)>,
    /// Whole messages that were taken for sending, of each host.
    pub sent_messages: [usize; 2],
    ports: u16,
    salt: u64,
}

impl World {
    /// Two connected hosts on a good link, reading as they are told.
    pub fn new(seed: u64, nodes: [EndpointConfig; 2]) -> Self {
        let mut net = Net::new(seed, LinkConfig::default());
        let [a, b] = nodes;
        let (a, b) = (net.add(a, seed * 2), net.add(b, seed * 2 + 1));
        Self::of(Pair::connect(net, a, b))
    }

    /// A pair that is there.
    pub fn of(pair: Pair) -> Self {
        let given_up = BTreeSet::new();
        Self { pair, given_up, sent_messages: [0; 2], ports: 7_000, salt: 0 }
    }

    /// How the two applications read from now on.
    pub fn read(&mut self, ways: [Reading; 2]) {
        [self.pair.a.reading, self.pair.b.reading] = ways;
    }

    /// One host's end of the connection.
    pub fn handle(&self, host: HostId) -> ConnectionHandle {
        if host == self.pair.a.host { self.pair.at_a } else { self.pair.at_b }
    }

    /// One host's application, with the network.
    fn app(&mut self, host: HostId) -> (&mut App, &mut Net) {
        let Pair { net, a, b, .. } = &mut self.pair;
        (if host == a.host { a } else { b }, net)
    }

    /// Opens a stream, if it may, and writes a text of `len` bytes to its end.
    pub fn open(&mut self, host: HostId, dir: Dir, len: usize) {
        self.salt += 1;
        let (salt, handle) = (self.salt, self.handle(host));
        let (app, net) = self.app(host);
        let Some(mut view) = net.host(host).endpoint.connection(handle) else { return };
        let Ok(stream) = view.open(dir, introduction(salt)) else { return };
        drop(view);
        app.answer(net, handle, stream, salt, len);
        if dir == Dir::Bi {
            app.expect(handle, stream, salt);
        }
    }

    /// Opens a stream, if it may, and writes a text of `len` bytes with holes, from `start` on.
    pub fn scatter(&mut self, host: HostId, start: u64, len: u64) {
        self.salt += 1;
        let (salt, handle) = (self.salt | HOLED, self.handle(host));
        let (app, net) = self.app(host);
        let Some(mut view) = net.host(host).endpoint.connection(handle) else { return };
        let mut options = introduction(salt);
        options.start = start;
        let Ok(stream) = view.open(Dir::Uni, options) else { return };
        drop(view);
        app.scatter(net, handle, stream, Scattered::new(salt, start, len));
    }

    /// The stream that a host began to write as number `pick` is of another class.
    pub fn reclass(&mut self, host: HostId, pick: usize, class: Priority) {
        let handle = self.handle(host);
        let (app, net) = self.app(host);
        let Some(stream) = app.out.get(pick).map(|flow| flow.stream) else { return };
        let Some(mut view) = net.host(host).endpoint.connection(handle) else { return };
        if let Some(mut sending) = view.send(stream) {
            sending.set_priority(class);
        }
    }

    /// A host has another controller.
    pub fn control(&mut self, host: HostId, algorithm: Algorithm) {
        let handle = self.handle(host);
        if let Some(mut view) = self.pair.net.host(host).endpoint.connection(handle) {
            view.set_controller(algorithm);
        }
    }

    /// A host may send so many bytes a second, or as many as it can.
    pub fn limit(&mut self, host: HostId, rate: Option<u64>) {
        let now = self.pair.net.local(host);
        self.pair.net.host(host).endpoint.set_limit(rate, now);
    }

    /// Answers whatever came in both directions and has no answer yet.
    pub fn answer(&mut self) {
        let Pair { net, a, b, .. } = &mut self.pair;
        for app in [a, b] {
            let opened: Vec<_> = app
                .inn
                .iter()
                .filter(|flow| flow.stream.dir() == Dir::Bi)
                .map(|flow| (flow.connection, flow.stream, flow.salt()))
                .collect();
            for (connection, stream, salt) in opened {
                if let Some(salt) = salt
                    && app.outflow(connection, stream).is_none()
                {
                    app.answer(net, connection, stream, salt, 2_000);
                }
            }
        }
    }

    /// Streams that a host has begun to write so far.
    pub fn written(&mut self, host: HostId) -> usize {
        self.app(host).0.out.len()
    }

    /// A host gives up the stream that it began to write as number `pick`, if there is one.
    pub fn reset(&mut self, host: HostId, pick: usize) -> bool {
        let handle = self.handle(host);
        let (app, net) = self.app(host);
        let Some(stream) = app.out.get(pick).map(|flow| flow.stream) else { return false };
        let Some(mut view) = net.host(host).endpoint.connection(handle) else { return true };
        let there = view.send(stream).map(|mut sending| sending.reset(AppCode(7))).is_some();
        drop(view);
        if there {
            self.given_up.insert((host, stream));
        }
        true
    }

    /// A host wants no more of the stream that it began to read as number `pick`.
    pub fn stop(&mut self, host: HostId, pick: usize) {
        let handle = self.handle(host);
        let (app, net) = self.app(host);
        let Some(stream) = app.inn.get(pick).map(|flow| flow.stream) else { return };
        let Some(mut view) = net.host(host).endpoint.connection(handle) else { return };
        let there = view.recv(stream).map(|mut reading| reading.stop(AppCode(8))).is_some();
        drop(view);
        if there {
            self.given_up.insert((HostId(1 - host.0), stream));
        }
    }

    /// A host sends a message.
    pub fn message(&mut self, host: HostId, len: usize) {
        let handle = self.handle(host);
        let mut view = self.pair.net.host(host).endpoint.connection(handle);
        let sent = view.as_mut().map(|view| view.send_message(prose(3, len)).is_ok());
        self.sent_messages[host.0] += usize::from(sent == Some(true));
    }

    /// A host sends a datagram.
    pub fn datagram(&mut self, host: HostId, len: usize) {
        let handle = self.handle(host);
        if let Some(mut view) = self.pair.net.host(host).endpoint.connection(handle) {
            let _ = view.send_datagram(prose(4, len));
        }
    }

    /// A host's address changes its port, and the host does not know.
    pub fn rebind(&mut self, host: HostId) {
        self.ports += 1;
        self.pair.net.rebind(host, self.ports);
    }

    /// What the link that leads away from a host does from now on.
    pub fn link(&mut self, from: HostId) -> &mut LinkConfig {
        let (here, there) = (self.addr(from), self.addr(HostId(1 - from.0)));
        &mut self.pair.net.link(here, there).config
    }

    fn addr(&self, host: HostId) -> std::net::SocketAddr {
        self.pair.net.hosts[host.0].addr
    }

    /// A host's socket takes nothing for so long.
    pub fn block(&mut self, host: HostId, time: Duration) {
        self.pair.net.block(host, UDP, true);
        self.pair.pass(time);
        self.pair.net.block(host, UDP, false);
    }

    /// Nothing that a host sends comes through for so long.
    pub fn dark(&mut self, from: HostId, time: Duration) {
        self.link(from).loss = 1_000;
        self.pair.pass(time);
        self.link(from).loss = 0;
    }

    /// Whether neither end has ended.
    pub fn alive(&self) -> bool {
        self.ends().is_empty()
    }

    /// Why it ended, on either side.
    ///
    /// # Panics
    /// If it was for anything else than silence: between honest peers there is no other cause.
    pub fn ends(&self) -> Vec<CloseReason> {
        let Pair { a, b, at_a, at_b, .. } = &self.pair;
        let ends: Vec<_> =
            [a.diary(*at_a).closed, b.diary(*at_b).closed].into_iter().flatten().collect();
        for end in &ends {
            let silence = matches!(
                end,
                CloseReason::PeerLost { .. } | CloseReason::IdleTimeout(_) | CloseReason::Reset
            );
            assert!(silence, "{end}");
        }
        ends
    }

    /// What is not done although nothing stands in its way.
    fn undone(&self) -> Vec<String> {
        let mut left = Vec::new();
        let given_up = &self.given_up;
        for app in [&self.pair.a, &self.pair.b] {
            let live = |host: HostId, stream| !given_up.contains(&(host, stream));
            let out = app
                .out
                .iter()
                .filter(|flow| !flow.delivered && !flow.stopped && live(app.host, flow.stream));
            left.extend(out.map(|flow| format!("{:?} {flow:?}", app.host).replace('\\', "")));
            let inn = app.inn.iter().filter(|flow| {
                !flow.finished && flow.reset.is_none() && live(HostId(1 - app.host.0), flow.stream)
            });
            left.extend(inn.map(|flow| format!("{:?} {flow:?}", app.host)));
        }
        let got: [usize; 2] = [&self.pair.b, &self.pair.a]
            .map(|app| app.connections().iter().map(|c| app.diary(*c).messages.len()).sum());
        if got != self.sent_messages {
            left.push(format!("messages sent {:?}, got {got:?}", self.sent_messages));
        }
        left
    }

    /// Both links are good from now on, and nobody is limited. What lives comes to its end, within
    /// a minute; then both say goodbye, and nothing is left at either host.
    ///
    /// # Panics
    /// If not.
    pub fn quiet(&mut self) {
        for from in HOSTS {
            *self.link(from) = LinkConfig { rate: Some(10_000_000), ..LinkConfig::default() };
            self.limit(from, None);
        }
        let mut left = Vec::new();
        for _ in 0..60 {
            self.answer();
            self.pair.pass(SECOND);
            left = self.undone();
            if left.is_empty() || !self.alive() {
                break;
            }
        }
        assert!(left.is_empty() || !self.alive(), "left undone:\n{}", left.join("\n"));
        for host in HOSTS {
            let handle = self.handle(host);
            if let Some(mut view) = self.pair.net.host(host).endpoint.connection(handle) {
                view.close(AppCode(0), b"done");
            }
        }
        // Three probe time-outs, which is long after a link that was slow.
        self.pair.pass(SECOND * 300);
        for host in &self.pair.net.hosts {
            let stats = host.endpoint.stats();
            assert_eq!((stats.connections, stats.half_open, stats.budget_committed), (0, 0, 0));
        }
    }
}
