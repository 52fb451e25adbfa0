//! Shadow mode: a message that came as a stream is also put together as a whole one, and both are
//! compared.

use std::sync::atomic::Ordering::Relaxed;

use aqueduct_core::message::Message;
use aqueduct_core::wire::id::StreamId;
use bytes::{Bytes, BytesMut};

use crate::stats::MessageCounters;

/// The message as somebody finds it who reads the stream.
#[derive(Debug, Default)]
pub(super) struct Shadow {
    read: BytesMut,
}

impl Shadow {
    /// The reader was given these bytes.
    pub(super) fn read(&mut self, chunk: &[u8]) {
        self.read.extend_from_slice(chunk);
    }

    /// Compares with the result of the other way. What differs is logged and counted.
    pub(super) fn compare(self, id: StreamId, whole: &Bytes, counters: &MessageCounters) {
        let Some(at) = first_difference(&self.read, whole) else { return };
        counters.streaming_mismatches_total.fetch_add(1, Relaxed);
        tracing::warn!(
            stream = id.0,
            offset = at,
            streamed = self.read.len(),
            whole = whole.len(),
            "a message is not the same read as a stream and as a whole"
        );
    }
}

/// The first offset at which two contents differ; the length of the shorter if it is the beginning
/// of the longer.
fn first_difference(one: &[u8], other: &[u8]) -> Option<usize> {
    if one == other {
        return None;
    }
    let differs = one.iter().zip(other).position(|(a, b)| a != b);
    Some(differs.unwrap_or(one.len().min(other.len())))
}

/// Joins the pieces of a message as the core joins those of a whole one.
pub(super) fn join(id: StreamId, pieces: Vec<Bytes>) -> Bytes {
    Message::join(id, pieces).data
}

#[cfg(test)]
#[path = "shadow_tests.rs"]
mod tests;
