//! What may be sent now: the one place where that is decided.

use crate::wire::id::PathId;
use crate::wire::packet::Allowance;

/// Most datagrams of one batch: what the kernel takes at once.
pub const MAX_BATCH: u16 = 64;

/// Most bytes of one batch.
pub const MAX_BATCH_BYTES: u16 = 65_535;

/// What the connection wants to send.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Need {
    /// Whatever there is.
    Data,
    /// Probes after a time-out: window and pacer do not hold them back (RFC 9002 section 7.5).
    Probe,
}

/// What may leave on a path now.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Budget {
    /// The path.
    pub path: PathId,
    /// What the packets may carry.
    pub allowance: Allowance,
    /// Bytes of each datagram, header and tag included; only the last of a batch may be shorter.
    pub datagram_size: u16,
    /// How many datagrams, at most [`MAX_BATCH`] and [`MAX_BATCH_BYTES`].
    pub max_datagrams: u16,
    /// Why no more.
    pub limited_by: LimitedBy,
}

/// What bounds a [`Budget`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum LimitedBy {
    /// A batch is full; ask again.
    Batch,
    /// The congestion window; ask again after an ACK.
    Window,
    /// The pacer; ask again at the deadline.
    Pacer,
    /// The address is not validated; ask again when something came from it.
    Amplification,
}
