//! Fragmentation: the application's bytes, cut into frames, kept until acknowledged.
//!
//! ```text
//!            acknowledged      in flight, some lost            unsent      not written yet
//!          ┌───────────────┬─────────────┬─────┬──────────┬──────────────┬ ─ ─ ─ ─ ─ ─ ─ ─
//!  start   │    (freed)    │█████████████│lost │██████████│▒▒▒▒▒▒▒▒▒▒▒▒▒▒│
//!          └───────────────┴─────────────┴─────┴──────────┴──────────────┴ ─ ─ ─ ─ ─ ─ ─ ─
//!                          └──────── chunks: the application's `Bytes` ──┘
//! ```
//!
//! A chunk is the application's own `Bytes`, held by reference count: nothing is copied until a
//! packet is written. Chunks hold exactly the bytes that are not acknowledged yet, so an
//! acknowledgement frees also out of order, and what is left is the truth about what may still have
//! to be sent again. Bytes may be written at any offset; a range may be declared as never coming
//! (SKIP).
//!
//! In order, each operation works at an end of a queue or at a remembered index: no search, no
//! allocation per frame.

use alloc::collections::VecDeque;
use core::ops::Range;

use bytes::{Buf, Bytes};
use thiserror::Error;

use crate::range_set::RangeSet;

/// What [`SendBuffer::held`] charges for each chunk beside its bytes, so that tiny writes are not
/// free.
pub const CHUNK_OVERHEAD: u64 = 64;
/// Ranges that are sent apart at most (spec R-STR-45).
const MAX_APART: usize = 500;

/// Cuts a body into pieces for frames, and remembers them until they are acknowledged.
///
/// ```
/// use aqueduct_core::stream::SendBuffer;
///
/// let mut buffer = SendBuffer::new(0);
/// buffer.append(bytes::Bytes::from_static(b"hello world")).unwrap();
/// buffer.finish().unwrap();
///
/// // Five bytes fit into the packet; credit allows all.
/// let piece = buffer.peek(5, u64::MAX).unwrap();
/// assert_eq!((piece.offset, piece.data, piece.fin), (0, &b"hello"[..], false));
/// let first = piece.range();
/// buffer.on_sent(first.clone(), false);
///
/// let piece = buffer.peek(100, u64::MAX).unwrap();
/// assert_eq!((piece.data, piece.fin), (&b" world"[..], true));
/// let second = piece.range();
/// buffer.on_sent(second.clone(), true);
///
/// // The first packet is lost: its bytes come again. The second is acknowledged.
/// buffer.on_lost(first.clone(), false);
/// buffer.on_acked(second, true);
/// assert_eq!(buffer.peek(100, u64::MAX).unwrap().data, b"hello");
/// buffer.on_sent(first.clone(), false);
/// buffer.on_acked(first, false);
/// assert!(buffer.is_delivered());
/// assert_eq!(buffer.held(), 0);
/// ```
#[derive(Clone, Debug)]
#[cfg_attr(any(test, feature = "fingerprint"), derive(Hash))]
pub struct SendBuffer {
    /// Bytes that are not acknowledged: sorted, disjoint, none empty.
    chunks: VecDeque<Chunk>,
    /// Index of the chunk that was sent from last; only a place to look first.
    hint: usize,
    unsent: RangeSet,
    lost: RangeSet,
    /// Written or skipped at any time, also when acknowledged since.
    written: RangeSet,
    /// Sent or said to be skipped at any time, also when lost or acknowledged since.
    sent: RangeSet,
    skips: Skips,
    start: u64,
    /// With the final size, which may lie above all that was sent.
    sent_end: u64,
    bytes: u64,
    fin: Fin,
}

#[derive(Clone, Debug)]
#[cfg_attr(any(test, feature = "fingerprint"), derive(Hash))]
struct Chunk {
    offset: u64,
    data: Bytes,
}

