//! What handles wish, carried out on the core.

use std::collections::HashMap;
use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::Ordering::Relaxed;
use std::task::Waker;
use std::time::{Duration, Instant};

use aqueduct_core::connection::MessageError as MessageRefusal;
use aqueduct_core::endpoint::ConnectionHandle;
use aqueduct_core::message::Delivery;
use aqueduct_core::path::CarrierKind;
use aqueduct_core::stream::{self, Priority};
use aqueduct_core::wire::id::{AppCode, Dir, StreamId};
use bytes::Bytes;

use crate::connection::{CloseRequest, CloseWhen, ConnShared, Question};
use crate::error::{ConnectError, MessageError, OpenError};
use crate::hub::{Call, Command, Whose};
use crate::send::SendShared;
use crate::stats::add;
use crate::wait::{Wakers, lock};

use super::asks::Asks;
use super::lines::Purpose;
use super::streams::dir_index;
use super::{Engine, Halves, Slot, slot_of};

/// How a connection was dialled.
pub(super) struct Way {
    pub(super) remote: SocketAddr,
    pub(super) by: CarrierKind,
    /// Where else the peer may be.
    known: Arc<[SocketAddr]>,
    /// How often another way was looked for.
    tries: usize,
}

impl Way {
    /// Where to look for another way: first where the peer was found, then at each of its addresses
    /// in turn.
    pub(super) fn next(&mut self) -> SocketAddr {
        let others = self.known.iter().filter(|addr| **addr != self.remote);
        let mut all = std::iter::once(&self.remote).chain(others);
        let next = all.nth(self.tries).copied();
        self.tries = if next.is_some() { self.tries + 1 } else { 1 };
        next.unwrap_or(self.remote)
    }
}

impl Engine {
    pub(super) fn run_commands(&mut self) {
        let mut sleeper = None;
        self.run_commands_of(&mut sleeper);
    }

    /// The same for who is not the driver: `sleeper` is to be woken.
    pub(super) fn run_commands_of(&mut self, sleeper: &mut Option<Waker>) {
        let mut commands = std::mem::take(&mut self.commands);
        let other = self.shared.hub.work.take(&mut commands);
        *sleeper = sleeper.take().or(other);
        for command in commands.drain(..) {
            self.run(command);
        }
        self.commands = commands;
    }

    fn run(&mut self, command: Command) {
        let now = self.clock.now();
        match command {
            Command::Connect(call) => match call.by {
                CarrierKind::Udp => self.connect(call),
                CarrierKind::Reliable => {
                    self.lines.want(call.to.remote, Purpose::Connect(call));
                }
            },
            Command::Accept { incoming, connection } => {
                let handle = self.core.accept(*incoming, now);
                self.begin(handle, connection, None);
            }
            Command::Refuse(incoming) => self.core.refuse(*incoming, now),
            Command::Connection(connection) => self.serve(&connection),
            Command::Send(send) => self.pump_send(&send),
            Command::Recv(recv) => self.credit(&recv),
            Command::Pipe(wish) => self.run_pipe(*wish),
            Command::Stats(reply) => reply.send(self.core.stats()),
            Command::Limit(Whose::Node, rate) => self.core.set_limit(rate, now),
            Command::Limit(Whose::Each, rate) => self.core.set_peers_limit(rate, now),
            Command::Limit(Whose::Peer(id), rate) => self.core.set_peer_limit(id, rate, now),
            Command::Bandwidth(None, reply) => reply.send(self.core.bandwidth()),
            Command::Bandwidth(Some(id), reply) => reply.send(self.core.bandwidth_of(id)),
            Command::Find(id, reply) => {
                if let Some(connection) = self.find(id) {
                    reply.send(connection);
                }
            }
            Command::Alarm(at, reply) => self.alarms.set(at, reply),
            Command::Adopt(recv) => self.adopt(&recv),
            Command::EndTape => self.end_tape(),
            Command::Close(code, reason) => self.close_all(code, &reason),
            Command::Abandoned => self.abandoned = true,
        }
    }

    pub(super) fn connect(&mut self, call: Call) {
        let Call { to, by, known, connection } = call;
        let way = Some(Way { remote: to.remote, by, known, tries: 0 });
        match self.core.connect(to, self.clock.now()) {
            Ok(handle) => self.begin(handle, connection, way),
            Err(error) => {
                connection.end(ConnectError::Core(error));
                self.shared.connection_gone();
            }
        }
    }

