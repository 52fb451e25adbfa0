//! Hosts with endpoints, and the datagrams between them.

use std::collections::{BTreeMap, BTreeSet, BinaryHeap, VecDeque};
use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::time::Duration;

use aqueduct_core::config::EndpointConfig;
use aqueduct_core::endpoint::{
    CarrierKind, ConnectionHandle, Datagram, Endpoint, Event, Incoming, Output, PeerAddr,
    PipeEvent, Transmit,
};
use aqueduct_core::fingerprint::Fingerprint;
use aqueduct_core::rng::{Rng, Seed};
use aqueduct_core::time::Instant;
use aqueduct_core::wire::id::{CarrierId, Ecn};

use crate::guard::Guard;
use crate::link::{Link, LinkConfig};
use crate::tapes::Tapes;

/// The first UDP socket of a simulated host.
pub const UDP: CarrierId = CarrierId(0);

/// A host's number: the order in which it was added.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct HostId(pub usize);

/// What a host does with those who want to connect.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Admission {
    /// Accepts everybody.
    Accept,
    /// Refuses everybody.
    Refuse,
    /// Leaves them in [`Host::incoming`].
    Hold,
}

/// One endpoint with its news.
pub struct Host {
    /// The machine under test.
    pub endpoint: Endpoint,
    /// Where its first socket is.
    pub addr: SocketAddr,
    /// Its other sockets.
    pub sockets: BTreeMap<CarrierId, SocketAddr>,
    /// Sockets that take no bytes for now.
    blocked: BTreeSet<CarrierId>,
    /// Suspended: hears nothing and is not woken.
    asleep: bool,
    /// News that the test has not looked at.
    pub events: VecDeque<Event>,
    /// News of pipes that the test has not looked at.
    pub pipe_events: VecDeque<PipeEvent>,
    /// Offers that wait, with [`Admission::Hold`].
    pub incoming: VecDeque<Incoming>,
    /// Connections accepted so far.
    pub accepted: Vec<ConnectionHandle>,
    /// What to do with newcomers.
    pub admission: Admission,
    /// Datagrams sent.
    pub sent: u64,
    wait: Option<Instant>,
    dirty: bool,
}

/// A datagram on its way.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Flying {
    at: std::cmp::Reverse<(Instant, u64)>,
    /// From where.
    pub from: SocketAddr,
    /// To where.
    pub to: SocketAddr,
    /// ECN mark as a number.
    ecn: Option<u8>,
    /// Its bytes.
    pub bytes: Vec<u8>,
}

/// A recorded datagram.
#[derive(Clone, Debug)]
pub struct Recorded {
    /// When it was sent.
    pub at: Instant,
    /// From where.
    pub from: SocketAddr,
    /// To where.
    pub to: SocketAddr,
    /// Its bytes.
    pub bytes: Vec<u8>,
}

/// Looks at an endpoint right before a datagram reaches it.
pub type Tap = Box<dyn FnMut(&Endpoint, &Recorded)>;

/// The whole: hosts, links, time.
pub struct Net {
    /// Time now.
    pub now: Instant,
    /// The hosts.
    pub hosts: Vec<Host>,
    /// Every datagram sent, if recording was asked for.
    pub recording: Option<Vec<Recorded>>,
    /// Called for every datagram that reaches a host.
    pub tap: Option<Tap>,
    /// Watches that nobody is flooded.
    pub guard: Guard,
    /// Tapes of hosts, replayed when the network goes.
    pub tapes: Tapes,
    links: BTreeMap<(SocketAddr, SocketAddr), Link>,
    default_link: LinkConfig,
    flying: BinaryHeap<Flying>,
    sequence: u64,
    seed: u64,
    hash: blake3::Hasher,
    buf: Vec<u8>,
}

impl Net {
    /// An empty network; every pair of hosts is joined by `link`, each way on its own.
    pub fn new(seed: u64, link: LinkConfig) -> Self {
        Self {
            now: Instant::from_nanos(1_000_000_000),
            hosts: Vec::new(),
            recording: None,
            tap: None,
            guard: Guard::default(),
            tapes: Tapes::asked_for(),
            links: BTreeMap::new(),
            default_link: link,
            flying: BinaryHeap::new(),
            sequence: 0,
            seed,
            hash: blake3::Hasher::new(),
            buf: Vec::new(),
        }
    }

