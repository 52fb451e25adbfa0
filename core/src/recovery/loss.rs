//! When a packet in flight is lost, and what to do when nothing is heard at all.
//!
//! ```text
//!  a later packet of the path arrived ──▶ lost if the third did, or 9/8 RTT passed (`reorder.rs`)
//!  nothing arrived for a probe timeout ──▶ two probes with content, twice
//!  nor after that ──▶ one PING after another, slower and slower
//!  32 timeouts and 5 s brought nothing ──▶ the peer is lost
//! ```
//!
//! A reliable carrier brings everything, and in order: what is behind a later packet there was
//! refused by the receiver. Silence on it is asked about once, and loses nothing; but it is
//! counted, for another way may be there.
//!
//! Deadlines are computed from what is remembered: when the last packet left, when the last probe
//! timeout fired, how many did.

use core::time::Duration;

use super::ledger::{Flight, MAX_REMEMBERED_LOST};
use super::rate::Stamp;
use super::ring::{Fate, Slot};
use super::settled::{Carriage, Fired, PathOutcome, Settled};
use super::{GRANULARITY, Ledger, Rtt};
use crate::time::{Instant, earliest};
use crate::wire::id::PathId;

/// Packets with content sent for a probe timeout.
pub const PROBE_PACKETS: u8 = 2;

/// Probe timeouts in a row that send content; those after them ask by PING alone.
const CONTENT_PROBES: u32 = 2;

/// Time between two PINGs, at least.
pub const MIN_PING_INTERVAL: Duration = Duration::from_millis(125);

/// Each time so many timeouts fired in vain, the time between PINGs doubles.
const PINGS_TO_DOUBLE: u32 = 32;

/// How many times longer a peer that still speaks may leave everything unacknowledged.
const PATIENCE_WITH_SPEAKERS: u32 = 4;

/// Probe timeouts in vain before the peer may count as lost.
pub const PEER_LOST_PROBES: u32 = 32;

/// Time in vain before the peer may count as lost, unless configured otherwise.
pub const PEER_LOST_AFTER: Duration = Duration::from_secs(5);

/// Probe timeouts (without back-off) for which a lost packet is remembered, and for which packets
/// on a path that is not used any more are waited for.
const LINGER: u32 = 3;

/// But no shorter than this on a reliable carrier, which may be slow and yet bring everything.
const HELD_BACK: Duration = Duration::from_secs(10);

/// A reliable carrier on which nothing is acknowledged is asked after that time, at least.
const ASK_AFTER: Duration = Duration::from_secs(1);

/// Persistent congestion lasts this many probe timeouts (RFC 9002 section 7.6.1).
const PERSISTENT: u32 = 3;

/// The loss timing of one path, as it was when last looked at.
#[derive(Clone, Copy, Debug, Default)]
#[cfg_attr(any(test, feature = "fingerprint"), derive(Hash))]
pub(super) struct LossClock {
    /// When the oldest packet in flight with a later one acknowledged will be lost.
    pub(super) loss_at: Option<Instant>,
    loss_delay: Duration,
    pto: Duration,
    /// The moving average.
    pub(super) rtt: Duration,
}

/// Probe timeouts of the path in use.
#[derive(Clone, Copy, Debug)]
#[cfg_attr(any(test, feature = "fingerprint"), derive(Hash))]
pub(super) struct Probes {
    /// Fired since the last answer.
    count: u32,
    /// When the first of them fired.
    silent_since: Instant,
    /// When the last of them fired.
    fired_at: Instant,
    /// While something is in flight: since when nothing was answered.
    waiting_since: Instant,
    /// When anything authentic came from the peer.
    heard_at: Instant,
    /// Silences since content was last acknowledged: what ended them was the answer to a PING.
    barren: u32,
    /// When the first of them was noticed.
    barren_since: Instant,
    patience: Duration,
}

impl Default for Probes {
    fn default() -> Self {
        Self {
            count: 0,
            silent_since: Instant::ZERO,
            fired_at: Instant::ZERO,
            waiting_since: Instant::ZERO,
            heard_at: Instant::ZERO,
            barren: 0,
            barren_since: Instant::ZERO,
            patience: PEER_LOST_AFTER,
        }
    }
}

