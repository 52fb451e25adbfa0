//! Loom's own, and a model of the waker.

use std::task::Waker;

use ::loom::cell::UnsafeCell;
pub(super) use ::loom::sync::atomic::{AtomicU8, AtomicU64, AtomicUsize, Ordering};
pub(super) use ::loom::sync::{Condvar, Mutex, MutexGuard};
pub(super) use ::loom::thread::{JoinHandle, spawn};

/// Says to loom when a value is read and written, so that it finds races for it.
pub(super) struct Watched(UnsafeCell<()>);

impl Watched {
    pub(super) fn new() -> Self {
        Self(UnsafeCell::new(()))
    }

    pub(super) fn read(&self) {
        self.0.with(|_| ());
    }

    pub(super) fn write(&self) {
        self.0.with_mut(|_| ());
    }
}

/// A model of `AtomicWaker`: what was registered before is taken, once.
pub(super) struct AtomicWaker(Mutex<Option<Waker>>);

impl AtomicWaker {
    pub(super) fn new() -> Self {
        Self(Mutex::new(None))
    }

    pub(super) fn register(&self, waker: &Waker) {
        *self.0.lock().expect("no poison") = Some(waker.clone());
    }

    pub(super) fn take(&self) -> Option<Waker> {
        self.0.lock().expect("no poison").take()
    }
}
