//! A connection.

use std::net::SocketAddr;
use std::time::Duration;

use aqueduct_core::congestion::Algorithm;
use aqueduct_core::connection::ConnectionStats;
use aqueduct_core::crypto::identity::NodeId;
use aqueduct_core::error::CloseReason;
use aqueduct_core::message::Delivery;
use aqueduct_core::path::CarrierKind;
use aqueduct_core::stream::OpenOptions;
use aqueduct_core::wire::capabilities::Mode;
use aqueduct_core::wire::id::{AppCode, Dir, StreamId};
use aqueduct_driver::error::StreamError;
use aqueduct_driver::error::{
    ConnectionError, DatagramError, ExportError, MessageError, OpenError, SendError,
};
use aqueduct_driver::message::{Sent, StreamingSerialize};
use bytes::Bytes;

use crate::message::Received;
use crate::stream::{RecvStream, SendStream};
use crate::wait::{Error, TimedOut, wait, wait_for};

/// A connection to one peer. Clones are handles of the same connection, for other threads; streams
/// count as handles, too. When the last is gone it closes with code 0, after everything written was
/// delivered.
///
/// Besides streams it carries whole messages, which arrive once each and whole, and datagrams,
/// which may be lost and may overtake each other:
///
/// ```
/// # use std::thread;
/// # use aqueduct_std::{Endpoint, generate_key};
/// # fn main() -> Result<(), Box<dyn std::error::Error>> {
/// # let server = Endpoint::bind("127.0.0.1:0".parse()?, generate_key()?)?;
/// # let address = (server.node_id(), server.local_addr());
/// # let client = Endpoint::bind("127.0.0.1:0".parse()?, generate_key()?)?;
/// # let peer = thread::spawn(move || server.accept().unwrap().unwrap().accept().unwrap());
/// # let connection = client.connect(address)?;
/// # let peer = peer.join().unwrap();
/// connection.send_message("a question".into())?;
/// assert_eq!(peer.recv_message()?, "a question");
///
/// // A position that the next one makes worthless: better lost than late.
/// if connection.max_datagram_len().is_some_and(|most| most >= 8) {
///     connection.send_datagram(42_u64.to_be_bytes().to_vec().into())?;
/// }
/// # Ok(()) }
/// ```
#[derive(Clone, Debug)]
pub struct Connection {
    inner: aqueduct_driver::Connection,
    timeout: Option<Duration>,
}

impl Connection {
    pub(crate) fn new(inner: aqueduct_driver::Connection, timeout: Option<Duration>) -> Self {
        Self { inner, timeout }
    }

    /// This handle with a time-out for each of its calls that wait; `None`: for ever. Its streams
    /// have the same.
    #[must_use]
    pub fn with_timeout(mut self, timeout: impl Into<Option<Duration>>) -> Self {
        self.timeout = timeout.into();
        self
    }

    /// Who is at the other end.
    pub fn peer(&self) -> NodeId {
        self.inner.peer()
    }

    /// Where the peer is now; it may move.
    pub fn remote(&self) -> SocketAddr {
        self.inner.remote()
    }

    /// What data takes now: UDP, or a reliable carrier, which is TCP. It may change.
    pub fn carriage(&self) -> CarrierKind {
        self.inner.carriage()
    }

    /// Opens a stream that both ends write to; waits while the peer allows no more. The peer hears
    /// of it at once, with the first bytes.
    ///
    /// # Errors
    /// The options cannot be sent (a head over its limit), the connection is over, or the time-out.
    pub fn open_bi(
        &self,
        options: OpenOptions,
    ) -> Result<(SendStream, RecvStream), Error<OpenError>> {
        let (send, recv) = wait_for(self.inner.open(Dir::Bi, options), self.timeout)?;
        let recv = recv.ok_or(Error::Failed(ConnectionError::DriverGone.into()))?;
        Ok((self.send(send), self.recv(recv)))
    }

    /// Opens a stream that only this end writes to; waits while the peer allows no more.
    ///
    /// # Errors
    /// The options cannot be sent (a head over its limit), the connection is over, or the time-out.
    pub fn open_uni(&self, options: OpenOptions) -> Result<SendStream, Error<OpenError>> {
        let (send, _none) = wait_for(self.inner.open(Dir::Uni, options), self.timeout)?;
        Ok(self.send(send))
    }

    /// The next stream from the peer that both ends write to.
    ///
    /// # Errors
    /// The connection is over, and every stream that came was taken; or the time-out.
    pub fn accept_bi(&self) -> Result<(SendStream, RecvStream), Error<ConnectionError>> {
        let (send, recv) = wait_for(self.inner.accept_bi(), self.timeout)?;
        Ok((self.send(send), self.recv(recv)))
    }

