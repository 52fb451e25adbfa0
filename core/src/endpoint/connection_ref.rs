//! A connection as the application holds it for a moment.

use alloc::vec::Vec;
use core::net::SocketAddr;
use core::ops::Deref;

use bytes::Bytes;

use crate::congestion::Algorithm;
use crate::connection::{Carriers, Connection, ConnectionStats, MessageError};
use crate::flow::Budget;
use crate::message::{Delivery, Queued, SendDatagramError};
use crate::path::Source;
use crate::stream::{OpenError, OpenOptions, Priority, RecvStream, SendStream};
use crate::tape::{Deck, Op, Outcome, Taped};
use crate::time::Instant;
use crate::wire::id::{AppCode, CarrierId, Dir, StreamId};

use super::taped::{posted, queued};
use super::{ConnectionHandle, Member, ReadyQueue, Users};

/// The endpoint's queues, for when the application is done.
#[derive(Debug)]
pub(super) struct Queues<'a> {
    pub(super) ready: &'a mut ReadyQueue,
    pub(super) news: &'a mut ReadyQueue,
    pub(super) users: &'a mut Users,
}

/// A connection, for as long as it is looked at. What was done to it is seen to when this is
/// dropped: forgetting that is impossible. Reading calls are those of [`Connection`].
pub struct ConnectionRef<'a> {
    handle: ConnectionHandle,
    member: &'a mut Member,
    budget: &'a mut Budget,
    carriers: &'a Carriers,
    queues: Queues<'a>,
    tape: &'a mut Deck,
    now: Instant,
}

impl<'a> ConnectionRef<'a> {
    pub(super) fn new(
        handle: ConnectionHandle,
        member: &'a mut Member,
        (budget, carriers): (&'a mut Budget, &'a Carriers),
        queues: Queues<'a>,
        tape: &'a mut Deck,
        now: Instant,
    ) -> Self {
        tape.note(|tape| tape.look(handle.parts()));
        Self { handle, member, budget, carriers, queues, tape, now }
    }

    /// Opens a stream. OPEN goes out in one packet with what is written before the next `poll`.
    ///
    /// # Errors
    /// The peer's limit, a lack of memory, or the connection's end; nothing was changed.
    pub fn open(&mut self, dir: Dir, options: OpenOptions) -> Result<StreamId, OpenError> {
        let said = self.tape.is_on().then(|| options.clone());
        let made = self.member.connection.open(dir, options, self.budget, self.now);
        if let Some(said) = said {
            let came = made.map_or_else(
                |error| Outcome::Refused(error.number()),
                |stream| Outcome::Done(stream.0),
            );
            let args = |out: &mut Vec<u8>| {
                dir.put(out);
                said.put(out);
            };
            self.tape.note(|tape| tape.open_stream(args, said.words(), came));
        }
        made
    }

    /// The next stream that the peer opened, in the order of their announcements.
    pub fn accept(&mut self) -> Option<StreamId> {
        let stream = self.member.connection.accept();
        self.tape.note(|tape| tape.call(Op::AcceptStream, |out| stream.put(out)));
        stream
    }

