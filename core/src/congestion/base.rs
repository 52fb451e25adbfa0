//! What window-based controllers share: the window, its threshold, recovery periods, undo.

use core::time::Duration;

use crate::recovery::Rtt;
use crate::time::{Instant, nanos};

use super::{CongestionConfig, State};

/// No slow-start threshold was found yet.
const UNKNOWN: u64 = u64::MAX;

/// No window grows beyond this many bytes: sums and products stay far from overflow.
const MAX_WINDOW: u64 = 1 << 40;

/// The window and what surrounds it. All sizes in bytes.
#[derive(Clone, Copy, Debug)]
#[cfg_attr(any(test, feature = "fingerprint"), derive(Hash))]
pub(super) struct Base {
    window: u64,
    /// Growth that is not a whole byte yet, in 1/65536 byte.
    fraction: u64,
    threshold: u64,
    datagram: u64,
    initial_datagrams: u64,
    /// When the last reduction was made: losses of packets sent until then belong to it.
    reduced_at: Option<Instant>,
    /// No packet sent after the reduction has been acknowledged yet.
    recovering: bool,
    /// The window has not come back to the threshold since persistent congestion.
    regrowing: bool,
    last_sent: Option<Instant>,
}

/// What a reduction changed, until it is certain.
#[derive(Clone, Copy, Debug)]
#[cfg_attr(any(test, feature = "fingerprint"), derive(Hash))]
pub(super) struct Undo<T> {
    window: u64,
    threshold: u64,
    /// Packets of this reduction that have not turned up.
    missing: u64,
    /// The reduction before: packets sent until then are not of this one.
    after: Option<Instant>,
    regrowing: bool,
    /// What the controller keeps besides.
    pub(super) own: T,
}

impl Base {
    pub(super) fn new(config: &CongestionConfig, datagram_size: u16) -> Self {
        let mut base = Self {
            window: 0,
            fraction: 0,
            threshold: UNKNOWN,
            datagram: u64::from(datagram_size.max(1)),
            initial_datagrams: u64::from(config.initial_datagrams.max(2)),
            reduced_at: None,
            recovering: false,
            regrowing: false,
            last_sent: None,
        };
        base.window = base.initial_datagrams * base.datagram;
        base
    }

    pub(super) const fn window(&self) -> u64 {
        self.window
    }

    pub(super) const fn datagram(&self) -> u64 {
        self.datagram
    }

    pub(super) fn threshold(&self) -> Option<u64> {
        (self.threshold != UNKNOWN).then_some(self.threshold)
    }

    pub(super) const fn in_slow_start(&self) -> bool {
        self.window < self.threshold
    }

    pub(super) fn in_recovery(&self, sent: Instant) -> bool {
        self.reduced_at.is_some_and(|at| sent <= at)
    }

    pub(super) fn state(&self) -> State {
        match (self.recovering, self.in_slow_start()) {
            (true, _) => State::Recovery,
            (false, true) => State::SlowStart,
            (false, false) => State::Avoidance,
        }
    }

    /// Two datagrams (RFC 9002 section 7.2).
    const fn minimum(&self) -> u64 {
        2 * self.datagram
    }

    /// What a path is given of which nothing is known; large datagrams do not raise it beyond two
    /// of them (RFC 9002 section 7.2).
    fn initial(&self) -> u64 {
        (self.initial_datagrams * self.datagram).min((2 * self.datagram).max(14_720))
    }

    /// Adds `numerator / denominator` bytes, keeping the fraction.
    pub(super) fn grow(&mut self, numerator: u128, denominator: u64) {
        let scaled = (numerator << 16) / u128::from(denominator.max(1));
        let scaled = u64::try_from(scaled).unwrap_or(u64::MAX >> 1).saturating_add(self.fraction);
        self.fraction = scaled & 0xffff;
        self.set_window(self.window.saturating_add(scaled >> 16));
    }

    /// Takes away `numerator / denominator` bytes, keeping the fraction. The threshold goes along.
    pub(super) fn shrink(&mut self, numerator: u128, denominator: u64) {
        let scaled = (numerator << 16) / u128::from(denominator.max(1));
        let left =
            (u128::from(self.window) << 16 | u128::from(self.fraction)).saturating_sub(scaled);
        self.fraction = u64::try_from(left & 0xffff).unwrap_or(0);
        self.window = u64::try_from(left >> 16).unwrap_or(MAX_WINDOW).max(self.minimum());
        self.threshold = self.threshold.min(self.window);
    }

    /// Falls to the minimum, to come back in slow start.
    pub(super) fn fall_back(&mut self) {
        if !self.in_slow_start() {
            self.threshold = self.window;
        }
        (self.window, self.fraction) = (self.minimum(), 0);
    }

    /// Comes back at once to what it fell from.
    pub(super) fn come_back(&mut self) {
        if self.threshold != UNKNOWN {
            self.set_window(self.threshold);
        }
    }

    /// Goes on where another controller stood, which had this.
    pub(super) const fn take_over(&mut self, other: &Self) {
        *self = Self { initial_datagrams: self.initial_datagrams, fraction: 0, ..*other };
    }

