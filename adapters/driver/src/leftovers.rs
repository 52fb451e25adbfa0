//! What connections that are over have left, until the application takes it (spec R-LIM-7): the
//! core's budget covers it no more.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};

/// What a stream costs beside its bytes (spec R-LIM-2).
pub(crate) const STREAM: u64 = 4 << 10;
/// What a datagram or a message does.
pub(crate) const ITEM: u64 = 64;

/// How much it is, of all connections together.
#[derive(Debug)]
pub(crate) struct Leftovers {
    held: AtomicU64,
    most: u64,
}

/// A part of it. Dropped, it is room for others.
#[derive(Debug)]
pub(crate) struct Left {
    of: Arc<Leftovers>,
    bytes: u64,
}

impl Leftovers {
    pub(crate) fn new(most: u64) -> Arc<Self> {
        Arc::new(Self { held: AtomicU64::new(0), most })
    }

    #[cfg(test)]
    pub(crate) fn held(&self) -> u64 {
        self.held.load(Relaxed)
    }

    /// A part that is nothing yet.
    pub(crate) fn part(self: &Arc<Self>) -> Left {
        Left { of: self.clone(), bytes: 0 }
    }
}

impl Left {
    /// For the driver, which alone adds: counts so many bytes more if there is room for them, and
    /// says whether there is.
    pub(crate) fn add(&mut self, bytes: u64) -> bool {
        let fits = self.of.held.load(Relaxed).saturating_add(bytes) <= self.of.most;
        if fits {
            self.count(bytes);
        }
        fits
    }

    /// Counts what cannot be taken away any more, room or not.
    pub(crate) fn count(&mut self, bytes: u64) {
        self.of.held.fetch_add(bytes, Relaxed);
        self.bytes += bytes;
    }
}

impl Drop for Left {
    fn drop(&mut self) {
        self.of.held.fetch_sub(self.bytes, Relaxed);
    }
}
