//! Whose memory it is that a reader gets.

use alloc::collections::VecDeque;
use core::ops::Range;
use std::vec::Vec;

use super::{Block, take_from};
use crate::range_set::RangeSet;
use crate::stream::{Assembler, BLOCK_OVERHEAD, Inserted, MAX_BLOCK, MIN_BLOCK, RANGE_OVERHEAD};

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
fn is_copied(count: u64, range: Range<u64>, sparse: bool) -> bool {
    let mut blocks = blocks(count);
    let places: Vec<_> = blocks.iter().map(|block| block.buf.as_ptr_range()).collect();
    let len = (range.end - range.start) as usize;
    let (_, data) =
        take_from(&mut blocks, range.clone(), len, &RangeSet::new(), sparse).expect("bytes");
    assert_eq!(data, [(range.start / SPAN as u64) as u8; SPAN][..len]);
    !places.iter().any(|place| place.contains(&data.as_ptr()))
}

/// A piece that would keep more memory than its own, after other blocks have taken the place of the
/// rest of its block, is copied. What a reader takes in order from the last block never is.
///
/// spec: R-STR-24
#[test]
fn a_piece_keeps_no_more_than_twice_its_memory() {
    assert!(is_copied(2, 0..10, false), "nine hundred and ninety others hang on ten");
    assert!(is_copied(2, 0..400, false));
    assert!(!is_copied(2, 0..500, false), "as many as hang on it");
    assert!(!is_copied(2, 0..900, false));
    assert!(!is_copied(1, 0..10, false), "the rest of the last block is still to be read");
    assert!(is_copied(1, 300..310, false), "what lies before it is gone, and hangs on it");
    assert!(!is_copied(1, 300..600, false));
    assert!(!is_copied(2, 1_000..1_010, false), "of the last of two");
    assert!(is_copied(1, 0..10, true), "the rest of the last block may be skipped");
    assert!(is_copied(1, 0..499, true));
    assert!(!is_copied(1, 0..500, true));
    assert!(is_copied(2, 990..1_000, true), "what was before it may be, too");
}

/// What waits before a piece that is taken is still a part of all that memory.
///
/// spec: R-STR-24
#[test]
fn a_piece_of_a_split_block_keeps_no_more_than_twice_its_memory() {
    let mut blocks = blocks(1);
    let place = blocks[0].buf.as_ptr_range();
    let mut waiting = RangeSet::new();
    waiting.insert(0..10);
    assert!(take_from(&mut blocks, 10..600, 590, &waiting, true).is_some());
    let (_, data) = take_from(&mut blocks, 0..10, 10, &waiting, true).expect("bytes");
    assert!(!place.contains(&data.as_ptr()), "nine hundred and ninety others hang on ten");
}

/// Who reads in order is given a block without a copy, in whatever pieces, until bytes were
/// skipped: from then on small pieces are copied, and only those.
///
/// spec: R-STR-24
#[test]
fn a_small_piece_is_copied_once_bytes_were_skipped() {
    let mut assembler = Assembler::new();
    place(&mut assembler, 0..MIN_BLOCK);
    let first = assembler.read(10).expect("bytes").data.as_ptr();
    let is_copied = |assembler: &mut Assembler, len: usize| {
        let chunk = assembler.read(len).expect("bytes");
        chunk.data.as_ptr() != first.wrapping_add(chunk.offset as usize)
    };
    assert!(!is_copied(&mut assembler, 10));
    assert_eq!(assembler.skip(2_000..3_000, 100), Inserted::Fresh(1_000));
    assert!(is_copied(&mut assembler, 10), "the rest could have been skipped");
    assert!(!is_copied(&mut assembler, MIN_BLOCK / 2), "half of it");
    assert!(is_copied(&mut assembler, MIN_BLOCK), "what is left is less");
}

/// A whole block of bytes.
fn fill(assembler: &mut Assembler, nth: u64) {
    let (at, data) = (nth * MAX_BLOCK as u64, [nth as u8; MAX_BLOCK]);
    assert_eq!(assembler.insert(at, &data, 1_000), Inserted::Fresh(MAX_BLOCK as u64));
}

