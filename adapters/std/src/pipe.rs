//! Pipes and recordings: what flows by itself, and how to wait for it.

use std::io;
use std::time::Duration;

use aqueduct_core::pipe::{LegEnd, LegIndex, LegPolicy, PipeStats};
use aqueduct_core::wire::id::AppCode;
use aqueduct_driver::TapeEnd;
use aqueduct_driver::error::PipeError;

use crate::stream::SendStream;
use crate::wait::{Error, TimedOut, wait, wait_for};

/// A pipe that flows. Dropping the handle does not end it: it flows on until its source and its
/// legs have ended, and holds their connections open until then. Clones are handles of the same.
#[derive(Clone, Debug)]
pub struct Pipe {
    inner: aqueduct_driver::Pipe,
    timeout: Option<Duration>,
}

impl Pipe {
    pub(crate) fn new(inner: aqueduct_driver::Pipe, timeout: Option<Duration>) -> Self {
        Self { inner, timeout }
    }

    /// This handle with a time-out for each of its calls that wait; `None`: for ever.
    #[must_use]
    pub fn with_timeout(mut self, timeout: impl Into<Option<Duration>>) -> Self {
        self.timeout = timeout.into();
        self
    }

    /// Adds a leg: it gets what is still held from its OPEN's `start` on, and all that comes.
    ///
    /// # Errors
    /// [`PipeError`], and the stream is given up; or the time-out, and the leg may join all the
    /// same.
    pub fn add_leg(
        &self,
        leg: SendStream,
        policy: LegPolicy,
    ) -> Result<LegIndex, Error<PipeError>> {
        wait_for(self.inner.add_leg(leg, policy), self.timeout)
    }

    /// Where it stands. After the end, what it had done. `None` if the endpoint has ended first.
    ///
    /// # Errors
    /// The time-out.
    pub fn stats(&self) -> Result<Option<PipeStats>, TimedOut> {
        wait(self.inner.stats(), self.timeout)
    }

    /// Waits for the end of a leg. `None` if the endpoint ended first.
    ///
    /// # Errors
    /// The time-out.
    pub fn leg_ended(&self, leg: LegIndex) -> Result<Option<LegEnd>, TimedOut> {
        wait(self.inner.leg_ended(leg), self.timeout)
    }

    /// Waits until the source and all legs have ended. `None` if the endpoint ended first.
    ///
    /// # Errors
    /// The time-out.
    pub fn ended(&self) -> Result<Option<PipeStats>, TimedOut> {
        wait(self.inner.ended(), self.timeout)
    }

    /// Another rate for the source from now on, in bytes a second; `None`: as fast as it goes.
    pub fn set_rate(&self, rate: Option<u64>) {
        self.inner.set_rate(rate);
    }

    /// Gives the pipe up: its legs are reset and its source is stopped with `code`.
    pub fn cancel(&self, code: AppCode) {
        self.inner.cancel(code);
    }
}

/// The recording of an endpoint.
#[derive(Clone, Debug)]
pub struct Recorded {
    inner: aqueduct_driver::Recorded,
    timeout: Option<Duration>,
}

impl Recorded {
    pub(crate) fn new(inner: aqueduct_driver::Recorded, timeout: Option<Duration>) -> Self {
        Self { inner, timeout }
    }

    /// This handle with a time-out for each of its calls that wait; `None`: for ever.
    #[must_use]
    pub fn with_timeout(mut self, timeout: impl Into<Option<Duration>>) -> Self {
        self.timeout = timeout.into();
        self
    }

    /// Bytes that the file has.
    pub fn written(&self) -> u64 {
        self.inner.written()
    }

    /// Why nothing more is recorded; `None` while it is.
    pub fn ended(&self) -> Option<TapeEnd> {
        self.inner.ended()
    }

    /// Waits until nothing more is recorded, whatever the cause, and tells it: the event that a
    /// disk does not follow.
    ///
    /// # Errors
    /// The handle's time-out came first.
    pub fn closed(&self) -> Result<TapeEnd, TimedOut> {
        wait(self.inner.closed(), self.timeout)
    }

    /// Ends the tape here and waits until the file has all of it. Gives its bytes.
    ///
    /// # Errors
    /// The disk's, if it failed; [`io::ErrorKind::TimedOut`] if the handle's time-out came first.
    pub fn end(&self) -> io::Result<u64> {
        wait_for(self.inner.end(), self.timeout).map_err(Into::into)
    }
}
