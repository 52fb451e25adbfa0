//! Pipes across connections: which streams they are, and moving their bytes when there is news.
//!
//! To its connections a pipe is an application like any other: it is told of news and calls the
//! streams' views, one at a time. What a pipe itself decides stands in the `pipe` room.

use alloc::collections::VecDeque;
use alloc::collections::{BTreeMap, BTreeSet};
use alloc::vec::Vec;
use core::ops::Range;
use core::time::Duration;

use thiserror::Error;

use crate::connection::{Connection, EventKind};
use crate::error::StreamCode;
use crate::flow::Loan;
use crate::pipe::{
    EndedLeg, LegEnd, LegError, LegIndex, LegPath, LegPolicy, Pipe, PipeOptions, PipeStats,
};
use crate::planted::Fault;
use crate::stream::{Chunk, DEFAULT_HOP_LIMIT, RecvStream};
use crate::time::Instant;
use crate::wire::capabilities::Mode;
use crate::wire::id::StreamId;

use super::pipe_sums::PipeSums;
use super::slab::{Slab, SlotKey};
use super::{ConnectionHandle, Endpoint, Entry};

/// A pipe of one endpoint. Never used again.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct PipeId(pub(super) u64);

/// One half of a stream of one of the endpoint's connections: of a source the half that receives,
/// of a leg the half that sends.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[expect(clippy::exhaustive_structs, reason = "an address of two parts")]
pub struct StreamAddr {
    /// The connection.
    pub connection: ConnectionHandle,
    /// Its stream.
    pub stream: StreamId,
}

/// Where a pipe's bytes go.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[expect(clippy::exhaustive_enums, reason = "out again, or in here")]
pub enum Leg {
    /// To a peer, by a stream that was opened for it. Its range is what the stream's OPEN says; of
    /// a stream that was already written to, what lies behind that.
    Stream(StreamAddr),
    /// To this node's application, which reads by [`PipeRef::read`](super::PipeRef::read).
    Application,
    /// To nobody any more: a stream that was opened for it came to this end before there was a
    /// pipe. The pipe tells of it like of any leg, and ends so if there is no other (spec
    /// R-PIPE-29).
    Ended(LegEnd),
}

/// Why there is no pipe, or no such leg. Nothing was changed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
#[non_exhaustive]
pub enum PipeError {
    /// The source or a leg is no stream that can be piped so: it is over, or has no such half.
    #[error("no such stream: {0:?}")]
    NoStream(StreamAddr),
    /// The source or a leg belongs to a pipe already.
    #[error("already piped: {0:?}")]
    Piped(StreamAddr),
    /// Piping was not agreed on with the peer of this connection (spec R-MODE-13).
    #[error("piping was not agreed on with the peer: {0:?}")]
    NotAgreed(ConnectionHandle),
    /// A pipe has one leg at least.
    #[error("a pipe needs at least one leg")]
    NoLegs,
    /// The source was forwarded as often as its OPEN allows.
    #[error("the stream's hop limit is used up")]
    HopLimit,
    /// A leg's OPEN would let the stream go on for as long as before, or longer.
    #[error("hop limit {leg:?} of a leg is not below the source's {source_limit}")]
    LegHopLimit {
        /// What the leg's OPEN says.
        leg: Option<u8>,
        /// What the source's OPEN says, or what counts where it does not.
        source_limit: u8,
    },
    /// The leg cannot be added.
    #[error(transparent)]
    Leg(#[from] LegError),
}

/// News of a pipe.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[cfg_attr(any(test, feature = "fingerprint"), derive(Hash))]
#[expect(clippy::exhaustive_structs, reason = "who and what")]
pub struct PipeEvent {
    /// Whose.
    pub pipe: PipeId,
    /// What.
    pub kind: PipeEventKind,
}

/// What happened to a pipe.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[cfg_attr(any(test, feature = "fingerprint"), derive(Hash))]
#[non_exhaustive]
pub enum PipeEventKind {
    /// The application's leg has bytes, or an end. Again only after a read found nothing.
    Readable,
    /// A leg ended; the others go on.
    LegEnded {
        /// Which.
        leg: LegIndex,
        /// How.
        end: LegEnd,
        /// Bytes that its stream had sent, each counted once.
        sent: u64,
    },
    /// The source and all legs have ended; the pipe is gone. Nothing follows.
    Ended(PipeStats),
}

/// Which part of a pipe a stream is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Part {
    Source,
    Leg(LegIndex),
}

