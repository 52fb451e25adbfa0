//! The packets of the handshake, by the places of their fields.
//!
//! ```text
//! I1       header 20 | cookie 24 | e 32 | s 48 | payload 1,060 | mac 16      exactly 1,200
//! R2       header 20 | e 32 | payload | mac 16
//! X1       header 20 | cookie 24 | e 32 | payload 1,108 | mac 16             exactly 1,200
//! X2       header 20 | e 32 | s 48 | payload | mac 16
//! X3       header 20 | s 48 | payload | mac 16
//! RETRY    header 20 | cookie 24 | tag 16                                    exactly 60
//! VERSION  header 20 | n u8 | n x version u16 | tag 16                       exactly 37 + 2n
//! ```
//!
//! `e` is a public key in the clear; `s` and `payload` are sealed and carry their tags within.
//! Nothing here is authentic yet: these are places, and lengths that were checked.

use alloc::vec::Vec;

use super::codec::{DecodeError, Put, Reader};
use super::header::{
    LONG_HEADER_LEN, LongHeader, MIN_PACKET_SIZE, PacketType, SUITE_1, TAG_LEN, VERSION_1,
    VERSION_NONE,
};
use super::hello::HELLO_LEN;
use super::id::ConnectionId;

/// Bytes of a cookie; all zero in a first packet that nobody asked to be sent again.
pub const COOKIE_LEN: usize = 24;
/// Bytes of an X25519 public key.
pub const KEY_LEN: usize = 32;
/// Bytes of a sealed static key with its tag.
pub const SEALED_KEY_LEN: usize = KEY_LEN + TAG_LEN;
/// Where the cookie of I1, X1 and RETRY begins.
pub const COOKIE_OFFSET: usize = LONG_HEADER_LEN;
/// Bytes of a payload in I1 before it is sealed.
pub const I1_PAYLOAD_LEN: usize =
    MIN_PACKET_SIZE - LONG_HEADER_LEN - COOKIE_LEN - KEY_LEN - SEALED_KEY_LEN - 2 * TAG_LEN;
/// Bytes of a payload in X1 before it is sealed.
pub const X1_PAYLOAD_LEN: usize =
    MIN_PACKET_SIZE - LONG_HEADER_LEN - COOKIE_LEN - KEY_LEN - 2 * TAG_LEN;
/// Bytes of a RETRY packet.
pub const RETRY_LEN: usize = LONG_HEADER_LEN + COOKIE_LEN + TAG_LEN;
/// The most bytes of a payload in R2 before it is sealed.
pub const R2_PAYLOAD_MAX: usize = MIN_PACKET_SIZE - LONG_HEADER_LEN - KEY_LEN - 2 * TAG_LEN;
/// The most bytes of a payload in X2 before it is sealed.
pub const X2_PAYLOAD_MAX: usize = R2_PAYLOAD_MAX - SEALED_KEY_LEN;
/// The most bytes of a payload in X3 before it is sealed.
pub const X3_PAYLOAD_MAX: usize = MIN_PACKET_SIZE - LONG_HEADER_LEN - SEALED_KEY_LEN - 2 * TAG_LEN;

/// A packet of version 1 and suite 1, or a VERSION packet, taken apart.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct LongPacket<'a> {
    /// Its header.
    pub header: LongHeader,
    /// What stands between header and mac, by type.
    pub body: LongBody<'a>,
    /// The last 16 bytes: the mac over all before, or the tag of RETRY and VERSION.
    pub mac: &'a [u8; TAG_LEN],
}

