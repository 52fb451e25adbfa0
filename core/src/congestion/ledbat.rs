//! LEDBAT++ (draft-irtf-iccrg-ledbat-plus-plus, over RFC 6817): what nobody else wants.
//!
//! ```text
//!             queue > 45 ms, or loss     2 RTT later              2 RTT
//!   SlowStart ───────────────────▶ Until ──────────▶ Frozen ─────────────▶ Regrowing
//!   by GAIN                        by delay ◀───╮    2 datagrams           by GAIN │
//!                                               ╰──────────────────────────────────╯
//!                                                 as large as before: 9 times as long as
//!                                                 that took until the next slowdown
//! ```
//!
//! Where others fill a queue until it overflows, this one wants 60 ms of it, and shrinks as soon as
//! more waits, so that whoever fills it has the path. How much waits is what a round trip takes
//! beyond the least of the last ten minutes. The slowdowns empty the queue, so that everybody sees
//! how long an empty way is; else who came late would take the queue of the others for it. A queue
//! that overflows before it holds 120 ms is too short for all that: of it this one wants a half
//! (R-CC-45, which is not the draft's).
//!
//! Sections without another name are those of the draft.

use core::time::Duration;

use crate::recovery::Rtt;
use crate::time::{Instant, nanos};

use super::base::{Base, Undo};
use super::{Acked, CongestionConfig};

/// What may wait, in nanoseconds (`TARGET`).
const TARGET: u64 = 60_000_000;
/// Where less waits than that when something is lost, no queue overflowed.
const SHALLOW: u64 = 4_000_000;
/// Beyond so much of it the first slow start ends.
const ENOUGH: u64 = TARGET / 4 * 3;
/// The window never grows slower than a 16th of Reno's.
const MOST_DIVISOR: u64 = 16;
/// What remains after a loss (RFC 6817 section 2.4.2).
const HALF: (u64, u64) = (1, 2);
/// Slowdowns take a tenth of the time at most.
const BETWEEN: u32 = 9;
/// A slowdown stays at its least for so many round trips, and the first one comes so much later.
const FROZEN: u32 = 2;
/// Round trips of which the least is what the path takes now (RFC 6817: `CURRENT_FILTER`).
const RECENT: usize = 4;
/// Minutes of which the least is what an empty path takes (RFC 6817: `BASE_HISTORY`).
const MINUTES: usize = 10;
const MINUTE: u64 = 60_000_000_000;
/// No sample yet.
const NONE: u64 = u64::MAX;

/// The controller that yields to all others.
#[derive(Clone, Debug)]
#[cfg_attr(any(test, feature = "fingerprint"), derive(Hash))]
pub struct Ledbat {
    base: Base,
    delays: Delays,
    slowdown: Slowdown,
    undo: Option<Undo<Option<Instant>>>,
}

/// Where it stands between two slowdowns.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[cfg_attr(any(test, feature = "fingerprint"), derive(Hash))]
enum Slowdown {
    /// The first slow start has not ended.
    First,
    /// The next one begins then.
    Until(Instant),
    /// Nothing grows until the second instant.
    Frozen(Instant, Instant),
    /// On the way back; begun then.
    Regrowing(Instant),
}

/// Round trips in nanoseconds.
#[derive(Clone, Copy, Debug)]
#[cfg_attr(any(test, feature = "fingerprint"), derive(Hash))]
struct Delays {
    recent: [u64; RECENT],
    /// The least of each minute, the present one first.
    minutes: [u64; MINUTES],
    /// The most of each minute that it took.
    mosts: [u64; MINUTES],
    minute: Instant,
    /// Until then the most that waited counts for all that finds room.
    overflows: Option<Instant>,
}

impl Ledbat {
    pub(super) fn new(config: &CongestionConfig, datagram_size: u16) -> Self {
        // R-CC-41: two datagrams at first.
        let config = CongestionConfig { initial_datagrams: 2, ..*config };
        Self {
            base: Base::new(&config, datagram_size),
            delays: Delays::new(),
            slowdown: Slowdown::First,
            undo: None,
        }
    }

    pub(super) const fn base(&self) -> &Base {
        &self.base
    }

    pub(super) const fn base_mut(&mut self) -> &mut Base {
        &mut self.base
    }

    pub(super) fn on_sent(&mut self, _bytes: u64, in_flight: u64, rtt: &Rtt, now: Instant) {
        self.base.on_sent(in_flight, rtt, now);
    }

    pub(super) fn on_acked(&mut self, acked: &Acked, rtt: &Rtt, now: Instant) {
        if let Some(sample) = acked.rtt {
            self.delays.on_sample(nanos(sample), now);
        }
        let counts = self.base.on_acked(acked.sent);
        if self.slowdown == Slowdown::First && self.delays.queue() > ENOUGH {
            self.base.end_slow_start();
        }
        self.turn(rtt, now);
        if !counts || matches!(self.slowdown, Slowdown::Frozen(..)) {
            return;
        }
        if !self.base.in_slow_start() {
            self.avoid(acked);
        } else if !acked.app_limited {
            // Section 4.3: slow start is slower by GAIN, too.
            self.base.grow(u128::from(acked.bytes), self.delays.divisor());
        }
    }

