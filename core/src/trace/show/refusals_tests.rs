//! Tests of `refusals.rs`.

use super::*;
use crate::stream::{OpenError, ReadError, WriteError};

#[test]
fn the_numbers_of_errors_have_their_words() {
    let words = |op, number| came(op, Outcome::Refused(number));
    assert_eq!(words(Op::WriteAt, WriteError::Overlap.number()), "refused: written before");
    assert_eq!(words(Op::Skip, WriteError::OutOfBounds.number()), "refused: out of bounds");
    assert_eq!(words(Op::Take, ReadError::OutOfOrder.number()), "refused: not in order");
    let no_credit = OpenError::NoCredit.number();
    assert_eq!(words(Op::Open, no_credit), "refused: no credit");
    assert_eq!(words(Op::SendMessage, 16 + no_credit), "refused: no credit");
    assert_eq!(words(Op::SendMessage, 2), "refused: too old");
    assert_eq!(words(Op::Open, 99), "refused (99)");
    assert_eq!(came(Op::Write, Outcome::Done(7)), "gave 7");
    assert_eq!((ending(4), ending(12), ending(13)), ("idle", "the carrier is lost", "?"));
}
