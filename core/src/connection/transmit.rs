//! List two: what goes out.

use alloc::vec::Vec;

use crate::crypto::keys::SealError;
use crate::message::Written;
use crate::path::{self, Need, Source};
use crate::recovery::SentPacket;
use crate::rng::Rng;
use crate::shaping::{Class, Grant};
use crate::stream::{Order, Priority};
use crate::time::Instant;
use crate::wire::frame::{CloseFrame, Frame, MAX_REASON, SentFrame};
use crate::wire::header::{SHORT_DCID_OFFSET, SHORT_HEADER_LEN, SHORT_OVERHEAD, TAG_LEN};
use crate::wire::id::{PacketNumber, PathId};
use crate::wire::packet::{Allowance, PacketWriter};

use super::Connection;
use super::carriers::{CarrierKind, Carriers, Transmit};
use super::event::EventKind;
use super::lifecycle::{Confirmation, Lifecycle};
use super::limit::SendLimit;

/// What a packet may be and where it goes.
#[derive(Clone, Copy)]
struct Slip {
    path: PathId,
    allowance: Allowance,
    /// Bytes of the datagram, at most.
    size: usize,
    grant: Grant,
}

/// What kind of packet to build.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Build {
    /// Whatever the parts have to say.
    Data,
    /// A PING, with the ACKs that are due.
    Ping,
    /// A probe of the packet size: as large as the slip says, and nothing in it that matters.
    SizeProbe,
    /// Only what a path says of itself: challenges and answers.
    Side,
}

impl Connection {
    /// Appends the next datagrams to `buf` and says where they go; `None` when there is nothing to
    /// send now.
    pub(crate) fn transmit(
        &mut self,
        buf: &mut Vec<u8>,
        carriers: &Carriers,
        grant: Grant,
        now: Instant,
    ) -> Option<Transmit> {
        self.note_farewell(now);
        self.drop_what_is_old(now);
        let before = self.bandwidth.sent_in_all();
        let transmit = self.transmit_any(buf, carriers, grant, now);
        if transmit.is_some() {
            // Whatever was no packet of frames: a handshake, a farewell.
            let counted = self.bandwidth.sent_in_all() - before;
            self.bandwidth.on_sent(Class::Control, (buf.len() as u64).saturating_sub(counted));
        }
        transmit
    }

    fn transmit_any(
        &mut self,
        buf: &mut Vec<u8>,
        carriers: &Carriers,
        grant: Grant,
        now: Instant,
    ) -> Option<Transmit> {
        let transmit = match &self.lifecycle {
            Lifecycle::Connecting(_) => self.transmit_question(buf, carriers, now),
            Lifecycle::Open(session) => match session.confirmation {
                Confirmation::Awaiting { .. } => None,
                Confirmation::Repeating { .. } => self
                    .transmit_last(buf, carriers, now)
                    .or_else(|| self.transmit_data(buf, carriers, grant, now)),
                Confirmation::Confirmed => self.transmit_data(buf, carriers, grant, now),
            },
            Lifecycle::Closing(..) | Lifecycle::Draining { .. } | Lifecycle::Drained => None,
        };
        // Having nothing more to send, or no key to send it with, may have been the end.
        transmit.or_else(|| self.transmit_close(buf, carriers, now))
    }

    /// I1 or X1, when it is due.
    fn transmit_question(
        &mut self,
        buf: &mut Vec<u8>,
        carriers: &Carriers,
        now: Instant,
    ) -> Option<Transmit> {
        let to = *self.paths.active().source();
        let Lifecycle::Connecting(connecting) = &mut self.lifecycle else { return None };
        if !connecting.due(now) || !carriers.is_writable(to.carrier) {
            return None;
        }
        connecting.initiator()?.datagram(buf);
        connecting.resend.on_sent(self.rng.u64(), now);
        Some(transmit_to(&to))
    }

