//! Two nodes that want to meet, and a network that keeps every packet they ever sent: it delivers
//! any of them, again and damaged, in any order.

#![expect(clippy::panic, reason = "a harness says no by panicking")]

use alloc::boxed::Box;
use alloc::sync::Arc;
use alloc::vec::Vec;

use arbitrary::Arbitrary;

use crate::crypto::cookie::Cookie;
use crate::crypto::handshake::{
    Arrival, AwaitX3, Established, First, HandshakeConfig, Initiator, InitiatorStep, Network,
    Offer, ResponderStep, Versions, check_mac,
};
use crate::crypto::identity::NodeKey;
use crate::error::Refusal;
use crate::fingerprint::Fingerprint;
use crate::rng::{Rng, Seed};
use crate::script;
use crate::wire::id::ConnectionId;
use crate::wire::params::Params;

/// A script goes no further: curves are slow.
const MAX_OPS: usize = 32;

/// Answers that wait for a third packet at once.
const MAX_WAITING: usize = 4;

const ALICE: ConnectionId = ConnectionId(*b"alice001");
const BOB: ConnectionId = ConnectionId(*b"bob00001");

/// One thing that happens. Packets count back from the latest that way.
#[derive(Arbitrary, Clone, Copy, Debug, PartialEq, Eq)]
pub enum Op {
    /// The initiator gives up what it had and begins anew.
    Begin,
    /// It sends its first packet again.
    Again,
    /// A packet of the initiator comes.
    Forth {
        /// Which.
        back: u8,
        /// What happened to it on the way.
        damage: Damage,
        /// What the responder says if it is a first packet.
        answer: Answer,
    },
    /// A packet of the responder comes.
    Back {
        /// Which.
        back: u8,
        /// What happened to it on the way.
        damage: Damage,
    },
}

/// What happens to a packet on its way.
#[derive(Arbitrary, Clone, Copy, Debug, PartialEq, Eq)]
pub enum Damage {
    /// Nothing.
    None,
    /// A bit is flipped.
    Flip(u16),
    /// Only so many bytes come.
    Cut(u16),
    /// A byte too many comes.
    Longer(u8),
    /// Two bytes change places.
    Swap(u16, u16),
    /// From some place on it is another packet of the same sender.
    Splice(u8, u16),
}

/// How the responder takes a first packet.
#[derive(Arbitrary, Clone, Copy, Debug, PartialEq, Eq)]
pub enum Answer {
    /// It says yes.
    Accept,
    /// It wants a cookie first.
    Retry,
    /// It says no.
    Refuse,
}

/// How the two meet, and what happens.
#[derive(Arbitrary, Clone, Debug)]
pub struct Script {
    /// The initiator knows the responder's id.
    pub known: bool,
    /// The initiator speaks a newer version too.
    pub newer: bool,
    /// What happens.
    #[arbitrary(with = script::rest)]
    pub ops: Vec<Op>,
}

struct World {
    known: bool,
    alice: Arc<HandshakeConfig>,
    bob: Arc<HandshakeConfig>,
    rng: Rng,
    initiator: Option<Initiator>,
    waiting: Vec<AwaitX3>,
    /// What the responder came to; half of them in vain.
    ends: Vec<Established>,
    /// What the present attempt of the initiator came to.
    end: Option<Box<Established>>,
    forth: Vec<Vec<u8>>,
    back: Vec<Vec<u8>>,
}

/// Plays a script.
///
/// # Panics
///
/// If a packet that nobody sent does anything, if both ends are established and differ, or if an
/// attempt on a network that has calmed down comes to nothing.
pub fn run(script: &Script) {
    let config = |seed| {
        let key = NodeKey::from_seed(&[seed; 32]);
        HandshakeConfig::new(key).with_network(Network::open("ops"))
    };
    let versions = Versions::new(&[1, 2]).filter(|_| script.newer);
    let alice = versions.map_or_else(|| config(1), |both| config(1).with_versions(both));
    let mut world = World {
        known: script.known,
        alice: Arc::new(alice),
        bob: Arc::new(config(2)),
        rng: Rng::new(&Seed::from_u64(1)),
        initiator: None,
        waiting: Vec::new(),
        ends: Vec::new(),
        end: None,
        forth: Vec::new(),
        back: Vec::new(),
    };
    world.begin();
    script.ops.iter().take(MAX_OPS).for_each(|op| world.step(*op));
    world.settle();
}

