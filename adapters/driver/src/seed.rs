//! Randomness from the operating system: the only place where an adapter draws any.

use std::io;

use aqueduct_core::rng::Seed;

/// A fresh seed for one endpoint.
///
/// # Errors
/// The operating system's random source failed.
pub fn fresh_seed() -> io::Result<Seed> {
    random_bytes().map(Seed::new)
}

/// 32 bytes from the operating system's random source, for a new node key.
///
/// # Errors
/// The operating system's random source failed.
pub fn random_bytes() -> io::Result<[u8; 32]> {
    let mut bytes = [0; 32];
    getrandom::fill(&mut bytes).map_err(io::Error::other)?;
    Ok(bytes)
}
