//! How long a pipe waits: for its legs, and for anything at all.

use core::time::Duration;

use crate::time::{Instant, earliest};

use super::leg::{Leg, Legs};
use super::options::LegIndex;

/// A leg that alone holds back the source is given up after this time at the earliest.
const LEAST_WAIT: Duration = Duration::from_secs(1);

/// When what moved last, and what follows from it (spec R-PIPE-9, R-PIPE-10, R-PIPE-17).
#[derive(Clone, Debug)]
#[cfg_attr(any(test, feature = "fingerprint"), derive(Hash))]
pub(super) struct Patience {
    timeout: Option<Duration>,
    /// The last byte in, or acknowledged by a leg.
    progress: Instant,
    /// When the slowest leg moved last.
    moved: Instant,
}

impl Patience {
    pub(super) fn new(timeout: Option<Duration>, now: Instant) -> Self {
        Self { timeout, progress: now, moved: now }
    }

    /// A byte came, or was acknowledged.
    pub(super) fn on_progress(&mut self, now: Instant) {
        self.progress = now;
    }

    /// The slowest leg is further than it was.
    pub(super) fn on_moved(&mut self, now: Instant) {
        self.moved = now;
    }

    /// When the pipe ends for want of any progress.
    pub(super) fn timeout(&self) -> Option<Instant> {
        self.timeout.map(|timeout| self.progress + timeout)
    }

    /// Looks which legs are further behind than they may, and dooms those that were for too long.
    pub(super) fn judge(&mut self, legs: &mut Legs, window: u64, waits: bool, now: Instant) {
        // Where a leg begins says nothing of how fast it is, and what is read here says nothing
        // of any way.
        let moved = legs.values().filter(|leg| leg.acked > leg.range.start);
        let moved = moved.filter(|leg| !leg.is_application());
        let furthest = moved.map(|leg| leg.acked).max().unwrap_or(0);
        let alone = alone(legs, waits);
        for (index, leg) in legs.iter_mut() {
            let Some(allowance) = leg.allowance(window) else { continue };
            let behind = leg.through() < furthest && furthest - leg.acked > allowance;
            leg.behind_since = behind.then(|| leg.behind_since.unwrap_or(now));
            let lagged = leg.behind_since.is_some_and(|since| since + leg.path.pto <= now);
            let blocks = alone == Some(*index) && self.moved + wait(leg) <= now;
            leg.doomed |= lagged || blocks;
        }
    }

    /// When a leg is to be judged again.
    pub(super) fn leg_deadline(&self, legs: &Legs, waits: bool) -> Option<Instant> {
        let open = || legs.values().filter(|leg| !leg.doomed);
        let behind = open().filter_map(|leg| leg.behind_since.map(|since| since + leg.path.pto));
        let alone = alone(legs, waits).and_then(|index| legs.get(&index));
        let alone = alone.filter(|leg| leg.allowance(0).is_some() && !leg.doomed);
        earliest([behind.min(), alone.map(|leg| self.moved + wait(leg))])
    }
}

/// The one leg that all others are beyond, while bytes wait for it.
fn alone(legs: &Legs, waits: bool) -> Option<LegIndex> {
    let (index, slowest) = legs.iter().min_by_key(|(_, leg)| leg.through())?;
    let mut others = legs.iter().filter(|(other, _)| *other != index);
    let beyond = others.all(|(_, leg)| leg.through() > slowest.through());
    (waits && legs.len() > 1 && beyond).then_some(*index)
}

/// How long a leg may hold back the source alone.
fn wait(leg: &Leg) -> Duration {
    (leg.path.pto * 3).max(LEAST_WAIT)
}