impl Probes {
    /// A packet leaves, `alone` if nothing was in flight.
    pub(super) fn on_sent(&mut self, alone: bool, now: Instant) {
        if alone {
            self.waiting_since = now;
        }
    }

    /// How long the next timeout takes (spec R-REC-24, R-REC-25).
    fn wait(&self, pto: Duration) -> Duration {
        if self.count < CONTENT_PROBES {
            return pto.saturating_mul(1 << self.count);
        }
        let doublings = self.count / PINGS_TO_DOUBLE;
        let factor = 1_u32.checked_shl(doublings).unwrap_or(u32::MAX);
        MIN_PING_INTERVAL.max(pto / 2).saturating_mul(factor)
    }

    /// Nothing new was acknowledged for `waited`: whether that is enough to give the peer up. While
    /// it still speaks, the way to it may only be bad (spec R-REC-26).
    fn is_hopeless(&self, waited: Duration, now: Instant) -> bool {
        let silent = now.saturating_since(self.heard_at) >= self.patience;
        waited >= if silent { self.patience } else { self.long_patience() }
    }

    fn long_patience(&self) -> Duration {
        self.patience.saturating_mul(PATIENCE_WITH_SPEAKERS)
    }

    /// A timeout fires. Returns how many did before it.
    fn count_silence(&mut self, now: Instant) -> u32 {
        let before = self.count;
        if before == 0 {
            self.silent_since = now;
        }
        (self.count, self.fired_at) = (before.saturating_add(1), now);
        before
    }

    /// The way in use has broken: that is as good as so many timeouts.
    fn on_broken(&mut self, silences: u32, now: Instant) {
        if self.count == 0 {
            self.silent_since = now;
        }
        (self.count, self.fired_at) = (self.count.max(silences), now);
    }

    /// Nothing was heard for a probe timeout of what is sent again now. The timeout before this one
    /// was at `before`: if that is long ago, those silences were another matter.
    fn on_silence(&mut self, before: Instant, now: Instant) {
        if self.barren == 0 || now.saturating_since(before) >= self.long_patience() {
            (self.barren, self.barren_since) = (0, now);
        }
        self.barren = self.barren.saturating_add(1);
    }

    /// The peer answers, but for so long and so often no answer told of content: the way carries
    /// small packets and nothing else (spec R-REC-26).
    fn is_barren(&self, now: Instant) -> bool {
        self.barren >= PEER_LOST_PROBES
            && now.saturating_since(self.barren_since) >= self.long_patience()
    }

    /// Content has arrived.
    pub(super) const fn on_content(&mut self) {
        self.barren = 0;
    }

    /// The peer acknowledged something new.
    pub(super) fn on_answer(&mut self, now: Instant) {
        self.count = 0;
        self.waiting_since = now;
    }
}

impl Ledger {
    /// Declares packets of `path` lost, after an ACK whose RTT sample `rtt` has already taken.
    ///
    /// Only packets of this path that were sent later and have arrived are proof (spec R-REC-20).
    pub fn detect_losses(&mut self, path: PathId, rtt: &Rtt, out: &mut Settled, now: Instant) {
        let Some(at) = self.flights.iter().position(|flight| flight.path == path) else { return };
        let pto = rtt.pto(self.peer_max_ack_delay);
        if let Some(flight) = self.flights.get_mut(at) {
            flight.clock.loss_delay = flight.reordering.loss_delay(rtt);
            flight.clock.rtt = rtt.smoothed();
            flight.clock.pto = pto;
        }
        self.scan(at, out, now);
        self.ring.trim(MAX_REMEMBERED_LOST, now);
        debug_assert!(self.ring.len() > 256 || self.is_consistent());
    }

    /// When [`Ledger::on_deadline`] wants to be called. `active` is the path in use, `rtt` its
    /// estimate.
    pub fn deadline(&self, active: PathId, rtt: &Rtt) -> Option<Instant> {
        let by_path = self.flights.iter().map(|flight| {
            let loss_at = flight.clock.loss_at.filter(|_| flight.is_timed());
            earliest([loss_at, self.stale_at(flight, active, rtt)])
        });
        earliest(by_path.chain([self.probe_at(active, rtt)]))
    }

