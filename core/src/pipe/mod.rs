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

mod leg;
mod options;
mod patience;
mod store;
mod window;

pub use options::{LegEnd, LegError, LegIndex, LegPolicy, PipeOptions, PipeStats};

use alloc::collections::VecDeque;
use alloc::vec::Vec;
use core::mem;
use core::ops::Range;
use core::time::Duration;

use crate::error::StreamCode;
use crate::flow::Window;
use crate::stream::{Arrival, Chunk, ReadError, RecvStream, SendState, SendStream, WriteError};
use crate::time::{Instant, earliest};
use crate::wire::id::AppCode;

use leg::Leg;
use options::{LOST, further};
use patience::Patience;
use store::Store;
use window::WindowRule;

/// What came, once.
#[derive(Clone, Debug)]
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
enum Source {
    /// More may come.
    Flowing,
    /// All came.
    Finished(u64),
    /// No more comes: legs are reset so. `reliable`: what they still get; `None`: what they have.
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
/// //   pipe.push(near, &mut first, pto, now);
/// //   pipe.push(far, &mut second, pto, now);
/// //   pipe.settle(Some(&mut source), round_trip, now);
/// assert_ne!(near, far);
/// assert_eq!(pipe.stats().legs, 2);
/// # Ok::<(), aqueduct_core::pipe::LegError>(())
/// ```
#[derive(Clone, Debug)]
pub struct Pipe {
    source: Source,
    /// What some leg was not given yet, in order of arrival; `logged` counts all there ever were.
    log: VecDeque<Item>,
    logged: u64,
    store: Store,
    received: u64,
    legs: Vec<Leg>,
    /// How the last leg ended that did.
    last_end: Option<LegEnd>,
    /// A STOP for the source, once nobody wants its bytes.
    stop: Option<(AppCode, u64)>,
    window: WindowRule,
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
            legs: Vec::new(),
            last_end: None,
            stop: None,
            window: WindowRule::new(start, options.stock),
            patience: Patience::new(options.timeout, now),
        }
    }

    /// Sets the source's first window. To be called once, when the pipe begins.
    pub fn begin(&mut self, source: &mut RecvStream<'_>) {
        source.set_window(Window::Fixed(self.window.window()));
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
        self.add(Leg::application(policy, self.held_from()))
    }

    fn add(&mut self, leg: Leg) -> Result<LegIndex, LegError> {
        if matches!(self.source, Source::Broken { .. }) || self.stop.is_some() {
            return Err(LegError::Over);
        }
        let (wanted, held) = (leg.range.start, self.held_from());
        if wanted < held {
            return Err(LegError::NotHeld { wanted, held });
        }
        let index = LegIndex(u32::try_from(self.legs.len()).map_err(|_| LegError::Over)?);
        self.legs.push(leg);
        Ok(index)
    }

    /// Takes what came. Returns whether anything did, or the source ended.
    pub fn pull(&mut self, source: &mut RecvStream<'_>, now: Instant) -> bool {
        let mut came = false;
        while self.source == Source::Flowing && self.stop.is_none() {
            match source.take_arrival(usize::MAX) {
                Ok(Some(Arrival::Bytes(chunk))) => self.enter(Item::Bytes(chunk)),
                Ok(Some(Arrival::Skipped(range))) => self.enter(Item::Skip(range)),
                Ok(None) => {
                    let end = self.store.contiguous_end();
                    self.source = Source::Finished(source.final_size().unwrap_or(end));
                }
                Err(ReadError::Blocked) => break,
                Err(ReadError::Reset { code, hop }) => {
                    self.break_off(code, further(hop), Some(self.store.contiguous_end()));
                }
                Err(_) => self.break_off(StreamCode::Cancelled.app(), 0, None),
            }
            came = true;
        }
        if came {
            self.patience.on_progress(now);
        }
        came
    }

    fn enter(&mut self, item: Item) {
        match &item {
            Item::Bytes(chunk) => {
                self.received += chunk.data.len() as u64;
                self.store.insert(chunk);
            }
            Item::Skip(range) => self.store.skip(range.clone()),
        }
        self.logged += 1;
        if self.legs.iter().any(Leg::follows_log) {
            self.log.push_back(item);
        }
    }

    /// Nothing more comes from the source: legs get what is `reliable` of it, and this reason.
    fn break_off(&mut self, code: AppCode, hop: u64, reliable: Option<u64>) {
        if self.source == Source::Flowing {
            self.source = Source::Broken { code, hop, reliable };
            self.log.clear();
        }
    }

    /// Gives a leg what it lacks, and looks how far its peer is. `pto` is its connection's probe
    /// time-out.
    pub fn push(&mut self, index: LegIndex, out: &mut SendStream<'_>, pto: Duration, now: Instant) {
        let Some(slot) = self.legs.get_mut(index.0 as usize).filter(|leg| leg.is_attached()) else {
            return;
        };
        let mut leg = mem::take(slot);
        let before = leg.acked;
        leg.pto = pto;
        leg.acked = leg.acked.max(out.acked_end());
        if leg.acked > before {
            self.patience.on_progress(now);
        }
        match self.give(&mut leg, out) {
            Ok(()) => leg.blocked = out.is_blocked_by_credit(),
            Err(error) => leg.end = Some(why_ended(error, out)),
        }
        if matches!(out.state(), SendState::DataRecvd | SendState::ResetRecvd) {
            leg.end.get_or_insert(self.how_closed());
        }
        self.last_end = leg.end.or(self.last_end);
        if let Some(slot) = self.legs.get_mut(index.0 as usize) {
            *slot = leg;
        }
        self.trim_log();
    }

    fn give(&self, leg: &mut Leg, out: &mut SendStream<'_>) -> Result<(), WriteError> {
        if let Some((code, hop)) = out.stopped() {
            return Err(WriteError::Stopped { code, hop });
        }
        if leg.closed {
            return Ok(());
        }
        if leg.doomed {
            out.reset_after(StreamCode::Detached.app(), 0, leg.acked);
            leg.end = Some(LegEnd::Detached { at: leg.acked });
            return Ok(());
        }
        self.catch_up(leg, out)?;
        let size = match self.source {
            Source::Flowing => leg.range.end,
            Source::Finished(size) => leg.range.end.min(size.max(leg.range.start)),
            Source::Broken { code, hop, reliable } => {
                leg.range.end = leg.range.end.min(reliable.unwrap_or(leg.acked));
                leg.closed = true;
                out.reset_after(code, hop, leg.range.end);
                return Ok(());
            }
        };
        if self.source != Source::Flowing || self.store.contiguous_end() >= size {
            leg.range.end = size;
            leg.closed = true;
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
        let next = self.legs.iter().filter(|leg| leg.follows_log()).filter_map(|leg| leg.next);
        let wanted = self.logged - next.min().unwrap_or(self.logged);
        let surplus = self.log.len().saturating_sub(usize::try_from(wanted).unwrap_or(usize::MAX));
        self.log.drain(..surplus);
    }

    /// Returns credit to the source by what everybody acknowledged, judges its window, and stops it
    /// if nobody is left. `source` is `None` once its stream is gone; `span` is its round trip and
    /// the longest of the legs' together. Returns how many bytes were let go.
    pub fn settle(
        &mut self,
        source: Option<&mut RecvStream<'_>>,
        span: Duration,
        now: Instant,
    ) -> u64 {
        self.end_application();
        let through = self.through();
        if through > self.store.floor() {
            self.patience.on_moved(now);
        }
        let freed = self.store.free_below(through);
        self.patience.judge(&mut self.legs, self.window.window(), self.store.bytes(), now);
        if self.is_unwanted() {
            self.stop = Some(self.last_words());
        }
        let Some(source) = source else { return freed };
        source.release(freed);
        if let Some((code, hop)) = self.stop {
            source.stop_after(code, hop);
            return freed;
        }
        let blocked = self.legs.iter().any(|leg| leg.is_attached() && leg.blocked);
        if let Some(window) = self.window.judge(self.store.floor(), span, blocked, now) {
            source.set_window(Window::Fixed(window));
        }
        freed
    }

    /// All below is nothing to any leg that is attached. A pipe that had no leg yet waits.
    fn through(&self) -> u64 {
        if self.legs.is_empty() {
            return self.store.floor();
        }
        let attached = self.legs.iter().filter(|leg| leg.is_attached());
        attached.map(Leg::through).min().unwrap_or(u64::MAX).min(self.store.highest())
    }

    /// Whether there were legs, none is left, and the source still sends.
    fn is_unwanted(&self) -> bool {
        let left = self.legs.is_empty() || self.legs.iter().any(Leg::is_attached);
        !left && self.stop.is_none() && self.source == Source::Flowing
    }

    /// What the source is told when its last leg has ended.
    fn last_words(&self) -> (AppCode, u64) {
        match self.last_end {
            Some(LegEnd::Stopped { code, hop }) => (code, further(hop)),
            Some(LegEnd::Lost) => LOST,
            _ => (StreamCode::Cancelled.app(), 0),
        }
    }

    /// The source's connection is gone, after everything that came was pulled. `keep`: whether
    /// there is room to hold what came until the legs have it; else they end where they are.
    pub fn on_source_lost(&mut self, keep: bool) {
        let reliable = keep.then(|| self.store.contiguous_end());
        self.break_off(LOST.0, LOST.1, reliable);
    }

    /// A leg's stream is over and forgotten: all of it was acknowledged.
    pub fn on_leg_gone(&mut self, index: LegIndex, now: Instant) {
        let closed = self.legs.get(index.0 as usize).is_some_and(|leg| leg.closed);
        self.end_leg(index, if closed { self.how_closed() } else { LegEnd::Lost }, now);
    }

    /// A leg's connection is gone, whatever it still had to acknowledge.
    pub fn on_leg_lost(&mut self, index: LegIndex, now: Instant) {
        self.end_leg(index, LegEnd::Lost, now);
    }

    fn end_leg(&mut self, index: LegIndex, end: LegEnd, now: Instant) {
        let leg = self.legs.get_mut(index.0 as usize).filter(|leg| leg.is_attached());
        let Some(leg) = leg else { return };
        leg.end = Some(end);
        self.last_end = Some(end);
        self.patience.on_progress(now);
        self.trim_log();
    }

    /// How a leg ended that was given the end and has acknowledged it.
    fn how_closed(&self) -> LegEnd {
        match self.source {
            Source::Broken { code, hop, .. } => LegEnd::Reset { code, hop },
            _ => LegEnd::Delivered,
        }
    }

    /// Gives the pipe up: legs are reset where they are, and the source is stopped, with `code`.
    pub fn cancel(&mut self, code: AppCode) {
        self.break_off(code, 0, None);
        self.stop.get_or_insert((code, 0));
    }

    /// When [`on_deadline`](Self::on_deadline) is due: a leg is to be given up, or the pipe.
    pub fn deadline(&self) -> Option<Instant> {
        let idle = if self.is_over() { None } else { self.patience.timeout() };
        let legs = self.patience.leg_deadline(&self.legs, self.store.bytes());
        earliest([idle, legs])
    }

    /// Gives up what is due; then every leg is to be pushed and the pipe settled.
    pub fn on_deadline(&mut self, now: Instant) {
        if self.patience.timeout().is_some_and(|at| at <= now) && !self.is_over() {
            self.cancel(StreamCode::Timeout.app());
        }
        self.patience.judge(&mut self.legs, self.window.window(), self.store.bytes(), now);
    }

    /// Whether a leg is to be given up with the next [`push`](Self::push).
    pub fn has_doomed(&self) -> bool {
        self.legs.iter().any(|leg| leg.is_attached() && leg.doomed)
    }

    /// The next bytes for the application, in order, at most `max`; skipped ranges are passed over,
    /// which shows in the offset. They are held until [`release`](Self::release). `None` at the
    /// end of the body.
    ///
    /// # Errors
    /// [`ReadError::Blocked`] if none are here, [`ReadError::Reset`] after what was promised, and
    /// [`ReadError::Stopped`] if the application is no leg, or was given up as one.
    pub fn read(&mut self, max: usize) -> Result<Option<Chunk>, ReadError> {
        let leg = self.legs.iter_mut().find(|leg| leg.is_application() && leg.is_attached());
        let leg = leg.filter(|leg| !leg.doomed).ok_or(ReadError::Stopped)?;
        let chunk = self.store.from(leg.read, max);
        match (self.source, chunk) {
            (Source::Broken { code, hop, reliable }, _) if leg.read >= reliable.unwrap_or(0) => {
                Err(ReadError::Reset { code, hop })
            }
            (_, Some(chunk)) => {
                leg.read = chunk.range().end;
                Ok(Some(chunk))
            }
            (Source::Finished(size), None) if self.store.skipped_to(leg.read) >= size => Ok(None),
            _ => Err(ReadError::Blocked),
        }
    }

    /// The application needs nothing below `offset` any more, of what it was given.
    pub fn release(&mut self, offset: u64, now: Instant) {
        let found = self.legs.iter_mut().find(|leg| leg.is_application() && leg.is_attached());
        let Some(leg) = found else { return };
        leg.acked = leg.acked.max(self.store.skipped_to(offset.min(leg.read)));
        self.patience.on_progress(now);
    }

    /// The application's leg ends like the others: with all of it, or where it was given up.
    fn end_application(&mut self) {
        let (source, how_closed) = (self.source, self.how_closed());
        let found = self.legs.iter_mut().find(|leg| leg.is_application() && leg.is_attached());
        let Some(leg) = found else { return };
        let all = match source {
            Source::Flowing => false,
            Source::Finished(size) => leg.acked >= size,
            Source::Broken { reliable, .. } => leg.acked >= reliable.unwrap_or(0),
        };
        leg.end = match leg.doomed {
            true => Some(LegEnd::Detached { at: leg.acked }),
            false => all.then_some(how_closed),
        };
        self.last_end = leg.end.or(self.last_end);
    }

    /// Whether [`read`](Self::read) would say something new.
    pub fn is_readable(&self) -> bool {
        let mut legs = self.legs.iter().filter(|leg| leg.is_application() && leg.is_attached());
        legs.any(|leg| self.source != Source::Flowing || self.store.from(leg.read, 1).is_some())
    }

    /// How a leg ended, if it has.
    pub fn leg_end(&self, index: LegIndex) -> Option<LegEnd> {
        self.legs.get(index.0 as usize).and_then(|leg| leg.end)
    }

    /// Whether nothing is left to do: the source has ended, and so have all legs.
    pub fn is_over(&self) -> bool {
        let ended = self.source != Source::Flowing || self.stop.is_some();
        ended && !self.legs.iter().any(Leg::is_attached)
    }

    /// Whether the source still sends.
    pub fn is_flowing(&self) -> bool {
        self.source == Source::Flowing && self.stop.is_none()
    }

    /// Where what is held begins: the lowest offset at which a leg may be added.
    pub fn held_from(&self) -> u64 {
        self.store.floor()
    }

    /// Counters, and what is now.
    pub fn stats(&self) -> PipeStats {
        let count = |test: fn(&Leg) -> bool| {
            u32::try_from(self.legs.iter().filter(|leg| test(leg)).count()).unwrap_or(u32::MAX)
        };
        PipeStats {
            received: self.received,
            acked: self.store.floor(),
            held: self.store.bytes(),
            most_held: self.store.most(),
            waiting: self.log.iter().map(Item::bytes).sum(),
            window: self.window.window(),
            legs: count(Leg::is_attached),
            detached: count(|leg| matches!(leg.end, Some(LegEnd::Detached { .. }))),
        }
    }
}

/// What the error of a leg's stream means for the leg.
fn why_ended(error: WriteError, out: &SendStream<'_>) -> LegEnd {
    match (error, out.stopped()) {
        (WriteError::Stopped { code, hop }, _) | (_, Some((code, hop))) => {
            LegEnd::Stopped { code, hop }
        }
        _ => LegEnd::Reset { code: StreamCode::Cancelled.app(), hop: 0 },
    }
}

#[cfg(test)]
mod tests;
