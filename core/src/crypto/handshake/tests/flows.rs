use alloc::format;

use super::*;
use crate::crypto::identity::{IdentityError, Sign};
use crate::wire::hello::Hello;

fn secrets_of(peer: &HandshakeConfig, secret: u8) -> PairSecrets {
    let mut secrets = PairSecrets::default();
    secrets.insert(&NodeKey::from_seed(&[7; 32]).id(), &[0x77; 32]);
    secrets.insert(&peer.id(), &[secret; 32]);
    secrets
}

/// Both modes, each pair of providers, open and closed networks, with and without a pair's secret.
///
/// spec: R-HS-29, R-HS-6, R-HS-23
#[test]
fn both_ends_agree_on_everything() {
    for mode in [Mode::Ik, Mode::Xx] {
        for (alice_provider, bob_provider) in
            providers().into_iter().flat_map(|a| providers().into_iter().map(move |b| (a, b)))
        {
            for network in [Network::open("net"), Network::closed("net", &[9; 32])] {
                for pair in [None, Some(5)] {
                    let (mut alice, mut bob) = (config(0xa1), config(0xb2));
                    if let Some(secret) = pair {
                        alice = alice.clone().with_pair_secrets(secrets_of(&bob, secret));
                        bob = bob.clone().with_pair_secrets(secrets_of(&alice, secret));
                    }
                    let mut two = Two::of(
                        alice.with_provider(alice_provider).with_network(network.clone()),
                        bob.with_provider(bob_provider).with_network(network.clone()),
                    );
                    let (packets, alice, bob) = two.run(mode);
                    assert_same(&alice, &bob);
                    assert_eq!((alice.peer, bob.peer), (two.bob.id(), two.alice.id()));
                    assert_eq!((alice.local_cid, alice.peer_cid), (ALICE, BOB));
                    assert_eq!(alice.peer_params, params_of(BOB));
                    assert_eq!(bob.peer_params, params_of(ALICE));
                    assert_eq!(alice.capabilities, 0xa1 & 0xb2 | 0x100);
                    assert_eq!((alice.mode, alice.version, alice.suite), (mode, 1, 1));
                    assert_eq!(packets[0][44..76], alice.initiator_ephemeral);
                    assert!(packets.iter().skip(1).all(|packet| packet.len() <= 400));
                }
            }
        }
    }
}

/// No byte depends on the provider.
#[test]
fn providers_write_the_same_bytes() {
    for mode in [Mode::Ik, Mode::Xx] {
        let mut all = providers().into_iter().map(|provider| {
            let mut two =
                Two::of(config(1).with_provider(provider), config(2).with_provider(provider));
            two.run(mode).0
        });
        let one = all.next().unwrap();
        assert!(all.all(|other| other == one));
    }
}

/// spec: R-HS-11
#[test]
fn first_packets_are_exactly_1200_bytes_and_x1_names_nobody() {
    let smallest = Params {
        initial_max_data: 0,
        initial_max_stream_data: 0,
        max_streams_bidi: 0,
        max_streams_uni: 0,
        ..params_of(ALICE)
    };
    let largest = Params { initial_max_data: (1 << 62) - 1, ..params_of(ALICE) };
    let mut rng = Rng::new(&Seed::from_u64(3));
    for seed in 0..16 {
        // Half of the seeds have an id with the sign bit.
        let alice = Arc::new(config(seed));
        for params in [smallest, largest] {
            for peer in [None, Some(config(0xb2).id())] {
                let initiator = Initiator::start(&alice, peer, ALICE, &params, &mut rng).unwrap();
                assert_eq!(datagram(&initiator).len(), 1_200);
            }
        }
        let unknown = Initiator::start(&alice, None, ALICE, &smallest, &mut rng).unwrap();
        let mut packet = datagram(&unknown);
        // An outsider of an open network reads X1: two hashes from the clear.
        let header = LongHeader::decode(&packet).unwrap();
        let reader = config(0xcc);
        let noise = session::noise(&reader, Mode::Xx, Side::Responder, &header, None).unwrap();
        let (_, plaintext) = noise.read(&mut packet[44..1_184], &mut reader.psk(0)).unwrap();
        let hello = Hello::decode(plaintext).unwrap();
        assert_eq!((hello.sign, hello.params), (false, None));
    }
}

