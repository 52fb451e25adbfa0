//! Somebody who wants to connect, and is authenticated.

use alloc::boxed::Box;
use core::net::SocketAddr;
use core::time::Duration;

use crate::crypto::handshake::{Established, IkOffer};
use crate::crypto::identity::NodeId;
use crate::path::Source;
use crate::wire::id::CarrierId;

use super::slab::SlotKey;

/// An authenticated stranger. Answered once, by value; dropped, it is forgotten after the handshake
/// time-out, and the stranger hears nothing.
#[derive(Debug)]
#[must_use = "answer with accept or refuse"]
pub struct Incoming(pub(super) Offered);

/// A stranger's offer, before the application knows of it.
#[derive(Clone, Debug)]
#[cfg_attr(any(test, feature = "fingerprint"), derive(Hash))]
pub(super) struct Offered {
    pub(super) key: SlotKey,
    pub(super) peer: NodeId,
    pub(super) source: Source,
    pub(super) offer: Offer,
}

/// How far the handshake is.
#[derive(Clone, Debug)]
#[cfg_attr(any(test, feature = "fingerprint"), derive(Hash))]
pub(super) enum Offer {
    /// `IKpsk0+psk2`: our answer completes it.
    Known(Box<IkOffer>),
    /// `XXpsk0+psk3`: complete, after a round trip of this length if it could be measured.
    Complete(Box<Established>, Option<Duration>),
}

impl Incoming {
    /// Who it is. In `IKpsk0+psk2` the first packet could be a replay: it proves who wrote it, not
    /// when.
    pub fn peer(&self) -> NodeId {
        self.0.peer
    }

    /// Where its packets come from.
    pub fn remote(&self) -> SocketAddr {
        self.0.source.remote
    }

    /// By which socket they came.
    pub fn carrier(&self) -> CarrierId {
        self.0.source.carrier
    }
}
