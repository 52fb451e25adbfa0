//! How often a peer may ask whether this side is there, on a path that carries no data.

use core::time::Duration;

use crate::time::Instant;

/// Challenges that are heard in a probe timeout (spec R-PATH-5).
const MOST: u8 = 4;

/// The challenges of a probe timeout.
#[derive(Clone, Copy, Debug, Default)]
#[cfg_attr(any(test, feature = "fingerprint"), derive(Hash))]
pub(super) struct Asked {
    since: Option<Instant>,
    heard: u8,
}

impl Asked {
    /// Never asked.
    pub(super) const fn new() -> Self {
        Self { since: None, heard: 0 }
    }

    /// A challenge came. Returns whether it is to be answered: the first of each probe timeout are.
    pub(super) fn is_heard(&mut self, pto: Duration, now: Instant) -> bool {
        if self.since.is_none_or(|since| since + pto <= now) {
            *self = Self { since: Some(now), heard: 0 };
        }
        let heard = self.heard < MOST;
        self.heard = self.heard.saturating_add(heard.into());
        heard
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// spec: R-PATH-5
    #[test]
    fn four_are_heard_in_a_probe_timeout_and_four_in_the_next() {
        let (mut asked, pto) = (Asked::new(), Duration::from_millis(100));
        let mut heard_at = |ms: u64| asked.is_heard(pto, Instant::from_nanos(ms * 1_000_000));
        let heard = (0..300).filter(|ms| heard_at(*ms)).collect::<alloc::vec::Vec<_>>();
        assert_eq!(heard, [0, 1, 2, 3, 100, 101, 102, 103, 200, 201, 202, 203]);
    }
}