    /// Declares lost what time has lost, and says whether to probe. Afterwards
    /// [`Ledger::deadline`] is later than `now`.
    pub fn on_deadline(
        &mut self,
        active: PathId,
        rtt: &Rtt,
        out: &mut Settled,
        now: Instant,
    ) -> Fired {
        for at in 0..self.flights.len() {
            let Some(flight) = self.flights.get(at) else { continue };
            if self.stale_at(flight, active, rtt).is_some_and(|at| at <= now) {
                let path = flight.path;
                sometimes!("recovery: packets on a path left behind are given up");
                self.lose_flying(path, out);
            } else if flight.is_timed() && flight.clock.loss_at.is_some_and(|at| at <= now) {
                self.scan(at, out, now);
            }
        }
        self.ring.trim(MAX_REMEMBERED_LOST, now);
        debug_assert!(self.ring.len() > 256 || self.is_consistent());
        let fired = match self.probe_at(active, rtt) {
            Some(probe_at) if probe_at <= now => self.probe(active, rtt, out, now),
            _ => Fired::Nothing,
        };
        debug_assert!(self.deadline(active, rtt).is_none_or(|next| next > now));
        fired
    }

    /// The carrier of `path` takes nothing for now: until [`Ledger::on_resumed`] its packets are
    /// neither lost nor probed for. What is acknowledged meanwhile counts.
    pub fn on_suspended(&mut self, path: PathId) {
        self.flight_mut(path).suspended = true;
    }

    /// The carrier of `path` takes packets again. Waiting begins anew.
    pub fn on_resumed(&mut self, path: PathId, now: Instant) {
        let flight = self.flight_mut(path);
        if !core::mem::replace(&mut flight.suspended, false) {
            return;
        }
        flight.resumed_at = now;
        if flight.packets > 0 && flight.largest_acked.is_some() {
            flight.clock.loss_at = Some(now + flight.clock.loss_delay.max(GRANULARITY));
        }
        self.probes.waiting_since = now;
    }

    /// Data leaves the path for good or for a while: everything in flight on it is lost, which says
    /// nothing of congestion.
    pub fn abandon(&mut self, path: PathId, out: &mut Settled) {
        self.lose_flying(path, out);
    }

    /// The reliable carrier in use has broken, and there is no other way: everything in flight is
    /// lost, and that counts as so many probe timeouts in a row (spec R-REC-40).
    pub fn on_broken(&mut self, path: PathId, silences: u32, out: &mut Settled, now: Instant) {
        self.lose_flying(path, out);
        self.flight_mut(path).carriage = Carriage::Broken;
        self.probes.on_broken(silences, now);
    }

    /// The path is gone, or its carrier is: everything in flight on it is lost, which says nothing
    /// of congestion, and the ledger forgets the path.
    pub fn declare_lost_all(&mut self, path: PathId, out: &mut Settled) {
        self.lose_flying(path, out);
        self.ring.forget(path);
        self.flights.retain(|flight| flight.path != path);
    }

    /// Something authentic came from the peer, whatever it was: it lives (spec R-REC-26).
    pub const fn on_heard(&mut self, now: Instant) {
        self.probes.heard_at = now;
    }

    /// Sets how long probes may go unanswered, at least, before the peer is lost.
    pub fn set_patience(&mut self, patience: Duration) {
        self.probes.patience = patience;
    }

    /// Probe timeouts on the path in use since the last answer.
    pub const fn unanswered_probes(&self) -> u32 {
        self.probes.count
    }

    /// When the first of them fired; `None` if there are none.
    pub fn silent_since(&self) -> Option<Instant> {
        (self.probes.count > 0).then_some(self.probes.silent_since)
    }

