//! The half of a stream that sends.

use core::ops::Range;

use bytes::Bytes;
use thiserror::Error;

use super::options::OpenOptions;
use super::scheduler::Priority;
use super::send_buffer::{BufferError, CHUNK_OVERHEAD, SendBuffer};
use super::state::{SendEvent, SendState};
use crate::flow::SendCredit;
use crate::recovery::Once;
use crate::wire::frame::{Frame, ResetFrame, SentFrame, StopFrame, StreamFrame};
use crate::wire::id::{AppCode, CreditTarget, StreamId};
use crate::wire::packet::PacketWriter;

/// Why bytes were not taken. Nothing was changed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
#[non_exhaustive]
pub enum WriteError {
    /// The send buffer is full; an event says when there is room.
    #[error("the send buffer is full for now")]
    Blocked,
    /// The stream was finished.
    #[error("the stream was finished")]
    Finished,
    /// The stream was reset by this side.
    #[error("the stream was reset")]
    Reset,
    /// The peer wants no more of the stream.
    #[error("stopped by the peer with code {}", code.0)]
    Stopped {
        /// Its code.
        code: AppCode,
        /// Relays between this end and where it came from.
        hop: u64,
    },
    /// Bytes at these offsets were written or skipped before.
    #[error("bytes at these offsets were written before")]
    Overlap,
    /// Below the stream's start, beyond its end or its final size.
    #[error("the offsets are outside of the stream's body")]
    OutOfBounds,
}

impl From<BufferError> for WriteError {
    fn from(error: BufferError) -> Self {
        match error {
            BufferError::Overlap => Self::Overlap,
            BufferError::OutOfBounds => Self::OutOfBounds,
            BufferError::Finished => Self::Finished,
        }
    }
}

/// What a half has left to do after its turn.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Then {
    /// More may go out: the turn was used up.
    Again,
    /// Nothing may go out until something happens to the stream.
    Idle,
    /// Only the connection's credit holds it up.
    Starved,
    /// The packet has no room for the next frame.
    Full,
}

/// A piece that was written: its bytes, and whether there would have been more.
struct Wrote {
    bytes: usize,
    cut: bool,
}

#[derive(Clone, Debug)]
#[cfg_attr(any(test, feature = "fingerprint"), derive(Hash))]
pub(super) struct SendHalf {
    id: StreamId,
    pub(super) state: SendState,
    pub(super) buffer: SendBuffer,
    pub(super) credit: SendCredit,
    pub(super) priority: Priority,
    /// The end that OPEN announced.
    end: Option<u64>,
    /// Code, distance and promise of a reset, from when the half was given up.
    given_up: Option<(AppCode, u64, u64)>,
    reset: Once<ResetFrame>,
    stopped: Option<StopFrame>,
    /// Whether the peer knows the stream's OPEN, without which nobody there hears of it.
    introduced: bool,
    /// A write found too little room: the application waits to hear of some.
    wants_room: bool,
    /// The application wants to hear of everything that is acknowledged.
    pub(super) reports: bool,
    /// Bytes sent, each counted once.
    pub(super) sent: u64,
    /// Bytes sent again that nobody has counted yet.
    pub(super) resent: u64,
}

impl SendHalf {
    pub(super) fn new(id: StreamId, limit: u64) -> Self {
        Self {
            id,
            state: SendState::Ready,
            buffer: SendBuffer::new(0),
            credit: SendCredit::new(CreditTarget::Stream(id), limit),
            priority: Priority::Normal,
            end: None,
            given_up: None,
            reset: Once::new(),
            stopped: None,
            introduced: true,
            wants_room: false,
            reports: false,
            sent: 0,
            resent: 0,
        }
    }

    /// The half of a stream that this side opens, with the bounds that OPEN announces.
    pub(super) fn opener(id: StreamId, limit: u64, options: &OpenOptions) -> Self {
        Self {
            buffer: SendBuffer::new(options.start),
            end: options.end,
            priority: options.priority,
            introduced: false,
            ..Self::new(id, limit)
        }
    }

