//! The writer's own parts; whole tapes are in the integration tests.

use alloc::vec::Vec;

use super::segment::Tape;
use super::{Op, Payload, Reader, TapeOptions, Taped};
use crate::time::Instant;
use crate::trace::{self, Filter};

/// As when the core panics while it is polled: the driver takes the tape on its way out.
///
/// spec: R-TAPE-2
#[test]
fn a_poll_that_never_came_back_is_told() {
    let options = TapeOptions { payload: Payload::Elided, ..TapeOptions::default() };
    let mut tape = Tape::new(&options, 1, &[], None);
    tape.polls(Instant::from_nanos(5));
    tape.wait(None, Instant::from_nanos(5));
    tape.polls(Instant::from_nanos(7));
    let mut out = Vec::new();
    tape.take(&mut out);
    let records: Vec<_> = trace::records(&out).unwrap().map(Result::unwrap).collect();
    let told: Vec<_> = records.iter().map(|record| (record.op, record.time.as_nanos())).collect();
    assert_eq!(told, [(Op::WaitForever, 5), (Op::Unfinished, 7)]);
    assert_eq!(trace::show(&out, &Filter::default()).unwrap().len(), 2);
}

/// A fuzzer found a tape that redacting broke: it put another length where it thought that the old
/// one began.
///
/// spec: R-TAPE-9
#[test]
fn a_number_has_no_more_bytes_than_it_needs() {
    let read = |bytes: &[u8]| u64::get(&mut Reader::new(bytes));
    assert_eq!((read(&[0]), read(&[0x16])), (Some(0), Some(22)));
    assert_eq!((read(&[0x80, 1]), read(&[0x96, 1])), (Some(128), Some(150)));
    for longer in [&[0x96, 0][..], &[0x80, 0], &[0x96, 0x80, 0]] {
        assert_eq!(read(longer), None, "{longer:?}");
    }
}
