//! The two adapters behind one face. Every call waits on the thread that makes it; those of the
//! async adapter on a runtime that all tests share.

use std::future::Future;
use std::io;
use std::net::SocketAddr;
use std::ops::Range;
use std::sync::OnceLock;

use aqueduct_driver::Endpoint;
use aqueduct_std::{
    AppCode, Bytes, CarrierKind, Carriers, Chunks, CloseReason, ConnectError, ConnectionError,
    ConnectionStats, DatagramError, EndpointConfig, NodeAddr, NodeId, NodeKey, OpenOptions,
    PipeOptions, PipeStats, ReadError, Recording, Sent, Stop, StreamId, StreamProtocol, TapeEnd,
    TransportConfig, WriteError,
};
use tokio::runtime::Runtime;

pub(crate) const LOOPBACK: &str = "127.0.0.1:0";

pub(crate) fn options() -> OpenOptions {
    OpenOptions::new(StreamProtocol::name("test"))
}

fn key() -> NodeKey {
    aqueduct_std::generate_key().expect("randomness")
}

fn config(carriers: Carriers, transport: TransportConfig) -> aqueduct_std::Config {
    // As between machines: loopback's large datagrams would leave little to loss and to batches.
    let size = transport.packet_sizes().network;
    let transport = transport.with_max_loopback_packet_size(size).expect("a size");
    let endpoint = EndpointConfig::new(key()).with_transport(transport);
    aqueduct_std::Config::from(endpoint).without_environment().with_carriers(carriers)
}

/// An endpoint of some adapter.
pub(crate) trait Node: AsRef<Endpoint> + Clone + Send + Sync + 'static {
    type Link: Link;
    /// A pipe that flows.
    type Pipe;

    /// Bound to this address.
    fn at(addr: &str, carriers: Carriers, transport: TransportConfig) -> Self;
    fn addr(&self) -> (NodeId, SocketAddr);
    fn dial(&self, to: NodeAddr) -> Result<Self::Link, ConnectError>;
    /// The next who knocks, let in.
    fn take(&self) -> Option<Result<Self::Link, ConnectError>>;
    /// The next who knocks, turned away.
    fn turn_away(&self);
    fn pipe(&self, from: Recv<Self>, to: Send_<Self>) -> Self::Pipe;
    fn piped(pipe: Self::Pipe) -> PipeStats;
    fn close(&self, code: AppCode);
    fn wait_idle(&self);
    fn connections(&self) -> u32;
    /// Bound, and recorded.
    fn recorded(by: Recording) -> Self;
    fn tape_ended(&self) -> Option<TapeEnd>;
    /// Waits for the end of the tape.
    fn tape_closed(&self) -> TapeEnd;
    /// Ends the tape and waits for the disk.
    fn end_tape(&self) -> io::Result<u64>;

    fn by(carriers: Carriers, transport: TransportConfig) -> Self {
        Self::at(LOOPBACK, carriers, transport)
    }

    fn with(transport: TransportConfig) -> Self {
        Self::by(Carriers::default(), transport)
    }

    fn new() -> Self {
        Self::with(TransportConfig::default())
    }
}

pub(crate) type Send_<N> = <<N as Node>::Link as Link>::Send;
pub(crate) type Recv<N> = <<N as Node>::Link as Link>::Recv;

/// A connection of some adapter.
pub(crate) trait Link: Clone + Send + Sync + 'static {
    type Send: Outlet;
    type Recv: Inlet;

    fn carriage(&self) -> CarrierKind;
    fn stats(&self) -> ConnectionStats;
    fn open_bi(&self, options: OpenOptions) -> (Self::Send, Self::Recv);
    fn open_uni(&self, options: OpenOptions) -> Self::Send;
    fn accept_bi(&self) -> Result<(Self::Send, Self::Recv), ConnectionError>;
    fn accept_uni(&self) -> Result<Self::Recv, ConnectionError>;
    fn say(&self, datagram: Bytes) -> Result<(), DatagramError>;
    fn hear(&self) -> Result<Bytes, ConnectionError>;
    fn send_message(&self, message: Bytes);
    fn recv_message(&self) -> Result<Bytes, ConnectionError>;
    /// The stream that it took, if it did.
    fn send_chunks(&self, total: u64, chunks: Vec<Vec<u8>>) -> Option<StreamId>;
    /// Why it fails.
    fn try_send_chunks(&self, total: u64, chunks: Vec<Vec<u8>>) -> String;
    fn key_material(&self, label: &[u8]) -> Vec<u8>;
    fn close(&self, code: AppCode, reason: &[u8]);
    fn abort(&self, code: AppCode, reason: &[u8]);
    fn closed(&self) -> CloseReason;
}

