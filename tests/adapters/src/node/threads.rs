//! The adapter for threads.

use std::io::{self, Read, Write};
use std::net::SocketAddr;
use std::ops::Range;

use aqueduct_driver::clock::Clock;
use aqueduct_std::relay::{RelayConfig, RelayEvent};
use aqueduct_std::{
    Algorithm, AppCode, Bandwidth, BufferWarning, Bytes, CarrierKind, CloseReason, ConnectError,
    ConnectionError, ConnectionStats, DatagramError, Delivery, EndpointStats, ExportError, Figures,
    IoStats, LegEnd, LegIndex, LegPolicy, MessageError, MessageStats, Mode, NodeAddr, NodeId,
    OpenError, OpenOptions, PipeError, PipeOptions, PipeStats, Priority, ReadError, SendError,
    Sent, Stop, StreamError, StreamId, StreamingSerialize, TapeEnd, WriteError,
};

use super::{Came, Flow, Inlet, Knock, Letter, Link, Node, Outlet, Recv, Send_, Std, Verified};

/// Nothing has a time-out here.
fn sure<T, E>(result: Result<T, aqueduct_std::Error<E>>) -> Result<T, E> {
    result.map_err(|error| match error {
        aqueduct_std::Error::Failed(error) => error,
        aqueduct_std::Error::TimedOut(after) => panic!("{after}"),
    })
}

impl Node for Std {
    type Link = aqueduct_std::Connection;
    type Knock = aqueduct_std::Incoming;
    type Pipe = aqueduct_std::Pipe;

    fn bound(addr: SocketAddr, config: aqueduct_std::Config) -> Self {
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
        sure(self.connect(to))
    }

    fn knock(&self) -> Option<Self::Knock> {
        self.accept().unwrap()
    }

    fn pipe_to(
        &self,
        from: Recv<Self>,
        to: Vec<Send_<Self>>,
        options: PipeOptions,
    ) -> Result<Self::Pipe, PipeError> {
        sure(Self::pipe(self, from, to, options))
    }

    fn pipe_and_read(
        &self,
        from: Recv<Self>,
        to: Vec<Send_<Self>>,
        options: PipeOptions,
    ) -> Result<(Self::Pipe, Recv<Self>), PipeError> {
        sure(Self::pipe_and_read(self, from, to, options))
    }

    fn relay(
        &self,
        config: RelayConfig,
        told: impl Fn(RelayEvent) + Send + Sync + 'static,
    ) -> Box<dyn Fn() -> bool> {
        let relaying = Self::relay(self, config, told).unwrap();
        Box::new(move || relaying.is_finished())
    }

    fn stats(&self) -> EndpointStats {
        Self::stats(self).unwrap()
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
        Self::bandwidth(self, peer).unwrap()
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
        Self::wait_idle(self).unwrap();
    }

