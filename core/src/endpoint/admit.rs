//! From a stranger's first packet to a connection.

use alloc::boxed::Box;
use alloc::vec::Vec;

use crate::connection::{Connection, EventKind};
use crate::crypto::handshake::{
    self, Arrival, First, IkOffer, ResponderStep, XxOffer, check_mac, keeps_initiating,
};
use crate::error::{CloseReason, Refusal};
use crate::path::Source;
use crate::tape::Op;
use crate::time::Instant;
use crate::wire::id::ConnectionId;

use super::incoming::{Offer, Offered};
use super::slab::SlotKey;
use super::strangers::{Admission, HalfOpen, Stage, stranger};
use super::{ConnectionHandle, Endpoint, Entry, Event, Incoming};

/// Offers that wait for the application (spec `13-limits.md`).
const MAX_OFFERS: usize = 128;

impl Endpoint {
    /// Takes a stranger in. The connection is there at once; [`EventKind::Connected`] follows when
    /// the stranger has shown that it has the keys.
    ///
    /// An offer that waited longer than the handshake time-out, or whose carrier was closed, gives
    /// a connection that is over.
    pub fn accept(&mut self, incoming: Incoming, now: Instant) -> ConnectionHandle {
        self.tape.note(|tape| tape.answer(Op::Accept, incoming.parts(), now));
        self.advance(now);
        let Offered { key, source, offer, .. } = incoming.0;
        let handle = ConnectionHandle(key);
        let Some(half_open) = self.take_half_open(key) else {
            let timeout = self.config.transport.handshake_timeout;
            let reason = match self.carriers.get(source.carrier) {
                Some(_) => CloseReason::HandshakeTimeout(timeout),
                None => CloseReason::CarrierLost,
            };
            for kind in [EventKind::Closed(reason), EventKind::Drained] {
                self.late.push_back(Event { connection: handle, kind });
            }
            return handle;
        };
        let setup = self.setup(key, half_open.share);
        let connection = match offer {
            Offer::Complete(established, round_trip) => {
                Connection::accepted(setup, *established, round_trip, &source, now)
            }
            Offer::Known(offer) => {
                let mut rng = self.secret_rng.fork("responder");
                match offer.accept(setup.cids.id(0), &setup.params(source.remote.ip()), &mut rng) {
                    Ok((answer, established)) => {
                        self.strangers.reply(&source, answer.clone());
                        Connection::answered(setup, *established, answer, &source, now)
                    }
                    Err(error) => Connection::stillborn(setup, error, &source, now),
                }
            }
        };
        self.admit(key, connection, source.remote);
        self.stats.accepted += 1;
        self.note_ephemeral(key, half_open.ephemeral);
        self.keep_place(key, half_open.source.remote.ip());
        self.touch(key);
        handle
    }

    /// Turns a stranger away, and tells it so.
    pub fn refuse(&mut self, incoming: Incoming, now: Instant) {
        self.tape.note(|tape| tape.answer(Op::Refuse, incoming.parts(), now));
        self.advance(now);
        let Offered { key, source, offer, .. } = incoming.0;
        let Some(half_open) = self.take_half_open(key) else { return };
        let address = half_open.source.remote.ip();
        match offer {
            Offer::Known(offer) => {
                self.strangers.on_ended(address);
                self.budget.close(half_open.share);
                self.slots.release(key);
                self.strangers.forget(&half_open.ephemeral);
                let answer = offer.refuse(Refusal::NotAllowed, &mut self.secret_rng);
                self.answer(&source, answer);
            }
            Offer::Complete(established, round_trip) => {
                let setup = self.setup(key, half_open.share);
                let connection = Connection::refused(setup, *established, round_trip, &source, now);
                self.admit(key, connection, source.remote);
                self.note_ephemeral(key, half_open.ephemeral);
                self.keep_place(key, address);
                self.touch(key);
            }
        }
    }

    /// I1 or X1: the checks in the order of spec R-EP-10.
    pub(super) fn on_first(&mut self, source: &Source, bytes: &mut [u8], now: Instant) {
        let config = alloc::sync::Arc::clone(&self.config.handshake);
        let first = match check_mac(&config, bytes) {
            Ok(Arrival::First(first)) => first,
            Ok(Arrival::OtherVersion(other)) => {
                let mut answer = Vec::new();
                other.reply(&config, &mut answer);
                self.stats.versions += u64::from(self.strangers.reply(source, answer));
                return;
            }
            Err(_) => {
                self.stats.handshake_discarded += 1;
                return;
            }
        };
        if let Some(key) = self.strangers.find(&first.ephemeral()) {
            sometimes!("endpoint: a first packet comes again");
            self.stats.duplicates += 1;
            self.on_duplicate(key, source);
            return;
        }
        if self.knows_attempt(first.scid(), source) {
            self.stats.duplicates += 1;
            return;
        }
        if !self.may_open(&first, source, now) {
            return;
        }
        self.stats.handshakes_opened += 1;
        let ephemeral = first.ephemeral();
        match first.open(&config) {
            Ok(handshake::Offer::Ik(offer)) => self.on_known(offer, ephemeral, source, now),
            Ok(handshake::Offer::Xx(offer)) => self.on_unknown(offer, ephemeral, source, now),
            Ok(handshake::Offer::Unacceptable(offer)) => {
                let answer = offer.refuse(&mut self.secret_rng);
                self.answer(source, answer);
            }
            Err(_) => self.stats.handshake_discarded += 1,
        }
    }

