//! Whole reliable messages, each on a stream of its own.

use alloc::collections::{BTreeMap, BTreeSet, VecDeque};
use core::time::Duration;

use bytes::{Bytes, BytesMut};
use thiserror::Error;

use crate::time::Instant;
use crate::wire::id::{Dir, StreamId};
use crate::wire::open::{OpenFrame, Protocol};
use crate::wire::protocol;

/// Bounds on messages that come.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[cfg_attr(any(test, feature = "fingerprint"), derive(Hash))]
pub struct MessageLimits {
    /// Largest message that is taken, in bytes; announced in PARAMS. 0 takes none but empty ones.
    pub max_size: u64,
    /// Messages that may be incomplete at once; for one more, the one that waits longest is given
    /// up.
    pub max_partial: usize,
}

/// 1 MiB, 64 at once.
impl Default for MessageLimits {
    fn default() -> Self {
        Self { max_size: 1024 * 1024, max_partial: 64 }
    }
}

/// A message is larger than the limit. Nothing was changed, nothing allocated.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
#[error("a message of {size} bytes is too large: at most {limit} bytes are taken")]
pub struct TooLarge {
    /// Its bytes, as far as they are known.
    pub size: u64,
    /// The limit in bytes.
    pub limit: u64,
}

/// Why a message that comes is given up: its stream is to be stopped.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
#[non_exhaustive]
pub enum RefuseMessage {
    /// It is, or says that it will be, larger than what was announced.
    #[error(transparent)]
    TooLarge(#[from] TooLarge),
    /// Its end is not where its introduction said.
    #[error("a message of {size} bytes was announced with {announced} bytes")]
    WrongSize {
        /// Its bytes.
        size: u64,
        /// What OPEN said.
        announced: u64,
    },
    /// The introduction asks for what a message cannot have.
    #[error("a message cannot begin or end inside its body, or come on a bidirectional stream")]
    NotAMessage,
}

/// A message on its way out: open a unidirectional stream, introduce it with [`Outgoing::open`],
/// write [`Outgoing::data`], finish.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Outgoing {
    /// The whole message.
    pub data: Bytes,
}

impl Outgoing {
    /// Checks `data` against the largest message that the peer announced.
    ///
    /// # Errors
    ///
    /// [`TooLarge`].
    pub fn new(data: Bytes, peer_max_size: u64) -> Result<Self, TooLarge> {
        let size = data.len() as u64;
        if size > peer_max_size {
            return Err(TooLarge { size, limit: peer_max_size });
        }
        Ok(Self { data })
    }

    /// The introduction on stream `id`.
    pub fn open(&self, id: StreamId) -> OpenFrame<'static> {
        OpenFrame {
            id,
            protocol: Protocol::Number(protocol::MESSAGE),
            size: Some(self.data.len() as u64),
            start: None,
            end: None,
            digest: None,
            priority: None,
            hop_limit: None,
            extension: &[],
            head: &[],
        }
    }
}

/// How far a message is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Progress {
    /// Bytes are missing.
    Partial,
    /// All of it is there: [`Messages::take_whole`] will name it.
    Whole,
}

/// A message that was given up for another, or for its silence: its stream is to be stopped.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Evicted(pub StreamId);

/// A whole message.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Message {
    /// The stream that carried it.
    pub id: StreamId,
    /// Its bytes.
    pub data: Bytes,
}

/// Messages of one connection that are coming.
///
/// ```text
///   on_open ─▶ partial ── on_progress, all there ─▶ whole ── take_whole ─▶ read and joined
///                 │ too large, wrong size: refused (STOP)
///                 └ too many, or silent for too long: evicted (STOP)
/// ```
#[derive(Clone, Debug)]
#[cfg_attr(any(test, feature = "fingerprint"), derive(Hash))]
pub struct Messages {
    limits: MessageLimits,
    partial: BTreeMap<StreamId, Partial>,
    /// The same, who waits longest first.
    waiting: BTreeSet<(Instant, StreamId)>,
    whole: VecDeque<StreamId>,
    evicted: u64,
}

#[derive(Clone, Copy, Debug)]
#[cfg_attr(any(test, feature = "fingerprint"), derive(Hash))]
struct Partial {
    announced: Option<u64>,
    arrived: u64,
    since: Instant,
}

impl Messages {
    /// None yet.
    pub const fn new(limits: MessageLimits) -> Self {
        Self {
            limits,
            partial: BTreeMap::new(),
            waiting: BTreeSet::new(),
            whole: VecDeque::new(),
            evicted: 0,
        }
    }

