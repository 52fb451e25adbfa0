//! Streams: a half to write to and a half to read from.

use std::future::poll_fn;
use std::io;
use std::ops::Range;
use std::pin::Pin;
use std::task::{Context, Poll, ready};

use aqueduct_core::stream::{OpenOptions, Priority};
use aqueduct_core::wire::id::{AppCode, StreamId};
use aqueduct_driver::error::{ConnectionError, ReadError, Stop, StreamError, WriteError};
use aqueduct_driver::{RecvHalf, SendHalf, Verified};
use bytes::Bytes;
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};

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
}

impl SendStream {
    pub(crate) fn new(half: SendHalf) -> Self {
        Self { half }
    }

    /// The stream's id.
    pub fn id(&self) -> StreamId {
        self.half.id()
    }

    /// Writes `bytes` whole and without a copy, once there is room in the queue.
    ///
    /// Cancel-safe: dropped before it is ready, nothing was taken.
    ///
    /// # Errors
    /// The peer stopped reading, the stream was ended on this side, or the connection is over.
    pub async fn write_bytes(&mut self, mut bytes: Bytes) -> Result<(), WriteError> {
        poll_fn(|cx| self.half.poll_write_bytes(cx, &mut bytes)).await
    }

    /// Writes `bytes` at `offset` of the body, whole and without a copy: once there is room in the
    /// queue, or at once if they fill a gap, since what lies above may wait for that. Offsets are
    /// of the body, whose first is the `start` of its introduction. Other writes go behind
    /// everything that was written or skipped. A reader in order reads on when the gap before it
    /// was filled or [skipped](Self::skip); gaps can be filled after [`finish`](Self::finish), too.
    ///
    /// Above a gap there is room for what the queue, the send buffer and the peer's credit hold;
    /// beyond, this waits for the gap to be filled, which this same handle has to do: give what
    /// lies lower first, or bound the wait. What fills a gap is taken whatever its size.
    ///
    /// Cancel-safe: dropped before it is ready, nothing was taken.
    ///
    /// # Errors
    /// [`WriteError::Overlap`] and [`WriteError::OutOfBounds`], which name the offsets; else as
    /// [`write_bytes`](Self::write_bytes).
    pub async fn write_at(&mut self, offset: u64, mut bytes: Bytes) -> Result<(), WriteError> {
        poll_fn(|cx| self.half.poll_write_at(cx, offset, &mut bytes)).await
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
    /// Cancel-safe: the mark stays, and waiting can go on later.
    ///
    /// # Errors
    /// The peer stopped reading, the stream was reset, or the connection is over.
    pub async fn delivered(&mut self) -> Result<(), WriteError> {
        self.half.finish()?;
        poll_fn(|cx| self.half.poll_delivered(cx)).await
    }

    /// Waits until the peer stops reading, or a node behind it does, and says why and where; `None`
    /// if it was read to the end or reset here.
    ///
    /// Cancel-safe.
    ///
    /// # Errors
    /// The connection is over.
    pub async fn stopped(&mut self) -> Result<Option<Stop>, ConnectionError> {
        poll_fn(|cx| self.half.poll_stopped(cx)).await
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

/// `poll_shutdown` is [`finish`](SendStream::finish). Flushing is nothing: what is written is on
/// its way. Cancel-safe: what a dropped `write` did not report was not taken.
impl AsyncWrite for SendStream {
    fn poll_write(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        self.half.poll_write(cx, bytes).map_err(Into::into)
    }

    fn poll_flush(self: Pin<&mut Self>, _cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, _cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(self.half.finish().map_err(Into::into))
    }
}

/// Whole blocks, without a copy, each once there is room in the queue. Closing is
/// [`finish`](SendStream::finish). Flushing is nothing, as of [`AsyncWrite`]: blocks may still
/// wait for the peer, and what became of them the next block or
/// [`delivered`](SendStream::delivered) says. Where both traits are in scope, name the one that is
/// meant (`SinkExt::flush(&mut stream)`).
impl futures_sink::Sink<Bytes> for SendStream {
    type Error = WriteError;

    fn poll_ready(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Result<(), Self::Error>> {
        self.half.poll_ready(cx)
    }

    fn start_send(mut self: Pin<&mut Self>, bytes: Bytes) -> Result<(), Self::Error> {
        self.half.push(bytes)
    }

    fn poll_flush(self: Pin<&mut Self>, _cx: &mut Context<'_>) -> Poll<Result<(), Self::Error>> {
        Poll::Ready(Ok(()))
    }

    fn poll_close(
        mut self: Pin<&mut Self>,
        _cx: &mut Context<'_>,
    ) -> Poll<Result<(), Self::Error>> {
        Poll::Ready(self.half.finish())
    }
}

/// The half of a stream that the peer writes to. Dropped before its end it asks the peer to stop,
/// with code 0.
///
/// [`fork`](Self::fork) gives further handles, each at its own place in the stream, for other tasks
/// or threads. Reading takes no lock, and the bytes are shared, not copied.
#[derive(Debug)]
pub struct RecvStream {
    half: RecvHalf,
    /// As a `Stream` it has given its error.
    failed: bool,
}

impl RecvStream {
    pub(crate) fn new(half: RecvHalf) -> Self {
        Self { half, failed: false }
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
    /// Cancel-safe.
    ///
    /// # Errors
    /// The stream was reset or stopped, or the connection is over; all bytes before were given.
    pub async fn read_chunk(&mut self, max: usize) -> Result<Option<Bytes>, ReadError> {
        poll_fn(|cx| self.half.poll_chunk(cx, max)).await
    }

    /// A second handle of this half, at the place where this one stands now. Each gives all bytes
    /// from there on, and the end. Their memory is freed, and the sender gets new credit, when the
    /// slowest has read them: a fork that does not read stalls the sender within its window (of
    /// bytes that come in very small parts it holds at most 256), until it reads or is dropped. The
    /// peer is asked to stop when the last handle is dropped before the end.
    #[must_use]
    pub fn fork(&self) -> Self {
        Self { half: self.half.fork(), failed: self.failed }
    }

    /// The next `len` bytes as soon as they are here, without reading them: the head of a body,
    /// before the rest has come. Fewer only if the stream ends or fails before; none only at the
    /// end. They keep their credit; if `len` is more than the window, the peer is given credit for
    /// it as far as the endpoint's budget allows, and where it does not, this waits for ever. Of
    /// what a pipe passes on no more than its window is here at once, and more is refused.
    ///
    /// Cancel-safe: it reads nothing.
    ///
    /// # Errors
    /// The stream was reset or stopped, or the connection is over, and all bytes before were read;
    /// [`ReadError::PeekTooLong`], which reads and ends nothing.
    pub async fn peek(&mut self, len: usize) -> Result<Bytes, ReadError> {
        poll_fn(|cx| self.half.poll_peek(cx, len)).await
    }

    /// Everything from here to the end in one piece, if that is at most `limit` bytes. The peer
    /// gets new credit for what was collected.
    ///
    /// Cancel-safe: what was collected stays with this handle, and can be collected further or be
    /// read in another way. So it is after an error.
    ///
    /// # Errors
    /// As [`read_chunk`](Self::read_chunk); [`ReadError::TooLong`] beyond the limit.
    pub async fn collect_all(&mut self, limit: usize) -> Result<Bytes, ReadError> {
        poll_fn(|cx| self.half.poll_collect(cx, limit)).await
    }

    /// The same as a vector, which the caller may change.
    ///
    /// Cancel-safe, as [`collect_all`](Self::collect_all).
    ///
    /// # Errors
    /// As [`collect_all`](Self::collect_all).
    pub async fn read_to_end(&mut self, limit: usize) -> Result<Vec<u8>, ReadError> {
        Ok(self.collect_all(limit).await?.into())
    }

    /// Has the body verified while it is read: the end is only given if the BLAKE3 digest of the
    /// whole is the one that the introduction names, whoever passed the stream on.
    ///
    /// # Errors
    /// Gives the stream back if it cannot be verified: its introduction names no digest, or this
    /// handle does not stand at the beginning of the body.
    pub fn verified(self) -> Result<VerifiedStream, Box<Self>> {
        let failed = self.failed;
        match self.half.verified() {
            Ok(inner) => Ok(VerifiedStream { inner }),
            Err(half) => Err(Box::new(Self { half: *half, failed })),
        }
    }

    /// Asks the peer to stop sending, and throws away what came. Forks can still read what had come
    /// by then, and find [`ReadError::Stopped`] behind it.
    pub fn stop(&mut self, code: AppCode) {
        self.half.stop(code);
    }
}

/// Cancel-safe: what a dropped `read` did not give stays.
impl AsyncRead for RecvStream {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        ready!(self.half.poll_read(cx, buf))?;
        Poll::Ready(Ok(()))
    }
}

/// The bytes in order, in the blocks in which they came. Ends behind the end or an error.
/// Cancel-safe: what a dropped `next` did not give stays.
impl futures_core::Stream for RecvStream {
    type Item = Result<Bytes, ReadError>;

    fn poll_next(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        if self.failed {
            return Poll::Ready(None);
        }
        let next = ready!(self.half.poll_chunk(cx, usize::MAX));
        self.failed = next.is_err();
        Poll::Ready(next.transpose())
    }
}

/// A stream whose end is only given if the whole has the digest that its introduction names. What
/// is given before is unverified.
#[derive(Debug)]
pub struct VerifiedStream {
    inner: Verified,
}

impl VerifiedStream {
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
    /// Cancel-safe.
    ///
    /// # Errors
    /// [`StreamError::VerificationFailed`] in place of the end, with both digests; else how the
    /// stream ended.
    pub async fn read_chunk(&mut self, max: usize) -> Result<Option<Bytes>, StreamError> {
        poll_fn(|cx| self.inner.poll_chunk(cx, max)).await
    }
}