    fn begin(&mut self, handle: ConnectionHandle, shared: Arc<ConnShared>, way: Option<Way>) {
        let _once = shared.handle.set(handle);
        while self.slots.len() <= handle.index() {
            self.slots.push(None);
        }
        let slot = Slot {
            handle,
            shared: shared.clone(),
            streams: HashMap::new(),
            asks: Asks::default(),
            closing: None,
            open_blocked: [false; 2],
            way,
            over: None,
        };
        if let Some(place) = self.slots.get_mut(handle.index()) {
            debug_assert!(place.is_none(), "the core used a slot twice");
            *place = Some(slot);
        }
        self.live += 1;
        if let Some((code, reason)) = self.closing.clone() {
            self.close(handle, CloseRequest { code, reason, when: CloseWhen::Now });
        }
    }

    fn close_all(&mut self, code: AppCode, reason: &[u8]) {
        let handles: Vec<_> = self.slots.iter().flatten().map(|slot| slot.handle).collect();
        for handle in handles {
            let when = CloseWhen::Delivered;
            self.close(handle, CloseRequest { code, reason: reason.to_vec(), when });
        }
        self.closing = Some((code, reason.to_vec()));
    }

    fn close(&mut self, handle: ConnectionHandle, request: CloseRequest) {
        let now = self.clock.now();
        let Some(slot) = self.slot(handle) else { return };
        if slot.closing == Some(CloseWhen::Now) || slot.closing == Some(request.when) {
            return;
        }
        slot.closing = Some(request.when);
        // What was written before the wish to close goes first.
        let senders: Vec<_> = slot.streams.values().filter_map(|half| half.send.clone()).collect();
        for send in &senders {
            self.pump_send(send);
        }
        let Some(mut connection) = self.core.connection(handle) else { return };
        match request.when {
            CloseWhen::Delivered => connection.close(request.code, &request.reason),
            CloseWhen::Now => connection.abort(request.code, &request.reason, now),
        }
    }

    /// Everything that a connection's handles wish.
    pub(super) fn serve(&mut self, shared: &Arc<ConnShared>) {
        shared.unmark();
        let Some(&handle) = shared.handle.get() else {
            self.lines.reconsider(shared);
            return;
        };
        let (close, questions, controller) = {
            let wishes = &mut lock(&shared.state).wishes;
            let questions = std::mem::take(&mut wishes.questions);
            (wishes.close.take(), questions, wishes.controller.take())
        };
        if let (Some(controller), Some(mut it)) = (controller, self.core.connection(handle)) {
            it.set_controller(controller);
        }
        for question in questions {
            self.answer(handle, question);
        }
        self.open_streams(handle);
        self.send_datagrams(handle);
        self.send_messages(handle);
        self.fill_inbox(handle);
        let Some(request) = close else { return };
        let mut state = lock(&shared.state);
        if request.when == CloseWhen::Delivered && !state.wishes.datagrams.is_empty() {
            // They wait for room and come first. A stronger wish may have come meanwhile.
            state.wishes.close.get_or_insert(request);
            return;
        }
        drop(state);
        self.close(handle, request);
    }

    fn answer(&mut self, handle: ConnectionHandle, question: Question) {
        let Some(connection) = self.core.connection_at(handle, self.clock.now()) else { return };
        match question {
            Question::Stats(reply) => reply.send(connection.stats()),
            Question::Export { label, context, len, reply } => {
                let mut out = vec![0; len];
                let done = connection.export_keying_material(&label, &context, &mut out);
                reply.send(matches!(done, Ok(true)).then_some(out));
            }
        }
    }

    /// Opens what waits, as far as the peer allows.
    pub(super) fn open_streams(&mut self, handle: ConnectionHandle) {
        for dir in [Dir::Bi, Dir::Uni] {
            while self.open_next(handle, dir).is_some() {}
        }
    }

