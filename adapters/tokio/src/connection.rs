//! A connection.

use std::net::SocketAddr;

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

/// A connection to one peer. Clones are handles of the same connection; streams count as handles,
/// too. When the last is gone it closes with code 0, after everything written was delivered.
///
/// Besides streams it carries whole messages, which arrive once each and whole, and datagrams,
/// which may be lost and may overtake each other:
///
/// ```
/// # use aqueduct_tokio::{Endpoint, generate_key};
/// # #[tokio::main(flavor = "current_thread")]
/// # async fn main() -> Result<(), Box<dyn std::error::Error>> {
/// # let server = Endpoint::bind("127.0.0.1:0".parse()?, generate_key()?)?;
/// # let address = (server.node_id(), server.local_addr());
/// # let client = Endpoint::bind("127.0.0.1:0".parse()?, generate_key()?)?;
/// # let (connection, peer) = tokio::join!(client.connect(address), async {
/// #     server.accept().await.expect("open").accept().await
/// # });
/// # let (connection, peer) = (connection?, peer?);
/// connection.send_message("a question".into()).await?;
/// assert_eq!(peer.recv_message().await?, "a question");
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
}

impl Connection {
    pub(crate) fn new(inner: aqueduct_driver::Connection) -> Self {
        Self { inner }
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
    /// Cancel-safe: a stream that was opened for a future that is gone is given up.
    ///
    /// # Errors
    /// The options cannot be sent (a head over its limit), or the connection is over.
    pub async fn open_bi(
        &self,
        options: OpenOptions,
    ) -> Result<(SendStream, RecvStream), OpenError> {
        let (send, recv) = self.inner.open(Dir::Bi, options).await?;
        let recv = recv.ok_or(ConnectionError::DriverGone)?;
        Ok((SendStream::new(send), RecvStream::new(recv)))
    }

    /// Opens a stream that only this end writes to; waits while the peer allows no more.
    ///
    /// Cancel-safe: a stream that was opened for a future that is gone is given up.
    ///
    /// # Errors
    /// The options cannot be sent (a head over its limit), or the connection is over.
    pub async fn open_uni(&self, options: OpenOptions) -> Result<SendStream, OpenError> {
        let (send, _none) = self.inner.open(Dir::Uni, options).await?;
        Ok(SendStream::new(send))
    }

    /// The next stream from the peer that both ends write to.
    ///
    /// Cancel-safe.
    ///
    /// # Errors
    /// The connection is over, and every stream that came was taken.
    pub async fn accept_bi(&self) -> Result<(SendStream, RecvStream), ConnectionError> {
        let (send, recv) = self.inner.accept_bi().await?;
        Ok((SendStream::new(send), RecvStream::new(recv)))
    }

    /// The next stream from the peer that only the peer writes to.
    ///
    /// Cancel-safe.
    ///
    /// # Errors
    /// The connection is over, and every stream that came was taken.
    pub async fn accept_uni(&self) -> Result<RecvStream, ConnectionError> {
        self.inner.accept_uni().await.map(RecvStream::new)
    }

    /// The next stream from the peer of either kind, in the order they came.
    ///
    /// Cancel-safe.
    ///
    /// # Errors
    /// The connection is over, and every stream that came was taken.
    pub async fn accept_stream(&self) -> Result<(Option<SendStream>, RecvStream), ConnectionError> {
        let (send, recv) = self.inner.accept_any().await?;
        Ok((send.map(SendStream::new), RecvStream::new(recv)))
    }

    /// Asks the relay at the other end for bytes of `stream`, which it sends or sent to this node,
    /// that it still holds: from `start` to `end`, or to the end of the body. What is returned
    /// begins at `start` of the body, as its [`info`](RecvStream::info) says. So a receiver that
    /// was too slow for a source that others share ([`StreamError::Detached`]) finishes, and one
    /// that lost its connection goes on by a new one: the stream may have come by an earlier
    /// connection of this node.
    ///
    /// Cancel-safe: dropped, nothing is sent any more.
    ///
    /// # Errors
    /// [`StreamError::InvalidRange`]: it does not hold them, or they are not of the body.
    /// [`StreamError::Refused`]: it does not know the stream any more, relays nothing, or this node
    /// has asked for too much at a time. Or the connection is over.
    pub async fn request_range(
        &self,
        stream: StreamId,
        start: u64,
        end: Option<u64>,
    ) -> Result<RecvStream, StreamError> {
        self.inner.request_range(stream, start, end).await.map(RecvStream::new)
    }

    /// Sends an unreliable datagram, in one packet, once. Never waits: where the queue is full it
    /// is refused.
    ///
    /// ```
    /// # use aqueduct_tokio::Connection;
    /// use aqueduct_tokio::DatagramError;
    /// # fn example(connection: &Connection, sample: &'static [u8]) -> Result<(), DatagramError> {
    /// match connection.send_datagram(sample.into()) {
    ///     // The next sample comes soon enough.
    ///     Err(DatagramError::Full { .. }) => Ok(()),
    ///     other => other,
    /// }
    /// # }
    /// ```
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
    /// # use aqueduct_tokio::Connection;
    /// use std::time::Duration;
    /// use aqueduct_tokio::{DatagramError, Delivery, Priority};
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
    /// Cancel-safe: dropped before it is ready, nothing was queued.
    ///
    /// # Errors
    /// It does not fit, the peer takes none, or the connection is over.
    pub async fn send_datagram_wait(&self, datagram: Bytes) -> Result<(), DatagramError> {
        self.inner.send_datagram_wait(datagram).await
    }

    /// The next unreliable datagram. A queue of them waits for whoever reads; what does not fit it
    /// any more is dropped and counted.
    ///
    /// Cancel-safe, so that it may stand in a `select!`:
    ///
    /// ```
    /// # use aqueduct_tokio::{Connection, ConnectionError};
    /// # async fn example(connection: Connection) -> Result<(), ConnectionError> {
    /// loop {
    ///     tokio::select! {
    ///         datagram = connection.read_datagram() => println!("{} bytes", datagram?.len()),
    ///         message = connection.recv_message() => println!("{:?}", message?),
    ///     }
    /// }
    /// # }
    /// ```
    ///
    /// # Errors
    /// The connection is over, and every datagram that came was taken.
    pub async fn read_datagram(&self) -> Result<Bytes, ConnectionError> {
        self.inner.read_datagram().await
    }

    /// The largest datagram that fits a packet now, in bytes; `None`: the peer takes none.
    pub fn max_datagram_len(&self) -> Option<usize> {
        self.inner.max_datagram_len()
    }

    /// Sends a whole message, reliably. Resolves when it was taken for sending.
    ///
    /// Cancel-safe in this sense: dropped before it is ready, the message is sent whole or not at
    /// all.
    ///
    /// # Errors
    /// It is larger than the peer takes, or the connection is over.
    pub async fn send_message(&self, message: Bytes) -> Result<(), MessageError> {
        self.inner.send_message(message).await
    }

    /// The same, with a class and a greatest age. What of it is not out by then is never sent, nor
    /// is anything of it sent again: it is given up, and counted
    /// ([`ConnectionStats::messages_expired`](crate::ConnectionStats)).
    ///
    /// # Errors
    /// Those of [`Connection::send_message`].
    pub async fn send_message_with(
        &self,
        message: Bytes,
        delivery: Delivery,
    ) -> Result<(), MessageError> {
        self.inner.send_message_with(message, delivery).await
    }

    /// Sends a message by the way that its size and the peer ask for: whole if it has at most
    /// [`Streaming::streaming_threshold`](crate::Streaming) bytes or the peer takes no streams,
    /// else as a stream of chunks that are made as there is room for them. A whole one is sent when
    /// the core has taken it; a streamed one when the receiver has read it to its end and found its
    /// digest right.
    ///
    /// Dropped before it is ready, a streamed message is cancelled, and a whole one is sent whole
    /// or not at all.
    ///
    /// ```
    /// # use aqueduct_tokio::{Connection, SendError};
    /// # async fn example(connection: Connection) -> Result<(), SendError> {
    /// use aqueduct_tokio::Chunks;
    /// // 64 MiB that are never in memory at once.
    /// let rows = (0..1024_u32).map(|row| vec![row as u8; 64 * 1024]);
    /// connection.send_auto(Chunks::new(64 << 20, rows)).await?;
    /// # Ok(()) }
    /// ```
    ///
    /// # Errors
    /// The source failed or gave more or fewer bytes than it announced, the receiver does not want
    /// the message or got another one, it is too large to be sent whole, or the connection is over.
    pub async fn send_auto<T: StreamingSerialize>(&self, object: T) -> Result<Sent, SendError> {
        self.inner.send_auto(object).await
    }

    /// The next message, by the way that it came: whole, or as a stream to read while it arrives.
    ///
    /// Cancel-safe.
    ///
    /// ```
    /// # use aqueduct_tokio::Connection;
    /// use aqueduct_tokio::Received;
    /// # async fn example(connection: Connection) -> Result<u64, Box<dyn std::error::Error>> {
    /// # let mut total = 0;
    /// match connection.recv_auto().await? {
    ///     Received::Whole(message) => total += message.len() as u64,
    ///     Received::Stream(mut stream) => {
    ///         while let Some(chunk) = stream.read_chunk(64 * 1024).await? {
    ///             total += chunk.len() as u64;
    ///         }
    ///     }
    ///     _ => {}
    /// }
    /// # Ok(total) }
    /// ```
    ///
    /// # Errors
    /// The connection is over, and every message that came was taken.
    pub async fn recv_auto(&self) -> Result<Received, ConnectionError> {
        self.inner.recv_auto().await.map(Received::new)
    }

    /// How large messages cross this connection: what both ends can.
    pub fn mode(&self) -> Mode {
        self.inner.mode()
    }

    /// The next whole message. One that comes as a stream is put together, and refused if it is
    /// larger than the largest message that this node takes.
    ///
    /// Cancel-safe.
    ///
    /// # Errors
    /// The connection is over, and every message that came was taken.
    pub async fn recv_message(&self) -> Result<Bytes, ConnectionError> {
        self.inner.recv_message().await
    }

    /// The connection's counters; after its end, the last ones.
    ///
    /// Cancel-safe.
    pub async fn stats(&self) -> ConnectionStats {
        self.inner.stats().await.unwrap_or_default()
    }

    /// Another congestion controller for what is sent from here from now on: it goes on with the
    /// window that there is. [`Algorithm::Ledbat`] yields to whatever else uses the path. Does not
    /// wait; after the end it does nothing.
    pub fn set_controller(&self, controller: Algorithm) {
        self.inner.set_controller(controller);
    }

    /// Key material for the application: equal at both ends for equal arguments, unknown to others.
    ///
    /// Cancel-safe.
    ///
    /// # Errors
    /// [`ExportError`]: a label or a length that cannot be, or the connection is over.
    pub async fn export_keying_material(
        &self,
        label: &[u8],
        context: &[u8],
        len: usize,
    ) -> Result<Vec<u8>, ExportError> {
        self.inner.export_keying_material(label, context, len).await
    }

    /// Closes after everything that was written was delivered, or the peer is lost. The peer learns
    /// the code and at most 64 bytes of the reason.
    pub fn close(&self, code: AppCode, reason: &[u8]) {
        self.inner.close(code, reason);
    }

    /// Closes at once: what is not yet acknowledged may be lost.
    pub fn abort(&self, code: AppCode, reason: &[u8]) {
        self.inner.abort(code, reason);
    }

    /// Waits for the end of the connection and gives its cause.
    ///
    /// Cancel-safe.
    pub async fn closed(&self) -> CloseReason {
        self.inner.closed().await
    }

    /// Why the connection ended; `None` while it has not.
    pub fn close_reason(&self) -> Option<CloseReason> {
        self.inner.close_reason()
    }
}
