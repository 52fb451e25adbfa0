//! One way to the peer, and the choice between ways.
//!
//! A *carrier* is a socket of the driver. A [`Path`] is one way over it: local address, remote
//! address, and everything that is true of that way only: its round-trip time, its congestion
//! window, its pacer, the packet size it carries, whether it carries ECN marks, whether the peer
//! was shown to be at its other end. [`Paths`] is the handful of ways of one connection, of which
//! one is active.
//!
//! ```text
//!                      packet with the highest number, from elsewhere
//!            ┌──────────────────────────────────────────────────────┐
//!        ┌───┴────┐  challenge to both   ┌───────────┐  response  ┌─▼──────┐
//!   ───▶ │ active │ ───────────────────▶ │ candidate │ ─────────▶ │ active │
//!        └───┬────┘                      └─────┬─────┘            └────────┘
//!            │ is now                          │ no answer in 3 PTO,
//!            ▼                                 ▼ or the active path speaks again
//!        ┌──────────┐  3 PTO of silence     dropped
//!        │ previous │ ──────────────────────▶
//!        └──────────┘
//! ```
//!
//! Until a candidate is validated data stays on the active path, and no more than three times what
//! came from the candidate goes there. So somebody who copies packets to another address moves
//! nothing.
//!
//! What may be sent is decided in one place: [`Paths::budget`]. It asks the amplification limit,
//! the congestion window and the pacer, and says how many datagrams of which size may leave and
//! what held back more. The parts that write frames never ask.
//!
//! What became of packets comes back as the ledger's `PathOutcome`, one for each path: first
//! [`Path::on_rtt_sample`], then [`Path::on_outcome`].
//!
//! A path over a reliable carrier (TCP) has none of this: no loss, no window, no pacing, no
//! probing. [`Deframer`] cuts datagrams out of its byte stream. A connection may have both kinds:
//! `detour.rs` says when data moves between them.
//!
//! Rules and numbers: spec `09-path.md` (R-PATH) and `12-tcp.md` (R-TCP).

mod amplification;
mod asked;
mod budget;
mod deframe;
mod detour;
mod ecn;
mod mtu;
mod observed;
#[cfg(any(test, feature = "arbitrary"))]
pub mod ops;
mod packet_sizes;
mod paths;
mod source;
mod validation;

use core::time::Duration;

use crate::congestion::{Acked, Algorithm, Congestion, CongestionConfig, Lost, Pacer, WindowUse};
use crate::recovery::{PathOutcome, RateSample, Rtt, RttSample};
use crate::time::Instant;
use crate::wire::ack::EcnCounts;
use crate::wire::id::{CarrierId, Ecn, PathId};
use crate::wire::packet::Allowance;

use asked::Asked;

pub use amplification::Amplification;
pub use budget::{Budget, LimitedBy, MAX_BATCH, MAX_BATCH_BYTES, Need};
pub use deframe::{DeframeError, Deframer, MAX_FRAME, frame_header};
pub(crate) use detour::SILENT_PROBES;
pub use ecn::{EcnState, EcnValidation};
pub use mtu::{BASE_SIZE, PacketSize, RETRY_AFTER, SizeChange};
pub use observed::Observed;
pub use packet_sizes::{MAX_DATAGRAM, PacketSizes};
pub use paths::{Arrival, CarrierLoss, MAX_PATHS, PathEvent, Paths, Seen};
pub use source::{CarrierKind, Source};
pub use validation::Validation;

/// What the paths of a connection start from.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[cfg_attr(any(test, feature = "fingerprint"), derive(Hash))]
pub struct PathConfig {
    /// The congestion controller.
    pub congestion: CongestionConfig,
    /// How exactly the driver keeps a deadline: pacing is rounded up to it. Not zero.
    pub timer_granularity: Duration,
    /// The largest datagrams that are tried: [`BASE_SIZE`] at least.
    pub packets: PacketSizes,
    /// `Testing` where the driver can mark packets, else `Off`.
    pub ecn: EcnState,
}

