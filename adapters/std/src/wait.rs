//! Waiting on a plain thread: it parks until it is woken or its patience ends.

use std::cell::Cell;
use std::future::Future;
use std::io;
use std::pin::pin;
use std::sync::Arc;
use std::task::Waker;
use std::time::Duration;

use thiserror::Error;

use crate::threads::Parked;

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

/// A thread's own waker, kept between its calls.
type Own = (Arc<Parked>, Waker);

thread_local! {
    static OWN: Cell<Option<Own>> = const { Cell::new(None) };
}

fn own() -> Own {
    // Taken while it is in use: a call inside of a call needs another, or it would take the first
    // one's wake-ups.
    OWN.try_with(Cell::take).ok().flatten().unwrap_or_else(|| {
        let parked = Parked::here();
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
    let (parked, waker) = own();
    let done = parked.wait(&waker, pin!(future), patience);
    let _thread_ends = OWN.try_with(|own| own.set(Some((parked, waker))));
    done.ok_or_else(|| TimedOut(patience.unwrap_or_default()))
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