/// A reader written from the chapter alone opens I1 and checks its mac.
///
/// spec: R-HS-4, R-HS-5, R-HS-8
#[test]
fn the_prologue_and_the_mac_are_as_written() {
    use crate::crypto::noise::{IK, Keys};
    use zeroize::Zeroizing;
    let network = Network::closed("written", &[4; 32]);
    let mut two = Two::of(config(1).with_network(network.clone()), config(2).with_network(network));
    let mut packet = datagram(&two.start(Mode::Ik));

    let p = Provider::Rust;
    let network_id = p.sha256(&[b"written"]);
    let bob = two.bob.id().montgomery();
    let inner = p.sha256(&[b"aqdt mac1", &bob]);
    let key = p.hmac_sha256(&inner, &[&[4; 32], &network_id]);
    assert_eq!(p.hmac_sha256(&key, &[&packet[..1_184]])[..16], packet[1_184..]);

    let mut prologue = b"aqdt\x00\x01\x01\x01".to_vec();
    prologue.extend_from_slice(&network_id);
    prologue.extend_from_slice(&packet[..20]);
    assert_eq!(packet[..20], *b"\xc4\x00\x01\x01alice001\0\0\0\0\0\0\0\0");
    let keys = Keys {
        static_secret: Zeroizing::new(*two.bob.key.exchange_secret()),
        static_public: bob,
        ephemeral: None,
        remote_static: None,
    };
    let noise = NoiseState::new(p, Cipher::ChaCha20Poly1305, &IK, Side::Responder, &prologue, keys);
    let noise = noise.unwrap();
    let (noise, payload) = noise.read(&mut packet[44..1_184], &mut |_| [4; 32]).unwrap();
    assert_eq!(payload.len(), 1_044);
    assert_eq!(noise.remote_static(), Some(&two.alice.id().montgomery()));

    let mut two = Two::new();
    let packet = datagram(&two.start(Mode::Xx));
    let inner = p.sha256(&[b"aqdt mac1", &[0; 32]]);
    let key = p.hmac_sha256(&inner, &[&[0; 32], &p.sha256(&[b"test"])]);
    assert_eq!(p.hmac_sha256(&key, &[&packet[..1_184]])[..16], packet[1_184..]);
}

/// Whatever of the prologue or the network's secret differs, silence; even with the right mac.
///
/// spec: R-HS-4, R-HS-6
#[test]
fn another_network_is_silence() {
    for mode in [Mode::Ik, Mode::Xx] {
        for other in [Network::open("other"), Network::closed("test", &[1; 32])] {
            let mut two = Two::of(config(1).with_network(other), config(2));
            let mut packet = datagram(&two.start(mode));
            assert_eq!(two.offer(&packet).unwrap_err(), Discard::Mac);
            fix_mac(&mut packet, mode, &two.bob);
            assert_eq!(two.offer(&packet).unwrap_err(), Discard::Open);
        }
    }
}

/// spec: R-HS-6
#[test]
fn another_pair_secret_fails_where_it_is_mixed_in() {
    let (alice, bob) = (config(1), config(2));
    let mut two = Two::of(alice.clone().with_pair_secrets(secrets_of(&bob, 1)), bob.clone());
    let initiator = two.start(Mode::Ik);
    let offer = two.ik_offer(&datagram(&initiator));
    let (mut second, _) = offer.accept(BOB, &params_of(BOB), &mut two.rng).unwrap();
    assert_eq!(discarded(initiator.on_packet(&mut second)).1, Discard::Open);

    let mut two = Two::of(alice.clone(), bob.with_pair_secrets(secrets_of(&alice, 1)));
    let initiator = two.start(Mode::Xx);
    let offer = two.xx_offer(&datagram(&initiator));
    let (mut second, wait) = offer.reply(BOB, &params_of(BOB), &mut two.rng).unwrap();
    let (_, third) = established(initiator.on_packet(&mut second));
    let step = wait.on_packet(&mut third.unwrap());
    assert!(matches!(step, ResponderStep::Discarded(_, Discard::Open)), "{step:?}");

    let mut secrets = secrets_of(&alice, 1);
    secrets.remove(&alice.id());
    let mut two = Two::of(alice, config(2).with_pair_secrets(secrets));
    two.run(Mode::Xx);
}

/// spec: R-HS-15
#[test]
fn dialling_compares_the_sign_too() {
    for seed in 0..4 {
        let mut two = Two::of(config(0xa1), config(seed));
        let id = two.bob.id();
        let other = if id.sign() == Sign::Positive { Sign::Negative } else { Sign::Positive };
        let opposite = NodeId::from_montgomery(&id.montgomery(), other).unwrap();
        let params = params_of(ALICE);
        let dial = |to, rng: &mut Rng| Initiator::start(&two.alice, Some(to), ALICE, &params, rng);
        let initiator = dial(opposite, &mut two.rng).unwrap();
        let offer = two.ik_offer(&datagram(&initiator));
        let (mut second, _) = offer.accept(BOB, &params, &mut two.rng).unwrap();
        assert_eq!(failed(initiator.on_packet(&mut second)), HandshakeError::WrongPeer);
    }
}

