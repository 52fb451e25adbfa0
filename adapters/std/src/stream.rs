//! Streams: a half to write to and a half to read from.

use std::future::poll_fn;
use std::io::{self, Read, Write};
use std::ops::Range;
use std::time::Duration;

use aqueduct_core::stream::{OpenOptions, Priority};
use aqueduct_core::wire::id::{AppCode, StreamId};
use aqueduct_driver::error::{ConnectionError, ReadError, Stop, StreamError, WriteError};
use aqueduct_driver::{RecvHalf, SendHalf, Verified};
use bytes::Bytes;

use crate::wait::{Error, wait_for};

impl From<SendStream> for SendHalf {
    fn from(stream: SendStream) -> Self {
        stream.half
    }
}

impl From<RecvStream> for RecvHalf {
    fn from(stream: RecvStream) -> Self {
        stream.half
    }
}

/// The half of a stream that this side writes to. Dropped before [`finish`](Self::finish), or with
/// gaps ([`write_at`](Self::write_at)), it is reset with code 0: the peer must not take half a body
/// for a whole one.
#[derive(Debug)]
pub struct SendStream {
    half: SendHalf,
    timeout: Option<Duration>,
}

impl SendStream {
    pub(crate) fn new(half: SendHalf, timeout: Option<Duration>) -> Self {
        Self { half, timeout }
    }

    /// This handle with a time-out for each of its calls that wait; `None`: for ever.
    #[must_use]
    pub fn with_timeout(mut self, timeout: impl Into<Option<Duration>>) -> Self {
        self.timeout = timeout.into();
        self
    }

    /// The stream's id.
    pub fn id(&self) -> StreamId {
        self.half.id()
    }

    /// Writes `bytes` whole and without a copy, once there is room in the queue.
    ///
    /// # Errors
    /// The peer stopped reading, the stream was ended on this side, the connection is over, or the
    /// time-out: then nothing was taken.
    pub fn write_bytes(&mut self, mut bytes: Bytes) -> Result<(), Error<WriteError>> {
        let half = &mut self.half;
        wait_for(poll_fn(|cx| half.poll_write_bytes(cx, &mut bytes)), self.timeout)
    }

    /// Writes `bytes` at `offset` of the body, whole and without a copy: once there is room in the
    /// queue, or at once if they fill a gap, since what lies above may wait for that. Offsets are
    /// of the body, whose first is the `start` of its introduction. Other writes go behind
    /// everything that was written or skipped. A reader in order reads on when the gap before it
    /// was filled or [skipped](Self::skip); gaps can be filled after [`finish`](Self::finish), too.
    ///
    /// Above a gap there is room for what the queue, the send buffer and the peer's credit hold;
    /// beyond, this waits for the gap to be filled, which this same handle has to do: give what
    /// lies lower first, or set a time-out. What fills a gap is taken whatever its size.
    ///
    /// # Errors
    /// [`WriteError::Overlap`] and [`WriteError::OutOfBounds`], which name the offsets; else as
    /// [`write_bytes`](Self::write_bytes).
    pub fn write_at(&mut self, offset: u64, mut bytes: Bytes) -> Result<(), Error<WriteError>> {
        let half = &mut self.half;
        wait_for(poll_fn(|cx| half.poll_write_at(cx, offset, &mut bytes)), self.timeout)
    }

    /// Says that bytes at these offsets will never come. What was written there stays. A reader in
    /// order finds [`ReadError::Skipped`] in their place.
    ///
    /// # Errors
    /// [`WriteError::OutOfBounds`]; else as [`write_bytes`](Self::write_bytes).
    pub fn skip(&mut self, range: Range<u64>) -> Result<(), WriteError> {
        self.half.skip(range)
    }

    /// Marks the end of the stream, without waiting. What was written is still delivered, also if
    /// the stream is dropped now.
    ///
    /// # Errors
    /// The peer stopped reading, the stream was reset, or the connection is over.
    pub fn finish(&mut self) -> Result<(), WriteError> {
        self.half.finish()
    }

