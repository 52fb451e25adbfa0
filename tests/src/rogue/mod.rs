//! A byzantine peer that lives on a [`Net`], among honest hosts.
//!
//! ```text
//!            act ──▶ ┌───────┐ datagrams ──▶ a link ──────▶ ┌──────┐
//!  one turn          │ Rogue │                              │ host │ honest, busy with others
//!           hear ──▶ └───────┘ ◀── what comes to its two ── └──────┘
//! ```
//!
//! [`byzantine`](crate::byzantine) is its hands: keys, and packets with anything in them. What it
//! does with them is its [`Mischief`]. It dials or is dialled, and comes again when it was thrown
//! out.

mod mischief;

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use aqueduct_core::crypto::handshake::{
    Arrival, AwaitX3, Established, HandshakeConfig, Initiator, InitiatorStep, Offer, ResponderStep,
    check_mac,
};
use aqueduct_core::crypto::identity::{NodeId, NodeKey};
use aqueduct_core::endpoint::PeerAddr;
use aqueduct_core::rng::{Rng, Seed};
use aqueduct_core::time::Instant;
use aqueduct_core::wire::frame::Frame;
use aqueduct_core::wire::header::{Class, classify};
use aqueduct_core::wire::id::ConnectionId;

use crate::byzantine::Byzantine;
use crate::dice::Dice;
use crate::link::LinkConfig;
use crate::net::Net;
use crate::provider::FAST;

pub use mischief::{Mischief, ONWARD, SMUGGLED, Talk};

/// Of whom nothing was heard for so long has thrown it out, or never let it in.
const PATIENCE: Duration = Duration::from_secs(2);

/// How long it stays away after it was thrown out, each time so much longer: the tenth time shows
/// what the hundredth would.
const REST: Duration = Duration::from_millis(200);

/// One of them.
pub struct Rogue {
    /// What it does.
    pub kind: Mischief,
    /// Where it lives, and from where it speaks now and then.
    pub homes: [SocketAddr; 2],
    /// Connections that it had.
    pub connections: u64,
    /// Of those, ended by the honest end with a reason.
    pub caught: u64,
    config: Arc<HandshakeConfig>,
    state: State,
    dice: Dice,
    rng: Rng,
    heard_at: Instant,
}

enum State {
    Away,
    Dials(Box<Initiator>),
    /// It was asked by somebody unknown, and has answered.
    Asks(Box<AwaitX3>, SocketAddr),
    Talks(Box<Talk>),
}

impl Rogue {
    /// The one of this number; it has not moved in yet.
    pub fn new(number: u8, kind: Mischief, seed: u64) -> Self {
        let home = |port| SocketAddr::from(([192, 0, 2, number + 1], port));
        let config = HandshakeConfig::new(NodeKey::from_seed(&[200 + number; 32]));
        Self {
            kind,
            homes: [home(666), home(667)],
            connections: 0,
            caught: 0,
            config: Arc::new(config.with_provider(FAST).with_capabilities(kind.can().bits())),
            state: State::Away,
            dice: Dice::new(seed, "rogue"),
            rng: Rng::new(&Seed::from_u64(seed)).fork("rogue"),
            heard_at: Instant::ZERO,
        }
    }

    /// Its id.
    pub fn id(&self) -> NodeId {
        self.config.id()
    }

    /// Where it may be dialled.
    pub fn address(&self) -> PeerAddr {
        PeerAddr::new(self.id(), self.homes[0])
    }

    /// Whether it has no connection, and tries for none.
    pub const fn is_away(&self) -> bool {
        matches!(self.state, State::Away)
    }

    /// Whether it was away for long enough to come again.
    pub fn is_rested(&self, now: Instant) -> bool {
        let rest = REST.saturating_mul(u32::try_from(self.connections).unwrap_or(u32::MAX));
        now.saturating_since(self.heard_at) >= rest
    }

    /// It lives on this network from now on, behind such a link.
    pub fn move_in(&self, net: &mut Net, link: LinkConfig) {
        for home in self.homes {
            net.lodge(home);
            net.set_usual_link(home.ip(), link);
        }
    }

    /// Asks for a connection; whether it says whom it means is chance.
    ///
    /// # Panics
    /// If it dials itself.
    pub fn dial(&mut self, net: &mut Net, to: SocketAddr, id: NodeId) {
        let params = self.kind.params(&mut self.dice);
        let known = self.dice.one_in(2).then_some(id);
        let cid = ConnectionId(self.rng.bytes());
        let first = Initiator::start(&self.config, known, cid, &params, &mut self.rng);
        let first = first.expect("a first packet");
        self.ask(net, to, first);
    }

