//! Protocol numbers that are Aqueduct's own.
//!
//! Rules: spec `04-frames.md` (R-FRM-30).

/// The stream is one whole message.
pub const MESSAGE: u64 = 1;
/// The stream is a message that is read and verified while it comes.
pub const STREAMED_MESSAGE: u64 = 2;
/// The stream has a route: its head names the way through relays.
pub const ROUTE: u64 = 3;
/// The stream is a leg's answer on its way back.
pub const ANSWER: u64 = 4;
/// The stream asks a relay for bytes that it still holds.
pub const RANGE: u64 = 5;
/// The stream brings what such a request asked for.
pub const PART: u64 = 6;

/// Numbers below this one are Aqueduct's own; applications choose theirs from here on.
pub const FIRST_FREE: u64 = 64;

#[cfg(test)]
#[path = "protocol_tests.rs"]
mod tests;
