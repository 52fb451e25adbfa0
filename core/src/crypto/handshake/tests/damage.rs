//! Every bit and every length of every packet, at every machine that waits for it.

use super::*;

/// Every single bit flipped, every length below the right one, and one byte too many.
fn damaged(packet: &[u8]) -> impl Iterator<Item = Vec<u8>> + '_ {
    let flips = (0..packet.len() * 8).map(|bit| {
        let mut copy = packet.to_vec();
        copy[bit / 8] ^= 1 << (bit % 8);
        copy
    });
    let cuts = (0..packet.len()).map(|len| packet[..len].to_vec());
    let longer = core::iter::once_with(move || [packet, &[0]].concat());
    flips.chain(cuts).chain(longer)
}

/// The same by somebody who can make the mac right again.
fn damaged_with_mac<'p>(
    packet: &'p [u8],
    mode: Mode,
    responder: &'p HandshakeConfig,
) -> impl Iterator<Item = Vec<u8>> + 'p {
    damaged(&packet[..packet.len() - 16]).map(move |mut copy| {
        copy.extend_from_slice(&[0; 16]);
        fix_mac(&mut copy, mode, responder);
        copy
    })
}

/// The fastest provider that is there; what is tested does not depend on it.
fn two() -> Two {
    let provider = providers().pop().unwrap();
    Two::of(config(0xa1).with_provider(provider), config(0xb2).with_provider(provider))
}

/// spec: R-HS-8, R-HS-14
#[test]
fn a_damaged_first_packet_is_nothing() {
    for mode in [Mode::Ik, Mode::Xx] {
        let mut two = two();
        let packet = datagram(&two.start(mode));
        for mut copy in damaged(&packet) {
            assert!(check_mac(&two.bob, &mut copy).is_err());
        }
        assert!(two.offer(&packet).is_ok());
    }
}

/// Beside the header's fields that name another version, or another attempt, and the cookie, which
/// nothing of the handshake depends on.
///
/// spec: R-HS-14
#[test]
fn a_damaged_first_packet_with_a_right_mac_is_nothing() {
    for mode in [Mode::Ik, Mode::Xx] {
        let mut two = two();
        let packet = datagram(&two.start(mode));
        let mut opened = 0;
        for mut copy in damaged_with_mac(&packet, mode, &two.bob) {
            let cookie_differs = copy.len() == 1_200 && copy[20..44] != packet[20..44];
            match check_mac(&two.bob, &mut copy) {
                Err(_) => {}
                Ok(Arrival::OtherVersion(_)) => assert_ne!(copy[1..3], packet[1..3]),
                Ok(Arrival::First(first)) => {
                    let cookie = first.cookie();
                    let offer = first.open(&two.bob);
                    assert_eq!(offer.is_ok(), cookie_differs, "{offer:?} {cookie:?}");
                    opened += usize::from(offer.is_ok());
                }
            }
        }
        assert_eq!(opened, 24 * 8);
    }
}

/// spec: R-HS-14, R-HS-8
#[test]
fn a_damaged_answer_leaves_the_initiator_as_it_was() {
    for mode in [Mode::Ik, Mode::Xx] {
        let mut two = two();
        let mut initiator = two.start(mode);
        let packet = datagram(&initiator);
        let params = params_of(BOB);
        let second = match mode {
            Mode::Ik => two.ik_offer(&packet).accept(BOB, &params, &mut two.rng).unwrap().0,
            Mode::Xx => two.xx_offer(&packet).reply(BOB, &params, &mut two.rng).unwrap().0,
        };
        let bob = Arc::clone(&two.bob);
        let all = damaged(&second).chain(damaged_with_mac(&second, mode, &bob));
        for mut copy in all.filter(|copy| *copy != second) {
            (initiator, _) = discarded(initiator.on_packet(&mut copy));
        }
        assert_eq!(datagram(&initiator), packet);
        established(initiator.on_packet(&mut second.clone()));
    }
}

