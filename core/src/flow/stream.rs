//! What we allow the peer on one stream.

use core::time::Duration;

use crate::error::{TransportCode, Violation};
use crate::recovery::Latest;
use crate::time::{Instant, nanos};
use crate::wire::frame::{Frame, SentFrame};
use crate::wire::id::StreamId;
use crate::wire::packet::PacketWriter;

use super::MAX_LIMIT;
use super::budget::Budget;
use super::pace::{Pace, Phase};
use super::recv::RecvCredit;
use super::window::Window;

/// Bytes that a range beyond the free ones is charged with.
const RANGE_COST: u64 = 32;

/// Ranges that every stream may keep apart without a charge.
pub const FREE_RANGES: u64 = 16;

/// What a round trip counts as at least: behind a shorter one stands a reader who takes longer
/// than the path, and whose pauses would pass for the sender's.
const SHORTEST_TRIP: Duration = Duration::from_millis(1);

/// Ranges that are paid for at a time.
const RANGE_STEP: u64 = 32;

/// Ranges that a stream with a window of `window` bytes may keep apart, and `ranges` at least:
/// beyond it a frame that would open a new range is dropped, and its packet not acknowledged (spec
/// R-FLOW-13).
pub const fn range_limit(window: u64, ranges: u64) -> u64 {
    let by_window = window / 1200;
    if by_window > ranges { by_window } else { ranges }
}

/// Credit granted on one receiving half of a stream. Offsets count from where the body begins on
/// this stream (the `start` of its OPEN).
///
/// ```text
///   0      released       highest              limit − returned        limit
///   ├─────────┼──────────────┼────────────────────────┼──────────────────┤
///                  held            outstanding             given back
///             └─────────────── window (wanted) ───────┘
/// ```
///
/// The limit moves on when the application has released half of a window, or a part of it and a
/// round trip has gone by, so that the sender goes as the reader does and not in leaps; and at once
/// when the window grows: with the first data, and whenever a window was used up in less than two
/// round trips. Every raise is covered by the connection's credit first ([`RecvCredit`], passed
/// down).
#[derive(Clone, Debug)]
#[cfg_attr(any(test, feature = "fingerprint"), derive(Hash))]
pub struct StreamCredit {
    id: StreamId,
    limit: u64,
    returned: u64,
    asked: u64,
    highest: u64,
    released: u64,
    final_size: Option<u64>,
    abandoned: bool,
    mode: Window,
    window: u64,
    /// What of the window found cover when that was last looked for, and what of it the owner was
    /// told.
    covered: u64,
    told: u64,
    /// Least limit that the owner asked for.
    wanted: u64,
    /// Credit that is kept for this stream in the connection's share: what it lacks of a first
    /// credit.
    owed: u64,
    /// Ranges that are paid for beyond [`FREE_RANGES`].
    ranges: u64,
    hungry: bool,
    /// The peer waits for more than the limit.
    blocked: bool,
    /// It is granted nothing for now.
    paused: bool,
    /// When the limit was last raised.
    raised: Instant,
    pace: Pace,
    max: Latest<u64>,
}

impl StreamCredit {
    pub(super) const fn new(id: StreamId, credit: u64) -> Self {
        Self {
            id,
            limit: credit,
            returned: 0,
            asked: 0,
            highest: 0,
            released: 0,
            final_size: None,
            abandoned: false,
            mode: Window::Auto,
            window: credit,
            covered: credit,
            told: 0,
            wanted: 0,
            owed: 0,
            ranges: 0,
            hungry: false,
            blocked: false,
            paused: false,
            raised: Instant::ZERO,
            pace: Pace::new(),
            max: Latest::delivered(credit),
        }
    }

    /// Data up to offset `end` (exclusive) came. Returns how much of it is new to the account: 0
    /// below the highest offset, since a gap is paid for with what lies above it.
    ///
    /// # Errors
    /// `FlowControl` past a limit, `FinalSize` past the known end. Nothing changes.
    pub fn on_data(
        &mut self,
        end: u64,
        connection: &mut RecvCredit,
        budget: &mut Budget,
        now: Instant,
    ) -> Result<u64, Violation> {
        let fresh = self.on_last_data(end, connection, now)?;
        if fresh > 0 && !self.abandoned {
            self.grow(connection, budget, now);
        }
        Ok(fresh)
    }

