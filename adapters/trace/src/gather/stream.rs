//! A stream, as its frames and calls tell of it.

use aqueduct_core::range_set::RangeSet;
use aqueduct_core::trace::Way;
use aqueduct_core::wire::frame::StreamFrame;
use aqueduct_core::wire::id::StreamId;

use super::curve::Curve;
use super::lane::Lane;

/// Ranges that are remembered of a stream; with more, what was sent again is not told apart.
const MOST_RANGES: usize = 4_096;

/// Slices of the curve of a stream's bytes.
const PATH: usize = 400;

/// A stream. Times are microseconds since the run began, sizes bytes of its body.
#[derive(Debug)]
pub(crate) struct Stream {
    pub(crate) id: StreamId,
    pub(crate) protocol: Option<String>,
    pub(crate) size: Option<u64>,
    pub(crate) from: u64,
    pub(crate) until: u64,
    /// New bytes, there and back.
    pub(crate) moved: [u64; 2],
    /// The same over time; and when the first and the last of them did.
    pub(crate) paths: [Curve; 2],
    pub(crate) edges: [Option<(u64, u64)>; 2],
    /// Bytes that went, or came, more than once.
    pub(crate) again: [u64; 2],
    /// The last byte went, or came.
    pub(crate) fin: [Option<u64>; 2],
    pub(crate) lane: Lane,
    /// What became of it: when, and in words.
    pub(crate) marks: Vec<(u64, &'static str)>,
    seen: [RangeSet; 2],
}

/// Marks of a stream, at most.
const MOST_MARKS: usize = 24;

impl Stream {
    pub(crate) fn new(id: StreamId, span: u64, now: u64) -> Self {
        Self {
            id,
            protocol: None,
            size: None,
            from: now,
            until: now,
            moved: [0; 2],
            paths: [Curve::new(span, PATH), Curve::new(span, PATH)],
            edges: [None; 2],
            again: [0; 2],
            fin: [None; 2],
            lane: Lane::new(span),
            marks: Vec::new(),
            seen: [RangeSet::new(), RangeSet::new()],
        }
    }

    /// Bytes of it went or came. Gives how many of them had before.
    pub(crate) fn on_frame(&mut self, frame: &StreamFrame<'_>, way: Way, now: u64) -> u64 {
        let side = usize::from(way == Way::Received);
        self.until = now;
        let len = frame.data.len() as u64;
        let (Some(seen), Some(fin)) = (self.seen.get_mut(side), self.fin.get_mut(side)) else {
            return 0;
        };
        if frame.fin {
            fin.get_or_insert(now);
        }
        let new = match seen.count() < MOST_RANGES {
            true => seen.insert(frame.offset..frame.offset.saturating_add(len)),
            false => len,
        };
        self.lane.add(now, way, len);
        self.on_new(side, new, now);
        add(&mut self.again, side, len - new);
        len - new
    }

    /// The application gave, or took, as many: of a run of which no packet was opened.
    pub(crate) fn on_call(&mut self, way: Way, bytes: u64, now: u64) {
        self.until = now;
        self.lane.add(now, way, bytes);
        self.on_new(usize::from(way == Way::Received), bytes, now);
    }

    fn on_new(&mut self, side: usize, bytes: u64, now: u64) {
        add(&mut self.moved, side, bytes);
        let (Some(moved), Some(path)) = (self.moved.get(side), self.paths.get_mut(side)) else {
            return;
        };
        path.set(now, *moved);
        if let Some(edges) = self.edges.get_mut(side).filter(|_| bytes > 0) {
            *edges = Some((edges.map_or(now, |(first, _)| first), now));
        }
    }

    /// Something became of it.
    pub(crate) fn mark(&mut self, what: &'static str, now: u64) {
        self.until = self.until.max(now);
        if self.marks.len() < MOST_MARKS {
            self.marks.push((now, what));
        }
    }

    /// All its bytes.
    pub(crate) fn bytes(&self) -> u64 {
        self.moved.iter().fold(0, |all, side| all.saturating_add(*side))
    }
}

fn add(both: &mut [u64; 2], side: usize, bytes: u64) {
    if let Some(one) = both.get_mut(side) {
        *one = one.saturating_add(bytes);
    }
}
