use alloc::vec::Vec;

use arbitrary::{Arbitrary, Unstructured};
use proptest::prelude::*;

use super::{handshake, keys, replay};
use crate::script;

fn made<T: for<'a> Arbitrary<'a>>(bytes: &[u8]) -> T {
    T::arbitrary(&mut Unstructured::new(bytes)).expect("enough bytes")
}

fn near() -> impl Strategy<Value = replay::Op> {
    use replay::Op;
    prop_oneof![
        8 => (-3_000_i16..64).prop_map(Op::Near),
        2 => (0_u32..5_000).prop_map(Op::Ahead),
        1 => (0_u32..400_000).prop_map(Op::Ahead),
        2 => any::<u8>().prop_map(Op::Burst),
        1 => (0_u32..20_000).prop_map(Op::Grow),
    ]
}

fn key_op() -> impl Strategy<Value = keys::Op> {
    use keys::Op;
    let from = any::<bool>;
    let back = || prop_oneof![4 => Just(0), 2 => 0..4_u8, 1 => any::<u8>()];
    prop_oneof![
        8 => from().prop_map(|from| Op::Seal { from }),
        1 => from().prop_map(|from| Op::SealClose { from }),
        1 => from().prop_map(|from| Op::Skip { from }),
        8 => (from(), back()).prop_map(|(from, back)| Op::Deliver { from, back }),
        1 => (from(), back(), any::<u16>()).prop_map(|(from, back, bit)| Op::Flip { from, back, bit }),
        1 => (from(), back(), any::<u16>()).prop_map(|(from, back, len)| Op::Cut { from, back, len }),
        1 => from().prop_map(|from| Op::Confirm { from }),
        1 => any::<u8>().prop_map(Op::Wait),
    ]
}

proptest! {
    /// spec: R-KEY-20 R-KEY-21 R-KEY-22 R-KEY-23 R-KEY-4
    #[test]
    fn the_replay_window_agrees_with_a_set(
        start in prop_oneof![
            Just(0), 0_u64..100_000, (0..900_000_u64).prop_map(|by| (1 << 62) - by), any::<u64>(),
        ],
        ops in proptest::collection::vec(near(), 1..300),
    ) {
        let mut all = Vec::from([replay::Op::Any(start)]);
        all.extend(ops);
        replay::run(&all);
    }

    /// spec: R-KEY-10 R-KEY-11 R-KEY-12 R-KEY-13
    #[test]
    fn honest_keys_agree_whatever_the_network_does(
        aes in any::<bool>(),
        ops in proptest::collection::vec(key_op(), 1..250),
    ) {
        let confirmed = [true, false].map(|from| keys::Op::Confirm { from });
        let ops = confirmed.into_iter().chain(ops).collect();
        keys::run(&keys::Script { aes, ops });
    }

    #[test]
    fn bytes_make_operations(bytes in proptest::collection::vec(any::<u8>(), 0..400)) {
        replay::run(&script::rest(&mut Unstructured::new(&bytes)).expect("always"));
        keys::run(&made(&bytes));
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    /// spec: R-HS-14
    #[test]
    fn a_bad_network_delays_a_handshake_and_no_more(
        bytes in proptest::collection::vec(any::<u8>(), 0..200),
    ) {
        handshake::run(&made(&bytes));
    }
}
