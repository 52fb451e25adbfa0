//! What was written to a stream, until the driver takes it.
//!
//! Every piece knows its offset. What begins lowest goes first: it fills a gap, or is next in a
//! row, and the peer may give no credit for the rest before it has that.

use std::collections::VecDeque;
use std::ops::Range;

use aqueduct_core::range_set::RangeSet;
use bytes::{Bytes, BytesMut};

use crate::error::WriteError;

/// Size of the blocks that copied bytes are gathered in.
const BLOCK: usize = 64 * 1024;

/// A part of a body.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Piece {
    /// Bytes at an offset.
    Bytes(u64, Bytes),
    /// Nothing will come there.
    Skip(Range<u64>),
}

impl Piece {
    fn start(&self) -> u64 {
        match self {
            Self::Bytes(offset, _) => *offset,
            Self::Skip(range) => range.start,
        }
    }

    /// The core took so many bytes of it. Whether nothing is left.
    pub(crate) fn advance(&mut self, taken: usize) -> bool {
        match self {
            Self::Bytes(offset, data) if taken < data.len() => {
                let _taken = data.split_to(taken);
                *offset += taken as u64;
                false
            }
            Self::Bytes(..) | Self::Skip(_) => true,
        }
    }
}

/// Pieces that wait.
#[derive(Debug)]
pub(super) struct Pieces {
    queue: VecDeque<Piece>,
    /// Copied bytes behind the queue.
    tail: BytesMut,
    /// Bytes of all of these, and of what the driver has in hand.
    queued: usize,
    /// The offsets that the body may have.
    bounds: Range<u64>,
    /// Behind everything that was written or skipped.
    end: u64,
    /// What was written or skipped, once that was not all in a row.
    scattered: Option<RangeSet>,
}

impl Pieces {
    /// Whether anything was written or skipped.
    pub(super) fn have_begun(&self) -> bool {
        self.end > self.bounds.start
    }

    /// None yet, of a body within these bounds.
    pub(super) fn new(bounds: Range<u64>) -> Self {
        Self {
            queue: VecDeque::new(),
            tail: BytesMut::new(),
            queued: 0,
            end: bounds.start,
            bounds,
            scattered: None,
        }
    }

    pub(super) fn queued(&self) -> usize {
        self.queued
    }

    /// Behind everything that was written or skipped.
    pub(super) fn end(&self) -> u64 {
        self.end
    }

    /// Whether there are offsets below the end that were neither written nor skipped.
    pub(super) fn has_gaps(&self) -> bool {
        let whole = self.bounds.start..self.end;
        self.scattered.as_ref().is_some_and(|written| !written.covers(&whole))
    }

    /// The offsets of so many bytes behind everything, if the body may have them.
    pub(super) fn next(&self, len: usize) -> Result<Range<u64>, WriteError> {
        let range = self.end..self.end.saturating_add(len as u64);
        self.within(&range).map(|()| range)
    }

    fn within(&self, range: &Range<u64>) -> Result<(), WriteError> {
        if range.start < self.bounds.start || range.end > self.bounds.end {
            return Err(WriteError::OutOfBounds {
                offsets: range.clone(),
                body: self.bounds.clone(),
            });
        }
        Ok(())
    }

    /// Whether bytes may be written there.
    pub(super) fn is_free(&self, range: &Range<u64>) -> Result<(), WriteError> {
        self.within(range)?;
        let free = match &self.scattered {
            Some(written) => written.is_disjoint(range),
            None => range.start >= self.end,
        };
        if free { Ok(()) } else { Err(WriteError::Overlap(range.clone())) }
    }

    /// Adds a copy of `bytes` behind everything.
    pub(super) fn copy(&mut self, bytes: &[u8]) {
        for block in bytes.chunks(BLOCK) {
            if self.tail.len() + block.len() > BLOCK {
                self.gather();
            }
            self.tail.extend_from_slice(block);
            self.note(self.end..self.end.saturating_add(block.len() as u64));
        }
        self.queued += bytes.len();
    }

    /// Adds `data` there: the place is free.
    pub(super) fn put(&mut self, offset: u64, data: Bytes) {
        let range = offset..offset.saturating_add(data.len() as u64);
        self.queued += data.len();
        self.gather();
        self.queue.push_back(Piece::Bytes(offset, data));
        self.note(range);
    }

    /// Nothing more will come there. What was written stays.
    pub(super) fn skip(&mut self, range: Range<u64>) -> Result<(), WriteError> {
        self.within(&range)?;
        self.gather();
        let gaps: Vec<_> = self.scatter().gaps(range.clone()).collect();
        self.queue.extend(gaps.into_iter().map(Piece::Skip));
        self.note(range);
        Ok(())
    }

    /// These offsets were written or skipped.
    fn note(&mut self, range: Range<u64>) {
        if range.start != self.end || self.scattered.is_some() {
            self.scatter().insert(range.clone());
        }
        self.end = self.end.max(range.end);
    }

    fn scatter(&mut self) -> &mut RangeSet {
        let so_far = self.bounds.start..self.end;
        self.scattered.get_or_insert_with(|| {
            let mut written = RangeSet::new();
            written.insert(so_far);
            written
        })
    }

    /// Puts the copied bytes into the queue; they are the last before the end.
    fn gather(&mut self) {
        if !self.tail.is_empty() {
            let data = self.tail.split().freeze();
            let offset = self.end.saturating_sub(data.len() as u64);
            self.queue.push_back(Piece::Bytes(offset, data));
        }
    }

    /// For the driver: gives all into `out`, which must be empty. Whether they have to be written
    /// at their offsets, since they are not all in a row.
    pub(super) fn take(&mut self, out: &mut VecDeque<Piece>) -> bool {
        self.gather();
        std::mem::swap(&mut self.queue, out);
        let scattered = self.scattered.is_some();
        if scattered {
            out.make_contiguous().sort_by_key(Piece::start);
        }
        scattered
    }

    /// For the driver: `taken` bytes went to the core, `left` did not and come first next time.
    pub(super) fn give_back(&mut self, taken: usize, left: &mut VecDeque<Piece>) {
        self.queued = self.queued.saturating_sub(taken);
        left.append(&mut self.queue);
        std::mem::swap(&mut self.queue, left);
    }

    pub(super) fn clear(&mut self) {
        self.queue.clear();
        self.tail.clear();
        self.queued = 0;
    }
}

#[cfg(test)]
#[path = "pieces_tests.rs"]
mod tests;
