use std::vec::Vec;

use proptest::prelude::*;
use serde_json::Value;

use super::{Cipher, CryptoError};
use crate::crypto::test_support::{providers, unhex, vectors};

const CIPHERS: [Cipher; 2] = [Cipher::ChaCha20Poly1305, Cipher::Aes256Gcm];

/// spec: R-KEY-41
#[test]
fn wycheproof_x25519() {
    let Some(file) = vectors("wycheproof/x25519_test.json") else { return };
    for provider in providers() {
        let (mut run, mut zero) = (0, 0);
        for case in cases(&file) {
            let (secret, public) = (array(&case["private"]), array(&case["public"]));
            let shared: [u8; 32] = array(&case["shared"]);
            let expected = if shared == [0; 32] { Err(CryptoError) } else { Ok(shared) };
            assert_eq!(provider.x25519(&secret, &public), expected, "case {}", case["tcId"]);
            run += 1;
            zero += u32::from(expected.is_err());
        }
        assert_eq!((run, zero), (518, 31));
    }
}

/// RFC 7748 section 6.1.
#[test]
fn x25519_public_key() {
    let secret = "77076d0a7318a57d3c16c17251b26645df4c2f87ebc0992ab177fba51db92c2a";
    let public = "8520f0098930a754748b7ddcb43ef75a0dbf3a0d26381af4eba4a98eaa9b4e6a";
    let (secret, public): ([u8; 32], [u8; 32]) = (array(&secret.into()), array(&public.into()));
    for provider in providers() {
        assert_eq!(provider.x25519_public(&secret), public);
    }
}

#[test]
fn wycheproof_chacha20_poly1305() {
    wycheproof_aead("chacha20_poly1305", Cipher::ChaCha20Poly1305, [256, 60]);
}

#[test]
fn wycheproof_aes_256_gcm() {
    wycheproof_aead("aes_gcm", Cipher::Aes256Gcm, [39, 27]);
}

/// The seam has 256-bit keys, 96-bit nonces and 128-bit tags; other groups are left out and
/// counted.
fn wycheproof_aead(name: &str, cipher: Cipher, expected: [u32; 2]) {
    let Some(file) = vectors(&std::format!("wycheproof/{name}_test.json")) else { return };
    for provider in providers() {
        let (mut valid, mut invalid) = (0, 0);
        for group in file["testGroups"].as_array().unwrap() {
            if (&group["ivSize"], &group["keySize"], &group["tagSize"])
                != (&96.into(), &256.into(), &128.into())
            {
                continue;
            }
            for case in group["tests"].as_array().unwrap() {
                let key = provider.aead(cipher, &array(&case["key"]));
                let (nonce, aad) = (array(&case["iv"]), unhex(&case["aad"]));
                let (msg, ct) = (unhex(&case["msg"]), unhex(&case["ct"]));
                let tag: [u8; 16] = array(&case["tag"]);
                let mut opened = ct.clone();
                let result = key.open(&nonce, &aad, &mut opened, &tag);
                if case["result"] == "valid" {
                    assert_eq!((result, &opened), (Ok(()), &msg), "case {}", case["tcId"]);
                    let mut sealed = msg;
                    assert_eq!(key.seal(&nonce, &aad, &mut sealed), tag);
                    assert_eq!(sealed, ct);
                    valid += 1;
                } else {
                    assert_eq!(result, Err(CryptoError), "case {}", case["tcId"]);
                    assert!(opened.iter().all(|byte| *byte == 0));
                    invalid += 1;
                }
            }
        }
        assert_eq!([valid, invalid], expected);
    }
}

#[test]
fn wycheproof_hmac_sha256() {
    let Some(file) = vectors("wycheproof/hmac_sha256_test.json") else { return };
    for provider in providers() {
        let mut run = 0;
        for case in cases(&file) {
            let made = provider.hmac_sha256(&unhex(&case["key"]), &[&unhex(&case["msg"])]);
            let tag = unhex(&case["tag"]);
            assert_eq!(made[..tag.len()] == tag, case["result"] == "valid", "{}", case["tcId"]);
            run += 1;
        }
        assert_eq!(run, 174);
    }
}

/// RFC 9001 appendix A.5, by hand: its packet has a shorter header than ours.
///
/// spec: R-KEY-5 R-KEY-6
#[test]
fn rfc_9001_chacha20_short_header_packet() {
    let Some(file) = vectors("quic/rfc9001-appendix-a.json") else { return };
    let a5 = &file["a5_chacha20_short_header"];
    for provider in providers() {
        let mut nonce: [u8; 12] = array(&a5["iv"]);
        let number = a5["packet_number"].as_u64().unwrap();
        for (byte, part) in nonce.iter_mut().skip(4).zip(number.to_be_bytes()) {
            *byte ^= part;
        }
        assert_eq!(nonce[..], unhex(&a5["nonce"]));
        let key = provider.aead(Cipher::ChaCha20Poly1305, &array(&a5["key"]));
        let mut header = unhex(&a5["unprotected_header"]);
        let mut body = unhex(&a5["plaintext"]);
        let tag = key.seal(&nonce, &header, &mut body);
        body.extend(tag);
        assert_eq!(body, unhex(&a5["ciphertext"]));
        let header_key = provider.header_key(Cipher::ChaCha20Poly1305, &array(&a5["hp"]));
        // The number has three bytes there, so the sample begins one byte into the ciphertext.
        let mask = header_key.mask(body[1..17].try_into().unwrap());
        assert_eq!(mask[..], unhex(&a5["mask"]));
        header[0] ^= mask[0] & 0x1f;
        header[1..].iter_mut().zip(&mask[1..]).for_each(|(byte, mask)| *byte ^= mask);
        assert_eq!(header, unhex(&a5["protected_header"]));
        header.extend(body);
        assert_eq!(header, unhex(&a5["packet"]));
    }
}