    /// X3, when it is due.
    fn transmit_last(
        &mut self,
        buf: &mut Vec<u8>,
        carriers: &Carriers,
        now: Instant,
    ) -> Option<Transmit> {
        let to = *self.paths.active().source();
        let session = self.lifecycle.session_mut()?;
        let Confirmation::Repeating { last, resend, .. } = &mut session.confirmation else {
            return None;
        };
        if !resend.due(now) || !carriers.is_writable(to.carrier) {
            return None;
        }
        buf.extend_from_slice(last);
        resend.on_sent(self.rng.u64(), now);
        Some(transmit_to(&to))
    }

    fn transmit_close(
        &mut self,
        buf: &mut Vec<u8>,
        carriers: &Carriers,
        now: Instant,
    ) -> Option<Transmit> {
        let path = self.paths.active();
        let (id, usual) = (path.id(), *path.source());
        let allowed = path.unvalidated_allowance() >= u64::from(path::BASE_SIZE);
        let Lifecycle::Closing(session, closing) = &mut self.lifecycle else { return None };
        if !closing.due || !allowed || !carriers.is_writable(usual.carrier) {
            return None;
        }
        closing.due = false;
        let asked = closing.asked.take();
        let capacity = usize::from(path::BASE_SIZE) - SHORT_OVERHEAD;
        let close = CloseFrame { code: closing.code, reason: &closing.reason };
        let mut packet = PacketWriter::new(
            buf,
            SHORT_HEADER_LEN,
            capacity,
            &mut self.receipts,
            Allowance::AcksOnly,
        );
        self.acks.write_last(&mut packet, CLOSE_ROOM, now);
        if !packet.write(&Frame::Close(close)) || packet.finish().len == 0 {
            return None;
        }
        self.receipts.clear();
        let dcid = session.cids.of_path(id)?;
        buf.extend_from_slice(&[0; TAG_LEN]);
        address(buf, &dcid.0);
        #[cfg(feature = "planted")]
        if self.config.planted.has(crate::planted::Fault::RepeatedNumber) {
            session.keys.repeat_number();
        }
        session.keys.seal_close(buf, now).ok()?;
        // Whoever has moved is answered where it is, by no more than a path may get unproven.
        let elsewhere = asked.filter(|(from, len)| {
            !from.is_same_way(&usual)
                && buf.len() <= len.saturating_mul(3)
                && carriers.is_writable(from.carrier)
        });
        if let Some((from, _)) = elsewhere {
            return Some(transmit_to(&from));
        }
        let len = u16::try_from(buf.len()).unwrap_or(u16::MAX);
        self.paths.active_mut().on_sent(len);
        Some(transmit_to(&usual))
    }

    /// Packets of frames: first for a path that is being tried, then a batch for the active one.
    fn transmit_data(
        &mut self,
        buf: &mut Vec<u8>,
        carriers: &Carriers,
        grant: Grant,
        now: Instant,
    ) -> Option<Transmit> {
        if let Some(transmit) = self.transmit_side(buf, carriers, now) {
            return Some(transmit);
        }
        let path = self.paths.active();
        let (id, to) = (path.id(), *path.source());
        let Some(carrier) = carriers.get(to.carrier).filter(|carrier| !carrier.blocked) else {
            let broken = path.is_broken();
            self.limit.set(SendLimit::Carrier, now);
            if broken {
                self.close_if_delivered(now);
            }
            return None;
        };
        if let Some(transmit) = self.transmit_size_probe(buf, &carrier.kind, now) {
            return Some(transmit);
        }
        let need = if self.probes > 0 || self.asks { Need::Probe } else { Need::Data };
        let in_flight = self.ledger.in_flight(id);
        let allowed = self.paths.budget(need, in_flight, now);
        if allowed.allowance != Allowance::Everything {
            let silent = self.ledger.unanswered_probes() > 0;
            self.limit.set(SendLimit::of_path(allowed.limited_by, silent), now);
        }
        if allowed.allowance != Allowance::Everything
            && let Some(answer) = self.paths.answer_budget(now)
        {
            let size = usize::from(answer.datagram_size);
            let slip = Slip { path: id, allowance: answer.allowance, size, grant: Grant::Free };
            self.build(buf, slip, Build::Side, now)?;
            return Some(self.marked(id, &to));
        }
        if allowed.allowance == Allowance::Nothing {
            return None;
        }
        let size = usize::from(allowed.datagram_size);
        let slip = Slip { path: id, allowance: allowed.allowance, size, grant };
        if self.asks {
            self.build(buf, slip, Build::Ping, now)?;
            return Some(self.marked(id, &to));
        }
        let most = match carrier.kind {
            CarrierKind::Udp { max_segments, .. } => max_segments.max(1),
            CarrierKind::Reliable { .. } => usize::from(path::MAX_BATCH),
        };
        let most = most.min(allowed.max_datagrams.into());
        // Nothing bounds a probe but how many there are.
        let most = if need == Need::Probe { most.min(self.probes.into()) } else { most };
        let most = grant.datagrams(most, size);
        let sent = self.fill(buf, slip, most, now);
        if sent < most && allowed.allowance == Allowance::Everything {
            self.on_all_sent(grant, id, now);
        }
        (sent > 0).then(|| Transmit { segment: (sent > 1).then_some(size), ..self.marked(id, &to) })
    }

