//! The source of the hand-over on top of model checkers.
//!
//! `core/src/handoff` takes atomics, locks and cells from its own `sync` only. Here the very same
//! files are compiled again, above another `sync`: once on loom, which tries every interleaving and
//! every value that the memory model lets a load see, and once on shuttle, which draws
//! interleavings at random and so reaches further. What loom has no model of stands in `sync.rs`.

#![expect(clippy::duplicate_mod, reason = "the same source on two checkers is the point")]

#[expect(dead_code, unreachable_pub, reason = "a room of another crate, of which this is a part")]
mod loom;
#[expect(dead_code, unreachable_pub, reason = "a room of another crate, of which this is a part")]
mod shuttle;
