//! A pipe and its streams beside a model of the body.

use aqueduct_core::pipe::exercise;

/// Most operations of a script: the model looks at every byte after each.
const MAX_OPS: usize = 100;

/// One source and legs that come and go; the first byte says how much the pipe may have in stock
/// and keep.
pub fn pipe(data: &[u8]) -> usize {
    let Some((stock, data)) = data.split_first() else { return 0 };
    let mut script: Vec<_> = crate::ops(data);
    script.truncate(MAX_OPS);
    exercise::pipe(&script, 1024 << (stock % 6), u64::from(stock / 6) * 100);
    script.len()
}
