//! BBRv3: sends at the rate that the path delivers, and keeps in flight what that rate needs.
//!
//! Sections are those of draft-ietf-ccwg-bbr (as of August 2026).
//!
//! ```text
//!            rate stops growing,              flight is down to the path's
//!            or a round loses too much
//!   Startup ───────────────────────▶ Drain ───────────────────▶ Down ◀───────────┐
//!    ▲                                                            │ no queue     │
//!    │ rate never stopped growing                                 ▼              │ rate stops
//!    │                                                          Cruise           │ growing, or a
//!    │                  any ──▶ ProbeRtt                          │ 2 to 3 s, or │ round loses
//!    └────────────────────────────┤  5 s without a low RTT        ▼ 63 rounds    │ too much
//!                                 └──▶ Cruise                   Refill ────▶ Up ─┘
//!                                                                     a round
//! ```
//!
//! | state | pace | flight | bounded by |
//! |---|---|---|---|
//! | Startup | 2.77 of the rate | 2 of rate x RTT | |
//! | Drain | 0.5 | 2 | short, long |
//! | Down | 0.9 | 2 | short, long |
//! | Cruise | 1 | 2 | short, 0.85 of long |
//! | Refill | 1 | 2 | long |
//! | Up | 1.25 | 2.25 | long, which rises |
//! | ProbeRtt | 1 | 0.5 | short, 0.85 of long |
//!
//! *Long* is the flight with which a probe lost too much; *short* is what was delivered in a round
//! that lost something since the last probe. What a [`Rules`] says is where variants differ.

mod background;
mod bounds;
mod cycle;
mod model;
mod rules;

use core::marker::PhantomData;
use core::time::Duration;

use crate::recovery::{LossSample, RateSample, Rtt};
use crate::time::{Instant, nanos};

use super::{Acked, CongestionConfig, Lost, Pace, State};
use background::Background;
use bounds::{Bounds, Losses};
use cycle::{Full, Probe, ProbeRtt};
use model::{ExtraAcked, MaxRate, MinRtt, Rounds, volume};

pub use rules::{Drafted, Rules, Waiting};

/// No bound was found.
const UNBOUND: u64 = u64::MAX;
/// No window grows beyond this many bytes.
const MAX_WINDOW: u64 = 1 << 40;
/// Of the rate, in percent: a little less than all, so that queues drain (section 5.6.2).
const MARGIN: u64 = 99;
/// The largest offload budget in bytes (section 5.6.3).
const MAX_QUANTUM: u64 = 65_536;
/// Rounds for which aggregation is remembered once the pipe was full (section 2.10).
const EXTRA_ROUNDS: u64 = 10;
/// Nanoseconds of the rate that aggregation counts for, at most.
const MOST_EXTRA: u64 = 100_000_000;

/// Where BBR stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[cfg_attr(any(test, feature = "fingerprint"), derive(Hash))]
enum Mode {
    Startup,
    Drain,
    Down,
    Cruise,
    Refill,
    Up,
    ProbeRtt,
}

impl Mode {
    /// In percent of the rate, but for Up, which adds what [`Rules::probe_pace`] says (section
    /// 5.6.1).
    const fn pacing_gain(self) -> u64 {
        match self {
            Self::Startup => 277,
            Self::Drain => 50,
            Self::Down => 90,
            Self::Cruise | Self::Refill | Self::ProbeRtt | Self::Up => 100,
        }
    }

    /// In percent of the rate times the least round trip (section 5.6.1).
    const fn window_gain(self) -> u64 {
        match self {
            Self::ProbeRtt => 50,
            Self::Up => 225,
            _ => 200,
        }
    }

    const fn is_probe_bw(self) -> bool {
        matches!(self, Self::Down | Self::Cruise | Self::Refill | Self::Up)
    }

    /// Whether it looks for more: then loss says how much is too much (section 5.5.10).
    const fn is_accelerating(self) -> bool {
        matches!(self, Self::Startup | Self::Refill | Self::Up)
    }
}

