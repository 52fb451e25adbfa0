//! News for the application: that something may be read, written or has ended. Never the data
//! itself.

use alloc::collections::VecDeque;
use core::net::SocketAddr;

use crate::error::CloseReason;
use crate::stream::Stuck;
use crate::wire::id::{Dir, StreamId};

/// News of a connection.
#[derive(Clone, Debug, PartialEq, Eq)]
#[cfg_attr(any(test, feature = "fingerprint"), derive(Hash))]
#[non_exhaustive]
pub enum EventKind {
    /// The handshake is done; the peer is who `peer()` says.
    Connected,
    /// `accept()` may give a stream.
    StreamAvailable,
    /// A stream may be read. Again only after a read found nothing.
    Readable(StreamId),
    /// A stream takes bytes again. Only after a write took less than it was given.
    Writable(StreamId),
    /// The peer stopped reading.
    Stopped(StreamId),
    /// Every byte and the end of the stream were acknowledged.
    Delivered(StreamId),
    /// More of a stream that reports it was acknowledged (`SendStream::report_acked`).
    Acked(StreamId),
    /// What a stream holds behind a gap comes near its limit: it is granted no more credit, and
    /// asked for what it does not use. Said once of a stream (spec R-STR-41).
    StreamPressure {
        /// The stream.
        stream: StreamId,
        /// Bytes that it holds behind a gap.
        buffered: u64,
        /// What it may hold, in bytes.
        limit: u64,
        /// Ranges that it keeps apart.
        ranges: u64,
        /// How many it may. Whichever is nearer to its limit is meant.
        max_ranges: u64,
    },
    /// This side ended a stream on which nothing moved for too long (spec R-STR-43). It may be gone
    /// already.
    StreamEnded {
        /// The stream.
        stream: StreamId,
        /// Why.
        why: Stuck,
    },
    /// A stream of this kind can be opened. Only after `open()` met the limit.
    Openable(Dir),
    /// A datagram may be read.
    DatagramReceived,
    /// The queue of outgoing datagrams has room again, after one was turned away, was queued in
    /// place of another, or was found to have none.
    DatagramsWritable,
    /// A whole message may be read.
    MessageReceived,
    /// Nothing came back on the path in use for probe timeouts in a row, or it is a TCP connection
    /// that has broken, and no other TCP path is there: who knows another way may make one and say
    /// so by `add_path`. Said when it has broken, and after 2, 4, 8 and so on (spec R-TCP-10,
    /// R-TCP-26).
    PathSilent,
    /// Bytes of a stream stopped coming by UDP, and no TCP path is there. Should UDP die in this
    /// pause, the peer is the first to notice, and cannot dial: who knows another way may make one
    /// now and say so by `add_path` (spec R-TCP-22). Said to who dialled, at most once a minute.
    PathPaused,
    /// Data takes another path: the peer was proven to be at another address, or UDP gave way to
    /// TCP or the other way round.
    PathChanged {
        /// The address now.
        remote: SocketAddr,
    },
    /// The peer says where our packets come from.
    AddressObserved(SocketAddr),
    /// The connection ended; said once. What arrived before can be read until `Drained`.
    Closed(CloseReason),
    /// The handle is dead from now on. Nothing follows.
    Drained,
}

/// News that waits to be taken. The streams' own news are kept by the streams; this queue holds
/// what the connection says of itself, a bounded number of things, each at most once.
#[derive(Clone, Debug, Default)]
#[cfg_attr(any(test, feature = "fingerprint"), derive(Hash))]
pub(crate) struct Events {
    queue: VecDeque<EventKind>,
}

impl Events {
    /// Adds news, unless the same waits already. Of addresses only the newest is news: a peer could
    /// name a new one in every frame.
    pub(crate) fn push(&mut self, event: EventKind) {
        let same = |waiting: &&mut EventKind| match (&event, &**waiting) {
            (EventKind::AddressObserved(_), EventKind::AddressObserved(_))
            | (EventKind::PathChanged { .. }, EventKind::PathChanged { .. }) => true,
            (new, old) => new == old,
        };
        match self.queue.iter_mut().find(same) {
            Some(waiting) => *waiting = event,
            None => self.queue.push_back(event),
        }
    }

    /// Takes the oldest.
    pub(crate) fn pop(&mut self) -> Option<EventKind> {
        self.queue.pop_front()
    }

    /// Whether the oldest is of the end.
    pub(crate) fn ends(&self) -> bool {
        matches!(self.queue.front(), Some(EventKind::Closed(_) | EventKind::Drained))
    }

    /// Whether nothing waits.
    pub(crate) fn is_empty(&self) -> bool {
        self.queue.is_empty()
    }
}
