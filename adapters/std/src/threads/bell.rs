//! What rouses the loop from another thread.

use std::sync::Arc;
use std::task::Wake;

use super::sync::{AtomicBool, Ordering, Poller};

/// The poller at which the loop waits. It keeps one call until the loop waits next.
#[derive(Debug)]
pub(crate) struct Bell {
    pub(crate) poller: Poller,
    stop: AtomicBool,
}

impl Bell {
    pub(crate) fn new(poller: Poller) -> Self {
        Self { poller, stop: AtomicBool::new(false) }
    }

    /// Has the loop end, with its last words and without waiting for anybody.
    pub(crate) fn stop(&self) {
        self.stop.store(true, Ordering::Release);
        self.ring();
    }

    pub(crate) fn is_stopped(&self) -> bool {
        self.stop.load(Ordering::Acquire)
    }

    pub(crate) fn ring(&self) {
        if let Err(error) = self.poller.notify() {
            tracing::error!(%error, "the endpoint's loop cannot be woken");
        }
    }
}

impl Wake for Bell {
    fn wake(self: Arc<Self>) {
        self.ring();
    }

    fn wake_by_ref(self: &Arc<Self>) {
        self.ring();
    }
}