    /// Takes a part of `data` as the room in the buffer allows. `at`: where, or behind everything.
    pub(super) fn write(
        &mut self,
        at: Option<u64>,
        mut data: Bytes,
        max_held: u64,
    ) -> Result<usize, WriteError> {
        self.writable()?;
        if at.is_none() && self.buffer.final_size().is_some() {
            return Err(WriteError::Finished);
        }
        if data.is_empty() {
            return Ok(0);
        }
        let offset = at.unwrap_or(self.buffer.end());
        let end = offset.saturating_add(data.len() as u64);
        if self.end.is_some_and(|last| end > last) {
            return Err(WriteError::OutOfBounds);
        }
        // What fills a gap is taken without regard to room: the rest waits for it.
        let gap = self.buffer.end().saturating_sub(offset);
        let room = usize::try_from(self.room(max_held).max(gap)).unwrap_or(usize::MAX);
        if room < data.len() {
            self.wants_room = true;
            data.truncate(room);
        }
        if data.is_empty() {
            return Err(WriteError::Blocked);
        }
        let taken = data.len();
        self.buffer.write_at(offset, data)?;
        Ok(taken)
    }

    pub(super) fn skip(&mut self, range: Range<u64>) -> Result<(), WriteError> {
        self.writable()?;
        if self.end.is_some_and(|last| range.end > last) {
            return Err(WriteError::OutOfBounds);
        }
        Ok(self.buffer.skip(range)?)
    }

    pub(super) fn finish(&mut self, size: Option<u64>) -> Result<(), WriteError> {
        self.writable()?;
        let size = size.unwrap_or(self.buffer.end());
        if self.end.is_some_and(|last| size > last) {
            return Err(WriteError::OutOfBounds);
        }
        Ok(self.buffer.finish_at(size)?)
    }

    /// Whether the application may still act on the half; the error that says why not.
    pub(super) fn writable(&self) -> Result<(), WriteError> {
        if let Some(stop) = self.stopped {
            return Err(WriteError::Stopped { code: stop.code, hop: stop.hop });
        }
        match self.state {
            SendState::Ready | SendState::Send => Ok(()),
            SendState::DataSent | SendState::DataRecvd => Err(WriteError::Finished),
            SendState::ResetSent | SendState::ResetRecvd => Err(WriteError::Reset),
        }
    }

    /// Gives up: only bytes below `reliable` are still delivered, as far as they are there without
    /// a gap. A promise that the peer cannot have heard of may be lowered so. Returns whether
    /// anything changed.
    pub(super) fn reset(&mut self, code: AppCode, hop: u64, reliable: u64) -> bool {
        let after = self.state.after(SendEvent::Reset);
        let unsaid = self.state == SendState::ResetSent && self.reset.value().is_none();
        if after == self.state && !unsaid {
            return false;
        }
        self.state = after;
        // A promise covers what the peer would have got without the reset, and no more.
        let reliable = reliable.min(self.buffer.contiguous_end());
        let reliable = if reliable <= self.buffer.start() { 0 } else { reliable };
        self.buffer.truncate(reliable);
        self.given_up = Some((code, hop, reliable));
        self.arm_reset();
        true
    }

    /// RESET goes out once all that it promises was sent, so that credit covers its final size.
    fn arm_reset(&mut self) {
        let Some((code, hop, reliable_size)) = self.given_up else { return };
        let final_size = self.buffer.sent_end();
        if final_size >= reliable_size {
            let id = self.id;
            self.reset.set(ResetFrame { id, code, hop, final_size, reliable_size });
        }
    }

    /// Whether the half was given up without a promise of any bytes.
    pub(super) fn promises_nothing(&self) -> bool {
        matches!(self.given_up, Some((_, _, 0)))
    }

    /// STOP came. Answers with a reset of the same code, also where one still waits for what it
    /// promises; returns whether the application must hear of it.
    pub(super) fn on_stop(&mut self, stop: StopFrame) -> bool {
        if self.stopped.is_some() || self.state.is_end() {
            return false;
        }
        let given_up = self.state == SendState::ResetSent;
        if given_up && self.reset.value().is_some() {
            return false;
        }
        self.stopped = Some(stop);
        self.reset(stop.code, 0, 0);
        !given_up
    }

    pub(super) fn stop_frame(&self) -> Option<StopFrame> {
        self.stopped
    }

