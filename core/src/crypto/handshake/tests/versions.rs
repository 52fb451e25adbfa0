//! RETRY, VERSION, and what is only reserved.

use super::*;
use crate::crypto::cookie::Cookie;
use crate::wire::header::PacketType;

fn speaks(seed: u8, versions: &[u16]) -> HandshakeConfig {
    config(seed).with_versions(Versions::new(versions).unwrap())
}

fn retry_for(bob: &HandshakeConfig, packet: &[u8], cookie: Cookie) -> Vec<u8> {
    let mut packet = packet.to_vec();
    let Ok(Arrival::First(first)) = check_mac(bob, &mut packet) else { panic!("no first packet") };
    let mut out = vec![];
    first.retry(bob, &cookie, &mut out);
    out
}

fn version_for(bob: &HandshakeConfig, packet: &[u8]) -> Vec<u8> {
    let mut packet = packet.to_vec();
    let Ok(Arrival::OtherVersion(other)) = check_mac(bob, &mut packet) else {
        panic!("no other version")
    };
    let mut out = vec![];
    other.reply(bob, &mut out);
    out
}

#[track_caller]
fn restart(step: InitiatorStep) -> Restart {
    match step {
        InitiatorStep::OtherVersion(restart) => restart,
        other => panic!("no restart: {other:?}"),
    }
}

/// spec: R-HS-26, R-HS-25
#[test]
fn a_retry_is_followed_once_and_changes_no_byte_of_noise() {
    for mode in [Mode::Ik, Mode::Xx] {
        let mut two = Two::new();
        let initiator = two.start(mode);
        let before = datagram(&initiator);
        assert_eq!(before[20..44], [0; 24]);
        let cookie = Cookie([0xc0; 24]);
        let retry = retry_for(&two.bob, &before, cookie);
        assert_eq!(retry.len(), 60);
        assert_eq!(retry[4..12], [0; 8]);
        assert_eq!(retry[20..44], cookie.0);
        // A retry for another packet, and one by somebody who does not know the key.
        let other = datagram(&two.start(mode));
        let stray = retry_for(&two.bob, &other, cookie);
        let (initiator, why) = discarded(initiator.on_packet(&mut stray.clone()));
        assert_eq!(why, Discard::Tag);
        let InitiatorStep::Retry(initiator) = initiator.on_packet(&mut retry.clone()) else {
            panic!("not followed")
        };
        let after = datagram(&initiator);
        assert_eq!(after[..20], before[..20]);
        assert_eq!(after[20..44], cookie.0);
        assert_eq!(after[44..1_184], before[44..1_184]);
        assert_ne!(after[1_184..], before[1_184..]);
        let mut copy = after.clone();
        let Ok(Arrival::First(first)) = check_mac(&two.bob, &mut copy) else { panic!() };
        assert_eq!((first.cookie(), first.scid(), first.mode()), (cookie, ALICE, mode));
        assert_eq!(first.ephemeral(), *initiator.ephemeral());
        // The same again, and another one.
        let (initiator, why) = discarded(initiator.on_packet(&mut retry.clone()));
        assert_eq!(why, Discard::Tag);
        let mut second = retry_for(&two.bob, &after, Cookie([1; 24]));
        let (initiator, why) = discarded(initiator.on_packet(&mut second));
        assert_eq!(why, Discard::Again);
        let mut answer = match mode {
            Mode::Ik => two.ik_offer(&after).accept(BOB, &params_of(BOB), &mut two.rng).unwrap().0,
            Mode::Xx => two.xx_offer(&after).reply(BOB, &params_of(BOB), &mut two.rng).unwrap().0,
        };
        established(initiator.on_packet(&mut answer));
    }
}

/// A right tag under a header that a RETRY or VERSION does not have.
///
/// spec: R-HS-25
#[test]
fn retry_and_version_have_one_header() {
    let mut two = Two::of(speaks(0xa1, &[1, 3]), speaks(0xb2, &[1, 3]));
    let initiator = two.start(Mode::Ik);
    let packet = datagram(&initiator);
    let mac: [u8; 16] = packet[1_184..].try_into().unwrap();
    let retry = retry_for(&two.bob, &packet, Cookie([1; 24]));
    let version = version_for(&speaks(0xb2, &[1]), &packet);
    for (packet, tagged) in [retry, version].into_iter().flat_map(|packet| {
        [0, 2, 3, 4, 11].map(|at| {
            let mut copy = packet.clone();
            copy[at] ^= 1;
            (packet.clone(), copy)
        })
    }) {
        let tag = |bytes: &mut Vec<u8>| {
            bytes.truncate(bytes.len() - 16);
            let tag = two.bob.mac_key(Mode::Ik).tag(Provider::Rust, &mac, bytes);
            bytes.extend_from_slice(&tag);
        };
        let (mut right, mut wrong) = (packet, tagged);
        tag(&mut right);
        tag(&mut wrong);
        assert_eq!(discarded(initiator.clone().on_packet(&mut wrong)).1, Discard::Header);
        let step = initiator.clone().on_packet(&mut right);
        assert!(matches!(step, InitiatorStep::Retry(_) | InitiatorStep::OtherVersion(_)));
    }
}

