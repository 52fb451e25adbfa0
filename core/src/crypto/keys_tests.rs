use core::time::Duration;
use std::collections::{BTreeMap, BTreeSet};
use std::string::String;
use std::vec::Vec;
use std::{format, vec};

use proptest::prelude::*;

use super::super::limits::{CLOSE_RESERVE, KeyLimits};
use super::super::provider::{Cipher, Provider};
use super::super::replay::{MAX_NUMBER, MAX_PACKETS};
use super::super::secrets::Secrets;
use super::super::test_support::providers;
use super::{Discard, KeyCounters, KeyPhase, OpenError, PacketKeys, SealError, derive};
use crate::error::TransportCode;
use crate::rng::{Rng, Seed};
use crate::time::Instant;
use crate::wire::header::{SHORT_HEADER_LEN, SHORT_OVERHEAD, TAG_LEN};
use crate::wire::id::{PacketNumber, Side};

const CIPHERS: [Cipher; 2] = [Cipher::ChaCha20Poly1305, Cipher::Aes256Gcm];
const PTO: Duration = Duration::from_millis(20);
const DCID: [u8; 8] = *b"some-id!";
const I2R: [u8; 32] = [1; 32];
const R2I: [u8; 32] = [2; 32];

fn keys(provider: Provider, cipher: Cipher, side: Side, limits: KeyLimits) -> PacketKeys {
    let secrets = Secrets { i2r: I2R, r2i: R2I, exporter: [3; 32] };
    PacketKeys::new(provider, cipher, side, &secrets, limits)
}

fn pair(provider: Provider, cipher: Cipher, limits: KeyLimits) -> [PacketKeys; 2] {
    [Side::Initiator, Side::Responder].map(|side| keys(provider, cipher, side, limits))
}

/// A pair of the simplest kind.
fn plain_pair() -> [PacketKeys; 2] {
    pair(Provider::Rust, Cipher::ChaCha20Poly1305, KeyLimits::default())
}

/// Every kind of pair there is.
fn pairs(limits: KeyLimits) -> Vec<[PacketKeys; 2]> {
    let kinds = |provider| CIPHERS.map(|cipher| pair(provider, cipher, limits));
    providers().into_iter().flat_map(kinds).collect()
}

fn small(soft: u64, hard: u64) -> KeyLimits {
    KeyLimits::default().with_soft_packets(soft).unwrap().with_hard_packets(hard).unwrap()
}

fn blank(payload: &[u8]) -> Vec<u8> {
    let mut packet = vec![0xee; SHORT_OVERHEAD + payload.len()];
    packet[1..9].copy_from_slice(&DCID);
    packet[SHORT_HEADER_LEN..SHORT_HEADER_LEN + payload.len()].copy_from_slice(payload);
    packet
}

fn sealed_at(keys: &mut PacketKeys, payload: &[u8], now: Instant) -> Vec<u8> {
    let mut packet = blank(payload);
    keys.seal(&mut packet, now).unwrap();
    packet
}

fn sealed(keys: &mut PacketKeys, payload: &[u8]) -> Vec<u8> {
    sealed_at(keys, payload, Instant::ZERO)
}

fn open_at(
    keys: &mut PacketKeys,
    datagram: &[u8],
    now: Instant,
) -> Result<(u64, Vec<u8>, u64), OpenError> {
    let mut copy = datagram.to_vec();
    let opened = keys.open(&mut copy, PTO, now)?;
    Ok((opened.number.0, opened.payload.to_vec(), opened.phase.0))
}

fn open(keys: &mut PacketKeys, datagram: &[u8]) -> Result<(u64, Vec<u8>, u64), OpenError> {
    open_at(keys, datagram, Instant::ZERO)
}

fn discarded<T>(why: Discard) -> Result<T, OpenError> {
    Err(OpenError::Discarded(why))
}

fn code<T: core::fmt::Debug>(result: Result<T, OpenError>) -> TransportCode {
    match result {
        Err(OpenError::Violation(violation)) => violation.code,
        other => panic!("a violation was expected, not {other:?}"),
    }
}