/// What one ACK says, as the machine takes it in.
#[derive(Clone, Copy, Debug)]
struct Sample {
    /// Bytes a second; 0 if it measures nothing.
    rate: u64,
    delivered: u64,
    acked: u64,
    tx_in_flight: u64,
    excess_loss: bool,
    /// The sample says nothing of the path's limit.
    app_limited: bool,
    in_flight: u64,
    window_limited: bool,
}

/// BBRv3 by the rules of `R`.
#[derive(Clone, Debug)]
#[cfg_attr(any(test, feature = "fingerprint"), derive(Hash))]
pub struct Bbr<R> {
    rules: PhantomData<R>,
    mode: Mode,
    datagram: u64,
    initial: u64,
    window: u64,
    /// The window before ProbeRtt, persistent congestion or loss.
    prior_window: u64,
    /// In bytes a second; 0 before the first sample.
    pacing: u64,
    /// Bytes delivered in all.
    delivered: u64,
    rounds: Rounds,
    max_rate: MaxRate,
    min_rtt: MinRtt,
    extra: ExtraAcked,
    full: Full,
    bounds: Bounds,
    losses: Losses,
    background: Background,
    probe: Probe,
    probe_rtt: ProbeRtt,
    idle_restart: bool,
    /// Samples of packets sent before this much was delivered are taken as limited.
    limited_until: u64,
    reduced_at: Option<Instant>,
    /// The window is to come back with the first packet acknowledged that was sent after this.
    restore_after: Option<Instant>,
}

impl<R: Rules> Bbr<R> {
    pub(super) fn new(config: &CongestionConfig, datagram_size: u16) -> Self {
        let datagram = u64::from(datagram_size.max(1));
        let initial = u64::from(config.initial_datagrams.max(2)) * datagram;
        Self {
            rules: PhantomData,
            mode: Mode::Startup,
            datagram,
            initial,
            window: initial,
            prior_window: 0,
            pacing: 0,
            delivered: 0,
            rounds: Rounds::default(),
            max_rate: MaxRate::default(),
            min_rtt: MinRtt::new(),
            extra: ExtraAcked::default(),
            full: Full::default(),
            bounds: Bounds::default(),
            losses: Losses::default(),
            background: Background::default(),
            probe: Probe::default(),
            probe_rtt: ProbeRtt::default(),
            idle_restart: false,
            limited_until: 0,
            reduced_at: None,
            restore_after: None,
        }
    }

    /// Goes on with the window of another controller. Where that had found the pipe full, what it
    /// had under way a round trip is the first rate, and its queue is drained.
    pub(super) fn begin_at(&mut self, window: u64, searching: bool, rtt: &Rtt) {
        self.window = window.clamp(self.least(), MAX_WINDOW);
        self.initial = self.window;
        if !searching && rtt.is_sampled() {
            let rate = u128::from(self.window) * 1_000_000_000;
            let rate = rate / u128::from(nanos(rtt.smoothed()).max(1));
            self.max_rate.update(u64::try_from(rate).unwrap_or(u64::MAX));
            (self.full.reached, self.mode) = (true, Mode::Drain);
            self.set_pacing(self.mode.pacing_gain());
        }
    }

    pub(super) const fn window(&self) -> u64 {
        self.window
    }

    pub(super) const fn state(&self) -> State {
        match self.mode {
            Mode::Startup => State::SlowStart,
            _ => State::Avoidance,
        }
    }

    pub(super) fn in_recovery(&self, sent: Instant) -> bool {
        self.reduced_at.is_some_and(|at| sent <= at)
    }

    /// A datagram a round trip at least: nothing is learnt of a path where nothing goes.
    pub(super) fn pace(&self, rtt: &Rtt) -> Pace {
        if self.pacing == 0 {
            return Pace { bytes: self.first_flight(), over: rtt.smoothed() };
        }
        if volume(self.pacing, nanos(rtt.smoothed())) < self.datagram {
            return Pace { bytes: self.datagram, over: rtt.smoothed() };
        }
        Pace { bytes: self.pacing, over: Duration::from_secs(1) }
    }

