//! What a node brings to handshakes, on a tape and back.

use super::*;
use crate::fingerprint::Fingerprint;
use crate::tape::{Reader, Taped};

fn unusual() -> HandshakeConfig {
    let mut pairs = PairSecrets::default();
    for (peer, secret) in [(8, 9), (7, 6), (6, 1)] {
        pairs.insert(&NodeKey::from_seed(&[peer; 32]).id(), &[secret; 32]);
    }
    HandshakeConfig::new(NodeKey::from_seed(&[3; 32]))
        .with_network(Network::closed("a net", &[4; 32]))
        .with_pair_secrets(pairs)
        .with_ciphers(Ciphers::OnlyAes256Gcm)
        .with_strangers(Strangers::Ignore)
        .with_versions(Versions::new(&[3, 1]).unwrap())
        .with_suites(Suites::new(&[1, 9, 8, 7]).unwrap())
        .with_capabilities(0x1234_5678_9abc_def0)
}

fn parts(config: &HandshakeConfig) -> (Vec<u8>, Vec<u8>) {
    let (mut settings, mut secrets) = (Vec::new(), Vec::new());
    config.put_settings(&mut settings);
    config.put_secrets(&mut secrets);
    (settings, secrets)
}

fn read(settings: &[u8], secrets: &[u8]) -> Option<HandshakeConfig> {
    let mut secrets = Reader::new(secrets);
    let config = HandshakeConfig::from_secrets(&mut secrets)?;
    assert!(secrets.is_empty());
    config.with_settings(&mut Reader::new(settings))
}

/// spec: R-TAPE-7
#[test]
fn what_a_node_brings_comes_back() {
    let plain = HandshakeConfig::new(NodeKey::from_seed(&[3; 32]));
    let mut kinds = vec![plain.clone(), unusual()];
    kinds.extend(
        [Ciphers::PreferAes256Gcm, Ciphers::OnlyChaCha20Poly1305]
            .map(|ciphers| plain.clone().with_ciphers(ciphers)),
    );
    for config in kinds {
        let (settings, secrets) = parts(&config);
        let back = read(&settings, &secrets).unwrap();
        assert_eq!(back.fingerprint(), config.fingerprint());
        assert_eq!(back.key().seed(), config.key().seed());
        assert_eq!(back.network.secret, config.network.secret);
        assert_eq!(back.pair_secrets.by_key, config.pair_secrets.by_key);
        assert_eq!(parts(&back), (settings, secrets));
    }
}

/// spec: R-TAPE-7
#[test]
fn settings_of_another_node_and_broken_ones_are_refused() {
    let (settings, secrets) = parts(&unusual());
    let (_, others) = parts(&HandshakeConfig::new(NodeKey::from_seed(&[5; 32])));
    assert!(read(&settings, &others).is_none(), "the settings are of another node");
    for cut in 0..settings.len() {
        assert!(read(&settings[..cut], &secrets).is_none(), "cut at {cut}");
    }
    let longer = [&settings[..], &[0]].concat();
    assert!(read(&longer, &secrets).is_none(), "a byte too many");
}

/// One secret for each peer: they stand in order, and no peer twice.
#[test]
fn pairs_out_of_order_are_refused() {
    let list = |keys: &[u8]| {
        let mut out = Vec::new();
        keys.len().put(&mut out);
        for key in keys {
            ([*key; 32], [1_u8; 32]).put(&mut out);
        }
        let mut from = Reader::new(&out);
        let read = from.get::<PairSecrets>().filter(|_| from.is_empty());
        read.map(|pairs| pairs.by_key.iter().map(|(key, _)| key[0]).collect::<Vec<_>>())
    };
    for fine in [&[][..], &[7], &[1, 2, 9]] {
        assert_eq!(list(fine).as_deref(), Some(fine));
    }
    for wrong in [&[2, 1][..], &[2, 2], &[1, 3, 2]] {
        assert_eq!(list(wrong), None, "{wrong:?}");
    }
}