/// A pipe and its streams.
#[derive(Clone, Debug)]
#[cfg_attr(any(test, feature = "fingerprint"), derive(Hash))]
pub(super) struct Piped {
    pub(super) pipe: Pipe,
    source: Option<StreamAddr>,
    /// The legs that are streams.
    legs: BTreeMap<LegIndex, StreamAddr>,
    /// Those of them with news.
    fresh: BTreeSet<LegIndex>,
    /// How many relays may still forward the source, this one included.
    hop_limit: Option<u8>,
    /// What it holds of a source whose connection is gone.
    loan: Loan,
    deadline: Option<Instant>,
    /// The application waits to hear that it may read.
    pub(super) armed: bool,
}

impl Piped {
    fn add(&mut self, wish: &Wish, policy: LegPolicy) -> Result<LegIndex, LegError> {
        let (at, range) = match wish {
            Wish::Stream(at, range) => (at, range),
            Wish::Application => return self.pipe.add_application(policy),
            Wish::Ended(end) => return self.pipe.add_ended(*end),
        };
        let index = self.pipe.add_leg(range.clone(), policy)?;
        self.legs.insert(index, *at);
        self.fresh.insert(index);
        Ok(index)
    }

    /// Something happened that concerns every leg.
    pub(super) fn wake_all(&mut self) {
        self.fresh.extend(self.legs.keys());
    }
}

