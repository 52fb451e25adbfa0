//! Both buffers of a stream beside bytes in a row.

use aqueduct_core::stream::exercise::{self, RecvOp};

/// Most operations of a script: the models look at every byte after each.
const MAX_OPS: usize = 100;

/// The send buffer.
pub fn send_buffer(data: &[u8]) -> usize {
    let mut script: Vec<_> = crate::ops(data);
    script.truncate(MAX_OPS);
    exercise::send_buffer(&script);
    script.len()
}

/// Offsets of most scripts stay below this: a model of few bytes is faster.
const NEAR: u16 = 4_000;

/// The assembler; the first byte says how many ranges it may keep apart, and whether offsets may be
/// far apart.
pub fn assembler(data: &[u8]) -> usize {
    let Some((ranges, data)) = data.split_first() else { return 0 };
    let mut script: Vec<_> = crate::ops(data);
    script.truncate(MAX_OPS);
    for op in &mut script {
        if let RecvOp::Insert { offset, .. } | RecvOp::Skip { offset, .. } = op
            && ranges % 8 != 0
        {
            *offset %= NEAR;
        }
    }
    exercise::assembler(&script, usize::from(*ranges).max(1));
    script.len()
}
