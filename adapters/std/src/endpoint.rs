//! The endpoint and those who knock.

use std::fmt;
use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};

use aqueduct_core::crypto::identity::NodeId;
use aqueduct_core::endpoint::EndpointStats;
use aqueduct_core::pipe::PipeOptions;
use aqueduct_core::shaping::Bandwidth;
use aqueduct_core::wire::id::AppCode;
use aqueduct_driver::clock::Clock;
use aqueduct_driver::error::{BindError, ConnectError, PipeError};
use aqueduct_driver::relay::{Relay, RelayConfig, RelayEvent};
use aqueduct_driver::socket::BufferWarning;
use aqueduct_driver::{Config, Dialing, Figures, IoStats, Made, MessageStats, NodeAddr};

use crate::connection::Connection;
use crate::driver::Driver;
use crate::pipe::{Pipe, Recorded};
use crate::running::Running;
use crate::stream::{RecvStream, SendStream};
use crate::wait::{Error, TimedOut, wait, wait_for};

/// A UDP socket, and TCP on the same port ([`Carriers`](crate::Carriers)), driven by a thread.
/// Clones are handles of the same endpoint. When the last is gone nobody is accepted any more, and
/// the thread ends once the connections have.
///
/// Every call that waits takes as long as the handle's time-out at most
/// ([`with_timeout`](Self::with_timeout)); by default it waits for ever. What a handle gives has
/// the same time-out: connections, their streams.
#[derive(Clone)]
pub struct Endpoint {
    inner: aqueduct_driver::Endpoint,
    running: Arc<Running>,
    timeout: Option<Duration>,
}

impl Endpoint {
    /// Binds a socket and begins the thread that drives it. Variables of the environment are
    /// heeded, unless the configuration says otherwise ([`Config::without_environment`]).
    ///
    /// # Errors
    /// The socket or the thread cannot be had, there is no randomness, or a variable says what
    /// cannot be.
    pub fn bind(addr: SocketAddr, config: impl Into<Config>) -> Result<Self, BindError> {
        let (endpoint, driver) = Self::prepare(addr, config)?;
        let name = thread::Builder::new().name("aqueduct".to_owned());
        let thread = name.spawn(move || driver.run()).map_err(BindError::Thread)?;
        endpoint.running.on(thread);
        Ok(endpoint)
    }

    /// The same without a thread: [`Driver::run`] is the loop, for a thread of yours. Nothing moves
    /// before it runs.
    ///
    /// # Errors
    /// The socket cannot be had, there is no randomness, or a variable says what cannot be.
    pub fn prepare(
        addr: SocketAddr,
        config: impl Into<Config>,
    ) -> Result<(Self, Driver), BindError> {
        let Made { engine, endpoint, socket, io, listener } = config.into().make(addr)?;
        let driver = Driver::new(engine, socket, io, listener).map_err(BindError::Runtime)?;
        let running = Arc::new(Running::foreign(driver.bell()));
        Ok((Self { inner: endpoint, running, timeout: None }, driver))
    }

