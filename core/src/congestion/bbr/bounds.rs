//! What losses bound (sections 5.5.10 and 5.5.11).

use crate::congestion::Lost;
use crate::recovery::RateSample;
use crate::time::Instant;

use super::{Bbr, Mode, Rules, Sample, UNBOUND};

/// What remains at least of a bound after a round with losses, in percent (section 2.5: `Beta`).
const BETA: u64 = 70;
/// What is left free of the long-term bound, in percent (section 2.5: `Headroom`).
const HEADROOM: u64 = 15;
/// Ranges of lost packets in a round that end Startup (section 5.3.1.3).
const STARTUP_RANGES: u64 = 6;

/// Bounds in force, and what they were before the last round with losses.
#[derive(Clone, Copy, Debug)]
#[cfg_attr(any(test, feature = "fingerprint"), derive(Hash))]
pub(super) struct Bounds {
    /// Bytes in flight with which a probe lost too much.
    pub(super) long: u64,
    /// Though nothing waited: so it holds where nothing waits.
    dry: bool,
    /// Since the last probe: bytes a second that were delivered in rounds with losses.
    pub(super) short_rate: u64,
    /// And bytes in flight.
    pub(super) short_flight: u64,
    before: (u64, u64, u64),
    dry_before: bool,
    /// The state that was left for losses.
    left: Option<Mode>,
}

impl Default for Bounds {
    fn default() -> Self {
        Self {
            long: UNBOUND,
            dry: false,
            short_rate: UNBOUND,
            short_flight: UNBOUND,
            before: (UNBOUND, UNBOUND, UNBOUND),
            dry_before: false,
            left: None,
        }
    }
}

impl Bounds {
    /// Section 5.5.11.1.
    pub(super) const fn save(&mut self) {
        self.before = (self.long, self.short_rate, self.short_flight);
        self.dry_before = self.dry;
        self.left = None;
    }

    /// Section 5.5.11.2. Returns the state to go back to.
    pub(super) fn restore(&mut self) -> Option<Mode> {
        let (long, rate, flight) = self.before;
        if long > self.long {
            (self.long, self.dry) = (long, self.dry_before);
        }
        self.short_rate = self.short_rate.max(rate);
        self.short_flight = self.short_flight.max(flight);
        self.left.take()
    }

    /// Losses so far are forgotten: it is time to look again (section 5.3.3.3).
    pub(super) const fn forget_short(&mut self) {
        (self.short_rate, self.short_flight) = (UNBOUND, UNBOUND);
    }
}

/// Losses of this round, and what it delivered.
#[derive(Clone, Copy, Debug, Default)]
#[cfg_attr(any(test, feature = "fingerprint"), derive(Hash))]
pub(super) struct Losses {
    pub(super) in_round: bool,
    /// A packet was marked since the last ACK.
    pub(super) marked: bool,
    /// Runs of lost packets in this round.
    pub(super) ranges: u64,
    /// Of the last round with losses: packets that did not turn up.
    missing: u64,
    /// When the first of them was declared lost.
    began: Instant,
    /// When the first was lost since that did not count: what was lost from then on cannot be told
    /// apart.
    mixed: Option<Instant>,
    /// A packet was marked among them, which nothing takes back.
    certain: bool,
    /// Bytes lost in this round.
    lost: u64,
    round_ends_at: u64,
    /// This ACK began a round.
    round_began: bool,
    /// The most of this round.
    rate: u64,
    delivered: u64,
}

impl Losses {
    /// The first loss of a round: the round begins with it.
    pub(super) const fn begin_round(&mut self, delivered: u64, now: Instant) {
        self.round_ends_at = delivered;
        self.in_round = true;
        (self.missing, self.began, self.certain) = (0, now, false);
        self.mixed = None;
    }

    /// Packets were lost that bound nothing.
    pub(super) fn pass_over(&mut self, now: Instant) {
        self.mixed.get_or_insert(now);
    }

    pub(super) const fn lost(&mut self, lost: &Lost) {
        self.missing = self.missing.saturating_add(lost.packets);
        self.lost = self.lost.saturating_add(lost.bytes);
    }

    pub(super) const fn mark(&mut self) {
        (self.marked, self.certain) = (true, true);
    }

    /// A packet turned up that was taken for lost at `lost`. Returns whether it was the last of its
    /// round, and that round nothing but a mistake.
    pub(super) fn found_one(&mut self, lost: Instant) -> bool {
        let counted = lost >= self.began && self.mixed.is_none_or(|mixed| lost < mixed);
        if !counted || self.missing == 0 {
            return false;
        }
        self.missing -= 1;
        self.missing == 0 && !self.certain
    }

