//! Pipes: one stream in, its bytes out on any number of legs, while they arrive.
//!
//! ```text
//!                                    log (order of arrival)
//!   source ── take_arrival ──▶ ┌────┬────┬────┐ ──▶ forward ──▶ leg 0 ──▶ acked ─┐
//!   (RecvStream)               └────┴────┴────┘ ──▶ forward ──▶ leg 1 ──▶ acked ─┤
//!        ▲                     store (by offset) ─▶ the application ─▶ released ─┤
//!        │ release, window            ▲ late legs                                │
//!        └────────────────────────────┴──────── the slowest of them ◀────────────┘
//! ```
//!
//! A [`Pipe`] sees one stream view at a time, because its streams live in different connections:
//! [`pull`](Pipe::pull) takes what came, [`push`](Pipe::push) gives one leg what it lacks and looks
//! how far its peer is, [`settle`](Pipe::settle) returns credit to the source. It keeps no reorder
//! buffer: what arrived goes on at its own offset, gap or not. What it holds is what was not
//! acknowledged by everybody, one copy for all legs; it is the very memory that the source's credit
//! is charged with.
//!
//! A slow leg stalls the source or is detached ([`LegPolicy`]). Ends cross: FIN at its offset,
//! RESET with what it promised, STOP from the last leg; each says how many relays away it began.
//!
//! The endpoint owns pipes and calls these verbs in that order whenever a stream of theirs has
//! news. The rules are spec `17-pipes.md` (R-PIPE).

mod application;
mod ending;
mod keep;
mod late;
mod leg;
mod missing;
mod options;
mod patience;
mod settle;
mod spans;
mod store;
mod toll;
mod window;

#[cfg(any(test, feature = "arbitrary"))]
pub mod exercise;

pub use options::{
    EndedLeg, LegEnd, LegError, LegIndex, LegPath, LegPolicy, PipeOptions, PipeStats,
};

use alloc::collections::VecDeque;
use core::mem;
use core::ops::Range;

use crate::error::StreamCode;
use crate::stream::{Arrival, Chunk, ReadError, RecvStream, SendState, SendStream, WriteError};
use crate::time::{Instant, earliest};
use crate::wire::id::AppCode;

use ending::{reset, why_ended};
use leg::{Leg, Legs};
use missing::Missing;
use options::further;
use patience::Patience;
use store::Store;
use toll::Toll;
use window::WindowRule;

/// What came, once.
#[derive(Clone, Debug)]
#[cfg_attr(any(test, feature = "fingerprint"), derive(Hash))]
enum Item {
    Bytes(Chunk),
    Skip(Range<u64>),
}

impl Item {
    fn range(&self) -> Range<u64> {
        match self {
            Self::Bytes(chunk) => chunk.range(),
            Self::Skip(range) => range.clone(),
        }
    }

    /// How many bytes it carries.
    fn bytes(&self) -> u64 {
        match self {
            Self::Bytes(chunk) => chunk.data.len() as u64,
            Self::Skip(_) => 0,
        }
    }
}

/// Where the source stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[cfg_attr(any(test, feature = "fingerprint"), derive(Hash))]
enum Source {
    /// More may come.
    Flowing,
    /// All came.
    Finished(u64),
    /// No more comes: legs are reset so. `reliable`: what they still get; `None`: what they have,
    /// and nothing is held for them.
    Broken { code: AppCode, hop: u64, reliable: Option<u64> },
}

/// One stream in, its bytes out on any number of legs.
///
/// ```
/// use aqueduct_core::pipe::{LegPolicy, Pipe, PipeOptions};
/// use aqueduct_core::time::Instant;
///
/// let now = Instant::ZERO;
/// let mut pipe = Pipe::new(0, PipeOptions::default(), now);
/// let near = pipe.add_leg(0..u64::MAX, LegPolicy::Stall)?;
/// let far = pipe.add_leg(0..u64::MAX, LegPolicy::DETACH)?;
/// // Whenever one of the streams has news:
/// //   pipe.pull(&mut source, now);
/// //   pipe.push(near, &mut first, path, now);
/// //   pipe.push(far, &mut second, path, now);
/// //   pipe.settle(Some(&mut source), round_trip, now);
/// assert_ne!(near, far);
/// assert_eq!(pipe.stats().legs, 2);
/// # Ok::<(), aqueduct_core::pipe::LegError>(())
/// ```
#[derive(Clone, Debug)]
#[cfg_attr(any(test, feature = "fingerprint"), derive(Hash))]
pub struct Pipe {
    source: Source,
    /// What some leg was not given yet, in order of arrival; `logged` counts all there ever were.
    log: VecDeque<Item>,
    logged: u64,
    store: Store,
    received: u64,
    first_byte: Option<Instant>,
    most_waiting: u64,
    legs: Legs,
    /// Legs that there ever were.
    added: u32,
    detached: u32,
    missing: Missing,
    /// All below was acknowledged by everybody.
    acked: u64,
    /// All below was acknowledged by the leg that is furthest, or was.
    front: u64,
    /// Bytes below that are to stay, and what the source was lent to hold.
    keep: u64,
    covered: u64,
    /// Legs are still to come, for which all that came is held.
    gathers: bool,
    /// Legs that ended, until somebody asks.
    ended: VecDeque<EndedLeg>,
    /// How the last leg ended that did.
    last_end: Option<LegEnd>,
    /// A STOP for the source, once nobody wants its bytes.
    stop: Option<(AppCode, u64)>,
    /// What this node gave it up with.
    cancelled: Option<AppCode>,
    window: WindowRule,
    toll: Toll,
    /// Bytes of the source that may come in all.
    limit: u64,
    patience: Patience,
}

