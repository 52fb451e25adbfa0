//! The driver's sockets as a connection sees them: what each can do, and whether it takes bytes
//! now.

use core::net::{IpAddr, SocketAddr};

use alloc::collections::BTreeMap;

use crate::wire::id::{CarrierId, Ecn};

/// What a carrier is and can do.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[cfg_attr(any(test, feature = "fingerprint"), derive(Hash))]
pub enum CarrierKind {
    /// A UDP socket.
    Udp {
        /// Datagrams of one size that a single send call may carry; 1 without segmentation offload.
        max_segments: usize,
        /// Largest UDP payload that the interface carries, in bytes.
        max_datagram: u16,
    },
    /// A connected byte stream that keeps order and loses nothing.
    Reliable {
        /// The other end.
        remote: SocketAddr,
    },
}

impl CarrierKind {
    /// What it does to datagrams.
    pub const fn carriage(&self) -> crate::path::CarrierKind {
        match self {
            Self::Udp { .. } => crate::path::CarrierKind::Udp,
            Self::Reliable { .. } => crate::path::CarrierKind::Reliable,
        }
    }
}

/// Where the bytes in the caller's buffer go.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[cfg_attr(any(test, feature = "fingerprint"), derive(Hash))]
pub struct Transmit {
    /// The socket.
    pub carrier: CarrierId,
    /// To whom.
    pub remote: SocketAddr,
    /// The local address to send from, if it matters.
    pub local: Option<IpAddr>,
    /// The ECN mark.
    pub ecn: Option<Ecn>,
    /// If set, the buffer holds several datagrams of this many bytes (the last may be shorter).
    pub segment: Option<usize>,
}

/// One open carrier.
#[derive(Clone, Copy, Debug)]
#[cfg_attr(any(test, feature = "fingerprint"), derive(Hash))]
pub struct Carrier {
    /// Its name.
    pub id: CarrierId,
    /// What it can do.
    pub kind: CarrierKind,
    /// Whether it takes no more bytes for now.
    pub blocked: bool,
}

/// The open carriers.
#[derive(Clone, Debug, Default)]
#[cfg_attr(any(test, feature = "fingerprint"), derive(Hash))]
pub struct Carriers {
    open: BTreeMap<CarrierId, Carrier>,
}

impl Carriers {
    /// Adds a carrier, in place of one of the same name.
    pub fn open(&mut self, id: CarrierId, kind: CarrierKind) {
        self.open.insert(id, Carrier { id, kind, blocked: false });
    }

    /// Takes a carrier out.
    pub fn close(&mut self, id: CarrierId) {
        self.open.remove(&id);
    }

    /// The carrier of that name.
    pub fn get(&self, id: CarrierId) -> Option<&Carrier> {
        self.open.get(&id)
    }

    /// Marks a carrier as taking no bytes, or as taking them again.
    pub fn set_blocked(&mut self, id: CarrierId, blocked: bool) {
        if let Some(carrier) = self.open.get_mut(&id) {
            carrier.blocked = blocked;
        }
    }

    /// Whether a carrier is open and takes bytes.
    pub fn is_writable(&self, id: CarrierId) -> bool {
        self.get(id).is_some_and(|carrier| !carrier.blocked)
    }
}
