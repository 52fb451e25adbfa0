//! What threads share: how one waits, and how the loop is roused.
//!
//! The files take what they share from [`sync`] alone, so that the tests of the workspace compile
//! this very source again on model checkers (`tests/tests/schedules`).

mod bell;
mod parked;
mod sync;

pub(crate) use bell::Bell;
pub(crate) use parked::Parked;
