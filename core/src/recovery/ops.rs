//! A sender and a receiver over a link that loses, holds back and reorders, for explorers.
//!
//! [`Op`]s come from a fuzzer or a property test. After each one the invariants of the room are
//! asserted; at the end the link is made whole, and everything must come to rest.

use alloc::collections::VecDeque;
use alloc::vec::Vec;
use core::ops::Range;
use core::time::Duration;

use arbitrary::Arbitrary;

use super::{
    AckTracker, DEFAULT_MAX_ACK_DELAY, Fired, Ledger, ReceivedPacket, Rtt, SentPacket, Settled,
};
use crate::range_set::RangeSet;
use crate::time::Instant;
use crate::wire::frame::{Frame, SentFrame, frames};
use crate::wire::id::{PacketNumber, PathId};
use crate::wire::packet::{Allowance, PacketWriter};

const PATH: PathId = PathId(0);

/// One thing that happens.
#[derive(Arbitrary, Clone, Copy, Debug, PartialEq, Eq)]
pub enum Op {
    /// The sender sends something new, or what was lost.
    Send,
    /// The sender sends a packet that elicits no ACK.
    SendBare,
    /// Of the packets under way, one of the oldest arrives.
    Arrive(u8),
    /// Of the packets under way, one of the oldest is lost.
    Drop(u8),
    /// The receiver may send.
    Answer,
    /// Of the ACKs under way, one of the oldest arrives.
    ArriveAck(u8),
    /// Of the ACKs under way, one of the oldest is lost.
    DropAck(u8),
    /// The peer learns that an ACK of the receiver's arrived.
    Confirm(u8),
    /// So many times 100 us pass, and what is due is handled.
    Wait(u8),
}

/// Both ends and what is between them. Time is only what [`Op::Wait`] says.
#[derive(Clone, Debug)]
pub struct Link {
    ledger: Ledger,
    acks: AckTracker,
    rtt: Rtt,
    now: Instant,
    settled: Settled,
    /// Contents to be sent, new or again.
    to_send: VecDeque<u64>,
    next_content: u64,
    delivered: RangeSet,
    /// Contents whose receipt is in the ledger.
    out: RangeSet,
    data: VecDeque<(u64, Option<u64>)>,
    answers: VecDeque<Vec<u8>>,
    confirmable: VecDeque<PacketNumber>,
    arrived: RangeSet,
    numbers: u64,
}

/// Runs `ops` and brings the link to rest.
///
/// # Panics
///
/// If an invariant of the room does not hold.
pub fn run(ops: &[Op]) {
    let mut link = Link::new();
    ops.iter().for_each(|op| link.step(*op));
    link.rest();
}

impl Default for Link {
    fn default() -> Self {
        Self::new()
    }
}

impl Link {
    /// Nothing was sent.
    pub fn new() -> Self {
        let mut ledger = Ledger::new();
        ledger.set_patience(Duration::MAX);
        Self {
            ledger,
            acks: AckTracker::new(DEFAULT_MAX_ACK_DELAY),
            rtt: Rtt::new(),
            now: Instant::from_nanos(1),
            settled: Settled::default(),
            to_send: VecDeque::new(),
            next_content: 0,
            delivered: RangeSet::new(),
            out: RangeSet::new(),
            data: VecDeque::new(),
            answers: VecDeque::new(),
            confirmable: VecDeque::new(),
            arrived: RangeSet::new(),
            numbers: 0,
        }
    }

    /// Does one thing and checks.
    ///
    /// # Panics
    ///
    /// If an invariant of the room does not hold.
    pub fn step(&mut self, op: Op) {
        match op {
            Op::Send => self.send(),
            Op::SendBare => self.send_bare(),
            Op::Arrive(at) => {
                let packet = take(&mut self.data, at);
                packet.into_iter().for_each(|(number, content)| self.arrive(number, content));
            }
            Op::Drop(at) => _ = take(&mut self.data, at),
            Op::Answer => self.answer(),
            Op::ArriveAck(at) => {
                let packet = take(&mut self.answers, at);
                packet.into_iter().for_each(|bytes| self.on_answer(&bytes));
            }
            Op::DropAck(at) => _ = take(&mut self.answers, at),
            Op::Confirm(at) => {
                let largest = take(&mut self.confirmable, at);
                largest.into_iter().for_each(|largest| self.acks.on_acked(largest));
            }
            Op::Wait(ticks) => self.wait(Duration::from_micros(100) * u32::from(ticks)),
        }
        self.check();
    }

    /// Nothing is lost any more: everything is delivered, and both ends fall silent.
    ///
    /// # Panics
    ///
    /// If they do not.
    pub fn rest(&mut self) {
        for _ in 0..1_000 {
            while !self.to_send.is_empty() {
                self.send();
            }
            while !self.data.is_empty() {
                self.step(Op::Arrive(0));
            }
            self.step(Op::Answer);
            while !self.answers.is_empty() {
                self.step(Op::ArriveAck(0));
            }
            let wishes = [self.acks.deadline(), self.ledger.deadline(PATH, &self.rtt)];
            match crate::time::earliest(wishes) {
                Some(at) => self.wait(at.saturating_since(self.now)),
                None if self.to_send.is_empty() => break,
                None => {}
            }
        }
        assert!(!self.ledger.has_in_flight() && self.to_send.is_empty(), "it never rests");
        assert_eq!(self.delivered.len(), self.next_content, "something never arrived");
        assert_eq!(self.ledger.deadline(PATH, &self.rtt), None);
    }

