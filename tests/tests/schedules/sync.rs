//! What the files take from their `sync`, with every step visible to the model checker.
//!
//! `Arc` and `OnceLock` are models of the standard ones' contract. `Arc` counts: a release with
//! each handle that goes, an acquire by the last. `OnceLock` publishes: whoever sees that it is set
//! sees all that was done before. `AtomicRefCell` models the shipped one's: who borrows acquires
//! what those before released. The values lie in real ones, so nothing here is unsafe; a mistake in
//! the count would be a panic.

use std::convert::Infallible;
use std::fmt::{Debug, Formatter};
use std::ops::{Deref, DerefMut};
use std::time::Duration;

use super::primitives::Watched;
pub(super) use super::primitives::{
    AtomicBool, AtomicU8, AtomicU64, AtomicUsize, AtomicWaker, Condvar, Mutex, MutexGuard,
    Ordering, Thread, current, park,
};
pub(super) use std::sync::PoisonError;

/// A model of [`std::sync::Arc`].
pub(super) struct Arc<T> {
    count: std::sync::Arc<AtomicUsize>,
    value: Option<std::sync::Arc<T>>,
}

impl<T> Arc<T> {
    pub(super) fn new(value: T) -> Self {
        let count = std::sync::Arc::new(AtomicUsize::new(1));
        Self { count, value: Some(std::sync::Arc::new(value)) }
    }

    pub(super) fn into_inner(mut this: Self) -> Option<T> {
        let value = this.value.take()?;
        (this.count.fetch_sub(1, Ordering::AcqRel) == 1)
            .then(|| std::sync::Arc::into_inner(value).expect("the last handle"))
    }

    pub(super) fn get_mut(this: &mut Self) -> Option<&mut T> {
        let alone = this.count.load(Ordering::Acquire) == 1;
        let value = this.value.as_mut().filter(|_| alone)?;
        Some(std::sync::Arc::get_mut(value).expect("the only handle"))
    }

    pub(super) fn strong_count(this: &Self) -> usize {
        this.count.load(Ordering::Relaxed)
    }

    pub(super) fn ptr_eq(this: &Self, other: &Self) -> bool {
        std::sync::Arc::ptr_eq(&this.count, &other.count)
    }
}

impl<T: Default> Default for Arc<T> {
    fn default() -> Self {
        Self::new(T::default())
    }
}

impl<T> Deref for Arc<T> {
    type Target = T;

    fn deref(&self) -> &T {
        self.value.as_ref().expect("taken only by `into_inner` and drop")
    }
}

impl<T> Clone for Arc<T> {
    fn clone(&self) -> Self {
        self.count.fetch_add(1, Ordering::Relaxed);
        Self { count: self.count.clone(), value: self.value.clone() }
    }
}

impl<T: Debug> Debug for Arc<T> {
    fn fmt(&self, f: &mut Formatter<'_>) -> std::fmt::Result {
        (**self).fmt(f)
    }
}

impl<T> Drop for Arc<T> {
    fn drop(&mut self) {
        if let Some(value) = self.value.take() {
            self.count.fetch_sub(1, Ordering::AcqRel);
            drop(value);
        }
    }
}

/// A model of [`std::sync::OnceLock`] with one writer.
pub(super) struct OnceLock<T> {
    set: AtomicUsize,
    value: std::sync::OnceLock<T>,
    watched: Watched,
}

impl<T> OnceLock<T> {
    pub(super) fn new() -> Self {
        let (set, value) = (AtomicUsize::new(0), std::sync::OnceLock::new());
        Self { set, value, watched: Watched::new() }
    }

    pub(super) fn get(&self) -> Option<&T> {
        if self.set.load(Ordering::Acquire) == 0 {
            return None;
        }
        self.watched.read();
        self.value.get()
    }

    pub(super) fn set(&self, value: T) -> Result<(), T> {
        self.watched.write();
        self.value.set(value)?;
        self.set.store(1, Ordering::Release);
        Ok(())
    }

    pub(super) fn take(&mut self) -> Option<T> {
        self.watched.write();
        self.set.store(0, Ordering::Relaxed);
        self.value.take()
    }
}

