//! The handshake as machines that step by value (spec chapter 2).
//!
//! Two nodes prove to each other who they are, agree on three secrets, and exchange their
//! parameters on the way. If the initiator knows the responder's id it is Noise `IK`: one round
//! trip. If not it is Noise `XX`, and the ids travel sealed. Each state is a type that holds what
//! is valid in it and no more; a step consumes it and returns what comes next. A packet that does
//! not fit returns the very machine that was asked, with the reason ([`Discard`]).
//!
//! ```text
//!   Initiator::start                                   check_mac -> Arrival
//!         |  datagram()                                   |
//!         |------------- I1 (1,200 bytes) --------------->|  First --open--> Offer::Ik(IkOffer)
//!         |<------------ R2 ------------------------------|  accept() -> Established
//!   Established
//!
//!         |------------- X1 (1,200 bytes) --------------->|  First --open--> Offer::Xx(XxOffer)
//!         |<------------ X2 ------------------------------|  reply() -> AwaitX3
//!   Established -----  X3 ------------------------------->|  on_packet() -> Established
//!
//!         |<- - - - - -  RETRY - - - - - - - - - - - - - -|  First::retry: the same bytes again,
//!         |- - - - - - - I1 or X1, with the cookie  - - ->|               now with a cookie
//!         |<- - - - - -  VERSION - - - - - - - - - - - - -|  OtherVersion::reply
//! ```
//!
//! A first flight over a socket that we do not have:
//!
//! ```
//! use std::sync::Arc;
//!
//! use aqueduct_core::crypto::handshake::{
//!     Arrival, HandshakeConfig, Initiator, InitiatorStep, Network, Offer, check_mac,
//! };
//! use aqueduct_core::crypto::identity::NodeKey;
//! use aqueduct_core::rng::{Rng, Seed};
//! use aqueduct_core::wire::id::ConnectionId;
//! use aqueduct_core::wire::params::Params;
//!
//! let network = Network::open("example");
//! let config = |seed| {
//!     let key = NodeKey::from_seed(&[seed; 32]);
//!     Arc::new(HandshakeConfig::new(key).with_network(network.clone()))
//! };
//! let (alice, bob) = (config(1), config(2));
//! let mut rng = Rng::new(&Seed::from_u64(7));
//! let params = Params::default();
//!
//! // Alice knows Bob's id. What she sends is always 1,200 bytes.
//! let id = ConnectionId(*b"alice..1");
//! let initiator = Initiator::start(&alice, Some(bob.id()), id, &params, &mut rng).unwrap();
//! let mut datagram = Vec::new();
//! initiator.datagram(&mut datagram);
//!
//! // Bob looks at the mac, then at who it is, then says yes.
//! let Ok(Arrival::First(first)) = check_mac(&bob, &mut datagram) else { panic!() };
//! let Ok(Offer::Ik(offer)) = first.open(&bob) else { panic!() };
//! assert_eq!(offer.peer(), alice.id());
//! let id = ConnectionId(*b"bob....1");
//! let (mut answer, at_bob) = offer.accept(id, &params, &mut rng).unwrap();
//!
//! let InitiatorStep::Established { established: at_alice, .. } = initiator.on_packet(&mut answer)
//! else {
//!     panic!()
//! };
//! assert_eq!(at_alice.peer, bob.id());
//! assert_eq!(at_alice.handshake_hash, at_bob.handshake_hash);
//! ```

mod config;
mod initiator;
mod mac;
mod payload;
mod responder;
mod session;
mod taped;

use core::fmt;

use thiserror::Error;

pub use self::config::{
    Ciphers, HandshakeConfig, Network, PairSecrets, Strangers, Suites, Versions,
};
pub use self::initiator::{Initiator, InitiatorStep, Restart};
pub use self::responder::{
    Arrival, AwaitX3, First, IkOffer, Offer, OtherVersion, ResponderStep, Unacceptable, XxOffer,
    check_mac,
};
use super::identity::{IdentityError, NodeId};
use super::noise::{self, Pattern};
use super::provider::Cipher;
use super::secrets::Secrets;
use super::transcript::NoiseError;
use crate::wire::id::{ConnectionId, Side};
use crate::wire::params::Params;

/// Whether the initiator knows whom it dials; decides the Noise pattern (spec R-HS-5).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[repr(u8)]
pub enum Mode {
    /// The responder's id is known: `IKpsk0+psk2`, one round trip.
    Ik = 1,
    /// It is not: `XXpsk0+psk3`, both ids travel sealed.
    Xx = 2,
}

impl Mode {
    pub(super) const fn pattern(self) -> &'static Pattern {
        match self {
            Self::Ik => &noise::IK,
            Self::Xx => &noise::XX,
        }
    }
}

/// What a finished handshake gives: all that a connection begins with.
#[derive(Clone)]
#[cfg_attr(any(test, feature = "fingerprint"), derive(Hash))]
#[non_exhaustive]
pub struct Established {
    /// Which end this node was.
    pub side: Side,
    /// The secrets of both directions and of the exporter.
    pub secrets: Secrets,
    /// The hash of the whole handshake: the same at both ends, and of no other handshake ever.
    pub handshake_hash: [u8; 32],
    /// Who is at the other end; proven.
    pub peer: NodeId,
    /// What the other end said of itself.
    pub peer_params: Params,
    /// The id in packets to this node.
    pub local_cid: ConnectionId,
    /// The id in packets to the peer.
    pub peer_cid: ConnectionId,
    /// What protects the data.
    pub cipher: Cipher,
    /// The version in use.
    pub version: u16,
    /// The suite in use.
    pub suite: u8,
    /// The capabilities that both ends announced.
    pub capabilities: u64,
    /// How the ends met.
    pub mode: Mode,
    /// The initiator's ephemeral public key: public, names the handshake in key logs.
    pub initiator_ephemeral: [u8; 32],
}