/// A packet made by hand from the chapter's words, by a peer that may break its rules.
struct Forge {
    provider: Provider,
    cipher: Cipher,
    first_secret: [u8; 32],
    phase: u64,
    number: u64,
    reserved: u8,
}

impl Forge {
    fn new(provider: Provider, cipher: Cipher, phase: u64, number: u64) -> Self {
        Self { provider, cipher, first_secret: I2R, phase, number, reserved: 0 }
    }

    fn packet(&self, payload: &[u8]) -> Vec<u8> {
        let p = self.provider;
        let mut secret = self.first_secret;
        for _ in 0..self.phase {
            secret = derive(p, &secret, b"ku");
        }
        let mut nonce: [u8; 12] = derive(p, &secret, b"iv");
        for (at, byte) in self.number.to_be_bytes().into_iter().enumerate() {
            nonce[4 + at] ^= byte;
        }
        let mut packet = vec![0x40 | ((self.phase as u8 & 1) << 5) | self.reserved];
        packet.extend(DCID);
        packet.extend((self.number as u32).to_be_bytes());
        let mut body = payload.to_vec();
        let key = p.aead(self.cipher, &derive(p, &secret, b"key"));
        let tag = key.seal(&nonce, &packet, &mut body);
        packet.extend(body);
        packet.extend(tag);
        let header_key = p.header_key(self.cipher, &derive(p, &self.first_secret, b"hp"));
        let mask = header_key.mask(packet[13..29].try_into().unwrap());
        packet[0] ^= mask[0] & 0x3f;
        (0..4).for_each(|at| packet[9 + at] ^= mask[1 + at]);
        packet
    }
}

fn forged(phase: u64, number: u64) -> Vec<u8> {
    Forge::new(Provider::Rust, Cipher::ChaCha20Poly1305, phase, number).packet(b"forged")
}

/// All that a failed open must not change.
fn state(keys: &PacketKeys) -> String {
    format!(
        "{:?} {:?} {:?} {:?} {} {} {}",
        keys.window,
        keys.send_phase(),
        keys.receive.positions(),
        keys.next_number(),
        keys.send.sealed,
        keys.send.acknowledged,
        keys.confirmed,
    )
}

/// spec: R-KEY-2 R-KEY-4 R-KEY-5 R-KEY-6
#[test]
fn a_sealed_packet_is_what_the_chapter_says() {
    for provider in providers() {
        for cipher in CIPHERS {
            let [mut here, mut there] = pair(provider, cipher, small(1, 100));
            here.on_confirmed();
            for number in 0..40_u64 {
                let now = Instant::ZERO + PTO * 4 * number as u32;
                let payload = vec![number as u8; number as usize * 3];
                let packet = sealed_at(&mut here, &payload, now);
                let phase = here.send_phase().0;
                assert_eq!(phase, number.div_ceil(3));
                let mut forge = Forge::new(provider, cipher, phase, number);
                assert_eq!(packet, forge.packet(&payload), "{provider:?} {cipher:?} {number}");
                forge.first_secret = R2I;
                assert_ne!(packet, forge.packet(&payload));
                assert_eq!(open_at(&mut there, &packet, now), Ok((number, payload, phase)));
                // An update follows when the packet before was acknowledged.
                if number % 3 == 0 {
                    acknowledge(&mut here, &mut there, number, now);
                }
            }
        }
    }
}

/// spec: R-KEY-41
#[test]
fn providers_talk_to_each_other() {
    for cipher in CIPHERS {
        for one in providers() {
            for two in providers() {
                let mut here = keys(one, cipher, Side::Initiator, KeyLimits::default());
                let mut there = keys(two, cipher, Side::Responder, KeyLimits::default());
                let packet = sealed(&mut here, b"hello");
                assert_eq!(open(&mut there, &packet), Ok((0, b"hello".to_vec(), 0)));
                let packet = sealed(&mut there, b"");
                assert_eq!(open(&mut here, &packet), Ok((0, vec![], 0)));
            }
        }
    }
}

