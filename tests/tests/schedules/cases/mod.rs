//! What threads do at once. Whoever is not woken, hangs, and the checker says so.

pub(super) mod handoff;
pub(super) mod lent;
pub(super) mod loops;
pub(super) mod post;
pub(super) mod progress;
pub(super) mod room;
pub(super) mod waiting;
pub(super) mod work;

use std::future::Future;
use std::pin::pin;
use std::task::{Context, Poll, Wake, Waker};

use super::primitives::{Condvar, Mutex};

/// Where a thread waits until it is told.
#[derive(Default)]
struct Gate {
    told: Mutex<bool>,
    changed: Condvar,
}

impl Gate {
    fn open(&self) {
        *self.told.lock().unwrap() = true;
        self.changed.notify_one();
    }

    fn wait(&self) {
        let mut told = self.told.lock().unwrap();
        while !*told {
            told = self.changed.wait(told).unwrap();
        }
        *told = false;
    }
}

impl Wake for Gate {
    fn wake(self: std::sync::Arc<Self>) {
        self.open();
    }
}

/// A thread's bed, and what wakes it.
fn bed() -> (std::sync::Arc<Gate>, Waker) {
    let gate = std::sync::Arc::new(Gate::default());
    (gate.clone(), gate.into())
}

/// Sleeps until the future is ready, and looks only when woken.
fn block_on<F: Future>(future: F) -> F::Output {
    let (gate, waker) = bed();
    let mut future = pin!(future);
    loop {
        match future.as_mut().poll(&mut Context::from_waker(&waker)) {
            Poll::Ready(output) => return output,
            Poll::Pending => gate.wait(),
        }
    }
}
