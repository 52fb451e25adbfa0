//! The core's time, read from the machine's monotonic clock.

use std::time::Duration;

use aqueduct_core::time::Instant;

/// Turns the machine's monotonic clock into the core's instants: nanoseconds since the clock was
/// made. Never goes backwards.
#[derive(Clone, Copy, Debug)]
pub struct Clock {
    epoch: std::time::Instant,
}

impl Clock {
    /// A clock whose origin is now.
    pub fn start() -> Self {
        Self { epoch: std::time::Instant::now() }
    }

    /// Nanoseconds since the origin.
    pub fn now(&self) -> Instant {
        Instant::ZERO + self.epoch.elapsed()
    }

    /// The machine's name for an instant of the core; `None` if it cannot express it.
    pub fn to_std(&self, instant: Instant) -> Option<std::time::Instant> {
        self.epoch.checked_add(Duration::from_nanos(instant.as_nanos()))
    }
}
