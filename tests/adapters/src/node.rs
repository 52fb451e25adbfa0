//! The two adapters behind one face. Every call waits on the thread that makes it; those of the
//! async adapter on a runtime that all tests share.

mod tasks;
mod threads;

use std::io;
use std::net::SocketAddr;
use std::ops::Range;
use std::time::Duration;

use aqueduct_driver::Endpoint;
use aqueduct_driver::clock::Clock;
use aqueduct_std::relay::{RelayConfig, RelayEvent};
use aqueduct_std::{
    Algorithm, AppCode, Bandwidth, BufferWarning, Bytes, CarrierKind, Carriers, Chunks,
    CloseReason, ConnectError, ConnectionError, ConnectionStats, DatagramError, Delivery,
    EndpointConfig, EndpointStats, ExportError, Figures, IoStats, LegEnd, LegIndex, LegPolicy,
    MessageError, MessageStats, Mode, NodeAddr, NodeId, NodeKey, OpenError, OpenOptions, PipeError,
    PipeOptions, PipeStats, Priority, ReadError, Recording, SendError, Sent, Stop, StreamError,
    StreamId, StreamProtocol, StreamingSerialize, TapeEnd, TransportConfig, WriteError,
};

pub(crate) use tasks::runtime;

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
    type Knock: Knock<Link = Self::Link>;
    type Pipe: Flow<Send_<Self>>;

    /// Bound with this configuration.
    fn bound(addr: SocketAddr, config: aqueduct_std::Config) -> Self;
    fn addr(&self) -> (NodeId, SocketAddr);
    fn listens_for_tcp(&self) -> bool;
    fn dialable_addrs(&self) -> Vec<SocketAddr>;
    fn buffer_warnings(&self) -> &[BufferWarning];
    fn dial(&self, to: NodeAddr) -> Result<Self::Link, ConnectError>;
    /// The next who knocks.
    fn knock(&self) -> Option<Self::Knock>;
    fn pipe_to(
        &self,
        from: Recv<Self>,
        to: Vec<Send_<Self>>,
        options: PipeOptions,
    ) -> Result<Self::Pipe, PipeError>;
    fn pipe_and_read(
        &self,
        from: Recv<Self>,
        to: Vec<Send_<Self>>,
        options: PipeOptions,
    ) -> Result<(Self::Pipe, Recv<Self>), PipeError>;
    /// Relays. What is returned says whether that is over.
    fn relay(
        &self,
        config: RelayConfig,
        told: impl Fn(RelayEvent) + Send + Sync + 'static,
    ) -> Box<dyn Fn() -> bool>;
    fn stats(&self) -> EndpointStats;
    fn set_limit(&self, rate: Option<u64>);
    fn set_peers_limit(&self, rate: Option<u64>);
    fn set_peer_limit(&self, peer: NodeId, rate: Option<u64>);
    fn bandwidth(&self, peer: Option<NodeId>) -> Bandwidth;
    fn clock(&self) -> Clock;
    fn io_stats(&self) -> IoStats;
    fn message_stats(&self) -> MessageStats;
    fn figures(&self) -> Figures;
    fn close(&self, code: AppCode);
    fn wait_idle(&self);
    /// Bytes on the disk.
    fn tape_written(&self) -> u64;
    fn tape_ended(&self) -> Option<TapeEnd>;
    /// Waits for the end of the tape.
    fn tape_closed(&self) -> TapeEnd;
    /// Ends the tape and waits for the disk.
    fn end_tape(&self) -> io::Result<u64>;

    /// Bound to this address.
    fn at(addr: &str, carriers: Carriers, transport: TransportConfig) -> Self {
        Self::bound(addr.parse().unwrap(), config(carriers, transport))
    }

    fn by(carriers: Carriers, transport: TransportConfig) -> Self {
        Self::at(LOOPBACK, carriers, transport)
    }

    fn with(transport: TransportConfig) -> Self {
        Self::by(Carriers::default(), transport)
    }

    fn new() -> Self {
        Self::with(TransportConfig::default())
    }

    /// Bound, and recorded.
    fn recorded(by: Recording) -> Self {
        let config = config(Carriers::default(), TransportConfig::default());
        Self::bound(LOOPBACK.parse().unwrap(), config.with_recording(by))
    }

    /// The same with so much memory for what its peers send.
    fn with_memory(bytes: u64) -> Self {
        let config = EndpointConfig::new(key()).with_memory(bytes, 16).expect("a size");
        let config = aqueduct_std::Config::from(config).without_environment();
        Self::bound(LOOPBACK.parse().unwrap(), config)
    }

    /// The next who knocks, let in.
    fn take(&self) -> Option<Result<Self::Link, ConnectError>> {
        Some(self.knock()?.accept())
    }

    /// The next who knocks, turned away.
    fn turn_away(&self) {
        self.knock().unwrap().refuse();
    }

    fn pipe(&self, from: Recv<Self>, to: Send_<Self>) -> Self::Pipe {
        self.pipe_to(from, vec![to], PipeOptions::default()).unwrap()
    }

    fn connections(&self) -> u32 {
        self.stats().connections
    }

    fn there(&self) -> NodeAddr {
        self.addr().into()
    }
}

