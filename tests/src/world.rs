//! A pair of hosts to which anything may happen, told thing by thing; in the end nothing stands in
//! their way any more, and what lives must come to its end.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use aqueduct_core::config::EndpointConfig;
use aqueduct_core::congestion::Algorithm;
use aqueduct_core::endpoint::ConnectionHandle;
use aqueduct_core::error::CloseReason;
use aqueduct_core::stream::Priority;
use aqueduct_core::wire::id::{AppCode, Dir, StreamId};
use bytes::Bytes;

use crate::app::{App, Pair, Reading, introduction, prose};
use crate::holes::{HOLED, Scattered};
use crate::link::LinkConfig;
use crate::net::{HostId, Net, UDP};

const SECOND: Duration = Duration::from_secs(1);

/// Bytes of an answer.
const ANSWER_LEN: usize = 2_000;

/// The text that all messages are the beginning of.
const MESSAGE: u64 = 3;

/// Which of the two hosts: who dialed, or who answered.
pub const HOSTS: [HostId; 2] = [HostId(0), HostId(1)];

/// A pair, and what a run must remember of what it did to it.
pub struct World {
    /// The hosts and their applications.
    pub pair: Pair,
    /// Streams that somebody gave up, with the sender's host.
    pub given_up: BTreeSet<(HostId, StreamId)>,
    /// Those that a reader wants no more of.
    stopped: BTreeSet<(HostId, StreamId)>,
    /// Lengths of the whole messages that were taken for sending, of each host.
    pub sent_messages: [Vec<usize>; 2],
    /// Where each text ends, by who writes it and its number.
    texts: BTreeMap<(HostId, u64), u64>,
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
        let (given_up, texts) = (BTreeSet::new(), BTreeMap::new());
        let (stopped, sent_messages) = (BTreeSet::new(), Default::default());
        Self { pair, given_up, stopped, sent_messages, texts, ports: 7_000, salt: 0 }
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
        self.texts.insert((host, salt), len as u64);
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
        self.texts.insert((host, salt), len);
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
        let Self { pair: Pair { net, a, b, .. }, texts, .. } = self;
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
                    app.answer(net, connection, stream, salt, ANSWER_LEN);
                    texts.insert((app.host, salt), ANSWER_LEN as u64);
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
            self.given_up.insert((other(host), stream));
            self.stopped.insert((host, stream));
        }
    }

    /// A host sends a message.
    pub fn message(&mut self, host: HostId, len: usize) {
        let handle = self.handle(host);
        let mut view = self.pair.net.host(host).endpoint.connection(handle);
        let sent = view.as_mut().map(|view| view.send_message(prose(MESSAGE, len)).is_ok());
        self.sent_messages[host.0].extend((sent == Some(true)).then_some(len));
    }

    /// A host sends a datagram.
    pub fn datagram(&mut self, host: HostId, len: usize) {
        let handle = self.handle(host);
        if let Some(mut view) = self.pair.net.host(host).endpoint.connection(handle) {
            let _ = view.send_datagram(prose(4, len));
        }
    }

    /// A host's address changes its port, and the host does not know. Not so while the host itself
    /// does not know where the other is since that moved: two that move at once have lost each
    /// other, and no transport can help it.
    pub fn rebind(&mut self, host: HostId) {
        let there = self.addr(other(host));
        let mut connections = self.pair.net.hosts[host.0].endpoint.connections();
        if connections.any(|(_, connection)| connection.remote() != there) {
            return;
        }
        drop(connections);
        self.ports += 1;
        self.pair.net.rebind(host, self.ports);
    }

    /// What the link that leads away from a host does from now on.
    pub fn link(&mut self, from: HostId) -> &mut LinkConfig {
        let (here, there) = (self.addr(from), self.addr(other(from)));
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

    /// What is not done although nothing stands in its way. Only who gave a stream up ends it
    /// early: nobody else resets or stops one.
    fn undone(&self) -> Vec<String> {
        let mut left = Vec::new();
        let given_up = &self.given_up;
        for app in [&self.pair.a, &self.pair.b] {
            let live = |host: HostId, stream| !given_up.contains(&(host, stream));
            let out = app.out.iter();
            let out = out.filter(|flow| !flow.delivered && live(app.host, flow.stream));
            left.extend(out.map(|flow| format!("{:?} {flow:?}", app.host).replace('\\', "")));
            let inn = app.inn.iter();
            let inn = inn.filter(|flow| !flow.finished && live(other(app.host), flow.stream));
            let inn = inn
                .filter(|flow| flow.reset.is_none() || !self.is_unheard_of(app.host, flow.stream));
            left.extend(inn.map(|flow| format!("{:?} {flow:?}", app.host)));
            // Who reads on hears that the other gave it up.
            let reads_on = |stream| !self.stopped.contains(&(app.host, stream));
            let inn = app.inn.iter().filter(|flow| !flow.finished && flow.reset.is_none());
            let inn = inn.filter(|flow| !live(other(app.host), flow.stream));
            let inn = inn.filter(|flow| reads_on(flow.stream));
            left.extend(inn.map(|flow| format!("{:?} hears nothing of {flow:?}", app.host)));
        }
        let got = [&self.pair.b, &self.pair.a].map(|app| {
            let mut got: Vec<_> = messages(app).iter().map(Bytes::len).collect();
            got.sort_unstable();
            got
        });
        let mut sent = self.sent_messages.clone();
        sent.iter_mut().for_each(|sent| sent.sort_unstable());
        if got != sent {
            left.push(format!("messages sent {sent:?}, got {got:?}"));
        }
        left
    }

    /// A stream that its opener reset before the other end heard of it is over both ways: there
    /// nobody ever began an answer, and the endpoint resets it.
    fn is_unheard_of(&self, opener: HostId, stream: StreamId) -> bool {
        let Pair { a, b, .. } = &self.pair;
        let there = if opener == a.host { b } else { a };
        self.given_up.contains(&(opener, stream))
            && there.out.iter().all(|flow| flow.stream != stream)
    }

    /// How the connection stands at both ends.
    fn standing(&self) -> String {
        let hosts = self.pair.net.hosts.iter();
        let all = hosts.flat_map(|host| host.endpoint.connections());
        all.map(|(_, connection)| format!("{:?}\n", connection.stats())).collect()
    }

    /// What came is what was written, whether all of it came or not: a text has its end where it
    /// was given one, and a message is the text that it was.
    fn judge(&self) {
        for app in [&self.pair.a, &self.pair.b] {
            for flow in app.inn.iter().filter(|flow| flow.finished) {
                let salt = flow.salt().expect("a text that was read");
                let len = self.texts.get(&(other(app.host), salt));
                assert_eq!(len, Some(&flow.read), "a text ended elsewhere: {flow:?}");
            }
            for text in messages(app) {
                assert_eq!(text, prose(MESSAGE, text.len()), "a wrong message");
            }
        }
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
            // Whose address has changed while it had nothing to say is not known where it is.
            self.datagram(from, 1);
        }
        let lived = self.alive();
        let mut left = Vec::new();
        for _ in 0..60 {
            self.answer();
            self.pair.pass(SECOND);
            left = self.undone();
            if left.is_empty() || !self.alive() {
                break;
            }
        }
        // Who merely idled until the end had time enough: that excuses nothing.
        let idled = self.ends().iter().all(|end| matches!(end, CloseReason::IdleTimeout(_)));
        let excused = !lived || !idled;
        assert!(
            left.is_empty() || excused,
            "left undone:\n{}\n{}",
            left.join("\n"),
            self.standing()
        );
        self.judge();
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
        for app in [&self.pair.a, &self.pair.b] {
            assert_eq!(app.lingering(), [], "{:?} was not told that all is over", app.host);
        }
    }
}