impl Pipe {
    /// A pipe without legs for a body that begins at `start`.
    pub fn new(start: u64, options: PipeOptions, now: Instant) -> Self {
        Self {
            source: Source::Flowing,
            log: VecDeque::new(),
            logged: 0,
            store: Store::new(start),
            received: 0,
            first_byte: None,
            most_waiting: 0,
            legs: Legs::new(),
            added: 0,
            detached: 0,
            missing: Missing::default(),
            acked: start,
            front: start,
            keep: options.keep,
            covered: 0,
            gathers: false,
            ended: VecDeque::new(),
            last_end: None,
            stop: None,
            cancelled: None,
            window: WindowRule::new(start, options.stock),
            toll: Toll::new(options.rate, now),
            limit: options.limit.unwrap_or(u64::MAX),
            patience: Patience::new(options.timeout, now),
        }
    }

    /// Sets the source's first window. To be called once, when the pipe begins.
    pub fn begin(&mut self, source: &mut RecvStream<'_>) {
        self.set_window(source);
    }

    /// Adds a leg that gets the bytes in `range`: everything of it that is held goes to it with
    /// the next [`push`](Self::push).
    ///
    /// # Errors
    /// [`LegError`]; nothing was changed.
    pub fn add_leg(&mut self, range: Range<u64>, policy: LegPolicy) -> Result<LegIndex, LegError> {
        self.add(Leg::new(policy, range))
    }

    /// Adds the application as a leg: it gets what [`read`](Self::read) gives, from what is held
    /// on.
    ///
    /// # Errors
    /// [`LegError`]; nothing was changed.
    pub fn add_application(&mut self, policy: LegPolicy) -> Result<LegIndex, LegError> {
        if self.legs.values().any(Leg::is_application) {
            return Err(LegError::Twice);
        }
        self.add(Leg::application(policy, self.held_from()))
    }

    /// Adds a leg that came to its end before it was added: it is told of like any other.
    ///
    /// # Errors
    /// [`LegError::Over`]; nothing was changed.
    pub fn add_ended(&mut self, end: LegEnd) -> Result<LegIndex, LegError> {
        let leg = self.next_index()?;
        self.last_end = Some(end);
        self.ended.push_back(EndedLeg { leg, end, sent: 0 });
        Ok(leg)
    }

    /// Whether no leg can join any more.
    fn is_shut(&self) -> bool {
        matches!(self.source, Source::Broken { .. }) || self.stop.is_some()
    }

    fn next_index(&mut self) -> Result<LegIndex, LegError> {
        if self.is_shut() {
            return Err(LegError::Over);
        }
        let index = LegIndex(self.added);
        self.added = self.added.checked_add(1).ok_or(LegError::Over)?;
        Ok(index)
    }

    fn add(&mut self, leg: Leg) -> Result<LegIndex, LegError> {
        let (wanted, held) = (leg.range.start, self.held_from());
        if wanted < held && !self.is_shut() {
            return Err(LegError::NotHeld { wanted, held });
        }
        let index = self.next_index()?;
        self.missing.on_leg(&leg, self.size());
        self.legs.insert(index, leg);
        Ok(index)
    }

    /// Takes bytes that the application was given by the source and has not released: they go
    /// before all that [`pull`](Self::pull) takes.
    pub fn preload(&mut self, chunk: Chunk, now: Instant) {
        self.enter(Item::Bytes(chunk), now);
    }

    /// Another rate from now on, in bytes a second; `None`: as fast as it goes.
    pub fn set_rate(&mut self, rate: Option<u64>, now: Instant) {
        self.toll.set_rate(rate, now);
    }

    /// Takes what came. Returns whether anything did, or the source ended.
    pub fn pull(&mut self, source: &mut RecvStream<'_>, now: Instant) -> bool {
        self.take(source, self.most_pieces(), now)
    }

