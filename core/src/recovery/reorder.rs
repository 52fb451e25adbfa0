//! How far a packet may come behind others before it counts as lost (after RFC 8985 section 6).
//!
//! Three packets and an eighth of a round trip, until the path shows that it reorders: a packet
//! that was declared lost arrives after all, and says by itself how much patience it would take.
//! What was learnt holds until so many losses were real.

use core::time::Duration;

use super::Rtt;
use crate::time::nanos;

/// Later packets of its path that must have arrived for a packet to be lost at once, where nothing
/// is known of the path (RFC 9002 section 6.1.1).
pub const PACKET_THRESHOLD: u64 = 3;

/// However much a path reorders.
pub const MAX_PACKET_THRESHOLD: u64 = 64;

/// A packet is late by so many eighths of a round trip, at most.
const MOST_EIGHTHS: u64 = 8;

/// Runs of real losses after which a path counts as one that does not reorder.
const RUNS: u32 = 16;

/// What one path taught.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[cfg_attr(any(test, feature = "fingerprint"), derive(Hash))]
pub(super) struct Reordering {
    packets: u64,
    eighths: u64,
    /// Runs of losses until this is forgotten.
    left: u32,
}

impl Default for Reordering {
    fn default() -> Self {
        Self { packets: PACKET_THRESHOLD, eighths: 1, left: 0 }
    }
}

impl Reordering {
    /// Whether a packet is lost if so many later ones arrived.
    pub(super) const fn is_far(&self, behind: u64) -> bool {
        behind >= self.packets
    }

    /// How long after it was sent a packet is lost, if a later one of its path has arrived.
    pub(super) fn loss_delay(&self, rtt: &Rtt) -> Duration {
        rtt.loss_delay(self.eighths)
    }

    /// A packet that was declared lost arrived, `took` after it was sent, when so many later ones
    /// had.
    pub(super) fn on_spurious(&mut self, behind: u64, took: Duration, rtt: Duration) {
        self.packets = self.packets.max(behind.saturating_add(1)).min(MAX_PACKET_THRESHOLD);
        let late = nanos(took.saturating_sub(rtt)).saturating_mul(8);
        let eighths = late.div_ceil(nanos(rtt).max(1)).min(MOST_EIGHTHS);
        self.eighths = self.eighths.max(eighths);
        self.left = RUNS;
    }

    /// Packets sent one after another were lost.
    pub(super) fn on_run(&mut self) {
        self.left = self.left.saturating_sub(1);
        if self.left == 0 {
            *self = Self::default();
        }
    }
}
