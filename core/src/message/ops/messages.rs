//! Messages that are coming beside a plain table of streams.

#![expect(clippy::panic, reason = "a harness says no by panicking")]

use alloc::collections::{BTreeMap, VecDeque};
use core::time::Duration;

use arbitrary::Arbitrary;

use crate::message::{Evicted, MessageLimits, Messages, Outgoing, Progress};
use crate::time::Instant;
use crate::wire::id::{Dir, Side, StreamId};

const MAX_SIZE: u64 = 1_000;
const MAX_PARTIAL: usize = 4;
const IDLE: Duration = Duration::from_millis(100);

/// One thing that happens. Streams are numbered in the order in which they were opened.
#[derive(Arbitrary, Clone, Copy, Debug, PartialEq, Eq)]
pub enum Op {
    /// A stream says that it is a message, of so many bytes.
    Open {
        /// What it says, if it does.
        size: Option<u16>,
        /// On a bidirectional stream, which no message is.
        bidi: bool,
    },
    /// More bytes of one came, some of them behind a gap, perhaps its end.
    Progress {
        /// Which.
        of: u8,
        /// Bytes without a gap.
        more: u16,
        /// Bytes behind a gap.
        ahead: u16,
        /// Whether the end is known now.
        end: bool,
    },
    /// The sender gives one up.
    Reset(u8),
    /// The application takes one.
    Take,
    /// So many milliseconds pass.
    Wait(u8),
}

#[derive(Clone, Copy, Debug)]
struct Stream {
    announced: Option<u64>,
    arrived: u64,
    highest: u64,
    end: Option<u64>,
    since: Instant,
}

struct World {
    messages: Messages,
    now: Instant,
    opened: u64,
    coming: BTreeMap<StreamId, Stream>,
    whole: VecDeque<StreamId>,
    given_up: u64,
}

/// Does all of it to both.
///
/// # Panics
///
/// If the machine and the table differ.
pub fn run(ops: &[Op]) {
    let limits = MessageLimits { max_size: MAX_SIZE, max_partial: MAX_PARTIAL };
    let mut world = World {
        messages: Messages::new(limits),
        now: Instant::from_nanos(1),
        opened: 0,
        coming: BTreeMap::new(),
        whole: VecDeque::new(),
        given_up: 0,
    };
    ops.iter().for_each(|op| world.step(*op));
}

impl World {
    fn step(&mut self, op: Op) {
        match op {
            Op::Open { size, bidi } => self.open(size.map(|size| u64::from(size % 1_100)), bidi),
            Op::Progress { of, more, ahead, end } => {
                let Some(id) = self.nth(of) else { return };
                self.progress(id, u64::from(more % 600), u64::from(ahead % 600), end);
            }
            Op::Reset(of) => {
                let whole = self.whole.front().copied().filter(|_| of % 4 == 0);
                let Some(id) = whole.or_else(|| self.nth(of)) else { return };
                // What is whole stays, unless nobody may have it.
                match of % 8 {
                    0 => {
                        self.messages.on_refused(id);
                        self.whole.retain(|other| *other != id);
                    }
                    _ => {
                        let whole = self.whole.contains(&id);
                        assert_eq!(self.messages.on_reset(id), !whole, "whole, or given up");
                    }
                }
                self.coming.remove(&id);
            }
            Op::Take => assert_eq!(self.messages.take_whole(), self.whole.pop_front()),
            Op::Wait(ms) => {
                self.now = self.now + Duration::from_millis(ms.into());
                while let Some(Evicted(id)) = self.messages.on_deadline(IDLE, self.now) {
                    let silent = self.longest().filter(|(_, since)| *since + IDLE <= self.now);
                    assert_eq!(silent.map(|(id, _)| id), Some(id), "given up too early");
                    self.forget(id);
                }
            }
        }
        let first = self.longest().map(|(_, since)| since + IDLE);
        assert_eq!(self.messages.deadline(IDLE), first);
        assert_eq!(self.messages.partial(), self.coming.len());
        assert!(self.coming.len() <= MAX_PARTIAL);
        assert_eq!(self.messages.is_readable(), !self.whole.is_empty());
        assert_eq!(self.messages.evicted(), self.given_up);
    }

    fn nth(&self, of: u8) -> Option<StreamId> {
        self.coming.keys().nth(usize::from(of).checked_rem(self.coming.len())?).copied()
    }

    /// The one that waits longest.
    fn longest(&self) -> Option<(StreamId, Instant)> {
        let all = self.coming.iter().map(|(id, stream)| (stream.since, *id));
        all.min().map(|(since, id)| (id, since))
    }

    fn forget(&mut self, id: StreamId) {
        self.coming.remove(&id);
        self.given_up += 1;
    }

    fn open(&mut self, size: Option<u64>, bidi: bool) {
        let dir = if bidi { Dir::Bi } else { Dir::Uni };
        let id = StreamId::new(Side::Initiator, dir, self.opened);
        self.opened += 1;
        let Ok(outgoing) = Outgoing::new(bytes::Bytes::new(), 0) else { return };
        let mut open = outgoing.open(id);
        open.size = size;
        let longest = self.longest().filter(|_| self.coming.len() == MAX_PARTIAL);
        let outcome = self.messages.on_open(&open, self.now);
        if bidi || size.is_some_and(|size| size > MAX_SIZE) {
            return assert!(outcome.is_err(), "it can be no message");
        }
        assert_eq!(outcome, Ok(longest.map(|(id, _)| Evicted(id))));
        longest.into_iter().for_each(|(id, _)| self.forget(id));
        let since = self.now;
        let fresh = Stream { announced: size, arrived: 0, highest: 0, end: None, since };
        self.coming.insert(id, fresh);
    }

    fn progress(&mut self, id: StreamId, more: u64, ahead: u64, end: bool) {
        let Some(stream) = self.coming.get_mut(&id) else { return };
        let most = stream.end.unwrap_or(u64::MAX);
        stream.highest = stream.highest.max((stream.arrived + more + ahead).min(most));
        let arrived = (stream.arrived + more).min(most);
        if arrived > stream.arrived {
            (stream.arrived, stream.since) = (arrived, self.now);
        }
        stream.end = stream.end.or_else(|| end.then_some(stream.highest));
        let Stream { announced, arrived, highest, end, .. } = *stream;
        let outcome = self.messages.on_progress(id, arrived, highest, end, self.now);
        let wrong = highest > MAX_SIZE
            || announced.is_some_and(|size| highest > size || end.is_some_and(|end| end != size));
        match outcome {
            Err(_) => assert!(wrong, "an honest message is refused"),
            Ok(Some(Progress::Whole)) => {
                assert!(!wrong && end == Some(arrived));
                self.whole.push_back(id);
            }
            Ok(Some(Progress::Partial)) => return assert!(!wrong && end != Some(arrived)),
            Ok(None) => panic!("it forgot {id:?}"),
        }
        self.coming.remove(&id);
    }
}
