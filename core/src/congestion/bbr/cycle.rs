//! The states and what leads from one to the next (section 5.3).

use core::time::Duration;

use crate::time::Instant;

use super::{Bbr, Mode, Rules, Sample, UNBOUND};

/// For how long at least ProbeRtt keeps the flight small (section 2.14.2: `ProbeRTTDuration`).
const PROBE_RTT_TIME: Duration = Duration::from_millis(200);
/// Between two probes for rate, at least, and up to a second more (section 5.3.3.5.3).
const PROBE_WAIT: Duration = Duration::from_secs(2);
/// Or so many rounds, so that Reno has its chance (section 5.3.3.5.1).
const PROBE_ROUNDS: u64 = 63;
/// Rounds that Drain takes at most (section 5.3.2).
const DRAIN_ROUNDS: u64 = 3;
/// The slope of the long-term bound doubles no more often than this.
const MOST_DOUBLINGS: u32 = 30;

/// Looks whether the pipe is full: the rate grows no more (section 5.3.1.2).
#[derive(Clone, Copy, Debug, Default)]
#[cfg_attr(any(test, feature = "fingerprint"), derive(Hash))]
pub(super) struct Full {
    rate: u64,
    rounds: u32,
    /// Since it last began to look.
    now: bool,
    /// Ever.
    pub(super) reached: bool,
    drain_round: u64,
}

impl Full {
    pub(super) const fn restart(&mut self, rate: u64) {
        (self.rate, self.rounds, self.now) = (rate, 0, false);
    }
}

/// What the ACKs that come now were sent for (section 2.12: `ack_phase`).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[cfg_attr(any(test, feature = "fingerprint"), derive(Hash))]
pub(super) enum Acks {
    #[default]
    Init,
    Refilling,
    Starting,
    Feedback,
    Stopping,
}

/// The cycle of probing for rate.
#[derive(Clone, Copy, Debug)]
#[cfg_attr(any(test, feature = "fingerprint"), derive(Hash))]
pub(super) struct Probe {
    acks: Acks,
    /// ACKs are of packets that probed, and no excess of loss was seen.
    pub(super) sampling: bool,
    /// Rounds since the last probe.
    pub(super) rounds: u64,
    /// What waited when this one began, in nanoseconds.
    pub(super) queue: u64,
    began: Instant,
    wait: Duration,
    /// The last probe lost too much.
    pub(super) too_high: bool,
    /// And the one after it stopped where that had begun.
    precautionary: bool,
    up_rounds: u32,
    up_acked: u64,
    acked_per_step: u64,
}

impl Default for Probe {
    fn default() -> Self {
        Self {
            acks: Acks::Init,
            sampling: false,
            rounds: 0,
            queue: 0,
            began: Instant::ZERO,
            wait: Duration::ZERO,
            too_high: false,
            precautionary: false,
            up_rounds: 0,
            up_acked: 0,
            acked_per_step: UNBOUND,
        }
    }
}

/// The search for a smaller round trip.
#[derive(Clone, Copy, Debug, Default)]
#[cfg_attr(any(test, feature = "fingerprint"), derive(Hash))]
pub(super) struct ProbeRtt {
    until: Option<Instant>,
    round_done: bool,
}

impl<R: Rules> Bbr<R> {
    /// Once a round that the application did not limit.
    pub(super) fn look_for_full(&mut self, sample: &Sample) {
        if self.full.now || !self.rounds.began || sample.app_limited {
            return;
        }
        let (num, den) = if self.full.reached { R::growth() } else { (5, 4) };
        if u128::from(sample.rate) * u128::from(den) >= u128::from(self.full.rate) * u128::from(num)
        {
            self.full.restart(sample.rate);
            return;
        }
        self.full.rounds += 1;
        if self.full.rounds >= R::full_rounds(self.waiting()) {
            (self.full.now, self.full.reached) = (true, true);
        }
    }

    /// One step of the machine.
    pub(super) fn step(&mut self, sample: &Sample, now: Instant) {
        self.look_for_startup_loss(sample);
        if self.losses.marked && self.probe.sampling {
            self.on_too_high(sample.tx_in_flight, sample.app_limited, now);
        }
        if self.mode == Mode::Startup && self.full.reached {
            self.mode = Mode::Drain;
            self.full.drain_round = self.rounds.count;
        }
        if self.mode == Mode::Drain {
            let drained = sample.in_flight <= self.whole(self.flight(self.rate(), 100));
            if drained || self.rounds.count > self.full.drain_round + DRAIN_ROUNDS {
                self.go_down(now);
            }
        }
        if self.full.reached && !self.adapt_long(sample) {
            self.cycle(sample, now);
        }
    }

    fn cycle(&mut self, sample: &Sample, now: Instant) {
        let mode = self.mode;
        match mode {
            Mode::Down | Mode::Cruise if self.is_time_to_probe(now) => self.refill(),
            Mode::Down if self.is_time_to_cruise(sample) => self.mode = Mode::Cruise,
            Mode::Refill if self.rounds.began => {
                self.probe.sampling = true;
                self.go_up(sample);
            }
            Mode::Up if self.is_time_to_go_down(sample) => self.go_down(now),
            _ => {}
        }
    }

    pub(super) fn go_down(&mut self, now: Instant) {
        self.losses.reset();
        self.probe.acked_per_step = UNBOUND;
        let draw = mix(now.as_nanos() ^ self.delivered.rotate_left(32));
        self.probe.rounds = draw & 1;
        self.probe.wait = PROBE_WAIT + Duration::from_nanos((draw >> 1) % 1_000_000_000);
        self.probe.began = now;
        self.probe.acks = Acks::Stopping;
        self.rounds.begin(self.delivered);
        self.mode = Mode::Down;
    }

