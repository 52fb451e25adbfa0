//! The list: segments of slots, each filled once, and a cursor that walks them.

use bytes::Bytes;

use super::sync::{Arc, AtomicRefCell, OnceLock};

/// Slots of a segment.
pub(super) const SLOTS: usize = 16;

/// A few slots, and the way on. Slots are filled from the front.
#[derive(Default)]
pub(super) struct Segment {
    slots: [Slot; SLOTS],
    next: OnceLock<Next>,
}

/// A place for one chunk.
///
/// The producer fills it before the frontier passes it, and never looks again; readers come only
/// after. A reader copies the handle, but one that is alone takes it, since nobody who comes later
/// will stand before it. So nobody finds it in use by somebody who changes it.
#[derive(Default)]
struct Slot(AtomicRefCell<Option<Bytes>>);

impl Slot {
    #[inline]
    fn put(&self, bytes: Bytes) {
        match self.0.try_borrow_mut() {
            Ok(mut slot) if slot.is_none() => *slot = Some(bytes),
            _ => debug_assert!(false, "a slot is filled once, before anybody looks"),
        }
    }

    #[inline]
    fn take(&self) -> Option<Bytes> {
        self.0.try_borrow_mut().ok()?.take()
    }

    #[inline]
    fn copy(&self) -> Option<Bytes> {
        self.0.try_borrow().ok()?.clone()
    }
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
        match self.slots.get(index) {
            Some(slot) => slot.put(bytes),
            None => debug_assert!(false, "a segment has so many slots"),
        }
    }

    /// Says that only `len` slots will be used, and what comes behind them.
    pub(super) fn close(&self, len: usize, segment: Arc<Self>) {
        let open = self.next.set(Next { segment, len }).is_ok();
        debug_assert!(open, "a segment is closed once");
    }

    /// What follows, for who has passed `index` slots, if these are all.
    #[inline]
    fn behind(&self, index: usize) -> Option<&Arc<Self>> {
        self.next.get().filter(|next| index >= next.len).map(|next| &next.segment)
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

/// A reader's place in the list. What it is asked for must lie below the frontier.
#[derive(Clone)]
pub(super) struct Cursor {
    segment: Arc<Segment>,
    /// The slot that is read next.
    index: usize,
}

impl Cursor {
    pub(super) fn new(segment: Arc<Segment>) -> Self {
        Self { segment, index: 0 }
    }

    /// Gives the next chunk and passes it; who is `alone` leaves nothing there.
    #[inline]
    pub(super) fn take(&mut self, alone: bool) -> Option<Bytes> {
        let slot = self.segment.slots.get(self.index)?;
        let bytes = if alone { slot.take() } else { slot.copy() };
        self.index += 1;
        if let Some(next) = self.segment.behind(self.index) {
            *self = Self::new(next.clone());
        }
        bytes
    }

    /// The chunks from here on that have the next `bytes` bytes.
    pub(super) fn ahead(&self, bytes: u64) -> impl Iterator<Item = Bytes> {
        let (mut segment, mut index, mut left) = (&*self.segment, self.index, bytes);
        core::iter::from_fn(move || {
            if left == 0 {
                return None;
            }
            if let Some(next) = segment.behind(index) {
                (segment, index) = (next, 0);
            }
            let chunk = segment.slots.get(index)?.copy()?;
            index += 1;
            left = left.saturating_sub(chunk.len() as u64);
            Some(chunk)
        })
    }
}
