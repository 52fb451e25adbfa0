use std::vec::Vec;

use chacha20::ChaCha20;
use chacha20::cipher::{KeyIvInit, StreamCipher};

use super::{BLOCK, Rng, Seed};

fn root(number: u64) -> Rng {
    Rng::new(&Seed::from_u64(number))
}

/// The generator, written the slow way: each key makes a block, which begins with the next key.
fn reference(seed: [u8; 32], count: usize) -> Vec<u8> {
    let (mut key, mut out) = (seed, Vec::new());
    while out.len() < count {
        let mut block = [0; BLOCK];
        ChaCha20::new(&key.into(), &[0; 12].into()).apply_keystream(&mut block);
        key.copy_from_slice(&block[..32]);
        out.extend_from_slice(&block[32..]);
    }
    out.truncate(count);
    out
}

#[test]
fn draws_are_the_keystream_of_keys_that_replace_themselves() {
    let mut drawn = [0; 1_000];
    Rng::new(&Seed::new([9; 32])).fill(&mut drawn);
    assert_eq!(drawn[..], reference([9; 32], 1_000));
}

/// The bytes of a seed are part of what a recorded run means: they must not move.
#[test]
fn draws_are_fixed_for_ever() {
    let mut rng = root(1);
    let direct = rng.bytes::<8>();
    let forked = rng.fork("a label").bytes::<8>();
    assert_eq!((direct, forked), GOLDEN);
}

#[test]
fn how_draws_are_cut_does_not_matter() {
    let (mut whole, mut cut) = ([0; 700], Vec::new());
    root(3).fill(&mut whole);
    let mut rng = root(3);
    for size in [1, 0, 31, 200, 8, 224, 225, 11] {
        let mut part = std::vec![0; size];
        rng.fill(&mut part);
        cut.extend(part);
    }
    assert_eq!(cut, whole);
    assert_eq!(u64::from_le_bytes(root(4).bytes()), root(4).u64());
}

/// spec: R-KEY-40
#[test]
fn forks_depend_on_seed_and_ancestors_only() {
    let (mut one, mut two) = (root(5), root(5));
    let mut first = one.fork("first");
    let mut again = two.fork("first");
    // However much one fork draws, its siblings draw what they always drew.
    let _ = first.bytes::<5_000>();
    let (mut second, mut other) = (one.fork("second"), two.fork("second"));
    assert_eq!(second.bytes::<64>(), other.bytes::<64>());
    assert_ne!(again.bytes::<32>(), other.bytes::<32>());
    // Labels and order tell forks apart, and seeds do.
    assert_ne!(root(5).fork("a").bytes::<32>(), root(5).fork("b").bytes::<32>());
    assert_ne!(root(5).fork("a").bytes::<32>(), root(6).fork("a").bytes::<32>());
    let mut parent = root(5);
    assert_ne!(parent.fork("a").bytes::<32>(), parent.fork("a").bytes::<32>());
    // A fork is not a copy.
    let mut parent = root(5);
    assert_ne!(parent.fork("").bytes::<32>(), parent.bytes::<32>());
}

#[test]
fn nothing_that_was_drawn_stays_behind() {
    let mut rng = root(8);
    let drawn = rng.bytes::<100>();
    assert_eq!(rng.block[..132], [0; 132]);
    assert!(drawn.iter().any(|byte| *byte != 0));
}

#[test]
fn below_is_below_and_reaches_all() {
    let mut rng = root(7);
    assert_eq!(rng.below(0), 0);
    assert_eq!(rng.below(1), 0);
    let mut seen = [0_u32; 7];
    for _ in 0..7_000 {
        seen[rng.below(7) as usize] += 1;
    }
    assert!(seen.iter().all(|count| (800..1_200).contains(count)), "{seen:?}");
    // A bound that leaves nearly half of all numbers uneven.
    let bound = (1 << 63) + 1;
    assert!((0..100).all(|_| rng.below(bound) < bound));
}

#[test]
fn debug_tells_nothing() {
    assert_eq!(std::format!("{:?}", root(1)), "Rng");
}

/// From a second implementation, in another language.
const GOLDEN: ([u8; 8], [u8; 8]) =
    ([44, 10, 80, 100, 45, 95, 1, 187], [144, 39, 179, 25, 48, 174, 117, 35]);
