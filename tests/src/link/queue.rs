//! A bottleneck: a transmitter of a certain rate, and a queue before it.

use std::collections::VecDeque;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use aqueduct_core::time::Instant;
use aqueduct_core::wire::id::Ecn;

use super::{Machine, Parcel, copies_itself};
use crate::dice::Dice;

/// How long a queue may be. What is being transmitted is not in it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Room {
    /// So many datagrams.
    Packets(usize),
    /// So many bytes of them.
    Bytes(u64),
}

/// How long each datagram waited in a queue, in microseconds; shared by all copies of the queue.
#[derive(Clone, Debug, Default)]
pub struct Waits(Arc<Mutex<Vec<u32>>>);

impl Waits {
    fn push(&self, time: Duration) {
        let micros = u32::try_from(time.as_micros()).unwrap_or(u32::MAX);
        self.0.lock().unwrap_or_else(PoisonError::into_inner).push(micros);
    }

    /// The time that so many of a hundred did not exceed.
    pub fn percentile(&self, percent: usize) -> Duration {
        let mut waits = self.0.lock().unwrap_or_else(PoisonError::into_inner).clone();
        waits.sort_unstable();
        let at = (waits.len() * percent / 100).min(waits.len().saturating_sub(1));
        Duration::from_micros(waits.get(at).copied().unwrap_or(0).into())
    }
}

/// A rate and a drop-tail queue.
#[derive(Clone, Debug)]
pub struct Queue {
    /// Bytes a second, counted with [`Queue::overhead`].
    pub rate: u64,
    /// What waits at most.
    pub room: Room,
    /// Bytes that a datagram takes on the wire beside its own, as of IP and UDP.
    pub overhead: u64,
    /// With more datagrams than this waiting, a mark is set where one may be.
    pub mark_above: Option<usize>,
    /// Datagrams that found the queue full.
    pub overflowed: u64,
    /// The most datagrams that waited.
    pub longest: usize,
    /// How long each waited, if that was asked for.
    pub waits: Option<Waits>,
    /// When what is in here leaves, with its bytes; the first is being transmitted.
    leaving: VecDeque<(Instant, u64)>,
    /// All of their bytes.
    bytes: u64,
}

impl Queue {
    /// So many bytes a second, and room for so many datagrams that wait.
    pub fn packets(rate: u64, packets: usize) -> Self {
        Self::new(rate, Room::Packets(packets))
    }

    /// So many bytes a second, and room for so many bytes that wait.
    pub fn bytes(rate: u64, bytes: u64) -> Self {
        Self::new(rate, Room::Bytes(bytes))
    }

    fn new(rate: u64, room: Room) -> Self {
        let (overhead, mark_above, overflowed, longest) = (0, None, 0, 0);
        let (waits, leaving) = (None, VecDeque::new());
        Self { rate, room, overhead, mark_above, overflowed, longest, waits, leaving, bytes: 0 }
    }

    /// Notes how long each datagram waits.
    #[must_use]
    pub fn noting(mut self, waits: &Waits) -> Self {
        self.waits = Some(waits.clone());
        self
    }

    /// Marks what comes while more than so many wait (RFC 3168, by queue length).
    #[must_use]
    pub fn marking_above(mut self, packets: usize) -> Self {
        self.mark_above = Some(packets);
        self
    }

    /// Counts so many bytes more for every datagram.
    #[must_use]
    pub fn with_overhead(mut self, bytes: u64) -> Self {
        self.overhead = bytes;
        self
    }

    fn has_room(&self, waiting: usize, len: u64) -> bool {
        match self.room {
            // What finds the transmitter idle does not wait.
            _ if self.leaving.is_empty() => true,
            Room::Packets(most) => waiting < most,
            Room::Bytes(most) => {
                let first = self.leaving.front().map_or(0, |(_, len)| *len);
                self.bytes - first + len <= most
            }
        }
    }
}

impl Machine for Queue {
    fn pass(&mut self, mut parcel: Parcel, _: &mut Dice, out: &mut Vec<Parcel>) {
        while self.leaving.front().is_some_and(|(at, _)| *at <= parcel.at) {
            self.bytes -= self.leaving.pop_front().map_or(0, |(_, len)| len);
        }
        let waiting = self.leaving.len().saturating_sub(1);
        self.longest = self.longest.max(waiting);
        let len = parcel.bytes.len() as u64 + self.overhead;
        if !self.has_room(waiting, len) {
            self.overflowed += 1;
            return;
        }
        if self.mark_above.is_some_and(|most| waiting > most) && parcel.ecn.is_some() {
            parcel.ecn = Some(Ecn::Ce);
        }
        let free = self.leaving.back().map_or(parcel.at, |(at, _)| *at);
        if let Some(waits) = &self.waits {
            waits.push(free.saturating_since(parcel.at));
        }
        let takes = u128::from(len) * 1_000_000_000 / u128::from(self.rate.max(1));
        parcel.at = free + Duration::from_nanos(takes as u64);
        self.leaving.push_back((parcel.at, len));
        self.bytes += len;
        out.push(parcel);
    }

    copies_itself!();
}
