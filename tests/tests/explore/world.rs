//! A few nodes, the datagrams between them, and an adversary with a number of moves.
//!
//! Left alone the world runs as on a clean link: each datagram arrives after [`DELAY`], in order; a
//! deadline fires when it comes; an application acts as soon as it can. At each of these steps the
//! adversary may do something else instead, as long as it has moves left. So every state that is
//! reachable by so many moves is looked at, and every way through them is followed to its end.

use std::collections::hash_map::DefaultHasher;
use std::hash::{Hash, Hasher};
use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::time::Duration;

use aqueduct_core::config::EndpointConfig;
use aqueduct_core::endpoint::{CarrierKind, Datagram, Endpoint, Output, PeerAddr, Transmit};
use aqueduct_core::rng::Seed;
use aqueduct_core::time::Instant;
use aqueduct_core::wire::id::CarrierId;
use aqueduct_tests::wiretap::Wiretap;

use crate::app::{App, Do};
use crate::rules::{Broken, Rule};

/// Where all nodes live at first.
pub(crate) const PORT: u16 = 4433;
/// How long a datagram takes.
pub(crate) const DELAY: Duration = Duration::from_millis(10);
/// How much longer a late one takes: several probe time-outs, and longer than a handshake waits
/// before it repeats itself.
const LATE: Duration = Duration::from_millis(400);
/// A world that is not over by then never is.
const FOREVER: Duration = Duration::from_secs(600);
/// After so long nobody has anything left to say of a handshake.
const QUIET: Duration = Duration::from_secs(2);
/// Turns of one node at one instant.
const TURNS: usize = 2_000;

/// One step of a world. Those of datagrams concern the next that would arrive.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Step {
    /// A node's application acts.
    Act(usize, Do),
    /// The next deadline comes.
    Tick,
    /// A datagram arrives.
    Deliver { to: usize, len: usize },
    /// The adversary: it does not.
    Drop { to: usize, len: usize },
    /// The adversary: there are two of it.
    Twice,
    /// The adversary: it arrives, and once more long after.
    Echo,
    /// The adversary: it arrives behind all others that are on their way now.
    Behind,
    /// The adversary: the last of those on their way to the same node arrives first.
    Ahead,
    /// The adversary: it arrives long after.
    Late,
    /// The adversary: the application acts only after something else has happened.
    Hold(usize),
}

/// A datagram on its way.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
struct Flying {
    at: Instant,
    to: SocketAddr,
    from: SocketAddr,
    bytes: Vec<u8>,
}

/// What a node begins with, and again if it must.
#[derive(Clone)]
struct Origin(EndpointConfig);

/// It never changes.
impl Hash for Origin {
    fn hash<H: Hasher>(&self, _: &mut H) {}
}

/// A node.
#[derive(Clone, Hash)]
pub(crate) struct Host {
    origin: Origin,
    pub(crate) endpoint: Endpoint,
    pub(crate) app: App,
    addr: SocketAddr,
    wait: Option<Instant>,
    pub(crate) wiretap: Wiretap,
}

/// All of it.
#[derive(Clone, Hash)]
#[expect(clippy::derived_hash_with_manual_eq, reason = "equal is what has an equal hash")]
pub(crate) struct World {
    pub(crate) now: Instant,
    pub(crate) hosts: Vec<Host>,
    /// By arrival; those for one node that arrive at once, as they were sent.
    flying: Vec<Flying>,
    /// Moves that the adversary has left.
    pub(crate) left: u8,
    /// Datagrams that it took away, or that went to where nobody lives any more.
    pub(crate) dropped: u8,
    /// Credit was given back.
    pub(crate) returned: bool,
    /// Streams waited for credit.
    pub(crate) starved: bool,
    /// A peer was followed to another address.
    pub(crate) followed: bool,
    /// The first rule that did not hold.
    pub(crate) broken: Option<Broken>,
}

impl Origin {
    fn endpoint(&self, seed: u64, now: Instant) -> Endpoint {
        let mut endpoint = Endpoint::new(self.0.clone(), Seed::from_u64(seed));
        let kind = CarrierKind::Udp { max_segments: 1, max_datagram: 1_200 };
        endpoint.carrier_opened(CarrierId(0), kind, now);
        endpoint
    }
}

impl World {
    /// A world of nodes with these settings and scripts.
    pub(crate) fn new(nodes: Vec<(EndpointConfig, App)>) -> Self {
        let now = Instant::from_nanos(1_000_000_000);
        let mut hosts = Vec::new();
        for (config, app) in nodes {
            let number = hosts.len() as u8 + 1;
            let addr = SocketAddr::new(IpAddr::V4(Ipv4Addr::new(10, 0, 0, number)), PORT);
            let origin = Origin(config);
            let endpoint = origin.endpoint(number.into(), now);
            let wiretap = Wiretap::default();
            hosts.push(Host { origin, endpoint, app, addr, wait: None, wiretap });
        }
        let (flying, left, dropped, broken) = (Vec::new(), 0, 0, None);
        let (returned, starved, followed) = (false, false, false);
        Self { now, hosts, flying, left, dropped, returned, starved, followed, broken }
    }

