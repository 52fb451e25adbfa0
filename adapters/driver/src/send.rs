//! The sending half of a stream, between its writer and the driver.
//!
//! Bytes wait in a short queue until the driver hands them to the core, which keeps them until they
//! are acknowledged. The queue is bounded; a full one holds the writer, unless what it writes fills
//! a gap: what lies above waits for that. Small writes are gathered
//! into one block while the driver is busy: nothing is delayed for it.

mod pieces;

use std::collections::VecDeque;
use std::ops::Range;
use std::sync::Arc;
use std::sync::Mutex;
use std::task::{Context, Poll, Waker, ready};

use aqueduct_core::handoff::Urgency;
use aqueduct_core::pipe::LegEnd;
use aqueduct_core::stream::Priority;
use aqueduct_core::wire::id::{AppCode, StreamId};
use bytes::Bytes;

use crate::connection::{ConnGuard, ConnShared};
use crate::error::{ConnectionError, Stop, StreamError, WriteError};
use crate::hub::{Command, Part};
use crate::threads::Mark;
use crate::wait::{Wakers, lock};

pub(crate) use pieces::Piece;
use pieces::Pieces;

/// Bytes that wait for the driver before a writer is held. What waits in the core comes on top.
pub const SEND_QUEUE: usize = 256 * 1024;

pub(crate) struct SendShared {
    pub(crate) connection: Arc<ConnShared>,
    pub(crate) id: StreamId,
    mark: Mark,
    state: Mutex<SendState>,
}

struct SendState {
    pieces: Pieces,
    finish: Finish,
    /// The end is no good one: a reset with this code, after the bytes.
    closing: Option<AppCode>,
    reset: Option<Stop>,
    priority: Option<Priority>,
    end: Option<SendEnd>,
    gone: bool,
    waker: Option<Waker>,
}

impl SendState {
    fn new(bounds: Range<u64>) -> Self {
        Self {
            pieces: Pieces::new(bounds),
            finish: Finish::No,
            closing: None,
            reset: None,
            priority: None,
            end: None,
            gone: false,
            waker: None,
        }
    }

    /// Whether nothing has ended the half.
    fn is_open(&self) -> Result<(), WriteError> {
        match &self.end {
            Some(end) => Err(end.error().unwrap_or(WriteError::Finished)),
            None => Ok(()),
        }
    }

    /// Whether bytes may be added behind everything.
    fn is_unfinished(&self) -> Result<(), WriteError> {
        self.is_open()?;
        if self.finish == Finish::No { Ok(()) } else { Err(WriteError::Finished) }
    }

    /// Adds all of `bytes` behind everything, and leaves them empty.
    fn append(&mut self, bytes: &mut Bytes) -> Result<(), WriteError> {
        let offset = self.pieces.next(bytes.len())?.start;
        self.pieces.put(offset, std::mem::take(bytes));
        Ok(())
    }

    /// Room for bytes behind everything, or why there is none.
    fn room(&mut self, cx: &Context<'_>) -> Poll<Result<usize, WriteError>> {
        self.is_unfinished()?;
        match SEND_QUEUE.checked_sub(self.pieces.queued()) {
            None | Some(0) => {
                self.waker = Some(cx.waker().clone());
                Poll::Pending
            }
            Some(room) => Poll::Ready(Ok(room)),
        }
    }
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Finish {
    No,
    /// The writer said so.
    Asked,
    /// The core was told.
    Told,
}

/// How the sending half ended. Kept for ever.
#[derive(Clone, Debug)]
pub(crate) enum SendEnd {
    Delivered,
    Stopped(Stop),
    Reset,
    Lost(ConnectionError),
}

impl SendEnd {
    fn error(&self) -> Option<WriteError> {
        match self {
            Self::Delivered => None,
            Self::Stopped(Stop { code, hop }) => {
                Some(match StreamError::of_protocol(*code, *hop) {
                    Some(error) => WriteError::Failed(error),
                    None => WriteError::Stopped { code: *code, hop: *hop },
                })
            }
            Self::Reset => Some(WriteError::Reset),
            Self::Lost(error) => Some(WriteError::Connection(error.clone())),
        }
    }
}

/// What the driver is to do for the half.
#[derive(Default)]
pub(crate) struct SendWork {
    pub(crate) priority: Option<Priority>,
    pub(crate) reset: Option<Stop>,
    /// After the bytes.
    pub(crate) finish: bool,
    /// The end is a reset with this code.
    pub(crate) closing: Option<AppCode>,
    /// The handle was dropped: forget the half when nothing is left to do.
    pub(crate) gone: bool,
    pub(crate) ended: bool,
    /// The pieces are to be written at their offsets.
    pub(crate) scattered: bool,
}

impl Part {
    fn of(before: &Pieces) -> Self {
        if before.have_begun() { Self::More } else { Self::Alone }
    }
}

impl SendShared {
    /// A half of a stream, for a body within `bounds`.
    pub(crate) fn new(connection: Arc<ConnShared>, id: StreamId, bounds: Range<u64>) -> Arc<Self> {
        let (mark, state) = (Mark::default(), Mutex::new(SendState::new(bounds)));
        Arc::new(Self { connection, id, mark, state })
    }

