//! The sources of what threads share, on top of model checkers.
//!
//! `core/src/handoff` and the `threads` of the adapters take atomics, locks and cells from their
//! own `sync` only. Here the very same files are compiled again, above another `sync`: once on
//! loom, which tries every interleaving and every value that the memory model lets a load see, and
//! once on shuttle, which draws interleavings at random and so reaches further. What loom has no
//! model of stands in `sync.rs`.
//!
//! What else threads share is not here, because no order of steps between two calls matters to it:
//!
//! * states behind one lock, with sets of wakers in them: a connection, an endpoint, a pipe, the
//!   accounts, the legs and the kept connections of a relay. Each change and each look is one
//!   locked step, and the waiters are taken in the step that changes;
//! * the state of a sending half: one lock, and in it the one waker that its writer leaves in the
//!   step that finds no room;
//! * the wishes of a half or a connection: one lock behind a mark, and `cases/work.rs` shows that
//!   the mark alone is enough, with wishes that are written without any order;
//! * what is set once and never changed, in a `OnceLock`: the helper of a list of work, the handle
//!   and the guard of a connection, the id of a pipe. Who looks before it is set does what is right
//!   then, too: wakes the sleeper itself, or says that nothing has begun. The guard and the helper
//!   are weak: who finds them gone finds the end that their drop has put on the list;
//! * the thread of an endpoint: one lock, from which the first who waits for its end takes it;
//! * the legs of a relayed stream: used by one task, and locked so that it may move;
//! * the witness of shadow mode: written before the same bytes are handed over, and read by who
//!   was handed the last of them;
//! * counters and figures: each is read by itself.

#![expect(clippy::duplicate_mod, reason = "the same source on two checkers is the point")]

#[expect(dead_code, unreachable_pub, reason = "a room of another crate, of which this is a part")]
mod loom;
#[expect(dead_code, unreachable_pub, reason = "a room of another crate, of which this is a part")]
mod shuttle;
