//! The published Noise vectors, through the code that ships, with every provider that is compiled in.

use alloc::boxed::Box;
use alloc::string::ToString;
use alloc::vec;
use alloc::vec::Vec;
use std::println;

use serde_json::Value;

use super::*;
use crate::crypto::test_support::{providers, vectors};

const FILES: [(&str, usize); 2] =
    [("noise/cacophony-25519-sha256.json", 118), ("noise/snow-25519-sha256.json", 102)];

/// The fundamental and the deferred patterns of the Noise specification, sections 7.4, 7.5 and 18.1.
const PATTERNS: &[(&str, &[&str], &[&str])] = &[
    // name, pre-messages ("i", "r"), messages
    ("N", &["r"], &["e es"]),
    ("K", &["i", "r"], &["e es ss"]),
    ("X", &["r"], &["e es s ss"]),
    ("NN", &[], &["e", "e ee"]),
    ("KN", &["i"], &["e", "e ee se"]),
    ("NK", &["r"], &["e es", "e ee"]),
    ("KK", &["i", "r"], &["e es ss", "e ee se"]),
    ("NX", &[], &["e", "e ee s es"]),
    ("KX", &["i"], &["e", "e ee se s es"]),
    ("XN", &[], &["e", "e ee", "s se"]),
    ("IN", &[], &["e s", "e ee se"]),
    ("XK", &["r"], &["e es", "e ee", "s se"]),
    ("IK", &["r"], &["e es s ss", "e ee se"]),
    ("XX", &[], &["e", "e ee s es", "s se"]),
    ("IX", &[], &["e s", "e ee se s es"]),
    ("NK1", &["r"], &["e", "e ee es"]),
    ("NX1", &[], &["e", "e ee s", "es"]),
    ("X1N", &[], &["e", "e ee", "s", "se"]),
    ("X1K", &["r"], &["e es", "e ee", "s", "se"]),
    ("XK1", &["r"], &["e", "e ee es", "s se"]),
    ("X1K1", &["r"], &["e", "e ee es", "s", "se"]),
    ("X1X", &[], &["e", "e ee s es", "s", "se"]),
    ("XX1", &[], &["e", "e ee s", "es s se"]),
    ("X1X1", &[], &["e", "e ee s", "es s", "se"]),
    ("K1N", &["i"], &["e", "e ee", "se"]),
    ("K1K", &["i", "r"], &["e es", "e ee", "se"]),
    ("KK1", &["i", "r"], &["e", "e ee se es"]),
    ("K1K1", &["i", "r"], &["e", "e ee es", "se"]),
    ("K1X", &["i"], &["e", "e ee s es", "se"]),
    ("KX1", &["i"], &["e", "e ee se s", "es"]),
    ("K1X1", &["i"], &["e", "e ee s", "se es"]),
    ("I1N", &[], &["e s", "e ee", "se"]),
    ("I1K", &["r"], &["e es s", "e ee", "se"]),
    ("IK1", &["r"], &["e s", "e ee se es"]),
    ("I1K1", &["r"], &["e s", "e ee es", "se"]),
    ("I1X", &[], &["e s", "e ee s es", "se"]),
    ("IX1", &[], &["e s", "e ee se s", "es"]),
    ("I1X1", &[], &["e s", "e ee s", "se es"]),
];

fn hex(text: &str) -> Vec<u8> {
    text.as_bytes()
        .chunks(2)
        .map(|pair| u8::from_str_radix(core::str::from_utf8(pair).unwrap(), 16).unwrap())
        .collect()
}

fn bytes(vector: &Value, key: &str) -> Vec<u8> {
    hex(vector[key].as_str().unwrap_or(""))
}

fn key(vector: &Value, name: &str) -> Option<[u8; 32]> {
    vector[name].as_str().map(|text| hex(text).try_into().unwrap())
}