    /// Another path is in use from now on: what was silent was the one before (spec R-REC-37).
    pub fn on_moved(&mut self, to: PathId, now: Instant) {
        let from = core::mem::replace(&mut self.active, to);
        if let Some(left) = self.flights.iter_mut().find(|flight| flight.path == from) {
            left.left_at = (left.packets > 0).then_some(now);
        }
        let taken = self.flight_mut(to);
        (taken.left_at, taken.quiet_since) = (None, now);
        self.probes.on_answer(now);
    }

    /// Walks the packets of a path that are in flight and below its highest acknowledged one.
    fn scan(&mut self, flight: usize, out: &mut Settled, now: Instant) {
        let Some(flight) = self.flights.get_mut(flight) else { return };
        flight.clock.loss_at = None;
        let Some((largest, largest_index)) = flight.largest_acked else { return };
        if !flight.is_ordered() {
            return;
        }
        let until = now + flight.clock.pto * LINGER;
        let mut run = LostRun::new(flight);
        let mut at = self.ring.position(flight.settled_below);
        flight.settled_below = largest;
        loop {
            at = self.ring.open_from(at);
            let Some(slot) = self.ring.get(at).filter(|slot| slot.number < largest) else { break };
            if slot.path != flight.path || slot.fate != Fate::Flying {
                at += 1;
                continue;
            }
            let lost_at = slot.sent_at.max(flight.resumed_at) + flight.clock.loss_delay;
            let refused = flight.carriage == Carriage::Reliable;
            let behind = self.planted.behind(largest_index.saturating_sub(slot.index));
            let far = refused || flight.reordering.is_far(behind);
            if !far && lost_at > now {
                flight.clock.loss_at = earliest([flight.clock.loss_at, Some(lost_at)]);
                flight.settled_below = flight.settled_below.min(slot.number);
                at += 1;
                continue;
            }
            if refused {
                sometimes!("recovery: a packet is lost because its receiver refused it");
            } else if far {
                sometimes!("recovery: a packet is lost because three later ones arrived");
            } else {
                sometimes!("recovery: a packet is lost by time");
            }
            let lost = LostPacket::of(slot);
            self.ring.lose(at, until, now);
            self.ring.give_receipts(at, &mut out.lost);
            self.stats.lost += 1;
            let outcome = out.outcome(flight.path, flight.bytes);
            flight.lose(&lost, outcome);
            if run.extend(&lost) && !outcome.persistent_congestion {
                outcome.persistent_congestion = true;
                sometimes!("recovery: everything was lost for long");
                self.stats.persistent_congestion += 1;
            }
            at += 1;
        }
    }

    /// Everything in flight on `path` is lost, without any meaning for congestion.
    fn lose_flying(&mut self, path: PathId, out: &mut Settled) {
        let mut at = 0;
        loop {
            at = self.ring.open_from(at);
            let Some(slot) = self.ring.get(at) else { break };
            if slot.path == path && slot.fate == Fate::Flying {
                let (size, probe) = (slot.size, slot.mtu_probe);
                self.ring.give_receipts(at, &mut out.lost);
                self.ring.finish(at);
                self.stats.lost += 1;
                self.flight_mut(path).leave(size, probe);
            }
            at += 1;
        }
        if let Some(flight) = self.flights.iter_mut().find(|flight| flight.path == path) {
            (flight.clock.loss_at, flight.left_at) = (None, None);
        }
    }

    /// When packets on a path that is not in use have waited long enough: nothing that would prove
    /// them lost is sent there any more. What a stream holds back longer may come too late for the
    /// receiver's replay window, and nobody would ever hear of it.
    fn stale_at(&self, flight: &Flight, active: PathId, rtt: &Rtt) -> Option<Instant> {
        if flight.path == active || flight.packets == 0 {
            return None;
        }
        let wait = rtt.pto(self.peer_max_ack_delay) * LINGER;
        match flight.carriage {
            Carriage::Broken => None,
            Carriage::Reliable => Some(flight.used_at + wait.max(HELD_BACK)),
            Carriage::Datagrams if flight.suspended => None,
            Carriage::Datagrams => {
                let since = flight.used_at.max(flight.quiet_since).max(flight.resumed_at);
                // Its own round trip may be the longer one.
                let waited = since + wait.max(flight.clock.loss_delay * LINGER);
                earliest([Some(waited), self.passed_by_at(flight, active, rtt)])
            }
        }
    }

