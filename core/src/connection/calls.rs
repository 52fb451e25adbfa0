//! What an application asks of a connection. The endpoint's `ConnectionRef` hands these on.

use bytes::Bytes;
use core::net::SocketAddr;
use core::time::Duration;
use thiserror::Error;

use crate::crypto::identity::NodeId;
use crate::crypto::keys::ExportError;
use crate::crypto::provider::Cipher;
use crate::crypto::reset::ResetToken;
use crate::error::CloseReason;
use crate::flow::{Budget, Candidate, Share};
use crate::message::{Delivery, Queued, SendDatagramError, TooLarge};
use crate::stream::{
    OpenError, OpenOptions, Priority, RecvAccount, RecvStream, SendStream, StreamEvent,
};
use crate::time::Instant;
use crate::wire::capabilities::{Capabilities, Mode};
use crate::wire::frame::CloseCode;
use crate::wire::header::SHORT_OVERHEAD;
use crate::wire::id::{AppCode, Dir, StreamId};

use super::ending::Farewell;
use super::event::EventKind;
use super::lifecycle::Lifecycle;
use super::{Connection, ConnectionStats, LimitTimes};

/// Why a message was not sent. Nothing was changed, but [`MessageError::TooOld`] is counted.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
#[non_exhaustive]
pub enum MessageError {
    /// It is larger than the peer takes.
    #[error(transparent)]
    TooLarge(#[from] TooLarge),
    /// No stream could be opened for it.
    #[error(transparent)]
    Open(#[from] OpenError),
    /// It may not grow any older: it is counted as expired, and has no stream (spec R-MSG-16).
    #[error("the message is too old to be sent")]
    TooOld,
}

impl Connection {
    /// Who the peer is; `None` until it is proven.
    pub fn peer(&self) -> Option<NodeId> {
        self.lifecycle.session().map(|session| session.peer)
    }

    /// What both ends can do; `None` before the handshake is done. Fixed from then on.
    pub fn capabilities(&self) -> Option<Capabilities> {
        self.lifecycle.session().map(|session| session.capabilities)
    }

    /// How large messages cross this connection; `None` before the handshake is done.
    pub fn mode(&self) -> Option<Mode> {
        self.capabilities().map(Capabilities::mode)
    }

    /// Where the peer is.
    pub fn remote(&self) -> SocketAddr {
        self.paths.active().source().remote
    }

    /// The smoothed round trip of the path in use.
    pub fn rtt(&self) -> Duration {
        self.paths.active().rtt().smoothed()
    }

    /// The probe time-out of the path in use, without back-off.
    pub fn pto(&self) -> Duration {
        self.paths.active().pto()
    }

    /// The same where nothing waits on the way: what it was when the least round trip was the only
    /// sample.
    pub(crate) fn pto_unqueued(&self) -> Duration {
        let ack_delay = self.pto().saturating_sub(self.paths.active().rtt().pto_base());
        self.pto().min(self.paths.active().rtt().min() * 3 + ack_delay)
    }

    /// Why it ended, if it has.
    pub fn close_reason(&self) -> Option<&CloseReason> {
        self.reason.as_ref()
    }

    /// Counters, and what is now; but for the time that runs.
    pub fn stats(&self) -> ConnectionStats {
        let path = self.paths.active();
        let keys = self.lifecycle.session().map(|session| session.keys.counters());
        ConnectionStats {
            path: *path.stats(),
            rtt: self.rtt(),
            min_rtt: path.rtt().min(),
            controller: self.controller(),
            congestion_window: path.congestion().window(),
            bytes_in_flight: self.ledger.in_flight(path.id()),
            limited_by: self.limit.now(),
            limits: self.limits(Instant::ZERO),
            carriage: self.carriage(),
            datagram_size: path.packet_size().datagram_size(),
            ledger: self.ledger.stats(),
            acks: self.acks.stats(),
            keys: keys.unwrap_or(self.key_counts),
            datagrams: self.datagrams.stats(),
            messages_expired: self.expiring.expired(),
            streams: self.streams.count(),
            stream_stats: *self.streams.stats(),
            credit_granted: self.credit.lease(),
            bytes_held: self.credit.held(),
            bandwidth: self.bandwidth,
        }
    }

    /// How long each cause kept it from sending more, until `now`.
    pub(crate) fn limits(&self, now: Instant) -> LimitTimes {
        self.limit.times(now)
    }

    /// Opens a stream. OPEN goes out together with the first bytes.
    pub(crate) fn open(
        &mut self,
        dir: Dir,
        options: OpenOptions,
        budget: &mut Budget,
        now: Instant,
    ) -> Result<StreamId, OpenError> {
        if self.reason.is_some() || self.farewell.is_some() {
            return Err(OpenError::Closed);
        }
        let mut account = RecvAccount { credit: &mut self.credit, budget, now };
        self.streams.open(dir, options, &mut account)
    }

    /// What the opener of a stream said of it.
    pub fn stream_info(&self, id: StreamId) -> Option<&OpenOptions> {
        self.streams.info(id)
    }

    /// The next stream that the peer opened.
    pub(crate) fn accept(&mut self) -> Option<StreamId> {
        self.inbound.pop_front()
    }

    /// The sending half of a stream.
    pub(crate) fn send(&mut self, id: StreamId) -> Option<SendStream<'_>> {
        self.streams.send(id)
    }

    /// The receiving half of a stream.
    pub(crate) fn recv<'a>(
        &'a mut self,
        id: StreamId,
        budget: &'a mut Budget,
        now: Instant,
    ) -> Option<RecvStream<'a>> {
        self.streams.recv(id, RecvAccount { credit: &mut self.credit, budget, now })
    }

    /// Bytes of frames that a packet holds now.
    fn capacity(&self) -> usize {
        usize::from(self.paths.active().packet_size().datagram_size())
            .saturating_sub(SHORT_OVERHEAD)
    }

    /// Largest datagram that can be sent now; `None` if the peer takes none.
    pub fn max_datagram_len(&self) -> Option<usize> {
        self.datagrams.max_size(self.capacity())
    }

    /// Largest whole message that the peer takes, in bytes; 0 before the handshake is done.
    pub const fn max_message_len(&self) -> u64 {
        self.peer_max_message
    }

    /// Queues an unreliable datagram.
    pub(crate) fn send_datagram(
        &mut self,
        data: Bytes,
        delivery: Delivery,
        now: Instant,
    ) -> Result<Queued, SendDatagramError> {
        let capacity = self.capacity();
        let came = self.datagrams.send(data, delivery, capacity, now);
        self.note_dropped();
        came
    }

    /// Datagrams that were dropped before they were sent are drops of their class, and who was
    /// turned away hears of the room that those have left who were too old.
    pub(super) fn note_dropped(&mut self) {
        for (priority, dropped) in Priority::ALL.into_iter().zip(self.datagrams.take_dropped()) {
            self.bandwidth.on_dropped(self.class_of(priority), dropped);
        }
        if self.datagrams.take_room_news() {
            self.events.push(EventKind::DatagramsWritable);
        }
    }

    /// Whether a datagram of this class and `len` bytes is queued and none of its class or a higher
    /// one must give way.
    pub(crate) fn has_datagram_room(&mut self, class: Priority, len: usize, now: Instant) -> bool {
        let room = self.datagrams.has_room(class, len, now);
        self.note_dropped();
        room
    }

    /// The oldest datagram that came.
    pub(crate) fn recv_datagram(&mut self) -> Option<Bytes> {
        self.datagrams.recv(&mut self.credit)
    }

    /// Sends a whole message; its stream's id names it in `Delivered`.
    pub(crate) fn send_message(
        &mut self,
        data: Bytes,
        delivery: Delivery,
        budget: &mut Budget,
        now: Instant,
    ) -> Result<StreamId, MessageError> {
        if self.reason.is_some() || self.farewell.is_some() {
            return Err(OpenError::Closed.into());
        }
        self.post(data, delivery, budget, now)
    }

    /// The next whole message.
    pub(crate) fn recv_message(&mut self, budget: &mut Budget, now: Instant) -> Option<Bytes> {
        self.fetch(budget, now)
    }

    /// Ends after everything that was written is delivered.
    pub(crate) fn close(&mut self, code: AppCode, reason: &[u8], now: Instant) {
        if self.reason.is_none() && self.farewell.is_none() {
            self.farewell = Some(Farewell { code, reason: reason.to_vec(), until: None });
            if matches!(self.lifecycle, Lifecycle::Connecting(_)) {
                self.abort(code, reason, now);
            }
        }
    }

    /// Ends at once.
    pub(crate) fn abort(&mut self, code: AppCode, reason: &[u8], now: Instant) {
        self.end(CloseCode::App(code), reason, CloseReason::Local(code), now);
    }

    /// Derives a secret that only the two ends of this connection know (spec `03-keys.md`). `false`
    /// before the handshake is done.
    ///
    /// # Errors
    /// A label or an output of a length that cannot be.
    pub fn export_keying_material(
        &self,
        label: &[u8],
        context: &[u8],
        out: &mut [u8],
    ) -> Result<bool, ExportError> {
        match self.lifecycle.session() {
            Some(session) => session.keys.export(label, context, out).map(|()| true),
            None => Ok(false),
        }
    }

    /// The handshake's hash, equal at both ends and at no other connection: binds what stands above
    /// to this connection. `None` before the handshake is done.
    pub fn handshake_hash(&self) -> Option<[u8; 32]> {
        self.lifecycle.session().map(|session| session.handshake_hash)
    }

    /// The cipher that was agreed. `None` before the handshake is done.
    pub fn cipher(&self) -> Option<Cipher> {
        self.lifecycle.session().map(|session| session.keys.cipher())
    }

    /// Writes the secrets of the present keys, a line each, for a dissector (spec `03-keys.md`).
    /// Who has them reads the connection. Writes nothing before the handshake is done.
    ///
    /// # Errors
    /// `out`'s.
    #[cfg(feature = "keylog")]
    pub fn write_key_log(&self, out: &mut impl core::fmt::Write) -> core::fmt::Result {
        match self.lifecycle.session() {
            Some(session) => session.keys.write_key_log(&session.initiator_ephemeral, out),
            None => Ok(()),
        }
    }

    /// The tokens by which the peer may say that it forgot the connection.
    pub(crate) fn reset_tokens(&self) -> impl Iterator<Item = &ResetToken> {
        self.lifecycle.session().into_iter().flat_map(|session| session.cids.reset_tokens())
    }

    /// The next piece of news.
    pub(crate) fn next_event(&mut self) -> Option<EventKind> {
        // What arrived before the end is told before the end.
        let event = if self.events.ends() { self.stream_news() } else { None };
        let event = event.or_else(|| self.events.pop()).or_else(|| self.stream_news());
        if self.quiet { None } else { event }
    }

    /// Whether [`Connection::next_event`] may give something.
    pub(crate) fn has_news(&self) -> bool {
        !self.events.is_empty() || self.streams.has_news() || self.is_drained()
    }

    /// The streams' next piece of news; what concerns messages is dealt with here.
    fn stream_news(&mut self) -> Option<EventKind> {
        loop {
            match self.streams.poll_event()? {
                StreamEvent::Incoming => {
                    if self.sort_incoming() {
                        return Some(EventKind::StreamAvailable);
                    }
                }
                StreamEvent::Readable(id) if self.is_message(id) => {}
                StreamEvent::Writable(id) | StreamEvent::Stopped { id, .. }
                    if self.is_message(id) =>
                {
                    self.continue_message(id);
                }
                StreamEvent::Readable(id) => return Some(EventKind::Readable(id)),
                StreamEvent::Writable(id) => return Some(EventKind::Writable(id)),
                StreamEvent::Stopped { id, .. } => return Some(EventKind::Stopped(id)),
                StreamEvent::Acked(id) => return Some(EventKind::Acked(id)),
                StreamEvent::Delivered(id) => return Some(EventKind::Delivered(id)),
                StreamEvent::Strained { id: stream, buffered, limit, ranges, max_ranges } => {
                    let kind =
                        EventKind::StreamPressure { stream, buffered, limit, ranges, max_ranges };
                    return Some(kind);
                }
                StreamEvent::Ended { id, .. } if self.is_message(id) => {
                    self.messages.on_reset(id);
                }
                StreamEvent::Ended { id, why } => {
                    return Some(EventKind::StreamEnded { stream: id, why });
                }
                StreamEvent::Available(dir) => return Some(EventKind::Openable(dir)),
            }
        }
    }

    /// Takes in what the peer opened. Returns whether anything is there for the application.
    fn sort_incoming(&mut self) -> bool {
        let before = self.inbound.len();
        while let Some(id) = self.streams.accept() {
            if !self.is_message(id) {
                self.inbound.push_back(id);
            }
        }
        self.inbound.len() > before
    }

    /// Whether nothing is left of it.
    pub(crate) fn is_drained(&self) -> bool {
        matches!(self.lifecycle, Lifecycle::Drained)
    }

    /// Its part of the budget, to be given back.
    pub(crate) fn into_share(self) -> Share {
        self.credit.into_share()
    }

    /// How it looks to whom must find credit for others.
    pub(crate) fn recall_candidate<K>(&self, key: K) -> Option<Candidate<K>> {
        matches!(self.lifecycle, Lifecycle::Open(_)).then(|| Candidate {
            key,
            recallable: self.credit.recallable(),
            lent: self.credit.share().lent(),
            active_at: self.credit.active_at(),
        })
    }

    /// Asks the peer for credit that it does not use.
    pub(crate) fn ask_back(&mut self, bytes: u64, budget: &mut Budget, now: Instant) {
        let mut account = RecvAccount { credit: &mut self.credit, budget, now };
        self.streams.ask_back(bytes, &mut account);
    }

    /// Whether credit was wanted that the budget did not have.
    pub(crate) fn wants_credit(&self) -> bool {
        self.credit.is_hungry()
    }

    /// The budget has something again.
    pub(crate) fn top_up(&mut self, budget: &mut Budget, now: Instant) {
        let mut account = RecvAccount { credit: &mut self.credit, budget, now };
        self.streams.top_up(&mut account);
    }
}
