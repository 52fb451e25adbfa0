//! The packet under construction.
//!
//! ```text
//! buf  ┌ what was there ┬ header (zeros) ┬ frames ... ┬ room ... ┐   then the tag, by crypto
//!      0              start            body          len        end
//! ```
//!
//! Parts offer frames; each goes in whole or not at all. What may be sent was decided before, once,
//! by the path: the writer refuses whatever the [`Allowance`] does not cover, so that no part has
//! to ask.

use alloc::vec::Vec;

use super::ack::{self, AckFrame, EcnCounts, MAX_ACK_RANGES};
use super::codec::{Length, Put};
use super::frame::{Frame, MAX_FRAMES, SentFrame, StreamFrame};
use super::header::TAG_LEN;
use super::id::StreamId;
use super::{kind, varint};
use crate::range_set::RangeSet;

/// What a packet may carry now; decided once, by the path.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Allowance {
    /// Nothing at all.
    Nothing,
    /// CLOSE only.
    CloseOnly,
    /// Frames that do not count as in flight.
    AcksOnly,
    /// Everything.
    Everything,
}

/// A packet under construction in the caller's buffer. Dropped unfinished, it leaves no trace.
#[derive(Debug)]
pub struct PacketWriter<'a> {
    buf: &'a mut Vec<u8>,
    receipts: &'a mut Vec<SentFrame>,
    allowance: Allowance,
    /// Length of `buf` before this packet.
    start: usize,
    /// Where the frames begin.
    body: usize,
    /// Where the frames must end; the tag follows.
    end: usize,
    /// Number of receipts before this packet.
    receipts_before: usize,
    /// Frames so far, each run of PADDING as one.
    frames: usize,
    ack_eliciting: bool,
    in_flight: bool,
    finished: bool,
    tail: Option<Tail>,
}

/// Where the STREAM frame lies that was written last.
#[derive(Clone, Copy, Debug)]
struct Tail {
    id: StreamId,
    /// The offset behind its bytes.
    offset: u64,
    /// Where in the buffer it begins, its length stands, and its data begins and ends.
    kind: usize,
    len: usize,
    data: usize,
    end: usize,
}

/// What was written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[must_use = "says whether there is a packet to seal"]
pub struct Written {
    /// Bytes of frames, without header and tag. 0: there is no packet, and `buf` is as it was.
    pub len: usize,
    /// Whether the peer will acknowledge it.
    pub ack_eliciting: bool,
    /// Whether it counts against the congestion window.
    pub in_flight: bool,
}

impl<'a> PacketWriter<'a> {
    /// Begins a packet behind what `buf` holds: `header_len` bytes of header, written as zeros, and
    /// room for `capacity` bytes of frames. `receipts` keeps what is already there.
    pub fn new(
        buf: &'a mut Vec<u8>,
        header_len: usize,
        capacity: usize,
        receipts: &'a mut Vec<SentFrame>,
        allowance: Allowance,
    ) -> Self {
        let start = buf.len();
        buf.reserve(header_len.saturating_add(capacity).saturating_add(TAG_LEN));
        buf.zeros(header_len);
        let body = buf.len();
        Self {
            allowance,
            start,
            body,
            end: body.saturating_add(capacity),
            receipts_before: receipts.len(),
            frames: 0,
            ack_eliciting: false,
            in_flight: false,
            finished: false,
            tail: None,
            buf,
            receipts,
        }
    }

    /// Bytes of frames that still fit: none behind the last frame that a packet may hold (spec
    /// R-FRM-3).
    pub fn room(&self) -> usize {
        if self.frames < MAX_FRAMES { self.end.saturating_sub(self.buf.len()) } else { 0 }
    }

    /// Bytes of frames that fit when it was empty.
    pub const fn capacity(&self) -> usize {
        self.end.saturating_sub(self.body)
    }

    /// Bytes of frames so far.
    pub fn len(&self) -> usize {
        self.buf.len().saturating_sub(self.body)
    }

