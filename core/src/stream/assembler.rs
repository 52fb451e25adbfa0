//! Reassembly: frames in any order become a body again.
//!
//! ```text
//!   frames ──▶ one copy ──▶ blocks addressed by offset ──▶ read (in order) ──▶ `Bytes`
//!                           ┌────────┬──────┐  ┌─────────┐
//!                    read ─▶│████████│██    │  │  ███ ██ │
//!                           └────────┴──────┘  └─────────┘ ──▶ take_any (in order of arrival)
//! ```
//!
//! A block belongs to the stream and covers a span of offsets that no other block covers; spans are
//! at most 16 KiB, and begin at 1 KiB for a young stream. So the memory of the blocks is bounded by
//! the span of offsets that credit allows, however finely a peer cuts its fragments; what the
//! fragments themselves cost is bounded by the number of ranges, beyond which a frame that would
//! open a new one is refused. What is given out is the block's own memory, cut off without a copy:
//! all that hangs on it was given out before, or will be. Once bytes were skipped that is not so
//! any more, and small pieces are copied.
//!
//! The first copy of a byte wins; later ones are not looked at.
//!
//! Arrival in order is the fast path: the frame begins where everything ended, and is appended to
//! the last block.

mod room;

use alloc::collections::VecDeque;
use core::ops::Range;

use bytes::BytesMut;

use crate::range_set::RangeSet;

use super::block::{Block, take_from};
use super::given::{Arrival, Chunk, Inserted};

/// Smallest span of a block in bytes.
pub const MIN_BLOCK: usize = 1024;
/// Largest span of a block in bytes.
pub const MAX_BLOCK: usize = 16 * 1024;
/// What [`Assembler::held`] charges for a block beside its bytes.
pub const BLOCK_OVERHEAD: u64 = 128;
/// What [`Assembler::held`] charges for a range of offsets.
pub const RANGE_OVERHEAD: u64 = 32;
/// So many blocks are searched one after the other.
const FEW: usize = 8;
/// Arrivals remembered one by one; what arrives beyond is given by offset, lowest first.
const MAX_ARRIVALS: usize = 256;

/// Puts the pieces of a body together.
///
/// ```
/// use aqueduct_core::stream::{Assembler, Inserted};
///
/// let mut assembler = Assembler::new();
/// // The second half arrives first.
/// assert_eq!(assembler.insert(6, b"world", 1000), Inserted::Fresh(5));
/// assert!(assembler.read(100).is_none());
/// assert_eq!(assembler.insert(0, b"hello ", 1000), Inserted::Fresh(6));
/// // A repeated frame adds nothing, whatever it says.
/// assert_eq!(assembler.insert(0, b"HELLO ", 1000), Inserted::Fresh(0));
///
/// let mut text = Vec::new();
/// while let Some(chunk) = assembler.read(100) {
///     text.extend_from_slice(&chunk.data);
/// }
/// assert_eq!(text, b"hello world");
/// ```
#[derive(Clone, Debug, Default)]
#[cfg_attr(any(test, feature = "fingerprint"), derive(Hash))]
pub struct Assembler {
    /// Received or skipped, at any time.
    received: RangeSet,
    /// Skipped, and not passed by a reader in order.
    skipped: RangeSet,
    /// Sorted by offset; spans are disjoint.
    blocks: VecDeque<Block>,
    /// Where the reader in order stands.
    read: u64,
    /// Where the body begins; blocks grow with the distance from here.
    start: u64,
    /// Where the body ends, once known: no block reaches beyond.
    end: Option<u64>,
    /// What is left of a block when all of it was given out: its memory serves again if nobody
    /// holds it any more.
    spare: BytesMut,
    order: Order,
    /// Whether the reader in order of arrival is told of skipped ranges.
    tells_skips: bool,
    /// Whether bytes were ever skipped: the rest of a block may never come, and its credit is the
    /// peer's again while who was given the beginning still holds all of it.
    sparse: bool,
}

/// How the body is taken out.
#[derive(Clone, Debug)]
#[cfg_attr(any(test, feature = "fingerprint"), derive(Hash))]
enum Order {
    /// Neither way was used yet.
    Undecided { arrivals: VecDeque<Range<u64>> },
    /// By offset.
    Offset,
    /// By arrival: what was not given out, and in which order it came.
    Arrival { waiting: RangeSet, arrivals: VecDeque<Range<u64>> },
}

impl Default for Order {
    fn default() -> Self {
        Self::Undecided { arrivals: VecDeque::new() }
    }
}

