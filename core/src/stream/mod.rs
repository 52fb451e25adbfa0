//! Streams: bodies of bytes, many at once, each with its own introduction.
pub mod assembler;
pub mod send_buffer;
pub mod state;

pub use assembler::{Assembler, Inserted};
pub use send_buffer::SendBuffer;

#[cfg(any(test, feature = "arbitrary"))]
pub mod exercise;

#[cfg(test)]
mod buffer_tests;
