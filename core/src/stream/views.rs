//! The two views by which an application works with a stream.

use core::ops::Range;

use bytes::Bytes;

use super::given::{Arrival, Chunk};
use super::options::OpenOptions;
use super::recv::{ReadError, RecvHalf, Way};
use super::scheduler::Priority;
use super::send::{SendHalf, WriteError};
use super::state::{RecvState, SendState};
use super::table::{Place, READABLE};
use super::taped::{self, Taken};
use super::{RecvAccount, Streams};
use crate::flow::Window;
use crate::planted::Fault;
use crate::tape::{Op, Pen, Taped};
use crate::wire::frame::MAX_HOP;
use crate::wire::id::{AppCode, StreamId};

/// The half of a stream that sends, for as long as it is looked at.
#[derive(Debug)]
pub struct SendStream<'a> {
    pub(super) streams: &'a mut Streams,
    pub(super) id: StreamId,
    pub(super) pen: Pen<'a>,
}

impl<'a> SendStream<'a> {
    /// The same view for an application that is recorded.
    pub(crate) fn recorded(self, pen: Pen<'a>) -> Self {
        Self { pen, ..self }
    }

    /// The stream.
    pub fn id(&self) -> StreamId {
        self.id
    }

    /// Where the half stands.
    pub fn state(&self) -> SendState {
        self.half().map_or(SendState::DataRecvd, |half| half.state)
    }

    /// Adds bytes behind everything that was written or skipped, by reference: they must not be
    /// many small parts of something large. Returns how many were taken: fewer than offered if the
    /// send buffer is short of room, and then an event says when there is some. Credit that is
    /// short is no error.
    ///
    /// # Errors
    /// [`WriteError`]; nothing was changed.
    pub fn write(&mut self, data: Bytes) -> Result<usize, WriteError> {
        self.put(None, data)
    }

    /// Adds bytes at `offset` of the body; gaps may be filled later, and what fills one is taken
    /// even if the buffer is full. Otherwise like [`write`].
    ///
    /// # Errors
    /// [`WriteError::Overlap`] if some of these offsets were written or skipped before, and the
    /// others.
    ///
    /// [`write`]: Self::write
    pub fn write_at(&mut self, offset: u64, data: Bytes) -> Result<usize, WriteError> {
        self.put(Some(offset), data)
    }

    fn put(&mut self, offset: Option<u64>, data: Bytes) -> Result<usize, WriteError> {
        let max = self.streams.config.send_buffer;
        let op = if offset.is_some() { Op::WriteAt } else { Op::Write };
        self.put_within(op, offset, data, max)
    }

    fn put_within(
        &mut self,
        op: Op,
        offset: Option<u64>,
        data: Bytes,
        max: u64,
    ) -> Result<usize, WriteError> {
        let kept = self.pen.keep(&data);
        let came = self.act(|half| half.write(offset, data, max));
        if let Some(data) = kept {
            let came = came.map_err(WriteError::number);
            self.pen.note(|tape| tape.write(self.id, op, offset, &data, came));
        }
        came
    }

    /// Adds all of `data` at `offset`, whatever room the send buffer has: for who bounds what it
    /// writes by the credit that it gave for the very same bytes, as a pipe does (spec R-PIPE-2).
    ///
    /// # Errors
    /// As [`write_at`](Self::write_at), but never [`WriteError::Blocked`].
    pub fn forward(&mut self, offset: u64, data: Bytes) -> Result<(), WriteError> {
        self.put_within(Op::Forward, Some(offset), data, u64::MAX).map(|_| ())
    }

    /// From now on news says whenever more was acknowledged ([`StreamEvent::Acked`]).
    ///
    /// [`StreamEvent::Acked`]: super::StreamEvent::Acked
    pub fn report_acked(&mut self) {
        let slot = self.streams.table.get_mut(self.id);
        if let Some(half) = slot.and_then(|slot| slot.send.as_mut()) {
            half.reports = true;
        }
        self.pen.note(|tape| tape.send_call(self.id, Op::ReportAcked, |_| {}));
    }

    /// Declares that the bytes of `range` will never come. Bytes written there before stay.
    ///
    /// # Errors
    /// [`WriteError`]; nothing was changed.
    pub fn skip(&mut self, range: Range<u64>) -> Result<(), WriteError> {
        let came = self.act(|half| half.skip(range.clone()));
        self.note(Op::Skip, &range, &came);
        came
    }