    /// When what is in flight on a path that data left is lost, because another path has brought
    /// what was sent after that (spec R-REC-42). A path that still brings something is waited for.
    fn passed_by_at(&self, left: &Flight, active: PathId, rtt: &Rtt) -> Option<Instant> {
        let (left_at, used) = (left.left_at?, self.flight(active)?);
        let passes = |other: &Flight| {
            let beside = other.path != left.path && other.carriage == Carriage::Datagrams;
            beside && other.acked_sent_at >= left_at
        };
        // Before the first answer nothing is known of how long it takes.
        let known = left.largest_acked.is_some() && self.flights.iter().any(passes);
        let delay = used.reordering.loss_delay(rtt).max(left.clock.loss_delay);
        known.then(|| left_at.max(left.quiet_since).max(left.resumed_at) + delay)
    }

    /// When the next probe timeout fires: not while a packet waits to be lost by time
    /// (RFC 9002 section 6.2.1).
    fn probe_at(&self, active: PathId, rtt: &Rtt) -> Option<Instant> {
        let waits = |flight: &&Flight| flight.packets > 0 || flight.carriage == Carriage::Broken;
        let flight = self.flight(active).filter(waits)?;
        if flight.carriage != Carriage::Datagrams {
            let patience = self.stream_patience(rtt);
            return earliest([flight.ask_at(patience), Some(self.hush_at(flight, patience))]);
        }
        if flight.suspended || flight.clock.loss_at.is_some() {
            return None;
        }
        // The peer answers a second packet at once; one that is alone it may leave waiting. Who was
        // silent once may only have had no time.
        let at_once = flight.has_company() && self.probes.count == 0;
        let delay = if at_once { Duration::ZERO } else { self.peer_max_ack_delay };
        let quiet_since = flight.last_sent.max(flight.resumed_at);
        Some(quiet_since.max(self.probes.fired_at) + self.probes.wait(rtt.pto(delay)))
    }

    /// How long a reliable carrier in use may bring no answer.
    fn stream_patience(&self, rtt: &Rtt) -> Duration {
        (rtt.pto(self.peer_max_ack_delay) * LINGER).max(ASK_AFTER)
    }

    /// When a reliable carrier in use counts as silent, once more: also while it takes nothing, for
    /// a dead one is soon full.
    fn hush_at(&self, flight: &Flight, patience: Duration) -> Instant {
        let since = flight.quiet_since.max(flight.resumed_at);
        let last = if self.probes.count > 0 { self.probes.fired_at } else { since };
        since.max(last) + patience
    }

    /// A reliable carrier in use is asked, or is silent, or both (spec R-REC-38, R-REC-39).
    fn ask(&mut self, active: PathId, rtt: &Rtt, now: Instant) -> Fired {
        let patience = self.stream_patience(rtt);
        let Some(flight) = self.flight(active) else { return Fired::Nothing };
        let asks = flight.ask_at(patience).is_some_and(|at| at <= now);
        if self.hush_at(flight, patience) <= now {
            sometimes!("recovery: a stream in use is silent");
            self.probes.count_silence(now);
        }
        self.flight_mut(active).asked |= asks;
        if asks { Fired::Ping } else { Fired::Hush }
    }

