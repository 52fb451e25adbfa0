//! Looking at an endpoint that is replayed, without a trace of it on its tape.

use core::net::SocketAddr;

use crate::connection::Connection;
use crate::tape::Slot;
use crate::wire::header::{Class, classify};

use super::{ConnectionHandle, Endpoint, Entry};

impl Endpoint {
    /// The connection in a slot.
    pub(crate) fn member(&self, slot: Slot) -> Option<&Connection> {
        match self.slots.get(ConnectionHandle::of(slot).0)? {
            Entry::Connection(member) => Some(&member.connection),
            Entry::HalfOpen(_) => None,
        }
    }

    /// All connections.
    pub(crate) fn members(&self) -> impl Iterator<Item = (Slot, &Connection)> {
        self.slots.iter().filter_map(|(key, entry)| match entry {
            Entry::Connection(member) => Some((ConnectionHandle(key).parts(), &member.connection)),
            Entry::HalfOpen(_) => None,
        })
    }

    /// Whose a datagram that came is by its header.
    pub(crate) fn addressed(&self, packet: &[u8]) -> Option<Slot> {
        let cid = match classify(packet) {
            Class::Short { dcid } => dcid,
            Class::Long(header) => header.dcid,
            Class::Other => return None,
        };
        self.find(cid).map(|(key, _)| ConnectionHandle(key).parts())
    }

    /// Which connection a datagram from `remote` that is nobody's by its header resets.
    pub(crate) fn reset_by(&self, remote: SocketAddr, packet: &[u8]) -> Option<Slot> {
        let key = |slot| ConnectionHandle::of(slot).0;
        let lives = self.addressed(packet).is_some_and(|slot| self.slots.get(key(slot)).is_some());
        let target = self.reset_target(remote, packet).filter(|_| !lives);
        target.map(|key| ConnectionHandle(key).parts())
    }

    /// Whose a handshake packet that went is by its header.
    pub(crate) fn signed(&self, packet: &[u8]) -> Option<Slot> {
        let Class::Long(header) = classify(packet) else { return None };
        self.find(header.scid).map(|(key, _)| ConnectionHandle(key).parts())
    }
}
