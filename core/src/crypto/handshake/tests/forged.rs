//! Packets by somebody who holds the right keys and breaks the rules.

use zeroize::Zeroizing;

use super::*;
use crate::crypto::identity::{IdentityError, Sign};
use crate::crypto::noise::Keys;
use crate::wire::header::PacketType;
use crate::wire::hello::{CIPHER_AES_256_GCM, CIPHER_CHACHA20_POLY1305, Hello};
use crate::wire::long::{I1_PAYLOAD_LEN, X1_PAYLOAD_LEN};

type Edit<'a> = &'a dyn Fn(&mut Hello<'_>);

/// Seals one message as the protocol would, but for `edit` and for `outer`, the header sent.
fn forge(
    noise: NoiseState,
    outer: &LongHeader,
    hello: &Hello<'_>,
    mode: Mode,
    responder: &HandshakeConfig,
) -> (NoiseState, Vec<u8>) {
    let mut packet = outer.encode().to_vec();
    let room = match outer.kind {
        PacketType::I1 => I1_PAYLOAD_LEN,
        PacketType::X1 => X1_PAYLOAD_LEN,
        _ => hello.encoded_len(),
    };
    if outer.kind.begins() {
        packet.extend_from_slice(&[0; 24]);
    }
    let mut plaintext = vec![];
    assert!(hello.encode(room, &mut plaintext));
    let noise = noise.write(&plaintext, &mut |_| [0; 32], &mut packet).unwrap();
    let at = packet.len();
    packet.extend_from_slice(&[0; 16]);
    fix_mac(&mut packet, mode, responder);
    assert_eq!(packet.len(), at + 16);
    (noise, packet)
}

fn noise_of(
    mode: Mode,
    side: Side,
    first: &LongHeader,
    key: &NodeKey,
    public: [u8; 32],
    remote: Option<[u8; 32]>,
) -> NoiseState {
    let mut prologue = b"aqdt".to_vec();
    prologue.extend_from_slice(&first.version.to_be_bytes());
    prologue.extend_from_slice(&[first.suite, mode as u8]);
    prologue.extend_from_slice(Network::open("test").id());
    prologue.extend_from_slice(&first.encode());
    let keys = Keys {
        static_secret: Zeroizing::new(*key.exchange_secret()),
        static_public: public,
        ephemeral: Some(Zeroizing::new([0x33; 32])),
        remote_static: remote,
    };
    let cipher = Cipher::ChaCha20Poly1305;
    NoiseState::new(Provider::Rust, cipher, mode.pattern(), side, &prologue, keys).unwrap()
}

/// A first packet to `bob`, by the holder of `key` who says that its public key is `public`.
fn forged_first(
    mode: Mode,
    bob: &HandshakeConfig,
    key: &NodeKey,
    public: [u8; 32],
    edit: Edit<'_>,
) -> (NoiseState, Vec<u8>) {
    let (kind, remote) = match mode {
        Mode::Ik => (PacketType::I1, Some(bob.id().montgomery())),
        Mode::Xx => (PacketType::X1, None),
    };
    let header = LongHeader::new(kind, ALICE, ConnectionId::ZERO);
    let mut params = vec![];
    params_of(ALICE).encode(&mut params);
    let mut hello = Hello::new(kind, ALICE, ConnectionId::ZERO);
    if mode == Mode::Ik {
        hello.sign = key.id().sign() == Sign::Negative;
        hello.params = Some(&params);
    }
    edit(&mut hello);
    let noise = noise_of(mode, Side::Initiator, &header, key, public, remote);
    forge(noise, &header, &hello, mode, bob)
}

/// R2 or X2 in answer to `packet`, likewise.
fn forged_second(
    mode: Mode,
    bob: &HandshakeConfig,
    packet: &[u8],
    public: [u8; 32],
    edit: Edit<'_>,
) -> Vec<u8> {
    let first = LongHeader::decode(packet).unwrap();
    let noise = noise_of(mode, Side::Responder, &first, &bob.key, public, None);
    let mut packet = packet.to_vec();
    let (noise, _) = noise.read(&mut packet[44..1_184], &mut |_| [0; 32]).unwrap();
    let kind = if mode == Mode::Ik { PacketType::R2 } else { PacketType::X2 };
    let header = LongHeader { kind, scid: BOB, dcid: ALICE, ..first };
    let mut params = vec![];
    params_of(BOB).encode(&mut params);
    let mut hello = Hello::new(kind, BOB, ALICE);
    hello.sign = bob.id().sign() == Sign::Negative;
    hello.params = Some(&params);
    hello.ciphers = CIPHER_CHACHA20_POLY1305;
    edit(&mut hello);
    forge(noise, &header, &hello, mode, bob).1
}

/// Plays `XX` up to X3, which the edit may spoil.
fn forged_third(two: &mut Two, key: &NodeKey, public: [u8; 32], edit: Edit<'_>) -> ResponderStep {
    let (noise, packet) = forged_first(Mode::Xx, &two.bob, key, public, &|_| {});
    let offer = two.xx_offer(&packet);
    let (mut second, wait) = offer.reply(BOB, &params_of(BOB), &mut two.rng).unwrap();
    let at = second.len() - 16;
    let (noise, _) = noise.read(&mut second[20..at], &mut |_| [0; 32]).unwrap();
    let mut params = vec![];
    params_of(ALICE).encode(&mut params);
    let mut hello = Hello::new(PacketType::X3, ALICE, BOB);
    hello.sign = key.id().sign() == Sign::Negative;
    hello.params = Some(&params);
    hello.ciphers = CIPHER_CHACHA20_POLY1305;
    edit(&mut hello);
    let header = LongHeader::new(PacketType::X3, ALICE, BOB);
    let (_, mut packet) = forge(noise, &header, &hello, Mode::Xx, &two.bob);
    wait.on_packet(&mut packet)
}

fn mallory() -> NodeKey {
    NodeKey::from_seed(&[0x99; 32])
}

fn public(key: &NodeKey) -> [u8; 32] {
    key.id().montgomery()
}

/// The same agreement in other bytes: X25519 ignores the top bit.
fn masked(key: &NodeKey) -> [u8; 32] {
    let mut public = public(key);
    public[31] |= 0x80;
    public
}

/// u of the points of small order, as X25519 sees them.
fn weak_keys() -> Vec<[u8; 32]> {
    let mut one = [0; 32];
    one[0] = 1;
    let mut minus_one = [0xff; 32];
    (minus_one[0], minus_one[31]) = (0xec, 0x7f);
    let mut p = minus_one;
    p[0] = 0xed;
    let of_order_8 = [
        0xe0, 0xeb, 0x7a, 0x7c, 0x3b, 0x41, 0xb8, 0xae, 0x16, 0x56, 0xe3, 0xfa, 0xf1, 0x9f, 0xc4,
        0x6a, 0xda, 0x09, 0x8d, 0xeb, 0x9c, 0x32, 0xb1, 0xfd, 0x86, 0x62, 0x05, 0x16, 0x5f, 0x49,
        0xb8, 0x00,
    ];
    vec![[0; 32], one, minus_one, p, of_order_8]
}

/// What the forger does without an edit is what the protocol does.
#[test]
fn the_forger_knows_the_protocol() {
    let mut two = Two::new();
    let (key, none): (_, Edit<'_>) = (mallory(), &|_| {});
    for mode in [Mode::Ik, Mode::Xx] {
        let (_, packet) = forged_first(mode, &two.bob, &key, public(&key), none);
        two.offer(&packet).unwrap();
        let initiator = two.start(mode);
        let bob = public(&two.bob.key);
        let mut second = forged_second(mode, &two.bob, &datagram(&initiator), bob, none);
        established(initiator.on_packet(&mut second));
    }
    let step = forged_third(&mut two, &key, public(&key), none);
    let ResponderStep::Established(bob) = step else { panic!("{step:?}") };
    assert_eq!(bob.peer, key.id());
}

/// In the clear, in place of `e`; sealed, in place of `s`. The mac is right, so that it is the curve that
/// says no.
///
/// spec: R-HS-7
#[test]
fn weak_keys_are_refused_everywhere() {
    let mut two = Two::new();
    let key = mallory();
    for weak in weak_keys() {
        let mut packet = datagram(&two.start(Mode::Ik));
        packet[44..76].copy_from_slice(&weak);
        fix_mac(&mut packet, Mode::Ik, &two.bob);
        assert_eq!(two.offer(&packet).unwrap_err(), Discard::WeakKey);

        let (_, packet) = forged_first(Mode::Ik, &two.bob, &key, weak, &|_| {});
        assert_eq!(two.offer(&packet).unwrap_err(), Discard::WeakKey);

        for mode in [Mode::Ik, Mode::Xx] {
            let initiator = two.start(mode);
            let bob = public(&two.bob.key);
            let mut second = forged_second(mode, &two.bob, &datagram(&initiator), bob, &|_| {});
            second[20..52].copy_from_slice(&weak);
            fix_mac(&mut second, mode, &two.bob);
            let (initiator, why) = discarded(initiator.on_packet(&mut second));
            assert_eq!(why, Discard::WeakKey);
            if mode == Mode::Xx {
                let packet = datagram(&initiator);
                let mut second = forged_second(mode, &two.bob, &packet, weak, &|_| {});
                assert_eq!(discarded(initiator.on_packet(&mut second)).1, Discard::WeakKey);
            }
        }

        let step = forged_third(&mut two, &key, weak, &|_| {});
        assert!(matches!(step, ResponderStep::Discarded(_, Discard::WeakKey)), "{step:?}");
    }
}

/// `e` of X1 is used first when X2 is written.
///
/// spec: R-HS-7
#[test]
fn a_weak_key_in_x1_gets_no_answer() {
    use crate::crypto::transcript::SymmetricState;
    let mut two = Two::new();
    for weak in weak_keys() {
        let header = LongHeader::new(PacketType::X1, ALICE, ConnectionId::ZERO);
        let mut prologue = b"aqdt\0\x01\x01\x02".to_vec();
        prologue.extend_from_slice(Network::open("test").id());
        prologue.extend_from_slice(&header.encode());
        let name = Mode::Xx.pattern().name.as_bytes();
        let cipher = Cipher::ChaCha20Poly1305;
        let mut noise = SymmetricState::new(Provider::Rust, cipher, name, &prologue);
        noise.mix_key_and_hash(&[0; 32]);
        noise.mix_hash(&weak);
        noise.mix_key(&weak);
        let mut packet = header.encode().to_vec();
        packet.extend_from_slice(&[0; 24]);
        packet.extend_from_slice(&weak);
        let mut plaintext = vec![];
        let hello = Hello::new(PacketType::X1, ALICE, ConnectionId::ZERO);
        assert!(hello.encode(X1_PAYLOAD_LEN, &mut plaintext));
        noise.seal(&plaintext, &mut packet);
        packet.extend_from_slice(&[0; 16]);
        fix_mac(&mut packet, Mode::Xx, &two.bob);
        let error = two.xx_offer(&packet).reply(BOB, &params_of(BOB), &mut two.rng).unwrap_err();
        assert_eq!(error, HandshakeError::WeakKey);
        let error = two.xx_offer(&packet).refuse(Refusal::Busy, &mut two.rng).unwrap_err();
        assert_eq!(error, HandshakeError::WeakKey);
    }
}

/// A static key in bytes that are not its id's.
///
/// spec: R-HS-3
#[test]
fn a_key_that_is_not_canonical_is_no_id() {
    let mut two = Two::new();
    let key = mallory();
    let (_, packet) = forged_first(Mode::Ik, &two.bob, &key, masked(&key), &|_| {});
    let expected = IdentityError::NotCanonical;
    assert_eq!(two.offer(&packet).unwrap_err(), Discard::Identity(expected));

    let initiator = two.start(Mode::Xx);
    let bob = masked(&two.bob.key);
    let mut second = forged_second(Mode::Xx, &two.bob, &datagram(&initiator), bob, &|_| {});
    assert_eq!(failed(initiator.on_packet(&mut second)), HandshakeError::Identity(expected));

    let step = forged_third(&mut two, &key, masked(&key), &|_| {});
    let error = HandshakeError::Identity(expected);
    assert!(matches!(step, ResponderStep::Failed(found) if found == error), "{step:?}");
}

/// spec: R-HS-16
#[test]
fn this_nodes_own_key_from_outside_is_not_a_peer() {
    let mut two = Two::new();
    let key = two.bob.key.clone();
    for edit in
        [&|_: &mut Hello<'_>| {}, &|hello: &mut Hello<'_>| hello.sign ^= true] as [Edit<'_>; 2]
    {
        let (_, packet) = forged_first(Mode::Ik, &two.bob, &key, public(&key), edit);
        assert_eq!(two.offer(&packet).unwrap_err(), Discard::Own);
        let step = forged_third(&mut two, &key, public(&key), edit);
        assert!(matches!(step, ResponderStep::Failed(HandshakeError::SelfConnect)), "{step:?}");
    }
}

/// spec: R-HS-10
#[test]
fn what_a_payload_repeats_must_be_what_the_header_says() {
    let mut two = Two::new();
    let key = mallory();
    let edits: [Edit<'_>; 3] = [
        &|hello| hello.kind = PacketType::I1,
        &|hello| hello.scid = ConnectionId([9; 8]),
        &|hello| hello.dcid = ConnectionId([9; 8]),
    ];
    for (n, edit) in edits.into_iter().enumerate() {
        for mode in [Mode::Ik, Mode::Xx] {
            if (n, mode) != (0, Mode::Ik) {
                let (_, packet) = forged_first(mode, &two.bob, &key, public(&key), edit);
                assert_eq!(two.offer(&packet).unwrap_err(), Discard::Header);
            }
            let initiator = two.start(mode);
            let bob = public(&two.bob.key);
            let mut second = forged_second(mode, &two.bob, &datagram(&initiator), bob, edit);
            assert_eq!(discarded(initiator.on_packet(&mut second)).1, Discard::Header);
        }
        let step = forged_third(&mut two, &key, public(&key), edit);
        assert!(matches!(step, ResponderStep::Discarded(_, Discard::Header)), "{step:?}");
    }
}

/// Parameters missing, not to be read, or where they must not be.
///
/// spec: R-HS-11
#[test]
fn parameters_are_where_they_belong() {
    let mut two = Two::new();
    let (key, bob) = (mallory(), public(&two.bob.key));
    let bad: [Edit<'_>; 2] = [&|hello| hello.params = None, &|hello| hello.params = Some(&[1, 2])];
    for edit in bad {
        let (_, packet) = forged_first(Mode::Ik, &two.bob, &key, public(&key), edit);
        assert_eq!(two.offer(&packet).unwrap_err(), Discard::Payload);
        for mode in [Mode::Ik, Mode::Xx] {
            let initiator = two.start(mode);
            let mut second = forged_second(mode, &two.bob, &datagram(&initiator), bob, edit);
            let error = failed(initiator.on_packet(&mut second));
            assert!(matches!(error, HandshakeError::Malformed(_)));
        }
        let step = forged_third(&mut two, &key, public(&key), edit);
        let malformed = matches!(step, ResponderStep::Failed(HandshakeError::Malformed(_)));
        assert!(malformed, "{step:?}");
    }
    let mut params = vec![];
    params_of(ALICE).encode(&mut params);
    let params = Box::leak(params.into_boxed_slice());
    let (_, packet) =
        forged_first(Mode::Xx, &two.bob, &key, public(&key), &|hello| hello.params = Some(params));
    assert_eq!(two.offer(&packet).unwrap_err(), Discard::Payload);
}

/// An item of a later version, before the padding.
///
/// spec: R-HS-11
#[test]
fn unknown_items_are_passed_over() {
    let mut two = Two::new();
    let key = mallory();
    let header = LongHeader::new(PacketType::I1, ALICE, ConnectionId::ZERO);
    let remote = Some(public(&two.bob.key));
    let noise = noise_of(Mode::Ik, Side::Initiator, &header, &key, public(&key), remote);
    let mut params = vec![];
    params_of(ALICE).encode(&mut params);
    let hello = Hello {
        sign: key.id().sign() == Sign::Negative,
        params: Some(&params),
        ..Hello::new(PacketType::I1, ALICE, ConnectionId::ZERO)
    };
    let mut plaintext = vec![];
    assert!(hello.encode(hello.encoded_len(), &mut plaintext));
    plaintext.extend_from_slice(&[200, 0, 3, 7, 7, 7]);
    plaintext.resize(I1_PAYLOAD_LEN, 0);
    let mut packet = header.encode().to_vec();
    packet.extend_from_slice(&[0; 24]);
    noise.write(&plaintext, &mut |_| [0; 32], &mut packet).unwrap();
    packet.extend_from_slice(&[0; 16]);
    fix_mac(&mut packet, Mode::Ik, &two.bob);
    assert_eq!(*two.ik_offer(&packet).params(), params_of(ALICE));
    let (_, bob) = two.ik_offer(&packet).accept(BOB, &params_of(BOB), &mut two.rng).unwrap();
    assert_eq!(bob.peer, key.id());
}

/// spec: R-HS-12
#[test]
fn early_data_is_passed_over_and_not_taken() {
    let mut two = Two::new();
    let key = mallory();
    let (noise, packet) = forged_first(Mode::Ik, &two.bob, &key, public(&key), &|hello| {
        hello.early_data = Some(b"GET /");
    });
    let offer = two.ik_offer(&packet);
    let (mut second, _) = offer.accept(BOB, &params_of(BOB), &mut two.rng).unwrap();
    let at = second.len() - 16;
    let (_, plaintext) = noise.read(&mut second[20..at], &mut |_| [0; 32]).unwrap();
    let hello = Hello::decode(plaintext).unwrap();
    assert_eq!((hello.status, hello.early_data_taken, hello.early_data), (0, false, None));
}

/// spec: R-HS-9
#[test]
fn a_choice_that_was_not_offered_ends_the_attempt() {
    let both = CIPHER_CHACHA20_POLY1305 | CIPHER_AES_256_GCM;
    for chosen in [0, both, 4, 0xff, CIPHER_AES_256_GCM] {
        for mode in [Mode::Ik, Mode::Xx] {
            let only = config(0xa1).with_ciphers(Ciphers::OnlyChaCha20Poly1305);
            let mut two = Two::of(only, config(0xb2));
            let initiator = two.start(mode);
            let (packet, bob) = (datagram(&initiator), public(&two.bob.key));
            let edit: Edit<'_> = &|hello| hello.ciphers = chosen;
            let mut second = forged_second(mode, &two.bob, &packet, bob, edit);
            let error = failed(initiator.on_packet(&mut second));
            assert!(matches!(error, HandshakeError::Malformed(_)), "{chosen}");
        }
    }
}

/// spec: R-HS-24
#[test]
fn a_status_that_is_not_given_out_ends_the_attempt() {
    for status in [7, 0x80, 0xff] {
        let mut two = Two::new();
        let initiator = two.start(Mode::Ik);
        let (packet, bob) = (datagram(&initiator), public(&two.bob.key));
        let edit: Edit<'_> = &|hello| hello.status = status;
        let mut second = forged_second(Mode::Ik, &two.bob, &packet, bob, edit);
        let error = failed(initiator.on_packet(&mut second));
        assert!(matches!(error, HandshakeError::Malformed(_)));
    }
}

/// spec: R-HS-17
#[test]
fn a_third_packet_may_not_contradict_the_first() {
    let mut two = Two::new();
    let key = mallory();
    let edits: [Edit<'_>; 5] = [
        &|hello| hello.versions = [2, 1, 0, 0],
        &|hello| hello.suites = [1, 2, 0, 0],
        &|hello| hello.capabilities ^= 1,
        &|hello| hello.ciphers = CIPHER_AES_256_GCM,
        &|hello| hello.status = 4,
    ];
    for edit in edits {
        let step = forged_third(&mut two, &key, public(&key), edit);
        let malformed = matches!(step, ResponderStep::Failed(HandshakeError::Malformed(_)));
        assert!(malformed, "{step:?}");
    }
}

/// Lists that somebody shortened or lengthened on their way through an end that was taken over.
///
/// spec: R-HS-18
#[test]
fn a_better_version_or_suite_in_the_lists_is_a_downgrade() {
    let better: [Edit<'_>; 2] =
        [&|hello| hello.versions = [1, 2, 0, 0], &|hello| hello.suites = [2, 1, 0, 0]];
    let lists = || (Versions::new(&[1, 2]).unwrap(), Suites::new(&[1, 2]).unwrap());
    for edit in better {
        for mode in [Mode::Ik, Mode::Xx] {
            let (versions, suites) = lists();
            let able = config(0xb2).with_versions(versions).with_suites(suites);
            // The responder's side: both know better, and version 1 or suite 1 is in use.
            let mut two = Two::of(config(0xa1), able);
            let key = mallory();
            let (_, packet) = forged_first(mode, &two.bob, &key, public(&key), edit);
            let offer = two.offer(&packet).unwrap();
            let Offer::Unacceptable(offer) = offer else { panic!("{offer:?}") };
            assert_eq!(offer.reason(), Refusal::Downgrade);
            offer.refuse(&mut two.rng).unwrap();
        }
    }
    // The initiator's side: it speaks suite 2 as well, and the answer's list has it.
    for mode in [Mode::Ik, Mode::Xx] {
        let able = config(0xa1).with_suites(Suites::new(&[1, 2]).unwrap());
        let mut two = Two::of(able, config(0xb2));
        let initiator = two.start(mode);
        let (packet, bob) = (datagram(&initiator), public(&two.bob.key));
        for (edit, expected) in [(better[1], true), (&|_: &mut Hello<'_>| {}, false)] {
            let mut second = forged_second(mode, &two.bob, &packet, bob, edit);
            let step = initiator.clone().on_packet(&mut second);
            if expected {
                assert_eq!(failed(step), HandshakeError::Downgrade);
            } else {
                established(step);
            }
        }
        // A list without the version in use makes no sense either.
        let edit: Edit<'_> = &|hello| hello.versions = [3, 0, 0, 0];
        let mut second = forged_second(mode, &two.bob, &packet, bob, edit);
        assert_eq!(failed(initiator.on_packet(&mut second)), HandshakeError::Downgrade);
    }
}

/// spec: R-HS-24
#[test]
fn lists_with_nothing_in_common_are_refused() {
    let edits: [(Edit<'_>, Refusal); 3] = [
        (&|hello| hello.versions = [7, 0, 0, 0], Refusal::Version),
        (&|hello| hello.suites = [2, 0, 0, 0], Refusal::Suite),
        (&|hello| hello.ciphers = 0xfc, Refusal::Cipher),
    ];
    let mut two = Two::new();
    let key = mallory();
    for (edit, expected) in edits {
        for mode in [Mode::Ik, Mode::Xx] {
            let (_, packet) = forged_first(mode, &two.bob, &key, public(&key), edit);
            let offer = two.offer(&packet).unwrap();
            let Offer::Unacceptable(offer) = offer else { panic!("{offer:?}") };
            assert_eq!(offer.reason(), expected);
        }
    }
    let packet = datagram(&two.start(Mode::Ik));
    assert!(two.offer(&packet).is_ok());
}
