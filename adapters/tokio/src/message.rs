//! Messages that choose their way.

use std::future::poll_fn;
use std::io;
use std::pin::Pin;
use std::task::{Context, Poll, ready};

use aqueduct_core::wire::id::StreamId;
use aqueduct_driver::error::StreamError;
use aqueduct_driver::message::{self, ChunkSource, StreamingSerialize};
use bytes::{Bytes, BytesMut};
use tokio::io::{AsyncRead, ReadBuf};

use crate::stream::{RecvStream, SendStream};

/// A message, by the way that it came.
#[derive(Debug)]
#[non_exhaustive]
pub enum Received {
    /// All of it.
    Whole(Bytes),
    /// To be read while it arrives.
    Stream(MessageStream),
}

impl Received {
    pub(crate) fn new(inner: message::Received) -> Self {
        match inner {
            message::Received::Whole(message) => Self::Whole(message),
            message::Received::Stream(inner) => {
                Self::Stream(MessageStream { inner, failed: false })
            }
        }
    }
}

/// A message that comes as a stream. Reading it to its end ([`read_chunk`](Self::read_chunk) gives
/// `None`) verifies it and tells the sender, who waits for that; dropped before, the sender learns
/// that nobody wants the rest.
#[derive(Debug)]
pub struct MessageStream {
    inner: message::MessageStream,
    /// As a `Stream` it has given its error.
    failed: bool,
}

impl MessageStream {
    /// The stream's id.
    pub fn id(&self) -> StreamId {
        self.inner.id()
    }

    /// The size that the sender announced, in bytes. A message of another size ends with an error.
    pub fn size(&self) -> u64 {
        self.inner.size()
    }

    /// The next bytes in order, at most `max` and at least one, without a copy; `None` at the end,
    /// when the digest was found right. What is given before that is not verified yet.
    ///
    /// Cancel-safe.
    ///
    /// # Errors
    /// The sender gave up, the size or the digest is another than announced, or the connection is
    /// over.
    pub async fn read_chunk(&mut self, max: usize) -> Result<Option<Bytes>, StreamError> {
        poll_fn(|cx| self.inner.poll_chunk(cx, max)).await
    }

    /// All of it, verified. Memory grows with what comes, not with what was announced.
    ///
    /// Not cancel-safe: a future that is dropped gives the message up.
    ///
    /// # Errors
    /// As [`read_chunk`](Self::read_chunk).
    pub async fn collect_all(mut self) -> Result<Bytes, StreamError> {
        let mut all = BytesMut::new();
        while let Some(chunk) = self.read_chunk(usize::MAX).await? {
            all.extend_from_slice(&chunk);
        }
        Ok(all.freeze())
    }

    /// The streams that the message is, to be passed on while it comes: its body, and the way back
    /// for the verdict. `None` after its end.
    ///
    /// Each goes through a pipe ([`Endpoint::pipe`]): the body to a stream of both directions that
    /// was opened with [`OpenOptions::forwarded`] of its introduction, and what comes back on that
    /// to the verdict's. At its end it is a message again, with the same size and digest, and the
    /// sender hears the verdict of who reads it there. What was read here before is the caller's to
    /// write to the leg first.
    ///
    /// [`Endpoint::pipe`]: crate::Endpoint::pipe
    /// [`OpenOptions::forwarded`]: crate::OpenOptions::forwarded
    pub fn into_streams(self) -> Option<(RecvStream, SendStream)> {
        let (body, verdict) = self.inner.into_streams()?;
        Some((RecvStream::new(body), SendStream::new(verdict)))
    }

    /// Does not want it: the sender learns that it was refused.
    pub fn refuse(self) {
        self.inner.refuse();
    }
}

/// The bytes in order, in the blocks in which they came. Ends behind the end or an error.
impl futures_core::Stream for MessageStream {
    type Item = Result<Bytes, StreamError>;

    fn poll_next(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        if self.failed {
            return Poll::Ready(None);
        }
        let next = ready!(self.inner.poll_chunk(cx, usize::MAX));
        self.failed = next.is_err();
        Poll::Ready(next.transpose())
    }
}

/// What an [`AsyncRead`] gives, with the number of bytes that it has: a message that is sent while
/// it is read.
#[derive(Debug)]
pub struct AsyncReading<R> {
    total: u64,
    reader: R,
    buf: Box<[u8]>,
}

/// Bytes that are read at a time.
const PIECE: usize = 64 * 1024;

impl<R: AsyncRead> AsyncReading<R> {
    /// Everything that `reader` has, `total` bytes.
    pub fn new(total: u64, reader: R) -> Self {
        Self { total, reader, buf: vec![0; PIECE].into() }
    }
}

impl<R: AsyncRead + Send + Unpin> ChunkSource for AsyncReading<R> {
    fn poll_chunk(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<Option<Bytes>>> {
        let mut buf = ReadBuf::new(&mut self.buf);
        ready!(Pin::new(&mut self.reader).poll_read(cx, &mut buf))?;
        let piece = buf.filled();
        Poll::Ready(Ok((!piece.is_empty()).then(|| Bytes::copy_from_slice(piece))))
    }
}

impl<R: AsyncRead + Send + Unpin> StreamingSerialize for AsyncReading<R> {
    type Source = Self;

    fn start_serialize(self) -> (u64, Self) {
        (self.total, self)
    }
}
