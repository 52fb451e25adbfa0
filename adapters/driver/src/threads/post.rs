//! A place where one at a time works, and who works there while its driver sleeps.

use std::task::Waker;

use super::sync::{Mutex, MutexGuard};

/// What one works with there.
pub(crate) trait Errand {
    /// Does what there is to do, for a driver who sleeps on then. `false`: he has to come.
    fn errand(&mut self, sleeper: &Waker) -> bool;

    /// Looks at what is asked for and leaves the rest to the driver, whom it finds out to be asleep
    /// at the latest now.
    fn answer(&mut self, sleeper: &mut Option<Waker>);
}

/// The place.
#[derive(Debug)]
pub(crate) struct Post<D>(Mutex<D>);

impl<D> Post<D> {
    pub(crate) fn new(desk: D) -> Self {
        Self(Mutex::new(desk))
    }

    /// Waits until nobody else is there. `None`: somebody panicked there.
    pub(crate) fn enter(&self) -> Option<MutexGuard<'_, D>> {
        self.0.lock().ok()
    }
}

impl<D: Errand> Post<D> {
    /// Does the work of the driver, or wakes him for it: also if somebody else is there, who may be
    /// on his way out.
    pub(crate) fn run(&self, sleeper: Waker) {
        let mut call = Call(Some(sleeper));
        if let (Ok(mut desk), Some(sleeper)) = (self.0.try_lock(), &call.0)
            && desk.errand(sleeper)
        {
            call.0 = None;
        }
    }

    /// Answers what was asked for, if nobody else is there: who is, does it. A driver that sleeps
    /// is woken for what follows of it.
    pub(crate) fn ask(&self, sleeper: Option<Waker>) {
        let mut call = Call(sleeper);
        if let Ok(mut desk) = self.0.try_lock() {
            desk.answer(&mut call.0);
        }
    }
}

/// Wakes the driver when it goes, also on the way out of a panic: a driver that sleeps on would
/// never learn that what he works with is broken, nor tell those who wait.
struct Call(Option<Waker>);

impl Drop for Call {
    fn drop(&mut self) {
        self.0.take().into_iter().for_each(Waker::wake);
    }
}
