//! From a datagram to whoever it is for.

use core::net::SocketAddr;
use core::slice::ChunksMut;

use crate::crypto::reset::is_reset;
use crate::path::Source;
use crate::planted::Fault;
use crate::shaping::Class as Shaped;
use crate::time::Instant;
use crate::wire::header::{Class, LongHeader, PacketType, classify};
use crate::wire::id::{ConnectionId, Ecn};

use super::slab::SlotKey;
use super::{Datagram, Endpoint, Entry, Member};

/// Connections at one address that a stranger's packet is compared with.
const MAX_CANDIDATES: usize = 16;

impl Endpoint {
    /// Takes in what a socket received. The bytes are opened in place; afterwards they are
    /// scrambled. Nothing that a stranger sends is an error.
    pub fn handle_datagram(&mut self, datagram: Datagram<'_>, now: Instant) {
        self.note_datagram(&datagram, now);
        self.advance(now);
        let Datagram { carrier, remote, local, ecn, segment, bytes } = datagram;
        let Some(kind) = self.carriers.get(carrier).map(|carrier| carrier.kind.carriage()) else {
            self.stats.malformed += 1;
            self.beside.on_received(Shaped::Control, bytes.len() as u64);
            return;
        };
        if bytes.is_empty() {
            self.stats.datagrams += 1;
            self.stats.malformed += 1;
            return;
        }
        let source = Source { carrier, kind, remote, local };
        let segment = segment.unwrap_or(bytes.len()).max(1);
        self.stats.datagrams += bytes.len().div_ceil(segment) as u64;
        let mut rest = bytes;
        while !rest.is_empty() {
            let first = rest.get(..segment).unwrap_or(rest);
            if let Class::Short { dcid } = classify(first) {
                let (run, others) = rest.split_at_mut(run_to(dcid, rest, segment));
                self.on_short(dcid, &source, ecn, run.chunks_mut(segment), now);
                rest = others;
            } else {
                let (packet, others) = rest.split_at_mut(segment.min(rest.len()));
                self.beside.on_received(Shaped::Control, packet.len() as u64);
                self.route_long(&source, packet, now);
                rest = others;
            }
        }
    }

    fn route_long(&mut self, source: &Source, packet: &mut [u8], now: Instant) {
        match classify(packet) {
            Class::Long(header) if header.kind.begins() => self.on_first(source, packet, now),
            Class::Long(header) => self.on_long(&header, source, packet, now),
            Class::Short { .. } | Class::Other => self.stats.malformed += 1,
        }
    }

    /// The slot that a connection id names, and the index of the id.
    pub(super) fn find(&self, cid: ConnectionId) -> Option<(SlotKey, u8)> {
        let fields = self.codec.decode(cid)?;
        Some((self.slot_of(fields)?, fields.index()))
    }

    /// Packets of one length, the last may be shorter, for one connection id.
    fn on_short(
        &mut self,
        dcid: ConnectionId,
        source: &Source,
        ecn: Option<Ecn>,
        packets: ChunksMut<'_, u8>,
        now: Instant,
    ) {
        let Some((key, index)) = self.find(dcid) else {
            return packets.for_each(|packet| {
                self.beside.on_received(Shaped::Control, packet.len() as u64);
                self.on_stray(dcid, source, packet, now);
            });
        };
        let mut took = false;
        for packet in packets {
            match self.slots.get_mut(key) {
                Some(Entry::Connection(member)) if member.connection.accepts(index) => {
                    let Member { connection, .. } = &mut **member;
                    let (beside, budget) = (&mut self.beside, &mut self.budget);
                    took |= connection.on_datagram(source, ecn, packet, beside, budget, now);
                }
                // Somebody lives there: a reset would be believed (spec R-EP-32).
                Some(_) => {
                    self.beside.on_received(Shaped::Control, packet.len() as u64);
                    self.stats.strays += 1;
                }
                None => {
                    self.beside.on_received(Shaped::Control, packet.len() as u64);
                    self.on_stray(dcid, source, packet, now);
                }
            }
        }
        if took {
            self.note_user(key, source.carrier);
            self.touch(key);
        }
    }

    /// A handshake packet that is no first one.
    fn on_long(&mut self, header: &LongHeader, source: &Source, packet: &mut [u8], now: Instant) {
        let Some((key, 0)) = self.find(header.dcid) else {
            self.stats.handshake_discarded += 1;
            return;
        };
        match self.slots.get_mut(key) {
            Some(Entry::HalfOpen(_)) if header.kind == PacketType::X3 => {
                self.on_third(key, source, packet, now);
            }
            Some(Entry::Connection(member)) => {
                if member.connection.on_handshake(packet, &mut self.secret_rng, now) {
                    self.touch(key);
                } else {
                    self.stats.handshake_discarded += 1;
                }
            }
            _ => self.stats.handshake_discarded += 1,
        }
    }

    /// A short packet for no connection: perhaps a reset of one of ours, perhaps from a peer that
    /// should have one (spec R-EP-30, R-EP-31).
    fn on_stray(&mut self, dcid: ConnectionId, source: &Source, packet: &[u8], now: Instant) {
        self.stats.strays += 1;
        if let Some(key) = self.reset_target(source.remote, packet) {
            if let Some(Entry::Connection(member)) = self.slots.get_mut(key) {
                member.connection.on_reset(now);
            }
            self.touch(key);
            return;
        }
        let mut answer = alloc::vec::Vec::new();
        if !self.config.transport.planted.has(Fault::MuteStray)
            && self.strangers.may_reset(now)
            && self.reset.write(dcid, packet.len(), &mut self.reset_rng, &mut answer)
            && self.strangers.reply(source, answer)
        {
            sometimes!("endpoint: a stray is answered with a reset");
            self.stats.resets += 1;
        }
    }

    /// The connection that a stateless reset means.
    pub(super) fn reset_target(&self, remote: SocketAddr, packet: &[u8]) -> Option<SlotKey> {
        self.members_at(remote)
            .find(|(_, member)| is_reset(packet, member.connection.reset_tokens()))
            .map(|(key, _)| key)
    }

    /// Connections whose peer is at an address, a bounded number of them.
    pub(super) fn members_at(
        &self,
        remote: SocketAddr,
    ) -> impl Iterator<Item = (SlotKey, &Member)> {
        let from = (remote, SlotKey { index: 0, generation: 0 });
        let there = self.by_remote.range(from..).take_while(move |(at, _)| *at == remote);
        there.take(MAX_CANDIDATES).filter_map(|(_, key)| match self.slots.get(*key) {
            Some(Entry::Connection(member)) => Some((*key, &**member)),
            _ => None,
        })
    }
}

/// How many of the bytes, which are packets of `segment` bytes each, come before the first that is
/// not for `dcid`.
fn run_to(dcid: ConnectionId, bytes: &[u8], segment: usize) -> usize {
    let same = |packet: &&[u8]| classify(packet) == Class::Short { dcid };
    bytes.chunks(segment).take_while(same).map(<[u8]>::len).sum()
}