impl Default for PathConfig {
    fn default() -> Self {
        Self {
            congestion: CongestionConfig::default(),
            timer_granularity: Duration::from_millis(1),
            packets: PacketSizes::default(),
            ecn: EcnState::Testing,
        }
    }
}

/// One way to the peer.
#[derive(Clone, Debug)]
#[cfg_attr(any(test, feature = "fingerprint"), derive(Hash))]
pub struct Path {
    id: PathId,
    source: Source,
    rtt: Rtt,
    max_ack_delay: Duration,
    congestion: Congestion,
    pacer: Pacer,
    usage: WindowUse,
    amplification: Amplification,
    validation: Validation,
    asked: Asked,
    size: PacketSize,
    ecn: EcnValidation,
    /// When it was last seen to carry something: from the peer, or, by TCP, to the peer.
    last_heard: Instant,
    /// The pacer held something back: its deadline counts.
    paced: bool,
    stats: PathStats,
}

/// Counters of one path.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[cfg_attr(any(test, feature = "fingerprint"), derive(Hash))]
pub struct PathStats {
    /// Datagrams sent.
    pub sent_datagrams: u64,
    /// Bytes sent, of UDP payload.
    pub sent_bytes: u64,
    /// Authentic datagrams received.
    pub received_datagrams: u64,
    /// Bytes received in them.
    pub received_bytes: u64,
    /// Times the congestion window was reduced by loss or by marks.
    pub congestion_events: u64,
    /// Probes for packet size that arrived.
    pub size_probes_acked: u64,
    /// Probes for packet size that were lost.
    pub size_probes_lost: u64,
    /// How fast the path delivered, in bytes a second: the last sample that the application did not
    /// limit, or a limited one that was faster. Zero before the first.
    pub delivery_rate: u64,
    /// Whether the application limited that one: then the path may be faster.
    pub delivery_app_limited: bool,
}

impl PathStats {
    /// Takes in a sample of the delivery rate. One over less than a round trip is none.
    fn on_rate(&mut self, sample: Option<RateSample>, min_rtt: Duration) {
        let Some(sample) = sample.filter(|sample| sample.interval >= min_rtt) else { return };
        let rate = sample.bytes_per_second();
        if !sample.app_limited || rate >= self.delivery_rate {
            (self.delivery_rate, self.delivery_app_limited) = (rate, sample.app_limited);
        }
    }
}

impl Path {
    /// A way to `source` of which nothing is known; the peer's counts of ECN marks stand at `ecn`.
    pub(crate) fn new(
        id: PathId,
        source: Source,
        config: &PathConfig,
        ecn: EcnCounts,
        now: Instant,
    ) -> Self {
        let udp = source.kind == CarrierKind::Udp;
        let most = config.packets.most_to(source.remote.ip());
        let size = if udp { PacketSize::new(most) } else { PacketSize::fixed(most.max(BASE_SIZE)) };
        let congestion = Congestion::new(&config.congestion, BASE_SIZE);
        let window = congestion.window();
        let state = if udp { config.ecn } else { EcnState::Off };
        Self {
            id,
            source,
            rtt: Rtt::new(),
            max_ack_delay: Duration::from_millis(25),
            pacer: Pacer::new(config.timer_granularity, BASE_SIZE, window, now),
            congestion,
            usage: WindowUse::new(),
            amplification: if udp { Amplification::new() } else { Amplification::unlimited() },
            validation: Validation::new(),
            asked: Asked::new(),
            size,
            ecn: EcnValidation::new(state, ecn),
            last_heard: now,
            paced: false,
            stats: PathStats::default(),
        }
    }

    /// Its name.
    pub const fn id(&self) -> PathId {
        self.id
    }

    /// The way itself.
    pub const fn source(&self) -> &Source {
        &self.source
    }

    /// Whether it goes over TCP.
    pub(crate) fn is_reliable(&self) -> bool {
        self.source.kind == CarrierKind::Reliable
    }

    /// Whether its carrier is gone: it is kept until there is another way (spec R-TCP-26).
    pub(crate) fn is_broken(&self) -> bool {
        self.source.carrier == CarrierId::NONE
    }

