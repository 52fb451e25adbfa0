//! The endpoint and those who knock.

use std::net::SocketAddr;

use aqueduct_core::crypto::identity::NodeId;
use aqueduct_core::endpoint::EndpointStats;
use aqueduct_core::pipe::PipeOptions;
use aqueduct_core::shaping::Bandwidth;
use aqueduct_core::wire::id::AppCode;
use aqueduct_driver::clock::Clock;
use aqueduct_driver::error::{BindError, PipeError};
use aqueduct_driver::relay::{Relay, RelayConfig, RelayEvent};
use aqueduct_driver::socket::BufferWarning;
use aqueduct_driver::{Config, Figures, IoStats, Made, MessageStats, NodeAddr, Pipe, Recorded};

use crate::connecting::Connecting;
use crate::driver::Driver;
use crate::stream::{RecvStream, SendStream};

/// A UDP socket, and TCP on the same port ([`Carriers`](crate::Carriers)), driven by a task of the
/// runtime that it was bound in. Clones are handles of the same endpoint. When the last is gone
/// nobody is accepted any more, and the task ends once the connections have.
#[derive(Clone, Debug)]
pub struct Endpoint {
    inner: aqueduct_driver::Endpoint,
}

impl Endpoint {
    /// Binds a socket and spawns the task that drives it. Variables of the environment are heeded,
    /// unless the configuration says otherwise ([`Config::without_environment`]).
    ///
    /// # Errors
    /// The socket cannot be had, there is no randomness, or a variable says what cannot be.
    ///
    /// # Panics
    /// Outside of a tokio runtime with I/O and time enabled.
    pub fn bind(addr: SocketAddr, config: impl Into<Config>) -> Result<Self, BindError> {
        let Made { engine, endpoint, socket, io, listener } = config.into().make(addr)?;
        let driver = Driver::new(engine, (socket, io), listener).map_err(BindError::Runtime)?;
        tokio::spawn(driver);
        Ok(Self { inner: endpoint })
    }

    /// Who this node is.
    pub fn node_id(&self) -> NodeId {
        self.inner.node_id()
    }

    /// The socket's own address; a wildcard if it was bound to one.
    pub fn local_addr(&self) -> SocketAddr {
        self.inner.local_addr()
    }

    /// Whether others can reach it by TCP, on the port of [`local_addr`](Self::local_addr).
    pub fn listens_for_tcp(&self) -> bool {
        self.inner.listens_for_tcp()
    }

    /// Addresses under which others may dial: for a wildcard those of the machine's interfaces,
    /// with loopback last.
    pub fn dialable_addrs(&self) -> Vec<SocketAddr> {
        self.inner.dialable_addrs()
    }

    /// Where the kernel gave smaller buffers than were asked for. Each was logged as a warning.
    pub fn buffer_warnings(&self) -> &[BufferWarning] {
        self.inner.buffer_warnings()
    }

    /// Dials a node. Of several addresses the next is tried when one has failed or has not answered
    /// for 250 ms; each is tried by UDP, and by TCP as well when nothing has answered for 200 ms.
    /// The first that answers is taken and the others are given up.
    ///
    /// Where two nodes dial each other by id at the same moment, once each, their two attempts
    /// become one connection (spec R-EP-19).
    ///
    /// Cancel-safe: dropping what is returned gives the attempt up.
    pub fn connect(&self, to: impl Into<NodeAddr>) -> Connecting {
        Connecting::new(self.inner.dial(to.into()))
    }

    /// The next node that wants to connect; `None` once the endpoint is closed or its task has
    /// ended. Further ones wait, up to 256; beyond that they are refused.
    ///
    /// Cancel-safe.
    pub async fn accept(&self) -> Option<Incoming> {
        self.inner.accept().await.map(|inner| Incoming { inner })
    }

    /// Forwards what comes on `source` to every leg, while it comes, gaps or not; the bytes do not
    /// pass through this task or any other of the application's. The streams are the pipe's from
    /// now on. Each leg must have been opened with [`OpenOptions::forwarded`] of the source's
    /// introduction, so that no stream is forwarded for ever.
    ///
    /// # Errors
    /// [`PipeError`]; the streams are given up.
    ///
    /// [`OpenOptions::forwarded`]: crate::OpenOptions::forwarded
    pub async fn pipe(
        &self,
        source: RecvStream,
        legs: Vec<SendStream>,
        options: PipeOptions,
    ) -> Result<Pipe, PipeError> {
        let legs = legs.into_iter().map(Into::into).collect();
        self.inner.pipe(source.into(), legs, options).await
    }