fn token(text: &str) -> Token {
    match text {
        "e" => Token::E,
        "s" => Token::S,
        "ee" => Token::Ee,
        "es" => Token::Es,
        "se" => Token::Se,
        "ss" => Token::Ss,
        other => panic!("no such token: {other}"),
    }
}

/// The pattern that a protocol name describes.
fn pattern(name: &'static str) -> Pattern {
    let described = name.split('_').nth(1).unwrap();
    let (base, modifiers) = described.split_at(described.find("psk").unwrap_or(described.len()));
    let (_, known, messages) = PATTERNS.iter().find(|(n, ..)| *n == base).unwrap();
    let mut messages: Vec<Vec<Token>> =
        messages.iter().map(|message| message.split(' ').map(token).collect()).collect();
    for modifier in modifiers.split('+').filter(|m| !m.is_empty()) {
        match modifier.strip_prefix("psk").unwrap().parse::<usize>().unwrap() {
            0 => messages[0].insert(0, Token::Psk),
            n => messages[n - 1].push(Token::Psk),
        }
    }
    let messages: Vec<&'static [Token]> =
        messages.into_iter().map(|tokens| &*Box::leak(tokens.into_boxed_slice())).collect();
    Pattern {
        name,
        knows_initiator: known.contains(&"i"),
        knows_responder: known.contains(&"r"),
        messages: Box::leak(messages.into_boxed_slice()),
    }
}

fn psks(vector: &Value, name: &str) -> impl FnMut(Option<&[u8; 32]>) -> [u8; 32] + use<> {
    let list: Vec<[u8; 32]> = vector[name]
        .as_array()
        .map(|all| all.iter().map(|v| hex(v.as_str().unwrap()).try_into().unwrap()).collect())
        .unwrap_or_default();
    let mut next = list.into_iter();
    move |_| next.next().expect("a psk for each token")
}

fn party(vector: &Value, who: &str, provider: Provider, pattern: &'static Pattern) -> NoiseState {
    let cipher =
        if pattern.name.contains("AESGCM") { Cipher::Aes256Gcm } else { Cipher::ChaCha20Poly1305 };
    let side = if who == "init" { Side::Initiator } else { Side::Responder };
    let get = |what: &str| key(vector, &alloc::format!("{who}_{what}"));
    let static_secret = Zeroizing::new(get("static").unwrap_or_default());
    let keys = Keys {
        static_public: provider.x25519_public(&static_secret),
        static_secret,
        ephemeral: get("ephemeral").map(Zeroizing::new),
        remote_static: get("remote_static"),
    };
    let prologue = bytes(vector, &alloc::format!("{who}_prologue"));
    NoiseState::new(provider, cipher, pattern, side, &prologue, keys).unwrap()
}

fn transport_nonce(cipher: Cipher, n: u64) -> [u8; 12] {
    let mut nonce = [0; 12];
    nonce[4..].copy_from_slice(&match cipher {
        Cipher::ChaCha20Poly1305 => n.to_le_bytes(),
        Cipher::Aes256Gcm => n.to_be_bytes(),
    });
    nonce
}

