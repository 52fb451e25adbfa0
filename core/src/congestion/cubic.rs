//! CUBIC (RFC 9438): the window as a cubic function of the time since the last reduction.
//!
//! ```text
//!  window
//!    │            reduction                          probing
//!  w_max ── ── ──╮─ ── ── ── ── ── ── ─────────────╱ ── ──
//!    │           │              ╭──────  plateau  ╯
//!    │           │          ╭───╯                        W(t) = C (t - K)³ + w_max
//!    │           ╰─────────╯  fast return
//!    └───────────┼─────────────────────┼──────────────────▶ t
//!                0                     K
//! ```
//!
//! Times are whole microseconds and windows are bytes, so C (t - K)³ is taken as
//! `2/5 · Δt³ · datagram / 10¹⁸` and K as an integer cube root.

use core::time::Duration;

use crate::recovery::Rtt;
use crate::time::Instant;

use super::base::{Base, Undo};
use super::hystart::{CSS_GROWTH_DIVISOR, Growth, HyStart};
use super::{Acked, CongestionConfig, State, micros};

/// What remains of the window after a loss.
const BETA: (u64, u64) = (7, 10);
/// (1 + beta) / 2: what is aimed at if the last reduction was not outgrown (fast convergence).
const FAST_CONVERGENCE: (u64, u64) = (17, 20);
/// 3 (1 - beta) / (1 + beta): how fast the estimate of Reno's window grows.
const ALPHA: (u128, u128) = (9, 17);
/// C = 2/5 of a datagram a cubic second.
const C: (u128, u128) = (2, 5);
/// Microseconds of a second, cubed.
const CUBIC_SECOND: u128 = 1_000_000_000_000_000_000;
/// Farther from K than this the curve is beyond every window.
const MAX_DISTANCE: u64 = 1_000_000_000;

/// The default controller.
#[derive(Clone, Debug)]
#[cfg_attr(any(test, feature = "fingerprint"), derive(Hash))]
pub struct Cubic {
    base: Base,
    hystart: HyStart,
    curve: Curve,
    undo: Option<Undo<Curve>>,
}

/// What the window grows along.
#[derive(Clone, Copy, Debug, Default)]
#[cfg_attr(any(test, feature = "fingerprint"), derive(Hash))]
struct Curve {
    /// The window that the curve comes back to, in bytes.
    w_max: u64,
    /// The window before the last reduction.
    prior: u64,
    epoch: Option<Epoch>,
    /// Since when growth was held back because the application sent too little.
    limited_since: Option<Instant>,
}

/// One period of congestion avoidance.
#[derive(Clone, Copy, Debug)]
#[cfg_attr(any(test, feature = "fingerprint"), derive(Hash))]
struct Epoch {
    start: Instant,
    /// Microseconds from the start to the plateau.
    k: u64,
    /// What Reno's window would be, in 1/65536 byte.
    estimate: u128,
}

impl Cubic {
    pub(super) fn new(config: &CongestionConfig, datagram_size: u16) -> Self {
        Self {
            base: Base::new(config, datagram_size),
            hystart: HyStart::new(),
            curve: Curve::default(),
            undo: None,
        }
    }

    pub(super) const fn base(&self) -> &Base {
        &self.base
    }

    pub(super) const fn base_mut(&mut self) -> &mut Base {
        &mut self.base
    }

    pub(super) fn state(&self) -> State {
        match self.base.state() {
            State::SlowStart if self.hystart.is_conservative() => State::ConservativeSlowStart,
            state => state,
        }
    }

    pub(super) fn on_sent(&mut self, _bytes: u64, in_flight: u64, rtt: &Rtt, now: Instant) {
        if let Some(idle) = self.base.on_sent(in_flight, rtt, now) {
            self.curve.skip(idle);
        }
    }

    pub(super) fn on_acked(&mut self, acked: &Acked, rtt: &Rtt, now: Instant) {
        if !self.base.on_acked(acked.sent) {
            return;
        }
        if acked.app_limited {
            self.curve.limited_since.get_or_insert(now);
            return;
        }
        if let Some(since) = self.curve.limited_since.take() {
            self.curve.skip(now.saturating_since(since));
        }
        if self.base.in_slow_start() {
            self.slow_start(acked, rtt, now);
        } else {
            self.curve.avoid(&mut self.base, acked.bytes, rtt, now);
        }
    }

