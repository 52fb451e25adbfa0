//! What both ends of a connection can do beside the protocol's core, and the mode that follows.

use core::fmt;

/// Capability bits, as they stand in the handshake's payload (spec R-MODE-1). Unknown bits are kept
/// and mean nothing.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub struct Capabilities(u64);

impl Capabilities {
    /// None at all.
    pub const NONE: Self = Self(0);
    /// Large messages may come as streams.
    pub const STREAMING: Self = Self(1 << 0);
    /// Streams may be piped through this connection.
    pub const PIPING: Self = Self(1 << 1);

    /// As they stand on the wire.
    pub const fn from_bits(bits: u64) -> Self {
        Self(bits)
    }

    /// As they stand on the wire.
    pub const fn bits(self) -> u64 {
        self.0
    }

    /// Whether all of `others` are among them.
    pub const fn has(self, others: Self) -> bool {
        self.0 & others.0 == others.0
    }

    /// These and `others`.
    #[must_use]
    pub const fn and(self, others: Self) -> Self {
        Self(self.0 | others.0)
    }

    /// What a connection with these may do. Piping without streaming counts for nothing.
    pub const fn mode(self) -> Mode {
        if !self.has(Self::STREAMING) {
            Mode::Traditional
        } else if self.has(Self::PIPING) {
            Mode::StreamingPiped
        } else {
            Mode::StreamingReassemble
        }
    }
}

/// How large messages cross a connection (spec R-MODE-3). Each mode can all that the ones before it
/// can.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[non_exhaustive]
pub enum Mode {
    /// Whole: kept together at both ends.
    Traditional,
    /// As streams, read while they arrive; a node that passes one on has it whole first.
    StreamingReassemble,
    /// As streams, and nodes pass streams on while they arrive.
    StreamingPiped,
}

/// As in metrics: `traditional`, `streaming_reassemble`, `streaming_piped`.
impl fmt::Display for Mode {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Traditional => "traditional",
            Self::StreamingReassemble => "streaming_reassemble",
            Self::StreamingPiped => "streaming_piped",
        })
    }
}

#[cfg(test)]
#[path = "capabilities_tests.rs"]
mod tests;
