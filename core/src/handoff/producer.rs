//! The end that puts bytes in: the driver of an endpoint.

use core::fmt;

use core::task::Waker;
use std::vec::Vec;

use bytes::Bytes;

use super::segment::{SLOTS, Segment};
use super::shared::{End, FLAGS, Shared, WAITING};
use super::sync::{Arc, Ordering};

/// A segment is closed when it holds an eighth of all that was pushed, but not below this.
const LEAST_SEGMENT: u64 = 1024;
/// A segment is closed when it holds this many bytes.
const MOST_SEGMENT: u64 = 16 * 1024;

/// Pushes bytes to the readers. There is one, and it never waits.
///
/// Dropped before an end was said, it leaves the error that [`channel`](super::channel()) got.
pub struct Producer<E> {
    shared: Arc<Shared<E>>,
    tail: Arc<Segment>,
    /// Slots in use of the last segment.
    index: usize,
    /// The last segment is full at this offset, or at once if nobody reads.
    full_at: u64,
    /// The offset behind the last byte.
    offset: u64,
    chunks: u64,
    start: u64,
    taken: u64,
    gone: bool,
    ended: bool,
    lost: Option<E>,
    /// Readers to be woken, between two locks.
    waking: Vec<Waker>,
}

/// The end was said before.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the end of the stream was said before")]
pub struct Ended;

/// Why a stream cannot be finished. It is not ended by this.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum FinishError {
    /// The end was said before.
    #[error("the end of the stream was said before")]
    Ended,
    /// Bytes are missing, or there are too many.
    #[error("the stream is to end at {size}, but {pushed} is where its bytes end")]
    WrongSize {
        /// Where the stream was said to end.
        size: u64,
        /// Where the bytes end.
        pushed: u64,
    },
}

impl<E> Producer<E> {
    pub(super) fn new(shared: Arc<Shared<E>>, tail: Arc<Segment>, start: u64, lost: E) -> Self {
        Self {
            shared,
            tail,
            index: 0,
            full_at: start.saturating_add(LEAST_SEGMENT),
            offset: start,
            chunks: 0,
            start,
            taken: start,
            gone: false,
            ended: false,
            lost: Some(lost),
            waking: Vec::new(),
        }
    }

    /// Hands over the bytes that follow. Nothing is done for no bytes.
    ///
    /// # Errors
    /// The end was said before; the bytes are dropped.
    #[inline]
    pub fn push(&mut self, bytes: Bytes) -> Result<(), Ended> {
        if self.ended {
            return Err(Ended);
        }
        if !bytes.is_empty() {
            self.place(bytes);
            self.publish();
        }
        Ok(())
    }

    /// The same for several chunks; readers are woken once.
    ///
    /// # Errors
    /// The end was said before; the bytes are dropped.
    pub fn push_all(&mut self, chunks: impl IntoIterator<Item = Bytes>) -> Result<(), Ended> {
        if self.ended {
            return Err(Ended);
        }
        let before = self.offset;
        for bytes in chunks {
            self.place(bytes);
        }
        if self.offset > before {
            self.publish();
        }
        Ok(())
    }

    /// Says that the stream ends here, at offset `size`.
    ///
    /// # Errors
    /// Another end was said before, or bytes are missing.
    pub fn finish(&mut self, size: u64) -> Result<(), FinishError> {
        if self.ended {
            return Err(FinishError::Ended);
        }
        if size != self.offset {
            return Err(FinishError::WrongSize { size, pushed: self.offset });
        }
        self.end(End::Finished);
        Ok(())
    }

    /// Says that nothing more comes, and why. Readers find it behind the last byte.
    ///
    /// # Errors
    /// Another end was said before, and holds.
    pub fn fail(&mut self, error: E) -> Result<(), Ended> {
        if self.ended {
            return Err(Ended);
        }
        self.end(End::Failed(error));
        Ok(())
    }

    /// The offset behind the last byte pushed.
    pub fn pushed(&self) -> u64 {
        self.offset
    }

