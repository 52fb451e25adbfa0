//! Aqueduct's core behind a C boundary: one opaque handle, plain numbers and pointers, no callback.
//!
//! The same functions serve C, every language that can call C, and WebAssembly: compiled for
//! `wasm32-unknown-unknown` this crate is a module without imports, and whoever loads it reads and
//! writes its linear memory. What they do and what their pointers must be stands in
//! `include/aqueduct.h`, which is the documentation for callers; `tests/c/transfer.c` and
//! `examples/wasm/transfer.mjs` are whole programs.
//!
//! ```text
//!  C, JavaScript, ...     exports, room ── raw pointers to slices and back; the only `unsafe` code
//!        │                        │
//!   include/aqueduct.h         guard ──── a panic becomes a status, and the handle stays shut
//!                                 │
//!                              node ───── an endpoint, what it said last, numbers for connections
//! ```

mod address;
pub mod exports;
mod guard;
mod node;
pub mod room;
mod status;

#[cfg(test)]
mod tests;

pub use address::Address;
pub use guard::Handle;
pub use node::Event;
pub use status::Status;
