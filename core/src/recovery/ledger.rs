//! The ledger of sent packets: who went where, and what became of it.
//!
//! ```text
//!                         on_ack                        on_ack, late
//!            ┌──────────────────────────────▶ acked         │
//!   on_sent  │                                        ┌─────▼─────┐
//!  ────────▶ in flight ── too late, or 3 later ─────▶ │   lost    │──▶ forgotten, after a while
//!            │             ones arrived               └───────────┘
//!            └── its carrier is gone ───────▶ lost        counted as spurious
//! ```
//!
//! A packet's receipts leave with its first step out of "in flight", and only then; or before, if
//! its content is sent again as a probe. Flight size is what is in flight, and nothing else.

use alloc::collections::VecDeque;
use alloc::vec::Vec;
use core::ops::Range;
use core::time::Duration;

use smallvec::SmallVec;

use super::rate::RateAccount;
use super::ring::{Entry, Fate, Ring};
use super::settled::{Carriage, LedgerStats, RttSample, SentPacket, Settled, Spurious};
use crate::error::{TransportCode, Violation};
use crate::planted::Planted;
use crate::time::Instant;
use crate::wire::ack::{AckFrame, EcnCounts};
use crate::wire::frame::SentFrame;
use crate::wire::id::{PacketNumber, PathId};

/// Packets with a slot, at most; beyond, the oldest is given up as lost. As many as the largest
/// replay window of a receiver, which would take an older one no more.
pub const MAX_TRACKED_PACKETS: usize = 131_072;

/// Lost packets that are remembered, in case they arrive after all.
pub const MAX_REMEMBERED_LOST: usize = 1_024;

/// Skipped packet numbers that are remembered.
const MAX_SKIPPED: usize = 16;

/// Sent packets of one connection, of all its paths (spec R-REC-13 to R-REC-30).
///
/// Numbers ascend over all paths; everything else is kept by path, for a path says nothing of
/// another.
///
/// ```
/// use core::time::Duration;
///
/// use aqueduct_core::recovery::{Fired, Ledger, Rtt, SentPacket, Settled};
/// use aqueduct_core::time::Instant;
/// use aqueduct_core::wire::frame::SentFrame;
/// use aqueduct_core::wire::id::{PacketNumber, PathId};
///
/// let (path, rtt, now) = (PathId(0), Rtt::new(), Instant::ZERO);
/// let mut ledger = Ledger::new();
/// let packet = SentPacket {
///     number: PacketNumber(0), path, size: 1200, ack_eliciting: true, mtu_probe: false,
/// };
/// ledger.on_sent(packet, &mut vec![SentFrame::MaxData(7)], now);
/// assert_eq!(ledger.in_flight(path), 1200);
///
/// // No ACK comes. In time the ledger asks for a probe, and gives back what should be in it.
/// let mut settled = Settled::default();
/// let deadline = ledger.deadline(path, &rtt).unwrap();
/// let fired = ledger.on_deadline(path, &rtt, &mut settled, deadline);
/// assert_eq!(fired, Fired::Probe { count: 2 });
/// assert_eq!(settled.lost, [SentFrame::MaxData(7)]);
/// ```
#[derive(Clone, Debug)]
#[cfg_attr(any(test, feature = "fingerprint"), derive(Hash))]
pub struct Ledger {
    pub(super) ring: Ring,
    pub(super) flights: SmallVec<[Flight; 2]>,
    next_number: u64,
    largest_acked: Option<u64>,
    skipped: VecDeque<u64>,
    /// The last packet that needed no ACK, which has no slot: number, path, time.
    unlisted: Option<(u64, PathId, Instant)>,
    pub(super) peer_max_ack_delay: Duration,
    /// The path in use.
    pub(super) active: PathId,
    pub(super) probes: super::loss::Probes,
    pub(super) stats: LedgerStats,
    pub(crate) planted: Planted,
}

