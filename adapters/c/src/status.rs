//! What calls return.

use aqueduct_core::stream::{OpenError, ReadError, WriteError};

/// What came of a call: zero and more if it did its work, less if not.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(i32)]
#[expect(clippy::exhaustive_enums, reason = "the header names the same values")]
pub enum Status {
    /// Done; what was asked for is there.
    Ok = 0,
    /// Nothing to give or no room now; an event says when it is worth another call.
    Nothing = 1,
    /// The stream was read to its end, or the tape.
    End = 2,
    /// An argument that cannot be: a null pointer, an address of no family, a name too long.
    Invalid = -1,
    /// No connection or stream of that number; it may have been there once.
    Unknown = -2,
    /// It cannot be done now, or with this peer.
    Refused = -3,
    /// The stream is over: reset, stopped, finished.
    Over = -4,
    /// The buffer is too small. Nothing was lost: call again with a larger one.
    TooSmall = -5,
    /// The library met a fault of its own, now or in an earlier call. The handle can be freed, and
    /// nothing else.
    Panicked = -6,
    /// Bytes that the peer will never send come next; nothing was lost. A call goes past them.
    Skipped = -7,
}

/// A call that failed, in words for people.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Failure {
    pub(crate) status: Status,
    pub(crate) words: String,
}

impl Failure {
    pub(crate) fn new(status: Status, words: impl ToString) -> Self {
        Self { status, words: words.to_string() }
    }

    pub(crate) fn unknown(what: &str) -> Self {
        Self::new(Status::Unknown, format_args!("there is no such {what}"))
    }
}

impl From<OpenError> for Failure {
    fn from(error: OpenError) -> Self {
        let status = match error {
            OpenError::Closed => Status::Over,
            OpenError::Invalid(_) => Status::Invalid,
            _ => Status::Refused,
        };
        Self::new(status, error)
    }
}

impl From<WriteError> for Failure {
    fn from(error: WriteError) -> Self {
        Self::new(Status::Over, error)
    }
}

impl From<ReadError> for Failure {
    fn from(error: ReadError) -> Self {
        let status = match error {
            ReadError::Skipped(_) => Status::Skipped,
            _ => Status::Over,
        };
        Self::new(status, error)
    }
}