    /// Its round-trip time.
    pub const fn rtt(&self) -> &Rtt {
        &self.rtt
    }

    /// The probe timeout without back-off.
    pub fn pto(&self) -> Duration {
        self.rtt.pto(self.max_ack_delay)
    }

    /// Its congestion controller.
    pub const fn congestion(&self) -> &Congestion {
        &self.congestion
    }

    /// Bytes a second that the pacer lets go.
    pub(crate) fn pacing_rate(&self) -> u64 {
        self.pacer.bytes_per_second()
    }

    /// Its packet size.
    pub const fn packet_size(&self) -> &PacketSize {
        &self.size
    }

    /// Whether it carries ECN marks.
    pub const fn ecn(&self) -> &EcnValidation {
        &self.ecn
    }

    /// How to mark the next datagram on it.
    pub const fn mark(&self) -> Option<Ecn> {
        self.ecn.mark()
    }

    /// Whether the peer was shown to be at its other end.
    pub const fn is_validated(&self) -> bool {
        self.amplification.is_validated()
    }

    /// Its counters.
    pub const fn stats(&self) -> &PathStats {
        &self.stats
    }

    /// Bytes that may go to an address that is not validated yet; `u64::MAX` if it is.
    pub fn unvalidated_allowance(&self) -> u64 {
        self.amplification.remaining()
    }

    /// Takes a sample of its round-trip time. Comes before the ledger looks for losses.
    pub fn on_rtt_sample(&mut self, sample: &RttSample) {
        self.rtt.on_sample(sample.latest, sample.ack_delay, self.max_ack_delay);
    }

    /// A datagram of `bytes` leaves on it, of whatever kind.
    pub fn on_sent(&mut self, bytes: u16) {
        self.amplification.on_sent(u64::from(bytes));
        self.stats.sent_datagrams += 1;
        self.stats.sent_bytes = self.stats.sent_bytes.saturating_add(u64::from(bytes));
    }

    /// A datagram of `bytes` leaves that counts as in flight; `in_flight` bytes were under way
    /// before. Comes besides [`Path::on_sent`]; not for probes of the packet size.
    pub fn on_sent_in_flight(&mut self, bytes: u16, in_flight: u64, now: Instant) {
        if self.source.kind == CarrierKind::Reliable {
            return;
        }
        let bytes = u64::from(bytes);
        self.congestion.on_sent(bytes, in_flight, &self.rtt, now);
        self.pacer.on_sent(bytes, now);
        let datagram = u64::from(self.size.datagram_size());
        self.usage.on_sent(in_flight.saturating_add(bytes), self.congestion.window(), datagram);
    }

    /// A packet is to leave, and nothing was for a while because the application had nothing.
    pub fn on_restart(&mut self, now: Instant) {
        self.congestion.on_restart(now);
        self.follow_window(now);
    }

    /// Takes in what became of its packets, all at once: congestion, packet size, ECN, pacing.
    pub fn on_outcome(&mut self, outcome: &PathOutcome, now: Instant) -> SizeChange {
        if self.source.kind == CarrierKind::Reliable {
            if outcome.acked_packets > 0 {
                self.last_heard = now;
            }
            return SizeChange::None;
        }
        // The window must not grow by what was marked (RFC 9002 section 7.1).
        self.on_marked(outcome, now);
        self.on_acked(outcome, now);
        self.on_lost(outcome, now);
        for packet in &outcome.spurious {
            self.congestion.on_spurious_loss(packet);
        }
        self.ecn.on_lost(u64::from(outcome.lost_packets));
        self.stats.size_probes_acked += u64::from(outcome.mtu_acked.is_some());
        self.stats.size_probes_lost += u64::from(outcome.mtu_lost.is_some());
        let change = self.size.on_outcome(outcome, now);
        if change != SizeChange::None {
            self.follow_size();
        }
        self.follow_window(now);
        change
    }

