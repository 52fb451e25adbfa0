//! What a half holds behind a gap, and what follows from that (spec `05-streams.md`, 5.7).

use super::super::RecvAccount;
use super::super::state::RecvState;
use super::super::watch::{Load, Stuck};
use super::RecvHalf;
use crate::flow::RecvCredit;

/// Whether what a half holds behind a gap is near its limit.
#[derive(Clone, Copy, Debug)]
#[cfg_attr(any(test, feature = "fingerprint"), derive(Hash))]
pub(super) enum Strain {
    /// It never was.
    Never,
    /// It is: as it stood when that began.
    Now(Load),
    /// It was. Nobody is told a second time.
    Before(Load),
}

impl RecvHalf {
    /// Whether the peer owes more than bytes that it may not have yet: what fills a gap, or OPEN.
    pub(in crate::stream) fn is_stuck(&self) -> bool {
        self.state == RecvState::Unannounced || self.behind_gap() > 0
    }

    /// Bytes that came and lie above a gap that may still be filled, whoever has them by now.
    pub(in crate::stream) fn out_of_order(&self) -> u64 {
        if self.state.is_receiving() && !self.is_stopped() { self.above_gap() } else { 0 }
    }

    fn above_gap(&self) -> u64 {
        let contiguous = self.assembler.contiguous_end().max(self.start) - self.start;
        self.came.saturating_sub(contiguous)
    }

    fn behind_gap(&self) -> u64 {
        if self.assembler.is_by_arrival() { 0 } else { self.above_gap() }
    }

    /// What is held behind a gap. A reader in order of arrival leaves nothing behind one.
    fn load(&self, buffer: u64, connection: &RecvCredit) -> Load {
        Load {
            buffered: self.behind_gap(),
            limit: buffer.max(self.credit.held() + self.credit.outstanding()),
            ranges: self.assembler.ranges() as u64,
            max_ranges: self.credit.range_limit(connection),
        }
    }

    /// Weighs what is held; returns whether the limit has come near for the first time. While it is
    /// near the stream is granted nothing, and asked for what it does not use.
    pub(in crate::stream) fn weigh(&mut self, buffer: u64, account: &mut RecvAccount<'_>) -> bool {
        let strained = matches!(self.strain, Strain::Now(_));
        if !strained && self.assembler.ranges() <= 1 && self.behind_gap() == 0 {
            return false;
        }
        let load = self.load(buffer, account.credit);
        match self.strain {
            Strain::Never | Strain::Before(_) if load.is_near() && self.is_waited_for() => {
                let first = matches!(self.strain, Strain::Never);
                self.strain = Strain::Now(load);
                self.credit.pause(account.credit);
                first
            }
            Strain::Now(then) if load.is_far() => {
                self.strain = Strain::Before(then);
                self.credit.resume(account.credit, account.budget);
                false
            }
            _ => false,
        }
    }

    /// How it stood when the limit came near.
    pub(in crate::stream) fn strain(&self) -> Option<Load> {
        match self.strain {
            Strain::Now(load) | Strain::Before(load) => Some(load),
            Strain::Never => None,
        }
    }

    /// Why this side ended it.
    pub(in crate::stream) fn stuck(&self) -> Option<Stuck> {
        self.stuck
    }

    /// Nothing has moved for too long.
    pub(in crate::stream) fn end_stuck(&mut self, buffer: u64, account: &mut RecvAccount<'_>) {
        let Load { buffered, limit, .. } = self.load(buffer, account.credit);
        let why = match self.strain {
            Strain::Now(_) => Stuck::Overflow { buffered, limit },
            _ => Stuck::Timeout,
        };
        self.stuck = Some(why);
        self.stop(why.code(), 0, account);
    }
}