    fn tape_written(&self) -> u64 {
        self.recording().unwrap().written()
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

impl Knock for aqueduct_std::Incoming {
    type Link = aqueduct_std::Connection;

    fn peer(&self) -> NodeId {
        Self::peer(self)
    }

    fn remote(&self) -> SocketAddr {
        Self::remote(self)
    }

    fn accept(self) -> Result<Self::Link, ConnectError> {
        sure(Self::accept(self))
    }

    fn refuse(self) {
        Self::refuse(self);
    }
}

impl Link for aqueduct_std::Connection {
    type Send = aqueduct_std::SendStream;
    type Recv = aqueduct_std::RecvStream;
    type Letter = aqueduct_std::MessageStream;

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
        Self::stats(self).unwrap()
    }

    fn set_controller(&self, controller: Algorithm) {
        Self::set_controller(self, controller);
    }

    fn try_open_bi(&self, options: OpenOptions) -> Result<(Self::Send, Self::Recv), OpenError> {
        sure(Self::open_bi(self, options))
    }

    fn try_open_uni(&self, options: OpenOptions) -> Result<Self::Send, OpenError> {
        sure(Self::open_uni(self, options))
    }

    fn accept_bi(&self) -> Result<(Self::Send, Self::Recv), ConnectionError> {
        sure(Self::accept_bi(self))
    }

    fn accept_uni(&self) -> Result<Self::Recv, ConnectionError> {
        sure(Self::accept_uni(self))
    }

    fn accept_any(&self) -> Result<(Option<Self::Send>, Self::Recv), ConnectionError> {
        sure(self.accept_stream())
    }

    fn range(&self, of: StreamId, from: u64, to: Option<u64>) -> Result<Self::Recv, StreamError> {
        sure(self.request_range(of, from, to))
    }

    fn say(&self, datagram: Bytes) -> Result<(), DatagramError> {
        sure(self.send_datagram_wait(datagram))
    }

    fn say_now(&self, datagram: Bytes) -> Result<(), DatagramError> {
        self.send_datagram(datagram)
    }

    fn say_with(&self, datagram: Bytes, delivery: Delivery) -> Result<(), DatagramError> {
        self.send_datagram_with(datagram, delivery)
    }

    fn write_to(&self, message: Bytes, delivery: Delivery) -> Result<(), MessageError> {
        sure(self.send_message_with(message, delivery))
    }

    fn hear(&self) -> Result<Bytes, ConnectionError> {
        sure(self.read_datagram())
    }

    fn max_datagram_len(&self) -> Option<usize> {
        Self::max_datagram_len(self)
    }

    fn try_send_message(&self, message: Bytes) -> Result<(), MessageError> {
        sure(Self::send_message(self, message))
    }

    fn recv_message(&self) -> Result<Bytes, ConnectionError> {
        sure(Self::recv_message(self))
    }

    fn send_auto<T: StreamingSerialize>(&self, object: T) -> Result<Sent, SendError> {
        sure(Self::send_auto(self, object))
    }

    fn recv_auto(&self) -> Result<Came<Self::Letter>, ConnectionError> {
        match sure(Self::recv_auto(self))? {
            aqueduct_std::Received::Whole(message) => Ok(Came::Whole(message)),
            aqueduct_std::Received::Stream(letter) => Ok(Came::Stream(letter)),
            other => panic!("{other:?}"),
        }
    }

    fn key_material(&self, label: &[u8], len: usize) -> Result<Vec<u8>, ExportError> {
        sure(self.export_keying_material(label, b"", len))
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

    fn close_reason(&self) -> Option<CloseReason> {
        Self::close_reason(self)
    }
}

impl Letter for aqueduct_std::MessageStream {
    type Send = aqueduct_std::SendStream;
    type Recv = aqueduct_std::RecvStream;

    fn id(&self) -> StreamId {
        Self::id(self)
    }

    fn size(&self) -> u64 {
        Self::size(self)
    }

    fn some(&mut self, max: usize) -> Result<Option<Bytes>, StreamError> {
        sure(self.read_chunk(max))
    }

    fn next_block(&mut self) -> Option<Result<Bytes, StreamError>> {
        Iterator::next(self).map(sure)
    }

    fn all(self) -> Result<Bytes, StreamError> {
        sure(self.collect_all())
    }

    fn into_streams(self) -> Option<(Self::Recv, Self::Send)> {
        Self::into_streams(self)
    }

    fn refuse(self) {
        Self::refuse(self);
    }
}

impl Outlet for aqueduct_std::SendStream {
    fn id(&self) -> StreamId {
        Self::id(self)
    }

    fn put(&mut self, bytes: &[u8]) -> Result<(), WriteError> {
        sure(self.write_bytes(Bytes::copy_from_slice(bytes)))
    }

    fn put_at(&mut self, offset: u64, bytes: &[u8]) -> Result<(), WriteError> {
        sure(self.write_at(offset, Bytes::copy_from_slice(bytes)))
    }

    fn skip(&mut self, range: Range<u64>) -> Result<(), WriteError> {
        Self::skip(self, range)
    }

    fn pour(&mut self, bytes: &[u8]) -> io::Result<()> {
        Write::write_all(self, bytes)?;
        Write::flush(self)
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

    fn set_priority(&mut self, priority: Priority) {
        Self::set_priority(self, priority);
    }
}

impl Inlet for aqueduct_std::RecvStream {
    type Verified = aqueduct_std::VerifiedStream;

    fn all(&mut self, limit: usize) -> Result<Bytes, ReadError> {
        sure(self.collect_all(limit))
    }

    fn some(&mut self, max: usize) -> Result<Option<Bytes>, ReadError> {
        sure(self.read_chunk(max))
    }

    fn peek(&mut self, len: usize) -> Result<Bytes, ReadError> {
        sure(Self::peek(self, len))
    }

    fn read(&mut self, buf: &mut [u8]) -> io::Result<usize> {
        Read::read(self, buf)
    }

    fn next_block(&mut self) -> Option<Result<Bytes, ReadError>> {
        Iterator::next(self).map(sure)
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

impl Verified for aqueduct_std::VerifiedStream {
    fn id(&self) -> StreamId {
        Self::id(self)
    }

    fn info(&self) -> Option<&OpenOptions> {
        Self::info(self)
    }

    fn some(&mut self, max: usize) -> Result<Option<Bytes>, StreamError> {
        sure(self.read_chunk(max))
    }
}

impl Flow<aqueduct_std::SendStream> for aqueduct_std::Pipe {
    fn add_leg(
        &self,
        leg: aqueduct_std::SendStream,
        policy: LegPolicy,
    ) -> Result<LegIndex, PipeError> {
        sure(Self::add_leg(self, leg, policy))
    }

    fn stats(&self) -> Option<PipeStats> {
        Self::stats(self).unwrap()
    }

    fn leg_ended(&self, leg: LegIndex) -> Option<LegEnd> {
        Self::leg_ended(self, leg).unwrap()
    }

    fn ended(&self) -> Option<PipeStats> {
        Self::ended(self).unwrap()
    }

    fn set_rate(&self, rate: Option<u64>) {
        Self::set_rate(self, rate);
    }

    fn cancel(&self, code: AppCode) {
        Self::cancel(self, code);
    }
}
