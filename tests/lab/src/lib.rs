//! The lab: a source, a relay and two receivers on the harness's network, for the page in
//! `spec/lab`. What runs is the core that ships and the links of [`aqueduct_tests`]; every
//! invariant of the harness is checked while one looks at it, and every byte that arrives.
//!
//! ```text
//!                    ┌── near ──▶ receiver B
//!   source ── up ──▶ relay
//!                    └── far ───▶ receiver C
//! ```
//!
//! | file | what is there |
//! |---|---|
//! | [`lane`] | one direction of a link: loss, a queue, a delay, and word of every datagram |
//! | [`scene`] | the four nodes, what they do, and what is measured of them |
//! | [`exports`] | the functions that the page calls |
//!
//! A seed, settings and changes at their times give the same datagrams on every machine, byte for
//! byte: [`scene::Lab::fingerprint`] says so.

pub mod exports;
pub mod lane;
pub mod scene;

#[cfg(test)]
mod tests;
