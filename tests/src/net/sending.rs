//! How what an endpoint says leaves its host: sockets that fail or are full, NATs, byte streams.

use std::net::SocketAddr;

use aqueduct_core::endpoint::Transmit;
use aqueduct_core::wire::id::CarrierId;

use super::wire::{Due, StreamNr};
use super::{HostId, Net, UDP};
use crate::link::Parcel;

impl Net {
    /// An endpoint wants something sent.
    pub(super) fn transmit(&mut self, index: usize, to: Transmit, bytes: &[u8]) {
        let Some(host) = self.hosts.get(index) else { return };
        assert!(!bytes.is_empty(), "an empty transmit");
        assert!(!host.blocked.contains(&to.carrier), "a transmit for a blocked socket");
        #[cfg(feature = "wiretap")]
        if let Some(taps) = &mut self.wiretaps {
            let handles: Vec<_> = host.endpoint.connections().map(|(handle, _)| handle).collect();
            let tap = taps.entry(HostId(index)).or_default();
            for datagram in bytes.chunks(to.segment.unwrap_or(bytes.len())) {
                let heard = tap.on_sent(datagram, &handles, &host.endpoint);
                heard.unwrap_or_else(|why| panic!("host {index}: {why}"));
            }
        }
        if self.finds_no_room(index, to, bytes) {
            return;
        }
        self.send(index, to, bytes);
    }

    /// Whether a socket is full: then what was to be sent waits, and the endpoint is told.
    fn finds_no_room(&mut self, index: usize, to: Transmit, bytes: &[u8]) -> bool {
        let now = self.local(HostId(index));
        if self.hosts[index].sending.full == 0 {
            return false;
        }
        let dice = self.wire.dice("sockets");
        let host = &mut self.hosts[index];
        host.draws += 1;
        let draw = host.draws << 8 | index as u64;
        if !dice.throw(draw).happens(host.sending.full) {
            return false;
        }
        host.sending.waited += 1;
        host.blocked.insert(to.carrier);
        host.unsent.push((to, bytes.to_vec()));
        host.endpoint.carrier_blocked(to.carrier, now);
        let until = self.now + host.sending.full_for;
        self.wire.push(until, Due::Writable(HostId(index), to.carrier));
        true
    }

    /// A socket takes bytes again: first those that wait.
    pub(super) fn writable(&mut self, id: HostId, carrier: CarrierId) {
        let now = self.local(id);
        let host = &mut self.hosts[id.0];
        let is_there = carrier == UDP || host.sockets.contains_key(&carrier);
        if !is_there || !host.blocked.remove(&carrier) {
            return;
        }
        let (unsent, others) =
            std::mem::take(&mut host.unsent).into_iter().partition(|(to, _)| to.carrier == carrier);
        host.unsent = others;
        host.dirty = true;
        for stream in &mut self.wire.streams {
            let ours = |end: &&mut super::stream::End| end.host == id && end.carrier == carrier;
            if let Some(end) = stream.ends.iter_mut().find(ours) {
                end.blocked = false;
            }
        }
        let waiting: Vec<(Transmit, Vec<u8>)> = unsent;
        for (to, bytes) in waiting {
            self.send(id.0, to, &bytes);
        }
        // What waited may have filled it again.
        if self.hosts[id.0].blocked.contains(&carrier) {
            return;
        }
        self.hosts[id.0].endpoint.carrier_writable(carrier, now);
    }

    fn send(&mut self, index: usize, to: Transmit, bytes: &[u8]) {
        let id = HostId(index);
        let host = &mut self.hosts[index];
        let first = (to.carrier == UDP).then_some(host.addr);
        let from = host
            .sockets
            .get(&to.carrier)
            .map(|socket| socket.addr)
            .or(first)
            .expect("an open socket");
        let segment = to.segment.unwrap_or(bytes.len());
        host.sent += bytes.len().div_ceil(segment) as u64;
        let is_end = |end: &super::stream::End| end.host == id && end.carrier == to.carrier;
        let streams = self.wire.streams.iter();
        let stream = streams.enumerate().find_map(|(number, stream)| {
            let end = stream.ends.iter().position(is_end).filter(|_| !stream.broken)?;
            Some((StreamNr(number), end))
        });
        for segment in bytes.chunks(segment) {
            self.record(from, to.remote, segment);
            self.guard.on_sent(id, to.remote, segment.len());
            match stream {
                Some((stream, end)) => self.write(stream, end, segment),
                None => self.launch(index, from, to, segment),
            }
        }
    }

