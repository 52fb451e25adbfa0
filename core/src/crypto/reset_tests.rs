use std::vec::Vec;

use super::super::provider::Provider;
use super::super::test_support::providers;
use super::{MAX_LEN, MIN_LEN, ResetKey, ResetToken, is_reset};
use crate::rng::{Rng, Seed};
use crate::wire::id::ConnectionId;

fn key() -> ResetKey {
    ResetKey::new(Provider::Rust, [7; 32])
}

fn rng() -> Rng {
    Rng::new(&Seed::from_u64(3)).fork("reset padding")
}

const CID: ConnectionId = ConnectionId([9; 8]);

/// spec: R-KEY-33
#[test]
fn tokens_belong_to_key_and_id() {
    for provider in providers() {
        let token = ResetKey::new(provider, [7; 32]).token(CID);
        let long_hand =
            provider.hmac_sha256(&[7; 32], &[b"aqdt reset\x09\x09\x09\x09\x09\x09\x09\x09"]);
        assert_eq!(token.0, long_hand[..16]);
        assert!(token == ResetKey::new(provider, [7; 32]).token(CID));
        assert!(token != ResetKey::new(provider, [8; 32]).token(CID));
        assert!(token != ResetKey::new(provider, [7; 32]).token(ConnectionId([8; 8])));
    }
}

/// spec: R-KEY-34
#[test]
fn a_reset_is_smaller_than_its_trigger_and_looks_like_a_packet() {
    let mut rng = rng();
    for trigger in 0..1_500 {
        let mut out = std::vec![0xaa; 3];
        let made = key().write(CID, trigger, &mut rng, &mut out);
        assert_eq!(made, trigger >= 44);
        let datagram = &out[3..];
        if made {
            assert!((MIN_LEN..=MAX_LEN).contains(&datagram.len()));
            assert!(datagram.len() < trigger);
            assert_eq!(datagram[0] >> 6, 0b01);
            assert!(is_reset(datagram, [&key().token(CID)]));
        } else {
            assert!(datagram.is_empty());
        }
    }
}

/// Two endpoints without state that answer each other's resets fall silent.
///
/// spec: R-KEY-34
#[test]
fn resets_of_resets_end() {
    let (mut rng, mut len, mut rounds) = (rng(), 1_200, 0);
    loop {
        let mut out = Vec::new();
        if !key().write(CID, len, &mut rng, &mut out) {
            break;
        }
        len = out.len();
        rounds += 1;
    }
    assert!(rounds <= MAX_LEN - MIN_LEN + 2);
}

#[test]
fn lengths_and_filling_are_random() {
    let mut rng = rng();
    let mut resets = std::collections::BTreeSet::new();
    let mut lengths = std::collections::BTreeSet::new();
    for _ in 0..2_000 {
        let mut out = Vec::new();
        assert!(key().write(CID, 1_200, &mut rng, &mut out));
        lengths.insert(out.len());
        resets.insert(out);
    }
    assert_eq!((lengths.first(), lengths.last()), (Some(&MIN_LEN), Some(&MAX_LEN)));
    assert_eq!(resets.len(), 2_000);
}

/// spec: R-KEY-35
#[test]
fn only_the_token_at_the_end_makes_a_reset() {
    let tokens: Vec<ResetToken> = (0..4).map(|id| key().token(ConnectionId([id; 8]))).collect();
    let mut datagram = Vec::new();
    assert!(key().write(ConnectionId([2; 8]), 100, &mut rng(), &mut datagram));
    assert!(is_reset(&datagram, &tokens));
    assert!(!is_reset(&datagram, &tokens[..2]));
    assert!(!is_reset(&datagram, []));
    for at in datagram.len() - 16..datagram.len() {
        for bit in 0..8 {
            datagram[at] ^= 1 << bit;
            assert!(!is_reset(&datagram, &tokens));
            datagram[at] ^= 1 << bit;
        }
    }
    let mut longer = datagram.clone();
    longer.push(0);
    assert!(!is_reset(&longer, &tokens));
    // A long header, or too short: no reset, whatever it ends with.
    let mut other_form = datagram.clone();
    other_form[0] |= 0b1100_0000;
    assert!(!is_reset(&other_form, &tokens));
    let end = &datagram[datagram.len() - 16..];
    for filler in 0..27 {
        let mut short = std::vec![0x40; filler];
        short.extend(end);
        assert_eq!(is_reset(&short, &tokens), filler == 27);
    }
    let mut just = std::vec![0x40; 27];
    just.extend(end);
    assert!(is_reset(&just, &tokens));
}

#[test]
fn secrets_do_not_print() {
    assert_eq!(std::format!("{:?} {:?}", key(), key().token(CID)), "ResetKey ResetToken");
}
