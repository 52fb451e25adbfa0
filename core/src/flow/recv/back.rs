//! Credit on its way back: what to ask for, and what to do with the answers.

use core::time::Duration;

use crate::error::{TransportCode, Violation};
use crate::flow::budget::Budget;
use crate::flow::stream::StreamCredit;
use crate::time::Instant;
use crate::wire::id::{CreditTarget, Dir};

use super::RecvCredit;

/// ```text
///   ask_back ─▶ RECALL counts, streams ─▶ RETURNED: free ─▶ RECALL connection ─▶ RETURNED:
///              what is free already ──────────────────────▶              M − V falls
/// ```
///
/// The connection's limit is only asked for what lies free, so the invariants hold at each step.
impl RecvCredit {
    /// CREDIT_RETURNED for the connection or a stream count.
    ///
    /// # Errors
    ///
    /// `FlowControl` if more comes back than was asked for, or than can be unused. Nothing changes.
    pub fn on_returned(
        &mut self,
        target: CreditTarget,
        total: u64,
        budget: &mut Budget,
    ) -> Result<(), Violation> {
        match target {
            CreditTarget::Connection => self.on_data_returned(total, budget)?,
            CreditTarget::Streams(dir) => {
                let counts = self.counts_mut(dir);
                if total > counts.asked || counts.limit - total < counts.highest {
                    return Err(RETURNED_TOO_MUCH);
                }
                counts.returned = counts.returned.max(total);
                self.recalls.settle(target);
                self.raise_count(dir, budget);
            }
            CreditTarget::Stream(_) => debug_assert!(false, "streams answer for themselves"),
        }
        self.progress(budget);
        self.debug_check();
        Ok(())
    }

    fn on_data_returned(&mut self, total: u64, budget: &mut Budget) -> Result<(), Violation> {
        if total > self.asked {
            return Err(RETURNED_TOO_MUCH);
        }
        let back = total.saturating_sub(self.returned);
        self.returned += back;
        if self.returned == self.asked {
            self.recalls.settle(CreditTarget::Connection);
        }
        let paid = budget.repay(&mut self.share, back.min(self.goal));
        self.goal -= paid;
        Ok(())
    }

    /// Asks the peer for `amount` bytes of unused credit, given all streams that are open. First
    /// what is free, then streams that it may open, then what open streams have beyond a first
    /// credit. Answers free credit, which is then asked back from the connection's limit and goes
    /// to the pool.
    pub fn ask_back<'a>(
        &mut self,
        amount: u64,
        streams: impl IntoIterator<Item = &'a mut StreamCredit>,
        budget: &mut Budget,
    ) {
        if self.goal > 0 {
            return;
        }
        let surplus = self.surplus().min(amount);
        let surplus = budget.repay(&mut self.share, surplus);
        self.goal = (amount - surplus).min(self.share.lent());
        let mut missing = self.goal.saturating_sub(self.free());
        if missing > 0 {
            missing = missing.saturating_sub(self.own.reserve * self.stream_credit);
            self.own.reserve = 0;
        }
        for dir in [Dir::Uni, Dir::Bi] {
            missing = missing.saturating_sub(self.ask_count(dir, missing));
        }
        for stream in streams {
            if missing == 0 {
                break;
            }
            missing = missing.saturating_sub(stream.ask_back(missing, self));
        }
        self.progress(budget);
        self.debug_check();
    }

    /// Asks for as many unopened streams as `missing` bytes come to; says for how many bytes.
    fn ask_count(&mut self, dir: Dir, missing: u64) -> u64 {
        let wanted = missing.div_ceil(self.stream_credit.max(1));
        let counts = self.counts_mut(dir);
        let n = wanted.min(counts.unopened().saturating_sub(1));
        if n == 0 || self.recalls.is_asked(CreditTarget::Streams(dir)) {
            return 0;
        }
        let counts = self.counts_mut(dir);
        counts.asked = counts.asked.max(counts.returned + n);
        counts.window = (counts.window_used() - n).max(1);
        let total = counts.asked;
        self.recalls.ask(CreditTarget::Streams(dir), total);
        n * self.stream_credit
    }

    /// About how many bytes the peer could be asked for: what is lent to us and not in use, less
    /// the initial credit of each open stream and of one more of each kind. 0 while a recall is
    /// under way.
    pub fn recallable(&self) -> u64 {
        if self.goal > 0 || !self.recalls.is_empty() {
            return 0;
        }
        let open = self.bidi.open() + self.uni.open() + self.own.open;
        let kept = self.promised.min(open * self.stream_credit)
            + (self.bidi.unopened().min(1) + self.uni.unopened().min(1)) * self.stream_credit
            + self.connection_asking();
        let unused = self.limit - self.returned - self.used;
        (unused.saturating_sub(kept) + self.surplus()).min(self.share.lent())
    }

    /// When a recall's answer is overdue, if one may come so long after the question was
    /// acknowledged.
    pub fn deadline(&self, patience: Duration) -> Option<Instant> {
        self.recalls.deadline(patience)
    }

    /// Fires what is due.
    ///
    /// # Errors
    ///
    /// `CreditRecall` if the peer acknowledged a recall and did not answer it for so long (spec
    /// R-FLOW-22).
    pub fn on_deadline(&mut self, patience: Duration, now: Instant) -> Result<(), Violation> {
        if self.deadline(patience).is_some_and(|at| at <= now) {
            return Err(Violation::new(
                TransportCode::CreditRecall,
                "no answer to a credit recall",
            ));
        }
        Ok(())
    }

    /// What comes next in a recall, and what the share no longer needs.
    pub(super) fn progress(&mut self, budget: &mut Budget) {
        if self.goal > 0 {
            let ask = self.free().min(self.goal);
            if ask > 0 && !self.recalls.is_asked(CreditTarget::Connection) {
                self.asked += ask;
                self.recalls.ask(CreditTarget::Connection, self.asked);
            }
            if self.recalls.is_empty() {
                self.goal = 0;
            }
        }
        let surplus = self.surplus();
        budget.repay(&mut self.share, surplus);
        self.stir(budget);
    }
}

const RETURNED_TOO_MUCH: Violation =
    Violation::new(TransportCode::FlowControl, "more credit given back than was unused");
