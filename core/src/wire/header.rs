//! What stands outside the cipher: which kind of packet a datagram is, and its fields' places.
//!
//! One datagram is one packet. The first two bits tell the two kinds apart from everything else
//! that may share the socket:
//!
//! ```text
//! long   11 TTTT PP | version u16 | suite u8 | scid 8 | dcid 8 | body by type     20 bytes + body
//! short  01 K RRRRR | dcid 8 | packet number 4 | ciphertext | tag 16           29 bytes + frames
//!           └──┬──┘            └──────┬──────┘   the six low bits and the number are masked
//! ```

use super::codec::{DecodeError, Reader};
use super::id::{ConnectionId, PacketNumber};
use super::varint;

/// The version of the protocol that this crate speaks.
pub const VERSION_1: u16 = 1;
/// What stands in the version field of a VERSION packet.
pub const VERSION_NONE: u16 = 0;
/// X25519, ChaCha20-Poly1305 and SHA-256 by Noise; data under ChaCha20-Poly1305 or AES-256-GCM.
pub const SUITE_1: u8 = 1;
/// Reserved: suite 1 together with ML-KEM-768.
pub const SUITE_2: u8 = 2;

/// Bytes that every path must carry; the exact size of I1 and X1.
pub const MIN_PACKET_SIZE: usize = 1_200;
/// Bytes of a long header.
pub const LONG_HEADER_LEN: usize = 20;
/// Bytes of a short header.
pub const SHORT_HEADER_LEN: usize = 13;
/// Bytes of an authentication tag, of a handshake packet's mac, and of the tag of RETRY and
/// VERSION.
pub const TAG_LEN: usize = 16;
/// Bytes of a data packet that are not frames.
pub const SHORT_OVERHEAD: usize = SHORT_HEADER_LEN + TAG_LEN;
/// Where a short header's connection id begins.
pub const SHORT_DCID_OFFSET: usize = 1;
/// Where a short header's packet number begins.
pub const PN_OFFSET: usize = 9;
/// Bytes of a packet number on the wire.
pub const PN_LEN: usize = 4;
/// Where the sample for header protection begins: right behind the header.
pub const SAMPLE_OFFSET: usize = SHORT_HEADER_LEN;
/// Bytes of that sample.
pub const SAMPLE_LEN: usize = 16;
/// Bits of a first byte that header protection leaves alone.
pub const FORM_MASK: u8 = 0xc0;
/// The form of a long header.
pub const LONG_FORM: u8 = 0xc0;
/// The form of a short header.
pub const SHORT_FORM: u8 = 0x40;
/// The key phase in a short header's first byte, once unprotected.
pub const KEY_PHASE_BIT: u8 = 0x20;
/// Bits of a short header's first byte that are zero, once unprotected.
pub const RESERVED_BITS: u8 = 0x1f;

/// The types of packets with a long header.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[repr(u8)]
pub enum PacketType {
    /// First of the handshake with a known responder.
    I1 = 1,
    /// Answer to I1.
    R2 = 2,
    /// First of the handshake with an unknown responder.
    X1 = 3,
    /// Answer to X1.
    X2 = 4,
    /// Third and last after X2.
    X3 = 5,
    /// Asks for the first packet again, with a cookie.
    Retry = 6,
    /// Lists the versions that the responder speaks.
    Version = 7,
}

impl PacketType {
    /// All of them.
    pub const ALL: [Self; 7] =
        [Self::I1, Self::R2, Self::X1, Self::X2, Self::X3, Self::Retry, Self::Version];

    /// The type with this number; `None` for those not given out (8 is reserved for hole punching).
    pub const fn from_number(number: u8) -> Option<Self> {
        Some(match number {
            1 => Self::I1,
            2 => Self::R2,
            3 => Self::X1,
            4 => Self::X2,
            5 => Self::X3,
            6 => Self::Retry,
            7 => Self::Version,
            _ => return None,
        })
    }

    /// Whether it begins a handshake, so that its destination id is not known yet.
    pub const fn begins(self) -> bool {
        matches!(self, Self::I1 | Self::X1)
    }
}

/// A long header: the same in every version.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[cfg_attr(any(test, feature = "fingerprint"), derive(Hash))]
pub struct LongHeader {
    /// What the packet is.
    pub kind: PacketType,
    /// Which part of a message in several packets, 0 to 3. Always 0 in suite 1.
    pub part: u8,
    /// The version that the body follows; [`VERSION_NONE`] in VERSION packets.
    pub version: u16,
    /// The suite that the body follows.
    pub suite: u8,
    /// The sender's id for this connection.
    pub scid: ConnectionId,
    /// The receiver's; zero while it is not known.
    pub dcid: ConnectionId,
}

