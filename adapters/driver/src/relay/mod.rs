//! Relaying: streams with a route are taken to their next hops (spec `18-routes.md`).
//!
//! ```text
//!  ROUTE stream ──▶ admitted? ──▶ next hops ──▶ dial or reuse ──▶ legs ──▶ pipe
//!   (from a peer)      │ limits      │                               │
//!                      ▼             └── relays left: one, with the rest of the route
//!                   refused              none: every target, with the stream's own introduction
//!
//!  what comes back on a leg ──▶ the source stream (one target) or an ANSWER stream (several)
//! ```
//!
//! [`Relay::run`] is a future like any other: it needs no timer and no runtime of its own, and does
//! its work in whatever drives it; where it waits for a time, the endpoint's driver tells it. The
//! bytes do not pass through it: once a pipe is made, the core moves them.

mod account;
mod accounts;
mod dials;
mod fan;
mod kept;
mod ledger;
mod range;
mod reach;
mod service;
mod way;

pub use aqueduct_core::wire::route::{Answer, Part, RouteError, Wanted};
pub use way::Way;

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Duration;

use aqueduct_core::crypto::identity::NodeId;
use aqueduct_core::error::StreamCode;
use aqueduct_core::pipe::{LegEnd, PipeOptions, PipeStats};
use aqueduct_core::wire::id::StreamId;

use crate::endpoint::Endpoint;

use accounts::Accounts;
use dials::Dials;
use kept::Kept;
use ledger::Ledger;

/// Whose streams are relayed.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Allow {
    /// Everybody's who may connect.
    Everybody,
    /// Those of these nodes.
    Nodes(BTreeSet<NodeId>),
}

impl Allow {
    /// Whether streams of a node are relayed.
    pub fn has(&self, node: &NodeId) -> bool {
        match self {
            Self::Everybody => true,
            Self::Nodes(nodes) => nodes.contains(node),
        }
    }
}

/// How a node relays.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct RelayConfig {
    /// For whom.
    pub allow: Allow,
    /// Streams of one peer that are relayed at a time. Default 16.
    pub max_streams: u32,
    /// Bytes that are relayed for one peer in all, as long as the relay runs; `None`: any number.
    /// Its streams count, the answers to them and the ranges that it asks for. What a stream says
    /// to be its size is kept for it; all the rest for one that says none.
    pub max_bytes: Option<u64>,
    /// Bytes a second that are relayed for one peer, all that counts taken together, and shared by
    /// what moves; `None`: as fast as it goes. What it yields in a second (64 KiB at least) may
    /// come at once. It is kept by holding back credit: of a stream that just begins its first
    /// window comes at once, and nothing new begins until that is paid.
    pub rate: Option<u64>,
    /// How long a next hop may take to be reached. Default 10 s, and no longer counts.
    pub reach: Duration,
    /// How long a connection that the relay dialled is kept when its last stream is over, for the
    /// next one: of the 64 that were used last. Default 30 s; zero keeps none.
    pub linger: Duration,
    /// How its pipes behave.
    pub pipes: PipeOptions,
}

/// What a next hop may take at most to be reached (spec R-ROUTE-6).
const REACH: Duration = Duration::from_secs(10);
/// How long a connection is kept unless configured (spec R-ROUTE-6).
const LINGER: Duration = Duration::from_secs(30);

impl RelayConfig {
    /// Relays for those in `allow`, 16 streams a peer, without a limit of bytes.
    pub fn new(allow: Allow) -> Self {
        Self {
            allow,
            max_streams: 16,
            max_bytes: None,
            rate: None,
            reach: REACH,
            linger: LINGER,
            pipes: PipeOptions::default(),
        }
    }
}

/// Why a stream was not relayed. Its sender is told by a code.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum Refusal {
    /// The peer is not on the list.
    #[error("its sender is not on the list of the allowed")]
    NotAllowed,
    /// As many of the peer's streams are relayed as may be.
    #[error("its sender has {limit} streams relayed already (limit: streams of a peer)")]
    Streams {
        /// The limit.
        limit: u32,
    },
    /// The peer or this node takes no part in pipes.
    #[error("pipes were not agreed on with its sender (piped forwarding is off here or there)")]
    NoPipes,
    /// The peer's bytes are used up.
    #[error("its sender has used up its {limit} bytes (limit: bytes of a peer)")]
    Bytes {
        /// The limit.
        limit: u64,
    },
    /// So many peers have used something up that no more can be remembered.
    #[error("so many have used this relay that it takes no strangers (limit: {limit} peers)")]
    Peers {
        /// The limit.
        limit: usize,
    },
    /// The head is no route.
    #[error("its head is no route")]
    NoRoute,
    /// What a receiver asks for is no leg of a pipe that lives.
    #[error("what its receiver asks for is not relayed to him")]
    NoLeg,
    /// A receiver asks for bytes that are not held, or not of the body.
    #[error("what its receiver asks for is not held: what is held begins at {held}")]
    Range {
        /// Where what is held begins.
        held: u64,
    },
    /// It was forwarded as often as its sender allowed.
    #[error("its hop limit is used up")]
    HopLimit,
    /// No next hop could be reached.
    #[error("no next hop could be reached")]
    Unreachable,
    /// The pipe could not be made.
    #[error("the stream was over before it could be forwarded")]
    Gone,
}

impl Refusal {
    /// What its sender is told.
    pub const fn code(self) -> StreamCode {
        match self {
            Self::HopLimit => StreamCode::HopLimit,
            Self::Unreachable => StreamCode::Unreachable,
            Self::Gone => StreamCode::Cancelled,
            Self::Range { .. } => StreamCode::InvalidRange,
            _ => StreamCode::Refused,
        }
    }
}

/// What a relay did, for whoever watches it.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum RelayEvent {
    /// A stream flows, and it is known of each of its next hops whether it was reached.
    Started {
        /// Who sends it.
        peer: NodeId,
        /// The stream, on the sender's connection.
        stream: StreamId,
        /// To whom it goes.
        to: Vec<NodeId>,
    },
    /// A stream was not relayed.
    Refused {
        /// Who sent it.
        peer: NodeId,
        /// The stream, on the sender's connection.
        stream: StreamId,
        /// Why.
        why: Refusal,
    },
    /// A stream is over.
    Ended {
        /// Who sent it.
        peer: NodeId,
        /// The stream, on the sender's connection.
        stream: StreamId,
        /// What was moved.
        stats: PipeStats,
        /// How each next hop ended, in the order of `to`; `None` where the driver ended first.
        legs: Vec<Option<LegEnd>>,
    },
}

/// An endpoint that relays. Streams with a route come here and no longer to the application.
pub struct Relay {
    /// Unguarded: who relays does not keep the endpoint.
    endpoint: Endpoint,
    /// Which of the endpoint's relays it is: the last one gets what comes.
    number: u64,
    config: Arc<RelayConfig>,
    ledger: Ledger,
    dials: Dials,
    accounts: Arc<Accounts>,
    kept: Kept,
}

impl std::fmt::Debug for Relay {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Relay").field("config", &self.config).finish_non_exhaustive()
    }
}