/// spec: R-KEY-1
#[test]
fn directions_do_not_mix() {
    let [mut here, _] = plain_pair();
    let mut packet = sealed(&mut here, b"to the responder");
    assert_eq!(open(&mut here, &packet), discarded(Discard::Failed));
    packet[1] ^= 1;
    let mut there = keys(Provider::Rust, Cipher::Aes256Gcm, Side::Responder, KeyLimits::default());
    assert_eq!(open(&mut there, &packet), discarded(Discard::Failed));
}

/// spec: R-KEY-9
#[test]
fn every_changed_bit_is_a_failed_open_and_nothing_else() {
    for [mut here, mut there] in pairs(KeyLimits::default()) {
        for number in 0..5 {
            let packet = sealed(&mut here, b"early");
            assert_eq!(open(&mut there, &packet).unwrap().0, number);
        }
        for payload in [&b""[..], b"x", b"a payload of some forty bytes, more or so"] {
            let packet = sealed(&mut here, payload);
            let (before, counters) = (state(&there), there.counters());
            for bit in 0..packet.len() * 8 {
                let mut changed = packet.clone();
                changed[bit / 8] ^= 1 << (bit % 8);
                let result = open(&mut there, &changed);
                let form = (6..8).contains(&bit);
                let why = if form { Discard::NotData } else { Discard::Failed };
                assert_eq!(result, discarded(why), "bit {bit}");
                assert_eq!(state(&there), before);
            }
            for len in 0..packet.len() {
                let result = open(&mut there, &packet[..len]);
                let why = if len < SHORT_OVERHEAD { Discard::NotData } else { Discard::Failed };
                assert_eq!(result, discarded(why), "cut to {len}");
                assert_eq!(state(&there), before);
            }
            let longer = [&packet[..], b"x"].concat();
            assert_eq!(open(&mut there, &longer), discarded(Discard::Failed));
            assert_eq!(state(&there), before);
            let now = there.counters();
            assert_eq!((now.opened, now.replayed), (counters.opened, counters.replayed));
            assert_eq!(now.not_data - counters.not_data, 2 + SHORT_OVERHEAD as u64);
            let failed = packet.len() * 8 - 2 + packet.len() - SHORT_OVERHEAD + 1;
            assert_eq!(now.failed - counters.failed, failed as u64);
            // The genuine packet still opens.
            assert_eq!(open(&mut there, &packet).unwrap().1, payload);
        }
    }
}

/// spec: R-KEY-9 R-KEY-35
#[test]
fn a_failed_open_leaves_header_and_tag_and_no_plaintext() {
    for [mut here, mut there] in pairs(KeyLimits::default()) {
        let mut packet = sealed(&mut here, b"text that nobody vouches for");
        packet[20] ^= 1;
        let before = packet.clone();
        assert!(there.open(&mut packet, PTO, Instant::ZERO).is_err());
        let (body, tag) = packet.split_at(packet.len() - TAG_LEN);
        assert_eq!(body[..SHORT_HEADER_LEN], before[..SHORT_HEADER_LEN]);
        assert!(body[SHORT_HEADER_LEN..].iter().all(|byte| *byte == 0));
        assert_eq!(tag, &before[before.len() - TAG_LEN..]);
    }
}

/// spec: R-KEY-20
#[test]
fn every_packet_opens_once_in_any_order() {
    for [mut here, mut there] in pairs(KeyLimits::default()) {
        let mut packets: Vec<_> =
            (0..600_u32).map(|n| sealed(&mut here, &n.to_be_bytes())).collect();
        let mut rng = Rng::new(&Seed::from_u64(1));
        for end in (1..packets.len()).rev() {
            packets.swap(end, rng.below(end as u64 + 1) as usize);
        }
        let numbers: BTreeSet<u64> =
            packets.iter().map(|packet| open(&mut there, packet).unwrap().0).collect();
        assert_eq!(numbers.len(), 600);
        let before = state(&there);
        for packet in &packets {
            assert_eq!(open(&mut there, packet), discarded(Discard::Replayed));
        }
        assert_eq!(state(&there), before);
        assert_eq!((there.counters().opened, there.counters().replayed), (600, 600));
    }
}

