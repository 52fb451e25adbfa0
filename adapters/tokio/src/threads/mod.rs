//! What threads share: the runtime's and the driver's.
//!
//! The files take what they share from [`sync`] alone, so that the tests of the workspace compile
//! this very source again on model checkers (`tests/tests/schedules`).

mod news;
mod sync;

pub(crate) use news::{Knock, News};