    /// Ends the body behind everything that was written or skipped.
    ///
    /// # Errors
    /// [`WriteError`]; nothing was changed.
    pub fn finish(&mut self) -> Result<(), WriteError> {
        let came = self.act(|half| half.finish(None));
        self.note(Op::Finish, &(), &came);
        came
    }

    /// Ends the body at `size`; gaps below may still be filled.
    ///
    /// # Errors
    /// [`WriteError`]; nothing was changed.
    pub fn finish_at(&mut self, size: u64) -> Result<(), WriteError> {
        let came = self.act(|half| half.finish(Some(size)));
        self.note(Op::FinishAt, &size, &came);
        came
    }

    /// Gives up, as the origin of the failure: nothing more is delivered. Means nothing if the peer
    /// has everything already, or if it was given up before.
    pub fn reset(&mut self, code: AppCode) {
        self.reset_after(code, 0, 0);
    }

    /// Gives up, but bytes below `reliable` are still delivered before the error, as far as they
    /// were written without a gap. Given up before, it may still promise less, as long as the peer
    /// cannot have heard of the promise. `hop`: relays between here and where the failure began, of
    /// which 255 are as many as can be said.
    pub fn reset_after(&mut self, code: AppCode, hop: u64, reliable: u64) {
        let hop = hop.min(MAX_HOP);
        let came = self.act(|half| {
            half.reset(code, hop, reliable);
            Ok(())
        });
        self.note(Op::Reset, &(code, (hop, reliable)), &came);
    }

    /// Moves the stream into another class.
    pub fn set_priority(&mut self, priority: Priority) {
        self.note(Op::Priority, &priority, &Ok(()));
        let Some(slot) = self.streams.table.get_mut(self.id) else { return };
        let Some(half) = &mut slot.send else { return };
        half.priority = priority;
        if let Place::Turn(old) = slot.place
            && old != priority
        {
            self.streams.scheduler.remove(self.id, old);
            self.streams.scheduler.push(self.id, priority);
            slot.place = Place::Turn(priority);
        }
    }

    /// The stream's class.
    pub fn priority(&self) -> Priority {
        self.half().map_or(Priority::Normal, |half| half.priority)
    }

    /// Bytes that a write would take now; the next event says when there are more.
    pub fn room(&self) -> u64 {
        self.half().map_or(0, |half| half.room(self.streams.config.send_buffer))
    }

    /// Bytes that are held, with what is charged for each write.
    pub fn held(&self) -> u64 {
        self.half().map_or(0, |half| half.buffer.held())
    }

    /// Bytes of the body that were sent, each counted once.
    pub fn sent(&self) -> u64 {
        self.half().map_or(0, |half| half.sent)
    }

    /// All below was acknowledged, skipped bytes too.
    pub fn acked_end(&self) -> u64 {
        self.half().map_or(0, |half| half.buffer.acked_end())
    }

    /// All below was written or skipped.
    pub fn contiguous_end(&self) -> u64 {
        self.half().map_or(0, |half| half.buffer.contiguous_end())
    }

    /// Whether bytes wait that the stream's credit does not cover.
    pub fn is_blocked_by_credit(&self) -> bool {
        self.half().is_some_and(SendHalf::is_blocked_by_credit)
    }

    /// Code and distance of the peer's STOP, if one came.
    pub fn stopped(&self) -> Option<(AppCode, u64)> {
        self.half().and_then(SendHalf::stop_frame).map(|stop| (stop.code, stop.hop))
    }

    /// A call that gives nothing, for the tape.
    fn note(&mut self, op: Op, args: &impl Taped, came: &Result<(), WriteError>) {
        self.pen.note(|tape| {
            tape.send_call(self.id, op, |out| {
                args.put(out);
                taped::done(came).put(out);
            });
        });
    }

    fn half(&self) -> Option<&SendHalf> {
        self.streams.table.get(self.id).and_then(|slot| slot.send.as_ref())
    }

    fn act<T>(
        &mut self,
        verb: impl FnOnce(&mut SendHalf) -> Result<T, WriteError>,
    ) -> Result<T, WriteError> {
        let slot = self.streams.table.get_mut(self.id);
        let half = slot.and_then(|slot| slot.send.as_mut()).ok_or(WriteError::Finished)?;
        let result = verb(half)?;
        self.streams.file(self.id);
        Ok(result)
    }
}

/// The half of a stream that receives, for as long as it is looked at.
#[derive(Debug)]
pub struct RecvStream<'a> {
    pub(super) streams: &'a mut Streams,
    pub(super) id: StreamId,
    pub(super) account: RecvAccount<'a>,
    pub(super) pen: Pen<'a>,
}

