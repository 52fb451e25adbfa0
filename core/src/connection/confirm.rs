//! From handshake packets to keys, and from keys to the certainty that the peer has them.

use alloc::boxed::Box;
use alloc::string::ToString;
use alloc::vec::Vec;
use core::net::SocketAddr;
use core::time::Duration;

use crate::crypto::handshake::{Established, HandshakeError, IkOffer, Initiator, InitiatorStep};
use crate::crypto::keys::PacketKeys;
use crate::error::CloseReason;
use crate::path::Source;
use crate::planted::Fault;
use crate::recovery::{INITIAL_RTT, RttSample};
use crate::rng::Rng;
use crate::time::Instant;
use crate::wire::capabilities::Capabilities;
use crate::wire::id::{PathId, Side};

use super::cids::RemoteCids;
use super::connecting::Answered;
use super::event::EventKind;
use super::lifecycle::{Confirmation, Lifecycle, Resend, Session};
use super::{Connection, Setup};

/// Whether the active path's address was proven along with the keys.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Address {
    Proven,
    Unproven,
}

impl Connection {
    /// The peer began by `IKpsk0+psk2` and we answered with `answer`; its first packet confirms it.
    pub(crate) fn answered(
        setup: Setup,
        established: Established,
        answer: Vec<u8>,
        source: &Source,
        now: Instant,
    ) -> Self {
        let until = now + setup.config.handshake_timeout;
        let confirmation = Confirmation::Awaiting { answer, sent: Some(now), until };
        let mut connection = Self::with_keys(setup, established, confirmation, source, now);
        if connection.config.planted.has(Fault::HastyConfirmation) {
            connection.on_confirmed(Address::Proven);
        }
        connection
    }

    /// The peer began by `XXpsk0+psk3` and completed it; `round_trip` is how long it took to
    /// answer, if that is known.
    pub(crate) fn accepted(
        setup: Setup,
        established: Established,
        round_trip: Option<Duration>,
        source: &Source,
        now: Instant,
    ) -> Self {
        let confirmed = Confirmation::Confirmed;
        let mut connection = Self::with_keys(setup, established, confirmed, source, now);
        connection.on_round_trip(round_trip);
        connection.on_confirmed(Address::Proven);
        connection
    }

    /// The peer completed its handshake, and the application does not want it. Nobody hears of it.
    pub(crate) fn refused(
        setup: Setup,
        established: Established,
        round_trip: Option<Duration>,
        source: &Source,
        now: Instant,
    ) -> Self {
        let mut connection = Self::accepted(setup, established, round_trip, source, now);
        connection.quiet = true;
        connection.turn_away(now);
        connection
    }

    /// The answer could not be made: the connection is over before it began.
    pub(crate) fn stillborn(
        setup: Setup,
        error: HandshakeError,
        source: &Source,
        now: Instant,
    ) -> Self {
        let mut connection = Self::new(setup, Side::Responder, Lifecycle::Drained, source, now);
        connection.end_now(CloseReason::Handshake(error.to_string()));
        connection
    }

    fn with_keys(
        setup: Setup,
        established: Established,
        confirmation: Confirmation,
        source: &Source,
        now: Instant,
    ) -> Self {
        let mut connection = Self::new(setup, Side::Responder, Lifecycle::Drained, source, now);
        connection.open_session(established, confirmation, None);
        connection
    }

    /// There are keys: packets can flow.
    fn open_session(
        &mut self,
        established: Established,
        confirmation: Confirmation,
        keys: Option<PacketKeys>,
    ) {
        if self.side != established.side {
            // Both began, and the peer's attempt is kept.
            self.side = established.side;
            self.streams.set_side(self.side);
            self.credit.set_side(self.side);
        }
        self.paths.set_leads(self.side == Side::Initiator);
        self.learn(&established);
        let keys = keys.unwrap_or_else(|| self.keys_of(&established));
        let token = established.peer_params.reset_token;
        let session = Session {
            keys,
            peer: established.peer,
            cids: RemoteCids::new(established.peer_cid, token, PathId(0)),
            first_cid: established.peer_cid,
            confirmation,
            handshake_hash: established.handshake_hash,
            capabilities: Capabilities::from_bits(established.capabilities),
            initiator_ephemeral: established.initiator_ephemeral,
        };
        self.lifecycle = Lifecycle::Open(Box::new(session));
    }