    /// The same, with the same errors, for data that comes with the end: no window grows any more.
    /// [`on_final`](Self::on_final) is to follow.
    pub fn on_last_data(
        &mut self,
        end: u64,
        connection: &mut RecvCredit,
        now: Instant,
    ) -> Result<u64, Violation> {
        let first = self.highest == 0;
        let fresh = self.charge(end, connection, now)?;
        if first {
            self.raised = now;
        }
        Ok(fresh)
    }

    /// The end is known, by FIN or RESET. Charges what lies below it, settles what lies above.
    ///
    /// # Errors
    /// `FinalSize` if it differs from what was known, `FlowControl` past a limit. Nothing changes.
    pub fn on_final(
        &mut self,
        size: u64,
        connection: &mut RecvCredit,
        budget: &mut Budget,
        now: Instant,
    ) -> Result<(), Violation> {
        if size < self.highest || self.final_size.is_some_and(|known| known != size) {
            return Err(Violation::new(TransportCode::FinalSize, "a stream's final size changed"));
        }
        if self.final_size.is_none() {
            self.charge(size, connection, now)?;
            connection.unpromise(self.outstanding());
            self.final_size = Some(size);
            self.hungry = false;
            self.keep(connection);
            connection.settle_recall(self.id, budget);
        }
        Ok(())
    }

    /// The application let go of `n` bytes (or read past them, if they were skipped).
    pub fn release(
        &mut self,
        n: u64,
        connection: &mut RecvCredit,
        budget: &mut Budget,
        now: Instant,
    ) {
        debug_assert!(n <= self.held(), "released more than came");
        let n = n.min(self.held());
        self.released += n;
        connection.release(n);
        self.keep(connection);
        let before = self.limit;
        let trip = connection.rtt().max(SHORTEST_TRIP);
        let soon = now.saturating_since(self.raised) < trip;
        let due = if soon && !self.blocked { Due::Half } else { Due::Part };
        self.raise(due, connection, budget);
        if self.limit > before {
            self.raised = now;
        }
        connection.stir(budget);
    }

    /// Nobody wants the stream any more (STOP, RESET or a dropped handle): everything that came is
    /// released, so is what still comes, and the limit stays.
    pub fn abandon(&mut self, connection: &mut RecvCredit) {
        self.abandoned = true;
        connection.release(self.held());
        self.released = self.highest;
        self.keep(connection);
    }

    /// Ranges that the stream may keep apart at most: [`range_limit`] of its window.
    pub fn range_limit(&self, connection: &RecvCredit) -> u64 {
        range_limit(self.window, connection.stream_ranges())
    }

    /// Ranges that the stream may keep apart now, when it has `now` of them and a frame may open so
    /// many more. Sixteen are free; more are charged to the connection in steps, up to
    /// [`range_limit`] (spec R-FLOW-13).
    pub fn max_ranges(
        &mut self,
        now: u64,
        more: u64,
        connection: &mut RecvCredit,
        budget: &mut Budget,
    ) -> u64 {
        let most = self.range_limit(connection).saturating_sub(FREE_RANGES);
        if now + more > FREE_RANGES + self.ranges && self.ranges < most {
            let step = RANGE_STEP.min(most - self.ranges);
            if connection.try_hold(step * RANGE_COST, budget) {
                self.ranges += step;
            }
        } else if now + 2 * RANGE_STEP < FREE_RANGES + self.ranges {
            let step = RANGE_STEP.min(self.ranges);
            connection.unhold(step * RANGE_COST);
            self.ranges -= step;
        }
        FREE_RANGES + self.ranges
    }

    /// The stream is over: what it still has goes back.
    pub(super) fn end(&mut self, connection: &mut RecvCredit) {
        self.abandon(connection);
        connection.unhold(self.ranges * RANGE_COST);
        self.ranges = 0;
    }