pub(crate) type Send_<N> = <<N as Node>::Link as Link>::Send;
pub(crate) type Recv<N> = <<N as Node>::Link as Link>::Recv;
pub(crate) type Letter_<N> = <<N as Node>::Link as Link>::Letter;

/// Who wants to connect.
pub(crate) trait Knock: Send + 'static {
    type Link;

    fn peer(&self) -> NodeId;
    fn remote(&self) -> SocketAddr;
    fn accept(self) -> Result<Self::Link, ConnectError>;
    fn refuse(self);
}

/// A connection of some adapter.
pub(crate) trait Link: Clone + Send + Sync + 'static {
    type Send: Outlet;
    type Recv: Inlet;
    type Letter: Letter<Send = Self::Send, Recv = Self::Recv>;

    fn peer(&self) -> NodeId;
    fn remote(&self) -> SocketAddr;
    fn carriage(&self) -> CarrierKind;
    fn mode(&self) -> Mode;
    fn stats(&self) -> ConnectionStats;
    fn set_controller(&self, controller: Algorithm);
    fn try_open_bi(&self, options: OpenOptions) -> Result<(Self::Send, Self::Recv), OpenError>;
    fn try_open_uni(&self, options: OpenOptions) -> Result<Self::Send, OpenError>;
    fn accept_bi(&self) -> Result<(Self::Send, Self::Recv), ConnectionError>;
    fn accept_uni(&self) -> Result<Self::Recv, ConnectionError>;
    fn accept_any(&self) -> Result<(Option<Self::Send>, Self::Recv), ConnectionError>;
    fn range(&self, of: StreamId, from: u64, to: Option<u64>) -> Result<Self::Recv, StreamError>;
    fn say(&self, datagram: Bytes) -> Result<(), DatagramError>;
    /// The same without waiting for room.
    fn say_now(&self, datagram: Bytes) -> Result<(), DatagramError>;
    fn say_with(&self, datagram: Bytes, delivery: Delivery) -> Result<(), DatagramError>;
    fn write_to(&self, message: Bytes, delivery: Delivery) -> Result<(), MessageError>;
    fn hear(&self) -> Result<Bytes, ConnectionError>;
    fn max_datagram_len(&self) -> Option<usize>;
    fn try_send_message(&self, message: Bytes) -> Result<(), MessageError>;
    fn recv_message(&self) -> Result<Bytes, ConnectionError>;
    fn send_auto<T: StreamingSerialize>(&self, object: T) -> Result<Sent, SendError>;
    fn recv_auto(&self) -> Result<Came<Self::Letter>, ConnectionError>;
    fn key_material(&self, label: &[u8], len: usize) -> Result<Vec<u8>, ExportError>;
    fn close(&self, code: AppCode, reason: &[u8]);
    fn abort(&self, code: AppCode, reason: &[u8]);
    fn closed(&self) -> CloseReason;
    fn close_reason(&self) -> Option<CloseReason>;

    fn open_bi(&self, options: OpenOptions) -> (Self::Send, Self::Recv) {
        self.try_open_bi(options).unwrap()
    }

    fn open_uni(&self, options: OpenOptions) -> Self::Send {
        self.try_open_uni(options).unwrap()
    }

    fn send_message(&self, message: Bytes) {
        self.try_send_message(message).unwrap();
    }

    /// The stream that it took, if it did.
    fn send_chunks(&self, total: u64, chunks: Vec<Vec<u8>>) -> Option<StreamId> {
        match self.send_auto(Chunks::new(total, chunks)).unwrap() {
            Sent::Streamed(id) => Some(id),
            _ => None,
        }
    }

    /// Why it fails.
    fn try_send_chunks(&self, total: u64, chunks: Vec<Vec<u8>>) -> String {
        self.send_auto(Chunks::new(total, chunks)).unwrap_err().to_string()
    }

    /// The next message, which comes as a stream.
    fn letter(&self) -> Self::Letter {
        match self.recv_auto().unwrap() {
            Came::Stream(letter) => letter,
            Came::Whole(message) => panic!("{} bytes came whole", message.len()),
        }
    }
}

