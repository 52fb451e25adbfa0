//! The receiving half of a stream, between the driver and its readers.
//!
//! The driver hands over what the core can give, without waiting: the peer cannot send more than
//! its credit, and bytes keep their credit until every reader has them. Readers read without a lock
//! ([`aqueduct_core::handoff`]), each at its own place, and say in batches what they have read.
//!
//! ```text
//!   core ─► Inlet ── bytes, the end ──► RecvHalf, and its forks
//!             ▲                            │
//!             └── list of work ◄── marks ──┘   passed by the slowest; wishes to stop
//! ```
//!
//! A peer may cut its bytes as finely as it likes, and each piece costs memory of ours beside its
//! bytes. So the driver hands over at most [`MOST_CHUNKS`] that some reader has yet to pass. What
//! comes then stays in the core, which joins what is adjacent, until readers have passed some.

mod tap;
mod verified;

use std::sync::atomic::Ordering::Relaxed;
use std::sync::atomic::{AtomicBool, AtomicU64};
use std::sync::{Arc, Mutex, OnceLock, Weak};
use std::task::{Context, Poll, ready};

use aqueduct_core::endpoint::PipeId;
use aqueduct_core::handoff::{Options, Producer, Reader, Urgency, channel};
use aqueduct_core::stream::{self, OpenOptions, RecvStream};
use aqueduct_core::wire::id::{AppCode, StreamId};
use bytes::{Bytes, BytesMut};

use crate::connection::{ConnGuard, ConnShared};
use crate::error::{ConnectionError, ReadError, StreamError};
use crate::hub::{Command, Part};
use crate::leftovers::{self, Left, Leftovers};
use crate::message::{self, Witness};
use crate::planted::Planted;
use crate::threads::Mark;
use crate::wait::lock;

pub(crate) use tap::{Tap, tapping};
pub use verified::Verified;

/// Chunks handed over that some reader has yet to pass, at most. A reader tells of 64 it has
/// passed, so the driver hears in time.
pub(crate) const MOST_CHUNKS: u64 = 256;

/// What the handles of a half share with the driver, beside the bytes.
pub(crate) struct RecvShared {
    pub(crate) connection: Arc<ConnShared>,
    pub(crate) id: StreamId,
    /// The pipe whose local leg it is.
    pub(crate) pipe: OnceLock<PipeId>,
    info: Option<OpenOptions>,
    /// In shadow mode.
    witness: Option<Arc<Witness>>,
    mark: Mark,
    wishes: Mutex<Wishes>,
    /// A reader found that the body is not what was announced.
    damaged: AtomicBool,
    /// Of what a pipe passes on: bytes that can be here while none is read. The pipe's window,
    /// which no wish of a reader moves.
    holds: Option<AtomicU64>,
    /// What was left here when the connection ended, until the last handle goes.
    left: OnceLock<Left>,
}

/// What handles wish of the driver.
#[derive(Default)]
pub(crate) struct Wishes {
    /// The peer is to stop.
    stop: Option<AppCode>,
    /// Somebody waits for the bytes below this offset, and reads none before they are here.
    wanted: Option<u64>,
}

impl RecvShared {
    /// If it is not urgent, the driver looks when it is awake. If the peer runs out of credit
    /// meanwhile it says so, and that wakes the driver.
    fn mark(self: &Arc<Self>, urgency: Urgency) {
        let (hub, work) = (&self.connection.shared.hub, || Command::Recv(self.clone()));
        // A driver that takes no more work is about to end the half.
        let _taken = hub.raise(&self.mark, urgency, Part::Alone, work);
    }

    fn wish(self: &Arc<Self>, wish: impl FnOnce(&mut Wishes)) {
        wish(&mut lock(&self.wishes));
        self.mark(Urgency::High);
    }

    /// A reader found another digest than was announced: it counts once, whoever else finds it.
    fn found_damaged(&self) {
        if !self.damaged.swap(true, Relaxed) {
            let counts = &self.connection.shared.messages.counts;
            counts.bodies_damaged.fetch_add(1, Relaxed);
        }
    }

