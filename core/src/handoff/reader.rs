//! The end that takes bytes out: an application's task or thread.

use core::fmt;
use core::task::{Context, Poll, Waker};
use core::time::Duration;

use bytes::{Bytes, BytesMut};

use super::segment::{Cursor, Segment};
use super::shared::{BATCH_CHUNKS, End, FLAGS, Seat, Shared, Urgency, WAITING};
use super::sleep::Sleep;
use super::sync::{Arc, Ordering};

/// Reads the bytes of a stream from its own place on.
///
/// Reading takes no lock. To sleep needs one exclusive handle: a reader waits for one task or
/// thread at a time; who wants to read from two places takes a [`fork`](Self::fork).
///
/// What is *passed* no longer needs this reader: memory that all readers have passed is freed, and
/// its credit given back. A dropped reader has passed everything.
pub struct Reader<E> {
    /// Dropped first: the producer is told when the memory is free.
    cursor: Cursor,
    seat: Seated<E>,
    pub(super) shared: Arc<Shared<E>>,
    /// What was taken from the list and is not passed: a chunk that is read in parts, or many small
    /// ones that a look ahead has made one of.
    at_hand: Bytes,
    /// Bytes of it that were read.
    cut: usize,
    /// Chunks in it that are not counted in `chunks`.
    uncounted: u64,
    /// Offset behind all that was taken from the list.
    taken: u64,
    /// Chunks that were passed, or joined to what is at hand.
    chunks: u64,
    /// The frontier, when it was last looked at.
    seen: u64,
    /// What the producer was told of.
    told: u64,
    /// A batch is full at this offset,
    tell_at: u64,
    /// and behind so many chunks.
    tell_at_chunk: u64,
}

/// What a reader finds: bytes, the end (`None`), or why there is nothing more.
type Found<E> = Option<Result<Bytes, E>>;

impl<E: Clone> Reader<E> {
    pub(super) fn first(shared: Arc<Shared<E>>, segment: Arc<Segment>, start: u64) -> Self {
        Self {
            cursor: Cursor::new(segment),
            seat: Seated::new(&shared, start, 0),
            at_hand: Bytes::new(),
            cut: 0,
            uncounted: 0,
            taken: start,
            chunks: 0,
            seen: start,
            told: start,
            tell_at: start.saturating_add(shared.batch()),
            tell_at_chunk: BATCH_CHUNKS,
            shared,
        }
    }

    /// A reader of its own, which stands where this one stands now.
    #[must_use]
    pub fn fork(&self) -> Self {
        Self {
            shared: self.shared.clone(),
            seat: Seated::new(&self.shared, self.passed(), self.chunks),
            cursor: self.cursor.clone(),
            at_hand: self.at_hand.clone(),
            ..*self
        }
    }

    /// Offset of the byte that is read next.
    pub fn position(&self) -> u64 {
        self.passed() + self.cut as u64
    }

    /// Offset of the chunk that is read next.
    #[inline]
    fn passed(&self) -> u64 {
        self.taken - self.at_hand.len() as u64
    }

    /// Bytes that can be read now.
    pub fn available(&self) -> u64 {
        self.shared.frontier() - self.position()
    }

    /// The next bytes, if they are here; `Ready(None)` behind the last one of a finished stream,
    /// as often as it is asked, and so it is with the error of one that failed.
    #[inline]
    pub fn try_next(&mut self) -> Poll<Found<E>> {
        if let Some(bytes) = self.pass_whole() {
            return Poll::Ready(Some(Ok(bytes)));
        }
        if self.in_parts() || self.shared.end.get().is_some() {
            return self.try_chunk(usize::MAX);
        }
        self.tell_drained(false);
        Poll::Pending
    }

    /// The same, but at most `max` bytes, though never none. A chunk that is cut is passed when its
    /// last byte is read.
    pub fn try_chunk(&mut self, max: usize) -> Poll<Found<E>> {
        let found = self.chunk(max);
        if found.is_pending() {
            self.tell_drained(false);
        }
        found
    }

