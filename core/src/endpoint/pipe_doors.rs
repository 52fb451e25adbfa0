//! The ways in to pipes.

use alloc::vec::Vec;

use crate::pipe::PipeOptions;
use crate::stream::Chunk;

use super::Endpoint;
use super::pipes::{Leg, PipeError, PipeId, StreamAddr};

impl Endpoint {
    /// Forwards what comes on stream `from` to every leg, while it comes (spec 17). The pipe is an
    /// application to its streams: their news are its own from now on, and to end them is up to
    /// [`PipeRef::cancel`](super::PipeRef::cancel).
    ///
    /// # Errors
    /// [`PipeError`]; nothing was changed.
    pub fn pipe(
        &mut self,
        from: StreamAddr,
        to: &[Leg],
        options: PipeOptions,
    ) -> Result<PipeId, PipeError> {
        self.pipe_given(from, Vec::new(), to, options)
    }

    /// The same, where the application was given bytes already and has released none of these:
    /// `given`, without a gap up to where it would read on. They go first.
    ///
    /// # Errors
    /// [`PipeError`]; nothing was changed.
    pub fn pipe_given(
        &mut self,
        from: StreamAddr,
        given: Vec<Chunk>,
        to: &[Leg],
        options: PipeOptions,
    ) -> Result<PipeId, PipeError> {
        let kept = self.tape.is_on().then(|| given.clone());
        let made = self.make_pipe(from, given, to, options);
        if let Some(given) = kept {
            self.note_pipe((from, to, options), &given, made);
        }
        made
    }
}
