//! Scripts for explorers: operations for as long as there are bytes.

use alloc::vec::Vec;

use arbitrary::{Arbitrary, Unstructured};

/// Most operations that one script has.
pub const MAX_OPS: usize = 4096;

/// Operations made of all the bytes that are left. Unlike [`Vec`]'s own way it spends none of them
/// on whether to go on, so that random bytes make long scripts.
///
/// # Errors
///
/// None: where an operation lacks bytes, the script ends.
pub fn rest<'a, T: Arbitrary<'a>>(source: &mut Unstructured<'a>) -> arbitrary::Result<Vec<T>> {
    let mut ops = Vec::new();
    while !source.is_empty() && ops.len() < MAX_OPS {
        let Ok(op) = source.arbitrary() else { break };
        ops.push(op);
    }
    Ok(ops)
}
