//! Segments of a tape that is made from another.

use alloc::vec::Vec;

use crate::tape::{Check, SEGMENT_MAGIC};

use super::file::Segment;

/// Writes segments behind a head.
pub(super) struct Recast {
    out: Vec<u8>,
    number: u32,
    check: u64,
}

impl Recast {
    /// Behind this head.
    pub(super) fn new(head: Vec<u8>) -> Self {
        let check = head.last_chunk().map_or(0, |check| u64::from_be_bytes(*check));
        Self { out: head, number: 0, check }
    }

    /// A segment like another, with other records.
    pub(super) fn segment(&mut self, like: &Segment<'_>, records: &[u8]) {
        let from = self.out.len();
        let length = u32::try_from(records.len()).unwrap_or(u32::MAX);
        self.out.extend_from_slice(&SEGMENT_MAGIC);
        self.out.extend_from_slice(&self.number.to_be_bytes());
        self.out.extend_from_slice(&like.time.as_nanos().to_be_bytes());
        self.out.extend_from_slice(&like.count.to_be_bytes());
        self.out.extend_from_slice(&length.to_be_bytes());
        self.out.extend_from_slice(records);
        self.out.extend_from_slice(&like.chain.to_be_bytes());
        let mut check = Check::default();
        check.word(self.check);
        check.bytes(self.out.get(from..).unwrap_or_default());
        self.check = check.value();
        self.number += 1;
        self.out.extend_from_slice(&self.check.to_be_bytes());
    }

    /// The whole tape.
    pub(super) fn done(self) -> Vec<u8> {
        self.out
    }
}
