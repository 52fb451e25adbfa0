//! Unreliable datagrams: bounded queues either way.

use alloc::collections::VecDeque;

use bytes::Bytes;
use thiserror::Error;

use super::delivery::Delivery;
use super::outbox::{Bounds, Outbox};
use crate::error::{TransportCode, Violation};
use crate::flow::{Budget, RecvCredit};
use crate::stream::Priority;
use crate::time::Instant;
use crate::wire::frame::{Frame, SentFrame};
use crate::wire::packet::PacketWriter;

/// Bytes that a queue counts for each datagram beside its payload, so that empty ones are not free.
pub const ITEM_OVERHEAD: u64 = 64;

/// Bytes of a DATAGRAM frame that is the last in its packet, beside the payload.
const FRAME_OVERHEAD: usize = 1;

/// What gives way when a queue is full.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[cfg_attr(any(test, feature = "fingerprint"), derive(Hash))]
pub enum DropRule {
    /// The oldest in the queue: news counts more (voice, positions).
    #[default]
    Oldest,
    /// The newest: the one that comes, unless lower classes wait.
    Newest,
}

/// Bounds of the queues.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[cfg_attr(any(test, feature = "fingerprint"), derive(Hash))]
pub struct DatagramLimits {
    /// Most bytes in the outgoing queue, [`ITEM_OVERHEAD`] included for each.
    pub send_bytes: u64,
    /// Most datagrams in the outgoing queue.
    pub send_count: usize,
    /// Most bytes in the incoming queue, [`ITEM_OVERHEAD`] included for each.
    pub recv_bytes: u64,
    /// Most datagrams in the incoming queue.
    pub recv_count: usize,
    /// Largest payload that is taken, as announced in PARAMS; 0 takes no datagrams at all.
    pub max_size: u64,
    /// What gives way in either queue; on the way out, among those of the lowest class that waits.
    pub rule: DropRule,
}

/// 256 KiB and 1,024 datagrams each way, any size that fits a packet, the oldest give way.
impl Default for DatagramLimits {
    fn default() -> Self {
        Self {
            send_bytes: 256 * 1024,
            send_count: 1024,
            recv_bytes: 256 * 1024,
            recv_count: 1024,
            max_size: 65_527,
            rule: DropRule::Oldest,
        }
    }
}

impl DatagramLimits {
    const fn outgoing(&self) -> Bounds {
        Bounds { bytes: self.send_bytes, count: self.send_count }
    }
}

/// Why a datagram was not queued. Nothing was changed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
#[non_exhaustive]
pub enum SendDatagramError {
    /// The peer takes no datagrams.
    #[error("the peer takes no datagrams")]
    Disabled,
    /// It fits no packet of the present path, or the peer would refuse it.
    #[error("a datagram of {size} bytes is too large: at most {limit} bytes can be sent now")]
    TooLarge {
        /// Its bytes.
        size: usize,
        /// Bytes that can be sent now.
        limit: usize,
    },
    /// It would not fit the empty outgoing queue.
    #[error("a datagram of {size} bytes is larger than the outgoing queue of {limit} bytes")]
    QueueTooSmall {
        /// Its bytes.
        size: usize,
        /// Bytes that the queue takes.
        limit: u64,
    },
}

/// What became of a datagram that was handed in.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Queued {
    /// It waits to be sent.
    Kept,
    /// It waits, and this many older ones were dropped for it.
    InPlaceOf(usize),
    /// It was dropped: the queue was full, or it may not grow any older.
    Dropped,
}

/// What writing a packet did to the outgoing queue.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[expect(clippy::exhaustive_structs, reason = "the two things that somebody may wait for")]
pub struct Written {
    /// A datagram left it.
    pub any: bool,
    /// That made room for whom there was none before; only once to each.
    pub room: bool,
}