    /// What happens next if nobody interferes; `None` at the end.
    fn next(&self) -> Option<Step> {
        let ready = |host: &Host| host.app.ready();
        let acts = self.hosts.iter().enumerate();
        let mut acts = acts.filter_map(|(at, host)| Some((at, ready(host)?, host.app.held)));
        let first = acts.clone().find(|(.., held)| !held);
        if let Some((at, what, _)) = first {
            return Some(Step::Act(at, what));
        }
        let wait = self.hosts.iter().filter_map(|host| host.wait).min();
        match (self.flying.first(), wait) {
            (Some(flying), wait) if wait.is_none_or(|wait| flying.at <= wait) => {
                Some(Step::Deliver { to: self.at(flying.to)?, len: flying.bytes.len() })
            }
            (_, Some(_)) => Some(Step::Tick),
            _ => acts.next().map(|(at, what, _)| Step::Act(at, what)),
        }
    }

    /// Everything that can happen next.
    pub(crate) fn steps(&self, steps: &mut Vec<Step>) {
        if self.broken.is_some() {
            return;
        }
        let Some(next) = self.next() else { return };
        steps.push(next);
        if self.left == 0 {
            return;
        }
        match next {
            Step::Deliver { to, len } => {
                steps.extend([Step::Drop { to, len }, Step::Twice, Step::Echo, Step::Late]);
                let same = |flying: &&Flying| Some(flying.to) == self.flying.first().map(|f| f.to);
                let beside = self.flying.iter().filter(same).count();
                steps.extend((beside > 1).then_some(Step::Behind));
                // Of two it is the same.
                steps.extend((beside > 2).then_some(Step::Ahead));
            }
            Step::Act(at, _) if !self.flying.is_empty() => {
                steps.push(Step::Hold(at));
            }
            _ => {}
        }
    }

    /// Whether nothing happens any more.
    pub(crate) fn is_over(&self) -> bool {
        self.next().is_none()
    }

    /// The world after a step.
    pub(crate) fn after(&self, step: Step) -> Self {
        let mut world = self.clone();
        world.step(step);
        world
    }

    fn step(&mut self, step: Step) {
        let moved = !matches!(step, Step::Act(..) | Step::Tick | Step::Deliver { .. });
        self.left -= u8::from(moved);
        match step {
            Step::Act(at, what) => self.act(at, what),
            Step::Tick => {
                self.now = self.hosts.iter().filter_map(|host| host.wait).min().expect("a wish");
                let now = self.now;
                let apps = self.hosts.iter_mut().map(|host| &mut host.app);
                apps.for_each(|app| _ = app.rests.take_if(|until| *until <= now));
                self.release();
            }
            Step::Deliver { .. } => self.deliver(),
            Step::Drop { .. } => {
                self.flying.remove(0);
                self.dropped += 1;
                self.release();
            }
            Step::Twice => self.resend(Duration::ZERO),
            Step::Echo => self.resend(LATE),
            Step::Late => {
                let mut flying = self.flying.remove(0);
                flying.at = flying.at + LATE;
                self.launch(flying);
                self.release();
            }
            Step::Behind => {
                let mut flying = self.flying.remove(0);
                let last = self.flying.iter().rfind(|other| other.to == flying.to);
                flying.at = last.map_or(flying.at, |last| last.at);
                self.launch(flying);
            }
            Step::Ahead => {
                let first = self.flying.first().map(|flying| (flying.at, flying.to));
                let (at, to) = first.expect("a datagram");
                let last = self.flying.iter().rposition(|flying| flying.to == to);
                let mut flying = self.flying.remove(last.expect("the first at least"));
                flying.at = at;
                self.flying.insert(0, flying);
                self.deliver();
            }
            Step::Hold(at) => {
                self.hosts.get_mut(at).into_iter().for_each(|host| host.app.held = true);
            }
        }
        self.settle();
        if self.now > Instant::from_nanos(0) + FOREVER {
            self.object(Rule::Ends, || "it goes on for ever".to_owned());
        }
        self.look();
    }

    fn resend(&mut self, later: Duration) {
        let mut copy = self.flying.first().cloned().expect("a datagram");
        copy.at = copy.at + later;
        self.launch(copy);
        self.deliver();
    }

    /// Something happened: who waited for that may act.
    fn release(&mut self) {
        self.hosts.iter_mut().for_each(|host| host.app.held = false);
    }

