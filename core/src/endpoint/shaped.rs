//! Limits of what the node sends, and what it sent and got (spec `26-shaping.md`).

use alloc::boxed::Box;
use alloc::vec::Vec;

use crate::connection::Transmit;
use crate::crypto::identity::NodeId;
use crate::shaping::{Bandwidth, Class, Grant, Tree};
use crate::time::Instant;

use super::slab::SlotKey;
use super::{Endpoint, Entry};

/// Peers by their id, connections by their slot.
pub(super) type Limits = Tree<NodeId, SlotKey>;

impl Endpoint {
    /// How much the node sends in all from now on, in bytes a second; `None`: as much as it can.
    pub fn set_limit(&mut self, rate: Option<u64>, now: Instant) {
        self.tape.note(|tape| tape.limit(rate, now));
        self.advance(now);
        self.relimit(|tree| tree.set_node(rate, now));
    }

    /// The same for each peer that has no limit of its own.
    pub fn set_peers_limit(&mut self, rate: Option<u64>, now: Instant) {
        self.tape.note(|tape| tape.peer_limit(None, rate, now));
        self.advance(now);
        self.relimit(|tree| tree.set_each(rate, now));
    }

    /// The same for one peer, whether or not it is connected; `None`: as the others are limited.
    pub fn set_peer_limit(&mut self, peer: NodeId, rate: Option<u64>, now: Instant) {
        self.tape.note(|tape| tape.peer_limit(Some(*peer.as_bytes()), rate, now));
        self.advance(now);
        self.relimit(|tree| tree.set_peer(peer, rate, now));
    }

    /// A tape says that a limit was set: of a peer, or of each.
    pub(crate) fn replay_limit(
        &mut self,
        peer: Option<[u8; 32]>,
        rate: Option<u64>,
        now: Instant,
    ) -> Option<()> {
        match peer {
            Some(id) => self.set_peer_limit(NodeId::from_bytes(&id).ok()?, rate, now),
            None => self.set_peers_limit(rate, now),
        }
        Some(())
    }

    /// How much the node sends in all, in bytes a second; `None`: as much as it can.
    pub fn limit(&self) -> Option<u64> {
        self.limits.as_ref()?.node()
    }

    /// Peers that are kept for limits.
    pub fn limited_peers(&self) -> usize {
        self.limits.as_ref().map_or(0, |limits| limits.peers())
    }

    /// Bytes of datagrams that the endpoint sent and got since it began, by class. Linear in the
    /// connections that are there.
    pub fn bandwidth(&self) -> Bandwidth {
        let mut sum = self.gone.bandwidth;
        sum.add(&self.beside);
        for (_, entry) in self.slots.iter() {
            if let Entry::Connection(member) = entry {
                sum.add(&member.connection.bandwidth());
            }
        }
        sum
    }

    /// The same of one peer, as far as its present connections go. Linear in all connections.
    pub fn bandwidth_of(&self, peer: NodeId) -> Bandwidth {
        let mut sum = Bandwidth::default();
        for (_, entry) in self.slots.iter() {
            if let Entry::Connection(member) = entry
                && member.connection.peer() == Some(peer)
            {
                sum.add(&member.connection.bandwidth());
            }
        }
        sum
    }

    /// The limits that a configuration asks for.
    pub(super) fn begin_limits(&mut self) {
        let (node, peer) = (self.config.send_limit, self.config.peer_limit);
        let now = self.now;
        if node.is_some() || peer.is_some() {
            self.relimit(|tree| {
                tree.set_node(node, now);
                tree.set_each(peer, now);
            });
        }
    }

    fn relimit(&mut self, change: impl FnOnce(&mut Limits)) {
        // Those of loopback are larger: a bucket owes what is above this, and pays before the next.
        let largest = u64::from(self.config.transport.packets.network);
        let granularity = self.config.timer_granularity;
        let fresh = || Box::new(Tree::new(largest, granularity));
        let tree = self.limits.get_or_insert_with(fresh);
        change(tree);
        if !tree.is_limited() {
            self.limits = None;
            self.release_waiting();
        }
    }

    /// Nothing limits any more: who waited may go on.
    fn release_waiting(&mut self) {
        for (key, entry) in self.slots.iter_mut() {
            if let Entry::Connection(member) = entry
                && core::mem::take(&mut member.waits)
            {
                self.ready.push(key, &mut member.ready);
            }
        }
    }

    /// What the connection in this slot may send before all turns.
    pub(super) fn grant(&mut self, key: SlotKey) -> Grant {
        let Some(tree) = &mut self.limits else { return Grant::Free };
        let Some(Entry::Connection(member)) = self.slots.get(key) else { return Grant::Free };
        Grant::Control { urgent: tree.is_open_to_urgent(member.connection.peer(), self.now) }
    }

    /// A datagram for nobody that has a connection leaves.
    pub(super) fn on_reply_sent(&mut self, bytes: u64, now: Instant) {
        self.beside.on_sent(Class::Control, bytes);
        if let Some(tree) = &mut self.limits {
            tree.sent(None, Class::Control, bytes, now);
        }
    }

    /// Bytes left for the peer of the connection in this slot, which had sent `before`.
    pub(super) fn on_bytes_sent(&mut self, key: SlotKey, before: &Bandwidth, now: Instant) {
        let Some(tree) = &mut self.limits else { return };
        let Some(Entry::Connection(member)) = self.slots.get_mut(key) else { return };
        member.limited_as = member.connection.peer().or(member.limited_as);
        let (peer, sent) = (member.limited_as, member.connection.bandwidth());
        for class in Class::ALL {
            let bytes = sent.sent(class) - before.sent(class);
            if bytes > 0 {
                tree.sent(peer, class, bytes, now);
            }
        }
    }

    /// The connection in this slot has sent what it may: if only the limit keeps it from more, it
    /// waits for its turn.
    pub(super) fn wait_for_turn(&mut self, key: SlotKey) {
        let Some(tree) = &mut self.limits else { return };
        if let Some(Entry::Connection(member)) = self.slots.get_mut(key)
            && member.connection.is_held()
            && let Some(peer) = member.connection.peer()
            && !member.waits
        {
            member.waits = true;
            member.limited_as = Some(peer);
            tree.wait(peer, key);
        }
    }

    /// What those send whose turn it is.
    pub(super) fn next_turn(&mut self, buf: &mut Vec<u8>, now: Instant) -> Option<Transmit> {
        while let Some(turn) = self.limits.as_mut()?.turn(now) {
            let grant = Grant::Turn { bytes: turn.bytes, first: turn.first };
            let transmit = self.transmit_of(turn.member, grant, buf, now);
            let tree = self.limits.as_mut()?;
            if transmit.is_some() {
                tree.end_turn();
                return transmit;
            }
            tree.has_nothing();
            if let Some(Entry::Connection(member)) = self.slots.get_mut(turn.member) {
                member.waits = false;
            }
        }
        None
    }
}