impl Chunk {
    fn end(&self) -> u64 {
        self.offset.saturating_add(self.data.len() as u64)
    }
}

#[derive(Clone, Debug, Default)]
#[cfg_attr(any(test, feature = "fingerprint"), derive(Hash))]
struct Skips {
    pending: RangeSet,
    unacked: RangeSet,
}

/// The end of the body, as far as it is known.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[cfg_attr(any(test, feature = "fingerprint"), derive(Hash))]
enum Fin {
    Open,
    Pending(u64),
    InFlight(u64),
    Acked(u64),
}

/// What goes into one STREAM frame.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Piece<'a> {
    /// Offset of the first byte.
    pub offset: u64,
    /// Bytes of one chunk; empty only with `fin`.
    pub data: &'a [u8],
    /// Whether the body ends behind these bytes.
    pub fin: bool,
}

impl Piece<'_> {
    /// The offsets of the piece.
    pub fn range(&self) -> Range<u64> {
        self.offset..self.offset.saturating_add(self.data.len() as u64)
    }

    /// The piece, or as much of its beginning as `max` bytes are.
    pub(super) fn cut_to(self, max: usize) -> Self {
        match self.data.get(..max) {
            Some(data) if data.len() < self.data.len() => Self { data, fin: false, ..self },
            _ => self,
        }
    }
}

/// Why bytes were not taken into a [`SendBuffer`]. Nothing was changed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
#[non_exhaustive]
pub enum BufferError {
    /// Some of the offsets were written or skipped before.
    #[error("bytes at these offsets were written before")]
    Overlap,
    /// Below the first offset, beyond the final size, or beyond what an offset can say.
    #[error("the offsets are outside of the stream's body")]
    OutOfBounds,
    /// The body was finished.
    #[error("the stream was finished")]
    Finished,
}

impl SendBuffer {
    /// The largest offset that frames can carry: 2^62 - 1.
    pub const MAX_OFFSET: u64 = (1 << 62) - 1;

    /// An empty buffer for a body that begins at `start`.
    pub fn new(start: u64) -> Self {
        Self {
            chunks: VecDeque::new(),
            hint: 0,
            unsent: RangeSet::new(),
            lost: RangeSet::new(),
            written: RangeSet::new(),
            sent: RangeSet::new(),
            skips: Skips::default(),
            start,
            sent_end: start,
            bytes: 0,
            fin: Fin::Open,
        }
    }

    /// Adds bytes behind everything that was written or skipped.
    ///
    /// # Errors
    /// [`BufferError::Finished`], [`BufferError::OutOfBounds`].
    pub fn append(&mut self, data: Bytes) -> Result<(), BufferError> {
        match self.fin {
            Fin::Open => self.write_at(self.end(), data),
            _ => Err(BufferError::Finished),
        }
    }

    /// Adds bytes at `offset`. Gaps may stay and be filled later, also after [`finish_at`].
    ///
    /// # Errors
    /// [`BufferError::Overlap`] if any of these offsets was written or skipped before;
    /// [`BufferError::OutOfBounds`].
    ///
    /// [`finish_at`]: Self::finish_at
    pub fn write_at(&mut self, offset: u64, data: Bytes) -> Result<(), BufferError> {
        if data.is_empty() {
            return Ok(());
        }
        let end = offset.checked_add(data.len() as u64).ok_or(BufferError::OutOfBounds)?;
        self.within_body(offset, end)?;
        let range = offset..end;
        if offset < self.end() && self.written.gaps(range.clone()).next() != Some(range.clone()) {
            return Err(BufferError::Overlap);
        }
        self.written.insert(range.clone());
        self.unsent.insert(range);
        self.bytes += data.len() as u64;
        let chunk = Chunk { offset, data };
        if self.chunks.back().is_none_or(|last| last.end() <= offset) {
            self.chunks.push_back(chunk);
        } else {
            let at = self.chunks.partition_point(|c| c.offset < offset);
            self.chunks.insert(at, chunk);
        }
        Ok(())
    }