    /// Wants at least the bytes below `end`, without any of them released: a message that is
    /// collected.
    pub fn request(&mut self, end: u64, connection: &mut RecvCredit, budget: &mut Budget) {
        self.wanted = self.wanted.max(end.min(MAX_LIMIT));
        self.raise(Due::Now, connection, budget);
    }

    /// Says who decides the window; a fixed one is at least a first credit. A smaller one than
    /// before holds raises back and takes nothing back.
    pub fn set_window(&mut self, mode: Window, connection: &mut RecvCredit, budget: &mut Budget) {
        self.mode = mode;
        if let Some(fixed) = mode.fixed() {
            self.window = fixed.min(connection.max_window()).max(connection.stream_credit());
            self.covered = self.window;
        }
        self.raise(Due::Half, connection, budget);
    }

    /// STREAM_DATA_BLOCKED came: raises at once what is due in part.
    pub fn on_blocked(&mut self, limit: u64, connection: &mut RecvCredit, budget: &mut Budget) {
        if limit == self.limit {
            self.blocked = true;
            self.raise(Due::Now, connection, budget);
        }
    }

    /// Tries a raise again that the budget had no credit for.
    pub(super) fn top_up(&mut self, connection: &mut RecvCredit, budget: &mut Budget) {
        if self.hungry {
            self.raise(Due::Now, connection, budget);
        }
    }

    /// Grants nothing for now, and asks for what the stream does not use (spec R-STR-41).
    pub fn pause(&mut self, connection: &mut RecvCredit) {
        self.paused = true;
        self.ask_back(MAX_LIMIT, connection);
    }

    /// Grants again what is due.
    pub fn resume(&mut self, connection: &mut RecvCredit, budget: &mut Budget) {
        self.paused = false;
        self.raise(self.due_again(), connection, budget);
    }

    /// Asks for what the stream has beyond a stream's initial credit, at most `missing`, and lets
    /// the window fall to that. Says how many bytes it asked for.
    pub(super) fn ask_back(&mut self, missing: u64, connection: &mut RecvCredit) -> u64 {
        let excess = self.outstanding().saturating_sub(connection.stream_credit());
        let n = excess.min(missing);
        if n == 0 || connection.is_asked(self.id) {
            return 0;
        }
        self.asked = self.asked.max(self.returned + n);
        self.window = self.window.saturating_sub(n).max(connection.stream_credit());
        self.covered = self.covered.saturating_sub(n);
        self.hungry = false;
        connection.ask_stream(self.id, self.asked);
        n
    }

    /// CREDIT_RETURNED for this stream.
    ///
    /// # Errors
    ///
    /// `FlowControl` if more comes back than was asked for, or than can be unused. Nothing changes.
    pub fn on_returned(
        &mut self,
        total: u64,
        connection: &mut RecvCredit,
        budget: &mut Budget,
    ) -> Result<(), Violation> {
        if total > self.asked || self.limit - total < self.highest {
            let what = "more credit given back than was unused";
            return Err(Violation::new(TransportCode::FlowControl, what));
        }
        let before = self.outstanding();
        self.returned = self.returned.max(total);
        connection.unpromise(before - self.outstanding());
        let lacking = self.lacking(connection).saturating_sub(self.owed);
        if lacking > 0 {
            // It was used up while the recall was under way: of what came back, a part stays.
            self.grant(lacking, connection, budget);
        }
        connection.settle_recall(self.id, budget);
        self.raise(self.due_again(), connection, budget);
        Ok(())
    }

    /// Writes MAX_STREAM_DATA if it is due.
    pub fn write(&mut self, packet: &mut PacketWriter<'_>) {
        if self.wants_more() {
            let id = self.id;
            self.max.write(|&limit| packet.write(&Frame::MaxStreamData { id, limit }));
        }
    }

    /// Whether [`StreamCredit::write`] has something to write.
    pub const fn is_pending(&self) -> bool {
        self.max.is_pending() && self.wants_more()
    }

    /// A MAX_STREAM_DATA arrived. Receipts of other parts are ignored.
    pub fn on_acked(&mut self, frame: &SentFrame) {
        if let SentFrame::MaxStreamData(id, limit) = *frame
            && id == self.id
        {
            self.max.on_acked(&limit);
        }
    }

