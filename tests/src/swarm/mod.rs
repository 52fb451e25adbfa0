//! Random worlds: two to four hosts, about a megabyte, everything that can go wrong, from one seed.
//!
//! ```text
//!   seed ──▶ Plan ──▶ World ─── rage ────▶ quiet ────▶ peace ────▶ goodbye ──▶ Summary
//!            drawn    hosts,    traffic     no faults   traffic,    nothing is
//!            first    edges     and faults  any more    no faults   left anywhere
//! ```
//!
//! A [`Plan`] is drawn before anything happens, and a world plays it: what a seed does can be read
//! before it is run. Hosts stand in a tree; streams go to a neighbour, or *onward*: every host with
//! other neighbours pipes them to all of those. In the *rage* there is traffic, and there are
//! faults. In the *quiet* there are none: what lives must come to its end, and what does not must
//! have been reported. In the *peace* there is traffic again, and no connection that lived through
//! the faults ends. In the *goodbye* everybody closes, and no endpoint keeps anything. In one world
//! of four there are [rogues](crate::rogue), too, who keep no rules at any time.
//!
//! Between: the [model](crate::model) looks at every endpoint after every step, the
//! [guard](crate::guard) at every datagram, and the [applications](crate::app) at every byte.

mod apart;
mod carriage;
pub mod deed;
mod draw;
mod node;
mod notes;
mod peace;
pub mod plan;
mod play;
mod rogues;
pub mod search;
mod texts;
mod verdict;
mod weigh;
mod whims;
mod world;

use std::collections::BTreeMap;
use std::time::Duration;

pub use apart::{obstruct, rogue_link};
pub use deed::Deed;
pub use draw::road;
pub use plan::Plan;
pub use whims::has_whims;
pub use world::World;

/// What a world came to.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Summary {
    /// A digest of all datagrams, and of all endpoints at the end.
    pub fingerprint: [u8; 32],
    /// How long it lasted, in its own time.
    pub simulated: Duration,
    /// Hosts.
    pub hosts: usize,
    /// Datagrams sent.
    pub datagrams: u64,
    /// Streams that applications opened.
    pub streams: usize,
    /// Bytes that applications read.
    pub bytes: u64,
    /// Whole messages that came.
    pub messages: usize,
    /// Pipes.
    pub pipes: usize,
    /// Connections that were established, counted at each end.
    pub connections: usize,
    /// Why connections ended before the goodbye.
    pub ends: Vec<String>,
    /// Connections that rogues had.
    pub rogues: u64,
    /// For which violations honest ends ended some of those, and how often.
    pub caught: BTreeMap<String, usize>,
}

/// Plays the world of a seed.
///
/// # Panics
/// If anything does not hold.
pub fn run(seed: u64) -> Summary {
    World::new(Plan::draw(seed)).play()
}
