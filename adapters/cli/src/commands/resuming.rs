//! The body of a transfer as its receiver reads it: where the stream breaks off on its way, the
//! relay is asked for the rest (spec R-ROUTE-9).

use aqueduct_tokio::{AppCode, Connection, ReadError, RecvStream, StreamError, StreamId};
use bytes::Bytes;
use serde_json::json;

use crate::exit::Failure;
use crate::output::Output;

/// A body that is read in order, whichever streams bring it.
#[derive(Debug)]
pub(super) struct Resuming<'a> {
    connection: &'a Connection,
    output: &'a Output,
    /// The stream that it began with: by this one the relay knows it.
    first: StreamId,
    stream: RecvStream,
    /// All below was read.
    at: u64,
    /// Where the rest was asked for last. Twice at one place is in vain.
    asked: Option<u64>,
    told: bool,
}

impl<'a> Resuming<'a> {
    /// What comes on `stream`.
    pub(super) fn new(connection: &'a Connection, output: &'a Output, stream: RecvStream) -> Self {
        let at = stream.info().map_or(0, |info| info.start);
        let first = stream.id();
        Self { connection, output, first, stream, at, asked: None, told: false }
    }

    /// The head of the stream that it began with.
    pub(super) fn head(&self) -> Option<&[u8]> {
        self.stream.info().map(|info| &*info.head)
    }

    /// How often it may still be forwarded, if it says so.
    pub(super) fn hop_limit(&self) -> Option<u8> {
        self.stream.info().and_then(|info| info.hop_limit)
    }

    /// The next bytes, at most `max`; `None` at the end.
    ///
    /// # Errors
    /// The sender gave up, or the stream broke off and nobody has the rest.
    pub(super) async fn read_chunk(&mut self, max: usize) -> Result<Option<Bytes>, Failure> {
        loop {
            let broken = match self.stream.read_chunk(max).await {
                Ok(chunk) => {
                    self.at += chunk.as_ref().map_or(0, Bytes::len) as u64;
                    return Ok(chunk);
                }
                Err(error) => error,
            };
            if !broke_off(&broken) || self.asked.replace(self.at) == Some(self.at) {
                return Err(broken.into());
            }
            match self.connection.request_range(self.first, self.at, None).await {
                Ok(rest) => self.stream = rest,
                Err(error) => {
                    let why = format_args!("{broken}; the rest was asked for in vain: {error}");
                    return Err(Failure::new(Failure::from(broken.clone()).cause, why));
                }
            }
            self.tell(&broken);
        }
    }

    /// Once: a receiver that stays slow is given up again and again.
    fn tell(&mut self, broken: &ReadError) {
        if std::mem::replace(&mut self.told, true) {
            return;
        }
        self.output.event("resumed", json!({"at": self.at, "message": broken.to_string()}));
        if !self.output.is_json() {
            self.output.note(&format!("{broken}: the rest is asked for"));
        }
    }

    /// Wants no more of it.
    pub(super) fn stop(&mut self, code: AppCode) {
        self.stream.stop(code);
    }
}

/// Whether only this way of the stream ended, and the relay may hold the rest: of one that ended
/// there or before nothing is left.
fn broke_off(error: &ReadError) -> bool {
    matches!(
        StreamError::from(error.clone()),
        StreamError::Detached { hop: Some(0) } | StreamError::BufferOverflow { hop: None, .. }
    )
}
