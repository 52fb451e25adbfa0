//! What keeps a connection from sending more, and for how long each cause did.

use core::time::Duration;

use crate::path::LimitedBy;
use crate::time::Instant;

/// What keeps a connection from sending more than it does (spec R-FIG-12).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[expect(clippy::exhaustive_enums, reason = "there is nothing else to wait for")]
pub enum SendLimit {
    /// The path: the peer has not answered yet, or is silent and probed.
    #[default]
    Path,
    /// The application: everything that it gave was sent.
    Application,
    /// The peer's credit for a stream; where the peer forwards it, its next hop.
    StreamCredit,
    /// The peer's credit for all streams together.
    ConnectionCredit,
    /// The congestion window.
    Congestion,
    /// The pacer: what the window allows is spread over time.
    Pacing,
    /// The limit of what the node sends, in all or to this peer (spec `26-shaping.md`).
    Rate,
    /// The peer's address is not validated: it gets three times what came from it.
    Amplification,
    /// The carrier takes no more now: a socket's buffer is full.
    Carrier,
}

impl SendLimit {
    /// All of them, in the order of their numbers.
    pub const ALL: [Self; 9] = [
        Self::Path,
        Self::Application,
        Self::StreamCredit,
        Self::ConnectionCredit,
        Self::Congestion,
        Self::Pacing,
        Self::Rate,
        Self::Amplification,
        Self::Carrier,
    ];

    /// One word for it.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Path => "path",
            Self::Application => "application",
            Self::StreamCredit => "stream-credit",
            Self::ConnectionCredit => "connection-credit",
            Self::Congestion => "window",
            Self::Pacing => "pacing",
            Self::Rate => "rate",
            Self::Amplification => "amplification",
            Self::Carrier => "socket",
        }
    }

    /// What a path says of itself, while `silent` or not.
    pub(super) const fn of_path(by: LimitedBy, silent: bool) -> Self {
        match by {
            LimitedBy::Pacer => Self::Pacing,
            LimitedBy::Amplification => Self::Amplification,
            LimitedBy::Batch | LimitedBy::Window if silent => Self::Path,
            LimitedBy::Batch | LimitedBy::Window => Self::Congestion,
        }
    }
}

/// How long each cause kept a connection from sending more. Together that is all of its life.
///
/// ```
/// use aqueduct_core::connection::{LimitTimes, SendLimit};
///
/// let times = LimitTimes::default();
/// assert_eq!(times.of(SendLimit::Congestion).as_nanos(), 0);
/// assert_eq!(times.iter().map(|(_, time)| time).sum::<core::time::Duration>(), times.total());
/// ```
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct LimitTimes {
    times: [Duration; SendLimit::ALL.len()],
}

impl LimitTimes {
    /// How long this one did.
    pub fn of(&self, limit: SendLimit) -> Duration {
        self.times.get(limit as usize).copied().unwrap_or_default()
    }

    /// All of them.
    pub fn iter(&self) -> impl Iterator<Item = (SendLimit, Duration)> {
        SendLimit::ALL.into_iter().zip(self.times)
    }

    /// Their sum: the time since the connection began.
    pub fn total(&self) -> Duration {
        self.times.iter().sum()
    }

    /// What has come to each since `earlier`, a moment of the same connection.
    #[must_use]
    pub fn since(&self, earlier: &Self) -> Self {
        let mut times = self.times;
        for (time, before) in times.iter_mut().zip(earlier.times) {
            *time = time.saturating_sub(before);
        }
        Self { times }
    }

    fn add(&mut self, limit: SendLimit, time: Duration) {
        self.times.get_mut(limit as usize).into_iter().for_each(|sum| *sum += time);
    }
}

/// The cause of now, and the times of all so far.
#[derive(Clone, Copy, Debug)]
pub(super) struct LimitClock {
    limit: SendLimit,
    since: Instant,
    times: LimitTimes,
}

impl LimitClock {
    pub(super) fn new(now: Instant) -> Self {
        Self { limit: SendLimit::Path, since: now, times: LimitTimes::default() }
    }

    pub(super) const fn now(&self) -> SendLimit {
        self.limit
    }

    /// From `now` on it is `limit`.
    pub(super) fn set(&mut self, limit: SendLimit, now: Instant) {
        if limit != self.limit {
            *self = Self { limit, since: now, times: self.times(now) };
        }
    }

    /// The times until `now`.
    pub(super) fn times(&self, now: Instant) -> LimitTimes {
        let mut times = self.times;
        times.add(self.limit, now.saturating_since(self.since));
        times
    }
}

/// Two that differ in their past alone will do the same.
#[cfg(any(test, feature = "fingerprint"))]
impl core::hash::Hash for LimitClock {
    fn hash<H: core::hash::Hasher>(&self, state: &mut H) {
        self.limit.hash(state);
    }
}

#[cfg(test)]
#[path = "limit_tests.rs"]
mod tests;
