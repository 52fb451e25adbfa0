//! Aqueduct for plain threads: encrypted streams, messages and datagrams between peers that know
//! each other by their keys. No async runtime.
//!
//! An [`Endpoint`] is a UDP socket, and TCP where UDP does not get through ([`Carriers`]), with a
//! thread that drives them. It connects and accepts; a
//! [`Connection`] opens and accepts streams, and carries messages and unreliable datagrams. A
//! [`SendStream`] is a [`Write`](std::io::Write), a [`RecvStream`] a [`Read`](std::io::Read) and an
//! [`Iterator`] of [`Bytes`].
//!
//! ```
//! use std::io::Write;
//! use std::thread;
//!
//! use aqueduct_std::{Endpoint, OpenOptions, StreamProtocol, generate_key};
//!
//! # fn main() -> Result<(), Box<dyn std::error::Error>> {
//! const ECHO: StreamProtocol = StreamProtocol::name("echo");
//! // One node listens and answers every stream with what it read.
//! let server = Endpoint::bind("127.0.0.1:0".parse()?, generate_key()?)?;
//! let address = (server.node_id(), server.local_addr());
//! thread::spawn(move || {
//!     for incoming in server.incoming() {
//!         thread::spawn(move || {
//!             let connection = incoming.accept()?;
//!             while let Ok((mut send, mut recv)) = connection.accept_bi() {
//!                 send.write_all(&recv.collect_all(1024)?)?;
//!                 send.finish()?;
//!             }
//!             Ok::<_, Box<dyn std::error::Error + Send + Sync>>(())
//!         });
//!     }
//! });
//! // Another dials it by its key.
//! let client = Endpoint::bind("127.0.0.1:0".parse()?, generate_key()?)?;
//! let connection = client.connect(address)?;
//! let (mut send, mut recv) = connection.open_bi(OpenOptions::new(ECHO))?;
//! send.write_all(b"hello")?;
//! send.finish()?;
//! assert_eq!(recv.collect_all(1024)?, &b"hello"[..]);
//! # Ok(()) }
//! ```
//!
//! # Time-outs
//!
//! Each handle may have a time-out (`with_timeout`), which holds for each of its calls that wait,
//! and which what it gives inherits; without one, a call waits for ever. Who timed out has lost
//! nothing: what had come can be read by the next call, what was to be sent was not taken, unless
//! the call says otherwise.
//!
//! # Threads
//!
//! Handles may be cloned and used by any number of threads. The endpoint's thread does the work;
//! while it sleeps, whoever calls does what the call asks for on his own thread, so that what is
//! written leaves without waking anybody first (opening a stream does wake it): for that long, and
//! for no more than two batches to the socket (of 64 KiB at most each), a call may compute and
//! send. [`Endpoint::prepare`] gives the loop for a thread of your own.
//!
//! # Ending
//!
//! A [`SendStream`] dropped before [`finish`](SendStream::finish) is reset, a [`RecvStream`]
//! dropped before its end asks the peer to stop. A connection closes, with code 0 and after
//! everything written was delivered, when its last handle is gone; streams are handles, too. An
//! endpoint accepts nobody when its last clone is gone; its thread ends when its connections have.
//! Dropping never waits. [`Endpoint::shutdown`] does, and no longer than it is told: use it before
//! the process ends, which ends the thread in the middle of its work.
//!
//! # Panics
//!
//! If the thread that drives the endpoint dies, every call that waits or follows fails with
//! [`ConnectionError::DriverGone`]; nothing hangs.

mod connection;
mod driver;
mod endpoint;
mod message;
mod pipe;
mod running;
mod stream;
mod threads;
mod wait;

pub use aqueduct_core::config::{
    ConfigError, EndpointConfig, PacketSizes, RetryPolicy, Streaming, TransportConfig,
};
pub use aqueduct_core::congestion::Algorithm;
pub use aqueduct_core::connection::{ConnectionStats, LimitTimes, SendLimit};
pub use aqueduct_core::crypto::handshake::{Ciphers, Network, PairSecrets, Strangers};
pub use aqueduct_core::crypto::identity::{NodeId, NodeKey};
pub use aqueduct_core::crypto::limits::KeyLimits;
pub use aqueduct_core::crypto::provider::{Cipher, Provider};
pub use aqueduct_core::endpoint::{Endings, EndpointStats, Standing, Totals};
pub use aqueduct_core::error::{CloseReason, StreamCode};
pub use aqueduct_core::message::{Delivery, DropRule};
pub use aqueduct_core::path::CarrierKind;
pub use aqueduct_core::pipe::{LegEnd, LegIndex, LegPolicy, PipeOptions, PipeStats};
pub use aqueduct_core::shaping::{Bandwidth, Class};
pub use aqueduct_core::stream::{DEFAULT_HOP_LIMIT, OpenOptions, Priority, StreamProtocol};
pub use aqueduct_core::tape::{Ending, Payload};
pub use aqueduct_core::time::Instant;
pub use aqueduct_core::trace;
pub use aqueduct_core::wire::capabilities::Mode;
pub use aqueduct_core::wire::id::{AppCode, Dir, StreamId};
pub use aqueduct_driver::clock::Clock;
pub use aqueduct_driver::environment::EnvironmentError;
pub use aqueduct_driver::error::{
    BindError, ConnectError, ConnectionError, DatagramError, ExportError, MessageError, OpenError,
    PipeError, ReadError, SendError, Stop, StreamError, WriteError,
};
pub use aqueduct_driver::loss::LossyIo;
pub use aqueduct_driver::message::{ChunkSource, Chunks, Reading, Sent, StreamingSerialize};
#[cfg(feature = "metrics")]
pub use aqueduct_driver::metrics;
pub use aqueduct_driver::relay;
pub use aqueduct_driver::socket::{
    BufferWarning, Outgoing, RecvBatch, Segmentation, SocketConfig, SocketIo, UdpIo,
};
pub use aqueduct_driver::{Carriers, Config, generate_key};
pub use aqueduct_driver::{DiskError, MessageStats, NodeAddr, Recording, TapeEnd, tape_file};
pub use aqueduct_driver::{Figures, IoStats, LATENCY_BOUNDS, LatencyStats};
pub use bytes::Bytes;

pub use connection::Connection;
pub use driver::Driver;
pub use endpoint::{Endpoint, Incoming};
pub use message::{MessageStream, Received};
pub use pipe::{Pipe, Recorded};
pub use stream::{RecvStream, SendStream, VerifiedStream};
pub use wait::{Error, TimedOut};