/// Plays both sides of one vector.
fn run(vector: &Value, provider: Provider) {
    let name: &'static str =
        Box::leak(vector["protocol_name"].as_str().unwrap().to_string().into_boxed_str());
    let pattern: &'static Pattern = Box::leak(Box::new(pattern(name)));
    let mut states =
        [party(vector, "init", provider, pattern), party(vector, "resp", provider, pattern)];
    let mut init_psks = psks(vector, "init_psks");
    let mut resp_psks = psks(vector, "resp_psks");
    let messages = vector["messages"].as_array().unwrap();
    let turns = pattern.messages.len();
    for (turn, message) in messages.iter().take(turns).enumerate() {
        let mut out = vec![];
        let (payload, expected) = (bytes(message, "payload"), bytes(message, "ciphertext"));
        let [initiator, responder] = states;
        let (writer, reader, writer_psks, reader_psks): (_, _, PskLookup<'_>, PskLookup<'_>) =
            if turn % 2 == 0 {
                (initiator, responder, &mut init_psks, &mut resp_psks)
            } else {
                (responder, initiator, &mut resp_psks, &mut init_psks)
            };
        let writer = writer.write(&payload, writer_psks, &mut out).unwrap();
        assert_eq!(out, expected, "{name}, message {turn}");
        let (reader, read) = reader.read(&mut out, reader_psks).unwrap();
        assert_eq!(read, payload, "{name}, message {turn}");
        states = if turn % 2 == 0 { [writer, reader] } else { [reader, writer] };
    }
    let [initiator, responder] = states;
    let (secrets, hash) = initiator.finish().unwrap();
    assert_eq!(responder.finish().unwrap(), (secrets, hash), "{name}");
    if let Some(expected) = key(vector, "handshake_hash") {
        assert_eq!(hash, expected, "{name}");
    }
    let cipher = if name.contains("AESGCM") { Cipher::Aes256Gcm } else { Cipher::ChaCha20Poly1305 };
    let mut sent = [0; 2];
    for (turn, message) in messages.iter().enumerate().skip(turns) {
        let direction = if turns == 1 { 0 } else { turn % 2 };
        let mut body = bytes(message, "payload");
        let nonce = transport_nonce(cipher, sent[direction]);
        let tag = provider.aead(cipher, &secrets[direction]).seal(&nonce, &[], &mut body);
        body.extend_from_slice(&tag);
        assert_eq!(body, bytes(message, "ciphertext"), "{name}, message {turn}");
        sent[direction] += 1;
    }
}

/// spec: R-HS-5
#[test]
fn published_noise_vectors_run_byte_for_byte() {
    for (file, expected) in FILES {
        let Some(all) = vectors(file) else {
            println!("{file} is not there: nothing was tested");
            return;
        };
        let all = all["vectors"].as_array().unwrap();
        for provider in providers() {
            for vector in all {
                run(vector, provider);
            }
            println!("{file}: {} vectors with {provider:?}", all.len());
        }
        assert_eq!(all.len(), expected, "{file}");
    }
}

/// The constants that ship are what their names say.
///
/// spec: R-HS-5
#[test]
fn the_two_patterns_are_those_of_their_names() {
    assert_eq!(pattern(IK.name), IK);
    assert_eq!(pattern(XX.name), XX);
    for (file, _) in FILES.into_iter().skip(1) {
        let Some(all) = vectors(file) else { return };
        for ours in [IK, XX] {
            let mut names = all["vectors"].as_array().unwrap().iter().map(|v| &v["protocol_name"]);
            assert!(names.any(|name| name == ours.name), "{} is in {file}", ours.name);
        }
    }
}

#[test]
fn walking_out_of_turn_is_refused() {
    let keys = || Keys {
        static_secret: Zeroizing::new([1; 32]),
        static_public: Provider::Rust.x25519_public(&[1; 32]),
        ephemeral: Some(Zeroizing::new([2; 32])),
        remote_static: None,
    };
    let new = |pattern, side| {
        NoiseState::new(Provider::Rust, Cipher::ChaCha20Poly1305, pattern, side, &[], keys())
    };
    assert!(matches!(new(&IK, Side::Initiator), Err(NoiseError::Misuse)));
    let responder = new(&XX, Side::Responder).unwrap();
    let psk: PskLookup<'_> = &mut |_| [0; 32];
    assert!(matches!(responder.finish(), Err(NoiseError::Misuse)));
    assert!(matches!(responder.clone().write(&[], psk, &mut vec![]), Err(NoiseError::Misuse)));
    for len in 0..48 {
        let mut message = vec![7; len];
        let error = responder.read(&mut message, psk).err();
        assert_eq!(error, Some(NoiseError::Short), "{len}");
    }
    assert_eq!(responder.read(&mut [7; 48], psk).err(), Some(NoiseError::Open));
}
