//! Loom's own, and a model of the waker.

use std::task::Waker;

use ::loom::cell::UnsafeCell;
pub(super) use ::loom::sync::atomic::{AtomicBool, AtomicU8, AtomicU64, AtomicUsize, Ordering};
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

/// A model of [`std::thread::Thread`]: one call is kept until the thread parks. Loom's own rouses a
/// thread also from where it waits for something else.
#[derive(Clone)]
pub(super) struct Thread(std::sync::Arc<(Mutex<bool>, Condvar)>);

::loom::thread_local! {
    static OWN: Thread = Thread(std::sync::Arc::new((Mutex::new(false), Condvar::new())));
}

impl Thread {
    pub(super) fn unpark(&self) {
        let (called, changed) = &*self.0;
        *called.lock().expect("no poison") = true;
        changed.notify_one();
    }
}

pub(super) fn current() -> Thread {
    OWN.with(Thread::clone)
}

pub(super) fn park() {
    let own = current();
    let (called, changed) = &*own.0;
    let mut called = called.lock().expect("no poison");
    while !std::mem::take(&mut *called) {
        called = changed.wait(called).expect("no poison");
    }
}
