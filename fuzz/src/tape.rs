//! The reader of tapes.

use aqueduct_core::tape::{MAGIC, SEGMENT_HEAD, SEGMENT_MAGIC};
use aqueduct_core::trace::{self, Filter};
use aqueduct_tests::tapes::mended;

/// A tape, or, behind a byte that says what of the payload is there, the records of a segment. All
/// checks are made right, so that a reader gets to what they protect.
pub fn tape(data: &[u8]) -> usize {
    let tape = if data.starts_with(&MAGIC) { mended(data) } else { around(data) };
    let Ok(records) = trace::records(&tape) else { return 0 };
    let count = records.take_while(Result::is_ok).count();
    let shown = trace::show(&tape, &Filter::default());
    let redacted = trace::redact(&tape);
    assert_eq!(shown.is_ok(), redacted.is_ok());
    if let Ok(redacted) = redacted {
        let again = trace::show(&redacted, &Filter::default()).unwrap_or_default();
        assert_eq!((count, shown.map_or(0, |lines| lines.len())), (again.len(), again.len()));
    }
    count
}

/// A tape of one segment.
fn around(data: &[u8]) -> Vec<u8> {
    let (first, records) = data.split_first().unwrap_or((&0, &[]));
    let mut tape = [&MAGIC[..], &[0, 1, 0, 0, 0, 0, 0, first % 3, 0, 1, 0, 0, 0, 0, 0, 0]].concat();
    tape.extend([0; 8]);
    tape.extend(SEGMENT_MAGIC);
    tape.extend([0; SEGMENT_HEAD - 8]);
    tape.extend(u32::try_from(records.len()).unwrap_or(u32::MAX).to_be_bytes());
    tape.extend(records);
    tape.extend([0; 16]);
    mended(&tape)
}