    /// Whether a first packet belongs to a connection that is there: it is one of our own that came
    /// back (spec R-EP-20), or the peer's late attempt at a connection that ours has become (spec
    /// R-EP-19). Both are known by the id that the sender calls itself.
    fn knows_attempt(&self, scid: ConnectionId, source: &Source) -> bool {
        let ours = self.find(scid).and_then(|(key, _)| self.slots.get(key));
        matches!(ours, Some(Entry::Connection(_)))
            || self.members_at(source.remote).any(|(_, member)| member.connection.began_with(scid))
    }

    /// Cookie and limits.
    fn may_open(&mut self, first: &First<'_>, source: &Source, now: Instant) -> bool {
        let pattern = first.mode() as u8;
        let who = stranger(source.remote, first.scid(), pattern);
        match self.strangers.admit(&first.cookie(), &who, source.kind, now) {
            Admission::Open => true,
            Admission::Retry(cookie) => {
                sometimes!("endpoint: a stranger is asked for a cookie");
                let mut answer = Vec::new();
                first.retry(&self.config.handshake, &cookie, &mut answer);
                self.stats.retries += u64::from(self.strangers.reply(source, answer));
                false
            }
            Admission::Drop => {
                self.stats.over_limit += 1;
                false
            }
        }
    }

    /// The same first packet again: the same answer again, while it may still be missed.
    fn on_duplicate(&mut self, key: SlotKey, source: &Source) {
        let answer = match self.slots.get_mut(key) {
            Some(Entry::HalfOpen(half_open)) if half_open.source.remote != source.remote => None,
            Some(Entry::Connection(member)) if !member.connection.answers_to(source) => None,
            Some(Entry::HalfOpen(half_open)) => match &mut half_open.stage {
                Stage::AwaitX3 { answer, sent, .. } => {
                    *sent = None;
                    Some(answer.clone())
                }
                Stage::Offered => None,
            },
            Some(Entry::Connection(member)) => member.connection.answer_again().map(<[u8]>::to_vec),
            None => None,
        };
        if let Some(answer) = answer {
            self.strangers.reply(source, answer);
        }
    }

    fn on_known(&mut self, offer: IkOffer, ephemeral: [u8; 32], source: &Source, now: Instant) {
        let peer = offer.peer();
        if let Some(&key) = self.dialing.get(&peer) {
            self.on_both_began(key, offer, ephemeral, source, now);
            return;
        }
        if self.offers.len() >= MAX_OFFERS {
            self.stats.over_limit += 1;
            return;
        }
        let begun = self.begin_half_open(ephemeral, source, now, |_, _| Some(Stage::Offered));
        let Some(key) = begun else {
            self.stats.refused_busy += 1;
            let answer = offer.refuse(Refusal::Busy, &mut self.secret_rng);
            self.answer(source, answer);
            return;
        };
        let offer = Offer::Known(Box::new(offer));
        self.offers.push_back(Offered { key, peer, source: *source, offer });
    }

    /// Both nodes dial each other (spec R-EP-19).
    fn on_both_began(
        &mut self,
        key: SlotKey,
        offer: IkOffer,
        ephemeral: [u8; 32],
        source: &Source,
        now: Instant,
    ) {
        let own = self.node_id();
        let mut rng = self.secret_rng.fork("responder");
        let Some(Entry::Connection(member)) = self.slots.get_mut(key) else { return };
        if keeps_initiating(&own, &offer.peer()) {
            member.connection.hurry(now);
        } else if let Some(answer) =
            member.connection.answer_rival(offer, source.remote, &mut rng, now)
        {
            if let Some(before) = member.ephemeral.replace(ephemeral) {
                self.strangers.forget(&before);
            }
            self.strangers.remember(ephemeral, key);
            self.strangers.reply(source, answer);
        }
        self.touch(key);
    }

