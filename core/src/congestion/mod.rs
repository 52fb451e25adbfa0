//! The `congestion` room.
