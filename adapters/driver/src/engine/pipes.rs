//! Pipes: what handles wish of them, and what the core says of them.

use std::sync::Arc;

use aqueduct_core::endpoint::{Leg as CoreLeg, PipeEvent, PipeEventKind, StreamAddr};
use aqueduct_core::error::StreamCode;
use aqueduct_core::pipe::{LegIndex, LegPolicy, PipeOptions};
use aqueduct_core::stream::Chunk;

use crate::connection::ConnGuard;
use crate::error::PipeError;
use crate::pipe::{PipeShared, PipeWish};
use crate::recv::Source;
use crate::send::Leg;

use super::Engine;

/// A pipe of the core, who hears of it, and the connections that it holds open.
pub(super) struct Entry {
    shared: Arc<PipeShared>,
    keep: Vec<Arc<ConnGuard>>,
}

impl Engine {
    pub(super) fn run_pipe(&mut self, wish: PipeWish) {
        match wish {
            PipeWish::Start { pipe, source, legs, options, reply } => {
                reply.send(self.start_pipe(&pipe, source, legs, options));
            }
            PipeWish::Add { pipe, leg, policy, reply } => {
                reply.send(self.add_leg(&pipe, leg, policy));
            }
            PipeWish::Stats { pipe, reply } => {
                if let Some(found) = pipe.id.get().and_then(|id| self.core.piped(*id)) {
                    reply.send(found.stats());
                }
            }
            PipeWish::Rate { pipe, rate } => {
                if let Some(mut found) = pipe.id.get().and_then(|id| self.core.piped(*id)) {
                    found.set_rate(rate);
                }
            }
            PipeWish::Cancel { pipe, code } => {
                if let Some(mut found) = pipe.id.get().and_then(|id| self.core.piped(*id)) {
                    found.cancel(code);
                }
            }
        }
    }

    fn start_pipe(
        &mut self,
        pipe: &Arc<PipeShared>,
        source: Source,
        legs: Vec<Leg>,
        options: PipeOptions,
    ) -> Result<(), PipeError> {
        let Source { shared: recv, unread, keep } = source;
        let from = recv
            .connection
            .handle
            .get()
            .map(|&connection| StreamAddr { connection, stream: recv.id });
        let from = from.ok_or(PipeError::DriverGone)?;
        let mut guards: Vec<_> = keep.into_iter().collect();
        let mut to = Vec::new();
        for leg in legs {
            let (addr, keep) = self.claim(leg)?;
            guards.extend(keep);
            to.push(addr);
        }
        let ways: Vec<_> = to.iter().copied().map(CoreLeg::Stream).collect();
        let (mut offset, mut given) = (recv.next_offset(), Vec::new());
        for data in recv.take_unread(unread).into_iter().rev() {
            offset -= data.len() as u64;
            given.push(Chunk { offset, data });
        }
        given.reverse();
        self.forget(from.connection, from.stream, |halves| halves.recv = None);
        match self.core.pipe_given(from, given, &ways, options) {
            Ok(id) => {
                let _once = pipe.id.set(id);
                self.pipes.insert(id, Entry { shared: pipe.clone(), keep: guards });
                Ok(())
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

    /// Takes a leg's stream over from its handle, with what was written to it.
    fn claim(&mut self, leg: Leg) -> Result<(StreamAddr, Option<Arc<ConnGuard>>), PipeError> {
        let Leg { shared: send, keep } = leg;
        let connection = *send.connection.handle.get().ok_or(PipeError::DriverGone)?;
        self.pump_send(&send);
        let stream = send.id;
        self.forget(connection, stream, |halves| halves.send = None);
        let addr = StreamAddr { connection, stream };
        if send.has_bytes() {
            self.give_up_leg(addr);
            return Err(PipeError::LegBusy);
        }
        Ok((addr, keep))
    }

    fn give_up_leg(&mut self, leg: StreamAddr) {
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
    ) -> Result<LegIndex, PipeError> {
        let (addr, keep) = self.claim(leg)?;
        let id = *pipe.id.get().ok_or(PipeError::DriverGone)?;
        let added = match self.core.piped(id) {
            Some(mut found) => found.add_leg(CoreLeg::Stream(addr), policy),
            None => Err(aqueduct_core::pipe::LegError::Over.into()),
        };
        match (&added, self.pipes.get_mut(&id)) {
            (Ok(_), Some(entry)) => entry.keep.extend(keep),
            _ => self.give_up_leg(addr),
        }
        added.map_err(PipeError::Core)
    }

    pub(super) fn on_pipe_event(&mut self, event: PipeEvent) {
        if let Some(entry) = self.pipes.get(&event.pipe) {
            entry.shared.on_event(event.kind);
        }
        if matches!(event.kind, PipeEventKind::Ended(_)) {
            // The guards go, and with the last of them a connection may close.
            self.pipes.remove(&event.pipe);
        }
    }

    /// The driver ends: nobody hears of pipes any more.
    pub(super) fn end_pipes(&mut self) {
        for entry in self.pipes.drain().map(|(_, entry)| entry) {
            entry.shared.end(None);
        }
    }
}
