//! A host: one endpoint, its sockets, its clock, and its news.

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::net::SocketAddr;
use std::time::Duration;

use aqueduct_core::endpoint::{ConnectionHandle, Endpoint, Event, Incoming, PipeEvent, Transmit};
use aqueduct_core::time::Instant;
use aqueduct_core::wire::id::CarrierId;

use super::clock::Clock;
use super::wire::NatId;
use crate::link::Parcel;

/// The first UDP socket of a simulated host.
pub const UDP: CarrierId = CarrierId(0);

/// Datagrams that a socket keeps for a process that stands still.
pub(super) const SOCKET_BUFFER: usize = 128;

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

/// What a host's operating system says of its sends.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Sending {
    /// So many sends more fail, and their datagrams go nowhere.
    pub fails: u64,
    /// Of a million sends, so many find no room, and wait.
    pub full: u32,
    /// For so long.
    pub full_for: Duration,
    /// Sends that failed.
    pub failed: u64,
    /// Datagrams that were too large, and of which the socket said so.
    pub too_large: u64,
    /// Sends that waited.
    pub waited: u64,
}

/// A socket beside a host's first.
#[derive(Clone, Copy, Debug)]
pub struct Socket {
    /// Where it is.
    pub addr: SocketAddr,
    /// It is an end of a byte stream, and hears no datagrams that are sent to its address.
    pub is_stream: bool,
}

/// One endpoint with its news.
pub struct Host {
    /// The machine under test.
    pub endpoint: Endpoint,
    /// Where its first socket is.
    pub addr: SocketAddr,
    /// Its other sockets.
    pub sockets: BTreeMap<CarrierId, Socket>,
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
    /// What becomes of sends.
    pub sending: Sending,
    /// Its own time.
    pub clock: Clock,
    /// Sockets that take no bytes for now.
    pub(super) blocked: BTreeSet<CarrierId>,
    /// What a full socket did not take yet.
    pub(super) unsent: Vec<(Transmit, Vec<u8>)>,
    /// Suspended: hears nothing and is not woken.
    pub(super) asleep: bool,
    /// The process stands still, and its socket keeps what comes.
    pub(super) paused: Option<VecDeque<Parcel>>,
    /// Datagrams that found its socket full while it stood still.
    pub overflowed: u64,
    /// The NAT in front of it.
    pub(super) behind: Option<NatId>,
    /// When it wants to be woken, in the world's time.
    pub(super) wait: Option<Instant>,
    pub(super) dirty: bool,
    /// Draws of [`Host::sending`] so far.
    pub(super) draws: u64,
}

impl Host {
    pub(super) fn new(endpoint: Endpoint, addr: SocketAddr) -> Self {
        Self {
            endpoint,
            addr,
            sockets: BTreeMap::new(),
            events: VecDeque::new(),
            pipe_events: VecDeque::new(),
            incoming: VecDeque::new(),
            accepted: Vec::new(),
            admission: Admission::Accept,
            sent: 0,
            sending: Sending::default(),
            clock: Clock::default(),
            blocked: BTreeSet::new(),
            unsent: Vec::new(),
            asleep: false,
            paused: None,
            overflowed: 0,
            behind: None,
            wait: None,
            dirty: true,
            draws: 0,
        }
    }

    /// Its process is killed and another endpoint takes its place. Returns the old one.
    pub(super) fn reborn(&mut self, endpoint: Endpoint) -> Endpoint {
        let old = std::mem::replace(&mut self.endpoint, endpoint);
        self.events.clear();
        self.pipe_events.clear();
        self.incoming.clear();
        self.accepted.clear();
        self.blocked.clear();
        self.unsent.clear();
        self.sockets.clear();
        self.paused = None;
        self.wait = None;
        self.dirty = true;
        old
    }

    /// Which socket hears the datagrams for an address.
    pub(super) fn carrier_at(&self, addr: SocketAddr) -> Option<CarrierId> {
        let hears = |socket: &Socket| socket.addr == addr && !socket.is_stream;
        let other = || self.sockets.iter().find(|(_, socket)| hears(socket)).map(|(id, _)| *id);
        if self.addr == addr { Some(UDP) } else { other() }
    }

    /// Whether its process runs.
    pub const fn runs(&self) -> bool {
        !self.asleep && self.paused.is_none()
    }
}
