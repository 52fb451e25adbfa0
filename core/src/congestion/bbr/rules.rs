//! Where BBR leaves room for another judgement: as drafted, unless a variant says otherwise.

use core::fmt::Debug;
use core::hash::Hash;

/// What a queue is measured against, in nanoseconds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Waiting {
    /// The least round trip.
    pub min_rtt: u64,
    /// By how much more even the fastest of the last packets took.
    pub queue: u64,
    /// What waited when the sender last began to probe for more.
    pub before: u64,
}

/// The judgements of one variant. Nothing in it: the type is the variant.
pub trait Rules: Clone + Debug {
    /// Whether packets lost while so much waits mean congestion (section 5.5.10: always).
    fn loss_is_congestion(_: Waiting) -> bool {
        true
    }

    /// Whether loss is left out of account that was there before anything waited (section 5.5.10:
    /// no).
    fn knows_background() -> bool {
        false
    }

    /// Initial windows that leave before what they measure bounds the window (section 5.6.4.6:
    /// one).
    fn first_windows(_: Waiting) -> u64 {
        1
    }

    /// Rounds without growth that show a full pipe (section 5.3.1.2: three).
    fn full_rounds(_: Waiting) -> u32 {
        3
    }

    /// The window in Startup, in percent of rate times least round trip (section 5.6.1: twice).
    fn startup_window(_: Waiting) -> u64 {
        200
    }

    /// The loss of a flight that is let pass, in parts of a million (section 2.5: `LossThresh`).
    fn let_pass() -> u64 {
        20_000
    }

    /// What remains of a flight with which a probe lost too much, in percent (section 5.5.10.2: all
    /// of it).
    fn backoff() -> u64 {
        100
    }

    /// Whether a long-term bound is in force between probes that was found while something waited
    /// (section 5.6.4.7: always).
    fn is_bound(_: Waiting) -> bool {
        true
    }

    /// The pace of a probe for so many datagrams in flight, in percent of the rate (section 5.6.1).
    fn probe_pace(_datagrams: u64) -> u64 {
        125
    }

    /// What counts as growth while probing in steady state, as a fraction (section 5.3.1.2).
    fn growth() -> (u64, u64) {
        (5, 4)
    }

    /// Whether a probe ends where its own bound is met, if it made a queue on the way (section
    /// 5.3.3.4.3: no, the bound rises).
    fn queue_ends_probe(_: Waiting) -> bool {
        false
    }

    /// Whether a round trip that is not below the least one shows that it still holds (section
    /// 5.3.4.3: no).
    fn confirms(_rtt: u64, _least: u64) -> bool {
        false
    }
}

/// BBRv3 as it stands in the draft.
#[derive(Clone, Copy, Debug, Default, Hash)]
pub struct Drafted;

impl Rules for Drafted {}
