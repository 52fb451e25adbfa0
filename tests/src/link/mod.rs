//! Links: what can happen to a datagram between two hosts.
//!
//! Each machine here has the shape of the protocol itself: a datagram comes in at its time, and
//! goes out at times that are no earlier; never, once, or more than once. It does no I/O and reads
//! no clock, and its chance is [its own](crate::dice). A *road* is a row of machines; the network
//! hands a datagram from one to the next when its time has come, so that each sees what comes in
//! the order of time, and one machine (a bottleneck) may stand in several roads.
//!
//! ```text
//!   host ──▶ Loss ──▶ Queue ──▶ Delay ──▶ Duplicate ──▶ host
//!                       ▲
//!            other hosts' datagrams
//! ```
//!
//! | machine | what it does |
//! |---|---|
//! | [`Queue`] | a rate, a drop-tail queue in packets or bytes, marks above a threshold |
//! | [`Delay`] | delay and jitter, with or without reordering |
//! | [`Reorder`] | holds single datagrams back |
//! | [`Loss`], [`Bursts`] | random loss, with a cap on runs; Gilbert-Elliott |
//! | [`Drops`] | loses the n-th |
//! | [`Duplicate`], [`Corrupt`] | doubles; flips bits |
//! | [`SizeLimit`] | swallows what is too large, or tells the sender |
//! | [`Schedule`] | is open and shut by the clock |
//! | [`Ecn`](ecn::Marks) | bleaches or sets marks |
//!
//! ```
//! use aqueduct_core::time::Instant;
//! use aqueduct_tests::dice::Dice;
//! use aqueduct_tests::link::{Machine, Parcel, Queue};
//!
//! let mut queue = Queue::packets(1_200, 1);
//! let parcel = Parcel::new("10.0.0.1:1".parse()?, "10.0.0.2:2".parse()?, vec![0; 1_200]);
//! let mut out = Vec::new();
//! for _ in 0..3 {
//!     queue.pass(parcel.clone(), &mut Dice::new(1, "doc"), &mut out);
//! }
//! // One was being sent, one waited, and the third found no room.
//! let times: Vec<_> = out.iter().map(|parcel| parcel.at.as_nanos()).collect();
//! assert_eq!(times, [1_000_000_000, 2_000_000_000]);
//! # Ok::<(), std::net::AddrParseError>(())
//! ```

pub mod change;
pub mod delay;
pub mod drops;
pub mod ecn;
pub mod loss;
pub mod plain;
pub mod policer;
pub mod queue;
pub mod schedule;
pub mod size;

use std::fmt::Debug;
use std::net::SocketAddr;

use aqueduct_core::time::Instant;
use aqueduct_core::wire::id::Ecn;

pub use change::{Corrupt, Duplicate};
pub use delay::{Delay, Reorder};
pub use drops::Drops;
pub use loss::{Bursts, Loss};
pub use plain::{Fate, Link, LinkConfig};
pub use policer::Policer;
pub use queue::{Queue, Waits};
pub use schedule::Schedule;
pub use size::SizeLimit;

use crate::dice::Dice;

/// A datagram on its way.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Parcel {
    /// When it is here.
    pub at: Instant,
    /// From where.
    pub from: SocketAddr,
    /// To where.
    pub to: SocketAddr,
    /// Its mark.
    pub ecn: Option<Ecn>,
    /// The sender's socket was told that it is too large, and it goes nowhere.
    pub refused: bool,
    /// Its bytes.
    pub bytes: Vec<u8>,
}

impl Parcel {
    /// A datagram at the beginning of time, without a mark.
    pub const fn new(from: SocketAddr, to: SocketAddr, bytes: Vec<u8>) -> Self {
        Self { at: Instant::ZERO, from, to, ecn: None, refused: false, bytes }
    }
}

/// One machine of a road.
pub trait Machine: Debug {
    /// A datagram is here at its time, which is not earlier than that of any before it. Puts what
    /// leaves to `out`, at times that are not earlier.
    fn pass(&mut self, parcel: Parcel, dice: &mut Dice, out: &mut Vec<Parcel>);

    /// The same machine anew, as it is.
    fn boxed_clone(&self) -> Box<dyn Machine>;
}

impl Clone for Box<dyn Machine> {
    fn clone(&self) -> Self {
        self.boxed_clone()
    }
}

/// A machine at its place, with chance of its own and counters.
#[derive(Clone, Debug)]
pub struct Stage {
    /// What it does; may be another from now on.
    pub machine: Box<dyn Machine>,
    /// Datagrams that came to it.
    pub came: u64,
    /// Datagrams of which nothing left.
    pub dropped: u64,
    dice: Dice,
}

impl Stage {
    /// A machine with its chance.
    pub fn new(machine: impl Machine + 'static, dice: Dice) -> Self {
        Self::boxed(Box::new(machine), dice)
    }

    /// The same in a box.
    pub fn boxed(machine: Box<dyn Machine>, dice: Dice) -> Self {
        Self { machine, came: 0, dropped: 0, dice }
    }

    /// A datagram is here.
    ///
    /// # Panics
    /// If the machine sends something into the past.
    pub fn pass(&mut self, parcel: Parcel, out: &mut Vec<Parcel>) {
        let (before, at) = (out.len(), parcel.at);
        let mut dice = self.dice.throw(self.came);
        self.came += 1;
        self.machine.pass(parcel, &mut dice, out);
        self.dropped += u64::from(out.len() == before);
        assert!(out[before..].iter().all(|parcel| parcel.at >= at), "into the past");
    }
}

/// Says that a machine can be copied as it is.
macro_rules! copies_itself {
    () => {
        fn boxed_clone(&self) -> Box<dyn $crate::link::Machine> {
            Box::new(self.clone())
        }
    };
}
pub(crate) use copies_itself;

#[cfg(test)]
mod tests;
