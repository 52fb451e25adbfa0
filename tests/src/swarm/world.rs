//! A world while it is played: hosts, their applications, and who is connected to whom.

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::time::Duration;

use aqueduct_core::connection::EventKind;
use aqueduct_core::endpoint::ConnectionHandle;
use aqueduct_core::error::CloseReason;
use aqueduct_core::time::Instant;
use aqueduct_core::wire::id::Dir;

use super::deed::Deed;
use super::node::Node;
use super::notes::Note;
use super::plan::Plan;
use super::texts::Text;
use super::{Summary, verdict};
use crate::app::Reading;
use crate::dice::Dice;
use crate::link::{Delay, LinkConfig, Machine, Queue};
use crate::net::{HostId, NatId, Net, Recorded, StageId, StreamNr};
use crate::rogue::Rogue;

const SECOND: Duration = Duration::from_secs(1);

/// The answers of texts have texts of their own.
pub(super) const ANSWER: u64 = 1 << 63;

/// Steps of a world, at most: a hundred times what a common one takes.
const MOST_STEPS: u64 = 2_000_000;

/// Bytes of an answer.
const ANSWER_LEN: usize = 2_000;

/// The state of an edge: handles at the dialer and at the acceptor.
#[derive(Clone, Debug, Default)]
pub(super) struct Line {
    pub(super) at: [Option<ConnectionHandle>; 2],
    /// Its byte streams that nobody has closed.
    pub(super) streams: Vec<StreamNr>,
    /// How many there were so far.
    pub(super) carriers: u32,
}

/// Hosts, what they are connected by, and what will happen.
pub struct World {
    pub(super) plan: Plan,
    pub(super) net: Net,
    pub(super) nodes: Vec<Node>,
    pub(super) lines: Vec<Line>,
    /// Who dials, and has neither arrived nor given up.
    pub(super) attempts: BTreeSet<(HostId, ConnectionHandle)>,
    pub(super) rogues: Vec<Rogue>,
    /// Why connections with rogues ended, and how often.
    pub(super) caught: BTreeMap<String, usize>,
    pub(super) roads: BTreeMap<(HostId, HostId), Vec<StageId>>,
    pub(super) nats: BTreeMap<HostId, NatId>,
    pub(super) flows: Vec<crate::net::FlowId>,
    /// What will happen, in the order of time.
    pub(super) agenda: BTreeMap<(Instant, u64), Deed>,
    /// Every text that was written, by its number.
    pub(super) texts: BTreeMap<u64, Text>,
    /// Texts that need not arrive: an end gave them up on purpose, an answer perhaps before it was
    /// begun, or lost its state.
    pub(super) given_up: BTreeSet<u64>,
    /// Messages and datagrams, by number.
    pub(super) notes: BTreeMap<u64, Note>,
    /// Datagrams that somebody listening remembers for long, of how many.
    pub(super) history: VecDeque<Recorded>,
    pub(super) heard: u64,
    pub(super) ends: Vec<String>,
    pub(super) raging: bool,
    over: bool,
    pub(super) salt: u64,
    pub(super) serial: u64,
    pub(super) dice: Dice,
    pub(super) bytes: u64,
    pub(super) connections: usize,
    steps: u64,
    pub(super) began: Instant,
}

