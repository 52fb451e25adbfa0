//! How a stream that crosses nodes ends, if not well.

use std::io;

use aqueduct_core::error::StreamCode;
use aqueduct_core::stream::Stuck;
use aqueduct_core::wire::id::AppCode;
use thiserror::Error;

use super::{ConnectionError, MessageError, OpenError, ReadError, WriteError};

/// How a stream ended that did not end well, here or on its way. `hop` says where: the relays
/// between this node and the one where it happened, so 0 is the peer; `None` is this node. What a
/// node cannot know of the others is `None`.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
#[non_exhaustive]
pub enum StreamError {
    /// There was no progress for too long.
    #[error("the stream made no progress for too long{}", at(hop))]
    Timeout {
        /// Where.
        hop: Option<u64>,
    },
    /// Bytes with gaps between them were held for too long, and more than a limit allows.
    #[error("the stream held {}{}", OutOfOrder(*buffered, *limit), at(hop))]
    BufferOverflow {
        /// Bytes that were held; `None` if another node held them.
        buffered: Option<u64>,
        /// The limit in bytes; `None` if it is another node's.
        limit: Option<u64>,
        /// Where.
        hop: Option<u64>,
    },
    /// A range was asked for that is not held, or not of the body.
    #[error("no such range of the stream{}", at(hop))]
    InvalidRange {
        /// Where.
        hop: Option<u64>,
    },
    /// A connection that carried the stream was lost.
    #[error("a connection was lost{}{}", after(*received, *total), at(hop))]
    ConnectionLost {
        /// Bytes that came before; `None` for who writes.
        received: Option<u64>,
        /// Bytes that the sender announced.
        total: Option<u64>,
        /// Where.
        hop: Option<u64>,
    },
    /// The digest of the body is not the one that the sender announced.
    #[error("the body does not have its digest{}", at(hop))]
    VerificationFailed {
        /// The BLAKE3 digest that the sender said.
        expected: Option<[u8; 32]>,
        /// The one that the receiver found.
        actual: Option<[u8; 32]>,
        /// Where it was found.
        hop: Option<u64>,
    },
    /// The body has more or fewer bytes than the sender announced.
    #[error("{}{}", Sizes(*announced, *given), at(hop))]
    WrongSize {
        /// What was announced; `None` if this node was not told.
        announced: Option<u64>,
        /// What there was, or as much as there was when it was noticed.
        given: Option<u64>,
        /// Where.
        hop: Option<u64>,
    },
    /// Somebody does not want the stream.
    #[error("the stream was refused{}", at(hop))]
    Refused {
        /// Where.
        hop: Option<u64>,
    },
    /// An application gave the stream up with a code of its own.
    #[error("the stream was given up with code {}{}", code.0, at(hop))]
    Reset {
        /// Its code.
        code: AppCode,
        /// Where.
        hop: Option<u64>,
    },
    /// An application dropped the stream.
    #[error("the stream was cancelled{}", at(hop))]
    Cancelled {
        /// Where.
        hop: Option<u64>,
    },
    /// This end was too slow for a source that it shares: the rest is to be asked for by range.
    #[error("detached from a source that others share{}", at(hop))]
    Detached {
        /// Where.
        hop: Option<u64>,
    },
    /// No relay may pass the stream on any further.
    #[error("the stream's hop limit was reached{}", at(hop))]
    HopLimit {
        /// Where.
        hop: Option<u64>,
    },
    /// A relay could not reach the next hop.
    #[error("the next hop could not be reached{}", at(hop))]
    Unreachable {
        /// Where.
        hop: Option<u64>,
    },
    /// The receiver answered with something that is no verdict.
    #[error("the receiver's verdict on the body cannot be read")]
    BadVerdict,
}

impl StreamError {
    pub(crate) const REFUSED: AppCode = StreamCode::Refused.app();
    pub(crate) const CANCELLED: AppCode = StreamCode::Cancelled.app();
    /// Its digest is another.
    pub(crate) const DAMAGED: AppCode = StreamCode::VerificationFailed.app();
    pub(crate) const WRONG_SIZE: AppCode = StreamCode::WrongSize.app();