    /// Whether nothing was written yet.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Whether a frame so far elicits an ACK.
    pub const fn ack_eliciting(&self) -> bool {
        self.ack_eliciting
    }

    /// What this packet may carry.
    pub const fn allowance(&self) -> Allowance {
        self.allowance
    }

    /// Appends `frame` whole and keeps its receipt, or changes nothing: when the room is too small,
    /// the packet holds as many frames as it may, or the allowance does not cover it.
    ///
    /// A STREAM or DATAGRAM whose length no longer fits goes in without it, as the packet's last
    /// frame, with PADDING before it if a byte is left over.
    #[must_use = "a frame that did not fit must be written again later"]
    pub fn write(&mut self, frame: &Frame<'_>) -> bool {
        self.write_measured(frame, frame.encoded_len())
    }

    /// Does [`write`](Self::write) for a frame whose encoded length is known.
    #[inline]
    fn write_measured(&mut self, frame: &Frame<'_>, len: usize) -> bool {
        if self.allowance < frame.needs() {
            return false;
        }
        let room = self.room();
        let before = self.buf.len();
        if len <= room {
            frame.encode(self.buf);
        } else {
            let Some(spare) = frame.encoded_len_last().and_then(|len| room.checked_sub(len)) else {
                return false;
            };
            if spare > 0 {
                if self.frames + 1 == MAX_FRAMES {
                    return false;
                }
                self.frames += 1;
                self.buf.zeros(spare);
            }
            let whole = frame.encode_last(self.buf);
            debug_assert!(whole && self.room() == 0);
        }
        debug_assert!(self.buf.len() <= self.end);
        if self.buf.len() != before {
            self.frames += 1;
            self.ack_eliciting |= frame.is_ack_eliciting();
            self.in_flight |= frame.counts_as_in_flight();
            self.receipts.extend(SentFrame::of(frame));
        }
        true
    }

    /// Appends a STREAM frame as [`write`](Self::write) does, or lets the frame before it go on: if
    /// that is of the same stream and ends where this one begins, both are one, with one header.
    #[must_use = "a frame that did not fit must be written again later"]
    pub fn write_stream(&mut self, frame: StreamFrame<'_>) -> bool {
        if self.join(&frame) {
            return true;
        }
        let before = self.buf.len();
        let (id, offset) = (frame.id, frame.offset.saturating_add(frame.data.len() as u64));
        let (bytes, fin) = (frame.data.len(), frame.fin);
        let len = frame.encoded_len();
        if !self.write_measured(&Frame::Stream(frame), len) {
            return false;
        }
        let end = self.buf.len();
        let data = end - bytes;
        let counted = end == before + len && bytes > 0 && bytes as u64 <= MOST_JOINED && !fin;
        let tail =
            Tail { id, offset, kind: before, len: data - varint::len(bytes as u64), data, end };
        self.tail = Some(tail).filter(|_| counted);
        true
    }

    /// Bytes of the stream from `offset` on that [`write_stream`](Self::write_stream) takes in one
    /// frame with a length.
    pub fn stream_room(&self, id: StreamId, offset: u64) -> usize {
        let alone = stream_capacity(self.room(), id, offset);
        let Some(tail) = self.tail_before(id, offset) else { return alone };
        let longer = varint::len(MOST_JOINED).saturating_sub(tail.data - tail.len);
        let most = (MOST_JOINED as usize).saturating_sub(tail.end - tail.data);
        self.room().saturating_sub(longer).min(most).max(alone)
    }

    /// The frame that one for these bytes would go on.
    fn tail_before(&self, id: StreamId, offset: u64) -> Option<Tail> {
        let last = |tail: &Tail| tail.end == self.buf.len();
        self.tail.filter(|tail| last(tail) && (tail.id, tail.offset) == (id, offset))
    }

