//! Datagrams out of a byte stream: a length of two bytes before each (spec `12-tcp.md`).
//!
//! ```text
//!   ┌─────────┬──────────────┬─────────┬──────────────┬─ ─
//!   │ len u16 │ datagram     │ len u16 │ datagram     │
//!   └─────────┴──────────────┴─────────┴──────────────┴─ ─
//! ```
//!
//! A datagram that lies whole in what was read is given out where it lies. Only one that is cut is
//! gathered, and only as many bytes are held as came: a length that a peer declares allocates
//! nothing.

use alloc::vec::Vec;

use thiserror::Error;

/// Longest datagram that a length can say.
pub const MAX_FRAME: usize = 65_535;

/// Bytes of the length.
const HEADER: usize = 2;

/// What no honest peer writes. The carrier must be closed: where the next length stands is unknown.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
#[cfg_attr(any(test, feature = "fingerprint"), derive(Hash))]
#[non_exhaustive]
pub enum DeframeError {
    /// A length of zero.
    #[error("a frame of no bytes")]
    Empty,
    /// A length above the limit that this side set.
    #[error("a frame of {len} bytes, with at most {limit} allowed")]
    TooLong {
        /// What the peer wrote.
        len: u16,
        /// What is allowed.
        limit: u16,
    },
}

/// Cuts one byte stream into datagrams.
///
/// ```
/// use aqueduct_core::path::Deframer;
///
/// let mut deframer = Deframer::new(1_500);
/// let mut read = *b"\x00\x05hello\x00\x03by";
/// let mut input = &mut read[..];
/// assert_eq!(deframer.next(&mut input)?.as_deref(), Some(&b"hello"[..]));
/// assert_eq!(deframer.next(&mut input)?, None);
///
/// let mut rest = *b"e";
/// assert_eq!(deframer.next(&mut &mut rest[..])?.as_deref(), Some(&b"bye"[..]));
/// # Ok::<(), aqueduct_core::path::DeframeError>(())
/// ```
#[derive(Clone, Debug)]
#[cfg_attr(any(test, feature = "fingerprint"), derive(Hash))]
pub struct Deframer {
    limit: u16,
    /// The frame that is being gathered, with its length.
    partial: Vec<u8>,
    /// `partial` was given out and is to be emptied.
    given: bool,
    failed: Option<DeframeError>,
}

impl Deframer {
    /// Of a carrier whose datagrams have at most `limit` bytes.
    pub const fn new(limit: u16) -> Self {
        Self { limit, partial: Vec::new(), given: false, failed: None }
    }

    /// Bytes held of a datagram that is not complete, with its length.
    pub fn held(&self) -> usize {
        if self.given { 0 } else { self.partial.len() }
    }

    /// Takes bytes off the front of `input` up to the end of one datagram, and gives that datagram;
    /// `None` if `input` is used up.
    ///
    /// # Errors
    ///
    /// When a length is not allowed; then always.
    pub fn next<'s, 'i: 's>(
        &'s mut self,
        input: &mut &'i mut [u8],
    ) -> Result<Option<&'s mut [u8]>, DeframeError> {
        if let Some(failed) = self.failed {
            return Err(failed);
        }
        if self.given {
            self.partial.clear();
            self.given = false;
        }
        if self.partial.is_empty()
            && let Some(len) = self.checked_length(input)?
        {
            let whole = core::mem::take(input);
            if whole.len() < HEADER + len {
                self.partial.extend_from_slice(whole);
                return Ok(None);
            }
            let (frame, rest) = whole.split_at_mut(HEADER + len);
            *input = rest;
            return Ok(frame.get_mut(HEADER..));
        }
        self.gather(HEADER, input);
        let gathered = core::mem::take(&mut self.partial);
        let len = self.checked_length(&gathered)?;
        self.partial = gathered;
        let Some(len) = len else { return Ok(None) };
        self.gather(HEADER + len, input);
        if self.partial.len() < HEADER + len {
            return Ok(None);
        }
        self.given = true;
        Ok(self.partial.get_mut(HEADER..))
    }

    /// Takes bytes off `input` until `want` are gathered.
    fn gather(&mut self, want: usize, input: &mut &mut [u8]) {
        let missing = want.saturating_sub(self.partial.len()).min(input.len());
        let (taken, rest) = core::mem::take(input).split_at_mut(missing);
        self.partial.extend_from_slice(taken);
        *input = rest;
    }

    /// The length at the front of `bytes`, once it is there.
    fn checked_length(&mut self, bytes: &[u8]) -> Result<Option<usize>, DeframeError> {
        let Some(&header) = bytes.first_chunk::<HEADER>() else { return Ok(None) };
        let len = u16::from_be_bytes(header);
        let failed = match len {
            0 => DeframeError::Empty,
            len if len > self.limit => DeframeError::TooLong { len, limit: self.limit },
            len => return Ok(Some(usize::from(len))),
        };
        self.failed = Some(failed);
        Err(failed)
    }
}

/// The two bytes that stand before a datagram of `len` bytes.
pub const fn frame_header(len: u16) -> [u8; 2] {
    len.to_be_bytes()
}

#[cfg(test)]
#[path = "deframe_tests.rs"]
mod tests;