impl World {
    /// The world of a plan, before anything happens.
    pub fn new(plan: Plan) -> Self {
        let mut net = Net::new(plan.seed, LinkConfig::default());
        let began = net.now;
        let (mut nodes, mut nats) = (Vec::new(), BTreeMap::new());
        for (number, node) in plan.nodes.iter().enumerate() {
            let id = net.add(node.config(HostId(number)), plan.seed << 8 | number as u64);
            net.host(id).clock = node.clock;
            if let Some(nat) = &node.nat {
                let nat = net.add_nat(nat.clone());
                net.put_behind(id, nat);
                nats.insert(id, nat);
            }
            nodes.push(Node::new(id, node.begins_reading(), node.pipes));
        }
        let slow: Vec<_> = plan.nodes.iter().map(|node| node.slow).collect();
        net.recording = Some(Vec::new());
        let rogues = (0..).zip(&plan.rogues);
        let rogues = rogues.map(|(number, rogue)| Rogue::new(number, rogue.kind, plan.seed));
        let rogues = rogues.collect();
        let mut world = Self {
            net,
            nodes,
            lines: vec![Line::default(); plan.edges.len()],
            attempts: BTreeSet::new(),
            rogues,
            caught: BTreeMap::new(),
            roads: BTreeMap::new(),
            nats,
            flows: Vec::new(),
            agenda: BTreeMap::new(),
            texts: BTreeMap::new(),
            given_up: BTreeSet::new(),
            notes: BTreeMap::new(),
            history: VecDeque::new(),
            heard: 0,
            ends: Vec::new(),
            raging: true,
            over: false,
            salt: 0,
            serial: 0,
            dice: Dice::new(plan.seed, "play"),
            bytes: 0,
            connections: 0,
            steps: 0,
            began,
            plan,
        };
        for (from, to, machines) in world.plan.roads.clone() {
            world.lay(from, to, &machines);
        }
        world.let_rogues_in();
        for (host, most) in slow.into_iter().enumerate() {
            if let Some(most) = most {
                world.later(SECOND, Deed::Sip(HostId(host), most));
            }
        }
        for (at, deed) in std::mem::take(&mut world.plan.deeds) {
            world.later(at, deed);
        }
        world
    }

    /// Something will happen.
    pub(super) fn later(&mut self, after: Duration, deed: Deed) {
        self.serial += 1;
        self.agenda.insert((self.net.now + after, self.serial), deed);
    }

    pub(super) fn lay(&mut self, from: HostId, to: HostId, machines: &[Box<dyn Machine>]) {
        let road = self.net.lay(from, to, machines);
        self.roads.insert((from, to), road);
    }

    /// From the first datagram to the last.
    ///
    /// # Panics
    /// If anything does not hold.
    pub fn play(mut self) -> Summary {
        self.follow(self.began + self.plan.quiet_at);
        self.calm();
        self.settle();
        self.peace();
        let simulated = self.age();
        self.goodbye();
        let of_nodes = |count: fn(&Node) -> usize| self.nodes.iter().map(count).sum();
        Summary {
            fingerprint: self.net.fingerprint(),
            simulated,
            hosts: self.nodes.len(),
            datagrams: self.net.hosts.iter().map(|host| host.sent).sum(),
            streams: of_nodes(|node| node.app.out.len()),
            bytes: self.bytes + self.nodes.iter().map(|node| node.app.read()).sum::<u64>(),
            messages: self.notes.values().filter(|note| note.is_done()).count(),
            pipes: of_nodes(|node| node.pipes.len() + node.smuggled),
            connections: self.connections,
            ends: self.ends,
            rogues: self.rogues.iter().map(|rogue| rogue.connections).sum(),
            caught: self.caught,
        }
    }

    /// What is on the agenda happens, until then.
    pub(super) fn follow(&mut self, until: Instant) {
        while let Some(next) = self.agenda.first_entry().filter(|next| next.key().0 <= until) {
            let ((at, _), deed) = next.remove_entry();
            self.pass_until(at);
            self.act(deed);
        }
        self.pass_until(until);
    }

    /// What lives comes to its end.
    ///
    /// # Panics
    /// If it does not.
    pub(super) fn settle(&mut self) {
        for _ in 0..200 {
            self.pass_among_rogues();
            if verdict::undone(self).is_empty() {
                break;
            }
        }
        verdict::judge(self);
    }

    /// How long it lasts so far.
    pub(super) fn age(&self) -> Duration {
        self.net.now.saturating_since(self.began)
    }

