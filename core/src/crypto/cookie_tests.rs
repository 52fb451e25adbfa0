use core::net::SocketAddr;
use core::time::Duration;

use proptest::prelude::*;

use super::super::provider::Provider;
use super::super::test_support::providers;
use super::{Cookie, CookieKeys, Stranger};
use crate::rng::{Rng, Seed};
use crate::time::Instant;
use crate::wire::id::ConnectionId;

fn rng() -> Rng {
    Rng::new(&Seed::from_u64(1)).fork("cookie")
}

fn stranger() -> Stranger {
    let address = "192.0.2.7:4433".parse().unwrap();
    Stranger { address, scid: ConnectionId([3; 8]), pattern: 1 }
}

fn at(seconds: u64) -> Instant {
    Instant::ZERO + Duration::from_secs(seconds)
}

/// spec: R-KEY-30
#[test]
fn the_layout_is_what_the_chapter_says() {
    for provider in providers() {
        let mut keys = CookieKeys::new(provider, rng(), at(1_000));
        let cookie = keys.make(&stranger(), at(1_003)).0;
        assert_eq!(cookie[..4], 1_003_u32.to_be_bytes());
        assert_eq!(cookie[4..8], [0; 4]);
        let key: [u8; 32] = rng().bytes();
        let ip = [0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0xff, 0xff, 192, 0, 2, 7];
        let mut input = b"aqdt cookie".to_vec();
        input.extend(ip);
        input.extend(4_433_u16.to_be_bytes());
        input.extend([3; 8]);
        input.push(1);
        input.extend(&cookie[..5]);
        assert_eq!(cookie[8..], provider.hmac_sha256(&key, &[&input])[..16]);
    }
}

/// spec: R-KEY-30
#[test]
fn a_cookie_is_good_for_nothing_else() {
    let mut keys = CookieKeys::new(Provider::Rust, rng(), at(0));
    let here = stranger();
    let cookie = keys.make(&here, at(5));
    assert!(keys.check(&cookie, &here, at(5)));
    let address = |text: &str| text.parse::<SocketAddr>().unwrap();
    for other in [
        Stranger { address: address("192.0.2.8:4433"), ..here },
        Stranger { address: address("192.0.2.7:4434"), ..here },
        Stranger { address: address("[2001:db8::7]:4433"), ..here },
        Stranger { scid: ConnectionId([4; 8]), ..here },
        Stranger { pattern: 2, ..here },
    ] {
        assert!(!keys.check(&cookie, &other, at(5)), "{other:?}");
        let theirs = keys.make(&other, at(5));
        assert!(!keys.check(&theirs, &here, at(5)), "{other:?}");
    }
    // The same host, seen through a socket of both families.
    let mapped = Stranger { address: address("[::ffff:192.0.2.7]:4433"), ..here };
    assert!(keys.check(&cookie, &mapped, at(5)));
    // Another endpoint's keys, and none at all.
    let mut others = CookieKeys::new(Provider::Rust, rng().fork("other"), at(0));
    assert!(!others.check(&cookie, &here, at(5)));
    assert!(!keys.check(&Cookie::NONE, &here, at(5)));
    assert!(!keys.check(&Cookie::NONE, &here, at(0)));
}

/// spec: R-KEY-31
#[test]
fn a_cookie_lives_for_thirty_seconds() {
    let mut keys = CookieKeys::new(Provider::Rust, rng(), at(100));
    let cookie = keys.make(&stranger(), at(110));
    for (now, good) in [(110, true), (140, true), (141, false), (500, false)] {
        assert_eq!(keys.clone().check(&cookie, &stranger(), at(now)), good, "at {now}");
    }
    assert!(!keys.check(&cookie, &stranger(), at(109)));
    // The time in a cookie cannot be changed, nor wrap round.
    let mut moved = cookie;
    moved.0[..4].copy_from_slice(&141_u32.to_be_bytes());
    assert!(!keys.check(&moved, &stranger(), at(141)));
}

/// spec: R-KEY-32
#[test]
fn keys_take_turns() {
    let mut keys = CookieKeys::new(Provider::Rust, rng(), at(0));
    let old = keys.make(&stranger(), at(59));
    let new = keys.make(&stranger(), at(60));
    assert_eq!((old.0[4], new.0[4]), (0, 1));
    assert!(keys.check(&old, &stranger(), at(61)));
    assert!(keys.check(&old, &stranger(), at(89)));
    assert!(keys.check(&new, &stranger(), at(89)));
    // Two rotations later the first key is gone, whatever its number says.
    let newest = keys.make(&stranger(), at(120));
    assert_eq!(newest.0[4], 2);
    assert!(keys.previous.as_ref().is_some_and(|key| key.id == 1));
    // After a long silence no key of before is left.
    let last = keys.make(&stranger(), at(100_000));
    assert!(keys.previous.is_none());
    assert!(keys.check(&last, &stranger(), at(100_001)));
}

proptest! {
    /// spec: R-KEY-30 R-KEY-31
    #[test]
    fn no_bit_can_be_changed(bit in 0_usize..192, after in 0_u64..30) {
        let mut keys = CookieKeys::new(Provider::Rust, rng(), at(0));
        let cookie = keys.make(&stranger(), at(50));
        prop_assert!(keys.check(&cookie, &stranger(), at(50 + after)));
        let mut changed = cookie;
        changed.0[bit / 8] ^= 1 << (bit % 8);
        prop_assert!(!keys.check(&changed, &stranger(), at(50 + after)));
    }
}

#[test]
fn debug_tells_no_key() {
    let keys = CookieKeys::new(Provider::Rust, rng(), at(0));
    assert_eq!(std::format!("{keys:?}"), "CookieKeys { since: Instant(0), .. }");
}