    fn number(&mut self) -> PacketNumber {
        self.numbers += 1;
        let skip = u64::from(self.numbers.is_multiple_of(13));
        PacketNumber(self.ledger.next_number().0 + skip)
    }

    fn send(&mut self) {
        let content = self.to_send.pop_front().unwrap_or_else(|| {
            self.next_content += 1;
            self.next_content - 1
        });
        assert_eq!(self.out.insert(one(content)), 1, "{content} is under way already");
        let number = self.number();
        let packet =
            SentPacket { number, path: PATH, size: 1200, ack_eliciting: true, mtu_probe: false };
        let mut receipts = Vec::from([SentFrame::MaxData(content)]);
        self.ledger.on_sent(packet, &mut receipts, self.now);
        self.data.push_back((number.0, Some(content)));
    }

    fn send_bare(&mut self) {
        let number = self.number();
        let packet =
            SentPacket { number, path: PATH, size: 60, ack_eliciting: false, mtu_probe: false };
        self.ledger.on_sent(packet, &mut Vec::new(), self.now);
        self.data.push_back((number.0, None));
    }

    fn arrive(&mut self, number: u64, content: Option<u64>) {
        self.arrived.insert(one(number));
        self.delivered.insert(content.map_or(0..0, one));
        let number = PacketNumber(number);
        let packet = ReceivedPacket { number, ack_eliciting: content.is_some(), ecn: None };
        self.acks.set_rtt(self.rtt.smoothed());
        self.acks.on_packet(packet, self.now);
    }

    fn answer(&mut self) {
        let (mut buf, mut receipts) = (Vec::new(), Vec::new());
        let allowance = Allowance::AcksOnly;
        let mut packet = PacketWriter::new(&mut buf, 0, 1171, &mut receipts, allowance);
        let due = self.acks.is_due(self.now);
        assert_eq!(self.acks.write(&mut packet, self.now), due);
        if packet.finish().len > 0 {
            self.answers.push_back(buf);
        }
        assert!(!self.acks.is_due(self.now));
    }

    fn on_answer(&mut self, bytes: &[u8]) {
        for frame in frames(bytes) {
            let Ok(Frame::Ack(ack)) = frame else { continue };
            assert!(ack.ranges().all(|range| self.arrived.covers(&range)));
            self.confirmable.push_back(ack.largest);
            self.settled.clear();
            let taken = self.ledger.on_ack(&ack, &mut self.settled, self.now);
            assert_eq!(taken, Ok(()), "an honest ACK is refused");
            for sample in self.settled.paths.iter().filter_map(|outcome| outcome.rtt) {
                self.rtt.on_sample(sample.latest, sample.ack_delay, DEFAULT_MAX_ACK_DELAY);
            }
            self.ledger.detect_losses(PATH, &self.rtt, &mut self.settled, self.now);
            self.settle();
        }
    }

    fn wait(&mut self, by: Duration) {
        self.now = self.now + by;
        self.acks.on_deadline(self.now);
        if self.ledger.deadline(PATH, &self.rtt).is_some_and(|at| at <= self.now) {
            self.settled.clear();
            let fired = self.ledger.on_deadline(PATH, &self.rtt, &mut self.settled, self.now);
            let bare = self.settled.lost.is_empty();
            self.settle();
            match fired {
                Fired::Ping => self.send(),
                Fired::Probe { count } if bare => (0..count).for_each(|_| self.send()),
                Fired::Probe { .. } | Fired::Hush | Fired::Nothing => {}
                Fired::PeerLost { .. } => assert!(self.now.as_nanos() > u64::MAX / 2),
            }
        }
    }

    fn settle(&mut self) {
        let Settled { acked, lost, .. } = core::mem::take(&mut self.settled);
        for receipt in acked.iter().chain(&lost) {
            let SentFrame::MaxData(content) = receipt else { continue };
            assert_eq!(self.out.remove(one(*content)), 1, "{content} came back twice");
        }
        for receipt in &acked {
            let SentFrame::MaxData(content) = receipt else { continue };
            assert!(self.delivered.covers(&one(*content)), "{content} never arrived");
        }
        let again = lost.iter().filter_map(|receipt| match receipt {
            SentFrame::MaxData(content) => Some(*content),
            _ => None,
        });
        self.to_send.extend(again);
    }

    fn check(&self) {
        assert!(self.ledger.is_consistent());
        assert!(self.acks.received().count() <= super::MAX_RECEIVED_RANGES);
        assert!(self.acks.deadline().is_none_or(|at| at > self.now || self.acks.is_due(self.now)));
        let stats = self.ledger.stats();
        let in_flight = u64::from(self.ledger.packets_in_flight(PATH));
        assert_eq!(stats.eliciting_sent, stats.acked + stats.lost + in_flight);
        assert!(self.out.len() <= in_flight);
    }
}

const fn one(value: u64) -> Range<u64> {
    value..value + 1
}

fn take<T>(queue: &mut VecDeque<T>, at: u8) -> Option<T> {
    let at = usize::from(at) % 8;
    queue.remove(at.min(queue.len().checked_sub(1)?))
}

#[cfg(test)]
#[path = "ops_tests.rs"]
mod tests;