/// spec: R-HS-19, R-HS-20
#[test]
fn an_initiator_that_is_ahead_goes_back_to_what_both_speak() {
    for mode in [Mode::Ik, Mode::Xx] {
        let mut two = Two::of(speaks(0xa1, &[1, 3]), speaks(0xb2, &[1, 2]));
        let initiator = two.start(mode);
        let before = datagram(&initiator);
        assert_eq!(before[1..3], [0, 3]);
        let mut version = version_for(&two.bob, &before);
        let (kind, list) = (version[0], &version[20..25]);
        assert_eq!((kind >> 2 & 15, list), (7, [2, 0, 1, 0, 2].as_slice()));
        assert_eq!(version.len(), 20 + 5 + 16);
        let restart = restart(initiator.on_packet(&mut version));
        assert_eq!(restart.version(), 1);
        let again = restart.begin(&mut two.rng).unwrap();
        let packet = datagram(&again);
        assert_eq!((&packet[1..3], &packet[4..12]), ([0, 1].as_slice(), ALICE.0.as_slice()));
        assert_ne!(packet[44..76], before[44..76], "a fresh key");
        // Not a second time.
        let other = Two::of(speaks(1, &[1]), speaks(0xb2, &[7]));
        let mut second = version_for(&other.bob, &packet);
        let (again, why) = discarded(again.on_packet(&mut second));
        assert_eq!(why, Discard::Again);
        let mut answer = match mode {
            Mode::Ik => two.ik_offer(&packet).accept(BOB, &params_of(BOB), &mut two.rng).unwrap().0,
            Mode::Xx => two.xx_offer(&packet).reply(BOB, &params_of(BOB), &mut two.rng).unwrap().0,
        };
        let (alice, _) = established(again.on_packet(&mut answer));
        assert_eq!(alice.version, 1);
    }
}

/// Both speak 3; somebody who knows the key of the mac claims that the responder speaks only 1.
///
/// spec: R-HS-20, R-HS-18
#[test]
fn a_forged_version_packet_ends_as_a_downgrade() {
    for mode in [Mode::Ik, Mode::Xx] {
        let mut two = Two::of(speaks(0xa1, &[1, 3]), speaks(0xb2, &[1, 3]));
        let initiator = two.start(mode);
        let liar = speaks(0xb2, &[1]);
        let mut forged = version_for(&liar, &datagram(&initiator));
        let again = restart(initiator.on_packet(&mut forged)).begin(&mut two.rng).unwrap();
        let offer = two.offer(&datagram(&again)).unwrap();
        let Offer::Unacceptable(offer) = offer else { panic!("{offer:?}") };
        assert_eq!(offer.reason(), Refusal::Downgrade);
        let mut second = offer.refuse(&mut two.rng).unwrap();
        assert_eq!(refused(again.on_packet(&mut second)), Refusal::Downgrade);
    }
    // Even if what was left is the list's own best: the list is not the responder's.
    let mut two = Two::of(speaks(0xa1, &[2, 3]), speaks(0xb2, &[1, 2]));
    let initiator = two.start(Mode::Ik);
    let mut forged = version_for(&speaks(0xb2, &[2]), &datagram(&initiator));
    let again = restart(initiator.on_packet(&mut forged)).begin(&mut two.rng).unwrap();
    let offer = two.offer(&datagram(&again)).unwrap();
    assert!(matches!(offer, Offer::Unacceptable(ref o) if o.reason() == Refusal::Downgrade));
}

/// The header of X1 or I1 rewritten to a lower version, with a right mac.
///
/// spec: R-HS-4, R-HS-18
#[test]
fn an_altered_version_in_the_header_does_not_open() {
    for mode in [Mode::Ik, Mode::Xx] {
        let mut two = Two::of(speaks(0xa1, &[1, 3]), speaks(0xb2, &[1, 3]));
        let mut packet = datagram(&two.start(mode));
        packet[2] = 1;
        fix_mac(&mut packet, mode, &two.bob);
        assert_eq!(two.offer(&packet).unwrap_err(), Discard::Open);
    }
}

