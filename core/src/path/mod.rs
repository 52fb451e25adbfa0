//! The `path` room.