    /// The same before the source's memory goes: however many pieces that makes, which is few,
    /// because the source holds in one what lies in a row.
    pub fn pull_rest(&mut self, source: &mut RecvStream<'_>, now: Instant) -> bool {
        self.take(source, usize::MAX, now)
    }

    fn take(&mut self, source: &mut RecvStream<'_>, pieces: usize, now: Instant) -> bool {
        let mut came = false;
        let beyond = pieces.saturating_mul(2).saturating_add(self.most_beyond());
        while self.is_flowing() {
            let arrival = match self.store.pieces() < pieces {
                true => source.take_arrival(usize::MAX),
                false if self.store.pieces() < beyond && self.is_filled_by(source) => {
                    source.take_lowest(usize::MAX)
                }
                false => break,
            };
            match arrival {
                Ok(Some(Arrival::Bytes(chunk))) => self.enter(Item::Bytes(chunk), now),
                Ok(Some(Arrival::Skipped(range))) => self.enter(Item::Skip(range), now),
                Ok(None) => {
                    let end = self.store.contiguous_end();
                    self.source = Source::Finished(source.final_size().unwrap_or(end));
                }
                Err(ReadError::Blocked) => break,
                Err(ReadError::Reset { code, hop }) => {
                    sometimes!("pipe: its source breaks off");
                    let reliable = Some(self.store.contiguous_end());
                    self.source = Source::Broken { code, hop: further(hop), reliable };
                }
                Err(_) => self.cancel(StreamCode::Cancelled.app()),
            }
            came = true;
        }
        if self.received > self.limit {
            self.cancel(StreamCode::Refused.app());
        }
        if came {
            self.patience.on_progress(now);
        }
        came
    }

    /// Whether what would fill the lowest gap waits in the source's memory.
    fn is_filled_by(&self, source: &RecvStream<'_>) -> bool {
        let lowest = self.store.contiguous_end();
        self.store.highest() > lowest && source.contiguous_end() > lowest
    }

    fn enter(&mut self, item: Item, now: Instant) {
        match &item {
            Item::Bytes(chunk) => {
                if chunk.offset > self.store.contiguous_end() {
                    sometimes!("pipe: bytes go on past a gap");
                }
                self.first_byte.get_or_insert(now);
                self.received += chunk.data.len() as u64;
                self.store.insert(chunk);
            }
            Item::Skip(range) => self.store.skip(range.clone()),
        }
        self.logged += 1;
        if self.legs.values().any(Leg::follows_log) {
            self.log.push_back(item);
        }
    }

    /// Gives a leg what it lacks, and looks how far its peer is.
    pub fn push(&mut self, index: LegIndex, out: &mut SendStream<'_>, path: LegPath, now: Instant) {
        let Some(slot) = self.legs.get_mut(&index) else { return };
        let mut leg = mem::take(slot);
        if leg.next.is_none() {
            self.patience.on_progress(now);
        }
        leg.sent = leg.sent.max(out.sent());
        let acked = leg.acked.max(out.acked_end());
        if mem::replace(&mut leg.acked, acked) < acked {
            self.patience.on_progress(now);
        }
        leg.path = path;
        let end = match self.give(&mut leg, out) {
            Ok(end) => end,
            Err(error) => Some(why_ended(error, &leg, out)),
        };
        leg.blocked = out.is_blocked_by_credit();
        if let Some(slot) = self.legs.get_mut(&index) {
            *slot = leg;
        }
        match end {
            Some(end) => self.end_leg(index, end),
            None => self.trim_log(),
        }
    }

    /// Returns how the leg ended, if it has.
    fn give(&self, leg: &mut Leg, out: &mut SendStream<'_>) -> Result<Option<LegEnd>, WriteError> {
        if let Some((code, hop)) = out.stopped() {
            return Err(WriteError::Stopped { code, hop });
        }
        match out.state() {
            SendState::DataRecvd => return Ok(Some(LegEnd::Delivered)),
            SendState::ResetRecvd => return leg.closing.map(Some).ok_or(WriteError::Reset),
            _ if leg.doomed => {
                out.reset_after(StreamCode::Detached.app(), 0, leg.acked);
                return Ok(Some(LegEnd::Detached { at: leg.acked }));
            }
            _ if leg.closing.is_some() => return Ok(None),
            SendState::ResetSent if !self.is_given_up() => return Err(WriteError::Reset),
            _ => {}
        }
        match self.is_given_up() {
            // Its end is news that the pipe waits for, also if it was given nothing.
            true => out.report_acked(),
            false => self.catch_up(leg, out)?,
        }
        self.close(leg, out).map(|()| None)
    }

