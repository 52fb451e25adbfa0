//! OPEN frames: a stream's introduction of itself.
//!
//! ```text
//! type 0x04 | id | flags u8 | protocol | size? | start? | end? | digest? | priority? | hop limit?
//!           | extension? | head length | head
//! flags: 0 named protocol · 1 size · 2 start · 3 end · 4 digest · 5 priority
//!        6 hop limit · 7 extension
//! ```

use super::codec::{DecodeError, Length, Put, Reader};
use super::id::StreamId;
use super::kind;

/// Bytes of the application's own words, at most.
pub const MAX_HEAD: usize = 900;
/// Bytes of a protocol's name, at most.
pub const MAX_PROTOCOL_NAME: usize = 64;
/// Bytes of a whole OPEN frame, at most: it fits the smallest packet with 51 bytes to spare.
pub const MAX_OPEN: usize = 1_120;
/// The digest is BLAKE3 with 32 bytes. Others are reserved: read over, and taken as absent.
pub const DIGEST_BLAKE3: u8 = 1;

const NAMED: u8 = 1;
const SIZE: u8 = 1 << 1;
const START: u8 = 1 << 2;
const END: u8 = 1 << 3;
const DIGEST: u8 = 1 << 4;
const PRIORITY: u8 = 1 << 5;
const HOP_LIMIT: u8 = 1 << 6;
const EXTENSION: u8 = 1 << 7;

/// The protocol that a stream speaks.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Protocol<'a> {
    /// By number; those below 64 are Aqueduct's own (see [`protocol`](super::protocol)).
    Number(u64),
    /// By name, 1 to 64 bytes.
    Name(&'a [u8]),
}

/// OPEN, borrowed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct OpenFrame<'a> {
    /// The stream.
    pub id: StreamId,
    /// What it speaks.
    pub protocol: Protocol<'a>,
    /// Size of the body in bytes, a hint for progress and never for allocation.
    pub size: Option<u64>,
    /// First offset that will come; 0 if absent.
    pub start: Option<u64>,
    /// Offset behind the last that will come.
    pub end: Option<u64>,
    /// BLAKE3 of the whole body.
    pub digest: Option<[u8; 32]>,
    /// The sender's priority byte (class in the upper two bits, see `05-streams.md`).
    pub priority: Option<u8>,
    /// Relays that may still forward it.
    pub hop_limit: Option<u8>,
    /// Reserved for sealing; carried and ignored.
    pub extension: &'a [u8],
    /// The application's own words, at most 900 bytes.
    pub head: &'a [u8],
}

impl<'a> OpenFrame<'a> {
    /// An introduction with nothing but the stream and its protocol.
    pub const fn new(id: StreamId, protocol: Protocol<'a>) -> Self {
        Self {
            id,
            protocol,
            size: None,
            start: None,
            end: None,
            digest: None,
            priority: None,
            hop_limit: None,
            extension: &[],
            head: &[],
        }
    }

    /// Bytes of the frame on the wire, with its type.
    pub fn encoded_len(&self) -> usize {
        let mut length = Length::default();
        self.put(&mut length);
        length.0
    }

    /// Whether a peer would take the frame.
    ///
    /// # Errors
    /// What the peer would say: a name or head of the wrong length, an end before the start, a
    /// frame that is too long.
    pub fn check(&self) -> Result<(), DecodeError> {
        if let Protocol::Name(name) = self.protocol
            && !(1..=MAX_PROTOCOL_NAME).contains(&name.len())
        {
            return Err(DecodeError::Malformed(BAD_NAME));
        }
        if self.head.len() > MAX_HEAD {
            return Err(DecodeError::Malformed(BAD_HEAD));
        }
        if self.end.is_some_and(|end| end < self.start.unwrap_or(0)) {
            return Err(DecodeError::Malformed("an OPEN that ends before it starts"));
        }
        if self.encoded_len() > MAX_OPEN {
            return Err(DecodeError::Malformed(TOO_LONG));
        }
        Ok(())
    }

