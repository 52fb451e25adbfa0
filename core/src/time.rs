//! Time as a value: nanoseconds since an origin that the driver chooses.
//!
//! The core reads no clock. Every input carries `now`; every wish to be woken is an [`Instant`].
//! Never is `None`, not a far-away instant.

use core::ops::Add;
use core::time::Duration;

/// A point in time: nanoseconds since the driver's origin. Never goes backwards between calls.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Instant(u64);

impl Instant {
    /// The driver's origin.
    pub const ZERO: Self = Self(0);

    /// The instant `nanos` nanoseconds after the origin.
    pub const fn from_nanos(nanos: u64) -> Self {
        Self(nanos)
    }

    /// Nanoseconds since the origin.
    pub const fn as_nanos(self) -> u64 {
        self.0
    }

    /// Time that has passed since `earlier`, or zero if `earlier` is not earlier.
    pub const fn saturating_since(self, earlier: Self) -> Duration {
        Duration::from_nanos(self.0.saturating_sub(earlier.0))
    }

    /// The instant `by` before this one, or the origin.
    pub fn saturating_sub(self, by: Duration) -> Self {
        Self(self.0.saturating_sub(nanos(by)))
    }
}

/// Saturates at the end of time (584 years after the origin).
impl Add<Duration> for Instant {
    type Output = Self;

    fn add(self, by: Duration) -> Self {
        Self(self.0.saturating_add(nanos(by)))
    }
}

/// A duration in whole nanoseconds, saturating at `u64::MAX`.
pub fn nanos(duration: Duration) -> u64 {
    u64::try_from(duration.as_nanos()).unwrap_or(u64::MAX)
}

/// The earliest of several wishes; `None` if nobody wishes to be woken.
pub fn earliest(wishes: impl IntoIterator<Item = Option<Instant>>) -> Option<Instant> {
    wishes.into_iter().flatten().min()
}