    /// Declares that the bytes of `range` will never come. What was written there before stays.
    ///
    /// # Errors
    /// [`BufferError::OutOfBounds`].
    pub fn skip(&mut self, range: Range<u64>) -> Result<(), BufferError> {
        if range.is_empty() {
            return Ok(());
        }
        self.within_body(range.start, range.end)?;
        for gap in self.written.gaps(range.clone()) {
            self.skips.pending.insert(gap.clone());
            self.skips.unacked.insert(gap);
        }
        self.written.insert(range);
        Ok(())
    }

    /// Ends the body behind the last byte that was written or skipped.
    ///
    /// # Errors
    /// [`BufferError::Finished`] if it was finished before.
    pub fn finish(&mut self) -> Result<(), BufferError> {
        self.finish_at(self.end())
    }

    /// Ends the body at `size`; gaps below may still be filled.
    ///
    /// # Errors
    /// [`BufferError::Finished`] if it was finished before at another size;
    /// [`BufferError::OutOfBounds`] if bytes beyond `size` were written.
    pub fn finish_at(&mut self, size: u64) -> Result<(), BufferError> {
        match self.final_size() {
            Some(known) if known == size => Ok(()),
            Some(_) => Err(BufferError::Finished),
            None if size < self.end() || size > Self::MAX_OFFSET => Err(BufferError::OutOfBounds),
            None => {
                self.fin = Fin::Pending(size);
                Ok(())
            }
        }
    }