impl<'a> RecvStream<'a> {
    /// The same view for an application that is recorded.
    pub(crate) fn recorded(mut self, pen: Pen<'a>) -> Self {
        self.pen = pen;
        self.pen.note(|tape| tape.recv(self.id));
        self
    }

    /// The stream.
    pub fn id(&self) -> StreamId {
        self.id
    }

    /// Where the half stands.
    pub fn state(&self) -> RecvState {
        self.half().map_or(RecvState::DataRead, |half| half.state)
    }

    /// What the stream's opener said of it: of a stream that we opened, what we said.
    pub fn info(&self) -> Option<&OpenOptions> {
        self.streams.info(self.id)
    }

    /// Copies the next bytes in order to `out`, and releases them. Returns how many; `None` at the
    /// end of the body.
    ///
    /// # Errors
    /// [`ReadError::Blocked`] if none are here, [`ReadError::Skipped`] where bytes will never come,
    /// and the others. An empty `out` reads nothing.
    pub fn read(&mut self, out: &mut [u8]) -> Result<Option<usize>, ReadError> {
        if let Some(range) = self.half().and_then(RecvHalf::next_skip) {
            return Err(ReadError::Skipped(range));
        }
        let Some(chunk) = self.take(out.len(), Way::Offset)? else { return Ok(None) };
        let count = chunk.data.len();
        if let Some(out) = out.get_mut(..count) {
            out.copy_from_slice(&chunk.data);
        }
        self.release(count as u64);
        Ok(Some(count))
    }

    /// The next bytes in order, at most `max`, as they lie in memory; passes over what was skipped,
    /// which shows in the offset, and behind the last bytes in [`final_size`](Self::final_size)
    /// alone. They keep their credit until [`release`](Self::release). `None` at the end of the
    /// body.
    ///
    /// # Errors
    /// [`ReadError`].
    pub fn read_chunk(&mut self, max: usize) -> Result<Option<Chunk>, ReadError> {
        self.take(max, Way::Offset)
    }

    /// The bytes that arrived first, at most `max`, whatever their offset. They keep their credit
    /// until [`release`](Self::release). From then on the stream cannot be read in order. `None`
    /// once the whole body was given out.
    ///
    /// # Errors
    /// [`ReadError`].
    pub fn take_any(&mut self, max: usize) -> Result<Option<Chunk>, ReadError> {
        self.take(max, Way::Arrival)
    }

    /// What arrived first: at most `max` bytes as by [`take_any`](Self::take_any), or word that a
    /// range will never come. Either keeps its credit until [`release`](Self::release). `None` once
    /// the whole body was given out. Who reads so passes it on, and says himself when it is stuck.
    ///
    /// # Errors
    /// [`ReadError`], but never [`ReadError::Skipped`].
    pub fn take_arrival(&mut self, max: usize) -> Result<Option<Arrival>, ReadError> {
        self.look(max, 2, |half, _| half.arrival(max, false))
    }

    /// The same, but of what is here the lowest: what fills a gap that others wait for.
    ///
    /// # Errors
    /// [`ReadError`], but never [`ReadError::Skipped`].
    pub fn take_lowest(&mut self, max: usize) -> Result<Option<Arrival>, ReadError> {
        self.look(max, 3, |half, _| half.arrival(max, true))
    }

    fn take(&mut self, max: usize, way: Way) -> Result<Option<Chunk>, ReadError> {
        self.look(max, way as u8, |half, account| half.read(max, way, account))
    }