    /// What leaves in the first round trip (section 5.6.2: `BBRInitPacingRate`).
    const fn first_flight(&self) -> u64 {
        self.initial * Mode::Startup.pacing_gain() / 100
    }

    /// Before the pipe was full the rate never falls, nor below that of the first flight.
    fn begin_pacing(&mut self, rtt: &Rtt) {
        if self.pacing == 0 && rtt.is_sampled() {
            let rtt = u128::from(nanos(rtt.smoothed()).max(1));
            let rate = u128::from(self.first_flight()) * 1_000_000_000 / rtt;
            self.pacing = u64::try_from(rate).unwrap_or(u64::MAX).max(1);
        }
    }

    pub(super) fn on_datagram_size_changed(&mut self, datagram_size: u16) {
        self.datagram = u64::from(datagram_size.max(1));
        self.window = self.window.max(2 * self.datagram);
    }

    /// Delivered bytes are counted from nothing, by another path: all that is known stays, but for
    /// what was marked by that count.
    pub(super) fn on_moved(&mut self) {
        (self.delivered, self.limited_until) = (0, 0);
        self.rounds.begin(0);
        self.losses.on_moved();
        self.background.on_moved();
    }

    /// After idleness packets leave at the rate that the path had (section 5.4.1).
    pub(super) fn on_restart(&mut self, now: Instant) {
        self.idle_restart = true;
        self.extra.restart(now);
        if self.mode.is_probe_bw() {
            self.set_pacing(100);
        } else if self.mode == Mode::ProbeRtt {
            self.end_probe_rtt_if_done(now);
        }
    }

    /// Section 5.2.3.
    pub(super) fn on_acked(&mut self, acked: &Acked, rtt: &Rtt, now: Instant) {
        self.begin_pacing(rtt);
        if self.restore_after.is_some_and(|after| acked.sent > after) {
            self.restore_after = None;
            self.window = self.window.max(self.prior_window);
        }
        let Some(rate) = &acked.rate else { return };
        let sample = self.sample(acked, rate);
        self.losses.on_acked(rate, &sample);
        self.rounds.on_acked(rate.prior_delivered, rate.total_delivered);
        if self.rounds.began {
            self.probe.rounds += 1;
        }
        if sample.rate > 0 && (sample.rate >= self.max_rate.get() || !sample.app_limited) {
            self.max_rate.update(sample.rate);
        }
        self.lower_bounds();
        let window_rounds = if self.full.reached { EXTRA_ROUNDS } else { 1 };
        let round = (self.rounds.count, window_rounds);
        let most = self.window.min(volume(self.rate(), MOST_EXTRA));
        self.extra.update(sample.acked, self.rate(), most, round, now);
        self.background.on_acked(sample.acked, R::loss_is_congestion(self.waiting()));
        self.look_for_full(&sample);
        self.judge_losses(&sample, now);
        self.step(&sample, now);
        self.look_at_rtt(acked.rtt, now);
        self.look_for_min_rtt(&sample, now);
        self.losses.end_round(&sample);
        self.set_pacing(self.pacing_gain());
        self.set_window(&sample);
        self.hurry(rtt);
    }

    /// The first windows leave as in slow start: what a handful of datagrams measures is not the
    /// rate of a path.
    fn hurry(&mut self, rtt: &Rtt) {
        if !self.full.reached && self.delivered < self.first_windows() {
            let rtt = u128::from(nanos(rtt.smoothed()).max(1));
            let rate = u128::from(self.window) * 2 * 1_000_000_000 / rtt;
            self.pacing = self.pacing.max(u64::try_from(rate).unwrap_or(u64::MAX));
        }
    }

    /// Delivered bytes until which the window just grows.
    fn first_windows(&self) -> u64 {
        self.initial.saturating_mul(R::first_windows(self.waiting()))
    }

