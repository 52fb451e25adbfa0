//! Shadow mode: what comes as a stream and is wanted as a whole is also put together by its
//! offsets, and both are compared.
//!
//! ```text
//!   core ─┬─► hand-over ─► reader, chunk by chunk: what the application would have read
//!         └─► witness: a copy by the core's offsets, which is what it gets
//! ```

use std::sync::atomic::Ordering::Relaxed;
use std::sync::{Arc, Mutex};

use aqueduct_core::config::Streaming;
use aqueduct_core::stream::OpenOptions;
use aqueduct_core::wire::id::StreamId;
use bytes::{Bytes, BytesMut};

use crate::stats::MessageCounters;
use crate::wait::lock;

use super::{DIGEST, is_message};

/// Who watches a stream that comes: in shadow mode, and if it is a message, one that is large
/// enough to come as a stream and not larger than `largest`, which is put together. Of another
/// stream nobody knows yet how long it is and how it will be read.
pub(crate) fn witness(
    info: Option<&OpenOptions>,
    streaming: &Streaming,
    largest: u64,
) -> Option<Arc<Witness>> {
    if !streaming.streaming_shadow {
        return None;
    }
    let Some(message) = info.filter(|info| is_message(info)) else {
        return Some(Arc::new(Witness::new(u64::MAX)));
    };
    let size = message.size.filter(|size| *size > streaming.streaming_threshold);
    let size = size.filter(|size| *size <= largest)?;
    let trailing = if message.digest.is_none() { DIGEST } else { 0 };
    Some(Arc::new(Witness::new(size + trailing)))
}

/// A body as the core's stream has it: each byte at its offset, whatever becomes of it on the way
/// to its reader.
#[derive(Debug)]
pub(crate) struct Witness {
    /// Bytes that are kept at most.
    most: usize,
    kept: Mutex<Kept>,
}

#[derive(Debug, Default)]
struct Kept {
    bytes: BytesMut,
    /// All that came lies below.
    end: u64,
    /// Nobody wants them, or somebody has them.
    gone: bool,
}

/// A whole body.
#[derive(Debug)]
pub(crate) struct Seen {
    pub(crate) bytes: Bytes,
    /// How many came, also of those that were too many to be kept.
    pub(crate) len: u64,
}

impl Witness {
    /// Of a body of at most so many bytes. Nothing is allocated for them.
    fn new(most: u64) -> Self {
        Self { most: usize::try_from(most).unwrap_or(usize::MAX), kept: Mutex::default() }
    }

    /// For the driver: the core gave `data`, which begins at `offset` of the body.
    pub(crate) fn saw(&self, offset: u64, data: &[u8]) {
        let mut kept = lock(&self.kept);
        if kept.gone {
            return;
        }
        kept.end = kept.end.max(offset.saturating_add(data.len() as u64));
        let Some(from) = usize::try_from(offset).ok().filter(|from| *from < self.most) else {
            return;
        };
        let data = data.get(..self.most - from).unwrap_or(data);
        let end = from + data.len();
        if kept.bytes.len() < end {
            kept.bytes.resize(end, 0);
        }
        if let Some(place) = kept.bytes.get_mut(from..end) {
            place.copy_from_slice(data);
        }
    }

    /// Whether more came than the body may have.
    pub(super) fn is_overfull(&self) -> bool {
        lock(&self.kept).end > self.most as u64
    }

    /// Nobody will ask for the whole.
    pub(crate) fn let_go(&self) {
        let mut kept = lock(&self.kept);
        *kept = Kept { gone: true, ..Kept::default() };
    }

    /// All of it; once.
    pub(crate) fn take(&self) -> Option<Seen> {
        let mut kept = lock(&self.kept);
        let (gone, len) = (std::mem::replace(&mut kept.gone, true), kept.end);
        let bytes = std::mem::take(&mut kept.bytes).freeze();
        (!gone).then_some(Seen { bytes, len })
    }
}

/// Compares a body that was read chunk by chunk with the whole one, which begins at offset `start`
/// of its stream. What differs is logged and counted.
pub(crate) fn compare(
    id: StreamId,
    start: u64,
    read: &[Bytes],
    whole: &[u8],
    counters: &MessageCounters,
) {
    let Some(at) = first_difference(read, whole) else { return };
    counters.streaming_mismatches_total.fetch_add(1, Relaxed);
    tracing::warn!(
        stream = id.0,
        offset = start.saturating_add(at as u64),
        streamed = read.iter().map(Bytes::len).sum::<usize>(),
        whole = whole.len(),
        "a body is not the same read as a stream and as a whole"
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
