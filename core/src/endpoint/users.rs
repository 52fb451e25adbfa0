//! Who goes over which carrier: news of one concern those alone, however many others there are.

use alloc::collections::BTreeSet;
use alloc::vec::Vec;

use smallvec::SmallVec;

use crate::connection::Connection;
use crate::flow::Budget;
use crate::wire::id::CarrierId;

use super::slab::SlotKey;
use super::{Endpoint, Entry, Member};

/// Half-open handshakes and connections by the carriers that they may use.
pub(super) type Users = BTreeSet<(CarrierId, SlotKey)>;

impl Entry {
    fn uses(&self, carrier: CarrierId) -> bool {
        match self {
            Self::HalfOpen(half_open) => half_open.source.carrier == carrier,
            Self::Connection(member) => member.connection.carriers().any(|used| used == carrier),
        }
    }

    fn is_no_stranger(&self) -> bool {
        matches!(self, Self::Connection(member) if !member.connection.is_half_open())
    }
}

impl Member {
    /// May have begun to use the carrier. It is listed under those of its paths and some that it
    /// has left; these go when the next one comes.
    pub(super) fn note_carrier(&mut self, key: SlotKey, carrier: CarrierId, users: &mut Users) {
        let uses = |it: CarrierId| self.connection.carriers().any(|used| used == it);
        if self.carriers.contains(&carrier) || !uses(carrier) {
            return;
        }
        let left = |known: &CarrierId| !uses(*known);
        let left: SmallVec<[CarrierId; 2]> = self.carriers.iter().copied().filter(left).collect();
        for carrier in left {
            self.carriers.retain(|known| *known != carrier);
            users.remove(&(carrier, key));
        }
        self.carriers.push(carrier);
        users.insert((carrier, key));
    }
}

impl Endpoint {
    /// The carriers that a connection or a stranger's handshake needs. A driver may close others.
    pub fn carriers_in_use(&self) -> BTreeSet<CarrierId> {
        self.carriers_of(|_| true)
    }

    /// Those of them that a connection needs whose peer has shown that it has the keys, or that we
    /// began: not for a stranger's handshake alone.
    pub fn carriers_of_connections(&self) -> BTreeSet<CarrierId> {
        self.carriers_of(Entry::is_no_stranger)
    }

    fn carriers_of(&self, counts: impl Fn(&Entry) -> bool) -> BTreeSet<CarrierId> {
        debug_assert!(self.lists_all_users(), "who uses a carrier is not told of it");
        let used = |(carrier, key): &&(CarrierId, SlotKey)| {
            self.slots.get(*key).is_some_and(|entry| counts(entry) && entry.uses(*carrier))
        };
        self.users.iter().filter(used).map(|(carrier, _)| *carrier).collect()
    }

    fn lists_all_users(&self) -> bool {
        let listed = |key, carrier| self.users.contains(&(carrier, key));
        self.slots.iter().all(|(key, entry)| match entry {
            Entry::HalfOpen(half_open) => listed(key, half_open.source.carrier),
            Entry::Connection(member) => {
                member.connection.carriers().all(|carrier| listed(key, carrier))
            }
        })
    }

    /// A connection may have begun to use the carrier.
    pub(super) fn note_user(&mut self, key: SlotKey, carrier: CarrierId) {
        if let Some(Entry::Connection(member)) = self.slots.get_mut(key) {
            member.note_carrier(key, carrier, &mut self.users);
        }
    }

    /// Those that may use a carrier, by their slots.
    pub(super) fn users_of(&self, carrier: CarrierId) -> Vec<SlotKey> {
        let first = SlotKey { index: 0, generation: 0 };
        let last = SlotKey { index: u32::MAX, generation: u16::MAX };
        self.users.range((carrier, first)..=(carrier, last)).map(|(_, key)| *key).collect()
    }

    /// Tells the connections that have a path over a carrier.
    pub(super) fn tell_members(
        &mut self,
        carrier: CarrierId,
        mut tell: impl FnMut(&mut Connection, &mut Budget),
    ) {
        for key in self.users_of(carrier) {
            let Some(entry) = self.slots.get_mut(key).filter(|entry| entry.uses(carrier)) else {
                continue;
            };
            if let Entry::Connection(member) = entry {
                tell(&mut member.connection, &mut self.budget);
                self.ready.push(key, &mut member.ready);
                self.news.push(key, &mut member.news);
            }
        }
    }

    /// Nobody can finish a handshake by a carrier that is gone (spec R-EP-23).
    pub(super) fn forget_strangers_of(&mut self, carrier: CarrierId) {
        for key in self.users_of(carrier) {
            if matches!(self.slots.get(key), Some(Entry::HalfOpen(_))) {
                self.forget_half_open(key);
            }
        }
    }
}