/// What is under way on one path.
#[derive(Clone, Debug)]
#[cfg_attr(any(test, feature = "fingerprint"), derive(Hash))]
pub(super) struct Flight {
    pub(super) path: PathId,
    pub(super) carriage: Carriage,
    /// Whether its carrier takes nothing at the moment.
    pub(super) suspended: bool,
    /// When it last began to take again; waiting before that proves nothing.
    pub(super) resumed_at: Instant,
    pub(super) bytes: u64,
    pub(super) packets: u32,
    /// How many of them only ask for the size of the path.
    size_probes: u32,
    next_index: u64,
    /// Number and index of the highest acknowledged.
    pub(super) largest_acked: Option<(u64, u64)>,
    /// The index after the packet that was lost last.
    pub(super) next_lost: Option<u64>,
    pub(super) reordering: super::reorder::Reordering,
    /// No packet of this path below is in flight.
    pub(super) settled_below: u64,
    pub(super) last_sent: Instant,
    /// When the last left while the path was in use, or the first of what is in flight there.
    pub(super) used_at: Instant,
    /// When data left for another path, if what was in flight here then still is.
    pub(super) left_at: Option<Instant>,
    /// When the newest packet left that is acknowledged.
    pub(super) acked_sent_at: Instant,
    /// While something is in flight: since when nothing was acknowledged.
    pub(super) quiet_since: Instant,
    /// On a reliable carrier: a PING went out because nothing was acknowledged for long, and
    /// nothing was since.
    pub(super) asked: bool,
    pub(super) first_sample_at: Option<Instant>,
    pub(super) clock: super::loss::LossClock,
    pub(super) rate: RateAccount,
}

impl Flight {
    fn new(path: PathId) -> Self {
        Self {
            path,
            carriage: Carriage::default(),
            suspended: false,
            resumed_at: Instant::ZERO,
            bytes: 0,
            packets: 0,
            size_probes: 0,
            next_index: 0,
            largest_acked: None,
            next_lost: None,
            reordering: super::reorder::Reordering::default(),
            settled_below: 0,
            last_sent: Instant::ZERO,
            used_at: Instant::ZERO,
            left_at: None,
            acked_sent_at: Instant::ZERO,
            quiet_since: Instant::ZERO,
            asked: false,
            first_sample_at: None,
            clock: super::loss::LossClock::default(),
            rate: RateAccount::default(),
        }
    }

    /// Whether the last packet in flight has one before it of which the peer knows: it is
    /// acknowledged at once. What only asks for a size is meant to be lost.
    pub(super) fn has_company(&self) -> bool {
        self.packets > self.size_probes + 1
    }

    /// A packet of it is in flight no more.
    pub(super) fn leave(&mut self, size: u16, mtu_probe: bool) {
        debug_assert!(self.bytes >= u64::from(size) && self.packets > 0);
        self.size_probes = self.size_probes.saturating_sub(mtu_probe.into());
        self.bytes = self.bytes.saturating_sub(u64::from(size));
        self.packets = self.packets.saturating_sub(1);
        if self.packets == 0 {
            self.left_at = None;
        }
    }
}

impl Default for Ledger {
    fn default() -> Self {
        Self::new()
    }
}

impl Ledger {
    /// Nothing was sent.
    pub fn new() -> Self {
        Self {
            ring: Ring::default(),
            flights: SmallVec::new(),
            next_number: 0,
            largest_acked: None,
            skipped: VecDeque::new(),
            unlisted: None,
            peer_max_ack_delay: super::DEFAULT_MAX_ACK_DELAY,
            active: PathId(0),
            probes: super::loss::Probes::default(),
            stats: LedgerStats::default(),
            planted: Planted::default(),
        }
    }

    /// Takes the peer's promise of how long it holds an ACK back, from its parameters: believed up
    /// to 2^14 ms, as in RFC 9000 section 18.2.
    pub fn set_peer_max_ack_delay(&mut self, max_ack_delay: Duration) {
        self.peer_max_ack_delay = max_ack_delay.min(Duration::from_millis(1 << 14));
    }

    /// Says how packets on `path` can vanish. Unsaid, they are datagrams.
    pub fn set_carriage(&mut self, path: PathId, carriage: Carriage) {
        self.flight_mut(path).carriage = carriage;
    }

    /// The lowest number that the next packet may have.
    pub const fn next_number(&self) -> PacketNumber {
        PacketNumber(self.next_number)
    }