impl<T> Default for OnceLock<T> {
    fn default() -> Self {
        Self::new()
    }
}

/// A model of [`atomic_refcell::AtomicRefCell`], step by step as that one does it.
pub(super) struct AtomicRefCell<T> {
    borrows: AtomicUsize,
    value: atomic_refcell::AtomicRefCell<T>,
    watched: Watched,
}

/// In [`AtomicRefCell::borrows`]: somebody may change the value.
const CHANGING: usize = 1 << (usize::BITS - 1);

impl<T: Default> Default for AtomicRefCell<T> {
    fn default() -> Self {
        let value = atomic_refcell::AtomicRefCell::new(T::default());
        Self { borrows: AtomicUsize::new(0), value, watched: Watched::new() }
    }
}

impl<T> AtomicRefCell<T> {
    pub(super) fn try_borrow(&self) -> Result<AtomicRef<'_, T>, ()> {
        if self.borrows.fetch_add(1, Ordering::Acquire) & CHANGING != 0 {
            return Err(());
        }
        self.watched.read();
        Ok(AtomicRef { value: Some(self.value.borrow()), borrows: &self.borrows })
    }

    pub(super) fn try_borrow_mut(&self) -> Result<AtomicRefMut<'_, T>, ()> {
        let (acquire, relaxed) = (Ordering::Acquire, Ordering::Relaxed);
        self.borrows.compare_exchange(0, CHANGING, acquire, relaxed).map_err(|_| ())?;
        self.watched.write();
        Ok(AtomicRefMut { value: Some(self.value.borrow_mut()), borrows: &self.borrows })
    }
}

pub(super) struct AtomicRef<'a, T> {
    value: Option<atomic_refcell::AtomicRef<'a, T>>,
    borrows: &'a AtomicUsize,
}

impl<T> Deref for AtomicRef<'_, T> {
    type Target = T;

    fn deref(&self) -> &T {
        self.value.as_ref().expect("taken only by drop")
    }
}

impl<T> Drop for AtomicRef<'_, T> {
    fn drop(&mut self) {
        self.value = None;
        self.borrows.fetch_sub(1, Ordering::Release);
    }
}

pub(super) struct AtomicRefMut<'a, T> {
    value: Option<atomic_refcell::AtomicRefMut<'a, T>>,
    borrows: &'a AtomicUsize,
}

impl<T> Deref for AtomicRefMut<'_, T> {
    type Target = T;

    fn deref(&self) -> &T {
        self.value.as_ref().expect("taken only by drop")
    }
}

impl<T> DerefMut for AtomicRefMut<'_, T> {
    fn deref_mut(&mut self) -> &mut T {
        self.value.as_mut().expect("taken only by drop")
    }
}

impl<T> Drop for AtomicRefMut<'_, T> {
    fn drop(&mut self) {
        self.value = None;
        self.borrows.store(0, Ordering::Release);
    }
}

/// Time does not pass here: a wait ends when it is ended.
pub(super) fn wait_timeout<'a>(
    changed: &Condvar,
    mut flag: MutexGuard<'a, bool>,
    _timeout: Duration,
) -> MutexGuard<'a, bool> {
    while !*flag {
        flag = changed.wait(flag).unwrap_or_else(PoisonError::into_inner);
    }
    flag
}

/// Poison is not modelled: a panic ends the case.
pub(super) fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().expect("no poison")
}

/// Nobody is impatient here.
pub(super) fn park_timeout(_patience: Duration) {
    park();
}

/// A model of `polling::Poller`, as far as calls from other threads go: one is kept until the
/// loop waits.
#[derive(Debug)]
pub(super) struct Poller {
    notified: Mutex<bool>,
    changed: Condvar,
}

impl Poller {
    pub(super) fn new() -> Self {
        Self { notified: Mutex::new(false), changed: Condvar::new() }
    }

    pub(super) fn notify(&self) -> Result<(), Infallible> {
        *lock(&self.notified) = true;
        self.changed.notify_one();
        Ok(())
    }

    pub(super) fn wait(&self) {
        let mut notified = lock(&self.notified);
        while !std::mem::take(&mut *notified) {
            notified = self.changed.wait(notified).expect("no poison");
        }
    }
}
