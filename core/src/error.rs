//! How things end: wire codes, violations, and the causes that applications read.

use alloc::string::String;
use core::fmt;

use thiserror::Error;

use crate::wire::id::AppCode;

/// Codes that the transport puts into CLOSE (spec `11-closing.md`).
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[repr(u64)]
#[non_exhaustive]
pub enum TransportCode {
    /// Ended without an error.
    None = 0x00,
    /// The other end met a fault of its own.
    Internal = 0x01,
    /// Out of memory, connections or patience for this peer.
    Busy = 0x02,
    /// More data than the credit allowed.
    FlowControl = 0x03,
    /// A stream beyond the count that was allowed.
    StreamLimit = 0x04,
    /// A frame for a stream that cannot receive it.
    StreamState = 0x05,
    /// Data beyond, or a change of, a stream's final size.
    FinalSize = 0x06,
    /// Bytes that are no frame.
    FrameEncoding = 0x07,
    /// Parameters that contradict each other or the rules.
    Parameters = 0x08,
    /// Too many connection ids, or one used twice.
    ConnectionIdLimit = 0x09,
    /// A rule that has no code of its own.
    Protocol = 0x0a,
    /// A packet acknowledged that was never sent.
    AckOfUnsent = 0x0b,
    /// Key update against its rules.
    KeyUpdate = 0x0c,
    /// A key reached its limit.
    AeadLimit = 0x0d,
    /// No answer to a credit recall.
    CreditRecall = 0x0e,
    /// The application refused the peer.
    Refused = 0x0f,
    /// A frame's content was too large for the limit that was announced.
    TooLarge = 0x10,
}

/// Codes of RESET and STOP that are the protocol's own, and not an application's (spec R-PIPE-19).
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[repr(u64)]
#[non_exhaustive]
pub enum StreamCode {
    /// No progress for too long.
    Timeout = 1,
    /// More was held, without progress, than the limit.
    BufferOverflow = 2,
    /// A range that is not held, or not of the body.
    InvalidRange = 3,
    /// A connection on the way was lost.
    ConnectionLost = 4,
    /// The whole does not match its digest.
    VerificationFailed = 5,
    /// A node on the way does not want the stream.
    Refused = 6,
    /// An application on the way dropped it.
    Cancelled = 7,
    /// Too slow for a shared source: the rest is to be asked for by range.
    Detached = 8,
    /// No relay may forward it further.
    HopLimit = 9,
    /// The next hop could not be reached.
    Unreachable = 10,
    /// The body has another size than was announced.
    WrongSize = 11,
}

impl StreamCode {
    /// Where the protocol's own codes begin.
    pub const BASE: u64 = 1 << 61;

    /// All of them, in the order of their values.
    pub const ALL: [Self; 11] = [
        Self::Timeout,
        Self::BufferOverflow,
        Self::InvalidRange,
        Self::ConnectionLost,
        Self::VerificationFailed,
        Self::Refused,
        Self::Cancelled,
        Self::Detached,
        Self::HopLimit,
        Self::Unreachable,
        Self::WrongSize,
    ];

    /// As it stands in a frame.
    pub const fn app(self) -> AppCode {
        AppCode(Self::BASE + self as u64)
    }

    /// What a frame's code means, if it is one of these.
    pub fn of(code: AppCode) -> Option<Self> {
        Self::ALL.into_iter().find(|known| known.app() == code)
    }

    /// A code for people: what it means, or its number if that is the application's.
    pub fn words(code: AppCode) -> impl fmt::Display {
        Words(code)
    }
}

impl fmt::Display for StreamCode {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Timeout => "no progress for too long",
            Self::BufferOverflow => "more was held, without progress, than the limit",
            Self::InvalidRange => "no such range of it is held",
            Self::ConnectionLost => "a connection was lost",
            Self::VerificationFailed => "the body does not have its digest",
            Self::Refused => "it was refused",
            Self::Cancelled => "an application dropped it",
            Self::Detached => "too slow for a source that others share",
            Self::HopLimit => "its hop limit is used up",
            Self::Unreachable => "the next hop could not be reached",
            Self::WrongSize => "the body has another size than was announced",
        })
    }
}

