//! Weir: BBRv3 that takes loss for congestion only where water stands.
//!
//! ```text
//!   lost, and no queue ──▶ repaired, and that is all       (a bad radio, a flaky cable)
//!   lost, and a queue  ──▶ as BBRv3 does                   (a full router)
//!   marked             ──▶ as BBRv3 does                   (a router that says so)
//! ```
//!
//! A path that loses packets for reasons of its own drives every controller down that answers
//! loss, BBRv3 included: once in a round trip the rate falls by what was lost. But a drop-tail
//! router that is too full has, by being full, made every packet wait. So loss counts only together
//! with a wait that even the fastest of the last packets had; marks always count. What bounds a
//! sender on a path that drops without any queue (a policer) is the delivery rate itself.
//!
//! The same wait ends a probe after one round without growth, not three, so that a probe fills a
//! small part of the router. And a round trip close to the least one confirms it, so that a sender
//! which is alone on its path never stops to look for a smaller one.

use super::bbr::{Rules, Waiting};

/// A wait below this many nanoseconds says nothing: timers and interrupts make as much.
const LEAST_QUEUE: u64 = 100_000;
/// And one above is a queue, however long the way: that of others may be short.
const MOST_QUEUE: u64 = 5_000_000;

/// BBRv3 in which loss bounds nothing unless a queue stands (spec R-CC-33).
#[derive(Clone, Copy, Debug, Default, Hash)]
pub struct Weir;

impl Rules for Weir {
    /// R-CC-33.
    fn loss_is_congestion(waiting: Waiting) -> bool {
        stands(waiting.min_rtt, waiting.queue)
    }

    /// R-CC-36.
    fn knows_background() -> bool {
        true
    }

    /// R-CC-39.
    fn first_windows(waiting: Waiting) -> u64 {
        if stands(waiting.min_rtt, waiting.queue) { 1 } else { 8 }
    }

    /// R-CC-34.
    fn full_rounds(waiting: Waiting) -> u32 {
        if Self::queue_ends_probe(waiting) { 1 } else { 3 }
    }

    /// R-CC-49. Of a queue that is full, a large flight loses something whenever it probes.
    fn let_pass() -> u64 {
        0
    }

    /// R-CC-49.
    fn backoff() -> u64 {
        70
    }

    /// R-CC-49.
    fn is_bound(waiting: Waiting) -> bool {
        stands(waiting.min_rtt, waiting.queue)
    }

    /// R-CC-50. 1.3 roots of the flight in percent of it are 130 / root.
    fn probe_pace(datagrams: u64) -> u64 {
        100 + (1_300 / (100 * datagrams).isqrt().max(1)).clamp(25, 100)
    }

    /// R-CC-34. A probe at 5/4 of the rate shows no growth of 5/4 where nothing is in its way.
    fn growth() -> (u64, u64) {
        (9, 8)
    }

    /// R-CC-34. What others had waiting before says nothing of this probe.
    fn queue_ends_probe(waiting: Waiting) -> bool {
        stands(waiting.min_rtt, waiting.queue.saturating_sub(waiting.before))
    }

    /// R-CC-34.
    fn startup_window(waiting: Waiting) -> u64 {
        if stands(waiting.min_rtt, waiting.queue) { 150 } else { 200 }
    }

    /// R-CC-35.
    fn confirms(rtt: u64, least: u64) -> bool {
        rtt <= least.saturating_add(standing(least) / 2)
    }
}

/// Whether a queue stands.
fn stands(min_rtt: u64, queue: u64) -> bool {
    queue > standing(min_rtt)
}

/// What may wait before that is a queue: an eighth of the least round trip, within reason.
fn standing(min_rtt: u64) -> u64 {
    (min_rtt / 8).clamp(LEAST_QUEUE, MOST_QUEUE)
}