    /// The next stream from the peer that only the peer writes to.
    ///
    /// # Errors
    /// The connection is over, and every stream that came was taken; or the time-out.
    pub fn accept_uni(&self) -> Result<RecvStream, Error<ConnectionError>> {
        Ok(self.recv(wait_for(self.inner.accept_uni(), self.timeout)?))
    }

    /// The next stream from the peer of either kind, in the order they came.
    ///
    /// # Errors
    /// The connection is over, and every stream that came was taken; or the time-out.
    pub fn accept_stream(
        &self,
    ) -> Result<(Option<SendStream>, RecvStream), Error<ConnectionError>> {
        let (send, recv) = wait_for(self.inner.accept_any(), self.timeout)?;
        Ok((send.map(|send| self.send(send)), self.recv(recv)))
    }

    fn send(&self, half: aqueduct_driver::SendHalf) -> SendStream {
        SendStream::new(half, self.timeout)
    }

    fn recv(&self, half: aqueduct_driver::RecvHalf) -> RecvStream {
        RecvStream::new(half, self.timeout)
    }

    /// Asks the relay at the other end for bytes of `stream`, which it sends or sent to this node,
    /// that it still holds: from `start` to `end`, or to the end of the body. What is returned
    /// begins at `start` of the body, as its [`info`](RecvStream::info) says. So a receiver that
    /// was too slow for a source that others share ([`StreamError::Detached`]) finishes.
    ///
    /// # Errors
    /// [`StreamError::InvalidRange`]: it does not hold them, or they are not of the body.
    /// [`StreamError::Refused`]: it does not know the stream any more, relays nothing, or this node
    /// has asked for too much at a time. Or the connection is over, or the time-out.
    pub fn request_range(
        &self,
        stream: StreamId,
        start: u64,
        end: Option<u64>,
    ) -> Result<RecvStream, Error<StreamError>> {
        let asking = self.inner.request_range(stream, start, end);
        Ok(self.recv(wait_for(asking, self.timeout)?))
    }

    /// Sends an unreliable datagram, in one packet, once. Never waits: where the queue is full it
    /// is refused.
    ///
    /// # Errors
    /// It does not fit, the queue is full, the peer takes none, or the connection is over.
    pub fn send_datagram(&self, datagram: Bytes) -> Result<(), DatagramError> {
        self.inner.send_datagram(datagram)
    }

    /// The same, with a class and a greatest age: what is urgent passes all else of the
    /// connection, streams and messages too, and what is too old is dropped here and counted
    /// ([`ConnectionStats::datagrams`](crate::ConnectionStats)).
    ///
    /// ```
    /// # use aqueduct_std::Connection;
    /// use std::time::Duration;
    /// use aqueduct_std::{DatagramError, Delivery, Priority};
    ///
    /// # fn example(connection: &Connection, frame: &'static [u8]) -> Result<(), DatagramError> {
    /// // Of no use to anybody once the next one is there.
    /// let voice = Delivery::new().priority(Priority::Urgent).max_age(Duration::from_millis(20));
    /// connection.send_datagram_with(frame.into(), voice)
    /// # }
    /// ```
    ///
    /// # Errors
    /// Those of [`Connection::send_datagram`].
    pub fn send_datagram_with(
        &self,
        datagram: Bytes,
        delivery: Delivery,
    ) -> Result<(), DatagramError> {
        self.inner.send_datagram_with(datagram, delivery)
    }

    /// The same, but waits for room in the queue.
    ///
    /// # Errors
    /// It does not fit, the peer takes none, the connection is over, or the time-out: then nothing
    /// was queued.
    pub fn send_datagram_wait(&self, datagram: Bytes) -> Result<(), Error<DatagramError>> {
        wait_for(self.inner.send_datagram_wait(datagram), self.timeout)
    }

    /// The next unreliable datagram. A queue of them waits for whoever reads; what does not fit it
    /// any more is dropped and counted.
    ///
    /// # Errors
    /// The connection is over, and every datagram that came was taken; or the time-out.
    pub fn read_datagram(&self) -> Result<Bytes, Error<ConnectionError>> {
        wait_for(self.inner.read_datagram(), self.timeout)
    }

    /// The largest datagram that fits a packet now, in bytes; `None`: the peer takes none.
    pub fn max_datagram_len(&self) -> Option<usize> {
        self.inner.max_datagram_len()
    }

    /// Sends a whole message, reliably. Returns when it was taken for sending.
    ///
    /// # Errors
    /// It is larger than the peer takes, the connection is over, or the time-out: then it is sent
    /// whole or not at all.
    pub fn send_message(&self, message: Bytes) -> Result<(), Error<MessageError>> {
        wait_for(self.inner.send_message(message), self.timeout)
    }

