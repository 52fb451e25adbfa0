//! What threads share, under one name each.
//!
//! The rest of the room takes its atomics, locks and cells from here only. So the tests can put
//! the very same source on top of a model checker: they bring a `sync` of their own.

use std::time::Duration;

pub(super) use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
pub(super) use std::sync::{Arc, Condvar, Mutex, MutexGuard, OnceLock, PoisonError};

pub(super) use atomic_refcell::AtomicRefCell;
pub(super) use atomic_waker::AtomicWaker;

/// Waits until `flag` holds, or for `timeout`.
pub(super) fn wait_timeout<'a>(
    changed: &Condvar,
    flag: MutexGuard<'a, bool>,
    timeout: Duration,
) -> MutexGuard<'a, bool> {
    let waited = changed.wait_timeout_while(flag, timeout, |flag| !*flag);
    waited.unwrap_or_else(PoisonError::into_inner).0
}