/// What became of datagrams, in numbers.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[cfg_attr(any(test, feature = "fingerprint"), derive(Hash))]
pub struct DatagramStats {
    /// Written into a packet.
    pub sent: u64,
    /// Acknowledged by the peer.
    pub acked: u64,
    /// In packets that were declared lost; never sent again.
    pub lost: u64,
    /// Dropped before they were sent: the queue was full.
    pub send_dropped: u64,
    /// Dropped before they were sent: they were too old.
    pub send_expired: u64,
    /// Dropped before they were sent: packets became too small for them.
    pub send_unsendable: u64,
    /// Came, whether or not they were kept.
    pub received: u64,
    /// Came and were dropped: the queue was full.
    pub recv_dropped: u64,
    /// Came and were dropped: the connection's share of the budget was used up.
    pub recv_no_room: u64,
}

impl DatagramStats {
    /// Takes in what others counted.
    pub(crate) const fn add(&mut self, other: &Self) {
        self.sent += other.sent;
        self.acked += other.acked;
        self.lost += other.lost;
        self.send_dropped += other.send_dropped;
        self.send_expired += other.send_expired;
        self.send_unsendable += other.send_unsendable;
        self.received += other.received;
        self.recv_dropped += other.recv_dropped;
        self.recv_no_room += other.recv_no_room;
    }
}

/// Datagrams of one connection, both ways.
#[derive(Clone, Debug)]
#[cfg_attr(any(test, feature = "fingerprint"), derive(Hash))]
pub struct Datagrams {
    limits: DatagramLimits,
    peer_max_size: u64,
    outgoing: Outbox,
    incoming: Queue,
    /// Of each class, whether streams begin the next packet that both could begin.
    streams_first: [bool; 3],
    /// Somebody found the outgoing queue full, and was not told of room since.
    turned_away: bool,
    /// Who was turned away has room by what was too old, and does not know yet.
    room_news: bool,
    stats: DatagramStats,
}

#[derive(Clone, Debug, Default)]
#[cfg_attr(any(test, feature = "fingerprint"), derive(Hash))]
struct Queue {
    items: VecDeque<Bytes>,
    bytes: u64,
}

impl Datagrams {
    /// Empty queues. Until [`Datagrams::set_peer_max_size`] nothing can be sent.
    pub fn new(limits: DatagramLimits) -> Self {
        Self {
            limits,
            peer_max_size: 0,
            outgoing: Outbox::default(),
            incoming: Queue::default(),
            streams_first: [false; 3],
            turned_away: false,
            room_news: false,
            stats: DatagramStats::default(),
        }
    }

    /// What the peer announced in PARAMS: the largest payload that it takes, in bytes; 0 for none.
    pub const fn set_peer_max_size(&mut self, max_size: u64) {
        self.peer_max_size = max_size;
    }

    /// Largest payload that can be sent now, in packets that hold `capacity` bytes of frames;
    /// `None` if the peer takes no datagrams.
    pub fn max_size(&self, capacity: usize) -> Option<usize> {
        let fitting = capacity.checked_sub(FRAME_OVERHEAD)?;
        let taken = usize::try_from(self.peer_max_size).unwrap_or(usize::MAX);
        (taken > 0).then(|| fitting.min(taken))
    }

