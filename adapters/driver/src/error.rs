//! How calls of the application fail. Each message names the limit, the value and what to set.

use std::io;
use std::net::SocketAddr;
use std::ops::Range;
use std::time::Duration;

use aqueduct_core::crypto::hkdf::EXPAND_MAX;
use aqueduct_core::crypto::keys::EXPORT_LABEL_MAX;
use aqueduct_core::error::CloseReason;
use aqueduct_core::wire::id::AppCode;
use thiserror::Error;

use crate::environment::EnvironmentError;

mod stream;

pub use stream::{SendError, Stop, StreamError};

/// Why an endpoint could not be bound.
#[derive(Debug, Error)]
#[non_exhaustive]
pub enum BindError {
    /// The socket could not be made or bound.
    #[error("no UDP socket on {addr}: {source}")]
    Socket {
        /// The address that was asked for.
        addr: SocketAddr,
        /// What the system said.
        source: io::Error,
    },
    /// The TCP port of the same number could not be had, and [`Carriers`](crate::Carriers) insist
    /// on it.
    #[error("no TCP socket on {addr}: {source}; without it, only UDP would reach this node")]
    Tcp {
        /// The address that was asked for.
        addr: SocketAddr,
        /// What the system said.
        source: io::Error,
    },
    /// The operating system gave no random bytes.
    #[error("no randomness from the operating system: {0}")]
    Randomness(#[source] io::Error),
    /// The runtime did not take the socket.
    #[error("the runtime did not take the socket: {0}")]
    Runtime(#[source] io::Error),
    /// There is no thread to drive the socket.
    #[error("no thread to drive the socket: {0}")]
    Thread(#[source] io::Error),
    /// The file of the recording could not be made.
    #[error("no file for the recording at {}: {source}", path.display())]
    Recording {
        /// Where it was to be.
        path: std::path::PathBuf,
        /// What the system said.
        source: io::Error,
    },
    /// A variable of the environment says what cannot be.
    #[error(transparent)]
    Environment(#[from] EnvironmentError),
}

/// Why a connection did not come about.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
#[non_exhaustive]
pub enum ConnectError {
    /// There was no address to dial.
    #[error("no address to dial")]
    NoAddress,
    /// The socket is of the other IP family.
    #[error("{0} cannot be reached from the socket on {1}: bind to [::]:0 to reach IPv4 and IPv6")]
    WrongFamily(SocketAddr, SocketAddr),
    /// The endpoint was closed or its driver has ended.
    #[error("the endpoint is closed")]
    EndpointClosed,
    /// There is no TCP connection, and UDP was not tried or has failed as well.
    #[error("no TCP connection to {remote}: {kind}")]
    Tcp {
        /// Where to.
        remote: SocketAddr,
        /// What the system said.
        kind: io::ErrorKind,
    },
    /// No TCP connection was made in the time that a handshake may take, and UDP was not tried or
    /// has failed as well.
    #[error("no TCP connection to {remote} within {waited:?} (setting: handshake_timeout)")]
    TcpTimeout {
        /// Where to.
        remote: SocketAddr,
        /// How long it was tried.
        waited: Duration,
    },
    /// The core did not begin.
    #[error(transparent)]
    Core(aqueduct_core::endpoint::ConnectError),
    /// It began and ended.
    #[error(transparent)]
    Failed(#[from] CloseReason),
}

/// Why a call on a connection failed: the connection is over.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
#[non_exhaustive]
pub enum ConnectionError {
    /// It ended, and why.
    #[error(transparent)]
    Closed(#[from] CloseReason),
    /// The endpoint's driver has ended: its runtime was shut down, or it panicked.
    #[error("the endpoint's driver has ended")]
    DriverGone,
}

impl ConnectionError {
    /// The same as a cause; [`CloseReason::CarrierLost`] if the driver has ended.
    pub fn reason(&self) -> CloseReason {
        match self {
            Self::Closed(reason) => reason.clone(),
            Self::DriverGone => CloseReason::CarrierLost,
        }
    }
}

/// Why no key material was derived.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
#[non_exhaustive]
pub enum ExportError {
    /// The label is too long.
    #[error("a label of {len} bytes; at most {max} can be")]
    Label {
        /// So long, in bytes.
        len: usize,
        /// [`EXPORT_LABEL_MAX`].
        max: usize,
    },
    /// More was asked for than can be derived.
    #[error("{len} bytes of key material were asked for; at most {max} can be derived")]
    Length {
        /// So many, in bytes.
        len: usize,
        /// [`EXPAND_MAX`].
        max: usize,
    },
    /// The connection is over.
    #[error(transparent)]
    Connection(#[from] ConnectionError),
}

impl ExportError {
    /// What is wrong with a label and a length, before anybody is asked (RFC 5869 section 2.3).
    pub(crate) fn of(label: &[u8], len: usize) -> Result<(), Self> {
        if label.len() > EXPORT_LABEL_MAX {
            return Err(Self::Label { len: label.len(), max: EXPORT_LABEL_MAX });
        }
        if len > EXPAND_MAX {
            return Err(Self::Length { len, max: EXPAND_MAX });
        }
        Ok(())
    }
}

/// Why a stream could not be opened.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
#[non_exhaustive]
pub enum OpenError {
    /// The options cannot be sent as they are, or the connection is closing.
    #[error(transparent)]
    Refused(aqueduct_core::stream::OpenError),
    /// The connection is over.
    #[error(transparent)]
    Connection(#[from] ConnectionError),
}

/// Why there is no pipe, or no such leg.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
#[non_exhaustive]
pub enum PipeError {
    /// The core did not take it so.
    #[error(transparent)]
    Core(aqueduct_core::endpoint::PipeError),
    /// Other handles read the stream, too, or a part of it was collected already.
    #[error("the stream is read elsewhere: a pipe takes it whole (drop its forks first)")]
    Forked,
    /// More was written to a leg than it could take at once; it was given up.
    #[error("a leg has bytes that wait for room: pipe before writing more than a stream takes")]
    LegBusy,
    /// The endpoint's driver has ended, or the connection never began.
    #[error("the endpoint's driver has ended")]
    DriverGone,
}

/// Why bytes could not be written.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
#[non_exhaustive]
pub enum WriteError {
    /// The peer, or a node behind it, stopped reading.
    #[error("the peer stopped reading with code {} ({hop} relays away)", code.0)]
    Stopped {
        /// Its code.
        code: AppCode,
        /// How many relays away it happened; 0: at the peer.
        hop: u64,
    },
    /// It ended by the protocol's own doing, at the peer or behind it.
    #[error(transparent)]
    Failed(StreamError),
    /// Some of these offsets were written or skipped before.
    #[error("bytes {} to {} of the stream were written or skipped before", .0.start, .0.end)]
    Overlap(Range<u64>),
    /// These offsets are not of the body, as its introduction bounds it.
    #[error(
        "bytes {} to {} are outside of the stream's body, which is {} to {}",
        offsets.start, offsets.end, body.start, body.end
    )]
    OutOfBounds {
        /// Where something was to be written.
        offsets: Range<u64>,
        /// Where it may be.
        body: Range<u64>,
    },
    /// The stream was reset on this side.
    #[error("the stream was reset on this side")]
    Reset,
    /// The stream was finished on this side.
    #[error("the stream was finished; nothing can be written behind its end")]
    Finished,
    /// The connection is over.
    #[error(transparent)]
    Connection(#[from] ConnectionError),
}

/// Why bytes could not be read.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
#[non_exhaustive]
pub enum ReadError {
    /// The peer, or a node behind it, gave the stream up.
    #[error("the peer reset the stream with code {} ({hop} relays away)", code.0)]
    Reset {
        /// Its code.
        code: AppCode,
        /// How many relays away it happened; 0: at the peer.
        hop: u64,
    },
    /// It ended by the protocol's own doing, here or on its way.
    #[error(transparent)]
    Failed(StreamError),
    /// The peer says that the bytes at these offsets will never come.
    #[error("bytes {} to {} of the stream will not come", .0.start, .0.end)]
    Skipped(Range<u64>),
    /// This side stopped reading.
    #[error("this side stopped reading the stream")]
    Stopped,
    /// The body is longer than the caller takes.
    #[error("the stream is longer than the {limit} bytes that the caller allows")]
    TooLong {
        /// The caller's limit, in bytes.
        limit: usize,
    },
    /// Nothing was read, and the stream goes on: it is what a pipe passes on, and that holds its
    /// source back before so much is here.
    #[error("{wanted} bytes to be looked at, of a pipe that holds {limit} (option: stock)")]
    PeekTooLong {
        /// Bytes that would have to be here.
        wanted: u64,
        /// Bytes that the pipe holds for who does not read.
        limit: u64,
    },
    /// The connection is over.
    #[error(transparent)]
    Connection(#[from] ConnectionError),
}

/// Why an unreliable datagram was not taken.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
#[non_exhaustive]
pub enum DatagramError {
    /// Larger than fits a packet on this path, now.
    #[error("a datagram of {len} bytes; this path carries at most {max} now")]
    TooLarge {
        /// Its bytes.
        len: usize,
        /// The limit in bytes.
        max: usize,
    },
    /// The peer takes no datagrams.
    #[error("the peer takes no datagrams")]
    Unsupported,
    /// The queue of outgoing datagrams of its class is full.
    #[error(
        "the queue of outgoing datagrams is full ({limit} wait); send_datagram_wait waits for room"
    )]
    Full {
        /// Datagrams of its class that wait.
        limit: usize,
    },
    /// The connection is over.
    #[error(transparent)]
    Connection(#[from] ConnectionError),
}

/// Why a message was not taken.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
#[non_exhaustive]
pub enum MessageError {
    /// The core did not take it: too large for the peer.
    #[error(transparent)]
    Refused(aqueduct_core::connection::MessageError),
    /// The connection is over.
    #[error(transparent)]
    Connection(#[from] ConnectionError),
}

/// Of a connection that was there and is over. [`io::ErrorKind::TimedOut`] is none of these: that
/// is what a handle's own time-out gives, and who sees it tries again.
fn kind_of(reason: &CloseReason) -> io::ErrorKind {
    match reason {
        CloseReason::Local(_) => io::ErrorKind::NotConnected,
        CloseReason::Refused(_) => io::ErrorKind::ConnectionRefused,
        CloseReason::Reset => io::ErrorKind::ConnectionReset,
        _ => io::ErrorKind::ConnectionAborted,
    }
}

impl From<ConnectionError> for io::Error {
    fn from(error: ConnectionError) -> Self {
        let kind = match &error {
            ConnectionError::Closed(reason) => kind_of(reason),
            ConnectionError::DriverGone => io::ErrorKind::BrokenPipe,
        };
        Self::new(kind, error)
    }
}

impl From<ConnectError> for io::Error {
    fn from(error: ConnectError) -> Self {
        let kind = match &error {
            ConnectError::Failed(CloseReason::HandshakeTimeout(_))
            | ConnectError::TcpTimeout { .. } => io::ErrorKind::TimedOut,
            ConnectError::Failed(reason) => kind_of(reason),
            ConnectError::EndpointClosed => io::ErrorKind::NotConnected,
            ConnectError::NoAddress | ConnectError::WrongFamily(..) => io::ErrorKind::InvalidInput,
            ConnectError::Tcp { kind, .. } => *kind,
            ConnectError::Core(_) => io::ErrorKind::Other,
        };
        Self::new(kind, error)
    }
}

impl From<WriteError> for io::Error {
    fn from(error: WriteError) -> Self {
        match error {
            WriteError::Connection(error) => error.into(),
            WriteError::Failed(error) => error.into(),
            WriteError::Stopped { .. } | WriteError::Finished => {
                Self::new(io::ErrorKind::BrokenPipe, error)
            }
            WriteError::Overlap(_) | WriteError::OutOfBounds { .. } => {
                Self::new(io::ErrorKind::InvalidInput, error)
            }
            WriteError::Reset => Self::new(io::ErrorKind::NotConnected, error),
        }
    }
}

impl From<ReadError> for io::Error {
    fn from(error: ReadError) -> Self {
        match error {
            ReadError::Connection(error) => error.into(),
            ReadError::Failed(error) => error.into(),
            ReadError::Reset { .. } => Self::new(io::ErrorKind::ConnectionReset, error),
            ReadError::Stopped => Self::new(io::ErrorKind::NotConnected, error),
            ReadError::Skipped(_) => Self::new(io::ErrorKind::UnexpectedEof, error),
            ReadError::TooLong { .. } => Self::new(io::ErrorKind::InvalidData, error),
            ReadError::PeekTooLong { .. } => Self::new(io::ErrorKind::InvalidInput, error),
        }
    }
}
