//! What streams did, in numbers.

use super::*;
use crate::error::StreamCode;

#[test]
fn counters_of_many_are_summed() {
    let of = |n, most_held| {
        let mut errors = StreamErrors::default();
        errors.count_many(StreamCode::Timeout.app(), 4 * n);
        errors.count_many(StreamCode::WrongSize.app(), 5 * n);
        errors.count_many(AppCode(7), 6 * n);
        let (resent, most_out_of_order) = (3 * n, most_held + 1);
        StreamStats { opened: n, announced: 2 * n, resent, most_held, most_out_of_order, errors }
    };
    for (here, there) in [(70, 8), (8, 70)] {
        let mut sum = of(10, here);
        sum.add(&of(1, there));
        assert_eq!(sum, of(11, 70), "what one stream held is no sum");
    }
}

/// By the code of the protocol; whatever an application says of its own is one kind.
#[test]
fn each_end_is_counted_by_its_code() {
    for (at, code) in StreamCode::ALL.into_iter().enumerate() {
        let mut errors = StreamErrors::default();
        (0..=at).for_each(|_| errors.count(code.app()));
        errors.count(AppCode(at as u64));
        for other in StreamCode::ALL {
            let expected = if other == code { at as u64 + 1 } else { 0 };
            assert_eq!(errors.of(other), expected, "{other:?} of {code:?}");
        }
        assert_eq!(errors.application(), 1);
    }
}

/// Each time that they are.
#[test]
fn bytes_that_are_sent_again_are_counted() {
    let mut pair = Pair::new();
    let id = pair.a.uni();
    pair.a.write(id, b"0123");
    for resent in [0, 4, 8] {
        let packet = pair.a.packet().unwrap();
        assert_eq!(pair.a.streams.stats().resent, resent);
        pair.a.settle(&packet.receipts, false);
    }
}
