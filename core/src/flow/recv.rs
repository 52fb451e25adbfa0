//! What we allow the peer on a connection: bytes in all, and streams.

use core::time::Duration;

use crate::error::{TransportCode, Violation};
use crate::recovery::Latest;
use crate::time::Instant;
use crate::wire::frame::{Frame, SentFrame};
use crate::wire::id::{CreditTarget, Dir, Side, StreamId};
use crate::wire::packet::PacketWriter;

mod back;

use super::budget::{Budget, Share};
use super::counts::Counts;
use super::limits::RecvLimits;
use super::recall::Recalls;
use super::stream::StreamCredit;
use super::{MAX_LIMIT, MAX_STREAM_COUNT};

/// What a connection grants from the start: goes into PARAMS.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Initial {
    /// Bytes on all streams together.
    pub max_data: u64,
    /// Bytes on each stream that can carry data to us, whoever opens it.
    pub max_stream_data: u64,
    /// Bidirectional streams.
    pub max_streams_bidi: u64,
    /// Unidirectional streams.
    pub max_streams_uni: u64,
}

/// Credit granted on one connection: `M` bytes granted, `V` given back, `U` arrived, `R` released.
///
/// ```text
///   0        R            U                                             M − V            M
///   ├────────┼────────────┼──────────────┬───────────────────┬────────────┼──────────────┤
///   released     held       open streams   streams that may      free       given back
///                           (promised)     be opened (reserve)
///            └──────────────────── lease ≤ share ─────────────────────────┘
/// ```
///
/// Streams take their credit from `free`; if that is short, `M` is raised as far as the share has
/// room, and the share is enlarged from the budget. The owner of the streams passes this down with
/// each verb of a [`StreamCredit`].
#[derive(Clone, Debug)]
#[cfg_attr(any(test, feature = "fingerprint"), derive(Hash))]
pub struct RecvCredit {
    share: Share,
    side: Side,
    limits: RecvLimits,
    /// Bytes of the share that are kept from credit, for heads, records and datagrams.
    headroom: u64,
    /// Credit that each stream begins with.
    stream_credit: u64,
    limit: u64,
    returned: u64,
    /// Total that the peer was asked to give back.
    asked: u64,
    used: u64,
    released: u64,
    promised: u64,
    /// Kept in the share for open streams that have less than a first credit.
    owed: u64,
    /// Bytes held that are no stream data.
    other: u64,
    max_data: Latest<u64>,
    bidi: Counts,
    uni: Counts,
    own: Own,
    recalls: Recalls,
    /// Bytes of the lease that the endpoint wants back.
    goal: u64,
    hungry: bool,
    /// What was unused within the connection when somebody found too little.
    unused: u64,
    rtt: Duration,
    active_at: Instant,
}

/// Bidirectional streams that we open: the peer answers on them without asking.
#[derive(Clone, Debug)]
#[cfg_attr(any(test, feature = "fingerprint"), derive(Hash))]
struct Own {
    /// Streams whose initial credit is set aside.
    reserve: u64,
    open: u64,
    /// How many open and set aside we want to keep.
    target: u64,
}

impl RecvCredit {
    /// Divides a fresh share: an eighth (at most 64 KiB) stays for what is no stream data, the rest
    /// is the initial credit of `clamp(share / 16 KiB, 8, 100)` streams, three eighths of them
    /// bidirectional, three eighths unidirectional, the others our own (spec R-FLOW-5).
    pub fn new(share: Share, side: Side, limits: RecvLimits) -> Self {
        let size = share.size();
        let headroom = (size / 8).min(MAX_HEADROOM);
        let streams = (size / STREAM_GRANT).clamp(8, 100);
        let stream_credit = (size - headroom) / streams;
        let bidi = (streams * 3 / 8).min(limits.max_streams_bidi);
        let uni = (streams * 3 / 8).min(limits.max_streams_uni);
        let own = streams - streams * 3 / 8 * 2;
        let limit = (bidi + uni + own) * stream_credit;
        Self {
            share,
            side,
            limits,
            headroom,
            stream_credit,
            limit,
            returned: 0,
            asked: 0,
            used: 0,
            released: 0,
            promised: 0,
            owed: 0,
            other: 0,
            max_data: Latest::delivered(limit),
            bidi: Counts::new(bidi),
            uni: Counts::new(uni),
            own: Own { reserve: own, open: 0, target: own },
            recalls: Recalls::default(),
            goal: 0,
            hungry: false,
            unused: 0,
            rtt: INITIAL_RTT,
            active_at: Instant::ZERO,
        }
    }

