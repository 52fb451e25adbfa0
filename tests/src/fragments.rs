//! A body cut into fragments, and the order in which they arrive.

use bytes::Bytes;

/// 10 MiB make 7,688 of them.
pub const FRAGMENT: usize = 1364;

/// In which order fragments arrive.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Order {
    /// As they lie in the body.
    Ascending,
    /// The same shuffle in each ten: 0, 3, 6, 9, 2, 5, 8, 1, 4, 7.
    Shuffled,
    /// The same shuffle in each 32, as many as a driver finds at once: 0, 11, 22, 1, 12, ..., 21.
    Batches,
    /// The last one first.
    Reverse,
}

impl Order {
    /// All of them.
    pub const ALL: [Self; 4] = [Self::Ascending, Self::Shuffled, Self::Batches, Self::Reverse];

    /// For a table.
    pub fn name(self) -> &'static str {
        match self {
            Self::Ascending => "in order",
            Self::Shuffled => "by 10",
            Self::Batches => "by 32",
            Self::Reverse => "reverse",
        }
    }

    /// The fragments of `body` with their numbers, as they arrive.
    pub fn cut(self, body: &Bytes) -> Vec<(usize, Bytes)> {
        let starts = (0..body.len()).step_by(FRAGMENT);
        let part = |at: usize| body.slice(at..(at + FRAGMENT).min(body.len()));
        let mut fragments: Vec<_> = starts.map(part).enumerate().collect();
        match self {
            Self::Ascending => {}
            Self::Reverse => fragments.reverse(),
            Self::Shuffled => shuffle(&mut fragments, 10, 3),
            Self::Batches => shuffle(&mut fragments, 32, 11),
        }
        fragments
    }
}

/// In each `count` every `step`th, around and around: the two have no common divisor.
fn shuffle<T: Clone>(all: &mut [T], count: usize, step: usize) {
    all.chunks_mut(count).for_each(|chunk| {
        let len = chunk.len();
        let taken: Vec<_> = chunk.to_vec();
        let places = (0..count).map(|n| n * step % count).filter(|place| *place < len);
        places.zip(chunk).for_each(|(place, to)| *to = taken[place].clone());
    });
}
