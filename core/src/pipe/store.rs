//! The bytes that a pipe holds: what came and was not acknowledged by everybody.

use alloc::collections::VecDeque;
use core::ops::Range;

use crate::range_set::RangeSet;
use crate::stream::Chunk;

use super::Item;

/// Bytes by offset, by reference, with what will never come. Everything below
/// [`floor`](Self::floor) is gone.
#[derive(Clone, Debug, Default)]
#[cfg_attr(any(test, feature = "fingerprint"), derive(Hash))]
pub(super) struct Store {
    /// Sorted by offset, disjoint.
    chunks: VecDeque<Chunk>,
    skipped: RangeSet,
    /// Came or was skipped, from the body's start.
    known: RangeSet,
    floor: u64,
    bytes: u64,
    most: u64,
}

impl Store {
    /// Nothing yet, of a body that begins at `start`.
    pub(super) fn new(start: u64) -> Self {
        let mut known = RangeSet::new();
        known.insert(0..start);
        Self { known, floor: start, ..Self::default() }
    }

    pub(super) fn insert(&mut self, chunk: &Chunk) {
        self.known.insert(chunk.range());
        self.bytes += chunk.data.len() as u64;
        self.most = self.most.max(self.bytes);
        let last = self.chunks.back().map_or(0, |last| last.range().end);
        if last <= chunk.offset {
            self.chunks.push_back(chunk.clone());
        } else {
            let at = self.chunks.partition_point(|c| c.offset < chunk.offset);
            self.chunks.insert(at, chunk.clone());
        }
    }

    pub(super) fn skip(&mut self, range: Range<u64>) {
        self.known.insert(range.clone());
        self.skipped.insert(range);
    }

    /// Lets go of everything below `offset`. Returns how many bytes that were: skipped ones do not
    /// count.
    pub(super) fn free_below(&mut self, offset: u64) -> u64 {
        let before = self.bytes;
        while let Some(front) = self.chunks.front_mut().filter(|c| c.offset < offset) {
            let gone = front.range().end.min(offset) - front.offset;
            self.bytes -= gone;
            if front.range().end <= offset {
                self.chunks.pop_front();
            } else {
                front.data = front.data.slice(gone as usize..);
                front.offset = offset;
            }
        }
        self.skipped.remove(0..offset);
        self.floor = self.floor.max(offset);
        before - self.bytes
    }

    /// Where what is held begins.
    pub(super) fn floor(&self) -> u64 {
        self.floor
    }

    /// All below came, or never will.
    pub(super) fn contiguous_end(&self) -> u64 {
        self.known.first().filter(|r| r.start == 0).map_or(self.floor, |r| r.end)
    }

    /// One more than the highest offset that came, or never will.
    pub(super) fn highest(&self) -> u64 {
        self.known.last().map_or(self.floor, |r| r.end)
    }

    /// Where the last of the bytes end.
    pub(super) fn bytes_end(&self) -> u64 {
        self.chunks.back().map_or(self.floor, |chunk| chunk.range().end)
    }

    /// Bytes held.
    pub(super) fn bytes(&self) -> u64 {
        self.bytes
    }

    /// In how many pieces.
    pub(super) fn pieces(&self) -> usize {
        self.chunks.len()
    }

    /// The most that was ever held.
    pub(super) fn most(&self) -> u64 {
        self.most
    }

    /// Everything that is held, bytes by offset and then what will never come.
    pub(super) fn items(&self) -> impl Iterator<Item = Item> + '_ {
        let bytes = self.chunks.iter().cloned().map(Item::Bytes);
        bytes.chain(self.skipped.iter().map(Item::Skip))
    }

    /// `offset`, or the end of the range around it that will never come.
    pub(super) fn skipped_to(&self, offset: u64) -> u64 {
        let skip = self.skipped.next_in(&(offset..u64::MAX)).filter(|skip| skip.start == offset);
        skip.map_or(offset, |skip| skip.end)
    }

    /// The next bytes from `offset` on, at most `max`, behind what will never come. `None` if they
    /// are not here.
    pub(super) fn from(&self, offset: u64, max: usize) -> Option<Chunk> {
        let offset = self.skipped_to(offset);
        let index = self.chunks.partition_point(|c| c.range().end <= offset);
        let chunk = self.chunks.get(index).filter(|c| c.offset <= offset)?;
        let from = (offset - chunk.offset) as usize;
        let to = chunk.data.len().min(from.saturating_add(max));
        Some(Chunk { offset, data: chunk.data.slice(from..to) })
    }
}
