use std::vec::Vec;

use proptest::prelude::*;
use speck_cipher::Speck64_128;
use speck_cipher::cipher::{BlockCipherDecrypt, BlockCipherEncrypt, KeyInit};

use super::{CHECK, CidCodec, CidFields};
use crate::rng::{Rng, Seed};
use crate::wire::id::ConnectionId;

fn codec(seed: u64) -> CidCodec {
    CidCodec::new(&mut Rng::new(&Seed::from_u64(seed)).fork("cid key"))
}

/// The vector that Speck was published with (IACR 2013/404, appendix C).
///
/// spec: R-KEY-36
#[test]
fn the_permutation_is_speck_64_128() {
    let key = 0x1b1a_1918_1312_1110_0b0a_0908_0302_0100_u128.to_be_bytes();
    let mut block = 0x3b72_6574_7475_432d_u64.to_be_bytes().into();
    let cipher = Speck64_128::new(&key.into());
    cipher.encrypt_block(&mut block);
    assert_eq!(u64::from_be_bytes(block.into()), 0x8c6f_a548_454e_028b);
    cipher.decrypt_block(&mut block);
    assert_eq!(u64::from_be_bytes(block.into()), 0x3b72_6574_7475_432d);
}

/// spec: R-KEY-36
#[test]
fn golden_vectors() {
    let file = include_str!("../../../spec/vectors/cid.txt");
    let mut run = 0;
    for line in file.lines().filter(|line| !line.starts_with('#')) {
        let words: Vec<&str> = line.split(' ').collect();
        let key = u128::from_str_radix(words[0], 16).unwrap().to_be_bytes();
        let number = |at: usize| words[at].parse::<u32>().unwrap();
        let fields =
            CidFields::new(number(1) as u8, number(2), number(3) as u16, number(4) as u8).unwrap();
        let cid = ConnectionId(u64::from_str_radix(words[5], 16).unwrap().to_be_bytes());
        let codec = CidCodec::with_key(&key).unwrap();
        assert_eq!(codec.encode(fields), cid);
        assert_eq!(codec.decode(cid), Some(fields));
        run += 1;
    }
    assert_eq!(run, 30);
}

/// spec: R-KEY-37
#[test]
fn made_up_ids_pass_once_in_65536() {
    let codec = codec(1);
    let mut rng = Rng::new(&Seed::from_u64(2));
    let passed = (0..1 << 20).filter(|_| codec.decode(ConnectionId(rng.bytes())).is_some()).count();
    assert!((4..40).contains(&passed), "{passed} of about 16");
}

/// A key that maps a good value to zero is found from the other end: decrypting zero under many
/// keys until the check holds.
///
/// spec: R-KEY-38
#[test]
fn no_id_is_all_zeros() {
    let mut rng = Rng::new(&Seed::from_u64(4));
    let mut refused = 0;
    for _ in 0..1 << 19 {
        let key: [u8; 16] = rng.bytes();
        let mut block = [0; 8].into();
        Speck64_128::new(&key.into()).decrypt_block(&mut block);
        let would_be_zero = u64::from_be_bytes(block.into()) & 0xffff == CHECK;
        assert_eq!(CidCodec::with_key(&key).is_none(), would_be_zero);
        refused += u32::from(would_be_zero);
    }
    assert!(refused > 0, "the search must have met such a key");
    assert_eq!(codec(1).decode(ConnectionId::ZERO), None);
}

#[test]
fn fields_that_do_not_fit_are_refused() {
    assert!(CidFields::new(63, (1 << 18) - 1, u16::MAX, u8::MAX).is_some());
    assert_eq!(CidFields::new(64, 0, 0, 0), None);
    assert_eq!(CidFields::new(0, 1 << 18, 0, 0), None);
}

#[test]
fn ids_do_not_show_their_fields() {
    let codec = codec(1);
    let one = codec.encode(CidFields::new(0, 0, 0, 0).unwrap());
    let two = codec.encode(CidFields::new(0, 0, 0, 1).unwrap());
    let differing = (u64::from_be_bytes(one.0) ^ u64::from_be_bytes(two.0)).count_ones();
    assert!((15..50).contains(&differing));
    assert_eq!(std::format!("{codec:?}"), "CidCodec");
}

proptest! {
    /// spec: R-KEY-36 R-KEY-37 R-KEY-38
    #[test]
    fn ids_come_back(
        seed: u64,
        shard in 0_u8..64,
        slot in 0_u32..1 << 18,
        generation: u16,
        index: u8,
    ) {
        let fields = CidFields::new(shard, slot, generation, index).unwrap();
        prop_assert_eq!(fields.shard(), shard);
        prop_assert_eq!(fields.slot(), slot);
        prop_assert_eq!(fields.generation(), generation);
        prop_assert_eq!(fields.index(), index);
        let (ours, other) = (codec(seed), codec(seed.wrapping_add(1)));
        let cid = ours.encode(fields);
        prop_assert_ne!(cid, ConnectionId::ZERO);
        prop_assert_eq!(ours.decode(cid), Some(fields));
        prop_assert_ne!(other.decode(cid), Some(fields));
    }
}
