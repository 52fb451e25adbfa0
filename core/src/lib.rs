//! Aqueduct's protocol as deterministic state machines: no I/O, no clock, no randomness of its own.

#![no_std]
#![forbid(unsafe_code)]

extern crate alloc;
#[cfg(any(test, feature = "std"))]
extern crate std;

/// Counts a rare branch by one of [`sometimes::NAMES`], with the feature of that name.
#[cfg(feature = "sometimes")]
macro_rules! sometimes {
    ($name:literal) => {{
        const PLACE: usize = $crate::sometimes::place($name);
        $crate::sometimes::count(PLACE);
    }};
}

/// Nothing, without the feature.
#[cfg(not(feature = "sometimes"))]
macro_rules! sometimes {
    ($name:literal) => {{
        const _: &str = $name;
    }};
}

pub mod config;
pub mod congestion;
pub mod connection;
pub mod crypto;
pub mod endpoint;
pub mod error;
#[cfg(any(test, feature = "fingerprint"))]
pub mod fingerprint;
pub mod flow;
#[cfg(feature = "std")]
pub mod handoff;
pub mod message;
pub mod path;
pub mod pipe;
#[cfg(feature = "planted")]
pub mod planted;
#[cfg(not(feature = "planted"))]
mod planted;
pub mod range_set;
pub mod recovery;
pub mod rng;
#[cfg(any(test, feature = "arbitrary"))]
pub mod script;
pub mod shaping;
#[cfg(feature = "sometimes")]
pub mod sometimes;
pub mod stream;
pub mod tape;
pub mod time;
pub mod trace;
pub mod wire;
