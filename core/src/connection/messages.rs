//! Whole messages over streams of their own: which streams they are, and moving their bytes.

use alloc::collections::VecDeque;

use bytes::Bytes;

use crate::flow::Budget;
use crate::message::{Delivery, Left, Message, Outgoing};
use crate::stream::{OpenOptions, RecvAccount, StreamProtocol, Streams};
use crate::time::Instant;
use crate::wire::frame::Frame;
use crate::wire::id::{AppCode, Dir, StreamId};
use crate::wire::open::OpenFrame;
use crate::wire::protocol;

use super::Connection;
use super::calls::MessageError;
use super::event::EventKind;

/// The code in STOP for a message that is not taken.
pub(super) const GIVEN_UP: AppCode = AppCode(1);

impl Connection {
    /// Whether a stream carries a message.
    pub(super) fn is_message(&self, id: StreamId) -> bool {
        let protocol = self.streams.info(id).map(|info| &info.protocol);
        protocol == Some(&StreamProtocol::Number(protocol::MESSAGE))
    }

    /// Sends a message whole. See [`Connection::send_message`].
    pub(super) fn post(
        &mut self,
        data: Bytes,
        delivery: Delivery,
        budget: &mut Budget,
        now: Instant,
    ) -> Result<StreamId, MessageError> {
        let Outgoing { data } = Outgoing::new(data, self.peer_max_message)?;
        let until = delivery.until(now);
        if until.is_some_and(|until| until <= now) {
            self.expiring.on_too_old();
            return Err(MessageError::TooOld);
        }
        let mut options = OpenOptions::new(StreamProtocol::Number(protocol::MESSAGE));
        options.size = Some(data.len() as u64);
        options.priority = delivery.priority;
        let mut account = RecvAccount { credit: &mut self.credit, budget, now };
        let id = self.streams.open(Dir::Uni, options, &mut account)?;
        self.outbox.push_back((id, data));
        self.continue_message(id);
        if let Some(until) = until {
            self.age(id, until);
        }
        Ok(id)
    }

    /// From `until` on nothing of the message on stream `id` is to be sent.
    fn age(&mut self, id: StreamId, until: Instant) {
        if self.expiring.len() > 64 + 2 * self.streams.count() {
            self.expiring.forget(|id| left(&self.streams, &self.outbox, id));
        }
        self.expiring.add(id, until);
    }

    /// Gives up messages that are too old, if something of them had to be sent (spec R-MSG-14).
    pub(super) fn give_up_old_messages(&mut self, now: Instant) {
        self.expiring.on_deadline(now);
        if !self.expiring.is_any_old() {
            return;
        }
        let expired = self.expiring.take_expired(|id| left(&self.streams, &self.outbox, id));
        for id in expired {
            self.outbox.retain(|(waiting, _)| *waiting != id);
            if let Some(mut stream) = self.streams.send(id) {
                stream.reset(GIVEN_UP);
            }
        }
    }

    /// Writes what a message's stream takes now; the rest follows when there is room.
    pub(super) fn continue_message(&mut self, id: StreamId) {
        let Some(at) = self.outbox.iter().position(|(waiting, _)| *waiting == id) else { return };
        let Some((_, rest)) = self.outbox.get_mut(at) else { return };
        let done = self.streams.send(id).is_none_or(|mut stream| {
            let taken = stream.write(rest.clone()).unwrap_or(rest.len());
            let _ = rest.split_to(taken.min(rest.len()));
            rest.is_empty() && stream.finish().is_ok() || stream.stopped().is_some()
        });
        if done {
            self.outbox.remove(at);
        }
    }

    /// A message may have begun.
    pub(super) fn on_message_open(
        &mut self,
        open: &OpenFrame<'_>,
        budget: &mut Budget,
        now: Instant,
    ) {
        let (refused, given_up) = match self.messages.on_open(open, now) {
            Ok(evicted) => (None, evicted.map(|evicted| evicted.0)),
            Err(_) => (Some(open.id), None),
        };
        if let Some(id) = refused {
            self.stop_message(id, budget, now);
        }
        if let Some(id) = given_up {
            self.stop_stream(id, budget, now);
        }
        let account = RecvAccount { credit: &mut self.credit, budget, now };
        if refused.is_none()
            && let Some(size) = open.size
            && let Some(mut stream) = self.streams.recv(open.id, account)
        {
            stream.request(size);
        }
        // Its bytes may have come before their introduction, all of them.
        self.on_message_progress(open.id, 0, budget, now);
    }

