//! What arrived from the peer, and when to say so.

use core::time::Duration;

use crate::range_set::RangeSet;
use crate::time::{Instant, nanos};
use crate::wire::ack::EcnCounts;
use crate::wire::frame::Frame;
use crate::wire::id::{Ecn, PacketNumber};
use crate::wire::packet::{Allowance, PacketWriter};

/// How long an ACK waits for company, unless configured otherwise.
pub const DEFAULT_MAX_ACK_DELAY: Duration = Duration::from_millis(25);

/// An ACK waits for company no longer than this part of a round trip ...
const RTT_PARTS: u32 = 4;

/// ... but as long as timers are taken to be late by (RFC 9002 section 6.1.2).
const LEAST_ACK_DELAY: Duration = Duration::from_millis(1);

/// Ranges of received numbers that are remembered.
pub const MAX_RECEIVED_RANGES: usize = 256;

/// Packets that elicit an ACK, for which one ACK is due at once.
const ELICITING_PER_ACK: u32 = 2;

/// Bytes of an ACK frame without its further ranges, at most.
const HEAD_LEN: usize = 51;

/// Bytes of each further range, at most, up to gaps of 2^30 packets.
const RANGE_LEN: usize = 8;

/// With so many ranges the peer should learn soon what it need not be told any more.
const MANY_RANGES: usize = 32;

/// And after so many ACKs of which it never said that it has them.
const MANY_ACKS: u32 = 16;

/// A packet that was opened and is no replay.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ReceivedPacket {
    /// Its number.
    pub number: PacketNumber,
    /// Whether it holds a frame that elicits an ACK.
    pub ack_eliciting: bool,
    /// The mark on its IP packet.
    pub ecn: Option<Ecn>,
}

/// Counters of an [`AckTracker`] since the connection began.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[cfg_attr(any(test, feature = "fingerprint"), derive(Hash))]
pub struct AckStats {
    /// Packets taken in.
    pub received: u64,
    /// Of those, below one that came before.
    pub reordered: u64,
    /// ACK frames written.
    pub acks_written: u64,
    /// Packet numbers that were forgotten because the ranges were too many.
    pub numbers_forgotten: u64,
}

impl AckStats {
    /// Takes in what others counted.
    pub(crate) const fn add(&mut self, other: &Self) {
        self.received += other.received;
        self.reordered += other.reordered;
        self.acks_written += other.acks_written;
        self.numbers_forgotten += other.numbers_forgotten;
    }
}

/// Remembers what arrived until the peer knows it (spec R-REC-5 to R-REC-12).
///
/// It guards nothing: whether a number is a replay is decided before, by the packet keys' window. A
/// number that is forgotten here is only never acknowledged (again); the peer then sends its
/// content once more.
///
/// ```
/// use aqueduct_core::recovery::{AckTracker, DEFAULT_MAX_ACK_DELAY, ReceivedPacket};
/// use aqueduct_core::time::Instant;
/// use aqueduct_core::wire::id::PacketNumber;
/// use aqueduct_core::wire::packet::{Allowance, PacketWriter};
///
/// let mut acks = AckTracker::new(DEFAULT_MAX_ACK_DELAY);
/// let packet = |n| ReceivedPacket { number: PacketNumber(n), ack_eliciting: true, ecn: None };
/// acks.on_packet(packet(0), Instant::ZERO);
/// // One packet can wait for company ...
/// assert_eq!(acks.deadline(), Some(Instant::ZERO + DEFAULT_MAX_ACK_DELAY));
/// // ... two cannot.
/// acks.on_packet(packet(1), Instant::ZERO);
/// let (mut buf, mut receipts) = (Vec::new(), Vec::new());
/// let mut writer = PacketWriter::new(&mut buf, 13, 1171, &mut receipts, Allowance::AcksOnly);
/// assert!(acks.write(&mut writer, Instant::ZERO));
/// assert!(!writer.finish().ack_eliciting);
/// assert_eq!(acks.deadline(), None);
/// ```
#[derive(Clone, Debug)]
#[cfg_attr(any(test, feature = "fingerprint"), derive(Hash))]
pub struct AckTracker {
    max_ack_delay: Duration,
    /// A round trip of the path in use, smoothed.
    rtt: Duration,
    /// What arrived and is not known to be known. Always holds `largest`.
    received: RangeSet,
    /// What lies below was told, as arrived or as missing, and was forgotten.
    told_below: u64,
    /// The highest number, and when it came.
    largest: Option<(u64, Instant)>,
    /// The highest number that elicited an ACK.
    largest_eliciting: Option<u64>,
    /// Packets that want an ACK, since the last one was written.
    eliciting: u32,
    /// When the first of them has waited long enough.
    overdue_at: Option<Instant>,
    /// Whether something was seen that does not wait.
    immediate: bool,
    /// Whether anything came since the last ACK was written.
    fresh: bool,
    /// ACKs written since the peer last confirmed one.
    unconfirmed: u32,
    /// The highest number that any ACK has named.
    named: Option<u64>,
    /// What came below `named`, and so is missing in ACKs that are still under way.
    late: [Option<Late>; 2],
    ecn: Option<EcnCounts>,
    stats: AckStats,
}

