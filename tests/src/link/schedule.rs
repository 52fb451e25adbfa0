//! Links that work by the clock: blackholes, partitions, one way dead and the other not.

use std::time::Duration;

use aqueduct_core::time::Instant;

use super::{Machine, Parcel, copies_itself};
use crate::dice::Dice;

/// Open for a while, then shut for a while. In the road of one direction only, it is a one-way
/// failure; in all roads between two groups of hosts, a partition.
#[derive(Clone, Copy, Debug)]
pub struct Schedule {
    /// When the clock begins.
    pub from: Instant,
    /// So long it is open.
    pub on: Duration,
    /// Then so long shut.
    pub off: Duration,
    /// Again and again, and not only once.
    pub repeat: bool,
}

impl Schedule {
    /// From now on: open for `on`, shut for `off`, then open for good.
    pub const fn once(from: Instant, on: Duration, off: Duration) -> Self {
        Self { from, on, off, repeat: false }
    }

    /// The same, again and again.
    #[must_use]
    pub const fn again(self) -> Self {
        Self { repeat: true, ..self }
    }

    /// Whether it lets through what comes at `at`.
    pub fn is_open(&self, at: Instant) -> bool {
        let since = at.saturating_since(self.from);
        let round = self.on + self.off;
        if round.is_zero() || (!self.repeat && since >= round) {
            return true;
        }
        Duration::from_nanos((since.as_nanos() % round.as_nanos()) as u64) < self.on
    }
}

impl Machine for Schedule {
    fn pass(&mut self, parcel: Parcel, _: &mut Dice, out: &mut Vec<Parcel>) {
        if self.is_open(parcel.at) {
            out.push(parcel);
        }
    }

    copies_itself!();
}
