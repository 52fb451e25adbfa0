//! Sealed data packets, byte for byte, as kept in `spec/vectors/sealed.txt`.

use alloc::format;
use core::time::Duration;
use std::vec::Vec;

use super::keys::PacketKeys;
use super::limits::KeyLimits;
use super::provider::{Cipher, Provider};
use super::secrets::Secrets;
use super::test_support::providers;
use crate::time::Instant;
use crate::wire::header::{SHORT_HEADER_LEN, TAG_LEN};
use crate::wire::id::{PacketNumber, Side};
use crate::wire::vectors_tests::{Vector, check, read, write};

const FILE: &str = "sealed.txt";
const HEADING: &str = "Data packets, sealed, with everything that they were made of.";
const PTO: Duration = Duration::from_millis(20);
const DCID: [u8; 8] = *b"some-id!";
/// Numbers that were left out before the second packet of each phase.
const SKIPPED: u64 = 300;

fn secrets() -> Secrets {
    let counting = |from: u8| core::array::from_fn(|n| from + n as u8);
    Secrets { i2r: counting(0x10), r2i: counting(0x40), exporter: counting(0x70) }
}

/// Both ends; a key serves for two packets.
fn ends(provider: Provider, cipher: Cipher) -> [PacketKeys; 2] {
    let limits = KeyLimits::default().with_soft_packets(2).expect("a limit");
    [Side::Initiator, Side::Responder].map(|side| {
        let mut keys = PacketKeys::new(provider, cipher, side, &secrets(), limits);
        keys.on_confirmed();
        keys
    })
}

fn plaintexts() -> [(&'static str, Vec<u8>); 2] {
    [("empty", Vec::new()), ("text", b"\x01\x0a\x00\x05hello".to_vec())]
}

fn sealed(keys: &mut PacketKeys, plaintext: &[u8]) -> (PacketNumber, Vec<u8>) {
    let mut packet = [&[0][..], &DCID, &[0; 4], plaintext, &[0; TAG_LEN]].concat();
    let number = keys.seal(&mut packet, Instant::ZERO).expect("a fresh key");
    (number, packet)
}

/// Two packets of the initiator in each of two phases: one empty, one behind a gap of numbers.
fn packets(cipher: Cipher, name: &str, [here, there]: &mut [PacketKeys; 2]) -> Vec<Vector> {
    let mut made = Vec::new();
    for phase in 0..2 {
        for (what, plaintext) in plaintexts() {
            if what == "text" {
                (0..SKIPPED).for_each(|_| _ = here.skip_number());
            }
            let (number, packet) = sealed(here, &plaintext);
            let opened = there.open(&mut packet.clone(), PTO, Instant::ZERO).map(|opened| {
                assert_eq!((opened.number, opened.phase.0), (number, phase));
                opened.payload.to_vec()
            });
            assert_eq!(opened.as_deref(), Ok(plaintext.as_slice()));
            let meaning = format!("{cipher:?}, phase {phase}, number {}, {what}", number.0);
            made.push(Vector::new(&format!("{name}-{phase}-{what}"), packet, meaning));
            // The answer is what lets the next update begin.
            let (_, mut answer) = sealed(there, b"ack");
            let phase = here.open(&mut answer, PTO, Instant::ZERO).expect("genuine").phase;
            here.on_ack(number, phase).expect("a true ACK");
        }
    }
    made
}

fn made(provider: Provider) -> Vec<Vector> {
    let Secrets { i2r, exporter, .. } = &secrets();
    let mut vectors = Vec::from([
        Vector::new("i2r", i2r.to_vec(), "first secret of the initiator's packets"),
        Vector::new("exporter", exporter.to_vec(), "secret of the exporter"),
        Vector::new("dcid", DCID.to_vec(), "where they go, bytes 1 to 8 of each packet"),
    ]);
    for (what, plaintext) in plaintexts() {
        vectors.push(Vector::new(&format!("plaintext-{what}"), plaintext, "frames of a packet"));
    }
    for (name, cipher) in [("chacha20", Cipher::ChaCha20Poly1305), ("aes256", Cipher::Aes256Gcm)] {
        vectors.extend(packets(cipher, name, &mut ends(provider, cipher)));
    }
    let mut out = [0; 32];
    let [keys, _] = ends(provider, Cipher::Aes256Gcm);
    keys.export(b"label", b"context", &mut out).expect("short");
    vectors.push(Vector::new("export", out.to_vec(), "32 bytes for label, context"));
    vectors
}

/// spec: R-KEY-1, R-KEY-2, R-KEY-3, R-KEY-5, R-KEY-6
#[test]
fn sealed_packets_are_the_golden_ones() {
    for provider in providers() {
        check(FILE, &made(provider));
    }
}

/// The file alone: whoever has the secret opens what is in it, and no bit of it may differ.
///
/// spec: R-KEY-5, R-KEY-10
#[test]
fn the_golden_packets_open() {
    let vectors = read(FILE);
    let find = |name: &str| {
        let found = vectors.iter().find(|vector| vector.name == name);
        found.unwrap_or_else(|| panic!("no vector {name}")).bytes.clone()
    };
    for (name, cipher) in [("chacha20", Cipher::ChaCha20Poly1305), ("aes256", Cipher::Aes256Gcm)] {
        let [_, mut there] = ends(Provider::Rust, cipher);
        for name in [0, 1].map(|phase| format!("{name}-{phase}")) {
            for (what, plaintext) in plaintexts() {
                assert_eq!(find(&format!("plaintext-{what}")), plaintext);
                let packet = find(&format!("{name}-{what}"));
                assert_eq!(packet.len(), SHORT_HEADER_LEN + plaintext.len() + TAG_LEN);
                for bit in 0..packet.len() * 8 {
                    let mut copy = packet.clone();
                    copy[bit / 8] ^= 1 << (bit % 8);
                    assert!(there.open(&mut copy, PTO, Instant::ZERO).is_err(), "{name} {bit}");
                }
                let mut packet = packet;
                let opened = there.open(&mut packet, PTO, Instant::ZERO);
                let payload = opened.map(|opened| opened.payload.to_vec());
                assert_eq!(payload, Ok(plaintext), "{name} {what}");
                let _ = sealed(&mut there, b"ack");
            }
        }
    }
}

/// Writes the file, and only when asked.
#[test]
#[ignore = "writes spec/vectors when AQUEDUCT_WRITE_VECTORS=1"]
fn write_the_sealed_vectors() {
    if std::env::var("AQUEDUCT_WRITE_VECTORS").as_deref() == Ok("1") {
        write(FILE, HEADING, &made(Provider::Rust));
    }
}
