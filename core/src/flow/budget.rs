//! The endpoint's budget: floors that are set apart, and a pool that is lent.

use alloc::vec::Vec;
use core::time::Duration;

use thiserror::Error;

use crate::time::Instant;

/// Bytes set apart for every connection (spec R-FLOW-4).
pub const FLOOR: u64 = 16 * 1024;

/// What one stream may have at first, times a hundred: the most that a new connection is lent.
const MAX_INITIAL: u64 = 100 * 16 * 1024;

/// A new connection is lent at most this part of what the pool has left.
const INITIAL_PART: u64 = 64;

/// Recalls are planned at most this often.
const PLAN_INTERVAL: Duration = Duration::from_millis(100);

/// A connection that moved no data for this long counts as idle.
const IDLE_AFTER: Duration = Duration::from_secs(1);

/// The sizes of a [`Budget`], checked against each other.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[cfg_attr(any(test, feature = "fingerprint"), derive(Hash))]
pub struct BudgetLimits {
    total: u64,
    max_connections: u32,
    floor: u64,
}

impl BudgetLimits {
    /// A budget of `total` bytes for at most `max_connections` connections with the usual
    /// [`FLOOR`].
    ///
    /// # Errors
    ///
    /// [`BudgetError::FloorsTooLarge`] if the floors of all connections took more than half of it.
    pub const fn new(total: u64, max_connections: u32) -> Result<Self, BudgetError> {
        Self::with_floor(total, max_connections, FLOOR)
    }

    /// The same with another floor, in bytes.
    ///
    /// # Errors
    ///
    /// [`BudgetError::FloorsTooLarge`] as above, [`BudgetError::FloorTooSmall`] below 4,096 bytes
    /// and [`BudgetError::NoConnections`] for none.
    pub const fn with_floor(
        total: u64,
        max_connections: u32,
        floor: u64,
    ) -> Result<Self, BudgetError> {
        if max_connections == 0 {
            return Err(BudgetError::NoConnections);
        }
        if floor < 4096 {
            return Err(BudgetError::FloorTooSmall { floor });
        }
        let floors = floor.saturating_mul(max_connections as u64);
        if floors > total / 2 {
            return Err(BudgetError::FloorsTooLarge { total, max_connections, floor, floors });
        }
        Ok(Self { total, max_connections, floor })
    }

    /// All bytes, floors and pool.
    pub const fn total(self) -> u64 {
        self.total
    }

    /// Connections at most.
    pub const fn max_connections(self) -> u32 {
        self.max_connections
    }

    /// Bytes set apart for each connection.
    pub const fn floor(self) -> u64 {
        self.floor
    }

    const fn pool(self) -> u64 {
        self.total - self.floor * self.max_connections as u64
    }
}

/// 256 MiB for 4,096 connections.
impl Default for BudgetLimits {
    fn default() -> Self {
        Self { total: 256 * 1024 * 1024, max_connections: 4096, floor: FLOOR }
    }
}

/// A budget that cannot be kept.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
#[non_exhaustive]
pub enum BudgetError {
    /// The floors of all connections must leave half of the budget to the pool.
    #[error(
        "max_connections = {max_connections} with a floor of {floor} bytes each sets {floors} \
         bytes apart, more than half of budget = {total} bytes: lower max_connections to {} or \
         raise budget to {} bytes",
        total / 2 / floor,
        floors.saturating_mul(2)
    )]
    FloorsTooLarge {
        /// The setting `budget`, in bytes.
        total: u64,
        /// The setting `max_connections`.
        max_connections: u32,
        /// The setting `floor`, in bytes.
        floor: u64,
        /// What they come to.
        floors: u64,
    },
    /// A connection needs some room to do anything.
    #[error("floor = {floor} bytes is too small: a connection needs at least 4096 bytes")]
    FloorTooSmall {
        /// The setting `floor`, in bytes.
        floor: u64,
    },
    /// There must be a connection.
    #[error("max_connections = 0: at least one connection must be allowed")]
    NoConnections,
}

/// A connection's part of the budget. Goes back by [`Budget::close`], and must.
#[derive(Clone, Debug, PartialEq, Eq)]
#[cfg_attr(any(test, feature = "fingerprint"), derive(Hash))]
pub struct Share {
    size: u64,
    floor: u64,
}

