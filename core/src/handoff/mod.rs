//! Received bytes on their way to an application's threads, without a lock.
//!
//! One *producer*, the driver of an endpoint, pushes the bytes of a stream in order. Any number of
//! *readers*, each in a task or a thread of its own and each at its own place, take them out.
//!
//! ```text
//!                   a reader        the slowest reader has left: freed
//!                      │                ▼
//!        ┌─────────────▼┐   ┌┄┄┄┄┄┄┄┄┄┄┄┄┄┄┐
//!        │█│█│█│█│█│█│█│█│   ┊ ┊ ┊ ┊ ┊ ┊ ┊ ┊ ┊    slots: one chunk each
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
//! **The list.** A segment has a few slots, each filled once, and the way to the next segment, also
//! written once. A reader holds the segment in which it stands, a segment holds the next, and the
//! producer the last. So a segment is freed when the slowest reader leaves it, with all bytes in
//! it, and nobody has to say so. Long chains are freed in a loop.
//!
//! **Freed late.** A reader that is the only one takes what it passes out of the slots: nobody will
//! ever stand before it, since a fork begins where it stands. Several readers copy the handles, and
//! bytes that all have passed stay until the segment is left. A segment is closed as soon as it
//! holds an eighth of what was pushed before it, at least 1 KiB and at most 16 KiB, or 16 chunks.
//! So of what is released less than 16 KiB is freed late, and for a young stream less than 1 KiB,
//! however many readers there are.
//!
//! **A slot** is a cell that counts who borrows it and lets nobody wait ([`atomic_refcell`]). It is
//! filled before the frontier passes its chunk, and readers look only at what the frontier has
//! passed; it is emptied by who is the only reader. So nobody finds a slot in use by somebody who
//! changes it, and a borrow is never refused. Two changes of an atomic word are what it costs to
//! hand a chunk over, one each side; a [`OnceLock`](std::sync::OnceLock) takes two to be set, and
//! what lies in it can only be copied, which is one more, and one again when the copy is dropped.
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
//! library's `Arc`, `OnceLock`, `Mutex` and `Condvar`, by [`atomic_refcell`] and [`atomic_waker`].
//! The tests run this very source on loom, with a model of the slot's cell, of `OnceLock`, of `Arc`
//! and of the waker that keep the same contract (publication by release and acquire; counts; what
//! is registered before a wake is woken), and on shuttle in random order. That the real ones keep
//! that contract is trusted.
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
