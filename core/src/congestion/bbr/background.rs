//! What a path loses whatever is sent: measured while nothing waits, and left out of account.
//!
//! ```text
//!   a round of a hundred datagrams or more, nothing waiting
//!     lost what chance makes of the background ──▶ the background follows it
//!     lost more, twice                         ──▶ what was delivered bounds the rate
//!        and that helped                       ──▶ so it stays: a policer, or a short queue
//!        and that did not help                 ──▶ it is the background now: a bad radio
//! ```

use crate::congestion::Lost;
use crate::time::Instant;

use super::{Bbr, Mode, Rules, Sample};

/// Datagrams by which a path is judged, at least; and never by less than a round.
const SPAN: u64 = 100;
/// In what a share is counted: parts of a million.
const WHOLE: u64 = 1_000_000;
/// No path loses more than this in the background.
const MOST: u64 = WHOLE / 2;
/// Loss of so much of a flight is what BBR lets pass (section 2.5: `LossThresh`).
const LET_PASS: u64 = WHOLE / 50;
/// What chance adds to a number of losses, in square roots of it.
const SIGMAS: u64 = 3;
/// Datagrams are counted in thousandths.
const MILLI: u64 = 1_000;

/// The share that is lost without a queue, and how it is found.
#[derive(Clone, Copy, Debug, Default)]
#[cfg_attr(any(test, feature = "fingerprint"), derive(Hash))]
pub(super) struct Background {
    /// Parts of a million.
    share: u64,
    /// How many are lost one after another, in thousandths.
    run: u64,
    /// Since the last judgement.
    span: Span,
    trial: Trial,
    /// The largest rate at the last judgement.
    rate: u64,
}

#[derive(Clone, Copy, Debug, Default)]
#[cfg_attr(any(test, feature = "fingerprint"), derive(Hash))]
struct Span {
    delivered: u64,
    lost: u64,
    runs: u64,
    queued: bool,
}

/// Whether the rate was bounded to see what that does to loss.
#[derive(Clone, Copy, Debug, Default)]
#[cfg_attr(any(test, feature = "fingerprint"), derive(Hash))]
enum Trial {
    #[default]
    None,
    /// One round lost too much, which a single burst can do.
    Suspected,
    /// So much was lost without the bound; what was sent before it is still under way.
    Begun(u64),
    Runs(u64),
}

/// Some bytes of which some were lost.
#[derive(Clone, Copy, Debug)]
struct Losses {
    /// In thousandths of a datagram.
    sent: u64,
    lost: u64,
    /// How many one after another, here or before.
    run: u64,
    /// Here.
    measured: u64,
}

impl Losses {
    fn of(lost: u64, sent: u64, datagram: u64) -> Self {
        let milli = |bytes: u64| bytes.saturating_mul(MILLI) / datagram.max(1);
        Self { sent: milli(sent), lost: milli(lost), run: MILLI, measured: MILLI }
    }

    /// They came in so many runs, or in as long ones as before.
    fn in_runs(self, runs: u64, before: u64) -> Self {
        let measured = (self.lost / runs.max(1)).max(MILLI);
        Self { run: measured.max(before), measured, ..self }
    }

    /// Whether more is lost than chance makes of `share`, and than `beside` of what was sent.
    fn exceed(self, share: u64, beside: u64) -> bool {
        let part = |of: u64| u128::from(self.sent) * u128::from(of) / u128::from(WHOLE);
        let expected = u64::try_from(part(share)).unwrap_or(u64::MAX);
        let chance = SIGMAS.saturating_mul(expected.saturating_mul(self.run).isqrt());
        u128::from(self.lost) > u128::from(expected.saturating_add(chance)) + part(beside)
    }

    fn share(self) -> u64 {
        let share = u128::from(self.lost) * u128::from(WHOLE) / u128::from(self.sent.max(1));
        u64::try_from(share).unwrap_or(MOST).min(MOST)
    }
}

impl Background {
    /// Whether `lost` of `sent` bytes is more than is lost anyway.
    pub(super) fn is_more(&self, lost: u64, sent: u64, datagram: u64) -> bool {
        Losses::of(lost, sent, datagram).in_runs(u64::MAX, self.run).exceed(self.share, 0)
    }

    /// Whether it is more by what is let pass, in parts of a million.
    pub(super) fn is_excess(&self, lost: u64, sent: u64, let_pass: u64, datagram: u64) -> bool {
        Losses::of(lost, sent, datagram).in_runs(u64::MAX, self.run).exceed(self.share, let_pass)
    }

