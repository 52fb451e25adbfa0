//! One socket set's worth of connections: routing, strangers, readiness.
//!
//! Datagrams go in by [`Endpoint::handle_datagram`], everything comes out by [`Endpoint::poll`].
//! The endpoint owns its connections, since a pipe needs two at once and one memory budget stands
//! above all.
//!
//! ```text
//!            ┌─ short ─► connection id ─► slot ─► Connection ──► ready ──► poll
//! datagram ──┤                 └─ no slot ─► a reset, or nothing
//!            └─ long ──┬─ first packet ─► strangers ─► half-open ─► Incoming ─► accept
//!                      └─ others ─► connection id ─► slot
//! ```
//!
//! The loop that drives it is the same in an async runtime, in a thread, in a simulator and in a
//! browser:
//!
//! ```
//! use aqueduct_core::config::EndpointConfig;
//! use aqueduct_core::crypto::identity::NodeKey;
//! use aqueduct_core::endpoint::{Endpoint, Output};
//! use aqueduct_core::rng::Seed;
//! use aqueduct_core::time::Instant;
//!
//! let config = EndpointConfig::new(NodeKey::from_seed(&[7; 32]));
//! let mut endpoint = Endpoint::new(config, Seed::from_u64(1));
//! let mut buf = Vec::new();
//! let now = Instant::ZERO;
//! let wake = loop {
//!     match endpoint.poll(&mut buf, now) {
//!         Output::Transmit(to) => println!("send {} bytes to {}", buf.len(), to.remote),
//!         Output::Event(event) => println!("{event:?}"),
//!         Output::Incoming(incoming) => { endpoint.accept(incoming, now); }
//!         Output::Pipe(event) => println!("{event:?}"),
//!         Output::Wait(until) => break until,
//!     }
//! };
//! assert_eq!(wake, None); // nothing to do until something comes in
//! ```

mod admit;
mod connection_ref;
#[cfg(any(test, feature = "fingerprint"))]
mod discards;
mod incoming;
mod io;
mod look;
mod pipe_doors;
mod pipe_ref;
mod pipe_sums;
mod pipes;
mod ready;
mod route;
mod shaped;
mod slab;
mod stats;
mod strangers;
mod taped;
mod totals;
mod turn;
mod users;

use alloc::boxed::Box;
use alloc::collections::{BTreeMap, BTreeSet, VecDeque};
use alloc::sync::Arc;
use core::net::{IpAddr, SocketAddr};

use smallvec::SmallVec;
use thiserror::Error;

use crate::config::EndpointConfig;
use crate::connection::{Carriers, CidSource, Connection, Setup};
use crate::crypto::cid::{CidCodec, CidFields};
use crate::crypto::cookie::CookieKeys;
use crate::crypto::handshake::{HandshakeError, Initiator};
use crate::crypto::identity::NodeId;
use crate::crypto::reset::ResetKey;
use crate::flow::{Budget, Share};
use crate::path::Source;
use crate::rng::{Rng, Seed};
use crate::shaping::Bandwidth;
use crate::tape::{Deck, Op};
use crate::time::Instant;
use crate::wire::id::CarrierId;

pub use crate::connection::{CarrierKind, EventKind, Transmit};
pub use connection_ref::ConnectionRef;
pub use incoming::Incoming;
pub use io::{ConnectionHandle, Datagram, Event, Output, PeerAddr};
pub use pipe_ref::PipeRef;
pub use pipes::{Leg, PipeError, PipeEvent, PipeEventKind, PipeId, StreamAddr};
pub use stats::EndpointStats;
pub use totals::{Endings, Standing, Totals};

use incoming::Offered;
use pipes::Pipes;
use ready::{Deadlines, Queued, ReadyQueue};
use shaped::Limits;
use slab::{Slab, SlotKey};
use strangers::{HalfOpen, Strangers};
use users::Users;

/// Why a connection was not begun. Nothing was changed.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
#[non_exhaustive]
pub enum ConnectError {
    /// All slots are taken, or the budget has no floor left.
    #[error("all {max_connections} connections are in use (setting: max_connections)")]
    Full {
        /// The limit.
        max_connections: u32,
    },
    /// The carrier was not opened, or is closed.
    #[error("carrier {} is not open", .0.0)]
    NoCarrier(CarrierId),
    /// The handshake cannot begin.
    #[error("the handshake cannot begin: {0}")]
    Handshake(HandshakeError),
}