/// spec: R-KEY-21 R-KEY-22 R-KEY-23
#[test]
fn what_falls_below_the_window_is_counted_apart() {
    let [mut here, mut there] = plain_pair();
    let packets: Vec<_> = (0..5_000).map(|_| sealed(&mut here, b"")).collect();
    assert!(open(&mut there, &packets[1_100]).is_ok());
    assert!(open(&mut there, &packets[77]).is_ok());
    assert_eq!(open(&mut there, &packets[76]), discarded(Discard::BelowWindow));
    there.grow_window_to(3_000);
    assert_eq!(there.window_capacity(), 4_096);
    assert!(open(&mut there, &packets[4_100]).is_ok());
    assert!(open(&mut there, &packets[78]).is_ok());
    assert_eq!(open(&mut there, &packets[77]), discarded(Discard::Replayed));
    assert_eq!(open(&mut there, &packets[76]), discarded(Discard::BelowWindow));
    let counters = there.counters();
    assert_eq!((counters.opened, counters.below_window, counters.replayed), (4, 2, 1));
    there.grow_window_to(u64::MAX);
    assert_eq!(there.window_capacity(), MAX_PACKETS);
}

/// spec: R-KEY-8
#[test]
fn reserved_bits_count_after_the_packet_opened() {
    for bit in 0..5 {
        let mut forge = Forge::new(Provider::Rust, Cipher::ChaCha20Poly1305, 0, 0);
        forge.reserved = 1 << bit;
        let [_, mut there] = plain_pair();
        let mut broken = forge.packet(b"");
        broken[28] ^= 1;
        assert_eq!(open(&mut there, &broken), discarded(Discard::Failed));
        assert_eq!(code(open(&mut there, &forge.packet(b""))), TransportCode::Protocol);
        assert_eq!(there.counters().opened, 0);
    }
}

/// spec: R-PKT-13
#[test]
fn numbers_are_completed_to_the_nearest() {
    let [_, mut there] = plain_pair();
    for number in [(1 << 31) - 1, (1 << 32) - 2, (1 << 32) + 9, 3 << 31, (1 << 33) - 3, 1 << 33] {
        assert_eq!(open(&mut there, &forged(0, number)).unwrap().0, number);
    }
}

proptest! {
    /// spec: R-KEY-9
    #[test]
    fn bytes_of_a_stranger_change_counters_only(
        mut datagram in proptest::collection::vec(any::<u8>(), 0..200),
        form: bool,
    ) {
        if let (true, Some(first)) = (form, datagram.first_mut()) {
            *first = 0x40 | *first & 0x3f;
        }
        let [mut here, mut there] = plain_pair();
        open(&mut there, &sealed(&mut here, b"first")).unwrap();
        let before = state(&there);
        prop_assert!(open(&mut there, &datagram).is_err());
        prop_assert_eq!(state(&there), before);
        let counters = there.counters();
        prop_assert_eq!(counters.failed + counters.not_data, 1);
    }
}

/// spec: R-KEY-4
#[test]
fn numbers_are_given_once_and_end() {
    let [mut here, mut there] = plain_pair();
    assert_eq!(here.seal(&mut blank(b""), Instant::ZERO), Ok(PacketNumber(0)));
    assert_eq!(here.skip_number(), PacketNumber(1));
    assert_eq!(here.next_number(), PacketNumber(2));
    let packet = sealed(&mut here, b"two");
    assert_eq!(open(&mut there, &packet).unwrap().0, 2);
    assert_eq!(here.seal(&mut [0; SHORT_OVERHEAD - 1], Instant::ZERO), Err(SealError::TooShort));
    assert_eq!(here.next_number(), PacketNumber(3));
    here.send.next = MAX_NUMBER;
    assert_eq!(here.seal(&mut blank(b""), Instant::ZERO), Ok(PacketNumber(MAX_NUMBER)));
    assert_eq!(here.seal_close(&mut blank(b""), Instant::ZERO), Err(SealError::AeadLimit));
    here.skip_number();
    assert_eq!(here.seal(&mut blank(b""), Instant::ZERO), Err(SealError::AeadLimit));
}

