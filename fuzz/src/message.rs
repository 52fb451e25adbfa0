//! Datagrams and whole messages beside plain models.

use aqueduct_core::message::ops;

/// The two queues of datagrams.
pub fn datagrams(data: &[u8]) -> usize {
    let Some(script) = crate::script::<ops::datagrams::Script>(data) else { return 0 };
    ops::datagrams::run(&script);
    script.ops.len()
}

/// Messages that are coming.
pub fn messages(data: &[u8]) -> usize {
    let script: Vec<_> = crate::ops(data);
    ops::messages::run(&script);
    script.len()
}