/// What lives in a slot.
#[derive(Clone)]
#[cfg_attr(any(test, feature = "fingerprint"), derive(Hash))]
enum Entry {
    /// A stranger's handshake.
    HalfOpen(Box<HalfOpen>),
    /// A connection.
    Connection(Box<Member>),
}

/// A connection and where it stands in the endpoint's queues.
#[derive(Clone)]
#[cfg_attr(any(test, feature = "fingerprint"), derive(Hash))]
struct Member {
    connection: Connection,
    /// In the queue of those who may have something to send.
    ready: Queued,
    /// In the queue of those who have news.
    news: Queued,
    /// As in `Endpoint::deadlines`.
    deadline: Option<Instant>,
    /// When it was last seen to be due right after an input: it fires once an instant.
    fired_at: Option<Instant>,
    /// In the strangers' table under this key, if the peer began.
    ephemeral: Option<[u8; 32]>,
    /// In `Endpoint::dialing` under this id, while we are the one who began.
    dialing: Option<NodeId>,
    /// In `Endpoint::by_remote` under this address.
    remote: SocketAddr,
    /// In `Endpoint::users` under these.
    carriers: SmallVec<[CarrierId; 2]>,
    /// In `Endpoint::limits`, for its turn.
    waits: bool,
    /// Its peer as `Endpoint::limits` knows it, also after the connection has forgotten it.
    limited_as: Option<NodeId>,
    /// Holds a place of this address among the half-open handshakes, as long as it is half-open.
    place: Option<IpAddr>,
}

/// All that speaks through one set of sockets.
#[derive(Clone)]
#[cfg_attr(any(test, feature = "fingerprint"), derive(Hash))]
pub struct Endpoint {
    config: EndpointConfig,
    budget: Budget,
    carriers: Carriers,
    slots: Slab<Entry>,
    strangers: Strangers,
    /// Connections that we begin, by whom to.
    dialing: BTreeMap<NodeId, SlotKey>,
    /// Connections by where their peer is: whom a stateless reset could mean.
    by_remote: BTreeSet<(SocketAddr, SlotKey)>,
    users: Users,
    /// Strangers that the application has not been told of.
    offers: VecDeque<Offered>,
    /// Connections that may have something to send.
    ready: ReadyQueue,
    /// Connections that have news.
    news: ReadyQueue,
    deadlines: Deadlines,
    pipes: Pipes,
    /// News of connections that were over before they began.
    late: VecDeque<Event>,
    codec: CidCodec,
    reset: ResetKey,
    secret_rng: Rng,
    public_rng: Rng,
    /// Fills stateless resets: strays draw from it, so nothing else may.
    reset_rng: Rng,
    stats: EndpointStats,
    /// Bytes of what belongs to no connection.
    beside: Bandwidth,
    /// Who may send how much; nothing if nothing is limited.
    limits: Option<Box<Limits>>,
    /// What connections did that are gone.
    gone: Totals,
    /// The latest instant that an input brought.
    now: Instant,
    /// What is recorded of all this.
    tape: Deck,
}

impl Endpoint {
    /// An endpoint without carriers. Everything random in it comes from `seed`, which must be fresh
    /// from the operating system's generator for every endpoint.
    pub fn new(config: EndpointConfig, seed: Seed) -> Self {
        let mut root = Rng::new(&seed);
        let cookies = CookieKeys::new(config.provider, root.fork("cookie"), Instant::ZERO);
        let codec = CidCodec::new(&mut root.fork("cid"));
        let reset = ResetKey::new(config.provider, root.fork("reset").bytes());
        let mut endpoint = Self {
            budget: Budget::new(config.memory),
            carriers: Carriers::default(),
            slots: Slab::new(config.slots()),
            strangers: Strangers::new(cookies, &config),
            dialing: BTreeMap::new(),
            by_remote: BTreeSet::new(),
            users: Users::new(),
            offers: VecDeque::new(),
            ready: ReadyQueue::default(),
            news: ReadyQueue::default(),
            deadlines: Deadlines::default(),
            pipes: Pipes::default(),
            late: VecDeque::new(),
            codec,
            reset,
            secret_rng: root.fork("secret"),
            public_rng: root.fork("public"),
            reset_rng: root.fork("filler"),
            stats: EndpointStats::default(),
            beside: Bandwidth::default(),
            limits: None,
            gone: Totals::default(),
            now: Instant::ZERO,
            tape: Deck::default(),
            config,
        };
        endpoint.begin_limits();
        endpoint
    }