    /// One datagram leaves by a UDP socket.
    fn launch(&mut self, index: usize, from: SocketAddr, to: Transmit, bytes: &[u8]) {
        let now = self.now;
        let host = &mut self.hosts[index];
        if host.sending.fails > 0 {
            host.sending.fails -= 1;
            host.sending.failed += 1;
            return;
        }
        let mut from = from;
        let behind = host.behind;
        let is_neighbour = |host: &super::Host| host.behind == behind && host.addr == to.remote;
        if self.hosts.iter().any(is_neighbour) {
            // Inside, nothing is translated.
        } else if let Some(nat) = behind.and_then(|nat| self.wire.nats.get_mut(nat.0)) {
            if nat.public == to.remote.ip() && !nat.hairpin {
                return;
            }
            from = nat.outward(from, to.remote, now);
        }
        self.spoke.insert(from, HostId(index));
        let parcel =
            Parcel { at: now, ecn: to.ecn, ..Parcel::new(from, to.remote, bytes.to_vec()) };
        let there = self.wire.has_roads().then(|| self.who(to.remote)).flatten();
        let ends = there.map(|there| (HostId(index), HostId(there)));
        if !self.wire.launch(parcel, ends) {
            self.hosts[index].sending.too_large += 1;
        }
    }

    /// One datagram goes onto a byte stream.
    fn write(&mut self, number: StreamNr, end: usize, bytes: &[u8]) {
        let now = self.now;
        let stream = &mut self.wire.streams[number.0];
        let (host, carrier) = (stream.ends[end].host, stream.ends[end].carrier);
        let written = stream.write(end, bytes, now);
        for (at, piece) in written.pieces {
            self.wire.push(at, Due::Read(number, 1 - end, piece));
        }
        if written.blocked {
            let local = self.local(host);
            let sender = &mut self.hosts[host.0];
            sender.blocked.insert(carrier);
            sender.endpoint.carrier_blocked(carrier, local);
        }
        if let Some(until) = written.until {
            self.wire.push(until, Due::Writable(host, carrier));
        }
    }

    /// Bytes are at an end of a byte stream: the datagrams among them that are whole are handed on.
    pub(super) fn read(&mut self, number: StreamNr, end: usize, mut bytes: Vec<u8>) {
        let stream = &mut self.wire.streams[number.0];
        if stream.broken || stream.swallowed.is_some() {
            return;
        }
        let remote = stream.ends[1 - end].addr;
        let this = &mut stream.ends[end];
        let (host, carrier) = (this.host, this.carrier);
        if !self.hosts[host.0].runs() {
            this.held.append(&mut bytes);
            return;
        }
        let (mut input, mut whole) = (bytes.as_mut_slice(), Vec::new());
        while let Some(datagram) = this.deframer.next(&mut input).expect("what we framed") {
            whole.push(datagram.to_vec());
        }
        if !self.hosts[host.0].sockets.contains_key(&carrier) {
            return;
        }
        for datagram in whole {
            self.guard.on_delivered(host, remote, datagram.len(), None);
            self.hand(host.0, carrier, remote, None, datagram);
        }
    }

    /// A host that stood still reads what its streams kept.
    pub(super) fn read_held(&mut self, id: HostId) {
        for number in 0..self.wire.streams.len() {
            for end in 0..2 {
                let this = &mut self.wire.streams[number].ends[end];
                let held = std::mem::take(&mut this.held);
                if this.host == id && !held.is_empty() {
                    self.read(StreamNr(number), end, held);
                } else {
                    this.held = held;
                }
            }
        }
    }

    /// A byte stream is gone, at both ends.
    pub(super) fn broken(&mut self, number: StreamNr) {
        let stream = &mut self.wire.streams[number.0];
        if std::mem::replace(&mut stream.broken, true) {
            return;
        }
        let ends = [0, 1].map(|end| (stream.ends[end].host, stream.ends[end].carrier));
        for (host, carrier) in ends {
            if self.hosts[host.0].sockets.contains_key(&carrier) {
                self.hosts[host.0].blocked.remove(&carrier);
                self.close_socket(host, carrier);
            }
        }
    }
}