    fn mark(self: &Arc<Self>) {
        self.mark_written(Part::Alone);
    }

    fn mark_written(self: &Arc<Self>, part: Part) {
        let (hub, work) = (&self.connection.shared.hub, || Command::Send(self.clone()));
        if hub.raise(&self.mark, Urgency::High, part, work).is_err() {
            self.end(SendEnd::Lost(ConnectionError::DriverGone));
        }
    }

    /// For the driver: takes the wishes, and what was written into `pieces`, which must be empty.
    pub(crate) fn take(&self, pieces: &mut VecDeque<Piece>) -> SendWork {
        self.mark.clear();
        let mut state = lock(&self.state);
        SendWork {
            scattered: state.pieces.take(pieces),
            priority: state.priority.take(),
            reset: state.reset.take(),
            finish: state.finish == Finish::Asked,
            closing: state.closing,
            gone: state.gone,
            ended: state.end.is_some(),
        }
    }

    /// For the driver: `taken` bytes went to the core, `left` did not and come first next time.
    pub(crate) fn give_back(&self, taken: usize, left: &mut VecDeque<Piece>, finished: bool) {
        let waker = {
            let mut state = lock(&self.state);
            state.pieces.give_back(taken, left);
            if finished {
                state.finish = Finish::Told;
            }
            if state.pieces.queued() <= SEND_QUEUE / 2 { state.waker.take() } else { None }
        };
        Wakers::from(waker).wake();
    }

    /// For the driver: whether bytes wait that the core did not take.
    pub(crate) fn has_bytes(&self) -> bool {
        lock(&self.state).pieces.queued() > 0
    }

    /// For the driver: how a leg of a pipe would end, where the half has ended but not well, and
    /// not by its own writer.
    pub(crate) fn leg_end(&self) -> Option<LegEnd> {
        match lock(&self.state).end {
            Some(SendEnd::Stopped(Stop { code, hop })) => Some(LegEnd::Stopped { code, hop }),
            Some(SendEnd::Lost(_)) => Some(LegEnd::Lost),
            _ => None,
        }
    }

    /// For the driver: the half is over. The first end holds.
    pub(crate) fn end(&self, end: SendEnd) {
        let waker = {
            let mut state = lock(&self.state);
            state.end.get_or_insert(end);
            state.pieces.clear();
            state.waker.take()
        };
        Wakers::from(waker).wake();
    }
}

/// A sending half that its handle gave away to a pipe.
pub(crate) struct Leg {
    pub(crate) shared: Arc<SendShared>,
    pub(crate) keep: Option<Arc<ConnGuard>>,
}

/// The handle of a sending half. Dropped before [`Self::finish`], or while there are gaps, it
/// resets the stream with code 0.
pub struct SendHalf {
    shared: Arc<SendShared>,
    /// A stream keeps its connection open.
    keep: Option<Arc<ConnGuard>>,
    /// A pipe has it now.
    given: bool,
}

impl SendHalf {
    pub(crate) fn new(shared: Arc<SendShared>) -> Self {
        Self { shared, keep: None, given: false }
    }

