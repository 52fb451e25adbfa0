//! Pipes: what handles wish of them, and what the core says of them.

use std::collections::HashMap;
use std::sync::Arc;

use aqueduct_core::endpoint::{
    Leg as CoreLeg, PipeError as CoreError, PipeEvent, PipeEventKind, PipeId, PipeRef, StreamAddr,
};
use aqueduct_core::error::StreamCode;
use aqueduct_core::pipe::{LegIndex, LegPolicy, PipeOptions};
use aqueduct_core::stream::Chunk;
use bytes::Bytes;

use crate::connection::ConnGuard;
use crate::error::PipeError;
use crate::pipe::{PipeShared, PipeWish};
use crate::recv::{RecvHalf, Source, Tap, Wishes, tapping};
use crate::send::Leg;

use super::{Engine, slot_of};

/// A pipe of the core, who hears of it, and the connections that it holds open.
pub(super) struct Entry {
    shared: Arc<PipeShared>,
    keep: Vec<Arc<ConnGuard>>,
    /// And those that it holds until a leg has ended.
    parts: HashMap<LegIndex, Arc<ConnGuard>>,
    /// The leg that is read here.
    tap: Option<(LegIndex, Tap)>,
}

impl Engine {
    pub(super) fn run_pipe(&mut self, wish: PipeWish) {
        match wish {
            PipeWish::Start { pipe, source, legs, options, tapped, gathers, reply } => {
                let started = self.start_pipe(&pipe, source, legs, options, tapped);
                if gathers && let Some(mut found) = self.piped(&pipe) {
                    found.gather(true);
                }
                reply.send(started);
            }
            PipeWish::Add { pipe, leg, policy, part, reply } => {
                reply.send(self.add_leg(&pipe, leg, policy, part));
            }
            PipeWish::Stats { pipe, reply } => {
                if let Some(found) = self.piped(&pipe) {
                    reply.send(found.stats());
                }
            }
            PipeWish::Sent { pipe, leg, reply } => {
                if let Some(sent) = self.piped(&pipe).and_then(|found| found.leg_sent(leg)) {
                    reply.send(sent);
                }
            }
            PipeWish::Rate { pipe, rate } => {
                if let Some(mut found) = self.piped(&pipe) {
                    found.set_rate(rate);
                }
            }
            PipeWish::Joined { pipe } => {
                if let Some(mut found) = self.piped(&pipe) {
                    found.gather(false);
                }
            }
            PipeWish::Cancel { pipe, code } => {
                if let Some(mut found) = self.piped(&pipe) {
                    found.cancel(code);
                }
            }
        }
    }

