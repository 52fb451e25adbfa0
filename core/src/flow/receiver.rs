//! A receiving connection with its streams, for what explores this room.

#![expect(clippy::expect_used, clippy::indexing_slicing, reason = "a harness says no by panicking")]

use alloc::collections::BTreeMap;
use alloc::vec::Vec;

use super::*;
use crate::error::Violation;
use crate::fingerprint::Fingerprint;
use crate::time::Instant;
use crate::wire::frame::SentFrame;
use crate::wire::id::{CreditTarget, Dir, Side, StreamId};
use crate::wire::packet::{Allowance, PacketWriter};

/// The test's connection is the responder's end.
const SIDE: Side = Side::Responder;

#[derive(Clone, Debug)]
pub(super) struct Receiver {
    pub(super) budget: Budget,
    pub(super) connection: RecvCredit,
    pub(super) streams: BTreeMap<StreamId, StreamCredit>,
    pub(super) now: Instant,
    /// Shares that somebody else took.
    others: Vec<Share>,
}

/// A stream that the peer opens.
pub(super) const fn peer(dir: Dir, sequence: u64) -> StreamId {
    StreamId::new(Side::Initiator, dir, sequence)
}

/// A stream that the connection opens.
#[cfg(test)]
pub(super) const fn own(sequence: u64) -> StreamId {
    StreamId::new(SIDE, Dir::Bi, sequence)
}

#[cfg(test)]
pub(super) const fn at(ms: u64) -> Instant {
    Instant::from_nanos(ms * 1_000_000)
}

