//! The loop that drives an endpoint, seen from its handles.

use std::sync::{Arc, Condvar, Mutex, PoisonError};
use std::thread::{self, JoinHandle, ThreadId};

use crate::threads::Bell;

/// The loop, and its thread if that is ours.
pub(crate) struct Running {
    pub(crate) bell: Arc<Bell>,
    state: Mutex<State>,
    ended: Condvar,
}

/// Where its thread stands.
enum State {
    /// It is none of ours.
    Foreign,
    Runs(JoinHandle<()>),
    /// Somebody waits for its end; others wait for him.
    Joined(ThreadId),
    /// It has ended; whether well.
    Over(bool),
}

impl Running {
    /// A loop on a thread of somebody else's.
    pub(crate) fn foreign(bell: Arc<Bell>) -> Self {
        Self { bell, state: Mutex::new(State::Foreign), ended: Condvar::new() }
    }

    /// It has this thread.
    pub(crate) fn on(&self, thread: JoinHandle<()>) {
        *self.state.lock().unwrap_or_else(PoisonError::into_inner) = State::Runs(thread);
    }

    /// Whether the loop itself is who asks: a handler that it calls.
    pub(crate) fn is_here(&self) -> bool {
        let loops = match &*self.state.lock().unwrap_or_else(PoisonError::into_inner) {
            State::Runs(thread) => thread.thread().id(),
            State::Joined(thread) => *thread,
            State::Foreign | State::Over(_) => return false,
        };
        loops == thread::current().id()
    }

    /// Waits until the thread has ended, if it is ours, whoever waits as well. Says whether it
    /// ended well. Not for the loop itself.
    pub(crate) fn join(&self) -> bool {
        let mut state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        loop {
            state = match &*state {
                State::Foreign => return true,
                State::Over(well) => return *well,
                State::Joined(_) => self.ended.wait(state).unwrap_or_else(PoisonError::into_inner),
                State::Runs(thread) => {
                    let id = thread.thread().id();
                    let before = std::mem::replace(&mut *state, State::Joined(id));
                    drop(state);
                    let well = match before {
                        State::Runs(thread) => thread.join().is_ok(),
                        _ => true,
                    };
                    let mut state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
                    *state = State::Over(well);
                    self.ended.notify_all();
                    return well;
                }
            };
        }
    }
}
