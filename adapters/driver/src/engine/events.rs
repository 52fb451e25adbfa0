//! What the core says, passed on to handles.

use aqueduct_core::endpoint::{ConnectionHandle, Event, EventKind};
use aqueduct_core::error::{CloseReason, StreamCode};
use aqueduct_core::path::CarrierKind;
use aqueduct_core::wire::capabilities::Mode;
use aqueduct_core::wire::id::{Dir, StreamId};

use crate::connection::range::is_part;
use crate::connection::{DATAGRAM_INBOX, MESSAGE_INBOX};
use crate::endpoint::UDP;
use crate::error::{ConnectError, ConnectionError, ReadError, Stop, StreamError};
use crate::recv::RecvHalf;
use crate::send::SendEnd;
use crate::wait::{Wakers, lock};

use super::asks::Asks;
use super::lines::Purpose;
use super::streams::dir_index;
use super::{Engine, slot_of};

impl Engine {
    pub(super) fn on_event(&mut self, event: Event) {
        let handle = event.connection;
        match event.kind {
            EventKind::Connected => self.on_connected(handle),
            EventKind::StreamAvailable => self.accept_streams(handle),
            EventKind::Readable(id) => _ = self.pump_recv(handle, id),
            EventKind::Writable(id) => {
                if let Some(send) = self.send_half(handle, id) {
                    self.pump_send(&send);
                }
            }
            EventKind::Stopped(id) => self.on_stopped(handle, id),
            EventKind::Delivered(id) => {
                if let Some(send) = self.send_half(handle, id) {
                    send.end(SendEnd::Delivered);
                    self.forget(handle, id, |halves| halves.send = None);
                }
            }
            EventKind::Openable(dir) => self.on_openable(handle, dir),
            EventKind::DatagramReceived | EventKind::MessageReceived => self.fill_inbox(handle),
            EventKind::DatagramsWritable => {
                if let Some(shared) = self.slot(handle).map(|slot| slot.shared.clone()) {
                    // Not the datagrams alone: a close may wait for them.
                    self.serve(&shared);
                }
            }
            EventKind::PathChanged { remote } => {
                let Some(connection) = self.core.connection(handle) else { return };
                let (max, carriage) = (connection.max_datagram_len(), connection.carriage());
                drop(connection);
                if let Some(slot) = self.slot(handle) {
                    tracing::info!(%remote, ?carriage, "data takes another path");
                    slot.shared.update(|state| {
                        (state.remote, state.max_datagram) = (remote, max);
                        state.carriage = carriage;
                        Wakers::default()
                    });
                }
            }
            EventKind::PathSilent | EventKind::PathPaused => self.look_for_tcp(handle),
            EventKind::StreamPressure { stream, buffered, limit, ranges, max_ranges } => {
                let peer = self.core.connection(handle).and_then(|connection| connection.peer());
                tracing::warn!(
                    stream = stream.0,
                    ?peer,
                    buffered,
                    limit,
                    ranges,
                    max_ranges,
                    "a stream is nearly full"
                );
            }
            EventKind::StreamEnded { stream, why } => {
                tracing::warn!(stream = stream.0, ?why, "a stream did not move and was ended");
                let halves = self.slot(handle).and_then(|slot| slot.streams.get_mut(&stream));
                if let Some(inlet) = halves.and_then(|halves| halves.recv.as_mut()) {
                    inlet.fail(ReadError::Failed(StreamError::of_stuck(why)));
                }
            }
            EventKind::Closed(reason) => self.on_closed(handle, reason),
            EventKind::Drained => self.on_drained(handle),
            _ => {}
        }
    }

    fn on_connected(&mut self, handle: ConnectionHandle) {
        let Some(connection) = self.core.connection(handle) else { return };
        let (peer, remote) = (connection.peer(), connection.remote());
        let max = connection.max_datagram_len();
        let max_message = connection.max_message_len();
        let mode = connection.mode().unwrap_or(Mode::Traditional);
        let carriage = connection.carriage();
        drop(connection);
        if carriage == CarrierKind::Reliable {
            self.lines.on_connected(remote);
        }
        let Some(slot) = self.slot(handle) else { return };
        tracing::info!(?peer, %remote, %mode, "connected");
        slot.shared.update(|state| {
            (state.connected, state.peer, state.remote) = (true, peer, remote);
            (state.max_datagram, state.max_message, state.mode) = (max, max_message, mode);
            state.carriage = carriage;
            state.waiting.start.take()
        });
        let shared = slot.shared.clone();
        self.serve(&shared);
        self.offer_udp(handle);
    }

    /// Who came by TCP goes on by UDP when that answers (spec R-TCP-16).
    fn offer_udp(&mut self, handle: ConnectionHandle) {
        let Some(way) = self.slot(handle).and_then(|slot| slot.way.as_ref()) else { return };
        let (by, remote) = (way.by, way.remote);
        if by == CarrierKind::Reliable
            && self.shared.carriers.udp
            && let Some(mut connection) = self.core.connection(handle)
        {
            let _useful = connection.add_path(UDP, remote);
        }
    }

    /// UDP carries nothing, or may soon carry nothing unnoticed: whoever dialled tries TCP.
    fn look_for_tcp(&mut self, handle: ConnectionHandle) {
        if !self.shared.carriers.tcp {
            return;
        }
        let Some(way) = self.slot(handle).and_then(|slot| slot.way.as_mut()) else { return };
        let remote = way.next();
        if !self.lines.dials_for(handle, remote) {
            tracing::debug!(%remote, "a way by TCP is looked for");
            self.lines.want(remote, Purpose::Path(handle));
        }
    }