    /// The sending half of a stream; `None` if there is none, or all of it is over.
    pub fn send(&mut self, id: StreamId) -> Option<SendStream<'_>> {
        Some(self.member.connection.send(id)?.recorded(self.tape.pen()))
    }

    /// Counters, and what is now.
    pub fn stats(&self) -> ConnectionStats {
        let connection = &self.member.connection;
        ConnectionStats { limits: connection.limits(self.now), ..connection.stats() }
    }

    /// The receiving half of a stream; `None` if there is none, or all of it is over.
    pub fn recv(&mut self, id: StreamId) -> Option<RecvStream<'_>> {
        let view = self.member.connection.recv(id, self.budget, self.now)?;
        Some(view.recorded(self.tape.pen()))
    }

    /// Queues an unreliable datagram: sent once or never.
    ///
    /// # Errors
    /// Too large for the path or the peer, or the peer takes none; nothing was changed.
    pub fn send_datagram(&mut self, data: Bytes) -> Result<Queued, SendDatagramError> {
        self.send_datagram_with(data, Delivery::new())
    }

    /// The same, as soon and as long as `delivery` says (spec R-MSG-12, R-MSG-13).
    ///
    /// # Errors
    /// Those of [`ConnectionRef::send_datagram`].
    pub fn send_datagram_with(
        &mut self,
        data: Bytes,
        delivery: Delivery,
    ) -> Result<Queued, SendDatagramError> {
        let kept = self.tape.is_on().then(|| data.clone());
        let came = self.member.connection.send_datagram(data, delivery, self.now);
        if let Some(data) = kept {
            self.note_given(Op::SendDatagram, &data, delivery, queued(&came));
        }
        came
    }

    /// Whether a normal datagram of `len` bytes can be queued now without any that must give way,
    /// but those that are too old and those of class Bulk. If not, `DatagramsWritable` follows when
    /// there is room.
    pub fn has_datagram_room(&mut self, len: usize) -> bool {
        self.has_datagram_room_of(Priority::Normal, len)
    }

    /// The same for one of this class: those of lower classes give way (spec R-MSG-15).
    pub fn has_datagram_room_of(&mut self, class: Priority, len: usize) -> bool {
        let room = self.member.connection.has_datagram_room(class, len, self.now);
        self.tape.note(|tape| {
            let said = said(Delivery::new().priority(class));
            tape.ask(Op::DatagramRoom, said.as_deref(), |out| (len, room).put(out));
        });
        room
    }

    /// The oldest datagram that came.
    pub fn recv_datagram(&mut self) -> Option<Bytes> {
        let came = self.member.connection.recv_datagram();
        self.note_received(Op::RecvDatagram, came.as_ref());
        came
    }

    /// Sends a whole message reliably. The id names it in `Delivered`.
    ///
    /// # Errors
    /// Larger than the peer takes, or no stream can be opened now; nothing was changed. Or it is
    /// too old already, and counted.
    pub fn send_message(&mut self, data: Bytes) -> Result<StreamId, MessageError> {
        self.send_message_with(data, Delivery::new())
    }

    /// The same, as soon as `delivery` says, and given up when it is too old: reliably only until
    /// then (spec R-MSG-14).
    ///
    /// # Errors
    /// Those of [`ConnectionRef::send_message`].
    pub fn send_message_with(
        &mut self,
        data: Bytes,
        delivery: Delivery,
    ) -> Result<StreamId, MessageError> {
        let kept = self.tape.is_on().then(|| data.clone());
        let came = self.member.connection.send_message(data, delivery, self.budget, self.now);
        if let Some(data) = kept {
            self.note_given(Op::SendMessage, &data, delivery, posted(&came));
        }
        came
    }

    /// What is given with words about its delivery stands behind a record of those.
    fn note_given(&mut self, op: Op, data: &[u8], delivery: Delivery, came: Outcome) {
        self.tape.note(|tape| tape.give(op, said(delivery).as_deref(), data, came));
    }

    /// The next whole message.
    pub fn recv_message(&mut self) -> Option<Bytes> {
        let came = self.member.connection.recv_message(self.budget, self.now);
        self.note_received(Op::RecvMessage, came.as_ref());
        came
    }

    fn note_received(&mut self, op: Op, came: Option<&Bytes>) {
        self.tape.note(|tape| tape.call(op, |out| came.map(Bytes::len).put(out)));
    }

    /// The carriers that it has paths over, in no order, some perhaps twice. None once it is
    /// drained.
    pub fn carriers(&self) -> impl Iterator<Item = CarrierId> {
        self.member.connection.carriers()
    }

    /// Another way to the peer, by an open carrier. A reliable one is kept, and taken when UDP
    /// falls silent; a UDP socket is taken as soon as the peer answers there, while data takes TCP
    /// (spec `12-tcp.md`). The peer learns of it from what is sent there. Returns whether it is of
    /// use.
    pub fn add_path(&mut self, carrier: CarrierId, remote: SocketAddr) -> bool {
        let kind = self.carriers.get(carrier).map(|carrier| carrier.kind.carriage());
        let source = kind.map(|kind| Source { carrier, kind, remote, local: None });
        let connection = &mut self.member.connection;
        let useful =
            source.is_some_and(|source| connection.add_path(&source, self.budget, self.now));
        self.member.note_carrier(self.handle.0, carrier, self.queues.users);
        self.tape.note(|tape| {
            tape.call(Op::AddPath, |out| (carrier, (remote, useful)).put(out));
        });
        useful
    }

    /// Another congestion controller for what is sent from now on, on every path that there is or
    /// will be. It goes on with the window that there is (spec R-CC-48).
    pub fn set_controller(&mut self, controller: Algorithm) {
        self.tape.note(|tape| tape.call(Op::Controller, |out| controller.put(out)));
        self.member.connection.set_controller(controller, self.now);
    }

    /// Ends the connection when everything that was written is delivered. Streams cannot be opened
    /// any more; those that were not finished are cut off behind what was written.
    pub fn close(&mut self, code: AppCode, reason: &[u8]) {
        self.tape.note(|tape| tape.farewell(Op::Close, code.0, reason, None));
        self.member.connection.close(code, reason, self.now);
    }

    /// Ends the connection at once. What is not acknowledged may be lost.
    pub fn abort(&mut self, code: AppCode, reason: &[u8], now: Instant) {
        self.tape.note(|tape| tape.farewell(Op::Abort, code.0, reason, Some(now)));
        self.member.connection.abort(code, reason, now);
    }
}

/// What stands on a tape of a delivery that is not the usual one.
fn said(delivery: Delivery) -> Option<Vec<u8>> {
    let Delivery { priority, max_age, .. } = delivery;
    (delivery != Delivery::new()).then(|| {
        let mut said = Vec::new();
        (priority, max_age).put(&mut said);
        said
    })
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
        self.tape.note(|tape| tape.look_away());
    }
}
