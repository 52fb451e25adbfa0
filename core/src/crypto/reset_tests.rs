//! Stateless resets.