impl World {
    fn step(&mut self, op: Op) {
        match op {
            Op::Begin => self.begin(),
            Op::Again => self.again(),
            Op::Forth { back, damage, answer } => {
                let Some(packet) = chosen(&self.forth, back, damage) else { return };
                self.at_bob(packet, answer);
            }
            Op::Back { back, damage } => {
                let Some(packet) = chosen(&self.back, back, damage) else { return };
                self.at_alice(packet);
            }
        }
    }

    fn begin(&mut self) {
        let peer = self.known.then(|| self.bob.id());
        let begun = Initiator::start(&self.alice, peer, ALICE, &Params::default(), &mut self.rng);
        self.initiator = begun.ok();
        self.end = None;
        self.again();
    }

    fn again(&mut self) {
        let mut packet = Vec::new();
        self.initiator.iter().for_each(|initiator| initiator.datagram(&mut packet));
        self.forth.extend((!packet.is_empty()).then_some(packet));
    }

    fn at_bob(&mut self, mut packet: Vec<u8>, answer: Answer) {
        let genuine = self.forth.contains(&packet);
        let original = packet.clone();
        let bob = Arc::clone(&self.bob);
        match check_mac(&bob, &mut packet) {
            Ok(arrival) => {
                assert!(genuine, "a first packet that nobody sent");
                match arrival {
                    Arrival::First(first) => self.answer(first, answer),
                    Arrival::OtherVersion(other) => {
                        let mut reply = Vec::new();
                        other.reply(&bob, &mut reply);
                        self.back.push(reply);
                    }
                }
            }
            Err(_) => self.third(&original, genuine),
        }
    }

    fn answer(&mut self, first: First<'_>, answer: Answer) {
        let params = Params::default();
        if answer == Answer::Retry {
            let mut retry = Vec::new();
            first.retry(&self.bob, &Cookie([7; Cookie::LEN]), &mut retry);
            return self.back.push(retry);
        }
        let offer = first.open(&self.bob);
        let refuse = answer == Answer::Refuse;
        let packet = match offer {
            Ok(Offer::Ik(offer)) if refuse => offer.refuse(Refusal::Busy, &mut self.rng),
            Ok(Offer::Xx(offer)) if refuse => offer.refuse(Refusal::Busy, &mut self.rng),
            Ok(Offer::Ik(offer)) => {
                assert_eq!(offer.peer(), self.alice.id());
                offer.accept(BOB, &params, &mut self.rng).map(|(packet, end)| {
                    self.ends.push(*end);
                    packet
                })
            }
            Ok(Offer::Xx(offer)) => {
                offer.reply(BOB, &params, &mut self.rng).map(|(packet, wait)| {
                    self.waiting.push(wait);
                    packet
                })
            }
            other => panic!("a genuine first packet: {other:?}"),
        };
        self.back.extend(packet);
        if self.waiting.len() > MAX_WAITING {
            self.waiting.remove(0);
        }
    }

    /// Whatever is no first packet goes to every answer that waits.
    fn third(&mut self, packet: &[u8], genuine: bool) {
        for wait in core::mem::take(&mut self.waiting) {
            let before = wait.fingerprint();
            match wait.on_packet(&mut packet.to_vec()) {
                ResponderStep::Established(end) => {
                    assert!(genuine, "a third packet that nobody sent");
                    self.ends.push(*end);
                }
                ResponderStep::Failed(error) => panic!("{error}"),
                ResponderStep::Discarded(same, _) => {
                    assert_eq!(same.fingerprint(), before, "what was nothing left a trace");
                    self.waiting.push(same);
                }
            }
        }
        self.compare();
    }