/// What is written to.
pub(crate) trait Outlet: Send + 'static {
    fn put(&mut self, bytes: &[u8]) -> Result<(), WriteError>;
    fn put_at(&mut self, offset: u64, bytes: &[u8]) -> Result<(), WriteError>;
    fn skip(&mut self, range: Range<u64>) -> Result<(), WriteError>;
    fn finish(&mut self) -> Result<(), WriteError>;
    fn delivered(&mut self) -> Result<(), WriteError>;
    fn stopped(&mut self) -> Result<Option<Stop>, ConnectionError>;
    fn reset(&mut self, code: AppCode);
}

/// What is read from.
pub(crate) trait Inlet: Send + 'static {
    fn all(&mut self, limit: usize) -> Result<Bytes, ReadError>;
    fn some(&mut self, max: usize) -> Result<Option<Bytes>, ReadError>;
    fn peek(&mut self, len: usize) -> Result<Bytes, ReadError>;
    fn fork(&self) -> Self;
    fn stop(&mut self, code: AppCode);
    fn info(&self) -> Option<&OpenOptions>;
    fn id(&self) -> StreamId;
}

/// The adapter for threads.
pub(crate) type Std = aqueduct_std::Endpoint;
/// The adapter for tokio.
pub(crate) type Tokio = aqueduct_tokio::Endpoint;

/// The stream that a message took.
fn taken(sent: Sent) -> Option<StreamId> {
    match sent {
        Sent::Streamed(id) => Some(id),
        _ => None,
    }
}

/// Nothing has a time-out here.
fn sure<T, E>(result: Result<T, aqueduct_std::Error<E>>) -> Result<T, E> {
    result.map_err(|error| match error {
        aqueduct_std::Error::Failed(error) => error,
        aqueduct_std::Error::TimedOut(after) => panic!("{after}"),
    })
}

impl Node for Std {
    type Link = aqueduct_std::Connection;
    type Pipe = aqueduct_std::Pipe;

    fn at(addr: &str, carriers: Carriers, transport: TransportConfig) -> Self {
        Self::bind(addr.parse().unwrap(), config(carriers, transport)).unwrap()
    }

    fn addr(&self) -> (NodeId, SocketAddr) {
        (self.node_id(), self.local_addr())
    }

    fn dial(&self, to: NodeAddr) -> Result<Self::Link, ConnectError> {
        sure(self.connect(to))
    }

    fn take(&self) -> Option<Result<Self::Link, ConnectError>> {
        self.accept().unwrap().map(|incoming| sure(incoming.accept()))
    }

    fn turn_away(&self) {
        self.accept().unwrap().unwrap().refuse();
    }

    fn pipe(&self, from: Recv<Self>, to: Send_<Self>) -> Self::Pipe {
        Self::pipe(self, from, vec![to], PipeOptions::default()).unwrap()
    }

    fn piped(pipe: Self::Pipe) -> PipeStats {
        pipe.ended().unwrap().unwrap()
    }

    fn close(&self, code: AppCode) {
        Self::close(self, code, b"");
    }

    fn wait_idle(&self) {
        Self::wait_idle(self).unwrap();
    }

    fn connections(&self) -> u32 {
        self.stats().unwrap().connections
    }

    fn recorded(by: Recording) -> Self {
        let config = config(Carriers::default(), TransportConfig::default());
        Self::bind(LOOPBACK.parse().unwrap(), config.with_recording(by)).unwrap()
    }