/// spec: R-HS-16
#[test]
fn a_node_does_not_connect_to_itself() {
    let mut two = Two::of(config(1), config(1));
    let (me, params) = (two.bob.id(), params_of(ALICE));
    let error = Initiator::start(&two.alice, Some(me), ALICE, &params, &mut two.rng).unwrap_err();
    assert_eq!(error, HandshakeError::SelfConnect);

    // X1 says nothing of who it is; X2 does.
    let initiator = two.start(Mode::Xx);
    let offer = two.xx_offer(&datagram(&initiator));
    let (mut second, _) = offer.reply(BOB, &params, &mut two.rng).unwrap();
    assert_eq!(failed(initiator.on_packet(&mut second)), HandshakeError::SelfConnect);
}

/// spec: R-HS-27
#[test]
fn the_same_packet_gives_the_same_answer() {
    let mut two = Two::new();
    let initiator = two.start(Mode::Xx);
    assert_eq!(datagram(&initiator), datagram(&initiator));
    let offer = two.xx_offer(&datagram(&initiator));
    let (second, wait) = offer.reply(BOB, &params_of(BOB), &mut two.rng).unwrap();
    let (one, third) = established(initiator.clone().on_packet(&mut second.clone()));
    let (two_, third_again) = established(initiator.on_packet(&mut second.clone()));
    assert_eq!(third, third_again);
    assert_eq!(one.secrets.i2r, two_.secrets.i2r);
    // X3 twice: the second finds a responder that is done, or one that was kept and gives the same.
    for _ in 0..2 {
        let step = wait.clone().on_packet(&mut third.clone().unwrap());
        let ResponderStep::Established(bob) = step else { panic!("{step:?}") };
        assert_same(&one, &bob);
    }
}

/// What was recorded opens again, and gives keys that nobody has: not the first responder's, not the
/// replayer's.
///
/// spec: R-HS-28
#[test]
fn a_copy_of_a_handshake_yields_other_keys() {
    for mode in [Mode::Ik, Mode::Xx] {
        let mut two = Two::new();
        let (packets, alice, _) = two.run(mode);
        match mode {
            Mode::Ik => {
                let offer = two.ik_offer(&packets[0]);
                let (second, bob) = offer.accept(BOB, &params_of(BOB), &mut two.rng).unwrap();
                assert_ne!(second, packets[1]);
                assert_ne!(bob.secrets.i2r, alice.secrets.i2r);
                assert_ne!(bob.handshake_hash, alice.handshake_hash);
            }
            Mode::Xx => {
                let offer = two.xx_offer(&packets[0]);
                let (_, wait) = offer.reply(BOB, &params_of(BOB), &mut two.rng).unwrap();
                let step = wait.on_packet(&mut packets[2].clone());
                assert!(matches!(step, ResponderStep::Discarded(_, Discard::Open)), "{step:?}");
            }
        }
    }
}

/// Every packet of one handshake, and of another, handed to every machine that does not wait for it.
///
/// spec: R-HS-14
#[test]
fn packets_of_other_handshakes_change_nothing() {
    let mut two = Two::new();
    let mut strays: Vec<Vec<u8>> = vec![];
    for mode in [Mode::Ik, Mode::Xx, Mode::Ik, Mode::Xx] {
        strays.extend(two.run(mode).0);
    }
    for mode in [Mode::Ik, Mode::Xx] {
        let mut initiator = two.start(mode);
        let packet = datagram(&initiator);
        strays.push(packet.clone());
        for stray in &strays {
            (initiator, _) = discarded(initiator.on_packet(&mut stray.clone()));
        }
        assert_eq!(datagram(&initiator), packet);
        let second = match mode {
            Mode::Ik => two.ik_offer(&packet).accept(BOB, &params_of(BOB), &mut two.rng).unwrap().0,
            Mode::Xx => {
                let offer = two.xx_offer(&packet);
                let (second, mut wait) = offer.reply(BOB, &params_of(BOB), &mut two.rng).unwrap();
                for stray in &strays {
                    let step = wait.on_packet(&mut stray.clone());
                    let ResponderStep::Discarded(same, _) = step else { panic!("{step:?}") };
                    wait = same;
                }
                second
            }
        };
        established(initiator.on_packet(&mut second.clone()));
    }
}

