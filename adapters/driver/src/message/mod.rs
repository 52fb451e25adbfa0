//! Messages that choose their way: small ones whole, large ones as streams that are made, sent and
//! read piece by piece.
//!
//! ```text
//!   object ─ StreamingSerialize ─► size ─┬ small, or the peer takes no streams ─► whole message
//!                                        └ large ─► stream ─► chunks, as there is room ─► digest
//!
//!   next message ◄─┬ whole ◄────────────────────────────────────────── whole message
//!                  └ to be read while it comes, or put together ◄───── stream ─ verdict ─►
//! ```
//!
//! A message that is a stream is a body with an announced size and the BLAKE3 digest behind it,
//! unless the digest stands in OPEN. The receiver computes it while it reads, and answers with a
//! verdict: only then either side says that it is done (spec `19-modes.md`).

mod inbox;
mod outgoing;
mod room;
mod shadow;
mod source;
mod streamed;

pub use outgoing::Sent;
pub use source::{ChunkSource, Chunks, Reading, StreamingSerialize, Whole};
pub use streamed::MessageStream;

pub(crate) use inbox::Arrivals;
pub use inbox::Received;
pub(crate) use shadow::{Witness, compare, witness};

use aqueduct_core::stream::{OpenOptions, StreamProtocol};
use aqueduct_core::wire::protocol::STREAMED_MESSAGE;

/// Bytes of the digest that follows a message whose OPEN has none.
const DIGEST: u64 = 32;

/// The first byte of a verdict: the digest is right.
const VERIFIED: u8 = 1;
/// It is wrong; the digest that was found follows.
const WRONG: u8 = 0;

/// Whether a stream is introduced as a message.
pub(crate) fn is_message(info: &OpenOptions) -> bool {
    info.protocol == StreamProtocol::Number(STREAMED_MESSAGE)
}