    fn tape_ended(&self) -> Option<TapeEnd> {
        self.recording().unwrap().ended()
    }

    fn tape_closed(&self) -> TapeEnd {
        self.recording().unwrap().closed().unwrap()
    }

    fn end_tape(&self) -> io::Result<u64> {
        self.recording().unwrap().end()
    }
}

impl Link for aqueduct_std::Connection {
    type Send = aqueduct_std::SendStream;
    type Recv = aqueduct_std::RecvStream;

    fn carriage(&self) -> CarrierKind {
        Self::carriage(self)
    }

    fn stats(&self) -> ConnectionStats {
        Self::stats(self).unwrap()
    }

    fn open_bi(&self, options: OpenOptions) -> (Self::Send, Self::Recv) {
        Self::open_bi(self, options).unwrap()
    }

    fn open_uni(&self, options: OpenOptions) -> Self::Send {
        Self::open_uni(self, options).unwrap()
    }

    fn accept_bi(&self) -> Result<(Self::Send, Self::Recv), ConnectionError> {
        sure(Self::accept_bi(self))
    }

    fn accept_uni(&self) -> Result<Self::Recv, ConnectionError> {
        sure(Self::accept_uni(self))
    }

    fn say(&self, datagram: Bytes) -> Result<(), DatagramError> {
        sure(self.send_datagram_wait(datagram))
    }

    fn hear(&self) -> Result<Bytes, ConnectionError> {
        sure(self.read_datagram())
    }

    fn send_message(&self, message: Bytes) {
        Self::send_message(self, message).unwrap();
    }

    fn recv_message(&self) -> Result<Bytes, ConnectionError> {
        sure(Self::recv_message(self))
    }

    fn send_chunks(&self, total: u64, chunks: Vec<Vec<u8>>) -> Option<StreamId> {
        taken(self.send_auto(Chunks::new(total, chunks)).unwrap())
    }

    fn try_send_chunks(&self, total: u64, chunks: Vec<Vec<u8>>) -> String {
        self.send_auto(Chunks::new(total, chunks)).unwrap_err().to_string()
    }

    fn key_material(&self, label: &[u8]) -> Vec<u8> {
        self.export_keying_material(label, b"", 40).unwrap()
    }

    fn close(&self, code: AppCode, reason: &[u8]) {
        Self::close(self, code, reason);
    }

    fn abort(&self, code: AppCode, reason: &[u8]) {
        Self::abort(self, code, reason);
    }

    fn closed(&self) -> CloseReason {
        Self::closed(self).unwrap()
    }
}

impl Outlet for aqueduct_std::SendStream {
    fn put(&mut self, bytes: &[u8]) -> Result<(), WriteError> {
        sure(self.write_bytes(Bytes::copy_from_slice(bytes)))
    }

    fn put_at(&mut self, offset: u64, bytes: &[u8]) -> Result<(), WriteError> {
        sure(self.write_at(offset, Bytes::copy_from_slice(bytes)))
    }

    fn skip(&mut self, range: Range<u64>) -> Result<(), WriteError> {
        Self::skip(self, range)
    }

    fn finish(&mut self) -> Result<(), WriteError> {
        Self::finish(self)
    }

    fn delivered(&mut self) -> Result<(), WriteError> {
        sure(Self::delivered(self))
    }

    fn stopped(&mut self) -> Result<Option<Stop>, ConnectionError> {
        sure(Self::stopped(self))
    }

    fn reset(&mut self, code: AppCode) {
        Self::reset(self, code);
    }
}

impl Inlet for aqueduct_std::RecvStream {
    fn all(&mut self, limit: usize) -> Result<Bytes, ReadError> {
        sure(self.collect_all(limit))
    }

    fn some(&mut self, max: usize) -> Result<Option<Bytes>, ReadError> {
        sure(self.read_chunk(max))
    }

    fn peek(&mut self, len: usize) -> Result<Bytes, ReadError> {
        sure(Self::peek(self, len))
    }

    fn fork(&self) -> Self {
        Self::fork(self)
    }

    fn stop(&mut self, code: AppCode) {
        Self::stop(self, code);
    }