/// The bodies of packets with a long header.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum LongBody<'a> {
    /// First of the handshake with a known responder.
    I1 {
        /// From a RETRY, or zeros.
        cookie: &'a [u8; COOKIE_LEN],
        /// The initiator's ephemeral key.
        e: &'a [u8; KEY_LEN],
        /// Its static key, sealed.
        s: &'a [u8; SEALED_KEY_LEN],
        /// Sealed; [`I1_PAYLOAD_LEN`] bytes and a tag.
        payload: &'a [u8],
    },
    /// Answer to I1.
    R2 {
        /// The responder's ephemeral key.
        e: &'a [u8; KEY_LEN],
        /// Sealed.
        payload: &'a [u8],
    },
    /// First of the handshake with an unknown responder.
    X1 {
        /// From a RETRY, or zeros.
        cookie: &'a [u8; COOKIE_LEN],
        /// The initiator's ephemeral key.
        e: &'a [u8; KEY_LEN],
        /// Sealed; [`X1_PAYLOAD_LEN`] bytes and a tag.
        payload: &'a [u8],
    },
    /// Answer to X1.
    X2 {
        /// The responder's ephemeral key.
        e: &'a [u8; KEY_LEN],
        /// Its static key, sealed.
        s: &'a [u8; SEALED_KEY_LEN],
        /// Sealed.
        payload: &'a [u8],
    },
    /// Third and last after X2.
    X3 {
        /// The initiator's static key, sealed.
        s: &'a [u8; SEALED_KEY_LEN],
        /// Sealed.
        payload: &'a [u8],
    },
    /// Asks for the first packet again.
    Retry {
        /// What must be sent along.
        cookie: &'a [u8; COOKIE_LEN],
    },
    /// Lists what the responder speaks.
    Version {
        /// At least one.
        versions: VersionList<'a>,
    },
}

impl LongBody<'_> {
    /// The type of packet with this body.
    pub const fn kind(&self) -> PacketType {
        match self {
            Self::I1 { .. } => PacketType::I1,
            Self::R2 { .. } => PacketType::R2,
            Self::X1 { .. } => PacketType::X1,
            Self::X2 { .. } => PacketType::X2,
            Self::X3 { .. } => PacketType::X3,
            Self::Retry { .. } => PacketType::Retry,
            Self::Version { .. } => PacketType::Version,
        }
    }
}

impl<'a> LongPacket<'a> {
    /// Takes a whole datagram apart.
    ///
    /// # Errors
    /// A header of another version, suite or part than this crate's; a first packet with a
    /// destination; a length that the type does not allow. The datagram is then to be dropped.
    pub fn decode(datagram: &'a [u8]) -> Result<Self, DecodeError> {
        let header = LongHeader::decode(datagram)?;
        check_header(&header)?;
        if !length_is_legal(header.kind, datagram.len()) {
            return Err(DecodeError::Malformed("a packet of a length that its type has not"));
        }
        let (front, mac) = split_mac(datagram).ok_or(DecodeError::Truncated)?;
        let mut reader = Reader::new(front);
        reader.bytes(LONG_HEADER_LEN)?;
        let body = LongBody::decode(header.kind, &mut reader)?;
        Ok(Self { header, body, mac })
    }

    /// Appends the packet.
    pub fn encode(&self, out: &mut Vec<u8>) {
        out.bytes(&self.header.encode());
        let (fixed, payload): ([&[u8]; 3], &[u8]) = match &self.body {
            LongBody::I1 { cookie, e, s, payload } => ([*cookie, *e, *s], payload),
            LongBody::R2 { e, payload } => ([*e, &[], &[]], payload),
            LongBody::X1 { cookie, e, payload } => ([*cookie, *e, &[]], payload),
            LongBody::X2 { e, s, payload } => ([*e, *s, &[]], payload),
            LongBody::X3 { s, payload } => ([*s, &[], &[]], payload),
            LongBody::Retry { cookie } => ([*cookie, &[], &[]], &[]),
            LongBody::Version { versions } => {
                out.u8(u8::try_from(versions.bytes.len() / 2).unwrap_or(u8::MAX));
                ([&[], &[], &[]], versions.bytes)
            }
        };
        for part in fixed.into_iter().chain([payload, self.mac]) {
            out.bytes(part);
        }
    }
}

/// What the mac of a long packet covers, and the mac; `None` if there is no room for both.
pub fn split_mac(datagram: &[u8]) -> Option<(&[u8], &[u8; TAG_LEN])> {
    datagram.split_last_chunk().filter(|(front, _)| front.len() >= LONG_HEADER_LEN)
}