impl Assembler {
    /// An assembler of a body that begins at 0.
    pub fn new() -> Self {
        Self::default()
    }

    /// Says that the body begins at `start`: what lies below is neither waited for nor taken.
    /// Meant for before the first byte; what was placed below is forgotten.
    pub fn set_start(&mut self, start: u64) {
        self.start = start;
        self.received.insert(0..start);
        self.read = self.read.max(start);
        self.drop_blocks_below(self.read);
    }

    /// Says where the body ends, so that no memory is set aside for what lies beyond.
    pub fn set_end(&mut self, end: u64) {
        self.end = Some(end);
    }

    /// Takes the bytes of a frame at `offset`. At most `max_ranges` ranges are kept apart; a frame
    /// that joins what is there is always taken.
    pub fn insert(&mut self, offset: u64, data: &[u8], max_ranges: usize) -> Inserted {
        let range = offset..offset.saturating_add(data.len() as u64);
        if self.kept_ranges() >= max_ranges
            && offset != self.highest()
            && !self.may_open(&range, max_ranges)
        {
            return Inserted::TooFragmented;
        }
        if range.is_empty() {
            return Inserted::Fresh(0);
        }
        if let Some(at) = self.received.vacancy(&range) {
            self.store(offset, data);
            if !matches!(self.order, Order::Offset) {
                self.arrived(range.clone());
            }
            let fresh = range.end - range.start;
            self.received.fill(at, range);
            return Inserted::Fresh(fresh);
        }
        self.insert_gaps(range, data)
    }

    /// Takes those bytes of a frame that are not there.
    #[cold]
    fn insert_gaps(&mut self, range: Range<u64>, data: &[u8]) -> Inserted {
        let offset = range.start;
        let mut at = offset;
        loop {
            let gap = self.received.gaps(at..range.end).next();
            let Some(gap) = gap else { break };
            at = gap.end;
            let (from, to) = (gap.start - offset, gap.end - offset);
            if let Some(fresh) = data.get(from as usize..to as usize) {
                self.store(gap.start, fresh);
            }
            self.arrived(gap);
        }
        Inserted::Fresh(self.received.insert(range))
    }

    /// Takes note that the bytes of `range` will not come. Bytes that came before stay.
    pub fn skip(&mut self, range: Range<u64>, max_ranges: usize) -> Inserted {
        if !self.may_skip(&range, max_ranges) {
            return Inserted::TooFragmented;
        }
        let (mut at, mut fresh) = (range.start, 0);
        loop {
            let gap = self.received.gaps(at..range.end).next();
            let Some(gap) = gap else { return Inserted::Fresh(fresh) };
            at = gap.end;
            self.sparse = true;
            self.skipped.insert(gap.clone());
            fresh += self.received.insert(gap.clone());
            self.drop_idle_blocks(&gap);
        }
    }

    /// Forgets what was skipped and nobody is told of. Returns how many bytes that were.
    pub fn forget_skipped(&mut self) -> u64 {
        if self.tells_skips || !self.is_by_arrival() || self.skipped.is_empty() {
            return 0;
        }
        let bytes = self.skipped.len();
        self.skipped.clear();
        bytes
    }

    /// The next bytes in order, at most `max`. Bytes that were skipped are passed over, which shows
    /// in the offset. `None` if the next byte is not there, or bytes were taken by [`take_any`]
    /// before.
    ///
    /// [`take_any`]: Self::take_any
    #[inline]
    pub fn read(&mut self, max: usize) -> Option<Chunk> {
        // The short way of who asks behind each frame.
        let nothing = matches!(self.order, Order::Offset) && self.contiguous_end() == self.read;
        if nothing { None } else { self.read_on(max) }
    }

    fn read_on(&mut self, max: usize) -> Option<Chunk> {
        match self.order {
            Order::Offset => {}
            Order::Undecided { .. } => self.order = Order::Offset,
            Order::Arrival { .. } => return None,
        }
        let mut end = self.contiguous_end();
        if !self.skipped.is_empty() {
            self.pass_skipped();
            self.drop_blocks_below(self.read);
            end = self.skipped.first().map_or(end, |skip| end.min(skip.start));
        }
        let left = usize::try_from(end.saturating_sub(self.read)).unwrap_or(usize::MAX).min(max);
        if left == 0 {
            return None;
        }
        let block = self.blocks.front_mut()?;
        let data = if self.sparse { block.give_alone(left) } else { block.give(left) };
        if block.span == 0 {
            self.drop_block(0);
        }
        let offset = self.read;
        self.read += data.len() as u64;
        Some(Chunk { offset, data })
    }

