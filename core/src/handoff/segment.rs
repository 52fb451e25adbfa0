//! The list: segments of slots, each written once, and a cursor that walks them.

use bytes::Bytes;

use super::sync::{Arc, OnceLock};

/// Slots of a segment.
pub(super) const SLOTS: usize = 16;

/// A few slots, and the way on. Slots are filled from the front.
#[derive(Default)]
pub(super) struct Segment {
    slots: [OnceLock<Bytes>; SLOTS],
    next: OnceLock<Next>,
}

/// What follows a segment. It is there before the segment's last chunk is, so whoever has read
/// that chunk can leave at once.
struct Next {
    segment: Arc<Segment>,
    /// Slots in use of the segment before.
    len: usize,
}

impl Segment {
    pub(super) fn new() -> Arc<Self> {
        // Made in place, unlike what is given to `Arc::new`.
        Arc::default()
    }

    /// Fills slot `index`. Only the producer does, and once for each.
    #[inline]
    pub(super) fn put(&self, index: usize, bytes: Bytes) {
        let unused = self.slots.get(index).is_some_and(|slot| slot.set(bytes).is_ok());
        debug_assert!(unused, "a slot is filled once");
    }

    /// Says that only `len` slots will be used, and what comes behind them.
    pub(super) fn close(&self, len: usize, segment: Arc<Self>) {
        let open = self.next.set(Next { segment, len }).is_ok();
        debug_assert!(open, "a segment is closed once");
    }
}

impl Drop for Segment {
    /// Frees a chain in a loop, for as long as nobody else holds the next segment.
    fn drop(&mut self) {
        let mut next = self.next.take();
        while let Some(link) = next {
            next = Arc::into_inner(link.segment).and_then(|mut segment| segment.next.take());
        }
    }
}

/// A reader's place in the list.
#[derive(Clone)]
pub(super) struct Cursor {
    segment: Arc<Segment>,
    /// The slot that is read next.
    index: usize,
    /// Slots of this segment that this cursor has emptied.
    emptied: usize,
}

impl Cursor {
    pub(super) fn new(segment: Arc<Segment>) -> Self {
        Self { segment, index: 0, emptied: 0 }
    }

    /// The next chunk, if it is there.
    #[inline]
    pub(super) fn get(&self) -> Option<&Bytes> {
        self.segment.slots.get(self.index)?.get()
    }

    /// Gives the next chunk and passes it.
    #[inline]
    pub(super) fn take(&mut self) -> Option<Bytes> {
        // While the producer is still here, there is no need to ask whether anybody is.
        let closed = self.segment.next.get().is_some();
        let alone = if closed { Arc::get_mut(&mut self.segment) } else { None };
        let bytes = match alone {
            Some(segment) => {
                let passed = segment.slots.get_mut(self.emptied..self.index).unwrap_or_default();
                passed.iter_mut().for_each(|slot| _ = slot.take());
                let bytes = segment.slots.get_mut(self.index)?.take()?;
                self.emptied = self.index + 1;
                bytes
            }
            None => self.get()?.clone(),
        };
        self.index += 1;
        self.leave();
        Some(bytes)
    }

    /// Goes on to the next segment if all of this one is passed.
    #[inline]
    fn leave(&mut self) {
        if let Some(next) = self.segment.next.get().filter(|next| self.index >= next.len) {
            *self = Self::new(next.segment.clone());
        }
    }

    /// The chunks from here on that are there now.
    pub(super) fn ahead(&self) -> impl Iterator<Item = &Bytes> {
        let (mut segment, mut index) = (&*self.segment, self.index);
        core::iter::from_fn(move || {
            if let Some(next) = segment.next.get().filter(|next| index >= next.len) {
                (segment, index) = (&*next.segment, 0);
            }
            let chunk = segment.slots.get(index)?.get()?;
            index += 1;
            Some(chunk)
        })
    }
}
