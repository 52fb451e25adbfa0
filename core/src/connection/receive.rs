//! List one: what came in.

use core::time::Duration;

use crate::crypto::keys::{KeyPhase, OpenError};
use crate::crypto::reset::is_reset;
use crate::error::{CloseReason, TransportCode, Violation};
use crate::flow::Budget;
use crate::path::{Arrival, Source};
use crate::planted::Fault;
use crate::recovery::ReceivedPacket;
use crate::shaping::{Bandwidth, Class as Shaped};
use crate::stream::{Accepted, RecvAccount};
use crate::time::Instant;
use crate::wire::frame::{Frame, frames};
use crate::wire::header::{Class, classify};
use crate::wire::id::{ConnectionId, CreditTarget, Dir, Ecn, PathId};
use crate::wire::open::Protocol;
use crate::wire::params::Params;
use crate::wire::protocol;

use super::Connection;
use super::event::EventKind;
use super::lifecycle::Lifecycle;

/// What a frame needs to know of the packet that it came in.
#[derive(Clone, Copy)]
struct Context {
    /// `None`: from an address that cannot be followed, so nothing is answered there.
    path: Option<PathId>,
    phase: KeyPhase,
    now: Instant,
}

/// Where a packet came from, and how it was addressed.
struct Way<'a> {
    source: &'a Source,
    /// Bytes of the datagram.
    len: usize,
    dcid: Option<ConnectionId>,
}

impl Connection {
    /// A short packet for this connection. Returns whether it was one that mattered.
    pub(crate) fn on_datagram(
        &mut self,
        source: &Source,
        ecn: Option<Ecn>,
        packet: &mut [u8],
        beside: &mut Bandwidth,
        budget: &mut Budget,
        now: Instant,
    ) -> bool {
        let (len, mut class) = (packet.len() as u64, None);
        let mattered = self.take_datagram(source, ecn, packet, &mut class, budget, now);
        match class {
            Some(class) => self.bandwidth.on_received(class, len),
            None => beside.on_received(Shaped::Control, len),
        }
        mattered
    }

    fn take_datagram(
        &mut self,
        source: &Source,
        ecn: Option<Ecn>,
        packet: &mut [u8],
        class: &mut Option<Shaped>,
        budget: &mut Budget,
        now: Instant,
    ) -> bool {
        if self.is_connecting() && !self.try_rival(source, packet, now) {
            return false;
        }
        match &self.lifecycle {
            Lifecycle::Open(_) => {
                self.receive(source, ecn, packet, class, budget, now).unwrap_or_else(|violation| {
                    self.end_by_violation(violation, now);
                    true
                })
            }
            Lifecycle::Closing(..) => self.receive_late(source, packet, now),
            Lifecycle::Connecting(_) | Lifecycle::Draining { .. } | Lifecycle::Drained => false,
        }
    }

    fn receive(
        &mut self,
        source: &Source,
        ecn: Option<Ecn>,
        packet: &mut [u8],
        class: &mut Option<Shaped>,
        budget: &mut Budget,
        now: Instant,
    ) -> Result<bool, Violation> {
        let way = Way { source, len: packet.len(), dcid: destination(packet) };
        let pto = self.paths.active().pto();
        let Lifecycle::Open(session) = &mut self.lifecycle else { return Ok(false) };
        let opened = match session.keys.open(packet, pto, now) {
            Ok(opened) => opened,
            Err(OpenError::Violation(violation)) => return Err(violation),
            Err(OpenError::AeadLimit) => {
                self.end_by_limit(now);
                return Ok(true);
            }
            Err(_) => {
                let reset = is_reset(packet, session.cids.reset_tokens());
                if reset {
                    self.on_reset(now);
                }
                return Ok(reset);
            }
        };
        *class = Some(Shaped::Control);
        self.on_proof(source, now);
        self.idle.on_heard(now);
        self.ledger.on_heard(now);
        let newest = self.acks.largest().is_none_or(|largest| opened.number > largest);
        assert!(newest || !self.config.planted.has(Fault::BrittleOrder), "a fault on purpose");
        let arrival = if newest { Arrival::Newest } else { Arrival::Late };
        let path = self.on_way(&way, arrival, budget, now);
        let context = Context { path, phase: opened.phase, now };
        let (mut ack_eliciting, mut moving, mut whole, mut empty) = (false, false, true, true);
        let (mut fed, mut ends, mut classed) = (false, false, None);
        for frame in frames(opened.payload) {
            let frame = frame?;
            empty = false;
            ack_eliciting |= frame.is_ack_eliciting();
            moving |= !is_probing(&frame);
            fed |= matches!(frame, Frame::Stream(_));
            ends |= is_last_word(&frame);
            whole &= self.on_frame(&frame, context, budget)?;
            classed = classed.or_else(|| self.class_of_frame(&frame));
        }
        *class = Some(classed.unwrap_or_default());
        if empty {
            return Err(Violation::new(TransportCode::Protocol, "a packet without a frame"));
        }
        if fed {
            self.idle.on_fed(now);
        }
        if whole {
            let packet = ReceivedPacket { number: opened.number, ack_eliciting, ecn };
            self.acknowledge(packet, ends, now);
        }
        let moving = moving && !self.config.planted.has(Fault::RootedPath);
        if let Some(path) = path.filter(|_| newest && moving) {
            let event = self.paths.on_moving_packet(path, now);
            self.on_path_events(event, budget, now);
        }
        self.widen_replay_window(now);
        Ok(true)
    }