    /// Section 5.3.3.3.
    pub(super) fn refill(&mut self) {
        self.bounds.forget_short();
        (self.probe.up_rounds, self.probe.up_acked) = (0, 0);
        self.probe.precautionary = false;
        self.probe.acks = Acks::Refilling;
        self.rounds.begin(self.delivered);
        self.mode = Mode::Refill;
    }

    fn go_up(&mut self, sample: &Sample) {
        self.probe.acks = Acks::Starting;
        self.probe.queue = self.min_rtt.queue();
        self.rounds.begin(self.delivered);
        self.full.restart(sample.rate);
        self.mode = Mode::Up;
        self.steepen();
    }

    /// The long-term bound rises by 1, 2, 4, ... datagrams a round (section 5.3.3.4.1).
    fn steepen(&mut self) {
        let steps = 1_u64 << self.probe.up_rounds;
        self.probe.up_rounds = (self.probe.up_rounds + 1).min(MOST_DOUBLINGS);
        self.probe.acked_per_step = (self.window / steps).max(self.datagram);
    }

    fn is_time_to_probe(&self, now: Instant) -> bool {
        let target = self.flight(self.rate(), 100).min(self.window);
        let reno = (target / self.datagram).min(PROBE_ROUNDS);
        now > self.probe.began + self.probe.wait || self.probe.rounds >= reno
    }

    fn is_time_to_cruise(&self, sample: &Sample) -> bool {
        let drained = self.whole(self.flight(self.max_rate.get(), 100));
        let roomy = sample.in_flight <= self.with_headroom() || !self.is_bound();
        roomy && sample.in_flight <= drained
    }

    /// Section 5.3.3.4.3.
    fn is_time_to_go_down(&mut self, sample: &Sample) -> bool {
        if self.probe.too_high && sample.in_flight >= self.bounds.long {
            (self.probe.precautionary, self.probe.too_high) = (true, false);
            return true;
        }
        let bound = sample.window_limited && self.window >= self.bounds.long;
        if bound && !R::queue_ends_probe(self.waiting()) {
            // What bounds it is its own bound.
            self.full.restart(sample.rate);
            return false;
        }
        self.probe.too_high &= !self.full.now;
        self.full.now
    }

    /// Follows what the ACKs of a probe say; the long-term bound rises while they say nothing bad
    /// (section 5.3.3.8: `AdaptLongTermModel`). Returns whether it changed the state.
    fn adapt_long(&mut self, sample: &Sample) -> bool {
        if self.rounds.began && self.probe.acks == Acks::Starting {
            self.probe.acks = Acks::Feedback;
        }
        if self.rounds.began && self.probe.acks == Acks::Stopping {
            self.probe.sampling = false;
            self.probe.acks = Acks::Init;
            if self.mode.is_probe_bw() {
                if !sample.app_limited {
                    self.max_rate.advance();
                }
                if self.probe.precautionary && !self.probe.too_high {
                    self.refill();
                    return true;
                }
            }
        }
        if sample.excess_loss || self.bounds.long == UNBOUND {
            return false;
        }
        self.bounds.long = self.bounds.long.max(sample.tx_in_flight);
        if self.mode == Mode::Up && sample.window_limited && self.window >= self.bounds.long {
            self.raise_long(sample);
        }
        false
    }

    fn raise_long(&mut self, sample: &Sample) {
        self.probe.up_acked = self.probe.up_acked.saturating_add(sample.acked);
        let steps = self.probe.up_acked / self.probe.acked_per_step.max(1);
        self.probe.up_acked -= steps * self.probe.acked_per_step;
        self.bounds.long = self.bounds.long.saturating_add(steps.saturating_mul(self.datagram));
        if self.rounds.began {
            self.steepen();
        }
    }

    /// Section 5.3.4.3: `CheckProbeRTT`.
    pub(super) fn look_for_min_rtt(&mut self, sample: &Sample, now: Instant) {
        if self.mode != Mode::ProbeRtt && self.min_rtt.expired && !self.idle_restart {
            sometimes!("congestion: a probe for a smaller round trip");
            self.save_window();
            self.mode = Mode::ProbeRtt;
            self.probe_rtt = ProbeRtt::default();
            self.probe.acks = Acks::Stopping;
            self.rounds.begin(self.delivered);
        }
        if self.mode == Mode::ProbeRtt {
            self.hold_low(sample, now);
        }
        if sample.delivered > 0 {
            self.idle_restart = false;
        }
    }

    fn hold_low(&mut self, sample: &Sample, now: Instant) {
        self.limited_until = self.delivered.saturating_add(sample.in_flight).max(1);
        if self.probe_rtt.until.is_none() {
            if sample.in_flight <= self.probe_rtt_window() {
                self.probe_rtt.until = Some(now + PROBE_RTT_TIME);
                self.rounds.begin(self.delivered);
            }
            return;
        }
        self.probe_rtt.round_done |= self.rounds.began;
        if self.probe_rtt.round_done {
            self.end_probe_rtt_if_done(now);
        }
    }

    pub(super) fn end_probe_rtt_if_done(&mut self, now: Instant) {
        if self.probe_rtt.until.is_none_or(|until| now <= until) {
            return;
        }
        self.min_rtt.postpone(now);
        self.window = self.window.max(self.prior_window);
        self.bounds.forget_short();
        if self.full.reached {
            self.go_down(now);
            self.mode = Mode::Cruise;
        } else {
            self.mode = Mode::Startup;
        }
    }
}

/// A number that differs from flow to flow and from cycle to cycle (the finalizer of SplitMix64):
/// nobody has to be unable to guess it.
const fn mix(seed: u64) -> u64 {
    let z = (seed ^ (seed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    let z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    z ^ (z >> 31)
}
