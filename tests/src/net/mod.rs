//! Hosts with endpoints, and what lies between them, in virtual time.
//!
//! ```text
//!      host             host          one endpoint each, with sockets and a clock of their own
//!    ┌──┴──┐          ┌──┴──┐
//!    │ Net │ ── Wire ─┤     │         roads of machines, plain links, NATs, streams, cross traffic
//!    └─────┘          └─────┘
//! ```
//!
//! Time jumps to the next thing that happens: something under way is at its next place, or an
//! endpoint's deadline has come. Everybody who may have something to say is polled before time
//! moves.

pub mod clock;
mod digest;
pub mod host;
mod machines;
pub mod nat;
mod played;
pub mod reno;
mod sending;
pub mod stream;
mod wire;

use std::collections::BTreeMap;
use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::time::Duration;

use aqueduct_core::endpoint::{
    CarrierKind, ConnectionHandle, Datagram, Endpoint, Output, PeerAddr,
};
use aqueduct_core::fingerprint::Fingerprint;
use aqueduct_core::time::Instant;
use aqueduct_core::wire::id::{CarrierId, Ecn};

use crate::guard::Guard;
use crate::link::{Link, LinkConfig, Machine, Parcel, Stage};
use crate::model::Model;
use crate::tapes::Tapes;

pub use host::{Admission, Host, HostId, Sending, Socket, UDP};
pub use nat::{Nat, NatKind};
pub use wire::{FlowId, NatId, StageId, StreamNr};

use digest::Digest;
use stream::{End, Stream, StreamConfig};
use wire::{Due, Wire};

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
    /// Watches what must hold of every endpoint after every step. `None`: nobody does, which is
    /// for what is timed only.
    pub model: Option<Model>,
    /// Tapes of hosts, replayed when the network goes.
    pub tapes: Tapes,
    /// Reads the packet numbers of every host off the wire. `None`: as with the model.
    #[cfg(feature = "wiretap")]
    pub wiretaps: Option<BTreeMap<HostId, crate::wiretap::Wiretap>>,
    /// Who spoke last from an address, as it is seen outside: a host may be elsewhere before what
    /// it said is there.
    spoke: BTreeMap<SocketAddr, HostId>,
    /// Where somebody lives who has no endpoint, and what came there.
    lodgers: BTreeMap<SocketAddr, Vec<Recorded>>,
    wire: Wire,
    digest: Digest,
    buf: Vec<u8>,
}

/// Things that an endpoint does at one instant, at most.
const MOST_TURNS: u32 = 1_000_000;

impl Net {
    /// An empty network; every pair of hosts is joined by `link`, each way on its own.
    pub fn new(seed: u64, link: LinkConfig) -> Self {
        Self {
            now: Instant::from_nanos(1_000_000_000),
            hosts: Vec::new(),
            recording: None,
            tap: None,
            guard: Guard::default(),
            model: Some(Model::default()),
            tapes: Tapes::asked_for(),
            #[cfg(feature = "wiretap")]
            wiretaps: Some(BTreeMap::new()),
            spoke: BTreeMap::new(),
            lodgers: BTreeMap::new(),
            wire: Wire::new(seed, link),
            digest: Digest::new(),
            buf: Vec::new(),
        }
    }

    /// A host, to be called. It is polled again before time moves on.
    pub fn host(&mut self, id: HostId) -> &mut Host {
        let host = self.hosts.get_mut(id.0).expect("a host of this network");
        host.dirty = true;
        host
    }

    /// What a host's clock shows now.
    pub fn local(&self, id: HostId) -> Instant {
        self.hosts[id.0].clock.local(self.now)
    }

    /// Begins a connection from one host to another whose node id it knows.
    pub fn connect(&mut self, from: HostId, to: HostId) -> ConnectionHandle {
        let peer = self.host(to).endpoint.node_id();
        let addr = PeerAddr::new(peer, self.host(to).addr);
        self.connect_to(from, addr)
    }

    /// Begins a connection to a given address.
    pub fn connect_to(&mut self, from: HostId, addr: PeerAddr) -> ConnectionHandle {
        let now = self.local(from);
        self.guard.on_dialed(from, addr.remote);
        self.host(from).endpoint.connect(addr, now).expect("room for a connection")
    }

    /// The plain link from one address to another.
    pub fn link(&mut self, from: SocketAddr, to: SocketAddr) -> &mut Link {
        self.wire.link(from, to)
    }

    /// Both directions between two hosts, from now on.
    pub fn set_link(&mut self, a: HostId, b: HostId, config: LinkConfig) {
        let (a, b) = (self.host(a).addr, self.host(b).addr);
        self.link(a, b).config = config;
        self.link(b, a).config = config;
    }