    /// Adds a host with an endpoint and its UDP socket.
    pub fn add(&mut self, config: EndpointConfig, seed: u64) -> HostId {
        let number = self.hosts.len();
        let ip = IpAddr::V4(Ipv4Addr::new(10, 0, (number >> 8) as u8, number as u8 + 1));
        let mut endpoint = self.tapes.endpoint(config, Seed::from_u64(seed));
        let kind = CarrierKind::Udp { max_segments: 16, max_datagram: 65_507 };
        endpoint.carrier_opened(UDP, kind, self.now);
        self.hosts.push(Host {
            endpoint,
            addr: SocketAddr::new(ip, 4433),
            sockets: BTreeMap::new(),
            blocked: BTreeSet::new(),
            asleep: false,
            events: VecDeque::new(),
            pipe_events: VecDeque::new(),
            incoming: VecDeque::new(),
            accepted: Vec::new(),
            admission: Admission::Accept,
            sent: 0,
            wait: None,
            dirty: true,
        });
        HostId(number)
    }

    /// A host, to be called. It is polled again before time moves on.
    pub fn host(&mut self, id: HostId) -> &mut Host {
        let host = self.hosts.get_mut(id.0).expect("a host of this network");
        host.dirty = true;
        host
    }

    /// Begins a connection from one host to another whose node id it knows.
    pub fn connect(&mut self, from: HostId, to: HostId) -> ConnectionHandle {
        let peer = self.host(to).endpoint.node_id();
        let addr = PeerAddr::new(peer, self.host(to).addr);
        self.connect_to(from, addr)
    }

    /// Begins a connection to a given address.
    pub fn connect_to(&mut self, from: HostId, addr: PeerAddr) -> ConnectionHandle {
        let now = self.now;
        self.guard.on_dialed(from, addr.remote);
        self.host(from).endpoint.connect(addr, now).expect("room for a connection")
    }

    /// The link from one address to another.
    pub fn link(&mut self, from: SocketAddr, to: SocketAddr) -> &mut Link {
        let rng = || Rng::new(&Seed::from_u64(self.seed)).fork(&format!("{from} {to}"));
        self.links.entry((from, to)).or_insert_with(|| Link::new(self.default_link, rng()))
    }

    /// Both directions between two hosts, from now on.
    pub fn set_link(&mut self, a: HostId, b: HostId, config: LinkConfig) {
        let (a, b) = (self.host(a).addr, self.host(b).addr);
        self.link(a, b).config = config;
        self.link(b, a).config = config;
    }

    /// From now on a host sends from another port and hears that port only, as behind a forgetful
    /// NAT.
    pub fn rebind(&mut self, id: HostId, port: u16) {
        self.host(id).addr.set_port(port);
    }

    /// From now on a host is elsewhere, with its first socket, and does not know it.
    pub fn move_to(&mut self, id: HostId, addr: SocketAddr) {
        self.host(id).addr = addr;
    }

    /// Gives a host another socket.
    pub fn open_socket(
        &mut self,
        id: HostId,
        carrier: CarrierId,
        addr: SocketAddr,
        kind: CarrierKind,
    ) {
        let now = self.now;
        let host = self.host(id);
        host.blocked.remove(&carrier);
        host.sockets.insert(carrier, addr);
        host.endpoint.carrier_opened(carrier, kind, now);
    }

    /// A socket of a host fails for good.
    pub fn close_socket(&mut self, id: HostId, carrier: CarrierId) {
        let now = self.now;
        let host = self.host(id);
        host.sockets.remove(&carrier);
        host.endpoint.carrier_closed(carrier, now);
    }

    /// A socket of a host takes no bytes (`true`), or takes them again.
    pub fn block(&mut self, id: HostId, carrier: CarrierId, blocked: bool) {
        let now = self.now;
        let host = self.host(id);
        if blocked {
            host.blocked.insert(carrier);
            host.endpoint.carrier_blocked(carrier, now);
        } else {
            host.blocked.remove(&carrier);
            host.endpoint.carrier_writable(carrier, now);
        }
    }