    fn keys_of(&self, established: &Established) -> PacketKeys {
        let Established { cipher, side, secrets, .. } = established;
        PacketKeys::new(self.provider, *cipher, *side, secrets, self.config.key_limits)
    }

    /// The peer has the keys. `address` says whether that also proves that it is at the active
    /// path's other end: only if what it answers went nowhere else (spec R-EP-12).
    fn on_confirmed(&mut self, address: Address) {
        if let Some(session) = self.lifecycle.session_mut() {
            session.confirmation = Confirmation::Confirmed;
            session.keys.on_confirmed();
        }
        if address == Address::Proven {
            self.paths.on_address_proven();
        }
        // Who finished the handshake last hears so at once.
        self.ping = true;
        if self.side == Side::Responder {
            self.events.push(EventKind::Connected);
        }
    }

    /// The handshake has measured the path, unless it had to say something twice (spec R-REC-31).
    fn on_round_trip(&mut self, measured: Option<Duration>) {
        // On a way that takes longer the question comes a second time. Whoever takes its time to
        // answer must not make us linger for a multiple of it.
        if let Some(latest) = measured.filter(|measured| *measured <= INITIAL_RTT) {
            let sample = RttSample { latest, ack_delay: Duration::ZERO };
            self.paths.active_mut().on_rtt_sample(&sample);
        }
    }

    /// A packet opened: whoever sent it has the keys.
    pub(super) fn on_proof(&mut self, source: &Source, now: Instant) {
        let Some(session) = self.lifecycle.session() else { return };
        let answered = match session.confirmation {
            Confirmation::Confirmed => return,
            Confirmation::Awaiting { sent, .. } => sent,
            Confirmation::Repeating { .. } => None,
        };
        let address = self.address_of(source);
        if address == Address::Proven {
            self.on_round_trip(answered.map(|sent| now.saturating_since(sent)));
        }
        self.on_confirmed(address);
    }

    /// The same when it is over already. From elsewhere it proves nothing: nobody is left who could
    /// be asked to answer from there.
    pub(super) fn on_late_proof(&mut self, source: &Source) {
        let proven = self.address_of(source) == Address::Proven;
        if let Some(session) = self.lifecycle.session_mut()
            && proven
            && !matches!(session.confirmation, Confirmation::Confirmed)
        {
            session.confirmation = Confirmation::Confirmed;
            self.paths.on_address_proven();
        }
    }

    /// Whether a packet from `source` comes from where the active path leads.
    fn address_of(&self, source: &Source) -> Address {
        let active = self.paths.active().source();
        let same = active.remote == source.remote && active.carrier == source.carrier;
        if same { Address::Proven } else { Address::Unproven }
    }

    /// A handshake packet for this connection. Returns whether it was one that mattered.
    pub(crate) fn on_handshake(&mut self, packet: &mut [u8], rng: &mut Rng, now: Instant) -> bool {
        let digest = |packet: &[u8]| self.provider.sha256(&[packet]);
        match &mut self.lifecycle {
            Lifecycle::Connecting(connecting) if connecting.rests(now) => false,
            Lifecycle::Connecting(connecting) => {
                let Some(initiator) = connecting.take() else { return false };
                let digest = digest(packet);
                let step = initiator.on_packet(packet);
                self.on_step(step, digest, rng, now)
            }
            Lifecycle::Open(session) => match &mut session.confirmation {
                // The responder answers again: what we finished with was lost.
                Confirmation::Repeating { answer, resend, .. } if *answer == digest(packet) => {
                    resend.hurry(now);
                    true
                }
                _ => false,
            },
            _ => false,
        }
    }

    fn on_step(
        &mut self,
        step: InitiatorStep,
        digest: [u8; 32],
        rng: &mut Rng,
        now: Instant,
    ) -> bool {
        match step {
            InitiatorStep::Established { established, reply } => {
                let confirmation = match reply {
                    Some(last) => {
                        let resend = Resend::new(self.config.handshake_timeout, now);
                        Confirmation::Repeating { last, answer: digest, resend }
                    }
                    None => Confirmation::Confirmed,
                };
                self.on_established(*established, confirmation, now);
            }
            InitiatorStep::Retry(initiator) => self.ask_again(initiator),
            InitiatorStep::OtherVersion(restart) => match restart.begin(rng) {
                Ok(initiator) => self.ask_again(initiator),
                Err(error) => self.end_now(CloseReason::Handshake(error.to_string())),
            },
            InitiatorStep::Refused(refusal) => self.end_now(CloseReason::Refused(refusal)),
            InitiatorStep::Failed(error) => self.end_now(CloseReason::Handshake(error.to_string())),
            InitiatorStep::Discarded(initiator, _) => {
                if let Lifecycle::Connecting(connecting) = &mut self.lifecycle {
                    connecting.put_back(initiator);
                }
                return false;
            }
        }
        true
    }

