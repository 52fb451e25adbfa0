//! The `connection` room.
