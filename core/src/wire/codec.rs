//! Reading and writing plain values over slices.

use alloc::vec::Vec;

use thiserror::Error;

use super::varint;
use crate::error::{TransportCode, Violation};

/// Why bytes are not a value. Nothing has been changed by whoever returns it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
#[non_exhaustive]
pub enum DecodeError {
    /// The bytes end before the value does.
    #[error("the bytes end before the value does")]
    Truncated,
    /// The bytes are no legal encoding.
    #[error("{0}")]
    Malformed(&'static str),
    /// Parameters that contradict each other or the rules.
    #[error("{0}")]
    Parameters(&'static str),
    /// Well formed, and against a rule of the packet as a whole.
    #[error("{0}")]
    Rule(&'static str),
}

/// What a peer did by sending such bytes in an authenticated packet.
impl From<DecodeError> for Violation {
    fn from(error: DecodeError) -> Self {
        match error {
            DecodeError::Truncated => {
                Self::new(TransportCode::FrameEncoding, "a frame runs past the end of its packet")
            }
            DecodeError::Malformed(what) => Self::new(TransportCode::FrameEncoding, what),
            DecodeError::Parameters(what) => Self::new(TransportCode::Parameters, what),
            DecodeError::Rule(what) => Self::new(TransportCode::Protocol, what),
        }
    }
}

/// Takes values from the front of a slice. After an error nothing more should be read.
#[derive(Clone, Debug)]
pub struct Reader<'a> {
    rest: &'a [u8],
}

impl<'a> Reader<'a> {
    /// Reads `bytes` from the front.
    pub const fn new(bytes: &'a [u8]) -> Self {
        Self { rest: bytes }
    }

    /// What has not been read yet.
    pub const fn rest(&self) -> &'a [u8] {
        self.rest
    }

    /// Bytes that have not been read yet.
    pub const fn remaining(&self) -> usize {
        self.rest.len()
    }

    /// Whether everything has been read.
    pub const fn is_empty(&self) -> bool {
        self.rest.is_empty()
    }

    /// The next `count` bytes.
    ///
    /// # Errors
    /// [`DecodeError::Truncated`] if there are fewer.
    pub fn bytes(&mut self, count: usize) -> Result<&'a [u8], DecodeError> {
        let (taken, rest) = self.rest.split_at_checked(count).ok_or(DecodeError::Truncated)?;
        self.rest = rest;
        Ok(taken)
    }