    /// Queues a datagram for packets that hold `capacity` bytes of frames. An empty one is a
    /// datagram too.
    ///
    /// # Errors
    ///
    /// [`SendDatagramError`]; nothing was changed.
    pub fn send(
        &mut self,
        data: Bytes,
        delivery: Delivery,
        capacity: usize,
        now: Instant,
    ) -> Result<Queued, SendDatagramError> {
        let limit = self.max_size(capacity).ok_or(SendDatagramError::Disabled)?;
        let size = data.len();
        if size > limit {
            return Err(SendDatagramError::TooLarge { size, limit });
        }
        let bounds = self.limits.outgoing();
        if cost(size) > bounds.bytes || bounds.count == 0 {
            return Err(SendDatagramError::QueueTooSmall { size, limit: bounds.bytes });
        }
        let (class, until) = (delivery.priority, delivery.until(now));
        if until.is_some_and(|until| until <= now) {
            self.stats.send_expired += 1;
            self.outgoing.on_dropped(class);
            return Ok(Queued::Dropped);
        }
        if !self.outgoing.fits(size, bounds) {
            self.expire(now);
        }
        if self.outgoing.fits(size, bounds) {
            self.outgoing.push(class, data, until);
            return Ok(Queued::Kept);
        }
        self.turned_away = true;
        let dropped = self.outgoing.make_room(class, size, bounds, self.limits.rule);
        self.stats.send_dropped += dropped.unwrap_or(1);
        let Some(dropped) = dropped else {
            self.outgoing.on_dropped(class);
            return Ok(Queued::Dropped);
        };
        self.outgoing.push(class, data, until);
        Ok(Queued::InPlaceOf(usize::try_from(dropped).unwrap_or(usize::MAX)))
    }

    /// Whether a datagram of this class and `len` bytes can be queued and none of its class or a
    /// higher one must give way, but those that are too old (spec R-MSG-15). If not,
    /// [`Datagrams::write`] or [`Datagrams::on_deadline`] says when there is room. One that can
    /// never be queued needs none.
    pub fn has_room(&mut self, class: Priority, len: usize, now: Instant) -> bool {
        let bounds = self.limits.outgoing();
        if !self.outgoing.has_room(class, len, bounds) {
            self.expire(now);
        }
        let room = self.outgoing.has_room(class, len, bounds);
        self.turned_away |= !room;
        room
    }

    /// Drops what is too old.
    fn expire(&mut self, now: Instant) {
        let expired = self.outgoing.expire(now);
        self.stats.send_expired += expired;
        self.room_news |= expired > 0 && core::mem::take(&mut self.turned_away);
    }

    /// Whether what was too old has made room for whom there was none before; only once to each.
    pub fn take_room_news(&mut self) -> bool {
        core::mem::take(&mut self.room_news)
    }

    /// Whether datagrams of `class` begin the packet that is to be written, where streams of that
    /// class have something to send too (spec R-MSG-12).
    pub fn go_first(&self, class: Priority) -> bool {
        !self.streams_first.get(class as usize).copied().unwrap_or_default()
    }

    /// The others begin the next packet that both could begin.
    pub fn pass_turn(&mut self, class: Priority) {
        self.streams_first.get_mut(class as usize).into_iter().for_each(|first| *first = !*first);
    }

    /// Writes what fits of a class, oldest first. What would not fit an empty packet any more is
    /// dropped.
    pub fn write(&mut self, class: Priority, packet: &mut PacketWriter<'_>) -> Written {
        let mut any = false;
        while let Some(data) = self.outgoing.front(class) {
            let capacity = packet.capacity();
            if packet.write(&Frame::Datagram { data }) {
                self.stats.sent += 1;
            } else if data.len() >= capacity {
                self.stats.send_unsendable += 1;
            } else {
                break;
            }
            self.outgoing.pop(class);
            any = true;
        }
        Written { any, room: any && core::mem::take(&mut self.turned_away) }
    }

    /// When one that waits may be too old to be sent (spec R-MSG-13).
    pub const fn deadline(&self) -> Option<Instant> {
        self.outgoing.deadline()
    }

    /// Drops what is too old ([`Datagrams::take_room_news`] says whom that helps).
    pub fn on_deadline(&mut self, now: Instant) {
        self.expire(now);
    }

    /// How many of each class were dropped for want of room, or as too old, since this was last
    /// asked.
    pub fn take_dropped(&mut self) -> [u64; 3] {
        self.outgoing.take_dropped()
    }

    /// A packet with datagrams of ours arrived.
    pub const fn on_acked(&mut self, frame: &SentFrame) {
        if let SentFrame::Datagram(_) = frame {
            self.stats.acked += 1;
        }
    }