    fn info(&self) -> Option<&OpenOptions> {
        Self::info(self)
    }

    fn id(&self) -> StreamId {
        Self::id(self)
    }
}

/// Waits on this thread for what the runtime does.
fn now<T>(future: impl Future<Output = T>) -> T {
    runtime().block_on(future)
}

pub(crate) fn runtime() -> &'static Runtime {
    static RUNTIME: OnceLock<Runtime> = OnceLock::new();
    RUNTIME.get_or_init(|| {
        tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build().unwrap()
    })
}

impl Node for Tokio {
    type Link = aqueduct_tokio::Connection;
    type Pipe = aqueduct_tokio::Pipe;

    fn at(addr: &str, carriers: Carriers, transport: TransportConfig) -> Self {
        let _runtime = runtime().enter();
        Self::bind(addr.parse().unwrap(), config(carriers, transport)).unwrap()
    }

    fn addr(&self) -> (NodeId, SocketAddr) {
        (self.node_id(), self.local_addr())
    }

    fn dial(&self, to: NodeAddr) -> Result<Self::Link, ConnectError> {
        now(self.connect(to))
    }

    fn take(&self) -> Option<Result<Self::Link, ConnectError>> {
        now(async { Some(self.accept().await?.accept().await) })
    }

    fn turn_away(&self) {
        now(self.accept()).unwrap().refuse();
    }

    fn pipe(&self, from: Recv<Self>, to: Send_<Self>) -> Self::Pipe {
        now(Self::pipe(self, from, vec![to], PipeOptions::default())).unwrap()
    }

    fn piped(pipe: Self::Pipe) -> PipeStats {
        now(pipe.ended()).unwrap()
    }

    fn close(&self, code: AppCode) {
        Self::close(self, code, b"");
    }

    fn wait_idle(&self) {
        now(Self::wait_idle(self));
    }

    fn connections(&self) -> u32 {
        now(self.stats()).connections
    }

    fn recorded(by: Recording) -> Self {
        let _runtime = runtime().enter();
        let config = config(Carriers::default(), TransportConfig::default());
        Self::bind(LOOPBACK.parse().unwrap(), config.with_recording(by)).unwrap()
    }

    fn tape_ended(&self) -> Option<TapeEnd> {
        self.recording().unwrap().ended()
    }

    fn tape_closed(&self) -> TapeEnd {
        now(self.recording().unwrap().closed())
    }

    fn end_tape(&self) -> io::Result<u64> {
        now(self.recording().unwrap().end())
    }
}

impl Link for aqueduct_tokio::Connection {
    type Send = aqueduct_tokio::SendStream;
    type Recv = aqueduct_tokio::RecvStream;

    fn carriage(&self) -> CarrierKind {
        Self::carriage(self)
    }

    fn stats(&self) -> ConnectionStats {
        now(Self::stats(self))
    }

    fn open_bi(&self, options: OpenOptions) -> (Self::Send, Self::Recv) {
        now(Self::open_bi(self, options)).unwrap()
    }

    fn open_uni(&self, options: OpenOptions) -> Self::Send {
        now(Self::open_uni(self, options)).unwrap()
    }

    fn accept_bi(&self) -> Result<(Self::Send, Self::Recv), ConnectionError> {
        now(Self::accept_bi(self))
    }

    fn accept_uni(&self) -> Result<Self::Recv, ConnectionError> {
        now(Self::accept_uni(self))
    }

    fn say(&self, datagram: Bytes) -> Result<(), DatagramError> {
        now(self.send_datagram_wait(datagram))
    }

    fn hear(&self) -> Result<Bytes, ConnectionError> {
        now(self.read_datagram())
    }

    fn send_message(&self, message: Bytes) {
        now(Self::send_message(self, message)).unwrap();
    }

    fn recv_message(&self) -> Result<Bytes, ConnectionError> {
        now(Self::recv_message(self))
    }

    fn send_chunks(&self, total: u64, chunks: Vec<Vec<u8>>) -> Option<StreamId> {
        taken(now(self.send_auto(Chunks::new(total, chunks))).unwrap())
    }

