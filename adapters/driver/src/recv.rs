//! The receiving half of a stream, between the driver and its reader.
//!
//! The driver hands over whatever the core can give, without waiting: the peer cannot send more
//! than its credit, and bytes keep their credit until the reader has them. The reader takes all
//! that is there in one step and reads on without a lock; it says what it read in batches.

use std::collections::VecDeque;
use std::sync::Arc;
use std::sync::Mutex;
use std::sync::atomic::{AtomicU8, Ordering};
use std::task::{Context, Poll, Waker, ready};

use aqueduct_core::stream::OpenOptions;
use aqueduct_core::wire::id::{AppCode, StreamId};
use bytes::Bytes;

use crate::connection::{ConnGuard, ConnShared};
use crate::error::{ConnectionError, ReadError};
use crate::hub::Command;
use crate::wait::{Wakers, lock};

/// Bytes read before their credit is given back, unless the reader has nothing left.
const RELEASE_BATCH: u64 = 64 * 1024;
/// Credit below this many bytes is given back when the driver is awake anyway.
const RELEASE_SMALL: u64 = 4 * 1024;

/// Not on the list of work.
const IDLE: u8 = 0;
/// On the list, and the driver was not woken for it.
const QUIET: u8 = 1;
/// On the list, and the driver is awake or on its way.
const LOUD: u8 = 2;

pub(crate) struct RecvShared {
    pub(crate) connection: Arc<ConnShared>,
    pub(crate) id: StreamId,
    pub(crate) info: Option<OpenOptions>,
    /// Whether it is on the list of work: [`IDLE`], [`QUIET`] or [`LOUD`].
    marked: AtomicU8,
    state: Mutex<RecvState>,
}

#[derive(Default)]
struct RecvState {
    queue: VecDeque<Bytes>,
    release: u64,
    stop: Option<AppCode>,
    end: Option<RecvEnd>,
    gone: bool,
    waker: Option<Waker>,
    /// The offset behind what the core gave.
    offset: u64,
}

/// What comes behind the last byte. Kept for ever.
#[derive(Clone, Debug)]
pub(crate) enum RecvEnd {
    Finished,
    Failed(ReadError),
}

/// What the driver is to do for the half.
pub(crate) struct RecvWork {
    pub(crate) release: u64,
    pub(crate) stop: Option<AppCode>,
    pub(crate) gone: bool,
}

impl RecvShared {
    pub(crate) fn new(
        connection: Arc<ConnShared>,
        id: StreamId,
        info: Option<OpenOptions>,
    ) -> Arc<Self> {
        let offset = info.as_ref().map_or(0, |info| info.start);
        let state = Mutex::new(RecvState { offset, ..RecvState::default() });
        let marked = AtomicU8::new(IDLE);
        Arc::new(Self { connection, id, info, marked, state })
    }

    fn mark(self: &Arc<Self>) {
        let hub = &self.connection.shared.hub;
        match self.marked.swap(LOUD, Ordering::AcqRel) {
            IDLE => self.or_end(hub.push(Command::Recv(self.clone()))),
            QUIET => hub.wake(),
            _ => {}
        }
    }

    /// The same, but not worth waking the driver: it looks when it is awake. If the peer runs out
    /// of credit meanwhile it says so, and that wakes the driver.
    fn mark_quietly(self: &Arc<Self>) {
        let was = self.marked.compare_exchange(IDLE, QUIET, Ordering::AcqRel, Ordering::Relaxed);
        if was.is_ok() {
            let hub = &self.connection.shared.hub;
            self.or_end(hub.push_quietly(Command::Recv(self.clone())));
        }
    }

    fn or_end(&self, pushed: Result<(), Command>) {
        if pushed.is_err() {
            self.end(RecvEnd::Failed(ReadError::Connection(ConnectionError::DriverGone)));
        }
    }