/// spec: R-HS-9
#[test]
fn the_responder_chooses_the_cipher() {
    use Ciphers::*;
    let all = [PreferChaCha20Poly1305, PreferAes256Gcm, OnlyChaCha20Poly1305, OnlyAes256Gcm];
    for (alice, bob) in all.into_iter().flat_map(|a| all.into_iter().map(move |b| (a, b))) {
        let expected = match (alice, bob) {
            (OnlyChaCha20Poly1305, OnlyAes256Gcm) | (OnlyAes256Gcm, OnlyChaCha20Poly1305) => None,
            (OnlyChaCha20Poly1305, _) => Some(Cipher::ChaCha20Poly1305),
            (OnlyAes256Gcm, _) => Some(Cipher::Aes256Gcm),
            (_, PreferChaCha20Poly1305 | OnlyChaCha20Poly1305) => Some(Cipher::ChaCha20Poly1305),
            (_, PreferAes256Gcm | OnlyAes256Gcm) => Some(Cipher::Aes256Gcm),
        };
        for mode in [Mode::Ik, Mode::Xx] {
            let mut two = Two::of(config(1).with_ciphers(alice), config(2).with_ciphers(bob));
            if let Some(expected) = expected {
                let (_, alice, bob) = two.run(mode);
                assert_same(&alice, &bob);
                assert_eq!(alice.cipher, expected);
            } else {
                let initiator = two.start(mode);
                let offer = two.offer(&datagram(&initiator)).unwrap();
                let Offer::Unacceptable(offer) = offer else { panic!("{offer:?}") };
                let mut second = offer.refuse(&mut two.rng).unwrap();
                assert_eq!(refused(initiator.on_packet(&mut second)), Refusal::Cipher);
            }
        }
    }
}

/// spec: R-HS-24
#[test]
fn refusals_are_believed_once_they_open() {
    for reason in [Refusal::NotAllowed, Refusal::Busy] {
        for mode in [Mode::Ik, Mode::Xx] {
            let mut two = Two::new();
            let initiator = two.start(mode);
            let packet = datagram(&initiator);
            let second = match mode {
                Mode::Ik => two.ik_offer(&packet).refuse(reason, &mut two.rng).unwrap(),
                Mode::Xx => two.xx_offer(&packet).refuse(reason, &mut two.rng).unwrap(),
            };
            assert_eq!(second[4..12], [0; 8]);
            let mut damaged = second.clone();
            damaged[40] ^= 1;
            fix_mac(&mut damaged, mode, &two.bob);
            let (initiator, why) = discarded(initiator.on_packet(&mut damaged));
            assert_eq!(why, Discard::Open);
            assert_eq!(refused(initiator.on_packet(&mut second.clone())), reason);
        }
    }
}

/// spec: R-HS-30
#[test]
fn of_two_that_dial_each_other_one_goes_on() {
    let ids: Vec<NodeId> = (0..8).map(|seed| NodeKey::from_seed(&[seed; 32]).id()).collect();
    for one in &ids {
        for other in &ids {
            let both = [keeps_initiating(one, other), keeps_initiating(other, one)];
            assert_eq!(both.iter().filter(|goes_on| **goes_on).count(), usize::from(one != other));
            assert_eq!(both[0], one.as_bytes() < other.as_bytes());
        }
    }
    assert!(keeps_initiating_unknown(&[1; 32], &[2; 32]));
    assert!(!keeps_initiating_unknown(&[2; 32], &[1; 32]));
}

#[test]
fn nothing_secret_is_printed() {
    let mut two = Two::of(
        config(1).with_network(Network::closed("net", &[0xab; 32])),
        config(2).with_network(Network::closed("net", &[0xab; 32])),
    );
    let (packets, alice, _) = two.run(Mode::Ik);
    let initiator = two.start(Mode::Ik);
    let offer = two.ik_offer(&packets[0]);
    let text = format!("{:?} {:?} {alice:?} {initiator:?} {offer:?}", two.alice, two.alice.network);
    for secret in [format!("{:?}", [0xab_u8; 4]), format!("{:?}", &alice.secrets.i2r[..4])] {
        assert!(!text.contains(secret.trim_matches(['[', ']'])), "{text}");
    }
    assert!(format!("{}", Discard::Identity(IdentityError::SmallOrder)).ends_with("small order"));
}