/// A message, by the way that it came.
pub(crate) enum Came<L> {
    Whole(Bytes),
    Stream(L),
}

/// A message that comes as a stream.
pub(crate) trait Letter: Send + 'static {
    type Send;
    type Recv;

    fn id(&self) -> StreamId;
    fn size(&self) -> u64;
    fn some(&mut self, max: usize) -> Result<Option<Bytes>, StreamError>;
    /// As the adapter iterates.
    fn next_block(&mut self) -> Option<Result<Bytes, StreamError>>;
    fn all(self) -> Result<Bytes, StreamError>;
    fn into_streams(self) -> Option<(Self::Recv, Self::Send)>;
    fn refuse(self);
}

/// What is written to.
pub(crate) trait Outlet: Send + 'static {
    fn id(&self) -> StreamId;
    fn put(&mut self, bytes: &[u8]) -> Result<(), WriteError>;
    fn put_at(&mut self, offset: u64, bytes: &[u8]) -> Result<(), WriteError>;
    fn skip(&mut self, range: Range<u64>) -> Result<(), WriteError>;
    /// By the trait of its world for all that is written to, flushed.
    fn pour(&mut self, bytes: &[u8]) -> io::Result<()>;
    fn finish(&mut self) -> Result<(), WriteError>;
    fn delivered(&mut self) -> Result<(), WriteError>;
    fn stopped(&mut self) -> Result<Option<Stop>, ConnectionError>;
    fn reset(&mut self, code: AppCode);
    fn set_priority(&mut self, priority: Priority);
}

/// What is read from.
pub(crate) trait Inlet: Sized + Send + 'static {
    type Verified: Verified;

    fn all(&mut self, limit: usize) -> Result<Bytes, ReadError>;
    fn some(&mut self, max: usize) -> Result<Option<Bytes>, ReadError>;
    fn peek(&mut self, len: usize) -> Result<Bytes, ReadError>;
    /// By the trait of its world for all that is read from.
    fn read(&mut self, buf: &mut [u8]) -> io::Result<usize>;
    /// As the adapter iterates.
    fn next_block(&mut self) -> Option<Result<Bytes, ReadError>>;
    fn fork(&self) -> Self;
    fn stop(&mut self, code: AppCode);
    fn info(&self) -> Option<&OpenOptions>;
    fn id(&self) -> StreamId;
    fn verified(self) -> Result<Self::Verified, Box<Self>>;

    /// The first so many bytes.
    fn first(&mut self, len: usize) -> Vec<u8> {
        let mut bytes = vec![0; len];
        let mut at = 0;
        while at < len {
            let count = self.read(&mut bytes[at..]).unwrap();
            assert!(count > 0, "ended after {at} bytes");
            at += count;
        }
        bytes
    }
}

/// A stream whose digest is looked at.
pub(crate) trait Verified: Send + 'static {
    fn id(&self) -> StreamId;
    fn info(&self) -> Option<&OpenOptions>;
    fn some(&mut self, max: usize) -> Result<Option<Bytes>, StreamError>;
}

/// A pipe that flows.
pub(crate) trait Flow<Leg>: Clone + Send + Sync + 'static {
    fn add_leg(&self, leg: Leg, policy: LegPolicy) -> Result<LegIndex, PipeError>;
    fn stats(&self) -> Option<PipeStats>;
    fn leg_ended(&self, leg: LegIndex) -> Option<LegEnd>;
    fn ended(&self) -> Option<PipeStats>;
    fn set_rate(&self, rate: Option<u64>);
    fn cancel(&self, code: AppCode);
}

/// The adapter for threads.
pub(crate) type Std = aqueduct_std::Endpoint;
/// The adapter for tokio.
pub(crate) type Tokio = aqueduct_tokio::Endpoint;

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

/// Waits until `done` says so; for things that no call waits for.
pub(crate) fn until(what: &str, mut done: impl FnMut() -> bool) {
    let begun = std::time::Instant::now();
    while !done() {
        assert!(begun.elapsed() < Duration::from_secs(20), "{what}: not yet");
        std::thread::sleep(Duration::from_millis(3));
    }
}
