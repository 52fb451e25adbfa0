//! How fast the data of a stream comes.

use crate::time::Instant;

/// How fast data comes, in spans of about a round trip.
#[derive(Clone, Copy, Debug)]
#[cfg_attr(any(test, feature = "fingerprint"), derive(Hash))]
pub(super) struct Pace {
    pub(super) phase: Phase,
    pub(super) since: Instant,
    pub(super) from: u64,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[cfg_attr(any(test, feature = "fingerprint"), derive(Hash))]
pub(super) enum Phase {
    /// Nothing came yet.
    Fresh,
    /// Each span brought more than the one before, as in slow start.
    Startup,
    Steady,
}

impl Pace {
    /// Before the first data.
    pub(super) const fn new() -> Self {
        Self { phase: Phase::Fresh, since: Instant::ZERO, from: 0 }
    }
}