    /// Builds up to `most` datagrams of equal size; a shorter one is the last.
    fn fill(&mut self, buf: &mut Vec<u8>, slip: Slip, most: usize, now: Instant) -> usize {
        let mut sent = 0;
        while sent < most {
            let before = buf.len();
            if self.build(buf, slip, Build::Data, now).is_none() {
                break;
            }
            sent += 1;
            if buf.len() - before < slip.size {
                break;
            }
        }
        sent
    }

    /// The application has nothing more to send although it might: what is measured now says little
    /// of the path. And what was asked of `close` may be fulfilled.
    pub(super) fn on_nothing_left(&mut self, path: PathId, now: Instant) {
        self.limit.set(self.silence_of_streams(), now);
        self.ledger.on_app_limited(path);
        self.close_if_delivered(now);
    }

    /// Why the streams have nothing to send now.
    fn silence_of_streams(&self) -> SendLimit {
        if self.streams.wait_for_connection_credit(&self.allowed) {
            SendLimit::ConnectionCredit
        } else if self.streams.wait_for_stream_credit() {
            SendLimit::StreamCredit
        } else {
            SendLimit::Application
        }
    }

    /// Packets of a path have its mark, all that are acknowledged: the peer's counts are held
    /// against them (spec R-PATH-23).
    fn marked(&self, path: PathId, to: &Source) -> Transmit {
        let ecn = self.paths.get(path).and_then(|path| path.mark());
        Transmit { ecn, ..transmit_to(to) }
    }

    fn transmit_side(
        &mut self,
        buf: &mut Vec<u8>,
        carriers: &Carriers,
        now: Instant,
    ) -> Option<Transmit> {
        let cids = &self.lifecycle.session()?.cids;
        let allowed = self.paths.side_budget(|path| {
            carriers.is_writable(path.source().carrier) && cids.can_address(path.id())
        })?;
        let to = *self.paths.get(allowed.path)?.source();
        let size = usize::from(allowed.datagram_size);
        let (path, allowance) = (allowed.path, allowed.allowance);
        let slip = Slip { path, allowance, size, grant: Grant::Free };
        self.build(buf, slip, Build::Side, now)?;
        Some(self.marked(allowed.path, &to))
    }

    fn transmit_size_probe(
        &mut self,
        buf: &mut Vec<u8>,
        carrier: &CarrierKind,
        now: Instant,
    ) -> Option<Transmit> {
        let path = self.paths.active();
        let (id, to) = (path.id(), *path.source());
        let mut size = path.next_size_probe(self.ledger.in_flight(id))?;
        if let CarrierKind::Udp { max_datagram, .. } = carrier {
            while size > *max_datagram {
                let path = self.paths.active_mut();
                path.on_datagram_refused(size, now);
                size =
                    path.next_size_probe(self.ledger.in_flight(id)).filter(|next| *next < size)?;
            }
        }
        let (size_probe, allowance) = (size.into(), Allowance::Everything);
        let slip = Slip { path: id, allowance, size: size_probe, grant: Grant::Free };
        self.build(buf, slip, Build::SizeProbe, now)?;
        self.paths.active_mut().on_size_probe_sent(size);
        Some(self.marked(id, &to))
    }

