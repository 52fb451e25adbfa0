//! Credit between two honest ends, and the budget behind it.

use aqueduct_core::flow::ops;

/// Sender, receiver and budget.
pub fn flow(data: &[u8]) -> usize {
    let Some(script) = crate::script::<ops::Script>(data) else { return 0 };
    ops::run(&script);
    script.ops.len()
}
