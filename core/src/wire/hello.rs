//! The payload of a handshake packet, once opened: what both sides must agree on and nobody on the
//! way may change.
//!
//! ```text
//! type u8 | flags u8 | status u8 | ciphers u8 | scid 8 | dcid 8 | versions 4 x u16 | suites 4 x u8
//!         | capabilities u64 | (type u8 | length u16 | bytes)* | 0, and zeros to the end  40 + n
//! ```
//!
//! A zero in place of an item's type is padding: it has no length, and nothing but zeros follows
//! it. So any number of bytes can be padded, one and two included. Items that are not known are
//! passed over; Noise has hashed them all the same.

use alloc::vec::Vec;

use super::codec::{DecodeError, Put, Reader};
use super::header::{PacketType, SUITE_1, VERSION_1};
use super::id::ConnectionId;
use super::long::VersionList;

/// Bytes of a payload without items.
pub const HELLO_LEN: usize = 40;
/// Versions that a payload can list.
pub const LISTED: usize = 4;

/// Bit of the flags: the sign of the sender's Edwards point.
pub const FLAG_SIGN: u8 = 1;
/// Bit of the flags: early data was taken. Always 0 in this version.
pub const FLAG_EARLY_DATA: u8 = 1 << 1;

/// Bit of the ciphers: ChaCha20-Poly1305.
pub const CIPHER_CHACHA20_POLY1305: u8 = 1;
/// Bit of the ciphers: AES-256-GCM.
pub const CIPHER_AES_256_GCM: u8 = 1 << 1;

/// Item: padding to the end.
pub const ITEM_PAD: u8 = 0;
/// Item: parameters (`params.rs`).
pub const ITEM_PARAMS: u8 = 1;
/// Item: early data. Reserved: read, and not taken.
pub const ITEM_EARLY_DATA: u8 = 2;
/// Item: the list of a VERSION packet that made the initiator choose its version.
pub const ITEM_VERSIONS_SEEN: u8 = 3;

/// A handshake payload.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Hello<'a> {
    /// Repeats the type in the packet's header.
    pub kind: PacketType,
    /// The sign bit of the sender's Edwards point, where its static key is sent or implied.
    pub sign: bool,
    /// Early data was taken. Always false in this version.
    pub early_data_taken: bool,
    /// 0, or the number of a [`crate::error::Refusal`].
    pub status: u8,
    /// Offered in I1 and X1, one chosen in R2 and X2, which X3 repeats.
    pub ciphers: u8,
    /// Repeats the header.
    pub scid: ConnectionId,
    /// Repeats the header.
    pub dcid: ConnectionId,
    /// Versions that the sender speaks; 0 means none.
    pub versions: [u16; LISTED],
    /// Suites that the sender speaks; 0 means none.
    pub suites: [u8; LISTED],
    /// What else the sender can do; unknown bits are ignored.
    pub capabilities: u64,
    /// Encoded parameters.
    pub params: Option<&'a [u8]>,
    /// Early data; read, and not taken.
    pub early_data: Option<&'a [u8]>,
    /// The VERSION packet's list that this handshake answers to.
    pub versions_seen: Option<VersionList<'a>>,
}

impl<'a> Hello<'a> {
    /// A payload that speaks version 1 and suite 1, both ciphers, and carries no items.
    pub const fn new(kind: PacketType, scid: ConnectionId, dcid: ConnectionId) -> Self {
        Self {
            kind,
            sign: false,
            early_data_taken: false,
            status: 0,
            ciphers: CIPHER_CHACHA20_POLY1305 | CIPHER_AES_256_GCM,
            scid,
            dcid,
            versions: [VERSION_1, 0, 0, 0],
            suites: [SUITE_1, 0, 0, 0],
            capabilities: 0,
            params: None,
            early_data: None,
            versions_seen: None,
        }
    }

