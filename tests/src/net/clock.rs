//! Clocks of hosts, which are never the world's.

use std::time::Duration;

use aqueduct_core::time::Instant;

/// What a host reads from its clock: the world's time, from another origin and a little faster or
/// slower.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Clock {
    /// So much ahead of the world from the start.
    pub ahead: Duration,
    /// And so many millionths faster; negative if slower.
    pub drift: i32,
}

const MILLION: i128 = 1_000_000;

impl Clock {
    /// What it shows when the world has `at`.
    pub fn local(&self, at: Instant) -> Instant {
        let world = i128::from(at.as_nanos());
        let local = world + world * i128::from(self.drift) / MILLION;
        Instant::from_nanos(local as u64) + self.ahead
    }

    /// The earliest instant of the world at which it shows `local` or more.
    pub fn world(&self, local: Instant) -> Instant {
        let own = i128::from(local.saturating_sub(self.ahead).as_nanos());
        let mut at =
            Instant::from_nanos((own * MILLION / (MILLION + i128::from(self.drift))) as u64);
        while self.local(at) < local {
            at = at + Duration::from_nanos(1);
        }
        at
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_instant_of_the_host_is_found_in_the_world() {
        for drift in [-200_000, -50, 0, 7, 300_000] {
            let clock = Clock { ahead: Duration::from_secs(3), drift };
            for nanos in [0, 1, 999, 1_000_000_007, 60_000_000_000_001] {
                let local = Instant::from_nanos(nanos) + clock.ahead;
                let world = clock.world(local);
                assert!(clock.local(world) >= local, "{drift} {nanos}");
                let before = world.saturating_sub(Duration::from_nanos(3));
                assert!(nanos < 4 || clock.local(before) < local, "{drift} {nanos}");
            }
        }
    }
}