    fn acknowledge(&mut self, packet: ReceivedPacket, ends: bool, now: Instant) {
        self.acks.set_rtt(self.paths.active().rtt().smoothed());
        self.acks.on_packet(packet, now);
        if ends {
            self.acks.on_end();
        }
    }

    /// The path that a packet came on. `None`: it came from where nothing can be sent.
    fn on_way(
        &mut self,
        way: &Way<'_>,
        arrival: Arrival,
        budget: &mut Budget,
        now: Instant,
    ) -> Option<PathId> {
        let same_id = self.addressed == way.dcid;
        if arrival == Arrival::Newest {
            self.addressed = way.dcid;
        }
        let seen = self.paths.on_packet(way.source, way.len, arrival, now);
        let dropped = seen.dropped.map(crate::path::PathEvent::Dropped);
        self.on_path_events(dropped, budget, now);
        let path = seen.path?;
        if seen.opened && !self.address_path(path, same_id) {
            // No id is left by which the peer could be addressed there (spec R-EP-5).
            self.paths.close(path);
            return None;
        }
        if seen.opened {
            self.ledger.set_carriage(path, super::carriage(way.source));
        }
        Some(path)
    }

    /// Sees to it that there is a connection id for a path: one of its own, or else, if the peer
    /// itself goes on with the same id, that of the active path. Then it does not know that it is
    /// elsewhere, because a NAT moved it, and there is nothing to hide (RFC 9000 section 9.5).
    pub(super) fn address_path(&mut self, path: PathId, same_id: bool) -> bool {
        let active = self.paths.active().id();
        let Some(session) = self.lifecycle.session_mut() else { return false };
        session.cids.of_path(path).is_some() || same_id && session.cids.share(path, active)
    }

    /// One frame. `false`: the packet is not acknowledged, because a part of it could not be kept.
    fn on_frame(
        &mut self,
        frame: &Frame<'_>,
        context: Context,
        budget: &mut Budget,
    ) -> Result<bool, Violation> {
        let Context { path, phase, now } = context;
        match frame {
            Frame::Padding { .. }
            | Frame::Ping
            | Frame::DataBlocked { .. }
            | Frame::Unknown { .. } => {}
            // No parameter may change yet; what is none is a violation all the same.
            Frame::Params { data } => _ = Params::decode(data)?,
            Frame::Ack(ack) => {
                if let Some(session) = self.lifecycle.session_mut() {
                    session.keys.on_ack(ack.largest, phase)?;
                }
                self.ledger.on_ack(ack, &mut self.settled, now)?;
                self.settle(budget, now);
            }
            Frame::MaxData { limit } => _ = self.allowed.on_max(self.config.planted.over(*limit)),
            Frame::CreditRecall { target: CreditTarget::Connection, total } => {
                self.allowed.on_recall(*total);
            }
            Frame::CreditReturned {
                target: target @ (CreditTarget::Connection | CreditTarget::Streams(_)),
                total,
            } => self.credit.on_returned(*target, *total, budget)?,
            Frame::StreamsBlocked { dir, limit } => {
                self.credit.on_streams_blocked(*dir, *limit, budget);
            }
            Frame::Open(_)
            | Frame::Stream(_)
            | Frame::Skip { .. }
            | Frame::Reset(_)
            | Frame::Stop(_)
            | Frame::MaxStreamData { .. }
            | Frame::StreamDataBlocked { .. }
            | Frame::MaxStreams { .. }
            | Frame::CreditRecall { .. }
            | Frame::CreditReturned { .. } => return self.on_stream_frame(frame, budget, now),
            Frame::Datagram { data } => {
                if self.datagrams.on_frame(data, &mut self.credit, budget)? {
                    self.events.push(EventKind::DatagramReceived);
                }
            }
            Frame::NewCid(new) => {
                if let Some(session) = self.lifecycle.session_mut() {
                    session.cids.on_new(new)?;
                }
            }
            Frame::RetireCid { sequence } => self.cids.on_retire(*sequence)?,
            Frame::PathChallenge { token } => {
                path.into_iter().for_each(|path| self.paths.on_challenge(path, *token, now));
            }
            Frame::PathResponse { token } => self.on_path_response(*token, budget, now),
            Frame::ObservedAddress { sequence, address } => {
                if self.paths.on_observed(*sequence, *address) {
                    self.events.push(EventKind::AddressObserved(*address));
                }
            }
            Frame::Close(close) => self.end_by_peer(close, now),
        }
        Ok(true)
    }