/// What `write` puts into a packet of 1,000 bytes, by its receipts.
pub(super) fn receipts(write: impl FnOnce(&mut PacketWriter<'_>)) -> Vec<SentFrame> {
    let (mut buf, mut receipts) = (Vec::new(), Vec::new());
    let mut packet = PacketWriter::new(&mut buf, 0, 1000, &mut receipts, Allowance::Everything);
    write(&mut packet);
    let _ = packet.finish();
    receipts
}

fn print(receiver: &Receiver) -> [u8; 32] {
    (&receiver.budget, &receiver.connection, &receiver.streams).fingerprint()
}

impl Receiver {
    pub(super) fn usual() -> Self {
        Self::with(Budget::new(BudgetLimits::default()), RecvLimits::default())
    }

    /// A floor of the usual size, and a pool of which nothing is left.
    pub(super) fn poor() -> Self {
        let limits = BudgetLimits::new(4 * FLOOR, 2).expect("fits");
        let mut receiver = Self::with(Budget::new(limits), RecvLimits::default());
        assert_eq!(receiver.connection.share().size(), FLOOR);
        receiver.others.extend(receiver.budget.drain());
        receiver.check();
        receiver
    }

    /// Somebody else gives back what they took.
    pub(super) fn enrich(&mut self) {
        for share in self.others.drain(..) {
            self.budget.close(share);
        }
    }

    pub(super) fn with(mut budget: Budget, limits: RecvLimits) -> Self {
        let share = budget.open().expect("a place");
        let connection = RecvCredit::new(share, SIDE, limits);
        Self {
            budget,
            connection,
            streams: BTreeMap::new(),
            now: Instant::ZERO,
            others: Vec::new(),
        }
    }

    pub(super) fn check(&self) {
        self.connection.check(self.streams.values());
        self.budget.check(self.others.iter().chain([self.connection.share()]));
    }

    pub(super) fn stream(&self, id: StreamId) -> &StreamCredit {
        &self.streams[&id]
    }

    pub(super) fn open(&mut self, id: StreamId) -> StreamId {
        let stream = self.connection.open_peer(id).expect("allowed");
        self.streams.insert(id, stream);
        self.check();
        id
    }

    pub(super) fn data(&mut self, id: StreamId, end: u64) -> Result<u64, Violation> {
        let now = self.now;
        self.on(id, |s, c, b| s.on_data(end, c, b, now))
    }

    pub(super) fn finish(&mut self, id: StreamId, size: u64) -> Result<(), Violation> {
        let now = self.now;
        self.on(id, |s, c, b| s.on_final(size, c, b, now))
    }

    pub(super) fn release(&mut self, id: StreamId, n: u64) {
        let now = self.now;
        self.on(id, |s, c, b| s.release(n, c, b, now));
    }

    pub(super) fn abandon(&mut self, id: StreamId) {
        self.on(id, |s, c, _| s.abandon(c));
    }

    pub(super) fn request(&mut self, id: StreamId, end: u64) {
        self.on(id, |s, c, b| s.request(end, c, b));
    }

    pub(super) fn fix(&mut self, id: StreamId, window: u64) {
        self.on(id, |s, c, b| {
            s.set_window(Window::Fixed(window), c, b);
            s.request(window, c, b);
        });
    }

    pub(super) fn blocked(&mut self, id: StreamId, limit: u64) {
        self.on(id, |s, c, b| s.on_blocked(limit, c, b));
    }

    pub(super) fn returned(&mut self, target: CreditTarget, total: u64) -> Result<(), Violation> {
        match target {
            CreditTarget::Stream(id) => self.on(id, |s, c, b| s.on_returned(total, c, b)),
            _ => {
                let outcome = self.connection.on_returned(target, total, &mut self.budget);
                self.check();
                outcome
            }
        }
    }

    pub(super) fn ask_back(&mut self, amount: u64) {
        self.connection.ask_back(amount, self.streams.values_mut(), &mut self.budget);
        self.check();
    }

    pub(super) fn retire(&mut self, id: StreamId) {
        let stream = self.streams.remove(&id).expect("open");
        self.connection.retire(stream, &mut self.budget);
        self.check();
    }

    /// The stream decides its window again.
    pub(super) fn auto(&mut self, id: StreamId) {
        self.on(id, |s, c, b| s.set_window(Window::Auto, c, b));
    }

    /// A verb that must be refused, and change nothing.
    pub(super) fn wrong(
        &mut self,
        id: StreamId,
        verb: impl FnOnce(&mut StreamCredit, &mut RecvCredit, &mut Budget, Instant) -> bool,
    ) {
        let (before, now) = (self.clone(), self.now);
        assert!(self.on(id, |s, c, b| verb(s, c, b, now)), "a wrong peer was believed");
        assert_eq!(print(self), print(&before), "a wrong peer changed something");
    }

    pub(super) fn on<T>(
        &mut self,
        id: StreamId,
        verb: impl FnOnce(&mut StreamCredit, &mut RecvCredit, &mut Budget) -> T,
    ) -> T {
        let stream = self.streams.get_mut(&id).expect("open");
        let outcome = verb(stream, &mut self.connection, &mut self.budget);
        self.check();
        outcome
    }
}

/// What only tests of single verbs need.
#[cfg(test)]
impl Receiver {
    pub(super) fn open_own(&mut self, id: StreamId) -> bool {
        let stream = self.connection.open_own(id, &mut self.budget);
        let opened = stream.is_some();
        self.streams.extend(stream.map(|stream| (id, stream)));
        self.check();
        opened
    }

    pub(super) fn max_ranges(&mut self, id: StreamId, now: u64) -> u64 {
        self.on(id, |s, c, b| s.max_ranges(now, 1, c, b))
    }

    /// What the connection writes now.
    pub(super) fn wrote(&mut self) -> Vec<SentFrame> {
        receipts(|packet| self.connection.write(packet))
    }

    /// What a stream writes now.
    pub(super) fn written(&mut self, id: StreamId) -> Vec<SentFrame> {
        let stream = self.streams.get_mut(&id).expect("open");
        receipts(|packet| stream.write(packet))
    }

    pub(super) fn lost(&mut self, id: StreamId, frame: &SentFrame) {
        self.on(id, |s, _, _| s.on_lost(frame));
    }

    pub(super) fn acked(&mut self, id: StreamId, frame: &SentFrame) {
        self.on(id, |s, _, _| s.on_acked(frame));
    }

    /// Everything pending is written and acknowledged.
    pub(super) fn settle(&mut self) {
        let now = self.now;
        for frame in self.wrote() {
            self.connection.on_acked(&frame, now);
        }
        for stream in self.streams.values_mut() {
            for frame in receipts(|packet| stream.write(packet)) {
                stream.on_acked(&frame);
            }
        }
    }
}