/// The mask of AES is a block of the cipher (FIPS 197 appendix C.3), that of ChaCha20 a block of
/// keystream, also at the last counter, which the stream interface of a library refuses.
///
/// spec: R-KEY-6
#[test]
fn masks_of_known_blocks() {
    let key: [u8; 32] = core::array::from_fn(|at| at as u8);
    let sample = core::array::from_fn(|at| at as u8 * 0x11);
    for provider in providers() {
        let aes = provider.header_key(Cipher::Aes256Gcm, &key);
        assert_eq!(aes.mask(&sample), [0x8e, 0xa2, 0xb7, 0xca, 0x51]);
        // RFC 8439 section 2.3.2: counter 1, nonce 00:00:00:09:00:00:00:4a:00:00:00:00.
        let chacha = provider.header_key(Cipher::ChaCha20Poly1305, &key);
        let block = [1, 0, 0, 0, 0, 0, 0, 9, 0, 0, 0, 0x4a, 0, 0, 0, 0];
        assert_eq!(chacha.mask(&block), [0x10, 0xf1, 0xe7, 0xe4, 0xd1]);
        assert_eq!(chacha.mask(&[0xff; 16]), [0x3a, 0x74, 0x63, 0xc6, 0xb2]);
    }
}

/// spec: R-KEY-41
#[test]
fn what_does_not_open_is_zeroed() {
    for provider in providers() {
        for cipher in CIPHERS {
            let key = provider.aead(cipher, &[1; 32]);
            let mut sealed = *b"a secret that nobody authenticated";
            let mut tag = key.seal(&[2; 12], b"aad", &mut sealed);
            tag[15] ^= 1;
            let mut buf = sealed;
            assert_eq!(key.open(&[2; 12], b"aad", &mut buf, &tag), Err(CryptoError));
            assert_eq!(buf, [0; 34]);
            tag[15] ^= 1;
            buf = sealed;
            assert_eq!(key.open(&[2; 12], b"axd", &mut buf, &tag), Err(CryptoError));
            assert_eq!(buf, [0; 34]);
        }
    }
}

#[test]
fn short_tags_are_the_beginning_of_long_ones() {
    for provider in providers() {
        let long = provider.hmac_sha256(b"key", &[b"one", b"two"]);
        assert_eq!(provider.hmac_sha256_16(b"key", &[b"one", b"two"]), long[..16]);
        assert_eq!(provider.hmac_sha256(b"key", &[b"onetwo"]), long);
    }
}

#[test]
fn keys_do_not_print() {
    for provider in providers() {
        let aead = provider.aead(Cipher::Aes256Gcm, &[0x5a; 32]);
        let header = provider.header_key(Cipher::ChaCha20Poly1305, &[0x5a; 32]);
        assert_eq!(std::format!("{aead:?} {header:?}"), "AeadKey HeaderKey");
    }
}

proptest! {
    /// Both providers give the same bytes; alone, the one is held to itself by sealing and opening.
    ///
    /// spec: R-KEY-41
    #[test]
    fn providers_agree(
        key: [u8; 32],
        other: [u8; 32],
        nonce: [u8; 12],
        sample: [u8; 16],
        aad in proptest::collection::vec(any::<u8>(), 0..80),
        text in proptest::collection::vec(any::<u8>(), 0..1_500),
    ) {
        let mut all = Vec::new();
        for provider in providers() {
            let mut results: Vec<Vec<u8>> = Vec::new();
            for cipher in CIPHERS {
                let aead = provider.aead(cipher, &key);
                let mut buf = text.clone();
                let tag = aead.seal(&nonce, &aad, &mut buf);
                results.extend([buf.clone(), tag.to_vec()]);
                prop_assert_eq!(aead.open(&nonce, &aad, &mut buf, &tag), Ok(()));
                prop_assert_eq!(&buf, &text);
                results.push(provider.header_key(cipher, &key).mask(&sample).to_vec());
            }
            results.push(provider.sha256(&[&aad, &text]).to_vec());
            results.push(provider.hmac_sha256(&text, &[&aad, &other]).to_vec());
            results.push(provider.hmac_sha256(&key, &[&text]).to_vec());
            let public = provider.x25519_public(&other);
            results.push(provider.x25519(&key, &public).map_or(Vec::new(), |s| s.to_vec()));
            results.push(public.to_vec());
            results.push(provider.x25519(&key, &other).map_or(Vec::new(), |s| s.to_vec()));
            all.push(results);
        }
        prop_assert!(all.windows(2).all(|pair| pair[0] == pair[1]));
    }
}

fn cases(file: &Value) -> impl Iterator<Item = &Value> {
    let groups = file["testGroups"].as_array().expect("groups").iter();
    groups.flat_map(|group| group["tests"].as_array().expect("tests"))
}

fn array<const N: usize>(value: &Value) -> [u8; N] {
    unhex(value).try_into().expect("the length is right")
}
