//! What must hold between the parts of a connection, for whoever watches it from outside.

use crate::flow::STREAM_OVERHEAD;
use crate::path::CarrierKind;
use crate::time::Instant;
use crate::wire::id::{PacketNumber, PathId};

use super::Connection;

/// A look at the parts that must agree. Sizes in bytes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[expect(clippy::exhaustive_structs, reason = "for tests, which name every field")]
pub struct Audit {
    /// The path in use.
    pub path: PathId,
    /// Whether congestion control bounds what is in flight on it: not over a reliable carrier.
    pub bounded: bool,
    /// What its congestion control lets be in flight.
    pub window: u64,
    /// What is in flight on it.
    pub flight: u64,
    /// Bytes sent so far that no window bounds: probes, and what a path says of itself.
    pub beside: u64,
    /// On every path, what counts as in flight is the sum of the packets in flight.
    pub flight_is_sum: bool,
    /// The least number that the next packet may have; under one key each has its own.
    pub next_number: PacketNumber,
    /// Credit that the peer has, or uses: what it can make this side hold.
    pub granted: u64,
    /// What it makes this side hold.
    pub held: u64,
    /// What of the budget is the connection's.
    pub share: u64,
    /// By how much what had to be taken may pass that: the records of its streams (spec R-FLOW-15).
    pub records: u64,
    /// When it wishes to be woken: later than now, once it has nothing more to say.
    pub wakes: Option<Instant>,
}

impl Connection {
    /// Looks at the parts that must agree.
    pub fn audit(&self) -> Audit {
        let path = self.paths.active();
        Audit {
            path: path.id(),
            bounded: path.source().kind == CarrierKind::Udp,
            window: path.congestion().window(),
            flight: self.ledger.in_flight(path.id()),
            beside: self.beside,
            flight_is_sum: self.ledger.is_consistent(),
            next_number: self.ledger.next_number(),
            granted: self.credit.lease(),
            held: self.credit.held(),
            share: self.credit.share().size(),
            records: STREAM_OVERHEAD.saturating_mul(self.streams.count() as u64),
            wakes: self.deadline(),
        }
    }
}
