//! A message that comes as a stream: read while it arrives, verified at its end.

use std::sync::Arc;
use std::sync::atomic::Ordering::Relaxed;
use std::task::{Context, Poll, ready};
use std::time::Instant;

use aqueduct_core::wire::id::{AppCode, StreamId};
use bytes::{Bytes, BytesMut};

use crate::connection::ConnGuard;
use crate::error::StreamError;
use crate::recv::RecvHalf;
use crate::send::SendHalf;
use crate::stats::MessageTally;

use super::shadow::Seen;
use super::{DIGEST, VERIFIED, WRONG, Witness};

/// The two directions of the stream: the body, and the verdict.
struct Halves {
    send: SendHalf,
    recv: RecvHalf,
}

impl Halves {
    fn give_up(&mut self, code: AppCode) {
        self.recv.stop(code);
        self.send.reset(code);
    }
}

/// A message that comes as a stream. Reading it to its end verifies it and tells the sender the
/// verdict; dropped before, the sender learns that nobody wants the rest.
pub struct MessageStream {
    id: StreamId,
    /// `None` once they were given away.
    halves: Option<Halves>,
    total: u64,
    /// The digest stands behind the body.
    trailing: bool,
    /// Bytes of the body that were read, the digest behind it included.
    read: u64,
    hasher: blake3::Hasher,
    /// What the sender says that the digest is, as far as it is here.
    expected: BytesMut,
    tally: Arc<MessageTally>,
    /// When it was announced.
    begun: Instant,
    end: Option<Result<(), StreamError>>,
    /// In shadow mode, at the end: what came, with the digest behind it.
    whole: Option<Bytes>,
    /// It keeps its connection open, once the application has it.
    keep: Option<Arc<ConnGuard>>,
}

/// A body at its end, by one of the ways that it took.
struct Ended {
    /// Its bytes, and the digest's behind it.
    given: u64,
    /// The digest that the sender announced, if all of it is there.
    expected: Option<[u8; 32]>,
    /// The one of the bytes.
    actual: [u8; 32],
}

impl MessageStream {
    /// Takes a stream that is introduced as a message. `None` if a message cannot be introduced so:
    /// the stream is refused.
    pub(crate) fn new(
        send: Option<SendHalf>,
        mut recv: RecvHalf,
        tally: Arc<MessageTally>,
    ) -> Option<Self> {
        let info = recv.info().filter(|info| info.start == 0 && info.end.is_none());
        let said = info.and_then(|info| Some((info.size?, info.digest)));
        let (Some((total, digest)), Some(send)) = (said, send) else {
            recv.stop(StreamError::REFUSED);
            return None;
        };
        let expected = digest.as_ref().map_or_else(BytesMut::new, |digest| digest[..].into());
        let (begun, hasher) = (Instant::now(), blake3::Hasher::new());
        let (id, trailing) = (recv.id(), digest.is_none());
        Some(Self {
            id,
            halves: Some(Halves { send, recv }),
            total,
            trailing,
            read: 0,
            hasher,
            expected,
            tally,
            begun,
            end: None,
            whole: None,
            keep: None,
        })
    }

    /// The streams that the message is: what comes, by whose introduction a leg is opened, and the
    /// way back for the receiver's verdict. To be piped both, so that the message goes on while it
    /// comes (spec R-MODE-15); what was read before is the caller's to write. `None` after the end.
    pub fn into_streams(mut self) -> Option<(RecvHalf, SendHalf)> {
        let Halves { send, recv } = self.halves.take().filter(|_| self.end.is_none())?;
        Some(match self.keep.take() {
            Some(guard) => (recv.kept_by(guard.clone()), send.kept_by(guard)),
            None => (recv, send),
        })
    }

    pub(crate) fn kept_by(mut self, guard: &Arc<ConnGuard>) -> Self {
        self.keep = Some(guard.clone());
        self
    }

    /// The stream's id.
    pub fn id(&self) -> StreamId {
        self.id
    }

    /// In shadow mode: what came, beside what is read here.
    pub(super) fn witness(&self) -> Option<&Arc<Witness>> {
        self.halves.as_ref().and_then(|halves| halves.recv.witness())
    }

    /// In shadow mode, once it has come to its end: what came, and the digest behind it as the
    /// reader has it. Both end with that digest, if it is not in OPEN.
    pub(super) fn take_whole(&mut self) -> Option<(Bytes, Bytes)> {
        let whole = self.whole.take()?;
        let behind = if self.trailing { self.expected.split().freeze() } else { Bytes::new() };
        Some((whole, behind))
    }

    /// The message's size in bytes, as the sender announced it. Nothing is allocated by it; a
    /// message of another size ends with an error.
    pub fn size(&self) -> u64 {
        self.total
    }

