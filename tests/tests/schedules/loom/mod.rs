//! What threads share, on loom.

mod primitives;
mod tests;

#[path = "../cases/mod.rs"]
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

#[path = "../../../../adapters/driver/src/threads/answer.rs"]
mod answer;
#[path = "../../../../adapters/std/src/threads/bell.rs"]
mod bell;
#[path = "../../../../adapters/driver/src/threads/lent.rs"]
mod lent;
#[path = "../../../../adapters/tokio/src/threads/news.rs"]
mod news;
#[path = "../../../../adapters/std/src/threads/parked.rs"]
mod parked;
#[path = "../../../../adapters/driver/src/threads/post.rs"]
mod post;
#[path = "../../../../adapters/driver/src/threads/progress.rs"]
mod progress;
#[path = "../../../../adapters/driver/src/threads/room.rs"]
mod room;
#[path = "../../../../adapters/driver/src/threads/waiters.rs"]
mod waiters;
#[path = "../../../../adapters/driver/src/threads/work.rs"]
mod work;