/// spec: R-HS-14, R-HS-8
#[test]
fn a_damaged_third_packet_leaves_the_responder_as_it_was() {
    let mut two = two();
    let initiator = two.start(Mode::Xx);
    let offer = two.xx_offer(&datagram(&initiator));
    let (mut second, mut wait) = offer.reply(BOB, &params_of(BOB), &mut two.rng).unwrap();
    let (alice, third) = established(initiator.on_packet(&mut second));
    let third = third.unwrap();
    let bob = Arc::clone(&two.bob);
    for mut copy in damaged(&third).chain(damaged_with_mac(&third, Mode::Xx, &bob)) {
        let step = wait.on_packet(&mut copy);
        let ResponderStep::Discarded(same, _) = step else { panic!("{step:?}") };
        wait = same;
    }
    let step = wait.on_packet(&mut third.clone());
    let ResponderStep::Established(bob) = step else { panic!("{step:?}") };
    assert_same(&alice, &bob);
}

/// spec: R-HS-25, R-HS-14
#[test]
fn damaged_retry_and_version_packets_are_nothing() {
    use crate::crypto::cookie::Cookie;
    for mode in [Mode::Ik, Mode::Xx] {
        let mut two = two();
        let mut initiator = two.start(mode);
        let packet = datagram(&initiator);
        let mut copy = packet.clone();
        let Ok(Arrival::First(first)) = check_mac(&two.bob, &mut copy) else { panic!() };
        let mut retry = vec![];
        first.retry(&two.bob, &Cookie([7; 24]), &mut retry);
        let mut other = packet.clone();
        other[2] = 9;
        fix_mac(&mut other, mode, &two.bob);
        let Ok(Arrival::OtherVersion(other)) = check_mac(&two.bob, &mut other) else { panic!() };
        let mut version = vec![];
        other.reply(&two.bob, &mut version);
        // Of another packet than the one that was sent: its tag is wrong as it stands.
        for mut copy in damaged(&retry).chain(damaged(&version)).chain([version.clone()]) {
            (initiator, _) = discarded(initiator.on_packet(&mut copy));
        }
        assert_eq!(datagram(&initiator), packet);
        let step = initiator.on_packet(&mut retry);
        assert!(matches!(step, InitiatorStep::Retry(_)), "{step:?}");
    }
}

proptest::proptest! {
    /// Any bytes at all, some of them with a header and a mac that fit.
    ///
    /// spec: R-HS-14
    #[test]
    fn any_bytes_are_survived(
        body in proptest::collection::vec(proptest::prelude::any::<u8>(), 0..1_300),
        kind in 0_u8..16,
        shape in 0_u8..4,
    ) {
        let mut two = two();
        let initiator = two.start(Mode::Ik);
        let unknown = two.start(Mode::Xx);
        let offer = two.xx_offer(&datagram(&unknown));
        let (_, wait) = offer.reply(BOB, &params_of(BOB), &mut two.rng).unwrap();
        let mut packet = body;
        if shape > 0 && packet.len() >= 36 {
            packet[0] = 0xc0 | kind << 2;
            packet[1..4].copy_from_slice(&[0, 1, 1]);
            packet[4..12].copy_from_slice(&if shape == 3 { ALICE.0 } else { BOB.0 });
            packet[12..20].copy_from_slice(&if shape == 3 { BOB.0 } else { ALICE.0 });
            if kind == 1 || kind == 3 {
                packet[12..20].fill(0);
                packet.resize(1_200, 0);
            }
            fix_mac(&mut packet, if kind < 3 { Mode::Ik } else { Mode::Xx }, &two.bob);
        }
        if let Ok(Arrival::First(first)) = check_mac(&two.bob, &mut packet.clone()) {
            assert!(first.open(&two.bob).is_err());
        }
        discarded(initiator.on_packet(&mut packet.clone()));
        discarded(unknown.on_packet(&mut packet.clone()));
        let step = wait.on_packet(&mut packet);
        assert!(matches!(step, ResponderStep::Discarded(..)), "{step:?}");
    }
}