    pub(super) const fn on_lost(&mut self, lost: &Lost) {
        self.span.lost = self.span.lost.saturating_add(lost.bytes);
        self.span.runs = self.span.runs.saturating_add(lost.ranges);
    }

    /// `queued`: a queue stood meanwhile.
    pub(super) const fn on_acked(&mut self, bytes: u64, queued: bool) {
        self.span.delivered = self.span.delivered.saturating_add(bytes);
        self.span.queued |= queued;
    }

    /// What is lost on another path counts from now on.
    pub(super) fn on_moved(&mut self) {
        self.span = Span::default();
    }

    /// What it was measured against turned out to be a queue.
    pub(super) fn forget(&mut self) {
        *self = Self::default();
    }

    /// Whether the rate is larger by a quarter than at the last judgement, as while a pipe fills.
    fn has_grown(&mut self, rate: u64) -> bool {
        let before = core::mem::replace(&mut self.rate, rate);
        u128::from(rate) * 4 >= u128::from(before) * 5
    }

    /// What a round and a hundred datagrams lost.
    fn take_span(&mut self, datagram: u64) -> Option<(Losses, bool)> {
        let Span { delivered, lost, runs, queued } = self.span;
        let sent = delivered.saturating_add(lost);
        if sent < datagram.saturating_mul(SPAN) {
            return None;
        }
        self.span = Span::default();
        Some((Losses::of(lost, sent, datagram).in_runs(runs, self.run), queued))
    }

    fn learn(&mut self, losses: Losses) {
        self.share = (self.share * 7 + losses.share()) / 8;
        if losses.lost > 0 {
            // Longer ones are believed at once, shorter ones by and by.
            self.run = losses.measured.max((self.run * 7 + losses.measured) / 8);
        }
    }
}

impl<R: Rules> Bbr<R> {
    /// At the end of a round: what it lost is judged, if it was enough to judge by.
    pub(super) fn judge_losses(&mut self, sample: &Sample, now: Instant) {
        if !R::knows_background() || !self.rounds.began {
            return;
        }
        let Some((losses, queued)) = self.background.take_span(self.datagram) else { return };
        if losses.exceed(LET_PASS, 0) {
            self.min_rtt.doubt(now);
        }
        if queued {
            // What follows it is the first again.
            if matches!(self.background.trial, Trial::Suspected) {
                self.background.trial = Trial::None;
            }
            return;
        }
        let growing = self.mode == Mode::Startup && self.background.has_grown(self.max_rate.get());
        if growing || !losses.exceed(self.background.share, LET_PASS) {
            if growing || !self.mode.is_accelerating() {
                self.end_trial();
                self.background.learn(losses);
            }
            return;
        }
        if self.probe.sampling {
            sometimes!("congestion: a probe lost too much, and nothing waited");
            self.on_too_high(sample.tx_in_flight, sample.app_limited, now);
        } else if self.mode != Mode::Refill {
            self.try_less(losses);
        }
    }

    /// More is lost than usual, and nothing waits: what arrived bounds the rate, unless that was
    /// tried and changed little.
    fn try_less(&mut self, losses: Losses) {
        let share = losses.share();
        self.background.trial = match self.background.trial {
            Trial::None => Trial::Suspected,
            Trial::Begun(before) => Trial::Runs(before),
            Trial::Runs(before) if share >= before / 4 * 3 => {
                sometimes!("congestion: loss is nobody's doing");
                (self.background.share, self.background.run) = (share, losses.run);
                self.bounds.forget_short();
                Trial::None
            }
            Trial::Suspected | Trial::Runs(_) => {
                sometimes!("congestion: loss without a queue bounds the rate");
                self.full.reached = true;
                let rate = u128::from(self.rate()) * u128::from(WHOLE - share) / u128::from(WHOLE);
                self.bounds.short_rate = u64::try_from(rate).unwrap_or(u64::MAX).max(1);
                Trial::Begun(share)
            }
        };
    }

    /// No more is lost than usual. If that is because of a bound, then no faster sample was of the
    /// path's rate: it was of a bucket that was full.
    fn end_trial(&mut self) {
        if matches!(self.background.trial, Trial::Begun(_) | Trial::Runs(_)) {
            self.max_rate.lower(self.bounds.short_rate);
        }
        self.background.trial = Trial::None;
    }
}

#[cfg(test)]
#[path = "background_tests.rs"]
mod tests;