    /// Whether bytes up to `end` can be here while those from `position` on are not read.
    fn can_hold(&self, position: u64, end: u64) -> Result<(), ReadError> {
        let Some(holds) = &self.holds else { return Ok(()) };
        let last = self.info.as_ref().and_then(|info| info.end.or(info.size));
        let wanted = last.map_or(end, |last| end.min(last)).saturating_sub(position);
        let limit = holds.load(Relaxed);
        if wanted > limit { Err(ReadError::PeekTooLong { wanted, limit }) } else { Ok(()) }
    }

    /// For the driver: takes the wishes, before it looks at what was passed.
    pub(crate) fn take(&self) -> Wishes {
        self.mark.clear();
        std::mem::take(&mut lock(&self.wishes))
    }
}

/// The driver's end of a half. Dropped without an end, it leaves readers
/// [`ConnectionError::DriverGone`].
pub(crate) struct Inlet {
    producer: Producer<ReadError>,
    shared: Weak<RecvShared>,
    witness: Option<Arc<Witness>>,
    planted: Planted,
    known: Known,
    /// Bytes were left in the core, because readers hold too many chunks.
    full: bool,
    /// Nothing is handed over yet: a relay may give the stream to a pipe as it is.
    pub(crate) withheld: bool,
}

/// A receiving half: the driver's end, and the first handle.
pub(crate) fn receiving(
    connection: Arc<ConnShared>,
    id: StreamId,
    info: Option<OpenOptions>,
) -> (Inlet, RecvHalf) {
    let start = info.as_ref().map_or(0, |info| info.start);
    let (mark, wishes) = (Mark::default(), Mutex::default());
    let pipe = OnceLock::new();
    let node = &connection.shared;
    let witness = message::witness(info.as_ref(), &node.streaming, node.max_message);
    let planted = node.planted;
    let (inlet, known) = (witness.clone(), Known::of(info.as_ref()));
    let damaged = AtomicBool::new(false);
    let shared = RecvShared {
        connection,
        id,
        pipe,
        info,
        witness,
        mark,
        wishes,
        damaged,
        holds: None,
        left: OnceLock::new(),
    };
    let shared = Arc::new(shared);
    let (teller, weak) = (shared.clone(), Arc::downgrade(&shared));
    let options =
        Options::default().with_start(start).on_release(move |urgency| teller.mark(urgency));
    let (producer, reader) = channel(options, ReadError::Connection(ConnectionError::DriverGone));
    let half = RecvHalf {
        reader: Some(reader),
        shared,
        over: false,
        wanted: 0,
        collected: BytesMut::new(),
        keep: None,
    };
    let (full, withheld) = (false, false);
    let inlet = Inlet { producer, shared: weak, witness: inlet, planted, known, full, withheld };
    (inlet, half)
}

impl Inlet {
    /// Hands over what the core can give, until readers hold `most` chunks.
    pub(crate) fn pump(&mut self, stream: &mut RecvStream<'_>, most: u64) {
        self.pump_while(stream, most, |_| true);
    }

    /// The same, as long as each chunk of so many bytes `fits`; the first that does not is lost.
    fn pump_while(
        &mut self,
        stream: &mut RecvStream<'_>,
        most: u64,
        mut fits: impl FnMut(u64) -> bool,
    ) {
        if self.withheld {
            return;
        }
        let mut room = most.saturating_sub(self.producer.chunks_held());
        let (mut expected, mut end) = (self.producer.pushed(), None);
        let chunks = std::iter::from_fn(|| {
            room = room.checked_sub(1)?;
            match next(stream, expected) {
                Ok(bytes) if !fits(bytes.len() as u64) => None,
                Ok(bytes) => {
                    if let Some(witness) = &self.witness {
                        witness.saw(expected.saturating_sub(self.known.start), &bytes);
                    }
                    let bytes = self.planted.handed_over(expected, bytes);
                    expected += bytes.len() as u64;
                    Some(bytes)
                }
                Err(found) => {
                    (room, end) = (u64::MAX, found);
                    None
                }
            }
        });
        let _ended = self.producer.push_all(chunks);
        self.full = room == 0;
        match end {
            Some(End::Finished) => _ = self.producer.finish(expected),
            Some(End::Failed(error)) => self.fail(error),
            None => {}
        }
    }