    /// The bytes that arrived first of those that are here, at most `max`, whatever their offset.
    ///
    /// After [`read`] was used, what is here now is given by offset, lowest first, and only what
    /// comes later in order of arrival. So it is with arrivals beyond 256 that wait in pieces. Of
    /// what was skipped nothing is told: [`forget_skipped`] says how much that was.
    ///
    /// [`read`]: Self::read
    /// [`forget_skipped`]: Self::forget_skipped
    pub fn take_any(&mut self, max: usize) -> Option<Chunk> {
        self.by_arrival(false);
        self.take_waiting(max, false)
    }

    fn take_waiting(&mut self, max: usize, lowest: bool) -> Option<Chunk> {
        let Order::Arrival { waiting, arrivals } = &mut self.order else { return None };
        let range = loop {
            if lowest {
                break waiting.first()?;
            }
            let Some(arrival) = arrivals.front_mut() else { break waiting.first()? };
            let here = waiting.next_in(arrival);
            match here {
                Some(here) => {
                    arrival.start = here.start;
                    break here;
                }
                None => _ = arrivals.pop_front(),
            }
        };
        let (blocks, sparse) = (&mut self.blocks, self.sparse);
        let (index, data) = take_from(blocks, range.clone(), max, waiting, sparse)?;
        let taken = range.start..range.start + data.len() as u64;
        waiting.remove(taken.clone());
        if let Some(arrival) = arrivals.front_mut().filter(|a| a.start == taken.start) {
            arrival.start = taken.end.min(arrival.end);
            if arrival.is_empty() {
                arrivals.pop_front();
            }
        }
        // The last block waits for what is to come, unless that is known never to.
        let over = |b: &Block| index + 1 < self.blocks.len() || self.received.covers(&b.offsets());
        let idle = |b: &Block| waiting.next_in(&b.offsets()).is_none();
        if self.blocks.get(index).is_some_and(|b| b.span == 0 || (over(b) && idle(b))) {
            self.drop_block(index);
        }
        Some(Chunk { offset: taken.start, data })
    }

    /// Like [`take_any`](Self::take_any), with word of each range that was skipped, once, before
    /// all bytes.
    pub fn take_arrival(&mut self, max: usize) -> Option<Arrival> {
        self.take_told(max, false)
    }

    /// Like [`take_arrival`](Self::take_arrival), but of the bytes and skipped ranges that are here
    /// the lowest.
    pub fn take_lowest(&mut self, max: usize) -> Option<Arrival> {
        self.take_told(max, true)
    }

    fn take_told(&mut self, max: usize, lowest: bool) -> Option<Arrival> {
        self.by_arrival(true);
        let below = |skip: &Range<u64>| match &self.order {
            Order::Arrival { waiting, .. } if lowest => {
                waiting.first().is_none_or(|bytes| skip.start < bytes.start)
            }
            _ => true,
        };
        match self.skipped.first().filter(below) {
            Some(range) => {
                self.skipped.pop_first();
                Some(Arrival::Skipped(range))
            }
            None => self.take_waiting(max, lowest).map(Arrival::Bytes),
        }
    }

    /// Whether bytes were skipped that nobody has passed.
    pub fn lacks_bytes(&self) -> bool {
        !self.skipped.is_empty()
    }

    /// Whether the next chunk in order would begin behind skipped bytes: their range.
    pub fn next_skip(&self) -> Option<Range<u64>> {
        self.skipped.first().filter(|r| r.start <= self.read)
    }

    /// Whether [`read`](Self::read) has given out or passed all bytes below `offset`.
    pub fn is_read_to(&self, offset: u64) -> bool {
        match &self.order {
            Order::Arrival { waiting, .. } => {
                self.contiguous_end() >= offset && waiting.next_in(&(0..offset)).is_none()
            }
            _ => {
                let passed = self.next_skip().map_or(self.read, |skip| skip.end.max(self.read));
                passed >= offset
            }
        }
    }

    /// Whether something could be given out now.
    pub fn is_readable(&self) -> bool {
        match &self.order {
            Order::Arrival { waiting, .. } if !waiting.is_empty() => true,
            Order::Arrival { .. } => self.tells_skips && !self.skipped.is_empty(),
            Order::Undecided { .. } => self.highest() > self.start,
            Order::Offset => self.contiguous_end() > self.read,
        }
    }

    /// Whether [`take_any`](Self::take_any) was used, so that reading in order is over.
    pub fn is_by_arrival(&self) -> bool {
        matches!(self.order, Order::Arrival { .. })
    }

