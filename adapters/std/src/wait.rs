//! Waiting on a plain thread: it parks until it is woken or its patience ends.

use std::cell::Cell;
use std::future::Future;
use std::io;
use std::pin::pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::task::{Context, Poll, Wake, Waker};
use std::thread::{self, Thread};
use std::time::{Duration, Instant};

use thiserror::Error;

/// A blocking call took longer than its handle's time-out, and was given up.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
#[error("timed out after {0:?} (the handle's time-out)")]
pub struct TimedOut(pub Duration);

/// Why a blocking call gave nothing.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
pub enum Error<E> {
    /// It took too long. What was under way is as if it had not been asked for, unless the call
    /// says otherwise.
    #[error(transparent)]
    TimedOut(#[from] TimedOut),
    /// It failed.
    #[error("{0}")]
    Failed(#[source] E),
}

impl<E: Into<io::Error>> From<Error<E>> for io::Error {
    fn from(error: Error<E>) -> Self {
        match error {
            Error::TimedOut(after) => Self::new(io::ErrorKind::TimedOut, after),
            Error::Failed(error) => error.into(),
        }
    }
}

/// Wakes one thread.
struct Parked {
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

/// A thread's own waker, kept between its calls.
type Own = (Arc<Parked>, Waker);

thread_local! {
    static OWN: Cell<Option<Own>> = const { Cell::new(None) };
}

fn own() -> Own {
    // Taken while it is in use: a call inside of a call needs another, or it would take the first
    // one's wake-ups.
    OWN.try_with(Cell::take).ok().flatten().unwrap_or_else(|| {
        let parked = Arc::new(Parked { thread: thread::current(), woken: AtomicBool::new(false) });
        let waker = Waker::from(parked.clone());
        (parked, waker)
    })
}

/// Runs `future` on this thread until it is ready, or for as long as `patience` lasts; then it is
/// dropped. It is looked at once at least.
pub(crate) fn wait<F: Future>(
    future: F,
    patience: Option<Duration>,
) -> Result<F::Output, TimedOut> {
    let mut future = pin!(future);
    let (parked, waker) = own();
    let mut cx = Context::from_waker(&waker);
    let mut began = None;
    let done = loop {
        parked.woken.store(false, Ordering::Release);
        if let Poll::Ready(output) = future.as_mut().poll(&mut cx) {
            break Ok(output);
        }
        let began = *began.get_or_insert_with(Instant::now);
        if let Err(late) = park(&parked, began, patience) {
            break Err(late);
        }
    };
    let _thread_ends = OWN.try_with(|own| own.set(Some((parked, waker))));
    done
}

/// Until somebody wakes this thread.
fn park(parked: &Parked, began: Instant, patience: Option<Duration>) -> Result<(), TimedOut> {
    while !parked.woken.load(Ordering::Acquire) {
        match patience {
            None => thread::park(),
            Some(patience) => match patience.checked_sub(began.elapsed()) {
                Some(left) if !left.is_zero() => thread::park_timeout(left),
                _ => return Err(TimedOut(patience)),
            },
        }
    }
    Ok(())
}

/// The same for what may fail by itself.
pub(crate) fn wait_for<T, E>(
    future: impl Future<Output = Result<T, E>>,
    patience: Option<Duration>,
) -> Result<T, Error<E>> {
    wait(future, patience)?.map_err(Error::Failed)
}

#[cfg(test)]
#[path = "wait_tests.rs"]
mod tests;
