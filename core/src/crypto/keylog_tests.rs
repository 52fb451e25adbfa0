use core::time::Duration;
use std::string::String;
use std::vec::Vec;

use super::super::hkdf::derive;
use super::super::keys::{KeyPhase, PacketKeys};
use super::super::limits::KeyLimits;
use super::super::provider::{Cipher, Provider};
use super::super::secrets::Secrets;
use super::super::test_support::unhex;
use crate::time::Instant;
use crate::wire::header::SHORT_HEADER_LEN;
use crate::wire::id::{PacketNumber, Side};

fn ends(cipher: Cipher) -> [PacketKeys; 2] {
    let secrets = Secrets { i2r: [1; 32], r2i: [2; 32], exporter: [3; 32] };
    let limits = KeyLimits::default().with_soft_packets(1).unwrap();
    [Side::Initiator, Side::Responder]
        .map(|side| PacketKeys::new(Provider::Rust, cipher, side, &secrets, limits))
}

fn lines(keys: &PacketKeys) -> Vec<String> {
    let mut text = String::new();
    keys.write_key_log(&[0xe0; 32], &mut text).unwrap();
    assert!(text.ends_with('\n'));
    let mut lines: Vec<_> = text.lines().map(String::from).collect();
    lines.sort();
    lines
}

fn array<const N: usize>(hex: &str) -> [u8; N] {
    unhex(&hex.into()).try_into().unwrap()
}

/// A dissector opens a packet with nothing but a line of the log.
fn dissect(line: &str, packet: &[u8], number: u64) -> Vec<u8> {
    let words: Vec<&str> = line.split(' ').collect();
    let cipher = match words[5] {
        "chacha20-poly1305" => Cipher::ChaCha20Poly1305,
        "aes-256-gcm" => Cipher::Aes256Gcm,
        other => panic!("no such cipher: {other}"),
    };
    let header_key = Provider::Rust.header_key(cipher, &array(words[8]));
    let mask = header_key.mask(packet[13..29].try_into().unwrap());
    let mut packet = packet.to_vec();
    packet[0] ^= mask[0] & 0x3f;
    (0..4).for_each(|at| packet[9 + at] ^= mask[1 + at]);
    let mut nonce: [u8; 12] = array(words[7]);
    (0..8).for_each(|at| nonce[4 + at] ^= number.to_be_bytes()[at]);
    let (header, body) = packet.split_at_mut(SHORT_HEADER_LEN);
    let (payload, tag) = body.split_at_mut(body.len() - 16);
    let key = Provider::Rust.aead(cipher, &array(words[6]));
    key.open(&nonce, header, payload, (&*tag).try_into().unwrap()).unwrap();
    payload.to_vec()
}

/// spec: R-KEY-45
#[test]
fn a_line_opens_the_packets_of_its_phase() {
    for cipher in [Cipher::ChaCha20Poly1305, Cipher::Aes256Gcm] {
        let [mut here, mut there] = ends(cipher);
        here.on_confirmed();
        let mut last = Vec::new();
        for number in 0..4 {
            let mut packet = [0; SHORT_HEADER_LEN + 4 + 16];
            packet[SHORT_HEADER_LEN..SHORT_HEADER_LEN + 4].copy_from_slice(b"data");
            here.seal(&mut packet, Instant::ZERO).unwrap();
            let phase = here.send_phase().0;
            let ours = lines(&here);
            assert_eq!(ours.len(), 2);
            let start = std::format!("AQDUCT_KEY v1 {} i2r {phase} ", "e0".repeat(32));
            assert!(ours[0].starts_with(&start), "{}", ours[0]);
            assert_eq!(ours[0].split(' ').count(), 9);
            assert_eq!(dissect(&ours[0], &packet, number), b"data");
            there.open(&mut packet, Duration::ZERO, Instant::ZERO).unwrap();
            // The other end writes the same line for this direction.
            assert_eq!(lines(&there)[0], ours[0]);
            // Nothing in the log leads to later phases: no secret is in it.
            let mut secret = [1; 32];
            (0..phase).for_each(|_| secret = derive(Provider::Rust, &secret, b"ku"));
            let hex: String = secret.iter().map(|byte| std::format!("{byte:02x}")).collect();
            assert!(!ours.concat().contains(&hex));
            let mut answer = [0; SHORT_HEADER_LEN + 16];
            there.seal(&mut answer, Instant::ZERO).unwrap();
            here.open(&mut answer, Duration::ZERO, Instant::ZERO).unwrap();
            here.on_ack(PacketNumber(number), KeyPhase(phase)).unwrap();
            last = ours;
        }
        assert!(last[0].contains(" i2r 3 "));
    }
}