    fn sample(&mut self, acked: &Acked, rate: &RateSample) -> Sample {
        self.delivered = rate.total_delivered;
        // A sample over less than a round trip is none (section 4.1.2.3).
        let reliable = self.min_rtt.get().is_none_or(|min| nanos(rate.interval) >= min);
        Sample {
            rate: if reliable { rate.bytes_per_second() } else { 0 },
            delivered: rate.delivered,
            acked: acked.bytes,
            tx_in_flight: rate.tx_in_flight,
            excess_loss: self.is_excess(rate.lost, rate.tx_in_flight)
                && R::loss_is_congestion(self.waiting()),
            app_limited: rate.app_limited || rate.prior_delivered < self.limited_until,
            in_flight: acked.in_flight,
            window_limited: !acked.app_limited,
        }
    }

    /// Packets were lost (section 5.2.4).
    pub(super) fn on_lost(&mut self, lost: &Lost, now: Instant) {
        self.background.on_lost(lost);
        if R::loss_is_congestion(self.waiting()) {
            self.note_loss(lost.ranges, now);
            self.losses.lost(lost);
            let excess = lost.excess.filter(|it| self.is_excess(it.lost, it.tx_in_flight));
            if let Some(excess) = excess.filter(|_| self.probe.sampling) {
                self.on_too_high(excess.safe_flight(), excess.app_limited, now);
            }
        } else {
            self.losses.pass_over(now);
        }
    }

    /// Whether a flight lost more than may be.
    fn is_excess(&self, lost: u64, flight: u64) -> bool {
        self.background.is_excess(lost, flight, R::let_pass(), self.datagram)
    }

    /// A packet was marked: as much as if too much had been lost (section 3.6).
    pub(super) fn on_marked(&mut self, now: Instant) {
        self.note_loss(1, now);
        self.losses.mark();
    }

    fn note_loss(&mut self, ranges: u64, now: Instant) {
        self.reduced_at = Some(now);
        if !self.losses.in_round {
            self.losses.begin_round(self.delivered, now);
            self.save_window();
            self.bounds.save();
        }
        self.losses.ranges = self.losses.ranges.saturating_add(ranges);
    }

    /// Everything sent over several probe timeouts was lost: what is known of the path stays, and
    /// the window comes back with the first answer (section 5.6.4.4).
    pub(super) fn on_persistent_congestion(&mut self, now: Instant) {
        self.save_window();
        self.window = self.least();
        self.reduced_at = Some(now);
        self.restore_after = Some(now);
    }

    /// Section 5.5.11.2, once all packets of the last round with losses have turned up. One of them
    /// was declared lost at `lost`.
    pub(super) fn on_spurious_loss(&mut self, lost: Instant) {
        if !self.losses.found_one(lost) {
            return;
        }
        self.window = self.window.max(self.prior_window);
        self.losses.in_round = false;
        self.full.restart(0);
        match self.bounds.restore() {
            Some(Mode::Startup) if self.mode != Mode::Startup => {
                self.full.reached = false;
                if self.mode != Mode::ProbeRtt {
                    self.mode = Mode::Startup;
                }
            }
            Some(Mode::Up) if !matches!(self.mode, Mode::Up | Mode::ProbeRtt) => self.refill(),
            _ => {}
        }
    }

    /// Looks for the least round trip. If a smaller one shows that what was taken for an empty path
    /// had a queue, then nothing is known of what is lost without one.
    fn look_at_rtt(&mut self, rtt: Option<Duration>, now: Instant) {
        let before = self.min_rtt.empty();
        self.min_rtt.update::<R>(rtt, now);
        if let (Some(before), Some(min_rtt)) = (before, self.min_rtt.empty()) {
            let queue = before.saturating_sub(min_rtt);
            if R::loss_is_congestion(Waiting { min_rtt, queue, before: 0 }) && queue > 0 {
                self.background.forget();
            }
        }
    }

    fn waiting(&self) -> Waiting {
        let min_rtt = self.min_rtt.get().unwrap_or(0);
        Waiting { min_rtt, queue: self.min_rtt.queue(), before: self.probe.queue }
    }