    /// The offset below which every reader has passed all chunks. A reader that was dropped has
    /// passed everything. A chunk of which a reader has taken a part is not passed.
    pub fn released(&self) -> u64 {
        self.slowest().unwrap_or(self.offset)
    }

    fn slowest(&self) -> Option<u64> {
        self.shared.seats().iter().map(|seat| seat.passed.load(Ordering::Acquire)).min()
    }

    /// How many bytes were released since the last call: so much credit can be given back. From
    /// this call on the producer is told again.
    pub fn take_released(&mut self) -> u64 {
        self.shared.look();
        let slowest = self.slowest();
        if slowest.is_none() && !self.gone {
            // Nobody reads any more, so nothing is kept.
            self.gone = true;
            self.begin(Segment::new(), 0);
        }
        let released = slowest.unwrap_or(self.offset);
        let fresh = released.saturating_sub(self.taken);
        self.taken = released;
        self.shared.note_taken(released);
        fresh
    }

    /// Bytes that some reader has yet to pass.
    pub fn held(&self) -> u64 {
        self.offset.saturating_sub(self.released())
    }

    /// Chunks that some reader has yet to pass. Each costs about 48 bytes beside its own; who
    /// pushes chunks that a peer may cut finely should stop at some number of them.
    pub fn chunks_held(&self) -> u64 {
        let seats = self.shared.seats();
        let passed = seats.iter().map(|seat| seat.chunks.load(Ordering::Acquire));
        self.chunks - passed.min().unwrap_or(self.chunks)
    }

    /// How many readers there are, each at its own place.
    pub fn readers(&self) -> usize {
        self.shared.seats().len()
    }

    /// Whether anybody reads. Once nobody does, nobody ever will, and what is pushed is dropped.
    pub fn has_readers(&self) -> bool {
        !self.shared.seats().is_empty()
    }

    #[inline]
    fn place(&mut self, bytes: Bytes) {
        let len = bytes.len() as u64;
        if len == 0 {
            return;
        }
        self.offset += len;
        self.chunks += 1;
        if self.offset < self.full_at && self.index + 1 < SLOTS {
            self.tail.put(self.index, bytes);
            self.index += 1;
        } else if !self.gone {
            self.place_last(bytes);
        }
    }

    /// Places the last chunk of a segment: the way on is there before it is.
    fn place_last(&mut self, bytes: Bytes) {
        let next = Segment::new();
        self.tail.close(self.index + 1, next.clone());
        self.tail.put(self.index, bytes);
        let full = ((self.offset - self.start) / 8).clamp(LEAST_SEGMENT, MOST_SEGMENT);
        self.begin(next, self.offset.saturating_add(full));
    }

    fn begin(&mut self, segment: Arc<Segment>, full_at: u64) {
        (self.tail, self.index, self.full_at) = (segment, 0, full_at);
    }

    fn end(&mut self, end: End<E>) {
        self.ended = true;
        let first = self.shared.end.set(end).is_ok();
        debug_assert!(first, "one end");
        self.publish();
    }

    /// Moves the frontier, and wakes who sleeps before it.
    #[inline]
    fn publish(&mut self) {
        let before = self.shared.state.swap(self.offset << FLAGS, Ordering::AcqRel);
        if before & WAITING != 0 {
            self.wake();
        }
    }

    fn wake(&mut self) {
        let seats = self.shared.seats();
        self.waking.extend(seats.iter().filter_map(|seat| seat.waker.take()));
        drop(seats);
        self.waking.drain(..).for_each(Waker::wake);
    }
}

impl<E> Drop for Producer<E> {
    fn drop(&mut self) {
        if let Some(lost) = self.lost.take().filter(|_| !self.ended) {
            self.end(End::Failed(lost));
        }
    }
}

impl<E> fmt::Debug for Producer<E> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { offset, ended, .. } = self;
        f.debug_struct("Producer").field("offset", offset).field("ended", ended).finish()
    }
}