    /// Section 4.4: slowdowns, the first and all later ones.
    fn turn(&mut self, rtt: &Rtt, now: Instant) {
        let some = rtt.smoothed() * FROZEN;
        self.slowdown = match self.slowdown {
            Slowdown::First if self.base.threshold().is_some() => Slowdown::Until(now + some),
            Slowdown::Until(at) if now >= at => {
                self.base.fall_back();
                Slowdown::Frozen(now, now + some)
            }
            Slowdown::Frozen(began, until) if now >= until => Slowdown::Regrowing(began),
            Slowdown::Regrowing(began) if !self.base.in_slow_start() => {
                Slowdown::Until(now + now.saturating_since(began) * BETWEEN)
            }
            as_before => as_before,
        };
    }

    /// Sections 4.1 and 4.2: GAIN datagrams more a round trip while less waits than may; else by as
    /// much of the window less as too much waits, but half of it at most.
    fn avoid(&mut self, acked: &Acked) {
        let (window, queue) = (self.base.window(), self.delays.queue());
        let gain = self.base.datagram() / self.delays.divisor();
        self.delays.note_most();
        let target = self.delays.target();
        let excess = u128::from(window) * u128::from(queue.saturating_sub(target));
        let excess = u64::try_from(excess / u128::from(target)).unwrap_or(u64::MAX);
        let acked_part = u128::from(acked.bytes.min(window));
        if excess > gain {
            self.base.shrink(u128::from((excess - gain).min(window / 2)) * acked_part, window);
        } else if !acked.app_limited {
            self.base.grow(u128::from(gain - excess) * acked_part, window);
        }
    }

    /// Loss and marks (RFC 6817 section 2.4.2). What was lost of the flight before a slowdown
    /// counts for the window to which that comes back.
    pub(super) fn on_congestion(&mut self, packets: u64, sent: Instant, now: Instant) {
        let before = self.slowdown.began().is_some_and(|began| sent <= began);
        let slow = before && self.base.in_slow_start() && !self.base.in_recovery(sent);
        if slow {
            self.base.come_back();
        }
        if let Some(undo) = self.base.reduce(sent, HALF, now) {
            self.undo = Some(undo.with(self.delays.overflows));
            self.delays.on_overflow();
        }
        if slow {
            self.base.fall_back();
        }
        if let Some(undo) = &mut self.undo {
            undo.on_lost(packets);
        }
    }

    pub(super) fn on_persistent_congestion(&mut self, now: Instant) {
        self.base.on_persistent_congestion(self.undo.take().as_ref(), now);
    }

    pub(super) fn on_spurious_loss(&mut self, sent: Instant) {
        let base = &self.base;
        if let Some(undo) = self.undo.take_if(|undo| undo.on_found(sent, base)) {
            self.base.restore(&undo);
            self.delays.overflows = undo.own;
        }
    }
}

impl Slowdown {
    const fn began(self) -> Option<Instant> {
        match self {
            Self::Frozen(began, _) | Self::Regrowing(began) => Some(began),
            Self::First | Self::Until(_) => None,
        }
    }
}

impl Delays {
    const fn new() -> Self {
        Self {
            recent: [NONE; RECENT],
            minutes: [NONE; MINUTES],
            mosts: [0; MINUTES],
            minute: Instant::ZERO,
            overflows: None,
        }
    }

    fn on_sample(&mut self, rtt: u64, now: Instant) {
        let passed = nanos(now.saturating_since(self.minute)) / MINUTE;
        if passed > 0 {
            let gone = usize::try_from(passed).unwrap_or(MINUTES).min(MINUTES);
            self.minutes.rotate_right(gone);
            self.minutes.iter_mut().take(gone).for_each(|least| *least = NONE);
            self.mosts.rotate_right(gone);
            self.mosts.iter_mut().take(gone).for_each(|most| *most = 0);
            self.overflows = self.overflows.filter(|until| *until > now);
            self.minute = self.minute + Duration::from_nanos(passed.saturating_mul(MINUTE));
        }
        let [minute, ..] = &mut self.minutes;
        *minute = rtt.min(*minute);
        self.recent.rotate_right(1);
        let [newest, ..] = &mut self.recent;
        *newest = rtt;
    }

    /// So much waits while the window is not made small on purpose.
    fn note_most(&mut self) {
        let now = self.recent();
        let [most, ..] = &mut self.mosts;
        *most = now.max(*most);
    }

    /// Something was lost. Where a queue stands that is what it is too short for, for as long as
    /// the most of this minute is known.
    fn on_overflow(&mut self) {
        if self.queue() >= SHALLOW {
            self.note_most();
            self.overflows = Some(self.minute + Duration::from_nanos(MINUTES as u64 * MINUTE));
        }
    }

    /// What may wait.
    fn target(&self) -> u64 {
        let most = self.mosts.iter().copied().max().unwrap_or(0).saturating_sub(self.least());
        let finds_room = self.overflows.map_or(u64::MAX, |_| most);
        (finds_room / 2).clamp(SHALLOW / 2, TARGET)
    }

    /// What an empty path takes; 0 while nothing is known.
    fn least(&self) -> u64 {
        self.minutes.iter().copied().min().filter(|least| *least != NONE).unwrap_or(0)
    }

    /// What the path takes now; 0 while nothing is known.
    fn recent(&self) -> u64 {
        self.recent.iter().copied().min().filter(|now| *now != NONE).unwrap_or(0)
    }

    /// What waits.
    fn queue(&self) -> u64 {
        self.recent().saturating_sub(self.least())
    }

    /// 1 / GAIN (section 4.1): the shorter the way, the more round trips the target is.
    fn divisor(&self) -> u64 {
        (2 * TARGET).div_ceil(self.least().max(1)).min(MOST_DIVISOR)
    }
}

#[cfg(test)]
#[path = "ledbat_tests.rs"]
mod tests;
