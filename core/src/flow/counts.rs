//! Streams of one kind that the peer opens.

use crate::recovery::Latest;

/// Streams of one kind that the peer opens.
#[derive(Clone, Debug)]
#[cfg_attr(any(test, feature = "fingerprint"), derive(Hash))]
pub(super) struct Counts {
    pub(super) limit: u64,
    pub(super) returned: u64,
    pub(super) asked: u64,
    /// How many were opened, and one more than the highest sequence number among them.
    pub(super) opened: u64,
    pub(super) highest: u64,
    pub(super) retired: u64,
    /// How many we want open or allowed at once.
    pub(super) window: u64,
    pub(super) max: Latest<u64>,
}

impl Counts {
    pub(super) const fn new(limit: u64) -> Self {
        Self {
            limit,
            returned: 0,
            asked: 0,
            opened: 0,
            highest: 0,
            retired: 0,
            window: limit,
            max: Latest::delivered(limit),
        }
    }

    /// The first sequence number that is not allowed.
    pub(super) const fn allowed(&self) -> u64 {
        self.limit - self.returned
    }

    pub(super) const fn unopened(&self) -> u64 {
        self.allowed() - self.opened
    }

    pub(super) const fn open(&self) -> u64 {
        self.opened - self.retired
    }

    pub(super) const fn window_used(&self) -> u64 {
        self.open() + self.unopened()
    }

    pub(super) const fn gain(&self) -> u64 {
        self.window.saturating_sub(self.window_used())
    }

    /// Asserts what holds of a count by itself.
    #[cfg(any(test, feature = "arbitrary", debug_assertions))]
    pub(super) fn check(&self) {
        assert!(self.returned <= self.asked && self.asked <= self.limit);
        assert!(self.highest <= self.allowed() && self.opened <= self.allowed());
        assert!(self.retired <= self.opened);
    }
}
