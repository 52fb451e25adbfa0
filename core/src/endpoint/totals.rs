//! All connections of an endpoint together, in numbers.

use core::time::Duration;

use crate::connection::ConnectionStats;
use crate::crypto::keys::KeyCounters;
use crate::error::CloseReason;
use crate::message::DatagramStats;
use crate::recovery::{AckStats, LedgerStats};
use crate::shaping::Bandwidth;
use crate::stream::StreamStats;

use super::{Endpoint, Entry};

/// What an endpoint's connections did, those included that are gone, and how the present ones
/// stand. Sums that only grow, but for `now`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[cfg_attr(any(test, feature = "fingerprint"), derive(Hash))]
#[non_exhaustive]
pub struct Totals {
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
    /// Streams: how many, and how they ended.
    pub streams: StreamStats,
    /// Bytes of datagrams by direction and class, and what was dropped for want of room.
    pub bandwidth: Bandwidth,
    /// Connections that are there.
    pub now: Standing,
}

/// How the connections that are there stand. Sizes in bytes.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[cfg_attr(any(test, feature = "fingerprint"), derive(Hash))]
#[non_exhaustive]
pub struct Standing {
    /// What peers can make us hold: credit granted and not released.
    pub credit_granted: u64,
    /// What they make us hold.
    pub bytes_held: u64,
    /// What is in flight.
    pub bytes_in_flight: u64,
    /// What congestion control lets be in flight.
    pub congestion_window: u64,
    /// Streams that are not over.
    pub streams: u64,
    /// Connections whose round trip was measured.
    pub measured: u32,
    /// Their smoothed round trips together.
    pub rtt_sum: Duration,
    /// The shortest of them.
    pub rtt_least: Duration,
    /// The longest of them.
    pub rtt_most: Duration,
}

/// How connections ended. All counts only grow.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[cfg_attr(any(test, feature = "fingerprint"), derive(Hash))]
#[non_exhaustive]
pub struct Endings {
    /// Closed by this side's application.
    pub local: u64,
    /// Closed by the peer's application.
    pub peer: u64,
    /// The peer went silent, or forgot the connection, or the socket is gone.
    pub lost: u64,
    /// One of the ends broke the protocol, or reached a limit of it.
    pub error: u64,
    /// The handshake did not come about: no answer, no, or nonsense.
    pub handshake: u64,
}

impl Endings {
    pub(super) fn count(&mut self, reason: &CloseReason) {
        let kind = match reason {
            CloseReason::Local(_) => &mut self.local,
            CloseReason::Peer { .. } => &mut self.peer,
            CloseReason::IdleTimeout(_)
            | CloseReason::PeerLost { .. }
            | CloseReason::Reset
            | CloseReason::CarrierLost => &mut self.lost,
            CloseReason::PeerTransport { .. }
            | CloseReason::Violation(_)
            | CloseReason::AeadLimit
            | CloseReason::NoRoom(_) => &mut self.error,
            CloseReason::HandshakeTimeout(_)
            | CloseReason::Refused(_)
            | CloseReason::Handshake(_) => &mut self.handshake,
        };
        *kind += 1;
    }
}

impl Totals {
    /// Takes in what a connection did.
    pub(super) fn add(&mut self, of: &ConnectionStats) {
        self.ledger.add(&of.ledger);
        self.acks.add(&of.acks);
        self.keys.add(&of.keys);
        self.datagrams.add(&of.datagrams);
        self.messages_expired += of.messages_expired;
        self.streams.add(&of.stream_stats);
        self.bandwidth.add(&of.bandwidth);
    }
}

impl Standing {
    fn add(&mut self, of: &ConnectionStats) {
        self.credit_granted += of.credit_granted;
        self.bytes_held += of.bytes_held;
        self.bytes_in_flight += of.bytes_in_flight;
        self.congestion_window += of.congestion_window;
        self.streams += of.streams as u64;
        if of.min_rtt > Duration::ZERO {
            let first = self.measured == 0;
            self.rtt_least = if first { of.rtt } else { self.rtt_least.min(of.rtt) };
            self.rtt_most = self.rtt_most.max(of.rtt);
            self.rtt_sum = self.rtt_sum.saturating_add(of.rtt);
            self.measured += 1;
        }
    }
}

impl Endpoint {
    /// Every connection that is there, for whoever watches over them. Looking changes nothing.
    #[cfg(any(test, feature = "fingerprint"))]
    pub fn connections(
        &self,
    ) -> impl Iterator<Item = (super::ConnectionHandle, &crate::connection::Connection)> {
        self.slots.iter().filter_map(|(key, entry)| match entry {
            Entry::Connection(member) => Some((super::ConnectionHandle(key), &member.connection)),
            _ => None,
        })
    }

    /// What all connections did together, since the endpoint began. Linear in the connections that
    /// are there.
    pub fn totals(&self) -> Totals {
        let mut totals = self.gone;
        totals.bandwidth.add(&self.beside);
        for (_, entry) in self.slots.iter() {
            if let Entry::Connection(member) = entry {
                let stats = member.connection.stats();
                totals.add(&stats);
                totals.now.add(&stats);
            }
        }
        totals
    }
}

#[cfg(test)]
#[path = "totals_tests.rs"]
mod tests;