    /// The connection is over: hands over what the core still has, as far as there is room for it
    /// among what others left. `false`: there is none even for what was handed over before.
    pub(crate) fn leave(
        &mut self,
        stream: Option<RecvStream<'_>>,
        leftovers: &Arc<Leftovers>,
    ) -> bool {
        let (mut left, here) = (leftovers.part(), leftovers::STREAM + self.producer.held());
        let fits = left.add(here);
        match stream {
            Some(mut stream) if fits => {
                self.pump_while(&mut stream, u64::MAX, |bytes| left.add(bytes));
            }
            _ if fits => {}
            _ => left.count(here),
        }
        if let Some(shared) = self.shared.upgrade() {
            let _counted_before = shared.left.set(left);
        }
        fits
    }

    /// Does what the handles wish. `false`: there are none any more.
    pub(crate) fn serve(&mut self, wishes: &Wishes, stream: Option<RecvStream<'_>>) -> bool {
        let released = self.producer.take_released();
        let read = self.producer.has_readers();
        let Some(mut stream) = stream else { return read };
        if released > 0 {
            stream.release(released);
        }
        if let Some(end) = wishes.wanted {
            stream.request(end);
        }
        if let Some(code) = wishes.stop.or((!read).then_some(AppCode(0))) {
            stream.stop(code);
            self.fail(ReadError::Stopped);
        } else if self.full {
            self.pump(&mut stream, MOST_CHUNKS);
        }
        read
    }

    /// When a pipe takes the stream of `source`: what was handed over and not read, and the offset
    /// behind it, once the core has credit back for what was read. `None`: others read it, too.
    pub(crate) fn take_unread(
        &mut self,
        source: &mut Source,
        stream: Option<RecvStream<'_>>,
    ) -> Option<(Vec<Bytes>, u64)> {
        if self.producer.readers() > 1 || source.is_collecting {
            return None;
        }
        if let Some(mut stream) = stream {
            let told = self.producer.take_released();
            // Its reader tells in batches, and goes now.
            let position = source.reader.as_ref().map_or(0, Reader::position);
            stream.release(told + position.saturating_sub(self.producer.released()));
        }
        let unread = std::iter::from_fn(|| match source.reader.as_mut()?.try_next() {
            Poll::Ready(Some(Ok(bytes))) => Some(bytes),
            _ => None,
        });
        Some((unread.collect(), self.producer.pushed()))
    }

    /// Nothing more comes. The first end holds.
    pub(crate) fn fail(&mut self, error: ReadError) {
        let _first = self.producer.fail(self.known.tell(error, self.producer.pushed()));
    }
}

/// What a node knows of a stream that it receives, whoever ends it.
#[derive(Clone, Copy, Debug)]
struct Known {
    start: u64,
    /// What the sender announced.
    total: Option<u64>,
}

impl Known {
    fn of(info: Option<&OpenOptions>) -> Self {
        let start = info.map_or(0, |info| info.start);
        Self { start, total: info.and_then(|info| info.size) }
    }

    /// Adds to an error how much came, when all below `end` did.
    fn tell(self, error: ReadError, end: u64) -> ReadError {
        match error {
            ReadError::Failed(why) => {
                ReadError::Failed(why.counted(end.saturating_sub(self.start), self.total))
            }
            other => other,
        }
    }
}

/// What comes behind the last byte.
enum End {
    Finished,
    Failed(ReadError),
}

/// The bytes at `expected`; `Err(None)` if they are not here yet.
fn next(stream: &mut RecvStream<'_>, expected: u64) -> Result<Bytes, Option<End>> {
    let error = match stream.read_chunk(usize::MAX) {
        Ok(Some(chunk)) if chunk.offset == expected => return Ok(chunk.data),
        // What is missing will never come; a reader in order has no use for the rest.
        Ok(Some(chunk)) => {
            stream.stop(AppCode(0));
            ReadError::Skipped(expected..chunk.offset)
        }
        Ok(None) => match stream.final_size().filter(|size| *size > expected) {
            Some(size) => ReadError::Skipped(expected..size),
            None => return Err(Some(End::Finished)),
        },
        Err(stream::ReadError::Blocked) => return Err(None),
        Err(error) => why(error),
    };
    Err(Some(End::Failed(error)))
}

