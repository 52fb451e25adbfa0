//! All pipes of an endpoint together, in numbers.

use crate::error::StreamCode;
use crate::pipe::Pipe;

/// Sums over pipes, those that are over included. They never fall.
#[derive(Clone, Copy, Debug, Default)]
#[cfg_attr(any(test, feature = "fingerprint"), derive(Hash))]
pub(super) struct PipeSums {
    /// Bytes taken from sources.
    pub(super) received: u64,
    /// The most bytes that one of them held.
    pub(super) most_held: u64,
    /// Pipes that this node ended, since nothing happened to them.
    pub(super) timed_out: u64,
    /// Pipes that this node ended, since more came than it passes on.
    pub(super) refused: u64,
    /// Legs that were too slow.
    pub(super) detached: u64,
}

impl PipeSums {
    /// Takes in what a pipe did.
    pub(super) fn add(&mut self, pipe: &Pipe) {
        let stats = pipe.stats();
        self.received += stats.received;
        self.most_held = self.most_held.max(stats.most_held);
        self.detached += u64::from(stats.detached);
        match pipe.cancelled().and_then(StreamCode::of) {
            Some(StreamCode::Timeout) => self.timed_out += 1,
            Some(StreamCode::Refused) => self.refused += 1,
            _ => {}
        }
    }
}