impl Share {
    /// Bytes that the connection may make available to its peer, and hold.
    pub const fn size(&self) -> u64 {
        self.size
    }

    /// Bytes of it that are never taken back.
    pub const fn floor(&self) -> u64 {
        self.floor
    }

    /// Bytes of it that are lent from the pool.
    pub const fn lent(&self) -> u64 {
        self.size - self.floor
    }
}

/// Bytes of the pool that no connection has: what a pipe still holds of a source that is gone. Goes
/// back by [`Budget::settle`], and must.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
#[cfg_attr(any(test, feature = "fingerprint"), derive(Hash))]
pub struct Loan(u64);

/// One connection as seen when credit is to be recalled.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Candidate<K> {
    /// Names the connection to the caller.
    pub key: K,
    /// Bytes that may be asked back of it ([`super::RecvCredit::recallable`]).
    pub recallable: u64,
    /// Bytes that it was lent ([`Share::lent`]).
    pub lent: u64,
    /// When it last moved data ([`super::RecvCredit::active_at`]).
    pub active_at: Instant,
}

/// Memory of one endpoint that peers can make it hold: floors, and a pool lent by demand.
///
/// `open` sets a floor apart and lends a first grant, `borrow` and `repay` move bytes between the
/// pool and a share, `close` takes all of it back. Lending keeps a dynamic threshold: no share may
/// hold more of the pool than stays free, so a newcomer always finds something.
#[derive(Clone, Debug)]
#[cfg_attr(any(test, feature = "fingerprint"), derive(Hash))]
pub struct Budget {
    limits: BudgetLimits,
    connections: u32,
    lent: u64,
    /// The part of it that is lent to no connection.
    loans: u64,
    short: u64,
    planned_at: Option<Instant>,
    freed: bool,
    awaited: bool,
}

impl Budget {
    /// Everything free.
    pub const fn new(limits: BudgetLimits) -> Self {
        Self {
            limits,
            connections: 0,
            lent: 0,
            loans: 0,
            short: 0,
            planned_at: None,
            freed: false,
            awaited: false,
        }
    }

    /// A share for a new connection: its floor, and from the pool as much as makes
    /// `clamp(free / 64, floor, 1,600 KiB)` of it (spec R-FLOW-5). `None` if there are
    /// `max_connections` already: the stranger is refused as busy.
    pub fn open(&mut self) -> Option<Share> {
        if self.connections >= self.limits.max_connections {
            return None;
        }
        let floor = self.limits.floor;
        let size = (self.free() / INITIAL_PART).min(MAX_INITIAL).max(floor);
        self.connections += 1;
        self.lent += size - floor;
        self.debug_check();
        Some(Share { size, floor })
    }

    /// Takes a share back, and its place among the connections.
    pub fn close(&mut self, share: Share) {
        self.give_back(share.lent());
        self.connections = self.connections.saturating_sub(1);
        self.debug_check();
    }

    /// Lends `share` up to `want` bytes more; says how many. What is missing is remembered as
    /// demand.
    pub fn borrow(&mut self, share: &mut Share, want: u64) -> u64 {
        let fair = self.free().saturating_sub(share.lent()) / 2;
        let granted = want.min(fair);
        share.size += granted;
        self.lent += granted;
        if granted < want && self.free() < self.limits.pool() / 4 {
            self.short = self.short.max(want - granted);
        }
        self.debug_check();
        granted
    }

    /// Takes up to `bytes` of `share` back into the pool, never of its floor; says how many.
    pub fn repay(&mut self, share: &mut Share, bytes: u64) -> u64 {
        let bytes = bytes.min(share.lent());
        share.size -= bytes;
        self.give_back(bytes);
        self.debug_check();
        bytes
    }

    /// Lends `bytes` to nobody's connection, if the pool has them (spec R-PIPE-14).
    pub fn lend(&mut self, bytes: u64) -> Option<Loan> {
        if bytes > self.free() {
            return None;
        }
        self.lent += bytes;
        self.loans += bytes;
        self.debug_check();
        Some(Loan(bytes))
    }

    /// Takes a part of a loan back, at most all of it.
    pub fn settle(&mut self, loan: &mut Loan, bytes: u64) {
        let bytes = bytes.min(loan.0);
        loan.0 -= bytes;
        self.loans -= bytes;
        self.give_back(bytes);
    }