    /// Suspends a host, or wakes it: what was sent to it meanwhile is lost.
    pub fn sleep(&mut self, id: HostId, asleep: bool) {
        self.host(id).asleep = asleep;
    }

    /// The host's process is killed and started anew: nothing is left of its state.
    pub fn restart(&mut self, id: HostId, config: EndpointConfig, seed: u64) {
        let now = self.now;
        let kind = CarrierKind::Udp { max_segments: 16, max_datagram: 65_507 };
        let endpoint = self.tapes.endpoint(config, Seed::from_u64(seed));
        let host = self.hosts.get_mut(id.0).expect("a host of this network");
        host.dirty = true;
        let old = std::mem::replace(&mut host.endpoint, endpoint);
        self.tapes.finish(old);
        host.endpoint.carrier_opened(UDP, kind, now);
        host.events.clear();
        host.pipe_events.clear();
        host.incoming.clear();
        host.accepted.clear();
        host.wait = None;
    }

    /// Puts a datagram onto the network as if `from` had sent it, past any link.
    pub fn inject(&mut self, from: SocketAddr, to: SocketAddr, bytes: Vec<u8>) {
        let now = self.now;
        self.enqueue(now, from, to, None, bytes);
    }

    /// A digest of every datagram sent so far, with times and addresses, and of the state that
    /// every endpoint is in now.
    pub fn fingerprint(&self) -> [u8; 32] {
        let mut hash = self.hash.clone();
        for host in &self.hosts {
            hash.update(&host.endpoint.fingerprint());
        }
        *hash.finalize().as_bytes()
    }

    /// Polls every host that may have something to say; if there is news, that is all. Otherwise
    /// the next thing happens. `false` when nothing is left to happen before `until`; then it is
    /// `until`.
    pub fn step(&mut self, until: Instant) -> bool {
        let mut news = false;
        for index in 0..self.hosts.len() {
            if self.hosts.get(index).is_some_and(|host| host.dirty && !host.asleep) {
                news |= self.drain(index);
            }
        }
        if news {
            return true;
        }
        let arrival = self.flying.peek().map(|flying| flying.at.0.0);
        let awake = self.hosts.iter().filter(|host| !host.asleep);
        let wake = awake.filter_map(|host| host.wait).min();
        let next = [arrival, wake].into_iter().flatten().min().filter(|next| *next <= until);
        let Some(next) = next else {
            self.now = self.now.max(until);
            return false;
        };
        // A host that slept finds its deadlines passed.
        let next = next.max(self.now);
        self.now = next;
        while self.flying.peek().is_some_and(|flying| flying.at.0.0 <= next) {
            let flying = self.flying.pop().expect("one was there");
            self.deliver(flying);
        }
        for host in &mut self.hosts {
            host.dirty |= host.wait.is_some_and(|wait| wait <= next);
        }
        true
    }

    /// Runs for at most `limit` until `done` says so. Returns whether it did.
    pub fn run(&mut self, limit: Duration, mut done: impl FnMut(&mut Self) -> bool) -> bool {
        let until = self.now + limit;
        loop {
            if done(self) {
                return true;
            }
            if !self.step(until) {
                return done(self);
            }
        }
    }

    /// Polls a host until it wants to wait. Returns whether it had news.
    fn drain(&mut self, index: usize) -> bool {
        let mut news = false;
        let mut buf = std::mem::take(&mut self.buf);
        loop {
            let now = self.now;
            let Some(host) = self.hosts.get_mut(index) else { break };
            match host.endpoint.poll(&mut buf, now) {
                Output::Event(event) => {
                    news = true;
                    host.events.push_back(event);
                }
                Output::Pipe(event) => {
                    news = true;
                    host.pipe_events.push_back(event);
                }
                Output::Incoming(incoming) => match host.admission {
                    Admission::Accept => {
                        let handle = host.endpoint.accept(incoming, now);
                        host.accepted.push(handle);
                    }
                    Admission::Refuse => host.endpoint.refuse(incoming, now),
                    Admission::Hold => host.incoming.push_back(incoming),
                },
                Output::Transmit(to) => self.transmit(index, to, &buf),
                Output::Wait(wait) => {
                    assert!(wait.is_none_or(|wait| wait > now), "a deadline that has passed");
                    host.wait = wait;
                    host.dirty = false;
                    break;
                }
            }
        }
        self.buf = buf;
        news
    }