    /// Waits until the peer's transport has every byte and the end. Marks the end if that was not
    /// done.
    ///
    /// # Errors
    /// The peer stopped reading, the stream was reset, the connection is over, or the time-out: the
    /// mark stays, and waiting can go on later.
    pub fn delivered(&mut self) -> Result<(), Error<WriteError>> {
        self.half.finish().map_err(Error::Failed)?;
        let half = &mut self.half;
        wait_for(poll_fn(|cx| half.poll_delivered(cx)), self.timeout)
    }

    /// Waits until the peer stops reading, or a node behind it does, and says why and where; `None`
    /// if it was read to the end or reset here.
    ///
    /// # Errors
    /// The connection is over, or the time-out.
    pub fn stopped(&mut self) -> Result<Option<Stop>, Error<ConnectionError>> {
        let half = &mut self.half;
        wait_for(poll_fn(|cx| half.poll_stopped(cx)), self.timeout)
    }

    /// Gives the stream up: what was not acknowledged is not sent again, and the peer learns the
    /// code.
    pub fn reset(&mut self, code: AppCode) {
        self.half.reset(code);
    }

    /// Sets the stream's place among the others of its connection.
    pub fn set_priority(&mut self, priority: Priority) {
        self.half.set_priority(priority);
    }
}

/// Flushing is nothing: what is written is on its way. A write that timed out
/// ([`io::ErrorKind::TimedOut`]) has taken nothing.
impl Write for SendStream {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let half = &mut self.half;
        Ok(wait_for(poll_fn(|cx| half.poll_write(cx, bytes)), self.timeout)?)
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

/// The half of a stream that the peer writes to. Dropped before its end it asks the peer to stop,
/// with code 0.
///
/// [`fork`](Self::fork) gives further handles, each at its own place in the stream, for other
/// threads. Reading takes no lock, and the bytes are shared, not copied. A call that timed out has
/// read nothing.
#[derive(Debug)]
pub struct RecvStream {
    half: RecvHalf,
    timeout: Option<Duration>,
    /// As an iterator it has given its error.
    failed: bool,
}

impl RecvStream {
    pub(crate) fn new(half: RecvHalf, timeout: Option<Duration>) -> Self {
        Self { half, timeout, failed: false }
    }

    /// This handle with a time-out for each of its calls that wait; `None`: for ever.
    #[must_use]
    pub fn with_timeout(mut self, timeout: impl Into<Option<Duration>>) -> Self {
        self.timeout = timeout.into();
        self
    }

    /// The stream's id.
    pub fn id(&self) -> StreamId {
        self.half.id()
    }

    /// How the peer introduced the stream: protocol, size, head. `None` on the receiving half of a
    /// stream that this side opened.
    pub fn info(&self) -> Option<&OpenOptions> {
        self.half.info()
    }

    /// The next bytes in order, at most `max` and at least one, without a copy; `None` at the end.
    ///
    /// # Errors
    /// The stream was reset or stopped, or the connection is over, and all bytes before were given;
    /// or the time-out.
    pub fn read_chunk(&mut self, max: usize) -> Result<Option<Bytes>, Error<ReadError>> {
        let half = &mut self.half;
        wait_for(poll_fn(|cx| half.poll_chunk(cx, max)), self.timeout)
    }

    /// A second handle of this half, at the place where this one stands now. Each gives all bytes
    /// from there on, and the end. Their memory is freed, and the sender gets new credit, when the
    /// slowest has read them: a fork that does not read stalls the sender within its window (of
    /// bytes that come in very small parts it holds at most 256), until it reads or is dropped. The
    /// peer is asked to stop when the last handle is dropped before the end.
    #[must_use]
    pub fn fork(&self) -> Self {
        Self { half: self.half.fork(), ..*self }
    }

    /// The next `len` bytes as soon as they are here, without reading them: the head of a body,
    /// before the rest has come. Fewer only if the stream ends or fails before; none only at the
    /// end. They keep their credit; if `len` is more than the window, the peer is given credit for
    /// it as far as the endpoint's budget allows, and where it does not, this waits for ever. Of
    /// what a pipe passes on no more than its window is here at once, and more is refused.
    ///
    /// # Errors
    /// The stream was reset or stopped, or the connection is over, and all bytes before were read;
    /// [`ReadError::PeekTooLong`], which reads and ends nothing; or the time-out.
    pub fn peek(&mut self, len: usize) -> Result<Bytes, Error<ReadError>> {
        let half = &mut self.half;
        wait_for(poll_fn(|cx| half.poll_peek(cx, len)), self.timeout)
    }

