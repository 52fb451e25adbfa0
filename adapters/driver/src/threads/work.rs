//! The list of work, and the marks of those who may be on it.
//!
//! Whoever has many wishes in a row is put on the list once, until the driver has looked at them:
//! his [`Mark`] says so. So the list grows no faster than the driver looks, and nobody ever waits
//! to get on it.
//!
//! No wish is lost. It is written first, then the mark is raised; the driver clears the mark, then
//! reads. Both change the mark in one step, so whoever comes second sees what the first has done:
//! the driver the wish, or the other that the mark is down. And the driver falls asleep only by
//! [`WorkList::park`], which refuses while there is work.

use std::task::Waker;

use super::sync::{AtomicU8, Mutex, Ordering, lock};

/// Work for one who sleeps when there is none.
#[derive(Debug)]
pub(crate) struct WorkList<T>(Mutex<Work<T>>);

#[derive(Debug)]
struct Work<T> {
    waiting: Vec<T>,
    /// Some of it is worth waking somebody.
    urged: bool,
    sleeper: Option<Waker>,
    dead: bool,
}

impl<T> Default for WorkList<T> {
    fn default() -> Self {
        Self(Mutex::new(Work { waiting: Vec::new(), urged: false, sleeper: None, dead: false }))
    }
}

impl<T> WorkList<T> {
    /// Puts work on the list. Gives who sleeps and is to be woken for it.
    ///
    /// # Errors
    /// The work: nobody does any more.
    pub(crate) fn push(&self, work: T) -> Result<Option<Waker>, T> {
        let mut list = lock(&self.0);
        if list.dead {
            return Err(work);
        }
        list.waiting.push(work);
        list.urged = true;
        Ok(list.sleeper.take())
    }

    /// The same with work that can wait until he is awake for another reason.
    fn push_quietly(&self, work: T) -> Result<(), T> {
        let mut list = lock(&self.0);
        if list.dead {
            return Err(work);
        }
        list.waiting.push(work);
        Ok(())
    }

    /// Who sleeps, to be woken for what is on the list.
    fn rouse(&self) -> Option<Waker> {
        let mut list = lock(&self.0);
        list.urged = true;
        list.sleeper.take()
    }

    /// Takes the whole list; `into` must be empty and lends its memory to the next one. Nobody is
    /// woken for it any more: if it is not the sleeper who takes it, he is to be woken.
    pub(crate) fn take(&self, into: &mut Vec<T>) -> Option<Waker> {
        let mut list = lock(&self.0);
        list.urged = false;
        std::mem::swap(&mut list.waiting, into);
        list.sleeper.take()
    }

    /// Says whom to wake. `false`: there is work, do not sleep.
    pub(crate) fn park(&self, waker: &Waker) -> bool {
        let mut list = lock(&self.0);
        if !list.waiting.is_empty() {
            return false;
        }
        match &mut list.sleeper {
            Some(there) => there.clone_from(waker),
            none => *none = Some(waker.clone()),
        }
        true
    }

    /// Whether there is work.
    pub(crate) fn has_work(&self) -> bool {
        !lock(&self.0).waiting.is_empty()
    }

    /// Whether there is work that somebody would be woken for.
    pub(crate) fn is_urged(&self) -> bool {
        lock(&self.0).urged
    }

    /// No more work is taken. Gives what was left.
    pub(crate) fn die(&self) -> Vec<T> {
        let mut list = lock(&self.0);
        list.dead = true;
        list.sleeper = None;
        std::mem::take(&mut list.waiting)
    }
}

/// Not on the list.
const IDLE: u8 = 0;
/// On the list, and nobody was woken for it.
const QUIET: u8 = 1;
/// On the list, and somebody is awake or on his way.
const LOUD: u8 = 2;

/// Whether somebody is on the list.
#[derive(Debug)]
pub(crate) struct Mark(AtomicU8);

impl Default for Mark {
    fn default() -> Self {
        Self(AtomicU8::new(IDLE))
    }
}

impl Mark {
    /// Sees to it that `work` is on `list` and soon done. Gives who is to be woken for it.
    ///
    /// # Errors
    /// The work: nobody does any more.
    pub(crate) fn raise<T>(
        &self,
        list: &WorkList<T>,
        work: impl FnOnce() -> T,
    ) -> Result<Option<Waker>, T> {
        match self.0.swap(LOUD, Ordering::AcqRel) {
            IDLE => list.push(work()),
            QUIET => Ok(list.rouse()),
            _ => Ok(None),
        }
    }

    /// The same, but not worth waking anybody.
    ///
    /// # Errors
    /// The work: nobody does any more.
    pub(crate) fn raise_quietly<T>(
        &self,
        list: &WorkList<T>,
        work: impl FnOnce() -> T,
    ) -> Result<Option<Waker>, T> {
        if self.0.fetch_max(QUIET, Ordering::AcqRel) != IDLE {
            return Ok(None);
        }
        list.push_quietly(work())?;
        // Whoever raised it meanwhile may have woken the driver before there was any work.
        let overtaken = self.0.load(Ordering::Acquire) == LOUD;
        Ok(if overtaken { list.rouse() } else { None })
    }

    /// For whoever does the work, before he reads what it is.
    pub(crate) fn clear(&self) {
        self.0.swap(IDLE, Ordering::AcqRel);
    }
}