    /// Appends the payload, padded to `padded_to` bytes. False, with nothing appended, if it is
    /// longer than that, or an item longer than 65,535 bytes.
    #[must_use]
    pub fn encode(&self, padded_to: usize, out: &mut Vec<u8>) -> bool {
        let length = self.encoded_len();
        let fits = |item: Option<&[u8]>| item.is_none_or(|b| u16::try_from(b.len()).is_ok());
        if length > padded_to || !self.items().into_iter().all(|(_, item)| fits(item)) {
            return false;
        }
        let flag = |on: bool, bit: u8| if on { bit } else { 0 };
        out.u8(self.kind as u8);
        out.u8(flag(self.sign, FLAG_SIGN) | flag(self.early_data_taken, FLAG_EARLY_DATA));
        out.u8(self.status);
        out.u8(self.ciphers);
        out.bytes(&self.scid.0);
        out.bytes(&self.dcid.0);
        for version in self.versions {
            out.u16(version);
        }
        out.bytes(&self.suites);
        out.bytes(&self.capabilities.to_be_bytes());
        for (kind, item) in self.items() {
            if let Some(bytes) = item {
                out.u8(kind);
                out.u16(u16::try_from(bytes.len()).unwrap_or(u16::MAX));
                out.bytes(bytes);
            }
        }
        out.zeros(padded_to - length);
        true
    }

    /// Bytes of the payload without padding.
    pub fn encoded_len(&self) -> usize {
        let size = |item: Option<&[u8]>| item.map_or(0, |bytes| 3 + bytes.len());
        HELLO_LEN + self.items().into_iter().map(|(_, item)| size(item)).sum::<usize>()
    }

    /// Reads a payload, which must fill `payload`.
    ///
    /// # Errors
    /// Bytes that are no payload, an item that is given twice, or padding that is not zero.
    pub fn decode(payload: &'a [u8]) -> Result<Self, DecodeError> {
        let mut reader = Reader::new(payload);
        let mut hello = Self::decode_fixed(&mut reader)?;
        while !reader.is_empty() {
            let kind = reader.u8()?;
            if kind == ITEM_PAD {
                return if reader.take_rest().iter().all(|byte| *byte == 0) {
                    Ok(hello)
                } else {
                    Err(DecodeError::Malformed("padding that is not zero"))
                };
            }
            let length = reader.u16()?;
            hello.take(kind, reader.bytes(usize::from(length))?)?;
        }
        Ok(hello)
    }

    fn decode_fixed(reader: &mut Reader<'a>) -> Result<Self, DecodeError> {
        let kind = PacketType::from_number(reader.u8()?)
            .filter(|kind| !matches!(kind, PacketType::Retry | PacketType::Version))
            .ok_or(DecodeError::Malformed("a payload of a type that has none"))?;
        let flags = reader.u8()?;
        Ok(Self {
            kind,
            sign: flags & FLAG_SIGN != 0,
            early_data_taken: flags & FLAG_EARLY_DATA != 0,
            status: reader.u8()?,
            ciphers: reader.u8()?,
            scid: ConnectionId(reader.array()?),
            dcid: ConnectionId(reader.array()?),
            versions: [reader.u16()?, reader.u16()?, reader.u16()?, reader.u16()?],
            suites: reader.array()?,
            capabilities: reader.u64()?,
            params: None,
            early_data: None,
            versions_seen: None,
        })
    }

    fn take(&mut self, kind: u8, bytes: &'a [u8]) -> Result<(), DecodeError> {
        let before = match kind {
            ITEM_PARAMS => self.params.replace(bytes).is_some(),
            ITEM_EARLY_DATA => self.early_data.replace(bytes).is_some(),
            ITEM_VERSIONS_SEEN if bytes.len().is_multiple_of(2) => {
                self.versions_seen.replace(VersionList::new(bytes)).is_some()
            }
            ITEM_VERSIONS_SEEN => {
                return Err(DecodeError::Malformed("a list of versions with an odd length"));
            }
            _ => false,
        };
        if before { Err(DecodeError::Malformed("an item given twice")) } else { Ok(()) }
    }

    fn items(&self) -> [(u8, Option<&'a [u8]>); 3] {
        [
            (ITEM_PARAMS, self.params),
            (ITEM_EARLY_DATA, self.early_data),
            (ITEM_VERSIONS_SEEN, self.versions_seen.map(|list| list.as_bytes())),
        ]
    }
}

#[cfg(test)]
#[path = "hello_tests.rs"]
mod tests;