    /// Bytes or the end of a message's stream came.
    pub(super) fn on_message_frame(
        &mut self,
        frame: &Frame<'_>,
        budget: &mut Budget,
        now: Instant,
    ) {
        let (id, highest) = match frame {
            Frame::Stream(stream) => (stream.id, stream.offset + stream.data.len() as u64),
            Frame::Skip { id, .. } => return self.stop_message(*id, budget, now),
            Frame::Reset(reset) => return self.on_message_reset(reset.id, budget, now),
            _ => return,
        };
        self.on_message_progress(id, highest, budget, now);
    }

    /// Looks how far a message's stream is; its bytes reach `highest` at least.
    fn on_message_progress(
        &mut self,
        id: StreamId,
        highest: u64,
        budget: &mut Budget,
        now: Instant,
    ) {
        let account = RecvAccount { credit: &mut self.credit, budget, now };
        let Some(stream) = self.streams.recv(id, account) else { return };
        let (arrived, end) = (stream.contiguous_end(), stream.final_size());
        let lacks_bytes = stream.lacks_bytes();
        drop(stream);
        let highest = highest.max(arrived);
        // What was skipped counts as there, whether before the introduction or behind it.
        let refused =
            lacks_bytes || self.messages.on_progress(id, arrived, highest, end, now).is_err();
        if refused {
            self.stop_message(id, budget, now);
        }
        if self.messages.is_readable() {
            self.events.push(EventKind::MessageReceived);
        }
    }

    /// Nobody reads what has come of a message that was given up: it ends the stream here, too.
    fn on_message_reset(&mut self, id: StreamId, budget: &mut Budget, now: Instant) {
        if self.messages.on_reset(id) && self.is_message(id) {
            self.stop_stream(id, budget, now);
        }
    }

    fn stop_message(&mut self, id: StreamId, budget: &mut Budget, now: Instant) {
        if !self.is_message(id) {
            return;
        }
        self.messages.on_refused(id);
        self.stop_stream(id, budget, now);
    }

    fn stop_stream(&mut self, id: StreamId, budget: &mut Budget, now: Instant) {
        let account = RecvAccount { credit: &mut self.credit, budget, now };
        if let Some(mut stream) = self.streams.recv(id, account) {
            stream.stop(GIVEN_UP);
        }
    }

    /// Gives up messages that have been silent for too long.
    pub(super) fn give_up_messages(&mut self, budget: &mut Budget, now: Instant) {
        let patience = self.idle.patience(self.paths.active().pto());
        while let Some(evicted) = self.messages.on_deadline(patience, now) {
            self.stop_stream(evicted.0, budget, now);
        }
    }

    /// The next whole message.
    pub(super) fn fetch(&mut self, budget: &mut Budget, now: Instant) -> Option<Bytes> {
        let (id, mut stream) = loop {
            let id = self.messages.take_whole()?;
            let account = RecvAccount { credit: &mut self.credit, budget, now };
            if self.streams.info(id).is_some() {
                break (id, self.streams.recv(id, account)?);
            }
        };
        let mut chunks = alloc::vec::Vec::new();
        while let Ok(Some(chunk)) = stream.read_chunk(usize::MAX) {
            stream.release(chunk.data.len() as u64);
            chunks.push(chunk.data);
        }
        Some(Message::join(id, chunks).data)
    }
}

/// What has to be done yet for a message of ours.
fn left(streams: &Streams, outbox: &VecDeque<(StreamId, Bytes)>, id: StreamId) -> Left {
    let waits = || outbox.iter().any(|(waiting, _)| *waiting == id);
    match streams.is_unsent(id) {
        None => Left::Nothing,
        Some(unsent) if unsent || waits() => Left::Bytes,
        Some(_) => Left::Acknowledgement,
    }
}
