//! How a connection stands, for whoever watches a replay of it: nothing here changes anything.

use alloc::vec::Vec;
use core::net::SocketAddr;
use core::time::Duration;

use crate::congestion::State;
use crate::crypto::keys::Looked;
pub(crate) use crate::crypto::keys::Sealing;
use crate::wire::id::{PacketNumber, PathId};

use super::{Connection, SendLimit};

/// How sending stands on the active path of a connection. Sizes in bytes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Vitals {
    /// The path.
    pub path: PathId,
    /// Where it leads.
    pub remote: SocketAddr,
    /// What congestion control lets be in flight.
    pub window: u64,
    /// The window at which slow start ends, once one was found.
    pub threshold: Option<u64>,
    /// Where congestion control stands.
    pub state: State,
    /// What is in flight.
    pub flight: u64,
    /// Bytes a second that the pacer lets go.
    pub pacing: u64,
    /// Round-trip time, once it was measured.
    pub rtt: Option<Times>,
    /// What keeps it from sending more.
    pub limited_by: SendLimit,
    /// The size of datagrams that the path is known to carry.
    pub datagram: u16,
    /// Probe timeouts so far.
    pub timeouts: u64,
    /// Credit that the peer has, or uses: what it can make this side hold.
    pub granted: u64,
    /// What it makes this side hold.
    pub held: u64,
}

/// The round-trip time of a path.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[expect(clippy::exhaustive_structs, reason = "the estimate of RFC 9002 section 5")]
pub struct Times {
    /// The last sample.
    pub latest: Duration,
    /// The moving average.
    pub smoothed: Duration,
    /// The mean deviation.
    pub variance: Duration,
    /// The smallest sample.
    pub min: Duration,
}

impl Connection {
    /// How it stands.
    pub(crate) fn vitals(&self) -> Vitals {
        let path = self.paths.active();
        let rtt = path.rtt();
        let congestion = path.congestion();
        Vitals {
            path: path.id(),
            remote: path.source().remote,
            window: congestion.window(),
            threshold: congestion.slow_start_threshold(),
            state: congestion.state(),
            flight: self.ledger.in_flight(path.id()),
            pacing: path.pacing_rate(),
            rtt: rtt.is_sampled().then(|| Times {
                latest: rtt.latest(),
                smoothed: rtt.smoothed(),
                variance: rtt.variance(),
                min: rtt.min(),
            }),
            limited_by: self.limit.now(),
            datagram: path.packet_size().datagram_size(),
            timeouts: self.ledger.stats().probe_timeouts,
            granted: self.credit.lease(),
            held: self.credit.held(),
        }
    }

    /// Whether a packet that it sent, and that elicits an ACK, is still waited for.
    pub(crate) fn is_flying(&self, number: PacketNumber) -> bool {
        self.ledger.is_flying(number)
    }

    /// Packets that were declared lost, so far.
    pub(crate) fn lost(&self) -> u64 {
        self.ledger.stats().lost
    }

    /// Whether one of its paths leads there.
    pub(crate) fn leads_to(&self, remote: SocketAddr) -> bool {
        self.paths.iter().any(|path| path.source().remote == remote)
    }

    /// Number, key phase and frames of a packet that it has just sent: under the keys of now, or
    /// those of before.
    pub(crate) fn look_at_sent(
        &self,
        packet: &[u8],
        before: Option<&Sealing>,
    ) -> Option<(PacketNumber, u64, Vec<u8>)> {
        let looked = self.lifecycle.session()?.keys.look_at_sent(packet);
        looked.or_else(|| before?.look(packet)).map(parts)
    }

    /// The keys that seal its packets, unless those are of this phase.
    pub(crate) fn sealing_since(&self, phase: Option<u64>) -> Option<Sealing> {
        let keys = &self.lifecycle.session()?.keys;
        (phase != Some(keys.send_phase().0)).then(|| keys.sealing())
    }

    /// The same of a packet that it gets, or has just got.
    pub(crate) fn look_at_received(&self, packet: &[u8]) -> Option<(PacketNumber, u64, Vec<u8>)> {
        Some(parts(self.lifecycle.session()?.keys.look_at_received(packet)?))
    }
}

fn parts(looked: Looked) -> (PacketNumber, u64, Vec<u8>) {
    (looked.number, looked.phase.0, looked.payload)
}
