//! Shadow mode: a message that comes as a stream is also put together as a whole one, and both are
//! compared.
//!
//! ```text
//!   core ─┬─► hand-over ─► reader, chunk by chunk: what the application would have read
//!         └─► witness: a copy by the core's offsets, which is what it gets
//! ```

use std::sync::Mutex;
use std::sync::atomic::Ordering::Relaxed;

use aqueduct_core::wire::id::StreamId;
use bytes::{Bytes, BytesMut};

use crate::stats::MessageCounters;
use crate::wait::lock;

/// A message as the core's stream has it: each byte at its offset, whatever becomes of it on the
/// way to its reader.
#[derive(Debug)]
pub(crate) struct Witness {
    size: usize,
    bytes: Mutex<BytesMut>,
}

impl Witness {
    /// Of a message of so many bytes. Nothing is allocated for them.
    pub(crate) fn new(size: u64) -> Self {
        Self { size: usize::try_from(size).unwrap_or(usize::MAX), bytes: Mutex::default() }
    }

    /// For the driver: the core gave `data`, which begins at `offset` of the body.
    pub(crate) fn saw(&self, offset: u64, data: &[u8]) {
        // Behind the message stands its digest.
        let Some(from) = usize::try_from(offset).ok().filter(|from| *from < self.size) else {
            return;
        };
        let data = data.get(..self.size - from).unwrap_or(data);
        let mut bytes = lock(&self.bytes);
        let end = from + data.len();
        if bytes.len() < end {
            bytes.resize(end, 0);
        }
        if let Some(place) = bytes.get_mut(from..end) {
            place.copy_from_slice(data);
        }
    }

    /// All of it; once.
    pub(super) fn take(&self) -> Bytes {
        std::mem::take(&mut *lock(&self.bytes)).freeze()
    }
}

/// Compares a message that was read chunk by chunk with the whole one. What differs is logged and
/// counted.
pub(super) fn compare(id: StreamId, read: &[Bytes], whole: &[u8], counters: &MessageCounters) {
    let Some(at) = first_difference(read, whole) else { return };
    counters.streaming_mismatches_total.fetch_add(1, Relaxed);
    tracing::warn!(
        stream = id.0,
        offset = at,
        streamed = read.iter().map(Bytes::len).sum::<usize>(),
        whole = whole.len(),
        "a message is not the same read as a stream and as a whole"
    );
}

/// The first offset at which two contents differ; the length of the shorter if it is the beginning
/// of the longer.
fn first_difference(read: &[Bytes], mut whole: &[u8]) -> Option<usize> {
    let mut at = 0;
    for chunk in read {
        let (here, rest) = whole.split_at_checked(chunk.len()).unwrap_or((whole, &[]));
        if chunk != here {
            let differs = chunk.iter().zip(here).position(|(a, b)| a != b);
            return Some(at + differs.unwrap_or(here.len()));
        }
        (at, whole) = (at + chunk.len(), rest);
    }
    (!whole.is_empty()).then_some(at)
}

#[cfg(test)]
#[path = "shadow_tests.rs"]
mod tests;