    /// Opens the next stream of a kind. `None`: nobody waits, or must wait on.
    fn open_next(&mut self, handle: ConnectionHandle, dir: Dir) -> Option<()> {
        let slot = slot_of(&mut self.slots, handle)?;
        let at = dir_index(dir);
        if *slot.open_blocked.get(at)? {
            return None;
        }
        let (opening, reply) = lock(&slot.shared.state).wishes.opens.get_mut(at)?.next()?;
        let mut connection = self.core.connection(handle)?;
        match connection.open(dir, opening.options.clone()) {
            Ok(id) => {
                lock(&slot.shared.state).expect_answers(id, &opening.options);
                if let Some(asker) = opening.part {
                    slot.asks.add(id, asker);
                }
                reply.send(Ok(slot.halves_of_ours(id, &opening.options)));
            }
            Err(stream::OpenError::Blocked | stream::OpenError::NoCredit) => {
                *slot.open_blocked.get_mut(at)? = true;
                let mut state = lock(&slot.shared.state);
                state.wishes.opens.get_mut(at)?.put_back(opening, reply);
                return None;
            }
            Err(error) => reply.send(Err(OpenError::Refused(error))),
        }
        Some(())
    }

    pub(super) fn send_datagrams(&mut self, handle: ConnectionHandle) {
        let Some(slot) = slot_of(&mut self.slots, handle) else { return };
        let Some(mut connection) = self.core.connection_at(handle, self.clock.now()) else {
            return;
        };
        let counters = &self.shared.counters;
        let max = connection.max_datagram_len();
        let now = Instant::now();
        slot.shared.update(|state| {
            state.max_datagram = max;
            let queue = &mut state.wishes.datagrams;
            queue.expire(now);
            while let Some((class, len)) = queue.next()
                && connection.has_datagram_room_of(class, len)
                && let Some(given) = queue.pop()
            {
                let delivery = given.delivery(now);
                // The path may have become narrower since it was queued.
                let unsendable = connection.send_datagram_with(given.data, delivery).is_err();
                add(&counters.datagrams_unsendable, unsendable.into());
            }
            while let Some(class) = queue.next_expired() {
                // An empty one in its place: the core counts what may not wait at all.
                let late = Delivery::new().priority(class).max_age(Duration::ZERO);
                let _counted = connection.send_datagram_with(Bytes::new(), late);
            }
            // Who waits for room has a normal one.
            let room = queue.has_room(Priority::Normal, now);
            if room { state.waiting.datagrams_out.take() } else { Wakers::default() }
        });
    }

    pub(super) fn send_messages(&mut self, handle: ConnectionHandle) {
        let Some(slot) = slot_of(&mut self.slots, handle) else { return };
        loop {
            let next = lock(&slot.shared.state).wishes.messages.next();
            let Some((message, reply)) = next else { return };
            let Some(mut connection) = self.core.connection_at(handle, self.clock.now()) else {
                return;
            };
            let delivery = message.delivery(Instant::now());
            match connection.send_message_with(message.data.clone(), delivery) {
                Ok(_) => {
                    let counts = &self.shared.messages.counts;
                    counts.whole_sent.fetch_add(1, Relaxed);
                    counts.whole_bytes_sent.fetch_add(message.data.len() as u64, Relaxed);
                    reply.send(Ok(()));
                }
                Err(MessageRefusal::Open(
                    stream::OpenError::Blocked | stream::OpenError::NoCredit,
                )) => {
                    lock(&slot.shared.state).wishes.messages.put_back(message, reply);
                    return;
                }
                // The core has counted it.
                Err(MessageRefusal::TooOld) => reply.send(Ok(())),
                Err(error) => reply.send(Err(MessageError::Refused(error))),
            }
        }
    }

    /// Takes what a writer wrote to the core.
    pub(super) fn pump_send(&mut self, send: &Arc<SendShared>) {
        let mut pieces = std::mem::take(&mut self.outgoing);
        let work = send.take(&mut pieces);
        let Some(&handle) = send.connection.handle.get() else { return };
        let (taken, finished) = self.write(handle, send, &work, &mut pieces);
        send.give_back(taken, &mut pieces, finished);
        pieces.clear();
        self.outgoing = pieces;
        let over = work.ended || work.reset.is_some() || finished;
        if work.gone && over {
            self.forget(handle, send.id, |halves| halves.send = None);
        }
    }

    pub(super) fn forget(
        &mut self,
        handle: ConnectionHandle,
        id: StreamId,
        half: impl FnOnce(&mut Halves),
    ) {
        let Some(slot) = self.slot(handle) else { return };
        if let Some(halves) = slot.streams.get_mut(&id) {
            half(halves);
            if halves.send.is_none() && halves.recv.is_none() {
                slot.streams.remove(&id);
            }
        }
    }
}
