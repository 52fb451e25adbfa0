//! Bytes between the core's streams and their halves.

use std::collections::VecDeque;
use std::sync::Arc;

use aqueduct_core::endpoint::ConnectionHandle;
use aqueduct_core::stream::{self, OpenOptions, SendBuffer};
use aqueduct_core::wire::id::{Dir, StreamId};

use crate::error::{ConnectionError, ReadError, Stop};
use crate::recv::{MOST_CHUNKS, RecvHalf, RecvShared, receiving};
use crate::send::{Piece, SendEnd, SendHalf, SendShared, SendWork};
use crate::wait::lock;

use super::{Engine, Halves, Slot, slot_of};

pub(super) fn dir_index(dir: Dir) -> usize {
    match dir {
        Dir::Bi => 0,
        Dir::Uni => 1,
    }
}

impl Halves {
    /// Both halves end with the connection. What has arrived can still be read.
    pub(super) fn end(self, error: &ConnectionError) {
        if let Some(send) = self.send {
            send.end(SendEnd::Lost(error.clone()));
        }
        if let Some(mut recv) = self.recv {
            recv.fail(ReadError::Connection(error.clone()));
        }
    }
}

impl Slot {
    /// The halves of a stream that this side opened.
    pub(super) fn halves_of_ours(
        &mut self,
        id: StreamId,
        options: &OpenOptions,
    ) -> (SendHalf, Option<RecvHalf>) {
        let bounds = options.start..options.end.unwrap_or(SendBuffer::MAX_OFFSET);
        let send = SendShared::new(self.shared.clone(), id, bounds);
        let (inlet, recv) = match id.dir() {
            Dir::Bi => Some(receiving(self.shared.clone(), id, None)).unzip(),
            Dir::Uni => (None, None),
        };
        self.streams.insert(id, Halves { send: Some(send.clone()), recv: inlet });
        (SendHalf::new(send), recv)
    }

    /// The halves of a stream that the peer opened.
    pub(super) fn halves_of_theirs(
        &mut self,
        id: StreamId,
        info: Option<OpenOptions>,
    ) -> (Option<SendHalf>, RecvHalf) {
        let (inlet, recv) = receiving(self.shared.clone(), id, info);
        let send = match id.dir() {
            Dir::Bi => Some(SendShared::new(self.shared.clone(), id, 0..SendBuffer::MAX_OFFSET)),
            Dir::Uni => None,
        };
        self.streams.insert(id, Halves { send: send.clone(), recv: Some(inlet) });
        (send.map(SendHalf::new), recv)
    }
}

impl Engine {
    /// Writes `pieces` to the core, as far as it takes them, and leaves the rest. Gives how much it
    /// took, and whether the end of the stream was told.
    pub(super) fn write(
        &mut self,
        handle: ConnectionHandle,
        send: &SendShared,
        work: &SendWork,
        pieces: &mut VecDeque<Piece>,
    ) -> (usize, bool) {
        let mut taken = 0;
        let Some(mut connection) = self.core.connection(handle) else { return (0, false) };
        let Some(mut stream) = connection.send(send.id) else { return (0, false) };
        if let Some(priority) = work.priority {
            stream.set_priority(priority);
        }
        if let Some(Stop { code, hop }) = work.reset {
            stream.reset_after(code, hop, 0);
            return (0, false);
        }
        if work.ended {
            return (0, false);
        }
        while let Some(front) = pieces.front_mut() {
            let went = match front {
                Piece::Skip(range) => stream.skip(range.clone()).map(|()| 0),
                Piece::Bytes(offset, data) if work.scattered => {
                    stream.write_at(*offset, data.clone())
                }
                Piece::Bytes(_, data) => stream.write(data.clone()),
            };
            match went {
                Ok(len) => {
                    taken += len;
                    if !front.advance(len) {
                        return (taken, false);
                    }
                    pieces.pop_front();
                }
                Err(stream::WriteError::Stopped { code, hop }) => {
                    send.end(SendEnd::Stopped(Stop { code, hop }));
                    return (taken, false);
                }
                Err(_) => return (taken, false),
            }
        }
        match work.closing.filter(|_| work.finish) {
            // All that was written is promised.
            Some(code) => stream.reset_after(code, 0, u64::MAX),
            // Refused only if it was said before.
            None if work.finish => _ = stream.finish(),
            None => {}
        }
        (taken, work.finish)
    }

    /// Hands the readers of a stream what the core can give. `false`: its connection is over, and
    /// there is no room for what it left.
    pub(super) fn pump_recv(&mut self, handle: ConnectionHandle, id: StreamId) -> bool {
        self.crowd.tell();
        let Some(slot) = slot_of(&mut self.slots, handle) else { return true };
        let halves = slot.streams.get_mut(&id);
        let Some(inlet) = halves.and_then(|halves| halves.recv.as_mut()) else { return true };
        let mut connection = self.core.connection(handle);
        let stream = connection.as_mut().and_then(|connection| connection.recv(id));
        if slot.over.is_some() {
            // What is left in a core that has ended would be lost.
            return inlet.leave(stream, &self.shared.leftovers);
        }
        if let Some(mut stream) = stream {
            inlet.pump(&mut stream, MOST_CHUNKS);
        }
        true
    }

    /// Gives back the credit of what readers have passed, and does what they wish.
    pub(super) fn credit(&mut self, recv: &RecvShared) {
        let wishes = recv.take();
        if let Some(pipe) = recv.pipe.get() {
            return self.serve_tap(*pipe, &wishes);
        }
        let Some(&handle) = recv.connection.handle.get() else { return };
        let Some(slot) = slot_of(&mut self.slots, handle) else { return };
        let halves = slot.streams.get_mut(&recv.id);
        let Some(inlet) = halves.and_then(|halves| halves.recv.as_mut()) else { return };
        let mut connection = self.core.connection(handle);
        let stream = connection.as_mut().and_then(|connection| connection.recv(recv.id));
        let read = inlet.serve(&wishes, stream);
        drop(connection);
        if !read {
            self.forget(handle, recv.id, |halves| halves.recv = None);
        }
    }

    /// The connection is over, with `error`: hands over what the core still has, as far as there is
    /// room for it (spec R-LIM-7). Streams for which there is none, and which nobody has taken, go.
    pub(super) fn empty(&mut self, handle: ConnectionHandle, error: &ConnectionError) {
        let Some(slot) = self.slot(handle) else { return };
        slot.over = Some(error.clone());
        let mut ids: Vec<_> = slot.streams.keys().copied().collect();
        ids.sort_unstable();
        ids.retain(|id| !self.pump_recv(handle, *id));
        let Some(slot) = self.slot(handle).filter(|_| !ids.is_empty()) else { return };
        tracing::warn!(streams = ids.len(), "what a connection left finds no room");
        let unkept = lock(&slot.shared.state).inbox.give_up(&ids);
        // Outside of the lock.
        drop(unkept);
    }

    pub(super) fn send_half(
        &mut self,
        handle: ConnectionHandle,
        id: StreamId,
    ) -> Option<Arc<SendShared>> {
        self.slot(handle)?.streams.get(&id)?.send.clone()
    }
}