    fn transmit(&mut self, index: usize, to: Transmit, bytes: &[u8]) {
        let Some(host) = self.hosts.get_mut(index) else { return };
        assert!(!bytes.is_empty(), "an empty transmit");
        assert!(!host.blocked.contains(&to.carrier), "a transmit for a blocked socket");
        let first = (to.carrier == UDP).then_some(host.addr);
        let from = host.sockets.get(&to.carrier).copied().or(first).expect("an open socket");
        let segments: Vec<&[u8]> = bytes.chunks(to.segment.unwrap_or(bytes.len())).collect();
        host.sent += segments.len() as u64;
        for segment in segments {
            self.record(from, to.remote, segment);
            self.guard.on_sent(HostId(index), to.remote, segment.len());
            let len = segment.len();
            let now = self.now;
            let fate = self.link(from, to.remote).send(len, now);
            for (at, flipped) in fate.copies {
                let mut bytes = segment.to_vec();
                if let Some(bit) = flipped {
                    bytes[bit / 8] ^= 1 << (bit % 8);
                }
                self.enqueue(at, from, to.remote, to.ecn, bytes);
            }
        }
    }

    fn record(&mut self, from: SocketAddr, to: SocketAddr, bytes: &[u8]) {
        self.hash.update(&self.now.as_nanos().to_le_bytes());
        self.hash.update(format!("{from} {to} {}", bytes.len()).as_bytes());
        self.hash.update(bytes);
        if let Some(recording) = &mut self.recording {
            recording.push(Recorded { at: self.now, from, to, bytes: bytes.to_vec() });
        }
    }

    fn enqueue(
        &mut self,
        at: Instant,
        from: SocketAddr,
        to: SocketAddr,
        ecn: Option<Ecn>,
        bytes: Vec<u8>,
    ) {
        self.sequence += 1;
        let at = std::cmp::Reverse((at, self.sequence));
        self.flying.push(Flying { at, from, to, ecn: ecn.map(|ecn| ecn as u8), bytes });
    }

    fn deliver(&mut self, flying: Flying) {
        let Flying { from, to, ecn, mut bytes, .. } = flying;
        let now = self.now;
        let sender = self.hosts.iter().position(|host| host.carrier_at(from).is_some());
        // A rebound host no longer hears its old address.
        let found = self.hosts.iter().position(|host| host.carrier_at(to).is_some());
        let Some(index) = found else { return };
        let Some(host) = self.hosts.get_mut(index).filter(|host| !host.asleep) else { return };
        let carrier = host.carrier_at(to).unwrap_or(UDP);
        let sender = sender.map(|sender| (HostId(sender), to));
        self.guard.on_delivered(HostId(index), from, bytes.len(), sender);
        let ecn = match ecn {
            Some(1) => Some(Ecn::Ect1),
            Some(2) => Some(Ecn::Ect0),
            Some(3) => Some(Ecn::Ce),
            _ => None,
        };
        if let Some(tap) = &mut self.tap {
            tap(&host.endpoint, &Recorded { at: now, from, to, bytes: bytes.clone() });
        }
        let bytes = bytes.as_mut_slice();
        let datagram = Datagram { carrier, remote: from, local: None, ecn, segment: None, bytes };
        host.endpoint.handle_datagram(datagram, now);
        host.dirty = true;
    }
}

impl Host {
    /// Which socket is at an address.
    fn carrier_at(&self, addr: SocketAddr) -> Option<CarrierId> {
        let other = || self.sockets.iter().find(|(_, at)| **at == addr).map(|(id, _)| *id);
        if self.addr == addr { Some(UDP) } else { other() }
    }
}

/// What was recorded is replayed, and must be as it was.
impl Drop for Net {
    fn drop(&mut self) {
        if !std::thread::panicking() {
            for host in self.hosts.drain(..) {
                self.tapes.finish(host.endpoint);
            }
        }
    }
}