    fn chunk(&mut self, max: usize) -> Poll<Found<E>> {
        if let Some(bytes) = self.cut_off(max) {
            return Poll::Ready(Some(Ok(bytes)));
        }
        let Some(end) = self.shared.end.get().cloned() else { return Poll::Pending };
        // The end came after all bytes, so all that there are can be seen now.
        if let Some(bytes) = self.cut_off(max) {
            return Poll::Ready(Some(Ok(bytes)));
        }
        self.tell_drained(true);
        Poll::Ready(match end {
            End::Finished => None,
            End::Failed(error) => Some(Err(error)),
        })
    }

    /// As [`try_next`](Self::try_next); on `Pending` the task is woken when there is more.
    #[inline]
    pub fn poll_next(&mut self, cx: &mut Context<'_>) -> Poll<Found<E>> {
        match self.pass_whole() {
            Some(bytes) => Poll::Ready(Some(Ok(bytes))),
            None => self.poll_chunk(cx, usize::MAX),
        }
    }

    /// As [`try_chunk`](Self::try_chunk); on `Pending` the task is woken when there is more.
    pub fn poll_chunk(&mut self, cx: &mut Context<'_>, max: usize) -> Poll<Found<E>> {
        let found = self.chunk(max);
        if found.is_ready() || !self.sleep(cx.waker()) {
            return found;
        }
        self.chunk(max)
    }

    /// As [`try_next`](Self::try_next), but the thread sleeps until there is something. `Pending`
    /// if `timeout` passed before; without one that does not happen.
    pub fn next_blocking(&mut self, timeout: Option<Duration>) -> Poll<Found<E>> {
        self.chunk_blocking(usize::MAX, timeout)
    }

    /// The same, but at most `max` bytes.
    pub fn chunk_blocking(&mut self, max: usize, timeout: Option<Duration>) -> Poll<Found<E>> {
        loop {
            let found = self.chunk(max);
            if found.is_ready() || !self.block(timeout) {
                return found;
            }
        }
    }

    /// The bytes that are read next, without reading them: as many as lie in one piece. Nothing at
    /// the end of a finished stream. [`consume`](Self::consume) says how many were used.
    ///
    /// # Errors
    /// Why there is nothing more.
    pub fn poll_fill(&mut self, cx: &mut Context<'_>) -> Poll<Result<&[u8], E>> {
        if !self.reach() && !self.sleep(cx.waker()) {
            return Poll::Pending;
        }
        // Looked for in this order: the end comes after all bytes.
        let end = self.shared.end.get().cloned();
        if self.reach() {
            return Poll::Ready(Ok(self.piece()));
        }
        match end {
            None => Poll::Pending,
            Some(End::Finished) => Poll::Ready(Ok(&[])),
            Some(End::Failed(error)) => Poll::Ready(Err(error)),
        }
    }

    /// The bytes that are read next, as many as are here and lie in one piece.
    pub fn piece(&mut self) -> &[u8] {
        self.reach();
        self.at_hand.get(self.cut..).unwrap_or_default()
    }

    /// Counts `len` bytes as read, at most those of [`piece`](Self::piece).
    pub fn consume(&mut self, len: usize) {
        let left = self.piece().len();
        if len < left {
            self.cut += len;
        } else if left > 0 {
            self.pass();
        }
    }

    /// The next bytes that are here now, at most `len`, without reading them. They are copied
    /// unless they lie in one piece.
    pub fn peek(&self, len: usize) -> Bytes {
        let at_hand = Some(self.at_hand.clone()).filter(|bytes| !bytes.is_empty());
        let mut ahead = at_hand.into_iter().chain(self.ahead());
        let Some(first) = ahead.next() else { return Bytes::new() };
        let first = first.slice(self.cut..first.len().min(self.cut.saturating_add(len)));
        if first.len() == len {
            return first;
        }
        let mut joined = BytesMut::from(&*first);
        for chunk in ahead {
            let missing = len - joined.len();
            joined.extend_from_slice(chunk.get(..missing).unwrap_or(&chunk));
            if joined.len() == len {
                break;
            }
        }
        joined.freeze()
    }

