use arbitrary::Unstructured;
use proptest::prelude::*;

use super::{Op, run};
use crate::script::rest;

fn op() -> impl Strategy<Value = Op> {
    prop_oneof![
        6 => Just(Op::Send),
        1 => Just(Op::SendBare),
        5 => prop_oneof![3 => Just(0), 1 => any::<u8>()].prop_map(Op::Arrive),
        1 => any::<u8>().prop_map(Op::Drop),
        3 => Just(Op::Answer),
        3 => prop_oneof![3 => Just(0), 1 => any::<u8>()].prop_map(Op::ArriveAck),
        1 => any::<u8>().prop_map(Op::DropAck),
        1 => any::<u8>().prop_map(Op::Confirm),
        3 => any::<u8>().prop_map(Op::Wait),
    ]
}

proptest! {
    /// Whatever the link loses, doubles the wait of, or turns round: every content arrives, every
    /// receipt comes back once, and then both ends are silent.
    ///
    /// spec: R-REC-5, R-REC-8, R-REC-14, R-REC-30
    #[test]
    fn a_bad_link_comes_to_rest(ops in proptest::collection::vec(op(), 0..300)) {
        run(&ops);
    }

    #[test]
    fn bytes_make_operations(bytes in proptest::collection::vec(any::<u8>(), 0..600)) {
        run(&rest(&mut Unstructured::new(&bytes)).expect("always"));
    }
}
