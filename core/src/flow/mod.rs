//! Who may make whom hold how much.
//!
//! Memory that a peer can make us hold is credit that we granted, and the sum of what is granted
//! never passes one budget for the whole endpoint. Everything in this room is counting: no bytes
//! pass here.
//!
//! ```text
//!                 endpoint                      one connection                  one stream
//!             ┌────────────┐  lends, takes  ┌────────────────────┐  covers  ┌──────────────────┐
//!  receiving  │   Budget   │ ─────────────▶ │     RecvCredit     │ ───────▶ │   StreamCredit   │
//!             │ floors+pool│ ◀───────────── │ share ≥ M−V−R      │ ◀─────── │ limit, highest,  │
//!             └────────────┘    trims       └────────────────────┘ settles  │ released, window │
//!                                                                           └──────────────────┘
//!                                            MAX_DATA, MAX_STREAMS,          MAX_STREAM_DATA
//!                                            CREDIT_RECALL                   │
//!                                                   ▼                        ▼
//!  sending                                   SendCredit (connection,    SendCredit (one for each
//!                                            stream counts)             stream)
//! ```
//!
//! All of it is absolute and only grows: a limit `M`, the credit `V` that came back, the bytes `U`
//! that arrived (by highest offset of each stream) and the bytes `R` that the application released.
//! Frames carry totals, never differences, so that any order, loss or repetition of them ends in
//! the same state. `M − V` is how far the peer may go, `M − V − R` what it can make us hold.
//!
//! Three invariants carry everything else; `check` asserts them in debug builds:
//!
//! - each open stream's unused credit, and that of each stream the peer may still open, is covered:
//!   `Σ (limit − highest) + allowed × initial ≤ M − V − U`. No stream ever waits for another's
//!   buffer.
//! - each open stream has its first credit, held or outstanding or kept for it in the share.
//! - `M − V − R ≤ share`, and all shares together fit the [`Budget`].
//!
//! [`Budget`] is passed down as an argument; a connection's part of it is its [`Share`].
//! [`RecvCredit`] is what we grant on a connection, [`StreamCredit`] on one stream, and
//! [`SendCredit`] is what the peer granted us, whatever of. Rules, and the argument that crossing
//! pipes cannot deadlock: spec `06-flow.md` (R-FLOW).
//!
//! # Example
//!
//! A budget, one connection of it, a stream that fills its credit and is given more.
//!
//! ```
//! use aqueduct_core::flow::{Budget, BudgetLimits, RecvCredit, RecvLimits, SendCredit};
//! use aqueduct_core::time::Instant;
//! use aqueduct_core::wire::id::{CreditTarget, Dir, Side, StreamId};
//!
//! let mut budget = Budget::new(BudgetLimits::default());
//! let share = budget.open().expect("a first connection always fits");
//! let mut connection = RecvCredit::new(share, Side::Responder, RecvLimits::default());
//! let initial = connection.initial();
//!
//! // The peer opens a stream and sends all it may; its view of the credit is a `SendCredit`.
//! let id = StreamId::new(Side::Initiator, Dir::Uni, 0);
//! let mut sender = SendCredit::new(CreditTarget::Stream(id), initial.max_stream_data);
//! let sent = sender.available();
//! sender.consume(sent);
//! assert_eq!(sender.available(), 0);
//!
//! let now = Instant::ZERO;
//! let mut stream = connection.open_peer(id)?;
//! let charged = stream.on_data(sent, &mut connection, &mut budget, now)?;
//! assert_eq!(charged, sent);
//!
//! // The application takes the bytes; the limit moves on, and MAX_STREAM_DATA would say so.
//! stream.release(sent, &mut connection, &mut budget, now);
//! assert!(sender.on_max(stream.limit()));
//! assert!(sender.available() >= sent);
//!
//! // One byte too many is a violation.
//! let beyond = stream.limit() + 1;
//! assert!(stream.on_data(beyond, &mut connection, &mut budget, now).is_err());
//! # Ok::<(), aqueduct_core::error::Violation>(())
//! ```

mod budget;
mod counts;
mod limits;
#[cfg(any(test, feature = "arbitrary"))]
pub mod ops;
mod pace;
mod recall;
#[cfg(any(test, feature = "arbitrary"))]
mod receiver;
mod recv;
mod send;
mod stream;
mod window;

pub use budget::{Budget, BudgetError, BudgetLimits, Candidate, FLOOR, Loan, Share};
pub use limits::RecvLimits;
pub use recv::{Initial, RecvCredit};
pub use send::SendCredit;
pub use stream::{FREE_RANGES, StreamCredit, range_limit};
pub use window::Window;

/// Bytes that a connection may hold beyond its share: its record, the received packet numbers, the
/// replay window, names and addresses (the `C` of spec R-FLOW-3).
pub const CONNECTION_OVERHEAD: u64 = 64 * 1024;

/// Bytes that a stream may hold beyond its credit: its record, one OPEN frame and sixteen ranges
/// (the `S` of spec R-FLOW-3). Further ranges are charged to the connection.
pub const STREAM_OVERHEAD: u64 = 4 * 1024;

/// Limits on the wire are varints.
const MAX_LIMIT: u64 = (1 << 62) - 1;

/// Counts of streams are at most this, so that each id and [`crate::wire::id::CreditTarget`] is a
/// varint.
const MAX_STREAM_COUNT: u64 = (1 << 60) - 1;

#[cfg(test)]
mod tests;
