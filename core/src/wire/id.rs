//! The names of things on the wire.

use core::fmt;

use super::varint;

/// A connection id: 8 bytes, chosen by the endpoint that receives packets with it (spec R-PKT-2).
#[derive(Clone, Copy, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ConnectionId(pub [u8; 8]);

impl ConnectionId {
    /// Bytes of an id on the wire.
    pub const LEN: usize = 8;
    /// "Not known yet": the destination of a first handshake packet.
    pub const ZERO: Self = Self([0; 8]);
}

impl fmt::Debug for ConnectionId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:016x}", u64::from_be_bytes(self.0))
    }
}

/// A full packet number; 0 is the first of a connection's direction.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct PacketNumber(pub u64);

/// Which end of the handshake a node is. Says nothing about what either may do afterwards.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Side {
    /// Sent the first handshake packet.
    Initiator,
    /// Answered it.
    Responder,
}

impl Side {
    /// The other end.
    pub const fn peer(self) -> Self {
        match self {
            Self::Initiator => Self::Responder,
            Self::Responder => Self::Initiator,
        }
    }
}

/// Whether both ends may write to a stream.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Dir {
    /// Both ends write.
    Bi,
    /// Only the opener writes.
    Uni,
}

/// A stream id: the opener in bit 0 (0: initiator), the direction in bit 1 (0: bidirectional), the
/// sequence number above (spec R-STR-1). At most 2^62 - 1.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct StreamId(pub u64);

impl StreamId {
    /// The id of the `sequence`th stream (from 0) of its kind.
    pub const fn new(opener: Side, dir: Dir, sequence: u64) -> Self {
        Self(sequence << 2 | (dir as u64) << 1 | opener as u64)
    }

    /// Who opened it.
    pub const fn opener(self) -> Side {
        if self.0 & 1 == 0 { Side::Initiator } else { Side::Responder }
    }

    /// Who may write.
    pub const fn dir(self) -> Dir {
        if self.0 & 2 == 0 { Dir::Bi } else { Dir::Uni }
    }

    /// How many streams of this kind were opened before.
    pub const fn sequence(self) -> u64 {
        self.0 >> 2
    }
}

impl fmt::Debug for StreamId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let kind = match (self.opener(), self.dir()) {
            (Side::Initiator, Dir::Bi) => "i-bi",
            (Side::Initiator, Dir::Uni) => "i-uni",
            (Side::Responder, Dir::Bi) => "r-bi",
            (Side::Responder, Dir::Uni) => "r-uni",
        };
        write!(f, "{kind}:{}", self.sequence())
    }
}

/// An application's code in RESET, STOP and CLOSE; its meaning is the application's. A larger one
/// than 2^62 - 1 reaches the peer as that (spec R-FRM-31).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct AppCode(pub u64);

impl AppCode {
    /// What a varint can say of it.
    pub(crate) const fn on_wire(self) -> u64 {
        if self.0 > varint::MAX { varint::MAX } else { self.0 }
    }
}

/// What a credit frame speaks of (spec R-FLOW).
///
/// One varint on the wire: 0 the connection, 1 the count of bidirectional streams, 2 the count of
/// unidirectional ones, else the stream's id plus 3.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum CreditTarget {
    /// The connection's limit, in bytes.
    Connection,
    /// How many streams of a kind the frame's receiver may open.
    Streams(Dir),
    /// One stream's limit, in bytes.
    Stream(StreamId),
}

impl CreditTarget {
    /// The varint that names it.
    pub const fn to_u64(self) -> u64 {
        match self {
            Self::Connection => 0,
            Self::Streams(Dir::Bi) => 1,
            Self::Streams(Dir::Uni) => 2,
            Self::Stream(id) => id.0.saturating_add(3),
        }
    }

    /// What the varint `value` names.
    pub const fn from_u64(value: u64) -> Self {
        match value {
            0 => Self::Connection,
            1 => Self::Streams(Dir::Bi),
            2 => Self::Streams(Dir::Uni),
            _ => Self::Stream(StreamId(value - 3)),
        }
    }
}

/// A path's index in its connection: never reused.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct PathId(pub u32);

/// One socket of the driver: the UDP socket, or one TCP connection. Chosen by the driver.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct CarrierId(pub u32);

impl CarrierId {
    /// No carrier: what a broken path goes over. No driver gives this name to one.
    pub const NONE: Self = Self(u32::MAX);
}

/// Explicit congestion notification code points of an IP packet (RFC 3168). Not-ECT is `None`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Ecn {
    /// ECN-capable transport, ECT(1).
    Ect1 = 1,
    /// ECN-capable transport, ECT(0).
    Ect0 = 2,
    /// Congestion experienced.
    Ce = 3,
}