    /// A MAX_STREAM_DATA was lost: it is written again if it still holds.
    pub fn on_lost(&mut self, frame: &SentFrame) {
        if let SentFrame::MaxStreamData(id, limit) = *frame
            && id == self.id
        {
            self.max.on_lost(&limit);
        }
    }

    /// The stream.
    pub const fn id(&self) -> StreamId {
        self.id
    }

    /// Offset that data must not pass.
    pub const fn limit(&self) -> u64 {
        match self.final_size {
            Some(size) => size,
            None => self.limit - self.returned,
        }
    }

    /// One more than the highest offset that came.
    pub const fn highest(&self) -> u64 {
        self.highest
    }

    /// Bytes that are charged and not released, gaps included.
    pub const fn held(&self) -> u64 {
        self.highest - self.released
    }

    /// Bytes that may still come.
    pub const fn outstanding(&self) -> u64 {
        self.limit() - self.highest
    }

    /// The window that is aimed at, in bytes.
    pub const fn window(&self) -> u64 {
        self.window
    }

    /// What of the window could be had: the rest is raised once there is room for it. Who keeps
    /// bytes lets go of those that this leaves no room for, and hears when it shrinks.
    pub const fn covered(&mut self) -> u64 {
        self.told = self.covered;
        self.covered
    }

    /// Whether less of the window is covered than its owner was told, which is news once.
    pub const fn take_shrunk(&mut self) -> bool {
        let shrunk = self.covered < self.told;
        if shrunk {
            self.told = self.covered;
        }
        shrunk
    }

    /// Whether the end is known.
    pub const fn is_final(&self) -> bool {
        self.final_size.is_some()
    }

    /// Whether nobody wants the stream any more.
    pub const fn is_abandoned(&self) -> bool {
        self.abandoned
    }

    /// Whether a raise waits for the budget.
    pub const fn is_hungry(&self) -> bool {
        self.hungry
    }

    #[cfg(any(test, feature = "arbitrary", debug_assertions))]
    pub(super) const fn owed(&self) -> u64 {
        self.owed
    }

    /// Asserts what holds of a stream by itself.
    #[cfg(any(test, feature = "arbitrary", debug_assertions))]
    pub fn check(&self) {
        assert!(self.returned <= self.asked && self.asked <= self.limit);
        assert!(self.released <= self.highest, "released more than came");
        assert!(self.highest <= self.limit(), "data past the limit");
        assert!(self.final_size.is_none_or(|size| size == self.highest));
    }

    /// Asserts that a stream that wants more has a first credit, or that it is kept for it.
    #[cfg(any(test, feature = "arbitrary", debug_assertions))]
    pub(super) fn check_kept(&self, credit: u64) {
        let has = self.held() + self.outstanding() + self.owed;
        assert!(!self.wants_more() || has >= credit, "a stream lost its first credit");
    }

    const fn wants_more(&self) -> bool {
        self.final_size.is_none() && !self.abandoned
    }

    fn charge(
        &mut self,
        end: u64,
        connection: &mut RecvCredit,
        now: Instant,
    ) -> Result<u64, Violation> {
        let fresh = end.saturating_sub(self.highest);
        if fresh == 0 {
            return Ok(0);
        }
        if self.final_size.is_some() {
            return Err(Violation::new(
                TransportCode::FinalSize,
                "data past a stream's final size",
            ));
        }
        if fresh > self.outstanding() {
            return Err(Violation::new(
                TransportCode::FlowControl,
                "more data than the stream's limit",
            ));
        }
        connection.charge(fresh, now)?;
        self.highest = end;
        if self.abandoned {
            self.abandon(connection);
        }
        Ok(fresh)
    }

