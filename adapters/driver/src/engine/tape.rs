//! An engine whose core is recorded.

use std::io;

use aqueduct_core::config::EndpointConfig;
use aqueduct_core::endpoint::Endpoint;
use aqueduct_core::rng::Seed;
use aqueduct_core::time::Instant;

use crate::recording::Recording;

use super::{Engine, Parts};

impl Engine {
    /// Like [`new`](Self::new), and all that the core is given and says is written to a file, from
    /// the beginning.
    ///
    /// # Errors
    /// The file, or the thread that writes it, cannot be made.
    pub fn recorded(
        config: EndpointConfig,
        seed: Seed,
        parts: Parts,
        recording: &Recording,
    ) -> io::Result<(Self, crate::endpoint::Endpoint)> {
        let transport = config.transport();
        let limits = super::Limits::of(transport);
        let recorder = recording.start()?;
        let core = Endpoint::recorded(config, seed, recording.options());
        Ok(Self::of(core, limits, parts, Some(recorder)))
    }

    /// Moves on what was recorded. Gives when to come again for it.
    pub(super) fn turn_tape(&mut self) -> Option<Instant> {
        let now = self.clock.now();
        self.recorder.as_mut()?.turn(&mut self.core, now)
    }

    /// Somebody wants the tape to end.
    pub(super) fn end_tape(&mut self) {
        if let Some(recorder) = &mut self.recorder {
            recorder.end(&mut self.core);
        }
    }

    /// The engine ends, and the tape with it. After a panic what is there is saved: it tells how it
    /// came to that.
    pub(super) fn last_of_tape(&mut self) {
        if let Some(recorder) = &mut self.recorder {
            match std::thread::panicking() {
                true => recorder.rescue(&mut self.core),
                false => recorder.end(&mut self.core),
            }
        }
    }
}