    /// Everything from here to the end in one piece, if that is at most `limit` bytes: what
    /// [`Read::read_to_end`] is with a bound, and without one a peer decides how much memory that
    /// takes. The peer gets new credit for what was collected. After an error or the time-out what
    /// was collected stays with this handle, and can be collected further or be read in another
    /// way.
    ///
    /// # Errors
    /// As [`read_chunk`](Self::read_chunk); [`ReadError::TooLong`] beyond the limit. The time-out
    /// is for all of it.
    pub fn collect_all(&mut self, limit: usize) -> Result<Bytes, Error<ReadError>> {
        let half = &mut self.half;
        wait_for(poll_fn(|cx| half.poll_collect(cx, limit)), self.timeout)
    }

    /// Has the body verified while it is read: the end is only given if the BLAKE3 digest of the
    /// whole is the one that the introduction names, whoever passed the stream on.
    ///
    /// # Errors
    /// Gives the stream back if it cannot be verified: its introduction names no digest, or this
    /// handle does not stand at the beginning of the body.
    pub fn verified(self) -> Result<VerifiedStream, Box<Self>> {
        let Self { half, timeout, failed } = self;
        match half.verified() {
            Ok(inner) => Ok(VerifiedStream { inner, timeout }),
            Err(half) => Err(Box::new(Self { half: *half, timeout, failed })),
        }
    }

    /// Asks the peer to stop sending, and throws away what came. Forks can still read what had come
    /// by then, and find [`ReadError::Stopped`] behind it.
    pub fn stop(&mut self, code: AppCode) {
        self.half.stop(code);
    }
}

/// A read that timed out gives [`io::ErrorKind::TimedOut`] and can be tried again; no end of the
/// stream or of its connection has that kind.
impl Read for RecvStream {
    fn read(&mut self, mut buf: &mut [u8]) -> io::Result<usize> {
        let half = &mut self.half;
        Ok(wait_for(poll_fn(|cx| half.poll_read(cx, &mut buf)), self.timeout)?)
    }
}

/// The bytes in order, in the blocks in which they came. Ends behind the end or an error; the
/// time-out is none, and the next call waits on.
impl Iterator for RecvStream {
    type Item = Result<Bytes, Error<ReadError>>;

    fn next(&mut self) -> Option<Self::Item> {
        if self.failed {
            return None;
        }
        let next = self.read_chunk(usize::MAX);
        self.failed = matches!(next, Err(Error::Failed(_)));
        next.transpose()
    }
}

/// A stream whose end is only given if the whole has the digest that its introduction names. What
/// is given before is unverified.
#[derive(Debug)]
pub struct VerifiedStream {
    inner: Verified,
    timeout: Option<Duration>,
}

impl VerifiedStream {
    /// This handle with a time-out for each of its calls that wait; `None`: for ever.
    #[must_use]
    pub fn with_timeout(mut self, timeout: impl Into<Option<Duration>>) -> Self {
        self.timeout = timeout.into();
        self
    }

    /// The stream's id.
    pub fn id(&self) -> StreamId {
        self.inner.half().id()
    }

    /// How the peer introduced the stream.
    pub fn info(&self) -> Option<&OpenOptions> {
        self.inner.half().info()
    }

    /// The next bytes in order, at most `max` and at least one, without a copy; `None` at the end,
    /// if the digest was right.
    ///
    /// # Errors
    /// [`StreamError::VerificationFailed`] in place of the end, with both digests; else how the
    /// stream ended, or the time-out.
    pub fn read_chunk(&mut self, max: usize) -> Result<Option<Bytes>, Error<StreamError>> {
        let inner = &mut self.inner;
        wait_for(poll_fn(|cx| inner.poll_chunk(cx, max)), self.timeout)
    }
}