    fn probe(&mut self, active: PathId, rtt: &Rtt, out: &mut Settled, now: Instant) -> Fired {
        if self.flight_mut(active).carriage != Carriage::Datagrams {
            return self.ask(active, rtt, now);
        }
        sometimes!("recovery: a probe time-out");
        self.stats.probe_timeouts += 1;
        let waited = now.saturating_since(self.probes.waiting_since);
        let before = self.probes.fired_at;
        if self.probes.count == 0 && self.probes.is_barren(now) {
            self.probes.fired_at = now;
            sometimes!("recovery: a peer that answers is given up");
            let waited = now.saturating_since(self.probes.barren_since);
            return Fired::PeerLost { probes: self.probes.barren, waited };
        }
        if self.probes.count >= PEER_LOST_PROBES && self.probes.is_hopeless(waited, now) {
            self.probes.fired_at = now;
            sometimes!("recovery: a peer is given up");
            return Fired::PeerLost { probes: self.probes.count, waited };
        }
        let count = self.probes.count_silence(now);
        if count >= CONTENT_PROBES {
            sometimes!("recovery: a peer is asked by PING alone");
            return Fired::Ping;
        }
        if self.give_for_probe(out) && count == 0 {
            self.probes.on_silence(before, now);
        }
        Fired::Probe { count: PROBE_PACKETS }
    }

    /// Gives back the receipts of the oldest packets in flight, so that a probe repairs what the
    /// silence may have swallowed. The packets stay in flight. Returns whether there were any.
    fn give_for_probe(&mut self, out: &mut Settled) -> bool {
        let (mut at, mut given) = (0, 0);
        while given < PROBE_PACKETS {
            at = self.ring.open_from(at);
            let Some(slot) = self.ring.get(at) else { break };
            if slot.fate == Fate::Flying && self.ring.give_receipts(at, &mut out.lost) {
                given += 1;
            }
            at += 1;
        }
        given > 0
    }
}

impl Flight {
    /// When a reliable carrier is asked by PING whether it brings anything.
    fn ask_at(&self, patience: Duration) -> Option<Instant> {
        let idle = self.asked || self.suspended || self.carriage == Carriage::Broken;
        (!idle).then(|| self.last_sent.max(self.resumed_at) + patience)
    }

    /// Takes note of a packet that is lost.
    fn lose(&mut self, lost: &LostPacket, outcome: &mut PathOutcome) {
        self.leave(lost.size, lost.mtu_probe);
        let follows = self.next_lost == Some(lost.index);
        if follows || !lost.mtu_probe {
            self.next_lost = Some(lost.index + 1);
        }
        if lost.mtu_probe {
            outcome.mtu_lost = outcome.mtu_lost.max(Some(lost.size));
            return;
        }
        if !follows {
            self.reordering.on_run();
        }
        let sample = self.rate.on_lost(lost.stamp, lost.size);
        outcome.count_lost(lost.size, lost.sent_at, follows, sample);
    }

    /// Whether time says anything about this path's packets now.
    fn is_timed(&self) -> bool {
        self.carriage == Carriage::Datagrams && !self.suspended
    }

    /// Whether their order does.
    fn is_ordered(&self) -> bool {
        self.carriage == Carriage::Reliable || !self.suspended
    }
}

/// What a slot knew of a packet that is lost.
struct LostPacket {
    index: u64,
    sent_at: Instant,
    stamp: Stamp,
    size: u16,
    mtu_probe: bool,
}

impl LostPacket {
    const fn of(slot: &Slot) -> Self {
        let Slot { index, sent_at, stamp, size, mtu_probe, .. } = *slot;
        Self { index, sent_at, stamp, size, mtu_probe }
    }
}

/// Packets lost one after another on a path, with none between that arrived.
struct LostRun {
    /// Only packets sent later than this count.
    after: Option<Instant>,
    long: Duration,
    start: Option<Instant>,
    next_index: u64,
}

impl LostRun {
    fn new(flight: &Flight) -> Self {
        let long = flight.clock.pto * PERSISTENT;
        // What is refused at the end of a stream says nothing of the network.
        let after = flight.first_sample_at.filter(|_| flight.carriage == Carriage::Datagrams);
        Self { after, long, start: None, next_index: 0 }
    }

    /// One more packet is lost. Returns whether the run shows persistent congestion.
    fn extend(&mut self, lost: &LostPacket) -> bool {
        if lost.index != self.next_index {
            self.start = None;
        }
        self.next_index = lost.index + 1;
        if lost.mtu_probe || self.after.is_none_or(|after| lost.sent_at <= after) {
            return false;
        }
        let start = *self.start.get_or_insert(lost.sent_at);
        lost.sent_at.saturating_since(start) > self.long
    }
}
