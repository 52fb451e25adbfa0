//! The `recovery` room.