    /// What a code in RESET or STOP says, which came from `hop` relays away.
    pub(crate) fn of(code: AppCode, hop: u64) -> Self {
        Self::of_protocol(code, hop).unwrap_or(Self::Reset { code, hop: Some(hop) })
    }

    /// The same, if the code is the protocol's own and not an application's.
    pub(crate) fn of_protocol(code: AppCode, hop: u64) -> Option<Self> {
        let hop = Some(hop);
        Some(match StreamCode::of(code)? {
            StreamCode::Timeout => Self::Timeout { hop },
            StreamCode::BufferOverflow => Self::BufferOverflow { buffered: None, limit: None, hop },
            StreamCode::InvalidRange => Self::InvalidRange { hop },
            StreamCode::ConnectionLost => Self::ConnectionLost { received: None, total: None, hop },
            StreamCode::VerificationFailed => {
                Self::VerificationFailed { expected: None, actual: None, hop }
            }
            StreamCode::Refused => Self::Refused { hop },
            StreamCode::Cancelled => Self::Cancelled { hop },
            StreamCode::WrongSize => Self::WrongSize { announced: None, given: None, hop },
            StreamCode::Detached => Self::Detached { hop },
            StreamCode::HopLimit => Self::HopLimit { hop },
            StreamCode::Unreachable => Self::Unreachable { hop },
            _ => return None,
        })
    }

    /// Why this side ended a stream that did not move.
    pub(crate) fn of_stuck(why: Stuck) -> Self {
        match why {
            Stuck::Overflow { buffered, limit } => {
                Self::BufferOverflow { buffered: Some(buffered), limit: Some(limit), hop: None }
            }
            _ => Self::Timeout { hop: None },
        }
    }

    /// The same with how much came here, of what was announced.
    pub(crate) fn counted(self, received: u64, total: Option<u64>) -> Self {
        match self {
            Self::ConnectionLost { hop, .. } => {
                Self::ConnectionLost { received: Some(received), total, hop }
            }
            other => other,
        }
    }

    /// The same with what this node knows: how much came, and what was announced.
    pub(crate) fn at(self, received: u64, total: u64) -> Self {
        match self.counted(received, Some(total)) {
            Self::WrongSize { given, hop, .. } => {
                Self::WrongSize { announced: Some(total), given, hop }
            }
            other => other,
        }
    }
}

fn at(hop: &Option<u64>) -> String {
    match hop {
        None => String::new(),
        Some(0) => ", says the peer".into(),
        Some(1) => ", one relay behind the peer".into(),
        Some(hop) => format!(", {hop} relays behind the peer"),
    }
}

/// Bytes that were held, and the limit, as far as they are known. What ended it far below that were
/// ranges.
struct OutOfOrder(Option<u64>, Option<u64>);

impl std::fmt::Display for OutOfOrder {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match (self.0, self.1) {
            (Some(buffered), Some(limit)) if buffered >= limit / 2 => {
                write!(f, "{buffered} bytes out of order, near the limit of {limit}")
            }
            (Some(buffered), Some(_)) => {
                write!(f, "{buffered} bytes out of order, in nearly as many ranges as it may")
            }
            _ => f.write_str("too much out of order"),
        }
    }
}

/// How much came, if anybody can know.
fn after(received: Option<u64>, total: Option<u64>) -> String {
    match (received, total) {
        (None, _) => String::new(),
        (Some(received), None) => format!(" after {received} bytes"),
        (Some(received), Some(total)) => format!(" after {received} bytes of {total}"),
    }
}

/// What was announced, and what there was, as far as they are known.
struct Sizes(Option<u64>, Option<u64>);