    /// How far the stream's own credit reaches, as an offset. Credit counts from the start.
    fn stream_limit(&self) -> u64 {
        self.buffer.start().saturating_add(self.credit.limit())
    }

    /// Whether a frame of body, SKIP or FIN could go out if the connection's credit allowed.
    pub(super) fn has_work(&self) -> bool {
        let limit = self.stream_limit();
        self.buffer.has_piece(limit) || self.buffer.peek_skip(limit).is_some()
    }

    /// Whether what goes out next was sent before and lost.
    pub(super) fn repeats(&self) -> bool {
        self.buffer.repeats()
    }

    /// Whether body, SKIP or FIN has to be sent, whatever credit allows.
    pub(super) fn is_unsent(&self) -> bool {
        self.buffer.has_piece(u64::MAX) || self.buffer.peek_skip(u64::MAX).is_some()
    }

    /// Writes SKIP and STREAM frames until `turn` bytes went out.
    pub(super) fn write_body(
        &mut self,
        packet: &mut PacketWriter<'_>,
        connection: &mut SendCredit,
        turn: u32,
    ) -> (usize, Then) {
        let (mut bytes, mut full) = (0, false);
        loop {
            let limit = self.buffer.sent_end().saturating_add(connection.available());
            let limit = limit.min(self.stream_limit());
            let sent_end = self.buffer.sent_end();
            if let Some(range) = self.buffer.peek_skip(limit) {
                let id = self.id;
                if !packet.write(&Frame::Skip { id, range: range.clone() }) {
                    return (bytes, Then::Full);
                }
                self.buffer.on_skip_sent(range);
                bytes += 1;
            } else {
                match self.write_piece(packet, limit) {
                    Some(Wrote { bytes: 0, .. }) => return (bytes, Then::Full),
                    Some(wrote) => {
                        bytes += wrote.bytes;
                        full = wrote.cut && packet.room() < LEAST_FRAME;
                    }
                    None => return (bytes, self.why_not(connection, limit)),
                }
            }
            let fresh = self.buffer.sent_end() - sent_end;
            connection.consume(fresh);
            self.credit.consume(fresh);
            self.after_sent();
            if bytes >= turn as usize {
                return (bytes, Then::Again);
            }
            if full {
                return (bytes, Then::Full);
            }
        }
    }

    /// One STREAM frame. `None`: there is none to send; 0 bytes: no room for it. A lone FIN counts
    /// as 1.
    fn write_piece(&mut self, packet: &mut PacketWriter<'_>, limit: u64) -> Option<Wrote> {
        let first = self.buffer.peek(usize::MAX, limit)?;
        let whole = first.data.len();
        let max = packet.stream_room(self.id, first.offset);
        // A sliver at the end of a packet costs more than it carries.
        if max < whole && max < MIN_PIECE {
            return Some(Wrote { bytes: 0, cut: true });
        }
        let piece = first.cut_to(max);
        let frame =
            StreamFrame { id: self.id, offset: piece.offset, data: piece.data, fin: piece.fin };
        if !packet.write_stream(frame) {
            return Some(Wrote { bytes: 0, cut: true });
        }
        let (range, fin) = (piece.range(), piece.fin);
        let bytes = (range.end - range.start) as usize;
        match self.buffer.repeats() {
            true => self.resent += bytes as u64,
            false => self.sent += bytes as u64,
        }
        self.buffer.on_sent(range, fin);
        Some(Wrote { bytes: bytes.max(1), cut: bytes < whole })
    }

    fn why_not(&mut self, connection: &mut SendCredit, limit: u64) -> Then {
        if !self.buffer.is_blocked_at(limit) {
            return Then::Idle;
        }
        if self.buffer.is_blocked_at(self.stream_limit()) {
            self.credit.on_blocked();
            return Then::Idle;
        }
        connection.on_blocked();
        Then::Starved
    }

    fn after_sent(&mut self) {
        let sent = self.buffer.sent_end();
        let all = self.buffer.final_size() == Some(sent)
            && self.buffer.contiguous_end() == sent
            && !self.buffer.has_piece(u64::MAX)
            && self.buffer.peek_skip(u64::MAX).is_none();
        self.state = self.state.after(if all { SendEvent::EndSent } else { SendEvent::DataSent });
        self.arm_reset();
    }