    pub(crate) fn kept_by(mut self, guard: Arc<ConnGuard>) -> Self {
        self.keep = Some(guard);
        self
    }

    /// The stream's id.
    pub fn id(&self) -> StreamId {
        self.shared.id
    }

    /// Gives the stream to a pipe.
    pub(crate) fn into_leg(mut self) -> Leg {
        self.given = true;
        Leg { shared: self.shared.clone(), keep: self.keep.take() }
    }

    /// Copies some of `bytes` and says how many: all, unless the queue fills up.
    ///
    /// # Errors
    /// The stream or its connection is over; nothing was taken.
    pub fn poll_write(
        &mut self,
        cx: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<Result<usize, WriteError>> {
        if bytes.is_empty() {
            return Poll::Ready(Ok(0));
        }
        let (taken, part) = {
            let mut state = lock(&self.shared.state);
            let room = ready!(state.room(cx))?;
            let part = Part::of(&state.pieces);
            let (taken, _rest) = bytes.split_at(bytes.len().min(room));
            let _fits = state.pieces.next(taken.len())?;
            state.pieces.copy(taken);
            (taken.len(), part)
        };
        self.shared.mark_written(part);
        Poll::Ready(Ok(taken))
    }

    /// Takes `bytes` whole, without a copy, once the queue has room. `bytes` is left empty.
    ///
    /// # Errors
    /// The stream or its connection is over; nothing was taken.
    pub fn poll_write_bytes(
        &mut self,
        cx: &mut Context<'_>,
        bytes: &mut Bytes,
    ) -> Poll<Result<(), WriteError>> {
        if bytes.is_empty() {
            return Poll::Ready(Ok(()));
        }
        let part = {
            let mut state = lock(&self.shared.state);
            let _room = ready!(state.room(cx))?;
            let part = Part::of(&state.pieces);
            state.append(bytes)?;
            part
        };
        self.shared.mark_written(part);
        Poll::Ready(Ok(()))
    }

    /// Ready when the queue has room for a write, of whatever size.
    ///
    /// # Errors
    /// The stream or its connection is over.
    pub fn poll_ready(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), WriteError>> {
        lock(&self.shared.state).room(cx).map_ok(|_bytes| ())
    }

    /// Takes `bytes` whole, without a copy, whether or not the queue has room: for who asked
    /// [`poll_ready`](Self::poll_ready) before.
    ///
    /// # Errors
    /// The stream or its connection is over; nothing was taken.
    pub fn push(&mut self, mut bytes: Bytes) -> Result<(), WriteError> {
        if bytes.is_empty() {
            return Ok(());
        }
        let part = {
            let mut state = lock(&self.shared.state);
            state.is_unfinished()?;
            let part = Part::of(&state.pieces);
            state.append(&mut bytes)?;
            part
        };
        self.shared.mark_written(part);
        Ok(())
    }

    /// Takes `bytes` whole for `offset` of the body, without a copy: at once if they fill a gap,
    /// else once the queue has room. `bytes` is left empty.
    ///
    /// # Errors
    /// The stream or its connection is over, or these offsets cannot be written; nothing was taken.
    pub fn poll_write_at(
        &mut self,
        cx: &mut Context<'_>,
        offset: u64,
        bytes: &mut Bytes,
    ) -> Poll<Result<(), WriteError>> {
        if bytes.is_empty() {
            return Poll::Ready(Ok(()));
        }
        {
            let mut state = lock(&self.shared.state);
            state.is_open()?;
            state.pieces.is_free(&(offset..offset.saturating_add(bytes.len() as u64)))?;
            if offset >= state.pieces.end() {
                let _room = ready!(state.room(cx))?;
            }
            state.pieces.put(offset, std::mem::take(bytes));
        }
        self.shared.mark();
        Poll::Ready(Ok(()))
    }

    /// Says that bytes at these offsets will never come. What was written there stays.
    ///
    /// # Errors
    /// The stream or its connection is over, or these offsets are not of the body; nothing was
    /// changed.
    pub fn skip(&mut self, range: Range<u64>) -> Result<(), WriteError> {
        if range.is_empty() {
            return Ok(());
        }
        {
            let mut state = lock(&self.shared.state);
            state.is_open()?;
            if state.finish != Finish::No && range.end > state.pieces.end() {
                return Err(WriteError::Finished);
            }
            state.pieces.skip(range)?;
        }
        self.shared.mark();
        Ok(())
    }

    /// Marks the end of the stream; what was written is still delivered. Saying it twice is
    /// nothing.
    ///
    /// # Errors
    /// The stream or its connection is over before its end was said.
    pub fn finish(&mut self) -> Result<(), WriteError> {
        self.end(None)
    }

    /// The same for a stream that ends with a reset: what was written is still delivered, and
    /// behind it the peer finds `code`.
    pub(crate) fn finish_with(&mut self, code: AppCode) -> Result<(), WriteError> {
        self.end(Some(code))
    }

    fn end(&mut self, closing: Option<AppCode>) -> Result<(), WriteError> {
        {
            let mut state = lock(&self.shared.state);
            if let Some(error) = state.end.as_ref().and_then(SendEnd::error) {
                return Err(error);
            }
            if state.finish != Finish::No {
                return Ok(());
            }
            (state.finish, state.closing) = (Finish::Asked, closing);
        }
        self.shared.mark();
        Ok(())
    }

    /// Ready when every byte and the end were acknowledged.
    ///
    /// # Errors
    /// The stream or its connection ended otherwise.
    pub fn poll_delivered(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), WriteError>> {
        let mut state = lock(&self.shared.state);
        match &state.end {
            Some(end) => Poll::Ready(end.error().map_or(Ok(()), Err)),
            None => {
                state.waker = Some(cx.waker().clone());
                Poll::Pending
            }
        }
    }

    /// Ready when the peer stopped reading, or a node behind it, with why and where; with `None`
    /// when all was delivered.
    ///
    /// # Errors
    /// The connection is over.
    pub fn poll_stopped(
        &mut self,
        cx: &mut Context<'_>,
    ) -> Poll<Result<Option<Stop>, ConnectionError>> {
        let mut state = lock(&self.shared.state);
        Poll::Ready(match &state.end {
            Some(SendEnd::Stopped(stop)) => Ok(Some(*stop)),
            Some(SendEnd::Delivered | SendEnd::Reset) => Ok(None),
            Some(SendEnd::Lost(error)) => Err(error.clone()),
            None => {
                state.waker = Some(cx.waker().clone());
                return Poll::Pending;
            }
        })
    }

    /// Gives the stream up: what was not acknowledged is not sent again.
    pub fn reset(&mut self, code: AppCode) {
        self.reset_as(Stop { code, hop: 0 });
    }

    /// The same for what did not begin here.
    pub(crate) fn reset_as(&mut self, why: Stop) {
        self.give_up(why, false);
    }

    /// Sets the stream's place among the connection's streams.
    pub fn set_priority(&mut self, priority: Priority) {
        lock(&self.shared.state).priority = Some(priority);
        self.shared.mark();
    }

    fn give_up(&self, why: Stop, gone: bool) {
        {
            let mut state = lock(&self.shared.state);
            state.gone = gone;
            // The driver takes a reset only once, and ends the half then.
            let said = state.finish != Finish::No && !state.pieces.has_gaps();
            let over = state.end.is_some() || (gone && said);
            if !over {
                state.reset.get_or_insert(why);
                state.finish = Finish::Told;
                state.pieces.clear();
                state.end = Some(SendEnd::Reset);
            }
        }
        self.shared.mark();
    }
}

impl Drop for SendHalf {
    fn drop(&mut self) {
        if !self.given {
            self.give_up(Stop { code: AppCode(0), hop: 0 }, true);
        }
    }
}

impl std::fmt::Debug for SendHalf {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_tuple("SendHalf").field(&self.shared.id).finish()
    }
}
