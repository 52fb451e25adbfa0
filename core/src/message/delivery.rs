//! How soon a datagram or a message is to go, and until when it is worth sending.

use core::time::Duration;

use crate::stream::Priority;
use crate::time::Instant;

/// How a datagram or a message is to be sent (spec R-MSG-12 to R-MSG-14).
///
/// ```
/// use core::time::Duration;
/// use aqueduct_core::message::Delivery;
/// use aqueduct_core::stream::Priority;
///
/// // Where a player stands: soon or never.
/// let position = Delivery::new().priority(Priority::Urgent).max_age(Duration::from_millis(50));
/// assert_eq!(position.max_age, Some(Duration::from_millis(50)));
/// ```
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
#[cfg_attr(any(test, feature = "arbitrary"), derive(arbitrary::Arbitrary))]
#[non_exhaustive]
pub struct Delivery {
    /// How soon it goes, compared with all else of the connection. Default: normal.
    pub priority: Priority,
    /// What is older than this is not sent any more; counted from when it was handed in. Default:
    /// none, it is sent however late.
    pub max_age: Option<Duration>,
}

impl Delivery {
    /// Normal, however late.
    pub const fn new() -> Self {
        Self { priority: Priority::Normal, max_age: None }
    }

    /// The same, as soon as `priority` says.
    #[must_use]
    pub const fn priority(self, priority: Priority) -> Self {
        Self { priority, ..self }
    }

    /// The same, but never once it is older than `age`.
    #[must_use]
    pub const fn max_age(self, age: Duration) -> Self {
        Self { max_age: Some(age), ..self }
    }

    /// When it is too old, if it is handed in at `now`.
    pub(crate) fn until(&self, now: Instant) -> Option<Instant> {
        self.max_age.map(|age| now + age)
    }
}
