//! One handshake of each kind, byte for byte, as kept in `spec/vectors/handshake.txt`.

use alloc::format;
use alloc::string::String;
use std::path::PathBuf;

use super::*;
use crate::crypto::cookie::Cookie;

const HEADING: &str = "# Handshake packets, with everything that they were made of.\n\
    # name | hex | meaning\n";

fn file() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../spec/vectors/handshake.txt")
}

struct Record(Vec<(String, Vec<u8>, &'static str)>);

impl Record {
    fn add(&mut self, name: &str, bytes: &[u8], meaning: &'static str) {
        self.0.push((name.into(), bytes.to_vec(), meaning));
    }

    fn text(&self) -> String {
        let hex = |bytes: &[u8]| bytes.iter().map(|b| format!("{b:02x}")).collect::<String>();
        let lines = self.0.iter();
        let lines =
            lines.map(|(name, bytes, meaning)| format!("{name} | {} | {meaning}\n", hex(bytes)));
        core::iter::once(String::from(HEADING)).chain(lines).collect()
    }
}

fn config_of(seed: u8, provider: Provider, versions: &[u16]) -> HandshakeConfig {
    let key = NodeKey::from_seed(&[seed; 32]);
    HandshakeConfig::new(key)
        .with_provider(provider)
        .with_network(Network::closed("golden", &[0x6e; 32]))
        .with_capabilities(3)
        .with_versions(Versions::new(versions).unwrap())
}

fn keep(record: &mut Record, name: &str, end: &Established) {
    record.add(&format!("{name}-i2r"), &end.secrets.i2r, "first secret of the initiator's packets");
    record.add(&format!("{name}-r2i"), &end.secrets.r2i, "first secret of the responder's packets");
    record.add(&format!("{name}-exporter"), &end.secrets.exporter, "secret of the exporter");
    record.add(&format!("{name}-hash"), &end.handshake_hash, "Noise's h at the end");
}

fn made(provider: Provider) -> String {
    let mut record = Record(vec![]);
    let mut alice = config_of(0xa1, provider, &[1]);
    let mut bob = config_of(0xb2, provider, &[1]);
    let mut pair = PairSecrets::default();
    pair.insert(&bob.id(), &[0x9a; 32]);
    alice = alice.with_pair_secrets(pair);
    let mut pair = PairSecrets::default();
    pair.insert(&alice.id(), &[0x9a; 32]);
    bob = bob.with_pair_secrets(pair);

    record.add("initiator-seed", alice.key.seed(), "the initiator's secret");
    record.add("initiator-id", alice.id().as_bytes(), "its Ed25519 public key");
    record.add("initiator-static", &alice.id().montgomery(), "the same in Montgomery form");
    record.add("responder-seed", bob.key.seed(), "the responder's secret");
    record.add("responder-id", bob.id().as_bytes(), "its Ed25519 public key");
    record.add("responder-static", &bob.id().montgomery(), "the same in Montgomery form");
    record.add("network-id", alice.network.id(), "SHA-256 of \"golden\"");
    record.add("network-secret", &*alice.network.secret, "the first pre-shared key");
    record.add("pair-secret", &[0x9a; 32], "the second pre-shared key");
    let mut two = Two::of(alice, bob);
    let mut draws = two.rng.clone();
    for name in ["ik-initiator", "ik-responder", "xx-initiator", "xx-responder"] {
        record.add(&format!("{name}-ephemeral"), &draws.bytes::<32>(), "an ephemeral secret");
    }

    let (packets, established, _) = two.run(Mode::Ik);
    record.add("i1", &packets[0], "first packet to a known responder");
    record.add("r2", &packets[1], "its answer");
    keep(&mut record, "ik", &established);
    let (packets_xx, established, _) = two.run(Mode::Xx);
    record.add("x1", &packets_xx[0], "first packet to an unknown responder");
    record.add("x2", &packets_xx[1], "its answer");
    record.add("x3", &packets_xx[2], "the third packet");
    keep(&mut record, "xx", &established);

    let (mut i1, mut retry) = (packets[0].clone(), vec![]);
    let Ok(Arrival::First(first)) = check_mac(&two.bob, &mut i1) else { panic!("no first packet") };
    first.retry(&two.bob, &Cookie(core::array::from_fn(|n| n as u8)), &mut retry);
    record.add("retry", &retry, "asks for i1 again");
    let (other, mut version) = (config_of(0xb2, provider, &[2, 9]), vec![]);
    let Ok(Arrival::OtherVersion(first)) = check_mac(&other, &mut i1) else { panic!("the same") };
    first.reply(&other, &mut version);
    record.add("version", &version, "answers i1 by a node that speaks 2 and 9");
    let mut refused = Two::of(config_of(0xa1, provider, &[1]), config_of(0xb2, provider, &[1]));
    let first = datagram(&refused.start(Mode::Ik));
    let refusal = refused.ik_offer(&first).refuse(Refusal::Busy, &mut refused.rng).unwrap();
    record.add("r2-busy", &refusal, "a refusal of the same initiator, without the pair's secret");
    record.text()
}

/// Writes the file, and only when asked.
#[test]
#[ignore = "writes spec/vectors when AQUEDUCT_WRITE_VECTORS=1"]
fn write_the_handshake_vectors() {
    if std::env::var("AQUEDUCT_WRITE_VECTORS").as_deref() == Ok("1") {
        std::fs::write(file(), made(Provider::Rust)).expect("a file that can be written");
    }
}

/// spec: R-HS-5, R-HS-29
#[test]
fn handshake_packets_are_the_golden_ones() {
    let golden = std::fs::read_to_string(file()).expect("spec/vectors/handshake.txt");
    assert!(golden.lines().count() > 25, "the file is not whole");
    for provider in providers() {
        let made = made(provider);
        for (golden, made) in golden.lines().zip(made.lines()) {
            assert_eq!(golden, made, "{provider:?}");
        }
        assert_eq!(golden.lines().count(), made.lines().count());
    }
}
