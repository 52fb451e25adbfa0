//! The replay window, packet keys, and handshakes on a network that damages what it brings.

use aqueduct_core::crypto::ops;

/// The replay window beside a set.
pub fn replay(data: &[u8]) -> usize {
    let script: Vec<_> = crate::ops(data);
    ops::replay::run(&script);
    script.len()
}

/// Both ends' packet keys, their phases and windows.
pub fn keys(data: &[u8]) -> usize {
    let Some(script) = crate::script::<ops::keys::Script>(data) else { return 0 };
    ops::keys::run(&script);
    script.ops.len()
}

/// Initiator and responder of every kind.
pub fn handshake(data: &[u8]) -> usize {
    let Some(script) = crate::script::<ops::handshake::Script>(data) else { return 0 };
    ops::handshake::run(&script);
    script.ops.len()
}