    /// For the driver: takes the wishes.
    pub(crate) fn take(&self) -> RecvWork {
        self.marked.store(IDLE, Ordering::Release);
        let mut state = lock(&self.state);
        RecvWork {
            release: std::mem::take(&mut state.release),
            stop: state.stop.take(),
            gone: state.gone,
        }
    }

    /// For the driver: where the next bytes begin.
    pub(crate) fn next_offset(&self) -> u64 {
        lock(&self.state).offset
    }

    /// For the driver: hands over `bytes` (left empty) up to `offset`, and what comes behind them.
    /// Gives the number of bytes that nobody will read: the handle is gone.
    pub(crate) fn deliver(&self, bytes: &mut Vec<Bytes>, end: Option<RecvEnd>, offset: u64) -> u64 {
        let (waker, unread) = {
            let mut state = lock(&self.state);
            state.offset = offset;
            if state.gone {
                (None, bytes.drain(..).map(|bytes| bytes.len() as u64).sum())
            } else {
                state.queue.extend(bytes.drain(..));
                if let Some(end) = end {
                    state.end.get_or_insert(end);
                }
                (state.waker.take(), 0)
            }
        };
        Wakers::from(waker).wake();
        unread
    }

    /// For the driver, when a pipe takes the stream: what was handed over and not read, behind
    /// `ahead`, which the reader had taken already.
    pub(crate) fn take_unread(&self, mut ahead: VecDeque<Bytes>) -> VecDeque<Bytes> {
        let mut state = lock(&self.state);
        state.gone = true;
        ahead.append(&mut state.queue);
        ahead
    }

    /// For the driver: nothing more comes. The first end holds.
    pub(crate) fn end(&self, end: RecvEnd) {
        let waker = {
            let mut state = lock(&self.state);
            state.end.get_or_insert(end);
            state.waker.take()
        };
        Wakers::from(waker).wake();
    }
}

/// A receiving half that its handle gave away to a pipe.
pub(crate) struct Source {
    pub(crate) shared: Arc<RecvShared>,
    /// Taken from the queue, not read.
    pub(crate) unread: VecDeque<Bytes>,
    pub(crate) keep: Option<Arc<ConnGuard>>,
}

/// The handle of a receiving half. Dropped before the end, it asks the peer to stop with code 0.
pub struct RecvHalf {
    shared: Arc<RecvShared>,
    /// Taken from the queue, not yet read.
    ahead: VecDeque<Bytes>,
    /// Read, credit not yet given back.
    read: u64,
    /// The end was read.
    over: bool,
    keep: Option<Arc<ConnGuard>>,
    /// A pipe has it now.
    given: bool,
}

impl RecvHalf {
    pub(crate) fn new(shared: Arc<RecvShared>) -> Self {
        Self { shared, ahead: VecDeque::new(), read: 0, over: false, keep: None, given: false }
    }

    pub(crate) fn kept_by(mut self, guard: Arc<ConnGuard>) -> Self {
        self.keep = Some(guard);
        self
    }

    /// The stream's id.
    pub fn id(&self) -> StreamId {
        self.shared.id
    }

    /// How the peer introduced the stream; `None` if this side opened it.
    pub fn info(&self) -> Option<&OpenOptions> {
        self.shared.info.as_ref()
    }

    pub(crate) fn shared(&self) -> Arc<RecvShared> {
        self.shared.clone()
    }

    /// Gives the stream to a pipe, with the credit of what was read given back.
    pub(crate) fn into_source(mut self) -> Source {
        self.given = true;
        lock(&self.shared.state).release += std::mem::take(&mut self.read);
        self.shared.mark();
        let unread = std::mem::take(&mut self.ahead);
        Source { shared: self.shared.clone(), unread, keep: self.keep.take() }
    }

