//! Who writes at a door: somebody, or nobody.

use alloc::boxed::Box;

use super::segment::Tape;

/// The tape of an endpoint, if it has one. A copy of an endpoint records nothing, and the state of
/// an endpoint is the same whether it is recorded or not.
#[derive(Debug, Default)]
pub(crate) struct Deck(Option<Box<Tape>>);

impl Deck {
    /// With a tape.
    pub(crate) fn new(tape: Tape) -> Self {
        Self(Some(Box::new(tape)))
    }

    /// A pen for one door.
    pub(crate) fn pen(&mut self) -> Pen<'_> {
        Pen(self.0.as_deref_mut())
    }

    /// Writes what a door was given, if anybody records.
    pub(crate) fn note(&mut self, write: impl FnOnce(&mut Tape)) {
        if let Some(tape) = &mut self.0 {
            write(tape);
        }
    }

    /// What is recorded, if anything is.
    pub(crate) fn tape(&self) -> Option<&Tape> {
        self.0.as_deref()
    }

    /// Whether anybody records.
    pub(crate) const fn is_on(&self) -> bool {
        self.0.is_some()
    }
}

impl Clone for Deck {
    fn clone(&self) -> Self {
        Self(None)
    }
}

#[cfg(any(test, feature = "fingerprint"))]
impl core::hash::Hash for Deck {
    fn hash<H: core::hash::Hasher>(&self, _: &mut H) {}
}

/// Writes on an endpoint's tape, if it has one, for as long as a view lasts.
#[derive(Debug, Default)]
pub(crate) struct Pen<'a>(Option<&'a mut Tape>);

impl Pen<'_> {
    /// Writes what a call was given and came to, if anybody records.
    pub(crate) fn note(&mut self, write: impl FnOnce(&mut Tape)) {
        if let Some(tape) = &mut self.0 {
            write(tape);
        }
    }

    /// A copy of what a call takes away, if anybody records.
    pub(crate) fn keep<T: Clone>(&self, value: &T) -> Option<T> {
        self.0.is_some().then(|| value.clone())
    }
}