    /// All bytes that are left.
    pub fn take_rest(&mut self) -> &'a [u8] {
        core::mem::take(&mut self.rest)
    }

    /// The next `N` bytes, borrowed.
    ///
    /// # Errors
    /// [`DecodeError::Truncated`] if there are fewer.
    pub fn array_ref<const N: usize>(&mut self) -> Result<&'a [u8; N], DecodeError> {
        let (taken, rest) = self.rest.split_first_chunk().ok_or(DecodeError::Truncated)?;
        self.rest = rest;
        Ok(taken)
    }

    /// The next `N` bytes.
    ///
    /// # Errors
    /// [`DecodeError::Truncated`] if there are fewer.
    pub fn array<const N: usize>(&mut self) -> Result<[u8; N], DecodeError> {
        self.array_ref().copied()
    }

    /// The next byte.
    ///
    /// # Errors
    /// [`DecodeError::Truncated`] if there is none.
    pub fn u8(&mut self) -> Result<u8, DecodeError> {
        self.array().map(|[byte]| byte)
    }

    /// The next two bytes, big-endian.
    ///
    /// # Errors
    /// [`DecodeError::Truncated`] if there are fewer.
    pub fn u16(&mut self) -> Result<u16, DecodeError> {
        self.array().map(u16::from_be_bytes)
    }

    /// The next four bytes, big-endian.
    ///
    /// # Errors
    /// [`DecodeError::Truncated`] if there are fewer.
    pub fn u32(&mut self) -> Result<u32, DecodeError> {
        self.array().map(u32::from_be_bytes)
    }

    /// The next eight bytes, big-endian.
    ///
    /// # Errors
    /// [`DecodeError::Truncated`] if there are fewer.
    pub fn u64(&mut self) -> Result<u64, DecodeError> {
        self.array().map(u64::from_be_bytes)
    }

    /// The next varint, in any of its forms.
    ///
    /// # Errors
    /// [`DecodeError::Truncated`] if it runs past the end.
    #[inline]
    pub fn varint(&mut self) -> Result<u64, DecodeError> {
        if let Some(short) = self.short_varint() {
            return Ok(short);
        }
        let (value, length) = varint::decode(self.rest).ok_or(DecodeError::Truncated)?;
        self.bytes(length)?;
        Ok(value)
    }

    /// The next varint, if it is one of a single byte.
    #[inline]
    fn short_varint(&mut self) -> Option<u64> {
        let (&first, rest) = self.rest.split_first().filter(|(first, _)| **first < 0x40)?;
        self.rest = rest;
        Some(first.into())
    }

    /// The next varint, which must stand in its shortest form.
    ///
    /// # Errors
    /// [`DecodeError::Truncated`] if it runs past the end, [`DecodeError::Malformed`] if it is
    /// longer than it need be.
    #[inline]
    pub fn shortest_varint(&mut self) -> Result<u64, DecodeError> {
        if let Some(short) = self.short_varint() {
            return Ok(short);
        }
        let before = self.remaining();
        let value = self.varint()?;
        if varint::len(value) == before - self.remaining() {
            Ok(value)
        } else {
            Err(DecodeError::Malformed("a type is not in its shortest form"))
        }
    }

    /// A varint length of at most `most`, and that many bytes.
    ///
    /// # Errors
    /// [`DecodeError::Truncated`] if they run past the end, [`DecodeError::Malformed`] with `what`
    /// if there are more than `most`.
    pub fn prefixed(&mut self, most: usize, what: &'static str) -> Result<&'a [u8], DecodeError> {
        let length = usize::try_from(self.varint()?).unwrap_or(usize::MAX);
        if length > most {
            return Err(DecodeError::Malformed(what));
        }
        self.bytes(length)
    }
}

/// Where values are put: a buffer, or a counter of what would be put. Lengths are counted by the
/// same code that writes, so the two cannot disagree.
pub(crate) trait Put {
    /// Puts `bytes`.
    fn bytes(&mut self, bytes: &[u8]);

    /// Puts `count` zero bytes.
    fn zeros(&mut self, count: usize);

    /// Puts the shortest form of `value`, at most 2^62 - 1.
    fn varint(&mut self, value: u64);

    /// Puts one byte.
    fn u8(&mut self, value: u8) {
        self.bytes(&[value]);
    }

    /// Puts two bytes, big-endian.
    fn u16(&mut self, value: u16) {
        self.bytes(&value.to_be_bytes());
    }

    /// Puts the length of `bytes` as a varint, then `bytes`.
    fn prefixed(&mut self, bytes: &[u8]) {
        self.varint(bytes.len() as u64);
        self.bytes(bytes);
    }
}

impl Put for Vec<u8> {
    fn bytes(&mut self, bytes: &[u8]) {
        self.extend_from_slice(bytes);
    }

    fn zeros(&mut self, count: usize) {
        self.resize(self.len().saturating_add(count), 0);
    }

    #[inline]
    fn varint(&mut self, value: u64) {
        debug_assert!(value <= varint::MAX, "{value} is no varint");
        match value {
            0..0x40 => self.push(value as u8),
            _ => put_long_varint(self, value.min(varint::MAX)),
        }
    }
}

/// The forms of two, four and eight bytes; apart, so that the one of a byte stays small where it is
/// used.
fn put_long_varint(out: &mut Vec<u8>, value: u64) {
    match varint::len(value) {
        ..=2 => out.bytes(&(value as u16 | 1 << 14).to_be_bytes()),
        4 => out.bytes(&(value as u32 | 2 << 30).to_be_bytes()),
        _ => out.bytes(&(value | 3 << 62).to_be_bytes()),
    }
}

/// Counts what would be put.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Length(pub(crate) usize);

impl Put for Length {
    fn bytes(&mut self, bytes: &[u8]) {
        self.zeros(bytes.len());
    }

    fn zeros(&mut self, count: usize) {
        self.0 = self.0.saturating_add(count);
    }

    fn varint(&mut self, value: u64) {
        self.zeros(varint::len(value));
    }
}