    /// No more faults: all are awake, all roads are good.
    fn calm(&mut self) {
        self.raging = false;
        let left = std::mem::take(&mut self.agenda);
        for deed in left.into_values() {
            let ends = matches!(
                deed,
                Deed::Unblock(_) | Deed::Wake(_) | Deed::Resume(_) | Deed::Uncross(_)
            );
            if ends {
                self.act(deed);
            }
        }
        for node in &mut self.nodes {
            if std::mem::replace(&mut node.app.reading, Reading::InOrder) == Reading::Never {
                node.app.read_all(&mut self.net);
            } else {
                node.app.reading = self.plan.nodes[node.app.host.0].reading;
            }
        }
        self.be_generous();
        for host in &mut self.net.hosts {
            (host.sending.full, host.sending.fails) = (0, 0);
        }
        let good: [Box<dyn Machine>; 2] = [
            Box::new(Queue::bytes(10_000_000, 1 << 20)),
            Box::new(Delay::of(Duration::from_millis(10))),
        ];
        for (from, to) in self.roads.keys().copied().collect::<Vec<_>>() {
            self.lay(from, to, &good);
        }
    }

    /// Everybody closes, and nothing is left anywhere.
    fn goodbye(&mut self) {
        self.over = true;
        self.throw_rogues_out();
        for node in &self.nodes {
            let host = self.net.host(node.app.host);
            for handle in &node.neighbours {
                if let Some(mut view) = host.endpoint.connection(*handle) {
                    view.close(aqueduct_core::wire::id::AppCode(0), b"done");
                }
            }
        }
        self.pass(SECOND * 300);
        self.weigh_all();
        for host in &self.net.hosts {
            let stats = host.endpoint.stats();
            let left = (stats.connections, stats.half_open, stats.budget_committed);
            assert_eq!((left, stats.pipes, stats.pipe_bytes), ((0, 0, 0), 0, 0), "left behind");
        }
        for app in self.nodes.iter().map(|node| &node.app) {
            assert_eq!(app.lingering(), [], "{:?} was not told that all is over", app.host);
        }
    }

    pub(super) fn pass(&mut self, time: Duration) {
        let until = self.net.now + time;
        self.pass_until(until);
    }

    fn pass_until(&mut self, until: Instant) {
        loop {
            self.steps += 1;
            assert!(self.steps < MOST_STEPS, "so many steps, and it is only {:?}", self.net.now);
            self.turn();
            if !self.net.step(until) {
                self.turn();
                return;
            }
        }
    }

    /// Everybody looks at the news.
    fn turn(&mut self) {
        self.rogues.iter_mut().for_each(|rogue| rogue.hear(&mut self.net));
        for number in 0..self.nodes.len() {
            let host = &self.net.hosts[number];
            if host.events.is_empty() && host.pipe_events.is_empty() {
                continue;
            }
            let host = self.net.host(HostId(number));
            let (news, piped) = (std::mem::take(&mut host.events), host.pipe_events.split_off(0));
            piped.into_iter().for_each(|event| self.nodes[number].on_pipe(&event));
            for event in news {
                self.on_event(HostId(number), event.connection, event.kind);
            }
        }
    }

    fn on_event(&mut self, host: HostId, connection: ConnectionHandle, kind: EventKind) {
        if self.is_rogues(host, connection) {
            return self.humour(host, connection, &kind);
        }
        match &kind {
            EventKind::Connected => self.on_connected(host, connection),
            EventKind::Closed(reason) => self.on_closed(host, connection, reason),
            EventKind::PathSilent | EventKind::PathPaused => self.on_wish(host, connection),
            EventKind::Delivered(stream) => self.on_delivered(host, connection, *stream),
            EventKind::Stopped(stream) => self.on_stopped(host, connection, *stream),
            _ => {}
        }
        let Self { net, nodes, .. } = self;
        let (node, endpoint) = (&mut nodes[host.0], &mut net.host(host).endpoint);
        let came = matches!(kind, EventKind::StreamAvailable | EventKind::Readable(_));
        match kind {
            EventKind::StreamAvailable => node.accept(endpoint, connection),
            EventKind::Readable(stream) if node.reads_away(endpoint, connection, stream) => {}
            kind => node.app.notice(endpoint, connection, kind),
        }
        if came {
            self.answer(host);
        }
        self.read_notes(host, connection);
    }