    /// The next bytes in order, at most `max` and at least one; `None` at the end, when the digest
    /// was found right. What is given before that is not verified yet.
    ///
    /// # Errors
    /// The stream ended otherwise, has another size or another digest, or its connection is over.
    pub fn poll_chunk(
        &mut self,
        cx: &mut Context<'_>,
        max: usize,
    ) -> Poll<Result<Option<Bytes>, StreamError>> {
        loop {
            if let Some(end) = &self.end {
                return Poll::Ready(end.clone().map(|()| None));
            }
            let left = self.total.saturating_sub(self.read);
            // Beyond the body stands the digest, which is small.
            let most = if left == 0 { max.max(1) } else { at_most(left, max) };
            let Some(halves) = &mut self.halves else {
                return Poll::Ready(Err(StreamError::Cancelled { hop: None }));
            };
            let chunk = match ready!(halves.recv.poll_next(cx, most)) {
                Ok(Some(chunk)) => chunk,
                Ok(None) => {
                    let end = self.conclude(cx);
                    self.finish(end);
                    continue;
                }
                Err(error) => {
                    let (received, total) = (self.read.min(self.total), self.total);
                    let error = StreamError::from(error).at(received, total);
                    self.finish(Err(error));
                    continue;
                }
            };
            if self.read == 0 {
                self.tally.first_fragment.note(self.begun.elapsed());
            }
            self.read += chunk.len() as u64;
            if left > 0 {
                self.hasher.update(&chunk);
                return Poll::Ready(Ok(Some(chunk)));
            }
            // One byte too many says as much as all.
            let room = (DIGEST as usize + 1).saturating_sub(self.expected.len());
            self.expected.extend_from_slice(chunk.get(..room).unwrap_or(&chunk));
            let is_long = self.expected.len() as u64 > DIGEST;
            if self.witness().map_or(is_long, |witness| witness.is_overfull()) {
                let end = self.wrong_size(self.read);
                self.finish(Err(end));
            }
        }
    }

    /// What was read, at its end.
    fn streamed(&self) -> Ended {
        let expected = <[u8; 32]>::try_from(&*self.expected).ok();
        Ended { given: self.read, expected, actual: self.hasher.finalize().into() }
    }

    /// What came, at its end.
    fn whole(&self, seen: &Seen) -> Ended {
        let body =
            usize::try_from(self.total).ok().and_then(|len| seen.bytes.split_at_checked(len));
        let (body, behind) = body.unwrap_or((&seen.bytes, &[]));
        let info = self.halves.as_ref().and_then(|halves| halves.recv.info());
        let digest = info.and_then(|info| info.digest);
        let expected = digest.or_else(|| behind.try_into().ok());
        Ended { given: seen.len, expected, actual: blake3::hash(body).into() }
    }

    /// The body has ended: gives the verdict. In shadow mode it is about what came, whatever was
    /// read.
    fn conclude(&mut self, cx: &mut Context<'_>) -> Result<(), StreamError> {
        let seen = self.witness().and_then(|witness| witness.take());
        let ended = seen.as_ref().map_or_else(|| self.streamed(), |seen| self.whole(seen));
        self.whole = seen.map(|seen| seen.bytes);
        let Ended { given, expected, actual } = ended;
        let behind = if self.trailing { DIGEST } else { 0 };
        let Some(expected) = expected.filter(|_| given == self.total.saturating_add(behind)) else {
            return Err(self.wrong_size(given));
        };
        let right = blake3::Hash::from(expected) == blake3::Hash::from(actual);
        let mut verdict = vec![if right { VERIFIED } else { WRONG }];
        if !right {
            verdict.extend_from_slice(&actual);
        }
        // The queue of answers is empty, so that all of it is taken; if the sender does not listen
        // any more, that is the sender's.
        if let Some(Halves { send, .. }) = &mut self.halves {
            let _told = send.poll_write(cx, &verdict);
            let _told = if right { send.finish() } else { send.finish_with(StreamError::DAMAGED) };
        }
        if right {
            return Ok(());
        }
        let (expected, actual) = (Some(expected), Some(actual));
        Err(StreamError::VerificationFailed { expected, actual, hop: None })
    }

    fn finish(&mut self, end: Result<(), StreamError>) {
        match &end {
            Ok(()) => {
                self.tally.complete.note(self.begun.elapsed());
                self.tally.counts.streamed_received.fetch_add(1, Relaxed);
                self.tally.counts.streamed_bytes_received.fetch_add(self.total, Relaxed);
            }
            Err(error) => {
                self.tally.counts.failed.fetch_add(1, Relaxed);
                // Without a distance it was found here.
                let code = match error {
                    StreamError::VerificationFailed { hop: None, .. } => None,
                    StreamError::WrongSize { hop: None, .. } => Some(StreamError::WRONG_SIZE),
                    _ => Some(StreamError::CANCELLED),
                };
                match (code, &mut self.halves) {
                    (None, _) => _ = self.tally.counts.verification_failures.fetch_add(1, Relaxed),
                    (Some(code), Some(halves)) => halves.give_up(code),
                    (Some(_), None) => {}
                }
            }
        }
        self.end = Some(end);
    }

    /// The body and what stands behind it are `came` bytes together.
    fn wrong_size(&self, came: u64) -> StreamError {
        self.tally.counts.size_failures.fetch_add(1, Relaxed);
        let given = came.saturating_sub(if self.trailing { DIGEST } else { 0 });
        StreamError::WrongSize { announced: Some(self.total), given: Some(given), hop: None }
    }

    /// Does not want the message: the sender learns that it was refused.
    pub fn refuse(mut self) {
        self.give_up(true);
    }

    fn give_up(&mut self, refused: bool) {
        if let (None, Some(halves)) = (&self.end, &mut self.halves) {
            let code = if refused { StreamError::REFUSED } else { StreamError::CANCELLED };
            halves.give_up(code);
            self.end = Some(Err(StreamError::Cancelled { hop: None }));
        }
    }
}

impl Drop for MessageStream {
    fn drop(&mut self) {
        self.give_up(false);
    }
}

fn at_most(left: u64, max: usize) -> usize {
    usize::try_from(left).unwrap_or(usize::MAX).min(max).max(1)
}

impl std::fmt::Debug for MessageStream {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("MessageStream")
            .field("id", &self.id())
            .field("size", &self.total)
            .field("read", &self.read)
            .finish_non_exhaustive()
    }
}
