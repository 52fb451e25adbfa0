//! Shaping: who may move how many bytes when.
//!
//! [`TokenBucket`] is a rate with a burst. Its owner asks what may go now, takes it, and asks when
//! the next bytes may. It never schedules anything and never rounds in anybody's favour: over any
//! time what it gave is at most the burst and the rate times that time, and a taker who comes back
//! at the named instant gets all of it.
//!
//! [`Tree`] puts such buckets above each other: one for the node, one for each peer. Peers take
//! turns by deficit round robin, and in a peer's turn its classes have their weights (spec
//! `26-shaping.md`). [`Bandwidth`] counts what moved, by direction and class.
//!
//! ```text
//!  node: bucket ──┬── peer: bucket, turn ──── classes: weights ──── streams: in `stream`
//!                 └── peer ...
//! ```
//!
//! A pipe's credit is held back by one bucket where a relay limits a peer (spec R-PIPE-22).

mod account;
mod bucket;
mod classes;
mod grant;
mod peers;
mod tree;

pub use account::{Bandwidth, Class};
pub use bucket::TokenBucket;
pub use classes::NORMAL_WEIGHT;
pub use grant::Grant;
pub use tree::{Tree, Turn};