    /// Makes sure that something is ahead: `Ok(false)` if the stream is finished.
    fn poll_fill(&mut self, cx: &mut Context<'_>) -> Poll<Result<bool, ReadError>> {
        if !self.ahead.is_empty() {
            return Poll::Ready(Ok(true));
        }
        // The reader has nothing left: whatever was read earns new credit.
        let read = std::mem::take(&mut self.read);
        let (found, release) = {
            let mut state = lock(&self.shared.state);
            state.release += read;
            let release = state.release;
            std::mem::swap(&mut state.queue, &mut self.ahead);
            let found = match (&state.end, self.ahead.is_empty()) {
                (_, false) => Poll::Ready(Ok(true)),
                (Some(RecvEnd::Finished), true) => Poll::Ready(Ok(false)),
                (Some(RecvEnd::Failed(error)), true) => Poll::Ready(Err(error.clone())),
                (None, true) => {
                    state.waker = Some(cx.waker().clone());
                    Poll::Pending
                }
            };
            (found, release)
        };
        if release >= RELEASE_SMALL {
            self.shared.mark();
        } else if release > 0 {
            self.shared.mark_quietly();
        }
        if matches!(found, Poll::Ready(Ok(false) | Err(_))) {
            self.over = true;
        }
        found
    }

    fn account(&mut self, len: usize) {
        self.read += len as u64;
        if self.read >= RELEASE_BATCH {
            lock(&self.shared.state).release += std::mem::take(&mut self.read);
            self.shared.mark();
        }
    }

    /// Gives the next bytes in order, at most `max` of them and never none; `None` behind the end.
    ///
    /// # Errors
    /// The stream or its connection is over; all bytes before were given.
    pub fn poll_chunk(
        &mut self,
        cx: &mut Context<'_>,
        max: usize,
    ) -> Poll<Result<Option<Bytes>, ReadError>> {
        if !ready!(self.poll_fill(cx))? {
            return Poll::Ready(Ok(None));
        }
        let Some(front) = self.ahead.front_mut() else { return Poll::Ready(Ok(None)) };
        let chunk = if front.len() <= max {
            self.ahead.pop_front().unwrap_or_default()
        } else {
            front.split_to(max.max(1))
        };
        self.account(chunk.len());
        Poll::Ready(Ok(Some(chunk)))
    }

    /// Copies into `out` as much as is there, and says how much; 0 behind the end.
    ///
    /// # Errors
    /// The stream or its connection is over; all bytes before were given.
    pub fn poll_read(
        &mut self,
        cx: &mut Context<'_>,
        out: &mut impl bytes::BufMut,
    ) -> Poll<Result<usize, ReadError>> {
        if !out.has_remaining_mut() || !ready!(self.poll_fill(cx))? {
            return Poll::Ready(Ok(0));
        }
        let mut copied = 0;
        while let Some(front) = self.ahead.front_mut() {
            let part = front.split_to(front.len().min(out.remaining_mut()));
            if front.is_empty() {
                self.ahead.pop_front();
            }
            if part.is_empty() {
                break;
            }
            out.put_slice(&part);
            copied += part.len();
        }
        self.account(copied);
        Poll::Ready(Ok(copied))
    }

    /// Asks the peer to stop sending; what has arrived is thrown away.
    pub fn stop(&mut self, code: AppCode) {
        self.give_up(code, false);
    }

    fn give_up(&mut self, code: AppCode, gone: bool) {
        let ahead: u64 = self.ahead.drain(..).map(|bytes| bytes.len() as u64).sum();
        {
            let mut state = lock(&self.shared.state);
            let queued: u64 = state.queue.drain(..).map(|bytes| bytes.len() as u64).sum();
            state.release += std::mem::take(&mut self.read) + ahead + queued;
            state.gone = true;
            if state.end.is_none() {
                state.stop.get_or_insert(code);
                state.end = Some(RecvEnd::Failed(ReadError::Stopped));
            } else if !gone && !self.over {
                state.end = Some(RecvEnd::Failed(ReadError::Stopped));
            }
        }
        self.shared.mark();
    }
}

impl Drop for RecvHalf {
    fn drop(&mut self) {
        if !self.given {
            self.give_up(AppCode(0), true);
        }
    }
}

impl std::fmt::Debug for RecvHalf {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_tuple("RecvHalf").field(&self.shared.id).finish()
    }
}