    /// Delivered bytes are counted from nothing.
    pub(super) const fn on_moved(&mut self) {
        self.round_ends_at = 0;
    }

    /// Section 5.5.10.3: `UpdateLatestDeliverySignals`.
    pub(super) fn on_acked(&mut self, rate: &RateSample, sample: &Sample) {
        self.rate = self.rate.max(sample.rate);
        self.delivered = self.delivered.max(sample.delivered);
        self.round_began = rate.prior_delivered >= self.round_ends_at;
        if self.round_began {
            self.round_ends_at = rate.total_delivered;
        }
    }

    /// Section 5.5.10.3: `AdvanceLatestDeliverySignals`.
    pub(super) const fn end_round(&mut self, sample: &Sample) {
        self.marked = false;
        if self.round_began {
            (self.rate, self.delivered) = (sample.rate, sample.delivered);
        }
    }

    const fn forget(&mut self) {
        self.in_round = false;
        (self.ranges, self.lost) = (0, 0);
    }

    pub(super) const fn reset(&mut self) {
        self.in_round = false;
        (self.rate, self.delivered, self.ranges, self.lost) = (0, 0, 0, 0);
    }
}

impl<R: Rules> Bbr<R> {
    /// At the end of a round with losses, while nothing is probed for: no more than was delivered
    /// in it (section 5.5.10.3).
    pub(super) fn lower_bounds(&mut self) {
        if !self.losses.round_began {
            return;
        }
        let sent = self.losses.delivered.saturating_add(self.losses.lost);
        let counts =
            self.losses.certain || self.background.is_more(self.losses.lost, sent, self.datagram);
        if self.losses.in_round && counts && !self.mode.is_accelerating() {
            let lower = |bound: u64, first: u64, delivered: u64| {
                let bound = if bound == UNBOUND { first } else { bound };
                delivered.max(bound / 100 * BETA + bound % 100 * BETA / 100)
            };
            let rate = self.max_rate.get();
            self.bounds.short_rate = lower(self.bounds.short_rate, rate, self.losses.rate);
            self.bounds.short_flight =
                lower(self.bounds.short_flight, self.window, self.losses.delivered);
        }
        if self.mode == Mode::Startup {
            return;
        }
        self.losses.forget();
    }

    /// Startup ends when a whole round lost too much, here and there (section 5.3.1.3).
    pub(super) fn look_for_startup_loss(&mut self, sample: &Sample) {
        if self.mode != Mode::Startup || !self.losses.round_began {
            return;
        }
        let many = self.losses.ranges >= STARTUP_RANGES;
        let excess = sample.excess_loss || self.losses.marked;
        if self.losses.in_round && many && excess {
            sometimes!("congestion: startup ended by losses");
            self.bounds.left = Some(Mode::Startup);
            self.full.reached = true;
            self.bounds.dry = !R::is_bound(self.waiting());
            self.bounds.long = self.flight(self.rate(), 100).max(self.losses.delivered);
        }
        self.losses.forget();
    }

    /// A probe had too much in flight: that is remembered, and the probe is over (section
    /// 5.5.10.2).
    pub(super) fn on_too_high(&mut self, flight: u64, app_limited: bool, now: Instant) {
        sometimes!("congestion: a probe for more lost too much");
        self.probe.too_high = true;
        self.probe.sampling = false;
        if !app_limited {
            self.bounds.dry = !R::is_bound(self.waiting());
            let target = self.flight(self.rate(), 100).min(self.window);
            self.bounds.long = (flight * R::backoff() / 100).max(target * BETA / 100);
        }
        if self.mode == Mode::Up {
            self.bounds.left = Some(Mode::Up);
            self.go_down(now);
        }
    }

    /// Whether the long-term bound is in force between probes.
    pub(super) fn is_bound(&self) -> bool {
        self.bounds.dry || R::is_bound(self.waiting())
    }

    /// The long-term bound without what is left to others (section 5.3.3.8).
    pub(super) fn with_headroom(&self) -> u64 {
        if self.bounds.long == UNBOUND {
            return UNBOUND;
        }
        let free = (self.bounds.long / 100 * HEADROOM).max(self.datagram);
        self.bounds.long.saturating_sub(free).max(self.least())
    }
}
