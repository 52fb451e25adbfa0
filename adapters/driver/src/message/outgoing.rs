//! A message on its way out, whichever way it takes.

use std::future::poll_fn;
use std::sync::atomic::Ordering::Relaxed;

use aqueduct_core::stream::{OpenOptions, StreamProtocol};
use aqueduct_core::wire::capabilities::Mode;
use aqueduct_core::wire::id::{AppCode, Dir, StreamId};
use aqueduct_core::wire::protocol::STREAMED_MESSAGE;
use bytes::{Bytes, BytesMut};

use crate::connection::Connection;
use crate::error::{SendError, StreamError};
use crate::recv::RecvHalf;
use crate::send::SendHalf;
use crate::wait::lock;

use super::source::{ChunkSource, StreamingSerialize};
use super::{VERIFIED, WRONG};

/// Which way a message took.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Sent {
    /// As a whole message; it is taken for sending.
    Whole,
    /// As this stream; the receiver has read and verified it.
    Streamed(StreamId),
}

/// Counts what a source gives against what was announced.
struct Count {
    announced: u64,
    given: u64,
}

impl Count {
    fn add(&mut self, chunk: &Bytes) -> Result<(), SendError> {
        self.given += chunk.len() as u64;
        if self.given > self.announced { Err(self.wrong()) } else { Ok(()) }
    }

    fn done(&self) -> Result<(), SendError> {
        if self.given == self.announced { Ok(()) } else { Err(self.wrong()) }
    }

    fn wrong(&self) -> SendError {
        let (announced, given) = (Some(self.announced), Some(self.given));
        StreamError::WrongSize { announced, given, hop: None }.into()
    }
}

/// A stream that carries a message. Dropped half-way, it is cancelled.
struct Stream {
    send: SendHalf,
    recv: RecvHalf,
    over: bool,
}

impl Stream {
    async fn write(&mut self, mut chunk: Bytes) -> Result<(), SendError> {
        let written = poll_fn(|cx| self.send.poll_write_bytes(cx, &mut chunk)).await;
        written.map_err(|error| StreamError::from(error).into())
    }

    fn give_up(&mut self, code: AppCode) {
        self.over = true;
        self.send.reset(code);
        self.recv.stop(code);
    }

    /// Waits for the receiver's word on `digest`.
    async fn verdict(&mut self, digest: [u8; 32]) -> Result<(), SendError> {
        let mut said = BytesMut::new();
        let end = loop {
            let piece = poll_fn(|cx| self.recv.poll_chunk(cx, 64)).await;
            let piece = match piece.map_err(StreamError::from) {
                Ok(Some(piece)) => piece,
                Ok(None) => break Ok(()),
                Err(error) => break Err(error),
            };
            if said.len() + piece.len() > 64 {
                return Err(StreamError::BadVerdict.into());
            }
            said.extend_from_slice(&piece);
        };
        let error = match (said.split_first(), end) {
            (Some((&VERIFIED, [])), Ok(())) => return Ok(()),
            // How far away it was found is what the reset behind it says.
            (Some((&WRONG, found)), Err(StreamError::VerificationFailed { hop, .. })) => {
                let (expected, actual) = (Some(digest), found.try_into().ok());
                StreamError::VerificationFailed { expected, actual, hop }
            }
            (_, Err(error)) => error,
            (_, Ok(())) => StreamError::BadVerdict,
        };
        Err(error.into())
    }
}

impl Drop for Stream {
    fn drop(&mut self) {
        if !self.over {
            self.give_up(StreamError::CANCELLED);
        }
    }
}

impl Connection {
    /// Sends a message by the way that its size and the peer ask for: whole if it is not larger
    /// than the threshold or the peer takes no streams, else as a stream. A whole one is sent when
    /// the core has taken it; a streamed one when the receiver has read it to its end and found its
    /// digest right. Dropped before, a streamed message is cancelled and a whole one is sent whole
    /// or not at all.
    ///
    /// # Errors
    /// The source failed or gave more or fewer bytes than it announced, the receiver does not want
    /// the message or got another one, it is too large to be sent whole, or the connection is over.
    pub async fn send_auto<T: StreamingSerialize>(&self, object: T) -> Result<Sent, SendError> {
        let known = object.digest();
        let (total, source) = object.start_serialize();
        let shared = &self.shared().shared;
        let (mode, limit) = {
            let state = lock(self.state());
            (state.mode, state.max_message)
        };
        let small = total <= shared.streaming.streaming_threshold;
        let counts = &shared.messages.counts;
        if small && total <= limit || mode < Mode::StreamingReassemble {
            self.send_whole(total, limit, source).await?;
            return Ok(Sent::Whole);
        }
        let sent = self.send_streamed(total, known, source).await;
        if let Err(SendError::Stream(StreamError::VerificationFailed {
            expected: Some(_), ..
        })) = sent
        {
            counts.refuted.fetch_add(1, Relaxed);
        }
        let id = sent?;
        counts.streamed_sent.fetch_add(1, Relaxed);
        counts.streamed_bytes_sent.fetch_add(total, Relaxed);
        Ok(Sent::Streamed(id))
    }

    async fn send_whole(
        &self,
        total: u64,
        limit: u64,
        mut source: impl ChunkSource,
    ) -> Result<(), SendError> {
        if total > limit {
            return Err(SendError::TooLarge { size: total, limit });
        }
        let mut count = Count { announced: total, given: 0 };
        let (mut first, mut all) = (Bytes::new(), BytesMut::new());
        while let Some(chunk) = poll_fn(|cx| source.poll_chunk(cx)).await? {
            count.add(&chunk)?;
            if first.is_empty() && all.is_empty() {
                first = chunk;
            } else {
                all.extend_from_slice(&std::mem::take(&mut first));
                all.extend_from_slice(&chunk);
            }
        }
        count.done()?;
        let whole = if all.is_empty() { first } else { all.freeze() };
        Ok(self.send_message(whole).await?)
    }

    async fn send_streamed(
        &self,
        total: u64,
        known: Option<[u8; 32]>,
        source: impl ChunkSource,
    ) -> Result<StreamId, SendError> {
        let mut options = OpenOptions::new(StreamProtocol::Number(STREAMED_MESSAGE));
        options.size = Some(total);
        options.digest = known;
        let (send, recv) = self.open(Dir::Bi, options).await?;
        let recv = recv.ok_or(StreamError::BadVerdict)?;
        let id = send.id();
        let mut stream = Stream { send, recv, over: false };
        let sent = stream.send(total, known, source).await;
        match &sent {
            Ok(()) => stream.over = true,
            Err(SendError::Stream(StreamError::WrongSize { .. })) => {
                stream.give_up(StreamError::WRONG_SIZE);
            }
            Err(_) => stream.give_up(StreamError::CANCELLED),
        }
        sent.map(|()| id)
    }
}

impl Stream {
    async fn send(
        &mut self,
        total: u64,
        known: Option<[u8; 32]>,
        mut source: impl ChunkSource,
    ) -> Result<(), SendError> {
        let mut count = Count { announced: total, given: 0 };
        let mut hasher = blake3::Hasher::new();
        while let Some(chunk) = poll_fn(|cx| source.poll_chunk(cx)).await? {
            count.add(&chunk)?;
            hasher.update(&chunk);
            self.write(chunk).await?;
        }
        count.done()?;
        let digest: [u8; 32] = hasher.finalize().into();
        if known.is_none() {
            self.write(Bytes::copy_from_slice(&digest)).await?;
        }
        self.send.finish().map_err(StreamError::from)?;
        self.verdict(known.unwrap_or(digest)).await
    }
}
