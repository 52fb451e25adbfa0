//! Counters of one connection, as one value.

use crate::congestion::Algorithm;
use core::time::Duration;

use super::{LimitTimes, SendLimit};
use crate::crypto::keys::KeyCounters;
use crate::message::DatagramStats;
use crate::path::{CarrierKind, PathStats};
use crate::recovery::{AckStats, LedgerStats};
use crate::shaping::Bandwidth;
use crate::stream::StreamStats;

/// What a connection did, and how it stands. Sizes in bytes.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct ConnectionStats {
    /// The active path.
    pub path: PathStats,
    /// Smoothed round-trip time of the active path.
    pub rtt: Duration,
    /// Least round-trip time of the active path.
    pub min_rtt: Duration,
    /// What controls congestion.
    pub controller: Algorithm,
    /// What congestion control lets be in flight.
    pub congestion_window: u64,
    /// What is in flight.
    pub bytes_in_flight: u64,
    /// What keeps it from sending more, when it was last asked for a packet.
    pub limited_by: SendLimit,
    /// How long each cause did that, since the connection began.
    pub limits: LimitTimes,
    /// What data takes now: UDP, or a reliable carrier (TCP).
    pub carriage: CarrierKind,
    /// The size of datagrams that the path is known to carry.
    pub datagram_size: u16,
    /// Packets sent, and what became of them.
    pub ledger: LedgerStats,
    /// Packets received.
    pub acks: AckStats,
    /// Packets opened and discarded, key updates.
    pub keys: KeyCounters,
    /// Unreliable datagrams.
    pub datagrams: DatagramStats,
    /// Messages of ours that were given up because they were too old.
    pub messages_expired: u64,
    /// Streams that are not over.
    pub streams: usize,
    /// Streams so far: how many, and how they ended.
    pub stream_stats: StreamStats,
    /// What the peer can make us hold: credit granted and not released.
    pub credit_granted: u64,
    /// What it makes us hold now.
    pub bytes_held: u64,
    /// Bytes of datagrams by direction and class, and what was dropped for want of room.
    pub bandwidth: Bandwidth,
}
