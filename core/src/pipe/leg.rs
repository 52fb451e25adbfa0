//! One way out of a pipe.

use alloc::collections::BTreeMap;
use core::ops::Range;

use crate::stream::{SendStream, WriteError};
use crate::time::Instant;

use super::Item;
use super::late::Start;
use super::options::{LegEnd, LegIndex, LegPath, LegPolicy};

/// Those that have not ended, by number.
pub(super) type Legs = BTreeMap<LegIndex, Leg>;

/// How far one leg is.
#[derive(Clone, Debug, Default)]
#[cfg_attr(any(test, feature = "fingerprint"), derive(Hash))]
pub(super) struct Leg {
    pub(super) policy: LegPolicy,
    /// What of the body it gets.
    pub(super) range: Range<u64>,
    /// Number of the next item of the pipe's log that it gets; `None` until the pipe has met
    /// it once.
    pub(super) next: Option<u64>,
    /// All below was acknowledged, or released by the application.
    pub(super) acked: u64,
    /// Bytes that its stream was given, and those of them that it is known to have sent.
    given: u64,
    pub(super) sent: u64,
    /// Where the application reads, if this is its leg.
    pub(super) read: u64,
    /// It has read the end of the body, too.
    pub(super) read_end: bool,
    application: bool,
    /// Bytes wait for its credit.
    pub(super) blocked: bool,
    pub(super) path: LegPath,
    /// Since when it has been further behind than it may.
    pub(super) behind_since: Option<Instant>,
    pub(super) start: Start,
    /// It is to be given up.
    pub(super) doomed: bool,
    /// Its end was passed on: so it ends once that is acknowledged.
    pub(super) closing: Option<LegEnd>,
}

impl Leg {
    /// A leg that is a stream.
    pub(super) fn new(policy: LegPolicy, range: Range<u64>) -> Self {
        let acked = range.start;
        Self { policy, range, acked, ..Self::default() }
    }

    /// The application as a leg, which reads from `start`.
    pub(super) fn application(policy: LegPolicy, start: u64) -> Self {
        Self { read: start, application: true, ..Self::new(policy, start..u64::MAX) }
    }

    pub(super) fn is_application(&self) -> bool {
        self.application
    }

    /// Where the application reads on: above what it was given, if what follows that was skipped
    /// and let go.
    pub(super) fn reads_on(&self) -> u64 {
        self.read.max(self.acked)
    }

    /// Whether items of the log are kept for it.
    pub(super) fn follows_log(&self) -> bool {
        !self.application && self.next.is_some() && self.closing.is_none()
    }

    /// All below is nothing to it any more.
    pub(super) fn through(&self) -> u64 {
        if self.acked >= self.range.end { u64::MAX } else { self.acked }
    }

    /// Passes an item on, as far as it lies in the leg's range.
    pub(super) fn pass(&mut self, item: &Item, out: &mut SendStream<'_>) -> Result<(), WriteError> {
        let whole = item.range();
        let part = whole.start.max(self.range.start)..whole.end.min(self.range.end);
        if part.is_empty() {
            return Ok(());
        }
        match item {
            Item::Skip(_) => out.skip(part),
            Item::Bytes(chunk) => {
                let from = (part.start - whole.start) as usize;
                let to = (part.end - whole.start) as usize;
                let data = chunk.data.slice(from..to);
                let len = data.len() as u64;
                out.forward(part.start, data)?;
                self.given += len;
                Ok(())
            }
        }
    }

    /// Bytes that its stream has sent in all, when it ends so. A stream that has come to its end is
    /// not there to say it.
    pub(super) fn sent_in_all(&self, end: LegEnd) -> u64 {
        let whole = self.given.min(self.range.end.saturating_sub(self.range.start));
        if self.closing == Some(end) { self.sent.max(whole) } else { self.sent }
    }

    /// How much further behind it may be than the furthest leg; `None`: as far as it likes.
    pub(super) fn allowance(&self, window: u64) -> Option<u64> {
        match self.policy {
            LegPolicy::Stall => None,
            LegPolicy::Detach { allowance } => Some(allowance.min(window / 2)),
        }
    }
}
