//! What the views of connections and streams write.

use alloc::vec::Vec;

use crate::time::Instant;
use crate::wire::id::StreamId;

use super::Payload;
use super::context::Slot;
use super::op::{Op, Outcome};
use super::segment::Tape;
use super::value::Taped;

/// Bytes that were offered in vain count up to so many: where more were, that was not why.
pub(crate) const MOST_REFUSED: usize = 64 << 20;

impl Tape {
    /// A connection is looked at.
    pub(crate) const fn look(&mut self, slot: Slot) {
        self.current = Some(slot);
        self.untold = true;
    }

    /// It is looked at no more.
    pub(crate) fn look_away(&mut self) {
        if self.untold && self.ready() {
            if self.context.connection == self.current {
                self.begin(Op::Touch);
                self.untold = false;
            } else {
                self.name_connection();
            }
        }
        self.current = None;
    }

    /// The records that follow are of the connection that is looked at.
    fn name_connection(&mut self) {
        if let Some(slot) = self.current
            && self.context.connection != Some(slot)
        {
            self.context.look(slot);
            slot.put(self.begin(Op::Connection));
        }
        self.untold = false;
    }

    /// A call on the connection, with what it was given and came to.
    pub(crate) fn call(&mut self, op: Op, write: impl FnOnce(&mut Vec<u8>)) {
        if self.ready() {
            self.name_connection();
            write(self.begin(op));
        }
    }

    /// The connection is closed or aborted (`now` is only for the latter).
    pub(crate) fn farewell(&mut self, op: Op, code: u64, reason: &[u8], now: Option<Instant>) {
        if self.ready() {
            self.name_connection();
            code.put(self.begin(op));
            now.iter().for_each(|now| now.put(self.line()));
            self.put_payload(reason);
        }
    }

    /// A stream is opened. `write`: how it introduces itself, but for the application's words.
    pub(crate) fn open_stream(
        &mut self,
        write: impl FnOnce(&mut Vec<u8>),
        words: [&[u8]; 2],
        made: Outcome,
    ) {
        if self.ready() {
            self.name_connection();
            write(self.begin(Op::Open));
            words.iter().for_each(|words| self.put_payload(words));
            made.put(self.line());
        }
    }

    /// Bytes that the application gives to be sent: how many there were, what came of it, and those
    /// of them that were taken. Of more than were taken, one is as good as many.
    fn put_given(&mut self, data: &[u8], taken: Result<usize, u8>, came: Outcome) {
        let full = self.payload == Payload::Full;
        let offered = taken.map_or(MOST_REFUSED, |taken| taken.saturating_add(1));
        let out = self.line();
        data.len().min(offered).put(out);
        came.put(out);
        if full {
            out.extend_from_slice(data.get(..taken.unwrap_or(0)).unwrap_or(data));
        }
    }

    /// A datagram or a whole message is given to be sent, with what was said of its delivery.
    pub(crate) fn give(&mut self, op: Op, said: Option<&[u8]>, data: &[u8], came: Outcome) {
        if self.fits(data.len()) && self.ready() {
            self.name_connection();
            self.say(said);
            self.begin(op);
            let taken = match came {
                Outcome::Done(_) => Ok(data.len()),
                Outcome::Refused(why) => Err(why),
            };
            self.put_given(data, taken, came);
        }
    }

    /// Whether something could be given now, with what was said of its delivery.
    pub(crate) fn ask(&mut self, op: Op, said: Option<&[u8]>, write: impl FnOnce(&mut Vec<u8>)) {
        if self.ready() {
            self.name_connection();
            self.say(said);
            write(self.begin(op));
        }
    }

    /// How what the next record speaks of is to be delivered.
    fn say(&mut self, said: Option<&[u8]>) {
        if let Some(said) = said {
            self.begin(Op::Delivery).extend_from_slice(said);
        }
    }

    /// The records that follow are of this stream's half that sends.
    fn name_send(&mut self, id: StreamId) {
        self.name_connection();
        if self.context.send != Some(id) {
            self.context.send = Some(id);
            id.put(self.begin(Op::Send));
        }
    }

    /// A call on the half of stream `id` that sends, with what it was given and came to.
    pub(crate) fn send_call(&mut self, id: StreamId, op: Op, write: impl FnOnce(&mut Vec<u8>)) {
        if self.ready() {
            self.name_send(id);
            write(self.begin(op));
        }
    }

    /// Bytes for stream `id`, at an offset or behind all others.
    pub(crate) fn write(
        &mut self,
        id: StreamId,
        op: Op,
        offset: Option<u64>,
        data: &[u8],
        came: Result<usize, u8>,
    ) {
        if self.fits(*came.as_ref().unwrap_or(&0)) && self.ready() {
            self.name_send(id);
            self.begin(op);
            offset.iter().for_each(|offset| offset.put(self.line()));
            let outcome = came.map_or_else(Outcome::Refused, |taken| Outcome::Done(taken as u64));
            self.put_given(data, came, outcome);
        }
    }

    /// The half of stream `id` that receives is looked at, until a record that is no call on it.
    pub(crate) fn recv(&mut self, id: StreamId) {
        if !self.ready() {
            return;
        }
        self.name_connection();
        if self.context.recv == Some(id) {
            self.begin(Op::RecvAgain);
        } else {
            self.context.recv = Some(id);
            id.put(self.begin(Op::Recv));
        }
    }

    /// A call on the half that is looked at, with what it was given and came to.
    pub(crate) fn recv_call(&mut self, op: Op, write: impl FnOnce(&mut Vec<u8>)) {
        if self.is_running() {
            write(self.begin(op));
        }
    }

    /// Bytes were asked of it.
    pub(crate) fn taken(&mut self, way: u8, max: usize, came: Outcome) {
        if !self.is_running() {
            return;
        }
        // What more was asked for than came does not matter, but whether.
        let came_of = if let Outcome::Done(bytes) = came { bytes } else { 0 };
        let take = (way, max as u64 > came_of);
        if self.context.take == Some(take) {
            self.begin(Op::TakeAgain);
        } else {
            self.context.take = Some(take);
            take.put(self.begin(Op::Take));
        }
        came.put(self.line());
        if let Outcome::Done(bytes) = came {
            self.context.taken = bytes;
        }
    }

    /// Bytes were released.
    pub(crate) fn released(&mut self, bytes: u64) {
        if !self.is_running() {
            return;
        }
        if self.context.taken == bytes {
            self.begin(Op::ReleaseTaken);
        } else {
            bytes.put(self.begin(Op::Release));
        }
    }
}
