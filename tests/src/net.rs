//! Hosts with endpoints, and the datagrams between them.

use std::collections::{BTreeMap, BinaryHeap, VecDeque};
use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::time::Duration;

use aqueduct_core::config::EndpointConfig;
use aqueduct_core::endpoint::{
    CarrierKind, ConnectionHandle, Datagram, Endpoint, Event, Incoming, Output, PeerAddr, Transmit,
};
use aqueduct_core::rng::{Rng, Seed};
use aqueduct_core::time::Instant;
use aqueduct_core::wire::id::{CarrierId, Ecn};

use crate::link::{Link, LinkConfig};

/// The one UDP socket of a simulated host.
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
    /// Where it is.
    pub addr: SocketAddr,
    /// News that the test has not looked at.
    pub events: VecDeque<Event>,
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
    links: BTreeMap<(SocketAddr, SocketAddr), Link>,
    default_link: LinkConfig,
    flying: BinaryHeap<Flying>,
    sequence: u64,
    rng: Rng,
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
            links: BTreeMap::new(),
            default_link: link,
            flying: BinaryHeap::new(),
            sequence: 0,
            rng: Rng::new(&Seed::from_u64(seed)),
            hash: blake3::Hasher::new(),
            buf: Vec::new(),
        }
    }

    /// Adds a host with an endpoint and its UDP socket.
    pub fn add(&mut self, config: EndpointConfig, seed: u64) -> HostId {
        let number = self.hosts.len();
        let ip = IpAddr::V4(Ipv4Addr::new(10, 0, (number >> 8) as u8, number as u8 + 1));
        let mut endpoint = Endpoint::new(config, Seed::from_u64(seed));
        let kind = CarrierKind::Udp { max_segments: 16, max_datagram: 65_507 };
        endpoint.carrier_opened(UDP, kind, self.now);
        self.hosts.push(Host {
            endpoint,
            addr: SocketAddr::new(ip, 4433),
            events: VecDeque::new(),
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
        self.host(from).endpoint.connect(addr, now).expect("room for a connection")
    }

    /// The link from one address to another.
    pub fn link(&mut self, from: SocketAddr, to: SocketAddr) -> &mut Link {
        self.links.entry((from, to)).or_insert_with(|| Link::new(self.default_link))
    }

    /// Both directions between two hosts, from now on.
    pub fn set_link(&mut self, a: HostId, b: HostId, config: LinkConfig) {
        let (a, b) = (self.host(a).addr, self.host(b).addr);
        self.link(a, b).config = config;
        self.link(b, a).config = config;
    }

    /// From now on a host sends from another port and hears that port only, as behind a forgetful NAT.
    pub fn rebind(&mut self, id: HostId, port: u16) {
        self.host(id).addr.set_port(port);
    }

    /// Puts a datagram onto the network as if `from` had sent it, past any link.
    pub fn inject(&mut self, from: SocketAddr, to: SocketAddr, bytes: Vec<u8>) {
        let now = self.now;
        self.enqueue(now, from, to, None, bytes);
    }

    /// A digest of every datagram sent so far, with times and addresses.
    pub fn fingerprint(&self) -> [u8; 32] {
        *self.hash.finalize().as_bytes()
    }

    /// Polls every host that may have something to say, then lets the next thing happen. `false` when
    /// nothing is left to happen before `until`; then it is `until`.
    pub fn step(&mut self, until: Instant) -> bool {
        for index in 0..self.hosts.len() {
            if self.hosts.get(index).is_some_and(|host| host.dirty) {
                self.drain(index);
            }
        }
        let arrival = self.flying.peek().map(|flying| flying.at.0.0);
        let wake = self.hosts.iter().filter_map(|host| host.wait).min();
        let next = [arrival, wake].into_iter().flatten().min().filter(|next| *next <= until);
        let Some(next) = next else {
            self.now = self.now.max(until);
            return false;
        };
        assert!(next >= self.now, "time went backwards");
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

    fn drain(&mut self, index: usize) {
        let mut buf = std::mem::take(&mut self.buf);
        loop {
            let now = self.now;
            let Some(host) = self.hosts.get_mut(index) else { break };
            match host.endpoint.poll(&mut buf, now) {
                Output::Event(event) => host.events.push_back(event),
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
    }

    fn transmit(&mut self, index: usize, to: Transmit, bytes: &[u8]) {
        let Some(host) = self.hosts.get_mut(index) else { return };
        let from = host.addr;
        assert!(!bytes.is_empty(), "an empty transmit");
        let segments: Vec<&[u8]> = bytes.chunks(to.segment.unwrap_or(bytes.len())).collect();
        host.sent += segments.len() as u64;
        for segment in segments {
            self.record(from, to.remote, segment);
            let len = segment.len();
            let now = self.now;
            let mut rng = self.rng.clone();
            let fate = self.link(from, to.remote).send(len, &mut rng, now);
            self.rng = rng;
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
        // A rebound host no longer hears its old address.
        let Some(host) = self.hosts.iter_mut().find(|host| host.addr == to) else { return };
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
        let datagram =
            Datagram { carrier: UDP, remote: from, local: None, ecn, segment: None, bytes };
        host.endpoint.handle_datagram(datagram, now);
        host.dirty = true;
    }
}