    /// The next piece to send: at most `max` bytes, none at or above `limit` (the credit, an
    /// absolute offset). Lost bytes come first, then unsent ones from the lowest offset, then a
    /// lone FIN.
    ///
    /// `None` if there is nothing that may be sent. Changes nothing: call [`on_sent`] once it is in
    /// a packet.
    ///
    /// [`on_sent`]: Self::on_sent
    pub fn peek(&self, max: usize, limit: u64) -> Option<Piece<'_>> {
        let Some(range) = self.next_range(limit) else { return self.lone_fin(limit) };
        let chunk = self.chunks.get(self.locate(range.start)?)?;
        let from = usize::try_from(range.start - chunk.offset).ok()?;
        let left = usize::try_from(range.end - range.start).unwrap_or(usize::MAX);
        let tail = chunk.data.get(from..)?;
        let data = tail.get(..left.min(max)).unwrap_or(tail);
        let end = range.start + data.len() as u64;
        let fin = matches!(self.fin, Fin::Pending(size) | Fin::InFlight(size) if size == end);
        (!data.is_empty()).then_some(Piece { offset: range.start, data, fin })
    }

    /// Whether there is one.
    pub fn has_piece(&self, limit: u64) -> bool {
        self.next_range(limit).is_some() || self.lone_fin(limit).is_some()
    }

    /// The piece `range` (with the end of the body, if `fin`) is in a packet.
    pub fn on_sent(&mut self, range: Range<u64>, fin: bool) {
        self.hint = self.locate(range.start).unwrap_or(self.hint);
        if !self.lost.is_empty() {
            self.lost.remove(range.clone());
        }
        self.unsent.remove(range.clone());
        self.sent_end = self.sent_end.max(range.end);
        self.sent.insert(range);
        if let (true, Fin::Pending(size)) = (fin, self.fin) {
            self.fin = Fin::InFlight(size);
        }
    }

    /// The peer has the bytes of `range` (and knows the end, if `fin`): they are freed.
    pub fn on_acked(&mut self, range: Range<u64>, fin: bool) {
        if fin {
            self.fin = match self.fin {
                Fin::Pending(size) | Fin::InFlight(size) | Fin::Acked(size) => Fin::Acked(size),
                Fin::Open => Fin::Open,
            };
        }
        if range.is_empty() {
            return;
        }
        if !self.lost.is_empty() {
            self.lost.remove(range.clone());
        }
        self.free(range);
    }

    /// A packet with `range` (and the end of the body, if `fin`) was lost. What was acknowledged
    /// since by another packet is not sent again.
    pub fn on_lost(&mut self, range: Range<u64>, fin: bool) {
        if let (true, Fin::InFlight(size)) = (fin, self.fin) {
            self.fin = Fin::Pending(size);
        }
        let Self { chunks, lost, .. } = self;
        let from = chunks.partition_point(|c| c.end() <= range.start);
        let within = |c: &Chunk| range.start.max(c.offset)..range.end.min(c.end());
        for part in chunks.range(from..).map(within).take_while(|part| !part.is_empty()) {
            lost.insert(part);
        }
    }

    /// The next range to put into a SKIP frame, none at or above `limit`.
    pub fn peek_skip(&self, limit: u64) -> Option<Range<u64>> {
        let range = self.skips.pending.first()?;
        (range.start < limit && self.may_begin(range.start))
            .then(|| range.start..range.end.min(limit))
    }

    /// A SKIP frame for `range` is in a packet.
    pub fn on_skip_sent(&mut self, range: Range<u64>) {
        self.sent_end = self.sent_end.max(range.end);
        self.skips.pending.remove(range.clone());
        self.sent.insert(range);
    }

    /// The peer knows that `range` will not come.
    pub fn on_skip_acked(&mut self, range: Range<u64>) {
        self.skips.pending.remove(range.clone());
        self.skips.unacked.remove(range);
    }

    /// A packet with SKIP of `range` was lost.
    pub fn on_skip_lost(&mut self, range: Range<u64>) {
        let Skips { pending, unacked } = &mut self.skips;
        let mut left = range;
        while let Some(part) = unacked.next_in(&left) {
            left.start = part.end;
            pending.insert(part);
        }
    }

    /// Forgets all bytes at and above `size`, and the FIN: only what lies below is still delivered.
    pub fn truncate(&mut self, size: u64) {
        let above = size..u64::MAX;
        self.free(above.clone());
        for set in [&mut self.unsent, &mut self.lost, &mut self.written] {
            set.remove(above.clone());
        }
        self.skips.pending.remove(above.clone());
        self.skips.unacked.remove(above);
        self.fin = Fin::Open;
    }

    /// Where the body begins.
    pub fn start(&self) -> u64 {
        self.start
    }

    /// One more than the highest offset that was written or skipped.
    pub fn end(&self) -> u64 {
        self.written.last().map_or(self.start, |r| r.end)
    }

    /// One more than the highest offset that was sent: what credit has been charged for.
    pub fn sent_end(&self) -> u64 {
        self.sent_end
    }

    /// The size of the body, once it was finished.
    pub fn final_size(&self) -> Option<u64> {
        match self.fin {
            Fin::Open => None,
            Fin::Pending(size) | Fin::InFlight(size) | Fin::Acked(size) => Some(size),
        }
    }

    /// All below was written or skipped: where a reset may still promise delivery.
    pub fn contiguous_end(&self) -> u64 {
        self.written.first().filter(|r| r.start == self.start).map_or(self.start, |r| r.end)
    }

    /// All below was acknowledged.
    pub fn acked_end(&self) -> u64 {
        let chunk = self.chunks.front().map_or(u64::MAX, |c| c.offset);
        let skip = self.skips.unacked.first().map_or(u64::MAX, |r| r.start);
        self.contiguous_end().min(chunk).min(skip)
    }

    /// Bytes referenced, plus [`CHUNK_OVERHEAD`] for each chunk.
    pub fn held(&self) -> u64 {
        self.bytes + CHUNK_OVERHEAD * self.chunks.len() as u64
    }

    /// Whether everything that was written or skipped was acknowledged.
    pub fn is_drained(&self) -> bool {
        self.chunks.is_empty() && self.skips.unacked.is_empty()
    }

    /// Whether the peer has all of the body and knows that it is all.
    pub fn is_delivered(&self) -> bool {
        matches!(self.fin, Fin::Acked(size) if self.is_drained() && self.contiguous_end() == size)
    }

    /// Whether what [`peek`](Self::peek) gives was sent before and lost.
    pub fn repeats(&self) -> bool {
        !self.lost.is_empty()
    }

    /// Whether bytes wait that only credit beyond `limit` would let go.
    pub fn is_blocked_at(&self, limit: u64) -> bool {
        let waits = self.has_piece(u64::MAX) || !self.skips.pending.is_empty();
        waits && !self.has_piece(limit) && self.peek_skip(limit).is_none()
    }

    fn within_body(&self, from: u64, to: u64) -> Result<(), BufferError> {
        let end = self.final_size().unwrap_or(Self::MAX_OFFSET);
        if from < self.start || to > end { Err(BufferError::OutOfBounds) } else { Ok(()) }
    }

    fn next_range(&self, limit: u64) -> Option<Range<u64>> {
        if let Some(lost) = self.lost.first() {
            return Some(lost);
        }
        let unsent = self.unsent.first()?;
        (unsent.start < limit && self.may_begin(unsent.start))
            .then(|| unsent.start..unsent.end.min(limit))
    }

    /// Whether what begins at `offset` may be sent for the first time: behind what was sent, or as
    /// long as few ranges are out, since who receives keeps no more of them apart (spec R-STR-45).
    fn may_begin(&self, offset: u64) -> bool {
        self.sent.count() < MAX_APART
            || offset.checked_sub(1).is_none_or(|before| self.sent.contains(before))
            || offset == self.start
    }

    fn lone_fin(&self, limit: u64) -> Option<Piece<'_>> {
        let Fin::Pending(size) = self.fin else { return None };
        let rides_along = size > self.start && self.unsent.contains(size - 1);
        (size <= limit && !rides_along).then_some(Piece { offset: size, data: &[], fin: true })
    }

    fn holds(&self, index: usize, offset: u64) -> bool {
        self.chunks.get(index).is_some_and(|c| c.offset <= offset && offset < c.end())
    }

    /// Index of the chunk with `offset`.
    fn locate(&self, offset: u64) -> Option<usize> {
        for near in [self.hint, self.hint.saturating_add(1), 0] {
            if self.holds(near, offset) {
                return Some(near);
            }
        }
        let index = self.chunks.partition_point(|c| c.end() <= offset);
        self.holds(index, offset).then_some(index)
    }

    /// Cuts `range` out of the chunks.
    fn free(&mut self, range: Range<u64>) {
        let mut at = match self.chunks.front() {
            Some(front) if front.end() > range.start => 0,
            _ => self.chunks.partition_point(|c| c.end() <= range.start),
        };
        while let Some(chunk) = self.chunks.get_mut(at).filter(|c| c.offset < range.end) {
            let (from, to) = (range.start.max(chunk.offset), range.end.min(chunk.end()));
            let keep = (from - chunk.offset) as usize;
            let cut = (to - from) as usize;
            self.bytes -= cut as u64;
            let right = chunk.data.len() - keep - cut;
            match (keep > 0, right > 0) {
                (false, false) => {
                    self.chunks.remove(at);
                    if at <= self.hint {
                        self.hint = self.hint.saturating_sub(1);
                    }
                    continue;
                }
                (false, true) => {
                    chunk.data.advance(cut);
                    chunk.offset = to;
                }
                (true, false) => chunk.data.truncate(keep),
                (true, true) => {
                    let data = chunk.data.split_off(keep + cut);
                    chunk.data.truncate(keep);
                    self.chunks.insert(at + 1, Chunk { offset: to, data });
                }
            }
            at += 1;
        }
    }
}