/// What an end of the core's means to readers.
fn why(error: stream::ReadError) -> ReadError {
    match error {
        stream::ReadError::Reset { code, hop } => StreamError::of_protocol(code, hop)
            .map_or(ReadError::Reset { code, hop }, ReadError::Failed),
        stream::ReadError::Stuck(why) => ReadError::Failed(StreamError::of_stuck(why)),
        _ => ReadError::Stopped,
    }
}

/// A receiving half that its handle gave away to a pipe.
pub(crate) struct Source {
    pub(crate) shared: Arc<RecvShared>,
    reader: Option<Reader<ReadError>>,
    /// Some of it was collected, and would be lost.
    is_collecting: bool,
    pub(crate) keep: Option<Arc<ConnGuard>>,
}

/// A handle of a receiving half, at its own place in the stream. When the last one is dropped
/// before the end, the peer is asked to stop with code 0.
pub struct RecvHalf {
    /// `None` once this handle has stopped the stream. Dropped first, before the connection.
    reader: Option<Reader<ReadError>>,
    shared: Arc<RecvShared>,
    /// The end was read.
    over: bool,
    /// Credit was asked for up to here.
    wanted: u64,
    /// What [`poll_collect`](Self::poll_collect) has taken and not given. Read first.
    collected: BytesMut,
    keep: Option<Arc<ConnGuard>>,
}

impl RecvHalf {
    pub(crate) fn kept_by(mut self, guard: Arc<ConnGuard>) -> Self {
        self.keep = Some(guard);
        self
    }

    pub(crate) fn shared(&self) -> Arc<RecvShared> {
        self.shared.clone()
    }

    /// Gives the stream to a pipe.
    pub(crate) fn into_source(self) -> Source {
        self.is_read_otherwise();
        let Self { reader, shared, collected, keep, .. } = self;
        Source { shared, reader, is_collecting: !collected.is_empty(), keep }
    }

    /// The stream's id.
    pub fn id(&self) -> StreamId {
        self.shared.id
    }

    /// In shadow mode: what came, beside the hand-over.
    pub(crate) fn witness(&self) -> Option<&Arc<Witness>> {
        self.shared.witness.as_ref()
    }

    /// How the peer introduced the stream; `None` if this side opened it.
    pub fn info(&self) -> Option<&OpenOptions> {
        self.shared.info.as_ref()
    }