    /// The next `len` bytes as soon as they are here, without reading them; fewer only if no more
    /// will come. Meant for the head of a stream: more than the peer has credit for never comes.
    ///
    /// Who waits behind many chunks joins them in memory of its own, so that the producer need not
    /// hold more of them than it wants to.
    pub fn poll_peek(&mut self, cx: &mut Context<'_>, len: usize) -> Poll<Bytes> {
        if self.can_peek(len) || (self.look_out(cx.waker()) && self.can_peek(len)) {
            return Poll::Ready(self.peek(len));
        }
        Poll::Pending
    }

    /// The same, but the thread sleeps. `Pending` if nothing came for `timeout`.
    pub fn peek_blocking(&mut self, len: usize, timeout: Option<Duration>) -> Poll<Bytes> {
        while !self.can_peek(len) {
            let before = self.available();
            let (sleep, waker) = Sleep::new();
            let _some = self.look_out(&waker);
            let more = self.can_peek(len) || self.available() > before;
            if !more && !sleep.wait(timeout) {
                return Poll::Pending;
            }
        }
        Poll::Ready(self.peek(len))
    }

    fn can_peek(&self, len: usize) -> bool {
        // The end is looked for first: all bytes are there before it.
        let ended = self.shared.end.get().is_some();
        ended || self.available() >= len as u64
    }

    /// Asks to be woken for what comes behind all that is here.
    fn look_out(&mut self, waker: &Waker) -> bool {
        self.join();
        self.sleep(waker)
    }

    /// Makes one of all chunks that are here, if they are many. It is not passed before it is read.
    fn join(&mut self) {
        let ahead = BATCH_CHUNKS - self.uncounted;
        if self.ahead().nth(ahead as usize - 1).is_none() {
            return;
        }
        let at_hand = core::mem::take(&mut self.at_hand).try_into_mut();
        let mut joined = at_hand.unwrap_or_else(|shared| BytesMut::from(&*shared));
        self.chunks += core::mem::take(&mut self.uncounted);
        while let Some(chunk) = self.take_apart() {
            joined.extend_from_slice(&chunk);
            self.chunks += 1;
        }
        self.at_hand = joined.freeze();
        self.seat.seat.chunks.store(self.chunks, Ordering::Release);
        if self.chunks >= self.tell_at_chunk {
            self.tell(Urgency::High);
        }
    }

    /// The chunks in the list that can be read now.
    fn ahead(&self) -> impl Iterator<Item = Bytes> {
        self.cursor.ahead(self.shared.frontier() - self.taken)
    }

    /// Takes the next chunk out of the list.
    #[inline(always)]
    fn take_chunk(&mut self) -> Option<Bytes> {
        if self.taken == self.seen {
            self.seen = self.shared.frontier();
            if self.taken == self.seen {
                return None;
            }
        }
        let chunk = self.cursor.take(self.shared.one_reads())?;
        self.taken += chunk.len() as u64;
        Some(chunk)
    }

    /// The same, out of the way of the short way.
    #[inline(never)]
    fn take_apart(&mut self) -> Option<Bytes> {
        self.take_chunk()
    }

    /// Has what is read next at hand. `false`: it is not here.
    fn reach(&mut self) -> bool {
        if self.at_hand.is_empty()
            && let Some(chunk) = self.take_apart()
        {
            (self.at_hand, self.uncounted) = (chunk, 1);
        }
        !self.at_hand.is_empty()
    }

    fn cut_off(&mut self, max: usize) -> Option<Bytes> {
        if self.cut == 0 && max == usize::MAX {
            return self.pass();
        }
        if !self.reach() {
            return None;
        }
        let (cut, max) = (self.cut, max.max(1));
        if self.at_hand.len() - cut <= max {
            let mut chunk = self.pass()?;
            bytes::Buf::advance(&mut chunk, cut);
            return Some(chunk);
        }
        self.cut += max;
        Some(self.at_hand.slice(cut..cut + max))
    }

