//! What threads share, under one name each.
//!
//! The rest of the room takes its atomics and locks from here only. So the tests can put the very
//! same source on top of model checkers: they bring a `sync` of their own.

pub(super) use std::sync::atomic::{AtomicU8, AtomicUsize, Ordering};
pub(super) use std::sync::{Arc, Mutex, MutexGuard};

use std::sync::PoisonError;

/// Locks, also after a panic elsewhere: what is behind our locks is whole between any two lines.
pub(crate) fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
