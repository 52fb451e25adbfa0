//! The adapter for tokio.

use std::future::Future;
use std::io;
use std::net::SocketAddr;
use std::ops::Range;
use std::sync::OnceLock;

use aqueduct_driver::clock::Clock;
use aqueduct_std::relay::{RelayConfig, RelayEvent};
use aqueduct_std::{
    Algorithm, AppCode, Bandwidth, BufferWarning, Bytes, CarrierKind, CloseReason, ConnectError,
    ConnectionError, ConnectionStats, DatagramError, Delivery, EndpointStats, ExportError, Figures,
    IoStats, LegEnd, LegIndex, LegPolicy, MessageError, MessageStats, Mode, NodeAddr, NodeId,
    OpenError, OpenOptions, PipeError, PipeOptions, PipeStats, Priority, ReadError, SendError,
    Sent, Stop, StreamError, StreamId, StreamingSerialize, TapeEnd, WriteError,
};
use futures_util::StreamExt;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::runtime::Runtime;

use super::{Came, Flow, Inlet, Knock, Letter, Link, Node, Outlet, Recv, Send_, Tokio, Verified};

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
    type Knock = aqueduct_tokio::Incoming;
    type Pipe = aqueduct_tokio::Pipe;

    fn bound(addr: SocketAddr, config: aqueduct_std::Config) -> Self {
        let _runtime = runtime().enter();
        Self::bind(addr, config).unwrap()
    }

    fn addr(&self) -> (NodeId, SocketAddr) {
        (self.node_id(), self.local_addr())
    }

    fn listens_for_tcp(&self) -> bool {
        Self::listens_for_tcp(self)
    }

    fn dialable_addrs(&self) -> Vec<SocketAddr> {
        Self::dialable_addrs(self)
    }

    fn buffer_warnings(&self) -> &[BufferWarning] {
        Self::buffer_warnings(self)
    }

    fn dial(&self, to: NodeAddr) -> Result<Self::Link, ConnectError> {
        now(self.connect(to))
    }

    fn knock(&self) -> Option<Self::Knock> {
        now(self.accept())
    }

    fn pipe_to(
        &self,
        from: Recv<Self>,
        to: Vec<Send_<Self>>,
        options: PipeOptions,
    ) -> Result<Self::Pipe, PipeError> {
        now(Self::pipe(self, from, to, options))
    }

    fn pipe_and_read(
        &self,
        from: Recv<Self>,
        to: Vec<Send_<Self>>,
        options: PipeOptions,
    ) -> Result<(Self::Pipe, Recv<Self>), PipeError> {
        now(Self::pipe_and_read(self, from, to, options))
    }

    fn relay(
        &self,
        config: RelayConfig,
        told: impl Fn(RelayEvent) + Send + Sync + 'static,
    ) -> Box<dyn Fn() -> bool> {
        let _runtime = runtime().enter();
        let relaying = Self::relay(self, config, told);
        Box::new(move || relaying.is_finished())
    }

    fn stats(&self) -> EndpointStats {
        now(Self::stats(self))
    }

    fn set_limit(&self, rate: Option<u64>) {
        Self::set_limit(self, rate);
    }

    fn set_peers_limit(&self, rate: Option<u64>) {
        Self::set_peers_limit(self, rate);
    }

    fn set_peer_limit(&self, peer: NodeId, rate: Option<u64>) {
        Self::set_peer_limit(self, peer, rate);
    }

    fn bandwidth(&self, peer: Option<NodeId>) -> Bandwidth {
        now(Self::bandwidth(self, peer))
    }

    fn clock(&self) -> Clock {
        Self::clock(self)
    }

    fn io_stats(&self) -> IoStats {
        Self::io_stats(self)
    }

    fn message_stats(&self) -> MessageStats {
        Self::message_stats(self)
    }

    fn figures(&self) -> Figures {
        Self::figures(self)
    }

    fn close(&self, code: AppCode) {
        Self::close(self, code, b"");
    }

    fn wait_idle(&self) {
        now(Self::wait_idle(self));
    }

    fn tape_written(&self) -> u64 {
        self.recording().unwrap().written()
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

impl Knock for aqueduct_tokio::Incoming {
    type Link = aqueduct_tokio::Connection;

    fn peer(&self) -> NodeId {
        Self::peer(self)
    }

    fn remote(&self) -> SocketAddr {
        Self::remote(self)
    }

    fn accept(self) -> Result<Self::Link, ConnectError> {
        now(Self::accept(self))
    }

    fn refuse(self) {
        Self::refuse(self);
    }
}

impl Link for aqueduct_tokio::Connection {
    type Send = aqueduct_tokio::SendStream;
    type Recv = aqueduct_tokio::RecvStream;
    type Letter = aqueduct_tokio::MessageStream;

    fn peer(&self) -> NodeId {
        Self::peer(self)
    }

    fn remote(&self) -> SocketAddr {
        Self::remote(self)
    }

    fn carriage(&self) -> CarrierKind {
        Self::carriage(self)
    }

    fn mode(&self) -> Mode {
        Self::mode(self)
    }

    fn stats(&self) -> ConnectionStats {
        now(Self::stats(self))
    }

    fn set_controller(&self, controller: Algorithm) {
        Self::set_controller(self, controller);
    }

    fn try_open_bi(&self, options: OpenOptions) -> Result<(Self::Send, Self::Recv), OpenError> {
        now(Self::open_bi(self, options))
    }

    fn try_open_uni(&self, options: OpenOptions) -> Result<Self::Send, OpenError> {
        now(Self::open_uni(self, options))
    }

    fn accept_bi(&self) -> Result<(Self::Send, Self::Recv), ConnectionError> {
        now(Self::accept_bi(self))
    }

    fn accept_uni(&self) -> Result<Self::Recv, ConnectionError> {
        now(Self::accept_uni(self))
    }

    fn accept_any(&self) -> Result<(Option<Self::Send>, Self::Recv), ConnectionError> {
        now(self.accept_stream())
    }

    fn range(&self, of: StreamId, from: u64, to: Option<u64>) -> Result<Self::Recv, StreamError> {
        now(self.request_range(of, from, to))
    }

    fn say(&self, datagram: Bytes) -> Result<(), DatagramError> {
        now(self.send_datagram_wait(datagram))
    }

    fn say_now(&self, datagram: Bytes) -> Result<(), DatagramError> {
        self.send_datagram(datagram)
    }

    fn say_with(&self, datagram: Bytes, delivery: Delivery) -> Result<(), DatagramError> {
        self.send_datagram_with(datagram, delivery)
    }

    fn write_to(&self, message: Bytes, delivery: Delivery) -> Result<(), MessageError> {
        now(self.send_message_with(message, delivery))
    }

    fn hear(&self) -> Result<Bytes, ConnectionError> {
        now(self.read_datagram())
    }

    fn max_datagram_len(&self) -> Option<usize> {
        Self::max_datagram_len(self)
    }

    fn try_send_message(&self, message: Bytes) -> Result<(), MessageError> {
        now(Self::send_message(self, message))
    }

    fn recv_message(&self) -> Result<Bytes, ConnectionError> {
        now(Self::recv_message(self))
    }

    fn send_auto<T: StreamingSerialize>(&self, object: T) -> Result<Sent, SendError> {
        now(Self::send_auto(self, object))
    }

    fn recv_auto(&self) -> Result<Came<Self::Letter>, ConnectionError> {
        match now(Self::recv_auto(self))? {
            aqueduct_tokio::Received::Whole(message) => Ok(Came::Whole(message)),
            aqueduct_tokio::Received::Stream(letter) => Ok(Came::Stream(letter)),
            other => panic!("{other:?}"),
        }
    }

    fn key_material(&self, label: &[u8], len: usize) -> Result<Vec<u8>, ExportError> {
        now(self.export_keying_material(label, b"", len))
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

    fn close_reason(&self) -> Option<CloseReason> {
        Self::close_reason(self)
    }
}

impl Letter for aqueduct_tokio::MessageStream {
    type Send = aqueduct_tokio::SendStream;
    type Recv = aqueduct_tokio::RecvStream;

    fn id(&self) -> StreamId {
        Self::id(self)
    }

    fn size(&self) -> u64 {
        Self::size(self)
    }

    fn some(&mut self, max: usize) -> Result<Option<Bytes>, StreamError> {
        now(self.read_chunk(max))
    }

    fn next_block(&mut self) -> Option<Result<Bytes, StreamError>> {
        now(StreamExt::next(self))
    }

    fn all(self) -> Result<Bytes, StreamError> {
        now(self.collect_all())
    }

    fn into_streams(self) -> Option<(Self::Recv, Self::Send)> {
        Self::into_streams(self)
    }

    fn refuse(self) {
        Self::refuse(self);
    }
}

impl Outlet for aqueduct_tokio::SendStream {
    fn id(&self) -> StreamId {
        Self::id(self)
    }

    fn put(&mut self, bytes: &[u8]) -> Result<(), WriteError> {
        now(self.write_bytes(Bytes::copy_from_slice(bytes)))
    }

    fn put_at(&mut self, offset: u64, bytes: &[u8]) -> Result<(), WriteError> {
        now(self.write_at(offset, Bytes::copy_from_slice(bytes)))
    }

    fn skip(&mut self, range: Range<u64>) -> Result<(), WriteError> {
        Self::skip(self, range)
    }

    fn pour(&mut self, bytes: &[u8]) -> io::Result<()> {
        now(AsyncWriteExt::write_all(self, bytes))?;
        now(AsyncWriteExt::flush(self))
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

    fn set_priority(&mut self, priority: Priority) {
        Self::set_priority(self, priority);
    }
}

impl Inlet for aqueduct_tokio::RecvStream {
    type Verified = aqueduct_tokio::VerifiedStream;

    fn all(&mut self, limit: usize) -> Result<Bytes, ReadError> {
        now(self.collect_all(limit))
    }

    fn some(&mut self, max: usize) -> Result<Option<Bytes>, ReadError> {
        now(self.read_chunk(max))
    }

    fn peek(&mut self, len: usize) -> Result<Bytes, ReadError> {
        now(Self::peek(self, len))
    }

    fn read(&mut self, buf: &mut [u8]) -> io::Result<usize> {
        now(AsyncReadExt::read(self, buf))
    }

    fn next_block(&mut self) -> Option<Result<Bytes, ReadError>> {
        now(StreamExt::next(self))
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

    fn verified(self) -> Result<Self::Verified, Box<Self>> {
        Self::verified(self)
    }
}

impl Verified for aqueduct_tokio::VerifiedStream {
    fn id(&self) -> StreamId {
        Self::id(self)
    }

    fn info(&self) -> Option<&OpenOptions> {
        Self::info(self)
    }

    fn some(&mut self, max: usize) -> Result<Option<Bytes>, StreamError> {
        now(self.read_chunk(max))
    }
}

impl Flow<aqueduct_tokio::SendStream> for aqueduct_tokio::Pipe {
    fn add_leg(
        &self,
        leg: aqueduct_tokio::SendStream,
        policy: LegPolicy,
    ) -> Result<LegIndex, PipeError> {
        now(Self::add_leg(self, leg, policy))
    }

    fn stats(&self) -> Option<PipeStats> {
        now(Self::stats(self))
    }

    fn leg_ended(&self, leg: LegIndex) -> Option<LegEnd> {
        now(Self::leg_ended(self, leg))
    }

    fn ended(&self) -> Option<PipeStats> {
        now(Self::ended(self))
    }

    fn set_rate(&self, rate: Option<u64>) {
        Self::set_rate(self, rate);
    }

    fn cancel(&self, code: AppCode) {
        Self::cancel(self, code);
    }
}
