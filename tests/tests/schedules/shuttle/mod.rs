//! The hand-over on shuttle.

mod primitives;
mod tests;

#[path = "../cases.rs"]
mod cases;
#[path = "../sync.rs"]
mod sync;

#[path = "../../../../core/src/handoff/producer.rs"]
mod producer;
#[path = "../../../../core/src/handoff/reader.rs"]
mod reader;
#[path = "../../../../core/src/handoff/segment.rs"]
mod segment;
#[path = "../../../../core/src/handoff/shared.rs"]
mod shared;
#[path = "../../../../core/src/handoff/sleep.rs"]
mod sleep;