    /// Writes, seals and records one packet. `None`: nobody had anything to say, and nothing
    /// changed.
    fn build(&mut self, buf: &mut Vec<u8>, slip: Slip, kind: Build, now: Instant) -> Option<()> {
        let start = buf.len();
        let mut receipts = core::mem::take(&mut self.receipts);
        let capacity = slip.size.saturating_sub(SHORT_OVERHEAD);
        let mut packet =
            PacketWriter::new(buf, SHORT_HEADER_LEN, capacity, &mut receipts, slip.allowance);
        let mut class = Class::Control;
        match kind {
            Build::Data => class = self.write(&mut packet, slip, now),
            Build::Ping => {
                self.acks.write(&mut packet, now);
                let _ = packet.write(&Frame::Ping);
            }
            Build::Side => self.paths.write(slip.path, &mut packet, now),
            Build::SizeProbe => {
                let _ = packet.write(&Frame::Ping);
                let len = packet.room();
                let _ = packet.write(&Frame::Padding { len });
            }
        }
        let written = packet.finish();
        let sealed = if written.len > 0 { self.seal(buf, start, slip.path, now) } else { None };
        if let Some(number) = sealed {
            let len = u16::try_from(buf.len() - start).unwrap_or(u16::MAX);
            let mtu_probe = kind == Build::SizeProbe;
            let ack_eliciting = written.ack_eliciting;
            let path = slip.path;
            self.bandwidth.on_sent(class, len.into());
            if kind != Build::Data || self.probes > 0 || self.asks {
                self.beside = self.beside.saturating_add(len.into());
            }
            let packet = SentPacket { number, path, size: len, ack_eliciting, mtu_probe };
            self.record(packet, &mut receipts, now);
        } else {
            buf.truncate(start);
        }
        receipts.clear();
        self.receipts = receipts;
        sealed.map(|_| ())
    }

    /// The parts, in the order in which they may speak. Returns the class of what they said.
    fn write(&mut self, packet: &mut PacketWriter<'_>, slip: Slip, now: Instant) -> Class {
        self.acks.write(packet, now);
        self.paths.write(slip.path, packet, now);
        self.cids.write(packet);
        self.credit.write(packet);
        self.allowed.write(packet);
        if let Some(session) = self.lifecycle.session_mut() {
            session.cids.write(packet);
        }
        let first = self.write_data(Self::order(slip.grant), packet);
        if !packet.ack_eliciting() && (self.ping || self.probes > 0) && packet.write(&Frame::Ping) {
            self.ping = false;
        }
        self.acks.write(packet, now);
        first.map_or(Class::Control, |first| self.class_of(first))
    }

    /// Datagrams and streams, class by class. Returns the class of the first that wrote.
    fn write_data(&mut self, order: Order, packet: &mut PacketWriter<'_>) -> Option<Priority> {
        if packet.allowance() < Allowance::Everything {
            return None;
        }
        let mut first = None;
        for class in self.streams.begin_packet(order, packet, &self.allowed) {
            let before = packet.len();
            let full = self.write_class(*class, packet);
            if first.is_none() && packet.len() > before {
                first = Some(*class);
            }
            if full {
                break;
            }
        }
        self.streams.end_packet(packet);
        first
    }

    /// Returns whether the packet is full.
    fn write_class(&mut self, class: Priority, packet: &mut PacketWriter<'_>) -> bool {
        if !self.datagrams.is_pending_of(class) {
            return self.streams.write_class(class, packet, &mut self.allowed);
        }
        if !self.streams.has_turn(class) {
            self.write_datagrams(class, packet);
            return false;
        }
        // One that found no room keeps its turn for the next packet.
        let first = self.datagrams.go_first(class);
        if !first || self.write_datagrams(class, packet) {
            self.datagrams.pass_turn(class);
        }
        let full = self.streams.write_class(class, packet, &mut self.allowed);
        if !first {
            self.write_datagrams(class, packet);
        }
        full
    }