    /// The rate that is right now: the largest, unless losses bound it.
    fn rate(&self) -> u64 {
        self.max_rate.get().min(self.bounds.short_rate)
    }

    /// In percent of the rate.
    fn pacing_gain(&self) -> u64 {
        match self.mode {
            Mode::Up => R::probe_pace(self.flight(self.rate(), 100) / self.datagram),
            mode => mode.pacing_gain(),
        }
    }

    /// Four datagrams (section 2.5: `MinPipeCwnd`).
    const fn least(&self) -> u64 {
        4 * self.datagram
    }

    /// What `rate` has under way in a least round trip, times `gain` percent.
    fn flight(&self, rate: u64, gain: u64) -> u64 {
        let Some(min_rtt) = self.min_rtt.get() else { return self.initial };
        let bytes = u128::from(volume(rate, min_rtt)) * u128::from(gain) / 100;
        u64::try_from(bytes).unwrap_or(u64::MAX).min(MAX_WINDOW)
    }

    /// Besides, what leaves at once must fit (section 5.6.4.2).
    fn whole(&self, flight: u64) -> u64 {
        let quantum = volume(self.pacing, 1_000_000).min(MAX_QUANTUM).max(2 * self.datagram);
        let up = if self.mode == Mode::Up { 2 * self.datagram } else { 0 };
        flight.max(quantum).max(self.least()).saturating_add(up)
    }

    /// Section 5.6.2: before the pipe was full, the rate never falls.
    fn set_pacing(&mut self, gain: u64) {
        let rate = u128::from(self.rate()) * u128::from(gain * MARGIN) / 10_000;
        let rate = u64::try_from(rate).unwrap_or(u64::MAX);
        if self.full.reached || rate > self.pacing {
            self.pacing = rate.max(1);
        }
    }

    /// Section 5.6.4.6.
    fn set_window(&mut self, sample: &Sample) {
        let gain = match self.mode {
            Mode::Startup => R::startup_window(self.waiting()),
            mode => mode.window_gain(),
        };
        let flight = self.flight(self.rate(), gain);
        let most = self.whole(flight.saturating_add(self.extra.get()));
        let grown = self.window.saturating_add(sample.acked);
        if self.full.reached || gain < Mode::Startup.window_gain() {
            self.window = grown.min(most);
        } else if self.window < most || self.delivered < self.first_windows() {
            self.window = grown;
        }
        self.window = self.window.clamp(self.least(), MAX_WINDOW);
        if self.mode == Mode::ProbeRtt {
            self.window = self.window.min(self.probe_rtt_window());
        }
        self.bound_window();
    }

    fn probe_rtt_window(&self) -> u64 {
        self.flight(self.rate(), Mode::ProbeRtt.window_gain()).max(self.least())
    }

    /// Section 5.6.4.7.
    fn bound_window(&mut self) {
        let long = match self.mode {
            Mode::Startup => UNBOUND,
            Mode::Down | Mode::Cruise | Mode::Refill if !self.is_bound() => UNBOUND,
            Mode::ProbeRtt | Mode::Cruise => self.with_headroom(),
            _ => self.bounds.long,
        };
        let most = long.min(self.bounds.short_flight).max(self.least());
        self.window = self.window.min(most);
    }

    fn save_window(&mut self) {
        let kept = self.mode == Mode::ProbeRtt || self.restore_after.is_some();
        self.prior_window = if kept { self.prior_window.max(self.window) } else { self.window };
    }
}

impl LossSample {
    /// How much may be in flight so that no more than one byte in 50 is lost, by what happened when
    /// this packet was sent (section 5.5.10.2: `InflightAtLoss`).
    const fn safe_flight(&self) -> u64 {
        let before = self.tx_in_flight.saturating_sub(self.size);
        let lost = self.lost.saturating_sub(self.size);
        // (before / 50 - lost) / (1 - 1/50)
        before + before.saturating_sub(50 * lost) / 49
    }
}

#[cfg(test)]
mod tests;

#[cfg(test)]
mod fair_tests;