    /// Places a machine, for roads to lead through.
    pub fn place(&mut self, machine: impl Machine + 'static) -> StageId {
        self.wire.place(machine)
    }

    /// The same in a box.
    pub fn place_boxed(&mut self, machine: Box<dyn Machine>) -> StageId {
        self.wire.place_boxed(machine)
    }

    /// A machine with its counters.
    pub fn stage(&mut self, id: StageId) -> &mut Stage {
        &mut self.wire.stages[id.0]
    }

    /// From now on all that one host sends to another, from whatever address to whatever address,
    /// goes through these machines, in place of a plain link.
    pub fn set_road(&mut self, from: HostId, to: HostId, road: &[StageId]) {
        self.wire.set_road(from, to, road);
    }

    /// Places machines that only this direction goes through.
    pub fn lay(&mut self, from: HostId, to: HostId, machines: &[Box<dyn Machine>]) -> Vec<StageId> {
        let machines = machines.iter().cloned();
        let road: Vec<_> = machines.map(|machine| self.wire.place_boxed(machine)).collect();
        self.set_road(from, to, &road);
        road
    }

    /// Begins a TCP-like bulk flow through machines that are there, forth and back.
    pub fn cross_traffic(&mut self, forth: &[StageId], back: &[StageId]) -> FlowId {
        let now = self.now;
        self.wire.begin_flow([forth, back], now)
    }

    /// Such a flow ends. Returns the bytes that it delivered.
    pub fn stop_cross_traffic(&mut self, flow: FlowId) -> u64 {
        self.wire.stop_flow(flow);
        self.crossed(flow)
    }

    /// Its state.
    pub fn reno(&self, flow: FlowId) -> &reno::Reno {
        &self.wire.flows[flow.0].reno
    }

    /// Bytes that such a flow has delivered.
    pub fn crossed(&self, flow: FlowId) -> u64 {
        self.wire.flows[flow.0].reno.delivered * reno::SEGMENT as u64
    }

    /// Puts a NAT onto the network.
    pub fn add_nat(&mut self, nat: Nat) -> NatId {
        self.wire.nats.push(nat);
        NatId(self.wire.nats.len() - 1)
    }

    /// A NAT.
    pub fn nat(&mut self, id: NatId) -> &mut Nat {
        &mut self.wire.nats[id.0]
    }

    /// A host is behind a NAT from now on, at an address of its own there.
    pub fn put_behind(&mut self, id: HostId, nat: NatId) {
        let inside = Ipv4Addr::new(192, 168, nat.0 as u8, id.0 as u8 + 2);
        let host = self.host(id);
        host.addr.set_ip(inside.into());
        host.behind = Some(nat);
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
        let now = self.local(id);
        let host = self.host(id);
        host.blocked.remove(&carrier);
        host.sockets.insert(carrier, Socket { addr, is_stream: false });
        host.endpoint.carrier_opened(carrier, kind, now);
    }

    /// A socket of a host fails for good.
    pub fn close_socket(&mut self, id: HostId, carrier: CarrierId) {
        let now = self.local(id);
        let host = self.host(id);
        host.sockets.remove(&carrier);
        host.unsent.retain(|(to, _)| to.carrier != carrier);
        host.endpoint.carrier_closed(carrier, now);
    }

    /// A socket of a host takes no bytes (`true`), or takes them again.
    pub fn block(&mut self, id: HostId, carrier: CarrierId, blocked: bool) {
        let now = self.local(id);
        let host = self.host(id);
        if blocked {
            host.blocked.insert(carrier);
            host.endpoint.carrier_blocked(carrier, now);
        } else {
            host.blocked.remove(&carrier);
            host.endpoint.carrier_writable(carrier, now);
        }
    }

    /// Joins two hosts by a byte stream, under a carrier of this number at each. Returns it, and
    /// where the second host is on it: the address to dial.
    pub fn join(
        &mut self,
        hosts: [HostId; 2],
        carrier: CarrierId,
        config: StreamConfig,
    ) -> (StreamNr, SocketAddr) {
        let number = self.wire.streams.len();
        let port = 10_000 + number as u16 * 2;
        let addr = |net: &mut Self, at: usize| {
            SocketAddr::new(net.host(hosts[at]).addr.ip(), port + at as u16)
        };
        let addrs = [addr(self, 0), addr(self, 1)];
        for at in 0..2 {
            let kind = CarrierKind::Reliable { remote: addrs[1 - at] };
            self.open_socket(hosts[at], carrier, addrs[at], kind);
            self.host(hosts[at])
                .sockets
                .insert(carrier, Socket { addr: addrs[at], is_stream: true });
            // Who comes over a stream has shown where it is.
            self.guard.on_dialed(hosts[at], addrs[1 - at]);
        }
        let ends = [0, 1].map(|at| End::new(hosts[at], carrier, addrs[at]));
        let dice = self.wire.dice(&format!("stream {number}"));
        self.wire.streams.push(Stream::new(config, ends, dice));
        (StreamNr(number), addrs[1])
    }

