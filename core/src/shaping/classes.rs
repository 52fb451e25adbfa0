//! Which of two classes a packet begins with, by weight.

use super::Class;

/// Bytes of normal for one of bulk, while both have something to send (spec R-SHP-14).
pub const NORMAL_WEIGHT: i64 = 4;

/// How far one class is ahead of the other, in bytes for its weight.
#[derive(Clone, Debug, Default)]
#[cfg_attr(any(test, feature = "fingerprint"), derive(Hash))]
pub(super) struct Weights {
    /// Normal bytes more than its due; below zero, fewer.
    lead: i64,
}

impl Weights {
    /// The class that has had less.
    pub(super) const fn first(&self) -> Class {
        if self.lead <= 0 { Class::Normal } else { Class::Bulk }
    }

    /// `bytes` of a class left. A class that did not use its turns claims no more than one of
    /// `most` bytes.
    pub(super) fn on_sent(&mut self, class: Class, bytes: u64, most: u64) {
        let bytes = i64::try_from(bytes).unwrap_or(i64::MAX);
        let most = NORMAL_WEIGHT.saturating_mul(i64::try_from(most).unwrap_or(i64::MAX));
        let lead = match class {
            Class::Control => return,
            Class::Normal => self.lead.saturating_add(bytes),
            Class::Bulk => self.lead.saturating_sub(bytes.saturating_mul(NORMAL_WEIGHT)),
        };
        self.lead = lead.clamp(-most, most);
    }
}

#[cfg(test)]
#[path = "classes_tests.rs"]
mod tests;