    /// The network marked packets instead of dropping them: they count as lost for the window, and
    /// for nothing else (spec R-CC-3).
    fn on_marked(&mut self, outcome: &PathOutcome, now: Instant) {
        if outcome.acked_packets == 0 {
            return;
        }
        let before = self.ecn.congestion_experienced();
        self.ecn.on_acked(u64::from(outcome.acked_packets), outcome.ecn);
        let Some(sent) = outcome.largest_acked_sent else { return };
        if self.ecn.congestion_experienced() > before {
            sometimes!("path: the network marked a packet");
            self.stats.congestion_events += u64::from(!self.congestion.in_recovery(sent));
            self.congestion.on_congestion_event(sent, now);
        }
    }

    fn on_acked(&mut self, outcome: &PathOutcome, now: Instant) {
        let Some(sent) = outcome.largest_acked_sent else { return };
        let settled = outcome.acked_bytes.saturating_add(outcome.lost_bytes);
        let left = outcome.prior_in_flight.saturating_sub(settled);
        let (window, state) = (self.congestion.window(), self.congestion.state());
        let app_limited = self.usage.on_acked(sent, left, window, state, now);
        let acked = Acked {
            bytes: outcome.acked_bytes,
            sent,
            app_limited,
            rtt: outcome.rtt.map(|sample| sample.latest),
            rate: outcome.rate,
            in_flight: left,
        };
        self.stats.on_rate(outcome.rate, self.rtt.min());
        self.congestion.on_acked(&acked, &self.rtt, now);
    }

    fn on_lost(&mut self, outcome: &PathOutcome, now: Instant) {
        let Some(sent) = outcome.largest_lost_sent else { return };
        let lost = Lost {
            packets: u64::from(outcome.lost_packets),
            bytes: outcome.lost_bytes,
            sent,
            ranges: u64::from(outcome.lost_ranges),
            excess: outcome.excess_loss,
        };
        self.stats.congestion_events += u64::from(!self.congestion.in_recovery(sent));
        self.congestion.on_lost(&lost, now);
        if outcome.persistent_congestion {
            self.congestion.on_persistent_congestion(now);
            self.rtt.on_persistent_congestion();
        }
    }

    /// The `count`th probe timeout in a row fired.
    pub fn on_probe_timeout(&mut self, count: u32) {
        if self.source.kind == CarrierKind::Udp {
            self.size.on_probe_timeout(count);
        }
    }

    /// The socket refused a datagram of `size` bytes as too long for the way out.
    pub fn on_datagram_refused(&mut self, size: u16, now: Instant) {
        self.size.on_refused(size, now);
        self.follow_size();
    }

    /// The size of the probe that may leave now: a packet of PING and PADDING by itself, marked in
    /// the ledger as a probe of the packet size. Only on the active path, and only while
    /// `in_flight` leaves the window open.
    pub fn next_size_probe(&self, in_flight: u64) -> Option<u16> {
        let open = self.is_validated() && in_flight < self.congestion.window();
        self.size.next_probe().filter(|_| open)
    }

    /// The probe left.
    pub fn on_size_probe_sent(&mut self, size: u16) {
        self.size.on_probe_sent(size);
    }

    /// What may leave on it now, with `in_flight` bytes under way.
    pub fn budget(&mut self, need: Need, in_flight: u64, now: Instant) -> Budget {
        self.paced = false;
        let allowed = self.amplification.remaining();
        let size = u64::from(self.size.datagram_size());
        if allowed < size && allowed < u64::from(BASE_SIZE) {
            sometimes!("path: an address may get no more before it is proven");
            return self.nothing_but(Allowance::Nothing, LimitedBy::Amplification);
        }
        let size = size.min(allowed);
        let batch = u64::from(MAX_BATCH).min(u64::from(MAX_BATCH_BYTES) / size.max(1));
        let mut most = (batch, LimitedBy::Batch);
        let mut bound = |count: u64, cause| {
            if count < most.0 {
                most = (count, cause);
            }
        };
        bound(allowed / size.max(1), LimitedBy::Amplification);
        if self.source.kind == CarrierKind::Udp && need == Need::Data {
            let window = self.congestion.window_to_send(in_flight, &self.rtt, now);
            let open = window.saturating_sub(in_flight);
            bound(open / size.max(1), LimitedBy::Window);
            bound(self.pacer.available(now) / size.max(1), LimitedBy::Pacer);
        }
        if most.0 == 0 {
            self.paced = most.1 == LimitedBy::Pacer;
            return self.nothing_but(Allowance::AcksOnly, most.1);
        }
        Budget {
            path: self.id,
            allowance: Allowance::Everything,
            datagram_size: u16::try_from(size).unwrap_or(u16::MAX),
            max_datagrams: u16::try_from(most.0).unwrap_or(MAX_BATCH),
            limited_by: most.1,
        }
    }

