//! What may be said of a pipe, and what it says of itself.

use core::fmt;
use core::time::Duration;

use thiserror::Error;

use crate::error::StreamCode;
use crate::time::Instant;
use crate::wire::id::AppCode;

/// What a leg does when it is slower than others.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[cfg_attr(any(test, feature = "fingerprint"), derive(Hash))]
#[expect(clippy::exhaustive_enums, reason = "the source waits, or it does not")]
pub enum LegPolicy {
    /// The source waits for it.
    #[default]
    Stall,
    /// It is given up when it is further behind the furthest leg than `allowance` bytes (at most
    /// half of the window counts) for a PTO, or when it alone holds back the source for too long
    /// (spec R-PIPE-9, R-PIPE-10).
    Detach {
        /// How far it may fall behind, in bytes.
        allowance: u64,
    },
}

impl LegPolicy {
    /// Detaches with as much allowance as there may be.
    pub const DETACH: Self = Self::Detach { allowance: u64::MAX };
}

/// How a pipe behaves.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[expect(clippy::exhaustive_structs, reason = "built by `default` and changed field by field")]
pub struct PipeOptions {
    /// What legs do when they are slow, unless they are added with another policy.
    pub policy: LegPolicy,
    /// Bytes that the pipe may hold whatever its rate: they even out links whose rates change (spec
    /// R-PIPE-7).
    pub stock: u64,
    /// Bytes a second that the source may send, by holding back its credit; `None`: as fast as it
    /// goes (spec R-PIPE-22).
    pub rate: Option<u64>,
    /// Bytes that the source may send in all; with more the pipe ends as refused (spec
    /// R-PIPE-21). `None`: any number.
    pub limit: Option<u64>,
    /// Bytes behind the furthest leg that stay though every leg has acknowledged them, for legs
    /// that come later; the source is granted as many more. Of what the pool has no room to lend
    /// less stays (spec R-PIPE-23).
    pub keep: u64,
    /// Time without a byte in or out after which the pipe ends (spec R-PIPE-17); `None`: never.
    pub timeout: Option<Duration>,
}

/// The source waits for slow legs; a stock of 1 MiB; 120 s without any progress end the pipe.
impl Default for PipeOptions {
    fn default() -> Self {
        Self {
            policy: LegPolicy::Stall,
            stock: 1024 * 1024,
            rate: None,
            limit: None,
            keep: 0,
            timeout: Some(Duration::from_secs(120)),
        }
    }
}

/// Which leg of a pipe: counts from 0 in the order in which they were added, and is not used again.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct LegIndex(pub u32);

/// How a leg ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
#[cfg_attr(any(test, feature = "fingerprint"), derive(Hash))]
#[non_exhaustive]
pub enum LegEnd {
    /// Its receiver has everything, and knows that it is all.
    #[error("everything was delivered")]
    Delivered,
    /// Its receiver wants no more.
    #[error("stopped{}: {}", Behind(*hop), StreamCode::words(*code))]
    Stopped {
        /// Why.
        code: AppCode,
        /// Relays between here and where it came from.
        hop: u64,
    },
    /// It was too slow and was given up. Its receiver has what lies below.
    #[error("too slow: given up at offset {at}")]
    Detached {
        /// All below was acknowledged.
        at: u64,
    },
    /// Its connection is gone.
    #[error("its connection is gone")]
    Lost,
    /// It was reset, because the source was or because the pipe was cancelled.
    #[error("reset{}: {}", Behind(*hop), StreamCode::words(*code))]
    Reset {
        /// Why.
        code: AppCode,
        /// Relays between here and where it came from.
        hop: u64,
    },
}

/// Where an end began, for people.
struct Behind(u64);

impl fmt::Display for Behind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.0 {
            0 => Ok(()),
            1 => f.write_str(" from one relay away"),
            hops => write!(f, " from {hops} relays away"),
        }
    }
}

/// A leg that ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[cfg_attr(any(test, feature = "fingerprint"), derive(Hash))]
#[expect(clippy::exhaustive_structs, reason = "which, how and with how much")]
pub struct EndedLeg {
    /// Which.
    pub leg: LegIndex,
    /// How.
    pub end: LegEnd,
    /// Bytes that its stream had sent, each counted once; of the application's leg none.
    pub sent: u64,
}

/// What a leg's connection knows of its way.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[cfg_attr(any(test, feature = "fingerprint"), derive(Hash))]
#[expect(clippy::exhaustive_structs, reason = "two times")]
pub struct LegPath {
    /// Its probe time-out, as it is while nothing waits on the way.
    pub pto: Duration,
    /// Its round trip.
    pub rtt: Duration,
}

/// Why no leg was added.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
#[non_exhaustive]
pub enum LegError {
    /// The leg begins below what is still held.
    #[error("offset {wanted} is no longer held: what is held begins at {held}")]
    NotHeld {
        /// Where the leg begins.
        wanted: u64,
        /// Where what is held begins.
        held: u64,
    },
    /// The application is a leg already.
    #[error("the application is a leg already")]
    Twice,
    /// The pipe is over, or ending in a reset.
    #[error("the pipe is over")]
    Over,
}

/// Where a pipe stands. All counts are in bytes.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[cfg_attr(any(test, feature = "fingerprint"), derive(Hash))]
#[expect(clippy::exhaustive_structs, reason = "counters")]
pub struct PipeStats {
    /// Taken from the source.
    pub received: u64,
    /// Acknowledged contiguously by every attached leg: an offset of the body.
    pub acked: u64,
    /// Where what is held begins: the lowest offset at which a leg may be added.
    pub held_from: u64,
    /// Held now: taken and not yet acknowledged by everybody, or kept.
    pub held: u64,
    /// The most that was ever held.
    pub most_held: u64,
    /// Taken and held back from a leg that wants it: from one that is a stream all that it was not
    /// given, whatever lies below (nothing, between two calls); from the application, which reads
    /// in order, what lies above a gap.
    pub waiting: u64,
    /// The most that was held back so at the end of a turn: what reordering costs. Without the
    /// application as a leg nothing is.
    pub most_waiting: u64,
    /// When the first byte was taken from the source; `None`: none came.
    pub first_byte: Option<Instant>,
    /// The window that the source is given.
    pub window: u64,
    /// Legs that are attached.
    pub legs: u32,
    /// Legs that were given up.
    pub detached: u32,
}

/// The distance of one relay more (spec R-PIPE-18).
pub(super) fn further(hop: u64) -> u64 {
    hop.saturating_add(1).min(255)
}

/// Why what goes out ends, when the source does not say it.
pub(super) const LOST: (AppCode, u64) = (StreamCode::ConnectionLost.app(), 0);

#[cfg(test)]
#[path = "options_tests.rs"]
mod tests;
