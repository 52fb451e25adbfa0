//! A peer that holds valid keys and keeps no rule.
//!
//! [`Byzantine`] goes through the real handshake and then says whatever it is told to: any frames,
//! any bytes, under any packet number, in properly sealed packets. [`Duel`] puts it before an
//! honest [`Endpoint`], in virtual time, without a network between them:
//!
//! ```
//! use aqueduct_core::error::TransportCode;
//! use aqueduct_core::wire::frame::Frame;
//! use aqueduct_tests::byzantine::{Duel, Role, frames_of};
//!
//! let mut duel = Duel::new(Role::Dials);
//! duel.say(&[Frame::Ping, Frame::Ping]);
//! assert!(frames_of(&duel.last_heard()).contains("Ack"));
//! duel.say_raw(b"");
//! assert_eq!(duel.violation(), Some(TransportCode::Protocol));
//! ```

use std::cell::RefCell;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use aqueduct_core::config::EndpointConfig;
use aqueduct_core::connection::ConnectionStats;
use aqueduct_core::crypto::handshake::{
    Arrival, Established, HandshakeConfig, Initiator, InitiatorStep, Offer, ResponderStep,
    check_mac,
};
use aqueduct_core::crypto::identity::NodeKey;
use aqueduct_core::crypto::keys::PacketKeys;
use aqueduct_core::crypto::limits::KeyLimits;
use aqueduct_core::endpoint::{
    CarrierKind, ConnectionHandle, Datagram, Endpoint, EventKind, Output, PeerAddr,
};
use aqueduct_core::error::{CloseReason, TransportCode};
use aqueduct_core::range_set::RangeSet;
use aqueduct_core::rng::{Rng, Seed};
use aqueduct_core::time::Instant;
use aqueduct_core::wire::ack::AckFrame;
use aqueduct_core::wire::frame::{CloseCode, Frame, frames};
use aqueduct_core::wire::id::{ConnectionId, Dir, PacketNumber, Side, StreamId};
use aqueduct_core::wire::params::Params;

use crate::net::UDP;
use crate::provider::FAST;
use crate::sealer::Sealer;

/// How the two meet.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Role {
    /// The byzantine peer dials, and knows whom: it says I1.
    Dials,
    /// It dials without knowing whom: it says X1 and X3.
    DialsStranger,
    /// The honest endpoint dials it by its id: it says R2.
    Answers,
    /// The honest endpoint dials it as a stranger: it says X2.
    AnswersStranger,
}

impl Role {
    /// All ways to meet.
    pub const ALL: [Self; 4] =
        [Self::Dials, Self::DialsStranger, Self::Answers, Self::AnswersStranger];

    const fn known(self) -> bool {
        matches!(self, Self::Dials | Self::Answers)
    }

    const fn side(self) -> Side {
        match self {
            Self::Dials | Self::DialsStranger => Side::Initiator,
            Self::Answers | Self::AnswersStranger => Side::Responder,
        }
    }
}

/// A packet of the honest endpoint, opened.
#[derive(Clone, Debug)]
pub struct Heard {
    /// When it was sent.
    pub at: Instant,
    /// To where.
    pub to: SocketAddr,
    /// Its number.
    pub number: PacketNumber,
    /// Bytes of the datagram.
    pub size: usize,
    /// Its frames, encoded.
    pub payload: Vec<u8>,
}

impl Heard {
    /// Its frames.
    pub fn frames(&self) -> impl Iterator<Item = Frame<'_>> {
        frames(&self.payload).map(|frame| frame.expect("an honest endpoint's frame"))
    }
}

/// The frames of packets as text, for looking things up.
pub fn frames_of(heard: &[Heard]) -> String {
    let frames = heard.iter().flat_map(Heard::frames).map(|frame| format!("{frame:?}"));
    frames.collect::<Vec<_>>().join("\n")
}

/// The keys of one connection, in hands that may do anything with them.
#[derive(Clone)]
pub struct Byzantine {
    /// What the handshake gave.
    pub established: Established,
    /// Opens what the honest end says.
    pub keys: PacketKeys,
    /// Seals what this end says.
    pub sealer: Sealer,
    /// The number of the next packet; may be set to anything.
    pub number: u64,
    /// The id that packets are addressed by; may be set to anything.
    pub dcid: ConnectionId,
    /// Numbers of the packets that came.
    pub received: RangeSet,
    /// Packets that came, unless [`Byzantine::deaf`].
    pub heard: Vec<Heard>,
    /// Keeps nothing of what comes but its numbers.
    pub deaf: bool,
    /// How the honest end said that it ends, if it did.
    pub close: Option<(CloseCode, String)>,
    /// Datagrams that came and did not open.
    pub unopened: u64,
}