    /// This end's role in the handshake turned out to be another. Before any stream.
    pub const fn set_side(&mut self, side: Side) {
        debug_assert!(self.used == 0 && self.own.open == 0, "there is a stream already");
        self.side = side;
    }

    /// What PARAMS says. Constant for the life of the connection only if asked before anything is
    /// raised.
    pub const fn initial(&self) -> Initial {
        Initial {
            max_data: self.limit,
            max_stream_data: self.stream_credit,
            max_streams_bidi: self.bidi.limit,
            max_streams_uni: self.uni.limit,
        }
    }

    /// The peer's first frame of a stream came, one of its own. To be called once for each id.
    ///
    /// # Errors
    ///
    /// `StreamLimit` if the id was not allowed, `StreamState` if it is ours to open. Nothing
    /// changes.
    pub fn open_peer(&mut self, id: StreamId) -> Result<StreamCredit, Violation> {
        if id.opener() == self.side {
            return Err(Violation::new(
                TransportCode::StreamState,
                "a stream of ours that we never opened",
            ));
        }
        let credit = self.stream_credit;
        let counts = self.counts_mut(id.dir());
        if id.sequence() >= counts.allowed() || counts.unopened() == 0 {
            return Err(Violation::new(
                TransportCode::StreamLimit,
                "more streams than were allowed",
            ));
        }
        counts.opened += 1;
        counts.highest = counts.highest.max(id.sequence() + 1);
        self.promised += credit;
        self.debug_check();
        Ok(StreamCredit::new(id, credit))
    }

    /// We open a bidirectional stream: its answering half, or `None` if no credit can be had for it
    /// now.
    pub fn open_own(&mut self, id: StreamId, budget: &mut Budget) -> Option<StreamCredit> {
        debug_assert!(id.opener() == self.side && id.dir() == Dir::Bi);
        let credit = self.stream_credit;
        if self.own.reserve > 0 {
            self.own.reserve -= 1;
        } else if self.cover(credit, budget) < credit {
            self.wait(budget);
            return None;
        }
        self.own.open += 1;
        self.promised += credit;
        self.debug_check();
        Some(StreamCredit::new(id, credit))
    }

    /// A stream is over for good: its end is known and nothing of it is held any more. What it held
    /// becomes free, and another stream may be allowed in its place.
    pub fn retire(&mut self, mut stream: StreamCredit, budget: &mut Budget) {
        debug_assert!(stream.is_final(), "retired without a final size");
        stream.end(self);
        let id = stream.id();
        self.recalls.settle(CreditTarget::Stream(id));
        if id.opener() == self.side {
            self.own.open = self.own.open.saturating_sub(1);
            let wanted = self.own.open + self.own.reserve < self.own.target && self.goal == 0;
            if wanted && self.free() >= self.stream_credit {
                self.own.reserve += 1;
            }
        } else {
            let counts = self.counts_mut(id.dir());
            counts.retired += 1;
            self.raise_count(id.dir(), budget);
        }
        self.progress(budget);
        self.debug_check();
    }

    /// STREAMS_BLOCKED came. If the peer uses all that we want to allow at once, we want twice
    /// that.
    pub fn on_streams_blocked(&mut self, dir: Dir, limit: u64, budget: &mut Budget) {
        let most = self.most(dir);
        let counts = self.counts_mut(dir);
        if limit == counts.limit {
            if counts.gain() == 0 {
                // What was asked back and used meanwhile is part of what it needs.
                counts.window = counts.window.max(counts.window_used());
                counts.window = counts.window.saturating_mul(2).clamp(1, most.max(1)).min(most);
            }
            self.allow(dir, budget);
        }
        self.debug_check();
    }

    /// When data last came.
    pub const fn active_at(&self) -> Instant {
        self.active_at
    }

    /// Whether something waits for credit that the budget did not have: worth
    /// [`RecvCredit::top_up`] after [`Budget::take_freed`].
    pub const fn is_hungry(&self) -> bool {
        self.hungry
    }

