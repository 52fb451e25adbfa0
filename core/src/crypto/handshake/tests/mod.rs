//! Tests of the handshake: both ends in one room, and between them whoever the test wants there.

mod damage;
mod flows;
mod forged;
mod golden;
mod tape;
mod versions;

use alloc::boxed::Box;
use alloc::sync::Arc;
use alloc::vec;
use alloc::vec::Vec;

use super::*;
use crate::crypto::identity::NodeKey;
use crate::crypto::noise::NoiseState;
use crate::crypto::provider::Provider;
use crate::crypto::test_support::providers;
use crate::error::Refusal;
use crate::rng::{Rng, Seed};
use crate::wire::header::LongHeader;

const ALICE: ConnectionId = ConnectionId(*b"alice001");
const BOB: ConnectionId = ConnectionId(*b"bob00001");

/// Params that are this node's own.
fn params_of(cid: ConnectionId) -> Params {
    Params { reset_token: [cid.0[0]; 16], max_datagram_frame: 1_000, ..Params::default() }
}

fn config(seed: u8) -> HandshakeConfig {
    HandshakeConfig::new(NodeKey::from_seed(&[seed; 32]))
        .with_network(Network::open("test"))
        .with_capabilities(u64::from(seed) | 0x100)
}

/// Alice begins, Bob answers.
struct Two {
    alice: Arc<HandshakeConfig>,
    bob: Arc<HandshakeConfig>,
    rng: Rng,
}

impl Two {
    fn new() -> Self {
        Self::of(config(0xa1), config(0xb2))
    }

    fn of(alice: HandshakeConfig, bob: HandshakeConfig) -> Self {
        Self { alice: Arc::new(alice), bob: Arc::new(bob), rng: Rng::new(&Seed::from_u64(1)) }
    }

    fn start(&mut self, mode: Mode) -> Initiator {
        let peer = (mode == Mode::Ik).then(|| self.bob.id());
        Initiator::start(&self.alice, peer, ALICE, &params_of(ALICE), &mut self.rng).unwrap()
    }

    fn offer(&self, packet: &[u8]) -> Result<Offer, Discard> {
        first(&self.bob, &mut packet.to_vec())
    }

    fn ik_offer(&self, packet: &[u8]) -> IkOffer {
        let Ok(Offer::Ik(offer)) = self.offer(packet) else { panic!("no offer of IK") };
        offer
    }

    fn xx_offer(&self, packet: &[u8]) -> XxOffer {
        let Ok(Offer::Xx(offer)) = self.offer(packet) else { panic!("no offer of XX") };
        offer
    }

    /// Everything that goes over the wire, and what comes of it.
    fn run(&mut self, mode: Mode) -> (Vec<Vec<u8>>, Box<Established>, Box<Established>) {
        let initiator = self.start(mode);
        let first = datagram(&initiator);
        match mode {
            Mode::Ik => {
                let offer = self.ik_offer(&first);
                let (second, bob) = offer.accept(BOB, &params_of(BOB), &mut self.rng).unwrap();
                let (alice, reply) = established(initiator.on_packet(&mut second.clone()));
                assert_eq!(reply, None);
                (vec![first, second], alice, bob)
            }
            Mode::Xx => {
                let offer = self.xx_offer(&first);
                let (second, wait) = offer.reply(BOB, &params_of(BOB), &mut self.rng).unwrap();
                let (alice, third) = established(initiator.on_packet(&mut second.clone()));
                let third = third.expect("X3");
                let ResponderStep::Established(bob) = wait.on_packet(&mut third.clone()) else {
                    panic!("no third packet")
                };
                (vec![first, second, third], alice, bob)
            }
        }
    }
}

fn first(config: &Arc<HandshakeConfig>, packet: &mut [u8]) -> Result<Offer, Discard> {
    match check_mac(config, packet)? {
        Arrival::First(first) => first.open(config),
        Arrival::OtherVersion(_) => panic!("another version"),
    }
}

fn datagram(initiator: &Initiator) -> Vec<u8> {
    let mut out = vec![];
    initiator.datagram(&mut out);
    out
}

#[track_caller]
fn established(step: InitiatorStep) -> (Box<Established>, Option<Vec<u8>>) {
    match step {
        InitiatorStep::Established { established, reply } => (established, reply),
        other => panic!("not established: {other:?}"),
    }
}

#[track_caller]
fn discarded(step: InitiatorStep) -> (Initiator, Discard) {
    match step {
        InitiatorStep::Discarded(machine, reason) => (machine, reason),
        other => panic!("not discarded: {other:?}"),
    }
}

#[track_caller]
fn failed(step: InitiatorStep) -> HandshakeError {
    match step {
        InitiatorStep::Failed(error) => error,
        other => panic!("not failed: {other:?}"),
    }
}

#[track_caller]
fn refused(step: InitiatorStep) -> Refusal {
    match step {
        InitiatorStep::Refused(refusal) => refusal,
        other => panic!("not refused: {other:?}"),
    }
}

/// What both ends must agree on at the end.
fn assert_same(alice: &Established, bob: &Established) {
    assert_eq!(alice.secrets.i2r, bob.secrets.i2r);
    assert_eq!(alice.secrets.r2i, bob.secrets.r2i);
    assert_eq!(alice.secrets.exporter, bob.secrets.exporter);
    assert_ne!(alice.secrets.i2r, alice.secrets.r2i);
    assert_ne!(alice.secrets.i2r, alice.secrets.exporter);
    assert_eq!(alice.handshake_hash, bob.handshake_hash);
    assert_eq!((alice.local_cid, alice.peer_cid), (bob.peer_cid, bob.local_cid));
    assert_eq!((alice.cipher, alice.mode), (bob.cipher, bob.mode));
    assert_eq!((alice.version, alice.suite), (bob.version, bob.suite));
    assert_eq!(alice.capabilities, bob.capabilities);
    assert_eq!(alice.initiator_ephemeral, bob.initiator_ephemeral);
    assert_eq!((alice.side, bob.side), (Side::Initiator, Side::Responder));
}

/// The last 16 bytes made right again, by somebody who knows the key.
fn fix_mac(packet: &mut [u8], mode: Mode, responder: &HandshakeConfig) {
    let at = packet.len() - 16;
    let mac = responder.mac_key(mode).mac(Provider::Rust, &packet[..at]);
    packet[at..].copy_from_slice(&mac);
}