/// How a pipe takes what came.
type Pull = fn(&mut Pipe, &mut RecvStream<'_>, Instant) -> bool;

/// A leg that may be added.
enum Wish {
    /// Which stream gets which range.
    Stream(StreamAddr, Range<u64>),
    Application,
    /// It has come to its end already.
    Ended(LegEnd),
}

impl Wish {
    fn stream(&self) -> Option<StreamAddr> {
        match self {
            Self::Stream(at, _) => Some(*at),
            Self::Application | Self::Ended(_) => None,
        }
    }
}

/// All pipes of an endpoint.
#[derive(Clone, Debug, Default)]
#[cfg_attr(any(test, feature = "fingerprint"), derive(Hash))]
pub(super) struct Pipes {
    next: u64,
    pipes: BTreeMap<PipeId, Piped>,
    /// Halves of streams that are piped.
    sources: BTreeMap<(SlotKey, StreamId), PipeId>,
    legs: BTreeMap<(SlotKey, StreamId), (PipeId, LegIndex)>,
    /// Those with news.
    due: BTreeSet<PipeId>,
    deadlines: BTreeSet<(Instant, PipeId)>,
    events: VecDeque<PipeEvent>,
    /// What pipes did that are over.
    gone: PipeSums,
}

impl Pipes {
    /// Whether news of a connection are a pipe's; if so it is noted.
    pub(super) fn take(&mut self, key: SlotKey, kind: &EventKind) -> bool {
        if self.pipes.is_empty() {
            return false;
        }
        let (id, sends) = match kind {
            EventKind::Readable(id) => (*id, false),
            EventKind::Writable(id)
            | EventKind::Stopped(id)
            | EventKind::Delivered(id)
            | EventKind::Acked(id) => (*id, true),
            _ => return false,
        };
        let (pipe, leg) = match sends {
            true => self.legs.get(&(key, id)).map(|(pipe, leg)| (*pipe, Some(*leg))),
            false => self.sources.get(&(key, id)).map(|pipe| (*pipe, None)),
        }
        .unzip();
        let (Some(pipe), Some(leg)) = (pipe, leg) else { return false };
        if let Some(piped) = self.pipes.get_mut(&pipe) {
            piped.fresh.extend(leg);
        }
        self.due.insert(pipe);
        true
    }

    /// A new pipe.
    fn insert(&mut self, piped: Piped) -> PipeId {
        let id = PipeId(self.next);
        self.next += 1;
        if let Some(from) = piped.source {
            self.sources.insert((from.connection.0, from.stream), id);
        }
        for (index, at) in &piped.legs {
            self.legs.insert((at.connection.0, at.stream), (id, *index));
        }
        self.pipes.insert(id, piped);
        self.due.insert(id);
        id
    }

    pub(super) fn deadline(&self) -> Option<Instant> {
        self.deadlines.first().map(|(at, _)| *at)
    }

    pub(super) fn get_mut(&mut self, id: PipeId) -> Option<&mut Piped> {
        self.pipes.get_mut(&id)
    }

    pub(super) fn get(&self, id: PipeId) -> Option<&Piped> {
        self.pipes.get(&id)
    }

    /// Something was done to a pipe.
    pub(super) fn touch(&mut self, id: PipeId) {
        self.due.insert(id);
    }

    pub(super) fn next_event(&mut self) -> Option<PipeEvent> {
        self.events.pop_front()
    }

    /// How many there are.
    pub(super) fn count(&self) -> usize {
        self.pipes.len()
    }

    /// Bytes that all of them hold.
    pub(super) fn held(&self) -> u64 {
        self.pipes.values().map(|piped| piped.pipe.stats().held).sum()
    }

    /// How many there ever were.
    pub(super) const fn begun(&self) -> u64 {
        self.next
    }

    /// What all did, those that are over too.
    pub(super) fn sums(&self) -> PipeSums {
        let mut sums = self.gone;
        self.pipes.values().for_each(|piped| sums.add(&piped.pipe));
        sums
    }

    /// The parts of pipes that are streams of this connection.
    fn parts_of(&self, key: SlotKey) -> Vec<(PipeId, Part)> {
        let whole = (key, StreamId(0))..=(key, StreamId(u64::MAX));
        let sources = self.sources.range(whole.clone()).map(|(_, id)| (*id, Part::Source));
        let legs = self.legs.range(whole).map(|(_, (id, leg))| (*id, Part::Leg(*leg)));
        sources.chain(legs).collect()
    }

    fn set_deadline(&mut self, id: PipeId, at: Option<Instant>) {
        let Some(piped) = self.pipes.get_mut(&id) else { return };
        if piped.deadline != at {
            piped.deadline.map(|old| self.deadlines.remove(&(old, id)));
            at.map(|new| self.deadlines.insert((new, id)));
            piped.deadline = at;
        }
    }
}

/// The connection in a slot.
fn connection(slots: &mut Slab<Entry>, handle: ConnectionHandle) -> Option<&mut Connection> {
    match slots.get_mut(handle.0) {
        Some(Entry::Connection(member)) => Some(&mut member.connection),
        _ => None,
    }
}

impl Endpoint {
    /// Makes a pipe, as `pipe_given` says.
    pub(super) fn make_pipe(
        &mut self,
        from: StreamAddr,
        given: Vec<Chunk>,
        to: &[Leg],
        options: PipeOptions,
    ) -> Result<PipeId, PipeError> {
        let now = self.now;
        if to.is_empty() {
            return Err(PipeError::NoLegs);
        }
        if self.pipes.sources.contains_key(&(from.connection.0, from.stream)) {
            return Err(PipeError::Piped(from));
        }
        self.agreed(from)?;
        let hop_limit = self.hop_limit(from)?;
        let member = connection(&mut self.slots, from.connection);
        let source = member.and_then(|c| c.recv(from.stream, &mut self.budget, now));
        let position = source.ok_or(PipeError::NoStream(from))?.position();
        let start = given.first().map_or(position, |chunk| chunk.offset);
        let mut piped = Piped {
            pipe: Pipe::new(start, options, now),
            source: Some(from),
            legs: BTreeMap::new(),
            fresh: BTreeSet::new(),
            hop_limit,
            loan: Loan::default(),
            deadline: None,
            armed: true,
        };
        for leg in to {
            let wish = self.check_leg(*leg, hop_limit)?;
            if let Some(at) = wish.stream().filter(|at| piped.legs.values().any(|leg| leg == at)) {
                return Err(PipeError::Piped(at));
            }
            piped.add(&wish, options.policy)?;
        }
        given.into_iter().for_each(|chunk| piped.pipe.preload(chunk, now));
        let member = connection(&mut self.slots, from.connection);
        if let Some(mut source) = member.and_then(|c| c.recv(from.stream, &mut self.budget, now)) {
            piped.pipe.begin(&mut source);
        }
        Ok(self.pipes.insert(piped))
    }

    /// Adds a leg to a pipe that flows.
    pub(super) fn add_leg(
        &mut self,
        id: PipeId,
        leg: Leg,
        policy: LegPolicy,
    ) -> Result<LegIndex, PipeError> {
        let over = PipeError::Leg(LegError::Over);
        let hop_limit = self.pipes.get(id).ok_or(over)?.hop_limit;
        let wish = self.check_leg(leg, hop_limit)?;
        let piped = self.pipes.get_mut(id).ok_or(over)?;
        let index = piped.add(&wish, policy)?;
        if let Some(at) = wish.stream() {
            self.pipes.legs.insert((at.connection.0, at.stream), (id, index));
        }
        self.pipes.touch(id);
        Ok(index)
    }

    /// Whether both ends of the stream's connection take part in pipes.
    fn agreed(&mut self, at: StreamAddr) -> Result<(), PipeError> {
        let mode = connection(&mut self.slots, at.connection).and_then(|c| c.mode());
        match mode {
            Some(mode) if mode < Mode::StreamingPiped => Err(PipeError::NotAgreed(at.connection)),
            _ => Ok(()),
        }
    }

    /// How many relays may still forward the source, this one included. `None`: this node opened
    /// the stream, and what comes back on it goes where the stream came from.
    fn hop_limit(&mut self, from: StreamAddr) -> Result<Option<u8>, PipeError> {
        let connection = connection(&mut self.slots, from.connection);
        let connection = connection.ok_or(PipeError::NoStream(from))?;
        let info = connection.stream_info(from.stream).ok_or(PipeError::NoStream(from))?;
        if from.stream.opener() == connection.side() {
            return Ok(None);
        }
        match info.hop_limit.unwrap_or(DEFAULT_HOP_LIMIT) {
            0 => Err(PipeError::HopLimit),
            limit => Ok(Some(limit)),
        }
    }

    /// What a leg would get, if everything about its stream is right. Changes nothing.
    fn check_leg(&mut self, leg: Leg, source_limit: Option<u8>) -> Result<Wish, PipeError> {
        let at = match leg {
            Leg::Stream(at) => at,
            Leg::Application => return Ok(Wish::Application),
            Leg::Ended(end) => return Ok(Wish::Ended(end)),
        };
        if self.pipes.legs.contains_key(&(at.connection.0, at.stream)) {
            return Err(PipeError::Piped(at));
        }
        self.agreed(at)?;
        let connection = connection(&mut self.slots, at.connection);
        let connection = connection.ok_or(PipeError::NoStream(at))?;
        let out = connection.send(at.stream).ok_or(PipeError::NoStream(at))?;
        // Its end may be acknowledged, and nothing be left of it, before the pipe looks at it.
        let stopped = out.stopped();
        let from = out.contiguous_end();
        let ours = at.stream.opener() == connection.side();
        let info = connection.stream_info(at.stream).filter(|_| ours);
        let (end, hop_limit) = info.map_or((None, None), |info| (info.end, info.hop_limit));
        if let Some(source_limit) = source_limit.filter(|_| ours)
            && hop_limit.is_none_or(|left| left >= source_limit)
        {
            return Err(PipeError::LegHopLimit { leg: hop_limit, source_limit });
        }
        Ok(match stopped {
            Some((code, hop)) => Wish::Ended(LegEnd::Stopped { code, hop }),
            None => Wish::Stream(at, from..end.unwrap_or(u64::MAX)),
        })
    }

    /// Moves what there is to move in pipes that have news. Returns whether anything was done.
    pub(super) fn pump_pipes(&mut self, now: Instant) -> bool {
        while let Some((at, id)) =
            self.pipes.deadlines.first().copied().filter(|(at, _)| *at <= now)
        {
            self.pipes.deadlines.remove(&(at, id));
            if let Some(piped) = self.pipes.pipes.get_mut(&id) {
                piped.deadline = None;
                piped.pipe.on_deadline(now);
                piped.wake_all();
                self.pipes.due.insert(id);
            }
        }
        let mut any = false;
        while let Some(id) = self.pipes.due.pop_first() {
            any = true;
            self.pump(id, now);
        }
        any
    }

    /// One pipe: what came goes in, what is there goes out, credit goes back.
    fn pump(&mut self, id: PipeId, now: Instant) {
        let Some(mut piped) = self.pipes.pipes.remove(&id) else { return };
        let mut came = self.pull(&mut piped, Pipe::pull, now);
        loop {
            if came {
                piped.wake_all();
            }
            self.push_legs(&mut piped, now);
            self.settle_pipe(&mut piped, now);
            // What was acknowledged may have made room for what nobody will tell of again.
            came = self.pull(&mut piped, Pipe::pull, now);
            // Each turn ends a leg at least, or takes a piece.
            match piped.pipe.has_doomed() {
                true => piped.wake_all(),
                false if !came => break,
                false => {}
            }
        }
        self.tell(id, &mut piped);
        let (over, deadline) = (piped.pipe.is_over(), piped.pipe.deadline());
        self.pipes.pipes.insert(id, piped);
        self.pipes.set_deadline(id, deadline.filter(|_| !over));
        if over {
            self.end_pipe(id);
        }
    }

    /// Returns whether anything came, or the source ended.
    fn pull(&mut self, piped: &mut Piped, verb: Pull, now: Instant) -> bool {
        let Some(from) = piped.source else { return false };
        let connection = connection(&mut self.slots, from.connection);
        match connection.and_then(|c| c.recv(from.stream, &mut self.budget, now)) {
            Some(mut source) => verb(&mut piped.pipe, &mut source, now),
            // The application stopped it.
            None if piped.pipe.is_flowing() => {
                piped.pipe.cancel(StreamCode::Cancelled.app());
                true
            }
            None => false,
        }
    }

    /// Gives the legs with news what they lack.
    fn push_legs(&mut self, piped: &mut Piped, now: Instant) {
        while let Some(index) = piped.fresh.pop_first() {
            let Some(at) = piped.legs.get(&index) else { continue };
            let Some(connection) = connection(&mut self.slots, at.connection) else {
                piped.pipe.on_leg_lost(index);
                continue;
            };
            let path = LegPath { pto: connection.pto_unqueued(), rtt: connection.rtt() };
            match connection.send(at.stream) {
                Some(mut out) => piped.pipe.push(index, &mut out, path, now),
                None => piped.pipe.on_leg_gone(index),
            }
            self.touch(at.connection.0);
        }
    }

    fn settle_pipe(&mut self, piped: &mut Piped, now: Instant) {
        let connection = piped.source.and_then(|from| connection(&mut self.slots, from.connection));
        let source = piped.source.zip(connection);
        let rtt = source.as_ref().map_or(Duration::ZERO, |(_, c)| c.rtt());
        let mut source = source.and_then(|(from, c)| c.recv(from.stream, &mut self.budget, now));
        let freed = piped.pipe.settle(source.as_mut(), rtt, now);
        let is_there = source.is_some();
        drop(source);
        if !is_there {
            self.budget.settle(&mut piped.loan, freed);
        }
        if let Some(from) = piped.source {
            self.touch(from.connection.0);
        }
    }

    fn tell(&mut self, id: PipeId, piped: &mut Piped) {
        while let Some(EndedLeg { leg, end, sent }) = piped.pipe.next_ended() {
            if let Some(at) = piped.legs.remove(&leg) {
                self.pipes.legs.remove(&(at.connection.0, at.stream));
            }
            let kind = PipeEventKind::LegEnded { leg, end, sent };
            self.pipes.events.push_back(PipeEvent { pipe: id, kind });
        }
        if piped.armed && piped.pipe.is_readable() {
            piped.armed = false;
            self.pipes.events.push_back(PipeEvent { pipe: id, kind: PipeEventKind::Readable });
        }
    }

    fn end_pipe(&mut self, id: PipeId) {
        let Some(mut piped) = self.pipes.pipes.remove(&id) else { return };
        if let Some(from) = piped.source {
            self.pipes.sources.remove(&(from.connection.0, from.stream));
        }
        self.budget.settle(&mut piped.loan, u64::MAX);
        self.pipes.gone.add(&piped.pipe);
        let kind = PipeEventKind::Ended(piped.pipe.stats());
        self.pipes.events.push_back(PipeEvent { pipe: id, kind });
    }

    /// A connection has ended: what came before is taken, then its pipes are told.
    pub(super) fn on_pipes_connection_lost(&mut self, key: SlotKey, now: Instant) {
        for (id, part) in self.pipes.parts_of(key) {
            let Some(mut piped) = self.pipes.pipes.remove(&id) else { continue };
            match part {
                Part::Source if self.config.transport.planted.has(Fault::DeafPipe) => {}
                Part::Source => {
                    self.pull(&mut piped, Pipe::pull_rest, now);
                    self.lose_source(&mut piped);
                    piped.wake_all();
                }
                Part::Leg(index) => {
                    piped.fresh.insert(index);
                    self.push_legs(&mut piped, now);
                    piped.pipe.on_leg_lost(index);
                }
            }
            self.pipes.pipes.insert(id, piped);
            self.pipes.due.insert(id);
        }
    }

    /// What a pipe holds is nobody's from now on: the pool lends for it, or it is dropped.
    fn lose_source(&mut self, piped: &mut Piped) {
        let loan = self.budget.lend(piped.pipe.stats().held);
        piped.pipe.on_source_lost(loan.is_some());
        piped.loan = loan.unwrap_or_default();
        if let Some(from) = piped.source.take() {
            self.pipes.sources.remove(&(from.connection.0, from.stream));
        }
    }
}
