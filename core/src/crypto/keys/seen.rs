//! What explorers see of keys.

use core::hash::{Hash, Hasher};

use super::PacketKeys;

/// All but the keys, which follow from the handshake and the phases.
impl Hash for PacketKeys {
    fn hash<H: Hasher>(&self, state: &mut H) {
        (self.side, self.recipe.cipher, self.limits, self.confirmed).hash(state);
        (&self.send, &self.receive, &self.window, self.counters).hash(state);
        (self.own_updates, self.peer_updates).hash(state);
    }
}

#[cfg(any(test, feature = "arbitrary"))]
impl PacketKeys {
    /// These keys as they would be at `now` if nothing had been counted.
    pub(in crate::crypto) fn places(&self, now: crate::time::Instant) -> Self {
        let mut keys = Self { counters: super::KeyCounters::default(), ..self.clone() };
        keys.receive.expire(now);
        keys
    }
}