    /// Where the reader in order stands.
    pub fn position(&self) -> u64 {
        self.read
    }

    /// All below was received or skipped.
    #[inline]
    pub fn contiguous_end(&self) -> u64 {
        self.received.first().filter(|r| r.start == 0).map_or(0, |r| r.end)
    }

    /// One more than the highest offset that was received or skipped.
    pub fn highest(&self) -> u64 {
        self.received.last().map_or(0, |r| r.end)
    }

    /// How many bytes below `offset` were neither given out nor passed, nor told as skipped: here
    /// or not.
    pub fn outstanding(&self, offset: u64) -> u64 {
        let within = |set: &RangeSet, range: &Range<u64>| -> u64 {
            let parts = set.iter().map(|r| r.start.max(range.start)..r.end.min(range.end));
            parts.filter(|part| !part.is_empty()).map(|part| part.end - part.start).sum()
        };
        match &self.order {
            Order::Arrival { waiting, .. } => {
                let missing: u64 =
                    self.received.gaps(0..offset).map(|gap| gap.end - gap.start).sum();
                let untold = within(&self.skipped, &(0..offset));
                missing + within(waiting, &(0..offset)) + untold
            }
            _ => offset.saturating_sub(self.read),
        }
    }

    /// Memory in bytes: the spans of the blocks, with [`BLOCK_OVERHEAD`] for each, and
    /// [`RANGE_OVERHEAD`] for each range.
    pub fn held(&self) -> u64 {
        let blocks: u64 = self.blocks.iter().map(|b| b.span as u64 + BLOCK_OVERHEAD).sum();
        let waiting = match &self.order {
            Order::Undecided { arrivals } => arrivals.len(),
            Order::Offset => 0,
            Order::Arrival { waiting, arrivals } => waiting.count() + arrivals.len(),
        };
        let ranges = self.received.count() + self.skipped.count() + waiting;
        blocks + RANGE_OVERHEAD * ranges as u64
    }

    /// Forgets all bytes at and above `size`.
    pub fn truncate(&mut self, size: u64) {
        let above = size..u64::MAX;
        self.received.remove(above.clone());
        self.skipped.remove(above.clone());
        if let Order::Arrival { waiting, .. } = &mut self.order {
            waiting.remove(above);
        }
        self.blocks.retain(|b| b.start < size);
        if let Some(last) = self.blocks.back_mut() {
            last.span = last.span.min(usize::try_from(size - last.start).unwrap_or(usize::MAX));
            last.buf.truncate(last.span);
        }
        self.trim_arrivals(size);
    }

    fn trim_arrivals(&mut self, size: u64) {
        let (Order::Undecided { arrivals } | Order::Arrival { arrivals, .. }) = &mut self.order
        else {
            return;
        };
        arrivals.iter_mut().for_each(|a| a.end = a.end.min(size));
        arrivals.retain(|a| !a.is_empty());
    }

    /// Remembers that `range` came now.
    fn arrived(&mut self, range: Range<u64>) {
        if range.is_empty() {
            return;
        }
        let arrivals = match &mut self.order {
            Order::Offset => return,
            Order::Undecided { arrivals } => arrivals,
            Order::Arrival { waiting, arrivals } => {
                waiting.insert(range.clone());
                arrivals
            }
        };
        let listed = arrivals.len();
        match arrivals.back_mut() {
            Some(last) if last.end == range.start => last.end = range.end,
            _ if listed < MAX_ARRIVALS => arrivals.push_back(range),
            _ => {}
        }
    }

    /// Changes to the order of arrival.
    fn by_arrival(&mut self, tells_skips: bool) {
        self.tells_skips = tells_skips;
        let remembered = match &mut self.order {
            Order::Arrival { .. } => return,
            Order::Offset => None,
            Order::Undecided { arrivals } => Some(core::mem::take(arrivals)),
        };
        let mut waiting = self.received.clone();
        waiting.remove(0..self.read);
        self.skipped.iter().for_each(|skip| _ = waiting.remove(skip));
        let by_offset = || waiting.iter().take(MAX_ARRIVALS).collect();
        let arrivals = remembered.unwrap_or_else(by_offset);
        self.order = Order::Arrival { waiting, arrivals };
    }

    fn pass_skipped(&mut self) {
        while let Some(skip) = self.skipped.first().filter(|r| r.start <= self.read) {
            self.skipped.pop_first();
            self.read = self.read.max(skip.end);
        }
    }