    /// A stream came whose protocol is [`protocol::MESSAGE`]. Returns the message that is given up
    /// for it, if there are too many. The owner then lets the stream's credit reach the size that
    /// was announced.
    ///
    /// # Errors
    ///
    /// [`RefuseMessage`]: the stream is to be stopped, nothing is kept.
    pub fn on_open(
        &mut self,
        open: &OpenFrame<'_>,
        now: Instant,
    ) -> Result<Option<Evicted>, RefuseMessage> {
        if open.start.is_some() || open.end.is_some() || open.id.dir() != Dir::Uni {
            return Err(RefuseMessage::NotAMessage);
        }
        self.check_size(open.size.unwrap_or(0))?;
        if self.partial.contains_key(&open.id) {
            return Ok(None);
        }
        let full = self.partial.len() >= self.limits.max_partial.max(1);
        let evicted = self.waiting.first().copied().filter(|_| full).map(|(_, id)| self.evict(id));
        let partial = Partial { announced: open.size, arrived: 0, since: now };
        self.partial.insert(open.id, partial);
        self.waiting.insert((now, open.id));
        Ok(evicted)
    }

    /// Bytes of stream `id` came: `arrived` of them in all without a gap, `highest` is one more
    /// than the highest offset, `end` the final size once it is known. `None` if the stream is no
    /// message that is coming.
    ///
    /// # Errors
    ///
    /// [`RefuseMessage`]: the stream is to be stopped, the message is forgotten.
    pub fn on_progress(
        &mut self,
        id: StreamId,
        arrived: u64,
        highest: u64,
        end: Option<u64>,
        now: Instant,
    ) -> Result<Option<Progress>, RefuseMessage> {
        let Some(partial) = self.partial.get_mut(&id) else { return Ok(None) };
        if arrived > partial.arrived {
            self.waiting.remove(&(partial.since, id));
            self.waiting.insert((now, id));
            partial.arrived = arrived;
            partial.since = now;
        }
        let announced = partial.announced;
        if let Err(refused) = self.judge(announced, highest, end) {
            self.forget(id);
            return Err(refused);
        }
        if end != Some(arrived) {
            return Ok(Some(Progress::Partial));
        }
        self.forget(id);
        self.whole.push_back(id);
        Ok(Some(Progress::Whole))
    }

    /// The stream was reset: there will be no message, unless all of it is there. Returns whether
    /// there will be none.
    pub fn on_reset(&mut self, id: StreamId) -> bool {
        self.forget(id);
        !self.whole.contains(&id)
    }

    /// The stream is to be stopped: there will be no message.
    pub fn on_refused(&mut self, id: StreamId) {
        self.forget(id);
        self.whole.retain(|&whole| whole != id);
    }

    /// The stream of the next whole message, in the order of completion. The owner reads it,
    /// releases its credit and joins what it read with [`Message::join`].
    pub fn take_whole(&mut self) -> Option<StreamId> {
        self.whole.pop_front()
    }

    /// Whether [`Messages::take_whole`] would name one.
    pub fn is_readable(&self) -> bool {
        !self.whole.is_empty()
    }

    /// When the first incomplete message has been silent for too long.
    pub fn deadline(&self, patience: Duration) -> Option<Instant> {
        self.waiting.first().map(|(since, _)| *since + patience)
    }

    /// Gives up one message that has been silent for so long; to be called until it returns `None`.
    pub fn on_deadline(&mut self, patience: Duration, now: Instant) -> Option<Evicted> {
        let (_, id) =
            self.waiting.first().copied().filter(|(since, _)| *since + patience <= now)?;
        sometimes!("message: one is given up for its silence");
        Some(self.evict(id))
    }

    /// Messages that are coming.
    pub fn partial(&self) -> usize {
        self.partial.len()
    }

    /// Messages that were given up so far.
    pub const fn evicted(&self) -> u64 {
        self.evicted
    }

    fn judge(
        &self,
        announced: Option<u64>,
        highest: u64,
        end: Option<u64>,
    ) -> Result<(), RefuseMessage> {
        self.check_size(highest.max(end.unwrap_or(0)))?;
        match announced {
            Some(announced) if highest > announced || end.is_some_and(|end| end != announced) => {
                Err(RefuseMessage::WrongSize { size: end.unwrap_or(highest), announced })
            }
            _ => Ok(()),
        }
    }

    fn check_size(&self, size: u64) -> Result<(), TooLarge> {
        let limit = self.limits.max_size;
        if size > limit { Err(TooLarge { size, limit }) } else { Ok(()) }
    }

    fn evict(&mut self, id: StreamId) -> Evicted {
        self.forget(id);
        self.evicted += 1;
        Evicted(id)
    }

    fn forget(&mut self, id: StreamId) {
        if let Some(partial) = self.partial.remove(&id) {
            self.waiting.remove(&(partial.since, id));
        }
    }
}

impl Message {
    /// Joins the chunks of a whole message; a single one without a copy.
    pub fn join(id: StreamId, chunks: impl IntoIterator<Item = Bytes>) -> Self {
        let mut chunks = chunks.into_iter().filter(|chunk| !chunk.is_empty());
        let first = chunks.next().unwrap_or_default();
        let Some(second) = chunks.next() else { return Self { id, data: first } };
        let mut data = BytesMut::from(first.as_ref());
        data.extend_from_slice(&second);
        for chunk in chunks {
            data.extend_from_slice(&chunk);
        }
        Self { id, data: data.freeze() }
    }
}

#[cfg(test)]
#[path = "messages_tests.rs"]
mod tests;
