//! Whose ciphers nodes of tests have. It changes no byte, and much of the time that a world takes.

use aqueduct_core::crypto::provider::Provider;

/// What the adapters choose, where there is C.
#[cfg(not(target_family = "wasm"))]
pub const FAST: Provider = Provider::AwsLc;
/// What is there.
#[cfg(target_family = "wasm")]
pub const FAST: Provider = Provider::Rust;