    /// A packet was handed to the carrier. Takes `receipts` out; those of a packet that elicits no
    /// ACK are forgotten, since nothing will ever be heard of it.
    pub fn on_sent(&mut self, packet: SentPacket, receipts: &mut Vec<SentFrame>, now: Instant) {
        let number = packet.number.0;
        debug_assert!(number >= self.next_number, "packet numbers ascend");
        for skipped in self.next_number.max(number.saturating_sub(MAX_SKIPPED as u64))..number {
            self.skip(skipped);
        }
        self.next_number = number.saturating_add(1);
        self.stats.packets_sent += 1;
        if !packet.ack_eliciting {
            receipts.clear();
            self.unlisted = Some((number, packet.path, now));
            return;
        }
        self.stats.eliciting_sent += 1;
        self.probes.on_sent(self.flights.iter().all(|flight| flight.packets == 0), now);
        let active = self.active == packet.path;
        let flight = self.flight_mut(packet.path);
        if flight.packets == 0 {
            flight.quiet_since = now;
        }
        if active || flight.packets == 0 {
            flight.used_at = now;
        }
        let stamp = flight.rate.on_sent(flight.bytes, packet.size, now);
        let index = flight.next_index;
        flight.next_index += 1;
        flight.bytes += u64::from(packet.size);
        flight.packets += 1;
        flight.size_probes += u32::from(packet.mtu_probe);
        flight.last_sent = now;
        let SentPacket { path, size, mtu_probe, .. } = packet;
        let entry = Entry { number, path, index, sent_at: now, stamp, size, mtu_probe };
        self.ring.push(entry, receipts);
    }

    /// The peer acknowledges. Gives receipts and outcomes to `out`, which is empty; the owner then
    /// feeds each path's RTT sample to its [`super::Rtt`] and calls [`Ledger::detect_losses`] for
    /// each path in `out`.
    ///
    /// Costs a step for each range and for each packet newly acknowledged, however often a range is
    /// repeated.
    ///
    /// # Errors
    ///
    /// [`TransportCode::AckOfUnsent`] if a number was never sent, or was skipped: the peer
    /// acknowledges what it cannot have seen. Nothing was changed.
    pub fn on_ack(
        &mut self,
        ack: &AckFrame<'_>,
        out: &mut Settled,
        now: Instant,
    ) -> Result<(), Violation> {
        let delay = Duration::from_micros(ack.delay_us);
        self.on_ack_ranges(ack.ranges(), delay, ack.ecn, out, now)
    }

    /// [`Ledger::on_ack`] for half-open ranges from the highest down.
    pub(super) fn on_ack_ranges(
        &mut self,
        ranges: impl Iterator<Item = Range<u64>> + Clone,
        ack_delay: Duration,
        ecn: Option<EcnCounts>,
        out: &mut Settled,
        now: Instant,
    ) -> Result<(), Violation> {
        let Some(largest) = self.check_sent(ranges.clone())? else { return Ok(()) };
        self.stats.acks += 1;
        self.ring.trim(MAX_REMEMBERED_LOST, now);
        let newest = self.largest_acked.is_none_or(|before| largest > before);
        let measured = self.measured(largest, newest, now);
        let mut answered = false;
        for range in ranges {
            let mut at = self.ring.position(range.start);
            loop {
                at = self.ring.open_from(at);
                if self.ring.get(at).is_none_or(|slot| slot.number >= range.end) {
                    break;
                }
                answered |= self.acked(at, out, now);
                at += 1;
            }
        }
        self.largest_acked = self.largest_acked.max(Some(largest));
        if answered {
            self.probes.on_answer(now);
        }
        if out.acked.iter().any(|receipt| !matches!(receipt, SentFrame::Ack { .. })) {
            self.probes.on_content();
        }
        if let Some((path, sent_at)) = measured {
            self.sample_rtt(path, sent_at, ack_delay, out, now);
            if let Some(outcome) = out.paths.iter_mut().find(|outcome| outcome.path == path) {
                outcome.ecn = ecn.filter(|_| newest);
            }
        }
        for outcome in &mut out.paths {
            if let Some(flight) = self.flights.iter_mut().find(|f| f.path == outcome.path) {
                outcome.rate = flight.rate.sample().or(outcome.rate);
            }
        }
        self.give_up_oldest(out, now);
        self.ring.trim(MAX_REMEMBERED_LOST, now);
        debug_assert!(self.ring.len() > 256 || self.is_consistent());
        Ok(())
    }

