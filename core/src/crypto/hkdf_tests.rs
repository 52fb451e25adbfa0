use std::vec;
use std::vec::Vec;

use super::super::provider::Provider;
use super::super::test_support::{providers, unhex, vectors};
use super::{EXPAND_MAX, PREFIX, derive, expand, expand_label, extract, noise_hkdf};

/// spec: R-KEY-1
#[test]
fn noise_outputs_chain_as_section_4_3_says() {
    for provider in providers() {
        let temp = provider.hmac_sha256(&[1; 32], &[b"input"]);
        let one = provider.hmac_sha256(&temp, &[&[1]]);
        let two = provider.hmac_sha256(&temp, &[&one, &[2]]);
        let three = provider.hmac_sha256(&temp, &[&two, &[3]]);
        assert_eq!(noise_hkdf::<2>(provider, &[1; 32], b"input"), [one, two]);
        assert_eq!(noise_hkdf::<3>(provider, &[1; 32], b"input"), [one, two, three]);
    }
}

#[test]
fn wycheproof_hkdf_sha256() {
    let Some(file) = vectors("wycheproof/hkdf_sha256_test.json") else { return };
    for provider in providers() {
        let (mut run, mut too_long) = (0, 0);
        for group in file["testGroups"].as_array().unwrap() {
            for case in group["tests"].as_array().unwrap() {
                let size = case["size"].as_u64().unwrap() as usize;
                if case["result"] != "valid" {
                    assert!(size > EXPAND_MAX);
                    too_long += 1;
                    continue;
                }
                let secret = extract(provider, &unhex(&case["salt"]), &unhex(&case["ikm"]));
                let mut out = vec![0; size];
                expand(provider, &secret, &[&unhex(&case["info"])], &mut out);
                assert_eq!(out, unhex(&case["okm"]), "case {}", case["tcId"]);
                run += 1;
            }
        }
        assert_eq!((run, too_long), (83, 3));
    }
}

/// RFC 9001 appendix A.1: labels of QUIC, through the same function with TLS's prefix.
///
/// spec: R-KEY-2
#[test]
fn rfc_9001_labels() {
    let Some(file) = vectors("quic/rfc9001-appendix-a.json") else { return };
    let a1 = &file["a1_initial"];
    let salt = hex("38762cf7f55934b34d179ae6a4c80cadccbb7f0a");
    for provider in providers() {
        let initial = extract(provider, &salt, &unhex(&a1["dcid"]));
        assert_eq!(initial[..], unhex(&a1["initial_secret"]));
        for side in ["client", "server"] {
            let label = std::format!("{side} in");
            let secret: [u8; 32] = tls(provider, &initial, label.as_bytes());
            assert_eq!(secret[..], unhex(&a1[std::format!("{side}_initial_secret")]));
            let (key, iv, hp): ([u8; 16], [u8; 12], [u8; 16]) = (
                tls(provider, &secret, b"quic key"),
                tls(provider, &secret, b"quic iv"),
                tls(provider, &secret, b"quic hp"),
            );
            assert_eq!(key[..], unhex(&a1[std::format!("{side}_key")]));
            assert_eq!(iv[..], unhex(&a1[std::format!("{side}_iv")]));
            assert_eq!(hp[..], unhex(&a1[std::format!("{side}_hp")]));
        }
        let a5 = &file["a5_chacha20_short_header"];
        let secret = <[u8; 32]>::try_from(unhex(&a5["secret"])).unwrap();
        for name in ["key", "hp", "ku"] {
            let label = std::format!("quic {name}");
            let made: [u8; 32] = tls(provider, &secret, label.as_bytes());
            assert_eq!(made[..], unhex(&a5[name]), "{name}");
        }
        assert_eq!(tls::<12>(provider, &secret, b"quic iv")[..], unhex(&a5["iv"]));
    }
}

/// spec: R-KEY-2
#[test]
fn our_labels_differ_from_those_of_tls_in_the_prefix_only() {
    assert_eq!(PREFIX, b"aqdt1 ");
    for provider in providers() {
        let mut long_hand = [0; 32];
        let info: [&[u8]; 1] = [b"\x00\x20\x09aqdt1 key\x00"];
        expand(provider, &[7; 32], &info, &mut long_hand);
        assert_eq!(derive::<32>(provider, &[7; 32], b"key"), long_hand);
        assert_ne!(tls::<32>(provider, &[7; 32], b"key"), long_hand);
        let mut in_context = [0; 32];
        expand_label(provider, &[7; 32], PREFIX, b"key", b"context", &mut in_context);
        assert_ne!(in_context, long_hand);
    }
}

#[test]
fn longest_output() {
    for provider in providers() {
        let mut out = vec![0; EXPAND_MAX];
        expand(provider, &[1; 32], &[], &mut out);
        assert!(out.chunks(32).all(|block| block.iter().any(|byte| *byte != 0)));
    }
}

fn tls<const N: usize>(provider: Provider, secret: &[u8; 32], label: &[u8]) -> [u8; N] {
    let mut out = [0; N];
    expand_label(provider, secret, b"tls13 ", label, &[], &mut out);
    out
}

fn hex(text: &str) -> Vec<u8> {
    unhex(&text.into())
}