    /// A byte stream breaks: each end notices, and what was under way is gone.
    pub fn break_stream(&mut self, stream: StreamNr) {
        let now = self.now;
        self.wire.push(now, Due::Broken(stream));
    }

    /// From now on a byte stream carries nothing, and neither end is told.
    pub fn swallow(&mut self, stream: StreamNr) {
        self.wire.streams[stream.0].swallowed.get_or_insert_default();
    }

    /// Suspends a host, or wakes it: what was sent to it meanwhile is lost.
    pub fn sleep(&mut self, id: HostId, asleep: bool) {
        self.host(id).asleep = asleep;
        self.read_held(id);
    }

    /// A host's process stands still, or goes on: what was sent to it meanwhile waits in its
    /// socket, as far as that reaches.
    pub fn pause(&mut self, id: HostId, paused: bool) {
        let host = self.host(id);
        if paused {
            host.paused.get_or_insert_default();
        } else if let Some(parcels) = host.paused.take() {
            parcels.into_iter().for_each(|parcel| self.arrive(parcel));
            self.read_held(id);
        }
    }

    /// Puts a datagram onto the network as if `from` had sent it, past any link.
    pub fn inject(&mut self, from: SocketAddr, to: SocketAddr, bytes: Vec<u8>) {
        let at = self.now;
        self.wire.push(at, Due::Arrive(Parcel { at, ..Parcel::new(from, to, bytes) }));
    }

    /// The same of what a host `said`: whoever lives at `to` has heard that host, and proves its
    /// address by the answer; and if it was meant for elsewhere, that address, too, since who
    /// repeats it listens there.
    pub fn repeat(&mut self, said: &Recorded, from: SocketAddr, to: SocketAddr, bytes: Vec<u8>) {
        let origin = said.from;
        let sender = self.spoke.get(&origin).copied().or_else(|| self.who(origin).map(HostId));
        if let Some(sender) = sender {
            self.guard.on_reached(sender, to);
            if said.to != to {
                self.guard.on_passed_on(sender, said.to);
            }
        }
        self.inject(from, to, bytes);
    }

    /// Somebody lives at this address who has no endpoint: what comes there is kept for
    /// [`Net::mail`].
    pub fn lodge(&mut self, addr: SocketAddr) {
        self.lodgers.entry(addr).or_default();
    }

    /// Plain links from and to an address are like this from now on, in place of the usual.
    pub fn set_usual_link(&mut self, ip: IpAddr, link: LinkConfig) {
        self.wire.usual.insert(ip, link);
    }

    /// Takes what came to somebody who has no endpoint.
    pub fn mail(&mut self, addr: SocketAddr) -> Vec<Recorded> {
        self.lodgers.get_mut(&addr).map(std::mem::take).unwrap_or_default()
    }

    /// Somebody who has no endpoint sends a datagram, over a plain link.
    pub fn post(&mut self, from: SocketAddr, to: SocketAddr, bytes: Vec<u8>) {
        let parcel = Parcel { at: self.now, ..Parcel::new(from, to, bytes) };
        let _ = self.wire.launch(parcel, None);
    }

    /// A digest of every datagram sent so far, with times and addresses: the same on every machine.
    pub fn wire_fingerprint(&self) -> [u8; 32] {
        *self.digest.so_far().finalize().as_bytes()
    }

