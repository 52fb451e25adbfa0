//! How the command ends: causes, their exit codes, and the sentence that goes with them.
//!
//! This is the only place that knows the numbers; `--help` prints [`HELP`].

use std::fmt;
use std::io;

use aqueduct_tokio::{AppCode, BindError, CloseReason, ConnectError, ConnectionError, OpenError};
use aqueduct_tokio::{ReadError, StreamError, WriteError};

use crate::names::printable;
use crate::offer::Code;

/// The exit codes, as `--help` tells them.
pub(crate) const HELP: &str = "\
Exit codes:
    0  done
    1  failure that has no code of its own
    2  the command line makes no sense
    3  the other side cannot be reached, or went silent
    4  the other side refused (or this side refused it)
    5  what arrived is not what was sent
    6  a replay came out differently
    7  this machine: files not found, no permission, no space, address taken
  130  interrupted (Ctrl-C)";

/// Why the command ended without success.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Cause {
    /// Nothing below fits.
    Failure,
    /// The command line makes no sense.
    Usage,
    /// No answer, or none any more.
    Unreachable,
    /// Somebody said no.
    Refused,
    /// Digest or size differ.
    Integrity,
    /// A replay came out differently.
    Diverged,
    /// A file of this machine, or an address that cannot be had.
    LocalIo,
    /// Ctrl-C or a polite kill.
    Interrupted,
}

impl Cause {
    /// The process's exit code.
    pub(crate) const fn code(self) -> u8 {
        match self {
            Self::Failure => 1,
            Self::Usage => 2,
            Self::Unreachable => 3,
            Self::Refused => 4,
            Self::Integrity => 5,
            Self::Diverged => 6,
            Self::LocalIo => 7,
            Self::Interrupted => 130,
        }
    }
}

/// A cause and its sentence.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Failure {
    /// Decides the exit code.
    pub(crate) cause: Cause,
    /// For people; never with control characters in it.
    pub(crate) message: String,
}

impl Failure {
    /// A failure with these words.
    pub(crate) fn new(cause: Cause, message: impl fmt::Display) -> Self {
        Self { cause, message: printable(&message.to_string()) }
    }

    /// Ctrl-C.
    pub(crate) fn interrupted() -> Self {
        Self::new(Cause::Interrupted, "interrupted")
    }

    /// A call on this machine's files or addresses failed.
    pub(crate) fn local(what: impl fmt::Display, error: &io::Error) -> Self {
        let hint = match error.kind() {
            io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded => "no space left: ",
            _ => "",
        };
        Self::new(Cause::LocalIo, format_args!("{what}: {hint}{error}"))
    }

    /// Whoever speaks as this command does ended the stream, with so many relays before it.
    fn by_peer(what: &str, code: AppCode, hop: u64) -> Self {
        let code = Code::from_byte(u8::try_from(code.0).unwrap_or(u8::MAX));
        let place = match hop {
            0 => String::new(),
            1 => ", one relay behind the peer".to_owned(),
            hop => format!(", {hop} relays behind the peer"),
        };
        Self::new(code.cause(), format_args!("{what}: {code}{place}"))
    }

    /// The same failure with words in front.
    pub(crate) fn context(self, what: impl fmt::Display) -> Self {
        Self::new(self.cause, format_args!("{what}: {}", self.message))
    }
}

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.message)
    }
}

impl std::error::Error for Failure {}

impl From<CloseReason> for Failure {
    fn from(reason: CloseReason) -> Self {
        let cause = match &reason {
            CloseReason::IdleTimeout(_)
            | CloseReason::PeerLost { .. }
            | CloseReason::HandshakeTimeout(_)
            | CloseReason::Reset
            | CloseReason::CarrierLost => Cause::Unreachable,
            CloseReason::Refused(_) | CloseReason::Handshake(_) => Cause::Refused,
            CloseReason::PeerTransport { code: 0x02 | 0x0f, .. } => Cause::Refused,
            CloseReason::Peer { code, .. } => {
                u8::try_from(code.0).map_or(Cause::Failure, |code| Code::from_byte(code).cause())
            }
            _ => Cause::Failure,
        };
        let message = match &reason {
            CloseReason::Peer { code, reason } if code.0 != 0 && !reason.is_empty() => {
                format!("the other side ended the connection: {reason}")
            }
            other => other.to_string(),
        };
        Self::new(cause, message)
    }
}

impl From<ConnectionError> for Failure {
    fn from(error: ConnectionError) -> Self {
        error.reason().into()
    }
}

impl From<BindError> for Failure {
    fn from(error: BindError) -> Self {
        let cause = match &error {
            BindError::Environment(_) => Cause::Usage,
            BindError::Recording { .. } | BindError::Socket { .. } | BindError::Tcp { .. } => {
                Cause::LocalIo
            }
            _ => Cause::Failure,
        };
        Self::new(cause, error)
    }
}

impl From<ConnectError> for Failure {
    fn from(error: ConnectError) -> Self {
        match error {
            ConnectError::Failed(reason) => reason.into(),
            ConnectError::NoAddress
            | ConnectError::WrongFamily(..)
            | ConnectError::Tcp { .. }
            | ConnectError::TcpTimeout { .. } => Self::new(Cause::Unreachable, error),
            other => Self::new(Cause::Failure, other),
        }
    }
}

impl From<OpenError> for Failure {
    fn from(error: OpenError) -> Self {
        match error {
            OpenError::Connection(error) => error.into(),
            other => Self::new(Cause::Failure, other),
        }
    }
}

/// What the transport says of a stream, here or at a relay.
impl From<StreamError> for Failure {
    fn from(error: StreamError) -> Self {
        let cause = match &error {
            StreamError::Refused { .. } | StreamError::HopLimit { .. } => Cause::Refused,
            StreamError::Timeout { .. }
            | StreamError::ConnectionLost { .. }
            | StreamError::Unreachable { .. } => Cause::Unreachable,
            StreamError::VerificationFailed { .. } => Cause::Integrity,
            _ => Cause::Failure,
        };
        Self::new(cause, error)
    }
}

impl From<WriteError> for Failure {
    fn from(error: WriteError) -> Self {
        match error {
            WriteError::Connection(error) => error.into(),
            WriteError::Failed(error) => error.into(),
            WriteError::Stopped { code, hop } => Self::by_peer("the receiver stopped", code, hop),
            other => Self::new(Cause::Failure, other),
        }
    }
}

impl From<ReadError> for Failure {
    fn from(error: ReadError) -> Self {
        match error {
            ReadError::Connection(error) => error.into(),
            ReadError::Failed(error) => error.into(),
            ReadError::Reset { code, hop } => Self::by_peer("the sender gave up", code, hop),
            other => Self::new(Cause::Failure, other),
        }
    }
}
