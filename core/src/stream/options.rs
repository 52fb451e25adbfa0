//! How a stream introduces itself: the owned form of OPEN.

use bytes::Bytes;
use thiserror::Error;

use super::scheduler::Priority;
use super::send_buffer::SendBuffer;
use crate::wire::id::StreamId;
use crate::wire::open::{OpenFrame, Protocol};

/// The protocol that a stream speaks.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
#[expect(clippy::exhaustive_enums, reason = "OPEN has a flag for the one or the other")]
pub enum StreamProtocol {
    /// By number; those below 64 are Aqueduct's own.
    Number(u64),
    /// By name, 1 to 64 bytes.
    Name(Bytes),
}

impl StreamProtocol {
    /// A name that is part of the program.
    pub const fn name(name: &'static str) -> Self {
        Self::Name(Bytes::from_static(name.as_bytes()))
    }
}

/// What OPEN says: given to open a stream, and read from one that the peer opened (spec R-STR-3).
#[derive(Clone, Debug, PartialEq, Eq)]
#[cfg_attr(any(test, feature = "fingerprint"), derive(Hash))]
#[expect(clippy::exhaustive_structs, reason = "built by `new` and changed field by field")]
pub struct OpenOptions {
    /// What the stream speaks.
    pub protocol: StreamProtocol,
    /// Size of the body in bytes: a hint for progress. Nothing is allocated by it.
    pub size: Option<u64>,
    /// The body begins at this offset: what lies below will not come.
    pub start: u64,
    /// The body ends at this offset or before.
    pub end: Option<u64>,
    /// BLAKE3 of the whole body. Carried, not checked.
    pub digest: Option<[u8; 32]>,
    /// The class of the stream at this end, and what the other end begins with for its answer.
    pub priority: Priority,
    /// Relays that may still forward the stream.
    pub hop_limit: Option<u8>,
    /// The application's own words, at most 900 bytes.
    pub head: Bytes,
    /// Reserved for sealing; carried and ignored.
    pub extension: Bytes,
}

/// Relays that may forward a stream whose OPEN does not say (spec R-PIPE-4).
pub const DEFAULT_HOP_LIMIT: u8 = 16;

/// Why no stream was opened. Nothing was changed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
#[non_exhaustive]
pub enum OpenError {
    /// The peer allows no more streams now; an event says when it does.
    #[error("the peer allows no more streams for now")]
    Blocked,
    /// The connection is over, or was asked to end.
    #[error("the connection is over or ending")]
    Closed,
    /// No credit can be had for the answers to a bidirectional stream.
    #[error("the memory budget has no room for another stream")]
    NoCredit,
    /// The introduction cannot be sent: a name or head of the wrong length, an end before the
    /// start.
    #[error("the stream's introduction is not valid: {0}")]
    Invalid(&'static str),
}

impl OpenOptions {
    /// An introduction with nothing but the protocol.
    pub const fn new(protocol: StreamProtocol) -> Self {
        Self {
            protocol,
            size: None,
            start: 0,
            end: None,
            digest: None,
            priority: Priority::Normal,
            hop_limit: None,
            head: Bytes::new(),
            extension: Bytes::new(),
        }
    }

    /// The same with a head.
    #[must_use]
    pub fn with_head(mut self, head: impl Into<Bytes>) -> Self {
        self.head = head.into();
        self
    }

    /// The same with a class.
    #[must_use]
    pub const fn with_priority(mut self, priority: Priority) -> Self {
        self.priority = priority;
        self
    }

    /// What a relay says of the same stream to the next hop: the same, with one relay less to go.
    /// `None` if no relay may forward it (spec R-PIPE-4). Head, range and class may be changed.
    #[must_use]
    pub fn forwarded(&self) -> Option<Self> {
        let left = self.hop_limit.unwrap_or(DEFAULT_HOP_LIMIT).checked_sub(1)?;
        Some(Self { hop_limit: Some(left), ..self.clone() })
    }

    pub(super) fn check(&self, id: StreamId) -> Result<(), OpenError> {
        if [Some(self.start), self.end, self.size]
            .iter()
            .flatten()
            .any(|v| *v > SendBuffer::MAX_OFFSET)
        {
            return Err(OpenError::Invalid("an offset of 2^62 or more"));
        }
        if matches!(self.protocol, StreamProtocol::Number(n) if n > SendBuffer::MAX_OFFSET) {
            return Err(OpenError::Invalid("a protocol number of 2^62 or more"));
        }
        self.frame(id).check().map_err(|_| OpenError::Invalid("a field of the wrong length"))
    }

    pub(super) fn frame(&self, id: StreamId) -> OpenFrame<'_> {
        OpenFrame {
            id,
            protocol: match &self.protocol {
                StreamProtocol::Number(number) => Protocol::Number(*number),
                StreamProtocol::Name(name) => Protocol::Name(name),
            },
            size: self.size,
            start: (self.start > 0).then_some(self.start),
            end: self.end,
            digest: self.digest,
            priority: (self.priority != Priority::Normal).then(|| self.priority.to_byte()),
            hop_limit: self.hop_limit,
            extension: &self.extension,
            head: &self.head,
        }
    }

    pub(super) fn read(frame: &OpenFrame<'_>) -> Self {
        Self {
            protocol: match frame.protocol {
                Protocol::Number(number) => StreamProtocol::Number(number),
                Protocol::Name(name) => StreamProtocol::Name(Bytes::copy_from_slice(name)),
            },
            size: frame.size,
            start: frame.start.unwrap_or(0),
            end: frame.end,
            digest: frame.digest,
            priority: frame.priority.map_or(Priority::Normal, Priority::from_byte),
            hop_limit: frame.hop_limit,
            head: Bytes::copy_from_slice(frame.head),
            extension: Bytes::copy_from_slice(frame.extension),
        }
    }

    /// Bytes that the introduction holds beside its record.
    pub(super) fn held(&self) -> u64 {
        let name = match &self.protocol {
            StreamProtocol::Number(_) => 0,
            StreamProtocol::Name(name) => name.len(),
        };
        (name + self.head.len() + self.extension.len()) as u64
    }
}