    /// This node's id.
    pub fn node_id(&self) -> NodeId {
        self.config.handshake.id()
    }

    /// Counters of everything that no connection counts, and what is in use now.
    pub fn stats(&self) -> EndpointStats {
        let piped = self.pipes.sums();
        EndpointStats {
            half_open: self.strangers.half_open(),
            connections: self.budget.connections() - self.strangers.half_open(),
            budget_committed: self.budget.committed(),
            budget_total: self.budget.limits().total(),
            pipes: u32::try_from(self.pipes.count()).unwrap_or(u32::MAX),
            pipe_bytes: self.pipes.held(),
            pipes_begun: self.pipes.begun(),
            piped_bytes: piped.received,
            pipe_bytes_max: piped.most_held,
            pipes_timed_out: piped.timed_out,
            pipes_refused: piped.refused,
            legs_detached: piped.detached,
            ..self.stats
        }
    }

    /// Begins a connection. It is there at once; [`EventKind::Connected`] or [`EventKind::Closed`]
    /// tells what became of it.
    ///
    /// # Errors
    /// No slot, no memory, no such carrier, or the node's own id; nothing was changed then.
    pub fn connect(
        &mut self,
        to: PeerAddr,
        now: Instant,
    ) -> Result<ConnectionHandle, ConnectError> {
        let made = self.dial(&to, now);
        self.note_connect(&to, &made, now);
        made
    }

    fn dial(&mut self, to: &PeerAddr, now: Instant) -> Result<ConnectionHandle, ConnectError> {
        self.advance(now);
        let Some(carrier) = self.carriers.get(to.carrier).copied() else {
            return Err(ConnectError::NoCarrier(to.carrier));
        };
        let max_connections = self.config.memory.max_connections();
        let full = ConnectError::Full { max_connections };
        let share = self.budget.open().ok_or(full.clone())?;
        let Some(key) = self.slots.reserve() else {
            self.budget.close(share);
            return Err(full);
        };
        let setup = self.setup(key, share);
        let scid = setup.cids.id(0);
        let mut rng = self.secret_rng.fork("initiator");
        let config = &self.config.handshake;
        match Initiator::start(config, to.id, scid, &setup.params(to.remote.ip()), &mut rng) {
            Ok(initiator) => {
                let remote = to.remote;
                let source = Source {
                    carrier: to.carrier,
                    kind: carrier.kind.carriage(),
                    remote,
                    local: None,
                };
                let connection = Connection::dial(setup, initiator, &source, now);
                self.admit(key, connection, source.remote);
                self.stats.dialled += 1;
                if let Some(id) = to.id {
                    self.note_dialing(key, id);
                }
                self.touch(key);
                Ok(ConnectionHandle(key))
            }
            Err(error) => {
                self.slots.release(key);
                self.budget.close(setup.share);
                Err(ConnectError::Handshake(error))
            }
        }
    }