impl std::fmt::Display for Sizes {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match (self.0, self.1) {
            (Some(announced), Some(given)) => {
                write!(f, "{given} bytes where {announced} were announced")
            }
            (Some(announced), None) => {
                write!(f, "another number of bytes than the {announced} that were announced")
            }
            (None, Some(given)) => write!(f, "{given} bytes, and not as many as were announced"),
            (None, None) => f.write_str("another number of bytes than was announced"),
        }
    }
}

impl From<ConnectionError> for StreamError {
    fn from(_: ConnectionError) -> Self {
        Self::ConnectionLost { received: None, total: None, hop: None }
    }
}

impl From<ReadError> for StreamError {
    fn from(error: ReadError) -> Self {
        match error {
            ReadError::Reset { code, hop } => Self::of(code, hop),
            ReadError::Failed(error) => error,
            ReadError::Skipped(_) | ReadError::TooLong { .. } | ReadError::PeekTooLong { .. } => {
                Self::InvalidRange { hop: None }
            }
            ReadError::Stopped => Self::Cancelled { hop: None },
            ReadError::Connection(error) => error.into(),
        }
    }
}

impl From<WriteError> for StreamError {
    fn from(error: WriteError) -> Self {
        match error {
            WriteError::Stopped { code, hop } => Self::of(code, hop),
            WriteError::Failed(error) => error,
            WriteError::Overlap(_) | WriteError::OutOfBounds { .. } => {
                Self::InvalidRange { hop: None }
            }
            WriteError::Reset | WriteError::Finished => Self::Cancelled { hop: None },
            WriteError::Connection(error) => error.into(),
        }
    }
}

impl From<StreamError> for io::Error {
    fn from(error: StreamError) -> Self {
        let kind = match &error {
            StreamError::BufferOverflow { .. } => io::ErrorKind::OutOfMemory,
            StreamError::InvalidRange { .. } => io::ErrorKind::InvalidInput,
            // Not `TimedOut`, which a handle's own time-out gives: it is over.
            StreamError::Timeout { .. } | StreamError::ConnectionLost { .. } => {
                io::ErrorKind::ConnectionAborted
            }
            StreamError::VerificationFailed { .. }
            | StreamError::WrongSize { .. }
            | StreamError::BadVerdict => io::ErrorKind::InvalidData,
            StreamError::Refused { .. } => io::ErrorKind::ConnectionRefused,
            StreamError::HopLimit { .. } | StreamError::Unreachable { .. } => {
                io::ErrorKind::HostUnreachable
            }
            StreamError::Detached { .. }
            | StreamError::Reset { .. }
            | StreamError::Cancelled { .. } => io::ErrorKind::ConnectionReset,
        };
        Self::new(kind, error)
    }
}

/// What a node says that reads a stream no further.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[expect(clippy::exhaustive_structs, reason = "why and where")]
pub struct Stop {
    /// Why: a code of the application's, or of the protocol's own.
    pub code: AppCode,
    /// How many relays away it happened; 0: at the peer.
    pub hop: u64,
}

impl From<Stop> for StreamError {
    fn from(Stop { code, hop }: Stop) -> Self {
        Self::of(code, hop)
    }
}

/// Why a message was not sent by whichever way.
#[derive(Debug, Error)]
#[non_exhaustive]
pub enum SendError {
    /// The stream that carried it ended badly.
    #[error(transparent)]
    Stream(#[from] StreamError),
    /// No stream could be opened for it.
    #[error(transparent)]
    Open(#[from] OpenError),
    /// It was not taken as a whole message.
    #[error(transparent)]
    Message(#[from] MessageError),
    /// It is too large for the peer to be sent whole, and the peer takes no streams.
    #[error("a message of {size} bytes; this peer takes no streams, and whole ones of {limit}")]
    TooLarge {
        /// Its bytes.
        size: u64,
        /// What the peer takes.
        limit: u64,
    },
    /// The source of its bytes failed.
    #[error("the source of the message failed: {0}")]
    Source(#[from] io::Error),
}

#[cfg(test)]
#[path = "stream_tests.rs"]
mod tests;
