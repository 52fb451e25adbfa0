//! The `message` room.
