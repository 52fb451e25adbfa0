//! How a thread sleeps until a reader has something: a waker that ends a wait.

use core::task::Waker;
use core::time::Duration;

use std::task::Wake;

use super::sync::{Condvar, Mutex, MutexGuard, PoisonError, wait_timeout};

#[derive(Default)]
pub(super) struct Sleep {
    woken: Mutex<bool>,
    changed: Condvar,
}

impl Sleep {
    /// A sleep, and what ends it.
    pub(super) fn new() -> (std::sync::Arc<Self>, Waker) {
        let sleep = std::sync::Arc::new(Self::default());
        let waker = Waker::from(sleep.clone());
        (sleep, waker)
    }

    /// Sleeps until it is ended, at most for `timeout`. `false`: the time is up.
    pub(super) fn wait(&self, timeout: Option<Duration>) -> bool {
        let mut woken = self.lock();
        if let Some(timeout) = timeout {
            return *wait_timeout(&self.changed, woken, timeout);
        }
        while !*woken {
            woken = self.changed.wait(woken).unwrap_or_else(PoisonError::into_inner);
        }
        true
    }

    fn lock(&self) -> MutexGuard<'_, bool> {
        self.woken.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Wake for Sleep {
    fn wake(self: std::sync::Arc<Self>) {
        *self.lock() = true;
        self.changed.notify_one();
    }
}
