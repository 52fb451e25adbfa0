//! Received bytes on their way to an application's threads, without a lock.
//!
//! One *producer*, the driver of an endpoint, pushes the bytes of a stream in order. Any number of
//! *readers*, each in a task or a thread of its own and each at its own place, take them out.
//!
//! ```text
//!                   a reader        the slowest reader has left: freed
//!                      │                ▼
//!        ┌─────────────▼┐   ┌┄┄┄┄┄┄┄┄┄┄┄┄┄┄┐
//!        │█│█│█│█│█│█│█│█│   ┊ ┊ ┊ ┊ ┊ ┊ ┊ ┊ ┊    slots: `OnceLock<Bytes>`
//!        └──────┬───────┘   └┄┄┄┄┄┄┄┄┄┄┄┄┄┄┘
//!               │ next         a reader   frontier
//!               ▼                  │       │
//!        ┌──────────────┐   ┌──────▼───────▼┐
//!        │█│█│█│█│█│█│█│█│──▶│█│█│█│█│█│ │ │ │ ◀── producer
//!        └──────────────┘   └───────────────┘
//!
//!   readers ── offset passed, each in its own seat ──▶ producer ──▶ credit for the peer
//! ```
//!
//! **The list.** A segment has a few slots, each written once, and the way to the next segment,
//! also written once. A reader holds the segment in which it stands, a segment holds the next, and
//! the producer the last. So a segment is freed when the slowest reader leaves it, with all bytes
//! in it, and nobody has to say so. Long chains are freed in a loop.
//!
//! **Freed late.** A closed segment in which one reader stands alone is emptied slot by slot. Where
//! that is not so (two readers are in it, or the producer still is) bytes that all have passed stay
//! until the segment is left. A segment is closed as soon as it holds an eighth of what was pushed
//! so far, at least 1 KiB and at most 16 KiB, or 16 chunks. So of what is released less than 16 KiB
//! is freed late, and for a young stream less than 1 KiB, however many readers there are.
//!
//! **There and asleep.** The frontier and the mark "somebody sleeps" are one word. The producer
//! fills slots and then swaps the word; a reader that finds nothing leaves its waker and then sets
//! the mark. Whichever comes second sees what the first has done, so no wake-up is lost. Reading,
//! pushing and falling asleep take no lock. The list of readers has one, which is taken to fork, to
//! drop a reader, to wake sleepers and to look how far all are, always briefly.
//!
//! **The way back.** A reader notes how far it is after each chunk, in memory of its own, and tells
//! the producer now and then: after 64 KiB or 64 chunks, and when it finds nothing more to read.
//! The producer then asks for [`released`](Producer::take_released) bytes, the advance of the
//! slowest, and gives credit for them. What was not told is less than a batch for each reader.
//!
//! **What is trusted.** There is no `unsafe` here. The memory model's work is done by the standard
//! library's `Arc`, `OnceLock`, `Mutex` and `Condvar`, and by [`atomic_waker`]. The tests run this
//! very source on loom, with a model of `OnceLock`, of `Arc` and of the waker that keep the same
//! contract (publication by release and acquire; a count; what is registered before a wake is
//! woken), and on shuttle in random order. That the real ones keep that contract is trusted.
//!
//! ```
//! use aqueduct_core::handoff::{Options, channel};
//! use bytes::Bytes;
//! use std::task::Poll;
//!
//! let (mut producer, mut reader) = channel(Options::default(), "the producer is gone");
//! let mut second = reader.fork();
//! let copy = std::thread::spawn(move || {
//!     let mut text = Vec::new();
//!     while let Poll::Ready(Some(Ok(bytes))) = second.next_blocking(None) {
//!         text.extend_from_slice(&bytes);
//!     }
//!     text
//! });
//! producer.push(Bytes::from_static(b"hello "))?;
//! producer.push(Bytes::from_static(b"world"))?;
//! producer.finish(11)?;
//!
//! assert_eq!(&reader.peek(8)[..], b"hello wo");
//! assert_eq!(reader.try_next(), Poll::Ready(Some(Ok(Bytes::from_static(b"hello ")))));
//! assert_eq!(copy.join().unwrap(), b"hello world");
//! assert_eq!(producer.take_released(), 6, "as far as the slower of the two");
//! # Ok::<_, Box<dyn std::error::Error>>(())
//! ```

mod producer;
mod reader;
mod segment;
mod shared;
mod sleep;
mod sync;

#[cfg(test)]
mod model_tests;
#[cfg(test)]
mod tests;

pub use producer::{Ended, FinishError, Producer};
pub use reader::Reader;
pub use shared::{Options, Urgency, channel};