impl Byzantine {
    /// Takes the keys of a handshake.
    pub fn new(established: Established) -> Self {
        let Established { cipher, side, ref secrets, .. } = established;
        let keys = PacketKeys::new(FAST, cipher, side, secrets, KeyLimits::default());
        let secret = match side {
            Side::Initiator => secrets.i2r,
            Side::Responder => secrets.r2i,
        };
        Self {
            keys,
            sealer: Sealer::new(FAST, cipher, secret),
            number: 0,
            dcid: established.peer_cid,
            received: RangeSet::new(),
            heard: Vec::new(),
            deaf: false,
            close: None,
            unopened: 0,
            established,
        }
    }

    /// A packet with these bytes as its frames, under the next number.
    pub fn packet(&mut self, plaintext: &[u8]) -> Vec<u8> {
        // The honest half of our keys wants to believe that it did this.
        let _ = self.keys.seal(&mut [0; 29], Instant::ZERO);
        let packet = self.sealer.seal(self.dcid, self.number, plaintext);
        self.number += 1;
        packet
    }

    /// Takes a datagram of the honest end.
    pub fn hear(&mut self, mut datagram: Vec<u8>, to: SocketAddr, now: Instant) {
        let size = datagram.len();
        let Ok(opened) = self.keys.open(&mut datagram, Duration::from_secs(3), now) else {
            self.unopened += 1;
            return;
        };
        let number = opened.number;
        let payload = opened.payload;
        self.received.insert(number.0..number.0 + 1);
        for frame in frames(payload).flatten() {
            if let Frame::Close(close) = frame {
                self.close = Some((close.code, close.text().into_owned()));
            }
        }
        if !self.deaf {
            self.heard.push(Heard { at: now, to, number, size, payload: payload.to_vec() });
        }
    }
}

/// What becomes of a [`Duel`]'s handshake.
#[derive(Debug)]
pub enum Met {
    /// There are keys.
    Connected(Box<Established>),
    /// The honest end said no, or nothing.
    Nothing,
}

/// A byzantine peer before an honest endpoint.
#[derive(Clone)]
pub struct Duel {
    /// The honest one.
    pub endpoint: Endpoint,
    /// Its connection; its first one where the handshake failed.
    pub handle: Option<ConnectionHandle>,
    /// The other.
    pub peer: Byzantine,
    /// Time, for both.
    pub now: Instant,
    /// Where the byzantine peer's packets come from.
    pub from: SocketAddr,
    /// The honest endpoint's news.
    pub events: Vec<EventKind>,
    /// When the honest endpoint next cares.
    pub wait: Option<Instant>,
    /// Takes no news: they are dropped.
    pub blind: bool,
    buf: Vec<u8>,
}

/// The honest endpoint's usual configuration.
pub fn honest() -> EndpointConfig {
    EndpointConfig::new(NodeKey::from_seed(&[1; 32])).with_provider(FAST)
}

/// The byzantine node's key and everything else of its handshakes.
pub fn byzantine_config() -> Arc<HandshakeConfig> {
    Arc::new(HandshakeConfig::new(NodeKey::from_seed(&[66; 32])))
}

/// Where the byzantine peer is at first.
pub fn lair() -> SocketAddr {
    "192.0.2.66:666".parse().expect("an address")
}

/// An endpoint with one socket.
fn endpoint(config: EndpointConfig, now: Instant) -> Endpoint {
    let mut endpoint = Endpoint::new(config, Seed::from_u64(1));
    let kind = CarrierKind::Udp { max_segments: 1, max_datagram: 65_507 };
    endpoint.carrier_opened(UDP, kind, now);
    endpoint
}

/// Everything that an endpoint has to say at once; whoever comes is accepted.
fn drain(endpoint: &mut Endpoint, events: &mut Vec<EventKind>, now: Instant) -> Drained {
    let mut drained = Drained::default();
    let mut buf = Vec::new();
    loop {
        match endpoint.poll(&mut buf, now) {
            Output::Event(event) => {
                drained.handle = drained.handle.or(Some(event.connection));
                events.push(event.kind);
            }
            Output::Incoming(incoming) => {
                drained.handle = Some(endpoint.accept(incoming, now));
            }
            Output::Pipe(_) => {}
            Output::Transmit(_) => drained.datagrams.push(buf.clone()),
            Output::Wait(_) => return drained,
        }
    }
}

#[derive(Default)]
struct Drained {
    handle: Option<ConnectionHandle>,
    datagrams: Vec<Vec<u8>>,
}

fn feed(endpoint: &mut Endpoint, remote: SocketAddr, bytes: &mut [u8], now: Instant) {
    let datagram = Datagram { carrier: UDP, remote, local: None, ecn: None, segment: None, bytes };
    endpoint.handle_datagram(datagram, now);
}