    /// Frees the blocks, and the front part of a block, that lie below the reader.
    fn drop_blocks_below(&mut self, offset: u64) {
        while let Some(front) = self.blocks.front_mut().filter(|b| b.start < offset) {
            if front.end() <= offset {
                self.blocks.pop_front();
            } else {
                front.forget((offset - front.start) as usize);
            }
        }
    }

    /// Frees the blocks around `gap`, which was filled with nothing, in which nothing waits and
    /// nothing is missing: a reader in order of arrival does not come by again.
    fn drop_idle_blocks(&mut self, gap: &Range<u64>) {
        let Order::Arrival { waiting, .. } = &self.order else { return };
        let from = self.blocks.partition_point(|b| b.end() <= gap.start);
        let within = self.blocks.range(from..).take_while(|b| b.start < gap.end);
        let idle = |b: &&Block| {
            waiting.next_in(&b.offsets()).is_none() && self.received.covers(&b.offsets())
        };
        // Between what is kept at the ends nothing was ever placed.
        let kept = within.clone().take_while(|b| !idle(b)).count();
        let count = within.skip(kept).take_while(idle).count();
        self.blocks.drain(from + kept..from + kept + count);
    }

    /// Forgets a block. If all of it was given out, its memory may serve again, also where others
    /// stand behind it already: so it is when fragments overtake each other.
    fn drop_block(&mut self, index: usize) {
        let block = if index == 0 { self.blocks.pop_front() } else { self.blocks.remove(index) };
        if let Some(block) = block.filter(|block| block.span == 0) {
            self.spare = block.buf;
        }
    }

    /// A block of `span` bytes, in the memory of one before if nobody holds that any more.
    fn new_block(&mut self, start: u64, span: usize) -> Block {
        let mut buf = core::mem::take(&mut self.spare);
        if span == MAX_BLOCK && buf.try_reclaim(span) {
            buf.clear();
            return Block::within(buf, start, span);
        }
        Block::new(start, span)
    }

    /// Copies `data`, none of which is there yet, to where it belongs.
    #[inline]
    fn store(&mut self, mut offset: u64, mut data: &[u8]) {
        while !data.is_empty() {
            let index = match self.block_at(offset) {
                Ok(index) => index,
                Err(index) => self.make_block(index, offset, data.len()),
            };
            let Some(block) = self.blocks.get_mut(index) else {
                debug_assert!(false, "the index is of a block that exists");
                return;
            };
            let placed = block.place(offset, data);
            debug_assert!(placed > 0, "the block covers the offset");
            let Some(rest) = data.get(placed..).filter(|_| placed > 0) else { return };
            data = rest;
            offset += placed as u64;
        }
    }

    /// Index of the block that covers `offset`, or where one would stand.
    #[inline]
    fn block_at(&self, offset: u64) -> Result<usize, usize> {
        let count = self.blocks.len();
        let index = match self.blocks.back() {
            Some(last) if last.end() <= offset => return Err(count),
            Some(last) if last.start <= offset => return Ok(count - 1),
            None => return Err(0),
            _ if count <= FEW => self.blocks.iter().take_while(|b| b.end() <= offset).count(),
            _ if self.blocks.front().is_some_and(|first| offset < first.end()) => 0,
            _ => self.blocks.partition_point(|b| b.end() <= offset),
        };
        match self.blocks.get(index) {
            Some(block) if block.start <= offset => Ok(index),
            _ => Err(index),
        }
    }

    /// Makes a block for `len` bytes at `offset`, in front of block `index`.
    #[inline(never)]
    fn make_block(&mut self, index: usize, offset: u64, len: usize) -> usize {
        let next = self.blocks.get(index).map_or(u64::MAX, |b| b.start);
        let before = index.checked_sub(1).and_then(|i| self.blocks.get(i)).map_or(0, Block::end);
        // An eighth of what came before: a block that is given out in part is pinned whole.
        let grain = usize::try_from(offset.saturating_sub(self.start) / 8).unwrap_or(MAX_BLOCK);
        let grain = grain.max(len).min(MAX_BLOCK).next_power_of_two().max(MIN_BLOCK) as u64;
        // Behind what is there; after a hole, where a block of this size would begin anyway.
        let start = (offset - offset % grain).max(before).max(self.read);
        let body = self.end.unwrap_or(u64::MAX);
        // A hole is filled by a block of its own size.
        let hole = self.received.gaps(offset..offset + grain).next().map_or(next, |gap| gap.end);
        let end = next.min(hole).min(body).min(start + grain).max(offset + 1);
        let block = self.new_block(start, (end - start) as usize);
        if index == self.blocks.len() {
            self.blocks.push_back(block);
        } else {
            self.blocks.insert(index, block);
        }
        index
    }
}