    /// Goes on with the window of a controller that had nothing else of this.
    pub(super) fn begin_at(&mut self, window: u64, searching: bool) {
        self.set_window(window);
        if !searching {
            self.end_slow_start();
        }
    }

    pub(super) fn set_window(&mut self, window: u64) {
        self.window = window.clamp(self.minimum(), MAX_WINDOW.max(self.minimum()));
        if self.window >= self.threshold {
            self.regrowing = false;
        }
    }

    /// Ends slow start where the window stands.
    pub(super) fn end_slow_start(&mut self) {
        self.threshold = self.window;
        self.regrowing = false;
    }

    /// Takes note of an ACK. Returns whether it may make the window grow.
    pub(super) fn on_acked(&mut self, sent: Instant) -> bool {
        let grows = !self.in_recovery(sent);
        self.recovering &= !grows;
        grows
    }

    /// Answers congestion on a packet sent at `sent` by `numerator / denominator` of the window,
    /// unless that packet belongs to the last reduction. Returns what undoes it.
    pub(super) fn reduce(
        &mut self,
        sent: Instant,
        (numerator, denominator): (u64, u64),
        now: Instant,
    ) -> Option<Undo<()>> {
        if self.in_recovery(sent) {
            return None;
        }
        let undo = Undo {
            window: self.window,
            threshold: self.threshold,
            missing: 0,
            after: self.reduced_at,
            regrowing: self.regrowing,
            own: (),
        };
        self.reduced_at = Some(now);
        self.recovering = true;
        self.fraction = 0;
        self.threshold = (self.window * numerator / denominator).max(self.minimum());
        self.set_window(self.threshold);
        Some(undo)
    }

    /// Starts again from the minimum. The threshold that the loss just made stays, but repeated
    /// time-outs do not lower it again (RFC 5681 section 3.1), and it is no lower than an initial
    /// window: else a few outages in a row would leave a long path growing by a datagram a round
    /// trip.
    pub(super) fn on_persistent_congestion<T>(&mut self, undo: Option<&Undo<T>>, now: Instant) {
        let held = undo.filter(|undo| undo.regrowing).map_or(0, |undo| undo.threshold);
        self.threshold = self.threshold.max(held).max(self.initial());
        self.window = self.minimum();
        self.fraction = 0;
        // Whatever else of the outage turns out lost belongs to it.
        self.reduced_at = Some(now);
        self.recovering = false;
        self.regrowing = true;
    }

    /// Puts back what a reduction took.
    pub(super) fn restore<T>(&mut self, undo: &Undo<T>) {
        self.threshold = undo.threshold;
        self.set_window(self.window.max(undo.window));
        self.recovering = false;
    }

    pub(super) fn on_datagram_size_changed(&mut self, datagram_size: u16) {
        self.datagram = u64::from(datagram_size.max(1));
        self.set_window(self.window);
    }

    /// What may be in flight once a packet leaves. If nothing was in flight for longer than a probe
    /// timeout, the window halves for each that passed, down to the initial one (RFC 2861).
    pub(super) fn window_to_send(&self, in_flight: u64, rtt: &Rtt, now: Instant) -> u64 {
        let Some(idle) = self.idle(in_flight, rtt, now) else { return self.window };
        let halvings = nanos(idle) / nanos(rtt.pto_base()).max(1);
        let halved = self.window.checked_shr(u32::try_from(halvings).unwrap_or(64)).unwrap_or(0);
        halved.max(self.initial()).min(self.window)
    }

    /// A packet leaves. After an idle time the threshold remembers three quarters of what the
    /// window was. Returns the idle time, if it was one.
    pub(super) fn on_sent(&mut self, in_flight: u64, rtt: &Rtt, now: Instant) -> Option<Duration> {
        let (idle, window) =
            (self.idle(in_flight, rtt, now), self.window_to_send(in_flight, rtt, now));
        self.last_sent = Some(now);
        if idle.is_some() && self.window > self.initial() {
            self.threshold = self.threshold.max(self.window / 4 * 3);
            self.set_window(window);
        }
        idle
    }

    /// For how long nothing was sent, if nothing is in flight and that is longer than a probe
    /// timeout.
    fn idle(&self, in_flight: u64, rtt: &Rtt, now: Instant) -> Option<Duration> {
        let idle = now.saturating_since(self.last_sent?);
        (in_flight == 0 && idle > rtt.pto_base()).then_some(idle)
    }
}

impl<T> Undo<T> {
    /// The same, carrying what the controller keeps besides.
    pub(super) fn with<U>(self, own: U) -> Undo<U> {
        let Self { window, threshold, missing, after, regrowing, .. } = self;
        Undo { window, threshold, missing, after, regrowing, own }
    }

    /// More packets of the same reduction were declared lost.
    pub(super) const fn on_lost(&mut self, packets: u64) {
        self.missing = self.missing.saturating_add(packets);
    }

    /// One of them arrived after all. Returns whether that was the last.
    pub(super) fn on_found(&mut self, sent: Instant, base: &Base) -> bool {
        let ours = base.in_recovery(sent) && self.after.is_none_or(|after| sent > after);
        if !ours || self.missing == 0 {
            return false;
        }
        self.missing -= 1;
        self.missing == 0
    }
}
