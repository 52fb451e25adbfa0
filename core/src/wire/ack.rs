//! ACK frames: ranges of packet numbers in and out.

use super::id::PacketNumber;

/// Counts of ECN marks received on a path since the connection began (RFC 9000 section 13.4).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct EcnCounts {
    /// Packets marked ECT(0).
    pub ect0: u64,
    /// Packets marked ECT(1).
    pub ect1: u64,
    /// Packets marked CE.
    pub ce: u64,
}

/// A validated ACK frame; its ranges stay encoded until they are walked.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AckFrame<'a> {
    /// Largest packet number acknowledged.
    pub largest: PacketNumber,
    /// Time between receipt of `largest` and this ACK, in microseconds.
    pub delay_us: u64,
    /// The encoded gaps and lengths behind the first range.
    pub(crate) ranges: &'a [u8],
    /// Length of the first range minus one.
    pub(crate) first: u64,
    /// ECN counts, if the sender reads marks.
    pub ecn: Option<EcnCounts>,
}
