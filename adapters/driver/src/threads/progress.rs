//! How far a thread is with what it was given to write, and how it ended.

use super::sync::{AtomicUsize, Mutex, Ordering, lock};
use super::waiters::{Waiters, until};

/// Between who gives bytes away, the thread that writes them, and those who want to know. It ends
/// for a reason `E`, which may be a fault `F` of the thread's.
#[derive(Debug)]
pub(crate) struct Progress<E, F> {
    /// Bytes that wait for the thread.
    waiting: AtomicUsize,
    state: Mutex<State<E, F>>,
}

#[derive(Debug)]
struct State<E, F> {
    written: u64,
    /// Why nothing more is given, or taken: the first end, or the thread's fault.
    ended: Option<E>,
    /// The thread is gone: what it failed by, if it failed.
    gone: Option<Option<F>>,
    waiters: Waiters,
}

impl<E, F> Default for Progress<E, F> {
    fn default() -> Self {
        let state = State { written: 0, ended: None, gone: None, waiters: Waiters::default() };
        Self { waiting: AtomicUsize::new(0), state: Mutex::new(state) }
    }
}

impl<E: Clone + From<F>, F: Clone> Progress<E, F> {
    /// For who gives: so many bytes are on their way.
    pub(crate) fn given(&self, bytes: usize) {
        self.waiting.fetch_add(bytes, Ordering::Relaxed);
    }

    /// Bytes that were given and are not written.
    pub(crate) fn waiting(&self) -> usize {
        self.waiting.load(Ordering::Relaxed)
    }

    /// For who gives: nothing more comes.
    pub(crate) fn end(&self, why: E) {
        let wakers = {
            let mut state = lock(&self.state);
            state.ended.get_or_insert(why);
            state.waiters.take()
        };
        wakers.wake();
    }

    /// For the thread: so many bytes are written.
    pub(crate) fn wrote(&self, bytes: usize) {
        lock(&self.state).written += bytes as u64;
        self.waiting.fetch_sub(bytes, Ordering::Relaxed);
    }

    /// For the thread: it writes no more; all that it was given, unless it failed.
    pub(crate) fn leave(&self, failed: Option<F>) {
        let wakers = {
            let mut state = lock(&self.state);
            if let Some(fault) = failed.clone() {
                state.ended = Some(fault.into());
            }
            state.gone = Some(failed);
            state.waiters.take()
        };
        wakers.wake();
    }

    /// Bytes that are written.
    pub(crate) fn written(&self) -> u64 {
        lock(&self.state).written
    }

    /// Why it ended, if it has.
    pub(crate) fn ended(&self) -> Option<E> {
        lock(&self.state).ended.clone()
    }

    /// Waits until it has ended, and gives why; the thread may still write. Cancel-safe.
    pub(crate) async fn over(&self) -> E {
        until(&self.state, |state| &mut state.waiters, |state| state.ended.clone()).await
    }

    /// Whether the thread takes nothing more.
    pub(crate) fn is_gone(&self) -> bool {
        lock(&self.state).gone.is_some()
    }

    /// Waits until the thread is gone. Gives how many bytes it wrote, or what it failed by.
    /// Cancel-safe.
    pub(crate) async fn gone(&self) -> Result<u64, F> {
        let look = |state: &mut State<E, F>| {
            let failed = state.gone.clone()?;
            Some(failed.map_or(Ok(state.written), Err))
        };
        until(&self.state, |state| &mut state.waiters, look).await
    }
}
