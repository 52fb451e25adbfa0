//! Answers to single questions.

use std::future::Future;
use std::pin::Pin;
use std::task::{Context, Poll, Waker};

use super::sync::{Arc, Mutex, lock};

#[derive(Debug)]
struct Slot<T> {
    value: Option<T>,
    settled: bool,
    waker: Option<Waker>,
}

/// The side that answers. Dropped without an answer, the other side learns that there is none.
#[derive(Debug)]
pub(crate) struct Reply<T>(Arc<Mutex<Slot<T>>>);

/// The side that waits for one answer. Dropped, the answer is dropped when it comes.
#[derive(Debug)]
pub(crate) struct Answer<T>(Arc<Mutex<Slot<T>>>);

pub(crate) fn question<T>() -> (Reply<T>, Answer<T>) {
    let slot = Arc::new(Mutex::new(Slot { value: None, settled: false, waker: None }));
    (Reply(slot.clone()), Answer(slot))
}

impl<T> Reply<T> {
    /// Whether nobody waits any more.
    pub(crate) fn is_abandoned(&self) -> bool {
        Arc::strong_count(&self.0) == 1
    }

    pub(crate) fn send(self, value: T) {
        lock(&self.0).value = Some(value);
    }
}

impl<T> Drop for Reply<T> {
    fn drop(&mut self) {
        let waker = {
            let mut slot = lock(&self.0);
            slot.settled = true;
            slot.waker.take()
        };
        waker.into_iter().for_each(Waker::wake);
    }
}

impl<T> Future for Answer<T> {
    /// `None`: whoever should have answered is gone.
    type Output = Option<T>;

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<T>> {
        let mut slot = lock(&self.0);
        if slot.settled {
            return Poll::Ready(slot.value.take());
        }
        slot.waker = Some(cx.waker().clone());
        Poll::Pending
    }
}
