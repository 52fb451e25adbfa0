//! A connection as the application holds it for a moment.

use bytes::Bytes;
use core::ops::Deref;

use crate::connection::{Connection, MessageError};
use crate::flow::Budget;
use crate::message::{Queued, SendDatagramError};
use crate::stream::{OpenError, OpenOptions, RecvStream, SendStream};
use crate::time::Instant;
use crate::wire::id::{AppCode, Dir, StreamId};

use super::{ConnectionHandle, Member, ReadyQueue};

/// The endpoint's queues, for when the application is done.
#[derive(Debug)]
pub(super) struct Queues<'a> {
    pub(super) ready: &'a mut ReadyQueue,
    pub(super) news: &'a mut ReadyQueue,
}

/// A connection, for as long as it is looked at. What was done to it is seen to when this is
/// dropped: forgetting that is impossible. Reading calls are those of [`Connection`].
pub struct ConnectionRef<'a> {
    handle: ConnectionHandle,
    member: &'a mut Member,
    budget: &'a mut Budget,
    queues: Queues<'a>,
    now: Instant,
}

impl<'a> ConnectionRef<'a> {
    pub(super) fn new(
        handle: ConnectionHandle,
        member: &'a mut Member,
        budget: &'a mut Budget,
        queues: Queues<'a>,
        now: Instant,
    ) -> Self {
        Self { handle, member, budget, queues, now }
    }

    /// Opens a stream. OPEN goes out in one packet with what is written before the next `poll`.
    ///
    /// # Errors
    /// The peer's limit, a lack of memory, or the connection's end; nothing was changed.
    pub fn open(&mut self, dir: Dir, options: OpenOptions) -> Result<StreamId, OpenError> {
        self.member.connection.open(dir, options, self.budget, self.now)
    }

    /// The next stream that the peer opened, in the order of their announcements.
    pub fn accept(&mut self) -> Option<StreamId> {
        self.member.connection.accept()
    }

    /// The sending half of a stream; `None` if there is none, or all of it is over.
    pub fn send(&mut self, id: StreamId) -> Option<SendStream<'_>> {
        self.member.connection.send(id)
    }

    /// The receiving half of a stream; `None` if there is none, or all of it is over.
    pub fn recv(&mut self, id: StreamId) -> Option<RecvStream<'_>> {
        self.member.connection.recv(id, self.budget, self.now)
    }

    /// Queues an unreliable datagram: sent once or never.
    ///
    /// # Errors
    /// Too large for the path or the peer, or the peer takes none; nothing was changed.
    pub fn send_datagram(&mut self, data: Bytes) -> Result<Queued, SendDatagramError> {
        self.member.connection.send_datagram(data)
    }

    /// Whether a datagram of `len` bytes can be queued now without any that must give way. If not,
    /// `DatagramsWritable` follows when there is room.
    pub fn has_datagram_room(&mut self, len: usize) -> bool {
        self.member.connection.has_datagram_room(len)
    }

    /// The oldest datagram that came.
    pub fn recv_datagram(&mut self) -> Option<Bytes> {
        self.member.connection.recv_datagram()
    }

    /// Sends a whole message reliably. The id names it in `Delivered`.
    ///
    /// # Errors
    /// Larger than the peer takes, or no stream can be opened now; nothing was changed.
    pub fn send_message(&mut self, data: Bytes) -> Result<StreamId, MessageError> {
        self.member.connection.send_message(data, self.budget, self.now)
    }

    /// The next whole message.
    pub fn recv_message(&mut self) -> Option<Bytes> {
        self.member.connection.recv_message(self.budget, self.now)
    }

    /// Ends the connection when everything that was written is delivered. Streams cannot be opened
    /// any more; those that were not finished are cut off behind what was written.
    pub fn close(&mut self, code: AppCode, reason: &[u8]) {
        self.member.connection.close(code, reason, self.now);
    }

    /// Ends the connection at once. What is not acknowledged may be lost.
    pub fn abort(&mut self, code: AppCode, reason: &[u8], now: Instant) {
        self.member.connection.abort(code, reason, now);
    }
}

impl Deref for ConnectionRef<'_> {
    type Target = Connection;

    fn deref(&self) -> &Connection {
        &self.member.connection
    }
}

impl Drop for ConnectionRef<'_> {
    fn drop(&mut self) {
        self.queues.ready.push(self.handle.0, &mut self.member.ready);
        self.queues.news.push(self.handle.0, &mut self.member.news);
    }
}