    fn try_send_chunks(&self, total: u64, chunks: Vec<Vec<u8>>) -> String {
        now(self.send_auto(Chunks::new(total, chunks))).unwrap_err().to_string()
    }

    fn key_material(&self, label: &[u8]) -> Vec<u8> {
        now(self.export_keying_material(label, b"", 40)).unwrap()
    }

    fn close(&self, code: AppCode, reason: &[u8]) {
        Self::close(self, code, reason);
    }

    fn abort(&self, code: AppCode, reason: &[u8]) {
        Self::abort(self, code, reason);
    }

    fn closed(&self) -> CloseReason {
        now(Self::closed(self))
    }
}

impl Outlet for aqueduct_tokio::SendStream {
    fn put(&mut self, bytes: &[u8]) -> Result<(), WriteError> {
        now(self.write_bytes(Bytes::copy_from_slice(bytes)))
    }

    fn put_at(&mut self, offset: u64, bytes: &[u8]) -> Result<(), WriteError> {
        now(self.write_at(offset, Bytes::copy_from_slice(bytes)))
    }

    fn skip(&mut self, range: Range<u64>) -> Result<(), WriteError> {
        Self::skip(self, range)
    }

    fn finish(&mut self) -> Result<(), WriteError> {
        Self::finish(self)
    }

    fn delivered(&mut self) -> Result<(), WriteError> {
        now(Self::delivered(self))
    }

    fn stopped(&mut self) -> Result<Option<Stop>, ConnectionError> {
        now(Self::stopped(self))
    }

    fn reset(&mut self, code: AppCode) {
        Self::reset(self, code);
    }
}

impl Inlet for aqueduct_tokio::RecvStream {
    fn all(&mut self, limit: usize) -> Result<Bytes, ReadError> {
        now(self.collect_all(limit))
    }

    fn some(&mut self, max: usize) -> Result<Option<Bytes>, ReadError> {
        now(self.read_chunk(max))
    }

    fn peek(&mut self, len: usize) -> Result<Bytes, ReadError> {
        now(Self::peek(self, len))
    }

    fn fork(&self) -> Self {
        Self::fork(self)
    }

    fn stop(&mut self, code: AppCode) {
        Self::stop(self, code);
    }

    fn info(&self) -> Option<&OpenOptions> {
        Self::info(self)
    }

    fn id(&self) -> StreamId {
        Self::id(self)
    }
}

/// A connection between two nodes, both ends.
pub(crate) fn connect<C: Node, S: Node>(client: &C, server: &S) -> (C::Link, S::Link) {
    connect_at(client, server, server.addr().1)
}

/// The same by an address at which the server seems to be.
pub(crate) fn connect_at<C: Node, S: Node>(
    client: &C,
    server: &S,
    at: SocketAddr,
) -> (C::Link, S::Link) {
    std::thread::scope(|scope| {
        let taking = scope.spawn(|| server.take().expect("open").expect("a handshake"));
        let near = client.dial((server.addr().0, at).into()).expect("an answer");
        (near, taking.join().expect("no panic"))
    })
}

/// Two nodes and a connection between them.
pub(crate) struct Pair<C: Node, S: Node> {
    pub(crate) client: C,
    pub(crate) server: S,
    pub(crate) near: C::Link,
    pub(crate) far: S::Link,
}

pub(crate) fn pair<C: Node, S: Node>() -> Pair<C, S> {
    pair_with(TransportConfig::default())
}

pub(crate) fn pair_with<C: Node, S: Node>(transport: TransportConfig) -> Pair<C, S> {
    let (client, server) = (C::with(transport.clone()), S::with(transport));
    let (near, far) = connect(&client, &server);
    Pair { client, server, near, far }
}

/// Bytes that show where they belong.
pub(crate) fn pattern(len: usize) -> Vec<u8> {
    let mut state = 0x9e37_79b9_7f4a_7c15_u64;
    let mut out = Vec::with_capacity(len + 8);
    while out.len() < len {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        out.extend_from_slice(&state.to_le_bytes());
    }
    out.truncate(len);
    out
}
