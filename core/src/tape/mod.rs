//! A tape: everything that went into an endpoint, and enough of what came out to notice that
//! another endpoint, given the same, says something else (spec `22-tapes.md`).
//!
//! ```text
//!   datagrams, time, calls ──► one record each ─┐
//!   what `poll` gave ────────► one record each ─┴─► segment ─► segment ─► … ─► whoever takes them
//!                     └─► chain of outputs ─────────┘ (length, chain, check)
//! ```
//!
//! The endpoint's public doors write here, and only they: what a pipe does with the same views
//! follows from what the doors were given. A `Pen` is how a door may write without knowing
//! whether anybody records. Records are as short as they can be: what is as in the record before
//! is not said again ([`Context`]).
//!
//! A tape never holds the endpoint up. What waits to be taken has a bound; beyond it the tape says
//! that it ends there, and ends.

mod calls;
mod check;
mod context;
mod doors;
mod op;
mod pen;
mod segment;
mod value;

pub use check::Check;
pub use context::{Context, Route, Slot};
pub use op::{Op, Outcome};
pub use segment::{Ending, HEAD, MAGIC, MAJOR, MINOR, SEGMENT_HEAD, SEGMENT_MAGIC, SEGMENT_TAIL};
pub use segment::{Flags, Section, TapeStatus};
pub use value::{Reader, Taped, put_blob};

pub(crate) use calls::MOST_REFUSED;
pub(crate) use pen::{Deck, Pen};
pub(crate) use segment::{LATE, MAX_BLOB, Tape};

use alloc::string::String;

#[cfg(test)]
mod tests;

/// What of the payload a tape keeps.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[expect(clippy::exhaustive_enums, reason = "all of it, what cannot be had elsewhere, or none")]
pub enum Payload {
    /// All of it: the tape is all that a replay needs.
    #[default]
    Full,
    /// Not the bytes that the application gave to be sent: a replay asks for them. What the network
    /// brought is kept.
    Referenced,
    /// None, and no secrets either: the tape can be looked at, not replayed.
    Elided,
}

/// How an endpoint records.
#[derive(Clone, Debug)]
#[expect(clippy::exhaustive_structs, reason = "built by `default` and changed field by field")]
pub struct TapeOptions {
    /// What of the payload is kept.
    pub payload: Payload,
    /// Bytes that may wait to be taken; with more the tape ends. Default 16 MiB.
    pub buffer: usize,
    /// Words for whoever finds the tape.
    pub label: String,
}

/// Everything is kept, 16 MiB may wait, no words.
impl Default for TapeOptions {
    fn default() -> Self {
        Self { payload: Payload::Full, buffer: 16 << 20, label: String::new() }
    }
}