/// spec: R-HS-20
#[test]
fn version_packets_that_do_not_help_are_discarded() {
    let mut two = Two::of(speaks(0xa1, &[1, 3]), speaks(0xb2, &[1, 3]));
    let mut initiator = two.start(Mode::Ik);
    let packet = datagram(&initiator);
    let lists: [&[u16]; 4] = [&[3, 1], &[2], &[5, 4], &[3]];
    for list in lists {
        let mut copy = packet.clone();
        let header = LongHeader {
            kind: PacketType::Version,
            version: 0,
            scid: ConnectionId::ZERO,
            dcid: ALICE,
            ..LongHeader::decode(&copy).unwrap()
        };
        let (_, mac) = two.bob.mac_key(Mode::Ik).check(Provider::Rust, &mut copy).unwrap();
        let forged = |count: u8, list: &[u16]| {
            let mut out = header.encode().to_vec();
            out.push(count);
            out.extend(list.iter().flat_map(|version| version.to_be_bytes()));
            let tag = two.bob.mac_key(Mode::Ik).tag(Provider::Rust, &mac, &out);
            out.extend_from_slice(&tag);
            out
        };
        let mut one = forged(list.len() as u8, list);
        let why;
        (initiator, why) = discarded(initiator.on_packet(&mut one));
        assert_eq!(why, Discard::NoVersion, "{list:?}");
        let mut miscounted = forged(9, list);
        let why;
        (initiator, why) = discarded(initiator.on_packet(&mut miscounted));
        assert_eq!(why, Discard::Length);
        let mut many = forged(5, &[1, 2, 4, 5, 6]);
        let why;
        (initiator, why) = discarded(initiator.on_packet(&mut many));
        assert_eq!(why, Discard::NoVersion);
    }
    assert_eq!(datagram(&initiator), packet);
}

/// The order of the checks, by packets that have two faults at once.
///
/// spec: R-HS-13
#[test]
fn the_first_fault_is_the_one_that_counts() {
    let mut two = Two::of(config(0xa1), config(0xb2).with_strangers(Strangers::Ignore));
    let known = datagram(&two.start(Mode::Ik));
    let unknown = datagram(&two.start(Mode::Xx));
    let check = |packet: &[u8], edit: &dyn Fn(&mut Vec<u8>)| {
        let mut packet = packet.to_vec();
        edit(&mut packet);
        check_mac(&two.bob, &mut packet).map(|_| ()).unwrap_err()
    };
    assert_eq!(check(&known, &|p| (p[0], p[1199]) = (0x40, p[1199] ^ 1)), Discard::Header);
    assert_eq!(check(&known, &|p| p[0] = 0xc0 | 2 << 2), Discard::Header);
    assert_eq!(check(&known, &|p| p.truncate(1_199)), Discard::Length);
    assert_eq!(check(&known, &|p| p.push(0)), Discard::Length);
    assert_eq!(check(&unknown, &|p| p[12] = 1), Discard::ConnectionId);
    assert_eq!(check(&known, &|p| p[4..12].fill(0)), Discard::ConnectionId);
    assert_eq!(check(&unknown, &|p| p[600] ^= 1), Discard::Stranger);
    assert_eq!(check(&unknown, &|_| {}), Discard::Stranger);
    assert_eq!(check(&known, &|p| p[2] = 9), Discard::Mac);
    assert_eq!(check(&known, &|p| p[3] = 2), Discard::Mac);
    // With a right mac: version before suite.
    let mut both = known.clone();
    (both[2], both[3]) = (9, 2);
    fix_mac(&mut both, Mode::Ik, &two.bob);
    assert!(matches!(check_mac(&two.bob, &mut both), Ok(Arrival::OtherVersion(_))));
}

/// spec: R-HS-21, R-HS-22
#[test]
fn other_suites_parts_and_types_are_discarded() {
    for mode in [Mode::Ik, Mode::Xx] {
        let mut two =
            Two::of(config(0xa1), config(0xb2).with_suites(Suites::new(&[1, 2]).unwrap()));
        let initiator = two.start(mode);
        let packet = datagram(&initiator);
        for suite in [0, 2, 3, 0xff] {
            let mut copy = packet.clone();
            copy[3] = suite;
            fix_mac(&mut copy, mode, &two.bob);
            assert_eq!(two.offer(&copy).unwrap_err(), Discard::Header);
        }
        for part in 1..4 {
            let mut copy = packet.clone();
            copy[0] |= part;
            fix_mac(&mut copy, mode, &two.bob);
            assert_eq!(two.offer(&copy).unwrap_err(), Discard::Header);
        }
        for kind in [0, 8, 9, 15] {
            let mut copy = packet.clone();
            copy[0] = 0xc0 | kind << 2;
            copy[12..20].copy_from_slice(&ALICE.0);
            fix_mac(&mut copy, mode, &two.bob);
            assert_eq!(two.offer(&copy).unwrap_err(), Discard::Header);
            assert_eq!(discarded(initiator.clone().on_packet(&mut copy)).1, Discard::Header);
        }
    }
}

#[test]
fn lists_hold_one_to_four_different_numbers() {
    assert!(Versions::new(&[1]).is_some() && Versions::new(&[4, 3, 2, 1]).is_some());
    for bad in [&[][..], &[0], &[1, 1], &[1, 2, 3, 4, 5], &[1, 0]] {
        assert!(Versions::new(bad).is_none(), "{bad:?}");
    }
    assert!(Suites::new(&[2, 1]).is_some() && Suites::new(&[1, 1]).is_none());
    assert_eq!(config::best_common(&[1, 5, 0, 0], &[0, 1, 5, 9]), Some(5));
    assert_eq!(config::best_common(&[1_u8, 0], &[0, 2]), None);
}