    /// Bytes of the pool that are not lent.
    pub const fn free(&self) -> u64 {
        self.limits.pool() - self.lent
    }

    /// Bytes that all shares and loans have together: at most the budget.
    pub const fn committed(&self) -> u64 {
        self.lent + self.limits.floor * self.connections as u64
    }

    /// The sizes it was made with.
    pub const fn limits(&self) -> BudgetLimits {
        self.limits
    }

    /// Connections that have a share.
    pub const fn connections(&self) -> u32 {
        self.connections
    }

    /// Whether credit came back for which somebody waits: those may try again. Said once.
    pub fn take_freed(&mut self) -> bool {
        let both = self.freed && self.awaited;
        if both {
            (self.freed, self.awaited) = (false, false);
        }
        both
    }

    /// Somebody waits for credit ([`super::RecvCredit::is_hungry`]). What came back before is no
    /// news.
    pub(super) const fn await_credit(&mut self) {
        if !self.awaited {
            (self.freed, self.awaited) = (false, true);
        }
    }

    /// Credit became free within a connection of which somebody waits for some.
    pub(super) const fn stir(&mut self) {
        self.freed = true;
    }

    /// When to call [`Budget::plan`] next: at once if somebody found the pool short, but not again
    /// within 100 ms of the last plan.
    pub fn deadline(&self) -> Option<Instant> {
        if self.short == 0 {
            return None;
        }
        Some(self.planned_at.map_or(Instant::ZERO, |at| at + PLAN_INTERVAL))
    }

    /// Whom to ask for how much, if the pool was found short: the longest idle first, and of the
    /// busy ones only those that hold more than their part (spec R-FLOW-23). The caller hands each
    /// amount to [`super::RecvCredit::ask_back`]. Demand is forgotten: who still waits will say so
    /// again.
    pub fn plan<K: Copy>(
        &mut self,
        candidates: impl IntoIterator<Item = Candidate<K>>,
        now: Instant,
    ) -> Vec<(K, u64)> {
        if self.deadline().is_none_or(|at| at > now) {
            return Vec::new();
        }
        let part = self.limits.pool() / (u64::from(self.connections) + 1);
        let idle = |c: &Candidate<K>| now.saturating_since(c.active_at) >= IDLE_AFTER;
        let mut candidates: Vec<_> = candidates
            .into_iter()
            .filter(|c| c.recallable > 0 && c.lent > 0 && (idle(c) || c.lent > part))
            .collect();
        candidates.sort_by_key(|c| c.active_at);
        let mut missing = self.short.max(self.limits.pool() / 16);
        let mut plan = Vec::new();
        for candidate in candidates {
            let spare = if idle(&candidate) { candidate.lent } else { candidate.lent - part };
            let amount = missing.min(candidate.recallable).min(spare);
            if amount > 0 {
                plan.push((candidate.key, amount));
                missing -= amount;
            }
        }
        self.short = 0;
        self.planned_at = Some(now);
        plan
    }

    /// Asserts that `shares`, all that are open, add up to what this counts, inside the budget.
    #[cfg(any(test, feature = "arbitrary", debug_assertions))]
    pub fn check<'a>(&self, shares: impl IntoIterator<Item = &'a Share>) {
        let (mut connections, mut sum) = (0, 0);
        for share in shares {
            connections += 1;
            sum += share.size;
        }
        assert_eq!(connections, self.connections, "open shares are not those that were counted");
        assert_eq!(sum + self.loans, self.committed(), "shares do not add up to what is committed");
        assert!(self.committed() <= self.limits.total, "shares pass the budget");
    }

    /// Lends one more connection all that is free.
    #[cfg(any(test, feature = "arbitrary"))]
    pub(super) fn drain(&mut self) -> Option<Share> {
        let mut share = self.open()?;
        share.size += self.free();
        self.lent = self.limits.pool();
        Some(share)
    }

    fn give_back(&mut self, bytes: u64) {
        self.lent = self.lent.saturating_sub(bytes);
        self.freed |= bytes > 0;
    }

    fn debug_check(&self) {
        debug_assert!(self.lent <= self.limits.pool(), "the pool is overdrawn");
        debug_assert!(self.connections <= self.limits.max_connections);
        debug_assert!(self.committed() <= self.limits.total);
    }
}

#[cfg(test)]
#[path = "budget_tests.rs"]
mod tests;
