//! Shuttle's own, and the shipped waker behind a point where threads change.

use std::task::Waker;

pub(super) use ::shuttle::sync::atomic::{AtomicBool, AtomicU8, AtomicU64, AtomicUsize, Ordering};
pub(super) use ::shuttle::sync::{Condvar, Mutex, MutexGuard};
pub(super) use ::shuttle::thread::{JoinHandle, Thread, current, park, spawn};

/// Shuttle knows one memory order only: there is nothing to watch.
pub(super) struct Watched;

impl Watched {
    pub(super) fn new() -> Self {
        Self
    }

    pub(super) fn read(&self) {}

    pub(super) fn write(&self) {}
}

pub(super) struct AtomicWaker {
    shipped: atomic_waker::AtomicWaker,
    step: AtomicUsize,
}

impl AtomicWaker {
    pub(super) fn new() -> Self {
        Self { shipped: atomic_waker::AtomicWaker::new(), step: AtomicUsize::new(0) }
    }

    pub(super) fn register(&self, waker: &Waker) {
        self.step.fetch_add(1, Ordering::SeqCst);
        self.shipped.register(waker);
    }

    pub(super) fn take(&self) -> Option<Waker> {
        self.step.fetch_add(1, Ordering::SeqCst);
        self.shipped.take()
    }
}