    /// The same, with a class and a greatest age. What of it is not out by then is never sent, nor
    /// is anything of it sent again: it is given up, and counted
    /// ([`ConnectionStats::messages_expired`](crate::ConnectionStats)).
    ///
    /// # Errors
    /// Those of [`Connection::send_message`].
    pub fn send_message_with(
        &self,
        message: Bytes,
        delivery: Delivery,
    ) -> Result<(), Error<MessageError>> {
        wait_for(self.inner.send_message_with(message, delivery), self.timeout)
    }

    /// Sends a message by the way that its size and the peer ask for: whole if it has at most
    /// [`Streaming::streaming_threshold`](crate::Streaming) bytes or the peer takes no streams,
    /// else as a stream of chunks that are made as there is room for them, on this thread. A whole
    /// one is sent when the core has taken it; a streamed one when the receiver has read it to its
    /// end and found its digest right.
    ///
    /// ```
    /// # use aqueduct_std::{Connection, Error, SendError};
    /// # fn example(connection: &Connection) -> Result<(), Error<SendError>> {
    /// use aqueduct_std::Chunks;
    /// // 64 MiB that are never in memory at once.
    /// let rows = (0..1024_u32).map(|row| vec![row as u8; 64 * 1024]);
    /// connection.send_auto(Chunks::new(64 << 20, rows))?;
    /// # Ok(()) }
    /// ```
    ///
    /// # Errors
    /// The source failed or gave more or fewer bytes than it announced, the receiver does not want
    /// the message or got another one, it is too large to be sent whole, or the connection is over.
    /// Or the time-out, which is for the whole message: then a streamed one is cancelled.
    pub fn send_auto<T: StreamingSerialize>(&self, object: T) -> Result<Sent, Error<SendError>> {
        wait_for(self.inner.send_auto(object), self.timeout)
    }

    /// The next message, by the way that it came: whole, or as a stream to read while it arrives.
    ///
    /// # Errors
    /// The connection is over, and every message that came was taken; or the time-out.
    pub fn recv_auto(&self) -> Result<Received, Error<ConnectionError>> {
        let received = wait_for(self.inner.recv_auto(), self.timeout)?;
        Ok(Received::new(received, self.timeout))
    }

    /// How large messages cross this connection: what both ends can.
    pub fn mode(&self) -> Mode {
        self.inner.mode()
    }

    /// The next whole message. One that comes as a stream is put together, and refused if it is
    /// larger than the largest message that this node takes.
    ///
    /// # Errors
    /// The connection is over, and every message that came was taken; or the time-out.
    pub fn recv_message(&self) -> Result<Bytes, Error<ConnectionError>> {
        wait_for(self.inner.recv_message(), self.timeout)
    }

    /// The connection's counters; after its end, the last ones.
    ///
    /// # Errors
    /// The time-out.
    pub fn stats(&self) -> Result<ConnectionStats, TimedOut> {
        Ok(wait(self.inner.stats(), self.timeout)?.unwrap_or_default())
    }

    /// Another congestion controller for what is sent from here from now on: it goes on with the
    /// window that there is. [`Algorithm::Ledbat`] yields to whatever else uses the path. Does not
    /// wait; after the end it does nothing.
    pub fn set_controller(&self, controller: Algorithm) {
        self.inner.set_controller(controller);
    }

    /// Key material for the application: equal at both ends for equal arguments, unknown to others.
    ///
    /// # Errors
    /// [`ExportError`]: a label or a length that cannot be, or the connection is over; or the
    /// time-out.
    pub fn export_keying_material(
        &self,
        label: &[u8],
        context: &[u8],
        len: usize,
    ) -> Result<Vec<u8>, Error<ExportError>> {
        wait_for(self.inner.export_keying_material(label, context, len), self.timeout)
    }

    /// Closes after everything that was written was delivered, or the peer is lost. Does not wait.
    /// The peer learns the code and at most 64 bytes of the reason.
    pub fn close(&self, code: AppCode, reason: &[u8]) {
        self.inner.close(code, reason);
    }

    /// Closes at once: what is not yet acknowledged may be lost.
    pub fn abort(&self, code: AppCode, reason: &[u8]) {
        self.inner.abort(code, reason);
    }

    /// Waits for the end of the connection and gives its cause.
    ///
    /// # Errors
    /// The time-out.
    pub fn closed(&self) -> Result<CloseReason, TimedOut> {
        wait(self.inner.closed(), self.timeout)
    }

    /// Why the connection ended; `None` while it has not.
    pub fn close_reason(&self) -> Option<CloseReason> {
        self.inner.close_reason()
    }
}
