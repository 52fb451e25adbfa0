//! Slots with generations: where connections and half-open handshakes live.

use alloc::vec::Vec;

/// Names one use of one slot; a later use of the same slot has another generation.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(crate) struct SlotKey {
    /// Index of the slot.
    pub(crate) index: u32,
    /// How many times it was used before, modulo 2^16.
    pub(crate) generation: u16,
}

#[derive(Clone, Debug)]
#[cfg_attr(any(test, feature = "fingerprint"), derive(Hash))]
struct Slot<T> {
    generation: u16,
    value: Option<T>,
}

/// A vector of slots that are used again, each time under a new generation.
#[derive(Clone, Debug)]
#[cfg_attr(any(test, feature = "fingerprint"), derive(Hash))]
pub(crate) struct Slab<T> {
    slots: Vec<Slot<T>>,
    free: Vec<u32>,
    limit: u32,
}

impl<T> Slab<T> {
    /// A slab of at most `limit` values.
    pub(crate) const fn new(limit: u32) -> Self {
        Self { slots: Vec::new(), free: Vec::new(), limit }
    }

    /// Sets a slot apart for a value that follows; `None` if all are taken. Nobody finds anything
    /// in it before [`Slab::put`].
    ///
    /// 2^16 uses of one slot must pass before a stale key could match again.
    pub(crate) fn reserve(&mut self) -> Option<SlotKey> {
        if let Some(index) = self.free.pop() {
            let slot = self.slots.get(index as usize)?;
            return Some(SlotKey { index, generation: slot.generation });
        }
        let index = u32::try_from(self.slots.len()).ok().filter(|index| *index < self.limit)?;
        self.slots.push(Slot { generation: 0, value: None });
        Some(SlotKey { index, generation: 0 })
    }

    /// Puts a value into a slot that was set apart or holds another.
    pub(crate) fn put(&mut self, key: SlotKey, value: T) {
        if let Some(slot) = self.slots.get_mut(key.index as usize) {
            debug_assert_eq!(slot.generation, key.generation, "a stale key");
            slot.value = Some(value);
        }
    }

    /// The value under `key`, if that use of the slot still lasts.
    pub(crate) fn get(&self, key: SlotKey) -> Option<&T> {
        let slot = self.slots.get(key.index as usize)?;
        slot.value.as_ref().filter(|_| slot.generation == key.generation)
    }

    /// The value under `key`, to be changed.
    pub(crate) fn get_mut(&mut self, key: SlotKey) -> Option<&mut T> {
        let slot = self.slots.get_mut(key.index as usize)?;
        if slot.generation == key.generation { slot.value.as_mut() } else { None }
    }

    /// Takes the value out; the slot stays set apart.
    pub(crate) fn take(&mut self, key: SlotKey) -> Option<T> {
        let slot = self.slots.get_mut(key.index as usize)?;
        if slot.generation == key.generation { slot.value.take() } else { None }
    }

    /// Ends this use of the slot and gives what was in it.
    pub(crate) fn release(&mut self, key: SlotKey) -> Option<T> {
        let slot = self.slots.get_mut(key.index as usize)?;
        if slot.generation != key.generation {
            return None;
        }
        slot.generation = slot.generation.wrapping_add(1);
        self.free.push(key.index);
        slot.value.take()
    }

    /// All values with their keys, by index.
    pub(crate) fn iter(&self) -> impl Iterator<Item = (SlotKey, &T)> {
        self.slots.iter().zip(0_u32..).filter_map(|(slot, index)| {
            let key = SlotKey { index, generation: slot.generation };
            slot.value.as_ref().map(|value| (key, value))
        })
    }

    /// The same, to be changed.
    pub(crate) fn iter_mut(&mut self) -> impl Iterator<Item = (SlotKey, &mut T)> {
        self.slots.iter_mut().zip(0_u32..).filter_map(|(slot, index)| {
            let key = SlotKey { index, generation: slot.generation };
            slot.value.as_mut().map(|value| (key, value))
        })
    }
}
