//! Ledger and ACK tracker over a bad link.

use aqueduct_core::recovery::ops;

/// Whatever is lost, in the end everything arrived and both ends are silent.
pub fn recovery(data: &[u8]) -> usize {
    let script: Vec<_> = crate::ops(data);
    ops::run(&script);
    script.len()
}