/// Packets that came below what had been named already: only an ACK of more than `named` is surely
/// younger than they are.
#[derive(Clone, Copy, Debug)]
#[cfg_attr(any(test, feature = "fingerprint"), derive(Hash))]
struct Late {
    lowest: u64,
    named: u64,
}

impl AckTracker {
    /// Nothing has arrived. `max_ack_delay` is what this side's parameters promise.
    pub fn new(max_ack_delay: Duration) -> Self {
        Self {
            max_ack_delay,
            rtt: Duration::MAX,
            received: RangeSet::new(),
            told_below: 0,
            largest: None,
            largest_eliciting: None,
            eliciting: 0,
            overdue_at: None,
            immediate: false,
            fresh: false,
            unconfirmed: 0,
            named: None,
            late: [None; 2],
            ecn: None,
            stats: AckStats::default(),
        }
    }

    /// How long a round trip takes on the path in use, smoothed: that bounds how long the next
    /// packet waits for company (spec R-REC-6).
    pub const fn set_rtt(&mut self, smoothed: Duration) {
        self.rtt = smoothed;
    }

    /// The last packet ended a body that nobody answers on its stream: its sender may wait to hear
    /// that it arrived (spec R-REC-7).
    pub const fn on_end(&mut self) {
        self.immediate = true;
    }

    /// A packet was opened, found to be no replay, and its frames were handled.
    pub fn on_packet(&mut self, packet: ReceivedPacket, now: Instant) {
        let number = packet.number.0;
        self.stats.received += 1;
        let below = self.largest.is_some_and(|(largest, _)| number < largest);
        self.stats.reordered += u64::from(below);
        if packet.ack_eliciting {
            self.immediate |= self.calls_for_ack(number) || packet.ecn == Some(Ecn::Ce);
            self.largest_eliciting = self.largest_eliciting.max(Some(number));
            self.eliciting = self.eliciting.saturating_add(1);
            if self.overdue_at.is_none() {
                self.overdue_at = Some(now + self.delay());
            }
        }
        if !below {
            self.largest = Some((number, now));
        }
        self.received.insert(number..number.saturating_add(1));
        self.note_late(number);
        self.fresh = true;
        if self.received.count() > MAX_RECEIVED_RANGES {
            let lowest = self.received.pop_first().unwrap_or(0..0);
            self.stats.numbers_forgotten += lowest.end - lowest.start;
        }
        self.count(packet.ecn);
    }

    /// The peer acknowledged a packet with an ACK that went up to `largest`: it knows of what lies
    /// below, unless that came later than the ACK left. The highest number of all stays, for every
    /// ACK names it.
    pub fn on_acked(&mut self, largest: PacketNumber) {
        let Some((highest, _)) = self.largest else { return };
        self.unconfirmed = 0;
        while self.late.first().is_some_and(|late| late.is_some_and(|l| largest.0 > l.named)) {
            self.late = [self.late.get(1).copied().flatten(), None];
        }
        let lows = self.late.iter().flatten().map(|late| late.lowest);
        let known = lows.fold(highest.min(largest.0.saturating_add(1)), u64::min);
        self.received.remove(0..known);
        self.told_below = self.told_below.max(known);
    }

    /// Writes an ACK if one is due, or if something new can be said in a packet that goes out
    /// anyway: offer the packet first and, if it is not empty then, again at the end. Returns
    /// whether it wrote.
    ///
    /// What was written must be sent: the next ACK waits for the next packet. Should it be lost on
    /// the way, nothing is forgotten; every ACK repeats what the peer is not known to know.
    pub fn write(&mut self, packet: &mut PacketWriter<'_>, now: Instant) -> bool {
        if !self.is_due(now) && !self.can_ride(packet) {
            return false;
        }
        let Some((_, at)) = self.largest else { return false };
        let delay_us = nanos(now.saturating_since(at)) / 1_000;
        if !packet.write_ack(&self.received, delay_us, self.ecn, MAX_RECEIVED_RANGES) {
            return false;
        }
        self.stats.acks_written += 1;
        self.eliciting = 0;
        self.overdue_at = None;
        self.immediate = false;
        self.fresh = false;
        self.named = self.largest.map(|(number, _)| number);
        self.unconfirmed = self.unconfirmed.saturating_add(1);
        self.ask_for_confirmation(packet);
        true
    }