    /// Returns whether one of them left the queue.
    fn write_datagrams(&mut self, class: Priority, packet: &mut PacketWriter<'_>) -> bool {
        let Written { any, room } = self.datagrams.write(class, packet);
        if room {
            self.events.push(EventKind::DatagramsWritable);
        }
        any
    }

    /// Gives the packet behind `start` its address and protection.
    fn seal(
        &mut self,
        buf: &mut Vec<u8>,
        start: usize,
        path: PathId,
        now: Instant,
    ) -> Option<PacketNumber> {
        let session = self.lifecycle.session_mut()?;
        let dcid = session.cids.of_path(path)?;
        buf.extend_from_slice(&[0; TAG_LEN]);
        let packet = buf.get_mut(start..)?;
        address(packet, &dcid.0);
        if self.traps.due(session.keys.next_number(), &mut self.rng) {
            session.keys.skip_number();
        }
        #[cfg(feature = "planted")]
        if self.config.planted.has(crate::planted::Fault::HastyKeys) {
            session.keys.update_untold();
        }
        match session.keys.seal(packet, now) {
            Ok(number) => Some(number),
            Err(SealError::AeadLimit) => {
                self.end_by_limit(now);
                None
            }
            Err(_) => None,
        }
    }

    /// A packet leaves: everybody who counts is told.
    fn record(&mut self, packet: SentPacket, receipts: &mut Vec<SentFrame>, now: Instant) {
        let in_flight = self.ledger.in_flight(packet.path);
        if let Some(path) = self.paths.get_mut(packet.path) {
            path.on_sent(packet.size);
            if packet.ack_eliciting && !packet.mtu_probe {
                if in_flight == 0 && self.ledger.is_app_limited(packet.path) {
                    path.on_restart(now);
                }
                path.on_sent_in_flight(packet.size, in_flight, now);
            }
        }
        if packet.ack_eliciting {
            self.idle.on_asked(now);
        }
        // What goes beside, or only asks for a size, is none of what silence or a move asks for.
        if packet.ack_eliciting && !packet.mtu_probe && packet.path == self.paths.active().id() {
            self.probes = self.probes.saturating_sub(1);
            self.asks = false;
            self.ping = false;
        }
        self.ledger.on_sent(packet, receipts, now);
    }
}

/// Puts the destination's id into the header of the packet.
fn address(packet: &mut [u8], dcid: &[u8; 8]) {
    let place = packet.get_mut(SHORT_DCID_OFFSET..SHORT_DCID_OFFSET + dcid.len());
    if let Some(place) = place {
        place.copy_from_slice(dcid);
    }
}

fn transmit_to(to: &Source) -> Transmit {
    let Source { carrier, remote, local, .. } = *to;
    Transmit { carrier, remote, local, ecn: None, segment: None }
}

/// Packet numbers that are left out now and then, at random: who acknowledges one acknowledges what
/// it cannot have seen (RFC 9000 section 21.4). Close together at first, so that who acknowledges
/// blindly is caught before slow start has gone far.
#[derive(Clone, Copy, Debug)]
#[cfg_attr(any(test, feature = "fingerprint"), derive(Hash))]
pub(super) struct Traps {
    next: u64,
    spacing: u64,
}

/// CLOSE takes less, whatever it says.
const CLOSE_ROOM: usize = MAX_REASON + 16;

/// The first trap is among this many packets; the distances double from here.
const FIRST_SPACING: u64 = 64;
/// Packets between two traps later: at least this many, and on average half as many more.
const LAST_SPACING: u64 = 512;

impl Traps {
    /// The first is somewhere in the first packets.
    pub(super) fn new(rng: &mut Rng) -> Self {
        Self { next: 1 + rng.below(FIRST_SPACING - 1), spacing: FIRST_SPACING }
    }

    /// Whether to leave `number` out.
    fn due(&mut self, number: PacketNumber, rng: &mut Rng) -> bool {
        let due = number.0 >= self.next;
        if due {
            self.next = number.0 + self.spacing + rng.below(self.spacing);
            self.spacing = (self.spacing * 2).min(LAST_SPACING);
        }
        due
    }
}
