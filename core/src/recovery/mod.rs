//! What arrived, what is in flight, what became of it.
//!
//! This room is acks and retries. It knows packets by number and frames by receipt; what a frame
//! means is its owner's business. Nothing here sends, sleeps or reads a clock: each machine
//! remembers what happened, says when it next cares, and hands results up as values.
//!
//! ```text
//!            packets of the peer                       packets of ours
//!                   │                                        │ number, path, size, receipts
//!                   ▼                                        ▼
//!             ┌────────────┐   ACK frames to the peer  ┌──────────┐
//!             │ AckTracker │ ────────────────────────▶ │  Ledger  │ ◀── ACK frames of the peer
//!             └────────────┘                           └──────────┘
//!              what arrived,                            │        │ deadline: lost by time, probe,
//!              is an ACK due?                           │        │ peer lost
//!                                             Settled { acked, lost, paths }
//!                                               │             │
//!                           receipts to their owners     PathOutcome: RTT sample, bytes acked and
//!                           (Once, Latest, streams)      lost, RateSample ─▶ Rtt, congestion, path
//! ```
//!
//! - [`Rtt`]: round-trip estimate of one path.
//! - [`AckTracker`]: received packet numbers, and when to say so.
//! - [`Ledger`]: sent packets in a ring by packet number; who acknowledged, what is lost, when to
//!   probe.
//! - [`RateSample`]: how fast a path delivered, for congestion control.
//! - [`Once`], [`Latest`]: small values until the peer has them.
//!
//! A receipt goes into the ledger with its packet and comes out exactly once: as acked or as lost.
//! Losing is not the end of the data, only of that packet: the owner writes it again under a new
//! number. Rules and numbers: spec `07-recovery.md` (R-REC).

mod acks;
mod delivery;
mod ledger;
mod loss;
#[cfg(any(test, feature = "arbitrary"))]
pub mod ops;
mod rate;
mod reorder;
mod ring;
mod rtt;
mod settled;

pub use acks::{AckStats, AckTracker, DEFAULT_MAX_ACK_DELAY, MAX_RECEIVED_RANGES, ReceivedPacket};
pub use delivery::{Latest, Once};
pub use ledger::{Ledger, MAX_REMEMBERED_LOST, MAX_TRACKED_PACKETS};
pub use loss::{MIN_PING_INTERVAL, PEER_LOST_AFTER, PEER_LOST_PROBES, PROBE_PACKETS};
pub use rate::{EXCESS_LOSS, LossSample, RateSample};
pub use reorder::{MAX_PACKET_THRESHOLD, PACKET_THRESHOLD};
pub use rtt::{GRANULARITY, INITIAL_RTT, MAX_RTT, Rtt};
pub use settled::{
    Carriage, Fired, LedgerStats, PathOutcome, RttSample, SentPacket, Settled, Spurious,
};

#[cfg(test)]
#[path = "list_tests.rs"]
mod model;
#[cfg(test)]
#[path = "model_tests.rs"]
mod model_tests;