    fn at_alice(&mut self, mut packet: Vec<u8>) {
        let genuine = self.back.contains(&packet);
        let Some(initiator) = self.initiator.take() else { return };
        let before = initiator.fingerprint();
        match initiator.on_packet(&mut packet) {
            InitiatorStep::Discarded(same, _) => {
                assert_eq!(same.fingerprint(), before, "what was nothing left a trace");
                self.initiator = Some(same);
                return;
            }
            InitiatorStep::Established { established, reply } => {
                self.end = Some(established);
                self.forth.extend(reply);
            }
            InitiatorStep::Retry(initiator) => {
                self.initiator = Some(initiator);
                self.again();
            }
            InitiatorStep::OtherVersion(restart) => {
                self.initiator = restart.begin(&mut self.rng).ok();
                self.again();
            }
            InitiatorStep::Refused(refusal) => assert_eq!(refusal, Refusal::Busy),
            InitiatorStep::Failed(error) => panic!("{error}"),
        }
        assert!(genuine, "an answer that nobody gave");
        self.compare();
    }

    /// Where both ends know each other, they agree on everything.
    fn compare(&self) {
        let Some(here) = &self.end else { return };
        assert_eq!(here.peer, self.bob.id());
        let there = self.ends.iter().find(|end| end.handshake_hash == here.handshake_hash);
        assert!(there.is_some() || !self.known, "the responder does not know of it");
        let Some(there) = there else { return };
        assert_eq!(there.peer, self.alice.id());
        let secrets = |end: &Established| {
            let secrets = &end.secrets;
            (secrets.i2r, secrets.r2i, secrets.exporter)
        };
        assert!(secrets(here) == secrets(there), "the secrets differ");
        assert_eq!((here.local_cid, here.peer_cid), (there.peer_cid, there.local_cid));
        assert_eq!((here.cipher, here.mode), (there.cipher, there.mode));
        assert_eq!((here.version, here.suite), (there.version, there.suite));
    }

    /// The network brings each packet once, the latest first: they meet.
    fn settle(&mut self) {
        self.begin();
        for _ in 0..4 {
            self.step(Op::Forth { back: 0, damage: Damage::None, answer: Answer::Accept });
            self.step(Op::Back { back: 0, damage: Damage::None });
        }
        let hash = self.end.as_ref().map(|end| end.handshake_hash);
        assert!(hash.is_some(), "the initiator gets nowhere");
        self.step(Op::Forth { back: 0, damage: Damage::None, answer: Answer::Accept });
        let met = self.ends.iter().any(|end| Some(end.handshake_hash) == hash);
        assert!(met, "the responder gets nowhere");
    }
}

/// One of the packets, as it comes.
fn chosen(packets: &[Vec<u8>], back: u8, damage: Damage) -> Option<Vec<u8>> {
    let nth = |back: u8| packets.iter().nth_back(usize::from(back).checked_rem(packets.len())?);
    let mut packet = nth(back)?.clone();
    let len = packet.len();
    match damage {
        Damage::None => {}
        Damage::Flip(bit) => {
            let bit = usize::from(bit) % (len * 8);
            packet.iter_mut().skip(bit / 8).take(1).for_each(|byte| *byte ^= 1 << (bit % 8));
        }
        Damage::Cut(at) => packet.truncate(usize::from(at) % len),
        Damage::Longer(byte) => packet.push(byte),
        Damage::Swap(one, other) => packet.swap(usize::from(one) % len, usize::from(other) % len),
        Damage::Splice(other, at) => {
            let (other, at) = (nth(other)?, usize::from(at) % len);
            packet.truncate(at);
            packet.extend(other.iter().skip(at));
        }
    }
    Some(packet)
}