impl LongHeader {
    /// A header of version and suite 1.
    pub const fn new(kind: PacketType, scid: ConnectionId, dcid: ConnectionId) -> Self {
        let version = match kind {
            PacketType::Version => VERSION_NONE,
            _ => VERSION_1,
        };
        Self { kind, part: 0, version, suite: SUITE_1, scid, dcid }
    }

    /// The twenty bytes.
    pub fn encode(&self) -> [u8; LONG_HEADER_LEN] {
        let mut bytes = [0; LONG_HEADER_LEN];
        let first = LONG_FORM | (self.kind as u8) << 2 | (self.part & 3);
        let [v0, v1] = self.version.to_be_bytes();
        let fields = [first, v0, v1, self.suite].into_iter().chain(self.scid.0).chain(self.dcid.0);
        for (byte, field) in bytes.iter_mut().zip(fields) {
            *byte = field;
        }
        bytes
    }

    /// Reads the header at the front of a datagram. Any version, suite and part will do.
    ///
    /// # Errors
    /// Too few bytes, another form, or a type that is not given out.
    pub fn decode(datagram: &[u8]) -> Result<Self, DecodeError> {
        let mut reader = Reader::new(datagram);
        let first = reader.u8()?;
        if first & FORM_MASK != LONG_FORM {
            return Err(DecodeError::Malformed("not a long header"));
        }
        let kind = PacketType::from_number(first >> 2 & 0x0f)
            .ok_or(DecodeError::Malformed("a packet type that is not given out"))?;
        Ok(Self {
            kind,
            part: first & 3,
            version: reader.u16()?,
            suite: reader.u8()?,
            scid: ConnectionId(reader.array()?),
            dcid: ConnectionId(reader.array()?),
        })
    }
}

/// The unprotected header of a data packet.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ShortHeader {
    /// Lowest bit of the number of key updates.
    pub key_phase: bool,
    /// The receiver's id.
    pub dcid: ConnectionId,
    /// The low 32 bits of the packet number.
    pub number: u32,
}

impl ShortHeader {
    /// The thirteen bytes, before header protection: also what the tag covers beside the frames.
    pub fn encode(&self) -> [u8; SHORT_HEADER_LEN] {
        let mut bytes = [0; SHORT_HEADER_LEN];
        let first = SHORT_FORM | if self.key_phase { KEY_PHASE_BIT } else { 0 };
        let fields = core::iter::once(first).chain(self.dcid.0).chain(self.number.to_be_bytes());
        for (byte, field) in bytes.iter_mut().zip(fields) {
            *byte = field;
        }
        bytes
    }

    /// Reads an unprotected header, reserved bits and all: whoever opens the packet judges those
    /// afterwards.
    ///
    /// # Errors
    /// Too few bytes, or another form.
    pub fn decode(packet: &[u8]) -> Result<Self, DecodeError> {
        let mut reader = Reader::new(packet);
        let first = reader.u8()?;
        if first & FORM_MASK != SHORT_FORM {
            return Err(DecodeError::Malformed("not a short header"));
        }
        Ok(Self {
            key_phase: first & KEY_PHASE_BIT != 0,
            dcid: ConnectionId(reader.array()?),
            number: reader.u32()?,
        })
    }
}

impl PacketNumber {
    /// What stands on the wire: the low 32 bits.
    pub const fn truncated(self) -> u32 {
        self.0 as u32
    }

    /// The number nearest to `expected` (one above the largest received so far) whose low 32 bits
    /// are `truncated` (RFC 9000 appendix A.3).
    pub const fn expand(truncated: u32, expected: Self) -> Self {
        const WINDOW: u64 = 1 << 32;
        let candidate = (expected.0 & !(WINDOW - 1)) | truncated as u64;
        let above = candidate.saturating_add(WINDOW);
        if candidate.saturating_add(WINDOW / 2) <= expected.0 && above <= varint::MAX {
            Self(above)
        } else if candidate > expected.0.saturating_add(WINDOW / 2) && candidate >= WINDOW {
            Self(candidate - WINDOW)
        } else {
            Self(candidate)
        }
    }
}

/// What a datagram looks like from outside.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Class {
    /// A packet with a long header, of any version.
    Long(LongHeader),
    /// A data packet, or a stateless reset that looks like one.
    Short {
        /// The id that it is addressed to.
        dcid: ConnectionId,
    },
    /// None of ours.
    Other,
}

/// Sorts a datagram by its first bytes. Never fails: what is not ours is [`Class::Other`].
pub fn classify(datagram: &[u8]) -> Class {
    match datagram.first().map(|first| first & FORM_MASK) {
        Some(LONG_FORM) => LongHeader::decode(datagram).map_or(Class::Other, Class::Long),
        Some(SHORT_FORM) if datagram.len() >= SHORT_OVERHEAD => ShortHeader::decode(datagram)
            .map_or(Class::Other, |header| Class::Short { dcid: header.dcid }),
        _ => Class::Other,
    }
}

#[cfg(test)]
#[path = "header_tests.rs"]
mod tests;
