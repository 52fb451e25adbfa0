//! Messages that choose their way.

use std::future::poll_fn;
use std::time::Duration;

use aqueduct_core::wire::id::StreamId;
use aqueduct_driver::error::StreamError;
use aqueduct_driver::message;
use bytes::{Bytes, BytesMut};

use crate::stream::{RecvStream, SendStream};
use crate::wait::{Error, wait_for};

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
    pub(crate) fn new(inner: message::Received, timeout: Option<Duration>) -> Self {
        match inner {
            message::Received::Whole(message) => Self::Whole(message),
            message::Received::Stream(inner) => {
                Self::Stream(MessageStream { inner, timeout, failed: false })
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
    timeout: Option<Duration>,
    /// As an iterator it has given its error.
    failed: bool,
}

impl MessageStream {
    /// This handle with a time-out for each of its calls that wait; `None`: for ever.
    #[must_use]
    pub fn with_timeout(mut self, timeout: impl Into<Option<Duration>>) -> Self {
        self.timeout = timeout.into();
        self
    }

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
    /// # Errors
    /// The sender gave up, the size or the digest is another than announced, the connection is
    /// over, or the time-out: then nothing was read.
    pub fn read_chunk(&mut self, max: usize) -> Result<Option<Bytes>, Error<StreamError>> {
        let inner = &mut self.inner;
        wait_for(poll_fn(|cx| inner.poll_chunk(cx, max)), self.timeout)
    }

    /// All of it, verified. Memory grows with what comes, not with what was announced.
    ///
    /// # Errors
    /// As [`read_chunk`](Self::read_chunk), and the message is given up. The time-out is for all of
    /// it; who wants to keep what came by then reads chunks.
    pub fn collect_all(self) -> Result<Bytes, Error<StreamError>> {
        let Self { mut inner, timeout, .. } = self;
        let whole = async {
            let mut all = BytesMut::new();
            while let Some(chunk) = poll_fn(|cx| inner.poll_chunk(cx, usize::MAX)).await? {
                all.extend_from_slice(&chunk);
            }
            Ok(all.freeze())
        };
        wait_for(whole, timeout)
    }

    /// The streams that the message is, to be passed on while it comes: its body, and the way back
    /// for the verdict. `None` after its end. They have the message's time-out.
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
        Some((RecvStream::new(body, self.timeout), SendStream::new(verdict, self.timeout)))
    }

    /// Does not want it: the sender learns that it was refused.
    pub fn refuse(self) {
        self.inner.refuse();
    }
}

/// The bytes in order, in the blocks in which they came. Ends behind the end or an error; the
/// time-out is none, and the next call waits on.
impl Iterator for MessageStream {
    type Item = Result<Bytes, Error<StreamError>>;

    fn next(&mut self) -> Option<Self::Item> {
        if self.failed {
            return None;
        }
        let next = self.read_chunk(usize::MAX);
        self.failed = matches!(next, Err(Error::Failed(_)));
        next.transpose()
    }
}