    /// The same, and what is forwarded can be read here as well, in order: to store it while it
    /// goes on. Bytes that were not read hold the source back, as those of any leg; who drops the
    /// stream that is returned reads no more, and the pipe flows on. There need be no other leg.
    ///
    /// # Errors
    /// [`PipeError`]; the streams are given up.
    pub async fn pipe_and_read(
        &self,
        source: RecvStream,
        legs: Vec<SendStream>,
        options: PipeOptions,
    ) -> Result<(Pipe, RecvStream), PipeError> {
        let legs = legs.into_iter().map(Into::into).collect();
        let (pipe, reader) = self.inner.pipe_and_read(source.into(), legs, options).await?;
        Ok((pipe, RecvStream::new(reader)))
    }

    /// Relays from now on: streams that name a way through this node are taken to their next hops,
    /// for those whom the configuration allows. Spawns a task that ends with the endpoint; `told`
    /// hears what it does. Without this call streams with a way are refused. Called again, what
    /// comes from then on is relayed as the last call says.
    ///
    /// # Panics
    /// Outside of a tokio runtime.
    pub fn relay(
        &self,
        config: RelayConfig,
        told: impl Fn(RelayEvent) + Send + Sync + 'static,
    ) -> tokio::task::JoinHandle<()> {
        let relay = Relay::new(self.inner.clone(), config);
        tokio::spawn(relay.run(told))
    }

    /// The core's counters; zeros once the task has ended.
    ///
    /// Cancel-safe.
    pub async fn stats(&self) -> EndpointStats {
        self.inner.stats().await.unwrap_or_default()
    }

    /// How much the node sends in all from now on, in bytes a second: of datagrams, with all that
    /// is in them. `None`: as much as it can. Peers that have something to send share it fairly,
    /// and what keeps connections alive goes first ([how](aqueduct_core::shaping)).
    pub fn set_limit(&self, rate: Option<u64>) {
        self.inner.set_limit(rate);
    }

    /// The same for each peer that has no limit of its own.
    pub fn set_peers_limit(&self, rate: Option<u64>) {
        self.inner.set_peers_limit(rate);
    }

    /// The same for one peer, whether or not it is connected; `None`: as the others are limited.
    pub fn set_peer_limit(&self, peer: NodeId, rate: Option<u64>) {
        self.inner.set_peer_limit(peer, rate);
    }

    /// Bytes of datagrams by direction and class: of all since the endpoint began, or of one
    /// peer's present connections. Zeros once the task has ended.
    ///
    /// Cancel-safe.
    pub async fn bandwidth(&self, peer: Option<NodeId>) -> Bandwidth {
        self.inner.bandwidth(peer).await.unwrap_or_default()
    }

    /// The clock whose instants the core's figures speak of, such as [`PipeStats::first_byte`].
    ///
    /// [`PipeStats::first_byte`]: crate::PipeStats::first_byte
    pub fn clock(&self) -> Clock {
        self.inner.clock()
    }

    /// The socket's counters: calls, datagrams, batches, errors by kind.
    pub fn io_stats(&self) -> IoStats {
        self.inner.io_stats()
    }

    /// Counters of messages, by the way that they took.
    pub fn message_stats(&self) -> MessageStats {
        self.inner.message_stats()
    }

    /// All figures of this endpoint as one value, of now: what the feature `metrics` exports. It
    /// may wait for a turn of the driver, a fraction of a millisecond; meant for now and then.
    pub fn figures(&self) -> Figures {
        self.inner.figures()
    }

    /// The recording of this endpoint, if there is one: to end it, and to know how far it is.
    pub fn recording(&self) -> Option<Recorded> {
        self.inner.recording()
    }

    /// Accepts nobody any more, and closes every connection after what was written is delivered.
    /// [`wait_idle`](Self::wait_idle) tells when that is done.
    pub fn close(&self, code: AppCode, reason: &[u8]) {
        self.inner.close(code, reason);
    }

    /// Waits until no connection is left: closed, and the peer told.
    ///
    /// Cancel-safe.
    pub async fn wait_idle(&self) {
        self.inner.wait_idle().await;
    }
}

/// For what works with the handle of any adapter.
impl AsRef<aqueduct_driver::Endpoint> for Endpoint {
    fn as_ref(&self) -> &aqueduct_driver::Endpoint {
        &self.inner
    }
}

/// A node that wants to connect and has proven who it is. Dropped, it is refused.
#[derive(Debug)]
pub struct Incoming {
    inner: aqueduct_driver::Incoming,
}

impl Incoming {
    /// Who it is. A first packet that names our key could be a replay: what is certain is who wrote
    /// it.
    pub fn peer(&self) -> NodeId {
        self.inner.peer()
    }

    /// Where its packets come from.
    pub fn remote(&self) -> SocketAddr {
        self.inner.remote()
    }

    /// Lets it in. Await what is returned in a task of its own, so that a slow peer holds nobody
    /// up.
    pub fn accept(self) -> Connecting {
        Connecting::new(self.inner.accept().into())
    }

    /// Turns it away; it is told.
    pub fn refuse(self) {
        self.inner.refuse();
    }
}