    fn on_stream_frame(
        &mut self,
        frame: &Frame<'_>,
        budget: &mut Budget,
        now: Instant,
    ) -> Result<bool, Violation> {
        let opens = matches!(frame, Frame::Open(open)
            if open.protocol == Protocol::Number(protocol::MESSAGE)
                && self.streams.info(open.id).is_none());
        let mut account = RecvAccount { credit: &mut self.credit, budget, now };
        let accepted = self.streams.on_frame(frame, &mut account)?;
        // One that is over already is no message that begins.
        if let Frame::Open(open) = frame
            && opens
            && self.streams.info(open.id).is_some()
        {
            self.on_message_open(open, budget, now);
        } else if self.messages.partial() > 0 {
            self.on_message_frame(frame, budget, now);
        }
        Ok(accepted == Accepted::Yes)
    }

    /// A packet while we are closing: CLOSE is said again, now and then.
    fn receive_late(&mut self, source: &Source, packet: &mut [u8], now: Instant) -> bool {
        let pto = self.paths.active().pto();
        let len = packet.len();
        let Lifecycle::Closing(session, closing) = &mut self.lifecycle else { return false };
        let Ok(opened) = session.keys.open(packet, pto, now) else { return false };
        let closed =
            frames(opened.payload).any(|frame| matches!(frame, Ok(Frame::Close(_)) | Err(_)));
        if closed {
            let until = closing.until;
            self.key_counts = session.keys.counters();
            self.lifecycle = Lifecycle::Draining { until };
        } else {
            closing.on_packet(*source, len);
            self.on_late_proof(source);
        }
        true
    }

    /// Ends as the peer's stateless reset says: it no longer knows this connection.
    pub(crate) fn on_reset(&mut self, now: Instant) {
        if matches!(self.lifecycle, Lifecycle::Open(_)) {
            self.drain(CloseReason::Reset, now);
        }
    }

    fn widen_replay_window(&mut self, now: Instant) {
        let rtt = self.paths.iter().map(|path| path.rtt().smoothed()).max().unwrap_or_default();
        if let Some(packets) = self.meter.on_packet(rtt, now)
            && let Some(session) = self.lifecycle.session_mut()
        {
            session.keys.grow_window_to(packets);
        }
    }
}

/// The id of ours in the header of a short packet.
fn destination(packet: &[u8]) -> Option<ConnectionId> {
    let Class::Short { dcid } = classify(packet) else { return None };
    Some(dcid)
}

/// Whether a frame may come from an address without saying that the peer is there for good (RFC
/// 9000 section 9.1).
fn is_probing(frame: &Frame<'_>) -> bool {
    matches!(
        frame,
        Frame::Padding { .. }
            | Frame::PathChallenge { .. }
            | Frame::PathResponse { .. }
            | Frame::NewCid(_)
    )
}

/// Counts packets of one round trip: the replay window must hold several times as many.
#[derive(Clone, Copy, Debug)]
#[cfg_attr(any(test, feature = "fingerprint"), derive(Hash))]
pub(super) struct Meter {
    since: Instant,
    packets: u64,
}

/// How many round trips' worth of packets the replay window holds.
const ROUNDS_IN_WINDOW: u64 = 4;

impl Meter {
    /// Begins at `now`.
    pub(super) const fn new(now: Instant) -> Self {
        Self { since: now, packets: 0 }
    }

    /// One more packet. When a round trip is over, says how many packets the window should hold.
    fn on_packet(&mut self, rtt: Duration, now: Instant) -> Option<u64> {
        self.packets += 1;
        if now.saturating_since(self.since) < rtt {
            return None;
        }
        let packets = self.packets.saturating_mul(ROUNDS_IN_WINDOW);
        *self = Self::new(now);
        Some(packets)
    }
}

/// Whether it ends a body that nobody answers on its stream.
fn is_last_word(frame: &Frame<'_>) -> bool {
    matches!(frame, Frame::Stream(stream) if stream.fin && stream.id.dir() == Dir::Uni)
}