struct Words(AppCode);

impl fmt::Display for Words {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match StreamCode::of(self.0) {
            Some(known) => known.fmt(f),
            None => write!(f, "code {}", self.0.0),
        }
    }
}

/// The peer broke a rule; the connection closes with the code.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
#[cfg_attr(any(test, feature = "fingerprint"), derive(Hash))]
#[error("{what} ({code:?})")]
pub struct Violation {
    /// What goes into CLOSE.
    pub code: TransportCode,
    /// One clause for people.
    pub what: &'static str,
}

impl Violation {
    /// A violation of the rule that `code` names.
    pub const fn new(code: TransportCode, what: &'static str) -> Self {
        Self { code, what }
    }
}

/// Why a connection ended: the same value for ever after. Reads as a sentence.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
#[cfg_attr(any(test, feature = "fingerprint"), derive(Hash))]
#[non_exhaustive]
pub enum CloseReason {
    /// This side's application closed.
    #[error("closed by this side's application with code {}", .0.0)]
    Local(AppCode),
    /// The peer's application closed.
    #[error("closed by the peer's application with code {}{}", code.0, Said(reason))]
    Peer {
        /// Its code.
        code: AppCode,
        /// Its reason, at most 64 bytes.
        reason: String,
    },
    /// The peer's transport closed.
    #[error("closed by the peer's transport with code {code:#x}{}", Said(reason))]
    PeerTransport {
        /// A [`TransportCode`] value, or one that this version does not know.
        code: u64,
        /// Its reason, at most 64 bytes.
        reason: String,
    },
    /// The peer broke a rule of the protocol.
    #[error("closed because the peer broke the protocol: {0}")]
    Violation(Violation),
    /// Nothing was heard for the idle time-out.
    #[error("timed out: nothing heard from the peer for {0:?}")]
    IdleTimeout(core::time::Duration),
    /// Data was outstanding and no probe was answered.
    #[error("lost: the peer answered none of {probes} probes in {waited:?}")]
    PeerLost {
        /// Probes sent in vain.
        probes: u32,
        /// Since the last answer.
        waited: core::time::Duration,
    },
    /// The handshake got no answer.
    #[error("unreachable: no answer to the handshake in {0:?}")]
    HandshakeTimeout(core::time::Duration),
    /// The handshake ended in an authenticated refusal.
    #[error("refused by the peer: {0}")]
    Refused(Refusal),
    /// The handshake failed.
    #[error("the handshake failed: {0}")]
    Handshake(String),
    /// The peer lost its state (it restarted) and said so by a stateless reset.
    #[error("reset: the peer no longer knows this connection")]
    Reset,
    /// A key reached the number of packets that it may protect.
    #[error("closed because a key reached its limit")]
    AeadLimit,
    /// No memory, slot or id was left for the connection.
    #[error("no room for the connection: {0}")]
    NoRoom(&'static str),
    /// The carrier is gone, and there was no other way. (A TCP connection that breaks after the
    /// handshake is no such end: spec R-TCP-26.)
    #[error("the socket failed")]
    CarrierLost,
}

/// Why a responder refused, by the status byte of its handshake payload (spec `02-handshake.md`).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[repr(u8)]
#[non_exhaustive]
pub enum Refusal {
    /// No common version.
    Version = 1,
    /// No common suite.
    Suite = 2,
    /// This node id may not connect.
    NotAllowed = 3,
    /// No room now; later may help.
    Busy = 4,
    /// Somebody on the way removed a better version or suite.
    Downgrade = 5,
    /// No common cipher.
    Cipher = 6,
}

impl fmt::Display for Refusal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Version => "no common protocol version",
            Self::Suite => "no common handshake suite",
            Self::NotAllowed => "this node is not allowed to connect",
            Self::Busy => "the peer is busy",
            Self::Downgrade => "somebody on the way removed a better version or suite",
            Self::Cipher => "no common cipher",
        })
    }
}

struct Said<'a>(&'a str);

impl fmt::Display for Said<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.0.is_empty() { Ok(()) } else { write!(f, ": {}", self.0) }
    }
}