/// A handshake between an endpoint and a byzantine peer that announces `params`: the peer's half is
/// made by hand.
pub struct Handshake {
    /// The honest one.
    pub endpoint: Endpoint,
    /// Its connection, if there ever was one.
    pub handle: Option<ConnectionHandle>,
    /// Its news.
    pub events: Vec<EventKind>,
    /// What the byzantine peer came out with.
    pub met: Met,
    /// Datagrams that the honest end sent last.
    pub rest: Vec<Vec<u8>>,
    /// When.
    pub now: Instant,
}

impl Handshake {
    /// Goes through a handshake, as far as it goes.
    pub fn run(config: EndpointConfig, role: Role, params: &Params) -> Self {
        let now = Instant::from_nanos(1_000_000_000);
        let endpoint = endpoint(config, now);
        let (events, rest, met) = (Vec::new(), Vec::new(), Met::Nothing);
        let mut handshake = Self { endpoint, handle: None, events, met, rest, now };
        match role.side() {
            Side::Initiator => handshake.dial(role.known(), params),
            Side::Responder => handshake.answer(role.known(), params),
        }
        handshake
    }

    fn feed(&mut self, mut bytes: Vec<u8>) -> Vec<Vec<u8>> {
        feed(&mut self.endpoint, lair(), &mut bytes, self.now);
        self.drain()
    }

    fn drain(&mut self) -> Vec<Vec<u8>> {
        let drained = drain(&mut self.endpoint, &mut self.events, self.now);
        self.handle = drained.handle.or(self.handle);
        drained.datagrams
    }

    fn dial(&mut self, known: bool, params: &Params) {
        let mut rng = Rng::new(&Seed::from_u64(99));
        let peer = known.then(|| self.endpoint.node_id());
        let cid = ConnectionId(*b"byzant.0");
        let initiator = Initiator::start(&byzantine_config(), peer, cid, params, &mut rng);
        let initiator = initiator.expect("a first packet");
        let mut first = Vec::new();
        initiator.datagram(&mut first);
        let Some(mut answer) = self.feed(first).pop() else { return };
        let step = initiator.on_packet(&mut answer);
        let InitiatorStep::Established { established, reply } = step else { return };
        if let Some(reply) = reply {
            self.rest = self.feed(reply);
        }
        self.met = Met::Connected(established);
    }

    fn answer(&mut self, known: bool, params: &Params) {
        let mut rng = Rng::new(&Seed::from_u64(98));
        let config = byzantine_config();
        let id = known.then(|| config.id());
        let to = PeerAddr { id, ..PeerAddr::new(config.id(), lair()) };
        self.handle = Some(self.endpoint.connect(to, self.now).expect("room"));
        let mut first = self.drain().pop().expect("a first packet");
        let Ok(Arrival::First(first)) = check_mac(&config, &mut first) else { return };
        let cid = ConnectionId(*b"byzant.0");
        match first.open(&config).expect("a first packet that opens") {
            Offer::Ik(offer) => {
                let (answer, established) =
                    offer.accept(cid, params, &mut rng).expect("an honest key");
                self.rest = self.feed(answer);
                self.met = Met::Connected(established);
            }
            Offer::Xx(offer) => {
                let (answer, machine) = offer.reply(cid, params, &mut rng).expect("an honest key");
                self.rest = self.feed(answer);
                for datagram in &self.rest {
                    let step = machine.clone().on_packet(&mut datagram.clone());
                    if let ResponderStep::Established(established) = step {
                        self.met = Met::Connected(established);
                    }
                }
            }
            Offer::Unacceptable(_) => panic!("an honest endpoint offers what it can"),
        }
    }
}

impl Duel {
    /// The two meet, with the usual configuration and parameters.
    pub fn new(role: Role) -> Self {
        thread_local! {
            // A handshake takes longer than most of what is done with it.
            static MET: RefCell<Vec<(Role, Duel)>> = const { RefCell::new(Vec::new()) };
        }
        MET.with_borrow_mut(|met| {
            if let Some((_, duel)) = met.iter().find(|(how, _)| *how == role) {
                return duel.clone();
            }
            let duel = Self::with(honest(), role, &Params::default());
            met.push((role, duel.clone()));
            duel
        })
    }

    /// The two meet. The handshake must succeed.
    pub fn with(config: EndpointConfig, role: Role, params: &Params) -> Self {
        let Handshake { endpoint, handle, events, met, rest, now } =
            Handshake::run(config, role, params);
        let Met::Connected(established) = met else { panic!("no handshake: {events:?}") };
        let mut duel = Self {
            endpoint,
            handle,
            peer: Byzantine::new(*established),
            now,
            from: lair(),
            events,
            wait: None,
            blind: false,
            buf: Vec::new(),
        };
        rest.into_iter().for_each(|datagram| duel.peer.hear(datagram, lair(), now));
        duel.pump();
        // The handshake measures the way: as on any, an answer takes its time.
        duel.pass(Duration::from_millis(1));
        duel.say(&[Frame::Ping]);
        assert_eq!(duel.ended(), None, "{role:?}");
        duel
    }

