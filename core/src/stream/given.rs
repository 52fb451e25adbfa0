//! What an assembler says: what came of a frame, and what it gives out.

use core::ops::Range;

use bytes::Bytes;

/// Consecutive bytes of a body.
#[derive(Clone, Debug, PartialEq, Eq)]
#[cfg_attr(any(test, feature = "fingerprint"), derive(Hash))]
pub struct Chunk {
    /// Offset of the first byte. In order, an offset beyond the last chunk's end says that the
    /// bytes between were skipped.
    pub offset: u64,
    /// The bytes.
    pub data: Bytes,
}

impl Chunk {
    /// The offsets of the chunk.
    pub fn range(&self) -> Range<u64> {
        self.offset..self.offset.saturating_add(self.data.len() as u64)
    }
}

/// What came, to a reader in order of arrival.
#[derive(Clone, Debug, PartialEq, Eq)]
#[expect(clippy::exhaustive_enums, reason = "a byte comes, or it never will")]
pub enum Arrival {
    /// Bytes.
    Bytes(Chunk),
    /// Word that the bytes of a range will never come.
    Skipped(Range<u64>),
}

impl Arrival {
    /// The offsets that it tells of.
    pub fn range(&self) -> Range<u64> {
        match self {
            Self::Bytes(chunk) => chunk.range(),
            Self::Skipped(range) => range.clone(),
        }
    }
}

/// What became of a frame.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[must_use = "a packet with a refused frame must not be acknowledged"]
pub enum Inserted {
    /// Taken; so many bytes were not there before.
    Fresh(u64),
    /// Not taken: it would open one range too many. Nothing was changed.
    TooFragmented,
}
