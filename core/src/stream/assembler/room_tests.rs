//! What takes a range, and when there is none left.

use core::ops::Range;

use crate::stream::{Assembler, Inserted};

/// How many ranges are kept more once 10..20 is skipped, behind other `bytes` and `skipped` ones.
/// With one range less there is no room for it.
fn opened(bytes: Range<u64>, skipped: Range<u64>) -> usize {
    let before = || {
        let mut assembler = Assembler::new();
        let data = &[7; 10][..(bytes.end - bytes.start) as usize];
        assert!(matches!(assembler.insert(bytes.start, data, 9), Inserted::Fresh(_)));
        assert!(matches!(assembler.skip(skipped.clone(), 9), Inserted::Fresh(_)));
        assembler
    };
    let kept = before().kept_ranges();
    let takes = |more: &usize| before().skip(10..20, kept + more) != Inserted::TooFragmented;
    let opened = (0..9).find(takes).unwrap();
    let mut assembler = before();
    assert!(matches!(assembler.skip(10..20, 9), Inserted::Fresh(_)));
    assert!(assembler.kept_ranges() <= kept + opened, "a gap that is filled makes them fewer");
    opened
}

/// What is skipped is a range of what came and a range of what lacks, unless it joins one.
///
/// spec: R-STR-23
#[test]
fn a_skip_opens_a_range_at_each_end_that_stays_in_a_gap() {
    assert_eq!(opened(0..0, 0..0), 2, "alone");
    assert_eq!(opened(5..10, 0..0), 1, "behind bytes");
    assert_eq!(opened(20..25, 0..0), 1, "before bytes");
    assert_eq!(opened(12..14, 0..0), 2, "around bytes");
    assert_eq!(opened(5..15, 0..0), 1, "over the end of bytes");
    assert_eq!(opened(15..25, 0..0), 1, "over the start of bytes");
    assert_eq!(opened(0..0, 5..10), 0, "behind what lacks");
    assert_eq!(opened(0..0, 20..25), 0, "before what lacks");
    assert_eq!(opened(5..10, 20..25), 0, "from bytes to what lacks");
}

/// Where the reader stands there is always room; that makes none for others.
///
/// spec: R-STR-23
#[test]
fn what_was_taken_beyond_the_limit_opens_nothing_else() {
    let mut assembler = Assembler::new();
    assert_eq!(assembler.insert(10, b"0123456789", 1), Inserted::Fresh(10));
    assert_eq!(assembler.skip(0..5, 1), Inserted::Fresh(5));
    assert_eq!(assembler.kept_ranges(), 3);
    assert_eq!(assembler.insert(30, b"0", 1), Inserted::TooFragmented);
    assert_eq!(assembler.insert(21, b"1", 1), Inserted::TooFragmented);
    assert_eq!(assembler.insert(20, b"0", 1), Inserted::Fresh(1), "it joins what is there");
}
