//! A thread that parks until it is woken or its patience ends.

use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, Wake, Waker};
use std::time::{Duration, Instant};

use super::sync::{AtomicBool, Ordering, Thread, current, park, park_timeout};

/// Wakes one thread.
pub(crate) struct Parked {
    thread: Thread,
    woken: AtomicBool,
}

impl Wake for Parked {
    fn wake(self: Arc<Self>) {
        self.wake_by_ref();
    }

    fn wake_by_ref(self: &Arc<Self>) {
        // Only the first one has to call the system.
        if !self.woken.swap(true, Ordering::AcqRel) {
            self.thread.unpark();
        }
    }
}

impl Parked {
    /// For this thread.
    pub(crate) fn here() -> Arc<Self> {
        Arc::new(Self { thread: current(), woken: AtomicBool::new(false) })
    }

    /// Looks at `future`, and again whenever `waker`, which is this one's, was woken. It is looked
    /// at once at least, and once more at the end if it was woken. `None`: the patience is over.
    pub(crate) fn wait<F: Future>(
        &self,
        waker: &Waker,
        mut future: Pin<&mut F>,
        patience: Option<Duration>,
    ) -> Option<F::Output> {
        let mut cx = Context::from_waker(waker);
        let mut began = None;
        loop {
            // In one step with a wake-up that goes before: what that one did is seen now.
            self.woken.swap(false, Ordering::AcqRel);
            if let Poll::Ready(output) = future.as_mut().poll(&mut cx) {
                return Some(output);
            }
            let began = *began.get_or_insert_with(Instant::now);
            if !self.park(began, patience) {
                // It may be ready since, and this thread was only late to run: that is no time-out.
                let last = self.woken.swap(false, Ordering::AcqRel);
                return match last.then(|| future.poll(&mut cx)) {
                    Some(Poll::Ready(output)) => Some(output),
                    _ => None,
                };
            }
        }
    }

    /// Until somebody wakes this thread; `false` if the time is over. A future that wakes itself
    /// each time is out of time, too.
    fn park(&self, began: Instant, patience: Option<Duration>) -> bool {
        loop {
            let left = patience.map(|patience| patience.saturating_sub(began.elapsed()));
            if left.is_some_and(|left| left.is_zero()) {
                return false;
            }
            if self.woken.load(Ordering::Acquire) {
                return true;
            }
            left.map_or_else(park, park_timeout);
        }
    }
}