    fn on_connected(&mut self, host: HostId, connection: ConnectionHandle) {
        self.connections += 1;
        self.attempts.remove(&(host, connection));
        let view = self.net.host(host).endpoint.connection(connection);
        let peer = view.and_then(|view| view.peer());
        self.nodes[host.0].neighbours.insert(connection);
        for number in 0..self.lines.len() {
            let edge = self.plan.edges[number];
            let ids = [edge.dialer, edge.acceptor].map(|h| self.net.hosts[h.0].endpoint.node_id());
            if edge.acceptor == host && peer == Some(ids[0]) {
                self.lines[number].at[1] = Some(connection);
            }
            if edge.dialer == host && peer == Some(ids[1]) {
                // If both dialled, the other's attempt may be the one that is kept.
                self.lines[number].at[0].get_or_insert(connection);
                self.offer_udp(number);
            }
        }
    }

    /// Whether a host has no place for another connection, but for one that may have gone since.
    /// Who crashes again and again leaves its own there until they are silent for long.
    fn has_a_full_host(&self) -> bool {
        self.net.hosts.iter().zip(&self.plan.nodes).any(|(host, plan)| {
            let stats = host.endpoint.stats();
            stats.refused_busy > 0 && stats.connections + stats.half_open + 1 >= plan.memory.1
        })
    }

    fn on_closed(&mut self, host: HostId, connection: ConnectionHandle, reason: &CloseReason) {
        verdict::explain(reason, !self.rogues.is_empty() || self.has_a_full_host());
        self.attempts.remove(&(host, connection));
        if !self.over {
            self.ends.push(format!("host {} {reason}", host.0));
        }
        self.nodes[host.0].neighbours.remove(&connection);
        for number in 0..self.lines.len() {
            let edge = self.plan.edges[number];
            let dials = edge.dialer == host && self.lines[number].at[0] == Some(connection);
            if dials {
                self.lines[number].at[0] = None;
                if self.raging {
                    let after = self.dice.between(Duration::from_millis(50), SECOND * 2);
                    self.later(after, Deed::Dial(number));
                }
            }
            if edge.acceptor == host && self.lines[number].at[1] == Some(connection) {
                self.lines[number].at[1] = None;
            }
        }
    }

    /// The handle of an edge's connection at one of its hosts.
    pub(super) fn handle(&self, edge: usize, host: HostId) -> Option<ConnectionHandle> {
        self.lines[edge].at[usize::from(self.plan.edges[edge].dialer != host)]
    }

    /// Answers whatever came in both directions and has no answer yet.
    fn answer(&mut self, host: HostId) {
        let Self { net, nodes, texts, .. } = self;
        let app = &mut nodes[host.0].app;
        let open = app.inn.iter().filter(|flow| flow.stream.dir() == Dir::Bi);
        let open = open.filter_map(|flow| {
            let salt = flow.salt().filter(|salt| salt & ANSWER == 0)?;
            let known = |out: &crate::app::Outflow| {
                (out.connection, out.stream) == (flow.connection, flow.stream)
            };
            let answered = app.out.iter().any(known);
            (!answered).then_some((flow.connection, flow.stream, salt | ANSWER))
        });
        for (connection, stream, salt) in open.collect::<Vec<_>>() {
            let to = texts[&(salt & !ANSWER)].from;
            let text = Text::new(host, to, ANSWER_LEN as u64);
            texts.insert(salt, text);
            app.answer(net, connection, stream, salt, ANSWER_LEN);
        }
    }
}
