//! The bytes that a pipe holds: what came and was not acknowledged by everybody.

use alloc::collections::BTreeMap;
use core::mem;
use core::ops::Range;

use bytes::Bytes;

use crate::stream::Chunk;

use super::Item;
use super::spans::Spans;

/// Bytes by offset, by reference, with what will never come. Everything below
/// [`floor`](Self::floor) is gone.
///
/// A peer says in which order pieces come and how large they are. None is ever moved for another:
/// to take one costs a search, whatever the order, and each is passed once by what follows the
/// contiguous end, and once when it is let go.
#[derive(Clone, Debug, Default)]
#[cfg_attr(any(test, feature = "fingerprint"), derive(Hash))]
pub(super) struct Store {
    /// By offset, disjoint.
    pieces: BTreeMap<u64, Bytes>,
    skipped: Spans,
    /// Skipped offsets that were let go, until somebody asks.
    passed: u64,
    /// Came or was skipped, from the body's start.
    known: Spans,
    /// All below came, or never will.
    contiguous: u64,
    /// Bytes held above that.
    above: u64,
    floor: u64,
    bytes: u64,
    most: u64,
}

impl Store {
    /// Nothing yet, of a body that begins at `start`.
    pub(super) fn new(start: u64) -> Self {
        let mut known = Spans::default();
        known.insert(0..start);
        Self { known, contiguous: start, floor: start, ..Self::default() }
    }

    /// Takes a piece. Returns how many others were looked at for it.
    pub(super) fn insert(&mut self, chunk: &Chunk) -> usize {
        let len = chunk.data.len() as u64;
        self.bytes += len;
        self.above += len;
        self.most = self.most.max(self.bytes);
        self.pieces.insert(chunk.offset, chunk.data.clone());
        self.learn(chunk.range())
    }

    /// The bytes of `range` will never come.
    pub(super) fn skip(&mut self, range: Range<u64>) {
        self.skipped.insert(range.clone());
        self.learn(range);
    }

    fn learn(&mut self, range: Range<u64>) -> usize {
        let joined = self.known.insert(range);
        let from = self.contiguous;
        self.contiguous = self.known.end_of(from).unwrap_or(from);
        let mut passed = 0;
        for data in self.pieces.range(from..self.contiguous).map(|(_, data)| data) {
            self.above -= data.len() as u64;
            passed += 1;
        }
        joined + passed
    }

    /// Lets go of everything below `offset`, and of what came late below where it had let go
    /// before. Returns how many bytes that were: skipped ones do not count.
    pub(super) fn free_below(&mut self, offset: u64) -> u64 {
        let before = self.bytes;
        let offset = offset.max(self.floor);
        while let Some(front) = self.pieces.first_entry().filter(|front| *front.key() < offset) {
            let (start, data) = front.remove_entry();
            let gone = data.len().min(usize::try_from(offset - start).unwrap_or(usize::MAX));
            self.bytes -= gone as u64;
            // Who ends everything lets go of what lies above a gap too.
            if start >= self.contiguous {
                self.above -= gone as u64;
            }
            if gone < data.len() {
                self.pieces.insert(offset, data.slice(gone..));
            }
        }
        self.passed += self.skipped.remove_below(offset);
        self.floor = offset;
        before - self.bytes
    }

    /// Whether skipped offsets were let go since it was asked how many.
    pub(super) fn has_passed(&self) -> bool {
        self.passed > 0
    }

    /// How many skipped offsets were let go since it was asked last.
    pub(super) fn take_passed(&mut self) -> u64 {
        mem::take(&mut self.passed)
    }

    /// Lets go of pieces that lie below `through` until there are at most `most`. Returns how many
    /// bytes that were.
    pub(super) fn free_pieces(&mut self, most: usize, through: u64) -> u64 {
        let mut freed = 0;
        while self.pieces() > most {
            let first = self.pieces.first_key_value();
            let first = first.map(|(start, data)| start + data.len() as u64);
            let end = first.into_iter().chain(self.skipped.first_end()).min().unwrap_or(u64::MAX);
            if end > through {
                break;
            }
            freed += self.free_below(end);
        }
        freed
    }

    /// Where what is held begins.
    pub(super) fn floor(&self) -> u64 {
        self.floor
    }

    /// All below came, or never will.
    pub(super) fn contiguous_end(&self) -> u64 {
        self.contiguous
    }

    /// Bytes held above the first gap at or behind `from`.
    pub(super) fn above_gap(&self, from: u64) -> u64 {
        if from <= self.contiguous {
            return self.above;
        }
        // A leg that begins above a gap has let go of what lies below it.
        let end = self.known.end_of(from).unwrap_or(from);
        self.pieces.range(end..).map(|(_, data)| data.len() as u64).sum()
    }

    /// One more than the highest offset that came, or never will.
    pub(super) fn highest(&self) -> u64 {
        self.known.end().max(self.floor)
    }

    /// Where the last of the bytes end.
    pub(super) fn bytes_end(&self) -> u64 {
        let last = self.pieces.last_key_value();
        last.map_or(self.floor, |(start, data)| start + data.len() as u64)
    }

    /// Bytes held.
    pub(super) fn bytes(&self) -> u64 {
        self.bytes
    }

    /// In how many pieces, with the ranges between them that will never come.
    pub(super) fn pieces(&self) -> usize {
        self.pieces.len() + self.skipped.count()
    }

    /// The most that was ever held.
    pub(super) fn most(&self) -> u64 {
        self.most
    }

    /// Everything that is held, bytes by offset and then what will never come.
    pub(super) fn items(&self) -> impl Iterator<Item = Item> + '_ {
        let chunk = |(offset, data): (&u64, &Bytes)| Chunk { offset: *offset, data: data.clone() };
        let bytes = self.pieces.iter().map(move |piece| Item::Bytes(chunk(piece)));
        bytes.chain(self.skipped.iter().map(Item::Skip))
    }

    /// `offset`, or the end of the range around it that will never come.
    pub(super) fn skipped_to(&self, offset: u64) -> u64 {
        self.skipped.end_of(offset).unwrap_or(offset)
    }

    /// The next bytes from `offset` on, at most `max`, behind what will never come. `None` if they
    /// are not here.
    pub(super) fn from(&self, offset: u64, max: usize) -> Option<Chunk> {
        let offset = self.skipped_to(offset);
        let (start, data) = self.pieces.range(..=offset).next_back()?;
        let from = usize::try_from(offset - start).unwrap_or(usize::MAX);
        let to = data.len().min(from.saturating_add(max));
        (from < data.len()).then(|| Chunk { offset, data: data.slice(from..to) })
    }
}

#[cfg(test)]
#[path = "store_tests.rs"]
mod tests;