    /// The application has nothing more to send on `path`, though congestion control would let it:
    /// what is measured until everything in flight is delivered may be less than the path can do.
    pub fn on_app_limited(&mut self, path: PathId) {
        let flight = self.flight_mut(path);
        flight.rate.on_app_limited(flight.bytes);
    }

    /// Whether the application is what limits what is measured on `path` now.
    pub fn is_app_limited(&self, path: PathId) -> bool {
        self.flight(path).is_some_and(|flight| flight.rate.is_app_limited())
    }

    /// Bytes in flight on `path`.
    pub fn in_flight(&self, path: PathId) -> u64 {
        self.flight(path).map_or(0, |flight| flight.bytes)
    }

    /// Packets in flight on `path`.
    pub fn packets_in_flight(&self, path: PathId) -> u32 {
        self.flight(path).map_or(0, |flight| flight.packets)
    }

    /// Whether anything is in flight on any path.
    pub fn has_in_flight(&self) -> bool {
        self.flights.iter().any(|flight| flight.packets > 0)
    }

    /// Whether a packet that was sent is in flight.
    pub(crate) fn is_flying(&self, number: PacketNumber) -> bool {
        let slot = self.ring.get(self.ring.position(number.0));
        slot.is_some_and(|slot| slot.number == number.0 && slot.fate == Fate::Flying)
    }

    /// The highest number that the peer acknowledged: what short packet numbers are relative to.
    pub fn largest_acked(&self) -> Option<PacketNumber> {
        self.largest_acked.map(PacketNumber)
    }

    /// Counters since the connection began.
    pub const fn stats(&self) -> LedgerStats {
        self.stats
    }

    /// Whether the counters say what the slots say: flight size is their sum, path by path.
    pub(crate) fn is_consistent(&self) -> bool {
        self.flights.iter().all(|flight| {
            let flying =
                || self.ring.iter().filter(|s| s.path == flight.path && s.fate == Fate::Flying);
            flight.bytes == flying().map(|slot| u64::from(slot.size)).sum::<u64>()
                && flight.packets as usize == flying().count()
                && flying().all(|slot| slot.number >= flight.settled_below)
        })
    }

    pub(super) fn flight(&self, path: PathId) -> Option<&Flight> {
        self.flights.iter().find(|flight| flight.path == path)
    }

    pub(super) fn flight_mut(&mut self, path: PathId) -> &mut Flight {
        let at = self.flights.iter().position(|flight| flight.path == path);
        let at = at.unwrap_or_else(|| {
            self.flights.push(Flight::new(path));
            self.flights.len() - 1
        });
        #[expect(clippy::indexing_slicing, reason = "found or pushed just above")]
        &mut self.flights[at]
    }

    fn skip(&mut self, number: u64) {
        if self.skipped.len() == MAX_SKIPPED {
            self.skipped.pop_front();
        }
        self.skipped.push_back(number);
    }

    /// The largest number of an ACK, if all of it was sent.
    fn check_sent(
        &self,
        ranges: impl Iterator<Item = Range<u64>>,
    ) -> Result<Option<u64>, Violation> {
        let unsent = |what| Violation::new(TransportCode::AckOfUnsent, what);
        let mut largest = None;
        for range in ranges {
            if range.end > self.next_number {
                return Err(unsent("an acknowledgement of a packet that was never sent"));
            }
            if self.skipped.iter().any(|skipped| range.contains(skipped)) {
                return Err(unsent("an acknowledgement of a packet number that was skipped"));
            }
            largest = largest.max(range.end.checked_sub(1));
        }
        Ok(largest)
    }

    /// Where and when the largest number of an ACK was sent, if it is newly acknowledged.
    fn measured(&self, largest: u64, newest: bool, now: Instant) -> Option<(PathId, Instant)> {
        if let Some((number, path, sent_at)) = self.unlisted
            && number == largest
        {
            return newest.then_some((path, sent_at));
        }
        let slot = self.ring.get(self.ring.position(largest))?;
        let open = slot.number == largest && slot.fate.is_open(now);
        open.then_some((slot.path, slot.sent_at))
    }