    /// Says these frames in one packet.
    pub fn say(&mut self, said: &[Frame<'_>]) {
        let mut plaintext = Vec::new();
        said.iter().for_each(|frame| frame.encode(&mut plaintext));
        self.say_raw(&plaintext);
    }

    /// Says these bytes as the frames of one packet.
    pub fn say_raw(&mut self, plaintext: &[u8]) {
        let packet = self.peer.packet(plaintext);
        self.throw(packet);
    }

    /// Sends a datagram, whatever it is.
    pub fn throw(&mut self, mut datagram: Vec<u8>) {
        feed(&mut self.endpoint, self.from, &mut datagram, self.now);
        self.pump();
    }

    /// The honest endpoint does all that it has to do now.
    pub fn pump(&mut self) {
        let mut buf = std::mem::take(&mut self.buf);
        loop {
            match self.endpoint.poll(&mut buf, self.now) {
                Output::Event(event) if self.blind => drop(event),
                Output::Event(event) => self.events.push(event.kind),
                Output::Pipe(_) => {}
                Output::Incoming(incoming) => drop(incoming),
                Output::Transmit(to) => self.peer.hear(buf.clone(), to.remote, self.now),
                Output::Wait(wait) => {
                    assert!(wait.is_none_or(|wait| wait > self.now), "a deadline that has passed");
                    self.wait = wait;
                    break;
                }
            }
        }
        self.buf = buf;
    }

    /// Time passes; the honest endpoint does what it has to, when it has to.
    pub fn pass(&mut self, time: Duration) {
        let until = self.now + time;
        while let Some(wait) = self.wait.filter(|wait| *wait <= until) {
            self.now = wait;
            self.pump();
        }
        self.now = until;
        self.pump();
    }

    /// Acknowledges all that came.
    pub fn ack(&mut self) {
        let received = self.peer.received.clone();
        self.ack_these(&received);
    }

    /// Acknowledges these numbers, whatever they are.
    pub fn ack_these(&mut self, numbers: &RangeSet) {
        let mut scratch = Vec::new();
        let ack = AckFrame::from_ranges(numbers, 0, None, 256, &mut scratch);
        let ack = ack.expect("something to acknowledge");
        let mut plaintext = Vec::new();
        Frame::Ack(ack).encode(&mut plaintext);
        self.say_raw(&plaintext);
    }

    /// Packets that came since this was asked last.
    pub fn last_heard(&mut self) -> Vec<Heard> {
        std::mem::take(&mut self.peer.heard)
    }

    /// Why the honest end's connection ended, if it did.
    pub fn ended(&self) -> Option<&CloseReason> {
        self.events.iter().find_map(|event| match event {
            EventKind::Closed(reason) => Some(reason),
            _ => None,
        })
    }

    /// The code of the violation that ended the connection, if one did. The application and the
    /// peer must have been told the same.
    pub fn violation(&self) -> Option<TransportCode> {
        let Some(CloseReason::Violation(violation)) = self.ended() else { return None };
        let (code, reason) = self.peer.close.as_ref().expect("CLOSE for a violation");
        assert_eq!(*code, CloseCode::Transport(violation.code as u64));
        assert!(!reason.is_empty(), "a violation says what it is");
        Some(violation.code)
    }

    /// The honest connection's counters.
    pub fn stats(&mut self) -> ConnectionStats {
        let handle = self.handle.expect("a connection");
        self.endpoint.connection(handle).expect("a live connection").stats()
    }

    /// An id of a stream that the byzantine peer may open.
    pub fn stream(&self, dir: Dir, sequence: u64) -> StreamId {
        StreamId::new(self.peer.established.side, dir, sequence)
    }

    /// An id of a stream that the honest end may open.
    pub fn honest_stream(&self, dir: Dir, sequence: u64) -> StreamId {
        StreamId::new(self.peer.established.side.peer(), dir, sequence)
    }

    /// What the honest end allowed in its parameters.
    pub fn allowed(&self) -> Params {
        self.peer.established.peer_params
    }
}

/// A varint in its shortest form.
pub fn varint(value: u64) -> Vec<u8> {
    match value {
        0..0x40 => vec![value as u8],
        0x40..0x4000 => (value as u16 | 0x4000).to_be_bytes().to_vec(),
        0x4000..0x4000_0000 => (value as u32 | 0x8000_0000).to_be_bytes().to_vec(),
        _ => (value | 0xc000_0000_0000_0000).to_be_bytes().to_vec(),
    }
}

/// Numbers as varints, one behind the other: most frames are that.
pub fn numbers(values: &[u64]) -> Vec<u8> {
    values.iter().flat_map(|value| varint(*value)).collect()
}
