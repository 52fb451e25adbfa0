//! What is neither a stream nor a frame to an application: datagrams and whole messages.
//!
//! ```text
//!   application                          connection                              wire
//!   send ──▶ Datagrams: a queue for each class, with ages ── write ───▶ DATAGRAM, once, or never
//!   recv ◀── (bounded, oldest or newest dropped) ◀── on_frame ─────────  DATAGRAM
//!
//!   send ──▶ Outgoing ──▶ a stream of its own: OPEN { protocol 1, size }, bytes, FIN ─▶ streams
//!   recv ◀── Messages: which streams are messages, how far they are, which is whole ◀── streams
//!            Expiring: which of ours are too old to be sent ──▶ RESET
//! ```
//!
//! [`Datagrams`] may be lost, come twice never and in any order; they are queued in bounded queues
//! on both sides, and what a queue has no room for is dropped and counted. [`Messages`] are
//! reliable and arrive whole or not at all. They own no bytes while they arrive: those lie in the
//! stream, charged to its credit, until the end is there; only then are they joined. So a peer that
//! announces gigabytes, or cuts a message into single bytes, makes nobody allocate anything.
//!
//! Both are fed and asked by their owner; neither knows it. Rules: spec `15-messages.md` (R-MSG).

mod datagrams;
mod delivery;
mod expiring;
mod messages;
#[cfg(any(test, feature = "arbitrary"))]
pub mod ops;
mod outbox;

pub use datagrams::{
    DatagramLimits, DatagramStats, Datagrams, DropRule, ITEM_OVERHEAD, Queued, SendDatagramError,
    Written,
};
pub use delivery::Delivery;
pub use expiring::{Expiring, Left};
pub use messages::{
    Evicted, Message, MessageLimits, Messages, Outgoing, Progress, RefuseMessage, TooLarge,
};