    fn slow_start(&mut self, acked: &Acked, rtt: &Rtt, now: Instant) {
        // Only the first slow start is searched for an end; later ones know their threshold.
        let growth = match self.base.threshold() {
            None => self.hystart.on_acked(acked.sent, rtt.latest(), now),
            Some(_) => Growth::Full,
        };
        match growth {
            Growth::Full => self.base.grow(u128::from(acked.bytes), 1),
            Growth::Conservative => self.base.grow(u128::from(acked.bytes), CSS_GROWTH_DIVISOR),
            Growth::Done => {
                self.hystart = HyStart::new();
                self.base.end_slow_start();
            }
        }
    }

    pub(super) fn on_congestion(&mut self, packets: u64, sent: Instant, now: Instant) {
        let window = self.base.window();
        if let Some(undo) = self.base.reduce(sent, BETA, now) {
            self.undo = Some(undo.with(self.curve));
            self.hystart = HyStart::new();
            self.curve.on_reduced(window);
        }
        if let Some(undo) = &mut self.undo {
            undo.on_lost(packets);
        }
    }

    pub(super) fn on_persistent_congestion(&mut self, now: Instant) {
        self.base.on_persistent_congestion(self.undo.take().as_ref(), now);
        self.curve = Curve::default();
    }

    pub(super) fn on_spurious_loss(&mut self, sent: Instant) {
        let base = &self.base;
        if let Some(undo) = self.undo.take_if(|undo| undo.on_found(sent, base)) {
            self.base.restore(&undo);
            self.curve = undo.own;
        }
    }
}

impl Curve {
    /// The window was reduced from `window`. If it had not come back to where the curve aimed,
    /// others want a share: aim lower (RFC 9438 section 4.7).
    fn on_reduced(&mut self, window: u64) {
        self.w_max = if window < self.w_max {
            window * FAST_CONVERGENCE.0 / FAST_CONVERGENCE.1
        } else {
            window
        };
        self.prior = window;
        self.epoch = None;
        self.limited_since = None;
    }

    /// Leaves `time` out of the curve.
    fn skip(&mut self, time: Duration) {
        if let Some(epoch) = &mut self.epoch {
            epoch.start = epoch.start + time;
        }
    }

    /// Congestion avoidance (RFC 9438 sections 4.2 to 4.5).
    fn avoid(&mut self, base: &mut Base, acked: u64, rtt: &Rtt, now: Instant) {
        let window = base.window();
        let datagram = base.datagram();
        let mut epoch = match self.epoch {
            Some(epoch) => epoch,
            None => self.begin(window, datagram, now),
        };
        let (num, den) =
            if epoch.estimate >> 16 >= u128::from(self.prior) { (1, 1) } else { ALPHA };
        let step = (num * u128::from(datagram) * u128::from(acked)) << 16;
        epoch.estimate += step / (den * u128::from(window));
        self.epoch = Some(epoch);

        let t = micros(now.saturating_since(epoch.start));
        let estimate = u64::try_from(epoch.estimate >> 16).unwrap_or(u64::MAX);
        if self.at(t, epoch.k, datagram) < estimate {
            base.set_window(window.max(estimate));
            return;
        }
        let ahead = t.saturating_add(micros(rtt.smoothed()));
        let target = self.at(ahead, epoch.k, datagram).clamp(window, window / 2 * 3);
        base.grow(u128::from(target - window) * u128::from(acked), window);
    }

    fn begin(&mut self, window: u64, datagram: u64, now: Instant) -> Epoch {
        let missing = self.w_max.saturating_sub(window);
        self.w_max = self.w_max.max(window);
        let cube = u128::from(missing) * CUBIC_SECOND / u128::from(datagram) * C.1 / C.0;
        Epoch { start: now, k: cube_root(cube), estimate: u128::from(window) << 16 }
    }

    /// The curve `t` microseconds after the start of the epoch, in bytes.
    fn at(&self, t: u64, k: u64, datagram: u64) -> u64 {
        let distance = u128::from(t.abs_diff(k).min(MAX_DISTANCE));
        let rise = distance * distance * distance * u128::from(datagram) / CUBIC_SECOND;
        let rise = u64::try_from(rise * C.0 / C.1).unwrap_or(u64::MAX);
        if t < k { self.w_max.saturating_sub(rise) } else { self.w_max.saturating_add(rise) }
    }
}

/// The largest integer whose cube is at most `value`, bit by bit; at most [`MAX_DISTANCE`].
fn cube_root(value: u128) -> u64 {
    let mut root: u64 = 0;
    for bit in (0..30).rev() {
        let next = u128::from(root | 1 << bit);
        if next * next * next <= value {
            root |= 1 << bit;
        }
    }
    root
}
