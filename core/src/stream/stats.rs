//! Counters of a connection's streams.

use crate::error::StreamCode;
use crate::wire::id::AppCode;

/// What streams did since their connection began. Sizes in bytes.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[cfg_attr(any(test, feature = "fingerprint"), derive(Hash))]
#[non_exhaustive]
pub struct StreamStats {
    /// Streams that this side opened.
    pub opened: u64,
    /// Streams that the peer announced.
    pub announced: u64,
    /// Bytes of bodies that were sent again, since the packets with them were lost.
    pub resent: u64,
    /// The most that one stream made this side hold: what came and was not released.
    pub most_held: u64,
    /// The most bytes of one stream that had come, or were skipped, above a gap at a time, whether
    /// they waited here or were passed on.
    pub most_out_of_order: u64,
    /// Streams that ended badly, by why.
    pub errors: StreamErrors,
}

impl StreamStats {
    /// Takes in what other streams did.
    pub(crate) fn add(&mut self, other: &Self) {
        self.opened += other.opened;
        self.announced += other.announced;
        self.resent += other.resent;
        self.most_held = self.most_held.max(other.most_held);
        self.most_out_of_order = self.most_out_of_order.max(other.most_out_of_order);
        self.errors.add(&other.errors);
    }
}

/// How many streams ended badly, by the code that says why. Each stream counts once, by what came
/// first: a reset, a stop, its own time-out, or the loss of its connection. What this side's
/// application gave up itself is no error here.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[cfg_attr(any(test, feature = "fingerprint"), derive(Hash))]
pub struct StreamErrors {
    by_code: [u64; StreamCode::ALL.len()],
    application: u64,
}

impl StreamErrors {
    /// Streams that ended by this code of the protocol.
    pub fn of(&self, code: StreamCode) -> u64 {
        place(code).and_then(|at| self.by_code.get(at)).copied().unwrap_or(0)
    }

    /// Streams that the peer's application gave up by a code of its own.
    pub const fn application(&self) -> u64 {
        self.application
    }

    pub(super) fn count(&mut self, code: AppCode) {
        self.count_many(code, 1);
    }

    pub(super) fn count_many(&mut self, code: AppCode, streams: u64) {
        let known = StreamCode::of(code).and_then(place);
        match known.and_then(|at| self.by_code.get_mut(at)) {
            Some(count) => *count += streams,
            None => self.application += streams,
        }
    }

    fn add(&mut self, other: &Self) {
        self.application += other.application;
        self.by_code.iter_mut().zip(other.by_code).for_each(|(sum, more)| *sum += more);
    }
}

fn place(code: StreamCode) -> Option<usize> {
    StreamCode::ALL.iter().position(|known| *known == code)
}