    fn piped(&mut self, pipe: &PipeShared) -> Option<PipeRef<'_>> {
        self.core.piped(*pipe.id.get()?)
    }

    fn start_pipe(
        &mut self,
        pipe: &Arc<PipeShared>,
        mut source: Source,
        legs: Vec<Leg>,
        options: PipeOptions,
        tapped: bool,
    ) -> Result<Option<RecvHalf>, PipeError> {
        let (recv, keep) = (source.shared.clone(), source.keep.take());
        let from = recv
            .connection
            .handle
            .get()
            .map(|&connection| StreamAddr { connection, stream: recv.id });
        let from = from.ok_or(PipeError::DriverGone)?;
        let unread = self.take_unread(from, &mut source);
        let mut guards: Vec<_> = keep.into_iter().collect();
        let (mut to, mut failed) = (Vec::new(), None);
        for leg in legs {
            match self.claim(leg) {
                Ok((leg, keep)) => {
                    guards.extend(keep);
                    to.push(leg);
                }
                Err(error) => failed = Some(error),
            }
        }
        let (unread, mut offset) = match (unread, failed) {
            (Ok(unread), None) => unread,
            (Err(error), _) | (_, Some(error)) => {
                to.into_iter().for_each(|leg| self.give_up_leg(leg));
                return Err(error);
            }
        };
        let legs = to.len();
        let mut ways = to.clone();
        ways.extend(tapped.then_some(CoreLeg::Application));
        let mut given = Vec::new();
        for data in unread.into_iter().rev() {
            offset -= data.len() as u64;
            given.push(Chunk { offset, data });
        }
        given.reverse();
        self.forget(from.connection, from.stream, |halves| halves.recv = None);
        match self.core.pipe_given(from, given, &ways, options) {
            Ok(id) => {
                let _once = pipe.id.set(id);
                let (tap, reader) = tapped.then(|| tapping(&recv, offset, &options)).unzip();
                let leg = LegIndex(u32::try_from(legs).unwrap_or(u32::MAX));
                let tap = tap.map(|tap| (leg, tap));
                let (shared, parts) = (pipe.clone(), HashMap::new());
                let entry = Entry { shared, keep: guards, parts, tap };
                self.pipes.insert(id, entry);
                Ok(reader.inspect(|reader: &RecvHalf| reader.reads(id)))
            }
            Err(error) => {
                to.into_iter().for_each(|leg| self.give_up_leg(leg));
                if let Some(mut connection) = self.core.connection(from.connection)
                    && let Some(mut stream) = connection.recv(from.stream)
                {
                    stream.stop(StreamCode::Cancelled.app());
                }
                Err(PipeError::Core(error))
            }
        }
    }

    /// What a source's handle was given and did not read, and the offset behind it.
    fn take_unread(
        &mut self,
        from: StreamAddr,
        source: &mut Source,
    ) -> Result<(Vec<Bytes>, u64), PipeError> {
        let slot = slot_of(&mut self.slots, from.connection);
        let halves = slot.and_then(|slot| slot.streams.get_mut(&from.stream));
        let inlet = halves.and_then(|halves| halves.recv.as_mut());
        let gone = PipeError::Core(CoreError::NoStream(from));
        let inlet = inlet.ok_or(gone)?;
        let mut connection = self.core.connection(from.connection);
        let stream = connection.as_mut().and_then(|connection| connection.recv(from.stream));
        inlet.take_unread(source, stream).ok_or(PipeError::Forked)
    }

    /// Takes a leg's stream over from its handle, with what was written to it, or how it ended.
    fn claim(&mut self, leg: Leg) -> Result<(CoreLeg, Option<Arc<ConnGuard>>), PipeError> {
        let Leg { shared: send, keep } = leg;
        let connection = *send.connection.handle.get().ok_or(PipeError::DriverGone)?;
        self.pump_send(&send);
        let stream = send.id;
        self.forget(connection, stream, |halves| halves.send = None);
        if let Some(end) = send.leg_end() {
            return Ok((CoreLeg::Ended(end), keep));
        }
        let leg = CoreLeg::Stream(StreamAddr { connection, stream });
        if send.has_bytes() {
            self.give_up_leg(leg);
            return Err(PipeError::LegBusy);
        }
        Ok((leg, keep))
    }

    fn give_up_leg(&mut self, leg: CoreLeg) {
        let CoreLeg::Stream(leg) = leg else { return };
        if let Some(mut connection) = self.core.connection(leg.connection)
            && let Some(mut stream) = connection.send(leg.stream)
        {
            stream.reset(StreamCode::Cancelled.app());
        }
    }

    fn add_leg(
        &mut self,
        pipe: &Arc<PipeShared>,
        leg: Leg,
        policy: LegPolicy,
        part: bool,
    ) -> Result<LegIndex, PipeError> {
        let (way, keep) = self.claim(leg)?;
        let id = *pipe.id.get().ok_or(PipeError::DriverGone)?;
        let added = match self.core.piped(id) {
            Some(mut found) => found.add_leg(way, policy),
            None => Err(aqueduct_core::pipe::LegError::Over.into()),
        };
        match (&added, self.pipes.get_mut(&id)) {
            (Ok(leg), Some(entry)) if part => entry.parts.extend(keep.map(|keep| (*leg, keep))),
            (Ok(_), Some(entry)) => entry.keep.extend(keep),
            _ => self.give_up_leg(way),
        }
        added.map_err(PipeError::Core)
    }

    pub(super) fn on_pipe_event(&mut self, event: PipeEvent) {
        if let Some(entry) = self.pipes.get_mut(&event.pipe) {
            entry.shared.on_event(event.kind);
            if let PipeEventKind::LegEnded { leg, .. } = event.kind {
                entry.parts.remove(&leg);
            }
            match (event.kind, &mut entry.tap) {
                (PipeEventKind::Readable, Some((_, tap))) => {
                    if let Some(mut pipe) = self.core.piped(event.pipe) {
                        tap.pump(&mut pipe);
                    }
                }
                (PipeEventKind::LegEnded { leg, end, .. }, Some((tapped, tap)))
                    if leg == *tapped =>
                {
                    tap.end(end);
                }
                _ => {}
            }
        }
        if matches!(event.kind, PipeEventKind::Ended(_)) {
            // The guards go, and with the last of them a connection may close.
            self.pipes.remove(&event.pipe);
        }
    }

    /// Readers of what a pipe passes on have passed something, or wish something.
    pub(super) fn serve_tap(&mut self, id: PipeId, wishes: &Wishes) {
        let tap = self.pipes.get_mut(&id).and_then(|entry| entry.tap.as_mut());
        if let Some((_, tap)) = tap
            && let Some(mut pipe) = self.core.piped(id)
        {
            tap.serve(wishes, &mut pipe);
        }
    }

    /// The driver ends: nobody hears of pipes any more.
    pub(super) fn end_pipes(&mut self) {
        for entry in self.pipes.drain().map(|(_, entry)| entry) {
            entry.shared.end(None);
        }
    }
}