    /// A second handle, which stands where this one stands now. Bytes keep their memory and their
    /// credit until the slowest handle has read them, so one that does not read stalls the sender.
    #[must_use]
    pub fn fork(&self) -> Self {
        self.is_read_otherwise();
        Self {
            reader: self.reader.as_ref().map(Reader::fork),
            shared: self.shared.clone(),
            collected: self.collected.clone(),
            keep: self.keep.clone(),
            ..*self
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
        self.is_read_otherwise();
        self.poll_next(cx, max)
    }

    /// The same, on the way to a whole.
    pub(crate) fn poll_next(
        &mut self,
        cx: &mut Context<'_>,
        max: usize,
    ) -> Poll<Result<Option<Bytes>, ReadError>> {
        if !self.collected.is_empty() {
            let len = self.collected.len().min(max.max(1));
            return Poll::Ready(Ok(Some(self.collected.split_to(len).freeze())));
        }
        let Some(reader) = &mut self.reader else { return Poll::Ready(Err(ReadError::Stopped)) };
        let found = ready!(reader.poll_chunk(cx, max));
        self.over = !matches!(found, Some(Ok(_)));
        Poll::Ready(found.transpose())
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
        if !out.has_remaining_mut() {
            return Poll::Ready(Ok(0));
        }
        self.is_read_otherwise();
        if !self.collected.is_empty() {
            let len = self.collected.len().min(out.remaining_mut());
            out.put_slice(&self.collected.split_to(len));
            return Poll::Ready(Ok(len));
        }
        let Some(reader) = &mut self.reader else { return Poll::Ready(Err(ReadError::Stopped)) };
        let found = ready!(reader.poll_fill(cx)).map(<[u8]>::is_empty);
        self.over = !matches!(found, Ok(false));
        found?;
        let mut copied = 0;
        loop {
            let piece = reader.piece();
            let part = piece.get(..out.remaining_mut()).unwrap_or(piece);
            let len = part.len();
            if len == 0 {
                return Poll::Ready(Ok(copied));
            }
            out.put_slice(part);
            reader.consume(len);
            copied += len;
        }
    }

    /// The next `len` bytes as soon as they are here, without reading them; fewer only if no more
    /// will come, none only behind the end. More than the peer has credit for is asked for, and
    /// comes as far as the endpoint's budget allows.
    ///
    /// # Errors
    /// The stream or its connection is over, and all bytes were read;
    /// [`ReadError::PeekTooLong`] for more than the pipe holds whose leg this is.
    pub fn poll_peek(
        &mut self,
        cx: &mut Context<'_>,
        len: usize,
    ) -> Poll<Result<Bytes, ReadError>> {
        if let Some(bytes) = self.collected.get(..len) {
            return Poll::Ready(Ok(Bytes::copy_from_slice(bytes)));
        }
        let Some(reader) = &mut self.reader else { return Poll::Ready(Err(ReadError::Stopped)) };
        let missing = len - self.collected.len();
        let Poll::Ready(bytes) = reader.poll_peek(cx, missing) else {
            let position = reader.position();
            let end = position.saturating_add(missing as u64);
            self.shared.can_hold(position, end)?;
            self.want(end);
            return Poll::Pending;
        };
        if !self.collected.is_empty() {
            return Poll::Ready(Ok([&*self.collected, &*bytes].concat().into()));
        }
        if bytes.is_empty() {
            ready!(reader.poll_fill(cx))?;
        }
        Poll::Ready(Ok(bytes))
    }

    /// Everything from here to the end in one piece, if that is at most `limit` bytes. What was
    /// collected so far stays with this handle, to be collected further or to be read.
    ///
    /// # Errors
    /// The stream or its connection is over before its end; [`ReadError::TooLong`] beyond the
    /// limit. What was collected can still be read.
    pub fn poll_collect(
        &mut self,
        cx: &mut Context<'_>,
        limit: usize,
    ) -> Poll<Result<Bytes, ReadError>> {
        let mut collected = std::mem::take(&mut self.collected);
        let found = loop {
            if collected.len() > limit {
                break Poll::Ready(Err(ReadError::TooLong { limit }));
            }
            match self.poll_next(cx, usize::MAX) {
                Poll::Ready(Ok(Some(chunk))) => collected.extend_from_slice(&chunk),
                Poll::Ready(Ok(None)) => {
                    return Poll::Ready(Ok(self.witnessed(collected.freeze())));
                }
                Poll::Ready(Err(error)) => break Poll::Ready(Err(error)),
                Poll::Pending => break Poll::Pending,
            }
        };
        self.collected = collected;
        found
    }

    /// In shadow mode: there will be no whole to compare.
    fn is_read_otherwise(&self) {
        if let Some(witness) = &self.shared.witness {
            witness.let_go();
        }
    }

    /// What was collected to the end; in shadow mode compared with what came, and that is given.
    fn witnessed(&self, collected: Bytes) -> Bytes {
        let seen = self.shared.witness.as_ref().and_then(|witness| witness.take());
        let node = &self.shared.connection.shared;
        let threshold = node.streaming.streaming_threshold;
        let Some(seen) = seen.filter(|seen| seen.len > threshold) else { return collected };
        let start = Known::of(self.info()).start;
        let (whole, counts) = (seen.bytes, &node.messages.counts);
        message::compare(self.id(), start, &[collected], &whole, counts);
        whole
    }

    /// Asks for credit up to `end`, once.
    fn want(&mut self, end: u64) {
        if self.wanted < end {
            self.wanted = end;
            self.shared.wish(|wishes| wishes.wanted = wishes.wanted.max(Some(end)));
        }
    }

    /// Asks the peer to stop sending; what has arrived is thrown away. Other handles can still read
    /// what was handed over by then.
    pub fn stop(&mut self, code: AppCode) {
        self.collected.clear();
        if !self.over && self.reader.is_some() {
            // Said before this reader goes, which may be the last.
            self.shared.wish(|wishes| _ = wishes.stop.get_or_insert(code));
            self.reader = None;
        }
    }
}

impl std::fmt::Debug for RecvHalf {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_tuple("RecvHalf").field(&self.shared.id).finish()
    }
}