/// Where the bytes of a third block lie, if in the memory of the first, which was read while a
/// second stood behind it. `kept`: its reader still holds it.
fn serves_again(kept: bool) -> bool {
    let mut assembler = Assembler::new();
    // Far enough from the beginning for large blocks.
    let first = 64;
    let _skipped = assembler.skip(0..first * MAX_BLOCK as u64, 1_000);
    fill(&mut assembler, first + 1);
    fill(&mut assembler, first);
    let chunk = assembler.read(MAX_BLOCK).expect("the first block");
    assert_eq!(chunk.data, [first as u8; MAX_BLOCK][..]);
    let place = chunk.data.as_ptr();
    let chunk = kept.then_some(chunk);
    // Whoever asks the allocator next would be given what was freed.
    let _others: Vec<_> = (0..32).map(|_| Vec::<u8>::with_capacity(MAX_BLOCK)).collect();
    fill(&mut assembler, first + 2);
    assert!(assembler.read(MAX_BLOCK).is_some());
    let third = assembler.read(MAX_BLOCK).expect("the third block");
    assert_eq!(third.data, [(first + 2) as u8; MAX_BLOCK][..]);
    assert!(chunk.is_none_or(|chunk| chunk.data == [first as u8; MAX_BLOCK][..]));
    third.data.as_ptr() == place
}

/// The memory of a block that was read serves again, also where the next one began before: unless
/// somebody still holds what was read.
#[test]
fn what_nobody_holds_serves_again() {
    assert!(serves_again(false));
    assert!(!serves_again(true));
}

/// What an assembler may hold with blocks of so many bytes, and so many ranges.
fn charge(blocks: &[u64], ranges: u64) -> u64 {
    blocks.iter().map(|span| span + BLOCK_OVERHEAD).sum::<u64>() + ranges * RANGE_OVERHEAD
}

/// Places bytes where nothing is yet.
fn place(assembler: &mut Assembler, range: Range<usize>) {
    let data = &[7; MAX_BLOCK][..range.len()];
    assert_eq!(
        assembler.insert(range.start as u64, data, 100),
        Inserted::Fresh(range.len() as u64)
    );
}

/// spec: R-STR-24
#[test]
fn blocks_grow_with_what_came_before() {
    for (at, span) in [(0, MIN_BLOCK), (8 * 4_096, 4_096), (1 << 30, MAX_BLOCK)] {
        let mut assembler = Assembler::new();
        place(&mut assembler, at..at + 1);
        assert_eq!(assembler.held(), charge(&[span as u64], 1 + 1), "at {at}");
    }
}

#[test]
fn frames_in_a_row_are_one_arrival() {
    let mut assembler = Assembler::new();
    place(&mut assembler, 0..10);
    place(&mut assembler, 10..20);
    assert_eq!(assembler.held(), charge(&[MIN_BLOCK as u64], 1 + 1));
    assert_eq!(assembler.take_any(100).unwrap().range(), 0..20);
}

/// Once what is left of it was read, or passed.
#[test]
fn what_never_comes_takes_no_memory() {
    let mut assembler = Assembler::new();
    place(&mut assembler, 0..1_000);
    place(&mut assembler, 1_000..1_500);
    assembler.truncate(1_200);
    while assembler.read(MAX_BLOCK).is_some() {}
    assert_eq!((assembler.position(), assembler.held()), (1_200, charge(&[], 1)));
    place(&mut assembler, 1_200..1_210);
    assert_eq!(assembler.read(10).unwrap().range(), 1_200..1_210);
    assert_eq!(assembler.skip(1_210..4_000, 100), Inserted::Fresh(2_790));
    assert_eq!(assembler.read(10), None);
    assert_eq!(assembler.held(), charge(&[], 1));
}

#[test]
fn what_lies_before_the_beginning_takes_no_memory() {
    let mut assembler = Assembler::new();
    place(&mut assembler, 0..10);
    assembler.set_start(2_000);
    assert_eq!(assembler.held(), charge(&[], 1 + 1));
}