    /// The same, and of the state that every endpoint is in now, which counts in words of the
    /// machine.
    pub fn fingerprint(&self) -> [u8; 32] {
        let mut hash = self.digest.so_far();
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
            if self.hosts.get(index).is_some_and(|host| host.dirty && host.runs()) {
                news |= self.drain(index);
            }
        }
        if news {
            return true;
        }
        let awake = self.hosts.iter().filter(|host| host.runs());
        let wake = awake.filter_map(|host| host.wait).min();
        let next = [self.wire.next(), wake].into_iter().flatten().min();
        let Some(next) = next.filter(|next| *next <= until) else {
            self.now = self.now.max(until);
            return false;
        };
        // A host that slept finds its deadlines passed.
        let next = next.max(self.now);
        self.now = next;
        self.wire.expire_flows(next);
        while let Some(due) = self.wire.pop(next) {
            self.happen(due);
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
        let now = self.local(HostId(index));
        for turn in 0_u32.. {
            assert!(turn < MOST_TURNS, "host {index} has always something to do");
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
                    host.wait = wait.map(|wait| host.clock.world(wait));
                    host.dirty = false;
                    if let Some(model) = &mut self.model {
                        model.look(HostId(index), &host.endpoint, now);
                    }
                    break;
                }
            }
        }
        self.buf = buf;
        news
    }

    fn record(&mut self, from: SocketAddr, to: SocketAddr, bytes: &[u8]) {
        self.digest.add(self.now, from, to, bytes);
        if let Some(recording) = &mut self.recording {
            recording.push(Recorded { at: self.now, from, to, bytes: bytes.to_vec() });
        }
    }

    /// What was under way is at its next place.
    fn happen(&mut self, due: Due) {
        let now = self.now;
        match due {
            Due::Arrive(parcel) => self.arrive(parcel),
            Due::Pass(parcel, road, next) => _ = self.wire.pass(parcel, road, next),
            Due::Cross(flow, segment, forth, next) => {
                self.wire.cross(flow, segment, forth, next, now);
            }
            Due::Read(stream, end, bytes) => self.read(stream, end, bytes),
            Due::Broken(stream) => self.broken(stream),
            Due::Writable(host, carrier) => self.writable(host, carrier),
        }
    }

    /// Which host an address belongs to, seen from outside.
    fn who(&self, addr: SocketAddr) -> Option<usize> {
        let behind = self.wire.nats.iter().find_map(|nat| nat.behind(addr));
        let addr = behind.unwrap_or(addr);
        self.hosts.iter().position(|host| host.carrier_at(addr).is_some())
    }

    /// A datagram is where it goes, if anybody is there.
    fn arrive(&mut self, parcel: Parcel) {
        let now = self.now;
        let sender = self.spoke.get(&parcel.from).copied();
        let sender = sender.or_else(|| self.who(parcel.from).map(HostId));
        let sender = sender.map(|sender| (sender, parcel.to));
        if let Some(mail) = self.lodgers.get_mut(&parcel.to) {
            sender.into_iter().for_each(|(host, to)| self.guard.on_reached(host, to));
            let Parcel { from, to, bytes, .. } = parcel;
            mail.push(Recorded { at: now, from, to, bytes });
            return;
        }
        let mut to = parcel.to;
        if let Some(nat) = self.wire.nats.iter_mut().find(|nat| nat.public == to.ip()) {
            let Some(inside) = nat.inward(parcel.from, to, now) else { return };
            to = inside;
        }
        // A rebound host no longer hears its old address.
        let found = self.hosts.iter().position(|host| host.carrier_at(to).is_some());
        let Some(index) = found.filter(|index| self.reaches(*index, &parcel, to)) else { return };
        let Some(host) = self.hosts.get_mut(index).filter(|host| !host.asleep) else { return };
        if let Some(waiting) = &mut host.paused {
            if waiting.len() < host::SOCKET_BUFFER {
                waiting.push_back(parcel);
            } else {
                host.overflowed += 1;
            }
            return;
        }
        let carrier = host.carrier_at(to).unwrap_or(UDP);
        self.guard.on_delivered(HostId(index), parcel.from, parcel.bytes.len(), sender);
        if let Some(tap) = &mut self.tap {
            let Parcel { from, to, ref bytes, .. } = parcel;
            tap(&host.endpoint, &Recorded { at: now, from, to, bytes: bytes.clone() });
        }
        let Parcel { from, ecn, bytes, .. } = parcel;
        self.hand(index, carrier, from, ecn, bytes);
    }

    /// Whether a datagram gets to a host: past a NAT only through it, or from behind it.
    fn reaches(&self, index: usize, parcel: &Parcel, to: SocketAddr) -> bool {
        let behind = self.hosts[index].behind;
        let neighbour = |host: &Host| host.addr == parcel.from && host.behind == behind;
        behind.is_none() || to != parcel.to || self.hosts.iter().any(neighbour)
    }

    /// Gives a datagram to a host's endpoint.
    fn hand(
        &mut self,
        index: usize,
        carrier: CarrierId,
        remote: SocketAddr,
        ecn: Option<Ecn>,
        mut bytes: Vec<u8>,
    ) {
        let now = self.local(HostId(index));
        let host = &mut self.hosts[index];
        let bytes = bytes.as_mut_slice();
        let datagram = Datagram { carrier, remote, local: None, ecn, segment: None, bytes };
        host.endpoint.handle_datagram(datagram, now);
        host.dirty = true;
    }
}

/// What was recorded is replayed, and must be as it was.
impl Drop for Net {
    fn drop(&mut self) {
        played::tell(|| self.fingerprint());
        for host in self.hosts.drain(..) {
            self.tapes.finish(host.endpoint);
        }
    }
}