    /// The packet at `at`, not done before, is acknowledged. Returns whether that ends a silence:
    /// what a reliable path beside the one in use carried says nothing of that (spec R-REC-37).
    fn acked(&mut self, at: usize, out: &mut Settled, now: Instant) -> bool {
        let Some(slot) = self.ring.get(at) else { return false };
        let (number, path, index, size) = (slot.number, slot.path, slot.index, slot.size);
        let (sent_at, stamp, probe) = (slot.sent_at, slot.stamp, slot.mtu_probe);
        let (fate, open) = (slot.fate, slot.fate.is_open(now));
        if slot.was_repeated() {
            self.probes.on_content();
        }
        self.ring.finish(at);
        // A path that was given up has no flight: then only the slot is let go.
        let flight = self.flights.iter_mut().find(|flight| flight.path == path);
        let Some(flight) = flight.filter(|_| open) else { return false };
        let speaks = match flight.carriage {
            Carriage::Datagrams => true,
            Carriage::Reliable => path == self.active,
            Carriage::Broken => false,
        };
        let outcome = out.outcome(path, flight.bytes);
        flight.largest_acked = flight.largest_acked.max(Some((number, index)));
        flight.asked = false;
        flight.quiet_since = now;
        flight.acked_sent_at = flight.acked_sent_at.max(sent_at);
        flight.rate.on_acked(stamp, (number, size), sent_at, now);
        if let Fate::Lost { at: lost, .. } = fate {
            sometimes!("recovery: a packet that was taken for lost has arrived");
            self.stats.spurious += 1;
            if !probe {
                outcome.spurious.push(Spurious { sent: sent_at, lost });
            }
            let behind = flight.largest_acked.map_or(0, |(_, last)| last.saturating_sub(index));
            let took = now.saturating_since(sent_at);
            flight.reordering.on_spurious(behind, took, flight.clock.rtt);
            return speaks;
        }
        self.stats.acked += 1;
        flight.leave(size, probe);
        outcome.acked_packets += 1;
        outcome.acked_bytes += u64::from(size);
        if outcome.largest_acked <= Some(PacketNumber(number)) {
            outcome.largest_acked = Some(PacketNumber(number));
            outcome.largest_acked_sent = Some(sent_at);
            outcome.app_limited = stamp.app_limited;
        }
        outcome.largest_acked_size = outcome.largest_acked_size.max(Some(size));
        if probe {
            outcome.mtu_acked = outcome.mtu_acked.max(Some(size));
        }
        self.ring.give_receipts(at, &mut out.acked);
        speaks
    }

    /// The largest of an ACK tells the time, if a packet of its path that elicits an ACK is among
    /// the newly acknowledged: only then does the peer answer promptly (RFC 9002 section 5.1).
    fn sample_rtt(
        &mut self,
        path: PathId,
        sent_at: Instant,
        ack_delay: Duration,
        out: &mut Settled,
        now: Instant,
    ) {
        let Some(outcome) = out.paths.iter_mut().find(|outcome| outcome.path == path) else {
            return;
        };
        outcome.rtt = Some(RttSample { latest: now.saturating_since(sent_at), ack_delay });
        self.flight_mut(path).first_sample_at.get_or_insert(now);
    }

    /// Keeps the ring bounded while an old packet of a path that stands still holds its front.
    fn give_up_oldest(&mut self, out: &mut Settled, now: Instant) {
        while self.ring.len() > MAX_TRACKED_PACKETS {
            let Some(slot) = self.ring.get(0) else { return };
            let (path, flying) = (slot.path, slot.fate == Fate::Flying);
            let (size, probe) = (slot.size, slot.mtu_probe);
            self.ring.finish(0);
            if flying {
                self.stats.lost += 1;
                self.ring.give_receipts(0, &mut out.lost);
                self.flight_mut(path).leave(size, probe);
            }
            self.ring.trim(MAX_REMEMBERED_LOST, now);
        }
    }
}

#[cfg(test)]
#[path = "ledger_tests.rs"]
mod tests;
