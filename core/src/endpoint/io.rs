//! What goes through the endpoint's doors.

use core::net::{IpAddr, SocketAddr};

use crate::connection::{EventKind, Transmit};
use crate::crypto::identity::NodeId;
use crate::time::Instant;
use crate::wire::id::{CarrierId, Ecn};

use super::incoming::Incoming;
use super::pipes::PipeEvent;
use super::slab::SlotKey;

/// A connection of one endpoint. Carries a generation: a handle of a connection that is gone finds
/// nothing, never another's data.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ConnectionHandle(pub(crate) SlotKey);

impl ConnectionHandle {
    /// The connection's slot: dense, used again after the connection is gone.
    pub const fn index(self) -> usize {
        self.0.index as usize
    }
}

/// Whom to connect to, and how.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PeerAddr {
    /// The peer's node id; `None` connects to whoever answers (`XXpsk0+psk3`).
    pub id: Option<NodeId>,
    /// Where to send.
    pub remote: SocketAddr,
    /// By which socket.
    pub carrier: CarrierId,
}

impl PeerAddr {
    /// A known node at an address, by the first carrier.
    pub const fn new(id: NodeId, remote: SocketAddr) -> Self {
        Self { id: Some(id), remote, carrier: CarrierId(0) }
    }
}

/// What a socket received: one datagram, or a batch that the kernel coalesced.
#[derive(Debug)]
pub struct Datagram<'a> {
    /// The socket.
    pub carrier: CarrierId,
    /// Who sent it.
    pub remote: SocketAddr,
    /// The local address it was sent to, if the socket tells.
    pub local: Option<IpAddr>,
    /// The ECN mark; `None` if there was none or the socket does not tell.
    pub ecn: Option<Ecn>,
    /// Length of each datagram of a coalesced batch but the last, in bytes.
    pub segment: Option<usize>,
    /// The bytes; opened in place.
    pub bytes: &'a mut [u8],
}

/// What a driver does next.
#[derive(Debug)]
#[must_use]
pub enum Output {
    /// Something happened on a connection.
    Event(Event),
    /// Something happened to a pipe.
    Pipe(PipeEvent),
    /// Somebody wants to connect: answer once, by [`Endpoint::accept`] or [`Endpoint::refuse`].
    ///
    /// [`Endpoint::accept`]: super::Endpoint::accept
    /// [`Endpoint::refuse`]: super::Endpoint::refuse
    Incoming(Incoming),
    /// Send the bytes in the buffer.
    Transmit(Transmit),
    /// Nothing more to do before this instant (strictly later than `now`), or before an input.
    Wait(Option<Instant>),
}

/// News of one connection.
#[derive(Clone, Debug, PartialEq, Eq)]
#[cfg_attr(any(test, feature = "fingerprint"), derive(Hash))]
pub struct Event {
    /// Whose.
    pub connection: ConnectionHandle,
    /// What.
    pub kind: EventKind,
}