    /// This handle with a time-out for each of its calls that wait; `None`: for ever.
    #[must_use]
    pub fn with_timeout(mut self, timeout: impl Into<Option<Duration>>) -> Self {
        self.timeout = timeout.into();
        self
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
    /// # Errors
    /// No address answered, or the time-out came first; the attempts are given up.
    pub fn connect(&self, to: impl Into<NodeAddr>) -> Result<Connection, Error<ConnectError>> {
        self.finish(self.inner.dial(to.into()))
    }

    fn finish(&self, dialing: Dialing) -> Result<Connection, Error<ConnectError>> {
        wait_for(dialing, self.timeout).map(|inner| Connection::new(inner, self.timeout))
    }

    /// The next node that wants to connect; `None` once the endpoint is closed or its thread has
    /// ended. Further ones wait, up to 256; beyond that they are refused.
    ///
    /// # Errors
    /// The time-out.
    pub fn accept(&self) -> Result<Option<Incoming>, TimedOut> {
        let incoming = wait(self.inner.accept(), self.timeout)?;
        Ok(incoming.map(|inner| Incoming { inner, endpoint: self.clone() }))
    }

    /// All nodes that want to connect, one after another, until the endpoint is closed. It waits
    /// for each as long as it takes.
    pub fn incoming(&self) -> impl Iterator<Item = Incoming> {
        let patient = self.clone().with_timeout(None);
        let timeout = self.timeout;
        std::iter::from_fn(move || {
            let mut incoming = patient.accept().ok().flatten()?;
            incoming.endpoint.timeout = timeout;
            Some(incoming)
        })
    }

    /// Forwards what comes on `source` to every leg, while it comes, gaps or not; the bytes do not
    /// pass through any thread of the application's. The streams are the pipe's from now on. Each
    /// leg must have been opened with [`OpenOptions::forwarded`] of the source's introduction, so
    /// that no stream is forwarded for ever.
    ///
    /// # Errors
    /// [`PipeError`]; the streams are given up.
    ///
    /// [`OpenOptions::forwarded`]: crate::OpenOptions::forwarded
    pub fn pipe(
        &self,
        source: RecvStream,
        legs: Vec<SendStream>,
        options: PipeOptions,
    ) -> Result<Pipe, Error<PipeError>> {
        let legs = legs.into_iter().map(Into::into).collect();
        let pipe = wait_for(self.inner.pipe(source.into(), legs, options), self.timeout)?;
        Ok(Pipe::new(pipe, self.timeout))
    }

    /// The same, and what is forwarded can be read here as well, in order: to store it while it
    /// goes on. Bytes that were not read hold the source back, as those of any leg; who drops the
    /// stream that is returned reads no more, and the pipe flows on. There need be no other leg.
    ///
    /// # Errors
    /// [`PipeError`]; the streams are given up.
    pub fn pipe_and_read(
        &self,
        source: RecvStream,
        legs: Vec<SendStream>,
        options: PipeOptions,
    ) -> Result<(Pipe, RecvStream), Error<PipeError>> {
        let legs = legs.into_iter().map(Into::into).collect();
        let piping = self.inner.pipe_and_read(source.into(), legs, options);
        let (pipe, reader) = wait_for(piping, self.timeout)?;
        Ok((Pipe::new(pipe, self.timeout), RecvStream::new(reader, self.timeout)))
    }

    /// Relays from now on: streams that name a way through this node are taken to their next hops,
    /// for those whom the configuration allows. Begins a thread that ends with the endpoint; `told`
    /// hears what it does. Without this call streams with a way are refused. Called again, what
    /// comes from then on is relayed as the last call says.
    ///
    /// # Errors
    /// The system gives no thread.
    pub fn relay(
        &self,
        config: RelayConfig,
        told: impl Fn(RelayEvent) + Send + 'static,
    ) -> io::Result<JoinHandle<()>> {
        let relay = Relay::new(self.inner.clone(), config);
        thread::Builder::new()
            .name("aqueduct-relay".to_owned())
            .spawn(move || _ = wait(relay.run(told), None))
    }

    /// The core's counters; zeros once the thread has ended.
    ///
    /// # Errors
    /// The time-out.
    pub fn stats(&self) -> Result<EndpointStats, TimedOut> {
        Ok(wait(self.inner.stats(), self.timeout)?.unwrap_or_default())
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
    /// peer's present connections. Zeros once the thread has ended.
    ///
    /// # Errors
    /// The time-out.
    pub fn bandwidth(&self, peer: Option<NodeId>) -> Result<Bandwidth, TimedOut> {
        Ok(wait(self.inner.bandwidth(peer), self.timeout)?.unwrap_or_default())
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
        self.inner.recording().map(|inner| Recorded::new(inner, self.timeout))
    }

    /// Accepts nobody any more, and closes every connection after what was written is delivered.
    /// Does not wait; [`wait_idle`](Self::wait_idle) tells when that is done.
    pub fn close(&self, code: AppCode, reason: &[u8]) {
        self.inner.close(code, reason);
    }

    /// Waits until no connection is left: closed, and the peer told.
    ///
    /// # Errors
    /// The time-out.
    pub fn wait_idle(&self) -> Result<(), TimedOut> {
        wait(self.inner.wait_idle(), self.timeout)
    }

    /// Ends the endpoint within `within`, whatever its handles wait for: connections are closed as
    /// by [`close`](Self::close), and those that are not done by then are cut off. Calls that wait
    /// fail, and the thread has ended when this returns, whoever called it as well (one of yours
    /// ends soon after). What is left of the time is for a recording: its file is whole then, as
    /// far as the disk takes it. Says whether all was delivered, and written in time.
    pub fn shutdown(&self, code: AppCode, reason: &[u8], within: Duration) -> bool {
        let began = Instant::now();
        self.close(code, reason);
        let delivered = wait(self.inner.wait_idle(), Some(within)).is_ok();
        self.running.bell.stop();
        if self.running.is_here() {
            // A handler that the loop calls cannot wait for the loop.
            return delivered;
        }
        let ended = self.running.join();
        let left = within.saturating_sub(began.elapsed());
        let written =
            |recorded: aqueduct_driver::Recorded| wait(recorded.end(), Some(left)).is_ok();
        self.inner.recording().is_none_or(written) && ended && delivered
    }
}

impl fmt::Debug for Endpoint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.inner.fmt(f)
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
    endpoint: Endpoint,
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

    /// Lets it in, and waits until its handshake is confirmed: on a thread of its own, so that a
    /// slow peer holds nobody up.
    ///
    /// # Errors
    /// It did not come to a connection, or the time-out of the endpoint's handle came first.
    pub fn accept(self) -> Result<Connection, Error<ConnectError>> {
        self.endpoint.finish(self.inner.accept().into())
    }

    /// Turns it away; it is told.
    pub fn refuse(self) {
        self.inner.refuse();
    }
}
