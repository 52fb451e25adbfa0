//! What a record need not say because it is as in the one before.

use alloc::vec::Vec;
use core::net::{IpAddr, SocketAddr};

use crate::time::Instant;
use crate::wire::id::{CarrierId, Ecn, StreamId};

use super::value::{Reader, Taped};

/// A connection's handle: slot and generation.
pub type Slot = (u32, u16);

/// How a datagram came, or goes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[expect(clippy::exhaustive_structs, reason = "what a socket says of a datagram")]
pub struct Route {
    /// The socket.
    pub carrier: CarrierId,
    /// The other end.
    pub remote: SocketAddr,
    /// This end, if that is known.
    pub local: Option<IpAddr>,
    /// The ECN mark.
    pub ecn: Option<Ecn>,
    /// Length of each datagram of a batch but the last.
    pub segment: Option<usize>,
}

impl Taped for Route {
    fn put(&self, out: &mut Vec<u8>) {
        self.carrier.put(out);
        self.remote.put(out);
        self.local.put(out);
        (self.ecn, self.segment).put(out);
    }

    fn get(from: &mut Reader<'_>) -> Option<Self> {
        let (carrier, remote, local) = (from.get()?, from.get()?, from.get()?);
        let (ecn, segment) = from.get()?;
        Some(Self { carrier, remote, local, ecn, segment })
    }
}

/// What writer and reader both remember of the records before. Every segment begins with nothing
/// but its time.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[expect(clippy::exhaustive_structs, reason = "what two ends have in common")]
pub struct Context {
    /// The time of the record before.
    pub now: Instant,
    /// The connection that was looked at.
    pub connection: Option<Slot>,
    /// The stream of calls on sending halves.
    pub send: Option<StreamId>,
    /// The stream of calls on receiving halves.
    pub recv: Option<StreamId>,
    /// How was taken (0 by offset, 1 by arrival, 2 by arrival with skips), and whether more was
    /// asked for than came.
    pub take: Option<(u8, bool)>,
    /// How much that gave.
    pub taken: u64,
    /// The pipe that was looked at.
    pub pipe: Option<u64>,
    /// How the last datagram came.
    pub came: Option<Route>,
    /// How the last one went.
    pub went: Option<Route>,
    /// Until when was waited.
    pub wait: Option<Instant>,
}

impl Context {
    /// A segment begins.
    pub fn at(now: Instant) -> Self {
        Self { now, ..Self::default() }
    }

    /// Another connection is looked at.
    pub const fn look(&mut self, slot: Slot) {
        self.connection = Some(slot);
        self.send = None;
        self.recv = None;
    }
}