    /// Adds the bytes of `frame` to the frame before it. Returns whether it did.
    fn join(&mut self, frame: &StreamFrame<'_>) -> bool {
        let Some(mut tail) = self.tail_before(frame.id, frame.offset) else { return false };
        let bytes = tail.end - tail.data + frame.data.len();
        let longer = varint::len(bytes as u64).saturating_sub(tail.data - tail.len);
        if bytes as u64 > MOST_JOINED || frame.data.len() + longer > self.room() {
            return false;
        }
        (0..longer).for_each(|_| self.buf.insert(tail.len, 0));
        tail.data += longer;
        let size = tail.data - tail.len;
        let long = (bytes as u16 | 0x4000).to_be_bytes();
        let short = [bytes as u8];
        let digits: &[u8] = if size == 1 { &short } else { &long };
        if let Some(slot) = self.buf.get_mut(tail.len..tail.data) {
            slot.copy_from_slice(digits);
        }
        self.buf.extend_from_slice(frame.data);
        if let Some(first) = self.buf.get_mut(tail.kind).filter(|_| frame.fin) {
            *first |= kind::STREAM_FIN as u8;
        }
        if let Some(SentFrame::Stream { range, fin, .. }) = self.receipts.last_mut() {
            range.end = frame.offset.saturating_add(frame.data.len() as u64);
            *fin = frame.fin;
        }
        tail.offset = tail.offset.saturating_add(frame.data.len() as u64);
        tail.end = self.buf.len();
        self.tail = Some(tail).filter(|_| !frame.fin);
        true
    }

    /// Appends an ACK of the highest ranges of `received`: as many as `max_ranges`,
    /// [`MAX_ACK_RANGES`] and the room allow, and at least one. Changes nothing if not even one
    /// fits, if nothing was received, or if the allowance does not cover it.
    #[must_use = "an ACK that did not fit is still due"]
    pub fn write_ack(
        &mut self,
        received: &RangeSet,
        delay_us: u64,
        ecn: Option<EcnCounts>,
        max_ranges: usize,
    ) -> bool {
        let Some((largest, first)) = ack::head(received) else { return false };
        let frame = AckFrame { largest, delay_us, ranges: &[], first, ecn };
        let mut alone = Length::default();
        frame.put_with(core::iter::empty(), 0, &mut alone);
        let Some(left) = self.room().checked_sub(alone.0) else { return false };
        if self.allowance < Allowance::AcksOnly {
            return false;
        }
        let most = max_ranges.clamp(1, MAX_ACK_RANGES) - 1;
        let mut count = ack::fitting(received, most, left);
        if varint::len(count as u64) > 1 {
            // `alone` has one byte for the count of ranges, and 64 and more take two.
            count = ack::fitting(received, most, left.saturating_sub(1));
        }
        frame.put_with(ack::tail(received).take(count), count, self.buf);
        self.receipts.push(SentFrame::Ack { largest });
        self.frames += 1;
        debug_assert!(self.buf.len() <= self.end);
        true
    }

    /// Ends the packet: its bytes and receipts stay. A packet without frames leaves no trace.
    pub fn finish(mut self) -> Written {
        let len = self.len();
        self.finished = len > 0;
        Written { len, ack_eliciting: self.ack_eliciting, in_flight: self.in_flight }
    }
}

impl Drop for PacketWriter<'_> {
    fn drop(&mut self) {
        if !self.finished {
            self.buf.truncate(self.start);
            self.receipts.truncate(self.receipts_before);
        }
    }
}

/// STREAM frames are joined up to this length, which a varint of two bytes can say.
const MOST_JOINED: u64 = 0x3fff;

/// Bytes of data that a STREAM frame with a length can carry in `room` bytes; 0 if not even one.
pub fn stream_capacity(room: usize, id: StreamId, offset: u64) -> usize {
    let offset_len = if offset == 0 { 0 } else { varint::len(offset) };
    let data = varint::capacity(room.saturating_sub(1 + varint::len(id.0) + offset_len));
    let left = varint::MAX.saturating_sub(offset);
    data.min(usize::try_from(left).unwrap_or(usize::MAX))
}

#[cfg(test)]
#[path = "packet_tests.rs"]
mod tests;
