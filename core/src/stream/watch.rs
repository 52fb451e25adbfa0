//! Streams whose bytes stopped coming: who is watched, until when, and what becomes of them.
//!
//! Memory is bounded by credit already, so a stream that holds much out of order and does not move
//! is not a danger to the node but *stuck*: it keeps credit that others could use. When what it
//! holds comes near a limit it gets no more credit, is asked for what it does not use, and the
//! application hears of it, once. When nothing moves for as long as the configuration allows, it is
//! ended (spec `05-streams.md`, 5.7).
//!
//! A watch says when to look at a stream again, and is not touched by what happens meanwhile: each
//! look finds out when the next is due.

use alloc::collections::BTreeSet;
use core::time::Duration;

use super::recv::RecvHalf;
use super::table::{ENDED, STRAINED, Slot};
use super::{RecvAccount, StreamConfig, Streams};
use crate::error::StreamCode;
use crate::time::Instant;
use crate::wire::id::{AppCode, StreamId};

/// Why this side ended a stream that did not move.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Stuck {
    /// Nothing came and nothing was read for too long.
    Timeout,
    /// The same, while it held nearly as much out of order as it may.
    Overflow {
        /// Bytes that it held behind a gap.
        buffered: u64,
        /// What it may hold, in bytes.
        limit: u64,
    },
}

impl Stuck {
    /// What the sender is told.
    pub const fn code(self) -> AppCode {
        match self {
            Self::Timeout => StreamCode::Timeout.app(),
            Self::Overflow { .. } => StreamCode::BufferOverflow.app(),
        }
    }
}

/// How much a stream holds behind a gap, and may hold.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[cfg_attr(any(test, feature = "fingerprint"), derive(Hash))]
pub(super) struct Load {
    pub(super) buffered: u64,
    pub(super) limit: u64,
    pub(super) ranges: u64,
    pub(super) max_ranges: u64,
}

impl Load {
    /// Whether either comes near its limit: three quarters of it.
    pub(super) const fn is_near(self) -> bool {
        self.buffered.saturating_mul(4) >= self.limit.saturating_mul(3)
            || self.ranges.saturating_mul(4) >= self.max_ranges.saturating_mul(3)
    }

    /// Whether both are far from theirs again: below a half.
    pub(super) const fn is_far(self) -> bool {
        self.buffered.saturating_mul(2) < self.limit
            && self.ranges.saturating_mul(2) < self.max_ranges
    }
}

/// When to look at which stream.
#[derive(Clone, Debug, Default)]
#[cfg_attr(any(test, feature = "fingerprint"), derive(Hash))]
pub(super) struct Watch(BTreeSet<(Instant, u64)>);

impl Watch {
    fn enter(&mut self, slot: &mut Slot, at: Instant) {
        self.leave(slot);
        slot.watched = Some(at);
        self.0.insert((at, slot.id.0));
    }

    /// Bytes of a stream came: it is watched from now on, and what it holds is weighed.
    pub(super) fn weigh(
        &mut self,
        slot: &mut Slot,
        config: &StreamConfig,
        account: &mut RecvAccount<'_>,
    ) {
        // It has just moved, so it is due later than before, unless it has come to be stuck.
        let begins = config.timeout.is_some() && slot.watched.is_none();
        let sooner = begins || slot.recv.as_ref().is_some_and(RecvHalf::is_stuck);
        if sooner
            && let Some(due) = slot.due(config)
            && slot.watched.is_none_or(|at| at > due)
        {
            self.enter(slot, due);
        }
        if slot.recv.as_mut().is_some_and(|half| half.weigh(config.buffer, account)) {
            slot.news |= STRAINED;
        }
    }

    pub(super) fn leave(&mut self, slot: &mut Slot) {
        if let Some(at) = slot.watched.take() {
            self.0.remove(&(at, slot.id.0));
        }
    }

    fn first(&self) -> Option<(Instant, StreamId)> {
        self.0.first().map(|&(at, id)| (at, StreamId(id)))
    }
}

impl Streams {
    /// When [`on_deadline`](Self::on_deadline) has a stream to look at.
    pub fn deadline(&self) -> Option<Instant> {
        self.watch.first().map(|(at, _)| at)
    }

    /// Ends the streams that have not moved for too long. Each is told to its sender by STOP, and
    /// to the application by an event.
    pub fn on_deadline(&mut self, account: &mut RecvAccount<'_>) {
        while let Some((_, id)) = self.watch.first().filter(|(at, _)| *at <= account.now) {
            let Some(slot) = self.table.get_mut(id) else {
                self.watch.0.pop_first();
                continue;
            };
            match slot.due(&self.config) {
                None => self.watch.leave(slot),
                Some(due) if due > account.now => self.watch.enter(slot, due),
                Some(_) => {
                    self.watch.leave(slot);
                    if let Some(half) = &mut slot.recv {
                        half.end_stuck(self.config.buffer, account);
                        slot.news |= ENDED;
                        if let (Some(why), false) = (half.stuck(), slot.failed) {
                            slot.failed = true;
                            self.stats.errors.count(why.code());
                        }
                    }
                    if self.file(id) {
                        self.retire(id, account);
                    }
                }
            }
        }
    }
}

impl Slot {
    /// When it has not moved for too long, if it waits for bytes and nothing comes.
    fn due(&self, config: &StreamConfig) -> Option<Instant> {
        let half = self.recv.as_ref().filter(|half| half.is_waited_for())?;
        let stuck = config.stuck_timeout.filter(|_| half.is_stuck());
        let patience = config.timeout.into_iter().chain(stuck).min()?;
        Some(half.moved() + patience)
    }
}

/// How long, and how much.
pub(super) const DEFAULT_BUFFER: u64 = 10 * 1024 * 1024;
/// Streams are not ended by the clock, unless the configuration says so, or they are stuck.
pub(super) const DEFAULT_TIMEOUT: Option<Duration> = None;
/// An honest peer fills a gap within round trips. As long as a pipe waits (spec R-PIPE-17).
pub(crate) const DEFAULT_STUCK_TIMEOUT: Option<Duration> = Some(Duration::from_secs(120));
