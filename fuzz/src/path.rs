//! The deframer of TCP beside a reader that has the whole stream before it.

use aqueduct_core::path::ops;

/// A byte stream, cut anywhere.
pub fn deframe(data: &[u8]) -> usize {
    let Some(script) = crate::script::<ops::Script>(data) else { return 0 };
    ops::run(&script);
    script.ops.len()
}
