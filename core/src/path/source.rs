//! Where datagrams come from and go to.

use core::net::{IpAddr, SocketAddr};

use crate::wire::id::CarrierId;

/// What a carrier does to datagrams.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub enum CarrierKind {
    /// It may lose, reorder and double them.
    #[default]
    Udp,
    /// It carries them in order or breaks (TCP).
    Reliable,
}

/// Where a datagram came from, or where one is to go.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Source {
    /// The socket.
    pub carrier: CarrierId,
    /// What the socket does to datagrams.
    pub kind: CarrierKind,
    /// The peer's address.
    pub remote: SocketAddr,
    /// This side's address, if the socket tells.
    pub local: Option<IpAddr>,
}

impl Source {
    /// Whether both name one way.
    pub(crate) fn is_same_way(&self, other: &Self) -> bool {
        self.carrier == other.carrier && self.remote == other.remote && self.shares_local(other)
    }

    /// Whether only the peer's port differs, as after a rebinding by its NAT.
    pub(super) fn is_rebound(&self, from: &Self) -> bool {
        self.kind == CarrierKind::Udp
            && self.carrier == from.carrier
            && self.remote.ip() == from.remote.ip()
            && self.shares_local(from)
    }

    /// A local address that a socket does not tell, or that the system is to choose (spec
    /// R-PATH-31), matches any.
    fn shares_local(&self, other: &Self) -> bool {
        self.local.zip(other.local).is_none_or(|(one, other)| one == other)
    }
}
