//! Whose memory it is that a reader gets.

use alloc::collections::VecDeque;
use core::ops::Range;
use std::vec::Vec;

use super::{Block, take_from};
use crate::range_set::RangeSet;

const SPAN: usize = 1_000;

/// Blocks in a row, all placed: each of the offsets it has.
fn blocks(count: u64) -> VecDeque<Block> {
    let filled = |number: u64| {
        let mut block = Block::new(number * SPAN as u64, SPAN);
        assert_eq!(block.place(block.start, &[number as u8; SPAN]), SPAN);
        block
    };
    (0..count).map(filled).collect()
}

/// Takes `range` out of the last of so many blocks, or of the first, and says whether what comes
/// lies in memory of its own.
fn is_copied(count: u64, range: Range<u64>) -> bool {
    let mut blocks = blocks(count);
    let places: Vec<_> = blocks.iter().map(|block| block.buf.as_ptr_range()).collect();
    let len = (range.end - range.start) as usize;
    let (_, data) = take_from(&mut blocks, range.clone(), len, &RangeSet::new()).expect("bytes");
    assert_eq!(data, [(range.start / SPAN as u64) as u8; SPAN][..len]);
    !places.iter().any(|place| place.contains(&data.as_ptr()))
}

/// A piece that would keep more memory than its own, after other blocks have taken the place of the
/// rest of its block, is copied. What a reader takes in order from the last block never is.
///
/// spec: R-STR-24
#[test]
fn a_piece_keeps_no_more_than_twice_its_memory() {
    assert!(is_copied(2, 0..10), "nine hundred and ninety others hang on ten");
    assert!(is_copied(2, 0..400));
    assert!(!is_copied(2, 0..500), "as many as hang on it");
    assert!(!is_copied(2, 0..900));
    assert!(!is_copied(1, 0..10), "the rest of the last block is still to be read");
    assert!(is_copied(1, 300..310), "what lies before it is gone, and hangs on it");
    assert!(!is_copied(1, 300..600));
    assert!(!is_copied(2, 1_000..1_010), "of the last of two");
}
