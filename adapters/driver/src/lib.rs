//! What Aqueduct's adapters share. No runtime.
//!
//! [`socket`] sets a UDP socket up and makes batched calls on it, [`fault`] puts failures in front of
//! them, [`clock`] and [`seed`] give the core its time and its randomness.

pub mod addrs;
pub mod clock;
pub mod fault;
pub mod seed;
pub mod socket;

pub use addrs::NodeAddr;