/// Whether packets of this type may have this many bytes, mac and all.
pub fn length_is_legal(kind: PacketType, length: usize) -> bool {
    const SEALED_HELLO: usize = HELLO_LEN + TAG_LEN;
    const R2_MIN: usize = LONG_HEADER_LEN + KEY_LEN + SEALED_HELLO + TAG_LEN;
    const X3_MIN: usize = LONG_HEADER_LEN + SEALED_KEY_LEN + SEALED_HELLO + TAG_LEN;
    const VERSION_MIN: usize = LONG_HEADER_LEN + 1 + 2 + TAG_LEN;
    let within = |min: usize| (min..=MIN_PACKET_SIZE).contains(&length);
    match kind {
        PacketType::I1 | PacketType::X1 => length == MIN_PACKET_SIZE,
        PacketType::R2 => within(R2_MIN),
        PacketType::X2 => within(R2_MIN + SEALED_KEY_LEN),
        PacketType::X3 => within(X3_MIN),
        PacketType::Retry => length == RETRY_LEN,
        PacketType::Version => within(VERSION_MIN),
    }
}

fn check_header(header: &LongHeader) -> Result<(), DecodeError> {
    let version = match header.kind {
        PacketType::Version => VERSION_NONE,
        _ => VERSION_1,
    };
    if header.version != version {
        return Err(DecodeError::Malformed("a packet of another version"));
    }
    let suite_is_ours = header.suite == SUITE_1 || header.kind == PacketType::Version;
    if !suite_is_ours || header.part != 0 {
        return Err(DecodeError::Malformed("a packet of another suite"));
    }
    if header.kind.begins() && header.dcid != ConnectionId::ZERO {
        return Err(DecodeError::Malformed("a first packet with a destination"));
    }
    Ok(())
}

impl<'a> LongBody<'a> {
    fn decode(kind: PacketType, reader: &mut Reader<'a>) -> Result<Self, DecodeError> {
        Ok(match kind {
            PacketType::I1 => Self::I1 {
                cookie: reader.array_ref()?,
                e: reader.array_ref()?,
                s: reader.array_ref()?,
                payload: reader.take_rest(),
            },
            PacketType::R2 => Self::R2 { e: reader.array_ref()?, payload: reader.take_rest() },
            PacketType::X1 => Self::X1 {
                cookie: reader.array_ref()?,
                e: reader.array_ref()?,
                payload: reader.take_rest(),
            },
            PacketType::X2 => Self::X2 {
                e: reader.array_ref()?,
                s: reader.array_ref()?,
                payload: reader.take_rest(),
            },
            PacketType::X3 => Self::X3 { s: reader.array_ref()?, payload: reader.take_rest() },
            PacketType::Retry => Self::Retry { cookie: reader.array_ref()? },
            PacketType::Version => {
                let count = usize::from(reader.u8()?);
                let bytes = reader.take_rest();
                if count == 0 || bytes.len() != 2 * count {
                    return Err(DecodeError::Malformed("a VERSION packet that miscounts"));
                }
                Self::Version { versions: VersionList { bytes } }
            }
        })
    }
}

/// Version numbers, two bytes each.
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct VersionList<'a> {
    bytes: &'a [u8],
}

impl<'a> VersionList<'a> {
    /// The list in `bytes`, two a version; an odd byte at the end is dropped.
    pub fn new(bytes: &'a [u8]) -> Self {
        Self { bytes: bytes.get(..bytes.len() & !1).unwrap_or_default() }
    }

    /// The versions in their order.
    pub fn iter(&self) -> impl Iterator<Item = u16> + 'a {
        self.bytes
            .chunks_exact(2)
            .filter_map(|two| two.first_chunk())
            .map(|b| u16::from_be_bytes(*b))
    }

    /// As it stands on the wire.
    pub const fn as_bytes(&self) -> &'a [u8] {
        self.bytes
    }
}

impl core::fmt::Debug for VersionList<'_> {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        f.debug_list().entries(self.iter()).finish()
    }
}

#[cfg(test)]
#[path = "long_tests.rs"]
mod tests;
