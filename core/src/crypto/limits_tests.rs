//! Limits of keys.
