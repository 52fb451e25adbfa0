//! Aqueduct for tokio: encrypted streams, messages and datagrams between peers that know each other
//! by their keys.
//!
//! An [`Endpoint`] is a UDP socket, and TCP where UDP does not get through ([`Carriers`]), with a
//! task that drives them. It connects and accepts; a
//! [`Connection`] opens and accepts streams, and carries messages and unreliable datagrams. A
//! [`SendStream`] is an [`AsyncWrite`](tokio::io::AsyncWrite) and a [`Sink`](futures_sink::Sink) of
//! [`Bytes`], a [`RecvStream`] an [`AsyncRead`](tokio::io::AsyncRead) and a
//! [`Stream`](futures_core::Stream) of them.
//!
//! ```
//! use aqueduct_tokio::{Endpoint, OpenOptions, StreamProtocol, generate_key};
//! use tokio::io::AsyncWriteExt;
//!
//! # #[tokio::main(flavor = "current_thread")]
//! # async fn main() -> Result<(), Box<dyn std::error::Error>> {
//! const ECHO: StreamProtocol = StreamProtocol::name("echo");
//! // One node listens and answers every stream with what it read.
//! let server = Endpoint::bind("127.0.0.1:0".parse()?, generate_key()?)?;
//! let address = (server.node_id(), server.local_addr());
//! tokio::spawn(async move {
//!     while let Some(incoming) = server.accept().await {
//!         let connection = incoming.accept().await?;
//!         while let Ok((mut send, mut recv)) = connection.accept_bi().await {
//!             let said = recv.read_to_end(1024).await?;
//!             send.write_all(&said).await?;
//!             send.finish()?;
//!         }
//!     }
//!     Ok::<_, Box<dyn std::error::Error + Send + Sync>>(())
//! });
//! // Another dials it by its key.
//! let client = Endpoint::bind("127.0.0.1:0".parse()?, generate_key()?)?;
//! let connection = client.connect(address).await?;
//! let (mut send, mut recv) = connection.open_bi(OpenOptions::new(ECHO)).await?;
//! send.write_all(b"hello").await?;
//! send.finish()?;
//! assert_eq!(recv.read_to_end(1024).await?, b"hello");
//! # Ok(()) }
//! ```
//!
//! # Figures
//!
//! [`Endpoint::figures`] gives all counters of an endpoint as one value. With the feature `metrics`
//! a collector for the `prometheus-client` crate exports them; their names are the specification's
//! chapter 20.
//!
#![cfg_attr(feature = "metrics", doc = "```")]
#![cfg_attr(not(feature = "metrics"), doc = "```ignore")]
//! use aqueduct_tokio::metrics::prometheus_client::registry::Registry;
//! use aqueduct_tokio::metrics::{EndpointCollector, Format};
//! # use aqueduct_tokio::{Endpoint, generate_key};
//!
//! # #[tokio::main(flavor = "current_thread")]
//! # async fn main() -> Result<(), Box<dyn std::error::Error>> {
//! let endpoint = Endpoint::bind("127.0.0.1:0".parse()?, generate_key()?)?;
//! let mut registry = Registry::default();
//! registry.register_collector(Box::new(EndpointCollector::new(&endpoint)));
//! // At each scrape:
//! let text = Format::Prometheus.write(&registry)?;
//! assert!(text.contains("# TYPE aqueduct_packets_sent_total counter\n"));
//! # Ok(()) }
//! ```
//!
//! # Cancelling
//!
//! Every future may be dropped at any point: nothing that was received is lost, nothing is sent
//! twice, no timer of the protocol is touched. Each method says what dropping means for what it was
//! to send.
//!
//! # Threads
//!
//! The endpoint's task does the work. A task that has something new for it, as the first bytes of a
//! stream, wakes it, and it mostly runs next on the same worker: all that is said until the caller
//! has to wait leaves together. Nobody takes it from that worker before: who computes for long
//! behind a write, or blocks his thread, holds up the whole endpoint, as he holds up other tasks.
//! `tokio::task::block_in_place` is for that.
//!
//! Who writes more of a stream, or calls from outside of any task, does what the call asks for on
//! his own thread while it sleeps, so that it leaves without waking anybody first: for that long,
//! and for no more than two batches to the socket (of 64 KiB at most each), a call may compute and
//! send. What is left is the task's.
//!
//! # Dropping
//!
//! A [`SendStream`] dropped before [`finish`](SendStream::finish) is reset, a [`RecvStream`]
//! dropped before its end asks the peer to stop. A connection closes, with code 0 and after
//! everything written was delivered, when its last handle is gone; streams are handles, too. An
//! endpoint accepts nobody when its last clone is gone; its task ends when its connections have.
//!
//! # Panics
//!
//! If the driving task dies (its runtime was shut down), every call that waits or follows fails
//! with [`ConnectionError::DriverGone`]; nothing hangs.

mod connecting;
mod connection;
mod driver;
mod endpoint;
mod message;
mod stream;
mod threads;

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
pub use aqueduct_driver::{DiskError, MessageStats, NodeAddr, Pipe};
pub use aqueduct_driver::{Figures, IoStats, LATENCY_BOUNDS, LatencyStats};
pub use aqueduct_driver::{Recorded, Recording, TapeEnd, tape_file};
pub use bytes::Bytes;

pub use connecting::Connecting;
pub use connection::Connection;
pub use endpoint::{Endpoint, Incoming};
pub use message::{AsyncReading, MessageStream, Received};
pub use stream::{RecvStream, SendStream, VerifiedStream};

/// The examples of the project's front page, compiled and run.
#[cfg(doctest)]
#[doc = include_str!("../../../README.md")]
struct FrontPage;
