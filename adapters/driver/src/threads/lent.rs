//! What one at a time takes out of a locked state, to work at it outside of the lock.

/// It is there, or somebody has it.
#[derive(Debug)]
pub(crate) struct Lent<T> {
    here: Option<T>,
    missed: bool,
}

impl<T: Default> Default for Lent<T> {
    fn default() -> Self {
        Self { here: Some(T::default()), missed: false }
    }
}

impl<T> Lent<T> {
    /// `None`: somebody has it, and learns that it was missed.
    pub(crate) fn take(&mut self) -> Option<T> {
        self.missed |= self.here.is_none();
        self.here.take()
    }

    /// Says whether somebody missed it meanwhile. He is to be called: what he was called for
    /// before, he may not have seen without it.
    pub(crate) fn put_back(&mut self, thing: T) -> bool {
        self.here = Some(thing);
        std::mem::take(&mut self.missed)
    }
}