    fn look<T: Taken>(
        &mut self,
        max: usize,
        way: u8,
        verb: impl FnOnce(&mut RecvHalf, &mut RecvAccount<'a>) -> Result<Option<T>, ReadError>,
    ) -> Result<Option<T>, ReadError> {
        let came = self.look_at(max, verb);
        self.pen.note(|tape| tape.taken(way, max, taped::read(&came)));
        came
    }

    fn look_at<T>(
        &mut self,
        max: usize,
        verb: impl FnOnce(&mut RecvHalf, &mut RecvAccount<'a>) -> Result<Option<T>, ReadError>,
    ) -> Result<Option<T>, ReadError> {
        let slot = self.streams.table.get_mut(self.id).ok_or(ReadError::Stopped)?;
        let half = slot.recv.as_mut().ok_or(ReadError::Stopped)?;
        let mut result = verb(half, &mut self.account);
        if half.final_size.is_some() && self.streams.planted.has(Fault::HastyEnd) {
            result = result.or(Ok(None));
        }
        if matches!(result, Err(ReadError::Blocked)) && max > 0 {
            slot.news &= !READABLE;
        }
        if matches!(result, Ok(Some(_))) {
            half.note_taken(self.account.now);
        }
        result
    }

    /// Says that `bytes` of what was given out, or told as skipped, are no longer held: the peer
    /// may send as many more.
    pub fn release(&mut self, bytes: u64) {
        self.pen.note(|tape| tape.released(bytes));
        let slot = self.streams.table.get_mut(self.id);
        if let Some(half) = slot.and_then(|slot| slot.recv.as_mut()) {
            half.release(bytes, &mut self.account);
        }
    }

    /// Wants no more, as the origin of that wish: tells the sender, and drops what is here and what
    /// still comes. Data that was given out is no longer counted.
    pub fn stop(&mut self, code: AppCode) {
        self.stop_after(code, 0);
    }

    /// Like [`stop`](Self::stop), with the number of relays between here and where the wish began,
    /// of which 255 are as many as can be said.
    pub fn stop_after(&mut self, code: AppCode, hop: u64) {
        let hop = hop.min(MAX_HOP);
        self.pen.note(|tape| tape.recv_call(Op::Stop, |out| (code, hop).put(out)));
        let slot = self.streams.table.get_mut(self.id);
        if let Some(half) = slot.and_then(|slot| slot.recv.as_mut()) {
            half.stop(code, hop, &mut self.account);
        }
    }

    /// Says who decides how large the stream's window is.
    pub fn set_window(&mut self, window: Window) {
        self.pen.note(|tape| tape.recv_call(Op::Window, |out| window.put(out)));
        let slot = self.streams.table.get_mut(self.id);
        if let Some(half) = slot.and_then(|slot| slot.recv.as_mut()) {
            half.credit.set_window(window, self.account.credit, self.account.budget);
        }
    }

    /// What of a window that was set could be had, in bytes. Of a stream that is piped news says
    /// when it shrinks.
    pub fn covered(&mut self) -> u64 {
        let slot = self.streams.table.get_mut(self.id);
        let half = slot.and_then(|slot| slot.recv.as_mut());
        let covered = half.map_or(0, |half| half.credit.covered());
        self.pen.note(|tape| tape.recv_call(Op::Covered, |out| covered.put(out)));
        covered
    }

    /// Wants the bytes below `end`, without any of them released: for what must be collected whole.
    pub fn request(&mut self, end: u64) {
        self.pen.note(|tape| tape.recv_call(Op::Request, |out| end.put(out)));
        let slot = self.streams.table.get_mut(self.id);
        if let Some(half) = slot.and_then(|slot| slot.recv.as_mut()) {
            half.request(end, &mut self.account);
        }
    }

    /// The size of the body, once it is known.
    pub fn final_size(&self) -> Option<u64> {
        self.half().and_then(RecvHalf::final_size)
    }

    /// All below was read, or passed over as skipped: where the next read begins.
    pub fn position(&self) -> u64 {
        self.half().map_or(0, RecvHalf::position)
    }

    /// All below arrived, or was skipped.
    pub fn contiguous_end(&self) -> u64 {
        self.half().map_or(0, RecvHalf::contiguous_end)
    }

    /// Whether bytes will never come that a reader has not passed.
    pub(crate) fn lacks_bytes(&self) -> bool {
        self.half().is_some_and(RecvHalf::lacks_bytes)
    }

    /// Bytes of memory that data which was not given out holds.
    pub fn held(&self) -> u64 {
        self.half().map_or(0, RecvHalf::held)
    }

    /// What the sender may have under way and here together, in bytes: what the stream's credit
    /// aims at.
    pub fn window(&self) -> u64 {
        self.half().map_or(0, RecvHalf::window)
    }

    /// Bytes that are charged to the stream and were not released, gaps included.
    pub fn charged(&self) -> u64 {
        self.half().map_or(0, RecvHalf::charged)
    }

    fn half(&self) -> Option<&RecvHalf> {
        self.streams.table.get(self.id).and_then(|slot| slot.recv.as_ref())
    }
}

/// What was done shows in the stream's lists, and a stream that is over is forgotten.
impl Drop for RecvStream<'_> {
    fn drop(&mut self) {
        self.streams.file(self.id);
        self.streams.retire(self.id, &mut self.account);
    }
}
