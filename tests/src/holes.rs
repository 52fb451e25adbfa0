//! Texts with holes: parts of them are never written and said to be skipped, the others are written
//! out of order. Which parts, hangs on the text's number alone: who reads it knows what must come.
//!
//! ```text
//!   text   0        700       1,400      2,100      2,800
//!          |  told   |  HOLE   |   told   |   told   |      written: 2, 0, SKIP 1, 3 ...
//! ```

use std::collections::VecDeque;
use std::ops::Range;

use aqueduct_core::stream::{ReadError, RecvStream, SendStream, WriteError};
use bytes::Bytes;

use crate::app::prose;
use crate::dice::Dice;

/// Texts whose number has this bit have holes.
pub const HOLED: u64 = 1 << 61;

/// A hole, and what is written at once, has so many bytes.
const BLOCK: u64 = 700;
/// Parts are written out of order, but none so many parts early.
const WINDOW: usize = 16;

/// Whether a text has holes.
pub const fn is_holed(salt: u64) -> bool {
    salt & HOLED != 0
}

fn dice(salt: u64) -> Dice {
    Dice::new(salt, "holes")
}

/// The parts of a range of a text, in order, and whether each is a hole.
fn blocks(salt: u64, range: Range<u64>) -> impl Iterator<Item = (Range<u64>, bool)> {
    let dice = dice(salt);
    let (first, last) = (range.start / BLOCK, range.end.div_ceil(BLOCK));
    (first..last).map(move |block| {
        let part = range.start.max(block * BLOCK)..range.end.min((block + 1) * BLOCK);
        (part, is_holed(salt) && dice.throw(block).one_in(3))
    })
}

/// Whether nothing of this range is ever written.
pub fn is_hole(salt: u64, range: Range<u64>) -> bool {
    blocks(salt, range).all(|(_, hole)| hole)
}

/// Bytes of this range that are never written.
pub fn missing(salt: u64, range: Range<u64>) -> u64 {
    blocks(salt, range).filter(|(_, hole)| *hole).map(|(part, _)| part.end - part.start).sum()
}

/// A text with holes on its way out.
#[derive(Clone, Debug)]
pub struct Scattered {
    /// The text's number.
    pub salt: u64,
    text: Bytes,
    /// What is to be written or skipped, in this order.
    left: VecDeque<(Range<u64>, bool)>,
    /// The end is said before all is written.
    early: bool,
    ended: bool,
}

impl Scattered {
    /// The text number `salt` from `start` to `size`.
    pub fn new(salt: u64, start: u64, size: u64) -> Self {
        let mut left: Vec<_> = blocks(salt, start..size).collect();
        let mut dice = dice(salt).fork("order");
        for window in left.chunks_mut(WINDOW) {
            for at in 1..window.len() {
                window.swap(at, dice.below(at as u64 + 1) as usize);
            }
        }
        let text = prose(salt, size as usize);
        Self { salt, text, left: left.into(), early: dice.one_in(2), ended: false }
    }

    /// Writes and skips what the stream takes. Returns whether all is done, the end too.
    ///
    /// # Panics
    /// If something is refused that may be written.
    pub fn pump(&mut self, stream: &mut SendStream<'_>) -> bool {
        // What fills a gap is taken whatever room there is: of the next parts all are tried.
        let mut at = 0;
        while at < WINDOW.min(self.left.len()) {
            let (part, hole) = self.left[at].clone();
            match self.put(stream, part.clone(), hole) {
                Ok(end) if end == part.end => _ = self.left.remove(at),
                Ok(end) => self.left[at].0.start = end,
                Err(WriteError::Blocked) => at += 1,
                Err(error) => {
                    let wrong = matches!(error, WriteError::Overlap | WriteError::OutOfBounds);
                    assert!(!wrong, "a part of a text with holes is refused: {error}");
                    return false;
                }
            }
        }
        if !self.ended && (self.left.is_empty() || self.early) {
            self.ended = stream.finish_at(self.text.len() as u64).is_ok();
        }
        self.ended && self.left.is_empty()
    }

    /// Returns up to where the part is done.
    fn put(
        &self,
        stream: &mut SendStream<'_>,
        part: Range<u64>,
        hole: bool,
    ) -> Result<u64, WriteError> {
        if hole {
            return stream.skip(part.clone()).map(|()| part.end);
        }
        let text = self.text.slice(part.start as usize..part.end as usize);
        stream.write_at(part.start, text).map(|taken| part.start + taken as u64)
    }
}

/// Passes what a reader in order is told that it will never come. Returns how far that reaches.
///
/// # Panics
/// If it will come.
pub fn pass(stream: &mut RecvStream<'_>, salt: u64, read: u64) -> u64 {
    match stream.read(&mut []) {
        Err(ReadError::Skipped(range)) => {
            let told = range.start.max(read)..range.end;
            assert!(is_hole(salt, told), "told as skipped and is none: {range:?}");
            range.end.max(read)
        }
        _ => read,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_text_with_holes_has_some_and_is_told_whole() {
        let (salt, size) = (HOLED | 3, 100_000);
        let lacks = missing(salt, 0..size);
        assert!((20_000..50_000).contains(&lacks), "{lacks}");
        assert_eq!(missing(salt, 0..50_000) + missing(salt, 50_000..size), lacks);
        assert_eq!(missing(3, 0..size), 0, "others have none");
        let mut parts = Vec::from(Scattered::new(salt, 500, size).left);
        assert!(!parts.is_sorted_by_key(|(part, _)| part.start));
        parts.sort_by_key(|(part, _)| part.start);
        let mut at = 500;
        for (part, hole) in parts {
            assert_eq!((part.start, is_hole(salt, part.clone())), (at, hole));
            at = part.end;
        }
        assert_eq!(at, size);
    }
}