/// spec: R-KEY-3
#[test]
fn both_ends_export_the_same_and_nobody_else_does() {
    for [here, there] in pairs(KeyLimits::default()) {
        let export = |keys: &PacketKeys, label: &[u8], context: &[u8], len: usize| {
            let mut out = vec![0; len];
            keys.export(label, context, &mut out).map(|()| out)
        };
        let bytes = export(&here, b"label", b"context", 40).unwrap();
        assert_eq!(export(&there, b"label", b"context", 40).unwrap(), bytes);
        let others =
            [(&b"label"[..], &b""[..], 40), (b"labe", b"lcontext", 40), (b"label", b"context", 39)];
        for (label, context, len) in others {
            assert_ne!(export(&there, label, context, len).unwrap()[..8], bytes[..8]);
        }
        assert!(export(&here, &[b'x'; 249], b"", 8_160).is_ok());
        assert!(export(&here, &[b'x'; 250], b"", 32).is_err());
        assert!(export(&here, b"", &[0; 10_000], 8_161).is_err());
    }
    // By hand: HKDF-Expand-Label twice, in the words of RFC 8446 section 7.5.
    let [here, _] = plain_pair();
    let provider = Provider::Rust;
    let step = provider.hmac_sha256(&[3; 32], &[b"\x00\x20\x0baqdt1 label\x00\x01"]);
    let mut info = b"\x00\x20\x0eaqdt1 exporter\x20".to_vec();
    info.extend(provider.sha256(&[b"context"]));
    info.push(1);
    let mut out = [0; 32];
    here.export(b"label", b"context", &mut out).unwrap();
    assert_eq!(out, provider.hmac_sha256(&step, &[&info]));
}

#[test]
fn debug_tells_no_key() {
    let [here, _] = plain_pair();
    let text = format!("{here:?}");
    assert!(text.starts_with("PacketKeys { side: Initiator"));
    assert!(!text.contains("[1, 1") && !text.contains("0101"));
}

/// Each counter its own multiple of `n`.
fn counted(n: u64) -> KeyCounters {
    KeyCounters {
        sealed: n,
        opened: 2 * n,
        not_data: 3 * n,
        failed: 4 * n,
        replayed: 5 * n,
        below_window: 6 * n,
        old_phase: 7 * n,
        updates_started: 8 * n,
        updates_followed: 9 * n,
    }
}

#[test]
fn counters_of_many_are_summed() {
    let mut sum = counted(10);
    sum.add(&counted(1));
    assert_eq!(sum, counted(11));
}

/// spec: R-EP-45
#[test]
fn what_a_discarded_packet_counts_can_be_overlooked() {
    let (mut counters, after) = (counted(10), counted(10));
    counters.overlook_discards(&counted(1));
    let expected = KeyCounters {
        sealed: after.sealed,
        opened: after.opened,
        updates_started: after.updates_started,
        updates_followed: after.updates_followed,
        ..counted(1)
    };
    assert_eq!(counters, expected);
}

/// Lets `here` hear that its packet `number` arrived.
fn acknowledge(here: &mut PacketKeys, there: &mut PacketKeys, number: u64, now: Instant) {
    let answer = sealed_at(there, b"ack", now);
    let phase = open_at(here, &answer, now).unwrap().2;
    here.on_ack(PacketNumber(number), KeyPhase(phase)).unwrap();
}

#[path = "keys_look_tests.rs"]
mod looks;
#[path = "keys_update_tests.rs"]
mod updates;