    fn ask(&mut self, net: &mut Net, to: SocketAddr, first: Initiator) {
        let mut datagram = Vec::new();
        first.datagram(&mut datagram);
        net.post(self.homes[0], to, datagram);
        self.state = State::Dials(Box::new(first));
        self.heard_at = net.now;
    }

    /// Reads what came.
    pub fn hear(&mut self, net: &mut Net) {
        let mail = self.homes.map(|home| (home, net.mail(home)));
        let news = mail.iter().any(|(_, mail)| !mail.is_empty());
        for (home, mail) in mail {
            for recorded in mail {
                self.heard_at = net.now;
                match classify(&recorded.bytes) {
                    Class::Short { .. } => self.on_data(recorded.bytes, home, net.now),
                    _ => self.on_handshake(net, recorded.from, recorded.bytes),
                }
            }
        }
        if let State::Talks(talk) = &mut self.state
            && news
        {
            talk.learn(self.kind != Mischief::Keys);
            if talk.peer.close.is_some() {
                self.caught += 1;
                self.state = State::Away;
            }
        }
        let deaf = net.now.saturating_since(self.heard_at) > PATIENCE;
        if deaf {
            self.state = State::Away;
        }
    }

    fn on_data(&mut self, bytes: Vec<u8>, home: SocketAddr, now: Instant) {
        if let State::Talks(talk) = &mut self.state {
            talk.peer.hear(bytes, home, now);
        }
    }

    fn on_handshake(&mut self, net: &mut Net, from: SocketAddr, mut bytes: Vec<u8>) {
        match std::mem::replace(&mut self.state, State::Away) {
            State::Dials(initiator) => match initiator.on_packet(&mut bytes) {
                InitiatorStep::Established { established, reply } => {
                    reply.into_iter().for_each(|reply| net.post(self.homes[0], from, reply));
                    self.talk(net, *established, from);
                }
                InitiatorStep::Retry(again) => self.ask(net, from, again),
                InitiatorStep::Discarded(before, _) => self.state = State::Dials(Box::new(before)),
                _ => {}
            },
            State::Asks(waiting, to) => match waiting.on_packet(&mut bytes) {
                ResponderStep::Established(established) => self.talk(net, *established, to),
                ResponderStep::Discarded(before, _) => {
                    self.state = State::Asks(Box::new(before), to);
                }
                ResponderStep::Failed(_) => {}
            },
            State::Away => self.answer(net, from, bytes),
            talks @ State::Talks(_) => self.state = talks,
        }
    }

    /// Somebody dials it.
    fn answer(&mut self, net: &mut Net, from: SocketAddr, mut first: Vec<u8>) {
        let Ok(Arrival::First(first)) = check_mac(&self.config, &mut first) else { return };
        let params = self.kind.params(&mut self.dice);
        let cid = ConnectionId(self.rng.bytes());
        match first.open(&self.config) {
            Ok(Offer::Ik(offer)) => {
                let Ok((answer, established)) = offer.accept(cid, &params, &mut self.rng) else {
                    return;
                };
                net.post(self.homes[0], from, answer);
                self.talk(net, *established, from);
            }
            Ok(Offer::Xx(offer)) => {
                let Ok((answer, waiting)) = offer.reply(cid, &params, &mut self.rng) else {
                    return;
                };
                net.post(self.homes[0], from, answer);
                self.state = State::Asks(Box::new(waiting), from);
            }
            _ => {}
        }
    }

    fn talk(&mut self, net: &mut Net, established: Established, with: SocketAddr) {
        self.connections += 1;
        self.heard_at = net.now;
        let mut talk = Talk::new(Byzantine::new(established), with);
        let ping = talk.peer.packet(&encoded(&[Frame::Ping]));
        net.post(self.homes[0], with, ping);
        self.state = State::Talks(Box::new(talk));
    }

    /// Its turn. `with` is where whom it talks with is now.
    pub fn act(&mut self, net: &mut Net, with: SocketAddr) {
        let State::Talks(talk) = &mut self.state else { return };
        talk.with = with;
        for (home, packet) in self.kind.turn(talk, &mut self.dice) {
            net.post(self.homes[home], with, packet);
        }
    }
}

/// Frames, one behind the other.
fn encoded(frames: &[Frame<'_>]) -> Vec<u8> {
    let mut bytes = Vec::new();
    frames.iter().for_each(|frame| frame.encode(&mut bytes));
    bytes
}
