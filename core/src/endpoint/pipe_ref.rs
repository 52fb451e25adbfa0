//! A pipe as the application holds it for a moment.

use crate::pipe::{LegIndex, LegPolicy, PipeStats};
use crate::stream::{self, Chunk, ReadError};
use crate::tape::{Op, Taped};
use crate::wire::id::AppCode;

use super::Endpoint;
use super::pipes::{Leg, PipeError, PipeId};
use super::taped::leg_added;

/// A pipe, for as long as it is looked at. What was done to it is seen to by the next
/// [`Endpoint::poll`].
pub struct PipeRef<'a> {
    endpoint: &'a mut Endpoint,
    id: PipeId,
}

impl<'a> PipeRef<'a> {
    pub(super) fn new(endpoint: &'a mut Endpoint, id: PipeId) -> Option<Self> {
        endpoint.pipes.get_mut(id)?;
        endpoint.tape.note(|tape| tape.piped(id.number()));
        Some(Self { endpoint, id })
    }

    /// The next bytes for the application's leg, in order, at most `max`; skipped ranges are passed
    /// over, which shows in the offset. They are held, and hold back the source, until
    /// [`release`](Self::release). `None` at the end of the body.
    ///
    /// # Errors
    /// [`ReadError::Blocked`] if none are here (an event says when some are),
    /// [`ReadError::Reset`] after what was promised, [`ReadError::Stopped`] if the application is
    /// no leg, not any more, or was too slow for one.
    pub fn read(&mut self, max: usize) -> Result<Option<Chunk>, ReadError> {
        let piped = self.endpoint.pipes.get_mut(self.id).ok_or(ReadError::Stopped)?;
        let read = piped.pipe.read(max);
        if read == Err(ReadError::Blocked) && max > 0 {
            piped.armed = true;
        }
        self.note(Op::PipeRead, &max, &stream::read(&read));
        read
    }

    /// The application needs nothing below `offset` any more, of what it was given.
    pub fn release(&mut self, offset: u64) {
        self.note(Op::PipeRelease, &offset, &());
        let now = self.endpoint.now;
        if let Some(piped) = self.endpoint.pipes.get_mut(self.id) {
            piped.pipe.release(offset, now);
        }
    }

    /// Whether first legs are still to come: while they are, all that comes is held for them, as
    /// far as the source's credit goes. To be said before the next [`Endpoint::poll`].
    pub fn gather(&mut self, more: bool) {
        self.note(Op::PipeGather, &more, &());
        let now = self.endpoint.now;
        if let Some(piped) = self.endpoint.pipes.get_mut(self.id) {
            piped.pipe.gather(more, now);
        }
    }

    /// Adds a leg: it gets what is still held from its OPEN's `start` on, and all that comes.
    ///
    /// # Errors
    /// [`PipeError`]; nothing was changed.
    pub fn add_leg(&mut self, leg: Leg, policy: LegPolicy) -> Result<LegIndex, PipeError> {
        let added = self.endpoint.add_leg(self.id, leg, policy);
        self.note(Op::AddLeg, &(leg, policy), &leg_added(added));
        added
    }

    /// A call, for the tape.
    fn note(&mut self, op: Op, args: &impl Taped, came: &impl Taped) {
        self.endpoint.tape.note(|tape| {
            tape.pipe_call(self.id.number(), op, |out| {
                args.put(out);
                came.put(out);
            });
        });
    }

    /// The lowest offset at which a leg may begin now: what lies below is no longer held.
    pub fn held_from(&self) -> u64 {
        self.endpoint.pipes.get(self.id).map_or(0, |piped| piped.pipe.held_from())
    }

    /// Counters, and what is now.
    pub fn stats(&self) -> PipeStats {
        let piped = self.endpoint.pipes.get(self.id);
        piped.map_or_else(PipeStats::default, |piped| piped.pipe.stats())
    }

    /// The size of the body, once the source has ended with all of it. What was skipped at its end
    /// shows in this alone.
    pub fn final_size(&self) -> Option<u64> {
        self.endpoint.pipes.get(self.id)?.pipe.final_size()
    }

    /// Bytes that the stream of a leg has sent, each counted once, as far as is known here. `None`:
    /// the leg has ended, which an event tells.
    pub fn leg_sent(&self, leg: LegIndex) -> Option<u64> {
        self.endpoint.pipes.get(self.id)?.pipe.leg_sent(leg)
    }

    /// Another rate for the source from now on, in bytes a second; `None`: as fast as it goes.
    pub fn set_rate(&mut self, rate: Option<u64>) {
        self.note(Op::PipeRate, &rate, &());
        let now = self.endpoint.now;
        if let Some(piped) = self.endpoint.pipes.get_mut(self.id) {
            piped.pipe.set_rate(rate, now);
        }
    }

    /// Gives the pipe up: its legs are reset, its source is stopped, with `code`.
    pub fn cancel(&mut self, code: AppCode) {
        self.note(Op::PipeCancel, &code, &());
        if let Some(piped) = self.endpoint.pipes.get_mut(self.id) {
            piped.pipe.cancel(code);
            piped.wake_all();
        }
    }
}

impl Drop for PipeRef<'_> {
    fn drop(&mut self) {
        self.endpoint.pipes.touch(self.id);
    }
}