    /// Tries again what there was no credit for, given all streams that are open.
    pub fn top_up<'a>(
        &mut self,
        streams: impl IntoIterator<Item = &'a mut StreamCredit>,
        budget: &mut Budget,
    ) {
        self.hungry = false;
        for stream in streams {
            stream.top_up(self, budget);
        }
        self.raise_count(Dir::Bi, budget);
        self.raise_count(Dir::Uni, budget);
    }

    /// The path's smoothed round-trip time: how windows judge their age.
    pub const fn set_rtt(&mut self, rtt: Duration) {
        self.rtt = rtt;
    }

    /// Counts `n` bytes that had to be taken: stream records and OPEN heads. They may pass the
    /// share by `STREAM_OVERHEAD` for each stream, and hold up further credit while they do.
    pub fn hold(&mut self, n: u64) {
        self.other = self.other.saturating_add(n);
    }

    /// Counts `n` bytes that may be refused, such as a datagram. Returns whether there is room.
    pub fn try_hold(&mut self, n: u64, budget: &mut Budget) -> bool {
        let needed =
            self.lease().saturating_add(self.owed).saturating_add(self.other).saturating_add(n);
        let missing = needed.saturating_sub(self.share.size());
        if missing > 0 {
            let lent = if self.goal == 0 { budget.borrow(&mut self.share, missing) } else { 0 };
            if lent < missing {
                budget.repay(&mut self.share, lent);
                return false;
            }
        }
        self.other += n;
        self.debug_check();
        true
    }

    /// `n` bytes counted by [`RecvCredit::hold`] or [`RecvCredit::try_hold`] are free again.
    pub fn unhold(&mut self, n: u64) {
        debug_assert!(n <= self.other, "freed what was not held");
        self.other = self.other.saturating_sub(n);
    }

    /// Writes MAX_DATA, MAX_STREAMS and CREDIT_RECALL frames that are due.
    pub fn write(&mut self, packet: &mut PacketWriter<'_>) {
        self.max_data.write(|&limit| packet.write(&Frame::MaxData { limit }));
        for dir in [Dir::Bi, Dir::Uni] {
            let counts = self.counts_mut(dir);
            counts.max.write(|&limit| packet.write(&Frame::MaxStreams { dir, limit }));
        }
        self.recalls.write(packet);
    }

    /// A frame that [`RecvCredit::write`] wrote arrived. Receipts of other parts are ignored.
    pub fn on_acked(&mut self, frame: &SentFrame, now: Instant) {
        match *frame {
            SentFrame::MaxData(limit) => self.max_data.on_acked(&limit),
            SentFrame::MaxStreams(dir, limit) => self.counts_mut(dir).max.on_acked(&limit),
            SentFrame::CreditRecall(target, total) => self.recalls.on_acked(target, total, now),
            _ => {}
        }
    }

    /// A frame that [`RecvCredit::write`] wrote was lost: it is written again if it still holds.
    pub fn on_lost(&mut self, frame: &SentFrame) {
        match *frame {
            SentFrame::MaxData(limit) => self.max_data.on_lost(&limit),
            SentFrame::MaxStreams(dir, limit) => self.counts_mut(dir).max.on_lost(&limit),
            SentFrame::CreditRecall(target, total) => self.recalls.on_lost(target, total),
            _ => {}
        }
    }

    /// Gives the share back: the connection is over.
    pub fn close(self, budget: &mut Budget) {
        budget.close(self.share);
    }

    /// Ends the account and gives its share, for [`Budget::close`].
    pub fn into_share(self) -> Share {
        self.share
    }

    /// The connection's part of the budget.
    pub const fn share(&self) -> &Share {
        &self.share
    }

    /// Bytes that the peer can make us hold, or already does: `M − V − R`.
    pub const fn lease(&self) -> u64 {
        self.limit - self.returned - self.released
    }

    /// Bytes held now: arrived (or skipped over) and not released, and what else is counted here.
    pub const fn held(&self) -> u64 {
        self.used - self.released + self.other
    }

    /// What the peer gave back of the whole.
    #[cfg(any(test, feature = "fingerprint"))]
    pub const fn given_back(&self) -> u64 {
        self.returned
    }

    /// The sum of all streams' highest offsets.
    #[cfg(any(test, feature = "fingerprint"))]
    pub const fn arrived(&self) -> u64 {
        self.used
    }

    /// Where the sum of all streams' highest offsets may go.
    pub const fn limit(&self) -> u64 {
        self.limit - self.returned
    }

    /// Asserts the invariants of spec R-FLOW-1 and R-FLOW-2, given all streams that are open.
    #[cfg(any(test, feature = "arbitrary", debug_assertions))]
    pub fn check<'a>(&self, streams: impl IntoIterator<Item = &'a StreamCredit>) {
        let (mut outstanding, mut charged, mut owed) = (0, 0, 0);
        let mut open = 0;
        for stream in streams {
            stream.check();
            outstanding += stream.outstanding();
            charged += stream.highest();
            owed += stream.owed();
            stream.check_kept(self.stream_credit);
            open += 1;
        }
        assert_eq!(outstanding, self.promised, "promises do not add up");
        assert_eq!(owed, self.owed, "what is kept for streams does not add up");
        assert!(charged <= self.used, "streams hold more than the connection counted");
        assert_eq!(open, self.bidi.open() + self.uni.open() + self.own.open, "streams lost");
        self.check_sums();
    }

    #[cfg(any(test, feature = "arbitrary", debug_assertions))]
    fn check_sums(&self) {
        assert!(self.returned <= self.asked && self.asked <= self.limit);
        assert!(self.used <= self.limit - self.returned, "used past the limit");
        assert!(self.released <= self.used, "released more than came");
        self.bidi.check();
        self.uni.check();
        let covered = self.promised + self.reserve() + self.connection_asking();
        assert!(covered <= self.limit - self.returned - self.used, "stream credit is not covered");
        assert!(self.lease() + self.owed <= self.share.size(), "the lease passes the share");
    }

    fn debug_check(&self) {
        #[cfg(debug_assertions)]
        self.check_sums();
    }

    // Verbs of the streams.

    /// `n` bytes more arrived on a stream, of its promise.
    pub(super) fn charge(&mut self, n: u64, now: Instant) -> Result<(), Violation> {
        if n > self.limit().saturating_sub(self.used) || n > self.promised {
            return Err(Violation::new(
                TransportCode::FlowControl,
                "more data than the connection's limit",
            ));
        }
        self.used += n;
        self.promised -= n;
        self.active_at = now;
        Ok(())
    }

    /// `n` bytes of what arrived are no longer held.
    pub(super) const fn release(&mut self, n: u64) {
        self.released += n;
    }

    /// A stream will not use `n` bytes of its promise.
    pub(super) const fn unpromise(&mut self, n: u64) {
        self.promised -= n;
    }

    /// Covers up to `want` bytes for a stream, first with what is free and what is kept for it
    /// (`owed`); says how many, which are then promised.
    pub(super) fn promise(&mut self, want: u64, owed: &mut u64, budget: &mut Budget) -> u64 {
        let kept = want.saturating_sub(self.free()).min(*owed).min(MAX_LIMIT - self.limit);
        if kept > 0 {
            *owed -= kept;
            self.owed -= kept;
            self.limit += kept;
            self.max_data.set(self.limit);
        }
        let granted = self.cover(want, budget);
        self.promised += granted;
        granted
    }

    /// Something waits for credit that could not be had.
    pub(super) const fn wait(&mut self, budget: &mut Budget) {
        self.hungry = true;
        self.unused = self.unused();
        budget.await_credit();
    }

    /// Credit that somebody of this connection may have, and the budget need not be asked for.
    const fn unused(&self) -> u64 {
        let own = self.own.reserve.saturating_mul(self.stream_credit);
        self.free().saturating_add(self.surplus()).saturating_add(own)
    }

    /// There is more of it than who waits has found: they may try again.
    pub(super) const fn stir(&self, budget: &mut Budget) {
        if self.hungry && self.unused() > self.unused {
            budget.stir();
        }
    }

    /// Keeps `now` bytes for a stream in place of `before`.
    pub(super) const fn keep(&mut self, before: u64, now: u64) {
        self.owed = self.owed - before + now;
    }

    pub(super) const fn stream_credit(&self) -> u64 {
        self.stream_credit
    }

    pub(super) const fn rtt(&self) -> Duration {
        self.rtt
    }

    pub(super) const fn max_window(&self) -> u64 {
        self.limits.max_stream_window
    }

    pub(super) const fn stream_ranges(&self) -> u64 {
        self.limits.stream_ranges
    }

    pub(super) fn ask_stream(&mut self, id: StreamId, total: u64) {
        sometimes!("flow: the peer is asked for credit back");
        self.recalls.ask(CreditTarget::Stream(id), total);
    }

    pub(super) fn is_asked(&self, id: StreamId) -> bool {
        self.recalls.is_asked(CreditTarget::Stream(id))
    }

    pub(super) fn settle_recall(&mut self, id: StreamId, budget: &mut Budget) {
        self.recalls.settle(CreditTarget::Stream(id));
        self.progress(budget);
        self.debug_check();
    }

    // Sums.

    const fn reserve(&self) -> u64 {
        (self.bidi.unopened() + self.uni.unopened() + self.own.reserve) * self.stream_credit
    }

    /// Credit that was asked back from the connection and not given back yet: nobody may use it.
    const fn connection_asking(&self) -> u64 {
        self.asked - self.returned
    }

    /// Credit that the peer has and no stream can use.
    const fn free(&self) -> u64 {
        let taken = self.used + self.promised + self.reserve() + self.connection_asking();
        (self.limit - self.returned).saturating_sub(taken)
    }

    /// Bytes of the share that neither credit nor anything else uses.
    const fn surplus(&self) -> u64 {
        let taken = self.lease().saturating_add(self.owed).saturating_add(self.other);
        let taken = taken.saturating_add(self.headroom);
        self.share.size().saturating_sub(taken)
    }

    /// Makes up to `want` bytes of free credit, raising `M` and enlarging the share if need be.
    fn cover(&mut self, want: u64, budget: &mut Budget) -> u64 {
        let need = want.saturating_sub(self.free());
        let missing = need.saturating_sub(self.surplus());
        if missing > 0 && self.goal == 0 {
            let debt = self.lease() + self.owed + self.other + self.headroom;
            let debt = debt.saturating_sub(self.share.size());
            budget.borrow(&mut self.share, missing.saturating_add(debt));
        }
        let raise = need.min(self.surplus()).min(MAX_LIMIT - self.limit);
        if raise > 0 {
            self.limit += raise;
            self.max_data.set(self.limit);
        }
        want.min(self.free())
    }

    fn raise_count(&mut self, dir: Dir, budget: &mut Budget) {
        let counts = self.counts(dir);
        let gain = counts.gain();
        if gain > 0 && (gain >= counts.window / 2 || counts.unopened() == 0) {
            self.allow(dir, budget);
        }
    }

    /// Allows as many streams more as are wanted and can be covered.
    fn allow(&mut self, dir: Dir, budget: &mut Budget) {
        if self.recalls.is_asked(CreditTarget::Streams(dir)) {
            return;
        }
        let gain = self.counts(dir).gain();
        let credit = self.stream_credit.max(1);
        let granted = self.cover(gain.saturating_mul(credit), budget) / credit;
        if granted < gain {
            self.wait(budget);
        }
        let counts = self.counts_mut(dir);
        let limit = (counts.limit + granted).min(MAX_STREAM_COUNT);
        if limit > counts.limit {
            counts.limit = limit;
            counts.max.set(limit);
        }
    }

    const fn counts(&self, dir: Dir) -> &Counts {
        match dir {
            Dir::Bi => &self.bidi,
            Dir::Uni => &self.uni,
        }
    }

    const fn counts_mut(&mut self, dir: Dir) -> &mut Counts {
        match dir {
            Dir::Bi => &mut self.bidi,
            Dir::Uni => &mut self.uni,
        }
    }

    const fn most(&self, dir: Dir) -> u64 {
        match dir {
            Dir::Bi => self.limits.max_streams_bidi,
            Dir::Uni => self.limits.max_streams_uni,
        }
    }
}

/// Before the first sample of a path (RFC 9002, 6.2.2).
const INITIAL_RTT: Duration = Duration::from_millis(333);

/// What a stream is meant to begin with, in bytes.
const STREAM_GRANT: u64 = 16 * 1024;

/// Most that is kept from credit, in bytes.
const MAX_HEADROOM: u64 = 64 * 1024;

#[cfg(test)]
#[path = "recv_tests.rs"]
mod tests;