    /// Passes the end on, if it is known where or how the leg ends.
    fn close(&self, leg: &mut Leg, out: &mut SendStream<'_>) -> Result<(), WriteError> {
        let size = match self.source {
            Source::Flowing => leg.range.end,
            Source::Finished(size) if size < leg.range.start => {
                reset(leg, out, StreamCode::InvalidRange.app(), 0);
                return Ok(());
            }
            Source::Finished(size) => leg.range.end.min(size),
            Source::Broken { code, hop, reliable } => {
                leg.range.end = leg.range.end.min(reliable.unwrap_or(leg.acked));
                reset(leg, out, code, hop);
                return Ok(());
            }
        };
        if self.source != Source::Flowing || self.store.contiguous_end() >= size {
            leg.range.end = size;
            leg.closing = Some(LegEnd::Delivered);
            out.finish_at(size)?;
        }
        Ok(())
    }

    /// Writes what the leg was not given: everything that is held if it is new, else what the log
    /// has for it.
    fn catch_up(&self, leg: &mut Leg, out: &mut SendStream<'_>) -> Result<(), WriteError> {
        if let Some(next) = leg.next {
            let fresh = usize::try_from(self.logged - next).unwrap_or(usize::MAX);
            for item in self.log.range(self.log.len().saturating_sub(fresh)..) {
                leg.pass(item, out)?;
            }
        } else {
            out.report_acked();
            for item in self.store.items() {
                leg.pass(&item, out)?;
            }
        }
        leg.next = Some(self.logged);
        Ok(())
    }

    /// Items that every leg was given are no longer needed.
    fn trim_log(&mut self) {
        let next = self.legs.values().filter(|leg| leg.follows_log()).filter_map(|leg| leg.next);
        let wanted = self.logged - next.min().unwrap_or(self.logged);
        let surplus = self.log.len().saturating_sub(usize::try_from(wanted).unwrap_or(usize::MAX));
        self.log.drain(..surplus);
    }

    /// Bytes that the stream of a leg had sent when it was looked at last, each counted once.
    /// `None`: it has ended.
    pub fn leg_sent(&self, index: LegIndex) -> Option<u64> {
        self.legs.get(&index).map(|leg| leg.sent)
    }

    /// When [`on_deadline`](Self::on_deadline) is due: a leg is to be given up, or the pipe.
    pub fn deadline(&self) -> Option<Instant> {
        if self.is_over() || self.is_given_up() {
            return None;
        }
        let flowing = self.is_flowing() && !self.gathers();
        let legs = flowing.then(|| self.patience.leg_deadline(&self.legs));
        let toll = self.is_flowing().then(|| self.toll.deadline()).flatten();
        earliest([self.end_of_waiting(), legs.flatten(), toll])
    }

    /// Gives up what is due; then every leg is to be pushed and the pipe settled.
    pub fn on_deadline(&mut self, now: Instant) {
        if self.end_of_waiting().is_some_and(|at| at <= now) && !self.is_over() {
            match self.lingers() {
                true => self.missing.forget(),
                false => {
                    sometimes!("pipe: it is given up for want of progress");
                    self.cancel(StreamCode::Timeout.app());
                }
            }
        }
        self.judge_legs(now);
    }

    /// Whether a leg is to be given up with the next [`push`](Self::push).
    pub fn has_doomed(&self) -> bool {
        self.legs.values().any(|leg| leg.doomed)
    }

    /// Whether nothing is left to do: the source has ended, and so have all legs.
    pub fn is_over(&self) -> bool {
        let ended = self.source != Source::Flowing || self.stop.is_some();
        ended && self.legs.is_empty() && !self.lingers() && !self.gathers()
    }

    /// Whether the source still sends.
    pub fn is_flowing(&self) -> bool {
        self.source == Source::Flowing && self.stop.is_none()
    }

    /// The size of the body, once the source has ended with all of it.
    pub fn final_size(&self) -> Option<u64> {
        match self.source {
            Source::Finished(size) => Some(size),
            _ => None,
        }
    }

    /// Where what is held begins: the lowest offset at which a leg may be added.
    pub fn held_from(&self) -> u64 {
        self.store.floor()
    }

    /// Counters, and what is now.
    pub fn stats(&self) -> PipeStats {
        PipeStats {
            received: self.received,
            acked: self.acked,
            held_from: self.store.floor(),
            held: self.store.bytes(),
            most_held: self.store.most(),
            waiting: self.waiting(),
            most_waiting: self.most_waiting,
            first_byte: self.first_byte,
            window: self.granted(),
            legs: u32::try_from(self.legs.len()).unwrap_or(u32::MAX),
            detached: self.detached,
        }
    }
}

/// Pieces of this size at least fill a window, in bytes.
const LEAST_PIECE: u64 = 512;
/// So many bytes of the window allow one piece more that fills the lowest gap.
const BEYOND_PIECE: u64 = 1024;
/// So many pieces may be held whatever the window.
const LEAST_PIECES: usize = 1000;

#[cfg(test)]
mod skip_tests;
#[cfg(test)]
mod sliver_tests;
#[cfg(test)]
mod tests;