    fn on_unknown(&mut self, offer: XxOffer, ephemeral: [u8; 32], source: &Source, now: Instant) {
        let mut rng = self.secret_rng.fork("responder");
        let mut answer = None;
        let mut offer = Some(offer);
        let begun = self.begin_half_open(ephemeral, source, now, |endpoint, (key, share)| {
            let setup = endpoint.setup(key, share.clone());
            let offer = offer.take()?;
            let (bytes, machine) =
                offer.reply(setup.cids.id(0), &setup.params(source.remote.ip()), &mut rng).ok()?;
            answer = Some(bytes.clone());
            Some(Stage::AwaitX3 { machine, answer: bytes, sent: Some(now) })
        });
        if begun.is_none()
            && let Some(offer) = offer
        {
            self.stats.refused_busy += 1;
            answer = offer.refuse(Refusal::Busy, &mut rng).ok();
        }
        if let Some(answer) = answer {
            self.strangers.reply(source, answer);
        }
    }

    /// A slot and a share for a stranger, and the stage that `stage` gives; `None` if either is
    /// short.
    fn begin_half_open(
        &mut self,
        ephemeral: [u8; 32],
        source: &Source,
        now: Instant,
        stage: impl FnOnce(&mut Self, (SlotKey, &crate::flow::Share)) -> Option<Stage>,
    ) -> Option<SlotKey> {
        let share = self.budget.open()?;
        let key = self.slots.reserve();
        let stage = key.and_then(|key| stage(self, (key, &share)));
        let (Some(key), Some(stage)) = (key, stage) else {
            self.budget.close(share);
            key.map(|key| self.slots.release(key));
            return None;
        };
        let until = now + self.config.transport.handshake_timeout;
        let source = *source;
        let half_open = HalfOpen { ephemeral, source, share, until, stage };
        self.slots.put(key, Entry::HalfOpen(Box::new(half_open)));
        self.strangers.on_begun(ephemeral, source.remote.ip(), key);
        self.users.insert((source.carrier, key));
        self.deadlines.change(key, None, Some(until));
        Some(key)
    }

    /// X3 for a half-open handshake.
    pub(super) fn on_third(
        &mut self,
        key: SlotKey,
        source: &Source,
        bytes: &mut [u8],
        now: Instant,
    ) {
        let Some(Entry::HalfOpen(half_open)) = self.slots.get_mut(key) else { return };
        let Stage::AwaitX3 { machine, sent, .. } = &half_open.stage else {
            self.stats.duplicates += 1;
            return;
        };
        // X2 went to one address, and only from there does X3 prove anything.
        if half_open.source.remote != source.remote {
            self.stats.handshake_discarded += 1;
            return;
        }
        if self.offers.len() >= MAX_OFFERS {
            self.stats.over_limit += 1;
            return;
        }
        match machine.clone().on_packet(bytes) {
            ResponderStep::Established(established) => {
                let round_trip = sent.map(|sent| now.saturating_since(sent));
                half_open.stage = Stage::Offered;
                let (peer, source) = (established.peer, *source);
                let offer = Offer::Complete(established, round_trip);
                self.offers.push_back(Offered { key, peer, source, offer });
            }
            ResponderStep::Failed(_) => {
                self.stats.handshake_discarded += 1;
                self.forget_half_open(key);
            }
            ResponderStep::Discarded(..) => self.stats.handshake_discarded += 1,
        }
    }

    /// A half-open handshake leaves its slot, which stays set apart.
    fn take_half_open(&mut self, key: SlotKey) -> Option<HalfOpen> {
        if !matches!(self.slots.get(key), Some(Entry::HalfOpen(_))) {
            return None;
        }
        let Some(Entry::HalfOpen(half_open)) = self.slots.take(key) else { return None };
        self.deadlines.change(key, Some(half_open.until), None);
        self.users.remove(&(half_open.source.carrier, key));
        Some(*half_open)
    }

    /// What was accepted stays half-open until the peer is confirmed, what was refused until it is
    /// gone (spec R-EP-13): neither who repeats first packets of others nor who is turned away
    /// again and again must take more than strangers may.
    fn keep_place(&mut self, key: SlotKey, address: core::net::IpAddr) {
        match self.slots.get_mut(key) {
            Some(Entry::Connection(member)) if member.connection.is_half_open() => {
                member.place = Some(address);
            }
            _ => self.strangers.on_ended(address),
        }
    }

    /// A half-open handshake is over (spec R-EP-16).
    pub(super) fn forget_half_open(&mut self, key: SlotKey) {
        if let Some(half_open) = self.take_half_open(key) {
            self.strangers.on_ended(half_open.source.remote.ip());
            self.strangers.forget(&half_open.ephemeral);
            self.offers.retain(|offered| offered.key != key);
            self.budget.close(half_open.share);
            self.slots.release(key);
        }
    }

    fn note_ephemeral(&mut self, key: SlotKey, ephemeral: [u8; 32]) {
        if let Some(Entry::Connection(member)) = self.slots.get_mut(key) {
            member.ephemeral = Some(ephemeral);
        }
    }

    fn answer<E>(&mut self, source: &Source, answer: Result<Vec<u8>, E>) {
        match answer {
            Ok(answer) => {
                self.strangers.reply(source, answer);
            }
            Err(_) => self.stats.handshake_discarded += 1,
        }
    }
}