    /// Writes what is known now into a packet that says farewell, so that `room` bytes are left
    /// (spec R-CLOSE-11). Nothing is owed afterwards, and nothing is asked for.
    pub fn write_last(&mut self, packet: &mut PacketWriter<'_>, room: usize, now: Instant) {
        let left = packet.room().saturating_sub(room + HEAD_LEN);
        let Some((_, at)) = self.largest.filter(|_| left > 0) else { return };
        let delay_us = nanos(now.saturating_since(at)) / 1_000;
        let wrote = packet.write_ack(&self.received, delay_us, self.ecn, 1 + left / RANGE_LEN);
        self.stats.acks_written += u64::from(wrote);
    }

    /// Whether an ACK should go out even if nothing else does.
    pub fn is_due(&self, now: Instant) -> bool {
        self.immediate
            || self.eliciting >= ELICITING_PER_ACK
            || self.overdue_at.is_some_and(|overdue| overdue <= now)
    }

    /// When an ACK that is not due yet will be. `None` while one is: that is for
    /// [`AckTracker::write`].
    pub fn deadline(&self) -> Option<Instant> {
        if self.immediate || self.eliciting >= ELICITING_PER_ACK { None } else { self.overdue_at }
    }

    /// Notes that the deadline has come, if it has.
    pub fn on_deadline(&mut self, now: Instant) {
        self.immediate |= self.is_due(now);
    }

    /// What an ACK would say now.
    pub const fn received(&self) -> &RangeSet {
        &self.received
    }

    /// The highest number received.
    pub fn largest(&self) -> Option<PacketNumber> {
        self.largest.map(|(number, _)| PacketNumber(number))
    }

    /// Marks seen so far; `None` until the first.
    pub const fn ecn_counts(&self) -> Option<EcnCounts> {
        self.ecn
    }

    /// Counters since the connection began.
    pub const fn stats(&self) -> AckStats {
        self.stats
    }

    /// Whether an ACK that is not due can go into a packet that holds something: all of it, for
    /// ranges that are left out would count as told.
    fn can_ride(&self, packet: &PacketWriter<'_>) -> bool {
        let most = HEAD_LEN + RANGE_LEN * self.received.count();
        self.fresh && !packet.is_empty() && most <= packet.room()
    }

    /// How long a packet that comes now waits for company.
    fn delay(&self) -> Duration {
        (self.rtt / RTT_PARTS).max(LEAST_ACK_DELAY).min(self.max_ack_delay)
    }

    /// Whether a packet that elicits an ACK shows reordering or loss: it is below an earlier one,
    /// or above it and something between is missing (RFC 9000 section 13.2.1).
    fn calls_for_ack(&self, number: u64) -> bool {
        // The peer's numbers begin at 0, but nothing says that the first packet elicits.
        let next = self.largest_eliciting.map_or(0, |before| before.saturating_add(1));
        number != next
            && (number < next || !self.received.covers(&(next.max(self.told_below)..number)))
    }

    /// Two generations, so that reordering in every round trip does not keep the first from ending.
    fn note_late(&mut self, number: u64) {
        let Some(named) = self.named.filter(|named| number < *named) else { return };
        let [first, second] = &mut self.late;
        match (first, second) {
            (Some(_), Some(late)) => *late = Late { lowest: late.lowest.min(number), named },
            (Some(_), second) => *second = Some(Late { lowest: number, named }),
            (first, _) => *first = Some(Late { lowest: number, named }),
        }
    }

    fn count(&mut self, mark: Option<Ecn>) {
        let Some(mark) = mark else { return };
        let counts = self.ecn.get_or_insert_default();
        match mark {
            Ecn::Ect0 => counts.ect0 += 1,
            Ecn::Ect1 => counts.ect1 += 1,
            Ecn::Ce => counts.ce += 1,
        }
    }

    /// A side that only receives sends nothing that is acknowledged, and would repeat its ranges
    /// for ever. Now and then it asks (RFC 9000 section 13.2.4).
    fn ask_for_confirmation(&mut self, packet: &mut PacketWriter<'_>) {
        let many = self.received.count() >= MANY_RANGES && self.unconfirmed >= MANY_ACKS;
        let may = packet.allowance() == Allowance::Everything && !packet.ack_eliciting();
        if many && may && packet.write(&Frame::Ping) {
            self.unconfirmed = 0;
        }
    }
}

#[cfg(test)]
#[path = "acks_tests.rs"]
mod tests;
