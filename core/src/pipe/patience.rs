//! How long a pipe waits: for its legs, and for anything at all.

use core::time::Duration;

use crate::time::{Instant, earliest};

use super::late::Look;
use super::leg::{Leg, Legs};
use super::options::LegIndex;

/// A leg that alone holds back the source is given up after this time at the earliest.
const LEAST_WAIT: Duration = Duration::from_secs(1);

/// When what moved last, and what follows from it (spec R-PIPE-9, R-PIPE-10, R-PIPE-17).
#[derive(Clone, Debug)]
#[cfg_attr(any(test, feature = "fingerprint"), derive(Hash))]
pub(super) struct Patience {
    timeout: Option<Duration>,
    /// When the last byte came, or was acknowledged by a leg, or a leg was added.
    progress: Instant,
    /// The leg that alone holds back the source, how far it is, and since when it is there.
    alone: Option<(LegIndex, u64, Instant)>,
}

impl Patience {
    pub(super) fn new(timeout: Option<Duration>, now: Instant) -> Self {
        Self { timeout, progress: now, alone: None }
    }

    /// A byte came, or was acknowledged, or a leg was added.
    pub(super) fn on_progress(&mut self, now: Instant) {
        self.progress = now;
    }

    /// How long it waits.
    pub(super) fn span(&self) -> Option<Duration> {
        self.timeout
    }

    /// When the pipe ends for want of any progress.
    pub(super) fn timeout(&self) -> Option<Instant> {
        self.timeout.map(|timeout| self.progress + timeout)
    }

    /// Looks which legs are further behind than they may, and dooms those that were for too long.
    /// All below `there` came: what others have above a gap, nobody is behind by.
    pub(super) fn judge(
        &mut self,
        legs: &mut Legs,
        window: u64,
        there: u64,
        waits: bool,
        now: Instant,
    ) {
        // Where a leg begins says nothing of how fast it is, and what is read here says nothing
        // of any way.
        let ways = || legs.values().filter(|leg| !leg.is_application());
        let moved = ways().filter(|leg| leg.acked > leg.range.start);
        let furthest = moved.map(|leg| leg.acked.min(there)).max().unwrap_or(0);
        let highest = ways().map(|leg| leg.acked.min(there)).max().unwrap_or(0);
        self.look_who_is_alone(legs, waits, now);
        for (index, leg) in legs.iter_mut() {
            let Some(allowance) = leg.allowance(window) else { continue };
            let wait = wait(leg);
            let behind = furthest.saturating_sub(leg.through());
            let below = highest.saturating_sub(leg.through());
            let look = Look { acked: leg.acked, behind, below, allowance, wait };
            let late = leg.start.judge(&look, now);
            let lags = behind > allowance.saturating_add(leg.start.grace());
            leg.behind_since = lags.then(|| leg.behind_since.unwrap_or(now));
            let lagged = leg.behind_since.is_some_and(|since| since + leg.path.pto <= now);
            let alone = self.alone.filter(|(alone, ..)| alone == index);
            let blocks = alone.is_some_and(|(.., since)| since + wait <= now);
            leg.doomed |= late || lagged || blocks;
        }
    }

    fn look_who_is_alone(&mut self, legs: &Legs, waits: bool, now: Instant) {
        let before = self.alone;
        self.alone = alone(legs, waits).map(|(index, at)| match before {
            Some(same) if (same.0, same.1) == (index, at) => same,
            _ => (index, at, now),
        });
    }

    /// When a leg is to be judged again.
    pub(super) fn leg_deadline(&self, legs: &Legs) -> Option<Instant> {
        let open = || legs.values().filter(|leg| !leg.doomed && leg.allowance(0).is_some());
        let behind = open().filter_map(|leg| leg.behind_since.map(|since| since + leg.path.pto));
        let late = open().filter_map(|leg| leg.start.deadline(wait(leg)));
        let alone = self.alone.and_then(|(index, _, since)| legs.get(&index).zip(Some(since)));
        let alone = alone.filter(|(leg, _)| leg.allowance(0).is_some() && !leg.doomed);
        earliest([behind.min(), late.min(), alone.map(|(leg, since)| since + wait(leg))])
    }
}

/// The one leg that all others are beyond, while bytes wait for it, and how far it is.
fn alone(legs: &Legs, waits: bool) -> Option<(LegIndex, u64)> {
    let (index, slowest) = legs.iter().min_by_key(|(_, leg)| leg.through())?;
    let mut others = legs.iter().filter(|(other, _)| *other != index);
    let beyond = others.all(|(_, leg)| leg.through() > slowest.through());
    (waits && legs.len() > 1 && beyond).then_some((*index, slowest.through()))
}

/// How long a leg may hold back the source alone.
fn wait(leg: &Leg) -> Duration {
    (leg.path.pto * 3).max(LEAST_WAIT)
}

#[cfg(test)]
#[path = "patience_tests.rs"]
mod tests;