    /// A connection that is not drained yet; `None` for ever after.
    pub fn connection(&mut self, handle: ConnectionHandle) -> Option<ConnectionRef<'_>> {
        let Some(Entry::Connection(member)) = self.slots.get_mut(handle.0) else { return None };
        let (ready, news, users) = (&mut self.ready, &mut self.news, &mut self.users);
        let queues = connection_ref::Queues { ready, news, users };
        let (budget, tape, carriers) = (&mut self.budget, &mut self.tape, &self.carriers);
        Some(ConnectionRef::new(handle, member, (budget, carriers), queues, tape, self.now))
    }

    /// The same, at `now`: ages are counted from there, and times told until then. With
    /// [`Endpoint::connection`] it is the time of the last input.
    pub fn connection_at(
        &mut self,
        handle: ConnectionHandle,
        now: Instant,
    ) -> Option<ConnectionRef<'_>> {
        // What leaves no record leaves no trace of its time either.
        let Some(Entry::Connection(_)) = self.slots.get(handle.0) else { return None };
        self.tape.note(|tape| tape.at(now));
        self.advance(now);
        self.connection(handle)
    }

    /// A pipe that is not over yet; `None` for ever after.
    pub fn piped(&mut self, id: PipeId) -> Option<PipeRef<'_>> {
        PipeRef::new(self, id)
    }

    /// A carrier is there, or is another kind from now on. It takes bytes.
    pub fn carrier_opened(&mut self, carrier: CarrierId, kind: CarrierKind, now: Instant) {
        self.tape.note(|tape| tape.carrier_opened(carrier, &kind, now));
        self.advance(now);
        self.carriers.open(carrier, kind);
        // One of that name may have been blocked.
        self.tell_members(carrier, |connection, _| connection.on_carrier_writable(carrier, now));
    }

    /// A carrier is gone, with everything that was in it. Connections that have no other way end,
    /// or, if it was a reliable one, ask for another (spec R-PATH-15, R-TCP-26).
    pub fn carrier_closed(&mut self, carrier: CarrierId, now: Instant) {
        self.tape.note(|tape| tape.carrier(Op::CarrierClosed, carrier, now));
        self.advance(now);
        self.carriers.close(carrier);
        self.strangers.on_carrier_closed(carrier);
        self.forget_strangers_of(carrier);
        self.tell_members(carrier, |connection, budget| {
            connection.on_carrier_closed(carrier, budget, now);
        });
    }

    /// A carrier takes no bytes for now. Nothing is sent through it, and nothing on it is counted
    /// as lost, until it is writable (spec R-EP-41).
    pub fn carrier_blocked(&mut self, carrier: CarrierId, now: Instant) {
        self.tape.note(|tape| tape.carrier(Op::CarrierBlocked, carrier, now));
        self.advance(now);
        self.carriers.set_blocked(carrier, true);
        self.tell_members(carrier, |connection, _| connection.on_carrier_blocked(carrier));
    }

    /// A blocked carrier takes bytes again.
    pub fn carrier_writable(&mut self, carrier: CarrierId, now: Instant) {
        self.tape.note(|tape| tape.carrier(Op::CarrierWritable, carrier, now));
        self.advance(now);
        self.carriers.set_blocked(carrier, false);
        self.tell_members(carrier, |connection, _| connection.on_carrier_writable(carrier, now));
    }

    /// Time moves on; it never goes back.
    fn advance(&mut self, now: Instant) {
        debug_assert!(now >= self.now, "time goes back");
        self.now = self.now.max(now);
    }

    /// What a connection in the slot `key` begins with.
    fn setup(&mut self, key: SlotKey, share: Share) -> Setup {
        let cids = CidSource {
            codec: self.codec.clone(),
            reset: self.reset.clone(),
            shard: self.config.shard,
            slot: key.index,
            generation: key.generation,
        };
        Setup {
            config: Arc::clone(&self.config.transport),
            provider: self.config.provider,
            timer_granularity: self.config.timer_granularity,
            cids,
            share,
            rng: self.public_rng.fork("connection"),
        }
    }

    /// Puts a connection into its slot.
    fn admit(&mut self, key: SlotKey, connection: Connection, remote: SocketAddr) {
        let member = Member {
            connection,
            ready: Queued::default(),
            news: Queued::default(),
            deadline: None,
            fired_at: None,
            ephemeral: None,
            dialing: None,
            remote,
            carriers: SmallVec::new(),
            waits: false,
            limited_as: None,
            place: None,
        };
        let carrier = member.connection.carriers().next();
        self.by_remote.insert((remote, key));
        self.slots.put(key, Entry::Connection(Box::new(member)));
        carrier.into_iter().for_each(|carrier| self.note_user(key, carrier));
    }

    fn note_dialing(&mut self, key: SlotKey, id: NodeId) {
        if let Some(Entry::Connection(member)) = self.slots.get_mut(key) {
            member.dialing = Some(id);
            self.dialing.insert(id, key);
        }
    }

    /// A connection was spoken to: it may have something to send, and news.
    fn touch(&mut self, key: SlotKey) {
        if let Some(Entry::Connection(member)) = self.slots.get_mut(key) {
            self.ready.push(key, &mut member.ready);
            self.news.push(key, &mut member.news);
        }
    }

    /// The slot that a connection id of ours names, if everything in it holds (spec R-EP-1).
    fn slot_of(&self, fields: CidFields) -> Option<SlotKey> {
        let key = SlotKey { index: fields.slot(), generation: fields.generation() };
        (fields.shard() == self.config.shard).then_some(key)
    }
}

#[cfg(test)]
mod tests;
