//! Messages and datagrams of a world: who said each, over what, and whether it came.

use std::time::Duration;

use aqueduct_core::endpoint::ConnectionHandle;
use aqueduct_core::message::Delivery;
use aqueduct_core::stream::Priority;
use aqueduct_core::time::Instant;
use aqueduct_core::wire::id::StreamId;
use bytes::Bytes;

use super::world::World;
use crate::app::prose;
use crate::net::HostId;

/// Spec R-MSG-9 lets a message give way that made no progress for 30 s, on the receiver's clock,
/// which may be a little fast.
const PATIENCE: Duration = Duration::from_secs(29);

/// A message or a datagram that an endpoint took for sending.
#[derive(Clone, Debug)]
pub(super) struct Note {
    pub(super) from: HostId,
    pub(super) connection: ConnectionHandle,
    pub(super) to: HostId,
    /// That of a whole message; a datagram has none, and may be lost.
    stream: Option<StreamId>,
    said: Instant,
    /// At the other end, over this connection.
    pub(super) came: Option<ConnectionHandle>,
    /// Its receiver has all of it, says the sender's endpoint: it comes whatever ends now.
    delivered: bool,
    /// It need not come: it may be too old, or nobody can take it.
    excused: bool,
}

impl Note {
    /// A whole message that is to come and did not so far. That its connection `ended` is a reason
    /// only before it was delivered.
    pub(super) fn is_owed(&self, ended: bool) -> bool {
        let due = self.delivered || !ended;
        self.stream.is_some() && self.came.is_none() && !self.excused && due
    }

    /// A whole message that came.
    pub(super) fn is_done(&self) -> bool {
        self.stream.is_some() && self.came.is_some()
    }
}

impl World {
    /// How what is said next is to be sent, in a world where anybody minds: every class has its
    /// share, and a quarter of all are worth little time.
    pub(super) fn haste(&self) -> Delivery {
        let next = self.salt + 1;
        let delivery = Delivery::new().priority(Priority::ALL[(next % 3) as usize]);
        match next % 4 {
            _ if !self.plan.hasty => Delivery::new(),
            3 => delivery.max_age(Duration::from_millis(next % 5 * 50)),
            _ => delivery,
        }
    }

    /// A message or a datagram: its number, and a text that goes with it.
    pub(super) fn say(
        &mut self,
        from: HostId,
        edge: usize,
        len: usize,
        whole: bool,
        delivery: Delivery,
    ) {
        let Some(connection) = self.handle(edge, from) else { return };
        self.salt += 1;
        let salt = self.salt;
        let note = Bytes::from([&salt.to_be_bytes()[..], &prose(salt, len)].concat());
        let (now, host) = (self.net.local(from), self.net.host(from));
        let Some(mut view) = host.endpoint.connection_at(connection, now) else { return };
        let stream = match whole {
            true => view.send_message_with(note, delivery).ok().map(Some),
            false => view.send_datagram_with(note, delivery).ok().map(|_| None),
        };
        drop(view);
        let Some(stream) = stream else { return };
        let (to, said) = (self.plan.edges[edge].other(from), self.net.now);
        let (came, delivered, excused) = (None, false, delivery.max_age.is_some());
        let note = Note { from, connection, to, stream, said, came, delivered, excused };
        self.notes.insert(salt, note);
    }

    /// A peer wants no more of a stream; if it was a message's, long in vain, that is right.
    pub(super) fn on_stopped(&mut self, host: HostId, connection: ConnectionHandle, id: StreamId) {
        let now = self.net.now;
        if let Some(note) = self.note_on(host, connection, id) {
            note.excused |= note.said + PATIENCE <= now;
        }
    }

    /// All of a stream is acknowledged; a message's in time for nobody to have given it up.
    pub(super) fn on_delivered(
        &mut self,
        host: HostId,
        connection: ConnectionHandle,
        id: StreamId,
    ) {
        let now = self.net.now;
        if let Some(note) = self.note_on(host, connection, id) {
            note.delivered = now < note.said + PATIENCE;
        }
    }

    fn note_on(
        &mut self,
        host: HostId,
        connection: ConnectionHandle,
        id: StreamId,
    ) -> Option<&mut Note> {
        let on = (host, connection, Some(id));
        self.notes.values_mut().find(|it| (it.from, it.connection, it.stream) == on)
    }

    /// What a host had on its way, or had not read yet, is gone with its state.
    pub(super) fn forget_notes(&mut self, host: HostId) {
        for note in self.notes.values_mut().filter(|note| [note.from, note.to].contains(&host)) {
            note.excused = true;
        }
    }

    /// Checks messages and datagrams: each came from somebody, and none twice.
    pub(super) fn read_notes(&mut self, host: HostId, connection: ConnectionHandle) {
        for text in self.nodes[host.0].app.take_notes(connection) {
            let head = text.first_chunk::<8>().expect("a note begins with its number");
            let salt = u64::from_be_bytes(*head);
            assert_eq!(text[8..], prose(salt, text.len() - 8)[..], "a wrong note");
            let note = self.notes.get_mut(&salt).expect("a note that somebody sent");
            assert_eq!(note.to, host, "a note that came elsewhere");
            assert_eq!(note.came.replace(connection), None, "a note that came twice");
        }
    }
}