    /// A packet with datagrams of ours was lost: they are counted and not sent again.
    pub const fn on_lost(&mut self, frame: &SentFrame) {
        if let SentFrame::Datagram(_) = frame {
            self.stats.lost += 1;
        }
    }

    /// A datagram came. It is charged to the connection's share as long as it waits; what finds no
    /// room is dropped and counted. Returns whether it waits.
    ///
    /// # Errors
    ///
    /// `TooLarge` if it is larger than what was announced, or none were to come. Nothing changes.
    pub fn on_frame(
        &mut self,
        data: &[u8],
        credit: &mut RecvCredit,
        budget: &mut Budget,
    ) -> Result<bool, Violation> {
        let limits = self.limits;
        if limits.max_size == 0 || data.len() as u64 > limits.max_size {
            let what = "a datagram larger than what was announced";
            return Err(Violation::new(TransportCode::TooLarge, what));
        }
        self.stats.received += 1;
        let cost = cost(data.len());
        if cost > limits.recv_bytes || limits.recv_count == 0 {
            self.stats.recv_dropped += 1;
            return Ok(false);
        }
        while !self.incoming.fits(data.len(), limits.recv_bytes, limits.recv_count) {
            self.stats.recv_dropped += 1;
            if limits.rule == DropRule::Newest {
                return Ok(false);
            }
            self.recv(credit);
        }
        if !credit.try_hold(cost, budget) {
            self.stats.recv_no_room += 1;
            return Ok(false);
        }
        self.incoming.push(Bytes::copy_from_slice(data));
        Ok(true)
    }

    /// The oldest datagram that came; its charge ends.
    pub fn recv(&mut self, credit: &mut RecvCredit) -> Option<Bytes> {
        let data = self.incoming.pop()?;
        credit.unhold(cost(data.len()));
        Some(data)
    }

    /// Whether [`Datagrams::recv`] would give one.
    pub fn is_readable(&self) -> bool {
        !self.incoming.items.is_empty()
    }

    /// Whether something waits to be sent.
    pub fn is_pending(&self) -> bool {
        !self.outgoing.is_empty()
    }

    /// Whether something of `class` waits to be sent.
    pub fn is_pending_of(&self, class: Priority) -> bool {
        self.outgoing.is_pending(class)
    }

    /// Numbers so far.
    pub const fn stats(&self) -> DatagramStats {
        self.stats
    }

    /// Asserts the queues' bounds and sums.
    #[cfg(any(test, feature = "arbitrary", debug_assertions))]
    pub fn check(&self) {
        self.outgoing.check(self.limits.outgoing());
        self.incoming.check(self.limits.recv_bytes, self.limits.recv_count);
    }
}

impl Queue {
    /// Whether `len` more bytes of payload fit a queue of `bytes` and `count`.
    fn fits(&self, len: usize, bytes: u64, count: usize) -> bool {
        self.bytes.saturating_add(cost(len)) <= bytes && self.items.len() < count
    }

    fn push(&mut self, data: Bytes) {
        self.bytes += cost(data.len());
        self.items.push_back(data);
    }

    fn pop(&mut self) -> Option<Bytes> {
        let data = self.items.pop_front()?;
        self.bytes -= cost(data.len());
        Some(data)
    }

    #[cfg(any(test, feature = "arbitrary", debug_assertions))]
    fn check(&self, bytes: u64, count: usize) {
        assert_eq!(self.bytes, self.items.iter().map(|data| cost(data.len())).sum::<u64>());
        assert!(self.bytes <= bytes && self.items.len() <= count, "a queue passed its bounds");
    }
}

/// What a datagram of `len` bytes counts in a queue.
pub(super) const fn cost(len: usize) -> u64 {
    (len as u64).saturating_add(ITEM_OVERHEAD)
}

#[cfg(test)]
#[path = "datagrams_tests.rs"]
mod tests;
