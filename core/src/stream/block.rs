//! The memory that a body is put together in: spans of offsets, each of which one block covers.

use alloc::collections::VecDeque;
use core::ops::Range;

use bytes::{Buf, Bytes, BytesMut};

use crate::range_set::RangeSet;

/// Bytes of a body that lie in a row.
#[derive(Clone, Debug)]
#[cfg_attr(any(test, feature = "fingerprint"), derive(Hash))]
pub(super) struct Block {
    pub(super) start: u64,
    /// Up to where bytes were placed; what no frame filled is zero and never given out.
    pub(super) buf: BytesMut,
    /// Bytes from `start` that belong to this block: never more than the capacity.
    pub(super) span: usize,
    /// What each piece of it keeps: the memory that was set aside for it.
    memory: usize,
}

impl Block {
    pub(super) fn new(start: u64, span: usize) -> Self {
        Self::within(BytesMut::with_capacity(span), start, span)
    }

    /// A block in memory that is there.
    pub(super) fn within(buf: BytesMut, start: u64, span: usize) -> Self {
        Self { start, buf, span, memory: span }
    }

    pub(super) fn end(&self) -> u64 {
        self.start.saturating_add(self.span as u64)
    }

    pub(super) fn offsets(&self) -> Range<u64> {
        self.start..self.end()
    }

    /// Copies as much of `data` as belongs here. Returns how much.
    pub(super) fn place(&mut self, offset: u64, data: &[u8]) -> usize {
        let at = (offset - self.start) as usize;
        let count = data.len().min(self.span.saturating_sub(at));
        let data = data.get(..count).unwrap_or(data);
        if at > self.buf.len() {
            self.buf.resize(at, 0);
        }
        let over = (self.buf.len() - at).min(count);
        let (inside, behind) = data.split_at(over);
        if let Some(old) = self.buf.get_mut(at..at + over) {
            old.copy_from_slice(inside);
        }
        self.buf.extend_from_slice(behind);
        count
    }

    /// Cuts the first bytes off, at most `max`.
    pub(super) fn give(&mut self, max: usize) -> Bytes {
        let count = max.min(self.buf.len());
        self.start += count as u64;
        self.span -= count;
        self.buf.split_to(count).freeze()
    }

    /// The same, copied if the piece would keep more than twice its memory.
    pub(super) fn give_alone(&mut self, max: usize) -> Bytes {
        let data = self.give(max);
        if data.len() < self.memory - data.len() { Bytes::copy_from_slice(&data) } else { data }
    }

    /// Drops the first `count` bytes, placed or not.
    pub(super) fn forget(&mut self, count: usize) {
        let placed = count.min(self.buf.len());
        self.buf.advance(placed);
        if count > placed {
            // The rest was never placed: a fresh block of what remains.
            *self = Self::new(self.start + count as u64, self.span - count);
        } else {
            self.start += count as u64;
            self.span -= count;
        }
    }
}

/// Takes bytes from the front of `range` out of the block that has them. Returns where the rest of
/// the block stands, and the bytes: copied, if they would keep more memory than their own after
/// other blocks have taken its place. `sparse`: nobody knows what will take the place of the rest.
pub(super) fn take_from(
    blocks: &mut VecDeque<Block>,
    range: Range<u64>,
    max: usize,
    waiting: &RangeSet,
    sparse: bool,
) -> Option<(usize, Bytes)> {
    let mut index = match blocks.back() {
        Some(last) if last.start <= range.start => blocks.len() - 1,
        _ => blocks.partition_point(|b| b.end() <= range.start),
    };
    let block = blocks.get_mut(index)?;
    let span = block.span;
    let before = block.start..range.start;
    let keep = (before.end - before.start) as usize;
    if waiting.next_in(&before).is_some() {
        let buf = block.buf.split_to(keep);
        let left = Block { start: block.start, buf, span: keep, memory: block.memory };
        block.start += keep as u64;
        block.span -= keep;
        blocks.insert(index, left);
        index += 1;
    } else {
        block.forget(keep);
    }
    let left = usize::try_from(range.end - range.start).unwrap_or(usize::MAX);
    let block = blocks.get_mut(index)?;
    if sparse {
        let data = block.give_alone(left.min(max));
        return (!data.is_empty()).then_some((index, data));
    }
    let mut data = block.give(left.min(max));
    let last = index + 1 == blocks.len();
    let lost = if last { keep } else { span - data.len() };
    if data.len() < lost {
        data = Bytes::copy_from_slice(&data);
    }
    (!data.is_empty()).then_some((index, data))
}

#[cfg(test)]
#[path = "block_tests.rs"]
mod tests;
