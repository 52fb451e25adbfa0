//! Bytes between the core's streams and their halves.

use std::collections::VecDeque;
use std::sync::Arc;

use aqueduct_core::endpoint::ConnectionHandle;
use aqueduct_core::stream;
use aqueduct_core::wire::id::{AppCode, Dir, StreamId};
use bytes::Bytes;

use crate::error::{ConnectionError, ReadError, StreamError};
use crate::recv::{RecvEnd, RecvHalf, RecvShared};
use crate::send::{SendEnd, SendHalf, SendShared, SendWork};

use super::{Engine, Halves, Slot};

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
        if let Some(recv) = self.recv {
            recv.end(RecvEnd::Failed(ReadError::Connection(error.clone())));
        }
    }
}

impl Slot {
    /// The halves of a stream that this side opened.
    pub(super) fn halves_of_ours(&mut self, id: StreamId) -> (SendHalf, Option<RecvHalf>) {
        let send = SendShared::new(self.shared.clone(), id);
        let recv = match id.dir() {
            Dir::Bi => Some(RecvShared::new(self.shared.clone(), id, None)),
            Dir::Uni => None,
        };
        self.streams.insert(id, Halves { send: Some(send.clone()), recv: recv.clone() });
        (SendHalf::new(send), recv.map(RecvHalf::new))
    }

    /// The halves of a stream that the peer opened.
    pub(super) fn halves_of_theirs(
        &mut self,
        id: StreamId,
        info: Option<stream::OpenOptions>,
    ) -> (Option<SendHalf>, RecvHalf) {
        let recv = RecvShared::new(self.shared.clone(), id, info);
        let send = match id.dir() {
            Dir::Bi => Some(SendShared::new(self.shared.clone(), id)),
            Dir::Uni => None,
        };
        self.streams.insert(id, Halves { send: send.clone(), recv: Some(recv.clone()) });
        (send.map(SendHalf::new), RecvHalf::new(recv))
    }
}

impl Engine {
    /// Writes `bytes` to the core, as far as it takes them, and leaves the rest. Gives how much it
    /// took, and whether the end of the stream was told.
    pub(super) fn write(
        &mut self,
        handle: ConnectionHandle,
        send: &SendShared,
        work: &SendWork,
        bytes: &mut VecDeque<Bytes>,
    ) -> (usize, bool) {
        let mut taken = 0;
        let Some(mut connection) = self.core.connection(handle) else { return (0, false) };
        let Some(mut stream) = connection.send(send.id) else { return (0, false) };
        if let Some(priority) = work.priority {
            stream.set_priority(priority);
        }
        if let Some(code) = work.reset {
            stream.reset(code);
            return (0, false);
        }
        if work.ended {
            return (0, false);
        }
        while let Some(front) = bytes.front_mut() {
            match stream.write(front.clone()) {
                Ok(len) => {
                    taken += len;
                    if len < front.len() {
                        let _taken = front.split_to(len);
                        return (taken, false);
                    }
                    bytes.pop_front();
                }
                Err(stream::WriteError::Stopped { code, hop }) => {
                    send.end(SendEnd::Stopped(code, hop));
                    return (taken, false);
                }
                Err(_) => return (taken, false),
            }
        }
        if work.finish {
            // Refused only if it was said before.
            let _said = stream.finish();
        }
        (taken, work.finish)
    }

    /// Hands a reader everything that the core can give.
    pub(super) fn pump_recv(&mut self, handle: ConnectionHandle, recv: &Arc<RecvShared>) {
        let Some(mut connection) = self.core.connection(handle) else { return };
        let Some(mut stream) = connection.recv(recv.id) else { return };
        let mut bytes = std::mem::take(&mut self.incoming);
        let mut expected = recv.next_offset();
        let end = loop {
            match stream.read_chunk(usize::MAX) {
                Ok(Some(chunk)) if chunk.offset == expected => {
                    expected = chunk.range().end;
                    bytes.push(chunk.data);
                }
                // What is missing will never come; a reader in order has no use for the rest.
                Ok(Some(chunk)) => {
                    stream.stop(AppCode(0));
                    break Some(RecvEnd::Failed(ReadError::Skipped(expected..chunk.offset)));
                }
                Ok(None) => break Some(RecvEnd::Finished),
                Err(stream::ReadError::Blocked) => break None,
                Err(stream::ReadError::Reset { code, hop }) => {
                    let error = StreamError::of_protocol(code, hop);
                    let error = error.map_or(ReadError::Reset { code, hop }, ReadError::Failed);
                    break Some(RecvEnd::Failed(error));
                }
                Err(stream::ReadError::Stuck(why)) => {
                    let error = StreamError::of_stuck(why);
                    break Some(RecvEnd::Failed(ReadError::Failed(error)));
                }
                Err(_) => break Some(RecvEnd::Failed(ReadError::Stopped)),
            }
        };
        if bytes.is_empty() && end.is_none() {
            self.incoming = bytes;
            return;
        }
        let unread = recv.deliver(&mut bytes, end, expected);
        if unread > 0 {
            stream.release(unread);
        }
        self.incoming = bytes;
    }

    pub(super) fn recv_half(
        &mut self,
        handle: ConnectionHandle,
        id: StreamId,
    ) -> Option<Arc<RecvShared>> {
        self.slot(handle)?.streams.get(&id)?.recv.clone()
    }

    pub(super) fn send_half(
        &mut self,
        handle: ConnectionHandle,
        id: StreamId,
    ) -> Option<Arc<SendShared>> {
        self.slot(handle)?.streams.get(&id)?.send.clone()
    }
}