/// In order of arrival a block goes once nothing waits in it: where others stand behind it, and at
/// the end where nothing of it is to come.
///
/// spec: R-STR-24
#[test]
fn a_block_goes_when_nothing_waits_in_it() {
    let span = MIN_BLOCK as u64;
    let mut assembler = Assembler::new();
    place(&mut assembler, 0..10);
    place(&mut assembler, 5000..5010);
    assert_eq!(assembler.held(), charge(&[span, span], 2 + 2));
    assert_eq!(assembler.take_any(100).unwrap().range(), 0..10);
    assert_eq!(assembler.held(), charge(&[span], 2 + 2), "others stand behind it");
    assert_eq!(assembler.take_any(100).unwrap().range(), 5000..5010);
    assert_eq!(assembler.held(), charge(&[4096 + span - 5010], 2), "more of it may come");

    let mut assembler = Assembler::new();
    assert_eq!(assembler.take_any(100), None);
    place(&mut assembler, 0..10);
    assert_eq!(assembler.skip(10..span, 100), Inserted::Fresh(span - 10));
    assembler.forget_skipped();
    assert_eq!(assembler.take_any(100).unwrap().range(), 0..10);
    assert_eq!(assembler.held(), charge(&[], 1), "no more of it will come");
}

/// So it does if that is known of it only after all that came was given out, and no other with it.
///
/// spec: R-STR-24
#[test]
fn a_block_goes_when_the_rest_of_it_never_comes() {
    let span = MIN_BLOCK as u64;
    let mut assembler = Assembler::new();
    place(&mut assembler, 0..10);
    assert_eq!(assembler.take_any(100).unwrap().range(), 0..10);
    assert_eq!(assembler.held(), charge(&[span - 10], 1));
    assert_eq!(assembler.skip(10..2000, 100), Inserted::Fresh(1990));
    assembler.forget_skipped();
    assert_eq!(assembler.held(), charge(&[], 1));

    place(&mut assembler, 4096..4106);
    assert_eq!(assembler.take_any(100).unwrap().range(), 4096..4106);
    place(&mut assembler, 3000..3010);
    assert_eq!(assembler.held(), charge(&[span, span - 10], 3 + 2));
    assert_eq!(assembler.skip(2000..6000, 100), Inserted::Fresh(4000 - 20));
    assembler.forget_skipped();
    assert_eq!(assembler.held(), charge(&[span], 1 + 2), "what waits stays");
    assert_eq!(assembler.take_any(100).unwrap().range(), 3000..3010);
    assert_eq!(assembler.held(), charge(&[], 1));
}

/// Who reads in order leaves nothing behind, placed or not.
///
/// spec: R-STR-24
#[test]
fn what_lies_behind_a_reader_holds_nothing() {
    let span = MIN_BLOCK as u64;
    let mut assembler = Assembler::new();
    place(&mut assembler, 0..10);
    assert_eq!(assembler.skip(10..500, 100), Inserted::Fresh(490));
    assert_eq!(assembler.read(100).unwrap().range(), 0..10);
    assert_eq!((assembler.read(100), assembler.position()), (None, 500));
    assert_eq!(assembler.held(), charge(&[span - 500], 1));
    place(&mut assembler, 500..600);
    assert_eq!(assembler.read(100).unwrap().range(), 500..600);
    assert_eq!(assembler.held(), charge(&[span - 600], 1));
}

/// Nothing is kept of what is cut off, down to the block that began where the body ends now.
///
/// spec: R-STR-24
#[test]
fn what_is_cut_off_holds_nothing() {
    let mut assembler = Assembler::new();
    place(&mut assembler, 0..MIN_BLOCK);
    place(&mut assembler, MIN_BLOCK..MIN_BLOCK + 10);
    place(&mut assembler, 3 * MIN_BLOCK..3 * MIN_BLOCK + 10);
    assembler.truncate(MIN_BLOCK as u64);
    assert_eq!(assembler.held(), charge(&[MIN_BLOCK as u64], 1 + 1));
    assert_eq!(assembler.take_any(MAX_BLOCK).unwrap().range(), 0..MIN_BLOCK as u64);
    assert_eq!(assembler.held(), charge(&[], 1));
}