    fn on_stopped(&mut self, handle: ConnectionHandle, id: StreamId) {
        let Some(send) = self.send_half(handle, id) else { return };
        let Some(mut connection) = self.core.connection(handle) else { return };
        let stopped = connection.send(id).and_then(|stream| stream.stopped());
        drop(connection);
        let (code, hop) = stopped.unwrap_or_default();
        send.end(SendEnd::Stopped(Stop { code, hop }));
        self.forget(handle, id, |halves| halves.send = None);
    }

    fn on_openable(&mut self, handle: ConnectionHandle, dir: Dir) {
        if let Some(slot) = self.slot(handle)
            && let Some(blocked) = slot.open_blocked.get_mut(dir_index(dir))
        {
            *blocked = false;
        }
        self.open_streams(handle);
        self.send_messages(handle);
    }

    fn accept_streams(&mut self, handle: ConnectionHandle) {
        loop {
            let Some(mut connection) = self.core.connection(handle) else { return };
            let Some(id) = connection.accept() else { return };
            let info = connection.recv(id).and_then(|stream| stream.info().cloned());
            drop(connection);
            if info.as_ref().is_some_and(|info| self.is_for_relay(info)) {
                self.divert(handle, id, info);
                continue;
            }
            let Some(slot) = self.slot(handle) else { return };
            let (send, recv) = slot.halves_of_theirs(id, info);
            let shared = slot.shared.clone();
            self.pump_recv(handle, id);
            if let Some(slot) = self.slot(handle)
                && let Some(error) = &slot.over
                && let Some(halves) = slot.streams.remove(&id)
            {
                halves.end(error);
            }
            if recv.info().is_some_and(is_part) {
                self.part_arrived(handle, recv);
                continue;
            }
            let refused = shared.arrived(send, recv);
            // Outside of the lock: nobody is left to take it.
            drop(refused);
        }
    }

    fn part_arrived(&mut self, handle: ConnectionHandle, part: RecvHalf) {
        let Some(slot) = self.slot(handle) else { return };
        if let Some(mut unwanted) = slot.asks.answer(part) {
            unwanted.stop(StreamCode::Refused.app());
        }
    }

    /// Moves datagrams and messages to the handles, as far as these have room.
    pub(super) fn fill_inbox(&mut self, handle: ConnectionHandle) {
        // Who takes from a full inbox says so, and nobody else does. So either it is full when this
        // ends, or the core has nothing left: room that is made meanwhile is filled as well.
        while self.fill_room(handle, (DATAGRAM_INBOX, MESSAGE_INBOX)) {}
    }

    /// Moves all that is left, for the core gives nothing more, and keeps what there is room for
    /// (spec R-LIM-7).
    pub(super) fn fill_rest(&mut self, handle: ConnectionHandle) {
        self.fill_room(handle, (usize::MAX, usize::MAX));
        let left = self.shared.leftovers.part();
        let Some(slot) = self.slot(handle) else { return };
        let unkept = lock(&slot.shared.state).inbox.leave(left);
        if unkept > 0 {
            tracing::warn!(unkept, "datagrams and messages that a connection left find no room");
        }
    }

    /// Fills what room there is now in inboxes for so many datagrams and messages. Returns whether
    /// the core may have more than that.
    fn fill_room(&mut self, handle: ConnectionHandle, inboxes: (usize, usize)) -> bool {
        let Some(slot) = slot_of(&mut self.slots, handle) else { return false };
        let Some(mut connection) = self.core.connection(handle) else { return false };
        let room = {
            let inbox = &lock(&slot.shared.state).inbox;
            (
                inboxes.0.saturating_sub(inbox.datagrams.len()),
                inboxes.1.saturating_sub(inbox.messages.len()),
            )
        };
        let datagrams: Vec<_> =
            std::iter::from_fn(|| connection.recv_datagram()).take(room.0).collect();
        let messages: Vec<_> =
            std::iter::from_fn(|| connection.recv_message()).take(room.1).collect();
        let taken = (datagrams.len(), messages.len());
        if taken == (0, 0) {
            return false;
        }
        slot.shared.update(|state| {
            let mut wakers = Wakers::default();
            if !datagrams.is_empty() {
                state.inbox.datagrams.extend(datagrams);
                wakers = wakers.and(state.waiting.datagrams_in.take());
            }
            if !messages.is_empty() {
                messages.into_iter().for_each(|message| state.inbox.messages.push(message));
                wakers = wakers.and(state.waiting.messages.take());
            }
            wakers
        });
        taken.0 == room.0 || taken.1 == room.1
    }

    fn on_closed(&mut self, handle: ConnectionHandle, reason: CloseReason) {
        // Everything that came before the end is handed over first.
        self.accept_streams(handle);
        self.fill_rest(handle);
        let error = ConnectionError::Closed(reason.clone());
        self.empty(handle, &error);
        if slot_of(&mut self.slots, handle).is_none() {
            return;
        }
        let stats = self.core.connection(handle).map(|connection| {
            self.lines.on_closed(handle, connection.carriers());
            connection.stats()
        });
        let Some(slot) = self.slot(handle) else { return };
        tracing::info!(%reason, "connection over");
        lock(&slot.shared.state).stats = stats;
        for (_, halves) in slot.streams.drain() {
            halves.end(&error);
        }
        slot.shared.end(ConnectError::Failed(reason));
        // Only now: who waits asks why.
        slot.asks = Asks::default();
    }

    fn on_drained(&mut self, handle: ConnectionHandle) {
        let Some(place) = self.slots.get_mut(handle.index()) else { return };
        if place.as_ref().is_some_and(|slot| slot.handle == handle) {
            *place = None;
            self.live = self.live.saturating_sub(1);
            self.shared.connection_gone();
            self.lines.on_drained(handle, self.clock.now());
        }
    }
}
