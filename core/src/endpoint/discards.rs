//! What a datagram that was discarded may leave behind, and nothing else.

use super::{Endpoint, Entry};

impl Endpoint {
    /// Goes back to `before`, an earlier state of the same endpoint, in all that spec R-EP-45 lets
    /// a discarded datagram change. If nothing but discards happened since, both have one
    /// [fingerprint](crate::fingerprint::Fingerprint) again.
    pub fn overlook_discards(&mut self, before: &Self) {
        self.beside = before.beside;
        self.stats.datagrams = before.stats.datagrams;
        self.stats.malformed = before.stats.malformed;
        self.stats.strays = before.stats.strays;
        self.stats.handshake_discarded = before.stats.handshake_discarded;
        self.stats.duplicates = before.stats.duplicates;
        self.stats.resets = before.stats.resets;
        self.strangers.overlook_resets(&before.strangers);
        self.reset_rng = before.reset_rng.clone();
        for (key, entry) in self.slots.iter_mut() {
            if let Entry::Connection(now) = entry
                && let Some(Entry::Connection(then)) = before.slots.get(key)
            {
                now.connection.overlook_discards(&then.connection);
            }
        }
    }
}