    /// Something was sent on the stream that is no body (OPEN).
    pub(super) fn on_opened(&mut self) {
        self.state = self.state.after(SendEvent::DataSent);
    }

    /// Whether credit matters: until the final size is said, which settles it (spec R-STR-28).
    fn needs_credit(&self) -> bool {
        let promises = self.state == SendState::ResetSent && self.reset.value().is_none();
        self.state.is_open() || promises
    }

    /// Whether RESET or a credit frame waits to be written.
    pub(super) fn control_is_due(&self) -> bool {
        self.reset.is_pending() || (self.needs_credit() && self.credit.is_pending())
    }

    /// Writes RESET, and what the stream's credit owes. Returns whether all of it found room.
    pub(super) fn write_control(&mut self, packet: &mut PacketWriter<'_>) -> bool {
        self.reset.write(|frame| packet.write(&Frame::Reset(*frame)));
        if self.needs_credit() {
            self.credit.write(packet);
        }
        !self.control_is_due()
    }

    /// A frame of this half arrived. Returns whether the body is now delivered.
    pub(super) fn on_acked(&mut self, frame: &SentFrame) -> bool {
        match frame {
            SentFrame::Stream { range, fin, .. } => self.buffer.on_acked(range.clone(), *fin),
            SentFrame::Skip { range, .. } => self.buffer.on_skip_acked(range.clone()),
            SentFrame::Reset(_) => self.reset.on_acked(),
            other => self.credit.on_acked(other),
        }
        self.after_acked()
    }

    /// OPEN arrived. Returns whether the body is now delivered.
    pub(super) fn on_introduced(&mut self) -> bool {
        self.introduced = true;
        self.after_acked()
    }

    /// Nothing is over that the peer's application may never hear of.
    fn after_acked(&mut self) -> bool {
        if self.introduced && self.state == SendState::DataSent && self.buffer.is_delivered() {
            self.state = self.state.after(SendEvent::AllAcked);
            return true;
        }
        let known = self.introduced || self.promises_nothing();
        if known && self.reset.is_delivered() && self.buffer.is_drained() {
            self.state = self.state.after(SendEvent::ResetAcked);
        }
        false
    }

    /// A frame of this half was lost.
    pub(super) fn on_lost(&mut self, frame: &SentFrame) {
        match frame {
            SentFrame::Stream { range, fin, .. } => self.buffer.on_lost(range.clone(), *fin),
            SentFrame::Skip { range, .. } => self.buffer.on_skip_lost(range.clone()),
            SentFrame::Reset(_) => self.reset.on_lost(),
            other => self.credit.on_lost(other),
        }
    }

    /// Bytes that a write would take.
    pub(super) fn room(&self, max_held: u64) -> u64 {
        max_held.saturating_sub(self.buffer.held().saturating_add(CHUNK_OVERHEAD))
    }

    /// Whether the stream's own credit holds up bytes that wait.
    pub(super) fn is_blocked_by_credit(&self) -> bool {
        self.buffer.is_blocked_at(self.stream_limit())
    }

    /// Whether an end, FIN or RESET, is on its way.
    pub(super) fn is_ending(&self) -> bool {
        self.buffer.final_size().is_some() || self.given_up.is_some()
    }

    /// Whether nothing will happen to the half any more.
    pub(super) fn is_over(&self) -> bool {
        self.state.is_end()
    }

    /// Whether [`take_room_news`](Self::take_room_news) would have news.
    pub(super) fn has_news(&self, max_held: u64) -> bool {
        self.wants_room && self.buffer.held() <= max_held - max_held / 4
    }

    /// Whether the application waits for room and there is some again: a quarter of the buffer.
    pub(super) fn take_room_news(&mut self, max_held: u64) -> bool {
        let news = self.has_news(max_held);
        self.wants_room &= !news;
        news
    }
}

/// Pieces of a chunk are not cut smaller than this at the end of a packet.
const MIN_PIECE: usize = 32;
/// No frame with something in it that a body needs is shorter: type, stream and one byte.
pub(super) const LEAST_FRAME: usize = 3;
