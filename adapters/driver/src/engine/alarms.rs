//! Instants that somebody waits for: the driver's own sleep is the only timer that there is.

use std::collections::BTreeMap;

use aqueduct_core::time::Instant;

use crate::wait::Reply;

/// Who is to be told when. Those who do not wait any more are cleared out when the list has
/// doubled, so that it is never much longer than the number of those who do.
#[derive(Default)]
pub(super) struct Alarms {
    set: BTreeMap<(Instant, u64), Reply<()>>,
    /// How many there ever were: two may be set for one instant.
    count: u64,
    clear_at: usize,
}

impl Alarms {
    const FEW: usize = 64;

    pub(super) fn set(&mut self, at: Instant, reply: Reply<()>) {
        if self.set.len() >= self.clear_at.max(Self::FEW) {
            self.set.retain(|_, reply| !reply.is_abandoned());
            self.clear_at = 2 * self.set.len();
        }
        self.count += 1;
        self.set.insert((at, self.count), reply);
    }

    /// Tells all whose instant has come.
    pub(super) fn ring(&mut self, now: Instant) {
        while let Some(first) = self.set.first_entry().filter(|first| first.key().0 <= now) {
            first.remove().send(());
        }
    }

    /// When the next one is due that somebody waits for.
    pub(super) fn next(&mut self) -> Option<Instant> {
        while let Some(first) = self.set.first_entry() {
            if !first.get().is_abandoned() {
                return Some(first.key().0);
            }
            first.remove();
        }
        None
    }
}

#[cfg(test)]
#[path = "alarms_tests.rs"]
mod tests;