    fn nothing_but(&self, allowance: Allowance, limited_by: LimitedBy) -> Budget {
        let datagram_size = self.size.datagram_size();
        let max_datagrams = u16::from(allowance != Allowance::Nothing);
        Budget { path: self.id, allowance, datagram_size, max_datagrams, limited_by }
    }

    fn on_received(&mut self, bytes: u64, now: Instant) {
        self.amplification.on_received(bytes);
        self.stats.received_datagrams += 1;
        self.stats.received_bytes = self.stats.received_bytes.saturating_add(bytes);
        self.last_heard = now;
    }

    /// Takes over what `other` learnt: the way is the same, only the peer's port has changed.
    fn inherit(&mut self, other: &Self, now: Instant) {
        if other.source.local.is_none() {
            self.source.local = None;
        }
        self.rtt = other.rtt;
        self.congestion = other.congestion.clone();
        self.congestion.on_moved();
        self.size = other.size.clone();
        self.size.forget_probe();
        self.follow_size();
        self.follow_window(now);
    }

    /// What was under way here when data last left it is lost without a word: it is not waited for.
    fn forget_probe(&mut self) {
        self.size.forget_probe();
        self.follow_size();
    }

    /// Data returns to it after a time by another carrier: what the network can carry is to be
    /// found out anew.
    fn begin_anew(&mut self, config: &PathConfig, ecn: EcnCounts, now: Instant) {
        let fresh = Self::new(self.id, self.source, config, ecn, now);
        self.congestion = fresh.congestion;
        self.usage = fresh.usage;
        self.ecn = fresh.ecn;
        self.pacer = fresh.pacer;
        self.size.forget_probe();
        self.follow_size();
        self.follow_window(now);
    }

    /// Another controller goes on from here.
    fn set_controller(&mut self, config: &CongestionConfig, now: Instant) {
        if self.congestion.algorithm() != config.algorithm {
            self.congestion = self.congestion.turned_into(config, self.size.current(), &self.rtt);
            self.follow_window(now);
        }
    }

    /// Window and pacer go by the size that the path is known to carry: smaller datagrams, while
    /// packets vanish, change nothing there. So the pacer never waits for less than the next one.
    fn follow_size(&mut self) {
        let size = self.size.current();
        self.congestion.on_datagram_size_changed(size);
        self.pacer.on_datagram_size_changed(size);
    }

    fn follow_window(&mut self, now: Instant) {
        self.pacer.set_rate(self.congestion.pace(&self.rtt), now);
    }

    /// When [`Path::on_deadline`] wants to be called.
    fn deadline(&self) -> Option<Instant> {
        let paced = self.paced.then(|| self.pacer.deadline());
        crate::time::earliest([paced, self.validation.deadline(), self.size.deadline()])
    }

    /// Time has passed. If its challenge is given up now, returns since when that was overdue.
    fn on_deadline(&mut self, now: Instant) -> Option<Instant> {
        if self.pacer.deadline() <= now {
            self.paced = false;
        }
        self.size.on_deadline(now);
        self.validation.on_deadline(now)
    }
}

impl Paths {
    /// All paths, and those to come, have this controller from now on.
    pub fn set_controller(&mut self, controller: Algorithm, now: Instant) {
        self.config.congestion.algorithm = controller;
        for path in &mut self.paths {
            path.set_controller(&self.config.congestion, now);
        }
    }
}

#[cfg(test)]
mod tests;