    /// The short way of nearly every read: the next chunk as it was pushed.
    #[inline]
    fn pass_whole(&mut self) -> Option<Bytes> {
        if self.in_parts() { None } else { self.pass_chunk() }
    }

    /// Whether something else than a chunk as it was pushed is read next.
    #[inline]
    fn in_parts(&self) -> bool {
        !self.at_hand.is_empty()
    }

    /// Takes what is read next, be it a chunk or what was made of many, and leaves it behind.
    fn pass(&mut self) -> Option<Bytes> {
        if !self.reach() {
            return None;
        }
        let at_hand = core::mem::take(&mut self.at_hand);
        self.cut = 0;
        let chunks = core::mem::take(&mut self.uncounted);
        self.count(chunks);
        Some(at_hand)
    }

    #[inline]
    fn pass_chunk(&mut self) -> Option<Bytes> {
        let chunk = self.take_chunk()?;
        self.count(1);
        Some(chunk)
    }

    /// Counts as passed all that was taken, and so many chunks more.
    #[inline]
    fn count(&mut self, chunks: u64) {
        self.chunks += chunks;
        self.seat.seat.chunks.store(self.chunks, Ordering::Release);
        self.seat.seat.passed.store(self.taken, Ordering::Release);
        if self.taken >= self.tell_at || self.chunks >= self.tell_at_chunk {
            self.tell(Urgency::High);
        }
    }

    /// Nothing is left to read: what was passed is worth telling. A reader that looks again and
    /// again need not be `sure` that the producer hears of it at once.
    #[inline]
    fn tell_drained(&mut self, sure: bool) {
        if !sure && self.shared.seems_told(Urgency::High) {
            return;
        }
        let passed = self.passed();
        // The producer may have looked without having been told.
        let unseen = passed.saturating_sub(self.told.max(self.shared.taken()));
        if unseen == 0 {
            return;
        }
        let urgency = self.shared.urgency(unseen);
        if sure || !self.shared.seems_told(urgency) {
            self.tell(urgency);
        }
    }

    // Seldom; kept out of the way of those who read.
    #[cold]
    fn tell(&mut self, urgency: Urgency) {
        if urgency == Urgency::High {
            self.told = self.passed();
            self.tell_at = self.told.saturating_add(self.shared.batch());
            self.tell_at_chunk = self.chunks + BATCH_CHUNKS;
        }
        self.shared.tell(urgency, false);
    }

    /// Asks to be woken. `true`: something may have come meanwhile.
    fn sleep(&mut self, waker: &Waker) -> bool {
        self.tell_drained(true);
        self.seat.seat.waker.register(waker);
        self.seen = self.shared.state.fetch_or(WAITING, Ordering::AcqRel) >> FLAGS;
        self.seen > self.position() || self.shared.end.get().is_some()
    }

    /// Sleeps until there is more. `false`: the time is up.
    fn block(&mut self, timeout: Option<Duration>) -> bool {
        let (sleep, waker) = Sleep::new();
        self.sleep(&waker) || sleep.wait(timeout)
    }
}

/// A seat that is given up when it is dropped.
struct Seated<E> {
    seat: Arc<Seat>,
    shared: Arc<Shared<E>>,
}

impl<E> Seated<E> {
    fn new(shared: &Arc<Shared<E>>, passed: u64, chunks: u64) -> Self {
        Self { seat: shared.sit(passed, chunks), shared: shared.clone() }
    }
}

impl<E> Drop for Seated<E> {
    fn drop(&mut self) {
        self.shared.rise(&self.seat);
    }
}

impl<E> fmt::Debug for Reader<E> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let position = self.taken - self.at_hand.len() as u64 + self.cut as u64;
        f.debug_struct("Reader").field("position", &position).finish()
    }
}