    fn act(&mut self, at: usize, what: Do) {
        let now = self.now;
        if let Do::Dial { to, known } = what {
            let peer = self.hosts.get(to).expect("a node");
            let (id, remote) = (peer.endpoint.node_id(), peer.addr);
            let to = PeerAddr { id: known.then_some(id), remote, carrier: CarrierId(0) };
            let host = self.hosts.get_mut(at).expect("a node");
            if !host.app.was_dialled() {
                let handle = host.endpoint.connect(to, now).expect("room for a connection");
                host.app.on_dialled(handle);
            }
        }
        let host = self.hosts.get_mut(at).expect("a node");
        let was = host.addr;
        match what {
            Do::Move => host.addr.set_port(was.port() + 1),
            Do::Forget => {
                // Its key of resets is as it was: the seed is the node's.
                host.endpoint = host.origin.endpoint(at as u64 + 1, now);
                host.wiretap = Wiretap::default();
                host.app.forget();
            }
            _ => {}
        }
        host.app.act(what, &mut host.endpoint, now);
        if what == Do::Move {
            let all = self.flying.len();
            self.flying.retain(|flying| flying.to != was);
            self.dropped = self.dropped.saturating_add((all - self.flying.len()) as u8);
        }
    }

    fn deliver(&mut self) {
        let Flying { at, to, from, mut bytes } = self.flying.remove(0);
        self.now = self.now.max(at);
        self.release();
        let index = self.at(to).expect("a node");
        let host = self.hosts.get_mut(index).expect("a node");
        let bytes = bytes.as_mut_slice();
        let (carrier, remote) = (CarrierId(0), from);
        let datagram = Datagram { carrier, remote, local: None, ecn: None, segment: None, bytes };
        host.endpoint.handle_datagram(datagram, self.now);
    }

    fn at(&self, addr: SocketAddr) -> Option<usize> {
        self.hosts.iter().position(|host| host.addr == addr)
    }

    /// On its way; it is lost if nobody lives there.
    fn launch(&mut self, flying: Flying) {
        if self.at(flying.to).is_none() {
            self.dropped = self.dropped.saturating_add(1);
            return;
        }
        let key = |flying: &Flying| (flying.at, flying.to);
        let place = self.flying.partition_point(|other| key(other) <= key(&flying));
        self.flying.insert(place, flying);
    }

    /// Polls every node until it wants to wait.
    pub(crate) fn settle(&mut self) {
        for index in 0..self.hosts.len() {
            self.turn(index);
        }
    }

    fn turn(&mut self, index: usize) {
        let now = self.now;
        let mut buf = Vec::new();
        for _ in 0..TURNS {
            let host = self.hosts.get_mut(index).expect("a node");
            match host.endpoint.poll(&mut buf, now) {
                Output::Event(event) => host.app.on_event(event, &mut host.endpoint),
                Output::Pipe(event) => host.app.on_pipe(event, &mut host.endpoint),
                Output::Incoming(incoming) if host.app.refuses => {
                    host.endpoint.refuse(incoming, now);
                }
                Output::Incoming(incoming) => {
                    let handle = host.endpoint.accept(incoming, now);
                    host.app.on_link(handle);
                }
                Output::Transmit(to) => self.transmit(index, to, &buf),
                Output::Wait(wait) => {
                    host.wait = wait.into_iter().chain(host.app.rests).min();
                    if wait.is_some_and(|wait| wait <= now) {
                        self.object(Rule::Clock, || format!("waits for {wait:?} at {now:?}"));
                    }
                    return;
                }
            }
        }
        self.object(Rule::Clock, || format!("node {index} does not come to rest"));
    }

    fn transmit(&mut self, index: usize, to: Transmit, bytes: &[u8]) {
        let host = self.hosts.get_mut(index).expect("a node");
        let from = host.addr;
        // Who wants nobody has no handle of whom it tells so, and so no keys to read along with.
        let taps = !host.app.refuses;
        let links: Vec<_> = host.app.links.iter().map(|link| link.handle).collect();
        let seen = taps.then(|| host.wiretap.on_sent(bytes, &links, &host.endpoint));
        if let Some(Err(wrong)) = seen {
            self.object(Rule::Nonce, || wrong);
        }
        let at = self.now + DELAY;
        self.launch(Flying { at, to: to.remote, from, bytes: bytes.to_vec() });
    }

    /// A rule does not hold. The first is kept.
    pub(crate) fn object(&mut self, rule: Rule, what: impl FnOnce() -> String) {
        self.broken.get_or_insert_with(|| Broken { rule, what: what() });
    }

    /// Goes on undisturbed until every node rests for [`QUIET`]; from there on it is explored.
    pub(crate) fn begun(mut self) -> Self {
        self.settle();
        let mut until = self.now + QUIET;
        while let Some(step) = self.next() {
            let tick = self.hosts.iter().filter_map(|host| host.wait).min();
            if step == Step::Tick && tick.is_some_and(|at| at > until) {
                break;
            }
            if step != Step::Tick {
                until = self.now + QUIET;
            }
            self.step(step);
            assert_eq!(self.broken, None);
        }
        self.now = until;
        for host in &mut self.hosts {
            assert_eq!(host.app.at(), Some(Do::Gate).filter(|_| !host.app.is_done()));
            host.app.begun = true;
        }
        self
    }

    fn digest(&self) -> u64 {
        let mut hasher = DefaultHasher::new();
        self.hash(&mut hasher);
        hasher.finish()
    }
}

/// As the explorer compares them.
impl PartialEq for World {
    fn eq(&self, other: &Self) -> bool {
        self.digest() == other.digest()
    }
}
