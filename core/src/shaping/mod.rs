//! Shaping: who may move how many bytes when.
//!
//! [`TokenBucket`] is a rate with a burst. Its owner asks what may go now, takes it, and asks when
//! the next bytes may. It never schedules anything and never rounds in anybody's favour: over any
//! time what it gave is at most the burst and the rate times that time, and a taker who comes back
//! at the named instant gets all of it.
//!
//! A pipe's credit is held back by one where a relay limits a peer (spec R-PIPE-22).

mod bucket;

pub use bucket::TokenBucket;
