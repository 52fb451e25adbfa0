//! What threads share: the list of work with its marks, the place where one at a time works, and
//! waiting for each other.
//!
//! Each file here is a protocol between threads, and knows nothing of what it is used for. All take
//! their atomics and locks from [`sync`] alone. So the tests of the workspace compile this very
//! source again, on loom and on shuttle, which stop a thread between any two steps
//! (`tests/tests/schedules`). What is shared elsewhere in the adapters is one lock over plain data,
//! or a counter.

mod answer;
mod lent;
mod post;
mod progress;
mod room;
mod sync;
mod waiters;
mod work;

pub(crate) use answer::{Answer, Reply, question};
pub(crate) use lent::Lent;
pub(crate) use post::{Errand, Post};
pub(crate) use progress::Progress;
pub(crate) use room::Room;
pub(crate) use sync::lock;
pub(crate) use waiters::{Waiters, Wakers, until};
pub(crate) use work::{Mark, WorkList};

#[cfg(test)]
mod tests;
