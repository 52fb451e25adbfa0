//! Property tests of the two buffers against plain models, and the rules that deserve a name.

use std::vec::Vec;

use proptest::prelude::*;

use super::exercise::{self, RecvOp, SendOp};
use super::{BufferError, Piece, SendBuffer};

fn send_op() -> impl Strategy<Value = SendOp> {
    prop_oneof![
        4 => any::<u16>().prop_map(|len| SendOp::Append { len }),
        2 => (any::<u16>(), any::<u16>()).prop_map(|(offset, len)| SendOp::WriteAt { offset, len }),
        1 => (any::<u16>(), any::<u16>()).prop_map(|(offset, len)| SendOp::Skip { offset, len }),
        8 => (1..2000u16, any::<u16>()).prop_map(|(max, limit)| SendOp::Send { max, limit }),
        1 => any::<u16>().prop_map(|limit| SendOp::SendSkip { limit }),
        4 => any::<u8>().prop_map(|which| SendOp::Acked { which }),
        3 => any::<u8>().prop_map(|which| SendOp::Lost { which }),
        1 => Just(SendOp::Finish),
        1 => any::<u16>().prop_map(|size| SendOp::FinishAt { size }),
        1 => any::<u16>().prop_map(|size| SendOp::Truncate { size }),
    ]
}

fn recv_op() -> impl Strategy<Value = RecvOp> {
    let near = prop_oneof![3 => 0..8000u16, 1 => any::<u16>()];
    let near2 = prop_oneof![3 => 0..8000u16, 1 => any::<u16>()];
    let len = prop_oneof![2 => 1..40u16, 1 => any::<u16>()];
    prop_oneof![
        6 => (near, len, any::<u8>())
            .prop_map(|(offset, len, salt)| RecvOp::Insert { offset, len, salt }),
        4 => (1..1500u16).prop_map(|len| RecvOp::Append { len }),
        1 => (near2, 1..500u16).prop_map(|(offset, len)| RecvOp::Skip { offset, len }),
        1 => any::<u16>().prop_map(|size| RecvOp::Truncate { size }),
    ]
}

fn with_reads(read: bool, take: bool) -> impl Strategy<Value = Vec<RecvOp>> {
    let out = (1..3000u16).prop_map(move |max| match (read, take) {
        (true, true) if max % 7 > 0 => RecvOp::Read { max },
        (true, false) => RecvOp::Read { max },
        _ => RecvOp::TakeAny { max },
    });
    prop::collection::vec(prop_oneof![3 => recv_op(), 2 => out], 1..150)
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    /// spec: R-STR-20, R-STR-21
    #[test]
    fn a_send_buffer_is_its_model(ops in prop::collection::vec(send_op(), 1..120)) {
        exercise::send_buffer(&ops);
    }

    /// spec: R-STR-22, R-STR-23, R-STR-24
    #[test]
    fn an_assembler_read_in_order_is_its_model(ops in with_reads(true, false), max in 1..40usize) {
        exercise::assembler(&ops, max);
    }

    /// spec: R-STR-22, R-STR-23, R-STR-24, R-STR-25
    #[test]
    fn an_assembler_taken_by_arrival_is_its_model(ops in with_reads(false, true), max in 1..40usize) {
        exercise::assembler(&ops, max);
    }

    #[test]
    fn an_assembler_may_change_to_arrival(ops in with_reads(true, true), max in 1..40usize) {
        exercise::assembler(&ops, max);
    }
}

#[test]
fn a_body_ends_once_and_where_offsets_do() {
    let mut buffer = SendBuffer::new(0);
    let most = SendBuffer::MAX_OFFSET;
    assert_eq!(buffer.finish_at(most + 1), Err(BufferError::OutOfBounds));
    assert_eq!((buffer.finish_at(most), buffer.final_size()), (Ok(()), Some(most)));
    assert_eq!(buffer.finish_at(most), Ok(()), "said again");
    assert_eq!(buffer.finish_at(most - 1), Err(BufferError::Finished));
}

#[test]
fn a_piece_that_is_cut_does_not_end_a_body() {
    for (max, len, fin) in [(0, 0, false), (3, 3, false), (4, 4, true), (5, 4, true)] {
        let piece = Piece { offset: 7, data: b"0123", fin: true }.cut_to(max);
        assert_eq!((piece.offset, piece.data, piece.fin), (7, &b"0123"[..len], fin), "{max}");
    }
}