/// Without the secrets.
impl fmt::Debug for Established {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Established")
            .field("side", &self.side)
            .field("peer", &self.peer)
            .field("local_cid", &self.local_cid)
            .field("peer_cid", &self.peer_cid)
            .field("cipher", &self.cipher)
            .field("version", &self.version)
            .field("suite", &self.suite)
            .field("capabilities", &self.capabilities)
            .field("mode", &self.mode)
            .finish_non_exhaustive()
    }
}

/// Why a packet was ignored. Nothing was changed by it: the machine is as it was before.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Error)]
#[non_exhaustive]
pub enum Discard {
    /// Not a length that such a packet can have.
    #[error("a handshake packet of a length that cannot be")]
    Length,
    /// Not a header that fits here: type, part, version or suite.
    #[error("a handshake packet of a type that is not awaited here")]
    Header,
    /// A connection id that is not the one of this handshake, or that no first packet may carry.
    #[error("a handshake packet with a connection id that does not belong here")]
    ConnectionId,
    /// The keyed mac is wrong: not of this network, or not meant for this node.
    #[error("a handshake packet with a wrong mac")]
    Mac,
    /// This node does not answer nodes that do not know it.
    #[error("a handshake of a stranger, and strangers get no answer")]
    Stranger,
    /// A key of small order.
    #[error("a handshake packet with a weak key")]
    WeakKey,
    /// A sealed piece does not open: damaged, or sealed for somebody else.
    #[error("a handshake packet that does not open")]
    Open,
    /// It opened, but what is inside breaks the rules.
    #[error("a handshake packet with a payload that makes no sense")]
    Payload,
    /// The key inside is no node's id.
    #[error("a handshake packet of what is no node: {0}")]
    Identity(IdentityError),
    /// This node's own id.
    #[error("a handshake packet of this very node")]
    Own,
    /// A RETRY or VERSION whose tag is wrong.
    #[error("a retry or version packet with a wrong tag")]
    Tag,
    /// A RETRY or VERSION after one was followed.
    #[error("a second retry or version packet")]
    Again,
    /// A VERSION without a version that this node speaks, or with the very one that it used.
    #[error("a version packet without a version that helps")]
    NoVersion,
}

impl From<NoiseError> for Discard {
    fn from(error: NoiseError) -> Self {
        match error {
            NoiseError::Short => Self::Length,
            NoiseError::SmallOrder => Self::WeakKey,
            NoiseError::Open | NoiseError::Misuse => Self::Open,
        }
    }
}

/// Why a handshake cannot begin or go on. It is over; no key came of it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Error)]
#[non_exhaustive]
pub enum HandshakeError {
    /// The other end is this very node.
    #[error("the other end is this node itself")]
    SelfConnect,
    /// The node at that address holds the dialled key, but under the opposite id.
    #[error("the other end is not the node that was dialled")]
    WrongPeer,
    /// Somebody on the way removed a better version or suite.
    #[error("somebody on the way removed a better version or suite")]
    Downgrade,
    /// The other end's key is no node's id.
    #[error("the other end's key is no id: {0}")]
    Identity(IdentityError),
    /// The other end's key is of small order.
    #[error("the other end's key is weak")]
    WeakKey,
    /// The other end sent a sealed payload that breaks a rule.
    #[error("the other end broke the rules of the handshake: {0}")]
    Malformed(&'static str),
}

/// A first packet with such faults is ignored: whoever sent it has proven nothing yet.
impl From<HandshakeError> for Discard {
    fn from(error: HandshakeError) -> Self {
        match error {
            HandshakeError::SelfConnect => Self::Own,
            HandshakeError::Identity(error) => Self::Identity(error),
            HandshakeError::WeakKey => Self::WeakKey,
            HandshakeError::WrongPeer
            | HandshakeError::Downgrade
            | HandshakeError::Malformed(_) => Self::Payload,
        }
    }
}

impl From<NoiseError> for HandshakeError {
    fn from(error: NoiseError) -> Self {
        match error {
            NoiseError::SmallOrder => Self::WeakKey,
            other => {
                debug_assert!(false, "writing cannot fail by {other:?}");
                Self::Malformed("out of turn")
            }
        }
    }
}

/// Whether a node that dials a peer, and now gets that peer's own first packet, goes on with its
/// own (spec R-HS-30): the smaller id does. The other answers, and sets its own attempt aside.
pub fn keeps_initiating(own: &NodeId, peer: &NodeId) -> bool {
    own < peer
}

/// The same where neither knows the other's id: the smaller ephemeral key goes on.
pub fn keeps_initiating_unknown(own_ephemeral: &[u8; 32], peer_ephemeral: &[u8; 32]) -> bool {
    own_ephemeral < peer_ephemeral
}

#[cfg(test)]
mod tests;
