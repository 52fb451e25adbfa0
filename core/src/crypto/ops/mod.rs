//! What can happen to the machines of this room, for explorers, with the plain models that they
//! are compared with.
//!
//! Operations come from a fuzzer or a property test; every `run` panics where machine and model
//! differ.

pub mod handshake;
pub mod keys;
pub mod replay;

#[cfg(test)]
mod tests;