    /// Judges the pace of arrivals, and raises if the window grew.
    fn grow(&mut self, connection: &mut RecvCredit, budget: &mut Budget, now: Instant) {
        let most = self.mode.fixed().unwrap_or(MAX_LIMIT).min(connection.max_window());
        if self.mode != Window::Auto && self.window >= most {
            return;
        }
        let rtt = connection.rtt().max(SHORTEST_TRIP);
        let arrived = self.highest - self.pace.from;
        let passed = now.saturating_since(self.pace.since);
        let (quota, span) = match self.pace.phase {
            Phase::Fresh => (0, rtt),
            Phase::Startup => (self.window / 4, rtt * 2),
            Phase::Steady => (self.window / 2, rtt),
        };
        if self.pace.phase == Phase::Fresh {
            self.pace.phase = Phase::Startup;
        } else if passed >= span {
            let startup = core::mem::replace(&mut self.pace.phase, Phase::Steady) == Phase::Startup;
            if startup && self.mode == Window::Auto {
                let a_trip =
                    u128::from(arrived) * u128::from(nanos(rtt)) / u128::from(nanos(passed).max(1));
                let four_trips = u64::try_from(a_trip).unwrap_or(MAX_LIMIT).saturating_mul(4);
                let least = (self.window / 4).max(connection.stream_credit() * 2);
                self.window = self.window.min(four_trips.max(least));
            }
            self.pace.since = now;
            self.pace.from = self.highest;
            return;
        } else if arrived < quota || self.released < self.pace.from {
            return;
        }
        self.pace.since = now;
        self.pace.from = self.highest;
        self.window = self.window.saturating_mul(2).min(most).max(self.window);
        self.raise(Due::Now, connection, budget);
    }

    /// When a raise is due that was put off: who waits for it asks no second time.
    const fn due_again(&self) -> Due {
        if self.blocked { Due::Now } else { Due::Half }
    }

    fn raise(&mut self, due: Due, connection: &mut RecvCredit, budget: &mut Budget) {
        if self.paused || !self.wants_more() || connection.is_asked(self.id) {
            return;
        }
        let by_window = self.released.saturating_add(self.window);
        let target = if due == Due::Now { by_window.max(self.wanted) } else { by_window };
        let gap = target.min(MAX_LIMIT).saturating_sub(self.limit());
        let least = match due {
            Due::Half => self.mode.flows(self.window) / 2,
            Due::Part => self.mode.flows(self.window) / 32,
            Due::Now => 0,
        };
        if gap == 0 {
            self.covered = self.window;
        }
        if gap == 0 || gap < least {
            return;
        }
        let granted = self.grant(gap, connection, budget);
        self.covered = self.window.min(self.limit().saturating_sub(self.released));
        let cut = self.mode != Window::Auto && granted < gap;
        self.hungry = cut || self.limit() < self.wanted;
        if self.hungry {
            connection.wait(budget);
        }
        if granted < gap && self.mode == Window::Auto {
            // A window is worth what it is covered with; it grows again when data comes fast.
            let real = self.limit().saturating_sub(self.released);
            self.window = self.window.min(real).max(connection.stream_credit());
        }
    }

    fn grant(&mut self, want: u64, connection: &mut RecvCredit, budget: &mut Budget) -> u64 {
        let want = want.min(MAX_LIMIT - self.limit);
        let granted = connection.promise(want, &mut self.owed, budget);
        if granted > 0 {
            self.limit += granted;
            self.blocked = false;
            self.max.set(self.limit);
            self.keep(connection);
        }
        granted
    }

    /// What the stream lacks of a first credit, held and outstanding together.
    const fn lacking(&self, connection: &RecvCredit) -> u64 {
        if !self.wants_more() {
            return 0;
        }
        connection.stream_credit().saturating_sub(self.held() + self.outstanding())
    }

    /// Keeps in the connection's share what the stream lacks, so that nobody else takes it.
    const fn keep(&mut self, connection: &mut RecvCredit) {
        let lacking = self.lacking(connection);
        connection.keep(self.owed, lacking);
        self.owed = lacking;
    }
}

/// When a raise is worth a frame.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Due {
    /// When half of the window can be given again.
    Half,
    /// When a small part of it can be: it was not raised for a round trip.
    Part,
    /// At once.
    Now,
}

#[cfg(test)]
#[path = "stream_tests.rs"]
mod tests;