    fn ask_again(&mut self, initiator: Initiator) {
        if let Lifecycle::Connecting(connecting) = &mut self.lifecycle {
            connecting.put_back(initiator);
            connecting.resend.start_over();
        }
    }

    fn on_established(
        &mut self,
        established: Established,
        confirmation: Confirmation,
        now: Instant,
    ) {
        let asked = match &self.lifecycle {
            Lifecycle::Connecting(connecting) => connecting.resend.sent_once(),
            _ => None,
        };
        let confirmed = matches!(confirmation, Confirmation::Confirmed);
        self.open_session(established, confirmation, None);
        self.on_round_trip(asked.map(|asked| now.saturating_since(asked)));
        self.idle.on_heard(now);
        // The answer came back to our question: the peer is where we asked.
        self.paths.on_address_proven();
        self.events.push(EventKind::Connected);
        if confirmed {
            self.on_confirmed(Address::Proven);
        } else {
            self.ping = true;
        }
    }

    /// Whether the answer to the peer's question went to where `source` is (spec R-EP-12).
    pub(crate) fn answers_to(&self, source: &Source) -> bool {
        match &self.lifecycle {
            Lifecycle::Connecting(connecting) => {
                connecting.answered.as_ref().is_some_and(|answered| answered.to == source.remote)
            }
            _ => self.remote() == source.remote,
        }
    }

    /// The answer to the peer's question, for a duplicate of it; `None` once it is confirmed.
    pub(crate) fn answer_again(&mut self) -> Option<&[u8]> {
        match &mut self.lifecycle {
            Lifecycle::Connecting(connecting) => {
                connecting.answered.as_ref().map(|answered| &*answered.answer)
            }
            lifecycle => match &mut lifecycle.session_mut()?.confirmation {
                Confirmation::Awaiting { answer, sent, .. } => {
                    *sent = None;
                    Some(answer)
                }
                _ => None,
            },
        }
    }

    /// The peer's own question shows that the way is open: ask again at once.
    pub(crate) fn hurry(&mut self, now: Instant) {
        if let Lifecycle::Connecting(connecting) = &mut self.lifecycle {
            connecting.resend.hurry(now);
        }
    }

    /// The peer began as well, and its attempt is kept: answers it. Our own rests.
    pub(crate) fn answer_rival(
        &mut self,
        offer: IkOffer,
        to: SocketAddr,
        rng: &mut Rng,
        now: Instant,
    ) -> Option<Vec<u8>> {
        let Lifecycle::Connecting(connecting) = &self.lifecycle else { return None };
        let scid = self.cids.first();
        let (answer, established) = offer.accept(scid, &connecting.params, rng).ok()?;
        let keys = self.keys_of(&established);
        let established = *established;
        let answered = Answered { established, keys, answer: answer.clone(), to };
        if let Lifecycle::Connecting(connecting) = &mut self.lifecycle {
            connecting.on_answered(answered, now);
        }
        Some(answer)
    }

    /// A packet for a connection that we began: if it opens under the keys of the peer's own
    /// attempt, that attempt is the connection.
    pub(super) fn try_rival(&mut self, source: &Source, packet: &mut [u8], now: Instant) -> bool {
        let pto = self.paths.active().pto();
        let Lifecycle::Connecting(connecting) = &mut self.lifecycle else { return false };
        let Some(answered) = &mut connecting.answered else { return false };
        // Opening marks the number as seen, so it is tried on a copy.
        let mut probe = packet.to_vec();
        if answered.keys.clone().open(&mut probe, pto, now).is_err() {
            return false;
        }
        let Some(answered) = connecting.answered.take() else { return false };
        let Answered { established, keys, to, .. } = *answered;
        self.open_session(established, Confirmation::Confirmed, Some(keys));
        // Answered elsewhere than we dialled: the dialled address has proven nothing.
        let dialled = to == self.remote();
        let address = if dialled { self.address_of(source) } else { Address::Unproven };
        self.on_confirmed(address);
        true
    }
}
