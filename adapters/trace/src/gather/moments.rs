//! When packets of a connection went and came, by this node's clock: what the other end's clock
//! says of the same packets tells how far the two are apart.

use std::collections::BTreeMap;

use aqueduct_core::trace::Way;

/// Numbers of packets that are remembered: of the first ones.
const MOST: u64 = 1 << 14;

/// Times are microseconds since the run began.
#[derive(Debug, Default)]
pub(crate) struct Moments {
    sent: BTreeMap<u64, u64>,
    came: BTreeMap<u64, u64>,
}

impl Moments {
    /// A packet went or came. What comes twice came when it came first.
    pub(crate) fn on_packet(&mut self, number: u64, way: Way, now: u64) {
        let side = if way == Way::Sent { &mut self.sent } else { &mut self.came };
        if number < MOST {
            side.entry(number).or_insert(now);
        }
    }

    /// How far the clock of the other end is ahead of this one, and how long the two quickest
    /// packets took there and back: as if both ways were equally long. `None`: there are no such.
    pub(crate) fn ahead(&self, other: &Self) -> Option<(i64, i64)> {
        let forth = quickest(&self.sent, &other.came)?;
        let back = quickest(&other.sent, &self.came)?;
        Some(((forth - back) / 2, forth + back))
    }
}

/// The least time from one clock's moment to the other's.
fn quickest(sent: &BTreeMap<u64, u64>, came: &BTreeMap<u64, u64>) -> Option<i64> {
    let took = |(number, at): (&u64, &u64)| {
        let came = came.get(number)?;
        Some(i64::try_from(*came).ok()?.saturating_sub(i64::try_from(*at).ok()?))
    };
    sent.iter().filter_map(took).min()
}

#[cfg(test)]
#[path = "moments_tests.rs"]
mod tests;