/// The other of the two hosts.
const fn other(host: HostId) -> HostId {
    HostId(1 - host.0)
}

/// All messages that came to an application.
fn messages(app: &App) -> Vec<Bytes> {
    app.connections().into_iter().flat_map(|it| app.diary(it).messages).collect()
}

#[cfg(test)]
mod tests {
    use aqueduct_core::crypto::identity::NodeKey;

    use super::*;

    fn world() -> World {
        let nodes = [1, 2].map(|key| EndpointConfig::new(NodeKey::from_seed(&[key; 32])));
        let mut world = World::new(1, nodes);
        world.open(HOSTS[0], Dir::Bi, 3_000);
        world.scatter(HOSTS[1], 500, 9_000);
        world.message(HOSTS[0], 20);
        world
    }

    #[test]
    fn what_comes_whole_is_in_order() {
        world().quiet();
    }

    #[test]
    #[should_panic(expected = "a text ended elsewhere")]
    fn a_text_that_ends_early_is_noticed() {
        let mut world = world();
        world.texts.values_mut().for_each(|len| *len += 1);
        world.quiet();
    }

    #[test]
    #[should_panic(expected = "messages sent")]
    fn a_message_that_is_shorter_is_noticed() {
        let mut world = world();
        world.sent_messages[0][0] += 1;
        world.quiet();
    }

    #[test]
    #[should_panic(expected = "left undone")]
    fn a_stream_that_nobody_gave_up_and_that_is_reset_is_noticed() {
        let mut world = world();
        world.reset(HOSTS[0], 0);
        world.given_up.clear();
        world.quiet();
    }
}