    pub(super) fn put(&self, out: &mut impl Put) {
        out.varint(kind::OPEN);
        out.varint(self.id.0);
        out.u8(self.flags());
        match self.protocol {
            Protocol::Number(number) => out.varint(number),
            Protocol::Name(name) => {
                out.u8(u8::try_from(name.len()).unwrap_or(u8::MAX));
                out.bytes(name);
            }
        }
        for number in [self.size, self.start, self.end].into_iter().flatten() {
            out.varint(number);
        }
        if let Some(digest) = &self.digest {
            out.u8(DIGEST_BLAKE3);
            out.bytes(digest);
        }
        for byte in [self.priority, self.hop_limit].into_iter().flatten() {
            out.u8(byte);
        }
        if !self.extension.is_empty() {
            out.prefixed(self.extension);
        }
        out.prefixed(self.head);
    }

    fn flags(&self) -> u8 {
        let flag = |on: bool, bit: u8| if on { bit } else { 0 };
        flag(matches!(self.protocol, Protocol::Name(_)), NAMED)
            | flag(self.size.is_some(), SIZE)
            | flag(self.start.is_some(), START)
            | flag(self.end.is_some(), END)
            | flag(self.digest.is_some(), DIGEST)
            | flag(self.priority.is_some(), PRIORITY)
            | flag(self.hop_limit.is_some(), HOP_LIMIT)
            | flag(!self.extension.is_empty(), EXTENSION)
    }

    /// Reads what stands behind the type.
    pub(super) fn decode(reader: &mut Reader<'a>) -> Result<Self, DecodeError> {
        let before = reader.remaining();
        let id = StreamId(reader.varint()?);
        let flags = reader.u8()?;
        let has = |bit: u8| flags & bit != 0;
        let protocol = Protocol::decode(reader, has(NAMED))?;
        let mut number = |bit: u8| has(bit).then(|| reader.varint()).transpose();
        let (size, start, end) = (number(SIZE)?, number(START)?, number(END)?);
        let digest = if has(DIGEST) { decode_digest(reader)? } else { None };
        let mut byte = |bit: u8| has(bit).then(|| reader.u8()).transpose();
        let (priority, hop_limit) = (byte(PRIORITY)?, byte(HOP_LIMIT)?);
        let extension = if has(EXTENSION) { reader.prefixed(MAX_OPEN, TOO_LONG)? } else { &[] };
        let head = reader.prefixed(MAX_HEAD, BAD_HEAD)?;
        // One byte of type stands before.
        if before - reader.remaining() + 1 > MAX_OPEN {
            return Err(DecodeError::Malformed(TOO_LONG));
        }
        let frame =
            Self { id, protocol, size, start, end, digest, priority, hop_limit, extension, head };
        frame.check().map(|()| frame)
    }
}

const BAD_NAME: &str = "an OPEN whose protocol name is empty or too long";
const BAD_HEAD: &str = "an OPEN whose head is too long";
const TOO_LONG: &str = "an OPEN that is too long";

impl<'a> Protocol<'a> {
    fn decode(reader: &mut Reader<'a>, named: bool) -> Result<Self, DecodeError> {
        if !named {
            return reader.varint().map(Self::Number);
        }
        let length = usize::from(reader.u8()?);
        if !(1..=MAX_PROTOCOL_NAME).contains(&length) {
            return Err(DecodeError::Malformed(BAD_NAME));
        }
        reader.bytes(length).map(Self::Name)
    }
}

/// Every kind of digest has 32 bytes; one that is not known counts as absent.
fn decode_digest(reader: &mut Reader<'_>) -> Result<Option<[u8; 32]>, DecodeError> {
    let kind = reader.u8()?;
    let digest = reader.array()?;
    Ok((kind == DIGEST_BLAKE3).then_some(digest))
}
